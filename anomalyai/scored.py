"""What became of a batch of records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import msgspec
import numpy as np

from anomalyai.alert import Alert, Amendment
from anomalyai.explanation import Explanation
from anomalyai.incident import Incident
from anomalyai.notice import Notice
from anomalyai.records import RecordBatch
from anomalyai.training import TrainingSet


class ScoredBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch of n records, in order.

    `time_s` float64 [n] epoch seconds (NaN unknown), `score` float64 [n] = -log10 tail probability, `flagged`
    and `warming_up` bool [n], `threshold` the score from which records are flagged, `alerts` one a flagged
    record and then the silences that it showed, `explanations` of the flagged records in full, `amendments`
    of earlier alerts; `incidents` are those that the alerts changed, as they are now. `training_set` is set
    once, by the batch in which a first (or a due) model can be trained. `notices` are what else there is to
    say.
    """

    first_seq: int
    n: int
    time_s: Any
    score: Any
    flagged: Any
    warming_up: Any
    threshold: float
    alerts: list[Alert]
    explanations: list[Explanation] = []
    amendments: list[Amendment] = []
    incidents: list[Incident] = []
    training_set: TrainingSet | None = None
    notices: list[Notice] = []

    @classmethod
    def joined(
        cls,
        batch: RecordBatch,
        parts: Sequence[ScoredBatch],
        *,
        threshold: float,
        silences: Sequence[tuple[list[Alert], list[Amendment]]],
        training_set: TrainingSet | None,
        notices: list[Notice],
    ) -> Self:
        """Return what became of a batch that was scored in parts, in order, with the silences it showed."""

        def whole(name: str, dtype: Any) -> Any:
            return np.concatenate([getattr(part, name) for part in parts]) if parts else np.empty(0, dtype)

        return cls(
            first_seq=batch.first_seq,
            n=batch.n,
            time_s=whole("time_s", np.float64),
            score=whole("score", np.float64),
            flagged=whole("flagged", np.bool_),
            warming_up=whole("warming_up", np.bool_),
            threshold=threshold,
            alerts=[alert for part in parts for alert in part.alerts]
            + [alert for raised, _ in silences for alert in raised],
            explanations=[why for part in parts for why in part.explanations],
            amendments=[change for _, changes in silences for change in changes],
            incidents=list({one.id: one for part in parts for one in part.incidents}.values()),
            training_set=training_set,
            notices=notices,
        )
