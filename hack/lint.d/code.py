# SPDX-License-Identifier: Apache-2.0
"""What C text may not contain."""
import re

from tree import bare, files, matches, read

FILE_LINES_MAX = 800
FUNCTION_LINES_MAX = 60
COMMENT_COLUMNS_MAX = 120  # code ends at 100, which clang-format sees to
# Longer all the same, each with its reason.
LONG_FILES = {}
LONG_FUNCTIONS = {}
GENERATED = ("api/generated/", "include/generated/")

BANNED = {
    "strcpy": "ak_strdup, memcpy or struct ak_buf", "strcat": "struct ak_buf", "strncpy": "snprintf or memcpy",
    "strncat": "struct ak_buf", "sprintf": "snprintf", "vsprintf": "vsnprintf", "gets": "ak_buf_add_file",
    "strtok": "strcspn", "atoi": "ak_parse_i64", "atol": "ak_parse_i64", "atoll": "ak_parse_i64", "atof": "strtod",
    "strtol": "ak_parse_i64", "strtoll": "ak_parse_i64", "strtoul": "ak_parse_u64", "strtoull": "ak_parse_u64",
    "sscanf": "a parser of text.h", "gmtime": "ak_format_rfc3339", "localtime": "ak_format_rfc3339",
    "ctime": "ak_format_rfc3339", "asctime": "ak_format_rfc3339", "mktemp": "mkstemp", "tmpnam": "mkstemp",
    "rand": "getrandom", "srand": "getrandom", "usleep": "ak_cancel_sleep", "alloca": "ak_malloc",
}
BANNED_HEAP = {name: f"ak_{name}" for name in
               ("malloc", "calloc", "realloc", "reallocarray", "free", "strdup", "strndup", "asprintf")}
BANNED_HEAP["vasprintf"] = "struct ak_buf"
BANNED_IN_LIBRARY = {name: "an error that the caller gets" for name in
                     ("exit", "_exit", "abort", "quick_exit", "getenv", "secure_getenv", "setenv", "putenv", "system", "popen")}
BANNED_IN_LIBRARY.update({"printf": "ak_debug", "puts": "ak_debug", "perror": "ak_debug"})
# json_deep_copy() of jansson loses members and succeeds when memory is short.
BANNED_JSON = {"json_deep_copy": "ak_json_copy", "json_dumps": "ak_json_write", "json_loads": "ak_json_parse",
               "json_loadb": "ak_json_parse"}
# Tests may poll and parse in short ways, but not overrun buffers.
BANNED_IN_TESTS = ("strcpy", "strcat", "sprintf", "vsprintf", "gets", "strtok", "mktemp", "tmpnam")
MAY_CALL = {
    "include/ak/base/compiler.h": BANNED_HEAP,  # the attribute of that name
    "lib/base/alloc.c": BANNED_HEAP,  # the one door to the heap
    "lib/json/": BANNED_JSON,  # where they are wrapped
    # what the stop's deadline is for: a thread that hangs cannot be returned from
    "lib/manage/manager_signals.c": ("_exit",),
}


def banned_in(path):
    if path.startswith("tests/"):
        return {name: BANNED[name] for name in BANNED_IN_TESTS}
    names = BANNED | BANNED_HEAP | BANNED_JSON
    if path.startswith("lib/"):
        names |= BANNED_IN_LIBRARY
    for place, allowed in MAY_CALL.items():
        if path.startswith(place):
            names = {name: why for name, why in names.items() if name not in allowed}
    return names


def banned_functions(_build):
    """functions that have a safe replacement are not called"""
    for path in files(".c", ".h"):
        names = banned_in(path)
        for line, match in matches(r"(?<![\w.>])(\w+)\s*\(", bare(path)):
            if match.group(1) in names:
                yield f"{path}:{line}: {match.group(1)}(): use {names[match.group(1)]}"


def own_files():
    return [path for path in files(".c", ".h") if not path.startswith(GENERATED)]


