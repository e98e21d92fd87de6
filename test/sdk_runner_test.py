#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The runners of the libraries, as weft sees them: sdk_runner.py, .mjs and .c do the same."""
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import node_grpc
import tap
from fake_weft import SECONDS_MAX, SOURCE, FakeWeft, grpc
from server import free_port, weft

C = os.path.join(os.environ["WEFT_BUILD"], "test", "sdk_runner")
PROGRAMS = {"c": [C],
            "python": [sys.executable, f"{SOURCE}/test/sdk_runner.py"],
            "node": ["node", f"{SOURCE}/test/sdk_runner.mjs"]}


class Going:
    """A runner's process, and the weft that it knows."""

    def __init__(self, weft, process, folder):
        self.weft = weft
        self.process = process
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name)

    def touch(self, name):
        with open(self.path(name), "w", encoding="utf-8"):
            pass

    def worker(self, kind="do"):
        return self.weft.wait_worker(kind)


@contextlib.contextmanager
def running(program, setup=lambda weft: None, **env):
    with tempfile.TemporaryDirectory(prefix="weft-") as folder, FakeWeft() as weft:
        setup(weft)
        env = {**os.environ, "WEFT_SERVER": weft.url, **env}
        if program[0] == "node":
            env["NODE_PATH"] = node_grpc.modules()
        process = subprocess.Popen(program, env=env, stdin=subprocess.DEVNULL)
        try:
            weft.wait("register", 3)
            yield Going(weft, process, folder)
        finally:
            process.kill()
            process.wait()


def runners(function, languages=tuple(PROGRAMS)):
    """A case for each language; the function takes the command that starts its runner."""
    for language in languages:
        def case(program=PROGRAMS[language]):
            function(program)

        functools.update_wrapper(case, function)
        case.__name__ = f"{function.__name__}_{language}"
        tap.case(case)
    return function


def in_python_and_node(function):
    """What C has no words for, or limits by other numbers."""
    return runners(function, ("python", "node"))


def wait(condition):
    until = time.monotonic() + SECONDS_MAX
    while not condition():
        if time.monotonic() > until:
            raise AssertionError("it did not come")
        time.sleep(0.005)


def refused(call, code=grpc.StatusCode.FAILED_PRECONDITION):
    try:
        call()
    except grpc.RpcError as e:
        tap.equal(e.code(), code, e.details())
        return e.details()
    raise AssertionError("it was not refused")


@runners
def it_registers_with_what_it_offers(program):
    with running(program) as r:
        told = {w.told["type"]: w.told for w in r.weft.workers.values()}
        tap.equal({k: (t["name"], t["modes"], t["slots"]) for k, t in told.items()}, {
            "do": ("doer/do", ["sync", "async"], 2),
            "sync_only": ("doer/sync_only", ["sync"], 0),
            "async_only": ("doer/async_only", ["async"], 2)})
        for t in told.values():
            tap.equal((t["labels"], t["metadata"], t["version"], t["ttl"], t["tokens"]),
                      ({"os": "linux"}, {"rack": "7"}, "1.2", "60s", []))
        r.weft.wait("heartbeat", 3)


@runners
def a_sync_stage_is_answered_with_its_end(program):
    with running(program) as r:
        checks = [{"name": "builds", "data": {"n": 1}}, {"name": "tests", "failure": "two are red"}]
        report = r.worker().run("7.1", args={"checks": checks}, checks=["builds", "tests"],
                                deadline=4000000000)
        tap.equal((report.outcome, report.final, report.HasField("error")), ("succeeded", False, False))
        tap.contains(report.result.replace(" ", ""), '"checks":[["builds","question",{"deep":true},"FINAL"]')
        tap.contains(report.result.replace(" ", ""), '"deadline":4000000000')
        builds, tests = report.checks
        tap.equal((builds.check, builds.data.replace(" ", ""), builds.finalize, builds.HasField("failure")),
                  ("builds", '{"n":1}', True, False))
        tap.equal((tests.check, tests.data, tests.failure.code, tests.failure.message),
                  ("tests", "", "failed", "two are red"))
        tap.equal(r.weft.of("complete"), [])


