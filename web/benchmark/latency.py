"""From the producer's send to the alert at a viewer: planted anomalies, timed by one process and clock."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np

from anomalyai.client import Producer, Subscriber
from web.benchmark import workload

FRAME_RECORDS = 1_000
DURATION_S = 10.0
ARRIVAL_TIMEOUT_S = 10.0
PLANTED_FACTOR = 1_000.0


def planted(first: int, place: int) -> dict[str, list[Any]]:
    """Return a frame of the workload whose record at `place` is grossly wrong in every number."""
    frame = workload.columns(FRAME_RECORDS, first=first)
    for number in range(workload.NUMBERS):
        frame[f"x{number}"][place] *= PLANTED_FACTOR
    return frame


class Viewer(threading.Thread):
    """Watches a feed and notes when each alert came, `time.perf_counter` seconds by seq."""

    def __init__(self, url: str, feed: str) -> None:
        super().__init__(daemon=True)
        self.came_s: dict[int, float] = {}
        self.watching = threading.Event()
        self.stop = threading.Event()
        self._subscriber = Subscriber(url, feed, stop=self.stop)

    def run(self) -> None:
        """Take messages until stopped."""
        for message in self._subscriber:
            if message["type"] == "alert":
                self.came_s.setdefault(message["alert"]["seq"], time.perf_counter())
            elif message["type"] == "caught_up":
                self.watching.set()


def latencies_ms(
    url: str, feed: str, last_seq: int, rate: float, duration_s: float = DURATION_S
) -> list[float]:
    """Send frames at `rate` records a second, an anomaly in each, and return how long each alert took.

    `last_seq` is the feed's last record; nobody else may send to it.

    Raises
    ------
    RuntimeError
        More than one in ten of the planted anomalies never reached the viewer.
    """
    count = max(10, round(duration_s * rate / FRAME_RECORDS))
    places = np.random.default_rng(0).integers(0, FRAME_RECORDS, count).tolist()
    frames = [planted(last_seq + FRAME_RECORDS * i, place) for i, place in enumerate(places)]
    sent_s: dict[int, float] = {}
    viewer = Viewer(url, feed)
    viewer.start()
    try:
        if not viewer.watching.wait(ARRIVAL_TIMEOUT_S):
            raise RuntimeError(f"the viewer was not there within {ARRIVAL_TIMEOUT_S:.0f} s")
        with Producer(url, feed, frame_records=FRAME_RECORDS) as producer:
            started_s = time.perf_counter()
            for i, frame in enumerate(frames):
                time.sleep(max(0.0, started_s + i * FRAME_RECORDS / rate - time.perf_counter()))
                sent_s[last_seq + FRAME_RECORDS * i + places[i] + 1] = time.perf_counter()
                producer.send_columns(frame)
            producer.flush()
        deadline_s = time.perf_counter() + ARRIVAL_TIMEOUT_S
        while time.perf_counter() < deadline_s and not sent_s.keys() <= viewer.came_s.keys():
            time.sleep(0.02)
    finally:
        viewer.stop.set()
        viewer.join(ARRIVAL_TIMEOUT_S)
    took = [1000.0 * (viewer.came_s[seq] - at_s) for seq, at_s in sent_s.items() if seq in viewer.came_s]
    if len(took) < 0.9 * len(sent_s):
        raise RuntimeError(f"only {len(took)} of {len(sent_s)} planted anomalies reached the viewer")
    return took
