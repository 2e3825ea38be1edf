"""Tables as spreadsheets write them: other separators, decimal commas, grouped thousands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anomalyai.csv_dialect import sniff
from anomalyai.files import read_batches
from anomalyai.intake import Intake
from anomalyai.records import RecordBatch
from anomalyai.schema import JsonType


def columns(text: str) -> dict[str, list[object]]:
    """Return the columns that a CSV body is read as."""
    admission = Intake().admit(text.encode(), "text/csv")
    assert admission.rejected == []
    rows = [
        item.record(i) for item in admission.items if isinstance(item, RecordBatch) for i in range(item.n)
    ]
    return {name: [row[name] for row in rows] for name in rows[0]}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_separator_is_told_from_the_table(delimiter: str) -> None:
    text = "name,price,n\nx,1.5,2\ny,2.5,3\n".replace(",", delimiter)
    assert columns(text) == {"name": ["x", "y"], "price": [1.5, 2.5], "n": [2, 3]}


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["12,5", "1.234,56", "-0,25", "7", "", "1.234"], [12.5, 1234.56, -0.25, 7, None, 1234]),
        (["1,234", "2,500"], [1.234, 2.5]),  # where semicolons separate, a comma marks decimals
        (["1.5", "2.25"], [1.5, 2.25]),
    ],
)
def test_decimal_commas_where_semicolons_separate(cells: list[str], values: list[float | None]) -> None:
    text = "price;name\n" + "".join(f"{cell};a, b\n" for cell in cells)
    assert columns(text) == {"price": values, "name": ["a, b"] * len(cells)}


@pytest.mark.parametrize(
    ("cells", "values"),
    [
        (["12,5", "1.234,56"], [12.5, 1234.56]),
        (["1,234.56", "2,000", "3"], [1234.56, 2000, 3]),
        (["1,234", "2,500"], ["1,234", "2,500"]),  # either could be meant: no number is made up
        (["1,2", "x,y"], ["1,2", "x,y"]),
        (["1,2,3", "4,5"], ["1,2,3", "4,5"]),
    ],
)
def test_quoted_numbers_where_commas_separate(cells: list[str], values: list[object]) -> None:
    text = "price,n\n" + "".join(f'"{cell}",1\n' for cell in cells)
    assert columns(text)["price"] == values


def test_texts_that_hold_separators_change_nothing() -> None:
    assert columns('a,b\n"x;y;z",1\nu;v,2\n') == {"a": ["x;y;z", "u;v"], "b": [1, 2]}
    assert sniff(["note\n", "a;b\n", "c,d\n"]).delimiter == ","
    assert sniff([]).delimiter == ","
    assert sniff(["a,b\n", '1,"open\n']).delimiter == ","


def test_a_cell_that_does_not_fit_is_refused_by_row_and_column(tmp_path: Path) -> None:
    lines = ["price;n", *[f"{i},5;{i}" for i in range(700)], "1,2,3;4", "8,25;9"]
    path = tmp_path / "till.csv"
    path.write_text("\n".join(lines), encoding="utf-8-sig")
    reader = read_batches(path, batch_rows=100)
    batches = [item for item in reader if isinstance(item, RecordBatch)]
    [rejection] = reader.rejections
    assert (rejection.index, rejection.field) == (700, "price")
    assert "expected a number" in rejection.error
    assert reader.intake.schema.by_name["price"].type is JsonType.NUMBER
    prices = np.concatenate([batch.numbers[:, batch.schema.numbers.index("price")] for batch in batches])
    assert prices.tolist() == [i + 0.5 for i in range(700)] + [8.25]
