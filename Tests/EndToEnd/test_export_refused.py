# Promise: an export that cannot be made is refused with its reason, and no file is made, changed or replaced unasked.
import pytest

from client import Client
from exports import (
    COLLECTION, COULD_NOT_RUN, IN_USE, OK, UNUSABLE, USAGE, Rows, assert_holds, export, exported)
from server_process import verify


def test_file_that_is_there_is_kept_unless_forced(server, tmp_path):
    rows = Rows(Client(server.url, COLLECTION))
    rows.append(["a", "b"])
    out, ids = tmp_path / "rows.npy", tmp_path / "ids.txt"
    place = ("--url", server.url)
    for existing in (out, ids):
        existing.write_text("precious")
        found = export(*place, "--out", out, "--ids", ids)
        assert found.returncode == COULD_NOT_RUN and "--force replaces it" in found.stderr
        assert existing.read_text() == "precious"
        assert list(tmp_path.glob("*.npy")) + list(tmp_path.glob("ids*")) == [existing]
        existing.unlink()
    out.write_text("old")
    exported(*place, "--out", out, "--ids", ids, "--force")
    assert_holds("npy", out, rows)
    (tmp_path / "link.npy").symlink_to(out)
    for bad in (tmp_path, tmp_path / "link.npy", "/dev/null"):
        found = export(*place, "--format", "npy", "--out", bad, "--force")
        assert found.returncode == COULD_NOT_RUN and "regular file is expected" in found.stderr
    found = export(*place, "--out", tmp_path / "nowhere/rows.npy")
    assert found.returncode == COULD_NOT_RUN and "No such file or directory" in found.stderr


def test_nothing_is_written_into_a_store(launch, tmp_path):
    server = launch()
    Rows(Client(server.url, COLLECTION)).append(["a", "b"])
    assert server.terminate() == OK
    names = sorted(path for path in server.store.rglob("*"))
    for arguments in (["--out", server.store / "catalog.sqlite", "--format", "npy"],
                      ["--out", server.store / "collections/rows.npy"],
                      ["--out", tmp_path / "rows.npy", "--ids", server.store / "store.json"],
                      ["--out", server.store / "folder", "--layout", "clip-retrieval"],
                      ["--out", server.store, "--layout", "clip-retrieval"]):
        found = export("--store", server.store, "--force", *arguments)
        assert found.returncode == UNUSABLE and f"within the store {server.store.resolve()}" in found.stderr
    assert sorted(path for path in server.store.rglob("*")) == names
    assert not list(tmp_path.glob("rows*")) and verify(server.store).returncode == OK


def test_what_is_no_store_is_named_and_nothing_is_made(launch, tmp_path):
    (tmp_path / "other").mkdir()
    (tmp_path / "other/file").write_text("x")
    before = sorted(tmp_path.rglob("*"))
    for root in (tmp_path / "nowhere", tmp_path / "other"):
        found = export("--store", root, "--out", tmp_path / "rows.npy")
        assert found.returncode == COULD_NOT_RUN and str(root) in found.stderr
    assert sorted(tmp_path.rglob("*")) == before
    server = launch()
    found = export("--store", server.store, "--out", tmp_path / "rows.npy")
    assert found.returncode == IN_USE and str(server.pid) in found.stderr
    found = export("--url", server.url, "--out", tmp_path / "rows.npy")
    assert found.returncode == COULD_NOT_RUN and "collection-unknown" in found.stderr
    Client(server.url, "other").create(4)
    assert server.terminate() == OK
    found = export("--store", server.store, "--out", tmp_path / "rows.npy")
    assert found.returncode == COULD_NOT_RUN
    assert f"there is no collection {COLLECTION}" in found.stderr and "other" in found.stderr
    assert not list(tmp_path.glob("rows*"))


@pytest.mark.parametrize("arguments", [
    ["--out", "x.npy"], ["--store", "s", "--url", "http://127.0.0.1:1", "--out", "x.npy"],
    ["--store", "s", "--out", "x"], ["--store", "s", "--out", "-"],
    ["--store", "s", "--out", "x.npy", "--format", "csv"],
    ["--store", "s", "--out", "x.npz", "--ids", "y"],
    ["--store", "s", "--out", "x.npy", "--ids", "x.npy"], ["--store", "s", "--out", "x.npy", "--ids", "./x.npy"],
    ["--store", "s", "--out", "x.npy", "--ids", "-"], ["--store", "s", "--out", "x.npy", "--copy"],
    ["--store", "s", "--out", "x", "--layout", "tar"],
    ["--store", "s", "--out", "x", "--layout", "clip-retrieval", "--format", "npy"],
    ["--store", "s", "--out", "x", "--layout", "clip-retrieval", "--ids", "y"],
    ["--url", "http://127.0.0.1:1", "--out", "x", "--layout", "clip-retrieval"],
    ["--url", "https://127.0.0.1", "--out", "x.npy"], ["--store", "s", "--out", ""],
])
def test_options_that_do_not_go_together(tmp_path, arguments):
    found = export(*arguments, cwd=tmp_path)
    assert found.returncode == USAGE and not list(tmp_path.iterdir())


def test_format_that_is_not_known_is_a_bad_parameter(server):
    client = Client(server.url, COLLECTION)
    client.create(4)
    response = client.get(f"{client.base}/export?format=csv")
    assert response.status_code == 400 and response.json()["code"] == "bad-parameter"
    response = Client(server.url, "other").get("/v1/collections/other/export")
    assert response.status_code == 404 and response.json()["code"] == "collection-unknown"
