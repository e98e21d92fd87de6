#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plans, the rows about the shape of the graph: what runs after what, and what was never started."""
import tap
from plans import ONCE, World, after, refused, stage
from world import on_both_stores


def carry(w, stages, runner=None, **fields):
    """Write these stages, seal, and wait for the end; the order in which they were called."""
    runner = runner or w.runner()
    plan = w.plan()
    plan.write(stages=stages, **fields)
    plan.seal()
    plan.wait_end()
    return runner.names()


@tap.case
def a_diamond_runs_in_order_D_27_D_58():
    with World() as w:
        names = carry(w, [stage("d", needs=["b", "c"]), stage("b", needs=["a"]),
                          stage("c", needs=["a"]), stage("a")])
        tap.equal((names[0], sorted(names[1:3]), names[3:]), ("a", ["b", "c"], ["d"]))


@tap.case
def a_chain_runs_in_order_D_28():
    with World() as w:
        chain = [stage("s0")] + [stage(f"s{n}", needs=[f"s{n - 1}"]) for n in range(1, 5)]
        tap.equal(carry(w, chain), ["s0", "s1", "s2", "s3", "s4"])


@tap.case
def a_fan_out_and_in_runs_in_order_D_29():
    with World() as w:
        middle = ["m1", "m2", "m3", "m4"]
        names = carry(w, [stage("source"), *(stage(m, needs=["source"]) for m in middle),
                          stage("sink", needs=middle)])
        tap.equal((names[0], sorted(names[1:5]), names[5:]), ("source", middle, ["sink"]))


@tap.case
def a_branch_does_not_wait_for_another_D_30():
    with World() as w:
        slow, quick, plan = w.runner("slow", script=["stall"]), w.runner("quick"), w.plan()
        plan.write(stages=[stage("s1", "slow"), stage("s2", "slow", needs=["s1"]),
                           stage("q1", "quick"), stage("q2", "quick", needs=["q1"]),
                           stage("q3", "quick", needs=["q2"])])
        plan.wait(q3="SUCCEEDED")
        tap.equal(plan.states("s1", "s2"), {"s1": "RUNNING", "s2": "BLOCKED"})
        slow.release()
        plan.wait(s2="SUCCEEDED")
        tap.equal(quick.names(), ["q1", "q2", "q3"])


@on_both_stores
def a_planner_adds_stages_while_it_runs_D_31(store):
    """plan, build, test, deploy: the first one writes the others, and waits for them."""
    with World(store) as w:
        plan = w.plan()

        def work(ctx):
            if ctx.name == "plan":
                plan.write(token=ctx.token, stages=[
                    stage("build", checks=["builds"]),
                    stage("test", checks=["tests pass"], needs=["builds"]),
                    stage("deploy", checks=["is deployed"], needs=["tests pass"])])
            for check in ctx.checks:
                ctx.check(check.name, data=ctx.name)

        checks = ["planned", "builds", "tests pass", "is deployed"]
        runner = w.runner(on_run=work)
        plan.write(checks=checks, stages=[stage("plan", checks=["planned"])])
        plan.wait(deploy="SUCCEEDED", plan="SUCCEEDED", **dict.fromkeys(checks, "SUCCEEDED"))
        tap.equal(runner.names(), ["plan", "build", "test", "deploy"])
        tap.equal("AWAITING" in plan.events("plan"), True)
        tap.equal(plan.task("build")["stage"]["parent"], "plan")
        plan.seal()
        plan.wait_end()


@tap.case
def one_type_builds_for_many_platforms_D_32():
    platforms = ["amd64", "arm64", "riscv64", "s390x"]
    with World() as w:
        runner, plan = w.runner(), w.plan()
        plan.write(checks=[f"builds on {p}" for p in platforms],
                   stages=[stage(f"build-{p}", checks=[f"builds on {p}"], args={"platform": p}) for p in platforms])
        plan.wait(**{f"builds on {p}": "SUCCEEDED" for p in platforms})
        tap.equal({r.name: r.args for r in runner.requests}, {f"build-{p}": {"platform": p} for p in platforms})


@tap.case
def one_of_two_is_enough_D_33():
    with World() as w:
        slow, runner, plan = w.runner("slow", script=["stall"]), w.runner(), w.plan()
        plan.write(stages=[stage("a"), stage("b", "slow"), stage("c", needs=[after("a", "b", rule="one_success")])])
        task = plan.wait(c="SUCCEEDED")["c"]
        tap.equal((runner.names(), plan.task("b")["state"]), (["a", "c"], "RUNNING"))
        tap.equal(task["groups"][0]["satisfied"], ["a"])
        slow.release()
        plan.wait(b="SUCCEEDED")
        tap.equal(runner.names(), ["a", "c"])


@tap.case
def some_of_many_suffice_and_the_rest_is_cancelled():
    with World() as w:
        slow, runner, plan = w.runner("slow", script=["stall", "stall"]), w.runner(), w.plan()
        names = ["a", "b", "slow1", "slow2"]
        plan.write(stages=[stage("a"), stage("b"), stage("slow1", "slow"), stage("slow2", "slow"), stage(
            "sum", needs=[after(*names, rule="at_least", need=2, cancel_rest=True)])])
        tasks = plan.wait(sum="SUCCEEDED", slow1="CANCELLED", slow2="CANCELLED")
        tap.equal(sorted(tasks["sum"]["groups"][0]["satisfied"]), ["a", "b"])
        tap.equal((runner.names()[-1], slow.load), ("sum", 0))


