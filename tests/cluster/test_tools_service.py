# SPDX-License-Identifier: Apache-2.0
"""What the manager does with the use of Tools, on a real API server: it waits for a bastion and gives it back, writes each audit
record once into a chain, keeps recordings, lets people decide, and gives agents what their Agent was given. The bastion is a scripted
one (kubetest.bastions); a real one is behind the suites engines and e2e."""
import base64
import concurrent.futures
import hashlib
import http.client
import json
import os
import socket
import struct
import subprocess
import time

import pytest
from kubetest import wait_for
from kubetest.agents import Agents, agent
from kubetest.bastions import CLOSE, STATUS, Bastion, frame, read_frame
from kubetest.cluster import AGENTS
from kubetest.invocation import NoAddress, loopback_address
from kubetest.manager import free_port
from test_invoke import Door, Maker, People, is_status, resident_kib

ALL = [("get", "tools"), ("get", "tools/log"), ("create", "tools/exec"), ("create", "tools/connect"), ("delete", "tools/connect"), ("update", "tools/approve")]
NONE = "sha256:" + "0" * 64
QUERY = {"operation": "query", "arguments": {"sql": "select 1"}}
WRITE = {"operation": "execute", "arguments": {"sql": "delete from t where secret = 'literal-of-a-statement'"}}


def tool(name="db", **spec):
    return {"apiVersion": "agentkube.io/v1alpha1", "kind": "Tool", "metadata": {"name": name},
            "spec": {"type": "postgres", "config": {"hostname": "10.9.8.7", "port": 5432, "databaseName": "app", "username": "app",
                                                    "credentialsRef": {"name": "db", "key": "password"}}, **spec}}


@pytest.fixture
def people(control_plane, namespace):
    some = People(control_plane, namespace)
    yield some
    some.forget()


@pytest.fixture
def start(manager, namespace):
    def begin(host="127.0.0.1", **options):
        port = free_port()
        door = Door(port, host)
        door.process = manager(f"--invoke-bind-address={host}:{port}", env={"POD_IP": host}, **options)
        return door
    return begin


@pytest.fixture
def scene(control_plane, namespace, people, start):
    """A Tool with a manager that leads and somebody who may everything with it."""
    made = []

    class Scene:
        kube, ns = control_plane, namespace
        door = start()
        path = f"/namespaces/{namespace}/tools/db"

        def tool(self, **spec):
            control_plane.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "hunter2-of-the-database"}},
                                tool(**spec), namespace=namespace)

        def get(self):
            return control_plane.get(f"{AGENTS}/namespaces/{namespace}/tools/db")

        def bastion(self, **options):
            made.append(Bastion(control_plane, namespace, "db", **options))
            return made[-1]

        def operate(self, body=QUERY, token=None, **more):
            return self.door.say("POST", self.path + "/operations", token or self.token, body, **more)

        def up(self, body=QUERY):
            """The first operation, and the bastion that it brought."""
            with concurrent.futures.ThreadPoolExecutor() as pool:
                asked = pool.submit(self.operate, body)
                one = self.bastion()
                assert asked.result()[0] == 200, asked.result()
            return one

        def audit(self, door=None, **wanted):
            lines = [json.loads(line) for line in (door or self.door).process.log().splitlines() if line.startswith('{"kind":"ToolAudit')]
            return [line for line in lines if all(line.get("record", {}).get(key) == value for key, value in wanted.items())]

    one = Scene()
    one.door.process.wait_leading()
    one.name, one.token = people.somebody(*ALL)
    one.people = people
    yield one
    for bastion in made:
        bastion.close()


def check_chain(text, head=NONE):
    """Each line follows from the one before; returns the last hash, and the records."""
    seq, records = 0, []
    for line in text.splitlines():
        if line.startswith('{"kind":"ToolAuditBegin"'):
            assert json.loads(line)["head"] == head, line
            seq = 0
        if not line.startswith('{"kind":"ToolAudit",'):
            continue
        tree = json.loads(line)
        record = line[line.index(',"record":') + len(',"record":'):line.rindex(',"hash":')]
        assert tree["prev"] == head and tree["seq"] == seq + 1, line
        head, seq = "sha256:" + hashlib.sha256(f"{tree['prev']}\n{record}".encode()).hexdigest(), seq + 1
        assert tree["hash"] == head, line
        assert list(json.loads(record)) == sorted(json.loads(record)), "members are sorted"
        records.append(json.loads(record))
    return head, records


# ---- a bastion comes, is used, and goes

