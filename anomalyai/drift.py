"""Lasting changes of a feed, named: which field, and what of it.

For each block of records a few figures are taken: of every number its level, spread and missing share, of
every category and entity the mean rarity of its values, of the feed the mean raw score. Each is measured in
its own usual variation from block to block and given to a Page-Hinkley test (`river.drift.PageHinkley`; Page
1954), which adds up what exceeds a tolerance: one odd block is no drift, some in a row are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from river.drift import PageHinkley
from river.stats import Mean

from anomalyai.features import Column
from anomalyai.notice import Notice
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
        self._tests = [_test() for _ in self.series]

    def observe(
        self,
        values: NDArray[np.float64],
        raw: NDArray[np.float64],
        median: NDArray[np.float64],
        spread: NDArray[np.float64],
        seen: int,
    ) -> list[Notice]:
        """Take a block: rows, float64 [n, columns], raw scores [n], the columns' usual middle and spread."""
        figures = self._figures(values, raw, median, spread)
        variation = np.maximum(np.sqrt(self.variance), self._floors)
        off = np.clip((figures - self.mean) / variation, -MOST_OFF, MOST_OFF)
        notices = []
        self.quiet = np.maximum(self.quiet - 1, 0)
        for place in np.flatnonzero((self.weight >= SETTLED_AFTER) & np.isfinite(off)).tolist():
            test = self._tests[place]
            test.update(float(off[place]))  # type: ignore[no-untyped-call]
            if test.drift_detected:
                self._tests[place] = _test()
                if not self.quiet[place]:
                    notices.append(self._notice(place, float(figures[place]), median, spread, seen))
                    self.quiet[place] = QUIET_BLOCKS
        self._learn(figures, off, variation)
        return notices

    def _figures(
        self,
        values: NDArray[np.float64],
        raw: NDArray[np.float64],
        median: NDArray[np.float64],
        spread: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Return the figures of a block in the order of `series`, NaN where nothing is known."""
        numbers = (values[:, self._numbers] - median[self._numbers]) / spread[self._numbers]
        known = ~np.isnan(numbers)
        count = known.sum(axis=0)
        clipped = np.where(known, np.clip(numbers, -CLIPPED_SPREADS, CLIPPED_SPREADS), 0.0)
        mixes = values[:, self._mixes]
        with_mix = ~np.isnan(mixes)
        with np.errstate(invalid="ignore"):
            level = clipped.sum(axis=0) / count
            return np.concatenate(
                [
                    level,
                    np.abs(clipped - np.where(known, level, 0.0)).sum(axis=0) / count,
                    1.0 - count / len(values),
                    np.where(with_mix, mixes, 0.0).sum(axis=0) / with_mix.sum(axis=0),
                    [float(raw.mean())],
                ]
            )

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
            "tests": np.array([_test_state(test) for test in self._tests]).reshape(len(self._tests), -1),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state of the same columns."""
        self.mean, self.variance = state["mean"], state["variance"]
        self.weight, self.quiet = state["weight"], state["quiet"]
        self._tests = [_restored(row) for row in state["tests"]]


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


def _test() -> PageHinkley:
    return PageHinkley(min_instances=1, delta=TOLERANCE, threshold=THRESHOLD)


# River offers no way to keep a test's state but to pickle it whole, which snapshots never do.
def _test_state(test: PageHinkley) -> list[float]:
    """Return the sums that a test goes on from."""
    return [
        float(test._x_mean.n),  # noqa: SLF001
        float(test._x_mean.get()),  # noqa: SLF001
        test._sum_increase,  # noqa: SLF001
        test._sum_decrease,  # noqa: SLF001
        test._min_increase,  # noqa: SLF001
        test._max_decrease,  # noqa: SLF001
    ]


def _restored(row: NDArray[np.float64]) -> PageHinkley:
    """Return the test that `_test_state` was taken of."""
    test = _test()
    values = row.tolist()
    test._x_mean = Mean._from_state(n=int(values[0]), mean=values[1])  # noqa: SLF001
    test._sum_increase, test._sum_decrease = values[2], values[3]  # noqa: SLF001
    test._min_increase, test._max_decrease = values[4], values[5]  # noqa: SLF001
    return test
