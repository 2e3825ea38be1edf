"""The list of models."""

from __future__ import annotations

import json
import time

import pytest

from anomalyai.model_store import ModelStore
from stream.secret import instance_secret
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
    found = server.request("GET", f"/models/{in_use}").json
    assert found | models[0] == found
    assert found["champion_of"] == [modelled]
    server.post(feed, {"a": 1})
    assert server.request("GET", f"/models?feed={feed}").json == {"models": [], "refused": []}


@pytest.mark.parametrize("name", ["nothing", "..", "UPPER", "%2e%2e%2fengine", "a" * 300])
def test_a_model_that_is_not_there_is_404(server: ServerProcess, name: str) -> None:
    answer = server.request("GET", f"/models/{name}")
    assert answer.status == 404
    assert answer.error["code"] in ("unknown_model", "not_found")


def test_a_model_is_promoted_and_taken_back(server: ServerProcess, modelled: str, feed: str) -> None:
    first = server.request("GET", f"/feeds/{modelled}").json["model"]["id"]
    store = ModelStore(server.data / "models", instance_secret(server.data))
    other = store.save(modelled, store.load(first), start=b"of another")
    body = json.dumps({"note": "a trial"})
    promoted = server.request("POST", f"/models/{other.id}/promote", body)
    assert promoted.status == 200, promoted
    assert promoted.json.keys() == {"feed", "model", "previous", "entry"}
    assert promoted.json["previous"] == first
    assert server.request("POST", f"/models/{other.id}/promote").json["entry"] is None
    found = server.request("GET", f"/models/{other.id}").json
    assert found["champion_of"] == [modelled]
    [at] = found["promoted"]
    assert (at["feed"], at["by"], at["note"], at["rollback"]) == (modelled, "hand", "a trial", False)
    assert at["entry"] == promoted.json["entry"]
    back = server.request("POST", f"/feeds/{modelled}/models/rollback")
    assert (back.json["model"], back.json["previous"]) == (first, other.id)
    state = server.request("GET", f"/feeds/{modelled}").json
    assert state["model"]["id"] == first
    assert [one["model"] for one in state["promotions"]] == [first, other.id, first]
    assert [one["by"] for one in state["promotions"]] == ["first", "hand", "hand"]
    again = server.request("POST", f"/feeds/{modelled}/models/rollback")
    assert (again.status, again.error["code"]) == (409, "no_earlier_model")
    server.post(feed, {"a": 1})
    unfit = server.request("POST", f"/models/{first}/promote", json.dumps({"feed": feed}))
    assert (unfit.status, unfit.error["code"]) == (409, "model_columns")


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "field"),
    [
        ("/models/nothing/promote", None, 404, "unknown_model", "id"),
        ("/models/nothing/promote", '{"fed": "x"}', 400, "bad_body", "fed"),
        ("/models/nothing/promote?x=1", None, 400, "bad_query", "x"),
        ("/feeds/nobody/models/rollback", None, 404, "unknown_feed", "feed"),
        ("/feeds/nobody/models/rollback", '{"feed": "x"}', 400, "bad_body", "feed"),
    ],
)
def test_what_cannot_be_done_is_said(
    server: ServerProcess, path: str, body: str | None, status: int, code: str, field: str | None
) -> None:
    answer = server.request("POST", path, body)
    assert (answer.status, answer.error["code"], answer.error["field"]) == (status, code, field)
