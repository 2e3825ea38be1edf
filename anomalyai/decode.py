"""Typed reading of clean records: JSON bytes straight to columns, through structs compiled from a schema.

The structs refuse every unknown field and every value of another type, so what they accept is exactly what the
slower, exact reading of `decode_exact` accepts; whatever they refuse goes there, record by record.
Two things they cannot see are checked here: keys that occur twice, and times or labels that cannot be read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from anomalyai import timestamp
from anomalyai.key import key_column
from anomalyai.schema import FeedSchema, Field, JsonType, Kind

__all__ = ["REFUSED", "Codec", "Columns", "Decoded", "Reader", "label_value", "reader_for", "strict"]

REFUSED: Final = (msgspec.MsgspecError, RecursionError, ValueError, OverflowError)
"""What a typed decoder raises when it will not take the bytes."""

_MISSING: Final = math.nan
_UNSAFE: Final = frozenset('"\\') | {chr(code) for code in range(0x20)}
_LABELS: Final[dict[Any, float]] = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, 0: 0.0, 1: 1.0}

Codec = Literal["rows", "columns"]
Values = Sequence[Any]
Decoded = Callable[[str], Values]
"""From a field's name to its column of decoded values."""


class Columns(NamedTuple):
    """The numeric columns of a run of records, all of length n."""

    numbers: NDArray[np.float64]
    keys: NDArray[np.uint64]
    time_s: NDArray[np.float64]
    label: NDArray[np.float64]


class Table(NamedTuple):
    """An object of columns as decoded: records, columns given, numeric columns, and the decoded ones by name."""

    count: int
    given: int
    columns: Columns
    decoded: Decoded


def strict(schema: FeedSchema, field: Field) -> bool:
    """Tell whether a time or label that cannot be read rejects its record, or is missing for now."""
    return field.declared or schema.settled


def label_value(value: Any) -> float:
    """Return 0.0 or 1.0, or NaN for what is neither.

    >>> label_value("true"), label_value(0), label_value("maybe")
    (1.0, 0.0, nan)
    """
    key = value.strip().lower() if isinstance(value, str) else value
    return _LABELS.get(key, _MISSING)


