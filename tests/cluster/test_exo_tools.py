# SPDX-License-Identifier: Apache-2.0
"""exo and Tools, as people use it: a real API server, the real manager behind its service proxy, and a bastion whose sessions are
programs of this machine (kubetest.runners). Real systems behind real bastions are in the suites engines and e2e."""
import fcntl
import http.server
import json
import re
import signal
import socket
import struct
import subprocess
import termios
import threading
import time

import pytest
import yaml
from kubetest import program, wait_for
from kubetest.cluster import AGENTS
from kubetest.runners import Runner
from kubetest.tool_pods import ToolPods
from test_exo import (BUSY, FAILED, FORBIDDEN, NOT_FOUND, OK, REACH, TIMEOUT, USAGE, Exo, exo, real, script, user_with)  # noqa: F401  fixtures too
from test_tools_service import tool

CONFIG = tool()["spec"]["config"]
USE = {"apiGroups": ["agentkube.io"], "resources": ["tools/exec"], "verbs": ["create"]}
ROWS = {"columns": [{"name": "id", "type": "int8"}, {"name": "item", "type": "text"}], "rows": [[1, "apple"], [2, None], [3, {"a": [1]}]], "rowCount": 3}


class Scene:
    """A Tool of a namespace with the real manager, and its bastions."""

    def __init__(self, kube, namespace, exo, manager):
        self.kube, self.namespace, self.exo, self.manager, self.runners = kube, namespace, exo, manager, []
        self.tools = ToolPods(kube, namespace)
        self.tools.secret("db", password="hunter2-of-the-database")

    def tool(self, name="db", type_="postgres", config=CONFIG, status="True", **spec):
        self.tools.apply(name, type_, config=config, **spec)
        self.tools.wait_condition(name, "Ready", status)

    def runner(self, name="db", **options):
        self.runners.append(Runner(self.kube, self.namespace, name, **options))
        return self.runners[-1]

    def up(self, name="db", **spec):
        """The Tool, and the bastion that its first use brings."""
        self.tool(name, **spec)
        first = self.exo.start("tool", "exec", name, "--", "-c", "exit 0")
        one = self.runner(name)
        assert first.wait(60) == OK, first.stderr.read()
        return one

    def sessions(self, name="db"):
        return json.loads(self.exo("tool", "sessions", name, "-o", "json").stdout)["items"]

    def status(self, name="db", **status):
        code, body = self.kube.api("PATCH", f"{AGENTS}/namespaces/{self.namespace}/tools/{name}/status", {"status": status}, "merge")
        assert code == 200, body


@pytest.fixture
def scene(control_plane, namespace, exo, real):  # noqa: F811
    one = Scene(control_plane, namespace, exo, real)
    yield one
    for runner in one.runners:
        runner.close()


def table(text):
    """Rows of a table, as lists of cells."""
    return [re.split(r" {3,}", line.strip()) for line in text.splitlines()]


# ---- objects

def test_tables_of_tools_are_those_of_kubectl(exo, control_plane, namespace):  # noqa: F811
    control_plane.apply(tool("db"), {**tool("other", description="the other one"), "metadata": {"name": "other", "labels": {"app": "x"}}}, namespace=namespace)
    for flags in ([], ["-o", "wide"], ["-o", "name"], ["--no-headers"], ["-l", "no=such"], ["-l", "app=x"]):
        kubectl = control_plane.kubectl("get", "tools", "-n", namespace, *flags)
        age = re.compile(r"\b\d+[smhd](\d+[smhd])?\b")
        assert age.sub("AGE", exo("tool", "list", *flags).stdout).split() == age.sub("AGE", kubectl.stdout).split()
    assert table(exo("tool", "list").stdout)[0][0] == "NAME" and "postgres" in exo("tool", "ls").stdout
    assert any(line.split()[:2] == [namespace, "db"] for line in exo("tools", "list", "-A").stdout.splitlines())
    one = json.loads(exo("tool", "get", "db", "-o", "json").stdout)
    assert one["spec"]["type"] == "postgres" and "managedFields" not in one["metadata"]
    assert yaml.safe_load(exo("tool", "get", "db", "-o", "yaml").stdout) == one
    both = exo("tool", "get", "db", "gone", code=NOT_FOUND)
    assert "db" in both.stdout and '"gone" not found' in both.stderr


