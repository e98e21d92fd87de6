#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Plans, the rows about runners: how they register, are listed, expire and are told apart."""
import tap
from plans import World, refused, stage, until
from world import on_both_stores


@tap.case
def a_runner_is_listed_with_what_it_offers_D_06_D_12():
    with World() as w:
        runner = w.runner("build", "builder", slots=5, labels={"os": "linux"}, metadata={"rack": "7"},
                          version="1.2")
        told = w.workers()["builder"]
        tap.equal((told["type"], told["address"], told["modes"], told["slots"]),
                  ("build", runner.address, ["sync", "async"], 5))
        tap.equal((told["labels"], told["metadata"], told["version"], told["state"]),
                  ({"os": "linux"}, {"rack": "7"}, "1.2", "READY"))


@tap.case
def the_same_name_again_takes_the_place_of_the_first_D_07():
    with World() as w:
        w.runner("build", "builder")
        first = w.workers()["builder"]
        again = w.runner("build", "builder")
        second = w.workers()["builder"]
        tap.equal((len(w.workers()), second["id"] != first["id"]), (1, True))
        tap.equal((second["joined_at"] > first["joined_at"], second["address"]), (True, again.address))
        tap.equal((second["beat_at"] > first["beat_at"], second["ttl"]), (True, first["ttl"]))  # it expires later


@tap.case
def a_runner_takes_its_leave_D_08():
    with World() as w:
        runner = w.runner("build", "builder")
        tap.equal(list(w.workers()), ["builder"])
        runner.close()
        tap.equal(list(w.workers()), [])


@on_both_stores
def a_silent_runner_is_neither_listed_nor_called_D_09(store):
    with World(store) as w:
        runner = w.runner(ttl=1.0)
        runner.die()
        until(lambda: not w.workers(), "a list without it")
        plan = w.plan()
        plan.write(stages=[stage("one")])
        w.runner(name="heir")
        plan.wait(one="SUCCEEDED")
        tap.equal((runner.names(), plan.outcomes("one")), ([], ["succeeded"]))


@tap.case
def work_is_spread_over_runners_of_a_type_D_10():
    with World() as w:
        runners = [w.runner(name=f"r{n}", on_run=lambda ctx: ctx.cancelled.wait(0.2)) for n in range(3)]
        tap.equal((len(w.workers()), len(w.workers(type="work"))), (3, 3))
        plan = w.plan()
        plan.write(stages=[stage(f"s{n}") for n in range(6)])
        plan.wait(**{f"s{n}": "SUCCEEDED" for n in range(6)})
        tap.equal([len(r.names()) for r in runners], [2, 2, 2])


@tap.case
def stages_go_to_their_type_alone_D_11():
    kinds = ("build", "test", "deploy")
    with World() as w:
        runners = {kind: w.runner(kind) for kind in kinds}
        tap.equal([len(w.workers(type=kind)) for kind in kinds], [1, 1, 1])
        plan = w.plan()
        plan.write(stages=[stage(f"{kind}-{n}", kind) for kind in kinds for n in range(2)])
        plan.wait(**{f"{kind}-{n}": "SUCCEEDED" for kind in kinds for n in range(2)})
        for kind, runner in runners.items():
            tap.equal(sorted(runner.names()), [f"{kind}-0", f"{kind}-1"])


@tap.case
def stages_go_to_runners_with_their_labels():
    with World() as w:
        w.runner(name="plain")
        arm = w.runner(name="arm", labels={"cpu": "arm", "os": "linux"})
        plan = w.plan()
        plan.write(stages=[stage(f"s{n}", labels={"cpu": "arm"}) for n in range(4)])
        plan.wait(**{f"s{n}": "SUCCEEDED" for n in range(4)})
        tap.equal(len(arm.names()), 4)


@tap.case
def a_stage_goes_to_a_runner_of_its_mode_D_13():
    with World() as w:
        sync, asynchronous = w.runner(modes=("sync",)), w.runner(modes=("async",))
        plan = w.plan()
        plan.write(stages=[stage("one")])
        plan.wait(one="SUCCEEDED")
        tap.equal((sync.names(), asynchronous.names()), (["one"], []))


@tap.case
def what_is_no_runner_is_refused_D_50():
    good = {"name": "builder", "type": "build", "address": "127.0.0.1:9", "modes": ["sync"]}
    with World() as w:
        for wrong in ({"name": ""}, {"type": ""}, {"address": ""}, {"address": "nowhere"}, {"modes": ["odd"]}):
            refused(w.client.call, "invalid_argument", "POST", "/v1/workers:register", {**good, **wrong})
        tap.equal(w.workers(), {})
        # An empty token is one that never was given.
        tap.equal(w.client.complete([{"token": "", "outcome": "succeeded"}])[0]["code"], "lease_lost")
        tap.equal(w.client.renew([{"token": ""}])[0]["code"], "lease_lost")


tap.main()
