# SPDX-License-Identifier: Apache-2.0
"""A worker: registers, heartbeats, claims, and reports what it has done, whatever the network does.

While the server is away the worker goes on with what it holds. What has ended is kept (in memory,
or in a file that outlives the process) and reported when the server is back.
"""
import json
import os
import threading
import traceback

from weft.client import duration, instance_id, unique
from weft.errors import Refused, Unavailable, WeftError
from weft.retry import Retry

MESSAGE_BYTES_MAX = 3800  # the server takes 4096 bytes, the code among them
REPORT_BATCH = 1000
# Ended leases that are kept while the server is away; beyond them the worker stops claiming.
OUTBOX_MAX = 100000


class LeaseLost(WeftError):
    """The task was given to somebody else; what was done for it is reported by nobody."""

    code = "lease_lost"


def cut(text, limit):
    """At most so many bytes of UTF-8, whole characters."""
    data = str(text).encode("utf-8", "replace")
    return data[:limit].decode("utf-8", "ignore")


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
            self.lost.set()
        if answer["code"] != "OK" or answer.get("stop"):
            self.stop.set()

    def complete(self, result=None):
        self._end({"outcome": "succeeded", "result": result})

    def fail(self, message, code="error"):
        error = {"code": cut(code, 200), "message": cut(message, MESSAGE_BYTES_MAX)}
        self._end({"outcome": "failed", "error": error})

    def cancelled(self, message="stopped as asked"):
        self._end({"outcome": "cancelled", "error": {"code": "cancelled", "message": message}})

    def release(self):
        """Give it back unworked."""
        self._end(None)

    def _end(self, result):
        if self._ended:
            raise RuntimeError(f"task {self.id} has been ended already")
        self._ended = True
        self._worker.ended(self, result)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self._ended:
            return False
        if error is None:
            self.complete(self.result)
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


class Outbox:
    """Ended leases that the server has not heard of, oldest first. With a file they survive the
    process: a line per lease, rewritten as they are delivered."""

    def __init__(self, path=None):
        self._lock = threading.Lock()
        self._items = []
        self._path = path
        if path and os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                for line in f:
                    try:
                        self._items.append(json.loads(line))
                    except ValueError:
                        break  # a line that was being written when the process died

    def __len__(self):
        with self._lock:
            return len(self._items)

    def tokens(self):
        with self._lock:
            return [i["token"] for i in self._items]

    def add(self, item):
        with self._lock:
            self._items.append(item)
            if self._path:
                with open(self._path, "a", encoding="utf-8") as f:
                    f.write(json.dumps(item) + "\n")
                    f.flush()
                    os.fsync(f.fileno())

    def first(self, n):
        with self._lock:
            return self._items[:n]

    def drop(self, n):
        with self._lock:
            del self._items[:n]
            if not self._path:
                return
            fresh = self._path + ".new"
            with open(fresh, "w", encoding="utf-8") as f:
                f.writelines(json.dumps(i) + "\n" for i in self._items)
                f.flush()
                os.fsync(f.fileno())
            os.replace(fresh, self._path)


