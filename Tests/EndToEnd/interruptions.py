# Commands that are stopped while they write files: nothing of them may stay. Used by the tests of salvage and reconcile.
import os
import signal
import subprocess

from client import wait_for
from server_process import started

INTERRUPTED = 130


def interrupt(name, folder, file_count, *arguments):
    """Stops a command by the signal of that name once it has begun so many files in a folder that was empty."""
    with started(*arguments, stderr=subprocess.PIPE, text=True) as process:
        wait_for(lambda: process.poll() is not None or len(os.listdir(folder)) >= file_count, bool, seconds=30)
        assert process.poll() is None, "it ended before"
        process.send_signal(getattr(signal, name))
        _, errors = process.communicate(timeout=30)

    if name == "SIGKILL":
        assert process.returncode == -signal.SIGKILL and len(os.listdir(folder)) == file_count
    else:
        assert process.returncode == INTERRUPTED and f"stopped by {name}" in errors
        assert os.listdir(folder) == []
