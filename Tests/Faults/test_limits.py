# Promise: whatever else than blocks runs out - inodes, reserved blocks, the size of files, descriptors, mappings - is a refusal
# with its reason, and writing resumes by itself (B7 to B12, C4).
import contextlib
import json
import os
import resource
import socket
import time

import pytest

from client import Client, shard_files, wait_for
from disks import disks  # noqa: F401
from health_watch import HealthWatch
from injection import Injection
from load import BATCH_BYTES, FAILED, FULL, IS_THOROUGH, Load, assert_all_right, cpu_seconds, is_alive

RESUME_SECONDS = 5
REFUSED_SECONDS = 4
NO_DESCRIPTOR = (503, "no-descriptor")
SMALL_SHARD = 3 * BATCH_BYTES


def reasons(load):
    return {json.loads(detail)["reason"] for detail in load.details}


def take_inodes(folder, leave):
    """Empty files, until so many more could be made."""
    folder.mkdir()
    while os.statvfs(folder).f_favail > leave:
        (folder / f"{len(os.listdir(folder))}").touch()


@pytest.mark.fault("B7", "B6")
@pytest.mark.parametrize("kind", ["tmpfs", "ext4"])
@pytest.mark.parametrize("leave", [0, 1, 2] if IS_THOROUGH else [0, 2])
def test_no_inode_left_is_a_full_disk_with_its_reason(disks, launch, injections, kind, leave):
    """A shard needs three. What is given back then has no bytes."""
    size = 64 << 20
    disk = disks.tmpfs(size, inode_count=200) if kind == "tmpfs" else disks.ext4(size, make=("-N", "128"))
    server = launch("--disk-reserve", "0", "--shard-bytes", SMALL_SHARD, store=disk.folder / "store")
    with Load(server.url, may=[FULL], pause=0.02) as load, HealthWatch(load):
        load.wait_for(5)
        take_inodes(disk.folder / "taken", leave)
        load.wait_for_refusals(1)
        time.sleep(REFUSED_SECONDS)
        assert "inodes" in reasons(load) or leave, reasons(load)
        injections.add(load.answers[FULL])
        for path in (disk.folder / "taken").iterdir():
            path.unlink()
        assert load.wait_for(5) < RESUME_SECONDS
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("B8")
def test_blocks_that_are_reserved_for_root_are_not_free(disks, launch, injections):
    disk = disks.ext4(64 << 20, make=("-J", "size=4", "-m", "40"))
    server = launch("--disk-reserve", "0", "--shard-bytes", "1MiB", store=disk.folder / "store")
    with Load(server.url, may=[FULL]) as load, HealthWatch(load):
        load.wait_for_refusals(1, seconds=60)
        time.sleep(0.5)
        state = os.statvfs(disk.folder)
        assert state.f_bavail * state.f_frsize < 4 << 20 < (state.f_bfree - state.f_bavail) * state.f_frsize
        injections.add(load.answers[FULL])
        load.stop()
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("B8")
@pytest.mark.parametrize("call", ["fallocate", "pwrite64"])
def test_a_quota_is_a_full_disk(launch, injections, call):
    server = launch("--shard-bytes", SMALL_SHARD)
    with Load(server.url, may=[FULL], pause=0.02) as load, HealthWatch(load):
        load.wait_for(4)
        with Injection(server, f"{call}:error=EDQUOT:when=1+") as injected:
            load.wait_for_refusals(1)
            time.sleep(REFUSED_SECONDS)
        injections.add(injected.count)
        assert load.wait_for(5) < RESUME_SECONDS
    assert_all_right(server, load.acknowledged(), load.sent)


@contextlib.contextmanager
def limited(server, kind, soft):
    """A limit of a running process."""
    before = resource.prlimit(server.pid, kind)
    resource.prlimit(server.pid, kind, (soft, before[1]))
    try:
        yield
    finally:
        if server.is_running:
            resource.prlimit(server.pid, kind, before)


