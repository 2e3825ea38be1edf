"""One record in full: as it came, what it scored, and why it was flagged or why not.

Safe from any thread: it reads the log and the results.
"""

from __future__ import annotations

from typing import Any

from anomalyai.alert import one_in, rfc3339
from anomalyai.control import SchemaChange
from anomalyai.schema import FeedSchema
from stream.errors import UnknownEvent
from stream.log import LogReader, StoredEntry
from stream.store import Scores, Store


class Events:
    """Looks records up by feed and seq."""

    def __init__(self, reader: LogReader, store: Store) -> None:
        self._reader = reader
        self._store = store

    def describe(self, feed: str, seq: int) -> dict[str, Any]:
        """Return a record with its score and the reasons of its alert, or why it has none.

        Raises
        ------
        UnknownEvent
            The feed has no such record.
        """
        stored = self._reader.holding(feed, seq)
        if stored is None or stored.first_seq is None:
            raise UnknownEvent(
                f"feed {feed!r} has no record {seq}, its last is {self._reader.last_seq(feed)}", field="seq"
            )
        records = stored.decode(self._schema(stored)).records
        assert records is not None
        i = seq - stored.first_seq
        scores = self._store.scores(stored.entry)
        alert = self._store.alert(f"{feed}-{seq}")
        score = float(scores.score[i]) if scores is not None else None
        return {
            "feed": feed,
            "seq": seq,
            "time": rfc3339(float(records.time_s[i])),
            "record": records.record(i),
            "score": score,
            "one_in": one_in(score) if score is not None else None,
            "threshold": scores.threshold if scores is not None else None,
            "flagged": bool(scores.flagged[i]) if scores is not None else None,
            "warming_up": bool(scores.warming_up[i]) if scores is not None else None,
            "alert": alert.id if alert is not None else None,
            "reasons": alert.reasons if alert is not None else [],
            "why_not": self._why_not(feed, stored, scores, i),
        }

    def _schema(self, stored: StoredEntry) -> FeedSchema:
        change = self._reader.last_control(stored.feed, "schema", stored.entry)
        return change.schema if isinstance(change, SchemaChange) else FeedSchema()

    def _why_not(self, feed: str, stored: StoredEntry, scores: Scores | None, i: int) -> str | None:
        if scores is None:
            error = self._store.dead_letters(feed).get(stored.entry)
            return f"it could not be scored: {error}" if error else "it waits to be scored"
        if scores.flagged[i]:
            return None
        score, threshold = float(scores.score[i]), scores.threshold
        if score < threshold:
            return (
                f"its score {score:.2f} (1 in {one_in(score):,.0f}) is below the threshold "
                f"{threshold:.2f} (1 in {one_in(threshold):,.0f}) of its time"
            )
        return f"its score {score:.2f} reached the threshold, but too few records had come before it to judge"
