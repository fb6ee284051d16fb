# SPDX-License-Identifier: Apache-2.0
"""The definitions on a real API server: what it takes, what it refuses and in which words, what kubectl shows."""
import copy
import glob
import os
import subprocess
import sys

import pytest
import yaml

from kubetest import wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEFINITIONS = sorted(glob.glob(ROOT + "/agentkube/config/crd-generated/*.yaml"))
SAMPLES = sorted(glob.glob(ROOT + "/agentkube/samples/*.yaml"))
sys.path.insert(0, ROOT + "/api")
from generator import ctypes, source  # noqa: E402

GROUP = "agentkube.io"
KINDS = {"Agent": "agents", "Tool": "tools", "MCP": "mcps", "LLMGateway": "llmgateways", "Claw": "claws"}
TOOL_TYPES = ["ssh", "postgres", "mysql", "sqlserver", "mongodb", "redis", "clickhouse", "kubernetes", "http", "snowflake",
              "bigquery", "elasticsearch", "kafka", "oracle", "cockroachdb", "redshift", "rabbitmq", "custom"]
RUNTIMES = ["ClaudeCode", "Codex", "OpenCode", "Aider", "Cline", "Goose", "Cursor", "Custom"]


def documents(path):
    with open(path, encoding="utf-8") as file:
        return [document for document in yaml.safe_load_all(file) if document]


def ours(path):
    return [document for document in documents(path) if document["apiVersion"].startswith(GROUP + "/")]


def path_of(kind, namespace, name=""):
    return f"/apis/{GROUP}/v1alpha1/namespaces/{namespace}/{KINDS[kind]}" + (f"/{name}" if name else "")


def make(kind, spec, name="x"):
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def create(kube, namespace, obj, dry=False):
    """(status, message or object)"""
    status, body = kube.api("POST", path_of(obj["kind"], namespace) + ("?dryRun=All" if dry else ""), obj)
    return status, body if status == 201 else body["message"]


# ---- files

def test_the_definitions_and_the_reference_are_what_the_schemas_say():
    done = subprocess.run([ROOT + "/api/generate.py", "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("field, said", [
    ({"type": "string", "description": "d"}, "a string without maxLength"),
    ({"type": "array", "description": "d", "items": {"type": "string", "maxLength": 1}}, "a list without maxItems"),
    ({"type": "array", "description": "d", "maxItems": 1, "items": {"type": "string", "maxLength": 1}},
     "a list without x-kubernetes-list-type"),
    ({"type": "object", "description": "d", "additionalProperties": {"type": "string", "maxLength": 1}},
     "a map without maxProperties"),
    ({"type": "string", "maxLength": 1}, "no description"),
    ({"description": "d"}, "no type"),
    ({"ref": "Nothing", "description": "d"}, "no type Nothing"),
    ({"type": "string", "maxLength": 1, "description": "d", "maxlength": 2}, "unknown key maxlength"),
    ({"type": "boolean", "description": "d"}, "a bool needs a default"),
])
def test_the_generator_refuses_a_schema_that_breaks_a_rule(tmp_path, field, said):
    raw = {"kind": "Thing", "plural": "things", "description": "d", "printerColumns": [],
           "spec": {"description": "d", "properties": {"a": field}}, "status": {"description": "d", "properties": {}}}
    with pytest.raises(source.SourceError, match=said):
        ctypes.build([source.Kind(tmp_path / "thing.yaml", raw, {})])


def test_all_definitions_together_stay_small():
    assert len(DEFINITIONS) == len(KINDS)
    assert sum(os.path.getsize(path) for path in DEFINITIONS) < 200_000


