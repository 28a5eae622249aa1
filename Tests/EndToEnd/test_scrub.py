# Promise: everything is read and checked, at a rate and within an age; damage is found wherever it is, and nothing else.
import time

import numpy as np
import pytest

from client import JSON, Client, dumps, rows_of, shard_file, wait_for
from damage import damage_row, flip, record_offsets, shard_folder
from server_process import verify
from threads import Jobs

DIMENSION = 64
ROWS = 64
SHARD = "16KiB"  # 64 rows


def seed(client, count=4):
    """Shard n holds batch n with the ids `n-ROW`; all but the last are sealed."""
    receipts = [
        client.append([f"{n}-{row}" for row in range(ROWS)], rows_of(ROWS, DIMENSION, n), f"b{n}")
        for n in range(count)]
    assert [receipt["shard"] for receipt in receipts] == list(range(count))
    wait_for(lambda: states(client), lambda it: it[:-1] == ["sealed"] * (count - 1))
    return receipts


def states(client):
    return [shard["state"] for shard in client.integrity()["shards"]]


def shard_of(client, number):
    return next(one for one in client.integrity()["shards"] if one["shard"] == number)


def header_bit(store, receipts):
    flip(shard_file(store, 1), 70)


def row_bit(store, receipts):
    damage_row(store, receipts[1], 7, DIMENSION)


def first_byte_of_a_row(store, receipts):
    flip(shard_file(store, 1), 128)


def last_byte_of_the_rows(store, receipts):
    flip(shard_file(store, 1), -1)


def record_field(store, receipts):
    flip(shard_folder(store, 1) / "commits.log", 60)


def record_id(store, receipts):
    flip(shard_folder(store, 1) / "commits.log", 200)


def seal_checksum(store, receipts):
    log = shard_folder(store, 1) / "commits.log"
    flip(log, record_offsets(log)[-1] + 170)


def seal_end(store, receipts):
    flip(shard_folder(store, 1) / "commits.log", -3)


def index_entry(store, receipts):
    flip(shard_folder(store, 1) / "ids.index", 80)


def index_head(store, receipts):
    flip(shard_folder(store, 1) / "ids.index", 50)


DAMAGES = [
    header_bit, row_bit, first_byte_of_a_row, last_byte_of_the_rows, record_field, record_id,
    seal_checksum, seal_end, index_entry, index_head]


# What follows from something else is made again at once, and the damaged file is kept.
REPAIRED = [header_bit, index_entry, index_head]


def assert_is_made_again(server, client):
    wait_for(lambda: shard_of(client, 1)["findings"], lambda it: it == [])
    assert client.integrity()["status"] == "clean"
    assert client.get("/health").json()["status"] == "pass"
    assert client.states([f"{n}-{row}" for n in range(4) for row in range(ROWS)]) == {}
    note, = server.store.glob("quarantine/*/note.json")
    assert (note.parent / "embeddings.npy").exists() and (note.parent / "ids.index").exists()
    assert server.terminate() == 0
    found = verify(server.store)
    assert found.returncode == 0, found.stdout


@pytest.mark.fault("D1", "D4")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_finds_damage_wherever_it_is(launch, damage, injections):
    server = launch("--shard-bytes", SHARD)
    client = Client(server.url)
    receipts = seed(client)
    assert client.scrub()["damaged_shards"] == 0
    assert client.integrity()["status"] == "clean"

    damage(server.store, receipts)
    injections.add()
    found = client.scrub()

    assert found["damaged_shards"] == 1
    if damage in REPAIRED:
        assert_is_made_again(server, client)
        return
    integrity = client.integrity()
    assert integrity["status"] == "damaged"
    assert client.get("/integrity", params={"fail_on": "corrupt"}).status_code == 500
    assert shard_of(client, 1)["findings"], "the shard is named"
    assert all(not one["findings"] and not one["damaged"]
               for one in integrity["shards"] if one["shard"] != 1)
    in_rows = damage in (
        row_bit, first_byte_of_a_row, last_byte_of_the_rows, record_field, record_id)
    assert found["damaged_rows"] == (ROWS if in_rows else 0) == integrity["damaged_rows"]
    assert client.get("/health").json()["status"] == "warn"
    others = [f"{n}-{row}" for n in (0, 2, 3) for row in range(ROWS)]
    assert client.states(others) == {}
    assert len(client.states([f"1-{row}" for row in range(ROWS)])) == found["damaged_rows"]


