"""Sources: the records of one body, addressable one by one or as a run, whatever form they came in.

A source answers four questions of the intake: can this whole run be read as clean (`take`), which of these
records can be (`typed`), what does record `i` hold exactly (`values`), and what shall the log keep (`pack`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol

import msgspec

from anomalyai.decode import REFUSED, Codec, Columns, Reader, Rows
from anomalyai.decode_exact import (
    NotANumber,
    RecordError,
    describe,
    flatten,
    parse,
    parse_document,
    too_large,
)
from anomalyai.decode_split import split_array
from anomalyai.errors import UnreadableBody, shorten
from anomalyai.schema import FeedSchema

__all__ = ["RowSource", "Source", "TableSource", "join_rows"]

_BLANK: Final = b" \t\r\n"
_TABLE_HINT: Final = 'Send {"field": [value, ...], ...} with columns of equal length'

_raws = msgspec.json.Decoder(list[msgspec.Raw])


def join_rows(raws: Sequence[bytes]) -> bytes:
    """Return records as one JSON array, the body of the `rows` codec."""
    return b"[" + b",".join(raws) + b"]"


class Source(Protocol):
    """The records of one body."""

    codec: Codec

    def __len__(self) -> int:
        """Return the number of records, good or bad."""

    def take(self, reader: Reader, start: int, room: int | None) -> Columns | None:
        """Return the columns of the records from `start` on, at most `room`, if all are clean, else None."""

    def typed(self, reader: Reader, start: int, stop: int) -> list[Any | None]:
        """Return each record as a row of the reader, or None where only the exact reading can tell."""

    def values(self, i: int, schema: FeedSchema) -> dict[str, Any]:
        """Return record `i` flattened; raises `RecordError`."""

    def pack(self, places: Sequence[int]) -> bytes:
        """Return the bytes that the log keeps of the records at `places` (ascending)."""


class RowSource:
    """Records as JSON objects: a JSON array, of which `raws` are the elements if they are known already."""

    codec: Codec = "rows"

    def __init__(self, body: bytes, raws: list[bytes] | None, max_record_bytes: int) -> None:
        self._body = body
        self._raws = raws
        self._is_json = True
        self._max_record_bytes = max_record_bytes
        self._count: int | None = None
        self._packed: tuple[Sequence[int], bytes] = range(0), b"[]"

    @property
    def raws(self) -> list[bytes]:
        """The records' bytes, split on first use; raises `UnreadableBody` where the array has no end."""
        if self._raws is None:
            try:
                self._raws = list(map(bytes, _raws.decode(self._body)))
            except (msgspec.MsgspecError, RecursionError):
                self._raws = split_array(self._body)
                self._is_json = False
        return self._raws

    def __len__(self) -> int:
        return len(self.raws) if self._count is None else self._count

    def take(self, reader: Reader, start: int, room: int | None) -> Columns | None:
        """Read the run in one go; a clean array is not even split."""
        places = None if start == 0 and room is None else _run(start, room, len(self))
        body = self._body if places is None else self.pack(places)
        rows = self._decoded(reader, body)
        if rows is None:
            return None
        if self._raws is not None and rows.size != len(_run(start, room, len(self._raws))):
            return None  # a line with more than one record on it
        columns = reader.columns(rows)
        if not reader.is_sound(body, rows, columns):
            return None
        if places is None:
            self._count = rows.size
        return columns

    def _decoded(self, reader: Reader, body: bytes) -> Rows | None:
        """Decode an array of clean records, none of them above the limit; None if that cannot be."""
        limit = self._max_record_bytes
        try:
            rows = reader.rows(_pieces(body, limit))
        except REFUSED:
            rows = None
        if rows is not None or len(body) <= limit:
            return rows
        try:
            rows = reader.rows([body])
        except REFUSED:
            return None
        return rows if max(map(len, self.raws), default=0) <= limit else None

    def typed(self, reader: Reader, start: int, stop: int) -> list[Any | None]:
        """Read each record through the compiled struct."""
        raws = self.raws[start:stop]
        rows = [_row(reader.row, raw) if len(raw) <= self._max_record_bytes else None for raw in raws]
        body = b"".join([raw for raw, row in zip(raws, rows, strict=True) if row is not None])
        return _sound(reader, rows, body)

    def values(self, i: int, schema: FeedSchema) -> dict[str, Any]:
        """Parse and flatten one record."""
        raw = self.raws[i]
        values = flatten(parse(raw, self._max_record_bytes), schema)
        try:
            msgspec.json.decode(raw)  # what the log keeps must be readable by everyone after us
        except REFUSED as error:
            raise RecordError(None, f"expected valid JSON: {error}") from error
        return values

    def pack(self, places: Sequence[int]) -> bytes:
        """Return an array of the records' own bytes."""
        if len(places) == len(self) and self._is_json:
            return self._body.strip(_BLANK)
        if places != self._packed[0]:
            self._packed = places, join_rows([self.raws[i] for i in places])
        return self._packed[1]


