#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plans, the rows about what goes wrong: runners that die, are silent, refuse, or talk nonsense."""
import threading

import tap
from plans import FINAL, ONCE, World, refused, stage, until
from world import on_both_stores

import weft


@on_both_stores
def a_runner_that_dies_in_a_sync_call_costs_an_attempt_D_41(store):
    with World(store) as w:
        dying = w.runner(name="dying", script=["vanish"], slots=1, ttl=60)
        plan = w.plan()
        plan.write(stages=[stage("one")])
        dying.wait()
        w.runner(name="heir")
        plan.wait(one="SUCCEEDED")
        tap.equal(plan.outcomes("one")[-1], "succeeded")
        tap.equal(plan.attempts("one")[0]["outcome"], "lost")
        until(lambda: w.busy(dying) == 0, "a load of none")


@tap.case
def a_runner_that_accepts_and_vanishes_is_lost_D_41():
    with World() as w:
        gone = w.runner(name="gone", script=["vanish"], ttl=1.0)
        plan = w.plan()
        plan.write(stages=[stage("one", mode="async")])
        gone.wait()
        plan.wait(one="RUNNING")
        w.runner(name="heir")
        plan.wait(one="SUCCEEDED")
        tap.equal(plan.outcomes("one"), ["lost", "succeeded"])


@tap.case
def a_stage_that_promised_progress_and_is_silent_is_lost_D_42():
    with World() as w:
        runner, plan = w.runner(script=["stall"]), w.plan()
        plan.write(stages=[stage("silent", mode="async", progress_every="0.2s", retry=ONCE)])
        runner.wait()  # of two that are called at once, either may come first
        plan.write(stages=[stage("promised nothing", mode="async")])
        (attempt,) = plan.wait(silent="FAILED")["silent"]["attempts"]
        tap.equal((attempt["outcome"], attempt["reason"]), ("lost", "no_progress"))
        plan.wait(**{"promised nothing": "SUCCEEDED"})
        tap.equal(len(runner.names()), 2)


@on_both_stores
def a_failed_attempt_is_followed_by_another_D_43(store):
    with World(store) as w:
        runner, plan = w.runner(script=["fail", "fail"]), w.plan()
        plan.write(checks=["builds"], stages=[stage("one", checks=["builds"])])
        plan.wait(one="SUCCEEDED", builds="SUCCEEDED")
        tap.equal([r.attempt for r in runner.requests], [1, 2, 3])
        tap.equal([(a["number"], a["outcome"]) for a in plan.attempts("one")],
                  [(1, "failed"), (2, "failed"), (3, "succeeded")])
        tap.equal(plan.results("builds")[0]["owner"], "one:3")
        tap.equal(len({r.token for r in runner.requests}), 3)


@tap.case
def one_stage_fails_and_the_other_does_not_D_44():
    with World() as w:
        w.runner("good")
        w.runner("bad", script=["fail"] * 3)
        plan = w.plan()
        plan.write(checks=["builds", "tests pass"], stages=[
            stage("compile", "good", checks=["builds"]), stage("test", "bad", checks=["tests pass"])])
        plan.wait(compile="SUCCEEDED", builds="SUCCEEDED", test="FAILED")
        tap.equal((plan.outcomes("test"), plan.task("tests pass")["state"] in FINAL), (["failed"] * 3, False))


@tap.case
def a_callback_for_what_never_was_is_refused_D_45():
    with World() as w:
        tap.equal(w.client.renew([{"token": "77.77", "percent": 5}])[0]["code"], "lease_lost")
        tap.equal(w.client.complete([{"token": "77.77", "outcome": "succeeded"}])[0]["code"], "lease_lost")
        refused(w.client.call, "run_not_found", "POST", "/v1/runs/77:write", {"stages": [stage("x")]})
        tap.equal(w.client.complete([{"token": "nonsense", "outcome": "succeeded"}])[0]["code"], "lease_lost")


@on_both_stores
def the_same_end_again_is_fine_and_another_is_not_D_46(store):
    with World(store) as w:
        runner, plan = w.runner(), w.plan()
        plan.write(checks=["builds"], stages=[stage("one", checks=["builds"], mode="async")])
        plan.wait(one="SUCCEEDED")
        token = runner.requests[0].token
        end = {"token": token, "outcome": "succeeded", "result": {"stage": "one", "attempt": 1},
               "checks": [{"check": "builds", "data": {"by": "one"}, "finalize": True}]}
        tap.equal(w.client.complete([end])[0]["code"], "OK")
        tap.equal(w.client.complete([{**end, "result": "another"}])[0]["code"], "completion_conflict")
        tap.equal(len(plan.results("builds")), 1)


@tap.case
def an_end_whose_checks_cannot_be_taken_says_so_and_the_attempt_goes_on():
    with World() as w:
        runner, plan = w.runner(script=["stall"]), w.plan()
        plan.write(checks=[{"name": "over", "result": {"data": 1, "finalize": True}}], stages=[stage("one", mode="async")])
        token = runner.wait(1)[0].token
        for check, code, words in (("over", "check_final", "a check that it has a result for takes no more"),
                                   ("none", "task_not_found", "its run has no such check")):
            (told,) = w.client.complete([{"token": token, "outcome": "succeeded", "checks": [{"check": check}]}])
            tap.equal(told["code"], code)
            tap.contains(told["message"], words)
        tap.equal(w.client.complete([{"token": token, "outcome": "succeeded"}])[0]["code"], "OK")


