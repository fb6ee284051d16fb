# SPDX-License-Identifier: Apache-2.0
"""The admission webhook on a real API server: who gets into Agents' pods, which objects are accepted, and whose
certificate the API server trusts.

There is no kubelet here, but admission comes before the kubelet is called: who is let in gets another error.
The configuration is the one that is installed, with the manager's address in place of the Service's.
"""
import base64
import json
import os
import re
import subprocess
import time
import uuid

import pytest
import yaml

from kubetest import wait_for
from kubetest.cluster import ROOT, start_cluster
from kubetest.manager import free_port

HOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
MANIFEST = os.path.join(ROOT, "agentkube/config/07-webhook.yaml")
SECRET = "agentkube-webhook-cert"
AGENT = {"apiVersion": "agentkube.io/v1alpha1", "kind": "Agent", "metadata": {"name": "bot"},
         "spec": {"runtime": "ClaudeCode", "paused": False, "goal": {"inline": "Say hello."},
                  "agentToken": {"secretRef": {"name": "key", "key": "token"}}}}


@pytest.fixture(scope="module")
def control_plane(scratch):
    """One of its own: debug containers have to be switched on in old versions."""
    os.environ["AGENTKUBE_FEATURE_GATES"] = "EphemeralContainers=true"
    try:
        kube, down = start_cluster(scratch, control_plane_only=True)
    finally:
        del os.environ["AGENTKUBE_FEATURE_GATES"]
    try:
        kube.ready()
        kube.install_crds()
        yield kube
    finally:
        down()


def agent(name="bot", **spec):
    return {**AGENT, "metadata": {"name": name}, "spec": {**AGENT["spec"], **spec}}


def configuration(port, name):
    """What is installed, reached by URL."""
    with open(MANIFEST, encoding="utf-8") as file:
        hooks = yaml.safe_load(file)
    hooks["metadata"] = {"name": name}
    for hook in hooks["webhooks"]:
        service = hook["clientConfig"].pop("service")
        hook["clientConfig"] = {"url": f"https://127.0.0.1:{port}{service['path']}"}
    return hooks


class Webhook:
    """A configuration of its own for each test, and managers that serve it."""

    def __init__(self, kube, namespace, start):
        self.kube, self.namespace, self.start = kube, namespace, start
        self.name = "hooks-" + uuid.uuid4().hex[:8]
        self.port = free_port()

    def install(self):
        hooks = configuration(self.port, self.name)
        for hook in hooks["webhooks"]:  # tests that run beside this one are left alone
            there = {"key": "agentkube-test", "operator": "In", "values": [self.name]}
            selector = hook.setdefault("namespaceSelector", {})
            selector.setdefault("matchExpressions", []).append(there)
        self.kube.api("PATCH", f"/api/v1/namespaces/{self.namespace}",
                      {"metadata": {"labels": {"agentkube-test": self.name}}}, patch="merge")
        status, body = self.kube.api("POST", HOOKS, hooks)
        assert status == 201, body

    def remove(self):
        self.kube.api("DELETE", f"{HOOKS}/{self.name}")

    def flags(self, port=None):
        return ["--webhook=true", f"--webhook-bind-address=127.0.0.1:{port or self.port}", "--webhook-names=127.0.0.1",
                f"--webhook-configuration={self.name}"]

    def serve(self, *flags, **more):
        return self.start(*self.flags(), *flags, **more)

    def hooks(self):
        return self.kube.get(f"{HOOKS}/{self.name}")["webhooks"]

    def bundles(self):
        return {hook["clientConfig"].get("caBundle") for hook in self.hooks()}

    def trusted(self):
        found = self.bundles()
        return found if None not in found and len(found) == 1 else None

    def wait_trusted(self):
        return wait_for(self.trusted, "the caBundle", timeout=60)

    def refuses(self, obj):
        """kubectl's stderr if the API server refuses the object, None if it takes it. Nothing is stored."""
        done = self.kube.kubectl("create", "-n", self.namespace, "--dry-run=server", "-f", "-", input=json.dumps(obj))
        return done.stderr if done.returncode else None

    def works(self):
        """The API server may need a moment to see a new configuration or caBundle."""
        said = self.refuses(agent(runtime="Custom", image=None))
        return said and "spec.image" in said

    def wait_works(self):
        self.wait_trusted()
        wait_for(self.works, "the webhook to be asked", timeout=60)


