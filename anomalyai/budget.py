"""The one knob: how many alerts a person wants to see.

"1/1000" is a share of the records, "20/day" a number a day of event time. Both are promises about normal
traffic: a real burst of anomalies may exceed them.
"""

from __future__ import annotations

import math
import re

import msgspec

from anomalyai.errors import SchemaError, shorten

DEFAULT_BUDGET = "1/1000"
DAY_S = 86_400.0

_PER_DAY = re.compile(r"\s*(\d+(?:\.\d+)?)\s*/\s*(?:day|d)\s*\Z")
_ONE_IN = re.compile(r"\s*1\s*/\s*(\d+(?:\.\d+)?)\s*\Z")

MIN_RATE = 1e-7
MAX_RATE = 0.5


class AlertBudget(msgspec.Struct, frozen=True):
    """A promised alert rate: exactly one of `per_day` and `one_in` is set."""

    per_day: float | None = None
    one_in: float | None = None

    @classmethod
    def parse(cls, text: object) -> AlertBudget:
        """Read "20/day" or "1/1000".

        Raises
        ------
        SchemaError
            The text is neither, or the rate is outside 1 in 2 to 1 in 10,000,000.
        """
        written = text if isinstance(text, str) else ""
        if found := _PER_DAY.match(written):
            per_day = float(found.group(1))
            if per_day > 0.0:
                return cls(per_day=per_day)
        elif found := _ONE_IN.match(written):
            one_in = float(found.group(1))
            if 1.0 / MAX_RATE <= one_in <= 1.0 / MIN_RATE:
                return cls(one_in=one_in)
        raise SchemaError(
            f"expected an alert budget such as '20/day' or '1/1000', got {shorten(text)}",
            field="budget",
            hint="N/day is alerts a day of event time, 1/M one alert in M events, M from 2 to 10000000",
        )

    def rate(self, records_per_day: float) -> float:
        """Return the promised share of records (within MIN_RATE..MAX_RATE) at this flow of records.

        `records_per_day` is NaN while unknown; a daily budget then acts as the default share.
        """
        if self.one_in is not None:
            return 1.0 / self.one_in
        if self.per_day is None or not math.isfinite(records_per_day) or records_per_day <= 0:
            return 1.0 / 1000.0
        return min(max(self.per_day / records_per_day, MIN_RATE), MAX_RATE)

    def __str__(self) -> str:
        """Write the budget as it is read.

        Examples
        --------
        >>> str(AlertBudget.parse("1/1000")), str(AlertBudget.parse("20 / day"))
        ('1/1000', '20/day')
        """
        return f"{self.per_day:g}/day" if self.per_day is not None else f"1/{self.one_in:g}"
