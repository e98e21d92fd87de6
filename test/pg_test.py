#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test/pg.py and test/with-postgres: the server comes, survives a crash, and goes with its test."""
import os
import signal
import subprocess
import time

import pg
import tap

WITH_POSTGRES = os.path.join(os.environ["WEFT_SOURCE"], "test", "with-postgres")


def server():
    try:
        return pg.Server()
    except pg.Missing as e:
        raise tap.Skip(str(e))


def wait_for(condition, what):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, f"{what} did not come"
        time.sleep(0.02)


@tap.case
def a_crash_keeps_what_was_committed():
    with server() as s, pg.database(s.url) as url:
        pg.psql(url, "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)")
        s.kill()
        try:
            pg.psql(url, "SELECT 1")
            raise AssertionError("the killed server answers")
        except pg.Failed:
            pass
        s.start()
        tap.equal(pg.psql(url, "SELECT a FROM t ORDER BY a"), ["1", "2"])
        tap.equal(pg.psql(url, "SHOW fsync"), ["on"])


@tap.case
def the_command_gets_the_url_and_gives_its_status():
    server().stop()
    done = subprocess.run([WITH_POSTGRES, "-c", "fsync=off", "sh", "-c",
                           'psql -XAtq "$WEFT_TEST_POSTGRES" -c "SHOW fsync"; exit 7'],
                          capture_output=True, text=True)
    tap.equal((done.stdout, done.returncode), ("off\n", 7), done.stderr)


@tap.case
def a_killed_test_leaves_no_server():
    server().stop()
    runner = subprocess.Popen([WITH_POSTGRES, "sh", "-c", 'echo "$WEFT_TEST_POSTGRES"; exec cat'],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = runner.stdout.readline().strip()
    tap.equal(pg.psql(url, "SELECT 1"), ["1"])
    folder = pg.psql(url, "SHOW unix_socket_directories")[0]
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    runner.stdin.close()  # the command, which outlived its parent, ends too
    wait_for(lambda: not os.path.exists(folder), "the end of the server")
    runner.stdout.close()


tap.main()
