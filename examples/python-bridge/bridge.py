# SPDX-License-Identifier: Apache-2.0
"""A bridge to Python programs: each session has programs of its own, with a signature each."""
import ast
import os
import resource
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../sdk/python"))
from weft.pool_worker import Failed, PoolWorker  # pylint: disable=wrong-import-position

PROGRAMS_MAX = 1000  # of a session
worker = PoolWorker()
try:
    import dspy
except ImportError:
    dspy = None
begun = time.monotonic()
counts = {"calls": 0, "errors": 0}


class Python:
    """A program that is Python text: it reads its inputs as names and sets its outputs as names.
    Where it is one expression, that is its only output."""

    kind = "python"

    def __init__(self, signature, source):
        tree = ast.parse(source, "program")
        if len(tree.body) == 1 and isinstance(tree.body[0], ast.Expr):
            if len(signature["outputs"]) != 1:
                raise Failed("an expression has one output", "bad_program")
            target = ast.Name(signature["outputs"][0], ast.Store())
            tree.body = [ast.Assign([target], tree.body[0].value)]
            ast.fix_missing_locations(tree)
        self.code = compile(tree, "program", "exec")
        self.outputs = signature["outputs"]

    def run(self, inputs):
        names = dict(inputs)
        exec(self.code, names)  # pylint: disable=exec-used
        missing = [name for name in self.outputs if name not in names]
        if missing:
            raise Failed(f"it has not set {', '.join(missing)}", "no_output")
        return {name: names[name] for name in self.outputs}


class Predict:
    """A program of DSPy: a model says its outputs."""

    kind = "predict"

    def __init__(self, signature):
        if dspy is None:
            raise Failed("DSPy is not installed here: a program needs a source", "no_dspy")
        self.outputs = signature["outputs"]
        self.predict = dspy.Predict(f"{', '.join(signature['inputs'])} -> {', '.join(self.outputs)}")

    def run(self, inputs):
        said = self.predict(**inputs)
        return {name: getattr(said, name) for name in self.outputs}


def names_of(signature, key):
    names = signature.get(key) if isinstance(signature, dict) else None
    if isinstance(names, list):
        names = [n["name"] if isinstance(n, dict) else n for n in names]
    if not isinstance(names, list) or not names or not all(
            isinstance(n, str) and n.isidentifier() for n in names):
        raise Failed(f"a signature has {key}: a list of names", "bad_signature")
    return names


def command(function):
    """Register it under its name, and count its calls."""
    def counted(call):
        counts["calls"] += 1
        try:
            return function(call, call.args or {})
        except BaseException:
            counts["errors"] += 1
            raise

    worker.command(function.__name__)(counted)
    return function


def program_of(call, args):
    name = args.get("program_id")
    if name not in call.session:
        raise Failed(f"Program not found: {name}", "program_not_found")
    return call.session[name]


def info(program):
    return {key: program[key] for key in ("program_id", "signature", "program_type", "created_at",
                                          "execution_count", "last_executed")}


@command
def create_program(call, args):
    name = args.get("id")
    if not isinstance(name, str) or not name:
        raise Failed("Program ID is required", "bad_program")
    if name in call.session:
        raise Failed(f"Program {name} already exists", "program_exists")
    if len(call.session) >= PROGRAMS_MAX:
        raise Failed(f"a session has at most {PROGRAMS_MAX} programs", "too_many_programs")
    signature = {key: names_of(args.get("signature"), key) for key in ("inputs", "outputs")}
    work = Python(signature, args["source"]) if "source" in args else Predict(signature)
    call.session[name] = {"program_id": name, "signature": signature, "program_type": work.kind,
                          "created_at": time.time(), "execution_count": 0, "last_executed": None,
                          "work": work}
    return {"program_id": name, "status": "created", "signature": signature,
            "program_type": work.kind}


@command
def execute_program(call, args):
    program = program_of(call, args)
    inputs = args.get("inputs") or {}
    missing = [name for name in program["signature"]["inputs"] if name not in inputs]
    if missing:
        raise Failed(f"it is not given {', '.join(missing)}", "no_input")
    started = time.monotonic()
    outputs = program["work"].run({n: inputs[n] for n in program["signature"]["inputs"]})
    program["execution_count"] += 1
    program["last_executed"] = time.time()
    return {"program_id": program["program_id"], "outputs": outputs,
            "execution_time": time.monotonic() - started}


@command
def list_programs(call, args):
    return {"programs": [info(p) for p in call.session.values()], "total_count": len(call.session)}


@command
def delete_program(call, args):
    name = program_of(call, args)["program_id"]
    del call.session[name]
    return {"program_id": name, "status": "deleted"}


@command
def get_program_info(call, args):
    return info(program_of(call, args))


@command
def configure_lm(call, args):
    """The model of all sessions of this process, as DSPy names models."""
    if dspy is None:
        raise Failed("DSPy is not installed here", "no_dspy")
    dspy.configure(lm=dspy.LM(args["model"], api_key=args.get("api_key"),
                              temperature=args.get("temperature", 0.7)))
    return {"status": "configured", "model": args["model"]}


@command
def health_check(call, args):
    return {"status": "ok", "uptime": time.monotonic() - begun, "pid": os.getpid(),
            "session": call.session.id, "dspy": dspy is not None}


@command
def get_stats(call, args):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"programs_count": len(call.session), "command_count": counts["calls"],
            "error_count": counts["errors"], "uptime": time.monotonic() - begun,
            "memory_peak_bytes": peak}


@command
def cleanup(call, args):
    removed = len(call.session)
    call.session.clear()
    return {"status": "cleaned", "programs_removed": removed}


# For tests of what stands before it.


@command
def echo(call, args):
    return call.args


@command
def sleep(call, args):
    """`duration` milliseconds, or until nobody waits."""
    return {"status": "left" if call.wait(args["duration"] / 1000) else "slept"}


@command
def slow_op(call, args):
    """Keeps a processor busy for `duration` milliseconds."""
    until = time.monotonic() + args["duration"] / 1000
    steps = 0
    while time.monotonic() < until:
        steps += 1
    return {"steps": steps}


worker.serve()
