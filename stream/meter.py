"""Rates and latencies of one feed over the last seconds, for its status and the page.

Single-threaded: only the engine calls it. Memory is bounded: one bucket per second, and the latest batches.
"""

from __future__ import annotations

from collections import deque

WINDOW_S = 5
LATENCIES = 512


class Meter:
    """Events per second and the 99th percentile of the time from arrival to published result."""

    def __init__(self, monotonic_s: float) -> None:
        self._started_s = monotonic_s
        self._seconds: deque[tuple[int, int]] = deque()
        self._latencies: deque[tuple[float, int, float]] = deque(maxlen=LATENCIES)

    def count(self, monotonic_s: float, records: int, latency_s: float) -> None:
        """Note a batch of records published at `monotonic_s`, `latency_s` after it arrived."""
        second = int(monotonic_s)
        if self._seconds and self._seconds[-1][0] == second:
            self._seconds[-1] = (second, self._seconds[-1][1] + records)
        else:
            self._seconds.append((second, records))
        self._latencies.append((monotonic_s, records, max(0.0, latency_s)))
        self._forget(monotonic_s)

    def events_per_second(self, monotonic_s: float) -> float:
        """Return the mean rate over the last whole seconds, at most `WINDOW_S` of them."""
        self._forget(monotonic_s)
        now = int(monotonic_s)
        whole = [records for second, records in self._seconds if second < now]
        covered = min(WINDOW_S, now - int(self._started_s))
        return sum(whole) / covered if covered > 0 else float(sum(r for _, r in self._seconds))

    def p99_ms(self, monotonic_s: float) -> float | None:
        """Return the time within which 99 of 100 recent records were published; None without records."""
        self._forget(monotonic_s)
        total = sum(records for _, records, _ in self._latencies)
        slower = 0
        for _, records, latency_s in sorted(self._latencies, key=lambda batch: -batch[2]):
            slower += records
            if slower > total * 0.01:
                return round(latency_s * 1000.0, 2)
        return None

    def _forget(self, monotonic_s: float) -> None:
        while self._seconds and self._seconds[0][0] < int(monotonic_s) - WINDOW_S:
            self._seconds.popleft()
        while self._latencies and self._latencies[0][0] < monotonic_s - WINDOW_S:
            self._latencies.popleft()
