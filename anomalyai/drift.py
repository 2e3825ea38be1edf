"""Lasting changes of a feed, named: which field, and what of it.

For each block of records a few figures are taken: of every number its level, spread and missing share, of
every category and entity the mean rarity of its values, of the feed the mean raw score. Each is measured in
its own usual variation from block to block and given to a Page-Hinkley test (`anomalyai.page_hinkley`), which
adds up what exceeds a tolerance: one odd block is no drift, some in a row are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.features import Column
from anomalyai.notice import Notice
from anomalyai.page_hinkley import new_tests, update_tests
from anomalyai.wording import number

__all__ = ["DriftWatch", "Series"]

MEMORY = 40.0
"""Half-life in blocks of a figure's usual level and variation."""

SETTLED_AFTER = 12
"""Blocks from which a figure's usual variation is known."""

TOLERANCE, THRESHOLD = 1.0, 16.0
"""In usual variations from block to block: what a block may be off by, and the sum of excesses that is a
drift."""

MOST_OFF, LEARNT_OFF = 6.0, 2.0
"""Usual variations beyond which a block counts as that far off, and is learnt as that far off: one odd block
moves little, and a change does not pass for variation before it is told."""

QUIET_BLOCKS = 64
"""Blocks after a notice in which the same figure says nothing: a drift is told once."""

CLIPPED_SPREADS = 5.0
LEAST_VARIATION = {"level": 0.02, "spread": 0.02, "missing": 0.01, "mix": 0.02, "score": 0.05}
"""Variations below this count as this: a figure that hardly ever moves is not in drift for a hair's
breadth."""

What = Literal["level", "spread", "missing", "mix", "score"]


class Series(NamedTuple):
    """One figure that is watched; `column` is its place in feature rows, None for the score."""

    kind: What
    field: str | None
    column: int | None


