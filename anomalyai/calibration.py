"""From a raw score to a tail probability on clean traffic.

One calibrator a raw score. It keeps a decayed histogram of the scores of records that were learnt (flagged
ones are left out by the caller), and above a high quantile it extrapolates: the excesses over the quantile
are taken as exponential (peaks over threshold; Pickands 1975 with shape 0, which is what scores that behave
like -log p have). Their scale is estimated with the largest ones censored: of those counts only that they are
large, so that an anomaly among the learnt scores does not make every other score look common.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled

BINS = 2048
TAIL_SHARE, TAIL_RECORDS = 0.05, 40.0
"""The extrapolated part holds this share of the clean scores, at most this many records."""

CENSORED_SHARE = 0.1
"""Share of the extrapolated part whose excess is censored."""


class TailCalibrator:
    """Map raw scores to upper tail probabilities, in 0..1 exclusive.

    Parameters
    ----------
    lowest, highest
        The range of raw scores the histogram resolves; scores beyond it count in the outer bins.
    half_life
        Learnt records after which an old one counts half.
    prior_scale
        Mean excess assumed before anything was seen, worth `prior_weight` records.
    """

    def __init__(
        self,
        lowest: float,
        highest: float,
        *,
        half_life: float = 50_000.0,
        prior_scale: float = 1.0,
        prior_weight: float = 20.0,
    ) -> None:
        self.lowest = lowest
        self.highest = highest
        self.half_life = half_life
        self.prior_scale = prior_scale
        self.prior_weight = prior_weight
        self._width = (highest - lowest) / BINS
        self._upper_edges = lowest + self._width * np.arange(1, BINS + 1)
        self.weights: NDArray[np.float64] = np.zeros(BINS)
        self.seen = 0
        self._refresh()

    @classmethod
    def of_raw_scores(cls) -> TailCalibrator:
        """Return one for the ensemble's raw scores, in nats."""
        return cls(-64.0, 192.0, prior_scale=2.0)

    def learn(self, raw: NDArray[np.float64], weights: NDArray[np.float64] | None = None) -> None:
        """Add raw scores of learnt records, each counted once or by its weight."""
        if len(raw) == 0:
            return
        bins = np.clip(((raw - self.lowest) / self._width).astype(np.int64), 0, BINS - 1)
        self.weights *= 0.5 ** (len(raw) / self.half_life)
        self.weights += np.bincount(bins, weights=weights, minlength=BINS)
        self.seen += len(raw)
        self._refresh()

    def forget(self) -> None:
        """Start anew, as if nothing had been seen."""
        self.weights[:] = 0.0
        self.seen = 0
        self._refresh()

    def _refresh(self) -> None:
        """Rebuild the look-up tables; only this changes what `tail` answers."""
        above = np.append(np.cumsum(self.weights[::-1])[::-1], 0.0)
        total = float(above[0])
        # One more record above everything keeps the tail of an unseen score away from zero.
        self._survival = (above + 1.0) / (total + 1.0)
        cut = int(np.searchsorted(-above, -min(TAIL_SHARE * total, TAIL_RECORDS)))
        self._cut = min(cut, BINS - 1)
        self._cut_value = self.lowest + self._width * self._cut
        excess_weight = float(above[self._cut])
        largest = int(np.searchsorted(-above, -CENSORED_SHARE * excess_weight))
        limit = max(self._width * (largest - self._cut), self._width / 2)
        centres = self._upper_edges[self._cut :] - self._width / 2 - self._cut_value
        excess_sum = float(np.dot(self.weights[self._cut :], np.minimum(centres, limit)))
        uncensored = excess_weight - float(above[min(largest, BINS)])
        self._scale = (excess_sum + self.prior_weight * self.prior_scale) / (uncensored + self.prior_weight)
        self._cut_survival = (excess_weight + 1.0) / (total + 1.0)

    def tail(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return P(score >= raw) for clean traffic, float64 in (0, 1]."""
        tail = np.empty(len(raw))
        cut = (self._cut_value, self._cut_survival, self._scale)
        tail_of(np.ascontiguousarray(raw), self.lowest, self._width, self._survival, cut, tail)
        return tail

    def rarity(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return -log10 of the tail probability, 0 or more."""
        return np.maximum(-np.log10(self.tail(raw)), 0.0)

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs, for `anomalyai.state`."""
        return {"weights": self.weights, "seen": self.seen}

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state; the parameters must be the ones it was made with."""
        self.weights = np.asarray(state["weights"], dtype=np.float64)
        self.seen = int(state["seen"])
        self._refresh()


@compiled
def tail_of(raw: Any, lowest: Any, width: Any, survival: Any, cut: Any, tail: Any) -> None:
    """Write P(score >= raw), float64 [n]: between the histogram's bins below the cut, exponential above it.

    `cut` is the raw score where the extrapolation begins, its survival, and the scale beyond it.
    """
    cut_value, cut_survival, scale = cut
    for i in range(len(raw)):
        if raw[i] >= cut_value:
            tail[i] = cut_survival * np.exp(-min((raw[i] - cut_value) / scale, 600.0))
        else:
            position = min(max((raw[i] - lowest) / width, 0.0), BINS - 1e-9)
            place = int(position)
            share = position - place
            tail[i] = survival[place] * (1.0 - share) + survival[place + 1] * share
