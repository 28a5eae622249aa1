# Promise: an export that is broken off, by whatever it is, leaves no file of its name, or a whole one.
import contextlib
import signal
import socket
import subprocess
import threading
import time

import numpy as np
import pytest

from client import Client, rows_of, wait_for
from exports import (
    COLLECTION, COULD_NOT_RUN, INTERRUPTED, OK, Rows, digest_of, export, exported)
from server_process import BINARY, clean_environment, started, verify


class Scripted:
    """A server that answers each request as written: bytes, then the end of the connection or nothing more."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self):
        for data, ends in self.answers:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            with connection:
                request = b""
                while b"\r\n\r\n" not in request and (piece := connection.recv(4096)):
                    request += piece
                connection.sendall(data)
                if not ends:
                    self.ended.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        # Closing alone does not wake who accepts.
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(60)


def answer(body, digest=None, row_count=100):
    """An export in two chunks."""
    half = len(body) // 2
    digest = digest_of(body) if digest is None else digest
    head = (f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Digest\r\n"
            f"X-Ingot-Rows: {row_count}\r\nX-Ingot-Damaged-Rows: 0\r\nX-Ingot-Sequence: 7\r\n"
            f"X-Ingot-Bytes: {len(body)}\r\n\r\n")
    trailer = f"Content-Digest: {digest}\r\n" if digest else ""
    pieces = [head.encode()]
    for piece in (body[:half], body[half:]):
        pieces += [f"{len(piece):x}\r\n".encode(), piece, b"\r\n"]
    return b"".join(pieces), f"0\r\n{trailer}\r\n".encode()


BODY = rows_of(100, 1000).tobytes()


@contextlib.contextmanager
def begun(server, out):
    """An export of which bytes are written, and the file that they are in."""
    with started("export", "--url", server.url, "--collection", COLLECTION, "--out", out, stdout=subprocess.PIPE,
                 stderr=subprocess.PIPE, text=True) as process:
        part = out.with_name(out.name + ".part")
        wait_for(lambda: part.exists() and BODY[:1000] in part.read_bytes(), bool)
        yield process, part


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_interrupted_export_leaves_no_file(tmp_path, name):
    out = tmp_path / "rows.f32"
    half = answer(BODY)[0][:-1000]
    with Scripted((half, False)) as server, begun(server, out) as (process, part):
        assert not out.exists()
        process.send_signal(getattr(signal, name))
        _, errors = process.communicate(timeout=30)
    assert not out.exists()
    if name == "SIGKILL":
        assert process.returncode == -signal.SIGKILL and part.exists()
    else:
        assert process.returncode == INTERRUPTED and f"stopped by {name}" in errors
        assert not part.exists()
    with Scripted((b"".join(answer(BODY)), True)) as server:
        assert exported("--url", server.url, "--out", out)["rows"] == 100
    assert out.read_bytes() == BODY and not part.exists()


def test_second_export_of_a_name_is_refused_while_the_first_runs(tmp_path):
    out = tmp_path / "rows.f32"
    first, end = answer(BODY)
    with Scripted((first, False)) as server, begun(server, out) as (_, part):
        found = export("--url", server.url, "--out", out)
        assert found.returncode == COULD_NOT_RUN and "another export is writing" in found.stderr
        assert part.exists()


def test_killed_export_of_a_store_leaves_a_whole_file_or_none(launch, tmp_path):
    server = launch("--shard-bytes", "4MiB")
    client = Client(server.url, COLLECTION)
    client.create(64)
    for seed in range(8):
        client.append(np.arange(seed * 8192, (seed + 1) * 8192), rows_of(8192, 64, seed))
    assert server.terminate() == OK
    out, whole = tmp_path / "rows.npy", tmp_path / "whole.npy"
    exported("--store", server.store, "--out", whole)
    part = out.with_name("rows.npy.part")
    killed = 0
    for number in range(12):
        part.unlink(missing_ok=True)
        with started("export", "--store", server.store, "--collection", COLLECTION, "--out", out,
                     stdout=subprocess.DEVNULL) as process:
            wait_for(lambda: process.poll() is not None or part.exists() or out.exists(), bool, pause=0)
            time.sleep(number * 0.002)
            process.kill()
        killed += not out.exists()
        if out.exists():
            assert out.read_bytes() == whole.read_bytes()
            out.unlink()
    assert killed > 0
    exported("--store", server.store, "--out", out)
    assert out.read_bytes() == whole.read_bytes() and not part.exists()
    assert verify(server.store).returncode == OK


@pytest.mark.parametrize("first, said", [
    ((b"".join(answer(BODY))[:-10], True), "the connection ended"),
    ((b"".join(answer(BODY, digest=digest_of(b"other"))), True), "what came is damaged"),
    ((b"".join(answer(BODY)).replace(BODY[5000:5008], bytes(8)), True), "what came is damaged"),
])
def test_answer_that_is_not_whole_is_asked_for_again(tmp_path, first, said):
    out = tmp_path / "rows.f32"
    with Scripted(first, (b"".join(answer(BODY)), True)) as server:
        found = export("--url", server.url, "--out", out)
    assert found.returncode == OK and said in found.stderr
    assert out.read_bytes() == BODY


@pytest.mark.parametrize("data, said", [
    (b"".join(answer(BODY, digest="")), "no Content-Digest"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "not the export of an Ingot server"),
    (b"hello\r\n\r\n", "no HTTP/1.1 server"),
])
def test_answer_of_something_else_makes_no_file(tmp_path, data, said):
    with Scripted((data, True)) as server:
        found = export("--url", server.url, "--out", tmp_path / "rows.f32")
    assert found.returncode == COULD_NOT_RUN and said in found.stderr
    assert not list(tmp_path.iterdir())


def test_disk_that_is_full_leaves_nothing(launch, tmp_path):
    server = launch()
    rows = Rows(Client(server.url, COLLECTION))
    rows.append([str(number) for number in range(20_000)])
    target = tmp_path / "target"
    target.mkdir()
    for place in (("--url", server.url), ("--store", server.store)):
        if place[0] == "--store":
            assert server.terminate() == OK
        for format in ("npy", "npz"):
            # A limit on the size of files is as good as a full disk.
            found = subprocess.run(
                ["bash", "-c", 'ulimit -f 600; exec "$@"', "-", BINARY, "export",
                 *map(str, place), "--collection", COLLECTION, "--out", target / f"rows.{format}"],
                env=clean_environment(), capture_output=True, text=True, timeout=60)
            assert found.returncode == COULD_NOT_RUN, found.stderr
            assert "cannot write" in found.stderr and "make room" in found.stderr
            assert not list(target.iterdir())
    with open("/dev/full", "wb") as full:
        found = subprocess.run(
            [BINARY, "export", "--store", server.store, "--collection", COLLECTION, "--format",
             "npy", "--out", "-"], env=clean_environment(), stdout=full, stderr=subprocess.PIPE,
            text=True, timeout=60)
    assert found.returncode == COULD_NOT_RUN and "No space left on device" in found.stderr


def test_reader_that_goes_away_is_an_error_and_no_crash(launch):
    server = launch()
    rows = Rows(Client(server.url, COLLECTION))
    rows.append([str(number) for number in range(20_000)])
    assert server.terminate() == OK
    found = subprocess.run(
        ["bash", "-c", '"$@" | head -c 100 > /dev/null; exit "${PIPESTATUS[0]}"', "-", BINARY,
         "export", "--store", server.store, "--collection", COLLECTION, "--format", "npy",
         "--out", "-"], env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert found.returncode == COULD_NOT_RUN and "Broken pipe" in found.stderr
