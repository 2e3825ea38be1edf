"""What is taken of a feed while its producers stay faster than scoring.

`block` takes everything and holds the senders back. The other two never hold back; what they leave out is
shed at admission, before the log, and counted:

- `shed` takes what fits into the backlog and drops the rest.
- `sample` takes one of every k good records in a row. k is 1 until the backlog is half full, then 2, 4, 8 and
  so on each time the room that is left has halved; a full backlog takes nothing. Which one of the k it is, a
  hash of the run's number says: every record has the same chance, whatever rhythm the feed has.

The first records of a feed, by which its fields' kinds are settled, are never shed. Feeds share one backlog.
Pure but for reading the backlog, so safe from any thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from anomalyai.admission import Choose
from stream.backlog import Backlog

Policy = Literal["block", "sample", "shed"]

STEP_RECORDS = 1_000
"""The share is looked at anew after so many records, so that a large body does not overfill the backlog."""

MAX_RUN = 1 << 20


class Policies:
    """Each feed's policy: `named` are texts `feed=policy`, `default` holds for all others."""

    def __init__(self, backlog: Backlog, default: Policy = "block", named: Iterable[str] = ()) -> None:
        self._backlog = backlog
        self._default = default
        self._named = {
            feed: cast(Policy, policy) for feed, _, policy in (text.partition("=") for text in named)
        }

    def of(self, feed: str) -> Policy:
        """Return a feed's policy."""
        return self._named.get(feed, self._default)

    def choose(self, feed: str) -> Choose | None:
        """Return what decides which records of a feed are taken; None where all are."""
        policy = self.of(feed)
        if policy == "block":
            return None
        return partial(_first_that_fit if policy == "shed" else _sample, self._backlog)


def _first_that_fit(backlog: Backlog, before: int, count: int, taken: int) -> NDArray[np.int64] | None:
    room = backlog.room(taken)
    return None if count <= room else np.arange(room, dtype=np.int64)


def _sample(backlog: Backlog, before: int, count: int, taken: int) -> NDArray[np.int64] | None:
    chosen: list[NDArray[np.int64]] = []
    for start in range(0, count, STEP_RECORDS):
        step = min(STEP_RECORDS, count - start)
        run = run_length(backlog.fill(taken))
        places = start + one_of_each(run, before + start, step) if run else np.zeros(0, dtype=np.int64)
        chosen.append(places)
        taken += len(places)
    places = np.concatenate(chosen)
    return None if len(places) == count else places


def run_length(fill: float) -> int:
    """Return of how many records one is taken when this share of the backlog is full; 0: none is.

    Examples
    --------
    >>> [run_length(fill) for fill in (0.0, 0.49, 0.5, 0.74, 0.75, 0.99, 1.0)]
    [1, 1, 2, 2, 4, 64, 0]
    """
    if fill >= 1.0:
        return 0
    return min(MAX_RUN, 1 << math.floor(-math.log2(1.0 - max(0.0, fill))))


def one_of_each(run: int, before: int, count: int) -> NDArray[np.int64]:
    """Return the places, among `count` records of which the first has `before` ones in front, that are taken.

    Records are numbered through the feed and cut into runs of `run` (a power of two); of each run exactly one
    is taken, at a place that a hash of the run's number gives.

    Examples
    --------
    >>> one_of_each(4, 0, 16).tolist(), (4 + one_of_each(4, 4, 12)).tolist()
    ([3, 4, 11, 12], [4, 11, 12])
    """
    if run == 1:
        return np.arange(count, dtype=np.int64)
    runs = np.arange(before // run, (before + count - 1) // run + 1, dtype=np.uint64)
    places = (runs * np.uint64(run) + (_mixed(runs) & np.uint64(run - 1))).astype(np.int64) - before
    return places[(places >= 0) & (places < count)]


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return a hash of each number whose low bits are as good as random (SplitMix64)."""
    mixed = (numbers + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
