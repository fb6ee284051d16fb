#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A real PostgreSQL for the demo: runs until its folder is gone, and leaves nothing behind.

    database_server.py --listen 10.250.0.1 --folder DIR --password ADMINS --sql FILE

FILE is executed in the database `app` once it is up; then DIR/port holds the port.
"""
import argparse
import os
import pathlib
import signal
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from kubetest.databases import Postgres  # noqa: E402


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", required=True)
    parser.add_argument("--folder", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--sql", required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with Postgres(host=options.listen, password=options.password) as server:
        server.sql(pathlib.Path(options.sql).read_text(encoding="utf-8"), database="app")
        folder = pathlib.Path(options.folder)
        (folder / "port.new").write_text(str(server.port), encoding="ascii")
        os.replace(folder / "port.new", folder / "port")
        while folder.is_dir() and server.process.poll() is None:
            time.sleep(1)


if __name__ == "__main__":
    main()
