#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many tasks, greedy tasks, large files: what weft needs meanwhile, and what it leaves behind."""
import glob
import os
import threading
import time

import tap
from world import WEFT, World, on_both_stores, task

MIB = 1 << 20
# Says that it is there, and waits for a file in the world.
AWAIT = "log $WEFT_TASK; for i in $(seq 500); do test -e $WORLD/$1 && exit; sleep 0.1; done; exit 1"


def held(file, needs=()):
    return {"needs": list(needs), "run": ["sh", "-c", AWAIT, "-", file]}


def sanitized():
    """Whether this weft is built with AddressSanitizer, whose memory says nothing about ours."""
    with open(WEFT, "rb") as f:
        return b"__asan_init" in f.read()


def memory(pid):
    """Resident bytes, 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/statm", encoding="utf-8") as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")
    except (OSError, IndexError):
        return 0


def files(pid):
    return sorted(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))


class Sampled:
    """The most memory that a process was seen to use while `with` lasts."""

    def __init__(self, pid):
        self.pid, self.most, self.samples = pid, 0, 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.sample, daemon=True)

    def sample(self):
        while not self.over.wait(0.01):
            self.most = max(self.most, memory(self.pid))
            self.samples += 1

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exc):
        self.over.set()
        self.thread.join()

    def below(self, mib):
        assert self.samples > 0
        assert sanitized() or 0 < self.most < mib * MIB, f"{self.most / MIB:.1f} MiB"


@on_both_stores
def more_tasks_than_slots_wait_their_turn(store):
    # nothing is refused; who waits has a reason
    with World(store) as w:
        with w.start({f"t{i}": held("go") for i in range(8)}, "-j", "2") as p:
            w.wait(lambda: len(w.ledger()) == 2)
            states = w.states()
            waiting = sorted(n for n, s in states.items() if s == "READY")
            tap.equal((len(waiting), list(states.values()).count("RUNNING")), (6, 2))
            why = w.json("task", "why", f"{w.newest()}/{waiting[0]}")
            tap.equal((why["state"], why["reason"]), ("READY", "waiting_for_worker"))
            tap.contains(why["text"], " ")
            w.write("go", "")
            run = p.run()
        tap.equal((run["state"], run["counts"]["succeeded"]), ("SUCCEEDED", 8))
        tap.equal({len(t.get("attempts", [])) for t in run["tasks"]}, {1})


@tap.case
def tasks_that_eat_memory_fail_alone():
    # and weft goes on
    grow = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    hold = "import time; x = bytearray(b'x' * (80 << 20)); time.sleep(100)"
    with World() as w:
        w.write("grow.py", grow)
        w.write("hold.py", hold)
        tasks = {
            "limited": {"sh": "ulimit -v 300000; exec /usr/bin/python3 $WORLD/grow.py"},
            "killed": {"sh": "/usr/bin/python3 $WORLD/hold.py & tail -c 40M /dev/zero | head -c 1 > /dev/null; "
                             "kill -KILL $$"},
            "timed": {"run": ["/usr/bin/python3", w.path("hold.py")], "timeout": "1500ms"},
            "after": {"needs": [{"all_done": ["limited", "killed", "timed"]}], "run": ["true"]},
        }
        with w.start(tasks) as p, Sampled(p.pid) as weft:
            run = p.run()
        weft.below(40)
        tap.equal({n: (task(run, n)["state"], task(run, n)["reason"]) for n in tasks},
                  {"limited": ("FAILED", "command_failed"), "killed": ("FAILED", "command_killed"),
                   "timed": ("FAILED", "timed_out"), "after": ("SUCCEEDED", "")})
        tap.contains(task(run, "limited")["attempts"][0]["stderr_tail"], "MemoryError")
        assert task(run, "timed")["attempts"][0]["max_rss_bytes"] > 80 * MIB, run
        tap.equal(w.processes(), [])
        tap.equal(w.run({"next": {"run": ["true"]}})["state"], "SUCCEEDED")


@on_both_stores
def hundreds_of_tasks_end_exactly_once(store):
    # A-50 with weft as a whole
    count = 300
    with World(store) as w:
        begun = time.monotonic()
        tasks = {f"t{i}": {"sh": "echo $WEFT_TASK >> $WORLD/ledger"} for i in range(count)}
        with w.start(tasks, "-j", "4") as p, Sampled(p.pid) as weft:
            run = p.run()
        seconds = time.monotonic() - begun
        print(f"# {count} tasks in {seconds:.2f} s: {count / seconds:.0f} tasks/s, "
              f"at most {weft.most / MIB:.1f} MiB resident", flush=True)
        tap.equal((run["state"], run["counts"]["succeeded"]), ("SUCCEEDED", count))
        tap.equal({(len(t.get("attempts", [])), t["attempts"][0]["outcome"]) for t in run["tasks"]},
                  {(1, "succeeded")})
        tap.equal(sorted(w.ledger()), sorted(tasks))
        weft.below(40)
        status = w.json("status")
        tap.equal({s: n for s, n in status["tasks"].items() if n}, {"succeeded": count})


def cgroups(pid):
    """The cgroups of this weft, as instances name them."""
    return [d for root in ("/sys/fs/cgroup", "/sys/fs/cgroup/unified")
            for d in glob.glob(f"{root}/**/weft-{pid}-*", recursive=True)]


def everyone(w):
    """Who lives with this world in its environment, weft and its guardian included."""
    found, mark = [], f"WORLD={w.folder}".encode()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                if mark in f.read().split(b"\0"):
                    found.append(int(pid))
        except OSError:
            continue
    return found


@on_both_stores
def a_run_leaves_its_record_and_nothing_else(store):
    # of weft as a whole; executor_test.c shows the same of the executor
    with World(store) as w:
        os.mkdir(w.path("temporary"))
        w.env["TMPDIR"] = w.path("temporary")
        p = w.start({
            "good": {"sh": "echo '{}' > $WEFT_OUTPUT; echo '40 x' > $WEFT_PROGRESS; setsid sleep 100 & log on; echo on"},
            "bad": {"run": ["false"]},
            "slow": {"sh": "setsid sleep 100 & trap '' TERM; sleep 100; sleep 100", "timeout": "300ms",
                     "grace": "100ms"},
            "held": held("go"),
        }, "-j", "4")
        with p:
            w.wait(lambda: "held" in w.ledger())
            assert os.listdir(w.path("data/tmp")), "a running task has its files there"
            if not cgroups(p.pid):
                print("# no cgroup can be made on this machine", flush=True)
            w.write("go", "")
            run = p.run()
        tap.equal(run["counts"]["succeeded"], 2)
        w.wait(lambda: not everyone(w), 5)
        w.wait(lambda: not cgroups(p.pid), 5)
        tap.equal((os.listdir(w.path("temporary")), os.listdir(w.path("data/tmp"))), ([], []))
        tap.equal(sorted(os.listdir(w.path("data"))), ["logs", "tmp"] if store else ["logs", "tmp", "weft.db"])
        tap.equal(os.listdir(w.path("data/logs")), [run["id"]])
        tap.equal([x for x in w.json("status")["workers"] if x["busy"]], [], "slots are free")


@on_both_stores
def files_and_memory_stay_flat(store):
    # the same weft is looked at after 50 tasks, and after 350 more
    def many(prefix, count, needs):
        return {f"{prefix}{i}": {"needs": needs, "sh": "echo $WEFT_TASK; echo '{}' > $WEFT_OUTPUT"}
                for i in range(count)}

    first = many("a", 50, [])
    second = many("b", 350, ["look1"])
    tasks = {**first, "look1": held("go1", first), **second, "look2": held("go2", second)}
    with World(store) as w:
        with w.start(tasks, "-j", "4") as p:
            w.wait(lambda: w.ledger() == ["look1"])
            files_before, before = files(p.pid), memory(p.pid)
            w.write("go1", "")
            w.wait(lambda: w.ledger() == ["look1", "look2"])
            files_after, after = files(p.pid), memory(p.pid)
            w.write("go2", "")
            tap.equal(p.run()["state"], "SUCCEEDED")
        print(f"# {len(files_before)} files and {before / MIB:.1f} MiB, then {len(files_after)} files and "
              f"{after / MIB:.1f} MiB", flush=True)
        tap.equal(len(files_after), len(files_before), f"{files_before} became {files_after}")
        assert sanitized() or after < before + 4 * MIB, (before, after)


@tap.case
def large_files_pass_by():
    #
    size = 64 * MIB
    with World() as w:
        tasks = {
            "write": {"sh": f"head -c {size} /dev/zero > $WORLD/large"},
            "read": {"needs": ["write"],
                     "sh": "printf '{\"bytes\": %s}' $(wc -c < $WORLD/large) > $WEFT_OUTPUT"},
            "print": {"needs": ["write"], "sh": "cat $WORLD/large; cat $WORLD/large >&2; echo the end"},
        }
        with w.start(tasks) as p, Sampled(p.pid) as weft:
            run = p.run()
        print(f"# {3 * size // MIB} MiB passed by; at most {weft.most / MIB:.1f} MiB resident", flush=True)
        tap.equal(run["state"], "SUCCEEDED")
        tap.equal(task(run, "read")["output"], {"bytes": size})
        weft.below(40)
        kept = sum(os.path.getsize(f) for f in glob.glob(w.path("data/logs/*/*")))
        assert kept < size // 2, f"{kept} bytes of logs"
        log = w.weft("runs", "logs", run["id"], "print", "--stdout").out
        tap.equal(log[-8:], "the end\n")


tap.main()
