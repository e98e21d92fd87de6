# SPDX-License-Identifier: Apache-2.0
"""Many at once: threads whose failures are the test's, and processors that are processes.

    crowd.together([functools.partial(take, n) for n in range(20)])      what each returned

    with crowd.Processor(url, "w1", "records", handle="return lease.payload") as p:
        p.stop()
"""
import os
import signal
import subprocess
import sys
import threading
import time

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SECONDS_MAX = 60

SCRIPT = """
import os, signal, sys, time
sys.path.insert(0, {sdk!r})
import weft
url, name, queue, batch, ttl = sys.argv[1:4] + [int(sys.argv[4]), float(sys.argv[5])]
def handle(lease):
{handle}
client = weft.Client(url, timeout=5, breaker=weft.Breaker(failures=10**9))
worker = client.worker(name, ttl=ttl, takeover=True)
signal.signal(signal.SIGTERM, lambda *_: worker.stop())
with worker:
    print(worker.id, flush=True)
    worker.run(queue, handle, batch=batch, wait=1)
"""


def wait(condition, what="it", seconds=SECONDS_MAX):
    """Look until the condition holds; its value."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"{what} did not come within {seconds} s")
        time.sleep(0.01)


def together(jobs):
    """Call all jobs at once, a thread each; what they returned. The first failure is raised."""
    results, failures = [None] * len(jobs), []
    gate = threading.Barrier(len(jobs))

    def run(i):
        gate.wait()
        try:
            results[i] = jobs[i]()
        except BaseException as error:  # pylint: disable=broad-except
            failures.append(error)

    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS_MAX)
        if thread.is_alive():
            raise AssertionError(f"one of {len(jobs)} is not back after {SECONDS_MAX} s")
    if failures:
        raise failures[0]
    return results


class Processor:
    """A worker in a process of its own. `handle` is the body of its handler, a line of Python."""

    def __init__(self, url, name, queue, handle, batch=1, ttl=60.0):
        lines = "".join(f"    {line}\n" for line in handle.splitlines())
        script = SCRIPT.format(sdk=os.path.join(SOURCE, "sdk", "python"), handle=lines)
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, url, name, queue, str(batch), str(ttl)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def registered(self):
        """The id of its incarnation, as soon as it has one."""
        return self.process.stdout.readline().strip()

    def crash(self):
        self.process.kill()
        return self.process.wait()

    def ended(self):
        """Its exit status, when it has ended by itself."""
        return self.process.wait(SECONDS_MAX)

    def stop(self):
        """As its supervisor would; it ends what it holds."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()
