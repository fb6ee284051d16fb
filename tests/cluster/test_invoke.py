# SPDX-License-Identifier: Apache-2.0
"""The invocation API of the manager as a process, on a real API server: who gets in, what each right opens, what is passed on to the
leader, what is logged, and what it does with callers who mean no good. Runs from end to end are in test_runs.py."""
import base64
import concurrent.futures
import http.client
import json
import os
import random
import re
import resource
import socket
import subprocess
import time
import uuid
from urllib.parse import quote

import pytest
import yaml
from kubetest import wait_for
from kubetest.agents import Agents, agent
from kubetest.cluster import ROOT
from kubetest.invocation import NoAddress, loopback_address
from kubetest.manager import free_port
from kubetest.pods import HostPod

GROUP = "rbac.authorization.k8s.io"
SANITIZED = any(name in os.environ.get("AGENTKUBE_BIN", "") for name in ("asan", "tsan"))
ALL = [("list", "agents"), ("get", "agents"), ("update", "agents"), ("create", "agents/invoke"), ("get", "agents/log")]


class Door:
    """The API at one address. `say` gives (status, decoded body, headers)."""

    def __init__(self, port, host="127.0.0.1"):
        self.host, self.port, self.process = host, port, None

    def raw(self, method, path, headers, body=None, timeout=60):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def say(self, method, path, token=None, body=None, timeout=60, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            headers.setdefault("Authorization", f"Bearer {token}")
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if body is not None:
            headers.setdefault("Content-Type", "application/json")
        status, text, found = self.raw(method, "/api/v1" + path, headers, body, timeout)
        try:
            return status, json.loads(text), found
        except ValueError:
            return status, text, found


class People:
    """ServiceAccounts of one namespace, their rights and tokens."""

    def __init__(self, kube, namespace):
        self.kube, self.namespace = kube, namespace

    def make(self, path, body):
        status, answer = self.kube.api("POST", path, body)
        assert status in (200, 201), answer
        return answer

    def account(self, name):
        return self.make(f"/api/v1/namespaces/{self.namespace}/serviceaccounts", {"metadata": {"name": name}})

    def token(self, name, audience="agentkube", seconds=3600, **more):
        spec = {"expirationSeconds": seconds, **({"audiences": [audience]} if audience else {}), **more}
        return self.make(f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{name}/token", {"spec": spec})["status"]["token"]

    def grant(self, name, rights, everywhere=False):
        kind, where = ("ClusterRole", "") if everywhere else ("Role", f"/namespaces/{self.namespace}")
        role = f"{self.namespace}-{name}"
        rules = [{"apiGroups": ["agentkube.io"], "resources": [what], "verbs": [verb]} for verb, what in rights]
        self.make(f"/apis/{GROUP}/v1{where}/{kind.lower()}s", {"metadata": {"name": role}, "rules": rules})
        self.make(f"/apis/{GROUP}/v1{where}/{kind.lower()}bindings", {
            "metadata": {"name": role}, "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": self.namespace}]})

    def somebody(self, *rights, everywhere=False):
        """(name, token) of a new account with these rights."""
        name = "p-" + uuid.uuid4().hex[:8]
        self.account(name)
        if rights:
            self.grant(name, rights, everywhere)
        token = self.token(name)
        return name, token

    def forget(self):
        for kind in ("clusterrolebindings", "clusterroles"):
            for one in self.kube.items(f"/apis/{GROUP}/v1/{kind}"):
                if one["metadata"]["name"].startswith(self.namespace):
                    self.kube.api("DELETE", f"/apis/{GROUP}/v1/{kind}/{one['metadata']['name']}")


@pytest.fixture
def people(control_plane, namespace):
    some = People(control_plane, namespace)
    yield some
    some.forget()


@pytest.fixture
def agents(control_plane, namespace):
    return Agents(control_plane, namespace)


@pytest.fixture
def start(manager, namespace):
    """A manager that serves the API, and its door. watch_all: Agents of every namespace."""
    def begin(host="127.0.0.1", watch_all=False, **options):
        port = free_port()
        flags = [f"--invoke-bind-address={host}:{port}"] + ([f"--namespace={namespace}"] if watch_all else [])
        door = Door(port, host)
        door.process = manager(*flags, env={"POD_IP": host}, all_namespaces=watch_all, **options)
        return door
    return begin


