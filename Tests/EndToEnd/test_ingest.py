# Promise: what was acknowledged is stored once, bit for bit, and a batch id gets its receipt for ever.
import base64
import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from client import (
    JSON, NDJSON, NPY, NPZ, Client, dumps, load, npy, npz, rows_in_file, rows_of, same_bits,
    shard_file, shard_files)

ROWS = rows_of(5)
NAMES = ["a", "b/c d", "ü€😀", "7", "x" * 512]


def base64_rows(rows):
    return [base64.b64encode(row.tobytes()).decode() for row in rows]


def json_rows(rows):
    return [[float(value) for value in row] for row in rows]


def multipart(ids, ids_type, embeddings):
    boundary = "b0undary"
    parts = b""
    for name, media_type, content in [("ids", ids_type, ids), ("embeddings", NPY, embeddings)]:
        parts += (
            f"--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n"
            f"Content-Type: {media_type}\r\n\r\n").encode() + content + b"\r\n"
    return parts + f"--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def openai(ids, embeddings):
    data = [
        {"object": "embedding", "index": index, "embedding": embedding}
        for index, embedding in enumerate(embeddings)]
    return {
        "object": "list", "data": data, "model": "some-model", "ids": ids,
        "usage": {"prompt_tokens": 8, "total_tokens": 8}}


def ndjson(ids, embeddings):
    return b"".join(
        dumps({"id": row_id, "embedding": row}) + b"\n" for row_id, row in zip(ids, embeddings))


# name -> (body, media type, ids as they are read)
INTEGERS = list(range(100, 105))
BODIES = {
    "npz": (npz(ids=np.array(NAMES), embeddings=ROWS), NPZ, NAMES),
    "npz-deflated": (npz(compressed=True, ids=np.array(NAMES), embeddings=ROWS), NPZ, NAMES),
    "npz-int64": (npz(ids=np.array(INTEGERS), embeddings=ROWS), NPZ, INTEGERS),
    "npz-uint64": (
        npz(ids=np.array([0, 1, 2, 3, 2**64 - 1], "<u8"), embeddings=ROWS), NPZ,
        [0, 1, 2, 3, 2**64 - 1]),
    "npz-int32-negative": (
        npz(ids=np.array([-2, -1, 0, 1, 2], "<i4"), embeddings=ROWS), NPZ, [-2, -1, 0, 1, 2]),
    "npz-bytes": (
        npz(ids=np.array([b"a", b"bb", b"ccc", b"d", b"e"]), embeddings=ROWS), NPZ,
        ["a", "bb", "ccc", "d", "e"]),
    "multipart-json-ids": (*multipart(dumps(NAMES), JSON, npy(ROWS)), NAMES),
    "multipart-text-ids": (
        *multipart("\n".join(NAMES).encode(), "text/plain", npy(ROWS)), NAMES),
    "multipart-npy-ids": (*multipart(npy(np.array(INTEGERS)), NPY, npy(ROWS)), INTEGERS),
    "json-columns": (dumps({"ids": NAMES, "embeddings": json_rows(ROWS)}), JSON, NAMES),
    "json-columns-other-order": (
        dumps({"embeddings": json_rows(ROWS), "ids": INTEGERS}), JSON, INTEGERS),
    "json-base64": (dumps({"ids": NAMES, "embeddings": base64_rows(ROWS)}), JSON, NAMES),
    "json-items": (
        dumps({"items": [{"id": i, "embedding": r} for i, r in zip(NAMES, json_rows(ROWS))]}),
        JSON, NAMES),
    "json-openai": (dumps(openai(NAMES, json_rows(ROWS))), JSON, NAMES),
    "json-openai-base64": (dumps(openai(NAMES, base64_rows(ROWS))), JSON, NAMES),
    "ndjson": (ndjson(NAMES, json_rows(ROWS)), NDJSON, NAMES),
    "ndjson-base64-no-last-line-feed": (
        ndjson(INTEGERS, base64_rows(ROWS)).rstrip(b"\n"), NDJSON, INTEGERS),
}


