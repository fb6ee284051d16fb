# SPDX-License-Identifier: Apache-2.0
"""Every "yes" of the table in docs/runtimes.md, and every "no", done with the real programs.

A capability is the function of that name below; a cell of the table is a test. `speaks` says with which providers'
APIs a program is tested: the first one is used where the API does not matter.
"""
import hashlib
import re

import pytest

from programs import PROGRAMS, ROOT

SPEAKS = {
    "ClaudeCode": {"anthropic": "/v1/messages"},
    "Codex": {"openai": "/responses"},
    "OpenCode": {"openai": "/responses", "anthropic": "/v1/messages", "vllm": "/chat/completions"},
    "Cline": {"openai": "/chat/completions", "anthropic": "/v1/messages"},
}
SHELL = "[[shell: echo shell-says-$((6*7)) as $(id -u)]]"
ECHO = '[[tool: echo {"message": "hi there"}]]'
TWO_MINUTES = 120


def table():
    """{(runtime, capability): word} of docs/runtimes.md."""
    text = (ROOT / "docs/runtimes.md").read_text()
    rows = re.findall(r"^\|(.*)\|$", text.split("<!-- capabilities -->")[1], re.MULTILINE)
    cells = [[cell.strip().strip("`") for cell in row.split("|")] for row in rows]
    return {(runtime, row[0]): word for row in cells[2:] for runtime, word in zip(cells[0][2:], row[2:])}


def first(runtime):
    return next(iter(SPEAKS[runtime]))


def words(events, kind):
    return [event["data"] for event in events if event["type"] == kind]


def succeeded(run):
    assert run.code == 0 and run.verdict["succeeded"], (run.code, run.verdict, run.stderr[-2000:])
    return run


# ---- one function a capability: raises AssertionError if the program cannot do it
def prompt(agent, runtime):
    for provider in SPEAKS[runtime]:
        run = succeeded(agent(runtime, "Say something.", provider))
        assert run.verdict["result"] == "OK from the stand-in"
        assert words(run.events, "result") == [{"text": "OK from the stand-in", "isError": False}]


