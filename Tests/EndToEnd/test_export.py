# Promise: an export is the live rows, bit for bit, in files that their own programs read; or there is no file.
import base64
import json
import os
import signal
import socket
import subprocess
import threading
import time
import zipfile

import numpy as np
import pytest
from embedding_reader import EmbeddingReader
from safetensors.numpy import load_file

from client import Client, rows_of, same_bits, shard_file
from server_process import BINARY, ROOT, clean_environment, command, verify

OK, LEFT_OUT, COULD_NOT_RUN, IN_USE, USAGE, INTERRUPTED = 0, 1, 2, 3, 64, 130
COLLECTION = "clip"
FORMATS = ["npy", "npz", "fbin", "f32", "safetensors", "ids"]
DIMENSION = 24


def export(*arguments, **options):
    return command("export", "--collection", COLLECTION, *arguments, **options)


def exported(*arguments, code=OK):
    """Exports what must be exported, and gives the report."""
    found = export("--json", *arguments)
    assert found.returncode == code, found.stderr
    return json.loads(found.stdout)


# What is stored

def strange(name):
    return f'ein/Bild "{name}" \\ ü😀.jpg'


class Rows:
    """The rows that a store has to have, in the order in which they were stored."""

    def __init__(self, client, dtype="<f4"):
        self.client, self.dtype, self.live, self.seed = client, dtype, {}, 0
        assert client.create(DIMENSION, np.dtype(dtype).name).status_code == 201

    def append(self, ids):
        rows = rows_of(len(ids), DIMENSION, self.seed, self.dtype)
        self.seed += 1
        self.client.append(ids, rows)
        for row_id, row in zip(ids, rows):
            self.live.pop(row_id, None)
            self.live[row_id] = row

    def delete(self, ids):
        response = self.client.request("POST", f"{self.client.base}/delete", json=list(ids))
        assert response.status_code == 200, response.text
        for row_id in ids:
            self.live.pop(row_id, None)

    @property
    def ids(self):
        return list(self.live)

    @property
    def array(self):
        return np.array(list(self.live.values()), self.dtype).reshape(-1, DIMENSION)


def fill(client, dtype="<f4"):
    """Several shards with rows that are overwritten, deleted, and deleted and stored again."""
    rows = Rows(client, dtype)
    names = [strange(number) for number in range(2100)]
    for start in range(0, 2100, 150):
        rows.append(names[start:start + 150])
    rows.append(names[40:90] + names[1000:1100])
    rows.delete(names[0:300:3] + names[2090:])
    rows.append(names[6:9])
    rows.delete(names[600:1600])
    return rows


