# Promise: `ingot backup` makes a clean, earlier state of a store, also while it is written to; and is repaired by running it again.
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from client import Client, rows_of, same_bits, shard_file, shard_files
from mounts import mounted, must
from server_process import ServerProcess, command, started, verify
from writers import Writers, assert_prefix

OK, INCOMPLETE, COULD_NOT_RUN, IN_USE, CONFLICT, USAGE, INTERRUPTED = 0, 1, 2, 3, 5, 64, 130


def backup(store, copy, *flags):
    return command("backup", "--store", store, "--to", copy, "--json", *flags)


def summary_of(found, code=OK):
    assert found.returncode == code, found.stderr
    return json.loads(found.stdout)


@pytest.fixture
def copy(tmp_path):
    return tmp_path / "copy"


@pytest.fixture
def stopped(launch):
    """A store with sealed shards and an open one, not served."""
    server = launch("--shard-bytes", "64KiB")
    client = Client(server.url)
    for number in range(20):
        client.append([f"{number}/{index}" for index in range(40)], rows_of(40, 64, number))
    client.request("DELETE", client.row_path("3/3"))
    server.restart()
    assert server.terminate() == 0
    assert len(shard_files(server.store)) > 3
    return server.store


@pytest.fixture
def served(tmp_path):
    """Serves what a folder holds, without changing the folder."""
    servers = []

    def serve(folder):
        again = tmp_path / f"served-{len(servers)}"
        shutil.copytree(folder, again)
        servers.append(ServerProcess(again).start())
        return again, servers[-1].url

    yield serve
    codes = [server.terminate() for server in servers]
    assert set(codes) <= {0}, codes


# A live store

@pytest.mark.parametrize("flags", [[], ["--no-hard-links"]])
def test_copy_of_a_store_under_load_is_a_clean_prefix(launch, copy, served, flags):
    server = launch("--shard-bytes", "256KiB")
    with Writers(server.url) as writers:
        for _ in range(4):
            writers.wait_for(100)
            before = writers.acknowledged()
            summary_of(backup(server.store, copy, *flags))
            clean = verify(copy, "--json")
            assert clean.returncode == OK, clean.stdout
            # The catalog is copied first and may be behind the logs; a shard that is full is sealed a moment later.
            expected = "catalog.sqlite lacks the last", "the next start seals the shard"
            notes = json.loads(clean.stdout)["notes"]
            assert [note for note in notes if not any(words in note for words in expected)] == []
            state = len(shard_files(copy))
    folder, url = served(copy)

    assert state > 3
    assert_prefix(folder, Client(url), writers.acknowledged(), at_least=before)


def test_deletions_are_copied(launch, copy, served):
    server = launch()
    client = Client(server.url)
    client.append(["a", "b", "c"], rows_of(3))
    assert client.request("DELETE", client.row_path("b")).status_code == 200
    summary_of(backup(server.store, copy))
    assert verify(copy).returncode == OK
    _, url = served(copy)

    assert Client(url).get(client.row_path("b")).status_code == 404
    assert sorted(Client(url).get(f"{client.base}/ids").text.split()) == ["a", "c"]


def test_every_collection_is_copied(launch, copy):
    server = launch()
    for name, dtype in (("one", "float32"), ("two", "float16"), ("empty", "float32")):
        Client(server.url, name).create(8, dtype)
    Client(server.url, "one").append([1], rows_of(1))
    Client(server.url, "two").append([1], rows_of(1, dtype="<f2"))
    found = summary_of(backup(server.store, copy))

    assert (found["collections"], found["shards"], found["rows"]) == (3, 2, 2)
    assert {path.name for path in (copy / "collections").iterdir()} == {"one", "two", "empty"}
    assert verify(copy).returncode == OK


