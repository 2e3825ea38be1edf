"""Who of one entity field has fallen silent, by the feed's own stopwatch (`anomalyai.watermark`).

A bounded table of cadences. An entity is overdue when the feed has gone on without it for longer than its
cadence allows; as long as others come no clock is needed, and while nobody comes nobody is overdue. Whoever
falls silent is told of once, and again when it comes back. At most `MAX_OPEN` are silent at a time: beyond
it an entity that goes is given up and counted, so that a field of passing guests says little.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai import cadence
from anomalyai.cadence import GIVEN_UP, HEARD, KNOWN, SILENT, STATE
from anomalyai.detectors.compilation import compiled
from anomalyai.entity_table import EntityTable, claim_slot, find_slot

MAX_WATCHED = 8_192
MAX_OPEN = 32
EXPIRE_S = 7 * 86_400.0
"""A silence that has lasted so long, on the feed's stopwatch, is waited for no more."""

SLOTS_A_RECORD = 256
"""Looking everybody through costs at most so many slots a record."""

BECAME_KNOWN, FELL_SILENT, CAME_BACK = range(3)
MOST_EVENTS = 5
"""Events a row at most, beside those of `MAX_OPEN`: one each that comes back, becomes known, gives way to
another entity or is waited for no more, and one that falls silent in the place of each of these."""

_DUE, _SINCE, _SPREADS, _OPEN, _WITHHELD, _EVENTS = range(6)


class Event(NamedTuple):
    """Something of entity `key` that became so with row `row` of a batch; figures as the kind needs them."""

    kind: int
    row: int
    key: int
    elapsed_s: float
    usual_s: float
    score: float


