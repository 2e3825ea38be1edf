"""The whole pipeline against River's own scaler and half-space trees, one core each, in the same run."""

from __future__ import annotations

import time
from statistics import median

from web.benchmark import workload

RIVER_RECORDS = 1_500
PIPELINE_RECORDS = 20_000
WARM_RECORDS = 10_000
ROUNDS = 3


def river_rate(records: int = RIVER_RECORDS) -> float:
    """Return events a second of `MinMaxScaler | HalfSpaceTrees` (25 trees of height 8), score then learn."""
    from river import anomaly, compose, preprocessing

    trees = anomaly.HalfSpaceTrees(n_trees=25, height=8, window_size=250, seed=0)
    model = compose.Pipeline(preprocessing.MinMaxScaler(), trees)
    rows = workload.rows(records + 300)
    for row in rows[:300]:
        model.score_one(row)
        model.learn_one(row)
    started = time.perf_counter()
    for row in rows[300:]:
        model.score_one(row)
        model.learn_one(row)
    return records / (time.perf_counter() - started)


def measure_pipeline(records: int = PIPELINE_RECORDS) -> dict[str, dict[str, float]]:
    """Measure features, detectors, calibration, decision and learning together, in batches of 1,000.

    Explaining the flagged ones, which River's loop has nothing like, is left out; it is in the end-to-end
    figure.
    """
    import msgspec

    from anomalyai.pipeline import Pipeline
    from anomalyai.records import RecordBatch
    from anomalyai.schema import FeedSchema
    from anomalyai.training import train

    total = WARM_RECORDS + ROUNDS * records
    made = workload.columns(total)
    names = list(made)
    listed = [dict(zip(names, row, strict=True)) for row in zip(*made.values(), strict=True)]
    batch = RecordBatch.from_records(listed, FeedSchema.from_toml(workload.FEED_TOML))
    pipeline = Pipeline(msgspec.structs.replace(batch.schema), trainer=train, explained=False)
    for start in range(0, WARM_RECORDS, 1_000):
        pipeline.process(batch.slice(start, start + 1_000))
    rates, baselines = [], []
    for round_number in range(ROUNDS):
        baselines.append(river_rate())
        first = WARM_RECORDS + round_number * records
        started = time.perf_counter()
        for start in range(first, first + records, 1_000):
            pipeline.process(batch.slice(start, start + 1_000))
        rates.append(records / (time.perf_counter() - started))
    value, baseline = median(rates), median(baselines)
    return {"pipeline": {"value": value, "baseline": baseline, "ratio": value / baseline}}
