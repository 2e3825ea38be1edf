"""The members of the ensemble and how their voices become one score."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyai import state
from anomalyai.ensemble import MEMBERS, Ensemble
from anomalyai.features import Column
from anomalyai.training import TrainingSet, train

COLUMNS = (
    Column("x", "value"),
    Column("y", "value"),
    Column("k", "rarity"),
    Column("x", "deviation", "who"),
    Column("who", "burst", "who"),
)


def rows(n: int, seed: int = 0) -> NDArray[np.float64]:
    """Return clean rows: a normal number, a heavy-tailed one, a rarity, a deviation, a burst."""
    rng = np.random.default_rng(seed)
    rarity = rng.choice([0.1, 2.5, 5.0], n, p=[0.9, 0.09, 0.01])
    return np.column_stack(
        [rng.normal(size=n), np.exp(rng.normal(size=n)), rarity, rng.normal(size=n), rng.normal(size=n)]
    )


def learn(ensemble: Ensemble, part: NDArray[np.float64]) -> None:
    """Let it learn rows that are all clean."""
    every = np.ones(len(part), dtype=np.bool_)
    ensemble.learn_batch(part, ensemble.hear(part), every, every)


def warm(n: int = 3_000) -> Ensemble:
    """Return an ensemble that learnt `n` clean rows."""
    ensemble = Ensemble(COLUMNS)
    ensemble.rescale(rows(500))
    for start in range(0, n, 500):
        part = rows(500, seed=1 + start)
        learn(ensemble, part)
    return ensemble


def test_a_cold_ensemble_says_nothing() -> None:
    ensemble = Ensemble(COLUMNS)
    assert not ensemble.is_warm
    assert np.isnan(ensemble.hear(rows(5)).voices).all()
    assert np.array_equal(ensemble.score_batch(rows(5)), np.zeros(5))
    assert np.array_equal(ensemble.far_out(rows(5) * 1e9), np.zeros(5))
    learn(ensemble, rows(5))
    assert not ensemble.is_warm


def test_every_member_hears_its_own_anomaly() -> None:
    ensemble = warm()
    ensemble.swap(train(TrainingSet(rows(1_000), tuple(c.name for c in COLUMNS), 1_000)), rows(500))
    usual = np.array([[0.1, 1.0, 0.1, 0.1, 0.1]])
    probes = np.repeat(usual, 6, axis=0)
    probes[1, 0] = 9.0
    probes[2, 2] = 9.0
    probes[3, 3] = 6.0
    probes[4, :2] = 2.8, 9.0
    probes[5, 4] = 9.0
    voices = ensemble.hear(probes).voices
    silent = {name for name, voice in zip(MEMBERS, voices.T, strict=True) if not np.isfinite(voice).all()}
    assert silent == {"history"}  # there is no entity with one
    places = {name: j for j, name in enumerate(MEMBERS)}
    for probe, members in (
        (1, ("columns", "tight trees", "wide trees", "forest")),
        (2, ("rarity", "forest")),
        (3, ("habit", "forest")),
        (4, ("columns", "tight trees", "forest")),
        (5, ("behaviour", "forest")),
    ):
        for member in members:
            assert voices[probe, places[member]] > voices[0, places[member]], (probe, member)
    score = ensemble.score_batch(probes)
    assert score[1:].min() > score[0] + 3.0


def test_a_low_deviation_is_no_habit_anomaly() -> None:
    ensemble = warm()
    habit = MEMBERS.index("habit")
    low, high = ensemble.hear(np.array([[0.0, 1.0, 0.1, -9.0, 0.0], [0.0, 1.0, 0.1, 9.0, 0.0]])).voices[
        :, habit
    ]
    assert low < 1.0 < high


def test_usual_records_score_about_nothing() -> None:
    score = warm().score_batch(rows(2_000, seed=99))
    assert abs(float(score.mean())) < 0.6
    assert np.quantile(score, 0.99) < 20.0


def test_missing_values_score_finitely_and_as_usual() -> None:
    probes = rows(400, seed=5)
    complete = warm().score_batch(probes)
    probes[::2, 0] = np.nan
    probes[::3] = np.nan
    found = warm().score_batch(probes)
    assert np.isfinite(found).all()
    assert np.median(found) < np.quantile(complete, 0.99)


def test_only_clean_rows_reach_the_trees() -> None:
    with_attack, without = warm(), warm()
    attack = np.full((200, 5), 2.0)
    part = np.vstack([rows(300, seed=7), attack])
    clean = np.arange(500) < 300
    every = np.ones(500, dtype=np.bool_)
    with_attack.learn_batch(part, with_attack.hear(part), every, clean)
    without.learn_batch(part[:300], without.hear(part[:300]), every[:300], clean[:300])
    assert np.array_equal(
        *(found.tight.thinness(found.tight.leaves(attack)) for found in (with_attack, without))
    )
    assert np.array_equal(with_attack.typical_rarity, without.typical_rarity)
    assert with_attack.density.mass.sum() > without.density.mass.sum()


def test_a_restored_ensemble_goes_on() -> None:
    first, second = warm(), Ensemble(COLUMNS)
    second.restore(state.loads("ensemble", state.dumps("ensemble", first.state())))
    part = rows(700, seed=20)
    for ensemble in (first, second):
        learn(ensemble, part)
    probes = rows(100, seed=21) * 2.0
    assert np.array_equal(first.score_batch(probes), second.score_batch(probes))
    assert state.dumps("ensemble", first.state()) == state.dumps("ensemble", second.state())


def test_a_feed_without_columns_has_an_ensemble_too() -> None:
    ensemble = Ensemble(())
    nothing = np.empty((30, 0))
    ensemble.rescale(nothing)
    assert np.array_equal(ensemble.score_batch(nothing), np.zeros(30))
    assert np.array_equal(ensemble.far_out(nothing), np.zeros(30))


def test_a_member_that_is_left_out_has_no_say() -> None:
    whole, part = warm(), Ensemble(COLUMNS, without=("columns",))
    part.restore(state.loads("ensemble", state.dumps("ensemble", whole.state())))
    probes = rows(50)
    heard = whole.hear(probes).voices
    place = MEMBERS.index("columns")
    spread = np.sqrt(whole.members.variance[place])
    said = (heard[:, place] - whole.members.mean[place]) / max(float(spread), 1.0)
    assert part.score_batch(probes) == pytest.approx(whole.score_batch(probes) - said)
    assert np.array_equal(Ensemble(COLUMNS, without=("far out",)).far_out(probes * 1e9), np.zeros(50))
