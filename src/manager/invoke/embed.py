#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUTPUT OPENAPI.yaml: the document of the invocation API as JSON, in one C file."""
import json
import sys

import yaml


def literal(line):
    text = "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}" for byte in line)
    return f'    "{text}"\n'


def main(output, source):
    with open(source, encoding="utf-8") as file:
        document = yaml.safe_load(file)
    data = json.dumps(document, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
    lines = "".join(literal(data[at:at + 100]) for at in range(0, len(data), 100))
    with open(output, "w", encoding="ascii") as file:
        file.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by embed.py. */\n"
                   '#include "manager/invoke/call.h"\n\n'
                   f"const char ak_invoke_openapi[] =\n{lines};\n"
                   "const size_t ak_invoke_openapi_len = sizeof(ak_invoke_openapi) - 1;\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
