# SPDX-License-Identifier: Apache-2.0
"""What the chart lets the manager do is enough for a Tool with everything, in both modes, and with the least rights the API server
sees to it that a Tool gives no more away than the manager has."""
import concurrent.futures

import pytest
from kubetest import wait_for
from kubetest.agents import Agents, agent
from kubetest.bastions import Bastion
from kubetest.manager import free_port
from kubetest.tool_pods import ToolPods
from test_invoke import Door, People
from test_manager_process import forget, granted_by_the_chart, service_account_kubeconfig

ALL = [("get", "tools"), ("get", "tools/log"), ("create", "tools/exec"), ("create", "tools/connect"), ("delete", "tools/connect"), ("update", "tools/approve")]
CONFIG = {"hostname": "10.1.2.3", "port": 5432, "username": "app", "databaseName": "shop", "credentialsRef": {"name": "db", "key": "password"},
          "caRef": {"name": "db", "key": "ca"}}
PERMISSIONS = {"adminCredentialsRef": {"name": "admin", "key": "password"}, "grants": [{"privileges": ["SELECT", "INSERT"], "schema": "public"}]}
QUERY = {"operation": "query", "arguments": {"sql": "select 1"}}
WRITE = {"operation": "execute", "arguments": {"sql": "insert into t values (1)"}}
CONFIGMAPS = [{"resources": ["configmaps"], "verbs": ["get", "list"]}]
RBAC = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(params=[False, True], ids=["documented", "strict"])
def strict(request):
    return request.param


