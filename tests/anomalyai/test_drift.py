"""Lasting changes are named: which field, and what of it."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyai import state
from anomalyai.drift import DriftWatch
from anomalyai.features import Column
from anomalyai.notice import MAX_NOTICES, Notice, Notices
from anomalyai.pipeline import Pipeline
from anomalyai.training import train
from tests.anomalyai.traffic import SCHEMA, Change, traffic

RECORDS, CHANGED_AT = 60_000, 30_000


@cache
def notices(change: Change, sd: float, seed: int) -> list[Notice]:
    """Return what a feed of 60,000 records says of drifts; `load` changes in the middle."""
    batch = traffic(RECORDS, seed=seed, change=change, at=CHANGED_AT, sd=sd)
    pipeline = Pipeline(SCHEMA, trainer=train, explained=False)
    found = [pipeline.process(batch.slice(i, i + 5_000)).notices for i in range(0, RECORDS, 5_000)]
    return [notice for part in found for notice in part if notice.kind != "adopted"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_stationary_feed_has_no_drift(seed: int) -> None:
    assert notices("none", 0.0, seed) == []


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("change", "sd", "kind"),
    [("level", 1.0, "level"), ("level", -3.0, "level"), ("variance", 2.0, "spread"), ("drift", 5.0, "level")],
)
def test_the_field_and_the_kind_are_named(change: Change, sd: float, kind: str, seed: int) -> None:
    found = notices(change, sd, seed)
    assert found
    first = found[0]
    assert (first.field, first.kind) == ("load", kind)
    assert CHANGED_AT < first.seen < CHANGED_AT + (15_000 if change == "drift" else 5_000)
    assert first.text.startswith("load: ")
    assert {notice.field for notice in found} <= {"load", None}
    if change == "level":
        assert first.before == pytest.approx(0.0, abs=0.4)
        assert first.after is not None
        assert (first.after > 0.4) == (sd > 0.0)


COLUMNS = (Column("x", "value"), Column("y", "value"), Column("word", "rarity"))
MEDIAN, SPREAD = np.zeros(3), np.ones(3)


def block(rng: np.random.Generator) -> NDArray[np.float64]:
    return np.column_stack([rng.normal(size=512), rng.normal(size=512), rng.exponential(1.0, 512)])


def test_missing_values_and_a_changed_mix_are_named() -> None:
    rng = np.random.default_rng(0)
    for change, expected in (
        ("missing", ("missing", "y")),
        ("mix", ("mix", "word")),
        ("score", ("score", None)),
    ):
        watch = DriftWatch(COLUMNS)
        said: list[Notice] = []
        for turn in range(60):
            rows, raw = block(rng), rng.normal(size=512)
            if turn >= 30:
                rows[::3, 1] = np.nan if change == "missing" else rows[::3, 1]
                rows[:, 2] += 0.5 if change == "mix" else 0.0
                raw += 1.0 if change == "score" else 0.0
            said += watch.observe(rows, raw, MEDIAN, SPREAD, 512 * (turn + 1))
        assert [(notice.kind, notice.field) for notice in said] == [expected]


def test_one_odd_block_is_no_drift_and_a_column_never_known_is_passed_over() -> None:
    rng = np.random.default_rng(1)
    watch = DriftWatch(COLUMNS)
    for turn in range(60):
        rows = block(rng)
        rows[:, 1] = np.nan
        rows[:, 0] += 50.0 if turn == 40 else 0.0
        assert watch.observe(rows, rng.normal(size=512), MEDIAN, SPREAD, turn) == []


def test_a_restored_watch_goes_on() -> None:
    def told(watch: DriftWatch, first: int, stop: int, rng: np.random.Generator) -> list[Notice]:
        found = []
        for turn in range(first, stop):
            rows = block(rng)
            rows[:, 0] += 0.15 * max(turn - 30, 0)
            found += watch.observe(rows, rng.normal(size=512), MEDIAN, SPREAD, turn)
        return found

    whole, half = DriftWatch(COLUMNS), DriftWatch(COLUMNS)
    rng, same = np.random.default_rng(2), np.random.default_rng(2)
    expected = told(whole, 0, 32, rng)
    told(half, 0, 32, same)
    other = DriftWatch(COLUMNS)
    other.restore(state.loads("drift", state.dumps("drift", half.state())))
    assert told(other, 32, 60, same) == told(whole, 32, 60, rng) != expected
    assert state.dumps("drift", other.state()) == state.dumps("drift", whole.state())


def test_notices_are_bounded_and_taken_once() -> None:
    kept = Notices()
    for seen in range(100):
        kept.say(Notice(seen, "level", "x", "x: moved"))
    assert len(kept.take()) == 100
    assert kept.take() == []
    assert [notice.seen for notice in kept.kept] == list(range(100 - MAX_NOTICES, 100))
    other = Notices()
    other.restore(state.loads("notices", state.dumps("notices", kept.state())))
    assert other.kept == kept.kept
