# SPDX-License-Identifier: Apache-2.0
"""Stand-in for a MySQL 8 server, which is not to be had here: the logins that MariaDB does not have.

caching_sha2_password in all its ways (the hash that the server remembers, the password under TLS, the password encrypted to the server's
RSA key), sha256_password, and mysql_clear_password. It computes what it expects by itself, with hashlib and the program openssl. After the
login every statement is done; SELECT gives one row, 1. `ways` says how each login went, `received` is every packet of a login.
"""
import hashlib
import os
import socket
import ssl
import struct
import subprocess
import threading

SSL, LOCAL_FILES, WITH_DATABASE, MULTI_STATEMENTS, ATTRIBUTES = 0x800, 0x80, 8, 1 << 16, 1 << 20
CAPABILITIES = 1 | 4 | WITH_DATABASE | 0x200 | 0x2000 | 0x8000 | 1 << 17 | 1 << 18 | 1 << 19 | ATTRIBUTES


def fast_proof(password, nonce):
    once = hashlib.sha256(password).digest()
    mask = hashlib.sha256(hashlib.sha256(once).digest() + nonce).digest()
    return bytes(a ^ b for a, b in zip(once, mask))


class Connection:
    def __init__(self, standin, connection):
        self.standin, self.socket, self.sequence, self.is_tls = standin, connection, 0, False
        self.nonce = self.new_nonce()

    @staticmethod
    def new_nonce():
        return bytes(33 + byte % 90 for byte in os.urandom(20))

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise EOFError
            data += part
        return data

    def read(self, login=True):
        head = self.exactly(4)
        if login:
            assert head[3] == self.sequence, "the packets are in order"
        self.sequence = (head[3] + 1) % 256
        body = self.exactly(int.from_bytes(head[:3], "little"))
        if login:
            self.standin.received.append(body)
        return body

    def send(self, body):
        self.socket.sendall(len(body).to_bytes(3, "little") + bytes([self.sequence]) + body)
        self.sequence = (self.sequence + 1) % 256

    def refuse(self, code, state, words):
        self.send(b"\xff" + struct.pack("<H", code) + b"#" + state.encode() + words.encode())

    # ---- login
    def greet(self):
        capabilities = CAPABILITIES | (SSL if self.standin.certificate else 0)
        self.send(b"\x0a8.0.36\0" + struct.pack("<I", 7) + self.nonce[:8] + b"\0" + struct.pack("<HBHHB", capabilities & 0xffff, 255, 2, capabilities >> 16, 21)
                  + b"\0" * 10 + self.nonce[8:] + b"\0" + self.standin.announces.encode() + b"\0")

    def hello(self):
        body = self.read()
        capabilities = struct.unpack("<I", body[:4])[0]
        if len(body) == 32 and capabilities & SSL:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.standin.certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.is_tls = True
            body = self.read()
            capabilities = struct.unpack("<I", body[:4])[0]
        assert not capabilities & (LOCAL_FILES | MULTI_STATEMENTS), hex(capabilities)
        user, _, rest = body[32:].partition(b"\0")
        proof, rest = rest[1:1 + rest[0]], rest[1 + rest[0]:]
        if capabilities & WITH_DATABASE:
            rest = rest.partition(b"\0")[2]
        return user.decode(), proof, rest.partition(b"\0")[0].decode()

    def log_in(self):
        self.greet()
        user, proof, plugin = self.hello()
        if plugin != self.standin.plugin:
            self.nonce = self.new_nonce()
            self.send(b"\xfe" + self.standin.plugin.encode() + b"\0" + self.nonce + b"\0")
            proof = self.read()
        if user != self.standin.user or not getattr(self, self.standin.plugin)(proof):
            self.refuse(1045, "28000", f"Access denied for user '{user}'")
            return False
        self.send(b"\0\0\0\2\0\0\0")
        return True

    def caching_sha2_password(self, proof):
        password = self.standin.password.encode()
        if not password:
            self.standin.ways.append("empty")
            return proof == b"\0"
        assert len(proof) == 32, proof
        if self.standin.remembers and proof == fast_proof(password, self.nonce):
            self.standin.ways.append("fast")
            self.send(b"\1\3")
            return True
        self.send(b"\1\4")
        good = self.in_clear(self.read()) if self.is_tls else self.by_key(self.read(), b"\2")
        self.standin.remembers |= good
        return good

    def sha256_password(self, proof):
        return self.in_clear(proof) if self.is_tls else self.by_key(proof, b"\1")

    def mysql_clear_password(self, proof):
        return self.in_clear(proof)

    def in_clear(self, proof):
        self.standin.ways.append("tls" if self.is_tls else "clear")
        return proof == self.standin.password.encode() + b"\0"

    def by_key(self, request, expected):
        assert request == expected, request
        self.send(b"\1" + self.standin.public)
        sealed = self.read()
        clear = subprocess.run(["openssl", "pkeyutl", "-decrypt", "-inkey", self.standin.key, "-pkeyopt", "rsa_padding_mode:oaep"], input=sealed,
                               capture_output=True, check=True).stdout
        self.standin.ways.append("rsa")
        return bytes(byte ^ self.nonce[i % 20] for i, byte in enumerate(clear)) == self.standin.password.encode() + b"\0"

    # ---- statements
    def run(self):
        try:
            if self.log_in():
                while (body := self.read(login=False))[:1] != b"\x01":
                    self.answer(body)
        except (EOFError, ConnectionError, ssl.SSLError):
            pass
        except AssertionError as wrong:
            self.standin.wrong.append(str(wrong))
        finally:
            self.socket.close()

    def answer(self, body):
        sql = body[1:].decode()
        assert body[:1] == b"\x03", body
        self.standin.statements.append(sql)
        if not sql.upper().startswith("SELECT"):
            self.send(b"\0\0\0\2\0\0\0")
            return
        self.send(b"\1")
        self.send(b"\3def\0\0\0\1x\0\x0c" + struct.pack("<HIBHB", 63, 1, 8, 0x81, 0) + b"\0\0")
        self.send(b"\xfe\0\0\2\0")
        self.send(b"\0011")
        self.send(b"\xfe\0\0\2\0")


class Standin:
    """announces: the plugin in the greeting, if it is not the user's; certificate: (chain, key) of TLS; key: a private RSA key's file."""

    def __init__(self, password, plugin="caching_sha2_password", announces=None, certificate=None, key=None, user="app"):
        self.password, self.plugin, self.announces, self.certificate, self.key, self.user = password, plugin, announces or plugin, certificate, key, user
        self.remembers = False
        self.public = b"no key"
        if key:
            self.public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout"], capture_output=True, check=True).stdout
        self.ways, self.received, self.statements, self.wrong, self.threads = [], [], [], [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self.accept)

    def __enter__(self):
        self.accepting.start()
        return self

    def __exit__(self, kind, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.accepting.join()
        self.listener.close()
        for thread in self.threads:
            thread.join(20)
        assert kind or not self.wrong, self.wrong

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=Connection(self, connection).run)
            self.threads.append(thread)
            thread.start()
