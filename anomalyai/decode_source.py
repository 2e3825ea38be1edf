"""Sources: the records of one body, addressable one by one or as a run, whatever form they came in.

A source answers three questions of the intake: can this run be read as clean (`take`), what does record `i`
hold exactly (`values`), and which bytes shall the log keep of these records (`pack`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Protocol

import msgspec

from anomalyai.decode import REFUSED, Codec, Columns, Decoded, Reader
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

__all__ = ["RowSource", "Source", "TableSource"]

_raws = msgspec.json.Decoder(list[msgspec.Raw])


class Source(Protocol):
    """The records of one body."""

    codec: Codec

    def __len__(self) -> int:
        """Return the number of records, good or bad."""

    def take(self, reader: Reader, start: int) -> Columns | None:
        """Return the columns of all records from `start` on if every one of them is clean, else None."""

    def row(self, reader: Reader, i: int) -> Any | None:
        """Return record `i` as a row of the reader if it is clean, else None."""

    def values(self, i: int, schema: FeedSchema) -> dict[str, Any]:
        """Return record `i` flattened; raises `RecordError`."""

    def pack(self, places: Sequence[int]) -> bytes:
        """Return the bytes that the log keeps of the records at `places` (ascending)."""


class RowSource:
    """Records as JSON objects, from an array, from lines, or a single one."""

    codec: Codec = "rows"

    def __init__(self, body: bytes, raws: list[bytes] | None, max_record_bytes: int) -> None:
        self._body = body
        self._raws = raws
        self._max_record_bytes = max_record_bytes
        self._count: int | None = None

    @property
    def raws(self) -> list[bytes]:
        """The records' bytes, split on first use; raises `UnreadableBody` where there is no end."""
        if self._raws is None:
            try:
                self._raws = list(map(bytes, _raws.decode(self._body)))
            except (msgspec.MsgspecError, RecursionError):
                self._raws = split_array(self._body)
        return self._raws

    def __len__(self) -> int:
        return len(self.raws) if self._count is None else self._count

    def take(self, reader: Reader, start: int) -> Columns | None:
        """Read the run in one go; the caller has nothing to check any more."""
        body = self._body if start == 0 else self.pack(range(start, len(self.raws)))
        try:
            rows = reader.rows(body)
        except REFUSED:
            return None
        if self._raws is not None and len(rows) != len(self._raws) - start:
            return None  # a line with more than one record on it
        if (
            len(body) > self._max_record_bytes
            and max(map(len, self.raws), default=0) > self._max_record_bytes
        ):
            return None
        columns = reader.columns(rows)
        if not reader.unique_keys(body, rows) or not reader.readable(columns, reader.values(rows)):
            return None
        if start == 0:
            self._count = len(rows)
        return columns

    def row(self, reader: Reader, i: int) -> Any | None:
        """Read one record through the compiled struct."""
        raw = self.raws[i]
        if len(raw) > self._max_record_bytes:
            return None
        try:
            row = reader.row(raw)
        except REFUSED:
            return None
        rows = [row]
        clean = reader.unique_keys(raw, rows) and reader.readable(reader.columns(rows), reader.values(rows))
        return row if clean else None

    def values(self, i: int, schema: FeedSchema) -> dict[str, Any]:
        """Parse and flatten one record."""
        raw = self.raws[i]
        values = flatten(parse(raw, self._max_record_bytes), schema)
        try:
            msgspec.json.decode(raw)
        except REFUSED as error:
            raise RecordError(None, f"expected valid JSON: {error}") from error
        return values

    def pack(self, places: Sequence[int]) -> bytes:
        """Return an array of the records' own bytes."""
        if len(places) == len(self) and self._raws is None:
            return self._body.strip(b" \t\r\n")
        return b"[" + b",".join([self.raws[i] for i in places]) + b"]"


class TableSource:
    """Records as equally long columns, from a columns envelope or a CSV table."""

    codec: Codec = "columns"

    def __init__(
        self,
        table: dict[str, list[Any]] | None,
        body: bytes | None,
        max_record_bytes: int,
        *,
        clean: bool = True,
    ) -> None:
        self._table = table
        self._body = body
        self._clean = clean
        self._max_record_bytes = max_record_bytes
        self._count: int | None = None

    @property
    def table(self) -> dict[str, list[Any]]:
        """The columns by name, parsed on first use; raises `UnreadableBody` for what is no table."""
        if self._table is None:
            assert self._body is not None
            self._table, self._clean = read_table(self._body)
        return self._table

    def __len__(self) -> int:
        if self._count is None:
            self._count = len(next(iter(self.table.values()), ()))
        return self._count

    def take(self, reader: Reader, start: int) -> Columns | None:
        """Read the run in one go."""
        if not self._clean:
            return None
        body = self._body if start == 0 and self._body is not None else self.pack(range(start, len(self)))
        try:
            table = reader.table(body)
        except REFUSED:
            return None
        if not reader.readable(table.columns, table.decoded) or not reader.unique_columns(body, table):
            return None
        if len(body) > self._max_record_bytes and not self._small(table.decoded, reader):
            return None
        if start == 0:
            self._count = table.count
        return table.columns

    def _small(self, decoded: Decoded, reader: Reader) -> bool:
        """Tell whether no record can be above the limit, by the longest text of each column."""
        longest = 0
        for name in reader.names:
            for value in decoded(name):
                if value.__class__ is str:
                    longest = max(longest, len(value))
                elif value.__class__ in (list, dict):
                    return False
        return longest * max(1, len(reader.names)) * 4 <= self._max_record_bytes

    def row(self, reader: Reader, i: int) -> Any | None:
        """Columns have no bytes of one record to read fast."""
        return None

    def values(self, i: int, schema: FeedSchema) -> dict[str, Any]:
        """Gather and flatten one record."""
        record = {name: column[i] for name, column in self.table.items()}
        size = sum(len(v.encode(errors="replace")) for v in record.values() if isinstance(v, str))
        if size > self._max_record_bytes:
            raise too_large(size, self._max_record_bytes)
        return flatten(record, schema)

    def pack(self, places: Sequence[int]) -> bytes:
        """Return an object of columns that hold the records at `places`."""
        if self._body is not None and len(places) == len(self):
            return self._body
        if isinstance(places, range):
            part = {name: column[places.start : places.stop] for name, column in self.table.items()}
        else:
            part = {name: [column[i] for i in places] for name, column in self.table.items()}
        return msgspec.json.encode(part)


def read_table(body: bytes) -> tuple[dict[str, list[Any]], bool]:
    """Parse an object of columns; False with it if some value is no JSON number. Raises `UnreadableBody`."""
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
                f"expected columns of equal length, got {length} and, in {shorten(name)}, {len(column)} values",
                field=name,
                hint="Send null where a value is missing",
            )
        length = len(column)
    return table, not any(isinstance(value, NotANumber) for column in table.values() for value in column)


_TABLE_HINT: Final = 'Send {"field": [value, ...], ...} with columns of equal length'
