"""Hostile frames over a real ingest socket: answered, or the socket closed, and a server that stays well."""

from __future__ import annotations

import os
import random
import socket as sockets
import struct
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.anomalyai.test_hostile import frames
from tests.serving import ServerProcess, receive
from tests.web.test_ingest import resident_bytes
from tests.web.test_live import handshake

FEED = "hostile"
GROWTH_BYTES = 64 << 20
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@pytest.fixture(autouse=True)
def well(server: ServerProcess) -> Iterator[None]:
    """Check after each test that nothing broke, hangs or has grown."""
    (worker,) = server.workers()
    errors, trouble = server.metric("anomalyai_internal_errors_total"), server.stderr().count("Traceback")
    places, before = server.metric("anomalyai_sockets_open"), resident_bytes(worker)
    yield
    assert server.post("well", [{"a": 1.5}]).status == 202
    deadline = time.monotonic() + 20
    while server.metric("anomalyai_sockets_open") > places:
        assert time.monotonic() < deadline, "a socket was never given back"
        time.sleep(0.05)
    assert server.metric("anomalyai_internal_errors_total") == errors
    assert server.stderr().count("Traceback") == trouble, server.stderr()[-3000:]
    assert server.workers() == [worker]
    assert resident_bytes(worker) - before < GROWTH_BYTES


@settings(max_examples=40, deadline=20_000)
@given(sent=st.lists(frames | st.text(max_size=50), min_size=1, max_size=8))
def test_every_frame_is_answered_whatever_is_in_it(server: ServerProcess, sent: list[bytes | str]) -> None:
    with server.socket(f"/feeds/{FEED}/ingest") as socket:
        receive(socket)
        for frame in sent:
            socket.send(frame)
        answers = [receive(socket) for _ in sent]
    for answer in answers:
        assert answer["type"] in ("ack", "error")
        if answer["type"] == "ack" and answer["accepted"]:
            assert answer["last_seq"] - answer["first_seq"] + 1 == answer["accepted"]


def framed(
    opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, length: int | None = None
) -> bytes:
    """Build one WebSocket frame, wrong where it is asked to be."""
    size = len(payload) if length is None else length
    head = bytes([(0x80 if fin else 0) | opcode])
    flag = 0x80 if masked else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 1 << 16:
        head += bytes([flag | 126]) + struct.pack(">H", size)
    else:
        head += bytes([flag | 127]) + struct.pack(">Q", size)
    if not masked:
        return head + payload
    mask = b"\x01\x02\x03\x04"
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


BROKEN = {
    "no mask": framed(TEXT, b'{"a": 1}', masked=False),
    "text that is no UTF-8": framed(TEXT, b'{"a": "\xff\xfe"}'),
    "half a character": framed(TEXT, b"\xe2\x82"),
    "a reserved opcode": framed(3, b"x"),
    "reserved bits": bytes([0xF1, 0x80]) + b"\0\0\0\0",
    "a continuation of nothing": framed(0, b"x"),
    "text within text": framed(TEXT, b"[", fin=False) + framed(TEXT, b"1]"),
    "a control frame in parts": framed(PING, b"x", fin=False),
    "a control frame that is too long": framed(PING, b"x" * 126),
    "a close with half a code": framed(CLOSE, b"\x03"),
    "a close with a code that may not be sent": framed(CLOSE, struct.pack(">H", 1005)),
    "a length beyond reason": framed(BINARY, b"x" * 100, length=(1 << 62)),
    "a length with its highest bit set": bytes([0x82, 0xFF]) + b"\xff" * 8 + b"\0" * 4,
    "many empty parts": framed(TEXT, b"", fin=False) + framed(0, b"", fin=False) * 2_000,
    "many pings": framed(PING, b"x" * 100) * 2_000,
    "pongs that nobody asked for": framed(PONG, b"x" * 100) * 2_000,
    "another handshake": handshake(f"/feeds/{FEED}/ingest"),
    "zeros": b"\0" * 5_000,
}


def opened(server: ServerProcess) -> sockets.socket:
    """Open an ingest socket by hand and read its handshake."""
    address = urlsplit(server.url)
    raw = sockets.create_connection((str(address.hostname), address.port or 0), timeout=20)
    raw.sendall(handshake(f"/feeds/{FEED}/ingest"))
    assert b"101" in raw.recv(100)
    return raw


def left(raw: sockets.socket, data: bytes) -> None:
    """Send, read for a moment what the server says to it, and leave without a word."""
    try:
        raw.sendall(data)
        raw.settimeout(0.2)
        while raw.recv(1 << 16):
            pass
    except (TimeoutError, ConnectionError):
        return
    finally:
        raw.close()


def test_frames_that_break_the_protocol_end_their_own_socket_only(server: ServerProcess) -> None:
    with server.socket(f"/feeds/{FEED}/ingest") as neighbour:
        receive(neighbour)
        for name, data in BROKEN.items():
            left(opened(server), data)
            neighbour.send('{"a": 1}')
            assert receive(neighbour)["type"] == "ack", name


def test_noise_after_the_handshake_ends_its_own_socket_only(server: ServerProcess) -> None:
    chance = random.Random(7)
    for _ in range(30):
        left(opened(server), chance.randbytes(chance.randint(1, 20_000)))
    for cut in range(1, 30, 3):  # a good frame that never ends
        left(opened(server), framed(TEXT, b'{"a": 1, "b": "some text"}')[:cut])
    assert server.request("GET", "/readyz").status == 200


def test_a_client_that_ignores_its_credit_is_stopped_by_the_kernel_not_by_our_memory(
    server: ServerProcess,
) -> None:
    (worker,) = server.workers()
    frame = framed(BINARY, b"[" + b" " * 1_000_000 + b"]")
    before, sent = resident_bytes(worker), 0
    with opened(server) as raw:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
        raw.settimeout(2.0)
        os.set_blocking(raw.fileno(), True)
        try:
            for _ in range(100):
                raw.sendall(frame)
                sent += 1
        except (TimeoutError, ConnectionError):
            pass
        grown = resident_bytes(worker) - before
    assert grown < GROWTH_BYTES, f"{sent} frames taken, grown by {grown >> 20} MB"
