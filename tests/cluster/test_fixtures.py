# SPDX-License-Identifier: Apache-2.0
"""The tests' own tools: a control plane that answers, and waiting that ends with words."""
import pytest

from kubetest import wait_for


def test_a_namespace_is_there_and_has_a_service_account(control_plane, namespace):
    assert control_plane.get(f"/api/v1/namespaces/{namespace}")["status"]["phase"] == "Active"
    wait_for(lambda: control_plane.get(f"/api/v1/namespaces/{namespace}/serviceaccounts/default"), "the service account")


def test_kubectl_and_plain_requests_see_the_same(control_plane, namespace):
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"key": "value"}}
    control_plane.apply(settings, namespace=namespace)
    path = f"/api/v1/namespaces/{namespace}/configmaps/c"
    assert control_plane.get(path)["data"] == {"key": "value"}
    status, _ = control_plane.api("PATCH", path, {"data": {"key": "other"}}, patch="merge")
    assert status == 200
    assert control_plane.must("get", "configmap", "c", "-n", namespace, "-o", "jsonpath={.data.key}") == "other"


def test_a_wrong_kubectl_command_is_an_error_with_its_words(control_plane):
    with pytest.raises(AssertionError, match="the server doesn't have a resource type"):
        control_plane.must("get", "nothings")
    assert control_plane.kubectl("get", "nothings").returncode != 0


def test_what_is_not_there_is_none(control_plane, namespace):
    assert control_plane.pod(namespace, "nobody") is None


def test_waiting_in_vain_names_what_was_waited_for_and_what_was_last_seen():
    with pytest.raises(AssertionError, match=r"waited [0-9.]+ s for a miracle; last: still 3"):
        def seen():
            raise AssertionError("still 3")
        wait_for(seen, "a miracle", timeout=0.2)
