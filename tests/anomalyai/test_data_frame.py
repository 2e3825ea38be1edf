"""A data frame gives the batch that the same records give as JSON, or says what is wrong with it."""

from __future__ import annotations

import datetime as dt
import json
import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from anomalyai.errors import UnreadableBody
from anomalyai.intake import Intake
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema, Kind
from tests.anomalyai.feeds import DECLARED, payments
from tests.anomalyai.streams import scores

BIG = 2**53 + 1


def as_json(records: list[dict[str, Any]], schema: FeedSchema) -> RecordBatch:
    """Return the batch of a JSON body, read under a known schema."""
    [batch] = Intake(schema, fixed=True).admit(json.dumps(records).encode()).items
    assert isinstance(batch, RecordBatch)
    return batch


def assert_same(frame: pd.DataFrame, records: list[dict[str, Any]], schema: FeedSchema | None = None) -> None:
    found = RecordBatch.from_pandas(frame, schema)
    assert [found.record(i) for i in range(found.n)] == records
    expected = as_json(records, found.schema)
    for name in ("numbers", "keys", "time_s", "label"):
        assert getattr(found, name).tobytes() == getattr(expected, name).tobytes(), name
    assert found.schema == RecordBatch.from_records(json.loads(json.dumps(records)), schema).schema
    if schema is not None:
        declared = {field.name: field.kind for field in schema.fields}
        assert {name: found.schema.by_name[name].kind for name in declared} == declared


@pytest.mark.parametrize("schema", [None, DECLARED], ids=["inferred", "declared"])
def test_a_frame_of_payments_is_the_payments(schema: FeedSchema | None) -> None:
    records = payments(700)
    frame = pd.DataFrame(records)
    assert frame["kind"].dtype == "str"  # pandas 3
    assert_same(frame, records, schema)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (np.array([1.5, math.nan, -0.0]), [1.5, None, -0.0]),
        (np.array([1, 2, 3], dtype=np.uint8), [1, 2, 3]),
        (np.array([0.5, 1.5, 2.5], dtype=np.float32), [0.5, 1.5, 2.5]),
        (pd.array([1, None, BIG], dtype="Int64"), [1, None, BIG]),
        (pd.array([0.5, None, 2.0], dtype="Float64"), [0.5, None, 2.0]),
        (pd.array([True, None, False], dtype="boolean"), [True, None, False]),
        (np.array([True, False, True]), [True, False, True]),
        (pd.array(["a", None, "ä"], dtype="string"), ["a", None, "ä"]),
        (pd.Series(["a", None, "b"]), ["a", None, "b"]),
        (pd.Series(["a", pd.NA, "b"], dtype=object), ["a", None, "b"]),
        (pd.Categorical(["x", None, "y"]), ["x", None, "y"]),
        (pd.Categorical([30, 10, None]), [30, 10, None]),
        (pd.Series([1, None, BIG], dtype=object), [1, None, BIG]),
        (pd.Series([np.int64(BIG), None, np.float64("nan")], dtype=object), [BIG, None, None]),
        (pd.Series([Decimal("1.5"), None, Decimal(BIG)], dtype=object), [1.5, None, BIG]),
        (pd.Series([[1, 2], None, []], dtype=object), [[1, 2], None, []]),
        (pd.Series([None, None, None], dtype=object), [None, None, None]),
    ],
    ids=[
        *("float64", "uint8", "float32", "Int64", "Float64", "boolean", "bool", "string", "str"),
        *("words", "category of words", "category of numbers", "integers", "NumPy's", "decimals"),
        *("arrays", "nothing"),
    ],
)
def test_every_kind_of_column_is_what_it_is_as_json(column: Any, values: list[Any]) -> None:
    assert_same(pd.DataFrame({"field": column, "x": 1}), [{"field": value, "x": 1} for value in values])


TIMES = ["2026-01-31T12:00:00", "2026-01-31T12:00:01.250000", "2026-07-31T12:00:02.000000500"]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pd.to_datetime([TIMES[0], None, TIMES[1]], format="ISO8601"), [TIMES[0], None, TIMES[1]]),
        (pd.to_datetime([TIMES[2], None, None]).astype("datetime64[ns]"), [TIMES[2], None, None]),
        (pd.to_datetime([TIMES[0]] * 3).astype("datetime64[s]"), [TIMES[0]] * 3),
        (
            pd.to_datetime([TIMES[0], None, TIMES[2]], format="ISO8601").tz_localize("Europe/Berlin"),
            [TIMES[0] + "+01:00", None, TIMES[2] + "+02:00"],
        ),
        (
            pd.Series(
                [dt.date(2026, 1, 31), None, dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)], dtype=object
            ),
            ["2026-01-31", None, "2026-01-31T12:00:00+00:00"],
        ),
        (pd.Series([np.datetime64(TIMES[0]), pd.NaT, None], dtype=object), [TIMES[0], None, None]),
    ],
    ids=["plain", "nanoseconds", "seconds", "with a zone", "objects", "NumPy's"],
)
def test_times_are_iso_texts(column: Any, values: list[Any]) -> None:
    frame = pd.DataFrame({"ts": column, "x": [1.0, 2.0, 3.0]})
    assert_same(frame, [{"ts": value, "x": float(i + 1)} for i, value in enumerate(values)])
    batch = RecordBatch.from_pandas(frame)
    assert batch.schema.time == "ts"
    assert np.isnan(batch.time_s).tolist() == [value is None for value in values]


