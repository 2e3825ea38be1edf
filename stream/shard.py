"""One feed's pipeline with its place in the log: takes log entries in order and says what came of them.

Live and in recovery this is the one way from an entry to results, so a replay repeats what was done before.
Single-threaded: only the engine calls it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from anomalyai.alert import Amendment
from anomalyai.control import BudgetChange, ControlEntry, Labels, ModelSwap, SchemaChange, Verdict
from anomalyai.errors import ModelError
from anomalyai.pipeline import Pipeline
from anomalyai.scored import ScoredBatch
from stream.log import LogItem
from stream.models import Models
from stream.snapshot import Snapshot

log = logging.getLogger("anomalyai.stream")


class Shard:
    """A pipeline after log entry `entry`, whose last record was `seq`.

    `amendments` are what that entry, if it was a verdict or labels, does to earlier alerts.
    """

    def __init__(self, feed: str, models: Models, pipeline: Pipeline | None = None) -> None:
        self.feed = feed
        self.pipeline = pipeline or Pipeline(feed=feed)
        self.entry = 0
        self.seq = 0
        self.amendments: list[Amendment] = []
        self.refused_model: str | None = None
        self.note: str | None = None
        self._models = models

    @classmethod
    def restored(cls, feed: str, models: Models, snapshot: Snapshot) -> Shard:
        """Return the shard of a snapshot.

        Raises
        ------
        StateError
            The state cannot be read by this version, or the model it names is not to be had.
        """
        shard = cls(feed, models, Pipeline.loads(snapshot.state, models))
        shard.entry, shard.seq = snapshot.entry, snapshot.seq
        return shard

    def snapshot(self) -> Snapshot:
        """Return the state after the last entry."""
        return Snapshot(self.entry, self.seq, self.pipeline.dumps())

    def take(self, item: LogItem, slice_records: int) -> Iterator[ScoredBatch]:
        """Take the next entry; yields what its records scored, at most `slice_records` at a time.

        The place in the log moves on when the iterator is exhausted.
        """
        self.amendments = []
        records = item.records
        if records is not None:
            for start in range(0, records.n, slice_records):
                yield self.pipeline.process(records.slice(start, start + slice_records))
            self.seq = records.first_seq + records.n - 1
        elif item.control is not None:
            self._apply(item, item.control)
        self.entry = item.entry

    def skip(self, entry: int, first_seq: int | None, n: int) -> None:
        """Pass over an entry that was set aside."""
        self.entry = entry
        if first_seq is not None:
            self.seq = first_seq + n - 1

    def _apply(self, item: LogItem, change: ControlEntry) -> None:
        if isinstance(change, SchemaChange | BudgetChange | Verdict | Labels):
            self.amendments = self.pipeline.apply(change)
        elif isinstance(change, ModelSwap):
            try:
                self.pipeline.swap(change.model_id, self._models.load(change.model_id, change.sha256))
                self.refused_model = None
            except ModelError as error:
                # a swap that does not fit is passed over, here and in every replay
                self.refused_model = f"{change.model_id}: {error.message}"
                log.error("feed %s, entry %d: the model was not put in: %s", self.feed, item.entry, error)
