# SPDX-License-Identifier: Apache-2.0
"""Tools as people and agents use them: real servers on this machine, bastions in real pods, real CLIs that ask."""
import json
import os
import re
import signal
import subprocess
import threading
import time

import pytest
from kubetest import wait_for
from kubetest.agents import condition
from kubetest.databases import MariaDB, Nginx, Postgres, Redis, Ssh, free_port
from kubetest.exo import FORBIDDEN
from kubetest.inside import environment_of, memory_holds, processes
from kubetest.tools import Tools
from kubetest.worker import node_address

any_rights = pytest.mark.any_rights

SECRET = "tool-canary-83f1ab77c0"   # the password of the user that Tools log in with
ADMIN = "adm1n-canary-5520c1"       # of who may make users
ROWS = 7


@pytest.fixture
def tools(agents, bastion_images):
    return Tools(agents.kube, agents.namespace)


@pytest.fixture(scope="module")
def postgres(cluster):
    with Postgres(host=node_address(cluster), users={"app": SECRET}, password=ADMIN) as server:
        server.sql("revoke create on schema public from public; revoke temp on database app from public;"
                   "create table orders(id int primary key, item text); "
                   f"insert into orders select i, 'item ' || i from generate_series(1, {ROWS}) i;"
                   "grant select, insert, update, delete on orders to app", database="app")
        yield server


def checksum(server):
    return server.sql("select count(*), md5(string_agg(o::text, ',' order by id)) from orders o", database="app")


def config(server, **more):
    return {"hostname": server.host, "port": server.port, "sslMode": "disable", **more}


def database_spec(server, admin=True, privileges=("SELECT",), **spec):
    permissions = {"permissions": {"adminCredentialsRef": {"name": "shop-admin", "key": "password"}, "adminUsername": "postgres",
                                   "grants": [{"privileges": list(privileges), "schema": "public"}]}} if admin else {}
    return {"probe": True, "description": "Orders of the shop", **permissions, **spec,
            "config": config(server, username="app", databaseName="app", credentialsRef={"name": "shop", "key": "password"})}


@pytest.fixture
def shop(tools, postgres):
    """shop(**spec): the Tool `shop`, ready, and restricted by the database itself."""
    tools.secret("shop", password=SECRET)
    tools.secret("shop-admin", password=ADMIN)

    def make(**spec):
        return tools.ready("shop", "postgres", **database_spec(postgres, **spec))
    return make


# ---------------------------------------------------------------- people
def test_a_person_asks_a_database_and_holds_no_password(tools, exo, shop, postgres):
    before = checksum(postgres)
    shop(idleTimeout="20s")
    probe = tools.get("shop")["status"]["lastProbe"]
    assert probe["reachable"] and probe["authenticated"] and probe["authorised"] and "PostgreSQL" in probe["server"], probe
    assert tools.bastion("shop") is None  # no pod is kept for it
    assert exo("tool", "exec", "shop", "--", "-Atc", "select count(*) from orders", timeout=300).stdout == f"{ROWS}\n"
    assert exo("tool", "exec", "shop", input="select item from orders where id = 3;\n").stdout.count("item 3") == 1
    failed = exo("tool", "exec", "shop", "--", "-c", "select nonsense", code=1)
    assert "nonsense" in failed.stderr
    assert exo("tool", "exec", "shop", "--", "-v", "ON_ERROR_STOP=1", input="select 1/0;\n", code=3).returncode == 3
    for write in ("delete from orders", "create table t(i int)", "copy (select 1) to program 'id'", "set role postgres"):
        assert exo("tool", "exec", "shop", "--", "-c", write, code=1).stderr, write
    assert checksum(postgres) == before
    listed = exo("tool", "list").stdout
    assert "shop" in listed and "postgres" in listed and "Active" in listed
    described = exo("tool", "describe", "shop").stdout
    assert "Last probe:" in described and "PermissionsEnforced" in described
    for pid, command in processes(tools.wait_bastion("shop"), "client"):
        assert SECRET.encode() not in environment_of(pid) and not memory_holds(pid, SECRET.encode()), command
    tools.wait_no_bastion("shop", timeout=120)
    assert tools.get("shop")["status"]["phase"] == "Ready"


