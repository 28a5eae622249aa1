# One worker of a server that is killed at a system call, and what the next start must find. Used by
# test_kill_at_calls.py and test_kill_between.py.
import contextlib
import os
import shutil
import signal
import sqlite3

import requests

from client import Client
from operations import Operation, assert_retries, assert_store
from server_process import NotReady, ServerProcess, verify
from strace import calls_in, traced

IS_THOROUGH = os.environ.get("INGOT_THOROUGH") == "1"
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


def made_store(store, folder):
    """A store that was started once: a thread's n-th call then is not also the n-th of the thread that made it."""
    shutil.rmtree(store, ignore_errors=True)
    assert ServerProcess(store, *FLAGS, log_path=folder / "server.log").start().terminate() == 0


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


@contextlib.contextmanager
def named(point):
    """Says at which call a check failed."""
    try:
        yield
    except Exception as problem:
        raise AssertionError(f"killed at {point}: {problem}") from problem


def batches_in_catalog(store, copy):
    """How many the catalog itself knows, without its being followed up."""
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir()
    for path in store.glob("catalog.sqlite*"):
        shutil.copy(path, copy)
    with sqlite3.connect(copy / "catalog.sqlite") as catalog:
        is_made = catalog.execute("select count(*) from sqlite_master where name = 'batches'").fetchone()[0]
        return catalog.execute("select count(*) from batches").fetchone()[0] if is_made else 0
