# SPDX-License-Identifier: Apache-2.0
"""Tools of a test's namespace: applied, waited for, looked at."""
import json

from .agents import condition
from .wait import wait_for

PATH = "/apis/agentkube.io/v1alpha1"


class Tools:
    def __init__(self, kube, namespace):
        self.kube, self.namespace = kube, namespace

    def secret(self, name, **data):
        self.kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}, namespace=self.namespace)

    def apply(self, name, type_, **spec):
        self.kube.apply({"apiVersion": "agentkube.io/v1alpha1", "kind": "Tool", "metadata": {"name": name}, "spec": {"type": type_, **spec}},
                        namespace=self.namespace)
        return name

    def ready(self, name, type_, **spec):
        self.apply(name, type_, **spec)
        self.wait_ready(name)
        return name

    def get(self, name):
        return self.kube.get(f"{PATH}/namespaces/{self.namespace}/tools/{name}")

    def patch(self, name, **spec):
        self.kube.must("-n", self.namespace, "patch", "tool", name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def delete(self, name, wait=True):
        self.kube.must("-n", self.namespace, "delete", "tool", name, f"--wait={'true' if wait else 'false'}", "--timeout=120s")

    def wait_ready(self, name, status="True", reason=None, timeout=120):
        def reached():
            tool = self.get(name)
            ready = condition(tool, "Ready")
            assert ready and ready["status"] == status and (not reason or ready["reason"] == reason) and \
                tool["status"].get("observedGeneration", 0) >= tool["metadata"]["generation"], tool.get("status")
            return ready
        return wait_for(reached, f"Tool {name} to be Ready={status} {reason or ''}", timeout)

    def bastion(self, name):
        return self.kube.pod(self.namespace, f"{name}-bastion")

    def wait_bastion(self, name, timeout=120):
        def there():
            pod = self.bastion(name)
            return pod and pod["metadata"].get("deletionTimestamp") is None and \
                all(one["ready"] for one in pod["status"]["containerStatuses"]) and pod
        return wait_for(there, f"the bastion of {name}", timeout)

    def wait_no_bastion(self, name, timeout=120):
        wait_for(lambda: self.bastion(name) is None, f"the bastion of {name} to be gone", timeout)

    def audit(self):
        """The records of this namespace in the manager's log, oldest first."""
        log = self.kube.must("-n", "agentkube-system", "logs", "-l", "app.kubernetes.io/name=agentkube-manager", "--tail=-1")
        lines = [json.loads(line) for line in log.splitlines() if '"kind":"ToolAudit"' in line]
        return [one["record"] for one in lines if one["record"]["tool"]["namespace"] == self.namespace]
