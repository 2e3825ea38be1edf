"""What is said of flagged records: each one's explanation, and the alert it becomes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai.alert import Alert, rfc3339, severity_of
from anomalyai.contribution import Rescore
from anomalyai.explanation import Explainer, Explanation
from anomalyai.records import RecordBatch

__all__ = ["Flagged", "alert_of", "explain_flagged"]


class Flagged(NamedTuple):
    """The flagged `places` of a batch, whose n feature rows, counts and scores are given whole."""

    batch: RecordBatch
    values: NDArray[np.float64]
    counts: NDArray[np.float64]
    score: NDArray[np.float64]
    places: NDArray[np.int64]


def explain_flagged(
    explainer: Explainer, found: Flagged, rescore: Rescore, threshold: float
) -> dict[int, Explanation]:
    """Return why each of the flagged places was, by place; `rescore` scores changed feature rows."""
    why: dict[int, Explanation] = {}
    for start in range(0, len(found.places), explainer.records_at_once):
        places = found.places[start : start + explainer.records_at_once]
        part = explainer.explain(
            found.values[places],
            found.counts[places],
            [found.batch.record(int(i)) for i in places],
            rescore,
            scores=found.score[places],
            threshold=threshold,
            flagged=[True] * len(places),
        )
        why.update(zip(places.tolist(), part, strict=True))
    return why


def alert_of(feed: str, batch: RecordBatch, i: int, why: Explanation, *, mature: bool) -> Alert:
    """Return the alert of record `i` of a batch."""
    seq = batch.first_seq + i
    entities = {name: text for name in batch.schema.entities if (text := batch.text(i, name)) is not None}
    return Alert(
        id=f"{feed}-{seq}",
        feed=feed,
        seq=seq,
        time=rfc3339(float(batch.time_s[i])),
        score=why.score,
        one_in=why.one_in,
        severity=severity_of(why.score, why.threshold),
        maturity="mature" if mature else "warming_up",
        summary=why.summary,
        reasons=why.reasons,
        record=batch.record(i),
        entities=entities,
    )
