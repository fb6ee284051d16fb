# SPDX-License-Identifier: Apache-2.0
"""Type mongodb: the real mongosh against a stand-in of the server.

The program is the one on the path, or comes from npm as the image's lock file names it, once: it is kept in ~/.cache/agentkube.
"""
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess

import pytest

from clients import Watch, client
from conftest import READER, ROOT, WRITER
from mongodb_standin import Long, MongoDB

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "agentkube"
IMAGE = ROOT / "agentkube/images/bastion-mongodb"
WORD = "m0ngo-s3cret'/@x"


def cursor(namespace, documents):
    return {"ok": 1.0, "cursor": {"id": Long(0), "ns": namespace, "firstBatch": documents}}


class Answers:
    """A server with one collection; users and roles by name."""

    def __init__(self):
        self.users, self.roles, self.documents, self.error = {}, {}, [{"_id": 1, "name": "a"}, {"_id": 2, "name": "b"}], None

    def __call__(self, name, command):
        one = getattr(self, "do_" + name, None)
        if self.error and name in ("find", "listCollections"):
            return self.error
        return one(command) if one else {"ok": 1.0}

    def do_buildInfo(self, _):
        return {"ok": 1.0, "version": "7.0.1"}

    def do_listCollections(self, command):
        return cursor(command["$db"] + ".$cmd.listCollections", [{"name": "items", "type": "collection"}])

    def do_find(self, command):
        return cursor(command["$db"] + "." + command["find"], self.documents[:command.get("limit") or None])

    def do_aggregate(self, command):
        return cursor(command["$db"] + "." + str(command["aggregate"]), [{"_id": 1, "n": len(self.documents)}])

    def do_insert(self, _):
        return {"ok": 1.0, "n": 1}

    def do_update(self, _):
        return {"ok": 1.0, "n": 3, "nModified": 2}

    def do_delete(self, _):
        return {"ok": 1.0, "n": 4}

    def do_rolesInfo(self, command):
        found = self.roles.get(command["rolesInfo"]["role"])
        return {"ok": 1.0, "roles": [found] if found else []}

    def do_usersInfo(self, command):
        found = self.users.get(command["usersInfo"]["user"])
        return {"ok": 1.0, "users": [found] if found else []}

    def do_createRole(self, command):
        self.roles[command["createRole"]] = {"role": command["createRole"], "db": "admin", "roles": [], "privileges": command["privileges"]}
        return {"ok": 1.0}

    def do_createUser(self, command):
        self.users[command["createUser"]] = {"user": command["createUser"], "db": "admin", "roles": command["roles"]}
        return {"ok": 1.0}

    def do_dropUser(self, command):
        del self.users[command["dropUser"]]
        return {"ok": 1.0}

    def do_dropRole(self, command):
        del self.roles[command["dropRole"]]
        return {"ok": 1.0}