def test_damage_of_the_open_shard_is_found_and_repaired_where_it_can_be(launch):
    server = launch("--shard-bytes", SHARD)
    client = Client(server.url)
    receipts = [client.append([f"{n}-{m}" for m in range(8)], rows_of(8, DIMENSION, n))
                for n in range(3)]

    flip(shard_file(server.store), 128 + receipts[1]["first_row"] * DIMENSION * 4)
    found = client.scrub()

    assert (found["damaged_rows"], found["damaged_shards"]) == (8, 1)
    damaged = shard_of(client, 0)["damaged"]
    assert [(one["first_row"], one["rows"]) for one in damaged] == [(8, 8)]
    assert damaged[0]["ids"] == [f"1-{m}" for m in range(8)]
    assert client.states([f"{n}-{m}" for n in range(3) for m in range(8)]) == {
        f"1-{m}": "quarantined" for m in range(8)}


def test_damage_that_a_read_finds_is_scrubbed_and_kept_at_once(launch):
    server = launch("--shard-bytes", SHARD)
    client = Client(server.url)
    receipts = seed(client)
    assert client.scrub()["damaged_shards"] == 0
    assert server.terminate() == 0
    damage_row(server.store, receipts[1], 7, DIMENSION)
    server.start()
    client = Client(server.url)

    response = client.get(client.row_path("1-7"))

    assert (response.status_code, response.json()["code"]) == (500, "row-damaged")
    assert client.get(client.row_path("2-7")).status_code == 200
    wait_for(lambda: sorted(server.store.glob("quarantine/*/note.json")), lambda it: len(it) == 1)
    wait_for(lambda: shard_of(client, 1)["findings"], bool)


def test_says_how_far_it_is_stops_and_lists(launch):
    server = launch("--shard-bytes", SHARD, "--scrub-rate", "1")
    client = Client(server.url)
    seed(client, 3)
    number = client.start_scrub(rate=1000)

    running = wait_for(
        lambda: client.get(f"/v1/scrubs/{number}").json(), lambda it: it["checked_bytes"] > 0)
    assert running["state"] == "running" and running["rate"] == 1000
    assert 0 < running["percent"] < 100 and running["remaining_seconds"] > 1
    assert running["total_bytes"] > 3 * ROWS * DIMENSION * 4
    stopped = client.request("DELETE", f"/v1/scrubs/{number}").json()

    assert stopped["state"] == "stopped" and stopped["ended_at"]
    assert client.request("DELETE", f"/v1/scrubs/{number}").json() == stopped
    done = client.scrub(collection="default", shard=1)
    assert (done["percent"], done["shard"], done["rate"]) == (100, 1, "max")
    assert done["total_bytes"] < running["total_bytes"]
    listed = client.get("/v1/scrubs").json()["scrubs"]
    assert [(one["number"], one["state"]) for one in listed] == [(1, "stopped"), (2, "done")]
    assert client.request("DELETE", "/v1/scrubs/2").json()["state"] == "done"


def test_a_scrub_waits_for_the_one_before_it(launch):
    server = launch("--shard-bytes", SHARD, "--scrub-rate", "1")
    client = Client(server.url)
    seed(client, 3)
    first, second = client.start_scrub(rate=1000), client.start_scrub(rate="max")

    def scrub(number):
        return client.get(f"/v1/scrubs/{number}").json()

    wait_for(lambda: scrub(first), lambda it: it["checked_bytes"] > 0)
    waiting = scrub(second)
    assert (waiting["state"], waiting["waits_for"], waiting["percent"]) == ("waiting", first, 0)
    assert waiting["remaining_seconds"] is None
    assert (scrub(first)["state"], scrub(first)["waits_for"]) == ("running", None)
    client.request("DELETE", f"/v1/scrubs/{first}")

    wait_for(lambda: scrub(second), lambda it: it["state"] == "done")


def test_two_scrubs_at_once_both_end(launch):
    server = launch("--shard-bytes", SHARD, "--scrub-rate", "1")
    client = Client(server.url)
    seed(client, 3)

    numbers = [client.start_scrub(rate=200_000) for _ in range(3)]

    for number in numbers:
        wait_for(lambda: client.get(f"/v1/scrubs/{number}").json(), lambda it: it["state"] == "done",
                 seconds=15)


