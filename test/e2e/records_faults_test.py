#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The record queue while its store or the network fails: every call ends, with a result or with its
own error; what was promised is there once; health says how it is; and all goes on afterwards.

One Postgres serves all cases, each with a database of its own, reached through a proxy that spoils
the network (test/proxy.py). Another proxy stands between the clients and weft where they are meant
to suffer.
"""
import contextlib
import functools
import json
import logging
import os
import random
import re
import socket
import sqlite3
import tempfile
import threading
import time
import urllib.request

import disk
import pg
import proxy
import server
import tap
import weft
from crowd import together, wait

SEED = 3
ONE_TRY = weft.Retry(attempts=1)
STORE = []  # the Postgres of all cases, or why there is none


def postgres():
    if not STORE:
        try:
            STORE.append(pg.Server())
        except pg.Missing as e:
            STORE.append(e)
    if isinstance(STORE[0], pg.Missing):
        raise tap.Skip(str(STORE[0]))
    return STORE[0]


class Stage:
    """A server on Postgres, with a proxy before the store, and one before the server."""

    def __init__(self, folder, url, user=None):
        port = int(re.search(r":(\d+)/", url)[1])
        self.url = url
        self.store = proxy.Proxy(port)
        through = url.replace(f":{port}/", f":{self.store.port}/")
        if user:
            through = re.sub(r"//[^@]*@", f"//{user}@", through)
        self.server = server.Server(folder, through)
        self.front = proxy.Proxy(self.server.port)

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *exc):
        for part in (self.front, self.store, self.server):
            part.__exit__(*exc)

    def client(self, front=False, **options):
        """One that hears of every failure; `front`: through the proxy, a connection for each call."""
        options = {"retry": ONE_TRY, "breaker": weft.Breaker(failures=10**9), **options}
        if not front:
            return weft.Client(self.server.url, **options)
        return weft.Client(f"http://127.0.0.1:{self.front.port}", **options)

    def health(self):
        return self.client().call("GET", "/v1/health", timeout=30)

    def wait_health(self, *names):
        return wait(lambda: self.health()["health"] in names, f"health {names}")

    def counts(self, queue="records"):
        return {k: v for k, v in self.client().queue(queue)["counts"].items() if v}

    def log(self, event):
        """Its log's entries of this event."""
        with open(self.server.log, encoding="utf-8") as f:
            rows = [json.loads(line) for line in f if line.startswith("{")]
        return [row for row in rows if row.get("event") == event]


def on_stage(function):
    """A case with a stage of its own."""

    @functools.wraps(function)
    def case():
        with pg.database(postgres().url) as url, tempfile.TemporaryDirectory(prefix="weft-") as folder:
            with Stage(folder, url) as stage:
                function(stage)

    return tap.case(case)


def fails(function, *args, **options):
    """The error with which a call ends."""
    try:
        function(*args, **options)
    except weft.WeftError as error:
        return error
    raise AssertionError(f"{args} went well")


def done(lease, outcome="succeeded"):
    item = {"token": lease["token"], "outcome": outcome}
    return {**item, "error": {"code": "odd", "message": "no"}} if outcome == "failed" else item


@contextlib.contextmanager
def told():
    """What the client writes into its log meanwhile."""
    lines, handler = [], logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("weft").addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger("weft").removeHandler(handler)


class Seen(threading.Thread):
    """What health was, each change once, from the first look to the last."""

    def __init__(self, stage):
        super().__init__(daemon=True)
        self.stage, self.history, self.over = stage, [], threading.Event()

    def run(self):
        while not self.over.wait(0.05):
            now = self.stage.health()["health"]
            if self.history[-1:] != [now]:
                self.history.append(now)

    def __enter__(self):
        self.start()
        wait(lambda: self.history, "a first look")
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.join()


# The store.