@pytest.mark.parametrize("name", BODIES)
def test_every_body_format_comes_back_bit_exact(client, server, name):
    body, media_type, ids = BODIES[name]

    response = client.post(body, media_type)

    assert response.status_code == 201, response.text
    assert_stored(client, server, response.json(), ids, ROWS)


@pytest.mark.parametrize("options", [
    {"X_Ingot_Ids": "1000..1004"}, {"path": "/v1/collections/default/embeddings?first_id=1000"}])
def test_npy_takes_its_ids_from_header_or_query(client, server, options):
    response = client.post(npy(ROWS), NPY, **options)

    assert response.status_code == 201, response.text
    assert_stored(client, server, response.json(), range(1000, 1005), ROWS)


def test_npz_with_64_bit_sizes_is_read(client, server):
    """NumPy writes zip64 sizes into the members of every archive that it streams."""
    import io

    class Unseekable(io.RawIOBase):
        def __init__(self):
            self.content = b""

        def writable(self):
            return True

        def write(self, piece):
            self.content += bytes(piece)
            return len(piece)

    file = Unseekable()
    np.savez(file, ids=np.array(NAMES), embeddings=ROWS)

    response = client.post(file.content)

    assert response.status_code == 201, response.text
    assert_stored(client, server, response.json(), NAMES, ROWS)


def test_members_that_nobody_asked_for_are_not_inflated(launch):
    """An archive may carry more arrays; one that would inflate beyond every limit costs nothing."""
    server = launch("--max-body-bytes", "1MiB")
    body = npz(compressed=True, ids=np.array(NAMES), embeddings=ROWS, more=np.zeros(64 << 20, "u1"))

    assert Client(server.url).post(body).status_code == 201


def test_float16_collection_keeps_float16(server):
    client = Client(server.url, "half")
    rows = rows_of(5, dtype="<f2")
    assert client.create(8, "float16").status_code == 201

    receipts = [
        client.append(NAMES, rows),
        client.post(dumps({"ids": NAMES, "embeddings": json_rows(rows)}), JSON).json()]

    for receipt in receipts:
        assert same_bits(rows_in_file(server.store, receipt), rows)
    assert same_bits(client.row("7", "<f2"), rows[3])
    assert same_bits(load(client.fetch(NAMES).content)["embeddings"], rows)


def test_edge_values_survive_json(client, server):
    """Subnormals, negative zero, the largest number, and decimals that lie between two floats."""
    numbers = ["1e-45", "-0.0", "3.4028234663852886e38", "1.00000005960464477539", "0.1", "16777217"]
    body = '{"ids":["a"],"embeddings":[[%s]]}' % ",".join(numbers)

    receipt = client.post(body.encode(), JSON).json()

    expected = np.array([[float(number) for number in numbers]]).astype("<f4")
    assert same_bits(rows_in_file(server.store, receipt), expected)
    assert same_bits(client.row("a"), expected[0])


def assert_stored(client, server, receipt, ids, rows):
    ids = [str(row_id) for row_id in ids]
    assert receipt["rows"] == len(ids)
    assert same_bits(rows_in_file(server.store, receipt), rows)
    for index, row_id in enumerate(ids):
        answer = client.get(client.row_path(row_id), headers={"Accept": JSON}).json()
        assert answer["id"] == row_id
        assert (answer["shard"], answer["row"]) == (receipt["shard"], receipt["first_row"] + index)
        assert same_bits(client.row(row_id), rows[index])
        as_npy = client.get(client.row_path(row_id), headers={"Accept": NPY})
        assert as_npy.headers["Content-Type"] == NPY
        assert same_bits(load(as_npy.content), rows[index])
    fetched = client.fetch(ids)
    assert fetched.headers["Content-Type"] == NPZ
    members = load(fetched.content)
    assert [str(row_id) for row_id in members["ids"]] == ids
    assert same_bits(members["embeddings"], rows)
    as_json = client.fetch(ids, JSON).json()
    assert as_json["ids"] == ids and as_json["missing"] == []
    assert same_bits(np.array(as_json["embeddings"], "f8").astype(rows.dtype), rows)


