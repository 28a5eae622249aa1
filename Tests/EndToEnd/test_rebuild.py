# Promise: what follows from something else is made again, equal to what it was; what is replaced is kept.
import json
import os
import shutil
import sqlite3
import subprocess

import pytest

from client import shard_file
from damage import contents, damage_row, flip, record_offsets, shard_folder
from server_process import command, started, verify
from test_compaction import BATCH, DIMENSION, SHARD, Content, dump, names


def rebuild(store, *flags):
    found = command("rebuild", "--store", store, "--json", *flags)
    return found.returncode, json.loads(found.stdout) if found.stdout else {}, found.stderr


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A store with updates, deletions and compacted shards among others, stopped; and what is in it."""
    from server_process import ServerProcess
    server = ServerProcess(
        tmp_path_factory.mktemp("rebuild") / "store", "--shard-bytes", SHARD,
        "--compact-percent", "0").start()
    content = Content(server)
    content.fill(3)
    assert content.client.compact()["written_shards"] >= 1
    content.fill(3, prefix="more.")
    content.client.scrub()
    assert server.terminate() == 0
    assert verify(server.store).returncode == 0
    return content


@pytest.fixture
def content(template, launch, tmp_path):
    """A copy of it, not started."""
    store = tmp_path / "store"
    shutil.copytree(template.server.store, store)
    server = launch(*template.server.flags, store=store)
    assert server.terminate() == 0
    copy = Content(server)
    copy.bodies, copy.receipts = dict(template.bodies), dict(template.receipts)
    copy.expected = dict(template.expected)
    copy.catalog = dump(store)
    copy.kept = lambda: [
        path for path in store.glob("catalog.sqlite.*") if path.name[-4:] not in ("-wal", "-shm")]
    return copy


def sealed_shards(store):
    return [int(name) for name in names(store)
            if (shard_folder(store, int(name)) / "ids.index").exists()]


# MARK: - The catalog


def deleted(path):
    path.unlink()


def empty(path):
    path.write_bytes(b"")


def garbage(path):
    path.write_bytes(os.urandom(50_000))


def zeros(path):
    path.write_bytes(bytes(path.stat().st_size))


def text(path):
    path.write_text("not a database")


def newer_version(path):
    with sqlite3.connect(path) as catalog:
        catalog.execute("pragma user_version = 99")


def older_version(path):
    with sqlite3.connect(path) as catalog:
        catalog.execute("pragma user_version = 1")


def other_tables(path):
    path.unlink()
    with sqlite3.connect(path) as catalog:
        catalog.execute("create table batches (x)")
        catalog.execute("create table images (path text)")


def half(path):
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def pages_are_garbage(path):
    """Every page but the first, which says what the tables are."""
    content = path.read_bytes()
    path.write_bytes(content[:4096] + os.urandom(len(content) - 4096))


def one_page_is_garbage(path):
    """That of the index by which batch ids are found."""
    with sqlite3.connect(path) as catalog:
        page, = catalog.execute(
            "select rootpage from sqlite_master where name = 'batches_by_id'").fetchone()
    content = bytearray(path.read_bytes())
    content[(page - 1) * 4096:page * 4096] = os.urandom(4096)
    path.write_bytes(content)


def one_bit_of_an_index(path):
    """A batch id that is not found would be stored again."""
    with sqlite3.connect(path) as catalog:
        page, = catalog.execute(
            "select rootpage from sqlite_master where name = 'batches_by_id'").fetchone()
    content = path.read_bytes()
    place = content.index(b"more.b", (page - 1) * 4096) + 5
    assert place < page * 4096
    path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1:])


def forgotten_batches(path):
    with sqlite3.connect(path) as catalog:
        catalog.execute("delete from batches where sequence % 3 = 0")


def forgotten_shards(path):
    with sqlite3.connect(path) as catalog:
        catalog.execute("delete from batches")
        catalog.execute("delete from shards")


def folder(path):
    path.unlink()
    path.mkdir()


CATALOGS = [deleted, empty, garbage, zeros, text, newer_version, older_version, other_tables, half,
            pages_are_garbage, one_page_is_garbage, one_bit_of_an_index, forgotten_shards,
            folder]


@pytest.mark.fault("E4")
@pytest.mark.parametrize("damage", CATALOGS, ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("how", ["start", "command"])
def test_the_catalog_is_made_again_equal_row_for_row(content, damage, how, injections):
    path = content.server.store / "catalog.sqlite"
    damage(path)
    injections.add()
    before = path.read_bytes() if path.is_file() else None

    if how == "command":
        code, report, error = rebuild(content.server.store)
        assert (code, report["failures"]) == (0, []), error
        assert dump(content.server.store) == content.catalog
        if before is not None:
            assert open(report["kept_catalog"], "rb").read() == before, "the bad file is kept aside"
    content.server.start()

    content.assert_right()
    assert content.client.integrity()["catalog"] == "pass"
    if how == "start" and damage in (garbage, text):
        kept, = content.kept()
        assert kept.read_bytes() == before, "the bad file is kept aside"
    if how == "start" and damage in (newer_version, older_version):
        kept, = content.kept()
        with sqlite3.connect(kept) as catalog:
            assert catalog.execute("pragma user_version").fetchone()[0] in (99, 1)
    assert content.server.terminate() == 0
    assert dump(content.server.store) == content.catalog
    assert verify(content.server.store).returncode == 0


def test_numbers_of_the_catalog_that_no_batch_confirms_make_no_row_lost(content):
    content.server.start()
    rows = content.client.row_count()
    assert content.server.terminate() == 0
    with sqlite3.connect(content.server.store / "catalog.sqlite") as catalog:
        catalog.execute("update shards set row_count = row_count + 500")
        catalog.execute(
            "insert into shards select collection, 900, log_offset, row_count, first_record_crc32c, '' from shards limit 1")
    catalog.close()

    content.server.start()

    integrity = content.client.integrity()
    assert (integrity["rows"], integrity["damaged_rows"]) == (rows, 0)
    assert all(one["state"] != "lost" for one in integrity["shards"])
    content.assert_right()


@pytest.mark.fault("E5")
def test_yesterdays_catalog_is_rolled_forward(content, injections):
    path = content.server.store / "catalog.sqlite"
    old = path.read_bytes()
    content.server.start()
    content.fill(2, prefix="today.")
    assert content.client.compact()["failure"] is None
    content.append(["last"], 1, "last")
    assert content.server.terminate() == 0
    today = dump(content.server.store)
    path.write_bytes(old)
    injections.add(2)

    content.server.start()

    content.assert_right()
    assert content.server.terminate() == 0
    assert dump(content.server.store) == today
    path.write_bytes(old)
    assert rebuild(content.server.store)[0] == 0
    assert dump(content.server.store) == today


def test_a_catalog_that_differs_is_found_by_the_scrub_and_made_right(content):
    forgotten_batches(content.server.store / "catalog.sqlite")
    content.server.start()

    content.client.scrub()

    content.assert_right()
    assert content.server.terminate() == 0
    assert dump(content.server.store) == content.catalog


def test_a_catalog_that_is_damaged_meanwhile_is_found_and_made_again_by_the_next_start(content):
    content.server.start()
    one_page_is_garbage(content.server.store / "catalog.sqlite")

    content.client.scrub()

    integrity = content.client.integrity()
    assert (integrity["status"], integrity["catalog"]) == ("damaged", "damaged")
    assert content.client.get("/health").json()["status"] == "warn"
    content.server.kill()
    content.server.start()
    content.assert_right()
    assert content.client.integrity()["status"] == "clean"
    assert content.server.terminate() == 0
    assert dump(content.server.store) == content.catalog


# MARK: - ids.index, header


@pytest.mark.parametrize("how", ["start", "command"])
def test_indexes_are_made_again_as_they_were(content, how):
    store = content.server.store
    paths = [shard_folder(store, number) / "ids.index" for number in sealed_shards(store)]
    before = [path.read_bytes() for path in paths]
    damages = [
        lambda path: path.unlink(), lambda path: path.write_bytes(b""), lambda path: flip(path, 90),
        lambda path: path.write_bytes(paths[0].read_bytes()), lambda path: flip(path, 33)]
    for path, damage in zip(paths[1:], damages):
        damage(path)

    if how == "command":
        assert rebuild(store)[0] == 0
        assert [path.read_bytes() for path in paths] == before
    content.server.start()

    content.assert_right()
    assert [path.read_bytes() for path in paths] == before
    assert content.server.terminate() == 0
    assert verify(store).returncode == 0


@pytest.mark.parametrize("damage", [
    lambda header: header[:60] + b"9" + header[61:],
    lambda header: bytes(128),
    lambda header: header.replace(b"(", b"(1")[:128],
    lambda header: header[::-1],
])
def test_the_header_is_made_again_from_the_log(content, damage):
    store = content.server.store
    number = sealed_shards(store)[1]
    path = shard_file(store, number)
    before = path.read_bytes()
    path.write_bytes(damage(before[:128]) + before[128:])
    bad, inode = path.read_bytes(), path.stat().st_ino

    code, report, _ = rebuild(store)

    assert code == 0 and path.read_bytes() == before
    assert len(report["repairs"]) == 1 and f"{number:06d}" in report["repairs"][0]
    assert path.stat().st_ino != inode, "a new file took its place"
    kept, = store.glob("quarantine/*/embeddings.npy")
    assert kept.read_bytes() == bad
    assert json.loads((kept.parent / "note.json").read_text())["found_by"] == "rebuild"
    content.server.start()
    content.assert_right()
    assert content.client.integrity()["status"] == "clean"


# MARK: - A lost log


def without_checksums(catalog):
    batches, shards = catalog
    return batches, [row[:4] + row[5:] for row in shards]


@pytest.mark.parametrize("loss", ["deleted", "empty", "zeros", "first record"])
def test_a_lost_log_is_made_again_from_the_catalog(content, loss):
    store = content.server.store
    for number in sealed_shards(store):
        log = shard_folder(store, number) / "commits.log"
        before = contents(shard_folder(store, number))
        byte_count = log.stat().st_size
        match loss:
            case "deleted": log.unlink()
            case "empty": log.write_bytes(b"")
            case "zeros": log.write_bytes(bytes(log.stat().st_size))
            case "first record": flip(log, 100)

        code, report, error = rebuild(store)

        assert (code, report["failures"]) == (0, []), error
        assert any("commits.log" in one for one in report["repairs"])
        # What was durable when a record was written is nowhere else, so that its checksum is another one.
        assert contents(shard_folder(store, number)) | {"commits.log": None} \
            == before | {"commits.log": None}
        assert log.stat().st_size == byte_count
    assert without_checksums(dump(store)) == without_checksums(content.catalog)
    content.server.start()
    content.assert_right()
    assert content.client.scrub()["damaged_shards"] == 0
    assert content.server.terminate() == 0
    assert verify(store).returncode == 0


def test_damage_in_the_middle_of_a_log_is_not_thrown_away(content):
    """The first record is right: what the log still says is worth more than the catalog's word."""
    store = content.server.store
    number = sealed_shards(store)[-1]
    log = shard_folder(store, number) / "commits.log"
    flip(log, record_offsets(log)[2] + 165)
    bad = log.read_bytes()

    code, report, _ = rebuild(store)

    assert code == 1
    failure, = report["failures"]
    assert f"{number:06d}" in failure and f"commits.log is damaged at byte {record_offsets(log)[2]}" in failure
    assert log.read_bytes() == bad
    content.server.start()
    content.client.scrub()
    lost = content.client.states(one for one, row in content.expected.items() if row is not None)
    assert 0 < len(lost) <= BATCH


