# SPDX-License-Identifier: Apache-2.0
"""hack/cluster and hack/images, tried on clusters of their own."""
import concurrent.futures
import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile

import pytest

from kubetest.api import Api
from kubetest.cluster import ROOT, free_index
from kubetest.wait import wait_for

OURS = ("KUBECONFIG", "KUBEBUILDER_ASSETS", "AGENTKUBE_INDEX", "AGENTKUBE_DIR", "AGENTKUBE_AUDIT", "AGENTKUBE_FEATURE_GATES")
NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
as_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root")
RUNTIMES = {"claude-code": "claude", "codex": "codex", "opencode": "opencode", "cline": "cline"}


def run(program, *arguments, prefix=(), timeout=1500, **environment):
    """A CompletedProcess, with nothing of the caller's choice of a cluster in its environment."""
    inherited = {name: value for name, value in os.environ.items() if name not in OURS}
    return subprocess.run([*prefix, f"{ROOT}/hack/{program}", *map(str, arguments)], capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=timeout, cwd="/", env={**inherited, **environment})


def works(done):
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


class Hack:
    """hack/cluster with one index and one state directory."""

    def __init__(self, index, folder):
        self.environment = {"AGENTKUBE_INDEX": str(index)}
        self.folder = folder or f"/var/lib/agentkube{index}"
        if folder:
            self.environment["AGENTKUBE_DIR"] = folder

    def __call__(self, *arguments, **more):
        return run("cluster", *arguments, **self.environment, **more)

    def api(self):
        return Api(f"{self.folder}/admin.kubeconfig")

    def pids(self):
        found = {}
        for path in glob.glob(f"{self.folder}/pid/*"):
            with open(path) as file:
                found[os.path.basename(path)] = int(file.read().split()[0])
        return found


@pytest.fixture(scope="module")
def control_plane(tmp_path_factory):
    index, claim = free_index()
    hack = Hack(index, str(tmp_path_factory.mktemp("cp") / "state"))
    try:
        works(hack("up", "--control-plane-only"))
        yield hack
    finally:
        hack("down")
        claim.close()


def config_map(hack, name):
    path = "/api/v1/namespaces/default/configmaps"
    status, body = hack.api().request("POST", path, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}})
    assert status == 201, body
    return f"{path}/{name}", body["metadata"]["resourceVersion"]


# ---------------------------------------------------------------- command line
@pytest.mark.parametrize("arguments", [
    [], ["fly"], ["up", "--no-such-option"], ["up", "--control-plane-only", "now"], ["down", "now"], ["load-image"], ["restart"],
    ["restart", "coffee"], ["restart", "etcd", "apiserver"]])
def test_wrong_usage_ends_with_2_and_says_why(arguments):
    done = run("cluster", *arguments, AGENTKUBE_INDEX="9")
    assert done.returncode == 2 and done.stderr and not done.stdout


@pytest.mark.parametrize("index", ["10", "-1", "x"])
def test_an_index_that_does_not_exist_is_refused(index):
    assert run("cluster", "status", AGENTKUBE_INDEX=index).returncode == 2


def test_verbs_say_when_no_cluster_runs(tmp_path):
    hack = Hack(9, str(tmp_path / "none"))
    for verb in (["kubeconfig"], ["compact"], ["restart", "etcd"], ["shell", "true"], ["load-image", "x.tar"], ["kubectl", "version"]):
        done = hack(*verb)
        assert done.returncode == 1 and "running" in done.stderr, verb
    assert hack("status").returncode == 1
    assert hack("down").returncode == 0
    assert not os.listdir(tmp_path)


# ---------------------------------------------------------------- up
def test_a_second_up_changes_nothing(control_plane):
    before = control_plane.pids()
    assert works(control_plane("up", "--control-plane-only")) == f"{control_plane.folder}/admin.kubeconfig"
    assert control_plane.pids() == before
    assert works(control_plane("kubeconfig")) == f"{control_plane.folder}/admin.kubeconfig"
    assert "API server: ready" in works(control_plane("status"))
    assert "kube-system" in works(control_plane("kubectl", "get", "namespaces"))


