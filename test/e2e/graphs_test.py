#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Graphs as CI uses them, carried by real processes."""
import tap
from world import World, task

# Waits for a file that another task makes; ends by itself, should that never come.
AWAIT = "for i in $(seq 500); do test -e $WORLD/$1 && exit; sleep 0.1; done; exit 1"


@tap.case
def branches_do_not_wait_for_each_other():
    # D-30: the slow branch can only go on when the fast one is at its end
    with World() as w:
        run = w.run({
            "fast1": {"run": ["log", "fast1"]},
            "fast2": {"needs": ["fast1"], "run": ["log", "fast2"]},
            "fast3": {"needs": ["fast2"], "sh": "log fast3; touch $WORLD/end_of_fast"},
            "slow1": {"run": ["sh", "-c", f"({AWAIT}) && log slow1", "-", "end_of_fast"]},
            "slow2": {"needs": ["slow1"], "run": ["log", "slow2"]},
        }, "-j", "2")
        tap.equal(run["state"], "SUCCEEDED", run)
        tap.equal(w.ledger(), ["fast1", "fast2", "fast3", "slow1", "slow2"])


@tap.case
def a_ci_pipeline_runs_in_order():
    # D-31
    steps = {"plan": [], "build": ["plan"], "unit": ["build"], "lint": ["build"],
             "deploy": ["unit", "lint"]}
    with World() as w:
        run = w.run({name: {"needs": needs, "sh": "log $WEFT_TASK; echo '{\"ok\": true}' > $WEFT_OUTPUT"}
                     for name, needs in steps.items()})
        order = w.ledger()
        tap.equal(sorted(order), sorted(steps))
        for name, needs in steps.items():
            assert all(order.index(n) < order.index(name) for n in needs), order
        for name in steps:
            t = task(run, name)
            tap.equal((t["state"], t["output"], len(t.get("attempts", []))), ("SUCCEEDED", {"ok": True}, 1))


@tap.case
def one_stage_for_many_platforms():
    # D-32
    platforms = [f"{system}-{machine}" for system in ("linux", "mac", "win")
                 for machine in ("x86 64", "arm64")]
    build = 'printf \'{"built": "%s for %s"}\' "$KIND" "$1" > "$WEFT_OUTPUT"'
    with World() as w:
        run = w.run({
            "source": {"sh": "echo '{\"kind\": \"release\"}' > $WEFT_OUTPUT"},
            **{f"build {p}": {"needs": ["source"], "run": ["sh", "-c", build, "-", p],
                              "env": {"KIND": "${tasks.source.output.kind}"}} for p in platforms},
            "publish": {"needs": [f"build {p}" for p in platforms], "run": ["log", "publish"]},
        })
        tap.equal({t["state"] for t in run["tasks"]}, {"SUCCEEDED"})
        for p in platforms:
            tap.equal(task(run, f"build {p}")["output"], {"built": f"release for {p}"})
        tap.equal(w.ledger(), ["publish"])


tap.main()