@pytest.mark.parametrize("body, status, code", [
    ({"rate": "fast"}, 422, "bad-scrub"), ({"rate": 0}, 422, "bad-scrub"),
    ({"rate": -5}, 422, "bad-scrub"), ({"shard": 1}, 422, "bad-scrub"),
    ({"collection": "nowhere"}, 404, "collection-unknown"),
    ({"collection": "default", "shard": 77}, 404, "shard-unknown"),
    ([], 400, "bad-json"), (None, 400, "bad-json"), ({"rate": []}, 422, "bad-scrub"),
    ({"colection": "clip"}, 422, "bad-scrub"),
])
def test_a_scrub_that_cannot_be_is_refused(client, body, status, code):
    client.append(["a"], rows_of(1))

    response = client.request("POST", "/v1/scrubs", data=dumps(body), headers={"Content-Type": JSON})

    assert (response.status_code, response.json()["code"]) == (status, code)
    for number in ("1", "x", "99999999999999999999"):
        assert client.get(f"/v1/scrubs/{number}").status_code == 404
        assert client.request("DELETE", f"/v1/scrubs/{number}").status_code == 404


def test_goes_on_after_a_kill_without_reading_again_what_was_read(launch):
    server = launch("--shard-bytes", SHARD, "--scrub-rate", "1")
    client = Client(server.url)
    seed(client, 8)
    number = client.start_scrub(rate=30_000)
    # Two of eight shards are through.
    before = wait_for(
        lambda: client.get(f"/v1/scrubs/{number}").json(), lambda it: it["percent"] > 26)
    times = {one["shard"]: one["last_verified"] for one in client.integrity()["shards"]}
    server.kill()
    server.start()
    client = Client(server.url)

    after = client.get(f"/v1/scrubs/{number}").json()
    assert after["state"] == "running" and after["started_at"] == before["started_at"]
    assert after["percent"] > 24
    done = wait_for(
        lambda: client.get(f"/v1/scrubs/{number}").json(), lambda it: it["state"] == "done")
    assert done["percent"] == 100
    again = {one["shard"]: one["last_verified"] for one in client.integrity()["shards"]}
    verified = [shard for shard, at in times.items() if at]
    assert len(verified) >= 2 and all(again[shard] == times[shard] for shard in verified)
    assert all(again.values())


def test_a_scrub_whose_last_shard_was_read_before_a_kill_ends(launch):
    """The end itself was not recorded: the next start finds nothing left to read."""
    import sqlite3
    server = launch("--shard-bytes", SHARD, "--scrub-rate", "1")
    client = Client(server.url)
    seed(client, 2)
    number = client.scrub()["number"]
    assert server.terminate() == 0
    with sqlite3.connect(server.store / "catalog.sqlite") as catalog:
        catalog.execute("update scrubs set state = 'running', ended_at = null")
    server.start()
    client = Client(server.url)

    wait_for(lambda: client.get(f"/v1/scrubs/{number}").json(), lambda it: it["state"] == "done")
    assert client.scrub()["state"] == "done"


def test_keeps_to_its_rate(launch):
    server = launch("--shard-bytes", "64KiB", "--scrub-rate", "1")
    client = Client(server.url)
    for n in range(8):
        client.append([f"{n}-{m}" for m in range(256)], rows_of(256, DIMENSION, n))
    rate = 200_000
    began = time.monotonic()
    number = client.start_scrub(rate=rate)

    progress = wait_for(
        lambda: client.get(f"/v1/scrubs/{number}").json(), lambda it: it["state"] == "done")

    seconds = time.monotonic() - began
    assert progress["total_bytes"] > 8 * 64 * 1024
    # Never faster; how much slower is the machine's affair.
    assert seconds >= 0.9 * progress["total_bytes"] / rate


def test_reads_everything_within_the_age_by_itself(launch):
    """The rate is far too low for an age of some seconds, so the age decides."""
    server = launch("--shard-bytes", SHARD, "--scrub-rate", "1", "--scrub-days", "0.00004")
    client = Client(server.url)
    seed(client, 3)
    first = wait_for(
        lambda: {one["shard"]: one["last_verified"] for one in client.integrity()["shards"]},
        lambda it: all(it.values()))
    again = wait_for(
        lambda: {one["shard"]: one["last_verified"] for one in client.integrity()["shards"]},
        lambda it: all(it[shard] > at for shard, at in first.items()))
    assert again.keys() == first.keys()
    assert client.integrity()["oldest_verified_age_seconds"] < 30


def test_health_warns_when_the_scrub_is_overdue(launch):
    """A hundredth of a second is an age that nothing can be read within."""
    server = launch("--scrub-days", "0.0000002")
    client = Client(server.url)
    client.append(["a"], rows_of(1))
    health = wait_for(
        lambda: client.get("/health").json(), lambda it: it["checks"]["scrub"]["status"] == "warn")
    assert health["status"] == "warn"
    assert client.get("/health").status_code == 200 and client.get("/readyz").status_code == 200
    assert server.terminate() == 0
    server.flags = []
    server.start()
    client = Client(server.url)
    client.scrub()
    assert client.get("/health").json()["status"] == "pass"


