# SPDX-License-Identifier: Apache-2.0
"""postgres: PostgreSQL itself, psql and psycopg2."""
import concurrent.futures
import hashlib
import os
import re
import socket
import struct
import subprocess
import threading
import time

import psycopg2
import psycopg2.extensions
import pytest
from conftest import READER, WRITER
from kubetest.databases import Authority, Postgres, find
from kubetest.wait import wait_for
from readonly_postgres import MORE

PASSWORD = "s3cret of the app"
SOCKET = ".s.PGSQL.5432"
SCHEMA = """
CREATE TABLE orders (id serial PRIMARY KEY, customer text NOT NULL, amount numeric(10,2), paid boolean DEFAULT false, made timestamptz);
CREATE TABLE customers (name text PRIMARY KEY, secret text);
CREATE VIEW paid_orders AS SELECT * FROM orders WHERE paid;
INSERT INTO orders (customer, amount, paid) VALUES ('ann', 12.50, true), ('bob', 3, false), ('eve', NULL, NULL);
INSERT INTO customers VALUES ('ann', 'a'), ('bob', 'b');
COMMENT ON TABLE orders IS 'what was bought';
CREATE SCHEMA other; CREATE TABLE other.things (id int); INSERT INTO other.things VALUES (1);
CREATE FUNCTION touch() RETURNS int LANGUAGE sql AS 'INSERT INTO customers VALUES (''x'', ''y''); SELECT 1';
CREATE FUNCTION touch_as_owner() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'INSERT INTO customers VALUES (''x'', ''y''); SELECT 1';
REVOKE EXECUTE ON FUNCTION touch_as_owner() FROM PUBLIC;
CREATE TYPE mood AS ENUM ('sad', 'glad');
"""
# Statements that have been taken for reading, or that end what keeps a session to it; none of them may change anything.
CORPUS = [
    "DELETE FROM orders",
    "/* SELECT */ DELETE FROM orders",
    "-- SELECT\nDELETE FROM orders",
    "SELECT 1; DELETE FROM orders",
    "COMMIT; DELETE FROM orders",
    "ROLLBACK; BEGIN; DELETE FROM orders; COMMIT",
    "END; SET default_transaction_read_only = off; DELETE FROM orders",
    "WITH gone AS (DELETE FROM orders RETURNING *) SELECT * FROM gone",
    "WITH new AS (INSERT INTO customers VALUES ('m', 'n') RETURNING *) SELECT count(*) FROM new",
    "SELECT * INTO stolen FROM orders",
    "CREATE TABLE stolen AS SELECT * FROM orders",
    "EXPLAIN ANALYZE DELETE FROM orders",
    "DO $$ BEGIN DELETE FROM orders; END $$",
    "DO $x$ BEGIN EXECUTE 'DEL' || 'ETE FROM orders'; END $x$",
    "COPY orders FROM PROGRAM 'echo 1'",
    "COPY orders TO PROGRAM 'cat > /tmp/x'",
    "COPY (DELETE FROM orders RETURNING *) TO STDOUT",
    "SELECT touch()",
    "SELECT touch_as_owner()",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT lo_create(4711)",
    "SELECT lo_import('/etc/passwd')",
    "SELECT nextval('orders_id_seq')",
    "SELECT setval('orders_id_seq', 900)",
    "SET default_transaction_read_only = off; DELETE FROM orders",
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE; DELETE FROM orders",
    "BEGIN READ WRITE; DELETE FROM orders; COMMIT",
    "SET TRANSACTION READ WRITE",
    "SELECT set_config('transaction_read_only', 'off', false)",
    "SELECT set_config('default_transaction_read_only', 'off', false); DELETE FROM orders",
    "SET ROLE postgres; DELETE FROM orders",
    "SET SESSION AUTHORIZATION postgres; DELETE FROM orders",
    "PREPARE x AS DELETE FROM orders; EXECUTE x",
    "ALTER ROLE CURRENT_USER SUPERUSER",
    "CREATE ROLE mine",
    "GRANT ALL ON orders TO PUBLIC",
    "ALTER TABLE orders DISABLE TRIGGER ALL",
    "TRUNCATE orders",
    "DROP TABLE orders CASCADE",
    "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE",
    "UPDATE pg_catalog.pg_authid SET rolsuper = true",
    "REFRESH MATERIALIZED VIEW nothing",
    "CALL nothing()",
    "MERGE INTO orders USING customers ON false WHEN NOT MATCHED THEN INSERT (customer) VALUES ('z')",
    "INSERT INTO orders (customer) VALUES ('" + "x" * 200_000 + "')",
    "SELECT '" + "x" * 200_000 + "'; DELETE FROM orders",
    "SELECT 1 /* ; */ ; DELETE /**/ FROM orders -- SELECT",
    "sElEcT\x0b1;dElEtE fRoM orders",
]


STATE = """
SELECT rolname, rolsuper, rolcanlogin, rolpassword FROM pg_authid ORDER BY 1;
SELECT last_value, is_called FROM orders_id_seq;
SELECT count(*) FROM pg_largeobject_metadata;
SELECT relname, relacl FROM pg_class WHERE relnamespace = 'public'::regnamespace ORDER BY 1;
SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp' UNION ALL SELECT proname FROM pg_proc WHERE oid > 16383
  UNION ALL SELECT extname FROM pg_extension UNION ALL SELECT description FROM pg_description WHERE objoid > 16383
  UNION ALL SELECT attrelid || attname FROM pg_attribute WHERE attrelid = 'orders'::regclass UNION ALL SELECT defaclacl::text FROM pg_default_acl
  ORDER BY 1;
SELECT setrole, setconfig FROM pg_db_role_setting UNION ALL SELECT 0, ARRAY[name || setting] FROM pg_file_settings
  UNION ALL SELECT 1, ARRAY[slot_name::text] FROM pg_replication_slots UNION ALL SELECT 2, ARRAY[gid] FROM pg_prepared_xacts ORDER BY 1, 2;
"""


def checksum(db):
    """All tables, sequences, roles, rights, settings, functions and large objects."""
    tables = db.sql("SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'other') ORDER BY 1", "app")
    return hashlib.sha256((tables + db.sql(STATE + "".join(f"SELECT * FROM {name} ORDER BY 1;\n" for name in tables.splitlines()), "app")).encode()).hexdigest()


