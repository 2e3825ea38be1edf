"""One error body for everything: every route of the application, and what never reaches a route."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from werkzeug.routing import Rule

from stream.runtime import Runtime
from stream.settings import load
from tests.serving import ServerProcess
from web.app import create_app
from web.site import EXTENSION

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
FILL = {
    "feed": "no-such-feed",
    "seq": "1",
    "alert_id": "no-such-feed-1",
    "model_id": "no-such-model",
    "job_id": "no-such-job",
    "mute_id": "no-such-feed-1",
    "incident_id": "no-such-feed-1",
    "run_id": "no-such-run",
    "name": "no/such.file",
}


def rules(data: Path) -> list[Rule]:
    """Return the rules of an application on a runtime that was never started."""
    runtime = Runtime.open(load(environ={}, overrides={"data": str(data)}))
    try:
        return list(create_app(runtime, load(environ={})).url_map.iter_rules())
    finally:
        runtime.stop(5.0)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Rule]:
    return rules(tmp_path_factory.mktemp("routes") / "data")


def filled(rule: Rule) -> str:
    path = str(rule.rule)
    for argument in rule.arguments:
        assert argument in FILL, f"say in FILL what to put for <{argument}> of {rule.rule}"
        path = path.replace(f"<{argument}>", FILL[argument]).replace(f"<path:{argument}>", FILL[argument])
    return path


def test_every_route_answers_errors_with_the_one_body(server: ServerProcess, routes: list[Rule]) -> None:
    assert len(routes) > 12
    failed = 0
    for rule in routes:
        for method in METHODS:
            path = filled(rule)
            answer = server.request(method, path, b"\xff\x00 junk" if method in ("POST", "PUT") else None)
            if answer.status < 400:
                continue
            failed += 1
            assert answer.status < 500, (method, path, answer)
            if method != "HEAD":
                assert answer.error["message"], (method, path)
            if answer.status == 405:
                assert answer.headers["allow"], (method, path)
                assert method not in answer.headers["allow"].split(", ")
    assert failed > 5 * len(routes) // 2


def test_unknown_queries_are_refused_on_every_route_that_reads(
    server: ServerProcess, routes: list[Rule]
) -> None:
    for rule in routes:
        if (
            "GET" not in (rule.methods or ())
            or rule.rule.startswith(("/static", "/metrics"))
            or rule.rule == "/"
        ):
            continue
        answer = server.request("GET", f"{filled(rule)}?surprise=1")
        assert answer.status == 400, rule.rule
        if not rule.websocket:
            assert answer.error["field"] == "surprise", rule.rule


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/feeds/a/b/c", 404, "not_found"),
        ("DELETE", "/feeds", 405, "method_not_allowed"),
        ("BREW", "/feeds", 405, "method_not_allowed"),
        ("GET", "/predict", 405, "method_not_allowed"),
        ("GET", "/feeds/%ff", 404, "unknown_feed"),
        ("GET", "/feeds/a%2fb", 404, "not_found"),
        ("GET", "/feeds/UPPER", 404, "unknown_feed"),
        ("GET", "/feeds//", 404, "not_found"),
    ],
)
def test_what_flask_itself_refuses(
    server: ServerProcess, method: str, path: str, status: int, code: str
) -> None:
    answer = server.request(method, path)
    assert (answer.status, answer.error["code"]) == (status, code), answer.body


RAW: list[tuple[str, bytes, int]] = [
    ("no http", b"\x00\xff\r\n\r\n", 400),
    ("tls", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),
    ("bad version", b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n", 400),
    ("long line", b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 414),
    ("many headers", b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 200 + b"\r\n", 431),
    ("header without a colon", b"GET / HTTP/1.1\r\nHost localhost\r\n\r\n", 400),
    (
        "two lengths",
        b"POST /feeds/a/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Content-Length: 2\r\n\r\nab",
        400,
    ),
    (
        "length no number",
        b"POST /feeds/a/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: ten\r\n\r\n",
        400,
    ),
    (
        "negative length",
        b"POST /feeds/a/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        400,
    ),
    (
        "bad chunk",
        b"POST /feeds/a/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        400,
    ),
    (
        "unknown coding",
        b"POST /feeds/a/events HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: br\r\n\r\n",
        501,
    ),
    ("no host", b"GET /feeds HTTP/1.0\r\n\r\n", 403),
]


@pytest.mark.parametrize(("raw", "status"), [row[1:] for row in RAW], ids=[row[0] for row in RAW])
def test_what_cannot_be_parsed_gets_the_same_body(server: ServerProcess, raw: bytes, status: int) -> None:
    answer_status, body = exchange(server, raw)
    assert answer_status == status, body
    assert set(json.loads(body)["error"]) == {"code", "message", "field", "hint"}


def test_a_body_that_ends_early_is_said_to(server: ServerProcess) -> None:
    head = b"POST /feeds/a/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n"
    status, body = exchange(server, head + b'{"a": 1}', finish=True)
    assert (status, json.loads(body)["error"]["code"]) == (400, "body_incomplete")


def test_a_body_announced_too_large_is_refused_even_if_it_never_comes(server: ServerProcess) -> None:
    began = time.monotonic()
    head = b"POST /feeds/a/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
    status, body = exchange(server, head + b"[")
    assert (status, json.loads(body)["error"]["code"]) == (413, "too_large")
    assert time.monotonic() - began < 5


def exchange(server: ServerProcess, raw: bytes, finish: bool = False) -> tuple[int, bytes]:
    """Send bytes and read the answer; `finish` says that no more will come."""
    address = urlsplit(server.url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=20) as connection:
        connection.sendall(raw)
        if finish:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(65536)
        head, _, body = received.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        size = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length:"))
        while len(body) < size:
            body += connection.recv(65536)
        return int(lines[0].split()[1]), body


def test_an_internal_error_is_counted_and_tells_nothing(tmp_path: Path) -> None:
    settings = load(environ={}, overrides={"data": str(tmp_path / "data")})
    runtime = Runtime.open(settings)
    try:
        app = create_app(runtime, settings)

        @app.get("/broken")
        def broken() -> str:
            raise RuntimeError("secret detail")

        answer = app.test_client().get("/broken", base_url="http://localhost")
        assert answer.status_code == 500
        error = json.loads(answer.data)["error"]
        assert error["code"] == "internal"
        assert "secret" not in answer.text
        assert app.extensions[EXTENSION].metrics.internal_errors._value.get() == 1
    finally:
        runtime.stop(5.0)
