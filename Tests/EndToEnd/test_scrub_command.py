# Promise: `ingot scrub` has a server check everything now, waits for the end, and says by its exit code what was found.
import json
import shutil
import signal
import socket
import subprocess

import pytest

from client import Client, rows_of, shard_file, shard_files, wait_for
from server_process import BINARY, clean_environment, command, started

OK, DAMAGE, COULD_NOT_RUN, USAGE, INTERRUPTED = 0, 1, 2, 64, 130


@pytest.fixture
def filled(launch):
    """A server with sealed shards and an open one."""
    server = launch("--shard-bytes", "64KiB")
    client = Client(server.url)
    for number in range(10):
        client.append(
            [f"row-{number}-{index}" for index in range(40)], rows_of(40, 128, number))
    assert len(shard_files(server.store)) > 2
    return server


def scrub(server, *flags):
    return command("scrub", "--url", server.url, *flags)


def state(server, number=1):
    return Client(server.url).get(f"/v1/scrubs/{number}").json()


def test_clean_store_exits_0(filled):
    found, as_json = scrub(filled), scrub(filled, "--json")
    assert found.returncode == OK and found.stdout.startswith("clean"), found.stderr
    report = json.loads(as_json.stdout)
    assert report["state"] == "done" and report["number"] == 2
    assert report["checked_bytes"] == report["total_bytes"] > 10 * 40 * 128 * 4


@pytest.mark.parametrize("flags", [[], ["--collection", "default", "--shard", "1"]])
def test_damage_exits_1(filled, flags):
    with open(shard_file(filled.store, 1), "r+b") as file:
        file.seek(128 + 1000)
        file.write(b"\x55\xaa")
    found = scrub(filled, *flags)
    assert found.returncode == DAMAGE and "damaged" in found.stdout, found.stderr


def test_ctrl_c_stops_the_scrub_and_exits_130(filled):
    with started("scrub", "--url", filled.url, "--rate", "100B", stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                 text=True) as process:
        wait_for(lambda: state(filled).get("state"), lambda it: it == "running" or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == INTERRUPTED and "stopped" in output, errors
    assert state(filled)["state"] == "stopped"


def test_detached_scrub_goes_on_without_the_command(filled):
    found = scrub(filled, "--detach", "--rate", "100B")
    assert found.returncode == OK and "scrub 1" in found.stdout
    assert state(filled)["state"] == "running" and state(filled)["rate"] == 100


def test_a_scrub_that_waits_says_for_which(filled):
    assert scrub(filled, "--detach", "--rate", "100B").stdout == "scrub 1 has started\n"

    found, as_json = scrub(filled, "--detach"), scrub(filled, "--detach", "--json", "--rate", "1MiB")

    assert found.stdout == "scrub 2 waits for scrub 1\n"
    report = json.loads(as_json.stdout)
    assert (report["state"], report["waits_for"]) == ("waiting", 1)
    assert (report["rate"], report["percent"]) == (1 << 20, 0)


def test_a_running_scrub_says_how_long_it_takes(filled):
    process = subprocess.Popen(
        [BINARY, "scrub", "--url", filled.url, "--rate", "10KiB", "--json"], env=clean_environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: state(filled), lambda it: it.get("checked_bytes", 0) > 0, seconds=30)
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=30)

    report = json.loads(output)
    assert report["rate"] == 10 << 10 and 0 < report["percent"] < 100, errors


def test_what_is_lost_altogether_is_not_clean(filled):
    assert filled.terminate() == 0
    shutil.rmtree(shard_file(filled.store).parent)
    filled.start()

    found = scrub(filled)

    assert found.returncode == DAMAGE and "shard 000000: the shard is missing" in found.stdout
    assert "clean" not in found.stdout


def test_unknown_collection_is_named(filled):
    found = scrub(filled, "--collection", "nowhere")
    assert found.returncode == COULD_NOT_RUN and "nowhere" in found.stderr


def test_nobody_listens_exits_2():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        found = command("scrub", "--url", url, timeout=30)
    assert found.returncode == COULD_NOT_RUN and "refused" in found.stderr


@pytest.mark.parametrize("flags", [
    [], ["--url", "nowhere"], ["--url", "http://127.0.0.1:1", "--rate", "fast"],
    ["--url", "http://127.0.0.1:1", "--shard", "1"]])
def test_bad_option_exits_64(flags):
    assert command("scrub", *flags).returncode == USAGE
