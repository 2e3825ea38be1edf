"""The ingest socket: frames, acks, credit, superseded producers, back-pressure, closing codes."""

from __future__ import annotations

import contextlib
import json
import threading
import time

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.conftest import NewServer
from tests.serving import ServerProcess, receive

ACK = {"type", "batch", "accepted", "rejected", "shed", "first_seq", "last_seq", "credit"}

FRAMES: list[tuple[str, str | bytes, int]] = [
    ("object", '{"a": 1}', 1),
    ("array", '[{"a": 1}, {"a": 2}]', 2),
    ("lines", '{"a": 1}\n{"a": 2}\n', 2),
    ("envelope", '{"batch": 1, "records": [{"a": 1}]}', 1),
    ("columns", '{"batch": 1, "columns": {"a": [1, 2, 3], "b": ["x", "y", null]}}', 3),
    ("binary object", b'{"a": 1}', 1),
    ("binary columns", b'{"batch": 1, "columns": {"a": [1, 2]}}', 2),
    ("empty array", "[]", 0),
]


@pytest.mark.parametrize(("frame", "count"), [row[1:] for row in FRAMES], ids=[row[0] for row in FRAMES])
def test_every_form_of_frame_is_acknowledged(
    server: ServerProcess, feed: str, frame: str | bytes, count: int
) -> None:
    with server.socket(f"/feeds/{feed}/ingest") as socket:
        hello = receive(socket)
        assert (hello["type"], hello["feed"], hello["next_batch"]) == ("hello", feed, 1)
        assert hello["credit"] >= 1
        assert hello["max_frame_bytes"] == 8 << 20
        socket.send(frame)
        ack = receive(socket)
    assert set(ack) == ACK
    first, last = (1, count) if count else (None, None)
    got = {
        name: ack[name] for name in ("type", "batch", "accepted", "rejected", "shed", "first_seq", "last_seq")
    }
    assert got == {
        "type": "ack",
        "batch": 1,
        "accepted": count,
        "rejected": [],
        "shed": 0,
        "first_seq": first,
        "last_seq": last,
    }


def test_bad_records_are_named_and_their_neighbours_kept(server: ServerProcess, feed: str) -> None:
    with server.socket(f"/feeds/{feed}/ingest") as socket:
        receive(socket)
        socket.send('[{"a": 1}, "two", {"a": 3}]')
        ack = receive(socket)
    assert (ack["accepted"], [r["index"] for r in ack["rejected"]]) == (2, [1])


def test_an_unreadable_frame_is_answered_and_the_socket_stays_open(server: ServerProcess, feed: str) -> None:
    with server.socket(f"/feeds/{feed}/ingest") as socket:
        receive(socket)
        socket.send('[{"a": 1}, {"a":')
        error = receive(socket)
        assert set(error) == {"type", "batch", "error", "credit"}
        assert (error["type"], error["batch"]) == ("error", 1)
        assert set(error["error"]) == {"code", "message", "field", "hint"}
        socket.send('{"a": 1}')
        ack = receive(socket)
    assert (ack["type"], ack["batch"], ack["first_seq"]) == ("ack", 2, 1)


def test_a_frame_over_the_limit_closes_with_1009(server: ServerProcess, feed: str) -> None:
    for size in ((8 << 20) + 1, 30 << 20):
        with server.socket(f"/feeds/{feed}/ingest") as socket:
            limit = receive(socket)["max_frame_bytes"]
            assert size > limit
            with contextlib.suppress(ConnectionClosed):  # it may have been closed before all was sent
                socket.send("x" * size)
            with pytest.raises(ConnectionClosed) as caught:
                socket.recv(timeout=10)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1009
    assert server.request("GET", "/healthz").status == 200


def test_a_frame_of_exactly_the_limit_is_read(server: ServerProcess, feed: str) -> None:
    with server.socket(f"/feeds/{feed}/ingest") as socket:
        limit = receive(socket)["max_frame_bytes"]
        socket.send('{"a": 1}'.ljust(limit))
        assert receive(socket)["accepted"] == 1


def test_a_producer_goes_on_where_it_was(server: ServerProcess, feed: str) -> None:
    address = f"/feeds/{feed}/ingest?producer=p"
    with server.socket(address) as socket:
        receive(socket)
        socket.send('{"batch": 1, "records": [{"a": 1}]}')
        first = receive(socket)
    with server.socket(address) as socket:
        assert receive(socket)["next_batch"] == 2
        socket.send('{"batch": 1, "records": [{"a": 1}]}')
        again = receive(socket)
        socket.send('{"batch": 1, "records": [{"a": 2}]}')
        other = receive(socket)
        socket.send('{"batch": 7, "records": [{"a": 3}]}')
        ahead = receive(socket)
        socket.send('{"a": 4}')
        following = receive(socket)
    same = ("type", "batch", "accepted", "first_seq", "last_seq")
    assert [again[name] for name in same] == [first[name] for name in same]
    assert (other["type"], other["error"]["code"]) == ("error", "batch_conflict")
    assert ahead["type"] == "error"
    assert (following["type"], following["batch"], following["first_seq"]) == ("ack", 2, 2)


def test_a_second_socket_of_a_producer_closes_the_first(server: ServerProcess, feed: str) -> None:
    address = f"/feeds/{feed}/ingest?producer=p"
    with server.socket(address) as first:
        receive(first)
        with server.socket(address) as second:
            assert receive(second)["type"] == "hello"
            with pytest.raises(ConnectionClosed) as caught:
                first.recv(timeout=5)
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 4409
            second.send('{"a": 1}')
            assert receive(second)["type"] == "ack"


