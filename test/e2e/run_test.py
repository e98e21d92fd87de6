#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs as a user sees them: their lines, their JSON, the picture on a terminal, what one can ask
about them, and how they are cancelled, retried and resumed."""
import datetime
import json
import os
import re
import signal
import subprocess
import tempfile
import time

import tap
import terminal
from world import span

WEFT = os.environ["WEFT"]
SECONDS_MAX = 60


class World(tempfile.TemporaryDirectory):
    """A folder with workflow files and a store of its own."""

    def __init__(self):
        super().__init__()
        self.store = os.path.join(self.name, "data")
        self.env = {**os.environ, "WEFT_DATA": self.store, "LC_ALL": "C.UTF-8"}
        self.env.pop("NO_COLOR", None)
        self.env.pop("WEFT_STORE", None)

    def __enter__(self):
        return self

    def write(self, name, text):
        path = os.path.join(self.name, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text if isinstance(text, str) else json.dumps(text))
        return path

    def read(self, name):
        with open(os.path.join(self.name, name), encoding="utf-8") as f:
            return f.read()

    def workflow(self, tasks, **more):
        return self.write("flow.json", {"weft": 1, "name": "flow", "tasks": tasks, **more})

    def start(self, *args, **kw):
        return subprocess.Popen([WEFT, *args], cwd=self.name, env=self.env, text=True,
                                stdin=subprocess.DEVNULL, **kw)

    def weft(self, *args, stdin=None, status=0):
        done = subprocess.run([WEFT, *args], cwd=self.name, env=self.env, input=stdin or "",
                              text=True,
                              capture_output=True, timeout=SECONDS_MAX, check=False)
        tap.equal(done.returncode, status, f"{args}: {done.stdout}{done.stderr}")
        return done

    def json(self, *args, status=0):
        done = self.weft(*args, "-o", "json", status=status)
        return json.loads(done.stdout)

    def wait_for(self, what):
        """Look at the newest run until `what` holds of it; its id."""
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline:
            done = subprocess.run([WEFT, "runs", "list", "-n", "1", "-o", "jsonl"], cwd=self.name,
                                  env=self.env,
                                  text=True, capture_output=True, check=False)
            if done.returncode == 0 and done.stdout and what(json.loads(done.stdout)):
                return json.loads(done.stdout)["id"]
            time.sleep(0.05)
        raise AssertionError("it did not come to pass")


def sh(script, **more):
    return {"sh": script, **more}


def gone(pid):
    """The process has ended, and is not waited for by anybody either."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return
    raise AssertionError(f"process {pid} is still there")


MIXED = {
    "good": sh("echo out; echo '{\"rows\": 5, \"text\": \"a b\"}' > \"$WEFT_OUTPUT\""),
    "uses": {"run": ["printf", "%s|", "${tasks.good.output.rows}", "${params.day}", "$(id)"],
             "needs": ["good"]},
    "bad": sh("echo before; echo 'no such \x1b[31mtable\x1b[0m' >&2; exit 3"),
    "after": {"run": ["true"], "needs": ["bad"]},
    "anyway": {"run": ["true"], "needs": [{"all_done": ["bad"]}]},
    "again": sh("[ \"$WEFT_ATTEMPT\" = 2 ]", retry={"max_attempts": 3}),
    "slow": sh("sleep 60", timeout="200ms", grace="1s"),
    "missing": {"run": ["/no/such/program"]},
}
PARAMS = {"day": {"type": "string", "default": "today"}}


