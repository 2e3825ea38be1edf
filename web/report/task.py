"""What `anomalyai evaluate` is asked for, and doing it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.errors import ModelError
from anomalyai.evaluation import Evaluation, default_warmup
from anomalyai.evaluation.alone import (
    evaluate_algorithm,
    evaluate_model,
    evaluate_pipeline,
    score_of,
)
from anomalyai.evaluation.reading import Reading, read
from anomalyai.evaluation.word import FileVerdicts, read_verdicts
from anomalyai.manifest import Manifest
from anomalyai.model_store import ModelStore
from anomalyai.schema import FeedSchema
from anomalyai.training import TrainingOptions, train
from stream.secret import instance_secret
from web.progress import Bar


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the command; the fields are its options."""

    file: Path
    feed_toml: Path | None = None
    warmup: int | None = None
    budget: str | None = None
    algorithms: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    previous: str | None = None
    data: Path = Path("anomalyai-data")
    verdicts: str | None = None
    seed: int = 0


def evaluate_task(task: Task) -> list[Evaluation]:
    """Do what is asked for: one evaluation of the whole pipeline, or one of each algorithm and model.

    Raises
    ------
    AnomalyAIError
        The file cannot be read, a model cannot be loaded or reads other columns, or nothing is left to
        measure on.
    """
    asked = [*task.models, *([task.previous] if task.previous else [])]
    store = _store(task.data) if asked else None
    manifests = {name: store.manifest(name) for name in asked} if store is not None else {}
    alone = bool(task.algorithms or task.models)
    reading = _reading(task, _schema(task, manifests), task.seed, trained=not alone)
    usual = len(reading) // 5 if alone else default_warmup(len(reading))
    warmup = usual if task.warmup is None else task.warmup
    warmup = max(warmup, *(_learnt_until(reading, manifest) for manifest in manifests.values()), 1)
    if warmup >= len(reading):
        raise _nothing_left(task, manifests, len(reading))
    scores = {name: score_of(reading, name, store.load(name)) for name in asked} if store is not None else {}
    previous = scores.get(task.previous or "")
    if not alone:
        again = None if np.isfinite(reading.label).any() else _again(task, reading)
        return [evaluate_pipeline(reading, warmup, previous=previous, again=again)]
    found = [evaluate_model(reading, name, scores[name], warmup, previous=previous) for name in task.models]
    for algorithm in task.algorithms:
        options = msgspec.convert({"algorithm": algorithm, "seed": task.seed}, TrainingOptions)
        found.append(evaluate_algorithm(reading, options, warmup, previous=previous))
    return found


def _store(data: Path) -> ModelStore:
    return ModelStore(data / "models", instance_secret(data) if data.is_dir() else None)


def _schema(task: Task, manifests: dict[str, Manifest]) -> FeedSchema | None:
    """Return the schema to read under: the declared one, else that of the first model."""
    if task.feed_toml is not None:
        return FeedSchema.from_file(task.feed_toml)
    known = next((manifest.schema for manifest in manifests.values() if manifest.schema), None)
    return None if known is None else msgspec.convert(known, FeedSchema)


def _reading(task: Task, schema: FeedSchema | None, seed: int, *, trained: bool) -> Reading:
    with Bar("scoring") as bar:
        return read(
            task.file,
            schema,
            budget=task.budget,
            seed=seed,
            trainer=train if trained else None,
            verdicts=_verdicts(task.verdicts),
            progress=bar.update,
        )


def _verdicts(given: str | None) -> FileVerdicts | str | None:
    return read_verdicts(Path(given)) if given is not None and Path(given).is_file() else given


def _again(task: Task, reading: Reading) -> dict[str, NDArray[np.float64]]:
    """Return the scores of the same pipeline with another seed, to say how stable they are."""
    other = _reading(task, reading.schema, task.seed ^ 1, trained=True)
    return {"another seed": other.score}


def _learnt_until(reading: Reading, manifest: Manifest) -> int:
    """Return how many records are from the time up to a model's training, or before."""
    if manifest.last_time_s is None:
        return 0
    before = np.flatnonzero(reading.time_s <= manifest.last_time_s)
    return int(before[-1]) + 1 if len(before) else 0


def _nothing_left(task: Task, manifests: dict[str, Manifest], records: int) -> ModelError:
    why = "are learnt from"
    if any(manifest.last_time_s is not None for manifest in manifests.values()):
        why = "are learnt from, or not later than the records a model was trained on"
    return ModelError(
        f"all {records:,} records of {task.file.name} {why}: there is nothing to measure on",
        code="nothing_to_measure",
        hint="Evaluate on later records, or lower --warmup; --algorithm trains on the first part of the file",
    )
