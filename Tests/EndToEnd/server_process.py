# Starts, restarts, kills and ends the built binary. Used by conftest.py and every test.
import contextlib
import os
import re
import selectors
import signal
import subprocess
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BINARY = str(Path(os.environ.get("INGOT_BINARY", ROOT / ".build/release/ingot")).resolve())

READY_SECONDS = 30
DRAIN_SECONDS = 30
READY_LINE = re.compile(r"^ingot: serving (?P<store>.+) on http://(?P<host>.+):(?P<port>\d+)$")


def clean_environment(extra=None):
    """The environment without settings of Ingot, then `extra`. Which mutant is alive is no setting: deploy/mutants."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("INGOT_") or k == "INGOT_MUTANT"}
    return environment | (extra or {})


def command(*arguments, env=None, timeout=120, cwd=None):
    """Runs a command of the binary to its end."""
    return subprocess.run(
        [BINARY, *map(str, arguments)],
        env=clean_environment(env), capture_output=True, text=True, timeout=timeout, cwd=cwd)


@contextlib.contextmanager
def started(*arguments, env=None, **options):
    """A command of the binary, which is killed at the end of the block unless it has ended."""
    with subprocess.Popen([BINARY, *map(str, arguments)], env=clean_environment(env), **options) as process:
        try:
            yield process
        finally:
            process.kill()


def verify(store, *flags):
    return command("verify", "--store", store, *flags, timeout=600)


class NotReady(AssertionError):
    """A server that did not come up; `code` is how it ended by itself, None when it had to be ended."""

    def __init__(self, text, code):
        super().__init__(text)
        self.code = code


class ServerProcess:
    """One `ingot serve` on a store; started again as often as a test likes. `prefix` is a command that it runs under."""

    # Those that run, for a test that fails to end them.
    running = set()

    def __init__(self, store, *flags, listen="127.0.0.1:0", env=None, log_path=None, prefix=()):
        self.store = Path(store)
        self.flags = [str(flag) for flag in flags]
        self.listen = listen
        self.env = env
        self.prefix = list(prefix)
        self.log_path = Path(log_path or self.store.parent / f"{self.store.name}.server.log")
        self.process = None
        self.was_killed = False

    def start(self):
        assert self.process is None
        arguments = [BINARY, "serve", "--store", str(self.store)]
        if self.listen:
            arguments += ["--listen", self.listen]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                self.prefix + arguments + self.flags, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=log, env=clean_environment(self.env))
        self.running.add(self)
        self.was_killed = False
        line = self._first_line()
        ready = READY_LINE.match(line)
        if not ready:
            code = self._code_if_ended()
            self.kill()
            raise NotReady(f"no ready line but {line!r}; log:\n{self.log_tail()}", code)
        self.ready_line = line
        self.host, self.port = ready["host"], int(ready["port"])
        self.url = f"http://{self.host}:{self.port}"
        return self

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """Ends the process with SIGKILL, as a crash would."""
        self.was_killed = True
        self.process.send_signal(signal.SIGKILL)
        self._reap()

    def terminate(self):
        """Drains with SIGTERM and gives the exit code."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self._reap()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"not drained in {DRAIN_SECONDS} s; log:\n{self.log_tail()}")

    def restart(self):
        if self.process is not None:
            assert self.terminate() == 0, self.log_tail()
        return self.start()

    def log_tail(self, line_count=40):
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-line_count:])

    def _code_if_ended(self):
        try:
            return self.process.wait(1)
        except subprocess.TimeoutExpired:
            return None

    def _reap(self):
        code = self.process.wait(DRAIN_SECONDS)
        self.running.discard(self)
        self.process.stdout.close()
        self.process = None
        return code

    def _first_line(self):
        deadline = time.monotonic() + READY_SECONDS
        received = b""
        with selectors.DefaultSelector() as selector:
            selector.register(self.process.stdout, selectors.EVENT_READ)
            while b"\n" not in received and time.monotonic() < deadline:
                if selector.select(0.2):
                    piece = os.read(self.process.stdout.fileno(), 4096)
                    if not piece:
                        break
                    received += piece
        return received.decode(errors="replace").split("\n")[0]
