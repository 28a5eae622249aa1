# Workers that write real vectors all the time, read what was acknowledged, and judge in the end what is in the store.
# What is asked of health at the same time: health_watch.py. Used by the tests of this folder.
import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import requests

from client import Client, load, npz, rows_in_file, same_bits
from server_process import ROOT, verify
from threads import Threads

IS_THOROUGH = os.environ.get("INGOT_THOROUGH") == "1"
SENTENCES = np.load(ROOT / "Tests/Data/minilm-sentences.npz")["embeddings"]
DIMENSION = SENTENCES.shape[1]
ROWS = 32
BATCH_BYTES = ROWS * DIMENSION * 4
STORED = (200, 201)
FULL = (507, "disk-full")
FAILED = (500, "storage-failed")
REFUSAL_PAUSE = 0.02
READ_PAUSE = 0.01
ADMISSION_SECONDS = 0.2


def rows_of(writer, number, count=ROWS):
    """Vectors of a real model; each batch has its own, by turning them."""
    first = (writer * 701 + number * ROWS) % (len(SENTENCES) - count)
    return np.roll(SENTENCES[first:first + count], 1 + number * 7 + writer, axis=1)


def ids_of(writer, number, count=ROWS):
    return [f"{writer}/{number}/{row}" for row in range(count)]


def body_of(writer, number):
    return npz(ids=np.array(ids_of(writer, number)), embeddings=rows_of(writer, number))


@dataclass
class Attempt:
    """One request that wrote or did not."""
    began: float
    ended: float = None
    is_stored: bool = None
    answer: tuple = None


class Load(Threads):
    """`with Load(url, may=[FULL]) as load:` writes until the block ends. Answers that are not in `may` are problems."""

    def __init__(self, url, writers=2, may=(), reads=True, read_may=None, pause=0, timeout=60):
        super().__init__(writers + (1 if reads else 0))
        self.url, self.writers, self.timeout = url, writers, timeout
        self.may, self.read_may, self.pause_seconds = may, read_may, pause
        self.receipts, self.sent, self.attempts = {}, set(), []
        self.answers, self.details = Counter(), []
        self.read_count = 0

    def work(self, number):
        """The last thread reads, if one does."""
        if number < self.writers:
            self._write(number)
        else:
            self._read()

    def _write(self, writer):
        client = Client(self.url)
        number = 0
        while not self.is_stopping:
            if self.write(client, writer, number):
                number += 1
                self.pause(self.pause_seconds)
            else:
                self.pause(max(self.pause_seconds, REFUSAL_PAUSE))

    def write(self, client, writer, number, meanwhile=None):
        """Sends a batch once, and says whether it was acknowledged; `meanwhile` is called when half of it was sent."""
        batch_id = f"{writer}.{number}"
        attempt = Attempt(time.monotonic())
        with self._changed:
            self.sent.add(batch_id)
            self.attempts.append(attempt)
        response = client.request(
            "PUT", f"{client.base}/batches/{batch_id}", data=InHalves(body_of(writer, number), meanwhile, self.url),
            timeout=self.timeout, headers={"Content-Type": "application/x-npz"})
        is_stored = response.status_code in STORED
        answer = (response.status_code, None if is_stored else response.json().get("code"))
        with self._changed:
            attempt.ended, attempt.is_stored, attempt.answer = time.monotonic(), is_stored, answer
            self.answers[answer] += 1
            if is_stored:
                self.receipts[batch_id] = response.json()
            else:
                self.details.append(response.text)
            self._changed.notify_all()
        if not is_stored:
            assert answer in self.may, response.text
            assert_refusal(response)
        return is_stored

    def _read(self):
        client, chance = Client(self.url), random.Random(0)
        while not self.is_stopping:
            self.pause(READ_PAUSE)
            known = list(self.acknowledged())
            if known:
                self.read(client, chance.choice(known))

    def read(self, client, batch_id):
        """A few rows of an acknowledged batch, which must be right."""
        writer, number = map(int, batch_id.split("."))
        response = client.fetch(ids_of(writer, number)[:4], accept="application/x-npz")
        if self.read_may and response.status_code != 200:
            assert (response.status_code, response.json()["code"]) == self.read_may, response.text
            return
        assert response.status_code == 200, response.text
        assert same_bits(load(response.content)["embeddings"], rows_of(writer, number)[:4]), batch_id
        self.read_count += 1

    def acknowledged(self):
        with self._changed:
            return dict(self.receipts)

    def wait_for(self, count=1, seconds=20):
        """Waits for so many more acknowledgements, and gives the seconds until then."""
        started = time.monotonic()
        with self._changed:
            goal = len(self.receipts) + count
            self._changed.wait_for(lambda: len(self.receipts) >= goal or self.problems, seconds)
            assert not self.problems, self.problems
            assert len(self.receipts) >= goal, f"{dict(self.answers)} {self.details[-1:]}"
        return time.monotonic() - started

    def wait_for_refusals(self, count, seconds=20):
        """Waits until so many answers in all were none of success."""
        with self._changed:
            self._changed.wait_for(lambda: len(self.details) >= count or self.problems, seconds)
            assert not self.problems, self.problems
            assert len(self.details) >= count, f"nothing was refused: {dict(self.answers)}"

    def wait_until_still(self, seconds=1, within=20):
        """Waits until nothing was acknowledged for some time, and gives how many batches are."""
        ends, known, since = time.monotonic() + within, -1, time.monotonic()
        while time.monotonic() - since < seconds:
            assert time.monotonic() < ends, "writes go on"
            if len(self.acknowledged()) != known:
                known, since = len(self.acknowledged()), time.monotonic()
            time.sleep(0.02)
        return known


