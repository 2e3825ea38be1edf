"""One JSON error body for every answer that is not the one asked for.

`{"error": {"code", "message", "field": null|str, "hint": null|str}}`, whatever went wrong and whoever
noticed: a route, Flask's routing (404, 405), the core, the stream, or nobody (500). The handler of the 500 is
the web's one broad `except`: it logs the trace, counts, and tells the client no more than a reference into
the log.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from flask import Flask, Response, current_app, g, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, RequestEntityTooLarge
from werkzeug.routing import RequestRedirect, WebsocketMismatch

from anomalyai.errors import (
    AnomalyAIError,
    ModelError,
    SchemaConflict,
    SchemaError,
    StateError,
    TooLarge,
    UnreadableBody,
    UnsupportedMedia,
)
from stream.errors import (
    BatchConflict,
    DatabaseDamaged,
    DiskFull,
    FeedName,
    JobFinished,
    LogDamaged,
    LogFailure,
    MuteRefused,
    NoEarlierModel,
    NoModel,
    NoShadow,
    NotReady,
    Overloaded,
    RecordGone,
    RetrainingRuns,
    Superseded,
    UnknownAlert,
    UnknownEvent,
    UnknownFeed,
    UnknownIncident,
    UnknownJob,
    UnknownMute,
)
from web.answer import HTTP_CODES, error_body
from web.refusal import RequestError
from web.site import current_site

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = logging.getLogger("anomalyai.web")

STATUS: tuple[tuple[type[AnomalyAIError], int], ...] = (
    (UnreadableBody, 400),
    (TooLarge, 413),
    (UnsupportedMedia, 415),
    (SchemaConflict, 409),
    (SchemaError, 400),
    (FeedName, 400),
    (UnknownFeed, 404),
    (UnknownAlert, 404),
    (UnknownEvent, 404),
    (UnknownIncident, 404),
    (UnknownMute, 404),
    (MuteRefused, 400),
    (NoModel, 409),
    (NoEarlierModel, 409),
    (NoShadow, 409),
    (RetrainingRuns, 409),
    (UnknownJob, 404),
    (JobFinished, 409),
    (DiskFull, 507),
    (BatchConflict, 409),
    (Superseded, 409),
    (Overloaded, 429),
    (NotReady, 503),
    (LogFailure, 503),
    (DatabaseDamaged, 503),
    (LogDamaged, 410),
    (RecordGone, 410),
    (ModelError, 409),
    (StateError, 409),
)
"""The HTTP status of each error of the core and the stream; the first class that fits counts."""


def status_of(error: AnomalyAIError) -> int:
    """Return the HTTP status for an error of ours; 400 for one that no rule names."""
    if isinstance(error, RequestError):
        return error.status
    return next((status for kind, status in STATUS if isinstance(error, kind)), 400)


def init_app(app: Flask) -> None:
    """Answer every error of the application with the one body."""
    app.register_error_handler(AnomalyAIError, _known)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _known(error: AnomalyAIError) -> Response:
    response = _respond(status_of(error), error.code, error.message, error.field, error.hint)
    retry_after_s = getattr(error, "retry_after_s", None)
    if retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(retry_after_s)))
    return response


def _http(error: HTTPException) -> Response:
    if isinstance(error, RequestRedirect):
        return error.get_response(request.environ)  # type: ignore[return-value]
    status = error.code or 500
    response = _respond(status, HTTP_CODES.get(status, f"http_{status}"), *_explain(error))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def _explain(error: HTTPException) -> tuple[str, str | None, str | None]:
    """Return (message, field, hint) for an error that Flask or Werkzeug raised."""
    if isinstance(error, WebsocketMismatch):
        return (
            f"expected a WebSocket upgrade on {request.path}"
            if request.path.endswith(("/ingest", "/live"))
            else f"{request.path} is not a WebSocket",
            None,
            "connect with ws:// to .../ingest or .../live; everything else is plain HTTP",
        )
    if isinstance(error, MethodNotAllowed):
        return f"{request.method} is not possible on {request.path}", None, "see the Allow header"
    if isinstance(error, RequestEntityTooLarge):
        limit = current_app.config["MAX_CONTENT_LENGTH"]
        return f"the body is larger than {limit} bytes", None, "send it in smaller parts"
    if error.code == 404:
        return f"there is nothing at {request.path}", None, "GET /feeds lists the feeds"
    return error.description or error.name, None, None


def _unexpected(error: Exception) -> Response:
    """Answer what nobody foresaw: logged with a reference, counted, never shown to the client."""
    reference = uuid.uuid4().hex[:12]
    current_site().metrics.internal_errors.inc()
    log.error("internal error %s on %s %s", reference, request.method, request.path, exc_info=error)
    return _respond(
        500,
        "internal",
        f"an internal error, reference {reference}",
        None,
        "the server's log has the details under this reference",
    )


def _respond(status: int, code: str, message: str, field: str | None, hint: str | None) -> Response:
    if g.get("upgraded"):
        return UpgradedResponse()
    return Response(error_body(code, message, field, hint), status=status, mimetype="application/json")


class UpgradedResponse(Response):
    """The end of a request whose connection has become a WebSocket: nothing more may be written to it."""

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """End the request the way flask-sock does under gunicorn."""
        raise StopIteration


def json_response(body: Any, status: int = 200) -> Response:
    """Encode an answer; non-finite numbers become null."""
    return Response(msgspec.json.encode(body), status=status, mimetype="application/json")
