# Promise: every command says what it does by its exit code and names what is at fault.
import json
import os
import signal
import socket
import subprocess

import numpy as np
import pytest
import requests

from client import Client, npz, rows_of, same_bits, shard_file, shard_files, wait_for
from server_process import command, started, verify
from threads import Jobs

OK, DAMAGE, COULD_NOT_RUN, IN_USE, USAGE = 0, 1, 2, 3, 64
COMMANDS = ["serve", "verify", "status", "salvage", "reconcile", "bench"]
SERVE_FLAGS = [
    "--store", "--listen", "--shard-bytes", "--disk-reserve", "--in-flight-bytes",
    "--max-body-bytes", "--config", "--insecure-listen", "--log-level"]


# Help

def test_help_names_every_command():
    found = command("--help")
    assert found.returncode == OK
    for name in COMMANDS:
        assert name in found.stdout


@pytest.mark.parametrize("name, flags", [
    ("serve", SERVE_FLAGS), ("verify", ["--store", "--json"]), ("status", ["--store", "--url"]),
    ("bench", ["--connections", "--rows", "--dimension", "--format", "--seconds", "--floor"])])
def test_help_of_a_command_names_its_flags(name, flags):
    found = command(name, "--help")
    assert found.returncode == OK
    for flag in flags:
        assert flag in found.stdout


# serve

def test_serve_prints_exactly_one_line_to_standard_output(launch, store):
    server = launch()
    Client(server.url).append([1], rows_of(1))
    assert server.ready_line == f"ingot: serving {store} on http://127.0.0.1:{server.port}"
    os.set_blocking(server.process.stdout.fileno(), False)
    assert server.process.stdout.read() is None


def test_serve_keeps_its_log_on_standard_error(launch):
    server = launch("--log-level", "debug")
    Client(server.url).append([1], rows_of(1))
    assert server.log_path.stat().st_size > 0


@pytest.mark.fault("E9")
def test_store_in_use_exits_3_and_names_the_holder(server, tmp_path, injections):
    link = tmp_path / "link"
    link.symlink_to(server.store)
    for store in (server.store, link):
        found = command("serve", "--store", store, "--listen", "127.0.0.1:0")
        injections.add()
        assert found.returncode == IN_USE
        assert str(server.pid) in found.stderr
    assert Client(server.url).get("/livez").status_code == 200


@pytest.mark.fault("A12")
def test_sigterm_drains_and_exits_0(server, injections):
    """What was taken is finished and acknowledged; what comes later finds nobody or 503."""
    url, statuses = server.url, []

    def post(client):
        def post_one(number):
            try:
                response = client.post(npz(ids=np.arange(64), embeddings=rows_of(64, 128, number)))
            except requests.ConnectionError:
                return True
            statuses.append(response.status_code)
            return response.status_code == 503
        return post_one

    with Jobs(*(post(Client(url)) for _ in range(4))) as jobs:
        jobs.wait_for_turns(3)
        assert server.terminate() == OK
        injections.add()

    stored_count = statuses.count(201)
    assert stored_count > 0 and set(statuses) <= {201, 503}
    rows = sum(len(np.load(path, mmap_mode="r")) for path in shard_files(server.store))
    assert rows % 64 == 0 and rows >= stored_count * 64
    assert verify(server.store).returncode == OK


def begin_batch(server, connection, byte_count):
    """Sends the head of a batch, and returns once the batch is taken."""
    connection.sendall((
        "POST /embeddings HTTP/1.1\r\nHost: ingot\r\nContent-Type: application/x-npz\r\n"
        f"Expect: 100-continue\r\nContent-Length: {byte_count}\r\n\r\n").encode())
    assert connection.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
    metrics = requests.get(f"{server.url}/metrics", timeout=20).text
    assert f"\ningot_in_flight_bytes {byte_count}\n" in metrics


def is_listening(server):
    try:
        socket.create_connection((server.host, server.port), timeout=20).close()
        return True
    except ConnectionError:
        return False


def test_sigterm_waits_for_a_batch_that_is_being_sent(server):
    rows = rows_of(64)
    body = npz(ids=np.arange(64), embeddings=rows)
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        begin_batch(server, connection, len(body))
        connection.sendall(body[:100])
        server.process.send_signal(signal.SIGTERM)
        # From here on nothing new is taken.
        wait_for(lambda: is_listening(server), lambda listening: not listening)
        connection.sendall(body[100:])
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 201 "), answer
    assert server.terminate() == OK
    assert same_bits(np.load(shard_file(server.store)), rows)
    assert verify(server.store).returncode == OK


