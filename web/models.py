"""The trained models of the data directory: which there are, and what is known of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from flask import Blueprint, Response
from msgspec import Meta

from anomalyai.errors import ModelError
from anomalyai.manifest import Manifest
from anomalyai.model_store import RefusedModel
from stream.errors import UnknownFeed
from web.contract.operation import Refused, operation
from web.errors import json_response
from web.query import NoQuery, read_query
from web.refusal import RequestError
from web.site import current_site

blueprint = Blueprint("models", __name__)

MISSING = ("model_missing", "model_id")


class ModelsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?feed=`: only the models trained for that feed."""

    feed: Annotated[str, Meta(min_length=1)] | None = None


class ModelList(msgspec.Struct, frozen=True):
    """Models, by id, and those that are refused."""

    models: Sequence[Manifest]
    refused: Sequence[RefusedModel]


@blueprint.get("/models")
@operation(query=ModelsQuery, answers={200: ModelList}, raises=(UnknownFeed,))
def list_models() -> Response:
    """List the models by id, of one feed where it is given, which has to exist; and those refused."""
    feed = read_query(ModelsQuery).feed
    runtime = current_site().runtime
    if feed is not None:
        runtime.feed(feed)
    return json_response(ModelList(runtime.models.list(feed), runtime.models.refused()))


@blueprint.get("/models/<model_id>")
@operation(
    query=NoQuery,
    answers={200: Manifest},
    raises=(Refused(404, "unknown_model", "There is no such model."), ModelError),
)
def get_model(model_id: str) -> Response:
    """Answer one model's manifest."""
    read_query(NoQuery)
    try:
        return json_response(current_site().runtime.models.manifest(model_id))
    except ModelError as error:
        if error.code not in MISSING:
            raise
        message = f"there is no model {model_id[:80]!r}"
        raise RequestError(
            404, "unknown_model", message, field="id", hint="GET /models lists them"
        ) from error
