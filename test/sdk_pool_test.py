#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Processes of pools, spoken to over their pipes: sdk_pool_worker.py, .mjs and .c do the same."""
import functools
import json
import os
import signal
import struct
import sys
import tempfile
import time

import tap
from pool_process import SECONDS_MAX, process

SOURCE = os.environ["WEFT_SOURCE"]
PROGRAMS = {"c": [os.path.join(os.environ["WEFT_BUILD"], "test", "sdk_pool_worker")],
            "python": [sys.executable, f"{SOURCE}/test/sdk_pool_worker.py"],
            "node": ["node", f"{SOURCE}/test/sdk_pool_worker.mjs"]}


def workers(function, languages=tuple(PROGRAMS)):
    """A case for each language; the function takes the command that starts its worker."""
    for language in languages:
        def case(program=PROGRAMS[language]):
            function(program)

        functools.update_wrapper(case, function)
        case.__name__ = f"{function.__name__}_{language}"
        tap.case(case)
    return function


def with_many_in_flight(function):
    """C has one call in flight."""
    return workers(function, ("python", "node"))


def in_flights(program):
    return ("1",) if program == PROGRAMS["c"] else ("1", "2")


@workers
def a_ping_says_what_it_can(program):
    with process(program) as p:
        tap.equal(p.result("weft.ping"), {"protocol": 1, "in_flight": 1, "sessions": 1000, "snapshots": True})


@workers
def a_reply_has_the_id_of_its_call(program):
    with process(program) as p:
        for args in ({"id": "prog_1"}, [1, 2.5, None, True], "ä€😀\u0000\"\\", -7, {}):
            tap.equal(p.call("echo", args), {"id": p.id, "success": True, "result": args})
        tap.equal(p.call("echo").get("result"), None)
        p.id = 9007199254740990
        tap.equal(p.call("echo", 1)["id"], 9007199254740991)


@workers
def an_error_has_its_kind_message_and_details(program):
    with process(program) as p:
        tap.equal(p.error("fail", {"kind": "too_warm", "message": "38 °", "details": {"at": [1]}}),
                  {"kind": "too_warm", "message": "38 °", "details": {"at": [1]}})
        unknown = p.error("nothing")
        tap.equal((unknown["kind"], "nothing" in unknown["message"]), ("unknown_command", True))
        tap.equal(p.error("weft.unheard")["kind"], "unknown_command")
        tap.equal(p.result("echo", 1), 1)


@workers
def what_is_printed_is_a_line_of_the_log(program):
    with process(program) as p:
        tap.equal((p.result("print"), p.result("echo", 1)), (None, 1))
        tap.equal(p.text(), "Loading\nmodel\n")


@workers
def nobody_else_reads_requests(program):
    with process(program) as p:
        tap.equal((p.result("read_stdin"), p.result("echo", 1)), (0, 1))


@workers
def sessions_are_kept_apart_until_they_end(program):
    with process(program) as p:
        counts = [p.result("count", session=s) for s in ("a", "b", "a", "a", "ä 😀")]
        tap.equal(counts, [1, 1, 2, 3, 1])
        tap.equal((p.result("count"), p.result("count")), (1, 1))
        tap.equal((p.result("weft.end_session", session="a"), p.result("weft.end_session", session="z")),
                  (True, False))
        tap.equal(p.result("ended"), [["a", 3]])
        tap.equal((p.result("count", session="a"), p.result("count", session="b")), (1, 2))


@workers
def a_session_moves_by_its_snapshot(program):
    with process(program) as p, process(program) as q:
        for _ in range(3):
            p.result("count", session="a")
        q.result("weft.restore", p.result("weft.snapshot", session="a"), session="a")
        tap.equal(q.result("count", session="a"), 4)


@workers
def chunks_come_before_the_reply(program):
    with process(program) as p:
        reply, chunks = p.reply(p.send("stream", {"n": 1000}))
        tap.equal((reply["result"], chunks), ("end", list(range(1000))))
        reply, chunks = p.reply(p.send("stream", {"n": 0}))
        tap.equal((reply["result"], chunks), ("end", []))


@with_many_in_flight
def calls_in_flight_are_answered_each_with_its_own(program):
    with process([*program, "10"]) as p:
        tap.equal(p.result("weft.ping")["in_flight"], 10)
        slow = [p.send("sleep", {"ms": 3600 * 1000}) for _ in range(5)]
        quick = {p.send("echo", {"value": i}): i for i in range(10)}
        for number, i in quick.items():
            tap.equal(p.reply(number)[0]["result"], {"value": i})
        for number in slow:
            p.say({"cancel": number})
        tap.equal({p.reply(number)[0]["result"] for number in slow}, {"left"})


@workers
def a_cancelled_call_is_told_and_still_answers(program):
    for in_flight in in_flights(program):
        with process([*program, in_flight]) as p:
            number = p.send("sleep", {"ms": 3600 * 1000})
            tap.equal(p.result("weft.ping")["in_flight"], int(in_flight))
            p.say({"cancel": number})
            tap.equal(p.reply(number)[0]["result"], "left")
            p.say({"cancel": number})
            p.say({"cancel": 4711})
            tap.equal(p.result("echo", 1), 1)


@workers
def a_call_that_waits_is_cancelled_before_it_begins(program):
    with process(program) as p:
        first = p.send("sleep", {"ms": 3600 * 1000})
        second, third = p.send("count", session="a"), p.send("count", session="a")
        p.say({"cancel": second})
        p.say({"cancel": first})
        tap.equal(p.reply(second)[0]["error"]["kind"], "cancelled")
        tap.equal(p.reply(third)[0]["result"], 1)


