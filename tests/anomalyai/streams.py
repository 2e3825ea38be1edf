"""Feeds for the pipeline's tests: fixed seeds, every kind of field, planted anomalies only."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from anomalyai.alert import Alert
from anomalyai.control import SchemaChange
from anomalyai.intake import Intake
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from anomalyai.scored import ScoredBatch
from anomalyai.training import TrainedModel, train

Record = dict[str, Any]

DECLARED = FeedSchema.from_toml("""
[feed]
time = "time"
label = "label"
entities = ["customer", "shop"]
categories = ["channel"]
numbers = ["amount", "items", "load"]
""")


def purchases(n: int, *, seed: int = 0, missing: float = 0.02) -> list[Record]:
    """Return `n` clean records: customers with their own level of amount, a few numbers missing."""
    rng = np.random.default_rng(seed)
    customers = rng.integers(0, 60, n)
    amounts = np.exp(rng.normal(3.0 + (customers % 7) * 0.3, 0.4))
    records = []
    for i in range(n):
        record: Record = {
            "time": 1_700_000_000.0 + 30.0 * i,
            "customer": f"c{customers[i]}",
            "shop": f"s{rng.integers(0, 25)}",
            "channel": str(rng.choice(["web", "pos", "app"], p=[0.5, 0.4, 0.1])),
            "amount": round(float(amounts[i]), 2),
            "items": int(rng.poisson(3)),
            "load": round(float(rng.normal()), 4),
            "label": 0,
        }
        if rng.random() < missing:
            record[str(rng.choice(["amount", "items", "load", "channel", "shop"]))] = None
        records.append(record)
    return records


def sensors(n: int, *, seed: int = 0, numbers: int = 12, texts: int = 9) -> list[Record]:
    """Return `n` clean records with many numbers on many scales and many categories, some missing.

    So many that NumPy adds the values of a row in another order for one row than for several.
    """
    rng = np.random.default_rng(seed)
    scales = 10.0 ** rng.integers(-3, 4, numbers)
    values = rng.normal(size=(n, numbers)) * scales
    kinds = rng.integers(0, 6, (n, texts))
    gone = rng.random((n, numbers + texts)) < 0.02
    return [
        {f"x{j}": None if gone[i, j] else float(values[i, j]) for j in range(numbers)}
        | {f"k{j}": None if gone[i, numbers + j] else f"v{kinds[i, j]}" for j in range(texts)}
        for i in range(n)
    ]


SCHEMA = RecordBatch.from_records(purchases(600), DECLARED).schema
"""The schema of purchases as it is once it is settled."""


def batch_of(records: Sequence[Record], schema: FeedSchema | None = SCHEMA) -> RecordBatch:
    """Return the records as one batch, numbered from 1; without a schema, kinds are inferred."""
    return RecordBatch.from_records(records, schema).numbered(1)


def admitted(records: Sequence[Record], intake: Intake | None = None) -> list[SchemaChange | RecordBatch]:
    """Return what an intake makes of the records: batches, numbered from 1, between schema changes."""
    items: list[SchemaChange | RecordBatch] = []
    seq = 1
    for item in (intake or Intake()).admit(msgspec.json.encode(records)).items:
        if isinstance(item, RecordBatch):
            items.append(item.numbered(seq))
            seq += item.n
        else:
            items.append(item)
    return items


def take(pipeline: Pipeline, items: Sequence[SchemaChange | RecordBatch]) -> list[ScoredBatch]:
    """Let a pipeline take what an intake made, in order."""
    parts = []
    for item in items:
        if isinstance(item, SchemaChange):
            pipeline.apply(item)
        else:
            parts.append(pipeline.process(item))
    return parts


def run(pipeline: Pipeline, batch: RecordBatch, cuts: Sequence[int] = ()) -> list[ScoredBatch]:
    """Process a batch in the parts between the cuts."""
    edges = [0, *sorted({cut for cut in cuts if 0 < cut < batch.n}), batch.n]
    return [pipeline.process(batch.slice(a, b)) for a, b in pairwise(edges)]


def scores(parts: Sequence[ScoredBatch]) -> np.ndarray[Any, Any]:
    """Return the scores of several parts, float64 [n]."""
    return np.concatenate([part.score for part in parts])


def flags(parts: Sequence[ScoredBatch]) -> np.ndarray[Any, Any]:
    """Return what was flagged in several parts, bool [n]."""
    return np.concatenate([part.flagged for part in parts])


def alerts(parts: Sequence[ScoredBatch]) -> list[Alert]:
    """Return the alerts of several parts."""
    return [alert for part in parts for alert in part.alerts]


@cache
def trained() -> TrainedModel:
    """Return a model trained on the clean feed of seed 1."""
    batch = batch_of(purchases(2_600, seed=1))
    sets = [part.training_set for part in run(Pipeline(batch.schema), batch, range(0, batch.n, 500))]
    return train(next(found for found in sets if found is not None))
