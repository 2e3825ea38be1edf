"""A real server, four producers as processes of their own, durable acks, scored to the end.

All of it runs on this machine: server, producers and viewer share its cores.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from statistics import mean

import numpy as np

from anomalyai.client import Producer, declare, feed_status
from web.benchmark import workload
from web.benchmark.child import started
from web.benchmark.latency import DURATION_S, latencies_ms
from web.benchmark.pipeline import river_rate
from web.benchmark.plain import request_rate
from web.benchmark.sender import FRAME_RECORDS

PRODUCERS = 4
WARM_RECORDS = 20_000
RECORDS = 200_000
BASELINE_RECORDS = 6_000
PLAIN_S = 2.0
"""The baselines are measured before and after, since the machine's own speed drifts."""

PROMISED_P99_MS = 100.0
DRAIN_TIMEOUT_S = 120.0
FEED = "bench"

Row = dict[str, float]


def measure_end_to_end(records: int = RECORDS, latency_s: float = DURATION_S) -> dict[str, Row]:
    """Measure the server as a whole, after a warm-up.

    `end_to_end` is records a second from the first frame sent until the last record is scored and committed,
    against River's own loop; `end_to_end_plain` the same against the plain way; `alert_latency_p99_ms` the
    time from a producer's send to the alert at a viewer, at a quarter of that rate, against 100 ms.

    Raises
    ------
    RuntimeError
        The server did not start, lost a record or did not finish.
    """
    with started("web.benchmark.plain", ready="Listening on ") as plain:
        plain_url = plain.said.removeprefix("Listening on ")
        plain_rates = [request_rate(plain_url, PLAIN_S)]
        river_rates = [river_rate(BASELINE_RECORDS)]
        with tempfile.TemporaryDirectory() as folder, served(folder) as url:
            warmed_up(url)
            rate = producers_rate(url, records // (PRODUCERS * FRAME_RECORDS))
            last_seq = last_seq_of(url)
            took_ms = latencies_ms(url, FEED, last_seq, rate / 4, latency_s)
        river_rates.append(river_rate(BASELINE_RECORDS))
        plain_rates.append(request_rate(plain_url, PLAIN_S))
    return {
        "end_to_end": _row(rate, mean(river_rates)),
        "end_to_end_plain": _row(rate, mean(plain_rates)),
        "alert_latency_p99_ms": _row(float(np.percentile(took_ms, 99)), PROMISED_P99_MS),
    }


def warmed_up(url: str) -> None:
    """Let a feed begin, ripen and get its first model."""
    declare(url, FEED, workload.FEED_TOML)
    with Producer(url, FEED, frame_records=FRAME_RECORDS) as producer:
        for first in range(0, WARM_RECORDS, FRAME_RECORDS):
            producer.send_columns(workload.columns(FRAME_RECORDS, first=first))
        producer.flush()
    drained(url, WARM_RECORDS)
    matured(url)


def producers_rate(url: str, frames_each: int) -> float:
    """Return records a second of all producers together, sending as fast as they are let."""
    expected = PRODUCERS * frames_each * FRAME_RECORDS
    last_seq = last_seq_of(url)
    with ExitStack() as stack:
        producers = [
            stack.enter_context(
                started(
                    "web.benchmark.sender",
                    *(url, FEED, str(last_seq // FRAME_RECORDS + i), str(frames_each), str(PRODUCERS)),
                    ready="ready",
                )
            )
            for i in range(PRODUCERS)
        ]
        started_s = time.perf_counter()
        for producer in producers:
            producer.tell("go")
        accepted = sum(int(producer.hear() or 0) for producer in producers)
        drained(url, last_seq + expected)
        elapsed_s = time.perf_counter() - started_s
    if accepted != expected:
        raise RuntimeError(f"expected {expected} acknowledged, got {accepted}")
    return expected / elapsed_s


@contextmanager
def served(folder: str) -> Iterator[str]:
    """Run a server of its own on a free port and yield its address."""
    with started("web.cli", "serve", "--port", "0", "--data", folder, ready="Listening on ") as server:
        yield server.said.removeprefix("Listening on ")


def last_seq_of(url: str) -> int:
    """Return the feed's last record."""
    status = feed_status(url, FEED)
    return 0 if status is None else int(status["last_seq"])


def drained(url: str, last_seq: int) -> None:
    """Wait until the engine has scored and committed everything up to `last_seq`."""
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while time.monotonic() < deadline:
        status = feed_status(url, FEED)
        if status is not None and status["last_seq"] >= last_seq and status["lag"]["records"] == 0:
            return
        time.sleep(0.02)
    raise RuntimeError(f"the engine did not reach record {last_seq} within {DRAIN_TIMEOUT_S:.0f} s")


def matured(url: str) -> None:
    """Wait until the first model was trained and put in: training is over, and the model's scoring counts."""
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while time.monotonic() < deadline:
        status = feed_status(url, FEED)
        if status is not None and status["model"] is not None:
            return
        time.sleep(0.1)
    raise RuntimeError(f"the first model was not there within {DRAIN_TIMEOUT_S:.0f} s")


def _row(value: float, baseline: float) -> Row:
    return {"value": value, "baseline": baseline, "ratio": value / baseline}
