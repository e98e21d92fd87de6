#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fifty plans, four runners in two languages, and everything between them cut, killed or stopped at random.

The runners keep a ledger of what they do; what the API says of the plans is then held against it:
every plan ends as it must, no attempt lives twice, and every check has the result of exactly one
attempt, the one that the API names. After the storm comes calm, in which all must come to rest.

WEFT_STORM_SECONDS sets how long the storm blows (120 is long), WEFT_SEED what it does.
"""
import collections
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import node_grpc
import proxy
import server
import tap
import weft
from plans import FINAL, Plan, after, stage
from world import on_both_stores

STORM_SECONDS = float(os.environ.get("WEFT_STORM_SECONDS", "5"))
SEED = int(os.environ.get("WEFT_SEED", "1"))
CALM_SECONDS_MAX = 120
PLANS_MIN = 50
PLANS_PER_SECOND = PLANS_MIN / 4
PLANNERS = 2
TTL = 2.0
HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = [sys.executable, f"{HERE}/chaos_runner.py"]
NODE = ["node", f"{HERE}/chaos_runner.mjs"]
EVER = {"max_attempts": 1000, "backoff_base": "0.02s", "backoff_cap": "0.2s"}
TRIES = weft.Retry(attempts=1000, base=0.05, cap=0.2)

# A line of the ledger that says of an execution who did it.
Begun = collections.namedtuple("Begun", "run name attempt who")


def job(name, ms=20, checks=(), needs=(), kind="work", **args):
    """Its time limit ends it where a daemon was killed with the answer of a call in its hands, long
    before the call's lease would."""
    return stage(name, kind, checks=checks, needs=needs, args={"ms": ms, **args}, retry=EVER, timeout="5s",
                 mode="async" if sum(map(ord, name)) % 2 else "sync")


class Storied(Plan):
    """A plan of this test: a planner adds stages, some fail at first, some are not needed in the end."""

    def __init__(self, client, number):
        super().__init__(client, request_id=f"plan {number}")
        self.fails = number % 10 == 3  # for good, and the plan with it
        self.sealed = self.ended = False
        tests = [f"test{number}.{i}" for i in range(3)]
        adds = [job(f"build{number}", checks=["builds"], fails=number % 2),
                *(job(t, 10, needs=["builds"], checks=["tests"]) for t in tests),
                job("report", needs=[after(*tests, rule="all_done")], checks=["is told"])]
        self.write(
            checks=["is planned", "builds", {"name": "tests", "kind": "parts"}, "is told", "is picked", "lasts"],
            stages=[job(f"plan{number}", 50, kind="plan", checks=["is planned"], adds=adds),
                    job("quick1"), job("quick2", 100), job("slow1", 3000), job("slow2", 3000),
                    job("pick", checks=["is picked"], needs=[
                        after("quick1", "quick2", "slow1", "slow2", rule="at_least", need=2, cancel_rest=True)]),
                    job(f"last{number}", 100, checks=["lasts"], needs=["pick"], fails=1, final=self.fails)])
        self.planner = f"plan{number}"
        self.answered = {"is planned": {self.planner}, "builds": {f"build{number}"}, "tests": set(tests),
                         "is told": {"report"}, "is picked": {"pick"}, "lasts": {f"last{number}"}}

    def look(self):
        """Seal it when its planner and what that added are over; whether it has ended."""
        if not self.sealed and self.task(self.planner)["state"] == "SUCCEEDED":
            self.seal()
            self.sealed = True
        self.ended = self.sealed and self.get()["state"] in FINAL
        return self.ended


class Ledger:
    """What the runners wrote."""

    def __init__(self, path):
        self.begun, self.ended, self.told = {}, collections.Counter(), collections.defaultdict(list)
        with open(path, encoding="utf-8") as f:
            for line in f:
                word, token, *rest = line.split()
                if word == "begin":
                    tap.equal(token in self.begun, False, f"{token} was begun before: {line}")
                    self.begun[token] = Begun(*rest)
                elif word == "end":
                    self.ended[token] += 1
                    tap.equal(rest[0], self.begun[token].who, f"who ended {token}")
                else:
                    self.told[token].append(tuple(rest))


