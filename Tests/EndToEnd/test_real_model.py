# Promise: real vectors of a real model survive a crash in the middle, and search finds in the files what it finds in memory.
import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from client import Client, same_bits, shard_file, wait_for
from resuming_worker import BATCH_ROW_COUNT, DATA, SERVER_GONE
from server_process import verify

WORKER = Path(__file__).with_name("resuming_worker.py")
QUERY_COUNT = 100
NEIGHBOR_COUNT = 10


@contextlib.contextmanager
def workers_of(server, receipts_paths, row_count):
    """Two processes, a half of the rows each; killed at the end of the block if they still run."""
    half = row_count // 2
    with contextlib.ExitStack() as started:
        workers = []
        for (name, first, stop), path in zip([("left", 0, half), ("right", half, row_count)], receipts_paths):
            command = [sys.executable, str(WORKER), server.url, name, str(first), str(stop), path]
            workers.append(started.enter_context(subprocess.Popen(command)))
            started.callback(workers[-1].kill)
        yield workers


def receipts_in(paths):
    lines = [line for path in paths if Path(path).exists()
             for line in Path(path).read_text().splitlines(keepends=True) if line.endswith("\n")]
    return [json.loads(line) for line in lines]


def nearest(matrix, ids):
    """The ids of the nearest neighbors by cosine of the first rows by id, best first."""
    unit = matrix.astype("f8")
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    row_of_id = {row_id: row for row, row_id in enumerate(ids)}
    found = []
    for query in range(QUERY_COUNT):
        scores = np.round(unit @ unit[row_of_id[query]], 9)
        found.append([ids[row] for row in np.lexsort((ids, -scores))[:NEIGHBOR_COUNT]])
    return found


def test_sentences_survive_a_crash_and_are_found_again(launch, tmp_path):
    embeddings = np.load(DATA / "minilm-sentences.npz")["embeddings"]
    sentences = (DATA / "sentences.txt").read_text().splitlines()
    assert embeddings.shape == (len(sentences), 384)
    paths = [str(tmp_path / "left.receipts"), str(tmp_path / "right.receipts")]
    server = launch()

    with workers_of(server, paths, len(sentences)) as workers:
        half_of_batches = len(sentences) // BATCH_ROW_COUNT // 2
        wait_for(lambda: len(receipts_in(paths)), lambda count: count >= half_of_batches)
        server.kill()
        assert [worker.wait(60) for worker in workers] == [SERVER_GONE, SERVER_GONE]
    before_crash = receipts_in(paths)
    assert verify(server.store).returncode == 0

    server.start()
    with workers_of(server, paths, len(sentences)) as workers:
        assert [worker.wait(120) for worker in workers] == [0, 0]

    receipts = {}
    for receipt in receipts_in(paths):
        assert receipts.setdefault(receipt["batch_id"], receipt) == receipt, "a receipt has changed"
    assert all(receipts[receipt["batch_id"]] == receipt for receipt in before_crash)
    assert sum(receipt["rows"] for receipt in receipts.values()) == len(sentences)
    assert Client(server.url).row_count() == len(sentences), "rows were stored twice"
    assert server.terminate() == 0

    ids = np.full(len(sentences), -1)
    stored = np.load(shard_file(server.store), mmap_mode="r")
    for receipt in receipts.values():
        first_id = int(receipt["batch_id"].split(".")[1])
        in_file = slice(receipt["first_row"], receipt["first_row"] + receipt["rows"])
        ids[in_file] = np.arange(first_id, first_id + receipt["rows"])
        assert receipt["shard"] == 0
        assert same_bits(stored[in_file], embeddings[ids[in_file]]), receipt
    assert sorted(ids) == list(range(len(sentences)))
    assert nearest(stored, ids.tolist()) == nearest(embeddings, list(range(len(sentences))))
