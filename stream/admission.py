"""Admission of one feed: bytes become numbered log entries in the order in which they are taken.

The feed's lock is held while a body is recognised (was it sent before?), read by the intake, numbered and
queued for the log, so that the order of the log is the order of the intake; it is released while the log
makes it durable. When the log refuses an append, everything numbered since is rolled back before the next
body is taken. Every method may be called from any thread.
"""

from __future__ import annotations

import math
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from anomalyai.budget import DEFAULT_BUDGET
from anomalyai.control import BudgetChange, ClockTick, ControlEntry, SchemaChange
from anomalyai.errors import TooLarge, UnreadableBody, UnsupportedMedia
from anomalyai.intake import Admission, Intake
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from stream.backlog import Backlog
from stream.clock import ArrivalClock, Clock
from stream.dedup import Ack, Answer, Counts, Key, Memory, Refusal, Remembered, count, digest, remember
from stream.log import Entry, Log
from stream.policy import Policies
from stream.recall import PendingAnswer, ProducerMark, Recall
from stream.transaction import Statements

MAX_ENTRY_RECORDS = 10_000
"""A body of more records becomes several log entries, in one transaction."""


class Body(NamedTuple):
    """A body on its way in.

    `data` are the bytes that a repeat must equal, `read` hands them to the intake with the time of arrival.
    `keep_refusal` remembers the answer to an unreadable body too; `guard` is called first, under the feed's
    lock, and may raise.
    """

    data: bytes
    read: Callable[[Intake, float], Admission]
    key: Key | None = None
    keep_refusal: bool = False
    guard: Callable[[], None] | None = None


class Shared(NamedTuple):
    """What the admissions of all feeds share."""

    log: Log
    memory: Memory
    backlog: Backlog
    clock: Clock
    policies: Policies
    default_budget: str
    max_producers: int


class _Mark(NamedTuple):
    """A feed's admission as it was before a body, to go back to."""

    checkpoint: object
    last_seq: int
    counts: Counts
    begun: bool
    restated: SchemaChange | None
    producer: ProducerMark | None


class _Pending(NamedTuple):
    before: _Mark
    durable: Future[list[int]]
    key: Key | None