class DriftWatch:
    """Watches the columns of a feed; single-threaded, state is explicit."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.series = _series(columns)
        count = len(self.series)
        self._numbers = _columns(self.series, "level")
        self._mixes = _columns(self.series, "mix")
        self._floors = np.array([LEAST_VARIATION[series.kind] for series in self.series])
        self.mean: NDArray[np.float64] = np.zeros(count)
        self.variance: NDArray[np.float64] = np.zeros(count)
        self.weight: NDArray[np.float64] = np.zeros(count)
        self.quiet: NDArray[np.int64] = np.zeros(count, dtype=np.int64)
        self.forget()

    def forget(self) -> None:
        """Start anew: figures have changed their meaning."""
        for array in (self.mean, self.variance, self.weight, self.quiet):
            array[:] = 0
        self._tests = new_tests(len(self.series))

    def observe(
        self,
        values: NDArray[np.float64],
        raw: NDArray[np.float64],
        median: NDArray[np.float64],
        spread: NDArray[np.float64],
        seen: int,
    ) -> list[Notice]:
        """Take a block: rows, float64 [n, columns], raw scores [n], the columns' usual middle and spread."""
        figures = np.empty(len(self.series))
        take_figures(values, raw, median, spread, self._numbers, self._mixes, figures)
        variation = np.maximum(np.sqrt(self.variance), self._floors)
        off = np.clip((figures - self.mean) / variation, -MOST_OFF, MOST_OFF)
        drifted = np.empty(len(self.series), dtype=np.bool_)
        told = np.where(self.weight >= SETTLED_AFTER, off, np.nan)
        update_tests(self._tests, told, TOLERANCE, THRESHOLD, drifted)
        notices = []
        self.quiet = np.maximum(self.quiet - 1, 0)
        for place in np.flatnonzero(drifted & (self.quiet == 0)).tolist():
            notices.append(self._notice(place, float(figures[place]), median, spread, seen))
            self.quiet[place] = QUIET_BLOCKS
        self._learn(figures, off, variation)
        return notices

    def _learn(
        self, figures: NDArray[np.float64], off: NDArray[np.float64], variation: NDArray[np.float64]
    ) -> None:
        known = np.isfinite(figures)
        first = known & (self.weight == 0.0)
        self.mean[first] = figures[first]
        self.weight = np.where(known, self.weight * 0.5 ** (1.0 / MEMORY) + 1.0, self.weight)
        step = np.where(known, 1.0 / np.maximum(self.weight, 1.0), 0.0)
        error = np.clip(np.where(known, off, 0.0), -LEARNT_OFF, LEARNT_OFF) * variation
        error = np.where(self.weight < SETTLED_AFTER, np.where(known, figures - self.mean, 0.0), error)
        self.mean += step * error
        self.variance += step * (error * error - self.variance)

    def _notice(
        self,
        place: int,
        figure: float,
        median: NDArray[np.float64],
        spread: NDArray[np.float64],
        seen: int,
    ) -> Notice:
        kind, field, column = self.series[place]
        before, after = float(self.mean[place]), figure
        if kind == "level" and column is not None:
            before, after = (float(median[column] + spread[column] * value) for value in (before, after))
        text = f"{_SAYINGS[kind]}: {number(before)} before, {number(after)} now"
        return Notice(seen, kind, field, f"{field}: {text}" if field else text, before, after)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {
            "mean": self.mean,
            "variance": self.variance,
            "weight": self.weight,
            "quiet": self.quiet,
            "tests": self._tests,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state of the same columns."""
        self.mean, self.variance = state["mean"], state["variance"]
        self.weight, self.quiet = state["weight"], state["quiet"]
        self._tests = state["tests"]


_SAYINGS = {
    "level": "its level has moved",
    "spread": "it varies otherwise than it used to",
    "missing": "the share of records without it has changed",
    "mix": "the mix of its values has changed",
    "score": "records are scored otherwise than they used to be",
}


def _series(columns: Sequence[Column]) -> tuple[Series, ...]:
    numbers = [(column.field, j) for j, column in enumerate(columns) if column.aspect == "value"]
    mixes = [(c.field, j) for j, c in enumerate(columns) if c.aspect in ("rarity", "presence")]
    kinds: tuple[What, ...] = ("level", "spread", "missing")
    found = [Series(kind, field, j) for kind in kinds for field, j in numbers]
    found += [Series("mix", field, j) for field, j in mixes]
    return (*found, Series("score", None, None))


def _columns(series: Sequence[Series], kind: What) -> NDArray[np.int64]:
    return np.array([s.column for s in series if s.kind == kind], dtype=np.int64)


@compiled
def take_figures(
    values: Any, raw: Any, median: Any, spread: Any, numbers: Any, mixes: Any, figures: Any
) -> None:
    """Write the figures of a block in the order of `DriftWatch.series`, NaN where nothing is known."""
    rows, count = len(raw), len(numbers)
    figures[:] = 0.0
    level, away, missing = figures[:count], figures[count : 2 * count], figures[2 * count : 3 * count]
    for i in range(rows):
        for place in range(count):
            value = values[i, numbers[place]]
            if np.isnan(value):
                missing[place] += 1.0
            else:
                level[place] += clipped(value, median[numbers[place]], spread[numbers[place]])
    level /= rows - missing  # NaN where nothing is known
    for i in range(rows):
        for place in range(count):
            value = values[i, numbers[place]]
            if not np.isnan(value):
                away[place] += abs(
                    clipped(value, median[numbers[place]], spread[numbers[place]]) - level[place]
                )
    away /= rows - missing
    missing /= rows
    for place in range(len(mixes)):
        known = 0.0
        for i in range(rows):
            if not np.isnan(values[i, mixes[place]]):
                known += 1.0
                figures[3 * count + place] += values[i, mixes[place]]
        figures[3 * count + place] /= known
    for i in range(rows):
        figures[-1] += raw[i] / rows


@compiled
def clipped(value: Any, median: Any, spread: Any) -> Any:
    """Return how many spreads a value is from the median, at most `CLIPPED_SPREADS` either way."""
    return min(max((value - median) / spread, -CLIPPED_SPREADS), CLIPPED_SPREADS)
