# SPDX-License-Identifier: Apache-2.0
"""What a Tool costs beside its client alone: make bench-tools.

A real cluster, the chart, a real PostgreSQL on this machine, and in the same minutes:

  cold      `exo tool exec` while there is no bastion: pod made, started, proved, logged in, first row out
  warm      `exo tool exec db -- -Atc 'select 1'` with the bastion there
  direct    `kubectl exec POD -- psql -Atc 'select 1'` in a pod that holds the password itself (the peer)
  operation POST operations `query` to the invocation API, kept alive

then the manager's memory before and after many operations.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
from kubetest import start_cluster, wait_for  # noqa: E402
from kubetest.cluster import ROOT  # noqa: E402
from kubetest.databases import Postgres  # noqa: E402
from kubetest.exo import Exo  # noqa: E402
from kubetest.tools import Tools  # noqa: E402
from kubetest.worker import node_address  # noqa: E402
from runs import SYSTEM, Client, milliseconds, processes, quietly, resident, say  # noqa: E402

NAMESPACE, PASSWORD, IMAGE = "bench", "bench-password", "bastion-postgres"


def install(cluster, folder):
    subprocess.run([ROOT + "/hack/images", "--output", folder, "manager", IMAGE], cwd=ROOT, check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL)
    for name in sorted(os.listdir(folder)):
        if name.endswith(".tar"):
            cluster.hack("load-image", os.path.join(folder, name), timeout=900)
    done = cluster.helm("upgrade", "--install", "agentkube", "agentkube/helm/agentkube", "--namespace", SYSTEM, "--create-namespace",
                        "--set", "manager.logLevel=warn", "--wait", "--timeout", "300s", timeout=400)
    assert done.returncode == 0, done.stderr


def direct_pod(cluster, server):
    """psql with the password in its environment, as people do it without us."""
    with open(os.path.join(ROOT, "VERSION"), encoding="ascii") as file:
        version = file.read().strip()
    variables = {"PGHOST": server.host, "PGPORT": str(server.port), "PGUSER": "app", "PGDATABASE": "app", "PGPASSWORD": PASSWORD}
    cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "direct"}, "spec": {
        "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False, "containers": [{
            "name": "psql", "image": f"docker.io/adaptivelive/agentkube-{IMAGE}:v{version}", "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "infinity"], "env": [{"name": name, "value": value} for name, value in variables.items()]}]}},
        namespace=NAMESPACE)
    wait_for(lambda: cluster.pod(NAMESPACE, "direct")["status"]["phase"] == "Running", "the pod with psql")


def measure_cold(exo, tools, count):
    def once():
        exo("tool", "exec", "db", "--", "-Atc", "select 1", timeout=300)

    def clear():
        tools.kube.kubectl("-n", NAMESPACE, "delete", "pod", "db-bastion", "--grace-period=0", "--force", "--ignore-not-found")
        tools.wait_no_bastion("db")
    taken = []
    for _ in range(count):
        clear()
        taken.append(milliseconds(once, 1)["p50"])
    taken.sort()
    return {"p50": taken[len(taken) // 2], "p90": taken[int(len(taken) * 0.9)], "p99": taken[int(len(taken) * 0.99)], "n": count}


def operation(client):
    client.connection.request("POST", f"/api/v1/namespaces/{NAMESPACE}/tools/db/operations",
                              json.dumps({"operation": "query", "arguments": {"sql": "select 1"}}), client.headers)
    answer = client.connection.getresponse()
    body = json.loads(answer.read())
    assert answer.status == 200 and body["result"]["rows"] == [[1]], body


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cold", type=int, default=20, help="cold starts (20)")
    parser.add_argument("--warm", type=int, default=50, help="warm calls of each sort (50)")
    parser.add_argument("--operations", type=int, default=10000, help="operations for the manager's memory (10000)")
    parser.add_argument("--json", default=os.path.join(ROOT, "build/bench-tools.json"), help="where the figures are written")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="akb-") as scratch:
        cluster, down = start_cluster(scratch, control_plane_only=False)
        try:
            cluster.ready()
            with Postgres(host=node_address(cluster), users={"app": PASSWORD}) as server:
                found = measure(cluster, server, scratch, args)
        finally:
            down()
    found["bytes"] = {"bastion": os.path.getsize(f"{ROOT}/build/bin/bastion")}
    with open(args.json, "w", encoding="utf-8") as file:
        json.dump(found, file, indent=1)
    show(found)


def measure(cluster, server, scratch, args):
    say("bench-tools: images and chart")
    install(cluster, os.path.join(scratch, "images"))
    cluster.must("create", "namespace", NAMESPACE)
    tools, exo = Tools(cluster, NAMESPACE), Exo(cluster.kubeconfig, NAMESPACE, scratch)
    tools.secret("db", password=PASSWORD)
    tools.ready("db", "postgres", idleTimeout="30m", config={"hostname": server.host, "port": server.port, "username": "app", "databaseName": "app",
                                                             "sslMode": "disable", "credentialsRef": {"name": "db", "key": "password"}})
    direct_pod(cluster, server)
    say(f"bench-tools: {args.cold} cold starts")
    found = {"cold": measure_cold(exo, tools, args.cold)}
    kubectl = [cluster.tools + "/kubectl", "--kubeconfig", cluster.kubeconfig, "-n", NAMESPACE]
    say(f"bench-tools: {args.warm} warm calls")
    # one after the other, so that what else the machine does hits both alike
    warm, direct = [], []
    for _ in range(args.warm):
        warm.append(milliseconds(lambda: exo("tool", "exec", "db", "--", "-Atc", "select 1"), 1)["p50"])
        direct.append(milliseconds(lambda: quietly(*kubectl, "exec", "direct", "--", "psql", "-XAtc", "select 1"), 1)["p50"])
    for name, taken in (("warm", sorted(warm)), ("direct", sorted(direct))):
        found[name] = {"p50": taken[len(taken) // 2], "p90": taken[int(len(taken) * 0.9)], "p99": taken[int(len(taken) * 0.99)], "n": args.warm}
    client = Client(cluster)
    operation(client)
    found["operation"] = milliseconds(lambda: operation(client), 200)
    say(f"bench-tools: {args.operations} operations")
    time.sleep(5)  # what is given back after a burst is given back by then
    pod = cluster.items("/api/v1/namespaces/agentkube-system/pods?labelSelector=app.kubernetes.io/name%3Dagentkube-manager")[0]
    manager = processes("agentkube-manager", pod["metadata"]["uid"])[0]  # another one may run on this machine
    memory = {"before": resident(manager)}
    for _ in range(args.operations):
        operation(client)
    time.sleep(5)
    memory["after"] = resident(manager)
    uid = tools.bastion("db")["metadata"]["uid"]
    memory["bastion"] = [resident(pid) for pid in processes("bastion", uid)]
    return found | {"memory": memory, "operations": args.operations}


def show(found):
    print("\n| | p50 ms | p90 ms | p99 ms | n |\n| --- | --- | --- | --- | --- |")
    for name in ("cold", "warm", "direct", "operation"):
        row = found[name]
        print(f"| {name} | {row['p50']:.1f} | {row['p90']:.1f} | {row['p99']:.1f} | {row['n']} |")
    print(f"\nwarm is {found['warm']['p50'] / found['direct']['p50']:.2f} times direct (p50)")
    memory = found["memory"]
    print(f"manager: {memory['before'][0]} MiB before, {memory['after'][0]} MiB after {found['operations']} operations "
          f"(peak {memory['after'][1]}); bastion: {', '.join(f'{now} MiB' for now, _ in memory['bastion'])}; "
          f"binary {found['bytes']['bastion'] / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
