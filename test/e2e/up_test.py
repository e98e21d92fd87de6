#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`weft up`: how it starts, is set, carries runs, drains, dies and comes back."""
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "net"))
import fake  # noqa: E402
import tap  # noqa: E402
from daemon import Refused, Server  # noqa: E402
from world import World, on_both_stores, outcomes  # noqa: E402

RSS_KIB_MAX = 15 << 10
# A task that is there until it may end, and says both.
HELD = ["sh", "-c", "log start $WEFT_TASK; while [ ! -e $WORLD/go ]; do sleep 0.02; done; log end $WEFT_TASK"]
LONG = ["sh", "-c", "log there $WEFT_TASK; exec sleep 100"]


def put(w, tasks, **more):
    w.json("workflows", "put", w.workflow(tasks, **more))


def start(w, s, tasks, **more):
    """A run that the server carries; its id."""
    put(w, tasks, **more)
    return s.call("POST", "/v1/runs", {"workflow": more.get("name", "test"), "dir": w.folder})["id"]


def ended(w, s, run):
    w.wait(lambda: s.call("GET", f"/v1/runs/{run}")["state"] not in ("RUNNING", "CANCELLING"))
    return s.call("GET", f"/v1/runs/{run}")


@tap.case
def it_is_ready_and_small_and_says_where():
    with World() as w, Server(w) as s:
        print(f"# started in {s.seconds:.3f} s, {s.rss_kib()} KiB")
        assert s.rss_kib() < RSS_KIB_MAX, s.rss_kib()
        tap.equal(s.get("/livez"), (200, "ok\n"))
        tap.equal(s.get("/readyz"), (200, "ready\n"))
        document = json.loads(s.get("/openapi.json")[1])
        tap.equal("/v1/runs" in document["paths"], True)
        tap.equal(s.call("GET", "/v1/status")["health"], "healthy")
        tap.equal(s.get("/nothing")[0], 404)
        tap.equal(s.metrics()["weft_ready"], 1)
        sizes = {k: v for k, v in s.metrics().items() if k.startswith('weft_store_batch_requests_bucket{thread="writer"')}
        tap.equal((len(sizes), list(sizes.values())), (12, sorted(sizes.values())))
        w.wait(lambda: s.metrics().get("weft_workers") == 1)
        tap.equal(s.end(), 0)


@tap.case
def what_large_requests_took_is_given_back():
    with World() as w, Server(w) as s:
        s.call("PUT", "/v1/queues/mail", {})
        tasks = [{"payload": {"number": n, "text": "x" * 100}} for n in range(10000)]

        def add():
            for _ in range(3):
                s.call("POST", "/v1/queues/mail:enqueue", {"tasks": tasks})

        adders = [threading.Thread(target=add) for _ in range(4)]
        for adder in adders:
            adder.start()
        for adder in adders:
            adder.join()
        tap.equal(s.call("GET", "/v1/queues/mail")["counts"]["ready"], 120000)
        w.wait(lambda: s.rss_kib() < 48 << 10)


@tap.case
def a_service_manager_hears_of_it():
    with World() as w:
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(w.path("notify"))
        manager.settimeout(30)
        with Server(w, env={"NOTIFY_SOCKET": w.path("notify"), "WATCHDOG_USEC": "400000"}) as s:
            def hear(beginning):
                while True:
                    text = manager.recv(4096).decode()
                    if text.startswith(beginning):
                        return text
                    tap.equal(text, "WATCHDOG=1")

            tap.contains(hear("READY=1\n"), s.url.removeprefix("http://"))
            tap.equal(manager.recv(4096), b"WATCHDOG=1")
            s.interrupt(signal.SIGHUP)
            hear("RELOADING=1\nMONOTONIC_USEC=")
            hear("READY=1")
            s.interrupt(signal.SIGTERM)
            hear("STOPPING=1")
            tap.equal(s.process.wait(20), 0)
        manager.close()