def test_up_starts_again_what_was_killed_and_keeps_the_data(control_plane):
    path, _ = config_map(control_plane, "survivor")
    before = control_plane.pids()
    for name in ("etcd", "kube-apiserver"):
        os.kill(before[name], 9)
    wait_for(lambda: control_plane("status").returncode == 1, "status to see it")
    works(control_plane("up", "--control-plane-only"))
    assert control_plane.api().request("GET", path)[0] == 200
    after = control_plane.pids()
    assert after["etcd"] != before["etcd"] and after["kube-scheduler"] == before["kube-scheduler"]


def test_two_ups_at_once_start_one_cluster(tmp_path):
    index, claim = free_index()
    hack = Hack(index, str(tmp_path / "state"))
    try:
        with concurrent.futures.ThreadPoolExecutor() as pool:
            both = [pool.submit(hack, "up", "--control-plane-only") for _ in range(2)]
            assert len({works(each.result()) for each in both}) == 1
        daemons = subprocess.run(["pgrep", "-fc", "--", f"--data-dir={hack.folder}/"], capture_output=True, text=True).stdout
        assert daemons.strip() == "1"
    finally:
        hack("down")
        claim.close()


def test_the_users_kubeconfig_wins(control_plane, tmp_path):
    config = f"{control_plane.folder}/admin.kubeconfig"
    before = control_plane.pids()
    done = run("cluster", "up", KUBECONFIG=config, HOME=str(tmp_path), XDG_CACHE_HOME=cache_home())
    assert works(done) == config and "starting nothing" in done.stderr
    assert works(run("cluster", "kubeconfig", KUBECONFIG=config)) == config
    assert control_plane.pids() == before


def test_a_kubeconfig_that_does_not_answer_is_an_error(control_plane, tmp_path):
    with open(f"{control_plane.folder}/admin.kubeconfig") as file:
        dead = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:1", file.read())
    (tmp_path / "config").write_text(dead)
    done = run("cluster", "up", KUBECONFIG=str(tmp_path / "config"))
    assert done.returncode == 1 and "does not answer" in done.stderr


def test_assets_without_an_api_server_are_refused_and_nothing_is_left(tmp_path):
    hack = Hack(9, str(tmp_path / "state"))
    done = hack("up", "--control-plane-only", KUBEBUILDER_ASSETS=str(tmp_path))
    assert done.returncode == 1 and "KUBEBUILDER_ASSETS" in done.stderr
    assert not os.listdir(tmp_path)


@as_root
def test_assets_serve_a_user_who_is_not_root(control_plane, tmp_path):
    for name, source in (("etcd", shutil.which("etcd")), ("kube-apiserver", f"{cache_home()}/agentkube/kubernetes-1.20.2/bin/agentkube")):
        shutil.copy(source, tmp_path / name)
    state = tmp_path / "home"
    state.mkdir()
    os.chown(state, 65534, 65534)
    for parent in (tmp_path, *tmp_path.parents):
        if not os.stat(parent).st_mode & 0o001:
            os.chmod(parent, 0o755)
    index, claim = free_index()
    environment = {"prefix": NOBODY, "HOME": str(state), "XDG_CACHE_HOME": str(state), "XDG_STATE_HOME": str(state),
                   "AGENTKUBE_INDEX": str(index), "KUBEBUILDER_ASSETS": str(tmp_path)}
    try:
        config = works(run("cluster", "up", "--control-plane-only", **environment))
        assert Api(config).request("GET", "/readyz")[0] == 200
        assert run("cluster", "status", **environment).returncode == 0
    finally:
        works(run("cluster", "down", **environment))
        claim.close()
    assert not [name for name in os.listdir(state) if name.startswith("agentkube")]


@as_root
@pytest.mark.parametrize("prefix", [NOBODY, ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]],
                         ids=["not root", "no namespaces"])
def test_without_the_rights_for_pods_up_ends_with_3(prefix, tmp_path):
    hack = Hack(9, str(tmp_path / "state"))
    done = hack("up", prefix=prefix, HOME="/nonexistent")
    assert done.returncode == 3 and "--control-plane-only" in done.stderr
    assert not os.listdir(tmp_path)


