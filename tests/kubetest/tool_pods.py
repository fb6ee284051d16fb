# SPDX-License-Identifier: Apache-2.0
"""Pods of Tools without a kubelet: the tests say what one would say, and what our program printed there."""
import json

from .agents import condition
from .tools import Tools
from .wait import wait_for

NOW = "2026-01-01T00:00:00Z"
REACHED = {"reachable": True, "authenticated": True, "authorised": True, "server": "PostgreSQL 15.5", "message": ""}


class ToolPods(Tools):
    """The Tools of a namespace, and the words of a kubelet for their pods."""

    def __init__(self, kube, namespace):
        super().__init__(kube, namespace)
        self.pods_path = f"/api/v1/namespaces/{namespace}/pods"

    # ---- objects
    def status(self, name):
        return (self.get(name) or {}).get("status") or {}

    def annotate(self, name, **annotations):
        path = f"/apis/agentkube.io/v1alpha1/namespaces/{self.namespace}/tools/{name}"
        notes = {"agentkube.io/" + key.replace("_", "-"): value for key, value in annotations.items()}
        status, body = self.kube.api("PATCH", path, {"metadata": {"annotations": notes}}, "merge")
        assert status == 200, body

    def pods(self, tool=None, role=None):
        found = self.kube.items(self.pods_path)
        notes = [(p, p["metadata"].get("annotations", {})) for p in found]
        return [p for p, n in notes if tool in (None, n.get("agentkube.io/pod-tool")) and role in (None, n.get("agentkube.io/pod-role"))]

    def wait_pod(self, name, other_than=None, timeout=60):
        def there():
            pod = self.kube.pod(self.namespace, name)
            return pod if pod and pod["metadata"]["uid"] != other_than and not pod["metadata"].get("deletionTimestamp") else None
        return wait_for(there, f"pod {name} ({self.kube.items('/apis/agentkube.io/v1alpha1/namespaces/' + self.namespace + '/tools')})", timeout)

    def wait_no_pod(self, name, timeout=60):
        wait_for(lambda: self.kube.pod(self.namespace, name) is None, f"pod {name} to be gone", timeout)

    def wait_role(self, tool, role, timeout=60):
        """The one pod of that role which has not ended."""
        def there():
            live = [p for p in self.pods(tool, role) if p["status"].get("phase") in (None, "Pending", "Running") and not p["metadata"].get("deletionTimestamp")]
            return live[0] if live else None
        return wait_for(there, f"a pod of {tool} for {role}: {self.status(tool)}", timeout)

    def wait_condition(self, name, kind, status, reason=None, timeout=60):
        def reached():
            tool = self.get(name)
            got = condition(tool, kind)
            assert got.get("status") == status and reason in (None, got.get("reason")), (got, tool.get("status"))
            assert got["observedGeneration"] == tool["metadata"]["generation"]
            return got
        return wait_for(reached, f"condition {kind}={status} {reason or ''} of Tool {name}", timeout)

    def events(self, name):
        return [e for e in self.kube.items(f"/api/v1/namespaces/{self.namespace}/events") if e["involvedObject"]["name"] == name]

    # ---- what a kubelet says
    def say(self, name, **status):
        code, body = self.kube.api("PATCH", f"{self.pods_path}/{name}/status", {"status": status}, "merge")
        assert code == 200, body

    def prints(self, pod, result, code=0):
        """The pod has ended, and its program has printed that."""
        name, text = pod["metadata"]["name"], result if isinstance(result, str) else json.dumps(result)
        ended = {"exitCode": code, "reason": "Error" if code else "Completed", "message": text, "startedAt": NOW, "finishedAt": NOW}
        self.say(name, phase="Failed" if code else "Succeeded", startTime=NOW, containerStatuses=[
            {"name": "bastion", "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": {"terminated": ended}}])

    def probed(self, tool, result=None, code=0):
        """The next connection check says that."""
        pod = self.wait_role(tool, "probe")
        self.prints(pod, {**REACHED, **(result or {})}, code)
        return pod

    def provisioned(self, tool, result=None, code=0, role="permissions"):
        pod = self.wait_role(tool, role)
        self.prints(pod, {"done": code == 0, "changed": [], "unenforceable": [], "message": "", **(result or {})}, code)
        return pod

    def run(self, name, ready=True):
        """The pod runs, and is ready."""
        pod = self.wait_pod(name)
        word = "True" if ready else "False"
        self.say(name, phase="Running", startTime=NOW, conditions=[{"type": kind, "status": word, "lastTransitionTime": NOW}
                                                                  for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")],
                 containerStatuses=[{"name": c["name"], "image": "i", "imageID": "", "ready": ready, "restartCount": 0, "state": {"running": {"startedAt": NOW}}}
                                    for c in pod["spec"]["containers"]])
        return pod
