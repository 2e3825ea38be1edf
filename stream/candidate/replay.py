"""What would have been: a part of a feed's log played again with another model, or another budget.

The part begins with the state that the feed had there: of the newest snapshot before it, or of the log's
beginning, and what lies between is played first. Where that is further than the question allows, or retention
has dropped it, the state is learnt anew from as many records before the part, which is said. Read-only and
single-threaded: in a process of its own beside a server, or from the command line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from anomalyai.comparison import MAX_EXAMPLES, Comparison
from anomalyai.control import BudgetChange, ModelSwap
from anomalyai.errors import ModelError
from anomalyai.model_store import ModelStore
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.training import TrainedModel
from anomalyai.whatif import Item, Replayed, Side, Told, compare_sides
from stream.database import Database
from stream.history import History, Span, require_database
from stream.log import LogItem, LogReader
from stream.loss import Losses
from stream.models import Models
from stream.recovery import Recovery
from stream.secret import instance_secret
from stream.shard import Shard
from stream.snapshot import Snapshots
from stream.store import Store

MAX_RECORDS = 2_000_000
"""Records that are compared at most, the latest ones: what both said of each is kept until the end."""

SLICE_RECORDS = 10_000

Progress = Callable[[int, int], None]
"""Called with (records done, records in all) now and then."""

log = logging.getLogger("anomalyai.stream")


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of a feed's past: `model` and `budget` are the candidate's, None as in the log.

    The champion is the model `champion` throughout, and the candidate's budget its own too; None asks about
    what was scored at the time, as stored. `last_s` is seconds of arrival before the last record, `records`
    a number of records; where both are given the shorter part counts. `lead_records` may be played before
    the part at most, any number where None.
    """

    feed: str
    model: str | None = None
    budget: str | None = None
    champion: str | None = None
    last_s: float | None = None
    records: int | None = None
    lead_records: int | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it; `exact` says whether the state at the beginning was the feed's own.

    `passed_over` counts log entries that could not be read or were set aside.
    """

    comparison: Comparison
    exact: bool
    note: str | None
    passed_over: int


class _Part(NamedTuple):
    """The part that is asked about, what is played from its lead on, and the state before that."""

    span: Span
    shard: Shard
    played: Span
    note: str | None


class Replays:
    """Answers questions about the past of one data directory."""

    def __init__(self, data: Path, database: Database, models: Models) -> None:
        self._store = Store(database)
        self._reader = LogReader(database)
        self._models = models
        self._history = History(database)
        snapshots = Snapshots(data / "snapshots", self._store.identity())
        self._recovery = Recovery(self._reader, self._store, Losses(database), snapshots, models)

    def answer(self, question: Question, progress: Progress | None = None) -> Answer:
        """Play the part twice, or once beside what is stored, and compare.

        Raises
        ------
        UnknownFeed, ModelError
            There is no such feed or model, or the model reads other columns than the feed has.
        SchemaError
            The budget is none.
        """
        for model_id in (question.model, question.champion):
            if model_id is not None:
                self._models.load(model_id)
        part = self._part(question)
        items = _Counted(self._history.read(part.played), part.span.records, progress)
        shard = part.shard
        first: LogItem | None = None
        for item in items:
            if item.entry > part.span.after:
                first = item
                break
            for _ in shard.take(item, SLICE_RECORDS):
                pass
        if part.note is not None:
            self._catch_up(shard, part.span.after)
        snapshot = shard.snapshot()

        def side(model_id: str | None, budget: str | None) -> Replayed:
            pipeline = Shard.restored(question.feed, self._models, snapshot).pipeline
            return Replayed(pipeline, self._models, model_id=model_id, budget=budget)

        candidate = side(question.model, question.budget)
        played = _Entries(items, first)
        champion: Side = _Stored(self._store, question.feed, played)
        replayed: Replayed | None = None
        if question.champion is not None:
            champion = replayed = side(question.champion, question.budget)
            if question.model is not None:
                _listen(replayed.pipeline, question.model, self._models)
        found = compare_sides(champion, candidate, played, first_seq=part.span.first_seq)
        if question.model is not None and candidate.pipeline.model_id != question.model:
            raise ModelError(
                f"model {question.model!r} reads other columns than feed {question.feed!r} has",
                code="model_columns",
                field="model",
                hint="train a model on this feed's own records",
            )
        return Answer(
            comparison=self._named(found, question, candidate, replayed),
            exact=part.note is None,
            note=part.note,
            passed_over=self._history.passed_over,
        )

    def _named(
        self, found: Comparison, question: Question, candidate: Replayed, champion: Replayed | None
    ) -> Comparison:
        """Return the comparison with the models' names, and how alike they are by themselves."""
        shadow = champion.pipeline.comparison() if champion is not None else None
        before = question.champion
        if before is None:
            upto = self._store.position(question.feed)[0]
            swap = self._reader.last_control(question.feed, "model", upto)
            before = swap.model_id if isinstance(swap, ModelSwap) else None
        return msgspec.structs.replace(
            found,
            champion=msgspec.structs.replace(found.champion, model=before),
            candidate=msgspec.structs.replace(found.candidate, model=candidate.pipeline.model_id),
            voice_correlation=shadow.voice_correlation if shadow is not None else None,
        )

    def _part(self, question: Question) -> _Part:
        feed, upto = question.feed, self._store.position(question.feed)[0]
        since_s = None if question.last_s is None else self._reader.last_arrival_s(feed) - question.last_s
        records = MAX_RECORDS if question.records is None else min(question.records, MAX_RECORDS)
        span = self._history.span(feed, since_s=since_s, records=records, upto=upto)
        shard = self._recovery.restore(feed, span.after)
        lead = span.first_seq - 1 - shard.seq
        within = question.lead_records is None or lead <= question.lead_records
        if within and shard.note is None:
            return _Part(span, shard, self._from(shard, span), None)
        lead = MAX_RECORDS if question.lead_records is None else question.lead_records
        played = self._history.span(feed, records=span.records + lead, upto=upto)
        note = (
            f"the state before record {span.first_seq} was learnt anew from the "
            f"{span.first_seq - played.first_seq} records before it, so scores differ from those of the time"
        )
        return _Part(span, Shard(feed, self._models), played, note)

    def _from(self, shard: Shard, span: Span) -> Span:
        """Return what follows a state, up to the end of a part."""
        lead = max(span.first_seq - 1 - shard.seq, 0)
        schema = self._history.schema(span.feed, shard.entry)
        return Span(span.feed, shard.entry, span.upto, shard.seq + 1, span.records + lead, schema)

    def _catch_up(self, shard: Shard, entry: int) -> None:
        """Give a state that was learnt anew the model and the budget that the feed had at an entry."""
        for kind in ("budget", "model"):
            change = self._reader.last_control(shard.feed, kind, entry)
            if isinstance(change, BudgetChange):
                shard.pipeline.apply(change)
            elif isinstance(change, ModelSwap) and shard.pipeline.model_id != change.model_id:
                model = self._models.get(change.model_id)
                if model is not None:
                    _put_in(shard.pipeline, change.model_id, model)