def test_compaction_while_copying_and_between_copies(launch, copy, served):
    """Shards are replaced and go away while and before they are copied; every copy is clean."""
    server = launch("--shard-bytes", "64KiB")
    client = Client(server.url)
    client.append(["kept"], rows_of(1, 64, 7))
    removed = 0
    for number in range(6):
        # The same ids again: what they had before is dead.
        for part in range(16):
            client.append([f"{part}-{index}" for index in range(64)], rows_of(64, 64, number + part))
        started = client.request(
            "POST", f"{client.base}/compact", json={"dead_percent": 1, "rate": 4_000_000})
        assert started.status_code == 202
        for _ in range(2):
            removed += summary_of(backup(server.store, copy, "--no-hard-links"))["removed_shards"]
            clean = verify(copy)
            assert clean.returncode == OK, clean.stdout
    _, url = served(copy)

    assert removed > 0, "nothing was compacted between two copies"
    again = Client(url)
    assert len(again.get(f"{again.base}/ids").text.split()) == 16 * 64 + 1
    assert same_bits(again.row("kept"), rows_of(1, 64, 7)[0])
    for part in range(16):
        assert same_bits(again.row(f"{part}-3"), rows_of(64, 64, 5 + part)[3])


# Ways

def test_sealed_shards_are_the_same_files_and_open_ones_are_not(stopped, copy):
    found = summary_of(backup(stopped, copy))
    if found["cloned_bytes"]:
        pytest.fail("this file system shares blocks: hard links are not used; run the tests on ext4")

    *sealed, growing = shard_files(stopped)
    for path in sealed:
        for name in ("embeddings.npy", "commits.log", "ids.index"):
            there = copy / path.with_name(name).relative_to(stopped)
            assert there.samefile(path.with_name(name))
    assert not (copy / growing.relative_to(stopped)).samefile(growing)
    assert found["linked_bytes"] > 0 and found["skipped_bytes"] == 0


def test_without_hard_links_nothing_is_shared(stopped, copy):
    found = summary_of(backup(stopped, copy, "--no-hard-links"))

    assert found["linked_bytes"] == 0
    assert all(path.stat().st_nlink == 1 for path in copy.rglob("*") if path.is_file())
    for path in shard_files(stopped):
        assert (copy / path.relative_to(stopped)).read_bytes() == path.read_bytes()


def test_copy_on_another_file_system(stopped):
    other = Path("/dev/shm") / f"ingot-backup-{os.getpid()}"
    assert Path("/dev/shm").stat().st_dev != stopped.stat().st_dev
    try:
        found = summary_of(backup(stopped, other))
        assert found["linked_bytes"] == found["cloned_bytes"] == 0 and found["copied_bytes"] > 0
        assert verify(other).returncode == OK
        again = summary_of(backup(stopped, other))
        assert again["written_shards"] == 0
    finally:
        shutil.rmtree(other, ignore_errors=True)


def test_second_run_brings_only_what_is_new(launch, copy):
    server = launch("--shard-bytes", "128KiB")
    client = Client(server.url)
    for number in range(10):
        client.append([f"{number}/{index}" for index in range(100)], rows_of(100, 64, number))
    first = summary_of(backup(server.store, copy))
    second = summary_of(backup(server.store, copy))
    client.append(["new"], rows_of(1, 64))
    third = summary_of(backup(server.store, copy))

    catalog = (copy / "catalog.sqlite").stat().st_size
    assert first["written_shards"] == first["shards"] and first["skipped_bytes"] == 0
    assert second["written_shards"] == 0 and second["skipped_bytes"] > 200_000
    assert second["copied_bytes"] <= catalog
    assert third["written_shards"] == 1 and third["rows"] == 1001
    assert verify(copy).returncode == OK


def test_copy_is_the_same_store(stopped, copy):
    summary_of(backup(stopped, copy))
    assert (copy / "store.json").read_bytes() == (stopped / "store.json").read_bytes()


# Killed

