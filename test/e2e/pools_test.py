#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pools of `weft up`: real processes that start, die, are replaced and end with their server."""
import os
import signal
import socket
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import tap  # noqa: E402
from daemon import Refused, Server  # noqa: E402
from world import World  # noqa: E402

CHILD = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "pool", "child.py")


def settings(**pools):
    lines = ["slots: 0", "pools:"]
    for name, (size, args) in pools.items():
        lines += [f"  {name}:", f"    command: [python3, -S, -E, {CHILD}, {args}]", f"    size: {size}",
                  "    overflow: 0", f"    start_batch: {size}", "    grace: 300ms", "    env: {NAME: " + name + "}"]
    return "\n".join(lines if pools else ["slots: 0"]) + "\n"


def begin(w, **pools):
    w.write("weft.yaml", settings(**pools))
    w.env["WEFT_CONFIG"] = w.path("weft.yaml")


def count(s, pool, state="READY"):
    return s.metrics().get(f'weft_pool_processes{{pool="{pool}",state="{state}"}}')


def total(s, pool, what):
    return s.metrics()[f'weft_pool_{what}_total{{pool="{pool}"}}']


def processes(pool):
    """The process ids of a pool of this test, by what weft put into their environment."""
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/environ", "rb") as f:
                env = f.read().split(b"\0")
        except OSError:
            continue
        if b"WEFT_POOL=" + pool.encode() in env:
            found.add(int(pid))
    return found


def named(what):
    return f"{what}-{os.getpid()}"


