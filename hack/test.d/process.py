# SPDX-License-Identifier: Apache-2.0
"""Starts a suite in a process group of its own, watches its clock, and ends the group."""
import glob
import json
import os
import signal
import subprocess
import time

TIMED_OUT = "timed out"
BEAT_SECONDS = 30
GRACE_SECONDS = 60  # a suite that is stopped takes its cluster down first
DOWN_SECONDS = 120

groups = set()


def tail(path, lines, at_most=64 * 1024):
    with open(path, "rb") as file:
        file.seek(0, os.SEEK_END)
        file.seek(max(0, file.tell() - at_most))
        text = file.read().decode(errors="replace")
    return "\n".join(text.splitlines()[-lines:])


def group_lives(pgid):
    try:
        os.killpg(pgid, 0)
        return True
    except ProcessLookupError:
        return False


def end_group(child):
    """TERM, and KILL for what is left of the group after the grace time."""
    for number, seconds in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, 10)):
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            break
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            child.poll()
            if not group_lives(child.pid):
                break
            time.sleep(0.1)
    child.wait()
    groups.discard(child)


def stop_all():
    for child in list(groups):
        end_group(child)


def run(command, log, limit_seconds, beat, environment):
    """Returns the exit code, or TIMED_OUT. Output goes to the log; beat(seconds, last line) is called now and then."""
    began = time.monotonic()
    with open(log, "wb") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                 env={**os.environ, **environment}, start_new_session=True)
    groups.add(child)
    beats = 0
    try:
        while True:
            try:
                return child.wait(timeout=1)
            except subprocess.TimeoutExpired:
                seconds = time.monotonic() - began
            if seconds > limit_seconds:
                return TIMED_OUT
            if seconds // BEAT_SECONDS > beats:
                beats = seconds // BEAT_SECONDS
                beat(seconds, tail(log, 1, 4096) or "…")
    finally:
        end_group(child)


def stop_clusters(scratch, keep):
    """Takes down what a suite that was killed could not: tests note each cluster that they start in scratch."""
    for note in glob.glob(os.path.join(scratch, "*.cluster.json")):
        with open(note, encoding="utf-8") as file:
            environment = json.load(file)
        if keep:
            continue
        subprocess.run(["hack/cluster", "down"], env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL, timeout=DOWN_SECONDS, check=False)
        os.unlink(note)
