"""The page's modules one by one, run where they run: in the browser, loaded from the server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.browser import Viewer, all_alerts
from tests.e2e.payment import gross, ordinary
from tests.serving import ServerProcess

pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]

NONE = "\N{EN DASH}"

RunModule = Callable[[str, str], Any]


@pytest.fixture
def run_module(server: ServerProcess, viewer: Viewer) -> RunModule:
    """Run the body of a function that has one module's exports as `m`, and return what it returns."""
    viewer.expect_problem("404")  # the browser asks for a favicon.ico, which only the page itself spares it
    page = viewer.open(server, "healthz")

    def run(name: str, body: str) -> Any:
        return page.evaluate(f"async () => {{ const m = await import('/static/js/{name}.js'); {body} }}")

    return run


@pytest.mark.parametrize(
    ("call", "text"),
    [
        ("count(1234567.4)", "1,234,567"),
        ("count(null)", NONE),
        ("oneIn(12345)", "1 in 12,345"),
        ("oneIn(0.5)", "1 in 1"),
        ("oneIn(3200000)", "1 in 3.2 million"),
        ("oneIn(1e15)", "1 in 10¹⁵+"),
        ("oneIn(NaN)", NONE),
        ("oneInShort(1000)", "1 in 1,000"),
        ("oneInShort(1e6)", "1 in 1M"),
        ("rate(1 / 1120)", "1 in 1,120"),
        ("rate(0)", "none"),
        ("rate(null)", NONE),
        ("quantity(0.012345)", "0.0123"),
        ("quantity(4567.8)", "4,568"),
        ("value(98765.25)", "98,765.25"),
        ("value(4111111111111111113n)", "4111111111111111113"),
        ("value(null)", "missing"),
        ("value({a: 1n})", '{"a":"1"}'),
        ("expectation(22.814721)", "22.81"),
        ("expectation('12 to 80')", "12 to 80"),
        ("share(0.734)", "73%"),
        ("duration(0.0086)", "8.6 ms"),
        ("duration(2.5)", "2.5 s"),
        ("wait(42.9)", "42 s"),
        ("wait(7200)", "2 h"),
        ("utc(0.25)", "1970-01-01 00:00:00.250 UTC"),
        ("utc(null)", "no event time"),
        ("time(null)", NONE),
        ("plural(1, 'record')", "1 record"),
        ("plural(2, 'record')", "2 records"),
    ],
)
def test_format(run_module: RunModule, call: str, text: str) -> None:
    assert run_module("base/format", f"return m.{call}") == text


def test_a_time_says_only_as_much_as_is_needed(run_module: RunModule) -> None:
    at = "new Date(2026, 2, 2, 9, 5, 7)"
    for now, text in (
        ("new Date(2026, 2, 2, 23, 0)", "09:05:07"),
        ("new Date(2026, 2, 3, 1, 0)", "2 Mar 09:05:07"),
        ("new Date(2027, 2, 2, 9, 0)", "2 Mar 2026 09:05:07"),
    ):
        assert run_module("base/format", f"return m.time({at}.getTime() / 1000, {now})") == text


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ('{"a": 4111111111111111113}', "bigint 4111111111111111113"),
        ('{"a": -9007199254740993}', "bigint -9007199254740993"),
        ('{"a": 9007199254740991}', "number 9007199254740991"),
        ('{"a": 0.1234567890123456}', "number 0.1234567890123456"),
        ('{"a": 1e30}', "number 1e+30"),
        ('{"a": "4111111111111111113"}', "string 4111111111111111113"),
    ],
)
def test_no_digit_of_an_integer_is_lost(run_module: RunModule, text: str, digits: str) -> None:
    body = f"const {{ a }} = m.parseExact('{text}'); return `${{typeof a}} ${{a}}`"
    assert run_module("base/api", body) == digits


def test_a_store_keeps_each_alert_once_and_its_newest_revision(run_module: RunModule) -> None:
    outcome = run_module(
        "live/store",
        """
        const store = new m.AlertStore(3);
        const put = (seq, revision = 1, id = `f-${seq}`) => store.put({ id, seq, revision });
        const said = [put(5), put(5), put(5, 2), put(5, 1), put(2), put(9), put(9, 1, "f-s40"), put(1)];
        const held = store.newestFirst().map((alert) => `${alert.id}/${alert.revision}`);
        return { said, held, size: store.byId.size, oldest: store.oldestSeq, newest: store.newestSeq };
        """,
    )
    assert outcome["said"] == ["new", None, "changed", None, "new", "new", "new", None]
    assert outcome["held"] == ["f-s40/1", "f-9/1", "f-5/2"]
    assert (outcome["size"], outcome["oldest"], outcome["newest"]) == (3, 5, 9)


