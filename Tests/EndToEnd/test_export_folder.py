# Promise: the folder of --layout clip-retrieval is read by embedding-reader, and imported again as it was.
import os
import subprocess
import sys

import pytest

from client import Client
from exports import (
    COLLECTION, COULD_NOT_RUN, OK, assert_folder_holds, crc32c, export, exported, fill)
from server_process import ROOT, verify


@pytest.mark.parametrize("dtype", ["<f4", "<f2"])
def test_embedding_reader_reads_the_folder(launch, tmp_path, dtype):
    server = launch("--shard-bytes", "16KiB")
    rows = fill(Client(server.url, COLLECTION), dtype)
    assert server.terminate() == OK
    place = ("--store", server.store, "--layout", "clip-retrieval", "--out", tmp_path / "folder")
    report = exported(*place)
    files = sorted((tmp_path / "folder/img_emb").iterdir())
    shards = {path.stat().st_ino for path in server.store.rglob("embeddings.npy")}
    linked = [path for path in files if path.stat().st_ino in shards]

    assert 2 < len(files) < len(shards), "shards without a live row are left out"
    assert 0 < len(linked) < len(files) and report["linked_files"] == len(linked)
    assert report["rows"] == len(rows.live)
    for file in report["files"]:
        data = (tmp_path / "folder" / file["path"]).read_bytes()
        assert file["bytes"] == len(data) and file["crc32c"] == f"{crc32c(data):08x}"
    assert_folder_holds(tmp_path / "folder", rows.ids, rows.array)

    found = export(*place)
    assert found.returncode == COULD_NOT_RUN and "--force" in found.stderr
    # As tab completion writes it.
    again = exported(*place[:-1], f"{tmp_path}/folder/", "--force", "--copy")
    assert again["linked_files"] == 0 and again["out"] == str(tmp_path / "folder")
    assert exported(*place[:-1], f"{tmp_path}/new//")["rows"] == len(rows.live)
    assert_folder_holds(tmp_path / "new", rows.ids, rows.array)
    files = sorted((tmp_path / "folder/img_emb").iterdir())
    assert not [path for path in files if path.stat().st_ino in shards]
    assert_folder_holds(tmp_path / "folder", rows.ids, rows.array)
    (tmp_path / "folder/mine.txt").write_text("precious")
    found = export(*place, "--force")
    assert found.returncode == COULD_NOT_RUN and "more than img_emb and metadata" in found.stderr
    assert (tmp_path / "folder/mine.txt").read_text() == "precious"
    assert not (tmp_path / "folder.part").exists()
    assert verify(server.store).returncode == OK


def test_folder_is_imported_again_as_it_was(launch, tmp_path):
    server = launch("--shard-bytes", "16KiB")
    fill(Client(server.url, COLLECTION))
    assert server.terminate() == OK
    exported(
        "--store", server.store, "--layout", "clip-retrieval", "--out", tmp_path / "folder")
    copy = launch(store=tmp_path / "copy")
    imported = subprocess.run(
        [sys.executable, ROOT / "deploy/import-clip-retrieval", "--url", copy.url,
         "--collection", COLLECTION, tmp_path / "folder"], capture_output=True, text=True)
    assert imported.returncode == OK, imported.stderr
    exported("--url", copy.url, "--out", tmp_path / "copy.npz")
    exported("--store", server.store, "--out", tmp_path / "first.npz")
    assert (tmp_path / "copy.npz").read_bytes() == (tmp_path / "first.npz").read_bytes()


def test_folder_on_another_disk_is_copied(launch, tmp_path):
    other = "/dev/shm"
    if os.stat(other).st_dev == os.stat(tmp_path).st_dev:
        other = "/run"
    server = launch("--shard-bytes", "16KiB")
    rows = fill(Client(server.url, COLLECTION))
    assert server.terminate() == OK
    folder = tmp_path / "folder"
    place = f"{other}/ingot-test-{os.getpid()}"
    assert os.stat(other).st_dev != os.stat(tmp_path).st_dev
    try:
        report = exported(
            "--store", server.store, "--layout", "clip-retrieval", "--out", place)
        folder.symlink_to(place)
        assert report["linked_files"] == 0
        assert_folder_holds(folder, rows.ids, rows.array)
    finally:
        subprocess.run(["rm", "-r", "--", place], check=True)
