"""Record batches put into another order, for files that are not in event order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from anomalyai.control import SchemaChange
from anomalyai.decode import Columns
from anomalyai.records import RecordBatch


def in_event_order(batches: Sequence[RecordBatch]) -> RecordBatch:
    """Return all records as one batch under the last batch's schema, stably sorted by event time.

    A record without a time stays behind the one before it, as in a file that is in event order. The columns
    are kept, and `index`; the records as they came are not, so the schema counts as settled: nothing can be
    read again under another one.
    """
    schema = batches[-1].schema
    same = [
        batch if batch.schema == schema else RecordBatch.reread(schema, batch.codec, batch.body, 0)
        for batch in batches
    ]
    time_s = np.concatenate([batch.time_s for batch in same])
    last = np.maximum.accumulate(np.where(np.isfinite(time_s), np.arange(len(time_s)), -1))
    order: NDArray[np.int64] = np.argsort(np.where(last < 0, -np.inf, time_s[last]), kind="stable")
    columns = Columns(
        np.concatenate([batch.numbers for batch in same])[order],
        np.concatenate([batch.keys for batch in same])[order],
        time_s[order],
        np.concatenate([batch.label for batch in same])[order],
    )
    index = np.concatenate([batch.index for batch in batches])[order]
    return RecordBatch(schema.replace(settled=True), columns, "rows", b"[]", index=index)


def event_ordered(
    items: Sequence[RecordBatch | SchemaChange], chunk: int
) -> Iterator[RecordBatch | SchemaChange]:
    """Yield the items as they are where event times never fall, else all records sorted, in batches."""
    batches = [item for item in items if isinstance(item, RecordBatch)]
    last_s = -np.inf
    for batch in batches:
        if fell_since(last_s, batch.time_s):
            break
        last_s = latest(last_s, batch.time_s)
    else:
        yield from items
        return
    whole = in_event_order(batches)
    yield SchemaChange(whole.schema)
    for start in range(0, whole.n, chunk):
        yield whole.slice(start, start + chunk)


def fell_since(last_s: float, time_s: NDArray[np.float64]) -> bool:
    """Return whether event times [n] (NaN where unknown), after `last_s`, ever fall."""
    known = time_s[np.isfinite(time_s)]
    return bool(len(known)) and (known[0] < last_s or bool(np.any(np.diff(known) < 0.0)))


def latest(last_s: float, time_s: NDArray[np.float64]) -> float:
    """Return the last known one of event times [n], else `last_s`."""
    known = time_s[np.isfinite(time_s)]
    return float(known[-1]) if len(known) else last_s
