# Promise: clients that die, lie, stall or come in crowds leave nothing behind and starve nobody.
import contextlib
import os
import random
import resource
import socket
import struct
import time

import pytest

from client import Client, npz
from memory import MemoryWatch, anonymous_bytes
from operations import VECTORS
from torture import Torture

IS_THOROUGH = os.environ.get("INGOT_THOROUGH") == "1"
DEATH_COUNT = 5000 if IS_THOROUGH else 200
CONNECTION_COUNT = 1000
CROWD_SECONDS = 60 if IS_THOROUGH else 6
SEED = int(os.environ.get("INGOT_TEST_SEED", "1"))
GROWTH_BYTES_MAX = 200 << 20
# What others may wait while 500 exports begin, which is seconds of work on a machine with nothing else to do, and what
# they may wait then.
ARRIVAL_SECONDS_MAX, SECONDS_MAX = 45, 10

BODY = npz(ids=[f"never/{row}" for row in range(200)], embeddings=VECTORS[:200])


def head(byte_count, path="/v1/collections/default/batches/never"):
    return (f"PUT {path} HTTP/1.1\r\nHost: ingot\r\nContent-Type: application/x-npz\r\n"
            f"Content-Length: {byte_count}\r\n\r\n").encode()


def lying(chance):
    """The body with another row count or byte count in one of its headers."""
    body = bytearray(BODY)
    at = body.find(b"'shape': (200, 384)")
    body[at + 10:at + 13] = str(chance.choice([100, 199, 201, 999])).encode()
    return bytes(body)


def dies(address, chance):
    """A client that ends in the middle: with a reset, or as if its body were over."""
    with socket.create_connection(address, timeout=20) as connection:
        announced = len(BODY) + chance.choice([0, 0, 1, 5000])
        connection.sendall(head(announced) + BODY[:chance.randrange(len(BODY))])
        if chance.random() < 0.5:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return None
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(4096), b""))


def lies(address, chance):
    """A whole body that is shorter or longer than it says, or says other counts than it has."""
    body = chance.choice([BODY[:-chance.randrange(1, 3000)], BODY + b"x" * chance.randrange(1, 3000), lying(chance)])
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(head(len(body)) + body)
        return connection.recv(4096)


@pytest.mark.fault("F1")
def test_clients_that_die_or_lie_in_mid_body_store_nothing(launch, tmp_path, injections):
    print("seed", SEED)
    chance = random.Random(SEED)
    server = launch("--shard-bytes", "1MiB")
    with Torture(server, tmp_path / "receipts", writers=2, is_tolerant=False) as torture:
        torture.wait_for(5)
        for number in range(DEATH_COUNT):
            answer = (dies if number % 2 else lies)((server.host, server.port), chance)
            injections.add()
            assert not answer or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 422 ")), answer[:400]
        torture.wait_for(5)
        # Nothing is there that no worker sent.
        torture.check()
    client = Client(server.url)
    assert client.receipt("never").status_code == 404
    assert client.states(["never/0", "never/199"]).keys() == {"never/0", "never/199"}
    assert client.put_batch("never", BODY).status_code == 201


@pytest.fixture
def many_descriptors():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTION_COUNT + 200
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"{hard} descriptors are allowed, {wanted} are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def slow_reader(address):
    """Asks for everything, and takes nothing of it."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(address)
    connection.sendall(b"GET /v1/collections/default/export?format=npz HTTP/1.1\r\nHost: ingot\r\n\r\n")
    return connection


def slow_writer(address, number):
    """Sends a byte of its body now and then."""
    connection = socket.create_connection(address, timeout=20)
    connection.sendall(head(20_000, f"/v1/collections/default/batches/slow.{number}") + BODY[:10])
    return connection


@pytest.mark.fault("F5")
def test_a_thousand_slow_clients_starve_nobody(launch, tmp_path, many_descriptors, injections):
    server = launch("--shard-bytes", "4MiB", "--max-connections", CONNECTION_COUNT + 100)
    address = (server.host, server.port)
    with Torture(server, tmp_path / "receipts", writers=2, is_tolerant=False) as torture:
        torture.wait_for(100)
        before = anonymous_bytes(server.pid)
        with contextlib.ExitStack() as opened, MemoryWatch(server.pid) as memory:
            crowd = []
            for number in range(CONNECTION_COUNT // 2):
                for connection in (slow_reader(address), slow_writer(address, number)):
                    crowd.append(opened.enter_context(connection))
            injections.add(len(crowd))
            client, durations = Client(server.url), []
            end = time.monotonic() + CROWD_SECONDS
            while len(durations) < 10 or time.monotonic() < end:
                for writer in crowd[1::2]:
                    writer.send(b"\0")
                start = time.monotonic()
                assert client.get("/readyz").status_code == 200
                torture.wait_for(3)
                durations.append(time.monotonic() - start)
        torture.check()
    print(f"{(memory.peak - before) >> 20} MiB more with {len(crowd)} connections; others waited {durations[0]:.2f} s",
          f"while they came, then {max(durations[1:]):.2f} s")
    assert memory.peak - before < GROWTH_BYTES_MAX
    assert durations[0] < ARRIVAL_SECONDS_MAX and max(durations[1:]) < SECONDS_MAX
