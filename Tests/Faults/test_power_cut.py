# Promise: a power cut on a real file system loses no acknowledged row; half-written files are cut, never served; a disk
# that lies about its syncs is found out. Receipts are kept on another disk.
import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from client import Client, same_bits, wait_for
from killing import batches_in_catalog
from operations import VECTORS, Operation
from power import Disk, PageFlusher
from server_process import NotReady, ServerProcess, verify
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


def come_back(disk, server, torture):
    """The machine starts again: the store is as the disk has it."""
    server.kill()
    disk.come_back()
    torture.has_power = True
    found = verify(server.store)
    assert found.returncode == 0, found.stdout + found.stderr
    server.start()


def assert_right_at_the_end(torture, server):
    torture.check_retries()
    assert server.terminate() == 0
    found = verify(server.store)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.parametrize("keeps_journal", [
    pytest.param(False, marks=pytest.mark.fault("A6")), pytest.param(True, marks=pytest.mark.fault("A7"))])
def test_power_cut_under_load(disk, server, tmp_path, injections, keeps_journal):
    print("seed", SEED)
    chance = random.Random(SEED)
    server.start()
    with Torture(server, tmp_path / "receipts") as torture:
        for _ in range(ROUND_COUNT):
            torture.wait_for(5)
            time.sleep(chance.uniform(0, 0.3))
            disk.cut_power(keeps_journal)
            torture.has_power = False
            injections.add()
            time.sleep(0.05)
            come_back(disk, server, torture)
            torture.check()
    assert_right_at_the_end(torture, server)
    print(sum(torture.receipts.counts.values()), "operations,", torture.retry_count, "retries")


@pytest.mark.fault("A8")
def test_power_cut_when_single_pages_had_reached_the_disk(disk, server, tmp_path, injections):
    """Syncs begin late, so that much is unsynced; single pages of it are brought to the disk."""
    need_strace()
    server.prefix = traced(tmp_path / "trace", "fdatasync:delay_enter=15000", calls=["fdatasync"])
    server.start()
    with Torture(server, tmp_path / "receipts", writers=6) as torture:
        for round_number in range(ROUND_COUNT):
            torture.wait_for(5)
            with PageFlusher(server.store, SEED + round_number) as flusher:
                torture.wait_for(20)
                disk.cut_power(keeps_journal=True)
                torture.has_power = False
            assert flusher.count, "no page was brought to the disk"
            injections.add()
            come_back(disk, server, torture)
            torture.check()
    assert_right_at_the_end(torture, server)


# MARK: - At an exact moment

# What was renamed when the power goes: a new shard, an index, the description of a collection, that of the store.
RENAMED = {
    "shard": ("A9", "collections/default/new/000001"),
    "index": ("A10", "collections/default/shards/000000/.new-ids.index"),
    "collection": ("A10", "collections/default/collection.json.new"),
    "store": ("A10", "store.json.new"),
}


@pytest.mark.parametrize("keeps_journal", [False, True])
@pytest.mark.parametrize("name", [
    pytest.param(name, marks=pytest.mark.fault(fault)) for name, (fault, _) in RENAMED.items()])
def test_power_cut_right_after_a_rename(disk, server, tmp_path, injections, name, keeps_journal):
    """The process stops when the name is changed, before the folder is synced."""
    need_strace()
    path = server.store / RENAMED[name][1]
    log = tmp_path / "trace"
    server.prefix = traced(log, "rename:signal=SIGSTOP:when=1", calls=["rename"], paths=[path])
    server.flags = list(SMALL_SHARDS)
    if name == "store":
        with ThreadPoolExecutor(1) as pool:
            cut = pool.submit(stop_and_cut, disk, log, keeps_journal, server)
            with pytest.raises(NotReady) as ended:
                server.start()
            cut.result()
        assert ended.value.code == -signal.SIGKILL
        disk.come_back()
        server.prefix = []
        server.start()
        injections.add()
    else:
        server.start()
    with Torture(server, tmp_path / "receipts") as torture:
        if name != "store":
            wait_for(lambda: log.read_text(), lambda text: "stopped by SIGSTOP" in text)
            disk.cut_power(keeps_journal)
            torture.has_power = False
            injections.add()
            server.prefix = []
            come_back(disk, server, torture)
        torture.wait_for(20)
        torture.check()
    assert_right_at_the_end(torture, server)


def stop_and_cut(disk, log, keeps_journal, server):
    wait_for(lambda: log.exists() and log.read_text(), lambda text: text and "stopped by SIGSTOP" in text)
    disk.cut_power(keeps_journal)
    server.process.kill()


# MARK: - A disk that lies


def sent(url, *numbers):
    """Batches of new ids, stored."""
    operations = [Operation(0, number) for number in numbers]
    for operation in operations:
        assert operation.send(Client(url)).status_code == 201
    return operations


def sync_really(paths):
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


def named_rows(integrity):
    """Rows that are said to be damaged, and those of shards of which only the catalog knows."""
    assert integrity["status"] == "damaged"
    return integrity["damaged_rows"] + sum(one.get("ids_in_catalog", 0) for one in integrity["shards"])


@pytest.mark.fault("A11")
@pytest.mark.parametrize("disk", ["xfs"], indirect=True)
@pytest.mark.parametrize("numbers", [(4, 5), (4, 5, 8, 9, 12, 13)], ids=["open shard", "new shards"])
def test_disk_that_lies_about_syncs_is_named(disk, server, tmp_path, injections, numbers):
    """The syncs of a second run do nothing; only what the catalog was told survives the power cut."""
    need_strace()
    store, server.flags = server.store, list(SMALL_SHARDS)
    server.start()
    honest = sent(server.url, 0, 1)
    assert server.terminate() == 0
    server.prefix = traced(tmp_path / "trace", "fdatasync,fsync:retval=0", calls=["fdatasync", "fsync"])
    server.start()
    lied = sent(server.url, *numbers)
    wait_for(lambda: batches_in_catalog(store, tmp_path / "copy"), lambda count: count == 2 + len(lied))
    sync_really(store.glob("catalog.sqlite*"))
    disk.cut_power()
    server.kill()
    injections.add(complete(tmp_path / "trace").count("(INJECTED)"))
    disk.come_back()

    found = verify(store)
    server.prefix = []
    client = Client(server.start().url)
    ids = {one: place for operation in honest + lied for one, place in zip(operation.ids, operation.places)}
    lost = client.states(ids).keys()
    assert lost, "nothing was lost: the lie had no effect"
    assert lost.isdisjoint(one for operation in honest for one in operation.ids)
    assert found.returncode == 1 and all(one in found.stdout for one in lost), found.stdout
    assert client.get("/health").json()["status"] == "warn"
    assert named_rows(client.integrity()) == len(lost)
    assert all(client.get(client.row_path(one)).status_code in (404, 500) for one in lost)
    exported = client.exported()
    assert exported.keys() == ids.keys() - lost
    for operation in lied:
        client.append(operation.ids, VECTORS[operation.places], key=f"again.{operation.number}")
    exported = client.exported()
    assert all(same_bits(exported[one], VECTORS[place]) for one, place in ids.items())
    assert server.terminate() == 0
