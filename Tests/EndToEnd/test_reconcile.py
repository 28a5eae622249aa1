# Promise: `ingot reconcile` says exactly which ids of the user's database the store lacks, and which it has too many.
import json
import os
import sqlite3

import pytest

from client import Client, rows_of, shard_file
from interruptions import interrupt
from server_process import command

OK, DIFFERS, COULD_NOT_RUN, IN_USE, UNUSABLE, CONFLICT, USAGE = 0, 1, 2, 3, 4, 5, 64
QUERY = "select path from images where embedding_index is not null"
MAP = "select path, embedding_index from images"
BATCH_ROWS = 10


def reconcile(*arguments, **options):
    return command("reconcile", *arguments, **options)


def report_of(*arguments, code):
    found = reconcile(*arguments, "--json")
    assert found.returncode == code, found.stderr
    return json.loads(found.stdout)


def lines(path):
    return path.read_text().splitlines()


@pytest.fixture
def database(tmp_path):
    """A database in a folder of its own, in which nothing else may appear."""
    def write(*rows):
        folder = tmp_path / "mine"
        folder.mkdir(exist_ok=True)
        with sqlite3.connect(folder / "images.db") as connection:
            connection.execute("create table if not exists images (path, embedding_index)")
            connection.execute("delete from images")
            connection.executemany("insert into images values (?, ?)", rows)
        connection.close()
        return folder / "images.db"
    return write


@pytest.fixture
def filled(server):
    """Ids 'a0' to 'a39' in batches of ten, in the order of their rows."""
    client = Client(server.url)
    for first in range(0, 40, BATCH_ROWS):
        client.append([f"a{row}" for row in range(first, first + BATCH_ROWS)],
                      rows_of(BATCH_ROWS, seed=first), key=f"batch-{first}")
    return server


def sides(server):
    """The server's answer, then that of the files: the same."""
    yield ["--url", server.url]
    assert server.terminate() == OK
    yield ["--store", server.store]


def test_nothing_is_missing(filled, database):
    path = database(*((f"a{row}", row) for row in range(40)))
    for side in sides(filled):
        report = report_of(*side, "--database", path, "--query", QUERY, code=OK)
        assert report["complete"]
        assert (report["database"], report["store"], report["matched"]) == (40, 40, 40)


def test_missing_deleted_and_extra_ids_are_listed(tmp_path, filled, database):
    """Ids of all kinds of letters, and one that was deleted."""
    client = Client(filled.url)
    odd = ['"quoted"', "back\\slash", "é/ü", "x" * 512]
    client.append(odd, rows_of(4))
    assert client.request("DELETE", client.row_path("a3")).status_code in (200, 204)
    path = database(*((f"a{row}", row) for row in range(2, 50)), ("never", None), (odd[0], 1))
    missing, extra, quarantined = (tmp_path / name for name in ("missing", "extra", "quarantined"))

    for side in sides(filled):
        report = report_of(
            *side, "--database", path, "--query", QUERY, "--missing-to", missing,
            "--extra-to", extra, "--quarantined-to", quarantined, "--force", code=DIFFERS)

        assert lines(missing) == ["a3"] + [f"a{row}" for row in range(40, 50)]
        assert sorted(lines(extra)) == sorted(["a0", "a1", *odd[1:]])
        assert lines(quarantined) == []
        assert (report["missing"], report["deleted"], report["extra"]) == (11, 1, 5)
    assert os.listdir(path.parent) == ["images.db"]


def test_ids_that_read_alike_and_are_written_differently_are_two(tmp_path, filled, database):
    composed, decomposed = "caf\u00e9.jpg", "cafe\u0301.jpg"
    Client(filled.url).append([composed], rows_of(1))
    path = database((decomposed, 0), (composed, 1))
    for side in sides(filled):
        report_of(*side, "--database", path, "--query", QUERY, "--missing-to", tmp_path / "missing.txt", code=DIFFERS)
        assert lines(tmp_path / "missing.txt") == [decomposed]
        (tmp_path / "missing.txt").unlink()


def test_extra_ids_alone_are_no_fault(filled, database):
    for side in sides(filled):
        assert report_of(
            *side, "--database", database(("a1", 1)), "--query", QUERY, code=OK)["extra"] == 39