@pytest.fixture
def door(start):
    one = start()
    one.process.wait_leading()
    return one


# Says its prompt, and goes on when it may.
SCRIPT = 'cat; if [ -e wait ]; then while [ ! -e go ]; do sleep 0.1; done; fi; for i in 1 2 3 4 5 6 7 8 9; do echo line $i; done; echo done'


def runner(name="a", **spec):
    one = agent(name, runtime="Custom", image="registry.example/custom:1", **{"run": {"command": ["/bin/sh", "-c", SCRIPT]}, **spec})
    del one["spec"]["goal"]
    return one


def allowed_soon(call, wanted=(200,)):
    """RBAC, and our memory of it, take a moment."""
    def there():
        status, body, _ = call()
        assert status in wanted, (status, body)
        return True
    wait_for(there, f"one of {wanted}", 30)


def audit(process, **wanted):
    """Audit lines with these fields."""
    return [line for line in process.log_lines() if line["logger"] == "audit" and line["msg"] == "invocation"
            and all(line.get(key) == value for key, value in wanted.items())]


def is_status(body, code, reason=None):
    assert isinstance(body, dict) and body["kind"] == "Status" and body["apiVersion"] == "v1" and body["status"] == "Failure", body
    assert body["code"] == code and body["message"] and (reason is None or body["reason"] == reason), body
    return True


# ---- who gets in

def test_nobody_gets_in_without_a_token_of_this_cluster(door, people, control_plane):
    people.account("p")
    bad = {"none": None, "garbage": "garbage", "a JWT of nobody": "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
           "another audience": people.token("p", "vault")}
    good = people.token("p")
    head, payload, signature = good.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    claims["sub"] = "system:serviceaccount:kube-system:default"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    bad["forged"] = f"{head}.{forged}.{signature}"
    for what, token in bad.items():
        for path in ("/whoami", "/agents", "/openapi.json", "/nothing"):
            status, body, headers = door.say("GET", path, token)
            assert status == 401 and is_status(body, 401, "Unauthorized") and headers["WWW-Authenticate"] == "Bearer", (what, path, body)
    assert door.say("GET", "/whoami", good)[0] == 200


def test_a_token_that_ends_is_refused_within_a_minute(door, people, control_plane):
    """Tokens live ten minutes at least; that of a pod that is deleted ends at once."""
    people.account("p")
    control_plane.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bound"}, "spec": {
        "serviceAccountName": "p", "containers": [{"name": "c", "image": "x"}]}}, namespace=people.namespace)
    pod = control_plane.pod(people.namespace, "bound")
    token = people.token("p", boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "bound", "uid": pod["metadata"]["uid"]})
    assert door.say("GET", "/whoami", token)[0] == 200
    control_plane.api("DELETE", f"/api/v1/namespaces/{people.namespace}/pods/bound?gracePeriodSeconds=0")
    began = time.monotonic()
    wait_for(lambda: door.say("GET", "/whoami", token)[0] == 401, "the token to be refused", 100)
    assert time.monotonic() - began < 90


def test_whoami_tells_who_the_api_server_says_it_is(door, people):
    people.account("p")
    status, body, headers = door.say("GET", "/whoami", people.token("p"))
    assert status == 200 and headers["Content-Type"] == "application/json" and headers["Cache-Control"] == "no-store"
    assert body["username"] == f"system:serviceaccount:{people.namespace}:p"
    assert f"system:serviceaccounts:{people.namespace}" in body["groups"] and body["uid"] and body["leading"] is True and body["version"]
    assert door.say("GET", "/whoami", people.token("p", None))[1]["username"] == body["username"]  # the API server's own audience
    assert door.say("GET", "/whoami", "garbage", X_Agentkube_Authorization="Bearer " + people.token("p"))[1]["username"] == body["username"]
    assert door.say("GET", "/whoami", people.token("p"), X_Agentkube_Authorization="Bearer garbage")[0] == 401


# ---- what each right opens

