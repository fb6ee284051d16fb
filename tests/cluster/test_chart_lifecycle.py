# SPDX-License-Identifier: Apache-2.0
"""A release through its life, with a manager that has exactly the rights, arguments and variables that the release gives
it: upgrade, rollback, an install for one namespace, an install over a failed one, and the end."""
import json
import re
import shutil
import subprocess

import pytest
import yaml

from kubetest import wait_for
from kubetest.agents import Agents, agent
from kubetest.cluster import ROOT
from kubetest.tool_pods import ToolPods
from test_chart import CHART, SYSTEM, bare, cleared, definitions, grants, helm, rendered, sets  # noqa: F401  fixtures too

with open(ROOT + "/VERSION", encoding="utf-8") as version:
    VERSION = version.read().strip()
NO_WEBHOOK = sets(webhook__enabled="false")  # no kubelet, so no pod could answer: test_admission.py has it
MCP_SPEC = "{upstreams: [{name: u, kind: http, endpoint: 'http://u.example/mcp'}]}"
OPTIONAL = {"podDisruptionBudget__enabled": "true", "networkPolicy__enabled": "true", "metrics__dashboard__enabled": "true"}


@pytest.fixture
def agents(bare, namespace):  # noqa: F811
    return Agents(bare, namespace)


@pytest.fixture
def previous(tmp_path):
    """The chart as an earlier version was: another version, another definition, other arguments."""
    shutil.copytree(CHART, tmp_path / "previous")

    def change(name, old, new):
        path = tmp_path / "previous" / name
        text = path.read_text()
        assert old in text, f"{name}: {old}"
        path.write_text(text.replace(old, new))

    change("Chart.yaml", VERSION, "0.0.9")
    change("crds/agentkube.io_agents.yaml", "    - ag\n", "    - old\n")
    change("templates/deployment.yaml", "            - --leader-elect=true\n", "")
    return str(tmp_path / "previous")


