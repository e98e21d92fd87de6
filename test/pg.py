# SPDX-License-Identifier: Apache-2.0
"""A real Postgres server of a test's own, in a temporary folder, gone when the test is gone.

    with pg.Server() as server:        the whole server; server.kill() and server.start() between
        with pg.database(server.url) as url: ...

    with pg.database(os.environ["WEFT_TEST_POSTGRES"]) as url: ...     a database in a shared one

The server belongs to a guardian process (this file, run as a program), which holds one end of a
pipe and ends the server and deletes the folder when the other end is closed: by stop(), or because
the test was killed. The server never runs as root; its fsync is on unless `settings` say otherwise.
"""
import contextlib
import glob
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

VERSION_MIN = 15
START_SECONDS_MAX = 60
ATTEMPTS_MAX = 5  # another program may take the free port before the server does


class Missing(Exception):
    """This machine has no Postgres that tests may use; the text says what is missing."""


class Failed(Exception):
    """The server did not start or answer; the text holds the end of its log."""


def bin_folder():
    """The folder with the newest server's programs."""
    found = {}
    for path in glob.glob("/usr/lib/postgresql/*/bin/postgres"):
        m = re.search(r"/postgresql/(\d+)/bin", path)
        if m and int(m[1]) >= VERSION_MIN:
            found[int(m[1])] = os.path.dirname(path)
    if not found:
        raise Missing(f"Postgres {VERSION_MIN} or newer is not installed (package postgresql)")
    return found[max(found)]


def ordinary_user():
    """How subprocess starts the server: as an ordinary user, since it refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise Missing("run as root on a machine without the users postgres and nobody")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def psql(url, sql):
    """Run `sql` and return its rows as lines, columns split by |."""
    done = subprocess.run(
        [os.path.join(bin_folder(), "psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql],
        capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise Failed(done.stderr.strip())
    return done.stdout.splitlines()


@contextlib.contextmanager
def database(url):
    """A new empty database on the server of `url`, as a URL; dropped at the end."""
    name = f"weft_{os.getpid()}_{secrets.token_hex(4)}"
    psql(url, f"CREATE DATABASE {name}")
    try:
        yield re.sub(r"/[^/]*$", f"/{name}", url)
    finally:
        with contextlib.suppress(Failed):  # the test may have killed the server
            psql(url, f"DROP DATABASE {name} WITH (FORCE)")


class Server:
    """A server, up from __init__ to stop(); `url` names its first database, as a superuser."""

    def __init__(self, settings=()):
        self.url = None
        self.guardian = subprocess.Popen(
            [sys.executable, os.path.abspath(__file__), *settings], start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.url = self._answer()

    def _answer(self):
        kind, _, text = self.guardian.stdout.readline().rstrip("\n").partition(" ")
        if kind == "ok":
            return text
        self.stop()
        raise (Missing if kind == "missing" else Failed)(text.replace("\\n", "\n"))

    def _ask(self, word):
        self.guardian.stdin.write(word + "\n")
        self.guardian.stdin.flush()
        return self._answer()

    def kill(self):
        """End the server at once, as a crash would; it stays down until start()."""
        self._ask("kill")

    def start(self):
        """Start it again on the same port and data, through its recovery."""
        self._ask("start")

    def stop(self):
        with contextlib.suppress(BrokenPipeError):
            self.guardian.stdin.close()
        self.guardian.wait()
        self.guardian.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.stop()


class Guardian:
    """The other side of Server: runs initdb and postgres, and cleans up."""

    def __init__(self, settings):
        self.settings = settings
        self.bin = bin_folder()
        self.user = ordinary_user()
        # A short path, since that of a socket may have 107 bytes; and as root one that others reach.
        self.folder = tempfile.mkdtemp(prefix="weft-pg-", dir="/tmp" if self.user else None)
        self.data = os.path.join(self.folder, "data")
        self.log = os.path.join(self.folder, "log")
        self.password = secrets.token_hex(16)
        self.port = None
        self.server = None
        if self.user:
            os.chown(self.folder, self.user["user"], self.user["group"])

    def log_tail(self):
        with contextlib.suppress(OSError), open(self.log, encoding="utf-8", errors="replace") as f:
            return "".join(f.readlines()[-15:])
        return ""

    def create(self):
        password_file = os.path.join(self.folder, "password")
        with open(password_file, "w", encoding="ascii") as f:
            f.write(self.password)
        os.chmod(password_file, 0o600)
        if self.user:
            os.chown(password_file, self.user["user"], self.user["group"])
        done = subprocess.run(
            [f"{self.bin}/initdb", "-D", self.data, "-U", "weft", "--pwfile", password_file,
             "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
             "--no-instructions"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            cwd=self.folder, **self.user)
        if done.returncode != 0:
            raise Failed(f"initdb failed: {done.stdout.strip()}")

    def start(self):
        """Start the server and wait until it answers; the port stays the same for life."""
        for _ in range(ATTEMPTS_MAX):
            port = self.port or free_port()
            if self._start_on(port):
                self.port = port
                return
        raise Failed(f"the server did not start:\n{self.log_tail()}")

    def _start_on(self, port):
        options = {"port": port, "listen_addresses": "127.0.0.1", "max_connections": "200",
                   "unix_socket_directories": self.folder, "log_line_prefix": "%m [%p] %d "}
        argv = [f"{self.bin}/postgres", "-D", self.data]
        for option in [*(f"{k}={v}" for k, v in options.items()), *self.settings]:
            argv += ["-c", option]
        with open(self.log, "ab") as log:
            self.server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                           cwd=self.folder, **self.user)
        end = time.monotonic() + START_SECONDS_MAX
        ready = [f"{self.bin}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port), "-t", "5"]
        while self.server.poll() is None and time.monotonic() < end:
            if subprocess.run(ready, stdin=subprocess.DEVNULL).returncode == 0:
                return True
            time.sleep(0.02)
        self.end(signal.SIGQUIT)
        return False

    def end(self, how):
        if self.server and self.server.poll() is None:
            self.server.send_signal(how)
            try:
                self.server.wait(20)
            except subprocess.TimeoutExpired:
                self.server.kill()
                self.server.wait()
        self.server = None

    def clean(self):
        self.end(signal.SIGQUIT)  # nothing of it is needed any more
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self):
        return f"postgres://weft:{self.password}@127.0.0.1:{self.port}/postgres"


def say(kind, text=""):
    print(kind, text.replace("\n", "\\n"), flush=True)


def guard(settings):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)  # the pipe alone says when it is over
    try:
        guardian = Guardian(settings)
    except Missing as e:
        say("missing", str(e))
        return
    try:
        guardian.create()
        guardian.start()
        say("ok", guardian.url())
        for line in sys.stdin:
            if line.strip() == "kill":
                guardian.end(signal.SIGQUIT)
            else:
                guardian.start()
            say("ok", guardian.url())
    except (Failed, OSError) as e:
        with contextlib.suppress(OSError):
            say("failed", str(e))
    finally:
        guardian.clean()


if __name__ == "__main__":
    guard(sys.argv[1:])
