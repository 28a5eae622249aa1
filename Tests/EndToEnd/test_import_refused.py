# Promise: a source, an id, a row or an option that `ingot import` cannot take is named, and nothing of it is stored.
import subprocess

import numpy as np
import pytest

from client import rows_of, same_bits
from damage import flip
from imports import (
    COULD_NOT_RUN, IN_USE, OK, UNUSABLE, USAGE, import_, imported, save_lines, stored_rows)
from server_process import BINARY, clean_environment, command


def cut(path, byte_count):
    with open(path, "r+b") as file:
        file.truncate(byte_count)


def text_instead_of_npy(folder):
    (folder / "x.npy").write_text("0.1 0.2 0.3\n")
    return "--first-id", 0, folder / "x.npy"


def fortran_order(folder):
    np.save(folder / "x.npy", np.asfortranarray(rows_of(10)))
    return "--first-id", 0, folder / "x.npy"


def one_axis(folder):
    np.save(folder / "x.npy", rows_of(10)[0])
    return "--first-id", 0, folder / "x.npy"


def integers(folder):
    np.save(folder / "x.npy", np.arange(20).reshape(4, 5))
    return "--first-id", 0, folder / "x.npy"


def objects(folder):
    np.save(folder / "x.npy", np.array([[None, 1]], dtype=object))
    return "--first-id", 0, folder / "x.npy"


def endless_axis(folder):
    """Nothing is claimed, by numbers whose product with the size of one is beyond 64 bits."""
    np.lib.format.write_array_header_1_0(
        (folder / "x.npy").open("wb"), {"descr": "<f4", "fortran_order": False, "shape": (1 << 62, 0)})
    return "--first-id", 0, folder / "x.npy"


def torn(folder):
    np.save(folder / "x.npy", rows_of(10))
    cut(folder / "x.npy", 128 + 7 * 32 + 5)
    return "--first-id", 0, folder / "x.npy"


def cut_in_its_header(folder):
    np.save(folder / "x.npy", rows_of(10))
    cut(folder / "x.npy", 60)
    return "--first-id", 0, folder / "x.npy"


def no_ids(folder):
    np.save(folder / "x.npy", rows_of(10))
    return (folder / "x.npy",)


def ids_twice(folder):
    np.save(folder / "x.npy", rows_of(2))
    save_lines(folder / "x.ids.txt", [1, 2])
    np.save(folder / "x.ids.npy", np.arange(2))
    return (folder / "x.npy",)


def too_few_lines(folder):
    np.save(folder / "x.npy", rows_of(10))
    return "--ids", save_lines(folder / "ids.txt", range(9)), folder / "x.npy"


def too_many_ids(folder):
    np.save(folder / "x.npy", rows_of(10))
    np.save(folder / "ids.npy", np.arange(11))
    return "--ids", folder / "ids.npy", folder / "x.npy"


def ids_as_numbers(folder):
    np.save(folder / "x.npy", rows_of(10))
    np.save(folder / "ids.npy", np.arange(10) / 2)
    return "--ids", folder / "ids.npy", folder / "x.npy"


def other_dimension(folder):
    np.save(folder / "a.npy", rows_of(10, 8))
    np.save(folder / "b.npy", rows_of(10, 9))
    return "--first-id", 0, folder / "a.npy", folder / "b.npy"


def archive_without_ids(folder):
    np.savez(folder / "x.npz", embeddings=rows_of(10), names=np.arange(10))
    return (folder / "x.npz",)


