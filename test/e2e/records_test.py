#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The record queue as its users see it: processors, many at once, through the Python client."""
import collections
import contextlib
import functools
import os
import random
import re
import sqlite3
import tempfile
import threading

import server
import tap
import weft
from crowd import Processor, together, wait
from world import on_both_stores

SEED = 7


@contextlib.contextmanager
def running(store=None, *options):
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        with server.Server(folder, store, *options) as s:
            yield s


def counts(s, queue):
    return {k: v for k, v in s.client.queue(queue)["counts"].items() if v}


def shown(s, task):
    return s.client.call("GET", f"/v1/tasks/{task}")


def refused(function, *args, kind=weft.Refused, **options):
    try:
        function(*args, **options)
    except kind as error:
        return error
    raise AssertionError(f"{args} was not refused")


def done(lease, outcome="succeeded", result=None, message=None):
    item = {"token": lease["token"], "outcome": outcome}
    if outcome == "succeeded":
        item["result"] = result
    else:
        item["error"] = {"code": "odd", "message": message}
    return item


# Counts.


@on_both_stores
def counts_are_exact_and_add_up(store):
    # C-08, C-20
    with running(store) as s:
        s.client.put_queue("records", retry={"max_attempts": 1})
        s.client.enqueue("records", list(range(165)))
        leases = s.client.claim("records", "w", 65)
        s.client.complete([done(x) for x in leases[:30]])
        s.client.complete([done(x, "failed", message="no") for x in leases[30:40]])
        tap.equal(counts(s, "records"),
                  {"ready": 100, "running": 25, "succeeded": 30, "failed": 10})
        tap.equal(sum(counts(s, "records").values()), 165)
        # What there is none of is 0 and not missing; all queues together are the server's.
        s.client.enqueue("other", [1, 2])
        every, other = (s.client.queue(q)["counts"] for q in ("records", "other"))
        tap.equal({k: n for k, n in other.items() if n or k in counts(s, "records")},
                  {"ready": 2, "running": 0, "succeeded": 0, "failed": 0})
        tap.equal(s.client.status()["tasks"], {k: every[k] + other[k] for k in every})
        tap.equal({q["name"]: sum(q["counts"].values()) for q in s.client.queues()},
                  {"records": 165, "other": 2})
        tap.equal(refused(s.client.queue, "nothing").code, "queue_not_found")


@on_both_stores
def any_payload_comes_as_it_went_and_many_at_once(store):
    # C-07, C-16, C-19
    payloads = [{}, [], "", 0, None, True, -1.5, 2 ** 53, {"": {"a": [1, [2, {"b": None}]]}},
                "'; DROP TABLE task; --", "Zo\u00eb \u2713 \u65e5\u672c \U0001f680 \"\\ \n\t"]
    with running(store) as s:
        ids = s.client.enqueue("records", payloads)
        tap.equal(len(set(ids)), len(payloads))
        leases = s.client.claim("records", "w", 100)
        tap.equal([(x["task"]["id"], x["task"]["queue"], x["task"]["attempt"], x["task"]["payload"])
                   for x in leases],
                  [(i, "records", 1, p) for i, p in zip(ids, payloads)])
        many = s.client.enqueue("many", list(range(10000)))
        tap.equal((len(set(many)), counts(s, "many")), (10000, {"ready": 10000}))
        # One that is wrong is named, and none is taken.
        for wrong, code in (({"payload": 1, "priority": 1001}, "invalid_argument"),
                            ({"payload": "x" * (2 << 20)}, "too_large")):
            error = refused(s.client.call, "POST", "/v1/queues/many:enqueue",
                            {"tasks": [{"payload": 1}, wrong, {"payload": 2}]})
            tap.equal(error.code, code)
            tap.contains(str(error), "tasks[1].")
        tap.equal(counts(s, "many"), {"ready": 10000})
        tap.equal(refused(s.client.call, "POST", "/v1/queues/many:enqueue",
                          {"tasks": [{}] * 10001}).code, "too_large")


