# Promise: `ingot import` stores every row of .npy and .npz files once, bit for bit, with the newest row of an id.
import numpy as np
import pytest

from client import Client, rows_of, same_bits
from imports import COLLECTION, OK, UNUSABLE, import_, imported, save_lines, stored_rows
from memory import MemoryWatch
from server_process import started, verify


def live_rows(server, ids, dtype="<f4"):
    """What a server serves for ids, in their order."""
    client = Client(server.url, COLLECTION)
    return np.stack([client.row(row_id, dtype) for row_id in ids])


def npy_with_lines(folder, ids, rows):
    np.save(folder / "rows.npy", rows)
    return "--ids", save_lines(folder / "paths.txt", ids), folder / "rows.npy"


def npy_with_windows_lines(folder, ids, rows):
    np.save(folder / "rows.npy", rows)
    text = save_lines(folder / "paths.txt", ids, end="\r\n")
    text.write_bytes(text.read_bytes().removesuffix(b"\r\n"))
    return "--ids", text, folder / "rows.npy"


def npy_with_marked_lines(folder, ids, rows):
    """As some editors save UTF-8."""
    np.save(folder / "rows.npy", rows)
    text = save_lines(folder / "paths.txt", ids)
    text.write_bytes("\ufeff".encode() + text.read_bytes())
    return "--ids", text, folder / "rows.npy"


def npy_with_array(dtype):
    def save(folder, ids, rows):
        np.save(folder / "rows.npy", rows)
        values = [row_id.encode() for row_id in ids] if dtype == "S" else ids
        np.save(folder / "names.npy", np.array(values, dtype=dtype))
        return "--ids", folder / "names.npy", folder / "rows.npy"
    return save


def npy_with_first_id(folder, ids, rows):
    np.save(folder / "rows.npy", rows)
    return "--first-id", ids[0], folder / "rows.npy"


def archive(save):
    def save_archive(folder, ids, rows):
        # Another member does no harm.
        save(folder / "all.npz", embeddings=rows, ids=np.array(ids), model=np.array("clip"))
        return (folder / "all.npz",)
    return save_archive


def folder_of_shards(folder, ids, rows):
    shards = folder / "shards"
    shards.mkdir()
    np.save(shards / "part_0.npy", rows[:40])
    save_lines(shards / "part_0.ids.txt", ids[:40])
    np.save(shards / "part_1.npy", rows[40:90])
    np.save(shards / "part_1.ids.npy", np.array(ids[40:90]))
    np.savez(shards / "part_2.npz", ids=np.array(ids[90:]), embeddings=rows[90:])
    (shards / "README.txt").write_text("not embeddings")
    return (shards,)


def several_sources(folder, ids, rows):
    np.save(folder / "a.npy", rows[:7])
    np.save(folder / "b.npy", rows[7:])
    return ("--ids", save_lines(folder / "a.txt", ids[:7]),
            "--ids", save_lines(folder / "b.txt", ids[7:]), folder / "a.npy", folder / "b.npy")


def linked(folder, ids, rows):
    np.save(folder / "blob.npy", rows)
    (folder / "rows.npy").symlink_to("blob.npy")
    save_lines(folder / "rows.ids.txt", ids)
    return (folder / "rows.npy",)


STRINGS = [f'ein/Bild "{n}" \\ ü😀.jpg' for n in range(100)]
INTEGERS = list(range(5_000_000_000, 5_000_000_100))


@pytest.mark.parametrize("save, ids", [
    (npy_with_lines, STRINGS), (npy_with_windows_lines, STRINGS), (npy_with_marked_lines, STRINGS),
    (npy_with_array("U"), STRINGS),
    (npy_with_array("S"), STRINGS), (npy_with_array("<i8"), INTEGERS),
    (npy_with_first_id, INTEGERS), (archive(np.savez), STRINGS),
    (archive(np.savez_compressed), INTEGERS), (folder_of_shards, STRINGS),
    (several_sources, STRINGS), (linked, STRINGS)])
@pytest.mark.parametrize("way", ["store", "url"])
def test_every_row_of_a_source_is_served(launch, store, tmp_path, way, save, ids):
    rows = rows_of(100, 24)
    arguments = save(tmp_path, ids, rows)
    if way == "url":
        server = launch()
        place = "--url", server.url
    else:
        place = "--store", store

    first = imported(*place, "--batch-rows", 16, *arguments)
    second = imported(*place, "--batch-rows", 16, *arguments)

    if way == "store":
        assert verify(store).returncode == OK
        server = launch()
    assert first["stored_rows"] == 100 and first["known_rows"] == 0
    assert second["stored_rows"] == 0 and second["known_rows"] == 100
    assert second["known_batches"] == first["stored_batches"] >= 7
    assert same_bits(live_rows(server, ids), rows)
    assert Client(server.url, COLLECTION).row_count() == 100


