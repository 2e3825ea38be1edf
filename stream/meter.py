"""Rates and latencies of one feed over the last seconds, for its status and the page.

The engine counts, anyone may read. Lock: one, held for moments. Memory is bounded: one bucket per second, and
the latest batches.
"""

from __future__ import annotations

import threading
from collections import deque

WINDOW_S = 5
LATENCIES = 512


class Meter:
    """Events per second and the 99th percentile of the time from arrival to published result."""

    def __init__(self, monotonic_s: float) -> None:
        self._lock = threading.Lock()
        self._started_s = monotonic_s
        self._seconds: deque[tuple[int, int]] = deque()
        self._latencies: deque[tuple[float, int, float]] = deque(maxlen=LATENCIES)

    def count(self, monotonic_s: float, records: int, latency_s: float) -> None:
        """Note a batch of records published at `monotonic_s`, `latency_s` after it arrived."""
        second = int(monotonic_s)
        with self._lock:
            if self._seconds and self._seconds[-1][0] == second:
                self._seconds[-1] = (second, self._seconds[-1][1] + records)
            else:
                self._seconds.append((second, records))
            self._latencies.append((monotonic_s, records, max(0.0, latency_s)))
            self._forget(monotonic_s)

    def events_per_second(self, monotonic_s: float) -> float:
        """Return the mean rate over the last whole seconds, at most `WINDOW_S` of them."""
        now = int(monotonic_s)
        with self._lock:
            self._forget(monotonic_s)
            seconds = list(self._seconds)
        covered = min(WINDOW_S, now - int(self._started_s))
        if covered <= 0:
            return float(sum(records for _, records in seconds))
        return sum(records for second, records in seconds if second < now) / covered

    def p99_ms(self, monotonic_s: float) -> float | None:
        """Return the time within which 99 of 100 recent records were published; None without records."""
        with self._lock:
            self._forget(monotonic_s)
            batches = list(self._latencies)
        total = sum(records for _, records, _ in batches)
        slower = 0
        for _, records, latency_s in sorted(batches, key=lambda batch: -batch[2]):
            slower += records
            if slower > total * 0.01:
                return round(latency_s * 1000.0, 2)
        return None

    def _forget(self, monotonic_s: float) -> None:
        while self._seconds and self._seconds[0][0] < int(monotonic_s) - WINDOW_S:
            self._seconds.popleft()
        while self._latencies and self._latencies[0][0] < monotonic_s - WINDOW_S:
            self._latencies.popleft()
