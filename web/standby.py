"""What a server answers whose database is damaged: it lives, is not ready, and says what helps.

`/healthz` is 200; `/readyz` is 503 with the cause; everything else is 503 with the one error body.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from stream.errors import DatabaseDamaged
from web.answer import error_body

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Standby:
    """The WSGI application of a server that could not open its database."""

    def __init__(self, error: DatabaseDamaged) -> None:
        self._error = error

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        status, error = "503 Service Unavailable", self._error
        if environ["PATH_INFO"] == "/healthz":
            status, body = "200 OK", msgspec.json.encode({"status": "ok"})
        elif environ["PATH_INFO"] == "/readyz":
            body = msgspec.json.encode({"ready": False, "causes": [str(error)]})
        else:
            body = error_body(error.code, error.message, error.field, error.hint)
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        start_response(status, headers)
        return [body]