class Attendance:
    """Cadences of one entity field."""

    def __init__(self) -> None:
        self.table = EntityTable(cadence.STATS, MAX_WATCHED, by_record=False)
        self._figures: NDArray[np.float64] = np.array([np.inf, 0.0, np.nan, 0.0, 0.0, 0.0])

    @property
    def open(self) -> int:
        """Entities that are silent now."""
        return int(self._figures[_OPEN])

    @property
    def withheld(self) -> int:
        """Silences that were not told of, because too many were open."""
        return int(self._figures[_WITHHELD])

    def observe(
        self, keys: NDArray[np.uint64], alive_s: NDArray[np.float64], first_tick: int, spreads: float
    ) -> list[Event]:
        """Follow n records of entities `keys` [n], 0 where missing, in order.

        `alive_s` [n] is the feed's stopwatch at each, `spreads` the normal quantile of the tail that is
        allowed a gap.
        """
        table, figures = self.table, self._figures
        what = np.empty((MOST_EVENTS * len(keys) + MAX_OPEN, 2), dtype=np.int64)
        who = np.empty(len(what), dtype=np.uint64)
        how = np.empty((len(what), 3))
        if figures[_SPREADS] != spreads:
            figures[_SPREADS], figures[_DUE] = spreads, -np.inf  # others may be overdue by this measure
        figures[_EVENTS] = 0.0
        table.put_through(
            len(keys),
            lambda: keys,
            lambda start, room: attend_rows(
                keys,
                alive_s,
                first_tick,
                table.keys,
                table.touched,
                table.last_s,
                table.stats,
                figures,
                what,
                who,
                how,
                start,
                room,
            ),
        )
        count = int(figures[_EVENTS])
        figures[_EVENTS] = 0.0
        return [
            Event(kind, row, key, *figures)
            for (kind, row), key, figures in zip(
                what[:count].tolist(), who[:count].tolist(), how[:count].tolist(), strict=True
            )
        ]

    def state(self) -> dict[str, Any]:
        """Return what `restore` needs."""
        table = self.table  # small, and changed by more than records: copied whole
        return {
            "figures": self._figures,
            "slots": table.slots,
            "evicted": table.evicted,
            **table.arrays(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take what `state` returned."""
        self._figures = state["figures"]
        self.table.restore(state)


@compiled
def attend_rows(
    keys: Any,
    alive_s: Any,
    first_tick: Any,
    table_keys: Any,
    touched: Any,
    last_s: Any,
    stats: Any,
    figures: Any,
    what: Any,
    who: Any,
    how: Any,
    start: Any,
    room: Any,
) -> Any:
    """Follow rows from `start`; returns (reached, fresh, evicted)."""
    fresh = 0
    evicted = 0
    for i in range(start, keys.shape[0]):
        key = keys[i]
        if key != np.uint64(0):
            slot, found = find_slot(table_keys, touched, key)
            if found != 0 and fresh >= room:
                return i, fresh, evicted
            if found == 2 and stats[slot, STATE] == SILENT:
                figures[_OPEN] -= 1.0
            if found != 0:
                slot, found = claim_slot(table_keys, touched, last_s, stats, key, first_tick + i)
            touched[slot] = first_tick + i
            fresh += found == 1
            evicted += found == 2
            come(slot, i, key, alive_s[i], last_s, stats, figures, what, who, how)
        figures[_SINCE] += 1.0
        if alive_s[i] > figures[_DUE] and figures[_SINCE] * SLOTS_A_RECORD >= len(table_keys):
            look_through(i, alive_s[i], table_keys, last_s, stats, figures, what, who, how)
    return keys.shape[0], fresh, evicted


@compiled
def come(
    slot: Any,
    row: Any,
    key: Any,
    now_s: Any,
    last_s: Any,
    stats: Any,
    figures: Any,
    what: Any,
    who: Any,
    how: Any,
) -> None:
    """Note that an entity has come."""
    gap_s = now_s - last_s[slot]
    if np.isnan(gap_s) or gap_s > 0.0:
        last_s[slot] = now_s
    if gap_s > 0.0:
        cadence.learn_gap(stats, slot, gap_s)
    if stats[slot, STATE] != HEARD:
        if stats[slot, STATE] == SILENT:
            figures[_OPEN] -= 1.0
            tell(CAME_BACK, row, key, gap_s, 0.0, 0.0, figures, what, who, how)
        stats[slot, STATE] = np.float32(HEARD)
        figures[_DUE] = min(figures[_DUE], now_s + cadence.longest_gap(stats, slot, figures[_SPREADS]))
    if stats[slot, KNOWN] == 0.0 and cadence.has_cadence(stats, slot):
        stats[slot, KNOWN] = np.float32(1.0)
        figures[_DUE] = min(figures[_DUE], now_s + cadence.longest_gap(stats, slot, figures[_SPREADS]))
        tell(BECAME_KNOWN, row, key, 0.0, 0.0, 0.0, figures, what, who, how)


@compiled
def look_through(
    row: Any,
    now_s: Any,
    table_keys: Any,
    last_s: Any,
    stats: Any,
    figures: Any,
    what: Any,
    who: Any,
    how: Any,
) -> None:
    """Find everybody who is overdue at `now_s`, and when the next one may be."""
    figures[_DUE], figures[_SINCE] = np.inf, 0.0
    expired = 0
    for slot in range(len(table_keys)):
        if table_keys[slot] == np.uint64(0) or stats[slot, KNOWN] == 0.0:
            continue
        elapsed_s = now_s - last_s[slot]
        if expired == 0 and stats[slot, STATE] == SILENT and elapsed_s > EXPIRE_S:
            stats[slot, STATE] = np.float32(GIVEN_UP)
            figures[_OPEN] -= 1.0
            expired = 1  # one at a time, so that there are no more events than `MOST_EVENTS` says
        if stats[slot, STATE] != HEARD or not cadence.has_cadence(stats, slot):
            continue
        limit_s = cadence.longest_gap(stats, slot, figures[_SPREADS])
        if elapsed_s <= limit_s:
            figures[_DUE] = min(figures[_DUE], last_s[slot] + limit_s)
        elif figures[_OPEN] >= MAX_OPEN:
            stats[slot, STATE] = np.float32(GIVEN_UP)
            figures[_WITHHELD] += 1.0
        else:
            stats[slot, STATE] = np.float32(SILENT)
            figures[_OPEN] += 1.0
            usual_s = np.exp(float(stats[slot, cadence.MEAN]))
            score = cadence.rarity_of_gap(stats, slot, elapsed_s)
            tell(FELL_SILENT, row, table_keys[slot], elapsed_s, usual_s, score, figures, what, who, how)


@compiled
def tell(
    kind: Any,
    row: Any,
    key: Any,
    elapsed_s: Any,
    usual_s: Any,
    score: Any,
    figures: Any,
    what: Any,
    who: Any,
    how: Any,
) -> None:
    """Write down an event."""
    at = int(figures[_EVENTS])
    what[at, 0], what[at, 1] = kind, row
    who[at] = key
    how[at, 0], how[at, 1], how[at, 2] = elapsed_s, usual_s, score
    figures[_EVENTS] = at + 1.0
