#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The agentlet as a process: test_program.py PATH-OF-AGENTLET. Speaks TAP.

Everything is real: processes, signals, git, HTTP on loopback. Waits are for conditions.
"""
import base64
import functools
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest

AGENTLET = ""
DEADLINE = 30  # seconds that anything may take on a busy machine
TOKEN = "canary-7f3d-token"
ENV = {"PATH": os.environ["PATH"], "LC_ALL": "C",
       **{k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}}
GIT_ENV = {**ENV, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.com",
           "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.com"}


def eventually(condition, what, deadline=DEADLINE):
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {deadline} s: {what}")


def is_static():
    """No program interpreter (PT_INTERP, 3) among the ELF program headers."""
    with open(AGENTLET, "rb") as file:
        data = file.read()
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    return all(struct.unpack_from("<I", data, offset + i * size)[0] != 3 for i in range(count))


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def write(path, text, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def children_of(pid):
    """(pid, state) of the children of a process."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            fields = read(f"/proc/{name}/stat").rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid:
            found.append((int(name), fields[0]))
    return found


def is_alive(pid):
    try:
        return read(f"/proc/{pid}/stat").rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Case(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="agentlet-test-")
        self.addCleanup(shutil.rmtree, self.dir)
        for name in ("workspace", "state", "home", "tmp"):
            os.mkdir(f"{self.dir}/{name}")
        self.workspace = f"{self.dir}/workspace"
        self.message_path = f"{self.dir}/message"
        self.env = {**ENV, "AGENTKUBE_WORKSPACE": self.workspace, "AGENTKUBE_LISTEN": "127.0.0.1:0",
                    "AGENTKUBE_STATE_DIR": f"{self.dir}/state", "HOME": f"{self.dir}/home",
                    "TMPDIR": f"{self.dir}/tmp", "AGENTKUBE_TERMINATION_LOG": self.message_path,
                    "AGENTKUBE_AGENT_NAME": "tester", "AGENTKUBE_AGENT_NAMESPACE": "default",
                    "AGENTKUBE_RUNTIME": "Custom"}

    def message(self):
        return read(self.message_path)

    def call(self, *args, **env):
        return subprocess.run([AGENTLET, *args], env={**self.env, **env}, text=True, timeout=DEADLINE * 4,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)


class Running:
    """`agentlet run`, its log read by a thread."""

    def __init__(self, case, command=None, read_output=True, **env):
        self.case = case
        self.stdout = b""
        self.stderr = ""
        self.port = 0
        self.process = subprocess.Popen(command or [AGENTLET, "run"], env={**case.env, **env},
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.threads = [threading.Thread(target=self.read_stderr)]
        if read_output:
            self.threads.append(threading.Thread(target=self.read_stdout))
        for thread in self.threads:
            thread.start()
        case.addCleanup(self.end)

    def read_stderr(self):
        for line in self.process.stderr:
            self.stderr += line.decode()
            if b'"msg":"started"' in line:
                self.port = json.loads(line)["port"]

    def read_stdout(self):
        for block in iter(functools.partial(self.process.stdout.read1, 65536), b""):
            self.stdout += block

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for thread in self.threads:
            thread.join()
        self.process.stdout.close()
        self.process.stderr.close()

    def wait(self):
        code = self.process.wait(DEADLINE)
        for thread in self.threads:
            thread.join()
        return code

    def request(self, path, method="GET"):
        eventually(lambda: self.port or self.process.poll() is not None, "the endpoint")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        try:
            connection.request(method, path)
            reply = connection.getresponse()
            return reply.status, reply.read().decode(), dict(reply.getheaders())
        finally:
            connection.close()

    def until_ready(self):
        eventually(lambda: self.request("/readyz")[0] == 200, "ready")
        return self

    def raw(self, data):
        eventually(lambda: self.port, "the endpoint")
        with socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE) as sock:
            sock.sendall(data)
            reply = b""
            try:
                for block in iter(lambda: sock.recv(4096), b""):
                    reply += block
            except ConnectionResetError:
                pass
            return reply.decode()


