#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The real daemon over gRPC, with Python's grpcio: the life of queue tasks, and how the daemon ends."""
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fake  # noqa: E402
import tap  # noqa: E402
from grpc_python import (Client, grpc, health_pb2, lease_pb2, queue_pb2, refused, scratch,  # noqa: E402
                         trailer)

SECONDS_MAX = 30
WAITING = 20  # claims of each protocol


class Daemon(subprocess.Popen):
    """`weft up` on a free port, with a store of its own."""

    number = 0

    def __init__(self, *options):
        Daemon.number += 1
        data = os.path.join(scratch.name, f"data{Daemon.number}")
        super().__init__([os.environ["WEFT"], "up", "--data", data, "--listen", "127.0.0.1:0", "-o", "json", *options],
                         stderr=subprocess.PIPE, text=True)
        self.address = json.loads(self.stderr.readline())["listening"].split("//")[1]
        self.log = threading.Thread(target=lambda: sys.stderr.writelines(self.stderr))
        self.log.start()

    def __exit__(self, *exc):
        self.send_signal(signal.SIGTERM)
        try:
            tap.equal(self.wait(SECONDS_MAX), 0, "how the daemon ended")
        finally:
            self.kill()
            self.log.join()
            self.stderr.close()


def http_claim(address):
    connection = http.client.HTTPConnection(address, timeout=60)
    connection.request("POST", "/v1/queues/mail:claim", json.dumps({"worker": "w1", "wait": "50s"}),
                       {"Content-Type": "application/json"})
    return json.loads(connection.getresponse().read())


def calls_running(address):
    connection = http.client.HTTPConnection(address, timeout=SECONDS_MAX)
    connection.request("GET", "/metrics")
    lines = connection.getresponse().read().decode().splitlines()
    return next(int(l.split()[1]) for l in lines if l.startswith("weft_calls_running "))


def enqueue(c, queue, payloads, **options):
    tasks = [queue_pb2.NewTask(payload=json.dumps(p)) for p in payloads]
    return c.queues.Enqueue(queue_pb2.EnqueueRequest(queue=queue, tasks=tasks), timeout=SECONDS_MAX, **options).ids


def claim(c, queue, most):
    return c.queues.Claim(queue_pb2.ClaimRequest(queue=queue, worker="w1", max=most), timeout=SECONDS_MAX).leases


def complete(c, leases):
    results = [lease_pb2.CompleteItem(token=l.token, outcome="succeeded", result=l.task.payload) for l in leases]
    reply = c.leases.Complete(lease_pb2.CompleteRequest(results=results), timeout=SECONDS_MAX)
    return [r.code for r in reply.results]


@tap.case
def tasks_live_and_end():
    with Daemon() as d, Client(d.address) as c:
        ids = enqueue(c, "mail", [{"n": i} for i in range(1000)])
        tap.equal(len(set(ids)), 1000)
        leases = claim(c, "mail", 400)
        tap.equal([json.loads(l.task.payload)["n"] for l in leases], list(range(400)))
        tap.equal(complete(c, leases), ["OK"] * 400)
        tap.equal(complete(c, leases[:1]), ["OK"], "the same completion again")
        counts = c.get("mail").counts
        tap.equal((counts.ready, counts.succeeded), (600, 400))


