# SPDX-License-Identifier: Apache-2.0
"""Type snowflake against a stand-in of its SQL API that checks the token and what it is sent. There is no server to be had."""
import base64
import hashlib
import http.server
import json
import subprocess
import threading

import pytest


class Standin(http.server.BaseHTTPRequestHandler):
    """Every request is kept; `answers` are given in turn."""

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.server.seen.append((self.command, self.path, dict(self.headers), json.loads(body) if body else None))
        status, tree = self.server.answers.pop(0)
        text = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Standin)
    server.seen, server.answers = [], []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def warehouse(service, tool, tmp_path):
    key = tmp_path / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    service.key = key

    def make(**options):
        config = {"account": "ex_ample.eu-1", "hostname": "127.0.0.1", "port": service.server_port, "sslMode": "disable", "username": "agent",
                  "databaseName": "ANALYTICS", "warehouse": "XS", "role": "READ"}
        return tool("snowflake", config, credential=key.read_text(), **options)

    return make


RESULT = {"resultSetMetaData": {"rowType": [{"name": "A", "type": "fixed"}, {"name": "B", "type": "text"}, {"name": "C", "type": "boolean"}]},
          "data": [["1", "x", "true"], ["9007199254740993", None, "false"]]}


def verified(service, headers, tmp_path):
    assert headers["X-Snowflake-Authorization-Token-Type"] == "KEYPAIR_JWT"
    head, claims, signature = headers["Authorization"].removeprefix("Bearer ").split(".")
    (tmp_path / "signature").write_bytes(base64.urlsafe_b64decode(signature + "=="))
    public = subprocess.run(["openssl", "rsa", "-in", service.key, "-pubout"], check=True, capture_output=True).stdout
    (tmp_path / "public.pem").write_bytes(public)
    subprocess.run(["openssl", "dgst", "-sha256", "-verify", tmp_path / "public.pem", "-signature", tmp_path / "signature"],
                   input=f"{head}.{claims}".encode(), check=True, capture_output=True)
    der = subprocess.run(["openssl", "rsa", "-in", service.key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    return json.loads(base64.urlsafe_b64decode(claims + "==")), base64.b64encode(hashlib.sha256(der).digest()).decode()


def test_a_query_is_one_statement_with_a_signed_token(warehouse, service, tmp_path):
    service.answers.append((200, RESULT))
    got = warehouse().call("query", sql="SELECT ?", params=[1])
    assert got["result"]["rows"] == [[1, "x", True], ["9007199254740993", None, False]], got
    method, path, headers, body = service.seen[0]
    assert (method, path) == ("POST", "/api/v2/statements")
    assert body["statement"] == "SELECT ?" and body["parameters"] == {"MULTI_STATEMENT_COUNT": "1"} and body["role"] == "READ"
    assert body["bindings"] == {"1": {"type": "FIXED", "value": "1"}}
    claims, fingerprint = verified(service, headers, tmp_path)
    assert claims["iss"] == f"EX_AMPLE.AGENT.SHA256:{fingerprint}" and claims["sub"] == "EX_AMPLE.AGENT" and claims["exp"] - claims["iat"] == 3600


def test_a_statement_that_still_runs_is_asked_for(warehouse, service):
    service.answers += [(202, {"statementHandle": "01-ab"}), (200, RESULT)]
    assert warehouse().call("query", sql="SELECT 1")["result"]["rowCount"] == 2
    assert service.seen[1][:2] == ("GET", "/api/v2/statements/01-ab")


def test_a_statement_for_which_nobody_waits_any_more_is_cancelled(warehouse, service):
    service.answers += [(202, {"statementHandle": "01-ab"})] * 100
    waiting = warehouse()
    waiting.timeout = 1500
    found = waiting.call("query", sql="SELECT 1")
    assert "time" in found["error"], found
    assert service.seen[-1][:2] == ("POST", "/api/v2/statements/01-ab/cancel")
    assert service.seen[-1][2]["Content-Length"] == "0" and service.seen[-1][2]["Authorization"].startswith("Bearer ")


def test_a_handle_that_is_a_path_is_not_followed(warehouse, service):
    service.answers.append((202, {"statementHandle": "../../other"}))
    assert "statementHandle" in warehouse().call("query", sql="SELECT 1")["error"]
    assert len(service.seen) == 1


def test_errors_and_probes_have_the_servers_words(warehouse, service):
    service.answers.append((422, {"code": "002003", "sqlState": "42S02", "message": "Object 'X' does not exist"}))
    got = warehouse().call("query", sql="SELECT * FROM x")
    assert got["serverCode"] == "42S02" and "does not exist" in got["error"]
    service.answers.append((401, {"code": "390144", "message": "JWT token is invalid."}))
    got = warehouse().probe()
    assert got["reachable"] and not got["authenticated"] and "JWT" in got["message"]
    service.answers.append((200, {"resultSetMetaData": {}, "data": [["8.1"]]}))
    got = warehouse().probe()
    assert got["authorised"] and got["server"] == "Snowflake 8.1"


def test_permissions_choose_the_role(warehouse, service):
    service.answers.append((200, RESULT))
    warehouse(permissions={"roles": ["AGENTS"]}).call("query", sql="SELECT 1")
    assert service.seen[0][3]["role"] == "AGENTS"
