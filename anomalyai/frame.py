"""Socket frames: an object, an array, lines, or an envelope with the producer's batch number.

An envelope has exactly the keys `batch` and `records`, or `batch` and `columns`. Anything else that is an
object is a record, whatever its keys.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType

from anomalyai.errors import UnreadableBody, shorten

__all__ = ["Form", "Frame", "open_frame"]

Form = Literal["rows", "ndjson", "columns"]

MAX_BATCH: Final = 2**53

_BLANK: Final = b" \t\r\n"
_HEAD: Final = re.compile(rb'\{\s*"batch"\s*:\s*([^\s,"{}\[\]]+)\s*,\s*"(records|columns)"\s*:\s*(?=[\[{])')
_FRONT: Final = re.compile(rb'\{\s*"(records|columns)"\s*:\s*(?=[\[{])')
_TAIL: Final = re.compile(rb',\s*"batch"\s*:\s*([^\s,"{}\[\]]+)\s*\}\Z')


class Frame(msgspec.Struct, frozen=True):
    """One frame: the batch number it names, if any, the form of its body, and the body's bytes."""

    batch: int | None
    form: Form
    body: bytes


class _Envelope(msgspec.Struct, forbid_unknown_fields=True):
    batch: Raw
    records: Raw | UnsetType = UNSET
    columns: Raw | UnsetType = UNSET


_envelope = msgspec.json.Decoder(_Envelope)


def open_frame(data: bytes | str) -> Frame:
    """Tell what a frame holds without reading its records; raises `UnreadableBody`.

    >>> open_frame('{"batch": 7, "records": [{"a": 1}]}')
    Frame(batch=7, form='rows', body=b'[{"a": 1}]')
    >>> open_frame('{"batch": 7, "amount": 2}').batch is None
    True
    """
    body = (data.encode(errors="surrogatepass") if isinstance(data, str) else data).strip(_BLANK)
    first = body[:1]
    if first == b"[":
        return Frame(None, "rows", body)
    if first != b"{":
        got = shorten(body[:80].decode(errors="replace")) if body else "nothing"
        raise UnreadableBody(
            f"expected a JSON object, array, lines of objects or an envelope, got {got}",
            hint='Send {"batch": 1, "records": [{...}, ...]}',
        )
    try:
        envelope = _envelope.decode(body)
    except msgspec.ValidationError:
        return Frame(None, "ndjson", body)  # other keys: a record, or several
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _broken_envelope(body) or Frame(None, "ndjson", body)
    if (envelope.records is UNSET) == (envelope.columns is UNSET):
        return Frame(None, "ndjson", body)
    batch = _batch(bytes(envelope.batch))
    if envelope.columns is not UNSET:
        return Frame(batch, "columns", bytes(envelope.columns))
    return Frame(batch, "rows", bytes(envelope.records))  # type: ignore[arg-type]


def _broken_envelope(body: bytes) -> Frame | None:
    """Open an envelope whose records `msgspec` cannot skip over, such as those with a NaN among them."""
    head = _HEAD.match(body)
    if head is not None and body.endswith(b"}"):
        return _frame(head[1], head[2], body[head.end() : -1].rstrip(_BLANK))
    front, tail = _FRONT.match(body), _TAIL.search(body, max(0, len(body) - 200))
    if front is not None and tail is not None:
        return _frame(tail[1], front[1], body[front.end() : tail.start()].rstrip(_BLANK))
    return None


def _frame(batch: bytes, key: bytes, body: bytes) -> Frame | None:
    if not body.endswith((b"]", b"}")):
        return None
    return Frame(_batch(batch), "rows" if key == b"records" else "columns", body)


def _batch(text: bytes) -> int:
    try:
        batch = msgspec.json.decode(text, type=int)
    except msgspec.MsgspecError:
        batch = 0
    if not 1 <= batch <= MAX_BATCH:
        raise UnreadableBody(
            f"expected 'batch' to be a whole number from 1, got {shorten(text.decode(errors='replace'))}",
            field="batch",
            hint="Number a producer's batches 1, 2, 3, ...",
        )
    return batch
