# NumPy reads the live files of a store in a process of its own, row by row. Used by torture.py.
import select
import subprocess
import sys

import numpy as np

from operations import VECTORS, shard_files

ROW_BYTES = VECTORS.shape[1] * 4
PAUSE = 0.02
KNOWN_ROWS = {row.tobytes() for row in VECTORS}


def watch_files(store):
    """NumPy reads the live files, in this process: each row is one that was sent. Gives how many were read.

    It ends when standard input does.
    """
    count = 0
    while not select.select([sys.stdin], [], [], PAUSE)[0]:
        for path in shard_files(store):
            try:
                array = np.load(path, mmap_mode="r", allow_pickle=False)
            except FileNotFoundError:
                continue  # compacted away meanwhile
            assert len(array) and array.shape[1:] == VECTORS.shape[1:], f"{path}: {array.shape}"
            content = np.ascontiguousarray(array[-2000:]).tobytes()
            for start in range(0, len(content), ROW_BYTES):
                assert content[start:start + ROW_BYTES] in KNOWN_ROWS, f"{path} shows a row that was never sent"
            count += len(content) // ROW_BYTES
    return count


class FileWatcher:
    """`with FileWatcher(store) as watcher:` runs `watch_files` in a process of its own: a fault in a mapping ends that one.

    `watcher.row_count()` ends it, and fails when it was ended before or saw what is wrong.
    """

    def __init__(self, store):
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with self.process:
            self.process.kill()

    def row_count(self):
        output = self.process.communicate()[0]
        assert self.process.returncode == 0, output
        return int(output.split()[0])


if __name__ == "__main__":
    print(watch_files(sys.argv[1]), "rows")
