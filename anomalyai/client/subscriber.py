"""Watching a feed over a WebSocket: alerts, points and figures as they come."""

import threading
from collections.abc import Iterator
from typing import Any

import msgspec
from websockets.exceptions import ConnectionClosed

from anomalyai.client import wire
from anomalyai.client.errors import ProtocolError, Refused, Unreachable
from anomalyai.client.producer import POLL_S, RETRIED_STATUS


class Subscriber:
    """Iterate over a feed's live messages as dicts, reconnecting after a break until `stop` is set.

    After a break the alerts from the last one seen on are asked for again, so no alert is missed and none
    comes twice; what the server cannot repeat is missed: points and figures of the break, and new revisions
    of earlier alerts. A `gap` message says what this viewer was too slow for.

    Threads: belongs to the one that iterates; `stop` may be set from elsewhere and ends the iteration within
    0.2 s.

    Parameters
    ----------
    url : str
        The server, for instance ``http://127.0.0.1:8000``.
    feed : str
        Feed name.
    after : int or None
        Replay the alerts above this seq first (0: all); None: only what happens from now on.
    patience_s : float
        How long to go on reconnecting before `Unreachable` is raised; the first attempt is not repeated.
    stop : threading.Event or None
        Ends the iteration once set.
    """

    def __init__(
        self,
        url: str,
        feed: str,
        after: int | None = None,
        *,
        patience_s: float = 60.0,
        stop: threading.Event | None = None,
    ) -> None:
        self._url = url
        self._path = wire.feed_path(feed, "/live")
        self._stop = threading.Event() if stop is None else stop
        self._backoff = wire.Backoff(patience_s)
        self._heard = False
        self.after = after

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield messages, each a dict with a `type`, until `stop` is set."""
        while not self._stop.is_set():
            delay_s = self._backoff.next_delay_s()
            if delay_s is None:
                raise wire.unreachable(self._url, "the connection keeps breaking")
            if self._stop.wait(delay_s):
                return
            try:
                yield from self._one_connection()
            except ConnectionClosed as closed:
                fatal = wire.fatal_close(closed)
                if fatal is not None:
                    raise fatal from closed
            except Refused as refused:
                if refused.status not in RETRIED_STATUS:
                    raise
            except Unreachable:
                if not self._heard:
                    raise

    def alerts(self) -> Iterator[dict[str, Any]]:
        """Yield the alerts alone; one that changes comes again with a higher `revision`."""
        for message in self:
            if message["type"] == "alert":
                yield message["alert"]

    def _one_connection(self) -> Iterator[dict[str, Any]]:
        with wire.open_socket(
            wire.address(self._url, self._path, {"after": self.after}, socket=True)
        ) as socket:
            while not self._stop.is_set():
                try:
                    data = socket.recv(timeout=POLL_S)
                except TimeoutError:
                    continue
                message = _decode(data)
                self._backoff.reset()
                self._heard = True
                self._note(message)
                yield message

    def _note(self, message: dict[str, Any]) -> None:
        """Remember the highest seq up to which alerts are known."""
        if message["type"] == "alert":
            seq = message["alert"]["seq"]
        elif message["type"] == "caught_up":
            seq = message["seq"]
        else:
            return
        self.after = max(self.after or 0, seq or 0)


def _decode(data: bytes | str) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(data, type=dict[str, Any])
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"expected a JSON object, got {data[:200]!r}: {error}") from error
    if not isinstance(message.get("type"), str):
        raise ProtocolError(f"expected a message with a type, got {data[:200]!r}")
    return message