def test_each_right_opens_what_it_says_and_nothing_else(door, people, agents):
    agents.apply(runner(paused=True))
    of = f"/namespaces/{agents.namespace}/agents"
    calls = {  # path: (the right, what is answered to who has it)
        ("GET", of): (("list", "agents"), 200),
        ("GET", f"{of}/a"): (("get", "agents"), 200),
        ("GET", f"/namespaces/{agents.namespace}/runs"): (("list", "agents"), 200),
        ("GET", f"{of}/a/runs"): (("get", "agents"), 200),
        ("GET", f"{of}/a/runs/r-1"): (("get", "agents"), 404),
        ("POST", f"{of}/a/runs?hold=0"): (("create", "agents/invoke"), 409),
        ("POST", f"{of}/a/runs/r-1/cancel"): (("create", "agents/invoke"), 404),
        ("GET", f"{of}/a/runs/r-1/events"): (("get", "agents/log"), 404),
        ("GET", f"{of}/a/runs/r-1/logs"): (("get", "agents/log"), 404),
        ("POST", f"{of}/a/pause"): (("update", "agents"), 200),
    }
    tokens = {right: people.somebody(right)[1] for right in ALL}
    for (method, path), (needed, answer) in calls.items():
        allowed_soon(lambda m=method, p=path, t=tokens[needed]: door.say(m, p, t), (answer,))
    for (method, path), (needed, answer) in calls.items():
        for right, token in tokens.items():
            status, body, _ = door.say(method, path, token)
            if right == needed:
                assert status == answer, (method, path, right, body)
            else:
                assert status == 403 and is_status(body, 403, "Forbidden"), (method, path, right, status, body)
    status, body, _ = door.say("POST", f"{of}/a/runs", tokens[("get", "agents")])
    assert 'cannot create resource "agents/invoke"' in body["message"] and agents.namespace in body["message"]


def test_rights_in_one_namespace_end_there(start, people):
    door = start(watch_all=True)
    _, here = people.somebody(("list", "agents"), ("list", "tools"))
    _, everywhere = people.somebody(("list", "agents"), everywhere=True)
    allowed_soon(lambda: door.say("GET", f"/namespaces/{people.namespace}/agents", here))
    assert door.say("GET", "/namespaces/default/agents", here)[0] == 403
    assert door.say("GET", "/agents", here)[0] == 403
    assert door.say("GET", "/runs", here)[0] == 403
    allowed_soon(lambda: door.say("GET", "/agents", everywhere))
    assert door.say("GET", "/runs", everywhere)[0] == 200
    assert door.say("GET", "/tools", everywhere)[0] == 403


def test_a_manager_for_one_namespace_says_so(door, people):
    _, token = people.somebody(*ALL, everywhere=True)
    status, body, _ = door.say("GET", "/namespaces/default/agents", token)
    assert status == 403 and people.namespace in body["message"]


# ---- what it gives

def test_objects_are_those_of_the_api_server(door, people, agents, control_plane):
    agents.apply(*(runner(name, paused=True) | {"metadata": {"name": name, "labels": {"n": name}}} for name in ("a", "b", "c")))
    _, token = people.somebody(*ALL)
    of = f"/namespaces/{agents.namespace}/agents"
    allowed_soon(lambda: door.say("GET", of, token))
    status, one, _ = door.say("GET", f"{of}/a", token)
    assert status == 200 and one["kind"] == "Agent" and one["spec"] == agents.get("a")["spec"]
    status, page, _ = door.say("GET", f"{of}?limit=2", token)
    assert status == 200 and page["kind"] == "AgentList" and [x["metadata"]["name"] for x in page["items"]] == ["a", "b"]
    status, rest, _ = door.say("GET", f"{of}?limit=2&continue={page['metadata']['continue']}", token)
    assert [x["metadata"]["name"] for x in rest["items"]] == ["c"]
    status, some, _ = door.say("GET", f"{of}?labelSelector=n%20in%20(b,c)", token)
    assert [x["metadata"]["name"] for x in some["items"]] == ["b", "c"]
    status, body, _ = door.say("GET", f"{of}?labelSelector=%3D%3D", token)
    assert status == 400 and is_status(body, 400)
    status, body, _ = door.say("GET", f"{of}/missing", token)
    assert status == 404 and is_status(body, 404, "NotFound") and "missing" in body["message"]


