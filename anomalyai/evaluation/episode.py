"""How long anomalies go on before one of them is flagged.

Anomalies come in episodes: a stolen card is used several times, a scan has many flows. An episode is a run of
anomalous records of one entity, or of the whole stream where there are no entities, with at most `MAX_GAP`
ordinary records of it between two of them. It is found by its first flagged anomaly.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

MAX_GAP = 20

Floats = NDArray[np.float64]


class Delay(msgspec.Struct, frozen=True):
    """How many episodes there were and how many were found; what it took is of those found.

    Records are those of the entity (or of the stream) from the first anomalous one to the first flag: 0 when
    the first one was flagged. Seconds are of event time, None where records have none. `at_once` were found
    by their first record.
    """

    episodes: int
    found: int
    at_once: int
    median_records: float | None
    ninth_tenth_records: float | None
    median_s: float | None
    ninth_tenth_s: float | None


def delay(
    flagged: NDArray[np.bool_], label: Floats, time_s: Floats, entity: NDArray[np.uint64] | None = None
) -> Delay:
    """Measure the delay of detection over records in event order.

    Parameters
    ----------
    flagged, label, time_s
        One a record, [n]; `label` 1, 0 or NaN, `time_s` NaN where unknown.
    entity
        Key of each record's entity; 0 is none, and such records belong to no episode. None takes the stream
        as one.
    """
    keys = np.ones(len(label), dtype=np.uint64) if entity is None else entity
    order = np.argsort(keys, kind="stable")
    order = order[keys[order] != 0]
    place = _place_in_entity(keys[order])
    anomalous = label[order] == 1.0
    rows, place, flags = order[anomalous], place[anomalous], flagged[order][anomalous]
    if not len(rows):
        return Delay(0, 0, 0, None, None, None, None)
    begins = np.ones(len(rows), dtype=np.bool_)
    begins[1:] = (keys[rows[1:]] != keys[rows[:-1]]) | (np.diff(place) > MAX_GAP + 1)
    first = np.flatnonzero(begins)
    hit = np.where(flags, np.arange(len(rows)), len(rows))
    first_hit = np.minimum.reduceat(hit, first)
    found = first_hit < np.append(first[1:], len(rows))
    start, end = first[found], first_hit[found]
    records = (place[end] - place[start]).astype(np.float64)
    seconds = time_s[rows[end]] - time_s[rows[start]]
    return Delay(
        len(first),
        len(start),
        int(np.count_nonzero(records == 0)),
        *_quantiles(records),
        *_quantiles(seconds[np.isfinite(seconds)]),
    )


def _place_in_entity(keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return the place of each record among those with its key, for sorted keys."""
    if not len(keys):
        return np.empty(0, dtype=np.int64)
    new = np.append(True, keys[1:] != keys[:-1])
    starts = np.flatnonzero(new)
    place: NDArray[np.int64] = np.arange(len(keys)) - starts[np.cumsum(new) - 1]
    return place


def _quantiles(values: Floats) -> tuple[float | None, float | None]:
    if not len(values):
        return None, None
    median, ninth = np.quantile(values, [0.5, 0.9])
    return float(median), float(ninth)
