"""Half-space trees, compiled, equal to River's bit for bit.

Source: S. C. Tan, K. M. Ting and T. F. Liu, "Fast Anomaly Detection for Streaming Data", IJCAI 2011, in the
form of `river.anomaly.HalfSpaceTrees` (River 0.26). Trees cut the declared range of the features at random
and count how many records of a window fall into each cell; a record in a cell that the last full window left
thin is anomalous.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai import state
from anomalyai.base import UNFIT, Detector, as_rows
from anomalyai.constraint import Whole
from anomalyai.detectors import half_space_trees_leaf as leaf_kernel
from anomalyai.detectors.half_space_trees_kernel import SIZE_LIMIT, advance, tabulate
from anomalyai.detectors.half_space_trees_shape import Limits, TreeShapes, build_shapes
from anomalyai.errors import ParameterError, StateError

if TYPE_CHECKING:
    from river.anomaly import HalfSpaceTrees as RiverHalfSpaceTrees

KIND = "half_space_trees"
MAX_HEIGHT = 15
MAX_TREES = 10_000
MAX_FEATURES = 65_536
MAX_TOTAL = 2**53  # integers up to here are exact as float64


class HalfSpaceTrees(Detector):
    """Scores records by how thin the cells they fall into were in the last full window.

    The scores are those of River's `score_one` followed by `learn_one` for each row, with a difference of
    exactly 0.0, where the row is River's `dict(enumerate(row))` without the entries that are NaN here.
    However a stream is cut into batches, scores and state are the same. Not thread-safe: one caller at a
    time.

    Parameters
    ----------
    n_features
        Number of columns, 1 to 65,536.
    n_trees
        Number of trees.
    height
        Splits on a path, 1 to 15; a tree has `2**height` leaves.
    window_size
        Learnt records per window. River's early stop ends a walk at a node with less than a tenth of it.
    limits
        Range (low, high) that the features are expected in, one pair for all or one per feature. Values
        outside are allowed and fall into the outermost cells.
    seed
        Seed of the trees.

    Notes
    -----
    NaN means that the record lacks the feature: the walk then follows the child with the larger mass in the
    current window, as River's does for a key that is absent. (A NaN that River finds *present* takes the
    branch of large values; to get that here, offer +inf.) Infinite values are compared like any others.

    The state is two leaf-mass tables and a counter: `2 * n_trees * 2**height` integers of one byte each for
    windows up to 255, two up to 65,535, else four. With 25 trees of height 8 and windows of 250 or 1,000 that
    is 12,800 or 25,600 bytes.
    """

    kind = KIND
    constraints: ClassVar = {
        "n_features": Whole(1, MAX_FEATURES),
        "n_trees": Whole(1, MAX_TREES),
        "height": Whole(1, MAX_HEIGHT),
        "window_size": Whole(1, 2**32 - 1),
    }

    def __init__(
        self,
        n_features: int,
        n_trees: int = 25,
        height: int = 8,
        window_size: int = 250,
        limits: tuple[float, float] | Sequence[tuple[float, float]] = (0.0, 1.0),
        seed: int = 0,
    ) -> None:
        self.n_features = n_features
        self.n_trees = n_trees
        self.height = height
        self.window_size = window_size
        self.limits = limits
        self.seed = seed
        self._check_parameters()
        self._shapes = build_shapes(n_trees, height, _limits_per_feature(limits, n_features), seed)
        self._current = np.zeros(n_trees << height, dtype=np.uint32)  # leaf masses, tree after tree
        self._reference = np.zeros_like(self._current)
        self._table = np.zeros(n_trees << height, dtype=np.float64)
        self._counter = 0

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.n_features

    @property
    def is_warm(self) -> bool:
        """Whether one window was filled; before that every score is 0.0."""
        of_one = len(self._reference) // self.n_trees  # every row falls into a leaf of every tree
        return bool(self._reference[:of_one].any())

    @property
    def table(self) -> NDArray[np.float64]:
        """What each leaf adds to a row's sum under the last full window, tree after tree; to be read."""
        return self._table

    @property
    def most(self) -> float:
        """The sum over the trees of a row that shares its leaves with all of a window."""
        return float(self.n_trees) * float(self.window_size) * float((2 << self.height) - 1)

    @property
    def rows_to_pivot(self) -> int:
        """How many more learnt rows fill the current window, whose masses then become the reference."""
        return self.window_size - self._counter

    @property
    def shapes(self) -> TreeShapes:
        """The constant trees; one object for all detectors with equal trees, height, limits and seed."""
        return self._shapes

    def score_learn_batch(self, X: ArrayLike, learn: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
        """Score each row of X [n, n_features], then learn it, then go to the next.

        Returns scores [n] in [0, 1]; high is anomalous. Rows where `learn` [n] is False are scored and not
        learnt, and do not advance the window.
        """
        rows = as_rows(X, self.n_features)
        if learn is None:
            learnt = np.ones(len(rows), dtype=np.uint32)
        elif learn.dtype != np.bool_ or learn.shape != (len(rows),):
            raise ValueError(
                f"expected learn as bool [{len(rows)}] beside X, got {learn.dtype} {list(learn.shape)}: "
                "give one True (learn) or False (skip) for each row"
            )
        else:
            learnt = learn.astype(np.uint32)
        return self._advance(rows, learnt)

    def score_batch(self, X: ArrayLike) -> NDArray[np.float64]:
        """Score the rows of X [n, n_features] against the state as it is; return scores [n] in [0, 1]."""
        rows = as_rows(X, self.n_features)
        return self._advance(rows, np.zeros(len(rows), dtype=np.uint32))

    def learn_batch(self, X: ArrayLike, learn: NDArray[np.bool_] | None = None) -> None:
        """Learn the rows of X [n, n_features], leaving out those where `learn` [n] is False."""
        self.score_learn_batch(X, learn)

    def leaves(self, X: ArrayLike) -> NDArray[np.uint16]:
        """Return the leaf of each row of X [n, n_features] in each tree, uint16 [n_trees, n].

        They depend on the trees alone, so that rows scored by `score_leaves` can be learnt later by
        `learn_leaves` without a second walk. No value may be missing (NaN).
        """
        rows = as_rows(X, self.n_features)
        leaves = np.empty((self.n_trees, len(rows)), dtype=np.uint16)
        shapes = self._shapes
        values, leaf_count = rows.reshape(-1), 1 << self.height
        if not leaf_kernel.seek(
            values, self.n_features, shapes.features, shapes.thresholds, leaf_count, leaves
        ):
            raise ValueError(
                "expected rows without missing values, since the walk of one that lacks a feature depends on "
                "what was learnt in between: use score_batch and learn_batch"
            )
        return leaves

    def score_leaves(self, leaves: NDArray[np.uint16]) -> NDArray[np.float64]:
        """Return what `score_batch` returns for the rows that reach these leaves, [n]."""
        scores = np.zeros(leaves.shape[1], dtype=np.float64)
        if self.is_warm:
            leaf_kernel.sum_scores(leaves, self._table, 1 << self.height, self.most, scores)
        return scores

    def learn_leaves(self, leaves: NDArray[np.uint16], rows: NDArray[np.int64] | None = None) -> None:
        """Do what `learn_batch` does with the rows that reach these leaves, or those of them at `rows`."""
        self._counter = leaf_kernel.count(
            leaves,
            np.arange(leaves.shape[1]) if rows is None else rows,
            self._current,
            self._reference,
            self._table,
            1 << self.height,
            self._counter,
            self.window_size,
        )

    def dumps(self) -> bytes:
        """Return parameters and masses as bytes; equal states give equal bytes."""
        mass_type = np.min_scalar_type(self.window_size)
        return state.dumps(
            KIND,
            {
                "n_features": self.n_features,
                "n_trees": self.n_trees,
                "height": self.height,
                "window_size": self.window_size,
                "limits": self.limits,
                "seed": self.seed,
                "counter": self._counter,
                "current": self._current.astype(mass_type),
                "reference": self._reference.astype(mass_type),
            },
        )

    @classmethod
    def loads(cls, data: bytes) -> Self:
        """Return the detector that `dumps` wrote.

        Raises
        ------
        StateError
            The bytes are damaged, of another kind or version, or their masses contradict their counter.
        """
        fields = state.loads(KIND, data)
        try:
            limits = fields["limits"]
            detector = cls(
                n_features=fields["n_features"],
                n_trees=fields["n_trees"],
                height=fields["height"],
                window_size=fields["window_size"],
                limits=tuple(limits)
                if np.isscalar(limits[0])
                else tuple((low, high) for low, high in limits),
                seed=fields["seed"],
            )
            detector.restore(fields["current"], fields["reference"], fields["counter"])
        except UNFIT as error:
            raise cls._not_whole(error) from error
        return detector

    @classmethod
    def from_river(cls, model: RiverHalfSpaceTrees, names: Sequence[Any]) -> HalfSpaceTrees:
        """Return a detector that goes on where a River model stands.

        Parameters
        ----------
        model
            A `river.anomaly.HalfSpaceTrees` with an integer seed, whose first learnt record had all of
            `names`.
        names
            Its feature names in sorted order; column j of X is the feature `names[j]`.
        """
        from anomalyai.detectors.half_space_trees_river import read_masses  # River: seconds

        if not isinstance(model.seed, int):
            raise ValueError(
                f"expected a River model with an integer seed, got {model.seed!r}: build it with one, "
                "since trees are drawn anew from the seed"
            )
        detector = cls(
            n_features=len(names),
            n_trees=model.n_trees,
            height=model.height,
            window_size=model.window_size,
            limits=tuple((float(low), float(high)) for low, high in (model.limits[name] for name in names)),
            seed=model.seed,
        )
        if model.trees:
            current, reference = read_masses(model, names, detector.shapes)
            detector.restore(current, reference, model.counter)
        return detector

    def to_river(self, names: Sequence[Any] | None = None) -> RiverHalfSpaceTrees:
        """Return the equal River model; its features are `names`, sorted, or else 0, 1, ..."""
        from anomalyai.detectors.half_space_trees_river import build_model  # River: seconds

        return build_model(
            range(self.n_features) if names is None else names,
            height=self.height,
            window_size=self.window_size,
            limits=_limits_per_feature(self.limits, self.n_features),
            seed=self.seed,
            current=self._current,
            reference=self._reference,
            counter=self._counter,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by `dumps`: small, and read into arrays of its own even from a file mapped read-only."""
        return type(self).loads, (self.dumps(),)

    def restore(self, current: NDArray[np.integer], reference: NDArray[np.integer], counter: int) -> None:
        """Put leaf masses in place: of the running window and of the last full one, both [trees * leaves].

        Raises
        ------
        StateError
            A mass table has another length, or its trees do not hold `counter`, and 0 or `window_size`,
            records.
        """
        expected = self._current.shape
        if current.shape != expected or reference.shape != expected:
            found = f"masses of shape {current.shape} and {reference.shape}"
        elif not 0 <= counter < self.window_size or not self._holds(current, counter):
            found = f"a running window that does not hold {counter} records in each tree"
        elif reference.any() and not self._holds(reference, self.window_size):
            found = f"a last window that does not hold {self.window_size} records in each tree"
        else:
            self._current[:] = current
            self._reference[:] = reference
            self._counter = counter
            tabulate(self._reference, 1 << self.height, SIZE_LIMIT * self.window_size, self._table)
            return
        raise StateError(
            f"expected the masses of {self!r}, found {found}",
            hint="The state is damaged: restore an older one.",
        )

    def _holds(self, masses: NDArray[np.integer], n_records: int) -> bool:
        return bool((masses.reshape(self.n_trees, -1).sum(axis=1, dtype=np.int64) == n_records).all())

    def _advance(self, rows: NDArray[np.float64], learnt: NDArray[np.uint32]) -> NDArray[np.float64]:
        scores = np.empty(len(rows), dtype=np.float64)
        self._counter = advance(
            rows.reshape(-1),
            self.n_features,
            learnt,
            self._shapes.features,
            self._shapes.thresholds,
            self._current,
            self._reference,
            self._table,
            1 << self.height,
            self._counter,
            self.window_size,
            scores,
        )
        return scores

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.n_trees * self.window_size * (2 ** (self.height + 1) - 1) > MAX_TOTAL:
            raise ParameterError(
                f"expected n_trees * window_size * 2**(height + 1) up to {MAX_TOTAL}, "
                f"so that sums of masses are exact; got {self.n_trees} * {self.window_size} * "
                f"2**{self.height + 1}",
                field="n_trees",
                hint="Lower one of the three",
            )


def _limits_per_feature(
    limits: tuple[float, float] | Sequence[tuple[float, float]], n_features: int
) -> Limits:
    """Return one (low, high) pair of floats per feature, checked."""
    pairs = np.asarray(limits, dtype=np.float64)
    if pairs.shape == (2,):
        pairs = np.tile(pairs, (n_features, 1))
    if pairs.shape != (n_features, 2):
        raise ParameterError(
            f"expected limits as (low, high), or one such pair for each of {n_features} features; "
            f"got {limits!r}",
            field="limits",
        )
    spans = pairs[:, 1] - pairs[:, 0]
    if not np.isfinite(spans).all() or (spans < 0).any() or not spans.any():
        raise ParameterError(
            "expected finite limits with low <= high, and low < high for one feature at least; "
            f"got {limits!r}",
            field="limits",
        )
    return tuple((float(low), float(high)) for low, high in pairs)
