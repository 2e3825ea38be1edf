"""DBSCAN's dense regions: how far a row is from the nearest core sample, in neighbourhood radii.

Source: M. Ester, H.-P. Kriegel, J. Sander and X. Xu, "A density-based algorithm for discovering clusters",
KDD 1996, in the form of `sklearn.cluster.DBSCAN`, which finds the core samples and has no `predict`. A row
within `eps` of a core sample would have joined its cluster, so 1 is the border of what is usual.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai.base import stored_array
from anomalyai.constraint import Real, Whole
from anomalyai.detectors.distance_kernel import measure_nearest
from anomalyai.detectors.standardised import StandardisedDetector
from anomalyai.errors import ModelError

SMALLEST_EPS = 1e-3
"""In spreads of a column: rows may all be alike."""

Rows = NDArray[np.float64]


class DBSCAN(StandardisedDetector):
    """Scores a row by its distance to the nearest core sample over `eps`.

    Scores are 0 or more; up to 1 is inside or at the border of a dense region. Missing values take the
    column's median.

    Parameters
    ----------
    eps
        Radius of a neighbourhood, above 0, in spreads of the standardised columns. None takes it from the
        rows: the bend of the sorted distances to the `min_samples`-th neighbour, as Ester et al. advise.
    min_samples
        Rows within `eps` that make one a core sample, itself included: 1 to 1,000.
    max_rows
        Rows that are looked at, 1 to 10,000, drawn without replacement where there are more: time and memory
        grow with the square.
    seed
        Seed of that draw, 0 to 2**32 - 1.
    """

    kind = "dbscan"
    constraints: ClassVar = {
        "eps": Real(0.0, above=True, optional=True),
        "min_samples": Whole(1, 1_000),
        "max_rows": Whole(1, 10_000),
        "seed": Whole(0, 2**32 - 1),
    }

    def __init__(
        self, eps: float | None = None, min_samples: int = 10, max_rows: int = 5_000, seed: int = 0
    ) -> None:
        self.eps = eps
        self.min_samples = min_samples
        self.max_rows = max_rows
        self.seed = seed
        super().__init__()
        self.radius = 0.0
        """`eps`, or what was found for it."""

    def voice_batch(self, X: ArrayLike) -> Rows:
        """Return ln(1 + score): up to 0.7 nats for the usual, and a nat more for each factor e of distance.

        In nats it grows like the surprise of a heavy-tailed (Pareto) distance, so that one far row cannot
        drown the other members.
        """
        nats: Rows = np.log1p(self.score_batch(X))
        return nats

    def _train(self, rows: Rows) -> None:
        from sklearn.cluster import DBSCAN as Estimator

        if len(rows) > self.max_rows:
            drawn = np.random.default_rng(self.seed).choice(len(rows), self.max_rows, replace=False)
            rows = rows[np.sort(drawn)]
        radius = self.eps if self.eps is not None else _bend(_neighbour_distances(rows, self.min_samples))
        self.estimator = Estimator(eps=radius, min_samples=self.min_samples).fit(rows)
        core = np.array(self.estimator.components_, dtype=np.float64, order="C")
        if not len(core):
            raise ModelError(
                f"none of {len(rows)} rows has {self.min_samples} within {radius:g} spreads, itself included",
                code="no_core_sample",
                hint="Raise eps, lower min_samples, or train on more rows",
            )
        self.radius = float(radius)
        self._set_core(np.unique(core, axis=0))

    def _measure(self, rows: Rows) -> Rows:
        index, distance = np.empty(len(rows), dtype=np.int64), np.empty(len(rows))
        measure_nearest(rows, self._columns, index, distance)
        return distance / self.radius

    def _set_core(self, core: Rows) -> None:
        self._core, self._columns = core, np.ascontiguousarray(core.T)

    def _arrays(self) -> dict[str, Any]:
        return {"core": self._core, "radius": self.radius}

    def _take_arrays(self, fields: dict[str, Any], width: int) -> None:
        self._set_core(stored_array(fields, "core", None, width))
        self.radius = float(fields["radius"])
        if not len(self._core) or not 0.0 < self.radius < np.inf:
            raise ValueError("expected core samples and a positive radius")


def _neighbour_distances(rows: Rows, neighbour: int) -> Rows:
    """Return the distances to the `neighbour`-th nearest row, itself included, sorted [n]."""
    from sklearn.neighbors import NearestNeighbors

    nearest = NearestNeighbors(n_neighbors=min(neighbour, len(rows)), algorithm="kd_tree").fit(rows)
    distances, _ = nearest.kneighbors(rows)
    return np.sort(distances[:, -1])


def _bend(distances: Rows) -> float:
    """Return where a rising curve turns up: the value farthest below the line between its ends.

    A curve that is straight or flat has no bend: its largest value.
    """
    low, high = float(distances[0]), float(distances[-1])
    line = np.linspace(low, high, len(distances))
    below = line - distances
    at = int(np.argmax(below))
    value = float(distances[at]) if below[at] > 1e-9 * high else high
    return max(value, SMALLEST_EPS)
