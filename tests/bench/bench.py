# SPDX-License-Identifier: Apache-2.0
"""Side by side on real control planes: our sample controller and our manager against their peers and against a floor.

Every run has a fresh control plane (etcd and kube-apiserver; controller manager and scheduler are stopped once the
namespace has its service account, so that they neither write nor take the processor). What is measured:

  converge  seconds from exec until everything is written: N Deployments (pods) and N status writes
  memory    resident set and its peak (VmRSS, VmHWM), after converging and six quiet seconds
  cpu       processor seconds that the process used until then
  requests  what the apiserver answered, from its own apiserver_request_total
  again     writes after the process was stopped and started once more on the converged objects
"""
import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from kubetest import start_cluster, wait_for  # noqa: E402
from kubetest.cluster import ROOT  # noqa: E402
from kubetest.manager import fetch, free_port  # noqa: E402

NAMESPACE = "bench"
TICK = os.sysconf("SC_CLK_TCK")
WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")
SAMPLE = re.compile(r'^apiserver_request_total\{(.*)\} (\S+)$', re.M)
LABEL = re.compile(r'(\w+)="([^"]*)"')
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "agentkube")


def say(text):
    print(text, file=sys.stderr, flush=True)


# ---- the control plane

class Plane:
    """A control plane of its own for one run."""

    def __init__(self, scratch, crds):
        self.cluster, self.down = start_cluster(scratch, control_plane_only=True)
        assert not self.cluster.foreign, "KUBECONFIG is set: the benchmark needs control planes of its own"
        self.cluster.ready()
        for crd in crds:
            self.cluster.must("apply", "--server-side", "-f", crd)
            self.cluster.must("wait", "--for=condition=Established", "--timeout=60s", "-f", crd)
        self.cluster.must("create", "namespace", NAMESPACE)
        wait_for(lambda: self.cluster.get(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default"), "the service account")
        wait_for(lambda: self.cluster.get(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default").get("secrets", True),
                 "the service account's token")
        for name in ("kube-controller-manager", "kube-scheduler"):
            self.stop(name)

    def stop(self, component):
        note = os.path.join(self.cluster.environment["AGENTKUBE_DIR"], "pid", component)
        if not os.path.exists(note):
            return
        with open(note, encoding="ascii") as file:
            pid = int(file.read().split()[0])
        os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}/exe") or not os.readlink(f"/proc/{pid}/exe"), component + " to end")

    def count(self, path):
        """How many objects there are, without reading them."""
        page = self.cluster.get(path + "?limit=1")
        return len(page["items"]) + page["metadata"].get("remainingItemCount", 0)

    def requests(self):
        """{(verb, resource, subresource): answers} of the resources that matter, without refusals."""
        status, text = self.cluster.api("GET", "/metrics")
        assert status == 200, text
        found = {}
        for labels, number in SAMPLE.findall(text):
            labels = dict(LABEL.findall(labels))
            if labels["resource"] in ("foos", "deployments", "agents", "pods", "events", "persistentvolumeclaims", "configmaps"):
                key = (labels["verb"], labels["resource"], labels["subresource"])
                found[key] = found.get(key, 0) + int(float(number))
        return found

    def load(self, *arguments):
        began = time.monotonic()
        subprocess.run([ROOT + "/build/tests/bench/bench-load", "--kubeconfig", self.cluster.kubeconfig,
                        "--namespace", NAMESPACE, *map(str, arguments)], check=True, stdin=subprocess.DEVNULL)
        return time.monotonic() - began


def writes(requests, resource=None):
    return sum(n for (verb, found, _), n in requests.items() if verb in WRITES and resource in (None, found))


def since(now, before):
    return {key: n - before.get(key, 0) for key, n in now.items() if n != before.get(key, 0)}


# ---- a process that is measured

class Subject:
    def __init__(self, command, log):
        self.began = time.monotonic()
        with open(log, "ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        self.log = log

    def memory(self):
        """(resident, peak) in MiB"""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            fields = dict(line.split(":", 1) for line in file)
        return tuple(int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def alive(self):
        if self.process.poll() is not None:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                raise RuntimeError(f"{self.process.args[0]} has ended ({self.process.returncode}):\n{file.read()[-2000:]}")

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def converge(plane, subject, children, parents, size, before, limit):
    """Waits until `size` children exist and `size` status writes were answered. Seconds, or None at the limit."""
    path = {"deployments": "/apis/apps/v1", "pods": "/api/v1"}[children] + f"/namespaces/{NAMESPACE}/{children}"
    while True:
        subject.alive()
        spent = time.monotonic() - subject.began
        if plane.count(path) >= size and writes(since(plane.requests(), before), parents) >= size:
            return time.monotonic() - subject.began
        if spent > limit:
            return None
        time.sleep(0.05 if size <= 1000 else 0.2)


def quiet_after(plane, subject, seconds=6.0):
    """Until nothing was written for a while, but no longer than half a minute: what follows converging belongs to the run."""
    last, since_when, until = writes(plane.requests()), time.monotonic(), time.monotonic() + 30
    while time.monotonic() - since_when < seconds and time.monotonic() < until:
        subject.alive()
        time.sleep(0.25)
        now = writes(plane.requests())
        if now != last:
            last, since_when = now, time.monotonic()


def measure(plane, command, children, parents, size, limit, scratch, ready=None):
    log = os.path.join(scratch, "subject.log")
    before = plane.requests()
    subject = Subject(command, log)
    try:
        ready_after = ready(subject) if ready else None
        seconds = converge(plane, subject, children, parents, size, before, limit)
        if seconds is not None:
            quiet_after(plane, subject)
        resident, peak = subject.memory()
        result = {"converge_s": seconds, "ready_s": ready_after, "rss_mib": resident, "peak_mib": peak,
                  "cpu_s": subject.cpu(), "done": plane.count({"deployments": "/apis/apps/v1", "pods": "/api/v1"}[children]
                                                              + f"/namespaces/{NAMESPACE}/{children}")}
        made = since(plane.requests(), before)
        result["writes"] = writes(made)
        result["watches"] = sum(n for (verb, _, _), n in made.items() if verb == "WATCH")
    finally:
        subject.stop()
    if seconds is not None:
        result["again_writes"] = again(plane, command, size, log, ready)
    return result


def again(plane, command, size, log, ready):
    """Writes of a second start, on objects that are as they should be."""
    before = plane.requests()
    subject = Subject(command, log)
    try:
        if ready:
            ready(subject)
        until = time.monotonic() + 20 + size / 300  # a peer that writes again and again never rests
        while time.monotonic() < until:
            used = subject.cpu()
            time.sleep(3 + size / 5000)
            subject.alive()
            if subject.cpu() - used < 0.03:  # it has nothing more to do
                break
        return writes(since(plane.requests(), before))
    finally:
        subject.stop()


# ---- the runs

def with_plane(scratch, crds, run):
    plane = Plane(scratch, crds)
    try:
        return run(plane)
    finally:
        plane.down()


def foo_runs(sizes, limit, scratch, skip):
    peers = os.path.join(CACHE, next(d for d in sorted(os.listdir(CACHE)) if d.startswith("sample-controller-")))
    ours_crd = os.path.join(ROOT, "examples/sample-controller/crd.yaml")
    # The peer of Kubernetes 1.20 writes its status to the object itself, ours to the status subresource.
    peer_crd = os.path.join(peers, "crd/crd.yaml")
    subjects = [
        ("ours", ours_crd, [ROOT + "/build/bin/sample-controller", "--workers=8"]),
        ("peer, tuned", peer_crd, [peers + "/sample-controller-tuned"]),
        ("peer, as shipped", peer_crd, [peers + "/sample-controller"]),
    ]
    subjects = [one for one in subjects if one[0] not in skip]
    results = []
    for size in sizes:
        if size:
            def floor(plane):
                plane.load("foos", size)
                return {"subject": "floor", "size": size, "converge_s": plane.load("floor", size)}
            results.append(with_plane(scratch, [ours_crd], floor))
            report(results[-1])
        for name, crd, command in subjects:
            def run(plane, command=command):
                if size:
                    plane.load("foos", size)
                full = [*command, "--kubeconfig=" + plane.cluster.kubeconfig]
                return measure(plane, full, "deployments", "foos", size, limit, scratch)
            results.append({"subject": name, "size": size, **with_plane(scratch, [crd], run)})
            report(results[-1])
    return results


def manager_runs(sizes, limit, scratch):
    crds = [os.path.join(ROOT, "agentkube/config/crd-generated")]
    results = []
    for size in sizes:
        def run(plane):
            if size:
                plane.load("agents", size)
            probe = free_port()
            command = [ROOT + "/build/bin/agentkube-manager", "--kubeconfig=" + plane.cluster.kubeconfig,
                       f"--namespace={NAMESPACE}", f"--health-probe-bind-address=127.0.0.1:{probe}",
                       f"--metrics-bind-address=127.0.0.1:{free_port()}"]

            def ready(subject):
                while fetch(f"http://127.0.0.1:{probe}/readyz")[0] != 200:
                    subject.alive()
                    time.sleep(0.005)
                return time.monotonic() - subject.began
            return measure(plane, command, "pods", "agents", size, limit, scratch, ready)
        results.append({"subject": "manager", "size": size, **with_plane(scratch, crds, run)})
        report(results[-1])
    return results


# ---- what people see

COLUMNS = [("subject", "{}"), ("size", "{}"), ("rss_mib", "{:.1f}"), ("peak_mib", "{:.1f}"), ("cpu_s", "{:.2f}"),
           ("converge_s", "{:.2f}"), ("ready_s", "{:.3f}"), ("writes", "{}"), ("again_writes", "{}"), ("done", "{}")]


def cells(result):
    return [form.format(result[name]) if result.get(name) is not None else "-" for name, form in COLUMNS]


def report(result):
    say("  " + "  ".join(f"{name} {cell}" for (name, _), cell in zip(COLUMNS, cells(result)) if cell != "-"))


def table(results):
    rows = [[name for name, _ in COLUMNS], *map(cells, results)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(COLUMNS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def ratios(results):
    """Ours beside the others, for each size."""
    found = []
    by_key = {(r["subject"], r["size"]): r for r in results}
    for (name, size), ours in by_key.items():
        if name != "ours":
            continue
        floor = by_key.get(("floor", size))
        for peer in ("peer, tuned", "peer, as shipped"):
            other = by_key.get((peer, size))
            if other:
                found.append({"size": size, "against": peer, "memory": ours["rss_mib"] / other["rss_mib"],
                              "cpu": ours["cpu_s"] / other["cpu_s"] if other["cpu_s"] else None,
                              "converge": ours["converge_s"] / other["converge_s"]
                              if size and ours["converge_s"] and other["converge_s"] else None})
        if floor and ours["converge_s"]:
            found.append({"size": size, "against": "floor", "converge": ours["converge_s"] / floor["converge_s"]})
    return found


def main():
    parser = argparse.ArgumentParser(prog="hack/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="0,1000,10000", help="numbers of objects (default %(default)s)")
    parser.add_argument("--limit", type=float, default=240, help="seconds until a run that does not converge is ended (default %(default)s)")
    parser.add_argument("--only", choices=["sample-controller", "manager"], help="one half of it")
    parser.add_argument("--skip", action="append", default=[], metavar="SUBJECT", help="leave out, for example 'peer, as shipped'; may be repeated")
    parser.add_argument("--json", default="build/bench.json", help="where the figures go (default %(default)s)")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    results = []
    with tempfile.TemporaryDirectory(prefix="akb-") as scratch:
        if options.only != "manager":
            results += foo_runs(sizes, options.limit, scratch, options.skip)
        if options.only != "sample-controller":
            results += manager_runs(sizes, options.limit, scratch)
    compared = ratios(results)
    print(table(results))
    for ratio in compared:
        print(f"{ratio['size']}: ours / {ratio['against']}: " + ", ".join(
            f"{what} {ratio[what]:.2f}" for what in ("memory", "cpu", "converge") if ratio.get(what) is not None))
    with open(options.json, "w", encoding="utf-8") as file:
        json.dump({"runs": results, "ratios": compared}, file, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
