# SPDX-License-Identifier: Apache-2.0
"""redis: Redis itself, redis-cli and redis-py."""
import hashlib
import os
import re
import socket
import subprocess
import threading
import time

import pytest
import redis
from conftest import READER, WRITER
from kubetest.databases import Redis, find
from kubetest.wait import wait_for

PASSWORD = "s3cret-of-the-app"
SOCKET = "redis.sock"
# Commands that change something, or that end what keeps a session to reading.
CORPUS = [
    "SET a changed", "DEL a", "GETSET a changed", "GETDEL a", "GETEX a EX 1", "EXPIRE a 1", "PERSIST a", "APPEND a x", "INCR n", "RENAME a b",
    "COPY a c", "MOVE a 1", "SORT l STORE s2", "LPUSH l x", "LPOP l", "SADD s x", "ZADD z 1 x", "HSET h f x", "XADD x * a b", "PFADD p x",
    "SETBIT a 1 1", "BITOP NOT a a", "BITFIELD a SET u8 0 1", "FLUSHALL", "FLUSHDB", "SWAPDB 0 1", "CONFIG SET maxmemory 1mb", "CONFIG SET dir /tmp",
    "EVAL return{redis.call('SET','a','x')} 0", "SCRIPT FLUSH", "FUNCTION FLUSH", "ACL SETUSER mine on nopass +@all ~*", "ACL DELUSER app",
    "DEBUG SLEEP 0", "CLIENT KILL TYPE normal", "CLIENT PAUSE 1", "BGSAVE", "SAVE", "SHUTDOWN NOSAVE", "REPLICAOF localhost 1", "MIGRATE h 1 a 0 1",
    "RESTORE r 0 x", "PUBLISH c x", "SPUBLISH c x", "RESET", "AUTH default wrong", "UNLINK a", "GEORADIUS g 0 0 1 m STORE a", "LMOVE l l LEFT RIGHT",
    "SPOP s", "MODULE LOAD /tmp/x.so", "SLAVEOF NO ONE", "SINTERSTORE s3 s s", "ZRANGESTORE z2 z 0 -1", "XGROUP CREATE x g 0", "MEMORY PURGE"]


@pytest.fixture(name="db", scope="module")
def the_server(server):
    one = server(Redis, users={"app": PASSWORD})
    fill(one)
    return one


def fill(db):
    for line in ("SET a 1", "SET n 5", "RPUSH l x y z", "SADD s m", "ZADD z 1 m 2 n", "HSET h f v g w", "XADD x 1-1 k v", "SET secret:a hidden"):
        db.cli(*line.split())


def checksum(db):
    keys = sorted(db.cli("KEYS", "*").splitlines())
    parts = [f"{key} {db.cli('--no-raw', 'DUMP', key)} {db.cli('PTTL', key)}" for key in keys]
    parts += [db.cli("ACL", "LIST"), db.cli("CONFIG", "GET", "maxmemory"), db.cli("CONFIG", "GET", "dir"), db.cli("-n", "1", "DBSIZE")]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def config(db, **more):
    return {"hostname": db.host, "port": db.port, "username": "app", **more}


@pytest.fixture(name="app")
def the_tool(db, tool):
    return tool("redis", config(db), credential=PASSWORD)


def permissions(*commands, **more):
    return {"adminCredentialsRef": {"name": "admin", "key": "password"}, **({"commands": list(commands)} if commands else {}), **more}


@pytest.fixture(name="minted")
def a_minted_tool(db, tool):
    one = tool("redis", config(db), admin=(db.admin, db.password), permissions=permissions("+@read", "+set", "+del", "+expire", "+publish")).mint()
    result = one.provision()
    assert result.get("done"), result
    yield one
    one.deprovision()


def cli(session, *arguments, text=None):
    return subprocess.run([find("redis-cli"), "-s", str(session.folder / SOCKET), *arguments], input=text, capture_output=True, text=True,
                          timeout=60, check=False, env={"PATH": os.environ["PATH"]})


def connect(session, **options):
    return redis.Redis(unix_socket_path=str(session.folder / SOCKET), decode_responses=True, **options)


class Raw:
    def __init__(self, session):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(session.folder / SOCKET))
        self.socket.settimeout(20)
        self.file = self.socket.makefile("rb")

    def ask(self, data):
        self.socket.sendall(data)
        return self.file.readline()

    def close(self):
        self.file.close()
        self.socket.close()


# ---- probe

