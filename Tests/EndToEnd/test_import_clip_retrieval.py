# Promise: a folder that clip-retrieval wrote is stored once, with the image paths as ids, however often it is imported.
import json
import os
import subprocess
import sys

import numpy as np
import pandas
import pytest

from client import Client, rows_of, same_bits, shard_files
from server_process import ROOT, verify

OK, COULD_NOT_RUN, UNUSABLE, USAGE = 0, 2, 4, 64
DIMENSION = 64


def import_(*arguments):
    return subprocess.run(
        [sys.executable, ROOT / "deploy/import-clip-retrieval", "--collection", "clip", "--json",
         *map(str, arguments)], capture_output=True, text=True, timeout=120)


def write_as_clip_retrieval(folder, row_counts, partition_count):
    """What the `write_batch` of clip-retrieval's numpy writer leaves; gives ids and rows."""
    digit_count = int(np.log10(partition_count)) + 1
    for name in ("img_emb", "text_emb", "metadata"):
        (folder / name).mkdir(parents=True)
    all_ids, all_rows = [], []
    for number, row_count in enumerate(row_counts):
        digits = str(number).zfill(digit_count)
        rows = rows_of(row_count, DIMENSION, seed=number, dtype="<f2")
        ids = [f"images/{number:05d}/größe {index}.jpg" for index in range(row_count)]
        np.save(folder / f"img_emb/img_emb_{digits}.npy", rows)
        np.save(folder / f"text_emb/text_emb_{digits}.npy", -rows)
        pandas.DataFrame({
            "image_path": ids, "caption": [f"a picture, {index}" for index in range(row_count)],
            "width": range(row_count),
        }).to_parquet(folder / f"metadata/metadata_{digits}.parquet")
        all_ids += ids
        all_rows.append(rows)
    return all_ids, np.concatenate(all_rows)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "embeddings"


def test_without_pyarrow_it_helps_all_the_same(tmp_path):
    (tmp_path / "pyarrow.py").write_text("raise ImportError('No module named pyarrow')")
    program = [sys.executable, ROOT / "deploy/import-clip-retrieval"]
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    found = subprocess.run([*program, "--help"], env=environment, capture_output=True, text=True, timeout=60)
    assert found.returncode == OK and "--id-column" in found.stdout
    found = subprocess.run(
        [*program, "--url", "http://127.0.0.1:1", tmp_path], env=environment, capture_output=True, text=True, timeout=60)
    assert found.returncode == COULD_NOT_RUN and "pip install numpy pyarrow" in found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("partition_count", [1, 10, 100], ids=["0", "00", "000"])
def test_every_row_is_stored_once_under_its_image_path(server, folder, partition_count):
    ids, rows = write_as_clip_retrieval(folder, [70, 1, 130][:partition_count], partition_count)
    arguments = "--url", server.url, "--batch-rows", 50, folder

    first, second = import_(*arguments), import_(*arguments)

    assert first.returncode == OK, first.stderr
    assert second.returncode == OK, second.stderr
    first, second = json.loads(first.stdout), json.loads(second.stdout)
    assert first["stored_rows"] == len(ids) and first["known_rows"] == 0
    assert second["stored_rows"] == 0 and second["known_rows"] == len(ids)
    client = Client(server.url, "clip")
    assert client.row_count() == len(ids)
    assert same_bits(np.stack([client.row(row_id, "<f2") for row_id in ids]), rows)
    assert server.terminate() == OK
    assert verify(server.store).returncode == OK
    stored = np.concatenate([np.load(path) for path in shard_files(server.store, "clip")])
    assert stored.dtype == np.float16 and len(stored) == len(ids)


def test_run_that_was_broken_off_goes_on(server, folder):
    """A later part is missing in the first run, as when its writer had not come to it."""
    ids, rows = write_as_clip_retrieval(folder, [40, 40], 10)
    late = [folder / "img_emb/img_emb_01.npy", folder / "metadata/metadata_01.parquet"]
    for path in late:
        path.rename(path.with_suffix(".later"))
    assert json.loads(import_("--url", server.url, folder).stdout)["stored_rows"] == 40
    for path in late:
        path.with_suffix(".later").rename(path)

    report = json.loads(import_("--url", server.url, folder).stdout)

    assert report["known_rows"] == 40 and report["stored_rows"] == 40
    assert Client(server.url, "clip").row_count() == 80


def test_last_row_of_an_id_wins(server, folder):
    ids, rows = write_as_clip_retrieval(folder, [10], 1)
    table = folder / "metadata/metadata_0.parquet"
    frame = pandas.read_parquet(table)
    frame.loc[3, "image_path"] = frame.loc[7, "image_path"]
    frame.to_parquet(table)
    assert json.loads(import_("--url", server.url, folder).stdout)["stored_rows"] == 9
    assert same_bits(Client(server.url, "clip").row(ids[7], "<f2"), rows[7])


def test_text_embeddings_and_another_column(server, folder):
    _, rows = write_as_clip_retrieval(folder, [10], 1)
    found = import_(
        "--url", server.url, "--embeddings", "text", "--id-column", "caption", folder)
    assert found.returncode == OK, found.stderr
    assert same_bits(Client(server.url, "clip").row("a picture, 4", "<f2"), -rows[4])


def test_unknown_column_is_named_with_those_that_are_there(server, folder):
    write_as_clip_retrieval(folder, [10], 1)
    found = import_("--url", server.url, "--id-column", "key", folder)
    assert found.returncode == UNUSABLE
    assert "image_path, caption, width" in found.stderr


def test_array_without_its_table_stops_before_anything_is_sent(server, folder):
    write_as_clip_retrieval(folder, [10, 10], 10)
    (folder / "metadata/metadata_01.parquet").unlink()
    found = import_("--url", server.url, folder)
    assert found.returncode == UNUSABLE and "img_emb_01.npy" in found.stderr
    assert Client(server.url, "clip").row_count() == 0


def test_table_of_another_run_stops_before_anything_is_sent(server, folder):
    write_as_clip_retrieval(folder, [10, 12], 10)
    np.save(folder / "img_emb/img_emb_01.npy", rows_of(11, DIMENSION, dtype="<f2"))
    found = import_("--url", server.url, folder)
    assert found.returncode == UNUSABLE and "12 rows" in found.stderr and "11" in found.stderr
    assert Client(server.url, "clip").row_count() == 0


def test_rows_that_are_not_finite_are_named_by_the_server(server, folder):
    ids, rows = write_as_clip_retrieval(folder, [10], 1)
    rows[4, 2] = np.inf
    np.save(folder / "img_emb/img_emb_0.npy", rows)
    found = import_("--url", server.url, folder)
    assert found.returncode == UNUSABLE
    assert "non-finite" in found.stderr and ids[4] in found.stderr


def test_nobody_listens_exits_2(folder):
    import socket
    write_as_clip_retrieval(folder, [10], 1)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        found = import_("--url", url, "--retry-seconds", 0, folder)
    assert found.returncode == COULD_NOT_RUN and "refused" in found.stderr


@pytest.mark.parametrize("flags, code, says", [
    (["--url", "nowhere"], USAGE, "--url"),
    (["--url", "http://127.0.0.1:1", "--batch-rows", "0"], USAGE, "--batch-rows"),
    (["--url", "http://127.0.0.1:1"], UNUSABLE, "img_emb")])
def test_bad_option_or_folder_is_named(tmp_path, flags, code, says):
    found = import_(*flags, tmp_path)
    assert found.returncode == code and says in found.stderr