def test_fetch_names_what_is_missing(client):
    client.append(["a", "b"], rows_of(2))

    response = client.fetch(["nowhere", "b", "none"])
    as_json = client.fetch(["nowhere", "b", "none"], JSON)

    assert response.headers["X-Ingot-Missing-Count"] == "2"
    members = load(response.content)
    assert [str(row_id) for row_id in members["missing"]] == ["nowhere", "none"]
    assert [str(row_id) for row_id in members["ids"]] == ["b"]
    assert as_json.headers["X-Ingot-Missing-Count"] == "2"
    assert as_json.json()["missing"] == ["nowhere", "none"]


@pytest.mark.parametrize("accept", [NPZ, JSON])
@pytest.mark.parametrize("stored", [False, True])
def test_fetch_refuses_an_answer_that_is_too_large_before_it_is_made(launch, accept, stored):
    """One long id makes all of the array wide: 1 KiB for each id of some bytes, and for each that is missing."""
    client = Client(launch("--max-body-bytes", "1MiB").url)
    client.create(1)
    ids = ["ü" * 256, *map(str, range(2000))]
    if stored:
        client.append(ids[:1], rows_of(1, 1))
        client.append(ids[1:], rows_of(len(ids) - 1, 1))

    response = client.fetch(ids, accept)
    few = client.fetch(ids[:900], accept)

    if accept == JSON:
        assert response.status_code == few.status_code == 200
        assert response.json()["ids" if stored else "missing"] == ids
        return
    assert (response.status_code, response.json()["code"]) == (413, "body-too-large")
    assert response.json()["limit"] == 1 << 20
    assert list(load(few.content)["ids" if stored else "missing"]) == ids[:900]


def test_fetch_refuses_text_and_rows_that_are_too_large(launch):
    client = Client(launch("--max-body-bytes", "1MiB").url)
    client.append(range(400), rows_of(400, 512))

    assert client.fetch(range(400)).status_code == 200
    assert client.fetch(range(120), JSON).status_code == 200
    for ids, accept in ((list(range(400)) * 2, NPZ), (range(400), JSON)):
        response = client.fetch(ids, accept)
        assert (response.status_code, response.json()["code"]) == (413, "body-too-large")


def test_receipt_says_what_was_stored(client, server):
    rows = rows_of(3)
    body = npz(ids=np.arange(3), embeddings=rows)
    digest = "sha-256=:" + base64.b64encode(hashlib.sha256(body).digest()).decode() + ":"

    response = client.post(body, key="w1.0001", path="/embeddings", Content_Digest=digest)

    assert response.status_code == 201 and response.headers["Content-Type"] == JSON
    receipt = response.json()
    assert list(receipt) == [
        "collection", "batch_id", "sequence", "rows", "shard", "first_row", "digest", "crc32c",
        "content_digest", "committed_at", "durable"]
    assert receipt["collection"] == "default" and receipt["batch_id"] == "w1.0001"
    assert (receipt["rows"], receipt["shard"], receipt["first_row"]) == (3, 0, 0)
    assert re.fullmatch(r"xxh3-128:[0-9a-f]{32}", receipt["digest"])
    assert int(receipt["crc32c"], 16) == crc32c(rows.tobytes())
    assert receipt["content_digest"] == digest
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", receipt["committed_at"])
    assert receipt["durable"] is True
    assert client.receipt("w1.0001").json() == receipt


def crc32c(content):
    """RFC 3720 B.4, bit by bit: independent of the library that the server uses."""
    state = 0xFFFFFFFF
    for byte in content:
        state ^= byte
        for _ in range(8):
            state = state >> 1 ^ (0x82F63B78 if state & 1 else 0)
    return state ^ 0xFFFFFFFF


