# SPDX-License-Identifier: Apache-2.0
"""A scripted bastion where there are no pods: it proves itself as `bastion serve` does, keeps audit records until they are
acknowledged, and does what a test tells it; for what a real one cannot be made to do (answers that are lost, a server
that dies between two words). The API server is told what a kubelet would say.

    bastion = Bastion(kube, namespace, "db")      waits for the pod db-bastion, and is it
    bastion.answer = lambda body: (200, {...})    what operations answer
    bastion.calls                                 bodies of the operations that came
    bastion.ending = "idle"                       refuses everything from now on, as one that is about to exit
    bastion.close()
"""
import base64
import hashlib
import itertools
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from .pods import address, environment
from .wait import wait_for

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
STATUS, CLOSE = 3, 255  # channels of v5.channel.k8s.io


def status(code, message, reason=""):
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "message": message, "reason": reason}


def frame(opcode, data, mask=False):
    head = bytes([0x80 | opcode])
    flag = 0x80 if mask else 0
    if len(data) < 126:
        head += bytes([flag | len(data)])
    elif len(data) < 65536:
        head += bytes([flag | 126]) + struct.pack(">H", len(data))
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", len(data))
    if not mask:
        return head + data
    key = os.urandom(4)
    return head + key + bytes(b ^ key[i % 4] for i, b in enumerate(data))


