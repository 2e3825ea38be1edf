"""`WS /feeds/{feed}/ingest`: producers send frames, each is answered once its records are durable.

While the log writes one frame, the next few are read and numbered; answers go out in the frames' order, and
what the socket's bounded inbound buffer does not hold waits with the producer. What a frame means and which
batch number it takes is the producer session's business; here are only the socket and its closing codes.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from flask import Blueprint
from msgspec import Meta

from anomalyai.media import JSON, NDJSON
from stream.errors import LogFailure, NotReady, Superseded
from stream.message import FrameAck, FrameError, Hello
from web.contract.channel import channel
from web.contract.record import NdJson, Record
from web.query import read_query
from web.site import current_site
from web.sockets import INTERNAL, POLL_S, Socket, websocket

if TYPE_CHECKING:
    from stream.producer import PendingMessage, ProducerSession

blueprint = Blueprint("ingest", __name__)

SUPERSEDED = 4409
TRY_AGAIN = 1013
AHEAD_FRAMES = 4


class IngestQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?producer=NAME`: batches are then numbered across connections."""

    producer: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


def open_session(feed: str) -> ProducerSession:
    """Open the producer's session before the upgrade; a bad feed name is refused as HTTP."""
    return current_site().runtime.producer(feed, read_query(IngestQuery).producer)


class RecordsFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A numbered batch of records."""

    batch: Annotated[int, Meta(ge=1)]
    records: list[Record]


class ColumnsFrame(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A numbered batch as columns of equal length, the fastest form."""

    batch: Annotated[int, Meta(ge=1)]
    columns: dict[str, list[Any]]


@websocket(blueprint, "/feeds/<feed>/ingest", open_session)
@channel(
    query=IngestQuery,
    receives={
        "record": (JSON, Record),
        "records": (JSON, list[Record]),
        "lines": (NDJSON, NdJson),
        "records_frame": (JSON, RecordsFrame),
        "columns_frame": (JSON, ColumnsFrame),
    },
    sends=(Hello, FrameAck, FrameError),
    closes={
        TRY_AGAIN: "records are not taken now: try again",
        SUPERSEDED: "another connection of this producer took over",
    },
)
def ingest(socket: Socket, session: ProducerSession, feed: str) -> None:
    """Say hello, then answer each frame until the producer leaves, is superseded, or the server stops."""
    socket.send(msgspec.json.encode(session.hello()))
    under_way: deque[PendingMessage] = deque()
    try:
        while socket.is_open() and not session.superseded.is_set():
            _exchange(socket, session, under_way)
        while under_way:
            _answer(socket, under_way)
        if session.superseded.is_set():
            socket.close(SUPERSEDED, "another connection of this producer took over")
    except Superseded as error:
        socket.close(SUPERSEDED, error.message)
    except NotReady as error:
        socket.close(TRY_AGAIN, error.message)
    except LogFailure as error:
        socket.close(INTERNAL, error.message)


def _exchange(socket: Socket, session: ProducerSession, under_way: deque[PendingMessage]) -> None:
    """Take the next frame if there is one; otherwise wait for the log, or for the producer."""
    while under_way and (under_way[0].done() or len(under_way) >= AHEAD_FRAMES):
        _answer(socket, under_way)
    frame = socket.receive(0 if under_way else POLL_S)
    if frame is not None:
        under_way.append(session.begin(frame))
    elif under_way:
        _answer(socket, under_way)


def _answer(socket: Socket, under_way: deque[PendingMessage]) -> None:
    """Send the oldest frame's answer, as soon as its records are durable."""
    message = under_way.popleft().message(following=len(under_way) + socket.waiting)
    current_site().metrics.frames.labels(message["type"]).inc()
    socket.send(msgspec.json.encode(message))