@on_both_stores
def what_nobody_keeps_comes_back(store):
    # C-09, C-21, C-26: those whose time is over, and no others
    with running(store) as s:
        ids = s.client.enqueue("records", list(range(10)))
        lost = [x["task"]["id"] for x in s.client.claim("records", "dead", 5, ttl=1)]
        kept = [x["task"]["id"] for x in s.client.claim("records", "alive", 5, ttl=7200)]
        tap.equal(sorted(lost + kept, key=int), sorted(ids, key=int))
        # The pause before the next try is part of the policy.
        wait(lambda: counts(s, "records").get("running") == 5, "the end of five leases")
        again = []
        wait(lambda: again.extend(s.client.claim("records", "next", 10)) or len(again) == 5)
        tap.equal(sorted(x["task"]["id"] for x in again), sorted(lost))
        tap.equal({x["task"]["attempt"] for x in again}, {2})
        tap.equal([a.get("outcome") for a in shown(s, lost[0])["attempts"]], ["lost", None])


# Many at once.


@on_both_stores
def nobody_gets_what_another_has(store):
    # C-37 100 records by 5; C-38 batches of 1 to 10; C-39 20 for one each; C-84 20 and large ones
    def claim(s, queue, name, batch, times):
        client = weft.Client(s.url)
        return [x["task"]["id"] for _ in range(times) for x in client.claim(queue, name, batch)]

    crowds = [("even", 100, [(2, 10)] * 5), ("sizes", 50, [(n, 5) for n in (1, 3, 5, 7, 10)]),
              ("contended", 20, [(1, 1)] * 20), ("large", 6000, [(100 * n, 2) for n in range(1, 11)])]
    with running(store) as s:
        for queue, n, members in crowds:
            ids = s.client.enqueue(queue, list(range(n)))
            taken = together([functools.partial(claim, s, queue, f"w{i}", batch, times)
                              for i, (batch, times) in enumerate(members)])
            tap.equal(sorted(sum(taken, []), key=int), sorted(ids, key=int), queue)
            tap.equal(counts(s, queue), {"running": n}, queue)


@on_both_stores
def two_records_are_not_enough_for_three(store):
    # C-27
    with running(store) as s:
        s.client.enqueue("records", [1, 2])
        taken = together([functools.partial(weft.Client(s.url).claim, "records", f"w{i}")
                          for i in range(3)])
        tap.equal(sorted(len(x) for x in taken), [0, 1, 1])
        tap.equal(len({x[0]["task"]["id"] for x in taken if x}), 2)


@on_both_stores
def ends_that_come_at_once_are_all_kept(store):
    # C-25, C-28, C-40, C-41, C-42: 100 ends on 12 threads, each with its own result or message
    with running(store) as s:
        s.client.put_queue("records", retry={"max_attempts": 1})
        s.client.enqueue("records", list(range(100)))
        leases = s.client.claim("records", "w", 100)
        random.Random(SEED).shuffle(leases)

        def end(share):
            client = weft.Client(s.url)
            codes = []
            for x in share:
                n = x["task"]["payload"]
                item = done(x, "failed", message=f"no {n}") if n % 2 else done(x, result={"n": n})
                codes += [a["code"] for a in client.complete([item])]
            return codes

        codes = together([functools.partial(end, leases[i::12]) for i in range(12)])
        tap.equal(sum(codes, []), ["OK"] * 100)
        tap.equal(counts(s, "records"), {"succeeded": 50, "failed": 50})
        dead = {t["payload"]: t["message"] for t in s.client.dead_letters("records")}
        tap.equal(dead, {n: f"odd: no {n}" for n in range(1, 100, 2)})
        even = next(x for x in leases if x["task"]["payload"] == 42)
        tap.equal(shown(s, even["task"]["id"])["output"], {"n": 42})


