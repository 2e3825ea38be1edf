"""Entity profiles: what each customer, host or device usually does, and how far a record is from it.

One row of statistics an entity: its pace (`anomalyai.pace`), how often it met new counterparties
(`anomalyai.familiarity`), where it is (`anomalyai.place`), and its habits (`anomalyai.habit`) in each tracked
number, in the pauses between its events, and in its distance from its usual place. Numbers are compared as
asinh(x) (Johnson 1949: close to the logarithm for large values of either sign, linear near zero), pauses and
distances as ln(1 + x). A record is compared first and learnt after.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from anomalyai import familiarity, habit, hour, pace, place
from anomalyai.detectors.compilation import compiled
from anomalyai.entity_table import EntityTable, claim_slot, find_slot

MAX_TRACKED = 8
"""Most numbers tracked per entity: bounds the memory of a profile."""

MAX_PLACES = 1
"""Positions tracked per entity, in schema order."""

_EVENTS = pace.STATS
_HOURS = _EVENTS + 1
_NEW = _HOURS + hour.OWN_STATS


class Observed(NamedTuple):
    """Rows that profiles write what they make of n records to, where entity and quantity are there.

    To `columns`, float64 [n, any], from `first_column` on: deviations of the tracked numbers, of the pause
    and of the distance from the usual place; burst, surge; surprise of the hour and of each counterparty;
    speed. To `counts`, float64 [n, any], from `first_count` on: how many of the entity's own values each
    number's habit rests on, and the habits, as asinh.
    """

    columns: NDArray[np.float64]
    counts: NDArray[np.float64]


class EntityProfile:
    """Profiles of one entity field.

    Parameters
    ----------
    tracked
        Numbers of a record that are tracked, at most `MAX_TRACKED`.
    counterparties
        Other entities of a record that the entity meets.
    places
        Positions of a record, of which the first `MAX_PLACES` are tracked.
    max_entities
        Bound of the table; the least recently used entity gives way.
    first_column, first_count
        Where its columns and its counts begin in the rows that `observe` writes to.
    """

    def __init__(
        self,
        tracked: int,
        counterparties: int,
        places: int,
        max_entities: int,
        *,
        first_column: int = 0,
        first_count: int = 0,
    ) -> None:
        self.tracked = tracked
        self.counterparties = counterparties
        self.places = min(places, MAX_PLACES)
        self.habits = self.tracked + 1 + self.places
        first_place = _NEW + counterparties
        first_habit = first_place + place.STATS * self.places
        self.first_column = first_column
        self._layout = np.array(
            [self.tracked, counterparties, self.places, first_place, first_habit, first_column, first_count]
        )
        self.table = EntityTable(first_habit + habit.STATS * self.habits, max_entities)
        self.pooled: NDArray[np.float64] = np.zeros((self.habits, habit.POOLED))
        self.pooled_pairs: NDArray[np.float64] = np.zeros((counterparties, 2))
        self.late = 0

    @property
    def width(self) -> int:
        """Columns that `observe` writes."""
        return self.habits + 3 + self.counterparties + self.places

    def observe(
        self,
        keys: NDArray[np.uint64],
        time_s: NDArray[np.float64],
        turns: NDArray[np.float64],
        numbers: NDArray[np.float64],
        met: NDArray[np.uint8],
        places: NDArray[np.float64],
        first_tick: int,
        seen: Observed,
    ) -> None:
        """Compare n records with the profiles and learn them, one after another in order.

        `turns` are `hour.turns` of the times, `numbers` asinh(x) [n, tracked or more], `met` [n,
        counterparties] as `familiarity` says, `places` latitudes and longitudes in turn [n, 2 * places or
        more]. What is found is written to `seen`; what is missing is left as it is there.
        """
        table = self.table
        self.late += table.put_through(
            len(keys),
            lambda: keys,
            lambda start, room: observe_rows(
                keys,
                time_s,
                turns,
                numbers,
                met,
                places,
                self._layout,
                first_tick,
                table.keys,
                table.touched,
                table.last_s,
                table.stats,
                self.pooled,
                self.pooled_pairs,
                seen.columns,
                seen.counts,
                start,
                room,
            ),
        )

    def state(self) -> dict[str, Any]:
        """Return the state for `anomalyai.state`, names prefixed by the caller."""
        return {
            "pooled": self.pooled,
            "pooled_pairs": self.pooled_pairs,
            "late": self.late,
            **self.table.state(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state that `state` returned."""
        self.pooled, self.pooled_pairs = state["pooled"], state["pooled_pairs"]
        self.late = int(state["late"])
        self.table.restore(state)


