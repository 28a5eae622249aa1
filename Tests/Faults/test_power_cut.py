# Promise: a power cut on a real file system loses no acknowledged row; half-written files are cut, never served; a disk that
# lies about its syncs is found out. Receipts are kept on another disk.
import os
import random
import time

import pytest

from client import Client
from power import Disk, PageFlusher
from server_process import ServerProcess, verify
from strace import complete, need_strace, traced
from torture import Torture

IS_THOROUGH = os.environ.get("INGOT_THOROUGH") == "1"
ROUND_COUNT = 40 if IS_THOROUGH else 3
SEED = int(os.environ.get("INGOT_TEST_SEED", "1"))
FLAGS = ("--disk-reserve", "16MiB", "--shard-bytes", "512KiB")
SMALL_SHARDS = ("--disk-reserve", "16MiB", "--shard-bytes", "64KiB")


@pytest.fixture(params=["ext4", "xfs"])
def disk(request, tmp_path):
    with Disk(request.param, tmp_path) as disk:
        yield disk


@pytest.fixture
def server(disk, tmp_path):
    server = ServerProcess(disk.mount_point / "store", *FLAGS, log_path=tmp_path / "server.log")
    yield server
    if server.process:
        server.kill()


def come_back(disk, server):
    """The machine starts again: the store is as the disk has it."""
    server.kill()
    disk.come_back()
    found = verify(server.store)
    assert found.returncode == 0, found.stdout + found.stderr
    server.start()


def assert_right_at_the_end(torture, server):
    torture.check_retries()
    assert server.terminate() == 0
    found = verify(server.store)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.fault("A6", "A7")
def test_power_cut_under_load(disk, server, tmp_path, injections):
    print("seed", SEED)
    chance = random.Random(SEED)
    server.start()
    with Torture(server, tmp_path / "receipts") as torture:
        for round_number in range(ROUND_COUNT):
            torture.wait_for(5)
            time.sleep(chance.uniform(0, 0.3))
            with torture.without_power():
                disk.cut_power(keeps_journal=round_number % 2 == 1)
                torture.power = "off"
                injections.add()
                time.sleep(0.05)
                come_back(disk, server)
            torture.check()
    assert_right_at_the_end(torture, server)
    print(sum(torture.receipts.counts.values()), "operations,", torture.retry_count, "retries, refused", torture.refusals)
