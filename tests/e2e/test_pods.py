# SPDX-License-Identifier: Apache-2.0
"""Agents as real pods on a real node, installed by the chart."""
import json

import pytest
from kubetest import wait_for
from kubetest.agents import agent, condition

CANARY = "sk-canary-90d2b7aa41"


def running(agents, name, timeout=180):
    return agents.wait_phase(name, "Running", timeout=timeout)


def inside(agents, name, *command, container="agent"):
    return agents.kube.must("-n", agents.namespace, "exec", name, "-c", container, "--", *command)


def manager_log(agents):
    return agents.kube.must("-n", "agentkube-system", "logs", "deploy/agentkube-manager", "--all-containers")


@pytest.mark.parametrize("runtime, command", [("ClaudeCode", "claude"), ("OpenCode", "opencode")])
def test_an_agent_runs_its_cli_under_the_agentlet(agents, runtime, command):
    agents.apply(agent("real", runtime=runtime))
    found = running(agents, "real")
    assert found["status"]["ready"] == "1/1" and found["status"]["nodeName"]
    assert inside(agents, "real", "cat", "/proc/1/comm").strip() == "agentlet"
    assert inside(agents, "real", "readlink", "/proc/1/exe").strip() == "/agentkube/bin/agentlet"
    assert any(c.isdigit() for c in inside(agents, "real", command, "--version"))
    assert inside(agents, "real", "id", "-u").strip() == "65532"
    assert inside(agents, "real", "pwd").strip() == "/workspace"
    inside(agents, "real", "sh", "-c", "touch /workspace/a $HOME/b /tmp/c")
    shown = agents.kube.must("-n", agents.namespace, "get", "agents", "real").splitlines()
    assert shown[0].split() == ["NAME", "READY", "STATUS", "AGE"] and shown[1].split()[:3] == ["real", "1/1", "Running"]


def test_the_goal_is_there_and_no_service_account_token_is(agents):
    agents.apply(agent("goal", goal={"inline": "Say \"hello\" $HOME $(date)\nand leave."}))
    running(agents, "goal")
    assert inside(agents, "goal", "cat", "/agentkube/goal/goal") == "Say \"hello\" $HOME $(date)\nand leave."
    assert agents.kube.kubectl("-n", agents.namespace, "exec", "goal", "-c", "agent", "--", "ls",
                               "/var/run/secrets/kubernetes.io").returncode != 0


def test_no_secret_value_is_anywhere_that_the_agent_or_a_reader_sees(agents):
    agents.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"anthropic": CANARY}},
                      namespace=agents.namespace)
    agents.apply(agent("blind", agentToken={"secretRef": {"name": "keys", "key": "anthropic"}}))
    running(agents, "blind")
    seen = [inside(agents, "blind", "sh", "-c", "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'"),
            inside(agents, "blind", "sh", "-c", "grep -rl sk-canary /agentkube /workspace /home /tmp /var/run 2>/dev/null || true"),
            json.dumps(agents.pods()), json.dumps(agents.get("blind")), json.dumps(agents.events("blind")), manager_log(agents),
            agents.kube.must("-n", agents.namespace, "logs", "blind", "--all-containers")]
    assert not [text for text in seen if CANARY in text]
    assert "ANTHROPIC_API_KEY=" in seen[0]  # the variable is there, and what is in it works nowhere


def test_a_workspace_is_cloned_and_set_up(agents, git_server):
    agents.apply(agent("cloned", workspace={"repo": {"url": git_server.url("public/repo.git", git_server.host)},
                                            "setupCommand": "echo \"built $(cat hello.txt)\" > built.txt; (sleep 0.1 &)"}))
    running(agents, "cloned")
    assert inside(agents, "cloned", "cat", "/workspace/built.txt") == "built from git\n"
    assert "first" in inside(agents, "cloned", "git", "-C", "/workspace", "log", "--oneline")
    # what the setup command left behind was reaped
    assert " Z" not in inside(agents, "cloned", "sh", "-c", "cat /proc/[0-9]*/stat")


