"""Scored records that wait for their block's end to be learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai.ensemble import Heard

__all__ = ["KEPT", "Part", "joined"]


class Part(NamedTuple):
    """Scored records that wait for their block's end to be learnt."""

    values: NDArray[np.float64]
    heard: Heard
    raw: NDArray[np.float64]
    score: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    time_s: NDArray[np.float64]


KEPT = ("values", "raw", "score", "flagged", "time_s")
"""What is written down of a part beside its voices; the rest of what was heard is found again."""


def joined(parts: Sequence[Part]) -> Part:
    """Return the records of all parts, one after another."""
    if len(parts) == 1:
        return parts[0]
    kept = {name: np.concatenate([getattr(part, name) for part in parts]) for name in KEPT}
    return Part(heard=Heard.joined([part.heard for part in parts]), **kept)
