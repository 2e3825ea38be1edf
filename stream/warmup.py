"""Compiling before the first record, so that no feed waits for it.

The detectors' loops are compiled when they are first called, and scikit-learn takes seconds to import. The
engine's thread puts a made-up feed through a pipeline before it is ready; the training thread trains and uses
a made-up model beside it. Each is done once per process.
"""

from __future__ import annotations

import threading
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np

from anomalyai.arrival import ArrivalCadence, Origins
from anomalyai.control import Verdict
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.training import TrainingSet, train

PACKAGES = ("cluster", "ensemble", "kernel_approximation", "linear_model", "pipeline", "svm")
"""The packages of scikit-learn that a model may come from."""

RECORDS = 600
ROWS = 300


_importing = threading.Lock()


def import_scikit_learn() -> None:
    """Import what models are made of, once, in one thread.

    Reading a model imports its module first and the package around it after, training the other way round:
    two threads that do so at the same time would wait for each other.
    """
    with _importing:
        for package in PACKAGES:
            import_module(f"sklearn.{package}")


@cache
def warm_up_scoring() -> int:
    """Run every loop of a pipeline without a model, copied meanwhile; returns how many it scored."""
    batch = RecordBatch.from_records([_record(i) for i in range(RECORDS)]).numbered(1)
    pipeline = Pipeline(batch.schema, feed="warm-up")
    judged = RECORDS - 10
    scored = pipeline.process(batch.slice(0, judged), Origins.one(1, judged, 0.0))
    for alert in scored.alerts[-1:]:
        pipeline.apply(Verdict(alert.seq, "false_alarm", _record(alert.seq - 1)))
    arrivals, entries = ArrivalCadence(), np.arange(1, 100)
    arrivals.observe(Origins(entries, entries, 10.0 * entries.astype(np.float64)))
    arrivals.tick(5_000.0, spreads=4.0)
    frozen = pipeline.freeze()
    scored_last = pipeline.process(batch.slice(judged, RECORDS), Origins.one(2, RECORDS, 30.0))
    frozen.advance(1)
    return scored.n + scored_last.n


@cache
def warm_up_model() -> int:
    """Train a model and score with it; returns how many rows were scored."""
    import_scikit_learn()
    rows = np.random.default_rng(0).normal(size=(ROWS, 3))
    model = train(TrainingSet(features=rows, columns=("a", "b", "c"), last_seq=ROWS))
    return len(model.score_batch(rows))


def _record(i: int) -> dict[str, Any]:
    """Return a record with every kind of field, some of them missing, the last ones far off."""
    return {
        "time": f"2026-01-01T{i // 60:02d}:{i % 60:02d}:00Z",
        "customer": f"customer {i * 7 % 40}",
        "terminal": f"terminal {i * 11 % 30}",
        "country": ("DE", "FR", "US")[i % 3],
        "lat": 50.0 + i % 5,
        "lon": 8.0 + i % 7,
        "home_lat": 50.5,
        "home_lon": 8.5 + i % 3,
        "amount": 1e6 if i > RECORDS - 20 else 50.0 + i % 11,
        "count": None if i % 13 == 0 else i % 4,
    }
