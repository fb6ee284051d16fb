# SPDX-License-Identifier: Apache-2.0
"""exo-install on a real API server. There is no kubelet, so nothing here waits for pods; tests/e2e does."""
import base64
import json
import os
import pty
import re
import select
import subprocess
import tarfile
import termios

import pytest
import yaml

from kubetest import program, wait_for
from kubetest.cluster import ROOT

SYSTEM = "agentkube-system"
TOKEN = "exo_dpl_0123456789abcdef0123456789abcdef"
CHART = ROOT + "/agentkube/helm/agentkube"
RELEASE = ("agentkube", CHART, "--namespace", SYSTEM, "--create-namespace")
OK, FAILED, USAGE, PREFLIGHT, TIMEOUT = range(5)
DEPLOYMENT = f"/apis/apps/v1/namespaces/{SYSTEM}/deployments/agentkube-manager"
RECORD = f"/api/v1/namespaces/{SYSTEM}/configmaps/exo-install"
SECRET = f"/api/v1/namespaces/{SYSTEM}/secrets/agentkube-auth"
ROLE = "/apis/rbac.authorization.k8s.io/v1/clusterroles/agentkube-manager"
WEBHOOK = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/agentkube-manager"
NAMESPACE = f"/api/v1/namespaces/{SYSTEM}"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def run(kube, *arguments, code=OK, kubeconfig=None, input=None):
    stdin = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": kubeconfig or kube.kubeconfig}
    done = subprocess.run([program("exo-install"), *arguments], capture_output=True, text=True, check=False, timeout=120,
                          env=environment, **stdin)
    assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
    return done


def sweep(kube):
    left = ours(kube)
    if not left:
        return
    kube.helm("uninstall", "agentkube", "--namespace", SYSTEM, "--ignore-not-found")
    if kube.get(NAMESPACE):  # a namespace that still has pods takes ten seconds more
        for path in ("/apis/apps/v1", "/api/v1"):
            for kind in {"/apis/apps/v1": ("deployments", "replicasets"), "/api/v1": ("pods",)}[path]:
                kube.api("DELETE", f"{path}/namespaces/{SYSTEM}/{kind}?gracePeriodSeconds=0&propagationPolicy=Background")
        wait_for(lambda: not kube.items(f"/api/v1/namespaces/{SYSTEM}/pods"), "the pods to be gone", 60)
    paths = {"customresourcedefinitions": DEFINITIONS, "namespaces": "/api/v1/namespaces"}
    for one in ours(kube):
        kind, name = one.split("/")
        group = "admissionregistration.k8s.io" if kind.startswith("validating") else "rbac.authorization.k8s.io"
        path = f"{paths.get(kind, f'/apis/{group}/v1/{kind}')}/{name}"
        kube.api("DELETE", path)
    wait_for(lambda: not ours(kube), "everything of ours to be gone", 60)


@pytest.fixture
def clean(control_plane):
    """A cluster without anything of ours; afterwards the definitions are back for the tests in other files."""
    if control_plane.foreign:
        pytest.skip("removes all definitions, which is not for a cluster of yours")
    sweep(control_plane)
    yield control_plane
    sweep(control_plane)
    control_plane.install_crds()


def ours(kube):
    """Everything in the cluster that names us, as kind/name."""
    paths = (DEFINITIONS, "/api/v1/namespaces", "/apis/rbac.authorization.k8s.io/v1/clusterroles",
             "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
             "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations")
    return sorted(f"{path.rsplit('/', 1)[1]}/{one['metadata']['name']}" for path in paths for one in kube.items(path)
                  if "agentkube" in one["metadata"]["name"])


# ---- install
def test_a_clean_install_makes_what_the_dry_run_prints(clean):
    printed = [one for one in yaml.safe_load_all(run(clean, "operator", "--dry-run").stdout) if one]
    assert ours(clean) == []
    done = run(clean, "operator", "--no-wait")
    lines = [line.split("  ") for line in done.stdout.splitlines() if "/" in line and "  " in line]
    assert len(lines) == len(printed) and {how for _, how in lines} == {"created"}
    for one in printed:
        where = ["-n", SYSTEM] if one["metadata"].get("namespace") else []
        live = json.loads(clean.must("get", one["kind"], one["metadata"]["name"], *where, "-o", "json", "--show-managed-fields"))
        # definitions stay free for a chart that is installed after an uninstall
        wanted = None if one["kind"] == "CustomResourceDefinition" else "exo-install"
        assert live["metadata"]["labels"].get("app.kubernetes.io/managed-by") == wanted
        managers = [entry["manager"] for entry in live["metadata"]["managedFields"] if entry["operation"] == "Apply"]
        assert managers == ["exo-install"]


