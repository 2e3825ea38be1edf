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
- history: what verdicts and labels said of the record's entities before;
- verdicts: what was said of records like this one, judged by the trees' leaves;
- forest: the batch-trained model; by default an isolation forest, with its mean path length in nats below
  the usual one. The other algorithms say in nats what they find (`TrainedModel.voice_batch`).

A number farther out than everything before is rare by that alone, however usual the rest of the record is and
however little the trees have seen; the sum would drown it. `far_out` bounds its probability.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.column_density import ColumnDensity
from anomalyai.features import Column
from anomalyai.judged import JudgedRows
from anomalyai.moments import MemberMoments
from anomalyai.training import TrainedModel
from anomalyai.tree_group import TREE_SETS, TREES, TreeGroup, quartile_range, widened_range
from anomalyai.voice import (
    add_up,
    hear_columns,
    hear_habits,
    hear_histories,
    hear_rarities,
    keep_lowest,
)

TREES_WEIGHT = 1.1
FOREST_WEIGHT, HISTORY_WEIGHT = 0.5, 2.0
MEMORY = 5_000.0
"""Half-life in learnt records of the members' means and spreads."""

MEMBERS = (
    "columns", "rarity", "habit", "behaviour", "tight trees", "wide trees", "forest", "history", "verdicts"
)  # fmt: skip
FAR_OUT = "far out"
_COLUMNS, _RARITY, _HABIT, _BEHAVIOUR, _TIGHT, _WIDE, _FOREST, _HISTORY, _VERDICTS = range(len(MEMBERS))
FOREST = _FOREST
_WEIGHTS = np.array([1.0, 1.0, 1.0, 1.0, TREES_WEIGHT, TREES_WEIGHT, FOREST_WEIGHT, HISTORY_WEIGHT, 1.0])
_SPREAD_FLOORS = np.array([1.0, 1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 1.0, 1.0])
"""Nats: a member that hardly ever moves is not blown up to the voice of one that does."""


LEAST_DIFFERENCE = 0.25
"""Nats or own spreads that a derived column must differ by to be different: paces and pauses of a machine are
so even that otherwise the last digits of them would be surprising."""

FAR_VALUES, FAR_OTHERS = 1.0, 0.25
"""Shares of the promised alerts that numbers far out of the feed's range, and quantities far from an entity's
habit or behaviour, may raise at most."""

RARITIES = ("rarity", "presence")
MOMENTARY = ("apart", "away", "novelty", "speed")
LASTING = ("burst", "surge", "own hour")
"""Aspects of behaviour: of lasting ones many records in a row are as far out as the first."""

BEHAVIOUR = ("pause", *MOMENTARY, *LASTING)
"""A pause raises no alert by itself: when a feed has stood still, every entity comes after a long one."""


class Placed(NamedTuple):
    """Where n rows fall, and what the trained model says of them: the same as long as scales and model stay.

    `bins` is uint8 [n, columns] (`ColumnDensity.bins`), `tight` and `wide` are leaves (`TreeGroup.leaves`),
    `forest` float64 [n] in nats, NaN without a model.
    """

    bins: NDArray[np.uint8]
    tight: NDArray[np.uint16]
    wide: NDArray[np.uint16]
    forest: NDArray[np.float64]

    def part(self, a: int, b: int) -> Placed:
        """Return rows `a` to `b` (not included), contiguous."""
        return Placed(
            self.bins[a:b],
            np.ascontiguousarray(self.tight[:, :, a:b]),
            np.ascontiguousarray(self.wide[:, :, a:b]),
            self.forest[a:b],
        )