@on_stage
def a_dead_store_is_told_by_each_call_and_comes_back(stage):
    # C-31, C-56, C-59, C-72, C-77, B-17
    s = stage.client()
    s.put_queue("records", retry={"max_attempts": 1})
    s.enqueue("records", list(range(5)))
    leases = s.claim("records", "w", 3)
    process = stage.server.process.pid
    with Seen(stage) as seen:
        postgres().kill()
        try:
            errors = together([
                functools.partial(fails, stage.client().claim, "records", "w"),
                functools.partial(fails, stage.client().complete, [done(leases[0])]),
                functools.partial(fails, stage.client().complete, [done(leases[1], "failed")]),
                functools.partial(fails, stage.client().enqueue, "records", [6]),
                functools.partial(fails, stage.client().queue, "records"),
            ])
            tap.equal([type(e) for e in errors], [weft.Unavailable] * 5)
            tap.equal({e.code for e in errors}, {"store_unavailable"})
            tap.contains(str(errors[0]), "127.0.0.1")
            wait(lambda: seen.history[-1] == "unhealthy")
        finally:
            postgres().start()
        wait(lambda: seen.history[-1] == "healthy")
    tap.equal((seen.history[0], "unhealthy" in seen.history), ("healthy", True), seen.history)
    for method, times in (("queues.claim", 1), ("leases.complete", 2), ("queues.enqueue", 1),
                          ("queues.get", 1)):
        tap.equal(stage.server.calls(method, "store_unavailable"), times, method)
    tap.equal([row for row in stage.log("call_failed") if not re.fullmatch("[0-9a-f]{16}", row["id"])], [], "an id each")
    failed = [(row["method"], row["code"]) for row in stage.log("call_failed")]
    tap.equal([x for x in failed if x[0] != "queues.get"].count(("leases.complete", "store_unavailable")), 2)
    troubles = [row["code"] for row in stage.log("store_trouble")]
    tap.equal((troubles[0], troubles[-1]), ("store_unavailable", "OK"))
    # Not a token is lost, nothing was half done, and it is the same process all the time.
    tap.equal(stage.counts(), {"ready": 2, "running": 3})
    answers = s.complete([done(leases[0]), done(leases[1], "failed"), done(leases[2])])
    tap.equal([a["code"] for a in answers], ["OK"] * 3)
    tap.equal(stage.counts(), {"ready": 2, "succeeded": 2, "failed": 1})
    tap.equal((stage.server.process.poll(), stage.server.process.pid), (None, process))


@on_stage
def a_slow_store_gives_right_results_slowly(stage):
    # C-62: 100 ms; C-72: more than 5 s are degraded
    s = stage.client()
    stage.store.delay = lambda: 0.1
    begun = time.monotonic()
    ids = s.enqueue("records", [1, 2, 3])
    tap.equal(time.monotonic() - begun >= 0.1, True)
    tap.equal([x["task"]["id"] for x in s.claim("records", "w", 5)], ids)
    health = stage.health()
    tap.equal((health["health"], float(health["store_latency"][:-1]) >= 0.1), ("healthy", True), health)
    stage.store.delay = lambda: 0.6
    slow = wait(lambda: [h for h in [stage.health()] if "more than 5 s" in h.get("reason", "")],
                "slow health")
    tap.equal(slow[0]["health"], "degraded", slow)
    stage.store.delay = lambda: 0
    stage.wait_health("healthy")
    tap.equal(stage.counts(), {"running": 3})


@on_stage
def connections_to_the_store_that_break_break_no_call(stage):
    # C-31, C-57: every third connection is reset, and those that are there now and then, too
    stage.store.drops = lambda n: n % 3 == 0
    s, ids = stage.client(), []
    for n in range(20):
        if n % 3 == 2:
            stage.store.cut()
        ids += s.enqueue("records", [n])
    tap.equal(len(set(ids)), 20)
    tap.equal(sorted(x["task"]["payload"] for x in s.claim("records", "w", 100)), list(range(20)))
    tap.equal(stage.store.seen > 9, True, stage.store.seen)
    stage.wait_health("healthy")


