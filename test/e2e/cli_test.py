#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command line without a store: help, completion, usage errors, check and graph."""
import json
import os
import re
import shutil
import subprocess
import tempfile

import tap

WEFT = os.environ["WEFT"]

GOOD = """weft: 1
name: etl
tasks:
  extract: {run: [echo, hi]}
  load: {run: [echo, hi], needs: [extract]}
"""


def weft(*args, stdin=b"", cwd=None, env=None):
    """Run weft; what it prints is text."""
    if isinstance(stdin, str):
        stdin = stdin.encode()
    done = subprocess.run([WEFT, *args], input=stdin, capture_output=True, cwd=cwd, timeout=60,
                          env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})})
    done.out = done.stdout.decode()
    done.err = done.stderr.decode()
    return done


def ok(*args, **kw):
    done = weft(*args, **kw)
    tap.equal((done.returncode, done.err), (0, ""), " ".join(args))
    return done.out


def refused(status, *args, **kw):
    """The sentence of a refusal; nothing may stand on stdout."""
    done = weft(*args, **kw)
    tap.equal((done.returncode, done.out), (status, ""), " ".join(args))
    tap.equal(done.err.count("\n"), 1, "lines on stderr")
    return done.err


class Folder(tempfile.TemporaryDirectory):
    """A temporary folder with files."""

    def __init__(self, **files):
        super().__init__()
        for name, text in files.items():
            self.write(name.replace("__", "/").replace("_", "."), text)

    def path(self, name):
        return os.path.join(self.name, name)

    def write(self, name, text):
        os.makedirs(os.path.dirname(self.path(name)), exist_ok=True)
        with open(self.path(name), "wb") as f:
            f.write(text.encode() if isinstance(text, str) else text)
        return self.path(name)


def commands():
    """All commands, as the help lists them."""
    return re.findall(r"^  ([a-z]+(?: [a-z]+)?)(?= [A-Z\[]| {2,})", ok("--help"), re.M)


@tap.case
def help_names_every_command_and_each_explains_itself():
    found = commands()
    for wanted in ("run", "check", "graph", "runs list", "runs logs", "task why", "workflows put",
                   "doctor", "status", "completion", "help", "version", "why"):
        tap.contains(found, wanted)
    for command in found:
        out = ok(*command.split(), "--help")
        tap.equal(out, ok("help", *command.split()), command)
        tap.contains(out, f"Usage: weft {command}")
    tap.contains(ok("runs", "--help"), "weft help runs COMMAND")
    tap.contains(refused(2, "help", "nonsense"), "nonsense")


@tap.case
def help_fits_on_a_terminal_of_a_hundred_columns():
    for command in [[]] + [c.split() for c in commands()]:
        for line in ok(*command, "--help").splitlines():
            assert len(line) <= 100, line


@tap.case
def without_a_command_help_goes_to_stderr():
    done = weft()
    tap.equal((done.returncode, done.out), (2, ""))
    tap.equal(done.err, ok("--help"))


@tap.case
def versions_agree():
    tap.equal(ok("--version"), ok("version"))
    tap.equal(ok("version"), f"weft {json.loads(ok('version', '-o', 'json'))['version']}\n")


@tap.case
def the_manual_page_has_no_mistakes():
    page = ok("help", "--man")
    for command in commands():
        tap.contains(page, f'.SS "weft {command} ')
    if not shutil.which("groff"):
        raise tap.Skip("groff is not installed")
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-k"], input=page.encode(),
                          capture_output=True, check=True)
    tap.equal(done.stderr.decode(), "")


COMPLETE = r"""
source "$1"
compopt() { :; }
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_weft
printf '%s\n' "${COMPREPLY[@]}"
"""


