"""What crash tests are made of, shipped beside the real things.

A clock that a test moves by hand, a log that lives in memory, a producer that follows a script, and the steps
of the commit order as places to die at: a crash test is a list of frames and markers, and the name of a step.
"""

from __future__ import annotations

import functools
import os
import signal
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from importlib import import_module
from typing import Any, Literal, NamedTuple

import msgspec

from anomalyai.control import ControlEntry
from anomalyai.records import RecordBatch
from stream.log import Entry, StoredEntry
from stream.runtime import Runtime

POLL_S = 0.01


class ManualClock:
    """A clock that stands still until `advance` is called. Readable from any thread, moved by one."""

    def __init__(self, now_s: float = 1_767_225_600.0) -> None:
        self._now_s = now_s
        self._monotonic_s = 0.0

    def now_s(self) -> float:
        """Return epoch seconds as last set."""
        return self._now_s

    def monotonic_s(self) -> float:
        """Return the seconds advanced so far."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both readings forward.

        Raises
        ------
        ValueError
            `seconds` is negative: a monotonic clock never goes back.
        """
        if seconds < 0:
            raise ValueError(f"expected seconds >= 0, got {seconds}")
        self._now_s += seconds
        self._monotonic_s += seconds

    def step_back(self, seconds: float) -> None:
        """Set the calendar back, as when a machine's clock is corrected; the stopwatch goes on as it was."""
        self._now_s -= seconds


class MemoryLog:
    """One feed's log without a disk: entries in order, read as `stream.log.LogReader` reads them."""

    def __init__(self, feed: str, clock: ManualClock) -> None:
        self.feed = feed
        self._clock = clock
        self._entries: list[StoredEntry] = []
        self._seq = 0

    def append(self, payload: RecordBatch | ControlEntry) -> StoredEntry:
        """Add an entry, numbered, and return it as stored."""
        if isinstance(payload, RecordBatch):
            payload = payload.numbered(self._seq + 1)
            self._seq += payload.n
        made = Entry.of(payload)
        stored = StoredEntry(
            entry=len(self._entries) + 1,
            feed=self.feed,
            kind=made.kind,
            first_seq=made.first_seq,
            n=made.n,
            arrival=self._clock.now_s(),
            codec=made.codec,
            crc=zlib.crc32(made.body),
            body=made.body,
        )
        self._entries.append(stored)
        return stored

    def read(self, feed: str, after: int, upto: int | None = None) -> Iterator[StoredEntry]:
        """Yield the entries in order, from the one after `after` to `upto` (the end where None)."""
        if feed == self.feed:
            yield from self._entries[after:upto]


class Marker(Enum):
    """What a script may hold besides frames."""

    PAUSE = "wait until everything that was sent is scored and committed"
    ABORT = "die here, as by kill -9"
    END = "wait as at a pause, and send nothing more"


class Source:
    """A named producer that sends the frames of a script in order, each once the one before is durable.

    After a crash the same source goes on: it repeats the frame before the one that `hello` asks for, then
    sends what is left.
    """

    def __init__(self, producer: str, script: Sequence[list[dict[str, Any]] | Marker]) -> None:
        self.producer = producer
        self._script = script

    def run(self, runtime: Runtime, feed: str) -> list[dict[str, Any]]:
        """Follow the script to its end; returns the answers."""
        session = runtime.producer(feed, self.producer)
        first = session.hello()["next_batch"] - 1
        batch, answers = 0, list[dict[str, Any]]()
        for line in self._script:
            if not isinstance(line, Marker):
                batch += 1
                if batch >= first:
                    body = msgspec.json.encode({"batch": batch, "records": line})
                    answers.append(session.submit(body))
            elif line is Marker.ABORT:
                die()
            else:
                self._settle(runtime, feed)
                if line is Marker.END:
                    break
        session.close()
        return answers

    def _settle(self, runtime: Runtime, feed: str) -> None:
        poll = threading.Event()
        while runtime.feed(feed)["lag"]["records"]:
            if causes := runtime.causes():
                raise AssertionError(f"the engine does not go on: {'; '.join(causes)}")
            poll.wait(POLL_S)


class Step(NamedTuple):
    """A place in the commit order: before a function of this package is called, or after it has returned."""

    when: Literal["before", "after"]
    module: str
    function: str


STEPS: dict[str, Step] = {
    "the log's rows are written, not committed": Step("after", "stream.log", "_Append.write"),
    "the frame is committed, not handed over": Step("before", "stream.log", "_Append.committed"),
    "the frame is handed over, not acknowledged": Step("after", "stream.engine", "Engine.hand_over"),
    "the frame is acknowledged, not scored": Step("before", "stream.processor", "Processor._advance"),
    "the frame is scored, its results wait": Step("before", "stream.processor", "Processor._submit"),
    "the results are written, not committed": Step("after", "stream.results", "Commit.write"),
    "the results are committed, the engine not told": Step("before", "stream.results", "Commit.committed"),
    "the engine is told, no viewer is": Step("before", "stream.processor", "Processor._publish"),
    "the viewers are told": Step("after", "stream.processor", "Processor._publish"),
    "a snapshot is written, without its name": Step("before", "stream.snapshot", "publish_file"),
    "a snapshot has its name": Step("after", "stream.snapshot", "publish_file"),
}
"""Between any two steps of the commit order (`stream.engine`), in order."""


def die() -> None:
    """End this process at once, as `kill -9` or a power cut does."""
    os.kill(os.getpid(), signal.SIGKILL)
    signal.pause()


def die_at(step: str, times: int) -> None:
    """Let this process die when it comes to a step for the `times`th time."""
    when, module, name = STEPS[step]
    owner: Any = import_module(module)
    *path, last = name.split(".")
    for part in path:
        owner = getattr(owner, part)
    function: Callable[..., Any] = getattr(owner, last)
    left = iter(range(times - 1))

    @functools.wraps(function)
    def mortal(*arguments: Any, **options: Any) -> Any:
        last_time = next(left, None) is None
        if last_time and when == "before":
            die()
        result = function(*arguments, **options)
        if last_time:
            die()
        return result

    setattr(owner, last, mortal)
