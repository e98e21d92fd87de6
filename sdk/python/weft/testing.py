# SPDX-License-Identifier: Apache-2.0
"""A runner that does what a test wants of it.

    with TestRunner(client, "build", script=["refuse", "fail", "succeed"]) as runner:
        ...                                             write a plan with three stages
        runner.wait(3)
        runner.requests[0].name, runner.load_max

What it does with a request is the next word of its script, or a function that is given the
Context; behind the end of the script it is `on_run` and `on_run_async`, by default "succeed".
"""
import collections
import threading
import time

from weft.runner import MODES, Offer, Refusal, Runner
from weft.stage import Failed, parsed

WAIT_SECONDS_MAX = 30.0
LATE_SECONDS = 0.3
LOOK_SECONDS = 0.02
GARBAGE = b"\xff\xff\xff\xff"

# A call as it came; `at` is of time.monotonic().
Request = collections.namedtuple("Request", "mode token run name type attempt args checks deadline callback at")


class Garbage(Refusal):
    raw = GARBAGE


def succeed(ctx):
    """All checks that the stage was assigned are final; an async one tells progress before."""
    if ctx.mode == "async":
        ctx.progress(50, "half way", {"stage": ctx.name})
    for check in ctx.checks:
        ctx.check(check.name, data={"by": ctx.name})
    return {"stage": ctx.name, "attempt": ctx.attempt}


def fail(ctx):
    raise Failed(f"{ctx.name} fails as it should", code="scripted")


def fail_final(ctx):
    raise Failed(f"{ctx.name} fails for good", code="scripted", final=True)


def late(ctx):
    """Answer when the deadline is over."""
    ctx.cancelled.wait(ctx.left())
    time.sleep(LATE_SECONDS)
    return succeed(ctx)


class TestRunner(Runner):
    """Words of its script, of which each deals with one request:

    succeed     all assigned checks are final
    fail        a failure that may be tried again; fail_final: one that may not
    refuse      it does not take the stage
    hang        it does not answer, until release()
    stall       it takes the stage and says no more, until release() or it is cancelled
    late        it answers when the deadline has passed
    garbage     it answers bytes that are no message
    vanish      it takes the stage and is never heard of again
    die         it is gone before it answers
    """

    __test__ = False  # of pytest's

    def __init__(self, client, kind, name=None, modes=MODES, slots=10, ttl=300.0, script=(),
                 on_run=succeed, on_run_async=succeed, **options):
        super().__init__(client, name, slots, ttl=ttl, **{"takeover": True, **options})
        for each in [kind] if isinstance(kind, str) else kind:
            self._offers[each] = Offer(None, each, self._work, tuple(modes), slots)
        self.on_run = on_run
        self.on_run_async = on_run_async
        self.requests = []
        self.load_max = 0
        self.answers = {}  # to the ends of async stages, and of sync ones that nobody waited for
        self.dead = False
        self._script = collections.deque()
        self._acts = {}  # by token
        self._came = threading.Condition()
        self._released = threading.Event()
        self.script(*script)

    # What a test asks and does.

    @property
    def load(self):
        """Stages that go on now."""
        with self._lock:
            return len(self._going)

    def script(self, *acts):
        """Deal with the next requests like this, behind what was scripted already."""
        for act in acts:
            if act not in WORDS and not callable(act):
                raise ValueError(f'"{act}" is no word of a script')
        with self._came:
            self._script.extend(acts)

    def names(self, mode=None):
        """Of the stages that were asked for, in order."""
        with self._came:
            return [r.name for r in self.requests if mode in (None, r.mode)]

    def wait(self, count=1, seconds=WAIT_SECONDS_MAX):
        """Until so many requests have come; all of them."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.requests) >= count, seconds):
                raise AssertionError(f"{len(self.requests)} of {count} requests came to {self.name}")
            return list(self.requests)

    def wait_answer(self, token, seconds=WAIT_SECONDS_MAX):
        """Until the server has answered to the end of this token; its code."""
        with self._came:
            if not self._came.wait_for(lambda: token in self.answers, seconds):
                raise AssertionError(f"the end of {token} was not answered")
            return self.answers[token]

    def release(self):
        """What hangs or stalls goes on: it refuses, or succeeds."""
        self._released.set()

    def die(self, grace=0):
        """Be gone, as a process that is killed: no leave is taken, and what goes on is told to nobody.
        The event that it gives is set when its connections are closed."""
        self.dead = True
        self._stopping.set()
        self._pulse.close()
        gone = self._server.stop(grace)
        self._reporter.close(0)
        return gone

    def close(self, patience=30.0):
        self.release()
        if not self.dead:
            super().close(patience)

    # How it plays.

    def take(self, request, mode, waits=lambda: True):
        act = self._record(request, mode)
        if act == "refuse":
            raise Refusal("it refuses as it should")
        if act == "garbage":
            raise Garbage()
        if act == "hang":
            self._released.wait()
            raise Refusal("it has hung")
        if act == "die":
            self.die().wait(LATE_SECONDS)  # or the refusal would be heard
            raise Refusal("it is dead")
        self._acts[request.token] = act
        stage, fresh = super().take(request, mode, waits)
        with self._came:
            self.load_max = max(self.load_max, self.load)
        return stage, fresh

    def _record(self, request, mode):
        with self._came:
            deadline = request.deadline.seconds + request.deadline.nanos / 1e9
            self.requests.append(Request(
                mode, request.token, request.run, request.name, request.type, request.attempt,
                parsed(request.args), [c.name for c in request.checks],
                deadline if request.HasField("deadline") else None, request.callback,
                time.monotonic()))
            self._came.notify_all()
            return self._script.popleft() if self._script else None

    def _work(self, ctx):
        act = self._acts.pop(ctx.token, None)
        if act is None:
            act = self.on_run if ctx.mode == "sync" else self.on_run_async
        if act == "vanish":
            self.die(grace=LATE_SECONDS)
            return None
        return (WORDS.get(act) or act)(ctx) if act != "stall" else self._stall(ctx)

    def _stall(self, ctx):
        while not self._released.wait(LOOK_SECONDS):
            if ctx.cancelled.is_set():
                raise Failed(ctx.reason)
        return succeed(ctx)

    def _told(self, items, answers):
        with self._came:
            self.answers.update((t, a["code"]) for t, a in answers.items())
            self._came.notify_all()

    def perform(self, stage):
        report = stage.context.report(stage.offer.work)
        if not self.dead:
            self.finish(stage, report)


# Of those without a function `take` and `_work` know what to do.
WORDS = {"succeed": succeed, "fail": fail, "fail_final": fail_final, "late": late,
         **dict.fromkeys(("refuse", "hang", "stall", "garbage", "vanish", "die"))}
