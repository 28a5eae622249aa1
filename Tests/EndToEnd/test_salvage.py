# Promise: `ingot salvage` brings back exactly the whole rows of a broken .npy, names what is lost, and changes no input.
import hashlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from client import Client, load, rows_in_file, rows_of, same_bits, shard_files, wait_for
from incident import Incident, header, path_of
from interruptions import interrupt
from server_process import BINARY, clean_environment, command, started, verify

OK, LOST, COULD_NOT_RUN, IN_USE, UNUSABLE, CONFLICT, USAGE = 0, 1, 2, 3, 4, 5, 64
ORDERED = "select path, embedding_index from images order by embedding_index"
MIB = 1 << 20


def salvage(*arguments, **options):
    return command("salvage", *arguments, **options)


def report_of(*arguments, code=OK):
    found = salvage(*arguments, "--json")
    assert found.returncode == code, found.stderr
    return json.loads(found.stdout)


def state(path):
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns


def lines(path):
    return path.read_text().splitlines()


def all_rows(store, collection="clip"):
    return np.concatenate([np.load(path) for path in shard_files(store, collection)])


def into(incident, store, *arguments):
    return [
        incident.file, "--into-store", store, "--collection", "clip",
        "--database", incident.database, "--query", ORDERED, *arguments]


@pytest.fixture
def incident(tmp_path):
    return Incident(tmp_path / "accident")


@pytest.fixture
def broken(tmp_path):
    """Writes a file of 40 rows of 8 numbers, or of what a test gives."""
    def write(rows=rows_of(40), head=None, name="broken.npy"):
        path = tmp_path / name
        path.write_bytes((header(*rows.shape) if head is None else head) + rows.tobytes())
        return path
    return write


# What comes back

@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize("dtype", ["<f4", "<f2"])
def test_exactly_the_whole_rows_come_back(tmp_path, extended, dtype):
    incident = Incident(tmp_path / "accident", dtype=dtype, extended=extended)
    good, lost = tmp_path / "good.npy", tmp_path / "lost.txt"
    before = [state(path) for path in (incident.file, incident.database)]

    report = report_of(
        incident.file, "--out", good, "--database", incident.database, "--query", ORDERED,
        "--lost", lost)

    assert same_bits(np.load(good), incident.truth)
    assert lines(lost) == incident.lost_ids
    assert (report["claimed_rows"], report["whole_rows"], report["torn_rows"]) == (1000, 300, 1)
    assert (report["zero_tail_rows"], report["absent_rows"]) == ((699, 0) if extended else (0, 699))
    assert (report["recovered_rows"], report["lost_rows"], report["lost_ids"]) == (300, 700, 700)
    assert [state(path) for path in (incident.file, incident.database)] == before
    assert sorted(os.listdir(incident.folder)) == ["embeddings.npy", "images.db"]


def test_out_is_byte_for_byte_what_numpy_saves(tmp_path, incident):
    good, saved = tmp_path / "good.npy", tmp_path / "saved.npy"
    report_of(incident.file, "--out", good)
    np.save(saved, incident.truth)
    assert good.read_bytes() == saved.read_bytes()


def test_report_alone_writes_nothing_and_exits_1_only_when_rows_are_lost(tmp_path, incident, broken):
    assert report_of(incident.file, code=LOST)["lost_rows"] == 700
    assert report_of(broken(), code=OK)["lost_rows"] == 0
    assert sorted(os.listdir(tmp_path)) == ["accident", "broken.npy"]


