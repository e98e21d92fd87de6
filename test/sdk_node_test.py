#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Node client against a real server, and its parts that need none (sdk_node.mjs)."""
import contextlib
import json
import os
import shutil
import subprocess
import tempfile

import proxy
import server
import tap

SECONDS_MAX = 60
SCRIPT = os.path.join(server.SOURCE, "test", "sdk_node.mjs")


def begin(scenario, url):
    if not shutil.which("node"):
        raise tap.Skip("node is not installed")
    return subprocess.Popen(["node", SCRIPT, scenario], env={**os.environ, "WEFT_SERVER": url},
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def play(scenario, url="http://127.0.0.1:9"):
    with begin(scenario, url) as p:
        out = p.communicate(timeout=SECONDS_MAX)[0]
    tap.equal(p.returncode, 0, scenario)
    return json.loads(out)


@contextlib.contextmanager
def running():
    with tempfile.TemporaryDirectory(prefix="weft-") as folder, server.Server(folder) as s:
        yield s


@tap.case
def the_breaker_opens_rests_and_closes():
    tap.equal(play("breaker"), ["OPEN", 60, 0, "HALF_OPEN", "CLOSED"])


@tap.case
def pauses_grow_to_their_cap():
    tap.equal(play("retry"), [0.1, 0.2, 0.4, 0.8, 1, 7])


@tap.case
def an_instance_has_a_name_of_its_own():
    tap.equal(play("names"), 100)


@tap.case
def bad_arguments_are_refused_before_anything_is_sent():
    tap.equal(play("bad"), ["TypeError", "RangeError", "TypeError", "RangeError"])


@tap.case
def a_deadline_far_away_stops_nothing_before():
    tap.equal(play("deadline"), [True, False, 2, True, 2])


@tap.case
def a_server_that_is_not_there_is_told():
    tap.equal(play("away", f"http://127.0.0.1:{server.free_port()}"), [True, "unavailable", "unhealthy"])


@tap.case
def what_is_enqueued_is_claimed_and_completed():
    with running() as s:
        tap.equal(play("life", s.url), [[{"n": 2}, {"n": 1}], "SUCCEEDED", {"was": {"n": 2}}, 2])


@tap.case
def the_flow_tells_how_it_went():
    with running() as s:
        tap.equal(play("flow", s.url), ["No records to process", 60, ["4 is too much", "5 is too much"], 2, 2])


@tap.case
def a_result_that_cannot_be_told_fails_its_task_alone():
    with running() as s:
        tap.equal(play("results", s.url), [["TypeError", "result_refused"], 1])


@tap.case
def a_lost_lease_holds_no_slot_and_hinders_no_leave():
    with running() as s:
        tap.equal(play("lost", s.url), [True, "lease_lost", 1])


@tap.case
def what_is_refused_has_its_code():
    with running() as s:
        tap.equal(play("refused", s.url), [True, "queue_not_found", 404])


@tap.case
def a_queue_that_is_made_later_is_waited_for():
    with running() as s, begin("later", s.url) as p:
        s.wait_calls("queues.claim", "queue_not_found", 4)
        out = p.communicate("\n", timeout=SECONDS_MAX)[0]
        tap.equal(json.loads(out), ["queue_not_found", [7], 1])


@tap.case
def work_that_ends_while_the_server_is_away_is_reported_later():
    with running() as s, begin("outage", s.url) as p:
        tap.equal(p.stdout.readline(), "claimed\n")
        s.kill()
        p.stdin.write("\n")
        p.stdin.flush()
        tap.equal(p.stdout.readline(), "ended\n")
        s.start()
        tap.equal(json.loads(p.communicate(timeout=SECONDS_MAX)[0]), 2)


@tap.case
def a_claim_that_comes_late_leases_nothing():
    with running() as s, proxy.Proxy(s.port) as net:
        s.client.enqueue("mail", [1])
        with begin("late", f"http://127.0.0.1:{net.port}") as p:
            tap.equal(p.stdout.readline(), "claimed\n")
            net.hold = b":claim"
            p.stdin.write("\n")
            p.stdin.flush()
            tap.equal(p.stdout.readline(), "0\n")
            s.client.enqueue("mail", [2])
            tap.equal(net.deliver()[0], 409)
            tap.equal(json.loads(p.communicate("\n", timeout=SECONDS_MAX)[0]), 1)
        tap.equal(s.client.queue("mail")["counts"].get("succeeded"), 2)


tap.main()
