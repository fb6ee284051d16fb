# SPDX-License-Identifier: Apache-2.0
"""exo on a real API server. The manager is the real one where no pod is needed, and else scripted, behind the real proxy."""
import base64
import json
import os
import pty
import re
import select
import signal
import subprocess
import time

import pytest
import yaml
from kubetest import program, wait_for
from kubetest.agents import Agents, agent
from kubetest.cluster import ROOT
from kubetest.invocation import ACCOUNT, Invocation, NoAddress

OK, FAILED, USAGE, NOT_FOUND, FORBIDDEN, BUSY, RUN_FAILED, TIMEOUT = range(8)


class Exo:
    def __init__(self, kube, namespace, home):
        self.kube, self.namespace = kube, namespace
        self.environment = {"PATH": os.environ["PATH"], "HOME": home, "KUBECONFIG": kube.kubeconfig, "LANG": "C.UTF-8",
                            **{name: value for name, value in os.environ.items() if name.endswith("SAN_OPTIONS")}}

    def command(self, *arguments):
        words = list(arguments)
        where = ["-n", self.namespace, "--operator-namespace", self.namespace]
        # only what a command knows: one that is about no namespace has no -n
        known = subprocess.run([program("exo"), *(word for word in words[:2] if word[0] != "-"), "--help"], capture_output=True, text=True, check=False).stdout
        where = [word for flag, pair in (("--namespace", where[:2]), ("--operator-namespace", where[2:])) if flag in known for word in pair]
        at = words.index("--") if "--" in words else len(words)
        return [program("exo"), *words[:at], *where, *words[at:]]

    def __call__(self, *arguments, code=OK, input=None, environment=None, timeout=90):
        stdin = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, check=False, timeout=timeout,
                              env={**self.environment, **(environment or {})}, cwd=ROOT, **stdin)
        assert code is None or done.returncode == code, f"exit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self, *arguments, **options):
        return subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, env=self.environment, cwd=ROOT, **options)

    def on_terminal(self, *arguments, environment=None, keys=None, timeout=60, shell=None):
        """Runs it on a terminal of its own; returns (exit code, everything that was shown). keys: (text to wait for, what to type
        or to do with the terminal). shell: what is run instead, with the command as "$@"."""
        command, environment = self.command(*arguments), {**self.environment, "TERM": "xterm", **(environment or {})}
        command = ["/bin/sh", "-c", shell, "sh", *command] if shell else command
        pid, fd = pty.fork()
        if pid == 0:
            try:
                os.execve(command[0], command, environment)
            finally:
                os._exit(127)
        shown, keys, deadline = b"", list(keys or []), time.monotonic() + timeout
        while time.monotonic() < deadline:
            if keys and keys[0][0].encode() in shown:
                act = keys.pop(0)[1]
                act(fd) if callable(act) else os.write(fd, act.encode())
            if not select.select([fd], [], [], 0.2)[0]:
                continue
            try:
                some = os.read(fd, 65536)
            except OSError:
                break
            if not some:
                break
            shown += some
        else:
            os.kill(pid, signal.SIGKILL)
        _, state = os.waitpid(pid, 0)
        os.close(fd)
        return os.waitstatus_to_exitcode(state), shown.decode(errors="replace").replace("\r\n", "\n")


@pytest.fixture
def exo(control_plane, namespace, tmp_path):
    return Exo(control_plane, namespace, str(tmp_path))


@pytest.fixture
def script(control_plane, namespace):
    try:
        one = Invocation(control_plane, namespace)
    except NoAddress as why:
        pytest.skip(str(why))
    yield one
    one.close()


def user_with(kube, namespace, folder, rules=(), name="somebody"):
    """A kubeconfig with the token of a ServiceAccount that has these rules in its namespace."""
    kube.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}, namespace=namespace)
    if rules:
        kube.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": list(rules)},
                   {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
                    "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
                    "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}]}, namespace=namespace)
    status, body = kube.api("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", {"spec": {"expirationSeconds": 3600}})
    assert status == 201, body
    with open(kube.kubeconfig, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"token": body["status"]["token"]}}]
    path = os.path.join(folder, f"{name}.kubeconfig")
    with open(path, "w", encoding="utf-8") as file:
        yaml.safe_dump(config, file)
    return path, body["status"]["token"]


