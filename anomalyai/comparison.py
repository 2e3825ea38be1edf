"""Two models, or two budgets, on the same records: what the candidate would add, remove, and share.

Pure figures: the shadow beside a live champion (`anomalyai.shadow`), the replay of a feed's history
(`anomalyai.whatif`) and the gate of a retraining all end here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.alert import Reason
from anomalyai.evaluation import measure
from anomalyai.records import RecordBatch

__all__ = ["MAX_EXAMPLES", "Comparison", "Example", "Examples", "Scored", "Side", "compare", "shown_record"]

MAX_EXAMPLES = 50
"""Examples of each kind that are kept, the latest ones."""

MAX_RECORD_BYTES = 4_096
"""Larger records, as JSON, are left out of examples: these are part of a feed's state."""

QUANTILES = (0.01, 0.1, 0.5, 0.9, 0.99)


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A record that the two scored: `champion` and `candidate` are scores, `time` RFC 3339 or None.

    `reasons` are the ones of whoever flagged it, the champion's where both did. `record` is None where it is
    too large to be kept here; the log has it.
    """

    seq: int
    time: str | None
    champion: float
    candidate: float
    threshold: float
    summary: str = ""
    reasons: tuple[Reason, ...] = ()
    record: dict[str, Any] | None = None


class Examples(msgspec.Struct, frozen=True, kw_only=True):
    """Examples by kind: flagged by the candidate alone, by the champion alone, by both; the latest last."""

    added: list[Example] = []
    removed: list[Example] = []
    both: list[Example] = []


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two: its alerts, their share of the records, and how right they are where that is known."""

    model: str | None
    alerts: int
    rate: float | None = None
    average_precision: float | None = None
    precision: float | None = None
    recall: float | None = None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What a candidate would have flagged of `records` records since record `since_seq`.

    `agreement` is the share of records flagged by either that both flagged, `correlation` the rank
    correlation of the scores, `voice_correlation` how alike is what the two models alone say, `difference`
    quantiles of the candidate's score less the champion's; None where undefined. `labelled` of the records
    have a known truth, `anomalies` of them are anomalies. Correlation, difference and the figures that rest
    on labels are of the latest `recent` records.
    """

    records: int
    since_seq: int | None
    last_seq: int | None
    since: str | None
    promised_rate: float
    threshold: float
    champion: Side
    candidate: Side
    both: int
    added: int
    removed: int
    added_rate: float | None
    removed_rate: float | None
    agreement: float | None
    recent: int
    correlation: float | None
    voice_correlation: float | None
    difference: dict[str, float] | None
    labelled: int
    anomalies: int
    examples: Examples


class Scored(NamedTuple):
    """Records as both scored them: scores float64 [n], flags bool [n], `label` float64 [n], NaN unknown."""

    champion: NDArray[np.float64]
    candidate: NDArray[np.float64]
    champion_flagged: NDArray[np.bool_]
    candidate_flagged: NDArray[np.bool_]
    label: NDArray[np.float64]


class Counts(NamedTuple):
    """How many records were compared, and flagged by whom."""

    records: int
    both: int
    added: int
    removed: int

    @classmethod
    def of(cls, scored: Scored) -> Counts:
        """Count records that both scored."""
        champion, candidate = scored.champion_flagged, scored.candidate_flagged
        return cls(
            len(champion),
            int(np.count_nonzero(champion & candidate)),
            int(np.count_nonzero(candidate & ~champion)),
            int(np.count_nonzero(champion & ~candidate)),
        )


def compare(
    scored: Scored,
    examples: Examples,
    *,
    models: tuple[str | None, str | None],
    span: tuple[int | None, int | None, str | None],
    promised_rate: float,
    threshold: float,
    counts: Counts | None = None,
    voice_correlation: float | None = None,
) -> Comparison:
    """Compare a champion and a candidate, `models` in this order, on the same records.

    `span` is the first and last seq and the time of the first. `counts` are of all records where `scored` has
    only the latest of them.
    """
    total = Counts.of(scored) if counts is None else counts
    known = np.isfinite(scored.label)
    label = scored.label[known]
    sides = [
        _side(model, alerts, total.records, score[known], flagged[known], label)
        for model, alerts, score, flagged in (
            (models[0], total.both + total.removed, scored.champion, scored.champion_flagged),
            (models[1], total.both + total.added, scored.candidate, scored.candidate_flagged),
        )
    ]
    either = total.both + total.added + total.removed
    difference = scored.candidate - scored.champion
    return Comparison(
        records=total.records,
        since_seq=span[0],
        last_seq=span[1],
        since=span[2],
        promised_rate=promised_rate,
        threshold=threshold,
        champion=sides[0],
        candidate=sides[1],
        both=total.both,
        added=total.added,
        removed=total.removed,
        added_rate=_share(total.added, total.records),
        removed_rate=_share(total.removed, total.records),
        agreement=_share(total.both, either),
        recent=len(scored.champion),
        correlation=correlation(scored.champion, scored.candidate),
        voice_correlation=voice_correlation,
        difference={
            f"{share:g}": float(value)
            for share, value in zip(QUANTILES, np.quantile(difference, QUANTILES), strict=True)
        }
        if len(difference)
        else None,
        labelled=len(label),
        anomalies=int(np.count_nonzero(label == 1.0)),
        examples=examples,
    )


def correlation(first: NDArray[np.float64], second: NDArray[np.float64]) -> float | None:
    """Return the rank correlation of two float64 [n]; None where either says the same of all.

    Examples
    --------
    >>> round(correlation(np.array([1.0, 2.0, 3.0]), np.array([10.0, 30.0, 20.0])), 3)
    0.5
    """
    import pandas as pd

    if len(first) < 2 or np.ptp(first) == 0.0 or np.ptp(second) == 0.0:
        return None
    ranks = [pd.Series(values).rank().to_numpy() for values in (first, second)]
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def shown_record(batch: RecordBatch, i: int) -> dict[str, Any] | None:
    """Return record `i` of a batch as an example shows it; None where it is too large."""
    record = batch.record(i)
    return record if len(msgspec.json.encode(record)) <= MAX_RECORD_BYTES else None


def latest(examples: Sequence[Example], more: Sequence[Example], limit: int = MAX_EXAMPLES) -> list[Example]:
    """Return the latest examples of those at hand and more."""
    return [*examples, *more][-limit:]


def _side(
    model: str | None,
    alerts: int,
    records: int,
    score: NDArray[np.float64],
    flagged: NDArray[np.bool_],
    label: NDArray[np.float64],
) -> Side:
    """Return one side's figures; scores, flags and labels are of the records whose truth is known."""
    found = measure(score, flagged, label, warmup=0, promised_rate=0.0)
    return Side(
        model=model,
        alerts=alerts,
        rate=_share(alerts, records),
        average_precision=found.average_precision,
        precision=found.precision_at_budget,
        recall=found.recall_at_budget,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
