#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""followers.py AGENTLET [FOLLOWERS [RUNS]]: what runs cost in the agentlet itself. Prints one JSON object.

Memory idle and with FOLLOWERS (1000) clients of one run, how long an event takes to reach all of them, and the
time from PUT to the last event of a run that does nothing, RUNS (50) times. No cluster, no keeper.
"""
import http.client
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

DEADLINE = 60


class Connection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("agentlet", timeout=DEADLINE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self.path)


def call(link, method, path, body=None):
    connection = Connection(link)
    try:
        connection.request(method, path, None if body is None else json.dumps(body))
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def resident_kib(pid, name="VmRSS"):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith(name + ":"))


def until_ready(link):
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        try:
            if b'"Ready"' in call(link, "GET", "/v1/state")[1]:
                return
        except OSError:
            pass
        time.sleep(0.02)
    raise SystemExit("the agentlet is not ready")


def nothing(link, runs):
    """Milliseconds from PUT to the end of the stream of events of a run that does nothing."""
    took = []
    for i in range(runs):
        began = time.perf_counter()
        assert call(link, "PUT", f"/v1/runs/n{i}", {"prompt": "true"})[0] == 201
        assert b"event: ended" in call(link, "GET", f"/v1/runs/n{i}/events")[1]
        took.append((time.perf_counter() - began) * 1000)
    return {"runs": runs, "p50_ms": round(statistics.median(took), 2), "max_ms": round(max(took), 2)}


def followers(link, pid, gate, count):
    call(link, "PUT", "/v1/runs/crowd", {"prompt": f"until [ -e {gate} ]; do sleep 0.01; done; echo now; sleep 1"})
    before = resident_kib(pid)
    connections = [Connection(link) for _ in range(count)]
    for connection in connections:
        connection.request("GET", "/v1/runs/crowd/events")
    replies = [connection.getresponse() for connection in connections]
    open(gate, "w", encoding="ascii").close()
    first = None
    for reply in replies:
        for line in iter(reply.readline, b""):
            if b'"text":"now"' in line:
                first = first or time.perf_counter()
                break
    spread = (time.perf_counter() - first) * 1000
    during = resident_kib(pid)
    for connection, reply in zip(connections, replies):
        assert b"event: ended" in reply.read()
        connection.close()
    return {"followers": count, "before_kib": before, "during_kib": during, "peak_kib": resident_kib(pid, "VmHWM"),
            "first_to_last_ms": round(spread, 1)}


def main():
    agentlet = os.path.abspath(sys.argv[1])
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    runs = int(sys.argv[3]) if len(sys.argv) > 3 else 50
    folder = tempfile.mkdtemp(prefix="followers-")
    link = f"{folder}/link.sock"
    for name in ("workspace", "state", "home"):
        os.mkdir(f"{folder}/{name}")
    process = subprocess.Popen([agentlet, "run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={
        "PATH": os.environ["PATH"], "HOME": f"{folder}/home", "AGENTKUBE_WORKSPACE": f"{folder}/workspace",
        "AGENTKUBE_STATE_DIR": f"{folder}/state", "AGENTKUBE_TERMINATION_LOG": f"{folder}/message",
        "AGENTKUBE_LISTEN": "127.0.0.1:0", "AGENTKUBE_LINK": link, "AGENTKUBE_RUNTIME": "Custom",
        "AGENTKUBE_RUN_COMMAND": json.dumps(["/bin/sh", "-c", "{prompt}"])})
    try:
        until_ready(link)
        report = {"binary_bytes": os.stat(agentlet).st_size, "idle_kib": resident_kib(process.pid),
                  "nothing": nothing(link, runs),
                  "followers": followers(link, process.pid, f"{folder}/gate", count)}
        print(json.dumps(report))
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
