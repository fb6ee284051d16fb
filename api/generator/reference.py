# SPDX-License-Identifier: Apache-2.0
"""Writes docs/reference/KIND.md: every field with its type, default, limits and meaning."""
import json

from .source import GROUP, VERSION, one_line


def type_text(node):
    if node.get("c") == "quantity":
        return "quantity"
    if node.get("type") == "array":
        return f"list of {type_text(node['items'])}"
    if "additionalProperties" in node:
        return f"map of {type_text(node['additionalProperties'])}"
    return "time" if node.get("format") == "date-time" else node["type"]


def limits(node):
    """What the apiserver checks, in few words."""
    out = []
    if node.get("required"):
        out.append("required")
    if "default" in node and node["default"] != {}:
        out.append(f"default `{json.dumps(node['default']).strip(chr(34))}`"
                   if node["default"] != "" else "default empty")
    if "enum" in node:
        out.append("one of " + ", ".join(f"`{value}`" for value in node["enum"]))
    if "minimum" in node and "maximum" in node:
        out.append(f"{node['minimum']} to {node['maximum']}")
    elif "minimum" in node:
        out.append(f"at least {node['minimum']}")
    if "maxLength" in node:
        out.append(f"at most {node['maxLength']} characters")
    if node.get("maxItems"):
        out.append(f"at most {node['maxItems']} entries")
    if node.get("maxProperties"):
        out.append(f"at most {node['maxProperties']} entries")
    if "x-kubernetes-list-map-keys" in node:
        out.append(f"one entry for each `{node['x-kubernetes-list-map-keys'][0]}`")
    return "; ".join(out)


def rows(node, path, out):
    for name, child in node.get("properties", {}).items():
        here = f"{path}.{name}"
        out.append(f"| `{here}` | {type_text(child)} | {one_line(child['description'])} "
                   f"| {limits(child)} |".replace("|  |", "| |"))
        rows(child, here, out)
        if child.get("type") == "array":
            rows(child["items"], f"{here}[]", out)


def write(kind):
    spec, status = [], []
    rows(kind.spec, "spec", spec)
    rows(kind.status, "status", status)
    columns = [c["name"].upper() for c in kind.columns if not c.get("priority")]
    wide = [c["name"].upper() for c in kind.columns if c.get("priority")]
    short = f", short {', '.join(f'`{s}`' for s in kind.short_names)}" if kind.short_names else ""
    head = ["| field | type | meaning | limits |", "| --- | --- | --- | --- |"]
    lines = [
        "<!-- SPDX-License-Identifier: Apache-2.0 -->",
        f"<!-- Generated from {kind.source} by api/generate.py: change that file, not this one. -->",
        f"# {kind.name}", "",
        one_line(kind.description), "",
        f"`apiVersion: {GROUP}/{VERSION}`, `kind: {kind.name}`, namespaced, plural `{kind.plural}`"
        f"{short}, category `agentkube`. The page [about the kind](../kinds/{kind.file}.md) explains how "
        "it behaves.", "",
        f"`kubectl get {kind.plural}` prints NAME {' '.join(columns)}; with `-o wide` also "
        f"{', '.join(wide)}.", "",
    ]
    if kind.name_limits:
        limit = f"at most {kind.name_limits['maxLength']} characters"
        if "pattern" in kind.name_limits:
            limit += ", begins with a letter, no dots"
        lines += [f"`metadata.name`: {limit}.", ""]
    return "\n".join(lines + ["## spec", ""] + head + spec
                     + ["", "## status", ""] + head + status) + "\n"