def test_a_probe_says_what_the_server_is(app):
    found = app.probe()
    assert found["reachable"] and found["authenticated"] and found["authorised"], found
    assert re.fullmatch(r"Redis [67]\.[0-9.]+", found["server"]), found


def test_a_probe_tells_apart_what_failed(db, tool):
    wrong = tool("redis", config(db), credential="wrong").probe()
    assert (wrong["reachable"], wrong["authenticated"]) == (True, False) and "WRONGPASS" in wrong["message"], wrong
    nobody = tool("redis", {"hostname": db.host, "port": db.port}).probe()
    assert (nobody["reachable"], nobody["authenticated"]) == (True, False) and "NOAUTH" in nobody["message"], nobody
    nowhere = tool("redis", config(db, databaseName="99"), credential=PASSWORD).probe()
    assert (nowhere["authenticated"], nowhere["authorised"]) == (True, False) and "out of range" in nowhere["message"], nowhere
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = tool("redis", {**config(db), "port": closed.getsockname()[1]}, credential=PASSWORD).probe()
    assert not away["reachable"] and "Connection refused" in away["message"], away


def test_a_password_without_a_name(db, tool):
    assert tool("redis", {"hostname": db.host, "port": db.port}, credential=db.password).probe()["authorised"]


@pytest.mark.parametrize("mode, ca, works", [
    ("require", False, True), ("require", True, True), ("verify-ca", True, True), ("verify-full", True, True), ("verify-full", False, False)])
def test_tls_by_mode(server, tool, mode, ca, works):
    db = server(Redis, users={"app": PASSWORD}, tls=True)
    found = tool("redis", config(db, sslMode=mode), credential=PASSWORD, ca=db.ca if ca else None).probe()
    assert found["authorised"] == works, found


# ---- operations

def test_replies_are_rows(app):
    assert app.call("command", args=["GET", "a"])["result"]["rows"] == [["1"]]
    assert app.call("command", args=["LRANGE", "l", "0", "-1"])["result"]["rows"] == [["x"], ["y"], ["z"]]
    assert app.call("command", args=["GET", "nothing"])["result"]["rows"] == [[None]]
    assert app.call("command", args=["STRLEN", "a"])["result"]["rows"] == [[1]]
    assert app.call("command", args=["XRANGE", "x", "-", "+"])["result"]["rows"] == [[["1-1", ["k", "v"]]]]
    failed = app.call("command", args=["LPUSH", "a", "x"])
    assert failed["serverCode"] == "WRONGTYPE" and "wrong kind" in failed["error"], failed


def test_replies_are_limited(db, app):
    db.cli("EVAL", "for i=1,3000 do redis.call('RPUSH','long',string.rep('x',100)) end", "0")
    few = app.call("command", "--max-rows=10", args=["LRANGE", "long", "0", "-1"])["result"]
    assert len(few["rows"]) == 10 and few["truncated"]
    short = app.call("command", "--max-bytes=5000", args=["LRANGE", "long", "0", "-1"])["result"]
    assert 40 < len(short["rows"]) < 50 and short["truncated"]
    db.cli("DEL", "long")


def test_keys_are_found_and_read(db, app):
    found = app.call("scan_keys", pattern="secret:*")["result"]
    assert found["rows"] == [["secret:a"]] and not found["truncated"]
    assert app.call("scan_keys", "--max-rows=2", pattern="*")["result"]["truncated"]
    for key, kind, value in (("a", "string", "1"), ("l", "list", ["x", "y", "z"]), ("s", "set", ["m"]), ("z", "zset", ["m", "1", "n", "2"]),
                             ("h", "hash", ["f", "v", "g", "w"]), ("nothing", "none", None)):
        row = app.call("get", key=key)["result"]["rows"][0]
        assert (row[1], row[3]) == (kind, value), row


def test_the_corpus_changes_nothing_though_the_credential_could(db, app):
    before = checksum(db)
    for line in CORPUS:
        found = app.call("command", "--read-only", args=line.split())
        assert "error" in found, line
    assert checksum(db) == before


# ---- clients of one's own

def test_the_program_needs_no_password(app):
    with app.serve(name=SOCKET) as session:
        assert cli(session, "ACL", "WHOAMI").stdout == "app\n"
        assert cli(session, "--user", "whoever", "--pass", "made-up", "--no-auth-warning", "GET", "a").stdout == "1\n"
        assert cli(session, text="SET k v\nGET k\nDEL k\n").stdout == "OK\nv\n1\n"
        wait_for(lambda: not session.busy() and len(session.statements()) >= 5, "the audit", 10)
        assert {"text": "GET a", "class": "read", "code": 0}.items() <= [one for one in session.statements() if one["text"] == "GET a"][0].items()
        assert PASSWORD.encode() not in session.processes_text()


