# Promise: np.load(mmap_mode="r") in another process works at every instant, and shows no row that was not sent whole.
import multiprocessing
import os
import time

import numpy as np

from client import Client, npz, shard_file, shard_files
from threads import Jobs

SECONDS = float(os.environ.get("INGOT_LIVE_SECONDS", "6"))
WORKER_COUNT = 3
ROW_COUNT = 32
DIMENSION = 128
SHARD_BYTES = 2 << 20
SHARD_ROW_COUNT = SHARD_BYTES // (DIMENSION * 4)


def rows_of_batch(worker, number):
    rows = np.random.default_rng([worker, number]).standard_normal((ROW_COUNT, DIMENSION))
    rows = rows.astype("<f4")
    rows[:, 0], rows[:, 1], rows[:, 2] = worker, number, np.arange(ROW_COUNT)
    return rows


def read_again_and_again(store, sent_counts, acknowledged_rows, done, results):
    """The other process: loads every shard over and over until told that no more comes."""
    load_count, seen, kept = 0, {}, []
    try:
        while True:
            is_last = done.is_set()
            acknowledged = acknowledged_rows.value
            total = 0
            for path in shard_files(store):
                array = np.load(path, mmap_mode="r", allow_pickle=False)
                load_count += 1
                before = seen.get(path, 0)
                assert len(array) > 0, f"{path} is visible without a row"
                assert len(array) >= before, f"{path} went from {before} to {len(array)} rows"
                check(array[before:], sent_counts, path)
                if load_count % 16 == 0:
                    check(array[:before][::61], sent_counts, path)
                if load_count % 64 == 0:
                    kept = kept[-8:] + [(array, array[-1].copy())]
                seen[path] = len(array)
                total += len(array)
            assert total >= acknowledged, f"{total} rows are visible, {acknowledged} acknowledged"
            for array, last_row in kept:
                assert np.array_equal(array[-1], last_row), "an older mapping has changed"
            if is_last:
                break
        results.put((None, load_count, total))
    except BaseException as problem:
        results.put((f"{type(problem).__name__}: {problem}", load_count, 0))


def check(rows, sent_counts, path):
    for row in rows:
        worker, number, index = (int(value) for value in row[:3])
        assert row.any(), f"{path} shows a row of zeros"
        assert 0 <= worker < WORKER_COUNT and 0 <= number < sent_counts[worker], (path, row[:3])
        assert row.tobytes() == rows_of_batch_cached(worker, number)[index].tobytes(), (path, row[:3])


def rows_of_batch_cached(worker, number, cache={}):
    if (worker, number) not in cache:
        if len(cache) > 512:
            cache.clear()
        cache[worker, number] = rows_of_batch(worker, number)
    return cache[worker, number]


def test_live_shards_are_always_readable(launch):
    server = launch("--shard-bytes", SHARD_BYTES)
    context = multiprocessing.get_context("spawn")
    sent_counts = context.Array("q", WORKER_COUNT)
    acknowledged_rows = context.Value("q", 0)
    done, results = context.Event(), context.Queue()
    reader = context.Process(
        target=read_again_and_again, daemon=True,
        args=(str(server.store), sent_counts, acknowledged_rows, done, results))

    def writer(worker):
        client = Client(server.url)

        def write(number):
            sent_counts[worker] = number + 1
            body = npz(
                ids=[f"{worker}/{number}/{index}" for index in range(ROW_COUNT)],
                embeddings=rows_of_batch(worker, number))
            response = client.put_batch(f"w{worker}.{number:06d}", body)
            assert response.status_code == 201, response.text
            with acknowledged_rows.get_lock():
                acknowledged_rows.value += ROW_COUNT
        return write

    reader.start()
    try:
        with Jobs(*map(writer, range(WORKER_COUNT))) as writers:
            end = time.monotonic() + SECONDS
            # So many rows fill the first shard.
            while time.monotonic() < end or acknowledged_rows.value < 2 * SHARD_ROW_COUNT:
                assert reader.is_alive() and not writers.problems, writers.problems
                time.sleep(0.05)
        done.set()
        problem, load_count, row_count = results.get(timeout=120)
        reader.join(30)
    finally:
        reader.kill()

    assert problem is None, problem
    assert row_count == acknowledged_rows.value
    assert len(shard_files(server.store)) > 1, "the shard never changed"
    assert load_count > 100
    print(f"{load_count} loads while {row_count} rows were appended")


def test_row_is_readable_the_moment_it_is_acknowledged(client, server):
    for number in range(100):
        rows = rows_of_batch(0, number)
        client.append([f"{number}/{index}" for index in range(ROW_COUNT)], rows)
        array = np.load(shard_file(server.store), mmap_mode="r")
        assert len(array) == (number + 1) * ROW_COUNT
        assert array[-ROW_COUNT:].tobytes() == rows.tobytes()


def test_header_is_what_numpy_itself_would_write(client, server):
    import io
    rows = rows_of_batch(0, 0)
    client.append(range(ROW_COUNT), rows)
    expected = io.BytesIO()
    np.save(expected, rows)

    with open(shard_file(server.store), "rb") as file:
        assert file.read(128) == expected.getvalue()[:128]