def compact(client):
    before = len(client.get("/integrity").json().get("shards", []))
    response = client.request("POST", f"{client.base}/compact", json={"dead_percent": 1})
    assert response.status_code == 202, response.text
    deadline = time.monotonic() + 30
    while client.get(f"{client.base}/compact").json()["state"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    done = client.get(f"{client.base}/compact").json()
    assert done["failure"] is None and done["replaced_shards"] > 1, (before, done)


# What comes over the wire

def crc32c(data, table=[]):
    """Castagnoli's, bit by bit but for a table; no library of the server has a part in it."""
    if not table:
        for byte in range(256):
            for _ in range(8):
                byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
            table.append(byte)
    value = 0xFFFFFFFF
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value ^ 0xFFFFFFFF


def digest_of(data):
    return f"crc32c=:{base64.b64encode(crc32c(data).to_bytes(4, 'big')).decode()}:"


def get_raw(server, format):
    """Head, body and trailers of an export, taken apart by hand: clients of HTTP hide trailers."""
    with socket.create_connection((server.host, server.port), timeout=60) as connection:
        connection.sendall(
            f"GET /v1/collections/{COLLECTION}/export?format={format} HTTP/1.1\r\n"
            f"Host: {server.host}\r\nConnection: close\r\n\r\n".encode())
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    head, _, rest = received.partition(b"\r\n\r\n")
    body = b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            break
        body += rest[:int(size, 16)]
        assert rest[int(size, 16):][:2] == b"\r\n"
        rest = rest[int(size, 16) + 2:]
    assert rest.endswith(b"\r\n\r\n")
    return fields(head.partition(b"\r\n")[2]), body, fields(rest)


def fields(lines):
    return {name.lower(): value for name, value in
            (line.split(": ", 1) for line in lines.decode().split("\r\n") if line)}


# Every format, read by its own program

def read(format, path, row_count):
    """Rows and, where the format has them, ids."""
    if format == "npy":
        return np.load(path, allow_pickle=False), None
    if format == "npz":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
        members = np.load(path, allow_pickle=False)
        return members["embeddings"], members["ids"].tolist()
    if format == "fbin":
        assert np.fromfile(path, "<u4", 2).tolist() == [row_count, DIMENSION]
        return np.fromfile(path, "<f4", offset=8).reshape(row_count, DIMENSION), None
    if format == "f32":
        return np.fromfile(path, "<f4").reshape(row_count, DIMENSION), None
    if format == "safetensors":
        return load_file(path)["embeddings"], None
    return None, path.read_bytes().decode().split("\n")[:-1]


def assert_holds(format, path, rows):
    array, ids = read(format, path, len(rows.live))
    if array is not None:
        wanted = rows.array.astype("<f4") if format in ("fbin", "f32") else rows.array
        assert same_bits(array, wanted), format
    if ids is not None:
        assert ids == rows.ids, format


@pytest.mark.parametrize("dtype", ["<f4", "<f2"])
@pytest.mark.parametrize("is_compacted", [False, True])
def test_every_format_has_the_live_rows_bit_for_bit(launch, tmp_path, dtype, is_compacted):
    server = launch("--shard-bytes", "16KiB")
    client = Client(server.url, COLLECTION)
    rows = fill(client, dtype)
    if is_compacted:
        compact(client)

    bodies = {}
    for format in FORMATS:
        path = tmp_path / f"url.{format}"
        report = exported("--url", server.url, "--format", format, "--out", path)
        head, body, trailers = get_raw(server, format)
        bodies[format] = body
        assert path.read_bytes() == body
        assert trailers == {"content-digest": digest_of(body)}
        assert report["crc32c"] == f"{crc32c(body):08x}" and report["bytes"] == len(body)
        assert report["rows"] == int(head["x-ingot-rows"]) == len(rows.live)
        assert report["sequence"] == int(head["x-ingot-sequence"]) == 18
        assert report["damaged_rows"] == int(head["x-ingot-damaged-rows"]) == 0
        assert int(head.get("x-ingot-bytes", len(body))) == len(body)
        assert_holds(format, path, rows)
    assert server.terminate() == OK
    for format in FORMATS:
        path = tmp_path / f"store.{format}"
        report = exported("--store", server.store, "--format", format, "--out", path)
        assert path.read_bytes() == bodies[format], format
        assert report["crc32c"] == f"{crc32c(bodies[format]):08x}"
    assert not list(tmp_path.glob("*.part"))


def test_ids_beside_the_rows_are_of_the_same_rows(launch, tmp_path):
    server = launch("--shard-bytes", "16KiB")
    rows = fill(Client(server.url, COLLECTION))
    pairs = {}
    for way, place in (("url", server.url), ("store", server.store)):
        if way == "store":
            assert server.terminate() == OK
        out, ids = tmp_path / f"{way}.safetensors", tmp_path / f"{way}.txt"
        report = exported(f"--{way}", place, "--out", out, "--ids", ids)
        assert_holds("safetensors", out, rows)
        assert_holds("ids", ids, rows)
        assert report["ids"]["crc32c"] == f"{crc32c(ids.read_bytes()):08x}"
        pairs[way] = out.read_bytes(), ids.read_bytes()
    assert pairs["url"] == pairs["store"]


def test_ids_and_rows_agree_while_rows_are_overwritten(server, tmp_path):
    client = Client(server.url, COLLECTION)
    client.create(2)

    def post(number):
        ids = np.random.default_rng(number).permutation(500)[:100]
        client.append(ids, np.stack([ids, np.full(100, number)], axis=1).astype("<f4"))

    def post_all():
        for number in range(1, 60):
            post(number)

    post(0)
    poster = threading.Thread(target=post_all)
    poster.start()
    agreed = 0
    is_last = False
    while not is_last:
        is_last = not poster.is_alive()
        out, ids = tmp_path / "rows.npy", tmp_path / "ids.txt"
        found = export("--url", server.url, "--out", out, "--ids", ids, "--force", "--json")
        if found.returncode == COULD_NOT_RUN:
            assert "the collection changed between ids and rows" in found.stderr
            continue
        assert found.returncode == OK, found.stderr
        names, rows = np.loadtxt(ids, dtype="<f4"), np.load(out)
        assert same_bits(rows[:, 0], names)
        assert rows[:, 1].max() == json.loads(found.stdout)["sequence"] - 1
        agreed += 1
    poster.join()
    assert agreed > 0


def test_collection_without_rows(launch, tmp_path):
    server = launch()
    rows = Rows(Client(server.url, COLLECTION))
    for way, place in (("url", server.url), ("store", server.store)):
        if way == "store":
            assert server.terminate() == OK
        for format in FORMATS:
            path = tmp_path / f"{way}.{format}"
            report = exported(f"--{way}", place, "--format", format, "--out", path)
            assert report["rows"] == 0
            assert_holds(format, path, rows)
    exported("--store", server.store, "--layout", "clip-retrieval", "--out", tmp_path / "folder")
    assert not [path for path in (tmp_path / "folder").rglob("*") if path.is_file()]


def test_every_row_deleted(server, tmp_path):
    rows = Rows(Client(server.url, COLLECTION))
    rows.append(["a", "b"])
    rows.delete(["a", "b"])
    report = exported("--url", server.url, "--out", tmp_path / "rows.npz")
    assert report["rows"] == 0 and report["damaged_rows"] == 0
    assert_holds("npz", tmp_path / "rows.npz", rows)


def test_long_ids_and_ids_with_a_line_feed(server, tmp_path):
    rows = Rows(Client(server.url, COLLECTION))
    names = ["a\nb", "x" * 512, "😀" * 128, " ", "\\"]
    rows.append(names)
    exported("--url", server.url, "--out", tmp_path / "rows.npz")
    assert_holds("npz", tmp_path / "rows.npz", rows)


def test_standard_output_has_nothing_but_the_file(launch, tmp_path):
    server = launch("--shard-bytes", "16KiB")
    fill(Client(server.url, COLLECTION))
    _, body, _ = get_raw(server, "npy")
    for place in (("--url", server.url), ("--store", server.store)):
        if place[0] == "--store":
            assert server.terminate() == OK
        found = subprocess.run(
            [BINARY, "export", *map(str, place), "--collection", COLLECTION, "--format", "npy",
             "--out", "-", "--json"], env=clean_environment(), capture_output=True, timeout=60)
        assert found.returncode == OK and found.stdout == body
        assert json.loads(found.stderr)["crc32c"] == f"{crc32c(body):08x}"


# Damage

def flip_bit(path, offset):
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.write_bytes(data)


def missing(server, ids):
    """What the server says of ids that it does not serve."""
    response = Client(server.url, COLLECTION).request(
        "POST", f"/v1/collections/{COLLECTION}/missing", data="\n".join(ids).encode(),
        headers={"Content-Type": "text/plain"})
    assert response.status_code == 200, response.text
    return set(response.text.split("\n")[:-1])


def without(rows, ids):
    for row_id in ids:
        rows.live.pop(row_id)
    return rows


@pytest.mark.parametrize("target", ["one-block", "several-shards", "commit-record"])
@pytest.mark.parametrize("way", ["store", "url"])
def test_damaged_rows_are_left_out_and_counted(launch, tmp_path, target, way):
    server = launch("--shard-bytes", "256KiB")
    rows = Rows(Client(server.url, COLLECTION))
    for start in range(0, 9000, 300):
        rows.append([f"n{number}" for number in range(start, start + 300)])
    assert server.terminate() == OK
    if target == "one-block":
        flip_bit(shard_file(server.store, 1, COLLECTION), 100_000)
    elif target == "several-shards":
        # Each in a batch within one block: of others a read and a scrub take out different rows.
        for shard, offset in ((0, 5_000), (0, 150_000), (1, 100_000), (2, 150_000)):
            flip_bit(shard_file(server.store, shard, COLLECTION), offset)
    else:
        log = shard_file(server.store, 1, COLLECTION).with_name("commits.log")
        flip_bit(log, log.read_bytes().index(b"n4000"))
    if way == "url":
        server.start()
    place = (f"--{way}", server.store if way == "store" else server.url)
    out, ids = tmp_path / "rows.npy", tmp_path / "ids.txt"

    found = export(*place, "--out", out, "--ids", ids, "--json")

    report = json.loads(found.stdout)
    assert found.returncode == LEFT_OUT, found.stderr
    assert 0 < report["damaged_rows"] < 3000
    assert f"{report['damaged_rows']} rows are damaged or lost" in found.stderr
    assert f"POST /v1/collections/{COLLECTION}/missing" in found.stderr
    if way == "store":
        folder = exported(
            *place, "--layout", "clip-retrieval", "--out", tmp_path / "folder", code=LEFT_OUT)
        assert folder["damaged_rows"] == report["damaged_rows"]
        assert_folder_holds(tmp_path / "folder", ids.read_text().splitlines(), np.load(out))
        server.start()
    # Rows whose commit record is damaged are served until a scrub has found that.
    Client(server.url).scrub()
    lost = missing(server, rows.ids)
    assert len(lost) == report["damaged_rows"]
    without(rows, lost)
    assert_holds("npy", out, rows)
    assert_holds("ids", ids, rows)


def test_rows_of_a_lost_shard_are_counted(launch, tmp_path):
    server = launch("--shard-bytes", "16KiB")
    rows = Rows(Client(server.url, COLLECTION))
    for start in range(0, 900, 150):
        rows.append([f"n{number}" for number in range(start, start + 150)])
    assert server.terminate() == OK
    lost = np.load(shard_file(server.store, 1, COLLECTION)).shape[0]
    for path in shard_file(server.store, 1, COLLECTION).parent.iterdir():
        path.unlink()
    report = exported(
        "--store", server.store, "--out", tmp_path / "rows.npz", code=LEFT_OUT)
    assert report["damaged_rows"] == lost and report["rows"] == 900 - lost
    server.start()
    assert_holds("npz", tmp_path / "rows.npz", without(rows, missing(server, rows.ids)))


# Interruption

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
                while b"\r\n\r\n" not in request:
                    request += connection.recv(4096)
                connection.sendall(data)
                if not ends:
                    self.ended.wait(60)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.listener.close()


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


def begin(server, out, *arguments):
    """Starts an export and waits until bytes of it are written."""
    process = subprocess.Popen(
        [BINARY, "export", "--url", server.url, "--collection", COLLECTION, "--out", str(out),
         *arguments], env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True)
    part = out.with_name(out.name + ".part")
    deadline = time.monotonic() + 30
    while not part.exists() or BODY[:1000] not in part.read_bytes():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    return process, part


@pytest.mark.parametrize("name", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_interrupted_export_leaves_no_file(tmp_path, name):
    out = tmp_path / "rows.f32"
    half = answer(BODY)[0][:-1000]
    with Scripted((half, False)) as server:
        process, part = begin(server, out)
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
    with Scripted((first, False)) as server:
        process, part = begin(server, out)
        found = export("--url", server.url, "--out", out)
        assert found.returncode == COULD_NOT_RUN and "another export is writing" in found.stderr
        assert part.exists()
        process.kill()
        process.communicate()


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
        process = subprocess.Popen(
            [BINARY, "export", "--store", str(server.store), "--collection", COLLECTION, "--out",
             str(out)], env=clean_environment(), stdout=subprocess.DEVNULL)
        part.unlink(missing_ok=True)
        while process.poll() is None and not part.exists() and not out.exists():
            pass
        time.sleep(number * 0.002)
        process.kill()
        process.wait()
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


# What is refused

def test_file_that_is_there_is_kept_unless_forced(server, tmp_path):
    rows = Rows(Client(server.url, COLLECTION))
    rows.append(["a", "b"])
    out, ids = tmp_path / "rows.npy", tmp_path / "ids.txt"
    place = ("--url", server.url)
    for existing in (out, ids):
        existing.write_text("precious")
        found = export(*place, "--out", out, "--ids", ids)
        assert found.returncode == COULD_NOT_RUN and "--force replaces it" in found.stderr
        assert existing.read_text() == "precious"
        assert list(tmp_path.glob("*.npy")) + list(tmp_path.glob("ids*")) == [existing]
        existing.unlink()
    out.write_text("old")
    exported(*place, "--out", out, "--ids", ids, "--force")
    assert_holds("npy", out, rows)
    (tmp_path / "link.npy").symlink_to(out)
    for bad in (tmp_path, tmp_path / "link.npy", "/dev/null"):
        found = export(*place, "--format", "npy", "--out", bad, "--force")
        assert found.returncode == COULD_NOT_RUN and "regular file is expected" in found.stderr
    found = export(*place, "--out", tmp_path / "nowhere/rows.npy")
    assert found.returncode == COULD_NOT_RUN and "No such file or directory" in found.stderr


def test_what_is_no_store_is_named_and_nothing_is_made(launch, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    for root in (tmp_path / "nowhere", tmp_path / "other"):
        found = export("--store", root, "--out", tmp_path / "rows.npy")
        assert found.returncode == COULD_NOT_RUN and str(root) in found.stderr
    assert sorted(tmp_path.rglob("*")) == before
    server = launch()
    found = export("--store", server.store, "--out", tmp_path / "rows.npy")
    assert found.returncode == IN_USE and str(server.pid) in found.stderr
    found = export("--url", server.url, "--out", tmp_path / "rows.npy")
    assert found.returncode == COULD_NOT_RUN and "collection-unknown" in found.stderr
    Client(server.url, "other").create(4)
    assert server.terminate() == OK
    found = export("--store", server.store, "--out", tmp_path / "rows.npy")
    assert found.returncode == COULD_NOT_RUN
    assert f"there is no collection {COLLECTION}" in found.stderr and "other" in found.stderr
    assert not list(tmp_path.glob("rows*"))


@pytest.mark.parametrize("arguments", [
    ["--out", "x.npy"], ["--store", "s", "--url", "http://127.0.0.1:1", "--out", "x.npy"],
    ["--store", "s", "--out", "x"], ["--store", "s", "--out", "-"],
    ["--store", "s", "--out", "x.npy", "--format", "csv"],
    ["--store", "s", "--out", "x.npz", "--ids", "y"],
    ["--store", "s", "--out", "x.npy", "--ids", "x.npy"],
    ["--store", "s", "--out", "x.npy", "--ids", "-"], ["--store", "s", "--out", "x.npy", "--copy"],
    ["--store", "s", "--out", "x", "--layout", "tar"],
    ["--store", "s", "--out", "x", "--layout", "clip-retrieval", "--format", "npy"],
    ["--store", "s", "--out", "x", "--layout", "clip-retrieval", "--ids", "y"],
    ["--url", "http://127.0.0.1:1", "--out", "x", "--layout", "clip-retrieval"],
    ["--url", "https://127.0.0.1", "--out", "x.npy"], ["--store", "s", "--out", ""],
])
def test_options_that_do_not_go_together(tmp_path, arguments):
    found = export(*arguments, cwd=tmp_path)
    assert found.returncode == USAGE and not list(tmp_path.iterdir())


def test_format_that_is_not_known_is_a_bad_parameter(server):
    client = Client(server.url, COLLECTION)
    client.create(4)
    response = client.get(f"{client.base}/export?format=csv")
    assert response.status_code == 400 and response.json()["code"] == "bad-parameter"
    response = Client(server.url, "other").get("/v1/collections/other/export")
    assert response.status_code == 404 and response.json()["code"] == "collection-unknown"


# The folder of clip-retrieval

def assert_folder_holds(folder, ids, array):
    reader = EmbeddingReader(str(folder / "img_emb"), file_format="npy")
    pieces = [rows for rows, _ in reader(batch_size=77, show_progress=False)]
    assert reader.dimension == array.shape[1] and reader.count == len(array)
    assert same_bits(np.concatenate(pieces), array.astype("<f4"))
    reader = EmbeddingReader(
        str(folder / "img_emb"), file_format="parquet_npy",
        metadata_folder=str(folder / "metadata"), meta_columns=["image_path"])
    pieces = list(reader(batch_size=77, show_progress=False))
    assert same_bits(np.concatenate([rows for rows, _ in pieces]), array.astype("<f4"))
    assert [name for _, names in pieces for name in names["image_path"]] == ids


@pytest.mark.parametrize("dtype", ["<f4", "<f2"])
def test_embedding_reader_reads_the_folder(launch, tmp_path, dtype):
    server = launch("--shard-bytes", "16KiB")
    rows = fill(Client(server.url, COLLECTION), dtype)
    assert server.terminate() == OK
    place = ("--store", server.store, "--layout", "clip-retrieval", "--out", tmp_path / "folder")
    report = exported(*place)
    files = sorted((tmp_path / "folder/img_emb").iterdir())
    shards = {path.stat().st_ino for path in server.store.rglob("embeddings.npy")}
    linked = [path for path in files if path.stat().st_ino in shards]

    assert 2 < len(files) < len(shards), "shards without a live row are left out"
    assert 0 < len(linked) < len(files) and report["linked_files"] == len(linked)
    assert report["rows"] == len(rows.live)
    for file in report["files"]:
        data = (tmp_path / "folder" / file["path"]).read_bytes()
        assert file["bytes"] == len(data) and file["crc32c"] == f"{crc32c(data):08x}"
    assert_folder_holds(tmp_path / "folder", rows.ids, rows.array)

    found = export(*place)
    assert found.returncode == COULD_NOT_RUN and "--force" in found.stderr
    assert exported(*place, "--force", "--copy")["linked_files"] == 0
    files = sorted((tmp_path / "folder/img_emb").iterdir())
    assert not [path for path in files if path.stat().st_ino in shards]
    assert_folder_holds(tmp_path / "folder", rows.ids, rows.array)
    (tmp_path / "folder/mine.txt").write_text("precious")
    found = export(*place, "--force")
    assert found.returncode == COULD_NOT_RUN and "more than img_emb and metadata" in found.stderr
    assert (tmp_path / "folder/mine.txt").read_text() == "precious"
    assert not (tmp_path / "folder.part").exists()
    assert verify(server.store).returncode == OK


def test_folder_is_imported_again_as_it_was(launch, tmp_path):
    server = launch("--shard-bytes", "16KiB")
    fill(Client(server.url, COLLECTION))
    assert server.terminate() == OK
    exported(
        "--store", server.store, "--layout", "clip-retrieval", "--out", tmp_path / "folder")
    copy = launch(store=tmp_path / "copy")
    imported = subprocess.run(
        [os.sys.executable, ROOT / "deploy/import-clip-retrieval", "--url", copy.url,
         "--collection", COLLECTION, tmp_path / "folder"], capture_output=True, text=True)
    assert imported.returncode == OK, imported.stderr
    exported("--url", copy.url, "--out", tmp_path / "copy.npz")
    exported("--store", server.store, "--out", tmp_path / "first.npz")
    assert (tmp_path / "copy.npz").read_bytes() == (tmp_path / "first.npz").read_bytes()


def test_folder_on_another_disk_is_copied(launch, tmp_path):
    other = "/dev/shm"
    if os.stat(other).st_dev == os.stat(tmp_path).st_dev:
        other = "/run"
    server = launch("--shard-bytes", "16KiB")
    rows = fill(Client(server.url, COLLECTION))
    assert server.terminate() == OK
    folder = tmp_path / "folder"
    place = f"{other}/ingot-test-{os.getpid()}"
    assert os.stat(other).st_dev != os.stat(tmp_path).st_dev
    try:
        report = exported(
            "--store", server.store, "--layout", "clip-retrieval", "--out", place)
        folder.symlink_to(place)
        assert report["linked_files"] == 0
        assert_folder_holds(folder, rows.ids, rows.array)
    finally:
        subprocess.run(["rm", "-r", "--", place], check=True)
