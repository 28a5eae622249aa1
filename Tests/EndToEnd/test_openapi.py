# Promise: openapi.yaml is valid, served as it is, complete, and what the server really does.
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from openapi_spec_validator import validate

from client import Client, rows_of
from server_process import ROOT
from test_bad_input import TABLE

FILE = ROOT / "openapi.yaml"


class StrictLoader(yaml.SafeLoader):
    """Of two equal keys YAML has no meaning, and PyYAML takes the last."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice at {node.start_mark}: {keys}"
        return super().construct_mapping(node, deep)


API = yaml.load(FILE.read_text(), StrictLoader)
METHODS = {"get", "put", "post", "delete", "patch"}
OPERATIONS = [
    (method, path) for path, item in API["paths"].items() for method in item if method in METHODS]
EXAMPLE_COUNT = os.environ.get("INGOT_SCHEMATHESIS_EXAMPLES", "20")
CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance",
    "response_schema_conformance"]


def seed(server):
    client = Client(server.url)
    client.append(["a", "b", "1000"], rows_of(3, 4), key="worker-1.000042")
    client.scrub()
    return client


def test_is_valid():
    validate(API)


def references(value):
    if isinstance(value, dict):
        yield from ([value["$ref"]] if isinstance(value.get("$ref"), str) else [])
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from references(one)


def test_every_reference_is_to_something():
    found = set(references(API))
    for reference in found:
        place = API
        for name in reference.removeprefix("#/").split("/"):
            assert name in place, reference
            place = place[name]

    assert len(found) > 50


def test_is_served_byte_by_byte(client):
    response = client.get("/openapi.yaml")

    assert response.headers["Content-Type"].split(";")[0] == "application/yaml"
    assert response.content == FILE.read_bytes()


@pytest.fixture(scope="module")
def seeded(tmp_path_factory):
    from server_process import ServerProcess
    server = ServerProcess(tmp_path_factory.mktemp("openapi") / "store").start()
    seed(server)
    yield server
    assert server.is_running, server.log_tail()
    assert server.terminate() == 0


@pytest.mark.parametrize("method, path", OPERATIONS)
def test_every_operation_answers_as_documented(seeded, method, path):
    values = {"collection": "default", "batch_id": "worker-1.000042", "id": "a",
              "name": "000000.npy", "number": 1}
    client = Client(seeded.url)
    # An operation before this one may have deleted it.
    client.append(["a"], rows_of(1, 4))
    response = client.request(method.upper(), path.format(**values))

    assert str(response.status_code) in API["paths"][path][method]["responses"]
    assert response.status_code not in (404, 405), "the path is not known"
    if method == "get":
        assert response.status_code == 200, response.text


@pytest.mark.parametrize("method, path", OPERATIONS)
def test_only_documented_parameters_are_taken(seeded, method, path):
    """Of an operation without any, what stands behind the `?` is ignored."""
    parameters = [
        API["components"]["parameters"][one["$ref"].split("/")[-1]] if "$ref" in one else one
        for one in API["paths"][path][method].get("parameters", [])]
    names = [one["name"] for one in parameters if one["in"] == "query"]
    response = Client(seeded.url).request(
        method.upper(), path.format(
            collection="default", batch_id="b", id="nowhere", name="000000.npy", number=1),
        params={"nonsense": "1"})

    refused = response.status_code == 400 and "'nonsense'" in response.json()["detail"]
    assert refused == bool(names), response.text
    assert all(name in response.json()["detail"] for name in names)


@pytest.mark.parametrize("path", API["paths"])
def test_other_methods_are_refused_with_what_is_allowed(seeded, path):
    known = {method.upper() for method in API["paths"][path] if method in METHODS}
    response = Client(seeded.url).request("PATCH", path.format(
        collection="default", batch_id="b", id="a", name="000000.npy", number=1))

    assert response.status_code == 405
    allowed = {method.strip() for method in response.headers["Allow"].split(",")}
    assert known <= allowed <= known | {"HEAD", "OPTIONS"}


def test_every_code_that_is_tested_is_documented():
    documented = set(API["components"]["schemas"]["Code"]["enum"])

    assert {code for bad in TABLE for code in bad.codes} <= documented


def test_every_response_that_may_be_named_is_listed():
    for method, path in OPERATIONS:
        for status in ("400", "405", "500", "503"):
            assert status in API["paths"][path][method]["responses"], (method, path)


def test_schemathesis_finds_nothing(launch, tmp_path):
    server = launch("--max-body-bytes", "1MiB")
    seed(server)

    found = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), "run", FILE, "--url", server.url,
         "--max-examples", EXAMPLE_COUNT, "--checks", ",".join(CHECKS), "--seed", "1",
         "--generation-database", "none", "--suppress-health-check", "all", "--warnings", "off",
         "--no-color"],
        env=os.environ | {
            "SCHEMATHESIS_HOOKS": "schemathesis_bodies", "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True, text=True, timeout=1800, cwd=tmp_path)

    print(found.stdout[-2000:])
    assert found.returncode == 0, found.stdout[-20000:] + found.stderr
    assert server.is_running