class TestInstall(Case):
    def test_install_copies_a_program_that_works(self):
        done = self.call("install", self.dir)
        self.assertEqual(done.returncode, 0, done.stderr)
        copy = f"{self.dir}/agentlet"
        self.assertEqual(stat.S_IMODE(os.stat(copy).st_mode), 0o755)
        with open(copy, "rb") as ours, open(AGENTLET, "rb") as theirs:
            self.assertEqual(ours.read(), theirs.read())
        out = subprocess.run([copy, "version"], env=ENV, stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertRegex(out, r"^agentlet \d+\.\d+\.\d+\n$")

    def test_install_replaces_an_older_one_and_leaves_nothing_else(self):
        write(f"{self.dir}/agentlet", "old")
        before = set(os.listdir(self.dir))
        self.assertEqual(self.call("install", self.dir).returncode, 0)
        self.assertEqual(set(os.listdir(self.dir)), before)
        self.assertGreater(os.stat(f"{self.dir}/agentlet").st_size, 100000)

    def test_install_into_nowhere_fails_and_says_where(self):
        done = self.call("install", f"{self.dir}/nowhere")
        self.assertEqual(done.returncode, 1)
        self.assertIn("nowhere/agentlet", done.stderr)

    def test_wrong_usage_is_exit_code_2(self):
        for args in ([], ["fly"], ["install"], ["run", "now"]):
            done = self.call(*args)
            self.assertEqual(done.returncode, 2, args)
            self.assertIn("usage: agentlet VERB", done.stderr)

    def test_help_names_every_verb(self):
        done = self.call("help")
        self.assertEqual(done.returncode, 0)
        for verb in ("install", "workspace", "run", "call-tool", "version", "help"):
            self.assertIn(f"  {verb}", done.stdout)


class TestForeignImage(Case):
    def setUp(self):
        super().setUp()
        if not is_static():
            self.skipTest("a sanitizer's build is not static")
        if os.geteuid() != 0:
            self.skipTest("chroot needs root")
        self.root = f"{self.dir}/root"
        os.mkdir(self.root)
        shutil.copy(AGENTLET, f"{self.root}/agentlet")

    def chrooted(self, *args):
        return ["chroot", "--userspec=65532:65532", self.root, "/agentlet", *args]

    def test_it_runs_in_an_image_with_nothing_else_as_any_user(self):
        run = Running(self, self.chrooted("run"), AGENTKUBE_WORKSPACE="/").until_ready()
        self.assertEqual(json.loads(run.request("/readyz")[1])["phase"], "Ready")
        run.process.terminate()
        self.assertEqual(run.wait(), 0)

    def test_a_setup_command_without_a_shell_says_so(self):
        run = Running(self, self.chrooted("run"), AGENTKUBE_WORKSPACE="/", AGENTKUBE_SETUP_COMMAND="true")
        self.assertEqual(run.wait(), 10)
        self.assertIn("there is no /bin/sh in this image", run.stderr)

    def test_a_repository_without_git_says_so(self):
        done = subprocess.run(self.chrooted("workspace"), stderr=subprocess.PIPE, text=True, check=False,
                              env={**self.env, "AGENTKUBE_WORKSPACE": "/",
                                   "AGENTKUBE_REPO_URL": "https://git.example.com/a/b"})
        self.assertEqual(done.returncode, 2)  # "/" is not writable for 65532
        os.mkdir(f"{self.root}/w", 0o777)
        os.chmod(f"{self.root}/w", 0o777)
        done = subprocess.run(self.chrooted("workspace"), stderr=subprocess.PIPE, text=True, check=False,
                              env={**self.env, "AGENTKUBE_WORKSPACE": "/w",
                                   "AGENTKUBE_REPO_URL": "https://git.example.com/a/b"})
        self.assertEqual(done.returncode, 3)
        self.assertIn("there is no git in this image", done.stderr)

    def test_it_is_small(self):
        stripped = f"{self.dir}/stripped"
        if shutil.which("strip") is None:
            self.skipTest("no strip")
        subprocess.run(["strip", "-o", stripped, AGENTLET], check=True)
        self.assertLess(os.stat(stripped).st_size, 1500000)


class TestRun(Case):
    def test_without_setup_it_is_ready_and_says_what_it_is(self):
        run = Running(self).until_ready()
        status, body, headers = run.request("/readyz")
        state = json.loads(body)
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual((status, state["phase"], state["setup"]), (200, "Ready", {"state": "None"}))
        self.assertEqual(state["agent"], {"namespace": "default", "name": "tester"})
        self.assertEqual(state["runtime"], "Custom")
        self.assertGreaterEqual(state["uptimeSeconds"], 0)
        saved = json.loads(read(f"{self.dir}/state/state.json"))
        del state["uptimeSeconds"]
        self.assertEqual(saved, state)
        self.assertEqual(run.request("/healthz")[:2], (200, "ok\n"))

    def test_it_answers_nothing_but_its_two_paths(self):
        run = Running(self).until_ready()
        for path, method, wanted in (("/", "GET", 404), ("/healthz/", "GET", 404), ("/readyz?x=1", "GET", 200),
                                     ("/readyz", "POST", 405), ("/readyz", "DELETE", 405)):
            self.assertEqual(run.request(path, method)[0], wanted, (method, path))
        status, body, headers = run.request("/readyz", "HEAD")
        self.assertEqual((status, body), (200, ""))
        self.assertGreater(int(headers["Content-Length"]), 100)
        self.assertTrue(run.raw(b"nonsense\r\n\r\n").startswith("HTTP/1.1 400 "))
        self.assertTrue(run.raw(b"GET /readyz HTTP/2\r\n\r\n").startswith("HTTP/1.1 400 "))
        self.assertTrue(run.raw(b"GET /healthz HTTP/1.0\n\n").startswith("HTTP/1.1 200 "))
        self.assertTrue(run.raw(b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 431 "))
        self.assertEqual(run.request("/healthz")[0], 200)

    def test_idle_connections_do_not_keep_the_kubelet_out(self):
        run = Running(self).until_ready()
        idle = [socket.create_connection(("127.0.0.1", run.port)) for _ in range(100)]
        try:
            self.assertEqual(run.request("/healthz")[0], 200)
            descriptors = len(os.listdir(f"/proc/{run.process.pid}/fd"))
            self.assertLess(descriptors, 50)
            eventually(lambda: len(os.listdir(f"/proc/{run.process.pid}/fd")) < 10, "idle ones are closed")
        finally:
            for sock in idle:
                sock.close()

    def test_setup_runs_in_the_workspace_before_ready(self):
        gate = f"{self.dir}/gate"
        run = Running(self, AGENTKUBE_SETUP_COMMAND=f"pwd; echo to stderr >&2; printf 'no newline' >made; "
                                                    f"until [ -e {gate} ]; do sleep 0.05; done; printf end")
        self.assertEqual(run.request("/healthz")[0], 200)
        status, body, _ = run.request("/readyz")
        self.assertEqual((status, json.loads(body)["phase"]), (503, "Setup"))
        self.assertEqual(json.loads(body)["setup"], {"state": "Running"})
        write(gate, "")
        run.until_ready()
        self.assertEqual(json.loads(run.request("/readyz")[1])["setup"]["state"], "Succeeded")
        self.assertEqual(read(f"{self.workspace}/made"), "no newline")
        run.process.terminate()
        self.assertEqual(run.wait(), 0)
        self.assertEqual(run.stdout.decode(),
                         f"setup: {os.path.realpath(self.workspace)}\nsetup: to stderr\nsetup: end\n")

    def test_a_failed_setup_ends_it_with_the_reason(self):
        run = Running(self, AGENTKUBE_SETUP_COMMAND="echo one; echo two >&2; exit 7")
        self.assertEqual(run.wait(), 10)
        self.assertEqual(self.message(), "SetupFailed: the setup command ended with exit code 7\none\ntwo")
        state = json.loads(read(f"{self.dir}/state/state.json"))
        self.assertEqual((state["phase"], state["setup"]["state"], state["setup"]["exitCode"]), ("Failed", "Failed", 7))

    def test_a_killed_setup_is_reported_like_a_shell_does(self):
        run = Running(self, AGENTKUBE_SETUP_COMMAND="kill -KILL $$")
        self.assertEqual(run.wait(), 10)
        self.assertIn("exit code 137 (killed: out of memory?)", self.message())

    def test_a_slow_setup_is_killed_with_all_that_it_started(self):
        pids = f"{self.dir}/pids"
        run = Running(self, AGENTKUBE_SETUP_TIMEOUT_SECONDS="1", AGENTKUBE_GRACE_SECONDS="1",
                      AGENTKUBE_SETUP_COMMAND=f"trap '' TERM; sleep 1000 & echo $! >{pids}; echo waiting; wait; wait")
        self.assertEqual(run.wait(), 11)
        self.assertEqual(self.message(), "SetupTimeout: the setup command did not end within 1 seconds\nwaiting")
        self.assertFalse(is_alive(int(read(pids))))

    def test_a_line_of_ten_megabytes_passes(self):
        run = Running(self, AGENTKUBE_SETUP_COMMAND="head -c 10485760 /dev/zero | tr '\\0' x; echo; echo after")
        run.until_ready()
        eventually(lambda: run.stdout.endswith(b"\n"), "the log")
        lines = run.stdout.decode().split("\n")
        self.assertTrue(lines[0].startswith("setup: xxxx") and lines[0].endswith("... (line cut)"))
        self.assertLess(len(lines[0]), 20000)
        self.assertEqual(lines[1:], ["setup: after", ""])

    def test_output_without_end_is_cut_and_read_on(self):
        run = Running(self, AGENTKUBE_SETUP_COMMAND="yes 0123456789 | head -c 19999991; echo last; exit 1")
        self.assertEqual(run.wait(), 10)
        eventually(lambda: run.stdout.endswith(b"setup: ... (more output is not shown)\n"), "the end of the log")
        self.assertLess(len(run.stdout), 12 << 20)
        self.assertTrue(self.message().endswith("0123456789\nlast"), self.message()[-100:])
        self.assertLessEqual(len(self.message()), 2048)

    def test_a_log_that_nobody_reads_does_not_stop_the_probes(self):
        run = Running(self, read_output=False, AGENTKUBE_SETUP_COMMAND="yes; true")
        eventually(lambda: self.is_blocked_on_output(run), "the pipes are full")
        self.assertEqual(run.request("/healthz")[0], 200)
        run.process.terminate()
        self.assertEqual(run.process.wait(DEADLINE), 0)

    @staticmethod
    def is_blocked_on_output(run):
        """The whole chain has stopped: `yes` sleeps and nothing more is written."""
        def written():
            return [read(f"/proc/{pid}/io").split("wchar: ")[1].split("\n")[0] for pid, _ in children_of(run.process.pid)]
        before = written()
        time.sleep(0.2)
        return before and written() == before and run.port

    def test_binary_output_becomes_a_readable_message(self):
        run = Running(self, AGENTKUBE_SETUP_COMMAND=r"printf 'a\000b\377\033[31m gr\303\274n\r\n'; exit 1")
        self.assertEqual(run.wait(), 10)
        self.assertEqual(self.message().split("\n")[1], "a?b??[31m grün?")

    def test_wrong_settings_are_exit_code_2_and_named(self):
        for variable, value in (("AGENTKUBE_GRACE_SECONDS", "soon"), ("AGENTKUBE_SETUP_TIMEOUT_SECONDS", "0"),
                                ("AGENTKUBE_LISTEN", "8083"), ("AGENTKUBE_LISTEN", "localhost:80"),
                                ("AGENTKUBE_WORKSPACE", "relative"), ("AGENTKUBE_WORKSPACE", "/nowhere/at/all")):
            done = self.call("run", **{variable: value})
            self.assertEqual(done.returncode, 2, (variable, value, done.stderr))
            self.assertTrue(self.message().startswith(f"InvalidConfiguration: {variable} \"{value}\": "), self.message())

    def test_a_port_that_is_taken_is_an_internal_error(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            self.assertEqual(self.call("run", AGENTKUBE_LISTEN=address).returncode, 1)
        self.assertIn(f'cannot listen on "{address}"', self.message())

    def test_missing_folders_for_reports_do_not_matter(self):
        run = Running(self, AGENTKUBE_STATE_DIR="/nowhere", AGENTKUBE_TERMINATION_LOG="/nowhere/log").until_ready()
        run.process.terminate()
        self.assertEqual(run.wait(), 0)
        self.assertIn("the state was not saved", run.stderr)

    def test_the_workspace_of_another_user_becomes_safe_for_git_once(self):
        if os.geteuid() != 0:
            self.skipTest("chown needs root")
        os.chown(self.workspace, 12345, 12345)
        for _ in range(2):
            run = Running(self).until_ready()
            run.process.terminate()
            self.assertEqual(run.wait(), 0)
        config = f"{self.dir}/home/.gitconfig"
        out = subprocess.run(["git", "config", "--file", config, "--get-all", "safe.directory"], env=GIT_ENV,
                             stdout=subprocess.PIPE, text=True, check=True).stdout
        self.assertEqual(out, self.workspace + "\n")


class TestStop(Case):
    def test_sigterm_is_passed_on_and_ends_it(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            mark = f"{self.dir}/mark-{number}"
            run = Running(self, AGENTKUBE_SETUP_COMMAND=f"(trap 'echo term >{mark}; exit' TERM; touch {mark}; "
                                                        f"while :; do sleep 0.05; done) & until [ -e {mark} ]; do sleep 0.05; done")
            run.until_ready()
            run.process.send_signal(number)
            self.assertEqual(run.wait(), 0)
            self.assertEqual(read(mark), "term\n")
            self.assertEqual(self.message(), f"Stopped: by {number.name}")
            self.assertEqual(json.loads(read(f"{self.dir}/state/state.json"))["phase"], "Stopping")

    def test_who_ignores_term_is_killed_after_the_grace(self):
        pid = f"{self.dir}/pid"
        run = Running(self, AGENTKUBE_GRACE_SECONDS="1",
                      AGENTKUBE_SETUP_COMMAND=f"trap '' TERM; sleep 1000 & echo $! >{pid}").until_ready()
        start = time.monotonic()
        run.process.terminate()
        eventually(lambda: run.process.poll() is not None or run.request("/readyz")[0] == 503, "not ready")
        self.assertEqual(run.wait(), 0)
        self.assertGreater(time.monotonic() - start, 0.9)
        self.assertFalse(is_alive(int(read(pid))))

    def test_a_stop_during_setup_is_a_stop(self):
        run = Running(self, AGENTKUBE_SETUP_COMMAND="echo begun; sleep 1000")
        eventually(lambda: b"begun" in run.stdout, "the setup")
        run.process.terminate()
        self.assertEqual(run.wait(), 0)
        self.assertEqual(self.message(), "Stopped: by SIGTERM during setup")
        state = json.loads(read(f"{self.dir}/state/state.json"))
        self.assertEqual(state["setup"]["state"], "Stopped")

    def test_other_signals_reach_what_it_started(self):
        run = Running(self, AGENTKUBE_SETUP_COMMAND="trap 'echo hup' HUP; trap 'echo usr1; exit 0' USR1; echo armed; "
                                                    "while :; do sleep 0.05; done")
        eventually(lambda: b"armed" in run.stdout, "the traps")
        run.process.send_signal(signal.SIGHUP)
        eventually(lambda: b"hup" in run.stdout, "SIGHUP")
        run.process.send_signal(signal.SIGUSR1)
        run.until_ready()
        self.assertIn(b"setup: usr1\n", run.stdout)

    def test_orphans_are_reaped(self):
        run = Running(self, AGENTKUBE_SETUP_COMMAND="for i in 1 2 3 4 5 6 7 8; do (sleep 0.2 & sleep 0.1 & ) & done; "
                                                    "setsid sleep 0.3 & true").until_ready()
        eventually(lambda: not children_of(run.process.pid), "no children, not even zombies")
        self.assertEqual(run.request("/healthz")[0], 200)

    def test_children_do_not_inherit_blocked_signals_or_descriptors(self):
        run = Running(self, AGENTKUBE_SETUP_COMMAND="grep -E '^Sig(Blk|Ign)' /proc/self/status; ls /proc/self/fd").until_ready()
        eventually(lambda: run.stdout.count(b"\n") >= 6, "the log")
        lines = run.stdout.decode().replace("setup: ", "").split("\n")
        self.assertEqual([line.split(":")[0] for line in lines[:2]], ["SigBlk", "SigIgn"])
        libc_internal = 3 << 31  # SIGCANCEL and SIGSETXID: posix_spawn leaves them ignored
        for line in lines[:2]:
            self.assertEqual(int(line.split()[1], 16) & ~libc_internal, 0, line)
        self.assertEqual([fd for fd in lines[2:-1] if int(fd) > 3], [])  # 3 is ls's own


class TestFirstProcess(Case):
    """As PID 1 of a PID namespace, like in a container."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0 or subprocess.run(["unshare", "--pid", "--fork", "true"], check=False,
                                               stderr=subprocess.DEVNULL).returncode != 0:
            self.skipTest("unshare --pid is not allowed")
        self.command = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", AGENTLET, "run"]

    def agentlet(self, run):
        return eventually(lambda: children_of(run.process.pid), "PID 1")[0][0]

    def test_it_reaps_what_it_did_not_start(self):
        run = Running(self, self.command, AGENTKUBE_SETUP_COMMAND="for i in 1 2 3 4 5; do setsid sh -c 'sleep 0.2 & sleep 0.1' & done; "
                                                                  "echo $PPID").until_ready()
        self.assertEqual(run.stdout, b"setup: 1\n")
        eventually(lambda: not children_of(self.agentlet(run)), "no children")

    def test_a_stop_reaches_sessions_that_left(self):
        run = Running(self, self.command, AGENTKUBE_GRACE_SECONDS="1",
                      AGENTKUBE_SETUP_COMMAND="setsid sh -c 'trap \"\" TERM; while :; do sleep 0.05; done' >/dev/null 2>&1 & "
                                              "setsid sleep 1000 >/dev/null 2>&1 &").until_ready()
        pid = self.agentlet(run)
        eventually(lambda: len(children_of(pid)) == 2, "both sessions")
        others = [child for child, _ in children_of(pid)]
        os.kill(pid, signal.SIGTERM)
        self.assertEqual(run.wait(), 0)
        for other in others:
            self.assertFalse(is_alive(other))

    def test_nobody_inside_can_end_it_with_a_signal_that_it_does_not_handle(self):
        run = Running(self, self.command, AGENTKUBE_SETUP_COMMAND="kill -ALRM 1; kill -VTALRM 1; kill -KILL 1; true").until_ready()
        self.assertEqual(run.request("/healthz")[0], 200)


class DumbServer:
    """A folder over HTTP with a password: what git calls the dumb protocol."""

    def __init__(self, case, folder, redirect_to=None, silent=False):
        server = self
        self.users = []
        self.stopped = threading.Event()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                if silent:
                    server.stopped.wait(DEADLINE)
                    return
                if redirect_to:
                    self.send_response(302)
                    self.send_header("Location", redirect_to() + self.path)
                    self.end_headers()
                    return
                text = self.headers.get("Authorization", "")
                user = base64.b64decode(text[6:]).decode() if text.startswith("Basic ") else ""
                server.users.append(user)
                if not user.endswith(":" + TOKEN):
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="git"')
                    self.end_headers()
                    return
                super().do_GET()

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        thread.start()

        def stop():
            self.stopped.set()
            self.server.shutdown()
            thread.join()
            self.server.server_close()
        case.addCleanup(stop)


class TestWorkspace(Case):
    def setUp(self):
        super().setUp()
        if shutil.which("git") is None:
            self.skipTest("no git")
        self.repo = f"{self.dir}/served/repo.git"
        self.source = f"{self.dir}/source"
        os.mkdir(self.source)
        os.mkdir(f"{self.dir}/served")
        self.git("init", "-q", "-b", "main")
        write(f"{self.source}/file", "one\n")
        os.symlink("file", f"{self.source}/link")
        os.mkdir(f"{self.source}/sub")
        write(f"{self.source}/sub/tool", "#!/bin/sh\n", 0o755)
        self.git("add", ".")
        self.git("commit", "-qm", "one")
        self.git("tag", "v1")
        self.git("tag", "-a", "-m", "two", "v1-annotated")
        self.first = self.git("rev-parse", "HEAD")
        self.git("checkout", "-qb", "feature/x")
        write(f"{self.source}/file", "two\n")
        self.git("commit", "-qam", "two")
        self.second = self.git("rev-parse", "HEAD")
        self.git("checkout", "-q", "main")
        subprocess.run(["git", "clone", "-q", "--bare", self.source, self.repo], env=GIT_ENV, check=True)
        self.git("update-server-info", cwd=self.repo)
        self.url = f"file://{self.repo}"

    def git(self, *args, cwd=None):
        return subprocess.run(["git", *args], cwd=cwd or self.source, env={**GIT_ENV, "HOME": f"{self.dir}/home"}, text=True,
                              check=True, stdout=subprocess.PIPE).stdout.strip()

    def clone(self, **env):
        done = self.call("workspace", **{"AGENTKUBE_REPO_URL": self.url, **env})
        self.log = done.stderr + done.stdout
        self.assertEqual(os.listdir(f"{self.dir}/tmp"), [], "temporary files stay")
        return done.returncode

    def head(self):
        return self.git("-c", f"safe.directory={self.workspace}", "rev-parse", "HEAD", cwd=self.workspace)

    def secret(self, **keys):
        folder = f"{self.dir}/secret"
        os.mkdir(folder)
        for key, value in keys.items():
            write(f"{folder}/{key.replace('_', '-') if key == 'ssh_privatekey' else key}", value, 0o600)
        return folder

    def assert_empty(self):
        self.assertEqual(os.listdir(self.workspace), [])

    def test_the_default_branch_is_cloned_whole(self):
        self.assertEqual(self.clone(), 0, getattr(self, "log", ""))
        self.assertEqual(self.message(), f"Cloned: main at {self.first}")
        self.assertEqual(sorted(os.listdir(self.workspace)), [".git", "file", "link", "sub"])
        self.assertEqual(read(f"{self.workspace}/file"), "one\n")
        self.assertEqual(os.readlink(f"{self.workspace}/link"), "file")
        self.assertTrue(os.access(f"{self.workspace}/sub/tool", os.X_OK))
        self.assertEqual(self.git("status", "--porcelain=v2", "--branch", cwd=self.workspace).split("\n")[1:],
                         ["# branch.head main", "# branch.upstream origin/main", "# branch.ab +0 -0"])

    def test_each_kind_of_ref_is_found(self):
        self.git("update-ref", "refs/pull/1/head", self.second, cwd=self.repo)
        for ref, commit, branch in (("feature/x", self.second, "feature/x"), ("refs/heads/feature/x", self.second, "feature/x"),
                                    ("v1", self.first, "HEAD"), ("v1-annotated", self.first, "HEAD"),
                                    ("refs/tags/v1", self.first, "HEAD"), (self.second, self.second, "HEAD"),
                                    (self.second[:8], self.second, "HEAD"), ("refs/pull/1/head", self.second, "HEAD"),
                                    ("HEAD", self.first, "main")):
            with self.subTest(ref=ref):
                self.assertEqual(self.clone(AGENTKUBE_REPO_REF=ref), 0, getattr(self, "log", ""))
                self.assertEqual(self.message(), f"Cloned: {'main' if ref == 'HEAD' else ref} at {commit}")
                self.assertEqual(self.head(), commit)
                self.assertEqual(self.git("rev-parse", "--abbrev-ref", "HEAD", cwd=self.workspace), branch)
                shutil.rmtree(self.workspace)
                os.mkdir(self.workspace)

    def test_a_ref_that_does_not_exist_is_exit_code_5(self):
        for ref in ("nowhere", "0123456789012345678901234567890123456789", "refs/pull/9/head"):
            self.assertEqual(self.clone(AGENTKUBE_REPO_REF=ref), 5, ref)
            self.assertTrue(self.message().startswith(
                f'RefNotFound: there is no branch, tag or commit "{ref}" in "{self.url}"'), self.message())
            self.assertNotIn(".git", os.listdir(self.workspace))

    def test_a_repository_that_does_not_exist_is_exit_code_4_with_gits_words(self):
        self.assertEqual(self.clone(AGENTKUBE_REPO_URL=self.url + "-no"), 4)
        self.assertTrue(self.message().startswith(f'CloneFailed: git could not clone "{self.url}-no" (exit code 128)\n'))
        self.assertIn("does not appear to be a git repository", self.message())

    def test_an_empty_repository_is_fine(self):
        subprocess.run(["git", "init", "-q", "--bare", f"{self.dir}/empty"], env=GIT_ENV, check=True)
        self.assertEqual(self.clone(AGENTKUBE_REPO_URL=f"file://{self.dir}/empty"), 0)
        self.assertEqual(self.message(), "Cloned: the repository is empty")
        self.assertEqual(os.listdir(self.workspace), [".git"])

    def test_a_clone_that_is_there_is_kept_as_it_is(self):
        self.assertEqual(self.clone(), 0)
        write(f"{self.workspace}/file", "my work\n")
        write(f"{self.workspace}/new", "more\n")
        self.git("branch", "mine", cwd=self.workspace)
        for url in (self.url, self.url[:-len(".git")], self.url + "/"):
            self.assertEqual(self.clone(AGENTKUBE_REPO_URL=url, AGENTKUBE_REPO_REF="feature/x"), 0)
            self.assertEqual(self.message(), "Kept: the workspace has a clone already, nothing changed")
        self.assertEqual(read(f"{self.workspace}/file"), "my work\n")
        self.assertEqual(self.head(), self.first)

    def test_a_clone_of_another_repository_is_a_conflict(self):
        self.assertEqual(self.clone(), 0)
        self.git("remote", "set-url", "origin", f"https://me:{TOKEN}@example.com/other", cwd=self.workspace)
        self.assertEqual(self.clone(), 6)
        self.assertTrue(self.message().startswith(
            f'WorkspaceConflict: the workspace has a clone of "https://example.com/other", not of "{self.url}"'), self.message())
        self.assertNotIn(TOKEN, self.log + self.message())
        self.git("remote", "remove", "origin", cwd=self.workspace)
        self.assertEqual(self.clone(), 6)
        self.assertIn('"(no origin)"', self.message())

    def test_the_configuration_of_an_existing_clone_runs_nothing(self):
        self.assertEqual(self.clone(), 0)
        trap = f"{self.dir}/trap"
        write(f"{self.dir}/evil", f"#!/bin/sh\ntouch {trap}\n", 0o755)
        for key in ("core.fsmonitor", "core.sshCommand", "core.pager", "core.editor", "diff.external", "core.hooksPath"):
            self.git("config", key, f"{self.dir}/evil", cwd=self.workspace)
        self.git("config", "include.path", f"{self.dir}/evil", cwd=self.workspace)
        self.assertEqual(self.clone(), 0)
        self.assertFalse(os.path.exists(trap))

    def test_files_that_are_no_clone_are_not_touched(self):
        os.mkdir(f"{self.workspace}/lost+found")
        write(f"{self.workspace}/file", "mine\n")
        self.assertEqual(self.clone(), 6)
        self.assertTrue(self.message().startswith('WorkspaceNotEmpty: the workspace is no clone and not empty ("file" is there)'))
        self.assertEqual(read(f"{self.workspace}/file"), "mine\n")
        os.unlink(f"{self.workspace}/file")
        self.assertEqual(self.clone(), 0)
        self.assertTrue(os.path.isdir(f"{self.workspace}/lost+found"))

    def test_an_interrupted_clone_begins_anew(self):
        os.makedirs(f"{self.workspace}/.agentkube-clone/tree/.git/objects")
        write(f"{self.workspace}/.agentkube-clone/tree/half", "")
        self.assertEqual(self.clone(), 0)
        self.assertEqual(sorted(os.listdir(self.workspace)), [".git", "file", "link", "sub"])

    def test_an_interrupted_move_goes_on_from_any_point(self):
        whole = [".git", "file", "link", "sub"]
        for moved in range(len(whole) + 2):
            with self.subTest(moved=moved):
                staging = f"{self.workspace}/.agentkube-clone"
                os.mkdir(staging)
                subprocess.run(["git", "clone", "-q", self.url, f"{staging}/tree"], env=GIT_ENV, check=True)
                write(f"{staging}/complete", "main at 1234")
                for name in ["file", "link", "sub", ".git"][:moved]:
                    os.rename(f"{staging}/tree/{name}", f"{self.workspace}/{name}")
                if moved > len(whole):
                    os.rmdir(f"{staging}/tree")
                self.assertEqual(self.clone(), 0)
                self.assertEqual(self.message(), "Cloned: main at 1234")
                self.assertEqual(sorted(os.listdir(self.workspace)), whole)
                self.assertEqual(self.git("status", "--porcelain", cwd=self.workspace), "")
                shutil.rmtree(self.workspace)
                os.mkdir(self.workspace)

    def test_the_move_replaces_nothing(self):
        staging = f"{self.workspace}/.agentkube-clone"
        os.mkdir(staging)
        subprocess.run(["git", "clone", "-q", self.url, f"{staging}/tree"], env=GIT_ENV, check=True)
        write(f"{staging}/complete", "main at 1234")
        write(f"{self.workspace}/file", "mine\n")
        self.assertEqual(self.clone(), 6)
        self.assertEqual(read(f"{self.workspace}/file"), "mine\n")

    def test_http_with_a_token_or_a_password(self):
        server = DumbServer(self, f"{self.dir}/served")
        url = f"{server.url}/repo.git"
        for keys, user in (({"token": TOKEN + "\n"}, "x-access-token"), ({"token": TOKEN, "username": "bob"}, "bob"),
                           ({"password": TOKEN, "username": "alice\n"}, "alice")):
            with self.subTest(keys=keys):
                secret = self.secret(**keys)
                self.assertEqual(self.clone(AGENTKUBE_REPO_URL=url, AGENTKUBE_REPO_SECRET_DIR=secret), 0, getattr(self, "log", ""))
                self.assertEqual(self.head(), self.first)
                self.assertIn(f"{user}:{TOKEN}", server.users)
                self.assertIn("travels unencrypted", self.log)
                self.assertNotIn(TOKEN, self.log + self.message() + read(f"{self.workspace}/.git/config"))
                shutil.rmtree(self.workspace)
                shutil.rmtree(secret)
                os.mkdir(self.workspace)

    def test_http_without_or_with_a_wrong_credential_fails_at_once(self):
        server = DumbServer(self, f"{self.dir}/served")
        url = f"{server.url}/repo.git"
        self.assertEqual(self.clone(AGENTKUBE_REPO_URL=url), 4)
        self.assertIn("could not read Username", self.message())
        secret = self.secret(token="wrong-one")
        self.assertEqual(self.clone(AGENTKUBE_REPO_URL=url, AGENTKUBE_REPO_SECRET_DIR=secret), 4)
        self.assertIn("Authentication failed", self.message())
        self.assertNotIn("wrong-one", self.log + self.message())

    def test_another_server_gets_no_credential_by_redirect(self):
        thief = DumbServer(self, f"{self.dir}/served")
        honest = DumbServer(self, f"{self.dir}/served", redirect_to=lambda: thief.url)
        secret = self.secret(token=TOKEN)
        self.assertEqual(self.clone(AGENTKUBE_REPO_URL=f"{honest.url}/repo.git", AGENTKUBE_REPO_SECRET_DIR=secret), 4)
        self.assertIn("another server than the repository's asks for the credential", self.log)
        self.assertEqual([user for user in thief.users if TOKEN in user], [])
        self.assertNotEqual(thief.users, [])

    def test_a_server_that_hangs_is_a_timeout(self):
        server = DumbServer(self, f"{self.dir}/served", silent=True)
        self.assertEqual(self.clone(AGENTKUBE_REPO_URL=f"{server.url}/repo.git", AGENTKUBE_REPO_TIMEOUT_SECONDS="1"), 7)
        self.assertTrue(self.message().startswith("CloneTimeout: git did not end within 1 seconds"))

    def test_a_stop_ends_git(self):
        server = DumbServer(self, f"{self.dir}/served", silent=True)
        process = subprocess.Popen([AGENTLET, "workspace"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   env={**self.env, "AGENTKUBE_REPO_URL": f"{server.url}/repo.git"})
        eventually(lambda: children_of(process.pid), "git")
        process.terminate()
        self.assertEqual(process.wait(DEADLINE), 1)
        self.assertIn("stopped by SIGTERM", self.message())

    def test_git_sees_no_credential_and_nothing_of_the_users_configuration(self):
        """A git of our own shows what it was given; in argv and environ everybody in the container could read it."""
        tools = f"{self.dir}/tools"
        os.mkdir(tools)
        write(f"{tools}/git", f"#!/bin/sh\n{{ echo \"$@\"; env; }} >>{self.dir}/seen\nexec {shutil.which('git')} \"$@\"\n", 0o755)
        server = DumbServer(self, f"{self.dir}/served")
        secret = self.secret(token=TOKEN)
        self.assertEqual(self.clone(PATH=f"{tools}:{self.env['PATH']}", AGENTKUBE_REPO_URL=f"{server.url}/repo.git",
                                    AGENTKUBE_REPO_SECRET_DIR=secret, GIT_TRACE="1", GIT_CONFIG_COUNT="1",
                                    GIT_CONFIG_KEY_0="core.sshCommand", GIT_CONFIG_VALUE_0="x", MY_KEY="mine"), 0)
        seen = read(f"{self.dir}/seen")
        for text in (TOKEN, "GIT_TRACE", "GIT_CONFIG_", "MY_KEY", f"HOME={self.dir}/home"):
            self.assertNotIn(text, seen)
        self.assertIn("GIT_TERMINAL_PROMPT=0", seen)

    def test_ssh_gets_the_key_file_and_the_known_hosts(self):
        tools = f"{self.dir}/tools"
        os.mkdir(tools)
        write(f"{tools}/ssh", f"#!/bin/sh\necho \"$@\" >>{self.dir}/seen\nfor last; do :; done\neval exec \"$last\"\n", 0o755)
        path = f"{tools}:{self.env['PATH']}"
        secret = self.secret(ssh_privatekey=TOKEN, known_hosts="host key\n")
        url = f"git@git.example.com:{self.repo}"
        self.assertEqual(self.clone(PATH=path, AGENTKUBE_REPO_URL=url, AGENTKUBE_REPO_SECRET_DIR=secret), 0, getattr(self, "log", ""))
        self.assertEqual(self.head(), self.first)
        seen = read(f"{self.dir}/seen")
        for option in ("BatchMode=yes", "StrictHostKeyChecking=yes", f"UserKnownHostsFile={secret}/known_hosts",
                       f"-i {secret}/ssh-privatekey", "git@git.example.com"):
            self.assertIn(option, seen)
        self.assertNotIn(TOKEN, seen)
        shutil.rmtree(self.workspace)
        os.mkdir(self.workspace)
        os.unlink(f"{secret}/known_hosts")
        self.assertEqual(self.clone(PATH=path, AGENTKUBE_REPO_URL=url, AGENTKUBE_REPO_SECRET_DIR=secret), 0)
        self.assertIn("StrictHostKeyChecking=accept-new", read(f"{self.dir}/seen"))
        self.assertIn("host key is taken as it comes", self.log)

    def test_a_secret_without_the_right_keys_says_which(self):
        secret = self.secret(password="x")
        for url, key in (("https://git.example.com/a", '"token"'), ("git@git.example.com:a/b", '"ssh-privatekey"')):
            self.assertEqual(self.clone(AGENTKUBE_REPO_URL=url, AGENTKUBE_REPO_SECRET_DIR=secret), 2)
            self.assertIn(key, self.message())

    def test_urls_that_are_none_are_refused(self):
        for url in ("", "/etc", "../x", "ext::sh -c true", "ext::sh", "-x@host:y", "--upload-pack=x", "ftp://a/b", "https:///x",
                    "file://host/x", "ssh://-oProxyCommand=x/y", f"https://me:{TOKEN}@example.com/x", "https://a/b c", "x" * 3000):
            self.assertEqual(self.clone(AGENTKUBE_REPO_URL=url), 2, url)
            self.assertTrue(self.message().startswith("InvalidConfiguration: AGENTKUBE_REPO_URL"), self.message())
            self.assertNotIn(TOKEN, self.message() + self.log)
            self.assert_empty()

    def test_refs_that_could_be_options_or_expressions_are_refused(self):
        for ref in ("--upload-pack=x", "-f", "a b", "main~1", "HEAD^", "a:b", "main@{1}", "a..b", "*", "x" * 256):
            self.assertEqual(self.clone(AGENTKUBE_REPO_REF=ref), 2, ref)
            self.assertTrue(self.message().startswith("InvalidConfiguration: AGENTKUBE_REPO_REF"))

    def test_no_git_is_exit_code_3(self):
        self.assertEqual(self.clone(PATH=f"{self.dir}/tmp"), 3)
        self.assertEqual(self.message(), "GitMissing: there is no git in this image: spec.workspace.repo needs one")

    def test_no_ssh_is_exit_code_3_only_for_ssh(self):
        tools = f"{self.dir}/tools"
        os.mkdir(tools)
        os.symlink(shutil.which("git"), f"{tools}/git")
        self.assertEqual(self.clone(PATH=tools, AGENTKUBE_REPO_URL="ssh://git@git.example.com/a/b"), 3)
        self.assertIn("there is no ssh in this image", self.message())


class Tap(unittest.TestResult):
    """Test Anything Protocol, so that meson counts each test."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def line(self, test, ok, rest="", details=""):
        self.count += 1
        name = test.id().split(".", 1)[1].replace(".test_", ": ").replace("_", " ")
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name}{rest}", flush=True)
        for line in details.splitlines():
            print(f"# {line}", flush=True)

    def addSuccess(self, test):
        self.line(test, True)

    def addSkip(self, test, reason):
        self.line(test, True, f" # SKIP {reason}")

    def addError(self, test, err):
        super().addError(test, err)
        self.line(test, False, details=self.errors[-1][1])

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.line(test, False, details=self.failures[-1][1])

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            print(f"# {subtest}", flush=True)
            self.line(test, False, details=(self.errors + self.failures)[-1][1])


def main():
    global AGENTLET
    AGENTLET = os.path.abspath(sys.argv[1])
    loader = unittest.defaultTestLoader
    module = sys.modules["__main__"]  # test_runs.py is another
    suite = loader.loadTestsFromNames(sys.argv[2:], module) if sys.argv[2:] else loader.loadTestsFromModule(module)
    result = Tap()
    suite.run(result)
    print(f"1..{result.count}")
    sys.exit(0 if result.wasSuccessful() else 1)


if __name__ == "__main__":
    main()
