"""The pipeline's promises: cuts change nothing, scores come before learning, odd feeds are survived."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyai.control import BudgetChange, SchemaChange
from anomalyai.errors import ModelError, SchemaError, StateError
from anomalyai.intake import Intake
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.scored import ScoredBatch
from anomalyai.training import train
from tests.anomalyai.streams import (
    SCHEMA,
    admitted,
    alerts,
    batch_of,
    flags,
    purchases,
    run,
    scores,
    sensors,
    take,
    trained,
)

RECORDS, SWAPPED_AT = 3_000, 1_301


@cache
def feed() -> RecordBatch:
    """Return purchases with a few anomalies; the model comes in the middle of a block."""
    records = purchases(RECORDS)
    for i in (700, 1_500, 2_050, 2_051, RECORDS - 20):
        records[i]["amount"] = 9_000.0
        records[i]["shop"] = "never-seen"
    return batch_of(records)


@cache
def wide_feed() -> RecordBatch:
    return batch_of(sensors(1_200), None)


def outcome(parts: list[ScoredBatch], pipeline: Pipeline) -> tuple[object, ...]:
    return scores(parts).tobytes(), flags(parts).tobytes(), alerts(parts), pipeline.dumps()


def cut_run(cuts: Sequence[int], with_model: bool) -> tuple[object, ...]:
    """Process the feed between the cuts, a model put in at a fixed record."""
    pipeline = Pipeline(feed().schema, feed="shop")
    if not with_model:
        return outcome(run(pipeline, feed(), cuts), pipeline)
    parts = run(pipeline, feed().slice(0, SWAPPED_AT), cuts)
    pipeline.swap("m", trained())
    parts += run(pipeline, feed().slice(SWAPPED_AT, RECORDS), [cut - SWAPPED_AT for cut in cuts])
    return outcome(parts, pipeline)


@cache
def whole(with_model: bool) -> tuple[object, ...]:
    return cut_run((), with_model)


@pytest.mark.parametrize("with_model", [False, True])
@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.integers(1, RECORDS - 1), max_size=30))
def test_cuts_change_nothing(with_model: bool, cuts: list[int]) -> None:
    assert cut_run(cuts, with_model) == whole(with_model)


@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_batches_of_one_size_change_nothing(size: int, with_model: bool) -> None:
    assert len(whole(with_model)[2]) > 3  # type: ignore[arg-type]
    assert cut_run(range(0, RECORDS, size), with_model) == whole(with_model)


@pytest.mark.parametrize("size", [1, 7])
def test_cuts_change_nothing_in_a_wide_feed(size: int) -> None:
    first, second = Pipeline(wide_feed().schema), Pipeline(wide_feed().schema)
    expected = outcome(run(first, wide_feed()), first)
    assert outcome(run(second, wide_feed(), range(0, wide_feed().n, size)), second) == expected


@pytest.mark.parametrize("size", [1, 90])
def test_cuts_change_nothing_while_kinds_are_provisional(size: int) -> None:
    records = purchases(560)
    whole_pipeline, pipeline, intake = Pipeline(), Pipeline(), Intake()
    expected = take(whole_pipeline, admitted(records))
    parts = []
    for start in range(0, len(records), size):
        for item in admitted(records[start : start + size], intake):
            if isinstance(item, RecordBatch):
                item = item.numbered(start + item.first_seq)
            parts += take(pipeline, [item])
    assert scores(parts).tobytes() == scores(expected).tobytes()
    assert pipeline.dumps() == whole_pipeline.dumps()


def test_what_comes_later_has_no_part_in_a_score() -> None:
    records = purchases(900)
    reference = scores(run(Pipeline(SCHEMA), batch_of(records)))
    for length in (1, 37, 500, 513):
        assert np.array_equal(scores(run(Pipeline(SCHEMA), batch_of(records[:length]))), reference[:length])
    for place in (29, 200, 511, 512):
        changed = [dict(record) for record in records]
        changed[place].update(amount=1e7, shop="elsewhere")
        got = scores(run(Pipeline(SCHEMA), batch_of(changed)))
        assert np.array_equal(got[:place], reference[:place])
        assert got[place] > reference[place]


def test_a_label_is_no_feature() -> None:
    records = purchases(900)
    reference = scores(run(Pipeline(SCHEMA), batch_of(records)))
    rng = np.random.default_rng(3)
    for record in records:
        record["label"] = int(rng.integers(0, 2))
    assert np.array_equal(scores(run(Pipeline(SCHEMA), batch_of(records))), reference)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("place", [60, 99])
@pytest.mark.parametrize(("field", "value"), [("amount", 50_000.0), ("load", -100.0)])
def test_a_gross_anomaly_is_flagged_within_a_hundred_records(
    field: str, value: float, place: int, seed: int
) -> None:
    records = purchases(100, seed=seed)
    for record in records:
        del record["label"]
    records[12]["items"] = 900  # too early to tell
    records[place][field] = value
    found = {alert.seq: alert for alert in alerts(take(Pipeline(), admitted(records)))}
    assert set(found) == {place + 1}
    assert found[place + 1].maturity == "warming_up"
    assert found[place + 1].reasons[0].field == field


def test_a_model_makes_the_feed_mature() -> None:
    pipeline = Pipeline(SCHEMA, trainer=train)
    parts = run(pipeline, feed())
    warming_up = np.concatenate([part.warming_up for part in parts])
    assert pipeline.status()["maturity"] == "mature"
    assert warming_up[0]
    assert not warming_up[-1]
    assert np.count_nonzero(np.diff(warming_up.astype(int))) == 1
    assert {alert.maturity for alert in alerts(parts)} == {"warming_up", "mature"}


def test_a_model_of_other_columns_is_refused() -> None:
    batch = batch_of([{"x": float(i), "y": 1.0} for i in range(30)], None)
    with pytest.raises(ModelError, match="amount"):
        Pipeline(batch.schema).swap("m", trained())


def test_a_batch_under_another_schema_is_refused() -> None:
    with pytest.raises(StateError, match="schema"):
        Pipeline().process(feed())


def test_an_empty_batch_is_nothing() -> None:
    pipeline = Pipeline(SCHEMA)
    before = pipeline.dumps()
    assert pipeline.process(feed().slice(0, 0)).n == 0
    assert pipeline.dumps() == before


def changing(n: int) -> list[dict[str, object]]:
    """Return records with a field that comes at 40 and fields that look otherwise at 100 and at 500."""
    rng = np.random.default_rng(4)
    numbers = [int(v) for v in rng.integers(10**8, 10**9, 150)]
    return [
        {"x": float(rng.normal()), "host": str(rng.choice(["a", "b", "c"])), "number": numbers[i % 150]}
        | ({"y": float(rng.normal())} if i >= 40 else {})
        for i in range(n)
    ]


def test_learnt_records_are_kept_when_kinds_change() -> None:
    records = changing(700)
    pipeline = Pipeline()
    changed_at = []
    for item in admitted(records):
        before = pipeline.schema.numbers, pipeline.schema.categories, pipeline.schema.entities
        seen = pipeline.seen
        take(pipeline, [item])
        after = pipeline.schema.numbers, pipeline.schema.categories, pipeline.schema.entities
        if isinstance(item, SchemaChange):
            assert pipeline.seen == seen
            changed_at += [seen] * (before != after)
    assert changed_at == [0, 40, 100, 500]
    assert pipeline.seen == 700
    known = Pipeline(pipeline.schema)
    batch = batch_of(records, pipeline.schema)
    run(known, batch)
    known.triage = pipeline.triage  # what people were told before is no part of what was learnt
    assert known.dumps() == pipeline.dumps()


def extended() -> tuple[Pipeline, np.ndarray, RecordBatch]:
    """Return a pipeline after a new field came at 800, its scores so far, and the batch it stands before."""
    records = purchases(1_200)
    head = batch_of(records[:800])
    tail = batch_of([dict(record, extra=float(i % 5)) for i, record in enumerate(records[800:])])
    pipeline = Pipeline(head.schema)
    got = scores([pipeline.process(head)])
    pipeline.apply(SchemaChange(tail.schema))
    return pipeline, got, tail.numbered(801)


def test_a_new_field_after_settling_changes_no_score() -> None:
    reference = scores(run(Pipeline(SCHEMA), batch_of(purchases(1_200))))
    pipeline, got, tail = extended()
    assert np.array_equal(np.concatenate([got, scores([pipeline.process(tail)])]), reference)


def test_a_state_after_a_new_field_goes_on() -> None:
    pipeline, _, tail = extended()
    again = Pipeline.loads(pipeline.dumps())
    assert again.dumps() == pipeline.dumps()
    assert outcome([again.process(tail)], again) == outcome([pipeline.process(tail)], pipeline)


@pytest.mark.parametrize("field", ["amount", "channel", "customer", "load"])
def test_a_field_that_vanishes_is_missing_and_no_flood(field: str) -> None:
    records = purchases(4_000)
    for record in records[3_000:]:
        del record[field]
    parts = run(Pipeline(SCHEMA, trainer=train), batch_of(records))
    assert np.isfinite(scores(parts)).all()
    assert flags(parts)[3_000:].mean() < 0.06
    assert flags(parts)[3_500:].mean() < 0.03


def test_a_budget_change_moves_the_threshold() -> None:
    pipeline = Pipeline(SCHEMA)
    run(pipeline, feed())
    before = pipeline.process(feed().slice(0, 1)).threshold
    pipeline.apply(BudgetChange("1/100"))
    assert pipeline.process(feed().slice(0, 1)).threshold == pytest.approx(before - 1.0)
    with pytest.raises(SchemaError, match="20/day"):
        pipeline.apply(BudgetChange("lots"))
    assert pipeline.budget == "1/100"


def test_of_two_budgets_the_later_one_counts() -> None:
    declared = SCHEMA.replace(budget="1/50")
    pipeline = Pipeline(SCHEMA, budget="1/2000")
    assert pipeline.promised_rate == pytest.approx(1 / 2_000)
    pipeline.apply(SchemaChange(declared))
    assert pipeline.promised_rate == pytest.approx(1 / 50)
    pipeline.apply(BudgetChange("1/300"))
    pipeline.process(batch_of(purchases(40), declared))  # the schema of the batches is still the declared one
    assert pipeline.promised_rate == pytest.approx(1 / 300)
    pipeline.apply(SchemaChange(declared.replace(name="Shop")))
    assert pipeline.promised_rate == pytest.approx(1 / 300)
    assert Pipeline.loads(pipeline.dumps()).promised_rate == pytest.approx(1 / 300)
    assert Pipeline(declared, budget="1/2000").promised_rate == pytest.approx(1 / 50)


@pytest.mark.parametrize(
    "records",
    [
        [{"x": 1.0}],
        [{"x": 5.0, "k": "a"}] * 3_000,
        [{"x": None, "k": None}] * 100 + [{"x": 1.0, "k": "b"}] * 5,
        [{"k": f"v{i % 3}"} for i in range(2_600)],
        [{"x": (-1.0) ** i * 10.0 ** (i % 300)} for i in range(600)],
        [{"x": 1e308 * (i % 2), "y": -1e308} for i in range(300)],
        [{"x": -float(i), "y": 0.1} for i in range(2_600)],
        [{"note": [1, 2]} for i in range(2_600)],
    ],
    ids=["one", "equal", "missing", "no numbers", "huge", "overflow", "negative, constant", "no columns"],
)
def test_odd_feeds_give_finite_scores(records: list[dict[str, object]]) -> None:
    with np.errstate(all="raise", under="ignore"):
        parts = take(Pipeline(trainer=train), admitted(records))
    got = scores(parts)
    assert len(got) == len(records)
    assert np.isfinite(got).all()
    assert (got >= 0.0).all()
    assert all(alert.reasons for alert in alerts(parts))


def test_infinite_numbers_are_missing() -> None:
    batch = batch_of(purchases(600))
    numbers = batch.numbers.copy()
    numbers[300] = np.inf
    odd = batch.slice(0, batch.n)
    odd.numbers = numbers
    assert np.isfinite(scores(run(Pipeline(batch.schema), odd))).all()
