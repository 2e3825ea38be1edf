"""The detectors of a feed and how their voices become one raw score, in nats.

Every member speaks as a log-density ratio: how much less likely, in nats, it finds the record than a usual
one. Each is centred on what it usually says and divided by its spread where that exceeds a nat, and they are
added. A field or detector that has nothing to say then adds about nothing; tail probabilities would give
every field an equally loud voice. The members:

- columns: the surprise of every number (`ColumnDensity`), large ones softened;
- rarity: how much rarer than usual every category's and entity's value is;
- habit: the largest surprise of a number against an entity's own habit, high values only;
- trees: half-space trees (River's, compiled) on the numbers and the rarities, over a tight and a wide range:
  how thin the record's cells are, the mean logarithm over several ensembles;
- forest: the batch-trained model; by default an isolation forest, with its mean path length in nats below
  the usual one. The other algorithms say in nats what they find (`TrainedModel.voice_batch`).

A number farther out than everything before is rare by that alone, however usual the rest of the record is and
however little the trees have seen; the sum would drown it. `far_out` bounds its probability.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.column_density import ColumnDensity
from anomalyai.features import Column
from anomalyai.moments import MemberMoments
from anomalyai.training import TrainedModel
from anomalyai.tree_group import TREE_SETS, TreeGroup, quartile_range, widened_range

SOFT_NATS = 4.0
TREES_WEIGHT = 1.1
FOREST_WEIGHT = 0.5
MEMORY = 5_000.0
"""Half-life in learnt records of the members' means and spreads."""

MEMBERS = ("columns", "rarity", "habit", "tight trees", "wide trees", "forest")
_COLUMNS, _RARITY, _HABIT, _TIGHT, _WIDE, _FOREST = range(len(MEMBERS))
_WEIGHTS = np.array([1.0, 1.0, 1.0, TREES_WEIGHT, TREES_WEIGHT, FOREST_WEIGHT])
_SPREAD_FLOORS = np.array([1.0, 1.0, 1.0, 0.1, 0.1, 0.1])
"""Nats: a member that hardly ever moves is not blown up to the voice of one that does."""


