# SPDX-License-Identifier: Apache-2.0
"""What the types need whose client program logs in by itself: container `client` as a process, and a look at what others can see."""
import contextlib
import os
import pathlib
import subprocess
import threading

import pytest

from conftest import ROOT
from kubetest.wait import wait_for


@contextlib.contextmanager
def client(tool, **environment):
    """`bastion client` at the Tool's link folder. environment: what programs that it starts find, PATH for one."""
    program = pathlib.Path(os.environ.get("AGENTKUBE_BIN") or ROOT / "build/bin") / "bastion"
    if not program.exists():
        pytest.skip(f"{program} is not there: make")
    link = tool.folder / "link"
    with open(tool.folder / "client.log", "wb") as log:
        process = subprocess.Popen([program, "client"], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, env={
            "PATH": os.environ["PATH"], "AGENTKUBE_LINK": str(link), "AGENTKUBE_SERVE_UID": str(os.getuid()), **environment})
    try:
        wait_for(lambda: (link / "client.sock").exists() or process.poll() is not None, "the client's socket", 20)
        assert process.poll() is None, (tool.folder / "client.log").read_text()
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        finally:
            process.kill()


class Watch:
    """Looks, while it is open, for a word in the arguments and environment of every process, those of tests left out."""

    def __init__(self, *words):
        self.words, self.seen, self.looks = [word.encode() for word in words], [], 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()

    def run(self):
        while not self.ended.wait(0.005):
            self.looks += 1
            for folder in os.listdir("/proc"):
                if folder.isdigit() and int(folder) != os.getpid():
                    self.look(folder)

    def look(self, pid):
        for name in ("cmdline", "environ"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    text = file.read()
            except OSError:
                continue
            self.seen += [(pid, name, text[:200]) for word in self.words if word in text]
