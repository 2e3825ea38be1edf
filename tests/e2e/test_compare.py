"""Shadow and compare over HTTP, and the page: a planted difference between two models is shown."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.e2e.browser import SCREENSHOTS, Viewer, screenshot
from tests.e2e.conftest import NewViewer
from tests.serving import Answer, ServerProcess
from tests.stream.candidate.planting import FEED, NOTE, PLANTED, SETTLED, SHADOWED, Prepared, body, prepare

ENOUGH = 8
"""Planted records, of 15, that the blind model must be seen to remove; the others neither flags."""

JSON = {"Content-Type": "application/json"}


class Site(NamedTuple):
    """A server on a feed with a champion and, in its shadow, a model blind to the planted records."""

    server: ServerProcess
    models: Prepared
    begun: Answer


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    data = tmp_path_factory.mktemp("candidate") / "data"
    models = prepare(data)
    server = ServerProcess(data).start()
    try:
        begun = server.request("POST", f"/models/{models.blind}/shadow", f'{{"feed": "{FEED}"}}', JSON)
        answer = server.request("POST", f"/feeds/{FEED}/events", body(SETTLED, SHADOWED), JSON)
        assert answer.status == 202
        deadline = time.monotonic() + 60.0
        while server.request("GET", f"/feeds/{FEED}").json["lag"]["records"]:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield Site(server, models, begun)
    finally:
        server.stop()


def test_a_model_goes_into_the_shadow(site: Site) -> None:
    assert site.begun.status == 200, site.begun
    assert site.begun.json["feed"] == FEED
    assert site.begun.json["shadow"]["model"] == site.models.blind
    shadow = site.server.request("GET", f"/feeds/{FEED}").json["shadow"]
    assert shadow["records"] == SHADOWED
    assert shadow["since_seq"] == SETTLED + 1


def planted(examples: list[dict[str, Any]]) -> list[int]:
    """Return the places of the planted records among examples."""
    return [example["seq"] - 1 for example in examples if example["seq"] - 1 in PLANTED]


def check(document: dict[str, Any], models: Prepared) -> None:
    found = document["comparison"]
    assert document["feed"] == FEED
    assert (found["champion"]["model"], found["candidate"]["model"]) == (models.champion, models.blind)
    assert len(planted(found["examples"]["removed"])) >= ENOUGH
    assert planted(found["examples"]["added"]) == []
    assert len(planted(found["examples"]["removed"])) > found["removed"] / 2
    assert found["added"] + found["both"] == found["candidate"]["alerts"]
    example = next(one for one in found["examples"]["removed"] if one["seq"] - 1 in PLANTED)
    assert example["champion"] >= example["threshold"] > example["candidate"]
    assert example["record"]["height"] == pytest.approx(2.3, abs=0.2)
    assert {reason["field"] for reason in example["reasons"]} >= {"height"}


def test_the_shadow_shows_what_the_blind_model_would_remove(site: Site) -> None:
    answer = site.server.request("GET", f"/models/{site.models.blind}/compare")
    assert answer.status == 200, answer
    assert answer.json["source"] == "shadow"
    assert answer.json["comparison"]["records"] == SHADOWED
    check(answer.json, site.models)


def test_the_log_shows_it_too(site: Site) -> None:
    path = f"/models/{site.models.blind}/compare?feed={FEED}&last={SHADOWED}"
    answer = site.server.request("GET", path, headers={"Accept": "application/json"})
    deadline = time.monotonic() + 60.0
    while answer.status == 202:
        assert answer.json == {"state": "running", "feed": FEED, "model": site.models.blind}
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() < deadline
        answer = site.server.request("GET", path)
    assert answer.status == 200, answer
    assert (answer.json["source"], answer.json["exact"]) == ("log", True)
    assert answer.json["comparison"]["records"] == SHADOWED
    check(answer.json, site.models)


def test_what_cannot_be_done_is_refused(site: Site) -> None:
    server, models = site.server, site.models
    for method, path, status, code in (
        ("POST", "/models/nothing/shadow", 404, "unknown_model"),
        ("GET", "/models/nothing/compare", 404, "unknown_model"),
        ("DELETE", "/models/nothing/shadow", 404, "unknown_model"),
        ("POST", f"/models/{models.champion}/shadow", 409, "model_in_use"),
        ("GET", f"/models/{models.champion}/compare", 409, "model_in_use"),
        ("DELETE", f"/models/{models.champion}/shadow", 409, "no_shadow"),
        ("GET", f"/models/{models.blind}/compare?feed=nowhere", 404, "unknown_feed"),
        ("GET", f"/models/{models.blind}/compare?last=0", 400, "bad_query"),
        ("GET", f"/models/{models.blind}/compare?budget=lots", 400, "schema"),
        ("GET", f"/models/{models.blind}/compare?other=1", 400, "bad_query"),
    ):
        answer = server.request(method, path)
        assert answer.status == status, (path, answer)
        assert answer.error["code"] == code or code == "schema", (path, answer)
    bad = server.request("POST", f"/models/{models.blind}/shadow", '{"fed": "x"}', JSON)
    assert bad.status == 400
    assert "fed" in bad.error["message"]


def test_browsers_get_a_page_without_inline_scripts(site: Site) -> None:
    path = f"/models/{site.models.blind}/compare"
    page = site.server.request("GET", path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(rb"<script(?![^>]*\bsrc=)", page.body)
    assert not re.search(rb"\son[a-z]+=", page.body)
    links = re.findall(r'(?:href|src)="(/static/[^"]+)"', page.body.decode())
    assert all(re.search(r"\?v=[0-9a-f]{12}$", link) for link in links)
    assert all(site.server.request("GET", link).status == 200 for link in links)


@pytest.mark.browser
@pytest.mark.timeout(120)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_shows_the_planted_records(
    site: Site, new_viewer: NewViewer, scheme: str, tmp_path: Path
) -> None:
    expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect
    viewer = new_viewer(color_scheme=scheme)
    page = viewer.open(site.server, f"models/{site.models.blind}/compare")
    removed = page.locator("#removed details")
    expect(removed.first).to_be_visible()
    shown = [int(seq) - 1 for seq in removed.evaluate_all("all => all.map((one) => one.dataset.seq)")]
    wanted = [place for place in shown if place in PLANTED]
    assert len(wanted) >= ENOUGH
    assert shown == sorted(shown, reverse=True)
    text = page.locator("#sides").inner_text()
    assert site.models.champion in text
    assert site.models.blind in text
    assert "Would remove" in text
    one = page.locator(f'#removed details[data-seq="{wanted[0] + 1}"]')
    expect(one.locator("summary")).to_contain_text(f"#{wanted[0] + 1:,}")
    one.locator("summary").click()
    expect(one.locator("pre")).to_contain_text('"height": 2.')
    expect(one.locator("pre")).to_contain_text(NOTE)
    assert page.locator("main img").count() == 0, "a record is text, never markup"
    if scheme == "light":
        with page.expect_response(lambda response: response.url.endswith("/compare")):
            pass  # the page reads the live figures again
        expect(one.locator("pre")).to_be_visible()
    picture = screenshot(page, Path(SCREENSHOTS) if SCREENSHOTS else tmp_path, f"compare-{scheme}")
    assert picture.stat().st_size > 10_000


@pytest.mark.browser
def test_the_page_waits_for_the_log(site: Site, viewer: Viewer) -> None:
    expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect
    page = viewer.open(site.server, f"models/{site.models.blind}/compare?last={SHADOWED}")
    expect(page.locator("#about")).to_contain_text("the recent log")
    expect(page.locator("#removed details").first).to_be_visible()


@pytest.mark.browser
def test_the_page_says_what_is_wrong(site: Site, viewer: Viewer) -> None:
    expect = pytest.importorskip("playwright.sync_api", reason="needs playwright").expect
    viewer.expect_problem("409")
    page = viewer.open(site.server, f"models/{site.models.champion}/compare")
    expect(page.locator("#state")).to_contain_text("scores the feed")


def test_a_feed_is_trained_again_by_hand(site: Site) -> None:
    """The last test of the module: the training goes on when the server stops."""
    server = site.server
    decisions = f"/feeds/{FEED}/decisions"
    assert server.request("GET", decisions).json == {"decisions": [], "cooled": 0}
    answer = server.request("POST", f"/feeds/{FEED}/models/retrain")
    assert answer.status == 202, answer
    assert (answer.json["job"]["feed"], answer.json["job"]["created_by"]) == (FEED, "hand")
    assert answer.json["job"]["algorithm"] == "dbscan", "as the present model was trained"
    again = server.request("POST", f"/feeds/{FEED}/models/retrain")
    assert (again.status, again.error["code"]) == (409, "retraining_runs")
    [start] = server.request("GET", decisions).json["decisions"][-1:]
    assert (start["kind"], start["cause"], start["job"]) == ("started", "hand", answer.json["job"]["id"])
    assert server.request("GET", "/feeds/nowhere/decisions").error["code"] == "unknown_feed"
