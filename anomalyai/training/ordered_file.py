"""A file's records in event order, read as a stream as long as they are in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np

from anomalyai.control import SchemaChange
from anomalyai.errors import ModelError, TooLarge, shorten
from anomalyai.files import FileBatches, read_batches
from anomalyai.media import CSV, media_of
from anomalyai.records import RecordBatch, Rejection
from anomalyai.reorder import event_ordered, fell_since, latest
from anomalyai.schema import FeedSchema, JsonType, Kind

__all__ = ["OrderedFile", "OutOfOrder"]

MAX_SORTED_BYTES: Final = 1 << 30
"""Records as JSON that are sorted in memory at most."""

CHUNK: Final = 10_000
READ: Final = 0.2
"""Share of the whole that reading takes where records must be sorted."""

DESCRIBED: Final = 0.6
"""Share of the whole at which the records are through the pipeline."""

READ_KINDS: Final = (Kind.NUMBER, Kind.CATEGORY, Kind.ENTITY, Kind.TIME)


class OutOfOrder(Exception):
    """Event times fall: the records must be sorted first."""


class OrderedFile:
    """The batches and schema changes of a file in event order; each pass reads it anew.

    The first pass raises `OutOfOrder` where an event time falls; after `sort` the records come sorted.
    `tell` reports progress by what is read of the file.
    """

    def __init__(
        self,
        path: Path,
        schema: FeedSchema | None,
        media: str | None,
        progress: Callable[[str, float], None],
    ) -> None:
        self._path, self._schema = path, schema
        self._form = _form_of(media, path) if media is not None else None
        self._progress = progress
        self._sorted = False
        self._reader = self._open()
        self._records = self._done = 0

    def _open(self) -> FileBatches:
        return read_batches(self._path, self._schema, form=self._form)

    def sort(self) -> None:
        """Sort the records in the next pass."""
        self._sorted = True

    @property
    def rejected(self) -> int:
        """Rows that were refused."""
        return self._reader.rejected

    @property
    def rejections(self) -> list[Rejection]:
        """The first of them."""
        return self._reader.rejections

    def require_fields(self, found: FeedSchema) -> None:
        """Check that a file with fields of its own has those that were declared, too.

        Raises
        ------
        ModelError
            Naming one that no record has, and the others.
        """
        given = self._schema or FeedSchema()
        read = [field for field in given.fields if field.declared and field.kind in READ_KINDS]
        scored = {*given.numbers, *given.categories, *given.entities} - self._reader.intake.valued
        lacking = [
            field.name
            for field in read
            if field.name in scored or found.by_name[field.name].type is JsonType.UNKNOWN
        ]
        others = [field.name for field in found.fields if field.name not in given.by_name]
        if lacking and others:
            raise ModelError(
                f"field {shorten(lacking[0])} is declared and no record has it; the file has other fields: "
                f"{', '.join(map(shorten, others[:10]))}",
                code="field_missing",
                field=lacking[0],
                hint="Declare the fields by the names that the file has",
            )

    def __iter__(self) -> Iterator[RecordBatch | SchemaChange]:
        self._reader = self._open()
        if self._sorted:
            yield from self._in_order()
            return
        last_s = -np.inf
        for item in self._reader:
            if isinstance(item, RecordBatch):
                if fell_since(last_s, item.time_s):
                    raise OutOfOrder
                last_s = latest(last_s, item.time_s)
            yield item

    def _in_order(self) -> Iterator[RecordBatch | SchemaChange]:
        items: list[RecordBatch | SchemaChange] = []
        size_bytes = 0
        for item in self._reader:
            items.append(item)
            if isinstance(item, RecordBatch):
                size_bytes += len(item.body)
                self._records += item.n
            if size_bytes > MAX_SORTED_BYTES:
                raise TooLarge(
                    f"expected at most {MAX_SORTED_BYTES} bytes of records that are not in event order",
                    hint="Sort the file by its time field",
                )
            self._progress("reading", READ * self._reader.fraction)
        for ordered in event_ordered(items, CHUNK):
            yield ordered
            self._done += ordered.n if isinstance(ordered, RecordBatch) else 0

    def tell(self, stage: str, fraction: float) -> None:
        """Report a training's progress, which does not know how many records there are."""
        if stage == "describing" and self._sorted:
            fraction = READ + (DESCRIBED - READ) * self._done / max(self._records, 1)
        elif stage == "describing":
            fraction = DESCRIBED * self._reader.fraction
        self._progress(stage, fraction)

    def explained(self, error: ModelError) -> ModelError:
        """Return an error of training with the first row that was refused, where that may be why."""
        if error.code != "too_few_rows" or not self.rejections:
            return error
        first = self.rejections[0]
        where = f", field {shorten(first.field)}" if first.field else ""
        return ModelError(
            f"{error.message}; {self.rejected} rows were refused, the first is row {first.index + 1}{where}: "
            f"{first.error}",
            code=error.code,
            field=first.field,
            hint=error.hint,
        )


def _form_of(media: str, path: Path) -> str | None:
    """Return how a file of a content type is read, None by its content; raises `UnsupportedMedia`."""
    with path.open("rb") as file:
        return "csv" if media_of(media, file.read(4_096)) == CSV else None
