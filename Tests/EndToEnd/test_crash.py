# Promise: kill -9 at any moment loses no acknowledged row, doubles none, and `ingot verify` finds a clean store.
import os
import random
import threading
import time

import numpy as np
import pytest
import requests

from client import Client, npz, same_bits, shard_files
from server_process import verify

ROUND_COUNT = int(os.environ.get("INGOT_KILL_ROUNDS", "20"))
SEED = int(os.environ.get("INGOT_TEST_SEED", "1"))
WORKER_COUNT = 4
DIMENSION = 96


def batch_of(worker, number):
    """Ids and rows that say where they belong in their first three numbers."""
    random_numbers = np.random.default_rng([worker, number])
    rows = random_numbers.standard_normal((random_numbers.integers(1, 65), DIMENSION)).astype("<f4")
    rows[:, 0], rows[:, 1], rows[:, 2] = worker, number, np.arange(len(rows))
    return [f"{worker}/{number}/{index}" for index in range(len(rows))], rows


class Worker(threading.Thread):
    """Posts batch after batch, keeps the receipts, and after a crash asks what became of the last one."""

    def __init__(self, number, address):
        super().__init__(daemon=True)
        self.number, self.address = number, address
        self.receipts = {}
        self.replayed_count = 0
        self.stopping = threading.Event()
        self.problem = None

    def run(self):
        try:
            number = 0
            while not self.stopping.is_set():
                self.store(number)
                number += 1
        except BaseException as problem:
            self.problem = problem

    def store(self, number):
        ids, rows = batch_of(self.number, number)
        batch_id = f"w{self.number}.{number:06d}"
        body = npz(ids=ids, embeddings=rows)
        found = None
        while not self.stopping.is_set():
            client = Client(self.address["url"])
            try:
                response = client.put_batch(batch_id, body)
            except requests.RequestException:
                found = self.after_crash(batch_id)
                continue
            assert response.status_code in (200, 201), response.text
            assert found is None or (response.status_code == 200 and response.json() == found)
            self.replayed_count += response.status_code == 200
            self.receipts[batch_id] = response.json()
            return

    def after_crash(self, batch_id):
        """The receipt that the crash kept from arriving, when the batch had become durable."""
        while not self.stopping.is_set():
            try:
                response = Client(self.address["url"]).receipt(batch_id)
            except requests.RequestException:
                time.sleep(0.01)
                continue
            assert response.status_code in (200, 404), response.text
            return response.json() if response.status_code == 200 else None


@pytest.mark.fault("A1")
def test_kill_loop_loses_and_doubles_nothing(launch, injections):
    print("rounds", ROUND_COUNT, "seed", SEED)
    moments = random.Random(SEED)
    server = launch("--shard-bytes", "256KiB")
    address = {"url": server.url}
    workers = [Worker(number, address) for number in range(WORKER_COUNT)]
    for worker in workers:
        worker.start()

    for round_number in range(ROUND_COUNT):
        before = sum(len(worker.receipts) for worker in workers)
        deadline = time.monotonic() + 30
        while sum(len(worker.receipts) for worker in workers) == before:
            assert time.monotonic() < deadline, "no batch was acknowledged for 30 s"
            assert not any(worker.problem for worker in workers), [w.problem for w in workers]
            time.sleep(0.001)
        time.sleep(moments.uniform(0, 0.15))
        server.kill()
        injections.add()

        found = verify(server.store)
        assert found.returncode == 0, f"round {round_number}: {found.stdout}{found.stderr}"
        assert_acknowledged(server.store, workers)

        server.start()
        address["url"] = server.url

    for worker in workers:
        worker.stopping.set()
    for worker in workers:
        worker.join(60)
        assert worker.problem is None, worker.problem
        assert not worker.is_alive()
    client = Client(server.url)
    listed = {receipt["batch_id"]: receipt for receipt in client.all_batches(limit=1000)}
    assert server.terminate() == 0
    assert verify(server.store).returncode == 0

    acknowledged = assert_acknowledged(server.store, workers)
    assert_each_row_once(server.store, listed)
    for worker in workers:
        assert worker.receipts.items() <= listed.items()
    print(f"{acknowledged} rows in {sum(len(w.receipts) for w in workers)} batches acknowledged,",
          f"{sum(w.replayed_count for w in workers)} batches found durable after a crash")


def assert_acknowledged(store, workers):
    """Every row of every receipt lies, bit for bit, where the receipt says."""
    arrays = {int(path.parent.name): np.load(path, mmap_mode="r") for path in shard_files(store)}
    row_count = 0
    for worker in workers:
        for batch_id, receipt in list(worker.receipts.items()):
            _, rows = batch_of(worker.number, int(batch_id.split(".")[1]))
            first = receipt["first_row"]
            stored = arrays[receipt["shard"]][first:first + receipt["rows"]]
            assert same_bits(stored, rows), receipt
            row_count += len(rows)
    return row_count


def assert_each_row_once(store, listed):
    """No row twice, no batch in part, and no row that is not in a listed batch."""
    marks = np.concatenate([np.load(path)[:, :3] for path in shard_files(store)]).astype(int)
    assert len(np.unique(marks, axis=0)) == len(marks)
    assert sum(receipt["rows"] for receipt in listed.values()) == len(marks)
    batches, counts = np.unique(marks[:, :2], axis=0, return_counts=True)
    for (worker, number), count in zip(batches, counts):
        assert listed[f"w{worker}.{number:06d}"]["rows"] == count == len(batch_of(worker, number)[0])


@pytest.mark.fault("A5")
def test_kill_while_starting_is_harmless(launch, injections):
    """A crash during recovery, again and again, ends in the same state."""
    import subprocess
    from server_process import BINARY, clean_environment
    server = launch("--shard-bytes", "64KiB")
    client = Client(server.url)
    batches = [batch_of(0, number) for number in range(40)]
    receipts = [client.append(*batch, key=f"w0.{n:06d}") for n, batch in enumerate(batches)]
    server.kill()

    for milliseconds in range(0, 40, 2):
        process = subprocess.Popen(
            [BINARY, "serve", "--store", str(server.store), "--listen", "127.0.0.1:0"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=clean_environment())
        time.sleep(milliseconds / 1000)
        process.kill()
        injections.add()
        process.wait()

    server.start()
    assert Client(server.url).all_batches(limit=1000) == receipts
    assert server.terminate() == 0
    assert verify(server.store).returncode == 0
