#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plans, the basic rows: a stage is pushed to a runner, and its checks are concluded."""
import threading
import time

import tap
from plans import SECONDS_MAX, World, stage, until
from world import on_both_stores


@on_both_stores
def a_sync_stage_answers_its_check_D_01_D_52_D_53_D_55(store):
    with World(store) as w:
        runner, plan = w.runner(), w.plan(metadata={"commit": "3eb4c8e"})
        tap.equal((plan.row["state"], plan.get()["metadata"]), ("RUNNING", {"commit": "3eb4c8e"}))
        begun = time.monotonic()
        plan.write(checks=[{"name": "builds", "kind": "question", "options": {"deep": True}}],
                   stages=[stage("compile", checks=["builds"], args={"target": "all"})])
        (request,) = runner.wait()
        tap.equal(request.at - begun < 2, True)
        tasks = plan.wait(compile="SUCCEEDED", builds="SUCCEEDED", seconds=5)
        tap.equal((request.mode, request.name, request.attempt, request.args, request.checks),
                  ("sync", "compile", 1, {"target": "all"}, ["builds"]))
        tap.equal(tasks["compile"]["output"], {"stage": "compile", "attempt": 1})
        (result,) = tasks["builds"]["check"]["results"]
        tap.equal((result["owner"], result["data"], "failure" in result), ("compile:1", {"by": "compile"}, False))
        tap.equal((tasks["builds"]["check"]["state"], tasks["builds"]["check"]["kind"]), ("FINAL", "question"))
        plan.seal()
        plan.wait_end()
        tap.equal(runner.names(), ["compile"])


@on_both_stores
def an_async_stage_calls_back_D_02(store):
    with World(store) as w:
        runner, plan = w.runner(), w.plan()
        plan.write(checks=["builds"], stages=[stage("compile", checks=["builds"], mode="async")])
        plan.wait(compile="SUCCEEDED", builds="SUCCEEDED")
        tap.equal((runner.names("async"), runner.names("sync")), (["compile"], []))
        tap.equal(runner.wait_answer(runner.requests[0].token), "OK")
        tap.equal([p["percent"] for p in plan.told("compile")], [50])


@tap.case
def one_stage_answers_three_checks_D_03():
    with World() as w:
        w.runner()
        plan = w.plan()
        checks = ["builds", "links", "is small"]
        plan.write(checks=checks, stages=[stage("compile", checks=checks)])
        plan.wait(**dict.fromkeys(checks, "SUCCEEDED"))
        tap.equal([plan.results(c)[0]["owner"] for c in checks], ["compile:1"] * 3)


@tap.case
def a_stage_waits_for_the_check_of_another_D_04():
    with World() as w:
        runner, plan = w.runner(), w.plan()
        written = plan.write(checks=["builds", "tests pass"], stages=[
            stage("test", checks=["tests pass"], needs=["builds"]), stage("compile", checks=["builds"])])
        tap.equal(written["test"]["state"], "BLOCKED")
        plan.wait(test="SUCCEEDED")
        tap.equal(runner.names(), ["compile", "test"])


@tap.case
def independent_stages_overlap_D_05():
    together = threading.Barrier(3)

    def meet(ctx):
        together.wait(SECONDS_MAX)  # none of them returns before all have been called
        return ctx.name

    with World() as w:
        runner, plan = w.runner(on_run=meet), w.plan()
        names = ["a", "b", "c"]
        plan.write(stages=[stage(n) for n in names])
        plan.wait(**dict.fromkeys(names, "SUCCEEDED"))
        tap.equal((sorted(runner.names()), runner.load_max), (names, 3))


@tap.case
def states_are_gone_through_in_order_D_54_D_56():
    with World() as w:
        runner, plan = w.runner(), w.plan()
        plan.write(checks=[{"name": "builds", "state": "PLANNING"}],
                   stages=[stage("first"), stage("compile", checks=["builds"], needs=["first"])])
        plan.write(checks=[{"name": "builds", "state": "PLANNED"}])
        tasks = plan.wait(compile="SUCCEEDED", builds="SUCCEEDED")
        tap.equal(plan.events("compile"), ["BLOCKED", "READY", "RUNNING", "SUCCEEDED"])
        # Being planned, planned, waiting for results, final.
        tap.equal(plan.events("builds"), ["BLOCKED", "BLOCKED", "READY", "check_result", "SUCCEEDED"])
        (attempt,) = tasks["compile"]["attempts"]
        tap.equal((attempt["number"], attempt["outcome"], attempt["worker"]),
                  (1, "succeeded", w.workers()[runner.name]["id"]))
        tap.equal(attempt["started_at"] <= attempt["ended_at"], True)
        tap.equal(tasks["compile"]["created_at"] <= attempt["started_at"], True)


@on_both_stores
def load_is_the_leases_that_live_D_57(store):
    with World(store) as w:
        runner, plan = w.runner(script=["stall", "fail_final", "succeed"]), w.plan()
        plan.write(stages=[stage("one")])
        runner.wait(1)
        tap.equal(w.busy(runner), 1)
        plan.write(stages=[stage("two")])
        plan.wait(two="FAILED")
        plan.write(stages=[stage("three", mode="async")])
        plan.wait(three="SUCCEEDED")
        tap.equal(w.busy(runner), 1)
        runner.release()
        plan.wait(one="SUCCEEDED")
        until(lambda: w.busy(runner) == 0, "a runner at rest")


tap.main()
