"""WebSocket routes: flask-sock with its inbound side bounded, its end orderly and its refusals readable.

A route is `view(socket, source, **names)`. `open_source(**names)` runs before the upgrade, so that what can
be known beforehand (feed name, query, a free place) is refused as an ordinary HTTP answer with the one error
body; its result is `source`, and is closed when the socket is. The view loops `while socket.is_open()` and
waits at most `POLL_S` at a time: that is how a server that stops closes every socket with 1001, and how a
thread notices that its peer has left.

Threads: the route's thread runs the view; simple-websocket's reader thread fills the inbound buffer and
answers pings. Both write through one `Transport`, which has the lock.
"""

from __future__ import annotations

import base64
import binascii
import functools
import threading
from collections.abc import Callable
from contextlib import closing
from types import TracebackType
from typing import Any, Protocol, SupportsIndex

from flask import Blueprint, Flask, Response, g, request
from flask_sock import Sock
from simple_websocket import ConnectionClosed
from simple_websocket import ConnectionError as HandshakeError
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from web.refusal import RequestError
from web.site import Site, current_site

POLL_S = 1.0
CLOSE_S = 2.0
INBOUND_FRAMES = 4
INBOUND_BYTES = 2 << 20
RECEIVE_BYTES = 65_536

NORMAL = 1000
GOING_AWAY = 1001
INTERNAL = 1011


class Connection(Protocol):
    """What is used of `simple_websocket.Server`."""

    connected: bool
    event: threading.Event
    pong_received: bool
    input_buffer: list[str | bytes]
    max_message_size: int | None
    sock: Any
    thread: threading.Thread

    def receive(self, timeout: float | None = None) -> str | bytes | None:
        """Take the next message; None after the time-out."""

    def send(self, data: str | bytes) -> None:
        """Send one message."""

    def close(self, reason: int | None = None, message: str | None = None) -> None:
        """Start the closing handshake."""


class InboundBuffer(list[str | bytes]):
    """Received messages that the view has not taken yet: at either bound, the reader thread waits.

    A waiting reader leaves the rest in the kernel, the kernel's window closes, and the producer stalls:
    memory stays bounded without a message lost.
    """

    def __init__(self, connection: Connection, max_messages: int, max_bytes: int) -> None:
        super().__init__()
        self._connection = connection
        self._max_messages = max_messages
        self._max_bytes = max_bytes
        self._size_bytes = 0
        self._changed = threading.Condition()
        self._discarding = False

    def append(self, message: str | bytes) -> None:
        """Add a message, waiting for room; called by the reader thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._discarding or self._fits(len(message)))
            if not self._discarding:
                super().append(message)
                self._size_bytes += len(message)
        # Whoever sends messages is alive, even if its pong waits in the kernel behind them.
        self._connection.pong_received = True

    def pop(self, index: SupportsIndex = -1) -> str | bytes:
        """Take a message and let the reader thread go on."""
        with self._changed:
            message = super().pop(index)
            self._size_bytes -= len(message)
            self._changed.notify()
        return message

    def discard(self) -> None:
        """Drop what is here and all that comes."""
        with self._changed:
            self._discarding = True
            self.clear()
            self._size_bytes = 0
            self._changed.notify()

    def _fits(self, size_bytes: int) -> bool:
        """Whether another message may wait here; a single one always may, whatever its size."""
        if not self:
            return True
        return len(self) < self._max_messages and self._size_bytes + size_bytes <= self._max_bytes


class ReaderThread(threading.Thread):
    """simple-websocket's reader thread, with the inbound buffer bounded before the first byte."""

    def __init__(self, target: Callable[[], None]) -> None:
        super().__init__(target=target, daemon=True)
        connection: Connection = target.__self__  # type: ignore[attr-defined]
        connection.input_buffer = InboundBuffer(connection, INBOUND_FRAMES, INBOUND_BYTES)
        self._connection = connection

    def run(self) -> None:
        """Read until the connection ends; however that comes about, the view is told."""
        try:
            super().run()
        finally:
            self._connection.connected = False
            self._connection.event.set()