@pytest.mark.fault("A12")
def test_second_signal_does_not_harm(launch, injections):
    server = launch()
    Client(server.url).append([1], rows_of(1))
    server.process.send_signal(signal.SIGTERM)
    server.process.send_signal(signal.SIGTERM)
    assert server.terminate() == OK
    injections.add()
    assert verify(server.store).returncode == OK


@pytest.mark.parametrize("arguments, says", [
    (["--shard-bytes", "many"], "shard-bytes"),
    (["--shard-bytes", "-1"], "shard-bytes"),
    (["--max-body-bytes", "1XB"], "max-body-bytes"),
    (["--in-flight-bytes", ""], "in-flight-bytes"),
    (["--disk-reserve", "1.5.2GiB"], "disk-reserve"),
    (["--listen", "nowhere"], "listen"),
    (["--listen", "127.0.0.1:70000"], "listen"),
    (["--log-level", "loud"], "log-level"),
    (["--no-such-flag"], "no-such-flag"),
])
def test_bad_setting_exits_64_and_is_named(store, arguments, says):
    found = command("serve", "--store", store, *arguments, timeout=20)
    assert found.returncode == USAGE
    assert says in found.stderr
    assert not store.exists(), "nothing is made before the settings are right"


def test_missing_store_setting_exits_64(tmp_path):
    found = command("serve", "--listen", "127.0.0.1:0", timeout=20, cwd=tmp_path)
    assert found.returncode == USAGE and "store" in found.stderr


@pytest.mark.parametrize("address", ["0.0.0.0:0", "[::]:0"])
def test_other_addresses_than_loopback_need_a_word(store, address):
    found = command("serve", "--store", store, "--listen", address, timeout=20)
    assert found.returncode == USAGE
    assert "--insecure-listen" in found.stderr


def test_other_addresses_are_served_when_told(launch):
    server = launch("--insecure-listen", listen="0.0.0.0:0")
    assert requests.get(f"http://127.0.0.1:{server.port}/livez", timeout=20).status_code == 200


def test_address_in_use_exits_2_and_is_named(server, tmp_path):
    address = f"127.0.0.1:{server.port}"
    found = command("serve", "--store", tmp_path / "other", "--listen", address, timeout=20)
    assert found.returncode == COULD_NOT_RUN and address in found.stderr


