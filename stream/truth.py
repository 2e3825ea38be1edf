"""What scoring made of records whose truth their producer said: caught, missed, false alarms.

Counted as records come, from the labels that they carry; labels and verdicts given later are not in it. Since
the start of the server, and single-threaded: only the engine counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from anomalyai.scored import ScoredBatch

__all__ = ["Truth"]


class Truth(msgspec.Struct, frozen=True):
    """Anomalous records that were flagged and that were not, and ordinary ones that were and were not."""

    caught: int = 0
    missed: int = 0
    false_alarms: int = 0
    passed: int = 0

    def plus(self, label: Any, parts: Sequence[ScoredBatch]) -> Truth:
        """Count records too: `label` float64 [n] is 1, 0 or NaN, the scored parts have all n in order."""
        anomalous, ordinary = label == 1.0, label == 0.0
        if not (anomalous.any() or ordinary.any()):
            return self
        flagged = np.concatenate([part.flagged for part in parts])

        def count(rows: Any) -> int:
            return int(np.count_nonzero(rows))

        return Truth(
            self.caught + count(anomalous & flagged),
            self.missed + count(anomalous & ~flagged),
            self.false_alarms + count(ordinary & flagged),
            self.passed + count(ordinary & ~flagged),
        )