@pytest.mark.parametrize("batch_rows", [1, 7, 4096])
def test_lost_rows_inside_are_named_and_kept_ids_follow_the_rows(tmp_path, broken, batch_rows):
    rows = rows_of(40)
    rows[3, 2], rows[17, 7], rows[18, 0] = np.nan, np.inf, -np.inf
    rows[25] = 0
    bad = [3, 17, 18, 25]
    ids, good, kept, lost = (tmp_path / name for name in ("ids", "good.npy", "kept", "lost"))
    ids.write_text("".join(f"é{row}\r\n" for row in range(40)))

    report = report_of(
        broken(rows), "--out", good, "--ids", ids, "--kept", kept, "--lost", lost,
        "--batch-rows", batch_rows)

    good_rows = [row for row in range(40) if row not in bad]
    assert same_bits(np.load(good), rows[good_rows])
    assert lines(kept) == [f"é{row}" for row in good_rows]
    assert lines(lost) == [f"é{row}" for row in bad]
    assert (report["non_finite_rows"], report["zero_rows"]) == (3, 1)


def test_zeros_are_rows_when_asked(tmp_path, broken):
    rows = rows_of(40)
    rows[10], rows[30:] = 0, 0
    good = tmp_path / "good.npy"
    report = report_of(broken(rows), code=LOST)
    assert (report["zero_rows"], report["zero_tail_rows"], report["lost_rows"]) == (1, 10, 11)

    report = report_of(broken(rows), "--out", good, "--keep-zeros")
    assert report["lost_rows"] == 0 and same_bits(np.load(good), rows)


# Headers

@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_every_version_of_the_header_is_read(tmp_path, broken, version):
    good = tmp_path / "good.npy"
    report = report_of(broken(head=header(50, 8, version=version)), "--out", good)
    assert (report["header"], report["absent_rows"]) == ("whole", 10)
    assert same_bits(np.load(good), rows_of(40))


@pytest.mark.parametrize("damage, flags", [
    (lambda head: b"\0" * len(head), []),
    (lambda head: os.urandom(100) + head[100:], []),
    (lambda head: head[:9] + b"\xff" + head[10:], []),
    (lambda head: head.replace(b"<f4", b"<f6"), []),
    (lambda head: b"", ["--header-bytes", 0]),
    (lambda head: b"junk" * 5, ["--header-bytes", 20]),
], ids=["zeros", "noise", "length", "dtype", "missing", "foreign"])
def test_damaged_or_missing_header_needs_dimension_and_dtype(tmp_path, broken, damage, flags):
    path = broken(head=damage(header(40, 8)))
    refused = salvage(path)
    assert refused.returncode == UNUSABLE
    assert "--dimension" in refused.stderr and "--dtype" in refused.stderr

    good = tmp_path / "good.npy"
    report = report_of(path, "--dimension", 8, "--dtype", "float32", *flags, "--out", good)
    assert report["header"] == "damaged" and report["notes"]
    assert same_bits(np.load(good), rows_of(40))


@pytest.mark.parametrize("head, says", [
    (header(40, 8, fortran_order=True), "Fortran order"),
    (header(40, 4, "<f8"), "astype('<f4')"),
    (header(40, 8, ">f4"), "big-endian"),
    (header(40, 8, "<i4"), "int32"),
    (header(40, 2, "<c16"), "float32 or float16"),
    (header(40, 8).replace(b"(40, 8)", b"(40,)  "), "--dimension"),
    (header(40, 8).replace(b"(40, 8)", b"(40, 0)"), "dimension of 0"),
    (b"PK\x03\x04", "does not start with"),
])
def test_other_arrays_are_refused_with_the_reason(broken, head, says):
    found = salvage(broken(head=head))
    assert found.returncode == UNUSABLE
    assert says.replace("does not", "do not") in found.stderr


def test_what_is_no_regular_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty").touch()
    for name, code in [("fifo", UNUSABLE), (".", UNUSABLE), ("empty", UNUSABLE),
                       ("nothing", COULD_NOT_RUN)]:
        found = salvage(tmp_path / name, timeout=20)
        assert (name, found.returncode) == (name, code), found.stderr
        assert found.stderr.startswith("ingot: ")


# Ids

