# SPDX-License-Identifier: Apache-2.0
"""A `weft up` of a test's own.

    with server.Server(folder, store) as s:
        s.client.enqueue("mail", [1, 2, 3])         the Python client of this repository
        s.kill(); s.start()                         the same address, the same store

It listens on a free port of the loopback, which stays its own over restarts.
"""
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(SOURCE, "sdk", "python"))
import weft  # noqa: E402

WEFT = os.environ["WEFT"]
READY_SECONDS_MAX = 30
STOP_SECONDS_MAX = 30


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, folder, store=None, *options, env=None):
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = weft.Client(self.url)
        self.process = None
        self._command = [WEFT, "up", "--listen", f"127.0.0.1:{self.port}", *options]
        self._env = {**os.environ, "WEFT_DATA": os.path.join(folder, "data"), **(env or {})}
        if store:
            self._env["WEFT_STORE"] = store
        self.log = os.path.join(folder, f"up-{self.port}.log")

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.client.close()
        if self.process and self.process.poll() is None:
            self.kill()

    def start(self, wait=True):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(self._command, cwd=self.folder, env=self._env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self.wait_ready()
        return self

    def ready(self):
        """Whether it says that it is ready."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def wait_ready(self, seconds=READY_SECONDS_MAX):
        until = time.monotonic() + seconds
        while not self.ready():
            if self.process.poll() is not None:
                raise AssertionError(f"weft up ended with {self.process.returncode}: {self.tail()}")
            if time.monotonic() > until:
                raise AssertionError(f"weft up is not ready within {seconds} s: {self.tail()}")
            time.sleep(0.01)

    def calls(self, method, code):
        """How many calls of a method ended with a code."""
        with urllib.request.urlopen(self.url + "/metrics") as reply:
            found = re.search(f'^weft_calls_total{{method="{method}",code="{code}"}} (\\d+)$',
                              reply.read().decode(), re.M)
        return int(found[1]) if found else 0

    def wait_calls(self, method, code, count):
        until = time.monotonic() + READY_SECONDS_MAX
        while self.calls(method, code) < count:
            if time.monotonic() > until:
                raise AssertionError(f"no {count} calls of {method} ended with {code}: {self.tail()}")
            time.sleep(0.01)

    def tail(self):
        with open(self.log, encoding="utf-8", errors="replace") as f:
            return f.read()[-2000:]

    def kill(self):
        """As a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS_MAX)

    def stop(self):
        """As its supervisor would; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS_MAX)