REACH = {"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["get", "create"]}


def claims(header):
    middle = header.split(" ", 1)[1].split(".")[1]
    return json.loads(base64.urlsafe_b64decode(middle + "=" * (-len(middle) % 4)))


# ---- objects
def test_tables_are_those_of_kubectl(exo, control_plane, namespace):
    control_plane.apply(agent("one", paused=True), agent("two", paused=True), namespace=namespace)
    for flags in ([], ["-o", "wide"], ["-o", "name"], ["--no-headers"], ["-l", "no=such"]):
        kubectl = control_plane.kubectl("get", "agents", "-n", namespace, *flags)
        mine = exo("agent", "list", *flags)
        age = re.compile(r"\b\d+[smhd](\d+[smhd])?\b")
        assert age.sub("AGE", mine.stdout).split() == age.sub("AGE", kubectl.stdout).split()
    table = exo("agent", "list").stdout.splitlines()
    assert len({line.index("AGE") if "AGE" in line else None for line in table[:1]}) == 1 and table[0].startswith("NAME ")
    everywhere = exo("agent", "list", "-A").stdout.splitlines()
    assert everywhere[0].split()[0] == "NAMESPACE" and any(line.split()[:2] == [namespace, "one"] for line in everywhere)


def test_objects_are_printed_as_data(exo, control_plane, namespace):
    control_plane.apply(agent("one", paused=True), namespace=namespace)
    one = json.loads(exo("agent", "get", "one", "-o", "json").stdout)
    assert one["kind"] == "Agent" and one["metadata"]["name"] == "one" and "managedFields" not in one["metadata"]
    assert yaml.safe_load(exo("agent", "get", "one", "-oyaml").stdout) == one
    listed = json.loads(exo("agents", "ls", "-o=json").stdout)
    assert [item["metadata"]["name"] for item in listed["items"]] == ["one"]
    assert exo("agent", "get", "one", "-o", "json").stdout.startswith('{\n    "')


@pytest.mark.parametrize("noun", ["tool", "mcp", "llmgateway", "claw"])
def test_the_other_kinds_are_listed_too(exo, noun):
    assert "found in namespace" in exo(noun, "list").stderr
    assert noun in exo(noun, "get", "missing", code=NOT_FOUND).stderr.lower()


def test_what_is_missing_or_forbidden_has_its_exit_code(exo, control_plane, namespace, tmp_path):
    control_plane.apply(agent("there", paused=True), namespace=namespace)
    assert '"gone" not found' in exo("agent", "get", "gone", code=NOT_FOUND).stderr
    both = exo("agent", "get", "there", "gone", code=NOT_FOUND)
    assert "there" in both.stdout and "gone" in both.stderr
    nobody, _ = user_with(control_plane, namespace, str(tmp_path))
    assert "forbidden" in exo("agent", "list", "--kubeconfig", nobody, code=FORBIDDEN).stderr
    assert "agent list --help" in exo("agent", "list", "--nonsense", code=USAGE).stderr
    assert "no such file" in exo("agent", "list", "--kubeconfig", "/nonexistent", code=None).stderr.lower()
    assert "\"nothing\"" in exo("agent", "list", "--context", "nothing", code=None).stderr


def test_describe_says_what_an_agent_is(exo, control_plane, namespace):
    control_plane.apply(agent("one", paused=True), namespace=namespace)
    Agents(control_plane, namespace)._patch(
        f"/apis/agentkube.io/v1alpha1/namespaces/{namespace}/agents/one/status",
        {"status": {"phase": "Paused", "runs": [{"id": "r-1", "phase": "Succeeded", "trigger": "Schedule", "queuedTime": "2026-01-01T00:00:00Z"}]}})
    control_plane.apply({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "one.1"}, "type": "Normal", "reason": "Tested",
                         "message": "by a test", "lastTimestamp": "2026-01-01T00:00:00Z", "involvedObject": {
                             "apiVersion": "agentkube.io/v1alpha1", "kind": "Agent", "name": "one", "namespace": namespace}}, namespace=namespace)
    text = exo("agent", "describe", "one").stdout
    for word in ("Name:", "ClaudeCode", "Paused", "say hello", "r-1", "Succeeded", "by a test"):
        assert word in text, text
    exo("agent", "describe", "gone", code=NOT_FOUND)


def test_apply_says_what_it_did(exo, control_plane, namespace, tmp_path):
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "goal"}, "data": {"goal": "x"}}
    text = yaml.safe_dump_all([config, agent("one", paused=True)])
    assert exo("agent", "apply", "-f", "-", "--dry-run", input=text).stdout.count("created (dry run)") == 2
    assert control_plane.agent(namespace, "one") is None
    assert exo("agent", "apply", "-f", "-", input=text).stdout == "configmap/goal created\nagent.agentkube.io/one created\n"
    assert exo("agent", "apply", "-f", "-", input=text).stdout == "configmap/goal unchanged\nagent.agentkube.io/one unchanged\n"
    file = tmp_path / "a.yaml"
    file.write_text(yaml.safe_dump(agent("one", paused=True, goal={"inline": "else"})))
    assert exo("agent", "apply", "-f", str(file)).stdout == "agent.agentkube.io/one configured\n"
    managers = {entry["manager"] for entry in control_plane.agent(namespace, "one")["metadata"]["managedFields"]}
    assert managers == {"exo"}
    again = exo("agent", "get", "one", "-o", "yaml").stdout
    assert exo("agent", "apply", "-f", "-", input=again).stdout.startswith("agent.agentkube.io/one")
    # somebody else's field
    other = yaml.safe_dump(agent("one", paused=True, goal={"inline": "third"}))
    exo("agent", "apply", "-f", "-", "--field-manager", "other", "--force-conflicts", input=other)
    assert "--force-conflicts" in exo("agent", "apply", "-f", str(file), code=BUSY).stderr
    exo("agent", "apply", "-f", str(file), "--force-conflicts")
    # mistakes, none of which keeps the good ones back
    both = yaml.safe_dump_all([{"apiVersion": "nobody.io/v1", "kind": "Nothing", "metadata": {"name": "x"}}, agent("two", paused=True)])
    failed = exo("agent", "apply", "-f", "-", input=both, code=NOT_FOUND)
    assert "nobody.io/v1" in failed.stderr and "two created" in failed.stdout
    assert "not \"" in exo("agent", "apply", "-f", "-", input=yaml.safe_dump({**agent("x"), "metadata": {"name": "x", "namespace": "other"}}),
                           code=USAGE).stderr
    assert "document 1" in exo("agent", "apply", "-f", "-", input="just: text\n", code=USAGE).stderr
    assert "needs -f" in exo("agent", "apply", code=USAGE).stderr
    wrong = agent("three")
    wrong["spec"]["runtime"] = "Nonsense"
    assert "runtime" in exo("agent", "apply", "-f", "-", input=yaml.safe_dump(wrong), code=FAILED).stderr


