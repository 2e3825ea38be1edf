"""Batches: columns, slices, records behind them, and the way through the log."""

import json
import math
import subprocess
import sys
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest

from anomalyai.errors import StateError, UnreadableBody
from anomalyai.frame import Frame
from anomalyai.intake import Intake
from anomalyai.key import CACHED_KEYS, exact_text, key_column, stable_key
from anomalyai.records import RecordBatch, Rejection
from anomalyai.schema import FeedSchema, JsonType, Kind
from tests.anomalyai.feeds import DECLARED, as_array, as_table, payments

RECORDS = payments(40)


def same(left: RecordBatch, right: RecordBatch) -> bool:
    return all(
        np.array_equal(getattr(left, name), getattr(right, name), equal_nan=name != "keys")
        for name in ("numbers", "keys", "time_s", "label")
    )


def by_columns(records: list[dict[str, Any]]) -> RecordBatch:
    intake = Intake(RecordBatch.from_records(records).schema, fixed=True)
    (batch,) = intake.admit_frame(Frame(None, "columns", json.dumps(as_table(records)).encode())).items
    assert isinstance(batch, RecordBatch)
    return batch


def test_columns_are_laid_out_as_promised() -> None:
    batch = RecordBatch.from_records(RECORDS, DECLARED)
    schema = batch.schema
    assert (batch.n, len(batch), batch.first_seq, batch.codec) == (40, 40, 0, "rows")
    assert math.isnan(batch.arrival_s)
    assert batch.numbers.dtype == np.float64
    assert batch.numbers.flags.c_contiguous
    assert batch.numbers.shape == (40, len(schema.numbers))
    assert batch.keys.dtype == np.uint64
    assert batch.keys.shape == (40, len(schema.categories) + len(schema.entities))
    names = schema.categories + schema.entities
    for j, name in enumerate(names):
        assert batch.keys[:, j].tolist() == [stable_key(exact_text(record[name])) for record in RECORDS]
    for j, name in enumerate(schema.numbers):
        assert batch.numbers[:, j].tolist() == [record[name] for record in RECORDS]
    assert batch.label.tolist() == [float(record["fraud"]) for record in RECORDS]
    assert batch.time_s[1] - batch.time_s[0] == 60.0
    assert batch.time_s[0] == 1_767_225_600.0
    assert batch.index.tolist() == list(range(40))
    assert batch.rows.tolist() == list(range(1, 41))


def test_missing_is_nan_and_zero() -> None:
    records: list[dict[str, Any]] = [
        {"a": 1, "k": "x", "ts": "2026-01-01", "label": 1},
        {"a": None, "k": None},
        {},
    ]
    batch = RecordBatch.from_records(records)
    assert batch.numbers[:, 0].tolist()[0] == 1.0
    assert np.isnan(batch.numbers[1:, 0]).all()
    assert batch.keys[:, 0].tolist() == [stable_key("x"), 0, 0]
    assert np.isnan(batch.time_s[1:]).all()
    assert np.isnan(batch.label[1:]).all()
    assert batch.text(0, "k") == "x"
    assert batch.text(1, "k") is None
    assert batch.text(2, "k") is None


def test_minus_zero_is_zero() -> None:
    batch = RecordBatch.from_records([{"a": -0.0}, {"a": 0}])
    assert np.signbit(batch.numbers).tolist() == [[False], [False]]


@pytest.mark.parametrize("make", [RecordBatch.from_records, by_columns])
def test_a_slice_is_a_view_that_still_knows_its_records(make: Any) -> None:
    batch = make(RECORDS).numbered(101)
    part = batch.slice(10, 25)
    assert (part.n, part.first_seq) == (15, 111)
    assert np.shares_memory(part.numbers, batch.numbers)
    assert part.numbers.flags.c_contiguous
    assert [part.record(i) for i in range(part.n)] == RECORDS[10:25]
    assert part.record(-1) == RECORDS[24]
    assert part.text(0, "kind") == RECORDS[10]["kind"]
    inner = part.slice(5, 6)
    assert (inner.first_seq, inner.record(0)) == (116, RECORDS[15])
    again = RecordBatch.from_log(part.schema, part.codec, part.body, part.first_seq)
    assert same(again, part)
    assert [again.record(i) for i in range(again.n)] == RECORDS[10:25]
    assert batch.slice(0, 40).body == batch.body
    assert batch.slice(3, 3).n == 0
    assert json.loads(batch.slice(3, 3).body) in ([], {name: [] for name in RECORDS[0]})
    with pytest.raises(IndexError):
        part.record(15)


def test_joined_batches_are_one_that_still_knows_its_records() -> None:
    whole = RecordBatch.from_records(RECORDS).numbered(101)
    columns = by_columns(RECORDS[25:]).numbered(126)
    assert columns.schema == whole.schema
    batch = RecordBatch.joined([whole.slice(0, 10), whole.slice(10, 25), columns])
    assert same(batch, whole)
    assert (batch.n, batch.first_seq) == (40, 101)
    assert [batch.record(i) for i in range(batch.n)] == RECORDS
    assert [batch.slice(8, 30).record(i) for i in (0, 1, 2, 16, 17, 21)] == [
        RECORDS[i] for i in (8, 9, 10, 24, 25, 29)
    ]
    with pytest.raises(IndexError):
        batch.record(40)
    again = RecordBatch.from_log(batch.schema, batch.codec, batch.slice(5, 28).body, 106)
    assert same(again, whole.slice(5, 28))
    assert RecordBatch.joined([whole]) is whole


