#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Our gRPC client (src/net/caller.h) against foreign servers: grpcio, and sockets that misbehave."""
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from concurrent import futures

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fake  # noqa: E402
import tap  # noqa: E402

try:
    import grpc
except ImportError as e:
    print(f"1..0 # SKIP {e}")
    sys.exit(0)

PROGRAM = os.path.join(os.environ["WEFT_BUILD"], "test", "caller_tool")
SECONDS_MAX = 30
OK, CANCELLED, UNKNOWN, DEADLINE_EXCEEDED, PERMISSION_DENIED = 0, 1, 2, 4, 7
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 8, 12, 13, 14

scratch = tempfile.TemporaryDirectory(prefix="weft-caller-")


class Caller(subprocess.Popen):
    """caller_tool, whose answers are gathered as they come."""

    def __init__(self, *options):
        super().__init__([PROGRAM, *map(str, options)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.number = 0
        self.ended = {}
        self.told = queue.Queue()
        self.lines = threading.Thread(target=lambda: [self.told.put(json.loads(l)) for l in self.stdout])
        self.lines.start()

    def order(self, text):
        self.stdin.write(text + "\n")
        self.stdin.flush()

    def call(self, address, path="/test.Test/Echo", ms=0, size=3):
        self.number += 1
        self.order(f"call {self.number} {address} {path} {ms} {size}")
        return self.number

    def end(self, number):
        while number not in self.ended:
            row = self.told.get(timeout=SECONDS_MAX)
            self.ended[row["call"]] = row
        return self.ended[number]

    def calls(self, *words, **options):
        return self.end(self.call(*words, **options))

    def counts(self):
        self.order("counts")
        while "connected" not in (row := self.told.get(timeout=SECONDS_MAX)):
            self.ended[row["call"]] = row
        return row

    def wait_for(self, name, wanted):
        until = time.monotonic() + SECONDS_MAX
        while (found := self.counts()[name]) != wanted:
            if time.monotonic() > until:
                raise AssertionError(f"{name} stays {found}, and should be {wanted}")
            time.sleep(0.01)

    def __exit__(self, *exc):
        self.stdin.close()
        try:
            tap.equal(self.wait(SECONDS_MAX), 0, "how the caller ended")
        finally:
            self.kill()
            self.lines.join()
            self.stdout.close()


class Server:
    """grpcio, with methods on bytes: Echo answers what it got, Hold waits to be let go or cancelled."""

    def __init__(self, credentials=None, options=(), workers=32):
        self.held = queue.Queue()     # contexts of Hold
        self.cancelled = queue.Queue()
        self.go = threading.Event()
        self.timeouts = queue.Queue()
        self.server = grpc.server(futures.ThreadPoolExecutor(workers), handlers=[self], options=options)
        if credentials:
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        else:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{self.port}"
        self.server.start()

    def service(self, details):
        name = details.method.split("/")[-1].lower()
        return grpc.unary_unary_rpc_method_handler(getattr(self, name)) if hasattr(self, name) else None

    def echo(self, request, context):
        self.timeouts.put(context.time_remaining())
        return request

    def large(self, request, context):
        return b"y" * int(request.decode().count("x"))

    def hold(self, request, context):
        context.add_callback(lambda: self.cancelled.put(context.code()))
        self.held.put(context)
        self.go.wait(SECONDS_MAX)
        return request

    def fail(self, request, context):
        context.abort(grpc.StatusCode.PERMISSION_DENIED, "not you: 100 % sure, Gr\u00fc\u00dfe")

    def raise_(self, request, context):
        raise ValueError("boom")

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.go.set()
        self.server.stop(0).wait()


class Listener:
    """A socket that accepts and hands each connection to `talk`."""

    def __init__(self, talk=None):
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(8)
        self.address = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.talk = talk
        self.accepted = []
        self.thread = threading.Thread(target=self.run)
        if talk:
            self.thread.start()

    def run(self):
        while True:
            try:
                peer = self.socket.accept()[0]
            except OSError:
                return
            self.accepted.append(peer)
            try:
                self.talk(peer)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for peer in self.accepted:
            peer.close()
        if self.talk:
            self.thread.join()


def ends_with(row, status, sent=None, text=None):
    tap.equal(row["status"], status, row["text"])
    if sent is not None:
        tap.equal(row["sent"], sent, row["text"])
    if text is not None:
        tap.contains(row["text"], text)
    return row


@tap.case
def a_call_is_answered():
    with Server() as s, Caller() as c:
        row = ends_with(c.calls(s.address), OK)
        tap.equal(row["bytes"], 3)
        tap.equal(s.timeouts.get() > 1e9, True)
        ends_with(c.calls(s.address, size=0), OK)
        ends_with(c.calls(f"http://{s.address}", ms=5000), OK)
        s.timeouts.get()
        left = s.timeouts.get()
        tap.equal(4 < left <= 5, True, f"the deadline travels: {left}")
        tap.equal(c.counts()["connected"], 2)


@tap.case
def a_name_is_resolved():
    with Server() as s, Caller() as c:
        ends_with(c.calls(f"localhost:{s.port}"), OK)


@tap.case
def an_error_is_told_as_the_server_says_it():
    with Server() as s, Caller() as c:
        row = ends_with(c.calls(s.address, "/test.Test/Fail"), PERMISSION_DENIED, True)
        tap.equal(row["text"], "not you: 100 % sure, Gr\u00fc\u00dfe")
        ends_with(c.calls(s.address, "/test.Test/Raise_"), UNKNOWN, True, "boom")
        ends_with(c.calls(s.address, "/test.Test/Nothing"), UNIMPLEMENTED, True)


@tap.case
def large_messages_travel_up_to_a_limit():
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    with Server(options=options) as s, Caller("--max-bytes", 8 << 20) as c:
        tap.equal(ends_with(c.calls(s.address, size=8 << 20), OK)["bytes"], 8 << 20)
        ends_with(c.calls(s.address, size=(8 << 20) + 1), RESOURCE_EXHAUSTED, False)
    with Server(options=options) as s, Caller("--max-bytes", 1 << 20) as c:
        tap.equal(ends_with(c.calls(s.address, "/test.Test/Large", size=1 << 20), OK)["bytes"], 1 << 20)
        first = c.call(s.address, "/test.Test/Hold")
        with_more = Caller("--max-bytes", 1 << 10)
        with with_more as small:
            ends_with(small.calls(s.address, size=1 << 10), OK)
        s.go.set()
        ends_with(c.end(first), OK)


@tap.case
def an_answer_beyond_the_limit_ends_its_call_alone():
    def raw_answer(request, context):
        return b"z" * 5000
    with Server() as s, Caller("--max-bytes", 4096) as c:
        s.raw = raw_answer
        held = c.call(s.address, "/test.Test/Hold")
        s.held.get(timeout=SECONDS_MAX)
        ends_with(c.calls(s.address, "/test.Test/Raw"), UNKNOWN, True, "larger")
        s.go.set()
        ends_with(c.end(held), OK)
        tap.equal(c.counts()["connected"], 1)


@tap.case
def a_thousand_calls_share_a_connection():
    with Server(options=[("grpc.max_concurrent_streams", 100)]) as s, Caller() as c:
        numbers = [c.call(s.address, size=100, ms=30000) for _ in range(1000)]
        for number in numbers:
            tap.equal(ends_with(c.end(number), OK)["bytes"], 100)
        tap.equal(c.counts(), {"connected": 1, "failed": 0, "calls": 1000, "links": 1, "open": 0})


@tap.case
def calls_wait_for_room_in_their_order_and_are_bounded():
    with Server(options=[("grpc.max_concurrent_streams", 1)]) as s, Caller("--max-calls", 3) as c:
        numbers = [c.call(s.address, "/test.Test/Hold") for _ in range(3)]
        ends_with(c.calls(s.address), RESOURCE_EXHAUSTED, False)
        s.held.get(timeout=SECONDS_MAX)
        c.order(f"cancel {numbers[1]}")
        ends_with(c.end(numbers[1]), CANCELLED, False)
        tap.equal(s.held.empty(), True, "one at a time")
        s.go.set()
        ends_with(c.end(numbers[0]), OK)
        ends_with(c.end(numbers[2]), OK)


@tap.case
def a_deadline_ends_the_call_here_and_there():
    with Server() as s, Caller() as c:
        ends_with(c.calls(s.address, "/test.Test/Hold", ms=300), DEADLINE_EXCEEDED, True)
        s.cancelled.get(timeout=SECONDS_MAX)
        ends_with(c.calls(s.address), OK)
        tap.equal(c.counts()["connected"], 1)


@tap.case
def a_cancel_reaches_the_server():
    with Server() as s, Caller() as c:
        held = c.call(s.address, "/test.Test/Hold")
        s.held.get(timeout=SECONDS_MAX)
        c.order(f"cancel {held}")
        ends_with(c.end(held), CANCELLED, True)
        s.cancelled.get(timeout=SECONDS_MAX)
        ends_with(c.calls(s.address), OK)


@tap.case
def a_server_that_goes_down_ends_its_calls_and_another_takes_the_next():
    with Server() as s, Caller() as c:
        held = c.call(s.address, "/test.Test/Hold")
        s.held.get(timeout=SECONDS_MAX)
        stopping = s.server.stop(SECONDS_MAX)  # GOAWAY; what is under way goes on
        c.wait_for("links", 1)
        refused = c.calls(s.address)
        ends_with(refused, UNAVAILABLE, False)
        s.go.set()
        ends_with(c.end(held), OK)
        stopping.wait()
        c.wait_for("links", 0)


@tap.case
def after_a_goaway_the_next_call_has_a_new_connection():
    with Server(options=[("grpc.max_connection_age_ms", 300), ("grpc.max_connection_age_grace_ms", 20000)]) as s:
        with Caller() as c:
            held = c.call(s.address, "/test.Test/Hold")
            s.held.get(timeout=SECONDS_MAX)
            until = time.monotonic() + SECONDS_MAX
            while c.counts()["connected"] < 2 and time.monotonic() < until:
                ends_with(c.calls(s.address), OK)
            tap.equal(c.counts()["connected"] >= 2, True)
            s.go.set()
            ends_with(c.end(held), OK)


@tap.case
def a_server_that_is_killed_loses_what_was_sent():
    program = ("import grpc, sys, threading\nfrom concurrent import futures\n"
               "class H:\n"
               "  def service(self, d):\n"
               "    def hold(r, c):\n      print('held', flush=True); threading.Event().wait()\n"
               "    return grpc.unary_unary_rpc_method_handler(hold)\n"
               "s = grpc.server(futures.ThreadPoolExecutor(8), handlers=[H()],"
               " options=[('grpc.max_concurrent_streams', 1)])\n"
               "print(s.add_insecure_port('127.0.0.1:0'), flush=True)\ns.start()\nthreading.Event().wait()\n")
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as server:
        try:
            address = f"127.0.0.1:{server.stdout.readline().strip()}"
            with Caller() as c:
                sent, queued = c.call(address), c.call(address)
                server.stdout.readline()
                server.kill()
                ends_with(c.end(sent), UNAVAILABLE, True)
                ends_with(c.end(queued), UNAVAILABLE, False)
        finally:
            server.kill()


@tap.case
def a_refused_connection_is_told_at_once():
    with Listener() as l:
        address = l.address
    with Caller() as c:
        begun = time.monotonic()
        row = ends_with(c.calls(address, ms=20000), UNAVAILABLE, False, f"{address} cannot be called: ")
        tap.contains(row["text"], "refused")
        ends_with(c.calls(address, ms=20000), UNAVAILABLE, False)  # it rests
        tap.equal(time.monotonic() - begun < 4, True)
        tap.equal(c.counts()["failed"], 1, "while it rests it is not tried again")


@tap.case
def one_that_comes_back_is_called_again():
    with Caller() as c:
        with Server() as s:
            ends_with(c.calls(s.address), OK)
        port = s.port
        until = time.monotonic() + SECONDS_MAX
        ends_with(c.calls(s.address), UNAVAILABLE, False)
        again = grpc.server(futures.ThreadPoolExecutor(4), handlers=[s])
        tap.equal(again.add_insecure_port(f"127.0.0.1:{port}"), port)
        again.start()
        try:
            while c.calls(s.address)["status"] != OK:
                tap.equal(time.monotonic() < until, True, "in time")
                time.sleep(0.05)
        finally:
            again.stop(0).wait()


def hangs(talk, text, *options, scheme=""):
    """Calls to something that hangs end in time, unsent, and others do not wait for them."""
    with Listener(talk) as l, Server() as s, Caller("--connect-ms", 700, *options) as c:
        begun = time.monotonic()
        hung = [c.call(scheme + l.address) for _ in range(20)]
        ends_with(c.calls(s.address), OK)
        tap.equal(time.monotonic() - begun < 0.7, True, "another did not wait")
        for number in hung:
            ends_with(c.end(number), UNAVAILABLE, False, text)


@tap.case
def a_listener_that_never_accepts():
    hangs(None, "does not answer")


@tap.case
def a_listener_that_accepts_and_says_nothing():
    hangs(lambda peer: peer.recv(1), "does not answer")


@tap.case
def a_listener_that_never_shakes_hands():
    hangs(lambda peer: peer.recv(1), "TLS", scheme="https://")


@tap.case
def a_deadline_before_the_connection_is_there_ends_the_call():
    with Listener() as l, Caller() as c:
        begun = time.monotonic()
        ends_with(c.calls(l.address, ms=200), DEADLINE_EXCEEDED, False)
        tap.equal(time.monotonic() - begun < 3, True)


@tap.case
def garbage_in_the_place_of_http2():
    for garbage in (b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n", b"\0" * 100, b"\xff" * 100,
                    os.urandom(4096), b"SSH-2.0-OpenSSH_9.2\r\n"):
        def talk(peer, garbage=garbage):
            peer.sendall(garbage)
            time.sleep(0.01)
        with Listener(talk) as l, Caller("--connect-ms", 700) as c:
            ends_with(c.calls(l.address), UNAVAILABLE, False)
    with Listener(lambda peer: peer.close()) as l, Caller() as c:
        ends_with(c.calls(l.address), UNAVAILABLE, False)


SETTINGS = bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])