def test_delete_by_name_labels_and_file(exo, control_plane, namespace):
    def named(*names):
        return [{**agent(name, paused=True), "metadata": {"name": name, "labels": {"app": "x"}}} for name in names]

    control_plane.apply(*named("a", "b", "c", "d"), namespace=namespace)
    assert exo("agent", "delete", "a", "--dry-run").stdout == "agent.agentkube.io/a deleted (dry run)\n"
    assert exo("agent", "delete", "a").stdout == "agent.agentkube.io/a deleted\n"
    assert control_plane.agent(namespace, "a") is None
    exo("agent", "delete", "a", code=NOT_FOUND)
    exo("agent", "delete", "a", "--ignore-not-found")
    exo("agent", "delete", "-f", "-", input=yaml.safe_dump_all(named("b")))
    assert control_plane.agent(namespace, "b") is None
    assert exo("agent", "delete", "-l", "app=x").stdout.count("deleted") == 2
    assert "No agents found" in exo("agent", "delete", "-l", "app=x").stderr
    exo("agent", "delete", code=USAGE)
    # what does not go away
    control_plane.apply({**agent("held", paused=True), "metadata": {"name": "held", "finalizers": ["example.com/test"]}}, namespace=namespace)
    assert "not gone yet" in exo("agent", "delete", "held", "--timeout", "1s", code=TIMEOUT).stderr
    exo("agent", "delete", "held", "--wait=false")


def test_watch_shows_each_change_as_it_comes(exo, control_plane, namespace):
    control_plane.apply(agent("one", paused=True), namespace=namespace)
    for flags, first in ((["list", "-w"], ["NAME", "one"]), (["get", "one", "-w"], ["NAME", "one"]), (["list", "-w", "-o", "name"], ["agent.agentkube.io/one"])):
        process = exo.start("agent", *flags)
        for wanted in first:
            assert process.stdout.readline().split()[0] == wanted
        Agents(control_plane, namespace).patch("one", goal={"inline": f"changed {flags}"})
        assert process.stdout.readline().split()[0].endswith("one")
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == -signal.SIGINT


# ---- runs
def test_a_run_is_started_with_a_key_and_the_users_token(exo, script, control_plane, namespace, tmp_path):
    kubeconfig, token = user_with(control_plane, namespace, str(tmp_path), [REACH])
    done = exo("agent", "run", "a", "do it", "--timeout", "90s", "--hold", "5s", "--kubeconfig", kubeconfig)
    (_, path, headers, body), = script.seen("POST", r".*/agents/a/runs")
    assert done.stdout == f"{list(script.runs)[0]}\n" and body == {"prompt": "do it", "timeoutSeconds": 90} and path.endswith("?hold=5")
    assert headers["X-Agentkube-Authorization"] == f"Bearer {token}" and headers["Idempotency-Key"].startswith("exo-")
    assert json.loads(exo("agent", "run", "a", "-o", "json").stdout)["phase"] == "Succeeded"
    assert script.seen("POST", r".*/runs")[-1][3] == {}
    same = [exo("agent", "run", "a", "x", "--idempotency-key", "k").stdout for _ in range(2)]
    assert same[0] == same[1]
    assert "printable" in exo("agent", "run", "a", "--idempotency-key", "a\nX-Evil: 1", code=USAGE).stderr
    assert "10m" in exo("agent", "run", "a", "--hold", "1h", code=USAGE).stderr


def test_prompts_come_from_anywhere(exo, script):
    exo("agent", "run", "a", "-", input="from a pipe\nwith lines\n")
    exo("agent", "run", "a", "--", "--not a flag")
    prompts = [request[3]["prompt"] for request in script.seen("POST", r".*/runs")]
    assert prompts == ["from a pipe\nwith lines", "--not a flag"]
    assert "longer than" in exo("agent", "run", "a", "-", input="x" * (257 << 10), code=USAGE).stderr
    bad = subprocess.run(exo.command("agent", "run", "a", "-"), input=b"\xff\xfe", capture_output=True, check=False, env=exo.environment)
    assert bad.returncode == USAGE and b"UTF-8" in bad.stderr


