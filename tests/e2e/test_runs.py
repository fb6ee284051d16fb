# SPDX-License-Identifier: Apache-2.0
"""Agents at work: real command line programs in real pods, asked with exo, answered by a stand-in for their provider."""
import json
import os
import re
import signal
import subprocess

import pytest
from kubetest import wait_for
from kubetest.agents import agent, condition
from kubetest.exo import RUN_FAILED, TIMEOUT
from kubetest.inside import memory_holds, processes
from kubetest.worker import KEY, RUNTIMES

# What the manager asks of the API server is the same in these and in the others: they are not run again with the least rights.
any_rights = pytest.mark.any_rights

SAYS = "OK from the stand-in"


def final(record):
    return record and record["phase"] in ("Succeeded", "Failed", "Cancelled", "TimedOut", "Interrupted", "Skipped")


def wait_final(exo, identity, timeout=180):
    wait_for(lambda: final(exo.run("", identity)), f"run {identity} to end", timeout)
    return exo.run("", identity)


def wait_running(exo, identity):
    wait_for(lambda: (exo.run("", identity) or {}).get("phase") == "Running", f"run {identity} to start")


def started(exo, name, prompt, *flags):
    return exo("agent", "run", name, prompt, *flags).stdout.strip()


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_real_cli_answers_and_never_sees_the_key(agents, exo, worker, provider, runtime):
    worker("bot", runtime)
    before = len(provider.requests())
    done = exo("agent", "run", "bot", "please greet everybody", "--follow", timeout=240)
    assert SAYS in done.stdout, done.stdout + done.stderr
    record = exo.runs("bot")[0]
    assert record["phase"] == "Succeeded" and record["exitCode"] == 0, record
    if runtime != "Cline":  # it takes no headers: docs/runtimes.md
        assert record["id"] in agents.kube.must("-n", agents.namespace, "logs", "bot", "-c", "keeper")
    calls = [one for one in provider.requests()[before:] if one["method"] == "POST"]
    assert calls and all(one["key"]["matches"] for one in calls), [one["key"] for one in calls]
    assert RUNTIMES[runtime][1] in json.dumps([one["body"] for one in calls])

    slow = started(exo, "bot", "[[slow: 2000 0.5]] speak slowly please")
    wait_for(lambda: [one for one in provider.requests() if not one["finished"] and one["method"] == "POST"], "the slow call")
    inside = processes(agents.pod("bot"), "agent")
    assert len(inside) > 1, inside  # agentlet and the program at least
    for pid, command in inside:
        assert KEY not in command
        with open(f"/proc/{pid}/environ", "rb") as file:
            assert KEY.encode() not in file.read(), command
        assert not memory_holds(pid, KEY.encode()), f"the key is in the memory of {command}"
    keeper = [pid for pid, command in processes(agents.pod("bot"), "keeper") if "keeper" in command]
    assert any(memory_holds(pid, KEY.encode()) for pid in keeper), "the search finds nothing even where the key must be"
    found = agents.kube.kubectl("-n", agents.namespace, "exec", "bot", "-c", "agent", "--", "sh", "-c",
                                f"grep -rslF {KEY} /agentkube /workspace /home /tmp /var/run /etc 2>/dev/null")
    assert not found.stdout.strip(), found.stdout
    exo("run", "cancel", slow)
    assert wait_final(exo, slow)["phase"] == "Cancelled"
    said = json.dumps([agents.get("bot"), agents.pods(), agents.events("bot")]) + \
        agents.kube.must("-n", agents.namespace, "logs", "bot", "--all-containers") + \
        agents.kube.must("-n", "agentkube-system", "logs", "deploy/agentkube-manager", "--tail=-1")
    assert KEY not in said


@any_rights
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_real_cli_uses_its_shell_in_the_workspace(agents, exo, worker, runtime):
    worker("bot", runtime)
    done = exo("agent", "run", "bot", "[[shell: echo forty-two > made.txt; cat made.txt]] do that please", "--follow", timeout=240)
    assert "forty-two" in done.stdout, done.stdout + done.stderr
    kube = agents.kube
    assert kube.must("-n", agents.namespace, "exec", "bot", "-c", "agent", "--", "cat", "/workspace/made.txt") == "forty-two\n"
    status = agents.get("bot")["status"]
    assert status["lastRunPhase"] == "Succeeded" and status["runs"][0]["phase"] == "Succeeded"
    wide = kube.must("-n", agents.namespace, "get", "agents", "-o", "wide").splitlines()
    assert "RESULT" in wide[0] and "Succeeded" in wide[1]
    log = kube.must("-n", agents.namespace, "logs", "bot")
    assert re.search(r"(?m)^run \S+: .*forty-two", log), log[-3000:]