@tap.case
def a_mixed_run_as_one_object():
    with World() as w:
        run = w.json("run", w.workflow(MIXED, params=PARAMS), "-p", "day=a b=$HOME'\"", status=1)
        for key in ("id", "workflow", "version", "state", "reason", "detail", "params", "dir",
                    "max_parallel",
                    "created_at", "ended_at", "duration", "counts", "tasks"):
            tap.contains(run, key)
        tap.equal((run["workflow"], run["version"], run["state"], run["reason"], run["dir"]),
                  ("flow", 1, "FAILED", "tasks_failed", w.name))
        tap.equal(run["params"], {"day": "a b=$HOME'\""})
        tap.equal([t["name"] for t in run["tasks"]], list(MIXED))
        task = {t["name"]: t for t in run["tasks"]}
        tap.equal({n: t["state"] for n, t in task.items()},
                  {"good": "SUCCEEDED", "uses": "SUCCEEDED", "bad": "FAILED", "after": "SKIPPED",
                   "anyway": "SUCCEEDED",
                   "again": "SUCCEEDED", "slow": "FAILED", "missing": "FAILED"})
        tap.equal({n: t["reason"] for n, t in task.items() if t["state"] != "SUCCEEDED"},
                  {"bad": "command_failed", "after": "upstream_not_satisfied", "slow": "timed_out",
                   "missing": "command_not_found"})
        tap.equal(task["good"]["output"], {"rows": 5, "text": "a b"})
        tap.equal(task["bad"].get("output"), None)
        attempt = task["bad"]["attempts"][0]
        for key in ("number", "token", "outcome", "exit_code", "started_at", "ended_at",
                    "queue_wait", "run_time",
                    "cpu_time", "max_rss_bytes", "stderr_tail"):
            tap.contains(attempt, key)
        tap.equal((attempt["number"], attempt["outcome"], attempt["exit_code"], attempt.get("signal")),
                  (1, "failed", 3, None))
        for t in run["tasks"]:
            for a in t.get("attempts", []):
                assert min(span(a[k]) for k in ("queue_wait", "run_time", "cpu_time")) >= 0, a
                assert a["started_at"] <= a["ended_at"], a
        assert attempt["max_rss_bytes"] > 0 and span(run["duration"]) > 0
        tap.contains(attempt["stderr_tail"], "no such")
        assert re.fullmatch(r"\d+", attempt["token"]) and re.fullmatch(r"\d{4}-\d\d-\d\dT.*Z",
                                                                       attempt["ended_at"])
        tap.equal([(a["number"], a["outcome"]) for a in task["again"]["attempts"]],
                  [(1, "failed"), (2, "succeeded")])
        tap.equal(task["slow"]["attempts"][0]["outcome"], "timed_out")
        tap.equal(task["after"].get("attempts"), None)
        tap.equal(w.json("runs", "show", run["id"]), run)
        # One argument stays one argument, whatever the parameter holds.
        tap.equal(w.weft("runs", "logs", run["id"], "uses", "--stdout").stdout,
                  "5|a b=$HOME'\"|$(id)|")


@tap.case
def a_mixed_run_on_a_pipe():
    with World() as w:
        done = w.weft("run", w.workflow(MIXED, params=PARAMS), status=1)
        tap.equal(done.stderr, "")
        assert "\x1b" not in done.stdout
        for wanted in (r"run \d+ RUNNING", "good RUNNING attempt 1", r"good SUCCEEDED \d\.\d\ds",
                       r"bad FAILED attempt 1 exit code 3 \d\.\d\ds \(command_failed\)",
                       r"after SKIPPED \(upstream_not_satisfied\)", "again RUNNING attempt 2",
                       r"slow FAILED attempt 1 timed out .*", r"run \d+ FAILED"):
            assert re.search(rf"^\d\d:\d\d:\d\dZ {wanted}$", done.stdout, re.M), (wanted,
                                                                                  done.stdout)
        for wanted in ("bad failed: ",
                       "[command_failed]\n    | no such table\n    whole log: weft runs logs ",
                       "missing failed: ", "slow failed: "):
            tap.contains(done.stdout, wanted)
        assert re.search(r"\nrun \d+ of flow FAILED in \S+: 4 succeeded, 3 failed, 1 skipped\n$",
                         done.stdout), done.stdout
        # The hint is a command that works.
        hint = re.search(r"whole log: weft (runs logs \d+ bad)$", done.stdout, re.M)[1].split()
        tap.contains(w.weft(*hint).stdout, "no such \x1b[31mtable")


@tap.case
def a_mixed_run_as_lines_of_json():
    with World() as w:
        done = w.weft("run", w.workflow(MIXED, params=PARAMS), "-o", "jsonl", status=1)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        events, last = lines[:-1], lines[-1]
        tap.equal(list(last), ["run"])
        tap.equal(last["run"]["state"], "FAILED")
        seqs = [int(e["seq"]) for e in events]
        tap.equal(seqs, sorted(set(seqs)))
        tap.equal([e["kind"] for e in events if e["kind"].startswith("run_")],
                  ["run_RUNNING", "run_FAILED"])
        tap.contains([(e["name"], e["kind"]) for e in events], ("good", "task_SUCCEEDED"))


