"""All there is to say of one scored stream, as plain values that are ready for JSON.

Records are in event order and whatever scored them had seen nothing later than they are. A figure that labels
would be needed for is None without them, and the notes say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.evaluation.accuracy import Accuracy, LabelClock, accuracy
from anomalyai.evaluation.agreement import Agreement, agreement
from anomalyai.evaluation.histogram import Histogram, histogram
from anomalyai.evaluation.interval import Estimate, wilson
from anomalyai.evaluation.note import notes
from anomalyai.evaluation.rival import PREVIOUS, RANDOM, baselines
from anomalyai.evaluation.split import Entities, PartFigures, by_entity, by_time

Floats = NDArray[np.float64]


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What figures were measured on: `how` in words, and the rows before them that were learnt from."""

    scorer: str = "model"
    how: str = ""
    source: str | None = None
    learnt_rows: int = 0
    rejected: int = 0
    seed: int = 0


class Measured(Basis, frozen=True, kw_only=True):
    """The same with what was found in the records: how many were scored, and when they happened."""

    records: int
    first_time_s: float | None
    last_time_s: float | None


class Alerting(msgspec.Struct, frozen=True):
    """What the alert budget came to. Rates are shares of records; `threshold` is on the score's scale."""

    promised_rate: float
    realised_rate: Estimate | None
    flagged: int
    threshold: float | None


class Scorers(msgspec.Struct, frozen=True):
    """Scores of other scorers on the same records, float64 [n] by name.

    `rivals` are shown beside the evaluated one (`rival.baselines`, a previous version); `again` are trainings
    of the same kind (another seed, half of the data), by which its stability is judged.
    """

    rivals: Mapping[str, Floats] = {}
    again: Mapping[str, Floats] = {}


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation. `ground_truth` and `verdicts` are None without such labels, and are never mixed.

    `histogram`, `by_time` and `by_entity` go by the ground truth; `entity` is the field of the latter.
    `stability` compares with the same kind of model trained otherwise, `agreement` with the rivals.
    """

    basis: Measured
    alerting: Alerting
    ground_truth: Accuracy | None
    verdicts: Accuracy | None
    histogram: Histogram
    by_time: tuple[PartFigures, ...]
    entity: str | None
    by_entity: tuple[PartFigures, ...]
    stability: tuple[Agreement, ...]
    agreement: tuple[Agreement, ...]
    notes: tuple[str, ...]


def evaluate(
    score: Floats,
    flagged: NDArray[np.bool_],
    label: Floats,
    time_s: Floats,
    entities: Entities | None = None,
    *,
    budget_rate: float,
    threshold: float | None = None,
    scorers: Scorers = Scorers(),  # noqa: B008 - frozen
    verdicts: LabelClock | None = None,
    known_s: Floats | None = None,
    basis: Basis = Basis(),  # noqa: B008 - frozen
) -> Evaluation:
    """Evaluate records that were scored in event order.

    Parameters
    ----------
    score, flagged, label, time_s
        One value a record, [n]: `score` float64, higher is rarer, NaN where a record was rejected (it is left
        out); `flagged` bool; `label` float64, the ground truth: 1, 0 or NaN; `time_s` float64, event time in
        epoch seconds, NaN where unknown.
    entities
        Whose habits matter; delays and parts are then by entity.
    budget_rate, threshold
        The promised share of flags, above 0, and the score from which records were flagged, where it is one.
    scorers
        What to show beside it. A random scorer always is.
    verdicts, known_s
        People's judgements, kept apart; and when each label of the ground truth became known.
    basis
        What was scored, and how.
    """
    kept = np.flatnonzero(np.isfinite(score))
    truth_clock = LabelClock(label, known_s).part(kept)
    score, flagged, label, time_s = score[kept], flagged[kept], label[kept], time_s[kept]
    entities = None if entities is None else entities.part(kept)
    rivals = {**_chance(len(kept), basis.seed), **{name: s[kept] for name, s in scorers.rivals.items()}}

    scores = {basis.scorer: score, **rivals}
    judged = partial(accuracy, scores, flagged, time_s, entities, rate=budget_rate, seed=basis.seed)
    truth = judged(truth_clock)
    verdict = None if verdicts is None else judged(verdicts.part(kept))
    again = _agreements(score, {name: s[kept] for name, s in scorers.again.items()}, budget_rate)
    return Evaluation(
        basis=_measured(basis, time_s),
        alerting=_alerting(flagged, budget_rate, threshold),
        ground_truth=truth,
        verdicts=verdict,
        histogram=histogram(score, label),
        by_time=by_time(score, flagged, label, time_s),
        entity=None if entities is None else entities.field,
        by_entity=() if entities is None else by_entity(score, flagged, label, time_s, entities),
        stability=again,
        agreement=_agreements(score, rivals, budget_rate),
        notes=notes(
            truth, verdict, flagged=bool(flagged.any()), compared=PREVIOUS in rivals, repeated=bool(again)
        ),
    )


def _chance(records: int, seed: int) -> dict[str, Floats]:
    nothing = np.empty((records, 0))
    return {RANDOM: baselines(nothing, nothing, seed=seed)[RANDOM]}


def _alerting(flagged: NDArray[np.bool_], rate: float, threshold: float | None) -> Alerting:
    flags = int(np.count_nonzero(flagged))
    return Alerting(rate, wilson(float(flags), float(len(flagged))), flags, threshold)


def _agreements(score: Floats, others: Mapping[str, Floats], rate: float) -> tuple[Agreement, ...]:
    if not len(score):
        return ()
    return tuple(agreement(name, score, values, rate) for name, values in others.items())


def _measured(basis: Basis, time_s: Floats) -> Measured:
    times = time_s[np.isfinite(time_s)]
    return Measured(
        **msgspec.structs.asdict(basis),
        records=len(time_s),
        first_time_s=float(times.min()) if len(times) else None,
        last_time_s=float(times.max()) if len(times) else None,
    )
