"""Event times: the fast column reading and the careful one give the same bits."""

import math
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyai.timestamp import number_column, parse_number, parse_text, text_column

FIRST = datetime(1, 1, 2, tzinfo=UTC).replace(tzinfo=None)
LAST = datetime(9999, 12, 30, tzinfo=UTC).replace(tzinfo=None)
MOMENTS = st.datetimes(FIRST, LAST)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01", 0.0),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01 00:00:01", 1.0),
        ("1970-01-01T00:01", 60.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
        ("1970-01-01T01:00:00 +0100", 0.0),
        ("1970-01-01T00:00:00.5", 0.5),
        ("1970-01-01T00:00:00,25Z", 0.25),
        ("1970-01-01T00:00:00.123456789Z", 0.123456),
        ("1969-12-31T23:59:59.75Z", -0.25),
        (" 2024-02-29 12:00:00 ", 1_709_208_000.0),
        ("1700000000", 1_700_000_000.0),
        ("1700000000123", 1_700_000_000.123),
        ("12.5", 12.5),
    ],
)
def test_texts_that_are_times(text: str, expected: float) -> None:
    assert parse_text(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2023-02-29",
        "2024-13-01",
        "2024-01-01T25:00:00",
        "01/02/2024",
        "20240101T00",
        "12:00",
        "2024-1-1",
        "2024-01-01T00:00:61Z",
        "x" * 1000000,
        "1e9",
        "2024-01-01T00:00:00+99:00",
        "NaN",
    ],
)
def test_texts_that_are_none(text: str) -> None:
    assert math.isnan(parse_text(text))


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0.0),
        (99_999_999_999, 99_999_999_999.0),
        (1_700_000_000_123, 1_700_000_000.123),
        (1_700_000_000_123_456, 1_700_000_000.123456),
        (1_700_000_000_123_456_789, 1_700_000_000.1234567),
        (-1_700_000_000_123, -1_700_000_000.123),
    ],
)
def test_the_magnitude_of_a_number_tells_its_unit(value: int, seconds: float) -> None:
    assert parse_number(value) == pytest.approx(seconds, abs=1e-6)


@given(st.lists(st.floats(allow_infinity=False), max_size=50))
def test_number_columns_have_the_bits_of_single_numbers(values: list[float]) -> None:
    column = number_column(np.array(values, dtype=np.float64))
    assert column.tobytes() == np.array([parse_number(v) for v in values], dtype=np.float64).tobytes()


@given(
    st.lists(MOMENTS, min_size=40, max_size=60),
    st.sampled_from(" T"),
    st.sampled_from(["", "Z"]),
    st.integers(0, 9),
)
def test_text_columns_have_the_bits_of_single_texts(
    moments: list[datetime], separator: str, zone: str, digits: int
) -> None:
    fractions = [f".{moment.microsecond:06d}789"[: digits + 1] if digits else "" for moment in moments]
    texts = [
        moment.replace(microsecond=0).isoformat(separator) + fraction + zone
        for moment, fraction in zip(moments, fractions, strict=True)
    ]
    expected = np.array([parse_text(text) for text in texts])
    assert not np.isnan(expected).any()
    assert text_column(texts).tobytes() == expected.tobytes()


@given(MOMENTS, st.integers(-14 * 60, 14 * 60))
def test_offsets_are_taken_into_account(moment: datetime, minutes: int) -> None:
    aware = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    try:
        elapsed = aware.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    except OverflowError:
        return
    assert parse_text(aware.isoformat()) == elapsed.total_seconds()


@pytest.mark.parametrize(
    "odd",
    [
        "2024-13-01 00:00:00",
        "2023-02-29 00:00:00",
        "2024-01-01 24:00:00",
        "2024-01-01x00:00:00",
        "0000-01-01 00:00:00",
        "2024-01-01 00:00:0a",
        "2024/01/01 00:00:00",
        "2024-01-01 00:00:60",
        "2024-01-32 00:00:00",
        "2024-00-10 00:00:00",
    ],
)
def test_one_odd_text_leaves_its_neighbours_alone(odd: str) -> None:
    texts = ["2024-01-01 00:00:00"] * 50
    texts[20] = odd
    column = text_column(texts)
    assert np.flatnonzero(np.isnan(column)).tolist() == [20]
    assert column[0] == 1_704_067_200.0


@pytest.mark.parametrize("text", ["2024-01-01 00:00:005", "2024-01-01 00:00:00.", "2024-01-01 00:00:00ZZ"])
def test_a_column_of_one_odd_layout_is_no_time(text: str) -> None:
    assert np.isnan(text_column([text] * 50)).all()


def test_missing_texts_are_nan() -> None:
    assert np.isnan(text_column([None] * 40 + ["2024-01-01"])).tolist() == [True] * 40 + [False]


def test_leap_days_of_four_centuries() -> None:
    days = [datetime(1900, 1, 1, tzinfo=UTC) + timedelta(days=i) for i in range(400 * 365)]
    column = text_column([day.strftime("%Y-%m-%d 00:00:00") for day in days])
    assert np.array_equal(np.diff(column), np.full(len(days) - 1, 86_400.0))
