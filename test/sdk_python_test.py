#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Python client against a real server, and its parts that need none."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from unittest import mock

import proxy
import server
import tap
import weft
from weft.outbox import MESSAGE_BYTES_MAX, Outbox
from weft.worker import Flag

WAIT_SECONDS_MAX = 30


@contextlib.contextmanager
def running(*options):
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        with server.Server(folder, None, *options) as s:
            yield s


def wait(condition):
    until = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        if time.monotonic() > until:
            raise AssertionError("it did not come")
        time.sleep(0.01)


def refused(function, *args, kind=ValueError, **options):
    try:
        function(*args, **options)
    except kind as error:
        return error
    raise AssertionError(f"{args} was not refused")


# Without a server.


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@tap.case
def the_breaker_opens_rests_and_closes_B_37_B_38_B_39():
    clock = Clock()
    breaker = weft.Breaker(failures=5, rest=60, successes=3, clock=clock)
    tap.equal((breaker.state, breaker.failures), ("CLOSED", 0))
    for _ in range(6):
        breaker.failed()
    tap.equal((breaker.state, breaker.failures), ("OPEN", 6))
    tap.equal(breaker.permit(), 60.0)
    clock.now += 120
    tap.equal((breaker.permit(), breaker.state), (0.0, "HALF_OPEN"))
    breaker.failed()
    tap.equal(breaker.state, "OPEN")
    clock.now += 60
    breaker.permit()
    for state in ("HALF_OPEN", "HALF_OPEN", "CLOSED"):
        breaker.succeeded()
        tap.equal(breaker.state, state)


@tap.case
def pauses_grow_to_their_cap():
    retry = weft.Retry(base=0.1, factor=2, cap=1, jitter=0)
    tap.equal([retry.pause(n) for n in range(1, 7)], [0.1, 0.2, 0.4, 0.8, 1, 1])
    tap.equal(retry.pause(1, retry_after=7), 7)
    jitter = weft.Retry(base=1, jitter=0.2)
    tap.equal(all(0.8 <= jitter.pause(1) <= 1 for _ in range(1000)), True)
    refused(weft.Retry, attempts=0)


@tap.case
def an_instance_has_a_name_of_its_own_C_02():
    names = {weft.instance_id() for _ in range(100)}
    tap.equal(len(names), 100)
    tap.equal(all(re.fullmatch(r".+-[0-9a-f]{8}", n) for n in names), True)
    with mock.patch("socket.gethostname", side_effect=OSError("no name")):
        tap.equal(bool(re.fullmatch(r"unknown-[0-9a-f]{8}", weft.instance_id())), True)


@tap.case
def an_outbox_survives_its_process():
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        path = os.path.join(folder, "outbox")
        box = Outbox(path)
        for n in range(3):
            box.add({"token": str(n)})
        box.drop(1)
        with open(path, "a", encoding="utf-8") as f:
            f.write('{"token": "cut')
        box = Outbox(path)  # what was delivered may still be there, and is told once more
        tap.equal(box.tokens(), ["0", "1", "2"])
        box.add({"token": "3"})
        tap.equal(Outbox(path).tokens(), ["0", "1", "2", "3"])
        box.drop(4)
        tap.equal(os.path.getsize(path), 0)


@tap.case
def an_outbox_that_cannot_be_written_keeps_ends_in_memory():
    told = []
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        path = os.path.join(folder, "outbox")
        box = Outbox(path, told.append)
        os.mkdir(path)  # nobody can write there, not even root
        box.add({"token": "1"})
        tap.equal((box.tokens(), len(told)), (["1"], 1))


@tap.case
def a_signal_may_ask_to_stop_at_any_moment():
    flag = Flag()
    before = signal.signal(signal.SIGALRM, lambda *_: flag.set())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        tap.equal(flag.wait(WAIT_SECONDS_MAX), True)
    finally:
        signal.signal(signal.SIGALRM, before)


@tap.case
def bad_arguments_are_refused_before_anything_is_sent_C_04_C_36():
    client = weft.Client("http://127.0.0.1:9")
    for queue in ("", "  ", 7, None):
        refused(client.claim, queue, "w")
        refused(weft.run_flow, client.worker("w"), queue, print)
    for count in (0, -1, 1.5, "3", True):
        refused(client.claim, "q", "w", count)
        refused(weft.run_flow, client.worker("w"), "q", print, batch=count)
    refused(client.enqueue, "q", [])
    refused(weft.Client, "mail.example.org")