@pytest.mark.fault("B9", "C4")
@pytest.mark.parametrize("preallocates", [True, False])
@pytest.mark.parametrize("pages", range(257, 400, 7) if IS_THOROUGH else [300, 320])
def test_files_that_may_not_grow_are_a_full_disk(launch, injections, pages, preallocates):
    """Where nothing is preallocated, the kernel writes a part, then says EFBIG and sends a SIGXFSZ."""
    server = launch("--shard-bytes", "8MiB")
    without = contextlib.nullcontext() if preallocates else Injection(server, "fallocate:error=EOPNOTSUPP:when=1+")
    with without, Load(server.url, may=[FULL], pause=0.01) as load, HealthWatch(load) as watch:
        load.wait_for(4)
        with limited(server, resource.RLIMIT_FSIZE, pages * 4096 + 100):
            load.wait_for_refusals(1, seconds=30)
            wait_for(watch.was_red, bool)
            red_since = time.monotonic()
            time.sleep(REFUSED_SECONDS)
            # The probes between the batches that are refused do not fit either.
            assert watch.was_red_since(red_since)
            assert is_alive(server)
            injections.add(load.answers[FULL])
        assert load.wait_for(5) < RESUME_SECONDS
    assert_all_right(server, load.acknowledged(), load.sent)


def open_files(server):
    return len(os.listdir(f"/proc/{server.pid}/fd"))


@pytest.mark.fault("B10")
def test_no_descriptor_for_a_connection_makes_it_wait_and_burns_nothing(launch, injections):
    server = launch("--shard-bytes", "64MiB")
    with Load(server.url, writers=1, pause=0.01) as load, HealthWatch(load) as watch:
        load.wait_for(3)
        # All three have their connection.
        wait_for(lambda: load.read_count and watch.samples, bool)
        limit = open_files(server) + 4
        with limited(server, resource.RLIMIT_NOFILE, limit), contextlib.ExitStack() as opened:
            sockets = [
                opened.enter_context(socket.create_connection((server.host, server.port))) for _ in range(40)]
            for one in sockets:
                one.sendall(b"GET /livez HTTP/1.1\r\nHost: ingot\r\n\r\n")
            wait_for(lambda: open_files(server), lambda count: count >= limit)
            stored, before, began = len(load.acknowledged()), cpu_seconds(server), time.monotonic()
            time.sleep(2)
            assert len(load.acknowledged()) > stored, "an open shard is not usable"
            waiting = [one for one in sockets if not answered(one)]
            assert waiting, "there were descriptors enough"
            injections.add(len(waiting))
            # The writes of this test alone take a part of a processor.
            assert (cpu_seconds(server) - before) / (time.monotonic() - began) < 0.8
        # Those that waited are served when there is room.
        load.wait_for(3)
        assert Client(server.url).get("/livez", timeout=RESUME_SECONDS).status_code == 200
    assert_all_right(server, load.acknowledged(), load.sent)


def answered(connection):
    connection.setblocking(False)
    try:
        return bool(connection.recv(4096, socket.MSG_PEEK))
    except BlockingIOError:
        return False


@pytest.mark.fault("B10")
def test_no_descriptor_spins_nothing_when_nobody_writes(launch, injections):
    server = launch()
    limit = open_files(server) + 1
    with limited(server, resource.RLIMIT_NOFILE, limit), contextlib.ExitStack() as opened:
        sockets = [opened.enter_context(socket.create_connection((server.host, server.port))) for _ in range(20)]
        wait_for(lambda: open_files(server), lambda count: count >= limit)
        before, began = cpu_seconds(server), time.monotonic()
        time.sleep(2)
        assert (cpu_seconds(server) - before) / (time.monotonic() - began) < 0.1
        injections.add(len(sockets) - 1)
    assert is_alive(server)