class Worker:
    """One incarnation after the other of a worker with this name. Use it as a context manager."""

    def __init__(self, client, name=None, slots=100, ttl=60.0, outbox=None, labels=None,
                 metadata=None, log=None, takeover=False):
        self.client = client
        self.name = name or instance_id()
        self.slots = slots
        self.id = None  # of the incarnation
        self.local = False  # the server is away, and what ends is kept
        self._ttl = ttl
        self._labels = labels or {}
        self._metadata = metadata or {}
        self._takeover = takeover
        self._log = log or (lambda text: None)
        self._held = {}
        self._asked = {}  # queue: the claim that was not answered
        self._lock = threading.Lock()
        self._outbox = Outbox(outbox)
        self._news = threading.Event()  # something for the reporter
        self._empty = threading.Condition(self._lock)
        self._stopping = threading.Event()
        self._closed = threading.Event()
        self._threads = []
        self._every = ttl / 5

    # Life.

    def start(self):
        self._register()
        for target in (self._beat_for_ever, self._report_for_ever):
            thread = threading.Thread(target=target, name=f"weft-{target.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)
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
            if not lease._ended:  # pylint: disable=protected-access
                lease.release()
        with self._empty:
            self._empty.wait_for(lambda: not self._held, timeout=patience)
        self._closed.set()
        self._news.set()
        for thread in self._threads:
            thread.join(timeout=patience)
        try:
            once = Retry(attempts=1)
            self.client.call("POST", f"/v1/workers/{self.id}:deregister", retry=once)
        except WeftError as error:
            self._log(f"the worker could not take its leave: {error}")

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        self.close()
        return False

    def _register(self):
        with self._lock:
            tokens = list(self._held)
        reply = self.client.call("POST", "/v1/workers:register", {
            "name": self.name, "slots": self.slots, "ttl": duration(self._ttl),
            "labels": self._labels, "metadata": self._metadata, "host": os.uname().nodename,
            "pid": os.getpid(), "takeover": self._takeover or self.id is not None,
            "tokens": tokens + self._outbox.tokens(),
        }, once=unique())
        self.id = reply["worker"]["id"]
        self._asked = {}
        every = reply.get("heartbeat_every", "")
        if every.endswith("s"):
            self._every = float(every[:-1])
        self._forget(reply.get("lost", []))

    # Heartbeats.

    def _beat_for_ever(self):
        once = Retry(attempts=1)
        while not self._closed.wait(self._every):
            try:
                self._beat(once)
                if self.local:
                    self._log("the server is back")
                    self._news.set()
                self.local = False
            except Unavailable as error:
                if not self.local:
                    self._log(f"the server is away, working on without it: {error}")
                self.local = True
            except Refused as error:
                self._log(f"the heartbeat was refused: {error}")
                self._try_again_as_new(error)

    def _beat(self, retry):
        path = f"/v1/workers/{self.id}:heartbeat"
        reply = self.client.call("POST", path, {}, retry=retry, probe=True,
                                 timeout=max(1.0, self._ttl / 5))
        with self._lock:
            leases = [self._held[t] for t in reply.get("stop", []) if t in self._held]
        for lease in leases:
            lease.stop.set()

    def _try_again_as_new(self, error):
        """This incarnation is over; the next one asks for what the last one held."""
        if error.code not in ("worker_lost", "worker_not_found"):
            return
        try:
            self._register()
        except WeftError as again:
            self._log(f"the worker could not register again: {again}")

    def _forget(self, tokens):
        for token in tokens:
            with self._lock:
                lease = self._held.pop(token, None)
                self._empty.notify_all()
            if lease is not None:
                lease.lost.set()
                lease.stop.set()

    # What has ended.

    def ended(self, lease, result):
        """Called by a lease. Returns at once; the reporter thread tells the server."""
        if lease.lost.is_set():
            self._forget([lease.token])
            raise LeaseLost(f"task {lease.id} was given to another worker")
        self._outbox.add({"token": lease.token, **(result or {"release": True})})
        self._news.set()

    def _report_for_ever(self):
        failures = 0
        while True:
            if not len(self._outbox):
                if self._closed.is_set():
                    return
                self._news.wait()
                self._news.clear()
                continue
            try:
                self._report(self._outbox.first(REPORT_BATCH))
                failures = 0
            except Unavailable as error:
                failures += 1
                pause = self.client.retry.pause(failures, error.retry_after)
                if self._closed.is_set():
                    return  # kept in the outbox's file, where there is one
                self._news.wait(pause)
                self._news.clear()
            except Refused as error:
                # A batch that is refused as a whole holds one that can never be told.
                self._log(f"the server refused a report: {error}")
                self._report_one_by_one()

    def _report(self, items):
        once = Retry(attempts=1)
        results = [i for i in items if not i.get("release")]
        released = [i["token"] for i in items if i.get("release")]
        answers = []
        if results:
            body = {"results": results}
            reply = self.client.call("POST", "/v1/leases:complete", body, retry=once)
            answers = list(zip((i["token"] for i in results), reply["results"]))
        if released:
            body = {"tokens": released}
            self.client.call("POST", "/v1/leases:release", body, retry=once)
        for token, answer in answers:
            if answer["code"] != "OK":
                self._log(f"the end of lease {token} was not taken: {answer}")
        self._delivered(items)

    def _delivered(self, items):
        self._outbox.drop(len(items))
        with self._empty:
            for item in items:
                self._held.pop(item["token"], None)
            self._empty.notify_all()

    def _report_one_by_one(self):
        for item in self._outbox.first(REPORT_BATCH):
            try:
                self._report([item])
            except Refused as error:
                self._log(f"the end of lease {item['token']} was refused: {error}")
                self._delivered([item])
            except Unavailable:
                return

    # Work.

    def claim(self, queue, max=1, wait=0.0):
        """Leases, at most as many as there are free slots; an empty list where there is nothing.

        A claim whose answer was lost may have been granted, and the heartbeat would keep those
        leases for ever: so the next claim of the queue is the same once more, and gives them.
        """
        with self._lock:
            free = self.slots - len(self._held)
            asked = self._asked.pop(queue, None)
        if self._stopping.is_set() or free < 1 or len(self._outbox) >= OUTBOX_MAX:
            return []
        if not asked or asked["worker"] != self.id:
            asked = {"worker": self.id, "max": min(max, free), "wait": wait, "once": unique()}
        try:
            given = self.client.claim(queue, **asked)
        except Unavailable:
            with self._lock:
                self._asked[queue] = asked
            raise
        except Refused as error:
            if error.code not in ("worker_lost", "worker_not_found"):
                raise
            self._try_again_as_new(error)
            return []
        leases = [Lease(self, g) for g in given]
        with self._lock:
            self._held.update((lease.token, lease) for lease in leases)
        return leases

    def run(self, queue, handle, batch=None, wait=5.0, until_empty=False):
        """Claim and handle, one task after the other, until stop() (or, if wished, until there is
        nothing). `handle(lease)` returns the result, or raises, which fails the task alone."""
        failures = 0
        while not self._stopping.is_set():
            try:
                leases = self.claim(queue, batch or min(self.slots, 10), wait)
                failures = 0
            except Unavailable as error:
                failures += 1
                self._stopping.wait(self.client.retry.pause(failures, error.retry_after))
                continue
            if not leases and until_empty:
                return
            if not leases and wait <= 0:
                self._stopping.wait(self._every)
            for lease in leases:
                self._handle(lease, handle)

    def _handle(self, lease, handle):
        if self._stopping.is_set():
            lease.release()
            return
        try:
            with lease:
                lease.result = handle(lease)
        except LeaseLost as error:
            self._log(str(error))

    def drain(self, patience=30.0):
        """Wait until what has ended is known to the server. True if it is."""
        with self._empty:
            return self._empty.wait_for(lambda: not self._held, timeout=patience)