def test_crc32c_in_content_digest_is_verified_and_kept(client):
    body = npz(ids=np.arange(3), embeddings=rows_of(3))
    digest = "crc32c=:" + base64.b64encode(crc32c(body).to_bytes(4, "big")).decode() + ":"

    response = client.post(body, Content_Digest=digest)

    assert response.status_code == 201, response.text


def test_without_a_key_the_server_gives_the_batch_an_id(client):
    body = npz(ids=np.arange(3), embeddings=rows_of(3))

    first, second = client.post(body).json(), client.post(body).json()

    assert re.fullmatch(r"[A-Za-z0-9._:~-]{1,200}", first["batch_id"])
    assert first["batch_id"] != second["batch_id"]
    assert client.receipt(first["batch_id"]).json() == first


@pytest.mark.parametrize("restarted", [False, True])
def test_replay_gets_the_same_receipt_and_stores_nothing(client, server, restarted):
    body = npz(ids=np.arange(3), embeddings=rows_of(3))
    first = client.put_batch("b-1", body)
    if restarted:
        server.restart()
        client = Client(server.url)

    replays = [
        client.put_batch("b-1", body), client.post(body, key="b-1"),
        client.post(npz(compressed=True, ids=np.arange(3), embeddings=rows_of(3)), key="b-1")]

    assert first.status_code == 201 and "Idempotency-Replayed" not in first.headers
    for replay in replays:
        assert replay.status_code == 200, replay.text
        assert replay.headers["Idempotency-Replayed"] == "true"
        assert replay.content == first.content
    assert client.row_count() == 3
    assert np.load(shard_file(server.store), mmap_mode="r").shape == (3, 8)


@pytest.mark.fault("F3")
def test_key_with_other_content_is_refused(client, injections):
    client.append([1, 2], rows_of(2), key="k")

    for ids, rows in [([1, 2], rows_of(2, seed=1)), ([1, 3], rows_of(2))]:
        response = client.put_batch("k", npz(ids=np.array(ids), embeddings=rows))
        assert response.status_code == 422 and response.json()["code"] == "key-reused"
        injections.add()

    assert client.row_count() == 2


def test_batch_ids_belong_to_their_collection(server):
    for name in ["one", "two"]:
        client = Client(server.url, name)
        client.create(8)
        assert client.put_batch("same", npz(ids=np.arange(2), embeddings=rows_of(2))).status_code == 201


@pytest.mark.fault("F2")
def test_32_concurrent_equal_posts_store_one_copy(server, injections):
    body = npz(ids=np.arange(64), embeddings=rows_of(64))
    clients = [Client(server.url) for _ in range(32)]

    with ThreadPoolExecutor(32) as pool:
        responses = list(pool.map(lambda client: client.post(body, key="same"), clients))
    injections.add(len(responses))

    assert sorted(response.status_code for response in responses) == [200] * 31 + [201]
    assert len({response.content for response in responses}) == 1
    assert clients[0].row_count() == 64
    assert len(np.load(shard_file(server.store), mmap_mode="r")) == 64


@pytest.mark.parametrize("restarted", [False, True])
def test_last_write_wins(client, server, restarted):
    newest = rows_of(3, seed=3)
    for seed in (1, 2, 3):
        client.append(["a", "b", "c"], rows_of(3, seed=seed))
    client.append(["c"], rows_of(1, seed=4))
    if restarted:
        server.restart()
        client = Client(server.url)

    assert same_bits(client.row("a"), newest[0])
    assert same_bits(client.row("c"), rows_of(1, seed=4)[0])
    assert same_bits(load(client.fetch(["b", "a"]).content)["embeddings"], newest[[1, 0]])
    assert sorted(client.get(f"{client.base}/ids").text.split()) == ["a", "b", "c"]