def test_following_shows_the_answer_and_ends_with_the_result(exo, script):
    usage = {"inputTokens": 1234, "outputTokens": 56, "costUSD": "0.0123"}
    script.next_run = {"events": [("queued", {}), ("started", {"argv0": "claude", "pid": 7}), ("tool_call", {"name": "Bash", "input": {"command": "ls"}}),
                                  ("stderr", {"text": "a warning"}), ("text", {"text": "the answer"}), ("result", {"text": "the answer", "isError": False})],
                       "usage": usage}
    done = exo("agent", "run", "a", "x", "--follow")
    assert done.stdout == "the answer\n"
    assert done.stderr.splitlines()[:2] == ["> Bash ls", "a warning"]
    assert re.fullmatch(r"run r-\w+ Succeeded in 3\.2s \(1,234 tokens in, 56 out, \$0\.0123\)", done.stderr.splitlines()[-1])
    lines = [json.loads(line) for line in exo("agent", "run", "a", "x", "-f", "-o", "json").stdout.splitlines()]
    assert [line["id"] for line in lines] == list(range(1, 8)) and lines[-1]["event"] == "ended"
    assert lines[-1]["data"]["record"]["usage"] == usage and lines[4]["data"]["text"] == "the answer"


@pytest.mark.parametrize("phase, code", [("Succeeded", OK), ("Failed", RUN_FAILED), ("Cancelled", RUN_FAILED), ("Interrupted", RUN_FAILED),
                                         ("TimedOut", TIMEOUT)])
def test_the_exit_code_is_that_of_the_run(exo, script, phase, code):
    script.next_run = {"phase": phase, "message": "because"}
    done = exo("agent", "run", "a", "x", "--follow", code=code)
    assert f" {phase}" in done.stderr and (phase == "Succeeded" or "because" in done.stderr)


@pytest.mark.parametrize("status, code", [(404, NOT_FOUND), (403, FORBIDDEN), (401, FORBIDDEN), (409, BUSY), (429, BUSY), (504, TIMEOUT), (400, FAILED)])
def test_refusals_are_shown_as_they_are(exo, script, status, code):
    script.fault(r"POST .*/runs", *[(status, f"refused with {status}")] * 10)
    assert f"refused with {status}" in exo("agent", "run", "a", "x", code=code).stderr
    assert len(script.seen("POST", r".*/runs")) == 1


def test_a_lost_answer_starts_no_second_run(exo, script):
    script.cut_after = ["start"]
    done = exo("agent", "run", "a", "x", "--follow")
    posts = script.seen("POST", r".*/agents/a/runs")
    assert len(posts) == 2 and len({post[2]["Idempotency-Key"] for post in posts}) == 1
    assert len(script.runs) == 1 and done.stdout == "done\n"


def test_a_manager_that_is_away_for_a_moment_is_waited_for(exo, script):
    script.fault(r"POST .*/runs", (503, "no leader", ("Retry-After", "1")), "cut", "serve")
    assert exo("agent", "run", "a", "x", "--follow").stdout == "done\n"


def test_a_broken_stream_goes_on_where_it_was(exo, script):
    script.next_run = {"events": [("text", {"text": f"line {n}"}) for n in range(20)]}
    script.cut_after = [None, 3, 0, 5, 1]
    done = exo("agent", "run", "a", "x", "--follow")
    assert done.stdout.splitlines() == [f"line {n}" for n in range(20)]
    resumed = [request[2].get("Last-Event-ID") for request in script.seen("GET", r".*/events")]
    assert resumed == [None, "3", "3", "8", "9"]


def test_a_stream_that_cannot_be_had_any_more_ends_with_the_record(exo, script):
    script.next_run = {"phase": "Interrupted", "message": "the pod is gone"}
    script.fault(r"GET .*/events", *[(410, "the pod is gone")] * 5)
    done = exo("agent", "run", "a", "x", "--follow", code=RUN_FAILED)
    assert "Interrupted" in done.stderr


def test_ctrl_c_cancels_and_a_second_one_leaves(exo, script):
    script.next_run = {"events": [("text", {"text": "working"})], "phase": "Running"}
    process = exo.start("agent", "run", "a", "x", "--follow")
    assert process.stdout.readline() == "working\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == RUN_FAILED and "Cancelled" in err and len(script.seen("POST", r".*/cancel")) == 1
    # a cancel that changes nothing: the second one does not wait for it
    process = exo.start("agent", "run", "b", "x", "--follow")
    assert process.stdout.readline() == "working\n"
    script.fault(r"POST .*/cancel", *[(200, "not yet")] * 3)
    process.send_signal(signal.SIGINT)
    wait_for(lambda: len(script.seen("POST", r".*/agents/b/.*/cancel")) == 1, "the cancel")
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == -signal.SIGINT


def test_ctrl_c_while_the_pod_is_waited_for_cancels_too(exo, script):
    script.next_run = {"phase": "Running"}
    script.fault(r"POST .*/agents/a/runs", *[(503, "the pod is being woken")] * 3)
    process = exo.start("agent", "run", "a", "x", "--follow")
    wait_for(lambda: script.seen("POST", r".*/agents/a/runs"), "the first request")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == FAILED and ("cancelled" in err or "gives it up" in err)
    assert all(run["record"]["phase"] == "Cancelled" for run in script.runs.values())


