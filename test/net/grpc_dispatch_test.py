#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The daemon calls runners over real sockets: foreign ones (grpcio), plain and with mutual TLS, and
ones that hang or die. Stages are put into the store past the daemon, as they stand behind a write."""
import json
import os
import queue
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent import futures

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fake  # noqa: E402
import tap  # noqa: E402
from grpc_python import Client, Stub, grpc, lease_pb2, run_pb2, scratch, task_pb2, worker_pb2  # noqa: E402
from weft.v1 import common_pb2, runner_pb2  # noqa: E402

SECONDS_MAX = 30
NEVER = 3600


class Daemon(subprocess.Popen):
    """`weft up` on a free port, with a SQLite store of its own."""

    number = 0

    def __init__(self, *options):
        Daemon.number += 1
        data = os.path.join(scratch.name, f"data{Daemon.number}")
        super().__init__([os.environ["WEFT"], "up", "--data", data, "--listen", "127.0.0.1:0", "-o", "json", *options],
                         stderr=subprocess.PIPE, text=True)
        self.address = json.loads(self.stderr.readline())["listening"].split("//")[1]
        self.log = threading.Thread(target=lambda: sys.stderr.writelines(self.stderr))
        self.log.start()
        self.store = os.path.join(data, "weft.db")
        self.stages = 0

    def sql(self, text, *values):
        with sqlite3.connect(self.store, timeout=SECONDS_MAX) as db:
            return db.execute(text, values).fetchall()

    def add(self, mode="sync", kind="build", timeout=60, labels=None):
        """A run with one READY stage, which the daemon sees with the next news. Its run's id."""
        self.stages += 1
        run = 1000000 + 2 * self.stages
        demand = json.dumps({"labels": labels or {}, "mode": mode, "type": kind}, separators=(",", ":"))
        self.sql("INSERT INTO run (id, workflow, version, state, params, dir, max_parallel, tasks, open, created_at,"
                 " local) VALUES (?, 'plan', 0, 'RUNNING', '{}', '', 0, 1, 1, 1, 0)", run)
        self.sql("INSERT INTO tally VALUES (?, '', 'READY', 1)", run)
        self.sql("INSERT INTO plan_task (task) VALUES (?)", run + 1)
        self.sql("INSERT INTO task (id, run, queue, name, state, reason, priority, retry, due_at, groups_open,"
                 " timeout_us, ready_at, created_at, turn, gate, key, unique_key, payload) VALUES"
                 " (?, ?, '', 'stage', 'READY', 'waiting_for_worker', 0, '', 0, 0, ?, 1, 1, 0, 3, ?, '', '{\"n\":1}')",
                 run + 1, run, int(timeout * 1e6), demand)
        return run

    def task(self, run):
        return self.sql("SELECT state FROM task WHERE run = ?", run)[0][0]

    def outcomes(self, run):
        return [row[0] for row in self.sql("SELECT outcome FROM attempt WHERE run = ? ORDER BY token", run)]

    def wait_for(self, run, state):
        until = time.monotonic() + SECONDS_MAX
        while (found := self.task(run)) != state:
            if time.monotonic() > until:
                raise AssertionError(f"the stage stays {found}, and should be {state}: {self.outcomes(run)[-5:]}")
            time.sleep(0.01)

    def __exit__(self, *exc):
        if self.poll() is None:
            self.send_signal(signal.SIGTERM)
        try:
            tap.equal(self.wait(SECONDS_MAX), 0, "how the daemon ended")
        finally:
            self.kill()
            self.log.join()
            self.stderr.close()


