"""The one error body, as bytes; apart from the rest so that the server's master need not import Flask."""

from __future__ import annotations

import msgspec

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
}
"""The `code` of an error that has only an HTTP status to tell it by."""


def error_body(code: str, message: str, field: str | None = None, hint: str | None = None) -> bytes:
    """Encode the one error body."""
    return msgspec.json.encode({"error": {"code": code, "message": message, "field": field, "hint": hint}})