class FeedAdmission:
    """The door of one feed; `durable_seq` is its last durable record, `durable` whether it has anything."""

    def __init__(
        self,
        feed: str,
        intake: Intake,
        shared: Shared,
        *,
        last_seq: int = 0,
        last_arrival_s: float = -math.inf,
        counts: Counts | None = None,
        producers: dict[str, int] | None = None,
        damaged: int | None = None,
    ) -> None:
        self.feed = feed
        self.counts = counts or Counts()
        self.durable_seq = last_seq
        self.durable = counts is not None
        self._intake = intake
        self._shared = shared
        self._last_seq = last_seq
        self._arrivals = ArrivalClock(shared.clock, last_arrival_s)
        self._begun = counts is not None
        self.note: str | None = None
        self._restated: SchemaChange | None = None
        if damaged is not None:
            # what comes next is read under an older schema than the engine may have: the log has to say so
            self._restated = SchemaChange(intake.schema)
            self.note = (
                f"the newest schema, entry {damaged} of the log, is damaged; the feed goes on under the one "
                f"before it: declare it anew (PUT /feeds/{feed}) if fields are missing"
            )
        self._recall = Recall(feed, shared.memory, producers or {}, shared.max_producers)
        self._epoch = shared.log.epoch(feed)
        self._pending: deque[_Pending] = deque()
        self._lock = threading.Lock()

    @property
    def schema(self) -> FeedSchema:
        """The schema that the next record is read under."""
        return self._intake.schema

    @property
    def fields(self) -> dict[str, Any]:
        """Counts of new fields since the start, and the names of those that have vanished."""
        with self._lock:
            counters, vanished = self._intake.counters, list(self._intake.vanished)
        return {"new": counters.new_fields, "over_limit": counters.fields_over_limit, "vanished": vanished}

    @property
    def begun(self) -> bool:
        """Whether anything of this feed was queued for the log."""
        return self._begun

    def next_batch(self, producer: str) -> int:
        """Return the batch number that a producer goes on with."""
        with self._lock:
            self._settle()
            return self._recall.next_batch(producer)

    def admit(self, body: Body) -> PendingAnswer:
        """Take a body; returns once it is queued for the log.

        Raises
        ------
        UnreadableBody, TooLarge, UnsupportedMedia
            Nothing of it was taken.
        BatchConflict
            Its key was used before for another body.
        """
        seal = b"" if body.key is None else digest(body.data)
        with self._lock:
            self._settle()
            if body.guard is not None:
                body.guard()
            if body.key is not None:
                known = self._recall.first_answer(body.key, seal, self.counts.key_count)
                if known is not None:
                    return known
            before = self._mark(body.key)
            taken = False
            try:
                pending = self._take(body, seal, before)
                taken = True
            finally:
                if not taken:
                    self._restore(before)
            return pending

    def declare(self, declared: FeedSchema) -> Future[list[int]] | None:
        """Take a declaration; None where it changes nothing. Raises `SchemaConflict`."""
        with self._lock:
            self._settle()
            before = self._mark(None)
            change = self._intake.declare(declared)
            if change is None and self._begun and self._restated is None:
                return None
            self._restated = None
            payloads = [*self._prelude(), change or SchemaChange(self._intake.schema)]
            return self._queue(payloads, before, self._arrivals.now_s(), also=[self._count()])

    def control(self, change: ControlEntry, also: Sequence[Statements] = ()) -> Future[list[int]]:
        """Append a control entry, with statements for the same transaction."""
        with self._lock:
            self._settle()
            return self._queue([change], self._mark(None), self._arrivals.now_s(), also=also)

    def tick(self) -> None:
        """Append a clock tick, which tells the feed's pipeline how late it is; does not wait for the log."""
        with self._lock:
            self._settle()
            now_s = self._arrivals.now_s()
            self._queue([ClockTick(now_s)], self._mark(None), now_s, also=[])

    def _take(self, body: Body, seal: bytes, before: _Mark) -> PendingAnswer:
        arrival_s = self._arrivals.now_s()
        admission, answer = self._read(body, arrival_s, before)
        if not (self._begun or admission.items):
            return PendingAnswer(answer, None)
        self.counts = Counts(
            rejected=self.counts.rejected + len(admission.rejected),
            shed=self.counts.shed + admission.shed,
            key_count=self.counts.key_count + (body.key is not None),
        )
        payloads = [*self._prelude(), *self._number(admission.items)]
        also: list[Statements] = []
        if self.counts != before.counts or not before.begun:
            also.append(self._count())
        if body.key is None:
            if not payloads and not also:
                return PendingAnswer(answer, None)
            return PendingAnswer(answer, self._queue(payloads, before, arrival_s, also))
        remembered = Remembered(seal, answer)
        also.append(remember(self.feed, self.counts.key_count, body.key, remembered))
        also += self._recall.advance(body.key)
        durable = self._queue(payloads, before, arrival_s, also, body.key)
        self._recall.fly(body.key, remembered, durable)
        return PendingAnswer(answer, durable)

    def _read(self, body: Body, arrival_s: float, before: _Mark) -> tuple[Admission, Answer]:
        try:
            admission = body.read(self._intake, arrival_s)
        except (UnreadableBody, TooLarge, UnsupportedMedia) as error:
            if not (body.keep_refusal and body.key is not None and self._begun):
                raise
            self._restore(before)
            refusal = Refusal(error.code, error.message, error.field, error.hint)
            return Admission([], []), Answer(refusal=refusal)
        taken = admission.accepted
        first_seq = self._last_seq + 1 if taken else None
        last_seq = self._last_seq + taken if taken else None
        return admission, Answer(Ack(taken, admission.rejected, admission.shed, first_seq, last_seq))

    def _number(self, items: Sequence[SchemaChange | RecordBatch]) -> list[SchemaChange | RecordBatch]:
        numbered: list[SchemaChange | RecordBatch] = []
        for item in items:
            if not isinstance(item, RecordBatch):
                numbered.append(item)
                continue
            batch = item.numbered(self._last_seq + 1)
            self._last_seq += item.n
            if item.n <= MAX_ENTRY_RECORDS:
                numbered.append(batch)
            else:  # so that the engine publishes as it goes, and one record is read without half a million
                numbered += [
                    batch.slice(start, start + MAX_ENTRY_RECORDS)
                    for start in range(0, item.n, MAX_ENTRY_RECORDS)
                ]
        return numbered

    def _prelude(self) -> list[ControlEntry]:
        """Return what the log of a new feed begins with, so that its state is a function of the log alone.

        One whose newest schema is damaged goes on with the schema that it has instead.
        """
        if self._restated is not None:
            restated, self._restated = self._restated, None
            return [restated]
        if self._begun or self._shared.default_budget == DEFAULT_BUDGET:
            return []
        return [BudgetChange(self._shared.default_budget)]

    def _count(self) -> Statements:
        return count(self.feed, self._shared.clock.now_s(), self.counts)

    def _queue(
        self,
        payloads: Sequence[RecordBatch | ControlEntry],
        before: _Mark,
        arrival_s: float,
        also: Sequence[Statements],
        key: Key | None = None,
    ) -> Future[list[int]]:
        entries = [Entry.of(payload) for payload in payloads]
        records = sum(entry.n for entry in entries)
        size_bytes = sum(len(entry.body) for entry in entries if entry.n)
        self._shared.backlog.add(records, size_bytes)
        durable = self._shared.log.append(
            self.feed,
            self._epoch,
            entries,
            arrival_s=arrival_s,
            producer=key.producer if key else None,
            batch=key.batch if key else None,
            also=also,
        )
        self._begun = True
        self._pending.append(_Pending(before, durable, key))
        durable.add_done_callback(partial(self._written, records, size_bytes, self._last_seq))
        return durable

    def _written(self, records: int, size_bytes: int, last_seq: int, durable: Future[list[int]]) -> None:
        """Note how an append ended; runs in the writer thread."""
        if durable.exception() is not None:
            self._shared.backlog.remove(records, size_bytes)
        else:
            self.durable_seq = last_seq
            self.durable = True

    def _mark(self, key: Key | None) -> _Mark:
        return _Mark(
            self._intake.checkpoint(),
            self._last_seq,
            self.counts,
            self._begun,
            self._restated,
            self._recall.mark(key),
        )

    def _restore(self, mark: _Mark) -> None:
        self._intake.rollback(mark.checkpoint)
        self._recall.restore(mark.producer)
        self._last_seq, self.counts, self._begun = mark.last_seq, mark.counts, mark.begun
        self._restated = mark.restated

    def _settle(self) -> None:
        """Forget what became durable; after a failed append, go back to before it."""
        while self._pending and self._pending[0].durable.done():
            if self._pending[0].durable.exception() is not None:
                self._roll_back()
                return
            landed = self._pending.popleft()
            if landed.key is not None:
                self._recall.land(landed.key)

    def _roll_back(self) -> None:
        """Undo everything in flight: what follows a failed append in the queue fails too."""
        while self._pending:
            undone = self._pending.pop()
            self._restore(undone.before)
            if undone.key is not None:
                self._recall.land(undone.key)
        self._epoch = self._shared.log.epoch(self.feed)