@tap.case
def a_quiet_run():
    with World() as w:
        done = w.weft("run", w.workflow({"a": {"run": ["echo", "x"]}}), "-q")
        tap.equal((done.stdout, done.stderr), ("", ""))
        done = w.weft("run", w.workflow({"a": {"run": ["false"]}}), "-q", status=1)
        tap.equal(done.stdout, "")
        tap.contains(done.stderr, "a failed: ")


@tap.case
def a_workflow_from_stdin_starts_where_we_are():
    with World() as w:
        done = w.weft("run", "-", "-o", "json", stdin="weft: 1\ntasks: {where: {run: [pwd]}}\n")
        run = json.loads(done.stdout)
        tap.equal((run["workflow"], run["dir"]), ("stdin", os.path.realpath(w.name)))
        tap.equal(w.weft("runs", "logs", run["id"], "where", "--stdout").stdout,
                  os.path.realpath(w.name) + "\n")


@tap.case
def params_are_checked():
    params = {"day": {"type": "string", "pattern": "[a-z]+"},
              "n": {"type": "integer", "minimum": 1, "maximum": 9, "default": 3}}
    with World() as w:
        path = w.workflow({"a": {"run": ["echo", "${params.day}${params.n}"]}}, params=params)
        for given, part in ((["day=monday", "n=10"], "n"), (["n=1"], "day"), (["day=MON"], "day"),
                            (["day=x", "other=1"], "other"), (["day=x", "n=one"], "n")):
            args = [a for g in given for a in ("-p", g)]
            done = w.weft("run", path, *args, status=2)
            tap.contains(done.stderr, part)
            tap.contains(done.stderr, "[param_invalid]")
            tap.equal(done.stdout, "")
        run = w.json("run", path, "-p", "day=x")
        tap.equal(w.weft("runs", "logs", run["id"], "a", "--stdout").stdout, "x3\n")


@tap.case
def a_faulty_file_is_told_with_its_places():
    with World() as w:
        path = w.write("bad.yaml",
                       "weft: 1\ntasks:\n"
                       "  a: {run: [x], needs: [b]}\n"
                       "  b: {run: [x], needs: [a]}\n")
        done = w.weft("run", path, status=2)
        assert re.match(rf"{re.escape(path)}:\d+:\d+: .*(a -> b -> a|b -> a -> b)",
                        done.stderr), done.stderr
        tap.contains(done.stderr,
                     f"weft: {path} is no valid workflow: 1 error [workflow_invalid]\n")
        problem = json.loads(w.weft("run", path, "-ojson", status=2).stderr)
        tap.equal(problem["code"], "workflow_invalid")
        tap.equal(sorted(problem["errors"][0]), ["column", "detail", "line"])


@tap.case
def what_does_not_exist_ends_with_3():
    with World() as w:
        for args in (["runs", "list"], ["status"], ["doctor"], ["runs", "show", "1"]):
            tap.contains(w.weft(*args, status=3).stderr, "[store_not_found]")
        assert not os.path.exists(w.store)
        w.weft("run", w.workflow({"a": {"run": ["true"]}}), "-q")
        for args, code in ((["runs", "show", "99"], "run_not_found"),
                           (["runs", "watch", "99"], "run_not_found"),
                           (["runs", "cancel", "99"], "run_not_found"),
                           (["runs", "why", "99"], "run_not_found"),
                           (["why", "99"], "run_not_found"),
                           (["runs", "logs", "99"], "run_not_found"),
                           (["runs", "resume", "99"], "run_not_found"),
                           (["runs", "retry", "99"], "run_not_found"),
                           (["task", "show", "99"], "task_not_found"),
                           (["task", "why", "1/x"], "task_not_found"),
                           (["workflows", "show", "x"], "workflow_not_found")):
            tap.contains(w.weft(*args, status=3).stderr, f"[{code}]")
        tap.contains(w.weft("runs", "resume", "1", status=4).stderr, "[run_ended]")
        tap.contains(w.weft("runs", "list", "--state", "nonsense", status=2).stderr,
                     "[invalid_argument]")


