#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The n-th system call of `weft run` fails, for n = 1, 2, … until the run passes untouched.

Whatever fails: weft ends by itself, with a status and a sentence that it has for such cases, and
leaves no process behind. With all in order again the store is healthy, the run goes on where it was,
and nothing that had succeeded is done again.

The program test/nth.c lets the calls fail. What the store's own tests show at every n
(test/oracle/nth_test.c) is not repeated here.
"""
import concurrent.futures
import errno
import itertools
import os
import shutil
import subprocess

import pg
import tap
from world import WEFT, World

NTH = os.path.join(os.environ["WEFT_BUILD"], "test", "nth")
SECONDS_MAX = 60
ABORTED = 128 + 6
MEMORY = "mmap,brk"
DESCRIPTORS = "epoll_create1,eventfd2,pipe2,socket"
# libuv ends a process that has no pipe for its signals, and weft one without memory.
MAY_ABORT = (MEMORY, DESCRIPTORS)

RETRY = {"max_attempts": 5, "backoff": {"base": 0.01, "jitter": 0}, "on": ["failed", "lost"]}
TASKS = {
    "a": {"sh": "log a; echo says", "retry": RETRY},
    "b": {"needs": ["a"], "sh": "log b", "retry": RETRY},
    "c": {"needs": ["a"], "sh": "log c", "retry": RETRY},
    "d": {"needs": ["b", "c"], "sh": "log d", "retry": RETRY},
}


def check_doctor(w, what):
    left = [c["id"] for c in w.json("doctor")["checks"] if not c["ok"]]
    tap.equal(left, [], f"{what}: doctor")


def check_after(w, status, err, what):
    """All in order again: what was promised is there, and the rest follows."""
    tap.equal(w.processes(), [], f"{what}: processes")
    run = w.newest()
    if not run:
        assert status != 0, f"{what}: success without a run"
        begun = w.weft("run", w.workflow(TASKS))
        tap.equal(begun.returncode, 0, f"{what}: a new run: {begun.err}")
        run = w.newest()
    check_doctor(w, what)
    state = w.json("runs", "show", run)["state"]
    if state != "SUCCEEDED":
        verb = "retry" if state == "FAILED" else "resume"
        done = w.weft("runs", verb, run)
        tap.equal(done.returncode, 0, f"{what}: {verb} after {status} ({err}): {done.err}")
    check_doctor(w, what)
    shown = w.json("runs", "show", run)
    tap.equal(shown["state"], "SUCCEEDED", f"{what}: {shown}")
    ledger = w.ledger()
    for task in shown["tasks"]:
        outcomes = [a["outcome"] for a in task["attempts"]]
        tap.equal(outcomes.count("succeeded"), 1, f"{what}: {task['name']} {outcomes}")
        ran = ledger.count(task["name"])
        assert 1 <= ran <= len(outcomes), f"{what}: {task['name']} ran {ran} times, {outcomes}"


def run_once(what, store, template, begun):
    """Its status, and how many calls were counted."""
    with World(store) as w:
        if template:
            shutil.copytree(template, w.path("data"))
        log = w.path("calls")
        done = subprocess.run([*begun(log), WEFT, "run", w.workflow(TASKS)], cwd=w.folder, env=w.env,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=SECONDS_MAX)
        err = done.stderr.decode()
        if done.returncode == 125:
            raise tap.Skip("seccomp hands no calls over here")
        may_abort = what.startswith(MAY_ABORT)
        assert done.returncode in (0, 1, 7) or (may_abort and done.returncode == ABORTED), \
            f"{what}: status {done.returncode}: {err}"
        assert "Assertion" not in err, f"{what}: {err}"
        if done.returncode not in (0, ABORTED):
            assert err.strip() or done.stdout.strip(), f"{what}: {done.returncode} without a word"
        check_after(w, done.returncode, err, what)
        with open(log, encoding="utf-8") as f:
            return done.returncode, len(f.readlines())


def try_n(calls, error, part, stays, postgres, template, n):
    what = f"{calls} {part} at {n} with {errno.errorcode[error]}"

    def begun(log):
        more = ["-p", part] if part else []
        more += ["-s"] if stays else []
        more += ["-a", "clone"] if calls == MEMORY else []  # the guardian: before it, libc begins
        return [NTH, "-n", str(n), "-e", str(error), "-l", log, *more, calls]

    if not postgres:
        return run_once(what, None, template, begun)
    with pg.database(os.environ["WEFT_TEST_POSTGRES"]) as url:
        return run_once(what, url, template, begun)


def every_n(calls, error, part="", stays=False, postgres=False, template=None):
    """Two at a time, in order, until one passes untouched."""
    statuses = {}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        waiting = []
        for n in itertools.count(1):
            waiting.append((n, pool.submit(try_n, calls, error, part, stays, postgres, template, n)))
            if len(waiting) < 2:
                continue
            at, trial = waiting.pop(0)
            status, counted = trial.result()
            statuses[status] = statuses.get(status, 0) + 1
            if counted < at:
                break
        waiting[0][1].result()
    print(f"# {calls} {part} {errno.errorcode[error]}: up to {at}, statuses {statuses}", flush=True)
    assert at > 2


class Made(World):
    """A store that is there already, with the run of another workflow, to be copied."""

    def __enter__(self):
        super().__enter__()
        self.json("workflows", "put", self.workflow({"before": {"run": ["true"]}}))
        return self.path("data")


@tap.case
def a_sync_fails():
    every_n("fsync,fdatasync", errno.EIO)


@tap.case
def folders_that_were_made_are_on_the_disk_before_a_commit():
    # SQLite syncs the folder of its files, and none above it.
    with World() as w:
        w.env["WEFT_DATA"] = w.path("one/two")
        log = w.path("calls")
        done = subprocess.run([NTH, "-l", log, "fsync,fdatasync", WEFT, "run", w.workflow(TASKS)],
                              cwd=w.folder, env=w.env, capture_output=True, timeout=SECONDS_MAX)
        if done.returncode == 125:
            raise tap.Skip("seccomp hands no calls over here")
        tap.equal(done.returncode, 0, done.stderr.decode())
        synced = [line.split(" ", 1)[1] for line in w.read("calls").splitlines()]
        before = synced[:synced.index(w.path("one/two/weft.db-wal"))]
        for folder in (w.folder, w.path("one"), w.path("one/two")):
            assert folder in before, f"{folder} is not in {before}"


@tap.case
def a_write_of_the_store_fails():
    with Made() as template:
        every_n("pwrite,ftruncate", errno.EIO, "weft.db", template=template)


@tap.case
def the_disk_is_full_at_a_write():
    with Made() as template:
        every_n("pwrite,ftruncate", errno.ENOSPC, "weft.db", template=template)


@tap.case
def a_start_fails():
    with Made() as template:
        every_n("clone,clone3", errno.EAGAIN, template=template)
        every_n("clone,clone3", errno.ENOMEM, template=template)


@tap.case
def there_are_no_descriptors():
    with Made() as template:
        every_n(DESCRIPTORS, errno.EMFILE, template=template)


@tap.case
def there_is_no_memory():
    with Made() as template:
        every_n(MEMORY, errno.ENOMEM, template=template)
        every_n(MEMORY, errno.ENOMEM, stays=True, template=template)


@tap.case
def a_connection_fails_on_postgres():
    if "WEFT_TEST_POSTGRES" not in os.environ:
        raise tap.Skip("there is no Postgres (WEFT_TEST_POSTGRES)")
    every_n("connect", errno.ECONNREFUSED, postgres=True)


tap.main()
