"""The one error body, as bytes; apart from the rest so that the server's master need not import Flask."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

HTTP_CODES = {
    400: "bad_request",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    411: "length_required",
    413: "too_large",
    414: "address_too_long",
    415: "unsupported_media",
    417: "expectation_failed",
    429: "overloaded",
    431: "headers_too_large",
    500: "internal",
    501: "not_implemented",
    503: "unavailable",
    507: "disk_full",
}
"""The `code` of an error that has only an HTTP status to tell it by."""


class Error(msgspec.Struct, frozen=True):
    """What went wrong: what was expected, what came, what to do."""

    code: Annotated[str, Meta(description="A stable word for programs.")]
    message: Annotated[str, Meta(description="What was expected and what came.")]
    field: Annotated[str | None, Meta(description="The field, parameter or header at fault.")]
    hint: Annotated[str | None, Meta(description="What to do.")]


class ErrorBody(msgspec.Struct, frozen=True):
    """The one error body."""

    error: Error


def error_body(code: str, message: str, field: str | None = None, hint: str | None = None) -> bytes:
    """Encode the one error body."""
    return msgspec.json.encode(ErrorBody(Error(code, message, field, hint)))