@on_stage
def a_store_that_is_away_is_not_stormed(stage):
    # A-94, B-17, C-59: it is tried again by itself, with pauses, whoever asks meanwhile; of twenty
    # calls ten fail and ten do not, and the store says the same
    s = stage.client()
    s.enqueue("records", ["before"])
    stage.store.drops = lambda n: True
    stage.store.cut()
    stage.wait_health("unhealthy")
    before, begun = stage.store.seen, time.monotonic()
    errors = together([functools.partial(fails, stage.client().enqueue, "records", ["during"])
                       for n in range(10)])
    tap.equal([(type(e), e.code) for e in errors], [(weft.Unavailable, "store_unavailable")] * 10)
    tried, seconds = stage.store.seen - before, time.monotonic() - begun
    print(f"# {tried} tries in {seconds:.1f} s")
    tap.equal(2 <= tried <= 20 * seconds, True, (tried, seconds))
    stage.store.drops = lambda n: False
    stage.wait_health("healthy")
    together([functools.partial(stage.client().enqueue, "records", ["after"]) for n in range(10)])
    tap.equal([x["task"]["payload"] for x in s.claim("records", "w", 100)],
              ["before"] + ["after"] * 10)


@on_stage
def a_partition_is_told_and_passes(stage):
    # C-61, A-90: nothing comes through, and nobody says so
    s = stage.client(timeout=1)
    s.enqueue("records", [1])
    stage.store.flowing.clear()
    begun = time.monotonic()
    error = fails(s.enqueue, "records", [2])
    tap.equal((type(error), 1 <= time.monotonic() - begun < 5), (weft.Unavailable, True))
    tap.contains(str(error), "does not answer")
    stage.wait_health("unhealthy")
    stage.store.flowing.set()
    stage.wait_health("healthy")
    tap.equal(s.claim("records", "w")[0]["task"]["payload"], 1)


PATIENCE_SECONDS = 10  # docs/serve.md
SILENCE_SECONDS = 5


@on_stage
def a_store_that_hangs_is_told_in_time_and_goes_on(stage):
    # A-90, C-31, C-61: it takes what is sent and says nothing, in the middle of what is asked
    s = stage.client()
    ids = s.enqueue("records", [1, 2])
    [lease] = s.claim("records", "w", 1)
    begun = time.monotonic()
    stage.store.flowing.clear()
    not_ready = []

    def watch():
        wait(lambda: not stage.server.ready())
        not_ready.append(time.monotonic() - begun)

    *errors, _ = together([
        functools.partial(fails, stage.client().enqueue, "records", [3]),
        functools.partial(fails, stage.client().claim, "records", "w", once="again"),
        functools.partial(fails, stage.client().complete, [done(lease)]),
        functools.partial(fails, stage.client().queue, "records"),
        watch])
    took = time.monotonic() - begun
    tap.equal([(type(e), e.code, e.retry_after) for e in errors],
              [(weft.Unavailable, "store_unavailable", 1)] * 4, errors)
    tap.equal((took < PATIENCE_SECONDS + 4, not_ready[0] < SILENCE_SECONDS + 4), (True, True),
              (took, not_ready))
    tap.contains(str(errors[0]), "has not answered for")
    tap.equal([row["level"] for row in stage.log("store_silent")], ["error"])
    stage.store.flowing.set()
    stage.server.wait_ready()
    # Whoever was told that nobody knows finds it done once, or not at all; who claimed and asks again with
    # its key hears what it was given then, or now.
    counts = stage.counts()
    tap.equal(sum(counts.values()) in (2, 3), True, counts)
    [again] = s.claim("records", "w", 1, once="again")
    tap.equal(again["task"]["id"], ids[1])
    answers = s.complete([done(lease), done(again)])
    tap.equal(([a["code"] for a in answers], lease["task"]["id"]), (["OK", "OK"], ids[0]))


@tap.case
def servers_that_cannot_be_reached_are_told_apart():
    # A-90, B-19, C-61: by their names, by nobody who listens, by silence; the time is the caller's
    tap.equal(weft.Client().timeout, 30.0)
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen()
    quick = {"retry": ONE_TRY, "timeout": 0.3}
    with contextlib.closing(silent):
        for url, words in ((f"http://127.0.0.1:{silent.getsockname()[1]}", "timed out"),
                           (f"http://127.0.0.1:{server.free_port()}", "refused"),
                           ("http://no-such-host.invalid:80", "ame")):
            begun = time.monotonic()
            error = fails(weft.Client(url, **quick).enqueue, "records", [1])
            tap.equal((type(error), error.code), (weft.Unavailable, "unavailable"))
            tap.contains(str(error), words)
            tap.equal(time.monotonic() - begun < 10, True, url)


