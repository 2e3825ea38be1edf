"""Why a record scored as it did: each field's part, what was expected, and one plain sentence.

A field's part is what the raw score loses when everything that came from this field is replaced by its
typical value (occlusion; Zeiler & Fergus 2014, for the ensemble as a whole). It works the same for every
detector, knows nothing of their insides, and has the sign that a reader expects: a field that makes the
record rarer has a positive part. The parts are given as shares of their sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.alert import Reason
from anomalyai.features import Column
from anomalyai.key import exact_text

MAX_REASONS = 6
MIN_SHARE = 0.02


class Explanation(msgspec.Struct, frozen=True):
    """The reasons, largest first, their shares summing to 1, and the sentence made from the first ones."""

    reasons: tuple[Reason, ...]
    summary: str


def explain(
    row: NDArray[np.float64],
    columns: Sequence[Column],
    typical: NDArray[np.float64],
    clean: NDArray[np.float64],
    score: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    record: dict[str, Any],
) -> Explanation:
    """Explain one feature row.

    Parameters
    ----------
    row
        float64 [columns], as it was scored.
    columns
        What the columns say.
    typical
        float64 [columns], what stands in for a field that is taken away; NaN where unknown.
    clean
        float64 [m, columns], clean rows, for the usual ranges in the texts.
    score
        The raw score of rows, float64 [n, columns] -> float64 [n].
    record
        The record as it came, for the texts.
    """
    fields = list(dict.fromkeys(column.field for column in columns))
    stand_in = np.where(np.isfinite(typical), typical, row)
    probes = np.repeat(row[None, :], len(fields) + 1, axis=0)
    for place, field in enumerate(fields, start=1):
        mine = [j for j, column in enumerate(columns) if column.field == field]
        probes[place, mine] = stand_in[mine]
    raw = score(probes)
    parts = np.maximum(raw[0] - raw[1:], 0.0)
    if parts.sum() <= 0.0:
        parts = np.ones(len(fields))
    order = np.argsort(-parts, kind="stable")[:MAX_REASONS]
    kept = [int(place) for place in order if parts[place] >= MIN_SHARE * parts.sum()] or [int(order[0])]
    total = float(parts[kept].sum())
    reasons = tuple(
        _reason(fields[place], float(parts[place]) / total, row, columns, clean, record) for place in kept
    )
    return Explanation(reasons, _summary(reasons))


def _reason(
    field: str,
    share: float,
    row: NDArray[np.float64],
    columns: Sequence[Column],
    clean: NDArray[np.float64],
    record: dict[str, Any],
) -> Reason:
    """Word the reason by the most telling of the field's columns."""
    mine = {columns[j].aspect: j for j in _by_surprise(field, row, columns, clean)}
    is_number = any(column.aspect == "value" for column in columns if column.field == field)
    actual = _actual(field, record, is_number)
    if "deviation" in mine and "value" in mine and np.isfinite(row[mine["deviation"]]):
        column = columns[mine["deviation"]]
        value = float(row[mine["value"]])
        habit = math.sinh(math.asinh(value) - float(row[mine["deviation"]]))
        if abs(float(row[mine["deviation"]])) > math.log(2.0):
            usual = f"this {column.entity}'s usual {number(habit)}"
            text = f"{field} {number(value)} is {_times(value, habit)} {usual}"
            return Reason(field, text, share, expected=habit, actual=actual)
    if "value" in mine:
        return _value_reason(field, share, row[mine["value"]], clean[:, mine["value"]], actual)
    if actual is None:
        return Reason(field, f"{field} is missing", share)
    telling = [aspect for aspect, j in mine.items() if row[j] > math.log(2.0)]
    what = "comes in an unusual combination"
    if telling:
        times = number(math.exp(row[mine[telling[-1]]]))
        is_burst = telling[-1] == "burst"
        what = f"is active at {times} times its usual pace" if is_burst else f"comes once in {times} records"
    return Reason(field, f"{field} {_quoted(actual)} {what}", share, actual=actual)


def _by_surprise(
    field: str, row: NDArray[np.float64], columns: Sequence[Column], clean: NDArray[np.float64]
) -> list[int]:
    """Return the field's column numbers, least surprising first, so that the last of an aspect is kept."""
    mine = [j for j, column in enumerate(columns) if column.field == field and np.isfinite(row[j])]
    return sorted(mine, key=lambda j: float(np.mean(clean[:, j] < row[j])) if len(clean) else 0.0)


def _value_reason(field: str, share: float, value: float, clean: NDArray[np.float64], actual: Any) -> Reason:
    known = clean[np.isfinite(clean)]
    if not len(known):
        return Reason(field, f"{field} {number(value)}, nothing to compare with yet", share, actual=actual)
    low, middle, high = (float(q) for q in np.quantile(known, [0.05, 0.5, 0.95]))
    usual = number(low) if low == high else f"{number(low)} to {number(high)}"
    where = "above" if value > high else "below" if value < low else "within"
    text = f"{field} {number(value)} is {where} its usual {usual}"
    if where == "within":
        text += ", unusual with the other fields"
    return Reason(field, text, share, expected=middle, actual=actual)


def _actual(field: str, record: dict[str, Any], is_number: bool) -> str | float | bool | None:
    """Return the field's value in the record: a number, or the exact text; booleans stay what they are."""
    value: Any = record.get(field)
    if value is None and "." in field:
        value = record
        for name in field.split("."):
            value = value.get(name) if isinstance(value, dict) else None
    if value is None or isinstance(value, bool):
        return value
    return float(value) if is_number else exact_text(value)


def _quoted(actual: str | float | bool) -> str:
    text = exact_text(actual)
    return text if len(text) <= 40 else text[:37] + "..."


def _times(value: float, habit: float) -> str:
    if habit <= 0.0 or value <= 0.0:
        return "far from"
    ratio = value / habit
    return f"{number(ratio)} times" if ratio >= 1.0 else f"only {number(ratio)} times"


def _summary(reasons: Sequence[Reason]) -> str:
    telling = [reason.text for reason in reasons if reason.share >= 0.15][:3] or [reasons[0].text]
    return "; ".join(telling)


def number(value: float) -> str:
    """Write a number as a person reads it: three significant digits, thousands separated.

    Examples
    --------
    >>> number(612.404), number(12345.6), number(0.012345), number(3.0), number(999.9)
    ('612', '12,346', '0.0123', '3', '1,000')
    """
    if not math.isfinite(value):
        return "unknown"
    if abs(value) >= 999.5:
        return f"{value:,.0f}" if abs(value) < 1e12 else f"{value:.3g}"
    return f"{value:.3g}"
