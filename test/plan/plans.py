# SPDX-License-Identifier: Apache-2.0
"""Work plans against a `weft up` of a test's own, with runners in the test's process: everything over real sockets.

    with World(store) as w:
        runner = w.runner("build", script=["fail", "succeed"])
        plan = w.plan()
        plan.write(checks=["builds"], stages=[stage("compile", "build", checks=["builds"])])
        plan.wait(compile="SUCCEEDED", builds="SUCCEEDED")
"""
import contextlib
import os
import sys
import tempfile
import time
import urllib.parse

try:
    import grpc  # noqa: F401
except ImportError as e:
    print(f"1..0 # SKIP {e}")
    sys.exit(0)

import server
import tap
from weft.testing import TestRunner

import weft

SECONDS_MAX = 30
LOOK_SECONDS = 0.005
QUICK = {"max_attempts": 3, "backoff_base": "0.01s", "jitter": 0}
ONCE = {"max_attempts": 1}
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED", "SKIPPED")


def after(*names, rule="all_success", **fields):
    """A dependency group."""
    return {"rule": rule, "from": list(names), **fields}


def stage(name, kind="work", checks=(), needs=(), **fields):
    """A stage that is assigned checks, and waits for groups or, all together, for names."""
    groups = [n for n in needs if isinstance(n, dict)]
    names = [n for n in needs if isinstance(n, str)]
    groups += [after(*names)] if names else []
    written = {"name": name, "type": kind, "retry": QUICK, **fields}
    if groups:
        written["dependencies"] = groups
    if checks:
        written["assignments"] = [c if isinstance(c, dict) else {"check": c} for c in checks]
    return written


def until(look, what, seconds=SECONDS_MAX):
    """Look until it is so; what was seen."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise AssertionError(f"it did not come: {what() if callable(what) else what}")
        time.sleep(LOOK_SECONDS)
    return found


def refused(call, code, *args, **fields):
    """The refusal of a call, which must have this code."""
    try:
        call(*args, **fields)
    except weft.Refused as error:
        tap.equal(error.code, code, str(error))
        return error
    raise AssertionError(f"it was not refused with {code}")


class Plan:
    def __init__(self, client, **fields):
        self.client = client
        self.row = client.call("POST", "/v1/runs:create", fields)
        self.id = self.row["id"]

    def _call(self, verb, body=None):
        return self.client.call("POST", f"/v1/runs/{self.id}:{verb}", body or {})

    def write(self, checks=(), stages=(), **fields):
        """All of them, or none; {name: as it is after the write}. A check may be just its name."""
        checks = [{"name": c} if isinstance(c, str) else c for c in checks]
        reply = self._call("write", {"checks": checks, "stages": list(stages), **fields})
        return {t["name"]: t for t in reply.get("checks", []) + reply.get("stages", [])}

    def query(self, *names, **fields):
        reply = self._call("query", {"names": list(names), "page_size": 1000, **fields})
        return {t["name"]: t for t in reply.get("tasks", [])}

    def task(self, name):
        return self.query(name)[name]

    def whole(self, name):
        """A task with what a query leaves out."""
        return self.client.call("GET", f"/v1/runs/{self.id}/tasks/{urllib.parse.quote(name)}")

    def told(self, name, attempt=0):
        """All progress of an attempt."""
        return self.whole(name)["attempts"][attempt]["progress"]

    def states(self, *names):
        return {name: t["state"] for name, t in self.query(*names).items()}

    def wait(self, seconds=SECONDS_MAX, **states):
        """Until these are in these states (or in one of a tuple); all of them as they are."""
        wanted = {name: s if isinstance(s, tuple) else (s,) for name, s in states.items()}

        def seen():
            tasks = self.query(*wanted)
            return len(tasks) == len(wanted) and tasks if all(
                t["state"] in wanted[name] for name, t in tasks.items()) else None
        return until(seen, lambda: self.explain(*wanted), seconds)

    def why(self, name):
        return self.client.call("GET", f"/v1/tasks/{self.task(name)['id']}:why")

    def explain(self, *names):
        return {name: (t["state"], t.get("reason"), t.get("detail"), t.get("attempts"))
                for name, t in self.query(*names).items()}

    def attempts(self, name):
        return self.task(name).get("attempts", [])

    def outcomes(self, name):
        return [a.get("outcome") for a in self.attempts(name)]

    def results(self, name):
        """Of a check."""
        return self.task(name)["check"].get("results", [])

    def seal(self):
        return self._call("seal")

    def cancel(self):
        return self._call("cancel")

    def get(self):
        return self.client.call("GET", f"/v1/runs/{self.id}")

    def wait_end(self, state="SUCCEEDED", seconds=SECONDS_MAX):
        return until(lambda: (row := self.get())["state"] == state and row,
                     lambda: (self.get()["state"], self.explain()), seconds)

    def events(self, name):
        """The states that a task went through, in order."""
        rows = self.client.call("GET", "/v1/events", query={"run": self.id, "max": 10000})["events"]
        return [e["kind"].removeprefix("task_") for e in rows if e.get("name") == name]


class World:
    def __init__(self, store=None, *options):
        self._store, self._options = store, options
        self._stack = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="weft-plan-"))
            self.server = stack.enter_context(server.Server(folder, self._store, *self._options))
            self._stack = stack.pop_all()
        self.client = self.server.client
        return self

    def __exit__(self, *exc):
        return self._stack.__exit__(*exc)

    def plan(self, **fields):
        return Plan(self.client, **fields)

    def runner(self, kind="work", name=None, **options):
        """A TestRunner of this server, which ends with the test."""
        runner = TestRunner(self.client, kind, name or f"{kind}-{os.urandom(3).hex()}", **options)
        return self._stack.enter_context(runner)

    def workers(self, **query):
        """Those that live, by name."""
        reply = self.client.call("GET", "/v1/workers", query=query)
        return {w["name"]: w for w in reply.get("workers", []) if w.get("address")}

    def busy(self, runner):
        return self.workers(all="true", name=runner.name)[runner.name].get("busy", 0)
