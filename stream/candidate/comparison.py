"""A candidate beside the champion, as it is asked for: live from the shadow, or over the recent log.

What the log says takes a process of its own, one at a time, and a few seconds; its answer is kept for a
while. Safe from any thread: one lock guards what is kept, and is never held over anything slow.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import Literal

import msgspec

from anomalyai.budget import AlertBudget
from anomalyai.comparison import Comparison
from anomalyai.errors import ModelError
from stream.candidate.process import Inquest
from stream.candidate.replay import Answer, Question
from stream.clock import Clock
from stream.engine import Engine
from stream.errors import NoModel, Overloaded
from stream.feeds import Feeds
from stream.lane import Lane
from stream.models import Models

__all__ = ["LAST_RECORDS", "MAX_LAST_RECORDS", "Compared", "Comparisons"]

PATIENCE_S = 30.0
WAIT_S = 8.0
"""How long a request waits for an answer before it is told to ask again."""

FRESH_S = 60.0
KEPT = 16
LAST_RECORDS, MAX_LAST_RECORDS = 20_000, 200_000
LEAD_RECORDS = 100_000
RETRY_AFTER_S = 2.0


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison and where it is from: `exact` and `note` say how true it is to what was scored live."""

    feed: str
    source: Literal["shadow", "log"]
    budget: str | None
    exact: bool
    note: str | None
    comparison: Comparison


class _Kept:
    """A question that was put, and since when its answer is there."""

    def __init__(self, inquest: Inquest) -> None:
        self.inquest = inquest
        self.done_s: float | None = None


class Comparisons:
    """Compares stored models with the ones that score."""

    def __init__(self, data: Path, feeds: Feeds, models: Models, engine: Engine, clock: Clock) -> None:
        self._data = data
        self._feeds = feeds
        self._models = models
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[Question, _Kept] = OrderedDict()

    def compare(
        self,
        model_id: str,
        feed: str | None = None,
        *,
        last: int | None = None,
        budget: str | None = None,
        wait_s: float = WAIT_S,
    ) -> Compared | None:
        """Compare a model with the one that scores a feed; None where it takes longer, to be asked again.

        A model in the feed's shadow is compared on the live traffic since it began, unless `last`, a number
        of records, or `budget` asks for the log.

        Raises
        ------
        UnknownFeed, ModelError, NoModel, SchemaError
            There is no such feed or model, the model is the feed's own or reads other columns, the feed has
            none to compare with, or the budget is none.
        Overloaded, NotReady
            Another comparison is being made, or it cannot be done now.
        """
        manifest = self._models.store.manifest(model_id)
        feed = manifest.feed if feed is None else feed
        self._feeds.get(feed)
        if budget is not None:
            AlertBudget.parse(budget)
        if last is None and budget is None:
            live = self._live(feed, model_id)
            if live is not None:
                return Compared(
                    feed=feed, source="shadow", budget=None, exact=True, note=None, comparison=live
                )
        question = Question(
            feed=feed,
            model=model_id,
            champion=self._champion(feed, model_id),
            budget=budget,
            records=LAST_RECORDS if last is None else last,
            lead_records=LEAD_RECORDS,
        )
        answer = self._kept_inquest(question).result(wait_s)
        if answer is None:
            return None
        return Compared(
            feed=feed,
            source="log",
            budget=budget,
            exact=answer.exact,
            note=answer.note,
            comparison=answer.comparison,
        )

    def ask(self, question: Question, wait_s: float) -> Answer | None:
        """Put a question, or find the answer it was given lately; None where it takes longer.

        Raises
        ------
        ModelError, Overloaded, NotReady
            As `compare`.
        """
        return self._kept_inquest(question).result(wait_s)

    def close(self) -> None:
        """End the process that runs, if any."""
        with self._lock:
            kept = list(self._kept.values())
            self._kept.clear()
        for one in kept:
            one.inquest.close()

    def _live(self, feed: str, model_id: str) -> Comparison | None:
        def read(lane: Lane) -> Comparison | None:
            pipeline = lane.shard.pipeline
            return pipeline.comparison() if pipeline.shadow_id == model_id else None

        found: Comparison | None = self._engine.ask(feed, read).result(PATIENCE_S)
        return found

    def _champion(self, feed: str, model_id: str) -> str:
        """Return the model that scores a feed; another one than the candidate."""

        def read(lane: Lane) -> str | None:
            return lane.shard.pipeline.model_id

        champion: str | None = self._engine.ask(feed, read).result(PATIENCE_S)
        if champion is None:
            raise NoModel(
                f"the feed {feed!r} has no trained model to compare with",
                field="feed",
                hint="it is trained after some 2,000 records; GET /feeds/{feed} says how far it is",
            )
        if champion == model_id:
            raise ModelError(
                f"model {model_id!r} scores the feed {feed!r} already",
                code="model_in_use",
                hint="compare another model with it; GET /models?feed= lists them",
            )
        return champion

    def _kept_inquest(self, question: Question) -> Inquest:
        """Return what was asked lately, or ask; an old answer is forgotten."""
        now_s = self._clock.monotonic_s()
        with self._lock:
            for kept in self._kept.values():
                if kept.done_s is None and not kept.inquest.is_running:
                    kept.done_s = now_s
            found = self._kept.get(question)
            if found is not None and (found.done_s is None or now_s - found.done_s <= FRESH_S):
                return found.inquest
            if any(kept.done_s is None for kept in self._kept.values()):
                raise Overloaded(
                    "another comparison over the log is being made, one at a time is",
                    retry_after_s=RETRY_AFTER_S,
                    hint="send it again after Retry-After",
                )
            if found is not None:
                self._kept.pop(question).inquest.close()
            made = self._kept[question] = _Kept(Inquest(self._data, question))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)[1].inquest.close()
            return made.inquest