def test_pause_and_resume_change_one_field(door, people, agents):
    agents.apply(runner(paused=False))
    _, token = people.somebody(("update", "agents"))
    of = f"/namespaces/{agents.namespace}/agents/a"
    allowed_soon(lambda: door.say("POST", f"{of}/pause", token))
    assert agents.get("a")["spec"]["paused"] is True
    before = agents.get("a")
    status, body, _ = door.say("POST", f"{of}/resume", token, {})
    assert status == 200 and body["kind"] == "Agent" and body["spec"]["paused"] is False
    after = agents.get("a")
    assert {**after["spec"], "paused": True} == before["spec"]
    assert door.say("POST", f"/namespaces/{agents.namespace}/agents/missing/pause", token)[0] == 404


def test_methods_and_bodies_are_checked(door, people):
    _, token = people.somebody(*ALL)
    of = f"/namespaces/{people.namespace}/agents/a"
    status, body, headers = door.say("DELETE", f"{of}/runs", token)
    assert status == 405 and is_status(body, 405) and headers["Allow"] == "GET, POST"
    assert is_status(door.say("POST", f"{of}/runs", token, "x=1", Content_Type="application/x-www-form-urlencoded")[1], 415)
    status, body, _ = door.say("POST", f"{of}/runs", token, {"promt": "x"})
    assert status == 400 and '"promt"' in body["message"]
    status, body, _ = door.say("POST", f"{of}/runs", token, {"prompt": "x" * 300_000})
    assert status == 413 and is_status(body, 413)
    status, body, _ = door.say("POST", f"{of}/runs", token, {"prompt": "x" * 600_000})
    assert status == 413 and is_status(body, 413)
    status, text, _ = door.raw("GET", "/api/v1/whoami", {"Authorization": "Bearer " + token, "X-Large": "x" * 20000})
    assert status == 431 and is_status(json.loads(text), 431)


# ---- through the API server, and to the leader

@pytest.fixture
def address():
    try:
        one = loopback_address()
    except NoAddress as why:
        pytest.skip(str(why))
    yield one
    subprocess.run(["ip", "addr", "del", f"{one}/32", "dev", "lo"], check=False)


