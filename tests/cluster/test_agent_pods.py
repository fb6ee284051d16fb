# SPDX-License-Identifier: Apache-2.0
"""Agents become pods, on a real control plane. There is no kubelet here: the tests say what one would say."""
import pytest
from kubetest import wait_for
from kubetest.agents import MANAGER, Agents, agent, condition

CANARY = "sk-canary-4f1f6c1e7d"


@pytest.fixture
def agents(control_plane, namespace):
    return Agents(control_plane, namespace)


def controller(thing):
    return [o for o in thing["metadata"].get("ownerReferences", []) if o.get("controller")]


def test_an_armed_agent_gets_one_pod_that_it_owns(agents, manager):
    manager()
    agents.apply(agent("one"))
    pod = agents.wait_pod("one")
    owner, = controller(pod)
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Agent", "one", agents.get("one")["metadata"]["uid"])
    assert len(agents.pods()) == 1
    agents.wait_phase("one", "Starting", "Pending")
    agents.runs("one")
    found = agents.wait_phase("one", "Running")
    assert found["status"]["ready"] == "1/1" and found["status"]["podName"] == "one"
    assert condition(found, "Ready")["status"] == "True"
    assert found["status"]["resolved"]["imageDigest"].endswith("sha256:" + "ab" * 32)


def test_the_pod_is_restricted_and_has_no_token(agents, manager):
    manager()
    agents.apply(agent("tight"))
    spec = agents.wait_pod("tight")["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    assert not spec.get("hostNetwork") and not spec.get("hostPID") and not spec.get("hostIPC")
    for container in spec["initContainers"] + spec["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, container["name"]
        assert context["capabilities"]["drop"] == ["ALL"], container["name"]
    assert not [v for v in spec["volumes"] if "hostPath" in v]
    assert spec["containers"][0]["command"][0] == "/agentkube/bin/agentlet"


def test_the_keeper_is_another_user_and_alone_has_the_token_and_the_key(agents, manager, control_plane):
    manager()
    control_plane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"key": CANARY, "other": CANARY}},
                        namespace=agents.namespace)
    agents.apply(agent("two", agentToken={"secretRef": {"name": "keys", "key": "key"}}))
    pod = agents.wait_pod("two")
    assert pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"] == "agent"
    assert not pod["spec"].get("shareProcessNamespace")
    runtime, keeper = pod["spec"]["containers"]
    assert (runtime["name"], keeper["name"]) == ("agent", "keeper")
    assert keeper["command"] == ["/usr/local/bin/keeper", "serve"]
    assert keeper["securityContext"]["runAsUser"] != pod["spec"]["securityContext"]["runAsUser"]
    assert keeper["securityContext"]["readOnlyRootFilesystem"] is True
    assert {p["name"]: p["containerPort"] for p in keeper["ports"]}["relay"] == 8084

    def mounts(container):
        return {m["name"] for m in container["volumeMounts"]}
    secret = {v["name"] for v in pod["spec"]["volumes"] if "secret" in v or "projected" in v}
    assert secret == {"agent-token", "keeper-token"} and secret <= mounts(keeper)
    for container in pod["spec"]["initContainers"] + [runtime]:
        assert not secret & mounts(container), container["name"]
    assert {m["name"] for m in runtime["volumeMounts"]} & mounts(keeper) == {"link"}
    volumes = {v["name"]: v for v in pod["spec"]["volumes"]}
    assert volumes["agent-token"]["secret"]["items"] == [{"key": "key", "path": "key"}]
    projected, = volumes["keeper-token"]["projected"]["sources"]
    assert projected["serviceAccountToken"]["audience"] == "agentkube"

    def value(container, name):
        return next((e.get("value") for e in container["env"] if e["name"] == name), None)
    assert value(keeper, "AGENTKUBE_MODEL_BASE_URL") == "https://api.anthropic.com"
    assert value(keeper, "AGENTKUBE_MANAGER_CA").startswith("-----BEGIN CERTIFICATE-----")
    assert value(runtime, "AGENTKUBE_MODEL_URL") == "http://127.0.0.1:8085/model"
    assert value(runtime, "AGENTKUBE_KEEPER_UID") == str(keeper["securityContext"]["runAsUser"])
    wait_for(lambda: agents.get("two")["status"]["resolved"]["baseURL"] == "https://api.anthropic.com", "the provider's address in the status")
    assert not condition(agents.get("two"), "TokenExposed")


