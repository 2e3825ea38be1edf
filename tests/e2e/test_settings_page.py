"""The page of settings: a budget's consequence is shown first; mutes, the schema, how the server is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import SCREENSHOTS, Viewer, screenshot
from tests.judging import odd_purchases, send_all
from tests.serving import ServerProcess
from tests.web.test_incident import attack

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FEED = "shop"
PLACE = f"settings#feed={FEED}"


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Run a server with odd purchases and some equal ones by one customer."""
    running = ServerProcess(tmp_path_factory.mktemp("settings") / "data").start()
    try:
        send_all(running, FEED, [*odd_purchases(1_200), *attack(5)])
        yield running
    finally:
        running.kill()


def test_the_consequence_of_a_budget_is_shown_before_it_is_saved(
    set_up: ServerProcess, viewer: Viewer, tmp_path: Path
) -> None:
    page = viewer.open(set_up, PLACE)
    slider = page.get_by_label("One alert in how many records")
    expect(slider).to_have_attribute("aria-valuetext", "1 in 200")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_label("or as text")).to_have_value("1/50")
    told = page.get_by_role("status", name="What it would mean")
    expect(told).to_contain_text("1 in 50 would have raised", timeout=60_000)
    expect(told).to_contain_text("It would add")
    found = set_up.request("GET", f"/feeds/{FEED}/whatif?budget=1/50").json["comparison"]
    assert found["added"] > 0
    expect(told).to_contain_text(f"{found['added']} more and {found['removed']} fewer")
    assert set_up.request("GET", f"/feeds/{FEED}").json["budget"] == "1/200"
    picture = screenshot(page, Path(SCREENSHOTS) if SCREENSHOTS else tmp_path, "settings")
    assert picture.stat().st_size > 20_000
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#state")).to_contain_text("is held to 1 in 50")
    assert set_up.request("GET", f"/feeds/{FEED}").json["budget"] == "1/50"
    expect(page.locator("#budget-now")).to_contain_text("now 1 in 50")


def test_a_budget_that_is_none_is_refused(set_up: ServerProcess, viewer: Viewer) -> None:
    viewer.expect_problem("400")
    page = viewer.open(set_up, PLACE)
    expect(page.get_by_label("or as text")).to_be_enabled()
    page.get_by_label("or as text").fill("lots")
    page.get_by_label("or as text").press("Enter")
    expect(page.get_by_role("status", name="What it would mean")).to_contain_text("budget")


def test_a_mute_is_listed_and_ended(set_up: ServerProcess, viewer: Viewer) -> None:
    page = viewer.open(set_up, "anomalies#feed=shop&entity=c-attacked")
    row = page.locator("tr[data-id]")
    expect(row).to_have_count(1)
    row.locator("td").first.click()
    page.get_by_role("button", name="Mute…").click()
    page.get_by_role("dialog").get_by_role("button", name="Mute").click()
    expect(page.locator("#state")).to_contain_text("Muted until")
    page.get_by_role("link", name="Settings").click()
    mute = page.get_by_role("listitem").filter(has_text="customer c-attacked, reason amount")
    expect(mute).to_contain_text("5 hidden")
    mute.get_by_role("button", name="End the mute").click()
    expect(page.get_by_text("Nothing is muted.")).to_be_visible()
    assert set_up.request("GET", f"/feeds/{FEED}/mutes").json == {"mutes": []}


def test_the_schema_is_shown_and_declared_anew(set_up: ServerProcess, viewer: Viewer) -> None:
    viewer.expect_problem("409")
    page = viewer.open(set_up, PLACE)
    fields = page.get_by_role("region", name="Fields of the feed")
    expect(fields.get_by_role("row").filter(has_text="customer")).to_contain_text("entity")
    page.get_by_text("Declare it").click()
    area = page.get_by_label("The declaration in TOML.")
    expect(area).to_have_value(
        '[feed]\ntime = "time"\nid = "id"\nentities = ["customer", "shop"]\ncategories = ["channel"]\n'
        'numbers = ["amount", "items", "load"]\nbudget = "1/200"\n'
    )
    declared = area.input_value()
    area.fill('[feed]\ncategories = ["amount"]\n')
    page.get_by_role("button", name="Declare").click()
    page.get_by_role("dialog").get_by_role("button", name="Declare").click()
    expect(page.locator("#state")).to_contain_text("Not done:")
    area.fill(f'{declared}name = "The shop"\n')
    page.get_by_role("button", name="Declare").click()
    page.get_by_role("dialog").get_by_role("button", name="Declare").click()
    expect(page.locator("#state")).to_contain_text("The schema of shop is declared.")
    expect(page.get_by_label("Feed", exact=True).get_by_text("The shop")).to_be_attached()


def test_how_the_server_is(set_up: ServerProcess, viewer: Viewer) -> None:
    page = viewer.open(set_up, PLACE)
    expect(page.locator("#health-now")).to_have_text("takes records")
    expect(page.locator("#health")).to_contain_text("0 of 50,000")
    expect(page.locator("#retention")).to_contain_text("once the disk has it")
    expect(page.get_by_role("region", name="Table of feeds")).to_contain_text("1,205")
