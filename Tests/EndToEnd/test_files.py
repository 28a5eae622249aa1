# Promise: /files serves every shard as the .npy file that it is at one moment, bit for bit, whole or in part.
import http.client
import socket
import subprocess

import numpy as np
import pytest
import requests
from embedding_reader import EmbeddingReader

from client import Client, load, rows_of, same_bits, shard_file, shard_files
from server_process import ServerProcess
from threads import Jobs

DIMENSION = 96
HEADER = 128


def path_of(shard=0, collection="default"):
    return f"/files/{collection}/{shard:06d}.npy"


def fill(server):
    """Several sealed shards and an open one; gives all rows in order."""
    client = Client(server.url)
    batches = [rows_of(77, DIMENSION, seed) for seed in range(30)]
    for seed, rows in enumerate(batches):
        client.append([f"{seed}/{index}" for index in range(77)], rows)
    assert len(shard_files(server.store)) > 3
    return np.concatenate(batches)


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A server that no test changes."""
    server = ServerProcess(
        tmp_path_factory.mktemp("files") / "store", "--shard-bytes", "256KiB").start()
    rows = fill(server)
    yield server, Client(server.url), rows
    assert server.terminate() == 0


# The index

def test_index_links_every_shard_in_order(filled):
    server, client, _ = filled
    response = client.get("/files/default/")

    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    links = [part.split('"')[0] for part in response.text.split('href="')[1:]]
    assert links == [f"{path.parent.name}.npy" for path in shard_files(server.store)]


def test_path_without_its_last_slash_leads_to_the_index(filled):
    _, client, _ = filled
    response = client.get("/files/default", allow_redirects=False)

    assert response.status_code == 301 and response.headers["Location"] == "default/"
    assert client.get("/files/default").text == client.get("/files/default/").text


def test_index_escapes_what_it_shows(launch, tmp_path):
    """The reason why a shard cannot be opened names a path, and a path may hold anything."""
    server = launch(store=tmp_path / "<b>&\"'")
    Client(server.url).append([1], rows_of(1))
    assert server.terminate() == 0
    shard_file(server.store).with_name("commits.log").unlink()
    server.start()

    text = Client(server.url).get("/files/default/").text

    assert "000000.npy" in text and "&lt;b&gt;&amp;&quot;&#39;" in text
    assert "<b>" not in text and "href" not in text
    response = Client(server.url).get(path_of())
    assert response.status_code == 500 and response.json()["code"] in ("rows-damaged", "row-damaged")


# Readers

def test_embedding_reader_reads_the_same_vectors(filled):
    server, _, rows = filled
    reader = EmbeddingReader(f"{server.url}/files/default/", file_format="npy")
    pieces = [piece for piece, _ in reader(batch_size=100, show_progress=False)]

    assert (reader.count, reader.dimension) == rows.shape
    assert same_bits(np.concatenate(pieces), rows)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_numpy_loads_what_was_downloaded(launch, dtype):
    client = Client(launch().url, "vectors")
    client.create(7, dtype)
    rows = rows_of(1000, 7, dtype=dtype)
    client.append(range(1000), rows)

    body = client.get(path_of(collection="vectors")).content

    assert same_bits(load(body), rows)
    assert len(body) == HEADER + rows.nbytes


def test_sealed_shard_is_the_file_byte_for_byte(filled):
    server, client, _ = filled
    assert client.get(path_of(1)).content == shard_file(server.store, 1).read_bytes()


@pytest.mark.parametrize("byte_count", [1, HEADER - 1, HEADER + 5, 100_001])
def test_curl_resumes_a_cut_download(filled, tmp_path, byte_count):
    server, client, _ = filled
    whole = client.get(path_of(0)).content
    partial = tmp_path / "shard.npy"
    partial.write_bytes(whole[:byte_count])

    subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "-C", "-", "-o", partial,
         server.url + path_of(0)], check=True, timeout=60)

    assert partial.read_bytes() == whole


# Ranges

RANGES = [
    ("bytes=0-0", (0, 1)), ("bytes=0-", (0, None)), ("bytes=128-255", (128, 256)),
    ("bytes=100-200", (100, 201)), ("bytes=129-129", (129, 130)), ("bytes=-1", (-1, None)),
    ("bytes=-500", (-500, None)), ("bytes=-99999999999", (0, None)),
    ("bytes=65535-65537", (65535, 65538)), ("BYTES=3-4", (3, 5)),
    ("bytes=5-99999999999999999999999", (5, None)), ("bytes=70000-199999", (70000, 200000))]


@pytest.mark.parametrize("value, ends", RANGES)
def test_range_is_answered_with_206(filled, value, ends):
    _, client, _ = filled
    whole = client.get(path_of()).content
    response = client.get(path_of(), headers={"Range": value})

    expected = whole[ends[0]:ends[1]]
    start = len(whole) - len(expected) if ends[1] is None else ends[0]
    assert response.status_code == 206
    assert response.content == expected
    assert response.headers["Content-Range"] == \
        f"bytes {start}-{start + len(expected) - 1}/{len(whole)}"
    assert response.headers["Content-Length"] == str(len(expected))


def test_range_of_a_whole_turn_of_the_server_does_not_end_its_connection(launch):
    """docs/limits.md, `turnByteCountMax`: the last byte of the range is the last that one turn sends."""
    server = launch()
    Client(server.url).append(range(16384), rows_of(16384, 80))
    request = f"GET {path_of()} HTTP/1.1\r\nHost: a\r\nRange: bytes=0-4194303\r\n".encode()

    with socket.create_connection((server.host, server.port), timeout=10) as connection:
        for _ in range(3):
            connection.sendall(request + b"\r\n")
            assert len(answer_from(connection)) == 4 << 20
        connection.sendall(request + b"Connection: close\r\n\r\n")
        assert len(answer_from(connection)) == 4 << 20
        assert connection.recv(1) == b""


def answer_from(connection):
    """The body of one answer, taken as fast as the kernel gives it."""
    received, head_end = b"", -1
    while head_end < 0:
        received += connection.recv(1 << 20)
        head_end = received.find(b"\r\n\r\n")
    head, body = received[:head_end], [received[head_end + 4:]]
    byte_count = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
    while sum(map(len, body)) < byte_count:
        body.append(connection.recv(4 << 20))
    return b"".join(body)


@pytest.mark.parametrize("value", [
    "bytes=", "bytes=-", "bytes=a-b", "bytes=5-3", "bytes 0-1", "bytes=0-1-2", "bytes=+1-2",
    "bytes=0x0-0x1", "lines=0-1", "bytes=0 - 1", "bytes=0-1,5-6", "bytes=0-1, 3-4", "0-1"])
def test_range_that_is_malformed_or_manifold_is_answered_whole(filled, value):
    _, client, _ = filled
    response = client.get(path_of(), headers={"Range": value})

    assert response.status_code == 200 and "Content-Range" not in response.headers
    assert response.content == client.get(path_of()).content


@pytest.mark.parametrize("value", ["bytes={size}-", "bytes={size}-{size}", "bytes=-0",
                                   "bytes=99999999999999999999999-"])
def test_range_behind_the_end_is_refused_with_the_size(filled, value):
    _, client, _ = filled
    size = len(client.get(path_of()).content)
    response = client.get(path_of(), headers={"Range": value.format(size=size)})

    assert response.status_code == 416 and response.json()["code"] == "range-not-satisfiable"
    assert response.headers["Content-Range"] == f"bytes */{size}"
    assert response.headers["Content-Type"] == "application/problem+json"


def test_every_border_of_header_rows_and_blocks(filled):
    """Three bytes around each border, by one connection."""
    _, client, _ = filled
    whole = client.get(path_of()).content
    borders = {HEADER, HEADER + DIMENSION * 4, 65536, 131072, len(whole) - 2}
    for border in borders:
        response = client.get(path_of(), headers={"Range": f"bytes={border - 1}-{border + 1}"})
        assert response.content == whole[border - 1:border + 2], border


# HEAD and conditions

def test_head_says_what_get_would_and_sends_nothing(filled):
    server, client, _ = filled
    get = client.get(path_of())
    connection = http.client.HTTPConnection(server.host, server.port, timeout=20)
    connection.request("HEAD", path_of(), headers={"Range": "bytes=0-1"})
    head = connection.getresponse()

    assert head.status == 200 and head.read() == b""
    for name in ("Content-Length", "ETag", "Accept-Ranges", "Content-Type"):
        assert head.headers[name] == get.headers[name]
    assert get.headers["Accept-Ranges"] == "bytes" and "Content-Range" not in head.headers
    connection.request("GET", "/livez")
    assert connection.getresponse().status == 200
    connection.close()


def test_entity_tag_is_strong_and_stays_over_restart_and_seal(launch):
    server = launch("--shard-bytes", "64KiB")
    client = Client(server.url)
    client.append(range(40), rows_of(40, 128, 0))
    growing = client.get(path_of()).headers["ETag"]
    server.restart()
    client = Client(server.url)
    assert client.get(path_of()).headers["ETag"] == growing
    client.append(range(100), rows_of(100, 128, 1))
    full = client.get(path_of()).headers["ETag"]
    client.append(range(200), rows_of(200, 128, 2))
    server.restart()

    assert growing.startswith('"') and growing.endswith('"')
    assert Client(server.url).get(path_of()).headers["ETag"] == full
    state = Client(server.url).get("/integrity").json()["shards"][0]["state"]
    assert state == "sealed"


@pytest.mark.parametrize("form", ["{tag}", "W/{tag}", '"other", {tag}', "*"])
def test_file_that_the_client_has_is_not_sent(filled, form):
    _, client, _ = filled
    tag = client.get(path_of()).headers["ETag"]
    response = client.get(path_of(), headers={"If-None-Match": form.format(tag=tag)})

    assert response.status_code == 304 and response.content == b""
    assert response.headers["ETag"] == tag
    assert client.get(path_of(), headers={"If-None-Match": '"other"'}).status_code == 200


def test_range_of_another_file_is_answered_whole(filled):
    _, client, _ = filled
    whole = client.get(path_of())
    part = {"Range": "bytes=10-19"}
    tag = whole.headers["ETag"]

    assert client.get(path_of(), headers=part | {"If-Range": tag}).status_code == 206
    for other in ('"other"', "W/" + tag, "Wed, 21 Oct 2015 07:28:00 GMT"):
        response = client.get(path_of(), headers=part | {"If-Range": other})
        assert response.status_code == 200 and response.content == whole.content


def test_if_match_refuses_another_file(filled):
    _, client, _ = filled
    tag = client.get(path_of()).headers["ETag"]

    assert client.get(path_of(), headers={"If-Match": tag}).status_code == 200
    refused = client.get(path_of(), headers={"If-Match": '"other"'})
    assert refused.status_code == 412 and refused.json()["code"] == "precondition-failed"


# What is not there

@pytest.mark.parametrize("path, code", [
    ("/files/nobody/", "collection-unknown"), ("/files/nobody/000000.npy", "collection-unknown"),
    ("/files/default/000099.npy", "file-unknown"), ("/files/default/0.npy", "file-unknown"),
    ("/files/default/000000", "file-unknown"), ("/files/default/000000.NPY", "file-unknown"),
    ("/files/default/..%2F..%2Fstore.json", "file-unknown"),
    ("/files/default/000000.npy/x", "path-unknown")])
def test_names_that_are_not_there(filled, path, code):
    _, client, _ = filled
    response = client.get(path)
    assert response.status_code == 404 and response.json()["code"] == code


# Damage

def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def test_damaged_rows_never_leave_and_the_cut_is_visible(launch):
    server = launch("--shard-bytes", "256KiB")
    fill(server)
    assert server.terminate() == 0
    path = shard_file(server.store, 1)
    good = path.read_bytes()
    flip(path, 3 * 65536 + 77)
    server.start()
    client = Client(server.url)

    with pytest.raises((requests.exceptions.ChunkedEncodingError, requests.ConnectionError)):
        client.get(path_of(1)).content
    inside = client.get(path_of(1), headers={"Range": f"bytes={3 * 65536 + 50}-{3 * 65536 + 90}"})
    before = client.get(path_of(1), headers={"Range": f"bytes=0-{2 * 65536}"})

    assert inside.status_code == 500 and inside.json()["code"] in ("rows-damaged", "row-damaged")
    assert before.status_code == 206 and before.content == good[:2 * 65536 + 1]
    assert client.get(path_of(0)).status_code == 200


# A shard that grows

def test_growing_shard_is_a_snapshot_under_load(launch):
    """Every answer holds whole batches, its tag and its header say the same count, and its rows never change."""
    server = launch("--shard-bytes", "64MiB")
    writer_client = Client(server.url)
    writer_client.append(range(16), np.full((16, DIMENSION), 0, "<f4"))

    def write(turn):
        rows = np.full((16, DIMENSION), turn + 1, "<f4")
        writer_client.append([f"{turn + 1}/{index}" for index in range(16)], rows)

    client, tags, counts = Client(server.url), {}, []
    with Jobs(write) as writer:
        for number in range(60):
            if number % 10 == 9:
                writer.wait_for_turns(1)
            response = client.get(path_of())
            array = load(response.content)
            assert len(response.content) == HEADER + array.nbytes
            assert response.headers["ETag"].split("-")[1] == str(len(array))
            expected = np.repeat(np.arange(len(array) // 16), 16).astype("<f4")
            assert len(array) % 16 == 0 and (array == expected[:, None]).all()
            assert tags.setdefault(response.headers["ETag"], len(array)) == len(array)
            counts.append(len(array))
    assert counts == sorted(counts) and counts[-1] > counts[0]


def test_download_that_takes_long_keeps_its_snapshot(launch):
    """The head is read, the shard grows, then the body is read."""
    server = launch("--shard-bytes", "64MiB")
    client = Client(server.url)
    rows = rows_of(40_000, DIMENSION)
    for start in range(0, len(rows), 10_000):
        client.append(range(start, start + 10_000), rows[start:start + 10_000])
    with socket.create_connection((server.host, server.port), timeout=60) as connection:
        connection.sendall(f"GET {path_of()} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        received = connection.recv(1000)
        client.append(["late"], rows_of(1, DIMENSION))
        while piece := connection.recv(1 << 20):
            received += piece

    body = received.split(b"\r\n\r\n", 1)[1]
    assert same_bits(load(body), rows) and len(body) == HEADER + rows.nbytes
