# Promise: a failed sync is final (B4, C1 to C3, C7). What it was asked for is not acknowledged, its shard takes no more, the
# next batch begins another one, and health is red until a durable write succeeds. Injected by strace, and by the kernel itself.
import time
from pathlib import Path

import pytest

from client import Client
from disks import disks  # noqa: F401
from health_watch import HealthWatch
from injection import Injection
from load import FAILED, FULL, IS_THOROUGH, Load, assert_all_right, cpu_seconds, is_alive
from memory import MemoryWatch
from mounts import run

THREADS = ["ingot-sync", "ingot-sync-log"]
ERRORS = ["EIO", "ENOSPC", "EINTR"]
TIMES = range(1, 30) if IS_THOROUGH else (1, 4)
LASTING_SECONDS = 30 if IS_THOROUGH else 4
RESUME_SECONDS = 5
DELAYS = [5, 10, 30] if IS_THOROUGH else [5]


def newest_shard(load):
    return max(receipt["shard"] for receipt in load.acknowledged().values())


@pytest.mark.fault("C1", "C2", "C4")
@pytest.mark.parametrize("thread", THREADS)
@pytest.mark.parametrize("error", ERRORS)
def test_one_sync_that_fails_ends_its_shard_and_nothing_else(launch, injections, error, thread):
    """The next sync of the same file would succeed, as on Linux it does: it is not asked, not even after EINTR."""
    server = launch("--shard-bytes", "16MiB")
    with Load(server.url, may=[FAILED], pause=0.01) as load, HealthWatch(load):
        load.wait_for(2)
        for when in TIMES:
            before, refused = newest_shard(load), len(load.details)
            with Injection(server, f"fdatasync:error={error}:when={when}", thread=thread) as injected:
                load.wait_for_refusals(refused + 1)
                load.wait_for(2)
                assert newest_shard(load) > before
            assert injected.count == 1
            injections.add(injected.count)
        load.wait_for(2)
    assert_all_right(server, load.acknowledged(), load.sent)


# Behind every sync a time of the file is changed: a file system that has given up refuses that, whatever the sync said.
LASTING = [
    ("fdatasync", "EIO"), ("fdatasync", "ENOSPC"), ("utimensat", "EROFS"), ("pwrite64", "EROFS"), ("pwrite64", "ENOSPC"),
    ("fsync", "EIO"),
]
if IS_THOROUGH:
    LASTING = [
        (call, error) for call in ("fdatasync", "utimensat", "pwrite64", "fsync")
        for error in ("EIO", "ENOSPC", "EROFS", "EDQUOT")
    ]


@pytest.mark.fault("C1", "C3")
@pytest.mark.parametrize("call, error", LASTING)
def test_calls_that_fail_for_ever_leave_a_server_that_reads(launch, injections, call, error):
    server = launch("--shard-bytes", "512KiB")
    # Room that is not there is a full disk where a write says so; where a sync does, it is a failed sync.
    with Load(server.url, may=[FAILED, FULL], pause=0.05) as load, HealthWatch(load) as watch:
        load.wait_for(4)
        with Injection(server, f"{call}:error={error}:when=1+") as injected:
            # A shard that has room needs no directory to be synced.
            load.wait_for_refusals(3)
            stored = load.wait_until_still()
            began, cpu = time.monotonic(), cpu_seconds(server)
            time.sleep(LASTING_SECONDS)
            used = (cpu_seconds(server) - cpu) / (time.monotonic() - began)
            assert len(load.acknowledged()) == stored
            assert is_alive(server) and used < 0.7, f"{used:.0%} of a processor is used"
            assert watch.was_red()
        injections.add(injected.count)
        assert load.wait_for(4) < RESUME_SECONDS
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("B4", "C2")
def test_the_kernels_own_sync_failure_loses_nothing_that_was_acknowledged(disks, launch, injections):
    """The image says 48 MiB, its disk has 7: writes succeed, a sync fails, and the next one succeeds without the pages."""
    disk = disks.ext4(48 << 20, backing_byte_count=7 << 20)
    server = launch("--disk-reserve", "0", "--shard-bytes", "4MiB", store=disk.folder / "store")
    with Load(server.url, may=[FAILED, FULL], pause=0.005) as load, HealthWatch(load) as watch:
        load.wait_for_refusals(1)
        time.sleep(LASTING_SECONDS)
        assert is_alive(server) and watch.was_red()
        injections.add(load.answers[FAILED])
        known = load.acknowledged()
        # What memory still shows is not what the disk holds.
        Path("/proc/sys/vm/drop_caches").write_text("3")
        for batch_id in list(known)[-20:]:
            load.read(Client(server.url), batch_id)
        assert run("mount", "-o", "remount,size=64m", disk.image.parent).returncode == 0
        # The kernel makes the file system read-only when it was its journal that found no room.
        if disk.is_writable():
            assert load.wait_for(3) < RESUME_SECONDS
    server.kill()
    disk.mount_again()
    server.start()
    load.url = server.url
    client = Client(server.url)
    assert load.write(client, 9, 0)
    assert_all_right(server, load.acknowledged(), load.sent)


@pytest.mark.fault("C7")
@pytest.mark.parametrize("seconds", DELAYS)
def test_a_sync_that_takes_long_holds_back_and_acknowledges_nothing(launch, injections, seconds):
    server = launch("--shard-bytes", "16MiB", "--in-flight-bytes", "1MiB", "--max-body-bytes", "1MiB")
    refused = (429, "in-flight-limit")
    with Load(server.url, may=[refused], writers=40, pause=0.05) as load, HealthWatch(load), \
            MemoryWatch(server.pid) as memory:
        load.wait_for(40)
        with Injection(server, f"fdatasync:delay_enter={seconds * 1_000_000}:when=1", thread="ingot-sync") as injected:
            began = time.monotonic()
            stored = load.wait_until_still()
            load.wait_for_refusals(load.answers[refused] + 40)
            time.sleep(max(0, began + seconds - 1 - time.monotonic()))
            assert len(load.acknowledged()) == stored
            load.wait_for(1)
        injections.add(injected.count)
        assert load.wait_for(40) < RESUME_SECONDS
    assert memory.peak < 200 << 20
    assert_all_right(server, load.acknowledged(), load.sent)
