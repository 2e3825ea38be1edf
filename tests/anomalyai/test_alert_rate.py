"""The alert budget is kept: on clean traffic, and after it has changed for good."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyai.pipeline import Pipeline
from anomalyai.training import train
from tests.anomalyai.traffic import SCHEMA, Change, traffic

WARM_UP, RECORDS, CHANGED_AT = 20_000, 200_000, 50_000
PROMISED = 1 / 500


@cache
def flags(change: Change, sd: float, seed: int) -> NDArray[np.bool_]:
    """Return what was flagged of 200,000 records after the warm-up; the change comes at `CHANGED_AT`."""
    batch = traffic(WARM_UP + RECORDS, seed=seed, change=change, at=WARM_UP + CHANGED_AT, sd=sd)
    pipeline = Pipeline(SCHEMA, budget="1/500", trainer=train, explained=False)
    found = [pipeline.process(batch.slice(i, i + 20_000)).flagged for i in range(0, batch.n, 20_000)]
    assert pipeline.status()["maturity"] == "mature"
    return np.concatenate(found)[WARM_UP:]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("change", "sd"), [("none", 0.0), ("level", 3.0), ("variance", 2.0), ("variance", 0.5), ("drift", 10.0)]
)
def test_the_promised_rate_is_kept_within_a_fifth(change: Change, sd: float, seed: int) -> None:
    found = flags(change, sd, seed)
    assert len(found) == RECORDS
    assert found.mean() == pytest.approx(PROMISED, rel=0.2)


def is_back(after: NDArray[np.bool_], window: int = 2_000) -> int:
    """Return the records after which 2,000 in a row have no more than twice the promised alerts."""
    sums = np.cumsum(np.concatenate([[0], after]))
    return int(np.argmax(sums[window:] - sums[:-window] <= 2 * PROMISED * window))


def test_a_moderate_shift_is_over_within_two_thousand_records() -> None:
    after = flags("level", 3.0, 1)[CHANGED_AT:]
    assert 5 < np.count_nonzero(after[: is_back(after)]) < 100  # it is noticed, and does not flood
    assert is_back(after) < 2_000


@pytest.mark.parametrize("sd", [6.0, 20.0])
def test_a_gross_shift_is_a_burst_of_alerts_that_ends(sd: float) -> None:
    """Hundreds of alerts, so the 200,000 records together exceed the budget; then it is kept again."""
    after = flags("level", sd, 2)[CHANGED_AT:]
    back = is_back(after)
    assert 100 < np.count_nonzero(after[:back]) < 1_000
    assert back < 3_000
    assert after[back + 2_000 :].mean() == pytest.approx(PROMISED, rel=0.2)
