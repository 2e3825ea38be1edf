"""One fixed set of columns, scored and learnt block by block: the inside of a `Pipeline`.

Order within a block: describe, score, decide. At its end, in this order: calibrate, learn, rescale when due,
set the training set aside when due. Flagged records are held back from the detectors' learning; of them the
calibration sees only as many as the alert budget allows, so that normal exceedances shape the tail and a burst
of anomalies does not.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.alert import Alert, one_in, rfc3339, severity_of
from anomalyai.block import next_end
from anomalyai.budget import AlertBudget
from anomalyai.calibration import TailCalibrator
from anomalyai.ensemble import Ensemble
from anomalyai.explanation import explain
from anomalyai.features import FeatureBuilder
from anomalyai.flow import FlowRate
from anomalyai.records import RecordBatch
from anomalyai.reservoir import Reservoir
from anomalyai.schema import FeedSchema
from anomalyai.scored import ScoredBatch
from anomalyai.training import TrainedModel, TrainingSet

FIRST_ALERT_AFTER = 30
"""Records before the first one may be flagged: fewer give no idea of what is usual."""

TRAIN_AFTER_CLEAN = 2_000
RESCALE_AT = (64, 256, 512, 1_024, 2_048, 4_096)
"""Clean records at which scales are taken anew; afterwards at every doubling."""

ALLOWANCE = 1.25
ALLOWANCE_CAP = 8.0


class Scorer:
    """Scores the records of one settled set of columns. Not thread-safe; state is explicit."""

    def __init__(self, schema: FeedSchema, *, feed: str, budget: AlertBudget, seed: int) -> None:
        self.schema = schema
        self.feed = feed
        self.budget = budget
        self.seed = seed
        self.features = FeatureBuilder(schema)
        self.ensemble = Ensemble(self.features.columns, seed)
        self.column_names = tuple(column.name for column in self.features.columns)
        self.calibrator = TailCalibrator(0.0, 32.0, prior_scale=1.0)
        self.reservoir = Reservoir(len(self.column_names))
        self.flow = FlowRate()
        self.seen = self.flagged = self.clean = 0
        self.promised = 0.0
        self._allowance = 1.0
        self._training_state = "waiting"
        self._pending: list[tuple[NDArray[np.float64], dict[str, NDArray[np.float64]], Any, Any, Any]] = []

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

    def process(self, batch: RecordBatch, *, silent: bool = False) -> ScoredBatch:
        """Score a batch that lies within one block; returns a `ScoredBatch`. `silent` makes no alerts."""
        values = self.features.describe(batch)
        members = self.ensemble.member_scores(values)
        raw = self.ensemble.combine(members, batch.n)
        score = self.calibrator.rarity(raw)
        number = self.seen + np.arange(batch.n)
        flagged = (score >= self.threshold) & (number >= FIRST_ALERT_AFTER) & self.ensemble.is_warm
        alerts = (
            []
            if silent
            else [self._alert(batch, int(i), values[i], score[i]) for i in np.flatnonzero(flagged)]
        )
        warming = np.full(batch.n, not self.is_mature)
        result = ScoredBatch(
            first_seq=batch.first_seq,
            n=batch.n,
            time_s=batch.time_s,
            score=score,
            flagged=flagged,
            warming_up=warming,
            threshold=self.threshold,
            alerts=alerts,
        )
        self._pending.append((values, members, raw, flagged, batch.time_s))
        self.promised += self.rate * float(np.count_nonzero(number >= FIRST_ALERT_AFTER))
        self.flagged += int(np.count_nonzero(flagged))
        end = next_end(self.seen)
        self.seen += batch.n
        if self.seen == end:
            self._learn()
        return result

    def _learn(self) -> None:
        values = np.concatenate([part[0] for part in self._pending])
        names = self._pending[0][1].keys()
        members = {name: np.concatenate([part[1][name] for part in self._pending]) for name in names}
        raw = np.concatenate([part[2] for part in self._pending])
        flagged = np.concatenate([part[3] for part in self._pending])
        self.flow.learn(np.concatenate([part[4] for part in self._pending]))
        self._pending.clear()

        counted = ~flagged
        counted[self._allowed(flagged)] = True
        if self.ensemble.is_warm:
            self.calibrator.learn(raw[counted])
        clean = ~flagged
        self.ensemble.learn_batch(values[clean], {name: scores[clean] for name, scores in members.items()})
        self.reservoir.add(values[clean])
        before, self.clean = self.clean, self.clean + int(np.count_nonzero(clean))
        if _crosses_rescale(before, self.clean):
            self.ensemble.rescale(self.reservoir.rows)
        if (
            self._training_state == "waiting"
            and self.ensemble.model is None
            and self.clean >= TRAIN_AFTER_CLEAN
        ):
            self._training_state = "due"

    def _allowed(self, flagged: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the flagged rows that the calibration may see: the budget's share, not a burst."""
        self._allowance = min(self._allowance + ALLOWANCE * self.rate * len(flagged), ALLOWANCE_CAP)
        rows = np.flatnonzero(flagged)[: int(self._allowance)]
        self._allowance -= len(rows)
        return rows

    def _alert(self, batch: RecordBatch, i: int, row: NDArray[np.float64], score: float) -> Alert:
        record = batch.record(i)
        why = explain(row, self.features.columns, self.reservoir.rows, self.ensemble.score_batch, record)
        seq = batch.first_seq + i
        entities = {name: text for name in self.schema.entities if (text := batch.text(i, name)) is not None}
        return Alert(
            id=f"{self.feed}-{seq}",
            feed=self.feed,
            seq=seq,
            time=rfc3339(float(batch.time_s[i])),
            score=float(score),
            one_in=one_in(float(score)),
            severity=severity_of(float(score), self.threshold),
            maturity="mature" if self.is_mature else "warming_up",
            summary=why.summary,
            reasons=why.reasons,
            record=record,
            entities=entities,
        )

    def take_training_set(self) -> TrainingSet | None:
        """Return the training set once, when it has become due."""
        if self._training_state != "due":
            return None
        self._training_state = "taken"
        return self.training_set()

    def training_set(self) -> TrainingSet | None:
        """Return the clean rows set aside so far, None where a model scores already or too few came."""
        if self.ensemble.model is not None or self.clean < TRAIN_AFTER_CLEAN:
            return None
        return TrainingSet(
            features=self.reservoir.rows, columns=self.column_names, last_seq=self.seen, seed=self.seed
        )

    def swap(self, model: TrainedModel) -> None:
        """Let a model score from the next record on."""
        self.ensemble.swap(model, self.reservoir.rows)

    def rename(self, schema: FeedSchema) -> None:
        """Take a schema whose scored columns are the same."""
        self.schema = schema

    def status(self) -> dict[str, Any]:
        """Return where scoring stands, ready for JSON; rates are shares of records."""
        flaggable = max(self.seen - FIRST_ALERT_AFTER, 0)
        return {
            "maturity": "mature" if self.is_mature else "warming_up",
            "seen": self.seen,
            "clean": self.clean,
            "train_at": TRAIN_AFTER_CLEAN,
            "budget": str(self.budget),
            "threshold": self.threshold,
            "promised_rate": self.promised / flaggable if flaggable else None,
            "realised_rate": self.flagged / flaggable if flaggable else None,
            "columns": len(self.column_names),
            "evicted_entities": self.features.evicted,
            "late": self.features.late,
        }

    def state(self) -> dict[str, Any]:
        """Return the exact state for `anomalyai.state`; the trained model stays beside it."""
        state: dict[str, Any] = {
            "seen": self.seen,
            "flagged": self.flagged,
            "clean": self.clean,
            "promised": self.promised,
            "allowance": self._allowance,
            "training_state": self._training_state,
            "pending": len(self._pending),
        }
        for prefix, part in self._parts().items():
            state.update({f"{prefix}/{name}": value for name, value in part.state().items()})
        for place, (values, members, raw, flagged, time_s) in enumerate(self._pending):
            state[f"pending{place}/names"] = list(members)
            arrays = {"values": values, "raw": raw, "flagged": flagged, "time_s": time_s}
            arrays.update({f"member.{name}": scores for name, scores in members.items()})
            state.update({f"pending{place}/{name}": array for name, array in arrays.items()})
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state of the same columns."""
        self.seen, self.flagged, self.clean = (int(state[name]) for name in ("seen", "flagged", "clean"))
        self.promised, self._allowance = float(state["promised"]), float(state["allowance"])
        self._training_state = state["training_state"]
        for prefix, part in self._parts().items():
            start = f"{prefix}/"
            part.restore(
                {name[len(start) :]: value for name, value in state.items() if name.startswith(start)}
            )
        self._pending.clear()
        for place in range(int(state["pending"])):
            at = f"pending{place}/"
            members = {name: state[f"{at}member.{name}"] for name in state[f"{at}names"]}
            self._pending.append(
                (
                    state[f"{at}values"],
                    members,
                    state[f"{at}raw"],
                    state[f"{at}flagged"],
                    state[f"{at}time_s"],
                )
            )

    def _parts(self) -> dict[str, Any]:
        return {
            "features": self.features,
            "ensemble": self.ensemble,
            "calibrator": self.calibrator,
            "reservoir": self.reservoir,
            "flow": self.flow,
        }


def _crosses_rescale(before: int, after: int) -> bool:
    """Return whether a point at which scales are taken anew lies in (before, after]."""
    if any(before < point <= after for point in RESCALE_AT):
        return True
    point = RESCALE_AT[-1] * 2
    while point <= after:
        if before < point:
            return True
        point *= 2
    return False
