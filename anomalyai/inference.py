"""Kinds of undeclared fields, inferred from the first records.

The same records in the same order always give the same kinds. The rules, in the order they are tried:

1. `label`: a general label name (`label`, `class`, `is_fraud`, `is_anomaly`, ...) with only 0 and 1 (or false
   and true, in any case, as pandas writes them to CSV). One field at most.
2. `time`: every value reads as an ISO 8601 time or as epoch seconds, milliseconds, microseconds or
   nanoseconds between 1990 and 2100, and the name is no identifier's (rule 5); or a number under a general
   time name (`ts`, `time`, `timestamp`, ...) that never falls. Among several, a time name wins, then a value
   that never falls, then the first field. The others are ignored if they are texts.
3. booleans are categories; arrays are ignored.
4. texts: addresses, and texts under the name of a thing or person (`customer_id`, `host`, ...), are entities,
   unless 100 of them show few different words; texts that never repeat under an identifier name or in an
   identifier's shape are the `id` (one at most, the others are ignored); texts in an identifier's shape
   that repeat, with many different values, are an entity; long free texts and texts that never repeat are
   ignored; all others are categories.
5. whole numbers are identifiers, so `entity` or `id`, under an identifier name (`..._id`, `account_no`, ...)
   or if all are at least 1e8 and they repeat; a `..._code` is a category; every other number is a `number`.
6. `positions`: number fields under general names of latitude and longitude (`anomalyai.position`) with values
   in range, where none are declared.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final

from anomalyai.position import name_parts, recognised_positions
from anomalyai.schema import FeedSchema, Field, JsonType, Kind
from anomalyai.timestamp import parse_number, parse_text

__all__ = ["CHECKPOINTS", "abridged", "infer", "kind_by_type", "type_of"]

CHECKPOINTS: Final = (1, 20, 100, 500)
"""Accepted-record counts at which kinds are inferred; after the last they are settled."""

FREE_TEXT_CHARS: Final = 64
"""Mean length above which a text is taken as prose."""

KEPT_CHARS: Final = 256
"""How much of a text inference looks at."""

FEW_VALUES: Final = 10
"""Up to this many different values are words of a category rather than names of things."""

_EARLIEST_S: Final = 631_152_000.0  # 1990-01-01
_LATEST_S: Final = 4_102_444_800.0  # 2100-01-01
_LARGE_IDENTIFIER: Final = 1e8

_LABEL_NAMES: Final = frozenset(
    {"label", "class"}
    | {
        f"{prefix}{what}"
        for prefix in ("", "is_", "is")
        for what in ("fraud", "anomaly", "outlier", "attack")
    }
)
_TIME_NAMES: Final = frozenset({"ts", "time", "timestamp", "date", "datetime", "when", "at"})
_RECORD_NAMES: Final = frozenset(
    {"id", "uid", "uuid", "guid"}
    | {f"{what}_id" for what in ("record", "event", "message", "msg", "transaction", "trans", "txn", "tx")}
    | {f"{what}_id" for what in ("payment", "order", "request", "flow", "alert", "log")}
)
_IDENTIFIER_TOKENS: Final = frozenset(
    {"id", "uid", "uuid", "guid", "no", "nr", "num", "number", "key", "ref"}
)
_THING_TOKENS: Final = frozenset(
    {
        "account",
        "acct",
        "card",
        "cc",
        "customer",
        "client",
        "user",
        "username",
        "member",
        "person",
        "employee",
    }
    | {
        "merchant",
        "shop",
        "store",
        "seller",
        "buyer",
        "vendor",
        "supplier",
        "payer",
        "payee",
        "sender",
        "receiver",
    }
    | {
        "recipient",
        "terminal",
        "device",
        "sensor",
        "machine",
        "host",
        "hostname",
        "server",
        "ip",
        "addr",
        "address",
    }
    | {"mac", "imsi", "imei", "msisdn", "phone", "email", "iban"}
)
_QUANTITY_TOKENS: Final = frozenset(
    {"is", "has", "num", "n", "count", "total", "avg", "mean", "sum", "max", "min"}
)
_CODE_TOKENS: Final = frozenset({"code", "zip", "zipcode", "postcode", "mcc"})

_ADDRESS: Final = re.compile(
    r"\d{1,3}(?:\.\d{1,3}){3}|(?=[^:]*:[^:]*:)[0-9A-Fa-f:.]{2,45}|(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}"
)
_IDENTIFIER_SHAPE: Final = re.compile(r"(?=[^\d]*\d)[A-Za-z0-9_\-:.{}]{6,64}")


def type_of(value: Any) -> JsonType:
    """Return the JSON type of a flattened value; null is UNKNOWN."""
    if value is None:
        return JsonType.UNKNOWN
    if isinstance(value, bool):
        return JsonType.BOOLEAN
    if isinstance(value, int | float):
        return JsonType.NUMBER
    if isinstance(value, str):
        return JsonType.STRING
    return JsonType.ARRAY


def kind_by_type(value: Any) -> Kind:
    """Return the kind of a field that turns up after kinds have settled, from its first value alone."""
    kind = {JsonType.NUMBER: Kind.NUMBER, JsonType.STRING: Kind.CATEGORY, JsonType.BOOLEAN: Kind.CATEGORY}
    if isinstance(value, str) and len(value) > FREE_TEXT_CHARS:
        return Kind.IGNORE
    return kind.get(type_of(value), Kind.IGNORE)


def abridged(value: Any) -> Any:
    """Return a value with what inference looks at: texts cut off, arrays and ignored objects emptied.

    >>> abridged(5), abridged([1, 2]), len(abridged("x" * 1000))
    (5, [], 256)
    """
    if isinstance(value, str):
        return value[:KEPT_CHARS]
    return [] if isinstance(value, list | dict) else value


def infer(
    schema: FeedSchema, sample: Sequence[Mapping[str, Any]], only: Iterable[str] | None = None
) -> FeedSchema:
    """Return `schema` with the kinds of its undeclared fields inferred from `sample`.

    Parameters
    ----------
    schema
        Fields with their JSON types known; declared ones keep their kind.
    sample
        Flattened records, the first of the feed, in order.
    only
        Names whose kind may change; None for every undeclared field.
    """
    free = {f.name for f in schema.fields if not f.declared}
    if only is not None:
        free &= set(only)
    evidence = {name: _Evidence(name, schema.by_name[name].type, sample) for name in free}
    ordered = [evidence[f.name] for f in schema.fields if f.name in free]
    kept = {f.kind for f in schema.fields if f.name not in free}
    kinds: dict[str, Kind] = {}
    if Kind.LABEL not in kept:
        kinds.update(_label(ordered))
    kinds.update(_times(ordered, kinds, Kind.TIME in kept))
    has_id = Kind.ID in kept
    for field in ordered:
        if field.name not in kinds:
            kind = field.kind()
            if kind is Kind.ID:
                kind, has_id = (Kind.IGNORE if has_id else Kind.ID), True
            kinds[field.name] = kind
    fields = tuple(
        Field(f.name, kinds[f.name], f.type, f.declared) if f.name in kinds else f for f in schema.fields
    )
    changed = schema.replace(fields=fields)
    return changed.replace(positions=_positions(changed, sample))


def _label(ordered: Sequence[_Evidence]) -> dict[str, Kind]:
    labels = [field.name for field in ordered if field.is_label()]
    return {name: Kind.LABEL for name in labels[:1]}


def _times(ordered: Sequence[_Evidence], taken: Mapping[str, Kind], has_time: bool) -> dict[str, Kind]:
    candidates = [field for field in ordered if field.name not in taken and field.is_time()]
    kinds = {field.name: Kind.IGNORE for field in ordered if field.name not in taken and field.is_date()}
    if candidates and not has_time:
        best = max(candidates, key=lambda field: (field.has_time_name(), field.never_falls()))
        kinds[best.name] = Kind.TIME
    return kinds


class _Evidence:
    """What the sample shows about one field."""

    def __init__(self, name: str, json_type: JsonType, sample: Sequence[Mapping[str, Any]]) -> None:
        self.name = name
        self.type = json_type
        self.values = [v for v in (record.get(name) for record in sample) if v is not None]
        self.records = len(sample)
        self.distinct = 0 if json_type is JsonType.ARRAY else len(set(self.values))
        leaf = name.rsplit(".", 1)[-1]
        self.leaf = "_".join(name_parts(leaf))
        self.tokens = name_parts(leaf)

    def is_label(self) -> bool:
        if self.leaf not in _LABEL_NAMES or not self.values or self.type is JsonType.ARRAY:
            return False
        return all(
            value.strip().lower() in ("0", "1", "false", "true")
            if isinstance(value, str)
            else value in (0, 1)
            for value in self.values
        )

    def has_time_name(self) -> bool:
        return bool(self.tokens) and (
            self.tokens[-1] in _TIME_NAMES or any(t in ("timestamp", "datetime") for t in self.tokens)
        )

    def seconds(self) -> list[float]:
        if self.type is JsonType.STRING:
            return [parse_text(value) for value in self.values]
        return [parse_number(value) for value in self.values if abs(value) < 1e300]

    def never_falls(self) -> bool:
        seconds = self.seconds()
        return all(a <= b for a, b in pairwise(seconds))

    def reads_as_time(self) -> bool:
        if not self.values or self.type not in (JsonType.STRING, JsonType.NUMBER):
            return False
        seconds = self.seconds()
        return len(seconds) == len(self.values) and all(s == s for s in seconds)

    def is_date(self) -> bool:
        return (
            self.type is JsonType.STRING and self.reads_as_time() and all("-" in v[1:] for v in self.values)
        )

    def is_time(self) -> bool:
        if not self.reads_as_time():
            return False
        seconds = self.seconds()
        if self.is_date():
            sure = self.has_time_name() or self._precise() or self.never_falls()
            return sure or self.records < CHECKPOINTS[1]
        if self.has_time_name():
            relative = self.type is JsonType.NUMBER and min(seconds) >= 0 and self.never_falls()
            return self._recent(seconds) or relative
        named = self._names_record() or self._names_thing()  # rising identifiers may look like epoch numbers
        rising = self.type is JsonType.NUMBER and not named and self.never_falls()
        return self.records >= CHECKPOINTS[1] and rising and self._recent(seconds)

    def _recent(self, seconds: Sequence[float]) -> bool:
        return all(_EARLIEST_S <= s <= _LATEST_S for s in seconds)

    def _precise(self) -> bool:
        return any(":" in value for value in self.values)

    def kind(self) -> Kind:
        if not self.values:
            return Kind.IGNORE
        if self.type is JsonType.NUMBER:
            return self._number_kind()
        if self.type is JsonType.STRING:
            return self._text_kind()
        return Kind.CATEGORY if self.type is JsonType.BOOLEAN else Kind.IGNORE

    def _number_kind(self) -> Kind:
        if not all(isinstance(v, int) or v.is_integer() for v in self.values) or min(self.values) < 0:
            return Kind.NUMBER
        repeats = self.distinct < len(self.values)
        if self._names_record() and (not repeats or len(self.values) < CHECKPOINTS[1]):
            return Kind.ID
        if self._names_thing() and (self.records < CHECKPOINTS[1] or max(self.values) > 1):
            return Kind.ENTITY
        if min(self.values) >= _LARGE_IDENTIFIER and (repeats or min(self.values) >= 1e11):
            return Kind.ENTITY
        return Kind.CATEGORY if self.tokens and self.tokens[-1] in _CODE_TOKENS else Kind.NUMBER

    def _text_kind(self) -> Kind:
        count, texts = len(self.values), self.values
        repeats = self.distinct < count
        if sum(map(len, texts)) > FREE_TEXT_CHARS * count:
            return Kind.IGNORE
        if all(_ADDRESS.fullmatch(text) for text in texts):
            return Kind.ENTITY
        if self._names_record() and (not repeats or count < CHECKPOINTS[1]):
            return Kind.ID
        coded = all(_IDENTIFIER_SHAPE.fullmatch(text) for text in texts)
        if self._names_thing():
            few = count >= CHECKPOINTS[2] and self.distinct <= FEW_VALUES and not coded
            return Kind.CATEGORY if few else Kind.ENTITY
        if count < CHECKPOINTS[1]:
            return Kind.CATEGORY
        if repeats:
            return Kind.ENTITY if coded and self.distinct > FEW_VALUES else Kind.CATEGORY
        if coded:
            return Kind.ID
        prose = sum(text.count(" ") for text in texts) >= 2 * count
        return Kind.IGNORE if prose or count >= CHECKPOINTS[2] else Kind.CATEGORY

    def _names_record(self) -> bool:
        return self.leaf in _RECORD_NAMES

    def _names_thing(self) -> bool:
        if self.leaf in _THING_TOKENS:
            return True
        if (
            not self.tokens
            or self.tokens[0] in _QUANTITY_TOKENS
            or self.tokens[-1] not in _IDENTIFIER_TOKENS | _THING_TOKENS
        ):
            return False
        return len(self.tokens) > 1 and (
            self.tokens[-1] in ("id", "uid", "uuid", "guid") or bool(_THING_TOKENS & set(self.tokens))
        )


def _positions(schema: FeedSchema, sample: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Return declared pairs as they are, else the recognised ones whose values are in range."""
    names = [name for pair in schema.positions for name in pair]
    if names and all(schema.by_name[name].declared for name in names if name in schema.by_name):
        return schema.positions
    return tuple(
        (latitude, longitude)
        for latitude, longitude in recognised_positions(schema.numbers)
        if _within(latitude, 90, sample) and _within(longitude, 180, sample)
    )


def _within(name: str, bound: float, sample: Sequence[Mapping[str, Any]]) -> bool:
    values = [v for v in (record.get(name) for record in sample) if v is not None]
    return all(isinstance(v, int | float) and -bound <= v <= bound for v in values)
