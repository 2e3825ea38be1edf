"""Every page of ours in both themes, looked through by axe: nothing serious or critical (WCAG 2.2 AA)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.browser import Viewer
from tests.e2e.modelled import ODD, payments, settled, started, trained
from tests.serving import ServerProcess

pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")

AXE = Path(__file__).parents[2] / "web" / "frontend" / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not AXE.is_file(), reason="needs axe-core: npm ci in web/frontend"),
]

FEED = "pay"
RULES = "{runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']}"

PLACES = {
    "live": "#feed=pay",
    "live, an anomaly chosen": "#feed=pay&alert={alert}",
    "one anomaly": "anomalies/{alert}",
    "a record that is none": "anomalies/pay-300",
    "anomalies": "anomalies#feed=pay",
    "data": "data",
    "simulate": "simulate",
    "settings": "settings#feed=pay",
    "models": "models",
    "compare": "models/{candidate}/compare?feed=pay",
    "report": "models/{champion}/report",
}
"""Not `/docs`: what stands there is Swagger UI's own page, and axe finds its contrast wanting."""

READY = {
    "live": "#alerts tbody tr",
    "live, an anomaly chosen": "#panel .reasons",
    "one anomaly": "#part-rows tr",
    "a record that is none": "#part-rows tr",
    "anomalies": "#incidents tr",
    "data": "#connection[data-state=live]",
    "simulate": "#none",
    "settings": "#fields tr",
    "models": "#versions tr",
    "compare": "#outcome",
    "report": ".chart .main-svg",
}
"""What stands there once a page is whole."""


class Seeded(NamedTuple):
    """A server with something on every page, and what its addresses are made of."""

    server: ServerProcess
    names: dict[str, str]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    server = ServerProcess(tmp_path_factory.mktemp("axe") / "data").start()
    try:
        champion = trained(server, started(server, FEED, "isolation_forest", "text/csv"), "isolation_forest")
        candidate = trained(server, started(server, FEED, "kmeans", "text/csv"), "kmeans")
        assert server.request("POST", f"/models/{champion}/promote").status == 200
        assert server.post(FEED, [*payments(0, 600), ODD]).status == 202
        settled(server, FEED, 601)
        yield Seeded(server, {"champion": champion, "candidate": candidate, "alert": f"{FEED}-601"})
    finally:
        server.kill()


@pytest.mark.parametrize("place", PLACES)
def test_nothing_serious_stands_in_the_way(seeded: Seeded, viewer: Viewer, place: str) -> None:
    viewer.expect_problem("Content Security Policy|addRelatedStyleRule")  # Plotly's styles in the report
    page = viewer.open(seeded.server, PLACES[place].format(**seeded.names))
    page.locator(READY[place]).first.wait_for()
    page.evaluate(AXE.read_text(encoding="utf-8"))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        found = page.evaluate(f"axe.run({RULES})")
        assert found["passes"]
        grave = [
            (each["id"], [node["html"] for node in each["nodes"]])
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        assert not grave, scheme
