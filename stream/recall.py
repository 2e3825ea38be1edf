"""Recognising what a feed was sent before: keys in flight, keys remembered, and each producer's next batch.

Single-threaded: its feed's admission calls it under the feed's lock.
"""

from __future__ import annotations

from concurrent.futures import Future
from typing import NamedTuple

from stream.dedup import REMEMBERED, Answer, Key, Memory, Remembered, advance
from stream.errors import BatchConflict
from stream.transaction import Statements


class PendingAnswer(NamedTuple):
    """An answer, true as soon as `durable` is done."""

    answer: Answer
    durable: Future[list[int]] | None

    def done(self) -> bool:
        """Whether `result` would not wait."""
        return self.durable is None or self.durable.done()

    def result(self) -> Answer:
        """Wait until the log has it; raises `LogFailure` when the log could not take it."""
        if self.durable is not None:
            self.durable.result()
        return self.answer


class ProducerMark(NamedTuple):
    """Where a producer went on before a body, to go back to; `next_batch` is None for a new name."""

    producer: str
    next_batch: int | None


class Recall:
    """What one feed remembers of its senders."""

    def __init__(self, feed: str, memory: Memory, producers: dict[str, int], max_producers: int) -> None:
        self._feed = feed
        self._memory = memory
        self._producers = producers
        self._max_producers = max_producers
        self._in_flight: dict[str, tuple[Remembered, Future[list[int]]]] = {}

    def next_batch(self, producer: str) -> int:
        """Return the batch number that a producer goes on with."""
        return self._producers.get(producer, 1)

    def first_answer(self, key: Key, seal: bytes, key_count: int) -> PendingAnswer | None:
        """Return the first answer to this key, or None for a key that is new.

        `seal` is the body's digest, `key_count` is how many keys the feed ever had.

        Raises
        ------
        BatchConflict
            The key came with another body, is too old to tell, or no more producers fit.
        """
        known, durable = self._in_flight.get(key.text, (None, None))
        if known is None:
            known = self._look_up(key, key_count)
        if known is None:
            return None
        if known.digest != seal:
            raise BatchConflict(
                f"{_named(key)} was used before for another body",
                field="batch" if key.producer else "Idempotency-Key",
                hint="number every body anew; repeat a number only with the same bytes",
            )
        return PendingAnswer(known.answer, durable)

    def advance(self, key: Key) -> list[Statements]:
        """Let the key's producer, if any, go on after this batch; returns what keeps that."""
        if key.producer is None or key.batch is None:
            return []
        next_batch = max(self.next_batch(key.producer), key.batch + 1)
        self._producers[key.producer] = next_batch
        return [advance(self._feed, key.producer, next_batch)]

    def fly(self, key: Key, remembered: Remembered, durable: Future[list[int]]) -> None:
        """Note an answer that waits for the log."""
        self._in_flight[key.text] = (remembered, durable)

    def land(self, key: Key) -> None:
        """Forget an answer in flight: the database has it now, or never will."""
        self._in_flight.pop(key.text, None)

    def mark(self, key: Key | None) -> ProducerMark | None:
        """Return what `restore` needs to undo `advance`."""
        if key is None or key.producer is None:
            return None
        return ProducerMark(key.producer, self._producers.get(key.producer))

    def restore(self, mark: ProducerMark | None) -> None:
        """Let a producer go on where it went on before."""
        if mark is None:
            return
        if mark.next_batch is None:
            self._producers.pop(mark.producer, None)
        else:
            self._producers[mark.producer] = mark.next_batch

    def _look_up(self, key: Key, key_count: int) -> Remembered | None:
        if key.producer is None or key.batch is None:
            return self._memory.find(self._feed, key)
        next_batch = self._producers.get(key.producer)
        if next_batch is None and len(self._producers) >= self._max_producers:
            raise BatchConflict(
                f"the feed {self._feed!r} remembers {len(self._producers)} producers, no more fit",
                field="producer",
                hint="use fewer names, or raise feed.max_producers",
            )
        if next_batch is None or key.batch >= next_batch:
            return None
        found = self._memory.find(self._feed, key)
        if found is None and key_count > REMEMBERED:
            raise BatchConflict(
                f"{_named(key)} is older than the last {REMEMBERED} batches and keys of the feed",
                field="batch",
                hint=f"go on with batch {next_batch}",
            )
        return found


def _named(key: Key) -> str:
    if key.producer is not None:
        return f"batch {key.batch} of producer {key.producer!r}"
    return f"the Idempotency-Key {key.text[2:]!r}"