@tap.case
def settings_come_from_file_environment_and_flags():
    with World() as w:
        w.write("weft.yaml", "drain: 5s\nslots: 1\nlog: {level: warning}\n")
        w.env.update(WEFT_CONFIG=w.path("weft.yaml"), WEFT_DRAIN="6s")
        shown = w.json("config", "show", "--set", "limits.body=1MiB")
        by = {s["key"]: (s["value"], s["from"], s["where"]) for s in shown["settings"]}
        tap.equal(by["slots"], ("1", "file", f"{w.path('weft.yaml')}:2"))
        tap.equal(by["drain"], ("6s", "environment", "WEFT_DRAIN"))
        tap.equal(by["limits.body"], ("1MiB", "flag", "--set"))
        tap.equal(by["listen"][:2], ("127.0.0.1:7411", "default"))
        tap.equal((by["limits.head"][0], by["duties"][0]), ("16KiB", "3s"))
        with Server(w) as s:
            workers = w.wait(lambda: s.call("GET", "/v1/status")["workers"])
            tap.equal([(x["slots"], x["ahead"]) for x in workers], [(1 + 64, 64)], "taken ahead")
            title, worker = w.weft("workers", "list").out.splitlines()
            tap.equal(worker[:title.index("SLOTS") + len("SLOTS")].split()[-1], "1")
            rows = w.json("bench", "--callers", "2", "--count", "300", "--rate", "1000")["results"]
            tap.equal([(r["kind"], r["tasks"]) for r in rows],
                      [("enqueue", 300), ("work", 300), ("start", 250)], "not so many at a rate")
            row = w.json("bench", "start", "--callers", "2", "--count", "20", "--rate", "1000")
            tap.equal(row["tasks"], 20)


@tap.case
def a_mistake_in_the_settings_is_told_with_its_place():
    with World() as w:
        w.write("weft.yaml", "drain: 5s\nlimts:\n  body: 1MiB\nslots: many\n")
        for args in (["config", "check", "weft.yaml"], ["up", "--config", "weft.yaml"]):
            done = w.weft(*args)
            tap.equal(done.returncode, 2)
            tap.contains(done.err, 'weft.yaml:2:1: there is no setting "limts"')
            tap.contains(done.err, 'weft.yaml:4:8: slots is "many"')
        done = w.weft("up", "--listen", "0.0.0.0:0")
        tap.equal(done.returncode, 2)
        tap.contains(done.err, "other machines reach")
        tap.equal(w.weft("up", "--set", "drain").returncode, 2)
        w.write("weft.yaml", "drain: 5s\n")
        tap.equal(w.weft("config", "check", "weft.yaml").returncode, 0)


@tap.case
def sighup_takes_a_good_file_and_refuses_a_bad_one():
    with World() as w:
        file = w.write("weft.yaml", "limits: {body: 1MiB}\n")
        put_big = {"source": "#" * (1200 << 10), "format": "yaml"}
        with Server(w, "--config", file) as s:
            def status():
                try:
                    s.call("PUT", "/v1/workflows", put_big)
                except Refused as e:
                    return e.status
            url = s.call("GET", "/v1/status")["store"]["url"]
            tap.equal(status(), 413)
            w.write("weft.yaml", "limits: {body: 9MiB}\nslots: none\n")
            s.interrupt(signal.SIGHUP)
            refused = s.wait_log("config_refused")
            tap.equal((refused["line"], refused["column"]), (2, 8))
            tap.equal(status(), 413, "the old settings stay whole")
            w.write("weft.yaml", "limits: {body: 9MiB}\nslots: 7\n")
            s.interrupt(signal.SIGHUP)
            s.wait_log("config_reloaded")
            tap.equal(s.wait_log("config_needs_restart")["key"], "slots")
            tap.equal(status() != 413, True, "new requests are judged by the new settings")
            tap.equal(s.call("GET", "/v1/status")["store"]["url"], url, "the store is the same")
            tap.equal(s.end(), 0)


@tap.case
def a_run_on_the_server_is_followed_from_here():
    with World() as w, Server(w) as s:
        with w.begin("run", w.workflow({
                "a": {"sh": "echo hello; echo '{\"n\": 7}' > $WEFT_OUTPUT"},
                "b": {"needs": ["a"], "run": ["echo", "n is ${tasks.a.output.n}"]}})) as p:
            tap.equal(p.end(), 0, "the exit status")
        for line in ("a RUNNING attempt 1", "b SUCCEEDED", "run 1 SUCCEEDED"):
            tap.contains(p.out, line)
        tap.contains(w.weft("runs", "logs", "1", "b").out, "n is 7")
        with w.begin("run", w.workflow({"x": {"run": ["false"]}}), "-o", "json") as p:
            tap.equal(p.run()["state"], "FAILED")
        tap.equal(p.returncode, 1)
        tap.equal(w.weft("runs", "watch", "2").returncode, 1)
        tap.equal(w.weft("runs", "show", "99").returncode, 3)
        tap.equal(w.json("runs", "list")["runs"][0]["id"], "2")
        tap.equal(s.end(), 0)


