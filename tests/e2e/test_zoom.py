"""A part of the chart shown closer while records go on coming, and back; the record under the pointer."""

from __future__ import annotations

import pytest

from tests.e2e.browser import Viewer
from tests.e2e.payment import gross, ordinary
from tests.serving import ServerProcess

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

BACK = "Back to live"


@pytest.mark.parametrize("library", ["uplot", "plotly"])
def test_a_part_is_shown_closer_while_records_go_on_coming(
    server: ServerProcess, feed: str, viewer: Viewer, library: str
) -> None:
    if library == "plotly":
        viewer.expect_problem("ERR_FAILED|Content Security Policy|addRelatedStyleRule")
        viewer.page.route("**/uPlot.iife.min.js*", lambda route: route.abort())
    assert server.post(feed, ordinary(400)).status == 202
    page = viewer.watch(server, feed)
    chart = page.locator("#chart")
    expect(chart).to_have_attribute("data-library", library)
    expect(chart).not_to_have_attribute("data-last-seq", "0")
    whole = int(chart.get_attribute("data-points") or 0)
    back = page.get_by_role("button", name=BACK)
    expect(back).to_be_hidden()
    area = page.locator(".chart-plot").bounding_box()
    assert area is not None
    top = area["y"] + area["height"] / 2
    page.mouse.move(area["x"] + area["width"] * 0.3, top)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] * 0.5, top, steps=5)
    page.mouse.up()
    expect(chart).to_have_attribute("data-zoomed", "true")
    shown, last = chart.get_attribute("data-points"), chart.get_attribute("data-last-seq")
    assert 0 < int(shown or 0) < whole / 2
    before = chart.bounding_box()
    assert server.post(feed, [*ordinary(50, first=400), gross(450)]).status == 202
    expect(page.locator(f'#alerts tr[data-id="{feed}-451"]')).to_be_visible()
    assert chart.get_attribute("data-last-seq") == last
    assert chart.get_attribute("data-points") == shown
    back.click()
    expect(chart).to_have_attribute("data-last-seq", "451")
    expect(back).to_be_hidden()
    assert chart.bounding_box() == before


def test_a_pause_is_left_the_same_way(server: ServerProcess, feed: str, viewer: Viewer) -> None:
    assert server.post(feed, ordinary(100)).status == 202
    page = viewer.watch(server, feed)
    expect(page.locator("#chart")).not_to_have_attribute("data-last-seq", "0")
    page.get_by_role("button", name="Pause").click()
    assert server.post(feed, [*ordinary(300, first=100), gross(400)]).status == 202
    expect(page.locator(f'#alerts tr[data-id="{feed}-401"]')).to_be_visible()
    page.get_by_role("button", name=BACK).click()
    expect(page.locator("#chart")).to_have_attribute("data-last-seq", "401")
    expect(page.get_by_role("button", name="Pause")).to_have_attribute("aria-pressed", "false")


def test_the_record_under_the_pointer_is_shown(server: ServerProcess, feed: str, viewer: Viewer) -> None:
    evil = "<img src=x onerror=window.ran=1>"
    assert server.post(feed, [{**record, "memo": evil} for record in ordinary(50)]).status == 202
    page = viewer.watch(server, feed)
    expect(page.locator("#chart")).not_to_have_attribute("data-last-seq", "0")
    area = page.locator(".chart-plot").bounding_box()
    assert area is not None
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    expect(page.locator(".tip-record")).to_contain_text("amount")
    expect(page.locator(".tip-record")).to_contain_text("<img src=x")
    assert page.evaluate("window.ran") is None
