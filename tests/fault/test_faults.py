# SPDX-License-Identifier: Apache-2.0
"""The manager behind a proxy that breaks its connections to a real apiserver. Whatever happens, there is never a second
pod for an Agent, and when it is over the world is as the Agents say."""
import os
import random
import time

import pytest
from kubetest import wait_for
from kubetest.agents import Agents, agent
from proxy import Fault, FaultProxy, Rule


@pytest.fixture
def agents(control_plane, namespace):
    return Agents(control_plane, namespace)


@pytest.fixture
def proxy(control_plane, tmp_path):
    with FaultProxy(control_plane.kubeconfig, tmp_path) as one:
        yield one


def converged(agents):
    """Exactly one pod for each armed Agent, of its newest spec, and none for anybody else."""
    wanted = {a["metadata"]["name"]: a for a in agents.kube.items(f"/apis/agentkube.io/v1alpha1/namespaces/{agents.namespace}/agents")}
    pods = [p for p in agents.pods() if not p["metadata"].get("deletionTimestamp")]
    owners = [o["uid"] for p in pods for o in p["metadata"].get("ownerReferences", [])]
    assert len(owners) == len(set(owners)), "two pods of one Agent"
    armed = {n: a for n, a in wanted.items() if not a["spec"].get("paused", True)}
    assert {p["metadata"]["name"] for p in pods} == set(armed), f"{sorted(p['metadata']['name'] for p in pods)} instead of {sorted(armed)}"
    assert len(agents.pods()) == len(pods), "pods that are still going"
    for pod in pods:
        owner = armed[pod["metadata"]["name"]]
        assert pod["metadata"]["ownerReferences"][0]["uid"] == owner["metadata"]["uid"]
        assert pod["spec"]["containers"][0]["image"] == owner["spec"]["image"], "of an older spec"
    for one in wanted.values():
        assert one.get("status", {}).get("observedGeneration") == one["metadata"]["generation"], one["metadata"]["name"]
    return True


def picture(n):
    return f"registry.example/agent:{n}"


PHASES = [
    ("errors", [Rule(Fault.STATUS, watch=False, code=500, chance=0.5)]),
    ("throttled", [Rule(Fault.STATUS, code=429, reason="TooManyRequests", retry_after=1, chance=0.5)]),
    ("conflicts", [Rule(Fault.STATUS, method="PATCH|PUT|POST", code=409, reason="Conflict", chance=0.6)]),
    ("resets", [Rule(Fault.RESET, chance=0.4)]),
    ("lost answers", [Rule(Fault.LOST_ANSWER, method="POST|PATCH|DELETE", chance=0.5)]),
    ("half answers", [Rule(Fault.CUT, watch=False, after=40, chance=0.5)]),
    ("half frames", [Rule(Fault.CUT, watch=True, after=300)]),
    ("cut lists", [Rule(Fault.CUT, watch=False, method="GET", after=600, chance=0.7)]),
    ("garbage", [Rule(Fault.GARBAGE, after=20, chance=0.5)]),
    ("bookmarks only", [Rule(Fault.BOOKMARKS_ONLY, watch=True)]),
    ("stalled watches", [Rule(Fault.STALL, watch=True, after=0)]),
    ("watches are gone", [Rule(Fault.STATUS, watch=True, code=410, reason="Expired", chance=0.7)]),
    ("nothing is found", [Rule(Fault.STATUS, method="GET", watch=False, code=404, reason="NotFound", chance=0.8)]),
    ("not allowed for a while", [Rule(Fault.STATUS, code=403, reason="Forbidden", chance=0.5)]),
]


@pytest.mark.parametrize("rules", [p[1] for p in PHASES], ids=[p[0].replace(" ", "-") for p in PHASES])
def test_it_recovers_from(agents, manager, proxy, rules):
    process = manager("--leader-elect=false", kubeconfig=proxy.kubeconfig)
    agents.apply(*(agent(f"a{n}", image=picture(0)) for n in range(4)))
    wait_for(lambda: converged(agents), "the start")
    for rule in rules:
        rule.hits = 0
    proxy.rules = rules
    proxy.break_streams()
    if all(rule.method == "GET" and rule.watch is False for rule in rules):  # lists are read by one that starts
        process.kill()
        manager("--leader-elect=false", kubeconfig=proxy.kubeconfig, wait=False)
    agents.apply(agent("a0", image=picture(1)), agent("a1", paused=True, image=picture(0)), agent("new", image=picture(0)))
    agents.delete("a2")
    wait_for(lambda: sum(rule.hits for rule in rules) >= 3, f"the faults to happen (seed {proxy.seed})", timeout=90)
    proxy.rules = []
    if any(rule.fault in (Fault.STALL, Fault.BOOKMARKS_ONLY) for rule in rules):
        proxy.break_streams()  # its own idle limit would do the same, later
    wait_for(lambda: converged(agents), f"the world to be as the Agents say (seed {proxy.seed})", timeout=150)


def test_a_lost_answer_to_a_create_makes_no_second_pod(agents, manager, proxy):
    manager("--leader-elect=false", kubeconfig=proxy.kubeconfig)
    proxy.rules = [Rule(Fault.LOST_ANSWER, method="POST", path="/pods", times=2)]
    agents.apply(agent("one", image=picture(0)))
    uid = agents.wait_pod("one")["metadata"]["uid"]
    wait_for(lambda: converged(agents), "one pod", timeout=90)
    assert agents.pod("one")["metadata"]["uid"] == uid


def test_a_silent_apiserver_costs_the_leader_its_lease_and_it_stops_writing(agents, manager, proxy):
    first = manager(kubeconfig=proxy.kubeconfig).wait_leading()
    proxy.rules = [Rule(Fault.SILENT)]
    proxy.break_streams()
    wait_for(lambda: not first.running(), "the leader to give up", timeout=90)
    assert first.process.returncode != 0
    silent_since = len(proxy.requests)
    second = manager().wait_leading(timeout=90)
    agents.apply(agent("one", image=picture(0)))
    agents.wait_pod("one")
    assert second.running() and len(agents.pods()) == 1
    assert not [r for r in proxy.requests[silent_since:] if r[0] != "GET"]


def test_killed_at_any_moment_it_leaves_one_pod_an_agent(agents, manager):
    """kill -9 at random moments while Agents are made, changed, paused and deleted."""
    seed = int(os.environ.get("AGENTKUBE_TEST_SEED", random.randrange(1 << 32)))
    rounds = int(os.environ.get("AGENTKUBE_TEST_KILLS", "12"))
    rng = random.Random(seed)
    names = [f"a{n}" for n in range(8)]
    for _ in range(rounds):
        process = manager("--leader-elect=false", wait=False)
        until = time.monotonic() + rng.uniform(0.05, 1.5)
        while time.monotonic() < until:
            name = rng.choice(names)
            if rng.random() < 0.2 and agents.get(name):
                agents.delete(name)
            else:
                agents.apply(agent(name, image=picture(rng.randrange(4)), paused=rng.random() < 0.2))
        process.kill()
        owners = [o["uid"] for p in agents.pods() for o in p["metadata"].get("ownerReferences", []) if o.get("controller")]
        assert len(owners) == len(set(owners)), f"two pods of one Agent (seed {seed})"
    manager("--leader-elect=false")
    wait_for(lambda: converged(agents), f"the world to be as the Agents say (seed {seed})", timeout=120)