@pytest.fixture(name="db", scope="module")
def the_database(server):
    one = server(Postgres, users={"app": PASSWORD})
    one.sql(SCHEMA, "app")
    one.sql("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO app;"
            "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app", "app")
    return one


def config(db, **more):
    return {"hostname": db.host, "port": db.port, "username": "app", "databaseName": "app", **more}


@pytest.fixture(name="app")
def the_tool(db, tool):
    """With the rights of a credential that may write."""
    return tool("postgres", config(db), credential=PASSWORD)


@pytest.fixture(name="minted")
def a_minted_tool(db, tool):
    """With identities of its own: the reader may read public, the writer also change orders."""
    one = tool("postgres", config(db), admin=(db.admin, db.password), permissions={"grants": [
        {"privileges": ["SELECT"]}, {"privileges": ["SELECT", "INSERT", "UPDATE", "DELETE"], "objects": ["orders"]}]}).mint()
    result = one.provision()
    assert result.get("done"), result
    yield one
    one.deprovision()


def psql(session, *arguments, text=None, database="app", user="whoever", **env):
    return subprocess.run([find("psql"), "-X", "-At", "-v", "ON_ERROR_STOP=1", "-h", str(session.folder), "-U", user, "-d", database,
                           *arguments], input=text, capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **env})


def connect(session, **options):
    return psycopg2.connect(host=str(session.folder), user="whoever", dbname="app", **options)


# ---- probe

def test_a_probe_says_what_the_server_is(app):
    found = app.probe()
    assert found["reachable"] and found["authenticated"] and found["authorised"], found
    assert re.fullmatch(r"PostgreSQL 1[0-9]\.[0-9]+", found["server"]), found


def test_a_probe_tells_apart_what_failed(db, tool):
    wrong = tool("postgres", config(db), credential="wrong").probe()
    assert (wrong["reachable"], wrong["authenticated"]) == (True, False), wrong
    assert "password authentication failed" in wrong["message"]
    nowhere = tool("postgres", config(db, databaseName="nowhere"), credential=PASSWORD).probe()
    assert (nowhere["reachable"], nowhere["authenticated"], nowhere["authorised"]) == (True, True, False), nowhere
    assert 'database "nowhere" does not exist' in nowhere["message"]
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = tool("postgres", {**config(db), "port": closed.getsockname()[1]}, credential=PASSWORD).probe()
    assert not away["reachable"] and "Connection refused" in away["message"], away


def test_a_server_that_is_no_postgres_is_named_so(tool):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        thread = threading.Thread(target=answer)
        thread.start()
        found = tool("postgres", {"hostname": "127.0.0.1", "port": listener.getsockname()[1], "username": "app", "databaseName": "app"},
                     credential="x").probe()
        thread.join()
    assert "does not speak PostgreSQL's protocol" in found["message"], found


def test_a_silent_server_does_not_hold_a_probe(tool):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        found = tool("postgres", {"hostname": "127.0.0.1", "port": listener.getsockname()[1], "username": "app", "databaseName": "app"},
                     credential="x").probe("--timeout=500")
    assert not found["authenticated"] and time.monotonic() - started < 10, found


@pytest.mark.parametrize("auth", ["scram-sha-256", "md5", "password", "trust"])
def test_every_way_to_log_in(server, tool, auth):
    db = server(Postgres, users={"app": PASSWORD}, auth=auth, tls=auth == "password")
    found = tool("postgres", config(db), credential=PASSWORD).probe()
    assert found["authorised"], found
    wrong = tool("postgres", config(db), credential="wrong").probe()
    assert wrong["authorised"] == (auth == "trust"), wrong


def test_a_password_goes_out_as_it_is_only_where_that_was_chosen(server, tool):
    db = server(Postgres, users={"app": PASSWORD}, auth="password")
    refused = tool("postgres", config(db, sslMode="prefer"), credential=PASSWORD).probe()
    assert not refused["authenticated"] and "without TLS" in refused["message"], refused
    assert tool("postgres", config(db, sslMode="disable"), credential=PASSWORD).probe()["authorised"]


# ---- TLS

@pytest.mark.parametrize("mode, ca, works", [
    ("disable", False, True), ("allow", False, True), ("prefer", False, True), ("require", False, True), ("require", True, True),
    ("verify-ca", True, True), ("verify-full", True, True), ("verify-ca", False, False), ("verify-full", False, False)])
def test_tls_by_mode(server, tool, mode, ca, works):
    db = server(Postgres, users={"app": PASSWORD}, tls=True)
    one = tool("postgres", config(db, sslMode=mode), credential=PASSWORD, ca=db.ca if ca else None)
    found = one.probe()
    assert found["authorised"] == works, found
    if not works:
        assert "certificate" in found["message"]
        return
    used = one.call("query", sql="SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")["result"]["rows"][0][0]
    assert used == (mode not in ("disable", "allow"))


def test_tls_refuses_another_name_and_another_authority(server, tool, tmp_path):
    db = server(Postgres, users={"app": PASSWORD}, tls=True)
    stranger = Authority(str(tmp_path), "another authority")
    for mode in ("verify-ca", "verify-full", "require"):
        found = tool("postgres", config(db, sslMode=mode), credential=PASSWORD, ca=stranger.pem).probe()
        assert not found["authenticated"] and "certificate" in found["message"], found
    wrong = tool("postgres", config(db, sslMode="verify-full"), credential=PASSWORD, ca=db.ca, tls={"serverName": "db.example.org"}).probe()
    assert not wrong["authenticated"] and "certificate" in wrong["message"], wrong
    right = tool("postgres", config(db, sslMode="verify-full"), credential=PASSWORD, ca=db.ca, tls={"serverName": "localhost"}).probe()
    assert right["authorised"], right
    by_name = tool("postgres", {**config(db, sslMode="verify-full"), "hostname": "localhost"}, credential=PASSWORD, ca=db.ca).probe()
    assert by_name["authorised"], by_name