@tap.case
def one_that_closes_after_the_greeting_is_not_called_without_end():
    def talk(peer):
        peer.sendall(SETTINGS + bytes([0, 0, 8, 7, 0, 0, 0, 0, 0]) + bytes(8))  # GOAWAY of all
        peer.recv(1000)
        peer.close()
    with Listener(talk) as l, Caller() as c:
        for _ in range(50):
            ends_with(c.calls(l.address), UNAVAILABLE, False)
        tap.equal(len(l.accepted) < 20, True, f"{len(l.accepted)} connections")


@tap.case
def garbage_after_the_greeting_loses_the_call():
    def talk(peer):
        peer.sendall(SETTINGS)
        peer.recv(24 + 9)
        while not peer.recv(4096).endswith(b"xxx"):
            pass
        peer.sendall(b"\0\0\5\1\4\0\0\0\1garbage and more of it")
        peer.recv(1)
    with Listener(talk) as l, Caller() as c:
        ends_with(c.calls(l.address), UNAVAILABLE, True)


@tap.case
def one_that_gives_no_sign_of_life_is_cut():
    def talk(peer):
        peer.sendall(SETTINGS)
        while peer.recv(4096):
            pass
    with Listener(talk) as l, Caller("--ping-ms", 200) as c:
        ends_with(c.calls(l.address), UNAVAILABLE, True, "no sign of life")