def test_tools_are_applied_watched_described_and_deleted(exo, control_plane, namespace):  # noqa: F811
    text = yaml.safe_dump_all([{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "db"}, "stringData": {"password": "x"}}, tool("db")])
    assert exo("tool", "apply", "-f", "-", "--dry-run", input=text).stdout.count("created (dry run)") == 2
    assert exo("tool", "apply", "-f", "-", "--field-manager", "me", input=text).stdout == "secret/db created\ntool.agentkube.io/db created\n"
    wrong = tool("wrong")
    wrong["spec"]["type"] = "nonsense"
    assert "type" in exo("tool", "apply", "-f", "-", input=yaml.safe_dump(wrong), code=FAILED).stderr
    watch = exo.start("tool", "list", "-w")
    assert [watch.stdout.readline().split()[0] for _ in range(2)] == ["NAME", "db"]
    path = f"{AGENTS}/namespaces/{namespace}/tools/db"
    probe = {"time": "2026-01-01T00:00:00Z", "succeeded": False, "reachable": True, "authenticated": False, "authorised": False,
             "message": "password authentication failed", "server": "PostgreSQL 15.5"}
    waiting = {"id": "ap-1", "phase": "Pending", "requestedBy": "clerk", "caller": "Agent", "operation": "execute", "class": "write", "hash": "h",
               "preview": "delete from t", "requestedTime": "2026-01-01T00:00:00Z", "expiresTime": "2036-01-01T00:00:00Z"}
    code, body = control_plane.api("PATCH", path + "/status", {"status": {"phase": "Failed", "lastProbe": probe, "approvals": [waiting]}}, "merge")
    assert code == 200, body
    assert watch.stdout.readline().split()[0] == "db"
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=10)
    shown = exo("tool", "describe", "db").stdout
    for words in ("postgres", "10.9.8.7", "Failed", "password authentication failed", "PostgreSQL 15.5", "ap-1", "clerk", "execute"):
        assert words in shown, shown
    assert "x" not in re.findall(r"^Credential: *(.*)$", shown, re.M)
    exo("tool", "describe", "gone", code=NOT_FOUND)
    theirs = yaml.safe_dump(tool("db", description="theirs"))
    exo("tool", "apply", "-f", "-", "--field-manager", "other", input=theirs)
    assert "--force-conflicts" in exo("tool", "apply", "-f", "-", input=yaml.safe_dump(tool("db", description="mine")), code=BUSY).stderr
    exo("tool", "apply", "-f", "-", "--force-conflicts", input=yaml.safe_dump(tool("db", description="mine")))
    assert exo("tool", "delete", "db", "--dry-run").stdout == "tool.agentkube.io/db deleted (dry run)\n"
    assert exo("tool", "delete", "db", "--timeout", "30s").stdout == "tool.agentkube.io/db deleted\n"
    exo("tool", "delete", "db", code=NOT_FOUND)
    exo("tool", "delete", "db", "--ignore-not-found")


def test_a_check_says_what_the_system_answered(scene):
    scene.tool()
    cases = [({}, OK, "PostgreSQL 15.5 is reachable and lets the Tool in", ""),
             ({"authenticated": False, "authorised": False, "message": 'password authentication failed for user "app"'}, FAILED,
              "PostgreSQL 15.5 is reachable, but does not accept the credential", 'failed for user "app"'),
             ({"authorised": False, "message": "permission denied"}, FAILED, "allows nothing that the Tool needs", "permission denied"),
             ({"reachable": False, "authenticated": False, "authorised": False, "server": "", "message": "connection refused"}, FAILED,
              "the system of this Tool cannot be reached", "connection refused")]
    for result, code, words, why in cases:
        asked = scene.exo.start("tool", "probe", "db", "--hold", "60s")
        scene.tools.probed("db", result, 1 if code else 0)
        out, err = asked.communicate(timeout=90)
        assert (asked.returncode, words in out, why in err) == (code, True, True), (out, err)
        scene.tools.wait_no_pod("db-probe")
    late = scene.exo("tool", "probe", "db", "--hold", "1s", code=TIMEOUT)
    assert "exo tool describe db" in late.stderr
    assert '"gone"' in scene.exo("tool", "probe", "gone", code=NOT_FOUND).stderr


# ---- programs