def test_runs_are_listed_shown_and_cancelled(exo, script, namespace):
    script.add_run("a", "r-old", reason="Completed", requestedBy="somebody", result="a result", usage={"inputTokens": 5, "outputTokens": 6, "costUSD": "0.1"})
    script.add_run("a", "r-new", phase="Running")
    script.add_run("b", "r-wait", phase="Queued")
    assert [line.split()[0] for line in exo("agent", "runs", "a").stdout.splitlines()] == ["ID", "r-new", "r-old"]
    wide = exo("run", "list", "-o", "wide").stdout.splitlines()
    assert wide[0].split()[:2] == ["AGENT", "ID"] and "a result" in wide[-1] and "somebody" in wide[-1]
    assert exo("run", "list", "-A").stdout.splitlines()[1].split()[:3] == [namespace, "b", "r-wait"]
    assert exo("run", "list", "a", "--no-headers", "-o", "name").stdout.split() == ["r-new", "r-old"]
    assert len(json.loads(exo("agent", "runs", "a", "-o", "json").stdout)["items"]) == 2
    assert exo("run", "get", "r-old").stdout.splitlines()[1].split()[:2] == ["a", "r-old"]
    assert yaml.safe_load(exo("run", "get", "a/r-old", "-o", "yaml").stdout)["result"] == "a result"
    assert "no run" in exo("run", "get", "nothing", code=NOT_FOUND).stderr
    exo("run", "get", "b/r-old", code=NOT_FOUND)
    assert exo("agent", "cancel", "a").stdout == "run r-new cancelled\n"
    assert "is under way" in exo("agent", "cancel", "a", code=NOT_FOUND).stderr
    assert "has ended: Succeeded" in exo("agent", "cancel", "a", "r-old").stdout
    assert exo("agent", "cancel", "b", "--all").stdout == "run r-wait cancelled\n"
    script.add_run("b", "r-more", phase="Running")
    assert exo("run", "cancel", "r-more").stdout == "run r-more cancelled\n"
    exo("agent", "cancel", "b", "r-more", "--all", code=USAGE)


def test_logs_of_the_newest_run_or_a_given_one(exo, script):
    script.add_run("a", "r-1", [("stdout", {"text": "first"})])
    script.add_run("a", "r-2", [("stdout", {"text": f"line {n}"}) for n in range(5)])
    assert exo("agent", "logs", "a").stdout.splitlines() == [f"line {n}" for n in range(5)]
    assert exo("agent", "logs", "a", "--tail", "2").stdout == "line 3\nline 4\n"
    assert exo("agent", "logs", "a", "--tail=0").stdout == ""
    assert exo("agent", "logs", "a", "r-1").stdout == "first\n" == exo("run", "logs", "r-1").stdout
    assert exo("run", "logs", "a/r-2", "-f").stdout.splitlines() == [f"line {n}" for n in range(5)]
    assert exo("run", "logs", "r-2", "-f", "--tail", "2").stdout == "line 4\n"  # of six events the last is the end
    assert len(exo("agent", "logs", "a", "r-2", "-o", "json").stdout.splitlines()) == 6
    assert "has no runs" in exo("agent", "logs", "b", code=NOT_FOUND).stderr
    script.fault(r"GET .*/logs", (410, "the pod is gone"))
    assert "the pod is gone" in exo("agent", "logs", "a", code=NOT_FOUND).stderr
    script.add_run("a", "r-3", [("stdout", {"text": "now"})], phase="Running")
    process = exo.start("agent", "logs", "a", "--follow")
    assert process.stdout.readline() == "now\n"
    script.emit("r-3", "stdout", {"text": "then"})
    assert process.stdout.readline() == "then\n"
    process.send_signal(signal.SIGINT)  # only leaves: a reader cancels nothing
    process.communicate(timeout=20)
    assert not script.seen("POST", r".*/cancel")


def test_pause_and_resume(exo, script):
    assert exo("agent", "pause", "a").stdout == "agent.agentkube.io/a paused\n"
    assert exo("agent", "resume", "a").stdout == "agent.agentkube.io/a resumed\n"
    assert [request[1].rsplit("/", 1)[1] for request in script.seen("POST", r".*/agents/a/\w+")] == ["pause", "resume"]


# ---- who we are
def test_a_client_certificate_gets_a_token_made(exo, script, control_plane, namespace):
    exo("agent", "runs", "a")
    token = claims(script.requests[-1][2]["X-Agentkube-Authorization"])
    assert token["sub"] == f"system:serviceaccount:{namespace}:{ACCOUNT}" and token["aud"] == ["agentkube"] and token["exp"] - token["iat"] <= 607
    control_plane.must("delete", "serviceaccount", ACCOUNT, "-n", namespace)
    assert "no ServiceAccount agentkube-cli" in exo("agent", "runs", "a", code=FAILED).stderr