@contextmanager
def opened(data: Path) -> Iterator[Replays]:
    """Open a data directory for questions about its past, whether or not a server has it.

    Raises
    ------
    StoreVersion
        There is no database.
    """
    require_database(data)
    database = Database(data)
    try:
        yield Replays(data, database, Models(ModelStore(data / "models", instance_secret(data))))
    finally:
        database.close()


class _Counted:
    """The items of a log, with progress told of their records."""

    def __init__(self, items: Iterator[LogItem], total: int, progress: Progress | None) -> None:
        self._items, self._total, self._progress = items, total, progress
        self._done = 0

    def __iter__(self) -> Iterator[LogItem]:
        return self

    def __next__(self) -> LogItem:
        item = next(self._items)
        self._done += item.n
        if self._progress is not None and item.n:
            self._progress(min(self._done, self._total), self._total)
        return item


class _Entries:
    """What the sides are given: payloads, with the number of the entry that is being played."""

    def __init__(self, items: Iterator[LogItem], first: LogItem | None) -> None:
        self._items, self._first = items, first
        self.entry = 0

    def __iter__(self) -> Iterator[Item]:
        if self._first is not None:
            self.entry = self._first.entry
            yield self._first.payload
        for item in self._items:
            self.entry = item.entry
            yield item.payload


class _Stored:
    """The side that says what was said at the time."""

    def __init__(self, store: Store, feed: str, played: _Entries) -> None:
        self._store, self._feed, self._played = store, feed, played

    def __call__(self, item: Item) -> Told | None:
        if not isinstance(item, RecordBatch):
            return None
        row = self._store.scores(self._played.entry)
        if row is None:
            return None
        seqs = (row.first_seq + np.flatnonzero(row.flagged)).tolist()[-MAX_EXAMPLES:]
        alerts = self._store.alerts_by_id([f"{self._feed}-{seq}" for seq in seqs])
        return Told(row.score, row.flagged, {alert.seq: alert for alert in alerts.values()})


def _listen(pipeline: Pipeline, model_id: str, models: Mapping[str, TrainedModel]) -> None:
    """Let a candidate speak beside the champion's pipeline, to compare what the two say by themselves."""
    if model_id != pipeline.model_id:
        try:
            pipeline.shadow(model_id, models[model_id])
        except ModelError as error:
            log.info("%s does not fit where the part begins: %s", model_id, error)


def _put_in(pipeline: Pipeline, model_id: str, model: TrainedModel) -> None:
    try:
        pipeline.swap(model_id, model)
    except ModelError as error:
        log.info("%s does not fit what was learnt anew: %s", model_id, error)
