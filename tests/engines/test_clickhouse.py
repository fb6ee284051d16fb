# SPDX-License-Identifier: Apache-2.0
"""Type clickhouse against Debian's server (18.16, which has no users of SQL) over its HTTP interface."""
import json
import shutil

import pytest

from kubetest.databases import Server, free_port


class ClickHouse(Server):
    kind = "ClickHouse"

    def prepare(self):
        self.program = shutil.which("clickhouse-server") or pytest.skip("clickhouse-server is not installed")
        self.path("data", make=True)
        self.write("users.xml", f"""<yandex><users>
<default><password>{self.password}</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota></default>
<reader><password>r3ad</password><networks><ip>::/0</ip></networks><profile>readonly</profile><quota>default</quota></reader>
<setter><password>s3t</password><networks><ip>::/0</ip></networks><profile>settings</profile><quota>default</quota></setter>
</users><profiles><default></default><readonly><readonly>1</readonly></readonly><settings><readonly>2</readonly></settings></profiles><quotas><default></default></quotas></yandex>""")
        self.write("config.xml", f"""<yandex><logger><level>warning</level><log>{self.path('log')}</log><errorlog>{self.path('err')}</errorlog></logger>
<http_port>{self.port}</http_port><tcp_port>{free_port(self.host)}</tcp_port><interserver_http_port>{free_port(self.host)}</interserver_http_port>
<listen_host>{self.host}</listen_host><path>{self.path('data')}/</path><tmp_path>{self.path('data')}/tmp/</tmp_path>
<users_config>{self.path('users.xml')}</users_config><default_profile>default</default_profile><default_database>default</default_database>
<mark_cache_size>5368709</mark_cache_size></yandex>""")

    def command(self):
        return [self.program, f"--config-file={self.path('config.xml')}"]


@pytest.fixture
def house(server, tool):
    one = server(ClickHouse)

    def make(credential=None, **config):
        return tool("clickhouse", {"hostname": "127.0.0.1", "port": one.port, "sslMode": "disable", **config}, credential=credential or one.password)

    return make


def test_a_query_has_typed_rows_and_limits(house):
    got = house().call("query", sql="SELECT toUInt8(1) AS a, toInt64(9007199254740993) AS b, 'x\\ty\\n' AS c, NULL AS d, toFloat64(1.5) AS e")
    assert got["result"]["rows"] == [[1, "9007199254740993", "x\ty\n", None, 1.5]], got
    assert [column["name"] for column in got["result"]["columns"]] == ["a", "b", "c", "d", "e"]
    got = house().call("query", "--max-rows=10", sql="SELECT number FROM system.numbers")["result"]
    assert got["rowCount"] == 10 and got["truncated"]
    got = house().call("query", "--max-rows=1000000", "--max-bytes=10000", sql="SELECT number FROM system.numbers LIMIT 1000000")["result"]
    assert got["truncated"] and 0 < got["rowCount"] < 10000


@pytest.mark.parametrize("sql", ["CREATE TABLE w (a UInt8) ENGINE = Memory", "SELECT 1; CREATE TABLE w (a UInt8) ENGINE = Memory",
                                 "/* SELECT */ CREATE TABLE w (a UInt8) ENGINE = Memory", "SELECT 1 SETTINGS readonly = 0", "SET readonly = 0",
                                 "CREATE DATABASE w", "INSERT INTO kept VALUES (2)", "DROP TABLE kept", "SELECT 1 INTO OUTFILE '/tmp/x'"])
def test_what_only_reads_writes_nothing(house, sql):
    one = house()
    assert "error" not in one.call("execute", sql="CREATE TABLE IF NOT EXISTS kept (a UInt8) ENGINE = Memory")
    before = [one.call("list_tables")["result"]["rows"], one.call("query", sql="SELECT count() FROM kept")["result"]["rows"]]
    assert "error" in one.call("query", sql=sql)
    assert "error" in one.call("execute", "--read-only", sql=sql)
    assert [one.call("list_tables")["result"]["rows"], one.call("query", sql="SELECT count() FROM kept")["result"]["rows"]] == before


@pytest.mark.parametrize("user, password", [("reader", "r3ad"), ("setter", "s3t")])
def test_a_user_whose_profile_only_reads_can_query(house, user, password):
    one = house(credential=password, username=user)
    for operation in ("query", "execute"):
        got = one.call(operation, sql="SELECT 1")
        assert got.get("result", {}).get("rows") == [[1]], got
        got = one.call(operation, sql="CREATE TABLE made_by_a_reader (a UInt8) ENGINE = Memory")
        assert got["serverCode"] == "164", got


def test_errors_have_the_servers_words_and_code(house):
    got = house().call("query", sql="SELECT * FROM nothing_here")
    assert got["serverCode"] == "60" and "nothing_here" in got["error"], got


def test_a_probe_tells_what_failed(house):
    good = house().probe()
    assert good["reachable"] and good["authenticated"] and good["authorised"] and good["server"].startswith("ClickHouse 18.16"), good
    bad = house(credential="wrong").probe()
    assert bad["reachable"] and not bad["authenticated"], bad
    other = house(databaseName="nowhere").probe()
    assert other["authenticated"] and not other["authorised"] and "nowhere" in other["message"], other


def test_a_server_without_users_of_sql_is_said(house, server):
    one = house()
    one.document["spec"]["permissions"] = {"readOnly": True, "adminCredentialsRef": {"name": "a", "key": "k"}}
    one.mint().write("admin", username="default", credential=server(ClickHouse).password)
    got = one.provision()
    assert not got["done"] and "20.4" in got["unenforceable"][0], got
    assert "secret" not in json.dumps(got)
    assert one.deprovision()["done"]