def test_float16_stays_as_it_is(launch, store, tmp_path):
    rows = rows_of(50, 24, dtype="<f2")
    np.save(tmp_path / "rows.npy", rows)
    imported("--store", store, "--first-id", 0, tmp_path / "rows.npy")
    assert same_bits(stored_rows(store), rows)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", ">f4", ">f2"])
@pytest.mark.parametrize("target", ["float32", "float16"])
def test_other_numbers_are_refused_unless_they_are_converted(store, tmp_path, dtype, target):
    rows = (rows_of(50, 24, dtype="<f8") * 3).astype(dtype)
    np.save(tmp_path / "rows.npy", rows)
    arguments = "--store", store, "--first-id", 0, tmp_path / "rows.npy"

    refused = import_(*arguments)
    assert refused.returncode == UNUSABLE and "--convert" in refused.stderr
    assert not store.exists()

    imported(*arguments, "--convert", target)
    assert same_bits(stored_rows(store), rows.astype(target))


def test_newest_row_of_an_id_wins(launch, store, tmp_path):
    """Over sources, over batches of one source, and within one batch."""
    older, newer = rows_of(20, seed=1), rows_of(20, seed=2)
    np.save(tmp_path / "older.npy", older)
    save_lines(tmp_path / "older.ids.txt", range(20))
    np.save(tmp_path / "newer.npy", newer)
    save_lines(tmp_path / "newer.ids.txt", [0, 1, 1, 1, *range(4, 19), 0])

    report = imported(
        "--store", store, "--batch-rows", 10, tmp_path / "older.npy", tmp_path / "newer.npy")

    assert report["replaced_rows"] == 2 and report["stored_rows"] == 38
    server = launch()
    found = live_rows(server, range(20))
    assert same_bits(found[4:19], newer[4:19])
    assert same_bits(found[0], newer[19]) and same_bits(found[1], newer[3])
    assert same_bits(found[2:4], older[2:4]) and same_bits(found[19], older[19])


def test_empty_shard_of_a_folder_is_nothing(store, tmp_path):
    for name, count in [("a", 0), ("b", 3)]:
        np.save(tmp_path / f"{name}.npy", rows_of(count))
        save_lines(tmp_path / f"{name}.ids.txt", range(count))
    assert imported("--store", store, tmp_path)["stored_rows"] == 3


def test_other_label_stores_again(store, tmp_path):
    np.save(tmp_path / "rows.npy", rows_of(5))
    arguments = "--store", store, "--first-id", 0, tmp_path / "rows.npy"
    assert imported(*arguments)["stored_rows"] == 5
    assert imported(*arguments, "--label", "again")["stored_rows"] == 5


def test_batch_id_names_what_the_receipt_says(server, tmp_path):
    np.save(tmp_path / "rows.npy", rows_of(30))
    imported("--url", server.url, "--first-id", 0, "--batch-rows", 10, tmp_path / "rows.npy")
    receipts = Client(server.url, COLLECTION).all_batches()
    assert [receipt["rows"] for receipt in receipts] == [10, 10, 10]
    for number, receipt in enumerate(receipts):
        digest = receipt["digest"].removeprefix("xxh3-128:")
        assert receipt["batch_id"] == f"import.{digest}.{number:06d}"


def test_dry_run_checks_and_stores_nothing(store, tmp_path):
    np.save(tmp_path / "rows.npy", rows_of(30))
    report = imported("--store", store, "--first-id", 0, "--dry-run", tmp_path / "rows.npy")
    assert report["dry_run"] and report["rows"] == 30 and report["stored_rows"] == 0
    assert not store.exists()


def test_memory_does_not_grow_with_the_source(store, tmp_path):
    rows = np.lib.format.open_memmap(
        tmp_path / "rows.npy", mode="w+", dtype="<f4", shape=(131_072, 512))
    rows.flush()
    with started("import", "--store", store, "--first-id", "0", tmp_path / "rows.npy") as process:
        with MemoryWatch(process.pid) as memory:
            memory.wait()
        assert process.wait(60) == OK
    print(memory.peak >> 20, "MiB")
    assert memory.peak < 128 << 20, "beyond mapped files, for 256 MiB of rows"
