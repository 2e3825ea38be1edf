"""A million entities in one feed, in a process of its own: prints as JSON what that takes.

Memory is the growth of `ru_maxrss`, the highest resident size the process has had, in MB: what was freed
again counts too.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Iterator
from itertools import count

import numpy as np

from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from tests.anomalyai.traffic import batch_of, declared, spread

ENTITIES, CHUNK = 1_000_000, 20_000
SCHEMA: FeedSchema = declared(numbers=("a", "b", "c"), entities=("customer",))


def batch(customers: np.ndarray) -> RecordBatch:
    """Return one record of each customer."""
    numbers = np.random.default_rng(int(customers[0])).normal(size=(len(customers), 3))
    return batch_of(numbers, spread(customers, 1)[:, None], 1.7e9 + np.arange(len(customers)), SCHEMA)


def newcomers() -> Iterator[RecordBatch]:
    """Yield batches of customers who never came before."""
    return (batch(np.arange(first, first + CHUNK)) for first in count(0, CHUNK))


def fresh(pipeline: Pipeline) -> Pipeline:
    """Return the pipeline that its state gives."""
    again = Pipeline.loads(pipeline.dumps())
    again.explained = False
    return again


def peak_mb() -> float:
    """Return the process's highest resident size so far."""
    per_mb = 1 << (20 if sys.platform == "darwin" else 10)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / per_mb


def main() -> None:
    """Print the figures."""
    small = Pipeline(SCHEMA, explained=False)  # compiles every kernel, so that only the tables grow after it
    small.process(batch(np.arange(CHUNK)))
    fresh(small).process(batch(np.arange(CHUNK)))
    before = peak_mb()

    pipeline, source = Pipeline(SCHEMA, explained=False), newcomers()
    while pipeline.seen < ENTITIES:
        pipeline.process(next(source))
    found: dict[str, object] = {"growth_mb": peak_mb() - before}
    features = pipeline._scorer.features
    tables = [features._profiles[0].table, features._rarities[0].table]
    found["used"] = [table.used for table in tables]
    found["evicted"] = pipeline.status()["evicted_entities"]
    found["slots"] = [table.slots for table in tables]

    found["state_mb"] = len(pipeline.dumps()) / (1 << 20)
    found["growth_with_state_mb"] = peak_mb() - before
    again = fresh(pipeline)
    known_and_new = batch(np.random.default_rng(5).integers(0, 2 * ENTITIES, CHUNK))
    found["same_scores"] = [
        pipeline.process(known_and_new).score.tobytes() == again.process(known_and_new).score.tobytes(),
        pipeline.dumps() == again.dumps(),
    ]

    while pipeline.status()["evicted_entities"] < 300_000:
        features.describe(next(source))
    found["slots_beyond"] = [table.slots for table in tables]
    found["used_beyond"] = [table.used for table in tables]
    found["came"] = features.ticks
    print(json.dumps(found))


if __name__ == "__main__":
    main()