def certificate_user(kube, name, folder):
    """A kubeconfig with a certificate of the cluster's own authority and no rights at all."""
    key, request = os.path.join(folder, "key"), os.path.join(folder, "csr")
    subprocess.run(["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}"],
                   check=True, capture_output=True)
    with open(request, "rb") as file:
        text = base64.b64encode(file.read()).decode()
    csr = f"{name}-csr"
    kube.apply({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": csr},
                "spec": {"request": text, "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}})
    kube.must("certificate", "approve", csr)
    path = f"/apis/certificates.k8s.io/v1/certificatesigningrequests/{csr}"
    signed = wait_for(lambda: kube.get(path)["status"].get("certificate"), "the certificate")
    kube.api("DELETE", path)
    with open(kube.kubeconfig, encoding="utf-8") as file:
        config = yaml.safe_load(file)
    config["users"] = [{"name": config["contexts"][0]["context"]["user"], "user": {"client-certificate-data": signed, "client-key": key}}]
    result = os.path.join(folder, "certificate.kubeconfig")
    with open(result, "w", encoding="utf-8") as file:
        yaml.safe_dump(config, file)
    return result


def test_who_may_not_have_a_token_is_told_what_to_ask_for(exo, script, control_plane, tmp_path):
    kubeconfig = certificate_user(control_plane, "nobody-" + exo.namespace, str(tmp_path))
    told = exo("agent", "runs", "a", "--kubeconfig", kubeconfig, code=FORBIDDEN).stderr
    assert "serviceaccounts/token" in told and "--resource-name=agentkube-cli" in told


def test_who_may_not_use_the_proxy_is_told_so(exo, script, control_plane, namespace, tmp_path):
    kubeconfig, _ = user_with(control_plane, namespace, str(tmp_path))
    assert "services/proxy" in exo("agent", "runs", "a", "--kubeconfig", kubeconfig, code=FORBIDDEN).stderr
    assert not script.requests


def test_a_manager_that_is_not_there_is_named(exo, control_plane, namespace):
    control_plane.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}}, namespace=namespace)
    assert "not installed in namespace" in exo("agent", "runs", "a", code=FAILED).stderr
    control_plane.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "agentkube-manager"},
                         "spec": {"ports": [{"name": "invoke", "port": 8082, "protocol": "TCP"}], "selector": {"no": "body"}}}, namespace=namespace)
    wait_for(lambda: control_plane.get(f"/api/v1/namespaces/{namespace}/endpoints/agentkube-manager"), "the endpoints")
    assert "does not answer" in exo("agent", "run", "a", "x", "--hold", "1s", code=FAILED).stderr


# ---- doctor, status, version
CHECKS = ["kubeconfig", "apiserver", "definitions", "manager", "leader", "webhook", "invocation", "rights", "network", "pods"]


def test_doctor_looks_at_every_link(exo, script, control_plane, namespace, tmp_path):
    found = {line["check"]: line for line in json.loads(exo("doctor", "-o", "json", code=FAILED).stdout)["checks"]}
    assert list(found) == CHECKS
    good = ("kubeconfig", "apiserver", "definitions", "invocation", "rights", "pods")
    assert all(found[name]["verdict"] == "ok" for name in good), json.dumps(found, indent=1)
    assert found["manager"]["verdict"] == "fail" and "exo-install" in found["manager"]["advice"]
    text = exo("doctor", code=FAILED).stdout
    assert re.search(r"^fail  manager ", text, re.M) and "-> install it" in text and "\033" not in text
    kubeconfig, _ = user_with(control_plane, namespace, str(tmp_path))
    limited = {line["check"]: line for line in json.loads(exo("doctor", "-o", "json", "--kubeconfig", kubeconfig, code=FAILED).stdout)["checks"]}
    assert limited["rights"]["verdict"] == "warn" and "start and cancel runs" in limited["rights"]["detail"]
    assert limited["manager"]["verdict"] == "warn" and limited["invocation"]["verdict"] == "fail"


def test_doctor_without_a_cluster_says_what_is_missing(exo, tmp_path):
    nothing = exo("doctor", environment={"KUBECONFIG": ""}, code=FAILED).stdout
    assert nothing.startswith("fail  kubeconfig") and len(nothing.splitlines()) == 2
    (tmp_path / "dead").write_text("clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\nusers: [{name: u, user: {token: t}}]\n"
                                   "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n")
    dead = exo("doctor", "--kubeconfig", str(tmp_path / "dead"), code=FAILED).stdout
    assert "fail  apiserver" in dead and "reachable from here" in dead


@pytest.mark.parametrize("kind", ["agent", "tool"])
def test_doctor_finds_pods_that_cannot_start(exo, control_plane, namespace, kind):
    name = "stuck"
    control_plane.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {f"agentkube.io/{kind}": name}},
                         "spec": {"containers": [{"name": "agent", "image": "nowhere/agent:1"}]}}, namespace=namespace)
    Agents(control_plane, namespace).waits(name, "ImagePullBackOff", "Back-off pulling image")
    lines = [line for line in json.loads(exo("doctor", "-o", "json", code=FAILED).stdout)["checks"] if line["check"] == "pods"]
    assert any(f"{namespace}/{name}" in line["detail"] and "ImagePullBackOff" in line["detail"] and "registry" in line["advice"] for line in lines), lines


