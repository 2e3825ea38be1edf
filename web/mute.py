"""Mutes over HTTP: what people do not want to be told of for a while."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec
from flask import Blueprint, Response
from msgspec import Meta

from anomalyai.alert import rfc3339
from anomalyai.mute import ActiveMute
from stream.errors import LogFailure, MuteRefused, UnknownFeed, UnknownMute
from stream.judgement import MAX_NOTE_CHARS
from web.body import read_body, read_json
from web.contract.operation import operation
from web.errors import json_response
from web.query import NoQuery, read_query
from web.site import current_site

blueprint = Blueprint("mute", __name__)

Name = Annotated[str, Meta(min_length=1, max_length=500)]


class MuteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is muted, entities, a field that a reason is about, or both, and until when (RFC 3339)."""

    until: Annotated[datetime, Meta(tz=True)]
    entities: Annotated[dict[Name, Annotated[str, Meta(max_length=500)]], Meta(max_length=10)] = {}
    field: Name | None = None
    note: Annotated[str, Meta(max_length=MAX_NOTE_CHARS)] | None = None


class MuteView(msgspec.Struct, frozen=True):
    """A mute in force; `hidden` alerts it has muted so far."""

    id: str
    entities: dict[str, str]
    field: str | None
    until: str | None
    note: str | None
    hidden: int


class MuteList(msgspec.Struct, frozen=True):
    """The mutes of a feed, oldest first."""

    mutes: list[MuteView]


@blueprint.get("/feeds/<feed>/mutes")
@operation(query=NoQuery, answers={200: MuteList}, raises=(UnknownFeed,))
def list_mutes(feed: str) -> Response:
    """List the mutes in force."""
    read_query(NoQuery)
    return json_response(MuteList([_view(mute) for mute in current_site().runtime.muting.of_feed(feed)]))


@blueprint.post("/feeds/<feed>/mutes")
@operation(
    query=NoQuery, body=MuteBody, answers={201: MuteView}, raises=(UnknownFeed, MuteRefused, LogFailure)
)
def post_mute(feed: str) -> Response:
    """Mute; answered once it is in force. Open alerts that match are muted too."""
    read_query(NoQuery)
    body = read_json(MuteBody, read_body())
    muting = current_site().runtime.muting
    return json_response(_view(muting.begin(feed, body.entities, body.field, body.until, body.note)), 201)


@blueprint.delete("/feeds/<feed>/mutes/<mute_id>")
@operation(query=NoQuery, answers={204: None}, raises=(UnknownFeed, UnknownMute, LogFailure))
def delete_mute(feed: str, mute_id: str) -> Response:
    """End a mute; what it has muted stays so until it is judged."""
    read_query(NoQuery)
    current_site().runtime.muting.end(feed, mute_id)
    return Response(status=204)


def _view(mute: ActiveMute) -> MuteView:
    return MuteView(mute.id, mute.entities, mute.field, rfc3339(mute.until_s), mute.note, mute.hidden)
