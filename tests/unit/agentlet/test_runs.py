#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs, with the agentlet as a process: test_runs.py PATH-OF-AGENTLET. Speaks TAP.

The runtime is Custom with `sh -c {prompt}`, so that a prompt is a script. Waits are for conditions.
"""
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import unittest

import test_program
from test_program import Case, DEADLINE, Running, eventually, is_alive, main, read, write

FINAL = ("Succeeded", "Failed", "Cancelled", "TimedOut", "Interrupted")
MB = 1 << 20


class Connection(http.client.HTTPConnection):
    """HTTP on a Unix socket."""

    def __init__(self, path, timeout=DEADLINE):
        super().__init__("agentlet", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def parse_events(lines):
    """(id, type, data) of a stream of lines without their ends."""
    event = {}
    for line in lines:
        if line == "" and event:
            yield int(event.get("id", 0)), event["event"], json.loads(event["data"])
            event = {}
        elif line and not line.startswith(":"):
            name, _, value = line.partition(": ")
            event[name] = value


def memory_kib(pid, name="VmRSS"):
    for line in read(f"/proc/{pid}/status").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise AssertionError("no " + name)


def is_sanitized():
    with open(test_program.AGENTLET, "rb") as file:
        return b"__asan_init" in (data := file.read()) or b"__tsan_init" in data


class RunCase(Case):
    def setUp(self):
        super().setUp()
        self.link = f"{self.dir}/link.sock"
        self.env.update(AGENTKUBE_LINK=self.link, AGENTKUBE_GRACE_SECONDS="1",
                        AGENTKUBE_CGROUP=f"{self.dir}/cgroup",
                        AGENTKUBE_RUN_COMMAND=json.dumps(["/bin/sh", "-c", "{prompt}"]))
        self.runs = f"{self.workspace}/.agentkube/runs"

    def start(self, **env):
        self.agentlet = Running(self, **env).until_ready()
        return self.agentlet

    def call(self, method, path, body=None, headers=None):
        connection = Connection(self.link)
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, path, data, headers or {})
            reply = connection.getresponse()
            text = reply.read()
            is_json = "json" in reply.getheader("Content-Type", "")
            return reply.status, json.loads(text) if is_json else text
        finally:
            connection.close()

    def put(self, run, script=None, wanted=201, **more):
        status, record = self.call("PUT", f"/v1/runs/{run}", {**({"prompt": script} if script else {}), **more})
        self.assertEqual(status, wanted, record)
        return record

    def get(self, run):
        status, record = self.call("GET", f"/v1/runs/{run}")
        self.assertEqual(status, 200, record)
        return record

    def until(self, run, *phases):
        return eventually(lambda: (record := self.get(run))["phase"] in (phases or FINAL) and record,
                          f"{run}: {phases}", DEADLINE * 4)

    def run_script(self, run, script, **more):
        self.put(run, script, **more)
        return self.until(run)

    @contextlib.contextmanager
    def stream(self, run, query="", headers=None, what="events"):
        connection = Connection(self.link)
        try:
            connection.request("GET", f"/v1/runs/{run}/{what}{query}", headers=headers or {})
            reply = connection.getresponse()
            self.assertEqual(reply.status, 200, reply.read() if reply.status != 200 else "")
            yield (line.decode().rstrip("\n") for line in iter(reply.readline, b""))
        finally:
            connection.close()

    def events(self, run, query="", headers=None):
        with self.stream(run, query, headers) as lines:
            return list(parse_events(lines))

    def logs(self, run, query=""):
        return self.call("GET", f"/v1/runs/{run}/logs{query}")[1].decode()


class TestOneRun(RunCase):
    def test_a_prompt_goes_in_and_a_result_comes_out(self):
        self.start()
        record = self.run_script("one", "echo hello; echo odd >&2; pwd", requestedBy="somebody", timeoutSeconds=60)
        self.assertEqual((record["phase"], record["reason"], record["exitCode"]), ("Succeeded", "Completed", 0))
        self.assertEqual(record["result"], f"hello\n{os.path.realpath(self.workspace)}")
        self.assertEqual(record["agent"], {"namespace": "default", "name": "tester"})
        self.assertEqual((record["requestedBy"], record["trigger"], record["mode"]),
                         ("somebody", "Invocation", "supervised"))
        self.assertEqual(record["prompt"], "echo hello; echo odd >&2; pwd")
        self.assertGreaterEqual(record["durationMilliseconds"], 0)
        self.assertNotIn("truncated", record)
        self.assertNotIn("private", record)
        events = self.events("one")
        self.assertEqual([event[0] for event in events], list(range(1, len(events) + 1)))
        self.assertEqual(record["lastEvent"], len(events))
        types = [event[1] for event in events]
        self.assertEqual((types[0], types[1], types[-1]), ("queued", "started", "ended"))
        self.assertEqual([event[2]["text"] for event in events if event[1] == "stderr"], ["odd"])
        self.assertNotIn("result", types)  # what was printed is not said once more
        ended = events[-1][2]["record"]
        self.assertEqual((ended["phase"], ended["lastEvent"]), ("Succeeded", len(events)))
        self.assertTrue(all("time" in event[2] for event in events))

    def test_its_environment_is_the_containers_with_its_mark(self):
        self.start(CANARY="in here")
        record = self.run_script("marked", 'echo "$CANARY $AGENTKUBE_RUN_ID"')
        self.assertEqual(record["result"], "in here marked")

    def test_the_goal_comes_before_the_prompt(self):
        write(f"{self.dir}/goal", "echo goal\n")
        self.start(AGENTKUBE_GOAL_FILE=f"{self.dir}/goal")
        self.assertEqual(self.run_script("both", "echo prompt")["result"], "goal\nprompt")
        self.put("alone")
        self.assertEqual(self.until("alone")["result"], "goal")

    def test_a_failure_says_why_in_words(self):
        self.start()
        record = self.run_script("bad", "echo working; echo 'no such model: x' >&2; exit 3")
        self.assertEqual((record["phase"], record["reason"], record["exitCode"]), ("Failed", "ExitCode", 3))
        self.assertIn("exit code 3: no such model: x", record["message"])

    def test_a_program_that_is_not_there_is_named(self):
        self.start(AGENTKUBE_RUN_COMMAND=json.dumps(["no-such-agent"]))
        record = self.run_script("none", "hello")
        self.assertEqual((record["phase"], record["reason"]), ("Failed", "StartFailed"))
        self.assertIn('there is no program "no-such-agent"', record["message"])

    def test_the_container_s_log_shows_it(self):
        self.start()
        self.run_script("shown", "echo visible; printf '\\033[2Jno'; exit 4")
        eventually(lambda: b"[ended]" in self.agentlet.stdout, "the log")
        text = self.agentlet.stdout.decode()
        self.assertIn("run shown: visible\n", text)
        self.assertIn("run shown: ?[2Jno\n", text)
        self.assertRegex(text, r"run shown: \[ended\] Failed after \d+\.\d{3} s: the program ended with exit code 4")
        self.assertEqual(self.logs("shown", "?tail=1").split()[0], "[ended]")
        self.assertEqual(self.logs("shown").splitlines()[1], "visible")

    def test_binary_output_becomes_text_and_stays_bytes_in_the_transcript(self):
        self.start()
        record = self.run_script("binary", "printf 'a\\377\\376\\000b\\nc\\303\\244\\n'")
        self.assertEqual(record["phase"], "Succeeded")
        self.assertEqual(self.call("GET", "/v1/runs/binary/transcript")[1], b"a\xff\xfe\x00b\nc\xc3\xa4\n")
        texts = [event[2]["text"] for event in self.events("binary") if event[1] == "stdout"]
        self.assertEqual(texts, ["a��\0b", "cä"])

    def test_a_log_that_nobody_reads_holds_no_run_up(self):
        self.agentlet = Running(self, read_output=False).until_ready()
        record = self.run_script("noisy", "i=0; while [ $i -lt 20000 ]; do echo line $i of many; i=$((i+1)); done")
        self.assertEqual(record["phase"], "Succeeded")
        self.assertEqual(self.logs("noisy").count("of many"), 20000)


class TestQueue(RunCase):
    def test_runs_wait_in_order_and_only_so_many(self):
        self.start(AGENTKUBE_RUN_MAX_QUEUED="2")
        gate = f"{self.dir}/gate"
        self.put("a", f"until [ -e {gate} ]; do sleep 0.05; done; echo a >>{self.dir}/order")
        self.until("a", "Running")
        self.put("c", f"echo c >>{self.dir}/order")
        self.put("b", f"echo b >>{self.dir}/order")
        status, refusal = self.call("PUT", "/v1/runs/d", {"prompt": "true"})
        self.assertEqual((status, refusal["reason"], refusal["kind"]), (429, "TooManyRequests", "Status"))
        self.assertEqual(self.call("GET", "/v1/state")[1]["queuedRuns"], 2)
        self.assertEqual(self.call("GET", "/v1/state")[1]["activeRuns"], 1)
        self.assertEqual(self.get("b")["phase"], "Queued")
        write(gate, "")
        self.until("b")
        self.assertEqual(read(f"{self.dir}/order"), "a\nc\nb\n")
        self.assertEqual([item["id"] for item in self.call("GET", "/v1/runs")[1]["items"]], ["b", "c", "a"])
        self.assertEqual([item["id"] for item in self.call("GET", "/v1/runs?limit=1")[1]["items"]], ["b"])
        self.assertEqual(self.call("GET", "/v1/runs/d")[0], 404)

    def test_asking_twice_is_asking_once(self):
        self.start()
        self.put("twice", f"echo x >>{self.dir}/count; sleep 0.2")
        for _ in range(3):
            self.put("twice", "something else", 200)
        self.until("twice")
        self.assertEqual(self.put("twice", "echo again", 200)["phase"], "Succeeded")
        self.assertEqual(read(f"{self.dir}/count"), "x\n")

    def test_nothing_is_taken_before_the_setup_is_done(self):
        gate = f"{self.dir}/gate"
        self.agentlet = Running(self, AGENTKUBE_SETUP_COMMAND=f"until [ -e {gate} ]; do sleep 0.05; done")
        eventually(lambda: os.path.exists(self.link), "the socket")
        status, refusal = self.call("PUT", "/v1/runs/early", {"prompt": "true"})
        self.assertEqual((status, refusal["message"]), (503, "the setup is not done"))
        write(gate, "")
        self.agentlet.until_ready()
        self.put("early", "true")

    def test_a_wrong_request_is_refused_with_the_reason(self):
        self.start()
        for body, message in (({}, "prompt: is required"), (b"{", "not JSON"), ([], "must be a JSON object"),
                              ({"prompt": 3}, "prompt: must be a string"), ({"promt": "x"}, '"promt": is not known'),
                              ({"prompt": "x", "timeoutSeconds": 0}, "timeoutSeconds: must be a whole number"),
                              ({"prompt": "x", "trigger": "Magic"}, "trigger: must be"),
                              ({"prompt": "x", "scheduledTime": "now"}, "scheduledTime: must be a time"),
                              ({"prompt": "x", "steps": [{"name": "a", "run": "true"}]}, "only mode system")):
            status, refusal = self.call("PUT", "/v1/runs/bad", body)
            self.assertEqual((status, refusal["code"], refusal["reason"]), (400, 400, "BadRequest"), body)
            self.assertIn(message, refusal["message"])
        self.assertEqual(self.call("PUT", "/v1/runs/bad", {"prompt": "x" * 300000})[0], 413)
        status, refusal = self.call("PUT", "/v1/runs/bad", b"x" * 600000)
        self.assertEqual((status, refusal["kind"], refusal["code"]), (413, "Status", 413))
        for name in ("Upper", "a_b", "-a", "a" * 64, "..", "%2e%2e"):
            self.assertIn(self.call("PUT", f"/v1/runs/{name}", {"prompt": "x"})[0], (400, 404), name)
        self.assertEqual(os.listdir(self.runs), [])
        self.assertEqual(self.call("DELETE", "/v1/runs/x")[0], 405)
        self.assertEqual(self.call("GET", "/v1/other")[0], 404)


class TestStop(RunCase):
    def test_cancel_ends_every_process_of_the_run(self):
        self.start()
        pids = f"{self.dir}/pids"
        self.put("tree", f"sleep 1000 & echo $! >{pids}; sh -c 'sleep 1001 & echo $! >>{pids}; wait' & "
                         f"setsid sleep 1002 & echo $! >>{pids}; wait")
        eventually(lambda: os.path.exists(pids) and len(read(pids).split()) == 3, "three children")
        status, record = self.call("POST", "/v1/runs/tree/cancel", {"reason": "AgentPaused", "message": "paused by x"})
        self.assertEqual((status, record["phase"]), (200, "Running"))
        record = self.until("tree")
        self.assertEqual((record["phase"], record["reason"], record["message"]),
                         ("Cancelled", "AgentPaused", "paused by x"))
        for pid in read(pids).split():
            self.assertFalse(is_alive(int(pid)), pid)
        self.assertEqual(self.call("POST", "/v1/runs/tree/cancel")[1]["phase"], "Cancelled")

    def test_a_run_that_ends_well_on_term_is_cancelled_all_the_same(self):
        self.start()
        self.put("polite", f"trap 'exit 0' TERM; touch {self.dir}/up; while :; do sleep 0.1; done")
        eventually(lambda: os.path.exists(f"{self.dir}/up"), "started")
        self.call("POST", "/v1/runs/polite/cancel")
        record = self.until("polite")
        self.assertEqual((record["phase"], record["exitCode"], record["reason"]), ("Cancelled", 0, "Cancelled"))

    def test_what_ignores_term_is_killed_after_the_grace(self):
        self.start()
        self.put("stubborn", f"trap '' TERM; touch {self.dir}/up; while :; do sleep 0.1; done")
        eventually(lambda: os.path.exists(f"{self.dir}/up"), "started")
        began = time.monotonic()
        self.call("POST", "/v1/runs/stubborn/cancel")
        record = self.until("stubborn")
        self.assertEqual((record["phase"], record["exitCode"]), ("Cancelled", 137))
        self.assertGreaterEqual(time.monotonic() - began, 0.9)

    def test_daemons_are_ended_with_the_run(self):
        self.start()
        pids = f"{self.dir}/pids"
        script = (f"setsid sh -c 'trap \"\" HUP; sleep 1003 & echo $! >>{pids}; echo $$ >>{pids}; wait' "
                  f">/dev/null 2>&1 & env -i sleep 1004 >/dev/null 2>&1 & echo $! >>{pids}; "
                  f"until [ $(wc -l <{pids}) = 3 ]; do sleep 0.05; done; echo done")
        record = self.run_script("daemon", script)
        self.assertEqual((record["phase"], record["result"]), ("Succeeded", "done"))
        for pid in read(pids).split():
            self.assertFalse(is_alive(int(pid)), pid)

    def test_a_child_that_keeps_the_output_open_does_not_keep_the_run(self):
        self.start()
        began = time.monotonic()
        record = self.run_script("open", "(sleep 1005) & echo done")
        self.assertEqual((record["phase"], record["result"]), ("Succeeded", "done"))
        self.assertLess(time.monotonic() - began, 20)

    def test_the_setup_s_background_outlives_runs(self):
        pid = f"{self.dir}/pid"
        self.start(AGENTKUBE_SETUP_COMMAND=f"sleep 1006 >/dev/null 2>&1 & echo $! >{pid}")
        self.run_script("first", "true")
        self.put("second", "sleep 100")
        self.until("second", "Running")
        self.call("POST", "/v1/runs/second/cancel")
        self.until("second")
        self.assertTrue(is_alive(int(read(pid))))
        os.kill(int(read(pid)), signal.SIGKILL)

    def test_the_time_limit_ends_a_run(self):
        self.start()
        record = self.run_script("slow", "echo begun; sleep 1000", timeoutSeconds=1)
        self.assertEqual((record["phase"], record["reason"]), ("TimedOut", "Timeout"))
        self.assertIn("within 1 seconds", record["message"])

    def test_a_waiting_run_can_be_cancelled(self):
        self.start()
        self.put("first", "sleep 1000")
        self.put("second", f"touch {self.dir}/never")
        with self.stream("second") as lines:
            events = parse_events(lines)
            self.assertEqual(next(events)[1], "queued")
            self.assertEqual(self.call("POST", "/v1/runs/second/cancel")[1]["phase"], "Cancelled")
            self.assertEqual([event[1] for event in events], ["ended"])
        self.call("POST", "/v1/runs/first/cancel")
        self.until("first")
        self.assertFalse(os.path.exists(f"{self.dir}/never"))

    def test_the_end_of_the_pod_interrupts_a_run_and_tells_its_followers(self):
        self.start()
        self.put("cut", f"trap 'exit 0' TERM; touch {self.dir}/up; while :; do sleep 0.1; done")
        eventually(lambda: os.path.exists(f"{self.dir}/up"), "started")
        self.put("later", "echo later")
        with self.stream("cut") as lines:
            events = parse_events(lines)
            next(events)
            self.agentlet.process.terminate()
            self.assertEqual(list(events)[-1][2]["record"]["phase"], "Interrupted")
        self.assertEqual(self.agentlet.wait(), 0)
        self.start()
        record = self.get("cut")
        self.assertEqual((record["phase"], record["reason"]), ("Interrupted", "PodRestarted"))
        self.assertEqual(self.until("later")["result"], "later")


class TestRestart(RunCase):
    def kill(self):
        self.agentlet.process.kill()
        self.agentlet.wait()

    def test_an_interrupted_run_is_not_repeated_and_the_queue_goes_on(self):
        self.start()
        self.put("hit", f"echo $$ >{self.dir}/pid; echo x >>{self.dir}/count; exec sleep 1000")
        eventually(lambda: os.path.exists(f"{self.dir}/count"), "started")
        self.put("q1", f"echo 1 >>{self.dir}/order")
        self.put("q2", f"echo 2 >>{self.dir}/order")
        self.kill()
        os.kill(int(read(f"{self.dir}/pid")), signal.SIGKILL)
        with open(f"{self.runs}/hit/events.jsonl", "ab") as file:
            file.write(b'{"id":4,"event":"text","da')  # half a line, as a crash leaves it
        self.start()
        record = self.until("hit")
        self.assertEqual((record["phase"], record["reason"]), ("Interrupted", "PodRestarted"))
        events = self.events("hit")
        self.assertEqual([event[1] for event in events], ["queued", "started", "ended"])
        self.assertEqual([event[0] for event in events], [1, 2, 3])
        self.until("q2")
        self.assertEqual(read(f"{self.dir}/order"), "1\n2\n")
        self.assertEqual(read(f"{self.dir}/count"), "x\n")
        self.assertEqual(self.put("hit", "again", 200)["phase"], "Interrupted")
        self.assertIn("[ended] Interrupted", self.logs("hit"))

    def test_a_restart_by_lack_of_memory_says_so(self):
        os.mkdir(f"{self.dir}/cgroup")
        write(f"{self.dir}/cgroup/memory.events", "low 0\noom 1\noom_kill 1\n")
        self.start()
        self.put("big", f"echo $$ >{self.dir}/pid; exec sleep 1000")
        eventually(lambda: os.path.exists(f"{self.dir}/pid"), "started")
        write(f"{self.dir}/cgroup/memory.events", "low 0\noom 2\noom_kill 3\n")
        self.kill()
        os.kill(int(read(f"{self.dir}/pid")), signal.SIGKILL)
        self.start()
        self.assertEqual(self.until("big")["reason"], "OOMKilled")

    def test_a_program_that_the_kernel_killed_for_memory_says_so(self):
        os.makedirs(f"{self.dir}/cgroup/memory")
        control = f"{self.dir}/cgroup/memory/memory.oom_control"
        write(control, "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
        self.start()
        record = self.run_script("killed", "kill -KILL $$")
        self.assertEqual((record["phase"], record["reason"], record["exitCode"]), ("Failed", "ExitCode", 137))
        record = self.run_script("oom", f"echo 'oom_kill 3' >{control}; kill -KILL $$")
        self.assertEqual((record["phase"], record["reason"]), ("Failed", "OOMKilled"))

    def test_only_so_many_are_remembered(self):
        self.start(AGENTKUBE_RUN_MAX_RETAINED="3")
        for i in range(6):
            self.run_script(f"r{i}", f"echo {i}")
        eventually(lambda: sorted(os.listdir(self.runs)) == ["r3", "r4", "r5"], "old ones go")
        self.assertEqual(self.call("GET", "/v1/runs/r1")[0], 404)
        self.kill()
        self.start(AGENTKUBE_RUN_MAX_RETAINED="1")
        self.assertEqual(os.listdir(self.runs), ["r5"])
        self.assertEqual(self.get("r5")["result"], "5")

    def test_git_does_not_see_the_folder(self):
        subprocess.run(["git", "init", "-q", self.workspace], check=True, env=test_program.GIT_ENV)
        self.start()
        self.run_script("one", "true")
        out = subprocess.run(["git", "-C", self.workspace, "status", "--porcelain", "-uall"], check=True, text=True,
                             env=test_program.GIT_ENV, stdout=subprocess.PIPE).stdout
        self.assertEqual(out, "")
        self.kill()
        self.start()
        self.assertEqual(read(f"{self.workspace}/.git/info/exclude").count(".agentkube"), 1)


class TestHostileDisk(RunCase):
    def test_links_in_the_way_lead_nowhere(self):
        outside = f"{self.dir}/outside"
        os.mkdir(outside)
        os.symlink(outside, f"{self.workspace}/.agentkube")
        self.start()
        self.run_script("one", "true")
        self.assertEqual(os.listdir(outside), [])
        self.assertFalse(os.path.islink(f"{self.workspace}/.agentkube"))
        victim = f"{self.dir}/victim"
        write(victim, "precious")
        self.run_script("two", f"cd {self.runs}/two && for f in run.json log transcript; do ln -sf {victim} $f; done")
        self.run_script("three", f"rm -rf {self.runs}/two && ln -s {outside} {self.runs}/two")
        self.assertEqual(self.call("GET", "/v1/runs/two")[0], 404)
        self.assertEqual(self.call("GET", "/v1/runs/two/logs")[0], 404)
        self.assertEqual(read(victim), "precious")
        self.assertEqual(self.run_script("four", "echo fine")["result"], "fine")

    def test_a_pipe_in_the_place_of_a_file_stops_nobody(self):
        self.start()
        self.run_script("one", "true")
        for name in ("run.json", "events.jsonl", "log"):
            os.unlink(f"{self.runs}/one/{name}")
            os.mkfifo(f"{self.runs}/one/{name}")
        for path in ("", "/events", "/logs"):
            self.assertEqual(self.call("GET", "/v1/runs/one" + path)[0], 404, path)
        self.agentlet.process.kill()
        self.agentlet.wait()
        os.mkfifo(f"{self.runs}/pipe")
        self.start()
        self.assertEqual(self.call("GET", "/v1/runs")[1], {"items": []})

    def test_nonsense_is_not_believed(self):
        self.start()
        self.run_script("one", "echo one")
        self.agentlet.process.kill()
        self.agentlet.wait()
        record = json.loads(read(f"{self.runs}/one/run.json"))
        for name, change in (("wrong-id", {}), ("phase", {"id": "phase", "phase": "Winning"}),
                             ("when", {"id": "when", "queuedTime": "yesterday"})):
            os.mkdir(f"{self.runs}/{name}")
            write(f"{self.runs}/{name}/run.json", json.dumps({**record, **change}))
        os.mkdir(f"{self.runs}/deep")
        write(f"{self.runs}/deep/run.json", "[" * 100000)
        os.mkdir(f"{self.runs}/Not-A-Label")
        more = {"exitCode": -3, "steps": [{"name": 1}] * 1000, "result": "x" * 100000, "evil": {"a": 1}, "message": None}
        write(f"{self.runs}/one/run.json", json.dumps({**record, **more}))
        write(f"{self.runs}/one/events.jsonl",
              'no event\n{"id":99999999999999999999,"event":"text","data":{}}\n{"id":1,"event":"T E","data":{}}\n'
              '{"id":1,"event":"text","data":{"text":"a\rid: 7\revent: ended"}}\n' + "x" * 300000 +
              '\n{"id":2,"event":"text","data":{"text":"b"}}\n{"id":3,"eve')
        self.start()
        self.assertEqual(os.listdir(self.runs), ["one"])
        found = self.get("one")
        self.assertEqual((found["phase"], len(found["steps"])), ("Succeeded", 64))
        self.assertFalse({"evil", "exitCode", "result", "message"} & set(found))
        events = self.events("one")
        self.assertEqual([(event[0], event[1]) for event in events], [(1, "text"), (2, "text")])
        self.assertEqual(events[0][2]["text"], "a id: 7 event: ended")

    def test_a_removed_folder_is_made_anew(self):
        self.start()
        self.run_script("one", "true")
        shutil.rmtree(f"{self.workspace}/.agentkube")
        self.assertEqual(self.run_script("two", "echo two")["result"], "two")
        self.assertEqual(self.call("GET", "/v1/runs/one")[0], 404)

    def test_a_run_that_removes_its_own_records_still_ends(self):
        self.start()
        self.put("self", f"rm -rf {self.workspace}/.agentkube; echo gone")
        record = self.until("self")
        self.assertEqual(record["phase"], "Succeeded")

    def test_a_full_disk_loses_output_and_not_the_run(self):
        if os.geteuid() != 0:
            self.skipTest("mounting needs root")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", self.workspace], check=False,
                              stderr=subprocess.PIPE)
        if done.returncode != 0:
            self.skipTest("no tmpfs here")
        self.addCleanup(subprocess.run, ["umount", "-l", self.workspace], check=True)
        self.start()
        self.run_script("old", "head -c 300000 /dev/zero | tr '\\0' y")
        record = self.run_script("big", "head -c 8000000 /dev/zero | tr '\\0' x; echo; echo the end")
        self.assertEqual((record["phase"], record["truncated"]), ("Succeeded", True))
        self.assertTrue(record["result"].endswith("the end"))
        self.assertEqual(self.call("GET", "/v1/runs/old")[0], 404, "the old one made room")
        write_until_full = "dd if=/dev/zero of=ballast bs=1k 2>/dev/null; true"
        self.run_script("fill", write_until_full) if self.call("PUT", "/v1/runs/fill", {"prompt": write_until_full})[0] == 200 else None
        os.path.exists(f"{self.workspace}/ballast") and os.unlink(f"{self.workspace}/ballast")
        eventually(lambda: self.call("PUT", "/v1/runs/after", {"prompt": "echo after"})[0] in (200, 201), "room again")
        self.assertEqual(self.until("after")["result"], "after")


class TestLargeOutput(RunCase):
    def check_memory(self, before):
        if is_sanitized():
            return
        self.assertLess(memory_kib(self.agentlet.process.pid, "VmHWM") - before, 8 * 1024)

    def test_fifty_megabytes_in_one_line(self):
        self.start()
        before = memory_kib(self.agentlet.process.pid)
        record = self.run_script("line", f"head -c {50 * MB} /dev/zero | tr '\\0' x; echo; echo after")
        self.assertEqual((record["phase"], record["result"].endswith("after")), ("Succeeded", True))
        total, last = 0, None
        with self.stream("line") as lines:
            for _, kind, data in parse_events(lines):
                if kind == "stdout":
                    self.assertLessEqual(len(data["text"]), 65536)
                    total += len(data["text"])
                    last = data
        self.assertEqual(total, 50 * MB + len("after"))
        self.assertNotIn("partial", last)
        self.check_memory(before)

    def test_fifty_megabytes_in_many_lines_are_counted_beyond_the_limit(self):
        size = (8 if is_sanitized() else 50) * MB
        self.start()
        before = memory_kib(self.agentlet.process.pid)
        record = self.run_script("many", f"yes 'a line of thirty-two characters!' | head -c {size}; echo end")
        self.assertEqual((record["phase"], record["truncated"]), ("Succeeded", True))
        events = self.events("many", "?after=99990")
        self.assertIn("limit of events", " ".join(event[2].get("message", "") for event in events))
        self.assertEqual(events[-1][1], "ended")
        self.assertLessEqual(events[-1][0], 100010)
        self.assertEqual(os.stat(f"{self.runs}/many/transcript").st_size, size + 4)
        self.check_memory(before)

    def test_a_follower_that_never_reads_costs_nothing(self):
        self.start()
        gate = f"{self.dir}/gate"
        self.put("flood", f"until [ -e {gate} ]; do sleep 0.05; done; head -c {20 * MB} /dev/zero | tr '\\0' x")
        before = memory_kib(self.agentlet.process.pid)
        idle = [socket.socket(socket.AF_UNIX) for _ in range(20)]
        try:
            for sock in idle:
                sock.connect(self.link)
                sock.sendall(b"GET /v1/runs/flood/events HTTP/1.1\r\nHost: x\r\n\r\n")
            write(gate, "")
            self.assertEqual(self.until("flood")["phase"], "Succeeded")
            self.check_memory(before)
        finally:
            for sock in idle:
                sock.close()
        self.assertEqual(self.run_script("next", "echo next")["result"], "next")


class TestFollowing(RunCase):
    def test_resuming_gives_each_event_exactly_once(self):
        self.start()
        gate = f"{self.dir}/gate"
        self.put("long", f"i=0; while [ $i -lt 300 ]; do echo $i; i=$((i+1)); done; until [ -e {gate} ]; do sleep 0.05; "
                         "done; echo last")
        seen, last = [], 0
        while last < 250:
            with self.stream("long", headers={"Last-Event-ID": str(last)}) as lines:
                for event, _ in zip(parse_events(lines), range(37)):
                    seen.append(event)
            last = seen[-1][0]
        write(gate, "")
        seen += self.events("long", f"?after={last}")
        self.assertEqual([event[0] for event in seen], list(range(1, len(seen) + 1)))
        self.assertEqual([event[2]["text"] for event in seen if event[1] == "stdout"],
                         [str(i) for i in range(300)] + ["last"])
        self.assertEqual(self.events("long", "?after=100000"), [])
        self.assertEqual(self.call("GET", "/v1/runs/long/events?after=x")[0], 400)

    def test_an_event_comes_as_it_happens(self):
        self.start()
        gate = f"{self.dir}/gate"
        self.put("live", f"echo first; until [ -e {gate} ]; do sleep 0.05; done; echo second")
        with self.stream("live") as lines, self.stream("live", "?follow=true", what="logs") as log:
            events = parse_events(lines)
            self.assertEqual([next(events)[1] for _ in range(3)], ["queued", "started", "stdout"])
            self.assertEqual([next(log), next(log)], ["[started] /bin/sh", "first"])
            self.assertEqual(len(self.events("live", "?follow=false")), 3)
            self.assertEqual(self.get("live")["lastEvent"], 3)
            write(gate, "")
            self.assertEqual([event[2].get("text") for event in events if event[1] == "stdout"], ["second"])
            self.assertIn("second", list(log))

    def test_watchers_hear_of_every_change(self):
        self.start()
        self.run_script("before", "true")
        connection = Connection(self.link)
        self.addCleanup(connection.close)
        connection.request("GET", "/v1/watch")
        reply = connection.getresponse()
        events = parse_events(line.decode().rstrip("\n") for line in iter(reply.readline, b""))
        first = next(events)
        self.assertEqual((first[1], first[2]["id"], first[2]["phase"]), ("run", "before", "Succeeded"))
        self.assertEqual(next(events)[1:], ("synced", {}))
        self.put("now", "true")
        phases = []
        while "Succeeded" not in phases:
            _, kind, record = next(events)
            self.assertEqual((kind, record["id"]), ("run", "now"))
            phases.append(record["phase"])
        self.assertEqual(phases, sorted(set(phases), key=["Queued", "Running", "Succeeded"].index))

    def test_a_thousand_followers_are_small(self):
        count = 100 if is_sanitized() else 1000
        self.start()
        gate = f"{self.dir}/gate"
        self.put("crowd", f"until [ -e {gate} ]; do sleep 0.05; done; i=0; while [ $i -lt 200 ]; do echo number $i; "
                          "i=$((i+1)); done")
        followers = [Connection(self.link) for _ in range(count)]
        try:
            for follower in followers:
                follower.request("GET", "/v1/runs/crowd/events")
            replies = [follower.getresponse() for follower in followers]
            write(gate, "")
            texts = {hashlib.sha256(reply.read()).hexdigest() for reply in replies}
            self.assertEqual(len(texts), 1)
            if not is_sanitized():
                self.assertLess(memory_kib(self.agentlet.process.pid, "VmHWM"), 64 * 1024)
        finally:
            for follower in followers:
                follower.close()
        self.assertEqual(self.get("crowd")["phase"], "Succeeded")
        eventually(lambda: len(os.listdir(f"/proc/{self.agentlet.process.pid}/fd")) < 20, "descriptors are given back")

    def test_only_the_keeper_s_user_is_heard(self):
        self.start(AGENTKUBE_KEEPER_UID=str(os.geteuid() + 1))
        status, refusal = self.call("GET", "/v1/runs")
        self.assertEqual((status, refusal["reason"]), (403, "Forbidden"))
        self.assertEqual(os.stat(self.link).st_mode & 0o777, 0o660)
        if os.geteuid() != 0:
            return
        os.chmod(self.dir, 0o755)
        os.chown(self.link, 1, 1)
        code = ("import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); "
                "s.sendall(b'GET /v1/state HTTP/1.0\\r\\n\\r\\n'); print(s.recv(99).decode().split()[1])")
        out = subprocess.run(["/usr/bin/python3", "-c", code, self.link], user=1, group=1, stdout=subprocess.PIPE, text=True, check=True)
        self.assertEqual(out.stdout.strip(), "200")

    def test_idle_it_is_small(self):
        if is_sanitized():
            self.skipTest("a sanitizer's memory is not ours")
        self.start()
        self.run_script("one", "echo hello")
        self.assertLess(memory_kib(self.agentlet.process.pid), 4096)

    def test_kubectl_exec_counts_as_a_session(self):
        if os.geteuid() != 0 or not shutil.which("unshare"):
            self.skipTest("namespaces need root")
        self.agentlet = Running(self, ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
                                       test_program.AGENTLET, "run"]).until_ready()
        inner = test_program.children_of(self.agentlet.process.pid)[0][0]
        self.assertEqual(self.call("GET", "/v1/state")[1]["sessions"], 0)
        self.put("busy", "sleep 1000")
        self.until("busy", "Running")
        self.assertEqual(self.call("GET", "/v1/state")[1]["sessions"], 0)
        session = subprocess.Popen(["nsenter", "-t", str(inner), "-p", "-m", "sleep", "1000"])
        self.addCleanup(session.wait)
        self.addCleanup(session.kill)
        eventually(lambda: self.call("GET", "/v1/state")[1]["sessions"] == 1, "the session is seen")
        for pid, _ in test_program.children_of(session.pid):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: self.call("GET", "/v1/state")[1]["sessions"] == 0, "and its end")


class McpServer(http.server.ThreadingHTTPServer):
    """Just enough of MCP's streamable HTTP for a client of one call."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), McpHandler)
        self.calls = []
        self.url = f"http://127.0.0.1:{self.server_port}/mcp"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class McpHandler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_DELETE(self):
        self.server.calls.append(("DELETE", self.headers["Mcp-Session-Id"]))
        self.send_response(204)
        self.end_headers()

    def do_POST(self):
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.calls.append((message["method"], self.headers["Mcp-Session-Id"], message.get("params")))
        if "id" not in message:
            self.send_response(202)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        reply = {"jsonrpc": "2.0", "id": message["id"]}
        name = (message.get("params") or {}).get("name")
        if message["method"] == "initialize":
            reply["result"] = {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {"name": "t", "version": "1"}}
        elif name == "nothing":
            reply["error"] = {"code": -32602, "message": "no tool \"nothing\""}
        else:
            reply["result"] = {"content": [{"type": "text", "text": json.dumps(message["params"]["arguments"])}],
                               "isError": name == "broken"}
        self.send_response(200)
        self.send_header("Mcp-Session-Id", "s-1")
        if name == "stream":
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            note = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}})
            for text in (f": hi\r\n\r\ndata: {note}\r\n\r\n", f"event: message\ndata: {json.dumps(reply)[:9]}",
                         f"{json.dumps(reply)[9:]}\n\n"):
                self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
            self.wfile.write(b"0\r\n\r\n")
            return
        data = json.dumps(reply).encode()
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


