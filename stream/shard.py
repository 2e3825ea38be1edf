"""One feed's pipeline with its place in the log: takes log entries in order and says what came of them.

Live and in recovery this is the one way from an entry to results, so a replay repeats what was done before.
Single-threaded: only the engine calls it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator

import numpy as np

from anomalyai.alert import Amendment
from anomalyai.arrival import Origins
from anomalyai.control import (
    BudgetChange,
    ClockTick,
    ControlEntry,
    Labels,
    ModelSwap,
    Mute,
    MuteEnd,
    SchemaChange,
    ShadowChange,
    Verdict,
)
from anomalyai.errors import ModelError, StateError
from anomalyai.pipeline import Pipeline
from anomalyai.scored import ScoredBatch
from anomalyai.triage import Sorted
from stream.log import LogItem
from stream.models import Models
from stream.snapshot import Snapshot

ALL_SLOTS = 1 << 62

log = logging.getLogger("anomalyai.stream")


class Shard:
    """A pipeline after log entry `entry`, whose last record was `seq`.

    `amendments` are what that entry, a verdict, labels or records that end a silence, does to earlier alerts.
    """

    def __init__(self, feed: str, models: Models, pipeline: Pipeline | None = None) -> None:
        self.feed = feed
        self.pipeline = pipeline or Pipeline(feed=feed)
        self.entry = 0
        self.seq = 0
        self.amendments: list[Amendment] = []
        self.refused_model: str | None = None
        self.refused_shadow: str | None = None
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
        shard = cls(feed, models, Pipeline.thaw(snapshot.document, snapshot.sections, models))
        shard.entry, shard.seq = snapshot.entry, snapshot.seq
        return shard

    def snapshot(self) -> Snapshot:
        """Return the state after the last entry, whole."""
        frozen = self.pipeline.freeze()
        while not frozen.done:
            frozen.advance(ALL_SLOTS)
        return Snapshot(self.entry, self.seq, frozen.document(), frozen.sections())

    def take(self, item: LogItem, slice_records: int) -> Iterator[ScoredBatch]:
        """Take the next entry; yields what its records scored, at most `slice_records` at a time.

        The place in the log moves on when the iterator is exhausted.
        """
        self.amendments = []
        records = item.records
        if records is not None:
            last_seq = records.first_seq + records.n - 1
            origins = item.origins or Origins.one(item.entry, last_seq, item.arrival_s)
            for start in range(0, records.n, slice_records):
                scored = self.pipeline.process(records.slice(start, start + slice_records), origins)
                self.amendments += scored.amendments
                yield scored
            self.seq = last_seq
        elif isinstance(item.control, ClockTick):
            shown = self.pipeline.tick(item.control.time_s, item.entry, self.seq)
            if shown.alerts:
                yield self._unscored(shown)
        elif item.control is not None:
            self._apply(item, item.control)
        self.entry = item.entry

    def _unscored(self, shown: Sorted) -> ScoredBatch:
        """Return alerts that came of no record."""
        nothing, nobody = np.empty(0), np.empty(0, dtype=np.bool_)
        return ScoredBatch(
            first_seq=self.seq + 1,
            n=0,
            time_s=nothing,
            score=nothing,
            flagged=nobody,
            warming_up=nobody,
            threshold=-math.log10(self.pipeline.promised_rate),
            alerts=shown.alerts,
            incidents=shown.incidents,
        )

    def skip(self, entry: int, first_seq: int | None, n: int) -> None:
        """Pass over an entry that was set aside."""
        self.entry = entry
        if first_seq is not None:
            self.seq = first_seq + n - 1

    def _apply(self, item: LogItem, change: ControlEntry) -> None:
        if isinstance(change, SchemaChange | BudgetChange | Verdict | Labels):
            self.amendments = self.pipeline.apply(change)
        elif isinstance(change, Mute | MuteEnd):
            self.amendments = self.pipeline.triage.mute(change, item.entry)
        elif isinstance(change, ModelSwap):
            try:
                self._swap(change)
                self.refused_model = None
            except (ModelError, StateError) as error:
                # a swap that does not fit is passed over, here and in every replay
                self.refused_model = f"{change.model_id}: {error.message}"
                log.error("feed %s, entry %d: the model was not put in: %s", self.feed, item.entry, error)
        elif isinstance(change, ShadowChange):
            self._shadow(item, change)

    def _swap(self, change: ModelSwap) -> None:
        model = self._models.load(change.model_id, change.sha256)
        if change.start_sha256 is None:
            self.pipeline.swap(change.model_id, model)
        else:
            start = self._models.start(change.model_id, change.start_sha256)
            self.pipeline.start_from(start, change.model_id, model)

    def _shadow(self, item: LogItem, change: ShadowChange) -> None:
        self.refused_shadow = None
        if change.model_id is None:
            self.pipeline.end_shadow()
            return
        try:
            self.pipeline.shadow(change.model_id, self._models.load(change.model_id, change.sha256))
        except ModelError as error:
            self.refused_shadow = f"{change.model_id}: {error.message}"
            log.error("feed %s, entry %d: the shadow was not begun: %s", self.feed, item.entry, error)
