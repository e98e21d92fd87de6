# SPDX-License-Identifier: Apache-2.0
"""The packages for gRPC on Node, installed once, into the build folder, as net/node's lock file names them."""
import fcntl
import filecmp
import os
import shutil
import subprocess

import tap

HERE = os.path.dirname(os.path.abspath(__file__))
INSTALL_SECONDS_MAX = 120


def modules():
    """Their folder, for NODE_PATH. Raises tap.Skip where they cannot be had."""
    if not shutil.which("npm") or not shutil.which("node"):
        raise tap.Skip("there is no npm")
    folder = os.path.join(os.environ["WEFT_BUILD"], "node-grpc")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side
        install(folder)
    return os.path.join(folder, "node_modules")


def install(folder):
    """What is there already stays."""
    ours, theirs = (os.path.join(f, "package-lock.json") for f in (os.path.join(HERE, "net/node"), folder))
    ready = os.path.join(folder, "ready")
    if os.path.exists(ready) and filecmp.cmp(ours, theirs, shallow=False):
        return
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(HERE, "net/node", name), folder)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        raise tap.Skip("npm reaches no registry in time") from None
    if done.returncode:
        raise tap.Skip("npm cannot install: " + (done.stderr.strip().splitlines() or ["?"])[-1])
    with open(ready, "w", encoding="utf-8"):
        pass