def test_it_is_reached_through_the_service_proxy(start, people, address, control_plane):
    door = start(host=address)
    meta = {"name": "agentkube-manager", "namespace": people.namespace}
    ports = [{"name": "invoke", "port": 8082, "protocol": "TCP"}]
    people.make(f"/api/v1/namespaces/{people.namespace}/services", {"metadata": meta, "spec": {"ports": ports}})
    # The API server's proxy goes to addresses of pods only: one says that it has this address.
    people.make(f"/api/v1/namespaces/{people.namespace}/pods", {"metadata": meta, "spec": {"containers": [{"name": "m", "image": "none"}]}})
    status, answer = control_plane.api("PATCH", f"/api/v1/namespaces/{people.namespace}/pods/agentkube-manager/status",
                                       {"status": {"podIP": address, "podIPs": [{"ip": address}]}}, patch="merge")
    assert status == 200, answer
    target = {"kind": "Pod", "name": "agentkube-manager", "namespace": people.namespace}
    people.make(f"/api/v1/namespaces/{people.namespace}/endpoints", {"metadata": meta, "subsets": [
        {"addresses": [{"ip": address, "targetRef": target}], "ports": [{"name": "invoke", "port": door.port}]}]})
    proxy = f"/api/v1/namespaces/{people.namespace}/services/http:agentkube-manager:invoke/proxy/api/v1"
    people.account("p")
    token = people.token("p")
    wait_for(lambda: control_plane.api("GET", f"{proxy}/whoami")[0] != 503, "the API server to know the endpoints", 30)
    status, body = control_plane.api("GET", f"{proxy}/whoami")
    assert status == 401 and is_status(body, 401), f"whoever may use the proxy is nobody to us: {status} {body}"
    server = control_plane.must("config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
    pki = os.path.join(control_plane.scratch, f"pki-{uuid.uuid4().hex[:6]}")
    os.makedirs(pki)
    config = yaml.safe_load(control_plane.must("config", "view", "--raw", "--minify"))
    for name, data in (("crt", "client-certificate-data"), ("key", "client-key-data")):
        user = config["users"][0]["user"]
        content = base64.b64decode(user[data]) if data in user else open(user[data.removesuffix("-data")], "rb").read()
        with open(f"{pki}/{name}", "wb") as file:
            file.write(content)

    def curl(*more):
        return subprocess.run(["curl", "-sk", "--cert", f"{pki}/crt", "--key", f"{pki}/key", "-H", f"X-Agentkube-Authorization: Bearer {token}", *more],
                              capture_output=True, text=True, check=True, timeout=60).stdout
    assert json.loads(curl(f"{server}{proxy}/whoami"))["username"].endswith(":p")
    assert json.loads(curl("-X", "POST", "-H", "Content-Type: application/json", "-d", '{"prompt":"x"}', f"{server}{proxy}/namespaces/{people.namespace}/agents/a/runs?hold=0"))["code"] == 403
    line = audit(door.process, action="whoami", status=200)[-1]
    assert line["user"].endswith(":p") and line["forwardedFor"]


def test_a_follower_passes_on_what_only_the_leader_does(start, people, agents, control_plane, namespace):
    leader = start()
    leader.process.wait_leading()
    follower = start()
    agents.apply(runner(paused=True))
    _, token = people.somebody(*ALL)
    of = f"/namespaces/{namespace}/agents/a"
    allowed_soon(lambda: leader.say("GET", of, token))
    lease = control_plane.get(f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/agentkube-manager")
    assert lease["metadata"]["annotations"]["agentkube.io/invoke-address"] == f"127.0.0.1:{leader.port}"
    assert follower.say("GET", "/whoami", token)[1]["leading"] is False
    allowed_soon(lambda: follower.say("POST", f"{of}/pause", token))
    line = audit(leader.process, action="pause", status=200)[-1]
    assert line["verdict"] == "allow" and line["name"] == "a" and line["user"].startswith("system:serviceaccount:") and "127.0.0.1" in line["forwardedFor"]
    assert not audit(follower.process, action="pause", status=200), "one line for each call: the leader's"
    status, body, _ = follower.say("POST", f"{of}/runs?hold=0", token, {"prompt": "x"})
    assert status == 409 and is_status(body, 409), body  # paused, says the leader
    _, nobody = people.somebody()
    assert follower.say("POST", f"{of}/pause", nobody)[0] == 403
    assert audit(follower.process, action="pause", status=403) and not audit(leader.process, action="pause", status=403)
    status, body, headers = follower.say("POST", f"{of}/pause", token, X_Agentkube_Forwarded="1")
    assert status == 503 and is_status(body, 503) and headers["Retry-After"]  # said by whoever likes: it is not passed on
    assert leader.say("POST", f"{of}/pause", "garbage", X_Agentkube_Forwarded="1")[0] == 401
    leader.process.kill()
    status, body, headers = follower.say("POST", f"{of}/pause", token)
    assert status == 503 and is_status(body, 503) and headers["Retry-After"]
    wait_for(lambda: follower.say("POST", f"{of}/pause", token)[0] == 200, "the follower to lead and do it", 60)


# ---- what is logged

def test_each_call_is_one_line_and_no_secret_is_in_it(door, people, agents):
    agents.apply(runner(paused=True))
    name, token = people.somebody(*ALL)
    of = f"/namespaces/{agents.namespace}/agents/a"
    allowed_soon(lambda: door.say("GET", of, token))
    before = len(audit(door.process))
    calls = [("GET", of, None, 200), ("GET", f"{of}/runs", None, 200), ("POST", f"{of}/runs?hold=0", {"prompt": "canary-prompt-7"}, 409),
             ("GET", "/nothing", None, 404), ("GET", f"/namespaces/{agents.namespace}/tools", None, 403)]
    for method, path, body, wanted in calls:
        assert door.say(method, path, token, body)[0] == wanted
    assert door.say("GET", of, "canary-token-8")[0] == 401
    wait_for(lambda: len(audit(door.process)) == before + len(calls) + 1, "the audit lines")
    lines = audit(door.process)[before:]
    assert [line["status"] for line in lines] == [wanted for *_, wanted in calls] + [401]
    assert [line["verdict"] for line in lines] == ["allow", "allow", "error", "error", "deny", "deny"]
    for line in lines[:-1]:
        assert line["user"] == f"system:serviceaccount:{agents.namespace}:{name}" and f"system:serviceaccounts:{agents.namespace}" in line["groups"]
        assert line["durationMilliseconds"] >= 0 and line["bytes"] > 0 and line["remoteAddress"].startswith("127.0.0.1:")
    assert lines[2]["action"] == "start" and lines[2]["name"] == "a" and lines[2]["namespace"] == agents.namespace and lines[2]["subresource"] == "invoke"
    assert "user" not in lines[-1]
    log = door.process.log()
    assert token not in log and "canary" not in log


# ---- callers who mean no good

def resident_kib(process):
    """0 with a sanitizer, whose memory says nothing."""
    with open(f"/proc/{process.pid}/status", encoding="ascii") as file:
        return 0 if SANITIZED else int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


def limit_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))