def test_a_log_that_nobody_knows_is_a_failure_that_is_named(content):
    store = content.server.store
    number = sealed_shards(store)[1]
    (shard_folder(store, number) / "commits.log").unlink()
    (store / "catalog.sqlite").unlink()
    rows = shard_file(store, number).read_bytes()

    code, report, _ = rebuild(store)

    assert code == 1 and any(f"{number:06d}" in one for one in report["failures"])
    assert shard_file(store, number).read_bytes() == rows
    content.server.start()
    assert content.client.integrity()["status"] == "damaged"


def test_rows_that_do_not_match_the_catalog_stay_damaged(content):
    store = content.server.store
    receipt = next(one for one in content.receipts.values() if one["shard"] == names_last(store))
    number = receipt["shard"]
    damage_row(store, receipt, 2, DIMENSION)
    (shard_folder(store, number) / "commits.log").unlink()

    code, report, _ = rebuild(store)

    assert code == 1 and any("checksum" in one for one in report["failures"])
    content.server.start()
    content.client.scrub()
    states = content.client.states(
        one for one, row in content.expected.items() if row is not None)
    assert 0 < len(states) <= BATCH and set(states.values()) == {"quarantined"}


def names_last(store):
    return sealed_shards(store)[-1]


@pytest.mark.fault("E6")
def test_a_lost_shard_stays_known_by_its_ids(content, injections):
    store = content.server.store
    number = sealed_shards(store)[-1]
    content.server.start()
    all_ids = [one for one, row in content.expected.items() if row is not None]
    assert content.server.terminate() == 0
    shutil.rmtree(shard_folder(store, number))
    injections.add()

    code, report, _ = rebuild(store)

    assert code == 1 and any("lost" in one or "missing" in one for one in report["failures"])
    assert rebuild(store)[0] == 1, "it is not forgotten by the next one"
    content.server.start()
    states = content.client.states(all_ids)
    assert states and set(states.values()) == {"missing"}
    shard, = [one for one in content.client.integrity()["shards"] if one["state"] == "lost"]
    assert shard["shard"] == number and shard["ids_in_catalog"] > 0


