# SPDX-License-Identifier: Apache-2.0
"""The alerting rules and the dashboard of the chart: promtool judges them, and whatever they name is exported by a manager."""
import json
import os
import re
import subprocess

import pytest
import yaml

from kubetest import wait_for
from kubetest.agents import Agents, agent
from kubetest.cluster import ROOT
from kubetest.manager import free_port

CHART = ROOT + "/agentkube/helm/agentkube"
RULES = CHART + "/rules/agentkube.yaml"
DASHBOARDS = CHART + "/dashboards"
JOB = 'job="agentkube-manager"'
SCRAPED = {"job", "namespace", "pod", "instance", "le"}  # labels that come with every scrape, or with a histogram

# Series that are there for an hour, and the alert that must come of them; without one of its own the rule is useless.
FIRES = {
    "AgentkubeManagerAbsent": {},
    "AgentkubeNoLeader": {f'leader_election_master_status{{{JOB},pod="a"}}': "0x60"},
    "AgentkubeSeveralLeaders": {f'leader_election_master_status{{{JOB},pod="{pod}"}}': "1x60" for pod in "ab"},
    "AgentkubeWatchStale": {f'agentkube_watch_state{{{JOB},resource="agents",state="listing"}}': "1x60"},
    "AgentkubeForbidden": {f'rest_client_requests_total{{{JOB},code="403",method="GET"}}': "0+1x60"},
    "AgentkubeApiErrors": {f'rest_client_requests_total{{{JOB},code="200"}}': "0+60x60",
                           f'rest_client_requests_total{{{JOB},code="503"}}': "0+20x60"},
    "AgentkubeReconcileErrors": {f'controller_runtime_reconcile_errors_total{{{JOB},controller="agent"}}': "0+12x60"},
    "AgentkubeQueueBacklog": {f'workqueue_depth{{{JOB},controller="agent"}}': "101x60"},
    "AgentkubeWorkerStuck": {f'workqueue_longest_running_processor_seconds{{{JOB},controller="agent"}}': "301x60"},
    "AgentkubeAgentsFailed": {f'agentkube_agents{{{JOB},phase="Failed"}}': "1x60"},
    "AgentkubeObjectsUnreadable": {f'agentkube_watch_skipped_total{{{JOB},resource="agents"}}': "0+1x60"},
    "AgentkubeMemoryHigh": {f"process_resident_memory_bytes{{{JOB}}}": "110000000x60"},
    "AgentkubeWebhookCertificateExpires": {
        f'agentkube_webhook_certificate_expiration_timestamp_seconds{{{JOB},certificate="serving"}}': "500000x60"},
    "AgentkubeWebhookSlow": {
        f'controller_runtime_webhook_latency_seconds_bucket{{{JOB},webhook="/gate",le="{le}"}}': f"0+{step}x60"
        for le, step in (("1", 10), ("5", 60), ("+Inf", 60))},
}
# What a healthy pair of managers shows.
HEALTHY = {
    f'agentkube_build_info{{{JOB},pod="a"}}': "1x60", f'agentkube_build_info{{{JOB},pod="b"}}': "1x60",
    f'leader_election_master_status{{{JOB},pod="a"}}': "1x60", f'leader_election_master_status{{{JOB},pod="b"}}': "0x60",
    f'agentkube_watch_state{{{JOB},resource="agents",state="watching"}}': "1x60",
    f'agentkube_cache_synced{{{JOB},resource="agents"}}': "1x60",
    f'rest_client_requests_total{{{JOB},code="200"}}': "0+60x60", f'rest_client_requests_total{{{JOB},code="409"}}': "0+1x60",
    f'controller_runtime_reconcile_errors_total{{{JOB},controller="agent"}}': "0+1x60",
    f'workqueue_depth{{{JOB},controller="agent"}}': "3x60", f'agentkube_agents{{{JOB},phase="Failed"}}': "0x60",
    f'workqueue_longest_running_processor_seconds{{{JOB},controller="agent"}}': "0.1x60",
    f'agentkube_watch_skipped_total{{{JOB},resource="agents"}}': "0x60", f"process_resident_memory_bytes{{{JOB}}}": "20000000x60",
    f'agentkube_webhook_certificate_expiration_timestamp_seconds{{{JOB},certificate="serving"}}': "7776000x60",
    f'controller_runtime_webhook_latency_seconds_bucket{{{JOB},webhook="/gate",le="1"}}': "0+60x60",
    f'controller_runtime_webhook_latency_seconds_bucket{{{JOB},webhook="/gate",le="+Inf"}}': "0+60x60",
}