def test_a_good_client_is_answered_beside_slow_ones(door, people):
    limit_files()
    people.account("p")
    token = people.token("p")
    assert door.say("GET", "/whoami", token)[0] == 200
    slow = []
    for number in range(2600):  # more than there may be connections
        one = socket.create_connection((door.host, door.port), timeout=10)
        one.sendall(b"POST /api/v1/namespaces/x/agents/a/runs HTTP/1.1\r\nHost: x\r\n" + (b"Content-Length: 9\r\n\r\n" if number % 2 else b"X-Slow: "))
        slow.append(one)
        if number % 100 == 99:
            began = time.monotonic()
            assert door.say("GET", "/whoami", token)[0] == 200
            assert time.monotonic() - began < (30 if SANITIZED else 5)
    kib = resident_kib(door.process)
    for one in slow:
        one.close()
    assert kib < 96 * 1024, f"{kib} KiB resident"
    assert door.say("GET", "/whoami", token)[0] == 200


def test_bodies_that_are_promised_and_never_come_hold_no_memory(door, people):
    limit_files()
    people.account("p")
    token = people.token("p")
    held = []
    for _ in range(200):
        one = socket.create_connection((door.host, door.port), timeout=10)
        one.sendall(b"POST /api/v1/x HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n" + b"x" * 100_000)
        held.append(one)
    assert door.say("GET", "/whoami", token)[0] == 200
    assert resident_kib(door.process) < 96 * 1024
    for one in held:
        one.close()
    wait_for(lambda: door.say("POST", "/x", token, {})[0] == 404, "bodies to be taken again", 30)


# ---- requests made from the document

