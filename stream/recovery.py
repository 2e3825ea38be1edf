"""Bringing a feed's state back: the newest good snapshot, then the log from there.

State is a function of the log, less the entries that were set aside, so what comes back is what was there.
An entry that can no longer be read is set aside too. Where no snapshot is good and retention has dropped the
beginning of the log, what the feed had learnt cannot be had again: it begins anew with what is kept, and says
so. Single-threaded: only the engine calls it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import numpy as np

from anomalyai.errors import AnomalyAIError
from anomalyai.scored import ScoredBatch
from stream.log import LogReader, StoredEntry
from stream.loss import Losses
from stream.models import Models
from stream.shard import Shard
from stream.snapshot import Snapshots
from stream.store import Store

LINE_RECORDS = 20_000
LINE_ENTRIES = 200

log = logging.getLogger("anomalyai.stream")


class Recovery:
    """Reads snapshots and the log of one data directory."""

    def __init__(
        self, reader: LogReader, store: Store, losses: Losses, snapshots: Snapshots, models: Models
    ) -> None:
        self._reader = reader
        self._store = store
        self._losses = losses
        self._snapshots = snapshots
        self._models = models

    def restore(self, feed: str, upto: int) -> Shard:
        """Return the shard of the newest snapshot not after entry `upto`, or a new one.

        `Shard.note` says so where a new one does not come to what was there.
        """
        for snapshot in self._snapshots.usable(feed, upto):
            try:
                return Shard.restored(feed, self._models, snapshot)
            except (AnomalyAIError, LookupError, TypeError, ValueError) as error:
                log.warning(
                    "feed %s: the snapshot of entry %d is passed over: %s", feed, snapshot.entry, error
                )
        shard = Shard(feed, self._models)
        cut = self._losses.cut(feed)
        if cut.entry:
            shard.note = (
                f"no snapshot could be read and records up to {cut.seq} are no longer kept: what the "
                f"feed had learnt from them is lost, it began anew with record {cut.seq + 1}"
            )
            log.error("feed %s: %s", feed, shard.note)
        return shard

    def rebuild(
        self,
        feed: str,
        upto: int,
        skipped: dict[int, str],
        slice_records: int,
        on_unreadable: Callable[[StoredEntry, AnomalyAIError], None],
    ) -> Shard:
        """Return the shard as it is after entry `upto`, whatever became of the one before.

        `on_unreadable` is told of every entry that can no longer be read; it is left out.
        """
        shard = self.restore(feed, upto)
        for stored in self._reader.read(feed, shard.entry, upto):
            if stored.entry in skipped:
                shard.skip(stored.entry, stored.first_seq, stored.n)
                continue
            try:
                item = stored.decode(shard.pipeline.schema)
            except AnomalyAIError as error:
                on_unreadable(stored, error)
                shard.skip(stored.entry, stored.first_seq, stored.n)
                continue
            for _ in shard.take(item, slice_records):
                pass
        return shard

    def line(self, shard: Shard) -> list[ScoredBatch]:
        """Return what the last records up to the shard's entry scored, oldest first, as far as it is at hand.

        Times come from the log, scores from the results, so nothing is scored again.
        """
        batches: list[ScoredBatch] = []
        seq, records = shard.seq, 0
        while seq > 0 and records < LINE_RECORDS and len(batches) < LINE_ENTRIES:
            stored = self._reader.holding(shard.feed, seq)
            row = None if stored is None else self._store.scores(stored.entry)
            if stored is None or stored.first_seq is None or row is None:
                break
            try:
                batch = stored.decode(shard.pipeline.schema).records
            except AnomalyAIError:
                break  # of an earlier schema: the line begins after it
            if batch is None:
                break
            batches.append(
                ScoredBatch(
                    first_seq=batch.first_seq,
                    n=batch.n,
                    time_s=batch.time_s,
                    score=row.score,
                    flagged=row.flagged,
                    warming_up=np.zeros(batch.n, dtype=np.bool_),
                    threshold=row.threshold,
                    alerts=[],
                )
            )
            records += batch.n
            seq = batch.first_seq - 1
        return batches[::-1]
