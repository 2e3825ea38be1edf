"""Back-test: a file through the same pipeline as live traffic, in event order, scored before learnt.

Labels are read for the figures only. The batch model is trained in place at the record that makes it due.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.budget import DEFAULT_BUDGET
from anomalyai.control import SchemaChange
from anomalyai.evaluation import Figures, default_warmup, measure
from anomalyai.files import read_batches
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch, Rejection
from anomalyai.reorder import event_ordered
from anomalyai.schema import FeedSchema
from anomalyai.training import train

CHUNK = 10_000

Progress = Callable[[int, int], None]
"""Called with (records done, records in all) now and then."""


class RowScores(msgspec.Struct, frozen=True):
    """Scores by the file's data rows: `score` float64 [rows], NaN where rejected; `flagged` bool [rows]."""

    score: Any
    flagged: Any
    order: Any
    label: Any
    promised_rate: float
    rejections: list[Rejection]


def score_file(
    path: Path,
    schema: FeedSchema | None = None,
    *,
    budget: str | None = None,
    seed: int = 0,
    without: Sequence[str] = (),
    progress: Progress | None = None,
) -> RowScores:
    """Score every row of a file prequentially, in event order.

    Event order is a stable sort by the time field, file order where there is none. `order` holds the data
    rows (0-based) in event order, rejected ones left out; `rejections` the first 1,000 that were rejected.
    `budget` None is the one that the schema declares, else "1/1000". `without` names members of the ensemble
    that are to have no say.

    Raises
    ------
    AnomalyAIError
        The file cannot be read as records at all.
    """
    if schema is not None and budget is not None:
        schema = schema.replace(budget=budget)
    reader = read_batches(path, schema)
    items = list(reader)
    batches = [item for item in items if isinstance(item, RecordBatch)]
    count = reader.records
    score = np.full(count, np.nan)
    flagged = np.zeros(count, dtype=np.bool_)
    label = np.full(count, np.nan)
    pipeline = Pipeline(
        schema,
        budget=budget or DEFAULT_BUDGET,
        trainer=train,
        seed=seed,
        explained=False,
        without=without,
    )
    total = sum(batch.n for batch in batches)
    order: list[NDArray[np.int64]] = []
    done = 0
    for item in event_ordered(items, CHUNK):
        if isinstance(item, SchemaChange):
            pipeline.apply(item)
            continue
        scored = pipeline.process(item)
        place = item.rows - 1
        score[place], flagged[place], label[place] = scored.score, scored.flagged, item.label
        order.append(place)
        done += item.n
        if progress is not None:
            progress(done, total)
    places = np.concatenate(order) if order else np.empty(0, dtype=np.int64)
    return RowScores(score, flagged, places, label, pipeline.promised_rate, reader.rejections)


def figures(scores: RowScores, *, warmup: int | None = None, elapsed_s: float | None = None) -> Figures:
    """Measure what `score_file` returned, after the first `warmup` records in event order."""
    order = scores.order
    return measure(
        scores.score[order],
        scores.flagged[order],
        scores.label[order],
        warmup=default_warmup(len(order)) if warmup is None else warmup,
        promised_rate=scores.promised_rate,
        elapsed_s=elapsed_s,
    )