def rules():
    with open(RULES, encoding="utf-8") as file:
        return [rule for group in yaml.safe_load(file)["groups"] for rule in group["rules"]]


def dashboards():
    for name in sorted(os.listdir(DASHBOARDS)):
        with open(f"{DASHBOARDS}/{name}", encoding="utf-8") as file:
            yield name, json.load(file)


def promtool(*arguments, folder=ROOT):
    return subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, timeout=120, check=False)


# ---- what promtool says
def test_promtool_accepts_the_rules():
    done = promtool("check", "rules", "--lint-fatal", RULES)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_on_its_trouble_and_none_on_health(tmp_path):
    assert set(FIRES) == {rule["alert"] for rule in rules()}
    tests = [{"name": "healthy", "interval": "1m", "alert_rule_test": [], "promql_expr_test": [],
              "input_series": [{"series": series, "values": values} for series, values in HEALTHY.items()]}]
    tests[0]["promql_expr_test"] = [{"expr": 'ALERTS{alertstate="firing"}', "eval_time": "59m", "exp_samples": []}]
    for alert, series in FIRES.items():
        tests.append({"name": alert, "interval": "1m", "input_series": [{"series": s, "values": v} for s, v in series.items()],
                      "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) > bool 0',
                                            "eval_time": "59m", "exp_samples": [{"labels": "{}", "value": 1}]}]})
    path = tmp_path / "rules-test.yaml"
    path.write_text(yaml.safe_dump({"rule_files": [RULES], "evaluation_interval": "1m", "tests": tests}))
    done = promtool("test", "rules", str(path))
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_explained_to_whom_it_wakes():
    with open(ROOT + "/docs/operations.md", encoding="utf-8") as file:
        page = file.read()
    for rule in rules():
        assert {"summary", "description"} <= set(rule["annotations"]) and rule["labels"]["severity"] in ("warning", "critical")
        assert f"`{rule['alert']}`" in page, f"docs/operations.md does not explain {rule['alert']}"


