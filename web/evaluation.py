"""What a model's training found of it, as a page and as JSON."""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, request

from anomalyai.errors import ModelError
from anomalyai.evaluation import Evaluation
from anomalyai.media import JSON
from web.contract.operation import Refused, operation
from web.errors import json_response
from web.known_model import UNKNOWN, known_model
from web.page import HTML, versioned
from web.query import NoQuery, read_query
from web.refusal import RequestError
from web.report.document import html_page
from web.security import policy
from web.site import current_site

NOTHING = Refused(404, "no_report", "The model was not evaluated when it was trained.")

blueprint = Blueprint("evaluation", __name__)


@blueprint.get("/models/<model_id>/report")
@operation(query=NoQuery, answers={200: {HTML: str, JSON: Evaluation}}, raises=(UNKNOWN, NOTHING, ModelError))
def get_report(model_id: str) -> Response:
    """Answer how good a model was on data it was not fitted on, beside simpler scorers; a page, or JSON."""
    read_query(NoQuery)
    with known_model(model_id):
        manifest = current_site().runtime.models.manifest(model_id)
    found = _evaluation(model_id, manifest.metrics)
    if request.accept_mimetypes.best_match([HTML, JSON], default=HTML) == JSON:
        answer = json_response(found)
    else:
        answer = Response(versioned(html_page(found)), mimetype=HTML)
        # Plotly sets inline styles; scripts stay those of this server
        answer.headers["Content-Security-Policy"] = policy(loose_styles=True)
    answer.headers["Vary"] = "Accept"
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _evaluation(model_id: str, metrics: dict[str, Any]) -> Evaluation:
    report = metrics.get("report")
    if report is None:
        raise RequestError(
            404,
            "no_report",
            f"model {model_id!r} was not evaluated when it was trained",
            hint="A training does it where it has records enough; anomalyai evaluate does it on a file",
        )
    found = msgspec.convert(report, Evaluation)
    return msgspec.structs.replace(found, basis=msgspec.structs.replace(found.basis, scorer=model_id))