def long_prompt(agent, runtime):
    text = "[[echo]] " + "0123456789 abcdef\n" * (256 * 1024 // 18)
    run = succeeded(agent(runtime, text, first(runtime)))
    said = run.verdict["result"].split()
    if said[0].isdigit():  # as it came, but for blanks around it
        assert said[1] in {hashlib.sha256(one.encode()).hexdigest() for one in (text, text.strip(), text + "\n")}
        return
    # the program was told to read it from a file, and its tools can
    assert "/home/agent/.agentkube/prompt.md" in str(run.requests[0]["body"]["messages"][-1])
    run = succeeded(agent(runtime, "[[shell: sha256sum /home/agent/.agentkube/prompt.md]]", first(runtime), fresh=False))
    assert hashlib.sha256(text.encode()).hexdigest() in run.verdict["result"]


def model(agent, runtime):
    run = succeeded(agent(runtime, "Say something.", first(runtime), model="some-model-7"))
    assert {request["body"]["model"] for request in run.requests} == {"some-model-7"}


def keeper(agent, runtime):
    for provider, path in SPEAKS[runtime].items():
        run = succeeded(agent(runtime, "Say something.", provider))
        assert {(request["path"], request["key"]["matches"]) for request in run.requests} == {("/model" + path, True)}
        assert {request["headers"].get("x-agentkube-run-id") for request in run.requests} == {"r-test"}


def shell(agent, runtime):
    run = succeeded(agent(runtime, SHELL, first(runtime)))
    assert "shell-says-42 as 65532" in run.verdict["result"]


def tool_calls(agent, runtime):
    run = succeeded(agent(runtime, ECHO, first(runtime)))
    assert "echo: hi there" in run.verdict["result"]
    calls = [call["message"]["params"] for call in run.calls if call["message"].get("method") == "tools/call"]
    assert [(call["name"], call["arguments"]) for call in calls] == [("echo", {"message": "hi there"})]


def events(agent, runtime):
    run = succeeded(agent(runtime, f'{SHELL} {ECHO} [[tool: refuse {{"message": "no"}}]]', first(runtime)))
    assert [call["name"].split("_")[-1] for call in words(run.events, "tool_call")][1:] == ["echo", "refuse"]
    assert words(run.events, "tool_call")[1]["input"] == {"message": "hi there"}
    results = words(run.events, "tool_result")
    assert ["shell-says-42 as 65532", "echo: hi there", "refused: no"] == [result["text"].strip() for result in results]
    assert [result.get("isError", False) for result in results] == [False, False, True]
    assert words(run.events, "tool_call")[1]["id"] == results[1]["id"]
    assert "refused: no" in words(run.events, "text")[-1]["text"]
    assert not words(run.events, "other") and not words(run.events, "stdout")


def usage(agent, runtime):
    for provider in SPEAKS[runtime]:
        run = succeeded(agent(runtime, ECHO, provider))
        calls = len(run.requests)
        assert calls == 2
        found = run.verdict["usage"]
        assert (found["inputTokens"], found["cacheReadTokens"], found["outputTokens"]) == (calls * 1000, calls * 300, calls * 70)
        if provider == "anthropic":  # the other APIs do not tell what was written to a cache
            assert found["cacheWriteTokens"] == calls * 20
        assert found.get("turns", calls) == calls
        assert words(run.events, "usage")[-1] == found


def cost(agent, runtime):
    run = succeeded(agent(runtime, "Say something.", "anthropic", model="claude-sonnet-4-5"))
    # per million: 3 $ for input, 0.30 from the cache, 3.75 into it, 15 for output
    wanted = (1000 * 3 + 300 * 0.3 + 20 * 3.75 + 70 * 15) / 1e6
    assert float(run.verdict["usage"]["costUSD"]) == pytest.approx(wanted, rel=0.02)


def errors(agent, runtime):
    for provider in SPEAKS[runtime]:
        run = agent(runtime, "[[fail: 401]]", provider, env={"CLAUDE_CODE_MAX_RETRIES": "1"})
        assert run.code != 0 and not run.verdict["succeeded"] and not run.timed_out
        assert run.verdict["reason"] == "RuntimeError"
        assert "the test wants this error" in run.verdict["message"]


def gives_up(agent, runtime):
    for fault in ("[[fail: 500]] now", "[[fail: 429]] now", "[[cut]] now"):
        run = agent(runtime, fault, first(runtime), timeout=TWO_MINUTES)
        assert not run.timed_out, f"{fault}: still trying after {run.seconds:.0f} s"
        assert run.code != 0 and not run.verdict["succeeded"]
        assert run.verdict["reason"] == "RuntimeError" and run.verdict["message"]
        assert len(run.requests) > 1, "one hiccup must not end a run"


def quiet(agent, runtime):
    run = succeeded(agent(runtime, f"{SHELL} {ECHO}", first(runtime)))
    assert run.outside == []


def clean(agent, runtime):
    run = succeeded(agent(runtime, f"{SHELL} {ECHO}", first(runtime)))
    assert run.left == []


CHECKS = {"prompt": prompt, "longPrompt": long_prompt, "model": model, "keeper": keeper, "shell": shell, "toolCalls": tool_calls,
          "events": events, "usage": usage, "cost": cost, "errors": errors, "givesUp": gives_up, "quiet": quiet, "clean": clean}


def cells(word):
    return [pytest.param(runtime, name, id=f"{runtime}-{name}") for (runtime, name), said in table().items() if said == word]


@pytest.mark.parametrize("runtime, capability", cells("yes"))
def test_what_the_table_promises_is_so(agent, runtime, capability):
    CHECKS[capability](agent, runtime)


@pytest.mark.parametrize("runtime, capability", cells("no"))
def test_what_the_table_denies_is_still_so(agent, runtime, capability):
    with pytest.raises((AssertionError, KeyError)):
        CHECKS[capability](agent, runtime)


def test_programs_that_are_not_run_here_are_called_untested():
    for (runtime, name), said in table().items():
        assert said in (("yes", "no") if runtime in PROGRAMS else ("untested",)), (runtime, name)


def test_every_capability_has_a_check():
    assert {name for _, name in table()} == set(CHECKS)
