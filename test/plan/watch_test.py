#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`weft runs watch` and `show` of a plan: drawn on a terminal, in lines on a pipe."""
import json
import os
import re
import subprocess
import threading

import proxy
import tap
import terminal
from plans import ONCE, World, stage

WEFT = os.environ["WEFT"]
SECONDS_MAX = 30
ENV = {**os.environ, "LC_ALL": "C.UTF-8"}
ENV.pop("NO_COLOR", None)


def weft(url, *args, status=0):
    done = subprocess.run([WEFT, *args, "--server", url], env=ENV, capture_output=True, text=True,
                          timeout=SECONDS_MAX, check=False)
    tap.equal(done.returncode, status, done.stderr)
    return done


class Watch(subprocess.Popen):
    """On a pipe; what it wrote is gathered. It knows from where on it watches."""

    def __init__(self, world, plan, *args, url=None):
        url = url or world.server.url
        before = world.server.calls("runs.get", "OK")
        super().__init__([WEFT, "runs", "watch", plan.id, "--server", url, *args], env=ENV, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.out, self.err = [], []
        self.changed = threading.Condition()
        self.threads = [threading.Thread(target=self._gather, args=x)
                        for x in ((self.stdout, self.out), (self.stderr, self.err))]
        for thread in self.threads:
            thread.start()
        world.server.wait_calls("runs.get", "OK", before + 1)

    def _gather(self, file, lines):
        for line in file:
            with self.changed:
                lines.append(line)
                self.changed.notify_all()

    def read_until(self, lines, what):
        with self.changed:
            if not self.changed.wait_for(lambda: any(what in x for x in lines), SECONDS_MAX):
                raise AssertionError(f"{what} did not come: {self.out} {self.err}")

    def end(self):
        status = self.wait(SECONDS_MAX)
        for thread in self.threads:
            thread.join()
        self.stdout.close()
        self.stderr.close()
        return status


def held(go):
    """Tells how far it is, and waits for its test."""
    def work(ctx):
        ctx.progress(40, "half of it")
        go.wait(SECONDS_MAX)
        for check in ctx.checks:
            ctx.check(check.name)
    return work


GO = threading.Event()
GO.set()


@tap.case
def on_a_terminal_a_plan_is_drawn_as_it_grows():
    go = threading.Event()
    with World() as w:
        w.runner("build", "alpha", on_run=held(go))
        plan = w.plan(name="ci")
        plan.write(checks=["builds", {"name": "is planned", "state": "PLANNING"}])
        t = terminal.Terminal([WEFT, "runs", "watch", plan.id, "--server", w.server.url], "/", ENV, 30, 100)
        t.read_until("READY")
        t.read_until("PLANNING")
        plan.write(stages=[stage("compile", "build", checks=["builds"]), stage("deploy", "nobody")])
        t.read_until(" 40%  ")
        t.read_until("half of it")
        lines = t.screen()
        assert any(re.search(r"builds +READY/WAITING", x) for x in lines), lines
        assert any(re.search(r"is planned +BLOCKED/PLANNING", x) for x in lines), lines
        assert any(re.search(r"compile +\S+ +RUNNING +on alpha +█+░+ +40% +half of it", x) for x in lines), lines
        assert any(re.search(r"deploy +READY", x) for x in lines), lines
        tap.contains("\n".join(lines), "ci, growing")
        go.set()
        t.read_until("SUCCEEDED")
        plan.write(checks=[{"name": "is planned", "state": "PLANNED", "result": {"owner": "me", "finalize": True}}])
        plan.cancel()
        tap.equal(t.end(), 1)
        text = "\n".join(t.screen())
        assert re.search(r"compile +build +SUCCEEDED +1 +alpha", text), text
        assert re.search(r"builds +check +SUCCEEDED/FINAL", text), text
        assert re.search(r"^run \d+ of ci CANCELLED in ", text, re.M), text
        tap.equal(t.raw.count(b"\x1b[?25l"), t.raw.count(b"\x1b[?25h"))


@tap.case
def on_a_pipe_each_event_is_a_line():
    with World() as w:
        w.runner("build", "alpha", on_run_async=held(GO))
        plan = w.plan(name="ci")
        watch = Watch(w, plan)
        plan.write(checks=["builds"], stages=[stage("compile", "build", checks=["builds"], mode="async")])
        plan.wait(builds="SUCCEEDED")
        plan.seal()
        tap.equal(watch.end(), 0)
        lines = [x.split(" ", 1)[1].rstrip() for x in watch.out]
        tap.equal(lines[:3], ["builds READY/WAITING", "compile READY", "compile LEASED attempt 1 on alpha"])
        # A runner may tell its progress before its acceptance is written.
        tap.equal(set(lines[3:5]), {"compile RUNNING attempt 1", "compile 40% half of it"})
        tap.contains(lines, "compile SUCCEEDED")
        assert "builds SUCCEEDED/FINAL" in lines and f"run {plan.id} sealed" in lines, lines
        tap.contains(watch.out[-1], f"run {plan.id} of ci SUCCEEDED in ")


@tap.case
def a_watch_may_be_of_some_events_only():
    with World() as w:
        w.runner("build", "alpha", script=["fail"])
        plan = w.plan()
        plan.write(checks=["builds"], stages=[stage("compile", "build", checks=["builds"], retry=ONCE),
                                              stage("late", "build", needs=["compile"])])
        plan.seal()
        plan.wait_end("FAILED")

        def seen(*args):
            done = weft(w.server.url, "runs", "watch", plan.id, "-o", "jsonl", *args, status=1)
            return [(e["name"], e["kind"]) for e in map(json.loads, done.stdout.splitlines()) if "kind" in e]

        # A run that has ended is told at once, without its events: those of one that goes on are heard.
        tap.equal(seen(), [])
        go = threading.Event()
        w.runner("work", "beta", on_run=held(go))
        plan = w.plan()
        watch = Watch(w, plan, "-o", "jsonl", "--kinds", "task_F*", "--kinds", "check_result",
                      "--kinds", "task_SUCCEEDED", "--tasks", "one", "--tasks", "good")
        plan.write(checks=["good"], stages=[stage("one", checks=["good"]), stage("two")])
        go.set()
        plan.seal()
        tap.equal(watch.end(), 0)
        events = [json.loads(x) for x in watch.out]
        tap.equal({(e["name"], e["kind"]) for e in events if "kind" in e},
                  {("one", "task_SUCCEEDED"), ("good", "task_SUCCEEDED"), ("good", "check_result")})


@tap.case
def a_lost_connection_is_made_again_and_what_was_missed_is_told():
    with World() as w, proxy.Proxy(w.server.port) as net:
        w.runner("build", "alpha")
        plan = w.plan(name="ci")
        watch = Watch(w, plan, url=f"http://127.0.0.1:{net.port}")
        plan.write(stages=[stage("first", "build")])
        watch.read_until(watch.out, "first SUCCEEDED")
        net.refuse()
        net.cut()
        watch.read_until(watch.err, "weft: ")
        plan.write(stages=[stage("second", "build")])
        plan.wait(second="SUCCEEDED")
        net.listen()
        watch.read_until(watch.err, "the server is back; events that came meanwhile: 3")
        plan.seal()
        tap.equal(watch.end(), 0)
        names = [x.split(" ")[1] for x in watch.out]
        tap.equal((names.count("first"), names.count("second")), (3, 3))


@tap.case
def show_has_the_checks_and_stages():
    go = threading.Event()
    with World() as w:
        w.runner("build", "alpha", on_run=held(go))
        plan = w.plan(name="ci")
        plan.write(checks=["builds", {"name": "is planned", "state": "PLANNING"}],
                   stages=[stage("compile", "build", checks=["builds"])])
        plan.wait(compile="RUNNING")
        text = weft(w.server.url, "runs", "show", plan.id).stdout
        tap.contains(text, f"run       {plan.id} of ci, a work plan that grows\n")
        assert re.search(r"TASK +KIND +STATE +ATTEMPTS +RUNNER +TIME +REASON", text), text
        assert re.search(r"builds +check +READY/WAITING", text), text
        assert re.search(r"is planned +check +BLOCKED/PLANNING", text), text
        assert re.search(r"compile +build +RUNNING +1 +alpha", text), text
        go.set()


tap.main()
