# SPDX-License-Identifier: Apache-2.0
"""The chart with a real Helm on a real API server, and the raw manifests made from it. Nothing here runs a pod."""
import json
import os
import re
import shutil
import subprocess

import pytest
import yaml

from kubetest.cluster import ROOT

CHART = ROOT + "/agentkube/helm/agentkube"
SYSTEM = "agentkube-system"
FULL = ["get", "list", "watch", "create", "update", "patch", "delete"]
KINDS = ["agents", "mcps", "llmgateways", "claws", "tools"]

# What the page about the deployment of the manager promises: (group, resource) -> verbs.
DOCUMENTED = {
    **{("agentkube.io", kind): FULL for kind in KINDS},
    **{("agentkube.io", kind + "/status"): FULL for kind in KINDS},
    ("apps", "deployments"): FULL,
    **{("", name): FULL for name in ("services", "configmaps", "persistentvolumeclaims", "pods", "secrets")},
    ("", "pods/log"): ["get"],
    ("", "pods/exec"): ["create"],
    ("", "events"): ["create", "patch"],
    ("batch", "jobs"): ["create"],
    **{("rbac.authorization.k8s.io", name): FULL + ["bind", "escalate"]
       for name in ("clusterroles", "clusterrolebindings", "roles", "rolebindings")},
    ("coordination.k8s.io", "leases"): FULL,
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): ["update"],
}
PORTS = {"webhook": (443, 9443), "metrics": (8080, 8080), "probes": (8081, 8081), "invoke": (8082, 8082)}


def helm(control_plane, *arguments, ok=True):
    done = control_plane.helm(*arguments, "--namespace", SYSTEM)
    assert not ok or done.returncode == 0, done.stderr
    return done


def rendered(control_plane, *arguments, chart=CHART):
    done = helm(control_plane, "template", "agentkube", chart, *arguments)
    return {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout) if one}


def sets(**values):
    return [word for key, value in values.items() for word in ("--set", f"{key.replace('__', '.')}={value}")]


def manager_of(objects):
    pod = objects[("Deployment", "agentkube-manager")]["spec"]["template"]["spec"]
    return pod, pod["containers"][0]


def environment(container):
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in container["env"]}


def grants(role):
    return {(group, resource): set(rule["verbs"]) for rule in role["rules"]
            for group in rule["apiGroups"] for resource in rule["resources"]}


# ---- what is rendered
def test_lint_has_nothing_to_say_but_that_there_is_no_icon(control_plane):
    done = helm(control_plane, "lint", "--strict", CHART)
    said = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert [line for line in said if "icon is recommended" not in line] == [], done.stdout


