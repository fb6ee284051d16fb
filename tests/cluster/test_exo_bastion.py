# SPDX-License-Identifier: Apache-2.0
"""exo, the real manager, the real bastion as processes and a real PostgreSQL: what docs/cli.md shows about Tools, step by step. The same
with real pods, and with other systems, is in the suites e2e and engines."""
import json
import os
import re
import socket
import subprocess

import pytest
from kubetest import wait_for
from kubetest.databases import Postgres
from kubetest.host_bastions import HostBastion
from test_exo import BUSY, FAILED, FORBIDDEN, OK, exo, real, script  # noqa: F401  fixtures too
from test_exo_tools import Forwarded, Scene, table

PASSWORD = "canary-5c1e-of-the-database"


@pytest.fixture(scope="module")
def postgres():
    with Postgres(users={"app": PASSWORD}) as server:
        server.sql("create table orders (id int primary key, item text); insert into orders select i, 'item ' || i from generate_series(1, 5) i;"
                   "grant all on orders to app", database="app")
        yield server


@pytest.fixture
def db(control_plane, namespace, exo, real, postgres):  # noqa: F811
    """A Scene whose Tool "db" has a real bastion."""
    scene = Scene(control_plane, namespace, exo, real)
    scene.tools.secret("db", password=PASSWORD)

    def up(**spec):
        scene.tool(config={"hostname": postgres.host, "port": postgres.port, "username": "app", "databaseName": "app",
                           "credentialsRef": {"name": "db", "key": "password"}}, **spec)
        first = exo.start("tool", "exec", "db", "--", "-Atc", "select 1")
        scene.runners.append(HostBastion(control_plane, namespace, "db", PASSWORD))
        out, err = first.communicate(timeout=90)
        assert (first.returncode, out) == (OK, "1\n"), err + scene.runners[-1].log("serve")
        return scene
    scene.up = up
    yield scene
    for bastion in scene.runners:
        bastion.close()


def test_a_day_with_a_database(db):
    exo = db.up().exo  # noqa: F811
    assert exo("tool", "exec", "db", "--", "-Atc", "select count(*) from orders").stdout == "5\n"
    assert exo("tool", "exec", "db", input="select item from orders where id = 3;\n").stdout.count("item 3") == 1
    failed = exo("tool", "exec", "db", "--", "-v", "ON_ERROR_STOP=1", input="select 1/0;\n", code=3)
    assert "division by zero" in failed.stderr
    assert "orders" in exo("tool", "exec", "db", "--read-only", "--", "-Atc", "select relname from pg_class where relname = 'orders'").stdout
    assert "read" in exo("tool", "exec", "db", "--read-only", "--", "-c", "delete from orders", code=1).stderr
    rows = table(exo("tool", "call", "db", "query", "sql=select * from orders where id = $1", "params:=[4]").stdout)
    assert rows == [["id", "item"], ["4", "item 4"]]
    assert exo("tool", "call", "db", "list_tables").stdout.count("orders") == 1
    assert exo("tool", "call", "db", "execute", "sql=insert into orders values (6, 'six')").stderr == "(INSERT 0 1)\n"
    assert json.loads(exo("tool", "call", "db", "query", "sql=select count(*) from orders", "-o", "json").stdout)["result"]["rows"] == [[6]]
    failed = exo("tool", "call", "db", "query", "sql=select nonsense", code=FAILED)
    assert 'column "nonsense" does not exist' in failed.stderr
    assert exo("tool", "call", "db", "query", "sql=delete from orders", code=FORBIDDEN).stderr
    exo("tool", "call", "db", "execute", "sql=delete from orders where id = 6")


