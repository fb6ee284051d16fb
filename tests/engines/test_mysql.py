# SPDX-License-Identifier: Apache-2.0
"""mysql: MariaDB itself, its command line program, PyMySQL."""
import concurrent.futures
import hashlib
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pymysql
import pytest
from conftest import READER, WRITER
from kubetest.databases import Authority, MariaDB, find
from kubetest.wait import wait_for
from readonly_mysql import MORE

PASSWORD = "s3cret of the app"
SOCKET = "mysql.sock"
SCHEMA = """
CREATE TABLE orders (id int auto_increment PRIMARY KEY, customer varchar(40) NOT NULL, amount decimal(10,2), paid boolean DEFAULT false,
  made datetime(3)) COMMENT 'what was bought';
CREATE TABLE customers (name varchar(40) PRIMARY KEY, secret varchar(40));
CREATE VIEW paid_orders AS SELECT * FROM orders WHERE paid;
INSERT INTO orders (customer, amount, paid) VALUES ('ann', 12.50, true), ('bob', 3, false), ('eve', NULL, NULL);
INSERT INTO customers VALUES ('ann', 'a'), ('bob', 'b');
CREATE DATABASE IF NOT EXISTS other; CREATE TABLE other.things (id int); INSERT INTO other.things VALUES (1);
CREATE SEQUENCE numbers;
DELIMITER //
CREATE FUNCTION touch() RETURNS int MODIFIES SQL DATA SQL SECURITY INVOKER BEGIN INSERT INTO customers VALUES (UUID(), 'y'); RETURN 1; END //
CREATE FUNCTION touch_as_owner() RETURNS int MODIFIES SQL DATA BEGIN INSERT INTO customers VALUES (UUID(), 'y'); RETURN 1; END //
CREATE PROCEDURE touches() BEGIN COMMIT; SET SESSION TRANSACTION READ WRITE; INSERT INTO customers VALUES (UUID(), 'y'); END //
CREATE PROCEDURE several() BEGIN SELECT 1 AS one; SELECT 2 AS two; END //
DELIMITER ;
"""
# Statements that have been taken for reading, or that end what keeps a session to it; none of them may change anything.
CORPUS = [
    "DELETE FROM orders",
    "/* SELECT */ DELETE FROM orders",
    "-- SELECT\nDELETE FROM orders",
    "# SELECT\nDELETE FROM orders",
    "/*! DELETE FROM orders */",
    "/*!50000 DELETE FROM orders */",
    "/*M!100000 DELETE FROM orders */",
    "SELECT 1 /*! ; DELETE FROM orders */",
    "SELECT 1; DELETE FROM orders",
    "COMMIT; DELETE FROM orders",
    "COMMIT AND CHAIN; DELETE FROM orders",
    "ROLLBACK; START TRANSACTION; DELETE FROM orders; COMMIT",
    "SET SESSION TRANSACTION READ WRITE",
    "SET SESSION TRANSACTION READ WRITE; DELETE FROM orders",
    "SET TRANSACTION READ WRITE",
    "SET tx_read_only = 0",
    "SET @@session.tx_read_only = 0",
    "SET GLOBAL read_only = 1",
    "SET GLOBAL general_log = 1",
    "SET PASSWORD = PASSWORD('mine')",
    "SET STATEMENT max_statement_time = 10 FOR DELETE FROM orders",
    "ALTER USER CURRENT_USER() IDENTIFIED BY 'mine'",
    "START TRANSACTION READ WRITE",
    "BEGIN NOT ATOMIC DELETE FROM orders; END",
    "WITH gone AS (SELECT 1) DELETE FROM orders",
    "INSERT INTO customers VALUES ('a1', 'b') RETURNING name",
    "INSERT INTO customers SELECT 'a2', 'b'",
    "REPLACE INTO customers VALUES ('ann', 'changed')",
    "SELECT * FROM orders INTO OUTFILE '/tmp/agentkube-test-outfile'",
    "SELECT 'x' INTO DUMPFILE '/tmp/agentkube-test-dumpfile'",
    "SELECT LOAD_FILE('/etc/passwd')",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE customers",
    "LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE customers FIELDS TERMINATED BY ':'",
    "CREATE TABLE stolen AS SELECT * FROM orders",
    "CREATE TEMPORARY TABLE t AS SELECT * FROM orders",
    "ANALYZE FORMAT=JSON DELETE FROM orders",
    "EXPLAIN DELETE FROM orders",
    "SELECT touch()",
    "SELECT touch_as_owner()",
    "SELECT NEXTVAL(numbers)",
    "SELECT NEXT VALUE FOR numbers",
    "SELECT SETVAL(numbers, 900)",
    "DO touch()",
    "CALL touches()",
    "PREPARE x FROM 'DELETE FROM orders'",
    "PREPARE x FROM 'DELETE FROM orders'; EXECUTE x",
    "EXECUTE IMMEDIATE 'DELETE FROM orders'",
    "EXECUTE IMMEDIATE CONCAT('DEL', 'ETE FROM orders')",
    "HANDLER orders OPEN",
    "SELECT * FROM orders FOR UPDATE",
    "SELECT 1 FROM orders PROCEDURE ANALYSE()",
    "TRUNCATE orders",
    "DROP TABLE orders",
    "RENAME TABLE orders TO gone",
    "ALTER TABLE orders ADD COLUMN x int",
    "OPTIMIZE TABLE orders",
    "LOCK TABLES orders WRITE",
    "FLUSH TABLES WITH READ LOCK",
    "GRANT ALL ON *.* TO CURRENT_USER()",
    "CREATE USER mine",
    "SET ROLE NONE",
    "INSTALL SONAME 'auth_ed25519'",
    "UPDATE mysql.global_priv SET priv = '{}'",
    "KILL 1",
    "SHUTDOWN",
    "RESET MASTER",
    "INSERT INTO orders (customer) VALUES ('" + "x" * 200_000 + "')",
    "SELECT '" + "x" * 200_000 + "'; DELETE FROM orders",
    "SELECT 1 /* ; */ ; DELETE /**/ FROM orders -- SELECT",
    "sElEcT\x0b1;dElEtE fRoM orders",
]


STATE = """
SELECT * FROM orders ORDER BY 1; SELECT * FROM customers ORDER BY 1; SELECT * FROM other.things ORDER BY 1; SELECT * FROM numbers;
SHOW FULL TABLES; SHOW CREATE TABLE orders; SHOW CREATE VIEW paid_orders; SHOW DATABASES; SHOW CREATE DATABASE app;
SELECT user, host, priv FROM mysql.global_priv ORDER BY 1, 2; SELECT * FROM mysql.db ORDER BY user, db;
SELECT * FROM mysql.tables_priv ORDER BY user, db, table_name; SELECT name FROM mysql.plugin; SELECT server_name FROM mysql.servers;
SELECT @@global.read_only, @@global.general_log, @@global.tx_read_only, @@global.init_connect;
SELECT routine_name FROM information_schema.routines WHERE routine_schema = 'app' UNION ALL SELECT event_name FROM information_schema.events
  UNION ALL SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = 'app' ORDER BY 1;
"""


