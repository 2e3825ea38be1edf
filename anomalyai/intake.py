"""Intake: a feed's bytes to record batches, in the order that the log will hold them.

An intake holds the little that admission has to remember: the schema, how many records were accepted, and,
until kinds are settled, the first records. It judges each record by itself: a bad one becomes a `Rejection`
and its neighbours are kept. How a stream of records is cut into bodies changes nothing in the contents.

An intake is single-threaded; its owner holds a lock around `checkpoint`, `admit` and, when the log refuses,
`rollback`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from anomalyai import growth
from anomalyai.admission import Admission, Choose, Counters, IntakeLimits, Run
from anomalyai.control import SchemaChange
from anomalyai.decode import Columns, Reader, Rows
from anomalyai.decode_csv import CsvRows, Row, convert, header_of
from anomalyai.decode_exact import RecordError, check, flatten
from anomalyai.decode_source import RowSource, Source, TableSource, join_rows
from anomalyai.errors import TooLarge
from anomalyai.frame import Frame
from anomalyai.inference import abridged
from anomalyai.media import CSV, JSON, media_of, source_of_json, source_of_lines
from anomalyai.records import RecordBatch, Rejection
from anomalyai.schema import FeedSchema, JsonType

__all__ = ["Admission", "Counters", "Intake", "IntakeLimits"]

CLEAN_ATTEMPTS: Final = 8
"""How often the rest of one body may be read as clean after its schema changed; bounds a body's work."""

TYPED_RUN: Final = 1_024
"""Records that are read through the compiled struct at a time, where some of a body are not clean."""

VANISHED_AFTER: Final = 1_000
"""Accepted records without a value after which a field counts as vanished."""


