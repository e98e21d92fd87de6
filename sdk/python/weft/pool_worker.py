# SPDX-License-Identifier: Apache-2.0
"""A process of a pool: warm, spoken to over stdin and stdout (docs/pools.md, "The protocol").

    from weft.pool_worker import PoolWorker

    worker = PoolWorker()                  # from here on stdout belongs to the protocol

    @worker.command("add")
    def add(call):
        call.session["sum"] = call.session.get("sum", 0) + call.args["n"]
        return call.session["sum"]         # a generator's values are chunks, its return the result

    worker.serve()                         # until weft says that it is over

This file needs the standard library alone, and nothing else of this package: it may be copied.
"""
import collections
import concurrent.futures
import faulthandler
import inspect
import json
import os
import re
import select
import signal
import sys
import threading
import time

MESSAGE_BYTES_DEFAULT = 1 << 20
REQUEST_BYTES_MAX = 64 << 20  # no pool may be told a larger limit
READ_BYTES = 64 << 10  # what the kernel keeps for a pipe
DEPTH_MAX = 64  # lists and objects within each other, as weft reads them
TEXT = re.compile(r'"(?:[^"\\]|\\.)*"')


class Failed(Exception):
    """A failure in the words of the worker. Any other exception is one by its type's name."""

    def __init__(self, message, kind="Failed", details=None):
        super().__init__(message)
        self.kind = kind
        self.details = details


class Session(dict):
    """What a session keeps between its calls. Where several calls are in flight, two of one session
    may meet: `lock` is for them."""

    def __init__(self, name):
        super().__init__()
        self.id = name  # None: of a call without a session, and forgotten behind it
        self.lock = threading.RLock()


