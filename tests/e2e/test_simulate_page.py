"""The page of simulators: start, steer, stop and replay, with a meter of what was caught."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import SCREENSHOTS, Viewer, screenshot
from tests.e2e.payment import gross, ordinary
from tests.serving import ServerProcess

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def playground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Run a server of which the tests start and stop simulators; none may outlive it."""
    running = ServerProcess(tmp_path_factory.mktemp("simulate") / "data").start()
    try:
        yield running
        code, _ = running.stop()
        assert code == 0, running.stderr()
    finally:
        running.kill()


def test_a_simulator_is_started_steered_and_stopped(
    playground: ServerProcess, viewer: Viewer, tmp_path: Path
) -> None:
    page = viewer.open(playground, "simulate")
    expect(page.get_by_text("Nothing runs.")).to_be_visible()
    page.get_by_label("Feed", exact=True).last.fill("cards")
    page.get_by_label("Records a second").fill("800")
    page.get_by_label("Anomalies in 1,000").fill("20")
    page.get_by_role("button", name="Start").click()
    run = page.locator("#runs > li")
    expect(run).to_have_count(1)
    expect(run).to_contain_text("running")
    meter = page.get_by_role("group", name="What was caught of fraud-1")
    expect(meter.locator("div", has_text="missed").locator("dd").first).not_to_have_text("0")
    expect(meter.locator("dl div", has_text="caught").locator("dd")).not_to_have_text("0", timeout=60_000)
    picture = screenshot(page, Path(SCREENSHOTS) if SCREENSHOTS else tmp_path, "simulate")
    assert picture.stat().st_size > 20_000
    run.get_by_label("Records a second").fill("50")
    run.get_by_role("button", name="Apply").click()
    expect(page.locator("#state")).to_contain_text("goes on at 50 records a second")
    expect(run).to_contain_text("50 a second, 20 anomalies in 1,000")
    run.get_by_role("button", name="Stop").click()
    expect(run.locator(".run-state")).to_have_text("stopped")
    expect(run.get_by_role("button", name="Stop")).to_be_hidden()
    [found] = playground.request("GET", "/simulations").json["simulations"]
    truth = playground.request("GET", "/feeds/cards").json["truth"]
    for name in ("caught", "missed", "false_alarms"):
        assert found[name] == truth[name]
    assert found["caught"] > 0
    assert sum(truth.values()) == found["accepted"]


def test_a_file_is_replayed(playground: ServerProcess, viewer: Viewer, tmp_path: Path) -> None:
    file = tmp_path / "My payments.ndjson"
    file.write_text("".join(json.dumps(record) + "\n" for record in [*ordinary(900), gross(900)]))
    page = viewer.open(playground, "simulate")
    page.get_by_role("combobox", name="What").select_option("replay")
    expect(page.get_by_label("Records a second").first).to_be_hidden()
    page.locator("[type=file]").set_input_files(file)
    page.get_by_role("button", name="Start").click()
    run = page.locator("#runs > li").filter(has_text="my-payments")
    expect(run).to_contain_text("done")
    expect(run).to_contain_text("901 records")
    assert playground.request("GET", "/feeds/my-payments").json["accepted"] == 901


def test_a_refusal_is_said(playground: ServerProcess, viewer: Viewer) -> None:
    viewer.expect_problem("409")
    page = viewer.open(playground, "simulate")
    page.get_by_role("combobox", name="What").select_option("network")
    page.get_by_role("button", name="Start").click()
    run = page.locator("#runs > li").filter(has_text="network")
    expect(run).to_contain_text("running")
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#state")).to_contain_text("sends to the feed 'network' already")
    page.get_by_role("link", name="network", exact=True).click()
    expect(page.get_by_role("link", name="Live")).to_have_attribute("aria-current", "page")
    expect(page.get_by_label("Feed", exact=True)).to_have_value("network")