def test_a_runtime_that_cannot_use_the_keeper_has_its_key_and_the_agent_says_so(agents, manager, control_plane):
    process = manager()
    control_plane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"key": CANARY}},
                        namespace=agents.namespace)
    agents.apply(agent("open", runtime="Cursor", agentToken={"secretRef": {"name": "keys", "key": "key"}}))
    pod = agents.wait_pod("open")
    exposed, = [e for e in pod["spec"]["containers"][0]["env"] if e["name"] == "CURSOR_API_KEY"]
    assert exposed["valueFrom"]["secretKeyRef"] == {"name": "keys", "key": "key"}
    assert "agent-token" not in {v["name"] for v in pod["spec"]["volumes"]}
    told = agents.wait_condition("open", "TokenExposed", "True", "RuntimeCannotUseKeeper")
    assert "keys" in told["message"]
    wait_for(lambda: [e for e in agents.events("open") if e["type"] == "Warning" and e["reason"] == "RuntimeCannotUseKeeper"], "the event")
    everything = [agents.pods(), agents.get("open"), agents.events("open"), process.log(), process.metrics()]
    assert CANARY not in str(everything)
    # another runtime: the condition goes
    agents.patch("open", runtime="ClaudeCode")
    wait_for(lambda: not condition(agents.get("open"), "TokenExposed"), "the condition to go")


def test_a_paused_agent_shows_everything_and_starts_nothing_until_it_is_armed(agents, manager):
    manager()
    agents.apply(agent("calm", paused=True, model={"name": "claude-sonnet-5-5"},
                       schedule={"cron": "30 4 * * *", "timeZone": "Europe/Berlin"}))
    found = agents.wait_phase("calm", "Paused")
    resolved = found["status"]["resolved"]
    assert resolved["runtime"] == "ClaudeCode" and "claude-code" in resolved["image"]
    assert resolved["model"] == "claude-sonnet-5-5" and resolved["provider"] == "anthropic"
    assert resolved["schedule"]["timeZone"] == "Europe/Berlin" and found["status"]["nextRunTime"].endswith(":30:00Z")
    assert condition(found, "Paused")["status"] == "True" and found["status"]["ready"].startswith("0/")
    assert agents.pods() == []
    agents.patch("calm", paused=False)
    first = agents.wait_pod("calm")
    agents.patch("calm", paused=True)
    agents.wait_no_pod("calm")
    agents.wait_phase("calm", "Paused")
    agents.patch("calm", paused=False)
    assert agents.wait_pod("calm")["metadata"]["uid"] != first["metadata"]["uid"]


def test_paused_is_the_default(agents, manager):
    manager()
    armed = agent("careful")
    del armed["spec"]["paused"]
    agents.apply(armed)
    agents.wait_phase("careful", "Paused")
    assert agents.pods() == []


@pytest.mark.parametrize("change", [
    {"model": {"name": "claude-opus-5-5"}},
    {"env": [{"name": "COLOUR", "value": "green"}]},
    {"resources": {"limits": {"memory": "1Gi"}}},
    {"image": "registry.example/own:2"},
    {"goal": {"inline": "say goodbye"}},
    {"workspace": {"setupCommand": "make deps"}},
], ids=lambda c: next(iter(c)))
def test_a_change_of_the_spec_replaces_the_pod(agents, manager, change):
    manager()
    agents.apply(agent("changing"))
    before = agents.wait_pod("changing")
    agents.runs("changing")
    agents.wait_phase("changing", "Running")
    agents.patch("changing", **change)
    after = agents.wait_pod("changing", other_than=before["metadata"]["uid"])
    assert len(agents.pods()) == 1
    assert after["metadata"]["annotations"]["agentkube.io/pod-hash"] != before["metadata"]["annotations"]["agentkube.io/pod-hash"]
    agents.wait_phase("changing", "Starting", "Pending")


