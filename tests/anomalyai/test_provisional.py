"""The first records of a feed, kept while kinds are provisional."""

from __future__ import annotations

import math

import numpy as np
import pytest

from anomalyai import state
from anomalyai.provisional import MAX_RECORDS, MAX_SIZE_BYTES, ProvisionalRecords
from anomalyai.records import RecordBatch
from tests.anomalyai.streams import DECLARED, SCHEMA, purchases

RECORDS = purchases(560)


def provisional(
    records: list[dict[str, object]], first_seq: int = 1, arrival_s: float = math.nan
) -> RecordBatch:
    """Return a batch whose kinds are not settled."""
    batch = RecordBatch.from_records(records, DECLARED)
    schema = batch.schema.replace(settled=False)
    return RecordBatch.from_log(schema, batch.codec, batch.body, first_seq, arrival_s)


@pytest.mark.parametrize("size", [1, 7, 560])
def test_the_first_records_come_back_under_another_schema(size: int) -> None:
    kept = ProvisionalRecords()
    for start in range(0, len(RECORDS), size):
        kept.keep(provisional(RECORDS[start : start + size], 1 + start))
    [again] = kept.reread(SCHEMA)
    assert again.n == MAX_RECORDS
    assert again.first_seq == 1
    expected = RecordBatch.from_records(RECORDS[:MAX_RECORDS], SCHEMA)
    assert np.array_equal(again.numbers, expected.numbers, equal_nan=True)
    assert np.array_equal(again.keys, expected.keys)


def test_arrival_times_are_kept() -> None:
    kept = ProvisionalRecords()
    for start, arrival_s in ((0, 50.0), (10, 60.0), (20, math.nan), (30, math.nan)):
        kept.keep(provisional(RECORDS[start : start + 10], 1 + start, arrival_s))
    batches = list(kept.reread(SCHEMA))
    assert [(batch.first_seq, batch.n) for batch in batches] == [(1, 10), (11, 10), (21, 20)]
    assert [batch.arrival_s for batch in batches[:2]] == [50.0, 60.0]


def test_settled_records_are_not_kept() -> None:
    kept = ProvisionalRecords()
    kept.keep(RecordBatch.from_records(RECORDS, SCHEMA))
    assert list(kept.reread(SCHEMA)) == []
    kept.keep(provisional(RECORDS[:5]))
    kept.forget()
    assert kept.state() == ProvisionalRecords().state()


@pytest.mark.parametrize("size", [1, 60])
def test_what_is_kept_is_bounded_and_has_no_holes(size: int) -> None:
    """After the first record that does not fit none is kept, however small and however it comes."""
    large = [dict(record, note="x" * (MAX_SIZE_BYTES // 40)) for record in RECORDS[:45]]
    records = [*large, *RECORDS[45:60]]
    kept = ProvisionalRecords()
    for start in range(0, len(records), size):
        kept.keep(provisional(records[start : start + size], 1 + start))
    [again] = kept.reread(SCHEMA)
    assert 30 <= again.n < 40
    assert np.array_equal(
        again.numbers[:, 0], RecordBatch.from_records(large[: again.n], SCHEMA).numbers[:, 0]
    )


def test_a_restored_keeper_goes_on() -> None:
    kept, again = ProvisionalRecords(), ProvisionalRecords()
    kept.keep(provisional(RECORDS[:20]))
    again.restore(state.loads("kept", state.dumps("kept", {"kept": kept.state()}))["kept"])
    for found in (kept, again):
        found.keep(provisional(RECORDS[20:40], 21))
    assert [batch.body for batch in again.reread(SCHEMA)] == [batch.body for batch in kept.reread(SCHEMA)]
