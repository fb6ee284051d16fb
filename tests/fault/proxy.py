# SPDX-License-Identifier: Apache-2.0
"""A proxy between the manager and a real apiserver that breaks things on purpose.

It speaks plain HTTP/1.1 to the manager (kubeconfig server http://127.0.0.1:PORT) and TLS with a
client certificate to the apiserver, so that it can see and break every request. It only exists for
faults that a real apiserver cannot be made to produce when a test wants them.

    with FaultProxy(kubeconfig, workdir) as proxy:
        proxy.rules = [Rule(Fault.STATUS, path=r"/pods", code=429, retry_after=1, times=3)]
        ... run the manager with proxy.kubeconfig ...
        proxy.rules = []

Rules are tried in order for each request; the first that matches and has not run out is applied.
Watches that already run are reached by proxy.break_streams().
"""
import asyncio
import base64
import enum
import json
import os
import random
import re
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import yaml

MAX_BODY = 64 << 20


class Fault(enum.Enum):
    STATUS = "answer with an error status instead of asking the apiserver"
    LOST_ANSWER = "do the request, then close without an answer"
    RESET = "reset the connection at once"
    SILENT = "take the request and never answer"
    STALL = "send the head and `after` bytes of the body, then nothing more, connection open"
    CUT = "send the head and `after` bytes of the body, then close"
    BOOKMARKS_ONLY = "pass a watch's bookmarks, swallow everything else"
    GARBAGE = "send bytes that are not JSON after `after` bytes of the body, then close"


@dataclass
class Rule:
    fault: Fault
    method: str = ".*"
    path: str = ".*"  # regular expression, searched in path and query
    watch: bool = None  # True: only watches, False: only other requests
    code: int = 500
    reason: str = "InternalError"
    retry_after: int = None
    after: int = 0
    times: int = -1  # how often; negative: always
    chance: float = 1.0
    hits: int = field(default=0)

    def takes(self, method, path, is_watch, rng):
        return (
            self.times != 0
            and (self.watch is None or self.watch == is_watch)
            and re.fullmatch(self.method, method)
            and re.search(self.path, path)
            and rng.random() < self.chance
        )


class _Closed(Exception):
    """The connection is to be dropped."""


