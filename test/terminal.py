# SPDX-License-Identifier: Apache-2.0
"""A program on a terminal of a test's own, and what stands on its screen."""
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

SECONDS_MAX = 60


class Terminal:
    """A terminal of so many rows and columns that remembers what was written."""

    def __init__(self, argv, folder, env, rows, columns):
        self.rows, self.columns = rows, columns
        self.raw = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(argv[0], argv, {**env, "TERM": "xterm"})
        self.resize(rows, columns)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read_until(self, what=None):
        """Until `what` was written, or to the end."""
        deadline = time.monotonic() + SECONDS_MAX
        while time.monotonic() < deadline and not (what and what.encode() in self.raw):
            if not select.select([self.fd], [], [], 0.2)[0]:
                continue
            try:
                self.raw += os.read(self.fd, 65536)
            except OSError:
                return
        assert time.monotonic() < deadline, self.raw

    def end(self):
        self.read_until()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def screen(self):
        """The lines that stand there now, without colours. Knows only what weft may write."""
        lines, row, column, frame = [""], 0, 0, False
        for part in re.split(r"(\x1b\[[?0-9;]*[A-Za-z]|\n|\r)", self.raw.decode()):
            move = re.fullmatch(r"\x1b\[(\??)([0-9;]*)([A-Za-z])", part)
            if part == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif part == "\r":
                column = 0
            elif move and move[3] == "A":
                row -= int(move[2])
                assert row >= 0
            elif move and move[3] == "K":
                lines[row] = lines[row][:column]
            elif move and move[3] == "J":
                lines[row:] = [lines[row][:column]]
            elif move:
                assert move[3] in "mhl", part
                frame = move[3] == "l" if move[1] else frame
            elif part:
                assert "\x1b" not in part, part
                before, behind = lines[row][:column], lines[row][column + len(part):]
                lines[row] = before.ljust(column) + part + behind
                column += len(part)
                # The picture is never wrapped; what is left at the end may be.
                assert not frame or len(lines[row]) < self.columns, lines[row]
        return [line.rstrip() for line in lines]
