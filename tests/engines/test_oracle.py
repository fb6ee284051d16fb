# SPDX-License-Identifier: Apache-2.0
"""Type oracle. Neither the server nor its client can be had: a program stands in for sqlplus and keeps what it was given, so this says
what is sent, not that Oracle takes it."""
import json

import pytest

from clients import client
from conftest import READER, WRITER

SQLPLUS = r'''#!/usr/bin/python3
import json, os, sys
text = sys.stdin.read()
with open(os.path.join(os.path.dirname(__file__), "seen"), "a") as file:
    file.write(json.dumps({"argv": sys.argv[1:], "env": dict(os.environ), "text": text}) + "\n")
answer = json.load(open(os.path.join(os.path.dirname(__file__), "answer")))
if answer.get("login"):
    print("ERROR:\n" + answer["login"]); sys.exit(1)
print("@agentkube-in")
if answer.get("error"):
    print("DECLARE\n*\nERROR at line 1:\n" + answer["error"]); sys.exit(1)
print(answer.get("out", ""))
print("@agentkube-end")
'''
WORD = "or4cle-s3cret"


@pytest.fixture
def sqlplus(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sqlplus").write_text(SQLPLUS)
    (folder / "sqlplus").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    class Program:
        @staticmethod
        def says(**answer):
            (folder / "answer").write_text(json.dumps(answer))

        @staticmethod
        def seen():
            return [json.loads(line) for line in (folder / "seen").read_text().splitlines()]

    Program.says()
    return Program


@pytest.fixture
def make(tool, sqlplus):
    def one(config=None, **options):
        return tool("oracle", {"hostname": "db.example", "port": 1521, "username": "APP", "serviceName": "PDB1", **(config or {})},
                    credential=WORD, **options)

    return one


def test_the_password_is_in_stdin_only(make, sqlplus):
    sqlplus.says(out='"V"\n"Oracle 19"')
    found = make().probe()
    assert found["authorised"] and found["server"] == "Oracle 19", found
    seen = sqlplus.seen()[0]
    assert WORD not in json.dumps([seen["argv"], seen["env"]])
    assert f'CONNECT "APP"/"{WORD}"@"(DESCRIPTION=(CONNECT_TIMEOUT=10)(ADDRESS=(PROTOCOL=TCP)(HOST=db.example)(PORT=1521))' in seen["text"]
    assert "(SERVICE_NAME=PDB1)" in seen["text"] and seen["argv"] == ["-S", "-L", "-R", "3", "/nolog"]


@pytest.mark.parametrize("words, flags", [
    ("ORA-01017: invalid username/password; logon denied", (True, False, False)),
    ("ORA-12541: TNS:no listener", (False, False, False)),
    ("ORA-01045: user APP lacks CREATE SESSION privilege", (True, True, False)),
])
def test_a_probe_tells_what_is_wrong(make, sqlplus, words, flags):
    sqlplus.says(login=words)
    found = make().probe()
    assert (found["reachable"], found["authenticated"], found["authorised"]) == flags and words in found["message"], found


@pytest.mark.parametrize("statement", ["SELECT 1 FROM DUAL\n/\nHOST id\n", "SELECT 1 FROM DUAL\n.\n!id", "SELECT '\nEXIT\n' FROM DUAL", "#HOST id\nSELECT 1"])
def test_no_line_of_a_statement_is_a_command(make, sqlplus, statement):
    sqlplus.says(out='"A"\n1')
    tool = make()
    with client(tool):
        assert tool.call("query", "--read-only", sql=statement)["result"]["rows"] == [["1"]]
    text = sqlplus.seen()[0]["text"]
    for line in text.splitlines():
        assert not line.upper().startswith(("HOST", "!", "#", ".")), line
    assert text.splitlines().count("/") == 1 and text.splitlines().count("EXIT 0") == 1
    assert "SET TRANSACTION READ ONLY;" in text


def test_results_and_errors(make, sqlplus):
    tool = make()
    with client(tool):
        sqlplus.says(out='\n"ID","NAME"\n1,"a, ""b"""\n2,')
        assert tool.call("query", sql="SELECT 1", params=["x", 5])["result"]["rows"] == [["1", 'a, "b"'], ["2", None]]
        assert "OPEN :rc FOR s USING p1, p2;" in sqlplus.seen()[-1]["text"]
        sqlplus.says(out='"N"\n12')
        assert tool.call("execute", sql="DELETE FROM t")["result"]["rows"] == [[12]]
        sqlplus.says(error="ORA-00942: table or view does not exist")
        failed = tool.call("query", sql="SELECT 1 FROM nope")
    assert failed["serverCode"] == "ORA-00942" and "does not exist" in failed["error"], failed


def test_a_name_cannot_break_out(make, sqlplus):
    for config in ({"hostname": "a)(b"}, {"serviceName": "x))"}, {"username": 'a"b'}):
        assert not make(config=config).probe()["reachable"]


def test_users_get_what_the_grants_say(make, sqlplus):
    tool = make(permissions={"grants": [{"privileges": ["SELECT"], "schema": "FIN", "objects": ["LEDGER"]}, {"privileges": ["INSERT"], "schema": "FIN"}]},
                admin=("SYSTEM", "b0ss-s3cret")).mint()
    assert tool.provision()["done"]
    text = sqlplus.seen()[0]["text"].replace("\n||", "")
    for name in (READER, WRITER):
        assert f"CREATE USER {name} IDENTIFIED BY" in text and f'GRANT SELECT ON "FIN"."LEDGER" TO {name}' in text
    assert text.count("GRANT INSERT") == 1 and f"' || o.OBJECT_NAME || '\" TO {WRITER}'" in text
    assert tool.deprovision()["done"] and f"DROP USER {WRITER} CASCADE" in sqlplus.seen()[1]["text"]
