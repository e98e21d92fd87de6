# SPDX-License-Identifier: Apache-2.0
"""Graphs of one command, written for weft, ninja and make."""
import json
import random


def independent(n):
    return [(f"t{i}", []) for i in range(n)]


def chain(n):
    return [(f"t{i}", [f"t{i - 1}"] if i else []) for i in range(n)]


def fan(n):
    """1 -> n -> 1"""
    middle = [(f"m{i}", ["first"]) for i in range(n)]
    return [("first", []), *middle, ("last", [name for name, _ in middle])]


def lattice(n):
    """n x n; each waits for the one above it and the one to its left."""
    return [
        (f"t{i}_{j}", [f"t{x}_{y}" for x, y in ((i - 1, j), (i, j - 1)) if x >= 0 and y >= 0])
        for i in range(n)
        for j in range(n)
    ]


def layers(n, width, needs):
    """Layers of `width`; each task waits for `needs` of the layer before, the same ones every time."""
    drawn = random.Random(1)
    return [
        (f"t{i}", [f"t{x}" for x in drawn.sample(range(i - i % width - width, i - i % width), needs)] if i >= width else [])
        for i in range(n)
    ]


def write_weft(path, graph, argv):
    tasks = {name: {"run": argv, "needs": needs} if needs else {"run": argv} for name, needs in graph}
    with open(path, "w") as f:
        json.dump({"weft": 1, "name": "bench", "tasks": tasks}, f, separators=(",", ":"))


def write_ninja(path, graph, argv):
    with open(path, "w") as f:
        f.write(f"rule r\n  command = {' '.join(argv)}\n")
        for name, needs in graph:
            f.write(f"build {name}: r {' '.join(needs)}\n")
        f.write(f"build all: phony {' '.join(name for name, _ in graph)}\ndefault all\n")


def write_make(path, graph, argv):
    names = " ".join(name for name, _ in graph)
    with open(path, "w") as f:
        f.write(f".PHONY: all {names}\nall: {names}\n")
        for name, needs in graph:
            f.write(f"{name}: {' '.join(needs)}\n\t@{' '.join(argv)}\n")
