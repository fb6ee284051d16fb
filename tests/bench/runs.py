# SPDX-License-Identifier: Apache-2.0
"""What a run costs beside what its program costs: make bench-runs.

A real cluster, the chart, one Agent whose program is `true`, and in the same minutes:

  run       POST to the invocation API until its stream has said `ended`: request in, process started, result out
  fork      starting `true` on this machine and waiting for it: nobody is faster (the floor)
  exec      `kubectl exec POD -- true`, and `kubectl version` for what kubectl itself takes of it (the peer)

then 1,000 followers of one run: what agentlet, keeper and manager take while they all read it. Sizes of the programs too.
"""
import argparse
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from kubetest import start_cluster, wait_for  # noqa: E402
from kubetest.agents import Agents, agent  # noqa: E402
from kubetest.cluster import ROOT  # noqa: E402

NAMESPACE, SYSTEM = "bench", "agentkube-system"
BASE = f"/api/v1/namespaces/{NAMESPACE}/agents"
RUNTIME = "claude-code"


def say(text):
    print(text, file=sys.stderr, flush=True)


def install(cluster, folder):
    subprocess.run([ROOT + "/hack/images", "--output", folder, "manager", RUNTIME], cwd=ROOT, check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".tar"):
            cluster.hack("load-image", os.path.join(folder, name), timeout=900)
    done = cluster.helm("upgrade", "--install", "agentkube", "agentkube/helm/agentkube", "--namespace", SYSTEM, "--create-namespace",
                        "--set", "manager.logLevel=warn", "--wait", "--timeout", "300s", timeout=400)
    assert done.returncode == 0, done.stderr


def worker(agents):
    with open(os.path.join(ROOT, "VERSION"), encoding="ascii") as file:
        version = file.read().strip()
    agents.apply(agent("idle", runtime="Custom", image=f"docker.io/adaptivelive/agentkube-runtime-{RUNTIME}:v{version}",
                       imagePullPolicy="IfNotPresent", run={"command": ["true"], "maxRetained": 5}),
                 agent("talker", mode="system", playbook={"steps": [
                     {"name": "talk", "run": "while [ ! -e /tmp/enough ]; do echo a line that somebody reads; sleep 0.1; done"}]}))
    for name in ("idle", "talker"):
        agents.wait_phase(name, "Running", timeout=240)


class Client:
    """One kept-alive connection to the manager's pod."""

    def __init__(self, cluster):
        pods = cluster.items(f"/api/v1/namespaces/{SYSTEM}/pods?labelSelector=app.kubernetes.io/name=agentkube-manager")
        self.address = next(pod["status"]["podIP"] for pod in pods if pod["status"]["phase"] == "Running")
        status, answer = cluster.api("POST", f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/agentkube-cli/token",
                                     {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["agentkube"]}})
        assert status == 201, answer
        self.headers = {"Authorization": "Bearer " + answer["status"]["token"], "Content-Type": "application/json"}
        self.connection = self.connect()

    def connect(self):
        connection = http.client.HTTPConnection(self.address, 8082, timeout=120)
        connection.connect()
        connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def start(self, name, body=b"{}"):
        self.connection.request("POST", f"{BASE}/{name}/runs", body, self.headers)
        answer = self.connection.getresponse()
        record = json.loads(answer.read())
        assert answer.status == 201, record
        return record["id"]

    def follow(self, name, identity):
        self.connection.request("GET", f"{BASE}/{name}/runs/{identity}/events", headers=self.headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        return text


def milliseconds(fn, count):
    taken = []
    for _ in range(count):
        began = time.monotonic()
        fn()
        taken.append((time.monotonic() - began) * 1000)
    taken.sort()
    return {"p50": statistics.median(taken), "p90": taken[int(len(taken) * 0.9)], "p99": taken[int(len(taken) * 0.99)], "n": count}


def quietly(*command, env=None):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)