def test_the_raw_manifests_are_what_the_chart_says():
    done = subprocess.run([ROOT + "/hack/manifests", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_versions_follow_the_project():
    with open(ROOT + "/VERSION", encoding="utf-8") as file:
        version = file.read().strip()
    with open(CHART + "/Chart.yaml", encoding="utf-8") as file:
        chart = yaml.safe_load(file)
    assert (chart["version"], chart["appVersion"]) == (version, version)


def test_the_objects_have_the_documented_names(control_plane):
    documented = {(kind, "agentkube-manager") for kind in (
        "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Deployment", "Service")}
    webhook = {("ValidatingWebhookConfiguration", "agentkube-manager")} | {(kind, "agentkube-manager-webhook") for kind in (
        "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")}
    runs = {(kind, "agentkube-manager-runs") for kind in ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")}
    invoke = {(kind, "agentkube-manager-invoke") for kind in ("ClusterRole", "ClusterRoleBinding")} | {
        (kind, "agentkube-cli") for kind in ("ServiceAccount", "ClusterRole", "ClusterRoleBinding")}
    tools = {(kind, "agentkube-manager-tools") for kind in ("ClusterRole", "ClusterRoleBinding")}
    always = documented | runs | tools
    assert set(rendered(control_plane)) == always | webhook | invoke
    assert set(rendered(control_plane, "--set", "webhook.enabled=false")) == always | invoke
    assert set(rendered(control_plane, "--set", "webhook.enabled=false,invoke.enabled=false")) == always


def test_the_cluster_role_grants_the_documented_table_and_nothing_else(control_plane):
    role = rendered(control_plane)[("ClusterRole", "agentkube-manager")]
    assert grants(role) == {what: set(verbs) for what, verbs in DOCUMENTED.items()}


def test_the_strict_role_is_a_part_of_the_documented_one_and_cannot_list_secrets_or_give_rights_away(control_plane):
    strict = grants(rendered(control_plane, *sets(rbac__strict="true"))[("ClusterRole", "agentkube-manager")])
    for what, verbs in strict.items():
        assert verbs <= set(DOCUMENTED[what]), what
    assert strict[("", "secrets")] == {"get", "create", "update", "delete"}, "no list, no watch"
    assert not any({"bind", "escalate", "*"} & verbs for verbs in strict.values())


def test_the_role_for_tools_is_the_same_in_both_modes_and_small(control_plane):
    for strict in ("false", "true"):
        role = rendered(control_plane, *sets(rbac__strict=strict))[("ClusterRole", "agentkube-manager-tools")]
        assert grants(role) == {what: {"get", "list", "watch", "create", "patch"}
                                for what in (("", "serviceaccounts"), ("networking.k8s.io", "networkpolicies"))}


def test_the_service_has_the_four_ports(control_plane):
    spec = rendered(control_plane)[("Service", "agentkube-manager")]["spec"]
    assert {port["name"]: (port["port"], port["targetPort"]) for port in spec["ports"]} == PORTS


def test_the_pod_meets_the_restricted_profile_and_its_selector(control_plane):
    objects = rendered(control_plane)
    pod, container = manager_of(objects)
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    deployment = objects[("Deployment", "agentkube-manager")]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    for selector in (deployment["selector"]["matchLabels"], objects[("Service", "agentkube-manager")]["spec"]["selector"]):
        assert selector.items() <= labels.items()


def test_by_default_it_is_local_and_the_token_is_optional(control_plane):
    _, container = manager_of(rendered(control_plane))
    variables = environment(container)
    assert variables["AGENTKUBE_MANAGED"] == "false"
    assert variables["AGENTKUBE_AUTH_TOKEN"] == {
        "secretKeyRef": {"name": "agentkube-auth", "key": "token", "optional": True}}
    assert "AGENTKUBE_IMAGE_REGISTRY" not in variables


def test_managed_mode_is_the_documented_command(control_plane):
    _, container = manager_of(rendered(control_plane, *sets(manager__managed="true", manager__baseURL="https://exo.example.com")))
    variables = environment(container)
    assert (variables["AGENTKUBE_MANAGED"], variables["AGENTKUBE_BASE_URL"]) == ("true", "https://exo.example.com")


@pytest.mark.parametrize("values,image", [
    ({}, "docker.io/adaptivelive/agentkube-manager:v{version}"),
    ({"image__manager__tag": "v9"}, "docker.io/adaptivelive/agentkube-manager:v9"),
    ({"image__registry": "mirror.local:5000/proxy/"}, "mirror.local:5000/proxy/adaptivelive/agentkube-manager:v{version}"),
    ({"image__registry": "mirror.local", "image__manager__repository": "ours.local/x/manager"}, "ours.local/x/manager:v{version}"),
])
def test_the_image_is_the_release_the_mirror_or_the_pinned_one(control_plane, values, image):
    with open(ROOT + "/VERSION", encoding="utf-8") as file:
        image = image.format(version=file.read().strip())
    _, container = manager_of(rendered(control_plane, *sets(**values)))
    assert container["image"] == image
    assert environment(container)["AGENTKUBE_MANAGER_IMAGE"] == image
    assert environment(container).get("AGENTKUBE_IMAGE_REGISTRY") == values.get("image__registry")


@pytest.mark.parametrize("words", [["--set", "image.pullSecrets={a,b}"],
                                   ["--set", "image.pullSecrets[0].name=a,image.pullSecrets[1].name=b"]])
def test_pull_secrets_are_names_or_references(control_plane, words):
    pod, _ = manager_of(rendered(control_plane, *words))
    assert pod["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


def test_every_scheduling_value_arrives(control_plane):
    values = {"manager": {"nodeSelector": {"disk": "fast"}, "tolerations": [{"operator": "Exists"}], "replicas": 2,
                          "affinity": {"nodeAffinity": {}}, "priorityClassName": "high", "podLabels": {"team": "x"},
                          "podAnnotations": {"a": "b"}, "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:1"}],
                          "watchNamespace": "mine", "logLevel": "info,+watch", "workers": 8, "clusterID": "c"},
              "agents": {"imagePullSecrets": ["p", "q"], "memory": {"storageClassName": "nfs", "accessMode": "ReadWriteMany"}},
              "serviceAccount": {"annotations": {"sa": "1"}}, "service": {"annotations": {"sv": "2"}}}
    done = control_plane.helm("template", "agentkube", CHART, "-n", SYSTEM, "-f", "-", input=json.dumps(values))
    assert done.returncode == 0, done.stderr
    objects = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout) if one}
    pod, container = manager_of(objects)
    deployment = objects[("Deployment", "agentkube-manager")]["spec"]
    assert (pod["nodeSelector"], pod["tolerations"], pod["affinity"], pod["priorityClassName"], deployment["replicas"]) == (
        {"disk": "fast"}, [{"operator": "Exists"}], {"nodeAffinity": {}}, "high", 2)
    assert deployment["template"]["metadata"]["labels"]["team"] == "x"
    assert deployment["template"]["metadata"]["annotations"] == {"a": "b"}
    assert {"--watch-namespace=mine", "--log-level=info,+watch", "--workers=8"} <= set(container["args"])
    variables = environment(container)
    assert {name: variables[name] for name in ("HTTPS_PROXY", "AGENTKUBE_CLUSTER_ID", "AGENTKUBE_IMAGE_PULL_SECRETS",
                                               "AGENTKUBE_MEMORY_STORAGE_CLASS", "AGENTKUBE_MEMORY_ACCESS_MODE")} == {
        "HTTPS_PROXY": "http://proxy:1", "AGENTKUBE_CLUSTER_ID": "c", "AGENTKUBE_IMAGE_PULL_SECRETS": "p,q",
        "AGENTKUBE_MEMORY_STORAGE_CLASS": "nfs", "AGENTKUBE_MEMORY_ACCESS_MODE": "ReadWriteMany"}
    assert objects[("ServiceAccount", "agentkube-manager")]["metadata"]["annotations"] == {"sa": "1"}
    assert objects[("Service", "agentkube-manager")]["metadata"]["annotations"] == {"sv": "2"}


