# SPDX-License-Identifier: Apache-2.0
"""As much of a Kafka broker as kcat needs to log in by SASL PLAIN, to see topics, to read one and to write to one."""
import socketserver
import struct
import threading

API_VERSIONS, METADATA, HANDSHAKE, AUTHENTICATE, PRODUCE, FETCH, OFFSETS = 18, 3, 17, 36, 0, 1, 2
VERSIONS = {PRODUCE: (0, 3), FETCH: (0, 4), OFFSETS: (0, 1), METADATA: (0, 1), HANDSHAKE: (0, 1), API_VERSIONS: (0, 0), AUTHENTICATE: (0, 0)}


def text(value):
    return struct.pack(">h", -1) if value is None else struct.pack(">h", len(value)) + value.encode()


def blob(value):
    return struct.pack(">i", len(value)) + value


def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = b""
    while True:
        out += bytes([number & 0x7F | (0x80 if number > 0x7F else 0)])
        number >>= 7
        if not number:
            return out


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def batch(messages, base):
    records = b""
    for n, (key, value) in enumerate(messages):
        fields = b"\0" + varint(0) + varint(n)
        fields += varint(-1) if key is None else varint(len(key)) + key
        fields += varint(len(value)) + value + varint(0)
        records += varint(len(fields)) + fields
    body = struct.pack(">hiqqqhii", 0, len(messages) - 1, 1700000000000, 1700000000000, -1, -1, -1, len(messages)) + records
    body = struct.pack(">ib", 0, 2) + struct.pack(">I", crc32c(body)) + body
    return struct.pack(">qi", base, len(body)) + body


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
                request = self.exactly(struct.unpack(">i", self.exactly(4))[0])
                api, version, correlation, length = struct.unpack(">hhih", request[:10])
                answer = self.answer(api, version, request[10 + max(length, 0):])
                if answer is None:
                    return
                self.request.sendall(blob(struct.pack(">i", correlation) + answer))
        except (ConnectionError, OSError):
            pass

    def answer(self, api, version, body):
        server = self.server
        if api == API_VERSIONS:
            rows = b"".join(struct.pack(">hhh", key, low, high) for key, (low, high) in VERSIONS.items())
            return struct.pack(">hi", 0 if version == 0 else 35, len(VERSIONS)) + rows
        if api == HANDSHAKE:
            return struct.pack(">hi", 0, 1) + text("PLAIN")
        if api == AUTHENTICATE:
            _, user, password = body[4:].split(b"\0")
            server.logins.append((user.decode(), password.decode()))
            if server.users.get(user.decode()) != password.decode():
                return struct.pack(">h", 58) + text("Authentication failed: wrong user or password") + blob(b"")
            self.user = user.decode()
            return struct.pack(">h", 0) + text(None) + blob(b"")
        if server.users and not self.user:
            return None  # as a broker does: nothing without a login
        return {METADATA: self.metadata, OFFSETS: self.offsets, FETCH: self.fetch, PRODUCE: self.produce}[api](body)

    def metadata(self, _):
        server = self.server
        out = struct.pack(">ii", 1, 1) + text("127.0.0.1") + struct.pack(">i", server.server_address[1]) + text(None) + struct.pack(">ii", 1, len(server.topics))
        for name in server.topics:
            out += struct.pack(">h", 0) + text(name) + b"\0" + struct.pack(">i", 1) + struct.pack(">hiiiiii", 0, 0, 1, 1, 1, 1, 1)
        return out

    def offsets(self, body):
        size = struct.unpack(">h", body[8:10])[0]
        name = body[10:10 + size].decode()
        stamp = struct.unpack(">q", body[10 + size + 8:10 + size + 16])[0]
        offset = 0 if stamp == -2 else len(self.server.topics[name])
        return struct.pack(">i", 1) + text(name) + struct.pack(">iihqq", 1, 0, 0, -1, offset)

    def fetch(self, body):
        count = struct.unpack(">i", body[17:21])[0]
        out, at = b"", 21
        for _ in range(count):
            size = struct.unpack(">h", body[at:at + 2])[0]
            name = body[at + 2:at + 2 + size].decode()
            offset = struct.unpack(">q", body[at + 2 + size + 8:at + 2 + size + 16])[0]
            at += 2 + size + 4 + 16 + 4 - 4 + 4
            messages = self.server.topics[name]
            records = batch(messages[offset:], offset) if offset < len(messages) else b""
            out += text(name) + struct.pack(">iihqqi", 1, 0, 0, len(messages), len(messages), 0) + blob(records)
        return struct.pack(">ii", 0, count) + out

    def produce(self, body):
        at = 2 + 2 + 4 + 4  # no transaction, acks, timeout, one topic
        size = struct.unpack(">h", body[at:at + 2])[0]
        name = body[at + 2:at + 2 + size].decode()
        at += 2 + size + 4 + 4 + 4
        data = body[at:]
        count = struct.unpack(">i", data[57:61])[0]
        self.server.produced.append((name, count, data[61:]))
        return struct.pack(">i", 1) + text(name) + struct.pack(">iihqqi", 1, 0, 0, len(self.server.topics[name]), -1, 0)


class Broker(socketserver.ThreadingTCPServer):
    """users: passwords by name; none: no login. topics: lists of (key, value) by name. What it is told is in logins and produced."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, users=None, topics=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.users, self.topics, self.logins, self.produced = users or {}, topics or {}, [], []
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()