def test_store_that_cannot_be_made_exits_2_and_is_named(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    for command_name in ("serve", "verify", "status"):
        found = command(command_name, "--store", tmp_path / "file", timeout=20)
        assert found.returncode == COULD_NOT_RUN and str(tmp_path / "file") in found.stderr


def test_foreign_folder_is_refused_and_left_alone(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"cat")
    found = command("serve", "--store", folder, "--listen", "127.0.0.1:0", timeout=20)
    assert found.returncode == COULD_NOT_RUN
    assert [path.name for path in folder.iterdir()] == ["cat.jpg"]


# Settings

def limit_of(server):
    return Client(server.url).get("/v1/limits").json()["max_body_bytes"]


def test_flag_beats_environment_beats_file_beats_default(launch, tmp_path):
    config = tmp_path / "ingot.json"
    config.write_text(json.dumps({"max-body-bytes": "1MiB"}))
    environment = {"INGOT_MAX_BODY_BYTES": "2097152"}
    cases = [
        ([], None), (["--config", config], 1 << 20), (["--config", config], 2 << 20),
        (["--config", config, "--max-body-bytes", "3MiB"], 3 << 20)]

    found = []
    for number, (flags, _) in enumerate(cases):
        server = launch(*flags, env=environment if number >= 2 else None)
        found.append(limit_of(server))
        assert server.terminate() == OK

    assert found[1:] == [expected for _, expected in cases[1:]]
    assert found[0] not in found[1:]


def test_every_flag_is_a_setting_of_environment_and_file(launch, tmp_path):
    settings = {"shard-bytes": "2MiB", "disk-reserve": "3MiB", "in-flight-bytes": "9MiB",
                "max-body-bytes": "4MiB"}
    config = tmp_path / "ingot.json"
    config.write_text(json.dumps(settings))
    names = {f"INGOT_{name.upper().replace('-', '_')}": value for name, value in settings.items()}

    for options in ({"env": names}, {"env": {"INGOT_CONFIG": str(config)}}):
        server = launch(**options)
        limits = Client(server.url).get("/v1/limits").json()
        assert (limits["shard_bytes"], limits["disk_reserve_bytes"], limits["in_flight_bytes"],
                limits["max_body_bytes"]) == (2 << 20, 3 << 20, 9 << 20, 4 << 20)
        assert server.terminate() == OK


def test_store_and_address_may_come_from_the_environment(tmp_path):
    environment = {"INGOT_STORE": str(tmp_path / "s"), "INGOT_LISTEN": "127.0.0.1:0"}
    with started("serve", env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout.readline().startswith(f"ingot: serving {tmp_path / 's'} on http://")
        process.terminate()
        assert process.wait(30) == OK


@pytest.mark.parametrize("content", ["{", '{"max-body-bytes": "many"}', '{"no-such-setting": 1}'])
def test_bad_configuration_file_exits_64_and_is_named(store, tmp_path, content):
    config = tmp_path / "ingot.json"
    config.write_text(content)
    found = command("serve", "--store", store, "--config", config, timeout=20)
    assert found.returncode == USAGE and "ingot.json" in found.stderr


def test_missing_configuration_file_exits_64_and_is_named(store, tmp_path):
    found = command("serve", "--store", store, "--config", tmp_path / "nowhere.json", timeout=20)
    assert found.returncode == USAGE and "nowhere.json" in found.stderr


def test_in_flight_limit_answers_429_with_a_time(launch):
    """Batches that arrive while the bytes in flight are used up are told to come again."""
    server = launch("--in-flight-bytes", "1MiB", "--max-body-bytes", "1MiB")
    with socket.create_connection((server.host, server.port), timeout=20) as connection:
        begin_batch(server, connection, 1_000_000)
        response = Client(server.url).post(npz(ids=np.arange(8000), embeddings=rows_of(8000, 16)))
    assert response.status_code == 429, response.text
    assert response.json()["code"] in ("in-flight-limit", "in-flight-full") and response.json()["retryable"] is True
    assert int(response.headers["Retry-After"]) >= 0


# verify

@pytest.fixture
def damaged_store(launch):
    """A stopped store with sealed shards and an open one; gives its rows by place."""
    server = launch("--shard-bytes", "64KiB")
    client = Client(server.url)
    receipts = []
    for number in range(30):
        ids = [f"row-{number}-{index}" for index in range(20)]
        receipts.append(client.append(ids, rows_of(20, 128, number)))
    assert server.terminate() == OK
    assert len(shard_files(server.store)) > 3
    return server.store, receipts


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0x10]))


def test_verify_of_a_clean_store_exits_0(damaged_store):
    store, _ = damaged_store
    assert verify(store).returncode == OK
    found = verify(store, "--json")
    assert found.returncode == OK
    assert json.loads(found.stdout)["status"] == "clean"


@pytest.mark.parametrize("batch", [0, 13, 29], ids=["first", "sealed", "open"])
def test_verify_names_shard_rows_and_ids_of_a_flipped_bit(damaged_store, batch):
    store, receipts = damaged_store
    receipt = receipts[batch]
    row = receipt["first_row"] + 7
    flip(shard_file(store, receipt["shard"]), 128 + row * 128 * 4 + 33)

    found = verify(store)
    as_json = verify(store, "--json")

    assert found.returncode == DAMAGE and as_json.returncode == DAMAGE
    assert f"{receipt['shard']:06d}" in found.stdout
    assert f"row-{batch}-7" in as_json.stdout
    assert f"row-{batch}-7" in found.stdout
    report = json.loads(as_json.stdout)
    assert report["status"] == "damaged"
    (damage,) = [entry for entry in report["damage"] if entry["shard"] == receipt["shard"]]
    assert damage["collection"] == "default"
    assert damage["first_row"] <= row < damage["first_row"] + damage["rows"]
    assert f"row-{batch}-7" in damage["ids"]


@pytest.mark.parametrize("name, offset", [
    ("embeddings.npy", 20), ("embeddings.npy", 70), ("commits.log", 100), ("commits.log", 700)])
def test_verify_notices_damage_outside_rows(damaged_store, name, offset):
    store, _ = damaged_store
    flip(shard_file(store, 1).with_name(name), offset)
    found = verify(store)
    assert found.returncode == DAMAGE
    assert "000001" in found.stdout


