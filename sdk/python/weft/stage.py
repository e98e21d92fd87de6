# SPDX-License-Identifier: Apache-2.0
"""One attempt of a stage, as the function that does it sees it, and what came of it."""
import json
import os
import threading
import time
import traceback
import collections

from weft.errors import Unavailable, WeftError
from weft.outbox import MESSAGE_BYTES_MAX, cut

CODE_BYTES_MAX = 200
NO_WORDS = "it has no words"

# What a stage answers: `options` as they were written, `goal` FINAL or PLANNED.
Check = collections.namedtuple("Check", "name kind options goal")


class Failed(WeftError):
    """Raised by a stage's function, it says how the attempt failed. `final`: another attempt would
    fail again, so there is none."""

    def __init__(self, message, code="failed", final=False):
        super().__init__(message)
        self.code = code
        self.final = final


def words_of(value):
    """What it says of itself. Some exceptions raise another one when they are asked."""
    try:
        return str(value)
    except Exception:  # pylint: disable=broad-except
        return NO_WORDS


def error_of(error):
    """As the API has it: of a text, a Failed, any other exception, or {"code", "message"}."""
    if isinstance(error, dict):
        limits = {"code": CODE_BYTES_MAX, "message": MESSAGE_BYTES_MAX}
        return {k: cut(words_of(error[k]), limits[k]) for k in limits if k in error}
    if isinstance(error, str):
        code, text = "failed", error
    elif isinstance(error, Failed):
        code, text = words_of(error.code), words_of(error)
    else:
        where = traceback.extract_tb(error.__traceback__)[-1:]
        place = "".join(f" ({os.path.basename(w.filename)}:{w.lineno})" for w in where)
        code, text = type(error).__name__, f"{words_of(error) or type(error).__name__}{place}"
    return {"code": cut(code, CODE_BYTES_MAX), "message": cut(text, MESSAGE_BYTES_MAX)}


def plain(value):
    """The value as JSON has it; raises ValueError or TypeError where it has none."""
    return json.loads(json.dumps(value, allow_nan=False))


def parsed(text):
    return json.loads(text) if text else None


class Context:
    """What the function of a stage is given.

    `token` is never used again: take it as the idempotency key of whatever is done outside.
    """

    def __init__(self, request, mode, client):
        self.token = request.token
        self.run = request.run
        self.task = request.task
        self.name = request.name
        self.type = request.type
        self.attempt = request.attempt or 1
        self.mode = mode
        self.args = parsed(request.args)
        self.checks = [Check(c.name, c.kind, parsed(c.options), c.goal or "FINAL")
                       for c in request.checks]
        self.deadline = None  # seconds since 1970
        if request.HasField("deadline"):
            self.deadline = request.deadline.seconds + request.deadline.nanos / 1e9
        self.progress_every = None  # seconds; progress was promised so often
        if request.HasField("progress_every"):
            promised = request.progress_every
            self.progress_every = promised.seconds + promised.nanos / 1e9
        self.callback = request.callback  # the server that gave it
        self.cancelled = threading.Event()  # end soon: it was cancelled, or somebody else has it
        self.reason = ""  # of that
        self._client = client
        self._updates = {}

    def left(self):
        """Seconds until the deadline; None where there is none."""
        return None if self.deadline is None else max(0.0, self.deadline - time.time())

    def progress(self, percent=None, message=None, details=None):
        """Tell how far it is. A server that is away does not hear it, and nothing else happens."""
        item = {"token": self.token}
        if percent is not None:
            item["percent"] = int(percent)
        if message is not None:
            item["message"] = cut(message, MESSAGE_BYTES_MAX)
        if details is not None:
            item["details"] = plain(details)
        try:
            answer = self._client.renew([item])[0]
        except Unavailable:
            return
        if answer["code"] != "OK":
            self.cancel(answer.get("message") or answer["code"])
        elif answer.get("stop"):
            self.cancel("the stage is cancelled")

    def check(self, name, data=None, failure=None, finalize=True):
        """What the stage found out about a check; told with its end, all at once. `failure`: a
        text, an exception, or {"code", "message"}. Said twice, the last one counts."""
        update = {"check": name, "data": plain(data), "finalize": bool(finalize)}
        if failure is not None:
            update["failure"] = error_of(failure)
        self._updates[name] = update

    def cancel(self, reason):
        if not self.cancelled.is_set():
            self.reason = reason
            self.cancelled.set()

    def report(self, work):
        """Do the work; its end, as the API has it."""
        try:
            told = {"outcome": "succeeded", "result": plain(work(self))}
        except BaseException as error:  # pylint: disable=broad-except
            # Also of sys.exit(): it would end this thread, and the server hear of nothing.
            told = {"outcome": "failed", "error": error_of(error)}
            if self.cancelled.is_set():
                told["outcome"] = "cancelled"
            elif isinstance(error, Failed) and error.final:
                told["final"] = True
        if self._updates:
            told["checks"] = list(self._updates.values())
        return told
