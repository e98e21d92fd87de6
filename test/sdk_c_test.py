#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libweft against a real server, through a program that uses it (sdk_c.c); and as it is installed."""
import contextlib
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile

import proxy
import server
import tap

SECONDS_MAX = 60
BUILD = os.environ["WEFT_BUILD"]
PROGRAM = os.path.join(BUILD, "test", "sdk_c")
HEADERS = [os.path.join(server.SOURCE, "src", *path)
           for path in (("client", "weft.h"), ("client", "weft_pool_worker.h"), ("runner", "weft_runner.h"))]


def begin(scenario, *argument, url="http://127.0.0.1:9"):
    return subprocess.Popen([PROGRAM, scenario, *argument], env={**os.environ, "WEFT_SERVER": url},
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def finish(p, text=None):
    """What else it says, by lines."""
    out = p.communicate(text, timeout=SECONDS_MAX)[0]
    tap.equal(p.returncode, 0, str(p.args))
    return out.splitlines()


def play(scenario, *argument, url="http://127.0.0.1:9", text=None):
    with begin(scenario, *argument, url=url) as p:
        return finish(p, text)


def said(p, line):
    tap.equal(p.stdout.readline(), line + "\n")


def go_on(p):
    p.stdin.write("\n")
    p.stdin.flush()


@contextlib.contextmanager
def running():
    with tempfile.TemporaryDirectory(prefix="weft-") as folder, server.Server(folder) as s:
        yield s


def counts(s, queue="mail"):
    return s.client.queue(queue)["counts"]


def shown(s, task):
    return s.client.call("GET", f"/v1/tasks/{task}")


# Without a server.


@tap.case
def bad_arguments_are_refused_before_anything_is_sent_C_04_C_36():
    tap.equal(play("bad"), ["outbox"])


@tap.case
def a_server_that_is_not_there_is_told():
    told = play("away", url=f"http://127.0.0.1:{server.free_port()}")
    tap.equal(told, ["2", "unavailable", "2", "2", "breaker_open"])


def exported(library, *options):
    out = subprocess.run(["nm", "--defined-only", "--format=just-symbols", *options, library],
                         capture_output=True, text=True, check=True).stdout
    return {line for line in out.split() if not line.endswith(":") and not line.startswith("__odr_asan")}


def declared():
    text = ""
    for header in HEADERS:
        with open(header, encoding="utf-8") as f:
            text += re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    return set(re.findall(r"\b(weft_\w+)\((?!\*)(?=[^;]*\);)", text)) - {"weft_handler", "weft_stage_work"}


@tap.case
def the_library_shows_what_the_header_declares_and_nothing_else():
    tap.equal(exported(os.path.join(BUILD, "src", "libweft.so"), "-D"), declared())
    static = exported(os.path.join(BUILD, "src", "libweft.a"), "-g")
    tap.equal(static, declared())


# With one.


@tap.case
def what_is_enqueued_is_claimed_and_completed_C_15_C_16_C_17_C_19():
    with running() as s:
        told = play("life", url=s.url)
        wanted = ['123456789012345678901234567890|', '{"n": 1e400}|k "1"', 'null|']
        tap.equal(sorted(told[:3]), sorted(wanted))
        tap.equal(counts(s, "mail box").get("succeeded"), 3)
        raw = play("call", "tasks.get", url=s.url, text=json.dumps({"id": told[4]}) + "\n")
        tap.contains(raw[0], '"output":123456789012345678901234567890')


@tap.case
def a_failure_is_told_and_becomes_a_dead_letter_C_06_C_10_C_18_C_22():
    odd = "grün, 緑 \" ' \\ <&> "
    with running() as s:
        s.client.put_queue("mail", retry={"max_attempts": 1})
        s.client.enqueue("mail", [1])
        with begin("failure", odd, url=s.url) as p:
            said(p, "failed")
            (dead,) = s.client.dead_letters("mail")
            tap.contains(odd * 1000, dead["message"].removeprefix("odd: "))
            tap.equal(3700 < len(dead["message"].encode()) < 4000, True)
            tap.equal(s.client.requeue("mail"), 1)
            go_on(p)
            finish(p)
        tap.equal(counts(s).get("succeeded"), 1)


@tap.case
def the_flow_tells_how_it_went_C_33_C_34_C_35():
    with running() as s:
        tap.equal(play("flow", url=s.url),
                  ["0 0 0 0.00 0 ", "5 3 2 60.00 2 the handler returned 7"])
        codes = sorted(d["message"] for d in s.client.dead_letters("records"))
        tap.equal(codes, ["TooMuch: it is too much", "error: the handler returned 7"])


@tap.case
def a_guest_claims_without_being_a_worker():
    with running() as s:
        tap.equal(play("guest", url=s.url), ["OK lease_lost", "OK"])
        tap.equal((counts(s).get("succeeded"), counts(s).get("ready")), (1, 1))


@tap.case
def any_method_is_called_by_its_name():
    with running() as s:
        (task,) = s.client.enqueue("a/b", [[1.1]])
        (reply,) = play("call", "tasks.get", url=s.url, text=json.dumps({"id": task}) + "\n")
        tap.equal(json.loads(reply)["queue"], "a/b")
        (reply,) = play("call", "queues.tasks", url=s.url, text='{"queue":"a/b","state":"READY"}\n')
        tap.contains(reply, '"payload":[1.1]')
        tap.equal(play("call", "queues.get", url=s.url, text='{"queue":"no"}\n'), ["1 queue_not_found"])


@tap.case
def work_that_ends_while_the_server_is_away_is_reported_later_B_18():
    with running() as s, tempfile.TemporaryDirectory(prefix="weft-") as folder:
        box = os.path.join(folder, "outbox")
        s.client.enqueue("mail", [1, 2])
        with begin("outage", box, url=s.url) as p:
            said(p, "claimed")
            s.kill()
            go_on(p)
            said(p, "ended")
            with open(box, encoding="utf-8") as f:
                tap.equal([json.loads(line)["result"] for line in f], [None, None])
            s.start()
            said(p, "reported")
            tap.equal((counts(s).get("succeeded"), os.path.getsize(box)), (2, 0))
            go_on(p)
            finish(p)


@tap.case
def what_ended_before_its_process_died_is_reported_by_the_next_one():
    with running() as s, tempfile.TemporaryDirectory(prefix="weft-") as folder:
        box = os.path.join(folder, "outbox")
        (task,) = s.client.enqueue("mail", [1])
        with begin("die", box, url=s.url) as p:
            said(p, "claimed")
            s.kill()
            go_on(p)
            finish(p)
        with open(box, "a", encoding="utf-8") as f:
            f.write('{"token":"12')  # it died within the next line
        s.start()
        tap.equal(play("takeover", box, url=s.url), ["reported", "worker_alive"])
        tap.equal((shown(s, task)["state"], shown(s, task)["output"]), ("SUCCEEDED", 7))


@tap.case
def a_cancelled_task_stops_its_holder_and_what_is_left_goes_back():
    with running() as s:
        s.client.enqueue("mail", [1, 2])
        with begin("cancelled", url=s.url) as p:
            task = p.stdout.readline().strip()
            s.client.call("POST", f"/v1/tasks/{task}:cancel")
            tap.equal(finish(p), ["closed"])
        tap.equal(shown(s, task)["state"], "CANCELLED")
        tap.equal(counts(s).get("ready"), 1)


@tap.case
def a_worker_that_was_given_up_stops_its_tasks_and_goes_on():
    with running() as s:
        s.client.enqueue("mail", [1])
        with begin("lost", url=s.url) as p:
            said(p, "claimed")
            other = s.client.worker("w1", takeover=True)
            other._register()  # pylint: disable=protected-access
            tap.equal(finish(p), ["4 lease_lost"])
        tap.equal(counts(s).get("succeeded"), 1)


@tap.case
def many_workers_share_a_queue_and_none_gets_what_another_has_C_24_C_37_C_39():
    with running() as s:
        ids = s.client.enqueue("mail", list(range(200)))
        play("crowd", url=s.url)
        tokens = {shown(s, task)["output"] for task in ids}
        tap.equal((counts(s).get("succeeded"), len(tokens)), (200, 200))


@tap.case
def a_result_that_is_not_taken_fails_its_task_alone():
    with running() as s:
        s.client.put_queue("mail", retry={"max_attempts": 1})
        s.client.enqueue("mail", [1, 2, 3])
        play("results", url=s.url)
        told = counts(s)
        tap.equal(told.get("running", 0) + told.get("leased", 0), 0)
        tap.equal((told.get("ready"), told.get("succeeded", 0) + told.get("failed", 0)), (1, 2))


@tap.case
def a_signal_ends_the_run_in_order():
    with running() as s:
        s.client.enqueue("mail", [1])
        with begin("run", url=s.url) as p:
            said(p, "1")
            p.send_signal(signal.SIGTERM)
            tap.equal(finish(p), ["stopped"])
        tap.equal(counts(s).get("succeeded"), 1)


@tap.case
def a_queue_that_is_made_later_is_waited_for():
    with running() as s, begin("later", url=s.url) as p:
        said(p, "queue_not_found")
        s.wait_calls("queues.claim", "queue_not_found", 4)
        s.client.enqueue("later", [7])
        tap.equal(finish(p), ["7"])


def late_try(reset):
    with running() as s, proxy.Proxy(s.port) as net:
        net.hold_and_reset = reset
        s.client.enqueue("mail", [1])
        with begin("late", url=f"http://127.0.0.1:{net.port}") as p:
            said(p, "1")
            net.hold = b":claim"
            go_on(p)
            said(p, "0")
            s.client.enqueue("mail", [2])
            tap.equal(net.deliver()[0], 409)
            go_on(p)
            tap.equal(finish(p), ["1"])
        tap.equal(counts(s).get("succeeded"), 2)


@tap.case
def a_claim_that_comes_late_leases_nothing():
    late_try(reset=False)


@tap.case
def a_claim_that_comes_late_over_a_connection_that_was_reset_leases_nothing():
    late_try(reset=True)


# As other people get it.


def install(folder):
    """The library in a place of its own; the environment in which pkg-config finds it."""
    env = {**os.environ, "DESTDIR": folder}
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--tags",
                    "devel,runtime"], env=env, check=True, stdout=subprocess.DEVNULL)
    found = [p for p, _, files in os.walk(folder) if "weft.pc" in files]
    tap.equal(len(found), 1)
    return {**os.environ, "PKG_CONFIG_PATH": found[0], "PKG_CONFIG_SYSROOT_DIR": folder,
            "LD_LIBRARY_PATH": os.path.dirname(found[0])}


