"""The pipeline's promises: cuts change nothing, state is exact, scores come before learning."""

from __future__ import annotations

from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyai.control import BudgetChange, SchemaChange
from anomalyai.errors import ModelError, StateError
from anomalyai.intake import Intake
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.scored import ScoredBatch
from anomalyai.training import train
from tests.anomalyai.streams import batch_of, purchases, run, scores, trained

RECORDS = 2_400


@cache
def feed() -> RecordBatch:
    records = purchases(RECORDS)
    for i in (700, 1_500, 2_050, 2_051):
        records[i]["amount"] = 9_000.0
        records[i]["shop"] = "never-seen"
    return batch_of(records)


def outcome(parts: list[ScoredBatch], pipeline: Pipeline) -> tuple[object, ...]:
    alerts = [alert for part in parts for alert in part.alerts]
    flagged = np.concatenate([part.flagged for part in parts])
    return scores(parts).tobytes(), flagged.tobytes(), alerts, pipeline.dumps()


@cache
def whole(with_model: bool) -> tuple[object, ...]:
    pipeline = fresh(with_model)
    return outcome(run(pipeline, feed()), pipeline)


def fresh(with_model: bool) -> Pipeline:
    pipeline = Pipeline(feed().schema, feed="shop")
    if with_model:
        pipeline.swap("m", trained())
    return pipeline


@pytest.mark.parametrize("with_model", [False, True])
@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.integers(1, RECORDS - 1), max_size=30))
def test_cuts_change_nothing(with_model: bool, cuts: list[int]) -> None:
    pipeline = fresh(with_model)
    assert outcome(run(pipeline, feed(), cuts), pipeline) == whole(with_model)


def test_one_record_at_a_time_is_the_same() -> None:
    pipeline = fresh(False)
    parts = run(pipeline, feed().slice(0, 600), range(600))
    reference = fresh(False)
    assert outcome(parts, pipeline) == outcome(run(reference, feed().slice(0, 600)), reference)


@pytest.mark.parametrize("at", [5, 300, 777, 1_024, 2_399])
def test_a_restored_pipeline_goes_on_bit_for_bit(at: int) -> None:
    first = fresh(True)
    run(first, feed().slice(0, at))
    state = first.dumps()
    second = Pipeline.loads(state, {"m": trained()})
    assert second.dumps() == state
    rest = feed().slice(at, RECORDS)
    assert outcome(run(second, rest), second) == outcome(run(first, rest), first)


def test_a_record_has_no_part_in_scores_before_it() -> None:
    records = purchases(900)
    reference = scores(run(Pipeline(batch_of(records).schema), batch_of(records)))
    records[500]["amount"] = 1e7
    changed = scores(run(Pipeline(batch_of(records).schema), batch_of(records)))
    assert np.array_equal(changed[:500], reference[:500])
    assert changed[500] > reference[500]


def test_a_label_is_no_feature() -> None:
    records = purchases(900)
    reference = scores(run(Pipeline(batch_of(records).schema), batch_of(records)))
    rng = np.random.default_rng(3)
    for record in records:
        record["label"] = int(rng.integers(0, 2))
    assert np.array_equal(scores(run(Pipeline(batch_of(records).schema), batch_of(records))), reference)


def test_a_gross_anomaly_is_flagged_within_a_hundred_records_and_nothing_before_thirty() -> None:
    records = purchases(100)
    records[85]["amount"] = 50_000.0
    batch = batch_of(records)
    alerts = [alert for part in run(Pipeline(batch.schema), batch) for alert in part.alerts]
    assert [alert.seq for alert in alerts if alert.seq <= 30] == []
    found = [alert for alert in alerts if alert.seq == 86]
    assert found
    assert found[0].maturity == "warming_up"
    assert found[0].reasons[0].field == "amount"


def test_training_is_due_once_at_two_thousand_clean_records() -> None:
    pipeline = fresh(False)
    parts = run(pipeline, feed(), range(0, RECORDS, 100))
    due = [part.training_set for part in parts if part.training_set is not None]
    assert len(due) == 1
    assert len(due[0].features) >= 1_900
    assert pipeline.pending_training_set() is not None
    assert Pipeline.loads(pipeline.dumps()).pending_training_set() is not None
    assert fresh(True).pending_training_set() is None


def test_a_trainer_in_place_makes_the_feed_mature() -> None:
    pipeline = Pipeline(feed().schema, trainer=train)
    parts = run(pipeline, feed())
    assert pipeline.status()["maturity"] == "mature"
    assert parts[0].warming_up[0]
    assert not parts[0].warming_up[-1]


