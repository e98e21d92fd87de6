# SPDX-License-Identifier: Apache-2.0
"""weft.v1.Runner over gRPC, for a Runner."""
import concurrent.futures
import json

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
    """A gRPC server that listens, and its port."""
    threads = sum(n or UNLIMITED for n in slots) + OTHER_CALLS
    pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="weft_call")
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
    return server, port


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