@pytest.fixture
def deployed(control_plane, manager, tmp_path):
    """start(): a manager as the Deployment of the release would run it, with the token of its ServiceAccount."""
    def start():
        path = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/agentkube-manager"
        container = control_plane.get(path)["spec"]["template"]["spec"]["containers"][0]
        status, answer = control_plane.api("POST", f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/agentkube-manager/token",
                                           {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
        assert status == 201, answer
        config = json.loads(control_plane.must("config", "view", "--raw", "--minify", "-o", "json"))
        config["users"][0]["user"] = {"token": answer["status"]["token"]}
        kubeconfig = tmp_path / "service-account.kubeconfig"
        kubeconfig.write_text(json.dumps(config))
        flags = [word for word in container["args"] if "bind-address" not in word]
        return manager(f"--namespace={SYSTEM}", *flags, kubeconfig=str(kubeconfig), all_namespaces=True,
                       env={one["name"]: one["value"] for one in container["env"] if "value" in one}).wait_leading()
    return start


def agentlet_image(pod):
    return pod["spec"]["initContainers"][0]["image"]


def running_agent(agents, name="one"):
    agents.apply(agent(name))
    pod = agents.wait_pod(name)
    agents.runs(name)
    agents.wait_phase(name, "Running")
    return pod


def forbidden(process):
    return process.metric("rest_client_requests_total", code="403")


# ---- upgrade and rollback, with a live Agent
def test_an_upgrade_takes_a_live_agent_along_and_a_rollback_brings_it_back(agents, deployed, previous, bare):  # noqa: F811
    helm(bare, "install", "agentkube", previous, *NO_WEBHOOK)
    old = deployed()
    pod = running_agent(agents)
    uid, image = agents.get("one")["metadata"]["uid"], agentlet_image(pod)
    assert image.endswith(":v0.0.9") and old.stop() == 0

    helm(bare, "upgrade", "agentkube", CHART, *NO_WEBHOOK, *sets(crds__install="true"))
    definition = bare.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/agents.agentkube.io")
    assert definition["spec"]["names"]["shortNames"] == ["ag"]
    new = deployed()
    replaced = agents.wait_pod("one", other_than=pod["metadata"]["uid"])
    assert agentlet_image(replaced) != image, "the agentlet in the pod is still that of the version before"
    agents.runs("one")
    agents.wait_phase("one", "Running")
    assert forbidden(new) == 0 and new.stop() == 0

    helm(bare, "rollback", "agentkube", "1")
    again = deployed()
    back = agents.wait_pod("one", other_than=replaced["metadata"]["uid"])
    assert agentlet_image(back) == image
    agents.runs("one")
    agents.wait_phase("one", "Running")
    assert agents.get("one")["metadata"]["uid"] == uid and len(agents.pods()) == 1
    assert forbidden(again) == 0


def test_an_upgrade_that_keeps_the_image_touches_no_agent(agents, deployed, previous, bare):  # noqa: F811
    pinned = [*NO_WEBHOOK, *sets(image__manager__tag="v1")]
    helm(bare, "install", "agentkube", previous, *pinned)
    old = deployed()
    pod = running_agent(agents)
    assert old.stop() == 0
    version = agents.get("one")["metadata"]["resourceVersion"]
    helm(bare, "upgrade", "agentkube", CHART, *pinned)
    new = deployed()
    wait_for(lambda: new.metric("controller_runtime_reconcile_total", controller="agent") >= 1, "a look at the Agent")
    wait_for(lambda: new.metric("workqueue_depth") + new.metric("controller_runtime_active_workers") == 0, "rest")
    assert new.metric("agentkube_applies_total", result="sent") == 0
    assert agents.pod("one")["metadata"]["uid"] == pod["metadata"]["uid"]
    assert agents.get("one")["metadata"]["resourceVersion"] == version


def test_values_that_were_set_survive_an_upgrade_that_reuses_them(bare, previous):  # noqa: F811
    helm(bare, "install", "agentkube", previous, *NO_WEBHOOK, *sets(manager__replicas="3", rbac__strict="true"))
    helm(bare, "upgrade", "agentkube", CHART, "--reset-then-reuse-values")
    spec = bare.get(f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/agentkube-manager")["spec"]
    assert spec["replicas"] == 3 and spec["template"]["spec"]["containers"][0]["image"].endswith(":v" + VERSION)
    role = bare.get("/apis/rbac.authorization.k8s.io/v1/clusterroles/agentkube-manager")
    assert grants(role)[("", "secrets")] == {"get", "create", "update", "delete"}, "no list, no watch"


# ---- installs that did not work
def release_status(kube):
    return json.loads(helm(kube, "status", "agentkube", "-o", "json").stdout)["info"]["status"]


def test_an_install_over_one_that_failed_half_way_completes_it(bare):  # noqa: F811
    # nothing runs pods here, so the wait fails after everything was made
    done = helm(bare, "install", "agentkube", CHART, *NO_WEBHOOK, "--wait", "--timeout", "3s", ok=False)
    assert done.returncode != 0
    assert release_status(bare) == "failed"
    bare.must("-n", SYSTEM, "delete", "serviceaccount,service", "agentkube-manager")  # half of it was never made
    helm(bare, "upgrade", "--install", "agentkube", CHART, *NO_WEBHOOK)
    assert release_status(bare) == "deployed"
    assert bare.get(f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/agentkube-manager")


def test_monitors_without_the_prometheus_operator_are_refused_before_anything_is_made(bare):  # noqa: F811
    done = helm(bare, "install", "agentkube", CHART, *sets(metrics__serviceMonitor__enabled="true"), ok=False)
    assert done.returncode != 0 and "ServiceMonitor" in done.stderr
    assert bare.get(f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/agentkube-manager") is None
    helm(bare, "upgrade", "--install", "agentkube", CHART, *NO_WEBHOOK)


# ---- what can be switched on
def test_everything_optional_is_accepted_by_the_api_server(bare):  # noqa: F811
    helm(bare, "install", "agentkube", CHART, *NO_WEBHOOK, *sets(**OPTIONAL))
    budgets = [path for path in ("/apis/policy/v1", "/apis/policy/v1beta1") if bare.get(path)]
    budget = bare.get(f"{budgets[0]}/namespaces/{SYSTEM}/poddisruptionbudgets/agentkube-manager")
    assert budget["spec"]["maxUnavailable"] == 1
    policy = bare.get(f"/apis/networking.k8s.io/v1/namespaces/{SYSTEM}/networkpolicies/agentkube-manager")["spec"]
    service = bare.get(f"/api/v1/namespaces/{SYSTEM}/services/agentkube-manager")["spec"]
    assert {port["port"] for rule in policy["ingress"] for port in rule["ports"]} == {port["targetPort"] for port in service["ports"]}
    assert {53, 443, 6443} == {port["port"] for rule in policy["egress"] if "to" not in rule for port in rule["ports"]}
    pods = {rule["ports"][0]["port"]: rule["to"] for rule in policy["egress"] if "to" in rule}
    assert pods == {8084: [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/managed-by": "agentkube-manager"}}}],
                    8082: [{"podSelector": {"matchLabels": service["selector"]}}]}
    for selector in (budget["spec"]["selector"], policy["podSelector"]):
        assert selector["matchLabels"] == service["selector"]
    helm(bare, "upgrade", "agentkube", CHART, *NO_WEBHOOK)
    assert bare.get(f"/apis/networking.k8s.io/v1/namespaces/{SYSTEM}/networkpolicies/agentkube-manager") is None


@pytest.mark.parametrize("words,field", [
    (["--set", "podDisruptionBudget.minAvailable=150%"], "minAvailable"), (["--set", "networkPolicy.apiServer.ports={}"], "ports"),
    (["--set", "networkPolicy.apiServer.cidrs={10.0.0.1}"], "cidrs"), (["--set", "metrics.serviceMonitor.interval=often"], "interval"),
    (["--set", "watchNamespaces={a,b}", *NO_WEBHOOK], "all namespaces, or of one"),
    (["--set", "watchNamespaces={a}"], "webhook.enabled=false"),
    (["--set", "watchNamespaces={a},manager.watchNamespace=b", *NO_WEBHOOK], "different namespaces"),
])
def test_what_cannot_work_is_refused_with_words(control_plane, words, field):
    done = helm(control_plane, "template", "agentkube", CHART, *words, ok=False)
    assert done.returncode != 0 and field in done.stderr


def test_replicas_are_spread_unless_somebody_knows_better(control_plane):
    def spread(*words):
        return rendered(control_plane, *words)[("Deployment", "agentkube-manager")]["spec"]["template"]
    pod = spread()
    (rule,) = pod["spec"]["topologySpreadConstraints"]
    assert rule["whenUnsatisfiable"] == "ScheduleAnyway" and rule["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
    own = spread("--set-json", 'manager.topologySpreadConstraints=[{"topologyKey":"zone"}]')
    assert own["spec"]["topologySpreadConstraints"] == [{"topologyKey": "zone"}]


# ---- one namespace
def use_tools(tools):
    """One with users in its system, made and removed, and one with rights in this cluster."""
    tools.secret("db", password="x")
    tools.apply("db", "postgres", config={"hostname": "10.1.2.3", "databaseName": "d", "username": "u", "credentialsRef": {"name": "db", "key": "password"}},
                permissions={"adminCredentialsRef": {"name": "db", "key": "password"}})
    tools.apply("k8s", "kubernetes", config={"inCluster": True}, permissions={"rules": [{"resources": ["configmaps"], "verbs": ["get"]}]})
    tools.provisioned("db")
    tools.wait_condition("db", "Ready", "True")
    tools.wait_condition("k8s", "PermissionsEnforced", "True", "Enforced")
    tools.delete("k8s")
    tools.delete("db", wait=False)
    tools.provisioned("db", role="cleanup")
    wait_for(lambda: tools.get("db") is None, "the Tool to be gone")


@pytest.mark.parametrize("strict", ["false", "true"])
def test_an_install_for_one_namespace_has_roles_only_and_works(agents, deployed, bare, namespace, strict):  # noqa: F811
    chosen = [*NO_WEBHOOK, *sets(watchNamespaces="{" + namespace + "}", rbac__strict=strict)]
    objects = rendered(bare, *chosen)
    # Who somebody is, and what he may do, is not asked in a namespace: these give no right to any object.
    asked = {"agentkube-manager-runs", "agentkube-manager-invoke"}
    assert {name for kind, name in objects if kind.startswith("Cluster")} == asked
    assert {resource for name in asked for _, resource in grants(objects[("ClusterRole", name)])} == {
        "tokenreviews", "subjectaccessreviews"}
    assert objects[("Role", "agentkube-cli")]["metadata"]["namespace"] == namespace
    cluster_wide = {"clusterroles", "clusterrolebindings", "validatingwebhookconfigurations", "namespaces"}
    assert not cluster_wide & {resource for _, resource in grants(objects[("Role", "agentkube-manager")])}
    helm(bare, "install", "agentkube", CHART, *chosen)
    process = deployed()
    bare.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"k": "v"}},
               {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "goals"}, "data": {"k": "v"}}, namespace=namespace)
    agents.apply(agent("one", agentToken={"secretRef": {"name": "keys", "key": "k"}}, workspace={"persistent": True},
                       goal={"configMapKeyRef": {"name": "goals", "key": "k"}}))
    agents.wait_pod("one")
    agents.runs("one")
    agents.wait_phase("one", "Running")
    wait_for(lambda: agents.events("one"), "an event")
    use_tools(ToolPods(bare, namespace))
    bare.apply(agent("outside"), namespace="default")
    try:
        agents.apply(agent("two"))
        agents.wait_pod("two")
        assert bare.pod("default", "outside") is None
        assert forbidden(process) == 0
    finally:
        bare.must("-n", "default", "delete", "agent", "outside")
    assert bare.kubectl("auth", "can-i", "list", "pods", "-n", "default",
                        f"--as=system:serviceaccount:{SYSTEM}:agentkube-manager").stdout.strip() == "no"


# ---- the end
def everything(kube):
    """(resource, namespace, name) of whatever the API server has, but Events and what lies in the namespace of a test."""
    found, roots = set(), ["/api/v1"]
    roots += ["/apis/" + group["preferredVersion"]["groupVersion"] for group in kube.get("/apis")["groups"]]
    for root in roots:
        for resource in (kube.get(root) or {"resources": []})["resources"]:
            if "list" not in resource["verbs"] or "/" in resource["name"] or resource["name"] == "events":
                continue
            for one in kube.items(f"{root}/{resource['name']}"):
                found.add((resource["name"], one["metadata"].get("namespace", ""), one["metadata"]["name"]))
    return found


def commands_below(heading):
    """The blocks of commands below a heading of docs/operations.md."""
    with open(ROOT + "/docs/operations.md", encoding="utf-8") as file:
        page = file.read()
    section = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", page, re.MULTILINE | re.DOTALL).group(1)
    return re.findall(r"```sh\n(.*?)```", section, re.DOTALL)


def run(kube, commands, home):
    environment = {"KUBECONFIG": kube.kubeconfig, "PATH": f"{kube.tools}:/usr/bin:/bin", "HOME": str(home)}
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", commands], cwd=ROOT, env=environment, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_backup_of_the_operations_page_brings_objects_back(agents, deployed, bare, namespace, tmp_path):  # noqa: F811
    helm(bare, "install", "agentkube", CHART, *NO_WEBHOOK)
    process = deployed()
    pod = running_agent(agents)
    bare.apply(f"{{apiVersion: agentkube.io/v1alpha1, kind: MCP, metadata: {{name: m, labels: {{a: b}}}}, spec: {MCP_SPEC}}}", namespace=namespace)
    save, restore = commands_below("Backup")
    spec = agents.get("one")["spec"]
    run(bare, save, tmp_path)
    bare.must("-n", namespace, "delete", "agents,mcps", "--all")
    agents.wait_no_pod("one")
    run(bare, restore, tmp_path)
    back = agents.wait_pod("one", other_than=pod["metadata"]["uid"])
    assert back["metadata"]["ownerReferences"][0]["uid"] == agents.get("one")["metadata"]["uid"]
    assert agents.get("one")["spec"] == spec
    mcp = bare.get(f"/apis/agentkube.io/v1alpha1/namespaces/{namespace}/mcps/m")
    assert mcp["metadata"]["labels"]["a"] == "b"
    agents.runs("one")
    agents.wait_phase("one", "Running")
    assert process.running()


def test_what_the_operations_page_says_about_uninstalling_leaves_nothing(agents, deployed, bare, namespace, tmp_path):  # noqa: F811
    before = {one for one in everything(bare) if SYSTEM not in one and namespace not in one}
    helm(bare, "install", "agentkube", CHART, *NO_WEBHOOK, *sets(crds__install="true", **OPTIONAL))
    process = deployed()
    running_agent(agents)
    agents.apply(agent("two", workspace={"persistent": True}))
    agents.wait_pod("two")
    bare.must("label", "namespace", namespace, "agentkube.io/gated=true")  # as a manager with its webhook does
    assert process.stop() == 0  # as the deletion of the Deployment does
    try:
        run(bare, commands_below("Uninstall")[0], tmp_path)
        wait_for(lambda: not agents.pods(), "the pods to be gone")
        assert definitions(bare) == []
        assert "agentkube.io/gated" not in bare.get(f"/api/v1/namespaces/{namespace}")["metadata"].get("labels", {})

        def nothing_left():
            left = {one for one in everything(bare) if namespace not in one} - before
            assert not left, sorted(left)
            return True
        wait_for(nothing_left, "the cluster to be as it was")
    finally:
        bare.kubectl("create", "namespace", SYSTEM)


def test_the_end_of_the_release_leaves_agents_running(agents, deployed, bare):  # noqa: F811
    helm(bare, "install", "agentkube", CHART, *NO_WEBHOOK)
    process = deployed()
    pod = running_agent(agents)
    helm(bare, "uninstall", "agentkube")
    assert process.stop() in (0, 1)
    assert agents.pod("one")["metadata"]["uid"] == pod["metadata"]["uid"] and "deletionTimestamp" not in agents.pod("one")["metadata"]
    assert yaml.safe_load(bare.must("get", "crd", "agents.agentkube.io", "-o", "yaml"))
