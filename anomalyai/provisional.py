"""The first records of a feed, kept as they came while their fields' kinds are provisional.

Kinds are inferred again at 20, 100 and 500 records. When one changes, what was learnt under the old kinds is
of no use, so the detectors start again from these records, read under the new schema.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import msgspec

from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema

MAX_RECORDS = 500
MAX_SIZE_BYTES = 8 * 1024 * 1024


class ProvisionalRecords:
    """At most `MAX_RECORDS` records and `MAX_SIZE_BYTES` of a feed's beginning, record by record."""

    def __init__(self) -> None:
        self._kept: list[bytes] = []
        self._arrivals_s: list[float] = []
        self._first_seq = 0
        self._size_bytes = 0
        self._full = False

    def keep(self, batch: RecordBatch) -> None:
        """Keep a batch's records while the schema is not settled and the bounds allow it."""
        if batch.schema.settled or self._full:
            return
        if not self._kept:
            self._first_seq = batch.first_seq
        for i in range(min(batch.n, MAX_RECORDS - len(self._kept))):
            raw = msgspec.json.encode(batch.record(i))
            if self._size_bytes + len(raw) > MAX_SIZE_BYTES:
                self._full = True
                return
            self._kept.append(raw)
            self._arrivals_s.append(batch.arrival_s)
            self._size_bytes += len(raw)

    def reread(self, schema: FeedSchema) -> Iterator[RecordBatch]:
        """Yield the kept records, in order, under another schema."""
        seq = self._first_seq
        together = groupby(zip(self._kept, self._arrivals_s, strict=True), key=lambda kept: _bits(kept[1]))
        for _, group in together:
            kept = list(group)
            body = b"[" + b",".join(raw for raw, _ in kept) + b"]"
            yield RecordBatch.reread(schema, "rows", body, seq, kept[0][1])
            seq += len(kept)

    def forget(self) -> None:
        """Drop everything: the schema is settled."""
        self._kept.clear()
        self._arrivals_s.clear()
        self._first_seq = self._size_bytes = 0
        self._full = False

    def state(self) -> list[Any]:
        """Return what `restore` needs, as plain values."""
        return [self._first_seq, self._kept, self._arrivals_s, self._full]

    def restore(self, state: list[Any]) -> None:
        """Take what `state` returned."""
        self._first_seq, self._kept, self._arrivals_s, self._full = state
        self._size_bytes = sum(len(raw) for raw in self._kept)


def _bits(value: float) -> bytes:
    """Return a float's bytes: NaN, an unknown arrival, is then equal to itself."""
    return struct.pack("<d", value)
