#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`weft run` carries real processes: how they end, what they hand on, how a run is stopped."""
import datetime
import json
import os
import pty
import re
import resource
import select
import signal
import subprocess
import time

import tap
from world import WEFT, World, on_both_stores, outcomes, span, task

# A task that says when it begins and ends.
LEDGER = ["sh", "-c", "log start $WEFT_TASK; sleep $1; log end $WEFT_TASK", "-"]
# A task that goes on for longer than any test, and says that it is there.
LONG = ["sh", "-c", "log there $WEFT_TASK $$; exec sleep 100"]


def seconds(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def most_at_once(ledger):
    """How many tasks ran at once, by their own account."""
    now = most = 0
    for line in ledger:
        now += 1 if line.startswith("start") else -1
        most = max(most, now)
    return most


def catches_interrupts(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as f:
        caught = next(line.split()[1] for line in f if line.startswith("SigCgt:"))
    return int(caught, 16) >> (signal.SIGINT - 1) & 1


@on_both_stores
def outputs_are_handed_on_as_plain_text(store):
    hostile = "a b; $(touch /tmp/no) '\"\n* ${tasks.x.output.y} ü"
    with World(store) as w:
        os.mkdir(w.path("x"))
        w.write("out.json", json.dumps({"n": 3, "deep": {"list": ["x", hostile]}, "flag": True}))
        run = w.run({
            "give": {"run": ["test", "-d", "$WORLD"]},
            "really": {"sh": 'cp "$WORLD/out.json" "$WEFT_OUTPUT"'},
            "take": {
                "needs": ["really"],
                "run": ["sh", "-c", 'printf "%s|" "$#" "$@" "$DEEP" > "$WORLD/taken"; pwd > "$WORLD/pwd"',
                        "-", "${tasks.really.output.n}", "${tasks.really.output.deep.list.1}",
                        "${tasks.really.output.flag}", "$${not.replaced}", "${task.attempt}"],
                "env": {"DEEP": "${tasks.really.output.deep}"},
                "cwd": "${tasks.really.output.deep.list.0}",
            },
        })
        tap.equal(task(run, "give")["state"], "FAILED", "an argument is not for a shell")
        tap.equal(task(run, "take")["state"], "SUCCEEDED", task(run, "take"))
        deep = json.dumps({"list": ["x", hostile]}, separators=(",", ":"), ensure_ascii=False)
        tap.equal(w.read("taken"), "|".join(["5", "3", hostile, "true", "${not.replaced}", "1", deep, ""]))
        tap.equal(w.read("pwd").strip(), os.path.realpath(w.path("x")))
        tap.equal(task(run, "really")["output"]["deep"]["list"][1], hostile)
        tap.equal(task(run, "take").get("output"), None)


@tap.case
def a_reference_that_finds_nothing_fails_its_task_alone():
    with World() as w:
        run = w.run({
            "give": {"sh": "echo '{\"n\": 1}' > $WEFT_OUTPUT"},
            "silent": {"run": ["true"]},
            "no_field": {"needs": ["give"], "run": ["echo", "${tasks.give.output.m.x}"]},
            "no_output": {"needs": ["silent"], "run": ["echo", "${tasks.silent.output.x}"]},
            "other": {"needs": ["give"], "run": ["echo", "${tasks.give.output.n}"]},
        })
        tap.equal(run["state"], "FAILED")
        for name, why in (("no_field", "has no such field"), ("no_output", "has no output")):
            tap.equal(task(run, name)["reason"], "reference_unresolved")
            tap.contains(task(run, name)["attempts"][0]["message"], why)
        tap.equal(task(run, "other")["state"], "SUCCEEDED")


@tap.case
def what_a_process_gets():
    with World() as w:
        w.env["SECRET"] = "of the parent"
        w.env["WEFT_TASK"] = "not this"
        run = w.run({"a b.c": {"run": ["sh", "-c", "env > $WORLD/env; ls -l /proc/self/fd > $WORLD/fd"],
                               "env": {"MINE": "x", "HOME": "/over"}, "timeout": "1m"}})
        tap.equal(run["state"], "SUCCEEDED")
        env = dict(line.split("=", 1) for line in w.read("env").splitlines() if "=" in line)
        attempt = task(run, "a b.c")["attempts"][0]
        wanted = {"SECRET": "of the parent", "MINE": "x", "HOME": "/over", "WEFT_TASK": "a b.c",
                  "WEFT_RUN_ID": run["id"], "WEFT_ATTEMPT": "1", "WEFT_TOKEN": attempt["token"]}
        tap.equal({k: env.get(k) for k in wanted}, wanted)
        left = seconds(env["WEFT_DEADLINE"]) - seconds(attempt["started_at"])
        tap.equal(round(left), 60)
        tap.contains(w.read("fd"), "/dev/null")
        tap.equal(len([l for l in w.read("fd").splitlines() if "->" in l]), 4, w.read("fd"))


@tap.case
def a_timeout_ends_the_whole_tree():
    # A-40, A-41
    with World() as w:
        begun = time.monotonic()
        run = w.run({"slow": {"sh": "setsid sleep 100 & trap '' TERM; log there; sleep 100",
                              "timeout": "300ms", "grace": "200ms"},
                     "other": {"run": ["true"]}})
        tap.equal(run["state"], "FAILED")
        tap.equal(outcomes(run, "slow"), ["timed_out"])
        tap.equal(task(run, "slow")["reason"], "timed_out")
        tap.equal(task(run, "other")["state"], "SUCCEEDED")
        tap.equal(w.ledger(), ["there"])
        tap.equal(w.processes(), [])
        assert 0.5 <= span(task(run, "slow")["attempts"][0]["run_time"]) < 5, task(run, "slow")
        assert time.monotonic() - begun < 20


@on_both_stores
def a_task_is_tried_again_after_growing_waits(store):
    with World(store) as w:
        run = w.run({"flaky": {
            "sh": "log $WEFT_ATTEMPT $WEFT_TOKEN; test $WEFT_ATTEMPT = 3 || exit 7",
            "retry": {"max_attempts": 5, "on": [7],
                      "backoff": {"base": "200ms", "factor": 2, "jitter": 0}}}})
        attempts = task(run, "flaky")["attempts"]
        tap.equal(run["state"], "SUCCEEDED")
        tap.equal(outcomes(run, "flaky"), ["failed", "failed", "succeeded"])
        tap.equal([a["exit_code"] for a in attempts], [7, 7, 0])
        tap.equal(w.ledger(), [f"{a['number']} {a['token']}" for a in attempts])
        gaps = [seconds(b["started_at"]) - seconds(a["ended_at"])
                for a, b in zip(attempts, attempts[1:])]
        assert 0.2 <= gaps[0] < 0.39 + 0.5 and 0.4 <= gaps[1] < 0.9, gaps


@tap.case
def a_task_does_not_start_before_its_time():
    # A-116
    with World() as w:
        begun = time.time()
        run = w.run({"later": {"run": ["log", "later"], "not_before": "1200ms"},
                     "now": {"run": ["log", "now"]}})
        tap.equal(w.ledger(), ["now", "later"])
        started = seconds(task(run, "later")["attempts"][0]["started_at"])
        assert seconds(run["created_at"]) + 1.2 <= started < begun + 3, (begun, started)


@tap.case
def the_higher_priority_goes_first_then_the_order_of_the_file():
    with World() as w:
        names = {"a": 0, "b": 5, "c": -5, "d": 5, "e": 0}
        w.run({"first": {"run": ["true"]},
               **{n: {"run": ["log", n], "priority": p, "needs": ["first"]}
                  for n, p in names.items()}}, "-j", "1")
        tap.equal(w.ledger(), ["b", "d", "a", "e", "c"])


@tap.case
def no_more_run_at_once_than_allowed():
    tasks = {f"t{i}": {"run": [*LEDGER, "0.1"]} for i in range(8)}
    with World() as w:
        w.run(tasks, "-j", "8", max_parallel=2)
        tap.equal(most_at_once(w.ledger()), 2)
    with World() as w:
        w.run(tasks, "-j", "3")
        tap.equal(most_at_once(w.ledger()), 3)


@on_both_stores
def short_tasks_are_taken_ahead_and_long_ones_are_not_held(store):
    # A-106: the times of an attempt are those of its process
    with World(store) as w:
        tasks = {f"s{i}": {"run": ["true"]} for i in range(60)}
        tasks |= {f"l{i}": {"run": [*LEDGER, "0.5"]} for i in range(6)}
        with w.start(tasks, "-j", "2") as p:
            w.wait(lambda: len([l for l in w.ledger() if l.startswith("end")]) >= 2)
            w.wait(lambda: sum(s == "RUNNING" for s in w.states().values()) <= 2, 2)
            run = p.run()
        tap.equal(run["state"], "SUCCEEDED")
        tap.equal(most_at_once(w.ledger()), 2)
        ended = [a for t in run["tasks"] for a in t.get("attempts", []) if a["outcome"] == "succeeded"]
        tap.equal(len(ended), 66)
        # An end is known a moment after the slot is free again: on a busy machine a few milliseconds.
        edges = sorted(edge for a in ended for edge in (
            (seconds(a["started_at"]), True),
            (max(seconds(a["started_at"]), seconds(a["ended_at"]) - 0.05), False)))
        now = most = 0
        for _, starts in edges:
            now += 1 if starts else -1
            most = max(most, now)
        assert most <= 2, most
        tap.equal([c["id"] for c in w.json("doctor")["checks"] if not c["ok"]], [])


@tap.case
def a_task_that_removes_the_scratch_folder_hurts_no_other():
    with World() as w:
        run = w.run({
            "rude": {"sh": 'rm -rf "$(dirname "$(dirname "$WEFT_OUTPUT")")"'},
            "next": {"sh": "echo '{\"n\": 1}' > $WEFT_OUTPUT", "needs": "rude"},
        })
        tap.equal(task(run, "next")["output"], {"n": 1})


@tap.case
def results_that_are_none_fail_their_task_alone():
    # A-72
    with World() as w:
        run = w.run({
            "large": {"sh": "head -c 2097152 /dev/zero | tr '\\0' x > $WEFT_OUTPUT"},
            "bad": {"sh": "echo '{' > $WEFT_OUTPUT"},
            "list": {"sh": "echo '[1]' > $WEFT_OUTPUT"},
            "full": {"sh": "printf '{\"x\": \"%01000000d\"}' 7 > $WEFT_OUTPUT"},
        })
        tap.equal({t["name"]: t["reason"] for t in run["tasks"]},
                  {"large": "output_too_large", "bad": "output_invalid", "list": "output_invalid",
                   "full": ""})
        tap.equal(len(task(run, "full")["output"]["x"]), 1000000)


@on_both_stores
def ctrl_c_cancels_and_waits(store):
    # A-06, A-15
    for how in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        with World(store) as w:
            with w.start({"kind": {"sh": "trap 'log stopped; exit 0' TERM; log there; sleep 100 & wait"},
                          "after": {"needs": ["kind"], "run": ["log", "after"]}}) as p:
                w.wait(lambda: w.ledger() == ["there"])
                p.interrupt(how)
                run = p.run()
            tap.equal((p.returncode, run["state"]), (1, "CANCELLED"))
            tap.contains(p.err, "cancelling the run; press Ctrl-C again to kill")
            tap.equal(outcomes(run, "kind"), ["cancelled"])
            tap.equal(task(run, "after")["state"], "CANCELLED")
            tap.equal(w.ledger(), ["there", "stopped"])
            tap.equal(w.processes(), [])
            if store:
                return


@tap.case
def a_second_ctrl_c_kills():
    with World() as w:
        with w.start({"stubborn": {"sh": "trap '' TERM; log there; sleep 100; sleep 100",
                                   "grace": "1m"}}) as p:
            w.wait(lambda: w.ledger() == ["there"])
            p.interrupt()
            w.wait(lambda: "CANCELLING" in w.json("runs", "list")["runs"][0]["state"])
            begun = time.monotonic()
            p.interrupt()
            run = p.run()
        assert time.monotonic() - begun < 5
        tap.equal((p.returncode, run["state"]), (1, "CANCELLED"))
        tap.equal(outcomes(run, "stubborn"), ["cancelled"])
        tap.equal(w.processes(), [])


@on_both_stores
def another_program_cancels_the_run(store):
    # A-06, A-07, A-69
    with World(store) as w:
        with w.start({"a": {"run": LONG}, "b": {"needs": ["a"], "run": ["true"]}}) as p:
            w.wait(lambda: w.ledger())
            run = w.newest()
            tap.equal(w.weft("runs", "cancel", run).returncode, 0)
            shown = p.run()
        tap.equal((p.returncode, shown["state"]), (1, "CANCELLED"))
        tap.equal(outcomes(shown, "a"), ["cancelled"])
        again = w.weft("runs", "cancel", run)
        tap.equal(again.returncode, 4)
        tap.contains(again.err, "run_ended")
        tap.equal(w.weft("runs", "cancel", "999999").returncode, 3)


@on_both_stores
def a_run_that_is_carried_is_not_carried_twice(store):
    with World(store) as w:
        with w.start({"a": {"run": LONG}}) as p:
            w.wait(lambda: w.ledger())
            second = w.weft("runs", "resume", w.newest())
            tap.equal(second.returncode, 4)
            tap.contains(second.err, "run_held")
            tap.contains(second.err, f"process id {p.pid}")
            p.interrupt()
            p.end()


@on_both_stores
def a_run_goes_on_after_its_program_was_killed(store):
    # A-93, A-95
    with World(store) as w:
        tasks = {"done": {"run": ["log", "done"]},
                 "long": {"needs": ["done"],
                          "sh": "log try $WEFT_ATTEMPT; test $WEFT_ATTEMPT = 2 || { setsid sleep 100 & sleep 100; }"},
                 "after": {"needs": ["long"], "run": ["log", "after"]}}
        with w.start(tasks) as p:
            w.wait(lambda: "try 1" in w.ledger())
            p.kill()
            p.wait()
            w.wait(lambda: not w.processes(), 2)
        tap.equal(w.states(), {"done": "SUCCEEDED", "long": "RUNNING", "after": "BLOCKED"})
        with w.begin("runs", "resume", "-o", "json") as p:
            run = p.run()
        tap.equal((p.returncode, run["state"]), (0, "SUCCEEDED"), p.err)
        tap.equal(outcomes(run, "long"), ["lost", "succeeded"])
        tap.equal(w.ledger(), ["done", "try 1", "try 2", "after"])
        tap.equal(os.listdir(w.path("data/tmp")), [])
        doctor = w.json("doctor")
        tap.equal([c["id"] for c in doctor["checks"] if not c["ok"]], [])


@on_both_stores
def two_programs_work_on_one_store(store):
    # A-69, A-70, A-71
    with World(store) as w:
        tasks = {f"t{i}": {"run": ["true"], "needs": [f"t{i - 1}"] if i else []} for i in range(30)}
        first = w.start(tasks)
        second = w.start(tasks)
        runs = [first.run(), second.run()]
        tap.equal([r["state"] for r in runs], ["SUCCEEDED"] * 2)
        tap.equal(len({r["id"] for r in runs}), 2)
        tap.equal({len(t.get("attempts", [])) for r in runs for t in r["tasks"]}, {1})
        status = w.json("status")
        tap.equal(status["runs"]["SUCCEEDED"], 2)
        tap.equal(status["tasks"]["succeeded"], 60)


@tap.case
def watching_ends_with_the_run_and_ctrl_c_ends_only_the_watching():
    with World() as w:
        with w.start({"a": {"run": LONG}}) as p:
            w.wait(lambda: w.ledger())
            with w.begin("runs", "watch", w.newest()) as watcher:
                w.wait(lambda: catches_interrupts(watcher.pid))
                watcher.interrupt()
                watcher.end(5)
            tap.equal(w.states(), {"a": "RUNNING"})
            with w.begin("runs", "watch", w.newest()) as watcher:
                w.wait(lambda: catches_interrupts(watcher.pid))
                p.interrupt()
                watcher.end(10)
            tap.contains(watcher.out, "CANCELLED")
            p.end()


@tap.case
def progress_is_shown_on_a_terminal():
    # A-08
    with World() as w:
        file = w.workflow({"a": {"sh": "echo '40 half of it' >> $WEFT_PROGRESS; echo some words; log there; "
                                       "while ! test -e $WORLD/go; do sleep 0.05; done"}})
        control, terminal = pty.openpty()
        p = subprocess.Popen([WEFT, "run", file], cwd=w.folder, env={**w.env, "TERM": "xterm"},
                             stdin=terminal, stdout=terminal, stderr=terminal)
        os.close(terminal)
        seen = b""
        until = time.monotonic() + 20
        while not (b"half of it" in seen and b"40" in seen) and time.monotonic() < until:
            if select.select([control], [], [], 0.1)[0]:
                seen += os.read(control, 65536)
        w.write("go", "")
        while True:
            try:
                seen += os.read(control, 65536)
            except OSError:
                break
        tap.equal(p.wait(20), 0)
        tap.contains(seen, b"half of it")
        tap.contains(seen, b"SUCCEEDED")


@tap.case
def waiting_costs_no_processor_time():
    with World() as w:
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        run = w.run({"a": {"run": ["sleep", "3"]}})
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        tap.equal(run["state"], "SUCCEEDED")
        assert used < 0.6, f"{used:.2f} s of processor time for 3 s of waiting"


@tap.case
def a_run_without_the_store_of_an_earlier_one_says_so():
    with World() as w:
        done = w.weft("runs", "list")
        tap.equal(done.returncode, 3)
        tap.contains(done.err, "store_not_found")
        tap.equal(os.path.exists(w.path("data")), False, "a command that reads makes nothing")


@tap.case
def each_command_that_cannot_run_has_its_reason():
    with World() as w:
        w.write("plain", "no program")
        run = w.run({
            "missing": {"run": ["no-such-command-at-all"]},
            "denied": {"run": [w.path("plain")]},
            "nowhere": {"run": ["true"], "cwd": "no/such/folder"},
            "fails": {"run": ["sh", "-c", "echo why >&2; exit 9"]},
            "killed": {"run": ["sh", "-c", "kill -KILL $$"]},
            "good": {"run": ["true"]},
        })
        tap.equal({t["name"]: t["reason"] for t in run["tasks"]},
                  {"missing": "command_not_found", "denied": "command_not_executable",
                   "nowhere": "cwd_not_found", "fails": "command_failed",
                   "killed": "command_killed", "good": ""})
        tap.equal(task(run, "fails")["attempts"][0]["stderr_tail"], "why\n")
        tap.equal(task(run, "killed")["attempts"][0]["signal"], 9)
        for t in run["tasks"]:
            if t["reason"]:
                assert re.search(r"\w+ \w+", t["attempts"][0]["message"]), t


@tap.case
def no_task_fails_for_want_of_open_files():
    with World() as w:
        def limited(files, *args):
            return subprocess.run(["sh", "-c", f'ulimit -n {files} && exec "$0" "$@"', WEFT, *args],
                                  cwd=w.folder, env=w.env, stdin=subprocess.DEVNULL,
                                  capture_output=True, text=True, timeout=60)

        file = w.workflow({f"t{i}": {"sh": "echo out; echo err >&2; sleep 0.1"} for i in range(30)})
        for files, args in ((72, ()), (64 + 8 * 10, ("-j", "10"))):
            done = limited(files, "run", file, *args)
            tap.equal(done.returncode, 0, f"{files} files: {done.stderr}")
        for files, args, advice in ((8, (), "(ulimit -n) ["), (30, (), "(ulimit -n) ["),
                                    (100, ("-j", "10"), "or lower --jobs")):
            done = limited(files, "run", file, *args)
            tap.equal(done.returncode, 2, f"{files} files: {done.stderr}")
            tap.contains(done.stderr, f"this program may have {files}; raise the limit")
            tap.contains(done.stderr, advice)
        tap.equal(len(w.json("runs", "list")["runs"]), 2, "a refused run is not stored")


tap.main()
