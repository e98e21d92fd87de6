# SPDX-License-Identifier: Apache-2.0
"""A runner: the server calls it (weft.v1.Runner, over gRPC) when a stage of a plan is ready.

    runner = weft.Runner(weft.Client(), slots=4, listen="0.0.0.0:7500")

    @runner.stage("build")
    def build(ctx):
        ctx.progress(10, "compiling")
        ctx.check("builds", data={"warnings": 0})
        return {"binary": "out/weft"}

    runner.serve()                                      # until SIGTERM

It needs grpcio and protobuf (Debian: python3-grpcio, python3-protobuf); the rest of this package
does not.
"""
import collections
import json
import os
import signal
import threading

from weft.client import duration, instance_id, unique
from weft.errors import WeftError
from weft.outbox import Outbox, Reporter
from weft.pulse import Pulse
from weft.retry import Retry
from weft.stage import Context
from weft.worker import Flag

MODES = ("sync", "async")
# Ends are remembered, so that a token which comes again runs once: so many, and so much of them.
FINISHED_MAX = 1000
FINISHED_BYTES_MAX = 32 << 20
JOIN_SECONDS_MAX = 10.0  # a call may be here before the answer to the registration that it names
LEAVE_SECONDS = 1.0  # for answers that are on their way
SAY_SECONDS_MAX = 5.0  # to a server that may be away


class Refusal(Exception):
    """This runner does not take the stage; the server tries another one. `raw`: what is answered in
    the place of the sentence, by a runner that plays a broken one."""

    raw = None


class Offer:
    """What is registered for one type: a worker of its own, with its own slots."""

    def __init__(self, name, kind, work, modes, slots):
        self.name = name
        self.type = kind
        self.work = work
        self.modes = modes
        self.slots = slots  # 0: no limit
        self.id = None  # of the incarnation
        self.busy = 0
        self.joining = threading.Lock()


class Stage:
    """One token: its attempt, and how it came out."""

    def __init__(self, offer, context):
        self.offer = offer
        self.context = context
        self.callers = 0  # sync calls that wait for the report
        self.done = threading.Event()
        self.report = None  # when it is done; it has no context any more
        self.bytes = 0  # of the report