def test_integrity_says_what_there_is(launch):
    server = launch("--shard-bytes", SHARD)
    client = Client(server.url)
    seed(client, 2)
    client.append(["x"], rows_of(1, DIMENSION))
    client.scrub()

    integrity = client.integrity()

    assert (integrity["status"], integrity["catalog"]) == ("clean", "pass")
    assert (integrity["rows"], integrity["damaged_rows"]) == (2 * ROWS + 1, 0)
    assert integrity["shard_count"] == 3 and integrity["problems"] == []
    assert integrity["oldest_verified_age_seconds"] < 60
    assert [one["rows"] for one in integrity["shards"]] == [ROWS, ROWS, 1]
    assert [one["header_rows"] for one in integrity["shards"]] == [ROWS, ROWS, 1]
    assert [(one["first_sequence"], one["last_sequence"]) for one in integrity["shards"]] == [
        (1, 1), (2, 2), (3, 3)]
    assert integrity["shards"][0]["crc32c"] and integrity["shards"][2]["crc32c"] is None
    assert client.get("/integrity", params={"fail_on": "corrupt"}).status_code == 200


@pytest.mark.fault("D1")
@pytest.mark.parametrize("name", ["store.json", "collections/default/collection.json"])
def test_damage_of_a_file_that_says_what_the_store_is(launch, name, injections):
    server = launch()
    client = Client(server.url)
    client.append(["a"], rows_of(1))
    client.scrub()
    flip(server.store / name, 20)
    injections.add()

    problems = wait_for(lambda: client.integrity()["problems"], bool)

    assert len(problems) == 1 and name in problems[0]
    assert client.get("/integrity", params={"fail_on": "corrupt"}).status_code == 500
    assert client.states(["a"]) == {}
    flip(server.store / name, 20)
    wait_for(lambda: client.integrity()["problems"], lambda it: it == [])


def test_no_false_alarm_while_everything_happens_at_once(launch):
    """Four workers ingest and delete, shards seal and are compacted away under a scrub that never rests."""
    server = launch("--shard-bytes", SHARD, "--scrub-rate", "1TiB", "--scrub-days", "0.0000002")
    client = Client(server.url)
    client.append(["first"], rows_of(1, DIMENSION))

    def ingest(number):
        worker = Client(server.url)

        def work(turn):
            ids = [f"{number}-{turn % 30}-{row}" for row in range(20)]
            worker.append(ids, rows_of(20, DIMENSION, turn))
            if turn % 5 == 4:
                worker.delete(ids[:5])
        return work

    compacting, scrubbing = Client(server.url), Client(server.url)
    jobs = [ingest(number) for number in range(4)]
    jobs += [lambda _: compacting.compact(), lambda _: scrubbing.scrub()]
    alarms = []
    with Jobs(*jobs) as running:
        deadline = time.monotonic() + 12
        while (time.monotonic() < deadline or min(running.turns) < 2) and not alarms and not running.problems:
            integrity = client.integrity()
            alarms += [one for one in integrity["shards"] if one.get("findings") or one.get("damaged")
                       or one["state"] == "lost"]
            alarms += integrity["problems"]
    assert not alarms, "\n".join([str(alarms), server.log_tail()])
    assert not (server.store / "quarantine").exists()
    assert server.terminate() == 0
    found = verify(server.store)
    assert found.returncode == 0, found.stdout
    assert "error" not in server.log_tail(10_000)


def test_no_false_alarm_in_a_million_rows(launch):
    """Short rows, so that ids and records are most of it; some are overwritten, deleted, compacted away."""
    batch_rows, count = 1 << 16, 1 << 20
    server = launch("--shard-bytes", "8MiB", "--compact-percent", "0")
    client = Client(server.url)
    for first in range(0, count, batch_rows):
        client.append(np.arange(first, first + batch_rows), rows_of(batch_rows, 8, first))
    client.append(np.arange(0, count, 64), rows_of(count // 64, 8, 1))
    client.delete(range(1, 1 << 17, 2))
    client.compact(dead_percent=20)

    done = client.scrub()

    assert done["damaged_rows"] == 0, done
    found = client.integrity()
    assert found["status"] == "clean" and found["damaged_rows"] == 0, found
    assert len(client.ids()) == count - (1 << 16)
    assert not (server.store / "quarantine").exists()
    assert server.terminate() == 0
    checked = verify(server.store)
    assert checked.returncode == 0, checked.stdout + checked.stderr
