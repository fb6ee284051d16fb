# SPDX-License-Identifier: Apache-2.0
"""The manager as a process: steady state without writes, leader election, outages, flags, metrics, permissions."""
import json
import signal
import subprocess

import pytest
from kubetest import program, wait_for
from kubetest.agents import Agents, agent, condition

WRITES = ("POST", "PUT", "PATCH", "DELETE")


@pytest.fixture
def agents(control_plane, namespace):
    return Agents(control_plane, namespace)



def versions(agents):
    """What would change if anybody wrote."""
    return {(t["kind"], t["metadata"]["name"]): t["metadata"]["resourceVersion"]
            for t in [*({"kind": "Pod", **p} for p in agents.pods()),
                      *agents.kube.items(f"/apis/agentkube.io/v1alpha1/namespaces/{agents.namespace}/agents")]}


def several(agents, count=6):
    """Armed, paused and broken Agents, all at rest."""
    agents.apply(*(agent(f"a{n}") for n in range(count)), agent("paused", paused=True),
                 agent("broken", goal={"configMapKeyRef": {"name": "nowhere", "key": "k"}}))
    for n in range(count):
        agents.wait_pod(f"a{n}")
        agents.runs(f"a{n}")
    for n in range(count):
        agents.wait_phase(f"a{n}", "Running")
    agents.wait_phase("paused", "Paused")
    agents.wait_condition("broken", "Resolved", "False")


def idle(process):
    wait_for(lambda: process.metric("workqueue_depth") == 0 and process.metric("controller_runtime_active_workers") == 0,
             "the queue to be empty")


def test_a_restart_and_a_resync_write_nothing(agents, manager):
    first = manager()
    several(agents)
    idle(first)
    before = versions(agents)
    assert first.stop() == 0
    second = manager("--leader-elect=false", "--resync-period=1s")
    wait_for(lambda: second.metric("controller_runtime_reconcile_total", controller="agent") > 40, "several rounds of resync")
    assert "agentkube_applies_total" in second.metrics() and second.metric("agentkube_applies_total", result="sent") == 0
    assert sum(second.metric("rest_client_requests_total", method=method) for method in WRITES) == 0
    assert versions(agents) == before


def test_a_status_write_of_ours_does_not_wake_us_for_another(agents, manager):
    process = manager("--leader-elect=false")
    several(agents)
    idle(process)
    sent = sum(process.metric("rest_client_requests_total", method=method) for method in WRITES)
    reconciled = process.metric("controller_runtime_reconcile_total")
    agents.apply(agent("one-more"))
    agents.wait_pod("one-more")
    agents.wait_phase("one-more", "Starting", "Pending")
    idle(process)
    assert process.metric("controller_runtime_reconcile_total") - reconciled < 12
    assert sum(process.metric("rest_client_requests_total", method=method) for method in WRITES) - sent < 8


def test_only_one_of_two_managers_leads_and_the_other_takes_over_when_it_is_killed(agents, manager):
    first = manager().wait_leading()
    second = manager()
    assert not second.is_leading()
    agents.apply(agent("one"))
    pod = agents.wait_pod("one")
    first.kill()
    second.wait_leading(timeout=90)
    agents.apply(agent("two"))
    agents.wait_pod("two")
    assert agents.pod("one")["metadata"]["uid"] == pod["metadata"]["uid"]
    assert len(agents.pods()) == 2


def test_a_graceful_stop_gives_the_lease_back_at_once(agents, manager, control_plane):
    first = manager().wait_leading()
    second = manager()
    assert first.stop() == 0
    second.wait_leading(timeout=10)  # far less than the 15 s of a Lease that nobody gives back
    lease = control_plane.get(f"/apis/coordination.k8s.io/v1/namespaces/{agents.namespace}/leases/agentkube-manager")
    assert lease["spec"]["leaseTransitions"] >= 1
    assert second.stop() == 0
    lease = control_plane.get(f"/apis/coordination.k8s.io/v1/namespaces/{agents.namespace}/leases/agentkube-manager")
    assert not lease["spec"].get("holderIdentity")


