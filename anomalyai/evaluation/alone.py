"""Evaluation of files: the whole pipeline as it goes along, or a batch model by itself, frozen.

Time runs one way: whatever is learnt from comes first, whatever is measured on comes later.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.errors import ModelError
from anomalyai.evaluation.accuracy import LabelClock
from anomalyai.evaluation.evaluation import Basis, Evaluation, Scorers, evaluate
from anomalyai.evaluation.reading import Reading
from anomalyai.evaluation.rival import PREVIOUS, baselines, number_columns
from anomalyai.evaluation.split import Entities
from anomalyai.training import MIN_ROWS, TrainedModel, TrainingOptions
from anomalyai.training.fit import train_prepared
from anomalyai.training.holdout import chosen

SCORED_AT_ONCE = 50_000

Floats = NDArray[np.float64]
Score = Callable[[Floats], Floats]
"""From feature rows, float64 [n, columns of the file], to scores [n]."""


def evaluate_pipeline(
    reading: Reading,
    warmup: int,
    *,
    previous: Score | None = None,
    again: Mapping[str, Floats] | None = None,
) -> Evaluation:
    """Evaluate the whole pipeline: every record was scored before it was learnt, after `warmup` of them.

    `previous` is a model to show beside it, `again` are scores [n] of pipelines that differ in their seed
    alone.
    """
    _, later = _parts(reading, warmup)
    rest = reading.described[later]
    basis = Basis(
        scorer="whole pipeline",
        how=f"every record scored before it was learnt, in event order, after the first {warmup:,}",
        source=reading.source,
        learnt_rows=warmup,
        rejected=reading.rejected,
        seed=reading.seed,
    )
    scorers = Scorers(
        _rivals(reading, warmup, previous), {name: score[rest] for name, score in (again or {}).items()}
    )
    return _evaluated(
        reading, rest, reading.score[rest], reading.flagged[rest], reading.threshold, scorers, basis
    )


def evaluate_algorithm(
    reading: Reading, options: TrainingOptions, warmup: int, *, previous: Score | None = None
) -> Evaluation:
    """Evaluate an algorithm alone: trained on the first `warmup` records, scoring the rest frozen.

    Records that the pipeline flagged are not trained on. Stability is that of another seed, and of models of
    either half of those records.

    Raises
    ------
    ModelError
        Too few records to train on.
    """
    first, _ = _parts(reading, warmup)
    clean = first[~reading.flagged[reading.described[first]]]
    trainings = {"another seed": (clean, msgspec.structs.replace(options, seed=options.seed ^ 1))}
    if len(clean) >= 2 * MIN_ROWS:
        half = len(clean) // 2
        trainings |= {"first half": (clean[:half], options), "second half": (clean[half:], options)}
    basis = Basis(
        scorer=options.algorithm,
        how=f"trained on the {len(clean):,} clean ones of the first {warmup:,} records, frozen, and scoring "
        "the later ones",
        source=reading.source,
        learnt_rows=len(clean),
        rejected=reading.rejected,
        seed=options.seed,
    )
    score = _trained(reading, clean, options)
    again = {name: _trained(reading, rows, asked) for name, (rows, asked) in trainings.items()}
    return _frozen(reading, score, again, warmup, basis, previous)


def evaluate_model(
    reading: Reading, model_id: str, score: Score, warmup: int, *, previous: Score | None = None
) -> Evaluation:
    """Evaluate a stored model (`score_of`) on what follows the first `warmup`, which set its threshold."""
    basis = Basis(
        scorer=model_id,
        how=f"a stored model, frozen, on the records after the first {warmup:,}, which set its threshold",
        source=reading.source,
        learnt_rows=warmup,
        rejected=reading.rejected,
        seed=reading.seed,
    )
    return _frozen(reading, score, {}, warmup, basis, previous)


def score_of(reading: Reading, model_id: str, model: TrainedModel) -> Score:
    """Return what a stored model makes of a file's feature rows.

    Raises
    ------
    ModelError
        The model reads other columns than the file has.
    """
    names = [column.name for column in reading.columns]
    missing = [name for name in model.columns if name not in names]
    if missing:
        raise ModelError(
            f"model {model_id!r} reads {len(model.columns)} columns, of which the file lacks "
            f"{', '.join(missing[:5])}",
            code="model_columns",
            hint="evaluate it on records of the feed that it was trained for",
        )
    return _picking([names.index(name) for name in model.columns], model)


def _trained(reading: Reading, places: NDArray[np.int64], options: TrainingOptions) -> Score:
    used = chosen(places, options)
    model = train_prepared(reading.columns, reading.features[used].astype(np.float64), options)
    return _picking(list(range(len(model.columns))), model)


def _picking(places: Sequence[int], model: TrainedModel) -> Score:
    return lambda rows: model.score_batch(np.ascontiguousarray(rows[:, places]))


def _frozen(
    reading: Reading,
    score: Score,
    again: Mapping[str, Score],
    warmup: int,
    basis: Basis,
    previous: Score | None,
) -> Evaluation:
    first, later = _parts(reading, warmup)
    usual, scores = _scores(reading, first, score), _scores(reading, later, score)
    threshold = float(np.quantile(usual, 1.0 - reading.promised_rate, method="higher"))
    scorers = Scorers(
        _rivals(reading, warmup, previous),
        {name: _scores(reading, later, other) for name, other in again.items()},
    )
    rest = reading.described[later]
    return _evaluated(reading, rest, scores, scores > threshold, threshold, scorers, basis)


def _parts(reading: Reading, warmup: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the places of the feature rows of the first `warmup` records, and of the later ones."""
    split = int(np.searchsorted(reading.described, warmup))
    if not split:
        raise ModelError(
            "expected records to learn from before those that are measured on, got none",
            code="too_few_rows",
            hint="Raise the warm-up",
        )
    return np.arange(split), np.arange(split, len(reading.described))


def _scores(reading: Reading, places: NDArray[np.int64], score: Score) -> Floats:
    parts = [
        score(reading.features[places[start : start + SCORED_AT_ONCE]].astype(np.float64))
        for start in range(0, len(places), SCORED_AT_ONCE)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def _rivals(reading: Reading, warmup: int, previous: Score | None) -> dict[str, Floats]:
    first, later = _parts(reading, warmup)
    own = number_columns([column.name for column in reading.columns])
    rows = reading.features[:, own].astype(np.float64)
    rivals = baselines(rows[first], rows[later], seed=reading.seed)
    if previous is not None:
        rivals[PREVIOUS] = _scores(reading, later, previous)
    return rivals


def _evaluated(
    reading: Reading,
    rest: NDArray[np.int64],
    score: Floats,
    flagged: NDArray[np.bool_],
    threshold: float,
    scorers: Scorers,
    basis: Basis,
) -> Evaluation:
    entities: Entities | None = reading.entities
    verdicts: LabelClock | None = reading.verdicts
    return evaluate(
        score,
        flagged,
        reading.label[rest],
        reading.time_s[rest],
        None if entities is None else entities.part(rest),
        budget_rate=reading.promised_rate,
        threshold=threshold,
        scorers=scorers,
        verdicts=None if verdicts is None else verdicts.part(rest),
        basis=basis,
    )
