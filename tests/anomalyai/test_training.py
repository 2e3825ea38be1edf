"""Training: set aside once, the same model every time, in place or elsewhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from anomalyai.errors import ModelError
from anomalyai.intake import Intake
from anomalyai.pipeline import Pipeline
from anomalyai.scorer import TRAIN_AFTER_CLEAN
from anomalyai.training import TrainedModel, TrainingSet, train
from tests.anomalyai.streams import SCHEMA, admitted, batch_of, purchases, run, scores, take, trained

COLUMNS = ("value(a)", "value(b)")


def training_set(rows: int = 400) -> TrainingSet:
    rng = np.random.default_rng(0)
    return TrainingSet(features=rng.normal(size=(rows, 2)), columns=COLUMNS, last_seq=rows, seed=3)


@cache
def due() -> tuple[Pipeline, TrainingSet]:
    """Return a pipeline after 2,600 records without a trainer, and what it set aside."""
    pipeline = Pipeline(SCHEMA, seed=9)
    parts = run(pipeline, batch_of(purchases(2_600)), range(0, 2_600, 100))
    [found] = [part.training_set for part in parts if part.training_set is not None]
    return pipeline, found


def test_the_set_is_handed_out_once_with_clean_rows() -> None:
    pipeline, found = due()
    assert found.columns[:2] == ("value(amount)", "value(items)")
    assert found.features.shape[1] == len(found.columns)
    assert 1_900 <= len(found.features) <= 2_000
    assert 2_000 <= found.last_seq < 2_600
    assert found.seed == 9
    assert pipeline.status()["clean"] >= TRAIN_AFTER_CLEAN


def test_a_set_that_is_due_is_still_due_after_a_restart() -> None:
    pipeline, _ = due()
    again = Pipeline.loads(pipeline.dumps())
    first, second = pipeline.pending_training_set(), again.pending_training_set()
    assert first is not None
    assert second is not None
    assert np.array_equal(first.features, second.features, equal_nan=True)
    assert run(again, batch_of(purchases(600, seed=2)))[0].training_set is None
    again.swap("m", train(second))
    assert again.pending_training_set() is None


def test_nothing_is_due_before_or_beside_a_model() -> None:
    young = Pipeline(SCHEMA)
    run(young, batch_of(purchases(1_500)))
    assert young.pending_training_set() is None
    modelled = Pipeline(SCHEMA)
    modelled.swap("m", trained())
    parts = run(modelled, batch_of(purchases(2_600)))
    assert all(part.training_set is None for part in parts)
    assert modelled.pending_training_set() is None


def test_an_attack_is_not_trained_on() -> None:
    records = purchases(2_600, missing=0.0)
    for place in range(900, 1_200):
        records[place]["load"] = 1e6
    pipeline = Pipeline(SCHEMA)
    parts = run(pipeline, batch_of(records), range(0, 2_600, 100))
    [found] = [part.training_set for part in parts if part.training_set is not None]
    load = found.features[:, found.columns.index("value(load)")]
    assert np.count_nonzero(load > 1e5) <= 5


def test_training_is_deterministic_and_seeded() -> None:
    _, found = due()
    probes = found.features[:200] * 1.5
    first, second = train(found), train(found)
    assert np.array_equal(first.score_batch(probes), second.score_batch(probes))
    assert first.algorithm == "isolation_forest"
    assert (first.columns, first.last_seq) == (found.columns, found.last_seq)
    other = train(TrainingSet(found.features, found.columns, found.last_seq, seed=10))
    assert not np.array_equal(other.score_batch(probes), first.score_batch(probes))


def test_training_in_place_is_the_swap_at_the_record_that_made_it_due() -> None:
    batch = batch_of(purchases(3_000))
    in_place = Pipeline(SCHEMA, trainer=train)
    expected = scores(run(in_place, batch))
    beside = Pipeline(SCHEMA)
    got, place = [], 0
    while place < batch.n:
        part = beside.process(batch.slice(place, min(place + 8, batch.n)))
        got.append(part)
        place += part.n
        if part.training_set is not None:
            assert part.training_set.last_seq == place
            beside.swap("trained-in-place", train(part.training_set))
    assert np.array_equal(scores(got), expected)
    assert beside.dumps() == in_place.dumps()


def test_a_feed_without_columns_is_never_due() -> None:
    pipeline = Pipeline()
    parts = take(pipeline, admitted([{"note": [i]} for i in range(2_600)], Intake()))
    assert all(part.training_set is None for part in parts)
    assert pipeline.pending_training_set() is None


def test_a_swap_that_does_not_fit_says_what_is_missing_and_changes_nothing() -> None:
    pipeline = Pipeline(SCHEMA)
    run(pipeline, batch_of(purchases(300)))
    before = pipeline.dumps()
    detector = train(training_set()).detector
    with pytest.raises(ModelError, match=r"'m'.*value\(a\)") as refused:
        pipeline.swap("m", TrainedModel(detector, COLUMNS, 400))
    assert refused.value.code == "model_columns"
    assert pipeline.dumps() == before


def test_a_training_set_comes_back_as_it_was(tmp_path: Path) -> None:
    training_set().save(tmp_path / "set.npz")
    again = TrainingSet.load(tmp_path / "set.npz")
    assert np.array_equal(again.features, training_set().features)
    assert (again.columns, again.last_seq, again.seed) == (COLUMNS, 400, 3)


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ModelError, match="at least 50"):
        train(training_set(10))