# ---------------------------------------------------------------- restart, compact
@pytest.mark.parametrize("component", ["apiserver", "etcd", "kube-controller-manager"])
def test_a_restart_is_a_new_process_with_the_old_data(control_plane, component):
    path, _ = config_map(control_plane, f"before-{component}")
    before = control_plane.pids()
    works(control_plane("restart", component))
    assert control_plane.api().request("GET", path)[0] == 200
    changed = {name for name, pid in control_plane.pids().items() if pid != before[name]}
    assert changed == {component.replace("apiserver", "kube-apiserver")}


def test_after_a_compaction_old_versions_are_gone(control_plane):
    _, old = config_map(control_plane, "before-compaction")
    config_map(control_plane, "after")
    exactly = f"/api/v1/namespaces/default/configmaps?resourceVersion={old}&resourceVersionMatch=Exact&limit=1"
    assert control_plane.api().request("GET", exactly)[0] == 200
    assert int(works(control_plane("compact"))) > int(old)
    status, body = control_plane.api().request("GET", exactly)
    assert (status, body["reason"]) == (410, "Expired")
    assert control_plane.api().request("GET", "/api/v1/namespaces/default/configmaps")[0] == 200


# ---------------------------------------------------------------- down
def traces(hack):
    """Everything on the machine by which a cluster can be noticed."""
    index = hack.environment["AGENTKUBE_INDEX"]

    def lines(*command):
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    processes = []
    for folder in glob.glob("/proc/[0-9]*"):
        try:
            if os.readlink(f"{folder}/cwd").startswith(hack.folder) and os.readlink(f"{folder}/exe"):
                processes.append(folder)
        except OSError:
            pass
    with open("/proc/self/mountinfo") as file:
        mounts = [line for line in file if hack.folder in line or f"agentkube{index}" in line]
    return {
        "files": glob.glob(hack.folder + "*"), "processes": processes, "mounts": mounts,
        "cgroups": glob.glob(f"/sys/fs/cgroup/agentkube{index}") + glob.glob(f"/sys/fs/cgroup/*/agentkube{index}"),
        "links": [line for line in lines("ip", "-o", "link") if f"ak{index}host" in line or f"ak{index}node" in line],
        "routes": [line for line in lines("ip", "route") if f"ak{index}host" in line],
    }


def test_down_leaves_nothing_of_a_control_plane(tmp_path):
    index, claim = free_index()
    hack = Hack(index, str(tmp_path / "state"))
    try:
        works(hack("up", "--control-plane-only"))
        assert len(traces(hack)["processes"]) == 4
        works(hack("down"))
        assert not any(traces(hack).values()), traces(hack)
    finally:
        hack("down")
        claim.close()


def test_down_finds_the_daemons_of_a_state_directory_that_somebody_removed(tmp_path):
    index, claim = free_index()
    hack = Hack(index, str(tmp_path / "state"))
    try:
        works(hack("up", "--control-plane-only"))
        # the daemons go on writing meanwhile
        wait_for(lambda: shutil.rmtree(hack.folder, ignore_errors=True) or not os.path.exists(hack.folder), "it to be removed")
        works(hack("down"))
        wait_for(lambda: not any(traces(hack).values()), "everything to be gone")
    finally:
        hack("down")
        claim.close()