class TestPlaybook(RunCase):
    def setUp(self):
        super().setUp()
        self.env["AGENTKUBE_MODE"] = "system"

    def steps(self, run, *steps, **more):
        self.put(run, None, steps=list(steps), **more)
        return self.until(run)

    def test_steps_run_in_order_twice_the_same(self):
        self.start()
        steps = ({"name": "one", "run": "echo one | tee -a file"}, {"name": "two", "prompt": "echo two $(cat file)"},
                 {"name": "three", "run": "cat file; rm file; echo $AGENTKUBE_RUN_PROMPT"})
        kinds = []
        for run in ("first", "second"):
            record = self.steps(run, *steps, prompt="the prompt")
            self.assertEqual(record["phase"], "Succeeded", record)
            self.assertEqual(record["result"], "one\nthe prompt")
            self.assertEqual([(s["name"], s["phase"], s["attempts"], s["exitCode"]) for s in record["steps"]],
                             [(name, "Succeeded", 1, 0) for name in ("one", "two", "three")])
            kinds.append([(event[1], event[2].get("text"), event[2].get("name")) for event in self.events(run)])
        self.assertEqual(kinds[0], kinds[1])
        self.assertIn(("stdout", "two one", None), kinds[0])
        self.assertIn(("step", None, "two"), kinds[0])

    def test_a_failure_stops_it(self):
        self.start()
        record = self.steps("stop", {"name": "a", "run": "true"}, {"name": "b", "run": "echo why >&2; exit 5"},
                            {"name": "c", "run": f"touch {self.dir}/never"})
        self.assertEqual((record["phase"], record["reason"], record["exitCode"]), ("Failed", "StepFailed", 5))
        self.assertEqual(record["message"], 'step "b" failed at attempt 1: the program ended with exit code 5: why')
        self.assertEqual([s["phase"] for s in record["steps"]], ["Succeeded", "Failed", "Skipped"])
        self.assertFalse(os.path.exists(f"{self.dir}/never"))

    def test_a_step_is_tried_again_as_often_as_it_may(self):
        self.start()
        count = f"{self.dir}/count"
        record = self.steps("again", {"name": "third-time", "run": f"echo x >>{count}; [ $(wc -l <{count}) = 3 ]", "retries": 2})
        self.assertEqual((record["phase"], record["steps"][0]["attempts"]), ("Succeeded", 3))
        self.assertNotIn("message", record["steps"][0])
        record = self.steps("enough", {"name": "never", "run": f"echo y >>{count}; false", "retries": 1})
        self.assertEqual((record["phase"], record["steps"][0]["attempts"]), ("Failed", 2))
        self.assertEqual(read(count), "x\nx\nx\ny\ny\n")

    def test_going_on_after_a_failure_is_a_choice(self):
        self.start()
        record = self.steps("on", {"name": "a", "run": "exit 9", "continueOnError": True}, {"name": "b", "run": "echo b"})
        self.assertEqual((record["phase"], record["exitCode"], record["result"]), ("Succeeded", 0, "b"))
        self.assertEqual([(s["phase"], s["exitCode"]) for s in record["steps"]], [("Failed", 9), ("Succeeded", 0)])

    def test_a_step_has_a_time_limit(self):
        self.start()
        pid = f"{self.dir}/pid"
        record = self.steps("limit", {"name": "slow", "run": f"sleep 1007 & echo $! >{pid}; wait", "timeoutSeconds": 1})
        self.assertEqual((record["phase"], record["steps"][0]["phase"]), ("Failed", "Failed"))
        self.assertIn("did not end within its time", record["message"])
        self.assertFalse(is_alive(int(read(pid))))

    def test_what_one_step_starts_another_may_use(self):
        self.start()
        pid = f"{self.dir}/pid"
        record = self.steps("server", {"name": "up", "run": f"sleep 1008 >/dev/null 2>&1 & echo $! >{pid}"},
                            {"name": "use", "run": f"kill -0 $(cat {pid}) && echo there"})
        self.assertEqual((record["phase"], record["result"]), ("Succeeded", "there"))
        self.assertFalse(is_alive(int(read(pid))))

    def test_cancel_stops_the_whole_playbook(self):
        self.start()
        self.put("cancel", None, steps=[{"name": "a", "run": f"touch {self.dir}/up; sleep 1000", "retries": 3},
                                        {"name": "b", "run": "true"}])
        eventually(lambda: os.path.exists(f"{self.dir}/up"), "started")
        self.call("POST", "/v1/runs/cancel/cancel")
        record = self.until("cancel")
        self.assertEqual((record["phase"], [s["phase"] for s in record["steps"]]), ("Cancelled", ["Cancelled", "Skipped"]))

    def test_tools_are_called_by_their_endpoint(self):
        server = McpServer()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.start(AGENTKUBE_MCP_URL=server.url)
        record = self.steps("tools", {"name": "plain", "tool": {"name": "echo", "arguments": '{"a":1}'}},
                            {"name": "streamed", "tool": {"name": "stream", "arguments": {"b": 2}}},
                            {"name": "broken", "tool": {"name": "broken"}, "continueOnError": True},
                            {"name": "nothing", "tool": {"name": "nothing"}})
        self.assertEqual([s["phase"] for s in record["steps"]], ["Succeeded", "Succeeded", "Failed", "Failed"])
        self.assertIn('the MCP endpoint refuses it: no tool "nothing"', record["message"])
        texts = [event[2]["text"] for event in self.events("tools") if event[1] == "stdout"]
        self.assertEqual(texts, ['{"a": 1}', '{"b": 2}'])
        methods = [call[0] for call in server.calls[:4]]
        self.assertEqual(methods, ["initialize", "notifications/initialized", "tools/call", "DELETE"])
        self.assertEqual(server.calls[2][1], "s-1")

    def test_a_tool_without_an_endpoint_says_so(self):
        self.start()
        record = self.steps("tools", {"name": "t", "tool": {"name": "echo"}})
        self.assertIn("AGENTKUBE_MCP_URL is not set", record["message"])
        self.agentlet.process.terminate()
        self.agentlet.wait()
        self.start(AGENTKUBE_MCP_URL="http://127.0.0.1:1/mcp")
        record = self.steps("refused", {"name": "t", "tool": {"name": "echo"}})
        self.assertIn("127.0.0.1:1: Connection refused", record["message"])

    def test_wrong_steps_are_refused_with_their_place(self):
        self.start()
        for steps, message in ((None, "needs at least one step"), ([], "steps: must be a list"),
                               ([{"run": "x"}], "steps[0].name"), ([{"name": "a"}], "steps[0].prompt: a step needs one"),
                               ([{"name": "a", "run": "x", "prompt": "y"}], "steps[0].run"),
                               ([{"name": "a", "run": "x"}, {"name": "a", "run": "x"}], "steps[1].name: there is another"),
                               ([{"name": "a", "run": "x", "retries": 11}], "steps[0].retries"),
                               ([{"name": "a", "tool": {"name": "t", "arguments": "[1]"}}], "tool.arguments"),
                               ([{"name": "a", "tool": {}}], "steps[0].tool.name: is required"),
                               ([{"name": "a", "run": "x", "when": "y"}], 'steps[0]."when": is not known')):
            body = {} if steps is None else {"steps": steps}
            status, refusal = self.call("PUT", "/v1/runs/bad", body)
            self.assertEqual(status, 400, steps)
            self.assertIn(message, refusal["message"])


