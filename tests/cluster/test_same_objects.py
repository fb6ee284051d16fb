# SPDX-License-Identifier: Apache-2.0
"""exo-install, Helm and the raw manifests make the same objects, for the same values."""
import os
import subprocess

import pytest
import yaml

from kubetest import program
from kubetest.cluster import CRDS, ROOT

CHART = ROOT + "/agentkube/helm/agentkube"
CONFIG = ROOT + "/agentkube/config"
# Who made an object, not what it is.
MARKS = ("app.kubernetes.io/managed-by", "helm.sh/chart", "helm.sh/resource-policy", "meta.helm.sh/release-name",
         "meta.helm.sh/release-namespace")

# (name, --set texts, flags of exo-install that say the same)
CHOICES = [
    ("defaults", [], []),
    ("managed", ["manager.managed=true", "manager.baseURL=https://exo.example.com"],
     ["--managed", "--base-url", "https://exo.example.com"]),
    ("image", ["image.manager.repository=mirror.example:5000/team/manager", "image.manager.tag=v9"],
     ["--image", "mirror.example:5000/team/manager:v9"]),
    ("image-without-host", ["image.manager.repository=team/manager", "image.manager.tag=v9"], ["--image", "team/manager:v9"]),
    ("digest", ["image.manager.repository=m.example/x@sha256", "image.manager.tag=0123abcd"], ["--image", "m.example/x@sha256:0123abcd"]),
    ("registry", ["image.registry=mirror.example/agentkube/", "image.pullSecrets={one,two}"],
     ["--image-registry=mirror.example/agentkube/", "--pull-secret=one", "--pull-secret=two"]),
    ("replicas", ["manager.replicas=3"], ["--replicas", "3"]),
    ("without-invoke", ["invoke.enabled=false"], None),
    ("without-webhook", ["webhook.enabled=false"], ["--webhook=false"]),
    ("webhook", ["webhook.failurePolicy=Ignore", "webhook.validationFailurePolicy=Fail", "webhook.timeoutSeconds=7"], None),
    ("strict", ["rbac.strict=true"], None),
    ("manager", ["manager.clusterID=c1", "manager.transport=http", "manager.workers=9", "manager.logLevel=info\\,+watch",
                 "manager.watchNamespace=team-a", "manager.priorityClassName=system-cluster-critical"], None),
    ("placement", ["manager.nodeSelector.disk=ssd", "manager.nodeSelector.kubernetes\\.io/os=linux",
                   "manager.tolerations[0].key=a,manager.tolerations[0].operator=Exists",
                   "manager.topologySpreadConstraints[0].maxSkew=2,manager.topologySpreadConstraints[0].topologyKey=zone,"
                   "manager.topologySpreadConstraints[0].whenUnsatisfiable=DoNotSchedule"], None),
    ("resources", ["manager.resources.limits.cpu=2", "manager.resources.limits.memory=null",
                   "manager.resources.requests.memory=64Mi"], None),
    ("labels", ["manager.podLabels.team=a", "manager.podAnnotations.note=b", "serviceAccount.annotations.role=c",
                "service.annotations.d=e", "manager.podLabels.app\\.kubernetes\\.io/part-of=mine"], None),
    ("environment", ["manager.extraEnv[0].name=HTTPS_PROXY,manager.extraEnv[0].value=http://proxy:3128"], None),
    ("agents", ["agents.memory.size=5Gi", "agents.memory.accessMode=ReadWriteMany", "agents.memory.storageClassName=nfs",
                "agents.imagePullSecrets={x,y}", "image.registry=m.example"], None),
    ("agents-without-registry", ["agents.imagePullSecrets={x}"], None),
]


def normal(one):
    metadata = one["metadata"]
    for group in ("labels", "annotations"):
        kept = {key: value for key, value in (metadata.get(group) or {}).items() if key not in MARKS}
        metadata.pop(group, None)
        if kept:
            metadata[group] = kept
    return one


