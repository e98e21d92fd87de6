# SPDX-License-Identifier: Apache-2.0
"""Heartbeats from a thread of its own, whatever the network does."""
import threading
import time

from weft.errors import Refused, Unavailable
from weft.retry import Retry

OVER = ("worker_lost", "worker_not_found")
LOOK_SECONDS = 0.5  # between two looks at what else depends on time


class Pulse:
    """Tells the server that workers live, five times within their TTL.

    members(): those that do, each with the `id` of its incarnation.
    stop(member, tokens): the server wants these to end.
    over(member, was): the incarnation `was` has ended; the member registers again.
    back(): the server answers again, after it was away.
    look(): called between beats.
    """

    def __init__(self, client, ttl, log, members, stop, over, back, look=lambda: None):
        self.away = False
        self.every = ttl / 5
        self._client = client
        self._timeout = max(1.0, ttl / 5)
        self._log = log
        self._members = members
        self._stop = stop
        self._over = over
        self._back = back
        self._look = look
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat_for_ever, name="weft_beat", daemon=True)

    def registered(self, reply):
        """The server said how often it wants to hear."""
        every = reply.get("heartbeat_every", "")
        if every.endswith("s"):
            self.every = min(self.every, float(every[:-1]))

    def start(self):
        self._thread.start()

    def close(self, patience=0.0):
        """No more of them; one that is under way has so long to end."""
        self._closed.set()
        if self._thread.ident and patience:
            self._thread.join(timeout=patience)

    def _beat_for_ever(self):
        due = time.monotonic() + self.every
        while not self._closed.wait(min(LOOK_SECONDS, max(0.0, due - time.monotonic()))):
            self._look()
            if time.monotonic() < due:
                continue
            due = time.monotonic() + self.every
            for member in self._members():
                self._beat(member)

    def _beat(self, member):
        try:
            self._tell(member)
            if self.away:
                self._log("the server is back")
                self._back()
            self.away = False
        except Unavailable as error:
            if not self.away:
                self._log(f"the server is away, working on without it: {error}")
            self.away = True
        except Exception as error:  # pylint: disable=broad-except
            # Without heartbeats everything that is held would be lost.
            self._log(f"the heartbeat failed: {error!r}")

    def _tell(self, member):
        was = member.id
        try:
            reply = self._client.call("POST", f"/v1/workers/{was}:heartbeat", {}, probe=True,
                                      retry=Retry(attempts=1), timeout=self._timeout)
            self._stop(member, reply.get("stop", []))
        except Refused as error:
            self._log(f"the heartbeat was refused: {error}")
            if error.code in OVER:
                self._over(member, was)
