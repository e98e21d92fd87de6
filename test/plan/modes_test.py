#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plans, the rows about sync and async stages: their ends, progress and deadlines."""
import threading
import time

import tap
from plans import FINAL, ONCE, SECONDS_MAX, World, refused, stage, until
from weft.testing import succeed
from world import on_both_stores

import weft


@tap.case
def a_sync_attempt_is_kept_with_its_times_D_20():
    with World() as w:
        w.runner()
        plan = w.plan()
        plan.write(checks=["builds"], stages=[stage("one", checks=["builds"])])
        tasks = plan.wait(one="SUCCEEDED", builds="SUCCEEDED")
        (attempt,) = tasks["one"]["attempts"]
        tap.equal((attempt["outcome"], attempt["started_at"] <= attempt["ended_at"]), ("succeeded", True))
        tap.equal((float(attempt["run_time"].rstrip("s")) > 0, "queue_wait" in attempt), (True, True))


@on_both_stores
def a_failed_call_leaves_stage_and_check_to_another_try_D_21(store):
    with World(store) as w:
        w.runner(script=["fail"])
        plan = w.plan()
        slow = {"max_attempts": 3, "backoff_base": "60s"}
        plan.write(checks=["builds"], stages=[stage("one", checks=["builds"], retry=slow)])
        task = plan.wait(one="DELAYED")["one"]
        (attempt,) = task["attempts"]
        tap.equal(attempt["outcome"], "failed")
        tap.contains(attempt["message"], "scripted: one fails as it should")
        tap.equal(plan.task("builds")["state"] in FINAL, False)


@tap.case
def an_async_stage_is_accepted_runs_and_calls_back_D_22():
    with World() as w:
        runner, plan = w.runner(script=["stall"]), w.plan()
        plan.write(checks=["builds"], stages=[stage("one", checks=["builds"], mode="async")])
        plan.wait(one="RUNNING")
        tap.equal(plan.task("builds")["state"] in FINAL, False)
        runner.release()
        tasks = plan.wait(one="SUCCEEDED", builds="SUCCEEDED")
        tap.equal(tasks["one"]["attempts"][0]["outcome"], "succeeded")


@tap.case
def progress_can_be_seen_while_it_runs_D_23():
    go_on = threading.Event()

    def work(ctx):
        ctx.progress(30, "a third", {"files": 7})
        go_on.wait(SECONDS_MAX)
        ctx.progress(60, "two thirds")
        ctx.cancelled.wait(SECONDS_MAX)
        raise weft.Failed(ctx.reason)

    with World() as w:
        runner, plan = w.runner(on_run_async=work), w.plan()
        plan.write(stages=[stage("one", mode="async")])

        def seen(percent, message):
            (attempt,) = plan.whole("one").get("attempts", []) or [{}]
            return (attempt.get("percent"), attempt.get("message")) == (percent, message) and attempt["progress"][-1]["at"]

        first = until(lambda: seen(30, "a third"), "progress")
        go_on.set()
        tap.equal(until(lambda: seen(60, "two thirds"), "more progress") > first, True)
        plan.cancel()
        plan.wait(one="CANCELLED")
        tap.equal(len(runner.names()), 1)


@tap.case
def a_failure_that_is_called_back_ends_the_attempt_D_24():
    with World() as w:
        runner, plan = w.runner(script=["fail"]), w.plan()
        plan.write(stages=[stage("one", mode="async", retry=ONCE)])
        task = plan.wait(one="FAILED")["one"]
        (attempt,) = task["attempts"]
        tap.equal(attempt["outcome"], "failed")
        tap.contains(attempt["message"], "one fails as it should")
        tap.equal(runner.wait_answer(runner.requests[0].token), "OK")