@pytest.fixture
def webhook(control_plane, namespace, manager):
    one = Webhook(control_plane, namespace, manager)
    one.install()
    yield one
    one.remove()


@pytest.fixture
def served(webhook):
    webhook.manager = webhook.serve().wait_leading()
    webhook.wait_works()
    return webhook


def user_of(kube, namespace, name, *rules):
    """A user who may do with pods what Kubernetes asks for, and what `rules` say."""
    role = f"{name}-pods"
    kube.must("-n", namespace, "create", "role", role, "--verb=get,create,update,patch",
              "--resource=pods,pods/exec,pods/attach,pods/portforward,pods/ephemeralcontainers")
    kube.must("-n", namespace, "create", "rolebinding", role, f"--role={role}", f"--user={name}")
    return name


def enter(kube, namespace, user, way, pod="bot"):
    """What kubectl says to a user who wants to get into a pod. There is no kubelet, so it never works."""
    ways = {"exec": ["exec", pod, "--", "true"], "attach": ["attach", pod], "portforward": ["port-forward", pod, ":80"]}
    done = kube.kubectl("-n", namespace, f"--as={user}", *ways[way], timeout=60)
    assert done.returncode != 0, done.stdout
    return done.stderr


def placed(kube, namespace, pod="bot"):
    """The pod of the Agent, running on a node that does not exist: as far as exec gets here."""
    path = f"/api/v1/namespaces/{namespace}/pods/{pod}"
    found = wait_for(lambda: kube.get(path), f"pod {pod}", timeout=60)
    if not found["spec"].get("nodeName"):
        kube.api("POST", path + "/binding", {"metadata": {"name": pod}, "target": {"kind": "Node", "name": "nowhere"}})
    kube.api("PATCH", path + "/status", {"status": {"phase": "Running", "containerStatuses": [
        {"name": found["spec"]["containers"][0]["name"], "image": "i", "imageID": "", "ready": True, "restartCount": 0,
         "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}]}}, patch="merge")
    return found


def with_agent(webhook):
    kube, namespace = webhook.kube, webhook.namespace
    kube.must("-n", namespace, "create", "secret", "generic", "key", "--from-literal=token=t")
    kube.apply(agent(), namespace=namespace)
    return placed(kube, namespace)


def missing_grant(said):
    return "the grant to create agents/exec in API group agentkube.io is missing" in said


def gate_lines(manager, **wanted):
    return [line for line in manager.log_lines() if line.get("logger") == "audit"
            and all(line.get(key) == value for key, value in wanted.items())]


# ---- the gate

def test_only_a_user_with_the_grant_gets_into_an_agents_pod(served):
    kube, namespace = served.kube, served.namespace
    with_agent(served)
    labels = kube.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]
    assert labels["agentkube.io/gated"] == "true"
    user_of(kube, namespace, "bob")
    for way in ("exec", "attach", "portforward"):
        said = enter(kube, namespace, "bob", way)
        assert missing_grant(said) and 'Agent "bot"' in said, said
        assert gate_lines(served.manager, verdict="denied", user="bob", action=way, namespace=namespace, name="bot",
                          ownerKind="Agent", ownerName="bot")
    # The message says how to give the grant, word for word.
    command = re.search(r"To give it: (kubectl .* && kubectl .*--user=bob)", said).group(1)
    for part in command.split(" && "):
        kube.must(*part.split()[1:])
    for way in ("exec", "attach", "portforward"):
        said = wait_for(lambda: not missing_grant(enter(kube, namespace, "bob", way)) and enter(kube, namespace, "bob", way),
                        f"{way} to be let through", timeout=60)
        assert "nowhere" in said or "dial" in said or "not found" in said or "unable to upgrade" in said, said
        assert gate_lines(served.manager, verdict="allowed", user="bob", action=way)
    # The grant names the Agent: another one stays closed.
    kube.apply(agent("other"), namespace=namespace)
    placed(kube, namespace, "other")
    assert missing_grant(enter(kube, namespace, "bob", "exec", pod="other"))


def test_debug_containers_need_the_grant_too(served):
    kube, namespace = served.kube, served.namespace
    pod = with_agent(served)
    user_of(kube, namespace, "bob")
    path = f"/api/v1/namespaces/{namespace}/pods/bot/ephemeralcontainers"
    debug = {"name": "debug", "image": "busybox:1", "imagePullPolicy": "IfNotPresent", "terminationMessagePolicy": "File"}
    if kube.get(path).get("kind") == "EphemeralContainers":  # until Kubernetes 1.22 it is a kind of its own
        wanted = {"apiVersion": "v1", "kind": "EphemeralContainers", "metadata": {"name": "bot"}, "ephemeralContainers": [debug]}
    else:
        wanted = {**pod, "spec": {**pod["spec"], "ephemeralContainers": [debug]}}

    def add():
        return kube.kubectl("replace", "--as=bob", "--raw", path, "-f", "-", input=json.dumps(wanted))

    done = add()
    assert done.returncode != 0 and missing_grant(done.stderr) and "add debug containers to" in done.stderr, done.stderr
    said = kube.kubectl("-n", namespace, "--as=bob", "debug", "bot", "--image=busybox:1", "--target=agent", timeout=60)
    assert said.returncode != 0 and missing_grant(said.stderr), said.stderr
    assert gate_lines(served.manager, verdict="denied", user="bob", action="ephemeralcontainers")
    kube.must("-n", namespace, "create", "role", "enter", "--verb=create", "--resource=agents.agentkube.io/exec")
    kube.must("-n", namespace, "create", "rolebinding", "enter", "--role=enter", "--user=bob")
    wait_for(lambda: add().returncode == 0, "the debug container", timeout=30)


def test_a_service_account_is_told_its_own_command(served):
    kube, namespace = served.kube, served.namespace
    with_agent(served)
    name = f"system:serviceaccount:{namespace}:default"
    user_of(kube, namespace, name.replace(":", "-"))
    kube.must("-n", namespace, "create", "rolebinding", "sa-pods", f"--role={name.replace(':', '-')}-pods",
              f"--serviceaccount={namespace}:default")
    said = enter(kube, namespace, name, "exec")
    assert missing_grant(said) and f"--serviceaccount={namespace}:default" in said, said


def test_labels_open_nothing_and_neither_does_a_removed_owner(served):
    kube, namespace = served.kube, served.namespace
    with_agent(served)
    user_of(kube, namespace, "bob")
    wait_for(lambda: (kube.agent(namespace, "bot").get("status") or {}).get("podUID"), "the pod in the status")
    kube.must("-n", namespace, "--as=bob", "label", "pod", "bot", "app.kubernetes.io/managed-by-", "agentkube.io/agent-")
    assert missing_grant(enter(kube, namespace, "bob", "exec"))
    kube.must("-n", namespace, "--as=bob", "patch", "pod", "bot", "--type=json",
              "-p", '[{"op": "remove", "path": "/metadata/ownerReferences"}]')
    assert missing_grant(enter(kube, namespace, "bob", "exec"))


def test_other_pods_and_other_namespaces_are_not_gated(served):
    kube, namespace = served.kube, served.namespace
    with_agent(served)
    user_of(kube, namespace, "bob")
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "plain", "labels": {
        "app.kubernetes.io/managed-by": "agentkube-manager"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
        namespace=namespace)
    placed(kube, namespace, "plain")
    said = enter(kube, namespace, "bob", "exec", pod="plain")
    assert "agentkube" not in said, said
    assert not gate_lines(served.manager, name="plain")
    kube.must("-n", namespace, "create", "role", "nobody", "--verb=get", "--resource=pods")
    elsewhere = enter(kube, namespace, "bob", "exec", pod="absent")
    assert "not found" in elsewhere and "agentkube" not in elsewhere, elsewhere


def test_a_cluster_admin_needs_no_grant(served):
    kube, namespace = served.kube, served.namespace
    with_agent(served)
    done = kube.kubectl("-n", namespace, "exec", "bot", "--", "true", timeout=60)
    assert done.returncode != 0 and "agentkube" not in done.stderr, done.stderr
    assert gate_lines(served.manager, verdict="allowed", action="exec")


def test_while_the_webhook_is_down_nobody_gets_in_where_agents_are_and_all_others_do(served):
    kube, namespace = served.kube, served.namespace
    with_agent(served)
    user_of(kube, namespace, "bob")
    served.manager.stop()
    said = enter(kube, namespace, "bob", "exec")
    assert "failed calling webhook" in said or "InternalError" in said or "Internal error" in said, said
    # Without the label the webhook is not asked.
    kube.must("label", "namespace", namespace, "agentkube.io/gated-")
    wait_for(lambda: "webhook" not in enter(kube, namespace, "bob", "exec"), "the gate to be open", timeout=30)


def test_without_a_webhook_nothing_is_labelled_and_nothing_is_gated(control_plane, namespace, manager):
    one = manager().wait_leading()
    control_plane.must("-n", namespace, "create", "secret", "generic", "key", "--from-literal=token=t")
    control_plane.apply(agent(), namespace=namespace)
    placed(control_plane, namespace)
    user_of(control_plane, namespace, "bob")
    assert "agentkube" not in enter(control_plane, namespace, "bob", "exec")
    assert "agentkube.io/gated" not in (control_plane.get(f"/api/v1/namespaces/{namespace}")["metadata"].get("labels") or {})
    # What the webhook would have refused gets its condition.
    control_plane.apply(agent("bad", runtime="Custom"), namespace=namespace)
    wait_for(lambda: "spec.image" in json.dumps((control_plane.agent(namespace, "bad").get("status") or {}).get("conditions")),
             "the condition", timeout=30)
    assert one.running()


def test_a_removed_label_comes_back(webhook):
    kube, namespace = webhook.kube, webhook.namespace
    webhook.serve(f"--namespace={namespace}", all_namespaces=True).wait_leading()
    webhook.wait_works()
    with_agent(webhook)
    kube.must("label", "namespace", namespace, "agentkube.io/gated-")
    wait_for(lambda: kube.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"].get("agentkube.io/gated") == "true",
             "the label", timeout=30)


# ---- validation

def tool(**spec):
    return {"apiVersion": "agentkube.io/v1alpha1", "kind": "Tool", "metadata": {"name": "t"}, "spec": spec}


def mcp(*upstreams, **spec):
    return {"apiVersion": "agentkube.io/v1alpha1", "kind": "MCP", "metadata": {"name": "m"},
            "spec": {"upstreams": list(upstreams), **spec}}


def gateway(*upstreams, **spec):
    return {"apiVersion": "agentkube.io/v1alpha1", "kind": "LLMGateway", "metadata": {"name": "g"},
            "spec": {"upstreams": list(upstreams), **spec}}


def claw(**spec):
    return {"apiVersion": "agentkube.io/v1alpha1", "kind": "Claw", "metadata": {"name": "c"}, "spec": spec}


REFUSED = [
    (agent(runtime="Custom"), ["spec.image: must be set"]),
    (agent(mode="system"), ["spec.playbook.steps: mode system needs at least one step"]),
    (agent(schedule={"cron": "61 * * * *"}), ["spec.schedule.cron:"]),
    (agent(schedule={"cron": "@daily", "timeZone": "Mars/Olympus"}), ["spec.schedule.timeZone:"]),
    (agent(env=[{"name": "A", "value": "1"}, {"name": "ANTHROPIC_API_KEY", "value": "sk"}]), ["spec.env[1].name:", "reserved"]),
    (agent(podLabels={"agentkube.io/agent": "x"}), ["spec.podLabels:", "reserved"]),
    (agent(podAnnotations={"x.agentkube.io/y": "x"}), ["spec.podAnnotations:", "reserved"]),
    (agent(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}), ["spec.resources.requests[cpu]"]),
    (tool(type="postgres"), ["spec.config.hostname: must be set for type postgres"]),
    (tool(type="custom"), ["spec.config.image: must be set"]),
    (tool(type="postgres", config={"hostname": "db", "brokers": ["a:1"]}),
     ["spec.config.brokers: is not used by type postgres; remove it (postgres uses hostname, port,"]),
    (tool(type="ssh", config={"hostname": "h", "hostKey": "k"}, permissions={"readOnly": True}), ["spec.permissions.commands: must be set"]),
    (agent(tools=[{"name": "t", "operations": ["query", "rm"]}]), ['spec.tools[0].operations[1]: no type of Tool has an operation "rm"']),
    (tool(type="postgres", config={"hostname": "db"}, permissions={"rules": [{"verbs": ["get"], "resources": ["pods"]}]}),
     ["spec.permissions.rules: cannot be enforced by type postgres"]),
    (mcp({"name": "a", "kind": "http"}), ["spec.upstreams[0].endpoint: must be set for kind http"]),
    (mcp({"name": "a", "kind": "mcpRef", "mcpRef": {"name": "m"}}), ["spec.upstreams[0].mcpRef.name: must not be the MCP itself"]),
    (mcp({"name": "a", "kind": "http", "endpoint": "https://x", "tools": {"allow": ["read"]}}), ["spec.upstreams[0].tools.allow"]),
    (gateway({"name": "a", "provider": "ollama"}), ["spec.upstreams[0].endpoint: must be set for provider ollama"]),
    (gateway({"name": "a", "provider": "openai"}, routing={"modelMap": [{"from": "x", "to": "y", "upstream": "b"}]}),
     ['spec.routing.modelMap[0].upstream: there is no upstream "b"']),
    (claw(packages=[{"name": "p", "version": "1", "registry": "r"}]), ["spec.packages[0].registry"]),
]


def test_what_is_wrong_is_refused_with_the_path_and_what_to_do(served):
    for obj, words in REFUSED:
        said = served.refuses(obj)
        assert said, f"{obj} was accepted"
        for word in words:
            assert word in said, f"{word!r} is not in {said!r}"
        assert f'The {obj["kind"]} "{obj["metadata"]["name"]}" is invalid' in said, said


SAMPLE_WARNINGS = {"claw.yaml": "spec.packages[1].version"}  # the sample shows a package that is not pinned


def test_every_sample_is_accepted_without_a_warning(served):
    folder = os.path.join(ROOT, "agentkube/samples")
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".yaml"):
            continue
        done = served.kube.kubectl("create", "-n", served.namespace, "--dry-run=server", "-f", os.path.join(folder, name))
        assert done.returncode == 0, f"{name}: {done.stderr}"
        warnings = [line for line in done.stderr.splitlines() if "Warning" in line and SAMPLE_WARNINGS.get(name, "?") not in line]
        assert not warnings, f"{name}: {warnings}"


def test_risks_are_warnings_and_what_goes_is_let_go(served):
    kube, namespace = served.kube, served.namespace
    done = kube.kubectl("apply", "-n", namespace, "-f", "-", input=json.dumps(agent(image="example.com/a:latest", paused=True)))
    assert done.returncode == 0 and "spec.image" in done.stderr and "Warning" in done.stderr, done.stderr
    # An immutable field.
    done = kube.kubectl("patch", "-n", namespace, "agent", "bot", "--type=merge", "-p", json.dumps(
        {"spec": {"workspace": {"persistent": True}}}))
    assert done.returncode == 0, done.stderr
    done = kube.kubectl("patch", "-n", namespace, "agent", "bot", "--type=merge", "-p", json.dumps(
        {"spec": {"workspace": {"accessMode": "ReadWriteMany"}}}))
    assert done.returncode != 0 and "spec.workspace.accessMode: cannot be changed" in done.stderr, done.stderr
    kube.must("delete", "-n", namespace, "agent", "bot", "--wait=false")


def test_an_object_that_was_bad_before_can_still_be_labelled_mended_and_deleted(webhook):
    kube, namespace = webhook.kube, webhook.namespace
    # Before there is a manager its caBundle is empty, and the API server cannot call it: so without configuration.
    webhook.remove()
    kube.apply(agent("old", runtime="Custom"), namespace=namespace)
    webhook.install()
    webhook.serve().wait_leading()
    webhook.wait_works()
    done = kube.kubectl("label", "-n", namespace, "agent", "old", "team=a")
    assert done.returncode == 0 and "spec.image" in done.stderr, done.stderr
    done = kube.kubectl("patch", "-n", namespace, "agent", "old", "--type=merge", "-p", '{"spec": {"paused": true}}')
    assert done.returncode != 0 and "spec.image" in done.stderr, done.stderr
    kube.must("patch", "-n", namespace, "agent", "old", "--type=merge", "-p", '{"spec": {"image": "example.com/a:1"}}')
    kube.must("delete", "-n", namespace, "agent", "old", "--wait=false")


# ---- the certificate

def secret_of(webhook):
    return webhook.kube.get(f"/api/v1/namespaces/{webhook.namespace}/secrets/{SECRET}")


def part(secret, key):
    return base64.b64decode(secret["data"][key]).decode()


def openssl(*arguments, input=None):
    return subprocess.run(["openssl", *arguments], input=input, capture_output=True, text=True, check=True).stdout


def test_the_bundle_comes_back_when_somebody_clears_it_and_nothing_else_changes(served):
    kube = served.kube
    before = served.hooks()
    kube.api("PATCH", f"{HOOKS}/{served.name}", [{"op": "remove", "path": "/webhooks/0/clientConfig/caBundle"}], patch="json")
    wait_for(served.trusted, "the caBundle again", timeout=60)
    assert served.hooks() == before
    assert len(gate_lines(served.manager)) == 0


def test_a_second_replica_serves_with_the_same_certificate(served, tmp_path):
    other_port = free_port()
    other = served.start(*served.flags(other_port), wait=False)
    other.wait_ready()
    authority = tmp_path / "ca.crt"
    authority.write_text(part(secret_of(served), "ca.crt"))

    def shown(port):
        done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(authority),
                               "-verify_return_error", "-verify_ip", "127.0.0.1"], input="", capture_output=True, text=True, check=False)
        found = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", done.stdout, re.DOTALL)
        return found and "Verify return code: 0" in done.stdout and found.group(0)

    first = wait_for(lambda: shown(served.port), "the first replica's certificate")
    assert wait_for(lambda: shown(other_port), "the second replica's certificate") == first
    old = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{served.port}", "-tls1_1"], input="",
                         capture_output=True, text=True, check=False)
    assert "BEGIN CERTIFICATE" not in old.stdout


