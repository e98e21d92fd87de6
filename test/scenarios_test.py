#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/scenarios: the table of the scenarios cannot promise more than ran green."""
import os
import subprocess
import tempfile

import tap

SOURCE = os.environ["WEFT_SOURCE"]
COUNTS = {"A": 132, "B": 109, "C": 88, "D": 59, "E": 47}
FILE = "test/scenarios_test.py"


def table(**changes):
    """All rows, open; `changes` replaces rows by id (A_01) with a text, or drops them with None."""
    rows = {f"{letter}_{n:02}": f"{letter}-{n:02}\t-\tlater"
            for letter, count in COUNTS.items() for n in range(1, count + 1)}
    rows.update(changes)
    return "".join(f"{row}\n" for row in rows.values() if row is not None)


def scars(**changes):
    """Likewise, of the scars."""
    rows = {f"scar_{n:02}": f"scar_{n:02}\t-\tlater" for n in range(1, 35)}
    rows.update(changes)
    return "".join(f"{row}\n" for row in rows.values() if row is not None)


def judge(text, results=f"{FILE}:green\tpassed\t\n", scars_text=None):
    with tempfile.TemporaryDirectory() as folder:
        for name, content in (("results", results), ("table", text),
                              ("scars", scars_text or scars())):
            with open(f"{folder}/{name}", "w", encoding="utf-8") as f:
                f.write(content)
        return subprocess.run([f"{SOURCE}/scripts/scenarios",
                               *(f"{folder}/{name}" for name in ("results", "table", "scars"))],
                              cwd=SOURCE, capture_output=True, text=True)


@tap.case
def sums_count_green_rows():
    done = judge(table(A_01=f"A-01\t{FILE}:green\t", B_02=f"B-02\t{FILE}:green\ton both stores"))
    tap.equal((done.returncode, done.stderr), (0, ""))
    for line in ("A: 1 of 132 shown, 131 open", "B: 1 of 109 shown, 108 open",
                 "2 of 435 scenarios are shown by a green test"):
        tap.contains(done.stdout, line)


@tap.case
def what_was_not_green_is_refused():
    rows = {
        "failed": f"{FILE}:red failed",
        "skipped": f"{FILE}:grey was skipped: no server",
        "unknown": f"{FILE}:unknown did not run",
    }
    names = {"failed": f"{FILE}:red", "skipped": f"{FILE}:grey", "unknown": f"{FILE}:unknown"}
    results = f"{FILE}:red\tfailed\t\n{FILE}:grey\tskipped\tno server\n"
    for kind, words in rows.items():
        done = judge(table(A_07=f"A-07\t{names[kind]}\t"), results)
        tap.equal(done.returncode, 1, kind)
        tap.contains(done.stderr, f"A-07: {words}")
    done = judge(table(A_07="A-07\ttest/gone_test.py:x\t"))
    tap.contains(done.stderr, "there is no test/gone_test.py")
    # One case, run twice, is as good as its worst run.
    done = judge(table(A_07=f"A-07\t{FILE}:twice\t"),
                 f"{FILE}:twice\tpassed\t\n{FILE}:twice\tfailed\t\n{FILE}:twice\tpassed\t\n")
    tap.contains(done.stderr, f"A-07: {FILE}:twice failed")


@tap.case
def a_table_of_another_form_is_refused():
    for change, words in (
        ({"C_88": None}, "C-88 is missing"),
        ({"C_88": "C-89\t-\tlater"}, "'C-89' is not in the catalogue"),
        ({"C_88": "F-01\t-\tlater"}, "'F-01' is not in the catalogue"),
        ({"C_88": "C-87\t-\tlater"}, "C-87 stands there twice"),
        ({"C_88": "C-88\t-\t"}, "has no test and does not say why"),
        ({"C_88": "C-88 - later"}, "1 columns"),
    ):
        done = judge(table(**change))
        tap.equal(done.returncode, 1, words)
        tap.contains(done.stderr, words)


@tap.case
def a_scar_may_have_several_tests_and_needs_all_of_them():
    two = f"scar_03\t{FILE}:green\t\nscar_03\t{FILE}:%s\ton Postgres"
    results = f"{FILE}:green\tpassed\t\n{FILE}:red\tfailed\t\n"
    done = judge(table(), scars_text=scars(scar_03=two % "green"))
    tap.equal((done.returncode, done.stderr), (0, ""))
    tap.contains(done.stdout, "1 of 34 scars are shown by green tests, 33 wait")
    done = judge(table(), results, scars(scar_03=two % "red"))
    tap.equal(done.returncode, 1)
    tap.contains(done.stderr, f"scar_03: {FILE}:red failed")
    tap.contains(done.stdout, "0 of 34 scars")
    for change, words in (
        ({"scar_34": None}, "scar_34 is missing"),
        ({"scar_34": "scar_34\t-\tlater\nscar_35\t-\tlater"}, "'scar_35' is not in the catalogue"),
        ({"scar_34": "scar_34\t-\t"}, "has no test and does not say why"),
        ({"scar_34": f"scar_34\t-\tlater\nscar_34\t{FILE}:green\t"}, "scar_34 waits, and has a test"),
        ({"scar_34": "scar_34 - later"}, "1 columns"),
    ):
        done = judge(table(), scars_text=scars(**change))
        tap.equal(done.returncode, 1, words)
        tap.contains(done.stderr, words)


@tap.case
def the_tables_of_this_repository_have_their_form():
    with open(f"{SOURCE}/test/scenarios.tsv", encoding="utf-8") as f:
        text = f.read()
    with open(f"{SOURCE}/test/scars.tsv", encoding="utf-8") as f:
        scars_text = f.read()
    names = {row.split("\t")[1] for row in (text + scars_text).splitlines()} - {"-"}
    done = judge(text, "".join(f"{name}\tpassed\t\n" for name in names), scars_text)
    tap.equal((done.returncode, done.stderr), (0, ""))
    tap.equal(sorted(n for n in names if not os.path.exists(f"{SOURCE}/{n.partition(':')[0]}")), [],
              "tests in files that do not exist")


tap.main()
