# SPDX-License-Identifier: Apache-2.0
"""hack/test: counts what suites say, stops what hangs, and says a number only for what really ran."""
import json
import os
import subprocess
import sys
import textwrap

import pytest

from kubetest import wait_for
from kubetest.cluster import ROOT

# Suites of the test's own in place of the real ones; everything else is the runner as it is.
HEAD = f"""
import sys
sys.path.insert(0, {ROOT!r} + "/hack/test.d")
import suites
from suites import by_exit_code, by_tap, python_tests
"""
TAIL = """
import main
main.SUITES = suites.SUITES
sys.exit(main.main(sys.argv[1:]))
"""


def start(tmp_path, body, *arguments):
    script = tmp_path / "runner.py"
    script.write_text(HEAD + textwrap.dedent(body) + TAIL)
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environment.pop("AGENTKUBE_TEST_KEEP", None)
    return subprocess.Popen([sys.executable, script, *arguments], cwd=ROOT, env=environment, text=True, stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def run(tmp_path, body, *arguments):
    process = start(tmp_path, body, *arguments)
    output, _ = process.communicate(timeout=120)
    return process.returncode, output


def last_line(output):
    return output.strip().splitlines()[-1]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("said,line,code", [
    ("ok 1 - a\\nok b\\n", "2 passed, 0 failed", 0),
    ("ok 1 - a\\nnot ok 2 - b\\n  why\\n", "1 passed, 1 failed", 1),
    ("ok 1 - a\\nok 2 - b # skip no rights\\n", "1 passed, 0 failed, 1 skipped", 0),
    ("ok 1 - a # SKIP\\n", "0 passed, 0 failed, 1 skipped", 1),  # nothing passed: that is no success
    ("okay\\n", "0 passed, 1 failed", 1),  # nothing ran
])
def test_the_last_line_has_the_numbers(tmp_path, said, line, code):
    result, output = run(tmp_path, f"""suites.SUITES = [by_tap("t", "", "/", 60, "printf", {said!r})]""".replace("\\\\n", "\\n"))
    assert (last_line(output), result) == (line, code), output
    assert os.listdir(tmp_path) == ["runner.py"]


def test_a_good_looking_suite_that_ends_badly_has_failed(tmp_path):
    result, output = run(tmp_path, """suites.SUITES = [by_tap("t", "", "/", 60, "sh", "-c", "echo ok 1; exit 3")]""")
    assert (last_line(output), result) == ("1 passed, 1 failed", 1) and "exit code 3" in output


def test_the_words_of_a_failure_are_shown(tmp_path):
    _, output = run(tmp_path, """suites.SUITES = [by_tap("t", "", "/", 60, "printf", "not ok x\\n  because of y\\n")]""")
    assert "not ok  t: x" in output and "because of y" in output


SHAKY = """
    import os
    def test_steady():
        pass
    def test_shaky(tmp_path):
        mark = os.environ["MARK"]
        if not os.path.exists(mark):
            open(mark, "w").close()
            raise AssertionError(WORDS)
"""


@pytest.mark.parametrize("words, line, code", [
    ("the machine was busy", "2 passed, 0 failed", 0),
    ("a sanitizer reports: data race", "1 passed, 1 failed", 1),  # that is never an accident
])
def test_what_failed_by_accident_is_run_again_and_named(tmp_path, words, line, code):
    folder = tmp_path / "shaky"
    folder.mkdir()
    (folder / "test_shaky_case.py").write_text(textwrap.dedent(SHAKY).replace("WORDS", repr(words)))
    result, output = run(tmp_path, f"""
        import os
        os.chdir({str(tmp_path)!r})
        os.environ["MARK"] = {str(tmp_path / "mark")!r}
        suites.SUITES = [python_tests("t", "", "/", 60, "shaky")]""")
    assert (last_line(output), result) == (line, code), output
    assert words in output
    assert ("passed only when it was run again: shaky.test_shaky_case::test_shaky" in output) == (code == 0), output


def test_after_a_build_that_failed_nothing_else_is_run(tmp_path):
    result, output = run(tmp_path, """
        suites.SUITES = [by_exit_code("build", "", "/", 60, "false"), by_tap("t", "", "/", 60, "echo", "ok 1")]""")
    assert (last_line(output), result) == ("0 passed, 1 failed", 1)


def test_a_suite_that_hangs_is_stopped_with_its_children(tmp_path):
    result, output = run(tmp_path, f"""
        suites.SUITES = [by_tap("t", "", "/", 1, "sh", "-c", "sleep 1000 & echo $! >{tmp_path}/child; wait"),
                         by_tap("u", "", "/", 60, "echo", "ok 1")]""")
    assert (last_line(output), result) == ("1 passed, 1 failed", 1) and "took longer than 1 s" in output
    assert not alive(int((tmp_path / "child").read_text()))


def test_children_that_a_suite_leaves_are_ended(tmp_path):
    _, output = run(tmp_path, f"""
        suites.SUITES = [by_tap("t", "", "/", 60, "sh", "-c", "sleep 1000 & echo $! >{tmp_path}/child; echo ok 1")]""")
    assert last_line(output) == "1 passed, 0 failed"
    assert not alive(int((tmp_path / "child").read_text()))


def test_suites_that_wait_run_beside_each_other_and_are_reported_in_their_order(tmp_path):
    # each waits for the other: one after the other they would never end
    result, output = run(tmp_path, f"""
        meet = "touch {tmp_path}/$0; until [ -e {tmp_path}/$1 ]; do sleep 0.05; done; echo ok 1"
        suites.SUITES = [by_tap("t", "", "/", 60, "sh", "-c", meet, "t", "u"), by_tap("u", "", "/", 60, "sh", "-c", meet, "u", "t")]
        for suite in suites.SUITES: suite.lane = True""")
    assert (last_line(output), result) == ("2 passed, 0 failed", 0)
    assert [line.split()[1] for line in output.splitlines() if line.startswith("  ok ")] == ["t", "u"]


@pytest.mark.parametrize("lane", [False, True])
def test_an_interrupted_run_ends_its_suite(tmp_path, lane):
    process = start(tmp_path, f"""
        suites.SUITES = [by_tap("t", "", "/", 60, "sh", "-c", "echo $$ >{tmp_path}/child; exec sleep 1000")]
        suites.SUITES[0].lane = {lane}""")
    wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text().strip(), "the suite to start", 30)
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert not alive(int((tmp_path / "child").read_text()))