def test_a_program_gets_arguments_input_and_gives_its_exit_code(scene):
    runner = scene.up()
    said = scene.exo("tool", "exec", "db", "--", "-c", 'for a; do echo "<$a>"; done; echo bad >&2; exit 3', "sh", "two words", "ä&=#%+", "", "--flag", "a\nb", code=3)
    assert said.stdout == "<two words>\n<ä&=#%+>\n<>\n<--flag>\n<a\nb>\n" and said.stderr == "bad\n"
    assert scene.exo("tool", "exec", "db", input="echo from input\n").stdout == "from input\n"
    assert scene.exo("tool", "exec", "db", "--", "-c", "read a; read b; echo $b$a", input="one\ntwo\n").stdout == "twoone\n"
    assert scene.exo("tool", "exec", "db", "--", "-c", "kill -9 $$", code=137).stdout == ""
    for code in (1, 5, 255):
        scene.exo("tool", "exec", "db", "--", "-c", f"exit {code}", code=code)
    assert all(not session["readOnly"] for session in scene.sessions())
    process = scene.exo.start("tool", "exec", "db", "--read-only", "--", "-c", "sleep 600")
    held = wait_for(lambda: scene.sessions(), "the session")[0]
    assert held["readOnly"] is True and held["args"] == ["-c", "sleep 600"] and held["kind"] == "Exec"
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT
    wait_for(lambda: runner.processes[-1].poll() is not None, "the program to be ended")
    assert scene.sessions() == []


def test_bytes_pass_as_they_are_and_a_pipe_may_break(scene):
    runner = scene.up()
    data = bytes(range(256)) * (3 << 12)  # 3 MiB
    done = subprocess.run(scene.exo.command("tool", "exec", "db", "--", "-c", "exec cat"), input=data, capture_output=True, check=True, env=scene.exo.environment, timeout=120)
    assert done.stdout == data
    cut = subprocess.run(["bash", "-c", 'set -o pipefail; "$@" | head -c 5', "bash", *scene.exo.command("tool", "exec", "db", "--", "-c", "yes")], capture_output=True,
                         check=False, env=scene.exo.environment, stdin=subprocess.DEVNULL, timeout=60)
    assert cut.stdout == b"y\ny\ny" and cut.stderr == b"" and cut.returncode not in (0, OK)
    wait_for(lambda: runner.processes[-1].poll() is not None, "the program to be ended")
    long = scene.exo("tool", "exec", "db", "--", "-c", "true", "x" * 9000, code=USAGE)
    assert "standard input" in long.stderr


def test_what_is_refused_or_missing_is_said_with_its_code(scene, tmp_path):
    scene.tool("limited")
    assert "nothing to do" in scene.exo.on_terminal("tool", "exec", "limited")[1]
    assert scene.exo.on_terminal("tool", "exec", "limited")[0] == USAGE
    assert "did not come up in 2 s" in scene.exo("tool", "exec", "limited", "--hold", "2s", "--", "-c", "x", code=TIMEOUT).stderr
    assert 'gone" does not exist' in scene.exo("tool", "exec", "gone", "--", "x", code=NOT_FOUND).stderr
    nobody, _ = user_with(scene.kube, scene.namespace, str(tmp_path), [REACH], "may-reach")
    assert "tools/exec" in scene.exo("tool", "exec", "limited", "--kubeconfig", nobody, "--", "x", code=FORBIDDEN).stderr
    assert "tools/exec" in scene.exo("tool", "call", "limited", "query", "sql=select 1", "--kubeconfig", nobody, code=FORBIDDEN).stderr
    for words in (("sessions", "limited"), ("approvals", "limited"), ("probe", "limited"), ("kill", "limited", "s"), ("approve", "limited", "a"),
                  ("deny", "limited", "a"), ("explain", "limited", "query", "sql=select 1")):
        assert "tools" in scene.exo("tool", *words, "--kubeconfig", nobody, code=FORBIDDEN).stderr, words
    for words in (("list", "limited"), ("export", "limited", "r")):
        assert "tools/log" in scene.exo("session", *words, "--kubeconfig", nobody, code=FORBIDDEN).stderr, words


def test_a_bastion_may_refuse_a_session_in_its_own_words(scene):
    runner = scene.up()
    for code, exit_code in ((403, FORBIDDEN), (429, BUSY)):
        runner.refuses = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": code, "message": f"all 10 sessions are taken ({code})"}
        assert f"are taken ({code})" in scene.exo("tool", "exec", "db", "--", "-c", "true", code=exit_code).stderr


