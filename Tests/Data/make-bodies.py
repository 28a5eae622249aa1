#!/usr/bin/env python3
# Makes Tests/Data/bodies with real NumPy: what the tests of the body decoders read.
# The files are golden. Run this only to add one; the output of the others must not change.

import io
import json
import pathlib
import struct
import warnings
import zipfile

import numpy as np

OUT = pathlib.Path(__file__).parent / "bodies"
OUT.mkdir(exist_ok=True)

ROWS = (np.arange(12, dtype="<f4") / 4 - 1).reshape(3, 4)
IDS = np.array(["a", "größe", "鳥🦜"])


def write(name, content):
    (OUT / name).write_bytes(content)


def npz(save=np.savez, **arrays):
    buffer = io.BytesIO()
    save(buffer, **arrays)
    return buffer.getvalue()


def npy(array, version=None):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, version=version)
    return buffer.getvalue()


class Unseekable(io.RawIOBase):
    """A stream that only goes forward, so that zipfile writes data descriptors."""

    def __init__(self):
        self.content = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.content += bytes(data)
        return len(data)


def streamed(method):
    sink = Unseekable()
    with zipfile.ZipFile(sink, "w", method) as archive:
        for name, array in (("ids", IDS), ("embeddings", ROWS)):
            info = zipfile.ZipInfo(name + ".npy")
            info.compress_type = method
            with archive.open(info, "w") as member:
                member.write(npy(array))
    return bytes(sink.content)


def commented():
    buffer = io.BytesIO(npz(ids=IDS, embeddings=ROWS))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = b"made by a worker PK\x05\x06"
    return buffer.getvalue()


