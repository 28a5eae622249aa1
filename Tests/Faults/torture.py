#!/usr/bin/env python3
# Verifying workers: they write, write again, delete, retry and read all the time, keep their receipts in a file on
# another disk, and check every byte. Used by the tests here; by itself it kills the server of a store again and again.
import argparse
import contextlib
import json
import os
import random
import sys
import threading
import time
from pathlib import Path

import requests

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "EndToEnd"))

from client import Client, load
from file_watcher import FileWatcher
from operations import VECTORS, Model, Operation, assert_retries, assert_store
from server_process import ServerProcess, verify
from threads import Threads

# What a server in trouble may answer: not stored, send it again.
REFUSALS = (429, 500, 503, 507)


class Receipts:
    """What was acknowledged: a line of JSON for each operation, on the disk before anybody counts on it."""

    def __init__(self, path):
        self.file = open(path, "a+b")
        self.lock = threading.Lock()
        self.counts, self.by_batch = {}, {}
        self.file.seek(0)
        for line in self.file.read().splitlines():
            self._know(json.loads(line))

    def keep(self, worker, number, receipt):
        line = {"worker": worker, "number": number, "receipt": receipt}
        with self.lock:
            self.file.write(json.dumps(line).encode() + b"\n")
            self.file.flush()
            os.fsync(self.file.fileno())
            self._know(line)

    def _know(self, line):
        assert line["number"] == self.counts.get(line["worker"], 0)
        self.counts[line["worker"]] = line["number"] + 1
        if line["receipt"]:
            self.by_batch[line["receipt"]["batch_id"]] = line["receipt"]

    def known(self):
        with self.lock:
            return dict(self.counts), dict(self.by_batch)


class Torture(Threads):
    """`with Torture(server, receipts_path) as torture:` runs workers and readers until the block ends.

    The server may be killed, stopped and started meanwhile; `is_tolerant` says whether it may refuse or be away.
    """

    def __init__(self, server, receipts_path, writers=3, readers=1, is_tolerant=True):
        super().__init__(writers + readers)
        self.server = server
        self.receipts = Receipts(receipts_path)
        self.is_tolerant = is_tolerant
        self.refusals = {}
        self.retry_count = self.read_row_count = 0
        # False from the moment at which nothing reaches the disk any more until the server is back.
        self.has_power = True
        self._may_begin = threading.Event()
        self._may_begin.set()
        self._turns = [threading.Lock() for _ in range(writers)]

    def work(self, number):
        """The writers come first, a lock of its turn each."""
        if number < len(self._turns):
            self._write(number)
        else:
            self._read(number - len(self._turns))

    def wait_for(self, count, seconds=60):
        """Waits until so many more operations were acknowledged."""
        with self._changed:
            goal = self._total() + count
            assert self._changed.wait_for(lambda: self._total() >= goal or self.problems, seconds), \
                f"no progress for {seconds} s; refusals {self.refusals}"
        assert not self.problems, self.problems

    def _total(self):
        return sum(self.receipts.counts.values())

    def check(self):
        """Lets each writer end its operation, which needs a server: then what was acknowledged is there, no more."""
        self._may_begin.clear()
        with contextlib.ExitStack() as stack:
            for turn in self._turns:
                stack.enter_context(turn)
            listed = assert_store(self._client(), *self.receipts.known(), in_flight=False)
        self._may_begin.set()
        return listed

    def check_retries(self, count=50):
        """The last batches, sent again, are not stored again."""
        known = self.receipts.known()[1]
        assert_retries(self._client(), {one: known[one] for one in list(known)[-count:]})

    def _client(self):
        return Client(self.server.url)

    # MARK: writers

    def _write(self, worker):
        number = self.receipts.counts.get(worker, 0)
        chance = random.Random(worker)
        while not self.is_stopping:
            self._may_begin.wait(1)
            if not self._may_begin.is_set():
                continue
            with self._turns[worker]:
                operation = Operation(worker, number)
                answer = self._send(operation)
                if answer is None:
                    return
                self.receipts.keep(worker, number, None if operation.is_deletion else answer)
            number += 1
            with self._changed:
                self._changed.notify_all()
            if number % 5 == 0:
                self._send_again(Operation(worker, chance.randrange(number)))

    def _send(self, operation):
        """Sends it until it is taken; what was durable without our knowledge is replayed."""
        durable = None
        while not self.is_stopping:
            client, has_power = self._client(), self.has_power
            try:
                response = operation.send(client)
                if response.status_code in (200, 201):
                    assert has_power or self.has_power or response.status_code != 201, "stored on a disk without power"
                    if durable:
                        assert (response.status_code, response.json()) == (200, durable), response.text
                    return response.json()
                else:
                    self._note_refusal(response)
                    durable = durable or self._durable(client, operation)
            except requests.RequestException as problem:
                self._note_absence(problem)
            time.sleep(0.02)

    def _durable(self, client, operation):
        """The receipt of a batch whose answer was lost, when it has one."""
        found = None if operation.is_deletion else client.receipt(operation.batch_id)
        return found.json() if found is not None and found.status_code == 200 else None

    def _send_again(self, operation):
        """A batch that was acknowledged gets its receipt again."""
        if operation.is_deletion:
            return
        try:
            response = operation.send(self._client())
        except requests.RequestException as problem:
            return self._note_absence(problem)
        if response.status_code in REFUSALS:
            return self._note_refusal(response)
        known = self.receipts.by_batch[operation.batch_id]
        assert (response.status_code, response.json()) == (200, known), response.text
        self.retry_count += 1

    def _note_refusal(self, response):
        assert self.is_tolerant and response.status_code in REFUSALS, response.text
        code = response.json()["code"]
        self.refusals[code] = self.refusals.get(code, 0) + 1

    def _note_absence(self, problem):
        assert self.is_tolerant, problem

    # MARK: readers

    def _read(self, reader):
        chance, models = random.Random(-reader - 1), {}
        while not self.is_stopping:
            counts, _ = self.receipts.known()
            if not counts:
                time.sleep(0.01)
                continue
            worker = chance.choice(list(counts))
            model = models.setdefault(worker, Model(worker))
            numbers = [chance.randrange(counts[worker]) for _ in range(4)]
            ids = list(dict.fromkeys(one for number in numbers for one in Operation(worker, number).ids))
            try:
                response = self._client().fetch(ids, "application/x-npz")
            except requests.RequestException as problem:
                self._note_absence(problem)
                time.sleep(0.02)
                continue
            if response.status_code != 200:
                self._note_refusal(response)
                continue
            after = self.receipts.known()[0][worker] + 1
            self._check_read(model, ids, counts[worker], after, load(response.content))

    def _check_read(self, model, ids, before, after, archive):
        """Each answer is what the id was at some moment of the request; an acknowledged operation is never unseen."""
        model.advance(after)
        served = {str(one): row.tobytes() for one, row in zip(archive["ids"], archive["embeddings"])}
        assert served.keys().isdisjoint(map(str, archive["missing"])) and len(served) == len(archive["ids"])
        for one in ids:
            places = {model.after(one, count) for count in range(before, after + 1)}
            allowed = {None if place is None else VECTORS[place].tobytes() for place in places}
            assert served.get(one) in allowed, f"{one} is served with other bytes than any that were sent"
        self.read_row_count += len(served)