class Runner:
    """grpcio as a runner: its answers are functions of the request."""

    def __init__(self, daemon, name, run=None, run_async=None, cancel=None, credentials=None, kind="build"):
        self.daemon, self.name, self.kind = daemon, name, kind
        self.asked = queue.Queue()
        self.cancelled = queue.Queue()
        self.run = run or (lambda request, context: runner_pb2.StageReport())
        self.run_async = run_async or (lambda request, context: runner_pb2.RunAsyncReply(accepted=True))
        self.server = grpc.server(futures.ThreadPoolExecutor(32), handlers=[self])
        if credentials:
            self.address = f"https://127.0.0.1:{self.server.add_secure_port('127.0.0.1:0', credentials)}"
        else:
            self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()

    def service(self, details):
        if details.method == "/weft.v1.Runner/Run":
            return self.method(runner_pb2.RunStageRequest, self.keep(lambda r, c: self.run(r, c)))
        if details.method == "/weft.v1.Runner/RunAsync":
            return self.method(runner_pb2.RunStageRequest, self.keep(lambda r, c: self.run_async(r, c)))
        if details.method == "/weft.v1.Runner/Cancel":
            return self.method(runner_pb2.CancelStageRequest, self.on_cancel)
        return None

    @staticmethod
    def method(request, function):
        return grpc.unary_unary_rpc_method_handler(function, request.FromString, lambda m: m.SerializeToString())

    def keep(self, function):
        def called(request, context):
            self.asked.put(request)
            return function(request, context)
        return called

    def on_cancel(self, request, context):
        self.cancelled.put(request.token)
        return common_pb2.Empty()

    def register(self, **more):
        return register(self.daemon, self.name, self.address, self.kind, **more)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.stop(0).wait()


def register(daemon, name, address, kind="build", slots=10):
    request = worker_pb2.RegisterWorkerRequest(name=name, type=kind, address=address, modes=["sync", "async"],
                                               slots=slots)
    request.ttl.seconds = 60
    with Client(daemon.address) as client:
        return client.workers.Register(request, timeout=SECONDS_MAX).worker


@tap.case
def a_sync_stage_is_called_as_soon_as_a_runner_registers():
    """D-16, D-17, D-26."""
    def work(request, context):
        return runner_pb2.StageReport(result=json.dumps({"left": context.time_remaining()}))
    with Daemon() as d, Runner(d, "alpha", work) as r:
        run = d.add()
        worker = r.register()
        request = r.asked.get(timeout=SECONDS_MAX)
        d.wait_for(run, "SUCCEEDED")
        tap.equal((request.name, request.attempt, request.runner, request.worker, request.callback, request.args),
                  ("stage", 1, "alpha", worker.id, d.address, '{"n":1}'))
        tap.equal(request.run, str(run))
        with Client(d.address) as client:
            tasks = Stub(client.channel, task_pb2.DESCRIPTOR.services_by_name["Tasks"])
            output = json.loads(tasks.Get(task_pb2.TaskRequest(id=request.task), timeout=SECONDS_MAX).output)
        tap.equal(55 < output["left"] <= 60, True, f"the deadline travels: {output}")
        tap.equal(55 < request.deadline.seconds - time.time() <= 61, True)


@tap.case
def an_async_stage_is_completed_by_its_callback():
    """D-22."""
    with Daemon() as d, Runner(d, "alpha") as r:
        run = d.add("async")
        r.register()
        request = r.asked.get(timeout=SECONDS_MAX)
        d.wait_for(run, "RUNNING")
        with Client(request.callback) as client:
            item = lease_pb2.CompleteItem(token=request.token, outcome="succeeded")
            reply = client.leases.Complete(lease_pb2.CompleteRequest(results=[item]), timeout=SECONDS_MAX)
            tap.equal(reply.results[0].code, "OK")
        d.wait_for(run, "SUCCEEDED")
        tap.equal(d.outcomes(run), ["succeeded"])


@tap.case
def what_a_runner_refuses_goes_to_another():
    """D-47."""
    def no(request, context):
        return runner_pb2.RunAsyncReply(accepted=False, reason="full")

    def never(request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "another incarnation")
    with Daemon() as d, Runner(d, "alpha", never, no) as alpha, Runner(d, "beta") as beta:
        runs = d.add("sync"), d.add("async")
        alpha.register()
        alpha.asked.get(timeout=SECONDS_MAX)
        alpha.asked.get(timeout=SECONDS_MAX)
        beta.register()
        d.wait_for(runs[0], "SUCCEEDED")
        d.wait_for(runs[1], "RUNNING")
        tap.equal(set(d.outcomes(runs[0])), {"rejected", "succeeded"})


