# SPDX-License-Identifier: Apache-2.0
"""The C view of a schema: which structs and enums there are, and what each member looks like."""
import re

from .source import SourceError, snake

# Words that C or its headers have taken.
RESERVED = {"inline", "default", "namespace", "auto", "switch", "case", "register", "union", "struct"}


class Enum:
    def __init__(self, name, values, doc):
        self.name, self.values, self.doc = name, values, doc

    def constant(self, value):
        return f"{self.name}_{snake(str(value))}".upper()


class Member:
    """One member of a struct: its C name, its field type (AK_F_...), and how it is declared."""

    def __init__(self, json_name, node):
        self.json = json_name
        self.name = snake(json_name)
        if self.name in RESERVED:
            self.name += "_"
        self.doc = node["description"]
        self.flags = []
        self.sub = None     # Struct, or the name of a type from elsewhere
        self.enum = None
        self.default_text = None
        self.default_int = None


class Struct:
    def __init__(self, name, doc):
        self.name, self.doc, self.members = name, doc, []

    def shape(self):
        return [(m.json, m.field, m.declaration, tuple(m.flags)) for m in self.members]


class Module:
    """What one header declares."""

    def __init__(self):
        self.structs, self.enums = {}, {}   # in the order in which C needs them


class Builder:
    """Builds the structs of one kind; what several kinds use goes to `shared`."""

    def __init__(self, kind, shared):
        self.kind, self.shared, self.module = kind, shared, Module()
        self.in_status = False

    def build(self):
        root = Struct(f"ak_{self.kind.cname}", self.kind.description)
        for part, node in (("spec", self.kind.spec), ("status", self.kind.status)):
            self.in_status = part == "status"
            member = self._member(part, node, root.name, f"ak_{self.kind.cname}_{part}")
            member.flags = (["AK_FIELD_MATERIALIZE", "AK_FIELD_LENIENT"] if self.in_status
                            else ["AK_FIELD_REQUIRED"])
            root.members.append(member)
        self.module.structs[root.name] = root
        return self.module

    # ---- structs

    def _struct(self, node, name):
        home = self.shared if node.get("_type", "").startswith("/") else self.module
        struct = Struct(name, node.get("_about", node["description"]))
        prefix = name[:-5] if name == f"ak_{self.kind.cname}_spec" else name
        for json_name, child in node["properties"].items():
            struct.members.append(self._member(json_name, child, prefix))
        known = home.structs.get(name)
        if known and known.shape() != struct.shape():
            raise SourceError(f"two different structs are called {name}: set cname on one of them")
        if not known:
            home.structs[name] = struct
        return struct

    def _struct_name(self, json_name, node, prefix):
        if "cname" in node:
            return f"ak_{node['cname']}"
        ref = node.get("_type")
        if ref:
            return f"ak_{snake(ref[1:])}" if ref[0] == "/" else f"ak_{self.kind.cname}_{snake(ref)}"
        return f"{prefix}_{snake(json_name)}"

    # ---- members

    def _member(self, json_name, node, prefix, struct_name=None):
        member = Member(json_name, node)
        if node.get("required") and not self.in_status:
            member.flags.append("AK_FIELD_REQUIRED")
        if self.in_status:
            member.flags.append("AK_FIELD_LENIENT")
        style = node.get("c")
        if style == "json":
            self._set(member, "AK_F_JSON", "const char *")
        elif style == "quantity":
            self._set(member, "AK_F_INT_OR_STRING", "const char *")
            member.default_text = node.get("default")
        elif node["type"] == "object":
            self._object(member, json_name, node, prefix, struct_name)
        elif node["type"] == "array":
            self._array(member, json_name, node, prefix)
        else:
            self._scalar(member, json_name, node, prefix)
        return member

    @staticmethod
    def _set(member, field, declaration):
        member.field, member.declaration = field, declaration

    def _object(self, member, json_name, node, prefix, struct_name):
        if "additionalProperties" in node:
            self._set(member, "AK_F_STRING_MAP", "struct ak_string_map ")
            return
        name = struct_name or self._struct_name(json_name, node, prefix)
        member.sub = self._struct(node, name).name
        self._set(member, "AK_F_STRUCT", f"const struct {name} *")
        if node.get("default") == {}:
            member.flags.append("AK_FIELD_MATERIALIZE")

    def _array(self, member, json_name, node, prefix):
        items = node["items"]
        if items.get("c") == "condition":
            member.sub = "ak_condition"
            self._set(member, "AK_F_LIST", "ak_condition_list ")
        elif items["type"] == "object":
            name = self._struct_name(json_name, items, prefix)
            member.sub = self._struct(items, name).name
            self._set(member, "AK_F_LIST", f"AK_LIST_OF(struct {name}) ")
        elif items["type"] == "string":
            self._set(member, "AK_F_STRING_LIST", "struct ak_string_list ")
        else:
            raise SourceError(f"{prefix}.{json_name}: lists of {items['type']} have no C type")

    def _scalar(self, member, json_name, node, prefix):
        kind, default = node["type"], node.get("default")
        if "enum" in node:
            self._enum(member, json_name, node, prefix)
        elif kind == "string" and node.get("format") == "date-time":
            self._set(member, "AK_F_TIME", "ak_msec ")
        elif kind == "string":
            self._set(member, "AK_F_STRING", "const char *")
            member.default_text = default
        elif kind == "boolean":
            self._set(member, "AK_F_BOOL", "bool ")
            member.default_int = int(default) if default is not None else None
            if default is None and not node.get("required"):
                raise SourceError(f"{prefix}.{json_name}: a bool needs a default")
        elif kind == "integer" and (default is not None or node.get("required") or self.in_status):
            self._set(member, "AK_F_INT", "int64_t ")
            member.default_int = default
        elif kind == "integer":
            self._set(member, "AK_F_OPT_INT", "struct ak_opt_int ")
        else:
            raise SourceError(f"{prefix}.{json_name}: type {kind} has no C type")

    def _enum(self, member, json_name, node, prefix):
        base = re.sub(f"^ak_{self.kind.cname}_status$", f"ak_{self.kind.cname}", prefix)
        name = f"ak_{node['enumName']}" if "enumName" in node else f"{base}_{snake(json_name)}"
        enum = Enum(name, node["enum"], node["description"])
        # An enum whose name does not begin with the kind's belongs to several kinds.
        own = name.startswith(f"ak_{self.kind.cname}_") or name not in SHARED_ENUMS
        home = self.module if own else self.shared
        known = home.enums.setdefault(name, enum)
        if known.values != enum.values:
            raise SourceError(f"two different enums are called {name}: set enumName on one of them")
        member.enum = known
        self._set(member, "AK_F_ENUM", f"enum {name} ")
        if node.get("default") is not None:
            member.default_int = known.constant(node["default"])


SHARED_ENUMS = {"ak_pull_policy", "ak_service_phase"}


def build(kinds):
    """(shared module, {kind: module})"""
    shared = Module()
    return shared, {kind.file: Builder(kind, shared).build() for kind in kinds}
