# SPDX-License-Identifier: Apache-2.0
"""A worker: registers, heartbeats, claims, and reports what it has done, whatever the network does.

While the server is away the worker goes on with what it holds. What has ended is kept (in memory,
or in a file that outlives the process) and reported when the server is back.
"""
import json
import os
import queue as queues
import threading
import time
import traceback

from weft.client import duration, instance_id, unique
from weft.errors import Refused, Unavailable, WeftError
from weft.outbox import MESSAGE_BYTES_MAX, Outbox, Reporter, cut
from weft.pulse import OVER, Pulse
from weft.retry import Retry

# Ended leases that are kept while the server is away; beyond them the worker stops claiming.
OUTBOX_MAX = 100000
ROOM_SECONDS = 1.0  # between two looks whether there is a free slot
NO_QUEUE = "queue_not_found"


class LeaseLost(WeftError):
    """The task was given to somebody else; what was done for it is reported by nobody."""

    code = "lease_lost"


class Flag:
    """An Event that a signal handler may set: threading.Event's own lock may be held by the very
    thread that the signal interrupts."""

    def __init__(self):
        self._is_set = False
        self._wake = queues.SimpleQueue()  # its put() may interrupt another one

    def set(self):
        self._is_set = True
        self._wake.put(None)

    def is_set(self):
        return self._is_set

    def wait(self, seconds):
        if self._is_set or seconds <= 0:
            return self._is_set
        try:
            self._wake.get(timeout=seconds)
            self._wake.put(None)  # for the others that wait
        except queues.Empty:
            pass
        return self._is_set


class Lease:
    """The right to one task. As a context manager it completes on leaving, or fails with what was
    raised:

        with lease:
            lease.result = {"bytes": send(lease.payload)}
    """

    def __init__(self, worker, given):
        task = given["task"]
        self.token = given["token"]
        self.id = task["id"]
        self.queue = task.get("queue", "")
        self.payload = task.get("payload")
        self.attempt = task.get("attempt", 1)
        self.key = task.get("key")
        self.result = None
        self.lost = threading.Event()  # somebody else has the task now
        self.stop = threading.Event()  # the task is cancelled, or lost: end soon
        self._worker = worker
        self._ended = False
        self._lock = threading.Lock()

    def progress(self, percent=None, message=None):
        """Tell how far it is. A server that is away does not hear it, and nothing else happens."""
        item = {"token": self.token}
        if percent is not None:
            item["percent"] = int(percent)
        if message is not None:
            item["message"] = cut(message, MESSAGE_BYTES_MAX)
        try:
            answer = self._worker.client.renew([item])[0]
        except Unavailable:
            return
        if answer["code"] != "OK":
            self._worker.lost(self)
        if answer.get("stop"):
            self.stop.set()

    @property
    def ended(self):
        return self._ended

    def complete(self, result=None):
        """Raises ValueError or TypeError where the result is no JSON; it has not ended then."""
        self._end({"outcome": "succeeded", "result": result})

    def fail(self, message, code="error"):
        error = {"code": cut(code, 200), "message": cut(message, MESSAGE_BYTES_MAX)}
        self._end({"outcome": "failed", "error": error})

    def cancelled(self, message="stopped as asked"):
        error = {"code": "cancelled", "message": cut(message, MESSAGE_BYTES_MAX)}
        self._end({"outcome": "cancelled", "error": error})

    def release(self):
        """Give it back unworked."""
        self._end(None)

    def _end(self, result):
        # What cannot be sent is found here, where it was made, and not by the reporter.
        line = json.dumps({"token": self.token, **(result or {"release": True})}, allow_nan=False)
        with self._lock:
            if self._ended:
                raise RuntimeError(f"task {self.id} has been ended already")
            self._ended = True
        self._worker.ended(self, json.loads(line))

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self._ended:
            return False
        if error is None:
            try:
                self.complete(self.result)
            except (TypeError, ValueError) as bad:
                self.fail(f"the result is no JSON: {bad}", code=type(bad).__name__)
            return False
        if not isinstance(error, Exception):
            self.release()  # the program is being ended; it is nobody's failure
            return False
        if self.stop.is_set():
            self.cancelled(f"stopped: {error}")
            return True
        where = traceback.extract_tb(trace)[-1] if trace else None
        place = f" ({os.path.basename(where.filename)}:{where.lineno})" if where else ""
        self.fail(f"{error or kind.__name__}{place}", code=kind.__name__)
        return True


