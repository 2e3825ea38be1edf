"""The engine: the one owner of threads, and the loop that turns log entries into committed results.

Four threads: the writer (`stream.writer`), the engine's own, the training thread (`stream.training`), and one
that writes snapshots (`stream.checkpoint`). The commit order, from a frame to a snapshot; 1 to 3 run in the
writer's thread, once per group of frames, and so does 6; the rest in the engine's, once per micro-batch:

1. one transaction: the frames' rows with their checksums, their first answers, their producers' places;
2. hand the entries over to the engine, in log order;
3. resolve the acknowledgements: only now is a frame answered;
4. take entries until size, age or a pause closes the micro-batch;
5. put each through its feed's `Pipeline`, one after the other, neighbours joined;
6. one transaction: alerts, scores, dead letters, queued trainings and every feed's position;
7. hand what was committed to the hub, and finished training sets to the training thread;
8. copy a part of each state that a snapshot is due of; a finished copy whose entry is committed goes to the
   snapshot thread: written whole, synced, then given its name.

Step 6 runs while the next micro-batch goes through 4 and 5; 7 and 8 follow its COMMIT. A crash between any
two steps (`stream.testing.STEPS`, each of them tested): before 1 is over the frame was not acknowledged, and
its producer sends it again; from then on it is in the log. Recovery takes the newest snapshot and replays the
log from there; entries up to the committed position are put through the pipeline for its state alone, so no
alert is raised twice, and later ones as if they had just come. A viewer that missed step 7 rereads by seq.

An entry that makes the pipeline raise is logged, set aside in the `dead_letter` table and left out of the
state: the feed is rebuilt from its last snapshot without it, and every replay passes over it.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from stream.errors import NotReady
from stream.lane import Lane
from stream.log import LogItem
from stream.processor import Parts, Processor
from stream.results import Confirmation
from stream.warmup import warm_up_scoring

SECOND_S = 1.0
LINGER_S = 0.005
"""How long a small micro-batch stays open for the next entry: senders that wait for each ack share its
commit."""

WORTH_RECORDS = 256
"""A micro-batch of so many records waits for nothing."""

log = logging.getLogger("anomalyai.stream")


class Inquiry(NamedTuple):
    """A question about a feed, to be answered between two entries by the engine's thread."""

    feed: str
    ask: Callable[[Lane], Any]
    answer: Future[Any]


