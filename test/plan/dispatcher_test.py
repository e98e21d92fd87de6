#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plans, the rows about the dispatcher: who is called, and who waits."""
import threading

import tap
from plans import SECONDS_MAX, World, stage, until
from world import on_both_stores


@tap.case
def a_ready_stage_goes_to_a_runner_that_is_free_D_14():
    with World() as w:
        runner, plan = w.runner(script=["stall"]), w.plan()
        plan.write(stages=[stage("one")])
        runner.wait()
        task = plan.wait(one="RUNNING")["one"]
        (attempt,) = task["attempts"]
        tap.equal(attempt["worker"], w.workers()[runner.name]["id"])
        tap.equal("started_at" in attempt, True)
        runner.release()
        plan.wait(one="SUCCEEDED")


@tap.case
def the_least_loaded_runner_is_chosen_D_15():
    with World() as w:
        busy = w.runner(name="busy", script=["stall"] * 3)
        plan = w.plan()
        plan.write(stages=[stage(f"s{n}") for n in range(3)])
        busy.wait(3)
        idle = w.runner(name="idle", script=["stall"] * 3)
        plan.write(stages=[stage(f"t{n}") for n in range(3)])
        idle.wait(3)
        tap.equal((len(busy.names()), len(idle.names())), (3, 3))


@on_both_stores
def a_stage_waits_for_a_runner_that_comes_later_D_16_D_17(store):
    with World(store) as w:
        plan = w.plan()
        plan.write(checks=["builds"], stages=[stage("one", checks=["builds"])])
        task = plan.task("one")
        tap.equal((task["state"], task.get("attempts", [])), ("READY", []))
        tap.contains(plan.why("one")["text"], 'no runner of type "work" is registered')
        runner = w.runner()
        plan.wait(one="SUCCEEDED", builds="SUCCEEDED", seconds=5)
        (decision,) = plan.why("one")["dispatches"]
        tap.equal((decision["runner"], decision["outcome"]), (runner.name, "succeeded"))


@tap.case
def scar_19_three_runners_that_refuse_stand_in_the_trace():
    with World() as w:
        plan = w.plan()
        for n in range(3):
            w.runner(name=f"no{n}", script=["refuse"])
        plan.write(stages=[stage("one")])

        def answered():
            told = plan.why("one").get("dispatches", [])[-3:]
            return told if len(told) == 3 and all("outcome" in d for d in told) else None

        told = until(answered, "three decisions and their answers")
        tap.equal({d["runner"] for d in told}, {"no0", "no1", "no2"})
        tap.equal({d.get("outcome") for d in told}, {"rejected"})
        tap.equal(plan.task("one")["state"] in ("READY", "DELAYED"), True)


@tap.case
def every_decision_is_told_with_what_was_said_of_each_runner():
    with World() as w:
        plan = w.plan()
        w.runner(name="no", script=["refuse"])
        plan.write(stages=[stage("one", labels={"os": "linux"}, retry={"max_attempts": 1})])
        told = {c["runner"]: c["verdict"] for c in plan.why("one")["candidates"]}
        tap.equal(told, {"no": "label_missing"})
        w.runner(name="yes", labels={"os": "linux"})
        plan.wait(one="SUCCEEDED")
        (decision,) = plan.why("one")["dispatches"]
        told = {c["runner"]: c["verdict"] for c in decision["candidates"]}
        tap.equal(told, {"no": "label_missing", "yes": "chosen"})


@tap.case
def a_runner_that_is_left_alone_is_told_of():
    with World() as w:
        nobody = {"name": "nobody", "type": "work", "address": "127.0.0.1:9", "modes": ["sync"]}
        w.client.call("POST", "/v1/workers:register", nobody)
        plan = w.plan()
        plan.write(stages=[stage(f"s{n}") for n in range(5)])

        def said():
            return {c["runner"]: c["verdict"] for c in plan.why("s0").get("candidates", [])} == {"nobody": "breaker_open"}

        until(said, lambda: plan.why("s0"))
        until(lambda: "1 are left alone for a while" in plan.why("s0")["text"], lambda: plan.why("s0"))


@tap.case
def a_stage_of_another_mode_blocks_nobody_behind_it_D_18():
    with World() as w:
        runner, plan = w.runner(modes=("sync",), slots=1), w.plan()
        plan.write(stages=[stage(f"a{n}", mode="async", priority=9) for n in range(20)])
        plan.write(stages=[stage(f"nobody{n}", "unheard", priority=9) for n in range(20)])
        plan.write(stages=[stage("one"), stage("two")])
        plan.wait(one="SUCCEEDED", two="SUCCEEDED")
        tap.equal(runner.names(), ["one", "two"])
        tap.equal(set(plan.states(*(f"a{n}" for n in range(20))).values()), {"READY"})


@on_both_stores
def a_runner_gets_no_more_than_its_slots_D_19(store):
    gate = threading.Semaphore(0)

    def hold(ctx):
        gate.acquire(timeout=SECONDS_MAX)
        return ctx.name

    with World(store) as w:
        runner, plan = w.runner(slots=2, on_run=hold), w.plan()
        names = [f"s{n}" for n in range(6)]
        plan.write(stages=[stage(n) for n in names])
        for done in range(4):
            runner.wait(2 + done)
            states = list(plan.states(*names).values())
            tap.equal((states.count("RUNNING"), states.count("READY")), (2, 4 - done))
            gate.release()
        gate.release(2)
        plan.wait(**dict.fromkeys(names, "SUCCEEDED"))
        tap.equal((runner.load_max, len(runner.names())), (2, 6))


@tap.case
def runs_take_turns():
    with World() as w:
        plans = [w.plan() for _ in range(3)]
        for n, plan in enumerate(plans):
            plan.write(stages=[stage(f"p{n}s{i}") for i in range(4)])
        runner = w.runner(slots=1)
        for n, plan in enumerate(plans):
            plan.wait(**{f"p{n}s{i}": "SUCCEEDED" for i in range(4)})
        order = [name[1] for name in runner.names()]
        tap.equal([sorted(order[i:i + 3]) for i in range(0, 12, 3)], [["0", "1", "2"]] * 4)


@tap.case
def a_runner_that_hangs_stops_nobody_else():
    with World() as w:
        hung = w.runner(name="hung", script=["hang"] * 8, slots=8)
        plan = w.plan()
        plan.write(stages=[stage(f"h{n}", mode="async", accept_timeout="20s") for n in range(4)])
        hung.wait(4)
        w.runner("other", "fit")
        plan.write(stages=[stage(f"s{n}", "other") for n in range(20)])
        plan.wait(**{f"s{n}": "SUCCEEDED" for n in range(20)}, seconds=5)


@tap.case
def scar_18_a_runner_that_does_not_accept_in_time_is_left_D_47():
    with World() as w:
        hung = w.runner(name="hung", script=["hang"])
        plan = w.plan()
        plan.write(stages=[stage("one", mode="async", accept_timeout="0.3s")])
        hung.wait()
        w.runner(name="fit")
        plan.wait(one="SUCCEEDED")
        tap.equal(plan.attempts("one")[-1]["number"], 1)
        until(lambda: w.busy(hung) == 0, "a load of none")


tap.main()
