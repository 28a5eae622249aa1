# Promise: a disk that fails stops neither the server nor what can still be read (C5, C6, C8): bad sectors, a file system that
# turns read-only, and errors of calls that nobody expects to fail.
import os
import re
import shutil
import time

import numpy as np
import pytest

from client import Client, shard_files, wait_for
from damage import shard_folder
from disks import disks  # noqa: F401
from health_watch import HealthWatch
from injection import Injection
from load import (
    BATCH_BYTES, FAILED, FULL, IS_THOROUGH, Load, assert_all_right, ids_of, is_alive, rows_of)
from mounts import must
from server_process import verify

RESUME_SECONDS = 5
READ_ONLY_SECONDS = 4
ABORT_COUNT = 100 if IS_THOROUGH else 16
SMALL_SHARD = 3 * BATCH_BYTES
PAGE = 4096


def last_physical_byte(path):
    """Where the last extent of a file ends on its device. Source: man 8 filefrag."""
    found = must("filefrag", "-v", path).stdout
    ends = [int(end) for end in re.findall(r"^ *\d+: +\d+\.\. +\d+: +\d+\.\. +(\d+):", found, re.MULTILINE)]
    return (max(ends, default=-1) + 1) * PAGE


@pytest.mark.fault("C5")
def test_bad_sectors_are_rows_that_are_named_and_nothing_else(disks, launch, injections):
    """The image is cut behind a mounted device: reads give EIO, and what is mapped SIGBUS."""
    disk = disks.ext4(64 << 20, make=("-b", "4096", "-J", "size=4"))
    server = launch("--disk-reserve", "0", "--shard-bytes", SMALL_SHARD, store=disk.folder / "store")
    load, client = Load(server.url), Client(server.url)
    for number in range(30):
        assert load.write(client, 0, number)
    wait_for(lambda: [one["state"] for one in client.integrity()["shards"]],
             lambda it: it[:-1] == ["sealed"] * (len(it) - 1))
    assert server.terminate() == 0
    bad = move_to_the_end(disk, shard_files(server.store)[4])
    disk.mount_again()
    size = disk.image.stat().st_size
    # The last half of the rows, and nothing else that is in use.
    os.truncate(disk.image, last_physical_byte(bad) - bad.stat().st_size // 2)
    server.start()
    load.url, client = server.url, Client(server.url)

    lost = lost_ids(load, client, shard=4)
    assert is_alive(server)
    assert 32 <= len(lost) <= 64, "half of three batches, or the batch in which it begins as well"
    injections.add(len(lost))
    client.scrub()
    assert client.states(lost) == dict.fromkeys(lost, "quarantined")
    assert lost_ids(load, client, shard=4) == lost
    assert client.get("/health").json()["status"] == "warn"
    assert load.write(client, 9, 0)
    checked = verify(server.store)
    os.truncate(disk.image, size)
    assert server.terminate() == 0
    assert checked.returncode != 0


def move_to_the_end(disk, path):
    """Gives a file blocks behind those of all others: copies take what is free, from the front on."""
    os.sync()
    others = [one for one in disk.folder.rglob("*") if one.is_file() and one != path and one.stat().st_size]
    end = max(last_physical_byte(one) for one in others)
    copies = []
    for number in range(400):
        copies.append(disk.folder / f"copy-{number}")
        shutil.copyfile(path, copies[-1])
        os.sync()
        if last_physical_byte(copies[-1]) - path.stat().st_size > end:
            break
    else:
        pytest.skip("the file system puts nothing behind the others")
    copies.pop().rename(path)
    for copy in copies:
        copy.unlink()
    return path


def lost_ids(load, client, shard):
    """The ids of acknowledged rows that are not served; they are all of one shard, and all others are right."""
    lost = []
    for batch_id, receipt in load.acknowledged().items():
        writer, number = map(int, batch_id.split("."))
        for row, one in enumerate(ids_of(writer, number)):
            response = client.get(client.row_path(one), headers={"Accept": "application/json"})
            if response.status_code == 200:
                found = np.array(response.json()["embedding"], dtype="f8").astype("<f4")
                assert found.tobytes() == rows_of(writer, number)[row].tobytes()
            else:
                assert (response.status_code, response.json()["code"]) == (500, "row-damaged"), response.text
                assert receipt["shard"] == shard, "a row of another shard"
                lost.append(one)
    return lost


@pytest.mark.fault("C6")
def test_a_file_system_that_turns_read_only_is_read_on(disks, launch, injections):
    """As the kernel does after an error; only a write finds out."""
    disk = disks.ext4(64 << 20)
    server = launch("--disk-reserve", "0", "--shard-bytes", "1MiB", store=disk.folder / "store")
    with Load(server.url, may=[FAILED, FULL], pause=0.02) as load, HealthWatch(load) as watch:
        load.wait_for(6)
        must("mount", "-o", "remount,abort", disk.folder)
        load.wait_for_refusals(1)
        stored = load.wait_until_still()
        time.sleep(READ_ONLY_SECONDS)
        assert is_alive(server) and watch.was_red() and len(load.acknowledged()) == stored
        injections.add(load.answers[FAILED])
    server.kill()
    disk.mount_again()
    server.start()
    load.url = server.url
    assert load.write(Client(server.url), 9, 0)
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("C6")
@pytest.mark.parametrize("number", range(ABORT_COUNT))
def test_what_is_acknowledged_amid_an_abort_is_there(disks, launch, injections, number):
    """A sync that runs while the kernel gives its journal up can succeed although what it was asked for is lost.

    Without the proof behind every sync, one in six of these lost a batch.
    """
    disk = disks.ext4(64 << 20)
    server = launch("--disk-reserve", "0", "--shard-bytes", "1MiB", store=disk.folder / "store")
    with Load(server.url, may=[FAILED, FULL], writers=4) as load:
        # Anywhere within a shard's life, which is 20 batches.
        load.wait_for(6 + number % 20)
        must("mount", "-o", "remount,abort", disk.folder)
        load.wait_for_refusals(1)
        injections.add()
    server.kill()
    disk.mount_again()
    server.start()
    assert_all_right(server, load.acknowledged(), load.sent)


CALLS = {
    "truncate": "ftruncate,truncate", "rename": "rename,renameat,renameat2", "unlink": "unlink,unlinkat,rmdir",
    "sync of a directory": "fsync", "fstat": "fstat,newfstatat,statx", "mkdir": "mkdir,mkdirat",
    "open": "open,openat", "list": "getdents64", "allocate": "fallocate", "read": "pread64",
}


@pytest.mark.fault("C8", "C5")
@pytest.mark.parametrize("name", CALLS)
def test_an_error_of_any_call_is_a_state_that_is_over_when_the_error_is(launch, injections, name):
    """Once at the first and at a later call of each thread, then for ever; shards begin and are sealed all the time."""
    server = launch("--shard-bytes", SMALL_SHARD)
    calls = CALLS[name]
    # A shard whose file cannot be opened for the scrub is out of service, and its rows are.
    damage = (500, "row-damaged") if name in ("open", "fstat", "read") else None
    with Load(server.url, may=[FAILED, FULL], read_may=damage, pause=0.01) as load:
        load.wait_for(8)
        if name == "unlink":
            leave_shards_behind(server.store)
        for when in (1, 3, "1+"):
            with Injection(server, f"{calls}:error=EIO:when={when}", paths=paths_of(server)) as injected:
                seconds = 4 if IS_THOROUGH else 0.7
                time.sleep(seconds)
                assert is_alive(server)
            injections.add(injected.count)
            load.wait_for(8, seconds=RESUME_SECONDS)
    if not injections.count:
        pytest.skip(f"the server makes no call of {calls} here")
    client = Client(server.url)
    assert client.get("/readyz").status_code == 200
    # A shard that could not be read once is out of service, and named, until it is read and found right.
    if client.exported().keys() != set(all_ids(load)):
        assert client.get("/health").json()["status"] == "warn"
    assert client.scrub()["damaged_rows"] == 0
    assert_all_right(server, load.acknowledged(), load.sent)


def leave_shards_behind(store):
    """What interrupted creations left, in the way of the shards to come."""
    for number in range(5, 200):
        folder = store / f"collections/default/new/{number:06d}"
        if not folder.exists() and not shard_folder(store, number).exists():
            folder.mkdir()
            (folder / "embeddings.npy").write_bytes(b"left")


def all_ids(load):
    return [one for batch_id in load.acknowledged() for one in ids_of(*map(int, batch_id.split(".")))]


def paths_of(server):
    """Shards that there are and are to come, and where they lie."""
    root = server.store / "collections/default"
    found = [root, root / "shards", root / "new"]
    for number in range(400 if IS_THOROUGH else 120):
        for place in ("new", "shards"):
            folder = root / place / f"{number:06d}"
            found += [folder, *(folder / name for name in ("embeddings.npy", "commits.log", "ids.index", "ids.index.new"))]
    return found


@pytest.mark.fault("C8")
def test_a_collection_that_could_not_be_made_can_be_made_later(launch, injections):
    server = launch()
    client = Client(server.url, "second")
    for call in ("mkdir", "rename,renameat2", "fsync", "fdatasync", "pwrite64"):
        for when in range(1, 4):
            with Injection(server, f"{call}:error=EIO:when={when}", paths=[
                    server.store / "collections", *[server.store / "collections/second" / name for name in
                                                    ("", "shards", "new", "collection.json", "collection.json.new")]]
                           ) as injected:
                response = client.create(8)
            injections.add(injected.count)
            if response.status_code == 201:
                break
            assert response.status_code == 500 and response.json()["retryable"] is True, response.text
        if response.status_code != 201:
            response = client.create(8)
        assert response.status_code in (200, 201), f"{call}: {response.text}"
        client = Client(server.url, client.base.rsplit("/", 1)[1] + "x")
    assert client.get("/v1/collections").status_code == 200