class Engine:
    """Start it once, stop it once; `on_second` is called about once a second by the engine's thread.

    `fault` says what ended a thread before its time, None while all is well.
    """

    def __init__(self, parts: Parts, on_second: Callable[[float], None]) -> None:
        self._parts = parts
        self._on_second = on_second
        self._inbox: SimpleQueue[LogItem | Inquiry | None] = SimpleQueue()
        self._stopping = threading.Event()
        self._recovered = threading.Event()
        self._processor = Processor(parts, self._stopping)
        self.fault: str | None = None
        self._second_s = 0.0
        self._companions: dict[str, Callable[[], None]] = {}
        self._threads = {
            name: threading.Thread(target=self._guarded, args=(name, body), name=name, daemon=True)
            for name, body in (
                ("writer", parts.writer.run),
                ("engine", self._run),
                ("training", parts.training.run),
                ("snapshot", parts.checkpoints.run),
            )
        }

    def accompany(self, name: str, body: Callable[[], None], close: Callable[[], None]) -> None:
        """Let a thread run `body` from `start` until `close` ends it at the stop. Called before `start`."""
        self._threads[name] = threading.Thread(
            target=self._guarded, args=(name, body), name=name, daemon=True
        )
        self._companions[name] = close

    @property
    def dead_letters(self) -> int:
        """Entries set aside since the start."""
        return self._processor.dead_letters

    @property
    def recovered(self) -> bool:
        """Whether every feed has come to the end of its log."""
        return self._recovered.is_set()

    def start(self) -> None:
        """Start the threads; returns at once, recovery goes on in the engine's."""
        for thread in self._threads.values():
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Finish what was admitted, save the state and end the threads, in about `timeout_s` at most.

        What does not get done in time is done by the next start: it is in the log.
        """
        parts = self._parts
        deadline_s = parts.clock.monotonic_s() + timeout_s
        parts.backlog.close()
        self._stopping.set()
        self._inbox.put(None)
        parts.training.close()
        for close in self._companions.values():
            close()
        for name in ("engine", "training", *self._companions):
            self._join(name, deadline_s)
        self._processor.abandoned = True
        parts.writer.close()
        parts.checkpoints.close()
        for name in ("writer", "snapshot"):
            self._join(name, deadline_s)

    def join(self, timeout_s: float | None) -> bool:
        """Wait until recovery has ended, one way or the other; returns whether the engine is ready."""
        self._recovered.wait(timeout_s)
        return not self.causes()

    def causes(self) -> list[str]:
        """Return why the engine does not process records; empty while it does."""
        causes = [self.fault, self._parts.writer.cause, self._processor.cause]
        if not self._recovered.is_set() and not self._processor.cause:
            causes.append("the engine is starting")
        if self._stopping.is_set():
            causes.append("the engine is stopping")
        return [cause for cause in causes if cause]

    def hand_over(self, items: list[LogItem]) -> None:
        """Take entries that have just become durable; called by the writer thread, in log order.

        The inbox is bounded by the backlog that admission keeps to.
        """
        for item in items:
            if item.first_seq is not None:
                self._parts.backlog.arrived(item.feed, item.first_seq + item.n - 1, item.arrival_s)
            self._inbox.put(item)

    def ask(self, feed: str, ask: Callable[[Lane], Any]) -> Future[Any]:
        """Let the engine's thread answer a question about a feed; the future may raise what `ask` raises.

        Raises
        ------
        NotReady
            The engine does not run.
        """
        if not self._recovered.is_set() or self._stopping.is_set() or self.fault:
            raise NotReady("the engine is not running", hint="; ".join(self.causes()) or None)
        inquiry = Inquiry(feed, ask, Future())
        self._inbox.put(inquiry)
        return inquiry.answer

    def confirm(self, feed: str, entry: int) -> Future[int]:
        """Let the future answer, once what came of an entry is committed, how many alerts it ranked anew.

        The entry must be durable. Raises `NotReady`.
        """
        waiting = Confirmation(feed, entry, Future())
        self.ask(feed, lambda lane: self._processor.confirm(lane, waiting))
        return waiting.confirmed

    def lane(self, feed: str) -> Lane | None:
        """Return what the engine keeps of a feed, for its figures; None before its first entry."""
        return self._processor.lanes.get(feed)

    def _join(self, name: str, deadline_s: float) -> None:
        thread = self._threads[name]
        if thread.ident is None:
            return
        thread.join(max(0.1, deadline_s - self._parts.clock.monotonic_s()))
        if thread.is_alive():
            log.warning("the %s thread did not end in time; the next start does what is left", name)

    def _guarded(self, name: str, body: Callable[[], None]) -> None:
        try:
            body()
        except Exception as error:
            log.critical("the %s thread ended", name, exc_info=error)
            self.fault = f"the {name} thread ended: {type(error).__name__}: {error}"
            self._parts.backlog.close()
            self._recovered.set()

    def _run(self) -> None:
        self._recover()
        while not self._is_done():
            self._cycle()
        self._processor.launch()
        self._processor.land()
        if not self._processor.abandoned:
            self._processor.save()

    def _recover(self) -> None:
        """Compile, bring every feed to the end of its log, take up the trainings that a crash cut short."""
        parts = self._parts
        warm_up_scoring()
        tallies = parts.store.alert_tallies()
        for feed in parts.store.feeds():
            if not self._stopping.is_set():
                self._processor.recover(feed, tallies.get(feed, {}))
        parts.training.resume()
        self._recovered.set()

    def _is_done(self) -> bool:
        if not self._stopping.is_set():
            return False
        return self._processor.abandoned or (not self._parts.backlog.records and self._inbox.empty())

    def _cycle(self) -> None:
        """Run one micro-batch through the steps; where nothing waits, let the one before land."""
        clock, limits = self._parts.clock, self._parts.settings
        is_busy = self._processor.flying or self._parts.checkpoints.copying
        item = self._next(0.0 if is_busy else self._idle_s())
        if item is None:
            self._processor.land()
        opened_s = clock.monotonic_s()
        while item is not None:
            if isinstance(item, Inquiry):
                self._answer(item)
            else:
                self._processor.take(item)
            left_s = opened_s + 0.001 * limits.max_batch_age_ms - clock.monotonic_s()
            if self._processor.records >= limits.max_batch_records or left_s <= 0:
                break
            item = self._next(min(left_s, LINGER_S) if self._processor.records < WORTH_RECORDS else 0.0)
        self._processor.launch()
        self._tick()

    def _next(self, timeout_s: float) -> LogItem | Inquiry | None:
        try:
            return self._inbox.get(timeout=timeout_s) if timeout_s > 0 else self._inbox.get_nowait()
        except Empty:
            return None

    def _idle_s(self) -> float:
        """Return how long nothing is due: no points, and not the figures of the next second."""
        now_s = self._parts.clock.monotonic_s()
        due_s = self._parts.hub.flush(now_s)
        until_s = min(self._second_s, due_s if due_s is not None else math.inf) - now_s
        return min(max(until_s, 0.001), SECOND_S)

    def _tick(self) -> None:
        now_s = self._parts.clock.monotonic_s()
        self._parts.hub.flush(now_s)
        self._parts.checkpoints.step()
        if now_s >= self._second_s:
            self._second_s = math.floor(now_s) + SECOND_S
            self._on_second(now_s)
            limits = self._parts.settings
            self._processor.checkpoint(limits.snapshot_every_records, limits.snapshot_every_s)

    def _answer(self, inquiry: Inquiry) -> None:
        try:
            inquiry.answer.set_result(inquiry.ask(self._processor.settle(inquiry.feed)))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever asked
            inquiry.answer.set_exception(error)
