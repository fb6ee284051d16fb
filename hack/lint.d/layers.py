# SPDX-License-Identifier: Apache-2.0
"""Who may include whom."""
import os
import re

from tree import files, matches, read

LAYERS = ["base", "json", "net", "kube", "flow", "manage"]
# The data path: a stage may know the values on its arrows and the stages next to it, not the far ones.
# What is not named here (key, event, change, reconcile's types) is a value or a contract for all.
STAGES = ["watch", "cache", "route", "queue", "reconcile", "apply"]
PROGRAMS = ["manager", "agentlet", "keeper", "bastion", "exo", "exo-install"]
PARTS = ["terminal", "runtimes", "engines", "door", "process"]  # of src/: for several programs
INCLUDE = r'(?m)^#\s*include\s+[<"]([^>"]+)[>"]'


def layer_of(path):
    match = re.match(r"(?:lib|include/ak)/(\w+)/", path)
    return match.group(1) if match else None


def includes(path):
    return [(line, match.group(1)) for line, match in matches(INCLUDE, read(path))]


def layer_order(_build):
    """a layer includes only itself and lower ones"""
    for path in files(".c", ".h", under=("lib/", "include/ak/")):
        own = layer_of(path)
        for line, name in includes(path):
            other = re.match(r"ak/(\w+)/", name)
            if other and own in LAYERS and LAYERS.index(other.group(1)) > LAYERS.index(own):
                yield f"{path}:{line}: {own} includes {name}"


def library_alone(_build):
    """the library knows no program and no kind of ours"""
    for path in files(".c", ".h", under=("lib/", "include/")):
        for line, name in includes(path):
            if name.startswith((*(f"{program}/" for program in PROGRAMS), "src/", "api/", "agentkube/")):
                yield f"{path}:{line}: includes {name}"


def programs_apart(_build):
    """programs do not include each other"""
    for program in PROGRAMS:
        for path in files(".c", ".h", under=f"src/{program}/"):
            for line, name in includes(path):
                if name.startswith(tuple(f"{other}/" for other in PROGRAMS if other != program)):
                    yield f"{path}:{line}: {program} includes {name}"


def parts_alone(_build):
    """what several programs are made of knows none of them"""
    for part in PARTS:
        for path in files(".c", ".h", under=f"src/{part}/"):
            for line, name in includes(path):
                if name.startswith(tuple(f"{program}/" for program in PROGRAMS)):
                    yield f"{path}:{line}: {part} includes {name}"


def stage_order(_build):
    """an event cannot reach a reconciler: a stage of the data path includes only its neighbours"""
    for path in files(".c", ".h", under="lib/flow/"):
        stage = path.split("/")[2].removesuffix(".c").removesuffix(".h")
        if stage not in STAGES:
            continue
        for line, name in includes(path):
            other = os.path.basename(name).removesuffix(".h") if name.startswith("ak/flow/") else None
            if other in STAGES and abs(STAGES.index(other) - STAGES.index(stage)) > 1:
                yield f"{path}:{line}: {stage} includes {name}"


def no_drawers(_build):
    """no folder or file is a drawer for anything"""
    for path in files(".c", ".h", ".py", ".sh"):
        for part in path.split("/"):
            if re.fullmatch(r"(utils?|common|misc|shared|helpers?)(\..*)?", part) and not path.startswith("hack/cluster.d/"):
                yield path


CHECKS = [layer_order, library_alone, programs_apart, parts_alone, stage_order, no_drawers]
