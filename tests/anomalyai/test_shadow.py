"""A candidate in the shadow: it changes nothing of the champion's, and counts what it would have done."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyai.comparison import MAX_EXAMPLES, Comparison
from anomalyai.control import Labels, Verdict
from anomalyai.errors import ModelError
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.scored import ScoredBatch
from anomalyai.training import TrainedModel, TrainingSet, train
from tests.anomalyai.streams import alerts, batch_of, flags, purchases, run, scores, trained

RECORDS, SWAPPED_AT, SHADOWED_AT = 3_000, 901, 1_301
ODD = (700, 1_500, 2_050, 2_051, RECORDS - 20)


@cache
def feed() -> RecordBatch:
    """Return purchases with a few anomalies, labelled."""
    records = purchases(RECORDS)
    for i in ODD:
        records[i] |= {"amount": 9_000.0, "shop": "never-seen", "label": 1}
    return batch_of(records)


@cache
def candidate() -> TrainedModel:
    """Return a model of few rows: one that differs from the champion."""
    rows = np.random.default_rng(5).normal(size=(300, len(trained().columns)))
    return train(TrainingSet(rows, trained().columns, last_seq=300, seed=9))


def shadowed(
    cuts: Sequence[int] = (), *, model: TrainedModel | None = None, with_shadow: bool = True
) -> tuple[Pipeline, list[ScoredBatch]]:
    """Process the feed with a champion and, some records later, a candidate beside it."""
    pipeline = Pipeline(feed().schema, feed="shop")
    parts = run(pipeline, feed().slice(0, SWAPPED_AT), cuts)
    pipeline.swap("champion", trained())
    parts += run(pipeline, feed().slice(SWAPPED_AT, SHADOWED_AT), [cut - SWAPPED_AT for cut in cuts])
    if with_shadow:
        pipeline.shadow("candidate", model or candidate())
    parts += run(pipeline, feed().slice(SHADOWED_AT, RECORDS), [cut - SHADOWED_AT for cut in cuts])
    return pipeline, parts


@cache
def whole() -> tuple[Pipeline, list[ScoredBatch]]:
    return shadowed()


def compared(pipeline: Pipeline) -> Comparison:
    found = pipeline.comparison()
    assert found is not None
    return found


def test_a_shadow_changes_no_bit_of_the_champion() -> None:
    pipeline, parts = shadowed(with_shadow=False)
    beside, shadow_parts = whole()
    assert scores(parts).tobytes() == scores(shadow_parts).tobytes()
    assert flags(parts).tobytes() == flags(shadow_parts).tobytes()
    assert alerts(parts) == alerts(shadow_parts)
    assert compared(beside).candidate.alerts > 0
    state = Pipeline.loads(beside.dumps(), {"champion": trained(), "candidate": candidate()})
    state.end_shadow()
    assert state.dumps() == pipeline.dumps()


@settings(max_examples=6, deadline=None)
@given(cuts=st.lists(st.integers(1, RECORDS - 1), max_size=30))
def test_cuts_change_nothing_of_a_shadow(cuts: list[int]) -> None:
    pipeline, _ = shadowed(cuts)
    assert pipeline.dumps() == whole()[0].dumps()
    assert compared(pipeline) == compared(whole()[0])


@pytest.mark.parametrize("size", [1, 7])
def test_small_batches_change_nothing_of_a_shadow(size: int) -> None:
    assert shadowed(range(0, RECORDS, size))[0].dumps() == whole()[0].dumps()


@pytest.mark.parametrize("place", [SHADOWED_AT + 1, 1_536, 2_000])
def test_a_state_goes_on_bit_for_bit(place: int) -> None:
    pipeline = Pipeline(feed().schema, feed="shop")
    run(pipeline, feed().slice(0, SWAPPED_AT))
    pipeline.swap("champion", trained())
    run(pipeline, feed().slice(SWAPPED_AT, SHADOWED_AT))
    pipeline.shadow("candidate", candidate())
    run(pipeline, feed().slice(SHADOWED_AT, place))
    models = {"champion": trained(), "candidate": candidate()}
    frozen = pipeline.freeze()
    frozen.advance(1 << 62)
    for again in (
        Pipeline.loads(pipeline.dumps(), models),
        Pipeline.thaw(frozen.document(), frozen.sections(), models),
    ):
        run(again, feed().slice(place, RECORDS))
        assert again.dumps() == whole()[0].dumps()


def test_a_candidate_scores_as_after_a_swap() -> None:
    """Put in at the same record, the candidate's own scores are those of a feed that was given it."""
    pipeline = Pipeline(feed().schema, feed="shop")
    run(pipeline, feed().slice(0, SWAPPED_AT))
    pipeline.swap("champion", trained())
    pipeline.shadow("same", trained())
    parts = run(pipeline, feed().slice(SWAPPED_AT, RECORDS), range(0, RECORDS, 100))
    found = compared(pipeline)
    assert found.records == RECORDS - SWAPPED_AT
    assert (found.added, found.removed, found.both) == (0, 0, int(flags(parts).sum()))
    assert found.both > 2
    assert found.agreement == 1.0
    assert found.difference is not None
    assert set(found.difference.values()) == {0.0}