@pytest.fixture
def elsewhere(control_plane, namespace):
    """A namespace that is not the manager's own: what it may do there is in the ClusterRoles."""
    name = namespace + "-t"
    assert control_plane.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})[0] == 201
    wait_for(lambda: control_plane.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"), "the namespace's account")
    yield name
    control_plane.delete_namespace(name)


@pytest.fixture
def limited(control_plane, namespace, elsewhere, manager, tmp_path, strict):
    """A manager with the rights that the chart gives it, and the Tools of `elsewhere`."""
    class Limited:
        kube, tools, people, ns = control_plane, ToolPods(control_plane, elsewhere), People(control_plane, elsewhere), elsewhere
        path = f"/namespaces/{elsewhere}/tools/db"

        def say(self, method, path, body=None, token=None):
            return self.door.say(method, path, token or self.token, body)

        def refusals(self):
            """Since it leads: an authorizer that has heard of the rules only by then is not what is tested."""
            return self.door.process.metric("rest_client_requests_total", code="403") - self.refused_before
    one = Limited()
    kubeconfig, name = service_account_kubeconfig(control_plane, namespace, tmp_path, *granted_by_the_chart(control_plane, strict))
    try:
        port = free_port()
        one.door = Door(port)
        one.door.process = manager(f"--namespace={namespace}", f"--invoke-bind-address=127.0.0.1:{port}", env={"POD_IP": "127.0.0.1"},
                                   kubeconfig=kubeconfig, all_namespaces=True).wait_leading()
        one.refused_before = one.door.process.metric("rest_client_requests_total", code="403")
        _, one.token = one.people.somebody(*ALL)
        one.tools.secret("db", password="canary-of-the-user", ca="-----BEGIN CERTIFICATE-----")
        one.tools.secret("admin", password="canary-of-the-admin", username="postgres")
        yield one
    finally:
        one.people.forget()
        forget(control_plane, name)


def make_everything(limited):
    tools = limited.tools
    tools.apply("db", "postgres", config=CONFIG, permissions=PERMISSIONS, probe=True, approval={"mode": "Writes", "timeout": "5m"},
                recording={"enabled": True, "retention": "1h", "maxRecordings": 1})
    tools.provisioned("db")
    tools.probed("db")
    tools.wait_condition("db", "Ready", "True", "Reachable")


def use_everything(limited):
    """An operation of a person and one of an agent, an approval, recordings, a check that somebody asked for."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(limited.say, "POST", limited.path + "/operations", QUERY)
        bastion = Bastion(limited.kube, limited.ns, "db")
        assert asked.result()[0] == 200, asked.result()
    assert limited.say("POST", limited.path + "/operations?hold=1", WRITE)[0] == 428
    waiting, = limited.say("GET", limited.path + "/approvals")[1]["items"]
    assert limited.say("POST", f"{limited.path}/approvals/{waiting['id']}/approve")[0] == 200
    assert limited.say("POST", limited.path + "/operations", WRITE)[0] == 200
    recorded = [bastion.finish_recording(b'{"version": 2}\n') for _ in range(2)]
    wait_for(lambda: [r["id"] for r in limited.say("GET", limited.path + "/recordings")[1]["items"]] == recorded[1:], "one recording to stay")
    assert limited.say("GET", f"{limited.path}/recordings/{recorded[1]}")[0] == 200
    secrets = f"/api/v1/namespaces/{limited.ns}/secrets"
    wait_for(lambda: limited.kube.get(f"{secrets}/db-recording-{recorded[0]}") is None, "the Secret of the other to go")
    agents = Agents(limited.kube, limited.ns)
    agents.apply(agent("one", tools=[{"name": "db"}]))
    pod = agents.wait_pod("one")
    token = limited.people.token("default", boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "one", "uid": pod["metadata"]["uid"]})
    assert limited.say("POST", "/self/tools/db/operations", QUERY, token)[0] == 200
    assert limited.say("POST", limited.path + "/probe")[0] == 202
    limited.tools.probed("db")
    return bastion


def test_the_chart_grants_what_a_tool_with_everything_needs(limited):
    make_everything(limited)
    bastion = use_everything(limited)
    tools = limited.tools
    tools.patch("db", maxSessions=3)  # another bastion when somebody wants one
    tools.wait_no_pod("db-bastion")
    bastion.close()
    tools.patch("db", permissions={**PERMISSIONS, "grants": [{"privileges": ["SELECT"], "schema": "public"}]})
    tools.provisioned("db")
    tools.probed("db")
    tools.wait_condition("db", "Ready", "True", "Reachable")
    tools.delete("db", wait=False)
    tools.provisioned("db", role="cleanup")
    wait_for(lambda: tools.get("db") is None, "the Tool to be gone")
    assert limited.refusals() == 0, [line for line in limited.door.process.log().splitlines() if "orbidden" in line]


def test_the_chart_grants_what_tools_of_the_cluster_need(limited, namespace):
    tools, kube = limited.tools, limited.kube
    tools.apply("k8s", "kubernetes", config={"inCluster": True}, permissions={"rules": CONFIGMAPS})
    tools.wait_condition("k8s", "PermissionsEnforced", "True", "Enforced")
    assert kube.get(f"{RBAC}/namespaces/{limited.ns}/rolebindings/k8s-bastion")
    name = f"agentkube:{limited.ns}:k8s"
    tools.patch("k8s", permissions={"namespaces": [namespace]})
    wait_for(lambda: kube.get(f"{RBAC}/namespaces/{namespace}/rolebindings/{name}"), "the binding elsewhere")
    tools.patch("k8s", permissions={"namespaces": None, "clusterWide": True})
    wait_for(lambda: kube.get(f"{RBAC}/clusterrolebindings/{name}"), "the binding for the cluster")
    tools.delete("k8s")
    wait_for(lambda: kube.get(f"{RBAC}/clusterroles/{name}") is None, "the ClusterRole to go")
    assert limited.refusals() == 0, [line for line in limited.door.process.log().splitlines() if "orbidden" in line]


def test_with_the_least_rights_a_tool_gives_no_more_than_the_manager_has(limited, strict):
    tools = limited.tools
    tools.apply("nodes", "kubernetes", config={"inCluster": True}, permissions={"rules": [{"resources": ["nodes"], "verbs": ["delete"]}], "clusterWide": True})
    tools.apply("view", "kubernetes", config={"inCluster": True})
    if strict:
        for name in ("nodes", "view"):
            said = tools.wait_condition(name, "Ready", "False", "Refused")
            assert "attempting to grant RBAC permissions not currently held" in said["message"], said
        assert limited.kube.get(f"{RBAC}/clusterrolebindings/agentkube:{limited.ns}:nodes") is None
        tools.delete("nodes")
    else:
        for name in ("nodes", "view"):
            tools.wait_condition(name, "PermissionsEnforced", "True", "Enforced")
        tools.delete("nodes")
