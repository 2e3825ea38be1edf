"""The scorers that everything is shown beside: chance, and the most extreme number of a record."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.baseline import ExtremeValueBaseline, RandomBaseline

RANDOM, EXTREME, PREVIOUS = "random", "extreme value", "previous version"

Floats = NDArray[np.float64]


def baselines(reference: Floats, rows: Floats, *, seed: int = 0) -> dict[str, Floats]:
    """Score rows, float64 [n, k], by chance and by their most extreme value.

    `reference`, float64 [m, k], m >= 1, are the rows before them that say what is usual. Without columns or
    reference only chance is left.
    """
    found = {RANDOM: RandomBaseline(seed).score_batch(np.zeros((len(rows), 1)))}
    if rows.shape[1] and len(reference):
        found[EXTREME] = ExtremeValueBaseline().fit(reference).score_batch(rows)
    return found


def number_columns(columns: Sequence[str]) -> list[int]:
    """Return the places of the columns that are a record's own numbers; all where there are none.

    >>> number_columns(["value(amount)", "rarity(shop)"]), number_columns(["rarity(shop)"])
    ([0], [0])
    """
    own = [place for place, name in enumerate(columns) if name.startswith("value(")]
    return own or list(range(len(columns)))
