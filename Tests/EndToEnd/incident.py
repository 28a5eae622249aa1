# The accident that Ingot exists for: a growing embeddings.npy whose last save was cut off by a full disk.
# Used by test_salvage.py, test_reconcile.py and test_accident.py; `python incident.py FOLDER` writes one to look at.
import argparse
import io
import sqlite3
from pathlib import Path

import numpy as np

# What happened: the header claims so many rows, and so many were written before the disk was full.
CLAIMED, SAVED, DIMENSION = 928_309, 72_668, 512
BLOCK_ROWS = 4096


def vectors(first, stop, dimension, dtype="<f4"):
    """Rows first..<stop of the file that was meant: unit vectors, any of which can be made again."""
    blocks = [
        np.random.default_rng([7, block]).standard_normal((BLOCK_ROWS, dimension), dtype="f4")
        for block in range(first // BLOCK_ROWS, (max(first, stop - 1)) // BLOCK_ROWS + 1)]
    rows = np.concatenate(blocks)[first % BLOCK_ROWS:][:stop - first]
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(dtype)


def path_of(index):
    return f"photos/{index // 1000:04d}/img_{index:07d}.jpg"


def header(row_count, dimension, dtype="<f4", version=(1, 0), fortran_order=False):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": dtype, "fortran_order": fortran_order, "shape": (row_count, dimension)})
    found = file.getvalue()
    if version == (1, 0):
        return found
    # Versions 2 and 3 have four bytes for the length; two spaces less keep the rows aligned.
    body = found[10:-3] + found[-1:]
    return found[:6] + bytes(version) + len(body).to_bytes(4, "little") + body


class Incident:
    """A folder with the broken file and the workers' own database."""

    def __init__(self, folder, claimed=1000, saved=300, dimension=16, dtype="<f4", extended=False):
        self.folder = Path(folder)
        self.claimed, self.saved, self.dimension, self.dtype = claimed, saved, dimension, dtype
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "embeddings.npy"
        self.database = self.folder / "images.db"
        self._write_file(extended)
        self._write_database()

    def _write_file(self, extended):
        """Whole rows, half of one more; then nothing, or zeros from somebody's mmap_mode="r+"."""
        with open(self.file, "wb") as file:
            file.write(header(self.claimed, self.dimension, self.dtype))
            start = file.tell()
            for first in range(0, self.saved, BLOCK_ROWS):
                stop = min(self.saved, first + BLOCK_ROWS)
                file.write(vectors(first, stop, self.dimension, self.dtype).tobytes())
            torn = vectors(self.saved, self.saved + 1, self.dimension, self.dtype).tobytes()
            file.write(torn[:len(torn) // 2])
            if extended:
                file.truncate(start + self.claimed * len(torn))

    def _write_database(self):
        with sqlite3.connect(self.database) as database:
            database.execute(
                "CREATE TABLE images"
                "(id INTEGER PRIMARY KEY, path TEXT UNIQUE, embedding_index INTEGER)")
            database.executemany(
                "INSERT INTO images VALUES (?, ?, ?)",
                ((index + 1, path_of(index), index) for index in range(self.claimed)))
        database.close()

    @property
    def lost_ids(self):
        return [path_of(index) for index in range(self.saved, self.claimed)]

    @property
    def truth(self):
        return vectors(0, self.saved, self.dimension, self.dtype)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--claimed", type=int, default=CLAIMED)
    parser.add_argument("--saved", type=int, default=SAVED)
    parser.add_argument("--dimension", type=int, default=DIMENSION)
    parser.add_argument("--extended", action="store_true")
    given = parser.parse_args()
    made = Incident(
        given.folder, given.claimed, given.saved, given.dimension, extended=given.extended)
    print(f"{made.file}: claims {made.claimed} rows, holds {made.saved} whole rows")