@tap.case
def a_run_is_followed_by_its_stream_through_a_restart():
    with World() as w:
        with Server(w) as s:
            run = start(w, s, {"a": {"run": HELD}})
            p = w.begin("runs", "watch", run, "-o", "jsonl")
            w.wait(lambda: s.metrics()["weft_calls_running"] == 1 and w.ledger() == ["start a"])
            tap.equal([m for m in s.metrics() if "events.list" in m], [], "nothing is polled")
            s.process.kill()
            s.process.wait()
        with p:
            w.write("go", "")
            with Server(w, listen=s.url.removeprefix("http://")) as s:
                tap.equal(p.end(), 0, "the exit status")
                wanted = [e["seq"] for e in s.call("GET", f"/v1/events?run={run}")["events"]]
                tap.equal(s.end(), 0)
        told = [e["seq"] for e in map(json.loads, p.out.splitlines()) if "kind" in e]
        tap.equal(told, wanted[wanted.index(told[0]):], "each once and in order")
        tap.contains(p.err, "the server is back")


@tap.case
def logs_are_followed_by_their_streams_through_a_restart():
    # Two tasks write to both of their streams, before, while and after the server is away.
    script = ("for i in $(seq 1 40); do echo $WEFT_TASK $i; echo oh $i >&2; sleep 0.05; done; log end;"
              "while ! test -e $WORLD/go; do sleep 0.05; done; echo last $WEFT_TASK")
    with World() as w:
        listen = None
        tasks = {name: {"sh": script, "retry": {"max_attempts": 1}} for name in "ab"}
        with Server(w, ask=False) as s:
            listen = s.url.removeprefix("http://")
            with w.begin("run", w.workflow(tasks), "-q", "-j", "2") as carrier:
                run = w.wait(lambda: [r["id"] for r in s.call("GET", "/v1/runs")["runs"]])[0]
                p = w.begin("runs", "logs", run, "-f", "-o", "jsonl", "--server", s.url)
                w.wait(lambda: s.metrics()["weft_calls_running"] == 5)  # events and four logs
                tap.equal([m for m in s.metrics() if "events.list" in m], [], "nothing is polled")
                s.process.kill()
                s.process.wait()
                with p, Server(w, listen=listen, ask=False) as s:
                    w.wait(lambda: s.metrics()["weft_calls_running"] == 5)
                    w.write("go", "")
                    tap.equal(p.end(), 0, p.err)
                    tap.equal(carrier.end(), 0)
        told = {}
        for piece in map(json.loads, p.out.splitlines()):
            told.setdefault((piece["task"], piece["stream"]), []).append(piece["text"])
        for name in "ab":
            tap.equal("".join(told[name, "stdout"]).splitlines(),
                      [f"{name} {i}" for i in range(1, 41)] + [f"last {name}"])
            tap.equal("".join(told[name, "stderr"]).splitlines(), [f"oh {i}" for i in range(1, 41)])
        tap.contains(p.err, "the server is back")


@tap.case
def commands_speak_tls_and_show_who_they_are():
    with World() as w:
        certs = fake.Certificates(w.path("certs"))
        ca, cert, key = (certs.file(f) for f in ("ca.pem", "client.pem", "client.key"))
        served = ["--set", f"tls.cert={certs.file('server.pem')}", "--set", f"tls.key={certs.file('server.key')}"]
        with Server(w, *served) as s:
            tap.equal(s.url.startswith("https://127.0.0.1:"), True, s.url)
            done = w.weft("status")
            tap.equal(done.returncode, 7, done.err)
            tap.contains(done.err, "certificate")
            w.env["WEFT_CA"] = ca
            tap.equal(w.weft("status").returncode, 0)
            tap.equal(w.run({"a": {"run": ["true"]}})["state"], "SUCCEEDED", "a run, followed")
            tap.equal(s.end(), 0)
        with Server(w, *served, "--set", f"tls.client_ca={ca}") as s:
            tap.equal(w.weft("status").returncode, 7, "without a certificate")
            w.env.update(WEFT_CERT=cert, WEFT_KEY=key)
            tap.equal(w.weft("status").returncode, 0)
            tap.equal(w.run({"a": {"run": ["true"]}})["state"], "SUCCEEDED")
            tap.equal(s.end(), 0)