def leaves(node, path=""):
    if isinstance(node, dict) and node:
        for key, child in node.items():
            yield from leaves(child, f"{path}.{key}" if path else key)
    else:
        yield path


def test_the_schema_knows_every_value_and_every_value_is_used():
    with open(CHART + "/values.yaml", encoding="utf-8") as file:
        values = yaml.safe_load(file)
    with open(CHART + "/values.schema.json", encoding="utf-8") as file:
        schema = json.load(file)
    templates = ""
    for name in os.listdir(CHART + "/templates"):
        with open(f"{CHART}/templates/{name}", encoding="utf-8") as file:
            templates += file.read()
    for path in leaves(values):
        node = schema
        for key in path.split("."):
            if "$ref" in node:
                break
            assert key in node["properties"], path
            node = node["properties"][key]
        parents = [path[:end] for end in [m.start() for m in re.finditer(r"\.", path)] + [len(path)] if "." in path[:end]]
        assert any(f".Values.{parent}" in templates for parent in parents or [path]), f"{path} is not used"


@pytest.mark.parametrize("setting,named", [
    ("manager.replica=2", "replica"), ("webhok.enabled=false", "webhok"), ("manager.replicas=-1", "replicas"),
    ("manager.baseURL=example.com", "baseURL"), ("image.manager.pullPolicy=Sometimes", "pullPolicy"),
    ("manager.resources.limits.memory=lots", "memory"), ("agents.memory.accessMode=Once", "accessMode"),
    ("crds.install=maybe", "install"),
])
def test_a_wrong_value_is_refused_by_name(control_plane, setting, named):
    done = helm(control_plane, "template", "agentkube", CHART, "--set", setting, ok=False)
    assert done.returncode != 0 and named in done.stderr