class Runner:
    """Serves the stages of some types. Each type is registered as a worker of that name (NAME/TYPE
    where there are several), with `slots` of its own; 0: no limit."""

    def __init__(self, client, name=None, slots=10, listen="127.0.0.1:0", address=None, ttl=60.0,
                 labels=None, metadata=None, version="", takeover=False, credentials=None, log=None):
        """`address`: where the server finds it, by default where it listens. `credentials`: of
        grpc.ssl_server_credentials(), else it speaks plain HTTP/2."""
        self.client = client
        self.name = name or instance_id()
        self.slots = slots
        self._address = address
        self.address = address  # by start(), where none is given
        self._listen = listen
        self._ttl = ttl
        self._labels = labels or {}
        self._metadata = metadata or {}
        self._version = version
        self._takeover = takeover
        self._credentials = credentials
        self._log = log or (lambda text: None)
        self._offers = {}
        self._lock = threading.Lock()
        self._rest = threading.Condition(self._lock)  # nothing goes on any more
        self._going = {}  # stages by token
        self._finished = collections.OrderedDict()  # likewise, the oldest first
        self._finished_bytes = 0
        self._stopping = Flag()
        self._outbox = Outbox()
        self._reporter = Reporter(client, self._outbox, self._told, self._log)
        self._pulse = Pulse(client, ttl, self._log, members=self._offers.values,
                            stop=lambda _, tokens: self._stop(tokens, "the stage is cancelled"),
                            over=self._over, back=self._reporter.wake, look=self._stop_late_ones)
        self._server = None

    @property
    def local(self):
        """The server is away, and what ends is kept."""
        return self._pulse.away

    # What it does.

    def stage(self, kind, mode=None, slots=None):
        """Decorate the function that does stages of this type. It is given a Context; what it
        returns is the result, and what it raises the failure (Failed says it in its own words).
        `mode`: "sync" or "async" alone; else both, as the stage wishes."""
        if mode is not None and mode not in MODES:
            raise ValueError(f'"{mode}" is no mode; it is one of {", ".join(MODES)}')
        if not isinstance(kind, str) or not kind:
            raise ValueError("the type of a stage is a text that is not empty")

        def decorate(work):
            self._offers[kind] = Offer(None, kind, work, (mode,) if mode else MODES,
                                       self.slots if slots is None else slots)
            return work

        return decorate

    # Life.

    def start(self):
        try:
            from weft import service  # pylint: disable=import-outside-toplevel
        except ImportError as error:
            raise WeftError("a runner needs grpcio and protobuf (Debian: python3-grpcio, "
                            f"python3-protobuf): {error}") from error
        if not self._offers:
            raise ValueError("the runner has no stage; give it one with @runner.stage(TYPE)")
        for offer in self._offers.values():
            offer.name = self.name if len(self._offers) == 1 else f"{self.name}/{offer.type}"
        self._server = service.start(self, self._listen, self._credentials,
                                     [o.slots for o in self._offers.values()])
        self.address = self._address or self._where(self._server.port)
        try:
            for offer in self._offers.values():
                self._register(offer)
        except BaseException:
            self._leave(0)
            raise
        self._pulse.start()
        self._reporter.start()
        return self

    def serve(self, patience=60.0):
        """Start, work until stop() or SIGTERM or SIGINT, finish what goes on, and leave."""
        before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                before[number] = signal.signal(number, lambda *_: self.stop())
        try:
            self.start()
            while not self._stopping.wait(3600.0):
                pass
            self.close(patience)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def stop(self):
        """Take nothing more; serve() returns when what goes on has ended. Safe in a signal handler."""
        self._stopping.set()

    def drain(self, patience=30.0):
        """Take nothing more, and wait for what goes on. True if all has ended."""
        self._stopping.set()
        for offer in self._offers.values():
            self._say(offer, "drain")
        with self._rest:
            return self._rest.wait_for(lambda: not self._going, timeout=patience)

    def close(self, patience=30.0):
        """Drain, report what has ended, and leave. What does not end in time is told to stop, and
        the server gives it to others."""
        if self._server is None:
            return
        if not self.drain(patience):
            with self._lock:
                left = list(self._going)
            self._stop(left, "the runner leaves")
        self._pulse.close()
        self._reporter.close(patience)
        self._pulse.close(patience)
        self._leave(LEAVE_SECONDS)

    def _where(self, port):
        host = self._listen.rpartition(":")[0]
        host = os.uname().nodename if host in ("0.0.0.0", "[::]", "") else host
        return f"{'https://' if self._credentials else ''}{host}:{port}"

    def _leave(self, grace):
        for offer in self._offers.values():
            if offer.id is not None:
                self._say(offer, "deregister")
                offer.id = None
        server, self._server = self._server, None
        server.stop(grace).wait()

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, error, trace):
        self.close()
        return False

    def _say(self, offer, verb):
        try:
            self.client.call("POST", f"/v1/workers/{offer.id}:{verb}", retry=Retry(attempts=1),
                             timeout=SAY_SECONDS_MAX)
        except WeftError as error:
            self._log(f"{offer.name} could not {verb}: {error}")

    def _register(self, offer):
        with offer.joining:
            with self._lock:
                tokens = [t for t, stage in self._going.items() if stage.offer is offer]
            again = offer.id is not None
            reply = self.client.call("POST", "/v1/workers:register", {
                "name": offer.name, "type": offer.type, "address": self.address,
                "modes": list(offer.modes), "slots": offer.slots, "ttl": duration(self._ttl),
                "labels": self._labels, "metadata": self._metadata, "version": self._version,
                "host": os.uname().nodename, "pid": os.getpid(),
                "takeover": self._takeover or again,
                "tokens": list(dict.fromkeys(tokens + self._outbox.tokens())),
            }, once=unique())
            offer.id = reply["worker"]["id"]
        self._pulse.registered(reply)
        # The outbox has tokens of all types; what goes on is this one's, or not in the list.
        self._stop(set(reply.get("lost", [])) & set(tokens), "it was given to another runner")

    # Heartbeats.

    def _over(self, offer, _):
        if not self._stopping.is_set():
            self._register(offer)

    def _stop_late_ones(self):
        with self._lock:
            contexts = [stage.context for stage in self._going.values()]
        for context in contexts:
            if context.left() == 0:
                context.cancel("its deadline has passed")

    def _stop(self, tokens, reason):
        with self._lock:
            contexts = [self._going[t].context for t in tokens if t in self._going]
        for context in contexts:
            context.cancel(reason)

    # Calls.

    def take(self, request, mode, waits=lambda: True):
        """The stage of a call, and whether it is a new one. `waits`: whether somebody still waits for
        the answer; a call that was in a queue for too long begins nothing. Raises Refusal."""
        offer = self._offers.get(request.type)
        if offer is None:
            raise Refusal(f'this runner does no stages of type "{request.type}"')
        if mode not in offer.modes:
            raise Refusal(f"stages of type {request.type} are not done {mode} here")
        self._know(offer, request.worker)
        with self._lock:
            stage = self._going.get(request.token) or self._finished.get(request.token)
            fresh = stage is None
            if fresh:
                if not waits():
                    raise Refusal("the call is over; nobody waits for an answer")
                if self._stopping.is_set():
                    raise Refusal("this runner is about to leave")
                if offer.slots and offer.busy >= offer.slots:
                    raise Refusal(f"all of the {offer.slots} slots are taken")
                stage = Stage(offer, Context(request, mode, self.client))
                offer.busy += 1
                self._going[request.token] = stage
            stage.callers += mode == "sync"
            return stage, fresh

    @staticmethod
    def _know(offer, worker):
        """The call is for this incarnation; its registration may be a moment from being answered."""
        if offer.id != worker and offer.joining.acquire(timeout=JOIN_SECONDS_MAX):
            offer.joining.release()
        if offer.id != worker:
            raise Refusal(f"this is incarnation {offer.id} of {offer.name}, not {worker}")

    def hang_up(self, stage):
        """A sync call is over, answered or not. The end of what then still goes on is told by itself."""
        with self._lock:
            stage.callers -= 1

    def perform(self, stage):
        """Do the stage; its report is told to the server, unless a call waits for it."""
        self.finish(stage, stage.context.report(stage.offer.work))

    def finish(self, stage, report):
        size, token = len(json.dumps(report)), stage.context.token
        with self._rest:
            stage.report, stage.bytes, stage.context = report, size, None
            # From here on the server may know it, and give something else into the slot.
            stage.offer.busy -= 1
            if not stage.callers:
                self._reporter.add({"token": token, **report})
            del self._going[token]
            self._remember(token, stage)
            self._rest.notify_all()
        stage.done.set()

    def _remember(self, token, stage):
        self._finished[token] = stage
        self._finished_bytes += stage.bytes
        while len(self._finished) > FINISHED_MAX or self._finished_bytes > FINISHED_BYTES_MAX:
            _, oldest = self._finished.popitem(last=False)
            self._finished_bytes -= oldest.bytes

    def begin(self, stage):
        """Do an async stage beside everything else."""
        threading.Thread(target=self.perform, args=(stage,), name="weft_stage", daemon=True).start()

    def cancel(self, token, reason):
        self._stop([token], reason or "the stage is cancelled")

    def free(self, worker):
        """(offer, free slots) of an incarnation, or of the first one where it is none of ours."""
        offers = list(self._offers.values())
        offer = next((o for o in offers if o.id == worker), offers[0])
        with self._lock:
            return offer, offer.slots - offer.busy if offer.slots else -1

    def _told(self, items, answers):
        """Ends that are dealt with; nothing waits for them here."""
