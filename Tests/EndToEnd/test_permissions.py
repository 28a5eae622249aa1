# Promise: a user who may not open a store's files is told so, and not that its rows are lost.
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from client import Client, rows_of, shard_file
from server_process import BINARY, clean_environment

CLEAN, COULD_NOT_RUN = 0, 2
NOBODY = 65534


@pytest.fixture
def nobody(launch):
    """Runs commands as a user who may read a store and not write it, beside a copy of that store."""
    server = launch()
    Client(server.url).append(["a", "b"], rows_of(2))
    assert server.terminate() == 0
    folder = Path(tempfile.mkdtemp(prefix="ingot-nobody-"))
    try:
        folder.chmod(0o755)
        shutil.copytree(server.store, folder / "store")
        shutil.copy(BINARY, folder / "ingot")
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777)

        def run(*arguments):
            return subprocess.run(
                [folder / "ingot", *arguments], user=NOBODY, group=NOBODY, extra_groups=[], cwd=folder,
                env=clean_environment(), capture_output=True, text=True, timeout=120)

        run.store = folder / "store"
        try:
            usable = os.geteuid() == 0 and run("--version").returncode == 0
        except OSError:
            usable = False
        if not usable:
            pytest.skip("the program cannot be run as another user here")
        yield run
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("command", [
    ["serve", "--listen", "127.0.0.1:0"], ["export", "--collection", "default", "--out", "out/rows.npy"],
    ["rebuild"]], ids=lambda command: command[0])
def test_what_writes_to_a_store_ends_at_once(nobody, command):
    found = nobody(command[0], "--store", nobody.store, *command[1:])

    assert found.returncode == COULD_NOT_RUN, found.stdout + found.stderr
    assert "Permission denied" in found.stderr and str(nobody.store) in found.stderr
    assert not list((nobody.store.parent / "out").iterdir())
    assert not list(nobody.store.glob("catalog.sqlite.*damaged*"))


def test_verify_reads_what_it_may_and_calls_nothing_else_damaged(nobody):
    assert nobody("verify", "--store", nobody.store).returncode == CLEAN

    shard_file(nobody.store).chmod(0o600)

    found = nobody("verify", "--store", nobody.store)
    assert found.returncode == COULD_NOT_RUN and "Permission denied" in found.stderr
