# Promise: an export is the live rows, bit for bit, in files that their own programs read; damaged rows are left out and
# counted.
import json
import socket
import subprocess

import numpy as np
import pytest

from client import Client, same_bits, shard_file
from damage import flip
from exports import (
    COLLECTION, COULD_NOT_RUN, LEFT_OUT, OK, Rows, assert_folder_holds, assert_holds, crc32c,
    digest_of, export, exported, fill)
from server_process import BINARY, clean_environment
from threads import Jobs

FORMATS = ["npy", "npz", "fbin", "f32", "safetensors", "ids"]


def compact(client):
    done = client.compact(dead_percent=1)
    assert done["failure"] is None and done["replaced_shards"] > 1, done


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

    def agrees():
        """Whether nothing changed between ids and rows; then they are of one moment."""
        out, ids = tmp_path / "rows.npy", tmp_path / "ids.txt"
        found = export("--url", server.url, "--out", out, "--ids", ids, "--force", "--json")
        if found.returncode == COULD_NOT_RUN:
            assert "the collection changed between ids and rows" in found.stderr
            return False
        assert found.returncode == OK, found.stderr
        names, rows = np.loadtxt(ids, dtype="<f4"), np.load(out)
        assert same_bits(rows[:, 0], names)
        assert rows[:, 1].max() == json.loads(found.stdout)["sequence"] - 1
        return True

    post(0)
    with Jobs(lambda turn: post(turn + 1)) as poster:
        for _ in range(10):
            agrees()
        poster.wait_for_turns(1)
    assert agrees()


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

def missing(server, ids):
    """What the server says of ids that it does not serve."""
    response = Client(server.url, COLLECTION).missing("\n".join(ids).encode())
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
        flip(shard_file(server.store, 1, COLLECTION), 100_000, bit=4)
    elif target == "several-shards":
        # Each in a batch within one block: of others a read and a scrub take out different rows.
        for shard, offset in ((0, 5_000), (0, 150_000), (1, 100_000), (2, 150_000)):
            flip(shard_file(server.store, shard, COLLECTION), offset, bit=4)
    else:
        log = shard_file(server.store, 1, COLLECTION).with_name("commits.log")
        flip(log, log.read_bytes().index(b"n4000"), bit=4)
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
