# Promise: `ingot import` stores every row of .npy and .npz files once, however often it is broken off and run again.
import http.server
import json
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from client import Client, rows_of, same_bits, shard_files
from server_process import BINARY, clean_environment, command, verify

OK, COULD_NOT_RUN, IN_USE, UNUSABLE, USAGE = 0, 2, 3, 4, 64
COLLECTION = "clip"


def import_(*arguments, **options):
    return command("import", "--collection", COLLECTION, *arguments, **options)


def imported(*arguments, **options):
    """Imports what must be taken, and gives the report."""
    found = import_("--json", *arguments, **options)
    assert found.returncode == OK, found.stderr
    return json.loads(found.stdout)


def live_rows(server, ids, dtype="<f4"):
    """What a server serves for ids, in their order."""
    client = Client(server.url, COLLECTION)
    return np.stack([client.row(row_id, dtype) for row_id in ids])


def stored_rows(store):
    return np.concatenate([np.load(path) for path in shard_files(store, COLLECTION)])


def save_lines(path, ids, end="\n"):
    path.write_bytes("".join(f"{row_id}{end}" for row_id in ids).encode())
    return path


# What is taken

def npy_with_lines(folder, ids, rows):
    np.save(folder / "rows.npy", rows)
    return "--ids", save_lines(folder / "paths.txt", ids), folder / "rows.npy"


def npy_with_windows_lines(folder, ids, rows):
    np.save(folder / "rows.npy", rows)
    text = save_lines(folder / "paths.txt", ids, end="\r\n")
    text.write_bytes(text.read_bytes().removesuffix(b"\r\n"))
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
    (npy_with_lines, STRINGS), (npy_with_windows_lines, STRINGS), (npy_with_array("U"), STRINGS),
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
    process = subprocess.Popen(
        [BINARY, "import", "--store", store, "--first-id", "0", tmp_path / "rows.npy"],
        env=clean_environment())
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    # Until it is waited for, a process that has ended keeps its file, without this line.
    while found := re.search(r"RssAnon:\s+(\d+) kB", status.read_text()):
        peak = max(peak, int(found[1]) << 10)
        time.sleep(0.005)
    assert process.wait(60) == OK
    print(peak >> 20, "MiB")
    assert 0 < peak < 128 << 20, "beyond mapped files, for 256 MiB of rows"


# Broken off

def large_source(folder, count=60_000, dimension=64):
    """Rows that say in their first number which they are."""
    rows = rows_of(count, dimension)
    rows[:, 0] = np.arange(count)
    np.save(folder / "large.npy", rows)
    return rows, ("--first-id", "0", "--batch-rows", "100", str(folder / "large.npy"))


def rows_in_headers(store):
    return sum(
        len(np.load(path, mmap_mode="r", allow_pickle=False))
        for path in shard_files(store, COLLECTION))


def start_import(*arguments):
    return subprocess.Popen(
        [BINARY, "import", "--collection", COLLECTION, "--json", *map(str, arguments)],
        env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, "it ended before: " + process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.001)


def assert_each_row_once(store, rows):
    stored = stored_rows(store)
    assert same_bits(stored[np.argsort(stored[:, 0], kind="stable")], rows)


def test_killed_import_into_a_store_goes_on(store, tmp_path):
    rows, arguments = large_source(tmp_path)
    known = 0
    for share in (0.1, 0.5):
        process = start_import("--store", store, *arguments)
        wait_until(lambda: store.exists() and rows_in_headers(store) > len(rows) * share, process)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert verify(store).returncode == OK

    report = imported("--store", store, *arguments)

    assert report["known_rows"] >= len(rows) // 2 and report["stored_rows"] > 0
    assert report["known_rows"] + report["stored_rows"] == len(rows)
    assert verify(store).returncode == OK
    assert_each_row_once(store, rows)


