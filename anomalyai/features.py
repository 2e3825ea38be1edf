"""From record columns to feature rows, in order, with per-category and per-entity memory.

The columns of a feature row, in this order:

1. every number field as it came, clipped to +-1e30 (NaN where missing or not finite);
2. the rarity of every category's and entity's value, in nats: -ln of its decayed share of the feed's
   records, the mean of a short and a long memory;
3. for every entity field: the deviation of each tracked number from the entity's own habit, and how
   bursty its last minute was (`anomalyai.profile`).

A record never influences its own row; it is learnt right after it was described, because what it did to
counts and habits concerns the very next record. The influence of one record is clipped, see `profile`.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.profile import EntityProfile
from anomalyai.rarity import ValueRarity
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema

MAX_CATEGORY_VALUES = 20_000
MAX_ENTITIES = 1_000_000
MAX_NUMBER = 1e30
"""Larger magnitudes count as this one: beyond it 32-bit floats, and differences, overflow."""


class Column(msgspec.Struct, frozen=True):
    """What a feature column says about `field`.

    `aspect` is value, rarity (of a category), presence (rarity of an entity), deviation or burst; of a count,
    seen (how often the value had come) or events (how many an entity's habit rests on). `entity` names the
    entity field whose habit it is measured against, None for the feed itself.
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

    Single-threaded. Memory: one row of at most 8 tracked numbers an entity, `MAX_ENTITIES` an entity field,
    least recently used first out; evictions and late records are counted.
    """

    def __init__(self, schema: FeedSchema, max_entities: int = MAX_ENTITIES) -> None:
        self.numbers = schema.numbers
        self.categories = schema.categories
        self.entities = schema.entities
        self.max_entities = max_entities
        self.ticks = 0
        tracked = len(self.numbers)
        self._profiles = [EntityProfile(tracked, max_entities) for _ in self.entities]
        self._rarities = [ValueRarity(MAX_CATEGORY_VALUES) for _ in self.categories]
        self._rarities += [ValueRarity(max_entities) for _ in self.entities]
        self.columns = self._columns()
        self.counts = self._counts()

    def _columns(self) -> tuple[Column, ...]:
        columns = [Column(field, "value") for field in self.numbers]
        columns += [Column(field, "rarity") for field in self.categories]
        columns += [Column(field, "presence") for field in self.entities]
        for entity, profile in zip(self.entities, self._profiles, strict=True):
            columns += [Column(field, "deviation", entity) for field in self.numbers[: profile.tracked]]
            columns.append(Column(entity, "burst"))
        return tuple(columns)

    def _counts(self) -> tuple[Column, ...]:
        counts = [Column(field, "seen") for field in (*self.categories, *self.entities)]
        for entity, profile in zip(self.entities, self._profiles, strict=True):
            counts += [Column(field, "events", entity) for field in self.numbers[: profile.tracked]]
        return tuple(counts)

    def describe(self, batch: RecordBatch) -> NDArray[np.float64]:
        """Return the feature rows of a batch, float64 [n, len(columns)], and learn the batch.

        The batch may have more fields than the builder knows (they are left out) or fewer (they are missing).
        """
        return self.describe_with_counts(batch)[0]

    def describe_with_counts(self, batch: RecordBatch) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Do what `describe` does; returns the rows, and what they rest on, float64 [n, len(counts)].

        The counts, named by `counts`, are decayed and of the time before each record: they are for
        explanations and are not scored. NaN where missing.
        """
        numbers = self._pick(batch.numbers, batch.schema.numbers, self.numbers, np.nan)
        numbers = np.clip(np.where(np.isfinite(numbers), numbers, np.nan), -MAX_NUMBER, MAX_NUMBER)
        known = (*batch.schema.categories, *batch.schema.entities)
        keys = self._pick(batch.keys, known, (*self.categories, *self.entities), np.uint64(0))
        parts: list[NDArray[np.float64]] = [numbers]
        before = np.full((len(self._rarities), batch.n), np.nan)
        counts: list[NDArray[np.float64]] = [before.T]
        for j, table in enumerate(self._rarities):
            parts.append(table.observe(np.ascontiguousarray(keys[:, j]), self.ticks, before[j])[:, None])
        first = len(self.categories)
        for j, profile in enumerate(self._profiles):
            seen = profile.observe(
                np.ascontiguousarray(keys[:, first + j]), batch.time_s, numbers, self.ticks
            )
            parts.append(seen[:, : profile.tracked + 1])
            counts.append(seen[:, profile.tracked + 2 :])
        self.ticks += batch.n
        return np.hstack(parts), np.hstack(counts)

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

    @property
    def evicted(self) -> int:
        """Entities and values of categories that had to give way since the start."""
        words = self._rarities[: len(self.categories)]  # entities' own rarities go with their profiles
        tables = [profile.table for profile in self._profiles] + [rarity.table for rarity in words]
        return sum(table.evicted for table in tables)

    @property
    def late(self) -> int:
        """Records that came behind their entity's last event time."""
        return sum(profile.late for profile in self._profiles)

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {f"profile{j}": part for j, part in enumerate(self._profiles)}
        parts.update({f"rarity{j}": part for j, part in enumerate(self._rarities)})
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
