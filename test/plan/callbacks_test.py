#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plans, the rows about what a stage tells: progress, results of checks, failures."""
import time

import tap
from plans import FINAL, ONCE, World, stage, until
from world import on_both_stores

import weft

TOLD = [(10, "begun", {"step": 1}), (40, "compiling", {"step": 2}), (90, "linking", {"step": 3})]


def tell(ctx):
    for percent, message, details in TOLD:
        ctx.progress(percent, message, details)


@on_both_stores
def progress_is_kept_in_order_D_35_D_36(store):
    with World(store) as w:
        w.runner(on_run_async=tell)
        plan = w.plan()
        plan.write(stages=[stage("one", mode="async")])
        plan.wait(one="SUCCEEDED")
        told = plan.told("one")
        tap.equal([(p["percent"], p["message"], p["details"]) for p in told], TOLD)
        times = [p["at"] for p in told]
        tap.equal(times, sorted(times))
        events = w.client.call("GET", "/v1/events", query={"run": plan.id, "max": 10000})["events"]
        tap.equal([(e["data"]["percent"], e["data"]["message"]) for e in events if e["kind"] == "task_PROGRESS"],
                  [told[:2] for told in TOLD])


@on_both_stores
def several_checks_are_told_at_once_D_37_D_38(store):
    def work(ctx):
        ctx.check("builds", data={"warnings": 0})
        ctx.check("links", data=[1, 2])
        ctx.check("is small", failure="9 MiB", data={"bytes": 9 << 20})

    with World(store) as w:
        w.runner(on_run=work, on_run_async=work)
        for mode in ("sync", "async"):
            plan = w.plan()
            checks = ["builds", "links", "is small"]
            plan.write(checks=checks, stages=[stage("one", checks=checks, mode=mode)])
            # With the end of the stage all of them are there: it is one transaction.
            plan.wait(one="SUCCEEDED")
            tap.equal(plan.states(*checks), {"builds": "SUCCEEDED", "links": "SUCCEEDED", "is small": "FAILED"})
            tap.equal([plan.results(c)[0]["data"] for c in checks], [{"warnings": 0}, [1, 2], {"bytes": 9 << 20}])
            tap.equal(plan.results("is small")[0]["failure"], {"code": "failed", "message": "9 MiB"})


@tap.case
def what_waits_is_pushed_as_soon_as_it_is_free_D_39():
    ended = {}

    def work(ctx):
        ended[ctx.name] = time.monotonic()

    with World() as w:
        runner, plan = w.runner(on_run=work, on_run_async=work), w.plan()
        names = [f"s{n}" for n in range(10)]
        plan.write(stages=[stage(n, needs=[names[i - 1]] if i else (), mode=("sync", "async")[i % 2])
                           for i, n in enumerate(names)])
        plan.wait(**dict.fromkeys(names, "SUCCEEDED"))
        begun = time.monotonic()
        for _ in range(10):
            plan.get()
        trip = (time.monotonic() - begun) / 10
        pauses = sorted(r.at - ended[before] for r, before in zip(runner.requests[1:], names))
        # Who looked now and then would need longer, also where everything is slow.
        tap.equal(pauses[len(pauses) // 2] < max(0.25, 20 * trip), True, (trip, pauses))


@on_both_stores
def a_failure_is_kept_with_its_words_and_time_D_40(store):
    def work(ctx):
        ctx.check("builds", failure=weft.Failed("two errors", code="cc"), finalize=False)
        raise weft.Failed("the compiler failed", code="cc")

    with World(store) as w:
        w.runner(on_run=work, on_run_async=work)
        for mode in ("sync", "async"):
            plan = w.plan()
            plan.write(checks=["builds"], stages=[stage("one", checks=["builds"], mode=mode, retry=ONCE)])
            task = plan.wait(one="FAILED")["one"]
            (attempt,) = task["attempts"]
            tap.equal((attempt["outcome"], attempt["message"], "ended_at" in attempt),
                      ("failed", "cc: the compiler failed", True))
            (result,) = plan.results("builds")
            tap.equal((result["failure"], result["owner"]), ({"code": "cc", "message": "two errors"}, "one:1"))
            tap.equal("at" in result, True)
            # The run grows, and another stage may answer it.
            tap.equal(plan.task("builds")["state"] in FINAL, False)
            plan.seal()
            plan.wait(builds="FAILED")
            plan.wait_end("FAILED")


@tap.case
def a_token_writes_to_its_own_run_alone():
    told = []

    def work(ctx):
        for plan in plans:
            try:
                plan.write(token=ctx.token, stages=[stage("more", "nobody")])
                told.append("OK")
            except weft.Refused as error:
                told.append(error.code)

    with World() as w:
        plans = [w.plan(), w.plan()]
        w.runner(on_run=work)
        plans[0].write(stages=[stage("one")])
        until(lambda: len(told) == 2, "both writes")
        tap.equal(told, ["OK", "permission_denied"])
        plans[0].wait(one="AWAITING")
        tap.equal(plans[1].states(), {})


tap.main()