@on_both_stores
def each_end_carries_its_own_processor(store):
    # C-64
    with running(store) as s, contextlib.ExitStack() as all_of_them:
        ids = s.client.enqueue("records", list(range(5)))
        workers = [all_of_them.enter_context(weft.Client(s.url).worker()) for _ in ids]
        tap.equal((len({w.name for w in workers}), len({w.id for w in workers})), (5, 5))
        leases = [w.claim("records")[0] for w in workers]
        together([functools.partial(x.complete, w.name) for w, x in zip(workers, leases)])
        for worker, lease in zip(workers, leases):
            tap.equal(worker.drain(), True)
            task = shown(s, lease.id)
            tap.equal((task["attempts"][0]["worker"], task["output"]), (worker.id, worker.name))


@on_both_stores
def anything_may_happen_at_once(store):
    # C-29, C-43, C-44, C-45: 15 threads of random calls; then the books add up
    def work(s, n):
        client, dice, added, held, ended = weft.Client(s.url), random.Random(SEED + n), 0, [], 0
        for _ in range(20):
            what = dice.choice(["add", "add", "claim", "status", "complete", "fail", "flow"])
            if what == "add":
                tap.equal(len(client.enqueue("records", [n] * 10)), 10)
                added += 10
            elif what == "claim":
                held += client.claim("records", f"w{n}", dice.randint(1, 15))
            elif what == "status":
                tap.equal(min(client.queue("records")["counts"].values(), default=0) >= 0, True)
            elif what == "flow":
                tap.equal(len(client.enqueue(f"flow{n}", list(range(10)))), 10)
            elif held:
                item = done(held.pop(), *(["succeeded"] if what == "complete" else ["failed"]),
                            message="no")
                tap.equal(client.complete([item])[0]["code"], "OK")
                ended += what == "complete"
        return added, len(held), ended

    with running(store) as s:
        s.client.put_queue("records", retry={"max_attempts": 1000, "backoff_base": "0s"})
        added, held, ended = map(sum, zip(*together([functools.partial(work, s, n)
                                                     for n in range(15)])))
        found = counts(s, "records")
        tap.equal(sum(found.values()), added)
        tap.equal((found.get("running", 0), found.get("succeeded", 0)), (held, ended))
        checks = s.client.call("POST", "/v1/doctor:check")["checks"]
        tap.equal([c for c in checks if not c.get("ok", True)], [])


@tap.case
def processors_share_evenly_and_more_may_join():
    # C-73, C-80: processes, each an identity of its own; what one adds is taken by whoever is free
    with running() as s, contextlib.ExitStack() as fleet:
        s.client.put_queue("records")

        def grow(first, last):
            return [fleet.enter_context(Processor(s.url, f"w{i}", "records",
                                                  "time.sleep(0.01)\nreturn os.getpid()"))
                    for i in range(first, last)]

        def shares(ids):
            wait(lambda: counts(s, "records").get("succeeded") == before + len(ids))
            by = {}
            taken.clear()
            for i in ids:
                task = shown(s, i)
                tap.equal(len(task["attempts"]), 1)
                by.setdefault(task["attempts"][0]["worker"], set()).add(task["output"])
                taken[task["attempts"][0]["worker"]] += 1
            tap.equal({len(pids) for pids in by.values()}, {1}, "a process each")
            return by

        before, taken = 0, collections.Counter()
        first = grow(0, 2)
        names = [p.registered() for p in first]
        tap.equal(set(shares(s.client.enqueue("records", list(range(60))))), set(names))
        before = 60
        names += [p.registered() for p in grow(2, 5)]
        by = shares(s.client.enqueue("records", list(range(200))))
        tap.equal(set(by), set(names), "who joined takes part")
        # Each has its fifth, more or less: nobody has half of all.
        tap.equal(max(taken.values()) <= 100, True, taken)
        live = s.client.call("GET", "/v1/workers")["workers"]
        tap.equal({w["id"] for w in live} >= set(names), True)


# Processors that crash, come and go.