def test_where_a_tool_is_says_the_kubeconfig_or_a_flag(scene, control_plane, tmp_path):
    runner = scene.up()
    with open(control_plane.kubeconfig, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    first = next(c for c in config["contexts"] if c["name"] == config["current-context"])
    config["contexts"].append({"name": "work", "context": {**first["context"], "namespace": scene.namespace}})
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(config))
    command = [program("exo"), "tool", "exec", "db", "--kubeconfig", str(path), "--operator-namespace", scene.namespace]
    run = lambda *more: subprocess.run([*command, *more, "--", "-c", "echo here"], capture_output=True, text=True, check=False,  # noqa: E731
                                       env=scene.exo.environment, stdin=subprocess.DEVNULL, timeout=60)
    assert run("--context", "work").stdout == "here\n"
    assert run().returncode == FORBIDDEN and "serves the namespace" in run().stderr, "default"
    assert run("-n", scene.namespace).stdout == "here\n" and len(runner.processes) == 3


# ---- terminals

def test_a_terminal_is_the_programs_own(scene):
    scene.up()

    def grow(fd):
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 33, 111, 0, 0))

    code, shown = scene.exo.on_terminal("tool", "connect", "db", shell='stty rows 22 cols 77; "$@"; echo "code $?"; stty -a', keys=[
        ("remote> ", "stty size\n"), ("22 77", grow), ("remote> ", "while [ \"$(stty size)\" = \"22 77\" ]; do sleep 0.1; done; stty size\n"), ("33 111", "tty | grep -c pts; test -t 2 && echo err-is-a-tty\n"),
        ("err-is-a-tty\r\n", "echo sleeping; sleep 600\n"), ("sleeping\r\n", "\x03"), ("remote> ", "echo after; exit 9\n")])
    assert code == OK and "code 9" in shown, shown
    assert re.search(r"(^|\s)icanon", shown.split("code 9")[1]) and re.search(r"(^|\s)echo\b", shown.split("code 9")[1]), "the terminal is as it was"


def test_a_terminal_wants_one_and_its_right(scene, tmp_path):
    scene.up()
    assert "exo tool exec" in scene.exo("tool", "connect", "db", code=USAGE).stderr
    runs, _ = user_with(scene.kube, scene.namespace, str(tmp_path), [REACH, USE], "may-run")
    scene.exo("tool", "exec", "db", "--kubeconfig", runs, "--", "-c", "true")
    code, shown = scene.exo.on_terminal("tool", "connect", "db", "--kubeconfig", runs)
    assert code == FORBIDDEN and "tools/connect" in shown and shown.splitlines()[-1].startswith("exo: ")


def test_an_ended_session_says_why_in_its_last_line(scene):
    scene.up()
    asked = scene.exo.start("tool", "exec", "db", "--", "-c", "echo on; sleep 600")
    assert asked.stdout.readline() == "on\n"
    one = scene.sessions()[0]["id"]
    assert scene.exo("tool", "kill", "db", one, "--reason", "the quarter is closed").stdout == f"session {one} ended\n"
    _, err = asked.communicate(timeout=30)
    assert asked.returncode == FAILED and err.splitlines()[-1].endswith("the quarter is closed") and "ended by" in err

    def kill(_):
        scene.exo("tool", "kill", "db", "--all", "--reason", "lunch")

    code, shown = scene.exo.on_terminal("tool", "connect", "db", keys=[("remote> ", kill)])
    assert code == FAILED and "lunch" in shown.splitlines()[-1]
    assert "no such session" in scene.exo("tool", "kill", "db", one, code=NOT_FOUND).stderr
    for words in (["db"], ["db", one, "--all"]):
        assert "--all" in scene.exo("tool", "kill", *words, code=USAGE).stderr
    assert scene.exo("tool", "kill", "db", "--all").stdout == ""


def test_sessions_are_listed(scene):
    scene.up()
    assert "No sessions" in scene.exo("tool", "sessions", "db").stderr
    asked = [scene.exo.start("tool", "exec", "db", "--", "-c", f"sleep {600 + i}") for i in range(3)]
    wait_for(lambda: len(scene.sessions()) == 3, "three sessions")
    rows = table(scene.exo("tool", "sessions", "db").stdout)
    assert rows[0][:4] == ["ID", "KIND", "CALLER", "NAME"] and len(rows) == 4 and all(row[1:3] == ["Exec", "Person"] for row in rows[1:]), rows
    assert len(table(scene.exo("tool", "sessions", "db", "--no-headers").stdout)) == 3
    assert yaml.safe_load(scene.exo("tool", "sessions", "db", "-o", "yaml").stdout)["items"] == scene.sessions()
    assert scene.exo("tool", "kill", "db", "--all").stdout.count(" ended\n") == 3
    for one in asked:
        assert one.wait(30) == FAILED


