# SPDX-License-Identifier: Apache-2.0
"""A `weft up` of a test's own, and HTTP to it.

    with World() as w, Server(w) as s:
        s.get("/readyz")                                  (200, "ready\\n")
        s.call("POST", "/v1/runs", {"workflow": "etl"})   the reply, or Refused
        w.weft("status")                                  asks that server
        s.end()                                           SIGTERM; its exit status
"""
import json
import os
import signal
import subprocess
import threading
import time
import urllib.error
import urllib.request

from world import SECONDS_MAX, WEFT


class Refused(Exception):
    def __init__(self, status, problem):
        super().__init__(f"{status}: {problem}")
        self.status, self.problem = status, problem


class Server:
    def __init__(self, world, *args, env=None, ask=True, listen="127.0.0.1:0"):
        """With `ask`, the commands of the world ask this server."""
        self.world, self.args, self.ask, self.listen = world, args, ask, listen
        self.env = {**world.env, **(env or {})}
        self.env.pop("WEFT_SERVER", None)
        self.log = []
        self.told = threading.Condition()

    def __enter__(self):
        begun = time.monotonic()
        self.process = subprocess.Popen(
            [WEFT, "up", "--listen", self.listen, "-o", "json", *self.args], cwd=self.world.folder,
            env=self.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.listening = None
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        with self.told:
            self.told.wait_for(lambda: self.listening or self.log is None, SECONDS_MAX)
        self.seconds = time.monotonic() - begun
        if not self.listening:
            self.process.wait()
            raise AssertionError(f"weft up did not start: {self.log}")
        self.url, self.pid = self.listening["listening"], self.process.pid
        if self.ask:
            self.world.env["WEFT_SERVER"] = self.url
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()

    def _read(self):
        for line in self.process.stderr:
            with self.told:
                row = json.loads(line) if line.startswith(b"{") else {"text": line.decode()}
                if "listening" in row:
                    self.listening = row
                self.log.append(row)
                self.told.notify_all()
        with self.told:
            if not self.listening:
                self.listening = {}
            self.told.notify_all()

    def wait_log(self, event, count=1):
        """Until the log has had so many lines of that event; the last of them."""
        def found():
            return [row for row in self.log if row.get("event") == event]
        with self.told:
            if not self.told.wait_for(lambda: len(found()) >= count, SECONDS_MAX):
                raise AssertionError(f"no {event} in {self.log}")
            return found()[-1]

    def get(self, path):
        try:
            with urllib.request.urlopen(self.url + path, timeout=SECONDS_MAX) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as e:
            return e.code, e.read().decode()

    def call(self, verb, path, request=None, headers=None):
        body = None if request is None else json.dumps(request).encode()
        asked = urllib.request.Request(self.url + path, body, method=verb, headers={
            **({"Content-Type": "application/json"} if body is not None else {}), **(headers or {})})
        try:
            with urllib.request.urlopen(asked, timeout=SECONDS_MAX) as reply:
                return json.loads(reply.read())
        except urllib.error.HTTPError as e:
            raise Refused(e.code, json.loads(e.read())) from None

    def metrics(self):
        """{name and labels: value}"""
        lines = self.get("/metrics")[1].splitlines()
        return {l.rsplit(" ", 1)[0]: float(l.rsplit(" ", 1)[1]) for l in lines if not l.startswith("#")}

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status", encoding="utf-8") as f:
            return next(int(l.split()[1]) for l in f if l.startswith("VmRSS"))

    def interrupt(self, number):
        os.kill(self.pid, number)

    def end(self, number=signal.SIGTERM):
        """Its exit status."""
        self.interrupt(number)
        return self.process.wait(SECONDS_MAX)