def test_the_webhook_leads_to_the_manager_and_selects_by_namespace_only(control_plane):
    objects = rendered(control_plane, "--set", "webhook.timeoutSeconds=5")
    hooks = {hook["name"]: hook for hook in objects[("ValidatingWebhookConfiguration", "agentkube-manager")]["webhooks"]}
    service = objects[("Service", "agentkube-manager")]
    for hook in hooks.values():
        target = hook["clientConfig"]["service"]
        assert (target["name"], target["namespace"], target["port"]) == (service["metadata"]["name"], SYSTEM, 443)
        assert "caBundle" not in hook["clientConfig"] and "objectSelector" not in hook
        assert hook["sideEffects"] == "None" and hook["timeoutSeconds"] == 5
    gate = hooks["gate.agentkube.io"]
    assert gate["failurePolicy"] == "Fail" and gate["namespaceSelector"]["matchLabels"] == {"agentkube.io/gated": "true"}
    assert gate["namespaceSelector"]["matchExpressions"][0]["values"] == ["kube-system"]
    assert sorted(name for rule in gate["rules"] for name in rule["resources"]) == [
        "pods/attach", "pods/ephemeralcontainers", "pods/exec", "pods/portforward"]
    assert hooks["validate.agentkube.io"]["rules"][0]["resources"] == KINDS
    container = manager_of(objects)[1]
    assert "--webhook=true" in container["args"] and "--webhook-timeout=5s" in container["args"]
    without = manager_of(rendered(control_plane, "--set", "webhook.enabled=false"))[1]
    assert "--webhook=false" in without["args"] and not [p for p in without["ports"] if p["name"] == "webhook"]


def test_the_webhooks_own_role_reaches_one_configuration_and_one_secret(control_plane):
    objects = rendered(control_plane)
    everywhere = objects[("ClusterRole", "agentkube-manager-webhook")]["rules"]
    assert not [rule for rule in everywhere if "secrets" in rule["resources"]]
    configurations = [rule for rule in everywhere if "validatingwebhookconfigurations" in rule["resources"]]
    assert [rule["resourceNames"] for rule in configurations] == [["agentkube-manager"]]
    secrets = objects[("Role", "agentkube-manager-webhook")]
    assert secrets["metadata"]["namespace"] == SYSTEM
    assert [(rule.get("resourceNames"), rule["verbs"]) for rule in secrets["rules"]] == [
        (None, ["create"]), (["agentkube-webhook-cert"], ["get", "update"])]


def test_another_namespace_is_refused_with_the_flags_to_use(control_plane):
    done = control_plane.helm("template", "agentkube", CHART, "--namespace", "elsewhere")
    assert done.returncode != 0 and "--namespace agentkube-system --create-namespace" in done.stderr


# ---- on an API server
@pytest.fixture(scope="module")
def cleared(control_plane):
    """Takes releases and definitions away; in the end the definitions come back, for the tests in other files."""
    if control_plane.foreign:
        pytest.skip("removes all definitions, which is not for a cluster of yours")

    def clear():
        for release in json.loads(helm(control_plane, "list", "-o", "json").stdout or "[]"):
            helm(control_plane, "uninstall", release["name"])
        control_plane.must("delete", "crd", "-l", "app.kubernetes.io/part-of=agentkube", "--ignore-not-found")
    control_plane.kubectl("create", "namespace", SYSTEM)
    yield clear
    clear()
    control_plane.install_crds()


@pytest.fixture
def bare(control_plane, cleared):
    """Neither definitions nor a release."""
    cleared()
    return control_plane


def definitions(control_plane):
    return sorted(one["metadata"]["name"].split(".")[0]
                  for one in control_plane.items("/apis/apiextensions.k8s.io/v1/customresourcedefinitions"))


def agents_definition(control_plane):
    return control_plane.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/agents.agentkube.io")


@pytest.fixture
def newer(tmp_path):
    """The chart as a later version might be: Agents have one more short name."""
    shutil.copytree(CHART, tmp_path / "agentkube")
    path = tmp_path / "agentkube/crds/agentkube.io_agents.yaml"
    text = path.read_text()
    assert "    - ag\n" in text
    path.write_text(text.replace("    - ag\n", "    - ag\n    - agt\n"))
    return str(tmp_path / "agentkube")


