# Promise: damage takes exactly the damaged rows out of service, keeps them as they were found, and stops nothing else.
import json
import os
import shutil

import numpy as np
import pytest

from client import Client, npz, rows_of, same_bits, shard_file, wait_for
from damage import HEADER_BYTES, contents, damage_row, flip, record_offsets, shard_folder, swap
from server_process import command, verify

DIMENSION = 64
ROWS = 64
SHARD = "16KiB"  # 64 rows
BATCH = 16


def seed(client, shard_count=4, values=0):
    """Batch n holds the ids `n-ROW`, 16 rows each, four batches to a shard; receipts by n."""
    receipts = []
    for n in range(shard_count * ROWS // BATCH):
        rows = rows_of(BATCH, DIMENSION, n + values)
        receipts.append(client.append([f"{n}-{row}" for row in range(BATCH)], rows, f"b{n}"))
    wait_for(lambda: [one["state"] for one in client.integrity()["shards"]],
             lambda it: it[:-1] == ["sealed"] * (shard_count - 1))
    return receipts


def ids_of(*batches):
    return [f"{n}-{row}" for n in batches for row in range(BATCH)]


def notes(store):
    return [json.loads(path.read_text()) for path in sorted(store.glob("quarantine/*/note.json"))]


def assert_served(client, batches):
    for n in batches:
        rows = rows_of(BATCH, DIMENSION, n)
        assert same_bits(client.row(f"{n}-5"), rows[5])
    assert client.states(ids_of(*batches)) == {}


@pytest.fixture
def stopped(launch):
    """A store with four shards, which was scrubbed and stopped."""
    server = launch("--shard-bytes", SHARD)
    client = Client(server.url)
    server.receipts = seed(client)
    client.scrub()
    assert server.terminate() == 0
    return server


def started(server):
    server.start()
    return Client(server.url)


@pytest.mark.fault("D1")
def test_exactly_the_damaged_rows_and_their_original_is_kept(stopped, injections):
    for n, row in ((5, 3), (6, 0)):
        damage_row(stopped.store, stopped.receipts[n], row, DIMENSION)
        injections.add()
    damaged = contents(shard_folder(stopped.store, 1))
    client = started(stopped)

    found = client.scrub()

    assert (found["damaged_rows"], found["damaged_shards"]) == (2 * BATCH, 1)
    assert client.states(ids_of(*range(16))) == dict.fromkeys(ids_of(5, 6), "quarantined")
    assert_served(client, [0, 4, 7, 8, 15])
    note, = notes(stopped.store)
    assert [(one["first_row"], one["rows"], one["ids"]) for one in note["damage"]] == [
        (16, 16, ids_of(5)), (32, 16, ids_of(6))]
    assert (note["collection"], note["shard"], note["found_by"]) == ("default", 1, "scrub")
    assert note["found_at"].endswith("Z") and all("CRC32C" in one["reason"] for one in note["damage"])
    folder, = (stopped.store / "quarantine").iterdir()
    assert sorted(note["kept"]) == ["commits.log", "embeddings.npy", "ids.index"]
    kept = contents(folder)
    del kept["note.json"]
    assert kept == damaged == contents(shard_folder(stopped.store, 1))

    client.scrub()
    assert len(notes(stopped.store)) == 1, "the same damage is noted once"
    for _ in range(2):
        stopped.restart()
        client = Client(stopped.url)
        # Known from the note, before anything was read.
        assert client.states(ids_of(*range(16))) == dict.fromkeys(ids_of(5, 6), "quarantined")
        response = client.get(client.row_path("5-7"))
        assert (response.status_code, response.json()["code"]) == (500, "row-damaged")
        health = client.get("/health").json()
        assert health["status"] == "warn" and health["checks"]["rows"]["status"] == "fail"
    client.scrub()
    assert len(notes(stopped.store)) == 1


def test_is_repaired_by_sending_the_ids_again_and_compacting(stopped):
    damage_row(stopped.store, stopped.receipts[5], 3, DIMENSION)
    client = started(stopped)
    client.scrub()
    missing = list(client.states(ids_of(*range(16))))

    client.append(missing, rows_of(BATCH, DIMENSION, 5), "again")

    assert_served(client, range(16))
    stopped.restart()
    client = Client(stopped.url)
    assert_served(client, range(16))
    progress = client.compact()
    assert progress["failure"] is None and progress["replaced_shards"] == 1
    assert client.integrity()["damaged_rows"] == 0
    client.scrub()
    assert client.integrity()["status"] == "clean"
    assert_served(client, range(16))
    assert client.append(missing, rows_of(BATCH, DIMENSION, 5), "b5") == stopped.receipts[5]
    assert stopped.terminate() == 0
    assert verify(stopped.store).returncode == 0
    client = started(stopped)
    assert client.get("/health").json()["status"] == "pass"
    assert_served(client, range(16))
    assert len(notes(stopped.store)) == 1, "what was kept stays"


def test_is_repaired_by_putting_the_file_back(stopped):
    backup = shard_file(stopped.store, 1).read_bytes()
    damage_row(stopped.store, stopped.receipts[5], 3, DIMENSION)
    client = started(stopped)
    client.scrub()
    assert len(client.states(ids_of(*range(16)))) == BATCH
    assert stopped.terminate() == 0

    shard_file(stopped.store, 1).write_bytes(backup)

    client = started(stopped)
    assert_served(client, range(16))
    client.scrub()
    assert client.integrity()["status"] == "clean"
    assert client.get("/health").json()["status"] == "pass"


@pytest.mark.fault("D5", "D6")
def test_damage_at_every_block_of_the_rows_then_restart_cuts_nothing(launch, injections):
    """The open shard, whose last batch is damaged like any other."""
    server = launch()
    client = Client(server.url)
    for n in range(6):
        client.append(ids_of(n), rows_of(BATCH, DIMENSION, n), f"b{n}")
    server.kill()
    original = shard_file(server.store).read_bytes()
    for n in range(6):
        content = bytearray(original)
        content[HEADER_BYTES + (n * BATCH + 3) * DIMENSION * 4] ^= 1
        shard_file(server.store).write_bytes(content)
        injections.add()

        client = started(server)
        assert client.row_count() == 6 * BATCH
        client.scrub()
        assert client.states(ids_of(*range(6))) == dict.fromkeys(ids_of(n), "quarantined")
        server.kill()
        shutil.rmtree(server.store / "quarantine")
        assert shard_file(server.store).stat().st_size >= HEADER_BYTES + 6 * BATCH * DIMENSION * 4


# MARK: - What stands where a shard was


def missing_folder(store, other):
    shutil.rmtree(shard_folder(store, 1))


def swapped(store, other):
    swap(shard_folder(store, 1), shard_folder(store, 2))


def foreign(store, other):
    shutil.rmtree(shard_folder(store, 1))
    shutil.copytree(shard_folder(other, 1), shard_folder(store, 1))


def replaced_by(kind, name):
    def damage(store, other):
        path = shard_folder(store, 1) / name
        aside = path.with_name("aside")
        path.rename(aside)
        match kind:
            case "symlink": path.symlink_to(aside)
            case "FIFO": os.mkfifo(path)
            case "folder": path.mkdir()
            case "empty": path.touch()
            case "zeros": path.write_bytes(bytes(aside.stat().st_size))
            case "cut": path.write_bytes(aside.read_bytes()[:aside.stat().st_size // 2])
            case "nothing": pass
            case "foreign": shutil.copyfile(shard_folder(other, 1) / name, path)
            case "endless":
                shutil.copyfile(aside, path)
                os.truncate(path, 1 << 40)
    damage.__name__ = f"{kind}_{name}"
    return damage


def folder_is(kind):
    def damage(store, other):
        folder = shard_folder(store, 1)
        if kind == "symlink":
            folder.rename(store.parent / "moved")
            folder.symlink_to(store.parent / "moved")
        else:
            shutil.rmtree(folder)
            folder.write_text("no folder")
    damage.__name__ = f"folder_is_{kind}"
    return damage


KINDS = ["symlink", "FIFO", "folder", "empty", "zeros", "cut", "nothing", "foreign"]
# The batches that are lost; of a file that is cut to its half, those in the other half.
LOST = {"swapped": range(4, 12), "cut_embeddings.npy": range(5, 8), "cut_commits.log": range(6, 8)}
WHOLE_SHARDS = [missing_folder, swapped, foreign, folder_is("file"), replaced_by("endless", "commits.log")] + [
    replaced_by(kind, name) for name in ("embeddings.npy", "commits.log") for kind in KINDS]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Two stores of the same shape, made once."""
    from server_process import ServerProcess
    stores = []
    for values, name in enumerate(("one", "two")):
        server = ServerProcess(
            tmp_path_factory.mktemp(name) / "store", "--shard-bytes", SHARD).start()
        client = Client(server.url)
        seed(client, values=1000 * values)
        client.scrub()
        assert server.terminate() == 0
        stores.append(server.store)
    return stores


@pytest.mark.fault("E2", "E3", "D2", "D7")
@pytest.mark.parametrize("damage", WHOLE_SHARDS, ids=lambda damage: damage.__name__)
def test_a_lost_shard_is_named_and_the_others_serve(template, launch, tmp_path, damage, injections):
    store = tmp_path / "store"
    shutil.copytree(template[0], store)
    damage(store, template[1])
    injections.add()

    server = launch("--shard-bytes", SHARD, store=store)
    client = Client(server.url)
    client.scrub()

    lost = LOST.get(damage.__name__, range(4, 8))
    states = client.states(ids_of(*range(16)))
    assert states.keys() == set(ids_of(*lost)), "all of its ids, and only they, count as missing"
    assert set(states.values()) <= {"missing", "quarantined"}
    assert_served(client, set(range(16)) - set(lost))
    integrity = client.integrity()
    assert integrity["status"] == "damaged"
    assert client.get("/integrity", params={"fail_on": "corrupt"}).status_code == 500
    named = {one["shard"] for one in integrity["shards"]
             if one["state"] == "lost" or one["damaged"] or one["findings"]}
    assert named == ({1, 2} if damage is swapped else {1})
    health = client.get("/health")
    assert (health.status_code, health.json()["status"]) == (200, "warn")
    assert client.get(client.row_path(f"{lost[-1]}-1")).status_code == 500

    # What is sent again is served again, also after the next start.
    for n in lost:
        client.append(ids_of(n), rows_of(BATCH, DIMENSION, n), f"again{n}")
    server.kill()
    server.start()
    client = Client(server.url)
    assert_served(client, range(16))
    assert sorted(client.ids()) == sorted(ids_of(*range(16)))
    exported = client.exported()
    assert len(exported) == 256 and same_bits(exported["5-3"], rows_of(BATCH, DIMENSION, 5)[3])


@pytest.mark.fault("E1")
def test_a_file_that_is_cut_while_it_is_mapped_stops_nothing(launch, injections):
    server = launch("--shard-bytes", SHARD)
    client = Client(server.url)
    seed(client, 3)
    client.append(ids_of(100), rows_of(BATCH, DIMENSION, 100))
    for shard, name in ((1, "embeddings.npy"), (2, "commits.log"), (3, "embeddings.npy")):
        os.truncate(shard_folder(server.store, shard) / name, 0)
        injections.add()

    for one in ids_of(*range(12), 100):
        assert client.get(client.row_path(one)).status_code in (200, 404, 500)
    assert_served(client, range(4))
    assert client.get(client.row_path("5-1")).json()["code"] == "row-damaged"
    client.scrub()

    assert client.states(ids_of(*range(12), 100)).keys() == set(ids_of(*range(4, 12), 100))
    assert client.get("/health").json()["status"] == "warn"
    client.append(ids_of(4, 100), rows_of(2 * BATCH, DIMENSION, 4))
    server.kill()
    server.start()
    client = Client(server.url)
    assert_served(client, range(5))
    states = client.states(ids_of(*range(5, 12))).keys()
    assert states >= set(ids_of(*range(5, 8)))
    # What the index alone still knows is named, or served as it was.
    assert_served(client, [n for n in range(8, 12) if states.isdisjoint(ids_of(n))])
    assert states <= set(ids_of(*range(5, 12)))


def test_a_shard_that_comes_back_is_served_again(template, launch, tmp_path):
    store = tmp_path / "store"
    shutil.copytree(template[0], store)
    shard_folder(store, 1).rename(tmp_path / "elsewhere")
    server = launch("--shard-bytes", SHARD, store=store)
    assert len(Client(server.url).states(ids_of(*range(16)))) == ROWS
    assert server.terminate() == 0

    (tmp_path / "elsewhere").rename(shard_folder(store, 1))

    server.start()
    assert_served(Client(server.url), range(16))


@pytest.mark.fault("E2")
@pytest.mark.parametrize("gone", ["folder", "collection.json"])
def test_a_lost_collection_is_named_until_it_is_back(launch, tmp_path, injections, gone):
    server = launch()
    Client(server.url).append(["a"], rows_of(1))
    other = Client(server.url, collection="other")
    other.create(8)
    other.append(["b", "c"], rows_of(2))
    assert server.terminate() == 0
    folder = server.store / "collections/other"
    path = folder if gone == "folder" else folder / gone
    path.rename(tmp_path / "elsewhere")
    injections.add()

    def assert_named():
        client = Client(server.url)
        integrity = client.integrity()
        assert integrity["status"] == "damaged" and len(integrity["problems"]) == 1
        words = "2 rows is in catalog.sqlite and not on disk" if gone == "folder" else "other cannot be opened"
        assert words in integrity["problems"][0]
        assert client.get("/integrity", params={"fail_on": "corrupt"}).status_code == 500
        assert client.get("/health").json()["status"] == "warn"
        assert client.states(["a"]) == {}

    server.start()
    assert_named()
    if gone != "folder":
        refused = Client(server.url, collection="other").request(
            "PUT", "/v1/collections/other", json={"dimension": 8, "dtype": "float32"})
        assert refused.status_code == 409 and "collection.json" in refused.json()["detail"]
    assert server.terminate() == 0
    # What is known of it outlives a rebuild.
    rebuilt = command("rebuild", "--store", server.store)
    assert rebuilt.returncode == 1 and ("is lost" if gone == "folder" else "collection other") in rebuilt.stdout
    assert verify(server.store).returncode == 1
    server.start()
    assert_named()
    assert server.terminate() == 0

    (tmp_path / "elsewhere").rename(path)

    server.start()
    assert Client(server.url).integrity()["status"] == "clean"
    assert Client(server.url, collection="other").states(["b", "c"]) == {}


@pytest.mark.fault("E2")
def test_nothing_is_acknowledged_into_a_shard_that_was_removed(launch, injections):
    server = launch()
    client = Client(server.url)
    client.append(["a"], rows_of(1))
    shutil.rmtree(shard_folder(server.store))
    injections.add()

    refused = client.post(npz(ids=np.array(["b"]), embeddings=rows_of(1)))
    assert refused.status_code == 500 and refused.json()["retryable"]

    client.append(["b"], rows_of(1))
    client.append(["c"], rows_of(1))
    client.scrub()
    assert client.states(["a", "b", "c"]).keys() == {"a"}
    assert server.terminate() == 0
    server.start()
    assert Client(server.url).states(["a", "b", "c"]).keys() == {"a"}


def test_damaged_records_name_what_the_catalog_knows(stopped):
    log = shard_folder(stopped.store, 1) / "commits.log"
    flip(log, record_offsets(log)[1] + 170)
    client = started(stopped)

    client.scrub()

    assert client.states(ids_of(*range(16))).keys() == set(ids_of(5))
    shard = next(one for one in client.integrity()["shards"] if one["shard"] == 1)
    assert [(one["first_row"], one["rows"]) for one in shard["damaged"]] == [(16, 16)]
    assert_served(client, [4, 6, 7])
    stopped.restart()
    client = Client(stopped.url)
    assert client.states(ids_of(*range(16))).keys() == set(ids_of(5))
    shard = next(one for one in client.integrity()["shards"] if one["shard"] == 1)
    assert sorted(one for damaged in shard["damaged"] for one in damaged["ids"]) == sorted(ids_of(5))


def test_a_note_that_is_garbage_stops_nothing(stopped):
    for name, content in (("a", b""), ("b", b"{"), ("c", b'{"format":9}'), ("d", b"\xff" * 5000)):
        folder = stopped.store / "quarantine" / name
        folder.mkdir(parents=True)
        (folder / "note.json").write_bytes(content)
    (stopped.store / "quarantine/file").write_text("x")
    (stopped.store / "quarantine/e/note.json").mkdir(parents=True)
    before = contents(stopped.store / "quarantine")

    client = started(stopped)

    assert_served(client, range(16))
    client.scrub()
    assert client.integrity()["status"] == "clean"
    assert contents(stopped.store / "quarantine") == before
