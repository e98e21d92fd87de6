#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""examples/ci-plan as the README shows it, for one compiler and one sanitizer."""
import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import node_grpc  # noqa: E402
import tap  # noqa: E402

SOURCE = os.environ["WEFT_SOURCE"]
SECONDS_MAX = 200


@tap.case
def the_example_plans_builds_and_tests_weft():
    try:
        import grpc  # noqa: F401  pylint: disable=import-outside-toplevel,unused-import
    except ImportError as error:
        raise tap.Skip("there is no grpcio for Python") from error
    if not shutil.which("gcc"):
        raise tap.Skip("there is no gcc")
    env = {**os.environ, "NODE_PATH": node_grpc.modules()}
    env.pop("WEFT_SERVER", None)
    done = subprocess.run([sys.executable, f"{SOURCE}/examples/ci-plan/run", "--compilers", "gcc",
                           "--sanitizers", "address"],
                          env=env, stdout=subprocess.PIPE, text=True, timeout=SECONDS_MAX,
                          check=False)
    lines = done.stdout.splitlines()
    tap.equal(lines[-4:], ["builds: SUCCEEDED, 1 results", "no warnings: SUCCEEDED, 1 results",
                           "tests pass: SUCCEEDED, 1 results", "run 1: SUCCEEDED"])
    tap.equal(done.returncode, 0)
    order = [f"{name:<24} SUCCEEDED" for name in
             ("plan", "build gcc address", "test gcc address", "tests pass", "summary")]
    tap.equal([line for line in lines if line in order], order)


tap.main()
