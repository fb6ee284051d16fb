# SPDX-License-Identifier: Apache-2.0
"""Tools on a real control plane: checked, provisioned, given rights, cleaned up. There is no kubelet here: the tests say what one
would say, and what our program would print. Real systems and real bastions are in the suites engines and e2e."""
import pytest
from kubetest import wait_for
from kubetest.agents import Agents, agent, condition
from kubetest.tool_pods import ToolPods

CANARY = "canary-7f2a9b-password"
CONFIG = {"hostname": "10.1.2.3", "port": 5432, "username": "app", "databaseName": "shop", "credentialsRef": {"name": "db", "key": "password"}}
PERMISSIONS = {"adminCredentialsRef": {"name": "admin", "key": "password"}, "grants": [{"privileges": ["SELECT"], "schema": "public"}]}
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture
def tools(control_plane, namespace):
    some = ToolPods(control_plane, namespace)
    some.secret("db", password=CANARY)
    some.secret("admin", password=CANARY, username="postgres")
    return some


def volumes(pod):
    return {v["name"]: v for v in pod["spec"]["volumes"]}


def mounts(container):
    return {m["name"] for m in container["volumeMounts"]}


def writes(manager):
    return sum(manager.metric("rest_client_requests_total", method=m) for m in ("POST", "PUT", "PATCH", "DELETE"))


def test_a_tool_that_is_checked_says_which_of_the_three_failed_in_the_servers_words(tools, manager):
    manager()
    tools.apply("db", "postgres", config=CONFIG, probe=True)
    tools.wait_condition("db", "Ready", "False", "Probing")
    pod = tools.probed("db", {"authenticated": False, "authorised": False, "message": 'password authentication failed for user "app"'}, code=1)
    spec = pod["spec"]
    assert [c["command"][1] for c in spec["containers"]] == ["probe"] and spec["activeDeadlineSeconds"] <= 60 and spec["restartPolicy"] == "Never"
    assert volumes(pod)["credential"]["projected"]["sources"] == [{"secret": {"name": "db", "items": [{"key": "password", "path": "credential"}]}}]
    said = tools.wait_condition("db", "Ready", "False", "ProbeFailed")
    assert said["message"] == 'reachable, but not authenticated: password authentication failed for user "app"'
    again = tools.probed("db", {"reachable": False, "authenticated": False, "authorised": False, "message": "connection refused"}, code=1)
    assert again["metadata"]["uid"] != pod["metadata"]["uid"]
    wait_for(lambda: "not reachable: connection refused" in condition(tools.get("db"), "Ready")["message"], "the second failure")
    assert tools.status("db")["lastProbe"]["failures"] == 2 and tools.status("db")["phase"] == "Failed"
    tools.probed("db")
    said = tools.wait_condition("db", "Ready", "True", "Reachable")
    assert "PostgreSQL 15.5" in said["message"]
    last = tools.status("db")["lastProbe"]
    assert last["succeeded"] and not last.get("failures") and tools.status("db")["phase"] == "Ready"
    tools.wait_no_pod("db-probe")
    assert {e["reason"] for e in tools.events("db")} >= {"ProbeFailed", "Reachable"}


def test_a_probe_that_says_nothing_is_a_failure_with_a_reason(tools, manager):
    manager()
    tools.apply("db", "postgres", config=CONFIG, probe=True)
    pod = tools.wait_role("db", "probe")
    tools.say(pod["metadata"]["name"], phase="Failed", reason="DeadlineExceeded", message="Pod was active on the node longer than the specified deadline")
    assert "DeadlineExceeded" in tools.wait_condition("db", "Ready", "False", "ProbeFailed")["message"]


