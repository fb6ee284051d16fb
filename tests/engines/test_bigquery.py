# SPDX-License-Identifier: Apache-2.0
"""Type bigquery against a stand-in of Google's token endpoint and of BigQuery's REST API. There is no server to be had.

It checks what the real ones check: the assertion's signature, audience and life, which scope a token has, and that a method takes that
scope (jobs.insert wants `bigquery`, jobs.query and what reads take `bigquery.readonly` too).
"""
import base64
import http.client
import http.server
import json
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

from kubetest.databases import Authority
from kubetest.wait import wait_for

EMAIL = "agent@example.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/bigquery"
ROWS = {"schema": {"fields": [{"name": "a", "type": "INTEGER"}, {"name": "b", "type": "STRING"}, {"name": "c", "type": "BOOLEAN"},
                              {"name": "d", "type": "FLOAT"}, {"name": "e", "type": "INTEGER", "mode": "REPEATED"}]},
        "rows": [{"f": [{"v": "1"}, {"v": "x"}, {"v": "true"}, {"v": "1.5"}, {"v": [{"v": "7"}]}]},
                 {"f": [{"v": "9007199254740993"}, {"v": None}, {"v": "false"}, {"v": "NaN"}, {"v": []}]}],
        "jobComplete": True, "jobReference": {"projectId": "p", "jobId": "j/1", "location": "EU"}}


def kind_of(sql):
    """What the service calls a statement."""
    bare = re.sub(r"--[^\n]*\n|/\*.*?\*/", " ", sql, flags=re.S).strip()
    if ";" in bare.rstrip(";") or bare.upper().startswith(("DECLARE", "BEGIN")):
        return "SCRIPT"
    word = bare.split()[0].upper()
    return "SELECT" if word in ("SELECT", "WITH", "(SELECT") else {"CREATE": "CREATE_TABLE", "EXPORT": "EXPORT_DATA"}.get(word, word)


class Standin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def reply(self, status, tree):
        text = json.dumps(tree).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/token":
            self.reply(*self.server.grant(body.decode(), self.headers["Content-Type"]))
            return
        scope = self.server.tokens.get(self.headers.get("Authorization", "").removeprefix("Bearer "))
        if not scope:
            self.reply(401, {"error": {"code": 401, "message": "Request had invalid authentication credentials."}})
            return
        path = self.path.removeprefix("/bigquery/v2/projects/my%2Dproject").removeprefix("/bigquery/v2/projects/my-project")
        self.server.seen.append((self.command, path, scope))
        self.reply(*self.server.api(self.command, path, scope, json.loads(body) if body else None))

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


class Service(http.server.ThreadingHTTPServer):
    def __init__(self, certificate, public):
        super().__init__(("127.0.0.1", 0), Standin)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.public, self.tokens, self.seen, self.run, self.queries = public, {}, [], [], []
        self.refuse, self.polls, self.fails, self.answers = None, 0, False, {}

    def grant(self, body, kind):
        assert kind == "application/x-www-form-urlencoded", kind
        form = dict(part.split("=", 1) for part in body.split("&"))
        assert form["grant_type"] == "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer", form
        head, claims, signature = form["assertion"].split(".")
        done = subprocess.run(["openssl", "dgst", "-sha256", "-verify", self.public, "-signature", "/dev/stdin",
                               self.write(f"{head}.{claims}")], input=base64.urlsafe_b64decode(signature + "=="), capture_output=True, check=False)
        head, claims = (json.loads(base64.urlsafe_b64decode(one + "==")) for one in (head, claims))
        good = (done.returncode == 0 and head == {"alg": "RS256", "typ": "JWT", "kid": "key-1"} and claims["iss"] == EMAIL
                and claims["aud"] == f"https://127.0.0.1:{self.server_port}/token" and claims["exp"] - claims["iat"] <= 3600
                and abs(claims["iat"] - time.time()) < 300 and claims["scope"] in (SCOPE, SCOPE + ".readonly"))
        if self.refuse or not good:
            return 400, {"error": "invalid_grant", "error_description": self.refuse or "Invalid JWT Signature."}
        token = f"ya29.{len(self.tokens)}-t0ken-of-the-service"
        self.tokens[token] = claims["scope"]
        return 200, {"access_token": token, "expires_in": 3599, "token_type": "Bearer"}

    def write(self, text):
        path = f"{self.public}.{threading.get_ident()}"
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        return path

    def api(self, method, path, scope, body):
        if (method, path) == ("POST", "/jobs"):
            if scope != SCOPE:
                return 403, {"error": {"code": 403, "message": "Request had insufficient authentication scopes."}}
            assert body["configuration"]["dryRun"] is True, body
            query = body["configuration"]["query"]
            assert query["useLegacySql"] is False, query
            return 200, {"statistics": {"query": {"statementType": kind_of(query["query"])}}}
        if (method, path) == ("POST", "/queries"):
            assert body["useLegacySql"] is False, body
            self.queries.append(body)
            if body.get("dryRun"):
                return 200, {"jobComplete": True, "totalBytesProcessed": "0"}
            self.run.append(body["query"])
            if body["query"] == "SELECT nothing":
                return 400, {"error": {"code": 400, "message": "Unrecognized name: nothing at [1:8]"}}
            if self.polls:
                return 200, {"jobComplete": False, "jobReference": ROWS["jobReference"]}
            return 200, ROWS if kind_of(body["query"]) == "SELECT" else {"jobComplete": True, "numDmlAffectedRows": "3"}
        if method == "GET" and path.startswith("/queries/j%2F1?"):
            assert "location=EU" in path, path
            assert "timeoutMs=20000" in path, path
            self.polls -= 1
            time.sleep(0.05)
            if self.fails:
                return 400, {"error": {"code": 400, "message": "Resources exceeded during query execution."}}
            return 200, {**ROWS, "jobComplete": self.polls == 0}
        return self.answers.get((method, path.partition("?")[0]), (404, {"error": {"code": 404, "message": f"Not found: {path}"}}))


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    authority = Authority(str(folder))
    subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", folder / "key.pem"], check=True,
                   capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", folder / "key.pem", "-pubout", "-out", folder / "public.pem"], check=True, capture_output=True)
    return authority, authority.issue("127.0.0.1"), (folder / "key.pem").read_text(), str(folder / "public.pem")


