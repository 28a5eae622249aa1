# Promise: a worker asks which of its ids are not durably stored, in any form, and gets them in its order.
import json
import os
import random
import subprocess

import numpy as np
import pytest

from client import (
    JSON, NDJSON, NPY, TEXT, Client, dumps, lines, npy, rows_of, wait_for)
from damage import damage_row, shard_folder
from memory import MemoryWatch, anonymous_bytes
from proc import held_files
from server_process import clean_environment
from threads import Jobs

ID_COUNT = 10_000_000 if os.environ.get("INGOT_THOROUGH") else 1_000_000
STORED = ["a", "b", "1000", "ü/ß", 'q"\\', "zwei Worte"]


@pytest.fixture
def seeded(client):
    client.append(STORED, rows_of(len(STORED)))
    return client


def asked(ids):
    """The same question in every form that there is."""
    forms = {
        "lines": (lines(ids), TEXT),
        "no last line feed": (lines(ids)[:-1], "text/plain; charset=utf-8"),
        "CRLF": (lines(ids).replace(b"\n", b"\r\n"), TEXT),
        "empty lines": (lines(ids).replace(b"\n", b"\n\n\r\n"), TEXT),
        "no type": (lines(ids), None),
        "of curl": (lines(ids), "application/x-www-form-urlencoded"),
        "array": (dumps(ids), JSON),
        "array with escapes": (json.dumps(ids, ensure_ascii=True, indent=1).encode(), JSON),
        "strings": (b"\n".join(dumps(one) for one in ids), NDJSON),
        "objects": (b"\r\n".join(dumps({"x": 1, "id": one}) for one in ids) + b"\r\n", NDJSON),
    }
    return forms.items()


def test_every_form_gives_the_missing_ids_in_their_order(seeded):
    ids = ["neu", "b", "ü/ß", "2000", 'q"\\', "neu", "a", "ö" * 256, "zwei Worte", "1000", "x" * 512]
    expected = ["neu", "2000", "neu", "ö" * 256, "x" * 512]

    for form, (body, media_type) in asked(ids):
        for data in (body, iter([body[at:at + 7] for at in range(0, len(body), 7)])):
            response = seeded.missing(data, media_type)

            assert response.status_code == 200, (form, response.text)
            assert response.content.decode().splitlines() == expected, form
            assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
            assert response.headers["X-Ingot-Checked-Count"] == str(len(ids)), form
            assert response.headers["X-Ingot-Missing-Count"] == str(len(expected)), form
        response = seeded.missing(body, media_type, accept=NDJSON)
        assert [json.loads(line) for line in response.content.splitlines()] == [
            {"id": one, "state": "missing"} for one in expected], form


@pytest.mark.parametrize("dtype", ["<i8", "<u8", "<i4", "<u4", "<i2", "<u2", "i1", "u1"])
def test_integers_come_as_npy(client, dtype):
    client.append(["-3", "0", "7", "200"], rows_of(4))
    edges = [np.iinfo(dtype).min or 1, np.iinfo(dtype).max]
    ids = np.array([5, 0, 7, 100, 5, *edges], dtype=dtype)
    if "i" in dtype:
        ids = np.append(ids, np.array([-3, -4], dtype=dtype))

    response = client.missing(npy(ids), NPY)

    assert response.status_code == 200, response.text
    expected = [5, 100, 5, *edges] + ([-4] if "i" in dtype else [])
    assert response.text.split() == [str(one) for one in expected]


def test_nothing_asked_nothing_missing(seeded):
    for body, media_type in [
        (b"", TEXT), (b"", NDJSON), (b"[]", JSON), (b" [ ] \n", JSON), (npy(np.arange(0)), NPY),
        (b"\n\r\n", TEXT),
    ]:
        response = seeded.missing(body, media_type)
        assert (response.status_code, response.content) == (200, b""), media_type


