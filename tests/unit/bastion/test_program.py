#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The bastion as processes: test_program.py PATH-OF-BASTION [TEST...]. Speaks TAP.

Everything is real: `bastion serve` and `bastion client`, TLS on loopback, their socket, programs with pipes and terminals. The
Tool is of type custom, whose client program is a shell. Waits are for conditions.
"""
import base64
import glob
import hashlib
import http.client
import json
import os
import re
import resource
import select
import shutil
import signal
import socket
import ssl
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import urllib.parse

BASTION = ""
MEMORY = 40 << 10  # KiB that a process may take, however much passes
DEADLINE = 60  # seconds that anything may take on a busy machine
MANAGER = "agentkube-manager"
TOKEN = "canary-token-93bd"
CREDENTIAL = "canary-credential-5e1f"
CALLER = {"kind": "Person", "name": "alice"}
ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C", **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}


def eventually(condition, what):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {DEADLINE} s: {what}")


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Pki:
    dir = None

    @classmethod
    def make(cls):
        cls.dir = tempfile.mkdtemp(prefix="bastion-pki-")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                "-subj", "/CN=ca", "-keyout", cls.path("ca.key"), "-out", cls.path("ca.pem"))
        for name, common in (("manager", MANAGER), ("other", "somebody")):
            with open(cls.path("ext"), "w", encoding="utf-8") as file:
                file.write("extendedKeyUsage=clientAuth\n")
            openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", f"/CN={common}", "-keyout", cls.path(f"{name}.key"), "-out", cls.path(f"{name}.csr"))
            openssl("x509", "-req", "-in", cls.path(f"{name}.csr"), "-CA", cls.path("ca.pem"), "-CAkey", cls.path("ca.key"),
                    "-CAcreateserial", "-days", "30", "-extfile", cls.path("ext"), "-out", cls.path(f"{name}.pem"))

    @classmethod
    def path(cls, name):
        return os.path.join(cls.dir, name)

    @classmethod
    def context(cls, name="manager"):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if name:
            context.load_cert_chain(cls.path(f"{name}.pem"), cls.path(f"{name}.key"))
        return context


class Socket:
    """A WebSocket client with the channels of pods/exec."""

    def __init__(self, sock, rest):
        self.sock, self.rest = sock, rest
        self.status = None
        self.code = None

    def read(self, n):
        while len(self.rest) < n:
            more = self.sock.recv(65536)
            if not more:
                raise EOFError
            self.rest += more
        data, self.rest = self.rest[:n], self.rest[n:]
        return data

    def frame(self):
        first, second = self.read(2)
        size = second & 127
        if size == 126:
            size, = struct.unpack(">H", self.read(2))
        elif size == 127:
            size, = struct.unpack(">Q", self.read(8))
        return first & 15, self.read(size)

    def raw(self, opcode, data):
        head = bytes([0x80 | opcode])
        if len(data) < 126:
            head += bytes([0x80 | len(data)])
        elif len(data) < 65536:
            head += b"\xfe" + struct.pack(">H", len(data))
        else:
            head += b"\xff" + struct.pack(">Q", len(data))
        self.sock.sendall(head + b"\0\0\0\0" + data)

    def send(self, channel, data):
        self.raw(2, bytes([channel]) + data)

    def end_input(self):
        self.raw(2, b"\xff\x00")

    def message(self):
        """(channel, data), or None at the end."""
        while True:
            opcode, data = self.frame()
            if opcode == 8:
                self.code = struct.unpack(">H", data[:2])[0]
                return None
            if opcode == 9:
                self.raw(10, data)
            elif opcode == 2:
                if data[:1] == b"\x03":
                    self.status = json.loads(data[1:])
                return data[0], data[1:]

    def all(self):
        """stdout, stderr up to the end."""
        out, errors = [], []
        while (message := self.message()) is not None:
            if message[0] == 1:
                out.append(message[1])
            elif message[0] == 2:
                errors.append(message[1])
        return b"".join(out), b"".join(errors)

    def until(self, text):
        got = b""
        while text not in got:
            message = self.message()
            if message is None:
                raise AssertionError(f"{text!r} did not come, but {got!r}")
            got += message[1]
        return got

    def feed(self, data):
        """Sends frames while it reads what comes back, in one thread: an SSL object is for one at a time."""
        frames = b"".join(b"\x82\xfe" + struct.pack(">H", len(piece) + 1) + b"\0\0\0\0\0" + piece
                          for piece in (data[i:i + 32768] for i in range(0, len(data), 32768)))
        self.sock.setblocking(False)
        at = 0
        while at < len(frames):
            select.select([self.sock], [self.sock], [], DEADLINE)
            try:
                at += self.sock.send(frames[at:at + 65536])
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
            try:
                self.rest += self.sock.recv(65536)
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError):
                pass
        self.sock.settimeout(DEADLINE)

    def exit_code(self):
        if self.status["status"] == "Success":
            return 0
        if "details" not in self.status:
            raise AssertionError(f"it did not end by itself: {self.status}")
        return int(self.status["details"]["causes"][0]["message"])

    def close(self):
        self.sock.close()


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(status, body)
        self.status, self.body = status, body


class Bastion:
    def __init__(self, spec=None, client=True):
        self.dir = tempfile.mkdtemp(prefix="ak-bastion-")
        os.makedirs(f"{self.dir}/link")
        os.makedirs(f"{self.dir}/credential")
        for name, text in (("token", TOKEN), ("credential/credential", CREDENTIAL)):
            with open(f"{self.dir}/{name}", "w", encoding="utf-8") as file:
                file.write(text)
        self.spec = {"type": "custom", "config": {"image": "x", "command": ["/bin/sh"]}, **(spec or {})}
        with open(Pki.path("ca.pem"), encoding="utf-8") as file:
            ca = file.read()
        self.env = {**ENV, "AGENTKUBE_LINK": f"{self.dir}/link", "AGENTKUBE_SERVE_UID": str(os.getuid())}
        self.serve_env = {
            **self.env, "AGENTKUBE_TOKEN_FILE": f"{self.dir}/token", "AGENTKUBE_MANAGER_CA": ca, "AGENTKUBE_POD_UID": "uid-1",
            "AGENTKUBE_CREDENTIAL_DIR": f"{self.dir}/credential", "AGENTKUBE_IDENTITY_DIR": f"{self.dir}/none",
            "AGENTKUBE_RELAY_LISTEN": "127.0.0.1:0", "AGENTKUBE_PROBE_LISTEN": "127.0.0.1:0",
            "AGENTKUBE_TOOL": json.dumps({"namespace": "ns", "name": "box", "uid": "0f3a", "generation": 1, "spec": self.spec})}
        self.client = None
        self.log = open(f"{self.dir}/log", "wb")
        self.client_log = open(f"{self.dir}/client.log", "wb")
        self.audit = open(f"{self.dir}/audit", "wb")
        if client:
            self.start_client()
        self.serve = subprocess.Popen([BASTION, "serve"], env=self.serve_env, stdout=self.audit, stderr=self.log)
        eventually(lambda: b'"serving"' in self.text("log") or self.serve.poll() is not None, "serve")
        line = next(json.loads(line) for line in self.text("log").splitlines() if b'"serving"' in line)
        self.port, self.probe_port = line["relayPort"], line["probePort"]
        if client:
            eventually(lambda: b"container is there" in self.text("log"), "the client is there")

    def start_client(self):
        self.client = subprocess.Popen([BASTION, "client"], env=self.env, stdout=subprocess.DEVNULL, stderr=self.client_log)
        eventually(lambda: b'"serving"' in self.text("client.log"), "client")

    def text(self, name):
        with open(f"{self.dir}/{name}", "rb") as file:
            return file.read()

    def records(self):
        return [json.loads(line) for line in self.text("audit").splitlines()]

    def request(self, method, path, body=None, cert="manager"):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, context=Pki.context(cert), timeout=DEADLINE)
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None)
            answer = connection.getresponse()
            data = answer.read()
            is_json = answer.getheader("Content-Type") == "application/json"
            return answer.status, json.loads(data) if is_json else data
        finally:
            connection.close()

    def state(self):
        return self.request("GET", "/v1/state")[1]

    def sessions(self):
        return self.state()["sessions"]

    def open(self, *args, tty=False, path="exec", caller=None, size=(80, 24), protocol="v5.channel.k8s.io", **more):
        query = [("arg", arg) for arg in args] + [(k, str(v).lower()) for k, v in more.items()]
        if tty:
            query += [("tty", "true"), ("columns", size[0]), ("rows", size[1])]
        sock = Pki.context().wrap_socket(socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE))
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall((f"GET /v1/{path}?{urllib.parse.urlencode(query)} HTTP/1.1\r\nHost: b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                      f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Protocol: {protocol}\r\n"
                      f"X-Agentkube-Caller: {json.dumps(caller or CALLER)}\r\n\r\n").encode())
        data = b""
        while b"\r\n\r\n" not in data:
            more_data = sock.recv(65536)
            if not more_data:
                raise EOFError(data)
            data += more_data
        head, rest = data.split(b"\r\n\r\n", 1)
        status = int(head.split()[1])
        if status != 101:
            size_line = next((line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), b":0")
            while len(rest) < int(size_line.split(b":")[1]):
                rest += sock.recv(65536)
            sock.close()
            raise Refused(status, json.loads(rest))
        accept = base64.b64encode(hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest())
        assert b"Sec-WebSocket-Accept: " + accept in head, head
        return Socket(sock, rest)

    def run(self, script, stdin=b"", **more):
        ws = self.open("-c", script, **more)
        if stdin:
            ws.feed(stdin)
        ws.end_input()
        out, errors = ws.all()
        ws.close()
        return ws.exit_code(), out, errors

    def resident(self, process):
        with open(f"/proc/{process.pid}/status", encoding="utf-8") as file:
            return int(next(line for line in file if line.startswith("VmRSS")).split()[1])

    def processor_time(self):
        with open(f"/proc/{self.serve.pid}/stat", encoding="utf-8") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        if self.serve.poll() is None:
            self.serve.kill()
        self.serve.wait()
        if self.client and self.client.poll() is None:
            self.client.terminate()  # it ends its programs, and removes their files
        if self.client:
            self.client.wait(DEADLINE)
        for file in (self.log, self.client_log, self.audit):
            file.close()
        shutil.rmtree(self.dir)


class Case(unittest.TestCase):
    spec = None

    def setUp(self):
        self.bastion = Bastion(self.spec)
        self.addCleanup(self.bastion.end)

    def gone(self):
        eventually(lambda: not self.bastion.sessions(), "no session")


class Programs(Case):
    def test_output_errors_and_the_exit_code_come_back(self):
        self.assertEqual(self.bastion.run("echo out; echo err >&2; exit 7"), (7, b"out\n", b"err\n"))
        self.assertEqual(self.bastion.run("exit 0"), (0, b"", b""))
        self.assertEqual(self.bastion.run("kill -9 $$")[0], 137)
        self.gone()

    def test_input_and_its_end_arrive_and_bytes_are_bytes(self):
        data = os.urandom(3 << 20)
        code, out, _ = self.bastion.run("cat", stdin=data)
        self.assertEqual((code, len(out)), (0, len(data)))
        self.assertEqual(hashlib.sha256(out).digest(), hashlib.sha256(data).digest())

    def test_a_gigabyte_passes_and_memory_stays_flat(self):
        ws = self.bastion.open("-c", "head -c 1073741824 /dev/zero")
        ws.end_input()
        n, most = 0, 0
        while (message := ws.message()) is not None:
            if message[0] == 1:
                n += len(message[1])
                if n % (64 << 20) < 65536:
                    most = max(most, self.bastion.resident(self.bastion.serve), self.bastion.resident(self.bastion.client))
        self.assertEqual((n, ws.exit_code()), (1 << 30, 0))
        self.assertLess(most, MEMORY)

    def test_a_gigabyte_as_the_result_of_an_operation_is_cut_and_memory_stays_flat(self):
        most, done = 0, threading.Event()

        def look():
            nonlocal most
            while not done.wait(0.05):
                most = max(most, self.bastion.resident(self.bastion.serve), self.bastion.resident(self.bastion.client))

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            status, answer = self.bastion.request("POST", "/v1/operations", {
                "caller": CALLER, "operation": "run", "arguments": {"args": ["-c", "head -c 1073741824 /dev/zero | tr '\\0' y; exit 3"]}})
        finally:
            done.set()
            watcher.join()
        self.assertEqual(status, 200, answer)
        result = answer["result"]
        self.assertEqual((len(result["text"]), result["truncated"], result["exitCode"]), (1 << 20, True, 3))
        self.assertLess(most, MEMORY)
        record, = eventually(self.bastion.records, "a record")
        self.assertEqual((record["kind"], record["operation"], record["verdict"], record["tool"]["name"]), ("Operation", "run", "Allowed", "box"))
        self.assertRegex(record["statementHash"], "^sha256:[0-9a-f]{64}$")

    def test_what_a_program_said_last_arrives_though_it_takes_no_more_input(self):
        other = Bastion(client=False)
        self.addCleanup(other.end)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.settimeout(DEADLINE)
            listener.bind(f"{other.dir}/link/client.sock")
            listener.listen()
            hold, _ = listener.accept()
            self.addCleanup(hold.close)
            ws = other.open("-c", "x")
            program, _ = listener.accept()
            ws.feed(bytes(512 << 10))
            eventually(lambda: other.sessions()[0]["bytesIn"] >= 256 << 10, "more than the socket takes is to be written")
            used = other.processor_time()
            time.sleep(1)
            self.assertLess(other.processor_time() - used, 0.5)  # it sleeps while nobody takes what it has
            other.serve.send_signal(signal.SIGSTOP)
            program.sendall(b"P\0\0\0\0" b"O\0\0\0\4last" b"Z\0\0\0\2\0\7")
            program.close()
            other.serve.send_signal(signal.SIGCONT)
            self.assertEqual((ws.all()[0], ws.exit_code()), (b"last", 7))

    def test_programs_inherit_nothing_of_ours(self):
        code, out, _ = self.bastion.run("ls -l /proc/$$/fd")
        self.assertEqual(code, 0)
        self.assertNotIn(b"socket:", out)
        self.assertNotIn(b"eventpoll", out)

    def test_a_slow_reader_gets_everything(self):
        ws = self.bastion.open("-c", "head -c 30000000 /dev/zero; echo end")
        time.sleep(3)  # longer than what is waited for after the exit
        out, _ = ws.all()
        self.assertEqual((len(out), out[-4:], ws.exit_code()), (30000004, b"end\n", 0))

    def test_a_program_that_is_not_there_says_so(self):
        other = Bastion({"config": {"image": "x", "command": ["/no/such/program"]}})
        self.addCleanup(other.end)
        ws = other.open("x")
        ws.all()
        self.assertEqual(ws.exit_code(), 127)
        self.assertIn("no/such/program", ws.status["message"])

    def test_a_terminal_is_one(self):
        ws = self.bastion.open("-c", "tty; stty size; read x; stty size; echo got-$x", tty=True, size=(100, 40))
        self.assertIn(b"/dev/pts/", ws.until(b"40 100"))
        ws.send(4, b'{"Width":120,"Height":50}')
        ws.send(0, b"word\n")
        self.assertIn(b"50 120", ws.until(b"got-word"))
        ws.all()
        self.assertEqual(ws.exit_code(), 0)

    def test_what_hangs_dies_with_its_connection(self):
        ws = self.bastion.open("-c", "trap '' TERM HUP; echo pid-$$-; while :; do sleep 1000; done")
        pid = int(ws.until(b"-\n").split(b"-")[1])
        ws.close()
        eventually(lambda: not os.path.exists(f"/proc/{pid}"), "the program is dead")
        self.gone()

    def test_a_hundred_sessions_one_after_the_other_and_ten_at_once(self):
        for _ in range(100):
            self.assertEqual(self.bastion.run("echo x"), (0, b"x\n", b""))
        many = [self.bastion.open("-c", "cat") for _ in range(10)]
        with self.assertRaises(Refused) as refused:
            self.bastion.open("-c", "cat")
        self.assertEqual(refused.exception.status, 429)
        for ws in many:
            ws.send(0, b"hello")
            ws.end_input()
        self.assertEqual([ws.all()[0] for ws in many], [b"hello"] * 10)
        self.gone()

    def test_garbage_ends_only_its_own_connection(self):
        other = self.bastion.open("-c", "cat")
        for junk in (b"\x81\x80\0\0\0\0", b"\xff" * 100, b"\x82\x01x"):
            ws = self.bastion.open("-c", "cat")
            ws.sock.sendall(junk)
            with self.assertRaises((EOFError, ConnectionError)):
                ws.all()
                ws.frame()
        with self.assertRaises(Refused) as refused:
            self.bastion.open("-c", "x", protocol="v1.channel.k8s.io")
        self.assertEqual(refused.exception.status, 400)
        other.send(0, b"still")
        other.end_input()
        self.assertEqual(other.all()[0], b"still")

    def test_killed_sessions_say_why(self):
        ws = self.bastion.open("-c", "echo here; cat")
        ws.until(b"here")
        session = self.bastion.sessions()[0]
        self.assertEqual((session["kind"], session["caller"]), ("Exec", CALLER))
        self.assertEqual(self.bastion.request("POST", f"/v1/sessions/{session['id']}/kill", {"reason": "bob wants it so"})[0], 202)
        errors = ws.all()[1]
        self.assertIn(b"bob wants it so", errors)
        self.assertEqual((ws.status["reason"], ws.status["message"]), ("SessionEnded", "bob wants it so"))
        self.gone()

    def test_recordings_wait_until_they_are_taken(self):
        ws = self.bastion.open("-c", "echo shown", tty=True)
        ws.all()
        connection = http.client.HTTPSConnection("127.0.0.1", self.bastion.port, context=Pki.context(), timeout=DEADLINE)
        connection.request("GET", "/v1/watch")
        stream = connection.getresponse()
        kind = meta = None
        while kind != "recording":
            line = stream.readline().decode().strip()
            kind = line[7:] if line.startswith("event: ") else kind
        meta = json.loads(stream.readline()[6:])
        connection.close()
        self.assertEqual(meta["user"], "alice")
        status, cast = self.bastion.request("GET", f"/v1/recordings/{meta['id']}")
        lines = [json.loads(line) for line in cast.decode().splitlines()]
        self.assertEqual((status, lines[0]["version"], lines[0]["width"]), (200, 2, 80))
        self.assertIn("shown", "".join(line[2] for line in lines[1:] if line[1] == "o"))
        self.assertEqual(self.bastion.request("POST", f"/v1/recordings/{meta['id']}/taken")[0], 204)
        self.assertEqual(self.bastion.request("GET", f"/v1/recordings/{meta['id']}")[0], 404)


class Doors(Case):
    def test_only_the_manager_comes_in(self):
        self.assertEqual(self.bastion.request("GET", "/v1/identity")[1]["token"], TOKEN)
        for cert in (None, "other"):
            with self.assertRaises((ssl.SSLError, ConnectionError, http.client.HTTPException)):
                self.bastion.request("GET", "/v1/identity", cert=cert)

    def test_only_serve_reaches_the_client(self):
        if os.getuid() != 0:
            self.skipTest("needs root to be somebody else")
        script = (f"import socket; s = socket.socket(socket.AF_UNIX); s.connect('{self.bastion.dir}/link/client.sock'); "
                  "s.sendall(b'H\\0\\0\\0\\0'); print(len(s.recv(10)))")
        os.chmod(f"{self.bastion.dir}", 0o755)
        os.chmod(f"{self.bastion.dir}/link/client.sock", 0o777)
        out = subprocess.run(["/usr/bin/python3", "-c", script], user=12345, capture_output=True, check=False)
        self.assertTrue(out.stdout == b"0\n" or b"reset" in out.stderr or b"Broken" in out.stderr, out)

    def test_the_credential_is_in_no_environment_no_log_and_no_answer(self):
        ws = self.bastion.open("-c", "cat")
        for process in (self.bastion.serve, self.bastion.client):
            with open(f"/proc/{process.pid}/environ", "rb") as file:
                self.assertNotIn(CREDENTIAL.encode(), file.read())
        ws.end_input()
        ws.all()
        for name in ("log", "client.log", "audit"):
            self.assertNotIn(CREDENTIAL.encode(), self.bastion.text(name))
        self.assertNotIn(CREDENTIAL, json.dumps(self.bastion.state()))


class Ends(Case):
    def started(self, bastion=None):
        """A program that ends only with its client, and the file that holds its credential."""
        bastion = bastion or self.bastion
        ws = bastion.open("-c", "cat \"$AGENTKUBE_CREDENTIAL_FILE\"; while kill -0 $PPID; do sleep 0.1; done")
        ws.until(CREDENTIAL.encode())
        file, = glob.glob(f"/tmp/agentkube-{bastion.sessions()[0]['id']}-*")
        self.assertEqual(stat.S_IMODE(os.stat(file).st_mode), 0o600)
        return ws, file

    def test_the_credentials_file_goes_with_its_session(self):
        ws, file = self.started()
        ws.close()
        eventually(lambda: not os.path.exists(file), "the file is gone")

    def test_the_credentials_file_goes_with_a_killed_serve(self):
        _, file = self.started()
        self.bastion.serve.kill()
        eventually(lambda: not os.path.exists(file), "the file is gone")

    def test_the_credentials_file_goes_with_a_killed_client(self):
        _, file = self.started()
        self.bastion.client.kill()
        eventually(lambda: not os.path.exists(file), "the file is gone")

    def test_credentials_files_of_the_killed_go_when_the_next_client_starts_and_others_stay(self):
        other = Bastion()
        self.addCleanup(other.end)
        _, abandoned = self.started()
        _, living = self.started(other)
        for process in (self.bastion.serve, self.bastion.client):
            process.send_signal(signal.SIGSTOP)  # the one is not to see how the other dies
        for process in (self.bastion.serve, self.bastion.client):
            process.kill()
            process.wait()
        self.bastion.start_client()
        eventually(lambda: not os.path.exists(abandoned), "the file is gone")
        self.assertTrue(os.path.exists(living))

    def test_told_to_stop_it_ends_sessions_with_a_reason(self):
        ws = self.bastion.open("-c", "echo here; cat")
        ws.until(b"here")
        self.bastion.serve.send_signal(signal.SIGTERM)
        ws.all()
        self.assertIn("being stopped", ws.status["message"])
        self.assertEqual(self.bastion.serve.wait(DEADLINE), 0)
        self.assertEqual(self.bastion.client.wait(DEADLINE), 0)

    def test_a_killed_client_ends_everything_with_an_error(self):
        ws = self.bastion.open("-c", "echo here; cat")
        ws.until(b"here")
        self.bastion.client.kill()
        ws.all()
        self.assertEqual(ws.status["status"], "Failure")
        self.assertEqual(self.bastion.serve.wait(DEADLINE), 1)

    def test_serve_killed_takes_the_programs_along(self):
        ws = self.bastion.open("-c", "echo pid-$$-; cat")
        pid = int(ws.until(b"-\n").split(b"-")[1])
        self.bastion.serve.kill()
        eventually(lambda: not os.path.exists(f"/proc/{pid}"), "the program is dead")

    def test_end_waits_for_the_audit_to_be_taken(self):
        self.assertEqual(self.bastion.request("POST", "/v1/end", {"reason": "the Tool was changed"})[0], 202)
        self.assertEqual(self.bastion.serve.wait(DEADLINE), 0)


class Times(Case):
    spec = {"idleTimeout": "2s", "maxSessionSeconds": 6}

    def test_an_idle_session_ends_and_says_why_and_then_the_bastion(self):
        ws = self.bastion.open("-c", "cat")
        ws.all()
        self.assertIn("idle for 2s", ws.status["message"])
        self.assertEqual(self.bastion.serve.wait(DEADLINE), 0)
        self.assertEqual(self.bastion.client.wait(DEADLINE), 0)

    def test_what_runs_is_not_idle_but_has_a_longest_time(self):
        ws = self.bastion.open("-c", "sleep 1000")
        ws.end_input()
        begin = time.monotonic()
        ws.all()
        self.assertIn("longest", ws.status["message"])
        self.assertGreater(time.monotonic() - begin, 5)


class Tap(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.n = 0

    def line(self, word, test, why=""):
        self.n += 1
        print(f"{word} {self.n} - {test.id().split('.')[-1]}{why}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.line("ok", test)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.line("ok", test, f" # SKIP {reason}")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line("not ok", test)
        print("# " + self.failures[-1][1].replace("\n", "\n# "), flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        self.line("not ok", test)
        print("# " + self.errors[-1][1].replace("\n", "\n# "), flush=True)


def main():
    global BASTION, MEMORY
    BASTION = os.path.abspath(sys.argv[1])
    with open(BASTION, "rb") as file:
        if re.search(rb"__[at]san_init", file.read()):
            MEMORY *= 8  # what is freed stays for a while, and has a shadow
    os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=32"
    ENV.update(ASAN_OPTIONS=os.environ["ASAN_OPTIONS"])
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    Pki.make()
    loader = unittest.TestLoader()
    suite = unittest.TestSuite()
    for case in (Programs, Doors, Ends, Times):
        for test in loader.loadTestsFromTestCase(case):
            if not sys.argv[2:] or test.id().split(".")[-1] in sys.argv[2:]:
                suite.addTest(test)
    print(f"1..{suite.countTestCases()}", flush=True)
    result = Tap()
    suite.run(result)
    shutil.rmtree(Pki.dir)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