@on_both_stores
def what_one_runner_refuses_another_gets_D_47(store):
    with World(store) as w:
        first = w.runner(name="first", script=["refuse", "refuse"])
        plan = w.plan()
        for mode in ("sync", "async"):
            plan.write(stages=[stage(f"{mode} one", mode=mode)])
        first.wait(2)
        second = w.runner(name="second")
        plan.wait(**{"sync one": "SUCCEEDED", "async one": "SUCCEEDED"})
        tap.equal(len(first.names()) + len(second.names()) >= 4, True)
        until(lambda: w.busy(first) == 0 and w.busy(second) == 0, "loads of none")
        for mode in ("sync", "async"):
            tap.equal("failed" in plan.outcomes(f"{mode} one"), False)


@tap.case
def a_writer_with_an_old_version_changes_nothing_D_48():
    with World() as w:
        plan = w.plan()
        read = plan.write(stages=[stage("one", needs=["never"])])["one"]["version"]
        plan.write(stages=[stage("one", args={"by": "another"}, needs=["never"])])
        error = refused(plan.write, "version_conflict", stages=[stage("one", args={"by": "me"}), stage("two")],
                        expect=[{"name": "one", "version": read}])
        tap.contains(str(error), "one")
        tap.equal((list(plan.query()), plan.task("one")["stage"]["args"]), (["one"], {"by": "another"}))
        refused(plan.write, "version_conflict", stages=[stage("one")], expect=[{"name": "one", "version": 0}])
        plan.write(stages=[stage("two")], expect=[{"name": "two", "version": 0}])


@on_both_stores
def two_writers_of_one_task_take_turns(store):
    with World(store) as w:
        plan = w.plan()
        version = plan.write(stages=[stage("one", needs=["never"])])["one"]["version"]
        outcomes = []

        def write(n):
            try:
                plan.write(stages=[stage("one", args=n, needs=["never"])], expect=[{"name": "one", "version": version}])
                outcomes.append("OK")
            except Exception as error:  # pylint: disable=broad-except
                outcomes.append(getattr(error, "code", repr(error)))
            w.client.close()

        writers = [threading.Thread(target=write, args=(n,)) for n in range(6)]
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join()
        tap.equal(sorted(outcomes), ["OK"] + ["version_conflict"] * 5)


@tap.case
def a_failure_for_good_is_not_tried_again_D_49():
    with World() as w:
        runner, plan = w.runner(script=["fail_final"]), w.plan()
        plan.write(checks=["builds"], stages=[stage("one", checks=["builds"])])
        plan.wait(one="FAILED")
        tap.equal((runner.names(), plan.outcomes("one")), (["one"], ["failed"]))
        tap.equal(plan.task("builds")["state"] in FINAL, False)
        plan.seal()
        tap.equal(plan.wait(builds="FAILED")["builds"]["reason"], "no_result")


@tap.case
def garbage_fails_the_attempt_alone():
    with World() as w:
        w.runner(script=["garbage"])
        plan = w.plan()
        plan.write(stages=[stage("one")])
        plan.wait(one="SUCCEEDED")
        first, last = plan.attempts("one")
        tap.equal((first["outcome"], first["reason"], last["outcome"]), ("failed", "bad_report", "succeeded"))


@tap.case
def an_address_where_nobody_is_costs_no_attempt():
    with World() as w:
        nobody = {"name": "nobody", "type": "work", "address": "127.0.0.1:9", "modes": ["sync", "async"]}
        w.client.call("POST", "/v1/workers:register", nobody)
        plan = w.plan()
        plan.write(stages=[stage("one"), stage("two", mode="async")])
        w.runner()
        plan.wait(one="SUCCEEDED", two="SUCCEEDED")
        for name in ("one", "two"):
            tap.equal({"failed", "lost"} & set(plan.outcomes(name)), set())


@tap.case
def a_runner_that_is_reborn_keeps_what_it_names():
    with World() as w:
        runner, plan = w.runner(script=["stall", "stall"]), w.plan()
        plan.write(stages=[stage("kept", mode="async"), stage("dropped", mode="async")])
        runner.wait(2)
        plan.wait(kept="RUNNING", dropped="RUNNING")
        token = {r.name: r.token for r in runner.requests}
        reply = w.client.call("POST", "/v1/workers:register", {
            "name": runner.name, "type": "work", "address": runner.address, "modes": ["sync"],
            "takeover": True, "tokens": [token["kept"], "77.77"]})
        tap.equal((reply["kept"], reply["lost"]), ([token["kept"]], ["77.77"]))
        (answer,) = w.client.complete([{"token": token["kept"], "outcome": "succeeded"}])
        tap.equal(answer["code"], "OK")
        (answer,) = w.client.complete([{"token": token["dropped"], "outcome": "succeeded"}])
        tap.equal(answer["code"], "lease_lost")
        plan.wait(kept="SUCCEEDED")
        tap.equal(plan.outcomes("dropped")[0], "lost")


@on_both_stores
def a_killed_server_loses_no_stage(store):
    with World(store) as w:
        runner, plan = w.runner(script=["stall", "stall"], ttl=60), w.plan()
        plan.write(checks=["a", "b"], stages=[stage("sync one", checks=["a"]), stage("async one", checks=["b"], mode="async")])
        runner.wait(2)
        plan.wait(**{"sync one": "RUNNING", "async one": "RUNNING"})
        w.server.kill()
        w.client.breaker = weft.Breaker(failures=10**9)  # however long the server is away
        runner.release()  # both end while nobody is there to hear it
        w.server.start()
        plan.wait(a="SUCCEEDED", b="SUCCEEDED")
        # They were told, and not waited for until the lease expired: that one would be lost.
        tap.equal((plan.outcomes("sync one"), plan.outcomes("async one")), (["succeeded"], ["succeeded"]))


tap.main()
