"""One spoilt field in a record of a mature feed: it is the first reason, flagged or not."""

from __future__ import annotations

from functools import cache

import pytest

from anomalyai.explanation import Explanation
from tests.anomalyai.planting import KINDS, learnt, planted
from tests.anomalyai.streams import batch_of

PROBES = 100


@cache
def explained(kind: str) -> list[tuple[str, Explanation]]:
    """Return the culprit and the explanation of every probe of a kind of feed."""
    pipeline = learnt(kind)
    return [
        (culprit, pipeline.explain(batch_of([record], pipeline.schema), 0))
        for record, culprit in planted(kind, PROBES)
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_the_culprit_is_the_first_reason(kind: str) -> None:
    """All probes count, those that are not flagged as well."""
    found = explained(kind)
    right = sum(why.reasons[0].field == culprit for culprit, why in found)
    assert right >= 0.95 * len(found)


@pytest.mark.parametrize("kind", KINDS)
def test_the_parts_sum_to_the_score(kind: str) -> None:
    for _, why in explained(kind):
        assert abs(sum(part.part for part in why.parts) - why.score) < 1e-9
        assert sum(reason.share for reason in why.reasons) == pytest.approx(1.0)


def test_there_are_flagged_and_silent_ones_among_them() -> None:
    every = [why for kind in KINDS for _, why in explained(kind)]
    assert len(every) >= 500
    assert 0.2 * len(every) < sum(why.flagged for why in every) < 0.9 * len(every)
    for why in every:
        assert why.flagged == (why.margin <= 0.0) == (why.why_not is None)
        assert why.margin == pytest.approx(why.threshold - why.score)


def test_a_word_never_seen_is_said_to_be_that() -> None:
    for culprit, why in explained("categories"):
        assert f"{culprit} odd-" in why.summary
        assert "was never seen before" in why.summary


def test_a_usual_amount_is_told_against_the_customers_own() -> None:
    for _, why in explained("habits"):
        assert "times this customer's usual" in why.summary
        own = next(habit for habit in why.habits if (habit.entity, habit.field) == ("customer", "amount"))
        assert own.usual == why.reasons[0].expected
        assert 40 < own.events < 150
        assert own.seen is not None
        assert own.seen > 60
        assert own.value.startswith("c")