@tap.case
def processes_live_and_end_with_the_server():
    with World() as w:
        name = named("py")
        begin(w, **{name: (2, "x")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 2)
            tap.equal(len(processes(name)), 2)
            tap.equal(s.end(), 0)
        tap.equal(processes(name), set())


@tap.case
def one_that_is_killed_is_replaced():
    with World() as w:
        name = named("py")
        begin(w, **{name: (2, "x")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 2)
            os.kill(min(processes(name)), signal.SIGKILL)
            lost = s.wait_log("pool_process_lost")
            tap.equal(lost["why"], "it was killed by signal 9 (SIGKILL)")
            w.wait(lambda: count(s, name) == 2)
            tap.equal((total(s, name, "lost"), total(s, name, "started")), (1, 3))
            tap.equal(s.end(), 0)


@tap.case
def what_they_say_on_stderr_is_a_log():
    with World() as w:
        name = named("py")
        begin(w, **{name: (1, "exit")})
        with Server(w) as s:
            lost = s.wait_log("pool_process_lost")
            tap.equal(lost["why"], "it ended with exit code 1: it has no model")
            with open(os.path.join(w.env["WEFT_DATA"], "pools", name, "1.log"), encoding="utf-8") as f:
                tap.equal(f.read(), "it has no model\n")
            tap.equal(s.end(), 0)


@tap.case
def other_settings_renew_start_and_end_them():
    with World() as w:
        same, other, gone, new = (named(n) for n in ("same", "other", "gone", "new"))
        begin(w, **{same: (1, "x"), other: (1, "x"), gone: (1, "x")})
        with Server(w) as s:
            for name in (same, other, gone):
                w.wait(lambda name=name: count(s, name) == 1)
            before = processes(same), processes(other)
            begin(w, **{same: (1, "x"), other: (1, "y"), new: (1, "x")})
            s.interrupt(signal.SIGHUP)
            s.wait_log("config_reloaded")
            tap.equal(s.wait_log("pool_ended")["pool"], gone)
            w.wait(lambda: count(s, new) == 1)
            w.wait(lambda: total(s, other, "recycled") == 1 and len(processes(other)) == 1)
            tap.equal((processes(same) == before[0], processes(other) & before[1]), (True, set()))
            tap.equal((processes(gone), count(s, gone)), (set(), None))
            tap.equal(s.end(), 0)


@tap.case
def none_survives_a_server_that_is_killed():
    with World() as w:
        name = named("py")
        begin(w, **{name: (2, "stubborn")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 2)
            s.process.kill()
            s.process.wait()
            w.wait(lambda: not processes(name))


@tap.case
def those_that_do_not_want_to_end_are_ended():
    with World() as w:
        name = named("py")
        begin(w, **{name: (1, "stubborn")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 1)
            tap.equal(s.end(), 0)
        tap.equal(processes(name), set())


def call(s, pool, command, args=None, **more):
    return s.call("POST", f"/v1/pools/{pool}:call", {"command": command, "args": args, **more})


def refused(s, *args, **more):
    try:
        return call(s, *args, **more)
    except Refused as e:
        return e.status, e.problem["code"], e.problem.get("detail")


@tap.case
def calls_are_answered_and_counted_E_11_E_20():
    with World() as w:
        name = named("py")
        begin(w, **{name: (1, "x")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 1)
            tap.equal(total(s, name, "answered"), 0)
            args = {"deep": [1, {"a": "é"}], "n": 12345678901234567890}
            tap.equal(call(s, name, "echo", args), {"result": args, "failed": False, "opened": False})
            failed = call(s, name, "fail")
            tap.equal((failed["failed"], failed["error"]), (True, {"kind": "Bad", "message": "no"}))
            tap.equal(refused(s, "none", "echo")[:2], (404, "pool_not_found"))
            tap.equal(refused(s, name, "")[:2], (400, "invalid_argument"))
            lost = refused(s, name, "exit")
            tap.equal(lost[:2], (409, "worker_lost"))
            tap.contains(lost[2], "it ended with exit code 3: out of paper")
            tap.equal(call(s, name, "echo", 1)["result"], 1)
            tap.equal(total(s, name, "answered"), 3)
            tap.equal(s.end(), 0)


@tap.case
def a_session_keeps_its_process_E_09_E_19():
    with World() as w:
        name = named("py")
        begin(w, **{name: (2, "x")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 2)
            first = call(s, name, "pid", session="user_123")
            tap.equal(first["opened"], True)
            other = call(s, name, "pid", session="user_456")
            tap.equal(first["result"] != other["result"], True)
            for _ in range(5):
                tap.equal(call(s, name, "pid", session="user_123")["result"], first["result"])
            seen = s.call("GET", f"/v1/pools/{name}/sessions/user_123")
            tap.equal((seen["id"], seen["state"], seen["calls"]), ("user_123", "ACTIVE", 6))
            tap.equal(refused(s, name, "pid", session="user_789", create=False)[:2], (404, "session_not_found"))
            tap.equal(s.call("GET", f"/v1/pools/{name}")["sessions"], 2)
            s.call("POST", f"/v1/pools/{name}/sessions/user_123:end", {})
            tap.equal(s.call("GET", f"/v1/pools/{name}")["sessions"], 1)
            for verb, path in (("GET", ""), ("POST", ":end")):
                try:
                    s.call(verb, f"/v1/pools/{name}/sessions/user_123{path}", {} if path else None)
                    raise AssertionError("it is still there")
                except Refused as e:
                    tap.equal(e.problem["code"], "session_not_found")
            os.kill(other["result"], signal.SIGKILL)
            s.wait_log("pool_process_lost")
            tap.equal(refused(s, name, "pid", session="user_456")[:2], (409, "session_lost"))
            s.call("POST", f"/v1/pools/{name}/sessions/user_456:open", {})
            tap.equal(call(s, name, "session", session="user_456")["result"], "user_456")
            tap.equal(s.end(), 0)


@tap.case
def pools_are_seen_and_renewed():
    with World() as w:
        name = named("py")
        begin(w, **{name: (2, "x")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 2)
            before = processes(name)
            tap.equal([p["name"] for p in s.call("GET", "/v1/pools")["pools"]], [name])
            shown = s.call("GET", f"/v1/pools/{name}")
            tap.equal([p["state"] for p in shown["processes"]], ["READY", "READY"])
            s.call("POST", f"/v1/pools/{name}:recycle", {})
            w.wait(lambda: total(s, name, "recycled") == 2 and len(processes(name)) == 2)
            tap.equal(processes(name) & before, set())
            tap.equal(s.end(), 0)


@tap.case
def a_client_that_goes_away_frees_its_place():
    with World() as w:
        name = named("py")
        begin(w, **{name: (1, "x")})
        with Server(w) as s:
            w.wait(lambda: count(s, name) == 1)
            host = s.url.removeprefix("http://").split(":")
            with socket.create_connection((host[0], int(host[1]))) as c:
                body = b'{"command": "hang"}'
                c.sendall(b"POST /v1/pools/%s:call HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                          b"Content-Length: %d\r\n\r\n%s" % (name.encode(), len(body), body))
                w.wait(lambda: s.metrics()[f'weft_pool_calls{{pool="{name}"}}'] == 1)
            w.wait(lambda: s.metrics()[f'weft_pool_calls{{pool="{name}"}}'] == 0)
            tap.equal(s.wait_log("pool_process_lost")["why"], "it did not answer what it owed")
            tap.equal(call(s, name, "echo", 1)["result"], 1)
            tap.equal(s.end(), 0)


if __name__ == "__main__":
    tap.main()