@tap.case
def pings_keep_a_long_call_alive():
    with Server(options=[("grpc.http2.min_ping_interval_without_data_ms", 1),
                         ("grpc.http2.max_ping_strikes", 0)]) as s, Caller("--ping-ms", 100) as c:
        held = c.call(s.address, "/test.Test/Hold")
        s.held.get(timeout=SECONDS_MAX)
        time.sleep(0.8)
        s.go.set()
        ends_with(c.end(held), OK)
        tap.equal(c.counts()["connected"], 1)


@tap.case
def an_idle_connection_is_closed():
    with Server() as s, Caller("--idle-ms", 100) as c:
        ends_with(c.calls(s.address), OK)
        c.wait_for("links", 0)
        ends_with(c.calls(s.address), OK)
        tap.equal(c.counts()["connected"], 2)
        tap.equal(c.counts()["failed"], 0)


@tap.case
def whoever_is_left_is_closed_when_its_calls_have_ended():
    with Server() as s, Caller() as c:
        held = c.call(s.address, "/test.Test/Hold")
        s.held.get(timeout=SECONDS_MAX)
        c.order(f"leave {s.address}")
        tap.equal(c.counts()["links"], 1)
        s.go.set()
        ends_with(c.end(held), OK)
        c.wait_for("links", 0)


