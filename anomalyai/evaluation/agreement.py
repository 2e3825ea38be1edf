"""How far two scorers agree, which can be said without any label."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Agreement(msgspec.Struct, frozen=True):
    """How a scorer's ranking compares with another one's, on the same records.

    `rank_correlation` is Spearman's, -1 to 1, None where either gives all records the same score.
    `shared_at_budget` is the share of the records at the alert budget that both put there, 0 to 1; `chance`
    is what of it two scorers share that know nothing of each other.
    """

    other: str
    rank_correlation: float | None
    shared_at_budget: float
    chance: float


def agreement(other: str, score: Floats, other_score: Floats, rate: float) -> Agreement:
    """Compare two scorers over n >= 1 records at an alert budget of `rate` of them, at least one.

    Of records that tie at the border, both take the earliest.
    """
    count = min(max(round(rate * len(score)), 1), len(score))
    ours, theirs = (set(np.argsort(-s, kind="stable")[:count].tolist()) for s in (score, other_score))
    return Agreement(other, _spearman(score, other_score), len(ours & theirs) / count, count / len(score))


def _spearman(a: Floats, b: Floats) -> float | None:
    """Return the correlation of the mean ranks; None where there is no spread."""
    import pandas as pd

    ranks = [pd.Series(values).rank().to_numpy() for values in (a, b)]
    if any(float(np.ptp(rank)) == 0.0 for rank in ranks):
        return None
    return float(np.clip(np.corrcoef(ranks[0], ranks[1])[0, 1], -1.0, 1.0))
