# SPDX-License-Identifier: Apache-2.0
"""The logins of MySQL 8 that MariaDB does not have, against a stand-in that checks each byte of them."""
import subprocess

import pymysql
import pytest

from kubetest.databases import Authority
from mysql_standin import Standin

PASSWORD = "s3cret of the app, which is longer than one nonce"
SOCKET = "mysql.sock"


@pytest.fixture(name="authority", scope="module")
def an_authority(tmp_path_factory):
    return Authority(str(tmp_path_factory.mktemp("tls")))


@pytest.fixture(name="key", scope="module")
def a_key(tmp_path_factory):
    path = tmp_path_factory.mktemp("rsa") / "key.pem"
    subprocess.run(["openssl", "genrsa", "-out", path, "2048"], check=True, capture_output=True)
    return str(path)


@pytest.fixture(name="mysql")
def the_tool(tool):
    def make(server, credential=PASSWORD, ca=None, **config):
        return tool("mysql", {"hostname": "127.0.0.1", "port": server.port, "username": "app", **config}, credential=credential, ca=ca)

    return make


@pytest.mark.parametrize("announces", ["caching_sha2_password", "mysql_native_password", "made_up_plugin"])
@pytest.mark.parametrize("secure", [False, True], ids=["key", "tls"])
def test_a_password_is_proved_in_full_once_and_then_by_its_hash(mysql, authority, key, announces, secure):
    certificate = authority.issue("localhost", "127.0.0.1") if secure else None
    with Standin(PASSWORD, announces=announces, certificate=certificate, key=key) as server:
        one = mysql(server, ca=authority.pem, sslMode="verify-full" if secure else "disable")
        found = one.probe()
        assert found["authorised"] and found["server"] == "MySQL 8.0.36", found
        assert one.call("query", sql="SELECT 1")["result"]["rows"] == [[1]]
        assert server.ways[0] == ("tls" if secure else "rsa") and set(server.ways[1:]) == {"fast"}, server.ways
        assert "START TRANSACTION READ ONLY" in server.statements
        if not secure:
            assert not any(PASSWORD.encode() in one for one in server.received)


@pytest.mark.parametrize("secure", [False, True], ids=["key", "tls"])
@pytest.mark.parametrize("remembers", [False, True])
def test_a_wrong_password_is_refused_in_the_servers_words(mysql, authority, key, secure, remembers):
    certificate = authority.issue("localhost", "127.0.0.1") if secure else None
    with Standin(PASSWORD, certificate=certificate, key=key) as server:
        server.remembers = remembers
        found = mysql(server, credential="wrong", ca=authority.pem, sslMode="require" if secure else "disable").probe()
        assert found["reachable"] and not found["authenticated"] and "1045" in found["message"], found
        assert server.ways == ["tls" if secure else "rsa"]


@pytest.mark.parametrize("secure", [False, True], ids=["key", "tls"])
def test_sha256_password(mysql, authority, key, secure):
    certificate = authority.issue("localhost", "127.0.0.1") if secure else None
    with Standin(PASSWORD, "sha256_password", "caching_sha2_password", certificate, key) as server:
        assert mysql(server, ca=authority.pem, sslMode="verify-ca" if secure else "disable").probe()["authorised"]
        assert server.ways == ["tls" if secure else "rsa"]


def test_an_empty_password_is_said_to_be_one(mysql):
    with Standin("") as server:
        assert mysql(server, credential="", sslMode="disable").probe()["authorised"]
        assert server.ways == ["empty"]


def test_a_key_that_is_none_gets_no_password(mysql):
    with Standin(PASSWORD) as server:
        found = mysql(server, sslMode="disable").probe()
        assert not found["authenticated"] and "RSA key" in found["message"], found
        assert not any(PASSWORD.encode() in one for one in server.received)


def test_a_password_in_clear_goes_out_under_tls_only(mysql, authority):
    with Standin(PASSWORD, "mysql_clear_password", "mysql_native_password") as server:
        found = mysql(server, sslMode="disable").probe()
        assert not found["authenticated"] and "without TLS" in found["message"], found
        assert not server.ways and not any(PASSWORD.encode() in one for one in server.received)
    with Standin(PASSWORD, "mysql_clear_password", "mysql_native_password", authority.issue("localhost", "127.0.0.1")) as server:
        assert mysql(server, ca=authority.pem, sslMode="verify-full").probe()["authorised"]
        assert server.ways == ["tls"]


def test_clients_of_a_session_come_through_such_a_login(mysql, key):
    with Standin(PASSWORD, key=key) as server:
        with mysql(server, sslMode="disable").serve(name=SOCKET) as session:
            for way in ("rsa", "fast"):
                one = pymysql.connect(unix_socket=str(session.folder / SOCKET), user="whoever", password="made up")
                with one.cursor() as cursor:
                    cursor.execute("SELECT 1")
                    assert cursor.fetchall() == ((1,),)
                one.close()
                assert server.ways[-1] == way
