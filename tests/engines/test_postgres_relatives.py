# SPDX-License-Identifier: Apache-2.0
"""cockroachdb and redshift: against a stand-in for their servers, never a real one.

What these servers have in common with PostgreSQL is the protocol; what they do not have of its catalog is asked of the
standard's views, and settings that they refuse at the start come later."""
import re

import pytest
from conftest import READER, WRITER
from pg_standin import Refused, Standin

KINDS = {
    "redshift": {"auth": "md5", "settings": ("client_encoding", "application_name"), "parameters": {"server_version": "8.0.2"}},
    "cockroachdb": {"auth": "scram", "settings": ("client_encoding", "application_name", "search_path"),
                    "parameters": {"server_version": "13.0.0", "crdb_version": "CockroachDB CCL v23.1.11"}},
}
ADMIN = ("root", "r00t-secret")


class Cluster:
    """Just as much of a database as provisioning asks for: users, tables, who may do what."""

    def __init__(self):
        self.standin = None
        self.rights = {READER: set(), WRITER: set()}
        self.usage = {READER: set(), WRITER: set()}

    def answer(self, connection, sql, parameters):
        user = connection.startup["user"]
        if re.match(r"SET |BEGIN|COMMIT|SELECT 1$", sql):
            return (["?column?"], [["1"]]) if sql == "SELECT 1" else ([], [])
        if sql == "SELECT name FROM t WHERE id = $1":
            return ["name"], [[f"n{parameters[0]}"]]
        if "information_schema.tables WHERE ($1" in sql:
            return ["schema", "name", "kind"], [["public", "t", "BASE TABLE"]]
        assert user == ADMIN[0], f"{user}: {sql}"
        return self.administer(sql)

    def administer(self, sql):
        if made := re.fullmatch(r"CREATE (?:ROLE|USER) (\w+)(?: LOGIN)? PASSWORD '([^']+)'", sql):
            self.standin.users[made[1]] = made[2]
        elif changed := re.fullmatch(r"ALTER (?:ROLE|USER) (\w+) PASSWORD '([^']+)'", sql):
            self.standin.users[changed[1]] = changed[2]
        elif dropped := re.fullmatch(r"DROP (?:ROLE|USER) (\w+)", sql):
            if self.rights[dropped[1]]:
                raise Refused("2BP01", "cannot drop: it has rights")
            del self.standin.users[dropped[1]]
        elif granted := re.fullmatch(r'(GRANT|REVOKE) (\w+) ON TABLE "(\w+)"\."(\w+)" (?:TO|FROM) "(\w+)"', sql):
            change = self.rights[granted[5]].add if granted[1] == "GRANT" else self.rights[granted[5]].discard
            change((granted[2], granted[3], granted[4]))
        elif used := re.fullmatch(r'GRANT USAGE ON SCHEMA "(\w+)" TO "(\w+)"', sql):
            self.usage[used[2]].add(used[1])
        elif revoked := re.fullmatch(r'REVOKE ALL ON ALL TABLES IN SCHEMA "(\w+)" FROM (\w+)', sql):
            self.rights[revoked[2]] = {one for one in self.rights[revoked[2]] if one[1] != revoked[1]}
        elif revoked := re.fullmatch(r'REVOKE ALL ON SCHEMA "(\w+)" FROM (\w+)', sql):
            self.usage[revoked[2]].discard(revoked[1])
        else:
            return self.look(sql)
        return [], []

    def look(self, sql):
        if asked := re.search(r"FROM pg_catalog\.pg_user WHERE usename = '(\w+)'", sql):
            row = [asked[1]] if "SELECT usename" in sql else ["t", "-1", "t"]
            return ["a"] * len(row), [row] if asked[1] in self.standin.users else []
        if "information_schema.schemata" in sql:
            return list("abcde"), [["n", "public", "public", None, None], ["n", "other", "other", None, None],
                                   ["r", "public", "t", None, None], ["r", "public", "u", None, None], ["r", "other", "x", None, None]]
        if asked := re.search(r"grantee = '(\w+)'", sql):
            rows = [["TABLE", *one, None] for one in sorted(self.rights[asked[1]])]
            return list("abcde"), rows + [["SCHEMA", "USAGE", one, None, None] for one in sorted(self.usage[asked[1]] | {"other"})]
        raise Refused("0A000", f"not expected: {sql}")


@pytest.fixture(name="cluster", params=KINDS)
def a_cluster(request):
    cluster = Cluster()
    with Standin(users={"app": "app-secret", ADMIN[0]: ADMIN[1]}, answer=cluster.answer, **KINDS[request.param]) as standin:
        cluster.standin, cluster.kind = standin, request.param
        yield cluster
    assert standin.wrong == []


def config(cluster):
    return {"hostname": "127.0.0.1", "port": cluster.standin.port, "username": "app", "databaseName": "app"}


def test_a_probe_logs_in_as_the_server_wants(cluster, tool):
    found = tool(cluster.kind, config(cluster), credential="app-secret").probe()
    assert found["authorised"], found
    assert found["server"] == ("CockroachDB CCL v23.1.11" if cluster.kind == "cockroachdb" else "Amazon Redshift 8.0.2"), found
    wrong = tool(cluster.kind, config(cluster), credential="wrong").probe()
    assert (wrong["reachable"], wrong["authenticated"]) == (True, False), wrong


def test_a_query_reads_only_and_has_its_time(cluster, tool):
    one = tool(cluster.kind, config(cluster), credential="app-secret")
    assert one.call("query", sql="SELECT name FROM t WHERE id = $1", params=[7])["result"]["rows"] == [["n7"]]
    sent = cluster.standin.sql()
    assert re.match(r"SET statement_timeout = \d+$", sent[0]) and "BEGIN READ ONLY" in sent, sent
    assert sent.index("BEGIN READ ONLY") < sent.index("SELECT name FROM t WHERE id = $1")
    assert one.call("list_tables")["result"]["rows"] == [["public", "t", "BASE TABLE"]]


def test_roles_are_made_granted_corrected_and_dropped(cluster, tool):
    one = tool(cluster.kind, config(cluster), admin=ADMIN, permissions={"grants": [
        {"privileges": ["SELECT"]}, {"privileges": ["SELECT", "UPDATE"], "objects": ["t"]}]}).mint()
    found = one.provision()
    assert found.get("done"), found
    assert cluster.rights[READER] == {("SELECT", "public", "t"), ("SELECT", "public", "u")}
    assert cluster.rights[WRITER] == cluster.rights[READER] | {("UPDATE", "public", "t")}
    assert "r3ader-secret" not in str(cluster.standin.sql()) and "wr1ter-secret" not in str(cluster.standin.sql())
    assert one.provision()["changed"] == []
    cluster.rights[READER] |= {("DELETE", "public", "t")}
    cluster.rights[WRITER].clear()
    assert len(one.provision()["changed"]) == 4
    assert cluster.rights[READER] == {("SELECT", "public", "t"), ("SELECT", "public", "u")}
    assert one.mint(reader="another").provision()["changed"] == [f"set the password of role {READER}"]
    assert one.probe()["authorised"]
    gone = one.deprovision()
    assert gone["done"] and set(cluster.standin.users) == {"app", ADMIN[0]}, gone
    assert one.deprovision()["changed"] == []
