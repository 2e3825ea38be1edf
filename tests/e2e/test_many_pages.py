"""Several pages at once: a server that is killed under them, and pages that hold still while things come."""

from __future__ import annotations

import re
import signal
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import NewServer
from tests.e2e.browser import Viewer, all_alerts, shown_ids
from tests.e2e.conftest import NewViewer
from tests.e2e.modelled import settled
from tests.e2e.payment import gross, ordinary
from tests.serving import ServerProcess

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FEED = "payments"
USUAL, ROUND = 1_000, 40
AWAY = r"ERR_CONNECTION|WebSocket connection|Failed to load resource"
MOST_SHIFT = 0.001

SHIFTS = """
() => {
  window.shifted = 0;
  const isRow = ({ node }) => node?.closest?.("tbody") || node?.parentElement?.closest("tbody");
  const note = (one) => (window.shifted += one.sources.every(isRow) ? 0 : one.value);
  new PerformanceObserver((list) => list.getEntries().forEach(note)).observe({ type: "layout-shift" });
}
"""
"""Adds up what moves; that a new row comes in at the top of a list, and the others make room, is no shift."""


def rounds(server: ServerProcess, first: int, count: int) -> int:
    """Send rounds of ordinary payments with a gross one at the end; returns the record after them."""
    for place in range(first, first + count):
        begin = USUAL + ROUND * place
        records = [*ordinary(ROUND - 1, begin), gross(begin + ROUND - 1, 40_000.0 + 9_000.0 * place)]
        assert server.post(FEED, records).status == 202
    return USUAL + ROUND * (first + count)


def test_five_pages_end_with_exactly_what_is_in_the_store(
    new_server: NewServer, new_viewer: NewViewer
) -> None:
    server = new_server()
    assert server.post(FEED, ordinary(USUAL)).status == 202
    settled(server, FEED, rounds(server, 0, 2))
    viewers = [new_viewer() for _ in range(5)]
    live = [one.watch(server, FEED) for one in viewers[:3]]
    lists = [one.open(server, f"anomalies#feed={FEED}") for one in viewers[3:]]
    for page in lists:
        expect(page.locator("tr[data-id]").first).to_be_visible()
    for viewer in viewers:
        viewer.expect_problem(AWAY)
    rounds(server, 2, 2)
    server.port = urlsplit(server.url).port or 0
    server.kill()
    assert server.stop()[0] == -signal.SIGKILL
    for page in live:
        expect(page.locator("#connection")).not_to_have_attribute("data-state", "live")
    for page in lists:
        expect(page.locator("#connection")).to_have_attribute("data-state", "unreachable")
    server.start()
    settled(server, FEED, rounds(server, 4, 4))
    alerts = all_alerts(server, FEED)
    assert len(alerts) >= 8
    for page in live:
        expect(page.locator("#connection")).to_have_attribute("data-state", re.compile("live|quiet"))
        expect(page.locator("#alerts tbody tr")).to_have_count(len(alerts))
        assert shown_ids(page) == [alert["id"] for alert in reversed(alerts)]
    incidents = server.request("GET", f"/feeds/{FEED}/incidents?limit=500").json["incidents"]
    assert sum(one["count"] for one in incidents) == len(alerts)
    for page in lists:
        expect(page.locator("#connection")).to_have_attribute("data-state", "live")
        counted = {one["id"]: str(one["count"]) for one in incidents}
        expect(page.locator("tr[data-id]")).to_have_count(len(counted))
        for incident, count in counted.items():
            expect(page.locator(f"tr[data-id='{incident}'] [aria-expanded]")).to_have_text(count)


PLACES = {
    "live": (f"#feed={FEED}", "#alerts tbody tr"),
    "anomalies": (f"anomalies#feed={FEED}", "tr[data-id]"),
    "models": (f"models#feed={FEED}", "#no-jobs"),
    "settings": (f"settings#feed={FEED}", "#fields tr"),
    "simulate": ("simulate", "#none"),
}


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Run a server with a feed that has some anomalies; its number of rounds so far."""
    server = ServerProcess(tmp_path_factory.mktemp("steady") / "data").start()
    try:
        assert server.post(FEED, ordinary(USUAL)).status == 202
        settled(server, FEED, rounds(server, 0, 3))
        yield server, [3]
    finally:
        server.kill()


@pytest.mark.parametrize("place", PLACES)
def test_nothing_moves_while_things_come(
    steady: tuple[ServerProcess, list[int]], viewer: Viewer, place: str
) -> None:
    server, done = steady
    address, ready = PLACES[place]
    page = viewer.open(server, address)
    page.locator(ready).first.wait_for()
    page.wait_for_timeout(1_000)
    page.evaluate(SHIFTS)
    for _ in range(4):
        settled(server, FEED, rounds(server, done[0], 1))
        done[0] += 1
        page.wait_for_timeout(700)
    assert page.evaluate("window.shifted") < MOST_SHIFT
