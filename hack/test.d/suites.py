# SPDX-License-Identifier: Apache-2.0
"""The suites of hack/test, in the order in which they run: cheap ones first."""
import os
import re
import shutil
from dataclasses import dataclass
from typing import Callable

import results

PATIENCE = "3"  # times what a test waits by itself: suites run beside each other here
SANITIZER_OPTIONS = {
    "ASAN_OPTIONS": "strict_string_checks=1:detect_stack_use_after_return=1:halt_on_error=1",
    "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


@dataclass
class Suite:
    name: str
    about: str
    needs: str  # the path without which the suite is left out
    limit_seconds: int
    command: Callable
    results: Callable
    environment: Callable = lambda scratch: {}
    good_codes: tuple = (0,)
    lane: bool = False  # mostly waits, for a cluster of its own: may run beside others
    # (scratch, failures) -> the same suite with nothing but those; None: they stay failures
    again: Callable = lambda scratch, failures: None


def present(suite):
    return os.path.exists(suite.needs)


def by_exit_code(name, about, needs, limit_seconds, *command):
    return Suite(name, about, needs, limit_seconds, lambda scratch: command,
                 lambda scratch, log, code: results.from_exit_code(name, code))


def by_tap(name, about, needs, limit_seconds, *command):
    return Suite(name, about, needs, limit_seconds, lambda scratch: command,
                 lambda scratch, log, code: results.from_tap(log))


def meson(name, about, needs, limit_seconds, report, script):
    """A command that runs `meson test`, whose own report holds every subtest of the TAP programs."""
    return Suite(name, about, needs, limit_seconds, lambda scratch: ["bash", "-c", f"rm -f {report}.*; {script}"],
                 lambda scratch, log, code: results.from_meson(report))


def meson_suite(name, about, needs):
    base = f"hack-test-{name}"
    return meson(name, about, needs, 900, f"build/meson-logs/{base}",
                 f"make && exec meson test -C build --no-rebuild --print-errorlogs --logbase {base} --suite {name}")


def meson_sanitized(name, about):
    return meson(name, about, "Makefile", 1800, f"build-{name}/meson-logs/testlog", f"exec make {name}")


# A test on a real cluster that fails on a busy machine is run once more, alone and on a cluster of its own, and named in
# the summary. What a sanitizer reports is a failure however rarely it happens, and many failures are no accident.
MOST_AGAIN = 5
NEVER_AGAIN = re.compile(r"[Ss]anitizer|crashed with signal|two managers lead|canary")


def node_ids(failures):
    """pytest's names of them; None if they should not, or cannot, be run again."""
    if len(failures) > MOST_AGAIN or any(NEVER_AGAIN.search(case.text) for case in failures):
        return None
    found = []
    for case in failures:
        module, _, test = case.name.partition("::")
        path = module.replace(".", "/") + ".py"
        if not test or not os.path.exists(path):
            return None
        found.append(f"{path}::{test}")
    return found


def python_tests(name, about, needs, limit_seconds, *arguments, before=(), label=None, **environment):
    """pytest in Debian's Python; its helpers note the clusters that they start in the scratch folder."""
    label = label or name
    def command(scratch):
        return [*before, "/usr/bin/python3", "-B", "-m", "pytest", "-p", "no:cacheprovider", "-v", "--tb=short", "-ra",
                "--color=no", f"--basetemp={scratch}/{label}", f"--junitxml={scratch}/{label}.xml",
                "-o", f"junit_suite_name={name}", "-o", "junit_logging=no", *arguments]

    def remembered(scratch):
        return {"AGENTKUBE_TEST_SCRATCH": scratch, "PYTHONDONTWRITEBYTECODE": "1", "AGENTKUBE_TEST_PATIENCE": PATIENCE, **environment}

    def read(scratch, log, code):
        result = results.from_junit(f"{scratch}/{label}.xml")
        if not os.environ.get("AGENTKUBE_TEST_KEEP"):
            shutil.rmtree(f"{scratch}/{label}", ignore_errors=True)
        return result

    def again(scratch, failures):
        names = node_ids(failures) if label == name else None
        return names and python_tests(name, about, needs, limit_seconds, *names, before=before, label=name + "-again",
                                      **environment)

    return Suite(name, about, needs, limit_seconds, command, read, remembered, lane=True, again=again)


def python_sanitized(name, about, kind):
    """The tests that run the manager, once more with a build that reports memory errors or races."""
    folder = f"build-{kind}"
    built = f"if [ -e {folder}/build.ninja ]; then ninja -C {folder}; else make {kind}; fi && exec \"$@\""
    return python_tests(name, about, "tests/cluster", 3600, "tests/cluster", *FAULT, "-m", "manager",
                        before=("bash", "-c", built, "bash"), AGENTKUBE_BIN=f"{folder}/bin", **SANITIZER_OPTIONS)


FAULT = ["tests/fault"] if os.path.isdir("tests/fault") else []
DOCS = "tests/cluster/test_docs.py"

SUITES = [
    by_tap("lint", "format, layers, banned functions, scripts", "hack/lint", 900, "make", "-s", "lint"),
    by_exit_code("build", "the release build, as `make` does it", "Makefile", 1200, "make"),
    meson_suite("unit", "every module by itself", "tests/unit"),
    meson_suite("fuzz", "the fuzz targets, on their corpora", "tests/fuzz/meson.build"),
    meson_sanitized("asan", "unit tests and corpora, watched by address and undefined behaviour sanitizers"),
    meson_sanitized("tsan", "unit tests and corpora, watched by the thread sanitizer"),
    # In lanes, the longest first, so that the lanes end together.
    python_tests("cluster", "programs, chart and definitions on a real control plane", "tests/cluster", 3600,
                 "tests/cluster", f"--ignore={DOCS}"),
    python_tests("e2e", "real pods in a real cluster", "tests/e2e", 3600, "tests/e2e"),
    python_sanitized("cluster-tsan", "the manager's control plane tests with the thread sanitizer", "tsan"),
    python_sanitized("cluster-asan", "the manager's control plane tests with the address sanitizer", "asan"),
    python_tests("e2e-strict", "the same with the least rights that work (rbac.strict)", "tests/e2e", 3000, "tests/e2e",
                 "-m", "not any_rights", AGENTKUBE_TEST_STRICT="true"),
    python_tests("runtimes", "real agent programs against a stand-in for their providers", "tests/runtimes", 3600,
                 "tests/runtimes"),
    python_tests("engines", "the bastion's engines against real servers", "tests/engines", 3600, "tests/engines",
                 before=("bash", "-c", 'hack/deps engines && exec "$@"', "bash")),
    python_tests("fault", "the manager behind a proxy that breaks its connections", "tests/fault", 1800, "tests/fault"),
    python_tests("docs", "every command in the documents", DOCS, 1200, DOCS),
]