class Reader:
    """Compiled reading of one schema's records; immutable but for `null_names`, a cache.

    Parameters
    ----------
    schema
        The schema to read under.
    null_names
        Names seen so far with null alone: no fields yet, but no reason to leave the fast path either.
    """

    def __init__(self, schema: FeedSchema, null_names: Iterable[str] = ()) -> None:
        self.schema = schema
        self.null_names = frozenset(null_names) - schema.by_name.keys()
        self.fields = schema.fields
        names = [f.name for f in self.fields] + sorted(self.null_names)
        self.names = tuple(names)
        self.safe = not any(_UNSAFE & set(name) for name in names)
        self._attributes = {name: f"f{i}" for i, name in enumerate(names)}
        self._row_type = self._struct("Row", wrap=False)
        self._table_type = self._struct("Table", wrap=True)
        self._rows = msgspec.json.Decoder(list[self._row_type])  # type: ignore[name-defined]
        self._row = msgspec.json.Decoder(self._row_type)
        self._table = msgspec.json.Decoder(self._table_type)
        self._positions = {f.name: i for i, f in enumerate(self.fields)}
        self._width = len(names)

    def _struct(self, name: str, *, wrap: bool) -> Any:
        fields: list[tuple[str, Any, Any]] = []
        for field_name, attribute in self._attributes.items():
            field = self.schema.by_name.get(field_name)
            value_type: Any = _decoded_type(field) if field is not None else None
            default: Any = _MISSING if field is not None and field.kind is Kind.NUMBER else UNSET
            if wrap:
                value_type, default = list[value_type], UNSET
                value_type = value_type | UnsetType
            fields.append((attribute, value_type, default))
        rename = {attribute: n for n, attribute in self._attributes.items()} if self.safe else None
        return msgspec.defstruct(name, fields, gc=False, forbid_unknown_fields=True, rename=rename)

    def rows(self, body: bytes) -> list[Any]:
        """Decode a JSON array of clean records; raises one of `REFUSED`."""
        self._require_safe()
        return self._rows.decode(body)

    def row(self, raw: bytes | msgspec.Raw) -> Any:
        """Decode one clean record; raises one of `REFUSED`."""
        self._require_safe()
        return self._row.decode(raw)

    def _require_safe(self) -> None:
        if not self.safe:
            raise ValueError("a field name needs escaping, which compiled structs cannot express")

    def make(self, values: Mapping[str, Any]) -> Any:
        """Build a row from flattened, checked values; names that are no fields are left out."""
        attributes = self._attributes
        return self._row_type(**{attributes[n]: v for n, v in values.items() if n in self._positions})

    def present(self, rows: Sequence[Any]) -> int:
        """Count the keys that the rows had in their JSON, nulls included."""
        absent = 0
        for name, attribute in self._attributes.items():
            field = self.schema.by_name.get(name)
            default = _MISSING if field is not None and field.kind is Kind.NUMBER else UNSET
            absent += [getattr(r, attribute) for r in rows].count(default)
        return len(rows) * self._width - absent

    def columns(self, rows: Sequence[Any]) -> Columns:
        """Turn decoded rows into columns."""
        return self._assemble(len(rows), lambda name: list(map(attrgetter(self._attributes[name]), rows)))

    def table(self, body: bytes) -> Table:
        """Decode a JSON object of equally long columns; raises one of `REFUSED`."""
        self._require_safe()
        decoded = self._table.decode(body)
        found = {name: getattr(decoded, attribute) for name, attribute in self._attributes.items()}
        given = [values for values in found.values() if values is not UNSET]
        lengths = set(map(len, given))
        if len(lengths) != 1:
            raise ValueError("columns differ in length")
        count = lengths.pop()
        blank = [None] * count

        def column(name: str) -> Values:
            values: Values = found[name]
            return blank if values is UNSET else values

        return Table(count, len(given), self._assemble(count, column), column)

    def unique_keys(self, body: bytes, rows: Sequence[Any]) -> bool:
        """Tell whether no object in `body` can hold a key twice, given the rows that it decoded to.

        Every key ends in `":`, so one that occurred twice leaves more of these than decoded keys. Texts that
        hold `":` and blanks before a colon only make the answer False, and the exact reading decides.
        """
        return body.count(b'":') == self.present(rows) and not _blank_colon(body)

    def unique_columns(self, body: bytes, table: Table) -> bool:
        """Tell the same of an object of columns."""
        return body.count(b'":') == table.given and not _blank_colon(body)

    def _assemble(self, count: int, column: Decoded) -> Columns:
        schema = self.schema
        numbers = np.empty((count, len(schema.numbers)), dtype=np.float64)
        for j, name in enumerate(schema.numbers):
            numbers[:, j] = column(name)
        numbers += 0.0  # -0.0 and 0.0 are one value
        tokens = schema.categories + schema.entities
        keys = np.zeros((count, len(tokens)), dtype=np.uint64)
        for j, name in enumerate(tokens):
            field = schema.by_name[name]
            if field.type is not JsonType.UNKNOWN:
                plain = field.type is JsonType.STRING and not _takes_both(field)
                keys[:, j] = key_column(list(column(name)), texts=plain)
        return Columns(numbers, keys, self._time(count, column), self._label(count, column))

    def _time(self, count: int, column: Decoded) -> NDArray[np.float64]:
        name = self.schema.time
        field = self.schema.by_name[name] if name is not None else None
        if name is None or field is None or field.type not in (JsonType.STRING, JsonType.NUMBER):
            return np.full(count, math.nan)
        values = column(name)
        if field.type is JsonType.STRING:
            return timestamp.text_column(list(values))
        return timestamp.number_column(_floats(values))

    def _label(self, count: int, column: Decoded) -> NDArray[np.float64]:
        name = self.schema.label
        if name is None:
            return np.full(count, math.nan)
        return np.fromiter(map(label_value, column(name)), dtype=np.float64, count=count)

    def readable(self, columns: Columns, values: Decoded) -> bool:
        """Tell whether no strict time or label of `columns` is NaN although a value is there."""
        for name, parsed in ((self.schema.time, columns.time_s), (self.schema.label, columns.label)):
            if name is None or not strict(self.schema, self.schema.by_name[name]):
                continue
            unread = np.isnan(parsed)
            if unread.any():
                column = values(name)
                if any(column[i] is not None and column[i] is not UNSET for i in np.flatnonzero(unread)):
                    return False
        return True

    def values(self, rows: Sequence[Any]) -> Decoded:
        """Return the function from a field's name to its column of decoded values."""
        return lambda name: [getattr(r, self._attributes[name]) for r in rows]


def _blank_colon(body: bytes) -> bool:
    return b" :" in body or b"\n:" in body or b"\t:" in body or b"\r:" in body


def _floats(values: Values) -> NDArray[np.float64]:
    return np.array([None if v is UNSET else v for v in values], dtype=np.float64)


def _takes_both(field: Field) -> bool:
    """Tell whether the field takes strings and integers alike."""
    return field.declared and field.kind in (Kind.ENTITY, Kind.ID)


def _decoded_type(field: Field) -> Any:
    """Return the type that a compiled struct gives the field's values; null is always taken."""
    if field.kind is Kind.NUMBER:
        return float | None
    if field.kind is Kind.IGNORE and field.declared:
        return Any
    if field.type is JsonType.UNKNOWN:
        return None
    if _takes_both(field):
        return str | int | None
    if field.type is JsonType.NUMBER:
        return float | None if field.kind is Kind.TIME else int | float | None
    return {JsonType.STRING: str | None, JsonType.BOOLEAN: bool | None, JsonType.ARRAY: list[Any] | None}[
        field.type
    ]


@lru_cache(maxsize=256)
def reader_for(schema: FeedSchema) -> Reader:
    """Return the reader of `schema`; a cache of a pure function."""
    return Reader(schema)