@tap.case
def what_can_be_asked():
    with World() as w:
        run = w.json("run", w.workflow(MIXED, params=PARAMS), status=1)["id"]
        tap.equal([r["id"] for r in w.json("runs", "list")["runs"]], [run])
        tap.equal(w.json("runs", "list", "--state", "succeeded")["runs"], [])
        tap.contains(w.weft("runs", "list").stdout, "4 succeeded, 3 failed, 1 skipped")
        tap.contains(w.weft("why", f"{run}/after").stdout, "[upstream_not_satisfied]")
        tap.contains(w.weft("why", run).stdout, "[tasks_failed]")
        tap.equal(w.json("task", "why", f"{run}/bad")["reason"], "command_failed")
        shown = w.json("task", "show", f"{run}/bad")
        tap.equal(w.json("task", "show", shown["id"]), shown)
        tap.contains(w.weft("task", "show", f"{run}/after").stdout,
                     "all_success of bad: 1 of 1 ended, 0 succeeded (IMPOSSIBLE)")
        tap.equal(w.json("doctor")["ok"], True)
        status = w.json("status")
        tap.equal((status["runs"]["FAILED"], status["tasks"]["failed"]), (1, 3))
        tap.contains(w.weft("status").stdout, "1 failed")
        logs = w.weft("runs", "logs", run).stdout
        tap.contains(logs, "==> bad, attempt 1, stdout <==\nbefore\n"
                           "==> bad, attempt 1, stderr <==\nno such")
        tap.equal(w.weft("runs", "logs", run, "again", "--attempt", "1", "--stdout").stdout, "")
        tap.contains(w.weft("runs", "logs", run, "again", "--attempt", "9", status=3).stderr,
                     "[log_not_found]")
        tap.contains(w.weft("runs", "logs", run, "after", status=3).stderr, "[log_not_found]")
        texts = {(l["task"], l["stream"]): l["text"] for l in w.json("runs", "logs", run)["logs"]}
        tap.equal(texts["bad", "stdout"], "before\n")


@tap.case
def a_fresh_store_is_empty_and_answers():
    with World() as w:
        tap.contains(w.weft("runs", "resume", status=3).stderr, "[run_not_found]")
        tap.equal(w.json("workflows", "list"), {"workflows": []})
        tap.equal(w.json("runs", "list"), {"runs": []})
        status = w.json("status")
        tap.equal((sum(status["runs"].values()), sum(status["tasks"].values())), (0, 0))
        tap.equal((status["health"], status["store"]["backend"]), ("healthy", "sqlite"))
        tap.equal([x for x in status["workers"] if x["state"] not in ("GONE", "LOST")], [])
        tap.equal(w.json("doctor")["ok"], True)


STEP = "echo $WEFT_TASK >> order"
SHAPES = {
    "chain": {f"s{i}": sh(STEP, needs=[f"s{i - 1}"] if i else []) for i in range(5)},
    "diamond": {"a": sh(STEP), "b": sh(STEP, needs=["a"]), "c": sh(STEP, needs=["a"]),
                "d": sh(STEP, needs=["b", "c"])},
    "fan": {"first": sh(STEP), **{f"m{i}": sh(STEP, needs=["first"]) for i in range(4)},
            "last": sh(STEP, needs=[f"m{i}" for i in range(4)])},
    "either": {"a": sh(STEP), "b": sh("exit 1"),
               "c": sh(STEP, needs=[{"one_success": ["a", "b"]}])},
    "wide": {f"s{s}t{t}": sh(STEP, needs=[f"s{s - 1}t{t}"] if s else [])
             for s in range(4) for t in range(15)},
}


def ends_in_order(shape):
    """Every task that starts does so once, and after all that it needs."""
    tasks = SHAPES[shape]
    with World() as w:
        run = w.json("run", w.workflow(tasks), "-j", "4", status=1 if shape == "either" else 0)
        order = w.read("order").split()
        tap.equal(sorted(order), sorted(n for n, t in tasks.items() if t["sh"] == STEP))
        for name, task in tasks.items():
            for need in task.get("needs", []):
                if isinstance(need, str):
                    assert order.index(need) < order.index(name), (need, name, order)
        tap.equal([len(t.get("attempts", [])) for t in run["tasks"]], [1] * len(tasks))
        assert isinstance(run["id"], str)


@tap.case
def a_chain_runs_in_order():
    ends_in_order("chain")


@tap.case
def a_diamond_runs_in_order():
    ends_in_order("diamond")


@tap.case
def a_fan_out_and_in_runs_in_order():
    ends_in_order("fan")