def test_no_tls_where_it_is_required(db, tool):
    found = tool("postgres", config(db, sslMode="require"), credential=PASSWORD).probe()
    assert not found["authenticated"] and "offers no TLS" in found["message"], found


def test_allow_goes_on_with_tls_where_the_server_insists(server, tool):
    db = server(Postgres, users={"app": PASSWORD}, tls=True, hba=("hostnossl all app all reject", "hostssl all app all scram-sha-256"))
    assert tool("postgres", config(db, sslMode="allow"), credential=PASSWORD).probe()["authorised"]


def test_data_before_tls_is_taken_for_an_attack(tool):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(8)
                connection.sendall(b"SE\0\0\0\x08Cinjected")
                connection.recv(100)
        thread = threading.Thread(target=answer)
        thread.start()
        found = tool("postgres", {"hostname": "127.0.0.1", "port": listener.getsockname()[1], "username": "app", "databaseName": "app",
                                  "sslMode": "require"}, credential="x").probe()
        thread.join()
    assert "before TLS" in found["message"], found


# ---- operations

def test_a_query_gives_rows_with_their_types(app):
    found = app.call("query", sql="SELECT id, customer, amount, paid, made FROM orders ORDER BY id")["result"]
    assert [(one["name"], one["type"]) for one in found["columns"]] == [
        ("id", "integer"), ("customer", "text"), ("amount", "numeric"), ("paid", "boolean"), ("made", "timestamp with time zone")]
    assert found["rows"] == [[1, "ann", "12.50", True, None], [2, "bob", "3.00", False, None], [3, "eve", None, None, None]]
    assert found["rowCount"] == 3 and not found["truncated"]


@pytest.mark.parametrize("expression, value, kind", [
    ("9007199254740992::bigint", 9007199254740992, "bigint"), ("9007199254740993::bigint", "9007199254740993", "bigint"),
    ("1.5::float8", 1.5, "double precision"), ("'NaN'::float8", "NaN", "double precision"), ("'\\xdeadbeef'::bytea", "\\xdeadbeef", "bytea"),
    ("'{\"a\": [1]}'::json", '{"a": [1]}', "json"), ("ARRAY[1,2]", "{1,2}", "integer[]"), ("NULL::int", None, "integer"),
    ("'glad'::mood", "glad", "mood"), ("'äöü€𝄞'", "äöü€𝄞", "text"), ("''", "", "text"), ("true", True, "boolean"),
    ("DATE '2026-01-02'", "2026-01-02", "date")])
def test_values(app, expression, value, kind):
    found = app.call("query", sql=f"SELECT {expression} AS v")["result"]
    assert (found["rows"], found["columns"]) == ([[value]], [{"name": "v", "type": kind}])


def test_parameters(app):
    found = app.call("query", sql="SELECT $1::int + 1, $2::text, $3::bool, $4::text, $5::float8", params=[41, "it's; -- x", True, None, 0.5])
    assert found["result"]["rows"] == [[42, "it's; -- x", True, None, 0.5]]


def test_rows_and_bytes_are_limited(app):
    found = app.call("query", "--max-rows=10", sql="SELECT generate_series(1, 100)")["result"]
    assert len(found["rows"]) == 10 and found["truncated"]
    exact = app.call("query", "--max-rows=10", sql="SELECT generate_series(1, 10)")["result"]
    assert len(exact["rows"]) == 10 and not exact["truncated"]
    wished = app.call("query", sql="SELECT generate_series(1, 10)", maxRows=3)["result"]
    assert len(wished["rows"]) == 3 and wished["truncated"]
    large = app.call("query", "--max-bytes=10000", sql="SELECT repeat('x', 4000) FROM generate_series(1, 100)")["result"]
    assert len(large["rows"]) == 2 and large["truncated"]
    one = app.call("query", sql="SELECT repeat('x', 100000000)")["result"]
    assert one["rows"] == [] and one["truncated"]