class Heard(NamedTuple):
    """What the ensemble made of n rows: what each member says, and what it needs to learn them later.

    `voices` is float64 [n, len(MEMBERS)] in nats, NaN of a member that is cold; `bins` uint8 [n, columns]
    (`ColumnDensity.bins`), `tight` and `wide` are leaves (`TreeGroup.leaves`). The last three depend on
    scales alone, so within a block they can be found again from the rows.
    """

    voices: NDArray[np.float64]
    bins: NDArray[np.uint8]
    tight: NDArray[np.uint16]
    wide: NDArray[np.uint16]

    @classmethod
    def joined(cls, parts: Sequence[Heard]) -> Heard:
        """Return what was heard of the rows of all parts, one after another."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            np.concatenate([part.voices for part in parts]),
            np.concatenate([part.bins for part in parts]),
            np.concatenate([part.tight for part in parts], axis=2),
            np.concatenate([part.wide for part in parts], axis=2),
        )


class Ensemble:
    """Scores feature rows; learns clean ones when told to.

    `without` names members, or "far out", that are to have no say: what each is worth can be measured so.
    """

    def __init__(self, columns: tuple[Column, ...], seed: int = 0, without: Sequence[str] = ()) -> None:
        self.columns = columns
        self.seed = seed
        self.without = tuple(without)
        self._weights = np.where(np.isin(MEMBERS, self.without), 0.0, _WEIGHTS)
        aspects = [column.aspect for column in columns if column.aspect != "code"]
        self._measures, codes = len(aspects), len(columns) - len(aspects)
        self._values = _places(aspects, "value")
        self._rarities = _places(aspects, *RARITIES)
        self._habits = _places(aspects, "deviation")
        self._behaviour = _places(aspects, *BEHAVIOUR)
        self._histories = _places(aspects, "history")
        self.judged = JudgedRows(self._measures, codes)
        self._others = _places(aspects, "deviation", *MOMENTARY)
        derived = np.array([aspect != "value" for aspect in aspects], dtype=np.bool_)
        self.density = ColumnDensity(
            derived,
            least_spread=np.where(derived, LEAST_DIFFERENCE, 0.0),
            slack=np.isin(aspects, LASTING).astype(np.float64),
        )
        self.typical_rarity: NDArray[np.float64] = np.zeros(self._measures)
        self.members = MemberMoments(len(MEMBERS))
        self.tight = TreeGroup(self._values, self._rarities, seed=seed)
        self.wide = TreeGroup(self._values, self._rarities, seed=seed + TREE_SETS)
        self.weight = 0.0
        self.scales = 0  # how often scales were taken or models swapped, for `Placed`
        self.model: TrainedModel | None = None

    @property
    def is_warm(self) -> bool:
        """Whether scales were taken, so that scores mean something."""
        return self.weight > 0.0

    def _measured(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return feature rows without the codes behind them, which only a trained model reads."""
        return values if values.shape[1] == self._measures else values[:, : self._measures].copy()

    def place(self, values: NDArray[np.float64]) -> Placed:
        """Return where feature rows, float64 [n, columns], fall."""
        nothing = np.full(len(values), np.nan)
        if not self.is_warm:
            nowhere = np.zeros((TREE_SETS, TREES, len(values)), dtype=np.uint16)
            return Placed(np.zeros((len(values), self._measures), dtype=np.uint8), nowhere, nowhere, nothing)
        return Placed(
            self.density.bins(self._measured(values)),
            self.tight.leaves(values),
            self.wide.leaves(values),
            self.model.voice_batch(values) if self.model is not None else nothing,
        )

    def hear(self, values: NDArray[np.float64], placed: Placed | None = None) -> Heard:
        """Return what each member says of feature rows, float64 [n, columns], as it is.

        `placed` is what `place` says of them, where it has been asked already.
        """
        voices = np.full((len(values), len(MEMBERS)), np.nan)
        placed = self.place(values) if placed is None else placed
        bins = placed.bins
        heard = Heard(voices, bins, placed.tight, placed.wide)
        if not self.is_warm:
            return heard
        if len(self._values):
            hear_columns(bins, self.density.table, self._values, voices[:, _COLUMNS])
        if len(self._rarities):
            hear_rarities(values, self.typical_rarity, self._rarities, voices[:, _RARITY])
        if len(self._habits):
            hear_habits(bins, self.density.table, self._habits, voices[:, _HABIT])
        if len(self._behaviour):
            hear_columns(bins, self.density.table, self._behaviour, voices[:, _BEHAVIOUR])
        if self.tight.is_warm:
            voices[:, _TIGHT] = self.tight.thinness(heard.tight)
        if self.wide.is_warm:
            voices[:, _WIDE] = self.wide.thinness(heard.wide)
        if len(self._histories):
            hear_histories(values, self._histories, voices[:, _HISTORY])
        voices[:, _VERDICTS] = self.judged.hear(heard.tight, self.tight)
        voices[:, _FOREST] = placed.forest
        return heard

    def combine(
        self, voices: NDArray[np.float64], members: MemberMoments | None = None
    ) -> NDArray[np.float64]:
        """Return the raw score of the ensemble, float64 [n]: the weighted sum of the standardised voices.

        `members` are the moments to standardise with, the ensemble's own where None.
        """
        raw = np.empty(len(voices))
        members = self.members if members is None else members
        spread = np.maximum(np.sqrt(members.variance), _SPREAD_FLOORS)
        add_up(voices, members.mean, spread, self._weights, raw)
        return raw

    def far_out(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return -log10 of a bound on the probability of numbers this far out, float64 [n]; mostly 0."""
        bound = np.ones(len(values))
        if not self.is_warm or FAR_OUT in self.without:
            return np.zeros(len(values))
        measured = self._measured(values)
        for places, share in ((self._values, FAR_VALUES), (self._others, FAR_OTHERS)):
            if len(places):
                keep_lowest(self.density.far_out(measured, places), len(places) / share, bound)
        rarity: NDArray[np.float64] = np.maximum(-np.log10(bound), 0.0)
        return rarity

    def score_batch(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Score feature rows, float64 [n, columns] -> float64 [n]."""
        return self.combine(self.hear(values).voices)

    def learn_batch(
        self,
        values: NDArray[np.float64],
        heard: Heard,
        counted: NDArray[np.bool_],
        clean: NDArray[np.bool_],
    ) -> None:
        """Learn rows, float64 [n, columns], by what was heard of them.

        Scales and densities learn the rows where `counted` [n] holds, which must include the usual share of
        rare ones: without it their tails would look rarer from block to block. Trees and usual rarities,
        which a burst fills quickly, learn those of them where `clean` [n] holds.
        """
        if not self.is_warm or not counted.any():
            return
        self.density.learn_bins(heard.bins, np.flatnonzero(counted))
        self.members.learn(heard.voices[counted])
        rows = np.flatnonzero(counted & clean)
        if not len(rows):
            return
        self.weight = self.weight * 0.5 ** (len(rows) / MEMORY) + len(rows)
        self._learn_rarity(values[rows], len(rows) / self.weight)
        self.tight.learn_leaves(heard.tight, rows)
        self.wide.learn_leaves(heard.wide, rows)

    def learn_released(self, rows: NDArray[np.float64]) -> None:
        """Learn rows that were held back, float64 [n, columns], but for the members' means and spreads.

        These, as the calibration, have learnt the usual share of rare records already.
        """
        if self.is_warm and len(rows):
            self.density.learn_batch(self._measured(rows))
            self.weight += len(rows)
            self._learn_rarity(rows, len(rows) / self.weight)
            self.tight.learn_leaves(self.tight.leaves(rows))
            self.wide.learn_leaves(self.wide.leaves(rows))

    def _learn_rarity(self, rows: NDArray[np.float64], step: float) -> None:
        values = rows[:, self._rarities]
        known = np.isfinite(values)
        means = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        usual = self.typical_rarity[self._rarities]
        self.typical_rarity[self._rarities] += np.where(known.any(axis=0), step * (means - usual), 0.0)

    def rescale(self, rows: NDArray[np.float64]) -> None:
        """Take scales from clean rows, float64 [n, columns], and learn these rows anew on them."""
        self.scales += 1
        measured = self._measured(rows)
        self.density.fit_scale(measured)
        self.density.learn_batch(measured)
        self.weight = float(len(rows))
        self._learn_rarity(rows, 1.0)
        self.judged.forget_leaves()
        self.tight.fit_range(rows, widened_range)
        self.wide.fit_range(rows, quartile_range)
        self.members = MemberMoments(len(MEMBERS))
        self.members.learn(self.hear(rows).voices)

    def swap(self, model: TrainedModel, rows: NDArray[np.float64]) -> None:
        """Let a trained model join; clean rows, float64 [n, columns], tell what it usually says."""
        self.scales += 1
        self.model = model
        if len(rows) and self.is_warm:
            self.members.replace(_FOREST, self.hear(rows).voices[:, _FOREST])

    def _parts(self) -> dict[str, Any]:
        return {
            "density": self.density,
            "members": self.members,
            "tight": self.tight,
            "wide": self.wide,
            "judged": self.judged,
        }

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