def functions(path):
    """(name, first line, lines) of each function body: braces at the start of a line."""
    name, start = "", 0
    for number, line in enumerate(bare(path).splitlines(), 1):
        called = re.match(r"[A-Za-z_].*?\b(\w+)\(", line)
        if called and not line.startswith("#"):
            name = called.group(1)
        if line == "{":
            start = number
        elif line == "}" and start:
            yield name, start, number - start - 1
            start = 0


def sizes(_build):
    """files and functions are short enough to be read at once"""
    for path in own_files():
        lines = read(path).count("\n")
        if lines > FILE_LINES_MAX and path not in LONG_FILES:
            yield f"{path}: {lines} lines, more than {FILE_LINES_MAX}"
        for name, line, length in functions(path):
            if length > FUNCTION_LINES_MAX and name not in LONG_FUNCTIONS and name != "main":
                yield f"{path}:{line}: {name}() has {length} lines, more than {FUNCTION_LINES_MAX}"


def columns(_build):
    """comments and texts end before column 120"""
    for path in own_files():
        for number, line in enumerate(read(path).splitlines(), 1):
            if len(line) > COMMENT_COLUMNS_MAX and '"' not in line:
                yield f"{path}:{number}: {len(line)} columns"


def header_guards(_build):
    """guards are called AK_<LAYER>_<FILE>_H"""
    for path in files(".h"):
        if path.startswith(GENERATED):
            continue
        match = re.search(r"(?m)^#ifndef (\w+)\n#define (\w+)$", read(path))
        if not match or match.group(1) != match.group(2):
            yield f"{path}: no guard"
        elif path.startswith("include/ak/"):
            wanted = "AK_" + re.sub(r"\W", "_", path.removeprefix("include/ak/")).upper()
            if match.group(1) != wanted:
                yield f"{path}: the guard is {match.group(1)}, not {wanted}"


def plain_structs(_build):
    """structs are not hidden behind typedefs, comments are not //"""
    for path in own_files():
        # SSL_CTX is OpenSSL's name for its own struct, said again so that its headers are not needed
        for line, _match in matches(r"\btypedef\s+(struct|union|enum)\b(?! ssl_ctx_st)[^;(]*[{;]", bare(path)):
            yield f"{path}:{line}: typedef of a struct, union or enum"
        text = re.sub(r'"(?:\\.|[^"\\\n])*"|/\*.*?\*/', lambda m: "\n" * m.group().count("\n"), read(path), flags=re.DOTALL)
        for line, _match in matches(r"(?<!:)//", text):
            yield f"{path}:{line}: comment with //"


def error_texts(_build):
    """error texts have no dot or line end behind them"""
    call = r'\bak_error_(?:set|wrap)\(([^;]*?)\);'
    for path in files(".c", under=("lib/", "src/", "api/")):
        for line, match in matches(call, read(path)):
            texts = re.findall(r'"((?:\\.|[^"\\])*)"', match.group(1))
            if any(text.endswith("\\n") or re.search(r"(?<!\.)\.$", text) for text in texts):
                yield f"{path}:{line}: {texts}"


def licences(_build):
    """every source file names its licence first"""
    for path in files(".c", ".h", ".py", "meson.build", "Makefile", ".sh", "meson_options.txt"):
        head = "".join(read(path).splitlines(keepends=True)[:2])
        if "SPDX-License-Identifier: Apache-2.0" not in head and read(path).strip():
            yield path


def leftovers(_build):
    """nothing says that it is unfinished, or where it was made"""
    words = r"\b(?:TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b|/wo" r"rk/|\bshared/(?:design|reference)\b|\bissue #?\d"
    for path in files(".c", ".h", ".py", ".sh", ".md", ".yaml", ".txt", "meson.build", "Makefile", under=("",)):
        if path.startswith("tests/fuzz/corpus/"):
            continue
        for line, match in matches(words, read(path)):
            if not (match.group() == "XX" "X" and "XX" "XX" in read(path).splitlines()[line - 1]):
                yield f"{path}:{line}: {match.group()}"


CHECKS = [banned_functions, sizes, columns, header_guards, plain_structs, error_texts, licences, leftovers]