def crash(s, queue, n, dead):
    """n processors with a record each, `dead` of which die with it in their hands."""
    go = os.path.join(s.folder, f"go-{queue}")
    body = (f"if lease.payload < {dead}: os.kill(os.getpid(), signal.SIGKILL)\n"
            f"while not os.path.exists({go!r}): time.sleep(0.01)\n"
            "return lease.payload")
    client = weft.Client(s.url)
    client.put_queue(queue, retry={"backoff_base": "0s"})
    with contextlib.ExitStack() as fleet:
        members = [fleet.enter_context(Processor(s.url, f"{queue}{i}", queue, body, ttl=3))
                   for i in range(n)]
        for p in members:
            p.registered()
        ids = client.enqueue(queue, list(range(n)))
        wait(lambda: sum(p.process.poll() is not None for p in members) == dead, "the crashes")
        # What the dead held is given out again; nobody who lives is free to take it.
        left = []
        wait(lambda: left.extend(client.claim(queue, "rescue", n, wait=1)) or len(left) == dead)
        tap.equal(sorted(x["task"]["payload"] for x in left), list(range(dead)))
        tap.equal({a["code"] for a in client.complete([done(x) for x in left])}, {"OK"})
        with open(go, "w", encoding="utf-8"):
            pass
        wait(lambda: counts(s, queue) == {"succeeded": n})
        tap.equal(sum(p.process.poll() is None for p in members), n - dead)
        attempts = [[a["outcome"] for a in shown(s, i)["attempts"]] for i in ids]
        tap.equal(attempts, [["lost", "succeeded"]] * dead + [["succeeded"]] * (n - dead))


@on_both_stores
def some_crash_and_the_others_go_on(store):
    # C-32: 2 of 5; C-65: 3 of 10
    with running(store) as s:
        together([functools.partial(crash, s, "five", 5, 2), functools.partial(crash, s, "ten", 10, 3)])


@tap.case
def a_processor_that_crashes_and_restarts_goes_on():
    # C-66: each life but the last ends with a record in its hands
    with running() as s:
        s.client.put_queue("records", retry={"max_attempts": 100, "backoff_base": "0s"})
        ids = s.client.enqueue("records", list(range(10)))
        body = ("if lease.payload % 2 and lease.attempt == 1: os.kill(os.getpid(), signal.SIGKILL)\n"
                "return lease.attempt")
        lives = 0
        while counts(s, "records") != {"succeeded": 10}:
            lives += 1
            with Processor(s.url, "phoenix", "records", body, ttl=60) as p:
                p.registered()
                wait(lambda: p.process.poll() is not None or counts(s, "records") == {"succeeded": 10})
        # The next life takes over at once; nobody waits for the minute of the dead one. What had
        # ended and was not told yet is done again, too.
        tap.equal(lives, 6)
        outputs = [shown(s, i)["output"] for i in ids]
        tap.equal([n > 1 for n in outputs[1::2]], [True] * 5, outputs)


@tap.case
def workers_are_replaced_one_by_one():
    # drained under load; no record is lost, none done twice
    with running() as s, contextlib.ExitStack() as fleet:
        ledger = os.path.join(s.folder, "ledger")
        body = (f"with open({ledger!r}, 'a') as f: f.write(f'{{lease.id}} {{lease.attempt}}\\n')\n"
                "time.sleep(0.002)\nreturn os.getpid()")
        generation = [fleet.enter_context(Processor(s.url, f"old{i}", "records", body, batch=20))
                      for i in range(3)]
        ids = s.client.enqueue("records", list(range(1500)))
        for i, old in enumerate(generation):
            old.registered()
            fleet.enter_context(Processor(s.url, f"new{i}", "records", body, batch=20)).registered()
            tap.equal(old.stop(), 0)
        wait(lambda: counts(s, "records") == {"succeeded": len(ids)})
        with open(ledger, encoding="utf-8") as f:
            lines = f.read().splitlines()
        tap.equal(sorted(l.split()[0] for l in lines), sorted(ids))


