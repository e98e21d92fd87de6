# SPDX-License-Identifier: Apache-2.0
"""Ends that the server has not heard of yet, and the thread that tells them, whatever the network does."""
import json
import os
import threading

from weft.errors import Refused, Unavailable
from weft.retry import Retry

MESSAGE_BYTES_MAX = 3800  # the server takes 4096 bytes, the code among them
REPORT_BATCH = 1000
# The file is written anew when so much of it has been delivered, and that is more than half.
WASTE_BYTES_MIN = 1 << 20
# Refusals that are the report's own fault: telling it again would be refused again.
BAD_REPORT = ("invalid_argument", "too_large")
# Answers after which the lease is nobody's. Behind any other the attempt goes on: of the plan's
# checks the end says what they do not take (check_final, task_not_found).
OVER = ("OK", "lease_lost", "completion_conflict")


def cut(text, limit):
    """At most so many bytes of UTF-8, whole characters."""
    data = str(text).encode("utf-8", "replace")
    return data[:limit].decode("utf-8", "ignore")


class Outbox:
    """Ended leases that the server has not heard of, oldest first. With a file they survive the
    process: a line per lease. What was delivered may stand in the file for a while, since telling
    an end twice changes nothing."""

    def __init__(self, path=None, log=None):
        self._lock = threading.Lock()
        self._items = []
        self._path = path
        self._log = log or (lambda text: None)
        self._bytes = 0  # of the file
        if path and os.path.exists(path):
            self._load()

    def _load(self):
        with open(self._path, "rb") as f:
            lines = f.read().splitlines(keepends=True)
        whole = True
        for line in lines:
            try:
                item = json.loads(line)
                self._items.append({**item, "token": item["token"]})
                whole = whole and line.endswith(b"\n")
            except (ValueError, TypeError, KeyError):
                whole = False  # it was being written when the process died
        self._bytes = sum(map(len, lines))
        if not whole:
            self._rewrite()  # or the next line would be the end of this one

    def __len__(self):
        with self._lock:
            return len(self._items)

    def tokens(self):
        with self._lock:
            return [i["token"] for i in self._items]

    @staticmethod
    def _write(path, mode, items):
        data = b"".join(json.dumps(i).encode() + b"\n" for i in items)
        with open(path, mode, buffering=0) as f:
            begin = f.tell()
            try:
                left = memoryview(data)
                while left:
                    left = left[f.write(left):]
                os.fsync(f.fileno())
            except OSError:
                f.truncate(begin)  # half a line would spoil the next one
                raise
        return len(data)

    def _rewrite(self):
        fresh = self._path + ".new"
        self._bytes = self._write(fresh, "wb", self._items)
        os.replace(fresh, self._path)

    def add(self, item):
        """Kept in memory even where the file cannot be written."""
        with self._lock:
            self._items.append(item)
            if not self._path:
                return
            try:
                self._bytes += self._write(self._path, "ab", [item])
            except OSError as error:
                self._log(f"the outbox cannot be written, ends are kept in memory: {error}")

    def first(self, n):
        with self._lock:
            return self._items[:n]

    def replace_first(self, item):
        """Only in memory: the file's line would be refused, and replaced, once more."""
        with self._lock:
            self._items[0] = item

    def drop(self, n):
        with self._lock:
            gone, self._items = self._items[:n], self._items[n:]
            if not self._path or not gone:
                return
            try:
                if not self._items:
                    os.truncate(self._path, 0)
                    self._bytes = 0
                elif self._wasteful():
                    self._rewrite()
            except OSError as error:
                self._log(f"the outbox cannot be written: {error}")

    def _wasteful(self):
        if self._bytes < WASTE_BYTES_MIN:
            return False
        left = sum(len(json.dumps(i)) + 1 for i in self._items)
        return self._bytes - left >= WASTE_BYTES_MIN and self._bytes > 2 * left


class Reporter:
    """Tells the server what is in an outbox, the oldest first, in batches, for as long as it takes.

    `told(items, answers)` hears of those that are dealt with, and of what was answered to each
    token that ended.
    """

    def __init__(self, client, outbox, told, log):
        self._client = client
        self._outbox = outbox
        self._told = told
        self._log = log
        self._news = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._report_for_ever, name="weft_report", daemon=True)

    def start(self):
        self._thread.start()

    def add(self, item):
        self._outbox.add(item)
        self._news.set()

    def wake(self):
        """The server is back: do not wait for the next try."""
        self._news.set()

    def close(self, patience):
        """Tell what is left, unless the server cannot be reached."""
        self._closing.set()
        self._news.set()
        self._thread.join(timeout=patience)

    def _report_for_ever(self):
        failures = alone = 0
        while True:
            if not len(self._outbox):
                if self._closing.is_set():
                    return
                self._news.wait()
                self._news.clear()
                continue
            items = self._outbox.first(1 if alone else REPORT_BATCH)
            try:
                self._deal_with(items, self._report(items))
                failures, alone = 0, max(0, alone - 1)
                continue
            except Refused as error:
                if error.code in BAD_REPORT:
                    self._log(f"the server refused a report: {error}")
                    # A batch that is refused as a whole holds one that can never be told.
                    alone = max(0, alone - 1) if self._tell_otherwise(items, error) else len(items)
                    continue
                problem, after = error, None
            except Unavailable as error:
                problem, after = error, error.retry_after
            except Exception as error:  # pylint: disable=broad-except
                # Without reports every lease would be held for ever.
                problem, after = error, None
            if self._closing.is_set():
                return  # kept in the outbox's file, where there is one
            failures += 1
            if failures == 1:
                self._log(f"ends are kept and told later: {problem}")
            self._news.clear()
            self._news.wait(self._client.retry.pause(failures, after))

    def _tell_otherwise(self, items, error):
        """What the server will never take is told as a failure, so that the task does not run for
        ever in its eyes. True if the item is dealt with."""
        if len(items) > 1:
            return False
        if self._is_last_word(items[0]):
            self._deal_with(items, {})
            return True
        self._outbox.replace_first(self._refused(items[0], error))
        return False

    @staticmethod
    def _is_last_word(item):
        return item.get("release") or (item.get("error") or {}).get("code") == "result_refused"

    @staticmethod
    def _refused(item, why):
        told = {"code": "result_refused", "message": cut(why, MESSAGE_BYTES_MAX)}
        return {"token": item["token"], "outcome": "failed", "error": told}

    def _report(self, items):
        once = Retry(attempts=1)
        results = [i for i in items if not i.get("release")]
        released = [i["token"] for i in items if i.get("release")]
        answers = {}
        if results:
            body = {"results": results}
            reply = self._client.call("POST", "/v1/leases:complete", body, retry=once)
            answers = dict(zip((i["token"] for i in results), reply["results"]))
        if released:
            body = {"tokens": released}
            self._client.call("POST", "/v1/leases:release", body, retry=once)
        return answers

    def _deal_with(self, items, answers):
        over = []
        for item in items:
            answer = answers.get(item["token"], {"code": "OK"})
            if answer["code"] != "OK":
                self._log(f"the end of lease {item['token']} was not taken: {answer}")
            if answer["code"] in OVER or self._is_last_word(item):
                over.append(item)
            else:
                self._outbox.add(self._refused(item, answer.get("message") or answer["code"]))
        self._outbox.drop(len(items))
        self._told(over, answers)