async def _read_head(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return lines[0], headers


async def _body_parts(reader, headers):
    """The body, decoded from its transfer coding, part by part."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            if size == 0:
                await reader.readline()
                return
            yield await reader.readexactly(size)
            await reader.readexactly(2)
    elif "content-length" in headers:
        left = int(headers["content-length"])
        while left:
            part = await reader.read(min(left, 65536))
            if not part:
                raise _Closed
            left -= len(part)
            yield part
    else:
        while part := await reader.read(65536):
            yield part


class FaultProxy:
    def __init__(self, kubeconfig, workdir, seed=None):
        self.seed = seed if seed is not None else random.randrange(1 << 32)
        self.rules = []
        self.requests = []  # (method, path, status or fault name)
        self._rng = random.Random(self.seed)
        self._streams = set()
        self._workdir = str(workdir)
        self._upstream, self._tls, self._token = self._credentials(kubeconfig)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)

    # ---- set up and tear down
    def __enter__(self):
        self._thread.start()
        if not self._ready.wait(20):
            raise RuntimeError("the fault proxy did not start")
        self.kubeconfig = os.path.join(self._workdir, "fault-proxy.kubeconfig")
        with open(self.kubeconfig, "w", encoding="utf-8") as out:
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "fault",
                    "clusters": [{"name": "fault", "cluster": {"server": f"http://127.0.0.1:{self.port}"}}],
                    "users": [{"name": "fault", "user": {}}],
                    "contexts": [{"name": "fault", "context": {"cluster": "fault", "user": "fault"}}],
                },
                out,
            )
        return self

    def __exit__(self, *exc):
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join(20)

    def _credentials(self, path):
        with open(path, encoding="utf-8") as source:
            config = yaml.safe_load(source)
        context = next(c["context"] for c in config["contexts"] if c["name"] == config["current-context"])
        cluster = next(c["cluster"] for c in config["clusters"] if c["name"] == context["cluster"])
        user = next(u["user"] for u in config["users"] if u["name"] == context["user"])

        def material(holder, name):
            if f"{name}-data" in holder:
                return base64.b64decode(holder[f"{name}-data"])
            if name in holder:
                with open(os.path.join(os.path.dirname(path), holder[name]), "rb") as source:
                    return source.read()
            return None

        tls = ssl.create_default_context()
        tls.check_hostname = False
        ca = material(cluster, "certificate-authority")
        if ca:
            tls.load_verify_locations(cadata=ca.decode())
        certificate = material(user, "client-certificate")
        if certificate:
            pair = os.path.join(self._workdir, "fault-proxy.pem")
            with open(os.open(pair, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
                out.write(certificate + b"\n" + material(user, "client-key"))
            tls.load_cert_chain(pair)
        return urlsplit(cluster["server"]), tls, user.get("token")

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._stopping = asyncio.Event()
        server = await asyncio.start_server(self._client, "127.0.0.1", 0, limit=MAX_BODY)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stopping.wait()
        server.close()
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # ---- what tests call
    def break_streams(self, reset=False):
        """Ends every watch that runs now; returns how many."""

        async def close():
            streams = list(self._streams)
            for writer in streams:
                self._drop(writer, reset)
            return len(streams)

        return asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)

    def writes(self):
        """The requests so far that were meant to change something."""
        return [r for r in list(self.requests) if r[0] in ("POST", "PUT", "PATCH", "DELETE")]

    # ---- one connection
    @staticmethod
    def _drop(writer, reset):
        sock = writer.get_extra_info("socket")
        if reset and sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.close()

    async def _client(self, reader, writer):
        try:
            while True:
                await self._request(reader, writer)
        except (_Closed, asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, OSError):
            pass
        except asyncio.CancelledError:
            pass
        finally:
            self._streams.discard(writer)
            writer.close()

    async def _request(self, reader, writer):
        line, headers = await _read_head(reader)
        method, path, _ = line.split(" ", 2)
        body = b"".join([p async for p in _body_parts(reader, headers)]) if (
            "content-length" in headers or "transfer-encoding" in headers) else b""
        is_watch = bool(re.search(r"[?&]watch=(1|true)", path))
        rule = next((r for r in list(self.rules) if r.takes(method, path, is_watch, self._rng)), None)
        if rule:
            rule.hits += 1
            rule.times -= 1 if rule.times > 0 else 0
        self.requests.append((method, path, rule.fault.name if rule else None))
        if rule and rule.fault is Fault.STATUS:
            return await self._status(writer, rule)
        if rule and rule.fault is Fault.RESET:
            self._drop(writer, True)
            raise _Closed
        if rule and rule.fault is Fault.SILENT:
            self._streams.add(writer)
            await reader.read(1)  # until the manager gives up, or break_streams()
            raise _Closed
        await self._forward(reader, writer, method, path, headers, body, rule)

    @staticmethod
    async def _status(writer, rule):
        body = json.dumps({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "made by the fault proxy", "reason": rule.reason, "code": rule.code,
        }).encode()
        retry = f"Retry-After: {rule.retry_after}\r\n" if rule.retry_after is not None else ""
        writer.write(f"HTTP/1.1 {rule.code} Fault\r\nContent-Type: application/json\r\n{retry}"
                     f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    async def _forward(self, reader, writer, method, path, headers, body, rule):
        up_reader, up_writer = await asyncio.open_connection(
            self._upstream.hostname, self._upstream.port, ssl=self._tls, limit=MAX_BODY)
        try:
            lines = [f"{method} {path} HTTP/1.1", f"Host: {self._upstream.netloc}", "Connection: close",
                     f"Content-Length: {len(body)}"]
            if self._token:
                lines.append(f"Authorization: Bearer {self._token}")
            lines += [f"{n}: {headers[n]}" for n in ("accept", "content-type", "user-agent") if n in headers]
            up_writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
            await up_writer.drain()
            status, answer = await _read_head(up_reader)
            if rule and rule.fault is Fault.LOST_ANSWER:
                async for _ in _body_parts(up_reader, answer):
                    pass
                raise _Closed
            self._streams.add(writer)
            await self._answer(reader, writer, status, answer, _body_parts(up_reader, answer), rule)
            self._streams.discard(writer)
        finally:
            up_writer.close()

    async def _answer(self, reader, writer, status, answer, parts, rule):
        kept = [f"{n}: {v}" for n, v in answer.items() if n in ("content-type", "retry-after", "warning")]
        writer.write("\r\n".join([status, *kept, "Transfer-Encoding: chunked", "", ""]).encode())
        fault = rule.fault if rule else None
        sent, frames = 0, b""
        async for part in parts:
            if fault is Fault.BOOKMARKS_ONLY:
                frames += part
                *whole, frames = frames.split(b"\n")
                part = b"".join(f + b"\n" for f in whole if b'"type":"BOOKMARK"' in f)
            if fault in (Fault.CUT, Fault.STALL, Fault.GARBAGE) and sent + len(part) >= rule.after:
                part = part[: rule.after - sent]
                await self._chunk(writer, part)
                if fault is Fault.GARBAGE:
                    await self._chunk(writer, b'\x00{"type":]]\n')
                if fault is Fault.STALL:
                    await reader.read(1)
                raise _Closed
            await self._chunk(writer, part)
            sent += len(part)
        if writer.is_closing():
            raise _Closed
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    @staticmethod
    async def _chunk(writer, data):
        if writer.is_closing():
            raise _Closed
        if data:
            writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
            await writer.drain()
