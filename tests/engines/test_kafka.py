# SPDX-License-Identifier: Apache-2.0
"""Type kafka: the real kcat against a stand-in of a broker."""
import shutil

import pytest

from clients import Watch, client
from kafka_standin import Broker

pytestmark = pytest.mark.skipif(not shutil.which("kcat"), reason="kcat is not installed: hack/deps engines")
WORD = "k4fka-s3cret"


@pytest.fixture
def broker():
    with Broker({"agent": WORD}, {"orders": [(b"k1", b"one"), (None, b"two\nlines"), (b"k3", b"three")], "empty": []}) as one:
        yield one


@pytest.fixture
def make(tool, broker):
    def one(credential=WORD, **config):
        return tool("kafka", {"brokers": [f"127.0.0.1:{broker.server_address[1]}"], "username": "agent", "saslMechanism": "PLAIN", **config},
                    credential=credential)

    return one


def test_a_probe_logs_in(make, broker):
    with Watch(WORD) as watch:
        found = make().probe()
    assert found["authorised"] and found["server"] == "Kafka, 1 brokers", found
    assert ("agent", WORD) in broker.logins
    assert watch.looks and not watch.seen, watch.seen


def test_a_probe_tells_what_is_wrong(make):
    refused = make(credential="wr0ng-s3cret").probe()
    assert refused["reachable"] and not refused["authenticated"], refused
    assert "Authentication failed" in refused["message"] and "wr0ng-s3cret" not in refused["message"]
    away = make(brokers=["127.0.0.1:1"]).probe()
    assert not away["reachable"] and "refused" in away["message"], away


def test_topics_are_listed(make):
    tool = make()
    with client(tool):
        found = tool.call("list_topics")
    assert sorted(found["result"]["rows"]) == [["empty", 1], ["orders", 1]], found


def test_messages_are_read(make):
    tool = make()
    with client(tool):
        rows = tool.call("consume", topic="orders")["result"]["rows"]
        assert [row[3:] for row in rows] == [["k1", "one"], [None, "two\nlines"], ["k3", "three"]], rows
        assert [row[1] for row in tool.call("consume", topic="orders", offset=1)["result"]["rows"]] == [1, 2]
        assert len(tool.call("consume", topic="orders", count=1)["result"]["rows"]) == 1
        assert tool.call("consume", topic="empty")["result"]["rows"] == []
        assert "error" in tool.call("consume", topic="orders", offset="; rm")


def test_messages_are_written(make, broker):
    tool = make()
    with client(tool):
        done = tool.call("produce", topic="orders", messages=["a\nb", "second"], key="k")
        assert done["result"]["rows"] == [[2]], done
        assert "error" in tool.call("produce", topic="orders", messages=["a\x1eb"])
    assert sum(count for _, count, _ in broker.produced) == 2
    assert b"a\nb" in b"".join(data for _, _, data in broker.produced)
