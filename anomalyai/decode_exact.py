"""Exact reading of one record: slower than the compiled structs, and able to say what is wrong with it.

Whatever the fast path of `decode` refuses comes here: new fields, nested objects, and every fault. A fault is
a `RecordError` with the field and a text for the producer; it concerns this record alone.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from anomalyai.decode import label_value, strict
from anomalyai.errors import shorten
from anomalyai.inference import type_of
from anomalyai.schema import MAX_NAME_CHARS, FeedSchema, Field, JsonType, Kind
from anomalyai.timestamp import parse_text

__all__ = [
    "FLOAT_BOUND",
    "MAX_DEPTH",
    "NotANumber",
    "RecordError",
    "check",
    "flatten",
    "parse",
    "parse_document",
]

MAX_DEPTH: Final = 4
"""Parts a dotted field name may have: `a.b.c.d` is read, one level more is refused."""

MAX_ARRAY_DEPTH: Final = 16
"""How deep arrays, and objects within them, may nest."""

MAX_INTEGER_DIGITS: Final = 4_300
"""Longest integer literal that is read, sign included; where the typed decoder ends too."""

FLOAT_BOUND: Final = 2**1024 - 2**970
"""Integers from here on round to infinity."""


_SOUND: Final = frozenset({int, float, bool, type(None)})
_NESTING: Final = frozenset({dict, list})


class RecordError(Exception):
    """One record cannot be taken. `field` names the culprit, or is None; `text` is for the producer.

    `mistyped` tells that a known field had a value of another type, which declaring the schema anew may mend.
    """

    def __init__(self, field: str | None, text: str, *, mistyped: bool = False) -> None:
        super().__init__(text)
        self.field = (
            field if field is None or len(field) <= MAX_NAME_CHARS else f"{field[:MAX_NAME_CHARS]}..."
        )
        self.text = text
        self.mistyped = mistyped


class NotANumber(str):
    """A number literal that JSON or float64 has no room for, kept as its text until its field is known."""


def parse(raw: bytes, max_bytes: int) -> dict[str, Any]:
    """Parse one record's JSON; raises `RecordError`.

    Non-finite numbers become `NotANumber`, so that `flatten` can name their field.
    """
    if len(raw) > max_bytes:
        raise too_large(len(raw), max_bytes)
    value = parse_document(raw)
    if not isinstance(value, dict):
        raise RecordError(None, f"expected a JSON object, got {describe(value)}; send each record as {{...}}")
    return value


def too_large(size_bytes: int, max_bytes: int) -> RecordError:
    """Return the error for a record above its size limit."""
    return RecordError(
        None,
        f"expected a record of at most {max_bytes} bytes, got {size_bytes}; leave out or shorten long values",
    )


def parse_document(raw: bytes) -> Any:
    """Parse JSON strictly: UTF-8, no key twice in an object; raises `RecordError`."""
    try:
        value: Any = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        pass  # the reading below finds out why
    else:
        if (
            value.__class__ in _NESTING
            and b"\\" not in raw
            and raw.count(b'"') == _quotes(value, MAX_ARRAY_DEPTH)
        ):
            return value
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        byte = raw[error.start]
        raise RecordError(
            None, f"expected UTF-8, but byte {error.start} of the record is 0x{byte:02x}; encode it as UTF-8"
        ) from error
    try:
        return _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise RecordError(
            None, f"expected valid JSON: {error.msg} at character {error.pos} of the record"
        ) from error
    except RecursionError as error:
        raise RecordError(
            None, f"expected at most {MAX_DEPTH} nested levels, got far more; flatten it"
        ) from error


def _quotes(value: Any, depth: int) -> int:
    """Return how many quotes a value's JSON without escapes has, if no key occurs twice in it.

    Values that nest deeper than `depth` are not looked at, so that their quotes are missing.
    """
    keys = 2 * len(value) if value.__class__ is dict else 0
    inner = value.values() if value.__class__ is dict else value
    quotes = keys
    for item in inner:
        if item.__class__ is str:
            quotes += 2
        elif depth and item.__class__ in _NESTING:
            quotes += _quotes(item, depth - 1)
    return quotes


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise RecordError(key, f"expected each key once, got {shorten(key)} twice; send it once")
            seen.add(key)
    return found


def _float(text: str) -> float | NotANumber:
    value = float(text)
    return value if math.isfinite(value) else NotANumber(text)


def _integer(text: str) -> int | NotANumber:
    return int(text) if len(text) <= MAX_INTEGER_DIGITS else NotANumber(text)


_decoder: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_float, parse_int=_integer, parse_constant=NotANumber
)


def flatten(record: Mapping[str, Any], schema: FeedSchema) -> dict[str, Any]:
    """Return the record with nested objects as dotted names; raises `RecordError`."""
    flat: dict[str, Any] = {}
    _flatten(record, "", 1, schema, flat)
    return flat


def _flatten(
    record: Mapping[str, Any], prefix: str, depth: int, schema: FeedSchema, flat: dict[str, Any]
) -> None:
    for key, value in record.items():
        name = prefix + key if prefix else key
        if len(name) > MAX_NAME_CHARS:
            text = f"expected a field name of at most {MAX_NAME_CHARS} characters, got {len(name)}"
            raise RecordError(name, text)
        if value.__class__ is dict and not _is_left_alone(schema.by_name.get(name)):
            field = schema.by_name.get(name)
            if field is not None:
                raise RecordError(name, wrong_type(field, value), mistyped=True)
            if depth >= MAX_DEPTH:
                raise RecordError(name, f"expected at most {MAX_DEPTH} nested levels, got more; flatten it")
            _flatten(value, f"{name}.", depth + 1, schema, flat)
            continue
        if value.__class__ not in _SOUND and not (value.__class__ is str and value.isascii()):
            _require_sound(name, value)
        if name in flat:
            raise RecordError(name, f"expected each field once, got {shorten(name)} both dotted and nested")
        flat[name] = value


def _is_left_alone(field: Field | None) -> bool:
    """Tell whether the field is declared as ignored, so that its values may be anything."""
    return field is not None and field.kind is Kind.IGNORE and field.declared


def _require_sound(name: str, value: Any) -> None:
    """Raise for half surrogates in texts, and for arrays that are too deep or hold no JSON numbers."""
    level, depth = [value], 0
    while level:
        for item in level:
            if isinstance(item, NotANumber):
                raise RecordError(name, _not_a_number(item))
            if isinstance(item, str) and _has_surrogate(item):
                text = "expected Unicode text, got half of a surrogate pair; send both halves or neither"
                raise RecordError(name, text)
        nests = [item for item in level if isinstance(item, list | dict)]
        if nests and depth == MAX_ARRAY_DEPTH:
            raise RecordError(name, f"expected arrays nested at most {MAX_ARRAY_DEPTH} deep; flatten it")
        depth += 1
        level = [inner for item in nests for inner in _inner(item)]


def _inner(item: list[Any] | dict[str, Any]) -> Iterable[Any]:
    return item if isinstance(item, list) else item.values()


def _has_surrogate(text: str) -> bool:
    return not text.isascii() and any("\ud800" <= c <= "\udfff" for c in text)


def _not_a_number(value: str) -> str:
    if value in ("NaN", "Infinity", "-Infinity"):
        return (
            f"expected a finite number, got {value}, which JSON does not have; send null where it is missing"
        )
    shown = shorten(str(value))[1:-1]
    return f"expected a number within the range of a 64-bit float, got {shown}; send it as a string"


def check(values: Mapping[str, Any], schema: FeedSchema) -> dict[str, JsonType]:
    """Check flattened values against the schema; raises `RecordError`.

    Returns
    -------
    dict
        JSON types of the fields that the schema has no type for yet, in record order: fields that are new,
        and declared ones that hold their first value.
    """
    fresh: dict[str, JsonType] = {}
    plain = schema.plain_types
    for name, value in values.items():
        if value is None or value.__class__ is plain.get(name):
            continue
        field = schema.by_name.get(name)
        if field is None:
            _require_range(name, value)
            fresh[name] = type_of(value)
        elif not _is_left_alone(field):
            _check_value(field, value, schema)
            if field.type is JsonType.UNKNOWN:
                fresh[name] = type_of(value)
    return fresh


def fitting(record: Mapping[str, Any], schema: FeedSchema) -> dict[str, Any]:
    """Return a sound record flattened, without the values that do not fit a schema later than its own.

    An object may have become a plain field since, and a type may have been declared anew.
    """
    while True:
        try:
            values = flatten(record, schema)
            check(values, schema)
        except RecordError as error:
            fewer = _without(record, error.field or "")
            if fewer == record:
                raise
            record = fewer
        else:
            return values


def _without(record: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a record without the value of this dotted name."""
    kept: dict[str, Any] = {}
    for key, value in record.items():
        if key == name:
            continue
        inside = isinstance(value, dict) and name.startswith(f"{key}.")
        kept[key] = _without(value, name[len(key) + 1 :]) if inside else value
    return kept


