# SPDX-License-Identifier: Apache-2.0
"""Type rabbitmq against a real broker with its management plugin: users with exactly the grants, operations, the proxy."""
import base64
import glob
import http.client
import json
import os
import subprocess

import pytest

from kubetest.databases import Server, free_port

ADMIN, PASSWORD = "admin", "adm1n-secret"
READER, WRITER = "agentkube_6f1d3c1e0d_r", "agentkube_6f1d3c1e0d_w"
PERMISSIONS = {"grants": [{"privileges": ["read"], "objects": ["jobs", "failed.jobs"]}, {"privileges": ["write"], "objects": ["amq.default", "jobs"]}],
               "adminCredentialsRef": {"name": "admin", "key": "password"}}


class RabbitMQ(Server):
    kind = "RabbitMQ"

    def prepare(self):
        sbin = sorted(glob.glob("/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin/rabbitmq-server"))
        if not sbin:
            pytest.skip("rabbitmq-server is not installed")
        self.program, self.amqp, self.dist = sbin[-1], free_port(self.host), free_port(self.host)
        for name in ("log", "mnesia"):
            self.path(name, make=True)
        self.write("plugins", "[rabbitmq_management].\n")
        self.write("rabbitmq.conf", f"""
listeners.tcp.default = {self.host}:{self.amqp}
management.tcp.ip = {self.host}
management.tcp.port = {self.port}
default_user = {ADMIN}
default_pass = {PASSWORD}
loopback_users = none
""")

    def environment(self):
        return {**super().environment(), "RABBITMQ_CONFIG_FILE": self.path("rabbitmq.conf"), "RABBITMQ_ENABLED_PLUGINS_FILE": self.path("plugins"),
                "RABBITMQ_MNESIA_BASE": self.path("mnesia"), "RABBITMQ_LOG_BASE": self.path("log"), "RABBITMQ_LOGS": "-",
                "RABBITMQ_NODENAME": f"t{self.port}@localhost", "RABBITMQ_DIST_PORT": str(self.dist), "RABBITMQ_CONF_ENV_FILE": "/dev/null",
                "RABBITMQ_PID_FILE": self.path("pid"), "ERL_EPMD_PORT": str(self.port_of_epmd()), "ERL_EPMD_ADDRESS": "127.0.0.1"}

    def port_of_epmd(self):
        self.epmd = getattr(self, "epmd", None) or free_port(self.host)
        return self.epmd

    def command(self):
        return [self.program]

    def end(self, number):
        """Erlang's port mapper made itself a daemon."""
        super().end(number)
        for epmd in glob.glob("/usr/lib/erlang/erts-*/bin/epmd")[:1]:
            subprocess.run([epmd, "-port", str(self.port_of_epmd()), "-kill"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)

    def is_up(self):
        try:
            return self.api("GET", "/api/overview")[0] == 200
        except OSError:
            return False

    def api(self, method, path, body=None, user=ADMIN, password=PASSWORD):
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode(), "Content-Type": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None

    def set_up(self):
        for queue in ("jobs", "failed.jobs", "other"):
            assert self.api("PUT", f"/api/queues/%2F/{queue}", {"durable": False})[0] in (201, 204)


@pytest.fixture
def broker(server):
    return server(RabbitMQ)


@pytest.fixture
def rabbit(broker, tool):
    def make(credential=PASSWORD, username=ADMIN, **options):
        return tool("rabbitmq", {"hostname": "127.0.0.1", "managementPort": broker.port, "username": username}, credential=credential,
                    admin=(ADMIN, PASSWORD), **options)

    return make


def test_operations_do_what_they_say(rabbit):
    one = rabbit()
    assert one.call("publish", routingKey="jobs", payload="first")["result"]["routed"]
    got = one.call("get_messages", queue="jobs")["result"]
    assert [column["name"] for column in got["columns"]][0] == "payload" and got["rows"][0][0] == "first", got
    assert one.call("get_messages", queue="jobs", requeue=False)["result"]["rowCount"] == 1
    assert one.call("get_messages", queue="jobs")["result"]["rowCount"] == 0
    assert {row[0] for row in one.call("list_queues")["result"]["rows"]} == {"jobs", "failed.jobs", "other"}
    assert one.call("http_request", method="GET", path="/api/queues/%2F/jobs")["result"]["body"]["name"] == "jobs"


def test_an_error_has_the_brokers_words(rabbit):
    got = rabbit().call("get_messages", queue="nobody")
    assert got["serverCode"] == "404" and "error" in got, got


def test_a_probe_tells_what_failed(rabbit, broker):
    good = rabbit().probe()
    assert good["reachable"] and good["authenticated"] and good["authorised"] and good["server"].startswith("RabbitMQ 3."), good
    bad = rabbit(credential="wrong").probe()
    assert bad["reachable"] and not bad["authenticated"] and not bad["authorised"], bad
    assert broker.api("PUT", "/api/users/plain", {"password": "p", "tags": ""})[0] in (201, 204)
    plain = rabbit(credential="p", username="plain").probe()
    assert plain["reachable"] and plain["authenticated"] and not plain["authorised"], plain


def test_provisioning_makes_users_with_exactly_the_grants_and_takes_them_away(rabbit, broker):
    one = rabbit(permissions=PERMISSIONS).mint()
    first = one.provision()
    assert first["done"] and len(first["changed"]) == 4, first
    assert one.provision() == {"done": True, "changed": [], "unenforceable": [], "message": ""}
    assert broker.api("GET", f"/api/permissions/%2F/{READER}")[1]["read"] == r"^(jobs|failed\.jobs)$"
    assert broker.api("GET", f"/api/permissions/%2F/{READER}")[1]["write"] == "^$"
    assert broker.api("GET", f"/api/permissions/%2F/{WRITER}")[1]["write"] == r"^(amq\.default|jobs)$"

    assert one.call("publish", routingKey="jobs", payload="x")["result"]["routed"]
    assert "error" in one.call("publish", "--read-only", routingKey="jobs", payload="x")
    assert one.call("get_messages", "--read-only", queue="jobs")["result"]["rowCount"] == 1
    assert "error" in one.call("get_messages", queue="other")

    assert broker.api("PUT", f"/api/permissions/%2F/{READER}", {"configure": ".*", "write": ".*", "read": ".*"})[0] == 204
    assert "permissions of" in one.provision()["changed"][0]
    assert broker.api("GET", f"/api/permissions/%2F/{READER}")[1]["write"] == "^$"

    one.mint("an0ther-reader", "an0ther-writer")
    assert len(one.provision()["changed"]) == 2
    assert one.probe()["authorised"]
    gone = one.deprovision()
    assert gone["done"] and len(gone["changed"]) == 2, gone
    assert one.deprovision()["changed"] == []
    assert broker.api("GET", f"/api/users/{READER}")[0] == 404
    for text in (first, gone):
        assert "secret" not in json.dumps(text)
    assert "r3ader-secret" not in broker.whole_log() and os.path.exists(broker.folder)
