# SPDX-License-Identifier: Apache-2.0
"""Two managers in real pods, while people use the Agents."""
import threading

import pytest
from kubetest import wait_for
from kubetest.agents import agent

SYSTEM = "agentkube-system"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM}/leases/agentkube-manager"


@pytest.fixture
def two(installed):
    installed.must("-n", SYSTEM, "scale", "deployment/agentkube-manager", "--replicas=2")
    installed.must("-n", SYSTEM, "rollout", "status", "deployment/agentkube-manager", "--timeout=120s")
    yield installed
    installed.must("-n", SYSTEM, "scale", "deployment/agentkube-manager", "--replicas=1")
    installed.must("-n", SYSTEM, "rollout", "status", "deployment/agentkube-manager", "--timeout=120s")


class Visitor(threading.Thread):
    """Goes into an Agent's pod again and again, as fast as kubectl can."""

    def __init__(self, agents, name):
        super().__init__()
        self.agents, self.agent = agents, name
        self.visits, self.failures, self.enough = 0, [], threading.Event()

    def run(self):
        while not self.enough.is_set():
            done = self.agents.kube.kubectl("-n", self.agents.namespace, "exec", self.agent, "-c", "agent", "--", "true")
            self.visits += 1
            if done.returncode:
                self.failures.append(done.stderr.strip())

    def __enter__(self):
        self.start()
        wait_for(lambda: self.visits >= 2, "the first visits")
        return self

    def __exit__(self, *exc):
        self.enough.set()
        self.join()


def holder(kube):
    return kube.get(LEASE)["spec"].get("holderIdentity", "").split("_")[0]


def test_a_rolling_update_of_the_managers_is_noticed_by_nobody(two, agents):
    agents.apply(agent("busy"))
    agents.wait_phase("busy", "Running", timeout=180)
    before, old = agents.pod("busy"), holder(two)
    with Visitor(agents, "busy") as visitor:
        two.must("-n", SYSTEM, "rollout", "restart", "deployment/agentkube-manager")
        two.must("-n", SYSTEM, "rollout", "status", "deployment/agentkube-manager", "--timeout=180s", timeout=200)
        wait_for(lambda: holder(two) not in ("", old), "another leader")
        seen = visitor.visits
        wait_for(lambda: visitor.visits > seen + 2, "visits after it")
    assert visitor.failures == [], f"{len(visitor.failures)} of {visitor.visits}: {visitor.failures[0]}"
    agents.apply(agent("later"))
    agents.wait_phase("later", "Running", timeout=180)
    after = agents.pod("busy")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["status"]["containerStatuses"][0]["restartCount"] == 0


def test_one_manager_of_two_is_drained_at_a_time(two):
    """The eviction that `kubectl drain` asks for, refused where the budget says so."""
    done = two.helm("upgrade", "agentkube", "agentkube/helm/agentkube", "-n", SYSTEM, "--reuse-values", "--set",
                    "podDisruptionBudget.enabled=true,manager.replicas=2", "--wait", "--timeout", "180s", timeout=240)
    assert done.returncode == 0, done.stderr
    try:
        def names():
            return sorted(pod["metadata"]["name"] for pod in two.items(f"/api/v1/namespaces/{SYSTEM}/pods")
                          if pod["metadata"]["labels"].get("app.kubernetes.io/name") == "agentkube-manager"
                          and not pod["metadata"].get("deletionTimestamp"))

        version = "policy/v1" if two.get("/apis/policy/v1") else "policy/v1beta1"

        def evict(name):
            return two.api("POST", f"/api/v1/namespaces/{SYSTEM}/pods/{name}/eviction",
                           {"apiVersion": version, "kind": "Eviction", "metadata": {"name": name}})[0]
        first, second = names()
        wait_for(lambda: evict(first) == 201, "the first to go")
        assert evict(second) == 429
        two.must("-n", SYSTEM, "rollout", "status", "deployment/agentkube-manager", "--timeout=120s")
        assert second in names() and len(names()) == 2
    finally:
        two.helm("upgrade", "agentkube", "agentkube/helm/agentkube", "-n", SYSTEM, "--reuse-values", "--set",
                 "podDisruptionBudget.enabled=false,manager.replicas=1", "--wait", "--timeout", "180s", timeout=240)
