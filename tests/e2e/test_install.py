# SPDX-License-Identifier: Apache-2.0
"""The ways to install, with real pods, by the commands that the documentation of the product gives, word for word."""
import json
import os
import subprocess

import pytest

from kubetest import bin_folder, wait_for
from kubetest.cluster import ROOT

SYSTEM = "agentkube-system"
TOKEN = "exo_dpl_0123456789abcdef0123456789abcdef"

EXO_INSTALL = "exo-install operator --managed --base-url https://exo.example.com"
HELM = """helm install agentkube ./agentkube/helm/agentkube \\
 --namespace agentkube-system --create-namespace \\
 --set manager.managed=true --set manager.baseURL=https://exo.example.com"""
RAW = "kubectl apply -f agentkube/config/crd-generated/ && kubectl apply -f agentkube/config/"
VERIFY = """kubectl -n agentkube-system rollout status deploy/agentkube-manager
kubectl -n agentkube-system logs deploy/agentkube-manager --tail=50
kubectl get crds | grep agentkube.io"""
# What exo-install says to do when there is no token.
SECRET = """kubectl create namespace agentkube-system
printf %s "$TOKEN" | kubectl -n agentkube-system create secret generic agentkube-auth --from-file=token=/dev/stdin"""


@pytest.fixture
def shell(without_chart, cluster):
    """Runs commands as a user types them: kubectl, helm and exo-install on the PATH, in the root of the tree."""
    path = f"{cluster.tools}:{os.path.abspath(bin_folder())}:{os.environ['PATH']}"

    def run(text, code=0):
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=ROOT, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=600, env={**os.environ, "KUBECONFIG": cluster.kubeconfig, "PATH": path,
                                                                          "HOME": cluster.scratch, "TOKEN": TOKEN})
        assert done.returncode == code, f"{text}\nexit code {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    clear(cluster)
    yield run
    clear(cluster)
    cluster.install_crds()


def clear(cluster):
    cluster.helm("uninstall", "agentkube", "--namespace", SYSTEM, "--ignore-not-found")
    cluster.kubectl("delete", "-f", "agentkube/config/", "--ignore-not-found", "--timeout=120s", timeout=180)
    cluster.kubectl("delete", "namespace", SYSTEM, "--ignore-not-found", "--timeout=120s", timeout=180)
    cluster.kubectl("delete", "crd", "-l", "app.kubernetes.io/part-of=agentkube", "--ignore-not-found", "--timeout=60s")


def ours(cluster):
    listed = cluster.must("get", "crd,ns,clusterrole,clusterrolebinding,validatingwebhookconfiguration", "-o", "name")
    return [line for line in listed.split() if "agentkube" in line]


def assert_works(cluster, shell):
    shown = shell(VERIFY)
    assert "successfully rolled out" in shown and '"msg":"starting"' in shown
    assert [kind for kind in ("agents", "claws", "llmgateways", "mcps", "tools") if f"{kind}.agentkube.io" not in shown] == []
    wrong = {"apiVersion": "agentkube.io/v1alpha1", "kind": "Agent", "metadata": {"name": "wrong", "namespace": "default"},
             "spec": {"runtime": "Custom", "paused": True, "goal": {"inline": "x"}}}

    def refused():
        done = cluster.kubectl("create", "--dry-run=server", "-f", "-", input=json.dumps(wrong))
        assert done.returncode and "spec.image" in done.stderr, done.stdout + done.stderr
        return True

    wait_for(refused, "the webhook to refuse an Agent without an image", 60)


def test_exo_install_as_documented(cluster, shell):
    assert "agentkube-auth" in shell(EXO_INSTALL, code=3) and ours(cluster) == []
    shell(SECRET)
    said = shell(EXO_INSTALL)
    assert "webhook  answers" in said and "is installed, and works" in said
    assert TOKEN not in said
    assert_works(cluster, shell)
    assert TOKEN not in cluster.must("-n", SYSTEM, "logs", "deploy/agentkube-manager")
    status = json.loads(shell("exo-install status -o json"))
    assert status["works"], status
    shell("exo-install upgrade --replicas 2")
    assert_works(cluster, shell)
    shell("exo-install uninstall --purge --yes")
    assert [one for one in ours(cluster) if one != f"namespace/{SYSTEM}"] == []


def test_an_install_of_exo_installs_own_namespace_leaves_nothing(cluster, shell):
    shell("exo-install operator")
    shell("exo-install uninstall --purge --yes")
    assert ours(cluster) == []


def test_helm_as_documented(cluster, shell):
    shell(HELM)
    assert_works(cluster, shell)
    assert "helm upgrade" in shell("exo-install operator", code=3)
    said = shell("exo-install status", code=1)
    assert 'by the Helm release "agentkube"' in said and "the Secret agentkube-auth is missing" in said
    shell(SECRET.splitlines()[1])
    shell("exo-install status")


def test_raw_manifests(cluster, shell):
    shell(RAW)
    assert_works(cluster, shell)
    assert "by hand" in shell("exo-install status")


def test_an_image_that_cannot_be_pulled_is_said_in_words(cluster, shell):
    said = shell("exo-install operator --image localhost:1/nobody:v1 --timeout 40s", code=4)
    assert "the image cannot be pulled" in said and "localhost:1/nobody:v1" in said
    # and the next attempt completes it
    assert "is installed, and works" in shell("exo-install operator")
