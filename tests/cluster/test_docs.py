# SPDX-License-Identifier: Apache-2.0
"""Documents say what is true: commands are run, links and paths exist, names agree with the code.

A line directly above each ```sh block says what becomes of it here:

    <!-- run -->                 run in the root of the tree, after `make`
    <!-- run: control plane -->  the same with KUBECONFIG, and kubectl and helm on the PATH
    <!-- not run: REASON -->     not run, and why
"""
import os
import re
import subprocess

import pytest
import yaml

from kubetest import program
from kubetest.cluster import ROOT

MARK = re.compile(r"^<!-- (run|run: control plane|not run: (.{10,})) -->$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^\s*```(\w*)")
TREE = ("agentkube/", "api/", "docs/", "examples/", "hack/", "include/", "lib/", "src/", "tests/")
LIMIT_SECONDS = 300


def documents():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, text=True,
                            capture_output=True, check=False)
    if listed.returncode == 0:
        return sorted(path for path in listed.stdout.split() if os.path.exists(f"{ROOT}/{path}"))
    found = []  # a tree without git: an unpacked archive
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not name.startswith((".", "build"))]
        found += [os.path.relpath(f"{folder}/{name}", ROOT) for name in files if name.endswith(".md")]
    return sorted(found)


def text_of(path):
    with open(f"{ROOT}/{path}", encoding="utf-8") as file:
        return file.read()


def blocks(path, languages=("sh", "bash", "shell", "console")):
    """(line number, mark, text) of each block of these languages; outside is what stands between blocks of any kind."""
    found, outside = [], []
    before, language, body, start = "", None, [], 0
    for number, line in enumerate(text_of(path).splitlines(), 1):
        fence = FENCE.match(line)
        if language is None and fence:
            language, body, start = fence.group(1), [], number
        elif language is not None and fence:
            if language in languages:
                found.append((start, before, "\n".join(body)))
            language, before = None, ""
        elif language is not None:
            body.append(line.strip() if line.lstrip().startswith("$ ") else line)
        else:
            outside.append(line)
            if line.strip():
                before = line.strip()
    return found, "\n".join(outside)


DOCUMENTS = documents()
WITH_COMMANDS = [path for path in DOCUMENTS if blocks(path)[0]]


@pytest.mark.parametrize("path", WITH_COMMANDS)
def test_every_block_of_commands_says_whether_it_is_run(path):
    for line, mark, _ in blocks(path)[0]:
        assert MARK.match(mark), f"{path}:{line}: the line above the block must be <!-- run -->, <!-- run: control plane --> or <!-- not run: REASON -->"


def to_run(path):
    return [(line, mark, text) for line, mark, text in blocks(path)[0] if mark.startswith("<!-- run")]


@pytest.mark.parametrize("path", [path for path in WITH_COMMANDS if to_run(path)])
def test_the_commands_work(path, request, scratch):
    environment = {**os.environ, "HOME": f"{scratch}/home", "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"),
                   "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": "-p no:cacheprovider"}
    os.makedirs(environment["HOME"], exist_ok=True)
    kube = None
    if any("control plane" in mark for _, mark, _ in to_run(path)):
        kube = request.getfixturevalue("control_plane")
        if kube.foreign:
            pytest.skip("installs the manager, which is not for a cluster of yours")
        environment.update(KUBECONFIG=kube.kubeconfig, PATH=f"{kube.tools}:{os.environ['PATH']}")
    try:
        for line, _, text in to_run(path):
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
            assert done.returncode == 0, f"{path}:{line}: exit code {done.returncode}\n{text}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    finally:
        if kube:
            kube.helm("uninstall", "agentkube", "--namespace", "agentkube-system", "--ignore-not-found")
            kube.kubectl("delete", "-f", "agentkube/config/", "--ignore-not-found", "--timeout=60s")
            kube.kubectl("delete", "agents,tools,mcps,llmgateways,claws", "--all", "--all-namespaces", "--timeout=60s")


def manifests(path):
    """(line number, object) of each whole object of ours, or of Kubernetes' rights, in a yaml block."""
    for line, _, text in blocks(path, ("yaml",))[0]:
        try:
            found = list(yaml.safe_load_all(text))
        except yaml.YAMLError:
            continue  # what a template or an excerpt looks like is not for a server
        yield from ((line, thing) for thing in found if isinstance(thing, dict) and {"apiVersion", "kind", "metadata"} <= set(thing))


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if list(manifests(path))])
def test_manifests_are_accepted(path, control_plane, namespace):
    control_plane.install_crds()  # commands above may have taken them away
    for line, thing in manifests(path):
        thing["metadata"].pop("namespace", None)
        done = subprocess.run([control_plane.tools + "/kubectl", f"--kubeconfig={control_plane.kubeconfig}", "-n", namespace, "create", "--dry-run=server", "-f", "-"],
                              input=yaml.safe_dump(thing), text=True, capture_output=True, check=False)
        assert done.returncode == 0, f"{path}:{line}: {done.stderr}"