@tap.case
def whatever_the_network_does_each_call_tells_C_56_C_61():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        # Nobody listens, no such name, nobody answers.
        for url in (f"http://127.0.0.1:{server.free_port()}", "http://weft.invalid:7411",
                    f"http://127.0.0.1:{silent.getsockname()[1]}"):
            client = weft.Client(url, timeout=0.1, retry=weft.Retry(attempts=1),
                                 breaker=weft.Breaker(failures=100))
            calls = [lambda c: c.claim("q", "w"), lambda c: c.complete([{"token": "1"}]),
                     lambda c: c.release(["1"]), lambda c: c.enqueue("q", [1])]
            for call in calls:
                error = refused(call, client, kind=weft.Unavailable)
                tap.equal(error.code, "unavailable")
                tap.contains(str(error), f"{url} does not answer: ")


@tap.case
def a_server_that_is_not_there_is_told():
    retry = weft.Retry(attempts=3, base=0.001)
    client = weft.Client(f"http://127.0.0.1:{server.free_port()}", retry=retry)
    error = refused(client.enqueue, "q", [1], kind=weft.Unavailable)
    tap.equal(error.code, "unavailable")
    tap.contains(str(error), "does not answer")
    tap.equal(client.health()["health"], "unhealthy")
    refused(client.status, kind=weft.Unavailable)
    tap.equal(client.breaker.state, "OPEN")
    refused(client.status, kind=weft.BreakerOpen)


# With one.


@tap.case
def what_is_enqueued_is_claimed_and_completed_C_15_C_16_C_17_C_19():
    with running() as s:
        ids = s.client.enqueue("mail", [{"n": 1}, weft.Task({"n": 2}, priority=5), None])
        tap.equal(len(set(ids)), 3)
        with s.client.worker("w1") as worker:
            leases = worker.claim("mail", 10)
            tap.equal([x.payload for x in leases], [{"n": 2}, {"n": 1}, None])
            tap.equal([(x.id, x.queue, x.attempt) for x in leases],
                      [(ids[n], "mail", 1) for n in (1, 0, 2)])
            for lease in leases:
                with lease:
                    lease.result = {"was": lease.payload}
            tap.equal(worker.drain(), True)
        counts = s.client.queue("mail")["counts"]
        tap.equal((counts.get("succeeded"), counts.get("running", 0)), (3, 0))
        shown = s.client.call("GET", f"/v1/tasks/{ids[1]}")
        tap.equal((shown["state"], shown["output"]), ("SUCCEEDED", {"was": {"n": 2}}))


@tap.case
def a_failure_is_told_and_becomes_a_dead_letter_C_06_C_10_C_18_C_22():
    odd = "grün, 緑 \" ' \\ <&> " * 1000
    with running() as s:
        s.client.put_queue("mail", retry={"max_attempts": 1})
        s.client.enqueue("mail", [1])
        with s.client.worker() as worker:
            (lease,) = worker.claim("mail")
            lease.fail(odd, code="odd")
            worker.drain()
            (dead,) = s.client.dead_letters("mail")
            tap.contains(odd, dead["message"].removeprefix("odd: "))
            tap.equal(len(dead["message"].encode()) <= MESSAGE_BYTES_MAX + 100, True)
            tap.equal(s.client.requeue("mail"), 1)
            (lease,) = worker.claim("mail")
            tap.equal(lease.attempt, 2)
            lease.complete()


@tap.case
def the_flow_tells_how_it_went_C_33_C_34_C_35():
    def process(record):
        if record > 3:
            raise ValueError(f"{record} is too much")
        return record

    with running() as s, s.client.worker("flow") as worker:
        s.client.put_queue("records", retry={"max_attempts": 1})
        empty = weft.run_flow(worker, "records", process)
        tap.equal((empty["message"], empty["claimed"]), ("No records to process", 0))
        s.client.enqueue("records", [1, 2])
        tap.equal(weft.run_flow(worker, "records", process)["success_rate_percent"], 100.0)
        ids = s.client.enqueue("records", [1, 2, 3, 4, 5])
        summary = weft.run_flow(worker, "records", process)
        tap.equal((summary["succeeded"], summary["failed"]), (3, 2))
        tap.equal(summary["success_rate_percent"], 60.0)
        tap.equal(summary["errors"], [{"id": i, "error": f"{n} is too much"}
                                      for i, n in zip(ids[3:], (4, 5))])
        # The server says the same: two failed with their own message, and no other suffered.
        tap.equal([(s.client.call("GET", f"/v1/tasks/{i}")["state"]) for i in ids],
                  ["SUCCEEDED"] * 3 + ["FAILED"] * 2)
        tap.equal([(t["id"], t["message"].split(": ")[1]) for t in s.client.dead_letters("records")],
                  [(i, f"{n} is too much") for i, n in zip(ids[3:], (4, 5))])


@tap.case
def work_that_ends_while_the_server_is_away_is_reported_later_B_18():
    with running() as s, s.client.worker("w1", ttl=10) as worker:
        s.client.enqueue("mail", [1, 2])
        leases = worker.claim("mail", 2)
        s.kill()
        for lease in leases:
            lease.complete(lease.payload)
        s.start()
        tap.equal(worker.drain(WAIT_SECONDS_MAX), True)
        tap.equal(s.client.queue("mail")["counts"].get("succeeded"), 2)