def test_the_rest_of_a_long_query_is_not_waited_for(db, app):
    started = time.monotonic()
    found = app.call("query", "--max-rows=5", sql="SELECT i, pg_sleep(CASE WHEN i > 6 THEN 30 ELSE 0 END) FROM generate_series(1, 50) i")
    assert len(found["result"]["rows"]) == 5 and time.monotonic() - started < 15
    wait_for(lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(CASE%' AND pid <> pg_backend_pid()") == "0",
             "the server to stop", 10)


def test_execute_changes_and_counts(db, app):
    found = app.call("execute", sql="INSERT INTO customers SELECT 'n' || i, 's' FROM generate_series(1, 3) i RETURNING name")["result"]
    assert (found["rowCount"], found["rows"], found["command"]) == (3, [["n1"], ["n2"], ["n3"]], "INSERT 0 3")
    few = app.call("execute", "--max-rows=1", sql="DELETE FROM customers WHERE name LIKE 'n%' RETURNING name")["result"]
    assert (few["rowCount"], len(few["rows"]), few["truncated"]) == (3, 1, True)
    assert db.sql("SELECT count(*) FROM customers", "app") == "2"


def test_a_reader_cannot_execute(db, app):
    before = checksum(db)
    found = app.call("execute", "--read-only", sql="DELETE FROM orders")
    assert found["serverCode"] == "25006" and "read-only transaction" in found["error"], found
    assert checksum(db) == before


def test_errors_are_in_the_servers_words(app):
    found = app.call("query", sql="SELECT nothing FROM orders")
    assert found["serverCode"] == "42703" and 'column "nothing" does not exist' in found["error"], found
    found = app.call("query", sql="SELECT 1; SELECT 2")
    assert found["serverCode"] == "42601" and "multiple commands" in found["error"], found
    found = app.call("query", sql="SELECT $1::int", params=["x"])
    assert found["serverCode"] == "22P02", found
    found = app.call("query", sql="SELECT a\0b")
    assert "NUL" in found["error"], found


def test_a_statement_has_its_time(app):
    started = time.monotonic()
    found = app.call("query", "--timeout=1000", sql="SELECT pg_sleep(60)")
    assert found["serverCode"] == "57014" and time.monotonic() - started < 15, found


def test_copy_is_no_operation(db, app):
    before = checksum(db)
    for sql in ("COPY customers FROM STDIN", "COPY customers TO STDOUT"):
        for operation in ("query", "execute"):
            assert "error" in app.call(operation, sql=sql)
    assert checksum(db) == before


def test_tables_are_listed_and_described(app):
    found = app.call("list_tables")["result"]["rows"]
    assert [(one[0], one[1], one[2]) for one in found] == [("public", "customers", "table"), ("public", "orders", "table"),
                                                           ("public", "paid_orders", "view")]
    assert found[1][4] == "what was bought"
    assert app.call("list_tables", schema="pg_catalog")["result"]["rowCount"] > 50
    rows = app.call("describe_table", table="orders")["result"]["rows"]
    assert [(one[0], one[1], one[2], one[4]) for one in rows] == [
        ("id", "integer", False, True), ("customer", "text", False, False), ("amount", "numeric(10,2)", True, False),
        ("paid", "boolean", True, False), ("made", "timestamp with time zone", True, False)]
    assert app.call("describe_table", table="orders'; DROP TABLE orders; --")["result"]["rows"] == []


@pytest.mark.parametrize("sql", CORPUS, ids=range(len(CORPUS)))
def test_the_corpus_changes_nothing_by_a_query_though_the_credential_could(db, app, sql):
    before = checksum(db)
    app.call("query", "--read-only", sql=sql)
    assert checksum(db) == before


def test_a_server_that_dies_in_the_middle_is_an_error(server, tool):
    db = server(Postgres, fresh=True, users={"app": PASSWORD})
    one = tool("postgres", config(db), credential=PASSWORD)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = pool.submit(one.call, "query", sql="SELECT i, pg_sleep(0.01) FROM generate_series(1, 100000) i")
        wait_for(lambda: db.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series(1, 100000)%' AND pid <> pg_backend_pid()")
                 == "1", "the query to run", 20)
        db.kill()
        assert "closed the connection" in found.result(30)["error"]


# ---- clients of one's own

def test_psql_needs_no_password_and_its_user_does_not_matter(app):
    with app.serve(name=SOCKET) as session:
        done = psql(session, "-c", "SELECT current_user, current_database()", user="anybody")
        assert done.stdout == "app|app\n", done
        assert PASSWORD.encode() not in session.processes_text()
        statement = session.statements()[0]
        assert (statement["text"], statement["class"], statement["rows"], statement["code"]) == (
            "SELECT current_user, current_database()", "read", 1, 0)


def test_another_database_and_replication_are_refused(app):
    with app.serve(name=SOCKET) as session:
        done = psql(session, "-c", "SELECT 1", database="postgres")
        assert done.returncode and 'the Tool is for "app"' in done.stderr, done
        done = psql(session, "-c", "SELECT 1", database="dbname=app replication=database")
        assert done.returncode and "replication" in done.stderr, done
        assert psql(session, "-c", "SELECT 1", database="").stdout == "1\n"


def test_the_servers_refusal_reaches_the_client(db, tool):
    with tool("postgres", config(db), credential="wrong").serve(name=SOCKET) as session:
        done = psql(session, "-c", "SELECT 1")
        assert done.returncode and "password authentication failed" in done.stderr and "wrong" not in done.stderr, done


def test_settings_of_the_client_reach_the_server(app):
    with app.serve(name=SOCKET) as session:
        done = psql(session, "-c", "SHOW work_mem", "-c", "SHOW application_name", PGOPTIONS="-c work_mem=7MB", PGAPPNAME="mine")
        assert done.stdout == "7MB\nmine\n", done


def test_copy_in_and_out(db, app):
    with app.serve(name=SOCKET) as session:
        rows = "".join(f"c{i}\t{i}\n" for i in range(100_000))
        done = psql(session, "-c", "COPY customers FROM STDIN", text=rows)
        assert done.stdout == "COPY 100000\n", done
        done = psql(session, "-c", "COPY (SELECT * FROM customers WHERE name LIKE 'c%' ORDER BY secret::int) TO STDOUT")
        assert done.stdout == rows
        broken = psql(session, "-c", "COPY customers FROM STDIN", text="only one column\n")
        assert broken.returncode and "missing data" in broken.stderr
        assert psql(session, "-c", "DELETE FROM customers WHERE name LIKE 'c%'").stdout == "DELETE 100000\n"
        wait_for(lambda: len(session.statements()) == 4 and not session.busy(), "the audit", 10)
        assert [one["rows"] for one in session.statements()] == [100000, 100000, -1, 100000] or \
            [one["rows"] for one in session.statements()] == [100000, 100000, 0, 100000]
    assert db.sql("SELECT count(*) FROM customers", "app") == "2"


def test_psycopg_with_transactions_errors_and_cursors(app):
    with app.serve(name=SOCKET) as session:
        one = connect(session)
        with one.cursor() as cursor:
            cursor.execute("SELECT %s::int, %s", (7, "x"))
            assert cursor.fetchall() == [(7, "x")]
            with pytest.raises(psycopg2.errors.DivisionByZero):
                cursor.execute("SELECT 1/0")
            one.rollback()
            cursor.execute("INSERT INTO customers VALUES ('tx', 'y')")
        one.rollback()
        with one.cursor("named") as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT generate_series(1, 5000)")
            assert sum(row[0] for row in cursor) == 12502500
        one.close()
        failed = [one for one in session.statements() if one["serverCode"]]
        assert [one["serverCode"] for one in failed] == ["22012"]


class Raw:
    """The protocol by hand, for what no client library here does: pipelines and the extended protocol."""

    def __init__(self, session, startup=(("user", "x"), ("database", "app"))):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(session.folder / SOCKET))
        self.socket.settimeout(20)
        body = struct.pack("!I", 196608) + b"".join(a.encode() + b"\0" + b.encode() + b"\0" for a, b in startup) + b"\0"
        self.socket.sendall(struct.pack("!I", len(body) + 4) + body)
        self.file = self.socket.makefile("rb")
        self.greeting = self.until("Z")

    def read(self):
        head = self.file.read(5)
        if len(head) < 5:
            return None, b""
        return head[:1].decode(), self.file.read(struct.unpack("!I", head[1:])[0] - 4)

    def until(self, last, times=1):
        found = []
        while times:
            message = self.read()
            found.append(message)
            if message[0] is None:
                break
            times -= message[0] == last
        return found

    @staticmethod
    def message(kind, body=b""):
        return kind.encode() + struct.pack("!I", len(body) + 4) + body

    @classmethod
    def extended(cls, sql, name=b"", sync=True):
        return (cls.message("P", name + b"\0" + sql + b"\0\0\0") + cls.message("B", b"\0" + name + b"\0" + b"\0" * 6)
                + cls.message("D", b"P\0") + cls.message("E", b"\0" + b"\0" * 4) + (cls.message("S") if sync else b""))

    def send(self, data):
        self.socket.sendall(data)

    def close(self):
        self.file.close()
        self.socket.close()


