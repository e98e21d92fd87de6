# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of work plans: dispatch, writes, one runner of many that hangs, many watchers.

The runners are one C program over nghttp2 (bench/grpc_plans.c), on the same machine as the server.
Beside it stand what bounds it in the same turn: unary calls over as many connections between two
such programs without a server (bench/grpc_load, bench/grpc_bare), and the time of one commit
(bench/lives_bare by ones, three commits a life).
"""
import os
import statistics
import subprocess

from queues import up

RUNNERS = 4
STAGES = 1000
CALLS_EACH = 64
LIVES = 200
MANY_RUNNERS = 200
MANY_SLOTS = 2
WATCHED_SLOTS = 8
WATCHERS = 1000

# (figure, its title, form, goal, whether more is better). The goals are those of SQLite.
FIGURES = [
    ("stages_per_s", f"{STAGES} sync stages, {RUNNERS} runners, stages /s", "{:.0f}", 3000, True),
    ("calls_share", "  of calls without a server", "{:.2f}", None, True),
    ("call_p50_ms", "a stage at 50 /s: written to called, p50 ms", "{:.2f}", 2, False),
    ("call_commits", "  in commits", "{:.1f}", None, False),
    ("call_p99_ms", "  p99 ms", "{:.2f}", None, False),
    ("write_s", "a plan of 10 000 stages written, s", "{:.2f}", 1, False),
    ("small_ms", "one stage more written into it, p50 ms", "{:.2f}", None, False),
    ("small_share", "  times that into an empty plan", "{:.2f}", None, False),
    ("hung_share", f"{MANY_RUNNERS} runners, one hangs: stages /s, of none", "{:.3f}",
     1 - 1 / MANY_RUNNERS, True),
    ("watched_share", f"{WATCHERS} watchers: calls /s, of none", "{:.2f}", 0.9, True),
]


def bare_calls(bench):
    """Calls a second over as many connections as there are runners."""
    message = os.path.join(bench.scratch, "message")
    with open(message, "wb") as f:
        f.write(b"\x0a\x67" + b"x" * 103)
    with subprocess.Popen([bench.program("grpc_bare")], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True) as server:
        address = server.stdout.readline().strip()
        told = bench.ask(bench.program("grpc_load"), address, "weft.v1.Runner/Run", message,
                         RUNNERS, CALLS_EACH, 1)
        server.stdin.close()
        server.wait()
    return told["rate"]


def commit_ms(bench, kind):
    with bench.store(kind) as url:
        told = bench.ask(bench.program("lives_bare"), url, 1, LIVES, 20)
    return told["seconds"] * 1000 / (3 * told["lives"])


def one_turn(bench, kind):
    """Each figure once, on a new server."""
    part = 2 if bench.quick else 1
    with up(bench, kind) as url:
        def ask(*words):
            return bench.ask(bench.program("grpc_plans"), url.removeprefix("http://"), *words)

        calls = bare_calls(bench)
        run = ask("run", STAGES, RUNNERS, 0, 0, 0)
        start = ask("start", 200 // part, 50)
        write = ask("write", 10000, 200 // part)
        none_hung = ask("run", 4000 // part, MANY_RUNNERS, MANY_SLOTS, 0, 0)
        one_hung = ask("run", 4000 // part, MANY_RUNNERS, MANY_SLOTS, 1, 0)
        unwatched = ask("run", STAGES, RUNNERS, WATCHED_SLOTS, 0, 0)
        watched = ask("run", STAGES, RUNNERS, WATCHED_SLOTS, 0, WATCHERS)
    return {
        "stages_per_s": run["stages_per_s"],
        "calls_share": run["stages_per_s"] / calls,
        "call_p50_ms": start["call_p50_ms"],
        "call_commits": start["call_p50_ms"] / commit_ms(bench, kind),
        "call_p99_ms": start["call_p99_ms"],
        "write_s": write["write_s"],
        "small_ms": write["small_into_full_ms"],
        "small_share": write["small_into_full_ms"] / write["small_into_empty_ms"],
        "hung_share": one_hung["stages_per_s"] / none_hung["stages_per_s"],
        "watched_share": watched["calls_per_s"] / unwatched["calls_per_s"],
    }


def goal_text(kind, goal, more, value):
    if goal is None or kind != "sqlite":
        return ""
    met = value >= goal if more else value <= goal
    return f"{'>=' if more else '<='} {goal}: {'met' if met else 'missed'}"


def plans(bench, table, spread):
    got = bench.in_turn({kind: lambda kind=kind: one_turn(bench, kind) for kind in bench.stores})
    rows = []
    for key, title, form, goal, more in FIGURES:
        for kind, turns in got.items():
            values = [t[key] for t in turns]
            rows.append([title, kind, spread(values, form),
                         goal_text(kind, goal, more, statistics.median(values))])
            bench.keep(name="plans", store=kind, figure=key, values=values, goal=goal)
    table("work plans through a running server, whose runners are a C program", ["figure", "store", "median (range)", "goal"], rows)
