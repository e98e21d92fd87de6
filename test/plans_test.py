#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""No statement reads a whole table that grows with the work: each finds its rows by an index."""
import glob
import os
import re
import sqlite3

import pg
import tap

STORE = os.path.join(os.environ["WEFT_SOURCE"], "src/store")
# Millions of rows after a while; the other tables are as large as what somebody has set up.
LARGE = {"task", "attempt", "event", "dep_group", "dep_edge", "uniqueness", "idempotency",
         "block", "piece", "ended"}
# The doctor reads everything. A queue whose settings of keys or shares change is judged anew, whole.
WHOLE = re.compile(r"doctor_\w+|lane_(fill|judge|level)")


def plan(db, text):
    """The steps that SQLite would take."""
    text = re.sub(r"^--.*\n", "", text, flags=re.M)
    count = max((int(n) for n in re.findall(r"\?(\d+)", text)), default=0)
    return [row[3] for row in db.execute("EXPLAIN QUERY PLAN " + text, [None] * count)]


def tables(text):
    """The tables of a statement by the names that its plan gives them."""
    found = re.findall(r"\b(?:FROM|JOIN|UPDATE|INTO)\s+(\w+)(?:\s+(?:AS\s+)?(?!SET|WHERE|JOIN)(\w+))?", text)
    return {name: table for table, alias in found for name in (table, alias) if name}


def scans(db, text):
    """The large tables that are read from end to end."""
    names = tables(text)
    for step in plan(db, text):
        at = re.fullmatch(r"SCAN (\w+)", step)
        if at and names.get(at[1]) in LARGE:
            yield names[at[1]]


def schema():
    db = sqlite3.connect(":memory:")
    for path in sorted(glob.glob(os.path.join(STORE, "migrate/sqlite/*.sql"))):
        with open(path, encoding="utf-8") as f:
            db.executescript(f.read())
    return db


@tap.case
def every_statement_finds_its_rows_by_an_index():
    db, found = schema(), []
    paths = sorted(glob.glob(os.path.join(STORE, "sqlite/*.sql")))
    tap.equal(len(paths) > 100, True, "where the statements are")
    for path in paths:
        name = os.path.basename(path)[:-4]
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if not WHOLE.fullmatch(name):
            found += [f"{name} reads all of {table}" for table in scans(db, text)]
    tap.equal(found, [], "a statement without an index")


@tap.case
def dead_letters_and_held_tasks_are_found_among_many_others():
    db = schema()
    for name, index in (("queue_dead", "task_dead"), ("queue_dead_lock", "task_dead"), ("queue_held", "task_held")):
        with open(os.path.join(STORE, f"sqlite/{name}.sql"), encoding="utf-8") as f:
            steps = plan(db, f.read())
        tap.equal(any(index in step for step in steps), True, f"{name}: {steps}")


# As src/store/postgres_open.c sets them for a writer.
WRITER = """SET search_path = weft; SET enable_seqscan = off; SET enable_hashjoin = off;
SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan;"""


def postgres_schema():
    """The schema as a migration makes it."""
    text = ("CREATE SCHEMA weft; SET search_path = weft; CREATE TABLE migration"
            " (version BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL);")
    for path in sorted(glob.glob(os.path.join(STORE, "migrate/postgres/*.sql"))):
        with open(path, encoding="utf-8") as f:
            text += f.read() + ";"
    return text


def postgres_plans(paths):
    """A script that explains each statement as it is planned for any values."""
    text = WRITER
    for path in paths:
        with open(path, encoding="utf-8") as f:
            body = re.sub(r"^--.*\n", "", f.read(), flags=re.M).strip()
        count = max((int(n) for n in re.findall(r"\$(\d+)", body)), default=0)
        values = f"({', '.join(['NULL'] * count)})" if count else ""
        text += (f"SELECT 'statement {os.path.basename(path)[:-4]}'; PREPARE s AS {body};"
                 f" EXPLAIN (COSTS OFF) EXECUTE s{values}; DEALLOCATE s;")
    return text


def whole_tables(lines):
    """The large tables that are read from end to end, with the statement's name."""
    name = ""
    for line in lines:
        name = line.removeprefix("statement ") if line.startswith("statement ") else name
        at = re.search(r"Seq Scan on (\w+)", line)
        if at and at[1] in LARGE and not WHOLE.fullmatch(name):
            yield f"{name} reads all of {at[1]}"


@tap.case
def a_plan_for_any_values_finds_its_rows_by_an_index_on_postgres():
    server = os.environ.get("WEFT_TEST_POSTGRES")
    if not server:
        raise tap.Skip("there is no Postgres server to test with")
    paths = sorted(glob.glob(os.path.join(STORE, "postgres/*.sql")))
    tap.equal(len(paths) > 100, True, "where the statements are")
    with pg.database(server) as url:
        pg.psql(url, postgres_schema())
        lines = pg.psql(url, postgres_plans(paths))
    tap.equal(sum(line.startswith("statement ") for line in lines), len(paths), "all were explained")
    tap.equal(list(whole_tables(lines)), [], "a statement without an index")


tap.main()