class InHalves:
    """A body of a declared length that was admitted, unless it was refused, and half sent when `meanwhile` is called."""

    def __init__(self, body, meanwhile, url):
        self.body, self.meanwhile, self.url, self.place = body, meanwhile, url, 0

    def __len__(self):
        return len(self.body)

    def read(self, _=-1):
        half = len(self.body) // 2
        if self.place == half and self.meanwhile:
            self.wait_for_admission()
            self.meanwhile()
        piece = self.body[self.place:self.place + half] if self.meanwhile else self.body[self.place:]
        self.place += len(piece)
        return piece

    def wait_for_admission(self):
        ends = time.monotonic() + ADMISSION_SECONDS
        while time.monotonic() < ends:
            metrics = requests.get(f"{self.url}/metrics", timeout=10).text
            if "\ningot_in_flight_bytes 0\n" not in metrics:
                return


def assert_refusal(response):
    """What every refusal says, and says nothing that is not true."""
    problem = response.json()
    assert response.headers["Content-Type"] == "application/problem+json"
    assert problem["retryable"] is True, problem
    if response.status_code == 507:
        assert problem["needed_bytes"] > 0 and problem["free_bytes"] >= 0, problem
        assert int(response.headers["Retry-After"]) >= 0


def assert_all_right(server, receipts, sent):
    """Every acknowledged batch is there once and bit-exact, others wholly or not at all; ends the server, verifies."""
    client = Client(server.url)
    found = client.all_batches(limit=1000)
    by_id = {receipt["batch_id"]: receipt for receipt in found}
    assert len(by_id) == len(found), "a batch is there twice"
    assert receipts.keys() <= by_id.keys() <= sent, "acknowledged and lost, or never sent"
    sequences = [receipt["sequence"] for receipt in found]
    assert sequences == sorted(set(sequences))
    rows = client.exported()
    counts = len(rows), client.row_count(), sum(receipt["rows"] for receipt in found)
    assert len(set(counts)) == 1, f"rows exported, counted, receipted: {counts}; {client.get('/health').text}"
    for batch_id, receipt in by_id.items():
        assert batch_id not in receipts or receipts[batch_id] == receipt
        writer, number = map(int, batch_id.split("."))
        expected = rows_of(writer, number)
        assert same_bits(rows_in_file(server.store, receipt), expected), batch_id
        assert same_bits(np.stack([rows[one] for one in ids_of(writer, number)]), expected), batch_id
    assert server.terminate() == 0, server.log_tail()
    checked = verify(server.store)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def is_alive(server):
    return server.is_running and requests.get(f"{server.url}/livez", timeout=10).status_code == 200


def cpu_seconds(server):
    """What the process has used of the processors; its system calls count."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