def test_a_call_brings_a_bastion_and_the_next_one_finds_it(scene):
    scene.tool()
    assert scene.kube.pod(scene.ns, "db-bastion") is None, "nobody wants one"
    bastion = scene.up()
    status, body, _ = scene.operate()
    assert status == 200 and body["result"] == {"rows": [[1]]}, body
    assert [call["caller"] for call in bastion.calls] == [{"kind": "Person", "name": f"system:serviceaccount:{scene.ns}:{scene.name}"}] * 2
    assert bastion.calls[0]["operation"] == "query" and bastion.calls[0]["arguments"] == {"sql": "select 1"} and not bastion.calls[0]["approved"]
    assert scene.door.process.metric("agentkube_tool_cold_start_seconds_count") == 1
    wait_for(lambda: scene.door.process.metric("agentkube_tool_operations_total", type="postgres", verdict="Allowed") == 2, "both to be counted")


def test_after_a_bastion_ended_the_next_call_brings_another(scene):
    scene.tool()
    first = scene.up()
    first.exit()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(scene.operate)
        wait_for(lambda: (scene.kube.pod(scene.ns, "db-bastion") or first.pod)["metadata"]["uid"] != first.uid, "another pod")
        second = scene.bastion()
        assert asked.result()[0] == 200
    assert second.uid != first.uid and len(second.calls) == 1


def after_the_end(scene, bastion, act):
    """What act() gives when it comes to a bastion that is about to exit, and the next bastion."""
    bastion.ending = "it was not used any more"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(act)
        wait_for(lambda: bastion.too_late == 1, "it to be refused")
        bastion.exit()
        following = scene.bastion()
        return asked.result(), following


def test_who_comes_while_a_bastion_ends_gets_the_next_one(scene):
    scene.tool()
    (status, body, _), second = after_the_end(scene, scene.up(), scene.operate)
    assert status == 200 and len(second.calls) == 1, body
    client, third = after_the_end(scene, second, lambda: Client(scene, "/exec"))
    assert client.status == 101
    client.say(0, b"hello")
    assert client.hear() == (1, b"hello") and third.sessions
    client.close()


def test_an_approval_is_not_lost_to_a_bastion_that_ends(scene):
    scene.tool(approval={"mode": "Writes", "timeout": "5m"})
    bastion = scene.up()

    def write_approved():
        with concurrent.futures.ThreadPoolExecutor() as pool:
            asked = pool.submit(scene.operate, WRITE)
            waiting = wait_for(lambda: [a for a in approvals(scene) if a["phase"] == "Pending"], "the approval")[0]
            assert scene.door.say("POST", f"{scene.path}/approvals/{waiting['id']}/approve", scene.token)[0] == 200
            return asked.result()
    (status, body, _), following = after_the_end(scene, bastion, write_approved)
    assert status == 200 and [call["approved"] for call in following.calls] == [True], body
    assert [a["phase"] for a in approvals(scene)] == ["Used"]
    assert scene.door.say("POST", scene.path + "/operations?hold=1", scene.token, WRITE)[0] == 428, "it was for one time"


def test_who_gives_up_is_not_waited_for_and_a_bastion_that_does_not_come_is_told(scene):
    scene.tool()
    began = time.monotonic()
    status, body, headers = scene.door.say("POST", scene.path + "/operations?hold=2", scene.token, QUERY)
    assert status == 504 and "did not come up in 2 s" in body["message"] and headers.get("Retry-After") is None, body
    assert 2 <= time.monotonic() - began < 10
    status, body, _ = scene.door.say("POST", f"/namespaces/{scene.ns}/tools/none/operations", scene.token, QUERY)
    assert is_status(body, 404) and status == 404


def test_the_number_of_calls_of_one_tool_is_limited(scene):
    scene.tool()
    bastion = scene.up()
    go = __import__("threading").Event()
    answer = bastion.answer
    bastion.answer = lambda body: (go.wait(60), answer(body))[1]
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        asked = [pool.submit(scene.operate) for _ in range(40)]
        wait_for(lambda: sum(one.done() for one in asked) == 8, "those that are too many to be refused")
        go.set()
        codes = sorted(one.result()[0] for one in asked)
    assert codes == [200] * 32 + [429] * 8


def test_what_the_bastion_refuses_comes_in_its_own_words(scene):
    scene.tool()
    bastion = scene.up()
    for code in (403, 422, 429):
        bastion.answer = lambda body, code=code: (code, {"kind": "Status", "status": "Failure", "message": "permission denied for table t", "details": {"code": "42501"}, "code": code})
        status, body, _ = scene.operate()
        assert status == code and body["details"]["code"] == "42501" and body["message"] == "permission denied for table t"