# MARK: - Exit codes


def test_exit_codes_and_what_is_said(content, tmp_path):
    store = content.server.store
    found = command("rebuild", "--store", store)
    assert (found.returncode, found.stderr) == (0, "")
    assert "catalog: " in found.stdout and "the old catalog is " in found.stdout
    nothing = command("rebuild", "--store", tmp_path / "nothing")
    assert nothing.returncode == 2 and "nothing" in nothing.stderr
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("x")
    other = command("rebuild", "--store", tmp_path / "other")
    assert other.returncode == 2 and (tmp_path / "other/file").exists()
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["file"]
    content.server.start()
    used = command("rebuild", "--store", store)
    assert used.returncode == 3 and str(content.server.pid) in used.stderr
    assert command("rebuild").returncode == 64
    content.assert_right()


@pytest.mark.fault("A1")
def test_kill_9_during_a_rebuild_is_harmless(content, injections):
    store = content.server.store
    header = shard_file(store, sealed_shards(store)[1])
    good = header.read_bytes()
    header.write_bytes(bytes(128) + good[128:])
    (shard_folder(store, sealed_shards(store)[-1]) / "commits.log").write_bytes(b"")
    for milliseconds in range(5, 60, 6):
        with started("rebuild", "--store", store, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                process.wait(milliseconds / 1000)
            except subprocess.TimeoutExpired:
                process.kill()
                injections.add(process.wait() == -9)
    code, report, error = rebuild(store)
    assert code == 0, (report, error)
    assert header.read_bytes() == good
    content.server.start()
    content.assert_right()
