# Errors that strace puts in the place of system calls of a running server. Used by the tests of this folder.
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from client import wait_for
from proc import is_traced, threads

# strace detaches within a moment, unless it is held up itself.
DETACH_SECONDS = 20


class Injection:
    """`with Injection(server, "fdatasync:error=EIO:when=3") as injected:`; `injected.count` says how often it happened.

    - call: as for `strace -e inject=`; `when` counts for each thread. Several calls are separated by commas.
    - paths: only calls on these files, by name or by descriptor.
    - thread: only calls of threads of this name.
    """

    def __init__(self, server, call, paths=(), thread=None):
        if not shutil.which("strace"):
            pytest.skip("strace is not installed")
        self.server, self.count = server, 0
        self.output = Path(tempfile.mkstemp(prefix="injection-")[1])
        command = ["strace", "-qq", "-o", str(self.output), "-e", f"trace={call.split(':')[0]}", "-e", f"inject={call}"]
        for path in paths:
            command += ["-P", str(path)]
        self.traced = threads(server.pid, thread)
        assert self.traced, f"no thread is called {thread}"
        # Without -f a thread alone is followed.
        command += ["-f", "-p", str(server.pid)] if not thread else [a for one in self.traced for a in ("-p", str(one))]
        self.command = command

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stderr=subprocess.PIPE, text=True)
        try:
            wait_for(self._untraced, lambda left: not left, seconds=10)
        except AssertionError:
            self._end()
            pytest.skip(f"strace cannot follow the server: {self.process.stderr.read()}")
        return self

    def _untraced(self):
        if self.process.poll() is not None:
            pytest.skip(f"strace cannot be used here: {self.process.stderr.read()}")
        return [one for one in self.traced if is_traced(self.server.pid, one) is False]

    def happened(self):
        """How often it has happened until now."""
        return self.output.read_text(errors="replace").count("INJECTED") + \
            self.output.read_text(errors="replace").count("DELAYED")

    def _end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DETACH_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __exit__(self, *_):
        self._end()
        self.count = self.happened()
        self.output.unlink()
