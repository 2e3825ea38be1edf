"""Records of the log by number or by the value of their feed's id field.

A number is found by the log's index. An id has none, so the newest records are looked through, at most
`LOOKBACK_RECORDS` of them. Safe from any thread.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import msgspec

from anomalyai.control import SchemaChange
from anomalyai.key import exact_text
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from stream.log import LogReader, StoredEntry

__all__ = ["LOOKAHEAD_RECORDS", "LOOKBACK_RECORDS", "Alike", "Lookup"]

LOOKBACK_RECORDS = 100_000

LOOKAHEAD_RECORDS = 10_000


class Alike(NamedTuple):
    """A record at a `place` of a log entry; `time_s` epoch seconds, NaN unknown."""

    seq: int
    entry: int
    place: int
    time_s: float
    record: dict[str, Any]


Found = tuple[int, dict[str, Any]]
"""A record's seq and a copy of it."""


class Lookup:
    """Looks records up in one data directory's log."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    def by_seq(self, feed: str, seqs: Collection[int]) -> dict[int, dict[str, Any]]:
        """Return copies of records by their numbers, as far as the log has them; an entry is read once."""
        found: dict[int, dict[str, Any]] = {}
        held: RecordBatch | None = None
        for seq in sorted(set(seqs)):
            if held is None or not held.first_seq <= seq < held.first_seq + held.n:
                stored = self._reader.holding(feed, seq)
                held = self._batch(stored) if stored is not None else None
            if held is not None:
                found[seq] = held.record(seq - held.first_seq)
        return found

    def by_id(self, feed: str, field: str, ids: Collection[str]) -> dict[str, Found]:
        """Return records by the exact text of their id field; of several with one id, the newest."""
        wanted, found, seen = set(ids), dict[str, Found](), 0
        for stored in self._reader.read_back(feed):
            if not wanted or seen >= LOOKBACK_RECORDS:
                break
            seen += stored.n
            batch = self._batch(stored)
            for i, text in _texts(batch, field):
                if text in wanted:
                    found[text] = (batch.first_seq + i, batch.record(i))
                    wanted.discard(text)
        return found

    def alike(
        self, feed: str, seq: int, field: str, *, before: int, after: int
    ) -> tuple[str | None, int, list[Alike]]:
        """Find the records whose text of a field is a record's own, around it, in order, itself among them.

        Returns that text (None where the record has none there, or is not in the log), how many records were
        looked at, and those found: at most `before` up to the record, in `LOOKBACK_RECORDS`, and `after`
        behind it, in `LOOKAHEAD_RECORDS`.
        """
        stored = self._reader.holding(feed, seq)
        own = dict(_texts(self._batch(stored), field)) if stored is not None else {}
        text = own.get(seq - (stored.first_seq or 0)) if stored is not None else None
        if stored is None or text is None:
            return None, 0, []
        found: list[Alike] = []
        seen = 0
        for entry in self._reader.read_back(feed, seq + 1):
            if len(found) >= before or seen >= LOOKBACK_RECORDS:
                break
            seen += min(entry.n, seq + 1 - (entry.first_seq or 0))
            found += [one for one in self._alike(entry, field, text) if one.seq <= seq]
        found = found[:before][::-1]
        later: list[Alike] = []
        ahead = 0
        for entry in self._reader.read(feed, stored.entry - 1):
            if len(later) >= after or ahead >= LOOKAHEAD_RECORDS:
                break
            if entry.first_seq is not None:
                ahead += min(entry.n, entry.first_seq + entry.n - 1 - seq)
                later += [one for one in self._alike(entry, field, text)[::-1] if one.seq > seq]
        return text, seen + ahead, found + later[:after]

    def _alike(self, stored: StoredEntry, field: str, text: str) -> list[Alike]:
        """Return an entry's records with this text in a field, the newest first."""
        batch = self._batch(stored)
        return [
            Alike(batch.first_seq + i, stored.entry, i, float(batch.time_s[i]), batch.record(i))
            for i, own in _texts(batch, field)
            if own == text
        ]

    def _batch(self, stored: StoredEntry) -> RecordBatch:
        change = self._reader.last_control(stored.feed, "schema", stored.entry)
        schema = change.schema if isinstance(change, SchemaChange) else FeedSchema()
        records = stored.decode(schema).records
        assert records is not None
        return records


def _texts(batch: RecordBatch, field: str) -> Iterator[tuple[int, str]]:
    """Yield (place, exact text of the field), the newest record first, those without it left out."""
    values: list[Any]
    if batch.codec == "columns":
        values = msgspec.json.decode(batch.body, type=dict[str, list[Any]]).get(field, [])
    else:
        row: Any = msgspec.defstruct("Row", [("value", Any, None)], rename={"value": field})
        values = [found.value for found in msgspec.json.decode(batch.body, type=list[row])]
    for i in range(batch.n - 1, -1, -1):
        value = values[i] if values else None
        text = exact_text(value) if isinstance(value, str | int | float) else batch.text(i, field)
        if text is not None:
            yield i, text