BAD = [
    (b"ok\n\xff\xfe\n", TEXT, "id-not-utf8"),
    (b'"\xff"\n', NDJSON, "id-not-utf8"),
    (b'["\xff"]', JSON, "id-not-utf8"),
    (b"x" * 513 + b"\n", TEXT, "id-too-long"),
    (b"x" * 100_000, TEXT, "id-too-long"),
    (b'""\n', NDJSON, "empty-id"),
    (b'["a",""]', JSON, "empty-id"),
    (dumps(["y" * 513]), JSON, "id-too-long"),
    (b'["a","b"', JSON, "bad-json"),
    (b'["a', JSON, "bad-json-shape"),
    (b'["a" "b"]', JSON, "bad-json-shape"),
    (b'["a",]', JSON, "bad-json-shape"),
    (b'["a"]["b"]', JSON, "bad-json-shape"),
    (b'{"ids":["a"]}', JSON, "bad-json-shape"),
    (b'[["a"]]', JSON, "bad-json-shape"),
    (b"[1.5]", JSON, "bad-json-shape"),
    (b"[true]", JSON, "bad-json-shape"),
    (b"[007]", JSON, "bad-json-shape"),
    (b'["\\ud800"]', JSON, "bad-json-shape"),
    (b"", JSON, "bad-json"),
    (b"[" * 40_000, JSON, "bad-json-shape"),
    (b"{}\n", NDJSON, "bad-json-shape"),
    (b"nonsense\n", NDJSON, "bad-json-shape"),
    (npy(np.arange(10))[:-1], NPY, "truncated-member"),
    (npy(np.arange(10)) + b"x", NPY, "trailing-bytes"),
    (npy(np.zeros((2, 2), "<i8")), NPY, "wrong-rank"),
    (npy(np.arange(3.0)), NPY, "wrong-id-type"),
    (npy(np.arange(3, dtype=">i8")), NPY, "wrong-byte-order"),
    (b"\x93NUMPY", NPY, "broken-npy"),
    (b"no array at all, but long enough" * 9, NPY, "broken-npy"),
    (npy(np.arange(3)).replace(b"(3,)", b"(9223372036854775807,)"), NPY, "truncated-member"),
    (b"a\n", "image/png", "unsupported-media-type"),
]


def test_text_in_an_array_is_refused_with_advice_that_helps(client):
    client.append(["a"], rows_of(1))
    response = client.missing(npy(np.array(["a", "b"])), NPY)
    assert (response.status_code, response.json()["code"]) == (422, "wrong-id-type")
    assert "<U1" in response.text and "one id per line" in response.text and "astype(str)" not in response.text
    assert client.missing(b"a\nb\n", TEXT).text.split() == ["b"]


@pytest.mark.parametrize("body, media_type, code", BAD)
def test_bad_ids_are_named_and_nothing_dies(seeded, body, media_type, code):
    for data in (body, iter([body[:1], body[1:]] if body else [])):
        response = seeded.missing(data, media_type)

        assert 400 <= response.status_code < 500, response.text
        assert response.json()["code"] == code, response.text
    assert seeded.missing(b"a\nc\n").text == "c\n"


def test_every_state_has_its_name(launch, store):
    server = launch("--shard-bytes", "4KiB")
    client = Client(server.url)
    rows = rows_of(64, 16)
    first = client.append([f"a{n}" for n in range(64)], rows)
    client.append([f"b{n}" for n in range(64)], rows)
    client.append([f"c{n}" for n in range(64)], rows)
    client.delete(["c1", "c2"])
    assert server.terminate() == 0
    damage_row(store, first, 5, 16)
    shard_folder(store, 1).rename(store.parent / "elsewhere")
    server.start()
    client = Client(server.url)
    client.scrub()

    ids = ["a5", "b7", "c0", "c1", "d1"]
    assert client.states(ids) == {
        "a5": "quarantined", "b7": "missing", "c1": "deleted", "d1": "missing"}
    assert client.missing(lines(ids)).text.split() == ["a5", "b7", "c1", "d1"]
    assert client.states([f"b{n}" for n in range(64)]) == {f"b{n}": "missing" for n in range(64)}