@on_both_stores
def a_deadline_ends_the_attempt_and_a_late_end_is_refused_D_25(store):
    over = threading.Event()

    def late(ctx):
        over.wait(SECONDS_MAX)
        return succeed(ctx)

    with World(store) as w:
        runner, plan = w.runner(script=[late], slots=1), w.plan()
        plan.write(checks=["builds"], stages=[
            stage("one", checks=["builds"], mode="async", timeout="0.3s", retry=ONCE)])
        (attempt,) = plan.wait(one="FAILED")["one"]["attempts"]
        over.set()
        tap.equal(attempt["outcome"], "timed_out")
        tap.equal(runner.wait_answer(runner.requests[0].token) in ("lease_lost", "completion_conflict"), True)
        tap.equal(plan.results("builds"), [])
        until(lambda: w.busy(runner) == 0, "a free slot")
        plan.write(stages=[stage("two")])
        plan.wait(two="SUCCEEDED")


@tap.case
def a_deadline_cuts_a_sync_call():
    with World() as w:
        runner, plan = w.runner(script=["late"], slots=1), w.plan()
        plan.write(stages=[stage("one", timeout="0.5s", retry=ONCE)])
        (attempt,) = plan.wait(one="FAILED")["one"]["attempts"]
        tap.equal(attempt["outcome"], "timed_out")
        tap.equal(runner.wait_answer(runner.requests[0].token) in ("lease_lost", "completion_conflict"), True)


@tap.case
def the_deadline_travels_with_the_call_D_26():
    with World() as w:
        runner, plan = w.runner(), w.plan()
        plan.write(stages=[stage("one", timeout="90s"), stage("two", timeout="90s", mode="async")])
        begun = time.time()
        plan.wait(one="SUCCEEDED", two="SUCCEEDED")
        for request in runner.requests:
            tap.equal(abs(request.deadline - begun - 90) < 10, True, request)
            tap.equal(request.callback, f"127.0.0.1:{w.server.port}")


@on_both_stores
def a_cancelled_run_stops_its_runners(store):
    with World(store) as w:
        runner, plan = w.runner(script=["stall", "stall"], ttl=60), w.plan()
        plan.write(stages=[stage("one"), stage("two", mode="async"), stage("three", needs=["one"])])
        runner.wait(2)
        plan.wait(one="RUNNING", two="RUNNING")
        begun = time.monotonic()
        plan.cancel()
        plan.wait(one="CANCELLED", two="CANCELLED", three="CANCELLED")
        plan.wait_end("CANCELLED")
        tap.equal(time.monotonic() - begun < 5, True)  # long before the next heartbeat
        until(lambda: runner.load == 0, "a runner at rest")


@tap.case
def stages_without_a_type_are_claimed_from_the_run():
    with World() as w:
        plan = w.plan()
        plan.write(checks=["builds"], stages=[stage("one", "", checks=["builds"], args={"n": 1})])
        for run, worker, code in ((plan.id, "a guest", "invalid_argument"), (plan.id, "77", "worker_lost"),
                                  ("77", "1", "run_not_found")):
            refused(w.client.call, code, "POST", f"/v1/runs/{run}:claim", {"worker": worker})
        with w.client.worker("by hand") as worker:
            claim_by_hand(w, plan, worker.id)


def claim_by_hand(w, plan, worker):
    (lease,) = w.client.call("POST", f"/v1/runs/{plan.id}:claim", {"worker": worker, "max": 5})["leases"]
    tap.equal((lease["task"]["name"], lease["task"]["payload"]), ("one", {"n": 1}))
    none = w.client.call("POST", f"/v1/runs/{plan.id}:claim", {"worker": worker, "max": 5})
    tap.equal(none.get("leases", []), [])
    (answer,) = w.client.complete([{"token": lease["token"], "outcome": "succeeded", "result": 7,
                                    "checks": [{"check": "builds", "data": True}]}])
    tap.equal(answer["code"], "OK")
    tasks = plan.wait(one="SUCCEEDED", builds="SUCCEEDED")
    tap.equal(tasks["one"]["output"], 7)


@tap.case
def a_runner_without_a_limit_of_slots_may_claim():
    with World() as w:
        runner, plan = w.runner(slots=0), w.plan()
        plan.write(stages=[stage("one", ""), stage("two", "")])
        worker = w.workers()[runner.name]["id"]
        leases = w.client.call("POST", f"/v1/runs/{plan.id}:claim", {"worker": worker, "max": 2})
        tap.equal([x["task"]["name"] for x in leases["leases"]], ["one", "two"])


tap.main()
