"""The list of models."""

from __future__ import annotations

import time

import pytest

from tests.serving import ServerProcess
from tests.web.test_live import records


@pytest.fixture(scope="module")
def modelled(server: ServerProcess) -> str:
    """Make a feed whose model has been trained."""
    feed = "modelled"
    server.post(feed, records(3000))
    deadline = time.monotonic() + 90
    while server.request("GET", f"/feeds/{feed}").json["model"] is None:
        assert time.monotonic() < deadline, "no model was trained"
        time.sleep(0.2)
    return feed


def test_models_are_listed_with_what_is_known_of_them(
    server: ServerProcess, modelled: str, feed: str
) -> None:
    in_use = server.request("GET", f"/feeds/{modelled}").json["model"]["id"]
    models = server.request("GET", f"/models?feed={modelled}").json["models"]
    assert [model["id"] for model in models] == [in_use]
    assert models[0]["algorithm"] == "isolation_forest"
    assert len(models[0]["sha256"]) == 64
    assert models[0] in server.request("GET", "/models").json["models"]
    assert server.request("GET", f"/models/{in_use}").json == models[0]
    server.post(feed, {"a": 1})
    assert server.request("GET", f"/models?feed={feed}").json == {"models": [], "refused": []}


@pytest.mark.parametrize("name", ["nothing", "..", "UPPER", "%2e%2e%2fengine", "a" * 300])
def test_a_model_that_is_not_there_is_404(server: ServerProcess, name: str) -> None:
    answer = server.request("GET", f"/models/{name}")
    assert answer.status == 404
    assert answer.error["code"] in ("unknown_model", "not_found")


def test_models_of_a_feed_that_is_not_there_are_404(server: ServerProcess) -> None:
    assert server.request("GET", "/models?feed=nobody").status == 404