class Worker:
    """One incarnation after the other of a worker with this name. Use it as a context manager."""

    def __init__(self, client, name=None, slots=100, ttl=60.0, outbox=None, labels=None,
                 metadata=None, log=None, takeover=False):
        self.client = client
        self.name = name or instance_id()
        self.slots = slots
        self.id = None  # of the incarnation
        self._ttl = ttl
        self._labels = labels or {}
        self._metadata = metadata or {}
        self._takeover = takeover
        self._log = log or (lambda text: None)
        self._held = {}
        self._claiming = 0  # slots of claims under way
        self._asked = {}  # queue: the claim that was not answered
        self._joins = 0  # registrations begun
        self._lock = threading.Lock()
        self._outbox = Outbox(outbox, self._log)
        self._reporter = Reporter(client, self._outbox, self._told, self._log)
        self._empty = threading.Condition(self._lock)
        self._stopping = Flag()
        self._joining = threading.Lock()  # one thread registers at a time, and no claim begins
        self._pulse = Pulse(client, ttl, self._log, members=lambda: [self], stop=self._asked_to_stop,
                            over=lambda _, was: self._register_again(was), back=self._reporter.wake)
        self._started = False

    @property
    def local(self):
        """The server is away, and what ends is kept."""
        return self._pulse.away

    # Life.

    def start(self):
        self._register()
        self._pulse.start()
        self._reporter.start()
        self._started = True
        return self

    def stop(self):
        """Claim nothing more; `run` returns when what is held has ended. Safe in a signal handler."""
        self._stopping.set()

    def close(self, patience=30.0):
        """Report what has ended, give back what has not, and leave."""
        self._stopping.set()
        with self._lock:
            left = list(self._held.values())
        for lease in left:
            self._give_back(lease)
        with self._empty:
            self._empty.wait_for(lambda: not self._held, timeout=patience)
        self._pulse.close()
        if self._started:
            self._reporter.close(patience)
        self._pulse.close(patience)
        try:
            once = Retry(attempts=1)
            self.client.call("POST", f"/v1/workers/{self.id}:deregister", retry=once)
        except WeftError as error:
            self._log(f"the worker could not take its leave: {error}")

    @staticmethod
    def _give_back(lease):
        try:
            if not lease.ended:
                lease.release()
        except (LeaseLost, RuntimeError):
            pass  # it was taken back, or ended by another thread, in this moment

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        self.close()
        return False

    def _register(self):
        with self._lock:
            tokens = list(self._held)
            self._joins += 1
        reply = self.client.call("POST", "/v1/workers:register", {
            "name": self.name, "slots": self.slots, "ttl": duration(self._ttl),
            "labels": self._labels, "metadata": self._metadata, "host": os.uname().nodename,
            "pid": os.getpid(), "takeover": self._takeover or self.id is not None,
            "tokens": list(dict.fromkeys(tokens + self._outbox.tokens())),
        }, once=unique())
        self.id = reply["worker"]["id"]
        self._asked = {}
        self._pulse.registered(reply)
        self._forget(reply.get("lost", []))

    # Heartbeats.

    def _asked_to_stop(self, _, tokens):
        with self._lock:
            leases = [self._held[t] for t in tokens if t in self._held]
        for lease in leases:
            lease.stop.set()

    def _register_again(self, was):
        """The incarnation `was` is over, or shall be; the next one asks for what it held. Several
        threads may want it at once, and the first of them is enough."""
        with self._joining:
            if self.id != was:
                return
            try:
                self._register()
            except WeftError as again:
                self._log(f"the worker could not register again: {again}")

    def lost(self, lease):
        """Called by a lease that the server does not know any more."""
        lease.lost.set()
        lease.stop.set()
        self._forget([lease.token])

    def _forget(self, tokens):
        for token in tokens:
            with self._lock:
                lease = self._held.pop(token, None)
                self._empty.notify_all()
            if lease is not None:
                lease.lost.set()
                lease.stop.set()

    # What has ended.

    def ended(self, lease, item):
        """Called by a lease. Returns at once; the reporter thread tells the server."""
        if lease.lost.is_set():
            self._forget([lease.token])
            raise LeaseLost(f"task {lease.id} was given to another worker")
        self._reporter.add(item)

    def _told(self, items, _):
        with self._empty:
            for item in items:
                self._held.pop(item["token"], None)
            self._empty.notify_all()

    # Work.

    def _take_slots(self, wanted):
        with self._lock:
            free = self.slots - len(self._held) - self._claiming
            if self._stopping.is_set() or len(self._outbox) >= OUTBOX_MAX:
                free = 0
            taken = max(0, min(wanted, free))
            self._claiming += taken
        return taken

    def claim(self, queue, max=1, wait=0.0):
        """Leases, at most as many as there are free slots; an empty list where there is nothing.

        A claim whose answer was lost may have been granted, and the heartbeat would keep those
        leases for ever: so the next claim of the queue is the same once more, and gives them.
        Where that brings nothing, an earlier try may still wait at a server and be granted later:
        the worker registers again, which fences it.
        """
        return self._claim(queue, max, wait)[0]

    def _claim(self, queue, wanted, wait):
        """The leases, and whether there was a slot for any."""
        if not isinstance(wanted, int) or isinstance(wanted, bool) or wanted < 1:
            raise ValueError("max is a whole number from 1 on")
        slots, leases = self._take_slots(wanted), []
        if not slots:
            return [], False
        with self._joining, self._lock:
            was, joins = self.id, self._joins
            asked = self._asked.pop(queue, None)
        tries = [] if not asked or asked["worker"] != was else [asked]
        if not tries:
            asked = {"worker": was, "max": slots, "wait": wait, "once": unique()}
        try:
            given = self.client.claim(queue, again=lambda: tries.append(asked), **asked)
            leases = [Lease(self, g) for g in given]
            if tries and not leases:
                self._fence(queue, asked)
        except Unavailable:
            with self._lock:
                self._asked[queue] = asked
            raise
        except Refused as error:
            if tries or error.code in OVER:
                self._fence(queue, asked)
            if error.code not in OVER:
                raise
        finally:
            with self._lock:
                self._claiming -= slots
                self._held.update((lease.token, lease) for lease in leases)
                named = joins == self._joins
        if leases and not named:
            for lease in leases:
                self._give_back(lease)  # the new incarnation did not ask for it
            return [], False
        return leases, True

    def _fence(self, queue, asked):
        """The claim brought nothing, and an earlier try of it may still be granted: not to the next
        incarnation. Where there is none yet, the next claim of the queue is this one."""
        self._register_again(asked["worker"])
        with self._lock:
            if self.id == asked["worker"]:
                self._asked[queue] = asked

    def _wait_for_room(self):
        """Until a slot may be free: what has ended holds one until the server knows."""
        until = time.monotonic() + ROOM_SECONDS
        with self._empty:
            while len(self._held) + self._claiming >= self.slots and not self._stopping.is_set():
                left = until - time.monotonic()
                if left <= 0:
                    return
                self._empty.wait(min(left, 0.1))
        if len(self._outbox) >= OUTBOX_MAX:
            self._stopping.wait(ROOM_SECONDS)

    def run(self, queue, handle, batch=None, wait=5.0, until_empty=False):
        """Claim and handle, one task after the other, until stop() (or, if wished, until there is
        nothing). `handle(lease)` returns the result, or raises, which fails the task alone.

        A queue that is not there may be made later: it is asked for again, with pauses, and the log
        says so once. Who goes on until there is nothing hears the refusal instead."""
        failures = missing = 0
        while not self._stopping.is_set():
            was = self.id
            try:
                leases, room = self._claim(queue, batch or min(self.slots, 10), wait)
                failures = missing = 0
            except Unavailable as error:
                failures += 1
                self._stopping.wait(self.client.retry.pause(failures, error.retry_after))
                continue
            except Refused as error:
                if error.code != NO_QUEUE or until_empty:
                    raise
                missing += 1
                if missing == 1:
                    self._log(f"{error}; it is asked for until it is there")
                self._stopping.wait(self.client.retry.pause(missing))
                continue
            if not room:
                self._wait_for_room()
                continue
            if not leases and until_empty and self.id == was:
                return
            if not leases and wait <= 0:
                self._stopping.wait(self._pulse.every)
            for lease in leases:
                self._handle(lease, handle)

    def _handle(self, lease, handle):
        try:
            if self._stopping.is_set():
                lease.release()
                return
            with lease:
                lease.result = handle(lease)
        except LeaseLost as error:
            self._log(str(error))

    def drain(self, patience=30.0):
        """Wait until what has ended is known to the server. True if it is."""
        with self._empty:
            return self._empty.wait_for(lambda: not self._held, timeout=patience)
