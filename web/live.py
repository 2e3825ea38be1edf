"""`WS /feeds/{feed}/live`: a viewer gets the alerts it missed, then everything as it happens.

The subscription does the work: replay, bounded queue, gap notices, no hole and no double. Here it is pumped
into the socket; a viewer that stops reading is cut off after the send time-out and may come back with
`after`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from flask import Blueprint

from stream.message import AlertMessage, CaughtUp, Gap, IncidentMessage, Points, Stats
from web.contract.channel import channel
from web.query import After, read_query
from web.site import current_site
from web.sockets import POLL_S, Socket, websocket

if TYPE_CHECKING:
    from stream.hub import Subscription

blueprint = Blueprint("live", __name__)


class LiveQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?after=SEQ`: replay the alerts after that record first."""

    after: After | None = None


def subscribe(feed: str) -> Subscription:
    """Subscribe before the upgrade; an unknown feed is refused as HTTP."""
    return current_site().runtime.subscribe(feed, read_query(LiveQuery).after)


@websocket(blueprint, "/feeds/<feed>/live", subscribe)
@channel(query=LiveQuery, sends=(AlertMessage, CaughtUp, Points, Stats, IncidentMessage, Gap))
def live(socket: Socket, subscription: Subscription, feed: str) -> None:
    """Pass on the subscription's messages until the viewer leaves or the server stops."""
    socket.ignore_input()
    while socket.is_open():
        message = subscription.next(POLL_S)
        if message is not None:
            socket.send(message)
    if socket.slow:
        current_site().metrics.slow_viewers.inc()
