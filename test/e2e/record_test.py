#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is kept of a run: who did what, what belongs together, when it was, and in whose store."""
import contextlib
import json
import os
import re

import pg
import tap
from world import World, on_both_stores, outcomes, span, task

# Tasks that say that they are there and wait for a file in the world.
AWAIT = "log there; for i in $(seq 500); do test -e $WORLD/$1 && exit; sleep 0.1; done; exit 1"
HELD = {"run": ["sh", "-c", AWAIT, "-", "go"]}
FAILS = {"sh": "echo no such table >&2; exit 3", "retry": {"max_attempts": 2, "backoff": {"base": "1ms"}}}


def events_and_run(out):
    """What -o jsonl printed: the events, and the finished run."""
    lines = [json.loads(line) for line in out.splitlines()]
    return lines[:-1], lines[-1]["run"]


@on_both_stores
def an_error_says_where_it_happened(store):
    # A-103
    with World(store) as w:
        done = w.weft("run", w.workflow({"load": FAILS}), "-o", "jsonl")
        events, run = events_and_run(done.out)
        tap.equal((run["workflow"], run["version"], run["state"]), ("test", 1, "FAILED"))
        load = task(run, "load")
        tap.equal([(a["number"], a["reason"], a["stderr_tail"]) for a in load["attempts"]],
                  [(n, "command_failed", "no such table\n") for n in (1, 2)])
        [worker] = [e["data"]["worker"] for e in events if e["kind"] == "worker_READY"]
        tap.equal([a["worker"] for a in load["attempts"]], [worker, worker])
        tap.equal([(e["run"], e["name"], e["data"]["attempt"], e["data"]["token"], e["data"]["worker"])
                   for e in events if e["kind"] == "task_RUNNING"],
                  [(run["id"], "load", a["number"], a["token"], worker) for a in load["attempts"]])
        tap.equal(w.show(), run, "the record says the same later")
        shown = w.json("task", "show", f"{run['id']}/load")
        tap.equal((shown["run"], shown["name"], shown["attempts"]),
                  (run["id"], "load", load["attempts"]))


@on_both_stores
def the_id_of_a_run_joins_all_that_belongs_to_it(store):
    # A-104: two runs at once in one store
    tasks = {"say": {"sh": "echo I am $WEFT_RUN_ID; echo trouble >&2"}, "fail": FAILS,
             "held": {**HELD, "needs": ["say"]}}
    with World(store) as w:
        file = w.workflow(tasks)
        with w.begin("run", file, "-o", "jsonl") as one, w.begin("run", file, "-o", "jsonl") as two:
            w.wait(lambda: w.ledger() == ["there", "there"])
            w.write("go", "")
            one.end()
            two.end()
        ids = set()
        for p in (one, two):
            tap.equal(p.err, "")
            events, run = events_and_run(p.out)
            ids.add(run["id"])
            tap.equal({e["run"] for e in events}, {run["id"]})
            tap.equal({e.get("task") for e in events}, {None, *(t["id"] for t in run["tasks"])})
            tap.equal({e["kind"].partition("_")[0] for e in events}, {"run", "task", "worker"})
            logs = [json.loads(l) for l in w.weft("runs", "logs", run["id"], "-o", "jsonl").out.splitlines()]
            tap.equal({l["run"] for l in logs}, {run["id"]})
            said = [l["text"] for l in logs if (l["task"], l["stream"]) == ("say", "stdout")]
            tap.equal(said, [f"I am {run['id']}\n"])
        tap.equal(len(ids), 2)


def check_times(run):
    for t in run["tasks"]:
        for a in t.get("attempts", []):
            assert run["created_at"] <= a["started_at"] <= a["ended_at"] <= run["ended_at"], (run, a)
            assert 0 <= span(a["queue_wait"]) < 60 and 0 <= span(a["run_time"]) < 60, a
    for time in re.findall(r'_at": "([^"]*)', json.dumps(run)):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", time), time
    assert 0 < span(run["duration"]) < 60, run["duration"]