class Member:
    """A runner: its process, and the proxies through which weft and it find each other."""

    def __init__(self, storm, number, home):
        self.storm, self.name, self.home = storm, f"r{number}", home
        self.program = (PYTHON, NODE)[number % 2]
        self.port = server.free_port()
        self.there = storm.stack.enter_context(proxy.Proxy(self.port))
        self.back = storm.stack.enter_context(proxy.Proxy(home.port))
        self.process = None

    def start(self):
        env = {**os.environ, "WEFT_SERVER": f"http://127.0.0.1:{self.back.port}", "NODE_PATH": self.storm.modules}
        with open(os.path.join(self.storm.folder, f"{self.name}.log"), "ab") as log:
            self.process = subprocess.Popen(
                [*self.program, self.name, f"127.0.0.1:{self.port}", f"127.0.0.1:{self.there.port}", str(TTL),
                 self.storm.ledger], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Storm:
    def __init__(self, folder, store, stack):
        self.random = random.Random(SEED)
        self.folder, self.stack = folder, stack
        self.ledger = os.path.join(folder, "ledger")
        self.modules = node_grpc.modules()
        # A store in a file has one daemon, Postgres may have more.
        self.servers = [server.Server(folder, store, env={"WEFT_DATA": f"{folder}/data{i}"})
                        for i in range(2 if store else 1)]
        self.members = [Member(self, i, self.servers[i % len(self.servers)]) for i in range(4)]
        self.done = collections.Counter()
        self.ends = []  # of troubles that last: (when, what)

    def start(self):
        for each in self.servers:
            each.start()
        for each in self.members:
            each.start()

    def end(self):
        for each in self.members:
            each.kill()
        for each in self.servers:
            each.__exit__()

    # What goes wrong.

    def kill_a_daemon(self):
        one = self.random.choice(self.servers)
        one.kill()
        one.start(wait=False)

    def kill_a_runner(self):
        one = self.random.choice(self.members)
        one.kill()
        one.start()

    def _stop(self, process, seconds):
        process.send_signal(signal.SIGSTOP)
        self._later(seconds, lambda: process.send_signal(signal.SIGCONT))

    def stop_a_runner(self):
        """Often for longer than it may be silent."""
        self._stop(self.random.choice(self.members).process, self.random.choice([0.2, TTL + 1]))

    def stop_a_daemon(self):
        self._stop(self.random.choice(self.servers).process, self.random.uniform(0.1, 1))

    def _net(self):
        one = self.random.choice(self.members)
        return self.random.choice([one.there, one.back])

    def cut(self):
        self._net().cut()

    def lose_an_answer(self):
        self._net().swallow += 1

    def part(self):
        net, cuts = self._net(), self.random.random() < 0.5

        def flow():
            if cuts:
                net.cut()
            net.flowing.set()

        net.flowing.clear()
        self._later(self.random.uniform(0.1, 1), flow)

    def mend(self):
        """Whoever gave up while nothing answered is started again."""
        for each in self.servers:
            if each.process.poll() is not None:
                each.start(wait=False)
        for each in self.members:
            if each.process.poll() is not None:
                each.start()

    def _later(self, seconds, end):
        """So long does this trouble last."""
        self.ends.append((time.monotonic() + seconds, end))

    def _end_troubles(self, now):
        due, self.ends = [e for at, e in self.ends if at <= now], [(at, e) for at, e in self.ends if at > now]
        for end in due:
            end()

    def blow(self):
        troubles = {self.kill_a_daemon: 3, self.kill_a_runner: 4, self.stop_a_runner: 1, self.stop_a_daemon: 1,
                    self.cut: 4, self.lose_an_answer: 4, self.part: 2}
        until = time.monotonic() + STORM_SECONDS
        while time.monotonic() < until:
            time.sleep(self.random.uniform(0.02, 0.3))
            self._end_troubles(time.monotonic())
            trouble = self.random.choices(list(troubles), list(troubles.values()))[0]
            trouble()
            self.done[trouble.__name__] += 1
            self.mend()
        self._end_troubles(float("inf"))


class Planner(threading.Thread):
    """Writes plans while the storm blows, and seals them when they are planned. Each of several does
    its share."""

    def __init__(self, url, share, shares):
        super().__init__(daemon=True)
        self.client = weft.Client(url, timeout=5, retry=TRIES, breaker=weft.Breaker(failures=10**9))
        self.share, self.shares = share, shares
        self.plans, self.going, self.error = [], True, None

    def run(self):
        try:
            begun = time.monotonic()
            while self.going or len(self.plans) < PLANS_MIN / self.shares:
                if len(self.plans) < (time.monotonic() - begun) * PLANS_PER_SECOND / self.shares + 1:
                    self.plans.append(Storied(self.client, len(self.plans) * self.shares + self.share))
                else:
                    time.sleep(0.05)
                for plan in [p for p in self.plans if not p.ended][:3]:
                    plan.look()
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error

    def stop(self):
        self.going = False
        self.join(CALM_SECONDS_MAX)
        if self.error:
            raise self.error


def rest(storm, plans):
    """Until all plans have ended and nobody does anything."""
    client = weft.Client(storm.servers[0].url, retry=TRIES)
    until = time.monotonic() + CALM_SECONDS_MAX

    def holders():
        workers = client.call("GET", "/v1/workers", query={"all": "true", "page_size": 1000})["workers"]
        return [w for w in workers if w.get("busy", 0)]

    while (left := [p for p in plans if not p.ended and not p.look()]) or (held := holders()):
        storm.mend()
        if time.monotonic() > until:
            tell(storm, left)
            raise AssertionError(f"not at rest after {CALM_SECONDS_MAX} s: {len(left)} plans, {left or held}")
        time.sleep(0.1)
    return client


def tell(storm, left):
    """What goes on, and who could know why."""
    for plan in left[:3]:
        print("#", plan.get())
        for name, said in plan.explain().items():
            print("#", name, said)
            if said[0] not in FINAL:
                print("#   ", plan.why(name))
    for name in sorted(os.listdir(storm.folder)):
        if name.endswith(".log"):
            with open(os.path.join(storm.folder, name), encoding="utf-8", errors="replace") as f:
                print("".join(f"# {name}: {line}" for line in f.readlines()[-15:]), end="")


def judge_attempts(plan, name, task, ledger):
    """No attempt lives twice; its token, or None, is the one whose end was taken."""
    what, attempts = f"{name} of {plan.id}", task.get("attempts", [])
    won = [a for a in attempts if a.get("outcome") == "succeeded"]
    tap.equal(len(won), task["state"] == "SUCCEEDED", f"attempts of {what} that succeeded")
    tap.equal([a for a in attempts if not a.get("outcome")], [], f"attempts of {what} that go on")
    # Order is by token: two daemons do not begin their transactions in the order in which they end.
    in_order = sorted(attempts, key=lambda a: int(a["token"]))
    counted = [a["number"] for a in in_order if a.get("number")]
    tap.equal(counted, list(range(1, len(counted) + 1)), f"numbers of the attempts of {what}")
    tap.equal(won, in_order[-1:] if won else [], f"the last attempt of {what}")
    tokens = {f"{task['id']}.{a['token']}": a for a in attempts}
    for token, attempt in tokens.items():
        taken = {outcome for outcome, code in ledger.told[token] if code == "OK"}
        tap.equal(taken <= {attempt["outcome"]}, True, f"{token} of {what}: {attempt}; told: {ledger.told[token]}")
        if attempt["outcome"] in ("succeeded", "failed"):
            tap.equal(ledger.ended[token], 1, f"executions of {token}, {what}, that came to an end")
    return tokens, next((f"{task['id']}.{a['token']}" for a in won), None)


def judge(plan, ledger):
    tap.equal(plan.get()["state"], "FAILED" if plan.fails else "SUCCEEDED", f"plan {plan.id}")
    tasks = plan.query()
    tap.equal(len(tasks), 18, f"tasks of plan {plan.id}")
    winners, known = {}, {}
    for name, task in tasks.items():
        if "stage" in task:
            mine, winners[name] = judge_attempts(plan, name, task, ledger)
            known |= {token: (plan.id, name, str(a["number"])) for token, a in mine.items()}
            wanted = ("SUCCEEDED", "CANCELLED") if name.startswith(("slow", "quick")) else ("SUCCEEDED",)
            tap.equal(task["state"] in wanted, True, f"{name} of {plan.id} is {task['state']}")
    for check, stages in plan.answered.items():
        task = tasks[check]
        tap.equal(task["state"], "FAILED" if plan.fails and check == "lasts" else "SUCCEEDED", check)
        results = [(r["owner"], r["data"]["token"]) for r in task["check"]["results"]]
        named = [(f"{s}:{known[winners[s]][2]}", winners[s]) for s in stages]
        tap.equal(sorted(results), sorted(named), f"results of {check} of {plan.id}")
    return known


@on_both_stores
def plans_end_and_no_attempt_lives_twice_D_41_D_43_D_57(store):
    with tempfile.TemporaryDirectory(prefix="weft-storm-") as folder, contextlib.ExitStack() as stack:
        storm = Storm(folder, store, stack)
        stack.callback(storm.end)
        storm.start()
        planners = [Planner(storm.servers[i % len(storm.servers)].url, i, PLANNERS) for i in range(PLANNERS)]
        for each in planners:
            each.start()
        begun = time.monotonic()
        storm.blow()
        for each in planners:
            each.stop()
        plans, calm = [p for each in planners for p in each.plans], time.monotonic()
        client = rest(storm, plans)
        print(f"# {len(plans)} plans; storm {calm - begun:.1f} s, calm {time.monotonic() - calm:.1f} s;"
              f" {dict(storm.done)}")
        ledger, known = Ledger(storm.ledger), {}
        for plan in plans:
            known |= judge(plan, ledger)
        for token, begun in ledger.begun.items():
            run, name, attempt = known.get(token, (None,) * 3)
            # Nobody counted the attempt of which weft never heard that it was accepted.
            tap.equal(begun[:3], (run, name, attempt if attempt != "0" else begun.attempt),
                      f"the attempt of {token}, which {begun.who} began")
        doctor = client.call("POST", "/v1/doctor:check")
        tap.equal([c for c in doctor["checks"] if not c.get("ok", True)], [], "doctor")
        print(f"# {len(ledger.begun)} executions, {sum(ledger.ended.values())} came to an end")


tap.main()
