# Promise: a clock that jumps, days back or years ahead, changes no order and nothing that is stored, and makes no
# negative age.
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from client import Client, same_bits
from operations import VECTORS, Operation, assert_retries
from server_process import verify

LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
# Offsets that the clock jumps to, in this order, while the server runs.
JUMPS = ["-1d", "+3650d", "+0", "-3650d", "+1d"]


class Clock:
    """A clock whose offset is the content of a file, for a process with `environment`."""

    def __init__(self, path):
        self.path = path
        self.set("+0")
        # A library that has to make what it shares changes the environment at start, and Swift finds the program's
        # arguments by where the environment lies: so another process makes it.
        self.holder = subprocess.Popen(
            ["faketime", "-f", "+0", "sh", "-c", "echo $FAKETIME_SHARED; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.environment = {
            "LD_PRELOAD": str(LIBRARIES[0]), "FAKETIME_SHARED": self.holder.stdout.readline().strip(),
            "FAKETIME_TIMESTAMP_FILE": str(path), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    def set(self, offset):
        """The file is never seen empty."""
        new = self.path.with_suffix(".new")
        new.write_text(offset)
        new.rename(self.path)

    def close(self):
        self.holder.communicate()


@pytest.fixture
def clock(tmp_path):
    if not LIBRARIES or not shutil.which("faketime"):
        pytest.skip("faketime is not installed")
    clock = Clock(tmp_path / "clock")
    yield clock
    clock.close()


def numbers_named(value, *names, at=""):
    """Numbers of a document whose key has one of the names in it."""
    if isinstance(value, dict):
        for key, one in value.items():
            yield from numbers_named(one, *names, at=key)
    elif isinstance(value, list):
        for one in value:
            yield from numbers_named(one, *names, at=at)
    elif isinstance(value, (int, float)) and any(name in at for name in names):
        yield at, value


def assert_no_negative_age(client):
    for path in ("/health", "/integrity", "/disk"):
        for name, value in numbers_named(client.get(path).json(), "age", "seconds", "observedValue"):
            assert value >= 0, f"{path}: {name} is {value}"
    metrics = client.get("/metrics").text
    negative = [line for line in metrics.splitlines() if re.search(r"(seconds|age)\S* -", line)]
    assert not negative, negative


@pytest.mark.fault("F4")
@pytest.mark.parametrize("restarts", [False, True])
def test_clock_that_jumps(launch, clock, injections, restarts):
    server = launch("--shard-bytes", "64KiB", env=clock.environment | ({} if restarts else {"FAKETIME_NO_CACHE": "1"}))
    receipts, years = {}, set()
    number = 0
    for offset in JUMPS:
        clock.set(offset)
        if restarts:
            server.restart()
        client = Client(server.url)
        for _ in range(8):
            operation = Operation(0, number)
            response = operation.send(client)
            assert response.status_code == (200 if operation.is_deletion else 201), response.text
            if not operation.is_deletion:
                receipts[operation.batch_id] = response.json()
                years.add(response.json()["committed_at"][:4])
            number += 1
        newest = VECTORS[number % len(VECTORS)][None]
        client.append(["written every time"], newest, key=f"w1.{number:07d}")
        assert same_bits(client.row("written every time"), newest[0])
        assert_no_negative_age(client)
        assert client.get("/readyz").status_code == 200
        injections.add()
    assert len(years) >= 3, f"the clock did not jump: {years}"
    client.scrub()
    assert_no_negative_age(client)
    listed = [one for one in client.all_batches(limit=1000) if one["batch_id"] in receipts]
    assert [one["sequence"] for one in listed] == sorted(one["sequence"] for one in listed)
    assert {one["batch_id"]: one for one in listed} == receipts
    assert_retries(client, receipts)
    assert server.terminate() == 0
    assert verify(server.store).returncode == 0
    server.start()
