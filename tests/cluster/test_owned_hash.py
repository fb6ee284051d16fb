# SPDX-License-Identifier: Apache-2.0
"""ak_owned_hash() of what a real API server stored equals ak_desired_hash() of what was applied: this is how the apply
stage knows that nothing would change. A foreign change of our fields shows, one of other fields does not."""
import copy
import json
import os
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.dirname(os.path.join(ROOT, os.environ.get("AGENTKUBE_BIN", "build/bin")))
PROBE = os.path.join(BUILD, "tests/unit/kube/probe-owned-hash")

OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "11111111-1111-1111-1111-111111111111",
         "controller": True, "blockOwnerDeletion": True}

CONTAINER = {
    "name": "main", "image": "example/main:1", "command": ["/bin/main"], "args": ["--b", "--a"],
    # protocol is left out: the server fills this part of the key in
    "ports": [{"name": "http", "containerPort": 8080}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}],
    "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}, {"name": "EMPTY", "value": ""},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}},
    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "config", "mountPath": "/config"}],
    "readinessProbe": {"httpGet": {"path": "/readyz", "port": "http"}, "periodSeconds": 5},
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1000, "allowPrivilegeEscalation": False,
                        "readOnlyRootFilesystem": False, "capabilities": {"drop": ["ALL"]}},
}
POD_SPEC = {
    "automountServiceAccountToken": False,
    "containers": [CONTAINER, {"name": "second", "image": "example/second:1"}],
    "initContainers": [{"name": "z", "image": "example/z:1"}, {"name": "a", "image": "example/a:1"}],
    "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "config", "configMap": {"name": "c"}}],
    "tolerations": [{"key": "k", "operator": "Exists"}],
    "imagePullSecrets": [{"name": "pull"}],
}

# name: (object, path of one of our fields, another value for it)
OBJECTS = {
    "deployment": ({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "o", "labels": {"app": "o"}, "annotations": {"example.com/x": "1"},
                     "ownerReferences": [OWNER]},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "o"}}, "strategy": {"type": "Recreate"},
                 "template": {"metadata": {"labels": {"app": "o"}}, "spec": POD_SPEC}},
    }, ("spec", "replicas"), 1),
    "pod": ({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "o", "labels": {"app": "o"}},
        # admission adds to tolerations, an atomic list, so what we own of it is never what we asked for
        "spec": dict({k: v for k, v in POD_SPEC.items() if k != "tolerations"}, nodeSelector={"no": "such-node"}),
    }, ("metadata", "labels", "app"), "p"),
    "pvc": ({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "o", "labels": {"app": "o"}},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
                 "storageClassName": "none"},
    }, ("metadata", "labels", "app"), "p"),
    "service": ({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "o"},
        "spec": {"selector": {"app": "o"}, "ports": [{"name": "a", "port": 80, "targetPort": "http", "protocol": "TCP"},
                                                     {"name": "b", "port": 443, "targetPort": 8443, "protocol": "TCP"}]},
    }, ("spec", "selector", "app"), "p"),
    "configmap": ({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o", "finalizers": ["example.com/keep"]},
        "data": {"b": "2", "a": "1\n2", "empty": ""},
    }, ("data", "a"), "changed"),
    "networkpolicy": ({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "o"},
        "spec": {"podSelector": {"matchLabels": {"app": "o"}}, "policyTypes": ["Ingress", "Egress"],
                 "egress": [{"ports": [{"port": 53, "protocol": "UDP"}]}, {"to": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]},
    }, ("spec", "policyTypes"), ["Ingress"]),
    "role": ({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "o"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
                  {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get"]}],
    }, ("rules",), [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
    "custom": ({
        "apiVersion": "probe.example/v1", "kind": "Widget", "metadata": {"name": "o"},
        "spec": {"size": 3, "ratio": 0.5, "whole": 2.0, "on": False, "text": "x",
                 "keyed": [{"name": "b", "value": 1}, {"name": "a", "value": 2}], "plain": [{"x": 1}, {"x": 2}]},
    }, ("spec", "size"), 4),
}

WIDGETS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.probe.example}
spec:
  group: probe.example
  scope: Namespaced
  names: {kind: Widget, plural: widgets, singular: widget}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer}
              ratio: {type: number}
              whole: {type: number}
              "on": {type: boolean}
              text: {type: string}
              defaulted: {type: string, default: d}
              keyed:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, value: {type: integer}, more: {type: string, default: m}}
              plain:
                type: array
                items: {type: object, properties: {x: {type: integer}}}
          status:
            type: object
            properties:
              phase: {type: string}
              count: {type: integer}
              conditions:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [type]
                items:
                  type: object
                  required: [type, status]
                  properties: {type: {type: string}, status: {type: string}, message: {type: string}}
