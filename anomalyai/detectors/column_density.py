"""Surprise of single columns: how much less dense a value's distance from the middle is than usual.

A column's values are measured as distances |x - median| / spread on the linear scale, so that heavy-tailed
columns keep their direction: what is far out is far out on the heavy side. The density of the distance is
estimated from a decayed histogram over log(1 + distance), made monotone decreasing (Grenander 1956, by
pooling adjacent violators) with one Pareto(1) pseudo-record, which extends it beyond everything seen. The
surprise is -ln density minus its mean: unlike a tail probability it gives an evenly spread column no voice,
since no value of it is less dense than another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled

STEP = 0.06
"""Width of a bin on the scale of log(1 + distance): the last one starts at 4 million spreads."""

BINS, MISSING = 256, 255
"""Bins are bytes, and the last one is where missing values are put: no mass, no surprise."""

PSEUDO_RECORDS = 1.0

FAR_SHARE = 0.1
"""A distance is far out if only this share of the values that exceed every learnt one is expected so far."""

LEAST_INDEX, MOST_INDEX = 0.5, 6.0
"""Bounds of a column's tail index: heavier than any with a mean, and no lighter than can be told from a few
thousand records."""

TAIL_SHARE, TAIL_LEAST = 0.02, 10.0
"""The tail that the index is taken from: this share of the records, at least so many."""

PRIOR_INDEX, PRIOR_TAIL = 1.5, 15.0
"""The index assumed before anything is known, and how many records of the tail it is worth."""

CAUTION = 0.5
"""Standard errors (index / sqrt(records of the tail)) by which the index is lowered."""

FAR_MIDDLE, FAR_SPREAD_SHARE = 7, 0.25
"""Only columns with this share of their values beyond this bin (half a spread) know what is far: in a column
that hardly ever leaves its middle every other value is far from it."""

EDGES = np.exp(STEP * np.arange(BINS))
"""1 + distance at which each bin begins."""

ENDS = np.expm1(STEP * np.arange(BINS + 1))
"""Distance at which that many bins end."""

WIDTHS = EDGES * np.expm1(STEP)
PSEUDO_MASS = PSEUDO_RECORDS * -np.expm1(-STEP) / EDGES
PSEUDO_SURPRISE = -np.log(PSEUDO_MASS / WIDTHS)
"""Of the pseudo-record: its share of each bin, and -ln of its density there."""

CELL_BITS, OCTAVES = 7, 23
_CELLS = np.ldexp(1.0 + np.arange(1 << CELL_BITS) / (1 << CELL_BITS), np.arange(OCTAVES)[:, None]).ravel()
FIRST_BIN = (np.searchsorted(EDGES[:MISSING], _CELLS, side="right") - 1).astype(np.uint8)
"""The bin in which each of 128 cells an octave begins: a cell is narrower than a bin, so that what lies in it
is in this bin or the next, and no logarithm has to be taken."""


class ColumnDensity:
    """Decayed distance densities of several columns.

    Parameters
    ----------
    upper_only
        bool [columns]: where True only values above the median are suspicious.
    least_spread
        A floor of the spread in a column's own unit, for all columns or float64 [columns].
    slack
        How many spreads from the median count as no distance at all, for all columns or float64 [columns].
    half_life
        Learnt records after which an old one counts half.
    """

    def __init__(
        self,
        upper_only: NDArray[np.bool_],
        least_spread: float | NDArray[np.float64] = 0.0,
        slack: float | NDArray[np.float64] = 0.0,
        half_life: float = 50_000.0,
    ) -> None:
        columns = len(upper_only)
        self.least_spread = np.broadcast_to(np.asarray(least_spread, dtype=np.float64), columns)
        self._slack = np.broadcast_to(np.asarray(slack, dtype=np.float64), columns).copy()
        self.upper_only = np.asarray(upper_only, dtype=np.bool_)
        self.half_life = half_life
        self.median: NDArray[np.float64] = np.zeros(columns)
        self.spread: NDArray[np.float64] = np.ones(columns)
        self.mass: NDArray[np.float64] = np.zeros((columns, BINS))
        self._table: NDArray[np.float64] = np.zeros((columns, BINS))
        self._total: NDArray[np.float64] = np.zeros(columns)
        self._farthest: NDArray[np.float64] = np.zeros(columns)
        self._index: NDArray[np.float64] = np.zeros(columns)
        self._refresh()

    def fit_scale(self, values: NDArray[np.float64]) -> None:
        """Take medians and spreads from clean rows (float64 [n, columns]) and forget the histogram.

        The spread is the interquartile range over 1.35, at least a tenth of the standard deviation and a
        thousandth of the median: without a floor any change of a near-constant column would be infinitely
        rare.
        """
        for j in range(values.shape[1]):
            column = values[:, j]
            column = column[np.isfinite(column)]
            if len(column) < 2:
                continue
            low, middle, high = np.quantile(column, [0.25, 0.5, 0.75])
            spread = max((high - low) / 1.35, 0.1 * float(np.std(column)), 1e-3 * abs(float(middle)))
            spread = max(spread, float(self.least_spread[j]))
            self.median[j] = middle
            self.spread[j] = spread if spread > 0.0 else 1e-3
        self.mass[:] = 0.0
        self._refresh()

    @property
    def table(self) -> NDArray[np.float64]:
        """The surprise in nats of each bin, float64 [columns, BINS]."""
        return self._table

    @property
    def farthest(self) -> NDArray[np.float64]:
        """The largest learnt distance of each column in spreads, infinite where it does not tell."""
        return self._farthest

    def bins(self, values: NDArray[np.float64]) -> NDArray[np.uint8]:
        """Return the bins of the values' distances, uint8 [n, columns], for float64 [n, columns].

        They depend on the scale alone, so that what was scored can be learnt later without a second look.
        """
        out = np.empty(values.shape, dtype=np.uint8)
        bin_rows(values, self.median, self.spread, self.upper_only, self._slack, out)
        return out

    def surprise(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the surprise in nats, float64 [n, columns]; 0 on average and where missing."""
        return self._table[np.arange(len(self.median)), self.bins(values)]

    def far_out(self, values: NDArray[np.float64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return a bound on the probability of values this far out, 1 where near or missing.

        The next of n + 1 exchangeable values is the farthest with probability 1 / (n + 1), whatever their
        distribution; beyond the farthest that was learnt a Pareto tail goes on, with a cautious estimate of
        the column's own index (Hill 1975).

        Parameters
        ----------
        values
            float64 [n, all columns].
        columns
            Which columns to look at; returns float64 [n, len(columns)].
        """
        bound = np.empty((len(values), len(columns)))
        far_rows(
            values,
            columns,
            self.median,
            self.spread,
            self.upper_only,
            self._slack,
            self._farthest,
            self._index,
            self._total,
            bound,
        )
        return bound

    def learn_batch(self, values: NDArray[np.float64]) -> None:
        """Learn clean rows, float64 [n, columns]; missing values are skipped."""
        self.learn_bins(self.bins(values), np.arange(len(values)))

    def learn_bins(self, bins: NDArray[np.uint8], rows: NDArray[np.int64]) -> None:
        """Learn the clean ones, at `rows`, among rows of bins, uint8 [n, columns]."""
        self.mass *= 0.5 ** (len(rows) / self.half_life)
        add_bins(bins, rows, self.mass)
        self._refresh()

    def _refresh(self) -> None:
        tabulate(self.mass, self._table)
        reach(self.mass, self._total, self._farthest)
        tail_indices(self.mass, self._index)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"median": self.median, "spread": self.spread, "mass": self.mass}

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state of as many columns."""
        self.median, self.spread, self.mass = state["median"], state["spread"], state["mass"]
        self._refresh()


@compiled
def bin_rows(values: Any, median: Any, spread: Any, upper_only: Any, slack: Any, out: Any) -> None:
    """Fill `out` with the bin of every value's distance."""
    bits = np.empty(1)
    for i in range(values.shape[0]):
        for j in range(values.shape[1]):
            distance = (values[i, j] - median[j]) / spread[j]
            if np.isnan(distance):
                out[i, j] = MISSING
                continue
            distance = max((distance if upper_only[j] else abs(distance)) - slack[j], 0.0)
            bits[0] = 1.0 + distance
            if bits[0] >= EDGES[MISSING - 1]:
                out[i, j] = MISSING - 1
            else:
                cell = (bits.view(np.int64)[0] >> (52 - CELL_BITS)) - (1023 << CELL_BITS)
                first = FIRST_BIN[cell]
                out[i, j] = first + np.uint8(bits[0] >= EDGES[first + 1])


@compiled
def far_rows(
    values: Any,
    columns: Any,
    median: Any,
    spread: Any,
    upper_only: Any,
    slack: Any,
    farthest: Any,
    index: Any,
    total: Any,
    bound: Any,
) -> None:
    """Fill `bound` with what `ColumnDensity.far_out` returns."""
    for i in range(values.shape[0]):
        for place in range(len(columns)):
            j = columns[place]
            distance = (values[i, j] - median[j]) / spread[j]
            distance = (distance if upper_only[j] else abs(distance)) - slack[j]
            bound[i, place] = 1.0
            if distance > farthest[j]:  # never of a missing value
                share = (distance / farthest[j]) ** -index[j]
                if share < FAR_SHARE:
                    bound[i, place] = share / (total[j] + 1.0)


@compiled
def add_bins(bins: Any, rows: Any, mass: Any) -> None:
    """Count the bins of some rows; what is missing has no mass."""
    for i in rows:
        for j in range(bins.shape[1]):
            mass[j, bins[i, j]] += 1.0
    mass[:, MISSING] = 0.0


@compiled
def reach(mass: Any, total: Any, farthest: Any) -> None:
    """Write every column's mass, and the end of the farthest bin that half a record is left in or beyond.

    Infinite where a column tells nothing of it (`FAR_MIDDLE`).
    """
    for j in range(mass.shape[0]):
        beyond = 0.0
        beyond_middle = 0.0
        filled = 0
        for b in range(BINS - 1, -1, -1):
            beyond += mass[j, b]
            filled += beyond >= 0.5
            if b == FAR_MIDDLE:
                beyond_middle = beyond
        total[j] = beyond
        is_wide = filled > 0 and beyond_middle >= FAR_SPREAD_SHARE * beyond
        farthest[j] = ENDS[filled] if is_wide else np.inf


@compiled
def tail_indices(mass: Any, index: Any) -> None:
    """Write a cautious tail index of every column's distances: Hill's estimate less its error."""
    for j in range(mass.shape[0]):
        wanted = max(TAIL_SHARE * mass[j].sum(), TAIL_LEAST)
        tail = 0.0
        b = MISSING
        while b > 1 and tail < wanted:
            b -= 1
            tail += mass[j, b]
        excess = 0.0
        for beyond in range(b, MISSING):
            if mass[j, beyond] > 0.0:
                excess += mass[j, beyond] * np.log(
                    (np.sqrt(EDGES[beyond] * EDGES[beyond + 1]) - 1.0) / (EDGES[b] - 1.0)
                )
        known = tail + PRIOR_TAIL
        estimate = known / (excess + PRIOR_TAIL / PRIOR_INDEX) * (1.0 - CAUTION / np.sqrt(known))
        index[j] = min(max(estimate, LEAST_INDEX), MOST_INDEX)


@compiled
def tabulate(mass: Any, table: Any) -> None:
    """Tabulate -ln of the decreasing density minus its mean, for every column and bin."""
    pooled_mass = np.empty(BINS)
    pooled_width = np.empty(BINS)
    pooled_bins = np.empty(BINS, dtype=np.int64)
    for j in range(mass.shape[0]):
        last = -1
        for b in range(MISSING):
            last += 1
            pooled_mass[last] = mass[j, b] + PSEUDO_MASS[b]
            pooled_width[last] = WIDTHS[b]
            pooled_bins[last] = 1
            while (
                last > 0
                and pooled_mass[last] * pooled_width[last - 1] >= pooled_mass[last - 1] * pooled_width[last]
            ):
                pooled_mass[last - 1] += pooled_mass[last]
                pooled_width[last - 1] += pooled_width[last]
                pooled_bins[last - 1] += pooled_bins[last]
                last -= 1
        total = mass[j].sum()
        scale = np.log(total + PSEUDO_RECORDS)
        b = 0
        mean = 0.0
        for block in range(last + 1):
            if pooled_bins[block] == 1 and mass[j, b] == 0.0:
                surprise = PSEUDO_SURPRISE[b] + scale
            else:
                surprise = scale - np.log(pooled_mass[block] / pooled_width[block])
            for _ in range(pooled_bins[block]):
                table[j, b] = surprise
                mean += mass[j, b] * surprise / max(total, 1e-9)
                b += 1
        for b in range(MISSING):
            table[j, b] -= mean
