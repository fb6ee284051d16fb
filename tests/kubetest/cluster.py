# SPDX-License-Identifier: Apache-2.0
"""A cluster of hack/cluster, or the one that KUBECONFIG names."""
import json
import os
import socket
import subprocess

from .api import Api
from .wait import wait_for

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CRDS = os.path.join(ROOT, "agentkube/config/crd-generated")
NO_RIGHTS = 3  # hack/cluster: this machine does not give the rights to run pods
UP_SECONDS = 1500  # compiling the server binaries, on a machine that never did
AGENTS = "/apis/agentkube.io/v1alpha1"


class NoRights(Exception):
    """Pods cannot run on this machine."""


class Cluster:
    """`foreign`: the user's own cluster, whose API server the tests must not restart."""

    def __init__(self, kubeconfig, environment, scratch, foreign, up_options=()):
        self.kubeconfig = kubeconfig
        self.up_options = up_options  # of the "hack/cluster up" that made it
        self.environment = environment  # of hack/cluster: AGENTKUBE_INDEX, AGENTKUBE_DIR
        self.scratch = scratch
        self.foreign = foreign
        self.tools = subprocess.run([ROOT + "/hack/cluster", "tools"], capture_output=True, text=True, check=True,
                                    env=environment, stdin=subprocess.DEVNULL, timeout=300).stdout.strip().splitlines()[-1]
        self._api = Api(kubeconfig)

    # ---- kubectl, helm, hack/cluster
    def tool(self, *command, input=None, timeout=120):
        home = os.path.join(self.scratch, "home")
        environment = {**os.environ, "KUBECONFIG": self.kubeconfig, "KUBECACHEDIR": home + "/kube", "HOME": home,
                       "HELM_CACHE_HOME": home, "HELM_CONFIG_HOME": home, "HELM_DATA_HOME": home}
        stdin = {"stdin": subprocess.DEVNULL} if input is None else {"input": input}
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=timeout,
                              env=environment, **stdin)

    def kubectl(self, *arguments, input=None, timeout=120):
        """A CompletedProcess, whatever the exit code; see `must` for what is expected to work."""
        return self.tool(self.tools + "/kubectl", *arguments, input=input, timeout=timeout)

    def helm(self, *arguments, input=None, timeout=300):
        return self.tool(self.tools + "/helm", *arguments, input=input, timeout=timeout)

    def must(self, *arguments, input=None, timeout=120):
        """kubectl that has to work; returns its stdout."""
        done = self.kubectl(*arguments, input=input, timeout=timeout)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr.strip()}"
        return done.stdout

    def hack(self, *arguments, timeout=300):
        """hack/cluster VERB for this cluster: restart, compact, load-image, …"""
        done = subprocess.run([ROOT + "/hack/cluster", *arguments], capture_output=True, text=True, check=False,
                              cwd=ROOT, env=self.environment, stdin=subprocess.DEVNULL, timeout=timeout)
        assert done.returncode == 0, f"hack/cluster {' '.join(arguments)}: {done.stderr.strip()[-4000:]}"
        return done.stdout

    # ---- requests without kubectl
    def api(self, method, path, body=None, patch=None):
        """(status, decoded body); patch: merge, json, strategic or apply."""
        return self._api.request(method, path, body, patch)

    def get(self, path):
        """The object at a path, None if there is none."""
        status, body = self.api("GET", path)
        if status == 404:
            return None
        assert status == 200, f"GET {path}: {status} {body}"
        return body

    def items(self, path):
        return self.get(path)["items"]

    def agent(self, namespace, name):
        return self.get(f"{AGENTS}/namespaces/{namespace}/agents/{name}")

    def pod(self, namespace, name):
        return self.get(f"/api/v1/namespaces/{namespace}/pods/{name}")

    def apply(self, *objects, namespace=None):
        """Server-side apply as kubectl does it; objects are dicts, or one text of YAML."""
        text = objects[0] if isinstance(objects[0], str) else json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
        where = ["-n", namespace] if namespace else []
        return self.must("apply", "--server-side", "--force-conflicts", *where, "-f", "-", input=text)

    def delete_namespace(self, name):
        """With what would stay in it: without a manager nobody removes finalizers, without a kubelet nobody confirms that a pod has ended."""
        self.api("DELETE", f"/api/v1/namespaces/{name}")
        for kind in ("agents", "tools"):
            path = f"/apis/agentkube.io/v1alpha1/namespaces/{name}/{kind}"
            for thing in (self.get(path) or {"items": []})["items"]:
                one = f"{path}/{thing['metadata']['name']}"
                if thing["metadata"].get("finalizers"):
                    self.api("PATCH", one, {"metadata": {"finalizers": None}}, patch="merge")
                self.api("DELETE", one)  # at once: the next test's manager, if it sees all namespaces, would take it up again
        if self.items("/api/v1/nodes"):
            return
        for pod in self.items(f"/api/v1/namespaces/{name}/pods"):
            self.api("DELETE", f"/api/v1/namespaces/{name}/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")

    def install_crds(self):
        if not os.path.isdir(CRDS):
            return
        self.must("apply", "--server-side", "--force-conflicts", "-f", CRDS)
        self.must("wait", "--for=condition=Established", "--timeout=60s", "-f", CRDS)

    def revive(self):
        """An API server that a test took down and that did not come back fails that test, not all that follow."""
        try:
            answers = self.foreign or self.api("GET", "/readyz")[0] == 200
        except OSError:
            answers = False
        if not answers:
            self.hack("up", *self.up_options)
            self.ready()

    def ready(self):
        wait_for(lambda: self.api("GET", "/readyz")[0] == 200, "the API server to be ready", timeout=60)
        wait_for(lambda: self.get("/api/v1/namespaces/default/serviceaccounts/default"),
                 "the controller manager to make service accounts", timeout=60)


