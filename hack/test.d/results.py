# SPDX-License-Identifier: Apache-2.0
"""What a suite said, read from JUnit XML (meson, pytest) or from "ok" and "not ok" lines (TAP)."""
import json
import re
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field

TAP_LINE = re.compile(r"^(not )?ok\b\s*(\d+)?\s*-?\s*(.*)$")


@dataclass
class Case:
    name: str
    text: str = ""


@dataclass
class Result:
    passed: int = 0
    skipped: int = 0
    failures: list = field(default_factory=list)
    shaky: list = field(default_factory=list)  # names of what failed first and passed when it was run again by itself

    @property
    def failed(self):
        return len(self.failures)

    @property
    def total(self):
        return self.passed + self.failed + self.skipped

    def fail(self, name, text=""):
        self.failures.append(Case(name, text))

    def add(self, other):
        self.passed += other.passed
        self.skipped += other.skipped
        self.failures += other.failures
        self.shaky += other.shaky

    def after_again(self, second):
        """What counts when the failures of this result were run once more."""
        again = [case.name for case in second.failures]
        return Result(self.passed + second.passed, self.skipped + second.skipped, second.failures,
                      [case.name for case in self.failures if case.name not in again])

    def __str__(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


def case_text(element):
    parts = [element.get("message") or "", element.text or ""]
    return "\n".join(part.strip() for part in parts if part.strip())


def add_case(result, case, suite_output):
    name = "::".join(part for part in (case.get("classname"), case.get("name")) if part)
    for tag in ("failure", "error"):
        bad = case.find(tag)
        if bad is not None:
            output = case.findtext("system-out") or suite_output
            result.fail(name, "\n".join(part for part in (case_text(bad), output.strip()[-4000:]) if part))
            return
    if case.find("skipped") is not None:
        result.skipped += 1
    else:
        result.passed += 1


def from_junit(path):
    """Every <testcase> once. Meson nests the subtests of a TAP program in a <testsuite> of the program's name."""
    result = Result()
    try:
        root = xml.parse(path).getroot()
    except xml.ParseError as error:
        raise ValueError(f"{path}: {error}") from error
    for suite in root.iter("testsuite"):
        output = "\n".join(suite.findtext(tag) or "" for tag in ("system-out", "system-err"))
        for case in suite.findall("testcase"):
            add_case(result, case, output)
    return result


def from_meson(base):
    """The subtests stand in BASE.junit.xml. That a program died between two of them stands only in BASE.json."""
    result = from_junit(base + ".junit.xml")
    with open(base + ".json", encoding="utf-8") as lines:
        for line in lines:
            test = json.loads(line)
            name = test["name"].rpartition(" / ")[2]
            if test["result"] in ("OK", "SKIP", "EXPECTEDFAIL"):
                continue
            if not any(name in case.name for case in result.failures):
                text = "\n".join(test.get(stream) or "" for stream in ("stdout", "stderr")).strip()
                result.fail(f"{name}: {test['result']}", text[-4000:])
    return result


def from_tap(path):
    """"ok …" and "not ok …"; the indented lines after a "not ok" are its text; "# skip" skips."""
    result = Result()
    failing = None
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            match = TAP_LINE.match(line)
            if not match:
                if failing is not None and line[:1] in " \t#" and line.strip():
                    failing.text += line
                continue
            failing = None
            bad, _number, name = match.groups()
            if re.search(r"#\s*skip", name, re.IGNORECASE):
                result.skipped += 1
            elif bad:
                result.fail(name.strip() or "?")
                failing = result.failures[-1]
            else:
                result.passed += 1
    return result


def from_exit_code(name, code):
    result = Result()
    if code == 0:
        result.passed = 1
    else:
        result.fail(name)
    return result
