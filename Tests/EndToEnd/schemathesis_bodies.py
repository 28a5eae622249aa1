# The binary bodies that schemathesis sends: good ones, and good ones with bytes changed. Loaded by test_openapi.py.
import json

import numpy as np
import schemathesis
from hypothesis import strategies

from client import NDJSON, NPY, NPZ, npy, npz

DIMENSION = 4


@strategies.composite
def rows(draw):
    count = draw(strategies.integers(0, 4))
    dimension = draw(strategies.sampled_from([DIMENSION, DIMENSION, DIMENSION, 1, 3]))
    dtype = draw(strategies.sampled_from(["<f4", "<f4", "<f4", "<f2", "<f8", ">f4", "<i4"]))
    numbers = strategies.integers(-1000, 1000)
    values = draw(strategies.lists(numbers, min_size=count * dimension, max_size=count * dimension))
    return np.array(values).reshape(count, dimension).astype(dtype)


@strategies.composite
def damaged(draw, body):
    """The body, in one of four cases with some bytes changed or cut off."""
    content = draw(body)
    if draw(strategies.integers(0, 3)) or not content:
        return content
    changed = bytearray(content)
    for _ in range(draw(strategies.integers(0, 3))):
        changed[draw(strategies.integers(0, len(changed) - 1))] = draw(strategies.integers(0, 255))
    return bytes(changed[:draw(strategies.integers(0, len(changed)))])


@strategies.composite
def npz_bodies(draw):
    embeddings = draw(rows())
    ids = draw(strategies.lists(
        strategies.integers(0, 50), min_size=len(embeddings), max_size=len(embeddings) + 1))
    compressed = draw(strategies.booleans())
    return npz(compressed, ids=np.array(ids, dtype="<i8"), embeddings=embeddings)


@strategies.composite
def ndjson_bodies(draw):
    embeddings = draw(rows())
    lines = [
        json.dumps({"id": index, "embedding": [float(value) for value in row]})
        for index, row in enumerate(embeddings)]
    return "\n".join(lines).encode()


schemathesis.openapi.media_type(NPZ, damaged(npz_bodies()))
schemathesis.openapi.media_type(NPY, damaged(rows().map(npy)))
schemathesis.openapi.media_type(NDJSON, damaged(ndjson_bodies()))
