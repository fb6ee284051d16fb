# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, and the odd prompts: each of the programs that can be had here."""
import pytest

from programs import PROGRAMS
from test_capabilities import ECHO, SHELL, SPEAKS, first, succeeded, words

EACH = pytest.mark.parametrize("runtime", PROGRAMS)


@EACH
@pytest.mark.parametrize("text", ["auth", "-p now", "--help", "two\nlines \"quoted\" $HOME `id` \\n", "é漢字 🙂"],
                         ids=["one-word", "option", "one-option", "lines", "unicode"])
def test_a_prompt_arrives_as_it_is(agent, runtime, text):
    run = succeeded(agent(runtime, text, first(runtime), tools=False))
    assert run.verdict["result"] == "OK from the stand-in"
    asked = str(run.requests[0]["body"])
    for line in text.split("\n"):
        assert repr(line)[1:-1] in asked or line in asked


@EACH
def test_a_short_hiccup_of_the_provider_does_not_end_a_run(agent, runtime):
    for fault in ("[[fail: 529 1]] now", "[[fail: 429 1]] now"):
        run = succeeded(agent(runtime, fault, first(runtime)))
        assert run.verdict["result"] == "OK from the stand-in"
        assert [request["status"] for request in run.requests] == [int(fault[8:11]), 200]


@EACH
def test_a_bad_request_fails_the_run(agent, runtime):
    run = agent(runtime, "[[fail: 400]] now", first(runtime))
    assert run.code != 0 and run.verdict["reason"] == "RuntimeError"
    assert "the test wants this error" in run.verdict["message"]


@EACH
def test_nonsense_from_the_provider_never_succeeds(agent, runtime):
    run = agent(runtime, "[[malformed]] now", first(runtime), timeout=60)
    assert run.timed_out or not run.verdict["succeeded"]


@EACH
def test_a_dead_tool_endpoint_does_not_stop_the_model(agent, runtime, sandbox, monkeypatch):
    monkeypatch.setitem(sandbox.ports, "mcp", 9)
    run = succeeded(agent(runtime, "Say something.", first(runtime)))
    assert run.verdict["result"] == "OK from the stand-in"


@EACH
def test_the_next_run_in_the_same_home_is_a_new_conversation(agent, runtime):
    succeeded(agent(runtime, "[[say: first]] apples", first(runtime)))
    run = succeeded(agent(runtime, "[[say: second]] pears", first(runtime), fresh=False))
    assert run.verdict["result"] == "second"
    assert "apples" not in str(run.requests)


@EACH
def test_a_run_that_hangs_ends_when_it_is_told_to(agent, runtime):
    run = agent(runtime, "[[hang]] now", first(runtime), timeout=20)
    assert run.timed_out and run.left == []
    assert not run.verdict["succeeded"]


def test_codex_works_with_its_own_default_model(agent):
    run = succeeded(agent("Codex", f"{SHELL} {ECHO}", model=None))
    assert [call["name"] for call in words(run.events, "tool_call")] == ["shell", "echo"]
    assert "stand-in" not in {request["body"]["model"] for request in run.requests}


def test_claude_works_with_its_own_default_model(agent):
    run = succeeded(agent("ClaudeCode", f"{SHELL} {ECHO}", model=None))
    assert [call["name"] for call in words(run.events, "tool_call")] == ["Bash", "mcp__agentkube__echo"]
    assert {request["body"]["model"] for request in run.requests} != {"stand-in"}


def test_a_stream_is_read_to_its_end(agent):
    for runtime in SPEAKS:
        run = succeeded(agent(runtime, "[[slow: 20 0.05]] now", first(runtime)))
        assert run.verdict["result"].split() == [f"word{n}" for n in range(1, 21)]