def test_a_change_that_the_pod_does_not_depend_on_leaves_it_alone(agents, manager, control_plane):
    process = manager()
    agents.apply(agent("steady"))
    before = agents.wait_pod("steady")
    agents.runs("steady")
    agents.wait_phase("steady", "Running")
    agents.patch("steady", run={"timeoutSeconds": 60})
    agents.wait_phase("steady", "Running")
    control_plane.must("-n", agents.namespace, "label", "agent", "steady", "team=blue")
    control_plane.must("-n", agents.namespace, "annotate", "agent", "steady", "example.com/note=hello")
    wait_for(lambda: process.metric("workqueue_depth") == 0, "the queue to be empty")
    assert agents.pod("steady")["metadata"]["uid"] == before["metadata"]["uid"]


def test_a_deleted_pod_comes_back_and_a_deleted_agent_takes_its_pod_along(agents, manager):
    manager()
    agents.apply(agent("phoenix"))
    first = agents.wait_pod("phoenix")
    agents.delete_pod("phoenix")
    agents.wait_pod("phoenix", other_than=first["metadata"]["uid"])
    agents.delete("phoenix")
    agents.wait_no_pod("phoenix")
    assert agents.get("phoenix") is None


def test_an_evicted_pod_is_replaced_after_a_pause_that_grows(agents, manager):
    manager()
    agents.apply(agent("evicted"))
    seen = set()
    for failures in (1, 2):
        pod = agents.wait_pod("evicted", other_than=next(iter(seen), None) if len(seen) == 1 else None)
        seen.add(pod["metadata"]["uid"])
        agents.fails("evicted")
        found = wait_for(lambda: (lambda a: a if a["status"].get("backoff", {}).get("failures") == failures else None)(agents.get("evicted")),
                         f"{failures} failures to be counted", timeout=60)
        assert found["status"]["lastTermination"]["reason"] == "Evicted"
        assert "low on resource" in str(found["status"])
        wait_for(lambda: (lambda p: p and p["metadata"]["uid"] not in seen)(agents.pod("evicted")), "a new pod", timeout=90)
    assert [e for e in agents.events("evicted") if "Evicted" in e["reason"] + e["message"]]


def test_what_is_over_leaves_the_status(agents, manager):
    """Parts of a status that come and go as a whole: a schedule, the count of failures."""
    process = manager()
    agents.apply(agent("passing", schedule={"cron": "0 4 * * *"}))
    first = agents.wait_pod("passing")
    wait_for(lambda: agents.get("passing")["status"]["resolved"]["schedule"], "the schedule to be shown")
    agents.fails("passing")
    wait_for(lambda: agents.get("passing")["status"]["backoff"]["failures"] == 1, "the failure to be counted")
    agents.wait_pod("passing", other_than=first["metadata"]["uid"], timeout=90)
    agents.patch("passing", schedule=None)

    def gone():
        status = agents.get("passing")["status"]
        return "backoff" not in status and "schedule" not in status["resolved"] and "nextRunTime" not in status
    wait_for(gone, "both to be gone")
    assert agents.get("passing")["status"]["lastTermination"]["reason"] == "Evicted"
    assert process.metric("controller_runtime_reconcile_errors_total", controller="agent") == 0


def test_a_missing_config_map_is_named_and_its_change_replaces_the_pod(agents, manager, control_plane):
    manager()
    agents.apply(agent("goal", goal={"configMapKeyRef": {"name": "goals", "key": "text"}}))
    told = agents.wait_condition("goal", "Resolved", "False")
    assert "goals" in told["message"] and "ConfigMap" in told["message"]
    assert agents.pods() == []
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "goals"}, "data": {"other": "x"}}
    control_plane.apply(config, namespace=agents.namespace)
    wait_for(lambda: "text" in condition(agents.get("goal"), "Resolved").get("message", ""), "the missing key to be named")
    config["data"] = {"text": "first"}
    control_plane.apply(config, namespace=agents.namespace)
    agents.wait_condition("goal", "Resolved", "True")
    before = agents.wait_pod("goal")
    config["data"] = {"text": "second"}
    control_plane.apply(config, namespace=agents.namespace)
    after = agents.wait_pod("goal", other_than=before["metadata"]["uid"])
    assert len(agents.pods()) == 1
    # once it runs, a reference that goes away does not take it along
    agents.runs("goal")
    agents.wait_phase("goal", "Running")
    control_plane.must("-n", agents.namespace, "delete", "configmap", "goals")
    agents.wait_condition("goal", "Resolved", "False")
    assert agents.pod("goal")["metadata"]["uid"] == after["metadata"]["uid"]


