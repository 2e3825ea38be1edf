"""Training a feed's model again: on schedule, on drift or by hand, and putting it in if it passes the gate.

Looked at about once a second, by a thread of its own. A feed whose model was trained long enough ago, and
which has seen enough records since, is trained again; one whose pipeline says that it drifts, too, but not
twice within the cool-down. One retraining a feed at a time. What was decided stands in the database before it
is acted upon (`stream.retraining.decision`), so a restart goes on where it was: a training that has finished
meanwhile is judged, a model that has passed is put in.

Times are the runtime's clock, counts and drifts the pipeline's. `by_hand` and `close` are for any thread,
`run` is the body of the retraining thread.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from anomalyai.errors import AnomalyAIError, ModelError
from anomalyai.gate import Bounds, Judgement, judge
from anomalyai.manifest import Manifest
from anomalyai.model_store import ModelStore
from anomalyai.training import Preprocessing, TrainingOptions
from stream import settings
from stream.candidate.comparison import LEAD_RECORDS, Comparisons
from stream.candidate.replay import Question
from stream.champion.promotion import Promotions
from stream.clock import Clock
from stream.engine import Engine
from stream.errors import LogFailure, NoModel, NotReady, Overloaded, RetrainingRuns, UnknownJob
from stream.feeds import Feeds
from stream.job import Job
from stream.retraining.decision import Cause, Decision, Decisions
from stream.training.jobs import Jobs

POLL_S = 1.0
WAIT_S = 1.0
MOST_DEATHS = 3
"""Times that a comparing process may die before the model is left to a person."""

log = logging.getLogger("anomalyai.stream")


class Means(NamedTuple):
    """What retraining works with."""

    feeds: Feeds
    engine: Engine
    jobs: Jobs
    models: ModelStore
    comparisons: Comparisons
    promotions: Promotions


class Retraining:
    """The retrainings of one data directory. `cooled` counts drifts that came within the cool-down."""

    def __init__(self, limits: settings.Retraining, clock: Clock, means: Means, decisions: Decisions) -> None:
        self.decisions = decisions
        self.cooled = 0
        self._limits = limits
        self._clock = clock
        self._feeds, self._engine, self._jobs, self._models, self._comparisons, self._promotions = means
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._starting = threading.Lock()
        self._first_seen_s: dict[str, float] = {}
        self._cooled: dict[str, int] = {}
        self._deaths: dict[str, int] = {}
        self._jobs.on_trained = self.on_trained
        self._engine.accompany("retraining", self.run, self.close)

    def on_trained(self, job: Job, manifest: Manifest) -> None:
        """Look soon at what has become of a training; one that a crash left without its start is taken up."""
        log.info("feed %s: model %s is trained and goes to the gate", job.feed, manifest.id)
        if job.created_by in ("schedule", "drift") and not self.decisions.knows(job.feed, job.id):
            self._attempted(job.feed, self._decide, job.feed, "started", job.created_by, job.id)
        self._wake.set()

    def close(self) -> None:
        """End the thread; what is under way goes on at the next start."""
        self._closing.set()
        self._wake.set()

    def run(self) -> None:
        """Look at the feeds until closed."""
        while not self._closing.is_set():
            self._wake.wait(POLL_S)
            self._wake.clear()
            if self._closing.is_set() or not self._engine.recovered:
                continue
            for decision in self.decisions.open():
                self._attempted(decision.feed, self._go_on, decision)
            for feed in self._feeds.names():
                cause = self._due(feed)
                if cause is not None:
                    self._attempted(feed, self._start, feed, cause)

    def by_hand(self, feed: str) -> Job:
        """Train a feed's model again now; it goes live if it passes the gate.

        Raises
        ------
        UnknownFeed, NoModel, RetrainingRuns, ModelError
            There is no such feed, it has no model or too few records, or one is being trained already.
        Overloaded, LogFailure, NotReady
            It cannot be taken now.
        """
        self._feeds.get(feed)
        return self._start(feed, "hand")

    def describe(self, feed: str) -> dict[str, Any]:
        """Return a feed's decisions, the newest first, and how many drifts came within the cool-down."""
        self._feeds.get(feed)
        return {"decisions": self.decisions.of(feed), "cooled": self._cooled.get(feed, 0)}

    def _attempted(self, feed: str, step: Callable[..., object], *arguments: Any) -> None:
        """Take a step; what is refused for now is tried again at the next look."""
        try:
            step(*arguments)
        except (NotReady, Overloaded, LogFailure) as error:
            log.info("feed %s: the retraining waits: %s", feed, error)
        except AnomalyAIError as error:
            log.error("feed %s: the retraining cannot go on: %s", feed, error)

    def _due(self, feed: str) -> Cause | None:
        """Return why a feed is to be trained again now; None where it is not."""
        lane = self._engine.lane(feed)
        status = lane.status if lane is not None else {}
        champion = status.get("model")
        if champion is None or self._is_running(feed):
            return None
        now_s, seen = self._clock.now_s(), int(status["seen"])
        since_s, seen_then = self._baseline(feed, champion, seen, now_s)
        drifted = [note["seen"] for note in status["notices"] if note["kind"] != "adopted"]
        if self._limits.on_drift and drifted and max(drifted) > seen_then:
            start = self.decisions.last_start(feed)
            if start is None or now_s - start.at_s >= self._limits.cooldown_s:
                return "drift"
            self._cool(feed, max(drifted))
        every_s = self._limits.every_s or math.inf
        if now_s - since_s >= every_s and seen - seen_then >= self._limits.every_records:
            return "schedule"
        return None

    def _cool(self, feed: str, drift: int) -> None:
        """Count a drift that is left alone, once."""
        key = f"{feed} {drift}"
        if key not in self._first_seen_s:
            self._first_seen_s[key] = self._clock.now_s()
            self._cooled[feed] = self._cooled.get(feed, 0) + 1
            self.cooled += 1

    def _baseline(self, feed: str, champion: str, seen: int, now_s: float) -> tuple[float, int]:
        """Return when a feed's model was trained last, and how many records the feed had seen then."""
        start = self.decisions.last_start(feed)
        if start is not None:
            return start.at_s, min(start.seen, seen)
        first_s = self._first_seen_s.setdefault(feed, now_s)
        try:
            manifest = self._models.manifest(champion)
        except ModelError:
            return first_s, 0
        return manifest.created_s or first_s, min(manifest.last_seq, seen)

    def _is_running(self, feed: str) -> bool:
        """Whether a retraining of a feed is under way."""
        return any(one.feed == feed for one in self.decisions.open())

    def _start(self, feed: str, cause: Cause) -> Job:
        with self._starting:
            if self._is_running(feed):
                raise RetrainingRuns(
                    f"the model of the feed {feed!r} is being trained again already",
                    field="feed",
                    hint="GET /feeds/{feed}/decisions says how far it is",
                )
            lane = self._engine.lane(feed)
            champion = lane.status.get("model") if lane is not None else None
            if lane is None or champion is None:
                raise NoModel(
                    f"the feed {feed!r} has no trained model yet",
                    field="feed",
                    hint="the first one is trained by itself after some 2,000 records",
                )
            last_s = self._limits.last_s or None
            job = self._jobs.start_log(feed, self._options(champion), last_s=last_s, created_by=cause)
            self._decide(feed, "started", cause, job.id, champion=champion, seen=int(lane.status["seen"]))
            return job

    def _options(self, champion: str) -> TrainingOptions:
        """Return what the champion was trained with, so that a person's choice stays."""
        try:
            manifest = self._models.manifest(champion)
            return msgspec.convert(
                {
                    "algorithm": manifest.algorithm,
                    "parameters": manifest.parameters,
                    "preprocessing": manifest.preprocessing or msgspec.to_builtins(Preprocessing()),
                },
                TrainingOptions,
            )
        except (ModelError, msgspec.ValidationError) as error:
            log.warning("%s is trained again with defaults: %s", champion, error)
            return TrainingOptions()

    def _go_on(self, decision: Decision) -> None:
        """Take the next step of a retraining, if it can be taken."""
        if decision.kind == "passed":
            self._promote(decision)
            return
        try:
            job = self._jobs.get(decision.job)
        except UnknownJob:
            self._decide_on(decision, "failed", reasons=("its training is not known any more",))
            return
        if job.state in ("failed", "cancelled"):
            reason = job.error.message if job.error is not None else f"the training was {job.state}"
            self._decide_on(decision, "failed", reasons=(reason,))
        elif job.state == "done" and job.model is not None:
            self._judge(decision, job.model)

    def _judge(self, decision: Decision, model: str) -> None:
        """Hold a trained model against the champion of today."""
        lane = self._engine.lane(decision.feed)
        champion = lane.status.get("model") if lane is not None else None
        if champion is None or champion == model:
            reasons = (
                "it is the model that scores already" if champion else "the feed has no model any more",
            )
            self._decide_on(decision, "refused", model=model, champion=champion, reasons=reasons)
            return
        try:
            outcome = self._outcome(decision, model, champion)
        except NotReady as error:
            if self._closing.is_set():
                return
            self._deaths[decision.job] = self._deaths.get(decision.job, 0) + 1
            if self._deaths[decision.job] < MOST_DEATHS:
                raise
            outcome = Judgement(False, (f"it could not be compared: {error.message}",), {})
        except ModelError as error:
            outcome = Judgement(False, (f"it could not be compared: {error.message}",), {})
        if outcome is None:
            return
        self._deaths.pop(decision.job, None)
        kept = self._decide_on(
            decision,
            "passed" if outcome.passed else "refused",
            model=model,
            champion=champion,
            reasons=outcome.reasons,
            figures=dict(outcome.figures),
        )
        if outcome.passed:
            self._promote(kept)

    def _outcome(self, decision: Decision, model: str, champion: str) -> Judgement | None:
        """Compare over the recent log and judge; None where the runtime stops meanwhile."""
        question = Question(
            feed=decision.feed,
            model=model,
            champion=champion,
            records=self._limits.gate_records,
            lead_records=LEAD_RECORDS,
        )
        answer = None
        while answer is None:
            if self._closing.is_set():
                return None
            answer = self._comparisons.ask(question, WAIT_S)
        bounds = Bounds(
            rate_factor=self._limits.rate_factor,
            min_agreement=self._limits.min_agreement,
            max_precision_loss=self._limits.max_precision_loss,
        )
        return judge(answer.comparison, bounds)

    def _promote(self, decision: Decision) -> None:
        """Put a model that has passed into its feed."""
        assert decision.model is not None
        try:
            self._promotions.promote(decision.feed, decision.model, by=decision.cause)
        except ModelError as error:
            self._decide_on(decision, "refused", reasons=(error.message,))
        else:
            self._decide_on(decision, "promoted")

    def _decide(self, feed: str, kind: Any, cause: Cause, job: str, **more: Any) -> Decision:
        at_s = self._clock.now_s()
        return self.decisions.add(
            Decision(number=0, feed=feed, at=None, at_s=at_s, kind=kind, cause=cause, job=job, **more)
        )

    def _decide_on(self, before: Decision, kind: Any, **more: Any) -> Decision:
        """Keep the next decision of a retraining; what is not said anew stays as it was."""
        after = msgspec.structs.replace(before, at_s=self._clock.now_s(), kind=kind, **more)
        return self.decisions.add(after)