def test_install_makes_the_definitions_and_says_where_to_look(bare):
    said = helm(bare, "install", "agentkube", CHART).stdout
    assert definitions(bare) == sorted(KINDS)
    assert "rollout status deploy/agentkube-manager" in said
    assert bare.get(f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/agentkube-manager")


def test_managed_mode_is_installed_with_a_warning(bare):
    said = helm(bare, "install", "agentkube", CHART, *sets(manager__managed="true", manager__baseURL="https://exo.example.com")).stdout
    assert "WARNING: manager.managed=true" in said


def test_skip_crds_makes_none(bare):
    helm(bare, "install", "agentkube", CHART, "--skip-crds")
    assert definitions(bare) == []


@pytest.mark.parametrize("at_first", ["false", "true"])
def test_upgrade_with_crds_install_upgrades_the_definitions(bare, newer, at_first):
    helm(bare, "install", "agentkube", CHART, *sets(crds__install=at_first))
    said = helm(bare, "upgrade", "agentkube", CHART, *sets(crds__install="false")).stdout
    assert "add --set crds.install=true" in said
    helm(bare, "upgrade", "agentkube", newer, *sets(crds__install="true"))
    assert agents_definition(bare)["spec"]["names"]["shortNames"] == ["ag", "agt"]


@pytest.mark.parametrize("end", [["uninstall", "agentkube"], ["upgrade", "agentkube", CHART, *sets(crds__install="false")]])
def test_definitions_and_agents_survive_the_release(bare, end):
    helm(bare, "install", "agentkube", CHART, *sets(crds__install="true"))
    uid = agents_definition(bare)["metadata"]["uid"]
    helm(bare, *end)
    assert agents_definition(bare)["metadata"]["uid"] == uid
    assert "deletionTimestamp" not in agents_definition(bare)["metadata"]


def test_a_second_install_takes_the_kept_definitions_over(bare, newer):
    helm(bare, "install", "agentkube", CHART, *sets(crds__install="true"))
    helm(bare, "uninstall", "agentkube")
    helm(bare, "install", "agentkube", newer, *sets(crds__install="true"))
    assert agents_definition(bare)["spec"]["names"]["shortNames"] == ["ag", "agt"]


def test_a_release_of_another_name_carries_its_definitions_without_crds(bare, newer):
    helm(bare, "install", "other", CHART, "--skip-crds", *sets(crds__install="true"))
    assert definitions(bare) == sorted(KINDS)
    helm(bare, "upgrade", "other", newer, *sets(crds__install="true"))
    assert agents_definition(bare)["spec"]["names"]["shortNames"] == ["ag", "agt"]


def test_a_release_of_another_name_leaves_the_definitions_of_crds_alone_and_says_so(bare):
    said = helm(bare, "install", "other", CHART, *sets(crds__install="true")).stdout
    assert "installed by somebody else" in said and "agents.agentkube.io" in said
    assert definitions(bare) == sorted(KINDS)


def test_definitions_that_kubectl_made_do_not_stop_an_install(bare):
    bare.must("apply", "--server-side", "-f", "agentkube/config/crd-generated/")
    helm(bare, "install", "agentkube", CHART, *sets(crds__install="true"))
    helm(bare, "upgrade", "agentkube", CHART, *sets(crds__install="true"))
    assert definitions(bare) == sorted(KINDS)


def test_an_upgrade_without_a_change_changes_nothing(bare):
    def generations():
        return [bare.get(path)["metadata"].get("generation") for path in (
            f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/agentkube-manager",
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/agents.agentkube.io")]
    helm(bare, "install", "agentkube", CHART, *sets(crds__install="true"))
    before = generations()
    helm(bare, "upgrade", "agentkube", CHART, *sets(crds__install="true"))
    assert generations() == before


def test_the_raw_manifests_apply_in_the_order_of_their_names(bare):
    bare.must("delete", "namespace", SYSTEM, "--timeout=60s")
    try:
        for again in ("created", "unchanged"):
            said = bare.must("apply", "-f", "agentkube/config/crd-generated/", "-f", "agentkube/config/")
            assert all(line.endswith(again) for line in said.splitlines()), said
    finally:
        bare.must("delete", "-f", "agentkube/config/", "--ignore-not-found", "--timeout=60s")
        bare.must("create", "namespace", SYSTEM)


def test_the_service_account_may_do_what_the_role_says(bare):
    helm(bare, "install", "agentkube", CHART, *sets(rbac__strict="true"))
    account = f"--as=system:serviceaccount:{SYSTEM}:agentkube-manager"

    def may(*words):
        return bare.kubectl("auth", "can-i", *words, "-A", account).stdout.strip() == "yes"
    assert may("get", "secrets") and may("create", "pods") and may("patch", "agents.agentkube.io", "--subresource=status")
    assert not may("list", "secrets") and not may("create", "pods", "--subresource=exec") and not may("escalate", "clusterroles")
