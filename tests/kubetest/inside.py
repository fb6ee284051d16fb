# SPDX-License-Identifier: Apache-2.0
"""What the containers of pods on this machine hold: processes, and what is in their memory."""
import os


def processes(pod, container):
    """[(pid, command)] on this machine of what runs in a container."""
    status = next(one for one in pod["status"]["containerStatuses"] if one["name"] == container)
    mark = status["containerID"].split("//")[1]
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
                if mark not in file.read():
                    continue
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                found.append((int(pid), file.read().replace(b"\0", b" ").decode(errors="replace")))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def memory_holds(pid, needle):
    """Is the text anywhere in the memory of a process that it can write to, or that no file backs?"""
    try:
        with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
            for line in maps:
                span, mode, _, _, inode, *_ = line.split(maxsplit=5)
                if mode[0] != "r" or (mode[1] != "w" and inode != "0"):
                    continue
                first, last = (int(text, 16) for text in span.split("-"))
                for at in range(first, last, 16 << 20):
                    try:
                        memory.seek(at)
                        if needle in memory.read(min(last - at, (16 << 20) + len(needle))):
                            return True
                    except (OSError, ValueError, OverflowError):
                        continue
    except (FileNotFoundError, ProcessLookupError):
        pass
    return False


def environment_of(pid):
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""