def pkg_config(env, *args):
    out = subprocess.run(["pkg-config", *args], env=env, capture_output=True, text=True, check=True)
    return shlex.split(out.stdout)


STATIC = ["-lcurl", "-ljansson", "-lnghttp2", "-lssl", "-lcrypto", "-lprotobuf-c", "-lsodium", "-luv",
          "-lm", "-pthread"]


def compile_example(env, out, flags, example="records/worker.c"):
    source = os.path.join(server.SOURCE, "examples", example)
    command = [os.environ.get("CC", "cc"), "-Wall", "-Wextra", "-Werror", "-o", out, source, *flags]
    subprocess.run(command, env=env, check=True)


def refuse_sanitizers():
    if exported(os.path.join(BUILD, "src", "libweft.so"), "-u", "-D") & {"__asan_init"}:
        raise tap.Skip("a library with sanitizers needs a program with them")


@tap.case
def the_runner_of_the_example_does_the_stages_of_its_plan():
    refuse_sanitizers()
    example = os.path.join(server.SOURCE, "examples", "runner")
    with running() as s, tempfile.TemporaryDirectory(prefix="weft-") as folder:
        env = {**install(folder), "WEFT_SERVER": s.url}
        program = os.path.join(folder, "count")
        compile_example(env, program, pkg_config(env, "--cflags", "--libs", "weft", "jansson"),
                        "runner/count.c")

        def weft(*words):
            return subprocess.run([server.WEFT, "runs", *words], env=env, check=True, text=True,
                                  stdout=subprocess.PIPE, timeout=SECONDS_MAX).stdout

        with subprocess.Popen([program], env=env) as p:
            run = weft("create", "lines").strip()
            weft("write", run, os.path.join(example, "plan.yaml"))
            weft("seal", run)
            told = weft("watch", run)
            p.terminate()
            tap.equal(p.wait(SECONDS_MAX), 0)
        tap.contains(told, f"run {run} of lines SUCCEEDED")
        tasks = s.client.call("POST", f"/v1/runs/{run}:query", {})["tasks"]
        found = {t["name"]: t.get("output") for t in tasks if "check" not in t}
        for name, file in (("gpl", "GPL-3"), ("apache", "Apache-2.0")):
            with open(f"/usr/share/common-licenses/{file}", encoding="utf-8") as f:
                tap.equal(found[name], {"lines": len(f.readlines())}, name)
        (check,) = [t for t in tasks if "check" in t]
        tap.equal((check["state"], len(check["check"]["results"])), ("SUCCEEDED", 2))
        workers = s.client.call("GET", "/v1/workers").get("workers", [])
        tap.equal([w["state"] for w in workers if w.get("type") == "count"], [])


