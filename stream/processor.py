"""The engine's work, entry by entry: through the pipeline, into one transaction, on to the viewers.

`take` gathers, `launch` starts a commit, `land` waits for it and publishes; the order of the steps stands in
`stream.engine`, whose thread is the only one that calls anything here. `lanes` may be read by anyone.
"""

from __future__ import annotations

import logging
import threading
from typing import NamedTuple

from anomalyai.control import Labels, Verdict
from anomalyai.training import TrainingSet
from stream import settings
from stream.backlog import Backlog
from stream.checkpoint import Checkpoints
from stream.clock import Clock
from stream.coalesce import joined, may_join
from stream.errors import LogDamaged, LogFailure, NotReady
from stream.hub import Hub
from stream.lane import Lane
from stream.log import LogItem, LogReader, StoredEntry
from stream.recovery import Recovery
from stream.results import Commit, Confirmation, Results, job_row
from stream.revision import revised
from stream.snapshot import Snapshots
from stream.store import Store, Tally
from stream.training.jobs import Jobs
from stream.training.task import Task
from stream.writer import Writer

RETRY_S = 0.5
ERROR_CHARS = 1000

log = logging.getLogger("anomalyai.stream")


class Parts(NamedTuple):
    """What an engine is made of."""

    writer: Writer
    reader: LogReader
    store: Store
    snapshots: Snapshots
    checkpoints: Checkpoints
    recovery: Recovery
    training: Jobs
    hub: Hub
    backlog: Backlog
    clock: Clock
    settings: settings.Engine