@tap.case
def ctrl_c_cancels_the_run_on_the_server():
    with World() as w, Server(w):
        with w.start({"a": {"run": LONG}}) as p:
            w.wait(lambda: w.ledger() == ["there a"])
            p.interrupt()
            tap.equal(p.run()["state"], "CANCELLED")
        tap.equal(p.returncode, 1)
        tap.contains(p.err, "cancelling the run")
        w.wait(lambda: not w.processes())


@tap.case
def a_server_that_is_not_there_is_told():
    with World() as w:
        done = w.weft("status", "--server", "http://127.0.0.1:1")
        tap.equal(done.returncode, 7)
        tap.contains(done.err, "cannot be reached")
        tap.equal(w.weft("status", "--server", "127.0.0.1").returncode, 2)


@tap.case
def runs_share_the_slots():
    """A large run does not keep a small one waiting."""
    with World() as w, Server(w, "-j", "2") as s:
        large = start(w, s, {f"t{i}": {"run": HELD} for i in range(8)}, name="large")
        w.wait(lambda: len(w.ledger()) == 2)
        small = start(w, s, {"s": {"run": HELD}}, name="small")
        w.write("go", "")
        ended(w, s, large)
        tap.equal(ended(w, s, small)["state"], "SUCCEEDED")
        order = [l for l in w.ledger() if l.startswith("start")]
        assert order.index("start s") <= 5, order
        tap.equal(s.end(), 0)


@tap.case
def a_local_run_is_left_alone():
    with World() as w, Server(w, ask=False) as s:
        with w.start({"a": {"run": LONG}}) as p:
            w.wait(lambda: w.ledger())
            worker = s.call("GET", "/v1/status")["workers"]
            tap.equal(sorted(x["busy"] for x in worker), [0, 1])
            p.interrupt()
            p.end()
        tap.equal(w.ledger(), ["there a"])
        tap.equal(s.end(), 0)


@tap.case
def it_drains_before_it_ends():
    with World() as w, Server(w, "-j", "1", "--set", "drain=20s") as s:
        run = start(w, s, {"a": {"run": HELD}, "b": {"run": HELD, "needs": ["a"]}})
        w.wait(lambda: w.ledger() == ["start a"])
        s.interrupt(signal.SIGTERM)
        s.wait_log("draining")
        w.write("go", "")
        tap.equal(s.process.wait(20), 0)
        tap.equal(w.ledger(), ["start a", "end a"], "what runs ends, nothing new begins")
        del w.env["WEFT_SERVER"]
        shown = w.json("runs", "show", run)
        tap.equal([t["state"] for t in shown["tasks"]], ["SUCCEEDED", "READY"])
        tap.equal(w.json("status")["workers"], [])


@tap.case
def what_runs_longer_than_the_drain_counts_as_lost():
    with World() as w, Server(w, "--set", "drain=0s") as s:
        run = start(w, s, {"a": {"run": LONG}})
        w.wait(lambda: w.ledger())
        begun = time.monotonic()
        tap.equal(s.end(), 0)
        assert time.monotonic() - begun < 10
        tap.equal(w.processes(), [])
        del w.env["WEFT_SERVER"]
        tap.equal(outcomes(w.json("runs", "show", run), "a"), ["lost"])


@tap.case
def a_second_signal_ends_it_at_once():
    with World() as w, Server(w) as s:
        start(w, s, {"a": {"run": LONG}})
        w.wait(lambda: w.ledger())
        s.interrupt(signal.SIGINT)
        s.wait_log("draining")
        tap.equal(s.end(signal.SIGINT), -signal.SIGINT)
        s.wait_log("ended_at_once")
        w.wait(lambda: not w.processes())


@tap.case
def a_file_has_one_server_and_commands_beside_it():
    with World() as w, Server(w, ask=False) as s:
        done = w.weft("up", "--listen", "127.0.0.1:0")
        tap.equal(done.returncode, 7)
        tap.contains(done.err, f"another server (process id {s.pid})")
        tap.equal(w.run({"a": {"run": ["true"]}})["state"], "SUCCEEDED")
        tap.equal(len(s.call("GET", "/v1/runs")["runs"]), 1)
        tap.equal(s.end(), 0)