@tap.case
def bash_completes():
    with Folder(a_yaml=GOOD) as folder:
        script = os.path.join(folder, "weft.bash")
        with open(script, "w", encoding="utf-8") as f:
            f.write(ok("completion", "bash"))

        def complete(*words):
            done = subprocess.run(["bash", "-c", COMPLETE, "bash", script, "weft", *words],
                                  capture_output=True, text=True, cwd=folder, check=True)
            tap.equal(done.stderr, "")
            return done.stdout.split()

        tap.equal(complete("ru"), ["run", "runs"])
        tap.equal(complete("runs", "lo"), ["logs"])
        tap.equal(complete("-o", "js"), ["json", "jsonl"])
        tap.equal(sorted(complete("--data", "x", "task", "")), ["requeue", "show", "why"])
        tap.equal(complete("graph", "--format", ""), ["mermaid", "dot"])
        tap.equal(complete("check", "a"), ["a.yaml"])
        tap.contains(complete("runs", "logs", "12", "--"), "--attempt")
        tap.equal(complete("completion", "z"), ["zsh"])


@tap.case
def zsh_and_fish_get_scripts_that_parse():
    missing = []
    for shell, check in (("zsh", "-n"), ("fish", "--no-execute")):
        script = ok("completion", shell)
        for command in commands():
            tap.contains(script, command.split()[-1], shell)
        if not shutil.which(shell):
            missing.append(shell)
            continue
        with tempfile.NamedTemporaryFile("w", suffix=shell) as f:
            f.write(script)
            f.flush()
            subprocess.run([shell, check, f.name], check=True)
    if missing:
        raise tap.Skip(f"{' and '.join(missing)} are not installed, only looked at")


@tap.case
def wrong_usage_ends_with_2_and_one_sentence():
    for args, part in (
            (["rnu", "x"], 'did you mean "weft run"?'),
            (["runs", "lsit"], 'did you mean "weft runs list"?'),
            (["run"], "weft run needs FILE"),
            (["run", "x", "--job", "4"], "did you mean --jobs?"),
            (["run", "x", "-j", "-1"], "--jobs is a whole number from 1 to 4096"),
            (["status", "-o", "xml"], "--output is table, json or jsonl"),
            (["runs", "show", "1;rm"], "is no id of a run"),
            (["runs"], "weft runs needs one of"),
            (["check"], "weft check needs FILE"),
            (["version", "x"], "takes no argument"),
            (["a\n\x1b[31mb"], "\\n\\u001b[31mb")):
        sentence = refused(2, *args)
        tap.contains(sentence, part)
        assert re.fullmatch(r"weft: .* \[invalid_argument\]\n", sentence), sentence


@tap.case
def errors_are_objects_under_json():
    for args in (["run", "-ojson"], ["-o", "json", "nonsense"],
                 ["graph", "/none", "--output=jsonl"]):
        problem = json.loads(refused(2, *args))
        tap.equal(sorted(problem), ["code", "detail", "title", "type"])
        tap.equal(problem["code"], "invalid_argument")
        tap.equal(problem["type"], "urn:weft:problem:invalid_argument")


@tap.case
def options_stand_anywhere():
    with Folder(a_yaml=GOOD) as folder:
        path = os.path.join(folder, "a.yaml")
        for args in (["graph", path, "--format", "dot"], ["--format=dot", "graph", path],
                     ["graph", "--format", "dot", "--", path]):
            tap.contains(ok(*args), "digraph")
        os.rename(path, os.path.join(folder, "-q"))
        tap.equal(ok("check", "--", "-q", cwd=folder), "-q: ok, workflow etl, 2 tasks\n")


