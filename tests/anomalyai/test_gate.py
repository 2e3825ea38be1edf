"""What a candidate must keep to before it goes live by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from anomalyai.comparison import Comparison, Examples, Side
from anomalyai.gate import MIN_RECORDS, Bounds, judge


def compared(**changes: Any) -> Comparison:
    """Return a comparison of two models that are much alike, with changes."""
    both, added, removed = (
        changes.pop(name, usual) for name, usual in (("both", 18), ("added", 2), ("removed", 3))
    )
    alike = Comparison(
        records=20_000,
        since_seq=1,
        last_seq=20_000,
        since=None,
        promised_rate=0.001,
        threshold=3.0,
        champion=Side(model="a", alerts=both + removed, average_precision=0.6),
        candidate=Side(model="b", alerts=both + added, average_precision=0.58),
        both=both,
        added=added,
        removed=removed,
        added_rate=None,
        removed_rate=None,
        agreement=both / max(both + added + removed, 1),
        recent=20_000,
        correlation=0.99,
        voice_correlation=0.9,
        difference=None,
        labelled=0,
        anomalies=0,
        examples=Examples(),
    )
    return msgspec.structs.replace(alike, **changes)


def test_a_like_candidate_passes() -> None:
    found = judge(compared(), Bounds())
    assert found.passed
    assert found.reasons == ()
    assert found.figures["agreement"] == pytest.approx(18 / 23)
    assert judge(compared(labelled=100, anomalies=20), Bounds()).passed


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"records": MIN_RECORDS - 1}, "records to judge by"),
        ({"added": 400}, "it flags 418"),
        ({"both": 0, "added": 0, "removed": 0, "records": 200_000}, "gone quiet"),
        ({"both": 5, "added": 10, "removed": 10}, "it agrees with the champion on 20%"),
        ({"voice_correlation": None}, "the same of every record"),
        ({"voice_correlation": -0.2}, "correlation of -0.20"),
    ],
)
def test_a_degenerate_candidate_is_held_back(changes: dict[str, Any], said: str) -> None:
    found = judge(compared(**changes), Bounds())
    assert not found.passed
    assert any(said in reason for reason in found.reasons), found.reasons


def test_average_precision_counts_where_anomalies_are_known() -> None:
    worse = Side(model="b", alerts=20, average_precision=0.5)
    known = compared(candidate=worse, labelled=100, anomalies=20)
    assert not judge(known, Bounds()).passed
    assert judge(known, Bounds(max_precision_loss=0.2)).passed
    assert judge(compared(candidate=worse, labelled=100, anomalies=2), Bounds()).passed


def test_a_burst_that_the_champion_flags_too_is_not_held_against_it() -> None:
    assert judge(compared(both=900, added=20, removed=20), Bounds()).passed