@pytest.mark.parametrize("content, says", [
    (b"a\nb\xff\n", "line 2 is not UTF-8"),
    (b"a\n\nb\n", "line 2 is empty"),
    (b"a\nb\na\n", "line 3 repeats the id 'a', which line 1 has"),
    (b"a\n" + b"x" * 513 + b"\n", "line 2 has 513 bytes"),
    (b"a\n" + b"x" * 300_000, "expected an id of 1 to 512 bytes"),
    (b"a\nb\nc", "has 3 ids, and 40 rows are whole"),
    (b"", "has 0 ids"),
])
def test_ids_that_cannot_be_used_are_named_before_anything_is_written(tmp_path, broken, content, says):
    ids = tmp_path / "ids"
    ids.write_bytes(content)
    found = salvage(broken(), "--into-store", tmp_path / "store", "--ids", ids)
    assert found.returncode == UNUSABLE and says in found.stderr
    assert not (tmp_path / "store").exists()


def test_byte_order_mark_is_no_part_of_the_first_id(tmp_path, broken):
    (tmp_path / "ids").write_text("".join(f"id-{row}\n" for row in range(40)), "utf-8-sig")
    report_of(broken(), "--out", tmp_path / "good.npy", "--ids", tmp_path / "ids", "--kept", tmp_path / "kept")
    assert lines(tmp_path / "kept") == [f"id-{row}" for row in range(40)]


def test_ids_come_through_a_pipe(tmp_path, broken):
    """More than a pipe holds at once."""
    (tmp_path / "ids").write_text("".join(f"id-{row:0500}\n" for row in range(2000)))
    for name, source in [("process", "<(cat ids)"), ("stdin", "/dev/stdin")]:
        kept = tmp_path / name
        found = subprocess.run(
            ["bash", "-c", f'cat ids | "$@" --ids {source}', "-", BINARY, "salvage", broken(rows_of(2000)), "--out",
             tmp_path / f"{name}.npy", "--kept", kept], env=clean_environment(), cwd=tmp_path, timeout=60)
        assert found.returncode == OK
        assert kept.read_text() == (tmp_path / "ids").read_text()


def test_more_ids_than_rows_are_lost_ids(tmp_path, broken):
    ids, lost = tmp_path / "ids", tmp_path / "lost"
    ids.write_text("\n".join(f"id-{row}" for row in range(45)))
    report = report_of(broken(), "--out", tmp_path / "good.npy", "--ids", ids, "--lost", lost)
    assert (report["lost_rows"], report["lost_ids"]) == (0, 5)
    assert lines(lost) == [f"id-{row}" for row in range(40, 45)]


def test_second_column_says_which_row_an_id_belongs_to(tmp_path, broken):
    """Indices with gaps, NULLs and ids behind the end: a count of lines would shift every id."""
    database, kept, lost = (tmp_path / name for name in ("images.db", "kept", "lost"))
    with sqlite3.connect(database) as connection:
        connection.execute("create table images (path, embedding_index)")
        connection.executemany(
            "insert into images values (?, ?)",
            [(f"p{row}", row) for row in reversed(range(0, 50, 2))] + [("never", None), (7, 1)])
    arguments = [
        broken(), "--into-store", tmp_path / "store", "--database", database,
        "--kept", kept, "--lost", lost, "--query"]

    unordered = salvage(*arguments, "select path, embedding_index from images")
    report = report_of(*arguments, ORDERED, code=LOST)

    assert unordered.returncode == UNUSABLE and "order by" in unordered.stderr
    rows = [0, 1, *range(2, 40, 2)]
    assert lines(kept) == ["p0", "7"] + [f"p{row}" for row in rows[2:]]
    assert lines(lost) == [f"p{row}" for row in range(40, 50, 2)]
    assert (report["stored_rows"], report["rows_without_id"]) == (21, 19)
    assert same_bits(all_rows(tmp_path / "store", "default"), rows_of(40)[rows])


@pytest.mark.parametrize("where, says", [
    (["--into-store", "store"], "NOT stored: 38 whole rows"), (["--out", "good.npy", "--kept", "kept"], "NOT written: 38"),
    (["--out", "good.npy"], None), ([], None)])
