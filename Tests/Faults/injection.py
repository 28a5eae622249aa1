# Errors that strace puts in the place of system calls of a running server. Used by the tests of this folder.
import contextlib
import shutil
import signal
import subprocess
import tempfile

import pytest

from client import wait_for
from proc import is_traced, threads

# strace attaches and detaches within a moment, unless it is held up itself.
ATTACH_SECONDS = DETACH_SECONDS = 20


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
        command = ["-e", f"trace={call.split(':')[0]}", "-e", f"inject={call}"]
        for path in paths:
            command += ["-P", str(path)]
        self.traced = threads(server.pid, thread)
        assert self.traced, f"no thread is called {thread}"
        # Without -f a thread alone is followed.
        command += ["-f", "-p", str(server.pid)] if not thread else [a for one in self.traced for a in ("-p", str(one))]
        self.arguments = command

    def __enter__(self):
        with contextlib.ExitStack() as begun:
            self.output = begun.enter_context(tempfile.NamedTemporaryFile("r", prefix="injection-", errors="replace"))
            self.process = begun.enter_context(subprocess.Popen(
                ["strace", "-qq", "-o", self.output.name, *self.arguments], stderr=subprocess.PIPE, text=True))
            begun.callback(self._end)
            try:
                wait_for(self._untraced, lambda left: not left, seconds=ATTACH_SECONDS)
            except AssertionError:
                self._end()
                pytest.skip(f"strace cannot follow the server: {self.process.stderr.read()}")
            self._begun = begun.pop_all()
        return self

    def _untraced(self):
        if self.process.poll() is not None:
            pytest.skip(f"strace cannot be used here: {self.process.stderr.read()}")
        return [one for one in self.traced if is_traced(self.server.pid, one) is False]

    def happened(self):
        """How often it has happened until now."""
        self.output.seek(0)
        text = self.output.read()
        return text.count("INJECTED") + text.count("DELAYED")

    def _end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(DETACH_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __exit__(self, *_):
        with self._begun:
            self._end()
            self.count = self.happened()
