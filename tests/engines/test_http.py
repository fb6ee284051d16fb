# SPDX-License-Identifier: Apache-2.0
"""Type http against a real nginx: the credential, rules, what callers may not say, large answers, the proxy, ends."""
import base64
import concurrent.futures
import http.client
import json
import socket
import time

import pytest

from kubetest.databases import Nginx
from kubetest.wait import wait_for

TOKEN = "t0ken-of-the-api"
SERVER = """
location / { return 200 "ok $request_method $request_uri"; }
location /json { default_type application/json; return 200 '{"a": [1, 2]}'; }
location /echo { return 200 "auth=$http_authorization cookie=$http_cookie host=$http_host x=$http_x_thing key=$http_x_api_key"; }
location /cookie { add_header Set-Cookie "session=1"; return 200 "set"; }
location /moved { return 302 http://127.0.0.1:9/elsewhere; }
location /denied { return 403 "not for you"; }
location /gone { return 404 "nothing"; }
location /notme { return 401 "who are you"; }
location /big { default_type application/octet-stream; }
location /slow { limit_rate 1k; }
"""
RULES = {"requests": [{"methods": ["GET"], "paths": ["/invoices/*", "/echo"]}, {"methods": ["POST"], "paths": ["/notes"]}]}


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("tool", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self.path))


def ask(session, method, path, body=None, **headers):
    connection = UnixConnection(session.folder / "engine.sock")
    connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.getheaders())


@pytest.fixture
def nginx(server):
    return server(Nginx, server=SERVER)


@pytest.fixture
def api(nginx, tool):
    def make(path="", credential=TOKEN, permissions=None, **config):
        return tool("http", {"url": f"http://127.0.0.1:{nginx.port}{path}", **config}, credential=credential, permissions=permissions)

    return make


def test_a_request_has_the_token_and_its_answer_is_json(api, nginx):
    got = api().call("http_request", method="GET", path="/json", query={"q": "a b&c"})
    assert got["result"]["status"] == 200 and got["result"]["body"] == {"a": [1, 2]}, got
    assert nginx.requests()[-1] == f"GET /json?q=a%20b%26c 200 Bearer {TOKEN}"


def test_a_user_logs_in_with_basic_and_a_header_can_carry_the_credential(api, nginx):
    api(username="ann").call("http_request", method="GET", path="/x")
    assert nginx.requests()[-1].endswith("Basic " + base64.b64encode(f"ann:{TOKEN}".encode()).decode())
    got = api(credentialHeader="X-Api-Key").call("http_request", method="GET", path="/echo")
    assert "key=****" in got["result"]["body"] and "auth= " in got["result"]["body"], got


def test_a_server_that_repeats_the_credential_does_not_show_it(api):
    for make in (api(), api(username="ann")):
        got = json.dumps(make.call("http_request", method="GET", path="/echo"))
        assert TOKEN not in got and base64.b64encode(f"ann:{TOKEN}".encode()).decode() not in got


@pytest.mark.parametrize("path", ["/../admin", "/a/..", "/%2e%2e/admin", "//admin", "/a%2fb", "/a\\b", "/a;b", "/a%00", "relative", "/a b", "/a#b",
                                  "/invoices/..%2f..%2fadmin", "/a\r\nHost: evil", "http://elsewhere/"])
def test_a_path_that_can_be_read_in_two_ways_is_not_sent(api, nginx, path):
    before = len(nginx.requests())
    assert "error" in api(path="/api").call("http_request", method="GET", path=path)
    assert len(nginx.requests()) == before


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer other"}, {"Host": "elsewhere"}, {"Cookie": "a=b"}, {"Transfer-Encoding": "chunked"},
                                     {"Content-Length": "3"}, {"X-HTTP-Method-Override": "DELETE"}, {"X-Original-URL": "/admin"},
                                     {"Impersonate-User": "root"}, {"X-Thing": "a\r\nX-Evil: b"}, {"X Thing": "a"}, {"Proxy-Authorization": "x"}])
def test_headers_that_are_not_a_callers_are_refused(api, nginx, headers):
    before = len(nginx.requests())
    assert "error" in api().call("http_request", method="GET", path="/echo", headers=headers)
    assert len(nginx.requests()) == before


def test_the_rules_decide_before_anything_is_sent(api, nginx):
    one = api(permissions=RULES)
    assert one.call("http_request", method="GET", path="/invoices/7")["result"]["status"] == 200
    assert one.call("http_request", method="POST", path="/notes", body={"a": 1})["result"]["status"] == 200
    before = len(nginx.requests())
    for method, path in (("DELETE", "/invoices/7"), ("GET", "/notes"), ("POST", "/invoices/7"), ("GET", "/")):
        got = one.call("http_request", method=method, path=path)
        assert "spec.permissions.requests" in got.get("error", ""), got
    assert len(nginx.requests()) == before