@tap.case
def one_success_of_two_is_enough():
    ends_in_order("either")


@tap.case
def sixty_tasks_in_stages_run_in_order():
    ends_in_order("wide")


@tap.case
def every_kind_of_end_is_counted_and_the_next_run_is_well():
    ends = {
        "exit": (sh("exit 1"), "command_failed"),
        "last": (sh("exit 255"), "command_failed"),
        "abort": (sh("kill -ABRT $$"), "command_killed"),
        "crash": (sh("kill -SEGV $$"), "command_killed"),
        "killed": (sh("kill -KILL $$"), "command_killed"),
        "ended": (sh("kill -TERM $$"), "command_killed"),
        "missing": ({"run": ["no-such-program"]}, "command_not_found"),
        "denied": ({"run": ["./flow.json"]}, "command_not_executable"),
        "nowhere": ({"run": ["true"], "cwd": "no/such/folder"}, "cwd_not_found"),
        "nonsense": (sh("echo '[1' > \"$WEFT_OUTPUT\""), "output_invalid"),
        "loud": (sh("head -c 2097152 /dev/zero > \"$WEFT_OUTPUT\""), "output_too_large"),
        "loop": (sh("while :; do :; done", timeout="300ms", grace="1s"), "timed_out"),
        "good": ({"run": ["true"]}, ""),
    }
    with World() as w:
        tasks = {f"{n}{i}": task for n, (task, _) in ends.items() for i in range(3)}
        run = w.json("run", w.workflow(tasks), "-j", "10", status=1)
        for task in run["tasks"]:
            reason = ends[task["name"][:-1]][1]
            tap.equal((task["name"], task["state"]),
                      (task["name"], "FAILED" if reason else "SUCCEEDED"))
            tap.equal((task["name"], task["reason"]), (task["name"], reason))
            assert not reason or task["detail"] or task["attempts"][-1]["message"], task
        tap.equal((run["counts"]["failed"], run["counts"]["succeeded"]), (36, 3))
        before = w.json("workflows", "list")
        tap.equal(w.json("doctor")["ok"], True)
        w.weft("run", "-", "-q", stdin="weft: 1\ntasks: {a: {run: ['true']}}\n")
        tap.equal(w.json("workflows", "list")["workflows"][0], before["workflows"][0])
        status = w.json("status")
        tap.equal((status["runs"]["FAILED"], status["runs"]["SUCCEEDED"],
                   status["runs"]["RUNNING"]),
                  (1, 1, 0))
        tap.equal((status["tasks"]["failed"], status["tasks"]["running"],
                   status["tasks"]["leased"]),
                  (36, 0, 0))


@tap.case
def a_task_whose_time_comes_while_all_slots_are_taken_goes_next():
    tasks = {"again": sh("[ \"$WEFT_ATTEMPT\" = 2 ]",
                         retry={"max_attempts": 2, "backoff": {"base": "100ms", "jitter": 0}}),
             "longer": sh("sleep 2"), "long": sh("sleep 0.3")}

    def waited():
        with World() as w:
            run = w.json("run", w.workflow(tasks), "-j", "2")
            attempts = {t["name"]: t["attempts"] for t in run["tasks"]}
            free, begun = (datetime.datetime.fromisoformat(t) for t in (
                attempts["long"][0]["ended_at"], attempts["again"][1]["started_at"]))
            return (begun - free).total_seconds()

    # The machine may be slow once.
    assert min(waited() for _ in range(3)) < 0.3


@tap.case
def an_endless_loop_ends_at_its_timeout():
    with World() as w:
        begun = time.monotonic()
        w.json("run", w.workflow({"loop": sh("echo $$ > pid; while :; do :; done", timeout="1s")}),
               status=1)
        assert 1 <= time.monotonic() - begun < 10
        gone(int(w.read("pid")))


NAMES = ["a\"b'c", "$(touch evil)", "`touch evil`", "'); DROP TABLE task; --", "größe 数据 🙂", "-rf",
         "%s%n",
         "a  b", "${HOME}", "\\", "*", "&& touch evil", "#", "e\u0301"]


