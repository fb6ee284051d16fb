# SPDX-License-Identifier: Apache-2.0
"""The bastion of a Tool without a kubelet: the two programs of its pod run as processes on this machine, with the environment that the
pod gives them, and the API server is told what a kubelet would say.

    bastion = HostBastion(kube, namespace, "db", "the password")    waits for the pod db-bastion, and is it
    bastion.serve, bastion.client                                   the processes
    bastion.close()
"""
import os
import subprocess

from .bastions import Bastion
from .manager import SANITIZER_REPORT, fetch, program
from .pods import environment
from .wait import wait_for


class HostBastion(Bastion):
    def __init__(self, kube, namespace, tool, credential, **options):
        self.credential, self.serve, self.client = credential, None, None
        super().__init__(kube, namespace, tool, **options)

    def container(self, name):
        return next(c for c in self.pod["spec"]["containers"] if c["name"] == name)

    def start(self, verb, variables):
        kept = ("PATH", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
        with open(os.path.join(self.folder, verb + ".log"), "ab") as log:
            return subprocess.Popen([program("bastion"), verb], cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                    start_new_session=True, env={**{k: os.environ[k] for k in kept if k in os.environ}, **variables})

    def listen(self):
        for name in ("link", "credential"):
            os.makedirs(os.path.join(self.folder, name))
        with open(os.path.join(self.folder, "credential", "credential"), "w", encoding="utf-8") as file:
            file.write(self.credential)
        link = {"AGENTKUBE_LINK": self.folder + "/link", "AGENTKUBE_SERVE_UID": str(os.getuid())}
        self.client = self.start("client", {**environment(self.container("client")), **link})
        self.serve = self.start("serve", {
            **environment(self.container("bastion")), **link, "AGENTKUBE_POD_UID": self.uid, "AGENTKUBE_TOKEN_FILE": self.folder + "/token",
            "AGENTKUBE_CREDENTIAL_DIR": self.folder + "/credential", "AGENTKUBE_IDENTITY_DIR": self.folder + "/none",
            "AGENTKUBE_RELAY_LISTEN": self.ip + ":8084", "AGENTKUBE_PROBE_LISTEN": self.ip + ":8086"})
        wait_for(lambda: fetch(f"http://{self.ip}:8086/readyz")[0] == 200, f"the bastion to be ready: {self.log('serve')}{self.log('client')}", 30)
        return self

    def log(self, which, last=4000):
        """The last characters of it; None: all."""
        with open(os.path.join(self.folder, which + ".log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-(last or 0):]

    # ---- as close() of the scripted one has it
    def shutdown(self):
        for process in (self.serve, self.client):
            if process and process.poll() is None:
                process.terminate()

    def server_close(self):
        for process in (self.serve, self.client):
            if process:
                try:
                    process.wait(15)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)
        for which in ("serve", "client"):
            found = SANITIZER_REPORT.search(self.log(which, None))
            assert not found, f"bastion {which}: a sanitizer reports:\n{self.log(which, None)[found.start():][:8000]}"
