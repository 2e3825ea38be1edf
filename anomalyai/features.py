"""From record columns to feature rows, in order, with per-category and per-entity memory.

The columns of a feature row, in this order:

1. every number field as it came (NaN where missing or not finite);
2. every category field's rarity in nats: -ln of its decayed share of the feed's records;
3. for every entity field: the deviation of each tracked number from the entity's own habit, and how bursty its
   last minute was (`anomalyai.profile`);
4. for every further entity field: how new its company is, 1.0 where it was never seen with the first entity field.

A record never influences its own row; it is learnt right after it was described, because what it did to
counts and habits concerns the very next record. The influence of one record is clipped, see `profile`.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.entity_table import EntityTable, claim_slot, find_slot
from anomalyai.profile import EntityProfile
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema

MAX_CATEGORY_VALUES = 20_000
MAX_ENTITIES = 1_000_000
RARITY_HALF_LIFE = 5_000.0
"""Records after which a category's count is worth half."""

_MIX = np.uint64(0x9E3779B97F4A7C15)


class Column(msgspec.Struct, frozen=True):
    """What a feature column says: `aspect` is value, rarity, deviation, burst or company, about `field`.

    `entity` names the entity field whose habit it is measured against, None for the feed itself.
    """

    field: str
    aspect: str
    entity: str | None = None

    @property
    def name(self) -> str:
        """Name of the column, unique within a feed."""
        return f"{self.aspect}({self.field}|{self.entity})" if self.entity else f"{self.aspect}({self.field})"


class FeatureBuilder:
    """Describe record batches of one settled set of fields as feature rows.

    Single-threaded. Memory: one row of at most 8 tracked numbers an entity, `MAX_ENTITIES` an entity field, least
    recently used first out; evictions and late records are counted.
    """

    def __init__(self, schema: FeedSchema, max_entities: int = MAX_ENTITIES) -> None:
        self.numbers = schema.numbers
        self.categories = schema.categories
        self.entities = schema.entities
        self.max_entities = max_entities
        self.ticks = 0
        tracked = len(self.numbers)
        self._profiles = [EntityProfile(tracked, max_entities) for _ in self.entities]
        self._rarities = [EntityTable(1, MAX_CATEGORY_VALUES) for _ in self.categories]
        self._company = [EntityTable(1, max_entities) for _ in self.entities[1:]]
        self.columns = self._columns()

    def _columns(self) -> tuple[Column, ...]:
        columns = [Column(field, "value") for field in self.numbers]
        columns += [Column(field, "rarity") for field in self.categories]
        for entity, profile in zip(self.entities, self._profiles, strict=True):
            columns += [Column(field, "deviation", entity) for field in self.numbers[: profile.tracked]]
            columns.append(Column(entity, "burst"))
        columns += [Column(entity, "company", self.entities[0]) for entity in self.entities[1:]]
        return tuple(columns)

    def describe(self, batch: RecordBatch) -> NDArray[np.float64]:
        """Return the feature rows of a batch, float64 [n, len(columns)], and learn the batch.

        The batch may have more fields than the builder knows (they are left out) or fewer (they are missing).
        """
        numbers = self._pick(batch.numbers, batch.schema.numbers, self.numbers, np.nan)
        numbers = np.where(np.isfinite(numbers), numbers, np.nan)
        known = (*batch.schema.categories, *batch.schema.entities)
        keys = self._pick(batch.keys, known, (*self.categories, *self.entities), np.uint64(0))
        parts: list[NDArray[np.float64]] = [numbers]
        for j, table in enumerate(self._rarities):
            parts.append(self._rarity(table, keys[:, j])[:, None])
        first = len(self.categories)
        for j, profile in enumerate(self._profiles):
            seen = profile.observe(
                np.ascontiguousarray(keys[:, first + j]), batch.time_s, numbers, self.ticks
            )
            parts.append(seen[:, : profile.tracked + 1])
        for j, table in enumerate(self._company):
            parts.append(self._new_company(table, keys[:, first], keys[:, first + 1 + j])[:, None])
        self.ticks += batch.n
        return np.hstack(parts)

    @staticmethod
    def _pick(
        columns: NDArray[Any], have: tuple[str, ...], want: tuple[str, ...], missing: Any
    ) -> NDArray[Any]:
        if have == want:
            return columns
        picked = np.full((len(columns), len(want)), missing, dtype=columns.dtype)
        for j, name in enumerate(want):
            if name in have:
                picked[:, j] = columns[:, have.index(name)]
        return picked

    def _rarity(self, table: EntityTable, keys: NDArray[np.uint64]) -> NDArray[np.float64]:
        out = np.full(len(keys), np.nan)
        self._sweep(table, np.ascontiguousarray(keys), out, rarity_rows)
        return out

    def _new_company(
        self, table: EntityTable, first: NDArray[np.uint64], other: NDArray[np.uint64]
    ) -> NDArray[np.float64]:
        both = (first != 0) & (other != 0)
        pairs = np.where(both, (first * _MIX) ^ other, np.uint64(0))
        out = np.full(len(pairs), np.nan)
        self._sweep(table, pairs, out, company_rows)
        return out

    def _sweep(
        self, table: EntityTable, keys: NDArray[np.uint64], out: NDArray[np.float64], kernel: Any
    ) -> None:
        done = 0
        while True:
            done, fresh, evicted = kernel(
                keys, self.ticks, table.keys, table.touched, table.last_s, table.stats, out, done, table.room
            )
            table.used += fresh
            table.evicted += evicted
            if done == len(keys):
                return
            table.double()

    @property
    def evicted(self) -> int:
        """Entities that had to give way since the start."""
        return sum(profile.table.evicted for profile in self._profiles)

    @property
    def late(self) -> int:
        """Records that came behind their entity's last event time."""
        return sum(profile.late for profile in self._profiles)

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {f"profile{j}": part for j, part in enumerate(self._profiles)}
        parts.update({f"rarity{j}": part for j, part in enumerate(self._rarities)})
        parts.update({f"company{j}": part for j, part in enumerate(self._company)})
        return parts

    def state(self) -> dict[str, Any]:
        """Return the state for `anomalyai.state`."""
        state: dict[str, Any] = {"ticks": self.ticks}
        for prefix, part in self._parts().items():
            state.update({f"{prefix}.{name}": value for name, value in part.state().items()})
        return state

    def restore(self, state: dict[str, Any]) -> None:
        """Take a state of the same fields."""
        self.ticks = int(state["ticks"])
        for prefix, part in self._parts().items():
            start = f"{prefix}."
            part.restore(
                {name[len(start) :]: value for name, value in state.items() if name.startswith(start)}
            )


