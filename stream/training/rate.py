"""How long a job still takes, from the rate at which it has gone on. Single-threaded, pure."""

from __future__ import annotations

LEAST_FRACTION = 0.02
LEAST_S = 0.5


class Rate:
    """What a job has done since it was first heard of; reading the first records is slower than the rest."""

    def __init__(self) -> None:
        self._first: tuple[float, float] | None = None

    def seconds_left(self, fraction: float, monotonic_s: float) -> float | None:
        """Take in how far the job is; returns the seconds it still takes, None while that cannot be told.

        Examples
        --------
        >>> rate = Rate()
        >>> [rate.seconds_left(done, at_s) for done, at_s in ((0.0, 100.0), (0.25, 110.0), (0.5, 120.0))]
        [None, 30.0, 20.0]
        """
        if self._first is None:
            self._first = (fraction, monotonic_s)
        done, took_s = fraction - self._first[0], monotonic_s - self._first[1]
        if done < LEAST_FRACTION or took_s < LEAST_S:
            return None
        return round((1.0 - fraction) * took_s / done, 1)
