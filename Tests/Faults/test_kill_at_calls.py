# Promise: SIGKILL instead of any storage system call loses no acknowledged row, doubles none, and the next start needs
# no help; nor does it when the start, or a rebuild, is killed as well.
import shutil
import subprocess

import pytest

from client import Client, shard_file
from damage import shard_folder
from killing import FLAGS, IS_THOROUGH, Worker, assert_recovers, everything, is_killed, made_store, named, points_of
from operations import listed_batches
from server_process import BINARY, ServerProcess, clean_environment, command
from strace import calls_in, kill_at, kind, need_strace, spread, traced

# Of some 360 calls of 60 kinds.
POINT_COUNT = 100_000 if IS_THOROUGH else 40
RECOVERED_COUNT = 100 if IS_THOROUGH else 3
REBUILD_POINT_COUNT = 1000 if IS_THOROUGH else 16


@pytest.fixture
def folder(tmp_path):
    need_strace()
    return tmp_path


def make_nothing(store, _):
    shutil.rmtree(store, ignore_errors=True)


@pytest.mark.fault("A1")
@pytest.mark.parametrize("begin", [make_nothing, made_store])
def test_kill_at_every_storage_call(folder, injections, begin):
    store = folder / "store"
    begin(store, folder)
    points = points_of(folder, store, lambda server: everything(Worker(), server))
    chosen = spread(points, POINT_COUNT)
    for point in chosen:
        begin(store, folder)
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


# MARK: - Start


def crashed_stores(folder, count):
    """Stores that were killed at so many different calls, with their workers."""
    points = points_of(folder, folder / "whole", lambda server: everything(Worker(), server))
    # What stands behind the half of them has shards, and something to recover.
    for number, point in enumerate(spread(points[len(points) // 2:], count)):
        store, worker = folder / f"crashed-{number}", Worker()
        path = point.path.replace(str(folder / "whole"), str(store))
        server = ServerProcess(
            store, *FLAGS, log_path=folder / "server.log",
            prefix=kill_at(folder / "trace", point._replace(path=path)))
        if is_killed(server, lambda server: everything(worker, server)):
            yield store, worker, point


def calls_of_start(folder, template):
    """The calls with which a store is recovered, and what it holds then."""
    store, log = folder / "recovered", folder / "trace"
    shutil.copytree(template, store)
    server = ServerProcess(store, *FLAGS, prefix=traced(log), log_path=folder / "server.log").start()
    listed = listed_batches(Client(server.url))
    server.kill()
    return [one._replace(path=one.path.replace(str(store), str(template))) for one in calls_in(log, store)], listed


@pytest.mark.fault("A5")
def test_kill_at_every_call_of_every_start(folder, injections):
    """Each start is killed one call later than the one before, on the same store."""
    for store, worker, point in crashed_stores(folder, RECOVERED_COUNT):
        calls, listed = calls_of_start(folder, store)
        log = folder / "server.log"
        for call in calls:
            server = ServerProcess(store, *FLAGS, log_path=log, prefix=kill_at(folder / "trace", call))
            # One that comes up had nothing of that kind to do any more.
            if is_killed(server, lambda server: server.kill() or 0):
                injections.add()
        with named(point):
            server = ServerProcess(store, *FLAGS, log_path=log).start()
            assert listed_batches(Client(server.url)) == listed
            server.kill()
            assert_recovers(store, worker, log)
        shutil.rmtree(folder / "recovered")
    print(injections.count, "starts were killed")


# MARK: - Rebuild


def damaged(store):
    """Takes away what can be made again: a log, an index, a header."""
    shards = sorted(int(path.name) for path in (store / "collections/default/shards").iterdir())
    (shard_folder(store, shards[0]) / "commits.log").write_bytes(b"")
    (shard_folder(store, shards[1]) / "ids.index").unlink()
    with open(shard_file(store, shards[1]), "r+b") as file:
        file.write(bytes(128))


@pytest.mark.fault("A1")
def test_kill_at_every_call_of_a_rebuild(folder, injections):
    template, worker, store = folder / "template", Worker(), folder / "store"
    server = ServerProcess(template, *FLAGS, log_path=folder / "server.log").start()
    assert everything(worker, server) == 0
    damaged(template)
    rebuild = [BINARY, "rebuild", "--store", str(store)]

    def run(prefix):
        return subprocess.run(prefix + rebuild, env=clean_environment(), capture_output=True, text=True)

    shutil.copytree(template, store)
    whole = run(traced(folder / "trace"))
    assert whole.returncode == 0, whole.stderr
    calls = calls_in(folder / "trace", store)
    for call in spread(calls, REBUILD_POINT_COUNT):
        shutil.rmtree(store)
        shutil.copytree(template, store)
        killed = run(kill_at(folder / "trace", call))
        injections.add(killed.returncode == -9)
        with named(call):
            again = command(*rebuild[1:])
            assert again.returncode == 0, again.stdout + again.stderr
            copy = Worker()
            copy.count, copy.receipts = worker.count, dict(worker.receipts)
            assert_recovers(store, copy, folder / "server.log")
    print(f"{injections.count} of {len(calls)} calls")