def test_killed_import_into_a_server_goes_on(server, tmp_path):
    rows, arguments = large_source(tmp_path, count=20_000)
    client = Client(server.url, COLLECTION)
    process = start_import("--url", server.url, *arguments)
    wait_until(lambda: client.row_count() > len(rows) // 4, process)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    report = imported("--url", server.url, *arguments)

    assert report["known_rows"] >= len(rows) // 4 and report["stored_rows"] > 0
    assert server.terminate() == OK
    assert_each_row_once(server.store, rows)


def test_import_survives_the_death_of_the_server(launch, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{free.getsockname()[1]}"
    server = launch(listen=listen)
    rows, arguments = large_source(tmp_path, count=20_000)
    client = Client(server.url, COLLECTION)
    process = start_import("--url", server.url, *arguments)
    for share in (0.2, 0.5):
        wait_until(lambda: client.row_count() > len(rows) * share, process)
        server.kill()
        # Found gone at least once before it comes back.
        time.sleep(0.5)
        server.start()
        client = Client(server.url, COLLECTION)
    output, errors = process.communicate(timeout=120)

    assert process.returncode == OK, errors
    assert errors.count("trying again") >= 2
    report = json.loads(output)
    assert report["stored_rows"] + report["known_rows"] == len(rows)
    assert server.terminate() == OK
    assert verify(server.store).returncode == OK
    assert_each_row_once(server.store, rows)


class Moody(http.server.BaseHTTPRequestHandler):
    """A server that refuses each first try of a batch in another way."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document, **fields):
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        code = "batch-unknown" if "/batches/" in self.path else "collection-unknown"
        self.answer(404, {"code": code, "detail": "no", "retryable": False})

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if "/batches/" not in self.path:
            return self.answer(201, {"dimension": 8, "dtype": "float32"})
        self.server.times.append(time.monotonic())
        mood = self.server.moods.pop(0) if self.server.moods else 201
        if mood == "lost":
            self.close_connection = True
        elif mood == 201:
            self.answer(201, {"sequence": 1})
        elif mood == 422:
            self.answer(422, {"code": "some-reason", "detail": "this and that", "retryable": False})
        else:
            self.answer(
                mood, {"code": f"code-{mood}", "detail": f"because {mood}", "retryable": True},
                Retry_After="1")


@pytest.fixture
def moody():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    server.moods, server.times = [], []
    server.daemon_threads = True
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("mood", [429, 503, 507, 500, "lost"])
def test_refusals_that_pass_are_told_and_waited_for(moody, tmp_path, mood):
    moody.moods = [mood]
    np.save(tmp_path / "rows.npy", rows_of(3))
    found = import_("--url", moody.url, "--first-id", 0, tmp_path / "rows.npy")
    assert found.returncode == OK, found.stderr
    first, second = moody.times
    if mood != "lost":
        assert "trying again" in found.stderr
        assert f"code-{mood}" in found.stderr and f"because {mood}" in found.stderr
        assert second - first >= 1, "Retry-After was not honored"


def test_patience_ends(moody, tmp_path):
    moody.moods = [507] * 100
    np.save(tmp_path / "rows.npy", rows_of(3))
    arguments = "--url", moody.url, "--first-id", 0, tmp_path / "rows.npy", "--retry-seconds"
    at_once = import_(*arguments, 0)
    assert at_once.returncode == COULD_NOT_RUN and "because 507" in at_once.stderr
    assert len(moody.times) == 1
    later = import_(*arguments, 2)
    assert later.returncode == COULD_NOT_RUN
    assert len(moody.times) == 1 + 3


def test_refusal_for_good_is_not_tried_again(moody, tmp_path):
    moody.moods = [422]
    np.save(tmp_path / "rows.npy", rows_of(3))
    found = import_("--url", moody.url, "--first-id", 0, tmp_path / "rows.npy")
    assert found.returncode == UNUSABLE
    assert "some-reason" in found.stderr and "this and that" in found.stderr
    assert len(moody.times) == 1


def test_nobody_listens(tmp_path):
    np.save(tmp_path / "rows.npy", rows_of(3))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        found = import_(
            "--url", url, "--retry-seconds", 0, "--first-id", 0, tmp_path / "rows.npy")
    assert found.returncode == COULD_NOT_RUN and "refused" in found.stderr


# What is refused

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


def torn(folder):
    np.save(folder / "x.npy", rows_of(10))
    cut(folder / "x.npy", 128 + 7 * 32 + 5)
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


def flipped_archive(folder):
    np.savez(folder / "x.npz", ids=np.arange(1000), embeddings=rows_of(1000))
    content = bytearray((folder / "x.npz").read_bytes())
    content[len(content) * 3 // 4] ^= 1
    (folder / "x.npz").write_bytes(content)
    return (folder / "x.npz",)


def flipped_deflated_archive(folder):
    np.savez_compressed(folder / "x.npz", ids=np.arange(1000), embeddings=rows_of(1000))
    content = bytearray((folder / "x.npz").read_bytes())
    content[len(content) * 3 // 4] ^= 1
    (folder / "x.npz").write_bytes(content)
    return (folder / "x.npz",)


def empty_folder(folder):
    return (folder,)


def clip_retrieval_folder(folder):
    (folder / "img_emb").mkdir()
    return (folder,)


@pytest.mark.parametrize("make, says", [
    (text_instead_of_npy, "neither .npy nor .npz"), (fortran_order, "ascontiguousarray"),
    (one_axis, "two axes"), (integers, "<i8"), (objects, "objects"),
    (torn, "(10, 8) and 7 whole rows"), (no_ids, "--first-id"), (ids_twice, "x.ids.npy"),
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
    assert not store.exists()


@pytest.mark.parametrize("lines, says", [
    (b"a\n\nc\n", "row 1 has an empty id"), (b"a\nb\xff\nc\n", "row 1 has an id that is not"),
    (b"a\nb\n" + b"c" * 513 + b"\n", "row 2 has an id of more than 512"),
    (b"c" * 100_000 + b"\nb\nc\n", "longer than an id")])
def test_bad_id_is_named(store, tmp_path, lines, says):
    np.save(tmp_path / "x.npy", rows_of(3))
    (tmp_path / "x.ids.txt").write_bytes(lines)
    found = import_("--store", store, tmp_path / "x.npy")
    assert found.returncode == UNUSABLE and says in found.stderr


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


def test_full_disk_stops_the_import_and_keeps_what_is_stored(store, tmp_path):
    np.save(tmp_path / "rows.npy", rows_of(10))
    arguments = "--store", store, "--first-id", 0, tmp_path / "rows.npy"
    found = import_(*arguments, "--disk-reserve", 1 << 49)
    assert found.returncode == COULD_NOT_RUN and "run again" in found.stderr
    assert imported(*arguments)["stored_rows"] == 10


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