def checksum(db):
    """All tables, the sequence, routines, users with their rights, and the server's settings that somebody might like to change."""
    return hashlib.sha256(re.sub(r'"password_last_changed": *\d+', "", db.sql(STATE, "app")).encode()).hexdigest()


@pytest.fixture(name="db", scope="module")
def the_database(server):
    one = server(MariaDB, users={"app": PASSWORD})
    one.sql(SCHEMA, "app")
    one.sql("GRANT SELECT, INSERT, UPDATE, DELETE, EXECUTE, CREATE TEMPORARY TABLES ON app.* TO app@'%'")
    return one


def config(db, **more):
    return {"hostname": db.host, "port": db.port, "username": "app", "databaseName": "app", **more}


@pytest.fixture(name="app")
def the_tool(db, tool):
    """With the rights of a credential that may write."""
    return tool("mysql", config(db), credential=PASSWORD)


def permissions(*grants, **more):
    return {"adminCredentialsRef": {"name": "admin", "key": "password"}, **({"grants": list(grants)} if grants else {}), **more}


@pytest.fixture(name="minted")
def a_minted_tool(db, tool):
    """With identities of its own: the reader may read the database, the writer also change orders."""
    one = tool("mysql", config(db), admin=(db.admin, db.password), permissions=permissions(
        {"privileges": ["SELECT"]}, {"privileges": ["SELECT", "INSERT", "UPDATE", "DELETE"], "objects": ["orders"]})).mint()
    result = one.provision()
    assert result.get("done"), result
    yield one
    one.deprovision()


