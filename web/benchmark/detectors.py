"""Speed of the compiled detectors beside the libraries they equal."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.half_space_trees import HalfSpaceTrees
from anomalyai.detectors.isolation_forest import IsolationForestModel

ROUNDS = 5
BATCHES = (1_000, 10_000)
RIVER_ROWS = 2_000
ONE_BY_ONE_ROWS = 2_000
LIBRARY_ONE_BY_ONE_ROWS = 20


def measure_hst(n: int = 20_000, features: int = 10, seed: int = 0) -> dict[str, dict[str, float]]:
    """Score and learn `n` rows with half-space trees (25 trees of height 8, windows of 250), in batches.

    The baseline is River's `score_one` and `learn_one` loop with the same parameters. Keys are `hst_1000` and
    `hst_10000` by batch size; value and baseline are rows a second, medians of rounds taken in turn.
    """
    from river.anomaly import HalfSpaceTrees as RiverHalfSpaceTrees  # River: seconds

    rows = np.random.default_rng(seed).random((n, features))
    records = [dict(enumerate(row)) for row in rows[:RIVER_ROWS].tolist()]

    def river() -> float:
        model = RiverHalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=seed)
        model.learn_one(records[0])  # type: ignore[no-untyped-call]  # its trees are drawn here, outside the time
        started = time.perf_counter()
        for record in records:
            model.score_one(record)  # type: ignore[no-untyped-call]
            model.learn_one(record)  # type: ignore[no-untyped-call]
        return len(records) / (time.perf_counter() - started)

    def compiled(batch: int) -> float:
        model = HalfSpaceTrees(features, n_trees=25, height=8, window_size=250, seed=seed)
        model.score_learn_batch(rows[:1])
        started = time.perf_counter()
        for start in range(0, n, batch):
            model.score_learn_batch(rows[start : start + batch])
        return n / (time.perf_counter() - started)

    first, second = BATCHES
    rates = _in_turn(river, lambda: compiled(first), lambda: compiled(second))
    return {f"hst_{batch}": _row(rate, rates[0]) for batch, rate in zip(BATCHES, rates[1:], strict=True)}


def measure_dsalmon(n: int = 20_000, features: int = 10, seed: int = 0) -> dict[str, dict[str, float]]:
    """Score and learn `n` rows with half-space trees, beside dSalmon's in C++ on one thread.

    The key is `hst_dsalmon`; batches of 10,000, rows a second, medians of rounds taken in turn.

    Raises
    ------
    ImportError
        dSalmon is not installed: it is built from source.
    """
    from dSalmon.outlier import HSTrees

    rows = np.random.default_rng(seed).random((n, features))
    batch = BATCHES[-1]

    def library() -> float:
        model = HSTrees(window=250, n_estimators=25, max_depth=8, seed=seed, n_jobs=1)
        model.fit_predict(rows[:1])
        return _rate(model.fit_predict, rows, batch)

    def compiled() -> float:
        model = HalfSpaceTrees(features, n_trees=25, height=8, window_size=250, seed=seed)
        model.score_learn_batch(rows[:1])
        return _rate(model.score_learn_batch, rows, batch)

    baseline, value = _in_turn(library, compiled)
    return {"hst_dsalmon": _row(value, baseline)}


def measure_forest(n: int = 20_000, features: int = 10, seed: int = 0) -> dict[str, dict[str, float]]:
    """Score `n` rows with an isolation forest of 100 trees, one by one and in batches of 10,000.

    The baseline is scikit-learn's `score_samples` on the same rows cut alike. Keys are `forest_1` and
    `forest_10000`; value and baseline are rows a second, medians of rounds taken in turn.
    """
    rows = np.random.default_rng(seed).normal(size=(n, features))
    model = IsolationForestModel.fit(rows[:5_000], seed=seed)
    library = model.estimator.score_samples
    model.score_batch(rows[:1])

    one, library_one, many, library_many = _in_turn(
        lambda: _rate(model.score_batch, rows[:ONE_BY_ONE_ROWS], 1),
        lambda: _rate(library, rows[:LIBRARY_ONE_BY_ONE_ROWS], 1),
        lambda: _rate(model.score_batch, rows, BATCHES[-1]),
        lambda: _rate(library, rows, BATCHES[-1]),
    )
    return {"forest_1": _row(one, library_one), f"forest_{BATCHES[-1]}": _row(many, library_many)}


def _rate(
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]], rows: NDArray[np.float64], batch: int
) -> float:
    """Return rows a second of scoring `rows` in batches."""
    started = time.perf_counter()
    for start in range(0, len(rows), batch):
        score(rows[start : start + batch])
    return len(rows) / (time.perf_counter() - started)


def _in_turn(*measures: Callable[[], float]) -> list[float]:
    """Return the median of each measure, one round of all after the other so that all meet the same load."""
    for measure in measures[1:]:
        measure()  # compiled and warm
    rounds = [[measure() for measure in measures] for _ in range(ROUNDS)]
    return [statistics.median(values) for values in zip(*rounds, strict=True)]


def _row(value: float, baseline: float) -> dict[str, float]:
    return {"value": value, "baseline": baseline, "ratio": value / baseline}
