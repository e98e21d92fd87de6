#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A runner of chaos_test.py, in Python; chaos_runner.mjs does the same. It keeps a ledger: a line
per execution that began, per one that came to its end, and per answer of weft to an end.

    chaos_runner.py NAME LISTEN ADDRESS TTL LEDGER        the server: WEFT_SERVER
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sdk/python"))
import weft  # noqa: E402

NAME, LISTEN, ADDRESS, TTL, LEDGER = sys.argv[1:]
LEDGER = os.open(LEDGER, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def note(*words):
    os.write(LEDGER, (" ".join(map(str, words)) + "\n").encode())


class Runner(weft.Runner):
    def _told(self, items, answers):
        for item in items:
            if item["token"] in answers:
                note("told", item["token"], item["outcome"], answers[item["token"]]["code"])


client = weft.Client(timeout=5, breaker=weft.Breaker(failures=10**9))
runner = Runner(client, name=NAME, slots=12, listen=LISTEN, address=ADDRESS, ttl=float(TTL), takeover=True,
                log=lambda text: print(text, file=sys.stderr, flush=True))


def wait(ctx, seconds):
    if ctx.cancelled.wait(seconds):
        raise RuntimeError(f"stopped: {ctx.reason}")


def work(ctx):
    args = ctx.args
    note("begin", ctx.token, ctx.run, ctx.name, ctx.attempt, f"{NAME}:{os.getpid()}")
    try:
        if ctx.mode == "async":
            ctx.progress(10, "begun")
        wait(ctx, args["ms"] / 1000)
        if ctx.attempt <= args.get("fails", 0):
            raise weft.Failed("as it should", code="scripted")
        if args.get("adds"):
            client.call("POST", f"/v1/runs/{ctx.run}:write", {"token": ctx.token, "stages": args["adds"]})
        for check in ctx.checks:
            ctx.check(check.name, data={"token": ctx.token, "by": ctx.name}, finalize=check.kind != "parts",
                      failure="for good" if args.get("final") else None)
        return {"token": ctx.token}
    finally:
        note("end", ctx.token, f"{NAME}:{os.getpid()}")


for kind in ("plan", "work"):
    runner.stage(kind)(work)
runner.serve()