def measure_overhead(cluster, client, count):
    def run():
        text = client.follow("idle", client.start("idle"))
        assert '"phase":"Succeeded"' in text.replace(" ", ""), text[-500:]

    kubectl = [cluster.tools + "/kubectl", "--kubeconfig", cluster.kubeconfig]
    run()  # the first one opens the connections
    return {"run": milliseconds(run, count), "fork": milliseconds(lambda: quietly("/bin/true"), count),
            "exec": milliseconds(lambda: quietly(*kubectl, "-n", NAMESPACE, "exec", "idle", "-c", "agent", "--", "true"), max(count // 10, 5)),
            "kubectl": milliseconds(lambda: quietly(*kubectl, "version"), max(count // 10, 5))}


def processes(name, pod_uid=None):
    """Pids of a program of ours in containers; of one pod, if its uid is given."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                program = os.path.basename(file.read().split(b"\0")[0].decode())
            with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
                group = file.read()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if program == name and (pod_uid is None or pod_uid in group or pod_uid.replace("-", "_") in group):
            found.append(int(pid))
    return found


def resident(pid):
    """(now, peak) in MiB"""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        fields = dict(line.split(":", 1) for line in file)
    return tuple(round(int(fields[name].split()[0]) / 1024, 2) for name in ("VmRSS", "VmHWM"))


def memory(agents):
    uid = agents.pod("talker")["metadata"]["uid"]
    return {name: resident(processes(name, uid)[0]) for name in ("agentlet", "keeper")} | {
        "agentkube-manager": resident(processes("agentkube-manager")[0])}


def measure_followers(agents, client, count):
    identity = client.start("talker")
    path = f"{BASE}/talker/runs/{identity}/events"
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: {client.headers['Authorization']}\r\n\r\n".encode()
    sockets = []
    for _ in range(count):
        one = socket.create_connection((client.address, 8082), timeout=120)
        one.sendall(request)
        sockets.append(one)
    statuses = {}
    for one in sockets:
        status = one.recv(4096).split(b"\r\n")[0].decode()
        statuses[status] = statuses.get(status, 0) + 1
    seen = memory(agents)
    for one in sockets:
        one.close()
    agents.kube.must("-n", NAMESPACE, "exec", "talker", "-c", "agent", "--", "touch", "/tmp/enough")
    return {"followers": count, "answers": statuses, "memory": seen}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="runs that are timed (200)")
    parser.add_argument("--followers", type=int, default=1000, help="followers of one run (1000)")
    parser.add_argument("--json", default=os.path.join(ROOT, "build/bench-runs.json"), help="where the figures are written")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="akb-") as scratch:
        cluster, down = start_cluster(scratch, control_plane_only=False)
        try:
            cluster.ready()
            say("bench-runs: images and chart")
            install(cluster, os.path.join(scratch, "images"))
            cluster.must("create", "namespace", NAMESPACE)
            agents = Agents(cluster, NAMESPACE)
            worker(agents)
            client = Client(cluster)
            say("bench-runs: idle memory")
            time.sleep(10)  # what is given back after a start is given back by then
            found = {"idle": memory(agents)}
            say(f"bench-runs: {args.count} runs")
            found |= measure_overhead(cluster, client, args.count)
            say(f"bench-runs: {args.followers} followers")
            found |= measure_followers(agents, client, args.followers)
        finally:
            down()
    found["bytes"] = {name: os.path.getsize(f"{ROOT}/build/bin/{name}") for name in ("agentkube-manager", "agentlet", "keeper", "exo")}
    with open(args.json, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    show(found)


def show(found):
    print("\n| | p50 ms | p90 ms | p99 ms | n |\n| --- | --- | --- | --- | --- |")
    for name in ("run", "fork", "exec", "kubectl"):
        print(f"| {name} | {found[name]['p50']:.1f} | {found[name]['p90']:.1f} | {found[name]['p99']:.1f} | {found[name]['n']} |")
    print(f"\na run takes {found['run']['p50'] / found['fork']['p50']:.0f} times the fork, "
          f"and {found['run']['p50'] / found['exec']['p50']:.2f} times a kubectl exec\n")
    print("| | bytes | idle MiB | with followers MiB (peak) |\n| --- | --- | --- | --- |")
    for name, size in found["bytes"].items():
        idle, busy = found["idle"].get(name), found["memory"].get(name)
        print(f"| {name} | {size:,} | {idle[0] if idle else ''} | {f'{busy[0]} ({busy[1]})' if busy else ''} |")
    print(f"\n{found['followers']} followers: {found['answers']}")


if __name__ == "__main__":
    main()
