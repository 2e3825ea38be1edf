"""Typed reading of clean records: JSON bytes straight to columns, through structs compiled from a schema.

The structs refuse every unknown field and every value of another type, so what they accept is what the exact
reading of `decode_exact` accepts; what they refuse goes there, record by record. What structs cannot see is
checked here: keys that occur twice, times or labels that cannot be read, and arrays within arrays.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, Final, Literal, NamedTuple, Protocol

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from msgspec.structs import astuple
from numpy.typing import NDArray

from anomalyai import timestamp
from anomalyai.key import key_column
from anomalyai.schema import FeedSchema, Field, JsonType, Kind

__all__ = ["REFUSED", "Codec", "Columns", "Decoded", "Reader", "label_value", "reader_for", "strict"]

REFUSED: Final = (msgspec.MsgspecError, RecursionError, ValueError, OverflowError)
"""What a typed decoder raises when it will not take the bytes."""

Codec = Literal["rows", "columns"]
Values = Sequence[Any]

_MISSING: Final = math.nan
_UNSAFE: Final = frozenset('"\\') | {chr(code) for code in range(0x20)}
_QUOTE: Final = ord('"')
_LABELS: Final[dict[Any, float]] = {"0": 0.0, "1": 1.0, "false": 0.0, "true": 1.0, 0: 0.0, 1: 1.0}


class Columns(NamedTuple):
    """The numeric columns of a run of records, all of one length; see `RecordBatch` for each."""

    numbers: NDArray[np.float64]
    keys: NDArray[np.uint64]
    time_s: NDArray[np.float64]
    label: NDArray[np.float64]

    def only(self, places: NDArray[np.int64]) -> Columns:
        """Return the columns of the records at these places."""
        return Columns(self.numbers[places], self.keys[places], self.time_s[places], self.label[places])


class Decoded(Protocol):
    """A run of records as typed Python values, not yet columns of numbers."""

    @property
    def size(self) -> int:
        """Return the number of records."""

    @property
    def names(self) -> Sequence[str]:
        """Return the names that have a column of their own."""

    def column(self, name: str) -> Values:
        """Return one column; None, UNSET or, for numbers, NaN is missing."""

    def keys_written(self, name: str, *, complete: bool) -> int:
        """Return how often the JSON held `name` as a key; `complete` tells that no record misses it."""


def strict(schema: FeedSchema, field: Field) -> bool:
    """Tell whether a time or label that cannot be read rejects its record, or is missing for now."""
    return field.declared or schema.settled


def label_value(value: Any) -> float:
    """Return 0.0 or 1.0, or NaN for what is neither.

    >>> label_value("true"), label_value(0), label_value("maybe")
    (1.0, 0.0, nan)
    """
    key = value.strip().lower() if isinstance(value, str) else value
    try:
        return _LABELS.get(key, math.nan)
    except TypeError:  # a list or an object
        return math.nan


class Reader:
    """Compiled reading of one schema's records.

    Parameters
    ----------
    schema
        The schema to read under.
    null_names
        Names seen so far with null alone: no fields yet, but no reason to leave the fast path either.
    """

    def __init__(self, schema: FeedSchema, null_names: Iterable[str] = ()) -> None:
        self.schema = schema
        nulls = sorted(set(null_names) - schema.by_name.keys())
        names = [f.name for f in schema.fields] + nulls
        self.safe = not any(_UNSAFE & set(name) for name in names)
        self.places = {name: i for i, name in enumerate(names)}
        self._row_type = self._struct("Row", in_lists=False)
        self._table_type = self._struct("Table", in_lists=True)
        self._rows = msgspec.json.Decoder(list[self._row_type])  # type: ignore[name-defined]
        self._row = msgspec.json.Decoder(self._row_type)
        self._table = msgspec.json.Decoder(self._table_type)
        self._tokens = schema.categories + schema.entities
        self._loose = [f.name for f in schema.fields if _value_type(f) in (Any, list[Any] | None)]
        self._plain = {name for name in self._tokens if _only_texts(schema.by_name[name])}

    def _struct(self, struct_name: str, *, in_lists: bool) -> Any:
        fields: list[tuple[str, Any, Any]] = []
        for name, place in self.places.items():
            field = self.schema.by_name.get(name)
            value_type: Any = _value_type(field) if field is not None else None
            default: Any = _MISSING if field is not None and field.kind is Kind.NUMBER else UNSET
            if in_lists:
                value_type, default = list[value_type] | UnsetType, UNSET
            fields.append((f"f{place}", value_type, default))
        rename = {f"f{place}": name for name, place in self.places.items()} if self.safe else None
        return msgspec.defstruct(struct_name, fields, gc=False, forbid_unknown_fields=True, rename=rename)

    def rows(self, bodies: Iterable[bytes]) -> Rows:
        """Decode JSON arrays of clean records as one run; raises one of `REFUSED`."""
        self._require_safe()
        return Rows(self, list(chain.from_iterable(map(self._rows.decode, bodies))))

    def row(self, raw: bytes | msgspec.Raw) -> Any:
        """Decode one clean record; raises one of `REFUSED`."""
        self._require_safe()
        return self._row.decode(raw)

    def converted(self, record: Mapping[str, Any]) -> Any:
        """Turn one clean record of Python values into a row; raises one of `REFUSED`."""
        self._require_safe()
        return msgspec.convert(record, self._row_type)

    def table(self, body: bytes) -> Table:
        """Decode a JSON object of equally long columns; raises one of `REFUSED`."""
        self._require_safe()
        return Table(dict(zip(self.places, astuple(self._table.decode(body)), strict=True)))

    def _require_safe(self) -> None:
        if not self.safe:
            raise ValueError("a field name needs escaping, which compiled structs cannot express")

    def make(self, values: Mapping[str, Any]) -> Any:
        """Build a row from flattened, checked values; names that are no fields are left out."""
        known = self.schema.by_name
        return self._row_type(**{f"f{self.places[n]}": v for n, v in values.items() if n in known})

    def columns(self, decoded: Decoded) -> Columns:
        """Turn typed values into columns of numbers."""
        keys = np.zeros((decoded.size, len(self._tokens)), dtype=np.uint64)
        for j, name in enumerate(self._tokens):
            if self.schema.by_name[name].type is not JsonType.UNKNOWN:
                keys[:, j] = key_column(decoded.column(name))
        return Columns(self._numbers(decoded), keys, self._time(decoded), self._label(decoded))

    def _numbers(self, decoded: Decoded) -> NDArray[np.float64]:
        names = self.schema.numbers
        columns = np.empty((len(names), decoded.size), dtype=np.float64)
        for j, name in enumerate(names):
            columns[j] = _floats(decoded.column(name))
        columns += 0.0  # -0.0 and 0.0 are one value
        return np.ascontiguousarray(columns.T)

    def _time(self, decoded: Decoded) -> NDArray[np.float64]:
        field = self.schema.by_name.get(self.schema.time or "")
        if field is not None and field.type is JsonType.STRING:
            return timestamp.text_column(decoded.column(field.name))
        if field is not None and field.type is JsonType.NUMBER:
            return timestamp.number_column(_floats(decoded.column(field.name)))
        return np.full(decoded.size, math.nan)

    def _label(self, decoded: Decoded) -> NDArray[np.float64]:
        field = self.schema.by_name.get(self.schema.label or "")
        if field is None:
            return np.full(decoded.size, math.nan)
        values = decoded.column(field.name)
        if field.type in (JsonType.NUMBER, JsonType.BOOLEAN):
            labels = _floats(values)
            labels[(labels != 0.0) & (labels != 1.0)] = math.nan
            return labels
        return np.fromiter(map(label_value, values), dtype=np.float64, count=len(values))

    def is_sound(self, body: bytes, decoded: Decoded, columns: Columns) -> bool:
        """Tell whether what the decoder let pass is right too; if not, the exact reading decides."""
        return self.has_unique_keys(body, decoded, columns) and not self.unread(decoded, columns)

    def has_unique_keys(self, body: bytes, decoded: Decoded, columns: Columns) -> bool:
        """Tell whether surely no object in `body` has a key twice.

        Every key and every text has its two quotes, so a key that occurs twice leaves more quotes in the body
        than the decoded values account for.
        """
        return self._quotes(decoded, columns, body) == _count_quotes(body)

    def unread(self, decoded: Decoded, columns: Columns) -> set[int]:
        """Return the places of records with a strict time or label that is none, or with nested arrays."""
        places: set[int] = set()
        for name in self._loose:
            places.update(i for i, value in enumerate(decoded.column(name)) if _is_nested(value))
        for role, parsed in ((self.schema.time, columns.time_s), (self.schema.label, columns.label)):
            if role is not None and strict(self.schema, self.schema.by_name[role]):
                missing = np.flatnonzero(np.isnan(parsed)).tolist()
                column = decoded.column(role) if missing else ()
                places.update(i for i in missing if column[i] is not None and column[i] is not UNSET)
        return places

    def _quotes(self, decoded: Decoded, columns: Columns, body: bytes) -> int:
        """Return how many quotes the values account for, or -1 where escapes leave that open."""
        escapes = b"\\" in body
        if escapes and b"\\u0022" in body:
            return -1
        silent, textual = self._settled_columns(columns)
        quotes = 0
        for name in decoded.names:
            complete = name in silent or name in textual
            quotes += 2 * decoded.keys_written(name, complete=complete)
            if name in textual:
                quotes += 2 * decoded.size
            elif name not in silent:
                quotes += _own_quotes(decoded.column(name))
            if escapes:
                quotes += sum(v.count('"') for v in decoded.column(name) if v.__class__ is str)
        return quotes

    def _settled_columns(self, columns: Columns) -> tuple[set[str], set[str]]:
        """Return the names of full columns: those whose values have no quotes, and those of texts alone."""
        silent = _complete(self.schema.numbers, ~np.isnan(columns.numbers))
        textual = self._plain & _complete(self._tokens, columns.keys != 0)
        for name, parsed in ((self.schema.time, columns.time_s), (self.schema.label, columns.label)):
            if name is not None and not np.isnan(parsed).any():
                (textual if self.schema.by_name[name].type is JsonType.STRING else silent).add(name)
        return silent, textual


class Rows:
    """Decoded structs, one a record; turned into columns at the first question."""

    def __init__(self, reader: Reader, rows: Sequence[Any]) -> None:
        self._rows = rows
        self._places = reader.places
        self._numbers = frozenset(reader.schema.numbers)
        self._columns: list[Values] | None = None
        self.size = len(rows)
        self.names = tuple(reader.places)

    def column(self, name: str) -> Values:
        """Return one column."""
        if self._columns is None:
            columns: list[Values] = list(zip(*map(astuple, self._rows), strict=True))
            self._columns = columns or [()] * len(self.names)
        return self._columns[self._places[name]]

    def keys_written(self, name: str, *, complete: bool) -> int:
        """Count the records that had the key, with null or a value."""
        default = _MISSING if name in self._numbers else UNSET
        return self.size if complete else self.size - sum(value is default for value in self.column(name))


class Table:
    """Decoded columns; raises `ValueError` where they differ in length."""

    def __init__(self, columns: Mapping[str, list[Any] | UnsetType]) -> None:
        lengths = {len(column) for column in columns.values() if not isinstance(column, UnsetType)}
        if len(lengths) != 1:
            raise ValueError("columns differ in length")
        self.size = lengths.pop()
        self.names = tuple(columns)
        self._columns = columns
        self._blank = [None] * self.size

    def column(self, name: str) -> Values:
        """Return one column, full of None where it was not given."""
        column = self._columns[name]
        return self._blank if isinstance(column, UnsetType) else column

    def keys_written(self, name: str, *, complete: bool) -> int:
        """Return 1 if the column was given, else 0."""
        return int(not isinstance(self._columns[name], UnsetType))


def _floats(values: Values) -> NDArray[np.float64]:
    """Return numbers or booleans as float64, NaN where missing."""
    try:
        return np.fromiter(values, dtype=np.float64, count=len(values))
    except TypeError:
        return np.array([None if value is UNSET else value for value in values], dtype=np.float64)


def _complete(names: Sequence[str], present: NDArray[np.bool_]) -> set[str]:
    """Return the names of the columns in which every record has a value."""
    if present.all():
        return set(names)
    full = np.flatnonzero(present.all(axis=0))
    return {names[i] for i in full.tolist()}


def _own_quotes(values: Values) -> int:
    """Return how many quotes the values' JSON has, not counting escaped ones within texts."""
    classes = list(map(type, values))
    quotes = 2 * classes.count(str)
    if list in classes or dict in classes:
        quotes += sum(msgspec.json.encode(v).count(b'"') for v in values if isinstance(v, list | dict))
    return quotes


def _is_nested(value: Any) -> bool:
    """Tell whether a value holds arrays or objects in arrays or objects, whose depth is to be checked."""
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and any(isinstance(item, list | dict) for item in value)


def _count_quotes(body: bytes) -> int:
    return int(np.count_nonzero(np.frombuffer(body, dtype=np.uint8) == _QUOTE))


def _only_texts(field: Field) -> bool:
    return field.type is JsonType.STRING and not _takes_both(field)


def _takes_both(field: Field) -> bool:
    """Tell whether the field takes strings and integers alike."""
    return field.declared and field.kind in (Kind.ENTITY, Kind.ID)


def _value_type(field: Field) -> Any:
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
    types = {JsonType.STRING: str | None, JsonType.BOOLEAN: bool | None, JsonType.ARRAY: list[Any] | None}
    return types[field.type]


@lru_cache(maxsize=256)
def reader_for(schema: FeedSchema) -> Reader:
    """Return the reader of `schema`; a cache of a pure function."""
    return Reader(schema)
