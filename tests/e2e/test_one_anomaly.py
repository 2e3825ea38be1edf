"""The page of one anomaly: why, what was expected, its neighbours, the verdict; and why a record was none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import SCREENSHOTS, Viewer, all_alerts, screenshot
from tests.e2e.conftest import NewViewer
from tests.e2e.modelled import settled
from tests.e2e.payment import gross, ordinary
from tests.serving import ServerProcess

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

FEED = "pay-ments"
EVIL = '<img src=x onerror="window.ran = true">'


@pytest.fixture(scope="module")
def judged_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Run a server with ordinary payments and two gross ones, the second with markup in it."""
    running = ServerProcess(tmp_path_factory.mktemp("one") / "data").start()
    try:
        records = [*ordinary(1500), gross(1500), *ordinary(1, first=1501), gross(1502, memo=EVIL)]
        assert running.post(FEED, records).status == 202
        settled(running, FEED, len(records))
        yield running
    finally:
        running.kill()


def test_it_says_why_and_takes_a_verdict_that_other_pages_see(
    judged_server: ServerProcess, new_viewer: NewViewer, tmp_path: Path
) -> None:
    alert = next(alert for alert in all_alerts(judged_server, FEED) if alert["seq"] == 1501)
    page = new_viewer().open(judged_server, f"anomalies/{alert['id']}")
    beside = new_viewer().watch(judged_server, FEED)
    expect(page.get_by_label("What it is")).to_contain_text(alert["summary"])
    expect(page.get_by_label("Reasons").get_by_text("expected").first).to_be_visible()
    expect(page.locator("#part-rows tr").first).to_contain_text(alert["reasons"][0]["field"])
    past = page.get_by_role("region", name="History")
    expect(past.locator("canvas")).to_be_visible()
    expect(past.get_by_label("Of whom")).to_have_value("card")
    expect(past.get_by_label("What is drawn")).to_have_value("amount")
    expect(past).to_contain_text("199 records before it")
    expect(past).to_contain_text("this one: 98,765")
    past.get_by_label("What is drawn").select_option("score")
    expect(past).to_contain_text(f"this one: {alert['score']:.3g}")
    around = page.get_by_role("listitem").filter(has_text="#1,5")
    expect(around).to_have_count(4)  # the one before it, itself, and the two after it
    picture = screenshot(page, Path(SCREENSHOTS) if SCREENSHOTS else tmp_path, "anomaly")
    assert picture.stat().st_size > 20_000
    page.get_by_label("Note, kept with the verdict").fill(EVIL)
    page.get_by_role("button", name="Real").click()
    expect(page.get_by_text("It is not learnt, and records like it rank higher")).to_be_visible()
    expect(page.get_by_role("button", name="Real")).to_have_attribute("aria-pressed", "true")
    expect(beside.locator(f"#alerts tr[data-id='{alert['id']}']")).to_contain_text("real")
    second = new_viewer().open(judged_server, f"anomalies/{alert['id']}")
    expect(second.get_by_role("button", name="Real")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="This is the new normal").click()
    expect(second.get_by_role("button", name="False alarm")).to_have_attribute("aria-pressed", "true")
    assert judged_server.request("GET", f"/alerts/{alert['id']}").json["status"] == "false_alarm"


def test_a_record_that_was_not_flagged_says_why_not(judged_server: ServerProcess, viewer: Viewer) -> None:
    page = viewer.open(judged_server, f"anomalies/{FEED}-1400")
    expect(page.get_by_label("What it is")).to_contain_text("Not flagged: its score")
    expect(page.get_by_role("button", name="False alarm")).to_be_hidden()
    page.get_by_role("link", name="#1,401").click()
    expect(page.get_by_role("heading", name=f"{FEED}-1401")).to_be_visible()


def test_markup_in_a_record_stays_text(judged_server: ServerProcess, viewer: Viewer) -> None:
    page = viewer.open(judged_server, f"anomalies/{FEED}-1503")
    expect(page.locator("pre.json")).to_contain_text("onerror=")
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.ran") is None


def test_what_there_is_none_of_is_said(judged_server: ServerProcess, viewer: Viewer) -> None:
    viewer.expect_problem("404")
    page = viewer.open(judged_server, f"anomalies/{FEED}-99999")
    expect(page.locator("#state")).to_contain_text("99999")


def test_a_page_that_was_opened_too_early_comes_to_show_the_anomaly(
    judged_server: ServerProcess, viewer: Viewer
) -> None:
    viewer.expect_problem("404")
    page = viewer.open(judged_server, f"anomalies/{FEED}-1504")
    expect(page.locator("#state")).to_contain_text("1504")
    assert judged_server.post(FEED, gross(1503)).status == 202
    expect(page.get_by_text(f"anomaly in {FEED}")).to_be_visible()
    expect(page.get_by_role("button", name="Real")).to_be_visible()
    expect(page.locator("#state")).to_have_text("")