def test_a_private_repository_needs_its_secret_and_the_agent_does_not_see_it(agents, git_server):
    repo = {"url": git_server.url("private/repo.git", git_server.host), "secretRef": {"name": "git"}}
    agents.apply(agent("private", workspace={"repo": repo}))
    assert "git" in agents.wait_condition("private", "Resolved", "False")["message"]
    agents.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "git"},
                       "stringData": {"username": git_server.user, "password": git_server.password}}, namespace=agents.namespace)
    running(agents, "private", timeout=300)
    assert inside(agents, "private", "cat", "/workspace/hello.txt") == "from git\n"
    assert git_server.password not in inside(agents, "private", "sh", "-c", "cat /workspace/.git/config /proc/*/environ")
    assert agents.kube.kubectl("-n", agents.namespace, "exec", "private", "-c", "agent", "--", "ls", "/agentkube/git").returncode != 0


def test_a_repository_that_cannot_be_cloned_is_explained(agents, git_server):
    agents.apply(agent("lost", workspace={"repo": {"url": git_server.url("public/missing.git", git_server.host)}}))
    told = agents.wait_condition("lost", "Ready", "False", "WorkspaceFailed", timeout=180)
    assert "missing.git" in told["message"] or "not found" in told["message"], told


def test_a_setup_command_that_fails_is_explained_with_its_last_words(agents):
    agents.apply(agent("failing", workspace={"setupCommand": "echo cannot find the moon >&2; exit 3"}))
    told = agents.wait_condition("failing", "Ready", "False", "SetupFailed", timeout=180)
    assert "cannot find the moon" in told["message"] and "3" in told["message"]
    agents.patch("failing", workspace={"setupCommand": "true"})
    running(agents, "failing")


def test_an_image_that_cannot_be_pulled_is_explained(agents):
    agents.apply(agent("imageless", image="localhost:1/nothing:1"))
    told = agents.wait_condition("imageless", "Ready", "False", timeout=180)
    wait_for(lambda: condition(agents.get("imageless"), "Ready")["reason"] in ("ImagePullBackOff", "ErrImagePull"), "the image's trouble")
    assert "localhost:1/nothing:1" in condition(agents.get("imageless"), "Ready")["message"], told


def test_an_agent_that_fits_nowhere_is_explained(agents):
    agents.apply(agent("homeless", nodeSelector={"example.com/moon": "yes"}))
    told = agents.wait_condition("homeless", "Ready", "False", "Unschedulable")
    assert "node" in told["message"]


def test_a_container_killed_for_its_memory_is_explained(agents):
    agents.apply(agent("greedy", resources={"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}},
                       workspace={"setupCommand": "x=$(head -c 200M /dev/zero | tr '\\0' a)"}))
    wait_for(lambda: agents.get("greedy")["status"].get("lastTermination", {}).get("reason") == "OOMKilled"
             or "memory" in condition(agents.get("greedy"), "Ready").get("message", ""), "OOMKilled to be reported", timeout=180)


def test_pods_come_back_and_stay_one(agents):
    agents.apply(agent("back"))
    running(agents, "back")
    first = agents.pod("back")["metadata"]["uid"]
    agents.delete_pod("back")
    agents.wait_pod("back", other_than=first, timeout=120)
    running(agents, "back")
    # the eviction API, as kubectl drain uses it
    status, answer = agents.kube.api("POST", f"/api/v1/namespaces/{agents.namespace}/pods/back/eviction",
                                     {"apiVersion": "policy/v1beta1", "kind": "Eviction", "metadata": {"name": "back"}})
    assert status in (200, 201), answer
    second = agents.pod("back")["metadata"]["uid"]
    agents.wait_pod("back", other_than=second, timeout=120)
    running(agents, "back")
    assert len(agents.pods()) == 1


def test_a_persistent_workspace_outlives_its_pod(agents):
    agents.apply(agent("keeper", workspace={"persistent": True, "size": "64Mi"}))
    running(agents, "keeper")
    inside(agents, "keeper", "sh", "-c", "echo precious > /workspace/work.txt")
    first = agents.pod("keeper")["metadata"]["uid"]
    agents.delete_pod("keeper")
    agents.wait_pod("keeper", other_than=first, timeout=120)
    running(agents, "keeper")
    assert inside(agents, "keeper", "cat", "/workspace/work.txt") == "precious\n"


def test_a_group_shares_its_memory(agents):
    for name in ("left", "right"):
        member = agent(name)
        member["metadata"]["labels"] = {"agentkube.io/agentgroup": "twins"}
        agents.apply(member)
    running(agents, "left")
    running(agents, "right")
    inside(agents, "left", "sh", "-c", "echo remember > /memory/note")
    assert inside(agents, "right", "cat", "/memory/note") == "remember\n"


def test_a_changed_config_map_reaches_the_pod(agents):
    def goals(text):
        agents.kube.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "goals"}, "data": {"g": text}},
                          namespace=agents.namespace)
    goals("first goal")
    agents.apply(agent("reader", goal={"configMapKeyRef": {"name": "goals", "key": "g"}}))
    running(agents, "reader")
    assert inside(agents, "reader", "cat", "/agentkube/goal/goal") == "first goal"
    before = agents.pod("reader")["metadata"]["uid"]
    goals("second goal")
    agents.wait_pod("reader", other_than=before, timeout=120)
    running(agents, "reader")
    assert inside(agents, "reader", "cat", "/agentkube/goal/goal") == "second goal"