def test_rows_that_no_id_belongs_to_are_told_and_kept_where_they_can_be(tmp_path, broken, where, says):
    with sqlite3.connect(tmp_path / "images.db") as database:
        database.execute("create table images (path, embedding_index)")
        database.executemany("insert into images values (?, ?)", [("a", 2), ("b", 3), ("c", 39)])
    database.close()
    rows = rows_of(41)
    rows[3] = np.nan
    found = salvage(broken(rows), "--database", "images.db", "--query", ORDERED, *where, cwd=tmp_path)

    assert found.returncode == (OK if where == ["--out", "good.npy"] else LOST)
    assert any(line.split()[:3] == ["no", "id", "38"] for line in found.stdout.splitlines()), found.stdout
    if says:
        assert says in found.stdout
    if "--into-store" in where:
        assert same_bits(all_rows(tmp_path / "store", "default"), rows[[2, 39]])
    elif "--kept" in where:
        assert same_bits(np.load(tmp_path / "good.npy"), rows[[2, 39]]) and lines(tmp_path / "kept") == ["a", "c"]
    elif where:
        assert "NOT" not in found.stdout
        assert same_bits(np.load(tmp_path / "good.npy"), np.delete(rows, 3, axis=0))


@pytest.mark.parametrize("query, says", [
    ("select path, id, embedding_index from images", "3 columns"),
    ("delete from images", "only SELECT"),
    ("pragma journal_mode=delete", "only SELECT"),
    ("attach 'other.db' as other", "only SELECT"),
    ("create temp table t as select 1", "only SELECT"),
    ("select path from images; delete from images", "only SELECT"),
    ("select path from images; select 1", "more than one statement"),
    ("select null", "has NULL as its id"),
    ("select x'6162'", "has a blob as its id"),
    ("select 1.5", "a real number"),
    ("select cast(x'ff' as text)", "not UTF-8"),
    ("select path, -1 from images", "-1"),
    ("select path, 3 from images", "an index has one id"),
    ("select path from nowhere", "no such table"),
])
def test_query_that_cannot_be_used_is_refused_and_changes_nothing(tmp_path, incident, query, says):
    before = state(incident.database)
    found = salvage(
        incident.file, "--into-store", tmp_path / "store", "--database", incident.database,
        "--query", query)
    assert found.returncode == UNUSABLE and says in found.stderr
    assert state(incident.database) == before
    assert sorted(os.listdir(incident.folder)) == ["embeddings.npy", "images.db"]
    assert not (tmp_path / "store").exists()


def test_database_that_is_none_is_refused(tmp_path, incident):
    os.mkfifo(tmp_path / "fifo")
    for query in (ORDERED, "select 1"):
        for path, code in [(incident.file, UNUSABLE), (tmp_path / "nothing", COULD_NOT_RUN),
                           (tmp_path / "fifo", COULD_NOT_RUN), (tmp_path, COULD_NOT_RUN)]:
            found = salvage(
                incident.file, "--database", path, "--query", query, timeout=20)
            assert found.returncode == code and str(path) in found.stderr, found.stderr
            assert code != UNUSABLE or "is not a SQLite database" in found.stderr


def test_database_that_a_worker_has_open_is_read(tmp_path, incident):
    """With a write-ahead log: what is committed is read, the worker is not disturbed."""
    worker = sqlite3.connect(incident.database)
    worker.execute("pragma journal_mode=wal")
    worker.execute("update images set path = 'renamed' where embedding_index = 5")
    worker.commit()
    kept = tmp_path / "kept"
    report_of(incident.file, "--out", tmp_path / "good.npy", "--database", incident.database,
              "--query", ORDERED, "--kept", kept)
    assert lines(kept)[5] == "renamed"
    worker.execute("update images set path = 'again' where embedding_index = 5")
    worker.commit()
    worker.close()


# Into a store

