# SPDX-License-Identifier: Apache-2.0
"""Agents as tests need them, and the words of a kubelet for control planes that have none."""
from .wait import wait_for

MANAGER = "agentkube-manager"


def agent(name, **spec):
    """An armed Agent; spec(paused=True) and so on say otherwise."""
    return {"apiVersion": "agentkube.io/v1alpha1", "kind": "Agent", "metadata": {"name": name},
            "spec": {"runtime": "ClaudeCode", "paused": False, "goal": {"inline": "say hello"}, **spec}}


def condition(thing, kind):
    """The condition of that type, {} if there is none."""
    found = [c for c in ((thing or {}).get("status") or {}).get("conditions", []) if c["type"] == kind]
    assert len(found) < 2, f"two conditions {kind}: {found}"
    return found[0] if found else {}


def phase(thing):
    return ((thing or {}).get("status") or {}).get("phase")


class Agents:
    """The Agents and pods of one namespace."""

    def __init__(self, kube, namespace):
        self.kube, self.namespace = kube, namespace

    # ---- objects
    def apply(self, *agents):
        self.kube.apply(*agents, namespace=self.namespace)

    def get(self, name):
        return self.kube.agent(self.namespace, name)

    def patch(self, name, **spec):
        self._patch(f"/apis/agentkube.io/v1alpha1/namespaces/{self.namespace}/agents/{name}", {"spec": spec})

    def delete(self, name, **options):
        status, body = self.kube.api("DELETE", f"/apis/agentkube.io/v1alpha1/namespaces/{self.namespace}/agents/{name}", options or None)
        assert status in (200, 202), body

    def pods(self):
        return self.kube.items(f"/api/v1/namespaces/{self.namespace}/pods")

    def pod(self, name):
        return self.kube.pod(self.namespace, name)

    def delete_pod(self, name):
        status, body = self.kube.api("DELETE", f"/api/v1/namespaces/{self.namespace}/pods/{name}")
        assert status == 200, body

    def events(self, name):
        return [e for e in self.kube.items(f"/api/v1/namespaces/{self.namespace}/events") if e["involvedObject"]["name"] == name]

    def _patch(self, path, body, patch="merge"):
        status, answer = self.kube.api("PATCH", path, body, patch)
        assert status == 200, answer
        return answer

    def had_runs(self, name, *records, **status):
        """The status as an earlier manager has left it."""
        self._patch(f"/apis/agentkube.io/v1alpha1/namespaces/{self.namespace}/agents/{name}/status",
                    {"status": {"runs": list(records), "activeRuns": sum(r["phase"] in ("Pending", "Queued", "Running") for r in records), **status}})

    # ---- waiting
    def wait_pod(self, name, other_than=None, timeout=60):
        """The pod of an Agent, once there is one (with another UID than `other_than`)."""
        def there():
            pod = self.pod(name)
            return pod if pod and pod["metadata"]["uid"] != other_than and not pod["metadata"].get("deletionTimestamp") else None
        return wait_for(there, f"the pod of Agent {name} (status: {(self.get(name) or {}).get('status')})", timeout)

    def wait_no_pod(self, name, timeout=60):
        wait_for(lambda: self.pod(name) is None, f"pod {name} to be gone", timeout)

    def wait_phase(self, name, *wanted, timeout=60):
        def reached():
            found = self.get(name)
            assert phase(found) in wanted, f"phase {phase(found)}: {(found or {}).get('status')}"
            assert found["status"].get("observedGeneration") == found["metadata"]["generation"], "for an older generation"
            return found
        return wait_for(reached, f"Agent {name} to be {' or '.join(wanted)}", timeout)

    def wait_condition(self, name, kind, status, reason=None, timeout=60):
        def reached():
            found = self.get(name)
            got = condition(found, kind)
            assert got.get("status") == status and reason in (None, got.get("reason")), got or found
            assert got.get("observedGeneration", found["metadata"]["generation"]) == found["metadata"]["generation"]
            return got
        return wait_for(reached, f"condition {kind}={status} {reason or ''} of Agent {name}", timeout)

    # ---- what a kubelet would say
    def pod_status(self, name, **status):
        return self._patch(f"/api/v1/namespaces/{self.namespace}/pods/{name}/status", {"status": status})

    def container(self, name, state, ready=False, restarts=0, last=None, image_id=""):
        """What is said of one container, by its name."""
        return {"name": name, "image": "i", "imageID": image_id, "ready": ready, "started": ready,
                "restartCount": restarts, "state": state, "lastState": last or {}}

    def keeper(self):
        """What is said of a keeper that does well."""
        return self.container("keeper", {"running": {"startedAt": "2026-01-01T00:00:00Z"}}, True)

    def runs(self, name, restarts=0, last=None):
        """The pod runs and is ready: both containers are."""
        now = "2026-01-01T00:00:00Z"
        return self.pod_status(
            name, phase="Running", startTime=now,
            conditions=[{"type": kind, "status": "True", "lastTransitionTime": now}
                        for kind in ("PodScheduled", "Initialized", "ContainersReady", "Ready")],
            containerStatuses=[self.container("agent", {"running": {"startedAt": now}}, True, restarts, last,
                                              "registry.example/agent@sha256:" + "ab" * 32), self.keeper()])

    def bind(self, name):
        """As the scheduler does it, so that the real one has no more opinion on this pod. The node does not exist."""
        path = f"/api/v1/namespaces/{self.namespace}/pods/{name}/binding"
        status, body = self.kube.api("POST", path, {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name},
                                                    "target": {"apiVersion": "v1", "kind": "Node", "name": "node-of-a-test"}})
        assert status == 201, body

    def waits(self, name, reason, message, restarts=0, last=None, container="agent"):
        """One container waits for something; the keeper does well, if it is not the one."""
        self.bind(name)
        said = [self.container(container, {"waiting": {"reason": reason, "message": message}}, False, restarts, last)]
        return self.pod_status(name, phase="Pending", containerStatuses=said + ([self.keeper()] if container != "keeper" else []))

    def fails(self, name, reason="Evicted", message="The node was low on resource: memory."):
        return self.pod_status(name, phase="Failed", reason=reason, message=message)
