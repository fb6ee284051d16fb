# SPDX-License-Identifier: Apache-2.0
"""Writes CustomResourceDefinitions: structural schemas without CEL, for Kubernetes 1.20 and later."""
import yaml

from .source import CATEGORY, GROUP, OPENAPI_KEYS, VERSION, one_line

# Written in this order, so that a reader finds the meaning before the details.
ORDER = ["description", "type", "format", "default", "enum"]


def schema(node):
    """The OpenAPI part of a node, with the required fields gathered at the parent."""
    out = {key: node[key] for key in ORDER if key in node}
    out.update({key: value for key, value in node.items()
                if key in OPENAPI_KEYS and key not in out})
    # An API server of 1.20 that was compiled with Go 1.16 or later, as in Debian, takes an empty text for
    # null (kubernetes#99804) and refuses the definition. C has the default all the same.
    if out.get("default") == "":
        del out["default"]
    if "description" in out:
        out["description"] = one_line(out["description"])
    if "properties" in out:
        out["properties"] = {name: schema(child) for name, child in node["properties"].items()}
        required = [name for name, child in node["properties"].items() if child.get("required")]
        if required:
            out["required"] = required
    for key in ("items", "additionalProperties"):
        if key in out:
            out[key] = schema(node[key])
    return out


def definition(kind):
    metadata = {"type": "object"}
    if kind.name_limits:
        metadata["properties"] = {"name": {"type": "string", **kind.name_limits}}
    subresources = {"status": {}}
    if kind.scale:
        subresources["scale"] = {"specReplicasPath": ".spec.replicas",
                                 "statusReplicasPath": ".status.replicas",
                                 "labelSelectorPath": ".status.selector"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}",
                     "labels": {"app.kubernetes.io/part-of": "agentkube"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"kind": kind.name, "listKind": f"{kind.name}List", "plural": kind.plural,
                      "singular": kind.name.lower(), "categories": [CATEGORY],
                      **({"shortNames": kind.short_names} if kind.short_names else {})},
            "versions": [{
                "name": VERSION,
                "served": True,
                "storage": True,
                "subresources": subresources,
                "additionalPrinterColumns": kind.columns,
                "schema": {"openAPIV3Schema": {
                    "description": one_line(kind.description),
                    "type": "object",
                    "required": ["spec"],
                    "properties": {
                        "apiVersion": {"type": "string"},
                        "kind": {"type": "string"},
                        "metadata": metadata,
                        "spec": schema(kind.spec),
                        "status": schema(kind.status),
                    }}},
            }],
        },
    }


class _Dumper(yaml.SafeDumper):
    """Without anchors: two fields of one type are written twice."""

    def ignore_aliases(self, data):
        return True


# Helm makes the definitions of a chart's crds/ before it looks at the chart's templates, and lets a release carry only
# objects that name it as their owner. With these marks `helm upgrade --set crds.install=true` may upgrade what
# `helm install agentkube` made. They stay when the release goes: with them would go every Agent.
CHART_LABELS = {"app.kubernetes.io/managed-by": "Helm"}
CHART_ANNOTATIONS = {"meta.helm.sh/release-name": "agentkube",
                     "meta.helm.sh/release-namespace": "agentkube-system",
                     "helm.sh/resource-policy": "keep"}


def write(kind, for_chart=False):
    out = definition(kind)
    if for_chart:
        out["metadata"]["labels"].update(CHART_LABELS)
        out["metadata"]["annotations"] = dict(CHART_ANNOTATIONS)
    text = yaml.dump(out, Dumper=_Dumper, sort_keys=False, width=100,
                     default_flow_style=False)
    return ("# SPDX-License-Identifier: Apache-2.0\n"
            f"# Generated from {kind.source} by api/generate.py: change that file, not this one.\n"
            + text)
