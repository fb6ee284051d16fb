# SPDX-License-Identifier: Apache-2.0
"""The product as its users install it: images, chart, pods. Fixtures beside those of ../conftest.py:

installed  session: the whole node, with our images loaded and the chart installed    (kubetest.Cluster)
without_chart  module: the same node with our images, for tests that install by themselves
bastion_images  session: the images of Tools' clients are on the node, too
agents     the Agents of this test's namespace                                          (kubetest.agents.Agents)
provider   module: the stand-in for model providers, where pods reach it                (kubetest.worker.Provider)
exo        the CLI, in this test's namespace                                            (kubetest.exo.Exo)
worker     makes Agents of this test's namespace that can work                          (kubetest.worker.Workers)
git_server a repository that pods can clone over HTTP, with and without a password
"""
import base64
import functools
import http.server
import os
import subprocess
import threading

import pytest
from kubetest.agents import Agents
from kubetest.cluster import ROOT
from kubetest.exo import Exo
from kubetest.worker import Provider, Workers, node_address

RUNTIMES = ("claude-code", "codex", "opencode", "cline")
BASTIONS = ("postgres", "mysql", "redis", "ssh", "http", "kubernetes")
STRICT = os.environ.get("AGENTKUBE_TEST_STRICT", "false")  # "true": with the least rights that work
RELEASE = ("agentkube", "agentkube/helm/agentkube", "--namespace", "agentkube-system")


def build_images(output, *names):
    # the programs were built by the suite before, into build/bin
    done = subprocess.run([ROOT + "/hack/images", "--output", output, *names], cwd=ROOT, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500, check=False)
    assert done.returncode == 0, done.stdout[-4000:]
    return [os.path.join(output, name) for name in sorted(os.listdir(output)) if name.endswith(".tar")]


@pytest.fixture(scope="session")
def images(cluster, tmp_path_factory):
    """Our images are on the node."""
    if not cluster.foreign:  # somebody's own cluster pulls, or has them already
        for archive in build_images(str(tmp_path_factory.mktemp("images")), "manager", *RUNTIMES):
            cluster.hack("load-image", archive, timeout=900)


@pytest.fixture(scope="session")
def bastion_images(cluster, installed, tmp_path_factory):
    """The clients of Tools are on the node, too."""
    if not cluster.foreign:
        for archive in build_images(str(tmp_path_factory.mktemp("bastions")), *[f"bastion-{name}" for name in BASTIONS]):
            cluster.hack("load-image", archive, timeout=900)


def install_chart(cluster):
    done = cluster.helm("upgrade", "--install", *RELEASE, "--create-namespace", "--set", "manager.logLevel=info",
                        "--set", f"rbac.strict={STRICT}",
                        "--wait", "--timeout", "300s", timeout=400)
    assert done.returncode == 0, done.stderr + cluster.kubectl("-n", "agentkube-system", "describe", "pods").stdout
    cluster.must("-n", "agentkube-system", "rollout", "status", "deployment/agentkube-manager", "--timeout=120s")


@pytest.fixture(scope="session")
def installed(cluster, images):
    install_chart(cluster)
    cluster.has_chart = True
    yield cluster
    cluster.helm("uninstall", RELEASE[0], *RELEASE[2:])


@pytest.fixture(scope="module")
def without_chart(cluster, images):
    """No operator is installed; afterwards the chart is, if it was before."""
    if cluster.foreign:
        pytest.skip("removes all definitions, which is not for a cluster of yours")
    yield cluster
    if getattr(cluster, "has_chart", False):
        install_chart(cluster)


@pytest.fixture
def agents(installed, cluster, namespace):
    return Agents(installed, namespace)


@pytest.fixture(scope="module")
def provider(cluster, tmp_path_factory):
    stand_in = Provider(node_address(cluster), str(tmp_path_factory.mktemp("provider")))
    yield stand_in
    stand_in.stop()


@pytest.fixture
def exo(agents, tmp_path):
    return Exo(agents.kube.kubeconfig, agents.namespace, str(tmp_path))


@pytest.fixture
def worker(agents, provider):
    return Workers(agents, provider)


class GitServer(http.server.ThreadingHTTPServer):
    """git's dumb HTTP protocol; everything below /private wants user and password."""

    daemon_threads = True
    user, password = "robot", "hunter2-canary"

    def url(self, path, host):
        return f"http://{host}:{self.server_port}/{path}"


class GitHandler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        wanted = "Basic " + base64.b64encode(f"{GitServer.user}:{GitServer.password}".encode()).decode()
        if self.path.startswith("/private") and self.headers.get("Authorization") != wanted:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def git_server(cluster, tmp_path_factory):
    folder = tmp_path_factory.mktemp("git")
    work = folder / "work"
    work.mkdir()

    def git(*arguments, cwd=work):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main", *arguments],
                       cwd=cwd, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    git("init")
    (work / "hello.txt").write_text("from git\n")
    git("add", ".")
    git("commit", "-m", "first")
    for place in ("public", "private"):
        (folder / "www" / place).mkdir(parents=True)
        git("clone", "--bare", str(work), str(folder / "www" / place / "repo.git"), cwd=folder)
        git("update-server-info", cwd=folder / "www" / place / "repo.git")
    index = cluster.environment.get("AGENTKUBE_INDEX", "0")
    # the host's end of the node's cable: only this machine and its pods reach it
    host = f"10.250.{index}.1"
    server = GitServer((host, 0), functools.partial(GitHandler, directory=str(folder / "www")))
    server.host = host
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join(10)
    server.server_close()
