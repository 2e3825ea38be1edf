"""The live socket: replay, caught up, pushes, and what a viewer cannot do to us."""

from __future__ import annotations

import json
import socket as sockets
import time
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.serving import ServerProcess, receive

ALERT = {
    "id", "feed", "seq", "time", "score", "one_in", "severity", "status", "maturity", "summary", "reasons",
    "record", "entities", "incident", "revision",
}  # fmt: skip


def records(count: int, start: int = 0) -> list[dict[str, Any]]:
    """Make calm records, deterministic, with a little spread."""
    return [
        {"amount": 20 + (i * 7919 % 100) / 25, "size": 5 + (i * 104729 % 50) / 50, "place": f"p{i % 5}"}
        for i in range(start, start + count)
    ]


def alarm(server: ServerProcess, feed: str, start: int) -> int:
    """Post one wild record and wait until it is flagged; returns its seq."""
    wild = {"amount": 9000.0 + start, "size": 800.0, "place": "p1"}
    seq: int = server.post(feed, [wild, *records(50, start)]).json["first_seq"]
    deadline = time.monotonic() + 30
    while True:
        found = server.request("GET", f"/feeds/{feed}/alerts?after={seq - 1}&limit=1000").json["alerts"]
        if any(alert["seq"] == seq for alert in found):
            return seq
        assert time.monotonic() < deadline, f"record {seq} of {feed} was not flagged"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def watched(server: ServerProcess) -> tuple[str, list[int]]:
    """Make a feed with two alerts."""
    feed = "watched"
    server.post(feed, records(4000))
    return feed, [alarm(server, feed, 4000), alarm(server, feed, 5000)]


def until_caught_up(socket: Any) -> list[dict[str, Any]]:
    messages = [receive(socket)]
    while messages[-1]["type"] != "caught_up":
        messages.append(receive(socket))
    return messages


def test_alerts_are_listed_and_paged(server: ServerProcess, watched: tuple[str, list[int]]) -> None:
    feed, seqs = watched
    body = server.request("GET", f"/feeds/{feed}/alerts").json
    found = [alert["seq"] for alert in body["alerts"]]
    assert found == sorted(found)
    assert set(seqs) <= set(found)
    assert body["next"] is None
    paged: list[int] = []
    after: int | None = 0
    while after is not None:
        page = server.request("GET", f"/feeds/{feed}/alerts?after={after}&limit=1").json
        paged += [alert["seq"] for alert in page["alerts"]]
        after = page["next"]
    assert paged == found


def test_an_alert_has_the_contract_s_shape(server: ServerProcess, watched: tuple[str, list[int]]) -> None:
    feed, seqs = watched
    alert = server.request("GET", f"/alerts/{feed}-{seqs[0]}").json
    assert set(alert) == ALERT
    assert (alert["feed"], alert["seq"], alert["record"]["amount"]) == (feed, seqs[0], 13000.0)
    assert alert["score"] > 0
    assert alert["one_in"] == pytest.approx(min(10 ** alert["score"], 1e15), rel=1e-6)
    assert sum(reason["share"] for reason in alert["reasons"]) == pytest.approx(1)
    event = server.request("GET", f"/feeds/{feed}/events/{seqs[0]}").json
    assert event["record"] == alert["record"]
    assert event["score"] == pytest.approx(alert["score"])


def test_a_viewer_is_replayed_what_it_missed_and_no_more(
    server: ServerProcess, watched: tuple[str, list[int]]
) -> None:
    feed, seqs = watched
    listed = [alert["seq"] for alert in server.request("GET", f"/feeds/{feed}/alerts").json["alerts"]]
    for after in (0, seqs[0] - 1, seqs[0], seqs[1]):
        with server.socket(f"/feeds/{feed}/live?after={after}") as socket:
            messages = until_caught_up(socket)
        replayed = [m["alert"]["seq"] for m in messages if m["type"] == "alert"]
        assert replayed == [seq for seq in listed if seq > after]


def test_a_viewer_without_a_position_is_replayed_no_alerts(
    server: ServerProcess, watched: tuple[str, list[int]]
) -> None:
    with server.socket(f"/feeds/{watched[0]}/live") as socket:
        messages = until_caught_up(socket)
    assert [m["type"] for m in messages if m["type"] == "alert"] == []
    assert isinstance(messages[-1]["seq"], int)


def test_what_happens_is_pushed(server: ServerProcess, watched: tuple[str, list[int]]) -> None:
    feed, _ = watched
    with server.socket(f"/feeds/{feed}/live") as socket:
        until_caught_up(socket)
        seq = alarm(server, feed, 7000)
        seen: dict[str, dict[str, Any]] = {}
        deadline = time.monotonic() + 20
        while not {"alert", "points", "stats"} <= set(seen):
            assert time.monotonic() < deadline, set(seen)
            message = receive(socket)
            seen[message["type"]] = message
    assert seen["alert"]["alert"]["seq"] == seq
    assert set(seen["alert"]["alert"]) == ALERT
    assert all(len(point) == 4 for point in seen["points"]["points"])
    assert {
        "events_per_second",
        "lag_records",
        "lag_s",
        "p99_ms",
        "promised_rate",
        "realised_rate",
        "shed",
    } <= set(seen["stats"])


def test_what_a_viewer_says_is_ignored(server: ServerProcess, watched: tuple[str, list[int]]) -> None:
    with server.socket(f"/feeds/{watched[0]}/live") as socket:
        for _ in range(50):
            socket.send("x" * 10_000)
        until_caught_up(socket)
        assert receive(socket)["type"] in ("stats", "points", "alert")


def test_a_viewer_that_stops_reading_is_cut_off(server: ServerProcess, feed: str) -> None:
    declared = {"feed": {"numbers": ["amount"], "budget": "1/2"}}
    server.request("PUT", f"/feeds/{feed}", json.dumps(declared), {"Content-Type": "application/json"})
    server.post(feed, [{"amount": i * 7919 % 1000, "text": f"{i}" + "x" * 2000} for i in range(4000)])
    deadline = time.monotonic() + 30
    while server.request("GET", f"/feeds/{feed}").json["alerts"] < 1000:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    before = server.metric("anomalyai_slow_viewers_total")
    address = urlsplit(server.url)
    with sockets.socket() as raw:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.connect((str(address.hostname), address.port))
        raw.sendall(handshake(f"/feeds/{feed}/live?after=0"))
        deadline = time.monotonic() + 30
        while server.metric("anomalyai_slow_viewers_total") == before:
            assert time.monotonic() < deadline, "a viewer that reads nothing holds a thread"
            time.sleep(0.2)
    assert server.request("GET", "/healthz").status == 200


def handshake(path: str) -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    ).encode()


def test_a_viewer_that_leaves_gives_its_place_back(
    server: ServerProcess, watched: tuple[str, list[int]]
) -> None:
    def places() -> float:
        return server.metric("anomalyai_sockets_open")

    before = places()
    address = urlsplit(server.url)
    for abrupt in (False, True):
        if abrupt:
            with sockets.create_connection((str(address.hostname), address.port or 0)) as raw:
                raw.sendall(handshake(f"/feeds/{watched[0]}/live"))
                assert b"101" in raw.recv(100)
        else:
            with server.socket(f"/feeds/{watched[0]}/live") as socket:
                until_caught_up(socket)
        deadline = time.monotonic() + 10
        while places() > before:
            assert time.monotonic() < deadline, "the place was not given back"
            time.sleep(0.05)