def test_there_is_a_sample_for_every_kind_runtime_and_tool_type():
    samples = [obj for path in SAMPLES for obj in ours(path)]
    assert {obj["kind"] for obj in samples} == set(KINDS)
    assert {obj["spec"]["runtime"] for obj in samples if obj["kind"] == "Agent"} == set(RUNTIMES)
    for kind in TOOL_TYPES:
        assert [obj["spec"]["type"] for obj in ours(f"{ROOT}/agentkube/samples/tool-{kind}.yaml")] == [kind]


def test_samples_refer_only_to_what_they_bring_along_or_other_samples_do():
    have = {(d["kind"], d["metadata"]["name"]) for path in SAMPLES for d in documents(path)}
    for path in SAMPLES:
        for obj in ours(path):
            spec = obj["spec"]
            wanted = [("Tool", t["name"]) for t in spec.get("tools", [])] if obj["kind"] == "Agent" else []
            wanted += [("MCP", m["name"]) for m in spec.get("mcpRefs", [])]
            wanted += [("LLMGateway", spec["gatewayRef"]["name"])] if "gatewayRef" in spec else []
            wanted += [("Secret", ref["name"]) for ref in secret_refs(spec)]
            assert set(wanted) <= have, path


def secret_refs(node):
    if isinstance(node, list):
        for child in node:
            yield from secret_refs(child)
    elif isinstance(node, dict):
        for key, child in node.items():
            if key in ("secretRef", "credentialsRef"):
                yield child
            else:
                yield from secret_refs(child)


# ---- the API server

