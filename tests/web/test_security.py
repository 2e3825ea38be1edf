"""Host, Origin and the headers of every answer."""

from __future__ import annotations

import json

import pytest
from websockets.exceptions import InvalidStatus

from tests.conftest import NewServer
from tests.serving import ServerProcess, receive
from web.loopback import is_loopback

GOOD_HOSTS = [
    "127.0.0.1",
    "127.0.0.1:{port}",
    "localhost",
    "LOCALHOST:{port}",
    "localhost.:80",
    "[::1]:{port}",
    "127.8.9.1",
]
BAD_HOSTS = [
    "example.org",
    "example.org:{port}",
    "127.0.0.1.example.org",
    "localhost.example.org",
    "example.org@127.0.0.1",
    "127.0.0.1@example.org",
    "10.0.0.1",
    "0.0.0.0",
    "[::]",
    "127.0.0.1:99999999",
    "127.0.0.1/x",
    "",
]
BAD_ORIGINS = [
    "http://example.org",
    "https://127.0.0.1.example.org",
    "http://127.0.0.1:1",
    "http://localhost:{port}",
    "null",
    "",
    "file://",
    "http://127.0.0.1:{port}.example.org",
]


def filled(text: str, server: ServerProcess) -> str:
    return text.replace("{port}", server.url.rsplit(":", 1)[1])


@pytest.mark.parametrize("host", GOOD_HOSTS)
def test_a_loopback_host_is_served(server: ServerProcess, host: str) -> None:
    assert server.request("GET", "/healthz", headers={"Host": filled(host, server)}).status == 200


@pytest.mark.parametrize("host", BAD_HOSTS)
@pytest.mark.parametrize("path", ["/healthz", "/", "/feeds", "/nowhere", "/static/css/base.css"])
def test_any_other_host_is_refused_everywhere(server: ServerProcess, host: str, path: str) -> None:
    answer = server.request("GET", path, headers={"Host": filled(host, server)})
    if answer.status == 400:  # gunicorn itself refuses what is no host at all
        assert answer.error["code"] == "bad_request"
    else:
        assert (answer.status, answer.error["code"]) == (403, "host_refused")


@pytest.mark.parametrize("origin", BAD_ORIGINS)
def test_a_foreign_page_can_change_nothing(server: ServerProcess, feed: str, origin: str) -> None:
    headers = {"Origin": filled(origin, server), "Content-Type": "text/plain"}
    for method, path in (
        ("POST", f"/feeds/{feed}/events"),
        ("PUT", f"/feeds/{feed}"),
        ("POST", "/predict?feed=a"),
    ):
        answer = server.request(method, path, '{"a": 1}', headers)
        assert (answer.status, answer.error["code"]) == (403, "origin_refused"), (method, path)
    assert server.request("GET", f"/feeds/{feed}").status == 404


@pytest.mark.parametrize("origin", BAD_ORIGINS)
@pytest.mark.parametrize("path", ["ingest", "live"])
def test_a_foreign_page_gets_no_socket(server: ServerProcess, feed: str, origin: str, path: str) -> None:
    headers = {"Origin": filled(origin, server)}
    with (
        pytest.raises(InvalidStatus) as caught,
        server.socket(f"/feeds/{feed}/{path}", additional_headers=headers),
    ):
        pass
    assert caught.value.response.status_code == 403
    assert json.loads(caught.value.response.body)["error"]["code"] == "origin_refused"


def test_our_own_page_and_programs_may_post_and_connect(server: ServerProcess, feed: str) -> None:
    for origin in ({"Origin": server.url}, {}):
        assert server.post(feed, {"a": 1}, **origin).status == 202
        with server.socket(f"/feeds/{feed}/ingest", additional_headers=origin) as socket:
            assert receive(socket)["type"] == "hello"


def test_reading_across_origins_gets_no_permission(server: ServerProcess) -> None:
    answer = server.request("GET", "/feeds", headers={"Origin": "http://example.org"})
    assert answer.status == 200
    assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", ["/", "/feeds", "/nowhere", "/healthz", "/static/css/base.css", "/metrics"])
def test_every_answer_carries_the_headers(server: ServerProcess, path: str) -> None:
    headers = server.request("GET", path).headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert "script-src" not in policy, "scripts fall back to default-src: our own files, never inline"
    assert policy["frame-ancestors"] == "'none'"
    assert policy["object-src"] == "'none'"
    assert f"ws://{server.url.removeprefix('http://')}" in policy["connect-src"].split()
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"


def test_listed_hosts_and_origins_are_served(new_server: NewServer) -> None:
    environ = {
        "ANOMALYAI_SERVER__ALLOWED_HOSTS": "events.example,other.example",
        "ANOMALYAI_SERVER__ALLOWED_ORIGINS": "https://ops.example",
    }
    server = new_server(environ=environ)
    assert server.request("GET", "/healthz", headers={"Host": "events.example"}).status == 200
    assert server.request("GET", "/healthz", headers={"Host": "EVENTS.example:8000"}).status == 200
    assert server.request("GET", "/healthz", headers={"Host": "third.example"}).status == 403
    answer = server.post("f", {"a": 1}, Origin="https://ops.example")
    assert answer.status == 202
    assert answer.headers["access-control-allow-origin"] == "https://ops.example"
    assert server.post("f", {"a": 1}, Origin="https://evil.example").status == 403
    with server.socket("/feeds/f/live", additional_headers={"Origin": "https://ops.example"}) as socket:
        assert receive(socket)["type"] in ("caught_up", "points", "stats")


@pytest.mark.parametrize(
    ("name", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("a.localhost", True),
        ("127.1", False),
        ("localhost.org", False),
        ("", False),
    ],
)
def test_loopback_names(name: str, loopback: bool) -> None:
    assert is_loopback(name) is loopback
