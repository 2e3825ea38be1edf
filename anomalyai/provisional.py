"""The first records of a feed, kept as they came while their fields' kinds are provisional.

Kinds are inferred again at 20, 100 and 500 records. When one changes, what was learnt under the old kinds is
of no use, so the detectors start again from these records, read under the new schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anomalyai.records import Codec, RecordBatch
from anomalyai.schema import FeedSchema

MAX_RECORDS = 500
MAX_SIZE_BYTES = 8 * 1024 * 1024


class ProvisionalRecords:
    """At most `MAX_RECORDS` records and `MAX_SIZE_BYTES` of a feed's beginning."""

    def __init__(self) -> None:
        self._kept: list[tuple[Codec, bytes, int, float]] = []
        self._records = 0
        self._size_bytes = 0

    def keep(self, batch: RecordBatch) -> None:
        """Keep a batch while the schema is not settled and the bounds allow it."""
        if batch.schema.settled or batch.n == 0:
            return
        body = batch.body
        if self._records + batch.n > MAX_RECORDS or self._size_bytes + len(body) > MAX_SIZE_BYTES:
            return
        self._kept.append((batch.codec, body, batch.first_seq, batch.arrival_s))
        self._records += batch.n
        self._size_bytes += len(body)

    def reread(self, schema: FeedSchema) -> Iterator[RecordBatch]:
        """Yield the kept records, in order, under another schema."""
        for codec, body, first_seq, arrival_s in self._kept:
            yield RecordBatch.from_log(schema, codec, body, first_seq, arrival_s)

    def forget(self) -> None:
        """Drop everything: the schema is settled."""
        self._kept.clear()
        self._records = self._size_bytes = 0

    def state(self) -> list[Any]:
        """Return what `restore` needs, as plain values."""
        return [list(kept) for kept in self._kept]

    def restore(self, state: list[Any]) -> None:
        """Take what `state` returned."""
        self.forget()
        for codec, body, first_seq, arrival_s in state:
            self._kept.append((codec, body, first_seq, arrival_s))
            self._size_bytes += len(body)
