"""Parts of an evaluation, and histograms: every record once, the largest entities, equal spans of time."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from anomalyai.evaluation.histogram import BINS, histogram
from anomalyai.evaluation.split import MAX_ENTITIES, MAX_NAME_CHARS, TIME_PARTS, Entities, by_entity, by_time

RNG = np.random.default_rng(0)
N = 2_000
LABEL = np.where(RNG.random(N) < 0.5, (RNG.random(N) < 0.2).astype(float), np.nan)
SCORE = RNG.normal(size=N) + np.where(LABEL == 1.0, 1.0, 0.0)
FLAGGED = SCORE > 1.2
TIME_S = np.sort(RNG.exponential(100.0, N))


def test_spans_of_time_hold_every_record_once() -> None:
    parts = by_time(SCORE, FLAGGED, LABEL, TIME_S)
    assert len(parts) == TIME_PARTS
    assert sum(part.records for part in parts) == N
    assert sum(part.flagged for part in parts) == np.count_nonzero(FLAGGED)
    width = (TIME_S[-1] - TIME_S[0]) / TIME_PARTS
    for number, part in enumerate(parts):
        start = TIME_S[0] + number * width
        rows = (start <= TIME_S) & (start + width >= TIME_S)
        assert part.records == np.count_nonzero(rows)
        known = rows & np.isfinite(LABEL)
        assert part.labelled == np.count_nonzero(known)
        assert part.anomalies == np.nansum(LABEL[rows])
        expected = average_precision_score(LABEL[known], SCORE[known]) if part.anomalies else None
        assert part.average_precision == pytest.approx(expected)
        caught = np.count_nonzero(FLAGGED[rows] & (LABEL[rows] == 1.0))
        assert (part.recall is None) == (part.anomalies == 0)
        assert part.recall is None or part.recall.value == caught / part.anomalies


def test_without_times_the_parts_are_of_equal_counts() -> None:
    parts = by_time(SCORE, FLAGGED, LABEL, np.full(N, np.nan))
    assert {part.records for part in parts} == {N // TIME_PARTS}
    assert parts[0].first_time_s is None
    assert by_time(np.empty(0), np.empty(0, bool), np.empty(0), np.empty(0)) == ()


def test_the_largest_entities_by_their_names() -> None:
    entity = np.repeat(np.arange(40, dtype=np.uint64), 50)
    entity[:100] = 39
    names = {39: "<b>" + "x" * 200, 2: "two"}
    parts = by_entity(SCORE, FLAGGED, LABEL, TIME_S, Entities("id", entity, names))
    assert len(parts) == MAX_ENTITIES
    assert parts[0].name == ("<b>" + "x" * 200)[:MAX_NAME_CHARS]
    assert parts[0].records == 150
    assert [part.name for part in parts[1:3]] == ["two", f"{3:016x}"]


def test_parts_without_labels_have_rates_and_no_accuracy() -> None:
    for part in by_time(SCORE, FLAGGED, np.full(N, np.nan), TIME_S):
        assert (part.anomalies, part.average_precision, part.precision, part.recall) == (None,) * 4
        assert part.realised_rate is not None or not part.records


def test_a_histogram_counts_every_record_once() -> None:
    score = np.append(SCORE, [1e300, 50.0])
    label = np.append(LABEL, [1.0, np.nan])
    found = histogram(score, label)
    assert len(found.edges) == BINS + 1
    assert (np.diff(found.edges) > 0.0).all()
    assert sum(found.anomalies) == np.count_nonzero(label == 1.0)
    assert sum(found.others) == np.count_nonzero(label == 0.0)
    assert sum(found.unlabelled) == np.count_nonzero(np.isnan(label))
    inside = (score >= found.edges[3]) & (score < found.edges[4])
    assert found.others[3] == np.count_nonzero(inside & (label == 0.0))
    assert found.edges[-1] < 60.0  # one far score does not squeeze all others into the first bin
    assert sum(histogram(np.full(5, 2.0), np.zeros(5)).others) == 5
    assert histogram(np.empty(0), np.empty(0)).edges == ()