def kill_after(seconds, store, copy, *flags):
    """Runs a backup and kills it in its middle; whether it was still running."""
    with started("backup", "--store", store, "--to", copy, *flags, stdout=subprocess.DEVNULL,
                 stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        return process.wait(30) == -signal.SIGKILL


def seconds_of(store, copy, *flags):
    """How long a first copy takes, at least."""
    seconds = []
    for _ in range(3):
        began = time.monotonic()
        summary_of(backup(store, copy, *flags))
        seconds.append(time.monotonic() - began)
        shutil.rmtree(copy)
    return min(seconds)


def test_first_copy_that_was_killed_is_no_store_until_it_is_repeated(stopped, copy):
    seconds = seconds_of(stopped, copy, "--no-hard-links")
    killed = 0
    for step in range(12):
        if kill_after(seconds * (step + 1) / 14, stopped, copy, "--no-hard-links"):
            killed += 1
            if copy.exists() and any(copy.iterdir()) and not (copy / "store.json").exists():
                assert verify(copy).returncode == COULD_NOT_RUN
                served = command("serve", "--store", copy, "--listen", "127.0.0.1:0", timeout=20)
                assert served.returncode == COULD_NOT_RUN and "incomplete-backup" in served.stderr
        summary_of(backup(stopped, copy))
        assert verify(copy).returncode == OK
        assert not [path for path in copy.rglob("*") if "incomplete" in path.name or ".new" in path.name]
        shutil.rmtree(copy)
    assert killed >= 4, "the backup was faster than the kills"


def test_a_copy_that_was_broken_off_is_refused_by_its_name(tmp_path):
    (tmp_path / "copy" / "collections").mkdir(parents=True)
    for name in ("catalog.sqlite.new", "catalog.sqlite.new-journal", "incomplete-backup.json"):
        (tmp_path / "copy" / name).touch()

    served = command("serve", "--store", tmp_path / "copy", "--listen", "127.0.0.1:0", timeout=20)

    assert served.returncode == COULD_NOT_RUN and "incomplete-backup.json" in served.stderr


def test_later_copy_that_was_killed_is_a_valid_earlier_state(launch, copy, served):
    server = launch("--shard-bytes", "64KiB")
    with Writers(server.url) as writers:
        writers.wait_for(20)
        summary_of(backup(server.store, copy))
        before, killed = writers.acknowledged(), 0
        began = time.monotonic()
        summary_of(backup(server.store, copy, "--no-hard-links"))
        seconds = time.monotonic() - began
        for step in range(14):
            writers.wait_for(30)
            killed += kill_after(
                seconds * (step % 7 + 1) / 8, server.store, copy, "--no-hard-links")
            found = verify(copy)
            assert found.returncode == OK, found.stdout
        summary_of(backup(server.store, copy))
    assert killed >= 3, "the backup was faster than the kills"
    assert verify(copy).returncode == OK
    folder, url = served(copy)
    assert_prefix(folder, Client(url), writers.acknowledged(), at_least=before)


def test_sigint_ends_it_tidily(stopped, copy):
    """Asked to stop at some moment: the code says so, or the copy is whole."""
    codes = set()
    seconds = seconds_of(stopped, copy, "--no-hard-links")
    for step in range(10):
        with started("backup", "--store", stopped, "--to", copy, "--no-hard-links", stdout=subprocess.DEVNULL,
                     stderr=subprocess.PIPE, text=True) as process:
            try:
                process.wait(seconds * (step + 1) / 12)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGINT)
            text = process.communicate(timeout=60)[1]
        codes.add(process.returncode)
        if process.returncode == INTERRUPTED:
            assert "run it again" in text
            assert not list(copy.rglob("catalog.sqlite.new*"))
        summary_of(backup(stopped, copy))
        assert verify(copy).returncode == OK
        shutil.rmtree(copy)
    assert codes <= {OK, INTERRUPTED, -signal.SIGINT}
    assert INTERRUPTED in codes


# What the source lost

def test_lost_shard_stays_in_the_copy_and_can_be_put_back(stopped, copy):
    summary_of(backup(stopped, copy, "--no-hard-links"))
    lost = shard_file(stopped, 1).parent
    shutil.rmtree(lost)
    found = summary_of(backup(stopped, copy, "--no-hard-links"), INCOMPLETE)

    assert len(found["problems"]) == 1 and "shard 000001" in found["problems"][0]
    assert verify(copy).returncode == OK
    shutil.copytree(shard_file(copy, 1).parent, lost)
    assert verify(stopped).returncode == OK


