# SPDX-License-Identifier: Apache-2.0
"""exo agent shell in a real pod: a terminal that is one, past the gate."""
import fcntl
import hashlib
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pytest
import yaml
from kubetest import program, wait_for
from kubetest.agents import agent

NOT_FOUND, FORBIDDEN = 3, 4


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command, environment, rows=24, columns=80):
        self.shown = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            try:
                os.execve(command[0], command, environment)
            finally:
                os._exit(127)
        self.resize(rows, columns)
        self.before = termios.tcgetattr(self.fd)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text):
        os.write(self.fd, text.encode())

    def read(self, seconds=0.2):
        if select.select([self.fd], [], [], seconds)[0]:
            try:
                some = os.read(self.fd, 65536)
            except OSError:  # the other side is closed
                return False
            self.shown += some
            return bool(some)
        return True

    def expect(self, text, timeout=30):
        deadline = time.monotonic() + timeout
        while text.encode() not in self.shown:
            assert time.monotonic() < deadline and self.read(), f"no {text!r} in {self.shown.decode(errors='replace')!r}"

    def end(self, timeout=30):
        """The exit code, and whether the terminal is as it was."""
        deadline = time.monotonic() + timeout
        while self.read():
            assert time.monotonic() < deadline, self.shown
        _, state = os.waitpid(self.pid, 0)
        return os.waitstatus_to_exitcode(state)

    def is_raw(self):
        return not termios.tcgetattr(self.fd)[3] & (termios.ICANON | termios.ECHO)


@pytest.fixture
def bot(agents):
    agents.apply(agent("bot"))
    agents.wait_phase("bot", "Running", timeout=180)
    return agents


@pytest.fixture
def environment(cluster, tmp_path):
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": cluster.kubeconfig, "TERM": "xterm", "LANG": "C.UTF-8"}


def shell(agents, *arguments, flags=()):
    return [program("exo"), "agent", "shell", "bot", "-n", agents.namespace, *flags, *(["--", *arguments] if arguments else [])]


def run(command, environment, **options):
    return subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120,
                          **({} if "input" in options else {"stdin": subprocess.DEVNULL}), **options)


def test_a_command_has_its_own_output_input_and_exit_code(bot, environment):
    done = run(shell(bot, "sh", "-c", "echo out; echo err >&2; exit 7"), environment)
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    data = os.urandom(5_000_000)
    done = run(shell(bot, "sh", "-c", f"head -c {len(data)} | sha256sum"), environment, input=data)
    assert done.stdout.decode().split()[0] == hashlib.sha256(data).hexdigest(), done.stderr
    big = run(shell(bot, "sh", "-c", "head -c 20000000 /dev/zero"), environment)
    assert len(big.stdout) == 20_000_000
    assert run(shell(bot, "id", "-u"), environment).stdout == b"65532\n"
    assert run(shell(bot, "/no/such/program"), environment).returncode != 0


def test_a_shell_is_a_real_terminal(bot, environment):
    terminal = Terminal(shell(bot), environment, rows=31, columns=97)
    terminal.expect("$ ")
    assert terminal.is_raw()
    terminal.type("tty; stty size; echo $((6 * 7))\n")
    terminal.expect("/dev/pts/")
    terminal.expect("31 97")
    terminal.expect("42")
    terminal.resize(40, 132)
    os.kill(terminal.pid, signal.SIGWINCH)

    def resized():
        terminal.shown = b""
        terminal.type("stty size\n")
        for _ in range(10):
            terminal.read()
        return b"40 132" in terminal.shown
    wait_for(resized, "the new size")
    # keys go to the command there, not to exo here
    terminal.shown = b""
    terminal.type("sleep 1000\n")
    terminal.expect("sleep 1000")
    terminal.type("\x03")
    terminal.expect("^C")
    terminal.type("echo again; exit 5\n")
    terminal.expect("again")
    assert terminal.end() == 5


def test_the_terminal_is_put_back_however_it_ends(bot, environment):
    for how in ("exit\n", signal.SIGTERM, signal.SIGHUP):
        terminal = Terminal(["/bin/sh", "-c", '"$@"; echo "code $?"; stty -a', "sh", *shell(bot)], environment)
        terminal.expect("$ ")
        if isinstance(how, str):
            terminal.type(how)
        else:
            with open(f"/proc/{terminal.pid}/task/{terminal.pid}/children", encoding="ascii") as file:
                os.kill(int(file.read().split()[0]), how)
        terminal.expect("code ")
        terminal.expect(" icanon")
        assert b"-echo " not in terminal.shown
        terminal.end()


def test_a_pod_that_ends_under_the_shell_is_no_mess(bot, environment):
    terminal = Terminal(shell(bot), environment)
    terminal.expect("$ ")
    bot.kube.api("DELETE", f"/api/v1/namespaces/{bot.namespace}/pods/bot?gracePeriodSeconds=0")
    assert terminal.end(60) != 0
    assert termios.tcgetattr(terminal.fd)[3] & termios.ICANON


def test_the_gate_says_why_it_refuses(bot, environment, tmp_path):
    kube, namespace = bot.kube, bot.namespace
    kube.must("-n", namespace, "create", "serviceaccount", "bob")
    kube.must("-n", namespace, "create", "role", "bob", "--verb=get,create", "--resource=pods,pods/exec")
    kube.must("-n", namespace, "create", "rolebinding", "bob", "--role=bob", f"--serviceaccount={namespace}:bob")
    status, body = kube.api("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/bob/token", {"spec": {"expirationSeconds": 3600}})
    assert status == 201, body
    with open(kube.kubeconfig, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": body["status"]["token"]}}]
    (tmp_path / "bob").write_text(yaml.safe_dump(config))
    refused = run(shell(bot, "true", flags=["--kubeconfig", str(tmp_path / "bob")]), environment)
    assert refused.returncode == FORBIDDEN and b"agents/exec in API group agentkube.io is missing" in refused.stderr
    terminal = Terminal(shell(bot, flags=["--kubeconfig", str(tmp_path / "bob")]), environment)
    assert terminal.end() == FORBIDDEN and b"agents/exec" in terminal.shown


def test_who_sleeps_has_no_shell(agents, environment):
    agents.apply(agent("bot", paused=True))
    agents.wait_phase("bot", "Paused")
    refused = run(shell(agents), environment)
    assert refused.returncode == NOT_FOUND and b"has no pod now: it is Paused" in refused.stderr


def test_doctor_is_content_with_the_chart(installed, environment):
    done = run([program("exo"), "doctor", "-o", "json"], environment)
    found = {line["check"]: line for line in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0, found
    assert {found[name]["verdict"] for name in ("kubeconfig", "apiserver", "definitions", "manager", "leader", "webhook", "invocation")} == {"ok"}, found