@on_both_stores
def blue_drains_while_green_takes_what_is_new(store):
    #
    with running(store) as s:
        old = s.client.enqueue("records", list(range(4)))
        with weft.Client(s.url).worker("blue") as blue, weft.Client(s.url).worker("green") as green:
            held = blue.claim("records", 4)
            worker = s.client.call("POST", f"/v1/workers/{blue.id}:drain")
            tap.equal(worker["state"], "DRAINING")
            new = s.client.enqueue("records", list(range(4, 8)))
            tap.equal(blue.claim("records", 4), [])
            tap.equal(sorted(x.id for x in green.claim("records", 10)), sorted(new))
            for lease in held:
                lease.complete("blue")
            tap.equal(blue.drain(), True)
            tap.equal([shown(s, i)["output"] for i in old], ["blue"] * 4)


@on_both_stores
def work_that_makes_work_is_bounded(store):
    # each record adds two of its kind, until the queue says that it is full
    def breed(lease):
        try:
            s.client.enqueue("records", [lease.payload + 1] * 2)
        except weft.WeftError as error:
            told.add(error.code)
            raise

    with running(store) as s, s.client.worker() as worker:
        s.client.put_queue("records", tasks_max=50, retry={"max_attempts": 1})
        s.client.enqueue("records", [0])
        s.client.retry = weft.Retry(attempts=1)
        told = set()
        while not told:
            for lease in worker.claim("records", 100):
                with lease:
                    breed(lease)
            worker.drain()
            found = counts(s, "records")
            tap.equal(found.get("ready", 0) + found.get("running", 0) <= 50, True, found)
        dead = {t["message"].split(":")[0] for t in s.client.dead_letters("records")}
        tap.equal(dead, {"Unavailable"})
        tap.equal(told, {"queue_full"})
        tap.equal(s.client.health()["health"], "healthy")


# What is done with records.


@tap.case
def a_hungry_handler_starves_nobody():
    # C-70: 10 ms of processor for each record, on every core, for a second
    spin = "end = time.process_time() + 0.01\nwhile time.process_time() < end: pass\nreturn 1"
    with running() as s, contextlib.ExitStack() as fleet:
        ids = s.client.enqueue("records", list(range(5000)))
        members = [fleet.enter_context(Processor(s.url, f"w{i}", "records", spin, ttl=2))
                   for i in range(os.cpu_count() + 1)]
        for p in members:
            p.registered()
        wait(lambda: counts(s, "records").get("succeeded", 0) > 0)
        first = counts(s, "records").get("succeeded", 0)
        threading.Event().wait(1)
        tap.equal(s.client.health()["health"], "healthy")
        operations = counts(s, "records").get("succeeded", 0) - first
        tap.equal(0 < operations < 100 * os.cpu_count() + 20, True, operations)
        for p in members:
            tap.equal(p.stop(), 0)
        # Nobody was taken for dead; what was claimed and not begun went back.
        looked = ids[:operations] + [q["id"] for q in s.client.call(
            "GET", "/v1/queues/records/tasks", query={"state": "READY"})["tasks"]]
        tap.equal({a["outcome"] for i in looked for a in shown(s, i)["attempts"]}
                  - {"succeeded", "rejected"}, set())


@tap.case
def a_handler_without_memory_fails_its_record_alone():
    # C-67
    body = ("import resource\n"
            "if lease.payload != 2: return lease.payload\n"
            "resource.setrlimit(resource.RLIMIT_AS, (1 << 28, resource.RLIM_INFINITY))\n"
            "try: return len(bytearray(1 << 30))\n"
            "finally: resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY,) * 2)")
    with running() as s, Processor(s.url, "w", "records", body, batch=5) as p:
        s.client.put_queue("records", retry={"max_attempts": 1})
        s.client.enqueue("records", list(range(5)))
        wait(lambda: counts(s, "records") == {"succeeded": 4, "failed": 1})
        (dead,) = s.client.dead_letters("records")
        tap.contains(dead["message"], "MemoryError")
        tap.equal(p.stop(), 0)


