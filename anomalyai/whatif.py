"""A feed's past through the same pipeline, with another model or another budget: what would have been.

Two sides hear the same log entries in order. A side is either a pipeline that plays them (`Replayed`) or
whatever remembers what was said then; `compare_sides` counts what the candidate's would have added and
removed. Truth comes from the records' own labels and from the verdicts and labels among the entries.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai.alert import Alert, rfc3339
from anomalyai.comparison import (
    MAX_EXAMPLES,
    Comparison,
    Example,
    Examples,
    Scored,
    compare,
    latest,
    shown_record,
)
from anomalyai.control import (
    BudgetChange,
    ClockTick,
    ControlEntry,
    Labels,
    ModelSwap,
    Mute,
    MuteEnd,
    SchemaChange,
    ShadowChange,
    Verdict,
)
from anomalyai.errors import ModelError
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.training import TrainedModel

__all__ = ["Item", "Replayed", "Side", "Told", "compare_sides"]

Item = RecordBatch | ControlEntry

_TRUTH = {"real": 1.0, "false_alarm": 0.0, "new_normal": 0.0, "unsure": np.nan}


class Told(NamedTuple):
    """What a side says of the n records of a batch: scores, flags, and the flagged ones' alerts by seq."""

    score: NDArray[np.float64]
    flagged: NDArray[np.bool_]
    alerts: Mapping[int, Alert]


Side = Callable[[Item], Told | None]
"""Takes the next entry; answers for records, None for the rest."""