def test_the_shell_of_a_client_finds_no_credential(exo, shop, tools):
    shop()
    found = exo("tool", "exec", "shop", input="\\! grep -rslF canary / 2>/dev/null --exclude-dir=proc --exclude-dir=sys; cat /proc/*/environ; id\n",
                timeout=300).stdout
    assert "uid=65532" in found and "canary" not in found
    assert not tools.kube.kubectl("-n", tools.namespace, "exec", "shop-bastion", "-c", "client", "--", "sh", "-c",
                                  "ls /agentkube/credential /agentkube/identity /agentkube/token 2>/dev/null").stdout


@any_rights
def test_a_local_client_goes_through_forward_without_a_password(exo, shop, postgres):
    before = checksum(postgres)
    shop()
    port = free_port()
    forward = exo.start("tool", "forward", "shop", str(port))
    try:
        assert "Forwarding" in forward.stdout.readline()
        def psql(*arguments):
            return subprocess.run(["psql", "-h", "127.0.0.1", "-p", str(port), "-U", "whoever", "-XAt", "app", *arguments],
                                  env={"PATH": os.environ["PATH"]}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False)
        done = psql("-c", "select count(*) from orders")
        assert done.stdout == f"{ROWS}\n", done.stderr
        assert "this session only reads" in psql("-c", "delete from orders").stderr
        bound = psql("-c", "prepare p(int) as select item from orders where id = $1", "-c", "execute p(2)")
        assert "item 2" in bound.stdout, bound.stderr
        sessions = exo.json("tool", "sessions", "shop")["items"]
        assert all(one["caller"]["name"] for one in sessions)
    finally:
        forward.send_signal(signal.SIGINT)
        assert forward.wait(60) == 0, forward.stderr.read()
    assert checksum(postgres) == before


@any_rights
def test_a_session_is_seen_killed_and_told_why(exo, shop):
    shop()
    sleeper = exo.start("tool", "exec", "shop", "--", "-c", "select pg_sleep(600)")
    session = wait_for(lambda: [one for one in exo.json("tool", "sessions", "shop")["items"] if one["busy"]], "the session", 300)[0]
    assert session["kind"] == "Exec" and session["caller"]["kind"] == "Person"
    exo("tool", "kill", "shop", session["id"], "--reason", "the quarter is closed")
    _, err = sleeper.communicate(timeout=60)
    assert sleeper.returncode != 0 and "the quarter is closed" in err, err


def test_a_rotated_secret_ends_sessions_within_seconds_and_the_next_one_works(tools, exo, postgres):
    postgres.sql("create user rot login password 'first-canary'; grant select on orders to rot", database="app")
    tools.secret("rot", password="first-canary")
    tools.ready("rot", "postgres", config=config(postgres, username="rot", databaseName="app", credentialsRef={"name": "rot", "key": "password"}))
    sleeper = exo.start("tool", "exec", "rot", "--", "-c", "select pg_sleep(600)")
    wait_for(lambda: [one for one in exo.json("tool", "sessions", "rot")["items"] if one["busy"]], "the session", 300)
    postgres.sql("alter user rot password 'second-canary'")
    tools.secret("rot", password="second-canary")
    changed = time.monotonic()
    _, err = sleeper.communicate(timeout=60)
    assert sleeper.returncode != 0 and "credential" in err, err
    assert time.monotonic() - changed < 20  # 5 s are promised; other suites run beside this one
    assert exo("tool", "exec", "rot", "--", "-Atc", "select 41 + 1", timeout=300).stdout == "42\n"


