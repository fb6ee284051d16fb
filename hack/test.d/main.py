#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The runner behind hack/test: runs suites and adds their results up.

Suites that compile or compute run one after the other. Those that mostly wait for a cluster of their own
(`lane=True`) follow, AGENTKUBE_TEST_LANES of them at a time, each with a scratch folder of its own.
"""
import itertools
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import process
from results import Result
from suites import SUITES, present

KEEP = bool(os.environ.get("AGENTKUBE_TEST_KEEP"))
FAILURES_SHOWN = 40
LOG_TAIL = 150
LANES = int(os.environ.get("AGENTKUBE_TEST_LANES") or 3)
STARTED = time.monotonic()
numbers = itertools.count()
output = threading.Lock()  # what is said about one suite is not mixed with another's


def say(text):
    print(f"[{time.monotonic() - STARTED:5.0f} s] {text}", flush=True)


def indented(text):
    return "\n".join("    " + line for line in text.splitlines())


def reason(text):
    """The line of a failure's text that says the most: pytest's "E" lines, else the first one."""
    lines = [line.strip() for line in (text or "").splitlines() if line.strip()]
    return next((line[2:].strip() for line in lines if line.startswith("E ")), lines[0] if lines else "")[:160]


def show_failures(name, result, log):
    if len(result.failures) > 1:  # first all of them at a glance
        for case in result.failures:
            print(f"  failed  {name}: {case.name}: {reason(case.text)}")
    for case in result.failures[:FAILURES_SHOWN]:
        print(f"  not ok  {name}: {case.name}")
        if case.text:
            print(indented(case.text[-6000:]))
    if len(result.failures) > FAILURES_SHOWN:
        print(f"  … and {len(result.failures) - FAILURES_SHOWN} more")
    if any(not case.text for case in result.failures):
        print(f"  the end of its output ({log}):")
        print(indented(process.tail(log, LOG_TAIL)))
    sys.stdout.flush()


def run_once(suite, scratch, log):
    """What one run of a suite says."""

    def beat(seconds, line):
        say(f"{suite.name}: {seconds:.0f} s, {line[-120:]}")

    try:
        code = process.run(suite.command(scratch), log, suite.limit_seconds, beat, suite.environment(scratch))
    finally:
        process.stop_clusters(scratch, KEEP)
    try:
        result = suite.results(scratch, log, code)
    except (OSError, ValueError) as error:
        result = Result()
        result.fail(f"no result can be read: {error}")
    if code == process.TIMED_OUT:
        result.fail(f"took longer than {suite.limit_seconds} s and was stopped")
    elif code not in suite.good_codes and not result.failed:
        result.fail(f"exit code {code}")
    elif result.total == 0:
        result.fail("nothing ran")
    return result


def run_again(suite, scratch, log, first):
    """The failures of a suite once more, if they are of a kind that a busy machine makes."""
    second = suite.again(scratch, first.failures)
    if not second:
        return first
    with output:
        say(f"{suite.name}: {first}; the failures are run once more, by themselves")
        show_failures(suite.name + ", the first time", first, log)
    return first.after_again(run_once(second, scratch, log))


def run_suite(suite, parent):
    """Runs one suite; whatever goes wrong in it is a failed test, never an exception."""
    scratch = os.path.join(parent, str(next(numbers)))  # short, see main()
    os.mkdir(scratch)
    log = os.path.join(scratch, suite.name + ".log")
    began = time.monotonic()
    say(f"{suite.name}: {suite.about}")
    result = run_once(suite, scratch, log)
    if result.failures:
        result = run_again(suite, scratch, log, result)
    with output:
        say(f"{suite.name}: {result} in {time.monotonic() - began:.0f} s")
        show_failures(suite.name, result, log)
    return result


def run_all(suites, scratch):
    """Yields (suite, result) in the order of the list."""
    for suite in (s for s in suites if not s.lane):
        result = run_suite(suite, scratch)
        yield suite, result
        if suite.name == "build" and result.failed:
            say("the build failed: the other suites have nothing to run")
            return
    waiting = [s for s in suites if s.lane]
    with ThreadPoolExecutor(LANES) as lanes:
        try:
            yield from zip(waiting, lanes.map(lambda suite: run_suite(suite, scratch), waiting))
        except BaseException:  # told to stop: what waits does not start, what runs is ended
            lanes.shutdown(wait=False, cancel_futures=True)
            process.stop_all()
            raise


def chosen(arguments):
    by_name = {suite.name: suite for suite in SUITES}
    for name in arguments:
        if name not in by_name:
            print(f"hack/test: no suite is called {name!r}; there are: {' '.join(by_name)}", file=sys.stderr)
            sys.exit(2)
    if arguments:
        return [by_name[name] for name in arguments]
    return [suite for suite in SUITES if present(suite)]


def main(arguments):
    if arguments == ["--list"]:
        for suite in SUITES:
            print(f"{suite.name:14} {suite.about}")
        return 0
    suites = chosen(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    scratch = tempfile.mkdtemp(prefix="akt-")  # short: Unix sockets of a cluster lie below it
    total = Result()
    rows = []
    try:
        for suite, result in run_all(suites, scratch):
            rows.append((suite.name, result))
            total.add(result)
    finally:
        process.stop_all()
        if KEEP:
            say(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    print()
    for name, result in rows:
        print(f"  {'not ok' if result.failed else 'ok':6}  {name:14} {result}")
        for case in result.shaky:
            print(f"          {name:14} passed only when it was run again: {case}")
    print()
    print(total, flush=True)
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