def test_running_it_again_changes_nothing(clean):
    run(clean, "operator", "--no-wait")
    before = {path: clean.get(path)["metadata"]["resourceVersion"] for path in (RECORD, ROLE, NAMESPACE)}
    generation = clean.get(DEPLOYMENT)["metadata"]["generation"]
    done = run(clean, "operator", "--no-wait")
    assert {line.split("  ")[1] for line in done.stdout.splitlines() if "  " in line} == {"unchanged"}
    assert before == {path: clean.get(path)["metadata"]["resourceVersion"] for path in before}
    assert clean.get(DEPLOYMENT)["metadata"]["generation"] == generation


def test_a_half_failed_install_is_completed(clean):
    run(clean, "operator", "--no-wait")
    clean.must("delete", "-n", SYSTEM, "deployment/agentkube-manager", "service/agentkube-manager", "configmap/exo-install")
    clean.must("delete", "clusterrolebinding", "agentkube-manager")
    run(clean, "operator", "--no-wait")
    assert clean.get(DEPLOYMENT)
    # it still knows that the namespace is its own
    assert clean.get(RECORD)["data"]["namespace"] == "made by exo-install"


def test_only_definitions(clean):
    done = run(clean, "crds")
    assert "5 definitions" in done.stdout
    assert len(clean.items(DEFINITIONS)) == 5 and clean.get(NAMESPACE) is None
    clean.must("get", "agents", "-A")


def test_definitions_are_upgraded_and_objects_stay(clean, namespace):
    run(clean, "crds")
    agent = {"apiVersion": "agentkube.io/v1alpha1", "kind": "Agent", "metadata": {"name": "a"},
             "spec": {"runtime": "ClaudeCode", "paused": True, "goal": {"inline": "x"}}}
    clean.apply(agent, namespace=namespace)
    patch = {"spec": {"names": {"shortNames": ["ag", "older"]}}}
    status, body = clean.api("PATCH", f"{DEFINITIONS}/agents.agentkube.io", patch, patch="merge")
    assert status == 200, body
    assert "agents.agentkube.io  configured" in run(clean, "crds").stdout
    assert clean.get(f"{DEFINITIONS}/agents.agentkube.io")["spec"]["names"]["shortNames"] == ["ag"]
    assert clean.agent(namespace, "a")


def test_a_stored_version_that_this_one_does_not_know_stops_it(clean):
    run(clean, "crds")
    path = f"{DEFINITIONS}/tools.agentkube.io"
    live = clean.get(path)
    version = {**live["spec"]["versions"][0], "name": "v1", "storage": False}
    clean.api("PATCH", path, {"spec": {"versions": live["spec"]["versions"] + [version]}}, patch="merge")
    status, body = clean.api("PATCH", path + "/status", {"status": {"storedVersions": ["v1", "v1alpha1"]}}, patch="merge")
    assert status == 200, body
    done = run(clean, "crds", code=PREFLIGHT)
    assert "tools.agentkube.io has objects stored as v1" in done.stderr
    assert len(clean.get(path)["spec"]["versions"]) == 2


# ---- managed mode
def test_managed_without_a_token_changes_nothing_and_names_the_secret(clean):
    done = run(clean, "operator", "--managed", "--base-url", "https://exo.example.com", "--no-wait", code=PREFLIGHT)
    assert "create secret generic agentkube-auth --from-file=token=" in done.stderr
    assert ours(clean) == []


