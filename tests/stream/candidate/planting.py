"""A feed of two numbers that go together, a kind of record in which they do not, and a model blind to it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from anomalyai.training import TrainedModel, train
from stream.testing import ManualClock
from tests.stream.feeding import drain, running, wait_until

FEED = "joint"
SETTLED, SHADOWED = 2_600, 1_400
PLANTED = tuple(range(SETTLED + 100, SETTLED + SHADOWED, 90))
NOTE = "<img src=x onerror=alert(1)>"

DECLARATION = """
[feed]
time = "time"
numbers = ["height", "weight"]
ignore = ["note"]
budget = "1/250"
"""


class Prepared(NamedTuple):
    """The ids of the model that scores the feed, and of the one that is blind."""

    champion: str
    blind: str


def joint(n: int, planted: Collection[int] = (), seed: int = 0) -> list[dict[str, Any]]:
    """Return n records whose height and weight go together, but for those at the planted places."""
    rng = np.random.default_rng(seed)
    records = []
    for i in range(n):
        height = rng.normal()
        weight = height + rng.normal() * 0.15
        note = None
        if i in planted:
            height, weight, note = 2.3 + rng.normal() * 0.05, -2.3 + rng.normal() * 0.05, NOTE
        records.append(
            {
                "time": 1_700_000_000.0 + 10.0 * i,
                "height": round(float(height), 4),
                "weight": round(float(weight), 4),
                "note": note,
            }
        )
    return records


def model(planted: Collection[int]) -> TrainedModel:
    """Return a model trained on a feed of its own, in which the planted kind may be usual."""
    schema = RecordBatch.from_records(joint(600), FeedSchema.from_toml(DECLARATION)).schema
    pipeline = Pipeline(schema)
    batch = RecordBatch.from_records(joint(SETTLED, planted, seed=7), schema).numbered(1)
    found = [pipeline.process(batch.slice(at, at + 500)).training_set for at in range(0, SETTLED, 500)]
    return train(next(one for one in found if one is not None), "dbscan")


def prepare(data: Path) -> Prepared:
    """Fill a data directory with a feed that a sound model scores; a blind one is in the store."""
    with running(data, ManualClock()) as runtime:
        runtime.declare(FEED, FeedSchema.from_toml(DECLARATION))
        runtime.post(FEED, body(0, SETTLED), "application/json")
        drain(runtime)
        wait_until(lambda: runtime.feed(FEED)["model"] is not None, "the first model")
        champion = runtime.models.save(FEED, model(())).id
        blind = runtime.models.save(FEED, model(range(0, SETTLED, 3))).id
        runtime.install_model(FEED, champion)
        wait_until(lambda: runtime.feed(FEED)["model"]["id"] == champion, "the champion")
    return Prepared(champion, blind)


def body(first: int, n: int) -> bytes:
    """Return records of the feed, the planted ones among them."""
    return msgspec.json.encode(joint(SETTLED + SHADOWED, PLANTED)[first : first + n])
