"""The detectors of a feed and how their voices become one raw score.

Members: the surprise of single columns (`ColumnDensity`), half-space trees over a short and a long window
(River's, compiled), and the batch-trained isolation forest once there is one. Each member's raw score is turned
into a tail probability on clean records (`TailCalibrator`), in nats; the raw score of the ensemble is the mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.calibration import TailCalibrator
from anomalyai.detectors.column_density import ColumnDensity
from anomalyai.detectors.half_space_trees import HalfSpaceTrees
from anomalyai.features import Column
from anomalyai.training import TrainedModel

WINDOWS = (250, 1000)
TREES = 50
LN10 = float(np.log(10.0))
_UPPER_ASPECTS = frozenset({"rarity", "deviation", "burst", "company"})


class Ensemble:
    """Scores feature rows; learns clean ones when told to."""

    def __init__(self, columns: tuple[Column, ...], seed: int = 0) -> None:
        self.columns = columns
        upper = np.array([column.aspect in _UPPER_ASPECTS for column in columns], dtype=np.bool_)
        self.density = ColumnDensity(upper)
        self._tree_columns = np.array(
            [j for j, c in enumerate(columns) if c.aspect in ("value", "rarity")], dtype=int
        )
        self.low: NDArray[np.float64] = np.zeros(len(self._tree_columns))
        self.span: NDArray[np.float64] = np.ones(len(self._tree_columns))
        self.seed = seed
        self._new_trees()
        self.model: TrainedModel | None = None
        self._calibrators = {
            "density_sum": TailCalibrator(-64.0, 192.0, prior_scale=4.0),
            "density_max": TailCalibrator(-8.0, 56.0, prior_scale=1.0),
            "trees_250": TailCalibrator(0.0, 16.0, prior_scale=0.5),
            "trees_1000": TailCalibrator(0.0, 16.0, prior_scale=0.5),
            "forest": TailCalibrator(0.0, 1.0, prior_scale=0.05),
        }

    def _new_trees(self) -> None:
        count = len(self._tree_columns)
        self.trees = (
            [
                HalfSpaceTrees(count, n_trees=TREES, window_size=window, seed=self.seed + j)
                for j, window in enumerate(WINDOWS)
            ]
            if count
            else []
        )

    def _scaled(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        scaled = (values[:, self._tree_columns] - self.low) / self.span
        return np.nan_to_num(np.clip(scaled, 0.0, 1.0), nan=0.0)

    def member_scores(self, values: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        """Return the raw score of every member that is warm, float64 [n] each, high is anomalous."""
        surprise = self.density.surprise(values)
        scores = {}
        if surprise.shape[1]:
            scores["density_sum"] = surprise.sum(axis=1)
            scores["density_max"] = surprise.max(axis=1)
        scaled = self._scaled(values)
        for window, trees in zip(WINDOWS, self.trees, strict=False):
            if trees.is_warm:
                scores[f"trees_{window}"] = -np.log(np.maximum(1.0 - trees.score_batch(scaled), 1e-7))
        if self.model is not None:
            scores["forest"] = self.model.score_batch(values)
        return scores

    def combine(self, scores: dict[str, NDArray[np.float64]], rows: int) -> NDArray[np.float64]:
        """Return the ensemble's raw score, float64 [rows], in nats."""
        if not scores:
            return np.zeros(rows)
        total = np.zeros(rows)
        for name, raw in scores.items():
            total += LN10 * self._calibrators[name].rarity(raw)
        return total / len(scores)

    @property
    def is_warm(self) -> bool:
        """Whether scales were taken, so that scores mean something."""
        return bool(self.density.mass.any())

    def swap(self, model: TrainedModel, rows: NDArray[np.float64]) -> None:
        """Let a trained model join; its scores of clean rows, float64 [n, columns], calibrate it."""
        self.model = model
        calibrator = TailCalibrator(0.0, 1.0, prior_scale=0.05)
        calibrator.learn(model.score_batch(rows))
        self._calibrators["forest"] = calibrator

    def score_batch(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score feature rows, float64 [n, columns] -> float64 [n]."""
        return self.combine(self.member_scores(values), len(values))

    def learn_batch(self, values: NDArray[np.float64], scores: dict[str, NDArray[np.float64]]) -> None:
        """Learn clean rows and the member scores they had."""
        for name, raw in scores.items():
            self._calibrators[name].learn(raw)
        self.density.learn_batch(values)
        scaled = self._scaled(values)
        for trees in self.trees:
            trees.learn_batch(scaled)

    def rescale(self, rows: NDArray[np.float64]) -> None:
        """Take scales from clean rows, float64 [n, columns], and learn these rows anew on them."""
        self.density.fit_scale(rows)
        self.density.learn_batch(rows)
        for place, j in enumerate(self._tree_columns):
            column = rows[np.isfinite(rows[:, j]), j]
            if len(column):
                self.low[place] = column.min()
                self.span[place] = max(column.max() - column.min(), 1e-9)
        self._new_trees()
        scaled = self._scaled(rows)
        for trees in self.trees:
            trees.learn_batch(scaled)

    def state(self) -> dict[str, Any]:
        """Return the learnt state for `anomalyai.state`; the trained model stays beside it."""
        state: dict[str, Any] = {"low": self.low, "span": self.span}
        state.update({f"density.{name}": value for name, value in self.density.state().items()})
        state.update({f"trees{j}": trees.dumps() for j, trees in enumerate(self.trees)})
        for name, calibrator in self._calibrators.items():
            state.update({f"{name}.{key}": value for key, value in calibrator.state().items()})
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state of the same columns."""
        self.low, self.span = state["low"], state["span"]
        self.density.restore({name: state[f"density.{name}"] for name in ("median", "spread", "mass")})
        self.trees = [HalfSpaceTrees.loads(state[f"trees{j}"]) for j in range(len(self.trees))]
        for name, calibrator in self._calibrators.items():
            calibrator.restore({key: state[f"{name}.{key}"] for key in ("weights", "seen")})
