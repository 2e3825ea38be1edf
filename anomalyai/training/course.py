"""A training from records: through a fresh pipeline, then a fit on the feature rows that it made of them.

The records take the one code path, so that the model reads the same columns as live scoring, and the state
they leave, the start, lets the model score a feed that has no records yet. Flagged records and those judged
to be anomalies are not trained on; labels are for the figures only. Pure: it depends on items and options.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.control import BudgetChange, ControlEntry, Labels, SchemaChange, Verdict
from anomalyai.errors import ModelError, ParameterError, shorten
from anomalyai.manifest import TrainingFacts
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch, Rejection
from anomalyai.schema import FeedSchema, Field, JsonType, Kind
from anomalyai.training.fit import MIN_ROWS
from anomalyai.training.holdout import chosen, fit_on, hold_out, usable
from anomalyai.training.options import TrainingOptions
from anomalyai.training.ordered_file import OrderedFile, OutOfOrder
from anomalyai.training.parameter import checked
from anomalyai.training.sample import RowSample
from anomalyai.training.trained_model import TrainedModel

__all__ = ["Course", "Progress", "train_file", "train_records"]

Progress = Callable[[str, float], None]
"""Told the stage ("reading", "describing", "measuring", "fitting") and the share of the whole, 0..1."""

DESCRIBED, MEASURED = 0.6, 0.85
"""Shares of the whole at which these stages end."""

_SIGNS: Final = {"real": 1, "false_alarm": -1, "new_normal": -1, "unsure": 0}


class Course(msgspec.Struct, frozen=True):
    """What a training made.

    `start` is the pipeline's state as the data left it, without a batch model. `rejected` counts rows of a
    file that were refused, `rejections` are the first of them.
    """

    model: TrainedModel
    facts: TrainingFacts
    start: bytes
    rejected: int = 0
    rejections: tuple[Rejection, ...] = ()


def train_records(
    items: Iterable[RecordBatch | ControlEntry],
    options: TrainingOptions,
    *,
    feed: str,
    schema: FeedSchema | None = None,
    total: int | None = None,
    progress: Progress | None = None,
) -> Course:
    """Train a model on records.

    Parameters
    ----------
    items
        Record batches and control entries in event or log order. Changes of schema and budget, verdicts and
        labels are applied; swaps of models and ticks say nothing to a training.
    options
        What is trained, and how.
    feed
        The feed's name.
    schema
        What is known of the feed's fields before the first item.
    total
        How many records will come, for `progress` and memory; None where that is not known.
    progress
        Told of every batch and stage.

    Raises
    ------
    ModelError
        Too few clean records, no field that is scored, or rows that the algorithm can make nothing of.
    ParameterError
        There is no such algorithm, parameter or field, or it may not have this value.
    """
    parameters = checked(options.algorithm, options.parameters)
    tell = progress or _quiet
    sample = RowSample(options.seed, total=total, label=options.label)
    pipeline = Pipeline(schema, feed=feed, seed=options.seed, explained=False, witness=sample)
    records = 0
    for item in items:
        if isinstance(item, RecordBatch):
            numbered = item if item.first_seq else item.numbered(records + 1)
            pipeline.process(numbered)
            records += item.n
            tell("describing", DESCRIBED * min(records / total, 1.0) if total else 0.0)
        else:
            _apply(pipeline, sample, item)
    return _fitted(pipeline, sample, options, parameters, tell)


def _fitted(
    pipeline: Pipeline,
    sample: RowSample,
    options: TrainingOptions,
    parameters: dict[str, Any],
    tell: Progress,
) -> Course:
    """Measure and fit, once all records are gathered."""
    clean = np.flatnonzero(sample.clean)
    _require(sample, clean)
    _require_label(options, pipeline.schema)
    options = _without_label(options, pipeline.schema, sample)
    clean = usable(sample, clean, options)

    def measuring(share: float) -> None:
        tell("measuring", DESCRIBED + (MEASURED - DESCRIBED) * share)

    measuring(0.0)
    metrics = hold_out(sample, options, pipeline.promised_rate, measuring)
    tell("fitting", MEASURED)
    used = chosen(clean, options)
    model = fit_on(sample, used, options)
    known = np.isfinite([sample.first_time_s, sample.last_time_s])
    facts = TrainingFacts(
        schema=msgspec.to_builtins(pipeline.schema),
        parameters=parameters,
        preprocessing=msgspec.to_builtins(options.preprocessing),
        seed=options.seed,
        fingerprint=_fingerprint(model.columns, sample.rows, used),
        rows=sample.seen,
        rows_used=len(used),
        sampled=len(used) < len(clean) or not sample.is_whole,
        first_time_s=sample.first_time_s if known[0] else None,
        last_time_s=sample.last_time_s if known[1] else None,
        metrics=metrics,
    )
    tell("fitting", 1.0)
    return Course(model, facts, pipeline.dumps())


def train_file(
    path: Path,
    options: TrainingOptions,
    *,
    feed: str,
    schema: FeedSchema | None = None,
    progress: Progress | None = None,
    media: str | None = None,
) -> Course:
    """Train a model on a file: CSV, NDJSON or a JSON array, plain or gzipped, in event order.

    Memory is bounded where event times never fall; else the records are sorted, which takes all of them.
    `media` is the content type; None lets the name or the first bytes tell. The label that `options` name is
    declared as such.

    Raises
    ------
    AnomalyAIError
        The file cannot be read as records at all, or as `train_records` does; where too few of its rows can
        be used, the error names row and field of the first that was refused.
    """
    given = _labelled(schema, options.label)
    reader = OrderedFile(path, given, media, progress or _quiet)
    try:
        try:
            course = train_records(reader, options, feed=feed, schema=given, progress=reader.tell)
        except OutOfOrder:
            reader.sort()
            course = train_records(reader, options, feed=feed, schema=given, progress=reader.tell)
    except ModelError as error:
        raise reader.explained(error) from error
    reader.require_fields(msgspec.convert(course.facts.schema, FeedSchema))
    return msgspec.structs.replace(course, rejected=reader.rejected, rejections=tuple(reader.rejections))


def _labelled(schema: FeedSchema | None, label: str | None) -> FeedSchema | None:
    """Return a schema under which the field that is named is the label, where it is not known as a number."""
    known = schema or FeedSchema()
    if label is None or label == known.label or (label in known.by_name and known.settled):
        return schema
    others = tuple(field for field in known.fields if field.name != label and field.kind is not Kind.LABEL)
    return known.replace(fields=(*others, Field(label, Kind.LABEL, JsonType.UNKNOWN, True)))


def _apply(pipeline: Pipeline, sample: RowSample, entry: ControlEntry) -> None:
    if not isinstance(entry, SchemaChange | BudgetChange | Verdict | Labels):
        return
    pipeline.apply(entry)
    if isinstance(entry, Verdict):
        sample.judge([entry.seq], [_SIGNS[entry.verdict]])
    elif isinstance(entry, Labels):
        sample.judge(entry.seqs, [1 if label else -1 for label in entry.labels], is_truth=True)


def _require_label(options: TrainingOptions, schema: FeedSchema) -> None:
    if options.label is None:
        return
    field = schema.by_name.get(options.label)
    if field is None or field.type is JsonType.UNKNOWN:
        found = "which no record has"
    elif field.kind not in (Kind.LABEL, Kind.NUMBER):
        found = f"which is a {field.kind}"
    else:
        return
    raise ParameterError(
        f"expected label as a field of 0 and 1, got {shorten(options.label)}, {found}",
        field="label",
        hint="Declare it as the feed's label, or name another field",
    )


def _without_label(options: TrainingOptions, schema: FeedSchema, sample: RowSample) -> TrainingOptions:
    """Return options that leave a number field out that is named as the label: it is no feature."""
    if options.label is None or schema.by_name[options.label].kind is Kind.LABEL:
        return options
    wanted = options.preprocessing.features
    names = wanted if wanted is not None else tuple(dict.fromkeys(c.field for c in sample.columns))
    left = tuple(name for name in names if name != options.label)
    return msgspec.structs.replace(
        options, preprocessing=msgspec.structs.replace(options.preprocessing, features=left)
    )


def _require(sample: RowSample, clean: NDArray[np.int64]) -> None:
    if not sample.columns and sample.seen:
        raise ModelError(
            "none of the fields can be scored: a model needs a number, a category or an entity",
            code="no_columns",
            hint="Declare the fields' kinds",
        )
    if len(clean) < MIN_ROWS:
        raise ModelError(
            f"expected at least {MIN_ROWS} clean records to train on, got {len(clean)} of {sample.seen}",
            code="too_few_rows",
            hint="Train on more records",
        )


def _fingerprint(columns: Sequence[str], rows: NDArray[np.float32], used: NDArray[np.int64]) -> str:
    """Return the SHA-256 of the names of columns and of the rows trained on."""
    digest = hashlib.sha256("\n".join(columns).encode())
    for start in range(0, len(used), 10_000):
        digest.update(np.ascontiguousarray(rows[used[start : start + 10_000], : len(columns)]).tobytes())
    return digest.hexdigest()


def _quiet(stage: str, fraction: float) -> None:
    """Tell nobody."""
