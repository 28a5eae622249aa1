# Threads that write to a server all the time, and whose rows say where they belong. Used by test_backup.py, test_live_copy.py.
import numpy as np

from client import Client, npz, rows_in_file, same_bits
from threads import Threads

DIMENSION = 64


def rows_of_batch(writer, number):
    rows = np.random.default_rng([writer, number]).standard_normal((8 + number % 25, DIMENSION))
    return rows.astype("<f4")


def ids_of_batch(writer, number):
    return [f"{writer}/{number}/{index}" for index in range(len(rows_of_batch(writer, number)))]


class Writers(Threads):
    """`with Writers(url, count) as writers:` writes until the block ends; knows every acknowledged receipt."""

    def __init__(self, url, count=3, collection="default"):
        super().__init__(count)
        self.url, self.collection = url, collection
        self.receipts = {}

    def work(self, writer):
        client = Client(self.url, self.collection)
        number = 0
        while not self.is_stopping:
            body = npz(ids=ids_of_batch(writer, number), embeddings=rows_of_batch(writer, number))
            response = client.put_batch(f"{writer}.{number}", body)
            assert response.status_code == 201, response.text
            with self._changed:
                self.receipts[f"{writer}.{number}"] = response.json()
                self._changed.notify_all()
            number += 1

    def acknowledged(self):
        with self._changed:
            return dict(self.receipts)

    def wait_for(self, count):
        """Waits until so many more batches were acknowledged."""
        with self._changed:
            goal = len(self.receipts) + count
            assert self._changed.wait_for(
                lambda: len(self.receipts) >= goal or self.problems, 120)
        assert not self.problems, self.problems


def assert_prefix(store, client, sent, at_least):
    """Every batch of a served store is one that was sent, whole and bit-exact; none is missing before the last."""
    found = client.all_batches(limit=1000)
    assert [receipt["sequence"] for receipt in found] == list(range(1, len(found) + 1))
    by_id = {receipt["batch_id"]: receipt for receipt in found}
    assert at_least.keys() <= by_id.keys()
    for batch_id, receipt in by_id.items():
        assert batch_id not in sent or sent[batch_id] == receipt
        writer, number = map(int, batch_id.split("."))
        assert same_bits(rows_in_file(store, receipt), rows_of_batch(writer, number)), batch_id
    return by_id
