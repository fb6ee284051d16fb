# SPDX-License-Identifier: Apache-2.0
"""As much of SQL Server as FreeTDS needs to log in and to run a batch (TDS 7.4, no encryption)."""
import socketserver
import struct
import threading

BATCH, LOGIN, PRELOGIN, RESPONSE = 1, 16, 18, 4


def name(value):
    return bytes([len(value)]) + value.encode("utf-16-le")


def us(value):
    return struct.pack("<H", len(value)) + value.encode("utf-16-le")


def done(rows=0, more=False):
    return b"\xfd" + struct.pack("<HHQ", 0x10 | more, 0xC1, rows)


def columns(names):
    out = b"\x81" + struct.pack("<H", len(names))
    for one in names:  # nvarchar(4000), with a collation
        out += struct.pack("<IH", 0, 9) + b"\xe7" + struct.pack("<H", 8000) + b"\x09\x04\xd0\x00\x34" + name(one)
    return out


def row(values):
    out = b"\xd1"
    for one in values:
        data = None if one is None else str(one).encode("utf-16-le")
        out += b"\xff\xff" if data is None else struct.pack("<H", len(data)) + data
    return out


def table(names, rows, more=True):
    return columns(names) + b"".join(row(one) for one in rows) + done(len(rows), more)


class Handler(socketserver.BaseRequestHandler):
    def exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.request.recv(size - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def message(self):
        kind, data, last = 0, b"", False
        while not last:
            kind, status, size = struct.unpack(">BBH4x", self.exactly(8))
            data += self.exactly(size - 8)
            last = status & 1
        return kind, data

    def reply(self, data):
        for at in range(0, max(len(data), 1), 4000):
            part = data[at:at + 4000]
            self.request.sendall(struct.pack(">BBHHBB", RESPONSE, at + 4000 >= len(data), len(part) + 8, 0, 1, 0) + part)

    def handle(self):
        try:
            while True:
                kind, data = self.message()
                if kind == PRELOGIN:
                    options = b"\0" + struct.pack(">HH", 11, 6) + b"\1" + struct.pack(">HH", 17, 1) + b"\xff"
                    self.reply(options + b"\x0f\0\x10\0\0\0" + b"\2")
                elif kind == LOGIN:
                    self.reply(self.login(data))
                elif kind == BATCH:
                    head = struct.unpack("<I", data[:4])[0]
                    text = data[head:].decode("utf-16-le") if head < 64 else data.decode("utf-16-le")
                    self.server.batches.append(text)
                    self.reply(self.server.answer(text))
                else:
                    self.reply(done())
        except (ConnectionError, OSError, struct.error):
            pass

    def login(self, data):
        def field(index):
            at, size = struct.unpack("<HH", data[36 + 4 * index:40 + 4 * index])
            return data[at:at + 2 * size]

        user = field(1).decode("utf-16-le")
        password = bytes(((b ^ 0xA5) >> 4 | (b ^ 0xA5) << 4 & 0xF0) for b in field(2)).decode("utf-16-le")
        self.server.logins.append((user, password))
        if self.server.users.get(user) != password:
            text = us(f"Login failed for user '{user}'.") + name("standin") + name("") + struct.pack("<I", 1)
            return b"\xaa" + struct.pack("<HIBB", len(text) + 6, 18456, 1, 14) + text + b"\xfd" + struct.pack("<HHQ", 2, 0, 0)
        ack = b"\1\x74\0\0\4" + name("Microsoft SQL Server") + b"\x0f\0\x10\0"
        return b"\xad" + struct.pack("<H", len(ack)) + ack + done()


class SqlServer(socketserver.ThreadingTCPServer):
    """answer(batch) gives the tokens of the answer. logins and batches are what it was told."""

    allow_reuse_address = daemon_threads = True

    def __init__(self, users, answer):
        super().__init__(("127.0.0.1", 0), Handler)
        self.users, self.answer, self.logins, self.batches = users, answer, [], []
        self.thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()