RARITY_DECAY = 0.5 ** (1.0 / RARITY_HALF_LIFE)


@compiled
def rarity_rows(
    keys: Any,
    first_tick: Any,
    table_keys: Any,
    touched: Any,
    last_s: Any,
    stats: Any,
    out: Any,
    start: Any,
    room: Any,
) -> Any:
    """Write -ln of each value's decayed share, then count it; returns (reached, fresh, evicted)."""
    fresh = 0
    evicted = 0
    for i in range(start, keys.shape[0]):
        if keys[i] == np.uint64(0):
            continue
        tick = first_tick + i
        before, old = find_slot(table_keys, touched, keys[i])
        if old == 1 and fresh >= room:
            return i, fresh, evicted
        age = tick - touched[before]
        slot, found = claim_slot(table_keys, touched, last_s, stats, keys[i], tick)
        fresh += found == 1
        evicted += found == 2
        count = stats[slot, 0] * RARITY_DECAY**age if found == 0 else 0.0
        total = (1.0 - RARITY_DECAY**tick) / (1.0 - RARITY_DECAY)
        out[i] = -np.log((count + 0.5) / (total + 1.0))
        stats[slot, 0] = np.float32(count + 1.0)
    return keys.shape[0], fresh, evicted


@compiled
def company_rows(
    keys: Any,
    first_tick: Any,
    table_keys: Any,
    touched: Any,
    last_s: Any,
    stats: Any,
    out: Any,
    start: Any,
    room: Any,
) -> Any:
    """Write 1.0 where the pair was never seen, else 0.0, then keep it; returns (reached, fresh, evicted)."""
    fresh = 0
    evicted = 0
    for i in range(start, keys.shape[0]):
        if keys[i] == np.uint64(0):
            continue
        _, old = find_slot(table_keys, touched, keys[i])
        if old == 1 and fresh >= room:
            return i, fresh, evicted
        slot, found = claim_slot(table_keys, touched, last_s, stats, keys[i], first_tick + i)
        fresh += found == 1
        evicted += found == 2
        out[i] = 1.0 if found != 0 else 0.0
    return keys.shape[0], fresh, evicted