def test_somebody_asks_for_a_check_of_a_tool_that_has_none(tools, manager):
    manager()
    tools.apply("db", "postgres", config=CONFIG)
    tools.wait_condition("db", "Ready", "True", "NotProbed")
    assert tools.pods("db") == []
    tools.annotate("db", probe_requested="2026-01-01T00:00:00.123Z")
    tools.probed("db")
    wait_for(lambda: tools.status("db")["lastProbe"]["succeeded"], "the result")
    tools.wait_no_pod("db-probe")
    assert condition(tools.get("db"), "Ready")["reason"] == "NotProbed"


def test_a_tool_owns_an_account_without_rights_and_a_policy_to_its_target(tools, manager, control_plane):
    manager()
    tools.apply("db", "postgres", config=CONFIG)
    tools.apply("far", "postgres", config={**CONFIG, "hostname": "db.example"})
    tools.wait_condition("far", "Ready", "True")
    tools.wait_condition("db", "Ready", "True")
    account = control_plane.get(f"/api/v1/namespaces/{tools.namespace}/serviceaccounts/db-bastion")
    assert account["automountServiceAccountToken"] is False
    owner, = account["metadata"]["ownerReferences"]
    assert owner["uid"] == tools.get("db")["metadata"]["uid"] and owner["controller"] is True
    path = f"/apis/networking.k8s.io/v1/namespaces/{tools.namespace}/networkpolicies"
    spec = control_plane.get(f"{path}/db-bastion")["spec"]
    assert spec["podSelector"]["matchLabels"] == {"agentkube.io/tool": "db"} and set(spec["policyTypes"]) == {"Ingress", "Egress"}
    assert spec["ingress"][0]["ports"] == [{"port": 8084, "protocol": "TCP"}]
    assert {"to": [{"ipBlock": {"cidr": "10.1.2.3/32"}}], "ports": [{"port": 5432, "protocol": "TCP"}]} in spec["egress"]
    far = control_plane.get(f"{path}/far-bastion")["spec"]["egress"]
    assert {"ports": [{"port": 5432, "protocol": "TCP"}]} in far and len(far) == 2
    # drift comes back, what somebody else added stays
    control_plane.api("PATCH", f"{path}/db-bastion", {"metadata": {"labels": {"theirs": "stays"}}, "spec": {"egress": []}}, "merge")
    wait_for(lambda: len(control_plane.get(f"{path}/db-bastion")["spec"].get("egress", [])) == 2, "the policy to be corrected")
    assert control_plane.get(f"{path}/db-bastion")["metadata"]["labels"]["theirs"] == "stays"
    control_plane.api("DELETE", f"{path}/db-bastion")
    wait_for(lambda: control_plane.get(f"{path}/db-bastion"), "the policy to come back")


def test_nothing_is_written_when_nothing_changes_also_after_a_restart(tools, manager):
    first = manager()
    tools.apply("db", "postgres", config=CONFIG, probe=True)
    tools.apply("k8s", "kubernetes", config={"inCluster": True})
    tools.probed("db")
    tools.wait_condition("db", "Ready", "True")
    tools.wait_condition("k8s", "Ready", "True")
    tools.wait_no_pod("db-probe")
    first.stop()
    versions = [tools.get(name)["metadata"]["resourceVersion"] for name in ("db", "k8s")]
    second = manager().wait_leading()
    wait_for(lambda: second.metric("controller_runtime_reconcile_total", controller="tool") >= 2, "both to be looked at")
    assert [tools.get(name)["metadata"]["resourceVersion"] for name in ("db", "k8s")] == versions
    assert second.metric("rest_client_requests_total", method="PATCH") == 0 and second.metric("rest_client_requests_total", method="DELETE") == 0


def test_what_is_missing_is_named_and_found_when_it_comes(tools, manager):
    manager()
    tools.apply("late", "postgres", config={**CONFIG, "credentialsRef": {"name": "later", "key": "password"}})
    said = tools.wait_condition("late", "Ready", "False", "SecretMissing")
    assert "spec.config.credentialsRef" in said["message"] and '"later"' in said["message"] and tools.status("late")["phase"] == "Pending"
    tools.secret("later", password=CANARY)
    tools.wait_condition("late", "Ready", "True")