def test_damaged_source_is_named_and_the_good_copy_kept(stopped, copy):
    summary_of(backup(stopped, copy, "--no-hard-links"))
    log = shard_file(stopped, 1).with_name("commits.log")
    log.write_bytes(b"\0" * 64 + log.read_bytes()[64:-100])
    found = summary_of(backup(stopped, copy, "--no-hard-links"), INCOMPLETE)

    assert "shard 000001" in found["problems"][0]
    assert verify(copy).returncode == OK
    assert verify(stopped).returncode == 1


def test_missing_catalog_is_made_again_by_the_copy(stopped, copy, served):
    (stopped / "catalog.sqlite").unlink()
    found = summary_of(backup(stopped, copy))

    assert any("catalog.sqlite" in note for note in found["notes"])
    assert verify(copy).returncode == OK
    _, url = served(copy)
    assert Client(url).row_count() == 800


# Bad input

def test_source_that_is_no_store(tmp_path, copy):
    (tmp_path / "photos").mkdir()
    for source in (tmp_path / "photos", tmp_path / "nowhere"):
        found = backup(source, copy)
        assert found.returncode == COULD_NOT_RUN and str(source) in found.stderr
    assert not copy.exists()


def test_target_in_the_store_or_around_it(stopped, tmp_path):
    (tmp_path / "link").symlink_to(stopped)
    targets = [
        stopped, stopped / "copy", stopped / "collections/default/copy", tmp_path / "link",
        tmp_path / "link/copy", stopped.parent]
    before = sorted(stopped.rglob("*"))
    for target in targets:
        found = backup(stopped, target)
        assert found.returncode == COULD_NOT_RUN and "directory" in found.stderr, target
    assert sorted(stopped.rglob("*")) == before


def test_target_that_is_something_else(stopped, launch, tmp_path):
    other = launch(store=tmp_path / "other")
    Client(other.url).append([1], rows_of(1))
    assert other.terminate() == 0
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"cat")
    file = tmp_path / "file"
    file.write_text("a file")
    for target, word in [
            (other.store, "another"), (folder, "cat.jpg"), (file, str(file)),
            (tmp_path / "no/where", str(tmp_path / "no"))]:
        found = backup(stopped, target)
        assert found.returncode == COULD_NOT_RUN and word in found.stderr, found.stderr
    assert [path.name for path in folder.iterdir()] == ["cat.jpg"]
    assert verify(other.store).returncode == OK


def test_target_in_use(stopped, launch, copy):
    summary_of(backup(stopped, copy, "--no-hard-links"))
    server = launch(store=copy)
    found = backup(stopped, copy)
    assert found.returncode == IN_USE and str(server.pid) in found.stderr


def test_copy_that_was_written_to_is_refused(stopped, launch, copy):
    summary_of(backup(stopped, copy, "--no-hard-links"))
    server = launch(store=copy)
    Client(server.url).append(["only-here"], rows_of(1, 64))
    assert server.terminate() == 0
    found = backup(stopped, copy)

    assert found.returncode == CONFLICT and "not in the source" in found.stderr
    server.start()
    assert same_bits(Client(server.url).row("only-here"), rows_of(1, 64)[0])


def test_full_disk_is_said_and_completed_later(stopped, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    with mounted(disk, "-t", "tmpfs", "-o", "size=100k", "ingot-test"):
        found = backup(stopped, disk / "copy")
        assert found.returncode == COULD_NOT_RUN and "No space left" in found.stderr
        assert verify(disk / "copy").returncode == COULD_NOT_RUN
        must("mount", "-o", "remount,size=16m", disk)
        summary_of(backup(stopped, disk / "copy"))
        assert verify(disk / "copy").returncode == OK


def test_flags_are_needed_and_named():
    found = command("backup", "--store", "x")
    assert found.returncode == USAGE and "--to" in found.stderr
    for flag in ("--store", "--to", "--no-hard-links", "--json", "--progress"):
        assert flag in command("backup", "--help").stdout


def test_text_summary_counts_what_was_done(stopped, copy):
    found = command("backup", "--store", stopped, "--to", copy)
    assert found.returncode == OK
    assert found.stdout.startswith("complete: 800 rows") and "linked" in found.stdout