def by_name(text, skip=()):
    found = {}
    for one in yaml.safe_load_all(text):
        if one and one["kind"] not in skip:
            key = (one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"])
            assert key not in found, key
            found[key] = normal(one)
    return found


def by_exo_install(*flags):
    done = subprocess.run([program("exo-install"), "operator", "--dry-run", "-o", "yaml", *flags], capture_output=True, text=True,
                          check=False, stdin=subprocess.DEVNULL, timeout=60, env={"HOME": "/nonexistent"})
    assert done.returncode == 0, done.stderr
    found = by_name(done.stdout)
    del found[("ConfigMap", "agentkube-system", "exo-install")]  # its own notes, as Helm's release Secret
    return found


def sets(choices):
    return [word for choice in choices for word in ("--set", choice)]


@pytest.fixture(scope="module")
def by_helm(control_plane):
    def render(choices):
        done = control_plane.helm("template", "agentkube", CHART, "--namespace", "agentkube-system", "--include-crds",
                                  "--set", "namespace.create=true", *sets(choices))
        assert done.returncode == 0, done.stderr
        return by_name(done.stdout)
    return render


def assert_same(got, wanted):
    assert sorted(got, key=str) == sorted(wanted, key=str)
    for key, one in wanted.items():
        assert got[key] == one, key


@pytest.mark.parametrize("choices,flags", [one[1:] for one in CHOICES], ids=[one[0] for one in CHOICES])
def test_exo_install_makes_what_helm_makes(by_helm, choices, flags):
    wanted = by_helm(choices)
    assert_same(by_exo_install(*sets(choices)), wanted)
    if flags is not None:
        assert_same(by_exo_install(*flags), wanted)


def test_a_file_of_values_serves_both(by_helm, tmp_path, control_plane):
    path = tmp_path / "values.yaml"
    path.write_text("manager:\n  replicas: 2\n  affinity:\n    nodeAffinity: {}\n  tolerations:\n  - key: a\n"
                    "image:\n  pullSecrets:\n  - name: one\n  - two\n")
    done = control_plane.helm("template", "agentkube", CHART, "--namespace", "agentkube-system", "--include-crds",
                              "--set", "namespace.create=true", "-f", str(path))
    assert done.returncode == 0, done.stderr
    assert_same(by_exo_install("-f", str(path)), by_name(done.stdout))


@pytest.mark.parametrize("strict", [False, True])
def test_the_raw_manifests_are_the_same_too(strict):
    files = [os.path.join(CRDS, name) for name in sorted(os.listdir(CRDS))]
    files += [os.path.join(CONFIG, name) for name in sorted(os.listdir(CONFIG)) if name.endswith(".yaml")]
    found = {}
    for path in files:
        with open(path, encoding="utf-8") as file:
            found.update(by_name(file.read()))
    if strict:
        for name in os.listdir(CONFIG + "/rbac-strict"):
            with open(f"{CONFIG}/rbac-strict/{name}", encoding="utf-8") as file:
                found.update(by_name(file.read()))
    assert_same(by_exo_install(*(["--set", "rbac.strict=true"] if strict else [])), found)


@pytest.mark.parametrize("choice", [
    "manager.replicas=99", "manager.replicas=x", "manager.transport=tcp", "manager.baseURL=ftp://x", "nobody=1", "manager.nobody=1",
    "image.manager.pullPolicy=Sometimes", "manager.watchNamespace=UPPER", "agents.memory.size=big", "webhook.timeoutSeconds=31"])
def test_what_helm_refuses_is_refused(control_plane, choice):
    done = control_plane.helm("template", "agentkube", CHART, "--namespace", "agentkube-system", "--set", choice)
    assert done.returncode != 0
    done = subprocess.run([program("exo-install"), "operator", "--dry-run", "--set", choice], capture_output=True, text=True,
                          check=False, stdin=subprocess.DEVNULL, timeout=60)
    assert done.returncode == 2 and not done.stdout, done.stderr
    assert choice.split("=")[0].split(".")[-1] in done.stderr