# ---- users in the system


def test_permissions_become_users_by_a_job_and_only_then_the_tool_is_ready(tools, manager, control_plane):
    process = manager()
    tools.apply("db", "postgres", config=CONFIG, permissions=PERMISSIONS, probe=True)
    tools.wait_condition("db", "Ready", "False", "Provisioning")
    pod = None

    def job():
        found = control_plane.items(f"/apis/batch/v1/namespaces/{tools.namespace}/jobs")
        assert len(found) == 1, found
        return found[0]
    made = wait_for(job, "the Job")
    assert made["metadata"]["name"].startswith("db-permissions-") and made["metadata"]["ownerReferences"][0]["kind"] == "Tool"
    pod = tools.provisioned("db", {"changed": ["created role agentkube_x_r", "granted SELECT"]})
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "Job"
    container, = pod["spec"]["containers"]
    assert container["command"][1] == "provision" and mounts(container) == {"admin", "identity"}
    sources = volumes(pod)["admin"]["projected"]["sources"]
    assert sources[0] == {"secret": {"name": "admin", "items": [{"key": "password", "path": "credential"}]}} and sources[1]["secret"]["optional"] is True
    assert "agentkube.io/tool" in tools.get("db")["metadata"]["finalizers"]
    tools.wait_condition("db", "PermissionsEnforced", "True", "Enforced")
    probe = tools.probed("db")
    assert set(volumes(probe)) == {"identity"} and volumes(probe)["identity"]["secret"]["secretName"] == "db-identity"
    tools.wait_condition("db", "Ready", "True", "Reachable")
    status = tools.status("db")
    assert status["lastProvisioned"]["succeeded"] and len(status["lastProvisioned"]["changed"]) == 2 and status["permissionsHash"]
    secret = control_plane.get(f"/api/v1/namespaces/{tools.namespace}/secrets/db-identity")
    assert set(secret["data"]) == {"reader-username", "reader-password", "writer-username", "writer-password"}
    assert secret["metadata"]["ownerReferences"][0]["uid"] == tools.get("db")["metadata"]["uid"]
    import base64
    minted = [base64.b64decode(v).decode() for k, v in secret["data"].items() if k.endswith("password")]
    assert len(set(minted)) == 2 and all(len(m) >= 32 for m in minted)
    everything = str([tools.get("db"), tools.events("db"), tools.pods(), made, process.log(), process.metrics()])
    assert not [word for word in [CANARY, *minted] if word in everything]
    # another set of permissions: other passwords, another Job
    tools.patch("db", permissions={**PERMISSIONS, "grants": [{"privileges": ["SELECT", "INSERT"], "schema": "public"}]})
    tools.wait_condition("db", "Ready", "False", "Provisioning")
    tools.provisioned("db")
    tools.probed("db")
    tools.wait_condition("db", "Ready", "True")
    assert len(control_plane.items(f"/apis/batch/v1/namespaces/{tools.namespace}/jobs")) == 2


def test_jobs_of_one_second_are_told_apart(tools, manager):
    manager()
    tools.apply("db", "postgres", config=CONFIG, permissions=PERMISSIONS)
    tools.provisioned("db")
    tools.wait_condition("db", "Ready", "True")
    for verbs in (["INSERT"], ["UPDATE"], ["DELETE"], ["SELECT", "INSERT"], ["SELECT", "UPDATE"], ["SELECT", "DELETE"]):
        tools.patch("db", permissions={**PERMISSIONS, "grants": [{"privileges": verbs, "schema": "public"}]})
        tools.wait_condition("db", "Ready", "False", "Provisioning")
        assert tools.provisioned("db")["metadata"]["ownerReferences"][0]["kind"] == "Job"
        tools.wait_condition("db", "Ready", "True", timeout=30)


