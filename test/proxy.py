# SPDX-License-Identifier: Apache-2.0
"""A network that a test can spoil: TCP from a port of the loopback to another.

    with proxy.Proxy(5432) as net:
        net.delay = lambda: 0.1             seconds that each piece of a request is late
        net.drops = lambda n: n % 3 == 0    the n-th connection, from 1, is reset
        net.flowing.clear()                 a partition: nothing comes through, nobody is told
        net.refuse(); net.listen()          nobody listens; somebody does again
        net.cut()                           what is connected is reset
        net.swallow = 1                     so many replies are lost with their connection
        net.hold = b":claim"                the next request with this is kept, until its client
        net.deliver()                       gave up; here it comes to the server; the answer
        net.hold_and_reset = True           the client is reset, and need not give up
"""
import contextlib
import http.client
import re
import socket
import struct
import threading
import time

PIECE_BYTES = 1 << 16
GIVE_UP_SECONDS_MAX = 60


def reset(s):
    """Close it as a crash of the other side would, with RST."""
    with contextlib.suppress(OSError):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with contextlib.suppress(OSError):
        s.shutdown(socket.SHUT_RDWR)  # wakes who reads it
    s.close()


def whole(request):
    """Whether these bytes are a request with its body, which may come in a piece of its own."""
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return bool(end) and len(body) >= int(length[1] if length else 0)


class Proxy:
    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.delay = lambda: 0
        self.drops = lambda n: False
        self.swallow = 0
        self.hold = None
        self.hold_and_reset = False
        self.seen = 0  # connections
        self._held = b""
        self._given_up = threading.Event()
        self.flowing = threading.Event()
        self.flowing.set()
        self.port = 0
        self._listener = None
        self._lock = threading.Lock()
        self._open = set()
        self.listen()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.refuse()
        self.flowing.set()
        self.cut()

    def listen(self):
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(128)
        self.port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def refuse(self):
        listener, self._listener = self._listener, None
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def cut(self):
        with self._lock:
            open_now, self._open = self._open, set()
        for s in open_now:
            reset(s)

    def deliver(self):
        """The status and the body that the request which was held is answered with."""
        if not self._given_up.wait(GIVE_UP_SECONDS_MAX):
            raise AssertionError("no request was held and given up")
        with socket.create_connection(self.target) as server:
            server.sendall(self._held)
            response = http.client.HTTPResponse(server)
            response.begin()
            return response.status, response.read()

    def _holds(self, source, data):
        with self._lock:
            if not self.hold or self.hold not in data:
                return False
            self.hold = None
        with contextlib.suppress(OSError):
            while data:
                self._held += data
                if self.hold_and_reset and whole(self._held):
                    break
                data = source.recv(PIECE_BYTES)
        self._given_up.set()
        return True

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.seen += 1
            if self.drops(self.seen):
                reset(client)
                continue
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        self.flowing.wait()
        try:
            server = socket.create_connection(self.target)
        except OSError:
            reset(client)
            return
        for s in (client, server):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {client, server}
        threading.Thread(target=self._pump, args=(client, server, True), daemon=True).start()
        self._pump(server, client, False)

    def _lost(self, back):
        with self._lock:
            if back and self.swallow > 0:
                self.swallow -= 1
                return True
        return False

    def _pump(self, source, target, there):
        with contextlib.suppress(OSError):
            while data := source.recv(PIECE_BYTES):
                self.flowing.wait()
                if self._lost(not there) or (there and self._holds(source, data)):
                    break
                late = self.delay() if there else 0
                if late:
                    time.sleep(late)
                target.sendall(data)
        with self._lock:
            self._open -= {source, target}
        reset(source)
        reset(target)