def test_a_stop_in_the_moment_of_becoming_the_leader_is_no_failure(agents, manager):
    for _ in range(4):
        process = manager(wait=False)
        wait_for(lambda p=process: "became the leader" in p.log() or not p.running(), "the manager to lead")
        assert process.stop() == 0, process.log()
        process.check_log()


def test_a_leader_that_slept_through_its_lease_writes_nothing_on_waking(agents, manager):
    first = manager().wait_leading()
    second = manager()
    agents.apply(agent("one"))
    agents.wait_pod("one")
    first.signal(signal.SIGSTOP)
    second.wait_leading(timeout=90)
    # while it sleeps the world changes in a way that it would act upon
    agents.patch("one", paused=True)
    agents.wait_no_pod("one")
    agents.patch("one", paused=False)
    second_pod = agents.wait_pod("one")
    first.signal(signal.SIGCONT)
    code = wait_for(lambda: first.process.poll() is not None and [first.process.returncode], "the deposed leader to leave", timeout=60)[0]
    assert code != 0  # its pod is restarted
    assert agents.pod("one")["metadata"]["uid"] == second_pod["metadata"]["uid"]
    assert second.is_leading()


def test_the_apiserver_may_restart(agents, manager, control_plane):
    if control_plane.foreign:
        pytest.skip("this cluster is not ours to restart")
    process = manager("--leader-elect=false")
    agents.apply(agent("before"))
    uid = agents.wait_pod("before")["metadata"]["uid"]
    control_plane.hack("restart", "apiserver")
    control_plane.ready()
    agents.apply(agent("after"))
    agents.wait_pod("after", timeout=120)
    assert agents.pod("before")["metadata"]["uid"] == uid and len(agents.pods()) == 2
    assert process.running()


def test_compacted_history_makes_it_list_again(agents, manager, control_plane):
    if control_plane.foreign:
        pytest.skip("this cluster is not ours to compact")
    process = manager("--leader-elect=false")
    agents.apply(agent("one"))
    agents.wait_pod("one")
    process.signal(signal.SIGSTOP)
    for n in range(30):
        agents.patch("one", run={"maxQueued": n + 1})
    control_plane.hack("compact")
    control_plane.hack("restart", "apiserver")  # drops the watch cache, so that old versions are really gone
    control_plane.ready()
    agents.apply(agent("two"))
    agents.delete("one")
    process.signal(signal.SIGCONT)
    agents.wait_pod("two", timeout=120)
    agents.wait_no_pod("one")
    assert len(agents.pods()) == 1


def test_health_and_metrics_have_the_names_that_dashboards_know(agents, manager):
    process = manager()
    process.wait_leading()
    agents.apply(agent("one"))
    agents.wait_pod("one")
    assert process.fetch(process.probe_port, "/healthz") == (200, "ok")
    assert process.fetch(process.probe_port, "/readyz")[0] == 200
    assert process.fetch(process.probe_port, "/nothing")[0] == 404
    found = process.metrics()
    for name in ("workqueue_depth", "workqueue_adds_total", "workqueue_retries_total", "workqueue_queue_duration_seconds_count",
                 "workqueue_work_duration_seconds_count", "workqueue_unfinished_work_seconds",
                 "workqueue_longest_running_processor_seconds", "controller_runtime_reconcile_total",
                 "controller_runtime_reconcile_errors_total", "controller_runtime_reconcile_time_seconds_bucket",
                 "controller_runtime_max_concurrent_reconciles", "controller_runtime_active_workers",
                 "rest_client_requests_total", "leader_election_master_status", "process_resident_memory_bytes",
                 "process_cpu_seconds_total"):
        assert name in found, name
    wait_for(lambda: process.metric("controller_runtime_reconcile_total", controller="agent", result="success"), "the reconcile that made the pod to end")
    assert process.metric("leader_election_master_status", name="agentkube-manager") == 1
    for line in process.log_lines():
        assert {"ts", "level", "msg"} <= set(line), line


