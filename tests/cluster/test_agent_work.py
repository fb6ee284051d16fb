# SPDX-License-Identifier: Apache-2.0
"""What runs mean for the pod of an Agent, and when the schedule starts one, on a real control plane without a kubelet.

In most of these pods nobody answers: a run that is dispatched stays where it is. Runs that really run are in test_runs.py, and in
the pods here that are processes of this machine (HostPod).
"""
import datetime
import time

import pytest
from kubetest import wait_for
from kubetest.agents import Agents, agent, condition, phase
from kubetest.pods import HostPod


@pytest.fixture
def agents(control_plane, namespace):
    return Agents(control_plane, namespace)


def record(name, phase, pod=None, **more):
    found = {"id": name, "phase": phase, "trigger": "Invocation", "queuedTime": "2026-01-01T00:00:00Z", **more}
    return {**found, "podUID": pod["metadata"]["uid"]} if pod else found


def records(agents, name):
    return (agents.get(name).get("status") or {}).get("runs", [])


def busy(agents, manager, name):
    """An Agent whose pod is ready, and has a run that an earlier manager began."""
    first = manager()
    agents.apply(agent(name))
    pod = agents.wait_pod(name)
    agents.runs(name)
    agents.wait_phase(name, "Running")
    assert first.stop() == 0
    agents.had_runs(name, record("r-busy", "Running", pod, startTime="2026-01-01T00:00:01Z"))
    return pod


def test_a_changed_pod_waits_for_its_run_and_says_for_which(agents, manager):
    pod = busy(agents, manager, "patient")
    process = manager()
    agents.patch("patient", model={"name": "claude-opus-5-5"})
    told = wait_for(lambda: (lambda c: c if "r-busy" in c.get("message", "") else None)(condition(agents.get("patient"), "Ready")),
                    "the condition to name the run")
    assert told["status"] == "True" and told["observedGeneration"] < agents.get("patient")["metadata"]["generation"]
    wait_for(lambda: process.metric("workqueue_depth") == 0, "the queue to be empty")
    assert agents.pod("patient")["metadata"]["uid"] == pod["metadata"]["uid"]
    # a container that does not run has no run in it: nothing is waited for any more
    agents.pod_status("patient", phase="Running", conditions=[{"type": "Ready", "status": "False"}], containerStatuses=[
        agents.container("agent", {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}), agents.keeper()])
    after = agents.wait_pod("patient", other_than=pod["metadata"]["uid"])
    assert len(agents.pods()) == 1 and after
    ended = wait_for(lambda: [r for r in records(agents, "patient") if r["phase"] == "Interrupted"], "the run to be interrupted")
    assert ended[0]["id"] == "r-busy" and ended[0]["reason"] == "PodReplaced"


def test_pausing_does_not_wait_for_a_run(agents, manager):
    busy(agents, manager, "halted")
    manager()
    agents.patch("halted", paused=True)
    agents.wait_no_pod("halted")
    agents.wait_phase("halted", "Paused")
    ended = wait_for(lambda: [r for r in records(agents, "halted") if r["phase"] == "Interrupted"], "the run to be interrupted")
    assert ended[0]["reason"] == "AgentPaused"


def sleeping(agents, name, **spec):
    """An Agent that an earlier manager has put to sleep."""
    agents.apply(agent(name, suspendAfter="1h", **spec))
    found = agents.get(name)
    past = "2026-01-01T00:00:00Z"
    agents.had_runs(name, phase="Suspended", ready="0/0", observedGeneration=found["metadata"]["generation"], conditions=[
        {"type": kind, "status": status, "reason": reason, "message": "as it was", "lastTransitionTime": past,
         "observedGeneration": found["metadata"]["generation"]}
        for kind, status, reason in (("Ready", "False", "Suspended"), ("Resolved", "True", "Resolved"), ("Paused", "False", "Armed"))])