@tap.case
def the_folder_of_the_store_is_made():
    with World() as w, Server(w, "--store", f"sqlite:{w.path('deep/er/weft.db')}") as s:
        tap.equal(s.call("GET", "/v1/status")["health"], "healthy")
        tap.equal(s.end(), 0)
    with World() as w:
        w.write("file", "")
        done = w.weft("up", "--listen", "127.0.0.1:0", "--store", f"sqlite:{w.path('file/weft.db')}")
        tap.equal(done.returncode, 7)
        tap.contains(done.err, "file/weft.db")


@tap.case
def who_hangs_up_while_it_waits_takes_nothing():
    body = b'{"worker":"gone","max":1,"wait":"30s"}'
    ask = (b"POST /v1/queues/q:claim HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
           b"Content-Length: %d\r\n\r\n" % len(body)) + body
    with World() as w, Server(w) as s:
        s.call("PUT", "/v1/queues/q", {})
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", int(s.url.rsplit(":", 1)[1]))) as c:
                c.sendall(ask)
                w.wait(lambda: s.metrics()["weft_calls_running"] == 1)
            w.wait(lambda: s.metrics()["weft_calls_running"] == 0)
            s.call("POST", "/v1/queues/q:enqueue", {"tasks": [{"payload": 1}]})
            got = s.call("POST", "/v1/queues/q:claim", {"worker": "me", "max": 9})["leases"]
            tap.equal(len(got), 1, "the task waits for nobody who is gone")


@tap.case
def a_start_in_vain_bears_signals():
    with World() as w:
        p = w.begin("up", "--listen", "127.0.0.1:0", "--store", "postgres://127.0.0.1:1/none")
        while b"store_trouble" not in p.stderr.readline():
            pass
        p.interrupt(signal.SIGHUP)
        begun = time.monotonic()
        p.interrupt(signal.SIGTERM)
        tap.equal((p.end(), time.monotonic() - begun < 2), (0, True))
        tap.equal("store_trouble" in p.err, False, p.err)  # it is not over


@tap.case
def a_start_whose_store_does_not_answer_ends_at_once():
    with World() as w, socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        p = w.begin("up", "--listen", "127.0.0.1:0", "--store",
                    f"postgres://127.0.0.1:{silent.getsockname()[1]}/none")
        silent.accept()  # it is at it
        begun = time.monotonic()
        p.interrupt(signal.SIGTERM)
        tap.equal((p.end(), time.monotonic() - begun < 2), (0, True))


@tap.case
def the_readme_s_requests_are_taken():
    with open(os.path.join(os.path.dirname(__file__), "../../README.md"), encoding="utf-8") as f:
        lines = [l.strip() for l in f if l.startswith("    curl ")]
    tap.equal(len(lines), 3)
    with World() as w, Server(w) as s:
        replies = [json.loads(subprocess.check_output(l + " --silent --show-error", shell=True, env=w.env))
                   for l in lines]
        tap.equal(len(replies[0]["ids"]), 1)
        tap.equal(replies[1]["leases"][0]["task"]["payload"], {"to": "ada"})
        tap.equal(replies[2]["results"][0]["code"], "lease_lost")
        tap.equal(s.end(), 0)


@on_both_stores
def after_a_kill_it_serves_again_and_goes_on(store):
    with World(store) as w:
        with Server(w) as s:
            run = start(w, s, {"a": {"run": HELD}})
            w.wait(lambda: w.ledger() == ["start a"])
            s.process.kill()
            s.process.wait()
        w.write("go", "")
        with Server(w) as s:
            tap.equal(s.get("/readyz")[0], 200)
            print(f"# serving again after {s.seconds:.3f} s")
            assert s.seconds < 1, s.seconds
            done = ended(w, s, run)
            tap.equal(done["state"], "SUCCEEDED")
            tap.equal(outcomes(done, "a"), ["lost", "succeeded"])
            tap.equal(s.end(), 0)


@on_both_stores
def two_servers_share_one_postgres(store):
    if not store or not store.startswith("postgres"):
        raise tap.Skip("a SQLite file has one server")
    with World(store) as w, Server(w, "-j", "2") as one:
        with Server(w, "-j", "2", "--data", w.path("data2"), ask=False) as two:
            run = start(w, one, {f"t{i}": {"run": HELD} for i in range(4)})
            w.wait(lambda: len(w.ledger()) == 4)
            workers = two.call("GET", "/v1/status")["workers"]
            tap.equal(sorted(x["busy"] for x in workers), [2, 2], "both carry it")
            two.process.kill()
            two.process.wait()
        # The next one on that machine takes back at once what the dead one held; without it, the
        # other does so when the dead one's time to live is over.
        with Server(w, "-j", "2", "--data", w.path("data2"), ask=False) as two:
            w.write("go", "")
            done = ended(w, two, run)
            tap.equal(done["state"], "SUCCEEDED", done)
            tap.equal(sum(outcomes(done, f"t{i}").count("lost") for i in range(4)), 2)
            tap.equal(two.end(), 0)
        tap.equal(one.end(), 0)


