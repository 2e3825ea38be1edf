"""Why a record scored as it did, in numbers and in words."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyai.alert import Reason
from anomalyai.explanation import MAX_REASONS, Explainer, Explanation, why_not
from anomalyai.features import Column
from anomalyai.pipeline import Pipeline
from anomalyai.wording import number
from tests.anomalyai.streams import alerts, batch_of, purchases, run

COLUMNS = (
    Column("amount", "value"),
    Column("load", "value"),
    Column("channel", "rarity"),
    Column("card", "presence"),
    Column("amount", "deviation", "card"),
    Column("load", "deviation", "card"),
    Column("card", "burst"),
)
COUNTS = (
    Column("channel", "seen"),
    Column("card", "seen"),
    Column("amount", "events", "card"),
    Column("load", "events", "card"),
    Column("amount", "habit", "card"),
    Column("load", "habit", "card"),
)
TYPICAL = np.array([10.0, 0.0, 0.5, 4.0, 0.0, 0.0, -0.5])
RECORD = {"amount": 10.0, "load": 0.0, "channel": "web", "card": 4_716_001_122_334_455}


def clean() -> NDArray[np.float64]:
    """Return 400 usual rows."""
    return TYPICAL + np.random.default_rng(0).normal(size=(400, len(COLUMNS)))


def distance(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Stand in for a detector: how far from what is typical, missing values three away."""
    total: NDArray[np.float64] = np.where(np.isnan(rows), 3.0, np.abs(rows - TYPICAL)).sum(axis=1)
    return total


def explained(
    record: dict[str, Any] | None = None,
    counts: tuple[float, ...] = (50.0, 9.0, 9.0, 9.0, math.asinh(10.0), 0.0),
    **changes: float,
) -> Explanation:
    """Explain a typical row with some columns changed, named `aspect_field`."""
    row = TYPICAL.copy()
    for name, value in changes.items():
        aspect, field = name.split("_")
        place = next(j for j, c in enumerate(COLUMNS) if (c.aspect, c.field) == (aspect, field))
        row[place] = value
    explainer = Explainer(COLUMNS, COUNTS, TYPICAL, clean())
    return one(explainer, row, np.array(counts), {**RECORD, **(record or {})}, distance)


