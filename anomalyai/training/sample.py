"""Feature rows gathered while records go through a pipeline, in bounded memory.

All rows are kept while they fit; beyond that half of them, a quarter and so on, chosen by a seeded hash of
the record's place. What is kept depends on the records alone, not on how they were cut into batches, and
stays in their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from anomalyai.detectors.baseline import RandomBaseline
from anomalyai.evaluation import Entities, LabelClock
from anomalyai.features import Column
from anomalyai.records import RecordBatch
from anomalyai.scored import ScoredBatch

__all__ = ["MAX_CELLS", "RowSample", "first_entity"]

MAX_CELLS: Final = 60_000_000
"""Rows times columns that are kept: 240 MB."""

MAX_NAMES: Final = 2_000
"""Entities whose texts are kept, for the report."""

_FIRST_ROOM: Final = 16_384


class RowSample:
    """A pipeline's witness that keeps feature rows with what belongs to them.

    Parameters
    ----------
    seed
        Fixes which rows are kept where not all are.
    total
        How many records are expected, so that room is made once; None where that is not known.
    label
        A number field that holds the ground truth, 0 or 1; None takes the records' own label.
    max_cells
        Bound of rows times columns.
    """

    def __init__(
        self, seed: int, *, total: int | None = None, label: str | None = None, max_cells: int = MAX_CELLS
    ) -> None:
        self.columns: tuple[Column, ...] = ()
        self.seen = 0
        self.first_time_s, self.last_time_s = np.inf, -np.inf
        self._chance = RandomBaseline(seed)
        self._label = label
        self._max_cells = max_cells
        self._expected = total
        self._bad: set[int] = set()
        self._truth: dict[int, int] = {}
        self._verdicts: dict[int, int] = {}
        self._entity: str | None = None
        self.restart(())

    def restart(self, columns: Sequence[Column]) -> None:
        """Forget all rows: from here on they have other columns, and the first ones come again."""
        self.columns = tuple(columns)
        self.capacity = max(self._max_cells // max(len(columns), 1), 1_000)
        self.seen = self._kept = 0
        self._level = 1.0
        room = min(self.capacity, self._expected or _FIRST_ROOM)
        self._rows: NDArray[np.float32] = np.empty((room, len(columns)), dtype=np.float32)
        self._extras: dict[str, NDArray[Any]] = {
            "seqs": np.empty(room, dtype=np.int64),
            "time_s": np.empty(room),
            "label": np.empty(room, dtype=np.float32),
            "flagged": np.empty(room, dtype=np.bool_),
            "chance": np.empty(room),
            "key": np.empty(room, dtype=np.uint64),
        }
        self._names: dict[int, str] = {}

    def see(self, batch: RecordBatch, values: NDArray[np.float64], scored: ScoredBatch) -> None:
        """Keep records with their feature rows, float64 [n, columns]."""
        known = batch.time_s[np.isfinite(batch.time_s)]
        if len(known):
            self.first_time_s = min(self.first_time_s, float(known.min()))
            self.last_time_s = max(self.last_time_s, float(known.max()))
        self._chance.rows_learnt = self.seen
        self.seen += batch.n
        fresh: dict[str, NDArray[Any]] = {
            "seqs": batch.first_seq + np.arange(batch.n),
            "time_s": batch.time_s,
            "label": self._labels(batch),
            "flagged": scored.flagged,
            "chance": self._chance.score_batch(values),
            "key": first_entity(batch),
        }
        self._name(batch, fresh["key"])
        taken = fresh["chance"] < self._level
        while self._kept + np.count_nonzero(taken) > self.capacity:
            self._level /= 2.0
            taken = fresh["chance"] < self._level
            self._thin()
        start, self._kept = self._kept, self._kept + int(np.count_nonzero(taken))
        self._make_room()
        self._rows[start : self._kept] = values[taken]
        for name, column in fresh.items():
            self._extras[name][start : self._kept] = column[taken]

    def _labels(self, batch: RecordBatch) -> NDArray[np.float64]:
        if self._label is None or self._label not in batch.schema.numbers:
            return batch.label
        truth = batch.numbers[:, batch.schema.numbers.index(self._label)]
        return np.where((truth == 0.0) | (truth == 1.0), truth, np.nan)

    def _thin(self) -> None:
        stay = np.flatnonzero(self._extras["chance"][: self._kept] < self._level)
        self._kept = len(stay)
        for array in (self._rows, *self._extras.values()):
            for start in range(0, len(stay), _FIRST_ROOM):  # in steps, so that no second copy is made
                part = stay[start : start + _FIRST_ROOM]
                array[start : start + len(part)] = array[part]

    def _make_room(self) -> None:
        room = len(self._rows)
        if self._kept > room:
            room = min(self.capacity, max(2 * room, self._kept))
            self._rows.resize((room, len(self.columns)), refcheck=False)
            for array in self._extras.values():
                array.resize(room, refcheck=False)

    def judge(self, seqs: Iterable[int], signs: Iterable[int], *, is_truth: bool = False) -> None:
        """Note what was said of records, by number: 1 an anomaly, -1 none, 0 nothing any more.

        The last word on a record holds. What `is_truth` is its label too.
        """
        for seq, sign in zip(seqs, signs, strict=True):
            if sign > 0:
                self._bad.add(seq)
            else:
                self._bad.discard(seq)
            (self._truth if is_truth else self._verdicts)[seq] = sign

    def __len__(self) -> int:
        return self._kept

    @property
    def is_whole(self) -> bool:
        """Whether all rows were kept."""
        return self._level == 1.0

    @property
    def rows(self) -> NDArray[np.float32]:
        """The rows kept, in the records' order, float32 [kept, columns]; a view."""
        return self._rows[: self._kept]

    @property
    def seqs(self) -> NDArray[np.int64]:
        """Numbers of the records whose rows are kept."""
        return self._extras["seqs"][: self._kept]

    @property
    def time_s(self) -> NDArray[np.float64]:
        """Event times of the rows kept, epoch seconds, NaN where unknown."""
        return self._extras["time_s"][: self._kept]

    @property
    def flagged(self) -> NDArray[np.bool_]:
        """Which of the rows kept the pipeline flagged."""
        return self._extras["flagged"][: self._kept]

    @property
    def label(self) -> NDArray[np.float64]:
        """The ground truth of the rows kept, float64: 0, 1, or NaN where unknown."""
        label = self._extras["label"][: self._kept].astype(np.float64)
        self._write(self._truth, label)
        return label

    def verdicts(self, places: NDArray[np.int64]) -> LabelClock | None:
        """Return what verdicts said of some of the rows kept; None where none was given."""
        if not self._verdicts:
            return None
        verdict = np.full(self._kept, np.nan)
        self._write(self._verdicts, verdict)
        return LabelClock(verdict[places])

    def _write(self, said_of: dict[int, int], label: NDArray[np.float64]) -> None:
        """Write what was said of records, by number, over the labels of the rows kept."""
        if not said_of:
            return
        said = np.array(sorted(said_of), dtype=np.int64)
        signs = np.array([said_of[seq] for seq in said.tolist()])
        at = np.minimum(np.searchsorted(said, self.seqs), len(said) - 1)
        known = said[at] == self.seqs
        label[known] = np.where(signs[at[known]] == 0, np.nan, signs[at[known]] > 0)

    def entities(self, places: NDArray[np.int64]) -> Entities | None:
        """Return the first entity of some of the rows kept; None where records have none."""
        if self._entity is None:
            return None
        return Entities(self._entity, self._extras["key"][: self._kept][places], self._names)

    def _name(self, batch: RecordBatch, keys: NDArray[np.uint64]) -> None:
        """Remember the texts of the entities that come first: large ones do."""
        self._entity = next(iter(batch.schema.entities), None)
        if self._entity is None or len(self._names) >= MAX_NAMES or not batch.keeps_records:
            return
        found, first = np.unique(keys, return_index=True)
        for key, place in zip(found.tolist(), first.tolist(), strict=True):
            if key and key not in self._names and len(self._names) < MAX_NAMES:
                self._names[key] = batch.text(place, self._entity) or ""

    @property
    def clean(self) -> NDArray[np.bool_]:
        """Which of the rows kept were neither flagged nor judged to be anomalies."""
        bad = np.isin(self._extras["seqs"][: self._kept], np.array(sorted(self._bad), dtype=np.int64))
        return np.asarray(~(self.flagged | bad))


def first_entity(batch: RecordBatch) -> NDArray[np.uint64]:
    """Return the keys of a batch's first entity field, 0 where there is none."""
    if not batch.schema.entities:
        return np.zeros(batch.n, dtype=np.uint64)
    keys: NDArray[np.uint64] = batch.keys[:, len(batch.schema.categories)]
    return keys
