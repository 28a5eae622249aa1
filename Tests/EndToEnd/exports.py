# Rows to export, and files of an export read by their own programs. Used by the tests of export.
import base64
import json
import zipfile

import numpy as np
from embedding_reader import EmbeddingReader
from safetensors.numpy import load_file

from client import rows_of, same_bits
from server_process import command

OK, LEFT_OUT, COULD_NOT_RUN, IN_USE, UNUSABLE, USAGE, INTERRUPTED = 0, 1, 2, 3, 4, 64, 130
COLLECTION = "clip"
DIMENSION = 24


def export(*arguments, **options):
    return command("export", "--collection", COLLECTION, *arguments, **options)


def exported(*arguments, code=OK):
    """Exports what must be exported, and gives the report."""
    found = export("--json", *arguments)
    assert found.returncode == code, found.stderr
    return json.loads(found.stdout)


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
