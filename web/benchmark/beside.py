"""What a training costs the live feed beside it: the same offered rate in turns without one and with one.

The rate is half of what the producers reach as fast as they are let. While it is measured with a training,
trainings on the feed's log follow one another, so that one is always at work.
"""

from __future__ import annotations

import json
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from web.benchmark.end_to_end import (
    FEED,
    PRODUCERS,
    drained,
    last_seq_of,
    producers_rate,
    served,
    warmed_up,
)
from web.benchmark.latency import latencies_ms
from web.benchmark.sender import FRAME_RECORDS

RECORDS = 100_000
ROUNDS = 3
PHASE_S = 8.0
POLL_S = 0.2
START_S = 60.0

Row = dict[str, float]


def measure_beside(records: int = RECORDS, rounds: int = ROUNDS, phase_s: float = PHASE_S) -> dict[str, Row]:
    """Measure throughput and the alerts' p99 with a training (`value`) and without one (`baseline`).

    Raises
    ------
    RuntimeError
        The server did not start, lost a record, or no training ran.
    """
    rates: dict[bool, list[float]] = {False: [], True: []}
    took_ms: dict[bool, list[float]] = {False: [], True: []}
    with tempfile.TemporaryDirectory() as folder, served(folder) as url:
        warmed_up(url)
        rate = producers_rate(url, records // (PRODUCERS * FRAME_RECORDS)) / 2
        for _ in range(rounds):
            for is_training in (False, True):
                if is_training:
                    with trained_beside(url):
                        found = _phase(url, rate, phase_s)
                else:
                    found = _phase(url, rate, phase_s)
                rates[is_training].append(found[0])
                took_ms[is_training] += found[1]
    throughput = [float(np.mean(rates[is_training])) for is_training in (True, False)]
    p99 = [float(np.percentile(took_ms[is_training], 99)) for is_training in (True, False)]
    return {
        "throughput_beside_training": _row(*throughput),
        "alert_latency_p99_ms_beside_training": _row(*p99),
    }


def _phase(url: str, rate: float, phase_s: float) -> tuple[float, list[float]]:
    """Send at a rate; returns records a second until all were scored, and how long each alert took."""
    before, started_s = last_seq_of(url), time.perf_counter()
    took_ms = latencies_ms(url, FEED, before, rate, phase_s)
    after = last_seq_of(url)
    drained(url, after)
    return (after - before) / (time.perf_counter() - started_s), took_ms


@contextmanager
def trained_beside(url: str) -> Iterator[None]:
    """Keep a training at work for the length of a block; it has begun when the block begins."""
    stop, begun = threading.Event(), threading.Event()

    def keep_training() -> None:
        while not stop.is_set():
            job = _asked("POST", f"{url}/train?feed={FEED}", b'{"source": "log"}')["job"]
            while not stop.is_set() and job["state"] in ("queued", "running"):
                if job["stage"] not in (None, "reading"):
                    begun.set()
                stop.wait(POLL_S)
                job = _asked("GET", f"{url}/jobs/{job['id']}")
        if job["state"] in ("queued", "running"):
            _asked("DELETE", f"{url}/jobs/{job['id']}")

    thread = threading.Thread(target=keep_training, daemon=True)
    thread.start()
    try:
        if not begun.wait(START_S):
            raise RuntimeError(f"no training ran within {START_S:.0f} s")
        yield
    finally:
        stop.set()
        thread.join(START_S)


def _asked(method: str, url: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(url, data=body, method=method)
    with urllib.request.urlopen(request, timeout=START_S) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _row(value: float, baseline: float) -> Row:
    return {"value": value, "baseline": baseline, "ratio": value / baseline}
