"""`POST /predict`: score records against a feed without changing its state; JSON or CSV in and out."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from anomalyai.media import CSV, JSON
from anomalyai.predict import Prediction
from anomalyai.records import Rejection
from stream.errors import NoModel, UnknownFeed
from web.body import read_body
from web.contract.operation import Refused, operation
from web.contract.record import RECORDS, Csv
from web.errors import json_response
from web.query import read_query
from web.refusal import RequestError
from web.site import current_site

blueprint = Blueprint("predict", __name__)

COLUMNS = ("index", "score", "one_in", "anomaly", "verdict", "reasons")


class PredictQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?feed=&model=`: which feed's state to score against, and which model that must be."""

    feed: Annotated[str, Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1)] | None = None


class PredictAnswer(msgspec.Struct, frozen=True):
    """Predictions in the order of the records, and what could not be read as one."""

    model: str
    predictions: list[Prediction]
    rejected: list[Rejection]


@blueprint.post("/predict")
@operation(
    query=PredictQuery,
    body=RECORDS,
    answers={200: {JSON: PredictAnswer, CSV: Csv}},
    raises=(UnknownFeed, NoModel, Refused(409, "other_model", "The feed's model is another one.")),
)
def predict() -> Response:
    """Score the records of the body; CSV where the client asks for it, JSON otherwise."""
    query = read_query(PredictQuery)
    result = current_site().runtime.predict(query.feed, read_body(), request.content_type)
    if query.model is not None and query.model != result["model"]:
        raise RequestError(
            409,
            "other_model",
            f"expected model {query.model[:80]!r}, the feed {query.feed!r} has {result['model']!r}",
            field="model",
            hint="leave model out to use the feed's own",
        )
    offered = request.accept_mimetypes.best_match(
        ["application/json", "text/csv"], default="application/json"
    )
    if offered == "text/csv":
        return Response(_as_csv(result["predictions"]), mimetype="text/csv")
    return json_response(result)


def _as_csv(predictions: Sequence[Any]) -> str:
    """Write one row a prediction; reasons are their texts, joined by '; '."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for prediction in predictions:
        row: Mapping[str, Any] = msgspec.to_builtins(prediction)
        reasons = "; ".join(str(reason["text"]) for reason in row.get("reasons") or ())
        anomaly = "true" if row["anomaly"] else "false"
        rows.writerow([row["index"], row["score"], row["one_in"], anomaly, row["verdict"], reasons])
    return text.getvalue()
