"""One record in full: as it came, what it scored, and why it was flagged or why not.

A record's score and threshold are those of its time. What explains it in full is asked of the feed as it
stands now, since the state of its time is gone: `explanation.as_of_seq` says up to which record it learnt.

Safe from any thread: it reads the log and the results, and the engine's thread answers for the feed.
"""

from __future__ import annotations

import logging
from typing import Any

import msgspec

from anomalyai.alert import one_in, rfc3339
from anomalyai.control import SchemaChange
from anomalyai.errors import AnomalyAIError, StateError
from anomalyai.explanation import Explanation, why_not
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from stream.engine import Engine
from stream.errors import LogDamaged, UnknownEvent
from stream.lane import Lane
from stream.log import LogItem, LogReader, StoredEntry
from stream.lookup import Alike, Lookup
from stream.loss import Losses
from stream.store import Scores, Store

PATIENCE_S = 30.0

log = logging.getLogger("anomalyai.stream")


class Past(msgspec.Struct, frozen=True):
    """A record of an entity: what it scored (null where that is not known any more), and its numbers."""

    seq: int
    time: str | None
    score: float | None
    flagged: bool | None
    numbers: dict[str, float]


class History(msgspec.Struct, frozen=True):
    """The records with one `value` in a `field` around one of them, in order; `looked_at` were read."""

    feed: str
    field: str
    value: str
    looked_at: int
    records: list[Past]


class Events:
    """Looks records up by feed and seq."""

    def __init__(self, reader: LogReader, store: Store, losses: Losses, engine: Engine) -> None:
        self._lookup = Lookup(reader)
        self._reader = reader
        self._store = store
        self._losses = losses
        self._engine = engine

    def describe(self, feed: str, seq: int) -> dict[str, Any]:
        """Return a record with its score and the reasons of its alert, or why it has none.

        Raises
        ------
        UnknownEvent
            The feed never had such a record.
        RecordGone, LogDamaged
            It had, but the log no longer has it, or it cannot be read any more.
        """
        stored = self._reader.holding(feed, seq)
        if stored is None or stored.first_seq is None:
            self._losses.require(feed, seq)
            raise UnknownEvent(
                f"feed {feed!r} has no record {seq}, its last is {self._reader.last_seq(feed)}", field="seq"
            )
        records = self._decoded(stored).records
        assert records is not None
        i = seq - stored.first_seq
        record = records.record(i)
        scores = self._store.scores(stored.entry)
        alert = self._store.alert(f"{feed}-{seq}")
        score = float(scores.score[i]) if scores is not None else None
        threshold = scores.threshold if scores is not None else None
        return {
            "feed": feed,
            "seq": seq,
            "time": rfc3339(float(records.time_s[i])),
            "record": record,
            "score": score,
            "one_in": one_in(score) if score is not None else None,
            "threshold": threshold,
            "margin": threshold - score if threshold is not None and score is not None else None,
            "flagged": bool(scores.flagged[i]) if scores is not None else None,
            "warming_up": bool(scores.warming_up[i]) if scores is not None else None,
            "alert": alert.id if alert is not None else None,
            "reasons": alert.reasons if alert is not None else [],
            "why_not": self._why_not(feed, stored, scores, i),
            "explanation": self._explanation(feed, seq, record, stored.arrival) if scores else None,
        }

    def alike(self, feed: str, seq: int, field: str, before: int, after: int) -> History:
        """Return the records around one with the same value of a field, and what each scored.

        Raises
        ------
        UnknownEvent
            The feed has no such record, or the record nothing in that field.
        """
        text, looked_at, found = self._lookup.alike(feed, seq, field, before=before, after=after)
        if text is None:
            raise UnknownEvent(
                f"feed {feed!r} has no record {seq} with a value of {field[:80]!r}", field="seq"
            )
        scores = {entry: self._store.scores(entry) for entry in {one.entry for one in found}}
        return History(feed, field, text, looked_at, [_past(one, scores[one.entry]) for one in found])

    def _explanation(
        self, feed: str, seq: int, record: dict[str, Any], arrival_s: float
    ) -> dict[str, Any] | None:
        """Explain a scored record against the feed as it stands; None where the feed cannot be asked."""
        body = msgspec.json.encode([record])

        def ask(lane: Lane) -> tuple[int, Explanation]:
            pipeline = lane.shard.pipeline
            batch = RecordBatch.reread(pipeline.schema, "rows", body, seq, arrival_s)
            return lane.shard.seq, pipeline.explain(batch, 0)

        try:
            as_of_seq, found = self._engine.ask(feed, ask).result(PATIENCE_S)
        except AnomalyAIError as error:
            log.info("record %d of feed %s is not explained: %s", seq, feed, error)
            return None
        return {"as_of_seq": as_of_seq, **msgspec.structs.asdict(found)}

    def _decoded(self, stored: StoredEntry) -> LogItem:
        change = self._reader.last_control(stored.feed, "schema", stored.entry)
        schema = change.schema if isinstance(change, SchemaChange) else FeedSchema()
        try:
            return stored.decode(schema)
        except StateError as error:  # a sound body under a schema that is not its own: that one is damaged
            raise LogDamaged(error.message, hint=error.hint) from error

    def _why_not(self, feed: str, stored: StoredEntry, scores: Scores | None, i: int) -> str | None:
        if scores is None:
            error = self._store.dead_letters(feed).get(stored.entry)
            return f"it could not be scored: {error}" if error else "it waits to be scored"
        if scores.flagged[i]:
            return None
        score, threshold = float(scores.score[i]), scores.threshold
        return why_not(score, threshold)


def _past(one: Alike, scores: Scores | None) -> Past:
    numbers = {
        name: float(value)
        for name, value in one.record.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    score = None if scores is None else float(scores.score[one.place])
    flagged = None if scores is None else bool(scores.flagged[one.place])
    return Past(one.seq, rfc3339(one.time_s), score, flagged, numbers)