def test_status_counts_agents_by_phase(exo, control_plane, namespace):
    control_plane.apply(agent("one", paused=True), namespace=namespace)
    Agents(control_plane, namespace)._patch(f"/apis/agentkube.io/v1alpha1/namespaces/{namespace}/agents/one/status",
                                            {"status": {"phase": "Suspended", "activeRuns": 3}})
    data = json.loads(exo("status", "-o", "json").stdout)
    assert data["agents"]["phases"]["Suspended"] >= 1 and data["agents"]["activeRuns"] >= 3 and data["manager"] == {"ready": False}
    text = exo("status").stdout
    assert "Suspended" in text and "not installed" in text
    assert yaml.safe_load(exo("status", "-o", "yaml").stdout)["agents"] == data["agents"]


def test_version_needs_no_cluster(exo):
    with open(ROOT + "/VERSION", encoding="utf-8") as file:
        version = file.read().strip()
    assert exo("version", "--client", environment={"KUBECONFIG": "/nonexistent"}).stdout == f"exo {version}\n" == exo("--version").stdout
    assert "no such file" in exo("version", environment={"KUBECONFIG": "/nonexistent"}).stderr.lower()
    assert json.loads(exo("version", "-o", "json").stdout)["client"] == {"version": version}


# ---- the real manager
@pytest.fixture
def real(control_plane, namespace, manager, script):
    """The real manager where the script was."""
    script.server.shutdown()
    script.server.server_close()
    one = manager(f"--invoke-bind-address={script.address}:{script.port}", env={"POD_NAMESPACE": namespace, "POD_IP": script.address})
    control_plane.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": namespace},
                         "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
                         "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}]})
    yield one.wait_leading()
    control_plane.api("DELETE", f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{namespace}")


def test_with_the_real_manager(exo, real, control_plane, namespace):
    agents = Agents(control_plane, namespace)
    agents.apply(agent("one", paused=True))
    agents.wait_phase("one", "Paused")
    found = {line["check"]: line for line in json.loads(exo("doctor", "-o", "json", code=None).stdout)["checks"]}
    assert found["invocation"]["verdict"] == "ok" and f"{namespace}:{ACCOUNT}" in found["invocation"]["detail"]
    assert found["leader"]["verdict"] == "ok", found["leader"]
    assert exo("agent", "runs", "one").stderr == "No runs found.\n"
    assert "paused" in exo("agent", "run", "one", "x", code=BUSY).stderr
    exo("agent", "run", "nobody", "x", code=NOT_FOUND)
    exo("agent", "resume", "one")
    pod = agents.wait_pod("one")
    assert pod and not agents.get("one")["spec"]["paused"]
    # nobody starts that pod here: the run waits for it as long as it is held
    assert exo("agent", "run", "one", "x", "--hold", "2s", code=TIMEOUT).stderr
    listed = json.loads(exo("run", "list", "-o", "json").stdout)["items"]
    assert [run["agent"]["name"] for run in listed] == ["one"]
    exo("run", "get", listed[0]["id"])
    exo("run", "cancel", listed[0]["id"])
    exo("agent", "pause", "one")
    agents.wait_no_pod("one")
    assert "no pod now" in exo("agent", "shell", "one", "--no-tty", "--", "true", code=NOT_FOUND).stderr


def test_real_rights_decide(exo, real, control_plane, namespace, tmp_path):
    Agents(control_plane, namespace).apply(agent("one", paused=True))
    none, _ = user_with(control_plane, namespace, str(tmp_path), [REACH], "may-reach")
    assert "agents" in exo("run", "list", "--kubeconfig", none, code=FORBIDDEN).stderr
    reader, _ = user_with(control_plane, namespace, str(tmp_path),
                          [REACH, {"apiGroups": ["agentkube.io"], "resources": ["agents"], "verbs": ["get", "list"]}], "may-read")
    exo("run", "list", "--kubeconfig", reader)
    assert "invoke" in exo("agent", "run", "one", "x", "--kubeconfig", reader, code=FORBIDDEN).stderr
    exo("agent", "pause", "one", "--kubeconfig", reader, code=FORBIDDEN)


# ---- terminals
def test_colour_is_for_terminals_that_have_it(exo, script):
    script.next_run = {"events": [("stderr", {"text": "dim \x1b[2J"}), ("text", {"text": "escape \x1b]0;title\x07"})]}
    code, shown = exo.on_terminal("agent", "run", "a", "x", "--follow")
    assert code == OK and "\033[2mdim" in shown and "\033[32mrun " in shown
    assert "\033[2J" not in shown and "\033]0;" not in shown and "escape \ufffd]0;title\ufffd" in shown
    for flags, environment in ((["--no-color"], {}), ([], {"NO_COLOR": "1"}), ([], {"TERM": "dumb"})):
        code, shown = exo.on_terminal("agent", "run", "a", "x", "--follow", *flags, environment=environment)
        assert code == OK and "\033[" not in shown and "done" not in shown and "run " in shown
    assert "\033" in exo("agent", "run", "a", "x", "--follow").stdout  # a file gets what the agent wrote


def test_keys_reach_a_run_that_is_followed(exo, script):
    script.next_run = {"events": [("text", {"text": "working"})], "phase": "Running"}
    code, shown = exo.on_terminal("agent", "run", "a", "x", "--follow", keys=[("working", "\x03")])
    assert code == RUN_FAILED and "cancelling run" in shown and "Cancelled" in shown


def test_a_refused_shell_leaves_the_terminal_as_it_was(exo):
    code, shown = exo.on_terminal("agent", "shell", "nobody")
    assert code == NOT_FOUND and "no Agent \"nobody\"" in shown
    assert "exo: there is no" in shown.splitlines()[-1]


# ---- completion, help, manual
def test_bash_completes_from_the_tables_and_the_cluster(exo, control_plane, namespace):
    control_plane.apply(agent("docs-writer", paused=True), agent("docs-reader", paused=True), namespace=namespace)
    code = f"""
        PATH={os.path.dirname(program('exo'))}:$PATH
        source <(exo completion bash)
        try() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _exo; echo "${{COMPREPLY[*]}}"; }}
        try exo age
        try exo agent desc
        try exo agent describe -n {namespace} docs-
        try exo agent list -o y
        try exo agent list --output = na
        try exo agent list --no-he
        try exo agent nonsense ''
        complete -p exo kubectl-exo"""
    done = subprocess.run(["bash", "--norc", "-c", code], capture_output=True, text=True, check=True, env=exo.environment)
    assert done.stdout.splitlines() == ["agent", "describe", "docs-reader docs-writer", "yaml", "name", "--no-headers", "",
                                        "complete -F _exo exo", "complete -F _exo kubectl-exo"], done.stdout + done.stderr


def test_completion_is_quick_and_silent_without_a_cluster(exo, tmp_path):
    (tmp_path / "config").write_text("clusters: [{name: c, cluster: {server: 'https://198.18.255.1:1'}}]\nusers: [{name: u, user: {token: t}}]\n"
                                     "contexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n")
    for kubeconfig in ("/nonexistent", str(tmp_path / "config")):
        began = time.monotonic()
        done = subprocess.run([program("exo"), "__complete", "agent", "describe", ""], capture_output=True, text=True, check=False,
                              env={**exo.environment, "KUBECONFIG": kubeconfig})
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "") and time.monotonic() - began < 6


