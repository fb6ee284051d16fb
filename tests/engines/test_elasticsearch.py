# SPDX-License-Identifier: Apache-2.0
"""Type elasticsearch against a stand-in of its API that checks what it is sent. There is no server to be had."""
import base64
import http.server
import json
import threading

import pytest

READER, WRITER = "agentkube_6f1d3c1e0d_r", "agentkube_6f1d3c1e0d_w"
GRANTS = {"grants": [{"privileges": ["read"], "objects": ["logs-*"]}, {"privileges": ["write"], "objects": ["notes"]}],
          "adminCredentialsRef": {"name": "a", "key": "k"}}


class Cluster(http.server.BaseHTTPRequestHandler):
    """Roles and users in memory; a search finds one document."""

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        tree = json.loads(body) if body else None
        self.server.seen.append((self.command, self.path, self.headers.get("Authorization"), tree))
        status, reply = self.decide(tree)
        text = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def decide(self, tree):
        if self.path == "/":
            return 200, {"version": {"number": "8.11.0"}}
        if self.path.startswith("/_security/"):
            _, _, kind, name = self.path.split("/")
            store = self.server.things.setdefault(kind, {})
            if self.command == "PUT":
                created = name not in store
                store[name] = tree
                return 200, {"created": created} if kind == "user" else {kind: {"created": created}}
            if name not in store:
                return 404, {"found": False}
            if self.command == "DELETE":
                del store[name]
                return 200, {"found": True}
            return 200, {name: {**store[name], "applications": [], "metadata": {}}}
        if self.path == "/missing/_search":
            return 404, {"error": {"type": "index_not_found_exception", "reason": "no such index [missing]"}, "status": 404}
        return 200, {"hits": {"hits": [{"_index": "logs-1", "_id": "a", "_source": {"message": "hello"}}]}, "aggregations": {"n": {"value": 3}}}

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def elastic(tool):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Cluster)
    server.seen, server.things = [], {}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def make(permissions=None, **config):
        return tool("elasticsearch", {"url": f"http://127.0.0.1:{server.server_port}", **config}, credential="a-key-of-the-api", permissions=permissions,
                    admin=("elastic", "adm1n-secret"))

    make.server = server
    yield make
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_search_has_the_key_and_gives_rows(elastic):
    got = elastic().call("search", index="logs-*", query={"match": {"message": "hello"}}, maxRows=5)
    assert got["result"]["rows"] == [["logs-1", "a", {"message": "hello"}]] and got["result"]["aggregations"]["n"]["value"] == 3, got
    assert elastic.server.seen[-1] == ("POST", "/logs-*/_search", "ApiKey a-key-of-the-api", {"size": 5, "query": {"match": {"message": "hello"}}})


@pytest.mark.parametrize("index", ["_all/../_security", "../x", "a/b", "_security", ".security", "a?b", "a%2fb", ""])
def test_an_index_is_one_part_of_a_path(elastic, index):
    assert "error" in elastic().call("search", index=index)
    assert not elastic.server.seen


def test_an_error_has_the_servers_words(elastic):
    got = elastic().call("search", index="missing")
    assert got["serverCode"] == "404" and "no such index" in got["error"]


def test_a_probe_says_the_version(elastic):
    got = elastic().probe()
    assert got["authorised"] and got["server"] == "Elasticsearch 8.11.0", got


def test_a_user_logs_in_with_basic(elastic):
    elastic(username="ann").call("search", index="logs-1")
    assert elastic.server.seen[-1][2] == "Basic " + base64.b64encode(b"ann:a-key-of-the-api").decode()


def test_provisioning_makes_roles_and_users_once(elastic):
    one = elastic(permissions=GRANTS).mint()
    first = one.provision()
    assert first["done"] and len(first["changed"]) == 4, first
    roles = elastic.server.things["role"]
    assert roles[READER]["indices"] == [{"names": ["logs-*"], "privileges": ["read"]}] and len(roles[WRITER]["indices"]) == 2
    assert elastic.server.things["user"][READER]["roles"] == [READER]
    assert one.provision()["changed"] == []
    roles[READER]["indices"][0]["names"] = ["*"]
    assert one.provision()["changed"] == [f"role {READER} was set"]
    assert len(one.deprovision()["changed"]) == 4 and not elastic.server.things["role"]
    assert one.deprovision()["changed"] == []