def test_an_own_client_needs_no_password(db, postgres):
    exo = db.up().exo  # noqa: F811
    port = Forwarded(exo, "0")
    psql = ["psql", "-X", "-w", "-h", "127.0.0.1", "-p", str(port.port), "-U", "anybody", "-At", "app"]
    done = subprocess.run([*psql, "-c", "select count(*) from orders", "-c", "select current_user"], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"})
    assert done.stdout == "5\napp\n", done.stderr
    many = [subprocess.Popen([*psql, "-c", f"select {n} from pg_sleep(0.2)"], stdout=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin"}) for n in range(6)]
    assert [one.communicate(timeout=60)[0] for one in many] == [f"{n}\n" for n in range(6)]
    held = subprocess.Popen([*psql, "-c", "select pg_sleep(600)"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PATH": "/usr/bin:/bin"})
    one = wait_for(lambda: [s for s in db.sessions() if s["busy"]], "the statement to run", 60)[0]
    assert one["kind"] == "Forward"
    exo("tool", "kill", "db", one["id"], "--reason", "the quarter is closed")
    assert "the quarter is closed" in held.communicate(timeout=60)[1]
    wait_for(lambda: not [row for row in postgres.sql("select query from pg_stat_activity where query like '%pg_sleep(600)%' and pid <> pg_backend_pid()").splitlines() if row],
             "the statement to be cancelled in the server", 60)
    port.end()
    with socket.socket() as gone:
        assert gone.connect_ex(("127.0.0.1", port.port)) != 0


def test_a_terminal_is_recorded_and_played(db, postgres):
    exo = db.up().exo  # noqa: F811
    asleep = "select count(*) from pg_stat_activity where query like 'select pg_sleep(601)%' and state = 'active'"

    def interrupt(fd):
        wait_for(lambda: postgres.sql(asleep) == "1", "the statement to run", 60)
        os.write(fd, b"\x03")
    code, shown = exo.on_terminal("tool", "connect", "db", timeout=150, keys=[
        ("=> ", "select 6 * 7 as answer;\n"), ("(1 row)", "select pg_sleep(601);\n"), ("sleep(601);", interrupt), ("user request", "\\q\n")])
    assert code == OK and "42" in shown and "canceling statement" in shown, shown
    recordings = wait_for(lambda: json.loads(exo("session", "list", "db", "-o", "json").stdout)["items"], "the recording", 60)
    cast = exo("session", "export", "db", recordings[0]["id"]).stdout.splitlines()
    assert json.loads(cast[0])["version"] == 2 and any("42" in json.loads(line)[2] for line in cast[1:])
    code, played = exo.on_terminal("session", "play", "db", recordings[0]["id"], "--idle-limit", "10ms")
    assert code == OK and "answer" in played and re.search(r"\b42\b", played)


def test_a_write_waits_for_a_person(db, postgres):
    scene = db.up(approval={"mode": "Writes", "timeout": "5m"})
    exo = scene.exo  # noqa: F811
    write = ("tool", "call", "db", "execute", "sql=insert into orders values (100, 'agreed')", "--hold", "1s")
    exo(*write, code=BUSY)
    one = json.loads(exo("tool", "approvals", "db", "-o", "json").stdout)["items"][0]["id"]
    assert postgres.sql("select count(*) from orders where id = 100", database="app") == "0"
    exo("tool", "approve", "db", one, "--reason", "as agreed")
    assert exo(*write).stderr == "(INSERT 0 1)\n"
    assert postgres.sql("delete from orders where id = 100 returning item", database="app").splitlines()[0] == "agreed"
    assert exo("tool", "exec", "db", "--", "-c", "insert into orders values (101, 'x')", code=1).stderr, "sessions only read meanwhile"


def test_the_password_is_nowhere_else(db, real, tmp_path):  # noqa: F811
    scene = db.up()
    scene.exo("tool", "call", "db", "query", "sql=select 1")
    scene.exo("tool", "exec", "db", input="\\! env; cat /proc/$PPID/environ\n\\conninfo\n")
    bastion = scene.runners[-1]
    everything = [real.log(), bastion.log("serve"), bastion.log("client"), json.dumps(scene.tools.get("db")), json.dumps(scene.tools.events("db")),
                  json.dumps(scene.kube.pod(scene.namespace, "db-bastion")), scene.exo("tool", "exec", "db", input="\\! env\n").stdout]
    assert not [n for n, text in enumerate(everything) if PASSWORD in text]
    with open(f"/proc/{bastion.client.pid}/environ", encoding="utf-8", errors="replace") as file:
        assert PASSWORD not in file.read()
