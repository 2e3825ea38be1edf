"""A file's records in event order: described by a fresh pipeline, and scored by it before learnt."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.backtest import CHUNK
from anomalyai.budget import DEFAULT_BUDGET
from anomalyai.control import SchemaChange
from anomalyai.evaluation.accuracy import LabelClock
from anomalyai.evaluation.split import MAX_ENTITIES, Entities
from anomalyai.evaluation.word import FileVerdicts, spoken
from anomalyai.files import read_batches
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch, Rejection
from anomalyai.reorder import event_ordered
from anomalyai.schema import FeedSchema, Field, JsonType, Kind
from anomalyai.training import Trainer
from anomalyai.training.sample import RowSample, first_entity

NAMED_ENTITIES = 4 * MAX_ENTITIES
"""Entities of a file, the largest ones, whose texts are looked up."""

Progress = Callable[[int, int], None]
Floats = NDArray[np.float64]


class Reading(msgspec.Struct, frozen=True):
    """n records of a file in event order.

    `time_s`, `label`, `score` are float64 [n] and `flagged` bool [n], the last two of the whole pipeline.
    `features` float32 [m, len(columns)] describe the records at `described` int64 [m]: all of them, unless
    they are too many to be kept. `columns` are the feature columns, as training takes them.
    """

    source: str
    schema: FeedSchema
    columns: tuple[Any, ...]
    features: NDArray[np.float32]
    described: NDArray[np.int64]
    time_s: Floats
    label: Floats
    score: Floats
    flagged: NDArray[np.bool_]
    threshold: float
    promised_rate: float
    entities: Entities | None
    verdicts: LabelClock | None
    rejected: int
    rejections: list[Rejection]
    seed: int

    def __len__(self) -> int:
        return len(self.time_s)


def read(
    path: Path,
    schema: FeedSchema | None = None,
    *,
    budget: str | None = None,
    seed: int = 0,
    trainer: Trainer | None = None,
    verdicts: FileVerdicts | str | None = None,
    progress: Progress | None = None,
) -> Reading:
    """Put a file through a fresh pipeline, in event order.

    Parameters
    ----------
    path, schema, budget, seed
        As in `anomalyai.backtest.score_file`.
    trainer
        Trains the pipeline's batch model in place when it is due; None leaves it without one.
    verdicts
        What people said of the file's rows, or the name of the field that says it: such a field is no
        feature.
    progress
        Told (records done, records in all) now and then.
    """
    if isinstance(verdicts, str):
        schema = _ignoring(schema, verdicts)
    if schema is not None and budget is not None:
        schema = schema.replace(budget=budget)
    reader = read_batches(path, schema)
    items = list(reader)
    batches = [item for item in items if isinstance(item, RecordBatch)]
    sample = RowSample(seed, total=max(sum(batch.n for batch in batches), 1))
    budget = budget or DEFAULT_BUDGET
    pipeline = Pipeline(schema, budget=budget, trainer=trainer, seed=seed, explained=False, witness=sample)
    found = _processed(pipeline, items, progress)
    said = spoken(batches, verdicts) if isinstance(verdicts, str) else verdicts
    return Reading(
        source=path.name,
        schema=pipeline.schema,
        columns=sample.columns,
        features=sample.rows,
        described=sample.seqs - 1,
        time_s=found.time_s,
        label=found.label,
        score=found.score,
        flagged=found.flagged,
        threshold=-math.log10(pipeline.promised_rate),
        promised_rate=pipeline.promised_rate,
        entities=_entities(batches, found.key, pipeline.schema),
        verdicts=None if said is None else said.of(found.row),
        rejected=reader.rejected,
        rejections=reader.rejections,
        seed=seed,
    )


class _Processed(NamedTuple):
    """What became of n records, in event order: one array each."""

    row: NDArray[np.int64]
    time_s: Floats
    label: Floats
    key: NDArray[np.uint64]
    score: Floats
    flagged: NDArray[np.bool_]


def _processed(
    pipeline: Pipeline, items: Sequence[RecordBatch | SchemaChange], progress: Progress | None
) -> _Processed:
    """Let a pipeline take all records of a file, numbered from 1 in event order."""
    total = sum(item.n for item in items if isinstance(item, RecordBatch))
    parts = [
        _Processed(
            np.empty(0, dtype=np.int64),
            np.empty(0),
            np.empty(0),
            np.empty(0, dtype=np.uint64),
            np.empty(0),
            np.empty(0, dtype=np.bool_),
        )
    ]
    done = 0
    for item in event_ordered(items, CHUNK):
        if isinstance(item, SchemaChange):
            pipeline.apply(item)
            continue
        scored = pipeline.process(item.numbered(done + 1))
        key = first_entity(item)
        parts.append(_Processed(item.rows, item.time_s, item.label, key, scored.score, scored.flagged))
        done += item.n
        if progress is not None:
            progress(done, total)
    return _Processed(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _entities(batches: Sequence[RecordBatch], key: NDArray[np.uint64], schema: FeedSchema) -> Entities | None:
    """Return the records' first entity, with the texts of the largest ones; None where there is none."""
    if not schema.entities:
        return None
    field = schema.entities[0]
    return Entities(field, key, _names(batches, key, field))


def _ignoring(schema: FeedSchema | None, name: str) -> FeedSchema:
    """Return a schema under which a field is no feature, nor the ground truth."""
    known = schema or FeedSchema()
    others = tuple(field for field in known.fields if field.name != name)
    return known.replace(fields=(*others, Field(name, Kind.IGNORE, JsonType.UNKNOWN, True)))


def _names(batches: Sequence[RecordBatch], keys: NDArray[Any], field: str) -> dict[int, str]:
    """Return the texts of the entities with the most records."""
    found, counts = np.unique(keys[keys != 0], return_counts=True)
    wanted = set(found[np.argsort(-counts, kind="stable")][:NAMED_ENTITIES].tolist())
    names: dict[int, str] = {}
    for batch in batches:
        if not wanted:
            break
        if not batch.schema.entities or batch.schema.entities[0] != field:
            continue
        here, first = np.unique(first_entity(batch), return_index=True)
        for key, place in zip(here.tolist(), first.tolist(), strict=True):
            if key in wanted:
                names[key] = batch.text(place, field) or ""
                wanted.discard(key)
    return names
