"""The trained models of the data directory: which there are, putting one into a feed, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from flask import Blueprint, Response
from msgspec import Meta

from anomalyai.errors import ModelError, SchemaConflict
from anomalyai.manifest import Manifest
from anomalyai.media import JSON
from anomalyai.model_store import RefusedModel
from anomalyai.training import ALGORITHMS
from stream.champion.past import Promotion
from stream.champion.promotion import MAX_NOTE_CHARS, Promoted
from stream.errors import FeedName, LogFailure, NoEarlierModel, UnknownFeed
from web.body import read_body, read_json
from web.contract.operation import operation
from web.errors import json_response
from web.known_model import UNKNOWN, known_model
from web.page import HTML, prefers_page, render_page
from web.query import NoQuery, read_query
from web.site import current_site

blueprint = Blueprint("models", __name__)

Note = Annotated[str, Meta(max_length=MAX_NOTE_CHARS, description="Kept with it in the log.")]


class ModelsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?feed=`: only the models trained for that feed."""

    feed: Annotated[str, Meta(min_length=1)] | None = None


class ModelList(msgspec.Struct, frozen=True):
    """Models, by id, and those that are there and are refused."""

    models: Sequence[Manifest]
    refused: Sequence[RefusedModel]


class ModelState(Manifest, frozen=True, kw_only=True):
    """A manifest, the feeds that the model scores now, and when it was put into which."""

    champion_of: list[str]
    promoted: list[Promotion]


class PromoteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a promotion may say; nothing has to be said."""

    feed: (
        Annotated[str, Meta(min_length=1, description="The feed; the one it was trained for if absent.")]
        | None
    ) = None
    note: Note | None = None


class RollbackBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a rollback may say; nothing has to be said."""

    note: Note | None = None


@blueprint.get("/models")
@operation(query=ModelsQuery, answers={200: {JSON: ModelList, HTML: str}})
def list_models() -> Response:
    """List the models by id, of one feed where it is given, and those refused; a page for browsers."""
    feed = read_query(ModelsQuery).feed
    if prefers_page():
        answer = render_page("models.html", here="/models", algorithms=ALGORITHMS)
    else:
        models = current_site().runtime.models
        answer = json_response(ModelList([_short(each) for each in models.list(feed)], models.refused(feed)))
    answer.headers["Vary"] = "Accept"
    return answer


@blueprint.get("/models/<model_id>")
@operation(query=NoQuery, answers={200: ModelState}, raises=(UNKNOWN, ModelError))
def get_model(model_id: str) -> Response:
    """Answer one model's manifest, the feeds that it scores, and when it was put into which."""
    read_query(NoQuery)
    runtime = current_site().runtime
    with known_model(model_id):
        manifest = runtime.models.manifest(model_id)
    champion_of, promoted = runtime.promotions.of_model(model_id)
    return json_response(
        ModelState(**msgspec.structs.asdict(_short(manifest)), champion_of=champion_of, promoted=promoted)
    )


@blueprint.post("/models/<model_id>/promote")
@operation(
    query=NoQuery,
    body=PromoteBody,
    answers={200: Promoted},
    raises=(UNKNOWN, UnknownFeed, ModelError, SchemaConflict, FeedName, LogFailure),
)
def promote_model(model_id: str) -> Response:
    """Let a model score a feed from here on; answered once durable, `entry` null if it did already."""
    read_query(NoQuery)
    body = read_json(PromoteBody, read_body())
    with known_model(model_id):
        promoted = current_site().runtime.promotions.promote(body.feed, model_id, by="hand", note=body.note)
    return json_response(promoted)


@blueprint.post("/feeds/<feed>/models/rollback")
@operation(
    query=NoQuery,
    body=RollbackBody,
    answers={200: Promoted},
    raises=(UnknownFeed, NoEarlierModel, ModelError, LogFailure),
)
def roll_back(feed: str) -> Response:
    """Let the model before the present one score the feed again; a second time goes back one further."""
    read_query(NoQuery)
    body = read_json(RollbackBody, read_body())
    return json_response(current_site().runtime.promotions.rollback(feed, by="hand", note=body.note))


def _short(manifest: Manifest) -> Manifest:
    """Return a manifest without the curves of its evaluation, which has a route of its own."""
    figures = {name: value for name, value in manifest.metrics.items() if name != "report"}
    return msgspec.structs.replace(manifest, metrics=figures)
