# SPDX-License-Identifier: Apache-2.0
"""The calls of weft's HTTP API."""
import http.client
import json
import logging
import os
import secrets
import socket
import ssl
import threading
import time
import urllib.parse
import uuid

from weft.breaker import Breaker
from weft.errors import BreakerOpen, Refused, Unavailable
from weft.retry import Retry

LOG = logging.getLogger("weft")
LOG.addHandler(logging.NullHandler())

# What the server says when another try may do.
RETRY_STATUS = {408, 425, 429, 502, 503, 504}


def instance_id():
    """HOST-8hex, a new one each time: the name of a worker that brings none."""
    try:
        host = socket.gethostname() or "unknown"
    except OSError:
        host = "unknown"
    return f"{host[:150]}-{secrets.token_hex(4)}"


def unique():
    """An idempotency key of its own."""
    return uuid.uuid4().hex


def duration(seconds):
    """As the API writes a duration; a text is taken as it is ("5s")."""
    if isinstance(seconds, str):
        return seconds
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + "s"


class Task:
    """A payload with what else a task may have; see NewTask in proto/weft/v1/queue.proto."""

    def __init__(self, payload, **fields):
        for name in ("delay", "unique_for", "timeout"):
            if fields.get(name) is not None:
                fields[name] = duration(fields[name])
        self.fields = {"payload": payload}
        self.fields.update((k, v) for k, v in fields.items() if v is not None)