def test_a_library_with_pipelines_transactions_and_subscriptions(app):
    with app.serve(name=SOCKET) as session:
        one = connect(session, username="x", password="y")
        with one.pipeline(transaction=False) as pipe:
            for i in range(3000):
                pipe.set(f"p{i}", i)
            assert all(pipe.execute())
        with one.pipeline() as pipe:
            for i in range(3000):
                pipe.delete(f"p{i}")
            assert sum(pipe.execute()) == 3000
        listener = one.pubsub()
        listener.subscribe("news")
        assert listener.get_message(timeout=10)["type"] == "subscribe"
        assert one.publish("news", "hello") == 1
        assert listener.get_message(timeout=10)["data"] == "hello"
        assert session.busy(), "an open subscription is not idle"
        listener.close()
        one.close()
        wait_for(lambda: not session.busy(), "the session to be idle", 10)


def test_nothing_logs_out(app):
    with app.serve(name=SOCKET) as session:
        raw = Raw(session)
        assert raw.ask(b"RESET\r\n").startswith(b"-NOPERM")
        assert raw.ask(b"*1\r\n$5\r\nrEsEt\r\n").startswith(b"-NOPERM")
        assert raw.ask(b"*3\r\n$6\r\nCLIENT\r\n$5\r\nREPLY\r\n$3\r\nOFF\r\n").startswith(b"-NOPERM")
        assert raw.ask(b"*1\r\n$4\r\nSYNC\r\n").startswith(b"-NOPERM")
        assert raw.ask(b"AUTH default nothing\r\n") == b"+OK\r\n"
        assert raw.ask(b"*5\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nx\r\n$1\r\ny\r\n").startswith(b"%")
        raw.close()
        again = Raw(session)
        again.ask(b"AUTH a b\r\n")
        assert again.ask(b"ACL WHOAMI\r\n") == b"$3\r\n" and again.file.readline() == b"app\r\n"
        again.close()


def test_a_refusal_keeps_its_place_and_spoils_a_transaction(app):
    with app.serve("--refuse=secret", name=SOCKET) as session:
        raw = Raw(session)
        raw.socket.sendall(b"GET a\r\nGET secret:a\r\nGET a\r\n")
        lines = [raw.file.readline() for _ in range(5)]
        assert lines[:2] == lines[3:] == [b"$1\r\n", b"1\r\n"] and lines[2].startswith(b"-NOPERM") and b"spec.permissions.grants[0]" in lines[2]
        assert raw.ask(b"MULTI\r\n") == b"+OK\r\n"
        assert raw.ask(b"SET spoiled x\r\n") == b"+QUEUED\r\n"
        assert raw.ask(b"GET secret:a\r\n").startswith(b"-")
        assert raw.ask(b"EXEC\r\n").startswith(b"-EXECABORT")
        assert raw.ask(b"EXISTS spoiled\r\n") == b":0\r\n"
        raw.close()


def test_the_end_of_a_session_is_explained(app):
    with app.serve(name=SOCKET) as session:
        idle, waiting = Raw(session), Raw(session)
        waiting.socket.sendall(b"BLPOP nothing 60\r\n")
        assert idle.ask(b"PING\r\n") == b"+PONG\r\n"
        wait_for(session.busy, "the command to run", 10)
        session.end()
        for one in (idle, waiting):
            assert b"-ERR agentkube: the Tool was changed" in one.file.readline()
            one.close()


def test_a_large_value_takes_no_memory(db, app):
    with app.serve(name=SOCKET) as session:
        cli(session, "PING")
        before = session.memory()
        value = b"v" * (100 << 20)
        raw = Raw(session)
        sender = threading.Thread(target=raw.socket.sendall, args=(b"*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$%d\r\n" % len(value) + value + b"\r\n",))
        sender.start()
        assert raw.file.readline() == b"+OK\r\n"
        sender.join()
        for _ in range(10):  # 1 GB
            assert raw.ask(b"GET large\r\n") == b"$%d\r\n" % len(value)
            left = len(value) + 2
            while left:
                left -= len(raw.file.read(min(left, 1 << 20)))
        raw.close()
        assert session.memory() - before < 8 * 1024
    db.cli("DEL", "large")