@tap.case
def hostile_text_stays_data():
    with World() as w:
        tasks = {name: {"run": ["printf", "%s\\n", name, "${params.p}", "line\nbreak"]}
                 for name in NAMES
                 if "${" not in name}
        value = "\n".join(NAMES) + "\x01\t\u202e"
        run = w.json("run", w.write("flow.json", {"weft": 1, "name": NAMES[3],
                                                  "params": {"p": {"type": "string"}},
                                                   "tasks": tasks}), "-p", f"p={value}")
        tap.equal((run["workflow"], run["params"]["p"]), (NAMES[3], value))
        tap.equal([t["name"] for t in run["tasks"]], list(tasks))
        for name in tasks:
            out = w.weft("runs", "logs", "--stdout", "--", run["id"], name).stdout
            tap.equal(out, f"{name}\n{value}\nline\nbreak\n")
            tap.equal(w.json("task", "show", f"{run['id']}/{name}")["name"], name)
        shown = w.weft("runs", "show", run["id"]).stdout + w.weft("runs", "list").stdout
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", shown), shown
        assert not os.path.exists(os.path.join(w.name, "evil"))
        tap.equal(w.json("doctor")["ok"], True)


@tap.case
def workflows_are_stored_in_versions():
    with World() as w:
        os.makedirs(os.path.join(w.name, "flows", "sub"))
        w.write("flows/a.yaml", "weft: 1\ntasks: {one: {run: [x]}}\n")
        w.write("flows/sub/b.json", {"weft": 1, "description": "what it is",
                                     "tasks": {"x": {"run": ["x"]}, "y": {"run": ["x"]}},
                                     "params": {"day": {"type": "string"}}})
        w.write("flows/other.yaml", "services: {}\n")
        w.write("flows/broken.yaml", "weft: 1\ntasks: {a: {rnu: [x]}}\n")
        done = w.weft("workflows", "put", "flows", "-o", "json", status=2)
        stored = json.loads(done.stdout)["workflows"]
        tap.equal([(s["name"], s["version"], s["kind"], s["created"]) for s in stored],
                  [("a", 1, "single", True), ("b", 1, "graph", True)])
        tap.contains(done.stderr, "workflow_invalid")
        os.remove(os.path.join(w.name, "flows/broken.yaml"))
        w.write("flows/a.yaml", "weft: 1\ntasks: {one: {run: [y]}}\n")
        tap.equal([(s["version"], s["created"]) for s in w.json("workflows", "put",
                                                                "flows")["workflows"]],
                  [(2, True), (1, False)])
        tap.equal([(x["name"], x["version"]) for x in w.json("workflows", "list")["workflows"]],
                  [("a", 2), ("b", 1)])
        tap.equal(w.weft("workflows", "show", "a", "--at", "1", "--source").stdout,
                  "weft: 1\ntasks: {one: {run: [x]}}\n")
        for wanted in ("what it is", "day", "(required)", "  x\n  y\n", "graph, 2 tasks"):
            tap.contains(w.weft("workflows", "show", "b").stdout, wanted)
        tap.contains(w.weft("workflows", "show", "a", "--at", "7", status=3).stderr,
                     "[workflow_not_found]")


@tap.case
def a_run_is_cancelled_from_another_program():
    with World() as w:
        carrier = w.start("run", w.workflow({"a": sh("echo $$ > pid; sleep 60 & wait"),
                                             "b": {"run": ["true"],
                                                                        "needs": ["a"]}}),
                          stdout=subprocess.PIPE)
        run = w.wait_for(lambda r: r["counts"]["running"] == 1)
        watcher = w.start("runs", "watch", run, stdout=subprocess.PIPE)
        tap.equal(w.json("runs", "cancel", run, "--wait"), {"id": run, "state": "CANCELLED"})
        tap.equal(carrier.wait(SECONDS_MAX), 1)
        tap.equal(watcher.wait(SECONDS_MAX), 1)
        for out in (carrier.stdout.read(), watcher.stdout.read()):
            tap.contains(out, f"run {run} of flow CANCELLED in ")
        tap.contains(w.weft("runs", "watch", run, status=1).stdout, "CANCELLED")
        gone(int(w.read("pid")))
        tap.contains(w.weft("runs", "cancel", run, status=4).stderr, "[run_ended]")