def _require_range(name: str, value: Any) -> None:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= FLOAT_BOUND:
        raise RecordError(name, _not_a_number(str(value)))


def _check_value(field: Field, value: Any, schema: FeedSchema) -> None:
    if type_of(value) not in _allowed(field) or (
        field.declared and field.kind in (Kind.ENTITY, Kind.ID) and isinstance(value, float)
    ):
        raise RecordError(field.name, wrong_type(field, value), mistyped=True)
    if field.kind in (Kind.NUMBER, Kind.TIME):
        _require_range(field.name, value)
    if not strict(schema, field):
        return
    if field.kind is Kind.TIME and isinstance(value, str) and math.isnan(parse_text(value)):
        raise RecordError(
            field.name,
            f"expected an ISO 8601 time or epoch seconds, got {shorten(value)}; send 2026-01-31T12:00:00Z",
        )
    if field.kind is Kind.LABEL and math.isnan(label_value(value)):
        raise RecordError(field.name, f"expected a label of 0 or 1, got {shorten(value)}; send 0, 1 or null")


def _allowed(field: Field) -> tuple[JsonType, ...]:
    if field.declared and field.kind in (Kind.ENTITY, Kind.ID):
        return JsonType.STRING, JsonType.NUMBER
    if field.type is not JsonType.UNKNOWN:
        return (field.type,)
    if field.kind is Kind.TIME:
        return JsonType.STRING, JsonType.NUMBER
    return JsonType.STRING, JsonType.NUMBER, JsonType.BOOLEAN


def wrong_type(field: Field, value: Any) -> str:
    """Return the text for a value of another type than its field's."""
    if field.declared and field.kind in (Kind.ENTITY, Kind.ID):
        expected = "a string or an integer"
    elif field.kind is Kind.TIME and field.type is JsonType.UNKNOWN:
        expected = "a time as a string or number"
    else:
        expected = {
            JsonType.NUMBER: "a number",
            JsonType.STRING: "a string",
            JsonType.BOOLEAN: "true or false",
            JsonType.ARRAY: "an array",
            JsonType.UNKNOWN: "a string, number or boolean",
        }[field.type]
    remedy = "send null where it is missing, or declare the schema anew"
    return f"expected {expected}, got {describe(value)}; {remedy}"


def describe(value: Any) -> str:
    """Return what a JSON value is, shortened, for an error text.

    >>> describe("12"), describe(12), describe([1])
    ('the string "12"', 'the number 12', 'an array')
    """
    if isinstance(value, NotANumber):
        return f"{shorten(str(value))[1:-1]}"
    if isinstance(value, str):
        return f"the string {shorten(value)}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if value is None or isinstance(value, bool):
        return shorten(value)
    return f"the number {shorten(value)}"
