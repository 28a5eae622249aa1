# Promise: an import that is broken off goes on when it is run again, however often, and every row is stored once.
import json
import signal
import socket
import subprocess
import time

import numpy as np

from client import Client, rows_of, same_bits, shard_files
from imports import COLLECTION, COULD_NOT_RUN, OK, import_, imported, stored_rows
from server_process import BINARY, clean_environment, verify


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


def test_full_disk_stops_the_import_and_keeps_what_is_stored(store, tmp_path):
    np.save(tmp_path / "rows.npy", rows_of(10))
    arguments = "--store", store, "--first-id", 0, tmp_path / "rows.npy"
    found = import_(*arguments, "--disk-reserve", 1 << 49)
    assert found.returncode == COULD_NOT_RUN and "run again" in found.stderr
    assert imported(*arguments)["stored_rows"] == 10