@pytest.fixture
def service(keys):
    server = Service(keys[1], keys[3])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def make(service, tool, keys):
    def one(key=None, credential=None, **config):
        account = {"type": "service_account", "client_email": EMAIL, "private_key_id": "key-1", "private_key": key or keys[2],
                   "project_id": "other", "token_uri": f"https://127.0.0.1:{service.server_port}/token"}
        return tool("bigquery", {"project": "my-project", "dataset": "sales", "hostname": "127.0.0.1", "port": service.server_port, **config},
                    credential=credential or json.dumps(account), ca=keys[0].pem)

    return one


def test_a_query_has_typed_rows_and_a_token_that_reads(make, service):
    found = make().call("query", "--read-only", sql="SELECT 1")
    assert found["result"]["rows"] == [[1, "x", True, 1.5, [{"v": "7"}]], ["9007199254740993", None, False, "NaN", []]], found
    assert [one["type"] for one in found["result"]["columns"]][:2] == ["INTEGER", "STRING"]
    assert service.seen == [("POST", "/jobs", SCOPE), ("POST", "/queries", SCOPE + ".readonly")]
    assert service.queries[0]["defaultDataset"] == {"projectId": "my-project", "datasetId": "sales"}


@pytest.mark.parametrize("sql", ["DELETE FROM t WHERE true", "/* SELECT */ DELETE FROM t WHERE true", "-- SELECT\nUPDATE t SET a = 1 WHERE true",
                                 "SELECT 1; DROP TABLE t", "CREATE TABLE x AS SELECT 1", "EXPORT DATA OPTIONS(uri='gs://b/*') AS SELECT 1",
                                 "CALL p()", "BEGIN DELETE FROM t WHERE true; END", "DECLARE x INT64; SELECT 1", "MERGE t USING u ON false",
                                 "LOAD DATA INTO t FROM FILES(uris=['gs://b/x'])", "EXECUTE IMMEDIATE 'DROP TABLE t'", "ASSERT true"])
def test_what_is_no_select_is_never_run_for_a_reader(make, service, sql):
    for operation, flags in (("query", ()), ("query", ("--read-only",)), ("execute", ("--read-only",))):
        found = make().call(operation, *flags, sql=sql)
        assert "only one SELECT" in found["error"] and found["reason"] == "forbidden", found
    assert service.run == []


def test_execute_runs_it_and_counts(make, service):
    found = make().call("execute", sql="DELETE FROM t WHERE true")
    assert found["result"]["rowCount"] == found["rows"] == 3 and service.run == ["DELETE FROM t WHERE true"], found
    assert service.seen == [("POST", "/queries", SCOPE)]


def test_parameters_have_types(make, service):
    make().call("execute", sql="SELECT ?, ?, ?, ?, ?", params=[1, "it's", True, 0.5, None])
    sent = service.queries[0]
    assert sent["parameterMode"] == "POSITIONAL"
    assert [(one["parameterType"]["type"], one["parameterValue"]["value"]) for one in sent["queryParameters"]] == [
        ("INT64", "1"), ("STRING", "it's"), ("BOOL", "true"), ("FLOAT64", "0.5"), ("STRING", None)]


