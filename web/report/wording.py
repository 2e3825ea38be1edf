"""Figures as people read them."""

from __future__ import annotations

from collections.abc import Callable

from anomalyai.alert import rfc3339
from anomalyai.evaluation.interval import Estimate

UNKNOWN = "-"


def plain(text: str) -> str:
    r"""Return a foreign text on one line, without control characters, which a terminal would obey.

    >>> plain("a\x1b[31mb")
    'a�[31mb'
    """
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def share(value: float | Estimate | None) -> str:
    """Return a share with three digits behind the point.

    >>> share(0.5), share(None)
    ('0.500', '-')
    """
    number = value.value if isinstance(value, Estimate) else value
    return UNKNOWN if number is None else f"{number:.3f}"


def percent(value: float | None) -> str:
    """Return a share in percent, with the digits that small ones need.

    >>> percent(0.5), percent(0.00123), percent(None)
    ('50 %', '0.12 %', '-')
    """
    return UNKNOWN if value is None else f"{100 * value:.2g} %" if value < 0.995 else f"{100 * value:.0f} %"


def with_interval(value: Estimate | None, shown: Callable[[float | None], str] = share) -> str:
    """Return a figure with its 95 % interval, where it has one.

    >>> with_interval(Estimate(0.5, 0.25, 0.75)), with_interval(Estimate(0.5)), with_interval(None)
    ('0.500 [0.250, 0.750]', '0.500', '-')
    """
    if value is None:
        return UNKNOWN
    if value.low is None or value.high is None:
        return shown(value.value)
    return f"{shown(value.value)} [{shown(value.low)}, {shown(value.high)}]"


def moment(time_s: float) -> str:
    """Return an event time to the minute, UTC.

    >>> moment(0.0)
    '1970-01-01 00:00'
    """
    text = rfc3339(time_s)
    return "unknown" if text is None else text[:16].replace("T", " ")


def duration(seconds: float) -> str:
    """Return a time span in the unit that suits it.

    >>> duration(0.5), duration(90), duration(7200), duration(864000)
    ('0.5 s', '1.5 min', '2 h', '10 d')
    """
    for unit, size in (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"