@tap.case
def a_runner_that_dies_in_the_middle_loses_its_attempt():
    """D-41."""
    hold = threading.Event()

    def work(request, context):
        hold.wait(SECONDS_MAX)
        return runner_pb2.StageReport()
    with Daemon() as d, Runner(d, "alpha", work) as alpha, Runner(d, "beta") as beta:
        run = d.add()
        alpha.register()
        alpha.asked.get(timeout=SECONDS_MAX)
        beta.register()
        alpha.server.stop(0)
        try:
            d.wait_for(run, "SUCCEEDED")
        finally:
            hold.set()
        tap.equal(d.outcomes(run)[0], "lost")
        tap.equal(d.outcomes(run)[-1], "succeeded")


@tap.case
def a_cancel_reaches_the_runner():
    stop = threading.Event()

    def work(request, context):
        stop.wait(SECONDS_MAX)
        return runner_pb2.StageReport(outcome="cancelled")
    with Daemon() as d, Runner(d, "alpha", work) as r:
        run = d.add()
        r.register()
        request = r.asked.get(timeout=SECONDS_MAX)
        with Client(d.address) as client:
            client.runs.Cancel(run_pb2.RunRequest(id=str(run)), timeout=SECONDS_MAX)
        try:
            tap.equal(r.cancelled.get(timeout=5), request.token)
        finally:
            stop.set()
        d.wait_for(run, "CANCELLED")


@tap.case
def one_that_hangs_stops_nobody():
    with socket.socket() as hung, Daemon() as d, Runner(d, "beta") as beta:
        hung.bind(("127.0.0.1", 0))
        hung.listen(1)
        register(d, "alpha", "127.0.0.1:%d" % hung.getsockname()[1], "hang")
        register(d, "gamma", "nobody.invalid:1", "hang")
        stuck = [d.add(kind="hang") for _ in range(3)]
        runs = [d.add() for _ in range(20)]
        begun = time.monotonic()
        beta.register()
        d.wait_for(runs[0], "SUCCEEDED")
        # Whoever waits for the one that hangs waits for 5 s at least.
        tap.equal(time.monotonic() - begun < 4, True, "nobody waited for the one that hangs")
        for run in runs:
            d.wait_for(run, "SUCCEEDED")
        for run in stuck:
            until = time.monotonic() + SECONDS_MAX
            while not d.outcomes(run) and time.monotonic() < until:
                time.sleep(0.05)
            tap.equal(set(d.outcomes(run)), {"rejected"})


@tap.case
def a_runner_with_mutual_tls():
    certs = fake.Certificates(os.path.join(scratch.name, "certs"))
    credentials = grpc.ssl_server_credentials([(certs.bytes("server.key"), certs.bytes("server.pem"))],
                                              certs.bytes("ca.pem"), True)
    files = [("runner.ca", "ca.pem"), ("runner.cert", "client.pem"), ("runner.key", "client.key")]
    options = [word for key, name in files for word in ("--set", f"{key}={certs.file(name)}")]
    with Daemon(*options) as d, Runner(d, "alpha", credentials=credentials) as r:
        run = d.add()
        r.register()
        d.wait_for(run, "SUCCEEDED")


@tap.case
def a_drain_lets_calls_end():
    go = threading.Event()

    def work(request, context):
        go.wait(SECONDS_MAX)
        return runner_pb2.StageReport()
    with Daemon() as d, Runner(d, "alpha", work) as r:
        run = d.add()
        r.register()
        r.asked.get(timeout=SECONDS_MAX)
        d.send_signal(signal.SIGTERM)
        go.set()
        tap.equal(d.wait(SECONDS_MAX), 0)
        tap.equal(d.task(run), "SUCCEEDED")


@tap.case
def a_drain_ends_with_its_time():
    with Daemon("--set", "drain=1s") as d, Runner(d, "alpha", lambda r, c: threading.Event().wait(4)) as r:
        run = d.add()
        r.register()
        r.asked.get(timeout=SECONDS_MAX)
        d.send_signal(signal.SIGTERM)
        tap.equal(d.wait(SECONDS_MAX), 0)
        tap.equal((d.task(run), d.outcomes(run)), ("READY", ["lost"]))


tap.main()
