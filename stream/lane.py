"""What the engine keeps of one feed beside its shard. The engine alone writes it, anyone may read figures."""

from __future__ import annotations

from typing import Any

from anomalyai.scored import ScoredBatch
from stream.meter import Meter
from stream.shard import Shard


class Lane:
    """A feed on its way through the engine.

    `committed_entry` and `committed_seq` say how far results are durable, `skipped` which entries were set
    aside, `status` is the pipeline's status as of the last commit, replaced whole.
    """

    def __init__(
        self,
        shard: Shard,
        *,
        committed: tuple[int, int],
        skipped: dict[int, str],
        alerts: int,
        monotonic_s: float,
    ) -> None:
        self.shard = shard
        self.committed_entry, self.committed_seq = committed
        self.skipped = skipped
        self.alerts = alerts
        self.meter = Meter(monotonic_s)
        self.threshold: float | None = None
        self.status: dict[str, Any] = shard.pipeline.status()
        self._snapshot_s = monotonic_s
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

    def scored(self, scored: ScoredBatch) -> None:
        """Note a batch that went through the pipeline."""
        self._since_snapshot += scored.n
        self.threshold = scored.threshold

    def snapshot_due(self, monotonic_s: float, every_records: int, every_s: float) -> bool:
        """Whether the state has moved far enough, or long enough ago, to be saved."""
        if self.shard.entry == self._snapshot_entry:
            return False
        return self._since_snapshot >= every_records or monotonic_s - self._snapshot_s >= every_s

    def saved(self, monotonic_s: float) -> None:
        """Note that the present state was saved."""
        self._snapshot_entry = self.shard.entry
        self._snapshot_s = monotonic_s
        self._since_snapshot = 0