def test_quarantined_ids_are_listed(tmp_path, filled, database):
    """A bit of a row of the second batch is flipped, and found when the row is read."""
    path = database(*((f"a{row}", row) for row in range(40)))
    quarantined = tmp_path / "quarantined"
    with open(shard_file(filled.store), "r+b") as file:
        file.seek(128 + 12 * 32)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))
    client = Client(filled.url)
    assert client.get(client.row_path("a12")).status_code == 500

    for side in sides(filled):
        report = report_of(
            *side, "--database", path, "--query", QUERY, "--quarantined-to", quarantined, "--force",
            code=DIFFERS)
        assert report["missing"] == 0 and report["quarantined"] == len(lines(quarantined)) > 0
        assert "a12" in lines(quarantined)
        assert set(lines(quarantined)) <= {f"a{row}" for row in range(10, 20)}


def test_integers_are_their_decimal_form(server, database):
    Client(server.url).append([7, 2**63 - 1, -5], rows_of(3))
    path = database((7, 0), (2**63 - 1, 1), (-5, 2))
    for side in sides(server):
        assert report_of(*side, "--database", path, "--query", QUERY, code=OK)["matched"] == 3


# Positions

def test_positions_count_through_all_shards(launch, tmp_path, database):
    server = launch("--shard-bytes", "4KiB")
    client = Client(server.url)
    for first in range(0, 40, BATCH_ROWS):
        client.append([f"a{row}" for row in range(first, first + BATCH_ROWS)], rows_of(BATCH_ROWS, 64))
    assert server.terminate() == OK
    assert shard_file(server.store, 1).exists()

    path = database(*((f"a{row}", row) for row in range(40)), ("unused", None))
    report = report_of("--store", server.store, "--database", path, "--map", MAP, code=OK)
    assert (report["compared"], report["misplaced"]) == (40, 0)

    path = database(("a0", 0), ("a39", 38), ("a12", 13), ("nobody", 4))
    report = report_of("--store", server.store, "--database", path, "--map", MAP, code=DIFFERS)
    assert (report["compared"], report["misplaced"]) == (4, 3)
    assert report["examples"] == [
        {"id": "a39", "expected": 38, "found": 39}, {"id": "a12", "expected": 13, "found": 12},
        {"id": "nobody", "expected": 4}]


# What cannot be used

@pytest.mark.parametrize("query, says", [
    (MAP, "2 columns, expected one"),
    ("delete from images", "only SELECT"),
    ("update images set path = 'x'", "only SELECT"),
    ("pragma journal_mode=delete", "only SELECT"),
    ("attach 'other.db' as other", "only SELECT"),
    ("vacuum into 'copy.db'", "only SELECT"),
    ("select 1; select 2", "more than one statement"),
    ("select null", "NULL"),
    ("select cast(x'ff' as text)", "not UTF-8"),
    ("select ''", "is empty"),
    ("select 'a' || char(10)", "line break"),
])
def test_query_that_cannot_be_used_is_refused(filled, database, query, says):
    path = database(("a0", 0))
    before = path.read_bytes()
    for side in sides(filled):
        found = reconcile(*side, "--database", path, "--query", query)
        assert found.returncode == UNUSABLE and says in found.stderr
    assert path.read_bytes() == before and os.listdir(path.parent) == ["images.db"]


def test_map_needs_two_columns_and_a_store(filled, database):
    path = database(("a0", 0))
    found = reconcile("--url", filled.url, "--database", path, "--map", MAP)
    assert found.returncode == USAGE and "--store" in found.stderr
    assert filled.terminate() == OK
    found = reconcile("--store", filled.store, "--database", path, "--map", QUERY)
    assert found.returncode == UNUSABLE and "expected two" in found.stderr


