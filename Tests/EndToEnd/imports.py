# Runs of `ingot import`, their sources, and the rows that came of them. Used by the tests of import.
import json

import numpy as np

from client import shard_files
from server_process import command

OK, COULD_NOT_RUN, IN_USE, UNUSABLE, USAGE = 0, 2, 3, 4, 64
COLLECTION = "clip"


def import_(*arguments, **options):
    return command("import", "--collection", COLLECTION, *arguments, **options)


def imported(*arguments, **options):
    """Imports what must be taken, and gives the report."""
    found = import_("--json", *arguments, **options)
    assert found.returncode == OK, found.stderr
    return json.loads(found.stdout)


def stored_rows(store):
    return np.concatenate([np.load(path) for path in shard_files(store, COLLECTION)])


def save_lines(path, ids, end="\n"):
    path.write_bytes("".join(f"{row_id}{end}" for row_id in ids).encode())
    return path