def test_who_only_reads_sends_nothing_that_writes(api, nginx):
    before = len(nginx.requests())
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert "only read" in api().call("http_request", "--read-only", method=method, path="/x")["error"]
    assert len(nginx.requests()) == before
    assert api().call("http_request", "--read-only", method="GET", path="/x")["result"]["status"] == 200


def test_redirects_are_answers_and_cookies_stay(api):
    got = api().call("http_request", method="GET", path="/moved")["result"]
    assert got["status"] == 302 and got["headers"]["location"] == "http://127.0.0.1:9/elsewhere"
    assert "set-cookie" not in api().call("http_request", method="GET", path="/cookie")["result"]["headers"]


def test_a_large_answer_is_cut(api, nginx):
    with open(nginx.path("www") + "/big", "wb") as file:
        file.truncate(1 << 30)
    got = api().call("http_request", "--max-bytes=1000", method="GET", path="/big")
    assert got["result"]["truncated"] and got["bytes"] == 1000


def test_a_deadline_ends_a_request(api, nginx):
    with open(nginx.path("www") + "/slow", "wb") as file:
        file.truncate(1 << 20)
    start = time.monotonic()
    got = api().call("http_request", "--timeout=1500", method="GET", path="/slow")
    assert "in time" in got["error"] and time.monotonic() - start < 15


@pytest.mark.parametrize("path,reachable,authenticated,authorised", [("", True, True, True), ("/notme", True, False, False), ("/denied", True, True, False),
                                                                      ("/gone", True, True, True)])
def test_a_probe_tells_what_failed(api, path, reachable, authenticated, authorised):
    got = api(path=path).probe()
    assert (got["reachable"], got["authenticated"], got["authorised"]) == (reachable, authenticated, authorised), got
    assert got["server"].startswith("nginx")


def test_a_probe_of_nobody_is_not_reachable(tool):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        got = tool("http", {"url": f"http://127.0.0.1:{free.getsockname()[1]}"}, credential=TOKEN).probe()
    assert not got["reachable"] and not got["authenticated"] and got["message"] and TOKEN not in json.dumps(got)


def test_the_proxy_adds_the_credential_and_takes_the_clients_away(api, nginx):
    with api().serve() as session:
        assert ask(session, "GET", "/a?secret=1", Authorization="Bearer mine", X_Forwarded_For="1.2.3.4")[0] == 200
        assert nginx.requests()[-1] == f"GET /a?secret=1 200 Bearer {TOKEN}"
        wait_for(lambda: len(session.events("done")) >= 1 or session.statements(), "the record")
        assert "secret=..." in json.dumps(session.statements()) and "secret=1" not in json.dumps(session.events())
        assert "Set-Cookie" not in ask(session, "GET", "/cookie")[2]
        assert ask(session, "POST", "/x", b"body")[0] == 200
        assert TOKEN.encode() not in session.processes_text()


def test_the_proxy_keeps_the_rules(api, nginx):
    with api(permissions=RULES).serve() as session:
        assert ask(session, "GET", "/invoices/1")[0] == 200
        before = len(nginx.requests())
        for method, path in (("DELETE", "/invoices/1"), ("GET", "/admin"), ("GET", "/invoices/../admin"), ("TRACE", "/echo")):
            assert ask(session, method, path)[0] in (400, 403), path
        assert ask(session, "GET", "/echo", Impersonate_User="root")[0] == 403
        assert ask(session, "GET", "/echo", Upgrade="websocket", Connection="Upgrade")[0] == 400
        assert len(nginx.requests()) == before


def test_the_proxy_of_a_reader_lets_nothing_through_that_writes(api, nginx):
    with api().serve("--read-only") as session:
        assert ask(session, "GET", "/x")[0] == 200
        before = len(nginx.requests())
        assert ask(session, "POST", "/x", b"1")[0] == 403
        assert len(nginx.requests()) == before


def test_a_gigabyte_goes_through_with_flat_memory(api, nginx):
    with open(nginx.path("www") + "/big", "wb") as file:
        file.truncate(1 << 30)
    with api().serve() as session:
        connection = UnixConnection(session.folder / "engine.sock")
        connection.request("GET", "/big")
        answer, n = connection.getresponse(), 0
        while chunk := answer.read(1 << 20):
            n += len(chunk)
        assert n == 1 << 30 and session.memory() < 100_000


def test_a_session_that_ends_says_why(api, nginx):
    with open(nginx.path("www") + "/slow", "wb") as file:
        file.truncate(1 << 20)
    with api().serve() as session, concurrent.futures.ThreadPoolExecutor() as pool:
        kept = UnixConnection(session.folder / "engine.sock")
        kept.request("GET", "/slow")
        answer = kept.getresponse()
        assert answer.status == 200
        wait_for(session.busy, "the stream to be known")
        session.end()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            pool.submit(answer.read).result(60)
        wait_for(lambda: not session.busy(), "the stream to end")
