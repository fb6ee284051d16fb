# SPDX-License-Identifier: Apache-2.0
"""Stand-in for servers that speak PostgreSQL's protocol and are not to be had here: CockroachDB, Redshift.

It logs clients in as the real one does (SCRAM-SHA-256 or MD5), is strict about what it is sent, keeps every statement, and answers
with what answer(sql, parameters) says: (column names, rows), or Refused(sqlstate, words). What it does not expect is refused.
"""
import base64
import hashlib
import hmac
import os
import socket
import struct
import threading


class Refused(Exception):
    def __init__(self, sqlstate, words):
        super().__init__(words)
        self.sqlstate = sqlstate


def digest(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


class Connection:
    def __init__(self, standin, connection):
        self.standin, self.socket = standin, connection
        self.file = connection.makefile("rb")
        self.state = b"I"

    def exactly(self, size):
        data = self.file.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def message(self):
        kind, length = struct.unpack("!cI", self.exactly(5))
        return kind.decode(), self.exactly(length - 4)

    def send(self, kind, body=b""):
        self.socket.sendall(kind.encode() + struct.pack("!I", len(body) + 4) + body)

    def error(self, sqlstate, words, severity="ERROR"):
        self.send("E", b"S" + severity.encode() + b"\0V" + severity.encode() + b"\0C" + sqlstate.encode() + b"\0M" + words.encode() + b"\0\0")

    # ---- start
    def run(self):
        try:
            length, code = struct.unpack("!II", self.exactly(8))
            if code == 80877103:
                self.socket.sendall(b"N")
                length, code = struct.unpack("!II", self.exactly(8))
            if code == 80877102:
                self.standin.cancels.append(self.exactly(8))
                return
            assert code == 196608, code
            parts = self.exactly(length - 8).split(b"\0")
            self.startup = {parts[i].decode(): parts[i + 1].decode() for i in range(0, len(parts) - 2, 2)}
            unknown = set(self.startup) - {"user", "database", *self.standin.settings}
            assert not unknown, f"settings that the server does not take: {unknown}"
            self.standin.startups.append(self.startup)
            password = self.standin.users.get(self.startup["user"])
            if password is None or not getattr(self, self.standin.auth)(password):
                self.error("28P01", f'password authentication failed for user "{self.startup["user"]}"', "FATAL")
                return
            self.send("R", struct.pack("!I", 0))
            for name, value in self.standin.parameters.items():
                self.send("S", name.encode() + b"\0" + value.encode() + b"\0")
            self.send("K", struct.pack("!II", 4711, 815))
            self.send("Z", self.state)
            self.serve()
        except (EOFError, ConnectionError):
            pass
        except AssertionError as wrong:
            self.standin.wrong.append(str(wrong))
        finally:
            self.file.close()
            self.socket.close()

    def md5(self, password):
        salt = os.urandom(4)
        self.send("R", struct.pack("!I", 5) + salt)
        kind, body = self.message()
        stored = password if password.startswith("md5") else "md5" + hashlib.md5((password + self.startup["user"]).encode()).hexdigest()
        return kind == "p" and body == b"md5" + hashlib.md5(stored[3:].encode() + salt).hexdigest().encode() + b"\0"

    def scram(self, password):
        self.send("R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0")
        kind, body = self.message()
        assert kind == "p" and body.startswith(b"SCRAM-SHA-256\0"), body
        first = body[18:]
        assert first.startswith(b"n,,n=,r="), first
        if password.startswith("SCRAM-SHA-256$"):
            iterations, salt, stored, key = password.replace("$", ":").split(":")[1:]
            salt, stored, key = (base64.b64decode(one) for one in (salt, stored, key))
        else:
            iterations, salt = 4096, os.urandom(16)
            salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 4096)
            stored, key = hashlib.sha256(digest(salted, b"Client Key")).digest(), digest(salted, b"Server Key")
        server_first = first[6:].split(b"r=")[1] + base64.b64encode(os.urandom(12))
        server_first = b"r=" + server_first + b",s=" + base64.b64encode(salt) + f",i={iterations}".encode()
        self.send("R", struct.pack("!I", 11) + server_first)
        kind, final = self.message()
        bare, _, proof = final.rpartition(b",p=")
        assert bare.startswith(b"c=biws,r=") and bare[9:] == server_first[2:].split(b",")[0], bare
        text = first[3:] + b"," + server_first + b"," + bare
        client_key = bytes(a ^ b for a, b in zip(base64.b64decode(proof), digest(stored, text)))
        if hashlib.sha256(client_key).digest() != stored:
            return False
        self.send("R", struct.pack("!I", 12) + b"v=" + base64.b64encode(digest(key, text)))
        return True

    # ---- statements
    def serve(self):
        sql, parameters, failed = None, [], False
        while True:
            kind, body = self.message()
            if kind == "X":
                return
            if kind == "Q":
                assert body.endswith(b"\0")
                for one in [part.strip() for part in body[:-1].decode().split(";") if part.strip()]:
                    if not self.answer(one, [], True):
                        break
                self.send("Z", self.state)
            elif kind == "S":
                failed = False
                self.send("Z", self.state)
            elif failed:
                continue
            elif kind == "P":
                name, text, rest = body.split(b"\0", 2)
                assert (name, rest) == (b"", b"\0\0"), body
                sql = text.decode()
                self.send("1")
            elif kind == "B":
                assert body.startswith(b"\0\0\0\0"), body
                parameters, at = [], 6
                for _ in range(struct.unpack("!H", body[4:6])[0]):
                    size = struct.unpack("!i", body[at:at + 4])[0]
                    parameters.append(None if size < 0 else body[at + 4:at + 4 + size].decode())
                    at += 4 + max(size, 0)
                assert body[at:] == b"\0\0", body
                self.send("2")
            elif kind == "D":
                assert body == b"P\0", body
            elif kind == "E":
                failed = not self.answer(sql, parameters, False)
            else:
                raise AssertionError(f"message {kind}")

    def answer(self, sql, parameters, simple):
        self.standin.statements.append((self.startup["user"], sql))
        word = sql.split()[0].upper()
        try:
            columns, rows = self.standin.answer(self, sql, parameters)
        except Refused as refused:
            self.error(refused.sqlstate, str(refused))
            self.state = b"E" if self.state != b"I" else b"I"
            return False
        if word in ("BEGIN", "COMMIT", "ROLLBACK"):
            self.state = b"T" if word == "BEGIN" else b"I"
        if columns:
            self.send("T", struct.pack("!H", len(columns)) + b"".join(
                name.encode() + b"\0" + struct.pack("!IHIhih", 0, 0, 25, -1, -1, 0) for name in columns))
        elif not simple:
            self.send("n")
        for row in rows:
            values = [None if value is None else str(value).encode() for value in row]
            self.send("D", struct.pack("!H", len(values)) + b"".join(
                struct.pack("!i", -1) if value is None else struct.pack("!I", len(value)) + value for value in values))
        self.send("C", (f"SELECT {len(rows)}" if columns else word).encode() + b"\0")
        return True


class Standin:
    """auth: "scram" or "md5"; settings: names that the startup message may have; answer(connection, sql, parameters)."""

    def __init__(self, auth, users, answer, settings=(), parameters=None):
        self.auth, self.users, self.answer, self.settings, self.parameters = auth, dict(users), answer, settings, parameters or {}
        self.statements, self.startups, self.cancels, self.wrong = [], [], [], []
        self.threads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self.accept)

    def __enter__(self):
        self.accepting.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.listener.close()
        for thread in self.threads:
            thread.join(20)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=Connection(self, connection).run)
            self.threads.append(thread)
            thread.start()

    def sql(self, user=None):
        return [sql for who, sql in self.statements if user in (None, who)]