def test_a_bastion_that_dies_in_the_middle_is_no_second_try(scene):
    scene.tool()
    bastion = scene.up()
    bastion.answer = lambda body: (0, None)
    status, body, _ = scene.operate()
    assert status == 503 and "whether the operation was done is not known" in body["message"]
    assert len(bastion.calls) <= 3, "the first, this one, and at most what libcurl does on a connection that was closed"


def test_an_impostor_at_the_bastions_address_gets_nothing(scene):
    scene.tool()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(lambda: scene.door.say("POST", scene.path + "/operations?hold=4", scene.token, QUERY))
        bastion = scene.bastion(ready=False)
        with open(os.path.join(bastion.folder, "token"), "w", encoding="utf-8") as file:
            file.write(scene.people.token(scene.name))  # of the right audience, and of no pod
        bastion.say("Running", True)
        status, body, _ = asked.result()
    assert status == 503 and "does not answer" in body["message"] and not bastion.calls, body


# ---- sessions

class Client:
    """A WebSocket client with the channels of pods/exec."""

    def __init__(self, scene, path, query="", door=None, token=None):
        door = door or scene.door
        self.socket = socket.create_connection((door.host, door.port), timeout=60)
        self.socket.sendall((f"GET /api/v1{scene.path}{path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\n"
                             f"X-Agentkube-Query: {query}\r\nX-Agentkube-Authorization: Bearer {token or scene.token}\r\n\r\n").encode())
        self.file = self.socket.makefile("rb")
        head = self.file.readline().decode()
        self.status = int(head.split()[1])
        self.headers = http.client.parse_headers(self.file)
        if self.status != 101:
            self.body = json.loads(self.file.read(int(self.headers["Content-Length"])))

    def say(self, channel, data):
        self.socket.sendall(frame(2, bytes([channel]) + data, mask=True))

    def hear(self):
        """(channel, data) of the next message; None at the end."""
        got = read_frame(self.file)
        while got and got[0] not in (2, 8):
            got = read_frame(self.file)
        return None if not got or got[0] == 8 else (got[1][0], got[1][1:])

    def close(self):
        self.file.close()
        self.socket.close()