def test_a_missing_secret_is_named_and_a_rotated_one_replaces_the_pod(agents, manager, control_plane):
    process = manager()
    agents.apply(agent("keyed", agentToken={"secretRef": {"name": "keys", "key": "anthropic"}}))
    told = agents.wait_condition("keyed", "Resolved", "False")
    assert "keys" in told["message"] and "Secret" in told["message"]

    def secret(**data):
        control_plane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": data},
                            namespace=agents.namespace)
    secret(wrong=CANARY)
    wait_for(lambda: "anthropic" in condition(agents.get("keyed"), "Resolved").get("message", ""), "the missing key to be named", timeout=150)
    secret(anthropic=CANARY)
    before = agents.wait_pod("keyed", timeout=150)
    found = agents.wait_condition("keyed", "Resolved", "True")
    assert found and agents.get("keyed")["status"]["resolved"]["tokenSecret"] == "keys"
    assert agents.get("keyed")["status"]["resolved"]["tokenVariable"] == "ANTHROPIC_API_KEY"
    secret(anthropic=CANARY + "-rotated")
    agents.wait_pod("keyed", other_than=before["metadata"]["uid"], timeout=200)
    # the value is nowhere: not in the pod, the status, an event, the log or a metric
    everything = [agents.pods(), agents.get("keyed"), agents.events("keyed"), process.log(), process.metrics()]
    assert CANARY not in str(everything)


def test_a_pod_that_belongs_to_somebody_else_is_left_alone_and_reported(agents, manager, control_plane):
    process = manager()
    foreign = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "taken", "labels": {"app": "mine"}},
               "spec": {"containers": [{"name": "c", "image": "registry.example/c"}]}}
    control_plane.apply(foreign, namespace=agents.namespace)
    uid = agents.pod("taken")["metadata"]["uid"]
    agents.apply(agent("taken"))
    told = agents.wait_condition("taken", "Ready", "False", "PodNameTaken")
    assert "taken" in told["message"]
    wait_for(lambda: process.metric("workqueue_depth") == 0, "the queue to be empty")
    pod = agents.pod("taken")
    assert pod["metadata"]["uid"] == uid and pod["metadata"]["labels"] == {"app": "mine"}
    assert not pod["metadata"].get("ownerReferences")
    agents.delete_pod("taken")
    wait_for(lambda: controller(agents.pod("taken") or {"metadata": {}}), "the Agent's own pod", timeout=150)


def test_labels_and_annotations_of_others_stay(agents, manager, control_plane):
    manager()
    agents.apply(agent("shared"))
    agents.wait_pod("shared")
    control_plane.must("-n", agents.namespace, "label", "pod", "shared", "mesh.example/injected=yes")
    control_plane.must("-n", agents.namespace, "annotate", "pod", "shared", "mesh.example/rev=7")
    agents.runs("shared")
    agents.wait_phase("shared", "Running")
    agents.patch("shared", run={"timeoutSeconds": 50})
    agents.wait_phase("shared", "Running")
    meta = agents.pod("shared")["metadata"]
    assert meta["labels"]["mesh.example/injected"] == "yes" and meta["annotations"]["mesh.example/rev"] == "7"


def test_an_agent_made_again_under_the_same_name_does_not_keep_the_old_ones_pod(agents, manager, control_plane):
    manager()
    agents.apply(agent("again"))
    old = agents.wait_pod("again")
    # the old pod hangs in its deletion, as one whose node does not answer
    control_plane.api("PATCH", f"/api/v1/namespaces/{agents.namespace}/pods/again",
                      {"metadata": {"finalizers": ["example.com/hold"]}}, "merge")
    agents.delete("again")
    wait_for(lambda: agents.get("again") is None, "the Agent to be gone")
    agents.apply(agent("again"))
    agents.wait_condition("again", "Ready", "False")
    assert [p["metadata"]["uid"] for p in agents.pods()] == [old["metadata"]["uid"]]
    control_plane.api("PATCH", f"/api/v1/namespaces/{agents.namespace}/pods/again", {"metadata": {"finalizers": None}}, "merge")
    new = agents.wait_pod("again", other_than=old["metadata"]["uid"])
    assert controller(new)[0]["uid"] == agents.get("again")["metadata"]["uid"]