def test_cancel_in_mid_stream_leaves_no_process(agents, exo, worker):
    worker("bot")
    follower = exo.start("agent", "run", "bot", "[[slow: 600 0.5]] count", "--follow")
    identity = wait_for(lambda: [one for one in exo.runs("bot") if one["phase"] == "Running"], "the run to start")[0]["id"]
    wait_for(lambda: any("claude" in command for _, command in processes(agents.pod("bot"), "agent")), "claude to run")
    exo("run", "cancel", identity)
    assert follower.wait(60) == RUN_FAILED
    assert wait_final(exo, identity)["phase"] == "Cancelled"
    wait_for(lambda: len(processes(agents.pod("bot"), "agent")) == 1, "nothing but the agentlet to be left")


@any_rights
def test_a_run_over_its_time_is_ended(exo, worker):
    worker("bot", run={"timeoutSeconds": 5})
    done = exo("agent", "run", "bot", "[[hang]] never answer", "--follow", code=None)
    record = exo.runs("bot")[0]
    assert record["phase"] == "TimedOut" and "5" in record["message"], record
    assert done.returncode in (RUN_FAILED, TIMEOUT)


@any_rights
@pytest.mark.parametrize("prompt, words", [("[[fail: 429]] go", "429|rate"), ("[[malformed]] go", "."), ("[[fail: 401]] go", "401|auth")])
def test_trouble_of_the_provider_ends_the_run_with_its_words(exo, worker, prompt, words):
    worker("bot", run={"timeoutSeconds": 120})
    done = exo("agent", "run", "bot", prompt, "--follow", code=RUN_FAILED, timeout=200)
    record = exo.runs("bot")[0]
    assert record["phase"] in ("Failed", "TimedOut") and record.get("message"), record
    assert re.search(words, done.stdout + done.stderr + json.dumps(record), re.IGNORECASE)


@any_rights
def test_a_provider_that_is_down_ends_the_run_and_says_so(exo, worker):
    worker("bot", base="http://10.250.0.1:9", run={"timeoutSeconds": 120})
    exo("agent", "run", "bot", "hello there", "--follow", code=RUN_FAILED, timeout=200)
    record = exo.runs("bot")[0]
    assert record["phase"] in ("Failed", "TimedOut") and record.get("message"), record


