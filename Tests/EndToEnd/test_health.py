# Promise P11: health is honest without traffic as well: a server that nobody writes to finds out by writing.
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from client import Client, rows_of, wait_for

FOUND_SECONDS = 10
# After this long behind, the catalog is named.
BEHIND_SECONDS = 10


def writable(client):
    """The answers of both, which must agree."""
    ready, health = client.get("/readyz"), client.get("/health")
    return ready.status_code, health.status_code, health.json()


@pytest.fixture
def unwritable():
    """Makes directories refuse new names, even those of root; undone whatever happens."""
    folders = []

    def change(folder):
        done = subprocess.run(["chattr", "+i", str(folder)], capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"no immutable directories here: {done.stderr.strip()}")
        folders.append(folder)

    yield change
    for folder in folders:
        subprocess.run(["chattr", "-i", str(folder)], check=True)


def test_an_idle_server_has_made_a_durable_write(server, client):
    ready, healthy, health = writable(client)

    assert (ready, healthy, health["status"]) == (200, 200, "pass")
    assert 0 <= health["checks"]["durable-write"]["observedValue"] < 6
    assert health["checks"]["catalog"]["status"] == "pass"
    assert not list(server.store.glob(".probe"))
    assert (server.store / ".ballast").stat().st_blocks > 0


def test_a_catalog_that_follows_is_not_called_behind_however_long_batches_come(server):
    ends = time.monotonic() + BEHIND_SECONDS + 2

    def write_on(writer):
        client, rows, count = Client(server.url), rows_of(16), 0
        while time.monotonic() < ends:
            client.append(range(16), rows, key=f"{writer}-{count}")
            count += 1
        return count, client.get("/health").json()["checks"]["catalog"]

    with ThreadPoolExecutor() as pool:
        written = list(pool.map(write_on, range(3)))

    assert all(count > 100 for count, _ in written)
    assert {check["status"] for _, check in written} == {"pass"}, written


def test_the_ballast_is_gone_after_a_clean_stop(server):
    assert server.terminate() == 0
    assert sorted(path.name for path in server.store.iterdir()) == [
        "catalog.sqlite", "collections", "store.json"]


@pytest.mark.fault("C6", "C8")
def test_an_idle_server_finds_out_that_nothing_can_be_written(server, client, unwritable, injections):
    client.append(["a"], rows_of(1))
    unwritable(server.store)
    injections.add()

    _, _, health = wait_for(
        lambda: writable(client), lambda found: found[:2] == (503, 503), FOUND_SECONDS)

    assert health["status"] == "fail"
    assert ".probe" in health["checks"]["writable"]["output"]
    assert client.get("/disk").json()["accepting"] is False
    assert client.get("/livez").status_code == 200
    assert client.get(client.row_path("a")).status_code == 200

    subprocess.run(["chattr", "-i", str(server.store)], check=True)
    wait_for(lambda: writable(client), lambda found: found[:2] == (200, 200), FOUND_SECONDS)