def test_a_tool_may_have_the_longest_name_that_there_is(tools, manager, control_plane):
    manager()
    name = "a" * 41 + "-" + "b" * 8
    tools.apply(name, "postgres", config=CONFIG, permissions=PERMISSIONS, probe=True)
    tools.provisioned(name)
    job, = control_plane.items(f"/apis/batch/v1/namespaces/{tools.namespace}/jobs")
    assert job["metadata"]["name"].startswith("a" * 41 + "-permissions-") and len(job["metadata"]["name"]) <= 63
    tools.probed(name)
    tools.wait_condition(name, "Ready", "True", "Reachable")
    with pytest.raises(AssertionError, match="at most 50 chars"):
        tools.apply(name + "c", "postgres", config=CONFIG)
    tools.delete(name, wait=False)
    tools.provisioned(name, role="cleanup")
    wait_for(lambda: tools.get(name) is None, "the Tool to be gone")


def test_provisioning_that_fails_is_tried_again_and_says_why(tools, manager):
    manager()
    tools.apply("db", "postgres", config=CONFIG, permissions=PERMISSIONS)
    tools.provisioned("db", {"message": 'permission denied to create role'}, code=1)
    said = tools.wait_condition("db", "Ready", "False", "ProvisioningFailed")
    assert "permission denied to create role" in said["message"]
    tools.wait_condition("db", "PermissionsEnforced", "False", "ProvisioningFailed")
    second = tools.provisioned("db")
    assert second["metadata"]["name"] == "db-permissions" and second["metadata"]["ownerReferences"][0]["kind"] == "Tool"
    tools.wait_condition("db", "Ready", "True")
    tools.wait_no_pod("db-permissions")


def test_what_the_system_cannot_enforce_refuses_the_tool(tools, manager):
    manager()
    tools.apply("db", "postgres", config=CONFIG, permissions=PERMISSIONS)
    tools.provisioned("db", {"done": False, "unenforceable": ["PUBLIC may create tables in schema public: REVOKE CREATE ON SCHEMA public FROM PUBLIC"]}, code=1)
    said = tools.wait_condition("db", "Ready", "False", "NotEnforceable")
    assert "REVOKE CREATE" in said["message"]
    tools.wait_condition("db", "PermissionsEnforced", "False", "NotEnforceable")


def test_the_admins_secret_is_missing(tools, manager):
    manager()
    tools.apply("db", "postgres", config=CONFIG, permissions={**PERMISSIONS, "adminCredentialsRef": {"name": "nobody", "key": "password"}})
    assert "spec.permissions.adminCredentialsRef" in tools.wait_condition("db", "Ready", "False", "AdminSecretMissing")["message"]


def test_a_deleted_tool_cleans_up_in_the_system_first(tools, manager, control_plane):
    manager()
    tools.apply("db", "postgres", config=CONFIG, permissions=PERMISSIONS)
    tools.provisioned("db")
    tools.wait_condition("db", "Ready", "True")
    tools.delete("db", wait=False)
    failed = tools.provisioned("db", {"message": "the database is down"}, code=1, role="cleanup")
    assert failed["spec"]["containers"][0]["command"][1] == "deprovision" and not failed["metadata"].get("ownerReferences")
    wait_for(lambda: "the database is down" in condition(tools.get("db"), "Ready")["message"], "the reason to be said")
    assert "force-delete" in condition(tools.get("db"), "Ready")["message"]
    tools.provisioned("db", role="cleanup")
    wait_for(lambda: tools.get("db") is None, "the Tool to be gone")
    wait_for(lambda: control_plane.get(f"/api/v1/namespaces/{tools.namespace}/secrets/db-identity") is None, "its Secret to be gone")
    wait_for(lambda: not tools.pods("db", "cleanup"), "the pod that cleaned up to be gone")


