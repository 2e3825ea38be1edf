"""Why a record scored as it did: each field's part, what was expected, the entity's habit, one sentence.

A field's part is its contribution to the score on the score's own scale, -log10 of the tail probability: one
more is ten times rarer. Parts are signed and sum to the score (`anomalyai.contribution` says how they are
split); a field that makes the record more usual has a negative part. The reasons are the fields with the
largest positive parts, their shares taken of the sum of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.alert import Reason, one_in
from anomalyai.contribution import Rescore, Splitter
from anomalyai.features import Column
from anomalyai.reason import Actual, Layout, Subject, Wording, actual_of, habit_of, word
from anomalyai.usual import Usual

__all__ = ["MAX_REASONS", "Explainer", "Explanation", "Habit", "Part"]

MAX_REASONS = 6
MIN_SHARE = 0.02
LAYOUTS_KEPT = 16
IN_SUMMARY, MIN_SUMMARY_SHARE = 3, 0.15


class Part(msgspec.Struct, frozen=True):
    """One field's part in the score, with what the record has and what is usual for it.

    `expected` is the habit of the record's entity where that is what tells, else the feed's median; None for
    fields that are no numbers.
    """

    field: str
    part: float
    expected: float | None
    actual: Actual


class Habit(msgspec.Struct, frozen=True):
    """What an entity of the record usually has in a number: the baseline that the record was compared with.

    `usual` is the decayed mean of the entity's own values (on the scale of asinh, so close to a geometric
    mean), drawn towards the feed's while few are known; `events` is how many of them it rests on, older ones
    counting less; `seen` is how many records had the entity, counted likewise.
    """

    entity: str
    value: str
    seen: float | None
    field: str
    usual: float
    events: float | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a record was flagged, or why not.

    `parts` has every field, the largest part first; they sum to `score`. `reasons` are the largest positive
    ones, their shares summing to 1. `margin` is the threshold less the score: above 0 for a record that is
    not rare enough to be flagged. `why_not` is None for a flagged record.
    """

    score: float
    one_in: float
    threshold: float
    margin: float
    flagged: bool
    summary: str
    why_not: str | None
    parts: tuple[Part, ...]
    habits: tuple[Habit, ...]
    reasons: tuple[Reason, ...]