def test_a_suspended_agent_has_no_pod_and_costs_nothing(agents, manager):
    sleeping(agents, "calm")
    process = manager()
    wait_for(lambda: "1h" in condition(agents.get("calm"), "Ready")["message"], "the manager's own words")
    version = agents.get("calm")["metadata"]["resourceVersion"]
    assert agents.get("calm")["status"]["ready"] == "0/0" and phase(agents.get("calm")) == "Suspended"
    assert process.stop() == 0
    again = manager().wait_leading()
    wait_for(lambda: again.metric("controller_runtime_reconcile_total", controller="agent") >= 1 and again.metric("workqueue_depth") == 0,
             "the Agent to be looked at")
    assert agents.get("calm")["metadata"]["resourceVersion"] == version
    assert agents.pods() == []


def test_a_suspended_agent_is_not_woken_by_a_change_but_by_the_end_of_suspension(agents, manager):
    sleeping(agents, "deep")
    manager()
    agents.wait_condition("deep", "Ready", "False", "Suspended")
    agents.patch("deep", model={"name": "claude-opus-5-5"})
    agents.wait_phase("deep", "Suspended")
    assert agents.pods() == []
    agents.patch("deep", suspendAfter=None)
    assert agents.wait_pod("deep")


EVERY = 20  # seconds; a new leader comes within one of them, nearly always


def beats(agents, name, wanted):
    found = [r for r in records(agents, name) if r["phase"] == "Succeeded"]
    assert len(found) >= wanted, records(agents, name)
    return found


def test_an_idle_agent_sleeps_keeps_its_work_and_wakes_for_the_next_run(agents, manager, tmp_path):
    """With the real keeper and agentlet: they say that nobody is there."""
    process = manager()
    agents.apply(agent("nap", runtime="Custom", image="registry.example/custom:1", mode="system", suspendAfter="3s",
                       workspace={"persistent": True}, schedule={"cron": "@every 25s"},
                       playbook={"steps": [{"name": "beat", "run": "echo beat >> beats"}]}))
    uids = []
    for turn in (0, 1, 2):  # it starts awake, and then each time for a run
        with HostPod(agents, "nap", workspace=str(tmp_path)) as pod:
            uids.append(pod.uid)
            wait_for(lambda: turn == 0 or beats(agents, "nap", turn), f"run {turn}", timeout=60)
            wait_for(lambda: agents.pod("nap") is None, "the pod to be stopped", timeout=60)
        agents.wait_phase("nap", "Suspended", "Starting")
    assert len(set(uids)) == 3
    assert (tmp_path / "beats").read_text().split() == ["beat"] * len(beats(agents, "nap", 2))
    assert {r["phase"] for r in records(agents, "nap")} <= {"Succeeded", "Pending"}
    assert [e for e in agents.events("nap") if e["reason"] == "Suspended" and e["type"] == "Normal"]
    assert process.metric("workqueue_retries_total", name="agent") == 0


def test_a_pod_is_replaced_as_soon_as_its_run_has_ended(agents, manager, tmp_path):
    manager()
    (tmp_path / "hold").write_text("")
    agents.apply(agent("busy", runtime="Custom", image="registry.example/custom:1", mode="system", workspace={"persistent": True},
                       schedule={"cron": "@every 5s", "concurrencyPolicy": "Forbid"}, run={"maxRetained": 1000},
                       playbook={"steps": [{"name": "wait", "run": "echo begun >> begun; while [ -e hold ]; do sleep 0.05; done"}]}))
    with HostPod(agents, "busy", workspace=str(tmp_path)) as pod:
        wait_for(lambda: (tmp_path / "begun").exists(), "a run to begin", timeout=60)
        agents.patch("busy", env=[{"name": "COLOUR", "value": "green"}], schedule=None)
        running = next(r["id"] for r in records(agents, "busy") if r["phase"] in ("Queued", "Running"))
        wait_for(lambda: running in str(condition(agents.get("busy"), "Ready")), f"the condition to name {running}", timeout=30)
        assert agents.pod("busy")["metadata"]["uid"] == pod.uid
        (tmp_path / "hold").unlink()
        assert agents.wait_pod("busy", other_than=pod.uid)
    done = {r["id"]: r["phase"] for r in records(agents, "busy")}
    assert done[running] == "Succeeded" and "Interrupted" not in done.values(), done
    assert (tmp_path / "begun").read_text().split() == ["begun"] * sum(phase == "Succeeded" for phase in done.values())


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))


