#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`weft sim` as people use it: one history, its transcript, a sweep, and a history as a file."""
import os
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


@tap.case
def a_profile_that_is_none_is_told_with_those_that_are():
    done = sim("--profile", "tempest")
    tap.equal(done.returncode, 2)
    tap.contains(done.stderr, 'there is no profile "tempest"')
    tap.contains(done.stderr, "slow-clock")


@tap.case
def a_history_is_written_down():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "a.txt")
        tap.equal(sim("--seed", "3", "--profile", "calm", "--save", path).returncode, 0)
        with open(path, encoding="utf-8") as file:
            tap.contains(file.read(), "\nseed 3\nprofile calm\n")
        tap.equal(sim("--save", os.path.join(folder, "no/a.txt")).returncode, 2)


tap.main()
