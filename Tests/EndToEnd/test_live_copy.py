# Promise (FAULTS E7): a live store copied file by file in any order opens as a prefix, or names what is missing; it never lies.
import json
import shutil
import sqlite3

import pytest

from client import Client, load, same_bits
from server_process import ServerProcess, verify
from writers import Writers, ids_of_batch, rows_of_batch


def files_of(store):
    return [path.relative_to(store) for path in sorted(store.rglob("*")) if path.is_file()]


def is_catalog(path):
    return path.name.startswith("catalog.sqlite")


ORDERS = {
    "catalog first": lambda path: (not is_catalog(path), path),
    "catalog last": lambda path: (is_catalog(path), path),
    "logs before rows": lambda path: (path.name != "commits.log", path),
    "rows before logs": lambda path: (path.name != "embeddings.npy", path),
    "catalog, logs, rows": lambda path: (
        not is_catalog(path), path.name != "commits.log", path),
    "rows, logs, catalog": lambda path: (
        is_catalog(path), path.name == "commits.log", path),
    "everything backwards": lambda path: [-ord(letter) for letter in str(path)],
}


def copy_live(store, copy, order, between):
    """Copies what is there at the beginning, one file after the other; batches are committed between any two."""
    names = sorted(files_of(store), key=order)
    for name in names:
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(store / name, target)
        except FileNotFoundError:
            continue
        between()
    for name in ("new", "shards"):
        (copy / "collections/default" / name).mkdir(parents=True, exist_ok=True)


def catalog_batches(copy, tmp_path):
    """What the copied catalog knows, as SQLite reads it with its write-ahead log."""
    folder = tmp_path / "catalog"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in copy.glob("catalog.sqlite*"):
        if not path.name.endswith("-shm"):
            shutil.copyfile(path, folder / path.name)
    try:
        with sqlite3.connect(folder / "catalog.sqlite") as database:
            return dict(database.execute("SELECT batch_id, row_count FROM batches"))
    except sqlite3.DatabaseError:
        return {}


def named_ids(found):
    return {row_id for entry in found["damage"] for row_id in entry["ids"]}


def check(client, known, found):
    """No row that is served is wrong; none that the catalog knows, or that lies before a served one, lacks silently."""
    served = {receipt["batch_id"]: receipt for receipt in client.all_batches(limit=1000)}
    named = named_ids(found)
    damaged_rows = sum(entry["rows"] for entry in found["damage"])
    silent, wrong, missing_count = [], [], 0
    for batch_id in known.keys() | served.keys():
        writer, number = map(int, batch_id.split("."))
        ids, rows = ids_of_batch(writer, number), rows_of_batch(writer, number)
        response = client.fetch(ids)
        if response.status_code == 200:
            archive = load(response.content)
            got = dict(zip(archive["ids"].tolist(), archive["embeddings"]))
        else:
            got = {}
            for row_id in ids:
                one = client.get(client.row_path(row_id))
                assert one.status_code in (200, 404, 500), one.text
                if one.status_code == 200:
                    got[row_id] = client.row(row_id)
        for row_id, row in zip(ids, rows):
            if row_id in got:
                if not same_bits(got[row_id], row):
                    wrong.append(row_id)
            else:
                missing_count += 1
                if row_id not in named:
                    silent.append(row_id)
    assert not wrong, f"wrong bytes were served: {wrong[:5]}"
    assert not silent or damaged_rows >= missing_count, \
        f"{len(silent)} rows lack silently, such as {silent[:5]}; verify said {found['damage'][:3]}"
    sequences = sorted(receipt["sequence"] for receipt in served.values())
    has_gap = sequences != list(range(1, len(sequences) + 1))
    assert not has_gap or found["damage"], "batches lack before others, and verify found nothing"
    if missing_count or has_gap:
        # Damaged rows of which nobody knew are known once they were read.
        integrity = client.get("/integrity").json()
        assert integrity["status"] == "damaged", f"/integrity is clean, verify found {found['damage']}"
    return missing_count, len(served)


@pytest.mark.fault("E7")
@pytest.mark.parametrize("name", ORDERS)
def test_copy_in_any_order_is_a_prefix_or_names_what_is_missing(launch, tmp_path, name, injections):
    server = launch("--shard-bytes", "64KiB")
    copies = []
    with Writers(server.url) as writers:
        writers.wait_for(40)
        for attempt in range(3):
            copy = tmp_path / f"copy-{attempt}"
            copy_live(server.store, copy, ORDERS[name], lambda: writers.wait_for(1))
            copies.append(copy)
            injections.add()

    for copy in copies:
        known = catalog_batches(copy, tmp_path)
        verified = verify(copy, "--json")
        assert verified.returncode in (0, 1), verified.stderr
        found = json.loads(verified.stdout)
        served = ServerProcess(copy).start()
        try:
            client = Client(served.url)
            missing, batch_count = check(client, known, found)
            print(f"{name}: {batch_count} batches, {missing} rows missing, "
                  f"{len(found['damage'])} places of damage")
            if verified.returncode == 0:
                assert missing == 0
        finally:
            assert served.terminate() == 0