def free_index():
    """An index that nothing on this machine uses, and a socket that says so to other test runs while it is open."""
    for index in (1, 2, 3, 9, 4, 5, 6, 7, 8):
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            claim.bind(f"\0agentkube-test-index-{index}")  # abstract: it goes away with the process
        except OSError:
            claim.close()
            continue
        if not os.path.exists(f"/var/lib/agentkube{index}") and not os.path.exists(f"/sys/class/net/ak{index}host"):
            return index, claim
        claim.close()
    raise AssertionError("every index of hack/cluster is in use on this machine ('hack/cluster down' ends one)")


def start_cluster(scratch, control_plane_only):
    """Returns the cluster and a function that takes it down. Raises NoRights if pods cannot run here."""
    if os.environ.get("KUBECONFIG"):
        cluster = Cluster(os.environ["KUBECONFIG"], dict(os.environ), scratch, foreign=True)
        return cluster, lambda: None
    index, claim = free_index()
    settings = {"AGENTKUBE_INDEX": str(index)}
    if control_plane_only:
        settings["AGENTKUBE_DIR"] = os.path.join(scratch, f"cp{index}")
    note = os.path.join(scratch, f"{index}.cluster.json")
    with open(note, "w", encoding="utf-8") as file:
        json.dump(settings, file)  # hack/test reads it if this process is killed
    environment = {**os.environ, **settings}

    def down():
        subprocess.run([ROOT + "/hack/cluster", "down"], env=environment, stdin=subprocess.DEVNULL, timeout=180, check=False)
        os.unlink(note)
        claim.close()

    options = ["--control-plane-only"] if control_plane_only else []
    done = subprocess.run([ROOT + "/hack/cluster", "up", *options], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, timeout=UP_SECONDS, check=False)
    if done.returncode:
        down()
        if done.returncode == NO_RIGHTS:
            raise NoRights(done.stdout.strip())
        raise AssertionError(f"hack/cluster up: exit code {done.returncode}\n{done.stdout[-4000:]}")
    return Cluster(done.stdout.strip().splitlines()[-1], environment, scratch, foreign=False, up_options=options), down
