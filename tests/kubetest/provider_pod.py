# SPDX-License-Identifier: Apache-2.0
"""The stand-in for model providers (provider.py) as a pod, which Agents' keepers can reach.

    provider = ProviderPod(cluster, namespace, key="the-real-key")
    ... spec.model.baseURL: provider.url          http://stand-in.NAMESPACE.svc, or provider.address without a cluster DNS
    provider.requests()                           what came: see provider.py
"""
import os
import subprocess
import tempfile

from .cluster import ROOT
from .wait import wait_for

NAME = "stand-in"
IMAGE = "docker.io/adaptivelive/agentkube-test-provider:v" + open(os.path.join(ROOT, "VERSION"), encoding="ascii").read().strip()


def load_image(cluster):
    """Puts the image onto the node; a cluster of somebody's own has to have it."""
    if cluster.foreign:
        return
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([ROOT + "/hack/images", "--output", folder, "test-provider"], cwd=ROOT, text=True, check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=900)
        assert done.returncode == 0, done.stdout[-4000:]
        cluster.hack("load-image", os.path.join(folder, "agentkube-test-provider.tar"), timeout=600)


def manifests(key):
    labels = {"app": NAME}
    container = {
        "name": "provider", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
        "args": ["--key", key] if key else [],
        "ports": [{"containerPort": 8080, "name": "http", "protocol": "TCP"}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True,
                            "readOnlyRootFilesystem": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": NAME, "labels": labels},
           "spec": {"containers": [container], "terminationGracePeriodSeconds": 1, "automountServiceAccountToken": False}}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME},
               "spec": {"selector": labels, "ports": [{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}]}}
    return pod, service


class ProviderPod:
    def __init__(self, cluster, namespace, key=""):
        self.cluster, self.namespace = cluster, namespace
        load_image(cluster)
        cluster.apply(*manifests(key), namespace=namespace)
        pod = wait_for(self.ready_pod, "the provider's stand-in to be ready", timeout=180)
        self.url = f"http://{NAME}.{namespace}.svc"
        self.address = f"http://{pod['status']['podIP']}:8080"

    def ready_pod(self):
        pod = self.cluster.pod(self.namespace, NAME)
        ready = any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", []))
        return pod if ready else None

    def ask(self, method, path):
        """A request through the API server, so that nothing needs to route to pods."""
        status, body = self.cluster.api(
            method, f"/api/v1/namespaces/{self.namespace}/pods/{NAME}:8080/proxy{path}")
        assert status == 200, f"{method} {path}: {status} {body}"
        return body

    def requests(self):
        return self.ask("GET", "/requests")

    def forget(self):
        self.ask("DELETE", "/requests")
