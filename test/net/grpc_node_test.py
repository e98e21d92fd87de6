#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gRPC with Node's grpc-js: the cases stand in node/cases.js; here its packages are installed (once,
into the build folder) and certificates made."""
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import fake  # noqa: E402

INSTALL_SECONDS_MAX = 120


def skip(why):
    print(f"1..0 # SKIP {why}")
    sys.exit(0)


def install(folder):
    """The packages as the lock file names them; what is there already stays."""
    os.makedirs(folder, exist_ok=True)
    ours, theirs = (os.path.join(f, "package-lock.json") for f in (os.path.join(HERE, "node"), folder))
    ready = os.path.join(folder, "ready")
    if os.path.exists(ready) and filecmp.cmp(ours, theirs, shallow=False):
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(HERE, "node", name), folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        skip("npm reaches no registry in time")
    if done.returncode:
        skip("npm cannot install: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    with open(ready, "w", encoding="utf-8"):
        pass


def main():
    if not shutil.which("npm") or not shutil.which("node"):
        skip("there is no npm")
    folder = os.path.join(os.environ["WEFT_BUILD"], "node-grpc")
    install(folder)
    with tempfile.TemporaryDirectory(prefix="weft-node-") as scratch:
        certs = fake.Certificates(scratch)
        env = {**os.environ, "NODE_PATH": os.path.join(folder, "node_modules"), "CERTS": certs.folder,
               "FAKE_SERVER": fake.PROGRAM}
        return subprocess.run(["node", os.path.join(HERE, "node", "cases.js"), *sys.argv[1:]], env=env).returncode


sys.exit(main())