@as_root
def test_a_whole_node_runs_our_image_and_leaves_nothing(manager_archive):
    index, claim = free_index()
    hack = Hack(index, None)
    sysctls = subprocess.run(["sysctl", "-a"], capture_output=True, text=True).stdout
    wanted = [line for line in sysctls.splitlines() if re.match(r"vm.overcommit_memory|kernel.panic|net.ipv4.ip_forward ", line)]
    try:
        up = hack("up")
        if up.returncode == 3:
            pytest.skip(up.stderr)
        works(up)
        works(hack("load-image", manager_archive))
        assert "there already" in hack("load-image", manager_archive).stderr
        assert os.path.basename(os.readlink(f"/proc/{hack.pids()['init']}/exe")) == "catatonit"
        api = hack.api()
        status, body = api.request("POST", "/api/v1/namespaces/default/pods", {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe"},
            "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": manager_reference(), "securityContext": {"runAsNonRoot": True}}]}})
        assert status == 201, body
        pod = "/api/v1/namespaces/default/pods/probe"
        wait_for(lambda: api.request("GET", pod)[1]["status"]["phase"] == "Succeeded", "the pod to have run", timeout=60)
        works(hack("shell", "ip", "route"))
        # one more that is still running when everything ends
        status, body = api.request("POST", "/api/v1/namespaces/default/pods", {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sleeper"},
            "spec": {"containers": [{"name": "c", "image": "localhost/pause:1"}], "terminationGracePeriodSeconds": 600}})
        assert status == 201, body
        sleeper = "/api/v1/namespaces/default/pods/sleeper"
        wait_for(lambda: api.request("GET", sleeper)[1]["status"]["phase"] == "Running", "the pod to run", timeout=60)
        works(hack("down"))
        assert not any(traces(hack).values()), traces(hack)
    finally:
        hack("down")
        claim.close()
    after = subprocess.run(["sysctl", "-a"], capture_output=True, text=True).stdout
    assert all(line in after for line in wanted)


# ---------------------------------------------------------------- the cache
def cache_home():
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")


def test_binaries_without_their_mark_are_not_trusted(tmp_path):
    """As an interrupted build could leave them. A failing apt-get stands for the build that then has to happen."""
    binaries = tmp_path / "cache/agentkube/kubernetes-1.20.2/bin"
    binaries.mkdir(parents=True)
    (tmp_path / "programs").mkdir()
    for program in (binaries / "agentkube", tmp_path / "programs/apt-get"):
        program.write_text("#!/bin/sh\nexit 100\n")
        program.chmod(0o755)
    done = Hack(9, str(tmp_path / "state"))("up", "--control-plane-only", timeout=120, XDG_CACHE_HOME=str(tmp_path / "cache"),
                                            PATH=f"{tmp_path}/programs:{os.environ['PATH']}")
    assert done.returncode == 1 and "cannot fetch the kubernetes source" in done.stderr
    assert not os.path.exists(tmp_path / "state")


def test_an_interrupted_fetch_of_the_tools_is_made_good_by_two_at_once(tmp_path):
    broken = tmp_path / "agentkube/tools"
    broken.mkdir(parents=True)
    (broken / "kubectl").write_text("half of it")
    (tmp_path / "agentkube/tools.abcdef").mkdir()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        both = [pool.submit(run, "cluster", "tools", XDG_CACHE_HOME=str(tmp_path)) for _ in range(2)]
        assert {works(each.result()) for each in both} == {str(broken)}
    assert sorted(os.listdir(tmp_path / "agentkube")) == ["tools"]
    assert sorted(os.listdir(broken)) == [".layer", "helm", "kubectl"]
    assert "v4." in subprocess.run([broken / "helm", "version", "--short"], capture_output=True, text=True, check=True).stdout


# ---------------------------------------------------------------- hack/images
def version():
    with open(f"{ROOT}/VERSION") as file:
        return file.read().strip()


