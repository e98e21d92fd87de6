#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The runner for tests (weft.testing): each word of its script, and what it records."""
import contextlib
import os
import subprocess
import sys
import tempfile
import time

import tap
from fake_weft import METHODS, SECONDS_MAX, SOURCE, FakeWeft, grpc

sys.path.insert(0, os.path.join(SOURCE, "sdk", "python"))
import weft  # noqa: E402
from weft.testing import TestRunner  # noqa: E402


@contextlib.contextmanager
def playing(*script, **options):
    """The runner, what it knows as weft, and how it is called."""
    with FakeWeft() as fake:
        client = weft.Client(fake.url, retry=weft.Retry(attempts=1))
        with TestRunner(client, "build", "tester", script=script, **options) as runner:
            yield runner, fake, fake.wait_worker("build")


def status(call):
    try:
        call()
    except grpc.RpcError as e:
        return e.code()
    raise AssertionError("it was answered")


@tap.case
def by_default_everything_succeeds_D_51():
    with playing(modes=("sync", "async"), slots=7, ttl=20) as (runner, fake, worker):
        tap.equal((worker.told["name"], worker.told["type"], worker.told["slots"], worker.told["ttl"]),
                  ("tester", "build", 7, "20s"))
        report = worker.run("7.1", args={"n": 1}, checks=["a", "b"])
        tap.equal((report.outcome, [(c.check, c.finalize) for c in report.checks]),
                  ("succeeded", [("a", True), ("b", True)]))
        tap.equal(worker.run_async("7.2", checks=["a"]).accepted, True)
        tap.equal(runner.wait_answer("7.2"), "OK")
        tap.equal(fake.wait("renew")["leases"][0]["percent"], 50)
        tap.equal(fake.ends()["7.2"]["checks"][0]["check"], "a")
        first, second = runner.requests
        tap.equal((first.mode, first.args, first.checks, second.mode, second.token),
                  ("sync", {"n": 1}, ["a", "b"], "async", "7.2"))
        tap.equal((runner.load, runner.load_max, runner.names("sync")), (0, 1, ["stage"]))


@tap.case
def hooks_take_the_place_of_the_default_D_51():
    with playing(on_run=lambda ctx: ctx.args, on_run_async=lambda ctx: 7) as (_, fake, worker):
        tap.equal(worker.run("7.1", args=[1]).result, "[1]")
        worker.run_async("7.2")
        fake.wait("complete")
        tap.equal(fake.ends()["7.2"]["result"], 7)


@tap.case
def it_fails_and_refuses_as_often_as_it_is_told_D_51():
    script = ["fail", "fail_final", "refuse", "refuse", lambda ctx: "by hand", "garbage", "garbage"]
    with playing(*script) as (runner, _, worker):
        for final in (False, True):
            report = worker.run("7.1" if final else "7.2")
            tap.equal((report.outcome, report.error.code, report.final), ("failed", "scripted", final))
        tap.equal(status(lambda: worker.run("7.3")), grpc.StatusCode.FAILED_PRECONDITION)
        tap.equal(worker.run_async("7.4").accepted, False)
        tap.equal(worker.run("7.5").result, '"by hand"')
        for token, call in (("7.6", worker.run), ("7.7", worker.run_async)):
            tap.equal(status(lambda t=token, c=call: c(t)), grpc.StatusCode.INTERNAL)
        tap.equal(worker.run("7.8").outcome, "succeeded")
        tap.equal(len(runner.requests), 8)


@tap.case
def it_hangs_and_stalls_until_it_is_released_D_51():
    with playing("stall", "hang") as (runner, _, worker):
        stalled = worker.run_later("7.1")
        runner.wait(1)
        hung = worker.run_later("7.2")
        runner.wait(2)
        tap.equal((stalled.done(), hung.done(), runner.load), (False, False, 1))
        runner.release()
        tap.equal(stalled.result().outcome, "succeeded")
        tap.equal(status(hung.result), grpc.StatusCode.FAILED_PRECONDITION)


@tap.case
def what_stalls_can_be_cancelled():
    with playing("stall") as (runner, _, worker):
        call = worker.run_later("7.1")
        runner.wait(1)
        while not runner.load:
            time.sleep(0.001)
        worker.cancel("7.1")
        tap.equal(call.result().outcome, "cancelled")


@tap.case
def it_answers_late_D_51():
    with playing("late") as (runner, fake, worker):
        deadline = int(time.time()) + 1
        tap.equal(worker.run_async("7.1", deadline=deadline).accepted, True)
        tap.equal((runner.wait_answer("7.1"), time.time() > deadline), ("OK", True))
        tap.equal(fake.ends()["7.1"]["outcome"], "succeeded")


@tap.case
def it_dies_before_or_after_it_accepts_D_51():
    for word, accepted in (("die", False), ("vanish", True)):
        with playing(word) as (runner, fake, worker):
            if accepted:
                tap.equal(worker.run_async("7.1").accepted, True)
            else:
                status(lambda w=worker: w.run_async("7.1"))
            while not runner.dead:
                time.sleep(0.001)
            beats = len(fake.of("heartbeat"))
            until = time.monotonic() + SECONDS_MAX
            while worker_answers(worker):
                tap.equal(time.monotonic() < until, True)
            time.sleep(0.3)  # three heartbeats would come
            tap.equal((len(fake.of("heartbeat")) <= beats + 1, fake.ends()), (True, {}))
        tap.equal(fake.of("deregister"), [])


def worker_answers(worker):
    try:
        worker.ping()
        return True
    except grpc.RpcError:
        return False


@tap.case
def what_ends_its_thread_fails():
    with playing(lambda ctx: sys.exit("out of here")) as (_, __, worker):
        report = worker.run("7.1")
        tap.equal((report.outcome, report.error.code), ("failed", "SystemExit"))
        tap.contains(report.error.message, "out of here")


@tap.case
def with_credentials_it_speaks_tls():
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        key, certificate = (os.path.join(folder, n) for n in ("key.pem", "certificate.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        pem = [open(f, "rb").read() for f in (key, certificate)]
    with playing(credentials=grpc.ssl_server_credentials([tuple(pem)])) as (runner, _, worker):
        tap.equal((runner.address.startswith("https://127.0.0.1:"), worker.told["address"]),
                  (True, runner.address))
        with grpc.secure_channel(runner.address.removeprefix("https://"),
                                 grpc.ssl_channel_credentials(pem[1])) as channel:
            asked, answered = METHODS["Ping"]
            ping = channel.unary_unary("/weft.v1.Runner/Ping", asked.SerializeToString, answered.FromString)
            tap.equal(ping(asked(), timeout=SECONDS_MAX).runner, "tester")


@tap.case
def a_word_that_is_none_is_refused():
    try:
        TestRunner(weft.Client(), "build", script=["dance"])
    except ValueError as error:
        tap.contains(str(error), "dance")
        return
    raise AssertionError("it was not refused")


tap.main()
