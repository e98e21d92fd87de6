#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The store fails under a run: locked, full, read-only, gone. The tasks go on, weft says so once, and
nothing is lost.

The cases about disks have one of their own (test/disk.py).
"""
import os
import signal
import sqlite3
import subprocess
import time

import disk
import pg
import tap
from disk import fill, on_a_disk
from world import WEFT, World, outcomes

# It waits for a file, so that the test decides when it ends.
WAITS = "log there $WEFT_TASK; while ! test -e $WORLD/go.$WEFT_TASK; do sleep 0.02; done; log end $WEFT_TASK"


@tap.case
def another_program_holds_the_lock():
    #
    with World() as w:
        with w.start({"a": {"sh": WAITS}, "b": {"needs": ["a"], "run": ["log", "b"]}}) as p:
            w.wait(lambda: w.ledger())
            other = sqlite3.connect(w.path("data/weft.db"), isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            w.write("go.a", "")
            w.wait(lambda: "end a" in w.ledger())
            line = p.stderr.readline().decode()
            other.execute("ROLLBACK")
            other.close()
            run = p.run()
        tap.contains(line, "tasks go on")
        tap.equal((p.returncode, run["state"]), (0, "SUCCEEDED"), p.err)
        tap.contains(p.err, "the store is back")
        tap.equal([outcomes(run, n) for n in "ab"], [["succeeded"]] * 2)


@on_a_disk
def the_disk_is_full_for_a_while(folder):
    #
    with World(folder=folder) as w:
        with w.start({"a": {"sh": WAITS}, "b": {"needs": ["a"], "run": ["true"]}}) as p:
            w.wait(lambda: w.ledger())
            filler = fill(folder)
            # Opening makes a file without needing room for its content.
            w.write("go.a", "")
            line = p.stderr.readline().decode()
            os.unlink(filler)
            run = p.run()
        tap.contains(line, "tasks go on")
        tap.equal((p.returncode, run["state"]), (0, "SUCCEEDED"), p.err)
        tap.equal(outcomes(run, "a"), ["succeeded"])
        tap.equal([c["id"] for c in w.json("doctor")["checks"] if not c["ok"]], [])


@on_a_disk
def the_disk_is_read_only(folder):
    # what writes is refused and says why, reading goes on
    with World(folder=folder) as w:
        file = w.workflow({"a": {"run": ["sh", "-c", "log there; test $WEFT_ATTEMPT = 2 || sleep 100"]}})
        with w.begin("run", file) as p:
            w.wait(lambda: w.ledger())
            p.kill()
        w.wait(lambda: not w.processes())
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        tap.equal(w.states(), {"a": "RUNNING"})
        tap.equal(w.weft("runs", "logs", "1").returncode, 0)
        for command in (["run", file], ["runs", "cancel", "1"], ["runs", "resume", "1"]):
            refused = w.weft(*command)
            tap.equal(refused.returncode, 7, f"{command}: {refused.err}")
            tap.contains(refused.err, "store_read_only")
            tap.contains(refused.err, folder)
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        with w.begin("runs", "resume", "-o", "json") as p:
            run = p.run()
        tap.equal((run["state"], outcomes(run, "a")), ("SUCCEEDED", ["lost", "succeeded"]))


@tap.case
def ctrl_c_ends_a_run_whose_store_does_not_answer():
    with World() as w:
        with w.start({"a": {"run": ["sh", "-c", "log there; exec sleep 100"]}}) as p:
            w.wait(lambda: w.ledger())
            other = sqlite3.connect(w.path("data/weft.db"), isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            p.interrupt()
            p.stderr.readline()
            p.interrupt(signal.SIGINT)
            status = p.end()
            tap.equal(status, 7, p.err)
            tap.contains(p.err, "weft runs resume")
            tap.equal(w.processes(), [])
            other.close()
        with w.begin("runs", "resume", "-o", "json") as p:
            w.wait(lambda: len(w.ledger()) == 2)
            p.interrupt()
            run = p.run()
        tap.equal(outcomes(run, "a"), ["lost", "cancelled"])


@tap.case
def the_server_is_killed_and_comes_back():
    #
    try:
        server = pg.Server()
    except pg.Missing as e:
        raise tap.Skip(str(e))
    with server, World(server.url) as w:
        tasks = {"a": {"sh": WAITS}, "long": {"sh": WAITS},
                 "b": {"needs": ["a"], "run": ["log", "b"]}}
        with w.start(tasks, "-j", "4") as p:
            w.wait(lambda: len(w.ledger()) == 2)
            server.kill()
            w.write("go.a", "")
            w.wait(lambda: "end a" in w.ledger())
            line = p.stderr.readline().decode()
            server.start()
            w.wait(lambda: "b" in w.ledger())
            w.write("go.long", "")
            run = p.run()
        tap.contains(line, "tasks go on")
        tap.equal((p.returncode, run["state"]), (0, "SUCCEEDED"), p.err)
        tap.equal([outcomes(run, n) for n in ("a", "long", "b")], [["succeeded"]] * 3)
        tap.equal([c["id"] for c in w.json("doctor")["checks"] if not c["ok"]], [])


@tap.case
def what_other_machines_may_take_is_stopped_before():
    # The worker's tasks may be given out 60 s after its last heartbeat; it stops them after 45.
    try:
        server = pg.Server()
    except pg.Missing as e:
        raise tap.Skip(str(e))
    with server, World(server.url) as w:
        with w.start({"a": {"sh": "log there; test $WEFT_ATTEMPT = 2 || exec sleep 100",
                            "retry": {"max_attempts": 2, "on": ["lost"]}}}) as p:
            w.wait(lambda: w.ledger())
            server.kill()
            begun = time.monotonic()
            w.wait(lambda: not w.processes(), 60)
            assert 40 < time.monotonic() - begun < 55
            server.start()
            run = p.run()
        tap.equal((p.returncode, run["state"]), (0, "SUCCEEDED"), p.err)
        tap.equal(outcomes(run, "a"), ["lost", "succeeded"])


def guardian_of(program):
    """The process that ends what the program leaves behind."""
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                parent = int(f.read().rsplit(")", 1)[1].split()[1])
            if parent == program and os.path.samefile(f"/proc/{pid}/exe", WEFT):
                return int(pid)
        except OSError:
            continue
    raise AssertionError("there is no guardian")


@tap.case
def what_a_dead_program_held_is_found_by_one_that_lives():
    # Its guardian is killed, too, so that its task outlives it; nobody resumes its run.
    with World() as w:
        long = {"run": ["sh", "-c", "log $WEFT_RUN_ID; exec sleep 200"],
                "retry": {"max_attempts": 2, "on": ["lost"]}}
        with w.start({"a": long}) as living:
            w.wait(lambda: len(w.ledger()) == 1)
            with w.start({"a": long}) as dead:
                w.wait(lambda: len(w.ledger()) == 2)
                os.kill(guardian_of(dead.pid), signal.SIGKILL)
                dead.kill()
            run = w.ledger()[1]
            tap.equal(len(w.processes()), 2)
            w.wait(lambda: len(w.processes()) == 1, 90)
            w.wait(lambda: w.json("runs", "show", run)["tasks"][0]["state"] == "READY")
            living.interrupt()
            living.end()
        tap.equal(os.listdir(w.path("data/tmp")), [])


disk.main()
