# SPDX-License-Identifier: Apache-2.0
"""Checks that need a compiler: format, clang-tidy, headers, symbols, the installed library."""
import json
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

from tree import bare, files

WORKERS = max(1, os.cpu_count() or 1)
# gcc's flags that clang-tidy 14 refuses
NOT_FOR_CLANG = ("-ftrivial-auto-var-init", "-Wduplicated", "-Wlogical-op")
ARCHIVE = "lib/libagentkube.a"
PROGRAM = """
#include <ak/base/log.h>
#include <ak/json/json.h>
%s
int main(void)
{
    json_t *tree = NULL;

    ak_json_setup();
    if (ak_json_parse("[1]", 3, &tree, NULL) < 0)
        return 1;
    ak_info("test", "linked", AK_INT("size", json_array_size(tree)));
    json_decref(tree);
    return 0;
}
"""


def run(*command, **options):
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, **options)


def in_parallel(function, items):
    with ThreadPoolExecutor(WORKERS) as pool:
        for findings in pool.map(function, items):
            yield from findings


def chunks(items, size):
    return [items[at:at + size] for at in range(0, len(items), size)]


def clang_format(_build):
    """clang-format would change nothing"""
    def check(paths):
        return [line for line in run("clang-format", "--dry-run", *paths).stderr.splitlines() if "warning:" in line]
    yield from in_parallel(check, chunks(files(".c", ".h"), 8))


def database(build, folder):
    """compile_commands.json for clang."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = json.load(file)
    for entry in entries:
        entry["command"] = " ".join(word for word in entry["command"].split() if not word.startswith(NOT_FOR_CLANG))
    with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
        json.dump(entries, file)
    return {os.path.relpath(os.path.join(entry["directory"], entry["file"])) for entry in entries}


def clang_tidy(build):
    """clang-tidy finds nothing in the library and the programs"""
    with tempfile.TemporaryDirectory() as folder:
        built = database(build, folder)
        paths = [path for path in files(".c", under=("lib/", "src/", "api/", "examples/")) if path in built]
        if not paths:
            yield f"none of the sources is in {build}/compile_commands.json"

        def check(some):
            done = run("clang-tidy", "-quiet", "-p", folder, *some)
            return sorted({line for line in done.stdout.splitlines() if re.search(r": (error|warning):", line)})
        yield from in_parallel(check, chunks(paths, 6))


def headers(build):
    """every header compiles alone"""
    paths = ["-std=gnu17", "-D_GNU_SOURCE", "-DAK_VERSION=\"0\"", "-Iinclude", "-Isrc", "-Iapi/include",
             "-Wall", "-Wno-unused-function"]

    def check(path):
        done = run("cc", *paths, "-iquote", os.path.dirname(path), "-fsyntax-only", "-include", path, "-x", "c", os.devnull)
        return [f"{path}:\n{done.stderr.strip()}"] if done.returncode else []
    yield from in_parallel(check, [path for path in files(".h") if not path.startswith("tests/")])


def make_archive(build):
    done = run("ninja", "-C", build, ARCHIVE)
    if done.returncode:
        raise OSError(f"{ARCHIVE} cannot be built: {done.stdout[-2000:]}")
    return os.path.join(build, ARCHIVE)


def symbols(build):
    """the library defines only ak_ symbols, and exports only what a public header declares"""
    declared = " ".join(bare(path) for path in files(".h", under="include/ak/"))
    public = set(re.findall(r"\bak_\w+", declared))
    for line in run("readelf", "-Ws", make_archive(build)).stdout.splitlines():
        fields = line.split()
        if len(fields) < 8 or fields[4] not in ("GLOBAL", "WEAK") or fields[6] == "UND" or fields[3] == "NOTYPE":
            continue
        name, visible = fields[7], fields[5] == "DEFAULT"
        if not name.startswith(("ak_", "ak__")):
            yield f"{name} does not begin with ak_"
        elif visible and name not in public:
            yield f"{name} is exported, but no header in include/ak declares it"


def unused_declarations(build):
    """everything that a public header declares is defined"""
    defined = {line.split()[-1] for line in run("nm", "-g", "--defined-only", make_archive(build)).stdout.splitlines() if line}
    for path in files(".h", under="include/ak/"):
        for name in re.findall(r"AK_PUBLIC[^;{=]*?\b(ak_\w+)\(", bare(path)):
            if name not in defined:
                yield f"{path}: {name}() is declared and nowhere defined"


def installed(build):
    """somebody else's program builds against the installed library"""
    make_archive(build)
    with tempfile.TemporaryDirectory() as folder:
        done = run("meson", "install", "-C", build, "--no-rebuild", "--tags", "devel", "--destdir", folder)
        if done.returncode:
            yield done.stdout + done.stderr
            return
        found = [os.path.join(where, name) for where, _folders, names in os.walk(folder) for name in names]
        config = [path for path in found if path.endswith("/libagentkube.pc")]
        if not config:
            yield "libagentkube.pc is not installed"
            return
        installed_headers = {path.split("/include/", 1)[1] for path in found if path.endswith(".h")}
        yield from (f"{path} is not installed" for path in files(".h", under="include/ak/")
                    if path.removeprefix("include/") not in installed_headers)
        program = os.path.join(folder, "program")
        everything = "\n".join(f"#include <{path}>" for path in sorted(installed_headers))
        with open(program + ".c", "w", encoding="utf-8") as file:
            file.write(PROGRAM % everything)
        relocate(config[0], folder)
        yield from build_program(config[0], program, build)


def relocate(config, folder):
    """DESTDIR is not where the file says that it is."""
    with open(config, encoding="utf-8") as file:
        text = file.read()
    with open(config, "w", encoding="utf-8") as file:
        file.write(re.sub(r"(?m)^prefix=", f"prefix={folder}", text))


def build_program(config, program, build):
    options = run("meson", "introspect", "--buildoptions", build).stdout
    extra = next((option["value"] for option in json.loads(options) if option["name"] == "pkg_config_path"), [])
    environment = {**os.environ, "PKG_CONFIG_PATH": ":".join([os.path.dirname(config), *extra])}
    flags = run("pkg-config", "--cflags", "--libs", "libagentkube", env=environment)
    if flags.returncode:
        yield flags.stderr
        return
    done = run("cc", program + ".c", "-o", program, *flags.stdout.split())
    if done.returncode:
        yield done.stderr
        return
    done = run(program)
    if done.returncode or '"msg":"linked","size":1}' not in done.stderr:
        yield f"the program says {done.stderr!r} and ends with {done.returncode}"


def tools():
    missing = [tool for tool in ("clang-format", "clang-tidy", "shellcheck", "readelf", "pkg-config") if not shutil.which(tool)]
    return f"missing: {' '.join(missing)}; run hack/deps build test" if missing else None


def tools_present(_build):
    """the tools of the other checks are installed"""
    if tools():
        yield tools()


CHECKS = [tools_present, clang_format, headers, symbols, unused_declarations, installed, clang_tidy]