@tap.case
def callers_together_get_tasks_of_their_own():
    with Daemon() as d, Client(d.address) as c:
        def work():
            ids.extend(i for _ in range(20) for i in enqueue(c, "q", [None]))
            for _ in range(20):
                leases = claim(c, "q", 1)
                done.extend(l.task.id for l in leases)
                tap.equal(complete(c, leases), ["OK"] * len(leases))
        ids, done = [], []
        threads = [threading.Thread(target=work) for _ in range(16)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        tap.equal(len(ids), 320)
        tap.equal(sorted(done), sorted(ids), "each claimed once")


@tap.case
def what_is_wrong_is_said():
    with Daemon() as d, Client(d.address) as c:
        e = refused(lambda: c.get("nothing"), grpc.StatusCode.NOT_FOUND)
        tap.equal(trailer(e, "weft-code"), "queue_not_found")
        e = refused(lambda: claim(c, "mail", 10001), grpc.StatusCode.INVALID_ARGUMENT)
        tap.equal(trailer(e, "weft-code"), "invalid_argument")
        bad = queue_pb2.EnqueueRequest(queue="mail", tasks=[queue_pb2.NewTask(payload="{")])
        refused(lambda: c.queues.Enqueue(bad, timeout=SECONDS_MAX), grpc.StatusCode.INVALID_ARGUMENT)


@tap.case
def a_writer_with_an_old_version_changes_nothing():
    """D-48"""
    def put(**settings):
        return c.queues.Put(queue_pb2.PutQueueRequest(queue="mail", **settings), timeout=SECONDS_MAX)
    with Daemon() as d, Client(d.address) as c:
        old = put(concurrency_max=1).etag
        new = put(concurrency_max=2, etag=old).etag
        e = refused(lambda: put(concurrency_max=3, paused=True, etag=old), grpc.StatusCode.ABORTED)
        tap.equal(trailer(e, "weft-code"), "queue_changed")
        queue = c.get("mail")
        tap.equal((queue.concurrency_max, queue.paused, queue.etag), (2, False, new))


@tap.case
def completions_that_do_not_fit_are_told_one_by_one():
    """D-45, D-46"""
    with Daemon() as d, Client(d.address) as c:
        enqueue(c, "mail", [1, 2])
        first, second = claim(c, "mail", 2)
        tap.equal(complete(c, [first]), ["OK"])
        unknown = lease_pb2.Lease(token="999999999")
        other = lease_pb2.Lease(token=first.token)
        other.task.payload = "7"
        unknown.task.payload = "null"
        codes = complete(c, [unknown, other, second])
        tap.equal(codes[1:], ["completion_conflict", "OK"])
        assert codes[0] in ("lease_lost", "task_not_found"), codes


@tap.case
def a_key_makes_a_request_happen_once():
    with Daemon() as d, Client(d.address) as c:
        metadata = [("idempotency-key", "once")]
        first = enqueue(c, "mail", [1, 2], metadata=metadata)
        tap.equal(list(enqueue(c, "mail", [1, 2], metadata=metadata)), list(first))
        tap.equal(c.get("mail").counts.ready, 2)


@tap.case
def a_claim_waits_for_its_task():
    with Daemon() as d, Client(d.address) as c:
        c.queues.Put(queue_pb2.PutQueueRequest(queue="mail"), timeout=SECONDS_MAX)
        request = queue_pb2.ClaimRequest(queue="mail", worker="w1")
        request.wait.seconds = 20
        waiting = c.queues.Claim.future(request, timeout=SECONDS_MAX)
        ids = enqueue(c, "mail", ["x"])
        tap.equal([l.task.id for l in waiting.result().leases], list(ids))


@tap.case
def a_drain_ends_what_waits():
    with Daemon() as d, Client(d.address) as c, ThreadPoolExecutor(WAITING + 1) as threads:
        tap.equal(c.health.Check(health_pb2.HealthCheckRequest()).status, 1)
        watch = c.health.Watch(health_pb2.HealthCheckRequest())
        tap.equal(next(watch).status, 1)
        c.queues.Put(queue_pb2.PutQueueRequest(queue="mail"), timeout=SECONDS_MAX)
        request = queue_pb2.ClaimRequest(queue="mail", worker="w1")
        request.wait.seconds = 50
        waiting = [c.queues.Claim.future(request, timeout=60) for _ in range(WAITING)]
        waiting_http = [threads.submit(http_claim, d.address) for _ in range(WAITING)]
        stream = http.client.HTTPConnection(d.address, timeout=SECONDS_MAX)
        stream.request("GET", "/v1/events:watch", headers={"Accept": "text/event-stream"})
        events = stream.getresponse()
        while calls_running(d.address) < 2 * WAITING + 1:
            time.sleep(0.01)
        begun = time.monotonic()
        d.send_signal(signal.SIGTERM)
        tap.equal(d.wait(SECONDS_MAX), 0)
        seconds = time.monotonic() - begun
        print(f"# ended after {seconds:.3f} s")
        assert seconds < 2, seconds
        tap.equal([len(w.result().leases) for w in waiting], [0] * WAITING)
        tap.equal([w.result() for w in waiting_http], [{"leases": []}] * WAITING)
        end = events.read().decode()
        tap.equal(("event: problem" in end, '"code":"unavailable"' in end), (True, True), end)


@tap.case
def mutual_tls_and_a_reload():
    certs = fake.Certificates(os.path.join(scratch.name, "certs"))
    files = [("tls.cert", "server.pem"), ("tls.key", "server.key"), ("tls.client_ca", "ca.pem")]
    options = [o for name, file in files for o in ("--set", f"{name}={certs.file(file)}")]
    with Daemon(*options) as d:
        known = grpc.ssl_channel_credentials(certs.bytes("ca.pem"), certs.bytes("client.key"), certs.bytes("client.pem"))
        with Client(d.address, known) as c:
            tap.equal(len(enqueue(c, "mail", [1])), 1)
        with Client(d.address, grpc.ssl_channel_credentials(certs.bytes("ca.pem"))) as unknown:
            refused(lambda: unknown.get("mail"), grpc.StatusCode.UNAVAILABLE)
        certs.sign("server", "subjectAltName=DNS:localhost,IP:127.0.0.1")
        d.send_signal(signal.SIGHUP)
        with Client(d.address, known) as c:
            tap.equal(c.get("mail").counts.ready, 1)


tap.main()
