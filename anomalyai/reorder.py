"""Record batches put into another order, for back-tests of files that are not in event order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

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
