"""Fixtures of the browser tests: one Chromium for all, a fresh context and a watched page for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.browser import FLAGS, Viewer, chromium_path

if TYPE_CHECKING:
    from playwright.sync_api import Browser

NewViewer = Callable[..., Viewer]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start Chromium once; the tests are skipped, with the reason, where that is not possible."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: install the e2e extra")
    path = chromium_path()
    if path is None:
        pytest.skip("needs a Chromium: none of its names is on the PATH")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def new_viewer(chromium: Browser) -> Iterator[NewViewer]:
    """Open pages, each in a context of its own; none may have complained or called anyone but the server."""
    made: list[Viewer] = []

    def make(**options: Any) -> Viewer:
        context = chromium.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
        made.append(Viewer(context.new_page()))
        return made[-1]

    yield make
    for viewer in made:
        viewer.page.context.close()
        assert viewer.unexpected() == []
        assert viewer.foreign() == []


@pytest.fixture
def viewer(new_viewer: NewViewer) -> Viewer:
    """Return one watched page on a desktop screen."""
    return new_viewer()