def test_garbage_from_a_client_ends_its_connection_only(app):
    with app.serve(name=SOCKET) as session:
        for data in (b"*1\r\n$-5\r\n", b"*1\r\nGET\r\n", b"*x\r\n", b"*2\r\n$3\r\nGETxx$1\r\na\r\n", b"*99999999999\r\n", b'GET "a\r\n', b"x" * 70000):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(session.folder / SOCKET))
                client.sendall(data)
                client.settimeout(20)
                assert b"Protocol error" in client.recv(1000), data
        assert cli(session, "GET", "a").stdout == "1\n"


def test_a_server_that_dies_under_a_client(server, tool):
    db = server(Redis, fresh=True, users={"app": PASSWORD})
    with tool("redis", config(db), credential=PASSWORD).serve(name=SOCKET) as session:
        raw = Raw(session)
        raw.socket.sendall(b"BLPOP nothing 60\r\n")
        wait_for(session.busy, "the command to run", 10)
        db.kill()
        assert raw.file.readline() == b""
        raw.close()
        wait_for(lambda: session.events("end"), "the connection to end", 20)


# ---- reading only

def test_a_reading_session_on_a_credential_that_may_write(db, app):
    before = checksum(db)
    with app.serve("--read-only", name=SOCKET) as session:
        assert cli(session, "GET", "a").stdout == "1\n"
        for line in CORPUS:
            cli(session, *line.split())
            raw = Raw(session)
            raw.ask(line.encode() + b"\r\n")
            raw.close()
    assert checksum(db) == before


def test_the_corpus_as_the_minted_reader(db, minted):
    before = checksum(db)
    with minted.serve("--read-only", name=SOCKET) as session:
        assert cli(session, "GET", "a").stdout == "1\n"
        for line in CORPUS:
            cli(session, *line.split())
    assert checksum(db) == before


# ---- provisioning

def test_provisioning_gives_exactly_the_rules(db, minted):
    assert minted.provision()["changed"] == []
    assert minted.call("command", args=["SET", "mine", "1"])["result"]["rows"] == [["OK"]]
    assert minted.call("command", args=["DEL", "mine"])["result"]["rows"] == [[1]]
    assert minted.call("command", args=["LPUSH", "l", "1"])["serverCode"] == "NOPERM"
    assert minted.call("command", "--read-only", args=["SET", "mine", "1"])["serverCode"] == "NOPERM"
    assert minted.probe()["authorised"]


def test_keys_are_kept_to(db, tool):
    one = tool("redis", config(db), admin=(db.admin, db.password), permissions=permissions("+@all", "~a*")).mint()
    try:
        assert one.provision()["done"]
        assert one.call("command", args=["GET", "a"])["result"]["rows"] == [["1"]]
        assert one.call("command", args=["GET", "secret:a"])["serverCode"] == "NOPERM"
    finally:
        one.deprovision()


def test_drift_is_corrected_and_users_are_removed(db, minted):
    db.cli("ACL", "SETUSER", READER, "+@all", "nopass")
    result = minted.provision()
    assert result["done"] and result["changed"] == [f"the password or the rules of user {READER} were set"], result
    assert minted.call("command", "--read-only", args=["SET", "mine", "1"])["serverCode"] == "NOPERM"
    assert minted.mint(reader="another", writer="another too").provision()["done"] and minted.probe()["authorised"]
    assert "r3ader" not in db.whole_log() and "another" not in db.cli("ACL", "LIST")
    assert len(minted.deprovision()["changed"]) == 2
    assert minted.deprovision()["changed"] == []
    assert WRITER not in db.cli("ACL", "LIST")


def test_a_server_that_starts_anew_still_knows_the_users(server, tool):
    db = server(Redis, fresh=True)
    one = tool("redis", {"hostname": db.host, "port": db.port}, admin=(db.admin, db.password), permissions=permissions()).mint()
    assert one.provision()["done"]
    db.kill()
    db.start()
    assert one.probe()["authorised"]


def test_a_rule_that_is_none_is_said(db, tool):
    one = tool("redis", config(db), admin=(db.admin, db.password), permissions=permissions("nopass")).mint()
    result = one.provision()
    assert not result["done"] and "nopass" in result["unenforceable"][0], result


def test_a_silent_server_does_not_hold_a_probe(tool):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        found = tool("redis", {"hostname": "127.0.0.1", "port": listener.getsockname()[1]}, credential="x").probe("--timeout=500")
    assert not found["reachable"] and time.monotonic() - started < 10, found