@tap.case
def ctrl_c_cancels_and_a_second_one_kills():
    with World() as w:
        path = w.workflow({"a": sh("trap '' TERM; echo on; while :; do sleep 1; done",
                                   grace="300s")})
        carrier = w.start("run", path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        run = w.wait_for(lambda r: r["counts"]["running"] == 1)
        os.kill(carrier.pid, signal.SIGINT)
        w.wait_for(lambda r: r["state"] == "CANCELLING")
        os.kill(carrier.pid, signal.SIGINT)
        out, err = carrier.communicate(timeout=SECONDS_MAX)
        tap.equal(carrier.returncode, 1)
        tap.contains(out, f"run {run} of flow CANCELLED")
        tap.contains(err, "Ctrl-C again")


@tap.case
def a_run_is_watched_and_its_logs_are_followed():
    with World() as w:
        gate = os.path.join(w.name, "gate")
        wait = f"while [ ! -e '{gate}' ]; do sleep 0.05; done"
        path = w.workflow({"a": sh(f"echo one; {wait}; echo two"),
                           "b": {"run": ["echo", "three"], "needs": ["a"]}})
        carrier = w.start("run", path, "-q")
        run = w.wait_for(lambda r: r["counts"]["running"] == 1)
        watcher = w.start("runs", "watch", run, stdout=subprocess.PIPE)
        follower = w.start("runs", "logs", run, "-f", "--stdout", stdout=subprocess.PIPE)
        one = w.start("runs", "logs", run, "a", "-f", "--stdout", "-o", "jsonl",
                      stdout=subprocess.PIPE)
        tap.contains(one.stdout.readline(), "one")
        with open(gate, "w", encoding="utf-8"):
            pass
        tap.equal(follower.communicate(timeout=SECONDS_MAX)[0],
                  "==> a, attempt 1, stdout <==\none\ntwo\n==> b, attempt 1, stdout <==\nthree\n")
        tap.equal("".join(json.loads(line)["text"]
                          for line in one.communicate(timeout=SECONDS_MAX)[0].splitlines()),
                  "two\n")
        out = watcher.communicate(timeout=SECONDS_MAX)[0]
        tap.equal((watcher.returncode, carrier.wait(SECONDS_MAX), follower.returncode), (0, 0, 0))
        tap.contains(out, "b SUCCEEDED")
        assert "a RUNNING" not in out, "it was running before"


@tap.case
def failed_tasks_are_retried_and_the_others_kept():
    with World() as w:
        path = w.workflow({"good": {"run": ["echo", "once"]},
                           "flaky": sh("test -e there", needs=["good"]),
                           "last": {"run": ["true"], "needs": ["flaky"]}})
        run = w.json("run", path, status=1)["id"]
        w.write("there", "")
        done = w.weft("runs", "retry", run)
        tap.contains(done.stdout, f"run {run}: 2 tasks given back\n")
        assert "good" not in done.stdout, done.stdout
        tap.contains(done.stdout, f"run {run} of flow SUCCEEDED")
        task = {t["name"]: t for t in w.json("runs", "show", run)["tasks"]}
        tap.equal([len(task[n]["attempts"]) for n in ("good", "flaky", "last")], [1, 2, 1])
        tap.equal(w.json("workflows", "list")["workflows"][0]["version"], 1)


@tap.case
def a_killed_run_is_resumed():
    with World() as w:
        path = w.workflow({"a": {"run": ["true"]}, "b": sh("test -e there || sleep 60",
                                                           needs=["a"])})
        carrier = w.start("run", path, stdout=subprocess.DEVNULL)
        run = w.wait_for(lambda r: r["counts"]["running"] == 1 and r["counts"]["succeeded"] == 1)
        carrier.kill()
        carrier.wait()
        w.write("there", "")
        done = w.weft("runs", "resume")
        tap.contains(done.stdout, f"run {run} goes on\n")
        tap.contains(done.stdout, "taken back from a program that died: b\n")
        assert "a RUNNING" not in done.stdout, done.stdout
        tap.contains(done.stdout, f"run {run} of flow SUCCEEDED")
        tap.contains(w.weft("runs", "resume", status=3).stderr, "[run_not_found]")


@tap.case
def a_store_that_cannot_be_had_ends_with_7():
    with World() as w:
        path = w.workflow({"a": {"run": ["true"]}})
        done = w.weft("run", path, "--store",
                      "postgres://nobody:secret@127.0.0.1:1/none?connect_timeout=1", status=7)
        tap.contains(done.stderr, "[store_unavailable]")
        assert "secret" not in done.stderr
        tap.equal(w.weft("run", path, "--store", "mysql://x", status=2).stdout, "")


@tap.case
def a_reader_that_goes_away_does_not_stop_the_run():
    with World() as w:
        path = w.workflow({f"t{i}": {"run": ["true"]} for i in range(50)})
        done = subprocess.run(["bash", "-c",
                               f"'{WEFT}' run '{path}' | head -n 1; exit ${{PIPESTATUS[0]}}"],
                              cwd=w.name,
                              env=w.env, capture_output=True, text=True, timeout=SECONDS_MAX,
                              check=False)
        tap.equal((done.returncode, done.stderr), (0, ""))
        tap.equal(w.json("runs", "list")["runs"][0]["counts"]["succeeded"], 50)


class Terminal(terminal.Terminal):
    def __init__(self, w, rows, columns, *args):
        super().__init__([WEFT, *args], w.name, w.env, rows, columns)


@tap.case
def on_a_terminal_the_run_is_a_picture_that_leaves_a_table():
    with World() as w:
        tasks = dict(MIXED,
                     noisy=sh("printf 'x\\033[2J\\033]0;evil\\a\\r\\xff%0200d\\n' 5; sleep 0.3"),
                     moving=sh("echo '40 half of it' > \"$WEFT_PROGRESS\"; "
                               "while [ ! -e gate ]; do sleep 0.05; done"))
        t = Terminal(w, 30, 100, "run", w.workflow(tasks, params=PARAMS))
        t.read_until(" 40%  ")
        w.write("gate", "")
        tap.equal(t.end(), 1)
        screen = t.screen()
        text = "\n".join(screen)
        for wanted in ("  good     SUCCEEDED", "  bad      FAILED", "after    SKIPPED",
                       "bad failed: "):
            tap.contains(text, wanted)
        assert re.search(r"^run \d+ of flow FAILED in .*: 6 succeeded, 3 failed, 1 skipped$", text,
                         re.M), text
        # Nothing of the task's escape sequences came through, and the cursor is there.
        assert b"\x1b[2J" not in t.raw and b"\x1b]" not in t.raw
        tap.equal(t.raw.count(b"\x1b[?25l"), t.raw.count(b"\x1b[?25h"))
        assert t.raw.rfind(b"\x1b[?25h") > t.raw.rfind(b"\x1b[?25l")
        tap.equal(len([line for line in screen if "good" in line]), 1)


@tap.case
def a_terminal_of_a_few_lines_shows_what_runs():
    with World() as w:
        tasks = {f"task-with-a-long-name-{i}": sh("sleep 0.2") for i in range(12)}
        t = Terminal(w, 6, 40, "run", w.workflow(tasks), "-j", "3")
        tap.equal(t.end(), 0)
        for frame in t.raw.split(b"\x1b[?25l")[1:]:
            assert frame.split(b"\x1b[?25h")[0].count(b"\n") <= 5, frame
        tap.contains(t.raw.decode(), "… and ")
        tap.contains(t.screen()[-2] + t.screen()[-3], "weft runs show")


@tap.case
def a_window_that_changes_its_size_is_drawn_anew():
    with World() as w:
        gate = os.path.join(w.name, "gate")
        path = w.workflow({f"t{i}": sh(f"while [ ! -e '{gate}' ]; do sleep 0.05; done")
                           for i in range(4)})
        t = Terminal(w, 30, 100, "run", path, "-j", "4")
        t.read_until("4 running")
        t.resize(3, 30)
        t.read_until("… and 4 running")
        with open(gate, "w", encoding="utf-8"):
            pass
        tap.equal(t.end(), 0)


@tap.case
def ctrl_c_on_a_terminal():
    with World() as w:
        t = Terminal(w, 30, 100, "run", w.workflow({"a": sh("sleep 60")}))
        t.read_until("1 running")
        os.write(t.fd, b"\x03")
        t.read_until("Ctrl-C again")
        tap.equal(t.end(), 1)
        tap.contains("\n".join(t.screen()), "CANCELLED")


@tap.case
def without_colours_there_are_none():
    with World() as w:
        w.env["NO_COLOR"] = "1"
        t = Terminal(w, 30, 100, "run", w.workflow(MIXED, params=PARAMS))
        tap.equal(t.end(), 1)
        assert not re.search(rb"\x1b\[[0-9;]*m", t.raw)


tap.main()
