#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 against the real daemon, with Python's client and with bytes that no client would send."""
import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

import tap

WEFT = os.environ["WEFT"]
SECONDS_MAX = 30  # for what should take a moment

WORKFLOW = json.dumps({"weft": 1, "name": "t", "tasks": {"a": {"run": ["echo", "hello"]},
                                                        "b": {"run": ["true"], "needs": "a"}}})
ALIVE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Daemon:
    """`weft up` in a folder of its own."""

    def __init__(self, *settings):
        self.settings = settings

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="weft-http-")
        env = {k: v for k, v in os.environ.items() if not k.startswith("WEFT_")}
        argv = [WEFT, "up", "--listen", "127.0.0.1:0", "-o", "json"]
        for s in self.settings:
            argv += ["--set", s]
        self.process = subprocess.Popen(argv, cwd=self.folder.name, env=env, stderr=subprocess.PIPE)
        self.port = int(json.loads(self.process.stderr.readline())["listening"].rsplit(":", 1)[1])
        # What it logs is nobody's business here, but must go somewhere.
        self.log = threading.Thread(target=self.process.stderr.read)
        self.log.start()
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(SECONDS_MAX)
        finally:
            self.process.kill()
            self.log.join()
            self.process.stderr.close()
            self.folder.cleanup()
        if not any(exc):
            tap.equal(self.process.returncode, 0, "the daemon's status")

    def client(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS_MAX)

    def dial(self):
        return socket.create_connection(("127.0.0.1", self.port), SECONDS_MAX)

    def raw(self, request, half_close=False):
        """All that the server says until it closes, or the first reply's head."""
        with self.dial() as s:
            s.sendall(request)
            if half_close:
                s.shutdown(socket.SHUT_WR)
            return hear(s, to_end=half_close)


def hear(s, to_end=False):
    text = b""
    while to_end or b"\r\n\r\n" not in text:
        part = s.recv(65536)
        if not part:
            break
        text += part
    return text


def ask(client, verb, path, body=None, **fields):
    """Status, fields and body; the latter from JSON where it is some."""
    text = json.dumps(body) if body is not None else None
    headers = {name.replace("_", "-"): value for name, value in fields.items()}
    if text is not None:
        headers.setdefault("Content-Type", "application/json")
    client.request(verb, path, text, headers)
    r = client.getresponse()
    said = r.read()
    if said and "json" in r.headers["Content-Type"]:
        said = json.loads(said)
    return r.status, r.headers, said


def start_run(client):
    tap.equal(ask(client, "PUT", "/v1/workflows", {"source": WORKFLOW, "format": "json"})[0], 200)
    status, _, run = ask(client, "POST", "/v1/runs", {"workflow": "t"})
    tap.equal(status, 200)
    return run["id"]


