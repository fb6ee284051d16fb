# SPDX-License-Identifier: Apache-2.0
"""Type kubernetes against a real API server, that of KUBECONFIG or one that is started."""
import http.client
import json
import pathlib
import socket

import pytest


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("tool", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(str(self.path))


def ask(session, method, path, body=None, headers=None):
    connection = UnixConnection(session.folder / "engine.sock")
    connection.request(method, path, body, headers or {})
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.fixture
def cluster(control_plane, tool):
    text = pathlib.Path(control_plane.kubeconfig).read_text(encoding="utf-8")
    return lambda: tool("kubernetes", {}, credential=text)


def test_a_probe_knows_the_version_and_the_rights(cluster):
    got = cluster().probe()
    assert got["reachable"] and got["authenticated"] and got["authorised"] and got["server"].startswith("Kubernetes v"), got


def test_a_kubeconfig_with_a_program_is_refused(tool):
    text = json.dumps({"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                       "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}], "users": [{"name": "a", "user": {"exec": {"command": "x"}}}]})
    got = tool("kubernetes", {}, credential=text).probe()
    assert not got["reachable"] and "exec" in got["message"], got


def test_the_proxy_is_logged_in_and_acts_for_nobody_else(cluster):
    with cluster().serve() as session:
        status, text = ask(session, "GET", "/api/v1/namespaces/default")
        assert status == 200 and json.loads(text)["metadata"]["name"] == "default"
        assert ask(session, "GET", "/api/v1/namespaces", headers={"Impersonate-User": "somebody"})[0] == 403
        assert ask(session, "GET", "/api/v1/namespaces", headers={"Authorization": "Bearer wrong"})[0] == 200
        assert ask(session, "GET", "/api/v1/namespaces", headers={"Connection": "Upgrade", "Upgrade": "SPDY/3.1"})[0] == 400


def test_a_reader_changes_nothing(cluster):
    body = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "from-a-reader"}})
    with cluster().serve("--read-only") as session:
        status, text = ask(session, "POST", "/api/v1/namespaces/default/configmaps", body, {"Content-Type": "application/json"})
        assert status == 403 and b"only read" in text
        assert ask(session, "GET", "/api/v1/namespaces/default/configmaps/from-a-reader")[0] == 404
        assert ask(session, "GET", "/api/v1/namespaces/default/services/https:kubernetes:443/proxy/")[0] == 403
