"""Cells to JSON values: the same as what the server makes of an uploaded table."""

from __future__ import annotations

import csv
import io
import math
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyai.decode_csv import CsvRows, header_of
from anomalyai.decode_csv import convert as server_convert
from anomalyai.schema import FeedSchema
from simulators.cell import NUMBER, STRING, column_type, convert


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (["1", "2.5", ""], NUMBER),
        (["1e3", "+5", "-.5", "5.", " 7 "], NUMBER),
        (["1", "nan"], NUMBER),
        (["nan", "inf"], STRING),
        (["00501"], STRING),
        (["0", "0.5", "-0"], NUMBER),
        (["1", "x"], STRING),
        (["1,2"], STRING),
        (["0x10"], STRING),
        (["1_000"], STRING),
        (["true"], STRING),
        (["null"], STRING),
        (["", ""], None),
        (["1"] * 500 + ["x"], NUMBER),
        (["1"] * 499 + ["x"], STRING),
        ([""] * 600 + ["1"] * 499 + ["x"], STRING),
    ],
)
def test_a_column_is_a_number_only_if_its_first_500_cells_are(cells: list[str], found: str | None) -> None:
    assert column_type(cells) == found


def test_numbers_are_exact() -> None:
    cells = [
        "0.1",
        "1e3",
        "+5",
        "123456789012345678901",
        "-0",
        "1.7976931348623157e308",
        "007",
        "1e400",
        "nan",
        " ",
    ]
    values = convert(cells, NUMBER)
    assert values == [
        0.1,
        1000.0,
        5,
        123456789012345678901,
        0,
        1.7976931348623157e308,
        7,
        "1e400",
        "nan",
        None,
    ]
    assert [type(value) for value in values[:4]] == [float, float, int, int]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_survives_the_way_to_the_wire(value: float) -> None:
    (sent,) = convert([repr(value)], NUMBER)
    arrived = float(msgspec.json.decode(msgspec.json.encode(sent)))
    assert struct.pack("d", arrived) == struct.pack("d", value) or value == arrived == 0


@given(st.integers(min_value=-(10**40), max_value=10**40))
def test_every_integer_keeps_its_digits(value: int) -> None:
    assert msgspec.json.encode(convert([str(value), "0.5"], NUMBER)[0]).decode() == str(value)


NUMBERS = st.one_of(
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(["", " ", "+5", ".5", "5.", "1e3", "NaN", "-inf"]),
)
TEXTS = st.sampled_from(["", "x", "00501", "1,2", "null", "true", "1e400", "\uff11\uff12", "7\u00a0", "nan "])


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(NUMBERS, TEXTS, st.one_of(NUMBERS, TEXTS)), min_size=1, max_size=12))
def test_a_table_becomes_what_the_server_makes_of_it(rows: list[tuple[str, str, str]]) -> None:
    written = io.StringIO()
    csv.writer(written).writerows([("a", "b", "c"), *rows])
    source = CsvRows.of_body(written.getvalue().encode())
    header = header_of(source)
    table = server_convert(header, source.take(), FeedSchema())
    refused = {fault.place for fault in table.faults}
    for place, name in enumerate(header):
        cells = [row[place] for row in rows]
        ours = convert(cells, column_type(cells) or STRING)
        kept = [value for i, value in enumerate(ours) if i not in refused]
        assert [exactly(value) for value in kept] == [exactly(value) for value in table.columns.get(name, [])]


def exactly(value: Any) -> Any:
    return (type(value), math.copysign(1, value), value) if isinstance(value, float) else (type(value), value)
