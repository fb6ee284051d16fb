# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the tests on a real API server (tests/cluster, tests/fault) and with real pods (tests/e2e).

control_plane  session: API server, etcd, controller manager; our definitions are installed        (kubetest.Cluster)
cluster        session: a whole node that runs pods; skips, with the reason, where that is not allowed
namespace      a fresh namespace on whichever of the two the test uses, deleted afterwards         (str)
manager        start(*flags, env={}) -> kubetest.Manager; watches `namespace` only, its Lease lies there too;
               stopped at the end, and checked for reports of sanitizers. all_namespaces=True: everything

AGENTKUBE_BIN names the folder of the programs (default build/bin), KUBECONFIG a cluster to use instead of starting
one, AGENTKUBE_TEST_KEEP=1 leaves clusters running for a look. Tests that use `manager` carry the mark "manager":
hack/test runs them again with sanitizers.
"""
import os
import shutil
import signal
import sys
import tempfile
import uuid

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kubetest import Manager, NoRights, start_cluster, wait_for  # noqa: E402

KEEP = bool(os.environ.get("AGENTKUBE_TEST_KEEP"))


def pytest_configure(config):
    config.addinivalue_line("markers", "manager: runs agentkube-manager as a process")
    config.addinivalue_line("markers", "any_rights: with the least rights it would do nothing else (e2e-strict leaves it out)")

    def interrupted(number, frame):
        raise KeyboardInterrupt  # as Ctrl-C: fixtures are torn down, so no cluster stays behind

    signal.signal(signal.SIGTERM, interrupted)
    # Who starts us in the background of a shell has us, and what we start, ignore Ctrl-C: tests of Ctrl-C would wait in vain.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items):
    for item in items:
        if "manager" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.manager)


@pytest.fixture(scope="session")
def scratch():
    """A folder with a short path, for Unix sockets; hack/test gives its own and cleans up after us."""
    given = os.environ.get("AGENTKUBE_TEST_SCRATCH")
    folder = given or tempfile.mkdtemp(prefix="akt-")
    yield folder
    if not given and not KEEP:
        shutil.rmtree(folder, ignore_errors=True)


def running(scratch, control_plane_only):
    try:
        cluster, down = start_cluster(scratch, control_plane_only)
    except NoRights as why:
        pytest.skip(str(why))
    try:
        cluster.ready()
        cluster.install_crds()
        yield cluster
    finally:
        if not KEEP:
            down()


@pytest.fixture(scope="session")
def control_plane(scratch):
    yield from running(scratch, control_plane_only=True)


@pytest.fixture(scope="session")
def cluster(scratch):
    yield from running(scratch, control_plane_only=False)


@pytest.fixture
def kube(request):
    """The cluster that this test uses."""
    used = request.getfixturevalue("cluster" if "cluster" in request.fixturenames else "control_plane")
    used.revive()
    return used


@pytest.fixture
def namespace(kube):
    name = "t-" + uuid.uuid4().hex[:8]
    status, body = kube.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    assert status == 201, body
    # without it no pod is admitted; a controller manager whose API server was restarted takes its time
    wait_for(lambda: kube.get(f"/api/v1/namespaces/{name}/serviceaccounts/default"), "the namespace's service account")
    yield name
    if not KEEP:
        kube.delete_namespace(name)


@pytest.fixture
def manager(kube, namespace, tmp_path):
    started = []

    def start(*flags, env=None, kubeconfig=None, all_namespaces=False, wait=True):
        one = Manager(kubeconfig or kube.kubeconfig, str(tmp_path), list(flags), env or {},
                      None if all_namespaces else namespace)
        started.append(one)
        return one.wait_ready() if wait else one

    yield start
    problems = []
    for one in started:
        for check in (one.stop, one.check_log):
            try:
                check()
            except AssertionError as problem:
                problems.append(str(problem))
    assert not problems, "\n".join(problems)
