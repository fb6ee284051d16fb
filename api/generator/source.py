# SPDX-License-Identifier: Apache-2.0
"""Reads the schemas, writes references and inclusions out, and refuses what does not belong there.

The result is plain OpenAPI plus a few keys of ours, which the writers use and the definitions
do not contain: required (a bool on the field itself), c, cname, enumName, and _type (the name of the
referenced type that an object came from) with _about (what that type says of itself).
"""
import copy
import pathlib
import re

import yaml

GROUP = "agentkube.io"
VERSION = "v1alpha1"
CATEGORY = "agentkube"
# The order in which kinds are written everywhere.
KINDS = ["agent", "tool", "mcp", "llmgateway", "claw"]

OPENAPI_KEYS = {
    "type", "format", "description", "default", "enum", "pattern", "minLength", "maxLength",
    "minimum", "maximum", "minItems", "maxItems", "maxProperties", "properties", "items",
    "additionalProperties", "anyOf", "oneOf", "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "not",
    "x-kubernetes-preserve-unknown-fields"}
OWN_KEYS = {"required", "ref", "include", "c", "cname", "enumName", "_type", "_about"}
KIND_KEYS = {"kind", "plural", "shortNames", "cname", "nameMaxLength", "namePattern", "description",
             "printerColumns", "scale", "types", "spec", "status"}


class SourceError(Exception):
    """A schema that cannot be used; the text names the place."""


class Kind:
    """One kind, resolved."""

    def __init__(self, path, raw, shared):
        unknown = set(raw) - KIND_KEYS
        if unknown:
            raise SourceError(f"{path.name}: unknown key {sorted(unknown)[0]}")
        self.source = f"api/{VERSION}/{path.name}"
        self.file = path.stem
        self.name = raw["kind"]
        self.plural = raw["plural"]
        self.short_names = raw.get("shortNames", [])
        self.cname = raw.get("cname", snake(self.name))
        self.description = raw["description"].strip()
        self.columns = raw["printerColumns"]
        self.scale = raw.get("scale", False)
        self.name_limits = {}
        if "nameMaxLength" in raw:
            self.name_limits["maxLength"] = raw["nameMaxLength"]
        if "namePattern" in raw:
            self.name_limits["pattern"] = raw["namePattern"]
        resolver = Resolver(shared, raw.get("types", {}), path.name)
        self.spec = resolver.resolve({"type": "object", "required": True, **raw["spec"]}, "spec")
        self.status = resolver.resolve({"type": "object", **raw["status"]}, "status")
        check_limits(self.spec, f"{path.name}: spec")


class Resolver:
    """Writes `ref` and `include` out."""

    def __init__(self, shared, local, where):
        self.types = {**shared, **local}
        self.local = set(local)
        self.where = where

    def resolve(self, node, path):
        node = self._follow(node, path)
        unknown = set(node) - OPENAPI_KEYS - OWN_KEYS
        if unknown:
            raise SourceError(f"{self.where}: {path}: unknown key {sorted(unknown)[0]}")
        if "type" not in node and not node.get("c") == "quantity":
            raise SourceError(f"{self.where}: {path}: no type")
        for name in node.pop("include", []):
            included = copy.deepcopy(self.types[name])["properties"]
            node["properties"] = {**node.get("properties", {}), **included}
        if "properties" in node:
            node["properties"] = {name: self._field(name, child, f"{path}.{name}")
                                  for name, child in node["properties"].items()}
        for key in ("items", "additionalProperties"):
            if key in node:
                node[key] = self.resolve(node[key], f"{path}[]")
        return node

    def _field(self, name, node, path):
        node = self.resolve(node, path)
        if not node.get("description", "").strip():
            raise SourceError(f"{self.where}: {path}: no description")
        if not re.fullmatch(r"[a-z][A-Za-z0-9]*", name):
            raise SourceError(f"{self.where}: {path}: not a name in camelCase")
        return node

    def _follow(self, node, path):
        if "ref" not in node:
            return copy.deepcopy(node)
        name = node["ref"]
        if name not in self.types:
            raise SourceError(f"{self.where}: {path}: no type {name}")
        target = self._follow(self.types[name], path)
        merged = {**target, **{k: copy.deepcopy(v) for k, v in node.items() if k != "ref"}}
        if target.get("type") == "object":
            merged["_type"] = ("" if name in self.local else "/") + name
            merged["_about"] = target["description"]
        return merged


def check_limits(node, path):
    """Everything in a spec that can grow has a written limit."""
    kind = node.get("type")
    if kind == "string" and "enum" not in node and "format" not in node and "maxLength" not in node:
        raise SourceError(f"{path}: a string without maxLength")
    if kind == "array" and "maxItems" not in node:
        raise SourceError(f"{path}: a list without maxItems")
    if kind == "array" and "x-kubernetes-list-type" not in node:
        raise SourceError(f"{path}: a list without x-kubernetes-list-type")
    if "additionalProperties" in node and "maxProperties" not in node:
        raise SourceError(f"{path}: a map without maxProperties")
    for name, child in node.get("properties", {}).items():
        check_limits(child, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in node:
            check_limits(node[key], f"{path}[]")


def snake(name):
    """ClaudeCode and claudeCode become claude_code, podUID becomes pod_uid."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"[^A-Za-z0-9]+", "_", name).lower()


def one_line(text):
    return " ".join(text.split())


def load(root):
    """All kinds, in their order."""
    folder = pathlib.Path(root) / "api" / VERSION
    shared = yaml.safe_load((folder / "types.yaml").read_text())["types"]
    kinds = []
    for name in KINDS:
        path = folder / f"{name}.yaml"
        kinds.append(Kind(path, yaml.safe_load(path.read_text()), shared))
    return kinds