@tap.case
def a_worker_with_the_same_name_takes_over_what_it_held():
    with running() as s, tempfile.TemporaryDirectory(prefix="weft-") as folder:
        box = os.path.join(folder, "outbox")
        first = s.client.worker("w1", ttl=60, outbox=box).start()
        s.client.enqueue("mail", [1])
        (lease,) = first.claim("mail")
        with open(box, "w", encoding="utf-8") as f:
            f.write(json.dumps({"token": lease.token, "outcome": "succeeded", "result": 7}) + "\n")
        with s.client.worker("w1", outbox=box, takeover=True):
            wait(lambda: s.client.queue("mail")["counts"].get("succeeded") == 1)
        shown = s.client.call("GET", f"/v1/tasks/{lease.id}")
        tap.equal(shown["output"], 7)


@tap.case
def a_cancelled_task_stops_its_holder():
    with running() as s, s.client.worker("w1", ttl=1) as worker:
        (task,) = s.client.enqueue("mail", [1])
        (lease,) = worker.claim("mail")
        s.client.call("POST", f"/v1/tasks/{task}:cancel")
        wait(lease.stop.is_set)
        lease.cancelled()
        worker.drain()
        tap.equal(s.client.call("GET", f"/v1/tasks/{task}")["state"], "CANCELLED")


@tap.case
def a_result_that_cannot_be_told_fails_its_task_alone():
    with running() as s, s.client.worker("w1") as worker:
        s.client.put_queue("mail", retry={"max_attempts": 1})
        s.client.enqueue("mail", [0, 1, 2, 3])
        results = [object(), float("nan"), "x" * (2 << 20), "good"]
        worker.run("mail", lambda lease: results[lease.payload], until_empty=True, wait=0)
        tap.equal(worker.drain(WAIT_SECONDS_MAX), True)
        codes = sorted(t["message"].split(":")[0] for t in s.client.dead_letters("mail"))
        tap.equal(codes, ["TypeError", "ValueError", "result_refused"])
        tap.equal(s.client.queue("mail")["counts"].get("succeeded"), 1)
        s.client.enqueue("mail", [0, 3])
        summary = weft.run_flow(worker, "mail", lambda record: results[record])
        tap.equal((summary["succeeded"], summary["failed"]), (1, 1))


@tap.case
def a_worker_without_a_free_slot_waits_for_the_server():
    """What has ended holds its slot until it is reported: nothing is empty before."""
    with running() as s, s.client.worker("w1", slots=1, ttl=10) as worker:
        s.client.enqueue("mail", [1, 2])
        (lease,) = worker.claim("mail")
        s.kill()
        lease.complete()
        run = threading.Thread(target=worker.run, args=("mail", lambda lease: None),
                               kwargs={"until_empty": True, "wait": 0})
        run.start()
        s.start()
        run.join(WAIT_SECONDS_MAX)
        worker.drain(WAIT_SECONDS_MAX)
        tap.equal(s.client.queue("mail")["counts"].get("succeeded"), 2)


@tap.case
def a_lost_lease_holds_no_slot_and_hinders_no_leave():
    with running() as s:
        worker = s.client.worker("w1", slots=1, ttl=60).start()
        s.client.enqueue("mail", [1])
        (lease,) = worker.claim("mail")
        with s.client.worker("w1", takeover=True):
            lease.progress(50)
            tap.equal((lease.lost.is_set(), lease.stop.is_set()), (True, True))
            refused(lease.complete, kind=weft.LeaseLost)
            worker.close()
            tap.equal(s.client.queue("mail")["counts"].get("ready"), 1)


@tap.case
def a_queue_that_is_made_later_is_waited_for():
    said, done = [], []
    with running() as s, s.client.worker("w1", log=said.append) as worker:
        error = refused(worker.run, "later", done.append, kind=weft.Refused, until_empty=True)
        tap.equal((error.code, said), ("queue_not_found", []))

        def handle(lease):
            done.append(lease.payload)
            worker.stop()

        thread = threading.Thread(target=worker.run, args=("later", handle))
        thread.start()
        s.wait_calls("queues.claim", "queue_not_found", 4)
        s.client.enqueue("later", [7])
        thread.join(WAIT_SECONDS_MAX)
        tap.equal((thread.is_alive(), done, len(said)), (False, [7], 1), said)
        tap.contains(said[0], "later")