def zip64():
    """The same archive with a zip64 end record, its narrow fields full."""
    plain = npz(ids=IDS, embeddings=ROWS)
    end = plain.rindex(b"PK\x05\x06")
    count, size, offset = struct.unpack_from("<HII", plain, end + 10)
    record = struct.pack(
        "<IQHHIIQQQQ", 0x06064B50, 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<IIQI", 0x07064B50, 0, end, 1)
    narrow = struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return plain[:end] + record + locator + narrow


def repeated():
    """An archive with two members of one name."""
    buffer = io.BytesIO(npz(ids=IDS, embeddings=ROWS))
    with zipfile.ZipFile(buffer, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        archive.writestr(zipfile.ZipInfo("ids.npy"), npy(IDS))
    return buffer.getvalue()


def overlapping():
    """A good archive as the content of one more member that its directory also lists."""
    plain = npz(ids=IDS, embeddings=ROWS)
    directory = plain.index(b"PK\x01\x02")
    inner = plain[:directory]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("all"), inner)
    outer = buffer.getvalue()
    start = outer.index(inner)
    end_of_data = start + len(inner)
    entries = bytearray(plain[directory:plain.rindex(b"PK\x05\x06")])
    position = 0
    while position < len(entries):
        name, extra, comment = struct.unpack_from("<3H", entries, position + 28)
        offset, = struct.unpack_from("<I", entries, position + 42)
        struct.pack_into("<I", entries, position + 42, offset + start)
        position += 46 + name + extra + comment
    entries = outer[end_of_data:outer.rindex(b"PK\x05\x06")] + entries
    return outer[:end_of_data] + entries + struct.pack(
        "<IHHHHIIH", 0x06054B50, 0, 0, 3, 3, len(entries), end_of_data, 0)


def good():
    write("savez.npz", npz(ids=IDS, embeddings=ROWS))
    write("savez-compressed.npz", npz(np.savez_compressed, ids=IDS, embeddings=ROWS))
    write("float16.npz", npz(ids=IDS, embeddings=ROWS.astype("<f2")))
    write("more-members.npz", npz(ids=IDS, embeddings=ROWS, model=np.array("clip")))
    write("comment.npz", commented())
    write("zip64.npz", zip64())
    write("streamed.npz", streamed(zipfile.ZIP_STORED))
    write("streamed-deflated.npz", streamed(zipfile.ZIP_DEFLATED))
    write("bytes-ids.npz", npz(ids=np.array([b"a", b"bc", b"d"]), embeddings=ROWS))
    for code in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8"):
        low = np.iinfo(code).min
        write(f"ids-{code}.npz",
              npz(ids=np.array([low, 7, np.iinfo(code).max], dtype=code), embeddings=ROWS))
    for major in (1, 2, 3):
        write(f"version-{major}.npy", npy(ROWS, version=(major, 0)))


def wrong():
    bad = ROWS.copy()
    bad[1, 2] = np.nan
    bad[2, 0] = np.inf
    bodies = {
        "object-dtype": (IDS.astype(object), ROWS),
        "object-embeddings": (IDS, ROWS.astype(object)),
        "structured-dtype": (IDS, np.zeros(3, dtype=[("x", "<f4"), ("y", "<f4")])),
        "fortran-order": (IDS, np.asfortranarray(ROWS)),
        "wrong-rank": (IDS, ROWS.reshape(12)),
        "wrong-rank-ids": (IDS.reshape(3, 1), ROWS),
        "zero-rows": (IDS[:0], ROWS[:0]),
        "zero-dimension": (IDS, ROWS[:, :0]),
        "wrong-dimension": (IDS, ROWS[:, :3].copy()),
        "float64": (IDS, ROWS.astype("<f8")),
        "big-endian": (IDS, ROWS.astype(">f4")),
        "big-endian-ids": (IDS.astype(IDS.dtype.newbyteorder(">")), ROWS),
        "float-ids": (np.array([1.0, 2.0, 3.0]), ROWS),
        "non-finite": (IDS, bad),
        "non-finite-float16": (IDS, bad.astype("<f2")),
        "duplicate-id": (np.array(["a", "b", "a"]), ROWS),
        "empty-id": (np.array(["a", "", "b"]), ROWS),
        "id-too-long": (np.array(["a", "ü" * 257, "b"]), ROWS),
        "id-not-utf8": (np.array([b"a", b"\xff\xfe", b"b"]), ROWS),
        "id-count-mismatch": (IDS[:2], ROWS),
    }
    for name, (ids, rows) in bodies.items():
        write(name + ".npz", npz(ids=ids, embeddings=rows))
    write("missing-member.npz", npz(ids=IDS, vectors=ROWS))
    write("duplicate-member.npz", repeated())
    write("overlapping.npz", overlapping())
    write("surrogate.npz", npz(
        ids=np.frombuffer(struct.pack("<3I", 65, 0xD800, 66), dtype="<U1"), embeddings=ROWS))
    write("bomb.npz", npz(np.savez_compressed, ids=IDS, embeddings=np.zeros((256, 1024), "<f4")))


def headers():
    """What np.save writes before such arrays, one 128-byte header behind the other."""
    content = b""
    for rows, dimension, descr in ((0, 1, "<f4"), (3, 4, "<f4"), (512, 512, "<f2"),
                                   (999_999_999, 65_536, "<f4"), (10**15, 768, "<f2")):
        buffer = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            buffer, {"descr": descr, "fortran_order": False, "shape": (rows, dimension)})
        content += buffer.getvalue()
    write("headers.bin", content)


def numbers():
    """Numbers as text, and what NumPy makes of them."""
    random = np.random.default_rng(7)
    values = np.concatenate([
        random.standard_normal(400), random.uniform(-6e4, 6e4, 300),
        10.0 ** random.uniform(-9, 4, 300),
        # Ties between neighbours of half precision, and what lies just beside them.
        (2048 + 2 * np.arange(50)) + 1.0, np.nextafter((2048 + 2 * np.arange(50)) + 1.0, 0),
        np.arange(1, 60) * 2.0**-25, [2.0**-25, np.nextafter(2.0**-25, 1), 65519.0, -0.0, 0.0],
    ])
    write("numbers.json", json.dumps({"ids": [1], "embeddings": [values.tolist()]}).encode())
    write("numbers.f4", values.astype("<f4").tobytes())
    write("numbers.f2", values.astype("<f2").tobytes())


good()
wrong()
headers()
numbers()