def test_with_a_shutdown_delay_it_answers_on_while_another_already_leads(agents, manager):
    leaving = manager("--shutdown-delay=60s").wait_leading()
    next_one = manager()
    leaving.signal(signal.SIGTERM)
    next_one.wait_leading()
    assert leaving.running() and not leaving.is_leading()
    status, words = leaving.fetch(leaving.probe_port, "/readyz")
    assert status == 503 and "stopping" in words
    leaving.signal(signal.SIGTERM)  # whoever is in a hurry
    assert leaving.ended() == 143


def test_before_the_caches_are_filled_it_is_alive_but_not_ready(control_plane, manager, tmp_path):
    nobody = tmp_path / "nobody.kubeconfig"
    nobody.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:9"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}], "users": [{"name": "u", "user": {}}]}))
    process = manager(kubeconfig=str(nobody), wait=False)
    wait_for(lambda: process.fetch(process.probe_port, "/healthz")[0] == 200, "the probes to answer")
    status, text = process.fetch(process.probe_port, "/readyz")
    assert status == 503 and text
    assert process.stop() == 0


@pytest.mark.parametrize("flags, words", [
    (["--workers=0"], "workers"), (["--no-such-flag"], "no-such-flag"), (["--log-level=loud"], "log-level"),
    (["--metrics-bind-address=somewhere"], "metrics-bind-address"), (["stray"], "stray"),
    (["--kubeconfig=/nonexistent/config"], "/nonexistent/config"),
])
def test_a_wrong_flag_is_named(flags, words):
    done = subprocess.run([program("agentkube-manager"), *flags], capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": "/usr/bin:/bin"})
    assert done.returncode in (1, 2) and words in done.stderr, done


def test_help_and_version():
    for flag, words in (("--help", "--kubeconfig"), ("--version", "0.")):
        done = subprocess.run([program("agentkube-manager"), flag], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 and words in done.stdout


RBAC = "rbac.authorization.k8s.io"


def granted_by_the_chart(control_plane, strict):
    """The rules that the chart gives the manager: of the cluster, and in its own namespace."""
    import yaml
    shown = control_plane.helm("template", "agentkube", "agentkube/helm/agentkube", "--namespace=agentkube-system",
                               f"--set=rbac.strict={str(strict).lower()}")
    assert shown.returncode == 0, shown.stderr
    things = [thing for thing in yaml.safe_load_all(shown.stdout) if thing]
    rules = {(thing["kind"], thing["metadata"]["name"]): thing["rules"] for thing in things if thing["kind"] in ("ClusterRole", "Role")}
    bound = [thing["roleRef"] for thing in things if thing["kind"] in ("ClusterRoleBinding", "RoleBinding")
             and [one["name"] for one in thing["subjects"]] == ["agentkube-manager"]]
    return [[rule for ref in bound if ref["kind"] == kind for rule in rules[kind, ref["name"]]] for kind in ("ClusterRole", "Role")]


def forget(control_plane, name):
    for kind in ("clusterrolebindings", "clusterroles"):
        control_plane.api("DELETE", f"/apis/{RBAC}/v1/{kind}/{name}")


def wait_granted(control_plane, namespace, rules):
    """The API server learns of a new role a moment later."""
    def allowed():
        rule = rules[-1]
        resource, _, part = rule["resources"][-1].partition("/")
        asked = {"namespace": namespace, "group": rule["apiGroups"][-1], "resource": resource, "subresource": part, "verb": rule["verbs"][-1],
                 "name": (rule.get("resourceNames") or [""])[-1]}
        status, answer = control_plane.api("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
            "spec": {"user": f"system:serviceaccount:{namespace}:manager", "resourceAttributes": asked}})
        assert status == 201, answer
        return answer["status"]["allowed"]
    if rules:
        wait_for(allowed, f"{rules[-1]} to be granted")


def service_account_kubeconfig(control_plane, namespace, tmp_path, rules, own_rules=()):
    """A kubeconfig of a ServiceAccount that has exactly these rules, the last ones in its own namespace only."""
    name = "limited-" + namespace
    control_plane.apply(
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "manager", "namespace": namespace}},
        {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": {"name": name, "namespace": namespace}, "rules": list(own_rules)},
        {"apiVersion": f"{RBAC}/v1", "kind": "RoleBinding", "metadata": {"name": name, "namespace": namespace},
         "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": name},
         "subjects": [{"kind": "ServiceAccount", "name": "manager", "namespace": namespace}]},
        {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {"apiVersion": f"{RBAC}/v1", "kind": "ClusterRoleBinding", "metadata": {"name": name},
         "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": name},
         "subjects": [{"kind": "ServiceAccount", "name": "manager", "namespace": namespace}]})
    wait_granted(control_plane, namespace, rules)
    wait_granted(control_plane, namespace, own_rules)
    status, answer = control_plane.api("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/manager/token",
                                       {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
    assert status == 201, answer
    config = json.loads(control_plane.must("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"][0]["user"] = {"token": answer["status"]["token"]}
    path = tmp_path / "limited.kubeconfig"
    path.write_text(json.dumps(config))
    return str(path), name


@pytest.mark.parametrize("strict", [False, True], ids=["documented", "strict"])
def test_the_permissions_of_the_chart_are_enough(agents, manager, control_plane, tmp_path, strict):
    kubeconfig, name = service_account_kubeconfig(control_plane, agents.namespace, tmp_path, *granted_by_the_chart(control_plane, strict))
    try:
        process = manager(kubeconfig=kubeconfig)
        process.wait_leading()
        control_plane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"k": "v"}},
                            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "goals"}, "data": {"k": "v"}},
                            namespace=agents.namespace)
        member = agent("one", agentToken={"secretRef": {"name": "keys", "key": "k"}}, workspace={"persistent": True},
                       goal={"configMapKeyRef": {"name": "goals", "key": "k"}})
        member["metadata"]["labels"] = {"agentkube.io/agentgroup": "g"}
        agents.apply(member)
        pod = agents.wait_pod("one")
        agents.waits("one", "ImagePullBackOff", "no such image")
        agents.wait_condition("one", "Ready", "False", "ImagePullBackOff")
        wait_for(lambda: agents.events("one"), "an event")
        agents.patch("one", model={"name": "claude-opus-5-5"})
        # its node is none: the collector of orphaned pods confirms its end, which takes it up to a minute
        agents.wait_pod("one", other_than=pod["metadata"]["uid"], timeout=180)
        assert process.metric("rest_client_requests_total", code="403") == 0
    finally:
        forget(control_plane, name)


def test_without_permission_it_says_what_is_missing(agents, manager, control_plane, tmp_path):
    kubeconfig, name = service_account_kubeconfig(control_plane, agents.namespace, tmp_path, [])
    try:
        process = manager(kubeconfig=kubeconfig, wait=False)
        wait_for(lambda: "forbidden" in process.log().lower() and "agents" in process.log(), "the log to say what is forbidden")
        assert process.fetch(process.probe_port, "/readyz")[0] == 503
    finally:
        forget(control_plane, name)


def test_it_works_in_the_namespaces_that_it_is_told_to_and_in_no_other(agents, manager, control_plane):
    manager()
    elsewhere = agents.namespace + "-x"
    assert control_plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": elsewhere}})[0] == 201
    try:
        control_plane.apply(agent("outside"), namespace=elsewhere)
        agents.apply(agent("inside"))
        agents.wait_pod("inside")
        assert control_plane.pod(elsewhere, "outside") is None
        assert not condition(control_plane.agent(elsewhere, "outside"), "Ready")
    finally:
        control_plane.api("DELETE", f"/api/v1/namespaces/{elsewhere}")
