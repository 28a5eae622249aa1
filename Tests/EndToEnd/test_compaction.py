# Promise: compaction gives back the room of dead rows, and nothing else changes: no row, no receipt, no reader notices.
import contextlib
import os
import random
import sqlite3
import subprocess
import time

import numpy as np
import pytest
import requests

from client import Client, npz, rows_of, same_bits, shard_files, wait_for
from damage import shard_folder
from proc import is_traced, threads
from server_process import BINARY, clean_environment, verify
from test_delete import assert_agrees
from threads import Jobs

DIMENSION = 64
ROWS = 64
SHARD = "16KiB"  # 64 rows
BATCH = 16
SEED = int(os.environ.get("INGOT_TEST_SEED", "1"))
KILL_COUNT = 60 if os.environ.get("INGOT_THOROUGH") else 8


class Content:
    """What a client has sent: every body by batch id, every receipt, and what each id must be now."""

    def __init__(self, server):
        self.server = server
        self.bodies, self.receipts, self.expected = {}, {}, {}

    @property
    def client(self):
        return Client(self.server.url)

    def append(self, ids, values, key):
        rows = rows_of(len(ids), DIMENSION, values)
        self.bodies[key] = npz(ids=np.array(ids), embeddings=rows)
        response = self.client.put_batch(key, self.bodies[key])
        assert response.status_code == 201, response.text
        self.receipts[key] = response.json()
        self.expected |= dict(zip(ids, rows))

    def delete(self, ids):
        self.client.delete(ids)
        self.expected |= dict.fromkeys(ids)

    def fill(self, shard_count=4, prefix=""):
        """Full shards of four batches each, of which every third row then dies."""
        for n in range(shard_count * ROWS // BATCH):
            ids = [f"{prefix}{n}-{row}" for row in range(BATCH)]
            self.append(ids, [len(prefix), n], f"{prefix}b{n}")
        mine = [f"{prefix}{n}-{row}" for n in range(shard_count * ROWS // BATCH)
                for row in range(BATCH)]
        self.append(mine[::6], 7000 + len(self.bodies), f"{prefix}update")
        self.delete(mine[3::6])
        wait_for(lambda: [one["state"] for one in self.client.integrity()["shards"]],
                 lambda it: set(it[:-1]) == {"sealed"})

    def assert_right(self):
        """Everything is as it was sent, and every batch that is sent again gets its receipt."""
        client = self.client
        assert_agrees(client, self.expected)
        assert {one["batch_id"]: one for one in client.all_batches(limit=1000)} == self.receipts
        count = client.row_count()
        for key, body in self.bodies.items():
            response = client.put_batch(key, body)
            assert (response.status_code, response.json()) == (200, self.receipts[key])
            other = npz(ids=np.array(["x"]), embeddings=rows_of(1, DIMENSION))
            assert client.put_batch(key, other).json()["code"] == "key-reused"
        assert client.row_count() == count, "a row was stored twice"

    def assert_clean(self):
        assert self.server.terminate() == 0
        found = verify(self.server.store)
        assert found.returncode == 0, found.stdout + found.stderr
        self.server.start()

    @property
    def live_count(self):
        return sum(row is not None for row in self.expected.values())


@pytest.fixture
def content(launch):
    return Content(launch("--shard-bytes", SHARD, "--compact-percent", "0"))


def dump(store):
    """What the catalog says of batches and shards."""
    with sqlite3.connect(f"file:{store}/catalog.sqlite?mode=ro", uri=True) as catalog:
        return [catalog.execute(f"select * from {table} order by 1, 2").fetchall()
                for table in ("batches", "shards")]


def names(store):
    return sorted(path.name for path in shard_folder(store).parent.iterdir())


def test_dead_rows_go_and_nothing_else_changes(content):
    content.fill()
    store, client = content.server.store, content.client
    before = sum(path.stat().st_size for path in shard_files(store))

    progress = client.compact()

    assert progress["failure"] is None and progress["replaced_shards"] >= 4
    assert progress["removed_rows"] > 80 and progress["ended_at"]
    content.assert_right()
    assert sum(path.stat().st_size for path in shard_files(store)) < 0.8 * before
    sealed = [one for one in client.integrity()["shards"] if one["state"] == "sealed"]
    assert sum(one["rows"] for one in sealed) <= content.live_count
    assert all(one["rows"] * 2 > ROWS for one in sealed[:-1]), "small shards became full ones"
    for path in shard_files(store):
        array = np.load(path, mmap_mode="r")
        assert array.shape[1] == DIMENSION and path.stat().st_size >= 128 + array.nbytes
    assert client.scrub()["damaged_shards"] == 0
    for _ in range(2):
        content.assert_clean()
        content.assert_right()
    again = content.client.compact()
    assert again["failure"] is None
    content.assert_right()


def test_a_compacted_store_goes_on_and_is_compacted_again(content):
    for turn in range(4):
        content.fill(2, prefix=f"{turn}.")
        assert content.client.compact()["failure"] is None
        content.assert_right()
        content.server.kill()
        content.server.start()
    content.delete([one for one, row in content.expected.items() if row is not None])
    assert content.client.compact()["failure"] is None
    content.assert_right()
    content.assert_clean()
    content.assert_right()
    sealed = [one for one in content.client.integrity()["shards"] if one["state"] == "sealed"]
    assert sum(one["rows"] for one in sealed) == 0


def test_nothing_to_do_is_done_at_once(content):
    content.append(["a"], 1, "one")
    before = names(content.server.store)

    progress = content.client.compact()

    assert (progress["replaced_shards"], progress["removed_rows"], progress["failure"]) == (0, 0, None)
    assert names(content.server.store) == before
    assert content.client.get(f"{content.client.base}/compact").json()["state"] == "done"
    for body in ({"dead_percent": 101}, {"dead_percent": -1}, {"rate": 0}, {"rate": "max"}, {"deadpercent": 1}):
        response = content.client.request("POST", f"{content.client.base}/compact", json=body)
        assert (response.status_code, response.json()["code"]) == (422, "bad-compaction")
    assert "'deadpercent'" in response.json()["detail"] and "dead_percent, rate" in response.json()["detail"]
    response = content.client.request("POST", f"{content.client.base}/compact", json=[])
    assert (response.status_code, response.json()["code"]) == (400, "bad-json")


def test_only_shards_with_enough_dead_rows_are_written_anew(content):
    for n in range(12):
        content.append([f"{n}-{row}" for row in range(BATCH)], n, f"b{n}")
    content.delete([f"0-{row}" for row in range(10)])
    wait_for(lambda: [one["state"] for one in content.client.integrity()["shards"]],
             lambda it: it[:2] == ["sealed"] * 2)
    inodes = [os.stat(path).st_ino for path in shard_files(content.server.store)]

    assert content.client.compact(dead_percent=50)["replaced_shards"] == 0
    assert content.client.compact(dead_percent=15)["replaced_shards"] == 1

    after = [os.stat(path).st_ino for path in shard_files(content.server.store)]
    assert after[0] != inodes[0] and after[1:] == inodes[1:]
    content.assert_right()


@pytest.mark.fault("F6")
def test_readers_with_an_old_mapping_keep_reading(content, injections):
    content.fill()
    arrays = [np.load(path, mmap_mode="r") for path in shard_files(content.server.store)]
    before = [array.tobytes() for array in arrays]

    assert content.client.compact()["replaced_shards"] >= 4
    injections.add(len(arrays))
    content.fill(2, prefix="more.")

    assert [array.tobytes() for array in arrays] == before


def test_reads_and_writes_meanwhile_are_right(content):
    content.fill()
    numbers = random.Random(SEED)
    stable = {one: row for one, row in content.expected.items() if row is not None}

    def read(_):
        client, one = content.client, numbers.choice(list(stable))
        assert same_bits(client.row(one), stable[one])
        some = numbers.sample(list(stable), 20)
        assert client.states(some) == {}
        exported = client.exported()
        assert all(same_bits(exported[one], row) for one, row in stable.items())

    with Jobs(read, read) as readers:
        for turn in range(6):
            content.fill(1, prefix=f"{turn}_")
            assert content.client.compact()["failure"] is None
        readers.wait_for_turns(1)
    content.assert_right()


def test_the_catalog_is_the_same_when_it_is_made_again(content):
    content.fill()
    content.client.compact()
    content.fill(1, prefix="more.")
    content.client.compact()
    assert content.server.terminate() == 0
    before = dump(content.server.store)

    (content.server.store / "catalog.sqlite").unlink()
    content.server.start()

    content.assert_right()
    assert content.server.terminate() == 0
    assert dump(content.server.store) == before
    assert verify(content.server.store).returncode == 0


def test_a_compaction_without_room_for_it_does_not_begin(content):
    """What a disk that is full in the middle of one does: Tests/Faults/test_full_disk.py."""
    content.fill()
    assert content.server.terminate() == 0
    content.server.flags += ["--disk-reserve", "900TiB"]
    content.server.start()
    before = names(content.server.store)

    progress = content.client.compact()

    assert progress["state"] == "done" and "the disk reserve is" in progress["failure"]
    assert progress["replaced_shards"] == 0 and names(content.server.store) == before
    assert_agrees(content.client, content.expected)
    assert content.server.terminate() == 0
    content.server.flags = content.server.flags[:-2]
    content.server.start()
    assert content.client.compact()["failure"] is None
    content.assert_right()


def test_the_numbers_of_replaced_shards_are_not_given_out_again(content):
    """All shards become one; the next one gets a number that no start will take for a leftover."""
    content.fill(3)
    assert content.server.terminate() == 0
    last = int(names(content.server.store)[-1])
    # The log of the last shard is made again, which seals it: then there is no shard that grows.
    (shard_folder(content.server.store, last) / "commits.log").unlink()
    found = subprocess.run(
        [BINARY, "rebuild", "--store", content.server.store], capture_output=True, text=True,
        env=clean_environment())
    assert found.returncode == 0, found.stdout + found.stderr
    content.server.start()
    assert content.client.compact()["failure"] is None
    content.delete([one for one, row in content.expected.items() if row is not None][40:])
    content.server.kill()
    content.server.start()
    content.client.compact()

    for turn in range(3):
        content.append([f"new{turn}-{row}" for row in range(ROWS)], turn, f"new{turn}")
        content.client.compact()
        content.server.kill()
        content.server.start()
        content.assert_right()
    assert int(names(content.server.store)[-1]) > last
    content.assert_clean()
    content.assert_right()


@pytest.mark.fault("A1")
@pytest.mark.parametrize("rate", [None, 50_000])
def test_kill_9_at_any_moment_loses_and_doubles_nothing(content, rate, injections):
    print("seed", SEED)
    moments = random.Random(SEED)
    content.fill()
    for turn in range(KILL_COUNT):
        client = content.client
        wanted = {"dead_percent": 0} | ({"rate": rate} if rate else {})
        assert client.request("POST", f"{client.base}/compact", json=wanted).status_code == 202
        time.sleep(moments.uniform(0, 0.5 if rate else 0.1))
        content.server.kill()
        injections.add()
        found = verify(content.server.store)
        assert found.returncode == 0, f"turn {turn}: {found.stdout}"
        content.server.start()
        assert_agrees(content.client, content.expected)
        content.fill(1, prefix=f"{turn}.")
    content.assert_right()
    assert content.client.compact()["failure"] is None
    content.assert_right()
    content.assert_clean()
    assert not list((shard_folder(content.server.store).parents[1] / "new").iterdir())


def code_or_done(content):
    """How the server ended, or that the compaction did."""
    if (code := content.server.process.poll()) is not None:
        return code
    try:
        return "done" if content.client.get(f"{content.client.base}/compact").json()["state"] == "done" else None
    except requests.RequestException:
        return content.server.process.wait(30)


STEPS = ["renameat2", "rmdir", "unlink", "fdatasync", "fsync", "rename"]


@pytest.mark.fault("A1")
@pytest.mark.parametrize("call", STEPS)
def test_kill_9_at_every_call_that_changes_a_name(content, call, injections):
    """The n-th call of the thread that compacts is the last thing that the process does."""
    tracer = subprocess.run(["which", "strace"], capture_output=True)
    if tracer.returncode != 0:
        pytest.skip("strace is not installed")
    content.fill(2)
    for when in range(1, 4):
        client = content.client
        thread = threads(content.server.pid, "ingot-compact")[0]
        strace = subprocess.Popen(
            ["strace", "-qq", "-o", os.devnull, "-p", str(thread),
             "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}"])
        try:
            wait_for(lambda: is_traced(content.server.pid, thread), lambda traced: traced)
            # The kill may come before the answer.
            with contextlib.suppress(requests.RequestException):
                client.request("POST", f"{client.base}/compact", json={"dead_percent": 0})
            if wait_for(lambda: code_or_done(content), bool) == "done":
                # Fewer such calls than that.
                assert when > 1, f"{call} never came"
            else:
                assert content.server.process.wait(30) == -9
                injections.add()
        finally:
            strace.kill()
            strace.wait()
        content.server.kill()
        found = verify(content.server.store)
        assert found.returncode == 0, f"{call} {when}: {found.stdout}"
        content.server.start()
        assert_agrees(content.client, content.expected)
        content.fill(1, prefix=f"{when}.")
    content.assert_right()
    content.assert_clean()
