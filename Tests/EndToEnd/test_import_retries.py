# Promise: a refusal that passes is told, waited for and tried again, as long as was asked; one for good ends the import.
import http.server
import json
import socket
import threading
import time

import numpy as np
import pytest

from client import rows_of
from imports import COULD_NOT_RUN, OK, UNUSABLE, import_


class Moody(http.server.BaseHTTPRequestHandler):
    """A server that refuses each first try of a batch in another way."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, document, **fields):
        body = json.dumps(document).encode()
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        code = "batch-unknown" if "/batches/" in self.path else "collection-unknown"
        self.answer(404, {"code": code, "detail": "no", "retryable": False})

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        if "/batches/" not in self.path:
            return self.answer(201, {"dimension": 8, "dtype": "float32"})
        self.server.times.append(time.monotonic())
        mood = self.server.moods.pop(0) if self.server.moods else 201
        if mood == "lost":
            self.close_connection = True
        elif mood == 201:
            self.answer(201, {"sequence": 1})
        elif mood == 422:
            self.answer(422, {"code": "some-reason", "detail": "this and that", "retryable": False})
        else:
            self.answer(
                mood, {"code": f"code-{mood}", "detail": f"because {mood}", "retryable": True},
                Retry_After="1")


@pytest.fixture
def moody():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Moody)
    server.moods, server.times = [], []
    server.daemon_threads = True
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("mood", [429, 503, 507, 500, "lost"])
def test_refusals_that_pass_are_told_and_waited_for(moody, tmp_path, mood):
    moody.moods = [mood]
    np.save(tmp_path / "rows.npy", rows_of(3))
    found = import_("--url", moody.url, "--first-id", 0, tmp_path / "rows.npy")
    assert found.returncode == OK, found.stderr
    first, second = moody.times
    if mood != "lost":
        assert "trying again" in found.stderr
        assert f"code-{mood}" in found.stderr and f"because {mood}" in found.stderr
        assert second - first >= 1, "Retry-After was not honored"


def test_patience_ends(moody, tmp_path):
    moody.moods = [507] * 100
    np.save(tmp_path / "rows.npy", rows_of(3))
    arguments = "--url", moody.url, "--first-id", 0, tmp_path / "rows.npy", "--retry-seconds"
    at_once = import_(*arguments, 0)
    assert at_once.returncode == COULD_NOT_RUN and "because 507" in at_once.stderr
    assert len(moody.times) == 1
    later = import_(*arguments, 2)
    assert later.returncode == COULD_NOT_RUN
    assert len(moody.times) == 1 + 3


def test_refusal_for_good_is_not_tried_again(moody, tmp_path):
    moody.moods = [422]
    np.save(tmp_path / "rows.npy", rows_of(3))
    found = import_("--url", moody.url, "--first-id", 0, tmp_path / "rows.npy")
    assert found.returncode == UNUSABLE
    assert "some-reason" in found.stderr and "this and that" in found.stderr
    assert len(moody.times) == 1


def test_nobody_listens(tmp_path):
    np.save(tmp_path / "rows.npy", rows_of(3))
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        found = import_(
            "--url", url, "--retry-seconds", 0, "--first-id", 0, tmp_path / "rows.npy")
    assert found.returncode == COULD_NOT_RUN and "refused" in found.stderr
