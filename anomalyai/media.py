"""Bodies of HTTP requests: from a media type, or by looking at the first bytes, to a source of records."""

from __future__ import annotations

from typing import Final

import msgspec

from anomalyai.decode_source import RowSource, Source
from anomalyai.decode_split import split_concatenated
from anomalyai.errors import UnreadableBody, UnsupportedMedia, shorten

__all__ = ["CSV", "JSON", "NDJSON", "SNIFFED", "media_of", "source_of_json", "source_of_lines"]

JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
CSV: Final = "text/csv"
SNIFFED: Final = ("", "application/x-www-form-urlencoded")
_CHARSETS: Final = ("utf-8", "utf8", "us-ascii", "ascii")
_BLANK: Final = b" \t\r\n"
_BOM: Final = b"\xef\xbb\xbf"


def media_of(content_type: str | None, body: bytes) -> str:
    """Return the media type to read `body` as, sniffed where none or a form type is given.

    >>> media_of("application/json; charset=utf-8", b"")
    'application/json'
    >>> media_of(None, b'amount,label' + bytes([10]) + b'1,0')
    'text/csv'
    """
    essence, *parameters = [part.strip().lower() for part in (content_type or "").split(";")]
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "charset" and value.strip(' "') not in _CHARSETS:
            raise UnsupportedMedia(
                f"expected text in UTF-8, got charset {shorten(value)}",
                field="Content-Type",
                hint="Encode it as UTF-8",
            )
    if essence in (JSON, NDJSON, CSV):
        return essence
    if essence not in SNIFFED:
        raise UnsupportedMedia(
            f"expected {JSON}, {NDJSON} or {CSV}, got {shorten(essence)}",
            field="Content-Type",
            hint="Name the body's type in Content-Type, or leave it out",
        )
    return _sniff(body)


def _sniff(body: bytes) -> str:
    start = body.removeprefix(_BOM).lstrip(_BLANK)
    if start[:1] == b"[":
        return JSON
    if start[:1] == b"{":
        return NDJSON
    if b"\n" in start or b"\r" in start.rstrip(_BLANK):
        return CSV
    shown = shorten(start[:80].decode(errors="replace"))
    if b"," in start:
        raise UnreadableBody(
            f"expected JSON, or CSV with a header line, got one line: {shown}",
            hint="Send files with curl --data-binary @FILE: -d takes the line ends out",
        )
    got = shown if start else "nothing"
    raise UnreadableBody(
        f"expected a JSON object or array, lines of JSON, or CSV with a header line, got {got}",
        hint='Send {"field": value, ...} or an array of such objects',
    )


def source_of_json(body: bytes, max_record_bytes: int) -> Source:
    """Return the records of one JSON object or array; raises `UnreadableBody`."""
    body = body.removeprefix(_BOM).strip(_BLANK)
    if body[:1] == b"[":
        return RowSource(body, None, max_record_bytes)
    if body[:1] != b"{":
        got = shorten(body[:80].decode(errors="replace")) if body else "nothing"
        raise UnreadableBody(
            f"expected a JSON object or array of objects, got {got}",
            hint="Send [{...}, {...}]",
        )
    try:
        msgspec.json.decode(body, type=msgspec.Raw)
        raws = [body]
    except (msgspec.MsgspecError, RecursionError):
        raws = _complete(body)
    if len(raws) != 1:
        raise UnreadableBody(
            f"expected one JSON object or an array, got {len(raws)} objects one after another",
            hint=f"Send them as {NDJSON}, or as an array",
        )
    return RowSource(b"[" + body + b"]", raws, max_record_bytes)


def _complete(body: bytes) -> list[bytes]:
    elements = split_concatenated(body)
    if not elements or not elements[-1].endswith(b"}"):
        raise UnreadableBody(
            f"expected a JSON object that ends with }}, but its {len(body)} bytes end before that",
            code="truncated_body",
            hint="Send the whole object; nothing of it was accepted",
        )
    return elements


def source_of_lines(body: bytes, max_record_bytes: int) -> Source:
    """Return the records of a body with a JSON object a line, or one after another."""
    body = body.removeprefix(_BOM).strip(_BLANK)
    raws = [stripped for line in body.split(b"\n") if (stripped := line.strip(_BLANK))]
    if not raws:
        raise UnreadableBody("expected lines of JSON objects, got nothing", hint="Send one object a line")
    if not (_looks_whole(raws[0]) and _looks_whole(raws[-1])) or b"}{" in body:
        raws = _regrouped(body, raws)
    return RowSource(b"[" + b",".join(raws) + b"]", raws, max_record_bytes)


def _looks_whole(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith(b"}")


def _regrouped(body: bytes, lines: list[bytes]) -> list[bytes]:
    """Return whole objects where they span lines or share one; else the lines, the bad ones among them."""
    if all(_is_json(line) for line in lines):
        return lines
    elements = split_concatenated(body)
    if len(elements) == 1:
        return _complete(body)
    return elements if all(_is_json(element) for element in elements) else lines


def _is_json(raw: bytes) -> bool:
    try:
        msgspec.json.decode(raw, type=msgspec.Raw)
    except (msgspec.MsgspecError, RecursionError):
        return False
    return True
