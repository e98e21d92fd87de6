# SPDX-License-Identifier: Apache-2.0
"""A circuit breaker: after so many failures in a row nothing is tried for a while.

    CLOSED --failures reach the limit--> OPEN --rest is over--> HALF_OPEN
    HALF_OPEN --enough successes--> CLOSED, --a failure--> OPEN
"""
import threading
import time

CLOSED, OPEN, HALF_OPEN = "CLOSED", "OPEN", "HALF_OPEN"


class Breaker:
    """Shared by threads. `clock` gives seconds that only grow."""

    def __init__(self, failures=5, rest=60.0, successes=3, clock=time.monotonic):
        self.failures_max = failures
        self.rest = rest
        self.successes_needed = successes
        self.state = CLOSED
        self.failures = 0
        self._successes = 0
        self._opened_at = 0.0
        self._clock = clock
        self._lock = threading.Lock()

    def permit(self):
        """0 where a call may be made, else the seconds until one may."""
        with self._lock:
            if self.state != OPEN:
                return 0.0
            left = self._opened_at + self.rest - self._clock()
            if left > 0:
                return left
            self.state = HALF_OPEN
            self._successes = 0
            return 0.0

    def succeeded(self):
        with self._lock:
            self.failures = 0
            if self.state == OPEN:  # a probe, which did not ask
                self.state = HALF_OPEN
                self._successes = 0
            if self.state != HALF_OPEN:
                return
            self._successes += 1
            if self._successes >= self.successes_needed:
                self.state = CLOSED

    def failed(self):
        with self._lock:
            self.failures += 1
            if self.state == HALF_OPEN or self.failures >= self.failures_max:
                self.state = OPEN
                self._opened_at = self._clock()
