"""Stand-ins for the world outside, shipped beside the real things: a clock that a test moves by hand."""

from __future__ import annotations


class ManualClock:
    """A clock that stands still until `advance` is called. Readable from any thread, moved by one."""

    def __init__(self, now_s: float = 1_767_225_600.0) -> None:
        self._now_s = now_s
        self._monotonic_s = 0.0

    def now_s(self) -> float:
        """Return epoch seconds as last set."""
        return self._now_s

    def monotonic_s(self) -> float:
        """Return the seconds advanced so far."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Move both readings forward.

        Raises
        ------
        ValueError
            `seconds` is negative: a monotonic clock never goes back.
        """
        if seconds < 0:
            raise ValueError(f"expected seconds >= 0, got {seconds}")
        self._now_s += seconds
        self._monotonic_s += seconds