def test_rows_in_the_store_are_served_and_verified(tmp_path, incident, launch):
    store = tmp_path / "store"
    report = report_of(*into(incident, store, "--batch-rows", 64))
    assert report["stored_rows"] == 300
    assert verify(store).returncode == OK
    assert same_bits(all_rows(store), incident.truth)

    client = Client(launch(store=store).url, "clip")
    assert same_bits(client.row(path_of(299)), incident.truth[299])
    assert client.get(client.row_path(path_of(300))).status_code == 404
    receipts = client.all_batches(prefix="salvage-")
    assert sum(receipt["rows"] for receipt in receipts) == 300
    assert same_bits(rows_in_file(store, receipts[1]), incident.truth[64:128])


def test_running_it_again_stores_nothing_twice(tmp_path, incident):
    store = tmp_path / "store"
    report_of(*into(incident, store, "--batch-rows", 64))
    for rule in ("error", "keep", "replace"):
        report = report_of(*into(incident, store, "--batch-rows", 64, "--on-conflict", rule))
        assert (report["stored_rows"], report["repeated_rows"]) == (0, 300), rule
    assert len(all_rows(store)) == 300


def test_full_disk_is_told_before_anything_is_lost(tmp_path, incident):
    store = tmp_path / "store"
    found = salvage(*into(incident, store, "--disk-reserve", "1000TiB"))
    assert found.returncode == COULD_NOT_RUN and "make room and run again" in found.stderr
    assert report_of(*into(incident, store))["stored_rows"] == 300
    assert same_bits(all_rows(store), incident.truth)


def test_killed_half_way_it_goes_on_where_it_was(tmp_path):
    incident = Incident(tmp_path / "accident", claimed=9000, saved=8000)
    store = tmp_path / "store"
    arguments = [str(argument) for argument in into(incident, store, "--batch-rows", 2)]
    with started("salvage", *arguments) as process:
        wait_for(lambda: shard_files(store, "clip") and len(all_rows(store)) > 100, bool, pause=0)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    stored_count = len(all_rows(store))
    assert stored_count < 8000

    report = report_of(*into(incident, store, "--batch-rows", 2))

    assert report["repeated_rows"] >= stored_count
    assert report["stored_rows"] + report["repeated_rows"] == 8000
    assert same_bits(all_rows(store), incident.truth)
    assert verify(store).returncode == OK


def test_rows_that_were_lost_since_are_stored_again(tmp_path, incident, launch):
    """Shards of 64 rows, of which one is gone: what it held comes back from the file that it came from."""
    store = tmp_path / "store"
    report_of(*into(incident, store, "--batch-rows", 64, "--shard-bytes", "4KiB"))
    shutil.rmtree(shard_files(store, "clip")[1].parent)

    report = report_of(*into(incident, store, "--batch-rows", 64))

    assert (report["stored_rows"], report["repeated_rows"]) == (64, 236)
    client = Client(launch(store=store).url, "clip")
    fetched = load(client.fetch([path_of(index) for index in range(300)]).content)
    assert same_bits(fetched["embeddings"], incident.truth)


@pytest.fixture
def occupied(tmp_path, incident, launch):
    """A store in which ten of the ids have other vectors."""
    store = tmp_path / "store"
    server = launch(store=store)
    client = Client(server.url, "clip")
    client.create(16)
    client.append([path_of(index) for index in range(50, 60)], rows_of(10, 16))
    assert server.terminate() == OK
    return store


def served(launch, store, index):
    server = launch(store=store)
    row = Client(server.url, "clip").row(path_of(index))
    assert server.terminate() == OK
    return row


def test_conflict_is_an_error_and_nothing_is_written(incident, occupied, launch):
    found = salvage(*into(incident, occupied))
    assert found.returncode == CONFLICT
    assert "10 ids" in found.stderr and path_of(50) in found.stderr
    assert len(all_rows(occupied)) == 10


def test_conflict_keep_leaves_out_what_is_there(incident, occupied, launch):
    report = report_of(*into(incident, occupied, "--on-conflict", "keep"))
    assert (report["stored_rows"], report["skipped_rows"]) == (290, 10)
    assert same_bits(served(launch, occupied, 55), rows_of(10, 16)[5])
    assert same_bits(served(launch, occupied, 60), incident.truth[60])
    assert report_of(*into(incident, occupied, "--on-conflict", "keep"))["stored_rows"] == 0


