#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The runner that sdk_runner_test.py plays with, in Python: its stages do what their args say."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "sdk", "python"))
import weft  # noqa: E402

runner = weft.Runner(weft.Client(), name="doer", slots=2, ttl=60, labels={"os": "linux"},
                     metadata={"rack": "7"}, version="1.2")


class Speechless(Exception):
    def __str__(self):
        raise self


def do(ctx):
    args = ctx.args
    for percent, message, details in args.get("progress", ()):
        ctx.progress(percent, message, details)
    for given in args.get("checks", ()):
        ctx.check(given["name"], data=given.get("data"), failure=given.get("failure"))
    while "until" in args and not os.path.exists(args["until"]):
        if not args.get("deaf") and ctx.cancelled.is_set():
            raise RuntimeError(f"stopped: {ctx.reason}")
        time.sleep(0.005)
    if "failed" in args:
        raise weft.Failed(args["failed"], code="odd", final=args.get("final", False))
    if "raise" in args:
        raise ValueError(args["raise"])
    if "count" in args:
        with open(args["count"], "a", encoding="utf-8") as f:
            f.write("x")
    if args.get("speechless"):
        raise Speechless()
    if "bytes" in args:
        return "x" * args["bytes"]
    if args.get("no_json"):
        return float("nan")
    return {"args": args, "checks": [list(c) for c in ctx.checks], "attempt": ctx.attempt,
            "deadline": ctx.deadline, "token": ctx.token, "run": ctx.run}


runner.stage("do")(do)
runner.stage("sync_only", mode="sync", slots=0)(do)
runner.stage("async_only", mode="async")(do)
runner.serve(patience=float(os.environ.get("PATIENCE", "60")))