@tap.case
def the_end_of_the_caller_ends_every_call():
    with Server() as s, Listener() as l:
        with Caller() as c:
            numbers = [c.call(s.address, "/test.Test/Hold"), c.call(l.address), c.call(f"localhost:{s.port}")]
            s.held.get(timeout=SECONDS_MAX)
        told = {}
        while not c.told.empty():
            row = c.told.get()
            told[row.get("call")] = row
        for number in numbers[:2]:
            ends_with(told[number], CANCELLED)


@tap.case
def a_name_that_is_none_costs_nobody_else_anything():
    with Server() as s, Caller("--connect-ms", 3000) as c:
        bad = [c.call(f"n{i}.invalid:80") for i in range(5)]
        ends_with(c.calls(s.address), OK)
        for number in bad:
            ends_with(c.end(number), UNAVAILABLE, False, ".invalid:80 cannot be called: ")


def credentials(certs, mutual=False):
    return grpc.ssl_server_credentials([(certs.bytes("server.key"), certs.bytes("server.pem"))],
                                       certs.bytes("ca.pem") if mutual else None, mutual)


@tap.case
def tls():
    certs = fake.Certificates(os.path.join(scratch.name, "tls"))
    with Server(credentials(certs)) as s, Caller("--ca", certs.file("ca.pem")) as c:
        tap.equal(ends_with(c.calls(f"https://{s.address}", size=100000), OK)["bytes"], 100000)
        ends_with(c.calls(f"https://localhost:{s.port}"), OK)
        numbers = [c.call(f"https://{s.address}", size=5000) for _ in range(300)]
        for number in numbers:
            ends_with(c.end(number), OK)
        ends_with(c.calls(s.address), UNAVAILABLE, False)  # without TLS
    with Server(credentials(certs)) as s, Caller() as c:
        ends_with(c.calls(f"https://{s.address}"), UNAVAILABLE, False, "certificate")
    with Server() as s, Caller("--ca", certs.file("ca.pem")) as c:
        ends_with(c.calls(f"https://{s.address}"), UNAVAILABLE, False, "TLS")


@tap.case
def a_certificate_for_another_name_is_refused():
    certs = fake.Certificates(os.path.join(scratch.name, "names"))
    certs.sign("server", "subjectAltName=DNS:elsewhere")
    with Server(credentials(certs)) as s, Caller("--ca", certs.file("ca.pem")) as c:
        ends_with(c.calls(f"https://{s.address}"), UNAVAILABLE, False, "mismatch")
        ends_with(c.calls(f"https://localhost:{s.port}"), UNAVAILABLE, False, "mismatch")


@tap.case
def mutual_tls():
    certs = fake.Certificates(os.path.join(scratch.name, "mutual"))
    with Server(credentials(certs, True)) as s:
        with Caller("--ca", certs.file("ca.pem"), "--cert", certs.file("client.pem"), "--key",
                    certs.file("client.key")) as c:
            ends_with(c.calls(f"https://{s.address}", size=100000), OK)
        with Caller("--ca", certs.file("ca.pem")) as c:
            ends_with(c.calls(f"https://{s.address}"), UNAVAILABLE, False)
    done = subprocess.run([PROGRAM, "--ca", certs.file("server.key")], capture_output=True, text=True)
    tap.contains(done.stderr, "server.key cannot be used")


tap.main()