@workers
def a_stream_that_nobody_reads_ends(program):
    with process(program) as p:
        number = p.send("stream", {"n": 1 << 30})
        tap.equal(p.next(), {"id": number, "chunk": 0})
        p.say({"cancel": number})
        tap.equal(p.reply(number)[0]["error"]["kind"], "cancelled")


@workers
def the_deadline_of_a_call_is_told(program):
    for in_flight in in_flights(program):
        with process([*program, in_flight]) as p:
            tap.equal(p.result("sleep", {"ms": 3600 * 1000}, deadline=50), "left")
            tap.equal(p.result("sleep", {"ms": 1}, deadline=3600 * 1000), "slept")


@workers
def messages_are_as_large_as_they_may(program):
    with process(program) as p:
        tap.equal(p.result("echo", "x" * 1000000), "x" * 1000000)
        tap.equal(len(p.result("big", {"bytes": 1000000})), 1000000)
        tap.equal(p.error("big", {"bytes": 1 << 20})["kind"], "too_large")
        tap.equal(p.error("fail", {"kind": "k", "message": "m" * 10, "details": "x" * 1048470})["kind"], "k")
        tap.equal(p.result("echo", 1), 1)
    with process(program, MESSAGE_MAX=str(8 << 20)) as p:
        tap.equal(len(p.result("big", {"bytes": 7 << 20})), 7 << 20)


@workers
def a_reply_is_as_deep_as_it_may(program):
    with process(program) as p:
        tap.equal(json.dumps(p.result("deep", {"levels": 64})), "[" * 64 + "]" * 64)
        tap.equal(p.error("deep", {"levels": 65})["kind"], "too_deep")


@workers
def frames_come_in_pieces(program):
    with process(program) as p:
        text = json.dumps({"id": 1, "command": "echo", "args": 1}).encode()
        frame = struct.pack(">I", len(text)) + text
        for i in range(len(frame)):
            p.write(frame[i:i + 1])
        tap.equal(p.reply(1)[0]["result"], 1)
        p.write(b"".join(frame.replace(b'"id": 1', b'"id": %d' % i) for i in range(2, 10)))
        tap.equal([p.reply(i)[0]["result"] for i in range(2, 10)], [1] * 8)


@workers
def shutdown_lets_calls_end(program):
    for in_flight in in_flights(program):
        with process([*program, in_flight]) as p:
            number = p.send("sleep", {"ms": 300})
            p.say({"command": "weft.shutdown"})
            p.process.stdin.close()
            tap.equal(p.reply(number)[0]["result"], "slept")
            tap.equal(p.process.wait(SECONDS_MAX), 0)


@workers
def it_ends_with_its_stdin(program):
    for in_flight in in_flights(program):
        with process([*program, in_flight]) as p:
            p.send("sleep", {"ms": 3600 * 1000})
            tap.equal(p.end(), 0, p.text())
    with process(program) as p:
        tap.equal(p.end(), 0)


@workers
def what_is_no_frame_ends_it(program):
    for garbage in (b"\xff\xff\xff\xff", b"\0\0\0\0", struct.pack(">I", 4) + b"{]}!",
                    struct.pack(">I", 2) + b"[]"):
        with process(program) as p:
            p.write(garbage)
            tap.equal(p.process.wait(SECONDS_MAX) != 0, True)
            tap.equal(p.text() != "", True)


# In Python alone.


@tap.case
def whatever_python_raises_is_an_error():
    with process(PROGRAMS["python"]) as p:
        tap.equal(p.error("raise"), {"kind": "KeyError", "message": "'nothing'"})
        tap.equal(p.error("no_json", {"what": "set"})["kind"], "TypeError")
        tap.equal(p.error("no_json", {"what": "nan"})["kind"], "ValueError")
        tap.equal(p.error("exit"), {"kind": "SystemExit", "message": "enough"})
        tap.equal(p.result("half"), "?")


@tap.case
def the_stack_of_a_stuck_worker_is_logged():
    with process(PROGRAMS["python"]) as p:
        p.send("sleep", {"ms": 3600 * 1000})
        tap.equal(p.result("weft.ping")["in_flight"], 1)  # it is within the call
        p.process.send_signal(signal.SIGUSR2)
        while "in sleep" not in p.text():
            assert time.monotonic() < p.until, p.text()
            time.sleep(0.005)


@tap.case
def one_file_is_enough():
    with tempfile.TemporaryDirectory() as folder:
        with open(f"{SOURCE}/sdk/python/weft/pool_worker.py", encoding="utf-8") as f:
            text = f.read()
        with open(f"{folder}/alone.py", "w", encoding="utf-8") as f:
            f.write(f"{text}\nw = PoolWorker()\nw.command('twice')(lambda call: 2 * call.args)\nw.serve()\n")
        with process([sys.executable, "-I", f"{folder}/alone.py"]) as p:
            tap.equal(p.result("twice", 21), 42)


@tap.case
def what_c_cannot_send_is_an_error():
    with process(PROGRAMS["c"]) as p:
        tap.equal(p.error("no_json")["kind"], "no_json")
        p.process.send_signal(signal.SIGUSR2)
        tap.equal(p.result("echo", 12345678901234567890123), 12345678901234567890123)


# In Node alone.


@tap.case
def whatever_node_throws_is_an_error():
    with process(PROGRAMS["node"]) as p:
        tap.equal(p.error("raise")["kind"], "TypeError")
        tap.equal(p.error("no_json")["kind"], "TypeError")
        tap.equal(p.result("half"), 'a\ufffd "\\ud83d"')
        reply, chunks = p.reply(p.send("later"))
        tap.equal((reply["result"], chunks), (2, [1]))


tap.main()
