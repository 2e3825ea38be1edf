"""The page of the API in a real browser: it shows every route, tries one out, and calls nobody else."""

from __future__ import annotations

import pytest

from tests.e2e.browser import Viewer
from tests.serving import ServerProcess

pytestmark = pytest.mark.browser


def test_the_api_page_shows_every_route_and_tries_one(server: ServerProcess, viewer: Viewer) -> None:
    document = server.request("GET", "/openapi.json").json
    page = viewer.open(server, "docs")
    page.wait_for_selector(".opblock")
    described = sum(len(methods) for methods in document["paths"].values())
    assert page.locator(".opblock").count() == described
    health = page.locator("#operations-standing-healthz")
    health.locator(".opblock-summary").click()
    health.locator(".try-out__btn").click()
    health.locator("button.execute").click()
    health.locator(".live-responses-table td.response-col_status", has_text="200").wait_for()
    assert '"status": "ok"' in health.locator(".live-responses-table").inner_text()
