# SPDX-License-Identifier: Apache-2.0
"""A process of a pool, and the end of its pipes that is weft's elsewhere."""
import contextlib
import json
import os
import select
import struct
import subprocess
import tempfile
import time

import tap

SECONDS_MAX = 60
ENV = {**os.environ, "PYTHONPATH": f"{os.environ['WEFT_SOURCE']}/sdk/python"}


class Process:
    """A process, and weft's end of its pipes."""

    def __init__(self, program, **env):
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(program, env={**ENV, **env}, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.log, bufsize=0)
        self.id = 0
        self.kept = []  # replies that another one was waited for before
        self.until = time.monotonic() + SECONDS_MAX

    def text(self):
        """What it has logged."""
        self.log.seek(0)
        return self.log.read().decode()

    def write(self, data):
        while data:
            data = data[self.process.stdin.write(data):]

    def say(self, message):
        text = json.dumps(message).encode()
        self.write(struct.pack(">I", len(text)) + text)

    def send(self, command, args=None, **more):
        """A call, without waiting for its reply; its id."""
        self.id += 1
        self.say({"id": self.id, "command": command, **({} if args is None else {"args": args}), **more})
        return self.id

    def _read(self, n):
        data = b""
        while len(data) < n:
            if not select.select([self.process.stdout], [], [], max(0, self.until - time.monotonic()))[0]:
                raise AssertionError(f"no reply came; its log: {self.text()}")
            came = self.process.stdout.read(n - len(data))
            if not came:
                raise EOFError(self.text())
            data += came
        return data

    def next(self):
        return json.loads(self._read(struct.unpack(">I", self._read(4))[0]))

    def reply(self, number):
        """What came for this call last, and its chunks before."""
        chunks = []
        while True:
            found = next((m for m in self.kept if m["id"] == number), None)
            if found:
                self.kept.remove(found)
            else:
                found = self.next()
                if found["id"] != number:
                    self.kept.append(found)
                    continue
            if "chunk" not in found:
                return found, chunks
            chunks.append(found["chunk"])

    def call(self, command, args=None, **more):
        return self.reply(self.send(command, args, **more))[0]

    def result(self, command, args=None, **more):
        reply = self.call(command, args, **more)
        tap.equal(reply["success"], True, reply)
        return reply.get("result")

    def error(self, command, args=None, **more):
        reply = self.call(command, args, **more)
        tap.equal(reply["success"], False, reply)
        return reply["error"]

    def end(self):
        """Close its stdin; the status that it ends with."""
        self.process.stdin.close()
        return self.process.wait(SECONDS_MAX)


@contextlib.contextmanager
def process(program, **env):
    p = Process(program, **env)
    try:
        yield p
    finally:
        p.process.kill()
        p.process.wait()
        p.process.stdout.close()
        p.process.stdin.close()
        p.log.close()