def flipped(path):
    flip(path, path.stat().st_size * 3 // 4, bit=0)
    return path


def flipped_archive(folder):
    np.savez(folder / "x.npz", ids=np.arange(1000), embeddings=rows_of(1000))
    return (flipped(folder / "x.npz"),)


def flipped_deflated_archive(folder):
    np.savez_compressed(folder / "x.npz", ids=np.arange(1000), embeddings=rows_of(1000))
    return (flipped(folder / "x.npz"),)


def empty_folder(folder):
    return (folder,)


def clip_retrieval_folder(folder):
    (folder / "img_emb").mkdir()
    return (folder,)


@pytest.mark.parametrize("make, says", [
    (text_instead_of_npy, "neither .npy nor .npz"), (fortran_order, "ascontiguousarray"),
    (one_axis, "two axes"), (integers, "<i8"), (objects, "objects"), (endless_axis, "no numbers"),
    (torn, "(10, 8) and 7 whole rows"), (cut_in_its_header, "the file is damaged or was cut"),
    (no_ids, "--first-id"), (ids_twice, "x.ids.npy"),
    (too_few_lines, "9 lines"), (too_many_ids, "11 ids"), (ids_as_numbers, "<f8"),
    (other_dimension, "dimension 9"), (archive_without_ids, "ids.npy is missing"),
    (flipped_archive, "embeddings.npy"), (flipped_deflated_archive, "embeddings.npy"),
    (empty_folder, "no .npy"), (clip_retrieval_folder, "deploy/import-clip-retrieval")])
def test_bad_source_is_named_and_nothing_is_stored(store, tmp_path, make, says):
    folder = tmp_path / "sources"
    folder.mkdir()
    found = import_("--store", store, *make(folder))
    assert found.returncode == UNUSABLE, found.stderr
    assert says in found.stderr and str(folder) in found.stderr
    assert "send" not in found.stderr, "these are words for a body"
    assert not store.exists()


def test_pipe_is_refused_with_the_reason(tmp_path):
    np.save(tmp_path / "rows.npy", rows_of(2))
    found = subprocess.run(
        ["bash", "-c", '"$@" --ids <(echo a; echo b) rows.npy', "-", BINARY, "import", "--store", "store"],
        env=clean_environment(), cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert found.returncode == UNUSABLE and "is a pipe" in found.stderr and "write it to a file" in found.stderr
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("lines, says", [
    (b"a\n\nc\n", "row 1 has an empty id"), (b"a\nb\xff\nc\n", "row 1 has an id that is not"),
    (b"a\nb\n" + b"c" * 513 + b"\n", "row 2 has an id of more than 512"),
    (b"c" * 100_000 + b"\nb\nc\n", "longer than an id")])
def test_bad_id_is_named(store, tmp_path, lines, says):
    np.save(tmp_path / "x.npy", rows_of(3))
    (tmp_path / "x.ids.txt").write_bytes(lines)
    found = import_("--store", store, tmp_path / "x.npy")
    assert found.returncode == UNUSABLE and says in found.stderr
    assert not (store / "collections" / "clip").exists()


@pytest.mark.parametrize("way", ["store", "url"])
def test_other_dimension_than_the_collection_is_refused_before_anything_is_sent(
        server, tmp_path, way):
    np.save(tmp_path / "a.npy", rows_of(10, 8))
    np.save(tmp_path / "b.npy", rows_of(10, 9))
    imported("--url", server.url, "--first-id", 0, tmp_path / "a.npy")
    place = "--url", server.url
    if way == "store":
        assert server.terminate() == OK
        place = "--store", server.store

    found = import_(*place, "--first-id", 0, tmp_path / "b.npy")

    assert found.returncode == UNUSABLE
    assert "dimension 9" in found.stderr and "dimension 8" in found.stderr
    if way == "url":
        assert server.terminate() == OK
    assert len(stored_rows(server.store)) == 10


@pytest.mark.parametrize("way", ["store", "url"])
def test_rows_that_are_not_finite_end_the_import_or_are_left_out(launch, store, tmp_path, way):
    rows = rows_of(100)
    rows[41, 3], rows[77, 0], rows[78, 7] = np.nan, np.inf, -np.inf
    np.save(tmp_path / "rows.npy", rows)
    server = launch() if way == "url" else None
    place = ("--url", server.url) if server else ("--store", store)
    arguments = *place, "--batch-rows", 10, "--first-id", 1000, tmp_path / "rows.npy"

    stopped = import_(*arguments)
    report = imported(*arguments, "--skip-non-finite")
    again = import_(*arguments, "--skip-non-finite")

    assert stopped.returncode == UNUSABLE
    assert "row 41 (id 1041)" in stopped.stderr and "--skip-non-finite" in stopped.stderr
    assert report["known_rows"] == 40 and report["stored_rows"] == 57
    assert [(entry["row"], entry["id"]) for entry in report["skipped"]] == [
        (41, "1041"), (77, "1077"), (78, "1078")]
    assert again.returncode == OK
    assert "row 77, id 1077" in again.stdout and "3 rows" in again.stdout
    if server:
        assert server.terminate() == OK
    stored = stored_rows(store)
    assert same_bits(stored, np.delete(rows, [41, 77, 78], axis=0))


def test_store_in_use_exits_3_and_names_the_holder(server, tmp_path):
    np.save(tmp_path / "rows.npy", rows_of(3))
    for flags in ([], ["--dry-run"]):
        found = import_("--store", server.store, "--first-id", 0, *flags, tmp_path / "rows.npy")
        assert found.returncode == IN_USE and str(server.pid) in found.stderr


def test_missing_source_exits_2(store, tmp_path):
    found = import_("--store", store, "--first-id", 0, tmp_path / "nowhere.npy")
    assert found.returncode == COULD_NOT_RUN and "nowhere.npy" in found.stderr
    assert not store.exists()


@pytest.mark.parametrize("flags, says", [
    (["--first-id", "0"], "--store or --url"),
    (["--store", "s", "--url", "http://127.0.0.1:1"], "--store or --url"),
    (["--url", "nowhere"], "--url"), (["--store", "s", "--batch-rows", "0"], "--batch-rows"),
    (["--store", "s", "--convert", "int8"], "--convert"),
    (["--store", "s", "--label", "a/b"], "--label"),
    (["--store", "s", "--collection", "A B"], "--collection"),
    (["--store", "s", "--ids", "x", "--first-id", "1"], "--ids"),
    (["--store", "s", "--retry-seconds", "1"], "--retry-seconds"),
    (["--store", "s", "--shard-bytes", "1"], "--shard-bytes")])
def test_bad_option_exits_64_and_is_named(tmp_path, flags, says):
    found = command("import", *flags, "x.npy", cwd=tmp_path)
    assert found.returncode == USAGE and says in found.stderr
    assert not list(tmp_path.iterdir())