@tap.case
def check_names_all_errors_of_all_files():
    with Folder(good_yaml=GOOD,
                bad_yaml="weft: 1\ntasks:\n  a: {run: [x], needs: [b]}\n  c: {rnu: [x]}\n",
                empty_yaml="", nul_yaml=b"weft: 1\0", latin_yaml=b"weft: 1\nname: gr\xf6\xdfe\n",
                good_json='{"weft": 1, "tasks": {"a": {"run": ["x"]}}}') as name:
        done = weft("check", "good.yaml", "bad.yaml", "empty.yaml", "nul.yaml", "latin.yaml",
                    "none.yaml",
                    "good.json", cwd=name)
        lines = done.out.splitlines()
        tap.equal((done.returncode, done.err), (2, ""))
        tap.equal(lines[0], "good.yaml: ok, workflow etl, 2 tasks")
        tap.equal(lines[-1], "good.json: ok, workflow good, 1 task")
        tap.equal(lines[-2], "none.yaml: there is no such file")
        for wanted in ("bad.yaml:3:", "bad.yaml:4:", "empty.yaml:1:1: ", "nul.yaml:1:8: ",
                       "latin.yaml:2:9: "):
            assert any(line.startswith(wanted) for line in lines), (wanted, lines)
        tap.equal(ok("check", "good.yaml", "-q", cwd=name), "")

        report = json.loads(weft("check", "good.yaml", "bad.yaml", "-o", "json", cwd=name).out)
        tap.equal(report["ok"], False)
        tap.equal([(f["file"], f["ok"], f["tasks"]) for f in report["files"]],
                  [("good.yaml", True, 2), ("bad.yaml", False, None)])
        errors = report["files"][1]["errors"]
        tap.equal([e["line"] for e in errors], [3, 4, 4])
        tap.equal([sorted(e) for e in errors], [["column", "detail", "line"]] * 3)
        rows = weft("check", "good.yaml", "bad.yaml", "-o", "jsonl", cwd=name).out.splitlines()
        tap.equal([json.loads(r)["ok"] for r in rows], [True, False])


@tap.case
def check_finds_the_workflows_of_a_folder():
    with Folder(b_yaml=GOOD, sub__a_yml=GOOD,
                sub__c_json='{"weft": 1, "tasks": {"a": {"run": ["x"]}}}',
                other_yaml="services: {}\n", broken_yaml="weft: 1\ntasks: [\n",
                notes_txt="weft: 1\n",
                _hidden__x_yaml=GOOD) as name:
        os.symlink(name, os.path.join(name, "loop"))
        done = weft("check", name)
        found = [line.split(":")[0][len(name) + 1:] for line in done.out.splitlines()]
        tap.equal(found, ["b.yaml", "broken.yaml", "sub/a.yml", "sub/c.json"])
        tap.equal(done.returncode, 2)
        os.makedirs(os.path.join(name, "none"))
        tap.contains(refused(2, "check", os.path.join(name, "none")), "no workflow file below")


@tap.case
def check_reads_stdin():
    tap.equal(ok("check", "-", stdin=GOOD), "stdin: ok, workflow etl, 2 tasks\n")
    tap.equal(ok("check", "-", stdin='{"weft": 1, "tasks": {"a": {"run": ["x"]}}}'),
              "stdin: ok, workflow stdin, 1 task\n")
    tap.contains(weft("check", "-", stdin="weft: 1\ntasks: {a: {}}\n").out, "stdin:2:9: ")


@tap.case
def a_plan_that_is_refused_is_told_in_words_of_its_file():
    with Folder() as name:
        tap.equal(ok("runs", "create", "nightly", cwd=name), "1\n")
        for text, said in (
                ("stages: [{name: a, typ: b}]", 'weft: stages[0] takes no "typ"; is type meant? ['),
                ("hello", "weft: stdin: it is a map with the lists `checks` and `stages`, one or both ["),
                ("stages: []", "weft: a write has one check or stage at least ["),
                ("stages: [{name: \"a\\nb\"}]", 'weft: "a\\nb" is no name, which has 1 to 200 bytes'),
                ("checks: [", "weft: stdin:")):
            tap.equal(refused(2, "runs", "write", "1", "-", stdin=text, cwd=name)[:len(said)], said)
        tap.contains(ok("runs", "write", "1", "-", stdin="checks: [{name: a}]", cwd=name), "READY  WAITING")


@tap.case
def a_file_that_is_too_large_is_refused_unread():
    with Folder() as name:
        path = os.path.join(name, "big.yaml")
        with open(path, "wb") as f:
            f.truncate(100_000_000)
        for command in ("check", "graph", "run"):
            done = weft(command, path)
            tap.equal(done.returncode, 2)
            tap.contains(done.out + done.err, "too large: at most 64 MiB")


HOSTILE = ["a\"b'c", "$(touch x)", "`x`", "]] --> t9[evil", "<script>alert(1)<script>", "#quot;",
           "end", "%% no comment", "a\\", "a\\\"; t9 [label=x];", "数据 🙂", "; drop table", "\u00a0"]


