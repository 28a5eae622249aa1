# What a worker sends and reads: bodies made with NumPy, sent with requests. Used by every test.
import io
import json
import time
from pathlib import Path
from urllib.parse import quote

import numpy as np
import requests

NPZ, NPY = "application/x-npz", "application/x-npy"
JSON, NDJSON, TEXT = "application/json", "application/x-ndjson", "text/plain"
TIMEOUT_SECONDS = 60


def rows_of(row_count, dimension=8, seed=0, dtype="<f4"):
    """Finite numbers with all kinds of bits."""
    return np.random.default_rng(seed).standard_normal((row_count, dimension)).astype(dtype)


def npz(compressed=False, **members):
    file = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(file, **members)
    return file.getvalue()


def npy(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def load(body):
    """An array or the members of an archive, never a pickle."""
    return np.load(io.BytesIO(body), allow_pickle=False)


def dumps(value):
    return json.dumps(value).encode()


class Client:
    """One worker's view of one collection."""

    def __init__(self, url, collection="default"):
        self.url = url
        self.base = f"/v1/collections/{collection}"
        self.session = requests.Session()

    def request(self, method, path, **options):
        options.setdefault("timeout", TIMEOUT_SECONDS)
        return self.session.request(method, self.url + path, **options)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def create(self, dimension, dtype="float32"):
        return self.request("PUT", self.base, json={"dimension": dimension, "dtype": dtype})

    def post(self, body, media_type=NPZ, key=None, path=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if media_type:
            headers["Content-Type"] = media_type
        if key is not None:
            headers["Idempotency-Key"] = key
        return self.request("POST", path or f"{self.base}/embeddings", data=body, headers=headers)

    def put_batch(self, batch_id, body, media_type=NPZ, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request(
            "PUT", f"{self.base}/batches/{batch_id}", data=body,
            headers={"Content-Type": media_type} | headers)

    def append(self, ids, rows, key=None):
        """Stores a batch that must be taken, and gives its receipt."""
        response = self.post(npz(ids=np.asarray(ids), embeddings=rows), key=key)
        assert response.status_code in (200, 201), response.text
        return response.json()

    def receipt(self, batch_id):
        return self.get(f"{self.base}/batches/{batch_id}")

    def batches(self, **query):
        return self.get(f"{self.base}/batches", params=query)

    def all_batches(self, **query):
        """Every receipt, page by page."""
        page = self.batches(**query).json()
        receipts = page["batches"]
        while page["next"]:
            page = self.get(page["next"]).json()
            receipts += page["batches"]
        return receipts

    def row_path(self, row_id):
        return f"{self.base}/embeddings/{quote(str(row_id), safe='')}"

    def row(self, row_id, dtype="<f4"):
        """The vector of an id, from JSON."""
        response = self.get(self.row_path(row_id), headers={"Accept": JSON})
        assert response.status_code == 200, response.text
        return np.array(response.json()["embedding"], dtype="f8").astype(dtype)

    def fetch(self, ids, accept=None):
        return self.request(
            "POST", f"{self.base}/fetch", json={"ids": list(ids)},
            headers={"Accept": accept} if accept else {})

    def missing(self, body, media_type=TEXT, accept=None, **options):
        headers = {"Content-Type": media_type} if media_type else {}
        headers |= {"Accept": accept} if accept else {}
        return self.request(
            "POST", f"{self.base}/missing", data=body, headers=headers, **options)

    def states(self, ids):
        """What is missing of some ids, and why."""
        response = self.missing(lines(ids), accept=NDJSON)
        assert response.status_code == 200, response.text
        found = [json.loads(line) for line in response.content.splitlines()]
        return {one["id"]: one["state"] for one in found}

    def delete(self, ids):
        """Deletes ids, which must be taken."""
        response = self.request(
            "POST", f"{self.base}/delete", data=lines(ids), headers={"Content-Type": TEXT})
        assert response.status_code == 200, response.text
        return response.json()

    def ids(self):
        return self.get(f"{self.base}/ids", headers={"Accept": JSON}).json()["ids"]

    def export(self, name="npz"):
        response = self.get(f"{self.base}/export", params={"format": name})
        assert response.status_code == 200, response.text
        return response

    def exported(self):
        """Every live row by its id."""
        archive = load(self.export().content)
        assert len(archive["ids"]) == len(archive["embeddings"])
        rows = {str(one): row for one, row in zip(archive["ids"], archive["embeddings"])}
        assert len(rows) == len(archive["ids"]), "an id is exported twice"
        return rows

    def integrity(self):
        return self.get("/integrity").json()

    def start_scrub(self, **wanted):
        response = self.request("POST", "/v1/scrubs", json=wanted)
        assert response.status_code == 202, response.text
        return response.json()["number"]

    def scrub(self, **wanted):
        """Reads everything now, and gives what came of it."""
        number = self.start_scrub(**({"rate": "max"} | wanted))
        return wait_for(
            lambda: self.get(f"/v1/scrubs/{number}").json(), lambda it: it["state"] == "done")

    def compact(self, dead_percent=0):
        """Gives back the room of dead rows, and says how that went."""
        response = self.request(
            "POST", f"{self.base}/compact", json={"dead_percent": dead_percent})
        assert response.status_code == 202, response.text
        return wait_for(
            lambda: self.get(f"{self.base}/compact").json(), lambda it: it["state"] == "done")

    def row_count(self):
        response = self.get(self.base)
        return response.json()["rows"] if response.status_code == 200 else 0


def lines(ids):
    return "".join(f"{one}\n" for one in ids).encode()


def wait_for(look, is_right, seconds=60, pause=0.01):
    """What `look` gives as soon as it is right."""
    deadline = time.monotonic() + seconds
    while not is_right(found := look()):
        assert time.monotonic() < deadline, f"still {found}"
        time.sleep(pause)
    return found


def shard_file(store, shard=0, collection="default"):
    return Path(store) / f"collections/{collection}/shards/{shard:06d}/embeddings.npy"


def shard_files(store, collection="default"):
    return sorted((Path(store) / f"collections/{collection}/shards").glob("*/embeddings.npy"))


def rows_in_file(store, receipt):
    """The rows of a receipt as NumPy finds them in the shard."""
    array = np.load(
        shard_file(store, receipt["shard"], receipt["collection"]), mmap_mode="r",
        allow_pickle=False)
    return array[receipt["first_row"]:receipt["first_row"] + receipt["rows"]]


def same_bits(left, right):
    left, right = np.ascontiguousarray(left), np.ascontiguousarray(right)
    return left.dtype == right.dtype and left.shape == right.shape \
        and left.tobytes() == right.tobytes()