def test_managed_with_a_token_from_a_file(clean, tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    done = run(clean, "operator", "--managed", "--base-url", "https://exo.example.com", "--token-file", str(path), "--no-wait")
    assert clean.get(SECRET)["data"] == {"token": base64.b64encode(TOKEN.encode()).decode()}
    assert TOKEN not in done.stdout + done.stderr and "not in this version" in done.stdout
    assert TOKEN not in json.dumps(clean.get(RECORD))
    # the next time it is there already
    run(clean, "operator", "--managed", "--no-wait")


@pytest.mark.parametrize("text", ["", "exo_dpl_123", "exo_dpl_" + "g" * 32, TOKEN + "0", "x" * 100000])
def test_what_is_no_token_is_refused(clean, text):
    done = run(clean, "operator", "--managed", "--token-file", "-", "--no-wait", code=USAGE, input=text)
    assert "--token-file" in done.stderr and ours(clean) == []
    assert not text or text not in done.stderr


def ask_on_terminal(kube, typed):
    """Runs it with a terminal as stdin and stderr; returns (exit code, what the terminal showed)."""
    outer, inner = pty.openpty()
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", "KUBECONFIG": kube.kubeconfig}
    process = subprocess.Popen([program("exo-install"), "operator", "--managed", "--no-wait"], stdin=inner, stderr=inner,
                               stdout=subprocess.PIPE, env=environment)
    shown, before = b"", termios.tcgetattr(inner)
    try:
        while process.poll() is None:
            if select.select([outer], [], [], 0.2)[0]:
                shown += os.read(outer, 4096)
            if typed and b"not shown" in shown:
                wait_for(lambda: not termios.tcgetattr(inner)[3] & termios.ECHO, "the echo to be off", 10)
                os.write(outer, typed)
                typed = b""
        process.communicate(timeout=60)
        while select.select([outer], [], [], 0)[0]:
            shown += os.read(outer, 4096)
        assert termios.tcgetattr(inner) == before, "the terminal is left as it was"
    finally:
        if process.poll() is None:
            process.kill()
        os.close(outer)
        os.close(inner)
    return process.returncode, shown.decode()


def test_a_token_is_asked_for_without_echo(clean):
    code, shown = ask_on_terminal(clean, TOKEN.encode() + b"\r")
    assert code == OK, shown
    assert "exo_dpl" not in shown
    assert clean.get(SECRET)


def test_control_c_at_the_question_changes_nothing(clean):
    code, shown = ask_on_terminal(clean, b"exo\x03")
    assert code == FAILED and "nothing was changed" in shown
    assert ours(clean) == []


# ---- values and upgrades
def test_an_upgrade_keeps_the_values_and_takes_new_ones_on_top(clean):
    run(clean, "operator", "--no-wait", "--replicas", "2", "--set", "manager.logLevel=debug")
    run(clean, "upgrade", "--no-wait", "--set", "manager.workers=8")
    spec = clean.get(DEPLOYMENT)["spec"]
    args = spec["template"]["spec"]["containers"][0]["args"]
    assert spec["replicas"] == 2 and "--log-level=debug" in args and "--workers=8" in args
    # `operator` starts from the defaults again
    run(clean, "operator", "--no-wait")
    assert clean.get(DEPLOYMENT)["spec"]["replicas"] == 1


def test_an_upgrade_of_nothing_says_so(clean):
    assert "exo-install operator" in run(clean, "upgrade", "--no-wait", code=PREFLIGHT).stderr


def test_a_downgrade_is_refused(clean):
    run(clean, "operator", "--no-wait")
    clean.must("label", "--overwrite", "-n", SYSTEM, "deployment/agentkube-manager", "app.kubernetes.io/version=99.1.0")
    done = run(clean, "upgrade", "--no-wait", code=PREFLIGHT)
    assert "version 99.1.0 is installed" in done.stderr
    run(clean, "upgrade", "--no-wait", "--allow-downgrade", "--force-conflicts")


def test_a_webhook_that_is_switched_off_is_taken_away(clean):
    run(clean, "operator", "--no-wait")
    assert clean.get(WEBHOOK) and clean.get(ROLE + "-webhook")
    run(clean, "upgrade", "--no-wait", "--webhook=false")
    assert clean.get(WEBHOOK) is None and clean.get(ROLE + "-webhook") is None


def test_the_managers_certificate_authority_stays_through_an_upgrade(clean):
    run(clean, "operator", "--no-wait")
    live = clean.get(WEBHOOK)
    for one in live["webhooks"]:
        one["clientConfig"]["caBundle"] = "LS0tCg=="
    status, body = clean.api("PUT", WEBHOOK + "?fieldManager=agentkube-manager", live)
    assert status == 200, body
    run(clean, "upgrade", "--no-wait")
    assert {one["clientConfig"].get("caBundle") for one in clean.get(WEBHOOK)["webhooks"]} == {"LS0tCg=="}


# ---- others were here
def test_a_helm_release_is_left_alone_with_the_way_on(clean):
    assert clean.helm("install", *RELEASE).returncode == 0
    before = clean.get(DEPLOYMENT)["metadata"]["generation"]
    for verb in (["operator"], ["operator", "--force-conflicts"], ["upgrade"]):
        done = run(clean, *verb, "--no-wait", code=PREFLIGHT)
        assert "helm upgrade agentkube" in done.stderr and "helm uninstall" in done.stderr
    assert "helm upgrade agentkube" in run(clean, "crds", code=PREFLIGHT).stderr
    assert "helm uninstall agentkube" in run(clean, "uninstall", "--purge", "--yes", code=PREFLIGHT).stderr
    assert clean.get(DEPLOYMENT)["metadata"]["generation"] == before
    assert "Helm release" in run(clean, "status", code=FAILED).stdout


def test_definitions_that_a_helm_release_left_behind_are_taken_over(clean):
    assert clean.helm("install", *RELEASE).returncode == 0
    assert clean.helm("uninstall", "agentkube", "--namespace", SYSTEM).returncode == 0
    run(clean, "operator", "--no-wait")
    metadata = clean.get(f"{DEFINITIONS}/agents.agentkube.io")["metadata"]
    assert "meta.helm.sh/release-name" not in metadata.get("annotations", {})
    assert "app.kubernetes.io/managed-by" not in metadata["labels"]
    # the namespace was Helm's doing, so it stays
    run(clean, "uninstall")
    assert clean.get(NAMESPACE)


def test_a_chart_may_follow_on_definitions_that_an_uninstall_left_behind(clean):
    run(clean, "operator", "--no-wait")
    run(clean, "uninstall")
    assert clean.get(f"{DEFINITIONS}/agents.agentkube.io")
    done = clean.helm("install", *RELEASE)
    assert done.returncode == 0, done.stderr


def test_an_install_by_hand_is_taken_over_only_when_asked(clean):
    clean.must("apply", "-f", "agentkube/config/crd-generated/")
    clean.must("apply", "-f", "agentkube/config/")
    done = run(clean, "operator", "--no-wait", code=PREFLIGHT)
    assert "made by hand" in done.stderr and "--force-conflicts" in done.stderr
    run(clean, "operator", "--no-wait", "--force-conflicts", "--replicas", "2")
    assert clean.get(DEPLOYMENT)["spec"]["replicas"] == 2


def test_a_conflict_is_found_before_anything_is_changed_and_names_the_field(clean):
    run(clean, "operator", "--no-wait")
    clean.must("patch", "-n", SYSTEM, "deployment/agentkube-manager", "--type=merge", "-p", '{"spec":{"replicas":3}}')
    done = run(clean, "upgrade", "--no-wait", "--set", "manager.workers=7", code=PREFLIGHT)
    assert ".spec.replicas" in done.stderr and "--force-conflicts" in done.stderr
    assert clean.get(DEPLOYMENT)["spec"]["replicas"] == 3
    run(clean, "upgrade", "--no-wait", "--force-conflicts")
    assert clean.get(DEPLOYMENT)["spec"]["replicas"] == 1


def test_the_pod_security_level_of_a_namespace_that_is_there_stays(clean):
    clean.must("create", "namespace", SYSTEM)
    clean.must("label", "namespace", SYSTEM, "pod-security.kubernetes.io/enforce=privileged")
    done = run(clean, "operator", "--no-wait")
    assert "left as it is" in done.stdout
    assert clean.get(NAMESPACE)["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "privileged"


# ---- permissions
@pytest.fixture
def account(clean, tmp_path):
    """make(rules) -> kubeconfig of a ServiceAccount that has these rules in the whole cluster."""
    def make(rules):
        clean.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "installer", "namespace": "default"}},
                    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "t-installer"},
                     "rules": rules},
                    {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "t-installer"},
                     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "t-installer"},
                     "subjects": [{"kind": "ServiceAccount", "name": "installer", "namespace": "default"}]})
        status, answer = clean.api("POST", "/api/v1/namespaces/default/serviceaccounts/installer/token",
                                   {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})
        assert status == 201, answer
        with open(clean.kubeconfig, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        for user in config["users"]:
            user["user"] = {"token": answer["status"]["token"]}
        path = tmp_path / "kubeconfig"
        path.write_text(yaml.safe_dump(config))
        return str(path)

    yield make
    clean.kubectl("delete", "clusterrole/t-installer", "clusterrolebinding/t-installer", "--ignore-not-found")
    clean.kubectl("delete", "-n", "default", "serviceaccount/installer", "--ignore-not-found")


def test_missing_permissions_are_listed_all_at_once(clean, account):
    kubeconfig = account([{"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}])
    done = run(clean, "operator", "--no-wait", code=PREFLIGHT, kubeconfig=kubeconfig)
    for missing in ("create customresourcedefinitions.apiextensions.k8s.io", "patch namespaces \"agentkube-system\"",
                    "create deployments.apps in namespace agentkube-system",
                    "create validatingwebhookconfigurations.admissionregistration.k8s.io"):
        assert f"not allowed: {missing}" in done.stderr, done.stderr
    assert "not allowed: get namespaces" not in done.stderr
    assert ours(clean) == []


def test_a_role_that_this_user_may_not_hand_out_is_found_before_anything_is_changed(clean, account):
    full = ["get", "list", "create", "patch", "delete"]
    kubeconfig = account([
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": full},
        {"apiGroups": [""], "resources": ["namespaces", "serviceaccounts", "services", "configmaps", "secrets"], "verbs": full},
        {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": full},
        {"apiGroups": ["admissionregistration.k8s.io"], "resources": ["validatingwebhookconfigurations"], "verbs": full},
        {"apiGroups": ["rbac.authorization.k8s.io"],
         "resources": ["clusterroles", "clusterrolebindings", "roles", "rolebindings"], "verbs": full}])
    done = run(clean, "operator", "--no-wait", code=PREFLIGHT, kubeconfig=kubeconfig)
    assert "clusterrole.rbac.authorization.k8s.io/agentkube-manager" in done.stderr
    assert "attempting to grant RBAC permissions not currently held" in done.stderr
    assert ours(clean) == []


# ---- waiting
def test_waiting_ends_with_the_reason_in_words(clean):
    done = run(clean, "operator", "--timeout", "15s", code=TIMEOUT)  # the definitions are served by then
    assert "no node takes it" in done.stderr or "0 of 1 pods" in done.stderr
    assert "pods" in run(clean, "status", code=FAILED).stdout


def test_status_as_json(clean):
    found = json.loads(run(clean, "status", "-o", "json", code=FAILED).stdout)
    assert found["works"] is False
    run(clean, "operator", "--no-wait")
    found = json.loads(run(clean, "status", "-o", "json", code=FAILED).stdout)
    pieces = {one["piece"]: one["ok"] for one in found["pieces"]}
    assert pieces["definitions"] and pieces["objects"] and not pieces["pods"]


def test_a_cluster_that_cannot_be_reached_is_an_error(clean, tmp_path):
    with open(clean.kubeconfig, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    for one in config["clusters"]:
        one["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    assert "127.0.0.1:1" in run(clean, "status", code=FAILED, kubeconfig=str(path)).stderr



# ---- uninstall
def test_uninstalling_leaves_definitions_and_agents_and_nothing_else(clean, namespace):
    run(clean, "operator", "--managed", "--token-file", "-", "--no-wait", input=TOKEN)
    agent = {"apiVersion": "agentkube.io/v1alpha1", "kind": "Agent", "metadata": {"name": "a"},
             "spec": {"runtime": "ClaudeCode", "paused": True, "goal": {"inline": "x"}}}
    clean.apply(agent, namespace=namespace)
    clean.must("label", "namespace", namespace, "agentkube.io/gated=true")
    clean.must("label", "namespace", "default", "agentkube.io/gated=true")
    run(clean, "uninstall")
    assert [one for one in ours(clean) if not one.startswith("customresourcedefinitions/")] == []
    assert len(ours(clean)) == 5 and clean.agent(namespace, "a")
    assert "agentkube.io/gated" in clean.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]
    assert "agentkube.io/gated" not in clean.get("/api/v1/namespaces/default")["metadata"].get("labels", {})


def test_purging_takes_definitions_and_objects_too(clean, namespace):
    run(clean, "operator", "--no-wait")
    tool = {"apiVersion": "agentkube.io/v1alpha1", "kind": "Agent", "metadata": {"name": "a"},
            "spec": {"runtime": "ClaudeCode", "paused": True, "goal": {"inline": "x"}}}
    clean.apply(tool, namespace=namespace)
    done = run(clean, "uninstall", "--purge", code=USAGE)
    assert "1 agents" in done.stderr and "--yes" in done.stderr
    assert clean.agent(namespace, "a") and clean.get(DEPLOYMENT)
    run(clean, "uninstall", "--purge", "--yes")
    assert ours(clean) == []


def test_a_namespace_with_something_of_somebody_else_stays(clean):
    run(clean, "operator", "--no-wait")
    clean.apply({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "mine"},
                 "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}, namespace=SYSTEM)
    done = run(clean, "uninstall")
    assert 'because of PersistentVolumeClaim "mine"' in done.stdout
    assert clean.get(NAMESPACE) and clean.get(DEPLOYMENT) is None


def test_uninstalling_twice_is_fine(clean):
    run(clean, "operator", "--no-wait")
    run(clean, "uninstall", "--purge", "--yes")
    run(clean, "uninstall", "--purge", "--yes")


# ---- without a network
def test_a_bundle_installs(clean, tmp_path):
    archives = tmp_path / "archives"
    archives.mkdir()
    (archives / "manager.tar").write_bytes(b"x" * 1000)
    bundle = tmp_path / "b.tar"
    run(clean, "bundle", "--file", str(bundle), "--images", str(archives))
    with tarfile.open(bundle) as file:
        file.extractall(tmp_path)
    folder = next(path for path in tmp_path.iterdir() if path.name.startswith("agentkube-"))
    assert (folder / "images/manager.tar").read_bytes() == b"x" * 1000
    assert (folder / "images.txt").read_text() == run(clean, "images").stdout
    assert os.access(folder / "exo-install", os.X_OK)
    plain = run(clean, "operator", "--dry-run", "--image-registry", "m.example").stdout
    assert run(clean, "operator", "--dry-run", "--image-registry", "m.example", "--offline", str(folder)).stdout == plain
    run(clean, "operator", "--offline", str(folder), "--no-wait")
    assert clean.get(DEPLOYMENT)
    # what was changed on the way is noticed
    path = folder / "manifests/operator/02-clusterrole.yaml"
    path.write_text(path.read_text() + "\n")
    assert "is not the file that was packed" in run(clean, "crds", "--offline", str(folder), code=FAILED).stderr


def test_the_list_of_images_has_the_manager_and_every_runtime_and_type_of_tool_that_has_one(control_plane):
    named = set()
    for table in ("/src/runtimes/runtimes.c", "/src/engines/engine.c"):
        with open(ROOT + table, encoding="utf-8") as file:
            found = re.findall(r'\.image = "([a-z-]+)"', file.read())
        assert found
        named |= set(found)
    listed = run(control_plane, "images", "--image-registry", "m.example/x").stdout.split()
    assert {one.split("/")[-1].split(":")[0] for one in listed} == named | {"agentkube-manager"}
    assert all(one.startswith("m.example/x/adaptivelive/") for one in listed)


# ---- usage
@pytest.mark.parametrize("arguments,said", [
    ([], "which verb"), (["nobody"], "nobody"), (["platform"], "control plane"), (["operator", "-n", "x"], "agentkube-system"),
    (["crds", "--replicas", "2"], "no flag --replicas"), (["operator", "--nobody"], "--nobody"), (["operator", "x"], "x"),
    (["operator", "--set"], "needs a value"), (["operator", "--timeout", "soon"], "--timeout"), (["status", "-o", "xml"], "must be one of yaml|json"),
    (["operator", "--dry-run", "--offline", "/nonexistent"], "bundle.json")])
def test_usage_mistakes(control_plane, arguments, said):
    done = run(control_plane, *arguments, code=FAILED if "/nonexistent" in arguments else USAGE)
    assert said in done.stderr and not done.stdout


@pytest.mark.parametrize("verb", ["crds", "operator", "upgrade", "status", "uninstall", "bundle", "images", "version"])
def test_every_verb_has_help(control_plane, verb):
    assert f"Usage: exo-install {verb}" in run(control_plane, verb, "--help").stdout
    assert verb in run(control_plane, "--help").stdout


def test_the_manual_page_names_every_verb_and_flag(control_plane):
    with open(ROOT + "/docs/man/exo-install.1", encoding="utf-8") as file:
        page = file.read().replace("\\-", "-")
    for verb in re.findall(r"^  (\w+)  ", run(control_plane, "--help").stdout, re.MULTILINE):
        assert f".B {verb}\n" in page
        for flag in re.findall(r"^  (--[a-z-]+)", run(control_plane, verb, "--help").stdout, re.MULTILINE):
            assert flag in page, flag