def test_conflict_replace_appends_and_the_newest_row_is_read(incident, occupied, launch):
    report = report_of(*into(incident, occupied, "--on-conflict", "replace"))
    assert (report["stored_rows"], report["skipped_rows"]) == (300, 0)
    assert same_bits(served(launch, occupied, 55), incident.truth[55])


def test_rows_that_no_collection_takes_are_refused_by_the_limit(tmp_path, broken):
    (tmp_path / "ids").write_text("a\nb\n")
    for dimension, code in [(65_536, OK), (65_537, UNUSABLE)]:
        path, store = broken(rows_of(2, dimension)), tmp_path / f"store-{dimension}"
        found = salvage(path, "--into-store", store, "--ids", tmp_path / "ids")
        assert found.returncode == code, found.stderr
        if code == UNUSABLE:
            assert "at most 65536" in found.stderr and not store.exists()
            assert report_of(path, "--out", tmp_path / "good.npy")["written_rows"] == 2


def test_store_that_cannot_be_used_is_named(tmp_path, incident, server):
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.doc").touch()
    Client(server.url, "clip").create(8)

    in_use = salvage(*into(incident, server.store))
    assert in_use.returncode == IN_USE and str(server.pid) in in_use.stderr
    assert server.terminate() == OK
    other_dimension = salvage(*into(incident, server.store))
    assert other_dimension.returncode == UNUSABLE and "dimension 8" in other_dimension.stderr
    not_a_store = salvage(*into(incident, foreign))
    assert not_a_store.returncode == COULD_NOT_RUN and "thesis.doc" in not_a_store.stderr
    assert os.listdir(foreign) == ["thesis.doc"]


# Into a file

def test_out_replaces_only_when_forced_and_never_its_source(tmp_path, incident):
    good = tmp_path / "good.npy"
    good.write_text("mine")
    found = salvage(incident.file, "--out", good)
    assert found.returncode == CONFLICT and "--force" in found.stderr
    assert good.read_text() == "mine"

    before = state(incident.file)
    link = tmp_path / "link.npy"
    link.symlink_to(incident.file)
    for source in (incident.file, link):
        assert salvage(source, "--out", incident.file, "--force").returncode == UNUSABLE
    assert salvage(
        incident.file, "--database", incident.database, "--query", ORDERED,
        "--lost", incident.database).returncode == UNUSABLE
    assert state(incident.file) == before

    report_of(incident.file, "--out", good, "--force")
    assert same_bits(np.load(good), incident.truth)


@pytest.mark.parametrize("flag", ["--lost", "--kept", "--out"])
def test_outputs_replace_nothing_unasked_and_lie_outside_of_stores(tmp_path, incident, occupied, flag):
    mine, link = tmp_path / "mine", tmp_path / "link"
    mine.write_text("mine")
    link.symlink_to(occupied / "collections")
    ids = ["--database", incident.database, "--query", ORDERED]
    found = salvage(incident.file, *ids, flag, mine)
    assert found.returncode == CONFLICT and "--force" in found.stderr and mine.read_text() == "mine"

    before = state(occupied / "store.json")
    for path in (occupied / "store.json", occupied / "mine.txt", link / "mine.txt"):
        found = salvage(incident.file, *ids, "--force", flag, path)
        assert found.returncode == UNUSABLE and f"within the store {occupied.resolve()}" in found.stderr
    assert state(occupied / "store.json") == before and not list(occupied.rglob("mine*"))
    for path in ("/dev/null", "/dev/stdout", tmp_path):
        found = salvage(incident.file, *ids, "--force", flag, path)
        assert found.returncode == COULD_NOT_RUN and "regular file is expected" in found.stderr
    assert salvage(incident.file, *ids, "--force", flag, mine).returncode in (OK, LOST)
    assert mine.read_bytes() != b"mine"