def test_a_session_passes_unchanged_and_is_counted(scene):
    scene.tool()
    bastion = scene.up()
    client = Client(scene, "/exec", "arg=-c&arg=select%201")
    assert client.status == 101 and client.headers["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    client.say(0, b"hello \0\xff")
    assert client.hear() == (1, b"hello \0\xff")
    big = os.urandom(3 << 20)
    client.say(0, big)
    assert client.hear() == (1, big)
    wait_for(lambda: scene.door.process.metric("agentkube_tool_sessions") == 1, "the session to be counted")
    status, body, _ = scene.door.say("GET", scene.path + "/sessions", scene.token)
    assert status == 200 and [s["args"] for s in body["items"]] == [["-c", "select 1"]], body
    assert body["items"][0]["caller"]["name"].endswith(scene.name) and body["items"][0]["kind"] == "Exec"
    client.say(CLOSE, b"\0")
    channel, said = client.hear()
    assert channel == STATUS and json.loads(said)["status"] == "Success" and client.hear() is None
    client.close()
    wait_for(lambda: scene.audit(kind="Exec"), "the audit line of the session")
    assert not bastion.sessions


def test_a_session_is_killed_with_a_reason(scene):
    scene.tool()
    bastion = scene.up()
    client = Client(scene, "/forward")
    wait_for(lambda: bastion.sessions, "the session")
    one = next(iter(bastion.sessions))
    status, _, _ = scene.door.say("POST", f"{scene.path}/sessions/{one}/kill", scene.token, {"reason": "lunch"})
    assert status == 200
    channel, said = client.hear()
    assert channel == STATUS and json.loads(said)["message"] == f"ended by system:serviceaccount:{scene.ns}:{scene.name}: lunch"
    status, body, _ = scene.door.say("POST", f"{scene.path}/sessions/none/kill", scene.token)
    assert status == 404 and body["message"] == "no such session"
    client.close()


def test_a_manager_that_stops_tells_the_sessions_and_the_next_one_adopts_the_bastion(scene, start):
    scene.tool()
    bastion = scene.up()
    client = Client(scene, "/exec")
    wait_for(lambda: bastion.sessions, "the session")
    scene.operate()
    wait_for(lambda: bastion.acked == bastion.head == 2, "both records to be taken")
    assert scene.door.process.stop() == 0
    channel, said = client.hear()
    assert channel == STATUS and "the manager is stopping" in json.loads(said)["message"]
    client.close()
    second = start()
    second.process.wait_leading()
    status, body, _ = second.say("POST", scene.path + "/operations", scene.token, QUERY)
    assert status == 200 and len(bastion.calls) == 3, body
    wait_for(lambda: bastion.acked == bastion.head == 4, "the second manager to take what is new")
    head, before = check_chain(scene.door.process.log())
    _, after = check_chain(second.process.log(), head)
    assert [r["seq"] for r in before + after if r.get("bootID")] == [1, 2, 3, 4], "each once, none left out"


def test_sessions_and_operations_go_through_any_replica(scene, start):
    scene.tool()
    other = start(host="127.0.0.1")
    other.process.wait_ready()
    bastion = scene.up()
    status, body, _ = other.say("POST", scene.path + "/operations", scene.token, QUERY)
    assert status == 200, body
    client = Client(scene, "/exec", "arg=x%26y&readOnly=true", door=other)
    assert client.status == 101
    client.say(0, b"through two")
    assert client.hear() == (1, b"through two")
    assert [s["args"] for s in bastion.sessions.values()] == [["x&y"]] and all(s["readOnly"] for s in bastion.sessions.values())
    status, body, _ = other.say("GET", scene.path + "/sessions", scene.token)
    assert status == 200 and len(body["items"]) == 1
    client.close()


def test_who_has_no_right_gets_nothing_of_it(scene):
    scene.tool()
    _, weak = scene.people.somebody(("get", "tools"))
    for method, path, body in (("POST", "/operations", QUERY), ("GET", "/sessions", None), ("POST", "/sessions/s-1/kill", None), ("POST", "/probe", None),
                               ("POST", "/approvals/a/approve", None), ("GET", "/recordings", None), ("GET", "/recordings/r", None)):
        status, said, _ = scene.door.say(method, scene.path + path, weak, body)
        assert status == 403 and is_status(said, 403), (path, said)
    for path in ("/exec", "/forward", "/exec?tty=true"):
        client = Client(scene, path.split("?")[0], path.partition("?")[2], token=weak)
        assert client.status == 403
        client.close()
    assert scene.kube.pod(scene.ns, "db-bastion") is None, "nobody who may wanted one"
    assert len(scene.audit(verdict="Refused")) == 4, "uses that were refused are in the audit log"


def test_a_terminal_needs_another_right_than_a_program(scene):
    scene.tool()
    _, runner = scene.people.somebody(("create", "tools/exec"))
    scene.up()
    wait_for(lambda: scene.operate(token=runner)[0] == 200, "the right to be known")
    client = Client(scene, "/exec", "tty=true", token=runner)
    assert client.status == 403 and "tools/connect" in client.body["message"]
    client.close()


@pytest.fixture
def host():
    """An address of this machine that Endpoints may have."""
    try:
        one = loopback_address()
    except NoAddress as why:
        pytest.skip(f"no address that Endpoints may have: {why}")
    yield one
    subprocess.run(["ip", "addr", "del", f"{one}/32", "dev", "lo"], check=False)


def test_through_the_api_servers_service_proxy(control_plane, namespace, people, host, start):
    door = start(host=host)
    door.process.wait_leading()
    _, token = people.somebody(*ALL)
    kube = control_plane
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "x"}}, tool(), namespace=namespace)
    kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "agentkube-manager"}, "spec": {"containers": [{"name": "manager", "image": "none"}]}}, namespace=namespace)
    assert kube.api("PATCH", f"/api/v1/namespaces/{namespace}/pods/agentkube-manager/status", {"status": {"podIP": host, "podIPs": [{"ip": host}]}}, "merge")[0] == 200
    kube.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "agentkube-manager"},
                "spec": {"ports": [{"name": "invoke", "port": 8082, "targetPort": door.port, "protocol": "TCP"}]}},
               {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "agentkube-manager"},
                "subsets": [{"addresses": [{"ip": host, "targetRef": {"kind": "Pod", "name": "agentkube-manager", "namespace": namespace}}],
                             "ports": [{"name": "invoke", "port": door.port, "protocol": "TCP"}]}]}, namespace=namespace)
    api = kube._api
    server = api.server.removeprefix("https://")
    context = next(h._context for h in api.opener.handlers if hasattr(h, "_context") and h._context)
    name, port = server.rsplit(":", 1)
    raw = context.wrap_socket(socket.create_connection((name, int(port)), timeout=60), server_hostname=name)
    path = f"/api/v1/namespaces/{namespace}/services/http:agentkube-manager:invoke/proxy/api/v1/namespaces/{namespace}/tools/db/exec"
    raw.sendall((f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                 f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: v5.channel.k8s.io\r\nX-Agentkube-Query: arg=a&arg=b%20c\r\n"
                 f"X-Agentkube-Authorization: Bearer {token}\r\n\r\n").encode())
    bastion = Bastion(kube, namespace, "db")
    try:
        file = raw.makefile("rb")
        assert b" 101 " in file.readline()
        assert http.client.parse_headers(file)["Sec-WebSocket-Protocol"] == "v5.channel.k8s.io"
        raw.sendall(frame(2, b"\0through the proxy", mask=True))
        assert read_frame(file) == (2, b"\1through the proxy")
        assert [s["args"] for s in bastion.sessions.values()] == [["a", "b c"]]
        raw.sendall(frame(2, bytes([CLOSE, 0]), mask=True))
        assert read_frame(file)[1][0] == STATUS and read_frame(file)[0] == 8
    finally:
        raw.close()
        bastion.close()