class Socket:
    """One open WebSocket, as a view sees it. For the view's thread alone."""

    def __init__(self, connection: Connection, stop: threading.Event) -> None:
        self._connection = connection
        self._stop = stop
        self.slow = False

    def is_open(self) -> bool:
        """Whether to go on: the peer is there and the server does not stop."""
        return self._connection.connected and not self._stop.is_set()

    def receive(self, timeout_s: float = POLL_S) -> str | bytes | None:
        """Wait for the peer's next message; None after the time-out or when it has left."""
        try:
            return self._connection.receive(timeout=timeout_s)
        except ConnectionClosed:
            return None

    @property
    def waiting(self) -> int:
        """Messages that have come and were not received yet."""
        return len(self._connection.input_buffer)

    def ignore_input(self) -> None:
        """Drop everything that the peer sends: this socket only speaks."""
        buffer = self._connection.input_buffer
        if isinstance(buffer, InboundBuffer):
            buffer.discard()

    def send(self, message: bytes) -> None:
        """Send one JSON message as text; without effect when the peer has left or does not read.

        A peer that takes nothing for the time-out is cut off, and `slow` says so.
        """
        try:
            self._connection.send(message.decode())
        except TimeoutError:
            self.slow = True
            self._connection.connected = False
        except (ConnectionClosed, LocalProtocolError, OSError):
            self._connection.connected = False

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Say why and close; later calls do nothing."""
        try:
            self._connection.close(code, reason)
        except (ConnectionClosed, LocalProtocolError, OSError):
            self._connection.connected = False

    def __enter__(self) -> Socket:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close, wait until the reader thread has ended, at most twice `CLOSE_S`."""
        if kind is not None and not issubclass(kind, ConnectionClosed):
            self.close(INTERNAL, "internal error")
        elif self._stop.is_set():
            self.close(GOING_AWAY, "the server stops")
        else:
            self.close()
        self.ignore_input()
        self._connection.thread.join(CLOSE_S)
        if self._connection.thread.is_alive():
            self._connection.sock.abort()
            self._connection.thread.join(CLOSE_S)


class Closable(Protocol):
    """What a socket's source must offer."""

    def close(self) -> None:
        """Let go; called once, when the socket has closed."""


View = Callable[..., None]
OpenSource = Callable[..., Closable]


def websocket(blueprint: Blueprint, path: str, open_source: OpenSource) -> Callable[[View], View]:
    """Register a WebSocket view on a blueprint; see the module's docstring for the two functions."""

    def register(view: View) -> View:
        @functools.wraps(view)
        def upgraded(connection: Connection, **names: str) -> None:
            g.upgraded = True
            with Socket(connection, current_site().stop) as socket:
                view(socket, g.source, **names)

        Sock().route(path, bp=_Gate(blueprint, open_source))(upgraded)
        return view

    return register


class _Gate:
    """Stands where flask-sock expects a blueprint, and puts the checks before its upgrade."""

    def __init__(self, blueprint: Blueprint, open_source: OpenSource) -> None:
        self._blueprint = blueprint
        self._open_source = open_source

    def route(
        self, path: str, **options: Any
    ) -> Callable[[Callable[..., Response]], Callable[..., Response]]:
        """Register flask-sock's view behind the checks."""

        def register(upgrade: Callable[..., Response]) -> Callable[..., Response]:
            @functools.wraps(upgrade)
            def gated(**names: str) -> Response:
                _require_handshake()
                with current_site().places.one(), closing(self._open_source(**names)) as g.source:
                    return upgrade(**names)

            return self._blueprint.route(path, **options)(gated)

        return register


def _require_handshake() -> None:
    version = request.headers.get("Sec-WebSocket-Version", "")
    if version != "13":
        raise RequestError(400, "bad_handshake", f"expected Sec-WebSocket-Version 13, got {version[:20]!r}")
    key = request.headers.get("Sec-WebSocket-Key", "")
    try:
        size = len(base64.b64decode(key, validate=True))
    except binascii.Error:
        size = 0
    if size != 16:
        raise RequestError(400, "bad_handshake", "expected a Sec-WebSocket-Key of 16 bytes in base64")


def init_app(app: Flask, site: Site) -> None:
    """Set flask-sock's options and turn a failed handshake into an answer."""
    app.config["SOCK_SERVER_OPTIONS"] = {
        "receive_bytes": RECEIVE_BYTES,
        "ping_interval": site.settings.server.ping_interval_s,
        "max_message_size": site.settings.server.max_frame_bytes,
        "thread_class": ReaderThread,
    }
    for kind in (RemoteProtocolError, HandshakeError):
        app.register_error_handler(kind, _bad_handshake)


def _bad_handshake(error: Exception) -> Response:
    raise RequestError(400, "bad_handshake", f"the WebSocket handshake failed: {error}") from error
