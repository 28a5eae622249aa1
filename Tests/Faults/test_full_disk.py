# Promise: a full disk is a state, not a crash (B1, B2, B5, B6). At whatever byte the room ends, a batch is refused with 507 or
# stored for good, reads go on, and writing resumes by itself; a compaction gives back what it took. On tmpfs and on ext4.
import json
import shutil
import time

import pytest

from client import Client, wait_for
from damage import shard_folder
from disks import disks  # noqa: F401
from health_watch import HealthWatch
from load import (
    BATCH_BYTES, DIMENSION, FULL, IS_THOROUGH, Load, assert_all_right, ids_of, is_alive, rows_of)
from proc import held_files
from server_process import verify
from test_delete import assert_agrees

PAGE = 4096
DISK_BYTES = 96 << 20
LOG_STEP = 1 << 20
# Less than what is preallocated when there is room: what a batch needs is then asked for when it comes.
ROOM = 8 << 20
RESUME_SECONDS = 5
KINDS = ["tmpfs", "ext4"]
COMPETING_SECONDS = 60 if IS_THOROUGH else 6
COMPACTED_SHARD_BYTES = 4 << 20
# Per second: the three quarters of a shard that live take twelve.
COMPACTION_RATE = 256 << 10
HALF_MADE_BYTES = 512 << 10
GIVEN_BACK_SECONDS = 10


@pytest.fixture(params=KINDS)
def small_disk(request, disks):
    return getattr(disks, request.param)(DISK_BYTES)


