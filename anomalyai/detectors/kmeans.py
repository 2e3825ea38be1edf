"""K-means clusters of what is usual: how far a row is from the nearest, on that cluster's own scale.

scikit-learn's `KMeans` finds the centres (Lloyd 1982, seeded as by Arthur and Vassilvitskii, "k-means++",
SODA 2007). Scoring by the distance to the nearest large cluster is that of He, Xu and Deng, "Discovering
cluster-based local outliers", 2003, with a scale for each cluster: what is near in a wide one is far from a
tight one.
"""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai.base import stored_array
from anomalyai.constraint import Whole
from anomalyai.detectors.distance_kernel import measure_nearest
from anomalyai.detectors.standardised import StandardisedDetector

SMALL_SHARE = 0.01
"""A cluster of a smaller share of the rows than this is no kind of usual: it is left out."""

SCALE_FLOOR = 0.1
"""No cluster's scale is below this part of the usual distance of all rows to their centres."""

SMALLEST_SCALE = 1e-3
"""Nor below this, in spreads of a column: rows may all be alike."""

STARTS, MANY_ROWS = 3, 100_000
"""Starts of which the best one is kept; of more rows than this there is one start alone."""

LOOKED_AT = 10_000
"""Rows that are compared with one another at once."""

Rows = NDArray[np.float64]


class KMeans(StandardisedDetector):
    """Scores a row by its distance to the nearest centre over the usual distance in that cluster.

    Scores are 0 or more; 1 is as far out as the median member. Missing values take the column's median.

    Parameters
    ----------
    n_clusters
        Number of clusters, 1 to 1,024; fewer where there are fewer different rows.
    seed
        Seed of the first centres, 0 to 2**32 - 1.
    """

    kind = "kmeans"
    constraints: ClassVar = {"n_clusters": Whole(1, 1_024), "seed": Whole(0, 2**32 - 1)}

    def __init__(self, n_clusters: int = 8, seed: int = 0) -> None:
        self.n_clusters = n_clusters
        self.seed = seed
        super().__init__()

    def voice_batch(self, X: ArrayLike) -> Rows:
        """Return ln(1 + score): 0.7 nats for the usual, and a nat more for each factor e of distance.

        In nats it grows like the surprise of a heavy-tailed (Pareto) distance, so that one far row cannot
        drown the other members.
        """
        nats: Rows = np.log1p(self.score_batch(X))
        return nats

    def _train(self, rows: Rows) -> None:
        from sklearn.cluster import KMeans as Estimator
        from sklearn.exceptions import ConvergenceWarning

        clusters = _different(rows, self.n_clusters)
        starts = STARTS if len(rows) <= MANY_ROWS else 1
        with warnings.catch_warnings():
            # rows that differ in their last digits only make fewer clusters: empty ones are left out below
            warnings.simplefilter("ignore", ConvergenceWarning)
            self.estimator = Estimator(n_clusters=clusters, n_init=starts, random_state=self.seed).fit(rows)
        centres = np.array(self.estimator.cluster_centers_, dtype=np.float64, order="C")
        index, distance = _nearest(rows, np.ascontiguousarray(centres.T))
        sizes = np.bincount(index, minlength=clusters)
        floor = max(SCALE_FLOOR * float(np.median(distance)), SMALLEST_SCALE)
        large = np.flatnonzero(sizes >= min(SMALL_SHARE * len(rows), sizes.max()))
        self._set_centres(centres[large])
        self._scales = np.array([max(float(np.median(distance[index == c])), floor) for c in large])

    def _measure(self, rows: Rows) -> Rows:
        index, distance = _nearest(rows, self._columns)
        ratios: Rows = distance / self._scales[index]
        return ratios

    def _set_centres(self, centres: Rows) -> None:
        self._centres, self._columns = centres, np.ascontiguousarray(centres.T)

    def _arrays(self) -> dict[str, Any]:
        return {"centres": self._centres, "scales": self._scales}

    def _take_arrays(self, fields: dict[str, Any], width: int) -> None:
        self._set_centres(stored_array(fields, "centres", None, width))
        self._scales = stored_array(fields, "scales", len(self._centres))
        if not len(self._centres) or not (self._scales > 0.0).all():
            raise ValueError("expected clusters with positive scales")


def _different(rows: Rows, most: int) -> int:
    """Return how many different rows there are, up to `most`; looks no further than it needs to."""
    found = rows[:0]
    for start in range(0, len(rows), LOOKED_AT):
        found = np.unique(np.concatenate([found, rows[start : start + LOOKED_AT]]), axis=0)[:most]
        if len(found) == most:
            break
    return len(found)


def _nearest(rows: Rows, columns: Rows) -> tuple[NDArray[np.int64], Rows]:
    """Return which centre is nearest to each row [n], and how far it is [n]; centres [width, clusters]."""
    index, distance = np.empty(len(rows), dtype=np.int64), np.empty(len(rows))
    measure_nearest(rows, columns, index, distance)
    return index, distance
