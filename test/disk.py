# SPDX-License-Identifier: Apache-2.0
"""Cases with a disk of their own: a small memory file system in a mount namespace, in which the
script runs itself again (`SCRIPT --inside CASE FOLDER`).

    @disk.on_a_disk
    def the_disk_is_full(folder):
        filler = disk.fill(folder)

    disk.main()         in place of tap.main()
"""
import os
import subprocess
import sys
import tempfile

import tap

DISK_MIB = 8
SECONDS_MAX = 120


def on_a_disk(inside):
    """A case that gets a folder on a disk of its own."""

    def case():
        with tempfile.TemporaryDirectory(prefix="weft-disk-") as folder:
            probe = subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "x", folder],
                                   capture_output=True)
            if probe.returncode != 0:
                raise tap.Skip("mount namespaces need root")
            done = subprocess.run(
                ["unshare", "-m", "sh", "-c",
                 f'mount -t tmpfs -o size={DISK_MIB}m weft-test "$2" && exec "$0" "$1" --inside "$3" "$2"',
                 sys.executable, os.path.abspath(sys.argv[0]), folder, inside.__name__],
                capture_output=True, text=True, timeout=SECONDS_MAX)
            tap.equal(done.returncode, 0, done.stdout + done.stderr)

    case.__name__ = inside.__name__
    case.inside = inside
    tap.case(case)
    return inside


def fill(folder):
    """Leave no room on the disk."""
    path = os.path.join(folder, "filler")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        while True:
            os.write(fd, b"x" * 4096)
    except OSError:
        os.close(fd)
    return path


def main():
    if sys.argv[1:2] == ["--inside"]:
        next(c for c in tap.cases if c.__name__ == sys.argv[2]).inside(sys.argv[3])
    else:
        tap.main()