class Explainer:
    """Explains records of a feed as it stands; to be made anew when the feed has learnt.

    Costs at most `contribution.MAX_PROBES` scored rows a record, or twice its fields where these are more.

    Parameters
    ----------
    columns, count_columns
        What the columns of feature rows and of counts say.
    typical
        float64 [columns], what stands in for a field that is taken away; NaN where unknown.
    clean
        float64 [m, columns], clean rows, for the usual ranges in the texts.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        count_columns: Sequence[Column],
        typical: NDArray[np.float64],
        clean: NDArray[np.float64],
    ) -> None:
        self._layout, self._splitter = _prepared(tuple(columns), tuple(count_columns))
        self._fields = self._layout.fields
        self._typical = typical
        self._usual = Usual(clean)

    @property
    def records_at_once(self) -> int:
        """How many records to explain at a time, so that memory is bounded."""
        return 1 if self._splitter is None else self._splitter.records_at_once

    def explain(
        self,
        rows: NDArray[np.float64],
        counts: NDArray[np.float64],
        records: Sequence[dict[str, Any]],
        rescore: Rescore,
        *,
        scores: NDArray[np.float64],
        threshold: float,
        flagged: Sequence[bool],
    ) -> list[Explanation]:
        """Explain n records, best `records_at_once`; one is explained as it would be alone.

        Parameters
        ----------
        rows, counts
            float64 [n, columns] and [n, counts], as they were when the records were scored.
        records
            The records as they came, for the texts.
        rescore
            The score of feature rows, -log10 of the tail probability.
        scores
            float64 [n], what they scored, so what `rescore` says of the rows.
        threshold
            The score from which records are flagged.
        flagged
            Whether these were.
        """
        if self._splitter is None:
            split = np.empty((len(rows), 0))
        else:
            split = self._splitter.split(rows, self._typical, rescore)
        found = []
        for i, record in enumerate(records):
            subject = Subject(record, rows[i].tolist(), counts[i].tolist(), self._layout)
            parts, reasons, sentence = self._told(split[i], subject)
            score = float(scores[i])
            found.append(
                Explanation(
                    score=score,
                    one_in=one_in(score),
                    threshold=threshold,
                    margin=threshold - score,
                    flagged=flagged[i],
                    summary=sentence,
                    why_not=None if flagged[i] else why_not(score, threshold),
                    parts=parts,
                    habits=_habits(subject),
                    reasons=reasons,
                )
            )
        return found

    def _told(
        self, split: NDArray[np.float64], subject: Subject
    ) -> tuple[tuple[Part, ...], tuple[Reason, ...], str]:
        """Return the parts, the reasons and the sentence of one record."""
        if not len(split):
            return (), (), "it has no field that is scored"
        order = [int(place) for place in np.argsort(-split, kind="stable")]
        worded = {
            place: word(self._fields[place], float(split[place]), subject, self._usual) for place in order
        }
        parts = tuple(
            Part(self._fields[place], float(split[place]), worded[place].expected, worded[place].actual)
            for place in order
        )
        reasons, told = self._reasons(split, order, worded)
        return parts, reasons, _sentence(told)

    def _reasons(
        self, split: NDArray[np.float64], order: list[int], worded: dict[int, Wording]
    ) -> tuple[tuple[Reason, ...], list[Wording]]:
        """Return the reasons, largest first, and the wordings of those that the sentence tells."""
        gains = np.maximum(split, 0.0)
        least = MIN_SHARE * float(gains.sum())
        kept = [place for place in order[:MAX_REASONS] if gains[place] >= least and gains[place] > 0.0]
        kept = kept or order[:1]
        total = float(gains[kept].sum())
        shares = [float(gains[place]) / total if total > 0.0 else 1.0 for place in kept]
        reasons = tuple(
            Reason(
                self._fields[place],
                worded[place].text,
                share,
                expected=worded[place].expected,
                actual=worded[place].actual,
            )
            for place, share in zip(kept, shares, strict=True)
        )
        also = [
            worded[place]
            for place, share in zip(kept[1:IN_SUMMARY], shares[1:], strict=False)
            if share >= MIN_SUMMARY_SHARE and worded[place].stands_out
        ]
        return reasons, [worded[kept[0]], *also]


@lru_cache(maxsize=LAYOUTS_KEPT)
def _prepared(
    columns: tuple[Column, ...], count_columns: tuple[Column, ...]
) -> tuple[Layout, Splitter | None]:
    """Return what depends on the columns alone."""
    layout = Layout(columns, count_columns)
    groups = [np.array(layout.places(field), dtype=np.int64) for field in layout.fields]
    return layout, Splitter(groups, len(columns)) if groups else None


def why_not(score: float, threshold: float) -> str:
    """Say why a record was not flagged.

    >>> why_not(1.2, 3.0)
    'its score 1.20 (1 in 16) is 1.80 below the threshold 3.00 (1 in 1,000)'
    """
    if score >= threshold:
        return f"its score {score:.2f} reached the threshold, but too few records had come before it to judge"
    return (
        f"its score {score:.2f} (1 in {one_in(score):,.0f}) is {threshold - score:.2f} below the threshold "
        f"{threshold:.2f} (1 in {one_in(threshold):,.0f})"
    )


def _habits(subject: Subject) -> tuple[Habit, ...]:
    """Return what the record's entities usually have in the numbers that the record has."""
    habits = []
    for j, column in enumerate(subject.layout.columns):
        if column.aspect != "deviation" or column.entity is None or not np.isfinite(subject.row[j]):
            continue
        entity = actual_of(column.entity, subject.record, is_number=False)
        usual = habit_of(column.field, column.entity, subject)
        if entity is None or not np.isfinite(usual):
            continue
        habits.append(
            Habit(
                entity=column.entity,
                value=str(entity),
                seen=_known(subject.known("seen", column.entity)),
                field=column.field,
                usual=usual,
                events=_known(subject.known("events", column.field, column.entity)),
            )
        )
    return tuple(habits)


def _known(count: float) -> float | None:
    return count if np.isfinite(count) else None


def _sentence(told: Sequence[Wording]) -> str:
    return ", ".join([told[0].text, *(wording.clause for wording in told[1:])])