def test_store_or_server_that_cannot_be_used_is_named(tmp_path, filled, database):
    path = database(("a0", 0))
    asked = ["--database", path, "--query", QUERY]
    in_use = reconcile("--store", filled.store, *asked)
    assert in_use.returncode == IN_USE and str(filled.pid) in in_use.stderr
    unknown = reconcile("--url", filled.url, "--collection", "other", *asked)
    assert unknown.returncode == COULD_NOT_RUN and "other" in unknown.stderr
    assert filled.terminate() == OK

    for store in (tmp_path / "nothing", path.parent):
        found = reconcile("--store", store, *asked)
        assert found.returncode == COULD_NOT_RUN and "store.json" in found.stderr
    assert not (tmp_path / "nothing").exists()
    unknown = reconcile("--store", filled.store, "--collection", "other", *asked)
    assert unknown.returncode == COULD_NOT_RUN and "other" in unknown.stderr


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_interrupted_comparison_leaves_no_part_of_a_list(tmp_path, filled, database, name):
    """Of a query without an end; then the lists are written anew."""
    folder = tmp_path / "out"
    folder.mkdir()
    arguments = ["reconcile", "--url", filled.url, "--database", database(("a0", 0)), "--missing-to",
                 folder / "missing", "--extra-to", folder / "extra", "--query"]
    endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select i from n"

    interrupt(name, folder, 2, *arguments, endless)

    assert command(*arguments, QUERY).returncode == OK
    assert sorted(os.listdir(folder)) == ["extra", "missing"] and len(lines(folder / "extra")) == 39


def test_database_is_never_written_over(filled, database):
    path = database(("a0", 0))
    found = reconcile(
        "--url", filled.url, "--database", path, "--query", QUERY, "--missing-to", path)
    assert found.returncode == UNUSABLE
    with sqlite3.connect(path) as connection:
        assert connection.execute("select count(*) from images").fetchone() == (1,)


def test_list_that_is_there_is_replaced_only_when_forced(tmp_path, filled, database):
    missing = tmp_path / "missing"
    missing.write_text("mine")
    arguments = ["--url", filled.url, "--database", database(("b", 0)), "--query", QUERY, "--missing-to", missing]
    found = reconcile(*arguments)
    assert found.returncode == CONFLICT and "--force" in found.stderr and missing.read_text() == "mine"
    assert reconcile(*arguments, "--force").returncode == DIFFERS and lines(missing) == ["b"]


@pytest.mark.parametrize("flag", ["--missing-to", "--extra-to", "--quarantined-to"])
def test_list_is_written_into_no_store_and_no_device(tmp_path, filled, database, flag):
    """Into another store, too, and by way of a link."""
    link = tmp_path / "link"
    link.symlink_to(filled.store / "collections")
    arguments = ["--url", filled.url, "--database", database(("b", 0)), "--query", QUERY, "--force", flag]
    before = {path: path.read_bytes() for path in filled.store.rglob("*") if path.suffix == ".json"}
    for path in (filled.store / "store.json", filled.store / "list", link / "list"):
        found = reconcile(*arguments, path)
        assert found.returncode == UNUSABLE and f"within the store {filled.store.resolve()}" in found.stderr
    assert {path: path.read_bytes() for path in filled.store.rglob("*") if path.suffix == ".json"} == before
    assert not list(filled.store.rglob("list*"))
    for path in ("/dev/stdout", "/dev/null"):
        found = reconcile(*arguments, path)
        assert found.returncode == COULD_NOT_RUN and "regular file is expected" in found.stderr


@pytest.mark.parametrize("arguments, says", [
    (["--url", "http://127.0.0.1:1", "--missing-to", "-"], "--missing-to"),
    (["--url", "http://127.0.0.1:1", "--missing-to", "m", "--extra-to", "../{folder}/m"], "same file"),
    ([], "--store or --url"),
    (["--store", "s", "--url", "http://127.0.0.1:1"], "--store or --url"),
    (["--url", "ftp://nowhere"], "--url"),
    (["--store", "s", "--collection", "No Name"], "--collection"),
])
def test_bad_setting_exits_64_and_is_named(tmp_path, arguments, says):
    arguments = [argument.format(folder=tmp_path.name) for argument in arguments]
    found = reconcile(*arguments, "--database", tmp_path / "d", "--query", QUERY, cwd=tmp_path)
    assert found.returncode == USAGE and says in found.stderr and not os.listdir(tmp_path)


def test_help_explains_itself():
    text = reconcile("--help").stdout
    for word in ("MISSING", "EXTRA", "QUARANTINED", "POSITIONS.", "EXIT CODES", "EXAMPLES"):
        assert word in text