def mariadb(session, *arguments, text=None):
    return subprocess.run([find("mariadb"), "--no-defaults", f"--socket={session.folder / SOCKET}", "--user=whoever", "--batch",
                           "--skip-column-names", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False,
                          env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"})


def connect(session, **options):
    return pymysql.connect(unix_socket=str(session.folder / SOCKET), user="whoever", **options)


# ---- probe

def test_a_probe_says_what_the_server_is(app):
    found = app.probe()
    assert found["reachable"] and found["authenticated"] and found["authorised"], found
    assert re.fullmatch(r"MariaDB 1[0-9]\.[0-9.]+", found["server"]), found


def test_a_probe_tells_apart_what_failed(db, tool):
    wrong = tool("mysql", config(db), credential="wrong").probe()
    assert (wrong["reachable"], wrong["authenticated"]) == (True, False), wrong
    assert "1045" in wrong["message"] and "Access denied" in wrong["message"]
    nowhere = tool("mysql", config(db, databaseName="nowhere"), credential=PASSWORD).probe()
    assert (nowhere["reachable"], nowhere["authenticated"], nowhere["authorised"]) == (True, True, False), nowhere
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        away = tool("mysql", {**config(db), "port": closed.getsockname()[1]}, credential=PASSWORD).probe()
    assert not away["reachable"] and "Connection refused" in away["message"], away


def one_answer(data):
    """A server that says this and goes, and its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer():
        connection, _ = listener.accept()
        with connection:
            connection.sendall(data)
        listener.close()
    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    return listener.getsockname()[1]


@pytest.mark.parametrize("data, says", [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "server"),
    (struct.pack("<I", 20)[:3] + b"\0" + b"\x09" + b"x" * 19, "does not speak the MySQL protocol"),
    (struct.pack("<I", 3)[:3] + b"\0" + b"\x0a5\0", "greeting"),
    (struct.pack("<I", 23)[:3] + b"\0" + b"\xff\x10\x04Too many connections", "1040"),
    (b"", "closed")])
def test_a_server_that_is_no_mysql_is_an_error(tool, data, says):
    found = tool("mysql", {"hostname": "127.0.0.1", "port": one_answer(data), "username": "app"}, credential="x").probe("--timeout=3000")
    assert not found["authenticated"] and says in found["message"], found


def test_a_silent_server_does_not_hold_a_probe(tool):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        started = time.monotonic()
        found = tool("mysql", {"hostname": "127.0.0.1", "port": listener.getsockname()[1], "username": "app"},
                     credential="x").probe("--timeout=500")
    assert not found["authenticated"] and time.monotonic() - started < 10, found


def test_ed25519_with_a_password_of_its_length(server, tool):
    long = "0123456789abcdef0123456789ABCDEF"
    db = server(MariaDB, plugin="ed25519", users={"app": long, "short": PASSWORD})
    assert tool("mysql", {**config(db), "databaseName": "information_schema"}, credential=long).probe()["authorised"]
    refused = tool("mysql", {**config(db), "username": "short"}, credential=PASSWORD).probe()
    assert not refused["authenticated"] and "ed25519" in refused["message"], refused


def test_an_empty_password(db, tool):
    db.sql("CREATE USER nobody@'%' IDENTIFIED BY ''")
    found = tool("mysql", {**config(db), "username": "nobody", "databaseName": "information_schema"}, credential="").probe()
    assert found["authenticated"], found


# ---- TLS

@pytest.mark.parametrize("mode, ca, works", [
    ("disable", False, True), ("allow", False, True), ("prefer", False, True), ("require", False, True), ("require", True, True),
    ("verify-ca", True, True), ("verify-full", True, True), ("verify-ca", False, False), ("verify-full", False, False)])
def test_tls_by_mode(server, tool, mode, ca, works):
    db = server(MariaDB, users={"app": PASSWORD}, tls=True)
    db.sql("GRANT SELECT ON app.* TO app@'%'")
    one = tool("mysql", config(db, sslMode=mode), credential=PASSWORD, ca=db.ca if ca else None)
    found = one.probe()
    assert found["authorised"] == works, found
    if not works:
        assert "certificate" in found["message"]
        return
    used = one.call("query", sql="SHOW SESSION STATUS LIKE 'Ssl_cipher'")["result"]["rows"][0][1]
    assert bool(used) == (mode not in ("disable", "allow"))


def test_tls_refuses_another_name_and_another_authority(server, tool, tmp_path):
    db = server(MariaDB, users={"app": PASSWORD}, tls=True)
    db.sql("GRANT SELECT ON app.* TO app@'%'")
    stranger = Authority(str(tmp_path), "another authority")
    for mode in ("verify-ca", "verify-full", "require"):
        found = tool("mysql", config(db, sslMode=mode), credential=PASSWORD, ca=stranger.pem).probe()
        assert not found["authenticated"] and "certificate" in found["message"], found
    wrong = tool("mysql", config(db, sslMode="verify-full"), credential=PASSWORD, ca=db.ca, tls={"serverName": "db.example.org"}).probe()
    assert not wrong["authenticated"] and "certificate" in wrong["message"], wrong
    right = tool("mysql", config(db, sslMode="verify-full"), credential=PASSWORD, ca=db.ca, tls={"serverName": "localhost"}).probe()
    assert right["authorised"], right


def test_no_tls_where_it_is_required(db, tool):
    found = tool("mysql", config(db, sslMode="require"), credential=PASSWORD).probe()
    assert not found["authenticated"] and "offers no TLS" in found["message"], found


# ---- operations

def test_a_query_gives_rows_with_their_types(app):
    for params in ([], [0]):
        found = app.call("query", sql="SELECT id, customer, amount, paid, made FROM orders" + (" WHERE id > ?" if params else "") + " ORDER BY id",
                         params=params)["result"]
        assert [(one["name"], one["type"]) for one in found["columns"]] == [
            ("id", "int"), ("customer", "varchar"), ("amount", "decimal"), ("paid", "tinyint"), ("made", "datetime")]
        assert found["rows"] == [[1, "ann", "12.50", 1, None], [2, "bob", "3.00", 0, None], [3, "eve", None, None, None]]
        assert found["rowCount"] == 3 and not found["truncated"]


VALUES = [
    ("9007199254740992", 9007199254740992, None), ("9007199254740993", "9007199254740993", None),
    ("18446744073709551615", "18446744073709551615", "bigint unsigned"), ("-9223372036854775808", "-9223372036854775808", "bigint"),
    ("1.5e0", 1.5, "double"), ("x'deadbeef'", "0xdeadbeef", "varbinary"), ("NULL", None, "null"), ("'äöü€𝄞'", "äöü€𝄞", "varchar"),
    ("''", "", None), ("true", 1, None), ("DATE '2026-01-02'", "2026-01-02", "date"), ("TIME '-101:02:03'", "-101:02:03", "time"),
    ("TIMESTAMP '2026-01-02 03:04:05.678'", "2026-01-02 03:04:05.678", "datetime"), ("CAST(1.25 AS DECIMAL(5,2))", "1.25", "decimal"),
    ("CAST(0.1 AS FLOAT)", 0.1, "float"), ("b'101'", None, None), ("CAST(200 AS UNSIGNED)", 200, None), ("-7", -7, None)]


@pytest.mark.parametrize("expression, value, kind", VALUES)
def test_values_in_both_protocols(app, expression, value, kind):
    text = app.call("query", sql=f"SELECT {expression} AS v")["result"]
    binary = app.call("query", sql=f"SELECT {expression} AS v, ?", params=[1])["result"]
    assert text["rows"][0][0] == binary["rows"][0][0], "one value, two protocols"
    if expression != "b'101'":
        assert text["rows"] == [[value]]
    if kind:
        assert text["columns"][0]["type"] == kind and binary["columns"][0]["type"] == kind


def test_columns_of_every_type(db, app):
    db.sql("CREATE TABLE IF NOT EXISTS kinds (a tinyint, b smallint unsigned, c mediumint, d int unsigned, e bigint, f float, g double, h bit(5), "
           "i year, j enum('x','y'), k set('p','q'), l json, m blob, n text, o char(3), p binary(2), q timestamp(6) NULL, r time(2), s date, t point);"
           "DELETE FROM kinds; INSERT INTO kinds VALUES (-1, 65535, -8388608, 4294967295, -5, 1.5, 2.25, b'10101', 2026, 'y', 'p,q', '{\"a\": 1}', "
           "x'00ff', 'txt', 'abc', x'0102', '2026-01-02 03:04:05.000006', '12:13:14.5', '0000-00-00', POINT(1, 2))", "app")
    text = app.call("query", sql="SELECT * FROM kinds")["result"]
    binary = app.call("query", sql="SELECT * FROM kinds WHERE 1 = ?", params=[1])["result"]
    assert text == binary
    assert text["rows"][0][:19] == [-1, 65535, -8388608, 4294967295, -5, 1.5, 2.25, 21, 2026, "y", "p,q", '{"a": 1}', "0x00ff", "txt", "abc", "0x0102",
                                    "2026-01-02 03:04:05.000006", "12:13:14.50", "0000-00-00"]
    assert text["rows"][0][19].startswith("0x")
    db.sql("DROP TABLE kinds", "app")


def test_parameters(app):
    found = app.call("query", sql="SELECT ? + 1, ?, ?, ?, ?", params=[41, "it's; -- x", True, None, 0.5])
    assert found["result"]["rows"] == [[42, "it's; -- x", 1, None, 0.5]], found
    few = app.call("query", sql="SELECT ?, ?", params=[1])
    assert "2 parameters" in few["error"], few


def test_rows_and_bytes_are_limited(app):
    found = app.call("query", "--max-rows=10", sql="SELECT seq FROM seq_1_to_100")["result"]
    assert len(found["rows"]) == 10 and found["truncated"]
    exact = app.call("query", "--max-rows=10", sql="SELECT seq FROM seq_1_to_10")["result"]
    assert len(exact["rows"]) == 10 and not exact["truncated"]
    wished = app.call("query", sql="SELECT seq FROM seq_1_to_10", maxRows=3)["result"]
    assert len(wished["rows"]) == 3 and wished["truncated"]
    large = app.call("query", "--max-bytes=10000", sql="SELECT repeat('x', 4000) FROM seq_1_to_100")["result"]
    assert len(large["rows"]) == 2 and large["truncated"]
    one = app.call("query", "--max-bytes=100000", sql="SELECT repeat('x', 15000000)")["result"]
    assert one["rows"] == [] and one["truncated"]


def test_execute_changes_and_counts(db, app):
    found = app.call("execute", sql="INSERT INTO customers SELECT concat('n', seq), 's' FROM seq_1_to_3")["result"]
    assert (found["rowCount"], found["rows"]) == (3, [])
    few = app.call("execute", "--max-rows=1", sql="DELETE FROM customers WHERE name LIKE 'n%' RETURNING name")["result"]
    assert (few["rowCount"], len(few["rows"]), few["truncated"]) == (3, 1, True)
    assert db.sql("SELECT count(*) FROM customers", "app") == "2"
    made = app.call("execute", sql="INSERT INTO orders (customer) VALUES (?)", params=["zed"])["result"]
    assert made["rowCount"] == 1 and made["lastInsertId"] > 3
    app.call("execute", sql="DELETE FROM orders WHERE customer = 'zed'")
    db.sql("ALTER TABLE orders AUTO_INCREMENT = 4", "app")


def test_a_procedure_gives_its_first_rows(app):
    found = app.call("execute", sql="CALL several()")["result"]
    assert found["rows"] == [[1]] and found["columns"][0]["name"] == "one"


def test_a_reader_cannot_execute(db, app):
    before = checksum(db)
    found = app.call("execute", "--read-only", sql="DELETE FROM orders")
    assert "only reading" in found["error"], found
    assert checksum(db) == before


def test_errors_are_in_the_servers_words(app):
    found = app.call("query", sql="SELECT nothing FROM orders")
    assert found["serverCode"] == "1054" and "Unknown column 'nothing'" in found["error"] and "42S22" in found["error"], found
    found = app.call("execute", sql="SELECT 1; SELECT 2")
    assert found["serverCode"] == "1064", found
    found = app.call("query", sql="SELECT 1; SELECT 2")
    assert "error" in found


def test_a_statement_has_its_time(app):
    started = time.monotonic()
    found = app.call("query", "--timeout=1000", sql="SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq + b.seq = 0")
    assert found["serverCode"] == "1969" and time.monotonic() - started < 15, found


def test_tables_are_listed_and_described(app):
    found = app.call("list_tables")["result"]
    assert [one["name"] for one in found["columns"]] == ["schema", "name", "kind", "estimatedRows", "description"]
    assert [(one[0], one[1], one[2]) for one in found["rows"]] == [
        ("app", "customers", "base table"), ("app", "numbers", "sequence"), ("app", "orders", "base table"), ("app", "paid_orders", "view")]
    assert found["rows"][2][4] == "what was bought"
    assert app.call("list_tables", schema="information_schema")["result"]["rowCount"] > 20
    rows = app.call("describe_table", table="orders")["result"]["rows"]
    assert [(one[0], one[1], one[2], one[4]) for one in rows] == [
        ("id", "int(11)", 0, 1), ("customer", "varchar(40)", 0, 0), ("amount", "decimal(10,2)", 1, 0), ("paid", "tinyint(1)", 1, 0),
        ("made", "datetime(3)", 1, 0)]
    assert app.call("describe_table", table="orders'; DROP TABLE orders; --")["result"]["rows"] == []


@pytest.mark.parametrize("sql", CORPUS, ids=range(len(CORPUS)))
def test_the_corpus_changes_nothing_by_a_query_though_the_credential_could(db, app, sql):
    before = checksum(db)
    app.call("query", sql=sql)
    app.call("execute", "--read-only", sql=sql)
    assert checksum(db) == before


def running(db, what):
    return db.sql(f"SELECT count(*) FROM information_schema.processlist WHERE info LIKE '%{what}%' AND id <> CONNECTION_ID()") != "0"


def test_a_server_that_dies_in_the_middle_is_an_error(server, tool):
    db = server(MariaDB, fresh=True, users={"app": PASSWORD})
    db.sql("GRANT SELECT ON app.* TO app@'%'")
    one = tool("mysql", config(db), credential=PASSWORD)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        found = pool.submit(one.call, "query", sql="SELECT seq, sleep(0.01) FROM seq_1_to_100000")
        wait_for(lambda: running(db, "seq_1_to_100000"), "the query to run", 20)
        db.kill()
        assert "closed" in found.result(30)["error"] or "reset" in found.result(30)["error"]


# ---- clients of one's own

def test_the_program_needs_no_password_and_its_user_does_not_matter(app):
    with app.serve(name=SOCKET) as session:
        done = mariadb(session, "-e", "SELECT substring_index(current_user(), '@', 1), database()")
        assert done.stdout == "app\tapp\n", done
        assert PASSWORD.encode() not in session.processes_text()
        wait_for(session.statements, "the audit", 10)
        statement = session.statements()[-1]
        assert (statement["text"], statement["rows"], statement["code"]) == ("SELECT substring_index(current_user(), '@', 1), database()", 1, 0)


def test_whatever_password_is_given_is_taken(app):
    with app.serve(name=SOCKET) as session:
        for arguments in (["--password=made-up"], ["--password=made-up", "--default-auth=caching_sha2_password"],
                          ["--default-auth=caching_sha2_password"]):
            assert mariadb(session, *arguments, "-e", "SELECT 1").stdout == "1\n", arguments
        one = connect(session, password="anything")
        one.ping(reconnect=False)
        one.close()


def test_another_database_is_up_to_the_server(app):
    with app.serve(name=SOCKET) as session:
        assert mariadb(session, "information_schema", "-e", "SELECT database()").stdout == "information_schema\n"
        done = mariadb(session, "other", "-e", "SELECT 1")
        assert done.returncode and "1044" in done.stderr, done
        done = mariadb(session, "-e", "USE other")
        assert done.returncode and "1044" in done.stderr, done


def test_the_servers_refusal_reaches_the_client(db, tool):
    with tool("mysql", config(db), credential="wrong").serve(name=SOCKET) as session:
        done = mariadb(session, "-e", "SELECT 1")
        assert done.returncode and "1045" in done.stderr and "wrong" not in done.stderr, done


def test_a_script_and_its_exit_code(db, app):
    with app.serve(name=SOCKET) as session:
        rows = "".join(f"INSERT INTO customers VALUES ('c{i}', '{i}');\n" for i in range(2000))
        done = mariadb(session, text="START TRANSACTION;\n" + rows + "COMMIT; SELECT count(*) FROM customers;")
        assert done.stdout == "2002\n", done
        failed = mariadb(session, text="SELECT 1;\nSELECT nothing;\nSELECT 2;\n")
        assert failed.returncode == 1 and failed.stdout == "1\n" and "1054" in failed.stderr
        assert mariadb(session, "-e", "DELETE FROM customers WHERE name LIKE 'c%'; SELECT row_count()").stdout == "2000\n"
    assert db.sql("SELECT count(*) FROM customers", "app") == "2"


def test_pymysql_with_transactions_errors_and_cursors(app):
    with app.serve(name=SOCKET) as session:
        one = connect(session)
        with one.cursor() as cursor:
            cursor.execute("SELECT %s + 0, %s", (7, "x"))
            assert cursor.fetchall() == ((7, "x"),)
            with pytest.raises(pymysql.err.ProgrammingError):
                cursor.execute("SELECT * FROM not_there")
            cursor.execute("INSERT INTO customers VALUES ('tx', 'y')")
            assert cursor.rowcount == 1
            one.rollback()
            cursor.callproc("several")
            assert cursor.fetchall() == ((1,),) and cursor.nextset() and cursor.fetchall() == ((2,),)
        with one.cursor(pymysql.cursors.SSCursor) as cursor:
            cursor.execute("SELECT seq FROM seq_1_to_5000")
            assert sum(row[0] for row in cursor.fetchall_unbuffered()) == 12502500
        one.close()
        wait_for(lambda: not session.busy(), "the session to be idle", 10)
        assert [one["serverCode"] for one in session.statements() if one["serverCode"]] == ["1146"]


class Raw:
    """The protocol by hand: prepared statements, pipelines, and what no client library sends."""

    def __init__(self, session, capabilities=0x000fa68f):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(str(session.folder / SOCKET))
        self.socket.settimeout(20)
        self.file = self.socket.makefile("rb")
        self.greeting = self.read()[1]
        self.offered = struct.unpack("<H", self.greeting[self.greeting.index(b"\0") + 14:][:2])[0]
        hello = struct.pack("<IIB23x", capabilities & ~8, 1 << 24, 45) + b"x\0\0mysql_native_password\0"
        self.send(1, hello)
        assert self.read()[1][:1] == b"\0"

    def read(self):
        head = self.file.read(4)
        if len(head) < 4:
            return None, b""
        return head[3], self.file.read(int.from_bytes(head[:3], "little"))

    @staticmethod
    def packet(sequence, payload):
        return len(payload).to_bytes(3, "little") + bytes([sequence]) + payload

    def send(self, sequence, payload):
        self.socket.sendall(self.packet(sequence, payload))

    def ask(self, payload):
        self.send(0, payload)
        return self.read()

    def result(self):
        """The rest of a result of rows: how many."""
        count, ends = 0, 0
        while ends < 2:
            _, body = self.read()
            if body[:1] == b"\xff":
                return body
            if body[:1] == b"\xfe" and len(body) < 9:
                ends += 1
            else:
                count += ends
        return count

    def prepare(self, sql):
        self.send(0, b"\x16" + sql)
        _, body = self.read()
        if body[:1] != b"\0":
            return body
        number, columns, params = struct.unpack("<IHH", body[1:9])
        for count in (params, columns):
            for _ in range(count + 1 if count else 0):
                self.read()
        return number

    def execute(self, number):
        self.send(0, b"\x17" + struct.pack("<IBI", number, 0, 1))
        _, body = self.read()
        return body if body[:1] in (b"\xff", b"\0") else self.result()

    def close(self):
        self.file.close()
        self.socket.close()


def test_prepared_statements_are_in_the_audit_with_their_text(app):
    with app.serve(name=SOCKET) as session:
        raw = Raw(session)
        number = raw.prepare(b"SELECT seq FROM seq_1_to_7")
        assert [raw.execute(number) for _ in range(2)] == [7, 7]
        raw.send(0, b"\x19" + struct.pack("<I", number))
        gone = raw.execute(number)
        assert gone[:1] == b"\xff" and b"HY000" in gone
        assert raw.ask(b"\x0e")[1][:1] == b"\0"
        raw.close()
        wait_for(lambda: len(session.statements()) >= 3 and not session.busy(), "the audit", 10)
        assert [one["rows"] for one in session.statements() if one["text"] == "SELECT seq FROM seq_1_to_7"] == [0, 7, 7]


def test_a_cursor_is_fetched_in_parts(app):
    with app.serve(name=SOCKET) as session:
        raw = Raw(session)
        number = raw.prepare(b"SELECT seq FROM seq_1_to_10")
        raw.send(0, b"\x17" + struct.pack("<IBI", number, 1, 1))
        raw.read(), raw.read()
        assert raw.read()[1][:1] == b"\xfe"
        raw.send(0, b"\x1c" + struct.pack("<II", number, 4))
        rows = []
        while (body := raw.read()[1])[:1] != b"\xfe":
            rows.append(body)
        assert len(rows) == 4 and raw.ask(b"\x0e")[1][:1] == b"\0"
        raw.close()


def test_commands_sent_ahead_are_answered_in_order(app):
    with app.serve("--refuse=customers", name=SOCKET) as session:
        raw = Raw(session)
        count = 2000
        queries = [f"SELECT {'* FROM customers' if i % 10 == 9 else i}".encode() for i in range(count)]
        sender = threading.Thread(target=raw.socket.sendall, args=(b"".join(Raw.packet(0, b"\x03" + one) for one in queries),))
        sender.start()
        for i in range(count):
            _, body = raw.read()
            if i % 10 == 9:
                assert body[:3] == b"\xff\xcb\x04" and b"spec.permissions.grants[0]" in body, body
                continue
            assert body == b"\1"
            raw.read(), raw.read()
            assert raw.read()[1] == bytes([len(str(i))]) + str(i).encode()
            raw.read()
        sender.join()
        raw.close()


@pytest.mark.parametrize("payload, says", [
    (b"\x11x\0\0\0", b"not for clients"), (b"\x12" + b"\0" * 10, b"not for clients"), (b"\x1e" + b"\0" * 20, b"not for clients"),
    (b"\x08", b"not for clients"), (b"\x15" + b"\0" * 18, b"not for clients"), (b"\x0d", b"not for clients"), (b"\xfa", b"not for clients"),
    (b"\x1b\0\0", b"one statement at a time"), (b"\x0c\1\0\0\0", b"not one of your session")])
def test_commands_that_are_refused(app, payload, says):
    with app.serve(name=SOCKET) as session:
        raw = Raw(session)
        sequence, body = raw.ask(payload)
        assert sequence == 1 and body[:1] == b"\xff" and says in body, body
        assert raw.ask(b"\x0e")[1][:1] == b"\0", "the connection goes on"
        raw.close()


def test_several_statements_and_files_cannot_be_asked_for(app):
    with app.serve(name=SOCKET) as session:
        raw = Raw(session, capabilities=0xffff & 0xa6ff | 0x003f0000 & ~(1 << 21) & ~(1 << 20))
        assert not raw.offered & 128, "LOCAL FILES"
        assert raw.ask(b"\x03SELECT 1; SELECT 2")[1][:1] == b"\xff"
        assert raw.ask(b"\x03LOAD DATA LOCAL INFILE '/etc/passwd' INTO TABLE customers")[1][:1] == b"\xff"
        raw.close()


def test_a_server_that_asks_for_files_gets_none(tool):
    """A stand-in, because no real server asks a client that did not offer it."""
    greeting = (b"\x0a8.0.0\0" + struct.pack("<I", 1) + b"12345678\0" + struct.pack("<HBHH", 0xa20f, 45, 2, 0x0008) + b"\x15" + b"\0" * 10
                + b"123456789012\0" + b"mysql_native_password\0")
    listener = socket.create_server(("127.0.0.1", 0))
    received = []

    def answer():
        connection, _ = listener.accept()
        with connection:
            connection.sendall(Raw.packet(0, greeting))
            connection.recv(1000)
            connection.sendall(Raw.packet(2, b"\0\0\0\2\0\0\0"))
            connection.recv(1000)
            connection.sendall(Raw.packet(1, b"\xfb/etc/passwd"))
            received.append(connection.recv(1000))
        listener.close()
    thread = threading.Thread(target=answer)
    thread.start()
    one = tool("mysql", {"hostname": "127.0.0.1", "port": listener.getsockname()[1], "username": "app"}, credential="x")
    with one.serve(name=SOCKET) as session:
        raw = Raw(session)
        raw.send(0, b"\x03SELECT 1")
        seen = raw.read()[1]
        assert seen[:1] != b"\xfb", seen
        raw.close()
        thread.join(20)
    assert b"root" not in received[0]


def test_ctrl_c_ends_the_statement_only(app):
    """What the program does on Ctrl-C: KILL QUERY over a second connection."""
    with app.serve(name=SOCKET) as session:
        one, two = connect(session), connect(session)
        timer = threading.Timer(1, lambda: two.cursor().execute(f"KILL QUERY {one.thread_id()}"))
        timer.start()
        started = time.monotonic()
        with one.cursor() as cursor, pytest.raises(pymysql.err.OperationalError, match="1317"):
            cursor.execute("SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq + b.seq = 0")
        assert time.monotonic() - started < 20
        timer.join()
        with one.cursor() as cursor:
            cursor.execute("SELECT 1")
        one.close()
        two.close()


def test_what_a_client_leaves_behind_is_ended(db, app):
    with app.serve(name=SOCKET) as session:
        raw = Raw(session)
        raw.send(0, b"\x03SELECT sleep(61)")
        wait_for(lambda: running(db, "sleep(61)"), "the statement to run", 20)
        assert session.busy()
        raw.close()
        wait_for(lambda: not running(db, "sleep(61)"), "the statement to end", 20)


def test_the_end_of_a_session_is_explained(db, app):
    with app.serve(name=SOCKET) as session:
        idle, busy, reading = Raw(session), Raw(session), Raw(session)
        busy.send(0, b"\x03SELECT sleep(62)")
        reading.send(0, b"\x03SELECT repeat('x', 3000) FROM seq_1_to_1000000")
        reading.read()
        wait_for(lambda: running(db, "sleep(62)"), "the statement to run", 20)
        session.end()
        for one in (idle, busy):
            body = one.read()[1]
            assert body[:3] == b"\xff\x87\x07" and b"the Tool was changed" in body, body
        last = b""
        while (message := reading.read()[1]):
            last = message
        assert last[:3] == b"\xff\x87\x07" or len(last) == 3003, "whole packets only"
        for one in (idle, busy, reading):
            one.close()
        wait_for(lambda: not running(db, "sleep(62)"), "the statement to end", 20)


def test_the_program_says_why_it_was_ended(app):
    with app.serve(name=SOCKET) as session:
        with subprocess.Popen([find("mariadb"), "--no-defaults", f"--socket={session.folder / SOCKET}", "-e", "SELECT sleep(63)"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as client:
            wait_for(session.busy, "the statement to run", 20)
            session.end()
            _, said = client.communicate(timeout=20)
        assert client.returncode and "1927" in said and "the Tool was changed" in said, said


def test_a_server_that_dies_under_a_client(server, tool):
    db = server(MariaDB, fresh=True, users={"app": PASSWORD})
    db.sql("GRANT SELECT ON app.* TO app@'%'")
    with tool("mysql", config(db), credential=PASSWORD).serve(name=SOCKET) as session:
        raw = Raw(session)
        raw.send(0, b"\x03SELECT seq, repeat('x', 1000) FROM seq_1_to_10000000")
        raw.read()
        db.kill()
        while raw.read()[0] is not None:
            pass
        raw.close()
        wait_for(lambda: session.events("end"), "the connection to end", 20)
        assert session.statements()[0]["code"] != 0


def test_a_large_result_takes_no_memory(app):
    with app.serve(name=SOCKET) as session:
        mariadb(session, "-e", "SELECT 1")
        before = session.memory()
        with subprocess.Popen([find("mariadb"), "--no-defaults", f"--socket={session.folder / SOCKET}", "--quick", "--batch", "--skip-column-names",
                               "-e", "SELECT repeat('x', 100000) FROM seq_1_to_10000"], stdout=subprocess.PIPE) as client:
            size = 0
            while chunk := client.stdout.read(1 << 20):
                size += len(chunk)
        assert size == 10000 * 100001
        assert session.memory() - before < 8 * 1024
        wait_for(lambda: not session.busy(), "the audit", 10)
        assert session.statements()[-1]["bytes"] > 10**9


def test_messages_of_several_packets(db, app):
    db.sql("SET GLOBAL max_allowed_packet = 256 * 1024 * 1024")
    with app.serve(name=SOCKET) as session:
        mariadb(session, "-e", "SELECT 1")
        before = session.memory()
        limit = "--max-allowed-packet=256M"
        done = mariadb(session, limit, "-e", "SELECT repeat('y', 50000000)")
        assert len(done.stdout) == 50_000_001, done.stderr
        assert mariadb(session, limit, text="SELECT length('" + "z" * 40_000_000 + "');\n").stdout == "40000000\n"
        assert session.memory() - before < 8 * 1024
        assert session.statements()[-1]["class"] == "unknown"


def test_garbage_from_a_client_ends_its_connection_only(app):
    with app.serve(name=SOCKET) as session:
        for data in (b"\0" * 100, b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\x01", Raw.packet(1, b"x" * 40), Raw.packet(1, b"")):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(session.folder / SOCKET))
                client.sendall(data)
                client.shutdown(socket.SHUT_WR)
                client.settimeout(20)
                while client.recv(1000):
                    pass
        raw = Raw(session)
        raw.send(7, b"\x03SELECT 1")
        assert raw.read()[0] is None
        raw.close()
        assert mariadb(session, "-e", "SELECT 1").stdout == "1\n"


# ---- reading only

@pytest.mark.parametrize("change, back", [
    ("UPDATE customers SET secret = 'c' WHERE name = 'ann'", "UPDATE customers SET secret = 'a' WHERE name = 'ann'"),
    ("CREATE TABLE mine (a int)", "DROP TABLE mine"), ("CREATE USER mine", "DROP USER mine"), ("SET GLOBAL general_log = 1", "SET GLOBAL general_log = 0"),
    ("GRANT INSERT ON orders TO app", "REVOKE INSERT ON orders FROM app"), ("CREATE DATABASE mine", "DROP DATABASE mine"),
    ("CREATE PROCEDURE mine() SELECT 1", "DROP PROCEDURE mine"), ("CREATE EVENT mine ON SCHEDULE EVERY 1 DAY DO SELECT 1", "DROP EVENT mine")])
def test_what_these_tests_compare_does_change(db, change, back):
    before = checksum(db)
    db.sql(change, "app")
    assert checksum(db) != before
    db.sql(back, "app")
    assert checksum(db) == before


def every_way(session, sql):
    mariadb(session, text=sql + ";\n")
    raw = Raw(session)
    raw.send(0, b"\x03" + sql.encode())
    raw.close()
    raw = Raw(session)
    number = raw.prepare(sql.encode())
    if isinstance(number, int):
        raw.execute(number)
    raw.close()


def test_a_reading_session_on_a_credential_that_may_write(db, app):
    """Nothing was minted: what passes is decided by the text, in READ ONLY transactions."""
    before = checksum(db)
    with app.serve("--read-only", name=SOCKET) as session:
        assert mariadb(session, "-e", "SELECT count(*) FROM orders; SELECT @@tx_read_only").stdout == "3\n1\n"
        assert mariadb(session, text="BEGIN; SET NAMES utf8mb4; USE app; SELECT 1; COMMIT;").stdout == "1\n"
        for sql in CORPUS:
            every_way(session, sql)
        raw = Raw(session)
        assert b"only read" in raw.ask(b"\x1f")[1]
        raw.close()
        wait_for(lambda: not session.busy(), "the session to be idle", 10)
    assert checksum(db) == before


@pytest.mark.parametrize("sql", ["SHOW TABLES", "DESCRIBE orders", "EXPLAIN SELECT * FROM orders", "SHOW CREATE TABLE orders", "SHOW VARIABLES",
                                 "SELECT * FROM information_schema.tables LIMIT 1", "SHOW FULL COLUMNS FROM orders", "SHOW INDEX FROM orders",
                                 "WITH x AS (SELECT 1) SELECT * FROM x", "SET @a = 1; SELECT @a", "SHOW DATABASES"])
def test_a_reader_can_look_around(minted, sql):
    with minted.serve("--read-only", name=SOCKET) as session:
        done = mariadb(session, "-e", sql)
        assert done.returncode == 0 and done.stdout, done


def test_the_corpus_as_the_minted_reader(db, minted):
    before = checksum(db)
    with minted.serve("--read-only", name=SOCKET) as session:
        assert mariadb(session, "-e", "SELECT substring_index(current_user(), '@', 1), count(*) FROM orders").stdout == f"{READER}\t3\n"
        for sql in CORPUS:
            every_way(session, sql)
        raw = Raw(session)
        raw.ask(b"\x03SELECT '\xff\xfe'; DELETE FROM orders")
        raw.close()
        wait_for(lambda: not session.busy(), "the session to be idle", 10)
    assert checksum(db) == before
    for sql in CORPUS:
        minted.call("query", sql=sql)
        minted.call("execute", "--read-only", sql=sql)
    assert checksum(db) == before


FILES = ("/tmp/agentkube-test-outfile", "/tmp/agentkube-test-dumpfile")


@pytest.mark.parametrize("what", MORE)
@pytest.mark.parametrize("who", ["app", "minted"])
def test_more_that_changes_nothing_in_a_reading_session(db, request, who, what):
    """With the rights of a credential that may write, where all is decided by the text, and as the minted reader."""
    tool = request.getfixturevalue(who)
    before = checksum(db)
    with tool.serve("--read-only", name=SOCKET) as session:
        for sql in MORE[what]:
            every_way(session, sql)
        assert mariadb(session, "-e", "SELECT count(*) FROM orders").stdout == "3\n", "and reading goes on"
    assert checksum(db) == before, what
    assert not any(map(os.path.exists, FILES))


@pytest.mark.parametrize("what", MORE)
@pytest.mark.parametrize("who", ["app", "minted"])
def test_more_that_changes_nothing_by_an_operation(db, request, who, what):
    tool = request.getfixturevalue(who)
    before = checksum(db)
    for sql in MORE[what]:
        tool.call("query", sql=sql)
        tool.call("execute", "--read-only", sql=sql)
    assert checksum(db) == before, what
    assert not any(map(os.path.exists, FILES))


@pytest.mark.parametrize("names", ["utf8mb4", "gbk", "sjis", "big5", "latin1"])
def test_no_file_is_written_by_a_reading_session_whatever_its_character_set(db, tool, names):
    """A READ ONLY transaction does not keep from writing files, so the text has to; in some sets a backslash is half a character."""
    db.sql("CREATE OR REPLACE USER filer@'%' IDENTIFIED BY 'f'; GRANT FILE ON *.* TO filer@'%'; GRANT SELECT ON app.* TO filer@'%'")
    one = tool("mysql", {**config(db), "username": "filer"}, credential="f")
    into = b"INTO OUTFILE '/tmp/agentkube-test-outfile'"
    with one.serve(name=SOCKET) as session:
        mariadb(session, "-e", f"SELECT 1 {into.decode()}")
        assert os.path.exists(FILES[0]), "the credential could"
        os.remove(FILES[0])
    with one.serve("--read-only", name=SOCKET) as session:
        for lead in (b"\xbf", b"\x81", b"\x95", b"\xa5", b"\xe3\x81", b""):
            for text in (b"SELECT '" + lead + b"\\' " + into + b" -- '", b"SELECT '" + lead + b"\\' " + into + b" # '", b"SELECT \"" + lead + b"\\\" " + into + b" -- \"",
                         b"SELECT '" + lead + b"\\'' " + into + b" -- ", b"SELECT '" + lead + b"', 1 " + into, b"SELECT 1 " + into):
                raw = Raw(session)
                assert raw.ask(b"\x03SET NAMES " + names.encode())[1][:1] in (b"\0", b"\xff")
                raw.send(0, b"\x03" + text)
                assert raw.read()[1][:1] != b"\0", text
                raw.close()
                assert not any(map(os.path.exists, FILES)), text
    for sql in MORE["files and the server"]:
        one.call("query", sql=sql)
    assert not any(map(os.path.exists, FILES))
    db.sql("DROP USER filer")


@pytest.mark.parametrize("who", ["app", "minted"])
def test_ctrl_c_in_a_reading_session_ends_the_statement_only(db, request, who):
    """The program itself says KILL QUERY over a second connection; a KILL of what is another's is refused."""
    with request.getfixturevalue(who).serve("--read-only", name=SOCKET) as session:
        with subprocess.Popen([find("mariadb"), "--no-defaults", f"--socket={session.folder / SOCKET}", "--user=whoever", "--batch", "--force",
                               "--sigint-ignore=0", "-e", "SELECT sleep(64); SELECT 'still here'"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True) as client:
            wait_for(lambda: running(db, "sleep(64)"), "the statement to run", 20)
            client.send_signal(signal.SIGINT)
            wait_for(lambda: not running(db, "sleep(64)"), "the statement to end", 20)
            said, errors = client.communicate(timeout=20)
        one, two = connect(session), connect(session)
        timer = threading.Timer(0.5, lambda: two.cursor().execute(f"KILL QUERY {one.thread_id()}"))
        timer.start()
        started = time.monotonic()
        with one.cursor() as cursor, pytest.raises(pymysql.err.OperationalError, match="1317"):
            cursor.execute("SELECT count(*) FROM seq_1_to_1000000 a, seq_1_to_1000000 b WHERE a.seq + b.seq = 0")
        assert time.monotonic() - started < 20
        timer.join()
        with one.cursor() as cursor:
            cursor.execute("SELECT 1")
            other = db.sql("SELECT CONNECTION_ID()")
            for text in (f"KILL {other}", f"KILL QUERY {other}", f"KILL QUERY ID {other}", "KILL USER root", f"KILL /* */ {one.thread_id()}"):
                with pytest.raises(pymysql.err.MySQLError) as refused:
                    cursor.execute(text)
                assert refused.value.args[0] in (1227, 1095, 1094), refused.value
        one.close()
        two.close()
    assert "still here" in said or "Aborted" in errors or "1317" in errors, (said, errors)


# ---- provisioning

def rights(db, name):
    lines = db.sql(f"SHOW GRANTS FOR '{name}'@'%'").replace("`", "").splitlines()
    return sorted(line.partition(" TO ")[0].removeprefix("GRANT ") for line in lines if "USAGE" not in line)


def test_provisioning_gives_exactly_the_grants(db, minted):
    assert rights(db, READER) == ["SELECT ON app.*", "SELECT ON app.orders"]
    assert rights(db, WRITER) == ["SELECT ON app.*", "SELECT, INSERT, UPDATE, DELETE ON app.orders"]
    again = minted.provision()
    assert again["done"] and again["changed"] == [], again
    done = minted.call("execute", sql="INSERT INTO orders (customer) VALUES ('new')")
    assert done["result"]["rowCount"] == 1, done
    assert minted.call("execute", sql="DELETE FROM orders WHERE customer = 'new'")["rows"] == 1
    assert minted.call("execute", sql="INSERT INTO customers VALUES ('n', 'n')")["serverCode"] == "1142"
    assert minted.call("query", sql="SELECT * FROM other.things")["serverCode"] == "1142"
    db.sql("ALTER TABLE orders AUTO_INCREMENT = 4", "app")


def test_names_mean_what_they_say(db, tool):
    """In a grant on a database, _ and % stand for other letters unless they are escaped."""
    db.sql("CREATE DATABASE `my_db`; CREATE DATABASE `myxdb`; CREATE TABLE my_db.t (a int); CREATE TABLE myxdb.t (a int);"
           "CREATE TABLE app.`odd ``name` (a int)")
    one = tool("mysql", config(db), admin=(db.admin, db.password), permissions=permissions(
        {"privileges": ["SELECT"], "database": "my_db"}, {"privileges": ["select"], "objects": ["odd `name"]})).mint()
    try:
        assert one.provision()["done"] and one.provision()["changed"] == []
        assert one.call("query", sql="SELECT * FROM my_db.t")["rows"] == 0
        assert one.call("query", sql="SELECT * FROM myxdb.t")["serverCode"] == "1142"
        assert one.call("query", sql="SELECT * FROM `odd ``name`")["rows"] == 0
    finally:
        one.deprovision()
        db.sql("DROP DATABASE my_db; DROP DATABASE myxdb; DROP TABLE app.`odd ``name`")


def test_all_is_all_of_the_database_and_nothing_of_the_server(db, tool):
    one = tool("mysql", config(db), admin=(db.admin, db.password), permissions=permissions({"privileges": ["ALL"]})).mint()
    try:
        assert one.provision()["done"] and one.provision()["changed"] == []
        assert rights(db, WRITER) == ["ALL PRIVILEGES ON app.*"] and rights(db, READER) == []
        for sql in ("SELECT * FROM app.orders INTO OUTFILE '/tmp/agentkube-test-outfile'", "SET GLOBAL read_only = 1", "CREATE USER mine",
                    "SELECT * FROM mysql.global_priv"):
            assert one.call("execute", sql=sql)["serverCode"] in ("1045", "1142", "1227"), sql
    finally:
        one.deprovision()


def test_passwords_are_not_in_the_servers_log(server, tool):
    db = server(MariaDB, fresh=True, settings={"general-log": 1, "log-output": "FILE", "general-log-file": "general.log"})
    one = tool("mysql", config(db), admin=(db.admin, db.password), permissions=permissions()).mint()
    assert one.provision()["done"]
    assert one.mint(reader="an0ther-secret", writer="y3t-another").provision()["changed"] == [
        f"the password of user {READER} was set", f"the password of user {WRITER} was set"]
    assert one.probe()["authorised"]
    with open(db.path("data", "general.log"), encoding="utf-8", errors="replace") as file:
        log = file.read()
    assert "CREATE USER" in log
    for secret in ("r3ader-secret", "wr1ter-secret", "an0ther-secret", "y3t-another"):
        assert secret not in log


def test_no_privileges_listed_means_reading_the_database(db, tool):
    one = tool("mysql", config(db), admin=(db.admin, db.password), permissions=permissions()).mint()
    try:
        assert one.provision()["done"]
        assert rights(db, READER) == rights(db, WRITER) == ["SELECT ON app.*"]
    finally:
        one.deprovision()


def test_drift_is_corrected(db, minted):
    db.sql(f"GRANT DELETE ON app.customers TO '{READER}'@'%'; GRANT PROCESS, FILE ON *.* TO '{READER}'@'%' WITH GRANT OPTION;"
           f"GRANT SELECT (name) ON app.customers TO '{READER}'@'%'; GRANT EXECUTE ON FUNCTION app.touch TO '{READER}'@'%';"
           f"GRANT ALL ON other.* TO '{READER}'@'%'; CREATE ROLE helper; GRANT helper TO '{READER}'@'%';"
           f"REVOKE SELECT ON app.* FROM '{READER}'@'%'; SET PASSWORD FOR '{READER}'@'%' = PASSWORD('stolen');"
           f"ALTER USER '{WRITER}'@'%' ACCOUNT LOCK; CREATE USER '{WRITER}'@'localhost'")
    result = minted.provision()
    assert result["done"] and len(result["changed"]) >= 10, result
    assert rights(db, READER) == ["SELECT ON app.*", "SELECT ON app.orders"]
    assert rights(db, WRITER) == ["SELECT ON app.*", "SELECT, INSERT, UPDATE, DELETE ON app.orders"]
    assert minted.probe()["authorised"] and minted.call("execute", sql="UPDATE orders SET paid = paid")["result"]["rowCount"] == 0
    assert db.sql(f"SELECT host FROM mysql.user WHERE user = '{WRITER}'") == "%"
    assert minted.provision()["changed"] == []
    db.sql("DROP ROLE helper")


def test_users_are_removed(db, tool):
    one = tool("mysql", config(db), admin=(db.admin, db.password), permissions=permissions({"privileges": ["SELECT"]})).mint()
    assert one.provision()["done"]
    assert one.deprovision() == {"done": True, "changed": [f"user {READER} was removed", f"user {WRITER} was removed"], "unenforceable": [],
                                 "message": "the users are gone"}
    assert one.deprovision()["changed"] == []
    assert db.sql(f"SELECT count(*) FROM mysql.user WHERE user IN ('{READER}', '{WRITER}')") == "0"


def test_tls_is_demanded_of_the_users_too(server, tool):
    db = server(MariaDB, users={"app": PASSWORD}, tls=True)
    one = tool("mysql", config(db, sslMode="require"), admin=(db.admin, db.password), permissions=permissions()).mint()
    assert one.provision()["done"] and one.provision()["changed"] == []
    assert "REQUIRE SSL" in db.sql(f"SHOW CREATE USER '{READER}'@'%'")
    assert one.probe()["authorised"]
    one.deprovision()


@pytest.mark.parametrize("grants, says", [
    ([{"privileges": ["FILE"]}], "FILE"), ([{"privileges": ["SUPER"]}], "SUPER"), ([{"privileges": ["SELECT"], "schema": "s"}], "schema"),
    ([{"privileges": ["SELECT"], "database": "mysql"}], "accounts and rights"),
    ([{"privileges": ["EXECUTE"], "objects": ["orders"]}], "EXECUTE cannot be granted on a table")])
def test_what_cannot_be_enforced_is_said(db, tool, grants, says):
    one = tool("mysql", config(db), admin=(db.admin, db.password), permissions=permissions(*grants)).mint()
    result = one.provision()
    assert not result["done"] and says in result["unenforceable"][0], result
    one.deprovision()


def test_what_everybody_may_do_is_said(server, tool):
    db = server(MariaDB, fresh=True)
    one = tool("mysql", config(db), admin=(db.admin, db.password), permissions=permissions()).mint()
    db.sql("CREATE DATABASE test; INSERT INTO mysql.db (host, db, user, select_priv, insert_priv) VALUES ('%', 'test', '', 'Y', 'Y');"
           "FLUSH PRIVILEGES; GRANT INSERT ON app.* TO PUBLIC")
    result = one.provision()
    assert not result["done"] and len(result["unenforceable"]) == 2, result
    assert "PUBLIC has INSERT" in result["unenforceable"][0] and "open for every user" in result["unenforceable"][1]
    db.sql("REVOKE INSERT ON app.* FROM PUBLIC; DELETE FROM mysql.db WHERE user = ''; FLUSH PRIVILEGES")
    assert one.provision()["done"]


def test_an_administrator_that_may_not_is_an_error(db, tool):
    one = tool("mysql", config(db), admin=("app", PASSWORD), permissions=permissions()).mint()
    result = one.provision()
    assert not result.get("done") and ("1142" in result["error"] or "1227" in result["error"]), result