# ---- the audit log

def test_each_record_is_written_once_whatever_happens_to_the_stream(scene):
    scene.tool()
    bastion = scene.up()
    for i in range(30):
        if i % 7 == 3:
            bastion.break_watch()
        assert scene.operate()[0] == 200
    wait_for(lambda: bastion.acked == bastion.head == 31, "all records to be taken")
    _, records = check_chain(scene.door.process.log())
    assert [r["seq"] for r in records] == list(range(1, 32))
    assert all(r["tool"] == {"namespace": scene.ns, "name": "db", "type": "postgres"} for r in records), "which Tool it is says the manager"
    assert not scene.door.process.metric("agentkube_tool_audit_dropped_total")


def test_a_killed_manager_loses_no_record(scene, start):
    scene.tool()
    bastion = scene.up()
    wait_for(lambda: bastion.acked == 1, "the first record")
    scene.door.process.kill()
    for i in range(5):
        bastion.record("Operation", {"kind": "Person", "name": "a"}, "Allowed", operation=f"o{i}")
    second = start()
    second.process.wait_leading(90)
    wait_for(lambda: bastion.acked == 6, "the rest", 60)
    _, before = check_chain(scene.door.process.log())
    line = next(line for line in second.process.log().splitlines() if "ToolAuditBegin" in line)
    _, after = check_chain(second.process.log(), json.loads(line)["head"])
    assert [r["seq"] for r in before] == [1] and [r["seq"] for r in after] == [2, 3, 4, 5, 6]


def test_records_that_are_lost_are_counted_and_said(scene):
    scene.tool()
    bastion = scene.up()
    wait_for(lambda: bastion.acked == 1, "the first record")
    with bastion.lock:
        bastion.drop(0)
        bastion.dropped = 7
        bastion.lock.notify_all()
    wait_for(lambda: scene.audit(kind="Dropped", records=7), "the line")
    assert scene.door.process.metric("agentkube_tool_audit_dropped_total") == 7
    check_chain(scene.door.process.log())


def test_nothing_of_a_statement_or_a_credential_is_in_the_ordinary_log(scene):
    scene.tool(approval={"mode": "Writes", "timeout": "1m"})
    scene.up()
    scene.operate(WRITE, timeout=90) if False else scene.door.say("POST", scene.path + "/operations?hold=1", scene.token, WRITE)
    log = scene.door.process.log()
    ordinary = "\n".join(line for line in log.splitlines() if not line.startswith('{"kind":"ToolAudit'))
    assert "literal-of-a-statement" not in ordinary and "hunter2" not in log and scene.token not in log


# ---- approvals

def approvals(scene):
    return scene.door.say("GET", scene.path + "/approvals", scene.token)[1]["items"]


def test_a_write_waits_for_a_person_and_is_done_once(scene):
    scene.tool(approval={"mode": "Writes", "timeout": "5m"})
    bastion = scene.up()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(scene.operate, WRITE)
        waiting = wait_for(lambda: [a for a in approvals(scene) if a["phase"] == "Pending"], "the approval")[0]
        assert waiting["operation"] == "execute" and waiting["class"] == "write" and waiting["preview"].startswith("delete from t")
        assert len(bastion.calls) == 1 and not asked.done()
        status, said, _ = scene.door.say("POST", f"{scene.path}/approvals/{waiting['id']}/approve", scene.token, {"reason": "go on"})
        assert status == 200 and said["phase"] == "Approved", said
        assert asked.result()[0] == 200
    assert bastion.calls[1]["approved"] is True
    assert approvals(scene)[0]["phase"] == "Used" and approvals(scene)[0]["reason"] == "go on"
    status, said, _ = scene.door.say("POST", f"{scene.path}/approvals/{waiting['id']}/deny", scene.token)
    assert status == 409 and "is Used" in said["message"]
    status, said, _ = scene.door.say("POST", scene.path + "/operations?hold=1", scene.token, WRITE)
    assert status == 428 and len(bastion.calls) == 2, "once, and no second time"
    assert [line["record"]["event"] for line in scene.audit(kind="Approval")] == ["Requested", "Approved", "Used", "Requested"]