def events_of(text):
    """The events of a stream, as dicts."""
    events = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        lines = [line.split(": ", 1) for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            events.append({name: value for name, value in lines})
    return events


@tap.case
def one_connection_serves_many_requests():
    with Daemon() as d:
        c = d.client()
        for _ in range(50):
            tap.equal(ask(c, "GET", "/v1/health")[2]["health"], "healthy")
        status, fields, said = ask(c, "HEAD", "/v1/status")
        tap.equal((status, said), (200, b""))
        assert int(fields["Content-Length"]) > 0 and fields["Date"].endswith(" GMT"), fields
        status, fields, _ = ask(c, "OPTIONS", "/v1/runs")
        tap.equal((status, fields["Allow"]), (204, "OPTIONS, GET, HEAD, POST"))
        status, fields, said = ask(c, "DELETE", "/v1/runs")
        tap.equal((status, fields["Allow"], said["code"]), (405, "OPTIONS, GET, HEAD, POST", "method_not_allowed"))
        status, fields, said = ask(c, "GET", "/v1/runs/999")
        tap.equal((status, fields["Content-Type"]), (404, "application/problem+json"))
        tap.equal((said["status"], said["code"], said["title"]), (404, "run_not_found", "Not Found"))
        status, _, said = ask(c, "POST", "/v1/runs", {"workflo": "x"})
        tap.equal((status, said["code"]), (400, "invalid_argument"))
        tap.contains(said["detail"], "workflow")
        status, _, said = ask(c, "PUT", "/v1/workflows", {"source": "weft: 1\nname: t\ntasks: 7\n"})
        tap.equal((status, said["code"], said["details"][0]["line"]), (400, "workflow_invalid", 3))
        tap.equal(ask(c, "GET", "/livez")[0], 200)
        c.close()


@tap.case
def pages_for_machines():
    with Daemon() as d:
        c = d.client()
        tap.equal(ask(c, "GET", "/readyz")[0], 200)
        status, fields, said = ask(c, "GET", "/openapi.json")
        tap.equal((status, fields["Content-Type"]), (200, "application/json"))
        assert said["openapi"].startswith("3."), said["openapi"]
        d.raw(b"nonsense\n\n", half_close=True)
        _, fields, text = ask(c, "GET", "/metrics")
        tap.contains(text.decode(), 'weft_net_refused_total{limit="malformed"} 1\n')
        tap.contains(text.decode(), 'weft_http_requests_total{status="400"} 1\n')
        if not shutil.which("promtool"):
            raise tap.Skip("no promtool")
        check = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True)
        tap.equal((check.returncode, check.stderr), (0, b""))


@tap.case
def what_two_readers_could_read_in_two_ways_is_refused():
    """Each with a second request behind it, which must not be answered."""
    line, host = b"POST /v1/runs HTTP/1.1\r\n", b"Host: localhost\r\n"
    bad = {
        "length and chunks": line + host + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "two lengths": line + host + b"Content-Length: 0\r\nContent-Length: 44\r\n\r\n",
        "a list of lengths": line + host + b"Content-Length: 0, 0\r\n\r\n",
        "a sign": line + host + b"Content-Length: +0\r\n\r\n",
        "chunked twice": line + host + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "xchunked": line + host + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        "a space before the colon": line + host + b"Content-Length : 0\r\n\r\n",
        "a folded field": line + host + b"X: a\r\n b\r\n\r\n",
        "bare LF": line + b"Host: localhost\nContent-Length: 0\r\n\r\n",
        "a lone CR": line + host + b"X: a\rb\r\n\r\n",
        "NUL": line + host + b"X: a\0b\r\n\r\n",
        "no host": line + b"\r\n",
        "two hosts": line + host + host + b"\r\n",
        "a verb": b"G@T / HTTP/1.1\r\n" + host + b"\r\n",
        "two spaces": b"GET  / HTTP/1.1\r\n" + host + b"\r\n",
        "an empty name": line + host + b": x\r\n\r\n",
        "2 000 empty lines": b"\r\n" * 2000 + ALIVE,
        "a chunk's sign": line + host + b"Transfer-Encoding: chunked\r\n\r\n+2\r\n{}\r\n0\r\n\r\n",
        "a chunk's 0x": line + host + b"Transfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",
        "a chunk's blank": line + host + b"Transfer-Encoding: chunked\r\n\r\n2 \r\n{}\r\n0\r\n\r\n",
        "a chunk's end": line + host + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}0\r\n\r\n",
    }
    with Daemon() as d:
        for name, request in bad.items():
            said = d.raw(request + ALIVE, half_close=True)
            assert said.startswith(b"HTTP/1.1 400 Bad Request\r\n"), (name, said)
            tap.equal(said.count(b"HTTP/1.1 "), 1, name)
            tap.contains(said, b"\r\nConnection: close\r\n", name)


