# SPDX-License-Identifier: Apache-2.0
"""An Agent's pod without a kubelet: its two programs run as processes on this machine, with the environment that the pod
gives them, and the API server is told what a kubelet would say. Each pod has a loopback address of its own, so the
ports are those of the pod."""
import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile

from .manager import fetch, program
from .wait import wait_for

ADDRESSES = itertools.count(os.getpid() % 200 * 100 + 2)


def address():
    """127.x.y.z, another one each time."""
    number = next(ADDRESSES)
    return f"127.{64 + number // 250 % 128}.{number // 250 // 128 + 1}.{number % 250 + 2}"


def environment(container):
    """What the kubelet would make of the values; references to fields are the caller's business."""
    return {one["name"]: one["value"].replace("$$", "$") for one in container.get("env", []) if "value" in one}


class HostPod:
    """The pod of an Agent as it is in the API server, run here. workspace: a folder that outlives it; None: its own."""

    def __init__(self, agents, name, workspace=None, timeout=60, ready=True):
        self.agents, self.name = agents, name
        self.pod = agents.wait_pod(name, timeout=timeout)
        self.uid = self.pod["metadata"]["uid"]
        self.ip = address()
        self.folder = tempfile.mkdtemp(prefix="akp-")
        self.workspace = workspace or os.path.join(self.folder, "workspace")
        self.socket = os.path.join(self.folder, "link.sock")
        self.keeper = self.agentlet = None
        for folder in ("home", "state", "token", "tmp", "goal", "cgroup"):
            os.makedirs(os.path.join(self.folder, folder))
        os.makedirs(self.workspace, exist_ok=True)
        self.write_token()
        self.start_agentlet()
        self.start_keeper()
        if ready:
            self.say_ready()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def container(self, name):
        return next(c for c in self.pod["spec"]["containers"] if c["name"] == name)

    def write_token(self):
        path = f"/api/v1/namespaces/{self.agents.namespace}/serviceaccounts/default/token"
        bound = {"apiVersion": "v1", "kind": "Pod", "name": self.name, "uid": self.uid}
        status, answer = self.agents.kube.api("POST", path, {"spec": {"audiences": ["agentkube"], "expirationSeconds": 3600, "boundObjectRef": bound}})
        assert status == 201, answer
        with open(os.path.join(self.folder, "token/token"), "w", encoding="utf-8") as file:
            file.write(answer["status"]["token"])

    # ---- processes
    def start(self, which, arguments, variables):
        kept = ("PATH", "LANG", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
        with open(os.path.join(self.folder, which + ".log"), "ab") as log:
            return subprocess.Popen([program(which), *arguments], cwd=self.workspace, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                    start_new_session=True, env={**{k: os.environ[k] for k in kept if k in os.environ}, **variables})

    def start_agentlet(self):
        annotations = self.pod["metadata"].get("annotations", {})
        with open(os.path.join(self.folder, "goal/goal"), "w", encoding="utf-8") as file:
            file.write(annotations.get("agentkube.io/goal", ""))
        self.agentlet = self.start("agentlet", ["run"], {
            **environment(self.container("agent")), "HOME": self.folder + "/home", "TMPDIR": self.folder + "/tmp",
            "AGENTKUBE_WORKSPACE": self.workspace, "AGENTKUBE_STATE_DIR": self.folder + "/state", "AGENTKUBE_LINK": self.socket,
            "AGENTKUBE_GOAL_FILE": self.folder + "/goal/goal", "AGENTKUBE_LISTEN": self.ip + ":8083", "AGENTKUBE_CGROUP": self.folder + "/cgroup",
            "AGENTKUBE_TERMINATION_LOG": self.folder + "/termination-log", "AGENTKUBE_KEEPER_UID": str(os.getuid()),
            "AGENTKUBE_GRACE_SECONDS": "2"})
        wait_for(lambda: fetch(f"http://{self.ip}:8083/readyz")[0] == 200, f"the agentlet to be ready: {self.log('agentlet')}", 30)
        wait_for(lambda: os.path.exists(self.socket), "the agentlet's socket", 30)

    def start_keeper(self):
        self.keeper = self.start("keeper", ["serve"], {
            **environment(self.container("keeper")), "AGENTKUBE_POD_UID": self.uid, "AGENTKUBE_TOKEN_FILE": self.folder + "/token/token",
            "AGENTKUBE_KEY_FILE": "", "AGENTKUBE_LINK": self.socket, "AGENTKUBE_RELAY_LISTEN": self.ip + ":8084",
            "AGENTKUBE_LOOPBACK_LISTEN": self.ip + ":8085", "AGENTKUBE_PROBE_LISTEN": self.ip + ":8086"})
        wait_for(lambda: fetch(f"http://{self.ip}:8086/readyz")[0] == 200, f"the keeper to be ready: {self.log('keeper')}", 30)

    def log(self, which):
        with open(os.path.join(self.folder, which + ".log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-4000:]

    def kill_keeper(self):
        self.keeper.kill()
        self.keeper.wait(10)

    def kill_agentlet(self):
        """As the kernel does it to a container: nothing in it survives its first process."""
        for pid in [self.agentlet.pid] + self.descendants(self.agentlet.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.agentlet.wait(10)

    def descendants(self, pid):
        found = []
        try:
            with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
                for child in file.read().split():
                    found += [int(child)] + self.descendants(int(child))
        except OSError:
            pass
        return found

    # ---- on the agentlet's socket, past everybody
    def ask(self, path, method="GET"):
        """(status, tree) of the agentlet's own API."""
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(10)
            link.connect(self.socket)
            link.sendall(f"{method} {path} HTTP/1.1\r\nHost: agentlet\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".encode())
            data = b""
            while chunk := link.recv(65536):
                data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    def run_ids(self):
        return [run["id"] for run in self.ask("/v1/runs")[1]["items"]]

    # ---- what a kubelet says
    def say_ready(self, ready=True):
        now, word = "2026-01-01T00:00:00Z", "True" if ready else "False"
        self.agents.pod_status(
            self.name, phase="Running", startTime=now, podIP=self.ip, podIPs=[{"ip": self.ip}],
            conditions=[{"type": kind, "status": "True" if kind in ("PodScheduled", "Initialized") else word, "lastTransitionTime": now}
                        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")],
            containerStatuses=[self.agents.container(c, {"running": {"startedAt": now}}, ready) for c in ("agent", "keeper")])

    def end(self, lost=False):
        """The processes are gone, with no time for a word if the node is lost; the pod object is the caller's."""
        if lost:
            self.kill_agentlet()
        for process in (self.keeper, self.agentlet):
            if process and process.poll() is None:
                process.terminate()
        for process in (self.keeper, self.agentlet):
            if process:
                try:
                    process.wait(10)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def gone(self, lost=False):
        """The kubelet has stopped it, or its node is lost: the object goes too."""
        self.end(lost)
        self.agents.kube.api("DELETE", f"/api/v1/namespaces/{self.agents.namespace}/pods/{self.name}?gracePeriodSeconds=0",
                             {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": self.uid}, "gracePeriodSeconds": 0})
