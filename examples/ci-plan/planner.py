#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The runner that plans: it looks at the code and adds the stages that answer the questions.

    planner.py SERVER
"""
import os
import sys

import weft

client = weft.Client(sys.argv[1])
runner = weft.Runner(client, name="planner", slots=1)


def tests_of(source):
    """The unit tests of the code base that need nothing but a compiler and cmocka."""
    folder = os.path.join(source, "src", "core")
    return sorted(f"src/core/{name}" for name in os.listdir(folder)
                  if name.endswith("_test.c"))


def stages_for(name, config, args):
    """Build it with these flags, then run what was built."""
    return [
        {"name": f"build {name}", "type": "build", "args": {**args, **config}, "timeout": "300s",
         "assignments": [{"check": "builds"}, {"check": "no warnings"}]},
        {"name": f"test {name}", "type": "test", "mode": "async", "progress_every": "30s",
         "args": {**args, **config}, "timeout": "300s",
         "dependencies": [{"from": [f"build {name}"]}],
         "assignments": [{"check": "tests pass"}]},
    ]


@runner.stage("plan", mode="sync")
def plan(ctx):
    tests = tests_of(ctx.args["source"])
    stages = []
    for compiler in ctx.args["compilers"]:
        for sanitizer in ctx.args["sanitizers"]:
            name = f"{compiler} {sanitizer}"
            config = {"compiler": compiler, "sanitizer": sanitizer, "tests": tests,
                      "out": os.path.join(ctx.args["out"], f"{compiler}-{sanitizer}")}
            stages += stages_for(name, config, {"source": ctx.args["source"]})
    stages.append({"name": "summary", "type": "summary", "args": {"plan": ctx.run},
                   "dependencies": [{"rule": "all_done",
                                     "from": ["builds", "no warnings", "tests pass"]}]})
    client.call("POST", f"/v1/runs/{ctx.run}:write", {"stages": stages})
    client.call("POST", f"/v1/runs/{ctx.run}:seal")
    return {"stages": len(stages), "tests": len(tests)}


@runner.stage("summary", mode="sync")
def summary(ctx):
    """A line for each question, with what was found out."""
    tasks = client.call("POST", f"/v1/runs/{ctx.run}:query", {"only": "checks"})["tasks"]
    lines = []
    for task in tasks:
        results = task["check"].get("results", [])
        bad = [r["failure"]["message"] for r in results if "failure" in r]
        lines.append(f"{task['name']}: {task['state']}, {len(results)} results"
                     + "".join(f"; {text}" for text in bad))
    return {"lines": lines}


runner.serve()
