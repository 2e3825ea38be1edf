"""One-class support vector machine: how little a row is like the training rows that bound the usual.

Source: B. Schoelkopf, J. Platt, J. Shawe-Taylor, A. Smola and R. Williamson, "Estimating the support of a
high-dimensional distribution", Neural Computation 2001. scikit-learn solves it: exactly (`OneClassSVM`) below
10,000 rows; from there on, where the exact solver does not come to an end, by stochastic gradient descent
(`SGDOneClassSVM`) on a kernel map of some of the rows (`Nystroem`; Williams and Seeger, NIPS 2000).
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai.base import stored_array
from anomalyai.constraint import Real, Whole
from anomalyai.detectors.distance_kernel import sum_kernels
from anomalyai.detectors.standardised import StandardisedDetector

EXACT_BELOW = 10_000

MOST_LIKE = 0.95
"""The voice counts from this quantile of the training rows' likeness: what is more like them says nothing."""

LACK_FLOOR = 1e-3
"""Part of that likeness which any usual lack of it has at least: inside its boundary the machine is flat."""

Rows = NDArray[np.float64]


class OneClassSVM(StandardisedDetector):
    """Scores a row by what it lacks in likeness: the offset minus its sum of kernels.

    Either way the score is the scikit-learn estimator's decision function with the sign flipped: above 0 is
    outside the boundary, and far from all rows it ends at the offset. Missing values take the column's
    median.

    Parameters
    ----------
    nu
        Share of the training rows that may lie outside, above 0 and up to 1.
    gamma
        Width of the kernel exp(-gamma * squared distance) over standardised columns, above 0; None is 1 over
        their number.
    n_components
        Rows that the kernel map is made of, 1 to 2,000; used from `exact_below` rows on.
    exact_below
        Number of training rows from which on the exact solver is not used.
    seed
        Seed of map and descent, 0 to 2**32 - 1.
    """

    kind = "one_class_svm"
    constraints: ClassVar = {
        "nu": Real(0.0, 1.0, above=True),
        "gamma": Real(0.0, above=True, optional=True),
        "n_components": Whole(1, 2_000),
        "exact_below": Whole(0, 100_000),
        "seed": Whole(0, 2**32 - 1),
    }

    def __init__(
        self,
        nu: float = 0.05,
        gamma: float | None = None,
        n_components: int = 200,
        exact_below: int = EXACT_BELOW,
        seed: int = 0,
    ) -> None:
        self.nu = nu
        self.gamma = gamma
        self.n_components = n_components
        self.exact_below = exact_below
        self.seed = seed
        super().__init__()
        self.solver: str | None = None
        """What it was trained by: "exact" or "nystroem"."""

    def voice_batch(self, X: ArrayLike) -> Rows:
        """Return ln(1 + lack of likeness over the usual lack): 0.7 nats for the usual row.

        A lack is how far a sum of kernels is below that of the most likely training rows. Taken as a ratio
        and in logarithms it is on the scale of the other algorithms' distances; it ends where all kernels
        are 0.
        """
        lacks = np.maximum(self._most - (self._offset - self.score_batch(X)), 0.0)
        nats: Rows = np.log1p(lacks / self._usual_lack)
        return nats

    def _train(self, rows: Rows) -> None:
        gamma = self.gamma if self.gamma is not None else 1.0 / rows.shape[1]
        if len(rows) < self.exact_below:
            self._train_exact(rows, gamma)
        else:
            self._train_approximately(rows, gamma)
        self._width_factor = float(gamma)
        median, self._most = (float(q) for q in np.quantile(self._sums(rows), [0.5, MOST_LIKE]))
        self._usual_lack = max(self._most - median, LACK_FLOOR * abs(self._most), 1e-12)

    def _train_exact(self, rows: Rows, gamma: float) -> None:
        from sklearn.svm import OneClassSVM as Estimator

        self.estimator = Estimator(nu=self.nu, gamma=gamma).fit(rows)
        self._points = np.array(self.estimator.support_vectors_, dtype=np.float64, order="C")
        self._weights = np.array(self.estimator.dual_coef_[0], dtype=np.float64)
        self._offset = float(self.estimator.offset_[0])
        self.solver = "exact"

    def _train_approximately(self, rows: Rows, gamma: float) -> None:
        from sklearn.kernel_approximation import Nystroem
        from sklearn.linear_model import SGDOneClassSVM
        from sklearn.pipeline import make_pipeline

        kernels = Nystroem(
            gamma=gamma, n_components=min(self.n_components, len(rows)), random_state=self.seed
        )
        descent = SGDOneClassSVM(nu=self.nu, random_state=self.seed)
        self.estimator = make_pipeline(kernels, descent).fit(rows)
        self._points = np.array(kernels.components_, dtype=np.float64, order="C")
        # (K @ normalization.T) @ coef is K @ (normalization.T @ coef): one weight for each row of the map
        self._weights = kernels.normalization_.T @ descent.coef_
        self._offset = float(descent.offset_[0])
        self.solver = "nystroem"

    def _sums(self, rows: Rows) -> Rows:
        sums = np.empty(len(rows))
        sum_kernels(rows, self._points, self._weights, self._width_factor, sums)
        return sums

    def _measure(self, rows: Rows) -> Rows:
        return self._offset - self._sums(rows)

    def _arrays(self) -> dict[str, Any]:
        return {
            "points": self._points,
            "weights": self._weights,
            "offset": self._offset,
            "most": self._most,
            "usual_lack": self._usual_lack,
            "width_factor": self._width_factor,
            "solver": self.solver,
        }

    def _take_arrays(self, fields: dict[str, Any], width: int) -> None:
        self._points = stored_array(fields, "points", None, width)
        self._weights = stored_array(fields, "weights", len(self._points))
        self._offset, self._most, self._usual_lack, self._width_factor = (
            float(fields[name]) for name in ("offset", "most", "usual_lack", "width_factor")
        )
        self.solver = fields["solver"]
        if (
            not np.isfinite([self._offset, self._most]).all()
            or not 0.0 < self._usual_lack < np.inf
            or not 0.0 < self._width_factor < np.inf
        ):
            raise ValueError("expected finite likenesses and positive widths")
