"""What verdicts and labels do to a scorer, and to the open alerts of the same kind.

A judged record's entities remember it (`anomalyai.history`). A record that is held back goes among the judged
ones (`anomalyai.judged`): an anomaly is never learnt, a false alarm is learnt at once. A later verdict on the
same record takes the place of the one before, except that what was learnt stays learnt.

Records still held back are those of the latest open alerts. What the verdict taught is the difference between
what they would score after it and what they would have scored before it; where that is worth mentioning,
their alerts are ranked anew by it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np

from anomalyai.alert import Amendment, Status
from anomalyai.control import Labels, Verdict
from anomalyai.judged import LEAST_LIKENESS, likeness
from anomalyai.notice import Notice
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from anomalyai.scorer import Scorer

__all__ = ["LEAST_SHIFT", "judge", "judge_records", "reranked", "take", "take_as_normal", "would_score"]

LEAST_SHIFT = 0.05
"""Change of a score, a tenth of its rarity, below which an open alert keeps its own."""

_SIGNS = {"real": 1, "false_alarm": -1, "new_normal": -1, "unsure": 0}
_STATUSES: dict[int, Status] = {1: "real", -1: "false_alarm", 0: "unsure"}


def take(scorer: Scorer, schema: FeedSchema, change: Verdict | Labels) -> list[Amendment]:
    """Take a verdict or labels on records, read under `schema`, today's; returns what they do to alerts."""
    before = would_score(scorer)
    if isinstance(change, Labels):
        signs = [1 if label else -1 for label in change.labels]
        judge_records(scorer, schema, change.records, change.seqs, signs)
        said = [(f"{scorer.feed}-{seq}", sign) for seq, sign in zip(change.seqs, signs, strict=True)]
    else:
        sign = _SIGNS[change.verdict]
        if change.record is not None:
            if change.verdict == "new_normal":
                take_as_normal(scorer, change.seq)
            judge_records(scorer, schema, [change.record], [change.seq], [sign])
        said = [(change.alert or f"{scorer.feed}-{change.seq}", sign)]
    judged = [Amendment(alert_id, _STATUSES[sign]) for alert_id, sign in said]
    return judged + reranked(scorer, before)


def judge(scorer: Scorer, batch: RecordBatch, seqs: Sequence[int], signs: Sequence[int]) -> None:
    """Take what is said of the n records of a batch, whose numbers are `seqs`.

    `signs` are +1 for an anomaly, -1 for none, 0 where what was said before is taken back. Saying the same
    again changes nothing.
    """
    for i, (seq, sign) in enumerate(zip(seqs, signs, strict=True)):
        before = scorer.opinions.change(seq, sign)
        if scorer.shadow is not None:
            scorer.shadow.judge(seq, sign)
        if before == sign:
            continue
        one = batch.slice(i, i + 1)
        if before:
            scorer.features.judge(one, np.array([before > 0]), take_back=True)
        if sign:
            scorer.features.judge(one, np.array([sign > 0]))
        _move(scorer, seq, sign)


def judge_records(
    scorer: Scorer,
    schema: FeedSchema,
    records: Sequence[Mapping[str, Any]],
    seqs: Sequence[int],
    signs: Sequence[int],
) -> None:
    """Take what is said of records that came before, read under the schema of today; see `judge`."""
    body = msgspec.json.encode(records)
    batch = RecordBatch.reread(schema, "rows", body, seqs[0] if seqs else 0, math.nan)
    future = batch.time_s > scorer.watermark.believed_until_s
    batch.time_s = np.where(future, np.nan, batch.time_s)
    judge(scorer, batch, seqs, signs)


def _move(scorer: Scorer, seq: int, sign: int) -> None:
    """Put a record that is held back among the judged ones; of one of these, turn the verdict."""
    held, judged = scorer.quarantine.places_of(seq), scorer.ensemble.judged
    if len(held) and sign:
        rows = scorer.quarantine.take(held)
        judged.add([seq], rows, sign)
    else:
        rows = judged.turn(seq, sign)
    if sign < 0:
        scorer.release(rows)


def take_as_normal(scorer: Scorer, seq: int) -> None:
    """Learn a record that is held back, and all that are and are like it."""
    places = scorer.quarantine.places_of(seq)
    if len(places):
        leaves = scorer.ensemble.tight.leaves(scorer.quarantine.rows)
        leaves = leaves.reshape(-1, leaves.shape[2])
        alike = np.flatnonzero(likeness(leaves, leaves[:, places]) >= LEAST_LIKENESS)
        rows = scorer.quarantine.take(alike)
        scorer.ensemble.judged.add([seq], rows[-1:], -1)
        scorer.release(rows)
        text = f"{len(rows)} records like number {seq} were taken as normal and have been learnt"
        scorer.notices.say(Notice(scorer.seen, "adopted", None, text, after=float(len(rows))))


def reranked(scorer: Scorer, before: Mapping[int, float]) -> list[Amendment]:
    """Return how verdicts have moved the scores of what is held back, which were `before` by number."""
    return [
        Amendment(f"{scorer.feed}-{seq}", None, score - before[seq], scorer.threshold)
        for seq, score in would_score(scorer).items()
        if abs(score - before[seq]) >= LEAST_SHIFT
    ]


def would_score(scorer: Scorer) -> dict[int, float]:
    """Return what each record that is held back would score now, by its number, oldest first.

    Its entities' histories are those of now, the rest of its feature row is as it was.
    """
    held = scorer.quarantine
    if not len(held):
        return {}
    rows = scorer.features.with_history(held.rows, held.keys, held.time_s)
    return dict(zip(held.seqs.tolist(), scorer.rescore(rows).tolist(), strict=True))