def test_last_write_wins_across_sealed_shards(launch):
    server = launch("--shard-bytes", "64KiB")
    client = Client(server.url)
    for seed in range(12):
        client.append(np.arange(64), rows_of(64, 128, seed))

    assert len(shard_files(server.store)) > 3
    for _ in range(2):
        assert same_bits(load(client.fetch(range(64)).content)["embeddings"], rows_of(64, 128, 11))
        assert len(client.get(f"{client.base}/ids").text.split()) == 64
        server.restart()
        client = Client(server.url)


def test_batches_are_listed_by_prefix_order_and_page(client):
    names = [f"w{worker}.{number:03d}" for number in range(12) for worker in (1, 2)]
    receipts = [client.append([name], rows_of(1), key=name) for name in names]

    assert [r["sequence"] for r in receipts] == sorted(r["sequence"] for r in receipts)
    assert client.batches().json() == {"batches": receipts, "next": None}
    assert client.all_batches(limit=5) == receipts
    assert client.all_batches(limit=5, order="desc") == receipts[::-1]
    assert client.batches(order="desc", limit=1).json()["batches"] == receipts[-1:]
    assert client.all_batches(prefix="w2.", limit=5) == receipts[1::2]
    assert client.batches(prefix="w2.", order="desc", limit=1).json()["batches"] == [receipts[-1]]
    assert client.batches(prefix="w3").json() == {"batches": [], "next": None}


def test_ids_come_in_three_forms(client):
    client.append(NAMES, ROWS)

    plain = client.get(f"{client.base}/ids")
    lines = client.get(f"{client.base}/ids", headers={"Accept": NDJSON})
    as_json = client.get(f"{client.base}/ids", headers={"Accept": JSON})

    assert plain.headers["Content-Type"].split(";")[0] == "text/plain"
    assert sorted(plain.content.decode().splitlines()) == sorted(NAMES)
    assert sorted(json.loads(line) for line in lines.content.splitlines()) == sorted(NAMES)
    assert sorted(as_json.json()["ids"]) == sorted(NAMES)


def test_collections_are_created_once(client, server):
    other = Client(server.url, "other")

    assert other.get(other.base).json()["code"] == "collection-unknown"
    assert other.create(512).status_code == 201
    assert other.create(512).status_code == 200
    for dimension, dtype in [(256, "float32"), (512, "float16")]:
        refused = other.create(dimension, dtype)
        assert refused.status_code == 409 and refused.json()["code"] == "collection-differs"
    server.restart()
    described = Client(server.url, "other").get(other.base).json()
    assert (described["name"], described["dimension"], described["dtype"], described["rows"]) == (
        "other", 512, "float32", 0)
    names = [c["name"] for c in Client(server.url).get("/v1/collections").json()["collections"]]
    assert names == ["other"]


def test_shards_rotate_and_stay_plain_numpy_files(launch):
    server = launch("--shard-bytes", "64KiB")
    client = Client(server.url)
    expected = [(client.append(range(n * 50, n * 50 + 50), rows_of(50, 64, n)), n) for n in range(30)]

    assert server.terminate() == 0

    for receipt, seed in expected:
        assert same_bits(rows_in_file(server.store, receipt), rows_of(50, 64, seed))
    for path in shard_files(server.store):
        array = np.load(path, mmap_mode="r")
        assert path.stat().st_size == 128 + array.nbytes, "a stopped store has exact files"
    assert sum(len(np.load(path, mmap_mode="r")) for path in shard_files(server.store)) == 1500


def test_metrics_and_health_follow(client):
    client.append(np.arange(7), rows_of(7))

    metrics = client.get("/metrics").text
    assert re.search(r"^ingot_append_rows_total(\{[^}]*\})? 7(\.0)?$", metrics, re.MULTILINE)
    assert "# TYPE ingot_commit_duration_seconds histogram" in metrics
    assert client.get("/health").json()["status"] == "pass"
    assert client.get("/integrity").json()["rows"] == 7
    assert client.get("/disk").json()["accepting"] is True