# ---- what a manager exports
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
LABELS_OF = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)")
MATCHERS = re.compile(r"([a-zA-Z_:][\w:]*)\s*\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


def selectors(expression):
    """{metric: [(label, operator, value), …]} of a PromQL expression."""
    found = {}
    for metric, inner in MATCHERS.findall(expression):
        found.setdefault(metric, []).extend(MATCHER.findall(inner))
    bare = LABELS_OF.sub(" ", re.sub(r"\[[^\]]*\]", " ", re.sub(r"\{[^}]*\}", " ", re.sub(r'"[^"]*"', " ", expression))))
    for match in re.finditer(r"(?<![\w$.])[a-zA-Z_:][\w:]*(?!\w)", bare):
        called = bare[match.end():].lstrip().startswith("(")
        if not called and match.group() not in WORDS:
            found.setdefault(match.group(), [])
    return found


def grouped(expression):
    """The labels that an expression groups by."""
    return {label.strip() for inner in re.findall(r"\bby\s*\(([^)]*)\)", expression) for label in inner.split(",")}


def expressions():
    for rule in rules():
        yield rule["alert"], rule["expr"], " ".join(rule["annotations"].values())
    for name, dashboard in dashboards():
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                yield f"{name}: {panel['title']}", target["expr"], target["legendFormat"]
        for variable in dashboard["templating"]["list"]:
            inner = re.match(r"label_values\((.*), (\w+)\)$", variable.get("definition", ""))
            if inner:
                yield f"{name}: ${variable['name']}", inner.group(1), ""


@pytest.fixture
def exported(control_plane, namespace, manager):
    """What a manager with everything switched on shows after some work."""
    process = manager("--webhook=true", f"--webhook-bind-address=127.0.0.1:{free_port()}", "--webhook-configuration=")
    process.wait_leading()
    agents = Agents(control_plane, namespace)
    agents.apply(agent("one"))
    agents.wait_pod("one")
    return wait_for(lambda: process.metric("controller_runtime_reconcile_total", result="success") and process.metrics(),
                    "metrics after some work")


def test_whatever_rules_and_dashboards_name_is_exported(exported):
    seen = 0
    for where, expression, text in expressions():
        labels = set(SCRAPED)
        for metric, matchers in selectors(expression).items():
            seen += 1
            assert metric in exported, f"{where}: nobody exports {metric}"
            own = {name for sample, _ in exported[metric] for name in sample}
            labels |= own
            for name, operator, value in matchers:
                assert name in own | SCRAPED, f"{where}: {metric} has no label {name}"
                if operator == "=" and name in ("phase", "result", "resource", "state", "certificate", "controller"):
                    assert value in {sample.get(name) for sample, _ in exported[metric]}, f"{where}: {metric} never has {name}={value}"
        assert grouped(expression) <= labels, f"{where}: grouped by a label that is not there"
        shown = set(re.findall(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}", text)) | set(re.findall(r"\$labels\.(\w+)", text))
        assert shown <= labels, f"{where}: shows {shown - labels}"
    assert seen > 50


def test_the_expression_reader_reads_expressions():
    assert selectors('sum by (le, a) (rate(x_total{b="c",d!="e"}[5m])) / on (pod) y > 0.5 and absent(z) or time() - w{f=~"5.."} > bool 1e3') == {
        "x_total": [("b", "=", "c"), ("d", "!=", "e")], "w": [("f", "=~", "5..")], "y": [], "z": []}


def test_dashboards_are_whole():
    for name, dashboard in dashboards():
        ids = [panel["id"] for panel in dashboard["panels"]]
        assert len(ids) == len(set(ids)) and dashboard["title"] and dashboard["uid"], name
        taken = set()
        for panel in dashboard["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24 and not cells & taken, f"{name}: {panel['title']} overlaps"
            taken |= cells
            for target in panel.get("targets", []):
                assert 'job="$job",namespace="$namespace"' in target["expr"], f"{name}: {panel['title']} mixes operators"
    for rule in rules():
        assert all(("job", "=", "agentkube-manager") in matchers for matchers in selectors(rule["expr"]).values()), rule["alert"]


def test_the_chart_carries_them_as_they_are(control_plane):
    done = control_plane.helm("template", "agentkube", CHART, "--namespace", "agentkube-system", "--set",
                              "metrics.serviceMonitor.enabled=true,metrics.prometheusRule.enabled=true,metrics.dashboard.enabled=true,"
                              "metrics.prometheusRule.labels.release=mine,metrics.serviceMonitor.labels.release=mine")
    assert done.returncode == 0, done.stderr
    objects = {(one["kind"], one["metadata"]["name"]): one for one in yaml.safe_load_all(done.stdout) if one}
    rule, monitor = objects[("PrometheusRule", "agentkube-manager")], objects[("ServiceMonitor", "agentkube-manager")]
    assert [r for group in rule["spec"]["groups"] for r in group["rules"]] == rules()
    assert rule["metadata"]["labels"]["release"] == monitor["metadata"]["labels"]["release"] == "mine"
    config = objects[("ConfigMap", "agentkube-manager-dashboard")]
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert {name: json.loads(text) for name, text in config["data"].items()} == dict(dashboards())
    service = objects[("Service", "agentkube-manager")]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert service["metadata"]["labels"][monitor["spec"]["jobLabel"]] == "agentkube-manager"  # the job of rules and dashboard
