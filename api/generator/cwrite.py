# SPDX-License-Identifier: Apache-2.0
"""Writes <ak/api/KIND.h> and api/generated/KIND.c, formatted as clang-format would."""
import json
import textwrap

from .source import GROUP, VERSION, one_line

WIDTH = 100
HEAD = "/* SPDX-License-Identifier: Apache-2.0 */\n"


def generated(source):
    return f"/* Generated from {source} by api/generate.py: change that file, not this one. */\n"


def comment(text, indent=0):
    pad = " " * indent
    text = one_line(text).replace("*/", "* /")
    if len(pad) + len(text) + 6 <= WIDTH:
        return f"{pad}/* {text} */\n"
    lines = textwrap.wrap(text, WIDTH - indent - 3, break_long_words=False)
    return f"{pad}/*\n" + "".join(f"{pad} * {line}\n" for line in lines) + f"{pad} */\n"


def enum_declaration(enum):
    prefix = enum.name.upper()
    out = comment(enum.doc) + f"enum {enum.name} {{\n    {prefix}_UNSET, /* the field is absent */\n"
    out += "".join(f"    {enum.constant(value)},\n" for value in enum.values)
    out += f"    {prefix}_MAX,\n}};\n"
    out += f"extern AK_PUBLIC const char *const {enum.name}_names[]; /* as in JSON; NULL ends it */\n"
    call = f"    return ak_enum_to_string({enum.name}_names, {prefix}_MAX, (int)value);\n"
    if len(call) > WIDTH + 1:
        call = call.replace("_MAX, ", "_MAX,\n" + " " * len("    return ak_enum_to_string("))
    out += (f"static inline const char *{enum.name}_to_string(enum {enum.name} value)\n{{\n"
            f"{call}}}\n")
    out += (f"static inline enum {enum.name} {enum.name}_from_string(const char *text)\n{{\n"
            f"    return (enum {enum.name})ak_enum_from_string({enum.name}_names, text);\n}}\n\n")
    return out


def struct_declaration(struct):
    out = comment(struct.doc) + f"struct {struct.name} {{\n"
    for member in struct.members:
        out += comment(member.doc, 4) + f"    {member.declaration}{member.name};\n"
    return out + "};\n\n"


def header(name, source, module, intro, includes, tail):
    guard = f"AK_API_{name.upper()}_H"
    out = HEAD + generated(source) + comment(intro) + f"#ifndef {guard}\n#define {guard}\n\n"
    out += "".join(f"#include <{path}>\n" for path in includes) + "\n"
    out += "".join(enum_declaration(enum) for enum in module.enums.values())
    out += "".join(struct_declaration(struct) for struct in module.structs.values())
    return out + tail + "\n#endif\n"


def kind_header(kind, module):
    name, macro = f"ak_{kind.cname}", f"AK_{kind.cname.upper()}_RESOURCE"
    fields = (f'.group = AK_API_GROUP, .version = AK_API_VERSION, .kind = "{kind.name}", '
              f'.plural = "{kind.plural}", .namespaced = true')
    lines = [f"#define {macro}", "    {"]
    # A line breaks between two fields only.
    lines += [line.replace("~", " ") for line in textwrap.wrap(
        fields.replace(" = ", "~=~"), WIDTH - 2, initial_indent=" " * 8, subsequent_indent=" " * 8)]
    tail = "/* Initializer of a struct ak_resource. */\n"
    tail += "".join(f"{line:<{WIDTH - 1}}\\\n" for line in lines) + "    }\n\n"
    tail += comment("What ak_decode() and ak_encode() take. spec and status of a decoded object are "
                    "never NULL; both are NULL in the zeroed body of an object that could not be decoded.")
    for part in ("", "_spec", "_status"):
        tail += f"extern AK_PUBLIC const struct ak_type {name}{part}_type;\n"
    includes = ["ak/api/types.h", "ak/base/compiler.h", "ak/base/time.h", "ak/json/decode.h",
                "ak/kube/condition.h", "ak/kube/resource.h", "stdbool.h", "stdint.h"]
    return header(kind.file, kind.source, module, kind.description, includes, tail)


def shared_header(module):
    tail = "".join(f"extern AK_PUBLIC const struct ak_type {name}_type;\n" for name in module.structs)
    includes = ["ak/api/enum.h", "ak/base/compiler.h", "ak/json/decode.h", "stdbool.h", "stdint.h"]
    text = header("types", f"api/{VERSION}/types.yaml", module, "What several kinds have in common.",
                  includes, tail)
    names = f'#define AK_API_GROUP "{GROUP}"\n#define AK_API_VERSION "{VERSION}"\n\n'
    return text.replace("#include <stdint.h>\n\n", "#include <stdint.h>\n\n" + names, 1)


def initializer(struct, member):
    parts = [f"struct {struct.name}", member.name, json.dumps(member.json), member.field]
    if member.flags:
        parts.append(".flags = " + " | ".join(member.flags))
    if member.sub:
        parts.append(f".sub = &{member.sub}_type")
    if member.enum:
        parts.append(f".enum_names = {member.enum.name}_names")
    if member.default_text is not None:
        parts.append(f".default_text = {json.dumps(str(member.default_text))}")
    if member.default_int is not None:
        parts.append(f".default_int = {member.default_int}")
    return "    AK_FIELD(" + ", ".join(parts) + "),\n"


def struct_table(struct, public):
    linkage = "" if public else "static "
    out = f"static const struct ak_field {struct.name}_fields[] = {{\n"
    out += "".join(initializer(struct, member) for member in struct.members) + "};\n"
    return out + (f'{linkage}const struct ak_type {struct.name}_type =\n'
                  f'    AK_TYPE("{struct.name[3:]}", struct {struct.name}, {struct.name}_fields);\n\n')


def enum_table(enum):
    values = ['""'] + [json.dumps(str(value)) for value in enum.values] + ["NULL"]
    return (f"const char *const {enum.name}_names[] = {{\n"
            + "".join(f"    {value},\n" for value in values) + "};\n\n")


def body(name, source, module, is_public):
    out = HEAD + generated(source) + f"#include <ak/api/{name}.h>\n\n#include <stddef.h>\n\n"
    # One field a line reads better than what the formatter makes of long lines.
    out += "/* clang-format off */\n"
    out += "".join(enum_table(enum) for enum in module.enums.values())
    out += "".join(struct_table(struct, is_public(struct.name))
                   for struct in module.structs.values())
    return out.rstrip("\n") + "\n/* clang-format on */\n"


def kind_body(kind, module):
    public = {f"ak_{kind.cname}{part}" for part in ("", "_spec", "_status")}
    return body(kind.file, kind.source, module, lambda name: name in public)


def shared_body(module):
    return body("types", f"api/{VERSION}/types.yaml", module, lambda name: True)