@runners
def a_failure_has_a_code_and_may_be_final(program):
    with running(program) as r:
        report = r.worker().run("7.1", args={"failed": "too warm", "final": True})
        tap.equal((report.outcome, report.error.code, report.error.message, report.final),
                  ("failed", "odd", "too warm", True))
        report = r.worker().run("7.2", args={"raise": "too cold"})
        tap.equal((report.outcome, report.final), ("failed", False))
        tap.contains(report.error.code, "Error")
        tap.contains(report.error.message, "too cold")
        report = r.worker().run("7.3", args={"no_json": True})
        tap.equal((report.outcome, report.HasField("result")), ("failed", False))


@in_python_and_node
def an_error_without_words_frees_its_slot(program):
    with running(program) as r:
        report = r.worker().run("7.1", args={"speechless": True})
        tap.equal((report.outcome, report.error.code), ("failed", "Error" if program[0] == "node" else "Speechless"))
        tap.contains(report.error.message, "it has no words")
        tap.equal(r.worker().ping().free, 2)


@runners
def an_async_stage_tells_progress_and_its_end(program):
    with running(program) as r:
        reply = r.worker().run_async("7.1", args={
            "progress": [[10, "begun", {"at": "a"}], [90, "nearly", None]],
            "checks": [{"name": "builds", "data": 1}, {"name": "tests", "failure": "red"}]})
        tap.equal((reply.accepted, reply.reason), (True, ""))
        r.weft.wait("complete")
        told = [body["leases"][0] for body in r.weft.of("renew")]
        tap.equal([(t["token"], t["percent"], t["message"], t.get("details")) for t in told],
                  [("7.1", 10, "begun", {"at": "a"}), ("7.1", 90, "nearly", None)])
        end = r.weft.ends()["7.1"]
        tap.equal((end["outcome"], end["result"]["token"]), ("succeeded", "7.1"))
        tap.equal([(c["check"], c.get("data"), c["finalize"], c.get("failure", {}).get("message"))
                   for c in end["checks"]], [("builds", 1, True, None), ("tests", None, True, "red")])


@runners
def what_is_not_its_own_is_refused(program):
    with running(program) as r:
        tap.contains(refused(lambda: r.worker().run("7.1", worker="w99")), "w99")
        tap.equal(r.worker().run_async("7.2", worker="w99").accepted, False)
        refused(lambda: r.worker("async_only").run("7.3"))
        tap.equal(r.worker("sync_only").run_async("7.4").accepted, False)
        refused(lambda: r.worker().run("7.5", type="unheard"))
        tap.equal((r.weft.of("complete"), r.worker().ping().free), ([], 2))


@runners
def it_takes_no_more_than_it_has_slots(program):
    with running(program) as r:
        worker, args = r.worker(), {"until": r.path("go")}
        first = worker.run_later("7.1", args=args)
        tap.equal(worker.run_async("7.2", args=args).accepted, True)
        wait(lambda: worker.ping().free == 0)
        tap.contains(refused(lambda: worker.run("7.3")), "slots")
        tap.equal(worker.run_async("7.4").accepted, False)
        ping = worker.ping()
        tap.equal((ping.runner, ping.worker, list(ping.types), list(ping.modes)),
                  ("doer/do", worker.id, ["do"], ["sync", "async"]))
        tap.equal(r.worker("sync_only").ping().free, -1)
        r.touch("go")
        tap.equal(first.result().outcome, "succeeded")
        r.weft.wait("complete")
        tap.equal((worker.run("7.3").outcome, sorted(r.weft.ends())), ("succeeded", ["7.2"]))


@runners
def a_token_that_comes_again_runs_once(program):
    with running(program) as r:
        worker, args = r.worker(), {"until": r.path("go"), "count": r.path("count")}
        calls = [worker.run_later("7.1", args=args) for _ in range(3)]
        for _ in range(3):
            tap.equal(worker.run_async("7.2", args=args).accepted, True)
        r.touch("go")
        tap.equal([c.result().outcome for c in calls], ["succeeded"] * 3)
        r.weft.wait("complete")
        tap.equal(worker.run("7.1", args=args).outcome, "succeeded")
        tap.equal(worker.run_async("7.2", args=args).accepted, True)
        with open(r.path("count"), encoding="utf-8") as f:
            tap.equal(f.read(), "xx")
        tap.equal(list(r.weft.ends()), ["7.2"])


