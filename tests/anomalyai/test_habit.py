"""What an entity usually has in a quantity."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyai.habit import POOLED, STATS, deviate


class Feed:
    """The habits of several entities in one quantity."""

    def __init__(self, entities: int) -> None:
        self.own: NDArray[np.float32] = np.zeros((entities, STATS), dtype=np.float32)
        self.pooled = np.zeros((1, POOLED))

    def say(self, entity: int, value: float) -> tuple[float, float]:
        """Return the deviation and the habit, and learn the value."""
        found, habit = deviate(self.own, entity, 0, self.pooled, 0, value)
        return float(found), float(habit)


def settled(rng: np.random.Generator) -> Feed:
    """Return a feed of a regular entity (0), an irregular one (1) and eight between."""
    feed = Feed(10)
    for _ in range(400):
        for entity in range(10):
            feed.say(
                entity, 5.0 * entity + rng.normal() * (0.05 if entity == 0 else 3.0 if entity == 1 else 1.0)
            )
    return feed


def test_deviations_are_in_the_entitys_own_spreads() -> None:
    feed = settled(np.random.default_rng(0))
    regular, habit = feed.say(0, 1.0)
    irregular, _ = feed.say(1, 6.0)
    assert habit == pytest.approx(0.0, abs=0.2)
    assert regular > 1.2
    assert 0.1 < irregular < 0.8
    assert feed.say(5, 20.0)[0] == pytest.approx(-5.0, rel=0.3)


def test_a_new_entity_is_compared_with_the_feed() -> None:
    feed = settled(np.random.default_rng(1))
    feed.own[3] = 0.0
    _, habit = feed.say(3, 40.0)
    assert habit == pytest.approx(feed.pooled[0, 0], abs=0.5)


def test_one_extreme_value_moves_a_habit_little() -> None:
    feed = settled(np.random.default_rng(2))
    _, before = feed.say(4, 20.0)
    feed.say(4, 1e6)
    deviation, after = feed.say(4, 20.0)
    assert abs(after - before) < 1.0
    assert abs(deviation) < 1.0


def test_an_entity_that_never_varies_has_a_least_spread() -> None:
    feed = Feed(2)
    rng = np.random.default_rng(3)
    for _ in range(300):
        feed.say(0, 7.0)
        feed.say(1, rng.normal())
    assert 0.0 < feed.say(0, 7.05)[0] < 3.0
    constant = Feed(1)
    for _ in range(300):
        assert abs(constant.say(0, 7.1)[0]) < 0.2
    assert 10.0 < constant.say(0, 8.0)[0] < np.inf


def test_what_was_constant_learns_a_change() -> None:
    feed = Feed(1)
    for _ in range(300):
        feed.say(0, 0.0)
    for _ in range(100):
        deviation, habit = feed.say(0, 5.0)
    assert habit > 2.0
    assert deviation < 10.0
