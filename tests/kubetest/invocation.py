# SPDX-License-Identifier: Apache-2.0
"""A scripted stand-in for the manager's invocation API behind the API server's service proxy: for what a real one cannot be
made to do (answers that are lost, streams that break), and for runs where there are no pods.

    script = Invocation(kube, namespace)      Service, Endpoints and ServiceAccount are made in the namespace
    script.add_run("agent", "r-1", events=[("text", {"text": "hi"})], phase="Succeeded")
    script.requests                           what came: (method, path, headers, body); headers in any spelling
    script.close()
"""
import json
import re
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

NAME, ACCOUNT = "agentkube-manager", "agentkube-cli"
FINAL = ("Succeeded", "Failed", "Cancelled", "TimedOut", "Interrupted", "Skipped")


class NoAddress(Exception):
    """This machine does not let us add an address to its loopback interface."""


def loopback_address():
    """An address that only this machine reaches, and that Endpoints may have (127.0.0.0/8 may not be in them)."""
    for last in range(1, 250):
        address = f"198.18.77.{last}"
        done = subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return address
        if "File exists" not in done.stderr and "already assigned" not in done.stderr:
            raise NoAddress(done.stderr.strip())
    raise NoAddress("all addresses are taken")


def status(code, message, reason="", **details):
    return {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": message, "reason": reason, "details": details}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def handle_one_request(self):
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def reply(self, code, body, headers=()):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def cut(self):
        """The connection breaks without an answer, or in the middle of one."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        url = urlsplit(self.path)
        query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        script = self.server.script
        with script.lock:
            script.requests.append((self.command, self.path, self.headers, body))
        if not (self.headers.get("X-Agentkube-Authorization") or "").startswith("Bearer "):
            return self.reply(401, status(401, "no token", "Unauthorized"))
        for pattern, answers in list(script.faults):
            if re.fullmatch(pattern, f"{self.command} {url.path}") and answers:
                answer = answers.pop(0)
                if answer == "cut":
                    return self.cut()
                if answer != "serve":
                    return self.reply(answer[0], status(answer[0], *answer[1:2]), answer[2:])
                break
        return script.serve(self, self.command, url.path.removeprefix("/api/v1"), query, body)

    do_GET = do_POST = serve


class Invocation:
    def __init__(self, kube, namespace):
        self.kube, self.namespace = kube, namespace
        self.lock = threading.Condition()
        self.requests, self.faults, self.runs, self.keys, self.cut_after, self.next_run = [], [], {}, {}, [], None
        self.address = loopback_address()
        self.server = ThreadingHTTPServer((self.address, 0), Handler)
        self.server.script = self
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        # the API server's proxy goes to addresses of pods only, so there is one that says that it has this address
        kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME}, "spec": {"containers": [{"name": "manager", "image": "none"}]}},
                   namespace=namespace)
        answer = kube.api("PATCH", f"/api/v1/namespaces/{namespace}/pods/{NAME}/status",
                          {"status": {"podIP": self.address, "podIPs": [{"ip": self.address}]}}, patch="merge")
        assert answer[0] == 200, answer
        kube.apply(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
             "spec": {"ports": [{"name": "invoke", "port": 8082, "targetPort": self.port, "protocol": "TCP"}]}},
            {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": NAME},
             "subsets": [{"addresses": [{"ip": self.address, "targetRef": {"kind": "Pod", "name": NAME, "namespace": namespace}}], "ports": [{"name": "invoke", "port": self.port, "protocol": "TCP"}]}]},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}}, namespace=namespace)

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        subprocess.run(["ip", "addr", "del", f"{self.address}/32", "dev", "lo"], check=False, capture_output=True)

    # ---- the script
    def fault(self, pattern, *answers):
        """The next requests ("POST /api/v1/…", a regular expression) get these: "cut", "serve", or (status, message, header…)."""
        self.faults.append((pattern, list(answers)))

    def add_run(self, agent, identity, events=(), phase="Succeeded", **record):
        """Without a final phase the run goes on until `end` is called."""
        run = {"agent": agent, "events": [], "record": {"id": identity, "phase": "Running", "trigger": "Invocation", "mode": "supervised",
                                                        "queuedTime": "2026-01-01T00:00:00Z", "lastEvent": 0, **record,
                                                        "agent": {"namespace": self.namespace, "name": agent}}}
        with self.lock:
            self.runs[identity] = run
        for kind, data in events:
            self.emit(identity, kind, data)
        if phase in FINAL:
            self.end(identity, phase)
        else:
            run["record"]["phase"] = phase
        return run

    def emit(self, identity, kind, data):
        with self.lock:
            run = self.runs[identity]
            run["events"].append((kind, {"time": "2026-01-01T00:00:00Z", **data}))
            run["record"]["lastEvent"] = len(run["events"])
            self.lock.notify_all()

    def end(self, identity, phase, **more):
        with self.lock:
            record = self.runs[identity]["record"]
            record.update({"phase": phase, "completionTime": "2026-01-01T00:00:03Z", "durationMilliseconds": 3249, **more})
        self.emit(identity, "ended", {"record": dict(record)})

    def seen(self, method, path):
        with self.lock:
            return [r for r in self.requests if r[0] == method and re.fullmatch(path, urlsplit(r[1]).path)]

    # ---- what it answers
    def serve(self, http, method, path, query, body):
        if (method, path) == ("GET", "/whoami"):
            return http.reply(200, {"username": "system:serviceaccount:x:y", "version": "0.1.0", "leading": True})
        agent = re.fullmatch(r"/namespaces/([^/]+)/agents/([^/]+)/(pause|resume)", path)
        if agent and method == "POST":
            return http.reply(200, {})
        if method == "GET" and re.fullmatch(r"/runs|/namespaces/[^/]+/runs|/namespaces/[^/]+/agents/[^/]+/runs", path):
            wanted = path.split("/")[4] if "/agents/" in path else None
            records = [run["record"] for run in reversed(self.runs.values()) if wanted in (None, run["agent"])]
            return http.reply(200, {"items": records})
        match = re.fullmatch(r"/namespaces/[^/]+/agents/([^/]+)/runs(?:/([^/]+)(?:/(cancel|events|logs))?)?", path)
        if not match:
            return http.reply(404, status(404, f"no such path {path}", "NotFound"))
        name, identity, sub = match.groups()
        if method == "POST" and not identity:
            return self.start(http, name, body)
        run = self.runs.get(identity)
        if not run or run["agent"] != name:
            return http.reply(404, status(404, f'no run "{identity}" of agent "{name}"', "NotFound"))
        if method == "POST" and sub == "cancel":
            if run["record"]["phase"] not in FINAL:
                self.end(identity, "Cancelled", reason="Cancelled", message="cancelled by its user")
            return http.reply(200, run["record"])
        if sub == "events":
            return self.stream(http, run, query.get("follow") == "true")
        if sub == "logs":
            lines = [d.get("text", "") for k, d in run["events"] if k in ("text", "stdout")]
            tail = int(query.get("tail", -1))
            return http.reply(200, "".join(f"{line}\n" for line in (lines if tail < 0 else lines[len(lines) - tail:])).encode())
        return http.reply(200, run["record"])

    def start(self, http, name, body):
        key = http.headers.get("Idempotency-Key")
        identity = self.keys.get((name, key))
        if not identity:
            identity = f"r-{len(self.runs):020x}"
            self.keys[(name, key)] = identity
            script = self.next_run or {"events": [("text", {"text": "done"})]}
            self.add_run(name, identity, **script)
        after = self.cut_after and self.cut_after.pop(0)
        if after == "start":
            return http.cut()  # the run is there, and nobody is told
        return http.reply(201, self.runs[identity]["record"])

    def stream(self, http, run, follow):
        at = int(http.headers.get("Last-Event-ID") or 0)
        budget = self.cut_after.pop(0) if self.cut_after else None
        http.send_response(200)
        http.send_header("Content-Type", "text/event-stream")
        http.send_header("Connection", "close")
        http.end_headers()
        http.close_connection = True
        while True:
            with self.lock:
                if not self.lock.wait_for(lambda: len(run["events"]) > at or not follow, timeout=60):
                    return
                events = run["events"][at:]
            for kind, data in events:
                if budget == 0:
                    http.wfile.flush()
                    time.sleep(0.3)  # what was sent is passed on before the end is noticed
                    return http.cut()
                at += 1
                http.wfile.write(f"id: {at}\r\nevent: {kind}\r\ndata: {json.dumps(data)}\r\n\r\n".encode())
                http.wfile.flush()
                budget = None if budget is None else budget - 1
                if kind == "ended":
                    return
            if not follow:
                return
