# SPDX-License-Identifier: Apache-2.0
"""Scripts, and lists that must be complete."""
import ast
import os
import re
import subprocess

from tree import all_files, files, read


def shebang(path):
    with open(path, "rb") as file:
        return file.readline(80).decode(errors="replace") if os.path.getsize(path) else ""


def scripts_of(kind, suffix):
    return [path for path in all_files() if path.endswith(suffix) or
            (os.access(path, os.X_OK) and re.match(rf"#!.*\b{kind}", shebang(path)))]


def shell(_build):
    """shellcheck finds nothing in shell scripts"""
    paths = [path for path in scripts_of("(?:ba)?sh", ".sh") if not path.startswith("tests/fuzz/corpus/")]
    done = subprocess.run(["shellcheck", "-x", "-f", "gcc", "-S", "warning", "-s", "bash", *paths], capture_output=True,
                          text=True, check=False)
    yield from done.stdout.splitlines()
    if done.returncode > 1:
        yield done.stderr.strip()


def python(_build):
    """Python is valid, and uses Debian's interpreter"""
    for path in scripts_of("python", ".py"):
        try:
            ast.parse(read(path), path)
        except SyntaxError as error:
            yield f"{path}:{error.lineno}: {error.msg}"
        if os.access(path, os.X_OK) and shebang(path).strip() not in ("#!/usr/bin/python3", ""):
            yield f"{path}: begins with {shebang(path).strip()}"


def listed(_build):
    """every test and fuzz target is built"""
    for path in files(".c", under="tests/unit/"):
        folder, name = os.path.split(path)
        module = name.removeprefix("test-").removesuffix(".c")
        if name.startswith("test-") and not re.search(rf"['-]{re.escape(module)}\b", read(os.path.join(folder, "meson.build"))):
            yield f"{path} is not in {folder}/meson.build"
    for path in files(".c", under="tests/fuzz/fuzz-"):
        name = os.path.basename(path).removeprefix("fuzz-").removesuffix(".c")
        if f"fuzz-{name}.c" not in read("tests/fuzz/meson.build"):
            yield f"{path} is not in tests/fuzz/meson.build"
        if not any(other.startswith(f"tests/fuzz/corpus/{name}/") for other in all_files()):
            yield f"{path}: tests/fuzz/corpus/{name}/ is empty"


def vendored(_build):
    """no third-party code, archive or program is in the tree"""
    for path in all_files():
        if path.endswith((".so", ".a", ".o", ".tar", ".tar.gz", ".tgz", ".whl", ".jar")) or "/node_modules/" in path:
            yield path
        elif os.path.getsize(path) > 1 << 20:
            yield f"{path}: {os.path.getsize(path)} bytes"


CHECKS = [shell, python, listed, vendored]
