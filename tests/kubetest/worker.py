# SPDX-License-Identifier: Apache-2.0
"""Agents that work: the stand-in for their providers as a process of this machine, and what they need to reach it."""
import json
import os
import subprocess
import sys
from urllib.request import ProxyHandler, build_opener

from .agents import agent
from .cluster import ROOT
from .wait import wait_for

PROVIDER = ROOT + "/tests/kubetest/provider.py"
KEY = "sk-canary-5f1c0de77a9b"
RUNTIMES = {"ClaudeCode": ("anthropic", "claude-opus-4-7"), "Codex": ("openai", "gpt-5-codex"),
            "OpenCode": ("openai", "gpt-5"), "Cline": ("openai", "gpt-5")}


def node_address(cluster):
    """Where pods reach this machine."""
    return f"10.250.{cluster.environment.get('AGENTKUBE_INDEX', '0')}.1"


class Provider:
    """The stand-in, as a process on this machine that pods reach by the node's cable."""

    def __init__(self, host, folder):
        self.port_file = os.path.join(folder, "provider.port")
        self.process = subprocess.Popen([sys.executable, "-B", PROVIDER, "--listen", f"{host}:0", "--key", KEY, "--port-file", self.port_file],
                                        stdin=subprocess.DEVNULL)
        port = wait_for(self._port, "the stand-in to listen")
        self.url = f"http://{host}:{port}"

    def _port(self):
        assert self.process.poll() is None, "the stand-in has ended"
        return os.path.exists(self.port_file) and open(self.port_file, encoding="utf-8").read().strip()

    def base(self, provider):
        return self.url + ("/v1" if provider == "openai" else "")

    def requests(self):
        with build_opener(ProxyHandler({})).open(self.url + "/requests", timeout=30) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait(10)


class Workers:
    """workers(name, runtime, **spec): an Agent that works, and waits for its pod."""

    def __init__(self, agents, provider):
        self.agents, self.provider = agents, provider
        agents.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "provider"}, "stringData": {"key": KEY}},
                          namespace=agents.namespace)

    def __call__(self, name, runtime="ClaudeCode", wait=True, base=None, **spec):
        family, model = RUNTIMES[runtime]
        spec = {"goal": {"inline": "Do what you are asked."}, "agentToken": {"secretRef": {"name": "provider", "key": "key"}},
                "model": {"name": model, "provider": family, "baseURL": base or self.provider.base(family)}, **spec}
        self.agents.apply(agent(name, runtime=runtime, **spec))
        if wait:
            self.agents.wait_phase(name, "Running", timeout=240)
        return name