class Source:
    """The database that a processor reads: orders, by their number."""

    def __init__(self, path):
        self.path = path
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE survey (id INTEGER PRIMARY KEY, kind TEXT, score REAL)")
            db.executemany("INSERT INTO survey VALUES (?, ?, ?)",
                           [(1, "nps", 9), (2, "nps", 3), (3, "csat", 4)])

    def score(self, payload):
        """The business logic: what a survey's score is worth, by its kind."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True)) as db:
            row = db.execute("SELECT kind, score FROM survey WHERE id = ?",
                             (payload["survey"],)).fetchone()
        if row is None:
            raise LookupError(f"there is no survey {payload['survey']}")
        kind, score = row
        return {"survey": payload["survey"], "satisfied": score >= {"nps": 9, "csat": 4}[kind]}


@on_both_stores
def a_flow_reads_one_database_and_writes_another(store):
    # C-12, C-14, C-23: its errors are told apart; the batch is as large as was asked
    with running(store) as s, weft.Client(s.url).worker("flow", slots=10) as worker:
        source = Source(os.path.join(s.folder, "source.db"))
        tap.equal(s.client.health()["health"], "healthy")
        s.client.put_queue("surveys", retry={"max_attempts": 1})
        ids = s.client.enqueue("surveys", [{"survey": n} for n in (1, 2, 3, 99)] + [{}])
        summary = weft.run_flow(worker, "surveys", source.score, batch=4)
        tap.equal((summary["claimed"], summary["succeeded"], summary["failed"]), (4, 3, 1))
        tap.equal(summary["success_rate_percent"], 75.0)
        tap.equal([shown(s, i)["output"]["satisfied"] for i in ids[:3]], [True, False, True])
        weft.run_flow(worker, "surveys", source.score)
        os.unlink(source.path)
        s.client.enqueue("surveys", [{"survey": 1}])
        weft.run_flow(worker, "surveys", source.score)
        s.client.enqueue("surveys", [{"survey": 1}])
        weft.run_flow(worker, "surveys", lambda payload: "x" * (2 << 20))  # no result may be so large
        told = [t["message"] for t in sorted(s.client.dead_letters("surveys"),
                                             key=lambda t: int(t["id"]))]
        tap.equal([m.split(":")[0] for m in told[:3]],
                  ["LookupError", "KeyError", "OperationalError"])
        tap.equal(len(told), 4)
        tap.contains(told[3], "result_refused")
        tap.contains(told[0], "there is no survey 99")
        tap.contains(told[2], "unable to open database file")


@on_both_stores
def a_result_is_there_whole_or_not_at_all(store):
    # C-82: read there, written here; who dies between leaves nothing that another reads
    with running(store) as s:
        source = Source(os.path.join(s.folder, "source.db"))
        s.client.put_queue("surveys", retry={"backoff_base": "0s"})
        (task,) = s.client.enqueue("surveys", [{"survey": 1}])
        (lease,) = s.client.claim("surveys", "dies", ttl=1)
        source.score(lease["task"]["payload"])
        tap.equal(shown(s, task).get("output"), None)
        (again,) = wait(lambda: s.client.claim("surveys", "lives", wait=5))
        tap.equal(again["task"]["id"], task)
        answer = s.client.complete([done(lease, result="of the dead")])[0]
        tap.equal((answer["code"], shown(s, task).get("output")), ("lease_lost", None))
        result = source.score(again["task"]["payload"])
        tap.equal(s.client.complete([done(again, result=result)])[0]["code"], "OK")
        tap.equal((shown(s, task)["state"], shown(s, task)["output"]), ("SUCCEEDED", result))


@tap.case
def health_says_who_is_asked_and_when():
    # C-11, C-23, C-77
    with running() as s:
        s.client.enqueue("records", [1, 2, 3])
        health = s.client.health()
        tap.equal((health["health"], health.get("reason")), ("healthy", None))
        tap.equal(bool(re.fullmatch(r".+-[0-9a-f]{8}", health["instance"])), True, health)
        tap.equal(bool(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", health["at"])), True)
        tap.equal(0 <= float(health["store_latency"][:-1]) < 5, True, health)
        status = s.client.status()
        tap.equal((status["store"]["backend"], status["tasks"]["ready"]), ("sqlite", 3))
        tap.equal(status["store"]["schema_version"] >= 2, True)


tap.main()
