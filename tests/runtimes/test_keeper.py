# SPDX-License-Identifier: Apache-2.0
"""Real programs behind the real keeper: it has the key and the tools, they have neither."""
import json
import re

import pytest

from programs import PROGRAMS, REAL_KEY
from test_capabilities import SPEAKS, succeeded, words

# everything that a program can see of itself; the patterns do not find themselves
LOOK = (r"[[shell: { env; cat /proc/[0-9]*/environ /proc/[0-9]*/cmdline; find ~ -type f -exec cat {} +; } 2>/dev/null | tr '\0' '\n' >seen;"
        r" echo real $(grep -ac 'sk-can[a]ry' seen) placeholder $(grep -ac 'placeholder-not-a-k[e]y' seen)]]")


@pytest.mark.parametrize("runtime, provider", [(runtime, provider) for runtime in PROGRAMS for provider in SPEAKS[runtime]])
def test_the_provider_gets_the_key_that_the_program_never_had(agent, keeper, runtime, provider):
    log = keeper(provider)
    run = succeeded(agent(runtime, f'{LOOK} [[tool: echo {{"text": "through the keeper"}}]]', provider, behind="keeper"))
    assert "through the keeper" in run.verdict["result"]
    assert {(request["path"], request["key"]["matches"]) for request in run.requests} == {("/upstream" + SPEAKS[runtime][provider], True)}
    assert len(run.requests) == 3
    seen = words(run.events, "tool_result")[0]["text"]
    assert re.search(r"real 0 placeholder [1-9]", seen), seen
    assert REAL_KEY not in run.stdout + run.stderr + log.read_text()
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line["run"] for line in lines if "run" in line] == ["r-test"] * 3


@pytest.mark.parametrize("runtime", PROGRAMS)
def test_a_provider_that_is_down_is_named(agent, keeper, runtime):
    provider = next(iter(SPEAKS[runtime]))
    keeper(provider)
    run = agent(runtime, "[[fail: 401]]", provider, behind="keeper", env={"CLAUDE_CODE_MAX_RETRIES": "1"})
    assert not run.verdict["succeeded"] and "the test wants this error" in run.verdict["message"]
