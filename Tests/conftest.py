# Fixtures of all tests: a fresh store, a server on it, a client of it, and counts of injected faults. Every server is ended
# by its pid and must drain; what a test left behind is killed.
import ast
import contextlib
import os
import sys
import threading
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent / "EndToEnd"))

from client import Client
from fault_counts import *  # noqa: F403
from server_process import BINARY, ServerProcess


# NumPy parses every header. Two threads that parse at once spoil each other's count in some versions of Python 3.11: "AST
# constructor recursion depth mismatch". Source: github.com/python/cpython/issues/106905.
literal_eval, parsing = ast.literal_eval, threading.Lock()


def literal_eval_alone(text):
    with parsing:
        return literal_eval(text)


ast.literal_eval = literal_eval_alone


def pytest_sessionstart(session):
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY} is not there: build it, or set INGOT_BINARY", returncode=2)


@pytest.fixture(autouse=True)
def no_server_is_left():
    """Those of a whole file of tests run on."""
    before = set(ServerProcess.running)
    yield
    with contextlib.ExitStack() as ends:
        for server in ServerProcess.running - before:
            ends.callback(server.kill)


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


@pytest.fixture
def launch(store, tmp_path):
    """Starts servers: `launch("--shard-bytes", "1MiB")`, `launch(store=other, env={…})`."""
    servers = []

    def start(*flags, store=store, **options):
        # The log is never on the store's disk, which a test may fill.
        log_path = tmp_path / f"server-{len(servers)}.log"
        servers.append(ServerProcess(store, *flags, log_path=log_path, **options))
        return servers[-1].start()

    yield start
    problems = []
    for server in servers:
        if server.process is None:
            continue
        died = server.process.poll()
        try:
            code = server.terminate()
        except AssertionError as problem:
            problems.append(str(problem))
            continue
        if died is not None or code != 0:
            problems.append(f"pid ended with {code}; log:\n{server.log_tail()}")
    assert not problems, "\n".join(problems)


@pytest.fixture
def server(launch):
    return launch()


@pytest.fixture
def client(server):
    return Client(server.url)