def test_a_firing_wakes_a_suspended_agent(agents, manager):
    sleeping(agents, "alarm", schedule={"cron": "@every 5s"})
    manager()
    agents.wait_pod("alarm", timeout=120)
    found = records(agents, "alarm")
    assert found and found[-1]["trigger"] == "Schedule" and found[-1]["phase"] == "Pending", found
    agents.wait_phase("alarm", "Starting", "Pending")


def test_each_time_of_a_schedule_fires_once_whoever_leads(agents, manager):
    leader = manager().wait_leading()
    manager()
    agents.apply(agent("clock", schedule={"cron": f"@every {EVERY}s", "concurrencyPolicy": "Allow"}, run={"maxQueued": 100}))
    promised = wait_for(lambda: (agents.get("clock").get("status") or {}).get("nextRunTime"), "the next time to be shown")
    wait_for(lambda: len(records(agents, "clock")) >= 1, "the first run", timeout=120)
    # the leader dies when the next is about to be due: before, at, or after it
    due = moment(agents.get("clock")["status"]["nextRunTime"]).timestamp()
    wait_for(lambda: time.time() >= due - 0.05, "the next time", timeout=90)
    leader.kill()
    wait_for(lambda: len(records(agents, "clock")) >= 3, "the third run", timeout=240)
    times = sorted(r["scheduledTime"] for r in records(agents, "clock"))
    assert len(times) == len(set(times)), times
    assert times[0] == promised
    # one for each, but for those at which nobody led: they are one
    steps = [(moment(b) - moment(a)).total_seconds() for a, b in zip(times, times[1:])]
    assert all(step % EVERY == 0 for step in steps) and sum(step > EVERY for step in steps) <= 1, times
    assert agents.get("clock")["status"]["lastScheduleTime"] == times[-1]
    assert all(r["trigger"] == "Schedule" and r["id"].startswith("s-") for r in records(agents, "clock"))


def test_times_that_were_missed_are_one(agents, manager):
    first = manager()
    agents.apply(agent("absent", schedule={"cron": "* * * * *", "concurrencyPolicy": "Allow"}))
    wait_for(lambda: (agents.get("absent").get("status") or {}).get("nextRunTime"), "the next time to be shown")
    assert first.stop() == 0
    # as if that had been hours ago
    agents.had_runs("absent", nextRunTime="2026-01-01T00:00:00Z")
    manager()
    wait_for(lambda: records(agents, "absent"), "a run")
    found = records(agents, "absent")
    late = datetime.datetime.now(datetime.timezone.utc) - moment(found[-1]["scheduledTime"])
    assert len(found) <= 2 and late.total_seconds() < 180, found


def test_too_late_is_skipped_and_says_so(agents, manager):
    first = manager()
    agents.apply(agent("late", schedule={"cron": "0 0 1 1 *", "startingDeadlineSeconds": 60}))
    wait_for(lambda: (agents.get("late").get("status") or {}).get("nextRunTime"), "the next time to be shown")
    assert first.stop() == 0
    agents.had_runs("late", nextRunTime="2026-01-01T00:00:00Z")
    manager()
    found = wait_for(lambda: records(agents, "late"), "the record")
    assert [r["phase"] for r in found] == ["Skipped"] and found[0]["reason"] == "DeadlineExceeded"
    assert found[0]["scheduledTime"] == "2026-01-01T00:00:00Z"


def test_a_paused_agent_fires_nothing_and_has_nothing_to_catch_up_with(agents, manager):
    agents.apply(agent("still", paused=True, schedule={"cron": "@every 10s"}))
    manager()
    agents.wait_phase("still", "Paused")
    shown = wait_for(lambda: (agents.get("still").get("status") or {}).get("nextRunTime"), "the next time to be shown")
    wait_for(lambda: agents.get("still")["status"]["nextRunTime"] > shown, "that time to pass", timeout=90)
    assert records(agents, "still") == []
    before = agents.get("still")["status"]["nextRunTime"]
    agents.patch("still", paused=False)
    agents.wait_pod("still")
    wait_for(lambda: records(agents, "still"), "the first run", timeout=120)
    assert records(agents, "still")[-1]["scheduledTime"] >= before