@in_python_and_node
def what_is_remembered_has_a_limit_in_bytes(program):
    with running(program) as r:
        worker, args = r.worker(), {"count": r.path("count")}
        for n in range(5):
            worker.run_async(f"7.{n}", args={**args, "bytes": 8 << 20})
            r.weft.wait("complete", n + 1)
        for token in ("7.4", "7.0"):  # one is known, the other forgotten
            worker.run_async(token, args=args)
        r.weft.wait("complete", 6)
        with open(r.path("count"), encoding="utf-8") as f:
            tap.equal(f.read(), "x" * 6)


@runners
def a_cancelled_stage_is_told_to_stop(program):
    with running(program) as r:
        worker, args = r.worker(), {"until": r.path("never")}
        sync = worker.run_later("7.1", args=args)
        worker.run_async("7.2", args=args)
        wait(lambda: worker.ping().free == 0)
        worker.cancel("7.1", "it is too late")
        tap.equal((sync.result().outcome, "it is too late" in sync.result().error.message),
                  ("cancelled", True))
        worker.cancel("unknown")
        r.weft.stop = ["7.2"]
        r.weft.wait("complete")
        tap.equal(r.weft.ends()["7.2"]["outcome"], "cancelled")


@runners
def the_deadline_stops_a_stage(program):
    with running(program) as r:
        r.worker().run_async("7.1", args={"until": r.path("never")}, deadline=int(time.time()) + 1)
        r.weft.wait("complete")
        tap.contains(r.weft.ends()["7.1"]["error"]["message"], "deadline")


@runners
def a_result_that_nobody_waits_for_is_told(program):
    with running(program) as r:
        call = r.worker().run_later("7.1", args={"until": r.path("go")})
        wait(lambda: r.worker().ping().free == 1)
        call.cancel()
        again = r.worker().run_later("7.2", args={"until": r.path("go")}, timeout=0.2)
        wait(again.done)
        r.touch("go")
        wait(lambda: len(r.weft.ends()) == 2)
        tap.equal({e["outcome"] for e in r.weft.ends().values()}, {"succeeded"})


@runners
def it_registers_again_with_what_it_works_on(program):
    with running(program) as r:
        first, args = r.worker(), {"until": r.path("go")}
        first.run_async("7.1", args=args)
        first.run_async("7.2", args=args)
        r.weft.lost = ["7.2"]
        r.weft.over.add(first.id)
        body = r.weft.wait("register", 4)
        tap.equal((body["name"], sorted(body["tokens"]), body["takeover"]), ("doer/do", ["7.1", "7.2"], True))
        r.weft.wait("complete")
        tap.equal(r.weft.ends()["7.2"]["outcome"], "cancelled")
        wait(lambda: r.worker().ping().worker == r.worker().id)
        r.touch("go")
        r.weft.wait("complete", 2)
        tap.equal(r.weft.ends()["7.1"]["outcome"], "succeeded")


@runners
def an_end_waits_for_a_server_that_is_away(program):
    with running(program) as r:
        r.weft.away = True
        r.worker().run_async("7.1")
        wait(lambda: r.worker().ping().free == 2)
        r.weft.away = False
        r.weft.wait("complete")
        tap.equal(list(r.weft.ends()), ["7.1"])


@runners
def an_end_that_a_check_does_not_take_is_a_failure(program):
    with running(program) as r:
        r.weft.final.add("builds")
        r.worker().run_async("7.1", args={"checks": [{"name": "builds", "data": 1}]})
        r.weft.wait("complete", 2)
        end = r.weft.ends()["7.1"]
        tap.equal((end["outcome"], end["error"], "checks" in end),
                  ("failed", {"code": "result_refused", "message": "check_final"}, False))


@runners
def sigterm_lets_stages_end(program):
    with running(program) as r:
        worker, args = r.worker(), {"until": r.path("go")}
        sync = worker.run_later("7.1", args=args)
        worker.run_async("7.2", args=args)
        wait(lambda: worker.ping().free == 0)
        r.process.send_signal(signal.SIGTERM)
        r.weft.wait("drain", 3)
        tap.equal(worker.run_async("7.3").accepted, False)
        tap.equal(r.weft.of("deregister"), [])
        r.touch("go")
        tap.equal(sync.result().outcome, "succeeded")
        tap.equal(r.process.wait(SECONDS_MAX), 0)
        tap.equal((list(r.weft.ends()), len(r.weft.of("deregister"))), (["7.2"], 3))


