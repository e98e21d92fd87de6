#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test/run: how it counts what test programs print, and how it treats those that misbehave."""
import contextlib
import glob
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
import tempfile
import time

import tap

SOURCE = os.environ["WEFT_SOURCE"]


def load_runner():
    path = f"{SOURCE}/test/run"
    loader = importlib.machinery.SourceFileLoader("runner", path)
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("runner", loader))
    loader.exec_module(module)
    return module


runner = load_runner()


def cases(text, exit_status=0, ended=None):
    return [(c.name, c.status, c.remark) for c in runner.read_cases(text, exit_status, ended)]


CMOCKA = """[==========] Running 4 test(s).
[ RUN      ] one
[       OK ] one
[ RUN      ] two
[  ERROR   ] --- 0x1 != 0x2
[  FAILED  ] two
[ RUN      ] three
no server here
[  SKIPPED ] three
[ RUN      ] four
some words without an end[       OK ] four
[==========] 4 test(s) run.
[  SKIPPED ] 1 test(s), listed below:
[  SKIPPED ] three
[  FAILED  ] 1 test(s), listed below:
[  FAILED  ] two
"""


@tap.case
def cmocka_cases_are_counted_once():
    tap.equal(cases(CMOCKA, 1), [("one", "passed", ""), ("two", "failed", ""),
                                 ("three", "skipped", "no server here"), ("four", "passed", "")])


@tap.case
def a_program_that_dies_fails_the_case_it_was_in():
    text = "[==========] Running 2 test(s).\n[ RUN      ] one\n[       OK ] one\n[ RUN      ] two\n"
    tap.equal(cases(text, -6)[1][:2], ("two", "failed"))


@tap.case
def a_program_that_fails_outside_its_cases_fails():
    good = "[==========] Running 1 test(s).\n[ RUN      ] one\n[       OK ] one\n"
    tap.equal(cases(good, 1)[1], ("(program)", "failed", "the program ended with status 1"))
    tap.equal(cases(good, -11)[1], ("(program)", "failed", "the program ended with signal 11"))
    tap.equal(cases(good, 0, "it took too long")[1], ("(program)", "failed", "it took too long"))
    tap.equal(cases("")[0], ("(program)", "failed", "the program printed no result"))


@tap.case
def tap_is_read():
    text = "1..4\nok 1 one\n# words\nnot ok 2 - two\nok 3 three # SKIP no server\nok 4 # skip\n"
    tap.equal(cases(text, 1), [("one", "passed", ""), ("two", "failed", ""),
                               ("three", "skipped", "no server"), ("4", "skipped", "")])
    tap.equal(cases("1..0 # SKIP no Postgres"), [("(all)", "skipped", "no Postgres")])
    tap.equal(cases("1..2\nok 1 one\n")[1], ("(program)", "failed", "2 cases were planned, 1 ran"))
    tap.equal(cases("Bail out! no store\n")[0], ("(program)", "failed", "Bail out! no store"))


def run(argv, seconds):
    test = runner.Test({"name": "x", "cmd": argv, "env": {}, "timeout": seconds, "is_parallel": True})
    with tempfile.TemporaryDirectory() as folder:
        return runner.run_test(test, f"{folder}/log", dict(os.environ), 1)


def processes(command):
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        with contextlib.suppress(OSError), open(path, encoding="utf-8", errors="replace") as f:
            if f.read().strip("\0").replace("\0", " ") == command:
                found.append(path)
    return found


@tap.case
def a_test_over_its_time_is_ended_with_its_children():
    marker = f"86{os.getpid()}.25"
    begun = time.monotonic()
    found, _ = run(["sh", "-c", f"echo ok 1 one; trap '' TERM; sleep {marker} & wait; wait"], 0.3)
    tap.equal([(c.name, c.status) for c in found], [("one", "passed"), ("(program)", "failed")])
    assert time.monotonic() - begun < 10
    tap.equal(processes(f"sleep {marker}"), [], "a child lives on")


