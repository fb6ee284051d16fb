# SPDX-License-Identifier: Apache-2.0
"""The gate with real pods and the chart's own webhook: what a user with and without the grant gets."""
import json

from kubetest import wait_for
from kubetest.agents import agent

GATE = "agents/exec in API group agentkube.io is missing"


def user(agents, name):
    kube, namespace = agents.kube, agents.namespace
    kube.must("-n", namespace, "create", "role", name, "--verb=get,create",
              "--resource=pods,pods/exec,pods/attach,pods/portforward,pods/log")
    kube.must("-n", namespace, "create", "rolebinding", name, f"--role={name}", f"--user={name}")
    return name


def run(agents, name, *command, pod="bot"):
    return agents.kube.kubectl("-n", agents.namespace, f"--as={name}", "exec", pod, "--", *command, timeout=60)


def test_exec_needs_the_grant_and_then_works(agents):
    kube, namespace = agents.kube, agents.namespace
    agents.apply(agent("bot"))
    agents.wait_phase("bot", "Running", timeout=180)
    assert kube.get(f"/api/v1/namespaces/{namespace}")["metadata"]["labels"]["agentkube.io/gated"] == "true"
    user(agents, "bob")
    refused = run(agents, "bob", "id", "-u")
    assert refused.returncode != 0 and GATE in refused.stderr and not refused.stdout, refused
    kube.must("-n", namespace, "create", "role", "enter", "--verb=create", "--resource=agents.agentkube.io/exec",
              "--resource-name=bot")
    kube.must("-n", namespace, "create", "rolebinding", "enter", "--role=enter", "--user=bob")
    allowed = wait_for(lambda: (lambda done: done.returncode == 0 and done)(run(agents, "bob", "id", "-u")), "exec to work")
    assert allowed.stdout.strip() == "65532"
    lines = kube.must("-n", "agentkube-system", "logs", "deploy/agentkube-manager", "--tail=-1").splitlines()
    audit = [one for one in map(json.loads, filter(None, lines)) if one.get("logger") == "audit" and one.get("namespace") == namespace]
    assert {one["verdict"] for one in audit if one["user"] == "bob"} == {"denied", "allowed"}


def test_logs_and_other_pods_stay_as_they_were(agents):
    kube, namespace = agents.kube, agents.namespace
    agents.apply(agent("bot"))
    agents.wait_phase("bot", "Running", timeout=180)
    user(agents, "bob")
    assert kube.kubectl("-n", namespace, "--as=bob", "logs", "bot").returncode == 0
    image = agents.pod("bot")["spec"]["containers"][0]["image"]
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "plain"}, "spec": {"containers": [
        {"name": "c", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "1000"]}]}}, namespace=namespace)
    kube.must("-n", namespace, "wait", "--for=condition=Ready", "pod/plain", "--timeout=120s", timeout=150)
    assert run(agents, "bob", "true", pod="plain").returncode == 0


def test_what_the_webhook_refuses_it_refuses_here_too(agents):
    def said():
        done = agents.kube.kubectl("create", "-n", agents.namespace, "--dry-run=server", "-f", "-",
                                   input=json.dumps(agent("bad", runtime="Custom")))
        return done.returncode != 0 and done.stderr
    assert "spec.image: must be set" in wait_for(said, "the webhook to be asked")