def test_python_tests_are_counted_one_by_one(tmp_path):
    (tmp_path / "test_them.py").write_text(textwrap.dedent("""
        import pytest
        def test_good(): pass
        def test_bad(): assert 1 == 2, "the sum is wrong"
        @pytest.mark.skip(reason="not here")
        def test_other(): pass
        @pytest.fixture
        def broken(): raise RuntimeError("no fixture")
        def test_error(broken): pass
        """))
    result, output = run(tmp_path, f"""suites.SUITES = [python_tests("p", "", "/", 60, "{tmp_path}/test_them.py")]""")
    assert (last_line(output), result) == ("1 passed, 2 failed, 1 skipped", 1), output
    assert "the sum is wrong" in output and "no fixture" in output


def test_a_suite_of_python_tests_without_tests_has_failed(tmp_path):
    (tmp_path / "test_none.py").write_text("")
    result, output = run(tmp_path, f"""suites.SUITES = [python_tests("p", "", "/", 60, "{tmp_path}/test_none.py")]""")
    assert (last_line(output), result) == ("0 passed, 1 failed", 1)


def test_a_program_that_dies_between_two_subtests_has_failed(tmp_path):
    sys.path.insert(0, ROOT + "/hack/test.d")
    import results  # noqa: PLC0415
    (tmp_path / "r.junit.xml").write_text(
        '<testsuites><testsuite name="x.base/die"><testcase name="1 - a" classname="x.base/die"/></testsuite></testsuites>')
    (tmp_path / "r.json").write_text(json.dumps({"name": "x:unit / base/die", "result": "ERROR", "stdout": "ok 1"}) + "\n")
    result = results.from_meson(str(tmp_path / "r"))
    assert (result.passed, [case.name for case in result.failures]) == (1, ["base/die: ERROR"])


def test_an_unknown_suite_is_refused_by_name(tmp_path):
    result, output = run(tmp_path, "", "nonsense")
    assert result == 2 and "'nonsense'" in output
