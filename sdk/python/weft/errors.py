# SPDX-License-Identifier: Apache-2.0
"""What can go wrong with a call."""


class WeftError(Exception):
    """Every error of this package. `code` is stable, `str()` is a sentence for a person."""

    code = "internal"


class Refused(WeftError):
    """The server answered that it does not do this."""

    def __init__(self, code, detail, status, details=()):
        super().__init__(detail)
        self.code = code
        self.status = status  # of HTTP
        self.details = list(details)  # [{line, column, text}] of a faulty workflow


class Unavailable(WeftError):
    """The server could not be asked, or cannot answer now: another try may do."""

    def __init__(self, code, detail, retry_after=None):
        super().__init__(detail)
        self.code = code
        self.retry_after = retry_after  # seconds, where the server said so
        self.once = None  # of a claim: its key


class BreakerOpen(Unavailable):
    """So many calls failed that none is made for a while."""

    def __init__(self, seconds):
        super().__init__(
            "breaker_open",
            f"the server has failed too often; the next try is in {seconds:.1f} s",
            retry_after=seconds,
        )
