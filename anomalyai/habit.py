"""What an entity usually has in a quantity, and how far a record is from it, in its own spreads.

Per entity and quantity a decayed mean and variance, both shrunk towards the feed's own while the entity is
young; a quantity that a record lacks teaches nothing, so every quantity has its own count. A value is
compared first and learnt after, and its influence is clipped, so that one extreme value moves a habit little.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from anomalyai.detectors.compilation import compiled

STATS = 3
"""Float32 statistics of a quantity: mean, variance, count."""

POOLED = 3
"""Float64 statistics of the feed's own: mean and variance of values about the habits, count."""

OWN_HALF_LIFE = 100.0
"""An entity's own values after which an old one counts half."""

POOLED_HALF_LIFE = 10_000.0
PRIOR_MEAN, PRIOR_SPREAD = 3.0, 10.0
"""How many values the feed's own mean and variance are worth in a young habit."""

PRIOR_FADES = 5.0
"""Own values at which the feed's mean counts for half as much: an entity that differs from the feed must not
be drawn to it for ever."""

LEAST_SHARE = 0.0025
"""Share of the feed's variance that no habit's goes below: nothing is so regular that a hair's breadth from
it would be far."""

LEAST_STEP = 1e-5
"""Spread that is told from none, relative to 1 + |habit|: means are kept as 32-bit floats."""

CLIP_SPREADS = 4.0
POOLED_KNOWN = 20.0
"""Values of the feed from which its spread is known."""

OWN_DECAY = 0.5 ** (1.0 / OWN_HALF_LIFE)
POOLED_DECAY = 0.5 ** (1.0 / POOLED_HALF_LIFE)


@compiled
def deviate(own: Any, at: Any, pooled: Any, value: Any) -> Any:
    """Return (deviation in spreads, habit), then learn the value.

    `own[at:at + STATS]` are the entity's statistics, `pooled` [POOLED] the feed's own. Until the feed's
    spread is known the deviation is the plain difference.
    """
    known = pooled[2] > 0.0
    mean = pooled[0] if known else value
    count = float(own[at + 2])
    own_mean = float(own[at])
    own_variance = float(own[at + 1])
    prior = PRIOR_MEAN / (1.0 + count / PRIOR_FADES)
    habit = (count * own_mean + prior * mean) / (count + prior)
    error = value - habit
    variance = 1.0
    learnt = value
    if pooled[2] > POOLED_KNOWN:
        variance = (count * own_variance + PRIOR_SPREAD * pooled[1]) / (count + PRIOR_SPREAD)
        variance = max(variance, LEAST_SHARE * pooled[1], (LEAST_STEP * (1.0 + abs(habit))) ** 2)
        limit = CLIP_SPREADS * np.sqrt(pooled[1])
        learnt = habit + min(max(error, -limit), limit)
    squared = (learnt - habit) ** 2
    pooled[2] = pooled[2] * POOLED_DECAY + 1.0
    pooled[0] += (learnt - mean) / pooled[2] if known else value
    pooled[1] += (squared - pooled[1]) / pooled[2]
    count = count * OWN_DECAY + 1.0
    own[at] = np.float32(own_mean + (learnt - own_mean) / count)
    own[at + 1] = np.float32(own_variance + (squared - own_variance) / count)
    own[at + 2] = np.float32(count)
    return error / np.sqrt(variance), habit