EXO = re.compile(r"(?:^|[|(&;] *)(?:build/bin/)?exo ([^|>&;#)]*)", re.MULTILINE)


def typed():
    """(document, words) of every exo command in a block of commands, or in backticks where it has a flag."""
    for path in DOCUMENTS:
        text = "\n".join(text for _, _, text in blocks(path)[0])
        for words in EXO.findall(text.replace("\\\n", " ")) + [code[4:] for code in CODE.findall(blocks(path)[1]) if code.startswith("exo ")]:
            yield path, re.sub(r"'[^']*'|\"[^\"]*\"", "TEXT", words).split()


def test_commands_of_exo_that_are_named_exist():
    helps, n = {}, 0

    def help_of(*words):
        if words not in helps:
            helps[words] = subprocess.run([program("exo"), *words, "--help"], capture_output=True, text=True, check=False)
        return helps[words]
    for path, words in typed():
        plain = words[:words.index("--")] if "--" in words else words
        if not plain or plain[0].startswith("-") or not re.fullmatch(r"[a-z]+", plain[0]):
            continue
        verb = plain[1:2] if len(plain) > 1 and re.fullmatch(r"[a-z]+", plain[1]) and "VERB" in help_of(plain[0]).stdout.splitlines()[0] else []
        done = help_of(plain[0], *verb)
        assert done.returncode == 0, f"{path}: exo {' '.join(words)}: {done.stderr}"
        for flag in re.findall(r"(?<=\s)--[a-z][\w-]*", " " + " ".join(plain)):
            assert f" {flag}" in done.stdout, f"{path}: exo {' '.join(words)} has no {flag}"
        n += 1
    assert n > 30, "the documents name more than that"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_links_lead_somewhere(path):
    for target in LINK.findall(blocks(path)[1]):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        at = os.path.normpath(os.path.join(os.path.dirname(path), file)) if file else path
        assert os.path.exists(f"{ROOT}/{at}"), f"{path}: {target}"
        if anchor and at.endswith(".md"):
            headings = [re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
                        for heading in re.findall(r"^#+ (.*)$", text_of(at), re.MULTILINE)]
            assert anchor in headings, f"{path}: {target}"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_paths_that_are_named_exist(path):
    for word in CODE.findall(blocks(path)[1]):
        if word.startswith(TREE) and re.fullmatch(r"[\w./-]+", word):
            assert os.path.exists(f"{ROOT}/{word.rstrip('/')}"), f"{path}: {word}"


def test_every_document_can_be_found_from_the_index():
    index = text_of("docs/README.md")
    for path in DOCUMENTS:
        if path.startswith("docs/") and not path.startswith("docs/reference/") and path != "docs/README.md":
            assert f"({path[len('docs/'):]})" in index, f"docs/README.md does not list {path}"


@pytest.mark.parametrize("path", DOCUMENTS)
def test_make_targets_that_are_named_exist(path):
    makefile = text_of("Makefile")
    targets = set(" ".join(re.findall(r"^([a-z][\w -]*):", makefile, re.MULTILINE)).split())
    for word in re.findall(r"`make ([a-z][\w-]*)`", text_of(path)):
        assert word in targets, f"{path}: make {word}"


def test_the_suites_that_are_named_exist():
    listed = subprocess.run(["hack/test", "--list"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = {line.split()[0] for line in listed.splitlines()}
    for path in DOCUMENTS:
        for word in re.findall(r"`hack/test ([a-z][\w-]*)`", text_of(path)):
            assert word in names, f"{path}: hack/test {word}"


def test_the_changelog_has_the_version():
    assert f"## {text_of('VERSION').strip()} " in text_of("CHANGELOG.md")


def test_the_architecture_page_knows_every_layer():
    page = text_of("docs/ARCHITECTURE.md")
    for folder in sorted(os.listdir(f"{ROOT}/lib")):
        if os.path.isdir(f"{ROOT}/lib/{folder}"):
            assert f"| `lib/{folder}` |" in page


def test_continuous_integration_runs_what_the_readme_says():
    assert "\nmake test\n" in text_of("README.md") and "exec make test\n" in text_of(".ci/run")
