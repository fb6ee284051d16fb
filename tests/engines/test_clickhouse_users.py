# SPDX-License-Identifier: Apache-2.0
"""Provisioning of type clickhouse, against a stand-in of a server with users of SQL (20.4 and newer), which is not to be had here."""
import hashlib
import http.server
import re
import threading

import pytest
from conftest import READER, WRITER

ADMIN = ("boss", "adm1n-secret")


class House(http.server.BaseHTTPRequestHandler):
    """Users with their hash, grants and roles. What it does not know is a syntax error."""

    def do_POST(self):
        sql = self.rfile.read(int(self.headers["Content-Length"])).decode()
        who = (self.headers.get("X-ClickHouse-User"), self.headers.get("X-ClickHouse-Key"))
        self.server.statements.append(sql)
        status, text = (200, self.run(sql)) if who == ADMIN else (403, "Code: 516. DB::Exception: boss: Authentication failed")
        if text.startswith("Code:"):
            status = status if status != 200 else 404 if text.startswith("Code: 192.") else 400
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/tab-separated-values; charset=UTF-8")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def run(self, sql):
        users = self.server.users
        for pattern, act in (
                (r"SHOW GRANTS FOR (\w+)", self.show), (r"CREATE USER IF NOT EXISTS (\w+) IDENTIFIED WITH sha256_hash BY '([0-9a-f]{64})'", self.create),
                (r"ALTER USER (\w+) IDENTIFIED WITH sha256_hash BY '([0-9a-f]{64})'", self.alter), (r"DROP USER IF EXISTS (\w+)", users.pop),
                (r"GRANT (.+ ON .+|NONE) TO (\w+) WITH REPLACE OPTION", self.grant), (r"GRANT ([^ ].*) TO (\w+) WITH REPLACE OPTION", self.grant_roles),
                (r"REVOKE (.+) FROM (\w+)", self.revoke)):
            match = re.fullmatch(pattern, sql)
            if match and act == users.pop:
                users.pop(match[1], None)
                return ""
            if match:
                name = match[1] if "USER" in pattern or "SHOW" in pattern else match[2]
                if name not in users and act != self.create:
                    return f"Code: 192. DB::Exception: There is no user `{name}` in `local directory`. (UNKNOWN_USER)"
                return act(*match.groups())
        return f"Code: 62. DB::Exception: Syntax error: {sql[:40]}"

    def show(self, name):
        user = self.server.users[name]
        lines = [f"GRANT {one} TO {name}" for one in user["grants"]] + ([f"GRANT {', '.join(user['roles'])} TO {name}"] if user["roles"] else [])
        return f"GRANTS FOR {name}\nString\n" + "".join(line + "\n" for line in lines)

    def create(self, name, password):
        self.server.users.setdefault(name, {"password": password, "grants": [], "roles": []})
        return ""

    def alter(self, name, password):
        self.server.users[name]["password"] = password
        return ""

    def grant(self, grants, name):
        self.server.users[name]["grants"] = sorted(grants.split(", ")) if grants != "NONE" else []
        return ""

    def grant_roles(self, roles, name):
        self.server.users[name]["roles"] = roles.split(", ")
        return ""

    def revoke(self, roles, name):
        user = self.server.users[name]
        user["roles"] = [one for one in user["roles"] if one not in roles.split(", ")]
        return ""

    def log_message(self, *_):
        pass


@pytest.fixture(name="house")
def a_house(tool):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), House)
    server.users, server.statements = {}, []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()

    def make(**permissions):
        return tool("clickhouse", {"hostname": "127.0.0.1", "port": server.server_port, "sslMode": "disable", "databaseName": "shop"}, admin=ADMIN,
                    permissions=permissions).mint()

    make.server = server
    yield make
    server.shutdown()
    thread.join()
    server.server_close()


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_users_have_exactly_the_grants_and_their_passwords_as_hashes(house):
    one = house(grants=[{"privileges": ["SELECT"]}, {"privileges": ["SELECT", "INSERT"], "objects": ["orders", "o`dd"]}])
    found = one.provision()
    assert found["done"] and found["changed"] == [f"user {READER} was made", f"user {WRITER} was made"], found
    users = house.server.users
    assert users[READER]["grants"] == sorted(["SELECT ON `shop`.*", "SELECT ON `shop`.`orders`", "SELECT ON `shop`.`o\\`dd`"])
    assert "INSERT ON `shop`.`orders`" in users[WRITER]["grants"] and "INSERT ON `shop`.*" not in users[WRITER]["grants"]
    assert users[READER]["password"] == digest("r3ader-secret") and users[WRITER]["password"] == digest("wr1ter-secret")
    assert one.provision()["changed"] == []
    for secret in ("r3ader-secret", "wr1ter-secret", ADMIN[1]):
        assert not any(secret in sql for sql in house.server.statements)


def test_drift_is_put_right(house):
    one = house(grants=[{"privileges": ["SELECT"]}])
    assert one.provision()["done"]
    users = house.server.users
    users[READER]["grants"] += ["INSERT ON *.*"]
    users[READER]["roles"] = ["admins", "`another one`"]
    users[WRITER]["password"] = digest("stolen")
    found = one.provision()
    assert found["done"] and found["changed"] == [f"grants of {READER} were set"], found
    assert users[READER]["grants"] == ["SELECT ON `shop`.*"] and users[READER]["roles"] == []
    assert users[WRITER]["password"] == digest("wr1ter-secret")


def test_roles_go_to_the_writer(house):
    one = house(roles=["analysts"])
    assert one.provision()["done"]
    users = house.server.users
    assert users[WRITER]["roles"] == ["`analysts`"] and users[READER]["roles"] == []
    users[WRITER]["roles"].append("admins")
    assert one.provision()["done"] and users[WRITER]["roles"] == ["`analysts`"]


def test_users_are_removed(house):
    one = house(grants=[{"privileges": ["SELECT"]}])
    assert one.provision()["done"]
    assert one.deprovision()["changed"] == [f"user {READER} was removed", f"user {WRITER} was removed"] and house.server.users == {}
    assert one.deprovision()["changed"] == []


def test_an_administrator_that_may_not_is_an_error(house):
    one = house(grants=[{"privileges": ["SELECT"]}]).write("admin", credential="wrong")
    found = one.provision()
    assert "Authentication failed" in found["error"] and "wrong" not in found["error"], found
