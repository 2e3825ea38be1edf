"""A candidate model beside the champion: it scores every record and raises nothing.

The candidate's voice takes the place of the champion's in the ensemble's sum; all else that is heard is
shared. What is its own: the moments of the members' voices, and the calibration, learnt on the very records
that the champion's learns. Begun at a record, it scores as the feed would after a swap there, but that the
champion decides what is held back from learning.

What it does not touch: anything that the champion's scores, alerts or learning depend on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.alert import Reason, rfc3339
from anomalyai.calibration import TailCalibrator
from anomalyai.comparison import (
    MAX_EXAMPLES,
    Comparison,
    Counts,
    Example,
    Examples,
    Scored,
    compare,
    latest,
    shown_record,
)
from anomalyai.ensemble import FOREST, MEMBERS
from anomalyai.finding import Flagged, explain_flagged
from anomalyai.likeness import VoiceLikeness
from anomalyai.moments import MemberMoments

if TYPE_CHECKING:
    from anomalyai.explanation import Explanation
    from anomalyai.pending import Part
    from anomalyai.records import RecordBatch
    from anomalyai.scorer import Scorer
    from anomalyai.training import TrainedModel

__all__ = ["Shadow", "ShadowCounts"]

RECENT = 4_096
"""Latest records whose scores are kept, for the figures that need scores and for labels that come later."""

BOTH_EXAMPLES = 10
_CHAMPION, _CANDIDATE = 1, 2
UNKNOWN = -1


class ShadowCounts(msgspec.Struct, frozen=True):
    """What a candidate has come to since record `since_seq`; `since` is that one's time, RFC 3339.

    Of the `records` that were compared, both flagged `both`, the candidate alone `added`, the champion alone
    `removed`.
    """

    model: str
    since_seq: int | None
    since: str | None
    records: int
    both: int
    added: int
    removed: int


class Shadow:
    """A candidate in the shadow of a feed's scorer.

    `records`, `both`, `added` and `removed` count since record `since_seq`: what was compared, flagged by
    both, by the candidate alone, and by the champion alone.
    """

    def __init__(self, model_id: str, model: TrainedModel | None) -> None:
        self.model_id = model_id
        self.model = model
        self.members = MemberMoments(0)
        self.calibrator = TailCalibrator.of_raw_scores()
        self.likeness = VoiceLikeness()
        self._pending: list[NDArray[np.float64]] = []
        self._start_counting()

    def _start_counting(self) -> None:
        self.records = self.both = self.added = self.removed = 0
        self.since_seq: int | None = None
        self._since: str | None = None
        self._examples = Examples()
        self._seqs: NDArray[np.int64] = np.zeros(RECENT, dtype=np.int64)
        self._scores: NDArray[np.float32] = np.zeros((2, RECENT), dtype=np.float32)
        self._flags: NDArray[np.uint8] = np.zeros(RECENT, dtype=np.uint8)
        self._labels: NDArray[np.int8] = np.full(RECENT, UNKNOWN, dtype=np.int8)

    def begin(self, scorer: Scorer, pending: Sequence[Part]) -> None:
        """Take up the candidate as a swap would: clean rows tell what it usually says."""
        rows, ensemble = scorer.reservoir.rows, scorer.ensemble
        self.members = MemberMoments.copied(ensemble.members)
        if len(rows) and ensemble.is_warm:
            self.members.replace(FOREST, self._voice(scorer, rows))
        self._recalibrate(scorer, rows)
        self._pending = [self._voices(scorer, part.values, part.heard.voices) for part in pending]

    def is_promoted(self, champion: str) -> bool:
        """Whether the feed's new champion is this candidate; if not, the comparison begins anew with it."""
        if champion == self.model_id:
            return True
        self._start_counting()
        self.likeness = VoiceLikeness()
        return False

    def rescale(self, scorer: Scorer) -> None:
        """Follow the scorer, which has taken its scales anew."""
        rows = scorer.reservoir.rows
        self.members = MemberMoments(len(MEMBERS))
        self.members.learn(self._voices(scorer, rows, scorer.ensemble.hear(rows).voices))
        self._recalibrate(scorer, rows)

    def score(
        self,
        scorer: Scorer,
        found: Flagged,
        voices: NDArray[np.float64],
        flaggable: NDArray[np.bool_],
        why: Mapping[int, Explanation],
        *,
        explained: bool,
    ) -> None:
        """Score the records of `found`, which the champion has scored and flagged, and compare.

        `voices` is what the champion's ensemble heard, `why` its explanations by place.
        """
        own = self._voices(scorer, found.values, voices)
        self._pending.append(own)
        score = self._rarity(scorer, found.values, own)
        flagged = flaggable & (score >= scorer.threshold)
        champion: NDArray[np.bool_] = np.zeros(found.batch.n, dtype=np.bool_)
        champion[found.places] = True
        if self.since_seq is None and found.batch.n:
            self.since_seq, self._since = found.batch.first_seq, rfc3339(float(found.batch.time_s[0]))
        self._remember(found, score, champion, flagged)
        self.records += found.batch.n
        self._count(scorer, found._replace(score=score), champion, flagged, found.score, why, explained)

    def _count(
        self,
        scorer: Scorer,
        own: Flagged,
        champion: NDArray[np.bool_],
        flagged: NDArray[np.bool_],
        score: NDArray[np.float64],
        why: Mapping[int, Explanation],
        explained: bool,
    ) -> None:
        both, added, removed = (
            np.flatnonzero(mask) for mask in (champion & flagged, flagged & ~champion, champion & ~flagged)
        )
        self.both, self.added, self.removed = (
            self.both + len(both),
            self.added + len(added),
            self.removed + len(removed),
        )
        if not len(both) and not len(added) and not len(removed):
            return
        added = added[-MAX_EXAMPLES:]
        new: Mapping[int, Explanation] = {}
        if len(added) and explained:

            def rescore(rows: NDArray[np.float64]) -> NDArray[np.float64]:
                heard = scorer.ensemble.hear(rows).voices
                return self._rarity(scorer, rows, self._voices(scorer, rows, heard))

            own = own._replace(places=added)
            new = explain_flagged(scorer.explainer(), own, rescore, scorer.threshold)

        def shown(places: NDArray[np.int64], said: Mapping[int, Explanation]) -> list[Example]:
            scores = [(int(i), float(score[i]), float(own.score[i])) for i in places]
            return [_example(own.batch, *of, scorer.threshold, said.get(of[0])) for of in scores]

        self._examples = Examples(
            added=latest(self._examples.added, shown(added, new)),
            removed=latest(self._examples.removed, shown(removed[-MAX_EXAMPLES:], why)),
            both=latest(self._examples.both, shown(both[-BOTH_EXAMPLES:], why), BOTH_EXAMPLES),
        )

    def learn(self, scorer: Scorer, heard: NDArray[np.float64], counted: NDArray[np.bool_]) -> None:
        """Learn the block that has just ended, by the rows that the champion counts; before it learns.

        `heard` is what the champion's ensemble heard of the block.
        """
        voices = np.concatenate(self._pending)
        self._pending.clear()
        self.likeness.learn(heard[:, FOREST], voices[:, FOREST])
        if scorer.ensemble.is_warm and counted.any():
            self.calibrator.learn(scorer.ensemble.combine(voices, self.members)[counted])
            self.members.learn(voices[counted])

    def judge(self, seq: int, sign: int) -> None:
        """Note what was said of a record: +1 an anomaly, -1 none, 0 nothing any more."""
        found = np.flatnonzero(self._seqs == seq)
        self._labels[found] = {1: 1, -1: 0}.get(sign, UNKNOWN)

    def comparison(self, scorer: Scorer, champion: str | None) -> Comparison:
        """Return what the candidate would have done since it began, beside the champion."""
        kept = min(self.records, RECENT)
        order = np.argsort(self._seqs[:kept], kind="stable")
        labels = self._labels[order].astype(np.float64)
        flags = self._flags[order]
        recent = Scored(
            self._scores[0][order].astype(np.float64),
            self._scores[1][order].astype(np.float64),
            (flags & _CHAMPION) != 0,
            (flags & _CANDIDATE) != 0,
            np.where(labels == UNKNOWN, np.nan, labels),
        )
        last = int(self._seqs[order[-1]]) if kept else None
        return compare(
            recent,
            self._examples,
            models=(champion, self.model_id),
            span=(self.since_seq, last, self._since),
            promised_rate=scorer.rate,
            threshold=scorer.threshold,
            counts=Counts(self.records, self.both, self.added, self.removed),
            voice_correlation=self.likeness.correlation,
        )

    def status(self) -> dict[str, Any]:
        """Return the counts, ready for JSON."""
        counts = ShadowCounts(
            self.model_id, self.since_seq, self._since, self.records, self.both, self.added, self.removed
        )
        found: dict[str, Any] = msgspec.to_builtins(counts)
        return found

    def _voice(self, scorer: Scorer, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what the candidate alone says of feature rows, in nats; NaN before scales were taken."""
        assert self.model is not None
        return self.model.voice_batch(rows) if scorer.ensemble.is_warm else np.full(len(rows), np.nan)

    def _voices(
        self, scorer: Scorer, rows: NDArray[np.float64], heard: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the voices that were heard of feature rows, with the candidate's in its place."""
        voices = heard.copy()
        voices[:, FOREST] = self._voice(scorer, rows)
        return voices

    def _rarity(
        self, scorer: Scorer, rows: NDArray[np.float64], voices: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        return scorer.rarity(rows, scorer.ensemble.combine(voices, self.members), self.calibrator)

    def _recalibrate(self, scorer: Scorer, rows: NDArray[np.float64]) -> None:
        voices = self._voices(scorer, rows, scorer.ensemble.hear(rows).voices)
        self.calibrator.forget()
        self.calibrator.learn(scorer.ensemble.combine(voices, self.members))

    def _remember(
        self,
        found: Flagged,
        score: NDArray[np.float64],
        champion: NDArray[np.bool_],
        candidate: NDArray[np.bool_],
    ) -> None:
        batch = found.batch
        place = (self.records + np.arange(batch.n)) % RECENT
        self._seqs[place] = batch.first_seq + np.arange(batch.n)
        self._scores[0][place], self._scores[1][place] = found.score, score
        self._flags[place] = champion * np.uint8(_CHAMPION) + candidate * np.uint8(_CANDIDATE)
        self._labels[place] = np.where(np.isnan(batch.label), UNKNOWN, batch.label).astype(np.int8)

    def state(self) -> dict[str, Any]:
        """Return the exact state; the model stays beside it, what waits is heard again from its rows."""
        return {
            "model_id": self.model_id,
            "records": self.records,
            "both": self.both,
            "added": self.added,
            "removed": self.removed,
            "since_seq": self.since_seq,
            "since": self._since,
            "examples": msgspec.json.encode(self._examples),
            "seqs": self._seqs,
            "scores": self._scores,
            "flags": self._flags,
            "labels": self._labels,
            **{
                f"{prefix}.{name}": value
                for prefix, part in self._parts().items()
                for name, value in part.state().items()
            },
        }

    def _parts(self) -> dict[str, Any]:
        return {"members": self.members, "calibrator": self.calibrator, "likeness": self.likeness}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.records, self.both = int(state["records"]), int(state["both"])
        self.added, self.removed = int(state["added"]), int(state["removed"])
        self.since_seq, self._since = state["since_seq"], state["since"]
        self._examples = msgspec.json.decode(state["examples"], type=Examples)
        self._seqs, self._scores = state["seqs"], state["scores"]
        self._flags, self._labels = state["flags"], state["labels"]
        for name, part in self._parts().items():
            start = f"{name}."
            part.restore({key[len(start) :]: state[key] for key in state if key.startswith(start)})

    def resume(self, scorer: Scorer, model: TrainedModel, pending: Sequence[Part]) -> None:
        """Go on from a restored state, with the model that it names."""
        self.model = model
        self._pending = [self._voices(scorer, part.values, part.heard.voices) for part in pending]


def _example(
    batch: RecordBatch, i: int, champion: float, candidate: float, threshold: float, why: Explanation | None
) -> Example:
    reasons: tuple[Reason, ...] = why.reasons if why is not None else ()
    return Example(
        seq=batch.first_seq + i,
        time=rfc3339(float(batch.time_s[i])),
        champion=champion,
        candidate=candidate,
        threshold=threshold,
        summary=why.summary if why is not None else "",
        reasons=reasons,
        record=shown_record(batch, i),
    )
