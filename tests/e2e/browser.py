"""A real Chromium for tests, and a page whose console and network are watched."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import ConsoleMessage, Page, Request

    from tests.serving import ServerProcess

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",  # software rendering of WebGL is slower than none
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS = 30_000

SCREENSHOTS = os.environ.pop("ANOMALYAI_SCREENSHOTS", None)
"""Folder to write pictures to; taken out of what servers inherit, since it is no setting of theirs."""


def chromium_path() -> str | None:
    """Where the system's Chromium is; None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Viewer:
    """One open page: what it asked the network for, and what it complained about."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._expected: list[re.Pattern[str]] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._hear)
        page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        page.on("request", self._note)
        page.on("websocket", lambda socket: self.requests.append(socket.url))

    def expect_problem(self, pattern: str) -> None:
        """Let problems that match pass: the test brings them about."""
        self._expected.append(re.compile(pattern))

    def open(self, server: ServerProcess, place: str = "") -> Page:
        """Open the page of a server at a place such as `#feed=payments`."""
        self.server = server
        self.page.goto(f"{server.url}/{place}")
        return self.page

    def watch(self, server: ServerProcess, feed: str) -> Page:
        """Open the page on a feed and wait until it is live."""
        self.open(server, f"#feed={feed}")
        self.page.locator("#connection[data-state=live]").wait_for()
        self.page.locator("#chart[data-library]").wait_for()
        return self.page

    def unexpected(self) -> list[str]:
        """Problems that no test asked for."""
        return [text for text in self.problems if not any(p.search(text) for p in self._expected)]

    def foreign(self) -> list[str]:
        """List requests to anyone but the server; data and blob addresses leave the browser for nobody."""
        own = urlsplit(self.server.url).netloc
        return [
            url
            for url in self.requests
            if urlsplit(url).netloc != own and urlsplit(url).scheme not in ("data", "blob")
        ]

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"{message.type}: {message.text}")

    def _note(self, request: Request) -> None:
        self.requests.append(request.url)


def shown_ids(page: Page) -> list[str]:
    """Read the ids of the alerts in the table, from the top."""
    ids: list[str] = page.locator("#alerts tbody tr").evaluate_all(
        "rows => rows.map((row) => row.dataset.id)"
    )
    return ids


def flagged_count(page: Page) -> int:
    """How many flagged points the chart shows."""
    return int(page.locator("#chart").get_attribute("data-flagged-count") or 0)


def all_alerts(server: ServerProcess, feed: str) -> list[dict[str, Any]]:
    """Every alert of a feed, as the API lists them."""
    alerts: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        body = server.request("GET", f"/feeds/{feed}/alerts?after={after}&limit=1000").json
        alerts += body["alerts"]
        after = body["next"]
    return alerts


def screenshot(page: Page, folder: Path, name: str) -> Path:
    """Write what is on screen to a file."""
    path = folder / f"{name}.png"
    page.screenshot(path=path)
    return path