def test_no_part_of_a_file_is_left_when_the_disk_takes_no_more(tmp_path):
    incident = Incident(tmp_path / "accident", 40_000, 30_000)
    folder = tmp_path / "out"
    folder.mkdir()
    found = subprocess.run(
        [BINARY, "salvage", incident.file, "--out", folder / "good.npy"], capture_output=True,
        text=True, env=clean_environment(),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB)))
    assert found.returncode == COULD_NOT_RUN and "pwrite" in found.stderr
    assert os.listdir(folder) == []


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_interrupted_salvage_leaves_no_part_of_a_file(tmp_path, incident, name):
    """Of a sparse file of 8 GiB, so that there is time to stop it; then the files are written anew."""
    folder, slow = tmp_path / "out", tmp_path / "slow.npy"
    folder.mkdir()
    with open(slow, "wb") as file:
        file.write(header(4 << 20, 512))
        file.truncate(128 + (4 << 20) * 2048)
    outputs = ["--out", folder / "good.npy", "--lost", folder / "lost", "--kept", folder / "kept"]
    ids = ["--database", incident.database, "--query", ORDERED]

    interrupt(name, folder, 3, "salvage", slow, "--keep-zeros", *ids, *outputs)

    report_of(incident.file, *ids, *outputs)
    assert sorted(os.listdir(folder)) == ["good.npy", "kept", "lost"]
    assert same_bits(np.load(folder / "good.npy"), incident.truth)
    assert lines(folder / "lost") == incident.lost_ids


def test_memory_does_not_grow_with_the_file(tmp_path):
    """A sparse file of 8 GiB, of which 150 MiB are rows."""
    rows = rows_of(75 * 1024, 512)
    path = tmp_path / "broken.npy"
    with open(path, "wb") as file:
        file.write(header(4 << 20, 512) + rows.tobytes())
        file.truncate(128 + (4 << 20) * 2048)
    # Started by a small process: what a large one is, its children seem to have been.
    measure = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=-3); " \
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    peak_kib = subprocess.check_output(
        [sys.executable, "-c", measure, BINARY, "salvage", path, "--out", tmp_path / "good.npy"],
        env=clean_environment())
    assert int(peak_kib) * 1024 < 128 * MIB
    assert same_bits(np.load(tmp_path / "good.npy", mmap_mode="r"), rows)


# Settings

@pytest.mark.parametrize("arguments, says", [
    (["--into-store", "s"], "--ids"),
    (["--lost", "l"], "--ids"),
    (["--database", "d"], "--query"),
    (["--ids", "i", "--database", "d", "--query", "q"], "exclude"),
    (["--into-store", "s", "--out", "o", "--ids", "i"], "exclude"),
    (["--into-store", "s", "--ids", "i", "--collection", "No Name"], "--collection"),
    (["--dtype", "float64"], "--dtype"),
    (["--ids", "i", "--lost", "-"], "--lost"),
    (["--out", "-"], "--out"),
    (["--ids", "i", "--lost", "x", "--kept", "./x"], "same file"),
    (["--ids", "i", "--lost", "x", "--out", "x"], "same file"),
    (["--dimension", "0"], "--dimension"),
    (["--on-conflict", "ask"], "on-conflict"),
    (["--shard-bytes", "1MiB"], "--into-store"),
    (["--into-store", "s", "--ids", "i", "--disk-reserve", "some"], "--disk-reserve"),
])
def test_bad_setting_exits_64_and_is_named(tmp_path, incident, arguments, says):
    found = salvage(incident.file, *arguments, cwd=tmp_path)
    assert found.returncode == USAGE and says in found.stderr
    assert os.listdir(tmp_path) == ["accident"]


def test_batch_that_would_not_fit_into_memory_exits_64(incident):
    found = salvage(incident.file, "--batch-rows", 10**9)
    assert found.returncode == USAGE and "--batch-rows" in found.stderr


def test_help_explains_itself():
    text = salvage("--help").stdout
    for word in ("IDS.", "INTO A STORE.", "EXIT CODES", "EXAMPLES", "--keep-zeros", "--on-conflict"):
        assert word in text
