#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pools of `weft up`: real processes that start, die, are replaced and end with their server."""
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import tap  # noqa: E402
from daemon import Server  # noqa: E402
from world import World  # noqa: E402

CHILD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "pool", "child.py")


def settings(**pools):
    lines = ["slots: 0", "pools:"]
    for name, (size, args) in pools.items():
        lines += [f"  {name}:", f"    command: [python3, -S, -E, {CHILD}, {args}]", f"    size: {size}",
                  "    overflow: 0", f"    start_batch: {size}", "    grace: 300ms", "    env: {NAME: " + name + "}"]
    return "\n".join(lines if pools else ["slots: 0"]) + "\n"


def begin(w, **pools):
    w.write("weft.yaml", settings(**pools))
    w.env["WEFT_CONFIG"] = w.path("weft.yaml")


def count(s, pool, state="READY"):
    return s.metrics().get(f'weft_pool_processes{{pool="{pool}",state="{state}"}}')


def total(s, pool, what):
    return s.metrics()[f'weft_pool_{what}_total{{pool="{pool}"}}']


def processes(pool):
    """The process ids of a pool of this test, by what weft put into their environment."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                env = f.read().split(b"\0")
        except OSError:
            continue
        if b"WEFT_POOL=" + pool.encode() in env:
            found.add(int(pid))
    return found


def named(what):
    return f"{what}-{os.getpid()}"


@tap.case
def processes_live_and_end_with_the_server():
    with World() as w:
        name = named("py")
        begin(w, **{name: (2, "x")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 2)
            tap.equal(len(processes(name)), 2)
            tap.equal(s.end(), 0)
        tap.equal(processes(name), set())


@tap.case
def one_that_is_killed_is_replaced():
    with World() as w:
        name = named("py")
        begin(w, **{name: (2, "x")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 2)
            os.kill(min(processes(name)), signal.SIGKILL)
            lost = s.wait_log("pool_process_lost")
            tap.equal(lost["why"], "it was killed by signal 9 (SIGKILL)")
            w.wait(lambda: count(s, name) == 2)
            tap.equal((total(s, name, "lost"), total(s, name, "started")), (1, 3))
            tap.equal(s.end(), 0)


@tap.case
def what_they_say_on_stderr_is_a_log():
    with World() as w:
        name = named("py")
        begin(w, **{name: (1, "exit")})
        with Server(w) as s:
            lost = s.wait_log("pool_process_lost")
            tap.equal(lost["why"], "it ended with exit code 1: it has no model")
            with open(os.path.join(w.env["WEFT_DATA"], "pools", name, "1.log"), encoding="utf-8") as f:
                tap.equal(f.read(), "it has no model\n")
            tap.equal(s.end(), 0)


@tap.case
def other_settings_renew_start_and_end_them():
    with World() as w:
        same, other, gone, new = (named(n) for n in ("same", "other", "gone", "new"))
        begin(w, **{same: (1, "x"), other: (1, "x"), gone: (1, "x")})
        with Server(w) as s:
            for name in (same, other, gone):
                w.wait(lambda name=name: count(s, name) == 1)
            before = processes(same), processes(other)
            begin(w, **{same: (1, "x"), other: (1, "y"), new: (1, "x")})
            s.interrupt(signal.SIGHUP)
            s.wait_log("config_reloaded")
            tap.equal(s.wait_log("pool_ended")["pool"], gone)
            w.wait(lambda: count(s, new) == 1)
            w.wait(lambda: total(s, other, "recycled") == 1 and len(processes(other)) == 1)
            tap.equal((processes(same) == before[0], processes(other) & before[1]), (True, set()))
            tap.equal((processes(gone), count(s, gone)), (set(), None))
            tap.equal(s.end(), 0)


@tap.case
def none_survives_a_server_that_is_killed():
    with World() as w:
        name = named("py")
        begin(w, **{name: (2, "stubborn")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 2)
            s.process.kill()
            s.process.wait()
            w.wait(lambda: not processes(name))


@tap.case
def those_that_do_not_want_to_end_are_ended():
    with World() as w:
        name = named("py")
        begin(w, **{name: (1, "stubborn")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 1)
            tap.equal(s.end(), 0)
        tap.equal(processes(name), set())


if __name__ == "__main__":
    tap.main()
