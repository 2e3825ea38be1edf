"""Profiles: bounded tables, growth, eviction, late records, rarity."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from anomalyai import state
from anomalyai.entity_table import WAYS, EntityTable
from anomalyai.hour import turns
from anomalyai.profile import EntityProfile, Observed
from anomalyai.rarity import ValueRarity


def keys(numbers: object) -> np.ndarray:
    spread = np.asarray(numbers, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return np.where(spread == 0, np.uint64(1), spread)


def observe(
    profile: EntityProfile, who: object, when: object, value: float = 10.0, tick: int = 0
) -> np.ndarray:
    """Return (deviation, burst, is new) of each record, float64 [n, 3]."""
    return told(profile, keys(who), when, value, tick)


def told(profile: EntityProfile, who: np.ndarray, when: object, value: float, tick: int) -> np.ndarray:
    times = np.broadcast_to(np.asarray(when, dtype=np.float64), who.shape).copy()
    nothing = np.empty((len(who), 0))
    seen = Observed(np.full((len(who), profile.width), np.nan), np.full((len(who), 2), np.nan))
    profile.observe(
        who, times, turns(times), np.full((len(who), 1), value), nothing.astype(np.uint8), nothing, tick, seen
    )
    return np.column_stack([seen.columns[:, 0], seen.columns[:, 2], seen.counts[:, 0] == 0.0])


def test_growth_keeps_every_entity() -> None:
    profile = EntityProfile(1, 0, 0, 100_000)
    observe(profile, np.arange(20_000), 0.0)
    assert profile.table.used + profile.table.evicted == 20_000
    assert profile.table.evicted < 0.01 * 20_000
    again = observe(profile, np.arange(20_000), 60.0, tick=20_000)
    assert again[:, 2].mean() < 0.02  # almost none is new


def test_the_table_is_bounded_and_the_least_recently_used_goes() -> None:
    profile = EntityProfile(1, 0, 0, 2_000)
    for round_number in range(20):
        first = round_number * 1_000
        observe(profile, np.arange(first, first + 1_000), 0.0, tick=2 * first)
        assert observe(profile, [0], 0.0, tick=2 * first + 1_500)[0, 2] == 0.0  # kept: lately used
    assert profile.table.slots <= 2 * 2_000 / 0.5
    assert profile.table.evicted > 10_000
    assert profile.table.size_bytes < 1_000_000


def test_slots_are_shared_by_whole_buckets() -> None:
    assert EntityTable(1, 10).slots % WAYS == 0


def test_a_deviation_is_measured_against_the_entity_itself() -> None:
    profile = EntityProfile(1, 0, 0, 1_000)
    for tick in range(60):
        observe(profile, [1], 60.0 * tick, value=10.0, tick=2 * tick)
        observe(profile, [2], 60.0 * tick, value=1_000.0, tick=2 * tick + 1)
    unusual = observe(profile, [1], 3_600.0, value=1_000.0, tick=200)[0, 0]
    usual = observe(profile, [2], 3_600.0, value=1_000.0, tick=201)[0, 0]
    assert unusual > 3.0
    assert abs(usual) < 0.5


def test_a_number_that_was_missing_teaches_nothing() -> None:
    """An entity whose first fifty records lack the number is as new to it as one never seen."""
    late, fresh = EntityProfile(1, 0, 0, 1_000), EntityProfile(1, 0, 0, 1_000)
    for tick in range(50):
        for profile in (late, fresh):
            observe(profile, [2], 60.0 * tick, value=1_000.0, tick=2 * tick)
        observe(late, [1], 60.0 * tick, value=np.nan, tick=2 * tick + 1)
    for tick in range(5):
        first, second = (
            observe(profile, [1], 3_600.0, value=900.0, tick=200 + tick)[0, 0] for profile in (late, fresh)
        )
        assert first == pytest.approx(second)
    assert abs(first) < 10.0


def test_late_records_are_counted_and_their_gap_is_none() -> None:
    profile, same_time = EntityProfile(1, 0, 0, 1_000), EntityProfile(1, 0, 0, 1_000)
    for found in (profile, same_time):
        observe(found, [1], 1_000.0)
    late = observe(profile, [1], 10.0, tick=1)
    assert profile.late == 1
    assert np.array_equal(late, observe(same_time, [1], 1_000.0, tick=1), equal_nan=True)
    after = observe(profile, [1], 1_060.0, tick=2)  # measured from the latest time, not from the late one
    assert np.array_equal(after, observe(same_time, [1], 1_060.0, tick=2), equal_nan=True)
    assert np.isfinite(observe(profile, [1], np.nan, tick=3)[0, 0])
    assert profile.late == 1


def test_one_record_moves_a_habit_little() -> None:
    profile = EntityProfile(1, 0, 0, 1_000)
    rng = np.random.default_rng(0)
    for tick in range(200):
        observe(profile, [1], 60.0 * tick, value=float(rng.lognormal(3.0, 0.2)), tick=tick)
    before = observe(profile, [1], 12_000.0, value=20.0, tick=200)[0, 0]
    observe(profile, [1], 12_060.0, value=1e9, tick=201)
    assert observe(profile, [1], 12_120.0, value=20.0, tick=202)[0, 0] == pytest.approx(before, abs=0.1)


@pytest.mark.parametrize("cuts", [[1, 2, 3, 500, 501], list(range(1, 9_000, 7))])
def test_growth_and_eviction_do_not_depend_on_cuts(cuts: list[int]) -> None:
    who = np.random.default_rng(0).integers(0, 6_000, 9_000)
    profiles = []
    for edges in ([0, 9_000], [0, *cuts, 9_000]):
        profile = EntityProfile(1, 0, 0, 900)
        for first, last in pairwise(edges):
            observe(profile, who[first:last], 60.0, tick=first)
        profiles.append(profile)
    assert state.dumps("profile", profiles[0].state()) == state.dumps("profile", profiles[1].state())
    assert profiles[0].table.evicted > 0
    assert profiles[0].table.slots > EntityTable(1, 900).slots


def test_a_burst_shows() -> None:
    profile = EntityProfile(1, 0, 0, 1_000)
    for tick in range(100):
        calm = observe(profile, [1], 3_600.0 * tick, tick=tick)[0, 1]
    for tick in range(20):
        burst = observe(profile, [1], 360_000.0 + tick, tick=100 + tick)[0, 1]
    assert burst > calm + 1.5


def test_missing_entities_are_left_out() -> None:
    profile = EntityProfile(1, 0, 0, 1_000)
    out = told(profile, np.zeros(3, dtype=np.uint64), 0.0, 1.0, 0)[:, :2]
    assert np.isnan(out).all()
    assert profile.table.used == 0


def test_rarity_is_the_decayed_share_in_nats() -> None:
    rarity = ValueRarity(100)
    common, rare = keys([5])[0], keys([6])[0]
    seen = np.where(np.arange(4_000) % 100 == 99, rare, common).astype(np.uint64)
    out = rarity.observe(seen, 0)
    assert out[-2] == pytest.approx(-np.log(0.99), abs=0.02)
    assert out[-1] == pytest.approx(np.log(100), abs=0.25)
    assert rarity.observe(keys([7]), 4_000)[0] > np.log(1_000)


def test_state_goes_on_exactly() -> None:
    first, second = EntityProfile(1, 0, 0, 1_000), EntityProfile(1, 0, 0, 1_000)
    observe(first, np.arange(700) % 90, np.arange(700.0))
    second.restore(state.loads("profile", state.dumps("profile", first.state())))
    next_first = observe(first, np.arange(90), 800.0, tick=700)
    assert np.array_equal(next_first, observe(second, np.arange(90), 800.0, tick=700), equal_nan=True)
