"""Feeds over HTTP: list, declare, post events, read alerts and events."""

from __future__ import annotations

from typing import Annotated

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from anomalyai.alert import Alert
from anomalyai.errors import SchemaConflict, SchemaError, UnreadableBody, UnsupportedMedia, shorten
from anomalyai.media import JSON, SNIFFED
from anomalyai.schema import FeedSchema
from stream.dedup import MAX_BATCH, Ack
from stream.errors import (
    BatchConflict,
    FeedName,
    LogDamaged,
    LogFailure,
    Overloaded,
    RecordGone,
    UnknownAlert,
    UnknownEvent,
    UnknownFeed,
)
from stream.event import History
from web.body import read_body
from web.contract.declaration import Declaration
from web.contract.event import Event
from web.contract.feed import FeedList, FeedState, FeedView
from web.contract.operation import Refused, operation
from web.contract.record import RECORDS
from web.errors import json_response
from web.incident import Conditions
from web.query import After, NoQuery, read_query
from web.refusal import RequestError
from web.site import current_site

blueprint = Blueprint("feeds", __name__)

BAD_SEQ = Refused(400, "bad_seq", "It is no whole number from 1.")
TOML = ("application/toml", "text/toml", "text/x-toml", "text/plain")


class PostQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?producer=&batch=` on events: names the batch, so that a repeat is recognised."""

    producer: Annotated[str, Meta(min_length=1, max_length=200)] | None = None
    batch: Annotated[int, Meta(ge=1, le=MAX_BATCH)] | None = None


class AlertsQuery(Conditions, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Conditions, the incident to look in, and which page."""

    incident: str | None = None
    after: After = 0
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class EventsHeaders(msgspec.Struct, frozen=True, rename={"idempotency_key": "Idempotency-Key"}):
    """Headers of events."""

    idempotency_key: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=200,
                description="A repeat gets the first answer; not together with producer and batch.",
            ),
        ]
        | None
    ) = None


class AlertList(msgspec.Struct, frozen=True):
    """Alerts, ascending by seq; `next` is what to pass as `after` for more, null where there are none."""

    alerts: list[Alert]
    next: int | None


@blueprint.get("/feeds")
@operation(query=NoQuery, answers={200: FeedList})
def list_feeds() -> Response:
    """List the feeds with their figures."""
    read_query(NoQuery)
    return json_response({"feeds": current_site().runtime.feeds()})


@blueprint.get("/feeds/<feed>")
@operation(query=NoQuery, answers={200: FeedView}, raises=(UnknownFeed,))
def get_feed(feed: str) -> Response:
    """Answer one feed's schema and figures, and the models that were put into it."""
    read_query(NoQuery)
    runtime = current_site().runtime
    return json_response({**runtime.feed(feed), "promotions": runtime.promotions.of_feed(feed)})


@blueprint.put("/feeds/<feed>")
@operation(
    query=NoQuery,
    body={JSON: Declaration, TOML[0]: str},
    answers={200: FeedState, 201: FeedState},
    raises=(FeedName, SchemaError, SchemaConflict, LogFailure),
)
def put_feed(feed: str) -> Response:
    """Declare a feed's schema, as TOML or JSON of the same shape: 201 if that changed it, 200 if equal."""
    read_query(NoQuery)
    created, description = current_site().runtime.declare(feed, _read_schema())
    return json_response(description, 201 if created else 200)


@blueprint.post("/feeds/<feed>/events")
@operation(
    query=PostQuery,
    headers=EventsHeaders,
    body=RECORDS,
    answers={202: Ack, 422: Ack},
    raises=(
        FeedName,
        BatchConflict,
        Overloaded,
        LogFailure,
        Refused(400, "bad_idempotency_key", "The key is too long, or comes with producer and batch."),
    ),
)
def post_events(feed: str) -> Response:
    """Take records; answered once they are durable. 422 when there were records and none was acceptable."""
    query = read_query(PostQuery)
    key = request.headers.get("Idempotency-Key")
    if (query.producer is None) != (query.batch is None):
        missing = "batch" if query.batch is None else "producer"
        raise RequestError(
            400, "bad_query", f"producer and batch go together, {missing} is missing", field=missing
        )
    if key is not None and (query.producer is not None or not 1 <= len(key) <= 200):
        raise RequestError(
            400,
            "bad_idempotency_key",
            "expected an Idempotency-Key of 1 to 200 characters, and not together with producer and batch",
            field="Idempotency-Key",
        )
    ack = current_site().runtime.post(
        feed,
        read_body(),
        request.content_type,
        idempotency_key=key,
        producer=query.producer,
        batch=query.batch,
    )
    return json_response(ack, 422 if ack.rejected and not ack.accepted and not ack.shed else 202)


@blueprint.get("/feeds/<feed>/alerts")
@operation(query=AlertsQuery, answers={200: AlertList}, raises=(UnknownFeed,))
def list_alerts(feed: str) -> Response:
    """List alerts by seq, ascending; `next` is what to pass as `after` for more, or null."""
    query = read_query(AlertsQuery)
    wanted = query.wanted(query.incident)
    return json_response(AlertList(*current_site().runtime.alerts(feed, query.after, query.limit, wanted)))


@blueprint.get("/alerts/<alert_id>")
@operation(query=NoQuery, answers={200: Alert}, raises=(UnknownAlert,))
def get_alert(alert_id: str) -> Response:
    """Answer one alert."""
    read_query(NoQuery)
    return json_response(current_site().runtime.alert(alert_id))


@blueprint.get("/feeds/<feed>/events/<seq>")
@operation(
    query=NoQuery,
    answers={200: Event},
    raises=(
        UnknownFeed,
        UnknownEvent,
        RecordGone,
        LogDamaged,
        BAD_SEQ,
    ),
)
def get_event(feed: str, seq: str) -> Response:
    """Answer one record with its score and the reasons, or why there are none."""
    read_query(NoQuery)
    return json_response(current_site().runtime.event(feed, _read_seq(seq)))


class HistoryQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?entity=&before=&after=`: the field whose value is followed, and how many records around the one."""

    entity: Annotated[str, Meta(min_length=1, max_length=500)]
    before: Annotated[int, Meta(ge=1, le=1000)] = 200
    after: Annotated[int, Meta(ge=0, le=1000)] = 50


@blueprint.get("/feeds/<feed>/events/<seq>/history")
@operation(
    query=HistoryQuery,
    answers={200: History},
    raises=(UnknownFeed, UnknownEvent, LogDamaged, BAD_SEQ),
)
def get_history(feed: str, seq: str) -> Response:
    """Answer the records around one with the same value of a field: what an entity did before and after."""
    query = read_query(HistoryQuery)
    runtime = current_site().runtime
    runtime.feed(feed)
    return json_response(runtime.events.alike(feed, _read_seq(seq), query.entity, query.before, query.after))


def _read_seq(seq: str) -> int:
    if not (seq.isascii() and seq.isdigit() and len(seq) <= 18 and int(seq) >= 1):
        raise RequestError(
            400, "bad_seq", f"expected a whole number from 1 as seq, got {seq[:40]!r}", field="seq"
        )
    return int(seq)


def _read_schema() -> FeedSchema:
    """Read a declaration; JSON by its type or its first character, TOML otherwise."""
    body = read_body()
    media = request.mimetype
    if media not in (JSON, *SNIFFED, *TOML):
        raise UnsupportedMedia(f"expected {TOML[0]} or {JSON}, got {shorten(media)}", field="Content-Type")
    try:
        if media == JSON or (media in SNIFFED and body.lstrip()[:1] == b"{"):
            return FeedSchema.from_mapping(msgspec.json.decode(body))
        return FeedSchema.from_toml(body)
    except msgspec.DecodeError as error:
        raise UnreadableBody(f"the declaration is not JSON: {error}") from error
    except RecursionError as error:
        raise UnreadableBody("the declaration is nested too deeply") from error