def test_a_series_keeps_each_record_once_in_order_and_is_bounded(run_module: RunModule) -> None:
    outcome = run_module(
        "live/series",
        """
        const series = new m.Series();
        const points = (from, to, step = 1) => {
          const made = [];
          for (let seq = from; seq < to; seq += step) made.push([seq, null, seq % 7, false]);
          return made;
        };
        const runs = [points(1, 100, 3), points(1, 50, 2), points(100, 120)];
        const moved = runs.map((run) => series.add(run, 3));
        series.addAlert({ seq: 61, time: null, score: 4, record: {} });
        series.addAlert({ seq: 62, time: null, score: 4, record: null });
        const seqs = series.rows.map((row) => row[0]);
        const sorted = seqs.every((seq, index) => index === 0 || seqs[index - 1] < seq);
        const flagged = series.rows.filter((row) => row[4]).map((row) => row[0]);
        for (let from = 200; from < 60_000; from += 500) series.add(points(from, from + 500), 2);
        const { axis, length, x } = series.view(20_000, "time", 1000);
        const kept = series.rows.length;
        return { moved, sorted, flagged, kept, axis, length, drawn: x.length, window: m.WINDOW };
        """,
    )
    assert outcome["moved"] == [True, False, True]
    assert outcome["sorted"]
    assert outcome["flagged"] == [61]
    assert outcome["kept"] <= outcome["window"] + 2000
    assert (outcome["axis"], outcome["length"]) == ("seq", outcome["window"])
    assert 500 <= outcome["drawn"] <= 1001


def test_a_thinned_view_keeps_peaks_flagged_points_and_the_order_of_time(run_module: RunModule) -> None:
    outcome = run_module(
        "live/series",
        """
        const series = new m.Series();
        const at = (seq) => new Date(1.7e12 + ((seq * 37) % 5000) * 1000).toISOString();
        const points = Array.from({ length: 5000 }, (_, i) => [i + 1, at(i + 1), (i % 100) / 100, false]);
        points[2500][2] = 9;
        points[100][3] = points[101][3] = points[102][3] = true;
        series.add(points, 3);
        const view = series.view(5000, "time", 400);
        return {
          axis: view.axis,
          drawn: view.x.length,
          ascends: view.x.every((x, i) => i === 0 || view.x[i - 1] <= x),
          highest: Math.max(...view.score),
          flagged: view.flagged.map((index) => view.rows[index][0]).sort((a, b) => a - b),
        };
        """,
    )
    assert outcome["axis"] == "time"
    assert outcome["drawn"] <= 405
    assert outcome["ascends"]
    assert outcome["highest"] == 9
    assert outcome["flagged"] == [101, 102, 103]


def test_waits_grow_are_bounded_and_differ(run_module: RunModule) -> None:
    low, high = run_module(
        "base/socket",
        "return [() => 0, () => 0.999].map((random) => [1, 2, 3, 4, 50].map((n) => m.backOff(n, random)))",
    )
    assert low == [200, 400, 800, 1600, 4000]
    assert all(a < b <= 8000 for a, b in zip(low, high, strict=True))


def test_a_gap_is_read_again(server: ServerProcess, feed: str, run_module: RunModule) -> None:
    server.post(feed, ordinary(300))
    for place in range(3):
        first = 300 + 40 * place
        server.post(feed, [*ordinary(39, first), gross(first + 39, 60_000.0 * (place + 1))])
    while server.request("GET", f"/feeds/{feed}").json["lag"]["records"]:
        pass  # until all are scored; the test's time limit bounds it
    alerts = all_alerts(server, feed)
    first, last = alerts[0]["seq"], alerts[-1]["seq"]
    held = run_module(
        "live/session",
        f"""
        const session = new m.Session("{feed}", () => {{}});
        await session.reread({first}, {last});
        session.receive({{ type: "gap", after: 0, until: {first} }});
        while (session.holes.size) await new Promise((resolve) => setTimeout(resolve, 10));
        return {{ ids: session.alerts.ordered.map((alert) => alert.id), gaps: session.gaps }};
        """,
    )
    assert held == {"ids": [alert["id"] for alert in alerts], "gaps": 1}