# MARK: - By itself


def run(store, receipts_path, seconds, writers, kill_seconds):
    """Load, kills and checks on one store; exit code 0 when nothing was lost, doubled or wrong."""
    server = ServerProcess(store, "--shard-bytes", "4MiB", log_path=Path(receipts_path).with_suffix(".log")).start()
    end, kill_count = time.monotonic() + seconds, 0
    with Torture(server, receipts_path, writers) as torture, FileWatcher(store) as watcher:
        while time.monotonic() < end:
            time.sleep(min(kill_seconds, max(0, end - time.monotonic())))
            server.kill()
            found = verify(store)
            assert found.returncode == 0, found.stdout + found.stderr
            server.start()
            kill_count += 1
            torture.check()
            torture.wait_for(1)
            print(f"{sum(torture.receipts.counts.values())} operations, {kill_count} kills,",
                  f"{torture.retry_count} retries, {torture.read_row_count} rows read", flush=True)
        seen_count = watcher.row_count()
        torture.check()
    torture.check_retries()
    assert server.terminate() == 0
    assert verify(store).returncode == 0
    print(f"right: every receipt is kept; NumPy read {seen_count} rows of the live files")


def main():
    parser = argparse.ArgumentParser(
        description="Writes to a store, kills its server, and checks that nothing is lost; exits with 1 when it is.")
    parser.add_argument("--store", required=True, help="directory of the store; it goes on where it was")
    parser.add_argument("--seconds", type=float, default=60, help="how long; default 60")
    parser.add_argument("--receipts", help="file for receipts, best on another disk; default beside the store")
    parser.add_argument("--writers", type=int, default=4, help="threads that write; default 4")
    parser.add_argument("--kill-seconds", type=float, default=2, help="time between kills; default 2")
    arguments = parser.parse_args()
    receipts = arguments.receipts or str(Path(arguments.store).resolve()) + ".receipts"
    try:
        run(Path(arguments.store), receipts, arguments.seconds, arguments.writers, arguments.kill_seconds)
    except AssertionError as problem:
        sys.exit(f"WRONG: {problem}")
    finally:
        for server in list(ServerProcess.running):
            server.kill()


if __name__ == "__main__":
    main()
