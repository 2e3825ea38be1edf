"""Intake: a feed's bytes to record batches, in the order that the log will hold them.

An intake holds the little that admission has to remember: the schema, how many records were accepted, and, until
kinds are settled, the first records. It judges each record by itself: a bad one becomes a `Rejection` and its
neighbours are kept. How a stream of records is cut into bodies changes nothing in the batches' contents.

An intake is single-threaded; its owner holds a lock around `checkpoint`, `admit` and, when the log refuses,
`rollback`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai import growth
from anomalyai.control import SchemaChange
from anomalyai.decode import Columns, Reader, Rows
from anomalyai.decode_csv import CsvRows, Row, convert, header_of
from anomalyai.decode_exact import RecordError, check, flatten
from anomalyai.decode_source import RowSource, Source, TableSource, join_rows
from anomalyai.errors import TooLarge
from anomalyai.frame import Frame
from anomalyai.media import CSV, JSON, media_of, source_of_json, source_of_lines
from anomalyai.records import RecordBatch, Rejection
from anomalyai.schema import FeedSchema, JsonType

__all__ = ["Admission", "Counters", "Intake", "IntakeLimits"]

FAST_ATTEMPTS: Final = 8
"""How often one body may be read anew as clean after its schema changed; bounds the work a body can cause."""


class IntakeLimits(msgspec.Struct, frozen=True):
    """Bounds of one body, each with an error or a counter for what it cost."""

    max_frame_bytes: int = 8 * 1024 * 1024
    max_record_bytes: int = 256 * 1024
    max_records: int = 500_000
    max_fields: int = growth.MAX_FIELDS


class Counters(msgspec.Struct, frozen=True):
    """What an intake has seen, for status pages; no part of the feed's state."""

    accepted: int = 0
    rejected: int = 0
    empty_bodies: int = 0
    new_fields: int = 0
    fields_over_limit: int = 0
    schema_changes: int = 0


class Admission(msgspec.Struct):
    """What came of one body: log items in order, and what was not taken."""

    items: list[SchemaChange | RecordBatch]
    rejected: list[Rejection]
    accepted: int = 0
    shed: int = 0
    new_fields: list[str] = []