def test_the_line_that_every_worker_resumes_with(seeded, tmp_path):
    """Word for word as in the issue and the documents, but for the address."""
    paths = STORED[:3] + ["fehlt", "b c/d.jpg"]
    script = "create table images (path text); " + "".join(
        f"insert into images values ('{path}');" for path in paths)
    subprocess.run(["sqlite3", "images.db", script], check=True, cwd=tmp_path)

    found = subprocess.run(
        "sqlite3 images.db 'select path from images' | curl --silent --show-error --data-binary @- "
        f"{seeded.url}{seeded.base}/missing",
        shell=True, capture_output=True, text=True, cwd=tmp_path, env=clean_environment())

    assert (found.returncode, found.stderr, found.stdout) == (0, "", "fehlt\nb c/d.jpg\n")


def test_what_arrives_meanwhile_is_right_afterwards(client):
    """Ids that were acknowledged before the question are never missing."""
    worker = Client(client.url)
    acknowledged = [["first"]]
    client.append(["first"], rows_of(1))

    def store(number):
        ids = [f"{number}-{n}" for n in range(50)]
        worker.append(ids, rows_of(50))
        acknowledged.append(ids)

    with Jobs(store) as jobs:
        for _ in range(40):
            known = [one for ids in list(acknowledged) for one in ids]
            response = client.missing(lines(known))
            assert (response.status_code, response.text) == (200, "")
        jobs.wait_for_turns(1)


def test_memory_does_not_grow_with_the_question(server, client):
    stored = random.Random(1).sample(range(ID_COUNT), 2000)
    client.append(stored, rows_of(2000))
    # What a first question needs is needed once.
    client.missing(lines(range(200_000)))
    before, inodes = anonymous_bytes(server.pid), set(os.listdir(server.store))

    step = 50_000
    pieces = (lines(range(start, start + step)) for start in range(0, ID_COUNT, step))
    with MemoryWatch(server.pid) as watch:
        response = client.missing(pieces, stream=True, timeout=900)
        count, last, rest = 0, -1, b""
        for piece in response.iter_content(1 << 20):
            *whole, rest = (rest + piece).split(b"\n")
            numbers = np.array(whole, dtype="i8") if whole else np.empty(0, "i8")
            assert (np.diff(numbers) > 0).all() and (not len(numbers) or numbers[0] > last)
            count, last = count + len(numbers), numbers[-1] if len(numbers) else last

    assert count == ID_COUNT - len(stored) == int(response.headers["X-Ingot-Missing-Count"])
    print(f"{ID_COUNT} ids, {(watch.peak - before) / 2**20:.1f} MiB more than before")
    assert watch.peak - before < 32 << 20
    assert set(os.listdir(server.store)) == inodes
    wait_for(lambda: spools(server), lambda found: found == [])


def test_a_kept_answer_does_not_take_the_reserve(launch):
    server = launch()
    assert Client(server.url).create(8).status_code == 201
    server.flags = ["--disk-reserve", "900TiB"]
    server.restart()
    client = Client(server.url)

    few, many = client.missing(lines(range(1000))), client.missing(lines(range(900_000)))

    assert few.status_code == 200 and few.headers["X-Ingot-Missing-Count"] == "1000"
    assert (many.status_code, many.json()["code"]) == (507, "disk-full")
    assert "reserve" in many.json()["detail"] and spools(server) == []
    assert client.missing(b"a\n").text == "a\n"


def spools(server):
    """Files without a name that the server still holds."""
    return [one for one in held_files(server.pid) if one.startswith(str(server.store)) and "(deleted)" in one]


def test_the_kept_answer_is_gone_when_the_client_goes_away(server, client):
    client.append(["a"], rows_of(1))
    body = lines(range(900_000))
    response = client.missing(body, stream=True)
    assert spools(server), "an answer of 6 MB is kept on the disk"

    response.close()

    wait_for(lambda: spools(server), lambda found: found == [])
    assert client.missing(b"a\nb\n").text == "b\n"