@on_stage
def the_store_has_no_connections_left(stage):
    # C-31, C-68: it refuses new ones, and those that were there are gone
    s = stage.client()
    s.enqueue("records", [1])
    name = re.search(r"/([^/?]+)(\?|$)", stage.url)[1]
    role = f"role_{name}"
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        pg.psql(stage.url, f"CREATE ROLE {role} LOGIN PASSWORD 'x';"
                           f"GRANT USAGE ON SCHEMA weft TO {role};"
                           f"GRANT ALL ON ALL TABLES IN SCHEMA weft TO {role};"
                           f"GRANT ALL ON ALL SEQUENCES IN SCHEMA weft TO {role}")
        try:
            with Stage(folder, stage.url, f"{role}:x") as tight:
                tight.client().enqueue("records", [2])
                pg.psql(stage.url, f"ALTER ROLE {role} CONNECTION LIMIT 0;"
                                   "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                   f"WHERE usename = '{role}'")
                error, health = together([functools.partial(fails, tight.client().queue, "records"),
                                          tight.health])
                tap.equal((error.code, health["health"]), ("store_unavailable", "unhealthy"))
                # A try for which too little time was left says that, and not what the server says.
                wait(lambda: "too many connections" in tight.health().get("reason", ""), "the reason")
                tap.equal(tight.log("store_trouble")[0]["code"], "store_unavailable")
                pg.psql(stage.url, f"ALTER ROLE {role} CONNECTION LIMIT -1")
                tight.wait_health("healthy")
                tap.equal(tight.counts(), {"ready": 2})
        finally:
            pg.psql(stage.url, f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


@on_stage
def one_kind_of_write_fails_and_the_others_do_not(stage):
    # C-60: claims and failures are written, successes are not
    s = stage.client()
    s.put_queue("records", retry={"max_attempts": 1})
    s.enqueue("records", [1, 2])
    pg.psql(stage.url, """
        CREATE FUNCTION weft.full() RETURNS trigger LANGUAGE plpgsql AS
            $$BEGIN RAISE 'no space left on device' USING ERRCODE = '53100'; END$$;
        CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON weft.attempt FOR EACH ROW
            WHEN (NEW.outcome = 'succeeded') EXECUTE FUNCTION weft.full()""")
    first, second = s.claim("records", "w", 2)
    error = fails(s.complete, [done(first)])
    tap.equal((type(error), error.code), (weft.Unavailable, "store_full"))
    tap.equal(s.complete([done(second, "failed")])[0]["code"], "OK")
    tap.equal(stage.counts(), {"running": 1, "failed": 1})
    pg.psql(stage.url, "DROP TRIGGER full_disk ON weft.attempt")
    tap.equal(s.complete([done(first)])[0]["code"], "OK")
    tap.equal(stage.counts(), {"succeeded": 1, "failed": 1})


@disk.on_a_disk
def a_full_disk_takes_nothing_and_loses_nothing(folder):
    # C-69, C-72
    with server.Server(folder) as s:
        client = weft.Client(s.url, retry=ONE_TRY, breaker=weft.Breaker(failures=10**9))
        ids = client.enqueue("records", list(range(10)))
        filler = disk.fill(folder)
        error = fails(client.enqueue, "records", ["x" * 100000] * 20)
        tap.equal((type(error), error.code), (weft.Unavailable, "store_full"))
        tap.equal(client.queue("records")["counts"]["ready"], 10)
        os.unlink(filler)
        tap.equal(len(client.enqueue("records", ["x" * 100000] * 2)), 2)
        tap.equal([x["task"]["id"] for x in client.claim("records", "w", 10)], ids)
        tap.equal(client.health()["health"], "healthy")


# The network between clients and weft.


@on_stage
def a_client_suffers_jitter_and_losses(stage):
    # C-63: 0 to 50 ms, one connection in ten lost; C-57: one in three
    dice, took, failed = random.Random(SEED), [], 0
    stage.front.delay = lambda: dice.uniform(0, 0.05)
    for one_in, calls in ((10, 50), (3, 20)):
        stage.front.seen, before, lost = 0, stage.counts() if took else {}, 0
        stage.front.drops = lambda n, one_in=one_in: n % one_in == 0
        for n in range(calls):
            client, begun = stage.client(front=True), time.monotonic()
            try:
                client.enqueue("records", [n])
                took.append(time.monotonic() - begun)
            except weft.Unavailable:
                lost += 1
            client.close()
        tap.equal(lost, calls // one_in)
        tap.equal(stage.counts()["ready"] - before.get("ready", 0), calls - lost)
        failed += lost
    tap.equal((len(took), failed), (59, 11))
    tap.equal(sum(took) / len(took) > 0.01, True)


@on_stage
def a_reply_that_is_lost_is_not_done_twice(stage):
    # C-13, A-91: made again with growing pauses, by threads that share a client; a record's attempts
    # do not count it
    pauses = weft.Retry(attempts=6, base=0.05, factor=2, jitter=0)
    stage.front.swallow = 3
    client = stage.client(front=True, retry=pauses)
    begun = time.monotonic()
    with told() as lines:
        ids = client.enqueue("records", list(range(10)))
    # B-08: what was tried, which time, how long it took, which kind of error
    tap.equal([bool(re.fullmatch(
        rf"POST /v1/queues/records:enqueue: try {n} of 6 failed after \d+\.\d+ s: unavailable: .+", line))
        for n, line in enumerate(lines, 1)], [True] * 3, lines)
    tap.equal(time.monotonic() - begun >= 0.05 + 0.1 + 0.2, True)
    tap.equal(stage.counts(), {"ready": 10})
    stage.front.swallow = 4
    leases = sum(together([functools.partial(client.claim, "records", "w", 2) for _ in range(5)]), [])
    tap.equal(sorted(x["task"]["id"] for x in leases), sorted(ids))
    tap.equal({x["task"]["attempt"] for x in leases}, {1})
    stage.front.swallow = 2
    tap.equal({a["code"] for a in client.complete([done(x) for x in leases])}, {"OK"})
    tap.equal(stage.counts(), {"succeeded": 10})
    # What is refused is refused once: it is not made again.
    error = fails(client.queue, "nothing")
    tap.equal((error.code, stage.server.calls("queues.get", "queue_not_found")), ("queue_not_found", 1))


@tap.case
def a_client_keeps_to_the_limit_that_it_is_told():
    # Retry-After is waited for
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        with server.Server(folder, None, "--set", "limits.requests_per_second=5") as s:
            impatient = weft.Client(s.url, retry=ONE_TRY)
            errors = []
            while not errors:
                try:
                    impatient.enqueue("records", [1])
                except weft.Unavailable as error:
                    errors.append(error)
            tap.equal((errors[0].code, errors[0].retry_after > 0), ("rate_limited", True))
            patient = weft.Client(s.url, retry=weft.Retry(attempts=3, base=0.001),
                                  breaker=weft.Breaker(failures=3))
            begun = time.monotonic()
            tap.equal(len([patient.enqueue("records", [2]) for _ in range(8)]), 8)
            tap.equal(time.monotonic() - begun >= 1, True)
            tap.equal(patient.breaker.state, "CLOSED")


# Two stores.


@on_stage
def both_databases_fail_one_after_the_other(stage):
    # C-71: the source and then the queue's; each record that was tried is told as failed
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        path = os.path.join(folder, "source.db")

        def read(payload):
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
                return db.execute("SELECT value FROM source WHERE id = ?", (payload,)).fetchone()[0]

        s = stage.client()
        s.put_queue("records", retry={"max_attempts": 1})
        with contextlib.closing(sqlite3.connect(path)) as db, db:
            db.execute("CREATE TABLE source (id INTEGER PRIMARY KEY, value TEXT)")
            db.execute("INSERT INTO source VALUES (1, 'one')")
        with stage.client(timeout=2).worker("w") as worker:
            s.enqueue("records", [1])
            tap.equal(weft.run_flow(worker, "records", read)["succeeded"], 1)
            os.rename(path, path + ".away")
            s.enqueue("records", [1] * 5)
            summary = weft.run_flow(worker, "records", read)
            tap.equal((summary["failed"], len(summary["errors"])), (5, 5))
            tap.contains(summary["errors"][0]["error"], "unable to open database file")
            s.enqueue("records", [1])
            stage.store.refuse()
            stage.store.cut()
            errors = together([functools.partial(fails, weft.run_flow, worker, "records", read)] * 2
                              + [functools.partial(fails, stage.client(timeout=1).queue, "records")] * 3)
            tap.equal([e.code for e in errors], ["unhealthy"] * 2 + ["unavailable"] * 3)
            stage.store.listen()
            os.rename(path + ".away", path)
            stage.wait_health("healthy")
            wait(lambda: weft.run_flow(worker, "records", read)["succeeded"])
            tap.equal(stage.counts(), {"succeeded": 2, "failed": 5})


# All of it.


@on_stage
def whatever_fails_the_books_add_up(stage):
    # C-78, C-85: one failure after the other, while five add and five process
    promised, doubtful, lock, over = [], [0], threading.Lock(), threading.Event()

    def add(n):
        client = stage.client(front=True, timeout=2)
        while not over.is_set():
            try:
                ids = client.enqueue("records", [n] * 5)
                with lock:
                    promised.extend(ids)
            except weft.Unavailable:
                with lock:
                    doubtful[0] += 5
            over.wait(0.01)

    def process(n):
        client = stage.client(front=True, timeout=2)
        with stage.client(retry=weft.Retry(attempts=9)).worker(f"w{n}") as worker:
            worker.client = client
            while not over.is_set():
                try:
                    for lease in worker.claim("records", 20):
                        lease.complete(worker.name)
                except weft.Unavailable:
                    over.wait(0.05)
            worker.drain()

    def blow():
        dice = random.Random(SEED)

        def spoil(where, what, value):
            before = getattr(where, what)
            return lambda: setattr(where, what, value), lambda: setattr(where, what, before)

        for break_it, mend_it in (
                spoil(stage.store, "delay", lambda: 0.1),
                spoil(stage.front, "delay", lambda: dice.uniform(0, 0.05)),
                spoil(stage.front, "drops", lambda n: n % 10 == 0),
                (stage.store.cut, None), (stage.front.cut, None),
                (lambda: (stage.store.refuse(), stage.store.cut()), stage.store.listen),
                (stage.store.flowing.clear, stage.store.flowing.set),
                (stage.front.refuse, stage.front.listen),
                (stage.server.kill, lambda: stage.server.start(wait=False)),
                (postgres().kill, postgres().start)):
            break_it()
            over.wait(0.4)
            if mend_it:
                mend_it()
            before = len(promised)
            wait(lambda: len(promised) > before + 20, "what is added after a failure")
        over.set()

    stage.client().put_queue("records", retry={"max_attempts": 1000, "backoff_base": "0s"})
    together([blow] + [functools.partial(add, n) for n in range(5)]
             + [functools.partial(process, n) for n in range(5)])
    stage.wait_health("healthy")
    with stage.client(retry=weft.Retry()).worker("last") as last:
        def settled():
            for lease in last.claim("records", 100):
                lease.complete("last")
            last.drain()
            return set(stage.counts()) == {"succeeded"}
        wait(settled, "rest")
    succeeded = stage.counts()["succeeded"]
    print(f"# {len(promised)} promised, {doubtful[0]} doubtful, {succeeded} succeeded")
    tap.equal(len(set(promised)), len(promised))
    tap.equal(len(promised) <= succeeded <= len(promised) + doubtful[0], True)
    for task in random.Random(SEED).sample(promised, min(200, len(promised))):
        attempts = stage.client().call("GET", f"/v1/tasks/{task}")["attempts"]
        tap.equal([a["outcome"] for a in attempts].count("succeeded"), 1, f"task {task}")
    checks = stage.client().call("POST", "/v1/doctor:check")["checks"]
    tap.equal([c for c in checks if not c.get("ok", True)], [])


try:
    disk.main()
finally:
    for one in STORE:
        if isinstance(one, pg.Server):
            one.stop()
