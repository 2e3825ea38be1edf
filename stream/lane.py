"""What the engine keeps of one feed beside its shard. The engine alone writes it, anyone may read figures."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anomalyai.alert import Alert
from anomalyai.scored import ScoredBatch
from stream.meter import Meter
from stream.shard import Shard
from stream.store import Tally
from stream.truth import Truth

RERANKED_KEPT = 256
JUDGED = ("verdicts", "labels", "reranked")
"""What is counted of verdicts since the start: them, labels, and alerts that were ranked anew."""


class Lane:
    """A feed on its way through the engine.

    `committed_entry` and `committed_seq` say how far results are durable, `skipped` which entries were set
    aside; `tally`, the committed alerts, `truth`, what was made of labelled records since the start, and
    `status`, the pipeline's as of the last commit, are replaced whole.
    """

    def __init__(
        self,
        shard: Shard,
        *,
        committed: tuple[int, int],
        skipped: dict[int, str],
        tally: Tally,
        monotonic_s: float,
    ) -> None:
        self.shard = shard
        self.committed_entry, self.committed_seq = committed
        self.skipped = skipped
        self.tally = tally
        self.judged = dict.fromkeys(JUDGED, 0)
        self.reranked: dict[int, int] = {}
        self.meter = Meter(monotonic_s)
        self.threshold: float | None = None
        self.truth = Truth()
        self.status: dict[str, Any] = shard.pipeline.status()
        self.snapshot_s = monotonic_s
        self._snapshot_entry = shard.entry
        self._since_snapshot = 0

    @property
    def feed(self) -> str:
        """The feed's name."""
        return self.shard.feed

    def committed(self, entry: int, seq: int) -> None:
        """Note that results up to here are durable."""
        self.committed_entry, self.committed_seq = entry, seq
        self.status = self.shard.pipeline.status()

    def recovered(self) -> None:
        """Note that the feed is at the end of its log, be it by entries that were committed before."""
        self.status = self.shard.pipeline.status()

    @property
    def alerts(self) -> int:
        """Alerts that are committed."""
        return sum(self.tally.values())

    def count(self, fresh: Iterable[Alert], former: Iterable[Alert] = ()) -> None:
        """Count committed alerts, in the place of their former revisions where they had any."""
        tally = dict(self.tally)
        for alerts, step in ((fresh, 1), (former, -1)):
            for alert in alerts:
                key = (alert.severity, alert.status)
                tally[key] = tally.get(key, 0) + step
        self.tally = {key: count for key, count in tally.items() if count}

    def rerank(self, entry: int, count: int) -> None:
        """Note how many alerts a verdict ranked anew, for whoever waits for it."""
        self.judged["reranked"] += count
        self.reranked[entry] = count
        if len(self.reranked) > RERANKED_KEPT:
            del self.reranked[next(iter(self.reranked))]

    def scored(self, scored: ScoredBatch) -> None:
        """Note a batch that went through the pipeline."""
        self._since_snapshot += scored.n
        self.threshold = scored.threshold

    def snapshot_due(self, monotonic_s: float, every_records: int, every_s: float) -> bool:
        """Whether the state has moved far enough, or long enough ago, to be saved."""
        if self.shard.entry == self._snapshot_entry:
            return False
        return self._since_snapshot >= every_records or monotonic_s - self.snapshot_s >= every_s

    def saved(self, monotonic_s: float) -> None:
        """Note that the present state was saved."""
        self._snapshot_entry = self.shard.entry
        self.snapshot_s = monotonic_s
        self._since_snapshot = 0

    def unsaved(self) -> None:
        """Note that what `saved` spoke of was given up."""
        self._snapshot_entry = -1
