"""Joining neighbours: frames that follow one another go through the pipeline together.

A pipeline call costs about the same for one record as for a hundred, and cutting a stream anywhere gives the
same bits, so consecutive batches of a feed are put through as one. Results are taken apart again, entry by
entry. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomalyai.arrival import Origins
from anomalyai.records import RecordBatch
from stream.log import LogItem

MOST = 8192
"""So many records are joined at most."""


def may_join(before: Sequence[LogItem], item: LogItem) -> bool:
    """Tell whether an entry may be put through the pipeline together with those before it.

    Only under a settled schema: until then the pipeline keeps the first batches as they came.
    """
    records = item.records
    if records is None or records.n > MOST or not records.schema.settled:
        return False
    if not before:
        return True
    last = before[-1].records
    if last is None or last.first_seq + last.n != records.first_seq:
        return False
    return last.schema == records.schema and sum(held.n for held in before) + item.n <= MOST


def joined(items: Sequence[LogItem]) -> LogItem:
    """Return entries that may be joined as one, in the place of the last."""
    if len(items) == 1:
        return items[0]
    batch = RecordBatch.joined([item.records for item in items if item.records is not None])
    last = items[-1]
    return LogItem(
        entry=last.entry,
        feed=last.feed,
        first_seq=batch.first_seq,
        n=batch.n,
        arrival_s=items[0].arrival_s,
        size_bytes=sum(item.size_bytes for item in items),
        payload=batch,
        origins=Origins(
            np.array([item.entry for item in items]),
            np.array([(item.first_seq or 0) + item.n - 1 for item in items]),
            np.array([item.arrival_s for item in items]),
        ),
    )