@any_rights
def test_a_running_statement_is_not_idle_and_silence_is(exo, shop, tools):
    shop(idleTimeout="5s")
    assert exo("tool", "exec", "shop", "--", "-Atc", "select pg_sleep(12), 'done'", timeout=300).stdout == "|done\n"
    quiet = exo.start("tool", "forward", "shop", "0")
    port = int(re.search(r":(\d+) ", quiet.stdout.readline()).group(1))
    client = subprocess.Popen(["psql", "-h", "127.0.0.1", "-p", str(port), "-XAt", "app"], env={"PATH": os.environ["PATH"]},
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    client.stdin.write("select 'here';\n")
    client.stdin.flush()
    assert client.stdout.readline() == "here\n"
    wait_for(lambda: not exo.json("tool", "sessions", "shop")["items"], "the idle session to end", 60)
    _, err = client.communicate("select 'again';\n", timeout=60)
    assert "idle" in err, err
    quiet.send_signal(signal.SIGINT)
    quiet.wait(60)
    tools.wait_no_bastion("shop")


@any_rights
def test_a_gigabyte_passes_and_memory_stays_flat(exo, shop, tools):
    shop(limits={"timeout": "10m"}, maxSessionSeconds=1200)
    command = exo.command("tool", "exec", "shop", "--", "-Atc", "copy (select repeat('x', 1023) from generate_series(1, 1048576)) to stdout")
    process = subprocess.Popen(command, env=exo.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    size = 0
    while chunk := process.stdout.read(1 << 20):
        size += len(chunk)
    assert process.wait(60) == 0, process.stderr.read()
    assert size == 1 << 30
    peak = {command: int(line.split()[1]) for name in ("bastion", "client") for pid, command in processes(tools.wait_bastion("shop"), name)
            if "bastion" in command for line in open(f"/proc/{pid}/status", encoding="utf-8") if line.startswith("VmHWM")}
    assert peak and max(peak.values()) < 32 * 1024, peak


# ---------------------------------------------------------------- trouble
@any_rights
def test_a_dead_bastion_a_dead_database_and_a_dead_manager_end_sessions_with_words(exo, shop, tools, postgres):
    shop()

    def during(trouble):
        sleeper = exo.start("tool", "exec", "shop", "--", "-c", "select pg_sleep(600)")
        wait_for(lambda: [one for one in exo.json("tool", "sessions", "shop")["items"] if one["busy"]], "the session", 300)
        trouble()
        _, err = sleeper.communicate(timeout=120)
        assert sleeper.returncode != 0 and err.strip(), (trouble, err)
        done = exo("tool", "exec", "shop", "--", "-Atc", "select 'back'", timeout=300)
        assert done.stdout == "back\n", done.stderr

    def kill_bastion():
        for pid, command in processes(tools.wait_bastion("shop"), "bastion"):
            if "bastion" in command:
                os.kill(pid, signal.SIGKILL)

    def kill_database():
        postgres.kill()
        postgres.start()

    def kill_manager():
        tools.kube.must("-n", "agentkube-system", "delete", "pod", "-l", "app.kubernetes.io/name=agentkube-manager", "--grace-period=0", "--force")
        tools.kube.must("-n", "agentkube-system", "rollout", "status", "deployment/agentkube-manager", "--timeout=120s")

    during(kill_bastion)
    during(kill_database)
    pod = tools.wait_bastion("shop")["metadata"]["uid"]
    during(kill_manager)
    assert tools.wait_bastion("shop")["metadata"]["uid"] == pod, "a restarted manager adopts the bastion that is there"
    records = tools.audit()
    assert len({(one["bootID"], one["seq"]) for one in records}) == len(records)


@any_rights
def test_a_wrong_password_and_a_closed_port_are_told_apart(tools, postgres):
    tools.secret("wrong", password="wrong")
    tools.apply("wrong", "postgres", probe=True, config=config(postgres, username="app", databaseName="app", credentialsRef={"name": "wrong", "key": "password"}))
    message = tools.wait_ready("wrong", "False", "ProbeFailed")["message"]
    assert "authenticat" in message and "password authentication failed" in message, message
    tools.apply("closed", "postgres", probe=True, config={"hostname": postgres.host, "port": 9, "username": "app", "databaseName": "app",
                                                            "credentialsRef": {"name": "wrong", "key": "password"}})
    assert "reach" in tools.wait_ready("closed", "False", "ProbeFailed")["message"]


def test_deletion_takes_the_roles_along(tools, shop, postgres):
    mine = "select count(*) from pg_roles where rolname like 'agentkube%'"
    before = int(postgres.sql(mine).strip().split()[-1])
    shop()
    assert int(postgres.sql(mine).strip().split()[-1]) > before
    tools.delete("shop")
    assert int(postgres.sql(mine).strip().split()[-1]) == before


# ---------------------------------------------------------------- agents
def transcript(exo, name):
    return exo("agent", "logs", name, timeout=120).stdout


@pytest.mark.parametrize("runtime", ["ClaudeCode", "OpenCode"])
def test_an_agent_answers_from_a_real_database_and_cannot_write(agents, exo, worker, shop, tools, postgres, runtime):
    before = checksum(postgres)
    shop()
    worker("clerk", runtime, tools=[{"name": "shop"}])
    done = exo("agent", "run", "clerk", '[[tool: shop_query {"sql": "select item from orders where id = 5"}]] what is order five?', "--follow", timeout=400)
    assert "item 5" in done.stdout + done.stderr, done.stdout + done.stderr
    for sql in ("delete from orders", "with d as (delete from orders returning 1) select * from d", "select 1; delete from orders", "COMMIT; delete from orders"):
        done = exo("agent", "run", "clerk", "[[tool: shop_query %s]] do it please" % json.dumps({"sql": sql}), "--follow", code=None, timeout=300)
        assert re.search("denied|refused|cannot|read-only|not allowed|multiple", done.stdout + done.stderr), (sql, done.stdout + done.stderr)
    assert checksum(postgres) == before
    pod = agents.pod("clerk")
    for container in ("agent", "keeper"):
        for pid, command in processes(pod, container):
            assert SECRET.encode() not in environment_of(pid) and not memory_holds(pid, SECRET.encode()), command
    records = [one for one in tools.audit() if one["caller"]["kind"] == "Agent"]
    assert {one["verdict"] for one in records} >= {"Allowed"} and all(one["caller"]["name"] == "clerk" for one in records), records
    said = json.dumps([tools.get("shop"), agents.get("clerk"), agents.pods()]) + \
        tools.kube.must("-n", tools.namespace, "get", "events", "-o", "json") + \
        tools.kube.must("-n", "agentkube-system", "logs", "deploy/agentkube-manager", "--tail=-1") + \
        tools.kube.kubectl("-n", tools.namespace, "logs", "shop-bastion", "--all-containers").stdout + \
        tools.kube.must("-n", tools.namespace, "logs", "clerk", "--all-containers")
    assert SECRET not in said and ADMIN not in said


@any_rights
def test_two_agents_have_different_rights_at_one_tool(exo, worker, shop, postgres):
    shop(privileges=("SELECT", "INSERT"))
    worker("writer", "OpenCode", tools=[{"name": "shop"}])
    worker("reader", "OpenCode", tools=[{"name": "shop", "readOnly": True}])
    insert = '[[tool: shop_execute {"sql": "insert into orders values (1001, \'new\')"}]] store it'
    denied = exo("agent", "run", "reader", insert, "--follow", code=None, timeout=400)
    assert "1001" not in postgres.sql("select id from orders", database="app"), denied.stdout
    exo("agent", "run", "writer", insert, "--follow", timeout=400)
    assert "1001" in postgres.sql("select id from orders", database="app")
    postgres.sql("delete from orders where id = 1001", database="app")


@any_rights
def test_a_write_waits_for_a_person_even_through_a_restart(exo, shop, tools, postgres):
    shop(privileges=("SELECT", "INSERT"), approval={"mode": "Writes", "timeout": "10m"})
    insert = ["tool", "call", "shop", "execute", "sql=insert into orders values (2001, 'approved')"]
    asked = exo.start(*insert)
    waiting = wait_for(lambda: [one for one in exo.json("tool", "approvals", "shop")["items"] if one["phase"] == "Pending"], "the approval", 300)
    tools.kube.must("-n", "agentkube-system", "rollout", "restart", "deployment/agentkube-manager")
    tools.kube.must("-n", "agentkube-system", "rollout", "status", "deployment/agentkube-manager", "--timeout=240s")
    asked.communicate(timeout=240)
    exo("tool", "approve", "shop", waiting[0]["id"], "--reason", "fine")
    exo(*insert, timeout=240)
    assert postgres.sql("select count(*) from orders where id = 2001", database="app").strip().split()[-1] == "1"
    postgres.sql("delete from orders where id = 2001", database="app")
    refused = exo.start(*insert)
    again = wait_for(lambda: [one for one in exo.json("tool", "approvals", "shop")["items"] if one["phase"] == "Pending"], "the second approval", 120)
    exo("tool", "deny", "shop", again[0]["id"], "--reason", "not today")
    _, err = refused.communicate(timeout=120)
    assert refused.returncode != 0 and "not today" in err, err
    assert exo("tool", "exec", "shop", "--", "-c", "insert into orders values (2002, 'x')", code=1).stderr  # others only read meanwhile


# ---------------------------------------------------------------- recordings, and who may
def test_a_terminal_is_recorded_and_played_back(exo, shop):
    shop()
    typed = "select 'rec' || 'orded';\n\\q\n"
    script = subprocess.run(["script", "-qec", " ".join(exo.command("tool", "connect", "shop")), "/dev/null"], env={**exo.environment, "TERM": "xterm"},
                            input=typed, text=True, capture_output=True, timeout=300, check=False)
    assert "recorded" in script.stdout, script.stdout + script.stderr
    recordings = wait_for(lambda: exo.json("session", "list", "shop")["items"], "the recording", 120)
    cast = exo("session", "export", "shop", recordings[0]["id"]).stdout.splitlines()
    assert json.loads(cast[0])["version"] == 2
    assert "recorded" in "".join(event[2] for event in map(json.loads, cast[1:]) if event[1] == "o")


@any_rights
def test_what_is_not_granted_is_refused_and_explained(exo, shop, cluster, agents, tmp_path):
    shop()
    explained = exo("tool", "explain", "shop", "execute", "--", "delete from orders", code=None)
    assert "rule:" in explained.stdout and "spec.permissions" in explained.stdout, explained.stdout
    assert exo("tool", "explain", "shop", "query", "--", "select 1").stdout.startswith("allowed")
    exo("tool", "call", "shop", "no_such_operation", code=None)


# ---------------------------------------------------------------- other systems
@any_rights
def test_mysql_redis_http_and_ssh_the_same_way(exo, tools, cluster):
    host = node_address(cluster)
    with MariaDB(host=host, users={"app": SECRET}) as mysql, Redis(host=host, password=SECRET) as redis, \
            Nginx(host=host, server='location / { if ($http_authorization != "Bearer %s") { return 401 denied; } return 200 "hello $uri\\n"; }' % SECRET) as web, \
            Ssh(host=host) as ssh:
        tools.secret("m", password=SECRET)
        reference = {"name": "m", "key": "password"}
        mysql.sql("create table app.t(i int); insert into app.t values (7); grant all on app.* to app")
        tools.ready("my", "mysql", probe=True, config=config(mysql, username="app", databaseName="app", credentialsRef=reference))
        assert "7" in exo("tool", "exec", "my", input="select i from t;\n", timeout=300).stdout
        tools.ready("cache", "redis", probe=True, config=config(redis, credentialsRef=reference))
        assert "PONG" in exo("tool", "exec", "cache", "--", "ping", timeout=300).stdout
        tools.ready("web", "http", probe=True, config={"url": f"http://{web.host}:{web.port}", "credentialsRef": reference},
                    permissions={"requests": [{"methods": ["GET"], "paths": ["/public/*"]}]})
        assert "hello /public/x" in exo("tool", "call", "web", "http_request", "method=GET", "path=/public/x", timeout=300).stdout
        assert "requests" in exo("tool", "call", "web", "http_request", "method=GET", "path=/private", code=FORBIDDEN).stderr
        with open(ssh.private_key, encoding="utf-8") as key:
            tools.secret("key", **{"ssh-privatekey": key.read()})
        tools.ready("box", "ssh", probe=True, config={"hostname": ssh.host, "port": ssh.port, "username": ssh.admin, "hostKey": ssh.host_key,
                                                      "credentialsRef": {"name": "key", "key": "ssh-privatekey"}},
                    permissions={"commands": ["echo over there"]})
        assert exo("tool", "exec", "box", "--", "echo over there", timeout=300).stdout == "over there\n"
        assert exo("tool", "exec", "box", "--", "id", code=None).returncode != 0


def test_kubernetes_gives_exactly_the_rights_of_its_rules(exo, tools):
    tools.ready("kube", "kubernetes", probe=True, config={"inCluster": True},
                permissions={"rules": [{"resources": ["configmaps"], "verbs": ["get", "list"]}]})
    assert "kube-root-ca.crt" in exo("tool", "exec", "kube", "--", "get", "configmaps", timeout=300).stdout
    assert "forbidden" in exo("tool", "exec", "kube", "--", "get", "secrets", code=1).stderr.lower()
    assert "forbidden" in exo("tool", "exec", "kube", "--", "delete", "configmap", "kube-root-ca.crt", code=1).stderr.lower()
    tools.delete("kube")
    assert "kube" not in tools.kube.must("-n", tools.namespace, "get", "roles,rolebindings", "-o", "name")
