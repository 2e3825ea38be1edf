"""How soon the page shows something, and how soon an event, by the page's own clock (machine at rest)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from anomalyai.client import Producer
from tests.e2e.browser import Viewer
from tests.e2e.modelled import settled
from tests.e2e.payment import ordinary
from tests.serving import ServerProcess

pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.timeout(180)]

RATE, BATCH, SETTLING_S, SECONDS = 2000, 100, 10.0, 15.0
MAX_PAINT_MS, MAX_PIXEL_MS = 1000.0, 300.0

PAINTED = """
async () => {
  const sizes = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
  const [paint] = performance.getEntriesByName("first-contentful-paint");
  return { paint_ms: paint.startTime, bytes: sizes.reduce((sum, one) => sum + one.transferSize, 0) };
}
"""

WATCH = """
() => {
  window.drawn = [];
  const chart = document.querySelector("#chart");
  const note = () => window.drawn.push([Date.now(), Number(chart.dataset.lastSeq)]);
  new MutationObserver(note).observe(chart, { attributes: true, attributeFilter: ["data-last-seq"] });
}
"""


def test_the_first_paint_is_soon(server: ServerProcess, feed: str, viewer: Viewer) -> None:
    assert server.post(feed, ordinary(3000)).status == 202
    settled(server, feed, 3000)
    page = viewer.watch(server, feed)
    found = page.evaluate(PAINTED)
    print(found)
    assert found["paint_ms"] < MAX_PAINT_MS


@pytest.fixture
def sent(server: ServerProcess, feed: str) -> Iterator[list[tuple[int, float]]]:
    """Send records at a steady rate; lists the last `seq` of each batch and when it was sent (epoch, ms)."""
    batches: list[tuple[int, float]] = []
    stop = threading.Event()

    def run() -> None:
        rng = np.random.default_rng(1)
        with Producer(server.url, feed, producer="p", patience_s=60.0) as producer:
            begun = time.monotonic()
            while not stop.is_set():
                batches.append(((len(batches) + 1) * BATCH, time.time() * 1000))
                producer.send([{"amount": float(amount)} for amount in rng.normal(50, 5, BATCH)])
                stop.wait(max(0.0, begun + len(batches) * BATCH / RATE - time.monotonic()))
            assert producer.flush(60.0)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield batches
    finally:
        stop.set()
        thread.join()


def test_an_event_is_in_the_chart_soon(
    server: ServerProcess, feed: str, sent: list[tuple[int, float]], viewer: Viewer
) -> None:
    page = viewer.watch(server, feed)
    page.wait_for_timeout(SETTLING_S * 1000)
    page.evaluate(WATCH)
    begun_ms = time.time() * 1000
    page.wait_for_timeout(SECONDS * 1000)
    drawn = page.evaluate("window.drawn")
    until_ms = begun_ms + SECONDS * 1000 - 2 * MAX_PIXEL_MS
    waits_ms = [
        next(at_ms for at_ms, seq in drawn if seq >= last) - sent_ms
        for last, sent_ms in sent.copy()
        if begun_ms < sent_ms < until_ms
    ]
    assert len(waits_ms) > 0.8 * RATE / BATCH * (SECONDS - 1)
    p50, p99 = np.percentile(waits_ms, [50, 99])
    print(f"event to pixel: median {p50:.0f} ms, p99 {p99:.0f} ms of {len(waits_ms)} batches")
    assert p99 < MAX_PIXEL_MS