class Maker:
    """Requests that the OpenAPI document describes, and such that it does not."""

    ODD = ["", "0", "-1", "1", "true", "null", "x" * 300, "\u00e4\u20ac\U0001f600", "a\tb", "../..", "%00", "%", "a/b", "A", "9" * 30, "1e9", "r-1", "a"]
    JUNK = [None, True, 0, -1, 1.5, 2**63 - 1, 2**70, "", "x", "\u0000", "\ud83d\ude00", [], {}, [[]], {"prompt": {}}, "y" * 70_000]

    def __init__(self, document, seed, namespace):
        self.document, self.random, self.namespace = document, random.Random(seed), namespace
        self.operations = [(path, method, item, item[method]) for path, item in document["paths"].items() for method in ("get", "post") if method in item]

    def resolve(self, thing):
        while "$ref" in thing:
            found = self.document
            for part in thing["$ref"].split("/")[1:]:
                found = found[part]
            thing = found
        return thing

    def value(self, schema):
        schema = self.resolve(schema)
        if self.random.random() < 0.3:
            return self.random.choice(self.ODD)
        if "enum" in schema:
            return self.random.choice(schema["enum"])
        if schema["type"] == "integer":
            low, high = schema.get("minimum", -5), schema.get("maximum", 2**31)
            return str(self.random.choice([low, low + 1, high, high + 1, low - 1]))
        if schema["type"] == "boolean":
            return self.random.choice(["true", "false", "1", "0", "yes"])
        return self.random.choice([self.namespace, "a", "b", "r-1"] + self.ODD)

    def body(self, operation):
        schema = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
        if schema is None:
            return None
        if self.random.random() < 0.2:
            return self.random.choice([b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"prompt":' + b"[" * 5000, b'{"a":1,"a":2}', b"\x00", b"{}{}"])
        made = {name: self.random.choice(self.JUNK) if self.random.random() < 0.5 else "7" if self.resolve(one).get("type") == "string" else 7
                for name, one in self.resolve(schema).get("properties", {}).items() if self.random.random() < 0.7}
        if self.random.random() < 0.2:
            made["unknown" + self.random.choice(["", "\u00e4", "x" * 200])] = self.random.choice(self.JUNK)
        return json.dumps(made).encode()

    def request(self):
        path, method, item, operation = self.random.choice(self.operations)
        query, headers = [], {}
        for parameter in [self.resolve(p) for p in item.get("parameters", []) + operation.get("parameters", [])]:
            value = self.namespace if parameter["name"] == "namespace" and self.random.random() < 0.8 else self.value(parameter["schema"])
            if parameter["in"] == "path":
                path = path.replace("{" + parameter["name"] + "}", quote(value, safe="") if self.random.random() < 0.9 else quote(value, safe="/%"))
            elif self.random.random() < 0.6 and parameter["in"] == "query":
                query.append(f"{parameter['name']}={quote(value) if self.random.random() < 0.9 else quote(value, safe='%&=')}")
            elif self.random.random() < 0.6 and parameter["in"] == "header":
                headers[parameter["name"]] = "".join(c for c in value if " " <= c <= "~") or "x"
        if self.random.random() < 0.05:
            method = self.random.choice(["put", "delete", "patch", "head", "options"])
        if method == "post" and self.random.random() < 0.9:
            headers["Content-Type"] = self.random.choice(["application/json"] * 9 + ["text/plain"])
        if any(one.startswith("hold=") for one in query) or path.endswith("/runs"):
            query = [one for one in query if not one.startswith("hold=")] + (["hold=0"] if method == "post" else [])
        return method.upper(), path + ("?" + "&".join(query) if query else ""), headers, self.body(operation) if method == "post" else None


def test_requests_made_from_its_document_never_break_it(door, people, agents):
    agents.apply(runner(paused=True), runner("b", paused=False))
    _, token = people.somebody(*ALL)
    allowed_soon(lambda: door.say("GET", f"/namespaces/{agents.namespace}/agents/a", token))
    status, document, _ = door.say("GET", "/openapi.json", token)
    with open(ROOT + "/api/openapi.yaml", encoding="utf-8") as file:
        assert status == 200 and document == yaml.safe_load(file)
    seen, problems = {}, []

    def worker(seed):
        maker = Maker(document, seed, agents.namespace)
        for _ in range(250):
            method, path, headers, body = maker.request()
            try:
                status, text, found = door.raw(method, "/api/v1" + path, {"Authorization": "Bearer " + token, **headers}, body, 30)
            except (OSError, http.client.HTTPException, ValueError) as problem:
                problems.append((method, path, body, repr(problem)))
                continue
            seen[status] = seen.get(status, 0) + 1
            if status >= 400 and method != "HEAD":
                answer = json.loads(text)
                if answer.get("kind") != "Status" or answer.get("code") != status:
                    problems.append((method, path, body, status, text))
            # Nothing is broken here, so nothing but "there is no pod" (503, 504) may be a 5xx.
            if status >= 500 and not (status in (503, 504) and "/runs" in path):
                problems.append((method, path, body, status, text))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4)))
    assert not problems, problems[:5]
    assert door.process.running() and {200, 400, 404, 405}.issubset(seen), seen


