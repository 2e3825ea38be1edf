"""Event times of records that are about to be sent, as far as pacing needs them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

__all__ = ["seconds", "time_field", "value_at"]

NAMES: Final = ("time", "timestamp", "ts", "datetime", "date", "event_time", "created_at")
UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))  # magnitude from which a number counts ns, us, ms


def seconds(value: object) -> float | None:
    """Return epoch seconds of an ISO 8601 text or an epoch number in s, ms, us or ns; None if it is neither.

    >>> seconds("2019-01-01T00:01:05Z"), seconds(1546300865123), seconds("4.5"), seconds("soon")
    (1546300865.0, 1546300865.123, 4.5, None)
    """
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            try:
                value = float(value)
            except ValueError:
                return None
        else:
            return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
        return None
    for least, per_second in UNITS:
        if abs(value) >= least:
            return value / per_second
    return float(value)


def value_at(record: object, name: str) -> object:
    """Return a field of a record, `a.b` also for the field b of an object a; None if there is none."""
    if not isinstance(record, Mapping):
        return None
    if name in record:
        found: Any = record[name]
        return found
    outer, dot, inner = name.partition(".")
    return value_at(record.get(outer), inner) if dot else None


def time_field(record: Mapping[str, Any]) -> str | None:
    """Return the first field with a general time name and a time in it, None if there is none.

    >>> time_field({"amount": 3, "TS": "2019-01-01 00:01:05"})
    'TS'
    """
    named = [name for name in record if name.lower() in NAMES]
    return next((name for name in named if seconds(record[name]) is not None), None)
