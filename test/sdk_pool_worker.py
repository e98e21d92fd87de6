# SPDX-License-Identifier: Apache-2.0
"""A process of a pool, for sdk_pool_test.py; .mjs and .c do the same. argv: calls in flight."""
import os
import sys

from weft.pool_worker import Failed, PoolWorker

worker = PoolWorker(in_flight=int(sys.argv[1]) if sys.argv[1:] else 1, sessions=1000,
                    message_max=int(os.environ.get("MESSAGE_MAX", 1 << 20)))
ended = []


@worker.command("echo")
def echo(call):
    return call.args


@worker.command("sleep")
def sleep(call):
    return "left" if call.wait(call.args["ms"] / 1000) else "slept"


@worker.command("fail")
def fail(call):
    raise Failed(call.args["message"], call.args["kind"], call.args["details"])


@worker.command("print")
def print_something(call):
    print("Loading")
    os.write(1, b"model\n")
    return None


@worker.command("read_stdin")
def read_stdin(call):
    return len(os.read(0, 100))


@worker.command("count")
def count(call):
    with call.session.lock:
        call.session["n"] = call.session.get("n", 0) + 1
        return call.session["n"]


@worker.command("ended")
def ends(call):
    return ended


@worker.command("stream")
def stream(call):
    for i in range(call.args["n"]):
        yield i
    return "end"


@worker.command("big")
def big(call):
    return "x" * call.args["bytes"]


@worker.command("deep")
def deep(call):
    value = []
    for _ in range(call.args["levels"] - 1):
        value = [value]
    return value


@worker.on_end_session
def end(session):
    ended.append([session.id, session.get("n", 0)])


@worker.snapshot
def snapshot(session):
    return {"n": session.get("n", 0)}


@worker.restore
def restore(session, data):
    session["n"] = data["n"]


# In Python alone.


@worker.command("raise")
def raise_something(call):
    return {}["nothing"]


@worker.command("no_json")
def no_json(call):
    return {"set": {1}, "nan": float("nan")}[call.args["what"]]


@worker.command("half")
def half(call):
    return "\ud83d"


@worker.command("exit")
def leave(call):
    sys.exit("enough")


worker.serve()
