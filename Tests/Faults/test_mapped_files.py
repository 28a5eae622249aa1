# Promise: a file that another program cuts while it is mapped and read ends no process: its rows are named, all others
# served, and no wrong byte.
import os
import random

import numpy as np
import pytest

from client import Client, load, same_bits, wait_for
from damage import shard_folder
from operations import VECTORS
from threads import Threads

IS_THOROUGH = os.environ.get("INGOT_THOROUGH") == "1"
CUT_COUNT = 1000 if IS_THOROUGH else 50
SEED = int(os.environ.get("INGOT_TEST_SEED", "1"))
# Each shard holds one batch.
ROWS = 40
FLAGS = ("--shard-bytes", "64KiB", "--scrub-rate", "1MiB", "--compact-percent", "0")


def ids_of(shard):
    return [f"{shard}/{row}" for row in range(ROWS)]


def rows_of(shard):
    return VECTORS[(shard * 17 + np.arange(ROWS)) % len(VECTORS)]


class Readers(Threads):
    """Threads that read all shards all the time: a row is right, or its shard was cut and says so."""

    def __init__(self, url, shard_count, count=3):
        super().__init__(count)
        self.url, self.shard_count = url, shard_count
        self.cut = set()
        self.right_count, self.damaged_count = 0, 0

    def work(self, number):
        chance = random.Random(number)
        while not self.is_stopping:
            client = Client(self.url)
            self.look(client, chance.randrange(self.shard_count), chance.randrange(ROWS))
            self.look_at_many(client, [chance.randrange(self.shard_count) for _ in range(5)])

    def look(self, client, shard, row):
        response = client.get(client.row_path(f"{shard}/{row}"), headers={"Accept": "application/x-npy"})
        if response.status_code == 200:
            found = load(response.content)
            assert same_bits(found.reshape(-1), rows_of(shard)[row]), \
                f"wrong bytes of {shard}/{row}, cut: {shard in self.cut}"
            self.right_count += 1
        else:
            assert shard in self.cut, f"{shard}/{row}: {response.text}"
            assert (response.status_code, response.json()["code"]) == (500, "row-damaged"), response.text
            self.damaged_count += 1

    def look_at_many(self, client, shards):
        """One row of each: all right, or an error because of one that was cut."""
        shards = list(dict.fromkeys(shards))
        response = client.fetch([f"{shard}/7" for shard in shards], "application/x-npz")
        if response.status_code == 200:
            found = load(response.content)["embeddings"]
            assert same_bits(found, np.array([rows_of(shard)[7] for shard in shards])), f"wrong bytes in {shards}"
        else:
            assert response.json()["code"] == "row-damaged" and not self.cut.isdisjoint(shards), response.text


def fill(client, shard_count):
    for shard in range(shard_count):
        client.append(ids_of(shard), rows_of(shard), key=f"b{shard}")
    wait_for(lambda: [one["state"] for one in client.integrity()["shards"]],
             lambda it: it[:-1] == ["sealed"] * (shard_count - 1))


@pytest.mark.fault("E1")
def test_mapped_rows_are_cut_again_and_again_under_load(launch, injections):
    print("seed", SEED)
    chance = random.Random(SEED)
    server = launch(*FLAGS)
    client = Client(server.url)
    shard_count = CUT_COUNT + 5
    fill(client, shard_count)
    order = chance.sample(range(shard_count - 1), CUT_COUNT)
    with Readers(server.url, shard_count) as readers:
        for shard in order:
            path = shard_folder(server.store, shard) / "embeddings.npy"
            # They were checked by now, and are checked no more while nothing happens.
            readers.look(client, shard, ROWS - 1)
            before = readers.right_count
            readers.cut.add(shard)
            os.truncate(path, chance.randrange(path.stat().st_size))
            injections.add()
            for row in (ROWS - 1, chance.randrange(ROWS)):
                readers.look(client, shard, row)
            wait_for(lambda: readers.right_count > before or readers.problems, bool)
            assert not readers.problems, readers.problems[0]
    assert server.is_running
    whole = [shard for shard in range(shard_count) if shard not in readers.cut]
    for shard in whole:
        archive = load(client.fetch(ids_of(shard), "application/x-npz").content)
        assert same_bits(archive["embeddings"], rows_of(shard))
    states = client.states([one for shard in range(shard_count) for one in ids_of(shard)])
    assert {one.split("/")[0] for one in states} <= {str(shard) for shard in readers.cut}
    client.append(ids_of(0), rows_of(0))
    print(readers.right_count, "rows read,", readers.damaged_count, "answers named damage")


@pytest.mark.fault("E1")
@pytest.mark.parametrize("name", ["commits.log", "ids.index"])
def test_cut_log_or_index_brings_no_older_row_back(launch, injections, name):
    """Every id was written twice; what says so of the second time is cut."""
    server = launch(*FLAGS)
    client = Client(server.url)
    count = 6
    for shard in range(2 * count):
        client.append(ids_of(shard % count), rows_of(shard), key=f"b{shard}")
    client.append(ids_of(99), rows_of(99))
    wait_for(lambda: [one["state"] for one in client.integrity()["shards"]],
             lambda it: it[:-1] == ["sealed"] * (2 * count))
    client.states(ids_of(0))

    for shard in range(count):
        path = shard_folder(server.store, count + shard) / name
        byte_count = path.stat().st_size
        for one in ids_of(shard)[::13]:
            assert client.get(client.row_path(one)).status_code == 200
        os.truncate(path, [0, 1, byte_count // 3, byte_count // 2, byte_count - 100, byte_count - 1][shard])
        injections.add()
        for row, one in enumerate(ids_of(shard)):
            response = client.get(client.row_path(one), headers={"Accept": "application/x-npy"})
            if response.status_code == 200:
                found = load(response.content).reshape(-1)
                assert same_bits(found, rows_of(count + shard)[row]), f"{one} is an older row"
            else:
                assert response.json()["code"] == "row-damaged", response.text
        response = client.fetch(ids_of(shard), "application/x-npz")
        if response.status_code == 200:
            assert same_bits(load(response.content)["embeddings"], rows_of(count + shard))
        else:
            assert response.json()["code"] == "row-damaged", response.text
    client.scrub()
    assert client.integrity()["status"] == "damaged" or name == "ids.index"
    assert server.is_running
