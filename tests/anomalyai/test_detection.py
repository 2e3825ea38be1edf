"""What the default pipeline finds and says: culprits, bursts, the alert rate."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anomalyai.intake import Intake
from anomalyai.pipeline import Pipeline
from anomalyai.training import train
from tests.anomalyai.streams import batch_of, purchases, run, scores

NUMBERS = {"amount": 40_000.0, "items": 400, "load": 60.0}


def test_the_planted_field_is_the_first_reason() -> None:
    records = purchases(6_000, missing=0.0)
    rng = np.random.default_rng(5)
    planted: dict[int, str] = {}
    for place in range(3_000, 6_000, 25):
        field = str(rng.choice([*NUMBERS, "channel"]))
        records[place][field] = NUMBERS.get(field, f"odd-{place}")
        planted[place + 1] = field
    batch = batch_of(records)
    alerts = [alert for part in run(Pipeline(batch.schema, budget="1/30"), batch) for alert in part.alerts]
    found = {alert.seq: alert for alert in alerts if alert.seq in planted}
    assert len(found) >= 0.8 * len(planted)
    right = sum(found[seq].reasons[0].field == planted[seq] for seq in found)
    assert right >= 0.95 * len(found)
    for alert in found.values():
        assert sum(reason.share for reason in alert.reasons) == pytest.approx(1.0)
        assert alert.reasons[0].field in alert.summary
        assert "nan" not in alert.summary
        assert alert.one_in == pytest.approx(10.0 ** min(alert.score, 15.0))
        assert all(math.isfinite(r.expected) for r in alert.reasons if isinstance(r.expected, float))


def test_a_dense_burst_does_not_become_the_new_normal() -> None:
    records = purchases(5_000, missing=0.0)
    burst = range(4_000, 4_300)
    for place in burst:
        records[place].update(amount=40_000.0, items=40, load=9.0)
    batch = batch_of(records)
    score = scores(run(Pipeline(batch.schema, trainer=train), batch))
    assert score[list(burst)][-50:].min() > np.quantile(score[3_000:4_000], 0.99)
    assert np.mean(score[4_400:] >= 3.0) < 0.02


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("one_in", [500, 1_000])
def test_the_budget_is_kept_on_clean_traffic(one_in: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = 40_000
    columns = [rng.normal(size=count), rng.lognormal(3.0, 0.7, count), rng.gamma(2.0, size=count)]
    kinds = rng.choice(list("abcd"), count, p=[0.6, 0.3, 0.09, 0.01])
    records = [
        {"x": float(x), "y": float(y), "z": float(z), "kind": str(kind)}
        for x, y, z, kind in zip(*columns, kinds, strict=True)
    ]
    batch = batch_of(records, Intake().schema)
    pipeline = Pipeline(batch.schema, budget=f"1/{one_in}", trainer=train, explained=False)
    flagged = np.concatenate([part.flagged for part in run(pipeline, batch)])
    realised = flagged[5_000:].mean()
    assert 0.6 / one_in <= realised <= 1.5 / one_in


def test_a_daily_budget_follows_the_flow() -> None:
    records = purchases(4_000)  # one record every 30 s: 2,880 a day
    batch = batch_of(records)
    pipeline = Pipeline(batch.schema, budget="20/day")
    run(pipeline, batch)
    assert pipeline.promised_rate == pytest.approx(20 / 2_880, rel=0.02)
