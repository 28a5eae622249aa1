# Promise: a stop in a burst, asked for twice, and a process that was frozen leave no half batch and lose no row.
import os
import signal
import time

import pytest

from file_watcher import FileWatcher
from server_process import verify
from torture import Torture

IS_THOROUGH = os.environ.get("INGOT_THOROUGH") == "1"
STOP_COUNT = 30 if IS_THOROUGH else 4
KILL_COUNT = 100 if IS_THOROUGH else 6
FROZEN_SECONDS = 60 if IS_THOROUGH else 3
FLAGS = ("--shard-bytes", "256KiB")


def assert_right_at_the_end(torture, server):
    torture.check_retries()
    assert server.terminate() == 0
    found = verify(server.store)
    assert found.returncode == 0, found.stdout + found.stderr


@pytest.mark.fault("A12")
def test_sigterm_twice_in_a_burst(launch, tmp_path, injections):
    """Each request is finished, refused with 503, or finds nobody."""
    server = launch(*FLAGS)
    with Torture(server, tmp_path / "receipts", writers=6) as torture:
        for round_number in range(STOP_COUNT):
            torture.wait_for(20)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.01 * (round_number % 3))
            server.process.send_signal(signal.SIGTERM)
            injections.add()
            assert server.terminate() == 0
            found = verify(server.store)
            assert found.returncode == 0, found.stdout + found.stderr
            server.start()
            torture.check()
    assert torture.refusals.keys() <= {"draining"}
    print(sum(torture.receipts.counts.values()), "operations, refused:", torture.refusals)
    assert_right_at_the_end(torture, server)
    server.start()


@pytest.mark.fault("A12")
def test_frozen_process_goes_on(launch, tmp_path, injections):
    server = launch(*FLAGS)
    with Torture(server, tmp_path / "receipts") as torture:
        for _ in range(2):
            torture.wait_for(20)
            server.process.send_signal(signal.SIGSTOP)
            time.sleep(FROZEN_SECONDS)
            server.process.send_signal(signal.SIGCONT)
            injections.add()
            torture.wait_for(20)
            torture.check()
    assert not torture.refusals, "what had waited was refused"
    assert_right_at_the_end(torture, server)
    server.start()


@pytest.mark.fault("A1")
def test_kill_at_any_moment_while_numpy_reads_the_files(launch, tmp_path, injections):
    server = launch(*FLAGS, "--compact-percent", "10")
    with Torture(server, tmp_path / "receipts", writers=4, readers=2) as torture, \
            FileWatcher(server.store) as watcher:
        for _ in range(KILL_COUNT):
            torture.wait_for(25)
            server.kill()
            injections.add()
            found = verify(server.store)
            assert found.returncode == 0, found.stdout + found.stderr
            server.start()
            torture.check()
        assert watcher.row_count() > 0
    print(torture.read_row_count, "rows read,", torture.retry_count, "retries")
    assert torture.read_row_count and torture.retry_count and not torture.refusals
    assert_right_at_the_end(torture, server)
    server.start()