def test_producers_of_other_names_and_without_one_do_not_disturb_each_other(
    server: ServerProcess, feed: str
) -> None:
    with (
        server.socket(f"/feeds/{feed}/ingest?producer=p") as first,
        server.socket(f"/feeds/{feed}/ingest?producer=q") as second,
        server.socket(f"/feeds/{feed}/ingest") as third,
        server.socket(f"/feeds/{feed}/ingest") as fourth,
    ):
        for number, socket in enumerate((first, second, third, fourth), 1):
            receive(socket)
            socket.send('{"a": 1}')
            ack = receive(socket)
            assert (ack["batch"], ack["first_seq"]) == (1, number)


def test_frames_sent_ahead_are_answered_in_order(server: ServerProcess, feed: str) -> None:
    with server.socket(f"/feeds/{feed}/ingest") as socket:
        receive(socket)
        for number in range(40):
            socket.send(json.dumps({"a": number}))
        acks = [receive(socket) for _ in range(40)]
    assert [ack["batch"] for ack in acks] == list(range(1, 41))
    assert [ack["first_seq"] for ack in acks] == list(range(1, 41))


def test_a_producer_that_does_not_wait_is_held_back_not_buffered(new_server: NewServer) -> None:
    backlog = {
        "ANOMALYAI_ENGINE__MAX_BACKLOG_RECORDS": "500",
        "ANOMALYAI_ENGINE__MAX_BACKLOG_BYTES": "1048576",
    }
    server = new_server(environ=backlog)
    (worker,) = server.workers()
    frame = json.dumps([{"a": i, "text": "x" * 3500} for i in range(500)])
    with server.socket("/feeds/f/ingest", max_size=None) as socket:
        receive(socket)
        for _ in range(10):  # what it takes to work at all
            socket.send(frame)
            receive(socket)
        before = resident_bytes(worker)
        frames = 100

        def send_all() -> None:
            for _ in range(frames):
                socket.send(frame)

        sent = threading.Thread(target=send_all)
        sent.start()
        largest = 0
        for _ in range(frames):
            assert receive(socket, 60)["accepted"] == 500
            largest = max(largest, resident_bytes(worker))
        sent.join(10)
    assert frames * len(frame) > 160 << 20
    assert largest - before < 60 << 20, f"grew by {(largest - before) >> 20} MB"


def resident_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as statm:
        return int(statm.read().split()[1]) * 4096


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/feeds/BAD NAME/ingest", 400),
        ("/feeds/-x/ingest", 400),
        ("/feeds/{feed}/ingest?producer=", 400),
        ("/feeds/{feed}/ingest?producer=" + "p" * 201, 400),
        ("/feeds/{feed}/ingest?product=p", 400),
        ("/feeds/{feed}/live", 404),
        ("/feeds/{feed}/live?after=x", 400),
        ("/feeds/{feed}/events", 405),
        ("/nowhere", 404),
    ],
)
def test_a_socket_that_cannot_be_is_refused_before_the_upgrade(
    server: ServerProcess, feed: str, path: str, status: int
) -> None:
    address = path.replace("{feed}", feed).replace(" ", "%20")
    with pytest.raises(InvalidStatus) as caught, server.socket(address):
        pass
    assert caught.value.response.status_code == status
    assert set(json.loads(caught.value.response.body)["error"]) == {"code", "message", "field", "hint"}


@pytest.mark.parametrize("path", ["/feeds/{feed}/ingest", "/feeds/{feed}/live"])
def test_a_socket_asked_for_as_a_page_says_what_it_is(server: ServerProcess, feed: str, path: str) -> None:
    answer = server.request("GET", path.replace("{feed}", feed))
    assert answer.status == 400
    assert "WebSocket" in answer.error["message"]


HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize(
    "change",
    [
        {"Sec-WebSocket-Version": "8"},
        {"Sec-WebSocket-Version": ""},
        {"Sec-WebSocket-Key": ""},
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Key": "!!!!"},
    ],
)
def test_a_bad_handshake_is_an_ordinary_error(
    server: ServerProcess, feed: str, change: dict[str, str]
) -> None:
    answer = server.request("GET", f"/feeds/{feed}/ingest", headers={**HANDSHAKE, **change})
    assert (answer.status, answer.error["code"]) == (400, "bad_handshake")


def test_sockets_are_limited_and_requests_still_served(new_server: NewServer) -> None:
    server = new_server(environ={"ANOMALYAI_SERVER__MAX_SOCKETS": "2"})
    with server.socket("/feeds/f/ingest") as first, server.socket("/feeds/f/ingest") as second:
        receive(first)
        receive(second)
        with pytest.raises(InvalidStatus) as caught, server.socket("/feeds/f/ingest"):
            pass
        assert caught.value.response.status_code == 503
        assert server.request("GET", "/healthz").status == 200
    deadline = time.monotonic() + 10
    while server.metric("anomalyai_sockets_open") > 0:
        assert time.monotonic() < deadline, "places were not given back"
        time.sleep(0.05)
    with server.socket("/feeds/f/ingest") as third:
        assert receive(third)["type"] == "hello"


def test_deflate_is_not_negotiated(server: ServerProcess, feed: str) -> None:
    headers = {"Sec-WebSocket-Extensions": "permessage-deflate"}
    with server.socket(f"/feeds/{feed}/ingest", additional_headers=headers) as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