@compiled
def observe_rows(
    keys: Any,
    time_s: Any,
    turns: Any,
    numbers: Any,
    met: Any,
    places: Any,
    layout: Any,
    first_tick: Any,
    table_keys: Any,
    touched: Any,
    last_s: Any,
    stats: Any,
    pooled: Any,
    pooled_pairs: Any,
    columns: Any,
    counts: Any,
    start: Any,
    room: Any,
) -> Any:
    """Compare and learn rows from `start`; returns (reached, fresh, evicted, late).

    Stops early at the first record whose entity is new when `room` new ones were placed.
    """
    fresh = 0
    evicted = 0
    late = 0
    for i in range(start, keys.shape[0]):
        if keys[i] == np.uint64(0):
            continue
        if fresh >= room and find_slot(table_keys, touched, keys[i])[1] != 0:
            return i, fresh, evicted, late
        slot, found = claim_slot(table_keys, touched, last_s, stats, keys[i], first_tick + i)
        fresh += found == 1
        evicted += found == 2
        pause_s = time_s[i] - last_s[slot]  # NaN without a time, and before the first
        if pause_s < 0.0:
            late += 1
            pause_s = np.nan
        compare_numbers(stats, slot, numbers, layout, pooled, columns, counts, i)
        compare_places(stats, slot, pause_s, places, layout, pooled, columns, i)
        compare_counterparties(stats, slot, met, layout, pooled_pairs, columns, i)
        compare_times(stats, slot, time_s, pause_s, turns, layout, pooled, columns, i)
        stats[slot, _EVENTS] = np.float32(stats[slot, _EVENTS] * habit.OWN_DECAY + 1.0)
        if not time_s[i] <= last_s[slot] and not np.isnan(time_s[i]):
            last_s[slot] = time_s[i]
    return keys.shape[0], fresh, evicted, late


@compiled
def compare_numbers(
    stats: Any, slot: Any, numbers: Any, layout: Any, pooled: Any, columns: Any, counts: Any, i: Any
) -> None:
    """Compare the numbers of record `i` with its entity's habits and learn them."""
    tracked, first_habit, column, count = layout[0], layout[4], layout[5], layout[6]
    for j in range(tracked):
        if not np.isnan(numbers[i, j]):
            at = first_habit + habit.STATS * j
            counts[i, count + j] = stats[slot, at + 2]
            deviation, usual = habit.deviate(stats, slot, at, pooled, j, numbers[i, j])
            columns[i, column + j] = deviation
            counts[i, count + tracked + j] = usual


@compiled
def compare_times(
    stats: Any,
    slot: Any,
    time_s: Any,
    pause_s: Any,
    turns: Any,
    layout: Any,
    pooled: Any,
    columns: Any,
    i: Any,
) -> None:
    """Compare the pause before record `i`, its entity's pace and the hour with what is usual; learn them.

    `pause_s` is NaN where there was no event before, the record is late, or it has no time.
    """
    if np.isnan(time_s[i]):
        return
    tracked, n_places, first_habit = layout[0], layout[2], layout[4]
    column = layout[5] + tracked
    elapsed_s = 0.0
    if not np.isnan(pause_s):
        elapsed_s = pause_s
        at = first_habit + habit.STATS * tracked
        columns[i, column], _ = habit.deviate(stats, slot, at, pooled, tracked, np.log1p(pause_s))
    column += 1 + n_places
    pace.count_event(stats, slot, elapsed_s, columns, i, column)
    is_known = pace.is_older_than_a_day(stats, slot)
    columns[i, column + 2] = hour.surprise_of_hour(
        stats, slot, _HOURS, is_known, pause_s, turns[i, 0], turns[i, 1]
    )


@compiled
def compare_counterparties(
    stats: Any, slot: Any, met: Any, layout: Any, pooled_pairs: Any, columns: Any, i: Any
) -> None:
    """Say how surprising the counterparties of record `i` are, and count them."""
    tracked, counterparties, n_places = layout[0], layout[1], layout[2]
    column = layout[5] + tracked + n_places + 4
    events = float(stats[slot, _EVENTS])
    for other in range(counterparties):
        if met[i, other] != familiarity.UNKNOWN:
            is_new = met[i, other] == familiarity.NEW
            columns[i, column + other] = familiarity.surprise_of_new(
                stats, slot, _NEW + other, events, pooled_pairs, other, is_new
            )


@compiled
def compare_places(
    stats: Any, slot: Any, pause_s: Any, places: Any, layout: Any, pooled: Any, columns: Any, i: Any
) -> None:
    """Compare the places of record `i` with its entity's last and usual ones, and learn them."""
    tracked, counterparties, n_places = layout[0], layout[1], layout[2]
    first_place, first_habit, column = layout[3], layout[4], layout[5]
    for p in range(n_places):
        latitude, longitude = places[i, 2 * p], places[i, 2 * p + 1]
        if place.is_place(latitude, longitude):
            at = first_place + place.STATS * p
            speed, away = place.journey(stats, slot, at, latitude, longitude, pause_s)
            columns[i, column + tracked + n_places + 4 + counterparties + p] = speed
            if not np.isnan(away):
                j = tracked + 1 + p
                at = first_habit + habit.STATS * j
                columns[i, column + j], _ = habit.deviate(stats, slot, at, pooled, j, away)