def sweep(first, last):
    """From first down to last, in steps of a page."""
    return range(first // PAGE * PAGE, last // PAGE * PAGE - 1, -PAGE)


def steps_of(place):
    """The free space with which a shard grows, and that with which the next one is begun."""
    if place == "growing":
        return sweep(2 * BATCH_BYTES, 0)
    steps = sweep(LOG_STEP + 3 * BATCH_BYTES, 0)
    return steps if IS_THOROUGH else [*steps[:40], *steps[40::23]]


@pytest.mark.fault("B1", "B2", "B6")
@pytest.mark.parametrize("place", ["growing", "beginning"])
def test_room_that_ends_at_any_page_is_a_refusal(small_disk, launch, injections, place):
    """The room is taken when the batch is admitted and half sent: the call that needs it finds none."""
    shard_bytes = 64 << 20 if place == "growing" else 3 * BATCH_BYTES
    small_disk.fill_to(ROOM)
    server = launch("--shard-bytes", shard_bytes, "--disk-reserve", "0", store=small_disk.folder / "store")
    load, client = Load(server.url, may=[FULL]), Client(server.url)
    number = 0
    for free in steps_of(place):
        small_disk.release()
        small_disk.fill_to(ROOM)
        number = write_until_stored(load, client, number)
        for _ in range(6):
            if not load.write(client, 0, number, meanwhile=lambda: small_disk.fill_to(free)):
                break
            number += 1
        load.read(client, f"0.{number - 1}")

    assert is_alive(server)
    in_write = [json.loads(detail)["reason"] for detail in load.details]
    injections.add(sum(reason != "reserve" for reason in in_write))
    small_disk.release()
    write_until_stored(load, client, number)
    assert_all_right(server, load.acknowledged(), load.sent)


def write_until_stored(load, client, number):
    """Writes a batch as soon as there is room, and gives the number of the next one."""
    ends = time.monotonic() + RESUME_SECONDS
    while not load.write(client, 0, number):
        assert time.monotonic() < ends, load.details[-1]
        time.sleep(0.005)
    return number + 1


@pytest.mark.fault("B1", "B3", "B5")
@pytest.mark.parametrize("reserve", ["0", "2MiB"])
def test_another_process_takes_and_gives_back_all_room(small_disk, launch, injections, reserve):
    server = launch("--shard-bytes", "1MiB", "--disk-reserve", reserve, store=small_disk.folder / "store")
    with Load(server.url, may=[FULL], writers=3) as load, HealthWatch(load):
        load.wait_for(3)
        filler = small_disk.competing(seed=4)
        try:
            ends = time.monotonic() + COMPETING_SECONDS
            while time.monotonic() < ends and is_alive(server):
                small_disk.fill_to(0)
                time.sleep(0.15)
                small_disk.release()
                time.sleep(0.15)
        finally:
            filler.kill()
            filler.wait()
        small_disk.release()
        (small_disk.folder / "competing").unlink(missing_ok=True)
        assert load.wait_for(3) < RESUME_SECONDS
    injections.add(load.answers[FULL])
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("B3")
def test_catalog_that_finds_no_room_catches_up_later(small_disk, launch, injections):
    """The shard has its room already; the catalog has not."""
    server = launch("--disk-reserve", "0", "--shard-bytes", "8MiB", store=small_disk.folder / "store")
    load, client = Load(server.url, may=[FULL]), Client(server.url)
    for number in range(4):
        assert load.write(client, 0, number)
    for number in range(4, 44):
        load.write(client, 0, number, meanwhile=lambda: small_disk.fill_to(0))
        small_disk.release()
        small_disk.fill_to(2 * BATCH_BYTES)
    known = load.acknowledged()
    assert len(known) > 20
    small_disk.fill_to(0)
    wait_for(server.log_tail, lambda text: "the catalog cannot be written" in text)
    injections.add(server.log_tail(1000).count("the catalog cannot be written"))
    for batch_id in known:
        assert client.receipt(batch_id).json() == known[batch_id]
        load.read(client, batch_id)
    # A crash: what the catalog has not been told, the logs say.
    server.kill()
    server.start()
    load.url, client = server.url, Client(server.url)
    for batch_id in known:
        assert client.receipt(batch_id).json() == known[batch_id]

    small_disk.release()
    write_until_stored(load, client, 44)
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("B3", "E2")
def test_a_catalog_that_finds_no_room_at_start_is_left_as_it_is(disks, launch, injections):
    """What it alone knows, of a shard that is lost, is known again when there is room."""
    disk = disks.ext4(64 << 20)
    server = launch("--shard-bytes", 3 * BATCH_BYTES, "--disk-reserve", "0", store=disk.folder / "store")
    with Load(server.url, writers=1, reads=False) as load:
        load.wait_for(9)
    assert server.terminate() == 0
    shutil.rmtree(shard_folder(server.store, 1))
    lost = {one for one, receipt in load.acknowledged().items() if receipt["shard"] == 1}
    lost_ids = {row for one in lost for row in ids_of(*map(int, one.split(".")))}
    known = [row for one in load.acknowledged() for row in ids_of(*map(int, one.split(".")))]
    assert len(lost) == 3

    disk.fill_to(0)
    injections.add()
    server.start()
    assert Client(server.url).states(known).keys() == lost_ids
    assert server.terminate() == 0
    assert not list(server.store.glob("catalog.sqlite.*damaged*"))
    disk.release()
    server.start()

    assert Client(server.url).states(known).keys() == lost_ids
    assert [one["shard"] for one in Client(server.url).integrity()["shards"] if one["state"] == "lost"] == [1]


@pytest.mark.fault("B1")
def test_what_is_reserved_ahead_does_not_fill_a_small_disk(disks, launch, injections):
    disk = disks.ext4(96 << 20)
    server = launch("--disk-reserve", "8MiB", store=disk.folder / "store")
    for name in ("one", "two", "three", "four"):
        client = Client(server.url, collection=name)
        client.create(DIMENSION)
        client.append([f"{name}-{row}" for row in range(4)], rows_of(0, 1, 4))
        injections.add()

    assert disk.free > 48 << 20
    assert Client(server.url).get("/readyz").status_code == 200


def two_shards_with_dead_rows(client):
    """Fills two shards and begins a third, then deletes every fourth row; gives what each id is now."""
    expected = {}
    for number in range(2 * COMPACTED_SHARD_BYTES // BATCH_BYTES + 4):
        client.append(ids_of(0, number), rows_of(0, number), key=f"0.{number}")
        expected |= dict(zip(ids_of(0, number), rows_of(0, number)))
    dead = list(expected)[::4]
    client.delete(dead)
    wait_for(lambda: [one["state"] for one in client.integrity()["shards"]], lambda it: it[:2] == ["sealed"] * 2)
    return expected | dict.fromkeys(dead)


@pytest.mark.fault("B1", "B5", "B6")
def test_a_compaction_that_finds_no_more_room_gives_back_what_it_took(small_disk, launch, injections):
    """The room is taken when a part of the new shard is written: nothing half made stays, and no restart is needed."""
    server = launch("--shard-bytes", COMPACTED_SHARD_BYTES, "--disk-reserve", "0", "--compact-percent", "0",
                    store=small_disk.folder / "store")
    client, new = Client(server.url), server.store / "collections/default/new"
    expected = two_shards_with_dead_rows(client)
    asked = client.request("POST", f"{client.base}/compact", json={"dead_percent": 0, "rate": COMPACTION_RATE})
    assert asked.status_code == 202, asked.text
    wait_for(lambda: bytes_in(new), lambda count: count >= HALF_MADE_BYTES)
    small_disk.fill_to(0)
    injections.add()

    progress = wait_for(lambda: client.get(f"{client.base}/compact").json(), lambda it: it["state"] == "done")

    assert progress["replaced_shards"] == 0 and "No space left" in progress["failure"], progress
    assert is_alive(server)
    assert_agrees(client, expected)
    wait_for(lambda: list(new.iterdir()), lambda left: left == [], seconds=GIVEN_BACK_SECONDS)
    # Nor are files without a name held. How much is free says nothing: what is given back early, the filler has taken.
    wait_for(lambda: [one for one in held_files(server.pid) if "(deleted)" in one and str(new) in one],
             lambda held: held == [], seconds=GIVEN_BACK_SECONDS)

    small_disk.release()
    progress = client.compact()
    assert progress["failure"] is None and progress["replaced_shards"] == 2, progress
    assert_agrees(client, expected)
    assert server.terminate() == 0
    found = verify(server.store)
    assert found.returncode == 0, found.stdout + found.stderr


def bytes_in(folder):
    """What the files below a folder take on the disk."""
    return sum(path.stat().st_blocks * 512 for path in folder.glob("*/*"))
