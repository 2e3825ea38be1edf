"""The same figures by parts: by the largest entities, and by equal parts of the time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.evaluation.figures import ranking
from anomalyai.evaluation.interval import Estimate, wilson

MAX_ENTITIES = 10
TIME_PARTS = 8
MAX_NAME_CHARS = 80

Floats = NDArray[np.float64]


class PartFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Figures of some of the records.

    `name` is an entity, None of a part of time. Accuracy is None without labels, precision without flags.
    """

    name: str | None
    first_time_s: float | None
    last_time_s: float | None
    records: int
    flagged: int
    realised_rate: Estimate | None
    labelled: int
    anomalies: int | None
    average_precision: float | None
    precision: Estimate | None
    recall: Estimate | None


class Entities(msgspec.Struct, frozen=True):
    """The entity of each record: `key` uint64 [n], 0 for none; texts of keys, as far as they are known."""

    field: str
    key: NDArray[np.uint64]
    names: Mapping[int, str] = {}

    def part(self, rows: NDArray[np.int64]) -> Entities:
        """Return the entities of some records."""
        return Entities(self.field, self.key[rows], self.names)


def by_entity(
    score: Floats,
    flagged: NDArray[np.bool_],
    label: Floats,
    time_s: Floats,
    entities: Entities,
) -> tuple[PartFigures, ...]:
    """Return the figures of the entities with the most records, largest first, at most `MAX_ENTITIES`."""
    entity, names = entities.key, entities.names
    keys, counts = np.unique(entity[entity != 0], return_counts=True)
    largest = keys[np.lexsort((keys, -counts))][:MAX_ENTITIES]
    return tuple(
        _part(names.get(int(key), f"{int(key):016x}"), entity == key, score, flagged, label, time_s)
        for key in largest
    )


def by_time(
    score: Floats, flagged: NDArray[np.bool_], label: Floats, time_s: Floats
) -> tuple[PartFigures, ...]:
    """Return the figures of equal spans of event time, in order; without times, of equal counts."""
    return tuple(_part(None, rows, score, flagged, label, time_s) for rows in _spans(time_s))


def _spans(time_s: Floats) -> Iterator[NDArray[np.bool_]]:
    if not len(time_s):
        return
    timed = bool(np.isfinite(time_s).all()) and float(np.ptp(time_s)) > 0.0
    clock = time_s if timed else np.arange(len(time_s), dtype=np.float64)
    edges = np.linspace(clock.min(), clock.max(), TIME_PARTS + 1)
    place = np.clip(np.searchsorted(edges, clock, side="right") - 1, 0, TIME_PARTS - 1)
    for number in range(TIME_PARTS):
        yield place == number


def _part(
    name: str | None,
    rows: NDArray[np.bool_],
    score: Floats,
    flagged: NDArray[np.bool_],
    label: Floats,
    time_s: Floats,
) -> PartFigures:
    known = rows & np.isfinite(label)
    labels, flags = label[known], flagged[known]
    times = time_s[rows & np.isfinite(time_s)]
    hits = float(np.count_nonzero(flags & (labels == 1.0)))
    return PartFigures(
        name=None if name is None else name[:MAX_NAME_CHARS],
        first_time_s=float(times.min()) if len(times) else None,
        last_time_s=float(times.max()) if len(times) else None,
        records=int(np.count_nonzero(rows)),
        flagged=int(np.count_nonzero(flagged & rows)),
        realised_rate=wilson(float(np.count_nonzero(flagged & rows)), float(np.count_nonzero(rows))),
        labelled=len(labels),
        anomalies=int(np.count_nonzero(labels == 1.0)) if len(labels) else None,
        average_precision=ranking(score[known], labels)[0],
        precision=wilson(hits, float(np.count_nonzero(flags))),
        recall=wilson(hits, float(np.count_nonzero(labels == 1.0))),
    )
