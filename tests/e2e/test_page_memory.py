"""A page that is left open: what it holds after half an hour is what it held after five minutes."""

from __future__ import annotations

import pytest

from tests.e2e.browser import Viewer
from tests.serving import ServerProcess
from tests.web.test_simulation import begin

pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")

pytestmark = [pytest.mark.browser, pytest.mark.soak, pytest.mark.timeout(2_400)]

FEED = "left-open"
RATE = 200.0
FIRST_S, LAST_S = 300, 1_800
MOST_GROWTH = 1.1


def test_half_an_hour_holds_no_more_than_five_minutes(server: ServerProcess, viewer: Viewer) -> None:
    begin(server, feed=FEED, rate=RATE, anomaly_share=0.005)
    while server.request("GET", f"/feeds/{FEED}").status == 404:
        pass
    page = viewer.watch(server, FEED)
    session = page.context.new_cdp_session(page)

    def held_mb() -> float:
        session.send("HeapProfiler.collectGarbage")
        return float(session.send("Runtime.getHeapUsage")["usedSize"]) / 1e6

    page.wait_for_timeout(FIRST_S * 1000)
    first = held_mb()
    page.wait_for_timeout((LAST_S - FIRST_S) * 1000)
    last = held_mb()
    nodes = page.evaluate("document.querySelectorAll('*').length")
    print(f"{first:.1f} MB after {FIRST_S} s, {last:.1f} MB after {LAST_S} s, {nodes} elements")
    assert last < MOST_GROWTH * first
