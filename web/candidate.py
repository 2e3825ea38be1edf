"""Candidates over HTTP: a model in a feed's shadow, and beside the champion as JSON or as a page."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from flask import Blueprint, Response
from msgspec import Meta

from anomalyai.errors import ModelError, SchemaError, UnreadableBody
from anomalyai.media import JSON
from anomalyai.shadow import ShadowCounts
from stream.candidate.comparison import MAX_LAST_RECORDS, RETRY_AFTER_S, Compared
from stream.errors import LogFailure, NoModel, NoShadow, NotReady, Overloaded, UnknownFeed
from web.body import read_body
from web.contract.declaration import Budget
from web.contract.operation import operation, require_stated
from web.errors import json_response
from web.known_model import UNKNOWN, known_model
from web.page import HTML, prefers_page, render_page
from web.query import NoQuery, read_query
from web.site import current_site

blueprint = Blueprint("candidate", __name__)

FeedName = Annotated[str, Meta(min_length=1, description="The feed; the one it was trained for if left out.")]


class ShadowBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be said of a shadow."""

    feed: FeedName | None = None


class ShadowQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?feed=`: whose shadow the model is taken out of."""

    feed: FeedName | None = None


class CompareQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?feed=&last=&budget=`: over the log's last records, or at another budget."""

    feed: FeedName | None = None
    last: (
        Annotated[int, Meta(ge=1, le=MAX_LAST_RECORDS, description="Records of the log, the latest ones.")]
        | None
    ) = None
    budget: Budget | None = None


class ShadowState(msgspec.Struct, frozen=True):
    """A feed's shadow: the candidate's counts, null where there is none."""

    feed: str
    shadow: ShadowCounts | None


class Pending(msgspec.Struct, frozen=True):
    """A comparison that is being worked out; ask again."""

    state: Literal["running"]
    feed: str
    model: str


@blueprint.post("/models/<model_id>/shadow")
@operation(
    query=NoQuery,
    body=ShadowBody,
    answers={200: ShadowState},
    raises=(UNKNOWN, UnreadableBody, UnknownFeed, ModelError, LogFailure, NotReady),
)
def begin_shadow(model_id: str) -> Response:
    """Let a model score a feed's traffic beside its own, without alerting."""
    read_query(NoQuery)
    feed = _read_body().feed
    _require_model(model_id)
    return json_response(ShadowState(**current_site().runtime.shadows.begin(model_id, feed)))


@blueprint.delete("/models/<model_id>/shadow")
@operation(
    query=ShadowQuery,
    answers={200: ShadowState},
    raises=(UNKNOWN, UnknownFeed, ModelError, NoShadow, LogFailure, NotReady),
)
def end_shadow(model_id: str) -> Response:
    """Take a model out of a feed's shadow."""
    feed = read_query(ShadowQuery).feed
    _require_model(model_id)
    return json_response(ShadowState(**current_site().runtime.shadows.end(model_id, feed)))


@blueprint.get("/models/<model_id>/compare")
@operation(
    query=CompareQuery,
    answers={200: {JSON: Compared, HTML: str}, 202: Pending},
    raises=(UNKNOWN, UnknownFeed, ModelError, NoModel, SchemaError, Overloaded, NotReady),
)
def compare(model_id: str) -> Response:
    """Say what a model would add and remove; 202 while that is being worked out; a page for browsers."""
    query = read_query(CompareQuery)
    trained_for = _require_model(model_id)
    if prefers_page():
        page = render_page("compare.html", here="/models")
        page.headers["Vary"] = "Accept"
        return page
    found = current_site().runtime.comparisons.compare(
        model_id, query.feed, last=query.last, budget=query.budget
    )
    if found is None:
        answer = json_response(Pending("running", query.feed or trained_for, model_id), 202)
        answer.headers["Retry-After"] = str(round(RETRY_AFTER_S))
    else:
        answer = json_response(found)
    answer.headers["Vary"] = "Accept"
    return answer


def _require_model(model_id: str) -> str:
    """Return the feed that a model was trained for; 404 where there is no such model."""
    with known_model(model_id):
        return current_site().runtime.models.manifest(model_id).feed


def _read_body() -> ShadowBody:
    require_stated(ShadowBody, "body")
    body = read_body()
    if not body.strip():
        return ShadowBody()
    try:
        return msgspec.json.decode(body, type=ShadowBody)
    except (msgspec.DecodeError, RecursionError) as error:
        text, _, where = str(error).partition(" - at `$.")
        raise UnreadableBody(
            f"expected a JSON object with feed, or nothing: {text}", field=where.rstrip("`") or None
        ) from error
