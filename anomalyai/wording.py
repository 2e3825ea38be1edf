"""Numbers and names as a person reads them."""

from __future__ import annotations

import math

from anomalyai.key import exact_text
from anomalyai.position import name_parts

__all__ = ["as_it_came", "duration", "noun", "number", "one_of", "quoted", "times"]

MAX_QUOTED_CHARS = 40

_IDENTIFIERS = frozenset({"id", "uid", "uuid", "guid", "no", "nr", "num", "number", "key", "ref", "name"})
_PLACES = frozenset(
    {"merchant", "shop", "store", "terminal", "atm", "branch", "site", "location", "station", "hotel", "gate"}
)


def number(value: float) -> str:
    """Write a number with three significant digits, thousands separated.

    >>> number(612.404), number(12345.6), number(0.012345), number(3.0), number(999.9)
    ('612', '12,346', '0.0123', '3', '1,000')
    """
    if not math.isfinite(value):
        return "unknown"
    if abs(value) >= 999.5:
        return f"{value:,.0f}" if abs(value) < 1e12 else f"{value:.3g}"
    return f"{value:.3g}"


def as_it_came(value: float) -> str:
    """Write a record's own number: amounts with their cents, whole numbers whole, the rest rounded.

    >>> as_it_came(612.4), as_it_came(40000.0), as_it_came(-0.01234), as_it_came(12.3456)
    ('612.40', '40,000', '-0.0123', '12.35')
    """
    if not math.isfinite(value) or abs(value) >= 1e12 or abs(value) < 1.0:
        return number(value)
    return f"{value:,.0f}" if value.is_integer() else f"{value:,.2f}"


def times(ratio: float) -> str:
    """Write how many times one number is another, both above 0.

    >>> times(9.006), times(61.2), times(1.5), times(0.125), times(123456.7)
    ('9 times', '61 times', '1.5 times', 'only 0.12 times', '123,457 times')
    """
    if ratio >= 9.95:
        return f"{ratio:,.0f} times" if ratio < 1e12 else f"{ratio:.2g} times"
    return f"{ratio:.2g} times" if ratio >= 1.0 else f"only {ratio:.2g} times"


def duration(seconds: float) -> str:
    """Write how long something lasts in the unit that suits it, to two digits or whole.

    >>> duration(0.25), duration(10.2), duration(720.0), duration(5400.0), duration(900000.0)
    ('0.25 s', '10 s', '12 minutes', '1.5 hours', '10 days')
    """
    for unit_s, unit in ((86_400.0, "days"), (3_600.0, "hours"), (60.0, "minutes")):
        if seconds >= 1.5 * unit_s:
            return f"{_short(seconds / unit_s)} {unit}"
    return f"{_short(seconds)} s"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 9.95 else f"{value:.2g}"


def quoted(value: str | float | bool) -> str:
    """Write a text or key exactly, cut off where it is long."""
    text = exact_text(value)
    return text if len(text) <= MAX_QUOTED_CHARS else text[: MAX_QUOTED_CHARS - 3] + "..."


def noun(field: str) -> str:
    """Return what a field is called in a sentence: its own name without `id` and the like.

    >>> noun("customer_id"), noun("card.number"), noun("id"), noun("src_ip")
    ('customer', 'card', 'id', 'src ip')
    """
    parts = name_parts(field)
    while len(parts) > 1 and parts[-1] in _IDENTIFIERS:
        parts.pop()
    return " ".join(parts) or field


def one_of(field: str) -> str:
    """Return the noun of a field with a preposition and an article.

    >>> one_of("merchant_id"), one_of("app"), one_of("channel")
    ('at a merchant', 'with an app', 'with a channel')
    """
    word = noun(field)
    where = "at" if word.split()[-1] in _PLACES else "with"
    return f"{where} {'an' if word[0] in 'aeiou' else 'a'} {word}"