def test_numbering_leaves_the_batch_as_it_was() -> None:
    batch = RecordBatch.from_records(RECORDS)
    numbered = batch.numbered(7)
    assert (batch.first_seq, numbered.first_seq) == (0, 7)
    assert numbered.slice(2, 4).first_seq == 9
    assert "first_seq=7" in repr(numbered)


@pytest.mark.parametrize("make", [RecordBatch.from_records, by_columns])
def test_the_log_gives_the_same_bits_back(make: Any) -> None:
    batch = make(RECORDS)
    again = RecordBatch.from_log(batch.schema, batch.codec, batch.body, 500, 3.5)
    assert same(again, batch)
    assert (again.first_seq, again.arrival_s, again.body) == (500, 3.5, batch.body)


def test_nested_and_unknown_fields_survive_the_log() -> None:
    records: list[dict[str, Any]] = [
        {"geo": {"lat": 1.5}, "k": "x", "empty": None},
        {"geo": {"lat": 2.5, "z": None}, "k": "y"},
    ]
    batch = RecordBatch.from_records(records)
    again = RecordBatch.from_log(batch.schema, "rows", batch.body, 1)
    assert same(again, batch)
    assert again.record(0) == records[0]
    assert batch.numbers[:, 0].tolist() == [1.5, 2.5]


def test_a_record_may_be_read_under_a_later_schema() -> None:
    batch = RecordBatch.from_records([{"a": 5, "b": "x"}])
    fields = tuple(msgspec.structs.replace(f, kind=Kind.CATEGORY) for f in batch.schema.fields)
    later = RecordBatch.from_log(batch.schema.replace(fields=fields), "rows", batch.body, 1)
    assert later.keys.tolist() == [[stable_key("5"), stable_key("x")]]
    assert later.numbers.shape == (1, 0)
    retyped = batch.schema.replace(
        fields=(msgspec.structs.replace(fields[0], type=JsonType.STRING), batch.schema.fields[1])
    )
    assert RecordBatch.from_log(retyped, "rows", batch.body, 1).keys.tolist() == later.keys.tolist()


@pytest.mark.parametrize(
    ("codec", "body"), [("rows", b'[{"a":'), ("rows", b"[1]"), ("columns", b"[]"), ("columns", b'{"a":1}')]
)
def test_a_damaged_log_entry_is_told(codec: Any, body: bytes) -> None:
    with pytest.raises(StateError, match="records 9 and on") as caught:
        RecordBatch.from_log(FeedSchema(), codec, body, 9)
    assert "backup" in str(caught.value.hint)


def test_a_record_that_does_not_fit_is_named() -> None:
    with pytest.raises(UnreadableBody, match="record 1: expected a number") as caught:
        RecordBatch.from_records([{"a": 1}, {"a": "x"}])
    assert caught.value.field == "a"


def test_a_frame_of_pandas_is_the_same_as_its_records() -> None:
    frame = pd.DataFrame(
        {
            "when": pd.to_datetime(["2026-01-01 00:00:00", None, "2026-01-01 00:02:00"]),
            "amount": [1.5, math.nan, 3.0],
            "count": pd.array([1, None, 3], dtype="Int64"),
            "kind": ["a", None, "b"],
            "present": [True, False, True],
        }
    )
    records: list[dict[str, Any]] = [
        {"when": "2026-01-01T00:00:00", "amount": 1.5, "count": 1, "kind": "a", "present": True},
        {"when": None, "amount": None, "count": None, "kind": None, "present": False},
        {"when": "2026-01-01T00:02:00", "amount": 3.0, "count": 3, "kind": "b", "present": True},
    ]
    batch = RecordBatch.from_pandas(frame)
    assert same(batch, RecordBatch.from_records(records))
    assert batch.schema.time == "when"
    assert batch.record(0) == records[0]


def test_a_rejection_is_what_the_contract_says() -> None:
    assert msgspec.to_builtins(Rejection(3, None, "why")) == {"index": 3, "field": None, "error": "why"}


def test_no_batch_without_records_and_no_record_without_columns() -> None:
    empty = RecordBatch.from_records([])
    assert (empty.n, empty.numbers.shape, empty.keys.shape) == (0, (0, 0), (0, 0))
    blank = RecordBatch.from_records([{}, {}])
    assert (blank.n, blank.numbers.shape) == (2, (2, 0))


def test_keys_are_the_same_in_every_process() -> None:
    code = "from anomalyai.key import stable_key; print(stable_key('tcp'), stable_key(''), stable_key('ä'))"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        )
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.split() == [str(stable_key(t)).encode() for t in ("tcp", "", "ä")]


def test_keys_tell_texts_apart_and_not_types() -> None:
    values = ["5", 5, 5.0, True, "true", None, 2.5, "2.5", 10**30]
    column = key_column(values).tolist()
    assert column[0] == column[1] == column[2]
    assert column[3] == column[4]
    assert column[5] == 0
    assert column[6] == column[7]
    assert column[8] == stable_key(str(10**30))
    assert len(set(column)) == 5


def test_a_full_cache_of_keys_changes_nothing() -> None:
    many = [f"text {i}" for i in range(CACHED_KEYS + 10)]
    column = key_column([*many, None, *many[:5]])
    assert column[-6] == 0
    assert column[:5].tolist() == column[-5:].tolist() == [stable_key(text) for text in many[:5]]


def test_arrays_are_built_once_and_records_lazily() -> None:
    batch = RecordBatch.from_log(FeedSchema(), "rows", as_array(RECORDS), 1)
    assert batch.record(39) == RECORDS[39]
    assert batch.record(0) == RECORDS[0]