class Call:
    """One call of a command."""

    __slots__ = ("args", "command", "deadline", "id", "session", "session_id", "_left", "_worker")

    def __init__(self, worker, request, left):
        self.id = request["id"]
        self.command = request["command"]
        self.args = request.get("args")
        self.session_id = request.get("session")
        self.session = None
        deadline = request.get("deadline")
        self.deadline = None if deadline is None else time.monotonic() + deadline / 1000
        self._left = left  # set when its caller has gone
        self._worker = worker

    def left(self):
        """The seconds that it has; None: no limit."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    @property
    def cancelled(self):
        """Nobody waits for it any more: it was cancelled, or its time is over."""
        return self.wait(0)

    def wait(self, seconds):
        """Sleep, but no longer than somebody waits for it; whether nobody does."""
        until = time.monotonic() + seconds
        if self.deadline is not None:
            until = min(until, self.deadline)
        while not self._left.is_set():
            rest = until - time.monotonic()
            self._worker._pause(self._left, max(0, rest))  # pylint: disable=protected-access
            if rest <= 0:
                break
        return self._left.is_set() or (self.deadline is not None and until >= self.deadline)


class Left:
    """An event of a program with one thread."""

    __slots__ = ("_set",)

    def __init__(self):
        self._set = False

    def is_set(self):
        return self._set

    def set(self):
        self._set = True


class PoolWorker:
    """Answers the calls of commands that are registered with it: `in_flight` at a time, each in a
    thread of its own where that is more than one, and else in the thread that serves."""

    def __init__(self, in_flight=1, sessions=None, message_max=MESSAGE_BYTES_DEFAULT):
        """`sessions`: how many it may keep, where weft is to know. `message_max`: as the pool's;
        what is larger is answered with an error instead."""
        if in_flight < 1:
            raise ValueError("a worker has at least one call in flight")
        self._able = {"protocol": 1, "in_flight": in_flight, "snapshots": False}
        if sessions is not None:
            self._able["sessions"] = sessions
        self._message_max = message_max
        self._in_flight = in_flight
        self._commands = {}
        self._end = lambda session: None
        self._snapshot = self._restore = None
        self._sessions = {}
        self._lock = threading.Lock()  # of sessions, calls and writing
        self._calls = {}  # under way or waiting, by id
        self._waiting = collections.deque()  # those that came while another one was looking
        self._ended = self._shutdown = False
        self._threads = None
        self._bytes = bytearray()
        self._take_descriptors()

    def _take_descriptors(self):
        # What prints by accident, and what processes of its own read and write, is not the protocol.
        sys.stdout.flush()
        self._in, self._out = os.dup(0), os.dup(1)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        sys.stdout.reconfigure(line_buffering=True)
        # weft asks a worker that is stuck where it is: the stacks of all threads, on stderr.
        faulthandler.register(signal.SIGUSR2, file=2, all_threads=True)

    # What it does.

    def command(self, name):
        """Decorate the function that answers this command. It is given a Call."""
        if not isinstance(name, str) or not name or name.startswith("weft."):
            raise ValueError(f"{name!r} is no command: a text that is not empty, and not weft's own")

        def decorate(work):
            self._commands[name] = work
            return work

        return decorate

    def on_end_session(self, work):
        """Decorate the function that is given a Session that has ended."""
        self._end = work
        return work

    def snapshot(self, work):
        """Decorate the function that makes JSON of a Session; with restore() it can move."""
        self._snapshot = work
        self._able["snapshots"] = self._restore is not None
        return work

    def restore(self, work):
        """Decorate the function that is given a new Session and what snapshot() made."""
        self._restore = work
        self._able["snapshots"] = self._snapshot is not None
        return work

    def serve(self):
        """Answer calls until weft says that it is over, or goes away."""
        if self._in_flight > 1:
            self._threads = concurrent.futures.ThreadPoolExecutor(self._in_flight)
        try:
            while self._waiting or (request := self._read(None)) is not None:
                if self._waiting:
                    self._answer(self._waiting.popleft())
                else:
                    self._take(request)
        except BrokenPipeError:
            pass  # weft is gone
        if self._threads:
            self._threads.shutdown()
        for session in self._sessions.values():
            try:
                self._end(session)
            except Exception:  # the others end all the same
                sys.excepthook(*sys.exc_info())

    # Reading.

    def _read(self, seconds):
        """The next request; None where the time is over first, or where there are no more."""
        while not self._ended:
            head = self._bytes[:4]
            length = int.from_bytes(head, "big")
            if len(head) == 4 and not 0 < length <= REQUEST_BYTES_MAX:
                raise ValueError(f"a request of {length} bytes is none of weft's")
            if len(head) == 4 and len(self._bytes) >= 4 + length:
                request = json.loads(self._bytes[4:4 + length])
                del self._bytes[:4 + length]
                return request
            if seconds is not None and not select.select([self._in], [], [], seconds)[0]:
                return None
            came = os.read(self._in, max(READ_BYTES, 4 + length - len(self._bytes)))
            self._bytes += came
            self._ended = not came
        if not self._shutdown:  # nobody waits any more, for anything
            for call in tuple(self._calls):
                self._cancel(call)
        return None

    def _take(self, request):
        if "cancel" in request:
            self._cancel(request["cancel"])
        elif request["command"] == "weft.shutdown":
            self._shutdown = True
        elif request["command"] == "weft.ping":
            self._write(request["id"], {"success": True, "result": self._able})
        elif self._threads:
            left = self._calls[request["id"]] = threading.Event()
            self._threads.submit(self._in_thread, Call(self, request, left))
        else:
            left = self._calls[request["id"]] = Left()
            self._waiting.append(Call(self, request, left))

    def _cancel(self, number):
        left = self._calls.get(number)
        if left is not None:
            left.set()

    def _pause(self, left, seconds):
        if self._threads:
            left.wait(seconds)
        elif self._ended:
            time.sleep(seconds)
        else:
            request = self._read(seconds)
            if request is not None:
                self._take(request)

    # Answering.

    def _in_thread(self, call):
        try:
            self._answer(call)
        except BrokenPipeError:
            pass  # the reader sees it, too
        except BaseException:  # weft would wait for a reply that never comes
            sys.excepthook(*sys.exc_info())
            os._exit(1)

    def _answer(self, call):
        try:
            if self._calls[call.id].is_set():
                raise Failed("it was cancelled before it began", "cancelled")
            frame = self._frame(call.id, {"success": True, "result": self._do(call)})
        except BrokenPipeError:
            raise
        except (Exception, SystemExit) as error:
            frame = self._failure(call.id, error)
        del self._calls[call.id]
        self._send(frame)

    def _do(self, call):
        if call.command == "weft.end_session":
            return self._end_session(call.session_id)
        call.session = self._session(call.session_id, call.command == "weft.restore")
        if call.command == "weft.snapshot" and self._snapshot:
            return self._snapshot(call.session)
        if call.command == "weft.restore" and self._restore:
            self._restore(call.session, call.args)
            return None
        work = self._commands.get(call.command)
        if work is None:
            raise Failed(f'there is no command "{call.command}"', "unknown_command")
        result = work(call)
        return self._stream(call, result) if inspect.isgenerator(result) else result

    def _stream(self, call, values):
        while True:
            try:
                value = next(values)
            except StopIteration as end:
                return end.value
            if call.cancelled:
                values.close()
                raise Failed("it was cancelled", "cancelled")
            self._write(call.id, {"chunk": value})

    def _session(self, name, new):
        if name is None:
            return Session(None)
        with self._lock:
            session = None if new else self._sessions.get(name)
            if session is None:
                session = self._sessions[name] = Session(name)
            return session

    def _end_session(self, name):
        with self._lock:
            session = self._sessions.pop(name, None)
        if session is not None:
            self._end(session)
        return session is not None

    # Writing.

    def _failure(self, number, error):
        kind = error.kind if isinstance(error, Failed) else type(error).__name__
        said = {"kind": kind, "message": words(error)}
        details = getattr(error, "details", None)
        if details is not None and not callable(details):
            said["details"] = details
        try:
            return self._frame(number, {"success": False, "error": said})
        except (Failed, RecursionError, TypeError, ValueError):  # too much, or no JSON
            said = {"kind": kind[:1000], "message": words(error)[:1000]}
            return self._frame(number, {"success": False, "error": said})

    def _frame(self, number, said):
        text = json.dumps({"id": number, **said}, allow_nan=False, ensure_ascii=False,
                          separators=(",", ":"))
        if text.count("[") + text.count("{") > DEPTH_MAX and depth(text) > DEPTH_MAX + 1:
            raise Failed(f"a reply is nested more than {DEPTH_MAX} deep", "too_deep")
        text = text.encode("utf-8", "replace")  # half a surrogate pair is no character
        if len(text) > self._message_max:
            raise Failed(f"a reply of {len(text)} bytes is larger than the {self._message_max} "
                         "that a message may have", "too_large")
        return len(text).to_bytes(4, "big") + text

    def _write(self, number, said):
        self._send(self._frame(number, said))

    def _send(self, frame):
        with self._lock:
            n = os.write(self._out, frame)
            while n < len(frame):
                n += os.write(self._out, memoryview(frame)[n:])


def words(error):
    try:
        return str(error)
    except Exception:  # its own words fail
        return "it has no words"


def depth(text):
    """How many lists and objects stand within each other."""
    most = now = 0
    for c in TEXT.sub("", text):
        if c in "[{":
            now += 1
            most = max(most, now)
        elif c in "]}":
            now -= 1
    return most
