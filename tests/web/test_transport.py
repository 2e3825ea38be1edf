"""The connection under a WebSocket: whole messages, one writer at a time, never for ever."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from web.transport import DRAIN_S, Transport, WebSocketMiddleware

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Return two connected sockets with small buffers."""
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with ours, theirs:
        yield ours, theirs


def read_all(sock: socket.socket, count: int) -> bytes:
    parts = []
    while count > 0:
        part = sock.recv(min(count, 65536))
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def test_a_message_larger_than_the_kernel_takes_at_once_arrives_whole(pair: Pair) -> None:
    ours, theirs = pair
    message = bytes(range(256)) * 16384  # 4 MiB
    sender = threading.Thread(target=Transport(ours, 5.0).send, args=(message,))
    sender.start()
    assert read_all(theirs, len(message)) == message
    sender.join(5)
    assert not sender.is_alive()


def test_messages_of_two_threads_do_not_mix(pair: Pair) -> None:
    ours, theirs = pair
    transport = Transport(ours, 5.0)
    size, rounds = 200_000, 10

    def send(letter: bytes) -> None:
        for _ in range(rounds):
            transport.send(letter * size)

    threads = [threading.Thread(target=send, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for _ in range(2 * rounds):
        message = read_all(theirs, size)
        assert message in (b"a" * size, b"b" * size)
    for thread in threads:
        thread.join(5)


def test_a_peer_that_stops_reading_costs_one_time_out_and_no_more(pair: Pair) -> None:
    ours, theirs = pair
    transport = Transport(ours, 0.3)
    began = time.monotonic()
    with pytest.raises(TimeoutError, match="took nothing"):
        transport.send(b"x" * 10_000_000)
    assert 0.25 < time.monotonic() - began < 2.0
    assert transport.timed_out
    with pytest.raises(BrokenPipeError):
        transport.send(b"more")
    while theirs.recv(65536):  # what had been sent, then the end
        pass


def test_a_peer_that_takes_a_little_now_and_then_does_not_stretch_the_time_out(pair: Pair) -> None:
    ours, theirs = pair
    done = threading.Event()

    def sip() -> None:
        while not done.wait(0.05):
            theirs.recv(512)

    sipper = threading.Thread(target=sip)
    sipper.start()
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        Transport(ours, 0.5).send(b"x" * 50_000_000)
    took = time.monotonic() - began
    done.set()
    sipper.join(5)
    assert took < 2.0


def test_closing_lets_the_peer_finish_its_sentence(pair: Pair) -> None:
    ours, theirs = pair
    transport = Transport(ours, 5.0)
    transport.send(b"goodbye")
    closer = threading.Thread(target=transport.close)
    closer.start()
    for _ in range(100):
        theirs.send(b"y" * 1000)  # nobody resets us while we still talk
    theirs.shutdown(socket.SHUT_WR)
    assert read_all(theirs, 100) == b"goodbye"
    closer.join(DRAIN_S + 1)
    assert not closer.is_alive()
    assert ours.fileno() >= 0, "the descriptor belongs to the server that accepted it"


def test_closing_does_not_wait_for_ever(pair: Pair) -> None:
    ours, _ = pair
    began = time.monotonic()
    Transport(ours, 5.0).close()
    assert DRAIN_S - 0.1 < time.monotonic() - began < DRAIN_S + 1


def test_closing_what_is_gone_already_is_no_error(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    Transport(ours, 5.0).close()
    Transport(ours, 5.0).abort()
    assert ours.fileno() >= 0, "the descriptor belongs to the server that accepted it"


@pytest.mark.parametrize("key", ["gunicorn.socket", "werkzeug.socket"])
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", None])
def test_only_upgrades_get_a_transport_and_none_of_them_deflate(
    pair: Pair, key: str, upgrade: str | None
) -> None:
    seen: dict[str, Any] = {}

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        return []

    environ: dict[str, Any] = {key: pair[0], "HTTP_SEC_WEBSOCKET_EXTENSIONS": "permessage-deflate"}
    if upgrade is not None:
        environ["HTTP_UPGRADE"] = upgrade
    WebSocketMiddleware(application, 1.0)(environ, lambda *_: None)  # type: ignore[arg-type]
    assert isinstance(seen[key], Transport) is (upgrade is not None)
    assert ("HTTP_SEC_WEBSOCKET_EXTENSIONS" in seen) is (upgrade is None)
