#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`weft sim` as people use it: one history, its transcript, a sweep, and a history as a file."""
import json
import os
import pty
import signal
import subprocess
import tempfile

import tap

WEFT = os.path.join(os.environ["WEFT_BUILD"], "weft")


def sim(*words):
    return subprocess.run([WEFT, "sim", *words], capture_output=True, text=True, check=False)


@tap.case
def one_seed_is_one_transcript():
    first, second = sim("--seed", "7", "--trace"), sim("--seed", "7", "--trace")
    tap.equal(first.returncode, 0)
    tap.equal(first.stdout == second.stdout, True)
    tap.contains(first.stdout, "queues.claim")
    tap.contains(first.stdout.splitlines()[-1], "every check held")
    tap.equal(sim("--seed", "8", "--trace").stdout == first.stdout, False)


@tap.case
def a_sweep_tells_what_it_met():
    done = sim("--runs", "30", "--profile", "all", "--jobs", "2")
    tap.equal(done.returncode, 0, done.stdout + done.stderr)
    tap.contains(done.stdout, "task READY --CLAIM--> LEASED")
    tap.contains(done.stdout, "SERVER_KILL: a server dies")
    tap.contains(done.stdout, "30 histories from seed 1 on: every check held")


def refused(status, sentence, *words):
    """One sentence on stderr, or one object of the same, and nothing done."""
    done = sim(*words)
    tap.equal((done.returncode, done.stdout, done.stderr), (status, "", f"weft: {sentence}\n"))
    told = json.loads(sim(*words, "-o", "json").stderr)
    tap.equal(f"{told['detail']} [{told['code']}]", sentence)


@tap.case
def what_cannot_be_meant_is_refused_in_a_sentence():
    refused(2, 'there is no profile "tempest": there are storm, calm, network, store, workers, slow-clock, '
            "plans, and all, which is all of them in turns [invalid_argument]", "--profile", "tempest")
    refused(2, "--jobs of weft sim is at most 256, not 1000 [invalid_argument]", "--jobs", "1000")
    refused(2, "from seed 9223372036854775807 on there are not 2 histories: the last seed is "
            "9223372036854775807 [invalid_argument]", "--seed", "9223372036854775807", "--runs", "2")
    refused(2, "/nowhere/a.txt cannot be written: No such file or directory [invalid_argument]",
            "--save", "/nowhere/a.txt")
    refused(2, "/nowhere/a.txt cannot be read: No such file or directory [invalid_argument]", "/nowhere/a.txt")
    refused(2, "/tmp cannot be read: Is a directory [invalid_argument]", "/tmp")
    refused(2, "--seed cannot be given with a file, which says it [invalid_argument]", "a.txt", "--seed", "7")
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
        file.write("profile storm\nservers 1000\n")
        file.flush()
        refused(2, f"{file.name}, line 2: no line of a history that weft sim --save wrote [invalid_argument]",
                file.name)


@tap.case
def a_history_is_written_down_and_read_again():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.txt")
        tap.equal(sim("--seed", "3", "--profile", "calm", "--save", path).returncode, 0)
        with open(path, encoding="utf-8") as file:
            tap.contains(file.read(), "\nseed 3\nprofile calm\n")
        seed, saved = sim("--seed", "3", "--profile", "calm", "--trace"), sim(path, "--trace")
        tap.equal((saved.returncode, saved.stdout), (0, seed.stdout))


@tap.case
def a_history_that_does_not_fit_on_the_disk_is_not_said_to_be_saved():
    done = sim("--profile", "calm", "--save", "/dev/full")
    tap.equal(done.returncode, 2)
    tap.contains(done.stderr, "weft: /dev/full cannot be written: No space left on device")
    tap.equal("saved" in done.stdout, False)


@tap.case
def a_long_sweep_must_meet_every_row():
    done = sim("--runs", "2000", "--profile", "all", "--steps", "1")
    tap.equal(done.returncode, 1)
    *rows, held, missed = done.stdout.splitlines()
    tap.contains(held, "2000 histories from seed 1 on, 2000 of them cut off: every check held")
    tap.equal(missed, f"{sum(row.endswith('(never)') for row in rows)} rows above were never met, "
                      "which so long a sweep has to")


@tap.case
def programs_get_an_object():
    one = sim("--seed", "3", "--profile", "calm", "-o", "json")
    told = json.loads(one.stdout)
    tap.equal((one.returncode, told["seed"], told["profile"], told["outcome"], told["faults"]),
              (0, "3", "calm", "at_rest", "0"))
    many = sim("--runs", "3", "--steps", "9", "-o", "jsonl")
    told = json.loads(many.stdout)
    tap.equal((many.returncode, told["seed"], told["histories"], told["cut_off"], told["outcome"]),
              (0, "1", "3", "3", "every_check_held"))
    tap.contains([row["row"] for row in told["rows"]], "worker READY --DRAIN--> DRAINING")
    both = sim("--trace", "-o", "json")
    tap.equal((both.returncode, json.loads(both.stderr)["detail"]), (2, "--trace prints a text, which is no JSON"))


@tap.case
def a_process_that_dies_is_told_with_its_seed():
    with subprocess.Popen([WEFT, "sim", "--runs", "1000000", "--jobs", "2"], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True) as sweep:
        children = f"/proc/{sweep.pid}/task/{sweep.pid}/children"
        pids = []
        while len(pids) < 2:
            with open(children, encoding="ascii") as file:
                pids = file.read().split()
        os.kill(int(pids[0]), signal.SIGSEGV)
        out, err = sweep.communicate()
    tap.equal((sweep.returncode, out), (1, ""))
    tap.contains(err, "weft: the process that simulated seed ")
    tap.contains(err, ", profile storm, ended by signal 11 (Segmentation fault); weft sim --seed ")


@tap.case
def ctrl_c_ends_a_sweep_and_says_what_was_met():
    terminal, end = pty.openpty()
    with subprocess.Popen([WEFT, "sim", "--runs", "1000000", "--profile", "all"], stdout=subprocess.PIPE, stderr=end,
                          text=True) as sweep:
        os.close(end)
        shown = ""
        while " seeds, " not in shown:
            shown += os.read(terminal, 1000).decode()
        sweep.send_signal(signal.SIGINT)
        out, _ = sweep.communicate()
    os.close(terminal)
    tap.equal(sweep.returncode, 0)
    tap.contains(out.splitlines()[-1], "interrupted: ")
    tap.contains(out.splitlines()[-1], " histories from seed 1 on: every check held")


tap.main()