class TestConfiguration(RunCase):
    def fake_program(self, name, script):
        tools = f"{self.dir}/tools"
        os.makedirs(tools, exist_ok=True)
        write(f"{tools}/{name}", "#!/bin/sh\n" + script, 0o755)
        self.env["PATH"] = f"{tools}:{self.env['PATH']}"

    def test_configuration_is_written_anew_before_each_run_and_never_through_a_link(self):
        # The file says which run it is for, and nothing else in it may differ.
        self.fake_program("codex", 'cat >/dev/null; find "$HOME" -name config.toml -type f -exec cat {} + | sed "s/\\"$AGENTKUBE_RUN_ID\\"/RUN/"; '
                                   'for f in $(find "$HOME" -name config.toml -type f); do rm $f; ln -s $VICTIM $f; done')
        victim = f"{self.dir}/victim"
        write(victim, "precious")
        self.start(AGENTKUBE_RUNTIME="Codex", VICTIM=victim, AGENTKUBE_MODEL_URL="http://127.0.0.1:1/model")
        transcripts = []
        for run in ("one", "two"):
            self.run_script(run, "hello")
            transcripts.append(self.call("GET", f"/v1/runs/{run}/transcript")[1])
        self.assertIn(b"RUN", transcripts[0])
        self.assertEqual(transcripts[0], transcripts[1])
        self.assertEqual(read(victim), "precious")

    def test_structured_output_becomes_events_and_usage(self):
        lines = [{"type": "system", "subtype": "init"},
                 {"type": "assistant", "message": {"content": [{"type": "text", "text": "thinking aloud"}]}},
                 {"type": "result", "subtype": "success", "is_error": True, "result": "it did not work", "num_turns": 2,
                  "total_cost_usd": 0.5, "usage": {"input_tokens": 11, "output_tokens": 7}}]
        write(f"{self.dir}/out", "\n".join(json.dumps(line) for line in lines) + "\n")
        self.fake_program("claude", f"cat {self.dir}/out; head -c 20000000 /dev/zero | tr '\\0' x; echo\n")
        self.start(AGENTKUBE_RUNTIME="ClaudeCode", AGENTKUBE_MODEL_URL="http://127.0.0.1:1/model")
        record = self.run_script("error", "hello")
        self.assertEqual((record["phase"], record["reason"], record["exitCode"]), ("Failed", "RuntimeError", 0))
        self.assertEqual(record["result"], "it did not work")
        self.assertEqual((record["usage"]["inputTokens"], record["usage"]["outputTokens"], record["usage"]["turns"]), (11, 7, 2))
        events = self.events("error")
        self.assertIn("thinking aloud", [event[2].get("text") for event in events if event[1] == "text"])
        self.assertEqual(sum(len(event[2]["text"]) for event in events if event[1] == "stdout"), 20000000)


if __name__ == "__main__":
    main()
