# Promise: an import that is broken off goes on when it is run again, however often, and every row is stored once.
import contextlib
import json
import signal
import socket
import subprocess

import numpy as np

from client import Client, rows_of, same_bits, shard_files, wait_for
from imports import COLLECTION, COULD_NOT_RUN, OK, import_, imported, stored_rows
from server_process import started, verify


def large_source(folder, count=40_000, dimension=64):
    """Rows that say in their first number which they are, in so many batches that an import of them takes seconds."""
    rows = rows_of(count, dimension)
    rows[:, 0] = np.arange(count)
    np.save(folder / "large.npy", rows)
    return rows, ("--first-id", "0", "--batch-rows", str(max(20, count // 2000)), str(folder / "large.npy"))


def rows_in_headers(store):
    return sum(
        len(np.load(path, mmap_mode="r", allow_pickle=False))
        for path in shard_files(store, COLLECTION))


@contextlib.contextmanager
def importing(folder, *arguments):
    """An import that runs, and the file of what it says."""
    said = folder / "said.txt"
    with open(said, "w") as errors, started(
            "import", "--collection", COLLECTION, "--json", *arguments, stdout=subprocess.PIPE, stderr=errors,
            text=True) as process:
        yield process, said


def wait_until(condition, process, said):
    wait_for(lambda: condition() or process.poll() is not None, bool, pause=0.001)
    assert process.poll() is None, "it ended before: " + said.read_text()


def kill(process):
    process.kill()
    assert process.wait(30) == -signal.SIGKILL


def assert_each_row_once(store, rows):
    stored = stored_rows(store)
    assert same_bits(stored[np.argsort(stored[:, 0], kind="stable")], rows)


def test_killed_import_into_a_store_goes_on(store, tmp_path):
    # Three times what an import has on its way at once, so that it is not through with one more sync.
    rows, arguments = large_source(tmp_path, count=400_000)
    for share in (0.05, 0.3):
        with importing(tmp_path, "--store", store, *arguments) as (process, said):
            wait_until(lambda: store.exists() and rows_in_headers(store) > len(rows) * share, process, said)
            kill(process)
        assert verify(store).returncode == OK

    report = imported("--store", store, *arguments)

    assert report["known_rows"] > 0.3 * len(rows) and report["stored_rows"] > 0
    assert report["known_rows"] + report["stored_rows"] == len(rows)
    assert verify(store).returncode == OK
    assert_each_row_once(store, rows)


def test_killed_import_into_a_server_goes_on(server, tmp_path):
    rows, arguments = large_source(tmp_path, count=20_000)
    client = Client(server.url, COLLECTION)
    with importing(tmp_path, "--url", server.url, *arguments) as (process, said):
        wait_until(lambda: client.row_count() > len(rows) // 4, process, said)
        kill(process)

    report = imported("--url", server.url, *arguments)

    assert report["known_rows"] >= len(rows) // 4 and report["stored_rows"] > 0
    assert server.terminate() == OK
    assert_each_row_once(server.store, rows)


def test_import_survives_the_death_of_the_server(launch, tmp_path):
    rows, arguments = large_source(tmp_path, count=20_000)
    with socket.socket() as reserved:
        # Bound and never listening, it keeps the port from others while the server is gone.
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        server = launch(listen=f"127.0.0.1:{reserved.getsockname()[1]}")
        with importing(tmp_path, "--url", server.url, *arguments) as (process, said):
            for round_number, share in enumerate((0.2, 0.5), 1):
                client = Client(server.url, COLLECTION)
                wait_until(lambda: client.row_count() > len(rows) * share, process, said)
                server.kill()
                wait_until(lambda: said.read_text().count("trying again") >= round_number, process, said)
                server.start()
            output = process.communicate(timeout=120)[0]

    assert process.returncode == OK, said.read_text()
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