class Client:
    """One server. Threads may share it; each has a connection of its own.

    A call is made again when the server cannot be reached (`retry`). Most may be made twice
    without harm; those that may not (enqueue, claim) carry an idempotency key, so that the server
    answers the second as it answered the first.
    """

    def __init__(self, url=None, timeout=30.0, retry=None, breaker=None, context=None):
        url = url or os.environ.get("WEFT_SERVER") or "http://127.0.0.1:7411"
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f'"{url}" is no server; it is written http://HOST:PORT')
        self.url = url
        self.timeout = timeout
        self.retry = retry or Retry()
        self.breaker = breaker or Breaker()
        self._secure = parts.scheme == "https"
        self._address = (parts.hostname, parts.port or (443 if self._secure else 80))
        self._context = context
        self._local = threading.local()

    # One request.

    def _connection(self, timeout):
        connection = getattr(self._local, "connection", None)
        if connection is None:
            if self._secure:
                context = self._context or ssl.create_default_context()
                connection = http.client.HTTPSConnection(*self._address, context=context)
            else:
                connection = http.client.HTTPConnection(*self._address)
            self._local.connection = connection
        connection.timeout = timeout
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        return connection

    def _drop(self):
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
        self._local.connection = None

    def _send(self, verb, path, body, headers, timeout, again):
        """One try. A connection that the server closed while it was idle is opened once more:
        nothing was read on it, so that as a rule nothing was done."""
        for last in (False, True):
            connection = self._connection(timeout)
            fresh = connection.sock is None
            try:
                connection.request(verb, path, body, headers)
                if fresh and connection.sock is not None:
                    connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                response = connection.getresponse()
                return response, response.read()
            except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
                self._drop()
                if fresh or last:
                    raise
                again()
            except Exception:
                self._drop()
                raise
        raise AssertionError("unreachable")

    def _once(self, verb, path, body, headers, timeout, again):
        try:
            response, data = self._send(verb, path, body, headers, timeout, again)
        except (OSError, http.client.HTTPException) as error:
            # An HTTPException is half an answer, as good as none.
            why = str(error) or type(error).__name__
            raise Unavailable("unavailable", f"{self.url} does not answer: {why}") from error
        if not 200 <= response.status < 300:
            raise self._problem(response, data)
        try:
            reply = json.loads(data) if data else {}
        except ValueError:
            reply = None
        if not isinstance(reply, dict):
            sentence = f"{self.url} answered with something else than JSON; is it a weft server?"
            raise Refused("internal", sentence, response.status)
        return reply

    @staticmethod
    def _problem(response, data):
        try:
            problem = json.loads(data)
        except ValueError:
            problem = None
        if not isinstance(problem, dict):
            problem = {}
        code = problem.get("code", f"http_{response.status}")
        detail = problem.get("detail") or problem.get("title") or f"HTTP status {response.status}"
        if response.status not in RETRY_STATUS:
            return Refused(code, detail, response.status, problem.get("details") or ())
        try:
            after = float(response.getheader("Retry-After") or "")
        except ValueError:
            after = None
        return Unavailable(code, detail, after)

    def call(self, verb, path, body=None, query=None, timeout=None, retry=None, once=None,
             probe=False, again=lambda: None):
        """Make a call; `once`: an idempotency key; `probe`: even while the breaker is open,
        which its success then half opens; `again`: called before each new try. Raises Refused, or
        Unavailable when the tries are used up; the logger "weft" hears of each try that failed."""
        retry = retry or self.retry
        if query:
            path += "?" + urllib.parse.urlencode(query)
        headers = {"Accept": "application/json"}
        data = None
        if verb in ("POST", "PUT"):
            data = json.dumps(body or {}, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        if once:
            headers["Idempotency-Key"] = once
        failures = 0
        while True:
            rest = self.breaker.permit()
            if rest > 0 and not probe:
                raise BreakerOpen(rest)
            begun = time.monotonic()
            try:
                reply = self._once(verb, path, data, headers, timeout or self.timeout, again)
            except Refused:
                self.breaker.succeeded()
                raise
            except Unavailable as error:
                self.breaker.failed()
                failures += 1
                LOG.warning("%s %s: try %d of %d failed after %.3f s: %s: %s", verb, path, failures,
                            retry.attempts, time.monotonic() - begun, error.code, error)
                if failures >= retry.attempts:
                    raise
                time.sleep(retry.pause(failures, error.retry_after))
                again()
            else:
                self.breaker.succeeded()
                return reply

    # Queues.

    @staticmethod
    def _queue(queue, verb=""):
        if not isinstance(queue, str) or not queue.strip():
            raise ValueError("the name of a queue is a text that is not blank")
        return f"/v1/queues/{urllib.parse.quote(queue, safe='')}{verb}"

    def put_queue(self, queue, **settings):
        """Make the queue, or change the settings that are given (PutQueueRequest)."""
        for name in ("claim_ttl", "retention", "task_timeout"):
            if settings.get(name) is not None:
                settings[name] = duration(settings[name])
        return self.call("PUT", self._queue(queue), settings)

    def queue(self, queue):
        """Settings and counts."""
        return self.call("GET", self._queue(queue))

    def queues(self):
        """Every queue, page by page."""
        return self._pages("/v1/queues", "queues", {})

    def enqueue(self, queue, tasks):
        """Add payloads, or Tasks, all of them or none. Returns their ids in the same order."""
        tasks = [t.fields if isinstance(t, Task) else {"payload": t} for t in tasks]
        if not tasks:
            raise ValueError("there is nothing to enqueue")
        path = self._queue(queue, ":enqueue")
        return self.call("POST", path, {"tasks": tasks}, once=unique())["ids"]

    def claim(self, queue, worker, max=1, wait=0.0, ttl=None, once=None, again=lambda: None):
        """Up to `max` leases as the API gives them. Where no try heard an answer, the error has the
        key that they were made under: the same claim with `once=error.once` gives the leases that
        it may have brought, which nobody else gets before their TTL has passed. A Worker is more
        comfortable, and does that by itself. `again`: as in call()."""
        if not isinstance(max, int) or isinstance(max, bool) or max < 1:
            raise ValueError("max is a whole number from 1 on")
        body = {"worker": worker, "max": max, "wait": duration(wait)}
        if ttl is not None:
            body["ttl"] = duration(ttl)
        path, once = self._queue(queue, ":claim"), once or unique()
        try:
            reply = self.call("POST", path, body, timeout=self.timeout + wait, once=once,
                              again=again)
        except Unavailable as error:
            error.once = once
            raise
        return reply.get("leases", [])

    def complete(self, results):
        """End attempts; one {code, message} per result, in order."""
        return self.call("POST", "/v1/leases:complete", {"results": results})["results"]

    def release(self, tokens):
        """Give tasks back unworked."""
        return self.call("POST", "/v1/leases:release", {"tokens": tokens})["results"]

    def renew(self, leases, ttl=None):
        body = {"leases": leases}
        if ttl is not None:
            body["ttl"] = duration(ttl)
        return self.call("POST", "/v1/leases:renew", body)["results"]

    def pause(self, queue):
        return self.call("POST", self._queue(queue, ":pause"))

    def resume(self, queue):
        return self.call("POST", self._queue(queue, ":resume"))

    def requeue(self, queue, ids=None, max=None):
        """Give dead letters back: those of `ids`, else the oldest `max`. Returns how many."""
        body = {}
        if ids is not None:
            body["tasks"] = [{"id": i} for i in ids]
        if max is not None:
            body["max"] = max
        return self.call("POST", self._queue(queue, ":requeue"), body).get("requeued", 0)

    def dead_letters(self, queue):
        return self._pages(self._queue(queue, "/tasks"), "tasks", {"state": "FAILED"})

    def _pages(self, path, key, query):
        token = ""
        while True:
            reply = self.call("GET", path, query={**query, "page_token": token})
            yield from reply.get(key, [])
            token = reply.get("next_page_token", "")
            if not token:
                return

    # The server.

    def status(self):
        return self.call("GET", "/v1/status")

    def health(self):
        """Never raises: a server that cannot be asked is unhealthy."""
        try:
            # The server gives its store ten seconds.
            return self.call("GET", "/v1/health", timeout=15.0, retry=Retry(attempts=1))
        except Exception as error:  # pylint: disable=broad-except
            return {"health": "unhealthy", "reason": str(error)}

    def worker(self, name=None, **options):
        """A Worker of this client; see there."""
        from weft.worker import Worker  # pylint: disable=import-outside-toplevel

        return Worker(self, name, **options)

    def runner(self, name=None, **options):
        """A Runner of this client; see there."""
        from weft.runner import Runner  # pylint: disable=import-outside-toplevel

        return Runner(self, name, **options)

    def close(self):
        """Close this thread's connection."""
        self._drop()
