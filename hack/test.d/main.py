#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The runner behind hack/test: runs suites one after the other and adds their results up."""
import os
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import process
from results import Result
from suites import SUITES, present

KEEP = bool(os.environ.get("AGENTKUBE_TEST_KEEP"))
FAILURES_SHOWN = 40
LOG_TAIL = 150
STARTED = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - STARTED:5.0f} s] {text}", flush=True)


def indented(text):
    return "\n".join("    " + line for line in text.splitlines())


def show_failures(name, result, log):
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


def run_suite(suite, scratch):
    """Runs one suite; whatever goes wrong in it is a failed test, never an exception."""
    log = os.path.join(scratch, suite.name + ".log")
    began = time.monotonic()

    def beat(seconds, line):
        say(f"{suite.name}: {seconds:.0f} s, {line[-120:]}")

    say(f"{suite.name}: {suite.about}")
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
    say(f"{suite.name}: {result} in {time.monotonic() - began:.0f} s")
    show_failures(suite.name, result, log)
    return result


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
        for suite in suites:
            result = run_suite(suite, scratch)
            rows.append((suite.name, result))
            total.add(result)
            if suite.name == "build" and result.failed:
                say("the build failed: the other suites have nothing to run")
                break
    finally:
        process.stop_all()
        process.stop_clusters(scratch, KEEP)
        if KEEP:
            say(f"kept: {scratch}")
        else:
            shutil.rmtree(scratch, ignore_errors=True)
    print()
    for name, result in rows:
        print(f"  {'not ok' if result.failed else 'ok':6}  {name:14} {result}")
    print()
    print(total, flush=True)
    return 0 if total.passed and not total.failed else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
