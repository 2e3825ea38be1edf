"""Record batches: the columns of a run of accepted records, and the bytes that the log keeps of them.

A batch is immutable. Its columns are built once; the records themselves stay JSON bytes until someone
asks for one.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from anomalyai.data_frame import records_of
from anomalyai.decode import REFUSED, Codec, Columns, Reader, Rows, reader_for
from anomalyai.decode_exact import RecordError, check, fitting, flatten, parse
from anomalyai.decode_source import join_rows
from anomalyai.errors import StateError, UnreadableBody
from anomalyai.growth import CHECKPOINTS, extend, reinfer
from anomalyai.key import exact_text, stable_key
from anomalyai.schema import FeedSchema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Codec", "RecordBatch", "Rejection", "stable_key"]

_NO_LIMIT: Final = 1 << 62


class Rejection(msgspec.Struct, frozen=True):
    """One record that was not taken: its 0-based place in the body, the field at fault, and why."""

    index: int
    field: str | None
    error: str


class _Body:
    """The stored bytes of a batch, opened at most once; shared by all slices of it."""

    def __init__(self, codec: Codec, data: bytes) -> None:
        self.codec = codec
        self.data = data
        self._opened: list[msgspec.Raw] | dict[str, list[Any]] | None = None

    def _open(self) -> list[msgspec.Raw] | dict[str, list[Any]]:
        if self._opened is None:
            if self.codec == "rows":
                self._opened = msgspec.json.decode(self.data, type=list[msgspec.Raw])
            else:
                self._opened = msgspec.json.decode(self.data, type=dict[str, list[Any]])
        return self._opened

    def record(self, i: int) -> dict[str, Any]:
        opened = self._open()
        if isinstance(opened, dict):
            return {name: column[i] for name, column in opened.items()}
        return msgspec.json.decode(opened[i], type=dict[str, Any])

    def value(self, i: int, name: str) -> Any:
        """Return what record `i` has under a name, UNSET where it has no such name."""
        opened = self._open()
        if isinstance(opened, dict):
            column = opened.get(name)
            return UNSET if column is None else column[i]
        return self.record(i).get(name, UNSET)

    def part(self, a: int, b: int) -> bytes:
        opened = self._open()
        if isinstance(opened, dict):
            return msgspec.json.encode({name: column[a:b] for name, column in opened.items()})
        return join_rows([bytes(raw) for raw in opened[a:b]])


class _Bodies:
    """The stored bytes of several batches, one after the other: rows, whatever each of them is stored as."""

    codec: Codec = "rows"

    def __init__(self, parts: Sequence[RecordBatch]) -> None:
        self._parts = parts
        self._ends = list(accumulate(part.n for part in parts))

    @property
    def data(self) -> bytes:
        return self.part(0, self._ends[-1])

    def record(self, i: int) -> dict[str, Any]:
        place = bisect_right(self._ends, i)
        return self._parts[place].record(i - self._ends[place] + self._parts[place].n)

    def value(self, i: int, name: str) -> Any:
        place = bisect_right(self._ends, i)
        part = self._parts[place]
        return part.value(i - self._ends[place] + part.n, name)

    def part(self, a: int, b: int) -> bytes:
        return join_rows([msgspec.json.encode(self.record(i)) for i in range(a, b)])


class RecordBatch:
    """Columns of accepted records under one schema.

    Attributes
    ----------
    schema : FeedSchema
        The schema that names the columns.
    n : int
        Number of records.
    numbers : float64 array [n, len(schema.numbers)]
        C-contiguous; NaN is missing; never infinite, never -0.0.
    keys : uint64 array [n, len(schema.categories) + len(schema.entities)]
        Categories first; 0 is missing, anything else `stable_key` of the exact text.
    time_s : float64 array [n]
        Event time in epoch seconds; NaN is missing. A schema without a time field has the arrival time.
    label : float64 array [n]
        0.0, 1.0 or NaN; for figures only.
    index : int64 array [n]
        0-based place of each record in the body or file that it came with.
    first_seq : int
        Sequence number of the first record; 0 while the log has given none.
    arrival_s : float
        Epoch seconds of arrival; NaN where there was none.
    """

    __slots__ = (
        "_body",
        "_offset",
        "_whole",
        "arrival_s",
        "first_seq",
        "index",
        "keys",
        "label",
        "n",
        "numbers",
        "schema",
        "time_s",
    )

    def __init__(
        self,
        schema: FeedSchema,
        columns: Columns,
        codec: Codec,
        body: bytes,
        *,
        first_seq: int = 0,
        arrival_s: float = math.nan,
        index: NDArray[np.int64] | None = None,
    ) -> None:
        self.schema = schema
        self.numbers, self.keys, self.time_s, self.label = columns
        self.n = len(self.time_s)
        if schema.time is None:
            self.time_s = np.full(self.n, arrival_s)
        self.index = np.arange(self.n, dtype=np.int64) if index is None else index
        self.first_seq = first_seq
        self.arrival_s = arrival_s
        self._body: _Body | _Bodies = _Body(codec, body)
        self._offset = 0
        self._whole = True

    def __len__(self) -> int:
        return self.n

    def __repr__(self) -> str:
        widths = f"numbers={self.numbers.shape[1]}, keys={self.keys.shape[1]}"
        return f"RecordBatch(n={self.n}, first_seq={self.first_seq}, {widths})"

    @property
    def codec(self) -> Codec:
        """How `body` holds the records: an array of objects, or an object of columns."""
        return self._body.codec

    @property
    def body(self) -> bytes:
        """Exactly this batch's records as the log stores them."""
        return self._body.data if self._whole else self._body.part(self._offset, self._offset + self.n)

    @property
    def rows(self) -> NDArray[np.int64]:
        """1-based data row of each record in the file that it came from."""
        return self.index + 1

    @property
    def keeps_records(self) -> bool:
        """Whether the records are at hand as they came; of those that were sorted only the columns are."""
        return not isinstance(self._body, _Body) or self._body.data != b"[]"

    def record(self, i: int) -> dict[str, Any]:
        """Return record `i` as it came, nested where it was; columns give null where a value is missing."""
        return self._body.record(self._offset + range(self.n)[i])

    def value(self, i: int, name: str) -> Any:
        """Return what record `i` has at its top level under a name, UNSET where it has no such name."""
        return self._body.value(self._offset + range(self.n)[i], name)

    def text(self, i: int, field: str) -> str | None:
        """Return the exact text of a category, entity or id of record `i`; None where it is missing."""
        value = self.value(i, field)
        if value is UNSET or isinstance(value, dict):  # nested, or missing
            value = flatten(self.record(i), self.schema).get(field)
        return None if value is None else exact_text(value)

    def numbered(self, first_seq: int) -> RecordBatch:
        """Return the same batch with its first record's sequence number."""
        copy = self._copy()
        copy.first_seq = first_seq
        return copy

    def slice(self, a: int, b: int) -> RecordBatch:
        """Return records `a` to `b` (not included) as views of this batch's columns."""
        a, b, _ = slice(a, b).indices(self.n)
        part = self._copy()
        part._narrow(a, max(a, b))  # noqa: SLF001 - the same class
        return part

    def _narrow(self, a: int, b: int) -> None:
        self._whole = self._whole and b - a == self.n
        self.n = b - a
        self.numbers, self.keys = self.numbers[a:b], self.keys[a:b]
        self.time_s, self.label, self.index = self.time_s[a:b], self.label[a:b], self.index[a:b]
        self.first_seq += a if self.first_seq else 0
        self._offset += a

    def _copy(self) -> RecordBatch:
        copy = object.__new__(RecordBatch)
        for name in RecordBatch.__slots__:
            setattr(copy, name, getattr(self, name))
        return copy

    @classmethod
    def joined(cls, batches: Sequence[RecordBatch]) -> RecordBatch:
        """Return batches that follow one another under one schema as one; each record keeps its time."""
        if len(batches) == 1:
            return batches[0]
        batch = batches[0].slice(0, batches[0].n)
        batch._widen(batches)  # noqa: SLF001 - the same class
        return batch

    def _widen(self, batches: Sequence[RecordBatch]) -> None:
        self.numbers, self.keys, self.time_s, self.label, self.index = (
            np.concatenate([getattr(part, name) for part in batches])
            for name in ("numbers", "keys", "time_s", "label", "index")
        )
        self.n = len(self.time_s)
        self._body, self._offset, self._whole = _Bodies(batches), 0, True

    @classmethod
    def from_log(
        cls, schema: FeedSchema, codec: Codec, body: bytes, first_seq: int, arrival_s: float = math.nan
    ) -> RecordBatch:
        """Read a batch back from the log, with the bits that it had at admission; raises `StateError`."""
        try:
            columns = _read(schema, codec, body)
        except (RecordError, *REFUSED) as error:
            raise StateError(
                f"expected {codec} that fit the schema of records {first_seq} and on, got: {error}",
                hint="The log entry or its schema is damaged; restore the data directory from a backup",
            ) from error
        return cls(schema, columns, codec, body, first_seq=first_seq, arrival_s=arrival_s)

    @classmethod
    def reread(
        cls, schema: FeedSchema, codec: Codec, body: bytes, first_seq: int, arrival_s: float = math.nan
    ) -> RecordBatch:
        """Read stored records under a later schema than their own; what does not fit it counts as missing."""
        reader = reader_for(schema)
        try:
            columns = _typed(reader, codec, body)
        except REFUSED:
            rows = [reader.make(fitting(record, schema)) for record in _plain(codec, body)]
            columns = reader.columns(Rows(reader, rows))
        return cls(schema, columns, codec, body, first_seq=first_seq, arrival_s=arrival_s)

    @classmethod
    def from_records(
        cls, records: Sequence[Mapping[str, Any]], schema: FeedSchema | None = None
    ) -> RecordBatch:
        """Build one batch from dictionaries; NaN counts as missing.

        Without a schema, kinds are inferred from the first 500 records. Raises `UnreadableBody` that names
        the first record that does not fit.
        """
        body = msgspec.json.encode(list(records))
        known = schema or FeedSchema()
        flat: list[dict[str, Any]] = []
        for i, raw in enumerate(msgspec.json.decode(body, type=list[msgspec.Raw])):
            try:
                values = _flat(bytes(raw), known)
                fresh = check(values, known)
            except RecordError as error:
                text = f"record {i}: {error.text}"
                raise UnreadableBody(text, code="record_invalid", field=error.field) from error
            known = extend(known, fresh, values) if fresh else known
            flat.append(values)
        if flat and not known.settled:
            known = reinfer(known, flat[: CHECKPOINTS[-1]], settle=len(flat) >= CHECKPOINTS[-1])
        reader = reader_for(known)
        rows = Rows(reader, [reader.make(values) for values in flat])
        return cls(known, reader.columns(rows), "rows", body)

    @classmethod
    def from_pandas(cls, frame: pd.DataFrame, schema: FeedSchema | None = None) -> RecordBatch:
        """Build one batch from a data frame, as `from_records` does from its rows.

        NaN, NaT and NA are missing, times become ISO 8601 texts (`anomalyai.data_frame`). Raises
        `UnreadableBody`.
        """
        return cls.from_records(records_of(frame), schema)


def _flat(raw: bytes, schema: FeedSchema) -> dict[str, Any]:
    return flatten(parse(raw, _NO_LIMIT), schema)


def _read(schema: FeedSchema, codec: Codec, body: bytes) -> Columns:
    """Read stored records, whose soundness was checked when they were admitted."""
    reader = reader_for(schema)
    try:
        return _typed(reader, codec, body)
    except REFUSED:
        rows = [reader.make(flatten(record, schema)) for record in _plain(codec, body)]
        return reader.columns(Rows(reader, rows))


def _typed(reader: Reader, codec: Codec, body: bytes) -> Columns:
    return reader.columns(reader.table(body) if codec == "columns" else reader.rows([body]))


def _plain(codec: Codec, body: bytes) -> list[dict[str, Any]]:
    if codec == "rows":
        return msgspec.json.decode(body, type=list[dict[str, Any]])
    table = msgspec.json.decode(body, type=dict[str, list[Any]])
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]
