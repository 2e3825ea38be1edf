"""One server with something to show: a feed with records, an alert and a model."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask

from stream.runtime import Runtime
from stream.settings import load
from tests.serving import ServerProcess
from web.app import create_app
from web.contract.path import template

FEED = "payments"
TRAINED_S = 90.0


def records(n: int) -> list[dict[str, Any]]:
    """Return payments of which the last but a hundred is far from usual."""
    found = [
        {
            "time": f"2026-03-01T{i // 3600:02d}:{i // 60 % 60:02d}:{i % 60:02d}Z",
            "customer": f"c{i % 40}",
            "amount": 20.0 + i % 7,
        }
        for i in range(n)
    ]
    found[-100]["amount"] = 900.0
    return found


@pytest.fixture(scope="package")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Serve the feed `payments`; the documents' tests alone write to this server."""
    running = ServerProcess(tmp_path_factory.mktemp("contract") / "data").start()
    try:
        assert running.post(FEED, records(3000)).status == 202
        deadline = time.monotonic() + TRAINED_S
        while not (state := running.request("GET", f"/feeds/{FEED}").json)["model"] or not state["alerts"]:
            assert time.monotonic() < deadline, state
            time.sleep(0.2)
        yield running
        code, _ = running.stop()
        assert code == 0, running.stderr()
    finally:
        running.kill()


@pytest.fixture(scope="package")
def openapi(seeded: ServerProcess) -> dict[str, Any]:
    """Return the server's own document."""
    document: dict[str, Any] = json.loads(seeded.request("GET", "/openapi.json").body)
    return document


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Flask:
    """Make an application on a runtime that was never started."""
    settings = load(environ={}, overrides={"data": str(tmp_path_factory.mktemp("routes") / "data")})
    runtime = Runtime.open(settings)
    try:
        return create_app(runtime, settings)
    finally:
        runtime.stop(5.0)


@pytest.fixture(scope="package")
def sockets(app: Flask) -> set[str]:
    """Return the addresses of the sockets, as the documents write them."""
    return {template(rule) for rule in app.url_map.iter_rules() if rule.websocket}
