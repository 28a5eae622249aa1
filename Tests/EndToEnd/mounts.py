# Mounts that are undone whatever happens. Used by test_backup.py and test_disk_full.py, and by disks.py, power.py and
# test_moved_files.py in Tests/Faults.
import contextlib
import os
import subprocess
from pathlib import Path

import pytest


def run(*command):
    return subprocess.run([*map(str, command)], capture_output=True, text=True)


def must(*command):
    found = run(*command)
    if found.returncode != 0:
        pytest.skip(f"{command[0]} cannot be used here: {found.stderr.strip() or found.stdout.strip()}")
    return found


def need_root():
    if os.geteuid() != 0:
        pytest.skip("mounting needs root")


def is_mounted(folder):
    """As the kernel lists it: a file system that has lost its disk answers no other question."""
    listed = Path("/proc/self/mountinfo").read_text().splitlines()
    return str(folder) in (line.split()[4] for line in listed)


def detach(folder):
    """Unmounts what is still mounted; where it is in use, it is gone with its last user."""
    if is_mounted(folder) and run("umount", folder).returncode != 0:
        done = run("umount", "-l", folder)
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def mounted(folder, *options):
    """`with mounted(folder, "-t", "tmpfs", "ingot-test"):`"""
    need_root()
    must("mount", *options, folder)
    try:
        yield folder
    finally:
        detach(folder)
