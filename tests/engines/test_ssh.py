# SPDX-License-Identifier: Apache-2.0
"""Type ssh against a real OpenSSH server."""
import contextlib
import pathlib

import pytest

from clients import Watch, client
from kubetest.databases import Ssh

WORD = "w0rd-of-the-agent-on-that-machine"  # of no other test: what runs beside this one is looked at too


@pytest.fixture
def sshd(server):
    return server(Ssh, password=WORD)


def text(path):
    return pathlib.Path(path).read_text(encoding="ascii")


@pytest.fixture
def make(tool, sshd):
    def one(credential=None, **options):
        config = {"hostname": sshd.host, "port": sshd.port, "username": sshd.admin, "hostKey": sshd.host_key, **options.pop("config", {})}
        return tool("ssh", {name: value for name, value in config.items() if value is not None},
                    credential=text(sshd.private_key) if credential is None else credential, **options)

    return one


def test_a_probe_says_what_it_met(make):
    found = make().probe()
    assert found["reachable"] and found["authenticated"] and found["authorised"], found
    assert found["server"].startswith("OpenSSH_"), found
    assert found["message"] == ""


def test_a_password_does_as_well_as_a_key(make):
    with Watch(WORD) as watch:
        found = make(credential=WORD).probe()
    assert found["authorised"], found
    assert watch.looks and not watch.seen, watch.seen


def test_a_key_without_its_last_line_break_is_good(make, sshd):
    assert make(credential=text(sshd.private_key).rstrip("\n")).probe()["authorised"]


@pytest.mark.parametrize("what, config, credential, flags, words", [
    ("another key", {}, "other", (True, False, False), "Permission denied"),
    ("another password", {}, "wr0ng-password", (True, False, False), "Permission denied"),
    ("a broken key", {}, "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", (True, False, False), ""),
    ("another user", {"username": "nobody-here"}, None, (True, False, False), "Permission denied"),
    ("nobody listens", {"port": 1}, None, (False, False, False), "Connection refused"),
    ("no such host", {"hostname": "no-such-host.invalid"}, None, (False, False, False), "resolve"),
    ("no host key", {"hostKey": None}, None, (False, False, False), "ssh-keyscan"),
    ("another host key", {"hostKey": "other"}, None, (True, False, False), "ost key"),
    ("no key at all", {"hostKey": "hello"}, None, (False, False, False), "ssh-ed25519"),
    ("no user", {"username": None}, None, (False, False, False), "username"),
])
def test_a_probe_tells_what_is_wrong(make, sshd, what, config, credential, flags, words):
    other = sshd.path("other")
    if not pathlib.Path(other).exists():
        sshd.new_key("other")
    if credential == "other":
        credential = text(other)
    if config.get("hostKey") == "other":
        config = {"hostKey": text(other + ".pub")}
    found = make(credential=credential, config=config).probe()
    assert (found["reachable"], found["authenticated"], found["authorised"]) == flags, (what, found)
    assert words in found["message"], (what, found)


def test_a_host_key_may_be_a_line_of_known_hosts(make, sshd):
    lines = f"# ssh-keyscan\nbuild-1,10.0.0.1 {sshd.host_key}\r\n"
    assert make(config={"hostKey": lines}).probe()["authorised"]


def test_a_command_runs_and_its_end_comes_back(make, sshd):
    tool = make()
    with client(tool), Watch(text(sshd.private_key).splitlines()[-2]) as watch:
        done = tool.call("run", command="echo out; echo err >&2; exit 7")
        assert done["result"]["exitCode"] == 7, done
        assert done["result"]["text"] == "out\nerr\n"
        assert tool.call("run", command="cat; id -un", stdin="a\nb\n")["result"]["text"] == "a\nb\nagent\n"
        assert tool.call("run", command="exit 255")["result"]["exitCode"] == 255
        cut = tool.call("run", "--max-bytes=1000", command="head -c 100000 /dev/zero | tr '\\0' x")["result"]
        assert cut["truncated"] and cut["text"] == "x" * 1000
        cut = tool.call("run", "--max-bytes=1000", command="printf %01500d 7; sleep 0.2; printf more")["result"]
        assert cut["truncated"] and cut["text"] == "0" * 1000
        assert "error" in tool.call("run", "--timeout=1500", command="sleep 600")
    assert watch.looks and not watch.seen


def test_nothing_of_the_session_reaches_back(make):
    """No agent, no forwarding, no environment of ours, no local command by an escape character."""
    tool = make()
    with client(tool):
        found = tool.call("run", command="env; echo '~!touch /tmp/agentkube-escaped'")["result"]["text"]
    assert "SSH_AUTH_SOCK" not in found and "DISPLAY" not in found and "AGENTKUBE" not in found
    assert not pathlib.Path("/tmp/agentkube-escaped").exists()


def holders(word):
    """Files of ours in /tmp with this word. Other suites run beside this one, with files of their own."""
    found = set()
    for one in pathlib.Path("/tmp").glob("agentkube-*"):
        with contextlib.suppress(OSError):
            if one.is_file() and word.encode() in one.read_bytes():
                found.add(one)
    return found


def test_files_of_the_client_are_gone_afterwards(make):
    before = holders(WORD)
    assert make(credential=WORD).probe()["authorised"]
    assert holders(WORD) <= before


def test_only_commands_of_the_list_are_sent(make, sshd):
    tool = make(permissions={"commands": ["uptime", "echo  two blanks"]})
    with client(tool):
        assert tool.call("run", command="uptime")["result"]["exitCode"] == 0
        assert tool.call("run", command="echo  two blanks")["result"]["text"] == "two blanks\n"
        before = len(sshd.whole_log())
        for command in ("id", "uptime ", " uptime", "uptime; id", "uptime\nid", "uptime && id", "echo two blanks", "", "UPTIME"):
            refused = tool.call("run", command=command)
            assert "spec.permissions.commands" in refused.get("error", ""), (command, refused)
        assert len(sshd.whole_log()) == before, "something was sent"


def test_the_machine_may_hold_to_the_list_too(make, server):
    with Ssh(config=["ForceCommand false"]) as forced:
        config = {"hostname": forced.host, "port": forced.port, "hostKey": forced.host_key}
        key = text(forced.private_key)
        assert not make(credential=key, config=config).probe()["authorised"]
        assert make(credential=key, config=config, permissions={"commands": ["uptime"]}).probe()["authorised"]