@any_rights
def test_fifty_megabytes_of_output_pass(agents, exo, worker):
    worker("bot", mode="system", playbook={"steps": [{"name": "loud", "run": "head -c 50000000 /dev/zero | tr '\\0' x; echo; seq 1 100000"}]})
    with open(os.path.join(exo.environment["HOME"], "out"), "wb") as out:
        done = subprocess.run([*exo.command("agent", "run", "bot", "--follow")], env=exo.environment, stdin=subprocess.DEVNULL,
                              stdout=out, stderr=subprocess.PIPE, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    record = exo.runs("bot")[0]
    assert record["phase"] == "Succeeded", record
    resident = [int(line.split()[1]) for pid, command in processes(agents.pod("bot"), "agent") if "agentlet" in command
                for line in open(f"/proc/{pid}/status", encoding="utf-8") if line.startswith("VmHWM")]
    assert resident and max(resident) < 24 * 1024, f"the agentlet took {max(resident)} KiB"


@any_rights
def test_a_playbook_runs_its_steps_in_order_and_stops_at_the_first_failure(exo, worker):
    worker("bot", mode="system", playbook={"steps": [
        {"name": "one", "run": "echo first"}, {"name": "two", "prompt": "say something nice"},
        {"name": "three", "run": "exit 3", "retries": 1}, {"name": "four", "run": "echo never"}]})
    done = exo("agent", "run", "bot", "--follow", code=RUN_FAILED, timeout=240)
    assert "first" in done.stdout and SAYS in done.stdout and "never" not in done.stdout
    steps = exo.run("bot", exo.runs("bot")[0]["id"])["steps"]
    assert [(one["name"], one["phase"]) for one in steps[:3]] == [("one", "Succeeded"), ("two", "Succeeded"), ("three", "Failed")]
    assert steps[2]["attempts"] == 2 and steps[2]["exitCode"] == 3


def test_a_schedule_fires_by_itself(agents, exo, worker):
    worker("cronbot", schedule={"cron": "* * * * *"})
    wait_for(lambda: [one for one in exo.runs("cronbot") if one["trigger"] == "Schedule" and one["phase"] == "Succeeded"],
             "a scheduled run to succeed", timeout=200)
    status = agents.get("cronbot")["status"]
    assert status["lastScheduleTime"] and status["nextRunTime"] > status["lastScheduleTime"]
    agents.patch("cronbot", paused=True)


def test_an_idle_agent_is_suspended_keeps_its_work_and_wakes_for_a_run(agents, exo, worker):
    worker("sleeper", suspendAfter="5s", workspace={"persistent": True, "size": "64Mi"})
    exo("agent", "run", "sleeper", "[[shell: echo kept > note.txt]] write it down", "--follow", timeout=240)
    agents.wait_phase("sleeper", "Suspended", timeout=120)
    agents.wait_no_pod("sleeper", timeout=120)
    assert [one["phase"] for one in exo.runs("sleeper")] == ["Succeeded"]
    done = exo("agent", "run", "sleeper", "[[shell: cat note.txt]] read it", "--follow", timeout=300)
    assert "kept" in done.stdout
    assert [one["phase"] for one in exo.runs("sleeper")] == ["Succeeded", "Succeeded"]


@any_rights
def test_a_killed_keeper_loses_no_run(agents, exo, worker):
    worker("bot", mode="system", playbook={"steps": [{"name": "long", "run": "for i in $(seq 1 30); do echo tick $i; sleep 1; done"}]})
    follower = exo.start("agent", "run", "bot", "--follow")
    wait_for(lambda: [one for one in exo.runs("bot") if one["phase"] == "Running"], "the run to start")
    for pid, _ in processes(agents.pod("bot"), "keeper"):
        os.kill(pid, signal.SIGKILL)
    out, err = follower.communicate(timeout=240)
    assert follower.returncode == 0, out[-2000:] + err[-2000:]
    assert re.findall(r"tick (\d+)", out) == [str(n) for n in range(1, 31)]
    assert [one["phase"] for one in exo.runs("bot")] == ["Succeeded"]


def test_a_run_goes_on_through_a_failover_of_the_manager(agents, exo, worker):
    kube = agents.kube
    worker("bot", mode="system", playbook={"steps": [{"name": "long", "run": "echo once >> /workspace/count; sleep 30; echo over"}]})
    kube.must("-n", "agentkube-system", "scale", "deployment/agentkube-manager", "--replicas=2")
    try:
        kube.must("-n", "agentkube-system", "rollout", "status", "deployment/agentkube-manager", "--timeout=120s")
        follower = exo.start("agent", "run", "bot", "--follow")
        wait_for(lambda: [one for one in exo.runs("bot") if one["phase"] == "Running"], "the run to start")
        lease = kube.get("/apis/coordination.k8s.io/v1/namespaces/agentkube-system/leases/agentkube-manager")
        kube.must("-n", "agentkube-system", "delete", "pod", lease["spec"]["holderIdentity"].split("_")[0], "--grace-period=0", "--force")
        out, err = follower.communicate(timeout=240)
        assert follower.returncode == 0 and "over" in out, out[-2000:] + err[-2000:]
        wait_for(lambda: [one["phase"] for one in exo.runs("bot")] == ["Succeeded"], "the record of the run")
        assert kube.must("-n", agents.namespace, "exec", "bot", "-c", "agent", "--", "cat", "/workspace/count") == "once\n"
    finally:
        kube.must("-n", "agentkube-system", "scale", "deployment/agentkube-manager", "--replicas=1")


@any_rights
def test_a_run_whose_container_dies_is_reported_and_not_repeated(agents, exo, worker):
    worker("bot", mode="system", workspace={"persistent": True, "size": "64Mi"},
           playbook={"steps": [{"name": "long", "run": "echo once >> /workspace/count; sleep 600"}]})
    follower = exo.start("agent", "run", "bot", "--follow")
    wait_for(lambda: [one for one in exo.runs("bot") if one["phase"] == "Running"], "the run to start")
    for pid, command in processes(agents.pod("bot"), "agent"):
        if "agentlet" in command:
            os.kill(pid, signal.SIGKILL)
    assert follower.wait(240) == RUN_FAILED
    record = wait_final(exo, exo.runs("bot")[0]["id"])
    assert record["phase"] == "Interrupted", record
    agents.wait_phase("bot", "Running", timeout=120)
    assert agents.kube.must("-n", agents.namespace, "exec", "bot", "-c", "agent", "--", "cat", "/workspace/count") == "once\n"


@any_rights
def test_a_run_that_eats_all_memory_is_explained(agents, exo, worker):
    worker("bot", mode="system", resources={"limits": {"memory": "96Mi"}, "requests": {"memory": "96Mi"}},
           playbook={"steps": [{"name": "eat", "run": "x=$(head -c 300M /dev/zero | tr '\\0' a)"}]})
    exo("agent", "run", "bot", "--follow", code=RUN_FAILED, timeout=240)
    record = wait_final(exo, exo.runs("bot")[0]["id"])
    assert record["reason"] == "OOMKilled", record


def test_what_cannot_use_the_keeper_says_that_its_key_is_exposed(agents, worker):
    agents.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "cursor"}, "stringData": {"key": KEY}},
                      namespace=agents.namespace)
    agents.apply(agent("exposed", runtime="Cursor", agentToken={"secretRef": {"name": "cursor", "key": "key"}}))
    told = agents.wait_condition("exposed", "TokenExposed", "True")
    assert "keeper" in told["message"] or "key" in told["message"]
    worker("hidden", wait=False)
    assert wait_for(lambda: agents.get("hidden").get("status"), "a status") and \
        condition(agents.get("hidden"), "TokenExposed").get("status", "False") == "False"