@on_both_stores
def sixty_stages_are_carried_D_34(store):
    with World(store) as w:
        layers = [[f"l{layer}n{n}" for n in range(10)] for layer in range(6)]
        stages = [stage(n, needs=layers[i - 1] if i else ()) for i, layer in enumerate(layers) for n in layer]
        names = carry(w, stages, w.runner(slots=20))
        tap.equal([sorted(names[i * 10:i * 10 + 10]) for i in range(6)], layers)


@tap.case
def a_name_that_nobody_has_written_is_waited_for():
    with World() as w:
        runner, plan = w.runner(), w.plan()
        plan.write(stages=[stage("late", needs=["early"]), stage("never", needs=["unwritten"])])
        tap.equal(plan.states(), {"late": "BLOCKED", "never": "BLOCKED"})
        plan.write(stages=[stage("early")])
        plan.wait(late="SUCCEEDED")
        plan.seal()
        task = plan.wait(never="SKIPPED")["never"]
        tap.contains(task["detail"], "unwritten")
        tap.equal(runner.names(), ["early", "late"])
        refused(plan.write, "run_ended" if plan.get()["state"] != "RUNNING" else "run_sealed", stages=[stage("x")])


@tap.case
def a_cycle_is_refused_with_its_names_and_writes_nothing():
    with World() as w:
        plan = w.plan()
        plan.write(stages=[stage("a", needs=["c"])])
        error = refused(plan.write, "cycle", stages=[stage("b", needs=["a"]), stage("c", needs=["b"])])
        for name in ("a", "b", "c"):
            tap.contains(str(error), name)
        tap.equal(list(plan.query()), ["a"])
        refused(plan.write, "cycle", stages=[stage("self", needs=["self"])])


@tap.case
def a_check_is_planned_before_it_is_answered():
    with World() as w:
        runner, plan = w.runner(), w.plan()
        plan.write(checks=[{"name": "builds", "state": "PLANNING"}], stages=[stage("one", checks=["builds"], needs=["gate"])])
        task = plan.task("builds")
        tap.equal((task["state"], task["reason"], task["check"]["state"]), ("BLOCKED", "being_planned", "PLANNING"))
        plan.write(checks=[{"name": "builds", "state": "PLANNED", "kind": "better known"}])
        tap.equal(plan.task("builds")["check"]["state"], "WAITING")
        plan.write(stages=[stage("gate")])
        plan.wait(builds="SUCCEEDED")
        tap.equal(runner.names(), ["gate", "one"])


@tap.case
def what_waits_is_edited_and_what_has_started_stays_A_77():
    with World() as w:
        runner, plan = w.runner(script=["stall"]), w.plan()
        plan.write(checks=["builds"], stages=[stage("one", checks=["builds"]), stage("two", needs=["one"])])
        plan.wait(one="RUNNING")
        # Tasks and edges are added to what waits, and its arguments are others.
        plan.write(stages=[stage("two", needs=["one", "three"], args={"n": 2}), stage("three", needs=["one"])])
        refused(plan.write, "cycle", stages=[stage("three", needs=["two"])])
        refused(plan.write, "task_started", stages=[stage("one", checks=["builds"], args={"n": 1})])
        error = refused(plan.write, "task_started", stages=[stage("two", checks=["builds"], needs=["one", "three"])])
        tap.contains(str(error), "write another stage")
        tap.equal(plan.states("one", "two", "three"), {"one": "RUNNING", "two": "BLOCKED", "three": "BLOCKED"})
        runner.release()
        plan.wait(two="SUCCEEDED")
        tap.equal([(r.name, r.args) for r in runner.requests], [("one", None), ("three", None), ("two", {"n": 2})])


@tap.case
def what_ended_in_a_plan_stays():
    with World() as w:
        w.runner(script=["fail_final"])
        plan = w.plan()
        plan.write(stages=[stage("one")])
        task = plan.wait(one="FAILED")["one"]
        plan.seal()
        plan.wait_end("FAILED")
        for path in (f"/v1/runs/{plan.id}:retry", f"/v1/tasks/{task['id']}:requeue"):
            error = refused(w.client.call, "invalid_argument", "POST", path, {})
            tap.contains(str(error), "write what is to be done again as new stages")


@tap.case
def a_plan_that_is_written_twice_is_one():
    with World() as w:
        plan = w.plan(request_id="build 7")
        tap.equal(w.plan(request_id="build 7").id, plan.id)
        refused(w.plan, "request_conflict", request_id="build 7", metadata={"other": True})
        stages = [stage("one", retry=ONCE)]
        plan.write(stages=stages)
        w.runner()
        plan.wait(one="SUCCEEDED")
        tap.equal(plan.write(stages=stages)["one"]["state"], "SUCCEEDED")
        refused(plan.write, "task_started", stages=[stage("one", args={"other": True})])


tap.main()
