# Promise: from the accident to a complete, verified collection, with the counts of what happened; and the page of the
# docs that a person with such a file follows does the same.
import json
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from client import Client, same_bits, shard_files
from incident import CLAIMED, DIMENSION, SAVED, Incident, path_of, vectors
from server_process import BINARY, ROOT, clean_environment, command, verify

OK, LOST = 0, 1
IS_THOROUGH = os.environ.get("INGOT_THOROUGH") == "1"
LOST_COUNT = 855_641
# All counts are those of the accident; its width only in a thorough run, since then 1.9 GB are written.
WIDTH = DIMENSION if IS_THOROUGH else 16
BATCH_ROWS = 16_384
IDS = "select path from images where embedding_index is not null order by embedding_index"
MAP = "select path, embedding_index from images order by embedding_index"

PAGE = (ROOT / "docs/recovering-a-broken-npy.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
ADDRESS = "127.0.0.1:8080"


@pytest.mark.parametrize("extended", [False, True])
def test_from_the_accident_to_a_complete_collection(tmp_path, launch, extended):
    incident = Incident(tmp_path / "accident", CLAIMED, SAVED, WIDTH, extended=extended)
    store, lost = tmp_path / "store", tmp_path / "lost.txt"
    before = incident.file.stat()
    if not extended:
        with pytest.raises(ValueError):
            np.load(incident.file)

    # Look, then bring back what is there.
    found = command("salvage", incident.file, "--json")
    assert found.returncode == LOST
    found = command(
        "salvage", incident.file, "--into-store", store, "--collection", "clip",
        "--database", incident.database, "--query", MAP, "--lost", lost, "--json", timeout=600)
    assert found.returncode == OK, found.stderr
    report = json.loads(found.stdout)
    assert (report["claimed_rows"], report["whole_rows"]) == (CLAIMED, SAVED)
    assert (report["stored_rows"], report["lost_ids"]) == (SAVED, LOST_COUNT)
    assert report["torn_rows"] == 1
    assert report["zero_tail_rows" if extended else "absent_rows"] == LOST_COUNT - 1
    assert lost.read_text().splitlines() == incident.lost_ids
    assert verify(store).returncode == OK
    assert same_bits(stored_rows(store), incident.truth)
    after = incident.file.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    if extended:
        return

    # Ask the server what is missing, as every worker does when it starts.
    server = launch(store=store)
    client = Client(server.url, "clip")
    with sqlite3.connect(incident.database) as database:
        ids = "".join(f"{path}\n" for path, in database.execute(IDS))
    missing = client.request(
        "POST", f"{client.base}/missing", data=ids.encode(), headers={"Content-Type": "text/plain"})
    assert missing.text == lost.read_text()

    # Embed those again, and send them.
    for first in range(SAVED, CLAIMED, BATCH_ROWS):
        stop = min(CLAIMED, first + BATCH_ROWS)
        client.append(
            [path_of(index) for index in range(first, stop)], vectors(first, stop, WIDTH),
            key=f"again-{first}")

    # Nothing is missing, extra or damaged, and every row is what and where it should be.
    found = reconcile(incident, "--url", server.url, "--query", IDS)
    assert (found["matched"], found["missing"], found["extra"]) == (CLAIMED, 0, 0)
    assert server.terminate() == OK
    found = reconcile(incident, "--store", store, "--query", IDS, "--map", MAP)
    assert (found["matched"], found["missing"], found["extra"]) == (CLAIMED, 0, 0)
    assert (found["compared"], found["misplaced"]) == (CLAIMED, 0)
    verified = json.loads(verify(store, "--json").stdout)
    assert (verified["status"], verified["rows"]) == ("clean", CLAIMED)
    first = 0
    for path in shard_files(store, "clip"):
        rows = np.load(path, mmap_mode="r")
        for start in range(0, len(rows), BATCH_ROWS):
            piece = rows[start:start + BATCH_ROWS]
            assert same_bits(piece, vectors(first, first + len(piece), WIDTH)), first
            first += len(piece)
    assert first == CLAIMED


def stored_rows(store):
    return np.concatenate([np.load(path) for path in shard_files(store, "clip")])


def reconcile(incident, *arguments):
    found = command(
        "reconcile", "--collection", "clip", "--database", incident.database, *arguments, "--json",
        timeout=600)
    assert found.returncode == OK, found.stderr
    return json.loads(found.stdout)


# The page

def test_every_block_of_the_page_has_a_language_that_is_run():
    assert {language for language, _ in BLOCKS} <= {"sh", "python", "text"}
    assert len(re.findall(r"^```", PAGE, re.MULTILINE)) == 2 * len(BLOCKS)


def test_the_page_leads_to_a_complete_collection(launch, tmp_path):
    """Its blocks in their order, in a folder with such a file, of fewer rows."""
    incident = Incident(tmp_path, claimed=5000, saved=1200, dimension=DIMENSION)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/ingot").symlink_to(BINARY)
    environment = clean_environment() | {"NO_PROXY": "*"}
    environment["PATH"] = ":".join(
        [str(tmp_path / "bin"), str(Path(sys.executable).parent), environment["PATH"]])
    outputs, server = {}, None
    for language, content in BLOCKS:
        if language == "text":
            continue
        if content.startswith("ingot serve"):
            server = launch(store=tmp_path / "ingot-data")
            continue
        if server:
            content = content.replace(ADDRESS, f"127.0.0.1:{server.port}")
        arguments = ["bash", "-euo", "pipefail", "-c"] if language == "sh" else [sys.executable, "-c"]
        found = subprocess.run(
            [*arguments, content], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=300)
        assert found.returncode == 0, f"{content}\n{found.stdout}{found.stderr}"
        outputs[content] = found.stdout

    assert server and any("missing          0" in text for text in outputs.values())
    assert (tmp_path / "lost.txt").read_text().splitlines() == incident.lost_ids
    assert Client(server.url, "clip").row_count() == 5000
    assert server.terminate() == OK
    assert verify(tmp_path / "ingot-data").returncode == OK
    assert same_bits(stored_rows(tmp_path / "ingot-data")[:1200], incident.truth)


def test_what_the_page_shows_is_what_the_command_says(tmp_path):
    """Every count in the output that the page quotes, of the accident in its real size."""
    incident = Incident(tmp_path, CLAIMED, SAVED, DIMENSION if IS_THOROUGH else 16)
    shown = next(content for language, content in BLOCKS if language == "text")
    said = command("salvage", incident.file).stdout
    counts = re.compile(r"^([a-z -]+?) +(\d+)\b", re.MULTILINE)
    assert len(counts.findall(shown)) == 10
    assert counts.findall(shown) == counts.findall(said)


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)\)", PAGE))
def test_links_of_the_page_lead_somewhere(link):
    assert (ROOT / "docs" / link).exists()