"""


@pytest.fixture(scope="module")
def widgets(control_plane):
    control_plane.kubectl("apply", "-f", "-", input=WIDGETS)
    control_plane.must("wait", "--for=condition=Established", "crd/widgets.probe.example", "--timeout=60s")
    yield
    control_plane.must("delete", "crd", "widgets.probe.example")


def probe(control_plane, verb, desired, *more):
    if not os.path.exists(PROBE):
        pytest.skip("not built: " + PROBE)
    done = subprocess.run([PROBE, control_plane.kubeconfig, verb, *more], input=json.dumps(desired), text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[0]


def changed(desired, path, value):
    other = copy.deepcopy(desired)
    at = other
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    return other


def merge_patch(control_plane, desired, patch):
    control_plane.must("patch", desired["kind"], desired["metadata"]["name"], "-n", desired["metadata"]["namespace"],
                       "--type=merge", "-p", json.dumps(patch))


def nested(path, value):
    for name in reversed(path):
        value = {name: value}
    return value


@pytest.fixture
def desired(request, control_plane, namespace, widgets):
    """The object of the case, in this test's namespace; finalizers and pods do not stay behind."""
    found = copy.deepcopy(OBJECTS[request.param][0])
    found["metadata"]["namespace"] = namespace
    if request.param == "configmap" or request.param == "deployment":
        control_plane.must("create", "configmap", "owner", "-n", namespace)
        owner = json.loads(control_plane.must("get", "configmap", "owner", "-n", namespace, "-o", "json"))
        if "ownerReferences" in found["metadata"]:  # else the garbage collector deletes it
            found["metadata"]["ownerReferences"][0]["uid"] = owner["metadata"]["uid"]
    yield found
    if request.param == "configmap":
        merge_patch(control_plane, found, {"metadata": {"finalizers": None}})


@pytest.mark.parametrize("desired", sorted(OBJECTS), indirect=True)
def test_what_was_applied_is_found_again(control_plane, desired, request):
    case = request.node.callspec.params["desired"]
    path, value = OBJECTS[case][1:]
    assert probe(control_plane, "apply", desired) == "equal"
    assert probe(control_plane, "apply", desired) == "equal"

    # fields of others
    merge_patch(control_plane, desired, {"metadata": {"labels": {"theirs": "1"}, "annotations": {"theirs": "2"}}})
    assert probe(control_plane, "read", desired) == "equal"

    # another wish of ours
    assert probe(control_plane, "read", changed(desired, path, value)) == "different"

    # drift, and its correction; a field that somebody else changed is no longer ours, which shows as well
    merge_patch(control_plane, desired, nested(path, value))
    assert probe(control_plane, "read", desired) == "different"
    assert probe(control_plane, "apply", desired) == "equal"


def test_a_field_that_we_stop_wanting_shows(control_plane, namespace):
    full = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o", "namespace": namespace},
            "data": {"a": "1", "b": "2"}}
    less = dict(full, data={"a": "1"})
    assert probe(control_plane, "apply", full) == "equal"
    assert probe(control_plane, "read", less) == "different"
    assert probe(control_plane, "apply", less) == "equal"
    assert json.loads(control_plane.must("get", "configmap", "o", "-n", namespace, "-o", "json"))["data"] == {"a": "1"}


def test_an_object_without_our_fields_is_different(control_plane, namespace):
    control_plane.must("create", "configmap", "o", "-n", namespace, "--from-literal=a=1")
    desired = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "o", "namespace": namespace},
               "data": {"a": "1"}}
    assert probe(control_plane, "read", desired) == "different"


def test_a_status_is_compared_by_itself(control_plane, namespace, widgets):
    control_plane.kubectl("apply", "-n", namespace, "-f", "-",
                          input="{apiVersion: probe.example/v1, kind: Widget, metadata: {name: o}, spec: {size: 1}}")
    status = {"apiVersion": "probe.example/v1", "kind": "Widget", "metadata": {"name": "o", "namespace": namespace},
              "status": {"phase": "Running", "count": 0,
                         "conditions": [{"type": "Ready", "status": "True", "message": "m"},
                                        {"type": "Bound", "status": "False"}]}}
    assert probe(control_plane, "apply", status, "status") == "equal"
    assert probe(control_plane, "apply", status, "status") == "equal"
    # the user edits the spec: nothing of ours
    control_plane.must("patch", "widget", "o", "-n", namespace, "--type=merge", "-p", '{"spec":{"size":2}}')
    assert probe(control_plane, "read", status) == "equal"
    assert probe(control_plane, "read", changed(status, ("status", "phase"), "Failed")) == "different"
    less = copy.deepcopy(status)
    del less["status"]["conditions"][1]
    assert probe(control_plane, "read", less) == "different"
    assert probe(control_plane, "apply", less, "status") == "equal"
