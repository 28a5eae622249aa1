# Promise: request framing follows RFC 9112 to the letter; what does not is answered and the connection closed.
import json
import socket
import time

import pytest

from client import Client, npz, rows_of

GET = b"GET /livez HTTP/1.1\r\n"
HOST = b"Host: ingot\r\n"
POST = b"POST /embeddings HTTP/1.1\r\nHost: ingot\r\nContent-Type: application/x-npz\r\n"
END = b"\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

# name -> (bytes, statuses that are right)
VIOLATIONS = {
    "content-lengths-differ": (POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!", {400}),
    "content-length-repeated": (POST + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", {400}),
    "content-length-list": (POST + b"Content-Length: 5, 5\r\n\r\nhello", {400}),
    "content-length-plus": (POST + b"Content-Length: +5\r\n\r\nhello", {400}),
    "content-length-minus": (POST + b"Content-Length: -1\r\n\r\n", {400}),
    "content-length-hex": (POST + b"Content-Length: 0x5\r\n\r\nhello", {400}),
    "content-length-empty": (POST + b"Content-Length:\r\n\r\n", {400}),
    "content-length-text": (POST + b"Content-Length: five\r\n\r\nhello", {400}),
    "content-length-overflows": (POST + b"Content-Length: 18446744073709551621\r\n\r\nhello", {400, 413}),
    "content-length-and-transfer-encoding": (
        POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "transfer-encoding-and-content-length": (
        POST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", {400}),
    "transfer-coding-unknown": (POST + b"Transfer-Encoding: br\r\n\r\n", {501}),
    "transfer-coding-gzip-chunked": (POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {501}),
    "transfer-coding-identity": (POST + b"Transfer-Encoding: identity\r\n\r\n", {501}),
    "chunked-not-last": (POST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", {400, 501}),
    "chunked-twice": (POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", {400}),
    "chunked-in-two-lines": (
        POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "chunked-in-1.0": (
        b"POST /embeddings HTTP/1.0\r\nHost: ingot\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        {400}),
    "transfer-coding-with-tab": (POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "folded-header": (GET + HOST + b"X-A: one\r\n two\r\n\r\n", {400}),
    "folded-first-header": (GET + b" Host: ingot\r\n\r\n", {400}),
    "bare-cr-in-value": (GET + HOST + b"X-A: one\rtwo\r\n\r\n", {400}),
    "bare-lf-in-head": (GET + HOST + b"X-A: one\nX-B: two\r\n\r\n", {400}),
    "bare-lf-line-ends": (b"GET /livez HTTP/1.1\nHost: ingot\n\n", {400}),
    "nul-in-value": (GET + HOST + b"X-A: one\0two\r\n\r\n", {400}),
    "control-character-in-value": (GET + HOST + b"X-A: one\x01two\r\n\r\n", {400}),
    "space-before-colon": (GET + HOST + b"X-A : one\r\n\r\n", {400}),
    "tab-before-colon": (GET + HOST + b"X-A\t: one\r\n\r\n", {400}),
    "header-without-colon": (GET + HOST + b"X-A one\r\n\r\n", {400}),
    "header-without-name": (GET + HOST + b": one\r\n\r\n", {400}),
    "header-name-not-a-token": (GET + HOST + b"X(A): one\r\n\r\n", {400}),
    "header-name-not-ascii": (GET + HOST + "X-Ä: one\r\n\r\n".encode(), {400}),
    "method-not-a-token": (b"G@T /livez HTTP/1.1\r\n" + HOST + END, {400}),
    "method-empty": (b" /livez HTTP/1.1\r\n" + HOST + END, {400}),
    "host-missing": (GET + END, {400}),
    "host-twice": (GET + HOST + HOST + END, {400}),
    "host-not-a-host": (GET + b"Host: a b\r\n\r\n", {400}),
    "two-spaces-in-request-line": (b"GET  /livez HTTP/1.1\r\n" + HOST + END, {400}),
    "three-words-and-more": (b"GET /livez HTTP/1.1 x\r\n" + HOST + END, {400}),
    "tab-in-request-line": (b"GET\t/livez\tHTTP/1.1\r\n" + HOST + END, {400}),
    "target-with-control-character": (b"GET /li\x01vez HTTP/1.1\r\n" + HOST + END, {400}),
    "target-not-ascii": (b"GET /liv\xc3\xa9z HTTP/1.1\r\n" + HOST + END, {400}),
    "target-without-slash": (b"GET livez HTTP/1.1\r\n" + HOST + END, {400}),
    "percent-escape-broken": (
        b"GET /v1/collections/default/embeddings/%zz HTTP/1.1\r\n" + HOST + END, {400}),
    "version-missing": (b"GET /livez\r\n\r\n", {400, 505}),
    "version-lower-case": (b"GET /livez http/1.1\r\n" + HOST + END, {400}),
    "version-2": (b"GET /livez HTTP/2.0\r\n" + HOST + END, {505}),
    "version-text": (b"GET /livez HTTP/x.1\r\n" + HOST + END, {400, 505}),
    "preface-of-http-2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 505}),
    "tls-hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x7f" * 64 + b"\r\n\r\n", {400}),
    "target-too-long": (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + END, {414, 431}),
    "head-too-large": (GET + HOST + b"X-A: " + b"a" * 1_000_000 + b"\r\n\r\n", {431}),
    "headers-too-many": (GET + HOST + b"".join(b"X-%d: 1\r\n" % n for n in range(1000)) + END, {431}),
    "expectation-unknown": (POST + b"Expect: tea\r\nContent-Length: 5\r\n\r\nhello", {417}),
    "chunk-size-text": (CHUNKED + b"xyz\r\nhello\r\n0\r\n\r\n", {400}),
    "chunk-size-empty": (CHUNKED + b"\r\nhello\r\n0\r\n\r\n", {400}),
    "chunk-size-minus": (CHUNKED + b"-5\r\nhello\r\n0\r\n\r\n", {400}),
    "chunk-size-0x": (CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n", {400}),
    "chunk-size-space-before": (CHUNKED + b" 5\r\nhello\r\n0\r\n\r\n", {400}),
    "chunk-size-overflows": (CHUNKED + b"10000000000000005\r\nhello\r\n0\r\n\r\n", {400, 413}),
    "chunk-size-line-bare-lf": (CHUNKED + b"5\nhello\r\n0\r\n\r\n", {400}),
    "chunk-without-end": (CHUNKED + b"5\r\nhelloX\r\n0\r\n\r\n", {400}),
    "chunk-extension-endless": (CHUNKED + b"5;" + b"a" * 200_000 + b"\r\nhello\r\n0\r\n\r\n", {400, 431}),
    "trailer-malformed": (CHUNKED + b"0\r\nX A: 1\r\n\r\n", {400}),
    "trailers-endless": (CHUNKED + b"0\r\n" + b"X-A: b\r\n" * 50_000, {400, 431}),
}


class Connection:
    """A raw connection that reads one answer after the other."""

    def __init__(self, server, timeout=20):
        self.socket = socket.create_connection((server.host, server.port), timeout)
        self.received = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, content):
        """Sends what the server takes; it may answer and close before the end."""
        try:
            self.socket.sendall(content)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return self

    def _receive(self):
        piece = self.socket.recv(65536)
        self.received += piece
        return bool(piece)

    def answer(self):
        """Status, headers in lower case, and body of the next answer."""
        while b"\r\n\r\n" not in self.received:
            assert self._receive(), f"closed without an answer; got {self.received!r}"
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
        status = int(status_line.split(" ")[1])
        if status < 200:
            return status, headers, b""
        length = int(headers["content-length"])
        while len(self.received) < length:
            assert self._receive(), "closed within the body"
        body, self.received = self.received[:length], self.received[length:]
        return status, headers, body

    def is_closed(self):
        """Whether nothing more comes but the end."""
        try:
            return not self.received and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    from server_process import ServerProcess
    server = ServerProcess(tmp_path_factory.mktemp("framing") / "store").start()
    yield server
    assert server.is_running, server.log_tail()
    assert server.terminate() == 0


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violation_is_answered_and_the_connection_closed(shared, name):
    request, statuses = VIOLATIONS[name]
    with Connection(shared) as connection:
        status, headers, body = connection.send(request).answer()

        assert status in statuses, body
        assert headers["content-type"] == "application/problem+json"
        assert json.loads(body)["status"] == status
        assert headers.get("connection", "").lower() == "close"
        assert connection.is_closed()
    assert Client(shared.url).get("/livez").status_code == 200


def test_nothing_behind_a_violation_is_carried_out(shared):
    body = npz(ids=["smuggled"], embeddings=rows_of(1))
    second = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with Connection(shared) as connection:
        connection.send(POST + b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n" + second)
        assert connection.answer()[0] == 400
        assert connection.is_closed()

    found = Client(shared.url).get("/v1/collections/default/embeddings/smuggled")
    assert found.status_code == 404


def test_connection_is_kept_and_requests_are_pipelined_in_order(server):
    client = Client(server.url)
    client.append(range(50), rows_of(50))
    paths = [client.row_path(n) for n in range(50)]
    with Connection(server) as connection:
        for _ in range(2):
            connection.send(b"".join(
                b"GET %s HTTP/1.1\r\nHost: ingot\r\nAccept: application/json\r\n\r\n" % path.encode()
                for path in paths))
            answers = [connection.answer() for _ in paths]
            assert [json.loads(body)["id"] for _, _, body in answers] == [str(n) for n in range(50)]


def test_pipelined_writes_and_reads_keep_their_order(server):
    bodies = [npz(ids=["a"], embeddings=rows_of(1, seed=n)) for n in range(10)]
    read = b"GET /v1/collections/default/embeddings/a HTTP/1.1\r\nHost: ingot\r\nAccept: application/json\r\n\r\n"
    with Connection(server) as connection:
        connection.send(b"".join(
            POST + b"Content-Length: %d\r\n\r\n" % len(body) + body + read for body in bodies))
        for seed in range(10):
            assert connection.answer()[0] == 201
            status, _, body = connection.answer()
            expected = [float(v) for v in rows_of(1, seed=seed)[0]]
            assert status == 200 and json.loads(body)["embedding"] == pytest.approx(expected)


@pytest.mark.parametrize("pause", [0, 0.002])
def test_request_may_come_byte_by_byte(server, pause):
    body = npz(ids=["a"], embeddings=rows_of(1))
    request = POST + b"Content-Length: %d\r\n\r\n" % len(body) + body
    with Connection(server) as connection:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for position in range(len(request)):
            connection.socket.send(request[position:position + 1])
            time.sleep(pause)
        assert connection.answer()[0] == 201


def test_chunks_extensions_and_trailers_are_read(server):
    body = npz(ids=["a"], embeddings=rows_of(1))
    half = len(body) // 2
    chunks = b"%x;name=value\r\n%s\r\n%X\r\n%s\r\n000\r\nX-Trailer: 1\r\n\r\n" % (
        half, body[:half], len(body) - half, body[half:])
    with Connection(server) as connection:
        assert connection.send(CHUNKED + chunks).answer()[0] == 201
        assert connection.send(GET + HOST + END).answer()[0] == 200


def test_empty_line_before_a_request_and_full_target_are_taken(server):
    with Connection(server) as connection:
        assert connection.send(b"\r\n" + GET + HOST + END).answer()[0] == 200
        absolute = b"GET http://ingot/livez HTTP/1.1\r\n" + HOST + END
        assert connection.send(absolute).answer()[0] == 200


@pytest.mark.parametrize("head", [
    b"GET /livez HTTP/1.0\r\n\r\n", GET + HOST + b"Connection: close\r\n\r\n",
    GET + HOST + b"Connection: foo, Close\r\n\r\n"])
def test_connection_is_closed_when_asked(server, head):
    with Connection(server) as connection:
        assert connection.send(head).answer()[0] == 200
        assert connection.is_closed()


def test_continue_is_sent_before_the_body_is_read(server):
    body = npz(ids=["a"], embeddings=rows_of(1))
    with Connection(server) as connection:
        connection.send(POST + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
        assert connection.answer()[0] == 100
        assert connection.send(body).answer()[0] == 201


@pytest.mark.parametrize("change, status", [
    ((b"application/x-npz", b"text/plain"), 415), ((b"/embeddings", b"/v1/collections/x/embeddings"), 404),
    ((b"Content-Length: 1000", b"Content-Length: 999999999999"), 413)])
def test_refusal_costs_no_transfer(server, change, status):
    head = POST + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n"
    with Connection(server) as connection:
        assert connection.send(head.replace(*change)).answer()[0] == status


def test_refusal_reaches_a_client_that_goes_on_sending(server):
    with Connection(server) as connection:
        connection.send(POST.replace(b"x-npz", b"x-zip") + b"Content-Length: 4000000\r\n\r\n")
        connection.send(b"x" * 4_000_000)
        assert connection.answer()[0] == 415


def test_slow_head_is_ended(launch):
    """One byte now and then does not keep a connection for ever."""
    server = launch(env={"INGOT_HEAD_SECONDS": "1"})
    deadline_seconds = Client(server.url).get("/v1/limits").json()["head_seconds"]
    assert deadline_seconds <= 60
    started = time.monotonic()
    with Connection(server, timeout=deadline_seconds + 15) as connection:
        connection.send(GET)
        while time.monotonic() - started < deadline_seconds + 10:
            connection.send(b"X-A: b\r\n")
            connection.socket.settimeout(0.2)
            try:
                if not connection._receive() or b"\r\n\r\n" in connection.received:
                    break
            except TimeoutError:
                pass
        took = time.monotonic() - started
        assert connection.answer()[0] == 408
        connection.socket.settimeout(10)
        assert connection.is_closed()
    assert deadline_seconds * 0.5 <= took <= deadline_seconds + 5


def test_many_idle_connections_do_not_starve_others(server):
    connections = [Connection(server) for _ in range(200)]
    for connection in connections:
        connection.send(GET)
    try:
        started = time.monotonic()
        assert Client(server.url).append(["a"], rows_of(1))["rows"] == 1
        assert time.monotonic() - started < 5
    finally:
        for connection in connections:
            connection.socket.close()
