# SPDX-License-Identifier: Apache-2.0
"""Runs from end to end without a kubelet: a real API server, the manager, and the keeper and agentlet of each pod as processes
here. What may never happen, whoever dies when: a run that is lost, and a run that runs twice."""
import concurrent.futures
import json
import os
import time
import urllib.error
import urllib.request

import pytest
from kubetest import wait_for
from kubetest.agents import Agents, agent
from kubetest.manager import free_port
from kubetest.pods import HostPod

# Each run says that it runs, and waits as long as the file "hold" is there.
SCRIPT = 'cat; echo "$AGENTKUBE_RUN_ID" >> ran; while [ -e hold ]; do sleep 0.02; done; test ! -e fail'
FINAL = {"Succeeded", "Failed", "Cancelled", "TimedOut", "Interrupted", "Skipped"}


def without_goal(one):
    del one["spec"]["goal"]
    return one


def worker(name, **spec):
    return without_goal(agent(name, runtime="Custom", image="registry.example/custom:1", **{"run": {"command": ["/bin/sh", "-c", SCRIPT]}, **spec}))


class Door:
    """The invocation API of one manager."""

    def __init__(self, port, token, namespace):
        self.url, self.token, self.namespace = f"http://127.0.0.1:{port}/api/v1", token, namespace

    def call(self, method, path, body=None, headers=None, timeout=60):
        request = urllib.request.Request(self.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
                                         headers={"Authorization": "Bearer " + self.token, "Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=timeout) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except (OSError, EOFError) as error:
            return 0, str(error)

    def of(self, name):
        return f"/namespaces/{self.namespace}/agents/{name}/runs"

    def start(self, name, prompt="work", key=None, hold=30, **more):
        headers = {"Idempotency-Key": key} if key else {}
        return self.call("POST", f"{self.of(name)}?hold={hold}", {**({"prompt": prompt} if prompt else {}), **more}, headers, hold + 30)

    def started(self, name, *arguments, **more):
        status, record = self.start(name, *arguments, **more)
        assert status == 201, (status, record)
        return record["id"]

    def get(self, name, run):
        status, record = self.call("GET", f"{self.of(name)}/{run}")
        assert status == 200, record
        return record

    def cancel(self, name, run):
        return self.call("POST", f"{self.of(name)}/{run}/cancel")


@pytest.fixture
def agents(control_plane, namespace):
    return Agents(control_plane, namespace)


@pytest.fixture(scope="session")
def token(control_plane):
    """Of somebody who may do everything."""
    kube = control_plane
    kube.api("POST", "/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "runs-tester"}})
    kube.api("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", {
        "metadata": {"name": "runs-tester"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": "runs-tester", "namespace": "default"}]})
    status, answer = kube.api("POST", "/api/v1/namespaces/default/serviceaccounts/runs-tester/token", {"spec": {"audiences": ["agentkube"], "expirationSeconds": 7200}})
    assert status == 201, answer
    return answer["status"]["token"]


@pytest.fixture
def start(manager, token, namespace):
    """A manager with its door open."""
    def begin(**options):
        port = free_port()
        one = manager(f"--invoke-bind-address=127.0.0.1:{port}", "--webhook=false", env={"POD_IP": "127.0.0.1"}, **options)
        one.door = Door(port, token, namespace)
        return one
    return begin


@pytest.fixture
def pods(agents):
    """Runs pods here, and ends them."""
    made = []

    def run(name, **options):
        made.append(HostPod(agents, name, **options))
        return made[-1]

    yield run
    for pod in made:
        pod.end()


def records(agents, name):
    return ((agents.get(name) or {}).get("status") or {}).get("runs", [])


def wait_record(agents, name, run, *phases, timeout=60):
    """The record in the status, in one of these phases."""
    def there():
        found = [r for r in records(agents, name) if r["id"] == run]
        assert found and found[0]["phase"] in phases, found or records(agents, name)
        return found[0]
    return wait_for(there, f"run {run} to be {' or '.join(phases)}", timeout)


class Work:
    """The workspace of a pod, as the script uses it."""

    def __init__(self, pod):
        self.folder = pod.workspace

    def path(self, name):
        return os.path.join(self.folder, name)

    def hold(self):
        open(self.path("hold"), "w").close()

    def go_on(self):
        os.unlink(self.path("hold"))

    def ran(self):
        try:
            with open(self.path("ran"), encoding="utf-8") as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def wait_ran(self, *runs):
        wait_for(lambda: self.ran() == list(runs), f"{runs} to run, found {self.ran()}", 30)


def ready(agents, start, pods, name="worker", **spec):
    process = start().wait_leading()
    agents.apply(worker(name, **spec))
    pod = pods(name)
    return process, pod, Work(pod)


# ---- the ordinary day


def test_a_run_is_done_and_leaves_its_record(agents, start, pods):
    process, pod, work = ready(agents, start, pods)
    run = process.door.started("worker", "the secret of the prompt")
    record = wait_record(agents, "worker", run, "Succeeded")
    assert record["exitCode"] == 0 and record["podUID"] == pod.uid and record["trigger"] == "Invocation"
    assert record["requestedBy"] == "system:serviceaccount:default:runs-tester"
    assert record["queuedTime"] <= record["startTime"] <= record["completionTime"]
    assert work.ran() == [run]
    whole = process.door.get("worker", run)
    assert whole["prompt"] == "the secret of the prompt" and whole["phase"] == "Succeeded"
    assert whole["agent"] == {"namespace": agents.namespace, "name": "worker"} and whole["podUID"] == pod.uid
    status = agents.get("worker")["status"]
    assert status["lastRunPhase"] == "Succeeded" and status["activeRuns"] == 0 and status["lastRunTime"]
    # the prompt is in the pod and nowhere else
    assert "the secret" not in json.dumps(agents.get("worker")) + process.log() + json.dumps(agents.events("worker"))
    wait_for(lambda: {e["reason"] for e in agents.events("worker")} >= {"RunSucceeded"}, "an Event")
    wait_for(lambda: process.metric("agentkube_runs_total", phase="Succeeded", trigger="Invocation") == 1, "the metric")
    assert process.metric("agentkube_run_duration_seconds_count") == 1 and process.metric("agentkube_runs_active") == 0


def test_a_failing_run_says_how_it_failed(agents, start, pods):
    process, _, work = ready(agents, start, pods)
    open(work.path("fail"), "w").close()
    record = wait_record(agents, "worker", process.door.started("worker"), "Failed")
    assert record["exitCode"] == 1 and record["reason"] == "ExitCode"
    wait_for(lambda: [e for e in agents.events("worker") if e["reason"] == "RunFailed" and e["type"] == "Warning"], "a warning")


def test_the_same_key_is_the_same_run(agents, start, pods):
    process, _, work = ready(agents, start, pods)
    work.hold()
    first = process.door.start("worker", key="monday")
    second = process.door.start("worker", key="monday")
    assert first[0] == 201 and second[0] == 200 and first[1]["id"] == second[1]["id"]
    work.go_on()
    wait_record(agents, "worker", first[1]["id"], "Succeeded")
    third = process.door.start("worker", key="monday")
    assert third[0] == 200 and third[1]["phase"] == "Succeeded"
    assert work.ran() == [first[1]["id"]]


def test_many_at_once_with_one_key_are_one_run(agents, start, pods):
    process, _, work = ready(agents, start, pods)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: process.door.start("worker", key="storm"), range(8)))
    assert {a[0] for a in answers} <= {200, 201} and len({a[1]["id"] for a in answers}) == 1, answers
    assert [a[0] for a in answers].count(201) == 1
    wait_record(agents, "worker", answers[0][1]["id"], "Succeeded")
    assert len(work.ran()) == 1


def test_runs_wait_for_each_other_up_to_the_limit(agents, start, pods):
    process, _, work = ready(agents, start, pods, run={"command": ["/bin/sh", "-c", SCRIPT], "maxQueued": 2})
    work.hold()
    runs = [process.door.started("worker", f"number {n}") for n in range(3)]
    status, answer = process.door.start("worker")
    assert status == 429 and answer["kind"] == "Status", answer
    wait_record(agents, "worker", runs[0], "Running")
    wait_for(lambda: agents.get("worker")["status"]["activeRuns"] == 3, "three active runs")
    work.go_on()
    for run in runs:
        wait_record(agents, "worker", run, "Succeeded")
    assert work.ran() == runs
    assert len(records(agents, "worker")) == 3  # the refused one is none


def test_finished_runs_are_remembered_up_to_the_limit(agents, start, pods):
    process, _, _ = ready(agents, start, pods, run={"command": ["/bin/sh", "-c", SCRIPT], "maxRetained": 2})
    for _ in range(4):
        last = process.door.started("worker")
        wait_record(agents, "worker", last, "Succeeded")
    wait_for(lambda: len(records(agents, "worker")) == 2 and records(agents, "worker")[0]["id"] == last, "two records")


def test_what_cannot_start_is_refused_in_words(agents, start, pods):
    process, _, _ = ready(agents, start, pods)
    agents.apply(worker("asleep", paused=True))
    agents.apply(without_goal(agent("goalless")))
    wait_for(lambda: agents.get("asleep").get("status"), "the other Agents to be seen")
    for name, body, wanted, words in (("asleep", "x", 409, "paused"), ("nobody", "x", 404, "not found"), ("goalless", None, 400, "prompt"),
                                      ("worker", "x" * 300_000, 413, "prompt")):
        status, answer = process.door.start(name, body)
        assert status == wanted and words in answer["message"], (name, status, answer)
    assert not records(agents, "worker")


# ---- cancel


def test_a_cancelled_run_takes_its_processes_with_it(agents, start, pods):
    process, pod, work = ready(agents, start, pods)
    work.hold()
    run = process.door.started("worker")
    work.wait_ran(run)
    status, _ = process.door.cancel("worker", run)
    assert status == 200
    record = wait_record(agents, "worker", run, "Cancelled")
    assert record["reason"] == "Cancelled" and "runs-tester" in record.get("message", "")
    wait_for(lambda: not pod.descendants(pod.agentlet.pid), "the processes to be gone")
    assert process.door.cancel("worker", run)[1]["phase"] == "Cancelled"  # once more is no error
    assert process.door.cancel("worker", "r-none")[0] == 404


def test_a_run_that_waits_for_a_pod_can_be_cancelled(agents, start):
    process = start().wait_leading()
    agents.apply(worker("worker"))
    agents.wait_pod("worker")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(process.door.start, "worker", key="k")
        run = wait_for(lambda: records(agents, "worker"), "the record")[0]["id"]
        assert process.door.cancel("worker", run)[1]["phase"] == "Cancelled"
        status, record = asked.result(30)
    assert status in (200, 201) and record["phase"] == "Cancelled"
    assert wait_record(agents, "worker", run, "Cancelled")


# ---- pods that come and go


def test_a_request_is_held_until_the_pod_is_there(agents, start, pods):
    process = start().wait_leading()
    agents.apply(worker("worker"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(process.door.start, "worker", "early")
        run = wait_for(lambda: records(agents, "worker"), "the record")[0]
        assert run["phase"] == "Pending" and "podUID" not in run
        pod = pods("worker")
        status, record = asked.result(60)
    assert status == 201 and record["id"] == run["id"]
    assert wait_record(agents, "worker", run["id"], "Succeeded")["podUID"] == pod.uid
    assert process.door.get("worker", run["id"])["prompt"] == "early"


def test_a_request_that_is_held_too_long_is_told_so_and_may_come_again(agents, start, pods):
    process = start().wait_leading()
    agents.apply(worker("worker"))
    agents.wait_pod("worker")
    status, answer = process.door.start("worker", key="again", hold=1)
    assert status == 504 and "Idempotency-Key" in answer["message"], answer
    assert wait_for(lambda: records(agents, "worker"), "the record")[0]["phase"] == "Pending"
    lost = process.door.start("worker", hold=1)  # without a key nobody can come again
    assert lost[0] == 504
    wait_for(lambda: [r for r in records(agents, "worker") if r.get("reason") == "RequestLost"], "the one without a key to be lost")
    pod = pods("worker")
    status, record = process.door.start("worker", key="again")
    assert status == 200 and wait_record(agents, "worker", record["id"], "Succeeded")
    assert Work(pod).ran() == [record["id"]]


@pytest.mark.parametrize("lost, reasons", [(True, ["PodReplaced"]), (False, ["PodReplaced", "PodRestarted"])], ids=["lost", "stopped"])
def test_a_run_whose_pod_goes_is_interrupted_and_never_repeated(agents, start, pods, lost, reasons):
    """An agentlet that is stopped ends the run itself: its word counts, if it still comes through."""
    process, pod, work = ready(agents, start, pods)
    work.hold()
    run = process.door.started("worker", key="once")
    work.wait_ran(run)
    pod.gone(lost)
    record = wait_record(agents, "worker", run, "Interrupted")
    assert record["reason"] in reasons and record["completionTime"]
    second = pods("worker")
    assert second.uid != pod.uid
    status, again = process.door.start("worker", key="once")
    assert status == 200 and again["phase"] == "Interrupted"
    fresh = process.door.started("worker")
    wait_record(agents, "worker", fresh, "Succeeded")
    assert Work(second).ran() == [fresh]


def test_a_pause_interrupts_and_says_so(agents, start, pods):
    process, pod, work = ready(agents, start, pods)
    work.hold()
    run = process.door.started("worker")
    work.wait_ran(run)
    agents.patch("worker", paused=True)
    wait_for(lambda: (agents.pod("worker") or {"metadata": {"deletionTimestamp": 1}})["metadata"].get("deletionTimestamp"), "the pod to be deleted")
    pod.gone()
    assert wait_record(agents, "worker", run, "Interrupted")["reason"] == "AgentPaused"


def test_an_agentlet_that_dies_interrupts_its_run_and_the_next_one_runs(agents, start, pods):
    process, pod, work = ready(agents, start, pods)
    work.hold()
    first = process.door.started("worker")
    second = process.door.started("worker")
    work.wait_ran(first)
    pod.kill_agentlet()
    work.go_on()
    pod.start_agentlet()
    assert wait_record(agents, "worker", first, "Interrupted")["reason"] == "PodRestarted"
    wait_record(agents, "worker", second, "Succeeded")  # it had not begun
    assert work.ran() == [first, second]


def test_a_keeper_that_dies_takes_no_run_with_it(agents, start, pods):
    process, pod, work = ready(agents, start, pods)
    work.hold()
    run = process.door.started("worker")
    work.wait_ran(run)
    pod.kill_keeper()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(process.door.start, "worker", "meanwhile")
        wait_for(lambda: len(records(agents, "worker")) == 2, "the second record")
        work.go_on()  # the end of the first one is seen by nobody
        pod.start_keeper()  # with another key
        status, second = asked.result(60)
    assert status == 201
    wait_record(agents, "worker", run, "Succeeded")
    wait_record(agents, "worker", second["id"], "Succeeded")
    assert work.ran() == [run, second["id"]]


def test_a_keeper_that_shows_the_token_of_another_pod_is_given_nothing(agents, start, pods):
    process = start().wait_leading()
    agents.apply(worker("honest"), worker("victim"))
    honest = pods("honest")
    other = pods("victim", ready=False)
    with open(honest.folder + "/token/token", encoding="utf-8") as file:
        stolen = file.read()
    with open(other.folder + "/token/token", "w", encoding="utf-8") as file:
        file.write(stolen)
    other.say_ready()
    status, answer = process.door.start("victim", hold=3)
    assert status == 504, answer
    assert not other.run_ids() and not Work(other).ran()
    assert stolen not in process.log()
    other.write_token()  # with its own it is believed
    run = process.door.started("victim")
    wait_record(agents, "victim", run, "Succeeded")


# ---- leaders that come and go


def two(start):
    first = start().wait_leading()
    second = start()
    return first, second


def test_a_run_outlives_its_leader(agents, start, pods):
    first, second = two(start)
    agents.apply(worker("worker"))
    pod = pods("worker")
    work = Work(pod)
    work.hold()
    run = first.door.started("worker", key="k")
    work.wait_ran(run)
    first.kill()
    second.wait_leading(60)
    assert wait_record(agents, "worker", run, "Running")
    status, again = second.door.start("worker", key="k")
    assert status == 200 and again["id"] == run
    work.go_on()
    wait_record(agents, "worker", run, "Succeeded")
    assert work.ran() == [run] and pod.run_ids() == [run]
    assert len(records(agents, "worker")) == 1


def test_the_end_of_a_run_that_nobody_led_is_found(agents, start, pods):
    first, second = two(start)
    agents.apply(worker("worker"))
    work = Work(pods("worker"))
    work.hold()
    run = first.door.started("worker")
    work.wait_ran(run)
    first.kill()
    work.go_on()  # it ends while nobody leads
    second.wait_leading(60)
    assert wait_record(agents, "worker", run, "Succeeded")["exitCode"] == 0
    assert work.ran() == [run]


def test_a_request_whose_leader_dies_is_one_run_when_it_is_repeated(agents, start, pods):
    first, second = two(start)
    agents.apply(worker("worker"))
    agents.wait_pod("worker")
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(first.door.start, "worker", "mine", "k")
        run = wait_for(lambda: records(agents, "worker"), "the record")[0]["id"]
        first.kill()
        assert asked.result(60)[0] in (0, 502, 503)
    second.wait_leading(60)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        asked = pool.submit(second.door.start, "worker", "mine", "k")
        pod = pods("worker")
        status, record = asked.result(60)
    assert status in (200, 201) and record["id"] == run
    wait_record(agents, "worker", run, "Succeeded")
    assert second.door.get("worker", run)["prompt"] == "mine"
    assert Work(pod).ran() == [run]


def test_under_a_storm_of_kills_nothing_is_lost_and_nothing_runs_twice(agents, start, pods):
    """Requests with keys, repeated until they are answered, while keepers and leaders are killed."""
    leaders = list(two(start))
    agents.apply(worker("worker", run={"command": ["/bin/sh", "-c", SCRIPT], "maxQueued": 100, "maxRetained": 100}))
    pod = pods("worker")
    work = Work(pod)
    stop = time.monotonic() + 25
    answered = {}

    def insist(key):
        while True:
            for one in list(leaders):
                status, answer = one.door.start("worker", key=key, hold=5)
                if status in (200, 201):
                    answered[key] = answer["id"]
                    return
            time.sleep(0.2)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(insist, f"key-{n}") for n in range(24)]
        turn = 0
        while time.monotonic() < stop and not all(a.done() for a in asked):
            time.sleep(1.5)
            turn += 1
            if turn % 3 == 0:
                leaders[0].kill()
                leaders.pop(0)
                leaders.append(start())
            else:
                pod.kill_keeper()
                pod.start_keeper()
        for one in asked:
            one.result(120)
    assert len(set(answered.values())) == 24
    wait_for(lambda: {r["phase"] for r in records(agents, "worker")} == {"Succeeded"} and len(records(agents, "worker")) == 24,
             f"all to succeed: {[(r['id'], r['phase']) for r in records(agents, 'worker')]}", 120)
    assert sorted(work.ran()) == sorted(answered.values())


# ---- what costs nothing


def test_a_new_manager_writes_nothing_about_runs_that_are_over(agents, start, pods):
    process, _, _ = ready(agents, start, pods)
    wait_record(agents, "worker", process.door.started("worker"), "Succeeded")
    assert process.stop() == 0
    before = agents.get("worker")
    again = start().wait_leading()
    wait_for(lambda: again.metric("workqueue_depth") == 0 and again.metric("controller_runtime_reconcile_total") > 0, "the Agent to be looked at")
    time.sleep(1)
    assert agents.get("worker")["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
    assert again.metric("rest_client_requests_total", method="PATCH") == 0