@runners
def a_call_may_come_before_the_answer_to_its_registration(program):
    early = []

    def setup(weft):
        def call(worker):
            if worker.told["type"] == "do":
                early.append(worker.run_later("7.1"))
                time.sleep(0.2)  # it is on its way, and must not be answered
                tap.equal(early[0].done(), False)
        weft.registering = call

    with running(program, setup):
        tap.equal(early[0].result().outcome, "succeeded")


@runners
def a_call_whose_time_is_over_begins_nothing(program):
    late = []

    def setup(weft):
        def call(worker):
            if worker.told["type"] == "do":
                # Both wait in the runner for the answer to its registration until their time is over.
                late.append(worker.run_later("7.1", timeout=0.2))
                late.append(worker.run_async_later("7.2", timeout=0.2))
                wait(lambda: all(each.done() for each in late))
        weft.registering = call

    with running(program, setup) as r:
        tap.equal([each.code() for each in late], [grpc.StatusCode.DEADLINE_EXCEEDED] * 2)
        tap.equal(r.worker().run("7.3").outcome, "succeeded")
        r.process.send_signal(signal.SIGTERM)
        tap.equal(r.process.wait(SECONDS_MAX), 0)  # what was begun would have been told by now
        tap.equal(r.weft.ends(), {})


# In C alone, which has fewer threads than slots where it is told so.


@tap.case
def a_stage_that_waits_for_a_thread_until_its_call_is_over_is_not_begun():
    with running([C, "1"]) as r:
        worker, count = r.worker(), {"count": r.path("count")}
        first = worker.run_later("7.1", args={"until": r.path("go")})
        wait(lambda: worker.ping().free == 1)
        refused(lambda: worker.run_async("7.2", timeout=0.2, args=count),
                grpc.StatusCode.DEADLINE_EXCEEDED)
        wait(lambda: worker.ping().free == 1)
        late = worker.run_later("7.3", timeout=0.2, args=count)
        refused(late.result, grpc.StatusCode.DEADLINE_EXCEEDED)
        wait(lambda: worker.ping().free == 1)
        second = worker.run_later("7.4")
        wait(lambda: worker.ping().free == 0)
        r.touch("go")
        tap.equal((first.result().outcome, second.result().outcome), ("succeeded", "succeeded"))
        tap.equal((os.path.exists(r.path("count")), r.weft.ends()), (False, {}))


@tap.case
def a_token_that_json_does_not_take_as_it_is_is_refused():
    with running([C]) as r:
        for token in ("", '7"1', "7\\1", "7 1", "7\n1", "7ä1", "7" * 24):
            refused(lambda t=token: r.worker().run(t), grpc.StatusCode.INVALID_ARGUMENT)
            tap.equal(r.worker().run_async(token).accepted, False)
        tap.equal(r.worker().ping().free, 2)


@tap.case
def a_queued_async_stage_is_accepted_when_it_begins():
    with running([C, "1"]) as r:
        worker = r.worker()
        first = worker.run_later("7.1", args={"until": r.path("go")})
        wait(lambda: worker.ping().free == 1)
        second = worker.run_async_later("7.2")
        wait(lambda: worker.ping().free == 0)
        tap.equal(second.done(), False)
        r.touch("go")
        tap.equal((first.result().outcome, second.result().accepted), ("succeeded", True))
        r.weft.wait("complete")
        tap.equal(r.weft.ends()["7.2"]["outcome"], "succeeded")


@tap.case
def no_more_than_a_thousand_ends_are_remembered():
    with running([C]) as r:
        worker, args = r.worker("sync_only"), {"count": r.path("count")}
        worker.run("7.0", args=args)
        for n in range(1, 1000):
            worker.run(f"7.{n}")
        worker.run("7.0", args=args)
        tap.equal(os.path.getsize(r.path("count")), 1)
        worker.run("7.1000")
        worker.run("7.0", args=args)
        tap.equal(os.path.getsize(r.path("count")), 2)


@tap.case
def what_does_not_end_in_time_is_told_to_stop_and_left_to_others():
    with running([C, "0", "100"]) as r:
        worker = r.worker()
        sync = worker.run_later("7.1", args={"until": r.path("never")})
        worker.run_async("7.2", args={"until": r.path("never")})
        wait(lambda: worker.ping().free == 0)
        r.process.send_signal(signal.SIGTERM)
        refused(sync.result, grpc.StatusCode.UNAVAILABLE)
        tap.equal(r.process.wait(SECONDS_MAX), 0)
        tap.equal((r.weft.ends(), len(r.weft.of("deregister"))), ({}, 3))