def test_who_does_not_wait_comes_back_with_the_same_call(scene, start):
    scene.tool(approval={"mode": "Writes", "timeout": "5m"})
    bastion = scene.up()
    status, said, headers = scene.door.say("POST", scene.path + "/operations?hold=1", scene.token, WRITE)
    assert status == 428 and said["reason"] == "ApprovalRequired", said
    one = approvals(scene)[0]
    assert one["id"] in said["message"]
    assert scene.door.process.stop() == 0, "it is kept across a restart"
    scene.door = start()
    scene.door.process.wait_leading()
    assert scene.door.say("POST", f"{scene.path}/approvals/{one['id']}/approve", scene.token)[0] == 200
    other = {**WRITE, "arguments": {"sql": "delete from t"}}
    assert scene.door.say("POST", scene.path + "/operations?hold=1", scene.token, other)[0] == 428, "other arguments are another thing"
    assert scene.operate(WRITE)[0] == 200 and bastion.calls[-1]["approved"]


def test_no_is_no_and_silence_too(scene):
    scene.tool(approval={"mode": "Writes", "timeout": "3s"})
    bastion = scene.up()
    assert scene.door.say("POST", scene.path + "/operations?hold=1", scene.token, WRITE)[0] == 428
    one = approvals(scene)[0]["id"]
    assert scene.door.say("POST", f"{scene.path}/approvals/{one}/deny", scene.token, {"reason": "not today"})[0] == 200
    status, said, _ = scene.operate(WRITE)
    assert status == 403 and "not today" in said["message"] and "denied by" in said["message"]
    other = {**WRITE, "arguments": {"sql": "drop table t"}}
    assert scene.door.say("POST", scene.path + "/operations?hold=1", scene.token, other)[0] == 428
    late = approvals(scene)[0]["id"]
    wait_for(lambda: approvals(scene)[0]["phase"] == "Expired", "its time to be over", 30)
    assert scene.door.say("POST", f"{scene.path}/approvals/{late}/approve", scene.token)[0] == 409
    assert len(bastion.calls) == 1


def test_reading_needs_nobody(scene):
    scene.tool(approval={"mode": "Writes", "timeout": "5m"})
    scene.up()
    assert scene.operate()[0] == 200 and approvals(scene) == []


def test_explain_says_which_rule_decides(scene):
    scene.tool(approval={"mode": "Writes", "timeout": "5m"})
    status, said, _ = scene.door.say("POST", scene.path + "/explain", scene.token, {"operation": "execute", "statement": "delete from t"})
    assert status == 200 and said["allowed"] and said["needsApproval"] and said["class"] == "write" and said["rule"] == "spec.approval", said
    status, said, _ = scene.door.say("GET", scene.path + "/explain?operation=query&statement=select+1", scene.token)
    assert status == 200 and said["allowed"] and not said["needsApproval"] and said["class"] == "read", said
    status, said, _ = scene.door.say("POST", scene.path + "/explain", scene.token, {"operation": "execute", "statement": "delete from t", "readOnly": True})
    assert status == 200 and not said["allowed"], said
    assert scene.kube.pod(scene.ns, "db-bastion") is None


# ---- recordings

def test_a_recording_is_kept_shown_and_let_go(scene):
    scene.tool(recording={"enabled": True, "retention": "1h", "maxRecordings": 2})
    bastion = scene.up()
    text = b'{"version": 2, "width": 80, "height": 24}\n' + b"".join(b'[%d.5, "o", "line %d"]\n' % (i, i) for i in range(500))
    first = bastion.finish_recording(text)
    listed = wait_for(lambda: scene.door.say("GET", scene.path + "/recordings", scene.token)[1]["items"], "it to be listed")
    assert [one["id"] for one in listed] == [first] and listed[0]["bytes"] == len(text) and not listed[0]["truncated"] and listed[0]["user"] == "somebody"
    status, said, headers = scene.door.say("GET", f"{scene.path}/recordings/{first}", scene.token)
    assert status == 200 and said.encode() == text if isinstance(said, str) else said == text
    assert headers["Content-Type"] == "application/x-asciicast"
    wait_for(lambda: first not in bastion.recordings, "the bastion to be told")
    secret = scene.kube.get(f"/api/v1/namespaces/{scene.ns}/secrets/db-recording-{first}")
    assert secret["type"] == "agentkube.io/recording" and secret["metadata"]["ownerReferences"][0]["uid"] == scene.get()["metadata"]["uid"]
    second, third = bastion.finish_recording(text), bastion.finish_recording(text)
    wait_for(lambda: {one["id"] for one in scene.get()["status"]["recordings"]} == {second, third}, "the oldest to go")
    wait_for(lambda: scene.kube.get(f"/api/v1/namespaces/{scene.ns}/secrets/db-recording-{first}") is None, "its Secret to go")
    assert scene.door.say("GET", f"{scene.path}/recordings/{first}", scene.token)[0] == 404


