#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What stands for a pod: namespaces of its own, no network but loopback, and a program run in it as an ordinary user.

conftest.py starts this with `unshare --net --mount --pid`, and talks to it by lines of JSON. In the sandbox are the
provider's stand-in and an MCP server. Every address leads to loopback, and whoever looks up a name or connects to a
port of the outside world is noted: that is how the tests know that a program is quiet.
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
PROVIDER = os.path.join(os.path.dirname(HERE), "kubetest/provider.py")
USER = 65532
WEB_PORTS = (80, 443, 4318)
MAX_OUTPUT = 64 << 20


def run(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


class Outside:
    """The rest of the world, as far as it is tried to be reached."""

    def __init__(self):
        self.seen = []
        self.names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.names.bind(("127.0.0.1", 53))
        threading.Thread(target=self.answer, daemon=True).start()
        for port in WEB_PORTS:
            listener = socket.create_server(("0.0.0.0", port))
            threading.Thread(target=self.accept, args=(listener, port), daemon=True).start()

    def answer(self):
        """No such name, whatever is asked for."""
        while True:
            query, who = self.names.recvfrom(4096)
            labels, at = [], 12
            while at < len(query) and query[at]:
                labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
                at += query[at] + 1
            self.seen.append("name " + ".".join(labels))
            self.names.sendto(query[:2] + b"\x81\x83" + query[4:6] + b"\0" * 6 + query[12:at + 5], who)

    def accept(self, listener, port):
        while True:
            connection, _ = listener.accept()
            self.seen.append(f"connection to {connection.getsockname()[0]}:{port}")
            connection.close()


def prepare(programs, resolv):
    run("ip", "link", "set", "lo", "up")
    run("ip", "route", "add", "local", "0.0.0.0/0", "dev", "lo")
    run("mount", "--bind", resolv, "/etc/resolv.conf")
    run("mount", "-t", "tmpfs", "none", "/mnt")
    run("mount", "-t", "tmpfs", "none", "/home")
    paths = []
    for name, folder in programs.items():
        os.mkdir(f"/mnt/{name}")
        run("mount", "--bind", folder, f"/mnt/{name}")
        paths.append(f"/mnt/{name}/bin")
    return ":".join(paths)


def await_port(port):
    deadline = time.monotonic() + 20
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except ConnectionRefusedError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def start(script, *arguments, name="", processes=None, **environment):
    port_file = f"/mnt/{name}{os.path.basename(script)}.port"
    if os.path.exists(port_file):
        os.unlink(port_file)
    process = subprocess.Popen(["/usr/bin/python3", script, *arguments, "--port-file", port_file], stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment})
    if processes is not None:
        processes.append(process)
    deadline = time.monotonic() + 20
    while not (os.path.exists(port_file) and open(port_file, encoding="ascii").read().strip()):
        if time.monotonic() > deadline:
            raise TimeoutError(script)
        time.sleep(0.02)
    return int(open(port_file, encoding="ascii").read())


def give(path):
    os.makedirs(path, mode=0o700, exist_ok=True)
    os.chown(path, USER, USER)


def write_file(path, content, mode):
    folder = os.path.dirname(path)
    while folder != "/home/agent":
        give(folder)
        folder = os.path.dirname(folder)
    with open(path, "w", encoding="utf-8") as file:
        file.write(content)
    os.chmod(path, mode)
    os.chown(path, USER, USER)


def users_processes():
    found = []
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.stat(f"/proc/{entry}").st_uid == USER:
                with open(f"/proc/{entry}/cmdline", "rb") as file:
                    line = file.read().replace(b"\0", b" ").decode(errors="replace").strip()
                if line:
                    found.append((int(entry), line))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


class Sandbox:
    def __init__(self, settings):
        self.path = prepare(settings["programs"], settings["resolv"])
        self.outside = Outside()
        self.processes = []
        self.ports = {"provider": start(PROVIDER, "--listen", "127.0.0.1:0", "--key", settings["key"]),
                      "mcp": start(os.path.join(HERE, "mcp_server.py"))}

    def keeper(self, what):
        """Starts the keeper with the tools of its own tests, in front of a provider that wants another key."""
        self.ports["upstream"] = start(PROVIDER, "--listen", "127.0.0.1:0", name="upstream",
                                       processes=self.processes, STAND_IN_KEY=what["real_key"])
        folder = what["folder"]
        environment = {"AGENTKUBE_AGENT_NAME": "a", "AGENTKUBE_AGENT_NAMESPACE": "n", "AGENTKUBE_POD_UID": "u",
                       "AGENTKUBE_PROVIDER": what["provider"], "AGENTKUBE_KEY_FILE": f"{folder}/key",
                       "AGENTKUBE_MODEL_BASE_URL": f"http://127.0.0.1:{self.ports['upstream']}/upstream",
                       "AGENTKUBE_TOKEN_FILE": f"{folder}/token", "AGENTKUBE_LINK": f"{folder}/none.sock",
                       "AGENTKUBE_MANAGER_CA": what["manager_ca"]}
        process = subprocess.Popen([what["program"], "serve"], env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.DEVNULL, stderr=open(f"{folder}/keeper.log", "w", encoding="utf-8"))
        self.processes.append(process)
        self.ports["keeper"] = 8085
        await_port(8085)
        return self.ports

    def stop_keeper(self, _):
        while self.processes:
            process = self.processes.pop()
            process.terminate()
            process.wait(20)
        return {}

    def request(self, what):
        """An HTTP request to one of the servers."""
        port = self.ports[what["server"]]
        request = urllib.request.Request(f"http://127.0.0.1:{port}{what['path']}", method=what.get("method", "GET"))
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def execute(self, what):
        """Runs a program to its end, or until its time is over, in a home and workspace that are new if `fresh`."""
        for folder in ("agent", "workspace", "tmp"):
            if what["fresh"]:
                shutil.rmtree(f"/home/{folder}", ignore_errors=True)
            give(f"/home/{folder}")
        for file in what["files"]:
            write_file(**file)
        self.outside.seen.clear()
        began = time.monotonic()
        process = subprocess.Popen(
            ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "--no-new-privs", "--inh-caps=-all",
             "--bounding-set=-all", "env", "-C", "/home/workspace", *what["argv"]],
            env={"PATH": f"{self.path}:/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/home/agent",
                 "TMPDIR": "/home/tmp", **what["env"]},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True)
        timed_out = False
        try:
            output, errors = process.communicate((what["input"] or "").encode(), timeout=what["timeout"])
        except subprocess.TimeoutExpired:
            timed_out = True
            os.killpg(process.pid, signal.SIGTERM)
            try:
                output, errors = process.communicate(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                output, errors = process.communicate()
        left = users_processes()
        for pid, _ in left:
            os.kill(pid, signal.SIGKILL)
        code = process.returncode
        return {"code": code if code >= 0 else 128 - code, "timed_out": timed_out, "seconds": time.monotonic() - began,
                "stdout": output[:MAX_OUTPUT].decode(errors="replace"), "stderr": errors[-20000:].decode(errors="replace"),
                "left": [line for _, line in left], "outside": list(self.outside.seen)}


def main():
    sandbox = Sandbox(json.loads(sys.stdin.readline()))
    verbs = {"request": sandbox.request, "execute": sandbox.execute, "keeper": sandbox.keeper,
             "stop_keeper": sandbox.stop_keeper}
    print(json.dumps({"ports": sandbox.ports}), flush=True)
    for line in sys.stdin:
        what = json.loads(line)
        print(json.dumps(verbs[what.pop("verb")](what)), flush=True)


if __name__ == "__main__":
    main()