def one(
    explainer: Explainer,
    row: NDArray[np.float64],
    counts: NDArray[np.float64],
    record: dict[str, Any],
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> Explanation:
    """Explain one record against a threshold of 3."""
    rows, found = row[None, :], score(row[None, :])
    [why] = explainer.explain(
        rows, counts[None, :], [record], score, scores=found, threshold=3.0, flagged=[bool(found[0] >= 3.0)]
    )
    return why


def plainly(row: NDArray[np.float64], columns: tuple[Column, ...], record: dict[str, Any]) -> Explanation:
    """Explain a row whose columns add up, 0 being usual."""
    explainer = Explainer(columns, (), np.zeros(len(columns)), np.zeros((50, len(columns))))
    return one(explainer, row, np.empty(0), record, lambda rows: rows.sum(axis=1))


def only(explanation: Explanation) -> Reason:
    [reason] = explanation.reasons
    assert reason.share == 1.0
    assert explanation.summary == reason.text
    return reason


def test_shares_are_parts_of_the_score() -> None:
    found = explained({"amount": 40.0, "load": 10.0}, value_amount=40.0, value_load=10.0)
    assert [reason.field for reason in found.reasons] == ["amount", "load"]
    assert [reason.share for reason in found.reasons] == pytest.approx([0.75, 0.25])
    assert found.summary == f"{found.reasons[0].text}, and {found.reasons[1].text}"


def test_a_field_below_its_usual_range() -> None:
    reason = only(explained({"load": -8.0}, value_load=-8.0))
    assert reason.text.startswith("load -8 is below its usual -1.")
    assert reason.actual == -8.0
    assert reason.expected == pytest.approx(0.0, abs=0.2)


def test_a_field_far_from_the_entitys_own_habit() -> None:
    habit = 10.0
    reason = only(explained({"amount": 612}, value_amount=612.0, deviation_amount=8.0))
    assert reason.text == "amount 612 is 61 times this card's usual 10"
    assert reason.expected == pytest.approx(habit)
    assert reason.actual == 612.0


def test_a_number_within_its_range_is_unusual_with_the_others() -> None:
    reason = only(explained(value_amount=10.5))
    assert reason.text.endswith("unusual with the other fields")


def test_a_rare_category() -> None:
    reason = only(explained({"channel": "fax"}, rarity_channel=math.log(5_000.0)))
    assert reason.text == "channel fax comes once in 5,000 records"
    assert reason.actual == "fax"


def test_an_entitys_text_is_exact() -> None:
    reason = only(explained(presence_card=math.log(900.0)))
    assert reason.text == "card 4716001122334455 comes once in 900 records"
    assert reason.actual == "4716001122334455"


def test_a_burst_is_told_from_a_rare_entity() -> None:
    reason = only(explained(burst_card=math.log(40.0)))
    assert reason.text == "card 4716001122334455 is active at 40 times its usual pace"


def test_booleans_and_long_texts_are_readable() -> None:
    assert "channel true" in only(explained({"channel": True}, rarity_channel=9.0)).text
    long = only(explained({"channel": "x" * 500}, rarity_channel=9.0))
    assert len(long.text) < 100
    assert long.actual == "x" * 500


def test_a_common_value_comes_in_an_unusual_combination() -> None:
    assert only(explained(rarity_channel=0.1)).text == "channel web comes in an unusual combination"


@pytest.mark.parametrize("field", ["amount", "channel"])
def test_a_missing_field(field: str) -> None:
    name = f"value_{field}" if field == "amount" else f"rarity_{field}"
    reason = only(explained({field: None}, **{name: math.nan}))
    assert reason.text == f"{field} is missing"
    assert reason.actual is None
    assert reason.expected == (pytest.approx(10.0, abs=0.2) if field == "amount" else None)


def test_a_nested_field_is_found() -> None:
    found = plainly(np.array([9.0]), (Column("card.limit", "value"),), {"card": {"limit": 9}})
    assert only(found).actual == 9.0


def test_without_clean_rows_or_a_reason_there_is_still_a_sentence() -> None:
    explainer = Explainer(COLUMNS, COUNTS, TYPICAL, np.empty((0, len(COLUMNS))))
    found = one(explainer, TYPICAL, np.full(len(COUNTS), np.nan), RECORD, distance)
    assert len(found.reasons) == 1
    assert sum(reason.share for reason in found.reasons) == pytest.approx(1.0)
    assert found.summary


def test_a_feed_without_scored_fields_says_so() -> None:
    found = plainly(np.empty(0), (), {"note": "x"})
    assert (found.reasons, found.parts, found.score) == ((), (), 0.0)
    assert "no field that is scored" in found.summary


def test_reasons_are_few_and_parts_are_all() -> None:
    columns = tuple(Column(f"x{j}", "value") for j in range(40))
    found = plainly(np.full(40, 5.0), columns, {f"x{j}": 5.0 for j in range(40)})
    assert len(found.reasons) == MAX_REASONS
    assert len(found.parts) == 40
    assert len(found.summary) < 200


def test_parts_are_on_the_scale_of_the_score_and_signed() -> None:
    columns = (Column("a", "value"), Column("b", "value"))
    found = plainly(np.array([4.0, -1.5]), columns, {"a": 4.0, "b": -1.5})
    assert [(part.field, part.part) for part in found.parts] == [("a", 4.0), ("b", -1.5)]
    assert (found.parts[0].expected, found.parts[0].actual) == (0.0, 4.0)
    assert (found.score, found.one_in, found.margin) == (2.5, pytest.approx(10**2.5), 0.5)
    assert [reason.field for reason in found.reasons] == ["a"]


def test_a_silent_record_says_by_how_much() -> None:
    found = plainly(np.array([1.2]), (Column("a", "value"),), {"a": 1.2})
    assert found.why_not == "its score 1.20 (1 in 16) is 1.80 below the threshold 3.00 (1 in 1,000)"
    assert "too few records had come" in why_not(3.5, 3.0)
    assert explained({"load": -8.0}, value_load=-8.0).why_not is None


def test_the_habits_of_the_records_entities() -> None:
    habit = 10.0
    counts = (50.0, 33.0, 21.0, 4.0, math.asinh(habit), 0.0)
    found = explained({"amount": 612}, counts, value_amount=612.0, deviation_amount=8.0).habits
    assert [(own.entity, own.field) for own in found] == [("card", "amount"), ("card", "load")]
    assert (found[0].value, found[0].seen, found[0].events) == ("4716001122334455", 33.0, 21.0)
    assert found[0].usual == pytest.approx(habit)


def test_one_plain_sentence() -> None:
    """The example of a sentence: an amount against the card's habit, and a word that is new."""
    record = {"amount": 612.4, "channel": "fax"}
    counts = (0.0, 33.0, 21.0, 4.0, math.asinh(68.0), 0.0)
    changes = {"value_amount": 612.4, "deviation_amount": 8.0, "rarity_channel": 400.0}
    found = explained(record, counts, **changes)
    assert found.summary == (
        "amount 612.40 is 9 times this card's usual 68, with a channel never seen before"
    )


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (999.4, "999"), (999.6, "1,000"), (-999.6, "-1,000"), (1e11, "100,000,000,000"), (3e15, "3e+15"),
        (0.0, "0"), (1.5e-7, "1.5e-07"), (math.nan, "unknown"), (math.inf, "unknown"),
    ],
)  # fmt: skip
def test_numbers_are_as_a_person_reads_them(value: float, text: str) -> None:
    assert number(value) == text


def test_integer_entities_are_written_out_in_alerts() -> None:
    records = purchases(900)
    for record in records:
        record["customer"] = 3_508_169_504_374_000 + int(record["customer"][1:])
    records[850].update(customer=3_508_169_504_999_999, amount=90_000.0, channel="odd")
    batch = batch_of(records, None)
    found = {alert.seq: alert for alert in alerts(run(Pipeline(batch.schema), batch))}
    assert found[851].entities["customer"] == "3508169504999999"
    texts = [reason.text for reason in found[851].reasons if reason.field == "customer"]
    assert all(text.startswith("customer 3508169504999999 ") for text in texts)