def test_certificates_that_are_about_to_expire_are_replaced_while_the_webhook_works(webhook, tmp_path):
    """An authority with 100 days left and a serving certificate with 10: both are renewed, in steps, without a restart."""
    kube, namespace = webhook.kube, webhook.namespace
    folder = str(tmp_path)
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "100", "-subj",
            "/O=agentkube/CN=old", "-keyout", folder + "/ca.key", "-out", folder + "/ca.crt",
            "-addext", "keyUsage=critical,keyCertSign")
    names = "DNS:agentkube-manager." + namespace + ".svc,DNS:agentkube-manager." + namespace + ".svc.cluster.local," \
            "DNS:agentkube-manager." + namespace + ",DNS:agentkube-manager,IP:127.0.0.1"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=old-leaf",
            "-keyout", folder + "/tls.key", "-out", folder + "/leaf.csr")
    (tmp_path / "ext").write_text("subjectAltName=" + names + "\nextendedKeyUsage=serverAuth\n")
    openssl("x509", "-req", "-in", folder + "/leaf.csr", "-CA", folder + "/ca.crt", "-CAkey", folder + "/ca.key",
            "-days", "10", "-CAcreateserial", "-extfile", folder + "/ext", "-out", folder + "/tls.crt")
    kube.must("-n", namespace, "create", "secret", "generic", SECRET, "--type=kubernetes.io/tls",
              *[f"--from-file={name}={folder}/{name}" for name in ("ca.crt", "ca.key", "tls.crt", "tls.key")])
    webhook.manager = webhook.serve().wait_leading()
    old_authority = (tmp_path / "ca.crt").read_text().strip()

    def renewed():
        secret = secret_of(webhook)
        subject = openssl("x509", "-noout", "-subject", "-issuer", input=part(secret, "tls.crt"))
        return "CN = old" not in subject and secret

    asked, failed = 0, []
    webhook.wait_trusted()
    wait_for(webhook.works, "the webhook to work with the old authority")
    deadline = time.monotonic() + 60
    while not renewed():
        assert time.monotonic() < deadline, secret_of(webhook)
        said = webhook.refuses(agent(runtime="Custom"))
        asked += 1
        if not said or "spec.image" not in said:
            failed.append(said)
    secret = renewed()
    assert old_authority in part(secret, "ca.crt"), "the old authority is dropped too early"
    assert part(secret, "ca.crt").count("BEGIN") == 2
    assert webhook.works()
    assert asked and not failed, f"{len(failed)} of {asked}: {failed[:3]}"
    verify = tmp_path / "bundle.crt"
    verify.write_text(part(secret, "ca.crt"))
    assert ": OK" in openssl("verify", "-CAfile", str(verify), input=part(secret, "tls.crt"))
    # Only reads by name: nothing of a Secret is in the log.
    assert "PRIVATE KEY" not in webhook.manager.log() and "BEGIN CERT" not in webhook.manager.log()


def test_metrics_count_reviews_and_show_when_the_certificate_expires(served):
    assert served.refuses(agent(runtime="Custom"))
    assert served.refuses(agent()) is None
    assert served.manager.metric("agentkube_webhook_reviews_total", webhook="/validate", outcome="denied") >= 1
    assert served.manager.metric("agentkube_webhook_reviews_total", webhook="/validate", outcome="allowed") >= 1
    expires = served.manager.metric("agentkube_webhook_certificate_expiration_timestamp_seconds", certificate="serving")
    assert 80 * 86400 < expires - time.time() < 91 * 86400
