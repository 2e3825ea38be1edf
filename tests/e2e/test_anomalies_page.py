"""The page of incidents: a flood is one row; judged and muted by keys, narrowed, linked to, taken away."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import SCREENSHOTS, Viewer, all_alerts, screenshot
from tests.e2e.conftest import NewViewer
from tests.judging import odd_purchases, send_all, wait_scored
from tests.serving import ServerProcess
from tests.web.test_incident import attack

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FEED = "shop"
PLACE = f"anomalies#feed={FEED}"
EVIL = '<img src=x onerror="window.ran = true">'


@pytest.fixture(scope="module")
def busy_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Run a server with odd purchases and a flood of equal ones by one customer."""
    running = ServerProcess(tmp_path_factory.mktemp("incidents") / "data").start()
    try:
        send_all(running, FEED, [*odd_purchases(1_000), *attack(200)])
        yield running
    finally:
        running.kill()


def test_a_flood_is_one_row_that_opens(busy_server: ServerProcess, viewer: Viewer, tmp_path: Path) -> None:
    page = viewer.open(busy_server, PLACE)
    row = page.locator("tr[data-id]").filter(has_text="c-attacked")
    expect(row).to_have_count(1)
    expect(row).to_contain_text("200 open")
    expect(row).to_contain_text("critical")
    picture = screenshot(page, Path(SCREENSHOTS) if SCREENSHOTS else tmp_path, "anomalies")
    assert picture.stat().st_size > 20_000
    row.get_by_role("button", name="200").click()
    members = page.get_by_role("list", name="Anomalies of this incident").get_by_role("listitem")
    expect(members).to_have_count(200)
    row.get_by_role("link").click()
    expect(page.get_by_role("heading", name=f"{FEED}-1")).to_be_visible()
    page.get_by_role("link", name=f"{FEED}-i1001").click()
    expect(page.locator("tr[data-id]")).to_have_count(1)
    expect(members).to_have_count(200)


def test_conditions_narrow_the_list_and_stand_in_the_address(
    busy_server: ServerProcess, new_viewer: NewViewer
) -> None:
    page = new_viewer().open(busy_server, PLACE)
    rows = page.locator("tr[data-id]")
    every = len(busy_server.request("GET", f"/feeds/{FEED}/incidents?limit=500").json["incidents"])
    expect(rows).to_have_count(every)
    page.get_by_label("Text").fill("amount 9,000")
    expect(rows).to_have_count(1)
    assert "text=amount" in page.url
    page.get_by_label("Text").fill("no such words")
    expect(page.get_by_text("Nothing is like that.")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(rows).to_have_count(every)
    rows.filter(has_text="c-attacked").get_by_role("button", name="customer").click()
    expect(rows).to_have_count(1)
    second = new_viewer().open(busy_server, page.url.removeprefix(f"{busy_server.url}/"))
    expect(second.locator("tr[data-id]")).to_have_count(1)
    expect(second.get_by_label("Entity")).to_have_value("c-attacked")
    page.get_by_label("Entity").fill("")
    page.get_by_label("Severity").select_option("critical")
    critical = len(busy_server.request("GET", f"/feeds/{FEED}/incidents?severity=critical").json["incidents"])
    expect(rows).to_have_count(critical)


def test_keys_judge_what_other_pages_then_show(busy_server: ServerProcess, new_viewer: NewViewer) -> None:
    page = new_viewer().open(busy_server, PLACE)
    beside = new_viewer().open(busy_server, PLACE)
    rows = page.locator("tr[data-id]")
    expect(rows.first).to_be_visible()
    page.keyboard.press("j")
    expect(rows.nth(0)).to_have_attribute("aria-current", "true")
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("x")
    expect(page.get_by_text("2 chosen")).to_be_visible()
    chosen = [rows.nth(place).get_attribute("data-id") for place in (1, 2)]
    page.keyboard.press("y")
    expect(page.locator("#state")).to_contain_text("judged real.")
    for one in chosen:
        expect(beside.locator(f"tr[data-id='{one}'] td.said")).to_have_text("1 real")
        incident = busy_server.request("GET", f"/incidents/{one}").json
        assert set(incident["statuses"]) == {"real"}
    page.keyboard.press("n")
    expect(page.locator("#state")).to_contain_text("judged a false alarm.")
    expect(beside.locator(f"tr[data-id='{chosen[1]}'] td.said")).to_contain_text("false alarm")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name=f"{FEED}-")).to_be_visible()


def test_a_mute_is_asked_for_and_says_what_it_hides(busy_server: ServerProcess, viewer: Viewer) -> None:
    send_all(busy_server, "hush", [*odd_purchases(1_000), *attack(4, customer=EVIL)])
    page = viewer.open(busy_server, "anomalies#feed=hush&text=onerror")
    row = page.locator("tr[data-id]")
    expect(row).to_have_count(1)
    row.locator("td").first.click()
    page.keyboard.press("m")
    page.get_by_role("radio").nth(1).check()
    page.get_by_role("dialog").get_by_role("button", name="Mute").click()
    expect(page.locator("#state")).to_contain_text("4 open anomalies at once")
    expect(row.locator("td.said")).to_have_text("4 muted")
    assert busy_server.post("hush", attack(2, after=4, customer=EVIL)).status == 202
    wait_scored(busy_server, "hush")
    expect(row.locator("td.said")).to_have_text("6 muted")
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.ran") is None


def test_what_is_listed_can_be_taken_away(busy_server: ServerProcess, viewer: Viewer) -> None:
    page = viewer.open(busy_server, f"{PLACE}&entity=c-attacked")
    expect(page.locator("tr[data-id]")).to_have_count(1)
    mine = [alert for alert in all_alerts(busy_server, FEED) if alert["entities"]["customer"] == "c-attacked"]
    with page.expect_download() as taken:
        page.get_by_role("button", name="Export JSON").click()
    assert json.loads(Path(taken.value.path()).read_text()) == mine
    expect(page.locator("#state")).to_contain_text("200 anomalies exported.")
    with page.expect_download() as taken:
        page.get_by_role("button", name="Export CSV").click()
    rows = list(csv.DictReader(io.StringIO(Path(taken.value.path()).read_text())))
    assert [row["id"] for row in rows] == [alert["id"] for alert in mine]
    assert json.loads(rows[0]["record"]) == mine[0]["record"]


def test_rows_hold_still_while_one_is_looked_at(busy_server: ServerProcess, viewer: Viewer) -> None:
    feed = "still"
    send_all(busy_server, feed, [*odd_purchases(1_000), *attack(2)])
    page = viewer.open(busy_server, f"anomalies#feed={feed}")
    rows = page.locator("tr[data-id]")
    expect(rows.first).to_contain_text("c-attacked")
    count = rows.count()
    page.keyboard.press("j")
    assert busy_server.post(feed, attack(3, after=2, customer="c-second")).status == 202
    expect(page.get_by_role("button", name="1 newer")).to_be_visible()
    expect(rows).to_have_count(count)
    expect(rows.first).to_contain_text("c-attacked")
    page.get_by_role("button", name="1 newer").click()
    expect(rows).to_have_count(count + 1)
    expect(rows.first).to_contain_text("c-second")
    expect(page.get_by_role("button", name="newer")).to_be_hidden()
