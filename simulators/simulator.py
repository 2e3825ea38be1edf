"""What every simulator is: an endless, seeded, labelled stream of records in event order.

A simulator draws ordinary events in blocks of a fixed number, lets attacks begin among them, and merges both
by time; what of an attack lies beyond the block waits for the next ones. Cutting the stream into chunks of
any size changes nothing. Single-threaded.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["START_S", "Attack", "Chunk", "Events", "Simulator", "texts_of_times", "with_gaps"]

BLOCK_EVENTS: Final = 4_096
START_S: Final = 1_767_571_200.0  # Monday, 2026-01-05T00:00:00Z

Events = NDArray[Any]  # structured; every simulator's dtype has at least time_s (f8) and attack (i1, 0: none)


@dataclass(frozen=True, slots=True)
class Attack:
    """A kind of attack: its share of all anomalous events, and how many events one has on average."""

    name: str
    share: float
    mean_events: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of records in event order.

    Attributes
    ----------
    columns : dict of str to list
        What is sent: one equally long list a field, None where missing; `label` is one of them.
    time_s : float64 [n]
        Event times, epoch seconds.
    attack : int8 [n]
        0 for ordinary records, else 1 + index into the simulator's `attacks`. Never sent: it is for tests and
        for studying results; a record carries its `label` alone.
    """

    columns: dict[str, list[Any]]
    time_s: NDArray[np.float64]
    attack: NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.time_s)

    def records(self) -> list[dict[str, Any]]:
        """Return the records as dicts; a missing value is None."""
        names = list(self.columns)
        return [dict(zip(names, row, strict=True)) for row in zip(*self.columns.values(), strict=True)]


class Simulator(ABC):
    """Base of the simulators; a subclass says what ordinary events and attacks are.

    Parameters
    ----------
    seed : int
        The same seed gives the same stream, whatever the chunk size.
    anomaly_share : float
        Expected share of anomalous records, 0 to 0.5. Attacks come in bursts, so short runs scatter widely.
    start_s : float
        Event time at which the stream begins, epoch seconds.
    first : int
        Number of the first record, from 1. Above 1 the same population goes on with other events, so that a
        stream can be continued without drawing its beginning again.
    """

    name: ClassVar[str]
    feed_toml: ClassVar[str]
    attacks: ClassVar[tuple[Attack, ...]]

    def __init__(
        self, seed: int = 0, anomaly_share: float = 0.005, start_s: float = START_S, first: int = 1
    ) -> None:
        if not 0 <= anomaly_share <= 0.5:
            raise ValueError(f"anomaly_share must be between 0 and 0.5, got {anomaly_share}")
        self.seed = seed
        self.anomaly_share = anomaly_share
        self.start_s = start_s
        self.first = first

    def chunks(self, records: int | None = None, *, size: int = 1_000) -> Iterator[Chunk]:
        """Yield `records` records (None: without end) from the beginning, `size` at a time."""
        if size < 1:
            raise ValueError(f"size must be at least 1, got {size}")
        left = records
        held: list[Chunk] = []
        for block in self._blocks():
            joined = _join([*held, block])
            start = 0
            while left is None or left > 0:
                count = size if left is None else min(size, left)
                if start + count > len(joined):
                    break
                yield _part(joined, start, start + count)
                start += count
                left = None if left is None else left - count
            else:
                return
            held = [_part(joined, start, len(joined))]

    def records(self, records: int | None = None) -> Iterator[dict[str, Any]]:
        """Yield the same stream record by record."""
        for chunk in self.chunks(records):
            yield from chunk.records()

    def _blocks(self) -> Iterator[Chunk]:
        self._populate(np.random.default_rng(self.seed))
        rng = np.random.default_rng([self.seed, self.first])
        self._owed = [0.0] * len(self.attacks)  # events of each kind, less those drawn
        self._patience = [rng.uniform(0, attack.mean_events) for attack in self.attacks]
        waiting = self._ordinary(rng, self.start_s, 0)  # none yet, of the right dtype
        now_s = self.start_s
        first = self.first
        while True:
            ordinary = self._ordinary(rng, now_s, BLOCK_EVENTS)
            now_s = float(ordinary["time_s"][-1])
            events = np.concatenate([waiting, ordinary, *self._outbreaks(rng, ordinary["time_s"])])
            events["time_s"] = np.round(events["time_s"], 3)
            events = events[np.argsort(events["time_s"], kind="stable")]
            due = int(np.searchsorted(events["time_s"], now_s, side="right"))
            now, waiting = events[:due], events[due:]
            columns = self._columns(rng, now, first)
            columns["label"] = (now["attack"] > 0).astype(np.int64).tolist()
            first += due
            yield Chunk(columns, now["time_s"].copy(), now["attack"].astype(np.int8))

    def _outbreaks(self, rng: np.random.Generator, times_s: NDArray[np.float64]) -> list[Events]:
        """Let attacks begin at some of these times.

        An attack begins once its kind is owed more events than a random part of an attack's length, so that
        the share is kept from early on although attacks are bursts.
        """
        begun = []
        for place, attack in enumerate(self.attacks):
            self._owed[place] += len(times_s) * self.anomaly_share / (1 - self.anomaly_share) * attack.share
            while self._owed[place] > self._patience[place]:
                events = self._attack(rng, attack.name, float(rng.choice(times_s)))
                events["attack"] = place + 1
                begun.append(events)
                self._owed[place] -= len(events)
                self._patience[place] = rng.uniform(0, attack.mean_events)
        return begun

    @abstractmethod
    def _populate(self, rng: np.random.Generator) -> None:
        """Draw the population; called once, before anything else."""

    @abstractmethod
    def _ordinary(self, rng: np.random.Generator, after_s: float, count: int) -> Events:
        """Draw the next `count` ordinary events after a time, ascending."""

    @abstractmethod
    def _attack(self, rng: np.random.Generator, name: str, start_s: float) -> Events:
        """Draw one attack of a kind, beginning at or after a time; `attack` is filled in by the caller."""

    @abstractmethod
    def _columns(self, rng: np.random.Generator, events: Events, first: int) -> dict[str, list[Any]]:
        """Return the fields of events as lists, without the label; `first` is the first event's number."""


def texts_of_times(time_s: NDArray[np.float64]) -> list[str]:
    """Return RFC 3339 texts in UTC with milliseconds.

    >>> texts_of_times(np.array([1767571200.25]))
    ['2026-01-05T00:00:00.250Z']
    """
    stamps = np.round(time_s * 1_000).astype(np.int64).astype("M8[ms]")
    texts: list[str] = np.char.add(np.datetime_as_string(stamps), "Z").tolist()
    return texts


def with_gaps(values: NDArray[Any], there: NDArray[np.bool_]) -> list[Any]:
    """Return values as a list, None where they are not there.

    >>> with_gaps(np.array([1.5, 2.5]), np.array([True, False]))
    [1.5, None]
    """
    known = values.astype(object)
    known[~there] = None
    listed: list[Any] = known.tolist()
    return listed


def _join(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    columns = {name: [v for chunk in chunks for v in chunk.columns[name]] for name in chunks[0].columns}
    return Chunk(
        columns,
        np.concatenate([chunk.time_s for chunk in chunks]),
        np.concatenate([chunk.attack for chunk in chunks]),
    )


def _part(chunk: Chunk, start: int, stop: int) -> Chunk:
    columns = {name: values[start:stop] for name, values in chunk.columns.items()}
    return Chunk(columns, chunk.time_s[start:stop], chunk.attack[start:stop])
