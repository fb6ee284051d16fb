# SPDX-License-Identifier: Apache-2.0
"""The CLI as its users call it."""
import json
import os
import subprocess

from .cluster import ROOT
from .manager import program

NOT_FOUND, FORBIDDEN, BUSY, RUN_FAILED, TIMEOUT = 3, 4, 5, 6, 7


class Exo:
    def __init__(self, kubeconfig, namespace, folder):
        self.kubeconfig, self.namespace = kubeconfig, namespace
        self.environment = {"PATH": os.environ["PATH"], "HOME": folder, "KUBECONFIG": kubeconfig, "LANG": "C.UTF-8"}

    def command(self, *arguments):
        end = arguments.index("--") if "--" in arguments else len(arguments)  # what follows it is not exo's
        return [program("exo"), *arguments[:end], "-n", self.namespace, *arguments[end:]]

    def __call__(self, *arguments, code=0, timeout=180, **options):
        """Runs it, checks the exit code (None: any), and gives what subprocess.run() gives."""
        done = subprocess.run(self.command(*arguments), env=self.environment, cwd=ROOT, text=True, timeout=timeout, check=False,
                              stdin=None if "input" in options else subprocess.DEVNULL, capture_output=True, **options)
        assert code is None or done.returncode == code, f"exo {arguments}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        return done

    def start(self, *arguments, **options):
        return subprocess.Popen(self.command(*arguments), env=self.environment, cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)

    def json(self, *arguments, **options):
        return json.loads(self(*arguments, "-o", "json", **options).stdout)

    def runs(self, agent):
        return self.json("agent", "runs", agent)["items"]

    def run(self, agent, identity):
        """The record of one run; None if it is not known."""
        done = self("run", "get", identity, "-o", "json", code=None)
        return json.loads(done.stdout) if done.returncode == 0 else None
