"""Who looks on while a pipeline works: training gathers feature rows so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anomalyai.features import Column
from anomalyai.records import RecordBatch
from anomalyai.scored import ScoredBatch


class Witness(Protocol):
    """Sees what a pipeline makes of every record, in order, and changes nothing of it."""

    def restart(self, columns: Sequence[Column]) -> None:
        """Forget what was seen: from here on records are described by other columns, the first ones again."""

    def see(self, batch: RecordBatch, values: NDArray[np.float64], scored: ScoredBatch) -> None:
        """See records of one block with their feature rows, float64 [n, columns], and what they scored."""
