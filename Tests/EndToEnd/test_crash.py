# Promise: kill -9 at any moment loses no acknowledged row, doubles none, and `ingot verify` finds a clean store.
import os
import random
import subprocess
import time

import numpy as np
import pytest
import requests

from client import Client, npz, same_bits, shard_files, wait_for
from proc import held_files
from server_process import started, verify
from threads import Threads

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


class Workers(Threads):
    """They post batch after batch, keep the receipts, and after a crash ask what became of the last one."""

    def __init__(self, url, count):
        super().__init__(count)
        # Another one after each crash.
        self.url = url
        self.receipts = {}
        self.replayed_count = 0

    def work(self, worker):
        number = 0
        while not self.is_stopping:
            self.store(worker, number)
            number += 1

    def store(self, worker, number):
        ids, rows = batch_of(worker, number)
        batch_id = f"w{worker}.{number:06d}"
        body = npz(ids=ids, embeddings=rows)
        found = None
        while not self.is_stopping:
            client = Client(self.url)
            try:
                response = client.put_batch(batch_id, body)
            except requests.RequestException:
                found = self.after_crash(batch_id)
                continue
            assert response.status_code in (200, 201), response.text
            assert found is None or (response.status_code == 200 and response.json() == found)
            with self._changed:
                self.replayed_count += response.status_code == 200
                self.receipts[batch_id] = response.json()
                self._changed.notify_all()
            return

    def after_crash(self, batch_id):
        """The receipt that the crash kept from arriving, when the batch had become durable."""
        while not self.is_stopping:
            try:
                response = Client(self.url).receipt(batch_id)
            except requests.RequestException:
                self.pause(0.01)
                continue
            assert response.status_code in (200, 404), response.text
            return response.json() if response.status_code == 200 else None

    def acknowledged(self):
        with self._changed:
            return dict(self.receipts)

    def wait_for_one(self):
        """Waits until one more batch was acknowledged."""
        with self._changed:
            goal = len(self.receipts) + 1
            assert self._changed.wait_for(lambda: len(self.receipts) >= goal or self.problems, 60), "no progress for 60 s"
        assert not self.problems, self.problems


@pytest.mark.fault("A1")
def test_kill_loop_loses_and_doubles_nothing(launch, injections):
    print("rounds", ROUND_COUNT, "seed", SEED)
    moments = random.Random(SEED)
    server = launch("--shard-bytes", "256KiB")
    with Workers(server.url, WORKER_COUNT) as workers:
        for round_number in range(ROUND_COUNT):
            workers.wait_for_one()
            time.sleep(moments.uniform(0, 0.15))
            server.kill()
            injections.add()

            found = verify(server.store)
            assert found.returncode == 0, f"round {round_number}: {found.stdout}{found.stderr}"
            assert_acknowledged(server.store, workers)

            server.start()
            workers.url = server.url

    client = Client(server.url)
    listed = {receipt["batch_id"]: receipt for receipt in client.all_batches(limit=1000)}
    assert server.terminate() == 0
    assert verify(server.store).returncode == 0

    acknowledged = assert_acknowledged(server.store, workers)
    assert_each_row_once(server.store, listed)
    assert workers.receipts.items() <= listed.items()
    print(f"{acknowledged} rows in {len(workers.receipts)} batches acknowledged,",
          f"{workers.replayed_count} batches found durable after a crash")


def assert_acknowledged(store, workers):
    """Every row of every receipt lies, bit for bit, where the receipt says."""
    arrays = {int(path.parent.name): np.load(path, mmap_mode="r") for path in shard_files(store)}
    row_count = 0
    for batch_id, receipt in workers.acknowledged().items():
        worker, number = map(int, batch_id[1:].split("."))
        _, rows = batch_of(worker, number)
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
    """A crash during recovery, again and again, ends in the same state. At every call of it: test_kill_at_calls.py."""
    server = launch("--shard-bytes", "64KiB")
    client = Client(server.url)
    batches = [batch_of(0, number) for number in range(40)]
    receipts = [client.append(*batch, key=f"w0.{n:06d}") for n, batch in enumerate(batches)]
    server.kill()

    for step in range(20):
        injections.add(is_killed_while_starting(server.store, seconds=step / 1000))
    print(f"{injections.count} of 20 were killed between the first file of the store and the ready line")

    server.start()
    assert Client(server.url).all_batches(limit=1000) == receipts
    assert server.terminate() == 0
    assert verify(server.store).returncode == 0


def is_killed_while_starting(store, seconds):
    """Kills a server so long after it opened the store; whether it was not ready yet."""
    with started("serve", "--store", store, "--listen", "127.0.0.1:0", stdout=subprocess.PIPE,
                 stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: holds(process.pid, store), bool, pause=0)
        time.sleep(seconds)
        process.kill()
        return process.communicate()[0] == b""


def holds(pid, store):
    return any(name.startswith(str(store)) for name in held_files(pid))