class Processor:
    """Every feed's lane, the results being gathered and the commit under way.

    `stopping` ends the patience with a log that cannot be written: what is not committed by then is given up
    (`abandoned`) and done again by the next start.
    """

    def __init__(self, parts: Parts, stopping: threading.Event) -> None:
        self.lanes: dict[str, Lane] = {}
        self.abandoned = False
        self.cause: str | None = None
        self.dead_letters = 0
        self._parts = parts
        self._stopping = stopping
        self._results = Results()
        self._held: dict[str, list[LogItem]] = {}
        self._held_records = 0
        self._flying: Commit | None = None

    @property
    def flying(self) -> bool:
        """Whether a commit is under way."""
        return self._flying is not None

    @property
    def records(self) -> int:
        """Records taken since the last launch."""
        return self._results.records + self._held_records

    def take(self, item: LogItem) -> None:
        """Take an entry that has just become durable; the backlog counts it out when it is committed."""
        self._results.waiting_records += item.n
        self._results.waiting_bytes += item.size_bytes if item.n else 0
        self._hold(self.lane(item.feed), item)

    def settle(self, feed: str) -> Lane:
        """Return a feed's lane after all its entries that were taken."""
        lane = self.lane(feed)
        self._release(lane)
        return lane

    def lane(self, feed: str) -> Lane:
        """Return a feed's lane; a new feed's begins here."""
        lane = self.lanes.get(feed)
        if lane is None:
            lane = self.lanes[feed] = self._restored(feed, {})
        return lane

    def recover(self, feed: str, tally: Tally) -> None:
        """Bring a feed to the end of its log. `cause` says how far it is."""
        parts = self._parts
        lane = self.lanes[feed] = self._restored(feed, tally)
        channel = parts.hub.channel(feed)
        channel.begin(lane.committed_seq)
        for scored in parts.recovery.line(lane.shard):
            channel.fill(scored)
        last = parts.reader.last_entry(feed)
        for stored in parts.reader.read(feed, lane.shard.entry, last):
            self.cause = f"recovering feed {feed}: entry {stored.entry} of {last}"
            if stored.first_seq is not None and stored.entry > lane.committed_entry:
                parts.backlog.arrived(feed, stored.first_seq + stored.n - 1, stored.arrival)
            self._hold(lane, stored)
            if self.records >= parts.settings.max_batch_records:
                self.launch()
            if self._stopping.is_set():
                break
        self.launch()
        self.land()
        lane.recovered()
        self.cause = None

    def launch(self) -> None:
        """Start the commit of what was gathered; the one before has to land first."""
        for feed in list(self._held):
            self._release(self.lanes[feed])
        self.land()
        if not (self._results.empty or self.abandoned):  # nothing may overtake what was given up
            commit, self._results = Commit(self._results), Results()
            self._submit(commit)

    def land(self) -> None:
        """Wait for the commit under way, try it again as long as it fails, then publish."""
        while self._flying is not None:
            commit, self._flying = self._flying, None
            try:
                commit.finished.result()
            except LogFailure as error:
                log.error("results could not be committed, they are tried again: %s", error)
                if self._stopping.wait(RETRY_S):
                    self.abandoned = True
                    return
                self._submit(Commit(commit.results))
            else:
                self._publish(commit.results)

    def confirm(self, lane: Lane, waiting: Confirmation) -> None:
        """Answer, once an entry's results are committed, how many alerts it ranked anew."""
        if waiting.entry <= lane.committed_entry:
            waiting.confirmed.set_result(lane.reranked.get(waiting.entry, 0))
        elif self._results.positions.get(lane.feed, (0, 0))[0] >= waiting.entry:
            self._results.confirmations.append(waiting)
        elif self._flying is not None:
            self._flying.results.confirmations.append(waiting)
        else:
            waiting.confirmed.set_exception(NotReady("the engine is stopping"))

    def checkpoint(self, every_records: int, every_s: float) -> None:
        """Begin a snapshot of every feed whose state moved that far, or that long ago."""
        now_s = self._parts.clock.monotonic_s()
        for lane in self.lanes.values():
            if lane.snapshot_due(now_s, every_records, every_s):
                self._parts.checkpoints.begin(lane)

    def save(self) -> None:
        """Save every feed whose state moved since its last snapshot, before this returns."""
        self._parts.checkpoints.settle()
        for lane in self.lanes.values():
            if lane.snapshot_due(self._parts.clock.monotonic_s(), every_records=1, every_s=0.0):
                self._parts.checkpoints.save(lane)

    def _submit(self, commit: Commit) -> None:
        try:
            self._parts.writer.submit(commit)
        except LogFailure as error:
            commit.failed(error)
        self._flying = commit

    def _restored(self, feed: str, tally: Tally) -> Lane:
        parts = self._parts
        committed = parts.store.position(feed)
        parts.snapshots.drop_after(feed, committed[0])
        return Lane(
            parts.recovery.restore(feed, committed[0]),
            committed=committed,
            skipped=parts.store.dead_letters(feed),
            tally=tally,
            monotonic_s=parts.clock.monotonic_s(),
        )

    def _hold(self, lane: Lane, source: LogItem | StoredEntry) -> None:
        """Put an entry through its pipeline, a small one a little later, together with those that follow."""
        if source.entry in lane.skipped:
            self._release(lane)
            lane.shard.skip(source.entry, source.first_seq, source.n)
            if source.entry > lane.committed_entry:
                self._results.done(lane.feed, lane.shard.entry, lane.shard.seq)
            return
        if isinstance(source, StoredEntry):
            try:
                item = source.decode(lane.shard.pipeline.schema)
            except Exception as error:  # noqa: BLE001 - one bad entry must not stop the engine
                self._release(lane)
                self._set_aside(lane, source, error)
                return
        else:
            item = source
        held = self._held.get(lane.feed, [])
        if held and (not may_join(held, item) or item.entry > lane.committed_entry >= held[0].entry):
            self._release(lane)
            held = []
        if may_join(held, item):
            self._held.setdefault(lane.feed, []).append(item)
            self._held_records += item.n
        else:
            self._advance(lane, [item])

    def _release(self, lane: Lane) -> None:
        """Put what is held of a feed through its pipeline."""
        held = self._held.pop(lane.feed, None)
        if held:
            self._held_records -= sum(item.n for item in held)
            self._advance(lane, held)

    def _advance(self, lane: Lane, items: list[LogItem]) -> None:
        """Put entries through their feed's pipeline as one and gather what came of them."""
        before, last, whole = lane.shard.pipeline.seen, items[-1], joined(items)
        failure: Exception | None = None
        try:
            parts = list(lane.shard.take(whole, self._parts.settings.max_batch_records))
        except Exception as error:  # noqa: BLE001 - one bad entry must not stop the engine
            failure = error
        if failure is not None and last is items[0]:
            self._set_aside(lane, last, failure)
            return
        if failure is not None:
            self._advance_singly(lane, items)
            return
        for scored in parts:
            lane.scored(scored)
        if whole.records is not None:
            lane.truth = lane.truth.plus(whole.records.label, parts)
        if last.entry <= lane.committed_entry:
            for scored in parts:
                self._parts.hub.channel(lane.feed).fill(scored)
            return
        for scored in parts:
            self._results.add(lane.feed, items[0].arrival_s, scored)
            if scored.training_set is not None:
                place = scored.training_set.last_seq - before
                self._train(lane.feed, last.entry, parts[0].first_seq + place - 1, scored.training_set)
        if last.control is not None or lane.shard.amendments:
            self._judge(lane, last)
        self._results.add_scores(lane.feed, [(item.entry, item.n) for item in items], parts)
        self._results.done(lane.feed, last.entry, lane.shard.seq)

    def _judge(self, lane: Lane, item: LogItem) -> None:
        """Gather what a verdict, labels or the end of a silence have changed of earlier alerts."""
        if isinstance(item.control, Verdict | Labels):
            said = len(item.control.labels) if isinstance(item.control, Labels) else 1
            lane.judged["labels" if isinstance(item.control, Labels) else "verdicts"] += said
        changes = lane.shard.amendments
        if not changes:
            return
        self.land()  # so that the store has every alert that is not among the results at hand
        if self.abandoned:
            return
        changed = revised(changes, self._results.fresh, self._parts.store)
        if item.control is not None:
            judged = {change.id for change in changes if change.status is not None}
            lane.rerank(item.entry, sum(alert.id not in judged for alert, _ in changed))
        self._results.revise(lane.feed, changed)

    def _advance_singly(self, lane: Lane, items: list[LogItem]) -> None:
        """Begin again before some entries that failed together, so that only the bad one is set aside."""
        self._rebuild(lane, items[0].entry - 1)
        for item in items:
            self._advance(lane, [item])

    def _train(self, feed: str, entry: int, seq: int, training_set: TrainingSet) -> None:
        """Keep a training set; without it the records that completed it must not count as processed.

        The job is named by the record that completed the set, so that a replay names the same one.
        """
        job_id = f"{feed}-{seq}"
        while True:
            try:
                self._parts.training.keep(job_id, training_set)
                break
            except OSError as error:
                self.cause = f"the training set {job_id} cannot be kept: {error}"
                log.error("%s", self.cause)
                if self._stopping.wait(RETRY_S):
                    self.abandoned = True
                    return
        self.cause = None
        self._results.jobs.append(job_row(job_id, feed, entry, self._parts.clock.now_s()))

    def _set_aside(self, lane: Lane, source: LogItem | StoredEntry, error: Exception) -> None:
        """Put an entry into the dead letters, with what came before it, and rebuild the state without it."""
        self._note_dead(lane, source, error)
        self._rebuild(lane, source.entry)
        if source.entry > lane.committed_entry:
            self._results.done(lane.feed, source.entry, lane.shard.seq)
        self.launch()
        self.land()
        if not self.abandoned:
            self._parts.checkpoints.save(lane)  # so that the next rebuild is short

    def _rebuild(self, lane: Lane, upto: int) -> None:
        """Begin a feed again after an entry; what can no longer be read on the way is set aside too."""
        limit = self._parts.settings.max_batch_records
        lane.shard = self._parts.recovery.rebuild(
            lane.feed, upto, lane.skipped, limit, lambda stored, error: self._note_dead(lane, stored, error)
        )

    def _note_dead(self, lane: Lane, source: LogItem | StoredEntry, error: Exception) -> None:
        """Put an entry into the dead letters: every replay passes over it."""
        log.error(
            "feed %s: entry %d (%d records from %s on) %s and is set aside",
            lane.feed,
            source.entry,
            source.n,
            source.first_seq,
            "is damaged" if isinstance(error, LogDamaged) else "made the pipeline fail",
            exc_info=error,
        )
        text = f"{type(error).__name__}: {error}"[:ERROR_CHARS]
        self.dead_letters += 1
        lane.skipped[source.entry] = text
        now_s = self._parts.clock.now_s()
        self._results.dead(lane.feed, source.entry, source.first_seq, source.n, text, now_s)

    def _publish(self, results: Results) -> None:
        clock = self._parts.clock
        now_s, monotonic_s = clock.now_s(), clock.monotonic_s()
        for feed, (entry, seq) in results.positions.items():
            self.lanes[feed].committed(entry, seq)
            self._parts.backlog.committed(feed, seq)
        for item in results.published:
            lane = self.lanes[item.feed]
            lane.count(item.scored.alerts)
            if results.waiting_records:
                lane.meter.count(monotonic_s, item.scored.n, now_s - item.arrival_s)
            self._parts.hub.channel(item.feed).publish(item.scored, item.alerts, item.incidents)
        for revision in results.revised:
            self.lanes[revision.feed].count(revision.alerts, revision.former)
            self._parts.hub.channel(revision.feed).revise(revision.encoded)
        for waiting in results.confirmations:
            waiting.confirmed.set_result(self.lanes[waiting.feed].reranked.get(waiting.entry, 0))
        for row in results.jobs:
            self._parts.training.submit(
                Task(id=row["id"], feed=row["feed"], entry=row["entry"], created_s=row["created"])
            )
        self._parts.backlog.remove(results.waiting_records, results.waiting_bytes)
