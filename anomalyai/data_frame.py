"""Data frames of pandas as records, value for value what the same records are as JSON.

Numbers, strings and booleans stay what they are, in NumPy's, pandas' nullable and categorical columns alike;
integers keep every digit. Times become ISO 8601 texts, with their offset where they have a zone. NaN, NaT, NA
and None are missing.
"""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np

from anomalyai.errors import UnreadableBody, shorten

if TYPE_CHECKING:
    import pandas as pd

_JSON = (str, bool, int, float, list, dict)


def records_of(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the rows of a data frame as dictionaries that JSON can hold, one a row, missing values None.

    Raises
    ------
    UnreadableBody
        It is no data frame, two columns have one name, or a value has no JSON form; the record is named.
    """
    import pandas as pd

    if not isinstance(frame, pd.DataFrame):
        raise UnreadableBody(
            f"expected a pandas DataFrame, got {type(frame).__name__}",
            hint="RecordBatch.from_records takes dictionaries",
        )
    names = [_name(label) for label in frame.columns]
    for name in names:
        if names.count(name) > 1:
            raise UnreadableBody(
                f"expected each column once, got {shorten(name)} {names.count(name)} times",
                field=name,
                hint="Rename or drop one of them",
            )
    if not names:
        return [{} for _ in range(len(frame))]
    columns = [_values(name, frame.iloc[:, j]) for j, name in enumerate(names)]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _name(label: Any) -> str:
    if isinstance(label, str | int | np.integer):
        return str(label)
    raise UnreadableBody(
        f"expected column names that are texts, got {shorten(label)}",
        hint="Flatten a MultiIndex: frame.columns = ['.'.join(names) for names in frame.columns]",
    )


def _values(name: str, column: pd.Series[Any]) -> list[Any]:
    import pandas as pd

    if isinstance(column.dtype, pd.CategoricalDtype):
        words = _values(name, pd.Series(column.cat.categories))
        return [None if code < 0 else words[code] for code in column.cat.codes.tolist()]
    present = column.notna().tolist()
    values = column.astype(object).tolist()
    plain = column.dtype.kind in "biu"
    return [
        None if not here else value if plain else _plain(name, i, value)
        for i, (value, here) in enumerate(zip(values, present, strict=True))
    ]


def _plain(name: str, i: int, value: Any) -> Any:
    """Return a value as JSON has it."""
    import pandas as pd

    if isinstance(value, np.datetime64):
        value = pd.Timestamp(value)
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float | Decimal) and not math.isfinite(value):
        raise UnreadableBody(
            f"record {i}: expected a finite number, got {value}; leave it out (NaN) where it is missing",
            code="record_invalid",
            field=name,
        )
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else float(value)
    if isinstance(value, dt.date):  # a datetime or a Timestamp, too
        return value.isoformat()
    if not isinstance(value, _JSON):
        raise UnreadableBody(
            f"record {i}: expected a number, string, boolean or time, got {type(value).__name__}",
            code="record_invalid",
            field=name,
            hint="Convert the column first: durations by .dt.total_seconds(), others by .astype(str)",
        )
    return value