@tap.case
def a_runner_in_c_with_a_certificate_speaks_tls():
    if not shutil.which("openssl"):
        raise tap.Skip("there is no openssl")
    with tempfile.TemporaryDirectory(prefix="weft-") as folder:
        key, certificate = (os.path.join(folder, name) for name in ("key.pem", "cert.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", certificate,
                        "-days", "2", "-subj", "/CN=runner", "-addext", "subjectAltName=IP:127.0.0.1"],
                       check=True, capture_output=True)
        with open(certificate, "rb") as f, running([C, "0", "0", certificate, key]) as r:
            worker = r.worker()
            tap.equal(worker.told["address"].startswith("https://127.0.0.1:"), True)
            with grpc.secure_channel(worker.told["address"].removeprefix("https://"),
                                     grpc.ssl_channel_credentials(f.read())) as channel:
                worker.use(channel)
                tap.equal(worker.run("7.1").outcome, "succeeded")


@tap.case
def a_start_in_c_that_fails_takes_leave_of_what_it_had_registered():
    with running([C], lambda weft: weft.refused.add("async_only")) as r:
        tap.equal(r.process.wait(SECONDS_MAX), 1)
        tap.equal(len(r.weft.of("deregister")), 2)


@tap.case
def a_stage_that_never_ends_does_not_keep_the_process():
    with running(PROGRAMS["python"], PATIENCE="0.2") as r:
        worker, args = r.worker(), {"until": r.path("never"), "deaf": True}
        sync = worker.run_later("7.1", args=args)
        worker.run_async("7.2", args=args)
        wait(lambda: worker.ping().free == 0)
        r.process.send_signal(signal.SIGTERM)
        tap.equal(r.process.wait(SECONDS_MAX), 0)
        wait(sync.done)
        tap.equal((sync.code() != grpc.StatusCode.OK, r.weft.ends()), (True, {}))


@tap.case
def a_start_that_fails_leaves_no_process():
    program = ("import { Client } from %r;\n"
               "const runner = new Client().runner({ name: 'doer' }).stage('a', () => 1).stage('b', () => 1);\n"
               "await runner.start().catch((error) => console.log(error.code, runner.address));\n")
    with tempfile.TemporaryDirectory(prefix="weft-") as folder, FakeWeft() as fake:
        fake.refused.add("b")
        path = os.path.join(folder, "start.mjs")
        with open(path, "w", encoding="utf-8") as f:
            f.write(program % f"{SOURCE}/sdk/node/lib/index.js")
        done = subprocess.run(["node", path], capture_output=True, text=True, timeout=SECONDS_MAX,
                              env={**os.environ, "WEFT_SERVER": fake.url, "NODE_PATH": node_grpc.modules()})
        tap.equal((done.stdout, done.returncode), ("not_now undefined\n", 0), done.stderr)
        tap.equal(len(fake.of("deregister")), 1)


def threads():
    return {t for t in threading.enumerate() if t.is_alive()}


@tap.case
def a_start_that_fails_leaves_nothing():
    before = threads()
    with FakeWeft() as fake:
        runner = weft.Runner(weft.Client(fake.url), listen=f"127.0.0.1:{free_port()}")
        runner.stage("a")(print)
        runner.stage("b")(print)
        fake.refused.add("b")
        try:
            runner.start()
        except weft.Refused as error:
            tap.equal(error.code, "not_now")
        else:
            raise AssertionError("it was not refused")
        tap.equal(len(fake.of("deregister")), 1)
        wait(lambda: not [t for t in threads() - before if t.name.startswith("weft")])
        fake.refused.clear()
        with runner:  # the port is free again
            tap.equal(fake.wait_worker("b").ping().free, 10)


@tap.case
def without_grpcio_a_runner_says_what_it_needs():
    text = ("import sys; sys.modules['grpc'] = None; import weft\n"
            "r = weft.Runner(weft.Client())\n"
            "r.stage('do')(print)\n"
            "try: r.start()\n"
            "except weft.WeftError as e: print(e)\n")
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": f"{SOURCE}/sdk/python"})
    tap.contains(done.stdout, "python3-grpcio", done.stderr)


tap.main()
