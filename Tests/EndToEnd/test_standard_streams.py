# Promise: a report that cannot be written is an error that is told, and no command ends otherwise because nobody listens.
import signal
import socket
import sqlite3
import subprocess
import time

import numpy as np
import pytest
import requests

from client import Client, rows_of
from server_process import BINARY, clean_environment, command, verify

OK, COULD_NOT_RUN, USAGE = 0, 2, 64
QUERY = "select path from images"


def shell(script, *arguments):
    """Runs a line of bash in which "$@" is a command of the binary."""
    return subprocess.run(
        ["bash", "-c", script, "-", BINARY, *map(str, arguments)], env=clean_environment(),
        capture_output=True, text=True, timeout=60)


@pytest.fixture
def stopped(launch):
    """A stopped store with 20,000 long ids."""
    server = launch()
    Client(server.url).append([f"{number:0200}" for number in range(20_000)], rows_of(20_000, 4))
    assert server.terminate() == OK
    return server.store


@pytest.fixture
def reports(stopped, tmp_path):
    """Commands that report on standard output, by their names."""
    np.save(tmp_path / "rows.npy", rows_of(10))
    with sqlite3.connect(tmp_path / "images.db") as database:
        database.execute("create table images (path)")
        database.execute("insert into images values (?)", (f"{0:0200}",))
    database.close()
    return {
        "verify": ["verify", "--store", stopped], "verify --json": ["verify", "--store", stopped, "--json"],
        "status": ["status", "--store", stopped], "status --json": ["status", "--store", stopped, "--json"],
        "rebuild": ["rebuild", "--store", stopped],
        "reconcile": ["reconcile", "--store", stopped, "--database", tmp_path / "images.db", "--query", QUERY],
        "salvage": ["salvage", tmp_path / "rows.npy"],
        "import": ["import", "--store", tmp_path / "other", "--first-id", "0", tmp_path / "rows.npy"],
        "backup": ["backup", "--store", stopped, "--to", tmp_path / "copy"],
        "export": ["export", "--store", stopped, "--out", tmp_path / "out.npy", "--force"],
        "help": ["verify", "--help"], "version": ["--version"],
    }


NAMES = ["verify", "verify --json", "status", "status --json", "rebuild", "reconcile", "salvage", "import", "backup",
         "export", "help", "version"]


@pytest.mark.parametrize("name", NAMES)
def test_report_that_cannot_be_written_exits_2(reports, name):
    for output, reason in [("/dev/full", "No space left on device"), ("&-", "Bad file descriptor")]:
        found = shell(f'"$@" >{output}', *reports[name])
        assert found.returncode == COULD_NOT_RUN, (output, found.stderr)
        assert f"standard output: {reason}" in found.stderr
    assert command(*reports[name]).returncode == OK


@pytest.mark.parametrize("output", ["/dev/full", "&-"])
def test_error_that_cannot_be_told_keeps_its_exit_code(tmp_path, output):
    for code, arguments in [
            (COULD_NOT_RUN, ["verify", "--store", tmp_path / "nothing"]),
            (COULD_NOT_RUN, ["salvage", tmp_path / "nothing"]), (USAGE, ["status"])]:
        assert shell(f'"$@" 2>{output}', *arguments).returncode == code, arguments


@pytest.mark.parametrize("streams", [">/dev/full 2>/dev/full", ">&- 2>&-", "<&- >&- 2>&-"])
def test_server_that_nobody_listens_to_serves(store, streams):
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    process = subprocess.Popen(
        ["bash", "-c", f'exec "$@" {streams}', "-", BINARY, "serve", "--store", str(store), "--listen",
         f"127.0.0.1:{port}", "--log-level", "trace"], env=clean_environment())
    client = Client(f"http://127.0.0.1:{port}")
    deadline = time.monotonic() + 30
    while True:
        try:
            assert client.append(range(100), rows_of(100))["rows"] == 100
            break
        except requests.ConnectionError:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == OK
    assert verify(store).returncode == OK


def test_export_into_a_pipe_that_is_closed_is_no_crash(stopped):
    found = shell(
        '"$@" 2>&1 | head -3 >/dev/null; exit "${PIPESTATUS[0]}"', "export", "--store", stopped, "--format", "ids",
        "--out", "-")
    assert found.returncode == COULD_NOT_RUN


def test_files_never_take_the_place_of_a_closed_stream(tmp_path):
    """The file is not even one byte longer, though a message was written while it was open."""
    rows = rows_of(10)
    rows[3] = np.nan
    np.save(tmp_path / "rows.npy", rows)
    good = tmp_path / "good.npy"
    found = shell('"$@" <&- >&- 2>&-', "salvage", tmp_path / "rows.npy", "--out", good)
    assert found.returncode == COULD_NOT_RUN
    np.save(tmp_path / "wanted.npy", np.delete(rows, 3, axis=0))
    assert good.read_bytes() == (tmp_path / "wanted.npy").read_bytes()