def test_a_model_of_other_columns_is_refused() -> None:
    batch = batch_of([{"x": float(i), "y": 1.0} for i in range(30)], Intake().schema)
    with pytest.raises(ModelError, match="amount"):
        Pipeline(batch.schema).swap("m", trained())


def test_a_state_needs_its_model() -> None:
    with pytest.raises(StateError, match="model 'm'"):
        Pipeline.loads(fresh(True).dumps())


@pytest.mark.parametrize("data", [b"", b"junk", b"\x93\xa1x\x01\x80"])
def test_foreign_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(StateError):
        Pipeline.loads(data)


def test_a_batch_under_another_schema_is_refused() -> None:
    with pytest.raises(StateError, match="schema"):
        Pipeline().process(feed())


def test_kinds_settle_and_the_first_records_are_kept() -> None:
    """Undeclared: the customer turns from a category into an entity on the way, and is known at once."""
    records = [{key: value for key, value in r.items() if key != "label"} for r in purchases(700)]
    intake, pipeline = Intake(), Pipeline()
    for item in intake.admit(msgspec.json.encode(records)).items:
        if isinstance(item, SchemaChange):
            pipeline.apply(item)
        else:
            result = pipeline.process(item)
            assert np.isfinite(result.score).all()
    assert pipeline.seen == 700
    assert pipeline.schema.settled
    assert "customer" in pipeline.schema.entities


def test_a_new_field_after_settling_changes_no_score() -> None:
    records = purchases(1_200)
    plain = batch_of(records)
    reference = scores(run(Pipeline(plain.schema.replace(settled=True)), _settled(plain)))
    wider = [dict(record, extra=float(i % 5)) for i, record in enumerate(records[800:])]
    head, tail = _settled(batch_of(records[:800])), _settled(batch_of(wider))
    pipeline = Pipeline(head.schema)
    got = scores([pipeline.process(head)])
    pipeline.apply(SchemaChange(tail.schema))
    got = np.concatenate([got, scores([pipeline.process(tail)])])
    assert np.array_equal(got, reference)


def _settled(batch: RecordBatch) -> RecordBatch:
    schema = batch.schema.replace(settled=True)
    return RecordBatch.from_log(schema, batch.codec, batch.body, 1)


def test_a_budget_change_moves_the_threshold() -> None:
    pipeline = fresh(False)
    run(pipeline, feed())
    before = pipeline.process(feed().slice(0, 1)).threshold
    pipeline.apply(BudgetChange("1/100"))
    assert pipeline.process(feed().slice(0, 1)).threshold == pytest.approx(before - 1.0)


def test_predict_changes_nothing() -> None:
    pipeline = fresh(True)
    run(pipeline, feed())
    state = pipeline.dumps()
    records = purchases(50, seed=9)
    records[20]["amount"] = 80_000.0
    predictions = pipeline.predict(batch_of(records))
    assert pipeline.dumps() == state
    assert predictions[20].anomaly
    assert predictions[20].verdict == "Anomaly detected"
    assert predictions[20].reasons[0].field == "amount"
    assert sum(prediction.anomaly for prediction in predictions) <= 3


@pytest.mark.parametrize(
    "records",
    [
        [{"x": 1.0}],
        [{"x": 5.0, "k": "a"}] * 300,
        [{"x": None, "k": None}] * 100 + [{"x": 1.0, "k": "b"}] * 5,
        [{"k": f"v{i % 3}"} for i in range(200)],
        [{"x": (-1.0) ** i * 10.0 ** (i % 300)} for i in range(600)],
        [{"x": 1e308 * (i % 2), "y": -1e308} for i in range(300)],
        [{"note": [1, 2]} for i in range(100)],
    ],
    ids=["one", "equal", "missing", "no numbers", "huge", "overflow", "no columns"],
)
def test_odd_feeds_give_finite_scores(records: list[dict[str, object]]) -> None:
    batch = batch_of(records, Intake().schema)
    with np.errstate(all="raise", under="ignore"):
        got = scores(run(Pipeline(batch.schema, trainer=train), batch))
    assert np.isfinite(got).all()
    assert (got >= 0.0).all()


def test_the_state_of_a_wide_feed_is_small() -> None:
    rng = np.random.default_rng(0)
    records = [
        {f"x{j}": round(float(v), 3) for j, v in enumerate(row)} for row in rng.normal(size=(2_600, 100))
    ]
    batch = batch_of(records, Intake().schema)
    pipeline = Pipeline(batch.schema)
    run(pipeline, batch)
    assert (
        len(pipeline.dumps()) <= 500_000 + 512 * 8 * 110
    )  # state, and at most one block that is not learnt yet
