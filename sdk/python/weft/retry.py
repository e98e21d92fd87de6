# SPDX-License-Identifier: Apache-2.0
"""When a call that failed is made again."""
import random


class Retry:
    """Tries, and the pauses between them: base, base * factor, ... up to cap, in seconds.

    `jitter` is the share of each pause that is random, so that clients which failed together do
    not come back together.
    """

    def __init__(self, attempts=4, base=0.1, factor=2.0, cap=10.0, jitter=0.2, rng=random):
        if attempts < 1 or base < 0 or factor < 1 or cap < base or not 0 <= jitter <= 1:
            raise ValueError("attempts >= 1, 0 <= base <= cap, factor >= 1 and 0 <= jitter <= 1")
        self.attempts = attempts
        self.base = base
        self.factor = factor
        self.cap = cap
        self.jitter = jitter
        self._rng = rng

    def pause(self, failures, retry_after=None):
        """Seconds to wait after so many failures in a row; the server's own wish counts as least."""
        # 2 ** 64 of the smallest base is beyond every cap, and a float never overflows there.
        plain = min(self.cap, self.base * self.factor ** min(failures - 1, 64))
        pause = plain * (1 - self.jitter * self._rng.random())
        return max(pause, retry_after or 0)