@tap.case
def what_a_test_used_is_measured():
    # most memory of any of its processes, and the files that it holds open
    script = ("import subprocess, sys, time; files = [open('/dev/null') for _ in range(40)]; "
              "subprocess.run([sys.executable, '-c', 'x = bytes(1) * (80 << 20)']); "
              "time.sleep(1); print('1..1'); print('ok 1 one')")
    found, used = run([sys.executable, "-c", script], 60)
    tap.equal([(c.name, c.status) for c in found], [("one", "passed")])
    assert 80 << 10 <= used.memory_kib < 400 << 10, used
    assert 43 <= used.files < 60 and used.seconds >= 1, used
    with tempfile.TemporaryDirectory() as folder:
        runner.save_resources(f"{folder}/used", {"b": used, "a": runner.Used(0.5, 2048, 3)}, True)
        with open(f"{folder}/used", encoding="utf-8") as f:
            tap.equal(f.readline(), "a\t0.5\t2048\t3\n")


@tap.case
def results_of_other_files_are_kept_by_a_partial_run():
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/results"
        good = runner.Case("one", "passed", "")
        bad = runner.Case("one", "failed", "a\tb")
        runner.save_results(path, [("a.c", good), ("b.c", good)], {"a.c", "b.c"}, everything=True)
        runner.save_results(path, [("b.c", bad)], {"b.c"}, everything=False)
        with open(path, encoding="utf-8") as f:
            tap.equal(f.read(), "a.c:one\tpassed\t\nb.c:one\tfailed\ta b\n")
        runner.save_results(path, [("b.c", good)], {"b.c"}, everything=True)
        with open(path, encoding="utf-8") as f:
            tap.equal(f.read(), "b.c:one\tpassed\t\n")


@tap.case
def parts_are_chosen_and_postgres_may_be_missing():
    # C-86, C-88: a part of a name chooses; what needs a server is skipped, and says why
    build = os.environ["WEFT_BUILD"]
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        for entry in os.listdir(build):
            if not entry.startswith("test-"):
                os.symlink(os.path.join(build, entry), os.path.join(folder, entry))
        command = [os.path.join(os.environ["WEFT_SOURCE"], "test", "run"), "--build", folder,
                   "--no-postgres", "core/retry_test", "engine/duty_test"]
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        tap.equal(done.returncode, 0, done.stdout + done.stderr)
        with open(os.path.join(folder, "test-results.tsv"), encoding="utf-8") as f:
            rows = [line.rstrip("\n").split("\t") for line in f]
    tap.equal({name.split(":")[0] for name, _, _ in rows},
              {"src/core/retry_test.c", "src/engine/duty_test.c"})
    skipped = {name: remark for name, status, remark in rows if status == "skipped"}
    tap.equal(sorted(skipped), sorted(n for n, _, _ in rows if n.endswith("_postgres")))
    tap.equal(bool(skipped) and all("WEFT_TEST_POSTGRES" in r for r in skipped.values()), True, skipped)
    passed = sum(status == "passed" for _, status, _ in rows)
    tap.contains(done.stdout, f"\n{passed} passed, 0 failed, {len(skipped)} skipped\n")


@tap.case
def tests_are_listed_by_kind():
    # C-86: units beside their code, e2e, chaos and load tests by their names
    command = [os.path.join(os.environ["WEFT_SOURCE"], "test", "run"), "--build", os.environ["WEFT_BUILD"]]

    def listed(*parts):
        done = subprocess.run([*command, "--list", *parts], capture_output=True, text=True, check=False)
        return done.returncode, [line.split("\t")[0] for line in done.stdout.splitlines()]

    status, every = listed()
    tap.equal((status, every), (0, sorted(set(every))))
    for part in ("src/core/", "test/e2e/", "chaos", "load", "fuzz/"):
        status, some = listed(part)
        tap.equal((status, bool(some)), (0, True), part)
        tap.equal(some, [name for name in every if part in name])
    tap.equal(listed("no such test"), (1, []))


tap.main()
