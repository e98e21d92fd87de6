# SPDX-License-Identifier: Apache-2.0
"""A folder in which weft carries runs, for end-to-end tests.

    with world.World() as w:
        run = w.run({"a": {"run": ["true"]}})              the finished run, as -o json prints it
        with w.start({"a": {"run": ["sleep", "9"]}}) as p:  a weft that is under way
            w.wait(lambda: w.states() == {"a": "RUNNING"})

Tasks find the folder in $WORLD; `log` is a script that adds a line of its arguments to a ledger.
"""
import contextlib
import functools
import json
import os
import signal
import subprocess
import tempfile
import time

import pg
import tap

WEFT = os.environ["WEFT"]
SECONDS_MAX = 60

LOG = """#!/bin/sh
echo "$@" >> "$WORLD/ledger"
"""


class Going(subprocess.Popen):
    """A weft that is under way; killed at the end of `with`, if it is still there."""

    def __exit__(self, *exc):
        if self.poll() is None:
            self.kill()
        super().__exit__(*exc)

    def interrupt(self, how=signal.SIGINT):
        self.send_signal(how)

    def end(self, seconds=SECONDS_MAX):
        """What it printed, when it has ended by itself."""
        out, err = self.communicate(timeout=seconds)
        self.out, self.err = out.decode(), err.decode()
        return self.returncode

    def run(self):
        """The finished run that -o json printed."""
        self.end()
        return json.loads(self.out)


class World:
    def __init__(self, store=None, folder=None):
        self.store = store
        self.folder_given = folder
        self.env = {}

    def __enter__(self):
        self.temporary = None
        if not self.folder_given:
            self.temporary = tempfile.TemporaryDirectory(prefix="weft-")
        self.folder = self.folder_given or self.temporary.name
        self.write("log", LOG)
        os.chmod(self.path("log"), 0o755)
        self.env = {**os.environ, "WORLD": self.folder, "WEFT_DATA": self.path("data"),
                    "LC_ALL": "C.UTF-8", "PATH": f"{self.folder}:{os.environ['PATH']}"}
        if self.store:
            self.env["WEFT_STORE"] = self.store
        return self

    def __exit__(self, *exc):
        for pid in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self.temporary:
            self.temporary.cleanup()

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as f:
            f.write(text)
        return self.path(name)

    def read(self, name):
        try:
            with open(self.path(name), encoding="utf-8") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def ledger(self):
        return self.read("ledger").splitlines()

    def workflow(self, tasks, **more):
        document = {"weft": 1, "name": "test", **more, "tasks": tasks}
        return self.write("test.json", json.dumps(document))

    def weft(self, *args):
        """Run a command to its end."""
        done = subprocess.run([WEFT, *args], cwd=self.folder, env=self.env, capture_output=True,
                              stdin=subprocess.DEVNULL, timeout=SECONDS_MAX)
        done.out, done.err = done.stdout.decode(), done.stderr.decode()
        return done

    def json(self, *args):
        done = self.weft(*args, "-o", "json")
        tap.equal((done.returncode, done.err), (0, ""), " ".join(args))
        return json.loads(done.out)

    def begin(self, *args):
        return Going([WEFT, *args], cwd=self.folder, env=self.env, stdin=subprocess.DEVNULL,
                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def start(self, tasks, *args, **more):
        """A weft that carries a run of these tasks."""
        return self.begin("run", self.workflow(tasks, **more), "-o", "json", *args)

    def run(self, tasks, *args, **more):
        """A run of these tasks, when it has ended."""
        with self.start(tasks, *args, **more) as p:
            run = p.run()
        tap.equal(p.returncode, 0 if run["state"] == "SUCCEEDED" else 1, f"exit status: {p.err}")
        return run

    def newest(self):
        """The newest run's id, or None."""
        done = self.weft("runs", "list", "-n", "1", "-o", "json")
        runs = json.loads(done.out)["runs"] if done.returncode == 0 else []
        return runs[0]["id"] if runs else None

    def show(self):
        return self.json("runs", "show", self.newest())

    def states(self):
        """The state of each task of the newest run."""
        run = self.newest()
        if not run:
            return {}
        return {t["name"]: t["state"] for t in self.json("runs", "show", run)["tasks"]}

    def wait(self, condition, seconds=SECONDS_MAX):
        """Look until the condition holds; its value."""
        until = time.monotonic() + seconds
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > until:
                raise AssertionError(f"not within {seconds} s")
            time.sleep(0.01)

    def processes(self):
        """Who lives with this world in its environment, but for weft and its guardian."""
        mark, found = f"WORLD={self.folder}".encode(), []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as f:
                    inside = mark in f.read().split(b"\0")
                if inside and not os.path.samefile(f"/proc/{pid}/exe", WEFT):
                    found.append(int(pid))
            except OSError:
                continue
        return found


def task(run, name):
    return next(t for t in run["tasks"] if t["name"] == name)


def span(text):
    """The seconds of a duration as replies have it, "1.5s"."""
    assert text.endswith("s"), text
    return float(text[:-1])


def outcomes(run, name):
    return [a["outcome"] for a in task(run, name).get("attempts", [])]


def on_both_stores(function):
    """A case for SQLite and one for Postgres; the function takes the store's URL, None for SQLite."""

    def sqlite():
        function(None)

    def postgres():
        if "WEFT_TEST_POSTGRES" not in os.environ:
            raise tap.Skip("there is no Postgres (WEFT_TEST_POSTGRES)")
        with pg.database(os.environ["WEFT_TEST_POSTGRES"]) as url:
            function(url)

    for case, where in ((sqlite, "sqlite"), (postgres, "postgres")):
        functools.update_wrapper(case, function)
        case.__name__ = f"{function.__name__}_on_{where}"
        tap.case(case)
    return function
