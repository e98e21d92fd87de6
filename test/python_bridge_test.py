#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""examples/python-bridge, over its pipes."""
import importlib.util
import os
import sys

import pool_process
import tap

PROGRAM = [sys.executable, f"{os.environ['WEFT_SOURCE']}/examples/python-bridge/bridge.py"]


def bridge():
    return pool_process.process(PROGRAM)


def create(p, name, source, session, inputs=("x",), outputs=("y",)):
    return p.result("create_program", {"id": name, "source": source, "signature": {
        "inputs": list(inputs), "outputs": list(outputs)}}, session=session)


def execute(p, name, session, **inputs):
    return p.result("execute_program", {"program_id": name, "inputs": inputs}, session=session)["outputs"]


@tap.case
def a_program_is_created_executed_and_deleted():
    with bridge() as p:
        tap.equal(create(p, "prog_1", "2 * x", "u1")["program_id"], "prog_1")
        tap.equal([execute(p, "prog_1", "u1", x=x) for x in (21, "ab", [1])],
                  [{"y": 42}, {"y": "abab"}, {"y": [1, 1]}])
        info = p.result("get_program_info", {"program_id": "prog_1"}, session="u1")
        tap.equal((info["execution_count"], info["signature"]), (3, {"inputs": ["x"], "outputs": ["y"]}))
        deleted = p.result("delete_program", {"program_id": "prog_1"}, session="u1")
        tap.equal(deleted, {"program_id": "prog_1", "status": "deleted"})
        tap.equal(p.error("execute_program", {"program_id": "prog_1"}, session="u1"),
                  {"kind": "program_not_found", "message": "Program not found: prog_1"})
        p.say({"command": "weft.shutdown"})
        tap.equal(p.end(), 0)


@tap.case
def sessions_have_programs_of_their_own():
    with bridge() as p:
        create(p, "a", "x + 1", "u1")
        create(p, "b", "x + 2", "u2")
        for session, name in (("u1", "a"), ("u2", "b")):
            listed = p.result("list_programs", session=session)
            tap.equal(([e["program_id"] for e in listed["programs"]], listed["total_count"]), ([name], 1))
        tap.equal(p.error("execute_program", {"program_id": "b"}, session="u1")["kind"], "program_not_found")
        tap.equal(p.result("cleanup", session="u1"), {"status": "cleaned", "programs_removed": 1})
        tap.equal(execute(p, "b", "u2", x=1), {"y": 3})
        p.result("weft.end_session", session="u2")
        tap.equal(p.result("list_programs", session="u2")["total_count"], 0)


@tap.case
def a_program_may_have_many_lines_and_outputs():
    source = "import math\nroot = math.isqrt(n)\nrest = n - root ** 2\nprint('aside')"
    with bridge() as p:
        create(p, "root", source, "u1", ["n"], ["root", "rest"])
        tap.equal(execute(p, "root", "u1", n=30), {"root": 5, "rest": 5})
        tap.equal(p.text(), "aside\n")


@tap.case
def what_a_program_does_wrong_is_an_error():
    with bridge() as p:
        for args, kind in (({}, "bad_program"), ({"id": "p"}, "bad_signature"),
                           ({"id": "p", "signature": {"inputs": ["x"], "outputs": ["1"]}}, "bad_signature"),
                           ({"id": "p", "signature": {"inputs": ["x"], "outputs": ["y"]}, "source": "2 *"},
                            "SyntaxError")):
            tap.equal(p.error("create_program", args, session="u1")["kind"], kind, args)
        create(p, "p", "1 / x", "u1")
        tap.equal(p.error("create_program", {"id": "p"}, session="u1")["kind"], "program_exists")
        for source, kind in (("1 / x", "ZeroDivisionError"), ("raise SystemExit", "SystemExit"),
                             ("z = x", "no_output"), ("{x}", "TypeError")):
            create(p, kind, source, "u1")
            tap.equal(p.error("execute_program", {"program_id": kind, "inputs": {"x": 0}}, session="u1")["kind"], kind)
        tap.equal(p.error("execute_program", {"program_id": "p"}, session="u1")["kind"], "no_input")
        tap.equal(execute(p, "p", "u1", x=2), {"y": 0.5})
        tap.equal(p.result("get_stats", session="u1")["programs_count"], 5)


@tap.case
def without_dspy_nothing_is_made_up():
    if importlib.util.find_spec("dspy"):
        raise tap.Skip("DSPy is installed")
    with bridge() as p:
        tap.equal(p.error("create_program", {"id": "p", "signature": {
            "inputs": ["question"], "outputs": ["answer"]}}, session="u1")["kind"], "no_dspy")
        tap.equal(p.result("health_check", session="u1")["dspy"], False)


@tap.case
def commands_for_tests():
    with bridge() as p:
        tap.equal(p.result("echo", {"nonce": 7}), {"nonce": 7})
        tap.equal(p.result("sleep", {"duration": 1}), {"status": "slept"})
        tap.equal(p.result("slow_op", {"duration": 5})["steps"] > 0, True)


tap.main()