def manager_reference():
    return f"docker.io/adaptivelive/agentkube-manager:v{version()}"


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Programs that stand for the manager and the keeper (dynamic, print nothing, end well), the agentlet and the bastion (static)."""
    folder = tmp_path_factory.mktemp("programs")
    for name, options in {"agentkube-manager": ["-g", "-lcrypto", "-Wl,--no-as-needed"], "agentlet": ["-static"], "bastion": ["-static"],
                          "keeper": ["-lssl"]}.items():
        subprocess.run(["gcc", "-x", "c", "-o", folder / name, "-", *options], input=b"int main(void) { return 0; }", check=True)
    (folder / "notes.txt").write_text("not a program")
    return folder


@pytest.fixture(scope="module")
def manager_archive(programs, tmp_path_factory):
    output = tmp_path_factory.mktemp("images")
    (output / "agentkube-manager.tar.part1").write_text("left by an interrupted run")
    path = works(run("images", "--programs", programs, "--output", output, "manager"))
    assert os.listdir(output) == ["agentkube-manager.tar"]
    return path


class Image:
    """An archive as docker load sees it, after the digest of every blob has been checked."""

    def __init__(self, path):
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile() and member.name.startswith("blobs/"):
                    assert hashlib.sha256(tar.extractfile(member).read()).hexdigest() == os.path.basename(member.name)
            [self.manifest] = json.load(tar.extractfile("manifest.json"))
            [self.descriptor] = json.load(tar.extractfile("index.json"))["manifests"]
            self.image = json.load(tar.extractfile(self.manifest["Config"]))
            self.config = self.image["config"]
            oci = json.load(tar.extractfile("blobs/sha256/" + self.descriptor["digest"].removeprefix("sha256:")))
            assert [layer["digest"] for layer in oci["layers"]] == self.image["rootfs"]["diff_ids"]
            assert [f"blobs/sha256/{digest[7:]}" for digest in self.image["rootfs"]["diff_ids"]] == self.manifest["Layers"]
            self.files = {}
            for layer in self.manifest["Layers"]:
                with tarfile.open(fileobj=tar.extractfile(layer)) as files:
                    self.files.update({member.name: member for member in files})


def test_the_manager_image_has_what_the_manager_needs_and_no_shell(manager_archive):
    image = Image(manager_archive)
    assert image.manifest["RepoTags"] == [f"adaptivelive/agentkube-manager:v{version()}"]
    assert image.descriptor["annotations"]["io.containerd.image.name"] == manager_reference()
    assert image.config["User"] == "65532:65532"
    assert image.config["Entrypoint"] == ["/usr/local/bin/agentkube-manager"]
    for name in ("usr/local/bin/agentkube-manager", "usr/local/bin/agentlet", "usr/local/bin/keeper", "etc/ssl/certs/ca-certificates.crt",
                 "usr/share/zoneinfo/Europe/Berlin", "etc/passwd"):
        assert name in image.files, name
    assert [name for name in image.files if name.endswith("/libc.so.6")]
    assert not [name for name in image.files if re.search(r"/(bash|sh|dash|notes.txt)$|/zoneinfo/(right|posix)/", name)]
    for member in image.files.values():
        assert (member.uid, member.gid, member.mtime) == (0, 0, 0) and not member.mode & 0o6000, member.name


def test_the_same_programs_give_the_same_bytes(manager_archive, programs, tmp_path):
    again = works(run("images", "--programs", programs, "--output", tmp_path, "manager"))
    assert hashlib.sha256(open(again, "rb").read()).digest() == hashlib.sha256(open(manager_archive, "rb").read()).digest()


def test_missing_programs_are_named(tmp_path):
    done = run("images", "--programs", tmp_path, "--output", tmp_path, "manager")
    assert done.returncode == 1 and "run make first" in done.stderr
    assert run("images", "coffee").returncode == 2


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_image_has_its_command_and_a_user_of_its_own(runtime):
    image = Image(works(run("images", runtime)))
    assert image.manifest["RepoTags"] == [f"adaptivelive/agentkube-runtime-{runtime}:v{version()}"]
    assert (image.config["User"], image.config["WorkingDir"]) == ("65532:65532", "/workspace")
    assert "HOME=/home/agent" in image.config["Env"]
    command = image.files[f"usr/local/bin/{RUNTIMES[runtime]}"]
    assert command.issym()
    target = image.files[command.linkname.strip("/")]
    if target.issym():
        target = image.files[os.path.normpath(os.path.join(os.path.dirname(target.name), target.linkname))]
    assert target.isreg() and target.mode == 0o755 and target.size > 10e6
    for name in ("usr/bin/git", "usr/bin/bash", "usr/bin/ssh", "usr/bin/curl", "usr/bin/ps", "usr/bin/rg"):
        assert image.files[name].isreg() or image.files[name].islnk(), name
    for name in ("home/agent", "workspace"):
        assert image.files[name].uid == 65532
    assert not [member.name for member in image.files.values() if member.mode & 0o6000]


def test_every_runtime_has_a_dockerfile_that_ends_as_the_same_user():
    for runtime in [*RUNTIMES, "aider", "goose", "cursor"]:
        with open(f"{ROOT}/agentkube/images/{runtime}/Dockerfile") as file:
            text = file.read()
        assert "\nUSER 65532:65532\nWORKDIR /workspace\n" in text and "HOME=/home/agent" in text, runtime
