# SPDX-License-Identifier: Apache-2.0
"""Type sqlserver: the real tsql against a stand-in that speaks TDS."""
import shutil

import pytest

from clients import Watch, client
from conftest import READER, WRITER
from tds_standin import SqlServer, table

pytestmark = pytest.mark.skipif(not shutil.which("tsql"), reason="tsql is not installed: hack/deps engines")
WORD = "tsql-s3cret'x"


class Answers:
    """What the server says: rows of a result, or an error of the statement."""

    names, rows, error = ["n"], [["1"]], None

    def __call__(self, batch):
        if self.error:
            return table(["", "", "", ""], [["@agentkube", *self.error, "0"]], False)
        result = table(self.names, self.rows) if self.names else b""
        return result + table(["", "", "", ""], [["@agentkube", "0", "", str(len(self.rows))]], False)


@pytest.fixture
def answers():
    return Answers()


@pytest.fixture
def sqlserver(answers):
    with SqlServer({"agent": WORD}, answers) as one:
        yield one


@pytest.fixture
def make(tool, sqlserver):
    def one(credential=WORD, config=None, **options):
        return tool("sqlserver", {"hostname": "127.0.0.1", "port": sqlserver.server_address[1], "username": "agent", "databaseName": "erp",
                                  "sslMode": "disable", **(config or {})}, credential=credential, **options)

    return one


def test_a_probe_logs_in(make, answers, sqlserver):
    answers.names, answers.rows = ["version", "seen"], [["16.0.4105.2", "3"]]
    with Watch("tsql-s3cret") as watch:
        found = make().probe()
    assert found["authorised"] and found["server"] == "SQL Server 16.0.4105.2", found
    assert sqlserver.logins == [("agent", WORD)]
    assert watch.looks and not watch.seen, watch.seen


def test_a_probe_tells_what_is_wrong(make, answers):
    refused = make(credential="wr0ng-word").probe()
    assert refused["reachable"] and not refused["authenticated"] and "Login failed" in refused["message"], refused
    away = make(config={"port": 1}).probe()
    assert not away["reachable"], away
    answers.error = ["229", "The SELECT permission was denied on the object 'TABLES'"]
    forbidden = make().probe()
    assert forbidden["authenticated"] and not forbidden["authorised"] and "permission was denied" in forbidden["message"], forbidden


def test_rows_come_back_whatever_is_in_them(make, answers):
    answers.names, answers.rows = ["a", "b"], [["x\ty\nz", None], ["", "ü'\"]"]]
    tool = make()
    with client(tool):
        found = tool.call("query", sql="SELECT a, b FROM t;")
    assert found["result"]["rows"] == [["x\ty\nz", None], ["", "ü'\"]"]], found
    assert [one["name"] for one in found["result"]["columns"]] == ["a", "b"]


def test_more_rows_than_wanted_are_cut(make, answers):
    answers.rows = [[str(n)] for n in range(50)]
    tool = make()
    with client(tool):
        found = tool.call("query", sql="SELECT n FROM t", maxRows=10)
    assert len(found["result"]["rows"]) == 10 and found["result"]["truncated"]


@pytest.mark.parametrize("statement", ["SELECT 1\ngo\nDROP TABLE t\ngo", "SELECT 1'\nGO\n--", "SELECT 1\nexit\n", "SELECT 1\r\n:r /etc/passwd",
                                       "SELECT 'a''b' -- x\n!! id", "x" * 9000 + "\ngo\nDROP TABLE t"])
def test_a_statement_is_one_value_on_one_line(make, sqlserver, statement):
    tool = make()
    with client(tool):
        tool.call("execute", sql=statement)
    assert len(sqlserver.batches) == 1, sqlserver.batches
    lines = sqlserver.batches[0].strip("\n").split("\n")
    assert len(lines) == 1 and "sp_executesql @s" in lines[0]
    assert "DROP TABLE t" not in lines[0].replace("N'DROP TABLE t'", "")


def test_parameters_are_values_with_types(make, sqlserver):
    tool = make()
    with client(tool):
        tool.call("query", sql="SELECT @p1", params=["a'; DROP TABLE t--\ngo", 5, 1.5, True, None])
    text = sqlserver.batches[0]
    assert "N'@p1 nvarchar(max), @p2 bigint, @p3 float, @p4 bit, @p5 nvarchar(max)', @p1, @p2, @p3, @p4, @p5" in text
    assert "N'a''; DROP TABLE t--'+NCHAR(10)+N'go'" in text


def test_the_servers_error_comes_back(make, answers):
    answers.error = ["208", "Invalid object name 'nope'."]
    tool = make()
    with client(tool):
        found = tool.call("query", sql="SELECT * FROM nope")
    assert found["error"] == "Invalid object name 'nope'." and found["serverCode"] == "208", found


def test_execute_says_how_many_rows(make, answers):
    answers.names, answers.rows = None, [["x"]] * 7
    tool = make()
    with client(tool):
        assert tool.call("execute", sql="DELETE FROM t")["result"]["rows"] == [[7]]


def test_both_identities_are_brought_to_their_grants(make, answers, sqlserver):
    sqlserver.users["boss"] = "b0ss-s3cret"
    answers.names, answers.rows = ["result"], [["changed"]]
    tool = make(permissions={"grants": [{"privileges": ["SELECT"], "schema": "reporting"},
                                        {"privileges": ["INSERT"], "schema": "re]p", "objects": ["o'x"]}]}, admin=("boss", "b0ss-s3cret")).mint()
    with Watch("b0ss-s3cret", "r3ader-secret", "wr1ter-secret") as watch:
        done = tool.provision()
    assert done["done"] and len(done["changed"]) == 2, done
    assert watch.looks and not watch.seen
    assert sqlserver.logins == [("boss", "b0ss-s3cret")] * 2
    reader, writer = sqlserver.batches
    for text, name, word in ((reader, READER, "r3ader-secret"), (writer, WRITER, "wr1ter-secret")):
        assert f"CREATE LOGIN [{name}] WITH PASSWORD" in text and word in text
        assert f"GRANT SELECT ON SCHEMA::[reporting] TO [{name}]" in text
    assert "GRANT INSERT" not in reader and "GRANT INSERT ON OBJECT::[re]]p].[o" in writer
    answers.rows = [["same"]]
    assert tool.provision()["changed"] == []
    answers.rows = [["changed"]]
    assert len(tool.deprovision()["changed"]) == 2
    assert f"DROP LOGIN [{WRITER}]" in sqlserver.batches[-1]
