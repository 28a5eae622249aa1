# Promise: a deletion is durable like a batch, is taken while the disk is full, and the newest commit of an id wins.
import os
import random

import numpy as np
import pytest

from client import (
    JSON, NDJSON, NPY, TEXT, Client, lines, load, npy, npz, rows_of, same_bits, shard_file)
from damage import damage_row
from server_process import verify
from threads import Jobs

SEED = int(os.environ.get("INGOT_TEST_SEED", "1"))
DIMENSION = 8


def assert_agrees(client, expected):
    """Look-up, fetch, ids, missing and export say the same; `expected` has a row or None by id."""
    live = {one: row for one, row in expected.items() if row is not None}
    assert sorted(client.ids()) == sorted(live)
    exported = client.exported()
    assert exported.keys() == live.keys()
    assert all(same_bits(exported[one], row) for one, row in live.items())
    assert client.missing(lines(expected)).text.split("\n")[:-1] == [
        one for one in expected if one not in live]
    fetched = load(client.fetch(expected).content)
    assert list(fetched["ids"]) == [one for one in expected if one in live]
    assert all(same_bits(row, live[one]) for one, row in zip(fetched["ids"], fetched["embeddings"]))
    for one in list(expected)[:20]:
        status = client.get(client.row_path(one)).status_code
        assert status == (200 if one in live else 404)


def named(prefix, rows):
    return {f"{prefix}{number}": row for number, row in enumerate(rows)}


def test_one_and_many_are_gone_after_kill_9_and_can_come_back(launch):
    server = launch("--shard-bytes", "4KiB")
    client = Client(server.url)
    expected = named("a", rows_of(300, DIMENSION))
    client.append(list(expected), np.array(list(expected.values())))

    one = client.request("DELETE", client.row_path("a7"))
    many = client.delete(["a1", "neu", "a2", "a2", "a299"])
    server.kill()

    assert one.status_code == 200 and one.json()["deleted"] == 1
    assert {"deleted": 3, "unknown": 1, "unknown_ids": ["neu"], "durable": True}.items() \
        <= many.items()
    assert many["sequence"] == one.json()["sequence"] + 1
    expected |= dict.fromkeys(["a7", "a1", "a2", "a299"])
    server.start()
    client = Client(server.url)
    assert_agrees(client, expected)

    again = rows_of(2, DIMENSION, seed=1)
    client.append(["a1", "a7"], again)
    client.delete(["a7"])
    expected["a1"] = again[0]
    assert_agrees(client, expected)
    assert server.terminate() == 0
    found = verify(server.store)
    assert found.returncode == 0, found.stdout
    server.start()
    assert_agrees(Client(server.url), expected)


@pytest.mark.parametrize("body, media_type", [
    (b"a1\r\na2", TEXT), (b'["a1","a2"]', JSON), (b'"a1"\n{"id":"a2"}\n', NDJSON),
    (npy(np.array([1, 2])), NPY),
])
def test_ids_come_in_every_form(client, body, media_type):
    client.append(["a1", "a2", "a3", "1", "2"], rows_of(5))

    response = client.post(body, media_type, path=f"{client.base}/delete")

    assert response.status_code == 200, response.text
    assert response.json()["deleted"] == 2
    gone = {"1", "2"} if media_type == NPY else {"a1", "a2"}
    assert set(client.ids()) == {"a1", "a2", "a3", "1", "2"} - gone


def test_what_is_not_there_is_named_and_nothing_is_written(server, client):
    client.append(["a"], rows_of(1))
    client.delete(["a"])
    before = client.get(client.base).json()

    assert client.request("DELETE", client.row_path("a")).status_code == 404
    response = client.request("DELETE", client.row_path("never"))
    assert (response.status_code, response.json()["code"]) == (404, "id-unknown")
    answer = client.delete(["a", "never"])
    assert (answer["deleted"], answer["unknown_ids"], answer["sequence"]) == (0, ["a", "never"], None)
    assert client.delete([])["deleted"] == 0
    for body, media_type, status in [
        (b"\xff\n", TEXT, 422), (b"x" * 600, TEXT, 422), (b"[", JSON, 400), (b"a", "a/b", 415),
    ]:
        assert client.post(body, media_type, path=f"{client.base}/delete").status_code == status
    other = Client(server.url, "nowhere")
    assert other.request("DELETE", other.row_path("a")).status_code == 404

    assert client.get(client.base).json() == before


def test_receipts_are_of_batches_only(client):
    client.append(["a", "b"], rows_of(2), key="one")
    client.delete(["a"])
    client.append(["c"], rows_of(1), key="two")

    receipts = client.all_batches()

    assert [receipt["batch_id"] for receipt in receipts] == ["one", "two"]
    assert [receipt["sequence"] for receipt in receipts] == [1, 3]


def test_is_taken_while_the_disk_is_full(launch):
    server = launch()
    Client(server.url).append(["a", "b"], rows_of(2))
    assert server.terminate() == 0
    server.flags = ["--disk-reserve", "900TiB"]
    server.start()
    client = Client(server.url)

    refused = client.post(npz(ids=np.array(["c"]), embeddings=rows_of(1)))
    answer = client.delete(["a"])

    assert (refused.status_code, refused.json()["code"]) == (507, "disk-full")
    assert answer["deleted"] == 1
    server.kill()
    server.start()
    client = Client(server.url)
    assert client.ids() == ["b"] and client.states(["a", "b"]) == {"a": "deleted"}
    assert client.request("DELETE", client.row_path("b")).status_code == 200