def test_entities_beyond_2_to_the_53_are_told_apart() -> None:
    schema = FeedSchema.from_toml('[feed]\nentities = ["card"]\n')
    cards = [BIG, BIG - 1, 4_000_000_000_000_000_001, None]
    frame = pd.DataFrame({"card": pd.array(cards, dtype="Int64"), "x": 0.5})
    batch = RecordBatch.from_pandas(frame, schema)
    assert [batch.text(i, "card") for i in range(4)] == [str(BIG), str(BIG - 1), str(cards[2]), None]
    assert len(set(batch.keys[:, 0].tolist())) == 4
    assert_same(frame, [{"card": card, "x": 0.5} for card in cards], schema)


def test_names_and_index_are_no_matter() -> None:
    frame = pd.DataFrame({7: [1, 2], "geo.lat": [0.5, 1.5]}, index=["b", "a"])
    assert_same(frame, [{"7": 1, "geo.lat": 0.5}, {"7": 2, "geo.lat": 1.5}])
    assert RecordBatch.from_pandas(frame.iloc[:0]).n == 0
    assert RecordBatch.from_pandas(pd.DataFrame(index=range(3))).n == 3
    assert RecordBatch.from_pandas(pd.DataFrame({"x": [1, 2, 3]}).iloc[::-1]).numbers.tolist() == [
        [3],
        [2],
        [1],
    ]


def test_the_frame_stays_as_it_was() -> None:
    frame = pd.DataFrame(payments(30))
    before = frame.copy(deep=True)
    RecordBatch.from_pandas(frame)
    pd.testing.assert_frame_equal(frame, before)


@pytest.mark.parametrize(
    ("frame", "message", "field"),
    [
        ([{"x": 1}], "expected a pandas DataFrame, got list", None),
        (pd.Series([1]), "expected a pandas DataFrame, got Series", None),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "each column once, got \"a\" 2 times", "a"),
        (pd.DataFrame([[1, 2]], columns=["1", 1]), "each column once, got \"1\" 2 times", "1"),
        (pd.DataFrame([[1]], columns=pd.MultiIndex.from_tuples([("a", "b")])), "names that are texts", None),
        (pd.DataFrame({"x": [1.0, math.inf]}), "record 1: expected a finite number, got inf", "x"),
        (pd.DataFrame({"x": pd.to_timedelta([1, 2], unit="s")}), "record 0: .* got Timedelta", "x"),
        (pd.DataFrame({"x": [1 + 2j]}), "record 0: .* got complex", "x"),
        (pd.DataFrame({"x": [b"a"]}), "record 0: .* got bytes", "x"),
        (pd.DataFrame({"x": pd.Series([1, 2, "three"], dtype=object)}), "record 2: expected a number", "x"),
        (pd.DataFrame({"x": pd.Series(["a", True], dtype=object)}), "record 1: expected a string", "x"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named(frame: Any, message: str, field: str | None) -> None:
    with pytest.raises(UnreadableBody, match=message) as caught:
        RecordBatch.from_pandas(frame)
    assert caught.value.field == field


def test_mixed_types_are_refused_as_in_a_body() -> None:
    records = [{"x": 1}, {"x": 2}, {"x": "three"}]
    with pytest.raises(UnreadableBody) as caught:
        RecordBatch.from_pandas(pd.DataFrame({"x": pd.Series([1, 2, "three"], dtype=object)}))
    [rejection] = Intake().admit(json.dumps(records).encode()).rejected
    assert str(caught.value).startswith(f"record {rejection.index}: {rejection.error}")


def test_a_float_is_no_declared_entity() -> None:
    """Integers that pandas made floats for a missing one among them may have lost digits."""
    schema = FeedSchema.from_toml('[feed]\nentities = ["card"]\n')
    with pytest.raises(UnreadableBody, match="record 0: expected a string or an integer"):
        RecordBatch.from_pandas(pd.DataFrame({"card": [17, None]}), schema)


def test_a_frame_is_scored_as_its_records_are() -> None:
    records = payments(600)
    records[400]["amount"] = 1e6
    left, right = RecordBatch.from_pandas(pd.DataFrame(records)), RecordBatch.from_records(records)
    assert left.schema.by_name["card"].kind is Kind.ENTITY
    found = [Pipeline(batch.schema).process(batch.numbered(1)) for batch in (left, right)]
    assert scores(found[:1]).tobytes() == scores(found[1:]).tobytes()
    assert found[0].alerts == found[1].alerts
