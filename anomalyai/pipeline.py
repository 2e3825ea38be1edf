"""The one way from records to scores, alerts and learning: live, in a back-test, in training, in a cluster.

`Pipeline.process` takes a batch of records through features, detectors, calibration and decision, and learns
at the end of every block of records (`anomalyai.block`), flagged records held back. Its state is a function
of the log entries in order: no clock, no unseeded randomness, no side effect; the cut into batches changes
nothing.

A pipeline is one shard and single-threaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from anomalyai import state as state_codec
from anomalyai import verdict as verdicts
from anomalyai.alert import Alert, Amendment
from anomalyai.arrival import Origins
from anomalyai.budget import DEFAULT_BUDGET, AlertBudget
from anomalyai.comparison import Comparison
from anomalyai.control import BudgetChange, Labels, SchemaChange, Verdict
from anomalyai.errors import StateError
from anomalyai.explanation import Explanation
from anomalyai.frozen import Frozen, Mark, Section, thawed
from anomalyai.growth import adds_columns, same_columns
from anomalyai.mismatch import require_columns, require_schema, require_young, unfit
from anomalyai.predict import Prediction, Trial, explain
from anomalyai.provisional import ProvisionalRecords
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from anomalyai.scored import ScoredBatch
from anomalyai.scorer import Scorer
from anomalyai.silence import SilenceWatch
from anomalyai.start import read_start
from anomalyai.stretch import Described
from anomalyai.training import TrainedModel, Trainer, TrainingSet
from anomalyai.triage import Sorted, Triage
from anomalyai.witness import Witness

KIND = "pipeline"


class Pipeline:
    """Scores a feed's records and learns from them.

    Parameters
    ----------
    schema
        What is known of the feed's fields; None starts empty and waits for a `SchemaChange`.
    feed
        The feed's name, used in alert ids.
    budget
        The promised alert rate, "1/1000" or "20/day"; a schema's own budget takes precedence, and of later
        changes of either the last one.
    trainer
        Trains the batch model in place at the record that makes it due (back-test). None leaves training to
        the caller, who is handed the `TrainingSet` and swaps the model in when it is ready.
    seed
        Fixes every random choice.
    explained
        Whether flagged records become `Alert`s with reasons; a back-test needs their scores only.
    without
        Members of the ensemble that are to have no say, or "far out" (`anomalyai.ensemble.MEMBERS`).
    witness
        Sees every record's feature row and score; no part of the state.
    """

    def __init__(
        self,
        schema: FeedSchema | None = None,
        *,
        feed: str = "feed",
        budget: str = DEFAULT_BUDGET,
        trainer: Trainer | None = None,
        seed: int = 0,
        explained: bool = True,
        without: Sequence[str] = (),
        witness: Witness | None = None,
    ) -> None:
        self.schema = schema if schema is not None else FeedSchema()
        self.feed = feed
        self.budget = self.schema.budget or budget
        self.trainer = trainer
        self.seed = seed
        self.explained = explained
        self.without = tuple(without)
        self._witness = witness
        self.model_id: str | None = None  # of the model that scores
        self._provisional = ProvisionalRecords()
        self.silences = SilenceWatch(feed, self.schema.entities)  # to be read
        self.triage = Triage(feed)
        self._start_scorer()

    def _start_scorer(self) -> None:
        """Start learning anew with the columns that the schema has now."""
        budget = AlertBudget.parse(self.budget)
        self._scored = self.schema
        self._scorer = Scorer(
            self.schema, feed=self.feed, budget=budget, seed=self.seed, without=self.without
        )
        self.silences.restart(self.schema.entities)
        self.model_id = None
        if self._witness is not None:
            self._witness.restart(self._scorer.features.columns)

    @property
    def seen(self) -> int:
        """Records processed so far."""
        return self._scorer.seen

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the feature columns, which a trained model has to read (`anomalyai.mismatch.reads`)."""
        return tuple(column.name for column in self._scorer.features.columns)

    @property
    def promised_rate(self) -> float:
        """The alert budget as a share of records, at the feed's present flow."""
        return self._scorer.rate

    def pending_training_set(self) -> TrainingSet | None:
        """Return the clean rows of a first model that is due and not there yet, for a restart; else None."""
        return self._scorer.training_set()

    def process(self, batch: RecordBatch, origins: Origins | None = None) -> ScoredBatch:
        """Score a batch against what was learnt before it, decide, and learn.

        With the log entries it came from (`origins`) silences are watched for too, which changes no score.

        Raises
        ------
        StateError
            The batch was read under another schema than the pipeline's.
        """
        require_schema(batch.schema, self.schema)
        self._provisional.keep(batch)
        parts: list[ScoredBatch] = []
        silences: list[tuple[list[Alert], list[Amendment]]] = []
        training_set: TrainingSet | None = None
        for part, described in self._blocks(batch):
            rate = self._scorer.rate
            scored = self._score(part, described, explained=self.explained)
            raised, resumed = self.silences.observe(part, described.alive_s, rate, origins)
            scored, raised = self.triage.take(scored, raised, described.time_s, origins)
            parts.append(scored)
            silences.append((raised, resumed))
            due = self._scorer.take_training_set()
            if due is not None and self.trainer is not None:
                self.swap("trained-in-place", self.trainer(due))
            elif due is not None:
                training_set = due
        return ScoredBatch.joined(
            batch,
            parts,
            threshold=self._scorer.threshold,
            silences=silences,
            training_set=training_set,
            notices=self._scorer.notices.take(),
        )

    def _blocks(self, batch: RecordBatch) -> Iterator[tuple[RecordBatch, Described]]:
        """Yield the records of a batch block by block; each must be processed before the next."""
        for first in range(0, batch.n, self._scorer.longest_stretch):
            run = batch.slice(first, first + self._scorer.longest_stretch)
            stretch, start = self._scorer.describe(run), 0
            while start < run.n:
                stop = min(run.n, start + self._scorer.block_end - self.seen)
                yield run.slice(start, stop), stretch.part(self._scorer.ensemble, start, stop)
                start = stop

    def predict(self, batch: RecordBatch) -> list[Prediction]:
        """Score a batch as the pipeline stands, without learning it or keeping anything of it."""
        return self.trial().predict(batch)

    def trial(self) -> Trial:
        """Begin to score batches one after another as `predict` would score them all as one."""
        return Trial(self._scorer)

    def explain(self, batch: RecordBatch, index: int) -> Explanation:
        """Say why record `index` of a batch would be flagged, or why not; nothing is learnt or kept.

        The records before it in the batch count as having come. Raises `IndexError` where there is no such.
        """
        return explain(self._scorer, batch, index)

    def apply(self, change: SchemaChange | BudgetChange | Verdict | Labels) -> list[Amendment]:
        """Take a control entry; it acts from the next record on. Returns what it does to earlier alerts.

        A verdict or labels on records: their entities' history is updated, and of what is held back an
        anomaly is dropped and never learnt, a false alarm learnt; both are remembered, so that like records
        are rarer, or more usual, from here on, and the open alerts of those held back are ranked anew
        (`anomalyai.verdict`).

        A schema that only adds fields to a settled one keeps everything learnt; any other change starts the
        detectors anew, from the feed's first records where those are still at hand (kinds are provisional
        until 500 records).
        """
        if isinstance(change, BudgetChange):
            self._set_budget(change.budget)
            return []
        if isinstance(change, Verdict | Labels):
            return verdicts.take(self._scorer, self.schema, change)
        previous, self.schema = self.schema, change.schema
        if change.schema.budget not in (None, previous.budget):
            self._set_budget(change.schema.budget)
        if same_columns(previous, change.schema) or (
            (previous.settled or self._scored.settled) and adds_columns(previous, change.schema)
        ):
            self._scorer.rename(change.schema)
        else:
            self._start_scorer()
            self._relearn()
        if change.schema.settled:
            self._provisional.forget()
        return []

    def tick(self, time_s: float, entry: int, seq: int) -> Sorted:
        """Take the tick that is log entry `entry`, after record `seq`; returns what it shows of a silence."""
        return self.triage.take_silences(self.silences.tick(time_s, entry, seq), time_s)

    def _set_budget(self, budget: str) -> None:
        self._scorer.budget = AlertBudget.parse(budget)
        self.budget = budget

    def _score(self, part: RecordBatch, described: Described, *, explained: bool) -> ScoredBatch:
        scored = self._scorer.process(part, described, explained=explained)
        if self._witness is not None:
            self._witness.see(part, described.values, scored)
        return scored

    def _relearn(self) -> None:
        """Learn the first records again, as far as they are at hand, under the schema of today."""
        for batch in self._provisional.reread(self.schema):
            for part, described in self._blocks(batch):
                self._score(part, described, explained=False)

    def swap(self, model_id: str, model: TrainedModel) -> None:
        """Let a trained model score from the next record on.

        Raises
        ------
        ModelError
            The model was trained on other columns than the feed has.
        """
        require_columns(model_id, model.columns, self.columns)
        self._scorer.swap(model)
        self.model_id = model_id
        shadow = self._scorer.shadow
        if shadow is not None and shadow.is_promoted(model_id):
            self.end_shadow()

    @property
    def shadow_id(self) -> str | None:
        """The candidate that scores beside the model, None where there is none."""
        return None if self._scorer.shadow is None else self._scorer.shadow.model_id

    def shadow(self, model_id: str, model: TrainedModel) -> None:
        """Let a candidate score beside the model, without alerting; raises as `swap` does."""
        require_columns(model_id, model.columns, self.columns)
        self._scorer.begin_shadow(model_id, model)

    def end_shadow(self) -> None:
        """Let no candidate score beside the model from here on."""
        self._scorer.shadow = None

    def comparison(self) -> Comparison | None:
        """Return what the candidate in the shadow would have done; None where there is none."""
        shadow = self._scorer.shadow
        return None if shadow is None else shadow.comparison(self._scorer, self.model_id)

    def start_from(self, start: bytes, model_id: str, model: TrainedModel) -> None:
        """Go on from the state that a model's training data left, and let the model score.

        For a feed whose kinds are provisional (fewer than 500 records): these records, as far as they are at
        hand, are learnt again on top of it. The feed's own name, budget and silences stay; what was held back
        or judged of the training data is dropped. Nothing changes where an error is raised.

        Raises
        ------
        ModelError
            The feed has settled records of its own, or lacks columns of the model.
        StateError
            `start` is no such state.
        """
        require_young(model_id, self.seen, self.schema)
        begun = read_start(KIND, start, self.feed, AlertBudget.parse(self.budget))
        begun.require(model_id, model.columns, self.schema)
        self._scorer, self._scored, self.without = begun
        self._scorer.rename(self.schema)
        self.seed = begun.scorer.seed
        self.silences.restart(self._scored.entities)
        self.swap(model_id, model)
        if self._witness is not None:
            self._witness.restart(self._scorer.features.columns)
        self._relearn()

    def status(self) -> dict[str, Any]:
        """Return where the pipeline stands, ready for JSON."""
        shadow = self._scorer.shadow
        return {
            "model": self.model_id,
            "shadow": None if shadow is None else shadow.status(),
            **self._scorer.status(),
            "silences": self.silences.status(),
            "incidents": self.triage.status(),
        }

    def _state(self) -> dict[str, Any]:
        return {
            "schema": msgspec.json.encode(self.schema),
            "scored": None if self._scored == self.schema else msgspec.json.encode(self._scored),
            "feed": self.feed,
            "budget": self.budget,
            "seed": self.seed,
            "explained": self.explained,
            "without": list(self.without),
            "model_id": self.model_id,
            "provisional": self._provisional.state(),
            **self._scorer.state(),
            **state_codec.under("silence", self.silences.state()),
            **state_codec.under("triage", self.triage.state()),
        }

    def dumps(self) -> bytes:
        """Return the exact state; `loads` continues bit for bit."""
        return state_codec.dumps(KIND, self._state(), pack=True)

    def freeze(self, base: Mark | None = None) -> Frozen:
        """Begin a copy of the state as it is now, to be finished in steps while records go on coming.

        `base` is the mark of an earlier one that this one is to go on top of; `thaw` makes a pipeline of it.
        """
        return Frozen(KIND, self._state(), self._scorer.features.ticks, base)

    @classmethod
    def loads(
        cls, data: bytes, models: Mapping[str, TrainedModel] | None = None, *, trainer: Trainer | None = None
    ) -> Pipeline:
        """Rebuild a pipeline from `dumps`; `models` holds the trained model the state names, if any.

        Raises
        ------
        StateError
            The bytes cannot be read, or the model they name is not given.
        """
        return cls._of(state_codec.loads(KIND, data), models, trainer)

    @classmethod
    def thaw(
        cls, document: bytes, sections: Mapping[str, Section], models: Mapping[str, TrainedModel]
    ) -> Pipeline:
        """Rebuild a pipeline from the parts of a frozen state; raises as `loads` does."""
        return cls._of(thawed(state_codec.loads(KIND, document), sections), models, None)

    @classmethod
    def _of(
        cls, state: dict[str, Any], models: Mapping[str, TrainedModel] | None, trainer: Trainer | None
    ) -> Pipeline:
        try:
            scored = msgspec.json.decode(state["scored"] or state["schema"], type=FeedSchema)
            pipeline = cls(
                scored,
                feed=state["feed"],
                trainer=trainer,
                seed=state["seed"],
                explained=state["explained"],
                without=state["without"],
            )
            pipeline._restore(state)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise unfit(KIND, error) from error
        model_id = state["model_id"]
        if model_id is not None:
            if models is None or model_id not in models:
                raise StateError(
                    f"the state needs the model {model_id!r}, which was not given", code="model_missing"
                )
            require_columns(model_id, models[model_id].columns, pipeline.columns)
            pipeline._scorer.ensemble.model = models[model_id]
            pipeline.model_id = model_id
        candidate = pipeline.shadow_id
        if candidate is not None:
            # a lost candidate must not keep a feed from its state: no score of the feed rests on it
            pipeline._scorer.resume_shadow((models or {}).get(candidate))
        return pipeline

    def _restore(self, state: dict[str, Any]) -> None:
        self._set_budget(state["budget"])
        self._provisional.restore(state["provisional"])
        self._scorer.restore(state)
        self.silences.restore(state_codec.part_of("silence", state))
        self.triage.restore(state_codec.part_of("triage", state))
        self.schema = msgspec.json.decode(state["schema"], type=FeedSchema)
        self._scorer.rename(self.schema)
