#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""api/v1alpha1/*.yaml is the single source of the definitions, the C types and the reference pages.

    api/generate.py --write    writes what is out of date
    api/generate.py --check    names what is out of date and fails
"""
import argparse
import pathlib
import sys

sys.dont_write_bytecode = True
ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "api"))
# pylint: disable=wrong-import-position
from generator import crd, ctypes, cwrite, reference, source  # noqa: E402

SIZE_LIMIT = 200 * 1000   # of all definitions together: plain `kubectl apply` and Helm must take them
PLAIN_FOLDER, CHART_FOLDER = "agentkube/config/crd-generated", "agentkube/helm/agentkube/crds"
CRD_FOLDERS = [PLAIN_FOLDER, CHART_FOLDER]


def outputs():
    """Path below the root -> text."""
    kinds = source.load(ROOT)
    shared, modules = ctypes.build(kinds)
    files = {"api/include/ak/api/types.h": cwrite.shared_header(shared),
             "api/generated/types.c": cwrite.shared_body(shared)}
    size = 0
    for kind in kinds:
        text = crd.write(kind)
        size += len(text.encode())
        name = f"{source.GROUP}_{kind.plural}.yaml"
        files[f"{PLAIN_FOLDER}/{name}"] = text
        files[f"{CHART_FOLDER}/{name}"] = crd.write(kind, for_chart=True)
        files[f"api/include/ak/api/{kind.file}.h"] = cwrite.kind_header(kind, modules[kind.file])
        files[f"api/generated/{kind.file}.c"] = cwrite.kind_body(kind, modules[kind.file])
        files[f"docs/reference/{kind.file}.md"] = reference.write(kind)
    if size > SIZE_LIMIT:
        raise source.SourceError(f"the definitions have {size} bytes, the limit is {SIZE_LIMIT}")
    return files


def stale(files):
    """Files whose text is not what the sources say, and generated definitions of kinds that are gone."""
    out = [path for path, text in files.items()
           if not (ROOT / path).exists() or (ROOT / path).read_text() != text]
    for folder in CRD_FOLDERS:
        if (ROOT / folder).is_dir():
            out += [f"{folder}/{p.name}" for p in (ROOT / folder).iterdir()
                    if f"{folder}/{p.name}" not in files and p.suffix == ".yaml"
                    and "Generated from api/" in p.read_text()]
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="write what is out of date")
    mode.add_argument("--check", action="store_true", help="fail when something is out of date")
    args = parser.parse_args()
    try:
        files = outputs()
    except source.SourceError as error:
        sys.exit(f"api/generate.py: {error}")
    paths = stale(files)
    for path in paths:
        target = ROOT / path
        if args.check:
            print(f"{path}: not what the schemas say; run api/generate.py --write")
        elif path in files:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(files[path])
            print(f"wrote {path}")
        else:
            target.unlink()
            print(f"removed {path}")
    return 1 if args.check and paths else 0


if __name__ == "__main__":
    sys.exit(main())
