"""The page of a feed's models: trained, promoted and taken back, each with a question before it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import SCREENSHOTS, Viewer, screenshot
from tests.e2e.conftest import NewViewer
from tests.e2e.modelled import ROWS, payments, present_model, settled, started, trained
from tests.serving import ServerProcess

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FEED = "payments"


@pytest.fixture(scope="module")
def modelled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ServerProcess, str]]:
    """Run a server with a feed and one promoted model of it."""
    running = ServerProcess(tmp_path_factory.mktemp("models_page") / "data").start()
    try:
        first = trained(running, started(running, FEED, "isolation_forest", "text/csv"), "isolation_forest")
        assert running.request("POST", f"/models/{first}/promote").status == 200
        assert running.post(FEED, payments(0, ROWS)).status == 202
        settled(running, FEED, ROWS)
        yield running, first
    finally:
        running.kill()


def test_a_model_is_trained_promoted_and_taken_back(
    modelled: tuple[ServerProcess, str], viewer: Viewer, tmp_path: Path
) -> None:
    server, first = modelled
    page = viewer.open(server, f"models#feed={FEED}")
    versions = page.get_by_role("region", name="Table of versions")
    expect(versions.get_by_role("row", name=first)).to_contain_text("in use")
    page.get_by_label("Train on the feed's log").select_option("kmeans")
    page.get_by_role("button", name="Train", exact=True).click()
    row = versions.get_by_role("row").filter(has_text="kmeans")
    expect(row).to_be_visible(timeout=60_000)
    second = row.get_by_role("rowheader").inner_text()
    expect(page.get_by_role("listitem").filter(has_text=f"kmeans done · {second}")).to_be_visible()
    promote = row.get_by_role("button", name=f"Promote {second}")
    promote.click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(promote).to_be_focused()
    assert present_model(server, FEED) == first
    promote.click()
    picture = screenshot(page, Path(SCREENSHOTS) if SCREENSHOTS else tmp_path, "promote")
    assert picture.stat().st_size > 20_000
    page.get_by_role("dialog").get_by_role("button", name="Promote").click()
    expect(row).to_contain_text("in use")
    assert present_model(server, FEED) == second
    expect(row.get_by_role("link", name="Report")).to_have_attribute("href", f"/models/{second}/report")
    screenshot(page, Path(SCREENSHOTS) if SCREENSHOTS else tmp_path, "models")
    roll_back = page.get_by_role("button", name="Roll back")
    roll_back.click()
    with page.expect_response("**/jobs?**"):  # the page goes on reading while it asks
        pass
    page.keyboard.press("Escape")
    expect(roll_back).to_be_focused()
    roll_back.click()
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.get_by_role("status").filter(has_text=f"{first} scores {FEED} again")).to_be_visible()
    expect(versions.get_by_role("row", name=first)).to_contain_text("in use")
    assert present_model(server, FEED) == first


def test_programs_get_json_and_browsers_the_page(modelled: tuple[ServerProcess, str]) -> None:
    server, first = modelled
    for accept in ("*/*", "application/json"):
        answer = server.request("GET", "/models", headers={"Accept": accept})
        assert [model["id"] for model in answer.json["models"]].count(first) == 1
        assert answer.headers["vary"] == "Accept"
    page = server.request("GET", "/models", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.headers["vary"] == "Accept"


def test_a_young_feed_says_that_it_has_no_model(modelled: tuple[ServerProcess, str], viewer: Viewer) -> None:
    server, _ = modelled
    assert server.post("young", payments(0, 3)).status == 202
    page = viewer.open(server, "models#feed=young")
    expect(page.get_by_text("No model yet.")).to_be_visible()
    expect(page.get_by_text("No training so far.")).to_be_visible()
    expect(page.get_by_role("button", name="Roll back")).to_be_disabled()


@pytest.mark.parametrize("place", ["models", "data", f"anomalies/{FEED}-5"])
def test_a_phone_scrolls_no_page_sideways(
    modelled: tuple[ServerProcess, str], new_viewer: NewViewer, place: str
) -> None:
    page = new_viewer(viewport={"width": 390, "height": 844}).open(modelled[0], f"{place}#feed={FEED}")
    expect(page.locator("#connection[data-state=live]")).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