WORDS = [
    ("ImagePullBackOff", lambda a: a.waits("sick", "ImagePullBackOff", 'Back-off pulling image "registry.example/nothing:1"'),
     "registry.example/nothing:1"),
    ("CrashLoopBackOff", lambda a: a.waits("sick", "CrashLoopBackOff", "back-off 10s restarting failed container", 3,
                                           {"terminated": {"reason": "Error", "exitCode": 7, "message": "setup failed: no rule"}}),
     "no rule"),
    ("OOMKilled", lambda a: a.waits("sick", "CrashLoopBackOff", "back-off 10s restarting failed container", 2,
                                    {"terminated": {"reason": "OOMKilled", "exitCode": 137}}), "memory"),
    ("ImagePullBackOff", lambda a: a.waits("sick", "ImagePullBackOff", "no such image", container="keeper"), "agentkube-manager"),
    # the real scheduler says so: there is no node
    ("Unschedulable", lambda a: None, "no nodes available"),
]


@pytest.mark.parametrize("reason, say, words", WORDS, ids=[f"{i}-{w[0]}" for i, w in enumerate(WORDS)])
def test_what_hinders_a_pod_is_said_in_words(agents, manager, reason, say, words):
    manager()
    agents.apply(agent("sick"))
    agents.wait_pod("sick")
    say(agents)
    told = agents.wait_condition("sick", "Ready", "False", reason)
    assert words in told["message"], told
    wait_for(lambda: [e for e in agents.events("sick") if e["type"] == "Warning" and e["reason"] == reason], f"a Warning event {reason}")
    agents.runs("sick")
    agents.wait_phase("sick", "Running")
    assert condition(agents.get("sick"), "Ready")["status"] == "True"


def test_ready_is_for_the_newest_generation(agents, manager):
    manager()
    agents.apply(agent("honest"))
    agents.wait_pod("honest")
    agents.runs("honest")
    agents.wait_phase("honest", "Running")
    agents.patch("honest", image="registry.example/next:1")
    # as long as the new pod is not ready, the Agent is not
    agents.wait_phase("honest", "Starting", "Pending")
    assert condition(agents.get("honest"), "Ready")["status"] != "True"


def test_a_bad_object_gets_a_condition_that_says_what_to_change_and_is_not_tried_again(agents, manager):
    process = manager()
    agents.apply(agent("bad", schedule={"cron": "61 * * * *"}))
    told = agents.wait_condition("bad", "Resolved", "False")
    assert "spec.schedule.cron" in told["message"] and "61" in told["message"]
    version = agents.get("bad")["metadata"]["resourceVersion"]
    runs = process.metric("controller_runtime_reconcile_total", controller="agent")
    agents.apply(agent("good"))
    agents.wait_pod("good")
    agents.runs("good")
    agents.wait_phase("good", "Running")
    assert agents.get("bad")["metadata"]["resourceVersion"] == version
    assert process.metric("workqueue_retries_total") == 0
    assert process.metric("controller_runtime_reconcile_total", controller="agent") - runs < 20
    agents.patch("bad", schedule={"cron": "1 * * * *"})
    agents.wait_pod("bad")


def test_custom_needs_an_image_and_reserved_variables_are_refused(agents, manager):
    manager()
    agents.apply(agent("own", runtime="Custom"))
    assert "spec.image" in agents.wait_condition("own", "Resolved", "False")["message"]
    agents.apply(agent("greedy", env=[{"name": "ANTHROPIC_API_KEY", "value": "x"}]))
    assert "ANTHROPIC_API_KEY" in agents.wait_condition("greedy", "Resolved", "False")["message"]
    assert agents.pods() == []