def test_a_tool_can_be_deleted_although_its_system_is_gone(tools, manager):
    manager()
    tools.apply("db", "postgres", config=CONFIG, permissions=PERMISSIONS)
    tools.provisioned("db")
    tools.wait_condition("db", "Ready", "True")
    tools.delete("db", wait=False)
    tools.wait_role("db", "cleanup")
    tools.annotate("db", force_delete="true")
    wait_for(lambda: tools.get("db") is None, "the Tool to be gone")
    wait_for(lambda: [e for e in tools.events("db") if e["reason"] == "PermissionsLeftBehind" and e["type"] == "Warning"], "the warning")


def test_without_permissions_the_users_are_removed_and_the_finalizer_goes(tools, manager):
    manager()
    tools.apply("db", "postgres", config=CONFIG, permissions=PERMISSIONS)
    tools.provisioned("db")
    tools.wait_condition("db", "Ready", "True")
    tools.patch("db", permissions=None)
    pod = tools.provisioned("db", role="cleanup")
    assert pod["spec"]["volumes"][0]["name"] == "admin"
    tools.wait_condition("db", "Ready", "True", "NotProbed")
    wait_for(lambda: not tools.get("db")["metadata"].get("finalizers"), "the finalizer to go")
    tools.wait_condition("db", "PermissionsEnforced", "False", "CredentialRights")
    assert "permissionsHash" not in tools.status("db") and "identity" not in tools.status("db")
    wait_for(lambda: tools.kube.get(f"/api/v1/namespaces/{tools.namespace}/secrets/db-identity") is None, "the Secret to go")


# ---- rights in this cluster


def test_a_kubernetes_tool_reads_unless_rules_say_more(tools, manager, control_plane):
    manager()
    tools.apply("k8s", "kubernetes", config={"inCluster": True})
    tools.wait_condition("k8s", "PermissionsEnforced", "True", "Enforced")
    path = f"{RBAC}/namespaces/{tools.namespace}"
    view = control_plane.get(f"{path}/rolebindings/k8s-bastion-view")
    assert view["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
    assert view["subjects"] == [{"kind": "ServiceAccount", "name": "k8s-bastion", "namespace": tools.namespace}]
    tools.patch("k8s", permissions={"rules": [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}]})
    role = wait_for(lambda: control_plane.get(f"{path}/roles/k8s-bastion"), "the Role")
    assert role["rules"] == [{"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "patch"]}]
    wait_for(lambda: control_plane.get(f"{path}/rolebindings/k8s-bastion-view") is None, "the reading role to be taken away")
    # more than was given is taken away again
    control_plane.api("PATCH", f"{path}/roles/k8s-bastion", {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}, "merge")
    wait_for(lambda: control_plane.get(f"{path}/roles/k8s-bastion")["rules"] == role["rules"], "the Role to be corrected")
    tools.patch("k8s", permissions={"readOnly": True})
    wait_for(lambda: control_plane.get(f"{path}/roles/k8s-bastion")["rules"][0]["verbs"] == ["get"], "the writing verb to go")


def test_rights_elsewhere_are_removed_with_the_tool(tools, manager, control_plane):
    manager(f"--namespace={tools.namespace}", all_namespaces=True).wait_leading()
    other = tools.namespace + "-b"
    status, _ = control_plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": other}})
    assert status == 201
    try:
        tools.apply("k8s", "kubernetes", config={"inCluster": True},
                    permissions={"rules": [{"resources": ["pods"], "verbs": ["get", "list"]}], "namespaces": [other]})
        name = f"agentkube:{tools.namespace}:k8s"
        role = wait_for(lambda: control_plane.get(f"{RBAC}/namespaces/{other}/roles/{name}"), "the Role")
        assert role["rules"] == [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]
        assert role["metadata"]["labels"]["agentkube.io/tool-uid"] == tools.get("k8s")["metadata"]["uid"]
        assert "agentkube.io/tool" in tools.get("k8s")["metadata"]["finalizers"]
        tools.patch("k8s", permissions={"namespaces": None, "clusterWide": True})
        wait_for(lambda: control_plane.get(f"{RBAC}/clusterroles/{name}") and control_plane.get(f"{RBAC}/clusterrolebindings/{name}"), "the ClusterRole")
        wait_for(lambda: control_plane.get(f"{RBAC}/namespaces/{other}/roles/{name}") is None, "the Role to go")
        tools.delete("k8s")
        wait_for(lambda: control_plane.get(f"{RBAC}/clusterrolebindings/{name}") is None and control_plane.get(f"{RBAC}/clusterroles/{name}") is None, "both to go")
    finally:
        control_plane.api("DELETE", f"/api/v1/namespaces/{other}")


def test_no_binding_leads_to_somebody_elses_role(tools, manager, control_plane):
    manager()
    path = f"{RBAC}/namespaces/{tools.namespace}"
    theirs = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    control_plane.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "k8s-bastion"}, "rules": theirs}, namespace=tools.namespace)
    tools.apply("k8s", "kubernetes", config={"inCluster": True}, permissions={"rules": [{"resources": ["pods"], "verbs": ["get"]}]})
    assert 'Role "k8s-bastion" exists' in tools.wait_condition("k8s", "Ready", "False", "NameTaken")["message"]
    assert control_plane.get(f"{path}/rolebindings/k8s-bastion") is None and control_plane.get(f"{path}/roles/k8s-bastion")["rules"] == theirs
    control_plane.api("DELETE", f"{path}/roles/k8s-bastion")
    wait_for(lambda: control_plane.get(f"{path}/rolebindings/k8s-bastion"), "the rights, now that the name is free", 90)


