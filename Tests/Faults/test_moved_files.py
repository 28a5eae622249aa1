# Promise: files that somebody moves, replaces or leaves behind are named; what they are not is served on (E2, E3, E8 to E10). On a
# running server, and after its restart. Replacements in a stopped store: Tests/EndToEnd/test_quarantine.py.
import json
import os
import shutil
import stat
import time

import pytest

from client import Client, wait_for
from damage import shard_folder, swap
from load import BATCH_BYTES, Load, assert_all_right, ids_of, is_alive
from mounts import mounted
from server_process import command, verify

SMALL_SHARD = 3 * BATCH_BYTES
COULD_NOT_RUN, IN_USE, USAGE = 2, 3, 64
START_SECONDS = 20


@pytest.fixture
def filled(launch):
    """A server with ten batches in sealed shards and one that grows, and the load that knows them."""
    server = launch("--shard-bytes", SMALL_SHARD)
    load, client = Load(server.url), Client(server.url)
    for number in range(10):
        assert load.write(client, 0, number)
    wait_for(lambda: [one["state"] for one in client.integrity()["shards"]], lambda it: it[:-1] == ["sealed"] * 3)
    return server, load


def deleted(store):
    shutil.rmtree(shard_folder(store, 1))


def renamed(store):
    shard_folder(store, 1).rename(shard_folder(store, 1).with_name("000001.old"))


def swapped(store):
    swap(shard_folder(store, 1), shard_folder(store, 2))


def replaced(kind, name):
    def replace(store):
        path = shard_folder(store, 1) / name
        path.rename(store.parent / "aside")
        make(kind, path, store.parent / "aside")
    replace.__name__ = f"{name} is a {kind}"
    return replace


def make(kind, path, target):
    match kind:
        case "symlink": path.symlink_to(target)
        case "FIFO": os.mkfifo(path)
        case "directory": path.mkdir()
        case "device": os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))


KINDS = ["symlink", "FIFO", "directory", "device"]
MOVES = [deleted, renamed, swapped, *(
    replaced(kind, name) for name in ("embeddings.npy", "commits.log") for kind in KINDS)]


@pytest.mark.fault("E2", "E3")
@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__)
def test_a_shard_that_is_moved_under_a_server_is_named_and_the_others_serve(filled, tmp_path, injections, move):
    server, load = filled
    kept = tmp_path / "kept"
    shutil.copytree(server.store, kept)
    moved = {1, 2} if move is swapped else {1}

    move(server.store)
    injections.add()
    client = Client(server.url)
    # What is mapped is what it was; what is served is right, whatever the name stands for by now.
    assert served(load, client) >= set(range(10)) - batches_of(load, moved)
    client.scrub()
    named = {one["shard"] for one in client.integrity()["shards"]
             if one["state"] == "lost" or one["damaged"] or one["findings"]}
    assert named == moved
    assert client.get("/health").json()["status"] == "warn"
    assert load.write(client, 1, 0)

    server.kill()
    server.start()
    load.url, client = server.url, Client(server.url)
    assert served(load, client) == set(range(10)) - batches_of(load, moved)
    lost = [one for number in batches_of(load, moved) for one in ids_of(0, number)]
    assert client.states(lost).keys() == set(lost)
    assert client.get("/health").json()["status"] == "warn"

    # Put back, it is served again.
    assert server.terminate() == 0
    for shard in moved:
        folder = shard_folder(server.store, shard)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(shard_folder(kept, shard), folder)
    server.start()
    load.url = server.url
    assert served(load, Client(server.url)) == set(range(10))
    assert_all_right(server, load.acknowledged(), load.sent)


def batches_of(load, shards):
    return {int(batch_id.split(".")[1]) for batch_id, receipt in load.acknowledged().items()
            if receipt["shard"] in shards and batch_id.startswith("0.")}


def served(load, client):
    """The batches of writer 0 whose rows are served, which must be right."""
    found = set()
    for number in range(10):
        response = client.get(client.row_path(ids_of(0, number)[5]), headers={"Accept": "application/x-npy"})
        if response.status_code == 200:
            load.read(client, f"0.{number}")
            found.add(number)
        else:
            assert response.status_code == 500, response.text
    return found