@pytest.mark.parametrize("shell, check", [("zsh", ["zsh", "-n"]), ("fish", ["fish", "-n"]), ("bash", ["bash", "-n"])])
def test_completion_scripts_are_valid(exo, tmp_path, shell, check):
    script = tmp_path / "script"
    script.write_text(exo("completion", shell).stdout)
    assert "__complete" in script.read_text()
    if subprocess.run(["which", shell], capture_output=True, check=False).returncode:
        pytest.skip(f"there is no {shell} here")
    subprocess.run([*check, str(script)], check=True)


def commands():
    """(words, help text) of every verb, as the program lists them."""
    def help_of(*words):
        return subprocess.run([program("exo"), *words, "--help"], capture_output=True, text=True, check=True).stdout

    alone = re.findall(r"^  (\S+)", help_of().split("Commands:")[1].split("\n\n")[0], re.M)
    for word in alone:
        text = help_of(word)
        if "VERB" not in text.splitlines()[0]:
            yield (word,), text
            continue
        for verb in re.findall(r"^  (\S+)", text.split("Verbs:")[1], re.M):
            yield (word, verb), help_of(word, verb)


def test_the_manual_has_every_command_and_flag():
    with open(ROOT + "/docs/man/exo.1", encoding="utf-8") as file:
        manual = file.read().replace("\\-", "-")
    for words, text in commands():
        assert f".B {' '.join(words)}" in manual, words
        for flag in re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.M):
            assert flag in manual, (words, flag)


def test_every_flag_is_in_a_test():
    here = ""
    for name in ("test_exo.py", "test_exo_tools.py"):
        with open(os.path.join(os.path.dirname(__file__), name), encoding="utf-8") as file:
            here += file.read()
    flags = {flag for _, text in commands() for flag in re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.M)}
    letters = {"--namespace": '"-n"', "--all-namespaces": '"-A"', "--selector": '"-l"', "--watch": '"-w"', "--output": '"-o"', "--filename": '"-f"'}
    assert not [flag for flag in flags if f'"{flag}' not in here and letters.get(flag, "\0") not in here]


def test_kubectl_runs_it_as_a_plug_in(exo, control_plane, tmp_path):
    os.symlink(program("exo"), tmp_path / "kubectl-exo")
    done = subprocess.run([control_plane.tools + "/kubectl", "exo", "version", "--client"], capture_output=True, text=True, check=True,
                          env={**exo.environment, "PATH": f"{tmp_path}:{os.environ['PATH']}"})
    assert done.stdout.startswith("exo ")


def test_an_output_that_nobody_reads_ends_it(exo, control_plane, namespace):
    control_plane.apply(*[agent(f"many-{n}", paused=True) for n in range(30)], namespace=namespace)
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {' '.join(exo.command('agent', 'list', '-o', 'yaml'))} | head -1"],
                          capture_output=True, text=True, check=False, env=exo.environment)
    assert done.stdout == "apiVersion: agentkube.io/v1alpha1\n" and done.stderr == ""
