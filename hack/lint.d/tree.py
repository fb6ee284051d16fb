# SPDX-License-Identifier: Apache-2.0
"""Which files there are, and C text without its comments and strings."""
import functools
import os
import re
import subprocess

LEXEME = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.DOTALL)


@functools.lru_cache
def all_files():
    """What git knows, or would know after `git add`; without git, everything that is not hidden or built."""
    listed = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], capture_output=True, text=True, check=False)
    if listed.returncode == 0:
        return tuple(sorted(path for path in listed.stdout.splitlines() if os.path.isfile(path)))
    found = []
    for folder, folders, names in os.walk("."):
        folders[:] = [name for name in folders if not name.startswith((".", "build", "__pycache__"))]
        found += [os.path.relpath(os.path.join(folder, name)) for name in names]
    return tuple(sorted(found))


def files(*suffixes, under=""):
    folders = (under,) if isinstance(under, str) else under
    return [path for path in all_files() if path.endswith(suffixes) and path.startswith(tuple(folders))]


@functools.lru_cache(maxsize=None)
def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


@functools.lru_cache(maxsize=None)
def bare(path):
    """C text in which comments are blank and strings empty; the lines stay where they are."""
    def blank(match):
        text = match.group()
        if text[0] in "\"'":
            return text[0] * 2
        return "\n" * text.count("\n") or " "
    return LEXEME.sub(blank, read(path))


def matches(pattern, text):
    """(line number, match) of each place where the pattern matches."""
    for match in re.finditer(pattern, text):
        yield text.count("\n", 0, match.start()) + 1, match
