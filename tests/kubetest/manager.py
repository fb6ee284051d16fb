# SPDX-License-Identifier: Apache-2.0
"""agentkube-manager as a process on this machine."""
import json
import os
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request

from .cluster import ROOT
from .wait import wait_for

SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|runtime error:|SUMMARY: \w+Sanitizer")
SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


def bin_folder():
    return os.path.join(ROOT, os.environ.get("AGENTKUBE_BIN", "build/bin"))


def program(name):
    path = os.path.join(bin_folder(), name)
    assert os.access(path, os.X_OK), f"{path} is missing: run make first"
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fetch(url):
    """(status, text); status 0 if nobody answers."""
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError as error:
        return 0, str(error)


class Manager:
    """One process. Its stderr, the log, goes to the file `log_path`; it is stopped by its pid."""

    def __init__(self, kubeconfig, folder, flags, environment, namespace):
        self.metrics_port, self.probe_port = free_port(), free_port()
        self.log_path = os.path.join(folder, f"manager-{self.probe_port}.log")
        self.command = [program("agentkube-manager"), f"--kubeconfig={kubeconfig}",
                        f"--metrics-bind-address=127.0.0.1:{self.metrics_port}",
                        f"--health-probe-bind-address=127.0.0.1:{self.probe_port}"]
        if namespace:
            self.command += [f"--namespace={namespace}", f"--watch-namespace={namespace}"]
        self.command += flags
        kept = ("PATH", "LANG", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS", "LSAN_OPTIONS")
        environment = {**{name: os.environ[name] for name in kept if name in os.environ}, "HOME": folder, **environment}
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(self.command, env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)

    @property
    def pid(self):
        return self.process.pid

    # ---- what it says
    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def log_lines(self):
        """The log as dicts; a line that is not JSON fails the test."""
        return [json.loads(line) for line in self.log().splitlines() if line.strip()]

    def fetch(self, port, path):
        return fetch(f"http://127.0.0.1:{port}{path}")

    def metrics(self):
        """{name: [(labels, value), …]}"""
        status, text = self.fetch(self.metrics_port, "/metrics")
        assert status == 200, f"/metrics: {status} {text}"
        samples = {}
        for line in text.splitlines():
            match = SAMPLE.match(line)
            if match:
                name, labels, number = match.groups()
                samples.setdefault(name, []).append((dict(LABEL.findall(labels or "")), float(number)))
        return samples

    def metric(self, name, /, **labels):
        """The sum of a metric over all samples that have these labels."""
        return sum(number for found, number in self.metrics().get(name, [])
                   if all(found.get(key) == wanted for key, wanted in labels.items()))

    # ---- what it does
    def running(self):
        return self.process.poll() is None

    def _alive(self):
        assert self.running(), f"the manager has ended with exit code {self.process.returncode}:\n{self.log()[-4000:]}"

    def wait_ready(self, timeout=60):
        def ready():
            if not self.running():
                return True
            return self.fetch(self.probe_port, "/readyz")[0] == 200
        wait_for(ready, f"the manager to be ready (log: {self.log()[-2000:]})", timeout)
        self._alive()
        return self

    def is_leading(self):
        return self.running() and self.metric("leader_election_master_status") == 1

    def wait_leading(self, timeout=60):
        self.wait_ready(timeout)
        wait_for(self.is_leading, "the manager to lead", timeout)
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self, timeout=30):
        """Ends it gracefully and returns its exit code."""
        if self.running():
            self.signal(signal.SIGCONT)
            self.signal(signal.SIGTERM)
        return self.ended(timeout)

    def ended(self, timeout=30):
        """Waits for a process that was already told to end, and returns its exit code: a second SIGTERM would end it at once, with 143."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the manager did not stop within {timeout} s:\n{self.log()[-4000:]}") from None

    def kill(self):
        if self.running():
            self.process.kill()
        return self.process.wait(10)

    def check_log(self):
        """A report of a sanitizer, or a crash, fails the test even if the test itself was content."""
        log = self.log()
        found = SANITIZER_REPORT.search(log)
        assert not found, f"a sanitizer reports:\n{log[found.start():][:8000]}"
        code = self.process.returncode
        deadly = (-signal.SIGSEGV, -signal.SIGABRT, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE)
        assert code not in deadly, f"the manager crashed with signal {-code}:\n{log[-4000:]}"
