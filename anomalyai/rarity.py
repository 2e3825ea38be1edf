"""How rare each value of a category or entity field is, in nats, over a short and a long memory.

The rarity of a value is -ln of its decayed share of the feed's records, averaged over two half-lives: the
short one notices what is suddenly common, the long one remembers what comes now and then. A value never seen
counts as half a record.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.entity_table import EntityTable, find_slot, occupy

HALF_LIVES = (1_000.0, 20_000.0)
"""Records after which a value's count is worth half, in the short and the long memory."""

SHORT_DECAY, LONG_DECAY = (0.5 ** (1.0 / half_life) for half_life in HALF_LIVES)
SHORT_RATE, LONG_RATE = np.log(SHORT_DECAY), np.log(LONG_DECAY)


class ValueRarity:
    """Decayed counts of one field's values, at most about `max_values` of them."""

    def __init__(self, max_values: int) -> None:
        self.table = EntityTable(2, max_values)
        self.totals: NDArray[np.float64] = np.zeros(2)

    def observe(
        self, keys: NDArray[np.uint64], first_tick: int, before: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return each value's rarity in nats, float64 [n] (NaN where missing), and count it, in order.

        `before`, float64 [n], takes how often each value had come before, in the long memory: 0 for one never
        seen, untouched where missing.
        """
        out = np.full(len(keys), np.nan)
        before = np.empty(len(keys)) if before is None else before
        table = self.table
        table.put_through(
            len(keys),
            lambda: keys,
            lambda start, room: rarity_rows(
                keys,
                first_tick,
                table.keys,
                table.touched,
                table.last_s,
                table.stats,
                self.totals,
                out,
                before,
                start,
                room,
            ),
        )
        return out

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"totals": self.totals, **self.table.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.totals = state["totals"]
        self.table.restore(state)


@compiled
def rarity_rows(
    keys: Any,
    first_tick: Any,
    table_keys: Any,
    touched: Any,
    last_s: Any,
    stats: Any,
    totals: Any,
    out: Any,
    before: Any,
    start: Any,
    room: Any,
) -> Any:
    """Write -ln of each value's decayed share, then count it; returns (reached, fresh, evicted)."""
    fresh = 0
    evicted = 0
    for i in range(start, keys.shape[0]):
        if keys[i] != np.uint64(0):
            tick = first_tick + i
            slot, found = find_slot(table_keys, touched, keys[i])
            if found == 1 and fresh >= room:
                return i, fresh, evicted
            age = tick - touched[slot]
            occupy(table_keys, touched, last_s, stats, keys[i], tick, slot, found)
            fresh += found == 1
            evicted += found == 2
            short = stats[slot, 0] * np.exp(SHORT_RATE * age) if found == 0 else 0.0
            long = stats[slot, 1] * np.exp(LONG_RATE * age) if found == 0 else 0.0
            before[i] = long
            out[i] = -0.5 * np.log((short + 0.5) / (totals[0] + 1.0) * ((long + 0.5) / (totals[1] + 1.0)))
            stats[slot, 0] = np.float32(short + 1.0)
            stats[slot, 1] = np.float32(long + 1.0)
        totals[0] = totals[0] * SHORT_DECAY + 1.0
        totals[1] = totals[1] * LONG_DECAY + 1.0
    return keys.shape[0], fresh, evicted