class Replayed:
    """A pipeline that plays log entries, a model or budget of its own pinned against the log's.

    `models` finds those that are named; one that cannot be had, or does not fit, is passed over, as live. A
    pinned one that does not fit yet, since columns are not settled, is put in as soon as it does.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        models: Mapping[str, TrainedModel],
        *,
        model_id: str | None = None,
        budget: str | None = None,
    ) -> None:
        self.pipeline = pipeline
        self._models = models
        self._model_id, self._budget = model_id, budget
        self.pipeline.end_shadow()
        if budget is not None:
            pipeline.apply(BudgetChange(budget))
        if model_id is not None:
            self._swap(model_id)

    @property
    def threshold(self) -> float:
        """The score from which it flags."""
        return -math.log10(self.pipeline.promised_rate)

    def __call__(self, item: Item) -> Told | None:
        """Take the next entry."""
        if isinstance(item, RecordBatch):
            scored = self.pipeline.process(item)
            return Told(scored.score, scored.flagged, {alert.seq: alert for alert in scored.alerts})
        if isinstance(item, ModelSwap):
            if self._model_id is None:
                self._swap(item.model_id)
        elif isinstance(item, BudgetChange):
            if self._budget is None:
                self.pipeline.apply(item)
        elif isinstance(item, SchemaChange):
            self._declare(item)
        elif not isinstance(item, ShadowChange | ClockTick | Mute | MuteEnd):
            self.pipeline.apply(item)
        return None

    def _declare(self, change: SchemaChange) -> None:
        """Take a schema; what it does to a pinned budget or model is undone."""
        self.pipeline.apply(change)
        if self._budget is not None:
            self.pipeline.apply(BudgetChange(self._budget))
        if self._model_id is not None and self.pipeline.model_id != self._model_id:
            self._swap(self._model_id)

    def _swap(self, model_id: str) -> None:
        model = self._models.get(model_id)
        if model is None:
            return
        try:
            self.pipeline.swap(model_id, model)
        except ModelError:
            return  # as in the log: a model of other columns was never put in


class _Tape:
    """What both sides said, and what the truth is, of the records from `first_seq` on."""

    def __init__(self, first_seq: int) -> None:
        self.first_seq = first_seq
        self.since_s: float | None = None
        self.examples = Examples()
        self._parts: list[tuple[NDArray[Any], ...]] = []
        self._truth: dict[int, float] = {}

    def add(self, batch: RecordBatch, champion: Told, candidate: Told, threshold: float) -> None:
        """Take what both said of a batch."""
        start = max(self.first_seq - batch.first_seq, 0)
        if start >= batch.n:
            return
        if self.since_s is None:
            self.since_s = float(batch.time_s[start])
        seqs = batch.first_seq + np.arange(start, batch.n)
        parts = (champion.score, candidate.score, champion.flagged, candidate.flagged, batch.label)
        self._parts.append((seqs, *(part[start:] for part in parts)))
        found: dict[str, list[Example]] = {}
        for kind, mask, told in (
            ("added", candidate.flagged & ~champion.flagged, candidate),
            ("removed", champion.flagged & ~candidate.flagged, champion),
            ("both", champion.flagged & candidate.flagged, champion),
        ):
            places = np.flatnonzero(mask)
            found[kind] = [
                _example(batch, int(i), champion, candidate, threshold, told)
                for i in places[places >= start][-MAX_EXAMPLES:]
            ]
        self.examples = Examples(
            added=latest(self.examples.added, found["added"]),
            removed=latest(self.examples.removed, found["removed"]),
            both=latest(self.examples.both, found["both"]),
        )

    def judge(self, change: Verdict | Labels) -> None:
        """Take what was said of records; the last word counts."""
        if isinstance(change, Labels):
            self._truth.update(zip(change.seqs, map(float, change.labels), strict=True))
        elif change.record is not None:
            self._truth[change.seq] = _TRUTH[change.verdict]

    def scored(self) -> tuple[NDArray[np.int64], Scored]:
        """Return the numbers of the records, and what both said of them."""
        kinds: Sequence[Any] = (np.int64, np.float64, np.float64, np.bool_, np.bool_, np.float64)
        seqs, *columns = (
            np.concatenate([part[j] for part in self._parts]) if self._parts else np.empty(0, dtype=kind)
            for j, kind in enumerate(kinds)
        )
        label = columns[-1].copy()
        known = np.fromiter(self._truth, dtype=np.int64, count=len(self._truth))
        _, mine, theirs = np.intersect1d(seqs, known, return_indices=True)
        label[mine] = np.array([self._truth[int(seq)] for seq in known[theirs]])
        return seqs, Scored(columns[0], columns[1], columns[2], columns[3], label)


def compare_sides(
    champion: Side,
    candidate: Replayed,
    items: Iterable[Item],
    *,
    first_seq: int = 1,
    models: tuple[str | None, str | None] = (None, None),
) -> Comparison:
    """Let both sides take the entries in order; compare them on the records from `first_seq` on.

    `models` name the champion and the candidate. The candidate's pipeline says the threshold and the promise.
    """
    tape = _Tape(first_seq)
    for item in items:
        before, after = champion(item), candidate(item)
        if isinstance(item, RecordBatch) and before is not None and after is not None:
            tape.add(item, before, after, candidate.threshold)
        elif isinstance(item, Verdict | Labels):
            tape.judge(item)
    seqs, scored = tape.scored()
    first, last = (int(seqs[0]), int(seqs[-1])) if len(seqs) else (None, None)
    return compare(
        scored,
        tape.examples,
        models=models,
        span=(first, last, None if tape.since_s is None else rfc3339(tape.since_s)),
        promised_rate=candidate.pipeline.promised_rate,
        threshold=candidate.threshold,
    )


def _example(
    batch: RecordBatch, i: int, champion: Told, candidate: Told, threshold: float, said: Told
) -> Example:
    alert = said.alerts.get(batch.first_seq + i)
    return Example(
        seq=batch.first_seq + i,
        time=rfc3339(float(batch.time_s[i])),
        champion=float(champion.score[i]),
        candidate=float(candidate.score[i]),
        threshold=threshold,
        summary=alert.summary if alert is not None else "",
        reasons=alert.reasons if alert is not None else (),
        record=shown_record(batch, i),
    )