def kinds(messages):
    return "".join(kind or "!" for kind, _ in messages)


def test_a_pipeline_of_thousands_is_answered_in_order(app):
    with app.serve(name=SOCKET) as session:
        raw = Raw(session)
        count = 3000
        sender = threading.Thread(target=raw.send, args=(b"".join(Raw.extended(f"SELECT {i}".encode(), sync=False) for i in range(count))
                                                         + Raw.message("S"),))
        sender.start()
        answers = raw.until("Z")
        sender.join()
        assert [int(body[6:]) for kind, body in answers if kind == "D"] == list(range(count))
        raw.close()
        wait_for(lambda: len(session.statements()) == count and not session.busy(), "the audit", 20)


def test_an_error_in_a_pipeline_skips_to_the_next_sync(app):
    with app.serve(name=SOCKET) as session:
        raw = Raw(session)
        raw.send(Raw.extended(b"SELECT 1", sync=False) + Raw.extended(b"SELECT 1/(SELECT count(*) - 3 FROM orders)", sync=False) + Raw.extended(b"SELECT 3")
                 + Raw.extended(b"SELECT 4"))
        answers = kinds(raw.until("Z", 2))
        assert answers.replace("N", "") in ("12TDC12TEZ12TDCZ", "12TDC12EZ12TDCZ"), answers
        raw.send(Raw.message("Q", b"SELECT 5\0"))
        assert kinds(raw.until("Z")) == "TDCZ"
        raw.close()
        wait_for(lambda: not session.busy() and len(session.statements()) >= 4, "the audit", 10)


def test_a_refused_statement_is_an_error_in_its_place(app):
    with app.serve("--refuse=customers", name=SOCKET) as session:
        raw = Raw(session)
        raw.send(Raw.message("Q", b"SELECT * FROM customers\0") + Raw.message("Q", b"SELECT 2\0"))
        first, second = raw.until("Z"), raw.until("Z")
        assert kinds(first) == "EZ" and b"C42501\0" in first[0][1] and b"spec.permissions.grants[0]" in first[0][1]
        assert kinds(second) == "TDCZ"
        raw.send(Raw.extended(b"SELECT 1", sync=False) + Raw.extended(b"SELECT * FROM customers", sync=False) + Raw.extended(b"SELECT 3")
                 + Raw.extended(b"SELECT 4"))
        answers = raw.until("Z", 2)
        assert kinds(answers) == "12TDC12TEZ12TDCZ", kinds(answers)
        assert b"refused" in [body for kind, body in answers if kind == "E"][0]
        raw.send(Raw.message("Q", b"BEGIN\0"))
        assert raw.until("Z")[-1][1] == b"T"
        raw.send(Raw.message("Q", b"DELETE FROM customers\0"))
        assert raw.until("Z")[-1][1] == b"E", "the transaction has failed, as with any other error"
        raw.send(Raw.message("F", struct.pack("!IHHH", 1, 0, 0, 0)))
        refused = raw.until("Z")
        assert b"functions cannot be called" in refused[0][1]
        raw.close()


def test_copy_in_the_extended_protocol(db, app):
    with app.serve(name=SOCKET) as session:
        raw = Raw(session)
        raw.send(Raw.extended(b"COPY customers FROM STDIN"))
        assert kinds(raw.until("G")).endswith("G")
        raw.send(Raw.message("d", b"raw\tx\n") + Raw.message("c") + Raw.message("S"))
        assert kinds(raw.until("Z")) == "CZ"
        raw.send(Raw.message("Q", b"DELETE FROM customers WHERE name = 'raw'\0"))
        assert kinds(raw.until("Z")) == "CZ"
        raw.close()
        wait_for(lambda: not session.busy() and len(session.statements()) == 2, "the audit", 10)
        assert [one["text"][:6] for one in session.statements()] == ["COPY c", "DELETE"]
    assert db.sql("SELECT count(*) FROM customers WHERE name = 'raw'", "app") == "0"


def test_a_client_may_cancel_from_another_connection(app):
    with app.serve(name=SOCKET) as session:
        one = connect(session)
        started = time.monotonic()
        timer = threading.Timer(1, one.cancel)
        timer.start()
        with one.cursor() as cursor, pytest.raises(psycopg2.errors.QueryCanceled):
            cursor.execute("SELECT pg_sleep(60)")
        timer.join()
        one.close()
        assert time.monotonic() - started < 20
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.connect(str(session.folder / SOCKET))
            stranger.sendall(struct.pack("!IIII", 16, 80877102, 1, 2))
            assert stranger.recv(1) == b""


def test_what_a_client_leaves_behind_is_cancelled(db, app):
    with app.serve(name=SOCKET) as session:
        raw = Raw(session)
        raw.send(Raw.message("Q", b"SELECT pg_sleep(61)\0"))
        running = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(61)' AND state = 'active'"
        wait_for(lambda: db.sql(running) == "1", "the statement to run", 20)
        assert session.busy()
        raw.close()
        wait_for(lambda: db.sql(running) == "0", "the statement to end", 20)


def test_the_end_of_a_session_is_explained(app):
    with app.serve(name=SOCKET) as session:
        idle, busy, reading = Raw(session), Raw(session), Raw(session)
        busy.send(Raw.message("Q", b"SELECT pg_sleep(60)\0"))
        reading.send(Raw.message("Q", b"SELECT repeat('x', 3000) FROM generate_series(1, 10000000)\0"))
        reading.read()
        wait_for(session.busy, "the statements to run", 20)
        session.end()
        for one in (idle, busy):
            last = [body for kind, body in one.until("nothing") if kind == "E"][-1]
            assert b"FATAL" in last and b"57P01" in last and b"the Tool was changed" in last
        messages = kinds(reading.until("nothing"))
        assert set(messages) <= set("TDE!"), "whole messages only"
        for one in (idle, busy, reading):
            one.close()


