#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""embed.py OUTPUT DEPFILE ROOT: what exo-install carries, as one C file.

    operator/NN-x.yaml   agentkube/config/*.yaml          crds/x.yaml       agentkube/config/crd-generated/*.yaml
    rbac-strict/x.yaml   agentkube/config/rbac-strict/    values.yaml, values.schema.json   the chart's
    images.txt           one name for each folder of agentkube/images that an image is made from

The depfile names the folders too, so that a new file is noticed.
"""
import os
import sys

CONFIG = "agentkube/config"
CHART = "agentkube/helm/agentkube"
IMAGES = "agentkube/images"
FOLDERS = {"operator": CONFIG, "crds": CONFIG + "/crd-generated", "rbac-strict": CONFIG + "/rbac-strict"}


def listed(root, folder, ending):
    return sorted(name for name in os.listdir(os.path.join(root, folder)) if name.endswith(ending))


def image_names(root):
    """The manager's image first, then what bastions need, then one for each runtime."""
    names = [name for name in sorted(os.listdir(os.path.join(root, IMAGES))) if os.path.isdir(os.path.join(root, IMAGES, name))]
    bastions = [name for name in names if name.startswith("bastion-")]
    runtimes = [name for name in names if name != "manager" and name not in bastions]
    return ["agentkube-manager"] + [f"agentkube-{name}" for name in bastions] + [f"agentkube-runtime-{name}" for name in runtimes]


def contents(root):
    """[(name, path or None, bytes)]"""
    found = []
    for name, folder in FOLDERS.items():
        found += [(f"{name}/{file}", os.path.join(root, folder, file)) for file in listed(root, folder, ".yaml")]
    found += [(name, os.path.join(root, CHART, name)) for name in ("values.yaml", "values.schema.json")]
    for name, path in found:
        with open(path, "rb") as file:
            yield name, path, file.read()
    yield "images.txt", None, "".join(name + "\n" for name in image_names(root)).encode()


def literal(line):
    text = "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}" for byte in line)
    return f'    "{text}"\n'


def main(output, depfile, root):
    body, entries, paths = [], [], []
    for number, (name, path, data) in enumerate(contents(root)):
        lines = "".join(literal(line) for line in data.splitlines(keepends=True))
        body.append(f"static const char file_{number}[] =\n{lines};\n")
        entries.append(f'    {{"{name}", file_{number}, sizeof(file_{number}) - 1}},\n')
        if path:
            paths.append(path)
    paths += [os.path.join(root, folder) for folder in (*FOLDERS.values(), IMAGES)]
    with open(output, "w", encoding="ascii") as file:
        file.write("/* SPDX-License-Identifier: Apache-2.0 */\n/* Made by embed.py. */\n"
                   '#include "exo-install/manifests.h"\n\n')
        file.writelines(body)
        file.write("const struct ak_embedded ak_embedded_files[] = {\n")
        file.writelines(entries)
        file.write("    {0},\n};\n")
    with open(depfile, "w", encoding="utf-8") as file:
        file.write(f"{output}: {' '.join(path.replace(' ', chr(92) + ' ') for path in paths)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
