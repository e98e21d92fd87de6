# SPDX-License-Identifier: Apache-2.0
"""A process of a pool for tests: it answers, and misbehaves in every way that it is asked to."""

import json
import os
import signal
import struct
import sys
import time

MODE = sys.argv[1] if len(sys.argv) > 1 else ""
held = []
eaten = []


def raw(data):
    while data:
        data = data[os.write(1, data) :]


def say(message):
    text = json.dumps(message).encode()
    raw(struct.pack(">I", len(text)) + text)


def answer(request, result):
    say({"id": request["id"], "success": True, "result": result})


def read(count):
    data = b""
    while len(data) < count:
        more = os.read(0, count - len(data))
        if not more:
            return None
        data += more
    return data


def hold(request):
    """Answers are given in the reverse order, once there are ten."""
    held.append(request)
    if len(held) == 10:
        for one in reversed(held):
            answer(one, one["args"])
        held.clear()


def breed(request):
    """A child in a session of its own that outlives its parent and does not listen."""
    ready, told = os.pipe()
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.write(told, b"1")
        os.close(0)
        os.close(1)
        while True:
            time.sleep(1000)
    os.read(ready, 1)
    answer(request, os.getpid())


def end(request):
    sys.stderr.write("first line\nout of paper\n")
    sys.stderr.flush()
    os._exit(3)


def close(request):
    os.close(1)
    time.sleep(1000)


def count(request):
    for i in range(request["args"]):
        say({"id": request["id"], "chunk": i})
    answer(request, "done")


def eat(request):
    eaten.append(bytearray(os.urandom(1) * (request["args"] << 20)))
    answer(request, None)


def twice(request):
    answer(request, 1)
    answer(request, 2)


COMMANDS = {
    "echo": lambda r: answer(r, r.get("args")),
    "pid": lambda r: answer(r, os.getpid()),
    "session": lambda r: answer(r, r.get("session")),
    "fail": lambda r: say({"id": r["id"], "success": False, "error": {"kind": "Bad", "message": "no"}}),
    "sleep": lambda r: (time.sleep(r["args"] / 1000), answer(r, None)),
    "hang": lambda r: time.sleep(1000),
    "kill": lambda r: os.kill(os.getpid(), signal.SIGKILL),
    "text": lambda r: raw(b"Loading model\n"),
    "huge": lambda r: raw(b"\xff\xff\xff\xff{"),
    "half": lambda r: raw(struct.pack(">I", 100) + b'{"id"'),
    "hold": hold,
    "breed": breed,
    "exit": end,
    "close": close,
    "count": count,
    "eat": eat,
    "twice": twice,
}


def main():
    if MODE == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if MODE == "exit":
        sys.exit("it has no model")
    while True:
        head = read(4)
        if head is None:
            break
        request = json.loads(read(struct.unpack(">I", head)[0]))
        command = request.get("command")
        if command == "weft.ping":
            answer(request, {"protocol": 1, "in_flight": 16 if MODE == "many" else 1})
        elif command == "weft.end_session":
            answer(request, None)
        elif command in COMMANDS:
            COMMANDS[command](request)
        elif "id" in request:
            say({"id": request["id"], "success": False, "error": "unknown command"})
    while MODE == "stubborn":
        time.sleep(1000)


main()