def test_a_session_that_ends_while_a_client_logs_in_is_explained(app):
    with app.serve(name=SOCKET) as session, socket.socket(socket.AF_UNIX) as client:
        client.connect(str(session.folder / SOCKET))
        client.sendall(struct.pack("!II", 8, 80877103))
        assert client.recv(1) == b"N"
        session.end()
        assert b"the Tool was changed" in client.recv(1000)


def test_a_server_that_dies_under_a_client(server, tool):
    db = server(Postgres, fresh=True, users={"app": PASSWORD})
    with tool("postgres", config(db), credential=PASSWORD).serve(name=SOCKET) as session:
        raw = Raw(session)
        raw.send(Raw.message("Q", b"SELECT i, pg_sleep(0.001) FROM generate_series(1, 1000000) i\0"))
        raw.read()
        db.kill()
        assert raw.until("nothing")[-1][0] is None
        raw.close()
        wait_for(lambda: session.events("end"), "the connection to end", 20)
        assert session.statements()[0]["code"] != 0


def test_a_large_result_takes_no_memory(app):
    with app.serve(name=SOCKET) as session:
        psql(session, "-c", "SELECT 1")
        before = session.memory()
        query = "SELECT repeat('x', 100000) FROM generate_series(1, 10000)"  # 1 GB
        with subprocess.Popen([find("psql"), "-X", "-At", "-h", str(session.folder), "-U", "x", "-d", "app", "-c", f"COPY ({query}) TO STDOUT"],
                              stdout=subprocess.PIPE, env={"PATH": os.environ["PATH"]}) as client:
            size = 0
            while chunk := client.stdout.read(1 << 20):
                size += len(chunk)
        assert size == 10000 * 100001
        assert session.memory() - before < 8 * 1024
        wait_for(lambda: len(session.statements()) == 2, "the audit", 10)
        assert session.statements()[1]["bytes"] > 10**9


def test_one_huge_value_takes_no_memory_either(app):
    with app.serve(name=SOCKET) as session:
        psql(session, "-c", "SELECT 1")
        before = session.memory()
        done = psql(session, "-c", "SELECT length(repeat('x', 3)), repeat('y', 200000000)")
        assert len(done.stdout) == 200_000_003
        insert = "SELECT length('" + "z" * 50_000_000 + "')"
        assert psql(session, text=insert).stdout == "50000000\n"
        assert session.memory() - before < 8 * 1024
        assert session.statements()[-1]["class"] == "unknown"


