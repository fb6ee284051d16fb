# SPDX-License-Identifier: Apache-2.0
"""Type custom: a program of somebody's own."""
import pytest

from clients import Watch, client
from kubetest.databases import Nginx

WORD = "c4stom-s3cret"
SCRIPT = 'echo "$@"; cat "$AGENTKUBE_CREDENTIAL_FILE"; echo; echo "$AGENTKUBE_HOSTNAME:$AGENTKUBE_PORT $AGENTKUBE_USERNAME $CODEPAGE"; stat -c %a "$AGENTKUBE_CREDENTIAL_FILE"; cat'


@pytest.fixture
def make(tool):
    def one(script=SCRIPT, config=None, **options):
        return tool("custom", {"command": ["sh", "-c", script, "sh"], "hostname": "127.0.0.1", "port": 2323, "username": "me",
                               "env": [{"name": "CODEPAGE", "value": "1047"}], **(config or {})}, credential=WORD, **options)

    return one


def test_the_program_gets_what_it_needs(make):
    tool = make()
    with client(tool), Watch(WORD) as watch:
        found = tool.call("run", args=["a b", "c"], stdin="from stdin")["result"]
    # what it prints of the credential is cut out
    assert found["text"] == "a b c\n***\n127.0.0.1:2323 me 1047\n600\nfrom stdin" and found["exitCode"] == 0, found
    assert watch.looks and not watch.seen


def test_only_arguments_of_the_list_are_given(make):
    tool = make(permissions={"commands": ["status", "show all"]})
    with client(tool):
        assert tool.call("run", args=["status"])["result"]["exitCode"] == 0
        assert tool.call("run", args=["show", "all"])["result"]["exitCode"] == 0
        for args in ([], ["status", "x"], ["show  all"], ["Status"], ["status "]):
            assert "spec.permissions.commands" in tool.call("run", args=args)["error"], args


def test_a_probe_is_a_connection(make, server):
    nginx = server(Nginx)
    found = make(config={"port": nginx.port}).probe()
    assert found["authorised"] and "only the program can say" in found["message"], found
    away = make(config={"port": 1}).probe()
    assert not away["reachable"] and "refused" in away["message"], away


def test_a_program_that_is_not_there_is_said(make):
    tool = make(config={"command": ["no-such-program"]})
    with client(tool):
        assert 'no program "no-such-program"' in tool.call("run")["error"]