@pytest.mark.parametrize("name", ["store.json", "collections/default/collection.json"])
def test_verify_notices_damage_in_descriptions(damaged_store, name):
    store, _ = damaged_store
    path = store / name
    flip(path, path.stat().st_size // 2)
    assert verify(store).returncode in (DAMAGE, COULD_NOT_RUN)


def test_verify_notices_a_lost_and_a_swapped_shard(damaged_store):
    store, _ = damaged_store
    shards = store / "collections/default/shards"
    (shards / "000001").rename(shards / "x")
    (shards / "000002").rename(shards / "000001")
    (shards / "x").rename(shards / "000002")
    found = verify(store)
    assert found.returncode == DAMAGE
    assert "000001" in found.stdout and "000002" in found.stdout


def test_server_serves_the_other_rows_of_a_damaged_store(damaged_store, launch):
    store, receipts = damaged_store
    flip(shard_file(store, receipts[0]["shard"]), 128 + 33)
    server = launch(store=store)
    client = Client(server.url)

    assert same_bits(client.row("row-29-3"), rows_of(20, 128, 29)[3])
    assert same_bits(client.row("row-13-3"), rows_of(20, 128, 13)[3])
    damaged = client.get(client.row_path("row-0-0"))
    assert damaged.status_code == 500 and damaged.json()["code"] == "row-damaged"
    assert client.append(["new"], rows_of(1, 128))["rows"] == 1


@pytest.mark.parametrize("name", ["verify", "status", "rebuild", "export", "reconcile"])
def test_what_is_no_store_is_said_to_be_none(tmp_path, name):
    (tmp_path / "photos").mkdir()
    (tmp_path / "images.db").touch()
    more = {"export": ["--out", "x.npy"],
            "reconcile": ["--database", "images.db", "--query", "select 1"]}.get(name, [])
    for path, says in [("photos", "there is no store.json in it"), ("nowhere", "nor the directory")]:
        found = command(name, "--store", path, *more, cwd=tmp_path)
        assert found.returncode == COULD_NOT_RUN
        assert f"{path} is no store of Ingot: " in found.stderr and says in found.stderr
    assert sorted(os.listdir(tmp_path)) == ["images.db", "photos"]


def test_verify_changes_nothing(damaged_store):
    store, receipts = damaged_store
    flip(shard_file(store, receipts[0]["shard"]), 128 + 33)
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert verify(store).returncode == DAMAGE
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_verify_of_a_store_in_use_exits_3(server):
    found = verify(server.store)
    assert found.returncode == IN_USE and str(server.pid) in found.stderr


# status

def test_status_counts_rows_of_a_store_and_of_a_server(server):
    Client(server.url).append(range(123), rows_of(123))
    running = command("status", "--url", server.url)
    assert server.terminate() == OK
    stopped = command("status", "--store", server.store)

    for found in (running, stopped):
        assert found.returncode == OK
        assert "default" in found.stdout and "123" in found.stdout


def test_status_of_nobody_exits_2():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        found = command("status", "--url", f"http://127.0.0.1:{unused.getsockname()[1]}", timeout=30)
    assert found.returncode == COULD_NOT_RUN and found.stderr


@pytest.mark.parametrize("command_line", [
    ["status"], ["export", "--out", "x.npy"], ["import", "--first-id", "0", "x.npy"],
    ["reconcile", "--database", "d", "--query", "q"]])
def test_store_and_server_exclude_each_other(tmp_path, command_line):
    for place, says in [([], "is needed"), (["--store", "s", "--url", "http://127.0.0.1:1"], "exclude each other")]:
        found = command(*command_line, *place, cwd=tmp_path)
        assert found.returncode == USAGE and says in found.stderr


# bench

@pytest.mark.parametrize("body_format", ["npz", "npy", "json", "ndjson"])
def test_bench_reports_rows_bytes_and_latency(tmp_path, body_format):
    found = command(
        "bench", "--connections", "2", "--rows", "16", "--dimension", "32",
        "--format", body_format, "--seconds", "1",
        timeout=60, cwd=tmp_path)
    assert found.returncode == OK, found.stderr
    for text in ("rows/s", "MB/s", "p50", "p99", "max"):
        assert text in found.stdout


# The guide

def test_operators_guide_lists_every_flag_and_its_variable():
    from pathlib import Path
    import re
    guide = (Path(__file__).resolve().parents[2] / "docs/operating.md").read_text()
    flags = set(re.findall(r"(?<!\w)--([a-z][a-z-]+)", command("serve", "--help").stdout))
    flags -= {"help", "version"}

    assert len(flags) > 15
    for flag in flags:
        assert f"`--{flag}" in guide, flag
        assert f"`INGOT_{flag.upper().replace('-', '_')}`" in guide, flag
