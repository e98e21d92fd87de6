#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""scripts/lint: each rule lets good code pass, and names the place and the cure of bad code."""
import os
import shutil
import subprocess
import tempfile

import tap

SOURCE = os.environ["WEFT_SOURCE"]
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"


def lint(check, files):
    """Run one check over a tree of `files` (path below src: C text), built as meson would."""
    with tempfile.TemporaryDirectory() as tree:
        for folder in ("scripts", "src/base", "src/core", "build/src", "build/weft.p"):
            os.makedirs(f"{tree}/{folder}")
        shutil.copy(f"{SOURCE}/scripts/lint", f"{tree}/scripts/lint")
        shutil.copy(f"{SOURCE}/src/LAYERS", f"{tree}/src/LAYERS")
        open(f"{tree}/build/compile_commands.json", "w", encoding="utf-8").close()
        for path, text in files.items():
            os.makedirs(os.path.dirname(f"{tree}/src/{path}"), exist_ok=True)
            with open(f"{tree}/src/{path}", "w", encoding="utf-8") as f:
                f.write(SPDX + text)
        for path in files:
            if path.endswith(".c"):
                layer = path.split("/")[0]
                made = (f"src/lib{layer}.a.p/{path.replace('/', '_')}.o" if "/" in path
                        else f"weft.p/src_{path}.o")
                os.makedirs(os.path.dirname(f"{tree}/build/{made}"), exist_ok=True)
                subprocess.run(["cc", "-w", "-O1", "-Isrc", "-c", f"src/{path}", "-o", f"build/{made}"],
                               cwd=tree, check=True)
        done = subprocess.run([f"{tree}/scripts/lint", "build", check], cwd=tree,
                              capture_output=True, text=True)
    return done.returncode, done.stdout


def passes(check, files):
    status, text = lint(check, files)
    tap.equal(status, 0, text)


def refuses(check, files, *words):
    status, text = lint(check, files)
    tap.equal(status, 1, text)
    for word in words:
        tap.contains(text, word)


@tap.case
def layers():
    files = {"base/a.h": "", "core/b.h": '#include "base/a.h"\n', "store/c.h": "",
             "main.c": '#include "store/c.h"\nint x;\n'}
    passes("layers", files)
    # Words in comments are no includes.
    passes("layers", {**files, "core/d.c": '/*\n#include "store/c.h"\n*/\nint core_d;\n'})
    refuses("layers", {**files, "core/d.h": '#include "store/c.h"\n'},
            "src/core/d.h:2: core may not include store/c.h")
    refuses("layers", {**files, "store/sqlite/d.h": '#include "engine/x.h"\n'},
            "src/store/sqlite/d.h:2: store may not include engine/x.h")
    refuses("layers", {**files, "core/d.h": '#include "b.h"\n'}, 'write the include from src/: "core/b.h"')
    refuses("layers", {**files, "new/d.h": '#include "base/a.h"\n'}, "folder new is not in src/LAYERS")


@tap.case
def symbols():
    passes("symbols", {"core/task.h": "", "core/task.c": "int task_move; static int other;\n",
                       "core/task_history.c": "int task_recent;\n",
                       "store/sqlite/rows.c": "int sqlite_open_rows; int rows_n;\n",
                       "main.c": "int main(void) { return 0; }\n"})
    refuses("symbols", {"core/task.c": "int move_task;\n"}, "src/core/task.c", "move_task", "task_...")
    refuses("symbols", {"core/task_history.c": "int task_recent;\n"}, "task_recent")
    refuses("symbols", {"core/rows.c": "int core_rows;\n"}, "core_rows")


@tap.case
def the_core_is_pure():
    base = {"base/str.c": "int str_eq(void) { return 1; }\n",
            "base/file.c": "int file_read(void) { return 1; }\n",
            "base/clock.c": "long clock_utc(void) { return 1; } long clock_text(void) { return 1; }\n"}
    passes("core", {**base, "core/task.c":
                    "int str_eq(void); long clock_text(void); void *memcpy(void *, const void *, unsigned long);"
                    "double pow(double, double);"
                    "double task_x(void *p, double d, unsigned long n)"
                    "{ memcpy(p, &d, n); return str_eq() + clock_text() + pow(d, d); }\n"})
    for name in ("file_read", "clock_utc", "malloc", "time", "open"):
        refuses("core", {**base, "core/task.c": f"int {name}(); int task_x(void) {{ return {name}(1); }}\n"},
                f"src/core/task.c: the core may not use {name}")


@tap.case
def words():
    passes("words", {"core/a.c": '/* strcpy(a, b); time() */\nint a = sizeof "system(x)"; // rand()\n'
                                 "struct s { int (*time)(void); }; int a_f(struct s *s) { return s->time(); }\n"
                                 "int restart_time(void); int a_g(void) { return restart_time(); }\n",
                     "serve/b.c": "long time(long *); long b_now(void) { return time(0); }\n"})
    refuses("words", {"core/a.c": "int atoi(const char *);\nint a_n(char *c) { return 1 + atoi (c); }\n"},
            "src/core/a.c:3: atoi() is not used here; use str_int64()")
    refuses("words", {"core/a.c": "long time(long *);\nlong a_now(void) { return time(0); }\n"}, "a.c:3: time()")
    refuses("words", {"core/a.c": "char a = '\"'; int a_x(void) { return system(0); }\n"}, "a.c:2: system()")


@tap.case
def sql_stays_in_the_store():
    passes("sql", {"store/a.c": 'const char *a = "SELECT 1 FROM task";\n',
                   "cli/b.c": 'const char *b = "UPDATE or select one of them"; /* SELECT x FROM y */\n'})
    for text in ("SELECT id FROM task", "INSERT INTO t VALUES (1)", "UPDATE task SET x = 1", "BEGIN; DELETE FROM t"):
        refuses("sql", {"engine/a.c": f'const char *a = "{text}";\n'}, "src/engine/a.c:2: SQL outside src/store")


@tap.case
def the_licence_is_named():
    passes("spdx", {"core/a.h": ""})
    with tempfile.TemporaryDirectory() as tree:
        os.makedirs(f"{tree}/src")
        os.makedirs(f"{tree}/scripts")
        os.makedirs(f"{tree}/build")
        shutil.copy(f"{SOURCE}/scripts/lint", f"{tree}/scripts/lint")
        for path in ("build/compile_commands.json", "src/a.h"):
            open(f"{tree}/{path}", "w", encoding="utf-8").close()
        done = subprocess.run([f"{tree}/scripts/lint", "build", "spdx"], capture_output=True, text=True)
    tap.equal(done.returncode, 1)
    tap.contains(done.stdout, "src/a.h: does not begin with SPDX")


@tap.case
def a_merge_is_finished():
    passes("markers", {"core/a.h": "/*\n=======\n*/\n"})
    for marker in ("<" * 7 + " HEAD", ">" * 7 + " main"):
        refuses("markers", {"core/a.h": f"int a;\n{marker}\n"}, "src/core/a.h:3: a conflict marker; finish the merge")


tap.main()
