"""`POST /predict`: score records against a feed without changing its state; JSON or CSV in and out.

Large files are scored part by part, and the answer is sent as it comes, so that neither is in memory whole.
"""

from __future__ import annotations

import csv
import io
import logging
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain
from typing import Annotated, Any

import msgspec
from flask import Blueprint, Response, request
from msgspec import Meta

from anomalyai.errors import AnomalyAIError, ModelError
from anomalyai.media import CSV, JSON
from anomalyai.predict import Prediction
from anomalyai.records import Rejection
from stream.errors import NoModel, UnknownFeed
from stream.prediction import Forecast, Part
from web.contract.operation import Refused, operation
from web.contract.record import RECORDS, Csv
from web.known_model import UNKNOWN, known_model
from web.query import read_query
from web.site import current_site
from web.spool import FORM, Limits, Upload, receive

blueprint = Blueprint("predict", __name__)

COLUMNS = ("index", "score", "one_in", "anomaly", "verdict", "reasons")
AT_ONCE_BYTES = 1 << 20
"""An answer of at most so many bytes is sent whole; errors up to here have their own status."""

REJECTED_BYTES = 1 << 20
"""Rejections in memory; more of them wait on disk."""

log = logging.getLogger("anomalyai.web")


class PredictQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`?feed=&model=`: which feed's state to score against, and which model instead of the feed's own."""

    feed: Annotated[str, Meta(min_length=1)]
    model: Annotated[str, Meta(min_length=1)] | None = None


class PredictForm(msgspec.Struct, frozen=True):
    """A form with one file."""

    file: Annotated[
        str,
        Meta(
            description="CSV with a header, NDJSON or a JSON array; gzip too.",
            extra_json_schema={"format": "binary"},
        ),
    ]


class PredictAnswer(msgspec.Struct, frozen=True):
    """Predictions in the order of the records, and what could not be read as one."""

    model: str
    predictions: list[Prediction]
    rejected: list[Rejection]


@blueprint.post("/predict")
@operation(
    query=PredictQuery,
    body={**RECORDS, FORM: PredictForm},
    answers={200: {JSON: PredictAnswer, CSV: Csv}},
    raises=(UnknownFeed, NoModel, ModelError, UNKNOWN, Refused(400, "bad_form", "A form without one file.")),
)
def predict() -> Response:
    """Score the records of the body; CSV where the client asks for it, JSON otherwise.

    A feed without records is taken as the model's training data left it. An answer that breaks off could not
    read the rest of its file.
    """
    query = read_query(PredictQuery)
    site = current_site()
    limits = Limits(
        site.settings.predict.max_upload_bytes,
        "predict.max_upload_bytes",
        site.settings.server.max_body_bytes,
    )
    upload = receive(site.runtime.predictions.folder, limits)
    answered = False
    try:
        with known_model(query.model, "model"):
            forecast = site.runtime.predictions.begin(query.feed, upload.source, query.model)
        response = _answer(forecast, upload)
        answered = True
        return response
    finally:
        if not answered:
            upload.remove()


def _answer(forecast: Forecast, upload: Upload) -> Response:
    """Return the answer: whole where it is short, else from what was made of it so far on."""
    best = request.accept_mimetypes.best_match([JSON, CSV], default=JSON)
    write: Callable[[Forecast, Iterator[Part]], Iterator[bytes]] = _as_csv if best == CSV else _as_json
    rest = write(forecast, forecast.parts())
    begun: list[bytes] = []
    size = 0
    for piece in rest:
        begun.append(piece)
        size += len(piece)
        if size > AT_ONCE_BYTES:
            response = Response(_guarded(chain(begun, rest)), mimetype=best)
            response.call_on_close(upload.remove)
            return response
    upload.remove()
    return Response(b"".join(begun), mimetype=best)


def _guarded(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Pass pieces on; what cannot be read ends the connection, so that no one takes the answer for whole."""
    try:
        yield from pieces
    except AnomalyAIError as error:
        log.warning("a prediction broke off: %s", error)
        raise


def _as_json(forecast: Forecast, parts: Iterator[Part]) -> Iterator[bytes]:
    yield b'{"model":' + msgspec.json.encode(forecast.model) + b',"predictions":['
    with tempfile.SpooledTemporaryFile(REJECTED_BYTES) as rejected:
        between = b""
        for part in parts:
            if part.predictions:
                yield between + msgspec.json.encode(part.predictions)[1:-1]
                between = b","
            if part.rejected:
                rejected.write((b"," if rejected.tell() else b"") + msgspec.json.encode(part.rejected)[1:-1])
        yield b'],"rejected":['
        rejected.seek(0)
        while piece := rejected.read(REJECTED_BYTES):
            yield piece
        yield b"]}"


def _as_csv(_: Forecast, parts: Iterator[Part]) -> Iterator[bytes]:
    """Write one row a prediction; reasons are their texts, joined by '; '."""
    yield (",".join(COLUMNS) + "\n").encode()
    for part in parts:
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        for found in part.predictions:
            reasons = "; ".join(reason.text for reason in found.reasons)
            row: list[Any] = [found.index, found.score, found.one_in, "true" if found.anomaly else "false"]
            rows.writerow([*row, found.verdict, reasons])
        yield text.getvalue().encode()