class Intake:
    """Admission of one feed's records.

    Parameters
    ----------
    schema
        Declared or earlier schema; None starts from nothing.
    limits
        Bounds of one body; None for the defaults.
    fixed
        Leave the schema as it is: what it does not know is ignored. For scoring beside a feed.
    choose
        Decides which good records are taken once the kinds are settled; None takes all.
    """

    def __init__(
        self,
        schema: FeedSchema | None = None,
        *,
        limits: IntakeLimits | None = None,
        fixed: bool = False,
        choose: Choose | None = None,
    ) -> None:
        self.limits = limits or IntakeLimits()
        self.fixed = fixed
        self.counters = Counters()
        self._choose = choose
        self._schema = schema or FeedSchema()
        self._reader: Reader | None = None
        self._null_names: frozenset[str] = frozenset()
        self._sample: list[dict[str, Any]] = []
        self._mistyped: frozenset[str] = frozenset()
        self._last_seen: dict[str, int] = {}

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

    @property
    def valued(self) -> frozenset[str]:
        """Scored fields that had a value in some accepted record."""
        return frozenset(self._last_seen)

    @property
    def vanished(self) -> tuple[str, ...]:
        """Scored fields that had values once, but none in the last 1,000 accepted records or more."""
        return tuple(n for n, seen in self._last_seen.items() if self.accepted - seen >= VANISHED_AFTER)

    @classmethod
    def restored(
        cls,
        schema: FeedSchema,
        accepted: int,
        first_batches: Sequence[RecordBatch] = (),
        *,
        limits: IntakeLimits | None = None,
        shed: int = 0,
        choose: Choose | None = None,
    ) -> Intake:
        """Return the intake as it was after `accepted` records; `first_batches` matter while not settled."""
        intake = cls(schema, limits=limits, choose=choose)
        intake.counters = Counters(accepted=accepted, shed=shed)
        if not schema.settled:
            for batch in first_batches:
                intake._remember(batch)
        return intake

    def admit(self, body: bytes, media: str | None = None, *, arrival_s: float = math.nan) -> Admission:
        """Admit the body of a request.

        Parameters
        ----------
        body
            JSON object or array, NDJSON, or CSV with a header.
        media
            Content type; None or a form type lets the first bytes decide.
        arrival_s
            Epoch seconds of arrival.

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
        return self._admit(Run(source(body, self.limits.max_record_bytes), arrival_s))

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
        return self._admit(Run(source, arrival_s))

    def admit_table(
        self, header: Sequence[str], rows: Sequence[Row], *, first_index: int = 0, arrival_s: float = math.nan
    ) -> Admission:
        """Admit rows of CSV cells; `first_index` is the place of the first one in its file."""
        self._require_count(len(rows))
        table = convert(header, rows, self._schema, first_index)
        source = TableSource(table.columns, None, self.limits.max_record_bytes)
        run = Run(source, arrival_s, np.array(table.places, dtype=np.int64))
        for place, error in table.faults:
            self._reject(run, place, error)
        return self._admit(run)

    def admit_rows(
        self, raws: list[bytes], *, first_index: int = 0, arrival_s: float = math.nan
    ) -> Admission:
        """Admit JSON records as bytes each; `first_index` is the place of the first one in its file."""
        source = RowSource(join_rows(raws), raws, self.limits.max_record_bytes)
        places = np.arange(first_index, first_index + len(raws), dtype=np.int64)
        return self._admit(Run(source, arrival_s, places))

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

    def _require_count(self, count: int) -> None:
        if count > self.limits.max_records:
            raise TooLarge(
                f"expected at most {self.limits.max_records} records, got {count}",
                hint="Send the records in smaller bodies",
            )

    def _switch(self, schema: FeedSchema) -> None:
        self._schema = schema
        self._reader = None

    def _current_reader(self) -> Reader:
        if self._reader is None:
            self._reader = Reader(self._schema, self._null_names)
        return self._reader

    def _admit(self, run: Run) -> Admission:
        source, attempts = run.source, CLEAN_ATTEMPTS
        while True:
            clean = attempts > 0 and self._take_clean(run)
            attempts -= 1
            if run.position >= len(source):
                break
            if not clean:
                self._take_exact(run)
        admission = run.admission
        admission.rejected.sort(key=lambda rejection: rejection.index)
        empty = not admission.rejected and len(source) == 0
        self.counters = self.counters.plus(rejected=len(admission.rejected), empty_bodies=empty)
        return admission

    def _room(self) -> int | None:
        """Return how many records fit before kinds are inferred again; None once settled."""
        checkpoint = growth.next_checkpoint(self.accepted)
        return None if self._is_still() or checkpoint is None else checkpoint - self.accepted

    def _is_still(self) -> bool:
        return self.fixed or self._schema.settled

    def _take_clean(self, run: Run) -> bool:
        """Take all that is left, up to the next checkpoint, if every record of it is clean."""
        columns = run.source.take(self._current_reader(), run.position, self._room())
        if columns is None:
            return False
        self._require_count(len(run.source))
        count = len(columns.time_s)
        if count:
            self._emit(run, columns, range(run.position, run.position + count))
        return True

    def _take_exact(self, run: Run) -> None:
        """Take record by record, up to the next checkpoint or to a record that changes the schema."""
        self._require_count(len(run.source))
        reader, room = self._current_reader(), self._room()
        stop = min(len(run.source), run.position + (TYPED_RUN if room is None else min(room, TYPED_RUN)))
        rows: list[Any] = []
        positions: list[int] = []
        change: FeedSchema | None = None
        for position, typed in enumerate(run.source.typed(reader, run.position, stop), run.position):
            try:
                row = typed
                if row is None:
                    values = run.source.values(position, self._schema)
                    change = self._growth(values, check(values, self._schema), run.admission)
                    if change is not None:
                        break
                    row = reader.make(values)
            except RecordError as error:
                self._reject(run, run.place(position), error)
            else:
                rows.append(row)
                positions.append(position)
            run.position = position + 1
        if rows:
            self._emit(run, reader.columns(Rows(reader, rows)), positions)
        if change is not None:
            self._change(run, change)

    def _reject(self, run: Run, index: int, error: RecordError) -> None:
        run.admission.rejected.append(Rejection(index, error.field, error.text))
        if error.mistyped and error.field in self._schema.by_name:
            self._mistyped |= {error.field}

    def _growth(
        self, values: Mapping[str, Any], fresh: Mapping[str, JsonType], admission: Admission
    ) -> FeedSchema | None:
        """Return the schema that a record with these fresh fields needs first, or None if it needs none."""
        schema = self._schema
        nulls = {name for name, value in values.items() if value is None and name not in schema.by_name}
        if not nulls <= self._null_names and len(self._null_names | nulls) <= self.limits.max_fields:
            self._null_names |= nulls
            self._reader = None  # so that they are no reason to leave the fast path from the next run on
        if not fresh or self.fixed:
            return None
        grown = growth.extend(schema, fresh, values, self.limits.max_fields)
        if grown == schema:
            self.counters = self.counters.plus(fields_over_limit=len(fresh))
            return None
        admission.new_fields += [f.name for f in grown.fields if f.name not in schema.by_name]
        return grown

    def _emit(self, run: Run, columns: Columns, positions: Sequence[int]) -> None:
        """Append a batch, and the schema change that its last record may bring about."""
        run.position = max(run.position, positions[-1] + 1)
        if self._choose is not None and self._schema.settled:
            columns, positions = self._shed(run, columns, positions)
            if not positions:
                return
        body = run.source.pack(positions)
        places = run.places(positions)
        batch = RecordBatch(
            self._schema, columns, run.source.codec, body, arrival_s=run.arrival_s, index=places
        )
        run.admission.items.append(batch)
        run.admission.accepted += batch.n
        checkpoint = growth.next_checkpoint(self.accepted)
        self.counters = self.counters.plus(accepted=batch.n)
        self._see(batch)
        if self._is_still():
            return
        self._remember(batch)
        if self.accepted == checkpoint:
            last = growth.next_checkpoint(self.accepted) is None
            changed = growth.reinfer(self._schema, self._sample, settle=last)
            if changed != self._schema:
                self._change(run, changed)
            if last:
                self._sample = []

    def _shed(self, run: Run, columns: Columns, positions: Sequence[int]) -> tuple[Columns, Sequence[int]]:
        """Leave out what is not chosen. While kinds are provisional nothing is: these records settle them."""
        assert self._choose is not None
        before = self.counters.accepted + self.counters.shed
        chosen = self._choose(before, len(positions), run.admission.accepted)
        if chosen is None:
            return columns, positions
        shed = len(positions) - len(chosen)
        run.admission.shed += shed
        self.counters = self.counters.plus(shed=shed)
        return columns.only(chosen), [positions[i] for i in chosen.tolist()]

    def _change(self, run: Run, schema: FeedSchema) -> None:
        new = len(schema.fields) - len(self._schema.fields)
        self.counters = self.counters.plus(schema_changes=1, new_fields=new)
        self._switch(schema)
        run.admission.items.append(SchemaChange(schema))

    def _remember(self, batch: RecordBatch) -> None:
        """Keep the first records until kinds are settled, no more of each than inference looks at."""
        missing = growth.CHECKPOINTS[-1] - len(self._sample)
        for i in range(min(batch.n, missing)):
            flat = flatten(batch.record(i), batch.schema)
            self._sample.append({n: abridged(v) for n, v in flat.items() if n in batch.schema.by_name})

    def _see(self, batch: RecordBatch) -> None:
        """Note which fields had a value, so that vanished ones can be told."""
        names = batch.schema.numbers + batch.schema.categories + batch.schema.entities
        if np.isnan(batch.numbers[0]).any() or not batch.keys[0].all():
            present = np.hstack([~np.isnan(batch.numbers), batch.keys != 0]).any(axis=0)
            names = tuple(names[i] for i in np.flatnonzero(present).tolist())
        self._last_seen.update(dict.fromkeys(names, self.accepted))