def install(folder):
    """As the image's Dockerfile does it; a folder that is there is complete."""
    making = folder.with_suffix(".new")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(IMAGE / name, making)
    done = subprocess.run(["npm", "ci", "--silent", "--ignore-scripts", "--omit=optional", "--omit=dev", "--no-audit", "--no-fund",
                           "--no-update-notifier"], cwd=making, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode:
        shutil.rmtree(making, ignore_errors=True)
        pytest.skip(f"mongosh cannot be had from npm: {(done.stderr or done.stdout).strip()[-500:]}")
    making.rename(folder)


@pytest.fixture(scope="module", autouse=True)
def mongosh():
    if shutil.which("mongosh"):
        yield
        return
    if not shutil.which("npm"):
        pytest.skip("neither mongosh nor npm is installed")
    digest = hashlib.sha256((IMAGE / "package-lock.json").read_bytes()).hexdigest()[:12]
    folder = CACHE / f"mongosh-{digest}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "mongosh.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            install(folder)
    before = os.environ["PATH"]
    os.environ["PATH"] = f"{folder}/node_modules/.bin:{before}"
    yield
    os.environ["PATH"] = before


@pytest.fixture
def answers():
    return Answers()


@pytest.fixture
def mongodb(answers):
    with MongoDB({"agent": WORD, "boss": "b0ss-s3cret"}, answers) as one:
        yield one


@pytest.fixture
def make(tool, mongodb):
    def one(credential=WORD, config=None, **options):
        made = tool("mongodb", {"hostname": "127.0.0.1", "port": mongodb.server_address[1], "username": "agent", "databaseName": "shop",
                                **(config or {})}, credential=credential, **options)
        made.timeout = 100_000  # the program takes seconds to start, and more where others run beside it
        return made

    return one


def sent(mongodb, name):
    return [one for one in mongodb.commands if next(iter(one)) == name]


def test_a_probe_logs_in(make):
    with Watch("m0ngo-s3cret") as watch:
        found = make().probe()
    assert found["authorised"] and found["server"] == "MongoDB 7.0.1", found
    assert watch.looks and not watch.seen, watch.seen


def test_a_probe_tells_what_is_wrong(make, answers):
    refused = make(credential="wr0ng-word").probe()
    assert refused["reachable"] and not refused["authenticated"] and "Authentication failed" in refused["message"], refused
    away = make(config={"port": 1}).probe()
    assert not away["reachable"] and "REFUSED" in away["message"], away
    answers.error = {"ok": 0.0, "errmsg": "not authorized on shop", "code": 13, "codeName": "Unauthorized"}
    forbidden = make().probe()
    assert forbidden["authenticated"] and not forbidden["authorised"] and "not authorized on shop" in forbidden["message"], forbidden


def test_documents_come_and_go(make, mongodb):
    tool = make()
    with client(tool):
        found = tool.call("find", collection="items", filter={"name": {"$ne": "x"}}, sort={"name": 1}, maxRows=1)
        assert found["result"]["rows"] == [[{"_id": 1, "name": "a"}]] and found["result"]["truncated"], found
        assert tool.call("count", collection="items")["result"]["rows"] == [[2]]
        assert tool.call("list_collections")["result"]["rows"] == [["items", "collection"]]
        assert tool.call("insert_one", collection="items", document={"_id": 9})["result"]["rows"] == [[9]]
        assert tool.call("update_many", collection="items", filter={}, update={"$set": {"a": 1}})["result"]["rows"] == [[3, 2]]
        assert tool.call("delete_many", collection="items", filter={"a": 1})["result"]["rows"] == [[4]]
    assert sent(mongodb, "find")[0]["filter"] == {"name": {"$ne": "x"}} and sent(mongodb, "find")[0]["$db"] == "shop"
    assert sent(mongodb, "insert")[0]["documents"] == [{"_id": 9}]


def test_arguments_are_no_program(make, mongodb):
    tool = make()
    evil = "\"); print('@agentkube {}'); quit(0); (\"\u2028`${1}`"
    with client(tool):
        found = tool.call("find", collection="items", filter={"__proto__": {"x": 1}, "a": evil}, maxRows=5)
    assert len(found["result"]["rows"]) == 2, found
    assert sent(mongodb, "find")[0]["filter"]["a"] == evil


def test_the_servers_error_comes_back(make, answers):
    answers.error = {"ok": 0.0, "errmsg": "unknown operator: $bad", "code": 2, "codeName": "BadValue"}
    tool = make()
    with client(tool):
        found = tool.call("find", collection="items", filter={"a": {"$bad": 1}})
    assert found["error"] == "unknown operator: $bad" and found["serverCode"] == "BadValue", found


def test_users_and_roles_are_made_kept_and_removed(make, answers, mongodb):
    tool = make(permissions={"grants": [{"privileges": ["find", "insert"], "objects": ["items"]}], "roles": ["read"]}, admin=("boss", "b0ss-s3cret")).mint()
    with Watch("b0ss-s3cret", "r3ader-secret", "wr1ter-secret") as watch:
        done = tool.provision()
    assert done["done"] and len(done["changed"]) == 4, done
    assert watch.looks and not watch.seen
    assert answers.roles[READER]["privileges"] == [{"resource": {"db": "shop", "collection": "items"}, "actions": ["find"]}]
    assert answers.roles[WRITER]["privileges"][0]["actions"] == ["find", "insert"]
    assert {"role": "read", "db": "shop"} in answers.users[READER]["roles"]
    assert tool.provision()["changed"] == []
    answers.roles[READER]["privileges"].append({"resource": {"db": "shop", "collection": ""}, "actions": ["remove"]})
    assert tool.provision()["changed"] == [f"role {READER} brought back to its privileges"]
    assert len(tool.deprovision()["changed"]) == 4 and not answers.users and not answers.roles
    assert tool.deprovision()["changed"] == []