def test_a_deletion_can_begin_a_shard(launch):
    """Behind a damaged shard nothing is appended: the deletion starts a shard, which has no row."""
    server = launch()
    client = Client(server.url)
    receipt = client.append(["a", "b"], rows_of(2, DIMENSION))
    client.append(["c"], rows_of(1, DIMENSION))
    assert server.terminate() == 0
    log = shard_file(server.store).with_name("commits.log")
    content = log.read_bytes()
    log.write_bytes(content[:20] + b"\xff" + content[21:])
    server.start()
    client = Client(server.url)
    assert client.states(["a", "b", "c"]) == {"a": "missing", "b": "missing"}

    client.delete(["a", "c"])

    array = np.load(shard_file(server.store, 1), mmap_mode="r")
    assert array.shape == (0, DIMENSION)
    assert client.states(["a", "b", "c"]) == {"a": "deleted", "b": "missing", "c": "deleted"}
    server.kill()
    server.start()
    client = Client(server.url)
    assert client.states(["a", "b", "c"]) == {"a": "deleted", "b": "missing", "c": "deleted"}
    assert client.append(["b"], rows_of(1, DIMENSION))["shard"] == 1
    assert receipt["shard"] == 0 and client.states(["b"]) == {}


def test_quarantined_ids_can_be_deleted(launch):
    server = launch("--shard-bytes", "4KiB")
    client = Client(server.url)
    receipt = client.append([f"a{n}" for n in range(200)], rows_of(200, DIMENSION))
    client.append(["z"], rows_of(1, DIMENSION))
    assert server.terminate() == 0
    damage_row(server.store, receipt, 3, DIMENSION)
    server.start()
    client = Client(server.url)
    client.scrub()
    assert client.states(["a3"]) == {"a3": "quarantined"}

    assert client.request("DELETE", client.row_path("a3")).status_code == 200

    assert client.states(["a3", "a4"]) == {"a3": "deleted", "a4": "quarantined"}
    assert client.get(client.row_path("a3")).status_code == 404
    assert client.get(client.row_path("a4")).json()["code"] == "row-damaged"


class Writer:
    """Appends and deletes ids of its own and ids of all, and remembers what the last word on each was."""

    def __init__(self, number, url):
        self.number, self.client = number, Client(url)
        self.random = random.Random(SEED * 100 + number)
        self.own, self.shared = {}, []
        self.receipts = {}

    def turn(self, turn):
        own = [f"{self.number}-{self.random.randrange(40)}" for _ in range(8)]
        ids = list(dict.fromkeys(own + [f"all-{self.random.randrange(20)}" for _ in range(3)]))
        if self.random.random() < 0.4:
            answer = self.client.delete(ids)
            for one in own:
                self.own[one] = None
            if answer["sequence"]:
                self.shared.append((answer["sequence"], None, ids))
            return
        rows = rows_of(len(ids), DIMENSION, [self.number, turn])
        key = f"w{self.number}.{turn}"
        body = npz(ids=np.array(ids), embeddings=rows)
        stored, again = self.client.put_batch(key, body), self.client.put_batch(key, body)
        receipt = stored.json()
        assert (stored.status_code, again.status_code, again.json()) == (201, 200, receipt), again.text
        self.receipts[key] = receipt
        found = dict(zip(ids, rows))
        self.own |= {one: found[one] for one in own}
        self.shared.append((receipt["sequence"], found, ids))

    def turns(self, turn):
        self.turn(turn)
        return turn == 59


def test_ingest_and_deletes_of_many_workers_end_as_their_order_says(launch):
    print("seed", SEED)
    server = launch("--shard-bytes", "4KiB")
    Client(server.url).create(DIMENSION)
    writers = [Writer(number, server.url) for number in range(4)]
    with Jobs(*(writer.turns for writer in writers)) as jobs:
        jobs.wait()

    expected = {}
    for writer in writers:
        expected |= writer.own
    # A deletion leaves out ids that were not there when it was asked for, so of those that all write
    # only what was appended last, with no deletion behind it, is certain.
    history = sorted((one for writer in writers for one in writer.shared), key=lambda it: it[0])
    assert len({sequence for sequence, *_ in history}) == len(history), "a sequence was given twice"
    for one in {one for *_, ids in history for one in ids if one.startswith("all-")}:
        last = [found for _, found, ids in history if one in ids][-1]
        if last is not None:
            expected[one] = last[one]
    receipts = {key: receipt for writer in writers for key, receipt in writer.receipts.items()}
    for restart in range(2):
        client = Client(server.url)
        states = client.states(expected)
        assert states.keys() == {one for one, row in expected.items() if row is None}
        exported = client.exported()
        for one, row in expected.items():
            assert row is None or same_bits(exported[one], row), one
        assert set(exported) == set(client.ids())
        assert {one["batch_id"]: one for one in client.all_batches(limit=1000)} == receipts
        if restart == 0:
            server.kill()
            found = verify(server.store)
            assert found.returncode == 0, found.stdout
            server.start()