class Ensemble:
    """Scores feature rows; learns clean ones when told to."""

    def __init__(self, columns: tuple[Column, ...], seed: int = 0) -> None:
        self.columns = columns
        self.seed = seed
        aspects = [column.aspect for column in columns]
        self._values = _places(aspects, "value")
        self._rarities = _places(aspects, "rarity", "presence")
        self._habits = _places(aspects, "deviation")
        self.density = ColumnDensity(np.array([aspect != "value" for aspect in aspects], dtype=np.bool_))
        self.typical_rarity: NDArray[np.float64] = np.zeros(len(columns))
        self.members = MemberMoments(len(MEMBERS))
        coordinates = len(self._values) + len(self._rarities)
        self.tight = TreeGroup(coordinates, seed=seed)
        self.wide = TreeGroup(coordinates, seed=seed + TREE_SETS)
        self.weight = 0.0
        self.model: TrainedModel | None = None

    @property
    def is_warm(self) -> bool:
        """Whether scales were taken, so that scores mean something."""
        return self.weight > 0.0

    def _coordinates(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the trees see: numbers as they are, rarities as a share of 8 nats."""
        rarities = np.clip(values[:, self._rarities] / 8.0, 0.0, 1.0)
        return np.hstack([values[:, self._values], rarities])

    def voices(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what each member says as it is, float64 [n, len(MEMBERS)] in nats; NaN while it is cold."""
        out = np.full((len(values), len(MEMBERS)), np.nan)
        if not self.is_warm:
            return out
        surprise = self.density.surprise(values)
        if len(self._values):
            out[:, _COLUMNS] = row_sums(soften(surprise[:, self._values]))
        if len(self._rarities):
            rarer = values[:, self._rarities] - self.typical_rarity[self._rarities]
            out[:, _RARITY] = row_sums(np.where(np.isfinite(rarer), rarer, 0.0))
        if len(self._habits):
            out[:, _HABIT] = np.maximum(surprise[:, self._habits].max(axis=1), 0.0)
        coordinates = self._coordinates(values)
        for place, group in ((_TIGHT, self.tight), (_WIDE, self.wide)):
            if group.is_warm:
                out[:, place] = group.thinness(coordinates)
        if self.model is not None:
            out[:, _FOREST] = self.model.voice_batch(values)
        return out

    def combine(self, voices: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the raw score of the ensemble, float64 [n]: the weighted sum of the standardised voices."""
        standardised = (voices - self.members.mean) / np.maximum(
            np.sqrt(self.members.variance), _SPREAD_FLOORS
        )
        heard = np.where(np.isnan(standardised), 0.0, standardised)
        return row_sums(heard * _WEIGHTS)

    def far_out(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return -log10 of a bound on the probability of numbers this far out, float64 [n]; mostly 0."""
        if not self.is_warm or not len(self._values):
            return np.zeros(len(values))
        bound = self.density.far_out(values, self._values).min(axis=1) * len(self._values)
        rarity: NDArray[np.float64] = np.maximum(-np.log10(bound), 0.0)
        return rarity

    def score_batch(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score feature rows, float64 [n, columns] -> float64 [n]."""
        return self.combine(self.voices(values))

    def learn_batch(
        self, values: NDArray[np.float64], voices: NDArray[np.float64], clean: NDArray[np.bool_]
    ) -> None:
        """Learn rows, float64 [n, columns], and what the members said of them.

        Scales and densities learn all that is given, which must include the usual share of rare rows: without
        it their tails would look rarer from block to block. Trees and usual rarities, which a burst fills
        quickly, learn the rows where `clean` [n] holds.
        """
        if not self.is_warm or not len(values):
            return
        self.density.learn_batch(values)
        self.members.learn(voices)
        rows = values[clean]
        if not len(rows):
            return
        self.weight = self.weight * 0.5 ** (len(rows) / MEMORY) + len(rows)
        self._learn_rarity(rows, len(rows) / self.weight)
        coordinates = self._coordinates(rows)
        self.tight.learn_batch(coordinates)
        self.wide.learn_batch(coordinates)

    def _learn_rarity(self, values: NDArray[np.float64], step: float) -> None:
        known = np.isfinite(values)
        means = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        self.typical_rarity += np.where(known.any(axis=0), step * (means - self.typical_rarity), 0.0)

    def rescale(self, rows: NDArray[np.float64]) -> None:
        """Take scales from clean rows, float64 [n, columns], and learn these rows anew on them."""
        self.density.fit_scale(rows)
        self.density.learn_batch(rows)
        self.weight = float(len(rows))
        self._learn_rarity(rows, 1.0)
        coordinates = self._coordinates(rows)
        numbers = len(self._values)
        self.tight.fit_range(coordinates, numbers, *widened_range(coordinates[:, :numbers]))
        self.wide.fit_range(coordinates, numbers, *quartile_range(coordinates[:, :numbers]))
        self.members = MemberMoments(len(MEMBERS))
        self.members.learn(self.voices(rows))

    def swap(self, model: TrainedModel, rows: NDArray[np.float64]) -> None:
        """Let a trained model join; clean rows, float64 [n, columns], tell what it usually says."""
        self.model = model
        if len(rows) and self.is_warm:
            self.members.replace(_FOREST, self.voices(rows)[:, _FOREST])

    def _parts(self) -> dict[str, Any]:
        return {"density": self.density, "members": self.members, "tight": self.tight, "wide": self.wide}

    def state(self) -> dict[str, Any]:
        """Return the learnt state for `anomalyai.state`; the trained model stays beside it."""
        state: dict[str, Any] = {"typical_rarity": self.typical_rarity, "weight": self.weight}
        for prefix, part in self._parts().items():
            state.update({f"{prefix}.{name}": value for name, value in part.state().items()})
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state of the same columns."""
        self.typical_rarity, self.weight = state["typical_rarity"], float(state["weight"])
        for prefix, part in self._parts().items():
            start = f"{prefix}."
            part.restore(
                {name[len(start) :]: value for name, value in state.items() if name.startswith(start)}
            )


def _places(aspects: list[str], *wanted: str) -> NDArray[np.int64]:
    return np.array([j for j, aspect in enumerate(aspects) if aspect in wanted], dtype=np.int64)


def row_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the sum of every row, float64 [n], added from left to right.

    NumPy's own sum takes another order of addition for one row than for many, so that the last bits of a
    score would depend on how the stream was cut.
    """
    total: NDArray[np.float64] = np.cumsum(values, axis=1)[:, -1]
    return total


def soften(surprise: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let surprise beyond `SOFT_NATS` grow like its logarithm, so that one field cannot drown all others."""
    beyond = np.maximum(surprise - SOFT_NATS, 0.0)
    return np.minimum(surprise, SOFT_NATS) + SOFT_NATS * np.log1p(beyond / SOFT_NATS)