def test_every_definition_is_established_and_structural(control_plane):
    for plural in KINDS.values():
        crd = control_plane.get(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{GROUP}")
        conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
        assert conditions["Established"] == "True" and conditions["NamesAccepted"] == "True"
        assert "NonStructuralSchema" not in conditions, crd["status"]


@pytest.mark.parametrize("path", SAMPLES, ids=os.path.basename)
def test_every_sample_is_accepted_and_no_field_of_it_is_dropped(control_plane, namespace, path):
    for obj in ours(path):
        status, stored = create(control_plane, namespace, obj, dry=True)
        assert status == 201, stored
        assert_contains(stored["spec"], obj["spec"], "spec")


def assert_contains(stored, written, where):
    """Defaults may be added; nothing may be lost or changed."""
    if isinstance(written, dict):
        for key, value in written.items():
            assert key in stored, f"{where}.{key} was dropped"
            assert_contains(stored[key], value, f"{where}.{key}")
    elif isinstance(written, list):
        assert len(stored) == len(written), where
        for number, value in enumerate(written):
            assert_contains(stored[number], value, f"{where}[{number}]")
    else:
        assert stored == written, where


def test_the_demo_is_accepted_by_plain_kubectl_apply(control_plane):
    done = control_plane.kubectl("apply", "--dry-run=client", "-f", ROOT + "/agentkube/samples/demo")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("agent.agentkube.io/") == 4


def test_an_agent_is_paused_until_somebody_says_otherwise(control_plane, namespace):
    status, agent = create(control_plane, namespace, make("Agent", {"runtime": "Codex"}))
    assert status == 201
    assert agent["spec"]["paused"] is True
    assert agent["spec"]["mode"] == "supervised"
    assert agent["spec"]["run"] == {"timeoutSeconds": 3600, "maxQueued": 10, "maxRetained": 20}
    assert agent["spec"]["workspace"]["size"] == "10Gi"


def test_a_tool_bastion_stays_fifteen_minutes(control_plane, namespace):
    assert create(control_plane, namespace, make("Tool", {"type": "ssh"}))[1]["spec"]["idleTimeout"] == "15m"


A = {"runtime": "Codex"}
UP = {"name": "u", "kind": "http", "endpoint": "https://example.com"}
LLM = {"name": "u", "provider": "openai"}
REFUSED = [
    ("Agent", {}, "spec.runtime"),
    ("Agent", {"runtime": "Perl"}, "spec.runtime"),
    ("Agent", {**A, "mode": "wild"}, "spec.mode"),
    ("Agent", {**A, "paused": "yes"}, "spec.paused"),
    ("Agent", {**A, "goal": {}}, "spec.goal"),
    ("Agent", {**A, "goal": {"inline": "a", "configMapKeyRef": {"name": "a", "key": "b"}}}, "spec.goal"),
    ("Agent", {**A, "goal": {"inline": "x" * 65537}}, "spec.goal.inline"),
    ("Agent", {**A, "goal": {"configMapKeyRef": {"name": "a"}}}, "spec.goal.configMapKeyRef.key"),
    ("Agent", {**A, "model": {"name": "two words"}}, "spec.model.name"),
    ("Agent", {**A, "agentToken": {"secretRef": {"name": "Not_A_Name", "key": "k"}}}, "spec.agentToken.secretRef.name"),
    ("Agent", {**A, "agentToken": {"secretRef": {"name": "a"}}}, "spec.agentToken.secretRef.key"),
    ("Agent", {**A, "imagePullPolicy": "Sometimes"}, "spec.imagePullPolicy"),
    ("Agent", {**A, "tools": ["a-name"]}, "spec.tools"),
    ("Agent", {**A, "tools": [{"name": "a"}, {"name": "a"}]}, "spec.tools[1]"),
    ("Agent", {**A, "tools": [{"name": f"t{n}"} for n in range(65)]}, "spec.tools"),
    ("Agent", {**A, "schedule": {}}, "spec.schedule.cron"),
    ("Agent", {**A, "schedule": {"cron": "@daily", "timeZone": "../etc/passwd"}}, "spec.schedule.timeZone"),
    ("Agent", {**A, "schedule": {"cron": "@daily", "concurrencyPolicy": "Maybe"}}, "spec.schedule.concurrencyPolicy"),
    ("Agent", {**A, "schedule": {"cron": "@daily", "startingDeadlineSeconds": -1}}, "spec.schedule.startingDeadlineSeconds"),
    ("Agent", {**A, "playbook": {"steps": []}}, "spec.playbook.steps"),
    ("Agent", {**A, "playbook": {"steps": [{"name": "a"}]}}, "spec.playbook.steps"),
    ("Agent", {**A, "playbook": {"steps": [{"name": "a", "run": "b", "prompt": "c"}]}}, "spec.playbook.steps"),
    ("Agent", {**A, "workspace": {"size": "ten gigabytes"}}, "spec.workspace.size"),
    ("Agent", {**A, "workspace": {"size": True}}, "spec.workspace.size"),
    ("Agent", {**A, "workspace": {"size": [1]}}, "spec.workspace.size"),
    ("Agent", {**A, "resources": {"requests": {"memory": {"min": "1Gi"}}}}, "spec.resources.requests.memory"),
    ("Agent", {**A, "workspace": {"reclaimPolicy": "Recycle"}}, "spec.workspace.reclaimPolicy"),
    ("Agent", {**A, "workspace": {"repo": {}}}, "spec.workspace.repo.url"),
    ("Agent", {**A, "workspace": {"repo": {"url": "https://user:secret@git.example.com/r.git"}}}, "spec.workspace.repo.url"),
    ("Agent", {**A, "workspace": {"repo": {"url": "ext::sh -c id"}}}, "spec.workspace.repo.url"),
    ("Agent", {**A, "workspace": {"repo": {"url": "-oProxyCommand=id@host:path"}}}, "spec.workspace.repo.url"),
    ("Agent", {**A, "workspace": {"repo": {"url": "https://git.example.com/r.git", "ref": "--upload-pack=id"}}},
     "spec.workspace.repo.ref"),
    ("Agent", {**A, "suspendAfter": "half an hour"}, "spec.suspendAfter"),
    ("Agent", {**A, "run": {"timeoutSeconds": 0}}, "spec.run.timeoutSeconds"),
    ("Agent", {**A, "resources": {"limits": {"cpu": "many"}}}, "spec.resources.limits.cpu"),
    ("Agent", {**A, "tolerations": [{"operator": "Like"}]}, "spec.tolerations"),
    ("Agent", {**A, "env": [{"name": "1A", "value": "x"}]}, "spec.env"),
    ("Agent", {**A, "env": [{"value": "x"}]}, "spec.env"),
    ("Agent", {**A, "nodeSelector": {"a": 1}}, "spec.nodeSelector.a"),
    ("Tool", {}, "spec.type"),
    ("Tool", {"type": "fax"}, "spec.type"),
    ("Tool", {"type": "ssh", "idleTimeout": "15"}, "spec.idleTimeout"),
    ("Tool", {"type": "ssh", "config": {"port": 70000}}, "spec.config.port"),
    ("Tool", {"type": "ssh", "config": {"hostname": "user@host"}}, "spec.config.hostname"),
    ("Tool", {"type": "postgres", "config": {"sslMode": "maybe"}}, "spec.config.sslMode"),
    ("Tool", {"type": "http", "config": {"url": "https://user:pass@host/"}}, "spec.config.url"),
    ("Tool", {"type": "postgres", "permissions": {"grants": [{}]}}, "spec.permissions.grants"),
    ("Tool", {"type": "postgres", "permissions": {"grants": [{"privileges": ["SELECT; DROP TABLE x"]}]}}, "spec.permissions.grants"),
    ("Tool", {"type": "ssh", "tags": ["a", "a"]}, "spec.tags[1]"),
    ("MCP", {}, "spec.upstreams"),
    ("MCP", {"upstreams": []}, "spec.upstreams"),
    ("MCP", {"upstreams": [{**UP, "kind": "ftp"}]}, "spec.upstreams.kind"),
    ("MCP", {"upstreams": [{**UP, "endpoint": "mcp.example.com"}]}, "spec.upstreams.endpoint"),
    ("MCP", {"upstreams": [UP, UP]}, "spec.upstreams[1]"),
    ("MCP", {"upstreams": [UP], "replicas": -1}, "spec.replicas"),
    ("MCP", {"upstreams": [{**UP, "auth": {"mode": "magic"}}]}, "spec.upstreams.auth.mode"),
    ("LLMGateway", {"upstreams": [{**LLM, "provider": "acme"}]}, "spec.upstreams.provider"),
    ("LLMGateway", {"upstreams": [LLM], "routing": {"modelMap": [{"from": "a"}]}}, "spec.routing.modelMap.to"),
    ("LLMGateway", {"upstreams": [LLM], "rateLimit": {"requestsPerMinute": 0}}, "spec.rateLimit.requestsPerMinute"),
    ("LLMGateway", {"upstreams": [LLM], "guardrails": {"rules": [{"name": "a"}]}}, "spec.guardrails.rules.pattern"),
    ("Claw", {"distribution": "megaclaw"}, "spec.distribution"),
    ("Claw", {"packages": [{"name": "../up"}]}, "spec.packages.name"),
    ("Claw", {"registries": [{"name": "r", "url": "file:///etc"}]}, "spec.registries.url"),
    ("Claw", {"service": {"type": "Tunnel"}}, "spec.service.type"),
]


@pytest.mark.parametrize("kind, spec, field", REFUSED, ids=[f"{k}-{f}-{i}" for i, (k, _, f) in enumerate(REFUSED)])
def test_a_wrong_value_is_refused_and_the_field_named(control_plane, namespace, kind, spec, field):
    status, said = create(control_plane, namespace, make(kind, spec), dry=True)
    assert status == 422, said
    # Newer servers write the index of a list's element, 1.20 does not.
    plain = "".join(part.split("]", 1)[-1] if "]" in part else part for part in said.split("["))
    assert field in said or field in plain, said


@pytest.mark.parametrize("kind, spec", [
    ("Agent", {**A, "workspace": {"size": 5368709120, "repo": {"url": "git@git.example.com:team/r.git", "ref": "v1.2.3"}}}),
    ("Agent", {**A, "workspace": {"repo": {"url": "ssh://git@git.example.com:2222/team/r.git", "ref": "feature/a-b"}}}),
    ("Agent", {**A, "schedule": {"cron": "0 0 * * *", "timeZone": "America/Argentina/Buenos_Aires"}}),
    ("Agent", {**A, "schedule": {"cron": "0 0 * * *", "timeZone": "Etc/GMT+5"}}),
    ("Agent", {**A, "suspendAfter": "1h30m", "resources": {"limits": {"nvidia.com/gpu": 1, "cpu": "0.5"}}}),
    ("Claw", {}),
    ("MCP", {"upstreams": [UP], "replicas": 0}),
])
def test_a_right_value_is_accepted(control_plane, namespace, kind, spec):
    status, said = create(control_plane, namespace, make(kind, spec), dry=True)
    assert status == 201, said
    assert_contains(said["spec"], spec, "spec")


@pytest.mark.parametrize("kind, name, status", [
    ("Agent", "a" * 63, 201), ("Agent", "a" * 64, 422), ("Tool", "t" * 51, 422), ("MCP", "m-1", 201), ("MCP", "1-m", 422),
    ("Claw", "with.dot", 422)])
def test_a_name_that_a_pod_or_service_could_not_have_is_refused(control_plane, namespace, kind, name, status):
    spec = {"Agent": A, "Tool": {"type": "ssh"}, "MCP": {"upstreams": [UP]}, "Claw": {}}[kind]
    got, said = create(control_plane, namespace, make(kind, spec, name), dry=True)
    assert got == status, said
    if status == 422:
        assert "metadata.name" in said


def test_a_field_that_we_do_not_know_is_dropped_by_the_server(control_plane, namespace):
    status, agent = create(control_plane, namespace, make("Agent", {**A, "colour": "red"}), dry=True)
    assert status == 201 and "colour" not in agent["spec"]


def test_the_status_is_a_subresource(control_plane, namespace):
    create(control_plane, namespace, make("Agent", A))
    path = path_of("Agent", namespace, "x")
    before = control_plane.get(path)
    control_plane.api("PATCH", path, {"status": {"phase": "Running"}}, patch="merge")
    assert "status" not in control_plane.get(path)
    status, after = control_plane.api("PATCH", path + "/status", {"status": {"phase": "Running"}, "spec": {"paused": False}},
                                      patch="merge")
    assert status == 200 and after["status"]["phase"] == "Running"
    assert after["spec"] == before["spec"]
    assert after["metadata"]["generation"] == before["metadata"]["generation"]


def test_conditions_of_two_writers_do_not_push_each_other_out(control_plane, namespace):
    create(control_plane, namespace, make("Agent", A))
    for manager, kind in (("one", "Ready"), ("two", "TeamApproved")):
        condition = {"type": kind, "status": "True", "reason": "Because", "message": "it is", "lastTransitionTime": "2026-01-02T03:04:05Z"}
        body = {**make("Agent", None), "status": {"conditions": [condition]}}
        del body["spec"]
        status, said = control_plane.api("PATCH", path_of("Agent", namespace, "x") + f"/status?fieldManager={manager}", body, patch="apply")
        assert status == 200, said
    assert {c["type"] for c in control_plane.agent(namespace, "x")["status"]["conditions"]} == {"Ready", "TeamApproved"}


@pytest.mark.parametrize("kind", ["MCP", "LLMGateway", "Claw"])
def test_kinds_with_replicas_can_be_scaled(control_plane, namespace, kind):
    spec = {"MCP": {"upstreams": [UP]}, "LLMGateway": {"upstreams": [LLM]}, "Claw": {}}[kind]
    assert create(control_plane, namespace, make(kind, copy.deepcopy(spec)))[0] == 201
    control_plane.must("scale", "--replicas=3", f"{KINDS[kind]}.{GROUP}/x", "-n", namespace)
    assert control_plane.get(path_of(kind, namespace, "x"))["spec"]["replicas"] == 3


# ---- kubectl

def columns(kube, namespace, *arguments):
    lines = kube.must("get", *arguments, "-n", namespace).splitlines()
    return lines[0], lines[1:]


def test_kubectl_get_agents_prints_the_columns_of_the_contract(control_plane, namespace):
    create(control_plane, namespace, make("Agent", {**A, "model": {"name": "m"}}))
    status = {"phase": "Running", "ready": "1/1", "podName": "x", "nextRunTime": "2026-12-01T03:00:00Z", "resolved": {"model": "gpt-5"},
              "lastRunTime": "2026-01-01T03:00:00Z", "lastRunPhase": "Succeeded"}
    control_plane.api("PATCH", path_of("Agent", namespace, "x") + "/status", {"status": status}, patch="merge")
    head, rows = columns(control_plane, namespace, "agents")
    assert head.split() == ["NAME", "READY", "STATUS", "AGE"]
    assert rows[0].split()[:3] == ["x", "1/1", "Running"]
    head, rows = columns(control_plane, namespace, "ag", "-o", "wide")
    assert head.split() == ["NAME", "READY", "STATUS", "AGE", "RUNTIME", "MODEL", "LAST", "RUN", "RESULT", "NEXT", "RUN", "POD"]
    row = rows[0].split()
    assert row[4:6] == ["Codex", "gpt-5"] and row[7:] == ["Succeeded", "2026-12-01T03:00:00Z", "x"], row


def test_short_names_and_the_category_find_everything(control_plane, namespace):
    create(control_plane, namespace, make("Agent", A))
    create(control_plane, namespace, make("Tool", {"type": "ssh"}))
    assert columns(control_plane, namespace, "tl")[0].split() == ["NAME", "TYPE", "STATUS", "AGE"]
    found = wait_for(lambda: sorted(control_plane.must("get", "agentkube", "-n", namespace, "-o", "name").split()), "the category")
    assert found == ["agent.agentkube.io/x", "tool.agentkube.io/x"]


def test_kubectl_get_all_leaves_our_kinds_out(control_plane, namespace):
    """`kubectl delete all --all` must not take agents and their workspaces with it."""
    create(control_plane, namespace, make("Agent", A))
    assert "agent" not in control_plane.must("get", "all", "-n", namespace, "-o", "name")


def every_field(kind_file):
    """Dotted paths below spec, as kubectl explain takes them."""
    crd = documents(kind_file)[0]
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]

    def walk(node, path):
        for name, child in node.get("properties", {}).items():
            yield f"{path}.{name}", child["description"]
            yield from walk(child.get("items", child), f"{path}.{name}")
    return crd["spec"]["names"]["plural"], list(walk(schema, "spec"))


@pytest.mark.parametrize("path", DEFINITIONS, ids=os.path.basename)
def test_kubectl_explain_knows_the_kind_and_its_fields(control_plane, path):
    plural, fields = every_field(path)
    shown = wait_for(lambda: control_plane.must("explain", f"{plural}.spec", "--recursive"), f"kubectl explain {plural}")
    for field, _ in fields:
        assert field.split(".")[-1] in shown, field
    field, description = fields[0]
    assert " ".join(description.split())[:40] in " ".join(control_plane.must("explain", f"{plural}.{field}").split())


def test_the_reference_names_every_field():
    for path in DEFINITIONS:
        kind = documents(path)[0]["spec"]["names"]["singular"]
        with open(f"{ROOT}/docs/reference/{kind}.md", encoding="utf-8") as file:
            text = file.read()
        for field, _ in every_field(path)[1]:
            assert f".{field.split('.')[-1]}`" in text, f"{kind}: {field}"
