# SPDX-License-Identifier: Apache-2.0
"""The bastion's engines against real servers.

    server   start(Postgres, users={...}, ...) -> kubetest.databases.Server; the same arguments give the same server while a module's
             tests run, fresh=True one of its own
    tool     make(type, config, credential=, ca=, identity=, admin=, permissions=, **spec) -> Tool

A Tool is what a bastion's pod is given: the specification in an environment variable, Secrets as files. Its methods run the
engine in a program of its own (engine-driver), which is the bastion's engine without the bastion around it:

    tool.probe()                            {"reachable": ..., "authenticated": ..., "authorised": ..., "server": ..., "message": ...}
    tool.call("query", sql="SELECT 1")      {"result": ..., "rows": ..., "bytes": ...} or {"error": ..., "code": ..., "serverCode": ...}
    tool.provision(), tool.deprovision()    {"done": ..., "changed": [...], "unenforceable": [...], "message": ...}
    with tool.serve() as session:           clients at session.folder, session.events(); session.end() ends it as the core would

AGENTKUBE_BUILD is the build folder (default build).
"""
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from kubetest.wait import wait_for  # noqa: E402

ROOT = pathlib.Path(__file__).parent.parent.parent
UID = "6f1d3c1e-0d6b-4f5e-9d0a-3b8f0c7a1e42"
READER, WRITER = "agentkube_6f1d3c1e0d_r", "agentkube_6f1d3c1e0d_w"  # ak_identity_name() of it


def driver():
    path = pathlib.Path(os.environ.get("AGENTKUBE_BUILD") or ROOT / "build") / "tests/engines/engine-driver"
    given = os.environ.get("AGENTKUBE_ENGINE_DRIVER")
    return given or str(path)


class Session:
    """Clients of `serve`."""

    def __init__(self, process, folder, log):
        self.process, self.folder, self.log = process, folder, log

    def events(self, kind=None):
        lines = [json.loads(line) for line in self.log.read_text(encoding="utf-8").splitlines()]
        return [one for one in lines if not kind or one["event"] == kind]

    def statements(self):
        return self.events("statement")

    def busy(self):
        seen = self.events("busy")
        return bool(seen) and seen[-1]["busy"] > 0

    def end(self):
        """The Tool was changed, say: the session is cancelled."""
        self.process.send_signal(signal.SIGUSR1)

    def memory(self):
        """The most that the program ever had resident, in KiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))

    def processes_text(self):
        """What others on the machine can see of the program: its arguments and environment."""
        return b"".join(pathlib.Path(f"/proc/{self.process.pid}/{name}").read_bytes() for name in ("cmdline", "environ"))


class Tool:
    timeout = None  # milliseconds that the engine has, where the driver's 20 seconds are not enough

    def __init__(self, folder, kind, config, permissions=None, **spec):
        self.folder = folder
        self.document = {"namespace": "default", "name": "tool", "uid": UID, "generation": 1,
                         "spec": {"type": kind, "config": config, **({"permissions": permissions} if permissions is not None else {}), **spec}}
        for name in ("credential", "identity", "admin", "link"):
            (folder / name).mkdir(exist_ok=True)

    def write(self, where, **files):
        for name, text in files.items():
            path = self.folder / where / name.replace("_", "-").replace("ca-pem", "ca.pem")
            path.write_text(text, encoding="utf-8")
            path.chmod(0o440)
        return self

    def mint(self, reader="r3ader-secret", writer="wr1ter-secret"):
        """The identities that the controller would have made."""
        return self.write("identity", reader_username=READER, reader_password=reader, writer_username=WRITER, writer_password=writer)

    def environment(self):
        return {"PATH": os.environ["PATH"], "AGENTKUBE_TOOL": json.dumps(self.document), "AGENTKUBE_LINK": str(self.folder / "link"),
                "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", ""),
                **{f"AGENTKUBE_{name.upper()}_DIR": str(self.folder / name) for name in ("credential", "identity", "admin")}}

    def run(self, *arguments, text="", timeout=120):
        if self.timeout:
            arguments = (arguments[0], f"--timeout={self.timeout}", *arguments[1:])
        done = subprocess.run([driver(), *arguments], input=text, env=self.environment(), capture_output=True, text=True, timeout=timeout,
                              check=False)
        assert done.returncode in (0, 1) and done.stdout, f"{arguments}: {done.returncode}: {done.stderr[-4000:]}"
        assert "Sanitizer" not in done.stderr, done.stderr
        return json.loads(done.stdout)

    def probe(self, *flags):
        return self.run("probe", *flags)

    def call(self, operation, *flags, **arguments):
        return self.run("call", *flags, operation, text=json.dumps(arguments))

    def provision(self):
        return self.run("provision")

    def deprovision(self):
        return self.run("deprovision")

    @contextlib.contextmanager
    def serve(self, *flags, name="engine.sock"):
        folder = self.folder / f"s{len(list(self.folder.iterdir()))}"
        folder.mkdir()
        log, errors = folder / "events", folder / "errors"
        with open(log, "wb") as out, open(errors, "wb") as err:
            process = subprocess.Popen([driver(), "serve", *flags, str(folder / name)], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                       env=self.environment())
        session = Session(process, folder, log)
        try:
            wait_for(lambda: session.events("listening") or process.poll() is not None, "the engine to listen", 20)
            assert process.poll() is None, errors.read_text()
            yield session
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0, errors.read_text()[-4000:]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        assert "Sanitizer" not in errors.read_text(), errors.read_text()


@pytest.fixture(scope="module")
def server():
    with contextlib.ExitStack() as stack:
        running = {}

        def start(kind, fresh=False, **options):
            key = (kind, repr(sorted(options.items())))
            if fresh or key not in running:
                one = stack.enter_context(kind(**options))
                if fresh:
                    return one
                running[key] = one
            return running[key]

        yield start


@pytest.fixture
def tool(tmp_path):
    made = []

    def make(kind, config, credential=None, ca=None, admin=None, permissions=None, **spec):
        folder = tmp_path / f"t{len(made)}"
        folder.mkdir()
        one = Tool(folder, kind, config, permissions, **spec)
        made.append(one)
        if credential is not None:
            one.write("credential", credential=credential)
        if ca:
            one.write("credential", ca_pem=pathlib.Path(ca).read_text(encoding="ascii"))
        if admin:
            one.write("admin", username=admin[0], credential=admin[1])
        return one

    return make
