"""The connection under a WebSocket: written whole, by one thread at a time, and never for ever.

simple-websocket writes with `sock.send`, which may write a part, from two threads without a lock and without
a time-out; it answers an over-long message and closes at once, so that a peer still sending sees a reset
instead of the reason; and it cannot turn deflate off. It takes its connection from the WSGI environment, so a
middleware that puts a `Transport` there mends all of that and leaves the library as it is.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

DRAIN_S = 2.0
DRAIN_BYTES = 64 << 20
SEND_BUFFER_BYTES = 256 << 10
SOCKET_KEYS = ("gunicorn.socket", "werkzeug.socket")


class Transport:
    """A connected TCP socket for one WebSocket. Thread-safe: the route and the reader thread both write.

    `send_timeout_s` bounds one whole message, not one system call: a peer that takes a byte now and then
    cannot hold a thread longer than that. After a time-out the connection is broken for good.
    """

    def __init__(self, sock: socket.socket, send_timeout_s: float) -> None:
        # The kernel would let its buffer grow to megabytes for a viewer that reads slowly.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        self._sock = sock
        self._send_timeout_s = send_timeout_s
        self._lock = threading.Lock()
        self.timed_out = False

    def fileno(self) -> int:
        """Return the descriptor, for a selector."""
        return self._sock.fileno()

    def recv(self, size: int) -> bytes:
        """Read at most `size` bytes; empty when the peer has finished."""
        return self._sock.recv(size)

    def send(self, data: bytes) -> int:
        """Write all of `data`; returns its length.

        Raises
        ------
        TimeoutError
            The peer did not take it within the time-out; the connection is broken.
        OSError
            The connection is gone.
        """
        with self._lock:
            if self.timed_out:
                raise BrokenPipeError("the peer stopped reading")
            self._send_all(memoryview(data))
        return len(data)

    def _send_all(self, rest: memoryview) -> None:
        deadline = time.monotonic() + self._send_timeout_s
        while rest:
            try:
                rest = rest[self._sock.send(rest, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                if not self._wait_writable(deadline - time.monotonic()):
                    self.timed_out = True
                    self.abort()
                    raise TimeoutError(f"the peer took nothing for {self._send_timeout_s:g} s") from None

    def _wait_writable(self, timeout_s: float) -> bool:
        if timeout_s <= 0:
            return False
        poll = select.poll()
        poll.register(self._sock, select.POLLOUT)
        return bool(poll.poll(timeout_s * 1000))

    def close(self) -> None:
        """Finish in order: say that we are done, take what the peer still sends, then end both ways.

        What is taken is bounded. Called by the reader thread as its last act. The descriptor itself stays
        open: the server that accepted the connection closes it, and counts it.
        """
        try:
            self._sock.shutdown(socket.SHUT_WR)
            self._drain()
        except OSError:
            return  # gone already: there is nobody left to be polite to
        finally:
            self.abort()

    def _drain(self) -> None:
        deadline = time.monotonic() + DRAIN_S
        taken = 0
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        while taken < DRAIN_BYTES:
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0 or not poll.poll(remaining_s * 1000):
                return
            data = self._sock.recv(1 << 16)
            if not data:
                return
            taken += len(data)

    def abort(self) -> None:
        """End both directions at once; wakes a thread that waits in `recv` or a selector."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # ended already


class WebSocketMiddleware:
    """WSGI middleware: gives upgrade requests a `Transport`, and drops their offer of deflate.

    Deflate costs about 180 kB a socket and, on the producer's side, more time than everything else together.
    """

    def __init__(self, application: WSGIApplication, send_timeout_s: float) -> None:
        self._application = application
        self._send_timeout_s = send_timeout_s

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, prepared if it asks for an upgrade."""
        if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)
            for key in SOCKET_KEYS:
                if isinstance(environ.get(key), socket.socket):
                    environ[key] = Transport(environ[key], self._send_timeout_s)
        return self._application(environ, start_response)
