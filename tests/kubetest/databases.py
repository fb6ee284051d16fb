# SPDX-License-Identifier: Apache-2.0
"""Real servers of Debian for tests: PostgreSQL, MariaDB, Redis, OpenSSH, nginx.

Each runs as a user without rights, from a folder of its own, on an address that is asked for: loopback, or the one that a
cluster's pods reach this machine at. All of them have the same shape:

    with Postgres(users={"app": "s3cret"}, tls=True) as server:
        server.host, server.port, server.admin, server.password    where it is, and who may do everything
        server.ca, server.names                                    the authority of its certificate, and its names
        server.log()                                               what it said so far
        server.kill(); server.start()                              a crash, and the same data again on the same port

What a test needs and Debian's package does not bring is one line in hack/deps. A server that is not installed skips the test.
"""
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile

import pytest

from .wait import wait_for

NOBODY = "nobody"
PASSWORD = "Adm1n-of-the-t3st"


def find(program, *folders):
    """The path of a server's program; servers are not always on the path of somebody who tests."""
    path = os.pathsep.join([*folders, os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    found = shutil.which(program, path=path)
    if not found:
        pytest.skip(f"{program} is not installed: hack/deps engines")
    return found


def free_port(host="127.0.0.1"):
    with socket.socket() as one:
        one.bind((host, 0))
        return one.getsockname()[1]


def listens(host, port):
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex((host, port)) == 0


def run(*command, **options):
    """A command that must work; what it said is in the failure."""
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **options)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout[-4000:]}"
    return done.stdout


class Authority:
    """A certificate authority in a folder. Keys are elliptic: making them costs nothing."""

    def __init__(self, folder, name="test authority"):
        self.folder, self.pem = folder, os.path.join(folder, "ca.pem")
        self.key = os.path.join(folder, "ca.key")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.pem)

    def issue(self, name, *alternatives):
        """(certificate, key) for the names and addresses."""
        base = os.path.join(self.folder, name.replace("*", "any"))
        names = [("IP:" if one.replace(".", "").isdigit() or ":" in one else "DNS:") + one for one in (name, *alternatives)]
        with open(base + ".ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={','.join(names)}\nbasicConstraints=CA:FALSE\n")
        run("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
            "-keyout", base + ".key", "-out", base + ".csr")
        run("openssl", "x509", "-req", "-in", base + ".csr", "-CA", self.pem, "-CAkey", self.key, "-CAcreateserial", "-days", "2",
            "-extfile", base + ".ext", "-out", base + ".pem")
        return base + ".pem", base + ".key"


