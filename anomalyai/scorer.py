"""One fixed set of columns, scored and learnt block by block: the inside of a `Pipeline`.

Order within a block: describe, score, decide. At its end, in this order: calibrate, learn, rescale when due,
adopt what has become normal, look for drift, set the training set aside when due. Rare and flagged records
are held back from the trees and the forest. The calibration, the densities and the scales learn them while
there are no more than a block of normal traffic has now and then, since the tail of what is normal must be
learnt too; where there are more, it is a burst, of which they learn as many as are expected of normal traffic
and no more. Flagged records stay in quarantine until a verdict, or until they would not be flagged any more:
a lasting change is then adopted, and said. Counts and habits of the feature rows are of what has happened and
take every record, its influence clipped.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.block import longest_block, next_end
from anomalyai.budget import AlertBudget
from anomalyai.calibration import TailCalibrator
from anomalyai.drift import DriftWatch
from anomalyai.ensemble import Ensemble
from anomalyai.explanation import Explainer, Explanation
from anomalyai.features import FeatureBuilder
from anomalyai.finding import Flagged, alert_of, explain_flagged
from anomalyai.flow import FlowRate
from anomalyai.notice import Notice, Notices
from anomalyai.opinion import Opinions
from anomalyai.pending import KEPT, Part, joined
from anomalyai.quarantine import Quarantine
from anomalyai.records import RecordBatch
from anomalyai.reservoir import Reservoir, with_codes
from anomalyai.schema import FeedSchema
from anomalyai.scored import ScoredBatch
from anomalyai.shadow import Shadow
from anomalyai.state import part_of, under
from anomalyai.stretch import Described, Stretch, longest_stretch
from anomalyai.training import TrainedModel, TrainingSet
from anomalyai.watermark import Watermark

FIRST_ALERT_AFTER = 30
"""Records before the first one may be flagged: fewer give no idea of what is usual."""

TRAIN_AFTER_CLEAN = 2_000
RESCALE_AT = (24, 64, 128, 256, 512, 1_024, 2_048, 4_096)
"""Clean records at which scales are taken anew."""

HELD_SCORE = 2.0
"""Records at least this rare (1 in 100) are held back from the detectors' learning, flagged or not: an attack
is absorbed through its many records that do not reach the alert threshold."""

HELD_FACTOR, FLAGGED_FACTOR = 2.0, 4.0
"""Held and flagged records from which a block counts as a burst: multiples of what is expected, and one."""

ADOPT_EVERY = 8
"""Blocks after which the quarantine is looked through."""

ADOPT_MARGIN = 0.3
"""How far below the threshold, on the score's scale, what was flagged must fall to be normal: half as
rare."""


class Scorer:
    """Scores the records of one settled set of columns. Not thread-safe; state is explicit."""

    def __init__(
        self, schema: FeedSchema, *, feed: str, budget: AlertBudget, seed: int, without: Sequence[str] = ()
    ) -> None:
        self.schema = schema
        self.feed = feed
        self.budget = budget
        self.seed = seed
        self.features = FeatureBuilder(schema)
        self.ensemble = Ensemble(self.features.columns, seed, without)
        self.column_names = tuple(column.name for column in self.features.measures)
        codes = len(self.features.codes)
        self.calibrator = TailCalibrator.of_raw_scores()
        self.reservoir = Reservoir(len(self.column_names), codes)
        self.flow, self.watermark = FlowRate(), Watermark(judging=schema.time is not None)
        self.quarantine = Quarantine(len(self.column_names), len(self.features.entities), codes)
        self.opinions = Opinions()
        self.drift, self.notices = DriftWatch(self.features.columns), Notices()
        self.seen = self.flagged = self.clean = self.adopted = self.blocks = 0
        self.promised = 0.0
        self._longest_block = longest_block(len(self.column_names))
        self._training_state = "waiting"
        self._pending: list[Part] = []
        self.shadow: Shadow | None = None

    @property
    def longest_stretch(self) -> int:
        """How many records may be described at once."""
        return longest_stretch(len(self.column_names))

    @property
    def block_end(self) -> int:
        """The count of records at which the present block ends."""
        return next_end(self.seen, self._longest_block)

    @property
    def rate(self) -> float:
        """The promised alert rate as a share of records."""
        return self.budget.rate(self.flow.records_per_day)

    @property
    def threshold(self) -> float:
        """The score from which a record is flagged."""
        return -math.log10(self.rate)

    @property
    def is_mature(self) -> bool:
        """Whether the batch model scores; alerts before say that the feed is warming up."""
        return self.ensemble.model is not None

    def describe(self, batch: RecordBatch) -> Stretch:
        """Describe records that come next; all of them must then be processed, in order."""
        believed = self.watermark.observe(batch.time_s)
        return Stretch(*self.features.describe_with_counts(batch, believed.time_s), believed)

    def process(self, batch: RecordBatch, part: Described, *, explained: bool = True) -> ScoredBatch:
        """Score a batch that lies within one block, by its part of a stretch; alerts if `explained`."""
        values, counts = part.values, part.counts
        heard = self.ensemble.hear(values, part.placed)
        raw = self.ensemble.combine(heard.voices)
        score = self.rarity(values, raw)
        number = self.seen + np.arange(batch.n)
        flaggable = number >= FIRST_ALERT_AFTER
        flagged = (score >= self.threshold) & flaggable
        why = self.why(batch, values, counts, score, np.flatnonzero(flagged)) if explained else {}
        result = ScoredBatch(
            first_seq=batch.first_seq,
            n=batch.n,
            time_s=batch.time_s,
            score=score,
            flagged=flagged,
            warming_up=np.full(batch.n, not self.is_mature),
            threshold=self.threshold,
            alerts=[alert_of(self.feed, batch, i, found, mature=self.is_mature) for i, found in why.items()],
            explanations=list(why.values()),
        )
        self._pending.append(Part(values, heard, raw, score, flagged, part.time_s))
        places = np.flatnonzero(flagged)
        if self.shadow is not None:
            found = Flagged(batch, values, counts, score, places)
            self.shadow.score(self, found, heard.voices, flaggable, why, explained=explained)
        if len(places):
            keys = self.features.entity_keys(batch, places)
            self.quarantine.add(batch.first_seq + places, values[places], keys, part.time_s[places])
        self.flagged += int(np.count_nonzero(flagged))
        end = self.block_end
        self.seen += batch.n
        if self.seen == end:
            self._learn()
        return result

    def _flaggable(self, latest: int) -> int:
        """Return how many of the latest records may have been flagged."""
        return max(min(latest, self.seen - FIRST_ALERT_AFTER), 0)

    def rarity(
        self,
        values: NDArray[np.float64],
        raw: NDArray[np.float64],
        calibrator: TailCalibrator | None = None,
    ) -> NDArray[np.float64]:
        """Return -log10 tail probabilities of feature rows; 0 before there is anything to compare with.

        `calibrator` is the one of the raw scores, the scorer's own where None.
        """
        if not self.ensemble.is_warm:
            return np.zeros(len(raw))
        rarity = (self.calibrator if calibrator is None else calibrator).rarity(raw)
        return np.maximum(rarity, self.ensemble.far_out(values))

    def _learn(self) -> None:
        # once a block, since sums of floats depend on how they are cut
        self.promised += self.rate * self._flaggable(sum(len(part.values) for part in self._pending))
        values, heard, raw, score, flagged, time_s = joined(self._pending)
        self.flow.learn(time_s)
        self._pending.clear()

        held = score >= min(HELD_SCORE, self.threshold)
        counted = ~(held | flagged)
        counted[_usual_share(held & ~flagged, 10.0**-HELD_SCORE, HELD_FACTOR)] = True
        counted[_usual_share(flagged, self.rate, FLAGGED_FACTOR)] = True
        if self.shadow is not None:
            self.shadow.learn(self, heard.voices, counted)
        if self.ensemble.is_warm:
            self.calibrator.learn(raw[counted])
        clean = ~(held | flagged)
        self.ensemble.learn_batch(values, heard, counted, clean)
        self.reservoir.add(values[counted & ~flagged])
        before, self.clean = self.clean, self.clean + int(np.count_nonzero(clean))
        if _crosses_rescale(before, self.clean):
            self.ensemble.rescale(self.reservoir.rows)
            self._recalibrate()
            if self.shadow is not None:
                self.shadow.rescale(self)
            self.drift.forget()
        self.blocks += 1
        if self.blocks % ADOPT_EVERY == 0:
            self._adopt()
        if len(values) == self._longest_block:
            density = self.ensemble.density
            for notice in self.drift.observe(values, raw, density.median, density.spread, self.seen):
                self.notices.say(notice)
        if (
            self._training_state == "waiting"
            and self.ensemble.model is None
            and self.clean >= TRAIN_AFTER_CLEAN
            and self.column_names
        ):
            self._training_state = "due"

    def _adopt(self) -> None:
        """Learn what is held back and would not be flagged any more, and say so."""
        if not len(self.quarantine):
            return
        usual = self.rescore(self.quarantine.rows) < self.threshold - ADOPT_MARGIN
        count = int(np.count_nonzero(usual))
        if count:
            self.release(self.quarantine.take(np.flatnonzero(usual)))
            text = f"{count} records that were flagged are usual by now and have been learnt"
            self.notices.say(Notice(self.seen, "adopted", None, text, after=float(count)))

    def release(self, rows: NDArray[np.float64]) -> None:
        """Learn rows that were held back, float64 [n, columns], where they have not been learnt already."""
        self.ensemble.learn_released(rows)
        self.reservoir.add(rows)
        self.adopted += len(rows)

    def _recalibrate(self) -> None:
        """Start the calibration again from the clean rows at hand: the raw score has changed its meaning."""
        self.calibrator.forget()
        self.calibrator.learn(self.ensemble.score_batch(self.reservoir.rows))

    def rescore(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return what feature rows, float64 [n, columns], would score now, float64 [n]."""
        return self.rarity(rows, self.ensemble.score_batch(rows))

    def explainer(self) -> Explainer:
        """Return what explains records as the scorer stands now."""
        typical = np.append(self.ensemble.density.median, np.full(len(self.features.codes), np.nan))
        return Explainer(self.features.columns, self.features.counts, typical, self.reservoir.rows)

    def why(
        self,
        batch: RecordBatch,
        values: NDArray[np.float64],
        counts: NDArray[np.float64],
        score: NDArray[np.float64],
        flagged: NDArray[np.int64],
    ) -> dict[int, Explanation]:
        """Return why each of the flagged places in the batch was, by place."""
        if not len(flagged):
            return {}
        found = Flagged(batch, values, counts, score, flagged)
        return explain_flagged(self.explainer(), found, self.rescore, self.threshold)

    def take_training_set(self) -> TrainingSet | None:
        """Return the training set once, when it has become due."""
        if self._training_state != "due":
            return None
        self._training_state = "taken"
        return self.training_set()

    def training_set(self) -> TrainingSet | None:
        """Return the clean rows set aside so far; None where a model scores already or too little came."""
        if self.ensemble.model is not None or self.clean < TRAIN_AFTER_CLEAN or not self.column_names:
            return None
        rows = self.reservoir.rows[:, : len(self.column_names)]
        return TrainingSet(
            features=rows.copy(), columns=self.column_names, last_seq=self.seen, seed=self.seed
        )

    def swap(self, model: TrainedModel) -> None:
        """Let a model score from the next record on; what waits to be learnt is heard again with it."""
        self.ensemble.swap(model, self.reservoir.rows)
        self._recalibrate()
        for place, part in enumerate(self._pending):
            heard = self.ensemble.hear(part.values)
            raw = self.ensemble.combine(heard.voices)
            score = self.rarity(part.values, raw)
            self._pending[place] = part._replace(heard=heard, raw=raw, score=score)

    def begin_shadow(self, model_id: str, model: TrainedModel) -> None:
        """Let a candidate score beside the champion from the next record on, in place of an earlier one."""
        self.shadow = Shadow(model_id, model)
        self.shadow.begin(self, self._pending)

    def resume_shadow(self, model: TrainedModel | None) -> None:
        """Give a restored shadow its model, or end it where that is not to be had."""
        if self.shadow is not None and model is not None:
            self.shadow.resume(self, model, self._pending)
        else:
            self.shadow = None

    def rename(self, schema: FeedSchema) -> None:
        """Take a schema that has at least the columns that are scored."""
        self.schema = schema

    def status(self) -> dict[str, Any]:
        """Return where scoring stands, ready for JSON; rates are shares of records."""
        flaggable = self._flaggable(self.seen)
        pending = self._flaggable(sum(len(part.values) for part in self._pending))
        return {
            "maturity": "mature" if self.is_mature else "warming_up",
            "seen": self.seen,
            "clean": self.clean,
            "train_at": TRAIN_AFTER_CLEAN,
            "budget": str(self.budget),
            "threshold": self.threshold,
            "promised_rate": (self.promised + self.rate * pending) / flaggable if flaggable else None,
            "realised_rate": self.flagged / flaggable if flaggable else None,
            "columns": len(self.column_names),
            "quarantined": len(self.quarantine),
            "quarantine_dropped": self.quarantine.dropped,
            "adopted": self.adopted,
            "notices": [msgspec.to_builtins(notice) for notice in self.notices.kept],
            "evicted_entities": self.features.evicted,
            **self.watermark.counts(),
        }

    def state(self) -> dict[str, Any]:
        """Return the exact state for `anomalyai.state`; the trained model stays beside it."""
        state: dict[str, Any] = {
            "seen": self.seen,
            "flagged": self.flagged,
            "clean": self.clean,
            "adopted": self.adopted,
            "blocks": self.blocks,
            "promised": self.promised,
            "training_state": self._training_state,
            "pending": bool(self._pending),
        }
        parts = self._parts() | ({"shadow": self.shadow} if self.shadow is not None else {})
        for prefix, part in parts.items():
            state.update(under(prefix, part.state()))
        if self._pending:
            waiting = joined(self._pending)
            state.update({f"pending/{name}": getattr(waiting, name) for name in KEPT})
            state["pending/voices"] = waiting.heard.voices
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state of the same columns."""
        self.seen, self.flagged, self.clean = (int(state[name]) for name in ("seen", "flagged", "clean"))
        self.adopted, self.blocks = int(state["adopted"]), int(state["blocks"])
        self.promised = float(state["promised"])
        self._training_state = state["training_state"]
        parts = self._parts()
        if "shadow/model_id" in state:
            parts["shadow"] = self.shadow = Shadow(state["shadow/model_id"], None)
        for prefix, part in parts.items():
            part.restore(part_of(prefix, state))
        self._pending.clear()
        if state["pending"]:
            kept = {name: state[f"pending/{name}"] for name in KEPT}
            kept["values"] = with_codes(kept["values"], len(self.features.columns))
            heard = self.ensemble.hear(kept["values"])._replace(voices=state["pending/voices"])
            self._pending.append(Part(heard=heard, **kept))

    def _parts(self) -> dict[str, Any]:
        return {
            "features": self.features,
            "ensemble": self.ensemble,
            "calibrator": self.calibrator,
            "reservoir": self.reservoir,
            "flow": self.flow,
            "watermark": self.watermark,
            "quarantine": self.quarantine,
            "opinions": self.opinions,
            "drift": self.drift,
            "notices": self.notices,
        }


def _crosses_rescale(before: int, after: int) -> bool:
    """Return whether a point at which scales are taken anew lies in (before, after]."""
    return any(before < point <= after for point in RESCALE_AT)


def _usual_share(marked: NDArray[np.bool_], expected: float, factor: float) -> NDArray[np.int64]:
    """Return the marked rows of a block; of a burst only the first ones, as many as are expected.

    `expected` is the share of rows that is marked on normal traffic; a block with more than `factor` times
    as many, and one, is a burst.
    """
    found = np.flatnonzero(marked)
    if len(found) <= 1 + math.ceil(factor * expected * len(marked)):
        return found
    return found[: math.ceil(expected * len(marked))]