# ---- forward

class Web:
    """A server of this machine, as the system behind a Tool."""

    def __init__(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                body = b"x" * int(self.path[1:])
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.1,), daemon=True).start()
        self.address = self.server.server_address

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def web():
    one = Web()
    yield one
    one.close()


class Forwarded:
    """exo tool forward, and the address that it says."""

    def __init__(self, exo, *flags):  # noqa: F811
        self.process = exo.start("tool", "forward", "db", *flags)
        self.line = self.process.stdout.readline()
        found = re.fullmatch(r"Forwarding from \[?([^\]]+?)\]?:(\d+) to Tool db\n", self.line)
        assert found, self.line + self.process.stderr.read()
        self.host, self.port = found[1], int(found[2])

    def connect(self):
        return socket.create_connection((self.host, self.port), timeout=30)

    def end(self, code=OK, number=signal.SIGINT):
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=20)
        assert self.process.returncode == code, err
        return err


def test_local_clients_go_through_a_forwarded_port(scene, web):
    runner = scene.up()
    runner.target = web.address
    port = Forwarded(scene.exo, "0")
    assert port.host == "127.0.0.1"
    url = f"http://127.0.0.1:{port.port}"
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", f"{url}/1000000", f"{url}/5"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout == "x" * 1000005, done.stderr
    many = [subprocess.Popen(["curl", "-sS", "--noproxy", "*", f"{url}/{100000 + i}"], stdout=subprocess.PIPE) for i in range(12)]
    assert [len(one.communicate(timeout=60)[0]) for one in many] == [100000 + i for i in range(12)]
    with port.connect() as half:  # a client that has said all it has to say still gets its answer
        half.sendall(b"GET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        half.shutdown(socket.SHUT_WR)
        assert half.makefile("rb").read().endswith(b"\r\n\r\nxxx")
    wait_for(lambda: not scene.sessions(), "all sessions to have ended")
    held = port.connect()
    one = wait_for(lambda: scene.sessions(), "the session")[0]
    assert one["kind"] == "Forward" and not one["readOnly"]
    scene.exo("tool", "kill", "db", one["id"], "--reason", "lunch")
    assert held.recv(10) == b""
    held.close()
    assert re.search(r"^exo: connection \d+: ended by .*: lunch$", port.end(), re.M)


def test_ctrl_c_ends_a_forward_whatever_its_clients_do(scene, web):
    runner = scene.up()
    runner.target = web.address
    port = Forwarded(scene.exo, "0", "--read-only", "--address", "127.0.0.2")
    assert port.host == "127.0.0.2"
    lazy, quiet = port.connect(), port.connect()
    lazy.sendall(b"GET /30000000 HTTP/1.1\r\nHost: x\r\n\r\n")  # and takes nothing of it
    wait_for(lambda: len(scene.sessions()) == 2 and all(one["readOnly"] for one in scene.sessions()), "both sessions")
    time.sleep(1)  # until every buffer on the way is full; less only makes the test easier
    assert port.end() == ""
    lazy.close()
    quiet.close()
    wait_for(lambda: not scene.sessions(), "the sessions to end")


def test_a_forwarded_port_is_refused_where_it_cannot_be(scene):
    scene.tool()
    scene.tool("mongo", "mongodb", config={"hostname": "10.9.8.7", "username": "u", "credentialsRef": {"name": "db", "key": "password"}})
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = str(taken.getsockname()[1])
        assert "another port" in scene.exo("tool", "forward", "db", number, code=FAILED).stderr
    assert "cannot be forwarded" in scene.exo("tool", "forward", "mongo", "0", code=USAGE).stderr
    assert '"gone"' in scene.exo("tool", "forward", "gone", code=NOT_FOUND).stderr
    for words in (["nonsense"], ["65536"], ["0", "--address", "not an address"]):
        assert "not an address to listen on" in scene.exo("tool", "forward", "db", *words, code=USAGE).stderr, words
    six = Forwarded(scene.exo, "0", "--address", "::1")
    assert six.line.startswith("Forwarding from [::1]:")
    assert six.end() == ""


# ---- operations

def test_an_operation_is_called_and_its_rows_are_a_table(scene):
    runner = scene.up()
    asked, answer = [], {"class": "read", "rule": "engine", "sessionID": "s", "milliseconds": 2, "bytes": 10, "rows": 3}
    result = ROWS

    def reply(body):
        asked.append(body)
        return 200, {**answer, "result": result}
    runner.answer = reply
    done = scene.exo("tool", "call", "db", "query", "sql=select * from t where a = $1", "params:=[7, null]", "maxRows:=3")
    assert asked[0]["operation"] == "query" and asked[0]["arguments"] == {"sql": "select * from t where a = $1", "params": [7, None], "maxRows": 3}
    assert table(done.stdout) == [["id", "item"], ["1", "apple"], ["2", "NULL"], ["3", '{"a":[1]}']] and done.stderr == "(3 rows)\n"
    assert scene.exo("tool", "call", "db", "query", "-", input='{"sql": "select 1"}').returncode == OK and asked[1]["arguments"] == {"sql": "select 1"}
    scene.exo("tool", "call", "db", "query", "sql=select 1", "--read-only")
    assert asked[2]["readOnly"] is True and asked[0]["readOnly"] is False
    assert json.loads(scene.exo("tool", "call", "db", "query", "sql=select 1", "-o", "json").stdout)["result"] == ROWS
    assert yaml.safe_load(scene.exo("tool", "call", "db", "query", "sql=select 1", "-o", "yaml").stdout)["class"] == "read"
    result = {**ROWS, "rows": [[1, "a\x1b[2Jb\n"]], "truncated": True}
    done = scene.exo("tool", "call", "db", "query", "sql=select 1")
    assert "\x1b" not in done.stdout and "(1 row; there are more: the Tool's limit)" in done.stderr
    result = {"columns": [], "rows": [], "rowCount": 1, "truncated": False, "command": "INSERT 0 1"}
    assert scene.exo("tool", "call", "db", "execute", "sql=insert into t values (1)").stderr == "(INSERT 0 1)\n"
    result = {"columns": [], "rows": [], "rowCount": 1, "truncated": False, "lastInsertId": 7}
    assert scene.exo("tool", "call", "db", "execute", "sql=insert into t values (1)").stderr == "(1 row affected)\n"
    result = {"text": "a \x1b[2J line", "exitCode": 4}
    assert scene.exo("tool", "call", "db", "query", "sql=select 1", code=4).stdout == "a \x1b[2J line\n", "a file gets what was written"
    code, shown = scene.exo.on_terminal("tool", "call", "db", "query", "sql=select 1")
    assert code == 4 and "\x1b" not in shown and "a \ufffd[2J line\n" == shown
    result = {"status": 200, "headers": {"a": "b"}, "body": {"x": 1}}
    assert json.loads(scene.exo("tool", "call", "db", "query", "sql=select 1").stdout) == result


def test_arguments_that_are_none_are_refused_before_anything_is_sent(scene):
    scene.tool()
    for words, said in ((["sql"], "KEY=TEXT"), (["=x"], "KEY=TEXT"), ([":=1"], "KEY=TEXT"), (["a:={"], "a: "), (["a=1", "a=2"], "given twice"),
                        (["x" * 200 + "=1"], "too long")):
        assert said in scene.exo("tool", "call", "db", "query", *words, code=USAGE).stderr, words
    for text, said in (("[1]", "no object"), ("{", "standard input"), ('{"a": "' + "x" * (1 << 20) + '"}', "longer than")):
        assert said in scene.exo("tool", "call", "db", "query", "-", input=text, code=USAGE).stderr
    assert "exo tool call --help" in scene.exo("tool", "call", "db", code=USAGE).stderr
    assert "no_such" in scene.exo("tool", "call", "db", "no_such", code=NOT_FOUND).stderr


def test_what_a_system_answers_is_said_as_it_is(scene):
    runner = scene.up()
    for code, exit_code in ((422, FAILED), (403, FORBIDDEN), (429, BUSY), (504, TIMEOUT)):
        runner.answer = lambda body, code=code: (code, {"kind": "Status", "status": "Failure", "message": "relation \"t\" does not exist\x1b[2J", "code": code})
        assert "relation \"t\" does not exist" in scene.exo("tool", "call", "db", "query", "sql=select 1", code=exit_code).stderr
    code, shown = scene.exo.on_terminal("tool", "call", "db", "query", "sql=select 1")
    assert code == TIMEOUT and "does not exist\ufffd[2J" in shown and "\x1b" not in shown
    runner.answer = lambda body: (0, None)
    assert "whether the operation was done is not known" in scene.exo("tool", "call", "db", "query", "sql=select 1", code=FAILED).stderr


def test_which_rule_decides_is_explained(scene):
    scene.tool(status="False", permissions={"readOnly": True, "adminCredentialsRef": {"name": "db", "key": "password"}})
    done = scene.exo("tool", "explain", "db", "query", "--", "select", "1")
    assert done.stdout.splitlines()[0] == "allowed" and re.search(r"^  class:  read$", done.stdout, re.M) and "  rule:   " in done.stdout
    done = scene.exo("tool", "explain", "db", "execute", "--", "delete from t", code=FORBIDDEN)
    assert done.stdout.splitlines()[0] == "refused" and "spec.permissions" in done.stdout and "reason:" in done.stdout
    for form, load in (("json", json.loads), ("yaml", yaml.safe_load)):
        tree = load(scene.exo("tool", "explain", "db", "execute", "sql=drop table t", "-o", form, code=FORBIDDEN).stdout)
        assert tree["allowed"] is False and tree["class"] == "admin" and tree["rule"].startswith("spec.permissions"), tree
    scene.tool("careful", approval={"mode": "Writes", "timeout": "5m"})
    assert scene.exo("tool", "explain", "careful", "execute", "--", "delete from t").stdout.startswith("waits for approval\n")
    assert scene.exo("tool", "explain", "careful", "execute", "--read-only", "--", "delete from t", code=FORBIDDEN).stdout.startswith("refused\n")
    assert "either arguments" in scene.exo("tool", "explain", "db", "query", "sql=x", "--", "select 1", code=USAGE).stderr
    assert scene.exo("tool", "explain", "gone", "query", "--", "x", code=NOT_FOUND).stdout == ""
    assert "no operation" in scene.exo("tool", "explain", "db", "no_such", "--", "x", code=NOT_FOUND).stderr
    assert scene.kube.pod(scene.namespace, "db-bastion") is None, "nothing was done"


# ---- approvals

def test_a_write_is_asked_for_agreed_to_and_done(scene):
    runner = scene.up(approval={"mode": "Writes", "timeout": "5m"})
    assert "Nothing waits." in scene.exo("tool", "approvals", "db").stderr
    write = ("tool", "call", "db", "execute", "sql=delete from t", "--hold", "1s")
    asked = scene.exo(*write, code=BUSY)
    one = json.loads(scene.exo("tool", "approvals", "db", "-o", "json").stdout)["items"][0]
    assert one["phase"] == "Pending" and one["id"] in asked.stderr
    rows = table(scene.exo("tool", "approvals", "db").stdout)
    assert rows[0][:3] == ["ID", "PHASE", "REQUESTED BY"] and rows[1][:2] == [one["id"], "Pending"] and rows[1][-1].startswith("delete from t"), rows
    assert len(table(scene.exo("tool", "approvals", "db", "--no-headers").stdout)) == 1
    assert "Pending" in scene.exo("tool", "describe", "db").stdout
    assert scene.exo("tool", "approve", "db", one["id"], "--reason", "as agreed").stdout == f"{one['id']} approved\n"
    scene.exo(*write)
    assert runner.calls[-1]["approved"] is True
    assert "is Used" in scene.exo("tool", "approve", "db", one["id"], code=BUSY).stderr
    # and one that is not
    write = ("tool", "call", "db", "execute", "sql=drop table t", "--hold", "1s")
    scene.exo(*write, code=BUSY)
    items = json.loads(scene.exo("tool", "approvals", "db", "-o", "json").stdout)["items"]
    second = next(item["id"] for item in items if item["phase"] == "Pending")
    assert scene.exo("tool", "deny", "db", second, "--reason", "not today").stdout == f"{second} denied\n"
    assert "not today" in scene.exo(*write, code=FORBIDDEN).stderr
    scene.exo("tool", "deny", "db", "ap-0000000000", code=NOT_FOUND)
    assert {item["phase"] for item in json.loads(scene.exo("tool", "approvals", "db", "-o", "json").stdout)["items"]} == {"Used", "Denied"}


# ---- recordings

def recording(*events):
    return ('{"version": 2, "width": 80, "height": 24}\n' + "".join(json.dumps(event) + "\n" for event in events)).encode()


def test_a_recording_is_listed_exported_and_played(scene):
    runner = scene.up()
    assert "No recordings found." in scene.exo("session", "list", "db").stderr
    text = recording([0.1, "o", "first\r\n"], [0.2, "r", "100x30"], [50.0, "o", "\x1b[31msecond ä\x1b[0m\r\n"], [51.0, "i", "typed"], [100.0, "o", "third\r\n"])
    one = runner.finish_recording(text, durationSeconds=100)
    wait_for(lambda: scene.exo("session", "list", "db").stdout, "the recording")
    rows = table(scene.exo("session", "list", "db").stdout)
    assert rows[0] == ["ID", "USER", "AGE", "DURATION", "BYTES", "CUT"] and rows[1][:2] == [one, "somebody"] and rows[1][3:] == ["1m40s", str(len(text)), "false"]
    assert len(table(scene.exo("session", "ls", "db", "--no-headers").stdout)) == 1
    assert json.loads(scene.exo("session", "list", "db", "-o", "json").stdout)["items"][0]["id"] == one
    assert scene.exo("session", "export", "db", one).stdout.encode() == text
    assert "exo session export" in scene.exo("session", "play", "db", one, code=USAGE).stderr
    began = time.monotonic()
    code, shown = scene.exo.on_terminal("session", "play", "db", one, "--idle-limit", "100ms")
    assert code == OK and time.monotonic() - began < 20
    assert shown.index("first") < shown.index("\x1b[31msecond ä\x1b[0m") < shown.index("third") and "typed" not in shown and "version" not in shown
    # two pauses of two seconds, a hundred times as fast
    code, shown = scene.exo.on_terminal("session", "play", "db", one, "--speed", "100")
    assert code == OK and "third" in shown
    began = time.monotonic()
    code, shown = scene.exo.on_terminal("session", "play", "db", one, "--idle-limit", "10m", keys=[("first", "\x03")])
    assert code == OK and "second" not in shown and time.monotonic() - began < 20 and shown.endswith("\x1b[?25h\r\n")
    for verb in ("export", "play"):
        run = scene.exo.on_terminal("session", verb, "db", "rec-none")
        assert run[0] == NOT_FOUND and "has no recording" in run[1], run


# ---- completion

def test_words_behind_tools_are_completed(exo, control_plane, namespace):  # noqa: F811
    control_plane.apply(tool("orders"), tool("others"), tool("web", type="http", config={"url": "http://10.0.0.1"}), namespace=namespace)
    waiting = {"phase": "Pending", "requestedBy": "clerk", "caller": "Agent", "operation": "execute", "class": "write", "hash": "h", "preview": "x",
               "requestedTime": "2026-01-01T00:00:00Z", "expiresTime": "2036-01-01T00:00:00Z"}
    kept = {"sessionID": "s", "user": "somebody", "startTime": "2026-01-01T00:00:00Z", "durationSeconds": 1, "bytes": 1, "storedBytes": 1, "truncated": False}
    status = {"approvals": [{**waiting, "id": "ap-1"}, {**waiting, "id": "ap-2", "phase": "Used"}], "recordings": [{**kept, "id": "rec-a"}, {**kept, "id": "rec-b"}]}
    code, body = control_plane.api("PATCH", f"{AGENTS}/namespaces/{namespace}/tools/orders/status", {"status": status}, "merge")
    assert code == 200, body

    def complete(*words):
        done = subprocess.run([program("exo"), "__complete", *words], capture_output=True, text=True, check=True, env=exo.environment)
        return [line.split("\t")[0] for line in done.stdout.splitlines()]
    here = ("-n", namespace)
    assert complete("sess") == ["session"] and complete("tool", "app") == ["approvals", "approve", "apply"] and complete("session", "p") == ["play"]
    assert complete("tool", "connect", *here, "o") == ["orders", "others"] and complete("tool", "connect", *here, "orders", "") == []
    assert complete("tool", "call", *here, "orders", "") == ["query", "execute", "list_tables", "describe_table"]
    assert complete("tool", "explain", *here, "web", "http") == ["http_request"] and complete("tool", "call", *here, "orders", "query", "") == []
    assert complete("tool", "approve", *here, "orders", "") == ["ap-1"] == complete("tool", "deny", *here, "orders", "ap")
    assert complete("session", "play", *here, "orders", "") == ["rec-a", "rec-b"] == complete("session", "export", *here, "orders", "rec-")
    assert complete("session", "list", *here, "w") == ["web"] and complete("tool", "approve", *here, "gone", "") == []
    assert "--idle-limit=" in complete("session", "play", "--") and complete("tool", "call", "-o", "") == ["json", "yaml"]
