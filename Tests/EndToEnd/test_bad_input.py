# Promise: bad input gets a problem document with a stable code, and nothing is written.
import base64
import hashlib
import io
import json
import os
import socket
import warnings
import zipfile

import numpy as np
import pytest

from client import JSON, NDJSON, NPY, NPZ, Client, dumps, npy, npz, rows_of, shard_file
from server_process import ServerProcess

DIMENSION = 8
MAX_BODY_BYTES = 1 << 20
IDS = np.array(["a", "b", "c", "d"])
ROWS = rows_of(4)
GOOD = npz(ids=IDS, embeddings=ROWS)
TEXT_ROWS = [[float(value) for value in row] for row in ROWS]


class Bad:
    """One bad request, what it must get, and what its problem document must say."""

    def __init__(self, name, status, code, body=b"", media_type=NPZ, *, method="POST",
                 path="/v1/collections/default/embeddings", says=(), offenders=None, headers=None,
                 members=None):
        self.name, self.status = name, status
        self.codes = (code,) if isinstance(code, str) else code
        self.method, self.path, self.body = method, path, body
        self.headers = {"Content-Type": media_type} if media_type else {}
        self.headers |= headers or {}
        self.says, self.offenders, self.members = says, offenders, members or {}


def archive(*members):
    """A zip of raw members, for what NumPy would not write."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about two members of one name
        for name, content in members:
            zipped.writestr(name, content)
    return file.getvalue()


def with_row(index, value, column=3):
    rows = ROWS.copy()
    rows[index, column] = value
    return rows


def flipped(body, needle):
    """`body` with one bit of the bytes `needle` flipped."""
    at = body.index(needle)
    return body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]


def npy_header(descr="<f4", order="False", shape="(4, 8)"):
    text = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    text = text.ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def columns(**changes):
    return dumps({"ids": IDS.tolist(), "embeddings": TEXT_ROWS} | changes)


def multipart(*parts, end=True):
    body = b""
    for name, content in parts:
        body += f'--X\r\nContent-Disposition: form-data; name="{name}"; filename="f"\r\n'.encode()
        body += b"Content-Type: application/octet-stream\r\n\r\n" + content + b"\r\n"
    return body + (b"--X--\r\n" if end else b"")


MULTIPART = "multipart/form-data; boundary=X"
SHA256_OF_OTHER = "sha-256=:" + base64.b64encode(hashlib.sha256(b"other").digest()).decode() + ":"
B64_ROWS = [base64.b64encode(row.tobytes()).decode() for row in ROWS]
BOMB = npz(compressed=True, ids=IDS, embeddings=np.zeros((4, 128 << 20 >> 4), "<f4"))
LYING_BOMB = BOMB.replace(
    (np.load(io.BytesIO(BOMB))["embeddings"].nbytes + 128).to_bytes(4, "little"), b"\0\1\0\0")
DEEP = b'{"ids":["a"],"embeddings":' + b"[" * 5000 + b"]" * 5000 + b"}"

TABLE = [
    # Archives
    Bad("npz-empty", 400, "broken-zip", b""),
    Bad("npz-not-a-zip", 400, "broken-zip", b"not a zip at all"),
    Bad("npz-cut", 400, "broken-zip", GOOD[:len(GOOD) // 2]),
    Bad("npz-without-directory", 400, "broken-zip", GOOD[:GOOD.rindex(b"PK\x01\x02")]),
    Bad("npz-rows-damaged", 400, "member-checksum", flipped(GOOD, ROWS[1].tobytes())),
    Bad("npz-deflate-damaged", 400, ("broken-zip", "truncated-member", "member-checksum"),
        (lambda b: b[:120] + b"\xff" * 8 + b[128:])(npz(compressed=True, ids=IDS, embeddings=ROWS))),
    Bad("npz-is-an-npy", 400, "broken-zip", npy(ROWS)),
    Bad("npz-no-embeddings", 400, "missing-member", npz(ids=IDS), says=["embeddings"]),
    Bad("npz-no-ids", 400, "missing-member", npz(embeddings=ROWS), says=["ids"]),
    Bad("npz-member-not-npy", 400, "broken-npy",
        archive(("ids.npy", npy(IDS)), ("embeddings.npy", b"not an array"))),
    Bad("npz-member-shorter-than-its-shape", 400, "truncated-member",
        archive(("ids.npy", npy(IDS)), ("embeddings.npy", npy(ROWS)[:-4]))),
    Bad("npz-bomb", 413, "body-too-large-decoded", BOMB),
    Bad("npz-bomb-that-lies", 400, "broken-zip", LYING_BOMB),
    Bad("npz-two-members-of-one-name", 400, "duplicate-member",
        archive(("ids.npy", npy(IDS)), ("embeddings.npy", npy(ROWS)), ("ids.npy", npy(IDS)))),

    # Arrays
    Bad("embeddings-of-objects", 422, "object-dtype",
        npz(ids=IDS, embeddings=np.array([[1.0, "x"]] * 4, dtype=object))),
    Bad("ids-of-objects", 422, "object-dtype",
        npz(ids=np.array(IDS, dtype=object), embeddings=ROWS), says=["ids"]),
    Bad("npy-of-objects", 422, "object-dtype", npy(np.array([[{}]] * 4, dtype=object)), NPY,
        headers={"X-Ingot-Ids": "1..4"}),
    Bad("fortran-order", 422, "fortran-order", npz(ids=IDS, embeddings=np.asfortranarray(ROWS)),
        says=["ascontiguousarray"]),
    Bad("rank-1", 422, "wrong-rank", npz(ids=IDS, embeddings=ROWS[0])),
    Bad("rank-3", 422, "wrong-rank", npz(ids=IDS, embeddings=ROWS.reshape(4, 2, 4))),
    Bad("rank-of-ids", 422, "wrong-rank", npz(ids=IDS.reshape(2, 2), embeddings=ROWS)),
    Bad("zero-rows", 422, "zero-rows", npz(ids=IDS[:0], embeddings=ROWS[:0])),
    Bad("dimension", 422, "wrong-dimension", npz(ids=IDS, embeddings=rows_of(4, 7)),
        says=["7", "8"]),
    Bad("dimension-zero", 422, "zero-dimension", npz(ids=IDS, embeddings=ROWS[:, :0])),
    Bad("float16-for-float32", 422, "wrong-dtype", npz(ids=IDS, embeddings=ROWS.astype("<f2")),
        says=["<f2", "<f4", "astype('float32')"]),
    Bad("float32-for-float16", 422, "wrong-dtype", GOOD, path="/v1/collections/half/embeddings",
        says=["astype"]),
    Bad("float64", 422, "wrong-dtype", npz(ids=IDS, embeddings=ROWS.astype("<f8")),
        says=["<f8", "astype('float32')"]),
    Bad("int32", 422, "wrong-dtype", npz(ids=IDS, embeddings=ROWS.astype("<i4"))),
    Bad("big-endian", 422, "wrong-byte-order", npz(ids=IDS, embeddings=ROWS.astype(">f4")),
        says=["astype"]),
    Bad("nan", 422, "non-finite", npz(ids=IDS, embeddings=with_row(2, np.nan)),
        offenders=[(2, "c")]),
    Bad("infinity", 422, "non-finite", npz(ids=IDS, embeddings=with_row(0, np.inf)),
        offenders=[(0, "a")]),
    Bad("minus-infinity", 422, "non-finite", npz(ids=IDS, embeddings=with_row(3, -np.inf, 7)),
        offenders=[(3, "d")]),
    Bad("nan-in-float16", 422, "non-finite",
        npz(ids=IDS, embeddings=with_row(1, np.nan).astype("<f2")),
        path="/v1/collections/half/embeddings", offenders=[(1, "b")]),
    Bad("npy-rows-cut", 400, "truncated-member", npy(ROWS)[:-1], NPY, headers={"X-Ingot-Ids": "1..4"}),
    Bad("npy-rows-too-many", 400, "trailing-bytes", npy(ROWS) + b"\0" * 32, NPY,
        headers={"X-Ingot-Ids": "1..4"}),
    Bad("npy-shape-overflows", 400, ("truncated-member", "broken-npy"),
        npy_header(shape="(4611686018427387904, 8)") + ROWS.tobytes(), NPY,
        headers={"X-Ingot-Ids": "1..4"}),
    Bad("npy-shape-negative", 400, "broken-npy",
        npy_header(shape="(-4, -8)") + ROWS.tobytes(), NPY, headers={"X-Ingot-Ids": "1..4"}),
    Bad("npy-header-is-code", 400, "broken-npy",
        npy_header(order="__import__('os')") + ROWS.tobytes(), NPY,
        headers={"X-Ingot-Ids": "1..4"}),
    Bad("npy-version-9", 400, "broken-npy",
        npy(ROWS)[:6] + b"\x09\x00" + npy(ROWS)[8:], NPY, headers={"X-Ingot-Ids": "1..4"}),
    Bad("npy-without-ids", 400, "missing-ids", npy(ROWS), NPY, says=["X-Ingot-Ids"]),
    Bad("npy-id-range-too-short", 422, "id-count-mismatch", npy(ROWS), NPY,
        headers={"X-Ingot-Ids": "1..3"}),
    Bad("npy-id-list-too-short", 422, "id-count-mismatch", npy(ROWS), NPY,
        headers={"X-Ingot-Ids": "a,b,c"}),
    Bad("npy-id-list-with-a-hole", 400, "bad-ids-header", npy(ROWS), NPY,
        headers={"X-Ingot-Ids": "a,,c,d"}),
    Bad("npy-first-id-not-a-number", 400, "bad-ids-header", npy(ROWS), NPY,
        path="/v1/collections/default/embeddings?first_id=one"),
    Bad("ids-beside-a-body-that-has-them", 400, "unexpected-ids", GOOD,
        headers={"X-Ingot-Ids": "1..4"}),
    Bad("npy-id-range-backwards", 400, "bad-ids-header", npy(ROWS), NPY,
        headers={"X-Ingot-Ids": "4..1"}),

    # Ids
    Bad("ids-twice", 422, "duplicate-id",
        npz(ids=np.array(["a", "b", "c", "b"]), embeddings=ROWS), offenders=[(3, "b")]),
    Bad("ids-twice-as-integers", 422, "duplicate-id",
        npz(ids=np.array([7, 8, 9, 7]), embeddings=ROWS), offenders=[(3, "7")]),
    Bad("ids-twice-as-text-and-integer", 422, "duplicate-id", columns(ids=["7", 7, "a", "b"]), JSON,
        offenders=[(1, "7")]),
    Bad("id-empty", 422, "empty-id", npz(ids=np.array(["a", "", "c", "d"]), embeddings=ROWS),
        offenders=[(1, None)]),
    Bad("id-too-long", 422, "id-too-long",
        npz(ids=np.array(["a", "b", "c", "x" * 513]), embeddings=ROWS),
        offenders=[(3, None)]),
    Bad("id-too-long-in-bytes", 422, "id-too-long", columns(ids=["a", "b", "ü" * 257, "d"]), JSON,
        offenders=[(2, None)]),
    Bad("ids-not-utf8", 422, "id-not-utf8",
        npz(ids=np.array([b"a", b"\xff\xfe", b"c", b"d"]), embeddings=ROWS), offenders=[(1, None)]),
    Bad("ids-are-floats", 422, "wrong-id-type", npz(ids=np.arange(4.0), embeddings=ROWS)),
    Bad("ids-fewer-than-rows", 422, "id-count-mismatch", npz(ids=IDS[:3], embeddings=ROWS),
        says=["3", "4"]),
    Bad("rows-fewer-than-ids", 422, "id-count-mismatch", npz(ids=IDS, embeddings=ROWS[:3]),
        says=["3", "4"]),

    # JSON
    Bad("json-empty", 400, "bad-json", b"", JSON),
    Bad("json-cut", 400, "bad-json", columns()[:-1], JSON),
    Bad("json-tail", 400, "bad-json", columns() + b"x", JSON),
    Bad("json-nan", 422, "non-finite", b'{"ids":["a"],"embeddings":[[NaN,0,0,0,0,0,0,0]]}',
        JSON),
    Bad("json-not-utf8", 400, "bad-json", columns().replace(b'"a"', b'"\xff"'), JSON),
    Bad("json-too-deep", 400, "json-too-deep", DEEP, JSON),
    Bad("json-is-an-array", 400, "bad-json-shape", dumps(TEXT_ROWS), JSON),
    Bad("json-without-ids", 400, "bad-json-shape", dumps({"embeddings": TEXT_ROWS}), JSON,
        says=["ids"]),
    Bad("json-without-embeddings", 400, "bad-json-shape", dumps({"ids": IDS.tolist()}), JSON,
        says=["embeddings"]),
    Bad("json-item-without-embedding", 400, "bad-json-shape", dumps({"items": [{"id": "a"}]}), JSON),
    Bad("json-openai-without-ids", 400, "bad-json-shape",
        dumps({"object": "list", "data": [{"index": 0, "embedding": TEXT_ROWS[0]}]}), JSON,
        says=["ids"]),
    Bad("json-zero-rows", 422, "zero-rows", columns(ids=[], embeddings=[]), JSON),
    Bad("json-ragged", 422, "wrong-dimension",
        columns(embeddings=TEXT_ROWS[:2] + [TEXT_ROWS[2][:7]] + TEXT_ROWS[3:]), JSON,
        offenders=[(2, "c")]),
    Bad("json-text-as-number", 400, "bad-json-shape",
        columns(embeddings=[["1"] * 8] + TEXT_ROWS[1:]), JSON),
    Bad("json-null-as-number", 422, "non-finite",
        columns(embeddings=TEXT_ROWS[:3] + [[None] * 8]), JSON),
    Bad("json-number-over-float32", 422, "non-finite",
        columns(embeddings=TEXT_ROWS[:1] + [[1e39] * 8] + TEXT_ROWS[2:]), JSON,
        offenders=[(1, "b")]),
    Bad("json-id-is-a-fraction", 422, "wrong-id-type", columns(ids=["a", 1.5, "c", "d"]), JSON),
    Bad("json-base64-broken", 400, "bad-base64",
        columns(embeddings=["*" * 44] + B64_ROWS[1:]), JSON),
    Bad("json-base64-too-short", 422, "wrong-dimension",
        columns(embeddings=B64_ROWS[:1] + [base64.b64encode(ROWS[1, :7].tobytes()).decode()]
                + B64_ROWS[2:]), JSON, offenders=[(1, "b")]),
    Bad("json-fewer-ids", 422, "id-count-mismatch", columns(ids=["a"]), JSON),
    Bad("ndjson-empty", 422, "zero-rows", b"", NDJSON),
    Bad("ndjson-second-line-broken", 400, "bad-json",
        dumps({"id": "a", "embedding": TEXT_ROWS[0]}) + b'\n{"id": "b", "embed', NDJSON, says=["2"]),
    Bad("ndjson-line-without-id", 400, "bad-json-shape", dumps({"embedding": TEXT_ROWS[0]}), NDJSON),

    # Multipart
    Bad("multipart-without-boundary", 400, "missing-boundary",
        multipart(("ids", npy(IDS)), ("embeddings", npy(ROWS))), "multipart/form-data"),
    Bad("multipart-cut", 400, "broken-multipart",
        multipart(("ids", npy(IDS)), ("embeddings", npy(ROWS)), end=False), MULTIPART),
    Bad("multipart-without-ids", 400, "missing-member", multipart(("embeddings", npy(ROWS))),
        MULTIPART, says=["ids"]),
    Bad("multipart-without-embeddings", 400, "missing-member", multipart(("ids", npy(IDS))),
        MULTIPART, says=["embeddings"]),

    # Request
    Bad("digest-differs", 400, "digest-mismatch", GOOD,
        headers={"Content-Digest": SHA256_OF_OTHER}),
    Bad("digest-crc32c-differs", 400, "digest-mismatch", GOOD,
        headers={"Content-Digest": "crc32c=:AAAAAA==:"}),
    Bad("digest-malformed", 400, "bad-digest-header", GOOD,
        headers={"Content-Digest": "sha-256=:short:"}),
    Bad("type-unknown", 415, "unsupported-media-type", GOOD, "text/plain"),
    Bad("type-missing", 415, "unsupported-media-type", GOOD, None),
    Bad("content-encoding", 415, "unsupported-content-encoding", GOOD,
        headers={"Content-Encoding": "gzip"}),
    Bad("body-too-long", 413, "body-too-large", b"x" * (MAX_BODY_BYTES + 1),
        members={"limit": MAX_BODY_BYTES}),
    Bad("collection-unknown", 404, "collection-unknown", GOOD,
        path="/v1/collections/nowhere/embeddings"),
    Bad("collection-unknown-put", 404, "collection-unknown", GOOD, method="PUT",
        path="/v1/collections/nowhere/batches/b"),
    Bad("collection-name", 400, "collection-name-invalid", GOOD,
        path="/v1/collections/No%20Where/embeddings"),
    Bad("batch-id-with-space", 400, "bad-parameter", GOOD, headers={"Idempotency-Key": "a b"}),
    Bad("batch-id-too-long", 400, "bad-parameter", GOOD,
        headers={"Idempotency-Key": "x" * 201}),
    Bad("batch-id-empty", 400, "bad-parameter", GOOD, headers={"Idempotency-Key": ""}),
    Bad("batch-id-in-url", 400, "bad-parameter", GOOD, method="PUT",
        path="/v1/collections/default/batches/a%2Fb"),
    Bad("key-reused", 422, "key-reused", GOOD, headers={"Idempotency-Key": "seed"}),
    Bad("path-unknown", 404, "path-unknown", GOOD, path="/v2/embeddings"),
    Bad("method-unknown", 405, "method-not-allowed", GOOD, path="/embeddings", method="BREW",
        members={"allow": ["POST"]}),
    Bad("method-of-another-path", 405, "method-not-allowed", method="DELETE",
        path="/v1/collections/default/batches/seed", media_type=None,
        members={"allow": ["GET", "HEAD", "PUT"]}),

    # Reading and configuring
    Bad("id-unknown", 404, "id-unknown", method="GET", media_type=None,
        path="/v1/collections/default/embeddings/nowhere"),
    Bad("batch-unknown", 404, "batch-unknown", method="GET", media_type=None,
        path="/v1/collections/default/batches/nowhere"),
    Bad("accept-unknown", 406, "not-acceptable", method="GET", media_type=None,
        path="/v1/collections/default/embeddings/s0", headers={"Accept": "text/html"}),
    Bad("limit-zero", 400, "bad-parameter", method="GET", media_type=None,
        path="/v1/collections/default/batches?limit=0"),
    Bad("limit-text", 400, "bad-parameter", method="GET", media_type=None,
        path="/v1/collections/default/batches?limit=many"),
    Bad("order-unknown", 400, "bad-parameter", method="GET", media_type=None,
        path="/v1/collections/default/batches?order=sideways"),
    Bad("fetch-malformed", 400, "bad-json", b"{", JSON, path="/v1/collections/default/fetch"),
    Bad("fetch-without-ids", 400, "bad-json-shape", b"{}", JSON,
        path="/v1/collections/default/fetch"),
    Bad("fetch-type", 415, "unsupported-media-type", b"{}", "text/plain",
        path="/v1/collections/default/fetch"),
    Bad("fetch-without-any", 400, "bad-json-shape", b'{"ids":[]}', JSON,
        path="/v1/collections/default/fetch"),
    Bad("fetch-member-unknown", 400, "bad-json-shape", b'{"ids":["a"],"idz":["b"]}', JSON,
        path="/v1/collections/default/fetch", says=["ids"]),
    Bad("fetch-id-too-long", 422, "id-too-long", dumps({"ids": ["a", "x" * 513]}), JSON,
        path="/v1/collections/default/fetch", offenders=[(1, None)]),
    *[Bad(f"content-encoding-of-{name}", 415, "unsupported-content-encoding", body, media_type,
          method=method, path=f"/v1/collections/default{path}",
          headers={"Content-Encoding": "gzip"}, says=["gzip"])
      for name, method, path, body, media_type in [
          ("delete", "POST", "/delete", b"s0", "text/plain"),
          ("missing", "POST", "/missing", b"s0", "text/plain"),
          ("fetch", "POST", "/fetch", b'{"ids":["s0"]}', JSON),
          ("compact", "POST", "/compact", b"{}", JSON),
          ("collection", "PUT", "", dumps({"dimension": 8, "dtype": "float32"}), JSON),
          ("batch", "PUT", "/batches/b", GOOD, NPZ)]],
    Bad("content-encoding-of-scrub", 415, "unsupported-content-encoding", b"{}", JSON, path="/v1/scrubs",
        headers={"Content-Encoding": "identity, br"}, says=["br"]),
    Bad("first-id-misspelled", 400, "bad-parameter", npy(ROWS), NPY, says=["'firstid'", "first_id"],
        path="/v1/collections/default/embeddings?firstid=1"),
    Bad("format-misspelled", 400, "bad-parameter", method="GET", media_type=None, says=["'fromat'", "format"],
        path="/v1/collections/default/export?fromat=npz"),
    Bad("limit-misspelled", 400, "bad-parameter", method="GET", media_type=None, says=["'limt'", "limit"],
        path="/v1/collections/default/batches?order=asc&limt=5"),
    Bad("fail-on-misspelled", 400, "bad-parameter", method="GET", media_type=None,
        says=["'failon'", "fail_on"], path="/integrity?failon=corrupt"),
    Bad("fail-on-what-is-not", 400, "bad-parameter", method="GET", media_type=None, says=["'foo'", "corrupt"],
        path="/integrity?fail_on=foo"),
    Bad("collection-member-unknown", 422, "bad-configuration",
        dumps({"dimension": 8, "dtype": "float32", "metric": "cosine"}), JSON, method="PUT",
        path="/v1/collections/new", says=["'metric'", "dimension, dtype"]),
    Bad("collection-dtype", 422, "bad-configuration",
        dumps({"dimension": 8, "dtype": "float64"}), JSON, method="PUT",
        path="/v1/collections/new"),
    Bad("collection-dimension", 422, "bad-configuration",
        dumps({"dimension": 0, "dtype": "float32"}), JSON, method="PUT",
        path="/v1/collections/new"),
    Bad("collection-without-dimension", 422, "bad-configuration", dumps({"dtype": "float32"}), JSON,
        method="PUT", path="/v1/collections/new"),
    Bad("collection-malformed", 400, "bad-json", b"{", JSON, method="PUT",
        path="/v1/collections/new"),
    Bad("collection-differs", 409, "collection-differs", dumps({"dimension": 9, "dtype": "float32"}),
        JSON, method="PUT", path="/v1/collections/default"),
]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    """A server with four rows in `default` and an empty float16 collection `half`."""
    server = ServerProcess(
        tmp_path_factory.mktemp("bad") / "store", "--max-body-bytes", MAX_BODY_BYTES,
        "--shard-bytes", "1MiB").start()
    client = Client(server.url)
    client.append(["s0", "s1", "s2", "s3"], rows_of(4, seed=9), key="seed")
    assert Client(server.url, "half").create(DIMENSION, "float16").status_code == 201
    yield server
    assert server.is_running, server.log_tail()
    assert server.terminate() == 0, server.log_tail()


def contents(store):
    """A hash of everything under `collections`."""
    return {
        str(path.relative_to(store)): hashlib.blake2b(path.read_bytes()).hexdigest()
        for path in sorted((store / "collections").rglob("*")) if path.is_file()}


def counts(client, store):
    """Rows and batches by the server's word, and rows by NumPy's."""
    in_file = len(np.load(shard_file(store), mmap_mode="r"))
    return client.row_count(), [r["batch_id"] for r in client.all_batches()], in_file


@pytest.mark.fault("D8")
@pytest.mark.parametrize("bad", TABLE, ids=lambda bad: bad.name)
def test_bad_input_is_named_and_writes_nothing(seeded, bad, injections):
    client = Client(seeded.url)
    before = counts(client, seeded.store), contents(seeded.store)

    response = client.request(bad.method, bad.path, data=bad.body, headers=bad.headers)
    injections.add()

    assert_problem(response.status_code, response.headers, response.content, bad)
    assert (counts(client, seeded.store), contents(seeded.store)) == before


def assert_problem(status, headers, content, bad):
    assert status == bad.status, content
    assert headers["Content-Type"] == "application/problem+json"
    problem = json.loads(content)
    assert problem["code"] in bad.codes, problem
    assert problem["status"] == status
    for member in ("type", "title", "detail"):
        assert isinstance(problem[member], str) and problem[member]
    assert isinstance(problem["retryable"], bool)
    for text in bad.says:
        assert text in problem["detail"], problem
    for name, value in bad.members.items():
        found = problem[name]
        assert (sorted(found) if isinstance(found, list) else found) == value
    if bad.offenders is not None:
        assert problem["offender_count"] == len(bad.offenders)
        for offender, (index, row_id) in zip(problem["offenders"], bad.offenders, strict=True):
            assert offender["index"] == index
            assert row_id is None or offender["id"] == row_id
    if status == 405:
        assert sorted(headers["Allow"].replace(" ", "").split(",")) == sorted(problem["allow"])
    if status == 415 and bad.path.endswith("embeddings") and "unsupported-media-type" in bad.codes:
        accepted = headers["Accept-Post"].replace(" ", "").split(",")
        assert {NPZ, NPY, JSON, NDJSON, "multipart/form-data"} <= set(accepted)


def test_the_first_hundred_offenders_are_named(seeded):
    rows = rows_of(300)
    rows[50:, 2] = np.nan

    response = Client(seeded.url).post(npz(ids=np.arange(300), embeddings=rows))

    problem = response.json()
    assert problem["code"] == "non-finite" and problem["offender_count"] == 250
    assert [o["index"] for o in problem["offenders"]] == list(range(50, 150))
    assert [o["id"] for o in problem["offenders"]] == [str(i) for i in range(50, 150)]


def test_digest_mismatch_may_be_retried_and_a_wrong_dimension_may_not(seeded):
    client = Client(seeded.url)

    damaged = client.post(GOOD, Content_Digest=SHA256_OF_OTHER)
    differs = client.post(npz(ids=IDS, embeddings=rows_of(4, 7)))

    assert damaged.json()["retryable"] is True
    assert differs.json()["retryable"] is False


@pytest.mark.fault("F1")
@pytest.mark.parametrize("chunked", [False, True])
def test_truncated_body_is_refused_and_stores_nothing(seeded, chunked, injections):
    before = contents(seeded.store)
    framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % len(GOOD)
    body = b"%x\r\n%s\r\n" % (len(GOOD), GOOD) if chunked else GOOD[:-1]
    with socket.create_connection((seeded.host, seeded.port), timeout=20) as connection:
        connection.sendall(
            b"POST /embeddings HTTP/1.1\r\nHost: ingot\r\nContent-Type: application/x-npz\r\n"
            + framing + b"\r\n\r\n" + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    injections.add()

    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"] == "truncated-body"
    assert contents(seeded.store) == before


def test_chunked_body_over_the_limit_is_refused(seeded):
    def pieces():
        for _ in range(64):
            yield b"x" * (MAX_BODY_BYTES // 32)

    before = contents(seeded.store)
    try:
        response = Client(seeded.url).post(pieces())
    except OSError:
        pytest.fail("the answer was lost: the connection must be closed only after it was read")
    assert response.status_code == 413 and response.json()["code"] == "body-too-large"
    assert contents(seeded.store) == before


def test_random_bytes_never_break_the_server(seeded):
    before = contents(seeded.store)
    seed = int(os.environ.get("INGOT_TEST_SEED", "1"))
    print("seed", seed)
    random = np.random.default_rng(seed)
    client = Client(seeded.url)
    bodies = [
        (GOOD, NPZ), (npz(compressed=True, ids=IDS, embeddings=ROWS), NPZ), (columns(), JSON),
        (multipart(("ids", npy(IDS)), ("embeddings", npy(ROWS))), MULTIPART)]

    for number in range(200):
        body, media_type = bodies[number % len(bodies)]
        damaged = bytearray(body)
        for _ in range(random.integers(1, 6)):
            damaged[random.integers(len(damaged))] = random.integers(256)
        headers = {"Content-Digest": SHA256_OF_OTHER}
        response = client.post(bytes(damaged), media_type, **headers)
        assert 400 <= response.status_code < 500, (number, response.text)

    assert contents(seeded.store) == before


def test_good_input_is_still_taken_afterwards(launch):
    server = launch()
    client = Client(server.url)
    for bad in TABLE[:20]:
        client.request(bad.method, bad.path, data=bad.body, headers=bad.headers)

    receipt = client.append(IDS, ROWS)

    assert (receipt["shard"], receipt["first_row"]) == (0, 0)
    assert client.row_count() == 4


def test_first_batch_decides_the_shape_of_default_only_when_it_is_good(client):
    rows = ROWS.copy()
    rows[0, 0] = np.nan
    assert client.post(npz(ids=IDS, embeddings=rows)).status_code == 422
    assert client.get(client.base).status_code == 404

    receipt = client.append(IDS, rows_of(4, 5))

    assert receipt["rows"] == 4
    assert client.get(client.base).json()["dimension"] == 5