def test_a_persistent_workspace_is_a_claim_that_goes_or_stays_as_asked(agents, manager, control_plane):
    manager()
    claims = f"/api/v1/namespaces/{agents.namespace}/persistentvolumeclaims"
    for name, policy in (("gone", "Delete"), ("kept", "Retain")):
        agents.apply(agent(name, workspace={"persistent": True, "size": "1Gi", "reclaimPolicy": policy}))
        pod = agents.wait_pod(name)
        assert [v for v in pod["spec"]["volumes"] if v.get("persistentVolumeClaim", {}).get("claimName") == f"{name}-workspace"]
        assert agents.wait_phase(name, "Starting", "Pending")["status"]["resolved"]["workspace"] == f"{name}-workspace"
        agents.delete(name)
        agents.wait_no_pod(name)

    def released(name):  # nobody takes the claim-protection finalizer off while a pod is there
        claim = control_plane.get(f"{claims}/{name}-workspace")
        return claim is None or claim["metadata"].get("deletionTimestamp")
    wait_for(lambda: released("gone"), "the claim to be deleted with its Agent")
    assert not released("kept")


def test_a_group_shares_one_memory_claim_that_goes_with_its_last_agent(agents, manager, control_plane):
    manager()
    members = []
    for name in ("left", "right"):
        member = agent(name)
        member["metadata"]["labels"] = {"agentkube.io/agentgroup": "twins"}
        members.append(member)
    agents.apply(*members)
    claimed = set()
    for name in ("left", "right"):
        agents.wait_pod(name)
        claimed.add(agents.wait_phase(name, "Starting", "Pending")["status"]["resolved"]["memory"])
    assert len(claimed) == 1
    path = f"/api/v1/namespaces/{agents.namespace}/persistentvolumeclaims/{claimed.pop()}"
    wait_for(lambda: len(control_plane.get(path)["metadata"]["ownerReferences"]) == 2, "both to own the claim")
    agents.delete("left")
    wait_for(lambda: len(control_plane.get(path)["metadata"]["ownerReferences"]) == 1, "one owner to be left")
    assert not control_plane.get(path)["metadata"].get("deletionTimestamp")
    agents.delete("right")
    wait_for(lambda: (lambda c: c is None or c["metadata"].get("deletionTimestamp"))(control_plane.get(path)), "the claim to go")


def test_the_mirror_registry_replaces_every_default_image(agents, manager):
    manager(env={"AGENTKUBE_IMAGE_REGISTRY": "mirror.example:5000/kube"})
    agents.apply(agent("mirrored"), agent("pinned", image="registry.example/own:1"))
    spec = agents.wait_pod("mirrored")["spec"]
    for container in spec["initContainers"] + spec["containers"]:
        assert container["image"].startswith("mirror.example:5000/kube/"), container
    assert agents.wait_pod("pinned")["spec"]["containers"][0]["image"] == "registry.example/own:1"


def test_our_own_new_image_replaces_the_pods(agents, manager):
    first = manager(env={"AGENTKUBE_MANAGER_IMAGE": "registry.example/manager:1"})
    agents.apply(agent("carried"))
    before = agents.wait_pod("carried")
    assert first.stop() == 0
    manager(env={"AGENTKUBE_MANAGER_IMAGE": "registry.example/manager:2"})
    after = agents.wait_pod("carried", other_than=before["metadata"]["uid"])
    assert "registry.example/manager:2" in str(after["spec"]["initContainers"])


def test_kinds_that_this_version_does_not_run_say_so_once(agents, manager, control_plane):
    process = manager()
    control_plane.apply(
        {"apiVersion": "agentkube.io/v1alpha1", "kind": "MCP", "metadata": {"name": "m"},
         "spec": {"upstreams": [{"name": "a", "kind": "http", "endpoint": "http://a.example/mcp"}]}},
        namespace=agents.namespace)
    path = f"/apis/agentkube.io/v1alpha1/namespaces/{agents.namespace}/mcps/m"
    told = wait_for(lambda: condition(control_plane.get(path), "Ready"), "the condition")
    assert told["status"] == "False" and "version" in told["message"]
    version = control_plane.get(path)["metadata"]["resourceVersion"]
    wait_for(lambda: process.metric("workqueue_depth") == 0, "the queue to be empty")
    assert control_plane.get(path)["metadata"]["resourceVersion"] == version


def test_what_we_write_is_ours_by_server_side_apply(agents, manager):
    manager()
    agents.apply(agent("written"))
    agents.wait_pod("written")
    found = agents.wait_phase("written", "Starting", "Pending")
    ours = [m for m in found["metadata"]["managedFields"] if m["manager"] == MANAGER]
    assert ours and all(m["operation"] == "Apply" and set(m["fieldsV1"]) == {"f:status"} for m in ours)
