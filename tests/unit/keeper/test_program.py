#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The keeper as a process: test_program.py PATH-OF-KEEPER PATH-OF-KEEPER-WITH-TOOLS [TEST...]. Speaks TAP.

Everything is real: processes, signals, files, TLS on loopback; provider and agentlet are scripted servers of this
program. Waits are for conditions.
"""
import base64
import gzip
import hashlib
import http.client
import http.server
import json
import os
import select
import shutil
import signal
import socket
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import unittest

KEEPER = ""
KEEPER_WITH_TOOLS = ""
SANITIZED = False
DEADLINE = 30  # seconds that anything may take on a busy machine
KEY = "sk-canary-5e1f-key"
OTHER_KEY = "sk-canary-77aa-other"
TOKEN = "canary-token-93bd"
CANARIES = (KEY, OTHER_KEY, TOKEN)
PLACEHOLDER = "agentkube-placeholder-not-a-key"
MANAGER = "agentkube-manager"
ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C",
       **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}


def eventually(condition, what):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {DEADLINE} s: {what}")


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, text, mode=0o600):
    with open(f"{path}.new", "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(f"{path}.new", mode)
    os.rename(f"{path}.new", path)


# --- certificates ---

def openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Pki:
    """Two authorities, and leaves of them, made once."""
    dir = None

    @classmethod
    def make(cls):
        cls.dir = tempfile.mkdtemp(prefix="keeper-pki-")
        for name in ("ca", "foreign"):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", f"/CN={name}", "-keyout", cls.path(f"{name}.key"), "-out", cls.path(f"{name}.pem"))
        cls.leaf("server", "ca", "provider", "serverAuth", "subjectAltName=IP:127.0.0.1,DNS:localhost")
        cls.leaf("manager", "ca", MANAGER, "clientAuth")
        cls.leaf("other-name", "ca", "somebody-else", "clientAuth")
        cls.leaf("for-servers", "ca", MANAGER, "serverAuth")
        cls.leaf("foreign-manager", "foreign", MANAGER, "clientAuth")

    @classmethod
    def path(cls, name):
        return f"{cls.dir}/{name}"

    @classmethod
    def leaf(cls, name, authority, subject, usage, more=""):
        extensions = cls.path(f"{name}.ext")
        with open(extensions, "w", encoding="utf-8") as file:
            file.write(f"extendedKeyUsage={usage}\n{more}\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={subject}",
                "-keyout", cls.path(f"{name}.key"), "-out", cls.path(f"{name}.csr"))
        openssl("x509", "-req", "-in", cls.path(f"{name}.csr"), "-CA", cls.path(f"{authority}.pem"),
                "-CAkey", cls.path(f"{authority}.key"), "-CAcreateserial", "-days", "30", "-extfile", extensions,
                "-out", cls.path(f"{name}.pem"))


# --- scripted servers ---

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args):
        pass

    def body(self):
        if self.headers.get("Transfer-Encoding"):
            raise AssertionError("the keeper sends lengths")
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, status, body, *headers):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def chunk(self, data):
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def begin_chunks(self, content_type="text/event-stream"):
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except (ConnectionError, ssl.SSLError, OSError):
            self.close_connection = True
            self.server.script.broken.append(self.path if hasattr(self, "path") else "?")


class Script:
    """What the provider does, by the first part of the path."""

    def __init__(self):
        self.requests = []
        self.broken = []
        self.gate = threading.Event()

    def handle(self, h):
        body = h.body()
        self.requests.append((h.command, h.path, list(h.headers.items()), body))
        part = h.path.split("?")[0].strip("/").split("/")[0]
        getattr(self, "do_" + (part or "root"), self.do_default)(h, body)

    def do_default(self, h, body):
        h.answer(200, json.dumps({"path": h.path, "method": h.command}).encode(), ("Content-Type", "application/json"))

    def do_echo(self, h, body):
        h.answer(200, body, ("Content-Type", "application/octet-stream"), ("X-Sum", hashlib.sha256(body).hexdigest()))

    def do_trickle(self, h, body):
        h.begin_chunks()
        for i in range(20):
            h.chunk(b"event: n\ndata: %d\n\n" % i)
            time.sleep(0.01)
        h.wfile.write(b"0\r\n\r\n")

    def do_stepwise(self, h, body):
        """The second event comes only when the first one was read by who asked."""
        h.begin_chunks()
        h.chunk(b"data: first\n\n")
        self.gate.wait(DEADLINE)
        h.chunk(b"data: second\n\n")
        h.wfile.write(b"0\r\n\r\n")

    def do_gzip(self, h, body):
        h.answer(200, gzip.compress(b"small when packed" * 100), ("Content-Encoding", "gzip"), ("Vary", "Accept"))

    def do_status(self, h, body):
        h.answer(int(h.path.strip("/").split("/")[1]), b'{"type":"error","error":{"type":"x","message":"no"}}',
                 ("Content-Type", "application/json"), ("request-id", "req_1"), ("Retry-After", "7"))

    def do_redirect(self, h, body):
        h.answer(307, b"", ("Location", f"http://127.0.0.1:{self.thief_port}/stolen"))

    def do_cut(self, h, body):
        h.send_response(200)
        h.send_header("Content-Length", "1000")
        h.end_headers()
        h.wfile.write(b"x" * 500)
        h.close_connection = True

    def do_cutchunks(self, h, body):
        h.begin_chunks()
        h.chunk(b"data: half\n\n")
        h.close_connection = True

    def do_nohead(self, h, body):
        h.close_connection = True

    def do_endless(self, h, body):
        h.begin_chunks()
        while True:
            h.chunk(b"data: " + b"x" * 8192 + b"\n\n")

    def do_quiet(self, h, body):
        """Says one thing and then nothing, until the other side goes."""
        h.begin_chunks()
        h.chunk(b"data: hello\n\n")
        if select.select([h.connection], [], [], DEADLINE)[0]:
            raise ConnectionResetError

    def do_manyheaders(self, h, body):
        h.answer(200, b"ok", *[(f"X-Number-{i}", "v" * 50) for i in range(90)], ("Set-Cookie", "a=1"),
                 ("Set-Cookie", "b=2"))


class Server:
    def __init__(self, script, tls=False, unix=None, port=0):
        self.script = script
        self.connections = connections = []
        base = socketserver.UnixStreamServer if unix else socketserver.TCPServer

        class Listener(socketserver.ThreadingMixIn, base):
            daemon_threads = True
            allow_reuse_address = True
            request_queue_size = 512

            def handle_error(self, request, client_address):
                pass

            def get_request(self):
                connection, address = super().get_request()
                connections.append(connection)
                return connection, address or ("unix", 0)

        class Bound(Handler):
            def do_any(self):
                script.handle(self)
            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = do_OPTIONS = do_any
            disable_nagle_algorithm = not unix

        self.listener = Listener(unix or ("127.0.0.1", port), Bound)
        self.listener.script = script
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(Pki.path("server.pem"), Pki.path("server.key"))
            self.listener.socket = context.wrap_socket(self.listener.socket, server_side=True,
                                                       do_handshake_on_connect=False)
        self.port = None if unix else self.listener.server_address[1]
        self.thread = threading.Thread(target=self.listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def close(self):
        self.listener.shutdown()
        self.listener.server_close()
        for connection in self.connections:  # as if the process had ended
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


class Agentlet(Script):
    def do_v1(self, h, body):
        if h.path.startswith("/v1/watch"):
            h.begin_chunks()
            h.chunk(b"event: run\nid: 1\ndata: {}\n\n")
            self.gate.wait(DEADLINE)
            h.chunk(b"event: synced\ndata: {}\n\n")
            h.wfile.write(b"0\r\n\r\n")
        elif h.command == "PUT":
            h.answer(201, body, ("Content-Type", "application/json"), ("X-Path", h.path))
        elif h.path.startswith("/v1/missing"):
            h.answer(404, b'{"kind":"Status","code":404}', ("Content-Type", "application/json"))
        else:
            h.answer(200, json.dumps({"path": h.path, "headers": dict(h.headers)}).encode(),
                     ("Content-Type", "application/json"))


# --- the program ---

class Running:
    def __init__(self, case, program=None, **env):
        self.case = case
        self.stderr = ""
        self.process = subprocess.Popen([program or KEEPER, "serve"], env={**case.env, **env},
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.thread = threading.Thread(target=self.read_stderr, daemon=True)
        self.thread.start()
        case.addCleanup(self.end)
        self.ports = eventually(self.find_ports, "the keeper says that it serves")

    def read_stderr(self):
        for line in self.process.stderr:
            self.stderr += line.decode(errors="replace")

    def lines(self, message=None):
        found = [json.loads(line) for line in self.stderr.splitlines() if line.startswith("{")]
        return [line for line in found if message is None or line["msg"] == message]

    def find_ports(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the keeper ended: {self.stderr}")
        lines = self.lines("serving")
        return lines[0] if lines else None

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.thread.join()
        self.process.stdout.close()
        self.process.stderr.close()
        for name in ("ERROR: AddressSanitizer", "runtime error:", "WARNING: ThreadSanitizer", "LeakSanitizer"):
            self.case.assertNotIn(name, self.stderr)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE)

    def connect(self, timeout=DEADLINE):
        return http.client.HTTPConnection("127.0.0.1", self.ports["loopbackPort"], timeout=timeout)

    def call(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()

    def raw(self, data, port="loopbackPort"):
        """All that comes back for some bytes, until the end of the connection."""
        with socket.create_connection(("127.0.0.1", self.ports[port]), timeout=DEADLINE) as s:
            s.sendall(data)
            got = b""
            try:
                s.shutdown(socket.SHUT_WR)
            except OSError:  # it has closed already
                pass
            while True:
                try:
                    piece = s.recv(65536)
                except ConnectionResetError:
                    return got
                if not piece:
                    return got
                got += piece

    def probe(self, path):
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["probePort"], timeout=DEADLINE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    def metric(self, name):
        for line in self.probe("/metrics")[1].splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0.0

    def memory(self, field="VmRSS"):
        """KiB"""
        for line in read(f"/proc/{self.process.pid}/status").decode().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
        raise AssertionError(field)

    def relay(self, name="manager", timeout=DEADLINE, newest=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if newest:
            context.maximum_version = newest
        if name:
            context.load_cert_chain(Pki.path(f"{name}.pem"), Pki.path(f"{name}.key"))
        return http.client.HTTPSConnection("127.0.0.1", self.ports["relayPort"], timeout=timeout, context=context)

    def ask(self, method, path, body=None, headers=None, name="manager"):
        connection = self.relay(name)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response, response.read()
        finally:
            connection.close()


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="keeper-test-")
        self.addCleanup(shutil.rmtree, self.dir)
        self.key, self.token = f"{self.dir}/key", f"{self.dir}/token"
        write(self.key, KEY + "\n")
        write(self.token, TOKEN)
        self.env = {**ENV, "AGENTKUBE_POD_UID": "11111111-2222-3333-4444-555555555555",
                    "AGENTKUBE_AGENT_NAME": "tester", "AGENTKUBE_AGENT_NAMESPACE": "default",
                    "AGENTKUBE_PROVIDER": "anthropic", "AGENTKUBE_KEY_FILE": self.key,
                    "AGENTKUBE_TOKEN_FILE": self.token, "AGENTKUBE_LINK": f"{self.dir}/agentlet.sock",
                    "AGENTKUBE_MANAGER_CA": read(Pki.path("ca.pem")).decode(),
                    "AGENTKUBE_MODEL_CA_FILE": Pki.path("ca.pem"), "AGENTKUBE_RELAY_LISTEN": "127.0.0.1:0",
                    "AGENTKUBE_LOOPBACK_LISTEN": "127.0.0.1:0", "AGENTKUBE_PROBE_LISTEN": "127.0.0.1:0"}

    def provider(self, tls=True, prefix=""):
        script = Script()
        server = Server(script, tls)
        self.addCleanup(server.close)
        self.addCleanup(script.gate.set)
        self.env["AGENTKUBE_MODEL_BASE_URL"] = f"{'https' if tls else 'http'}://127.0.0.1:{server.port}{prefix}"
        return script

    def agentlet(self):
        script = Agentlet()
        server = Server(script, unix=f"{self.dir}/agentlet.sock")
        self.addCleanup(script.gate.set)
        return script, server


def header(request, name):
    return [value for key, value in request[2] if key.lower() == name]


class Model(Case):
    def test_the_placeholder_becomes_the_key_and_all_else_passes(self):
        script = self.provider()
        keeper = Running(self)
        sent = {"x-api-key": PLACEHOLDER, "Authorization": f"Bearer {PLACEHOLDER}", "api-key": "a", "X-Goog-Api-Key": "b",
                "anthropic-version": "2023-06-01", "anthropic-beta": "one,two", "User-Agent": "claude-cli/2",
                "x-app": "cli", "Content-Type": "application/json", "Accept": "application/json",
                "Accept-Encoding": "gzip, br, zstd", "Empty-One": "", "X-Agentkube-Run-Id": "r-0123"}
        response, body = keeper.call("POST", "/model/v1/messages?beta=true", b'{"a":1}', sent)
        self.assertEqual(response.status, 200)
        self.assertEqual(json.loads(body), {"path": "/v1/messages?beta=true", "method": "POST"})
        request = script.requests[0]
        self.assertEqual(header(request, "x-api-key"), [KEY])
        for name in ("authorization", "api-key", "x-goog-api-key", "x-agentkube-run-id"):
            self.assertEqual(header(request, name), [])
        for name in ("anthropic-version", "anthropic-beta", "User-Agent", "x-app", "Content-Type", "Accept",
                     "Accept-Encoding", "Empty-One"):
            self.assertEqual(header(request, name.lower()), [sent[name]], name)
        self.assertEqual(request[3], b'{"a":1}')
        line = eventually(lambda: keeper.lines("model call"), "the line of the call")[0]
        self.assertEqual((line["method"], line["path"], line["status"], line["bytesIn"], line["run"]),
                         ("POST", "/model/v1/messages", 200, 7, "r-0123"))

    def test_each_provider_gets_its_key_in_its_own_way(self):
        for provider, key, name, value in (
                ("openai", KEY, "authorization", f"Bearer {KEY}"), ("azure-openai", KEY, "api-key", KEY),
                ("google", KEY, "x-goog-api-key", KEY), ("", KEY, "authorization", f"Bearer {KEY}"),
                ("anthropic", "sk-ant-oat01-canary", "authorization", "Bearer sk-ant-oat01-canary")):
            with self.subTest(provider=provider):
                script = self.provider(tls=False)
                write(self.key, key)
                keeper = Running(self, AGENTKUBE_PROVIDER=provider)
                response, _ = keeper.call("POST", "/model/x?key=mine&a=1", b"{}", {"anthropic-beta": "b"})
                self.assertEqual(response.status, 200)
                self.assertEqual(header(script.requests[0], name), [value])
                self.assertEqual(script.requests[0][1], "/x?a=1" if provider == "google" else "/x?key=mine&a=1")
                self.assertEqual(header(script.requests[0], "anthropic-beta"),
                                 ["b,oauth-2025-04-20"] if "oat" in key else ["b"])
                keeper.end()

    def test_without_a_key_nothing_is_sent_in_its_place(self):
        script = self.provider(tls=False)
        keeper = Running(self, AGENTKUBE_KEY_FILE="", AGENTKUBE_PROVIDER="ollama")
        response, _ = keeper.call("POST", "/model/x", b"{}", {"Authorization": "Bearer mine"})
        self.assertEqual(response.status, 200)
        self.assertEqual(header(script.requests[0], "authorization"), [])

    def test_a_new_key_is_used_at_once_and_a_missing_one_is_an_error_for_people(self):
        script = self.provider()
        keeper = Running(self)
        keeper.call("POST", "/model/x", b"{}")
        write(self.key, OTHER_KEY)
        keeper.call("POST", "/model/x", b"{}")
        self.assertEqual([header(r, "x-api-key") for r in script.requests], [[KEY], [OTHER_KEY]])
        os.unlink(self.key)
        for _ in range(3):
            response, body = keeper.call("POST", "/model/x", b"{}")
            self.assertEqual(response.status, 503)
            self.assertEqual(json.loads(body)["type"], "error")
            self.assertIn("key cannot be read", json.loads(body)["error"]["message"])
        self.assertEqual(len(script.requests), 2)
        eventually(lambda: [l for l in keeper.lines() if l["level"] == "warn"], "the warning")
        self.assertEqual(len([l for l in keeper.lines() if l["level"] == "warn"]), 1)
        write(self.key, KEY)
        self.assertEqual(keeper.call("POST", "/model/x", b"{}")[0].status, 200)

    def test_the_prefix_of_the_base_url_is_kept_and_cannot_be_left(self):
        script = self.provider(prefix="/team/a/v1")
        keeper = Running(self)
        self.assertEqual(json.loads(keeper.call("GET", "/model/models")[1])["path"], "/team/a/v1/models")
        self.assertEqual(json.loads(keeper.call("GET", "/model//models?x=%2f..%20")[1])["path"],
                         "/team/a/v1//models?x=%2f..%20")
        for path in ("/model/../b", "/model/..", "/model/%2e%2E/b", "/model/x/..%2f..", "/model/./x"):
            response, body = keeper.call("GET", path)
            self.assertEqual(response.status, 400, path)
            self.assertEqual(json.loads(body)["error"]["type"], "invalid_request_error")
        self.assertEqual(len(script.requests), 2)

    def test_methods_pass_but_those_that_would_show_the_key(self):
        script = self.provider()
        keeper = Running(self)
        for method in ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
            response, body = keeper.call(method, "/model/x", b"{}" if method in ("POST", "PUT", "PATCH") else None)
            self.assertEqual((response.status, json.loads(body)["method"]), (200, method))
        self.assertEqual(keeper.call("HEAD", "/model/x")[0].status, 200)
        for method in ("TRACE", "TRACK", "CONNECT"):
            self.assertEqual(keeper.call(method, "/model/x")[0].status, 405)
        self.assertEqual(len(script.requests), 7)

    def test_ten_megabytes_are_the_same_both_ways(self):
        body = os.urandom(10 << 20)
        for tls in (True, False):
            self.provider(tls)
            keeper = Running(self)
            response, got = keeper.call("POST", "/model/echo", body)
            self.assertEqual(response.status, 200)
            self.assertEqual(response.headers["X-Sum"], hashlib.sha256(body).hexdigest())
            self.assertTrue(got == body)
            keeper.end()

    def test_a_chunked_request_arrives_whole(self):
        script = self.provider()
        keeper = Running(self)
        connection = keeper.connect()
        connection.request("POST", "/model/echo", iter([b"one", b"two", b"three"]), encode_chunked=True,
                           headers={"Transfer-Encoding": "chunked"})
        self.assertEqual(connection.getresponse().read(), b"onetwothree")
        connection.close()
        self.assertEqual(script.requests[0][3], b"onetwothree")

    def test_the_first_event_does_not_wait_for_the_second(self):
        for tls in (True, False):
            script = self.provider(tls)
            keeper = Running(self)
            connection = keeper.connect()
            connection.request("POST", "/model/stepwise", b"{}")
            response = connection.getresponse()
            self.assertEqual(response.read1(65536), b"data: first\n\n")
            script.gate.set()
            self.assertEqual(response.read(), b"data: second\n\n")
            connection.close()
            keeper.end()

    def test_twenty_events_come_one_by_one(self):
        self.provider()
        keeper = Running(self)
        connection = keeper.connect()
        connection.request("POST", "/model/trickle", b"{}")
        response = connection.getresponse()
        times, whole = [], b""
        while piece := response.read1(65536):
            times.append(time.monotonic())
            whole += piece
        self.assertEqual(whole, b"".join(b"event: n\ndata: %d\n\n" % i for i in range(20)))
        self.assertGreater(len(times), 10)  # a busy machine may join some
        self.assertGreater(times[-1] - times[0], 0.1)
        connection.close()

    def test_a_packed_answer_passes_as_it_is(self):
        self.provider()
        keeper = Running(self)
        response, body = keeper.call("GET", "/model/gzip", headers={"Accept-Encoding": "gzip"})
        self.assertEqual(response.headers["Content-Encoding"], "gzip")
        self.assertEqual(response.headers["Vary"], "Accept")
        self.assertEqual(gzip.decompress(body), b"small when packed" * 100)

    def test_errors_of_the_provider_pass_as_they_are(self):
        self.provider()
        keeper = Running(self)
        for status in (400, 401, 403, 404, 429, 500, 529):
            response, body = keeper.call("POST", f"/model/status/{status}", b"{}")
            self.assertEqual(response.status, status)
            self.assertEqual(response.headers["request-id"], "req_1")
            self.assertEqual(response.headers["Retry-After"], "7")
            self.assertEqual(json.loads(body)["error"]["message"], "no")

    def test_many_and_repeated_headers_of_an_answer_pass(self):
        self.provider()
        keeper = Running(self)
        response, _ = keeper.call("GET", "/model/manyheaders")
        self.assertEqual(response.headers["X-Number-89"], "v" * 50)
        self.assertEqual(response.headers.get_all("Set-Cookie"), ["a=1", "b=2"])

    def test_a_redirect_is_not_followed(self):
        script = self.provider()
        thief = Script()
        server = Server(thief)
        self.addCleanup(server.close)
        script.thief_port = server.port
        keeper = Running(self)
        response, _ = keeper.call("POST", "/model/redirect", b"{}")
        self.assertEqual(response.status, 307)
        self.assertIn("/stolen", response.headers["Location"])
        self.assertEqual(thief.requests, [])

    def test_a_provider_that_is_away_is_an_error_in_its_own_words(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        for provider, look in (("anthropic", lambda e: e["type"] == "error" and e["error"]["type"] == "api_error"),
                               ("openai", lambda e: e["error"]["type"] == "server_error"),
                               ("google", lambda e: e["error"]["status"] == "UNAVAILABLE")):
            keeper = Running(self, AGENTKUBE_PROVIDER=provider, AGENTKUBE_MODEL_BASE_URL=f"https://127.0.0.1:{port}")
            response, body = keeper.call("POST", "/model/x", b"{}")
            self.assertEqual(response.status, 502)
            self.assertTrue(look(json.loads(body)), body)
            self.assertIn("agentkube keeper", json.loads(body)["error"]["message"])
            keeper.end()

    def test_without_an_upstream_it_says_what_to_set(self):
        keeper = Running(self)
        response, body = keeper.call("POST", "/model/v1/messages", b"{}")
        self.assertEqual(response.status, 503)
        self.assertIn("spec.model.baseURL", json.loads(body)["error"]["message"])

    def test_a_provider_with_a_foreign_certificate_gets_no_request(self):
        script = self.provider()
        keeper = Running(self, AGENTKUBE_MODEL_CA_FILE=Pki.path("foreign.pem"))
        response, body = keeper.call("POST", "/model/x", b"{}")
        self.assertEqual(response.status, 502)
        self.assertIn("certificate", json.loads(body)["error"]["message"])
        self.assertEqual(script.requests, [])

    def test_an_answer_that_is_cut_is_cut_for_the_client(self):
        self.provider()
        keeper = Running(self)
        for path, wanted in (("/model/cut", b"x" * 500), ("/model/cutchunks", b"data: half\n\n")):
            with self.assertRaises(http.client.IncompleteRead) as caught:
                keeper.call("POST", path, b"{}")
            self.assertEqual(caught.exception.partial, wanted)
        response, body = keeper.call("POST", "/model/nohead", b"{}")
        self.assertEqual((response.status, json.loads(body)["type"]), (502, "error"))
        # what the client got may be read before the line that is written of it
        eventually(lambda: len([l for l in keeper.lines("model call") if "broken" in l]) == 3, "a line for each")

    def test_a_client_that_goes_stops_the_provider(self):
        script = self.provider()
        keeper = Running(self)
        for path in ("/model/quiet", "/model/endless"):
            connection = keeper.connect()
            connection.request("POST", path, b"{}")
            connection.getresponse().read1(100)
            connection.sock.close() if connection.sock else None
            connection.close()
        with socket.create_connection(("127.0.0.1", keeper.ports["loopbackPort"])) as s:
            s.sendall(b"POST /model/quiet HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            self.assertIn(b"200", s.recv(1000))
        eventually(lambda: "/quiet" in script.broken, "the provider sees that the client went")
        eventually(lambda: keeper.metric('agentkube_keeper_open_requests{door="model"}') <= 2, "the request is closed")

    def test_a_slow_reader_holds_the_provider_back_and_no_memory(self):
        script = self.provider(tls=False)
        keeper = Running(self)
        keeper.call("POST", "/model/x", b"{}")
        before = keeper.memory()
        sockets = []
        for _ in range(20):
            s = socket.create_connection(("127.0.0.1", keeper.ports["loopbackPort"]))
            self.addCleanup(s.close)
            s.sendall(b"POST /model/endless HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
            sockets.append(s)
        eventually(lambda: len(script.requests) == 21, "all requests have arrived")
        counts = []

        def stands_still():
            counts.append(keeper.metric('process_cpu_seconds_total'))
            return len(counts) > 15 and counts[-1] - counts[-10] < 0.1
        eventually(stands_still, "nothing moves any more")
        if not SANITIZED:
            self.assertLess(keeper.memory() - before, 20 * 600)
        self.assertEqual(keeper.call("POST", "/model/x", b"{}")[0].status, 200)

    def test_a_hundred_streams_at_once_take_little_memory(self):
        script = self.provider()
        keeper = Running(self)
        connections = [keeper.connect() for _ in range(100)]
        for connection in connections:
            connection.request("POST", "/model/stepwise", b"{" + b" " * 50000 + b"}")
        responses = [connection.getresponse() for connection in connections]
        self.assertEqual({response.read1(100) for response in responses}, {b"data: first\n\n"})
        memory = keeper.memory()
        script.gate.set()
        self.assertEqual({response.read() for response in responses}, {b"data: second\n\n"})
        for connection in connections:
            connection.close()
        if not SANITIZED:
            print(f"# 100 streams over TLS: {memory} KiB", flush=True)
            self.assertLess(memory, 40 << 10)

    def test_requests_that_are_too_large_are_refused(self):
        script = self.provider(tls=False)
        keeper = Running(self)
        head = b"POST /model/x HTTP/1.1\r\nHost: localhost\r\n"
        self.assertIn(b" 431 ", keeper.raw(head + b"X-Large: " + b"x" * 70000 + b"\r\n\r\n"))
        self.assertIn(b" 413 ", keeper.raw(head + b"Content-Length: %d\r\n\r\n" % ((32 << 20) + 1)))
        self.assertEqual(script.requests, [])

    def test_all_bodies_together_have_a_limit(self):
        self.provider(tls=False)
        keeper = Running(self)
        promised = socket.create_connection(("127.0.0.1", keeper.ports["loopbackPort"]))
        promised.sendall(b"POST /model/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n")
        body = b"x" * (13 << 20)
        response = eventually(lambda: (lambda r: r if r.status == 503 else None)(self.try_call(keeper, body)), "no room")
        self.assertEqual(response.headers["Retry-After"], "1")
        self.assertEqual(keeper.call("POST", "/model/echo", b"small")[1], b"small")
        promised.close()
        eventually(lambda: self.try_call(keeper, body).status == 200, "what a client had promised is free again")
        # Held no more once it was sent: the stream goes on, the room is back.
        held = [keeper.connect() for _ in range(3)]
        for connection in held:
            connection.request("POST", "/model/quiet", body)
            self.assertEqual(connection.getresponse().read1(100), b"data: hello\n\n")
        self.assertEqual(keeper.metric('agentkube_keeper_open_requests{door="model"}'), 3)
        for connection in held:
            connection.close()

    @staticmethod
    def try_call(keeper, body):
        connection = keeper.connect()
        try:
            connection.putrequest("POST", "/model/echo")
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders()
            try:
                connection.send(body)
            except ConnectionError:  # refused before all of it was sent
                pass
            response = connection.getresponse()
            response.read()
            return response
        finally:
            connection.close()

    def test_smuggled_requests_do_not_reach_the_provider(self):
        script = self.provider(tls=False)
        keeper = Running(self)
        head = b"POST /model/x HTTP/1.1\r\nHost: localhost\r\n"
        hidden = b"GET /model/hidden HTTP/1.1\r\nHost: localhost\r\n\r\n"
        for lines in (
                b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcd",
                b"Content-Length: +4\r\n\r\nabcd", b"Content-Length: 4, 4\r\n\r\nabcd", b"Content-Length: 0x4\r\n\r\nabcd",
                b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
                b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", b"X: a\r\n Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"X\0: a\r\n\r\n", b"X: a\0\r\n\r\n",
                b"Host: other\r\n\r\n", b"\x00\r\n\r\n",
                b"Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
                b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff1\r\nx\r\n0\r\n\r\n"):
            got = keeper.raw(head + lines + hidden)
            self.assertRegex(got.split(b"\r\n")[0], rb" (400|413|501|505) ", lines)
            self.assertEqual(got.count(b"HTTP/1.1 "), 1, lines)
        self.assertEqual(script.requests, [])

    def test_who_asks_as_a_proxy_is_asked_reaches_the_provider_only(self):
        script = self.provider(tls=False)
        other = Script()
        server = Server(other)
        self.addCleanup(server.close)
        keeper = Running(self)
        connection = keeper.connect()
        connection.request("GET", f"http://127.0.0.1:{server.port}/model/x", headers={"Host": "localhost"})
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()
        self.assertEqual(([r[1] for r in script.requests], other.requests), (["/x"], []))

    def test_web_pages_are_refused(self):
        script = self.provider()
        keeper = Running(self)
        for headers in ({"Host": "evil.example"}, {"Host": "127.0.0.1.nip.io:8085"}, {"Origin": "https://evil.example"},
                        {"Origin": "null"}, {"Origin": "http://localhost:8085"}):
            for path in ("/model/x",) if "localhost" in headers.get("Origin", "") else ("/model/x", "/mcp", "/"):
                response, body = keeper.call("POST", path, b"{}", headers)
                self.assertEqual(response.status, 403, (headers, path))
        self.assertIn(b" 403 ", keeper.raw(b"GET /model/x HTTP/1.0\r\n\r\n"))
        self.assertEqual(script.requests, [])
        for host in ("localhost", "localhost:1", "[::1]:8085"):
            self.assertEqual(keeper.call("POST", "/model/x", b"{}", {"Host": host})[0].status, 200)
        self.assertEqual(keeper.call("GET", "/")[0].status, 404)
        self.assertEqual(keeper.call("GET", "/models/x")[0].status, 404)


class Secrets(Case):
    def test_no_credential_is_anywhere_but_where_it_belongs(self):
        script = self.provider()
        _, server = self.agentlet()
        self.addCleanup(server.close)
        keeper = Running(self)
        answers = b""
        for path in ("/model/x", "/model/status/401", "/model/redirect-not", "/model/nohead", "/model/../x", "/mcp", "/no"):
            response, body = keeper.call("POST", path, b"{}", {"x-api-key": PLACEHOLDER})
            answers += str(response.headers).encode() + body
        write(self.key, f"{OTHER_KEY}\nsecond line")
        response, body = keeper.call("POST", "/model/x", b"{}")
        self.assertEqual(response.status, 503)
        answers += body
        response, body = keeper.ask("GET", "/v1/identity")
        self.assertIn(TOKEN, body.decode())
        answers += keeper.ask("GET", "/v1/state")[1] + keeper.probe("/metrics")[1].encode()
        pid = keeper.process.pid
        seen = {"answers": answers, "log": keeper.stderr.encode(), "environ": read(f"/proc/{pid}/environ"),
                "cmdline": read(f"/proc/{pid}/cmdline")}
        for where, text in seen.items():
            for canary in CANARIES:
                self.assertNotIn(canary.encode(), text, where)
        self.assertEqual(header(script.requests[0], "x-api-key"), [KEY])

    def test_nobody_can_dump_its_memory(self):
        keeper = Running(self)
        limits = read(f"/proc/{keeper.process.pid}/limits").decode()
        self.assertRegex(limits, r"Max core file size +0 +0 ")
        # Files of a process that cannot be dumped are root's, whoever it runs as.
        other = subprocess.Popen([KEEPER, "serve"], env=self.env, stderr=subprocess.PIPE, user=65533, group=65532) \
            if os.geteuid() == 0 and not SANITIZED else None
        if other:
            try:
                os.chmod(self.dir, 0o755)
                other.stderr.readline()
                self.assertEqual(os.stat(f"/proc/{other.pid}/environ").st_uid, 0)
            finally:
                other.kill()
                other.wait()
                other.stderr.close()


class Relay(Case):
    def test_only_the_manager_gets_in(self):
        keeper = Running(self)
        for name in (None, "other-name", "for-servers", "foreign-manager", "foreign"):
            with self.assertRaises((ssl.SSLError, ConnectionError, http.client.HTTPException), msg=name):
                keeper.ask("GET", "/v1/identity", name=name)
        connection = keeper.relay(newest=ssl.TLSVersion.TLSv1_2)
        with self.assertRaises((ssl.SSLError, ConnectionError)):
            connection.request("GET", "/v1/identity")
            connection.getresponse()
        connection.close()
        self.assertNotIn(TOKEN.encode(), keeper.raw(b"GET /v1/identity HTTP/1.1\r\nHost: x\r\n\r\n", "relayPort"))
        self.assertEqual(keeper.ask("GET", "/v1/identity")[0].status, 200)

    def test_silent_connections_do_not_keep_the_manager_out(self):
        keeper = Running(self)
        for port in ("relayPort", "probePort"):
            for _ in range(300):
                s = socket.create_connection(("127.0.0.1", keeper.ports[port]))
                self.addCleanup(s.close)
        self.assertEqual(keeper.ask("GET", "/v1/identity")[0].status, 200)
        self.assertEqual(keeper.probe("/healthz")[0], 200)

    def test_identity_is_token_and_pin_and_follows_the_file(self):
        keeper = Running(self)
        connection = keeper.relay()
        connection.request("GET", "/v1/identity")
        shown = connection.sock.getpeercert(True)
        response = connection.getresponse()
        got = json.loads(response.read())
        connection.close()
        write(f"{self.dir}/cert.der.pem", ssl.DER_cert_to_PEM_cert(shown))
        public = subprocess.run(["openssl", "x509", "-in", f"{self.dir}/cert.der.pem", "-pubkey", "-noout"], check=True,
                                stdout=subprocess.PIPE).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=public, check=True,
                             stdout=subprocess.PIPE).stdout
        pin = "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()
        self.assertEqual(got, {"podUID": self.env["AGENTKUBE_POD_UID"], "token": TOKEN, "pin": pin})
        self.assertEqual(response.headers["Cache-Control"], "no-store")
        write(self.token, "renewed")
        self.assertEqual(json.loads(keeper.ask("GET", "/v1/identity")[1])["token"], "renewed")
        os.unlink(self.token)
        response, body = keeper.ask("GET", "/v1/identity")
        self.assertEqual((response.status, json.loads(body)["kind"]), (503, "Status"))

    def test_what_is_below_v1_is_the_agentlets(self):
        script, server = self.agentlet()
        self.addCleanup(server.close)
        keeper = Running(self)
        response, body = keeper.ask("PUT", "/v1/runs/r-1?x=y", b'{"prompt":"hello"}', {"Content-Type": "application/json"})
        self.assertEqual((response.status, body, response.headers["X-Path"]),
                         (201, b'{"prompt":"hello"}', "/v1/runs/r-1?x=y"))
        response, body = keeper.ask("GET", "/v1/runs/r-1/events?follow=true", headers={"Last-Event-ID": "7"})
        self.assertEqual(json.loads(body)["path"], "/v1/runs/r-1/events?follow=true")
        self.assertEqual(json.loads(body)["headers"]["Last-Event-ID"], "7")
        self.assertEqual(keeper.ask("GET", "/v1/missing")[0].status, 404)
        self.assertEqual(keeper.ask("POST", "/v1/runs/r-1/cancel", b"{}")[0].status, 200)
        count = len(script.requests)
        self.assertEqual(keeper.ask("GET", "/other")[0].status, 404)
        self.assertEqual(keeper.ask("POST", "/v1/identity", b"")[0].status, 200)  # the agentlet's word, not ours
        self.assertEqual(len(script.requests), count + 1)

    def test_a_stream_comes_event_by_event(self):
        script, server = self.agentlet()
        self.addCleanup(server.close)
        keeper = Running(self)
        connection = keeper.relay()
        connection.request("GET", "/v1/watch")
        response = connection.getresponse()
        self.assertEqual(response.read1(1000), b"event: run\nid: 1\ndata: {}\n\n")
        script.gate.set()
        self.assertEqual(response.read(), b"event: synced\ndata: {}\n\n")
        connection.close()

    def test_an_agentlet_that_is_away_is_503_and_its_successor_is_found(self):
        keeper = Running(self)
        response, body = keeper.ask("GET", "/v1/state")
        self.assertEqual((response.status, response.headers["Retry-After"]), (503, "1"))
        status = json.loads(body)
        self.assertEqual((status["kind"], status["reason"], status["code"]), ("Status", "ServiceUnavailable", 503))
        for _ in range(2):
            _, server = self.agentlet()
            self.assertEqual(keeper.ask("GET", "/v1/state")[0].status, 200)
            server.close()
            self.assertEqual(keeper.ask("GET", "/v1/state")[0].status, 503)
            os.unlink(f"{self.dir}/agentlet.sock")

    def test_a_keeper_that_was_killed_comes_back(self):
        _, server = self.agentlet()
        self.addCleanup(server.close)
        script = self.provider()
        keeper = Running(self)
        ports = {f"AGENTKUBE_{name}_LISTEN": f"127.0.0.1:{keeper.ports[port]}" for name, port in
                 (("RELAY", "relayPort"), ("LOOPBACK", "loopbackPort"), ("PROBE", "probePort"))}
        pin = json.loads(keeper.ask("GET", "/v1/identity")[1])["pin"]
        held = keeper.connect()
        held.request("POST", "/model/stepwise", b"{}")
        self.assertEqual(held.getresponse().read1(100), b"data: first\n\n")
        os.kill(keeper.process.pid, signal.SIGKILL)
        keeper.process.wait()
        again = Running(self, **ports)
        script.gate.set()
        held.close()
        self.assertEqual(again.ask("GET", "/v1/state")[0].status, 200)
        self.assertEqual(again.call("POST", "/model/x", b"{}")[0].status, 200)
        self.assertNotEqual(json.loads(again.ask("GET", "/v1/identity")[1])["pin"], pin)


class End(Case):
    def test_it_ends_soon_without_an_agentlet(self):
        keeper = Running(self)
        began = time.monotonic()
        self.assertEqual(keeper.stop(), 0)
        self.assertLess(time.monotonic() - began, 10)

    def test_it_goes_on_while_the_agentlet_is_there(self):
        script, server = self.agentlet()
        provider = self.provider()
        keeper = Running(self)
        connection = keeper.relay()
        connection.request("GET", "/v1/watch")
        response = connection.getresponse()
        self.assertEqual(response.read1(1000), b"event: run\nid: 1\ndata: {}\n\n")
        keeper.process.send_signal(signal.SIGTERM)
        eventually(lambda: keeper.probe("/readyz")[0] == 503, "it is not ready any more")
        self.assertEqual(keeper.call("POST", "/model/x", b"{}")[0].status, 200)
        with self.assertRaises((ConnectionError, ssl.SSLError)):
            keeper.ask("GET", "/v1/state")
        self.assertEqual(len(provider.requests), 1)
        self.assertIsNone(keeper.process.poll())
        script.gate.set()
        self.assertEqual(response.read(), b"event: synced\ndata: {}\n\n")
        connection.close()
        server.close()
        self.assertEqual(keeper.process.wait(DEADLINE), 0)

    def test_asked_twice_it_ends_at_once(self):
        _, server = self.agentlet()
        self.addCleanup(server.close)
        keeper = Running(self)
        keeper.process.send_signal(signal.SIGTERM)
        eventually(lambda: keeper.lines("stopping"), "it heard")
        keeper.process.send_signal(signal.SIGTERM)
        self.assertEqual(keeper.process.wait(DEADLINE), 0)


class Start(Case):
    def run_with(self, *args, **env):
        return subprocess.run([KEEPER, *args], env={**self.env, **env}, text=True, timeout=DEADLINE, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_verbs(self):
        self.assertRegex(self.run_with("version").stdout, r"^keeper \d+\.\d+")
        for args in (("help",), ("--help",)):
            done = self.run_with(*args)
            self.assertEqual(done.returncode, 0)
            self.assertIn("serve", done.stdout)
        for args in ((), ("swim",), ("serve", "more")):
            done = self.run_with(*args)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn("usage", done.stderr)

    def test_a_wrong_configuration_is_said_and_ends_it(self):
        for env, code, text in (({"AGENTKUBE_POD_UID": ""}, 2, "AGENTKUBE_POD_UID"),
                                ({"AGENTKUBE_LOOPBACK_LISTEN": "0.0.0.0:0"}, 2, "AGENTKUBE_LOOPBACK_LISTEN"),
                                ({"AGENTKUBE_MANAGER_CA": "nonsense"}, 1, "AGENTKUBE_MANAGER_CA"),
                                ({"AGENTKUBE_MODEL_BASE_URL": "https://127.0.0.1:1", "AGENTKUBE_MODEL_CA_FILE": "/nowhere"},
                                 1, "/nowhere")):
            done = self.run_with("serve", **env)
            self.assertEqual(done.returncode, code, done.stderr)
            self.assertIn(text, done.stderr)

    def test_a_port_that_is_taken_ends_it(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            done = self.run_with("serve", AGENTKUBE_RELAY_LISTEN=f"127.0.0.1:{s.getsockname()[1]}")
        self.assertEqual(done.returncode, 1)
        self.assertIn("listen", done.stderr)

    def test_probes_and_numbers(self):
        self.provider()
        keeper = Running(self)
        self.assertEqual(keeper.probe("/healthz"), (200, "ok\n"))
        self.assertEqual(keeper.probe("/readyz"), (200, "ok\n"))  # also without an agentlet
        keeper.call("POST", "/model/x", b"12345")
        keeper.call("POST", "/model/status/429", b"12345")
        keeper.call("POST", "/mcp", b"{}")
        self.assertEqual(keeper.metric('agentkube_keeper_requests_total{door="model",code="200"}'), 1)
        self.assertEqual(keeper.metric('agentkube_keeper_requests_total{door="model",code="429"}'), 1)
        self.assertEqual(keeper.metric('agentkube_keeper_requests_total{door="mcp",code="415"}'), 1)
        self.assertEqual(keeper.metric('agentkube_keeper_model_bytes_total{direction="to_model"}'), 10)
        self.assertEqual(keeper.metric("agentkube_keeper_model_head_seconds_count"), 2)
        self.assertEqual(keeper.metric('agentkube_keeper_open_requests{door="model"}'), 0)
        self.assertGreater(keeper.metric("process_resident_memory_bytes"), 0)
        self.assertEqual(keeper.probe("/other")[0], 404)

    @unittest.skipIf(os.environ.get("KEEPER_NO_MEMORY_TEST"), "not asked for")
    def test_it_is_small_when_idle(self):
        if SANITIZED:
            self.skipTest("a sanitizer's memory is not ours")
        self.provider()
        keeper = Running(self)
        for _ in range(10):
            self.assertEqual(keeper.call("POST", "/model/v1/messages", b"{" + b" " * 50000 + b"}")[0].status, 200)
        eventually(lambda: keeper.memory() < 6 << 10, "10 requests later it has less than 6 MiB")
        print(f"# idle after 10 requests over TLS: {keeper.memory()} KiB "
              f"(anonymous {keeper.memory('RssAnon')})", flush=True)


SESSION = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}


class Mcp(Case):
    def setUp(self):
        super().setUp()
        self.keeper = Running(self, KEEPER_WITH_TOOLS)

    def post(self, message, keeper=None, **headers):
        headers = {**SESSION, **{k.replace("_", "-"): v for k, v in headers.items() if v is not None}}
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        response, body = (keeper or self.keeper).call("POST", "/mcp", data, headers)
        return response, json.loads(body) if body else None

    def begin(self, version="2025-11-25"):
        response, body = self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
            "protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}})
        self.assertEqual(response.status, 200)
        session = response.headers["Mcp-Session-Id"]
        response, none = self.post({"jsonrpc": "2.0", "method": "notifications/initialized"}, Mcp_Session_Id=session)
        self.assertEqual((response.status, none), (202, None))
        return session, body["result"]

    def request(self, method, params=None, session=None, id=1, **headers):
        message = {"jsonrpc": "2.0", "id": id, "method": method}
        if params is not None:
            message["params"] = params
        return self.post(message, Mcp_Session_Id=session, **headers)

    def test_each_revision_with_sessions(self):
        for wish, got in (("2025-03-26", "2025-03-26"), ("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"),
                          ("2024-11-05", "2025-11-25"), ("1.0", "2025-11-25")):
            session, result = self.begin(wish)
            self.assertEqual(result["protocolVersion"], got)
            self.assertEqual(result["capabilities"], {"tools": {}})
            self.assertEqual(result["serverInfo"]["name"], "agentkube-keeper")
            for method, wanted in (("ping", {}), ("prompts/list", {"prompts": []}), ("resources/list", {"resources": []}),
                                   ("resources/templates/list", {"resourceTemplates": []})):
                self.assertEqual(self.request(method, session=session, MCP_Protocol_Version=got)[1]["result"], wanted)
            tools = self.request("tools/list", session=session)[1]["result"]["tools"]
            self.assertEqual([tool["name"] for tool in tools], ["echo", "wait", "big", "fail"])
            response, _ = self.keeper.call("DELETE", "/mcp", headers={"Mcp-Session-Id": session})
            self.assertEqual(response.status, 204)
            self.assertEqual(self.request("ping", session=session)[0].status, 404)

    def test_the_real_one_has_no_tools(self):
        keeper = Running(self)
        response, _ = self.post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}},
                                keeper)
        session = response.headers["Mcp-Session-Id"]
        _, body = self.post({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}, keeper, Mcp_Session_Id=session)
        self.assertEqual(body["result"], {"tools": []})
        _, body = self.post({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "echo"}}, keeper,
                            Mcp_Session_Id=session)
        self.assertEqual(body["error"], {"code": -32602, "message": "unknown tool"})

    def test_a_tool_is_called(self):
        session, _ = self.begin()
        for id in (1, "a", "", 0, -5, 1.5, "ä\n\"", 2**63 - 1):
            response, body = self.request("tools/call", {"name": "echo", "arguments": {"text": "grüße"}}, session, id)
            self.assertEqual((response.status, body["id"], type(body["id"])), (200, id, type(id)))
            self.assertEqual(body["result"], {"content": [{"type": "text", "text": "grüße"}]})
        _, body = self.request("tools/call", {"name": "fail"}, session)
        self.assertEqual(body["result"], {"content": [{"type": "text", "text": "the disk is on fire"}], "isError": True})
        for params in ({"name": "nope"}, {}, {"name": 7}, {"name": "echo", "arguments": []}):
            _, body = self.request("tools/call", params, session)
            self.assertEqual(body["error"]["code"], -32602)
        _, body = self.request("tools/call", {"name": "wait", "arguments": {"milliseconds": 50}}, session)
        self.assertEqual(body["result"]["content"][0]["text"], "waited")

    def test_results_have_a_limit(self):
        session, _ = self.begin()
        _, body = self.request("tools/call", {"name": "big", "arguments": {"bytes": 4 << 20}}, session)
        self.assertEqual(len(body["result"]["content"][0]["text"]), 4 << 20)
        _, body = self.request("tools/call", {"name": "big", "arguments": {"bytes": 9 << 20}}, session)
        self.assertEqual(body["error"]["code"], -32603)

    def test_calls_are_answered_side_by_side_and_cancelled(self):
        session, _ = self.begin()
        slow = self.keeper.connect()
        data = {"jsonrpc": "2.0", "id": "slow", "method": "tools/call",
                "params": {"name": "wait", "arguments": {"milliseconds": 600000}}}
        slow.request("POST", "/mcp", json.dumps(data), {**SESSION, "Mcp-Session-Id": session})
        self.assertEqual(self.request("ping", session=session)[1]["result"], {})
        self.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "other"}},
                  Mcp_Session_Id=session)
        self.assertEqual(self.keeper.lines("cancelled"), [])
        self.post({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "slow"}},
                  Mcp_Session_Id=session)
        self.assertEqual(json.loads(slow.getresponse().read())["result"]["content"][0]["text"], "cancelled")
        slow.close()
        gone = self.keeper.connect()
        gone.request("POST", "/mcp", json.dumps(data), {**SESSION, "Mcp-Session-Id": session})
        eventually(lambda: self.keeper.metric('agentkube_keeper_open_requests{door="mcp"}') == 1, "the call runs")
        gone.close()
        eventually(lambda: len(self.keeper.lines("cancelled")) == 2, "the tool hears that its caller went")
        eventually(lambda: self.keeper.metric('agentkube_keeper_open_requests{door="mcp"}') == 0, "and is counted out")

    def test_what_is_no_message_is_refused(self):
        session, _ = self.begin()
        for data, code in ((b"{", -32700), (b"", -32700), (b"\xff", -32700), (b"[]", -32600), (b"7", -32600), (b"{}", -32600),
                           (b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]', -32600),
                           (b'{"jsonrpc":"2.0","id":null,"method":"ping"}', -32600),
                           (b"[" * 100000, -32700), (b'{"a":' * 5000, -32700)):
            response, body = self.post(data, Mcp_Session_Id=session)
            self.assertEqual((response.status, body["error"]["code"], body["id"]), (400, code, None), data[:50])
        response, body = self.request("no/such", session=session, id="x")
        self.assertEqual((response.status, body["id"], body["error"]["code"]), (200, "x", -32601))
        response, body = self.post({"jsonrpc": "2.0", "id": 9, "result": {}}, Mcp_Session_Id=session)
        self.assertEqual((response.status, body), (202, None))
        self.assertEqual(self.request("ping", session=session)[1]["result"], {})

    def test_the_transport_is_checked(self):
        session, _ = self.begin()
        ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        for headers, status in (({"Content_Type": "text/plain"}, 415), ({"Accept": "text/html"}, 406),
                                ({"MCP_Protocol_Version": "1999-01-01"}, 400), ({"MCP_Protocol_Version": "x"}, 400)):
            self.assertEqual(self.post(ping, Mcp_Session_Id=session, **headers)[0].status, status, headers)
        self.assertEqual(self.post(ping)[0].status, 400)
        self.assertEqual(self.post(ping, Mcp_Session_Id=session, Origin="http://localhost:3000")[0].status, 200)
        self.assertEqual(self.post(ping, Mcp_Session_Id="nonexistent")[0].status, 404)
        self.assertEqual(self.post(b" " * (4 << 20) + b"{}", Mcp_Session_Id=session)[0].status, 413)
        for method in ("PUT", "PATCH", "OPTIONS"):
            response, _ = self.keeper.call(method, "/mcp")
            self.assertEqual((response.status, response.headers["Allow"]), (405, "GET, POST, DELETE"))
        for accept in (None, "*/*", "application/*, text/event-stream"):
            self.assertEqual(self.post(ping, Mcp_Session_Id=session, Accept=accept)[0].status, 200)

    def stream(self, session, keeper=None, **headers):
        connection = (keeper or self.keeper).connect()
        self.addCleanup(connection.close)
        connection.request("GET", "/mcp", headers={"Accept": "text/event-stream", "Mcp-Session-Id": session, **headers})
        return connection.getresponse()

    def test_a_session_has_one_stream_that_ends_with_it(self):
        session, _ = self.begin()
        response = self.stream(session)
        self.assertEqual((response.status, response.headers["Content-Type"]), (200, "text/event-stream"))
        self.assertEqual(response.read1(100), b": open\n\n")
        self.assertEqual(self.stream(session).status, 409)
        self.assertEqual(self.stream("nonexistent").status, 404)
        self.assertEqual(self.keeper.call("GET", "/mcp", headers={"Accept": "text/event-stream"})[0].status, 400)
        self.assertEqual(self.keeper.call("GET", "/mcp", headers={"Accept": "application/json"})[0].status, 406)
        self.keeper.call("DELETE", "/mcp", headers={"Mcp-Session-Id": session})
        self.assertEqual(response.read(), b"")

    def test_streams_are_bounded_and_leave_no_trace(self):
        responses = []
        for _ in range(64):
            responses.append(self.stream(self.begin()[0]))
        self.assertEqual({r.status for r in responses}, {200})
        self.assertEqual(self.stream(self.begin()[0]).status, 503)
        self.doCleanups()

    def test_a_stream_ends_with_the_keeper(self):
        response = self.stream(self.begin()[0])
        self.keeper.process.send_signal(signal.SIGTERM)
        self.assertEqual(response.read(), b": open\n\n")
        self.assertEqual(self.keeper.process.wait(DEADLINE), 0)

    def test_a_session_goes_on_with_a_restarted_keeper(self):
        session, _ = self.begin("2025-06-18")
        self.keeper.process.kill()
        self.keeper.process.wait()
        self.keeper = Running(self, KEEPER_WITH_TOOLS)
        _, body = self.request("tools/call", {"name": "echo", "arguments": {"text": "still here"}}, session)
        self.assertEqual(body["result"]["content"][0]["text"], "still here")
        elsewhere = Running(self, KEEPER_WITH_TOOLS, AGENTKUBE_POD_UID="another")
        self.assertEqual(self.post({"jsonrpc": "2.0", "id": 1, "method": "ping"}, elsewhere, Mcp_Session_Id=session)[0].status,
                         404)

    def stateless(self, method, params=None, id=1, **headers):
        return self.request(method, {"_meta": META, **(params or {})}, id=id,
                            **{"MCP_Protocol_Version": "2026-07-28", "Mcp_Method": method, **headers})

    def test_the_revision_without_sessions(self):
        response, body = self.stateless("server/discover")
        self.assertEqual(response.status, 200)
        self.assertEqual(body["result"]["supportedVersions"], ["2026-07-28"])
        self.assertEqual(body["result"]["capabilities"], {"tools": {}})
        self.assertEqual(body["result"]["resultType"], "complete")
        self.assertNotIn("Mcp-Session-Id", response.headers)
        result = self.stateless("tools/list")[1]["result"]
        self.assertEqual((len(result["tools"]), result["resultType"], result["cacheScope"]), (4, "complete", "private"))
        _, body = self.stateless("tools/call", {"name": "echo", "arguments": {"text": "x"}}, "a", Mcp_Name="echo")
        self.assertEqual(body, {"jsonrpc": "2.0", "id": "a", "result": {
            "content": [{"type": "text", "text": "x"}], "resultType": "complete"}})
        for method, status, code in (("initialize", 404, -32601), ("ping", 404, -32601), ("no/such", 404, -32601)):
            response, body = self.stateless(method)
            self.assertEqual((response.status, body["error"]["code"]), (status, code))
        for headers, code in (({"Mcp_Method": "tools/call"}, -32020), ({"Mcp_Method": None}, -32020),
                              ({"MCP_Protocol_Version": "2025-11-25"}, -32020), ({"MCP_Protocol_Version": None}, -32020)):
            response, body = self.stateless("tools/list", **headers)
            self.assertEqual((response.status, body["error"]["code"]), (400, code), headers)
        old = {"_meta": {**META, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}}
        response, body = self.request("tools/list", old, MCP_Protocol_Version="2099-01-01", Mcp_Method="tools/list")
        self.assertEqual((response.status, body["error"]["code"]), (400, -32022))
        self.assertEqual(body["error"]["data"], {"supported": ["2026-07-28"], "requested": "2099-01-01"})
        self.assertEqual(self.keeper.call("GET", "/mcp", headers={"MCP-Protocol-Version": "2026-07-28"})[0].status, 405)

    def test_a_subscription_is_acknowledged_and_kept(self):
        connection = self.keeper.connect()
        self.addCleanup(connection.close)
        message = {"jsonrpc": "2.0", "id": "listen-1", "method": "subscriptions/listen",
                   "params": {"_meta": META, "notifications": {"toolsListChanged": True}}}
        connection.request("POST", "/mcp", json.dumps(message), {**SESSION, "MCP-Protocol-Version": "2026-07-28",
                                                                 "Mcp-Method": "subscriptions/listen"})
        response = connection.getresponse()
        self.assertEqual(response.headers["Content-Type"], "text/event-stream")
        event = response.read1(4096).decode()
        data = json.loads(event.split("data: ", 1)[1])
        self.assertEqual(data["method"], "notifications/subscriptions/acknowledged")
        self.assertEqual(data["params"]["_meta"], {"io.modelcontextprotocol/subscriptionId": "listen-1"})
        self.assertEqual(self.keeper.metric('agentkube_keeper_open_requests{door="mcp"}'), 1)


class Tap(unittest.TestResult):
    """Test Anything Protocol, so that meson counts each test."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def line(self, test, ok, rest="", details=""):
        self.count += 1
        name = test.id().split(".", 1)[1].replace(".test_", ": ").replace("_", " ")
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name}{rest}", flush=True)
        for line in details.splitlines():
            print(f"# {line}", flush=True)

    def addSuccess(self, test):
        self.line(test, True)

    def addSkip(self, test, reason):
        self.line(test, True, f" # SKIP {reason}")

    def addError(self, test, err):
        super().addError(test, err)
        self.line(test, False, details=self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(test, False, details=self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            print(f"# {subtest}", flush=True)
            self.line(test, False, details=(self.errors + self.failures)[-1][1])


def main():
    global KEEPER, KEEPER_WITH_TOOLS, SANITIZED
    KEEPER, KEEPER_WITH_TOOLS = (os.path.abspath(path) for path in sys.argv[1:3])
    SANITIZED = any(name in read(KEEPER) for name in (b"__asan_init", b"__tsan_init"))
    loader = unittest.defaultTestLoader
    module = sys.modules[__name__]
    suite = loader.loadTestsFromNames(sys.argv[3:], module) if sys.argv[3:] else loader.loadTestsFromModule(module)
    result = Tap()
    Pki.make()
    try:
        suite.run(result)
    finally:
        shutil.rmtree(Pki.dir)
    print(f"1..{result.count}")
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
