#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft is killed at random moments of a run of 100 tasks, and loses nothing.

Each attempt writes its start and its end with its token into a ledger, and holds a lock of its task
meanwhile. After the kill every process of the run must be gone within two seconds; after
`weft runs resume` every task has succeeded, no two attempts of a task overlapped, and the attempt
that succeeded is in the ledger with both lines.

WEFT_KILLS sets how many moments are tried per store (200), WEFT_SEED the moments.
"""
import collections
import concurrent.futures
import json
import os
import random
import signal
import subprocess
import tempfile
import time

import pg
import tap

WEFT = os.environ["WEFT"]
KILLS = int(os.environ.get("WEFT_KILLS", "200"))
SEED = int(os.environ.get("WEFT_SEED", "1"))
AT_ONCE = 3
LAYERS, WIDTH = 10, 10
DEATH_SECONDS_MAX = 2
COMMAND_SECONDS_MAX = 60
OUTPUT_SHOWN = 2000

STEP = """#!/bin/sh
# A child of its own session, which must not outlive the attempt either.
exec 9> "$WORLD/lock.$WEFT_TASK"
flock -n 9 || echo "overlap $WEFT_TOKEN $WEFT_TASK" >> "$WORLD/ledger"
echo "start $WEFT_TOKEN $WEFT_TASK" >> "$WORLD/ledger"
setsid sleep 100 9>&- > /dev/null 2>&1 &
echo "end $WEFT_TOKEN $WEFT_TASK" >> "$WORLD/ledger"
"""


def workflow(step):
    tasks = {}
    for layer in range(LAYERS):
        for i in range(WIDTH):
            tasks[f"t{layer}-{i}"] = {
                "run": [step],
                "grace": "100ms",
                "needs": [f"t{layer - 1}-{(i + d) % WIDTH}" for d in (0, 1)] if layer else [],
            }
    retry = {"max_attempts": 1000, "on": ["lost"]}
    return {"weft": 1, "name": "chaos", "defaults": {"retry": retry}, "tasks": tasks}


class World:
    """A folder with the workflow, the ledger and the data of one program that is killed."""

    def __init__(self, folder, store):
        self.folder = folder
        self.store = store
        step = os.path.join(folder, "step")
        with open(step, "w", encoding="utf-8") as f:
            f.write(STEP)
        os.chmod(step, 0o755)
        with open(os.path.join(folder, "chaos.json"), "w", encoding="utf-8") as f:
            json.dump(workflow(step), f)
        self.env = {**os.environ, "WORLD": folder, "WEFT_DATA": os.path.join(folder, "data")}
        if store:
            self.env["WEFT_STORE"] = store

    def start(self):
        return subprocess.Popen(
            [WEFT, "run", "chaos.json", "-j", "8"], cwd=self.folder, env=self.env,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def weft(self, *args):
        return subprocess.run(
            [WEFT, *args], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=COMMAND_SECONDS_MAX)

    def ledger(self):
        try:
            with open(os.path.join(self.folder, "ledger"), encoding="utf-8") as f:
                return [line.split() for line in f]
        except FileNotFoundError:
            return []

    def processes(self):
        """Who lives with this world in its environment."""
        mark, found = f"WORLD={self.folder}".encode(), []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    if mark in f.read().split(b"\0"):
                        found.append(int(pid))
            except OSError:
                continue
        return found

    def wait_until_nobody_lives(self):
        until = time.monotonic() + DEATH_SECONDS_MAX
        while self.processes():
            if time.monotonic() > until:
                raise AssertionError(f"still alive: {[describe(p) for p in self.processes()]}")
            time.sleep(0.01)


def describe(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f"{pid} {f.read().decode(errors='replace')!r}"
    except OSError:
        return str(pid)


def check(world, moment):
    shown = world.weft("runs", "list", "-o", "json")
    tap.equal(shown.returncode, 0, f"runs list after {moment:.3f} s: {shown.stderr}")
    runs = json.loads(shown.stdout)["runs"]
    tap.equal(len(runs), 1, "runs")
    shown = world.weft("runs", "show", runs[0]["id"], "-o", "json")
    tap.equal(shown.returncode, 0, f"runs show: {shown.stderr}")
    run = json.loads(shown.stdout)
    tap.equal(run["state"], "SUCCEEDED", f"the run killed after {moment:.3f} s")
    lines = world.ledger()
    tap.equal([l for l in lines if l[0] == "overlap"], [], "overlaps")
    seen = collections.Counter((l[0], l[1]) for l in lines)
    for task in run["tasks"]:
        tap.equal(task["state"], "SUCCEEDED", task["name"])
        won = [a for a in task["attempts"] if a["outcome"] == "succeeded"]
        tap.equal(len(won), 1, f"successful attempts of {task['name']}")
        for what in ("start", "end"):
            tap.equal(seen[what, won[0]["token"]], 1, f"{what} of {task['name']}")
    doctor = world.weft("doctor", "-o", "json")
    tap.equal(doctor.returncode, 0, f"doctor: {doctor.stdout}")


def kill_at(moment, store):
    with tempfile.TemporaryDirectory(prefix="weft-chaos-") as folder:
        world = World(folder, store)
        child = world.start()
        try:
            out, _ = child.communicate(timeout=moment)
            tap.equal(child.returncode, 0, out[-OUTPUT_SHOWN:])
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGKILL)
            child.communicate()
        world.wait_until_nobody_lives()
        resumed = world.weft("runs", "resume")
        if resumed.returncode in (3, 7) and not world.ledger():
            return "before"  # it died before there was a run to resume
        if resumed.returncode == 3:
            check(world, moment)
            return "after"
        tap.equal(resumed.returncode, 0, f"resume after {moment:.3f} s: {resumed.stderr}")
        world.wait_until_nobody_lives()
        check(world, moment)
        return "within"


def whole_run_seconds(stores):
    with tempfile.TemporaryDirectory(prefix="weft-chaos-") as folder, stores() as store:
        world = World(folder, store)
        began = time.monotonic()
        child = world.start()
        out, _ = child.communicate(timeout=COMMAND_SECONDS_MAX)
        tap.equal(child.returncode, 0, out[-OUTPUT_SHOWN:])
        check(world, 0)
        return time.monotonic() - began


def kill_often(stores):
    seconds = whole_run_seconds(stores)
    prng = random.Random(SEED)
    moments = [prng.uniform(0, 1.3 * seconds) for _ in range(KILLS)]

    def one(moment):
        with stores() as store:
            return kill_at(moment, store)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        when = collections.Counter(pool.map(one, moments))
    print(f"# seed {SEED}: a run takes {seconds:.2f} s; killed {dict(when)}")
    if KILLS >= 20 and when["within"] < KILLS / 10:
        raise AssertionError(f"too few kills fell into the run: {dict(when)}")


class no_store:
    """The default: a SQLite file in the data folder."""

    def __enter__(self):
        return None

    def __exit__(self, *_):
        return False


@tap.case
def sqlite_loses_nothing():
    kill_often(no_store)


@tap.case
def postgres_loses_nothing():
    if "WEFT_TEST_POSTGRES" not in os.environ:
        raise tap.Skip("no Postgres server (WEFT_TEST_POSTGRES)")
    kill_often(lambda: pg.database(os.environ["WEFT_TEST_POSTGRES"]))


tap.main()