@tap.case
def a_claim_by_hand_whose_answer_is_lost_is_asked_again_under_its_key():
    with running() as s, proxy.Proxy(s.port) as net:
        s.client.enqueue("mail", [1, 2])
        client = weft.Client(f"http://127.0.0.1:{net.port}", retry=weft.Retry(attempts=1))
        net.swallow = 1
        error = refused(client.claim, "mail", "by hand", kind=weft.Unavailable)
        (lease,) = client.claim("mail", "by hand", once=error.once)
        (same,) = client.claim("mail", "by hand", once=error.once)
        (other,) = client.claim("mail", "by hand")
        tap.equal((lease["token"] == same["token"], lease["task"]["payload"], other["task"]["payload"]),
                  (True, 1, 2))


def late_try(client, claim, reset=False):
    """A claim whose first try waits somewhere until its worker has been told that there is nothing."""
    with running() as s, proxy.Proxy(s.port) as net:
        net.hold_and_reset = reset
        worker = client(f"http://127.0.0.1:{net.port}").worker("w1").start()
        s.client.enqueue("mail", [1])
        (first,) = worker.claim("mail")
        net.hold = b":claim"
        tap.equal(claim(worker), [])
        s.client.enqueue("mail", [2])
        status, answer = net.deliver()
        (second,) = worker.claim("mail")
        tap.equal((second.payload, status), (2, 409))
        tap.contains(answer.decode(), "worker_lost")
        for lease in (first, second):
            lease.complete()
        worker.close()
        tap.equal(s.client.queue("mail")["counts"].get("succeeded"), 2)


@tap.case
def a_claim_that_comes_late_leases_nothing():
    late_try(lambda url: weft.Client(url, timeout=0.5), lambda worker: worker.claim("mail"))


@tap.case
def a_claim_that_comes_late_leases_nothing_where_its_worker_asked_again():
    def claim(worker):
        refused(worker.claim, "mail", kind=weft.Unavailable)
        return worker.claim("mail")

    late_try(lambda url: weft.Client(url, timeout=0.5, retry=weft.Retry(attempts=1)), claim)


@tap.case
def a_claim_that_comes_late_over_a_connection_that_was_reset_leases_nothing():
    late_try(weft.Client, lambda worker: worker.claim("mail"), reset=True)


@tap.case
def what_is_claimed_while_the_worker_registers_again_goes_back():
    with running() as s, s.client.worker("w1") as worker:
        s.client.enqueue("mail", [1])

        def claim(*args, **options):
            leases = weft.Client.claim(s.client, *args, **options)
            worker._register_again(worker.id)  # pylint: disable=protected-access
            return leases

        with mock.patch.object(s.client, "claim", claim):
            tap.equal(worker.claim("mail"), [])
        tap.equal(worker.drain(WAIT_SECONDS_MAX), True)
        (lease,) = worker.claim("mail")
        lease.complete()
        worker.drain(WAIT_SECONDS_MAX)
        tap.equal(s.client.queue("mail")["counts"].get("succeeded"), 1)


@tap.case
def many_workers_share_a_queue_and_none_gets_what_another_has_C_24_C_37_C_39():
    with running() as s:
        ids = s.client.enqueue("mail", list(range(200)))
        taken, lock = [], threading.Lock()

        def work(n):
            client = weft.Client(s.url)
            with client.worker(f"w{n}") as worker:
                while leases := worker.claim("mail", 3):
                    with lock:
                        taken.extend(x.id for x in leases)
                    for lease in leases:
                        lease.complete()

        threads = [threading.Thread(target=work, args=(n,)) for n in range(10)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(WAIT_SECONDS_MAX)
        tap.equal(sorted(taken), sorted(ids))
        tap.equal(s.client.queue("mail")["counts"].get("succeeded"), 200)


@tap.case
def the_example_processes_all_its_records():
    example = os.path.join(server.SOURCE, "examples", "records")
    with running() as s:
        env = {**os.environ, "WEFT_SERVER": s.url}
        s.client.put_queue("records", retry={"max_attempts": 1})
        lines = subprocess.run([sys.executable, f"{example}/fill.py"], capture_output=True, text=True,
                               check=True).stdout.splitlines()
        for i in range(0, len(lines), 1000):
            s.client.enqueue("records", [json.loads(line) for line in lines[i:i + 1000]])
        programs = [[sys.executable, f"{example}/worker.py"]] * 2 + [["node", f"{example}/worker.mjs"]]
        workers = [subprocess.Popen(p, env=env, stdout=subprocess.PIPE, text=True) for p in programs]
        told = [w.communicate(timeout=100)[0] for w in workers]
        tap.equal([w.returncode for w in workers], [0, 0, 0], "".join(told))
        counts = s.client.queue("records")["counts"]
        tap.equal(counts.get("succeeded", 0) + counts.get("failed", 0), len(lines))
        done = sum(int(re.search(r": (\d+) records", t)[1]) for t in told)
        tap.equal(done, len(lines), "".join(told))
        tap.equal(len(list(s.client.dead_letters("records"))), counts["failed"])


tap.main()
