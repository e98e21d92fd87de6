#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two daemons on one Postgres, workers and a client with a ledger, each killed at random.

Every task that was acknowledged ends exactly once; none that was refused is there; no completion is
taken twice; at the end no lease is left. After the storm comes calm, in which all must come to
rest.

WEFT_STORM_SECONDS sets how long the storm blows (120 is long), WEFT_SEED what it does.
"""
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time

import pg
import server
import tap
import weft

STORM_SECONDS = float(os.environ.get("WEFT_STORM_SECONDS", "20"))
SEED = int(os.environ.get("WEFT_SEED", "1"))
CALM_SECONDS_MAX = 120
WORKERS = 3
TTL = 3.0
QUEUE = "storm"
HERE = os.path.dirname(os.path.abspath(__file__))

WORKER = """
import os, signal, sys
sys.path.insert(0, {sdk!r})
import weft
name, ledger, urls = sys.argv[1], sys.argv[2], sys.argv[3:]
worker = None
signal.signal(signal.SIGTERM, lambda *_: worker and worker.stop())
out = os.open(ledger, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

def handle(lease):
    os.write(out, f"{{lease.id}} {{lease.token}} {{lease.payload['n']}}\\n".encode())
    if lease.payload["n"] % 50 == 7 and lease.attempt == 1:
        raise ValueError("the first attempt fails")
    return {{"n": lease.payload["n"]}}

client = weft.Client(urls[0], timeout=5, breaker=weft.Breaker(failures=50, rest=1))
with client.worker(name, ttl={ttl}, takeover=True, outbox=ledger + "." + name) as worker:
    worker.run({queue!r}, handle, batch=20, wait=1)
"""


class Client(threading.Thread):
    """Adds tasks, one request after the other, through either daemon, and notes what was promised."""

    def __init__(self, servers, seed):
        super().__init__(daemon=True)
        self.servers = servers
        self.random = random.Random(seed)
        self.promised = {}  # number of the payload: id
        self.doubtful = set()  # numbers of which nobody answered
        self.going = True

    def run(self):
        n = 0
        once = weft.Retry(attempts=6, base=0.1, cap=1)
        clients = [weft.Client(s.url, timeout=5, retry=once, breaker=weft.Breaker(failures=10**9))
                   for s in self.servers]
        while self.going:
            numbers = list(range(n, n + self.random.randint(1, 20)))
            n = numbers[-1] + 1
            try:
                # Tasks that are alike share a row of the store, those of a mixed batch do not.
                mixed = self.random.random() < 0.5
                tasks = [weft.Task({"n": i}, priority=i % 3 if mixed else 1) for i in numbers]
                ids = self.random.choice(clients).enqueue(QUEUE, tasks)
                self.promised.update(zip(numbers, ids))
            except weft.Unavailable:
                self.doubtful.update(numbers)


class Storm:
    def __init__(self, folder, postgres, url):
        self.random = random.Random(SEED)
        self.postgres = postgres
        self.folder = folder
        self.ledger = os.path.join(folder, "ledger")
        self.servers = [server.Server(folder, url, env={"WEFT_DATA": f"{folder}/data{i}"})
                        for i in range(2)]
        self.workers = [None] * WORKERS
        self.killed = {"daemon": 0, "worker": 0, "postgres": 0}

    def start_worker(self, i):
        script = WORKER.format(sdk=os.path.join(server.SOURCE, "sdk/python"), ttl=TTL, queue=QUEUE)
        urls = [self.servers[i % 2].url]
        with open(os.path.join(self.folder, f"worker{i}.log"), "ab") as log:
            self.workers[i] = subprocess.Popen(
                [sys.executable, "-c", script, f"w{i}", self.ledger, *urls],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill_something(self):
        what = self.random.choices(["daemon", "worker", "postgres"], [5, 5, 1])[0]
        self.killed[what] += 1
        if what == "daemon":
            one = self.random.choice(self.servers)
            one.kill()
            one.start(wait=False)
        elif what == "worker":
            i = self.random.randrange(WORKERS)
            self.workers[i].kill()
            self.workers[i].wait()
            self.start_worker(i)
        else:
            self.postgres.kill()
            self.postgres.start()

    def mend(self):
        """Whoever gave up while nothing answered is started again."""
        for s in self.servers:
            if s.process.poll() is not None:
                s.start(wait=False)
        for i, w in enumerate(self.workers):
            if w.poll() is not None:
                self.start_worker(i)

    def blow(self):
        until = time.monotonic() + STORM_SECONDS
        while time.monotonic() < until:
            time.sleep(self.random.uniform(0.2, 1.5))
            self.kill_something()
            self.mend()

    def end(self):
        for w in self.workers:
            if w and w.poll() is None:
                w.kill()
                w.wait()
        for s in self.servers:
            s.__exit__()


def counts(client):
    return client.queue(QUEUE)["counts"]


def rest(storm, client):
    """Wait until nothing is under way; the counts then."""
    until = time.monotonic() + CALM_SECONDS_MAX
    while True:
        storm.mend()
        try:
            now = counts(client)
            if not any(now.get(s, 0) for s in ("ready", "delayed", "leased", "running", "failed")):
                return now
        except weft.WeftError as error:
            now = error
        if time.monotonic() > until:
            tell(storm, client)
            raise AssertionError(f"not at rest after {CALM_SECONDS_MAX} s: {now}")
        time.sleep(0.2)


def tell(storm, client):
    """What is under way, and who could know why."""
    held = client.call("GET", f"/v1/queues/{QUEUE}/tasks", query={"state": "RUNNING"})["tasks"]
    for task in held:
        print("#", client.call("GET", f"/v1/tasks/{task['id']}"))
        print("#", client.call("GET", f"/v1/tasks/{task['id']}:why"))
    for worker in client.call("GET", "/v1/workers", query={"all": "true"})["workers"]:
        print("#", worker)
    for name in sorted(os.listdir(storm.folder)):
        if name.endswith(".log"):
            with open(os.path.join(storm.folder, name), encoding="utf-8", errors="replace") as f:
                print("".join(f"# {name}: {line}" for line in f.readlines()[-15:]), end="")


def check(storm, client, adder):
    found = rest(storm, client)
    print(f"# killed: {storm.killed}; promised {len(adder.promised)}, doubtful {len(adder.doubtful)},"
          f" counts {found}")
    attempted = {}
    with open(storm.ledger, encoding="utf-8") as f:
        for line in f:
            task, token, n = line.split()
            attempted.setdefault(task, set()).add((token, int(n)))
    succeeded = found.get("succeeded", 0)
    least, most = len(adder.promised), len(adder.promised) + len(adder.doubtful)
    if not least <= succeeded <= most:
        raise AssertionError(f"{succeeded} succeeded; between {least} and {most} were accepted")
    tap.equal(len(set(adder.promised.values())), len(adder.promised), "ids")
    sample = adder.promised if len(adder.promised) < 3000 else dict(
        random.Random(SEED).sample(sorted(adder.promised.items()), 3000))
    for n, task in sample.items():
        shown = client.call("GET", f"/v1/tasks/{task}")
        tap.equal(shown["state"], "SUCCEEDED", f"task {task} of payload {n}")
        won = [a for a in shown["attempts"] if a["outcome"] == "succeeded"]
        tap.equal(len(won), 1, f"attempts of task {task} that succeeded")
        tap.equal(shown["output"], {"n": n}, f"result of task {task}")
        tokens = {t.split(".")[-1] for t, _ in attempted[task]}
        tap.equal(won[0]["token"].split(".")[-1] in tokens, True, f"the winner of {task} did it")
    doctor = client.call("POST", "/v1/doctor:check")
    tap.equal([c for c in doctor["checks"] if not c.get("ok", True)], [], "doctor")


@tap.case
def nothing_is_lost_and_nothing_done_twice_C_73_C_74_C_75():
    try:
        postgres = pg.Server()
    except pg.Missing as e:
        raise tap.Skip(str(e)) from e
    with postgres, tempfile.TemporaryDirectory(prefix="weft-") as folder:
        storm = Storm(folder, postgres, postgres.url)
        adder = Client(storm.servers, SEED)
        try:
            for s in storm.servers:
                s.start()
            client = weft.Client(storm.servers[0].url, breaker=weft.Breaker(failures=10**9))
            client.put_queue(QUEUE, retry={"max_attempts": 1000, "backoff_base": "0.05s",
                                           "backoff_cap": "0.2s"})
            for i in range(WORKERS):
                storm.start_worker(i)
            adder.start()
            storm.blow()
            adder.going = False
            adder.join(60)
            check(storm, client, adder)
        finally:
            adder.going = False
            storm.end()


tap.main()
