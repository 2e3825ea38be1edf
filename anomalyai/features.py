"""From record columns to feature rows, in order, with per-category and per-entity memory.

The columns of a feature row, in this order:

1. every number field as it came, clipped to +-1e30 (NaN where missing or not finite);
2. the rarity of every category's and entity's value, in nats: -ln of its decayed share of the feed's
   records, the mean of a short and a long memory; and of the hour of the day (`anomalyai.hour`);
3. the distance between a record's positions, where it has two;
4. for every entity field (`anomalyai.profile`): how far each tracked number, the pause since the entity's
   last event and the distance from its usual place are from the entity's own habit, in its own spreads; how
   bursty its last minute and hour were; how surprising the hour and each counterparty are; how fast it would
   have travelled; and what verdicts said of it before (`anomalyai.history`);
5. the code of every category's value: no measure of anything, only to tell values apart (`CODE_BITS`).

A record never influences its own row; it is learnt right after it was described, because what it did to
counts and habits concerns the very next record. The influence of one record is clipped, see `habit`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.compilation import compiled
from anomalyai.familiarity import MAX_COUNTERPARTIES, PairTable
from anomalyai.history import VerdictHistory
from anomalyai.hour import HourRate, turns
from anomalyai.place import distances_apart
from anomalyai.profile import MAX_PLACES, MAX_TRACKED, EntityProfile, Observed
from anomalyai.rarity import ValueRarity
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema

MAX_CATEGORY_VALUES = 20_000
MAX_ENTITIES = 1_000_000
CODE_BITS = 24
"""Leading bits of a value's key that are its code: exact in the 32-bit floats that rows are kept in. Only a
model with a column for each frequent value reads codes; one in a million other values passes for one of 20.
"""

MAX_NUMBER = 1e30
"""Larger magnitudes count as this one: beyond it 32-bit floats, and differences, overflow."""


class Column(msgspec.Struct, frozen=True):
    """What a feature column says about `field`.

    `aspect` is value, rarity (of a category), presence (rarity of an entity), hour, apart; against an entity:
    deviation, pause, away, burst, surge, own hour, novelty, speed,
    history. Of a count, seen (how often the value had
    come), met (how often the entity had met it), events (how many values an entity's habit rests on) or habit
    (asinh of what it usually is). `entity` names the entity field whose habit it is measured against; None:
    the feed itself. Codes come last.
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
        self.positions = schema.positions
        self.max_entities = max_entities
        self.ticks = 0
        of_places = {name for position in self.positions for name in position}  # these have a habit as places
        self.tracked = tuple(name for name in self.numbers if name not in of_places)[:MAX_TRACKED]
        self._tracked = [self.numbers.index(name) for name in self.tracked]
        self._hour = HourRate() if schema.time else None
        self._time = schema.time or ""
        self._counterparties = counterparties(len(self.entities))
        self._pairs = {pair: PairTable(max_entities) for pair in sorted_pairs(self._counterparties)}
        self._histories = [VerdictHistory() for _ in self.entities]
        self._rarities = [ValueRarity(MAX_CATEGORY_VALUES) for _ in self.categories]
        self._rarities += [ValueRarity(max_entities) for _ in self.entities]
        of_feed = len(self._rarities) + (self._hour is not None) + (len(self.positions) > 1)
        self._first_profile = len(self.numbers) + of_feed
        self._profiles = self._new_profiles()
        self.measures = self._columns()
        self.codes = tuple(Column(field, "code") for field in self.categories)
        self.columns = (*self.measures, *self.codes)
        self.counts = self._counts()

    def _new_profiles(self) -> list[EntityProfile]:
        """Return a profile for each entity field, one's columns behind the other's, histories between."""
        profiles: list[EntityProfile] = []
        column, count = self._first_profile, len(self._rarities) + len(self._pairs)
        for others in self._counterparties:
            profile = EntityProfile(
                len(self.tracked),
                len(others),
                len(self.positions),
                self.max_entities,
                first_column=column,
                first_count=count,
            )
            profiles.append(profile)
            column += profile.width + 1
            count += 2 * profile.tracked
        return profiles

    def _columns(self) -> tuple[Column, ...]:
        columns = [Column(field, "value") for field in self.numbers]
        columns += [Column(field, "rarity") for field in self.categories]
        columns += [Column(field, "presence") for field in self.entities]
        if self._hour is not None:
            columns.append(Column(self._time, "hour"))
        if len(self.positions) > 1:
            columns.append(Column(self.positions[1][0], "apart"))
        for entity, profile, others in zip(self.entities, self._profiles, self._counterparties, strict=True):
            places = [latitude for latitude, _ in self.positions[: profile.places]]
            columns += [Column(field, "deviation", entity) for field in self.tracked]
            columns.append(Column(entity, "pause", entity))
            columns += [Column(latitude, "away", entity) for latitude in places]
            columns += [Column(entity, aspect, entity) for aspect in ("burst", "surge", "own hour")]
            columns += [Column(self.entities[other], "novelty", entity) for other in others]
            columns += [Column(latitude, "speed", entity) for latitude in places]
            columns.append(Column(entity, "history", entity))
        return tuple(columns)

    def _counts(self) -> tuple[Column, ...]:
        counts = [Column(field, "seen") for field in (*self.categories, *self.entities)]
        counts += [
            Column(self.entities[second], "met", self.entities[first]) for first, second in self._pairs
        ]
        for entity in self.entities:
            counts += [
                Column(field, aspect, entity) for aspect in ("events", "habit") for field in self.tracked
            ]
        return tuple(counts)

    def describe(self, batch: RecordBatch) -> NDArray[np.float64]:
        """Return the feature rows of a batch, float64 [n, len(columns)], and learn the batch.

        The batch may have more fields than the builder knows (they are left out) or fewer (they are missing).
        """
        return self.describe_with_counts(batch)[0]

    def describe_with_counts(
        self, batch: RecordBatch, time_s: NDArray[np.float64] | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Do what `describe` does; returns the rows, and what they rest on, float64 [n, len(counts)].

        The counts, named by `counts`, are decayed and of the time before each record: they are for
        explanations and are not scored. NaN where missing. `time_s` [n] are the times to go by instead of the
        batch's own, NaN where a record's is not to be believed.
        """
        times = batch.time_s if time_s is None else time_s
        rows = np.full((batch.n, len(self.columns)), np.nan)
        counts = np.full((batch.n, len(self.counts)), np.nan)
        clip_numbers(self._pick(batch.numbers, batch.schema.numbers, self.numbers, np.nan), MAX_NUMBER, rows)
        known = (*batch.schema.categories, *batch.schema.entities)
        keys = self._pick(batch.keys, known, (*self.categories, *self.entities), np.uint64(0))
        keys = np.ascontiguousarray(keys.T)
        places = self._places(rows)
        of_feed = np.empty((self._first_profile - len(self.numbers), batch.n))
        before = np.full((len(self._rarities) + len(self._pairs), batch.n), np.nan)
        for j, table in enumerate(self._rarities):
            of_feed[j] = table.observe(keys[j], self.ticks, before[j])
        if self._hour is not None:
            of_feed[len(self._rarities)] = self._hour.observe(times)
        if len(self.positions) > 1:
            distances_apart(places[:, :2], places[:, 2:4], of_feed[-1])
        entities = keys[len(self.categories) :]
        if self.codes:
            codes = codes_of(keys[: len(self.categories)])
            rows[:, len(self.measures) :] = codes.T
        self._observe_entities(entities, times, places, before[len(self._rarities) :], Observed(rows, counts))
        rows[:, len(self.numbers) : self._first_profile] = of_feed.T
        counts[:, : len(before)] = before.T
        self.ticks += batch.n
        return rows, counts

    def _observe_entities(
        self,
        keys: NDArray[np.uint64],
        time_s: NDArray[np.float64],
        places: NDArray[np.float64],
        met_before: NDArray[np.float64],
        seen: Observed,
    ) -> None:
        """Compare the records with their entities and write what is found beside the numbers in `seen`."""
        met = {
            pair: table.observe(keys[pair[0]], keys[pair[1]], self.ticks, before)
            for (pair, table), before in zip(self._pairs.items(), met_before, strict=True)
        }
        transformed = np.arcsinh(seen.columns[:, self._tracked])
        angles = turns(time_s)
        parts = zip(self._profiles, self._counterparties, self._histories, strict=True)
        for j, (profile, others, history) in enumerate(parts):
            with_others = np.empty((len(time_s), len(others)), dtype=np.uint8)
            for place, other in enumerate(others):
                with_others[:, place] = met[min(j, other), max(j, other)]
            profile.observe(keys[j], time_s, angles, transformed, with_others, places, self.ticks, seen)
            after = profile.first_column + profile.width
            seen.columns[:, after] = history.observe(keys[j], time_s, self.ticks)

    def entity_keys(self, batch: RecordBatch, places: NDArray[np.int64] | None = None) -> NDArray[np.uint64]:
        """Return the keys of the entities of a batch, or of some places in it, uint64 [n, entities]."""
        known = (*batch.schema.categories, *batch.schema.entities)
        keys = batch.keys if places is None else batch.keys[places]
        return self._pick(keys, known, self.entities, np.uint64(0))

    def judge(self, batch: RecordBatch, is_anomaly: NDArray[np.bool_], *, take_back: bool = False) -> None:
        """Remember verdicts, bool [n], on records by their entities, or take them back."""
        keys = np.ascontiguousarray(self.entity_keys(batch).T)
        for mine, history in zip(keys, self._histories, strict=True):
            history.learn(mine, batch.time_s, is_anomaly, self.ticks, take_back=take_back)

    def with_history(
        self, rows: NDArray[np.float64], keys: NDArray[np.uint64], time_s: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return feature rows, float64 [n, columns], with what verdicts say of their entities by now.

        `keys` are what `entity_keys` said of their records, `time_s` [n] these records' times.
        """
        rows = rows.copy()
        places = [j for j, column in enumerate(self.columns) if column.aspect == "history"]
        for j, place in enumerate(places):
            rows[:, place] = self._histories[j].observe(np.ascontiguousarray(keys[:, j]), time_s, self.ticks)
        return rows

    def _places(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return latitudes and longitudes in turn, of the positions that are looked at."""
        names = [name for position in self.positions[: max(MAX_PLACES, 2)] for name in position]
        return np.ascontiguousarray(numbers[:, [self.numbers.index(name) for name in names]])

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
        tables += [pair.table for pair in self._pairs.values()]
        return sum(table.evicted for table in tables)

    @property
    def late(self) -> int:
        """Records that came behind their entity's last event time."""
        return sum(profile.late for profile in self._profiles)

    def _parts(self) -> dict[str, Any]:
        parts: dict[str, Any] = {f"profile{j}": part for j, part in enumerate(self._profiles)}
        parts.update({f"rarity{j}": part for j, part in enumerate(self._rarities)})
        parts.update({f"history{j}": part for j, part in enumerate(self._histories)})
        parts.update({f"pair{j}": part for j, part in enumerate(self._pairs.values())})
        if self._hour is not None:
            parts["hour"] = self._hour
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


def codes_of(keys: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Return the codes of categories' keys, NaN where missing.

    >>> codes_of(np.array([0, 1 << 63], dtype=np.uint64)).tolist()
    [nan, 8388608.0]
    """
    return np.where(keys == 0, np.nan, (keys >> np.uint64(64 - CODE_BITS)).astype(np.float64))


@compiled
def clip_numbers(numbers: Any, most: Any, rows: Any) -> None:
    """Write numbers, float64 [n, k], to the first k columns of `rows`: clipped, NaN where not finite."""
    for i in range(numbers.shape[0]):
        for j in range(numbers.shape[1]):
            number = numbers[i, j]
            rows[i, j] = min(max(number, -most), most) if np.isfinite(number) else np.nan


def counterparties(entities: int) -> list[tuple[int, ...]]:
    """Return for each of some entity fields the other ones that it is paired with.

    >>> counterparties(1), counterparties(2), counterparties(4)
    ([()], [(1,), (0,)], [(1, 2), (0, 2), (0, 1), (0, 1)])
    """
    return [tuple(k for k in range(entities) if k != j)[:MAX_COUNTERPARTIES] for j in range(entities)]


def sorted_pairs(paired: Sequence[tuple[int, ...]]) -> list[tuple[int, int]]:
    """Return the pairs of entity fields among counterparties, each once.

    >>> sorted_pairs([(1, 2), (0, 2), (0, 1)])
    [(0, 1), (0, 2), (1, 2)]
    """
    return sorted({(min(j, k), max(j, k)) for j, others in enumerate(paired) for k in others})
