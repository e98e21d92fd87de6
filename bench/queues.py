# SPDX-License-Identifier: Apache-2.0
"""Benchmarks of the queue through a running server, and of the peers that users would pick instead.

All are asked the same: 64 callers that add one task each, batches, taking and completing, and how
long a task waits for its start at 50 a second. Payloads have about 100 bytes, fsync is on.
"""
import contextlib
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

import pg

HERE = os.path.dirname(os.path.abspath(__file__))
READY_SECONDS_MAX = 20
PEER_SECONDS_MAX = 600


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@contextlib.contextmanager
def process(command, ready, **options):
    """A program that is ended at the end, once it is ready."""
    p = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, **options)
    try:
        until = time.monotonic() + READY_SECONDS_MAX
        while not ready():
            if p.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} did not start")
            time.sleep(0.01)
        yield p
    finally:
        p.terminate()
        p.wait()


def answers(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.contextmanager
def up(bench, kind):
    """A server on a new store; its URL."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"

    def ready():
        with contextlib.suppress(OSError):
            return urllib.request.urlopen(f"{url}/readyz", timeout=1).status == 200
        return False

    data = os.path.join(bench.scratch, "up")
    shutil.rmtree(data, ignore_errors=True)
    with bench.store(kind) as store:
        command = [f"{bench.build}/weft", "up", "--listen", f"127.0.0.1:{port}", "--store", store,
                   "--data", data]
        with process(command, ready, stderr=subprocess.DEVNULL):
            yield url


def ask(bench, url, *words):
    return bench.ask(f"{bench.build}/weft", "bench", *words, "--server", url, "-o", "json")


def grpc_turn(bench, kind):
    """What grpc_queue measures, on a new server."""
    part = 4 if bench.quick else 1
    with up(bench, kind) as url:
        def ask_grpc(*words):
            return bench.ask(bench.program("grpc_queue"), url.removeprefix("http://"), *words)

        single = ask_grpc("enqueue", 8, 8, 1, 80000 // part)
        lives = ask_grpc("work", 8, 8, 1, 40000 // part)
        bulk = ask_grpc("enqueue", 4, 1, 1000, 200000 // part)
        batch = ask_grpc("work", 4, 1, 100, 200000 // part)
    return {
        "single_per_s": single["tasks_per_s"],
        "lives_per_s": lives["tasks_per_s"],
        "bulk_per_s": bulk["tasks_per_s"],
        "drain_per_s": batch["tasks_per_s"],
    }


def one_turn(bench, kind):
    """Each figure once, on a new server."""
    part = 4 if bench.quick else 1
    with up(bench, kind) as url:
        single = ask(bench, url, "enqueue", "--callers", 64, "--count", 40000 // part)
        lives = ask(bench, url, "work", "--callers", 64, "--count", 40000 // part)
        bulk = ask(bench, url, "enqueue", "--callers", 4, "--batch", 1000, "--count", 200000 // part)
        batch = ask(bench, url, "work", "--callers", 4, "--batch", 100, "--count", 200000 // part)
        start = ask(bench, url, "start", "--callers", 4, "--rate", 50, "--count", 500 // part)
    return {
        "single_per_s": single["tasks_per_s"],
        "lives_per_s": lives["tasks_per_s"],
        "bulk_per_s": bulk["tasks_per_s"],
        "drain_per_s": batch["tasks_per_s"],
        "start_p50_ms": start["p50_ms"],
        "start_p99_ms": start["p99_ms"],
    }


# (figure, its title, the goal on SQLite, on Postgres, whether more is better); DESIGN §8.
FIGURES = [
    ("single_per_s", "single enqueues /s, 64 callers", 40000, 40000, True),
    ("lives_per_s", "claim, then complete, one by one /s, 64 workers", 20000, 20000, True),
    ("bulk_per_s", "enqueue by 1 000 /s", None, None, True),
    ("drain_per_s", "claim + complete by 100 /s", 80000, 60000, True),
    ("start_p50_ms", "enqueue to start, p50 ms", 3, 3, False),
    ("start_p99_ms", "enqueue to start, p99 ms", 10, 10, False),
]


def npm_peers(bench):
    """The folder with the peers of npm, or None where they cannot be had."""
    folder = os.path.join(bench.build, "bench", "peers")
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(f"{HERE}/peers"):
        if name != "node_modules":
            shutil.copy(f"{HERE}/peers/{name}", folder)
    if not shutil.which("npm"):
        return None
    done = subprocess.run(["npm", "ci", "--silent", "--no-audit", "--no-fund"], cwd=folder)
    return folder if done.returncode == 0 else None


def beanstalkd(bench):
    port, data = free_port(), os.path.join(bench.scratch, "beanstalkd")
    shutil.rmtree(data, ignore_errors=True)
    os.makedirs(data)
    command = ["beanstalkd", "-l", "127.0.0.1", "-p", port, "-b", data, "-f0"]
    with process(command, lambda: answers(port)):
        return peer(bench, [f"{HERE}/peers/beanstalkd.py", f"127.0.0.1:{port}"])


def redis(bench, folder):
    port, data = free_port(), os.path.join(bench.scratch, "redis")
    shutil.rmtree(data, ignore_errors=True)
    os.makedirs(data)
    command = ["redis-server", "--port", port, "--bind", "127.0.0.1", "--appendonly", "yes",
               "--appendfsync", "always", "--save", "", "--dir", data]
    with process(command, lambda: answers(port)):
        return peer(bench, ["node", f"{folder}/bullmq.mjs", f"redis://127.0.0.1:{port}"])


def on_postgres(bench, folder, script):
    with pg.database(bench.postgres) as url:
        return peer(bench, ["node", f"{folder}/{script}", url])


def peer(bench, command):
    done = subprocess.run(command + (["quick"] if bench.quick else []), check=True,
                          stdout=subprocess.PIPE, timeout=PEER_SECONDS_MAX)
    return json.loads(done.stdout)


def subjects(bench):
    """{who: function that gives its figures}; those that this machine can run."""
    found = {}
    for kind in bench.stores:
        found[f"weft {kind}"] = lambda kind=kind: one_turn(bench, kind)
        found[f"weft {kind}, gRPC"] = lambda kind=kind: grpc_turn(bench, kind)
    folder = npm_peers(bench)
    for what, there in (("npm (graphile-worker, pg-boss, BullMQ)", folder),
                        ("redis-server (BullMQ)", shutil.which("redis-server")),
                        ("beanstalkd", shutil.which("beanstalkd"))):
        if not there:
            print(f"not measured, since it is not installed: {what}", file=sys.stderr)
    if folder and bench.postgres:
        found["graphile-worker"] = lambda: on_postgres(bench, folder, "graphile.mjs")
        found["pg-boss"] = lambda: on_postgres(bench, folder, "pgboss.mjs")
    if folder and shutil.which("redis-server"):
        found["BullMQ, Redis"] = lambda: redis(bench, folder)
    if shutil.which("beanstalkd"):
        found["beanstalkd"] = lambda: beanstalkd(bench)
    return found


def goal_text(kind, figure, value):
    _, _, sqlite, postgres, more = figure
    goal = sqlite if kind.startswith("weft sqlite") else postgres if kind.startswith("weft") else None
    if goal is None:
        return ""
    met = value >= goal if more else value <= goal
    return f"{'>=' if more else '<='} {goal}: {'met' if met else 'missed'}"


def queues(bench, table, spread):
    """the queue through a running server over HTTP and gRPC, and what users would pick instead"""
    got = bench.in_turn(subjects(bench))
    rows = []
    for figure in FIGURES:
        key, title = figure[:2]
        for who, turns in got.items():
            values = [t[key] for t in turns if key in t]
            if not values:
                continue
            form = "{:.2f}" if key.endswith("_ms") else "{:.0f}"
            rows.append([title, who, spread(values, form),
                         goal_text(who, figure, statistics.median(values))])
            bench.keep(name="queues", who=who, figure=key, values=values)
    table(queues.__doc__, ["figure", "who", "median (range)", "goal"], rows)
