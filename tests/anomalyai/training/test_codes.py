"""Codes of categories: behind the columns, read by one-hot models alone, and no burden to anything else."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from anomalyai import state as state_codec
from anomalyai.features import FeatureBuilder
from anomalyai.key import stable_key
from anomalyai.pipeline import KIND, Pipeline
from anomalyai.schema import FeedSchema
from anomalyai.training import ALGORITHMS, Preprocessing, TrainingOptions
from anomalyai.training.course import Course, train_records
from tests.anomalyai.streams import SCHEMA, batch_of, purchases, run, scores

ONE_HOT = Preprocessing(categories="one_hot")


@cache
def course(algorithm: str) -> Course:
    options = TrainingOptions(algorithm=algorithm, preprocessing=ONE_HOT)
    return train_records([batch_of(purchases(900))], options, feed="pay", schema=SCHEMA)


def test_codes_tell_values_apart_and_are_exact_in_half_the_bits() -> None:
    records = purchases(50, missing=0.3)
    builder = FeatureBuilder(SCHEMA)
    rows = builder.describe(batch_of(records))
    [code] = builder.codes
    assert (code.name, builder.columns[-1]) == ("code(channel)", code)
    expected = [
        np.nan if record["channel"] is None else float(stable_key(record["channel"]) >> 40)
        for record in records
    ]
    np.testing.assert_array_equal(rows[:, -1], expected)
    np.testing.assert_array_equal(rows[:, -1].astype(np.float32).astype(np.float64), rows[:, -1])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_one_hot_model_scores_live_in_any_cut_and_from_its_state(algorithm: str) -> None:
    made = course(algorithm)
    assert made.model.columns[-1] == "code(channel)"
    preparation = made.model.preparation
    assert preparation is not None
    [one_hot] = preparation.one_hots
    assert 3 <= one_hot.width <= 4  # web, pos, app, and perhaps none
    whole, parts = Pipeline(SCHEMA), Pipeline(SCHEMA)
    for pipeline in (whole, parts):
        run(pipeline, batch_of(purchases(600, seed=2)))
        pipeline.swap("m", made.model)
    fresh = batch_of(purchases(300, seed=3)).slice(0, 300).numbered(601)
    expected = scores(run(whole, fresh))
    half = scores(run(parts, fresh.slice(0, 150), range(0, 150, 7)))
    again = Pipeline.loads(parts.dumps(), {"m": made.model})
    rest = scores(run(again, fresh.slice(150, 300)))
    assert np.array_equal(np.concatenate([half, rest]), expected)
    assert again.dumps() == whole.dumps()


def test_an_unseen_value_is_odd_to_a_one_hot_model_and_explained_by_its_field() -> None:
    records = purchases(900) + [dict(record, channel="fax") for record in purchases(3, seed=5, missing=0.0)]
    for place, record in enumerate(records):
        record["time"] = 1_700_000_000.0 + 30.0 * place
    pipeline = Pipeline(SCHEMA)
    pipeline.process(batch_of(records[:900]))
    pipeline.swap("m", course("kmeans").model)
    why = pipeline.explain(batch_of(records[900:]).numbered(901), 0)
    assert why.parts[0].field == "channel"
    assert why.parts[0].part > 0.0


def test_an_older_state_without_codes_is_taken() -> None:
    pipeline = Pipeline(SCHEMA)
    run(pipeline, batch_of(purchases(700)))
    state = state_codec.loads(KIND, pipeline.dumps())
    columns = len(pipeline._scorer.column_names)
    for name in ("reservoir/rows", "quarantine/rows", "ensemble/judged.rows", "pending/values"):
        assert state[name].shape[1] == columns + 1
        state[name] = np.ascontiguousarray(state[name][:, :columns])
    again = Pipeline.loads(state_codec.dumps(KIND, state))
    fresh = batch_of(purchases(200, seed=4)).numbered(701)
    assert np.array_equal(again.process(fresh).score, pipeline.process(fresh).score)
    again.swap("m", course("kmeans").model)
    assert np.isfinite(again.process(fresh.numbered(901)).score).all()


def test_a_feed_without_categories_has_none() -> None:
    schema = FeedSchema.from_mapping({"feed": {"numbers": ["a", "b"]}})
    builder = FeatureBuilder(schema)
    assert builder.codes == ()
    assert builder.columns == builder.measures
