# SPDX-License-Identifier: Apache-2.0
"""As much of MongoDB as mongosh needs to log in by SCRAM-SHA-256 and to send commands: OP_MSG, OP_QUERY for the greeting, BSON."""
import base64
import hashlib
import hmac
import os
import socketserver
import struct
import threading

ITERATIONS = 4096


class Long(int):
    """Eight bytes, however small it is."""


def encode(document):
    out = b""
    for name, value in document.items():
        key = name.encode() + b"\0"
        if isinstance(value, bool):
            out += b"\x08" + key + bytes([value])
        elif isinstance(value, Long):
            out += b"\x12" + key + struct.pack("<q", value)
        elif isinstance(value, int):
            out += b"\x10" + key + struct.pack("<i", value) if -1 << 31 <= value < 1 << 31 else b"\x12" + key + struct.pack("<q", value)
        elif isinstance(value, float):
            out += b"\x01" + key + struct.pack("<d", value)
        elif isinstance(value, str):
            out += b"\x02" + key + struct.pack("<i", len(value.encode()) + 1) + value.encode() + b"\0"
        elif isinstance(value, dict):
            out += b"\x03" + key + encode(value)
        elif isinstance(value, list):
            out += b"\x04" + key + encode({str(n): one for n, one in enumerate(value)})
        elif isinstance(value, bytes):
            out += b"\x05" + key + struct.pack("<iB", len(value), 0) + value
        elif value is None:
            out += b"\x0a" + key
        else:
            raise TypeError(type(value))
    return struct.pack("<i", len(out) + 5) + out + b"\0"


def decode(data, at=0):
    end, document = at + struct.unpack_from("<i", data, at)[0] - 1, {}
    at += 4
    while at < end:
        kind, stop = data[at], data.index(b"\0", at + 1)
        name, at = data[at + 1:stop].decode(), stop + 1
        if kind in (0x02, 0x0D):
            size = struct.unpack_from("<i", data, at)[0]
            value, at = data[at + 4:at + 3 + size].decode(), at + 4 + size
        elif kind in (0x03, 0x04):
            value, used = decode(data, at), struct.unpack_from("<i", data, at)[0]
            value, at = list(value.values()) if kind == 4 else value, at + used
        elif kind == 0x05:
            size = struct.unpack_from("<i", data, at)[0]
            value, at = data[at + 5:at + 5 + size], at + 5 + size
        else:
            shape, size = {0x01: ("<d", 8), 0x07: ("12s", 12), 0x08: ("?", 1), 0x09: ("<q", 8), 0x0A: ("", 0), 0x10: ("<i", 4), 0x11: ("<Q", 8),
                           0x12: ("<q", 8)}[kind]
            value, at = (struct.unpack_from(shape, data, at)[0] if size else None), at + size
        document[name] = value
    return document


class Handler(socketserver.BaseRequestHandler):
    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.request.recv(size - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def handle(self):
        self.user = None
        try:
            while True:
                size, number, _, code = struct.unpack("<iiii", self.exactly(16))
                data = self.exactly(size - 16)
                if code == 2004:  # OP_QUERY: the greeting
                    at = data.index(b"\0", 4) + 9
                    body = struct.pack("<iqii", 8, 0, 0, 1) + encode(self.command(decode(data, at)))
                    self.request.sendall(struct.pack("<iiii", len(body) + 16, 0, number, 1) + body)
                else:
                    body = struct.pack("<iB", 0, 0) + encode(self.command(self.sections(data[4:])))
                    self.request.sendall(struct.pack("<iiii", len(body) + 16, 0, number, 2013) + body)
        except (ConnectionError, OSError):
            pass

    @staticmethod
    def sections(data):
        """The body, and documents that came beside it (those of an insert) put into it."""
        at, whole = 0, {}
        while at < len(data):
            kind, at = data[at], at + 1
            size = struct.unpack_from("<i", data, at)[0]
            if kind == 0:
                whole |= decode(data, at)
            else:
                stop = data.index(b"\0", at + 4)
                inner, one = [], stop + 1
                while one < at + size:
                    inner.append(decode(data, one))
                    one += struct.unpack_from("<i", data, one)[0]
                whole[data[at + 4:stop].decode()] = inner
            at += size
        return whole

    def command(self, request):
        name = next(iter(request))
        if name.lower() in ("hello", "ismaster"):
            return {"ok": 1.0, "isWritablePrimary": True, "ismaster": True, "helloOk": True, "maxBsonObjectSize": 16777216, "maxWireVersion": 17,
                    "minWireVersion": 0, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000, "saslSupportedMechs": ["SCRAM-SHA-256"]}
        if name == "saslStart":
            return self.first(request["payload"].decode())
        if name == "saslContinue":
            return self.last(request["payload"].decode())
        if not self.user:
            return {"ok": 0.0, "errmsg": f"command {name} requires authentication", "code": 13, "codeName": "Unauthorized"}
        self.server.commands.append(request)
        return self.server.answer(name, request)

    def first(self, text):
        self.bare = text[3:]
        fields = dict(one.split("=", 1) for one in self.bare.split(","))
        self.claimed, self.salt = fields["n"], os.urandom(16)
        self.nonce = fields["r"] + base64.b64encode(os.urandom(12)).decode()
        self.challenge = f"r={self.nonce},s={base64.b64encode(self.salt).decode()},i={ITERATIONS}"
        return {"ok": 1.0, "conversationId": 1, "done": False, "payload": self.challenge.encode()}

    def last(self, text):
        fields = dict(one.split("=", 1) for one in text.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.server.users.get(self.claimed, os.urandom(8).hex()).encode(), self.salt, ITERATIONS)
        signed = f"{self.bare},{self.challenge},{text.rpartition(',')[0]}".encode()
        stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
        proof = bytes(a ^ b for a, b in zip(base64.b64decode(fields["p"]), hmac.digest(stored, signed, "sha256")))
        if hashlib.sha256(proof).digest() != stored:
            return {"ok": 0.0, "errmsg": "Authentication failed.", "code": 18, "codeName": "AuthenticationFailed"}
        self.user = self.claimed
        signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), signed, "sha256")
        return {"ok": 1.0, "conversationId": 1, "done": True, "payload": b"v=" + base64.b64encode(signature)}


class MongoDB(socketserver.ThreadingTCPServer):
    """answer(name, command) gives the document of the answer; commands are those that came after a login."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, users, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.users, self.answer, self.commands = users, answer, []
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()