@pytest.mark.fault("E3")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["store.json", "collections/default/collection.json", "catalog.sqlite"])
def test_a_file_of_the_store_that_is_none_is_refused_or_made_again(filled, tmp_path, injections, name, kind):
    server, load = filled
    assert server.terminate() == 0
    path, aside = server.store / name, tmp_path / "aside"
    path.rename(aside)
    before = aside.read_bytes()
    make(kind, path, aside)
    injections.add()

    if name == "store.json":
        found = command("serve", "--store", server.store, "--listen", "127.0.0.1:0", timeout=START_SECONDS)
        assert found.returncode == COULD_NOT_RUN and "store.json" in found.stderr
    else:
        server.start()
        client = Client(server.url)
        assert client.get("/health").json()["status"] == "warn"
        if name == "catalog.sqlite":
            assert served(load, client) == set(range(10))
        else:
            assert client.get(client.base).status_code == 404
        assert server.terminate() == 0
    assert aside.read_bytes() == before, "written through a link"

    if not path.is_file() or path.is_symlink():
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
        aside.rename(path)
    server.start()
    load.url = server.url
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("E8")
def test_what_is_not_ingots_is_reported_and_left_alone(filled, injections):
    server, load = filled
    client = Client(server.url)
    root = server.store / "collections/default"
    left = [server.store / "notes.txt", server.store / "collections/README", root / "backup.tar",
            root / "shards/000007.old", root / "shards/7", shard_folder(server.store, 1) / "embeddings.npy.bak",
            shard_folder(server.store, 2) / "x", root / "new/notes"]
    for path in left:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(1000))
    half = root / "new/000009"
    half.mkdir()
    (half / "embeddings.npy").write_bytes(bytes(500))
    before = {path: path.read_bytes() for path in left}
    injections.add(len(left) + 1)

    client.scrub()
    client.compact()
    assert load.write(client, 1, 0)
    server.restart()
    load.url, client = server.url, Client(server.url)
    client.scrub()
    assert {path: path.read_bytes() for path in left} == before
    assert not half.exists(), "nothing in it was acknowledged"
    reported = client.get("/health").text + verify_text(server)
    assert [path for path in left if str(path) not in reported] == []
    assert_all_right(server, load.acknowledged(), load.sent)


def verify_text(server):
    assert server.terminate() == 0
    text = verify(server.store).stdout
    server.start()
    return text


@pytest.mark.fault("E9")
def test_a_second_server_ends_at_once_whatever_the_way_to_the_store(filled, tmp_path, injections):
    server, load = filled
    link, other = tmp_path / "link", tmp_path / "bound"
    link.symlink_to(server.store)
    other.mkdir()
    with mounted(other, "--bind", server.store):
        # There is no lock file that could be deleted.
        assert not list(server.store.rglob("*lock*"))
        for store in (server.store, link, other, server.store / ".." / server.store.name):
            for name in ("serve", "rebuild"):
                began = time.monotonic()
                flags = ["--listen", "127.0.0.1:0"] if name == "serve" else []
                found = command(name, "--store", store, *flags, timeout=START_SECONDS)
                assert found.returncode == IN_USE and str(server.pid) in found.stderr
                assert time.monotonic() - began < 5
                injections.add()
    client = Client(server.url)
    assert load.write(client, 1, 0)
    # Its name given to another folder, the store is still held.
    moved = server.store.with_name("moved")
    server.store.rename(moved)
    try:
        found = command("serve", "--store", moved, "--listen", "127.0.0.1:0", timeout=START_SECONDS)
        assert found.returncode == IN_USE
        injections.add()
        assert is_alive(server)
    finally:
        moved.rename(server.store)
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("E10")
def test_a_volume_that_is_not_mounted_is_no_new_store(filled, tmp_path, injections):
    server, load = filled
    assert server.terminate() == 0
    uuid = json.loads((server.store / "store.json").read_text())["store_uuid"]
    empty, missing = tmp_path / "empty", tmp_path / "missing"
    empty.mkdir()
    for folder in (empty, missing):
        for how in ({"INGOT_STORE_UUID": uuid}, None):
            flags = [] if how else ["--store-uuid", uuid]
            found = command(
                "serve", "--store", folder, "--listen", "127.0.0.1:0", *flags, env=how, timeout=START_SECONDS)
            assert found.returncode == COULD_NOT_RUN, found.stderr
            assert str(folder) in found.stderr
            injections.add()
    assert list(empty.iterdir()) == [] and not missing.exists()
    found = command(
        "serve", "--store", server.store, "--listen", "127.0.0.1:0", "--store-uuid",
        "00000000-0000-4000-8000-000000000000", timeout=START_SECONDS)
    assert found.returncode == COULD_NOT_RUN and uuid in found.stderr
    found = command("serve", "--store", server.store, "--store-uuid", "x", timeout=START_SECONDS)
    assert found.returncode == USAGE and "store-uuid" in found.stderr

    server.flags += ["--store-uuid", uuid]
    server.start()
    load.url = server.url
    assert_all_right(server, load.acknowledged(), load.sent)