@tap.case
def pages_of_others_may_not_ask():
    with Daemon() as d:
        c = d.client()
        tap.equal(ask(c, "GET", "/v1/status", Origin="https://elsewhere.example")[0], 403)
        tap.equal(ask(c, "POST", "/v1/runs", {}, Origin="null")[0], 403)
        tap.equal(ask(c, "GET", "/v1/status", Origin=f"http://127.0.0.1:{d.port}")[0], 200)
        tap.equal(d.raw(b"GET /v1/status HTTP/1.1\r\nHost: elsewhere.example\r\n\r\n")[:12], b"HTTP/1.1 403")
        c.request("POST", "/v1/runs", "{}", {"Content-Type": "text/plain"})
        tap.equal(c.getresponse().status, 415)
    with Daemon("host=weft.example") as d:
        for host, status in ("weft.example", b"200"), ("Weft.Example:443", b"200"), ("other.example", b"403"):
            said = d.raw(f"GET /v1/status HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            tap.equal(said.split()[1], status, host)


@tap.case
def events_come_as_they_happen_and_go_on_where_they_stopped():
    with Daemon() as d:
        c = d.client()
        run = start_run(c)
        c.request("GET", f"/v1/runs/{run}:watch", headers={"Accept": "text/event-stream"})
        r = c.getresponse()
        tap.equal((r.status, r.headers["Content-Type"]), (200, "text/event-stream"))
        events = events_of(r.read().decode())
        tap.equal(events[-1], {"event": "end", "data": "{}"})
        kinds = [e["event"] for e in events]
        tap.contains(kinds, "run_SUCCEEDED")
        for e in events[:-1]:
            data = json.loads(e["data"])
            tap.equal((data["seq"], data["kind"]), (e["id"], e["event"]))
        c.request("GET", f"/v1/runs/{run}:watch", headers={"Last-Event-ID": events[1]["id"]})
        again = events_of(c.getresponse().read().decode())
        tap.equal([e.get("id") for e in again], [e.get("id") for e in events[2:]])
        tap.equal(ask(c, "GET", "/v1/runs/999:watch")[0], 404)
        tap.equal(ask(c, "GET", f"/v1/runs/{run}:watch", Accept="application/json")[0], 406)
        _, _, part = ask(c, "GET", f"/v1/runs/{run}/tasks/a/logs")
        tap.equal(part["text"], "hello\n")


@tap.case
def slow_and_vanishing_clients_disturb_nobody():
    with Daemon() as d:
        slow, silent = d.dial(), d.dial()
        watchers = []
        for _ in range(20):
            s = d.dial()
            s.sendall(b"GET /v1/events:watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
            watchers.append(s)
        stop = threading.Event()

        def drip():
            slow.sendall(b"GET / HTTP/1.1\r\nX: ")
            while not stop.wait(0.5):
                try:
                    slow.sendall(b"y")
                except OSError:
                    return

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            c = d.client()
            run = start_run(c)
            for s in watchers[:10]:
                s.close()
            begun = time.monotonic()
            tap.equal(silent.recv(1), b"", "the silent one")
            assert 3 < time.monotonic() - begun < 15
            for _ in range(20):
                tap.equal(ask(c, "GET", f"/v1/runs/{run}")[0], 200)
            assert hear(slow).startswith(b"HTTP/1.1 408 Request Timeout\r\n")
        finally:
            stop.set()
            thread.join()
            for s in [slow, silent, *watchers]:
                s.close()


@tap.case
def many_clients_at_once():
    def hundred(port):
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS_MAX)
        return sum(ask(c, "GET", "/v1/status")[0] == 200 for _ in range(100))

    with Daemon() as d, concurrent.futures.ThreadPoolExecutor(16) as pool:
        tap.equal(sum(pool.map(hundred, [d.port] * 16)), 1600)


@tap.case
def a_term_drains():
    with Daemon("drain=10s") as d:
        idle, watcher = d.dial(), d.dial()
        idle.sendall(ALIVE)
        hear(idle)
        watcher.sendall(b"GET /v1/events:watch HTTP/1.1\r\nHost: localhost\r\n\r\n")
        tap.contains(hear(watcher), b"200 OK")
        d.process.send_signal(signal.SIGTERM)
        tap.contains(hear(watcher, to_end=True), b"0\r\n\r\n")
        while idle.recv(4096):
            pass
        tap.equal(d.process.wait(SECONDS_MAX), 0)
        idle.close()
        watcher.close()


tap.main()
