# Promise: a full disk is a state, not a crash: 507 before anything is written, reads go on, writing resumes by itself.
import contextlib
import errno
import os
import sqlite3
import time

import numpy as np
import pytest

from client import Client, load, npz, rows_of, same_bits, wait_for
from mounts import mounted
from server_process import verify

DISK_BYTES = 64 << 20
FILLER_BYTES = 20 << 20
BATCH_ROWS, DIMENSION = 1024, 256
BATCH_BYTES = BATCH_ROWS * DIMENSION * 4
RESUME_SECONDS = 5


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 64 MiB in memory; unmounted whatever happens."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "ingot-test"):
        yield folder


@pytest.fixture
def launch_on(small_disk, launch):
    def start(*flags):
        return launch(*flags, "--shard-bytes", "8MiB", store=small_disk / "store")
    return start


def fill(path, byte_count):
    with open(path, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, byte_count)


def fill_the_rest(folder):
    """Takes what is free. The server takes some as well meanwhile, for its catalog."""
    for attempt in range(100):
        free = os.statvfs(folder)
        if not free.f_bavail:
            return
        try:
            fill(folder / f"filler-{attempt}", free.f_bavail * free.f_frsize)
        except OSError as error:
            assert error.errno == errno.ENOSPC


def batches_in_catalog(store):
    with contextlib.closing(sqlite3.connect(f"file:{store}/catalog.sqlite?mode=ro", uri=True)) as catalog:
        return catalog.execute("select count(*) from batches").fetchone()[0]


def remove_fillers(folder):
    for path in folder.glob("filler*"):
        path.unlink()


def batch(number):
    ids = np.arange(number * BATCH_ROWS, (number + 1) * BATCH_ROWS)
    return npz(ids=ids, embeddings=rows_of(BATCH_ROWS, DIMENSION, number))


def fill_with_batches(client):
    """Posts batches until one is refused; gives how many were stored, and the refusal."""
    for number in range(2 * DISK_BYTES // BATCH_BYTES):
        response = client.put_batch(f"b{number}", batch(number))
        if response.status_code != 201:
            # Sealing gives back what was reserved ahead: full is what is full after that.
            wait_until_still(client)
            response = client.put_batch(f"b{number}", batch(number))
        if response.status_code != 201:
            return number, response
    pytest.fail("more was stored than the disk can hold")


def wait_until_still(client):
    """Until the free space has not changed for half a second."""
    free, since = None, time.monotonic()
    while time.monotonic() - since < 0.5:
        now = client.get("/disk").json()["free_bytes"]
        if now != free:
            free, since = now, time.monotonic()
        time.sleep(0.02)


def assert_refused(response):
    assert response.status_code == 507, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    problem = response.json()
    assert problem["code"] == "disk-full" and problem["retryable"] is True
    assert problem["needed_bytes"] > 0 and problem["free_bytes"] >= 0
    assert int(response.headers["Retry-After"]) >= 0


def assert_readable(client, count):
    assert client.get("/livez").status_code == 200
    assert client.row_count() == count * BATCH_ROWS
    for number in (0, count // 2, count - 1):
        assert client.receipt(f"b{number}").status_code == 200
        rows = load(client.fetch(range(number * BATCH_ROWS, number * BATCH_ROWS + 5)).content)
        assert same_bits(rows["embeddings"], rows_of(BATCH_ROWS, DIMENSION, number)[:5])


def seconds_until_stored(client, number):
    started = time.monotonic()
    while True:
        response = client.put_batch(f"b{number}", batch(number))
        if response.status_code == 201:
            return time.monotonic() - started
        assert_refused(response)
        assert time.monotonic() - started < 4 * RESUME_SECONDS, "writing did not resume"
        time.sleep(0.1)


@pytest.mark.fault("B1", "B6")
@pytest.mark.parametrize("reserve", ["8MiB", "0"])
def test_full_disk_refuses_reads_on_and_resumes(small_disk, launch_on, reserve, injections):
    server = launch_on("--disk-reserve", reserve)
    client = Client(server.url)
    fill(small_disk / "filler", FILLER_BYTES)

    count, refusal = fill_with_batches(client)

    assert count > 5
    assert_refused(refusal)
    injections.add()
    assert_readable(client, count)
    assert client.get("/disk").json()["accepting"] is False
    assert client.get("/readyz").status_code == 503
    for _ in range(20):
        assert_refused(client.put_batch(f"b{count}", batch(count)))
    assert client.receipt(f"b{count}").status_code == 404

    (small_disk / "filler").unlink()
    assert seconds_until_stored(client, count) < RESUME_SECONDS
    assert client.get("/readyz").status_code == 200
    assert_readable(client, count + 1)
    assert server.terminate() == 0
    assert verify(server.store).returncode == 0


@pytest.mark.fault("B1", "B5", "B6")
@pytest.mark.parametrize("reserve", ["4MiB", "0"])
def test_another_program_takes_the_last_byte(small_disk, launch_on, reserve, injections):
    server = launch_on("--disk-reserve", reserve)
    client = Client(server.url)
    for number in range(3):
        assert client.put_batch(f"b{number}", batch(number)).status_code == 201
    fill_the_rest(small_disk)

    count = 3
    for _ in range(2 * DISK_BYTES // BATCH_BYTES):  # space that was reserved before may still be used
        response = client.put_batch(f"b{count}", batch(count))
        if response.status_code != 201:
            break
        count += 1

    assert_refused(response)
    injections.add()
    assert_readable(client, count)
    remove_fillers(small_disk)
    assert seconds_until_stored(client, count) < RESUME_SECONDS
    assert server.terminate() == 0
    assert verify(server.store).returncode == 0


@pytest.mark.fault("B1")
def test_crash_on_a_full_disk_loses_nothing(small_disk, launch_on, injections):
    server = launch_on("--disk-reserve", "0")
    count, _ = fill_with_batches(Client(server.url))
    fill_the_rest(small_disk)
    server.kill()
    injections.add()

    server.start()

    client = Client(server.url)
    assert_readable(client, count)
    assert_refused(client.put_batch(f"b{count}", batch(count)))
    remove_fillers(small_disk)
    assert server.terminate() == 0
    assert verify(server.store).returncode == 0


@pytest.mark.fault("B3", "B5")
def test_deletions_and_the_catalog_go_on_without_a_free_byte(small_disk, launch_on, injections):
    """The ballast is what they use: the ids of the deletions need more room in the log than was reserved ahead."""
    server = launch_on("--disk-reserve", "32MiB")
    client = Client(server.url)
    ids = [[f"{number}-{index}".ljust(500, "x") for index in range(BATCH_ROWS)] for number in range(4)]
    for number in range(4):
        client.append(ids[number], rows_of(BATCH_ROWS, DIMENSION, number))
    wait_for(lambda: (server.store / ".ballast").exists(), bool)
    # Else the catalog gives the ballast up while the disk is filled, and what fills it takes that too.
    wait_for(lambda: batches_in_catalog(server.store), lambda count: count == 4)
    fill_the_rest(small_disk)
    injections.add()

    for number in range(3):
        assert client.delete(ids[number])["deleted"] == BATCH_ROWS

    assert sorted(client.ids()) == sorted(ids[3])
    assert not (server.store / ".ballast").exists()
    assert_refused(client.put_batch("b3", batch(3)))
    wait_for(
        lambda: client.get("/health").json()["checks"]["catalog"],
        lambda check: check["status"] == "pass")
    remove_fillers(small_disk)
    wait_for(lambda: (server.store / ".ballast").exists(), bool)
    assert server.terminate() == 0
    assert verify(server.store).returncode == 0