def test_stopping_is_orderly_and_quick(agents):
    agents.apply(agent("leaver", workspace={"setupCommand": "(trap 'echo bye > /workspace/bye' TERM; sleep 1000 & wait) & true"}))
    running(agents, "leaver")
    agents.delete("leaver")
    agents.wait_no_pod("leaver", timeout=60)


def test_a_killed_manager_takes_no_pod_along_and_comes_back(agents):
    agents.apply(agent("calm"))
    running(agents, "calm")
    uid = agents.pod("calm")["metadata"]["uid"]
    agents.kube.must("-n", "agentkube-system", "delete", "pod", "-l", "app.kubernetes.io/name=agentkube-manager", "--grace-period=0", "--force")
    agents.kube.must("-n", "agentkube-system", "rollout", "status", "deployment/agentkube-manager", "--timeout=120s")
    agents.apply(agent("next"))
    running(agents, "next")
    pod = agents.pod("calm")
    assert pod["metadata"]["uid"] == uid and pod["status"]["containerStatuses"][0]["restartCount"] == 0


def test_the_manager_is_small_and_restricted(installed):
    pods = [p for p in installed.items("/api/v1/namespaces/agentkube-system/pods") if p["status"]["phase"] == "Running"]
    spec = pods[0]["spec"]["containers"][0]
    assert spec["securityContext"]["readOnlyRootFilesystem"] and spec["securityContext"]["capabilities"]["drop"] == ["ALL"]
    ports = {p["name"]: p["port"] for p in installed.get("/api/v1/namespaces/agentkube-system/services/agentkube-manager")["spec"]["ports"]}
    assert ports == {"webhook": 443, "metrics": 8080, "probes": 8081, "invoke": 8082}
    status, text = installed.api("GET", "/api/v1/namespaces/agentkube-system/services/http:agentkube-manager:metrics/proxy/metrics")
    assert status == 200 and "leader_election_master_status" in text


def test_two_replicas_have_one_leader(agents):
    agents.kube.must("-n", "agentkube-system", "scale", "deployment/agentkube-manager", "--replicas=2")
    try:
        agents.kube.must("-n", "agentkube-system", "rollout", "status", "deployment/agentkube-manager", "--timeout=120s")
        agents.apply(agent("led"))
        running(agents, "led")
        lease = agents.kube.get("/apis/coordination.k8s.io/v1/namespaces/agentkube-system/leases/agentkube-manager")
        holder = lease["spec"]["holderIdentity"].split("_")[0]
        agents.kube.must("-n", "agentkube-system", "delete", "pod", holder)
        agents.apply(agent("led-on"))
        running(agents, "led-on")
        again = agents.kube.get("/apis/coordination.k8s.io/v1/namespaces/agentkube-system/leases/agentkube-manager")
        assert again["spec"]["holderIdentity"].split("_")[0] != holder
    finally:
        agents.kube.must("-n", "agentkube-system", "scale", "deployment/agentkube-manager", "--replicas=1")