class Intake:
    """Admission of one feed's records.

    Parameters
    ----------
    schema
        Declared or earlier schema; None starts from nothing.
    limits
        Bounds of one body.
    """

    def __init__(self, schema: FeedSchema | None = None, *, limits: IntakeLimits | None = None) -> None:
        self.limits = limits or IntakeLimits()
        self.counters = Counters()
        self._schema = schema or FeedSchema()
        self._reader: Reader | None = None
        self._null_names: frozenset[str] = frozenset()
        self._sample: list[dict[str, Any]] = []
        self._mistyped: frozenset[str] = frozenset()

    @property
    def schema(self) -> FeedSchema:
        """The schema that the next record is read under."""
        return self._schema

    @property
    def accepted(self) -> int:
        """Records accepted so far."""
        return self.counters.accepted

    @property
    def rejected(self) -> int:
        """Records rejected so far, by this intake."""
        return self.counters.rejected

    @classmethod
    def restored(
        cls,
        schema: FeedSchema,
        accepted: int,
        first_batches: Sequence[RecordBatch] = (),
        *,
        limits: IntakeLimits | None = None,
    ) -> Intake:
        """Return the intake as it was after `accepted` records; `first_batches` matter while not settled."""
        intake = cls(schema, limits=limits)
        intake.counters = Counters(accepted=accepted)
        if not schema.settled:
            for batch in first_batches:
                intake._remember(batch)
        return intake

    def admit(self, body: bytes, media: str | None = None, *, arrival_s: float = math.nan) -> Admission:
        """Admit the body of a request.

        Raises
        ------
        UnreadableBody, TooLarge, UnsupportedMedia
            Nothing of the body was accepted.
        """
        self._require_size(body)
        kind = media_of(media, body)
        if kind == CSV:
            rows = CsvRows.of_body(body)
            return self.admit_table(header_of(rows), rows.take(), arrival_s=arrival_s)
        source = source_of_json if kind == JSON else source_of_lines
        return self._admit(_Run(source(body, self.limits.max_record_bytes), arrival_s))

    def admit_frame(self, frame: Frame, *, arrival_s: float = math.nan) -> Admission:
        """Admit an opened frame; raises `UnreadableBody` or `TooLarge`."""
        self._require_size(frame.body)
        source: Source
        if frame.form == "columns":
            source = TableSource(None, frame.body, self.limits.max_record_bytes)
        elif frame.form == "rows":
            source = RowSource(frame.body, None, self.limits.max_record_bytes)
        else:
            source = source_of_lines(frame.body, self.limits.max_record_bytes)
        return self._admit(_Run(source, arrival_s))

    def admit_table(
        self,
        header: Sequence[str],
        rows: Sequence[Row],
        *,
        first_index: int = 0,
        arrival_s: float = math.nan,
    ) -> Admission:
        """Admit rows of CSV cells; `first_index` is the place of the first one in its file."""
        table = convert(header, rows, self._schema, first_index)
        source = TableSource(table.columns, None, self.limits.max_record_bytes)
        run = _Run(source, arrival_s, np.array(table.places, dtype=np.int64))
        for place, error in table.faults:
            self._reject(run, place, error)
        return self._admit(run)

    def admit_rows(
        self, raws: list[bytes], *, first_index: int = 0, arrival_s: float = math.nan
    ) -> Admission:
        """Admit records that are JSON objects each; `first_index` is the place of the first one in its file."""
        source = RowSource(join_rows(raws), raws, self.limits.max_record_bytes)
        return self._admit(
            _Run(source, arrival_s, np.arange(first_index, first_index + len(raws), dtype=np.int64))
        )

    def declare(self, declared: FeedSchema) -> SchemaChange | None:
        """Take a declaration; None if it changes nothing. Raises `SchemaConflict`."""
        changed = growth.declare(self._schema, declared, accepted=self.accepted, reopened=self._mistyped)
        if changed is None:
            return None
        self._mistyped -= {f.name for f in declared.fields}
        self._switch(changed)
        return SchemaChange(changed)

    def checkpoint(self) -> object:
        """Return what `rollback` needs to undo everything admitted or declared from now on."""
        return (self._schema, self.counters, self._sample, len(self._sample), self._mistyped)

    def rollback(self, checkpoint: object) -> None:
        """Forget everything since `checkpoint`, for when the log did not take it."""
        assert isinstance(checkpoint, tuple)
        schema, self.counters, self._sample, kept, self._mistyped = checkpoint
        del self._sample[kept:]
        if schema is not self._schema:
            self._switch(schema)

    def _require_size(self, body: bytes) -> None:
        if len(body) > self.limits.max_frame_bytes:
            raise TooLarge(
                f"expected at most {self.limits.max_frame_bytes} bytes, got {len(body)}",
                hint="Send the records in smaller bodies",
            )

    def _switch(self, schema: FeedSchema) -> None:
        self._schema = schema
        self._reader = None

    def _current_reader(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self._schema, self._null_names)
        return self._reader

    def _admit(self, run: _Run) -> Admission:
        source = run.source
        attempts = FAST_ATTEMPTS
        while True:
            if attempts:
                attempts -= 1
                clean = self._take_clean(run)
            else:
                clean = False
            if run.position >= len(source):
                break
            if not clean:
                self._take_exact(run)
        admission = run.admission
        admission.rejected.sort(key=lambda rejection: rejection.index)
        counters = self.counters
        self.counters = msgspec.structs.replace(
            counters,
            rejected=counters.rejected + len(admission.rejected),
            empty_bodies=counters.empty_bodies + (len(source) == 0),
        )
        return admission

    def _room(self) -> int | None:
        """Return how many records fit before kinds are inferred again; None once settled."""
        if self._schema.settled:
            return None
        checkpoint = growth.next_checkpoint(self.accepted)
        return None if checkpoint is None else checkpoint - self.accepted

    def _take_clean(self, run: _Run) -> bool:
        """Take all that is left, up to the next checkpoint, if every record of it is clean."""
        columns = run.source.take(self._current_reader(), run.position, self._room())
        if columns is None:
            return False
        self._require_count(len(run.source))
        count = len(columns.time_s)
        if count:
            self._emit(run, columns, range(run.position, run.position + count))
        return True

    def _take_exact(self, run: _Run) -> None:
        """Take record by record, up to the next checkpoint or to a record that changes the schema."""
        source, reader, room = run.source, self._current_reader(), self._room()
        self._require_count(len(source))
        rows: list[Any] = []
        places: list[int] = []
        change: FeedSchema | None = None
        position = run.position
        while position < len(source) and (room is None or len(rows) < room):
            try:
                row = source.row(reader, position)
                if row is None:
                    values = source.values(position, self._schema)
                    change = self._growth(values, check(values, self._schema), run.admission)
                    if change is not None:
                        break
                    row = reader.make(values)
            except RecordError as error:
                self._reject(run, run.index(position), error)
            else:
                rows.append(row)
                places.append(position)
            position += 1
        if rows:
            self._emit(run, reader.columns(Rows(reader, rows)), places)
        run.position = position
        if change is not None:
            self._change(run, change)

    def _reject(self, run: _Run, index: int, error: RecordError) -> None:
        run.admission.rejected.append(Rejection(index, error.field, error.text))
        if error.mistyped and error.field is not None:
            self._mistyped |= {error.field}

    def _growth(
        self, values: Mapping[str, Any], fresh: Mapping[str, JsonType], admission: Admission
    ) -> FeedSchema | None:
        """Return the schema that a record with these fresh fields needs first, or None if it needs none."""
        schema = self._schema
        names = {name for name, value in values.items() if value is None and name not in schema.by_name}
        if not names <= self._null_names and len(self._null_names | names) <= self.limits.max_fields:
            self._null_names |= names
        if not fresh:
            return None
        grown = growth.extend(schema, fresh, values, self.limits.max_fields)
        left_out = sum(name not in grown.by_name for name in fresh)
        if grown == schema:
            self._bump(fields_over_limit=left_out)
            return None
        admission.new_fields += [f.name for f in grown.fields if f.name not in schema.by_name]
        return grown

    def _emit(self, run: _Run, columns: Columns, places: Sequence[int]) -> None:
        """Append a batch, and the schema change that its last record may bring about."""
        source = run.source
        batch = RecordBatch(
            self._schema,
            columns,
            source.codec,
            source.pack(places),
            arrival_s=run.arrival_s,
            index=run.indexes(places),
        )
        run.admission.items.append(batch)
        run.admission.accepted += batch.n
        run.position = places[-1] + 1
        checkpoint = growth.next_checkpoint(self.accepted)
        self._bump(accepted=batch.n)
        if self._schema.settled:
            return
        self._remember(batch)
        if self.accepted == checkpoint:
            last = growth.next_checkpoint(self.accepted) is None
            changed = growth.reinfer(self._schema, self._sample, settle=last)
            if changed != self._schema:
                self._change(run, changed)
            if last:
                self._sample = []

    def _change(self, run: _Run, schema: FeedSchema) -> None:
        self._bump(schema_changes=1, new_fields=len(schema.fields) - len(self._schema.fields))
        self._switch(schema)
        run.admission.items.append(SchemaChange(schema))

    def _remember(self, batch: RecordBatch) -> None:
        """Keep the first records until kinds are settled."""
        missing = growth.CHECKPOINTS[-1] - len(self._sample)
        self._sample += [flatten(batch.record(i), batch.schema) for i in range(min(batch.n, missing))]

    def _bump(self, **counts: int) -> None:
        changes = {name: getattr(self.counters, name) + count for name, count in counts.items()}
        self.counters = msgspec.structs.replace(self.counters, **changes)

    def _require_count(self, count: int) -> None:
        if count > self.limits.max_records:
            raise TooLarge(
                f"expected at most {self.limits.max_records} records, got {count}",
                hint="Send the records in smaller bodies",
            )


class _Run:
    """One body on its way through the intake; `places` are its records' places in it, if not 0, 1, 2, ..."""

    def __init__(self, source: Source, arrival_s: float, places: NDArray[np.int64] | None = None) -> None:
        self.source = source
        self.arrival_s = arrival_s
        self.admission = Admission([], [])
        self.position = 0
        self._places = places

    def index(self, position: int) -> int:
        """Return the place of one record in its body."""
        return position if self._places is None else int(self._places[position])

    def indexes(self, positions: Sequence[int]) -> NDArray[np.int64]:
        """Return the places of several records in their body."""
        if isinstance(positions, range):
            chosen = np.arange(positions.start, positions.stop, dtype=np.int64)
        else:
            chosen = np.array(positions, dtype=np.int64)
        return chosen if self._places is None else self._places[chosen]
