#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""gRPC with Node's grpc-js: the cases stand in node/cases.js; here its packages are installed (once,
into the build folder) and certificates made."""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import fake  # noqa: E402
import node_grpc  # noqa: E402
import tap  # noqa: E402


def main():
    try:
        modules = node_grpc.modules()
    except tap.Skip as why:
        print(f"1..0 # SKIP {why}")
        return 0
    with tempfile.TemporaryDirectory(prefix="weft-node-") as scratch:
        certs = fake.Certificates(scratch)
        env = {**os.environ, "NODE_PATH": modules, "CERTS": certs.folder, "FAKE_SERVER": fake.PROGRAM}
        return subprocess.run(["node", os.path.join(HERE, "node", "cases.js"), *sys.argv[1:]], env=env).returncode


sys.exit(main())