def test_garbage_from_a_client_ends_its_connection_only(app):
    with app.serve(name=SOCKET) as session:
        for data in (b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n", struct.pack("!I", 8), struct.pack("!II", 9000, 196608) + b"x" * 9000):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(session.folder / SOCKET))
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                client.settimeout(20)
                while client.recv(1000):
                    pass
        raw = Raw(session)
        raw.send(b"\xff\0\0\0\x04")
        assert b"08P01" in raw.until("E")[0][1]
        raw.close()
        assert psql(session, "-c", "SELECT 1").stdout == "1\n"


# ---- reading only

@pytest.mark.parametrize("change, back", [
    ("UPDATE customers SET secret = 'c' WHERE name = 'ann'", "UPDATE customers SET secret = 'a' WHERE name = 'ann'"),
    ("CREATE TABLE mine (a int)", "DROP TABLE mine"), ("CREATE ROLE mine", "DROP ROLE mine"), ("GRANT SELECT ON orders TO PUBLIC", "REVOKE SELECT ON orders FROM PUBLIC"),
    ("SELECT lo_create(4711)", "SELECT lo_unlink(4711)"), ("ALTER DATABASE app SET work_mem = '1MB'", "ALTER DATABASE app RESET work_mem"),
    ("CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION mine()"), ("SELECT setval('orders_id_seq', 900)", "SELECT setval('orders_id_seq', 3)")])
def test_what_these_tests_compare_does_change(db, change, back):
    before = checksum(db)
    db.sql(change, "app")
    assert checksum(db) != before
    db.sql(back, "app")
    assert checksum(db) == before


def test_a_reading_session_on_a_credential_that_may_write(db, app):
    """Nothing was minted: what passes is decided by the text, in READ ONLY transactions."""
    before = checksum(db)
    with app.serve("--read-only", name=SOCKET) as session:
        assert psql(session, "-c", "SELECT count(*) FROM orders", "-c", "SHOW transaction_read_only").stdout == "3\non\n"
        assert psql(session, text="BEGIN;\nSET search_path TO public;\nSELECT 1;\nCOMMIT;\n").stdout == "BEGIN\nSET\n1\nCOMMIT\n"
        for sql in CORPUS:
            psql(session, text=sql + ";\n")
            raw = Raw(session)
            raw.send(Raw.extended(sql.encode()))
            raw.until("Z")
            raw.close()
        done = psql(session, "-c", "DELETE FROM orders", PGOPTIONS="-c default_transaction_read_only=off")
        assert done.returncode and "only reads" in done.stderr, done
    assert checksum(db) == before


@pytest.mark.parametrize("command", ["\\d", "\\d orders", "\\dt+", "\\l", "\\du", "\\df", "\\dn", "\\dp", "\\dT", "\\sf touch", "EXPLAIN SELECT * FROM orders",
                                     "TABLE orders", "COPY orders TO STDOUT", "SET statement_timeout = 5000", "SHOW ALL"])
def test_a_reader_can_look_around(minted, command):
    with minted.serve("--read-only", name=SOCKET) as session:
        done = psql(session, "-c", command)
        assert done.returncode == 0 and done.stdout, done


def test_the_corpus_as_the_minted_reader(db, minted):
    before = checksum(db)
    with minted.serve("--read-only", name=SOCKET) as session:
        assert psql(session, "-c", "SELECT current_user, count(*) FROM orders").stdout == f"{READER}|3\n"
        one = connect(session)
        with one.cursor("named") as cursor:
            cursor.execute("SELECT customer FROM orders ORDER BY id")
            assert cursor.fetchall() == [("ann",), ("bob",), ("eve",)]
        one.close()
        for sql in CORPUS:
            psql(session, text=sql + ";\n")
            for text in (sql, "SET default_transaction_read_only = off; " + sql):
                raw = Raw(session)
                raw.send(Raw.message("Q", text.encode() + b"\0"))
                raw.until("Z")
                raw.send(Raw.extended(text.encode()))
                raw.until("Z")
                raw.close()
        bad = Raw(session)
        bad.send(Raw.message("Q", b"SELECT '\xff\xfe'; DELETE FROM orders\0"))
        bad.until("Z")
        bad.close()
    assert checksum(db) == before
    for sql in CORPUS:
        minted.call("query", sql=sql)
        minted.call("execute", "--read-only", sql=sql)
    assert checksum(db) == before


def by_every_protocol(session, sql):
    psql(session, text=sql + ";\n")
    for message in (Raw.message("Q", sql.encode() + b"\0"), Raw.extended(sql.encode()), Raw.extended(sql.encode(), b"named")):
        raw = Raw(session)
        raw.send(message)
        raw.until("Z")
        raw.close()


@pytest.mark.parametrize("what", MORE)
@pytest.mark.parametrize("who", ["app", "minted"])
def test_more_that_changes_nothing_in_a_reading_session(db, request, who, what):
    """With the rights of a credential that may write, where all is decided by the text, and as the minted reader."""
    tool = request.getfixturevalue(who)
    before = checksum(db)
    with tool.serve("--read-only", name=SOCKET) as session:
        for sql in MORE[what]:
            by_every_protocol(session, sql)
        bad = Raw(session)
        bad.send(Raw.extended(b"SELECT '\xff\xfe'; DELETE FROM orders") + Raw.extended(b"DELETE FROM orders -- \xc0\x80"))
        bad.until("Z", 2)
        bad.close()
        assert psql(session, "-c", "SELECT count(*) FROM orders").stdout == "3\n", "and reading goes on"
    assert checksum(db) == before, what
    assert not os.path.exists("/tmp/agentkube-test-copy") and not os.path.exists("/tmp/x")


@pytest.mark.parametrize("what", MORE)
@pytest.mark.parametrize("who", ["app", "minted"])
def test_more_that_changes_nothing_by_an_operation(db, request, who, what):
    tool = request.getfixturevalue(who)
    before = checksum(db)
    for sql in MORE[what]:
        tool.call("query", sql=sql)
        tool.call("execute", "--read-only", sql=sql)
    assert checksum(db) == before, what
    assert not os.path.exists("/tmp/agentkube-test-copy")


@pytest.mark.parametrize("options", ["-c standard_conforming_strings=off", "-c default_transaction_read_only=off", "-c transaction_read_only=off",
                                     "-c role=postgres", "-c session_authorization=postgres", "-c backslash_quote=on"])
def test_settings_of_a_clients_start_open_nothing(db, app, options):
    before = checksum(db)
    with app.serve("--read-only", name=SOCKET) as session:
        for sql in ("SELECT '\\'; DELETE FROM orders; --'", "DELETE FROM orders", "SELECT '\\''; DELETE FROM orders; --'"):
            psql(session, text=sql + ";\n", PGOPTIONS=options)
            psql(session, "-c", sql, PGOPTIONS=options)
    assert checksum(db) == before


# ---- provisioning

def rights(db, role, database="app"):
    return db.sql(f"SELECT table_schema || '.' || table_name, privilege_type FROM information_schema.table_privileges WHERE grantee = '{role}' "
                  "ORDER BY 1, 2", database).splitlines()


def test_provisioning_gives_exactly_the_grants(db, minted):
    assert rights(db, READER) == ["public.customers|SELECT", "public.orders|SELECT", "public.paid_orders|SELECT"]
    assert rights(db, WRITER) == ["public.customers|SELECT", "public.orders|DELETE", "public.orders|INSERT", "public.orders|SELECT",
                                  "public.orders|UPDATE", "public.paid_orders|SELECT"]
    again = minted.provision()
    assert again["done"] and again["changed"] == [], again
    done = minted.call("execute", sql="INSERT INTO orders (customer) VALUES ('new')")
    assert done["result"]["rowCount"] == 1, done
    assert minted.call("execute", sql="DELETE FROM orders WHERE customer = 'new'")["rows"] == 1
    assert minted.call("execute", sql="INSERT INTO customers VALUES ('n', 'n')")["serverCode"] == "42501"
    assert minted.call("query", sql="SELECT * FROM other.things")["serverCode"] == "42501"
    db.sql("SELECT setval('orders_id_seq', 3)", "app")


def test_passwords_are_not_in_the_servers_log(server, tool):
    db = server(Postgres, fresh=True, settings={"log_statement": "all", "log_min_duration_statement": 0})
    one = tool("postgres", config(db), admin=(db.admin, db.password), permissions={}).mint()
    assert one.provision()["done"]
    assert one.mint(reader="an0ther-secret", writer="y3t-another").provision()["changed"] == [
        f"set the password of role {READER}", f"set the password of role {WRITER}"]
    assert one.probe()["authorised"]
    log = db.whole_log()
    assert "CREATE ROLE" in log
    for secret in ("r3ader-secret", "wr1ter-secret", "an0ther-secret", "y3t-another", db.password):
        assert secret not in log


def test_no_privileges_listed_means_reading_the_database(db, tool):
    one = tool("postgres", config(db), admin=(db.admin, db.password), permissions={}).mint()
    assert one.provision()["done"]
    try:
        assert one.call("query", sql="SELECT count(*) FROM orders")["result"]["rows"] == [[3]]
        assert one.call("execute", sql="DELETE FROM orders")["serverCode"] == "42501"
        assert all(line.endswith("|SELECT") for line in rights(db, WRITER))
    finally:
        one.deprovision()


def test_tables_that_come_later_are_readable_too(db, minted):
    db.sql("CREATE TABLE later (id int)", "app")
    try:
        assert minted.call("query", sql="SELECT count(*) FROM later")["result"]["rows"] == [[0]]
        again = minted.provision()
        assert again["done"] and again["changed"] == [], again
    finally:
        db.sql("DROP TABLE later", "app")


def test_drift_is_put_right(db, minted):
    db.sql(f"GRANT SELECT ON other.things TO {READER}; GRANT USAGE ON SCHEMA other TO {READER}; GRANT UPDATE (name) ON customers TO {READER};"
           f"REVOKE SELECT ON orders FROM {READER}; GRANT pg_read_server_files TO {READER}; ALTER ROLE {READER} CREATEROLE BYPASSRLS;"
           f"ALTER ROLE {READER} SET default_transaction_read_only = off; ALTER ROLE {WRITER} PASSWORD 'somebody';"
           f"ALTER ROLE {WRITER} SET search_path = other", "app")
    found = minted.provision()
    assert found["done"], found
    text = "\n".join(found["changed"])
    for part in ("revoked SELECT on table \"other\".\"things\"", "revoked USAGE on schema \"other\"", "revoked UPDATE on column \"name\"",
                 "granted SELECT on table \"public\".\"orders\"", "out of \"pg_read_server_files\"", f"took attributes from role {READER}",
                 f"set the password of role {WRITER}", f"reset the settings of role {WRITER}"):
        assert part in text, text
    again = minted.provision()
    assert again["done"] and again["changed"] == [], again
    assert rights(db, READER) == ["public.customers|SELECT", "public.orders|SELECT", "public.paid_orders|SELECT"]


def test_what_everybody_may_is_reported(db, minted):
    db.sql("GRANT INSERT ON customers TO PUBLIC; GRANT CREATE ON SCHEMA public TO PUBLIC", "app")
    try:
        found = minted.provision()
        assert not found["done"] and len(found["unenforceable"]) == 4, found
        text = "\n".join(found["unenforceable"])
        assert 'REVOKE INSERT ON TABLE "public"."customers" FROM PUBLIC' in text, text
        assert 'REVOKE CREATE ON SCHEMA "public" FROM PUBLIC' in text, text
    finally:
        db.sql("REVOKE INSERT ON customers FROM PUBLIC; REVOKE CREATE ON SCHEMA public FROM PUBLIC", "app")
    assert minted.provision()["done"]


@pytest.mark.parametrize("grant, words", [
    ({"privileges": ["SELECT"], "objects": ["nothing"]}, 'grants[0]: SELECT: table "nothing" does not exist'),
    ({"privileges": ["SELECT"], "schema": "nothing"}, 'schema "nothing" does not exist'),
    ({"privileges": ["SELECT"], "database": "nothing"}, 'database "nothing" does not exist')])
def test_grants_on_what_is_not_there(db, tool, grant, words):
    one = tool("postgres", config(db), admin=(db.admin, db.password), permissions={"grants": [grant]}).mint()
    found = one.provision()
    assert words in found["error"], found
    assert one.deprovision()["done"]


def test_an_administrator_without_the_rights_is_told_which(db, tool):
    db.sql("CREATE ROLE weak LOGIN CREATEROLE PASSWORD 'weak'")
    one = tool("postgres", config(db), admin=("weak", "weak"), permissions={}).mint()
    try:
        found = one.provision()
        assert "error" in found and found["reason"] == "forbidden", found
    finally:
        one.write("admin", username=db.admin, credential=db.password).deprovision()
        db.sql("DROP ROLE weak")


def test_sequences_functions_and_quoted_names(db, tool):
    db.sql('CREATE SCHEMA "Odd ""name"; CREATE TABLE "Odd ""name"."a.b" (id serial, "it\'s" text);'
           'CREATE FUNCTION "Odd ""name"."Fn"(x int, y text) RETURNS int LANGUAGE sql AS \'SELECT 1\';'
           'REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA "Odd ""name" FROM PUBLIC', "app")
    odd = 'Odd "name'
    one = tool("postgres", config(db), admin=(db.admin, db.password), permissions={"grants": [
        {"privileges": ["SELECT", "INSERT"], "schema": odd, "objects": ["a.b"]}, {"privileges": ["EXECUTE"], "schema": odd, "objects": ["Fn"]}]}).mint()
    try:
        found = one.provision()
        assert found.get("done"), found
        assert one.call("execute", sql='INSERT INTO "Odd ""name"."a.b" ("it\'s") VALUES (\'x\')')["rows"] == 1
        assert one.call("execute", sql='SELECT "Odd ""name"."Fn"(1, \'x\')')["result"]["rows"] == [[1]]
        assert one.provision()["changed"] == []
    finally:
        one.deprovision()
        db.sql('DROP SCHEMA "Odd ""name" CASCADE', "app")


def test_deprovisioning_leaves_nothing_and_can_be_repeated(db, tool):
    before = checksum(db)
    one = tool("postgres", config(db), admin=(db.admin, db.password), permissions={}).mint()
    assert one.provision()["done"]
    with one.serve(name=SOCKET) as session:
        raw = Raw(session)
        found = one.deprovision()
        assert found["done"] and found["changed"] == [f"dropped role {READER}", f"dropped role {WRITER}"], found
        assert raw.until("nothing")[-1][0] is None
        raw.close()
    assert one.deprovision() == {"done": True, "changed": [], "unenforceable": [], "message": ""}
    assert checksum(db) == before


def test_what_a_writer_made_is_not_deleted_with_it(db, tool):
    one = tool("postgres", config(db), admin=(db.admin, db.password), permissions={"grants": [{"privileges": ["CREATE", "SELECT"]}]}).mint()
    assert one.provision()["done"]
    assert one.call("execute", sql="CREATE TABLE made (id int)").get("result"), "may create"
    found = one.deprovision()
    assert f"role {WRITER} owns table public.made" in found["error"], found
    db.sql("DROP TABLE made", "app")
    assert one.deprovision()["done"]


def test_secrets_are_nowhere(app):
    found = [app.probe(), app.call("query", sql="SELECT 1"), app.call("query", sql="SELECT nothing")]
    assert PASSWORD not in str(found)
