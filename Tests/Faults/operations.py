# What each verifying worker does, as a function of its number, and what a store must hold after that. Used by
# torture.py and every test here. The rows are real vectors of a real model (Tests/Data).
import sys
from pathlib import Path

import numpy as np

TESTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS / "EndToEnd"))

from client import TEXT, load, lines, npz, same_bits, shard_files

VECTORS = np.load(TESTS / "Data/minilm-sentences.npz")["embeddings"]
DIMENSION = VECTORS.shape[1]
ROW_COUNT_MAX = 40


class Operation:
    """Number `number` of worker `worker`: a batch of new ids, of ids that are there, or a deletion."""

    def __init__(self, worker, number):
        self.worker, self.number = worker, number
        cycle, step = divmod(number, 4)
        self.is_deletion = step == 3
        if step < 2:
            self.ids = new_ids(worker, number)
        elif step == 2:
            old = cycle // 2 * 4
            self.ids = new_ids(worker, old)[::2] + [f"{worker}/{number}/0"]
        else:
            self.ids = new_ids(worker, cycle * 4 + 1)[::3] + new_ids(worker, cycle // 3 * 4)[1::3]
        # Which vectors; other ones when an id is written again.
        first = worker * 613 + number * 97
        self.places = None if self.is_deletion else (first + np.arange(len(self.ids))) % len(VECTORS)

    @property
    def batch_id(self):
        return f"w{self.worker}.{self.number:07d}"

    @property
    def body(self):
        return npz(ids=self.ids, embeddings=VECTORS[self.places])

    def send(self, client):
        if self.is_deletion:
            return client.request(
                "POST", f"{client.base}/delete", data=lines(self.ids), headers={"Content-Type": TEXT})
        return client.put_batch(self.batch_id, self.body)


def new_ids(worker, number):
    count = 1 + (worker * 7 + number * 11) % (ROW_COUNT_MAX - 1)
    return [f"{worker}/{number}/{index}" for index in range(count)]


def batch_number(batch_id):
    """Worker and number of a batch id."""
    worker, number = batch_id[1:].split(".")
    return int(worker), int(number)


class Model:
    """What one worker's ids are after its first operations: the place of a vector, or None when deleted."""

    def __init__(self, worker):
        self.worker, self.count = worker, 0
        self.history = {}

    def advance(self, count):
        for number in range(self.count, count):
            operation = Operation(self.worker, number)
            for index, one in enumerate(operation.ids):
                place = None if operation.is_deletion else int(operation.places[index])
                self.history.setdefault(one, []).append((number, place))
        self.count = max(self.count, count)

    def after(self, one, count):
        """What an id is after `count` operations."""
        place = None
        for number, value in self.history.get(one, ()):
            if number >= count:
                break
            place = value
        return place

    def state(self, count):
        """The live ids after `count` operations, with their vectors' places."""
        self.advance(count)
        places = {one: self.after(one, count) for one in self.history}
        return {one: place for one, place in places.items() if place is not None}


def listed_batches(client):
    """Every receipt; none before the first batch made the collection."""
    return client.all_batches(limit=1000) if client.get(client.base).status_code == 200 else []


def assert_store(client, counts, receipts, in_flight=True):
    """The store holds what was acknowledged, once and bit for bit.

    - counts: by worker, how many of its operations were acknowledged; the next one may be there, whole, if `in_flight`.
    - receipts: by batch id, what was answered.
    """
    listed = listed_batches(client)
    by_id = {receipt["batch_id"]: receipt for receipt in listed}
    assert len(by_id) == len(listed), "a batch is there twice"
    assert len({receipt["sequence"] for receipt in listed}) == len(listed), "two batches with one sequence"
    lost = receipts.keys() - by_id.keys()
    assert not lost, f"acknowledged and lost: {sorted(lost)[:10]} of {len(lost)}"
    changed = [one for one in receipts if receipts[one] != by_id[one]]
    assert not changed, f"{by_id[changed[0]]} is not {receipts[changed[0]]}"
    for one in by_id.keys() - receipts.keys():
        worker, number = batch_number(one)
        assert in_flight and number == counts.get(worker, 0), f"{one} was never sent"

    archive = load(client.export().content) if listed else {"ids": [], "embeddings": VECTORS[:0]}
    places = {str(one): row for row, one in enumerate(archive["ids"])}
    assert len(places) == len(archive["ids"]), "an id is exported twice"
    exported = {}
    for one in places:
        exported.setdefault(int(one.split("/")[0]), []).append(one)
    for worker in counts.keys() | exported.keys():
        assert_worker(
            worker, counts.get(worker, 0), exported.get(worker, []), archive["embeddings"], places, in_flight)
    return listed


def assert_worker(worker, count, ids, rows, places, in_flight):
    model, problems = Model(worker), []
    for done in (count, count + 1) if in_flight else (count,):
        expected = model.state(done)
        if expected.keys() != set(ids):
            problems.append(f"after {done}: {sorted(expected.keys() ^ set(ids))[:5]} differ")
        elif not same_bits(rows[[places[one] for one in ids]], VECTORS[[expected[one] for one in ids]]):
            problems.append(f"after {done}: other numbers")
        else:
            return
    raise AssertionError(f"rows of worker {worker} are neither before nor after one of its operations: {problems}")


def assert_files(store, listed):
    """Without compaction: the files hold each row of each batch, and no row besides."""
    arrays = {int(path.parent.name): np.load(path, mmap_mode="r") for path in shard_files(store)}
    assert sum(map(len, arrays.values())) == sum(receipt["rows"] for receipt in listed)
    for receipt in listed:
        operation = Operation(*batch_number(receipt["batch_id"]))
        first = receipt["first_row"]
        rows = arrays[receipt["shard"]][first:first + receipt["rows"]]
        assert same_bits(rows, VECTORS[operation.places]), receipt


def assert_retries(client, receipts):
    """Every batch that is sent again gets its receipt, and is not stored again."""
    before = listed_batches(client)
    for batch_id, receipt in receipts.items():
        response = Operation(*batch_number(batch_id)).send(client)
        assert (response.status_code, response.json()) == (200, receipt), response.text
    # Not the count of rows: compaction may run.
    assert listed_batches(client) == before, "a batch was stored again"