@on_both_stores
def servers_are_replaced_one_at_a_time(store):
    """Rolling update: what the old one held ends there, or goes to the other."""
    if not store or not store.startswith("postgres"):
        raise tap.Skip("a SQLite file has one server")
    with World(store) as w, Server(w, "-j", "2") as new:
        with Server(w, "-j", "2", "--data", w.path("data2"), ask=False) as old:
            tasks = {f"t{i}": {"run": ["sh", "-c", "sleep 0.05; log end $WEFT_TASK"]}
                     for i in range(40)}
            run = start(w, new, tasks)
            w.wait(lambda: len(w.ledger()) > 4)
            tap.equal(old.end(), 0)
        done = ended(w, new, run)
        tap.equal(done["state"], "SUCCEEDED")
        tap.equal(sorted(w.ledger()), sorted(f"end {name}" for name in tasks), "each once")
        tap.equal(new.end(), 0)


def work_through_a_queue(w):
    """The same commands, whoever answers them."""
    tap.equal(w.json("queue", "put", "mail", "retry.max_attempts=1", "fair=true")["fair"], True)
    tap.equal(w.weft("queue", "put", "mail", "rte=1").returncode, 2)
    added = w.json("queue", "add", "mail", '{"n": 1}', '{"n": 2}', '"three"', "--key", "k")["ids"]
    tap.equal(len(added), 3)
    leases = w.json("queue", "claim", "mail", "--worker", "me", "-n", "3")["leases"]
    tap.equal([l["task"]["payload"] for l in leases], [{"n": 1}, {"n": 2}, "three"])
    good, bad, back = (l["token"] for l in leases)
    tap.equal(w.weft("queue", "complete", good, "--result", '{"ok": true}').returncode, 0)
    tap.equal(w.weft("queue", "fail", bad, "-m", "no such address").returncode, 0)
    tap.equal(w.weft("queue", "release", back).returncode, 0)
    tap.equal(w.weft("queue", "complete", bad).returncode, 4, "another content")
    tap.equal(w.weft("queue", "complete", "77.88").returncode, 4, "never given")
    tap.equal(w.weft("queue", "complete", back, "x").returncode, 2, "no token")
    dead = w.json("queue", "dead", "mail")["tasks"]
    tap.equal([(d["id"], d["message"]) for d in dead], [(added[1], "no such address")])
    tap.equal(w.json("queue", "requeue", "mail", added[1], "--payload", "7")["requeued"], 1)
    counts = w.json("queue", "status", "mail")["counts"]
    tap.equal((counts["ready"], counts["succeeded"], counts["failed"]), (2, 1, 0))
    tap.equal(w.json("queue", "pause", "mail")["paused"], True)
    tap.equal(w.json("queue", "claim", "mail")["leases"], [])
    tap.equal(w.json("queue", "resume", "mail")["paused"], False)
    begun = time.monotonic()
    tap.equal(w.json("queue", "purge", "mail")["purged"], 2)
    tap.equal(w.json("queue", "claim", "mail", "--patience", "1s")["leases"], [])
    assert time.monotonic() - begun >= 1, "it waits"
    for patience in ("100s", "soon"):
        told = w.weft("queue", "claim", "mail", "--patience", patience)
        tap.equal(told.returncode, 2)
        tap.contains(told.err, f"--patience is a duration of at most 60s, as 1.5s, not {patience}")
    tap.equal([q["name"] for q in w.json("queue", "list")["queues"]], ["mail"])
    tap.equal("me" in [x["name"] for x in w.json("workers", "list")["workers"]], True)
    tap.equal(w.weft("queue", "status", "nothing").returncode, 3)


@on_both_stores
def a_queue_by_commands_and_a_server(store):
    with World(store) as w, Server(w) as s:
        work_through_a_queue(w)
        tap.equal(s.end(), 0)


@on_both_stores
def a_queue_by_commands_alone(store):
    with World(store) as w:
        work_through_a_queue(w)


if __name__ == "__main__":
    tap.main()
