# SPDX-License-Identifier: Apache-2.0
"""weft.v1.Runner over gRPC, for a Runner."""
import collections
import concurrent.futures
import json
import threading

import grpc

from weft import schema
from weft.runner import Refusal

OTHER_CALLS = 16  # threads for pings, cancels and refusals
UNLIMITED = 1000  # threads where a runner has no limit of its own
LOOK_SECONDS = 0.5  # between two looks whether a caller still waits
OPTIONS = (
    ("grpc.so_reuseport", 0),  # or a second runner on this port would get half of the calls
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", 64 << 20),
    ("grpc.http2.max_ping_strikes", 0),  # the server asks whether we are there as often as it likes
)


def start(runner, listen, credentials, slots):
    """Listen; an Endpoint."""
    threads = sum(n or UNLIMITED for n in slots) + OTHER_CALLS
    pool = Threads(threads)
    server = grpc.server(pool, options=OPTIONS)
    service = Service(runner)
    handlers = {name: grpc.unary_unary_rpc_method_handler(method, kind.FromString, encode)
                for name, (method, kind) in service.methods.items()}
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(f"{schema.PACKAGE}.Runner", handlers),))
    if credentials:
        port = server.add_secure_port(listen, credentials)
    else:
        port = server.add_insecure_port(listen)
    if not port:
        raise OSError(f"nobody can listen at {listen}")
    server.start()
    return Endpoint(server, pool, port)


class Endpoint:
    def __init__(self, server, pool, port):
        self.port = port
        self._server, self._pool = server, pool

    def stop(self, grace):
        """Calls have so many seconds to end, then they are cut. The event that it gives is set when
        that is over."""
        over = self._server.stop(grace)
        self._pool.shutdown()
        return over


class Threads(concurrent.futures.Executor):
    """At most so many threads, each begun when no other is idle. They are daemons: the standard
    library waits for the threads of its pool when the program ends, for ever where a stage hangs."""

    def __init__(self, limit):
        self._limit = limit
        self._jobs = collections.deque()
        self._news = threading.Condition()
        self._count = self._idle = 0
        self._over = False

    def submit(self, fn, /, *args, **kwargs):
        future = concurrent.futures.Future()
        with self._news:
            self._jobs.append((future, fn, args, kwargs))
            if self._idle < len(self._jobs) and self._count < self._limit:
                self._count += 1
                threading.Thread(target=self._work, name="weft_call", daemon=True).start()
            self._news.notify()
        return future

    def _next(self):
        with self._news:
            self._idle += 1
            self._news.wait_for(lambda: self._jobs or self._over)
            self._idle -= 1
            if self._jobs:
                return self._jobs.popleft()
            self._count -= 1
            return None

    def _work(self):
        while job := self._next():
            self._do(*job)
            del job  # or its request would be held until the next one comes

    @staticmethod
    def _do(future, fn, args, kwargs):
        if future.set_running_or_notify_cancel():
            try:
                future.set_result(fn(*args, **kwargs))
            except BaseException as error:  # pylint: disable=broad-except
                future.set_exception(error)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """Each thread ends when there is nothing to do any more; nobody waits for that."""
        del wait, cancel_futures
        with self._news:
            self._over = True
            self._news.notify_all()


def encode(reply):
    return reply if isinstance(reply, bytes) else reply.SerializeToString()


def write_error(error, given):
    error.code = given.get("code", "")
    error.message = given.get("message", "")


def report(told):
    """A stage's end, as a message."""
    message = schema.StageReport(outcome=told["outcome"], final=told.get("final", False))
    if "error" in told:
        write_error(message.error, told["error"])
    if told.get("result") is not None:
        message.result = json.dumps(told["result"])
    for given in told.get("checks", ()):
        update = message.checks.add(check=given["check"], finalize=given["finalize"])
        if given["data"] is not None:
            update.data = json.dumps(given["data"])
        if "failure" in given:
            write_error(update.failure, given["failure"])
    return message


def waiting(context):
    """Says whether somebody still waits for the answer to a call."""
    def waits():
        left = context.time_remaining()
        return context.is_active() and (left is None or left > 0)

    return waits


class Service:
    def __init__(self, runner):
        self.runner = runner
        self.methods = {
            "Run": (self.run, schema.RunStageRequest),
            "RunAsync": (self.run_async, schema.RunStageRequest),
            "Cancel": (self.cancel, schema.CancelStageRequest),
            "Ping": (self.ping, schema.PingRequest),
        }

    def run(self, request, context):
        try:
            stage, fresh = self.runner.take(request, "sync", waiting(context))
        except Refusal as refusal:
            if refusal.raw:
                return refusal.raw
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(refusal))
        if not context.add_callback(lambda: self.runner.hang_up(stage)):
            self.runner.hang_up(stage)
        if fresh:
            self.runner.perform(stage)
        while not stage.done.wait(LOOK_SECONDS) and context.is_active():
            pass
        if not stage.done.is_set():
            context.abort(grpc.StatusCode.CANCELLED, "nobody waits for it any more")
        return report(stage.report)

    def run_async(self, request, context):
        try:
            stage, fresh = self.runner.take(request, "async", waiting(context))
        except Refusal as refusal:
            return refusal.raw or schema.RunAsyncReply(accepted=False, reason=str(refusal))
        if fresh:
            self.runner.begin(stage)
        return schema.RunAsyncReply(accepted=True)

    def cancel(self, request, context):
        del context
        self.runner.cancel(request.token, request.reason)
        return schema.Empty()

    def ping(self, request, context):
        del context
        offer, free = self.runner.free(request.worker)
        return schema.PingReply(runner=offer.name, worker=offer.id or "", types=[offer.type],
                                modes=offer.modes, free=free)