def test_counts_and_examples_are_of_what_happened() -> None:
    pipeline, parts = whole()
    found = compared(pipeline)
    status = pipeline.status()["shadow"]
    assert status["model"] == "candidate"
    assert status["since_seq"] == found.since_seq == SHADOWED_AT + 1
    assert status["records"] == found.records == found.recent == RECORDS - SHADOWED_AT
    assert found.last_seq == RECORDS
    assert found.both + found.removed == int(flags(parts)[SHADOWED_AT:].sum()) == found.champion.alerts
    assert found.both + found.added == found.candidate.alerts
    assert found.added > 0
    flagged = {alert.seq: alert for part in parts for alert in part.alerts}
    for example in found.examples.removed + found.examples.both:
        assert example.summary == flagged[example.seq].summary
        assert example.champion == flagged[example.seq].score >= example.threshold
    for example in found.examples.added:
        assert example.candidate >= example.threshold > example.champion
        assert example.seq not in flagged
        assert example.reasons
        assert example.record is not None
    assert found.examples.removed or found.removed == 0


def test_labels_tell_how_right_both_are() -> None:
    found = compared(whole()[0])
    assert found.labelled == found.records
    assert found.anomalies == len([i for i in ODD if i >= SHADOWED_AT])
    assert found.champion.average_precision is not None
    assert found.candidate.average_precision is not None
    assert found.champion.recall == 1.0


def test_verdicts_tell_it_too() -> None:
    records = purchases(RECORDS)
    for record in records:
        del record["label"]
    for i in ODD:
        records[i] |= {"amount": 9_000.0, "shop": "never-seen"}
    batch, pipeline = batch_of(records), Pipeline(feed().schema, feed="shop")
    run(pipeline, batch.slice(0, SWAPPED_AT))
    pipeline.swap("champion", trained())
    pipeline.shadow("candidate", candidate())
    run(pipeline, batch.slice(SWAPPED_AT, RECORDS))
    assert compared(pipeline).labelled == 0
    pipeline.apply(Verdict(1_501, "real", batch.record(1_500)))
    pipeline.apply(Labels((1_600, 1_601), (0, 1), (batch.record(1_599), batch.record(1_600))))
    found = compared(pipeline)
    assert (found.labelled, found.anomalies) == (3, 2)
    pipeline.apply(Verdict(1_501, "unsure", batch.record(1_500)))
    assert compared(pipeline).labelled == 2


def test_examples_are_bounded_and_large_records_left_out() -> None:
    records = purchases(1_600)
    for i in range(1_000, 1_600, 4):
        records[i] |= {"amount": 9_000.0, "shop": "x" * 5_000}
    batch, pipeline = batch_of(records), Pipeline(feed().schema, feed="shop", budget="1/4")
    run(pipeline, batch.slice(0, 900))
    pipeline.shadow("candidate", candidate())  # with no champion at all
    run(pipeline, batch.slice(900, 1_600))
    found = compared(pipeline)
    assert found.added + found.removed + found.both > 3 * MAX_EXAMPLES
    kinds = (found.examples.added, found.examples.removed, found.examples.both)
    assert all(len(kind) <= MAX_EXAMPLES for kind in kinds)
    shown = [example for kind in kinds for example in kind]
    assert any(example.record is None for example in shown)
    assert all(len(msgspec.json.encode(example.record)) <= 4_096 for example in shown)
    assert [example.seq for example in found.examples.both] == sorted(e.seq for e in found.examples.both)


def test_promotion_ends_the_shadow_and_another_champion_begins_it_anew() -> None:
    pipeline, _ = shadowed()
    pipeline.swap("another", candidate())
    found = compared(pipeline)
    assert (found.records, found.since_seq, found.champion.model) == (0, None, "another")
    assert not found.examples.added
    pipeline.swap("candidate", candidate())
    assert pipeline.comparison() is None
    assert pipeline.status()["shadow"] is None


def test_a_candidate_of_other_columns_is_refused() -> None:
    pipeline = Pipeline(feed().schema)
    other = train(TrainingSet(np.random.default_rng(1).normal(size=(90, 1)), ("value(x)",), last_seq=90))
    with pytest.raises(ModelError) as caught:
        pipeline.shadow("other", other)
    assert caught.value.code == "model_columns"
    assert pipeline.shadow_id is None


def test_a_lost_candidate_does_not_keep_a_feed_from_its_state() -> None:
    again = Pipeline.loads(whole()[0].dumps(), {"champion": trained()})
    assert again.shadow_id is None
    assert again.dumps() == shadowed(with_shadow=False)[0].dumps()