def test_what_is_no_http_is_refused(door, people):
    for junk in (b"\x16\x03\x01\x02\x00", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"G" * 30000, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                 b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc", b"\x00" * 5000):
        with socket.create_connection((door.host, door.port), timeout=20) as one:
            one.sendall(junk)
            one.shutdown(socket.SHUT_WR)
            try:
                answer = one.recv(4096)
            except ConnectionResetError:
                answer = b""
        assert not answer or re.match(rb"HTTP/1.1 (4|5)\d\d ", answer), (junk[:40], answer)
    people.account("p")
    assert door.say("GET", "/whoami", people.token("p"))[0] == 200


# ---- runs: real ones, with the pod's programs run here

def events_of(text):
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


@pytest.fixture
def working(door, people, agents):
    """An Agent that has a pod, somebody who may everything, and the path of its runs."""
    agents.apply(runner())
    name, token = people.somebody(*ALL)
    with HostPod(agents, "a") as pod:
        allowed_soon(lambda: door.say("GET", f"/namespaces/{agents.namespace}/agents/a", token))
        yield pod, token, f"/namespaces/{agents.namespace}/agents/a/runs", name


def test_a_run_is_started_followed_and_read(door, working, people):
    _, token, runs, name = working
    status, record, _ = door.say("POST", runs, token, {"prompt": "hello there"}, Idempotency_Key="k 1")
    assert status == 201 and record["trigger"] == "Invocation" and record["requestedBy"].endswith(f":{name}")
    one = f"{runs}/{record['id']}"
    status, text, headers = door.say("GET", f"{one}/events", token)
    assert status == 200 and headers["Content-Type"].startswith("text/event-stream")
    events = events_of(text.decode())
    assert [number for number, *_ in events] == list(range(1, len(events) + 1))
    assert events[0][1] == "queued" and events[-1][1] == "ended"
    assert "hello there" in "".join(data.get("text", "") for _, kind, data in events if kind == "stdout")
    middle = len(events) // 2
    for headers in ({"Last_Event_ID": str(middle)}, {}):
        path = f"{one}/events" + ("" if headers else f"?after={middle}&follow=false")
        assert events_of(door.say("GET", path, token, **headers)[1].decode()) == events[middle:]
    status, text, headers = door.say("GET", f"{one}/logs", token)
    assert status == 200 and headers["Content-Type"].startswith("text/plain") and b"done" in text
    assert len(door.say("GET", f"{one}/logs?tail=1", token)[1].splitlines()) == 1
    status, again, _ = door.say("POST", runs, token, {"prompt": "hello there"}, Idempotency_Key="k 1")
    assert status == 200 and again["id"] == record["id"]
    wait_for(lambda: door.say("GET", one, token)[1]["phase"] == "Succeeded", "the run to be recorded")
    status, whole, _ = door.say("GET", one, token)
    assert whole["prompt"] == "hello there" and whole["exitCode"] == 0
    assert [r["id"] for r in door.say("GET", runs, token)[1]["items"]] == [record["id"]]
    _, other = people.somebody(("get", "agents"))
    allowed_soon(lambda: door.say("GET", one, other))
    assert "prompt" not in door.say("GET", one, other)[1]
    line = audit(door.process, action="start", status=201)[-1]
    assert line["run"] == record["id"] and audit(door.process, action="events", run=record["id"])[-1]["bytes"] > 100
    assert door.say("POST", f"{one}/cancel", token)[0] == 200  # it is over: nothing happens
    assert door.say("GET", one, token)[1]["phase"] == "Succeeded"


def test_events_of_a_run_whose_pod_is_gone_are_gone(door, working, agents):
    pod, token, runs, _ = working
    _, record, _ = door.say("POST", runs, token, {"prompt": "x"})
    one = f"{runs}/{record['id']}"
    wait_for(lambda: door.say("GET", one, token)[1]["phase"] == "Succeeded", "the end")
    wait_for(lambda: (agents.get("a")["status"].get("runs") or [{}])[0].get("phase") == "Succeeded", "the status to say so")
    pod.end()
    agents.patch("a", paused=True)
    wait_for(lambda: "deletionTimestamp" in (agents.pod("a") or {"metadata": {"deletionTimestamp": ""}})["metadata"], "the pod to go")
    pod.gone()
    wait_for(lambda: door.say("GET", f"{one}/events", token)[0] == 410, "410 for the events", 60)
    assert is_status(door.say("GET", f"{one}/logs", token)[1], 410, "Gone")
    assert door.say("GET", one, token)[1]["phase"] == "Succeeded"


FOLLOWERS = 1000


def test_a_thousand_followers_of_one_run(door, working, agents):
    limit_files()
    pod, token, runs, _ = working
    go = os.path.join(pod.workspace, "go")
    open(os.path.join(pod.workspace, "wait"), "w").close()
    _, record, _ = door.say("POST", runs, token, {"prompt": "x"})
    path = f"/api/v1{runs}/{record['id']}/events"
    followers = []
    for number in range(FOLLOWERS):
        one = socket.create_connection((door.host, door.port), timeout=60)
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        followers.append(one)
        if number % 50 == 49:
            wait_for(lambda n=number: door.process.metric("agentkube_invoke_streams") >= n - 45, "streams to be open", 60)
    wait_for(lambda: door.process.metric("agentkube_invoke_streams") >= FOLLOWERS - 5, "all to follow", 60)
    kib = resident_kib(door.process)
    open(go, "w").close()
    whole = 0
    for one in followers:
        text = b""
        while chunk := one.recv(65536):
            text += chunk
        one.close()
        whole += b"event: ended" in text or b'"Status"' in text
    assert whole == FOLLOWERS
    assert kib < 128 * 1024, f"{kib} KiB resident with {FOLLOWERS} followers"
    assert door.process.running()