def test_a_recording_that_is_too_long_is_cut_and_says_so(scene):
    scene.tool()
    bastion = scene.up()
    text = b'{"version": 2}\n' + b"".join(b'[1, "o", "%s"]\n' % base64.b64encode(os.urandom(300)) for _ in range(8000))
    one = bastion.finish_recording(text)
    listed = wait_for(lambda: scene.door.say("GET", scene.path + "/recordings", scene.token)[1]["items"], "it to be listed", 60)
    assert listed[0]["truncated"] and listed[0]["storedBytes"] <= 900 << 10 and 0 < listed[0]["bytes"] < len(text)
    _, said, _ = scene.door.raw("GET", f"/api/v1{scene.path}/recordings/{one}", {"Authorization": f"Bearer {scene.token}"})
    assert said == text[:listed[0]["bytes"]] and said.endswith(b"\n")


def test_a_foreign_secret_of_that_name_is_no_recording(scene):
    scene.tool()
    scene.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db-recording-x"}, "stringData": {"recording": "mine"}}, namespace=scene.ns)
    assert scene.door.say("GET", f"{scene.path}/recordings/x", scene.token)[0] == 404


# ---- agents

def agent_pod(scene, name, uid_of=None, **spec):
    """An Agent with a pod, and that pod's token."""
    agents = Agents(scene.kube, scene.ns)
    agents.apply(agent(name, **spec))
    pod = agents.wait_pod(name)
    bound = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": pod["metadata"]["uid"]}
    return scene.people.token("default", boundObjectRef=bound)


def test_two_agents_have_what_each_was_given(scene):
    scene.tool()
    full = agent_pod(scene, "full", tools=[{"name": "db"}])
    some = agent_pod(scene, "some", tools=[{"name": "db", "operations": ["list_tables"]}])
    none = agent_pod(scene, "none")

    def names(token):
        status, said, _ = scene.door.say("GET", "/self/tools", token)
        assert status == 200, said
        return {one["operation"] for one in said["items"]}
    assert {"query", "list_tables"} <= names(full) and names(some) == {"list_tables"} and names(none) == set()
    item = next(one for one in scene.door.say("GET", "/self/tools", full)[1]["items"] if one["operation"] == "query")
    assert item["name"] == "db_query" and item["readOnlyHint"] and item["inputSchema"]["type"] == "object" and item["tool"] == "db", item
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(lambda: scene.door.say("POST", "/self/tools/db/operations", full, {**QUERY, "runID": "r-1"}))
        bastion = scene.bastion()
        assert asked.result()[0] == 200, asked.result()
    assert bastion.calls[0]["caller"] == {"kind": "Agent", "name": "full", "namespace": scene.ns, "run": "r-1"} and bastion.calls[0]["readOnly"] is True
    for token, words in ((some, "may not use the operation"), (none, "has no tool")):
        status, said, _ = scene.door.say("POST", "/self/tools/db/operations", token, QUERY)
        assert status == 403 and words in said["message"], said
    assert len(bastion.calls) == 1
    refused = scene.audit(verdict="Refused")
    assert {line["record"]["caller"]["name"] for line in refused} == {"some", "none"} and all(line["record"]["caller"]["kind"] == "Agent" for line in refused)


def test_nobody_passes_for_an_agents_pod(scene):
    scene.tool()
    assert scene.door.say("GET", "/self/tools", scene.token)[0] == 403
    scene.kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "stranger"}, "spec": {"containers": [{"name": "c", "image": "none"}]}}, namespace=scene.ns)
    uid = scene.kube.pod(scene.ns, "stranger")["metadata"]["uid"]
    token = scene.people.token("default", boundObjectRef={"apiVersion": "v1", "kind": "Pod", "name": "stranger", "uid": uid})
    assert scene.door.say("POST", "/self/tools/db/operations", token, QUERY)[0] == 403


