"""A real server and producer on one WebSocket: frames of 1,000 records, durable acks, scored to the end."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import mean

from anomalyai.client import Producer, declare, feed_status
from web.benchmark import workload
from web.benchmark.pipeline import river_rate

FRAME_RECORDS = 1_000
WARM_RECORDS = 20_000
RECORDS = 100_000
BASELINE_RECORDS = 6_000
"""Measured before and after, since the machine's own speed drifts."""

START_TIMEOUT_S = 120.0
DRAIN_TIMEOUT_S = 120.0
FEED = "bench"


def measure_end_to_end(records: int = RECORDS) -> dict[str, dict[str, float]]:
    """Measure from the first frame sent until the last record is scored and committed, after a warm-up.

    Raises
    ------
    RuntimeError
        The server did not start, lost a record or did not finish.
    """
    baselines = [river_rate(BASELINE_RECORDS)]
    frames = [
        workload.columns(FRAME_RECORDS, first=first)
        for first in range(0, WARM_RECORDS + records, FRAME_RECORDS)
    ]
    warm = WARM_RECORDS // FRAME_RECORDS
    with tempfile.TemporaryDirectory() as folder, served(folder) as url:
        declare(url, FEED, workload.FEED_TOML)
        with Producer(url, FEED, frame_records=FRAME_RECORDS) as producer:
            for frame in frames[:warm]:
                producer.send_columns(frame)
            producer.flush()
            drained(url, WARM_RECORDS)
            matured(url)
            started = time.perf_counter()
            for frame in frames[warm:]:
                producer.send_columns(frame)
            producer.flush()
            drained(url, WARM_RECORDS + records)
            elapsed_s = time.perf_counter() - started
            if producer.totals.accepted != WARM_RECORDS + records:
                raise RuntimeError(
                    f"expected {WARM_RECORDS + records} acknowledged, got {producer.totals.accepted}"
                )
    baselines.append(river_rate(BASELINE_RECORDS))
    rate, baseline = records / elapsed_s, mean(baselines)
    return {"end_to_end": {"value": rate, "baseline": baseline, "ratio": rate / baseline}}


@contextmanager
def served(folder: str) -> Iterator[str]:
    """Run a server of its own on a free port and yield its address."""
    command = [sys.executable, "-m", "web.cli", "serve", "--port", "0", "--data", folder]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith("Listening on "):
                raise RuntimeError(f"the server did not start: {line!r}, exit code {process.poll()}")
            yield line.removeprefix("Listening on ").strip()
        finally:
            process.terminate()
            process.wait(timeout=START_TIMEOUT_S)


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