class TableSource:
    """Records as equally long columns, from a columns envelope or a CSV table."""

    codec: Codec = "columns"

    def __init__(self, table: dict[str, list[Any]] | None, body: bytes | None, max_record_bytes: int) -> None:
        self._table = table
        self._body = body
        self._finite = True
        self._max_record_bytes = max_record_bytes
        self._count: int | None = None
        self._packed: tuple[Sequence[int], bytes] = range(0), b"{}"

    @property
    def table(self) -> dict[str, list[Any]]:
        """The columns by name, parsed on first use; raises `UnreadableBody` for what is no table."""
        if self._table is None:
            self._table = _read_table(self._body or b"")
            self._finite = not any(
                isinstance(v, NotANumber) for column in self._table.values() for v in column
            )
        return self._table

    def __len__(self) -> int:
        if self._count is None:
            self._count = len(next(iter(self.table.values()), ()))
        return self._count

    def take(self, reader: Reader, start: int, room: int | None) -> Columns | None:
        """Read the run in one go."""
        if not self._finite:
            return None
        whole = self._body if start == 0 and room is None else None
        body = whole if whole is not None else self.pack(_run(start, room, len(self)))
        try:
            table = reader.table(body)
        except REFUSED:
            return None
        columns = reader.columns(table)
        if not reader.is_sound(body, table, columns):
            return None
        limit = self._max_record_bytes
        if len(body) > limit and not _are_small([table.column(name) for name in table.names], limit):
            return None
        if whole is not None:
            self._count = table.size
        return columns

    def typed(self, reader: Reader, start: int, stop: int) -> list[Any | None]:
        """Turn each record into a struct, from its Python values."""
        columns = [column[start:stop] for column in self.table.values()]
        if not _are_small(columns, self._max_record_bytes):
            return [None] * (stop - start)
        names = list(self.table)
        records = [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]
        rows = [_row(reader.converted, record) for record in records]
        if not self._finite:
            for i, record in enumerate(records):
                if any(isinstance(value, NotANumber) for value in record.values()):
                    rows[i] = None
        return _sound(reader, rows, None)

    def values(self, i: int, schema: FeedSchema) -> dict[str, Any]:
        """Gather and flatten one record."""
        record = {name: column[i] for name, column in self.table.items()}
        flat = flatten(record, schema)
        size = len(msgspec.json.encode(record))
        if size > self._max_record_bytes:
            raise too_large(size, self._max_record_bytes)
        return flat

    def pack(self, places: Sequence[int]) -> bytes:
        """Return an object of columns that hold the records at `places`."""
        if self._body is not None and len(places) == len(self):
            return self._body
        if places != self._packed[0]:
            if isinstance(places, range):
                part = {name: column[places.start : places.stop] for name, column in self.table.items()}
            else:
                part = {name: [column[i] for i in places] for name, column in self.table.items()}
            self._packed = places, msgspec.json.encode(part)
        return self._packed[1]


def _row(read: Callable[[Any], Any], record: Any) -> Any | None:
    try:
        return read(record)
    except REFUSED:
        return None


def _sound(reader: Reader, rows: list[Any | None], body: bytes | None) -> list[Any | None]:
    """Return the rows without those that the exact reading must judge; `body` is their JSON, if any."""
    places = [i for i, row in enumerate(rows) if row is not None]
    decoded = Rows(reader, [rows[i] for i in places])
    columns = reader.columns(decoded)
    if body is not None and not reader.has_unique_keys(body, decoded, columns):
        return [None] * len(rows)
    for i in reader.unread(decoded, columns):
        rows[places[i]] = None
    return rows


def _are_small(columns: Sequence[Sequence[Any]], limit: int) -> bool:
    """Tell whether surely no record is above the limit, by the longest text of each column."""
    longest = 0
    for column in columns:
        classes = set(map(type, column))
        if list in classes or dict in classes:
            return False
        if str in classes:
            longest += 4 * max(len(value) for value in column if value.__class__ is str)
    return longest <= limit


def _pieces(body: bytes, limit: int) -> Iterator[bytes]:
    """Yield an array as arrays of at most `limit` bytes, so that no record in them is above it.

    Pieces end where `},` may end a record. Where it is part of a text instead, the piece is no JSON.
    """
    start, end = 0, len(body)
    while end - start > limit:
        cut = body.rfind(b"},", start, start + limit - 1)
        if cut < 0:
            raise ValueError("no end of a record within the limit")
        yield body[start : cut + 1] + b"]" if start == 0 else b"[" + body[start : cut + 1] + b"]"
        start = cut + 2
    yield body if start == 0 else b"[" + body[start:]


def _run(start: int, room: int | None, length: int) -> range:
    return range(start, length if room is None else min(length, start + room))


def _read_table(body: bytes) -> dict[str, list[Any]]:
    """Parse an object of columns; raises `UnreadableBody`."""
    try:
        table = parse_document(body)
    except RecordError as error:
        raise UnreadableBody(error.text, field=error.field, hint=_TABLE_HINT) from error
    if not isinstance(table, dict):
        raise UnreadableBody(f"expected an object of columns, got {describe(table)}", hint=_TABLE_HINT)
    length: int | None = None
    for name, column in table.items():
        if not isinstance(column, list):
            raise UnreadableBody(
                f"expected the column {shorten(name)} to be an array, got {describe(column)}",
                field=name,
                hint=_TABLE_HINT,
            )
        if length is not None and len(column) != length:
            raise UnreadableBody(
                f"expected columns of equal length, got {length} and, in {shorten(name)}, {len(column)}",
                field=name,
                hint="Send null where a value is missing",
            )
        length = len(column)
    return table
