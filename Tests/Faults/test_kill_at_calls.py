# Promise: SIGKILL instead of any storage system call loses no acknowledged row, doubles none, and the next start needs no help.
import contextlib
import os
import shutil
import signal
import time

import pytest
import requests

from client import Client, wait_for
from operations import Model, Operation, assert_retries, assert_store
from server_process import NotReady, ServerProcess, command, verify
from strace import Call, calls_in, kill_at, kind, need_strace, spread, traced

IS_THOROUGH = os.environ.get("INGOT_THOROUGH") == "1"
POINT_COUNT = 100_000 if IS_THOROUGH else 60
# Shards of 42 rows, so that a few operations change them often.
FLAGS = ("--shard-bytes", "64KiB", "--compact-percent", "0", "--scrub-rate", "1MiB")
OPERATION_COUNT = 16


class Worker:
    """One worker in this thread: what it got acknowledged."""

    def __init__(self):
        self.count, self.receipts = 0, {}

    def work(self, client, until=OPERATION_COUNT):
        while self.count < until:
            operation = Operation(0, self.count)
            response = operation.send(client)
            assert response.status_code in (200, 201), response.text
            if not operation.is_deletion:
                self.receipts[operation.batch_id] = response.json()
            self.count += 1

    def assert_right(self, client, in_flight=True):
        return assert_store(client, {0: self.count}, self.receipts, in_flight)


@pytest.fixture
def folder(tmp_path):
    need_strace()
    return tmp_path


def everything(worker, server):
    """Append, change of shard, seal, delete, catalog, compaction, and a clean stop."""
    client = Client(server.url)
    worker.work(client)
    client.compact()
    worker.work(client, OPERATION_COUNT + 4)
    return server.terminate()


def is_killed(server, use):
    """Whether the injected kill came while the server started, was used, or stopped."""
    try:
        server.start()
        code = use(server)
    except NotReady as problem:
        code = problem.code
    except requests.ConnectionError:
        code = server.process.wait(30)
        server.kill()
    if code == 0:
        return False
    assert code == -signal.SIGKILL, f"ended with {code}: {server.log_tail()}"
    return True


def points_of(folder, store, use, *flags):
    """The calls that a run without faults makes."""
    log = folder / "trace"
    server = ServerProcess(store, *FLAGS, *flags, prefix=traced(log), log_path=folder / "server.log")
    assert not is_killed(server, use)
    return calls_in(log, store)


def assert_recovers(store, worker, log_path):
    """The next start needs no help, has what was acknowledged, and takes what was not."""
    if (store / "store.json").exists():
        found = verify(store)
        assert found.returncode == 0, found.stdout + found.stderr
    server = ServerProcess(store, *FLAGS, log_path=log_path).start()
    client = Client(server.url)
    worker.assert_right(client)
    worker.work(client, worker.count + 4)
    worker.assert_right(client, in_flight=False)
    assert_retries(client, worker.receipts)
    assert server.terminate() == 0
    found = verify(store)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.fault("A1")
def test_kill_at_every_storage_call(folder, injections):
    store = folder / "store"
    points = points_of(folder, store, lambda server: everything(Worker(), server))
    chosen = spread(points, POINT_COUNT)
    for point in chosen:
        shutil.rmtree(store)
        log, worker = folder / "server.log", Worker()
        server = ServerProcess(
            store, *FLAGS, log_path=log, prefix=kill_at(folder / "trace", point))
        if is_killed(server, lambda server: everything(worker, server)):
            injections.add()
        with named(point):
            assert_recovers(store, worker, log)
    print(f"{injections.count} kills at {len(chosen)} of {len(points)} calls",
          f"of {len({kind(one) for one in points})} kinds")
    # Threads take turns as they like, so that a call may be made once less than in the run that was counted.
    assert injections.count >= 0.8 * len(chosen)


@contextlib.contextmanager
def named(point):
    """Says at which call a check failed."""
    try:
        yield
    except Exception as problem:
        raise AssertionError(f"killed at {point}: {problem}") from problem