@tap.case
def hostile_names_stay_names():
    tasks = {name: {"run": ["true"]} for name in HOSTILE}
    tasks["last"] = {"run": ["true"], "needs": [{"one_done": HOSTILE}]}
    text = json.dumps({"weft": 1, "name": HOSTILE[0] + HOSTILE[4], "tasks": tasks})
    ok("check", "-", stdin=text)
    mermaid = ok("graph", "-", stdin=text)
    body = mermaid.split("flowchart LR\n")[1]
    # Whatever the names hold, nothing but numbered nodes with quoted labels and arrows comes out.
    plain = r'(#\d+;|[A-Za-z0-9 _.,-]|[^\x00-\x7f])*'
    for line in body.splitlines():
        assert re.fullmatch(rf'    (t\d+\["{plain}"\]|g\d+\{{\{{"{plain}"\}}\}}|'
                            rf'[tg]\d+ -->(\|"{plain}"\|)? [tg]\d+)',
                            line), line
    dot = ok("graph", "-", "--format", "dot", stdin=text)
    quoted = r'"([^"\\\n]|\\.)*"'
    for line in dot.splitlines()[3:-1]:
        assert re.fullmatch(rf'    [tg]\d+( -> [tg]\d+)?( \[(shape=hexagon, )?label={quoted}\])?;',
                            line), line
    tap.equal(dot.count(" -> "), len(tasks))
    if shutil.which("dot"):
        subprocess.run(["dot", "-Tsvg"], input=dot.encode(), capture_output=True, check=True)


@tap.case
def what_a_terminal_would_act_on_is_escaped():
    for name in ("line\nbreak", "\x1b[2J", "\u202egnp.exe", "\x9b2J"):
        text = json.dumps({"weft": 1, "tasks": {name: {"run": ["true"], "no\x1bkey": 1}}})
        for done in (weft("check", "-", stdin=text), weft("graph", "-", stdin=text),
                     weft("check", "-", "-o", "json", stdin=text)):
            shown = (done.out + done.err).replace("\n", "")
            assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", shown), shown


@tap.case
def graph_names_the_rules_of_groups():
    text = """weft: 1
tasks:
  a: {run: [x]}
  b: {run: [x]}
  c: {run: [x], needs: [a, {at_least: 1, of: [a, b]}, {all_done: [b]}]}
"""
    out = ok("graph", "-", stdin=text)
    for part in ('{{"at least 1 of 2"}}', '-->|"all_done"| t2', "t0 --> t2"):
        tap.contains(out, part)
    drawn = json.loads(ok("graph", "-", "-o", "json", stdin=text))
    tap.equal((drawn["workflow"], drawn["format"], drawn["text"]), ("stdin", "mermaid", out))
    problem = json.loads(refused(2, "graph", "-", "-o", "json", stdin="weft: 1\ntasks: {a: {}}\n"))
    tap.equal(problem["code"], "workflow_invalid")
    tap.equal(problem["errors"][0]["line"], 2)


@tap.case
def a_reader_that_goes_away_is_no_error():
    with Folder(a_yaml=GOOD) as name:
        files = " ".join(["a.yaml"] * 5000)
        script = f"'{WEFT}' check {files} | head -n 1; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", script], cwd=name, capture_output=True, text=True,
                              check=True)
        tap.equal(done.stdout, "a.yaml: ok, workflow etl, 2 tasks\n0\n")
        tap.equal(done.stderr, "")


@tap.case
def a_full_disk_is_an_error():
    with open("/dev/full", "wb") as full:
        done = subprocess.run([WEFT, "--help"], stdout=full, stderr=subprocess.PIPE, check=False)
    tap.equal(done.returncode, 1)
    tap.equal(done.stderr.decode(),
              "weft: the output cannot be written: No space left on device [internal]\n")


@tap.case
def closed_standard_descriptors_do_no_harm():
    done = subprocess.run(["bash", "-c", f"'{WEFT}' --version <&- >&- 2>&-"], check=False)
    tap.equal(done.returncode, 0)


tap.main()
