"""Compiled: what the members that look at single columns say of each row, and how voices are added.

Sums run from left to right in every row, so that the last bits of a score do not depend on how the stream
was cut; NumPy's own sum takes another order of addition for one row than for many.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anomalyai.detectors.compilation import compiled

SOFT_NATS = 4.0


@compiled
def soften(surprise: Any) -> Any:
    """Let surprise beyond `SOFT_NATS` grow like its logarithm, so that one field cannot drown all others."""
    if surprise <= SOFT_NATS:
        return surprise
    return SOFT_NATS + SOFT_NATS * np.log1p((surprise - SOFT_NATS) / SOFT_NATS)


@compiled
def hear_columns(bins: Any, table: Any, places: Any, out: Any) -> None:
    """Write the sum of the softened surprise of the columns at `places` to `out` [n].

    `bins` is uint8 [n, columns], `table` the surprise of every bin, float64 [columns, bins].
    """
    for i in range(len(out)):
        total = 0.0
        for place in places:
            total += soften(table[place, bins[i, place]])
        out[i] = total


@compiled
def hear_habits(bins: Any, table: Any, places: Any, out: Any) -> None:
    """Write the largest surprise of the columns at `places`, at least 0, to `out` [n]."""
    for i in range(len(out)):
        largest = 0.0
        for place in places:
            largest = max(largest, table[place, bins[i, place]])
        out[i] = largest


@compiled
def hear_rarities(values: Any, typical: Any, places: Any, out: Any) -> None:
    """Write how much rarer than usual the columns at `places` are in all to `out` [n]; missing ones say 0."""
    for i in range(len(out)):
        total = 0.0
        for place in places:
            rarer = values[i, place] - typical[place]
            if np.isfinite(rarer):
                total += rarer
        out[i] = total


@compiled
def hear_histories(values: Any, places: Any, out: Any) -> None:
    """Write the sum of the columns at `places` to `out` [n]."""
    for i in range(len(out)):
        total = 0.0
        for place in places:
            total += values[i, place]
        out[i] = total


@compiled
def keep_lowest(bounds: Any, factor: Any, lowest: Any) -> None:
    """Lower `lowest` [n] to the least of each row's bounds, float64 [n, columns], times `factor`."""
    for i in range(len(lowest)):
        for j in range(bounds.shape[1]):
            lowest[i] = min(lowest[i], bounds[i, j] * factor)


@compiled
def add_up(voices: Any, mean: Any, spread: Any, weights: Any, out: Any) -> None:
    """Write the weighted sum of the standardised voices, float64 [n, members], to `out` [n].

    A member that is silent (NaN) adds nothing.
    """
    for i in range(len(out)):
        total = 0.0
        for member in range(voices.shape[1]):
            standardised = (voices[i, member] - mean[member]) / spread[member]
            if not np.isnan(standardised):
                total += standardised * weights[member]
        out[i] = total