def check_order(events):
    seqs, times = [int(e["seq"]) for e in events], [e["at"] for e in events]
    tap.equal(seqs, sorted(set(seqs)))
    tap.equal(times, sorted(times))


@tap.case
def the_clock_is_set_back_during_a_run():
    # A-114, A-119: timeouts and backoff take as long as they should, and no time runs backwards
    tasks = {
        "held": HELD,
        "again": {"needs": ["held"], "sh": "test $WEFT_ATTEMPT = 2",
                  "retry": {"max_attempts": 2, "backoff": {"base": "400ms", "jitter": 0}}},
        "slow": {"needs": ["held"], "sh": "exec sleep 100", "timeout": "500ms"},
        "last": {"needs": [{"all_done": ["again", "slow"]}], "run": ["true"]},
    }
    with World() as w:
        w.env.update(LD_PRELOAD=os.path.join(os.environ["WEFT_BUILD"], "test", "clock_back.so"),
                     CLOCK_BACK=w.path("back"), TZ="America/New_York",
                     ASAN_OPTIONS="verify_asan_link_order=0")
        file = w.workflow(tasks)
        with w.begin("run", file, "-o", "jsonl") as p:
            w.wait(lambda: "there" in w.ledger())
            w.write("back", "")
            w.write("go", "")
            p.end()
        tap.equal((p.returncode, p.err), (1, ""))
        events, run = events_and_run(p.out)
        check_order(events)
        check_times(run)
        tap.equal((outcomes(run, "again"), outcomes(run, "slow"), task(run, "last")["state"]),
                  (["failed", "succeeded"], ["timed_out"], "SUCCEEDED"))
        assert 0.5 <= span(task(run, "slow")["attempts"][0]["run_time"]) < 30, run
        # Another program starts while the clock is an hour behind what is stored.
        done = w.weft("run", file, "-o", "jsonl")
        later, next_run = events_and_run(done.out)
        check_order(events + later)
        check_times(next_run)
        tap.equal([r["id"] for r in w.json("runs", "list")["runs"]], [next_run["id"], run["id"]])
        tap.equal([c["id"] for c in w.json("doctor")["checks"] if not c["ok"]], [])
        # A new store knows of no later time, and shows that the clock was set back indeed.
        new = w.json("run", w.workflow({"a": {"run": ["true"]}}), "--data", w.path("new"))
        assert new["created_at"] < run["created_at"], (new, run)


def two_worlds(store_one, store_two):
    with World(store_one) as one, World(store_two) as two:
        worlds = (one, two)
        with contextlib.ExitStack() as stack:
            going = [stack.enter_context(w.start({"a": HELD})) for w in worlds]
            for w in worlds:
                w.wait(lambda w=w: w.ledger() == ["there"])
            tap.equal([w.newest() for w in worlds], ["1", "1"])
            tap.equal(one.weft("runs", "cancel", "1", "--wait").returncode, 0)
            tap.equal(two.states(), {"a": "RUNNING"})
            two.write("go", "")
            runs = [p.run() for p in going]
        tap.equal([r["state"] for r in runs], ["CANCELLED", "SUCCEEDED"])
        tap.equal([len(w.json("runs", "list")["runs"]) for w in worlds], [1, 1])
        tap.equal([w.processes() for w in worlds], [[], []])


@tap.case
def each_test_has_its_own_store_on_sqlite():
    # A-127
    two_worlds(None, None)


@tap.case
def each_test_has_its_own_store_on_postgres():
    # A-127
    if "WEFT_TEST_POSTGRES" not in os.environ:
        raise tap.Skip("there is no Postgres (WEFT_TEST_POSTGRES)")
    server = os.environ["WEFT_TEST_POSTGRES"]
    with pg.database(server) as one, pg.database(server) as two:
        two_worlds(one, two)


tap.main()