def test_an_agent_has_four_calls_at_a_time(scene):
    scene.tool()
    token = agent_pod(scene, "busy", tools=[{"name": "db"}])
    bastion = scene.up()
    go = __import__("threading").Event()
    answer = bastion.answer
    bastion.answer = lambda body: (go.wait(60), answer(body))[1]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(lambda: scene.door.say("POST", "/self/tools/db/operations", token, QUERY)) for _ in range(6)]
        wait_for(lambda: sum(one.done() for one in asked) == 2, "those that are too many to be refused")
        assert scene.operate is not None
        go.set()
        assert sorted(one.result()[0] for one in asked) == [200] * 4 + [429] * 2


def test_a_probe_is_asked_for(scene):
    scene.tool()
    status, said, _ = scene.door.say("POST", scene.path + "/probe", scene.token)
    assert status == 202, said
    assert scene.get()["metadata"]["annotations"]["agentkube.io/probe-requested"] == said["requestedTime"]


class ToolMaker(Maker):
    """Requests about Tools: mostly about one that is there, and some that make sense."""

    def __init__(self, document, seed, namespace):
        super().__init__(document, seed, namespace)
        some = [one for one in self.operations if "/tools" in one[0]]
        self.operations = some + 3 * [(path.replace("{name}", "db"), *rest) for path, *rest in some if "{name}" in path]

    def body(self, operation):
        if operation.get("operationId") not in ("operateTool", "explainTool", "operateOwnTool") or self.random.random() < 0.3:
            return super().body(operation)
        if self.random.random() < 0.5:
            return json.dumps(self.random.choice([QUERY, WRITE])).encode()
        made = {"operation": self.random.choice(["query", "execute", "list_tables", "exec", "connect", "forward", *self.ODD]),
                "arguments": {self.random.choice(["sql", "params", "x"]): self.random.choice(["select 1", "drop table t", *self.JUNK])}}
        return json.dumps({**made, **self.random.choice([{}, {"readOnly": True}, {"statement": "select 1"}])}).encode()

    def request(self):
        method, path, headers, body = super().request()
        path, _, query = path.partition("?")
        if path.endswith(("/operations", "/exec", "/forward")):
            query = "&".join([one for one in query.split("&") if one and not one.startswith("hold=")] + ["hold=0"])
        return method, path + ("?" + query if query else ""), headers, body


def test_requests_made_from_the_document_never_break_it(scene):
    scene.tool(approval={"mode": "Writes", "timeout": "5m"})
    bastion = scene.up()
    bastion.finish_recording(b'{"version": 2}\n')
    agent_of = agent_pod(scene, "full", tools=[{"name": "db"}])
    document = scene.door.say("GET", "/openapi.json", scene.token)[1]
    seen, problems = {}, []

    def worker(seed):
        maker = ToolMaker(document, seed, scene.ns)
        for _ in range(150):
            method, path, headers, body = maker.request()
            token = agent_of if path.startswith("/self") else scene.token
            status, text, _ = scene.door.raw(method, "/api/v1" + path, {"Authorization": "Bearer " + token, **headers}, body, 30)
            seen[status] = seen.get(status, 0) + 1
            answer = json.loads(text) if status >= 400 and method != "HEAD" else None
            if answer and (answer.get("kind") != "Status" or answer.get("code") != status):
                problems.append((method, path, body, status, text))
            if status >= 500:  # the bastion does everything that it is told
                problems.append((method, path, body, status, text))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(worker, range(4)))
    assert not problems, problems[:5]
    missing = {200, 202, 400, 403, 404, 405, 426, 428} - set(seen)
    assert scene.door.process.running() and not missing, missing
    assert scene.operate()[0] == 200


def test_ten_thousand_operations_leave_no_memory_behind(scene):
    """Resident memory after the first two thousand, and after as many as there are."""
    scene.tool()
    bastion = scene.up()
    total = int(os.environ.get("AGENTKUBE_TEST_OPERATIONS") or 3000)

    def many(n):
        connection = http.client.HTTPConnection(scene.door.host, scene.door.port, timeout=60)
        headers = {"Authorization": f"Bearer {scene.token}", "Content-Type": "application/json"}
        for _ in range(n):
            connection.request("POST", f"/api/v1{scene.path}/operations", json.dumps(QUERY), headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
        connection.close()
    many(1000)
    before = resident_kib(scene.door.process)
    many(total - 1000)
    after = resident_kib(scene.door.process)
    assert after - before < 4096, f"{before} KiB before, {after} KiB after"
    wait_for(lambda: bastion.acked == bastion.head, "the last records")