@pytest.mark.fault("B10")
def test_no_descriptor_for_the_next_shard_is_said_and_is_over_when_there_is_one(launch, injections):
    server = launch("--shard-bytes", SMALL_SHARD)
    with Load(server.url, may=[NO_DESCRIPTOR], pause=0.02) as load, HealthWatch(load):
        load.wait_for(3)
        shards = len(shard_files(server.store))
        with limited(server, resource.RLIMIT_NOFILE, 20):
            load.wait_for_refusals(1)
            time.sleep(REFUSED_SECONDS)
            assert server.is_running
        injections.add(load.answers[NO_DESCRIPTOR])
        assert load.wait_for(5) < RESUME_SECONDS
        assert len(shard_files(server.store)) > shards
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("B10")
def test_no_descriptor_for_the_scrub_is_no_damage(launch, injections):
    server = launch("--shard-bytes", SMALL_SHARD)
    load, client = Load(server.url), Client(server.url)
    for number in range(20):
        assert load.write(client, 0, number)
    client.scrub()
    with limited(server, resource.RLIMIT_NOFILE, 3):
        scrub = client.start_scrub(rate="max")
        time.sleep(2)
        assert client.get(f"/v1/scrubs/{scrub}").json()["state"] == "running"
        load.read(client, "0.3")
        injections.add()
    done = wait_for(lambda: client.get(f"/v1/scrubs/{scrub}").json(), lambda it: it["state"] == "done")
    assert done["damaged_rows"] == 0
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("B11")
def test_mappings_that_are_refused_are_errors(launch, injections):
    """Those of the shards to come; not those of the memory of the process."""
    server = launch("--shard-bytes", SMALL_SHARD)
    with Load(server.url, may=[FAILED], pause=0.02) as load, HealthWatch(load):
        load.wait_for(4)
        shards = server.store / "collections/default"
        paths = [shards / f"{kind}/{number:06d}/{name}" for number in range(60) for kind in ("new", "shards")
                 for name in ("embeddings.npy", "commits.log", "ids.index")]
        with Injection(server, "mmap:error=ENOMEM:when=1+", paths=paths) as injected:
            load.wait_for_refusals(3)
            time.sleep(REFUSED_SECONDS)
            assert is_alive(server)
        injections.add(injected.count)
        assert load.wait_for(5) < RESUME_SECONDS
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("B12")
def test_a_file_system_without_fallocate_is_good_enough(launch, injections):
    server = launch("--shard-bytes", SMALL_SHARD)
    with Injection(server, "fallocate:error=EOPNOTSUPP:when=1+") as injected:
        with Load(server.url, pause=0.01) as load, HealthWatch(load):
            load.wait_for(40)
    assert injected.count > 5
    injections.add(injected.count)
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("B12", "C1")
def test_a_sync_that_finds_no_room_without_fallocate_is_final(launch, injections):
    server = launch("--shard-bytes", SMALL_SHARD)
    with Load(server.url, may=[FAILED], pause=0.02) as load, HealthWatch(load):
        load.wait_for(4)
        with Injection(server, "fallocate:error=EOPNOTSUPP:when=1+", thread="ingot-write") as without, \
                Injection(server, "fdatasync:error=ENOSPC:when=2", thread="ingot-sync") as injected:
            load.wait_for_refusals(1)
            load.wait_for(10)
        assert without.count and injected.count
        injections.add(injected.count)
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("C4")
@pytest.mark.parametrize("call", ["pwrite64", "fallocate", "ftruncate"])
def test_interrupted_calls_are_made_again(launch, injections, call):
    server = launch("--shard-bytes", SMALL_SHARD)
    with Injection(server, f"{call}:error=EINTR:when=1+2") as injected:
        with Load(server.url, pause=0.01) as load, HealthWatch(load):
            load.wait_for(40)
    assert injected.count > 3
    injections.add(injected.count)
    assert_all_right(server, load.acknowledged(), load.sent)