def test_a_job_that_still_runs_is_asked_for(make, service):
    service.polls = 3
    assert make(location="EU").call("query", sql="SELECT 1")["result"]["rowCount"] == 2
    assert [path.partition("?")[0] for _, path, _ in service.seen[2:]] == ["/queries/j%2F1"] * 3
    assert service.queries[0]["location"] == "EU"


@pytest.mark.parametrize("flags", [(), ("--read-only",)])
def test_a_job_for_which_nobody_waits_any_more_is_cancelled(make, service, flags):
    service.polls = 100000
    waiting = make(location="EU")
    waiting.timeout = 1500
    found = waiting.call("query", *flags, sql="SELECT 1")
    assert "time" in found["error"], found
    assert service.seen[-1] == ("POST", "/jobs/j%2F1/cancel?location=EU", SCOPE)  # `bigquery.readonly` is not enough for it
    assert 0 < int(service.queries[0]["jobTimeoutMs"]) <= 1500 and service.queries[0]["timeoutMs"] == 1000


def test_a_job_that_failed_is_not_cancelled(make, service):
    service.polls, service.fails = 3, True
    assert "Resources exceeded" in make().call("query", sql="SELECT 1")["error"]
    assert [path.partition("?")[0] for _, path, _ in service.seen[2:]] == ["/queries/j%2F1"]


def test_rows_are_limited(make, service):
    found = make().call("query", "--max-rows=1", sql="SELECT 1")["result"]
    assert found["rowCount"] == 1 and found["truncated"] and service.queries[0]["maxResults"] == 1
    assert make().call("query", "--max-bytes=10", sql="SELECT 1")["result"]["truncated"]


def test_tables_are_listed_and_described(make, service):
    service.answers[("GET", "/datasets/sales/tables")] = (200, {"tables": [
        {"tableReference": {"datasetId": "sales", "tableId": "orders"}, "type": "TABLE"}], "nextPageToken": "x"})
    service.answers[("GET", "/datasets/o%2F..%2Fx/tables/t%3F")] = (200, {"schema": {"fields": [{"name": "id", "type": "INTEGER", "mode": "REQUIRED"}]}})
    found = make().call("list_tables")["result"]
    assert found["rows"] == [["sales", "orders", "TABLE"]] and found["truncated"]
    assert make().call("describe_table", schema="o/../x", table="t?")["result"]["rows"] == [["id", "INTEGER", "REQUIRED"]]
    assert "no dataset" in make(dataset=None).call("list_tables").get("error", "") or not service.answers


def test_errors_have_the_services_words(make):
    found = make().call("query", sql="SELECT nothing")
    assert "Unrecognized name: nothing" in found["error"] and found["serverCode"] == "400", found


def test_a_probe_costs_nothing_and_tells_what_failed(make, service, keys):
    assert make().probe() == {"reachable": True, "authenticated": True, "authorised": True, "server": "BigQuery", "message": ""}
    assert service.run == [] and service.queries[0]["dryRun"] is True
    service.refuse = "Invalid grant: account not found"
    found = make().probe()
    assert (found["reachable"], found["authenticated"]) == (True, False) and "account not found" in found["message"], found
    service.refuse = None
    other = subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], check=True, capture_output=True, text=True)
    found = make(key=other.stdout).probe()
    assert (found["reachable"], found["authenticated"]) == (True, False) and "Invalid JWT Signature" in found["message"], found
    for credential in ("{}", "no json", json.dumps({"type": "service_account", "client_email": EMAIL, "private_key": keys[2], "token_uri": "http://x/"})):
        found = make(credential=credential).probe()
        assert not found["reachable"] and "service account" in found["message"] and "PRIVATE" not in found["message"], found


def test_clients_of_a_session_have_the_token_added(make, service):
    service.answers[("GET", "/datasets")] = (200, {"datasets": []})

    def ask(session, method, path):
        connection = http.client.HTTPConnection("tool", timeout=60)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(str(session.folder / "engine.sock"))
        connection.request(method, path, headers={"Authorization": "Bearer of-the-client"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    for flags, scope in ((), SCOPE), (("--read-only",), SCOPE + ".readonly"):
        service.seen.clear()
        with make().serve(*flags) as session:
            assert ask(session, "GET", "/bigquery/v2/projects/my-project/datasets") == (200, {"datasets": []})
            assert ask(session, "GET", "/bigquery/v2/projects/my-project/datasets")[0] == 200
            assert service.seen == [("GET", "/datasets", scope)] * 2
            wait_for(lambda: len(session.statements()) == 2, "the audit", 10)
            if flags:
                assert ask(session, "POST", "/bigquery/v2/projects/my-project/queries")[0] == 403
    assert len(service.tokens) == 2, "one token a session"