def test_rights_in_the_cluster_need_a_manager_that_serves_it(tools, manager):
    manager()
    tools.apply("k8s", "kubernetes", config={"inCluster": True}, permissions={"clusterWide": True})
    assert "serves one namespace" in tools.wait_condition("k8s", "Ready", "False", "NotEnforceable")["message"]


# ---- what others made, and Agents


def test_objects_of_others_are_left_alone_and_named(tools, manager, control_plane):
    manager()
    control_plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "db-bastion", "labels": {"mine": "yes"}}}, namespace=tools.namespace)
    control_plane.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "two-probe"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}, namespace=tools.namespace)
    tools.apply("db", "postgres", config=CONFIG)
    assert "exists already" in tools.wait_condition("db", "Ready", "False", "Refused")["message"]
    account = control_plane.get(f"/api/v1/namespaces/{tools.namespace}/serviceaccounts/db-bastion")
    assert account["metadata"]["labels"] == {"mine": "yes"} and not account["metadata"].get("ownerReferences")
    tools.apply("two", "postgres", config=CONFIG, probe=True)
    assert "two-probe" in tools.wait_condition("two", "Ready", "False", "PodNameTaken")["message"]
    assert len(control_plane.pod(tools.namespace, "two-probe")["spec"]["containers"]) == 1


def test_an_agent_says_whether_its_tools_are_ready(tools, manager, control_plane):
    manager()
    agents = Agents(control_plane, tools.namespace)
    agents.apply(agent("one", paused=True, tools=[{"name": "db"}]))
    agents.wait_condition("one", "Resolved", "False", "ToolNotFound")
    tools.apply("db", "postgres", config={**CONFIG, "credentialsRef": {"name": "later", "key": "password"}})
    wait_for(lambda: agents.get("one")["status"]["resolved"]["tools"] == [{"name": "db", "type": "postgres", "found": True, "ready": False}], "the Tool to be found")
    assert any("not ready" in p for p in agents.get("one")["status"]["resolved"]["problems"])
    tools.secret("later", password=CANARY)
    tools.wait_condition("db", "Ready", "True")
    wait_for(lambda: agents.get("one")["status"]["resolved"]["tools"][0].get("ready") is True, "the Tool to be ready")
