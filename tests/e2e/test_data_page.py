"""The page that scores a file: preview, rarest rows first, download, training, and what goes wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.browser import SCREENSHOTS, Viewer, screenshot
from tests.e2e.modelled import ODD, ROWS, csv_of, payments, started, trained
from tests.serving import ServerProcess

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
expect = sync_api.expect

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

FEED = "payments"
MARKUP = "<img src=x onerror=window.ran=1>"


@pytest.fixture(scope="module")
def scoring_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Run a server with a feed whose model has been promoted."""
    running = ServerProcess(tmp_path_factory.mktemp("data_page") / "data").start()
    try:
        model = trained(running, started(running, FEED, "isolation_forest", "text/csv"), "isolation_forest")
        assert running.request("POST", f"/models/{model}/promote").status == 200
        assert running.post(FEED, payments(ROWS, 50)).status == 202
        yield running
    finally:
        running.kill()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Write a file with one odd row, and markup in its name, its header and a cell."""
    rows = [{**row, MARKUP: "x"} for row in [*payments(2 * ROWS, 150), ODD]]
    rows[0][MARKUP] = MARKUP
    path = tmp_path / f"{MARKUP.replace('/', '')}.csv"
    path.write_bytes(csv_of(rows))
    return path


def test_a_file_is_previewed_scored_and_its_scores_are_taken_away(
    scoring_server: ServerProcess, viewer: Viewer, file: Path
) -> None:
    page = viewer.open(scoring_server, "data")
    expect(page.get_by_text(f"against the feed {FEED}")).to_be_visible()
    score = page.get_by_role("button", name="Score it")
    page.get_by_label("Drop a CSV file here").set_input_files(file)
    expect(page.get_by_role("heading", name=file.name)).to_be_visible()
    expect(page.get_by_role("columnheader", name=MARKUP)).to_be_visible()
    expect(page.get_by_role("cell", name=MARKUP, exact=True)).to_be_visible()
    score.click()
    expect(page.get_by_role("heading", name="in 151 rows")).to_be_visible()
    rarest = page.get_by_role("region", name="Rows from the rarest on").get_by_role("row").nth(1)
    expect(rarest.get_by_role("cell").nth(0)).to_have_text("151")
    expect(rarest.get_by_role("cell").nth(2)).to_have_text("Anomaly detected")
    expect(rarest.get_by_role("cell").nth(3)).to_contain_text("amount 9,000")
    picture = screenshot(page, Path(SCREENSHOTS) if SCREENSHOTS else file.parent, "data")
    assert picture.stat().st_size > 20_000
    with page.expect_download() as download:
        page.get_by_role("link", name="Download scores").click()
    with download.value.path().open(newline="") as text:
        scores = list(csv.DictReader(text))
    assert [int(row["index"]) for row in scores] == list(range(151))
    assert scores[150]["verdict"] == "Anomaly detected"
    page.get_by_role("button", name="More rows").click()
    expect(page.locator("#scored-rows tr")).to_have_count(151)
    assert page.evaluate("window.ran") is None
    assert page.locator("main img").count() == 0


def test_a_model_is_trained_from_the_file(
    scoring_server: ServerProcess, viewer: Viewer, tmp_path: Path
) -> None:
    path = tmp_path / "history.csv"
    path.write_bytes(csv_of(payments(0, ROWS)))
    page = viewer.open(scoring_server, f"data#feed={FEED}")
    page.get_by_label("Drop a CSV file here").set_input_files(path)
    page.get_by_label("or train a model from it").select_option("kmeans")
    page.get_by_role("button", name="Train").click()
    expect(page.get_by_role("status").filter(has_text="Trained: model")).to_be_visible(timeout=60_000)
    models = scoring_server.request("GET", f"/models?feed={FEED}").json["models"]
    assert sorted(model["algorithm"] for model in models) == ["isolation_forest", "kmeans"]


def test_what_is_wrong_is_said(scoring_server: ServerProcess, viewer: Viewer, tmp_path: Path) -> None:
    viewer.expect_problem("409")
    assert scoring_server.post("young", payments(0, 3)).status == 202
    page = viewer.open(scoring_server, "data#feed=young")
    chosen = page.get_by_label("Drop a CSV file here")
    empty = tmp_path / "empty.csv"
    empty.write_text("amount\n")
    chosen.set_input_files(empty)
    state = page.locator("#state")
    expect(state).to_contain_text("no row under a header")
    full = tmp_path / "full.csv"
    full.write_bytes(csv_of(payments(0, 3)))
    chosen.set_input_files(full)
    page.get_by_role("button", name="Score it").click()
    expect(state).to_contain_text("no trained model yet")
    expect(page.get_by_role("button", name="Score it")).to_be_enabled()