@tap.case
def the_example_is_built_against_the_installed_library_and_labels_as_the_others_do():
    refuse_sanitizers()
    sys.path.insert(0, os.path.join(server.SOURCE, "examples", "records"))
    import worker  # pylint: disable=import-outside-toplevel,import-error

    with running() as s, tempfile.TemporaryDirectory(prefix="weft-") as folder:
        env = install(folder)
        program, static = os.path.join(folder, "worker"), os.path.join(folder, "static")
        compile_example(env, program, pkg_config(env, "--cflags", "--libs", "weft", "jansson"))
        archive = os.path.join(env["LD_LIBRARY_PATH"], "libweft.a")
        compile_example(env, static, [*pkg_config(env, "--cflags", "weft"), archive, *STATIC])
        s.client.put_queue("records", retry={"max_attempts": 1})
        fill = os.path.join(server.SOURCE, "examples", "records", "fill.py")
        records = [json.loads(line) for line in subprocess.run(
            [sys.executable, fill], capture_output=True, check=True).stdout.splitlines()]
        ids = [i for at in range(0, len(records), 1000)
               for i in s.client.enqueue("records", records[at:at + 1000])]
        both = [subprocess.Popen([p], env={**env, "WEFT_SERVER": s.url}, stdout=subprocess.PIPE,
                                 text=True) for p in (program, static)]
        told = [p.communicate(timeout=SECONDS_MAX)[0] for p in both]
        tap.equal([p.returncode for p in both], [0, 0])
        tap.equal(sum(int(re.search(r": (\d+) records", t)[1]) for t in told), len(records))
        for task, record in list(zip(ids, records))[::23]:
            try:
                wanted = ("SUCCEEDED", worker.label(record))
            except ValueError:
                wanted = ("FAILED", None)
            found = shown(s, task)
            tap.equal((found["state"], found.get("output")), wanted, record["name"])
        good = 0
        for record in records:
            with contextlib.suppress(ValueError):
                good += bool(worker.label(record))
        tap.equal(counts(s, "records").get("succeeded"), good)


tap.main()
