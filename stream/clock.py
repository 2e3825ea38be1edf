"""Time, read in this one place, so that everything else can be run against a clock that a test moves.

`Clock` is what the rest of the package asks; `SystemClock` reads the operating system and
`stream.testing.ManualClock` stands still until told. Both are safe to read from any thread.
"""

from __future__ import annotations

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
