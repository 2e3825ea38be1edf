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
def deviate(stats: Any, slot: Any, at: Any, pooled: Any, quantity: Any, value: Any) -> Any:
    """Return (deviation in spreads, habit), then learn the value.

    `stats[slot, at:at + STATS]` are the entity's statistics, `pooled[quantity]` [POOLED] the feed's own.
    Until the feed's spread is known the deviation is the plain difference.
    """
    own_mean = float(stats[slot, at])
    own_variance = float(stats[slot, at + 1])
    count = float(stats[slot, at + 2])
    mean, variance, known = pooled[quantity, 0], pooled[quantity, 1], pooled[quantity, 2]
    if known == 0.0:
        mean = value
    own_weight = count * (count + PRIOR_FADES)
    habit = (own_weight * own_mean + PRIOR_MEAN * PRIOR_FADES * mean) / (
        own_weight + PRIOR_MEAN * PRIOR_FADES
    )
    error = value - habit
    expected = 1.0
    learnt = error
    if known > POOLED_KNOWN:
        expected = (count * own_variance + PRIOR_SPREAD * variance) / (count + PRIOR_SPREAD)
        least = (LEAST_STEP * (1.0 + abs(habit))) ** 2
        expected = max(expected, LEAST_SHARE * variance, least)
        # where nothing has ever varied there is no telling what an extreme value is
        if variance > least and error * error > CLIP_SPREADS**2 * variance:
            limit = CLIP_SPREADS * np.sqrt(variance)
            learnt = min(max(error, -limit), limit)
    known = known * POOLED_DECAY + 1.0
    step = 1.0 / known
    pooled[quantity, 0] = mean + (habit + learnt - mean) * step
    pooled[quantity, 1] = variance + (learnt * learnt - variance) * step
    pooled[quantity, 2] = known
    count = count * OWN_DECAY + 1.0
    step = 1.0 / count
    stats[slot, at] = np.float32(own_mean + (habit + learnt - own_mean) * step)
    stats[slot, at + 1] = np.float32(own_variance + (learnt * learnt - own_variance) * step)
    stats[slot, at + 2] = np.float32(count)
    return error / np.sqrt(expected), habit
