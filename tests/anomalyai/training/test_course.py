"""A training from records: what it reads, leaves out and says, and the pipeline that starts from it."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec
import numpy as np
import pytest

from anomalyai.control import ControlEntry, Labels, SchemaChange, Verdict
from anomalyai.errors import ModelError, ParameterError
from anomalyai.intake import Intake
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.training import ALGORITHMS, TrainingOptions
from anomalyai.training.course import Course, train_records
from tests.anomalyai.streams import SCHEMA, batch_of, purchases, run, scores

COUNT = 1_200


def records() -> list[dict[str, Any]]:
    """Return purchases of which every fortieth is an anomaly, and labelled so."""
    found = purchases(COUNT, seed=4)
    for record in found[400::40]:
        record.update(load=60.0, amount=9e5, label=1)
    return found


def in_parts(size: int) -> list[RecordBatch | ControlEntry]:
    batch = batch_of(records())
    return [batch.slice(a, a + size) for a in range(0, COUNT, size)]


@cache
def course(algorithm: str, size: int = 100) -> Course:
    options = TrainingOptions(algorithm=algorithm, seed=7)
    return train_records(in_parts(size), options, feed="pay", schema=SCHEMA)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_trains_and_starts_a_feed(algorithm: str) -> None:
    made = course(algorithm)
    pipeline = Pipeline(SCHEMA, feed="other", budget="1/100")
    pipeline.start_from(made.start, "m", made.model)
    assert (pipeline.model_id, pipeline.status()["maturity"]) == ("m", "mature")
    fresh = batch_of(purchases(300, seed=11))
    middle = Pipeline.loads(pipeline.dumps(), {"m": made.model})
    whole, single = run(pipeline, fresh), run(middle, fresh, range(0, 300, 7))
    assert np.array_equal(scores(whole), scores(single))
    assert pipeline.dumps() == middle.dumps()
    [scored] = whole
    assert not scored.warming_up.any()
    odd = purchases(1, seed=12)
    odd[0].update(load=80.0, amount=9e6)
    alerts = pipeline.process(batch_of(odd).numbered(301)).alerts
    assert [alert.id for alert in alerts] == ["other-301"]


def test_the_cut_changes_no_bit_of_a_training() -> None:
    one, other = course("isolation_forest", 100), course("isolation_forest", 7)
    assert one.start == other.start
    assert msgspec.json.encode(one.facts) == msgspec.json.encode(other.facts)
    rows = np.random.default_rng(0).normal(size=(50, len(one.model.columns)))
    assert np.array_equal(one.model.score_batch(rows), other.model.score_batch(rows))


def test_the_facts_say_what_was_done() -> None:
    facts = course("kmeans").facts
    assert facts.parameters == {"n_clusters": 8}
    assert facts.preprocessing["missing"] == "median"
    assert (facts.rows, facts.seed, facts.sampled) == (COUNT, 7, False)
    assert COUNT - 40 <= facts.rows_used < COUNT  # what was flagged is left out
    assert facts.first_time_s == 1_700_000_000.0
    assert facts.last_time_s == 1_700_000_000.0 + 30.0 * (COUNT - 1)
    assert facts.schema is not None
    assert len(facts.schema["fields"]) == len(SCHEMA.fields)
    assert facts.fingerprint is not None
    assert len(facts.fingerprint) == 64
    assert facts.fingerprint != course("dbscan").facts.fingerprint or not facts.sampled


def test_figures_are_of_the_last_fifth_and_stand_beside_baselines() -> None:
    metrics = course("isolation_forest").facts.metrics
    assert (metrics["rows"], metrics["labelled"], metrics["anomalies"]) == (COUNT // 5, COUNT // 5, 6)
    assert metrics["model"]["average_precision"] > 0.8 > 3 * metrics["random"]["average_precision"]
    assert metrics["model"]["roc_auc"] > 0.95
    assert set(metrics["model"]) == set(metrics["random"]) == set(metrics["extreme_value"])
    assert 0.0 <= metrics["agreement"] <= 1.0
    assert 0.5 < metrics["stability"] <= 1.0


def test_without_labels_no_accuracy_is_claimed() -> None:
    plain = [record | {"label": None} for record in records()]
    made = train_records([batch_of(plain)], TrainingOptions(), feed="pay", schema=SCHEMA)
    metrics = made.facts.metrics
    assert (metrics["labelled"], metrics["anomalies"]) == (0, None)
    assert metrics["model"]["average_precision"] is None
    assert metrics["model"]["rate"] is not None
    assert metrics["stability"] > 0.5


def test_a_label_trains_nothing() -> None:
    turned = [record | {"label": 1 - record["label"]} for record in records()]
    other = train_records([batch_of(turned)], TrainingOptions(seed=7), feed="pay", schema=SCHEMA)
    assert other.facts.fingerprint == course("isolation_forest").facts.fingerprint
    assert other.start == course("isolation_forest").start


def test_what_was_judged_an_anomaly_is_left_out_until_that_is_taken_back() -> None:
    batch = batch_of(records())
    usual = [5, 6, 7]

    def rows_used(*entries: ControlEntry) -> int:
        items = [batch, *entries]
        return train_records(items, TrainingOptions(seed=7), feed="pay", schema=SCHEMA).facts.rows_used

    plain = rows_used()
    judged = Verdict(seq=5, verdict="real", record=batch.record(4))
    labels = Labels((6, 7), (1, 1), (batch.record(5), batch.record(6)))
    assert rows_used(judged, labels) == plain - len(usual)
    assert rows_used(judged, Verdict(seq=5, verdict="unsure", record=batch.record(4))) == plain


def test_kinds_that_change_on_the_way_leave_one_kind_of_rows() -> None:
    raw = [{k: v for k, v in record.items() if k != "label"} for record in purchases(700, seed=5)]
    admission = Intake().admit(msgspec.json.encode(raw))
    assert sum(isinstance(item, SchemaChange) for item in admission.items) >= 2
    made = train_records(admission.items, TrainingOptions(), feed="pay")
    assert made.facts.rows == 700
    assert made.facts.rows_used > 650
    assert "value(amount)" in made.model.columns


def test_a_young_feed_learns_its_own_records_again_on_top_of_the_start() -> None:
    young = SCHEMA.replace(settled=False)
    own = RecordBatch.from_records(purchases(60, seed=8), SCHEMA.replace(settled=False)).numbered(1)
    own.schema = young
    made = course("isolation_forest")
    begun, later = Pipeline(young, feed="f"), Pipeline(young, feed="f")
    begun.process(own)
    begun.start_from(made.start, "m", made.model)
    later.start_from(made.start, "m", made.model)
    assert begun.seen == COUNT + 60
    later.process(own)
    following = batch_of(purchases(100, seed=9), young).numbered(61)
    assert np.array_equal(begun.process(following).score, later.process(following).score)
    settled = young.replace(settled=True)
    begun.apply(SchemaChange(settled))
    assert (begun.model_id, begun.seen) == ("m", COUNT + 160)


def test_a_settled_feed_or_one_of_other_fields_cannot_start_from_a_model() -> None:
    made = course("isolation_forest")
    old = Pipeline(SCHEMA)
    run(old, batch_of(purchases(600)))
    before = old.dumps()
    with pytest.raises(ModelError, match="fewer than 500 records") as refused:
        old.start_from(made.start, "m", made.model)
    assert refused.value.code == "model_columns"
    assert old.dumps() == before
    other = Pipeline(SCHEMA.replace(fields=tuple(f for f in SCHEMA.fields if f.name != "load")))
    with pytest.raises(ModelError, match=r"load \(number\)"):
        other.start_from(made.start, "m", made.model)


def test_progress_goes_through_the_stages() -> None:
    told: list[tuple[str, float]] = []
    train_records(
        in_parts(300),
        TrainingOptions(),
        feed="pay",
        schema=SCHEMA,
        total=COUNT,
        progress=lambda stage, fraction: told.append((stage, fraction)),
    )
    assert list(dict.fromkeys(stage for stage, _ in told)) == ["describing", "measuring", "fitting"]
    fractions = [fraction for _, fraction in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (TrainingOptions(parameters={"n_tree": 3}), 'unknown parameter "n_tree" of isolation_forest'),
        (TrainingOptions(parameters={"seed": 3}), "the seed is an option of the training itself"),
        (TrainingOptions(parameters={"n_trees": 0}), "expected n_trees as a whole number from 1"),
        (TrainingOptions(label="fraud"), 'got "fraud", which no record has'),
        (TrainingOptions(label="channel"), 'got "channel", which is a category'),
    ],
)
def test_what_cannot_be_asked_for_is_said(options: TrainingOptions, text: str) -> None:
    with pytest.raises(ParameterError, match=text):
        train_records(in_parts(300), options, feed="pay", schema=SCHEMA)


def test_a_number_field_may_be_named_as_the_label_and_is_no_feature_then() -> None:
    raw = [record | {"truth": record["label"]} for record in records()]
    batch = RecordBatch.from_records(raw).numbered(1)
    assert "truth" in batch.schema.numbers
    options = TrainingOptions(label="truth")
    made = train_records([SchemaChange(batch.schema), batch], options, feed="pay")
    assert made.facts.metrics["anomalies"] == 6
    preparation = made.model.preparation
    assert preparation is not None
    read = {made.model.columns[place] for place in preparation.places}
    assert "value(amount)" in read
    assert not any("truth" in name for name in read)


@pytest.mark.parametrize("count", [0, 1, 40])
def test_too_few_records_are_refused(count: int) -> None:
    with pytest.raises(ModelError, match=f"at least 50 clean records to train on, got {count} of {count}"):
        train_records([batch_of(purchases(count))], TrainingOptions(), feed="pay", schema=SCHEMA)