class Server:
    """What all have in common. A kind says how to prepare its data and how to start; stop() leaves nothing behind."""

    kind = "server"
    admin = "root"
    stop_signal = signal.SIGTERM

    def __init__(self, host="127.0.0.1", port=None, users=None, tls=False, names=("localhost",), password=PASSWORD, settings=None):
        self.host, self.port = host, port or free_port(host)
        self.users, self.settings, self.password = users or {}, settings or {}, password
        self.process, self.started = None, 0
        self.folder = tempfile.mkdtemp(prefix="akd-")
        os.chmod(self.folder, 0o755)
        self.names = tuple(dict.fromkeys((*names, host)))
        self.ca = self.certificate = self.key = None
        try:
            if tls:
                authority = Authority(self.path("tls", make=True))
                self.ca = authority.pem
                self.certificate, self.key = authority.issue(*self.names)
            self.prepare()
            self.own()
            self.start()
            self.set_up()
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # ---- what a kind says
    def prepare(self):
        """Files that the server reads."""

    def command(self):
        raise NotImplementedError

    def is_up(self):
        return listens(self.host, self.port)

    def set_up(self):
        """What needs a running server: users, mostly."""

    # ---- life
    def path(self, *parts, make=False):
        path = os.path.join(self.folder, *parts)
        if make:
            os.makedirs(path, exist_ok=True)
        return path

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def identity(self):
        """Who the server runs as: itself, unless we are root."""
        if os.getuid():
            return {}
        nobody = pwd.getpwnam(NOBODY)
        return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}

    def own(self):
        who = self.identity()
        if not who:
            return
        for folder, folders, files in os.walk(self.folder):
            for name in [folder, *(os.path.join(folder, one) for one in folders + files)]:
                os.chown(name, who["user"], who["group"], follow_symlinks=False)
        if self.key:
            os.chmod(self.key, 0o600)  # PostgreSQL insists

    def environment(self):
        return {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LANG": "C.UTF-8", "HOME": self.folder, "TMPDIR": self.folder}

    def start(self):
        self.started += 1
        with open(self.path("server.log"), "ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                                            cwd=self.folder, env=self.environment(), start_new_session=True, **self.identity())
        wait_for(self.up_or_dead, f"{self.kind} on {self.host}:{self.port}: {self.log()}", 60)
        assert self.process.poll() is None, f"{self.kind} ended with {self.process.returncode}: {self.log()}"
        return self

    def up_or_dead(self):
        return self.process.poll() is not None or self.is_up()

    def log(self):
        with open(self.path("server.log"), encoding="utf-8", errors="replace") as file:
            return file.read()[-8000:]

    def whole_log(self):
        with open(self.path("server.log"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def end(self, number):
        """The server gets a signal; whatever it leaves in its session afterwards is killed."""
        if not self.process:
            return
        process, self.process = self.process, None
        if process.poll() is None:
            process.send_signal(number)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        for one in members(process.pid):
            try:
                os.kill(one, signal.SIGKILL)
            except ProcessLookupError:
                pass
        process.wait(20)

    def kill(self):
        """A crash; the data stay, start() begins again with them."""
        self.end(signal.SIGKILL)

    def stop(self):
        self.end(self.stop_signal)
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, *command, **options):
        """A client's command as the user that the server has."""
        return run(*command, cwd=self.folder, env={**self.environment(), **options.pop("env", {})}, **self.identity(), **options)


def members(session):
    """The processes of a session: those that a server forked and forgot."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(name))
    return found


class Postgres(Server):
    """auth: the method of pg_hba.conf for users (not for admin, which has a password by SCRAM). hba: lines before all others."""

    kind, admin, stop_signal = "PostgreSQL", "postgres", signal.SIGINT

    def __init__(self, *args, auth="scram-sha-256", hba=(), database="app", **options):
        self.auth, self.hba, self.database = auth, hba, database
        super().__init__(*args, **options)

    def binaries(self):
        versions = sorted(os.listdir("/usr/lib/postgresql"), key=float) if os.path.isdir("/usr/lib/postgresql") else []
        return [f"/usr/lib/postgresql/{version}/bin" for version in reversed(versions)]

    def prepare(self):
        self.program = find("postgres", *self.binaries())
        secret = self.write("password", self.password + "\n")
        self.own()
        self.run(find("initdb", *self.binaries()), "--pgdata", self.path("data"), "--username", self.admin, "--pwfile", secret, "--auth",
                 "scram-sha-256", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8")
        os.unlink(secret)
        kind = "hostssl" if self.ca and self.settings.pop("tls_only", False) else "host"
        self.write("data/pg_hba.conf", "\n".join([
            *self.hba, "local all all scram-sha-256", f"host all {self.admin} all scram-sha-256", f"{kind} all all all {self.auth}", ""]))
        values = {"listen_addresses": self.host, "port": self.port, "unix_socket_directories": self.folder, "fsync": "off",
                  "logging_collector": "off", "shared_buffers": "32MB", "max_connections": 60, "log_connections": "on",
                  "password_encryption": "md5" if self.auth == "md5" else "scram-sha-256"}
        if self.ca:
            values |= {"ssl": "on", "ssl_cert_file": self.certificate, "ssl_key_file": self.key}
        values |= self.settings
        with open(self.path("data/postgresql.conf"), "a", encoding="utf-8") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in values.items())

    def command(self):
        return [self.program, "-D", self.path("data")]

    def is_up(self):
        return "ready to accept connections" in self.whole_log().split("starting PostgreSQL")[-1] and super().is_up()

    def sql(self, text, database="postgres", user=None, password=None):
        """Runs SQL as the administrator, or as somebody, over TCP; gives rows as psql -At prints them."""
        return self.run(find("psql"), "-X", "-At", "-v", "ON_ERROR_STOP=1", "-h", self.host, "-p", str(self.port),
                        "-U", user or self.admin, "-d", database, env={"PGPASSWORD": self.password if password is None else password},
                        input=text).strip()

    def set_up(self):
        for name, password in self.users.items():
            self.sql(f"CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'")
        if self.database:
            self.sql(f'CREATE DATABASE "{self.database}"')


class MariaDB(Server):
    """plugin: how users prove themselves (mysql_native_password, ed25519 …)."""

    kind, admin = "MariaDB", "root"

    def __init__(self, *args, plugin="mysql_native_password", database="app", **options):
        self.plugin, self.database = plugin, database
        super().__init__(*args, **options)

    def prepare(self):
        self.program = find("mariadbd")
        self.own()
        self.run(find("mariadb-install-db"), "--no-defaults", f"--datadir={self.path('data')}", "--skip-test-db",
                 "--auth-root-authentication-method=normal")
        self.write("init.sql", "\n".join([
            f"SET PASSWORD FOR '{self.admin}'@'localhost' = PASSWORD('{self.password}');",
            f"DROP USER IF EXISTS '{self.admin}'@'127.0.0.1', '{self.admin}'@'::1', '{self.admin}'@'{socket.gethostname().lower()}';",
            f"CREATE OR REPLACE USER '{self.admin}'@'%' IDENTIFIED BY '{self.password}';",
            f"GRANT ALL ON *.* TO '{self.admin}'@'%' WITH GRANT OPTION;",
            *(f"CREATE USER IF NOT EXISTS '{name}'@'%' IDENTIFIED VIA {self.plugin} USING PASSWORD('{password}');"
              for name, password in self.users.items()),
            *([f"CREATE DATABASE IF NOT EXISTS `{self.database}`;"] if self.database else []), ""]))

    def command(self):
        values = {"datadir": self.path("data"), "socket": self.path("s.sock"), "port": self.port, "bind-address": self.host,
                  "pid-file": self.path("pid"), "innodb-flush-log-at-trx-commit": 0, "innodb-buffer-pool-size": "32M",
                  "max-connections": 60, "init-file": self.path("init.sql"), "skip-name-resolve": 1, "plugin-maturity": "unknown"}
        if self.ca:
            values |= {"ssl-cert": self.certificate, "ssl-key": self.key, "ssl-ca": self.ca}
        values |= self.settings
        if self.plugin == "ed25519":
            values["plugin-load-add"] = "auth_ed25519"
        return [self.program, "--no-defaults", *(f"--{name}={value}" for name, value in values.items())]

    def is_up(self):
        return "ready for connections" in self.whole_log().split("starting as process")[-1] and super().is_up()

    def sql(self, text, database="mysql", user=None, password=None):
        """Runs SQL as the administrator, or as somebody, over TCP; gives rows separated by tabs."""
        return self.run(find("mariadb"), "--no-defaults", "--batch", "--skip-column-names", "-h", self.host, "-P", str(self.port),
                        "--protocol=tcp", "-u", user or self.admin, database,
                        env={"MYSQL_PWD": self.password if password is None else password}, input=text).strip()


class Redis(Server):
    """users: passwords by name, each with all rights; acl: further lines of an ACL file. default_off: no login without a name."""

    kind, admin = "Redis", "default"

    def __init__(self, *args, acl=(), **options):
        self.acl = acl
        super().__init__(*args, **options)

    def prepare(self):
        self.program = find("redis-server")
        self.write("users.acl", "\n".join([
            f"user {self.admin} on >{self.password} ~* &* +@all",
            *(f"user {name} on >{password} ~* &* +@all" for name, password in self.users.items()), *self.acl, ""]), 0o600)
        lines = {"bind": self.host, "dir": self.folder, "save": '""', "appendonly": "no", "aclfile": self.path("users.acl"),
                 "daemonize": "no", "protected-mode": "no"}
        if self.ca:
            lines |= {"port": 0, "tls-port": self.port, "tls-cert-file": self.certificate, "tls-key-file": self.key,
                      "tls-ca-cert-file": self.ca, "tls-auth-clients": "no"}
        else:
            lines["port"] = self.port
        lines |= self.settings
        self.write("redis.conf", "".join(f"{name} {value}\n" for name, value in lines.items()), 0o600)

    def command(self):
        return [self.program, self.path("redis.conf")]

    def cli(self, *arguments, user=None, password=None):
        """redis-cli as the administrator, or as somebody."""
        tls = ["--tls", "--cacert", self.ca] if self.ca else []
        return self.run(find("redis-cli"), "-h", self.host, "-p", str(self.port), *tls, "--user", user or self.admin, "--no-auth-warning",
                        *arguments, env={"REDISCLI_AUTH": self.password if password is None else password}).strip()


class Ssh(Server):
    """OpenSSH with one user, `agent`, who has a key (self.private_key) and a password.

    sshd looks users up where the system does, so it gets a view of /etc of its own; that needs root.
    config: further lines of sshd_config. host_key: what belongs into known_hosts, without the host.
    """

    kind, admin = "OpenSSH", "agent"
    stop_signal = signal.SIGKILL  # unshare does not heed SIGTERM; with it everything in its namespace ends

    def __init__(self, *args, config=(), **options):
        self.config = config
        if os.getuid():
            pytest.skip("sshd with users of its own needs root")
        super().__init__(*args, **options)

    def identity(self):
        return {}  # the login needs another user's rights; everything is in namespaces of its own

    def prepare(self):
        self.program = find("sshd")
        hashed = run("openssl", "passwd", "-6", "-stdin", input=self.password).strip()
        home = self.path("home", make=True)
        os.makedirs(home + "/.ssh", mode=0o700)
        self.write("etc/passwd", "root:x:0:0:root:/root:/bin/bash\nsshd:x:65533:65533::/run/sshd:/usr/sbin/nologin\n"
                   f"{self.admin}:x:12345:12345::{home}:/bin/bash\n")
        self.write("etc/group", f"root:x:0:\nsshd:x:65533:\n{self.admin}:x:12345:\n")
        self.write("etc/shadow", f"root:*:19000::::::\nsshd:*:19000::::::\n{self.admin}:{hashed}:19000::::::\n", 0o600)
        self.private_key = self.new_key("id")
        self.authorize(self.private_key + ".pub")
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", self.path("host"))
        with open(self.path("host.pub"), encoding="ascii") as file:
            self.host_key = file.read().strip()
        self.write("sshd_config", "\n".join([
            f"ListenAddress {self.host}", f"Port {self.port}", f"HostKey {self.path('host')}", "UsePAM no", "PidFile none",
            "StrictModes no", "LogLevel VERBOSE", "PrintMotd no", f"AuthorizedKeysFile {home}/.ssh/authorized_keys",
            "AllowTcpForwarding yes", "PermitTunnel yes", "Subsystem sftp internal-sftp", *self.config, ""]))

    def new_key(self, name, passphrase=""):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", self.path(name))
        return self.path(name)

    def authorize(self, public, options=""):
        """Replaces who may log in: the file of a public key, with options such as command="…"."""
        with open(public, encoding="ascii") as file:
            self.write("home/.ssh/authorized_keys", f"{options} {file.read()}".lstrip())

    def own(self):
        for folder, folders, files in os.walk(self.path("home")):
            for name in [folder, *(os.path.join(folder, one) for one in folders + files)]:
                os.chown(name, 12345, 12345)

    def command(self):
        views = " && ".join(f"mount --bind {self.path('etc', name)} /etc/{name}" for name in ("passwd", "group", "shadow"))
        inside = f"{views} && mount -t tmpfs tmpfs /run && mkdir -m 755 /run/sshd && exec {self.program} -D -e -f {self.path('sshd_config')}"
        return [find("unshare"), "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "/bin/sh", "-c", inside]


class Nginx(Server):
    """server: the body of the server block, such as `location / { return 200 "ok"; }`."""

    kind, stop_signal = "nginx", signal.SIGQUIT

    def __init__(self, *args, server="location / { return 200 ok; }", **options):
        self.server = server
        super().__init__(*args, **options)

    def prepare(self):
        self.program = find("nginx")
        tls = f"ssl_certificate {self.certificate};\nssl_certificate_key {self.key};" if self.ca else ""
        folders = "".join(f"{kind}_temp_path {self.path('tmp', kind)};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        self.path("tmp", make=True)
        self.path("www", make=True)
        self.write("server.log", "")
        self.write("access.log", "")
        self.write("nginx.conf", f"""
daemon off; pid {self.path('pid')}; error_log {self.path('server.log')} info; worker_processes 1;
events {{ worker_connections 256; }}
http {{
default_type text/plain; client_max_body_size 2g; {folders}
log_format full '$request_method $request_uri $status $http_authorization';
access_log {self.path('access.log')} full;
server {{ listen {self.host}:{self.port}{' ssl' if self.ca else ''}; root {self.path('www')}; {tls}
{self.server}
}} }}
""")

    def command(self):
        return [self.program, "-p", self.folder, "-c", self.path("nginx.conf"), "-e", self.path("server.log")]

    def requests(self):
        """What it was asked, a line each: method, path, status, Authorization."""
        with open(self.path("access.log"), encoding="utf-8", errors="replace") as file:
            return file.read().splitlines()
