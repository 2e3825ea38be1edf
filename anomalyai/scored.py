"""What became of a batch of records."""

from __future__ import annotations

from typing import Any

import msgspec

from anomalyai.alert import Alert, Amendment
from anomalyai.explanation import Explanation
from anomalyai.notice import Notice
from anomalyai.training import TrainingSet


class ScoredBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch of n records, in order.

    `time_s` float64 [n] epoch seconds (NaN unknown), `score` float64 [n] = -log10 tail probability, `flagged`
    and `warming_up` bool [n], `threshold` the score from which records are flagged, `alerts` one a flagged
    record and then the silences that it showed, `explanations` of the flagged records in full, `amendments`
    of earlier alerts; `training_set` is set once, by the batch in which a first (or a due) model can be
    trained. `notices` are what else there is to say.
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
    training_set: TrainingSet | None = None
    notices: list[Notice] = []
