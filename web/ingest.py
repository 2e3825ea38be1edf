"""`WS /feeds/{feed}/ingest`: producers send frames, each is answered once its records are durable.

One frame is worked on at a time; the next few wait in the socket's bounded inbound buffer and the rest with
the producer. What a frame means, what it is answered with and which batch number it takes is the producer
session's business; here are only the socket and its closing codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec
from flask import Blueprint
from msgspec import Meta

from web.query import read_query
from web.site import current_site
from web.sockets import Socket, websocket

if TYPE_CHECKING:
    from stream.runtime import ProducerSession

blueprint = Blueprint("ingest", __name__)

SUPERSEDED = 4409


class IngestQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?producer=NAME`: batches are then numbered across connections."""

    producer: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


def open_session(feed: str) -> ProducerSession:
    """Open the producer's session before the upgrade; a bad feed name is refused as HTTP."""
    return current_site().runtime.producer(feed, read_query(IngestQuery).producer)


@websocket(blueprint, "/feeds/<feed>/ingest", open_session)
def ingest(socket: Socket, session: ProducerSession, feed: str) -> None:
    """Say hello, then answer each frame until the producer leaves, is superseded, or the server stops."""
    frames = current_site().metrics.frames
    socket.send(msgspec.json.encode(session.hello()))
    while socket.is_open():
        if session.superseded.is_set():
            socket.close(SUPERSEDED, "another connection of this producer took over")
            return
        frame = socket.receive()
        if frame is not None:
            answer = session.submit(frame)
            frames.labels(answer["type"]).inc()
            socket.send(msgspec.json.encode(answer))
