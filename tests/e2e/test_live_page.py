"""The live page in a real Chromium against a real server: what is posted shows up, and stays right."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.conftest import NewServer
from tests.e2e.browser import (
    PATIENCE_MS,
    SCREENSHOTS,
    Viewer,
    all_alerts,
    flagged_count,
    screenshot,
    shown_ids,
)
from tests.e2e.conftest import NewViewer
from tests.e2e.payment import gross, ordinary
from tests.serving import ServerProcess, receive

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
expect = playwright.expect
expect.set_options(timeout=PATIENCE_MS)

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

USUAL = 300
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
AWAY = r"ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|WebSocket connection to"


def begin(server: ServerProcess, feed: str, count: int = USUAL) -> None:
    """Post ordinary payments, so that the feed knows what is usual."""
    assert server.post(feed, ordinary(count)).json["accepted"] == count


def test_a_planted_anomaly_shows_up_without_a_reload(
    server: ServerProcess, feed: str, viewer: Viewer
) -> None:
    begin(server, feed)
    page = viewer.watch(server, feed)
    page.evaluate("window.neverReloaded = true")
    before = flagged_count(page)
    seq = server.post(feed, gross(USUAL)).json["first_seq"]

    row = page.locator(f'#alerts tbody tr[data-id="{feed}-{seq}"]')
    expect(row).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator("#alerts tbody tr").first).to_have_attribute("data-id", f"{feed}-{seq}")
    expect(page.locator("#chart")).to_have_attribute("data-flagged-count", str(before + 1))
    expect(page.locator("#chart")).to_have_attribute("data-last-seq", str(seq))
    alert = server.request("GET", f"/alerts/{feed}-{seq}").json
    expect(row.locator(".c-what")).to_contain_text(alert["summary"])
    expect(row.locator(".badge")).to_have_text(alert["severity"])
    expect(row.locator(".c-rare")).to_contain_text("1 in ")
    expect(page.locator("#announcer")).to_contain_text(alert["summary"])
    assert page.evaluate("window.neverReloaded") is True


def test_an_anomaly_that_came_over_a_socket_shows_up_too(
    server: ServerProcess, feed: str, viewer: Viewer
) -> None:
    begin(server, feed)
    page = viewer.watch(server, feed)
    with server.socket(f"/feeds/{feed}/ingest") as socket:
        assert receive(socket)["type"] == "hello"
        socket.send(json.dumps([*ordinary(20, USUAL), gross(USUAL + 20)]))
        seq = receive(socket)["last_seq"]
    expect(page.locator(f'tr[data-id="{feed}-{seq}"]')).to_be_visible()


def test_the_figures_follow_the_feed(server: ServerProcess, feed: str, viewer: Viewer) -> None:
    begin(server, feed)
    page = viewer.watch(server, feed)
    expect(page.locator("[data-stat=alerts] .stat-sub")).to_have_text(f"in {USUAL} records")
    expect(page.locator("[data-stat=model] .stat-value")).to_have_text("warming up")
    clean = server.request("GET", f"/feeds/{feed}").json["clean"]
    expect(page.locator("[data-stat=model] .stat-sub")).to_have_text(f"{clean} of 2,000 records")
    expect(page.locator("[data-stat=realised] .stat-sub")).to_have_text("1 in 1,000 promised")
    server.post(feed, ordinary(50, USUAL))
    expect(page.locator("[data-stat=alerts] .stat-sub")).to_have_text(f"in {USUAL + 50} records")
    expect(page.locator("[data-counter=accepted]")).to_have_text(str(USUAL + 50))


def test_details_say_why_and_show_the_exact_record(server: ServerProcess, feed: str, viewer: Viewer) -> None:
    begin(server, feed)
    seq = server.post(feed, gross(USUAL, card=4_111_111_111_111_111_113)).json
    assert seq["rejected"], "a number where strings were is refused: the feed's own rule"
    seq = server.post(feed, gross(USUAL, serial=4_111_111_111_111_111_113)).json["first_seq"]
    page = viewer.watch(server, feed)
    page.locator(f'tr[data-id="{feed}-{seq}"]').click()

    panel = page.locator("#panel")
    alert = server.request("GET", f"/alerts/{feed}-{seq}").json
    expect(panel.locator(".summary")).to_have_text(alert["summary"])
    expect(panel.locator(".reasons > li")).to_have_count(len(alert["reasons"]))
    expect(panel.locator(".json")).to_contain_text('"amount": 98765.25')
    expect(panel.locator(".json")).to_contain_text('"serial": 4111111111111111113')
    as_json, own_page = (
        panel.get_by_role("link", name="as JSON"),
        panel.get_by_role("link", name=f"{feed}-{seq}"),
    )
    expect(as_json).to_have_attribute("href", f"/alerts/{feed}-{seq}")
    expect(own_page).to_have_attribute("href", f"/anomalies/{feed}-{seq}")
    assert f"alert={feed}-{seq}" in page.evaluate("location.hash")

    page.reload()  # the address leads to the same place
    expect(panel.locator(".summary")).to_have_text(alert["summary"])
    expect(page.locator(f'tr[data-id="{feed}-{seq}"]')).to_have_attribute("aria-selected", "true")


def test_a_click_on_a_red_point_selects_its_alert(server: ServerProcess, feed: str, viewer: Viewer) -> None:
    begin(server, feed)
    seq = server.post(feed, gross(USUAL)).json["first_seq"]
    page = viewer.watch(server, feed)
    expect(page.locator("#chart")).to_have_attribute("data-last-seq", str(seq))
    plot = page.locator("#chart .u-over").bounding_box()
    assert plot is not None
    for percent in range(0, 100, 4):  # the newest point stands at the right edge; its height is its score
        page.mouse.move(plot["x"] + plot["width"] - 2, plot["y"] + plot["height"] * percent / 100)
        page.evaluate(TWO_FRAMES)  # the chart follows the pointer at its next frame
        if page.locator(".over-flagged").count():
            break
    expect(page.locator(".over-flagged")).to_have_count(1)
    expect(page.locator(".tip")).to_contain_text(f"record {seq}")
    page.mouse.down()
    page.mouse.up()
    expect(page.locator(f'tr[data-id="{feed}-{seq}"]')).to_have_attribute("aria-selected", "true")


def test_after_a_kill_the_page_comes_back_and_has_missed_nothing(
    new_server: NewServer, viewer: Viewer
) -> None:
    server, feed = new_server(), "payments"
    begin(server, feed)
    server.post(feed, gross(USUAL))
    page = viewer.watch(server, feed)
    expect(page.locator("#alerts tbody tr").first).to_be_visible()
    page.evaluate("window.neverReloaded = true")

    viewer.expect_problem(AWAY)
    server.port = urlsplit(server.url).port or 0
    server.kill()
    assert server.stop()[0] == -signal.SIGKILL  # takes note of its end
    expect(page.locator("#connection")).not_to_have_attribute("data-state", "live")
    server.start()
    for place in range(5):
        first = USUAL + 1 + 40 * place
        server.post(feed, [*ordinary(39, first), gross(first + 39, 50_000.0 * (place + 1))])

    # quiet where the page was away for longer than the events took
    expect(page.locator("#connection")).to_have_attribute("data-state", re.compile("live|quiet"))
    last = USUAL + 1 + 5 * 40
    expect(page.locator(f'tr[data-id="{feed}-{last}"]')).to_be_visible()
    alerts = all_alerts(server, feed)
    assert len(alerts) >= 6
    expect(page.locator("#alerts tbody tr")).to_have_count(len(alerts))
    assert shown_ids(page) == [alert["id"] for alert in reversed(alerts)]
    assert flagged_count(page) == len(alerts)
    assert page.evaluate("window.neverReloaded") is True


def test_another_log_under_the_same_address_replaces_what_was_shown(
    new_server: NewServer, viewer: Viewer
) -> None:
    server, feed = new_server("first"), "payments"
    begin(server, feed, 2 * USUAL)
    server.post(feed, gross(2 * USUAL))
    page = viewer.watch(server, feed)
    expect(page.locator(f'tr[data-id="{feed}-{2 * USUAL + 1}"]')).to_be_visible()

    viewer.expect_problem(AWAY)
    server.kill()
    assert server.stop()[0] == -signal.SIGKILL
    viewer.expect_problem("404")  # until the feed is there
    other = new_server("second", port=urlsplit(server.url).port)
    begin(other, feed)
    seq = other.post(feed, gross(USUAL)).json["first_seq"]
    expect(page.locator(f'tr[data-id="{feed}-{seq}"]')).to_be_visible()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator("#alerts tbody tr")).to_have_count(len(all_alerts(other, feed)))


def test_nothing_in_a_record_is_ever_markup(server: ServerProcess, feed: str, viewer: Viewer) -> None:
    evil = '<img src=x onerror="window.hacked = true">'
    script = "</script><script>window.hacked = true</script>"
    usual = [{**record, evil: 1.0 + i % 3, "note": "fine"} for i, record in enumerate(ordinary(USUAL))]
    assert server.post(feed, usual).json["accepted"] == USUAL
    page = viewer.watch(server, feed)
    record = {**gross(USUAL), "card": evil, evil: 9e6, "note": script, "extra": {evil: [script]}}
    seq = server.post(feed, record).json["first_seq"]
    row = page.locator(f'tr[data-id="{feed}-{seq}"]')
    row.click()
    expect(page.locator("#panel .json")).to_contain_text("onerror=")
    page.locator("#chart").hover()

    assert page.evaluate("window.hacked") is None
    assert page.locator("main img, main script, main iframe").count() == 0
    alert = server.request("GET", f"/alerts/{feed}-{seq}").json
    assert evil in json.dumps(alert["reasons"], ensure_ascii=False).replace('\\"', '"')
    expect(page.locator("#panel .summary")).to_have_text(alert["summary"])


def test_before_the_first_record_the_page_says_how_to_send_one(new_server: NewServer, viewer: Viewer) -> None:
    server = new_server()
    page = viewer.open(server)
    expect(page.locator("#welcome")).to_be_visible()
    expect(page.locator("#dashboard")).to_be_hidden()
    command = page.locator("#curl").text_content()
    assert command is not None
    assert f"{server.url}/feeds/payments/events" in command
    if shutil.which("curl") is None:
        pytest.skip("needs curl to run the shown command")
    answer = subprocess.run(["sh", "-c", command], capture_output=True, check=True, timeout=60)
    assert json.loads(answer.stdout)["accepted"] == 1
    expect(page.locator("#dashboard")).to_be_visible()
    expect(page.locator("#connection")).to_have_attribute("data-state", "live")
    expect(page.locator("#feed")).to_have_value("payments")


def test_the_keyboard_reaches_everything(server: ServerProcess, feed: str, viewer: Viewer) -> None:
    begin(server, feed)
    for place in range(3):
        first = USUAL + 40 * place
        server.post(feed, [*ordinary(39, first), gross(first + 39, 60_000.0 * (place + 1))])
    page = viewer.watch(server, feed)
    expect(page.locator("#alerts tbody tr").nth(2)).to_be_visible()
    ids = shown_ids(page)
    page.locator("#alerts tbody tr").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#alerts tbody tr").nth(1)).to_have_attribute("aria-selected", "true")
    expect(page.locator("#panel")).to_contain_text(ids[1])
    page.keyboard.press("Escape")
    expect(page.locator("#panel")).to_contain_text("About this feed")
    focused = page.evaluate("document.activeElement.dataset.id")
    assert focused == ids[1]
    assert page.locator('#alerts tbody tr[tabindex="0"]').count() == 1


def test_feeds_can_be_changed_and_linked_to(server: ServerProcess, feed: str, viewer: Viewer) -> None:
    other = f"{feed}-other"
    begin(server, feed)
    begin(server, other)
    seq = server.post(other, gross(USUAL)).json["first_seq"]
    page = viewer.watch(server, feed)
    expect(page.locator(f'#feed option[value="{other}"]')).to_be_attached()
    page.locator("#feed").select_option(other)
    expect(page.locator(f'tr[data-id="{other}-{seq}"]')).to_be_visible()
    assert page.evaluate("location.hash") == f"#feed={other}"
    page.evaluate(f"location.hash = '#feed={feed}'")
    expect(page.locator(f'tr[data-id="{other}-{seq}"]')).to_have_count(0)
    expect(page.locator("#feed")).to_have_value(feed)


def test_the_theme_follows_the_system_until_it_is_chosen(
    server: ServerProcess, feed: str, new_viewer: NewViewer
) -> None:
    begin(server, feed)
    viewer = new_viewer(color_scheme="dark")
    page = viewer.watch(server, feed)
    background = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(background)
    page.locator("#theme").click()
    light = page.evaluate(background)
    assert sum(map(int, light[4:-1].split(","))) > 3 * 200 > 3 * 60 > sum(map(int, dark[4:-1].split(",")))
    page.reload()
    assert page.evaluate(background) == light
    page.locator("#theme").click()
    assert page.evaluate(background) == dark
    page.emulate_media(color_scheme="light")
    assert page.evaluate(background) == light


def test_a_telephone_shows_everything_without_scrolling_sideways(
    server: ServerProcess, feed: str, new_viewer: NewViewer
) -> None:
    begin(server, feed)
    seq = server.post(feed, gross(USUAL)).json["first_seq"]
    viewer = new_viewer(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page = viewer.watch(server, feed)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator(f'tr[data-id="{feed}-{seq}"]').tap()
    panel = page.locator("#panel").bounding_box()
    assert panel is not None
    assert (panel["x"], panel["y"], panel["width"]) == (0, 0, 390)
    page.locator("#panel .close").tap()
    expect(page.locator(f'tr[data-id="{feed}-{seq}"]')).to_be_focused()


def test_plotly_draws_where_uplot_is_missing(server: ServerProcess, feed: str, viewer: Viewer) -> None:
    begin(server, feed)
    viewer.expect_problem("ERR_FAILED|Content Security Policy|addRelatedStyleRule")
    viewer.page.route("**/uPlot.iife.min.js*", lambda route: route.abort())
    page = viewer.watch(server, feed)
    expect(page.locator("#chart")).to_have_attribute("data-library", "plotly")
    server.post(feed, gross(USUAL))
    expect(page.locator("#chart")).to_have_attribute("data-flagged-count", "1")
    expect(
        page.locator("#chart .js-plotly-plot .point, #chart .js-plotly-plot .trace").first
    ).to_be_attached()


@pytest.mark.skipif(SCREENSHOTS is None, reason="only with ANOMALYAI_SCREENSHOTS=FOLDER")
def test_write_screenshots(new_server: NewServer, new_viewer: NewViewer) -> None:
    from simulators.fraud import FraudSimulator

    assert SCREENSHOTS is not None
    folder = Path(SCREENSHOTS)
    folder.mkdir(parents=True, exist_ok=True)
    server, feed = new_server(), "card-payments"
    simulator = FraudSimulator(seed=3)
    server.request("PUT", f"/feeds/{feed}", simulator.feed_toml, {"Content-Type": "application/toml"})
    chunks = simulator.chunks(size=200)
    for _ in range(60):
        assert server.post(feed, next(chunks).records()).status == 202
    looks: dict[str, dict[str, Any]] = {
        "light": {"color_scheme": "light"},
        "dark": {"color_scheme": "dark"},
        "phone": {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True},
    }
    for name, options in looks.items():
        page = new_viewer(**options).watch(server, feed)
        for _ in range(30):
            assert server.post(feed, next(chunks).records()).status == 202
            page.wait_for_timeout(200)
        assert screenshot(page, folder, f"live-{name}").stat().st_size > 20_000
        page.locator("#alerts tbody tr").nth(1).click()
        expect(page.locator("#panel .reasons > li").first).to_be_visible()
        assert screenshot(page, folder, f"details-{name}").stat().st_size > 20_000
