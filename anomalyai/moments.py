"""Running mean and variance of what each member of the ensemble says of clean records."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

HALF_LIFE = 5_000.0


class MemberMoments:
    """Decayed mean and variance of several members, each counted while it speaks (NaN while it does not)."""

    def __init__(self, members: int) -> None:
        self.mean: NDArray[np.float64] = np.zeros(members)
        self.variance: NDArray[np.float64] = np.ones(members)
        self.weight: NDArray[np.float64] = np.zeros(members)

    @classmethod
    def copied(cls, moments: MemberMoments) -> MemberMoments:
        """Return moments that go their own way from here on."""
        copy = cls(0)
        copy.restore({name: value.copy() for name, value in moments.state().items()})
        return copy

    def learn(self, voices: NDArray[np.float64]) -> None:
        """Learn what the members said of clean records, float64 [n, members]."""
        if not len(voices):
            return
        speaks = np.isfinite(voices).all(axis=0)
        heard = voices[:, speaks]
        weight = self.weight[speaks] * 0.5 ** (len(voices) / HALF_LIFE) + len(voices)
        step = len(voices) / weight
        centre, old = heard.mean(axis=0), self.mean[speaks]
        mean = old + step * (centre - old)
        spread = heard.var(axis=0) + (1.0 - step) * (centre - old) ** 2
        self.variance[speaks] += step * (spread - self.variance[speaks])
        self.mean[speaks], self.weight[speaks] = mean, weight

    def replace(self, member: int, voice: NDArray[np.float64]) -> None:
        """Start one member anew from what it says of clean records, float64 [n]."""
        self.mean[member], self.variance[member] = float(voice.mean()), float(voice.var())
        self.weight[member] = float(len(voice))

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"mean": self.mean, "variance": self.variance, "weight": self.weight}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.mean, self.variance, self.weight = state["mean"], state["variance"], state["weight"]
