"""The alert budget: what it reads and what it promises."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyai.budget import MAX_RATE, MIN_RATE, AlertBudget
from anomalyai.errors import SchemaError


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("1/1000", 1e-3),
        ("1 / 500", 2e-3),
        (" 1/2 ", 0.5),
        ("1/10000000", 1e-7),
        ("1/2500.0", 4e-4),
        ("20/day", 20 / 5_000),
        ("0.5 / d", 0.5 / 5_000),
        ("100000/day", MAX_RATE),
        ("0.00001/day", MIN_RATE),
    ],
)
def test_a_budget_is_a_rate(text: str, rate: float) -> None:
    assert AlertBudget.parse(text).rate(5_000.0) == pytest.approx(rate)


REFUSED = [
    "", "20", "1/1.5", "0/day", "1/0", "many", "1/99999999999", "-1/day", "2/1000", "1/1000\n1", "20/week",
    "nan/day", 5, None,
]  # fmt: skip


@pytest.mark.parametrize("text", REFUSED)
def test_other_budgets_are_refused_with_an_example(text: object) -> None:
    with pytest.raises(SchemaError, match="20/day") as refused:
        AlertBudget.parse(text)
    assert refused.value.field == "budget"


@pytest.mark.parametrize("flow", [math.nan, math.inf, 0.0, -1.0])
def test_a_daily_budget_of_an_unknown_flow_is_the_default_share(flow: float) -> None:
    assert AlertBudget.parse("20/day").rate(flow) == pytest.approx(1e-3)


@given(st.floats(1.0, 1e9))
def test_twenty_a_day_are_twenty_a_day(records_per_day: float) -> None:
    rate = AlertBudget.parse("20/day").rate(records_per_day)
    assert MIN_RATE <= rate <= MAX_RATE
    if 20.0 / MAX_RATE <= records_per_day <= 20.0 / MIN_RATE:
        assert rate * records_per_day == pytest.approx(20.0)


@pytest.mark.parametrize("text", ["1/1000", "20/day", "1/2500", "0.5/day"])
def test_a_budget_is_written_as_it_is_read(text: str) -> None:
    assert str(AlertBudget.parse(text)) == text
