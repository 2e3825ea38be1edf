"""Event times: ISO 8601 texts and epoch numbers to float64 epoch seconds (UTC).

A text without an offset is taken as UTC. A number is seconds, milliseconds, microseconds or nanoseconds
since 1970 by its magnitude (below 1e11, 1e14, 1e17, or above); small numbers, such as seconds since the
start of a recording, are seconds as they are.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["number_column", "parse_number", "parse_text", "text_column"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND: Final = timedelta(seconds=1)
_ISO: Final = re.compile(
    r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?\s?(?:Z|z|[+-]\d\d(?::?\d\d)?)?)?"
)
_DIGITS: Final = re.compile(r"[+-]?\d{1,20}(?:\.\d{1,20})?")
_MONTH_DAYS: Final = np.array([0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)
_MAX_TEXT_CHARS: Final = 40
_WORTH_VECTORS: Final = 32

# the digits of year, month, day, hour, minute and second in `YYYY-MM-DD HH:MM:SS`, and what each is worth
_DIGIT_PLACES: Final = [0, 1, 2, 3, 5, 6, 8, 9, 11, 12, 14, 15, 17, 18]
_DIGIT_WEIGHTS: Final = np.zeros((14, 6))
_DIGIT_WEIGHTS[:4, 0] = 1000, 100, 10, 1
for _part in range(1, 6):
    _DIGIT_WEIGHTS[2 + 2 * _part : 4 + 2 * _part, _part] = 10, 1
_DIGIT_ZEROS: Final = (ord("0") * _DIGIT_WEIGHTS.sum(axis=0)).astype(np.int64)

# magnitude from which a number is taken as the finer unit, and how many of that unit make a second
_UNITS: Final = ((1e11, 1e3), (1e14, 1e6), (1e17, 1e9))


def parse_number(value: float) -> float:
    """Return epoch seconds of an epoch number, its unit told by its magnitude.

    >>> parse_number(1546300865), parse_number(1546300865123), parse_number(4)
    (1546300865.0, 1546300865.123, 4.0)
    """
    seconds = float(value)
    for least, per_second in reversed(_UNITS):
        if abs(seconds) >= least:
            return seconds / per_second
    return seconds


def number_column(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return epoch seconds of epoch numbers, shape [n]; NaN stays NaN. Same bits as `parse_number`."""
    seconds = values.copy()
    magnitude = np.abs(values)
    for least, per_second in _UNITS:
        np.divide(values, per_second, out=seconds, where=magnitude >= least)
    return seconds


def parse_text(text: str) -> float:
    """Return epoch seconds of an ISO 8601 text or of an epoch number written as text; NaN if it is neither.

    >>> parse_text("2019-01-01 00:01:05"), parse_text("2019-01-01T01:01:05.25+01:00"), parse_text("soon")
    (1546300865.0, 1546300865.25, nan)
    """
    if len(text) > _MAX_TEXT_CHARS:
        return math.nan
    stripped = text.strip()
    if not _ISO.fullmatch(stripped):
        return parse_number(float(stripped)) if _DIGITS.fullmatch(stripped) else math.nan
    try:
        moment = datetime.fromisoformat(stripped.replace(" +", "+").replace(" -", "-").replace(" Z", "Z"))
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        elapsed = moment - _EPOCH
    except (ValueError, OverflowError):
        return math.nan
    return float(elapsed // _SECOND) + (elapsed % _SECOND).microseconds / 1e6


def text_column(values: Sequence[Any]) -> NDArray[np.float64]:
    """Return epoch seconds of ISO 8601 texts, shape [n]; NaN where missing or unreadable.

    Columns of one plain layout (`YYYY-MM-DD HH:MM:SS`, with T, fraction and Z allowed) are read without a
    Python call per value; everything else goes through `parse_text`, with the same bits.
    """
    fast = _plain_column(values)
    if fast is not None:
        return fast
    return np.fromiter(
        (parse_text(v) if isinstance(v, str) else math.nan for v in values),
        dtype=np.float64,
        count=len(values),
    )


def _plain_column(values: Sequence[Any]) -> NDArray[np.float64] | None:
    """Read a column in which every text has the same plain layout; None if it is not such a column."""
    if len(values) < _WORTH_VECTORS:
        return None
    try:
        widths = set(map(len, values))
        joined = "".join(values)
    except TypeError:  # a missing value among them
        return None
    if len(widths) != 1 or not joined.isascii():
        return None
    width = widths.pop()
    if not 19 <= width <= 30:
        return None
    cells = np.frombuffer(joined.encode("ascii"), dtype=np.uint8).reshape(len(values), width)
    if cells[0, -1] == ord("Z"):
        cells = cells[:, :-1]
        width -= 1
    fraction_digits = width - 20
    if width != 19 and not 1 <= fraction_digits <= 9:
        return None
    if not _layout_holds(cells, fraction_digits):
        return None
    return _assemble(cells, fraction_digits)


def _layout_holds(cells: NDArray[np.uint8], fraction_digits: int) -> bool:
    separators = {4: b"-", 7: b"-", 10: b" T", 13: b":", 16: b":"}
    if fraction_digits > 0:
        separators[19] = b"."
    for position, allowed in separators.items():
        column = cells[:, position]
        if not np.logical_or.reduce([column == symbol for symbol in allowed]).all():
            return False
    numeric = np.delete(cells, list(separators), axis=1)
    return bool(((numeric >= ord("0")) & (numeric <= ord("9"))).all())


def _assemble(cells: NDArray[np.uint8], fraction_digits: int) -> NDArray[np.float64] | None:
    """Return epoch seconds of a column whose layout holds; None if a month, day or hour is out of range."""
    parts = (cells[:, _DIGIT_PLACES] @ _DIGIT_WEIGHTS).astype(np.int64) - _DIGIT_ZEROS
    year, month, day, hour, minute, second = parts.T
    leap = (year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0))
    valid = (
        (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1) & (hour < 24) & (minute < 60) & (second < 60)
    )
    if not valid.all():
        return None
    if not (day <= _MONTH_DAYS[month] + (leap & (month == 2))).all():
        return None
    # days from civil, H. Hinnant: the year starts in March, so that the leap day is its last
    early = month <= 2
    shifted = year - early
    era = shifted // 400
    year_of_era = shifted - era * 400
    day_of_year = (153 * (month + np.where(early, 9, -3)) + 2) // 5 + day - 1
    days = era * 146_097 + year_of_era * 365 + year_of_era // 4 - year_of_era // 100 + day_of_year - 719_468
    seconds: NDArray[np.float64] = (days * 86_400 + hour * 3_600 + minute * 60 + second).astype(np.float64)
    if fraction_digits > 0:
        micro = np.zeros(len(cells), dtype=np.int64)
        for place in range(6):
            micro *= 10
            if place < fraction_digits:
                micro += cells[:, 20 + place] - ord("0")
        seconds += micro / 1e6
    return seconds
