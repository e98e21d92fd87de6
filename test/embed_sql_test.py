#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/embed-sql: what it refuses, and that C gets the statements as they stand in the files."""
import os
import subprocess
import tempfile

import tap

SCRIPT = os.path.join(os.environ["WEFT_SOURCE"], "scripts", "embed-sql")

PRINT_ALL = r"""
#include "store/statements.h"
#include <stdio.h>
int main(void)
{
    for (int i = 0; i < STMT_N; i++)
        printf("%s|%d|%s", statements_postgres[i].name, statements_postgres[i].many,
               statements_postgres[i].text);
    for (size_t i = 0; i < migrations_sqlite_n; i++)
        printf("%d|%s|%s", migrations_sqlite[i].version, migrations_sqlite[i].name,
               migrations_sqlite[i].text);
    printf("%d %d\n", STMT_add_task, STMT_list_tasks);
    printf("rowid %d %d\n", statements_sqlite[STMT_add_task].rowid,
           statements_sqlite[STMT_list_tasks].rowid);
}
"""


def embed(folder, files):
    """Write `files` below folder/in and run the script over it, into folder/store."""
    os.makedirs(f"{folder}/store")
    for path, text in files.items():
        path = f"{folder}/in/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    return subprocess.run(
        [SCRIPT, f"{folder}/in", "store/statements.h", "store/statements.c", "store/statements.d"],
        cwd=folder, capture_output=True, text=True)


def refusal(files):
    with tempfile.TemporaryDirectory() as folder:
        done = embed(folder, files)
    tap.equal(done.returncode, 1, "exit status")
    return done.stderr


@tap.case
def c_gets_what_stands_in_the_files():
    odd = 'SELECT \'"\\n%s??/\', "ü"\n  FROM task -- all\n'
    with tempfile.TemporaryDirectory() as folder:
        done = embed(folder, {
            "sqlite/list_tasks.sql": "-- many\n-- rowid\nINSERT\n",
            "postgres/list_tasks.sql": "-- many\n-- Answers with names.\n\n" + odd,
            "sqlite/add_task.sql": "INSERT",
            "postgres/add_task.sql": "INSERT",
            "migrate/sqlite/0001_first.sql": "CREATE TABLE t(a);\n",
            "migrate/postgres/0001_first.sql": "CREATE TABLE t(a);\n",
        })
        tap.equal((done.returncode, done.stderr), (0, ""))
        with open(f"{folder}/print.c", "w", encoding="utf-8") as f:
            f.write(PRINT_ALL)
        subprocess.run(["cc", "-Wall", "-Werror", "-I.", "-o", "print", "print.c",
                        "store/statements.c"], cwd=folder, check=True)
        out = subprocess.run(["./print"], cwd=folder, capture_output=True, text=True, check=True)
    tap.equal(out.stdout, "add_task|0|INSERT\nlist_tasks|1|" + odd +
              "1|first|CREATE TABLE t(a);\n0 1\nrowid 0 1\n")


@tap.case
def the_depfile_names_files_and_folders():
    with tempfile.TemporaryDirectory() as folder:
        embed(folder, {"sqlite/a.sql": "SELECT 1", "postgres/a.sql": "SELECT 1"})
        with open(f"{folder}/store/statements.d", encoding="utf-8") as f:
            target, _, needs = f.read().partition(": ")
        tap.equal(target, "store/statements.h")
        wanted = ["", "/postgres", "/postgres/a.sql", "/sqlite", "/sqlite/a.sql"]
        tap.equal(sorted(needs.split()), [f"{folder}/in{w}" for w in wanted])


@tap.case
def a_statement_of_one_store_is_refused_by_name():
    tap.contains(refusal({"sqlite/a.sql": "SELECT 1"}), "sqlite/a.sql has no partner")
    tap.contains(refusal({"postgres/b.sql": "SELECT 1"}), "postgres/b.sql has no partner")


@tap.case
def what_is_no_statement_is_refused():
    both = ("sqlite", "postgres")
    tap.contains(refusal({f"{s}/a.sql": "-- many\n\n" for s in both}), "holds no statement")
    tap.contains(refusal({f"{s}/a.sql": "SELECT '\0'" for s in both}), "NUL")
    tap.contains(refusal({f"{s}/a-b.sql": "SELECT 1" for s in both}), "part of an enum")
    tap.contains(refusal({"sqlite/a.sql": "-- many\nSELECT 1", "postgres/a.sql": "SELECT 1"}),
                 "`-- many` on one store only")


@tap.case
def migrations_have_no_gap_and_the_same_names():
    tap.contains(refusal({"migrate/sqlite/0002_x.sql": ";"}), "number 0001")
    tap.contains(refusal({"migrate/sqlite/1_x.sql": ";"}), "NNNN_name.sql")
    tap.contains(refusal({"migrate/sqlite/0001_x.sql": ";", "migrate/postgres/0001_y.sql": ";"}),
                 "one store's folder only")


tap.main()
