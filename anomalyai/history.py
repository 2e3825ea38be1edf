"""What verdicts and labels say of an entity: how much more often than others its records were anomalies.

Per entity decayed counts of records judged anomalous and normal, by event time. The voice is the logarithm of
the entity's share of anomalies among its judged records over the feed's share among all, shrunk towards it
while few are judged: one confirmed anomaly weighs much where anomalies are rare, and labels of normal records
take it back. An entity of which nothing was judged says nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.entity_table import EntityTable, claim_slot, find_slot

__all__ = ["VerdictHistory"]

HALF_LIFE_S = 30 * 86_400.0
PRIOR_RECORDS = 10.0
"""How many judged records at the feed's own share of anomalies an entity is taken to have had."""

PRIOR_SEEN = 1_000.0
"""Records without an anomaly that a feed is taken to have had."""

MOST_NATS = 6.0
MAX_JUDGED = 200_000
"""Entities whose verdicts are remembered, in each entity field."""


class VerdictHistory:
    """Verdicts by the values of one entity field."""

    def __init__(self) -> None:
        self.table = EntityTable(2, MAX_JUDGED, by_record=False)
        self.confirmed = 0

    def observe(
        self, keys: NDArray[np.uint64], time_s: NDArray[np.float64], seen: int
    ) -> NDArray[np.float64]:
        """Return what n records' entities have behind them, float64 [n] in nats, after `seen` records."""
        out = np.zeros(len(keys))
        if self.table.used:
            table, known = self.table, self.confirmed
            look_up(keys, time_s, table.keys, table.touched, table.last_s, table.stats, known, seen, out)
        return out

    def learn(
        self,
        keys: NDArray[np.uint64],
        time_s: NDArray[np.float64],
        is_anomaly: NDArray[np.bool_],
        tick: int,
        *,
        take_back: bool = False,
    ) -> None:
        """Count judged records by their entities; a record without a time counts as if it were new.

        To `take_back` is to count them out again, down to none.
        """
        count = -1.0 if take_back else 1.0
        confirmed = int(np.count_nonzero(is_anomaly & (keys != 0)))
        self.confirmed = max(self.confirmed + (-confirmed if take_back else confirmed), 0)
        table = self.table
        table.put_through(
            len(keys),
            lambda: keys,
            lambda start, room: count_verdicts(
                keys,
                time_s,
                is_anomaly,
                count,
                tick,
                table.keys,
                table.touched,
                table.last_s,
                table.stats,
                start,
                room,
            ),
        )

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        return {"confirmed": self.confirmed, **self.table.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self.confirmed = int(state["confirmed"])
        self.table.restore(state)


@compiled
def fading(elapsed_s: Any) -> Any:
    """Return what is left after some seconds; all of it where they are unknown."""
    return 1.0 if np.isnan(elapsed_s) else np.exp(-np.log(2.0) / HALF_LIFE_S * max(elapsed_s, 0.0))


@compiled
def look_up(
    keys: Any,
    time_s: Any,
    table_keys: Any,
    touched: Any,
    last_s: Any,
    stats: Any,
    confirmed: Any,
    seen: Any,
    out: Any,
) -> None:
    """Write each entity's voice to `out` [n]; `confirmed` of `seen` records before were anomalies."""
    for i in range(len(out)):
        if keys[i] == np.uint64(0):
            continue
        slot, found = find_slot(table_keys, touched, keys[i])
        if found == 0:
            share = (confirmed + 1.0) / (seen + i + PRIOR_SEEN)
            left = fading(time_s[i] - last_s[slot])
            anomalies, normal = stats[slot, 0] * left, stats[slot, 1] * left
            own = (anomalies + PRIOR_RECORDS * share) / (anomalies + normal + PRIOR_RECORDS)
            out[i] = min(max(np.log(own / share), -MOST_NATS), MOST_NATS)


@compiled
def count_verdicts(
    keys: Any,
    time_s: Any,
    is_anomaly: Any,
    count: Any,
    tick: Any,
    table_keys: Any,
    touched: Any,
    last_s: Any,
    stats: Any,
    start: Any,
    room: Any,
) -> Any:
    """Count verdicts, `count` each, from row `start` on; returns (reached, fresh, evicted)."""
    fresh = 0
    evicted = 0
    for i in range(start, len(keys)):
        if keys[i] == np.uint64(0):
            continue
        if fresh >= room and find_slot(table_keys, touched, keys[i])[1] != 0:
            return i, fresh, evicted
        slot, found = claim_slot(table_keys, touched, last_s, stats, keys[i], tick)
        fresh += found == 1
        evicted += found == 2
        elapsed_s = time_s[i] - last_s[slot]
        weight = 1.0
        if elapsed_s < 0.0:
            weight = fading(-elapsed_s)  # a verdict on an older record than the last one judged
        else:
            left = np.float32(fading(elapsed_s))
            stats[slot, 0] *= left
            stats[slot, 1] *= left
            if not np.isnan(time_s[i]):
                last_s[slot] = time_s[i]
        place = 0 if is_anomaly[i] else 1
        stats[slot, place] = max(stats[slot, place] + np.float32(count * weight), np.float32(0.0))
    return len(keys), fresh, evicted
