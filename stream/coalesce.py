"""Joining small neighbours: single-record frames go through the pipeline together.

A pipeline call costs about the same for one record as for a hundred, and cutting a stream anywhere gives the
same bits, so consecutive small batches of a feed are put through as one. Results are taken apart again, entry
by entry. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomalyai.decode import Columns
from anomalyai.records import RecordBatch
from stream.log import LogItem

SMALL = 256
"""A batch of at most so many records may be joined."""

MOST = 4096
"""So many records are joined at most."""


def may_join(before: Sequence[LogItem], item: LogItem) -> bool:
    """Tell whether an entry may be put through the pipeline together with those before it.

    Only under a settled schema: until then the pipeline keeps the first batches as they came.
    """
    records = item.records
    if records is None or records.n > SMALL or not records.schema.settled or records.codec != "rows":
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
    batches = [item.records for item in items if item.records is not None]
    first = batches[0]
    columns = Columns(
        *(np.concatenate([getattr(batch, name) for batch in batches]) for name in Columns._fields)
    )
    body = b"[" + b",".join(batch.body.strip()[1:-1] for batch in batches) + b"]"
    batch = RecordBatch(
        first.schema, columns, "rows", body, first_seq=first.first_seq, arrival_s=first.arrival_s
    )
    batch.time_s = columns.time_s  # each record's own arrival, where the schema has no time
    last = items[-1]
    return LogItem(
        entry=last.entry,
        feed=last.feed,
        first_seq=first.first_seq,
        n=batch.n,
        arrival_s=first.arrival_s,
        size_bytes=sum(item.size_bytes for item in items),
        payload=batch,
    )
