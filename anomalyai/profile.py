"""Entity profiles: what each customer, host or device usually does, and how far a record is from it.

Per entity and tracked number an exponentially decayed mean of asinh(x) (Johnson 1949: close to the logarithm
for large values of either sign, linear near zero), shrunk towards the feed's own while the entity is young;
per entity decayed event counts at three half-lives of event time. A number that a record lacks teaches
nothing: every number has its own count. A record is compared first and learnt
after, and its influence is clipped, so one extreme value moves a profile little.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.entity_table import EntityTable, claim_slot, find_slot

MAX_TRACKED = 8
"""Numbers tracked per entity, in schema order: bounds the memory of a profile (a mean and a count each)."""

RATE_HALF_LIVES_S = (60.0, 3_600.0, 86_400.0)
OWN_HALF_LIFE = 100.0
"""An entity's own events after which an old one counts half in its means."""

POOLED_HALF_LIFE = 10_000.0
PRIOR_EVENTS = 3.0
"""How many events the feed's own mean is worth in a young profile."""

CLIP_SD = 4.0
_RATE, _MEANS = 0, 3
OWN_DECAY = np.float32(0.5 ** (1.0 / OWN_HALF_LIFE))
POOLED_DECAY = 0.5 ** (1.0 / POOLED_HALF_LIFE)


class EntityProfile:
    """Profiles of one entity field.

    `observe` returns, per record, float64 [n, 2 * tracked + 2]: asinh(x) of each tracked number minus the
    entity's habit, the decayed count of the last minute over what the entity's hour
    implies (log ratio; a burst), 1.0 where the entity was never seen, and the decayed count of the entity's
    events that each number's habit rests on. Records without the entity are NaN.
    """

    def __init__(self, tracked: int, max_entities: int) -> None:
        self.tracked = min(tracked, MAX_TRACKED)
        self.table = EntityTable(_MEANS + 2 * self.tracked, max_entities)
        self.pooled: NDArray[np.float64] = np.zeros((3, self.tracked))
        self.late = 0

    @property
    def width(self) -> int:
        """Columns that `observe` returns."""
        return 2 * self.tracked + 2

    def observe(
        self,
        keys: NDArray[np.uint64],
        time_s: NDArray[np.float64],
        numbers: NDArray[np.float64],
        first_tick: int,
    ) -> NDArray[np.float64]:
        """Compare n records with the profiles and learn them, one after another in order."""
        out = np.full((len(keys), self.width), np.nan)
        transformed = np.arcsinh(numbers[:, : self.tracked])
        table = self.table
        done = 0
        while True:
            done, fresh, evicted, late = observe_rows(
                keys,
                time_s,
                transformed,
                first_tick,
                table.keys,
                table.touched,
                table.last_s,
                table.stats,
                self.pooled,
                out,
                done,
                table.room,
            )
            table.used += fresh
            table.evicted += evicted
            self.late += late
            if done == len(keys):
                return out
            table.double()

    def state(self) -> dict[str, Any]:
        """Return the state for `anomalyai.state`, names prefixed by the caller."""
        return {"pooled": self.pooled, "late": self.late, **self.table.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state that `state` returned."""
        self.pooled = state["pooled"]
        self.late = int(state["late"])
        self.table.restore(state)


@compiled
def find_is_new(keys: Any, touched: Any, key: Any) -> Any:
    """Return whether the key has no slot yet."""
    _, state = find_slot(keys, touched, key)
    return state != 0


@compiled
def learn_rates(own: Any, last_s: Any, slot: Any, time_s: Any, out: Any, column: Any) -> Any:
    """Write how bursty the last minute was, then count the event; returns 1 for a late record, else 0."""
    if np.isnan(time_s):
        return 0
    last = last_s[slot]
    gap_s = time_s - last if not np.isnan(last) else 0.0
    late = 1 if gap_s < 0.0 else 0
    gap_s = max(gap_s, 0.0)
    for r in range(3):
        own[_RATE + r] = np.float32(own[_RATE + r] * 0.5 ** (gap_s / RATE_HALF_LIVES_S[r]) + 1.0)
    usual = own[_RATE + 2] * (RATE_HALF_LIVES_S[0] / RATE_HALF_LIVES_S[2])
    out[column] = np.log((own[_RATE] + 0.5) / (usual + 1.5))
    if late == 0:
        last_s[slot] = time_s
    return late


@compiled
def deviation(own: Any, pooled: Any, j: Any, value: Any) -> Any:
    """Return value minus habit, then learn the value, its influence clipped."""
    counted = _MEANS + pooled.shape[1] + j
    known = pooled[2, j] > 0.0
    mean = pooled[0, j] if known else value
    count = float(own[counted])
    own_mean = float(own[_MEANS + j])
    habit = (count * own_mean + PRIOR_EVENTS * mean) / (count + PRIOR_EVENTS)
    error = value - habit
    limit = CLIP_SD * np.sqrt(pooled[1, j]) if pooled[2, j] > 20.0 else np.inf
    learnt = habit + min(max(error, -limit), limit)
    pooled[2, j] = pooled[2, j] * POOLED_DECAY + 1.0
    pooled[0, j] += (learnt - mean) / pooled[2, j] if known else value
    pooled[1, j] += ((learnt - habit) ** 2 - pooled[1, j]) / pooled[2, j]
    own[_MEANS + j] = np.float32(own_mean + (learnt - own_mean) / (count * OWN_DECAY + 1.0))
    own[counted] = np.float32(count * OWN_DECAY + 1.0)
    return error


@compiled
def observe_rows(
    keys: Any,
    time_s: Any,
    numbers: Any,
    first_tick: Any,
    table_keys: Any,
    touched: Any,
    last_s: Any,
    stats: Any,
    pooled: Any,
    out: Any,
    start: Any,
    room: Any,
) -> Any:
    """Compare and learn rows from `start`; returns (reached, fresh, evicted, late).

    Stops early at the first record whose entity is new when `room` new ones were placed.
    """
    tracked = numbers.shape[1]
    fresh = 0
    evicted = 0
    late = 0
    for i in range(start, keys.shape[0]):
        if keys[i] == np.uint64(0):
            continue
        if fresh >= room and find_is_new(table_keys, touched, keys[i]):
            return i, fresh, evicted, late
        slot, found = claim_slot(table_keys, touched, last_s, stats, keys[i], first_tick + i)
        fresh += found == 1
        evicted += found == 2
        own = stats[slot]
        late += learn_rates(own, last_s, slot, time_s[i], out[i], tracked)
        out[i, tracked + 1] = 1.0 if found != 0 else 0.0
        for j in range(tracked):
            if not np.isnan(numbers[i, j]):
                out[i, tracked + 2 + j] = own[_MEANS + tracked + j]
                out[i, j] = deviation(own, pooled, j, numbers[i, j])
    return keys.shape[0], fresh, evicted, late
