"""Half-space trees as a River detector: River's class in verbs and scores, compiled underneath."""

from __future__ import annotations

from typing import Any

import numpy as np
from river import base

from anomalyai.detectors.half_space_trees import HalfSpaceTrees as CompiledTrees

__all__ = ["HalfSpaceTrees"]


class HalfSpaceTrees(base.AnomalyDetector):
    """Half-space trees with `score_one` and `learn_one`; `river.anomaly.HalfSpaceTrees` to the last bit.

    As there, the first learnt record decides which features there are, in sorted order; a feature that comes
    later is not looked at, one that a record lacks follows the larger mass. A NaN is taken as lacking, where
    River takes it for a large value. For many records at once use `anomalyai.detectors`: rows instead of
    dicts are a hundred times faster.

    Parameters
    ----------
    n_trees
        Number of trees.
    height
        Splits on a path, 1 to 15.
    window_size
        Learnt records per window; before the first is full every score is 0.
    limits
        Range (low, high) of each feature by its name; 0 to 1 where there is none.
    seed
        Seed of the trees.
    """

    def __init__(
        self,
        n_trees: int = 10,
        height: int = 8,
        window_size: int = 250,
        limits: dict[base.typing.FeatureName, tuple[float, float]] | None = None,
        seed: int = 0,
    ) -> None:
        self.n_trees = n_trees
        self.height = height
        self.window_size = window_size
        self.limits = limits
        self.seed = seed
        self._trees: CompiledTrees | None = None
        self._places: dict[base.typing.FeatureName, int] = {}

    def learn_one(self, x: dict[base.typing.FeatureName, Any]) -> None:
        """Learn a record; the first decides which features there are."""
        if self._trees is None:
            self._begin(x)
        if self._trees is not None:
            self._trees.learn_batch(self._row(x))

    def score_one(self, x: dict[base.typing.FeatureName, Any]) -> float:
        """Return the score of a record, in [0, 1]; high is anomalous."""
        if self._trees is None:
            return 0.0
        return float(self._trees.score_batch(self._row(x))[0])

    def _begin(self, x: dict[base.typing.FeatureName, Any]) -> None:
        names: list[Any] = list(x)
        names.sort()
        if not names:
            return
        limits = self.limits or {}
        self._places = {name: place for place, name in enumerate(names)}
        self._trees = CompiledTrees(
            len(names),
            self.n_trees,
            self.height,
            self.window_size,
            tuple(limits.get(name, (0.0, 1.0)) for name in names),
            self.seed,
        )

    def _row(self, x: dict[base.typing.FeatureName, Any]) -> np.ndarray[Any, Any]:
        row = np.full((1, len(self._places)), np.nan)
        for name, value in x.items():
            place = self._places.get(name)
            if place is not None:
                row[0, place] = value
        return row
