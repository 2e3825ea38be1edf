"""Models trained on the records of `tests.stream.feeding`, each with its start state."""

from __future__ import annotations

from functools import cache

from anomalyai.intake import Intake
from anomalyai.manifest import Manifest
from anomalyai.model_store import ModelStore
from anomalyai.training import Algorithm, TrainingOptions
from anomalyai.training.course import Course, train_records
from tests.stream.feeding import frame

COUNT = 1_200


@cache
def course(algorithm: Algorithm = "isolation_forest", seed: int = 0) -> Course:
    """Return a training on the first records."""
    items = Intake().admit(frame(0, COUNT), "application/json").items
    return train_records(items, TrainingOptions(algorithm=algorithm, seed=seed), feed="f")


def keep(
    store: ModelStore, algorithm: Algorithm = "isolation_forest", feed: str = "f", seed: int = 0
) -> Manifest:
    """Put a model of the training into a store."""
    made = course(algorithm, seed)
    return store.save(feed, made.model, facts=made.facts, start=made.start, created_s=1.0, created_by="hand")
