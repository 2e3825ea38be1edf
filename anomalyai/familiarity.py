"""Pairs of entities: whether two have met before, and how surprising a new counterparty is for each.

An entity that always meets the same few is surprised by a new one, one that meets new ones all the time is
not: the surprise of a new counterparty is -ln of the share of the entity's events that had one, shrunk
towards the feed's own while it has few.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.entity_table import EntityTable, claim_slot, find_slot
from anomalyai.habit import OWN_DECAY, POOLED_DECAY

MAX_COUNTERPARTIES = 2
"""Other entity fields, in schema order, that an entity field is paired with."""

PRIOR_EVENTS = 3.0
"""How many events the feed's own share of new pairs is worth for an entity with few."""

MET, NEW, UNKNOWN = 0, 1, 2


class PairTable:
    """Which pairs of values of two entity fields came together, at most about `max_pairs` of them."""

    def __init__(self, max_pairs: int) -> None:
        self.table = EntityTable(1, max_pairs)

    def observe(
        self,
        first: NDArray[np.uint64],
        second: NDArray[np.uint64],
        first_tick: int,
        before: NDArray[np.float64],
    ) -> NDArray[np.uint8]:
        """Return for n records whether their pair had met: MET, NEW, or UNKNOWN where one is missing.

        `before`, float64 [n], takes how often; untouched where missing.
        """
        out = np.full(len(first), UNKNOWN, dtype=np.uint8)
        table = self.table
        table.put_through(
            len(first),
            lambda: np.where((first == 0) | (second == 0), np.uint64(0), mixed(first, second)),
            lambda start, room: meet_rows(
                first,
                second,
                first_tick,
                table.keys,
                table.touched,
                table.last_s,
                table.stats,
                out,
                before,
                start,
                room,
            ),
        )
        return out

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return self.table.state()

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.table.restore(state)


@compiled
def mixed(first: Any, second: Any) -> Any:
    """Return the key of a pair of keys, never 0 (the finaliser of SplitMix64: Steele, Lea & Flood 2014)."""
    z = first * np.uint64(0x9E3779B97F4A7C15) + second
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.maximum(z ^ (z >> np.uint64(31)), np.uint64(1))


@compiled
def meet_rows(
    first: Any,
    second: Any,
    first_tick: Any,
    table_keys: Any,
    touched: Any,
    last_s: Any,
    stats: Any,
    out: Any,
    before: Any,
    start: Any,
    room: Any,
) -> Any:
    """Look each pair up and count it; returns (reached, fresh, evicted)."""
    fresh = 0
    evicted = 0
    for i in range(start, len(first)):
        if first[i] == np.uint64(0) or second[i] == np.uint64(0):
            continue
        key = mixed(first[i], second[i])
        if fresh >= room and find_slot(table_keys, touched, key)[1] == 1:
            return i, fresh, evicted
        slot, found = claim_slot(table_keys, touched, last_s, stats, key, first_tick + i)
        fresh += found == 1
        evicted += found == 2
        out[i] = MET if found == 0 else NEW
        before[i] = stats[slot, 0]
        stats[slot, 0] += np.float32(1.0)
    return len(first), fresh, evicted


@compiled
def surprise_of_new(stats: Any, slot: Any, at: Any, events: Any, pooled: Any, other: Any, is_new: Any) -> Any:
    """Return how surprising the counterparty is, in nats: 0 for one met before; then count it.

    `stats[slot, at]` is the entity's decayed count of new counterparties, `events` that of its events before
    this one, `pooled[other]` [2] the feed's new pairs and all pairs.
    """
    share = (pooled[other, 0] + 1.0) / (pooled[other, 1] + 2.0)
    expected = (float(stats[slot, at]) + PRIOR_EVENTS * share) / (events + PRIOR_EVENTS)
    came = 1.0 if is_new else 0.0
    pooled[other, 0] = pooled[other, 0] * POOLED_DECAY + came
    pooled[other, 1] = pooled[other, 1] * POOLED_DECAY + 1.0
    stats[slot, at] = np.float32(stats[slot, at] * OWN_DECAY + came)
    return -np.log(expected) if is_new else 0.0