def read_frame(file):
    """(opcode, data) of the next frame; None at the end."""
    head = file.read(2)
    if len(head) < 2:
        return None
    size = head[1] & 0x7F
    if size == 126:
        size = struct.unpack(">H", file.read(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", file.read(8))[0]
    key = file.read(4) if head[1] & 0x80 else None
    data = file.read(size)
    return head[0] & 0x0F, data if key is None else bytes(b ^ key[i % 4] for i, b in enumerate(data))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def reply(self, code, body, kind="application/json"):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def body(self):
        length = int(self.headers.get("Content-Length") or 0)
        return json.loads(self.rfile.read(length)) if length else None

    def do_GET(self):
        bastion, url = self.server.bastion, urlsplit(self.path)
        if url.path == "/v1/identity":
            with open(os.path.join(bastion.folder, "token"), encoding="utf-8") as file:
                return self.reply(200, {"podUID": bastion.uid, "token": file.read(), "pin": bastion.pin})
        if url.path == "/v1/state":
            return self.reply(200, bastion.state())
        if url.path == "/v1/watch":
            return self.watch()
        if url.path in ("/v1/exec", "/v1/forward"):
            if bastion.ending:
                return self.refuse_ending()
            return bastion.serve_session(self, url.path[4:], parse_qs(url.query, keep_blank_values=True))
        if url.path.startswith("/v1/recordings/"):
            text = bastion.recordings.get(url.path.rsplit("/", 1)[1])
            return self.reply(200, text, "application/x-asciicast") if text else self.reply(404, status(404, "no such recording"))
        return self.reply(404, status(404, "no such path"))

    def do_POST(self):
        bastion, path, body = self.server.bastion, urlsplit(self.path).path, self.body()
        if path == "/v1/operations":
            return self.operate(body)
        if path == "/v1/audit/ack":
            bastion.acknowledge(body["seq"])
        elif path == "/v1/end":
            bastion.end(body["reason"])
        elif path.startswith("/v1/sessions/"):
            if not bastion.end_session(path.split("/")[3], body["reason"]):
                return self.reply(404, status(404, "no such session"))
        elif path.endswith("/taken"):
            bastion.recordings.pop(path.split("/")[3], None)
        return self.reply(200, {})

    def refuse_ending(self):
        bastion = self.server.bastion
        bastion.too_late += 1
        return self.reply(503, status(503, f"the bastion ends: {bastion.ending}", "Ending"))

    def operate(self, body):
        bastion = self.server.bastion
        if bastion.ending:
            return self.refuse_ending()
        with bastion.lock:
            bastion.calls.append(body)
        code, answer = bastion.answer(body)
        verdict = {200: "Allowed", 403: "Refused", 428: None}.get(code, "Failed")
        if verdict:
            bastion.record("Operation", body["caller"], verdict, operation=body["operation"])
        if code:
            return self.reply(code, answer)
        self.close_connection = True
        return self.connection.shutdown(socket.SHUT_RDWR)

    def watch(self):
        """Until the bastion ends; the state is said again when it is another one."""
        bastion, said, seq = self.server.bastion, None, None
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with bastion.lock:
            number = bastion.watch_number = bastion.watch_number + 1
            seq, told = bastion.acked, set()
        while True:
            with bastion.lock:
                news = [("audit", r) for r in bastion.audit if r["seq"] > seq]
                news += [("recording", m) for m in bastion.finished if m["id"] in bastion.recordings and m["id"] not in told]
                state, ended = bastion.state(), bastion.ended
                if state != said:
                    news.insert(0, ("state", state))
                if not news and not ended and number == bastion.watch_number:
                    bastion.lock.wait(5)
                    continue
            if number != bastion.watch_number:
                return self.connection.shutdown(socket.SHUT_RDWR)
            text = "".join(f"event: {kind}\ndata: {json.dumps(data)}\n\n" for kind, data in news).encode()
            if text:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
            for kind, data in news:
                if kind == "audit":
                    seq = data["seq"]
                elif kind == "recording":
                    told.add(data["id"])
            said = state
            if ended and not news:
                return self.wfile.write(b"0\r\n\r\n")


class Bastion:
    numbers = itertools.count(1)

    def __init__(self, kube, namespace, tool, timeout=60, ready=True):
        self.kube, self.namespace, self.tool, self.name = kube, namespace, tool, f"{tool}-bastion"
        self.pod = wait_for(lambda: self.alive_pod(), f"the pod {self.name}", timeout)
        self.uid = self.pod["metadata"]["uid"]
        self.ip, self.folder = address(), tempfile.mkdtemp(prefix="akb-")
        self.lock = threading.Condition()
        self.boot_id, self.calls, self.audit, self.head, self.acked, self.dropped = uuid.uuid4().hex, [], [], 0, 0, 0
        self.sessions, self.recordings, self.finished, self.ended, self.watch_number = {}, {}, [], None, 0
        self.last_used, self.ending, self.too_late = None, None, 0
        self.answer = lambda body: (200, {"sessionID": "s-1", "class": "read", "rule": "engine", "result": {"rows": [[1]]}, "rows": 1})
        self.write_token()
        self.server = self.listen()
        if ready:
            self.say("Running", True)

    def alive_pod(self):
        pod = self.kube.pod(self.namespace, self.name)
        return pod if pod and not pod["metadata"].get("deletionTimestamp") and (pod.get("status") or {}).get("phase") in (None, "Pending") else None

    # ---- what it proves itself with
    def write_token(self):
        account = self.pod["spec"].get("serviceAccountName", "default")
        bound = {"apiVersion": "v1", "kind": "Pod", "name": self.name, "uid": self.uid}
        code, answer = self.kube.api("POST", f"/api/v1/namespaces/{self.namespace}/serviceaccounts/{account}/token",
                                     {"spec": {"audiences": ["agentkube"], "expirationSeconds": 3600, "boundObjectRef": bound}})
        assert code == 201, answer
        with open(os.path.join(self.folder, "token"), "w", encoding="utf-8") as file:
            file.write(answer["status"]["token"])

    def listen(self):
        key, cert, authority = (os.path.join(self.folder, name) for name in ("key.pem", "cert.pem", "ca.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
                        "-subj", "/CN=bastion", "-days", "1"], check=True, capture_output=True)
        public = subprocess.run(["openssl", "x509", "-in", cert, "-pubkey", "-noout"], check=True, capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "der"], input=public, check=True, capture_output=True).stdout
        self.pin = "sha256//" + base64.b64encode(hashlib.sha256(der).digest()).decode()
        variables = environment(next(c for c in self.pod["spec"]["containers"] if c["name"] == "bastion"))
        with open(authority, "w", encoding="utf-8") as file:
            file.write(variables["AGENTKUBE_MANAGER_CA"])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority)
        port = next(p["containerPort"] for c in self.pod["spec"]["containers"] for p in c.get("ports", []) if p["name"] == "relay")
        server = ThreadingHTTPServer((self.ip, port), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        server.bastion, server.daemon_threads = self, True
        server.handle_error = lambda *_: None
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        return server

    # ---- what it has
    def state(self):
        return {"bootID": self.boot_id, "startTime": "2026-01-01T00:00:00Z", "sessions": list(self.sessions.values()), "lastUsed": self.last_used,
                "auditHead": self.head, "auditAcked": self.acked, "auditDropped": self.dropped}

    def record(self, kind, caller, verdict, **more):
        with self.lock:
            self.head += 1
            self.last_used = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            self.audit.append({"time": self.last_used, "seq": self.head, "bootID": self.boot_id, "sessionID": "s-1", "kind": kind,
                               "tool": {"namespace": "forged", "name": "forged", "type": "postgres"}, "caller": caller, "statementClass": "read",
                               "verdict": verdict, "rule": "engine", "rows": 1, "bytes": 10, "milliseconds": 1, **more})
            self.lock.notify_all()

    def acknowledge(self, seq):
        with self.lock:
            self.acked = max(self.acked, seq)
            self.audit = [r for r in self.audit if r["seq"] > self.acked]
            self.lock.notify_all()

    def drop(self, n):
        """The oldest records that nobody took are gone."""
        with self.lock:
            del self.audit[:n]
            self.dropped += n
            self.lock.notify_all()

    def finish_recording(self, text, **meta):
        one = "rec-" + uuid.uuid4().hex[:10]
        with self.lock:
            self.recordings[one] = text
            self.finished.append({"id": one, "sessionID": "s-1", "user": "somebody", "startTime": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                                  "durationSeconds": 12, "bytes": len(text), "truncated": False, **meta})
            self.lock.notify_all()
        return one

    # ---- sessions
    def serve_session(self, handler, kind, query):
        accept = base64.b64encode(hashlib.sha1((handler.headers["Sec-WebSocket-Key"] + GUID).encode()).digest()).decode()
        handler.connection.sendall((f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
                                    "Sec-WebSocket-Protocol: v5.channel.k8s.io\r\n\r\n").encode())
        one = f"s-{next(self.numbers)}"
        session = {"id": one, "kind": "Forward" if kind == "forward" else "Exec", "caller": json.loads(handler.headers["X-Agentkube-Caller"]),
                   "readOnly": query["readOnly"] == ["true"], "args": query.get("arg", [])}
        with self.lock:
            self.sessions[one] = session
            self.ends = getattr(self, "ends", {})
            self.ends[one] = handler.connection
            self.lock.notify_all()
        handler.close_connection = True
        try:
            self.converse(handler, session, query)
        except OSError:
            pass
        with self.lock:
            self.sessions.pop(one, None)
            self.lock.notify_all()
        self.record(session["kind"], session["caller"], "Allowed")

    def converse(self, handler, _session, _query):
        """What comes on channel 0 goes out on channel 1."""
        while got := read_frame(handler.rfile):
            opcode, data = got
            if opcode == 8:
                break
            if data[:1] == b"\0":
                handler.connection.sendall(frame(2, b"\1" + data[1:]))
            elif data == bytes([CLOSE, 0]):  # the end of its input
                said = json.dumps({"metadata": {}, "status": "Success"}).encode()
                handler.connection.sendall(frame(2, bytes([STATUS]) + said) + frame(8, struct.pack(">H", 1000)))

    def end_session(self, one, reason):
        with self.lock:
            connection = self.ends.get(one) if one in self.sessions else None
        if connection:
            said = json.dumps(status(500, reason, "Ended")).encode()
            connection.sendall(frame(2, bytes([STATUS]) + said) + frame(8, struct.pack(">H", 1000)))
            connection.shutdown(socket.SHUT_RDWR)
        return connection

    def end(self, reason):
        for one in list(self.sessions):
            self.end_session(one, reason)
        with self.lock:
            self.end_reason = reason
            self.lock.notify_all()

    def break_watch(self):
        with self.lock:
            self.watch_number += 1
            self.lock.notify_all()

    def exit(self, code=0):
        """It ends by itself: the watch ends properly, the pod has ended."""
        with self.lock:
            self.ended = True
            self.lock.notify_all()
        self.server.shutdown()
        self.server.server_close()
        self.say("Succeeded" if code == 0 else "Failed", False, code)

    # ---- what a kubelet says
    def say(self, phase, ready, code=0):
        now, word = "2026-01-01T00:00:00Z", "True" if ready else "False"
        state = {"running": {"startedAt": now}} if phase == "Running" else {"terminated": {"exitCode": code, "startedAt": now, "finishedAt": now}}
        body = {"status": {"phase": phase, "startTime": now, "podIP": self.ip, "podIPs": [{"ip": self.ip}],
                           "conditions": [{"type": kind, "status": "True" if kind in ("PodScheduled", "Initialized") else word, "lastTransitionTime": now}
                                          for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")],
                           "containerStatuses": [{"name": c["name"], "image": c["image"], "imageID": "", "ready": ready, "restartCount": 0, "state": state}
                                                 for c in self.pod["spec"]["containers"]]}}
        answer = self.kube.api("PATCH", f"/api/v1/namespaces/{self.namespace}/pods/{self.name}/status", body, "merge")
        assert answer[0] in (200, 404), answer

    def close(self):
        try:
            self.server.shutdown()
            self.server.server_close()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
