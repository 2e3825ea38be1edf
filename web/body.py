"""The body of a request as bytes, bounded: whatever its framing, never parsed as a form on the way."""

from __future__ import annotations

import socket
import time
import zlib
from collections.abc import Generator
from typing import Protocol, TypeVar

import msgspec
from flask import request
from gunicorn.http.errors import ParseException
from werkzeug.wsgi import get_input_stream

from anomalyai.errors import TooLarge, UnreadableBody, UnsupportedMedia
from anomalyai.media import SNIFFED, media_of
from web.contract.operation import require_stated
from web.refusal import RequestError
from web.site import current_site

STEP_BYTES = 1 << 20
DRAIN_S, DRAIN_BYTES = 2.0, 256 << 20
GZIP_WINDOW = 31

T = TypeVar("T", bound=msgspec.Struct)


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes:
        """Read at most `size` bytes."""


def read_body() -> bytes:
    """Return the request's body, unpacked if it is gzip.

    Raises
    ------
    TooLarge
        It is, or unpacks to, more than `server.max_body_bytes`.
    UnsupportedMedia
        It has a content encoding other than gzip.
    RequestError
        400: it ended early or is broken; 408: it did not come in time.
    """
    limit = current_site().settings.server.max_body_bytes
    body = b"".join(body_pieces(limit, _too_large(limit)))
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip"):
        return _gunzip(body, limit)
    if encoding != "identity":
        raise UnsupportedMedia(
            f"expected Content-Encoding gzip or none, got {encoding[:40]!r}", field="Content-Encoding"
        )
    return body


def read_json(kind: type[T], body: bytes) -> T:
    """Decode a JSON object to a struct, refusing unknown keys by name; an empty body is an empty object.

    Raises
    ------
    UnreadableBody
        It is no JSON or does not fit.
    UnsupportedMedia
        It is said to be something else.
    """
    require_stated(kind, "body")
    if not body:
        body = b"{}"
    elif request.mimetype not in SNIFFED:
        media_of(request.content_type, body)
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$.")
        unknown = text.partition("unknown field `")[2].rstrip("`") or text.partition("field `")[2].rstrip("`")
        field = where.rstrip("`") or unknown or None
        raise UnreadableBody(f"the body does not fit: {text}", code="bad_body", field=field) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise UnreadableBody(f"expected a JSON object: {error}") from error


def body_pieces(limit: int, too_large: TooLarge) -> Generator[bytes, None, None]:
    """Yield the request's body as it comes, at most `STEP_BYTES` at a time and `limit` in all.

    Where its taker raises in between, the rest is drained.

    Raises
    ------
    TooLarge
        It is more than `limit`: `too_large`.
    RequestError
        As `read_body`.
    """
    declared = request.content_length
    stream = get_input_stream(request.environ)
    if declared is not None and declared > limit:
        drain(stream)
        raise too_large
    size = 0
    while piece := _piece(stream, min(STEP_BYTES, limit + 1 - size), size):
        size += len(piece)
        if size > limit:
            drain(stream)
            raise too_large
        whole = False
        try:
            yield piece
            whole = True
        finally:
            if not whole:
                drain(stream)
    if declared is not None and size < declared:
        raise RequestError(400, "body_incomplete", f"the body ended after {size} of {declared} bytes")


def _piece(stream: _Readable, most: int, size: int) -> bytes:
    try:
        return stream.read(most)
    except (TimeoutError, BlockingIOError) as error:
        raise RequestError(408, "timeout", f"the body stalled after {size} bytes") from error
    except (OSError, ParseException) as error:
        raise RequestError(400, "body_broken", f"the body broke off after {size} bytes: {error}") from error


def drain(stream: _Readable) -> None:
    """Take what an over-long body still brings, bounded: a client that is cut off never sees its answer."""
    connection = request.environ.get("gunicorn.socket")
    if isinstance(connection, socket.socket):
        connection.settimeout(DRAIN_S)
    deadline = time.monotonic() + DRAIN_S
    taken = 0
    try:
        while taken < DRAIN_BYTES and time.monotonic() < deadline and (part := stream.read(STEP_BYTES)):
            taken += len(part)
    except (OSError, ParseException):
        return  # the answer is the same, whether or not anyone is left to read it


def _gunzip(body: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(GZIP_WINDOW)
    try:
        data = unpacker.decompress(body, limit + 1)
    except zlib.error as error:
        raise RequestError(
            400, "body_broken", f"the body is not gzip: {error}", field="Content-Encoding"
        ) from error
    if len(data) > limit:
        raise _too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise RequestError(
            400,
            "body_broken",
            "the gzip body is cut short or followed by something",
            field="Content-Encoding",
        )
    return data


def _too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"expected a body of at most {limit} bytes, got more",
        hint="send it in smaller parts, or raise server.max_body_bytes",
    )
