"""Time, read in this one place, so that everything else can be run against a clock that a test moves.

`Clock` is what the rest of the package asks; `SystemClock` reads the operating system and
`stream.testing.ManualClock` stands still until told. Both are safe to read from any thread.
"""

from __future__ import annotations

import math
import time
from typing import Protocol


class Clock(Protocol):
    """Two readings of time: what a calendar says, and what a stopwatch says."""

    def now_s(self) -> float:
        """Return epoch seconds (UTC); may jump when the machine's clock is set."""

    def monotonic_s(self) -> float:
        """Return seconds since an arbitrary start; never goes back. For ages, rates and time-outs."""


class SystemClock:
    """The machine's own clocks."""

    def now_s(self) -> float:
        """Return epoch seconds (UTC)."""
        return time.time()

    def monotonic_s(self) -> float:
        """Return seconds since an arbitrary start."""
        return time.monotonic()


class ArrivalClock:
    """When the records of one feed arrive: the calendar's time, which never goes back from entry to entry.

    Where the machine's clock was set back, it goes on from the last arrival at half its pace until the clock
    has come up with it, so that pauses between arrivals stay pauses. Single-threaded.
    """

    PACE = 0.5

    def __init__(self, clock: Clock, last_s: float = -math.inf) -> None:
        self._clock = clock
        self._last_s = last_s
        self._read_at_s = clock.monotonic_s()

    def now_s(self) -> float:
        """Return epoch seconds, no earlier than before."""
        monotonic_s = self._clock.monotonic_s()
        least_s = self._last_s + self.PACE * (monotonic_s - self._read_at_s)
        self._last_s, self._read_at_s = max(self._clock.now_s(), least_s), monotonic_s
        return self._last_s
