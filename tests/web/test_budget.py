"""A feed's budget over HTTP: what another one would have meant, and changing it."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.judging import odd_purchases, send_all
from tests.serving import ServerProcess

FEED = "budgeted"


@pytest.fixture(scope="module")
def budgeted(server: ServerProcess) -> ServerProcess:
    send_all(server, FEED, odd_purchases(1_200))
    return server


def what_if(server: ServerProcess, budget: str) -> dict[str, Any]:
    deadline_s = time.monotonic() + 60.0
    while True:
        answer = server.request("GET", f"/feeds/{FEED}/whatif?budget={budget}")
        if answer.status == 200:
            found: dict[str, Any] = answer.json
            return found
        assert answer.status in (202, 429), answer.body
        assert int(answer.headers["retry-after"]) >= 1
        assert time.monotonic() < deadline_s
        time.sleep(0.2)


def test_the_past_at_another_budget_changes_nothing(budgeted: ServerProcess) -> None:
    before = budgeted.request("GET", f"/feeds/{FEED}").json
    found = what_if(budgeted, "1/50")
    compared = found["comparison"]
    assert (found["budget"], compared["records"], found["exact"]) == ("1/50", 1_200, True)
    assert compared["champion"]["alerts"] == before["alerts"]
    assert compared["added"] > 0
    same = what_if(budgeted, "1/200")["comparison"]
    assert (same["added"], same["removed"], same["both"]) == (0, 0, before["alerts"])
    after = budgeted.request("GET", f"/feeds/{FEED}").json
    assert (after["budget"], after["alerts"]) == (before["budget"], before["alerts"])


def test_a_budget_is_changed_and_what_was_learnt_stays(budgeted: ServerProcess) -> None:
    before = budgeted.request("GET", f"/feeds/{FEED}").json
    answer = budgeted.request("PUT", f"/feeds/{FEED}/budget", json.dumps({"budget": "1/20"}))
    assert (answer.status, answer.json["budget"]) == (200, "1/20")
    assert (answer.json["seen"], answer.json["clean"]) == (before["seen"], before["clean"])
    assert answer.json["threshold"] < before["threshold"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", f"/feeds/{FEED}/whatif", None, 400, "budget"),
        ("GET", f"/feeds/{FEED}/whatif?budget=lots", None, 400, "budget"),
        ("GET", f"/feeds/{FEED}/whatif?budget=1/50&last=0", None, 400, "last"),
        ("GET", "/feeds/nowhere/whatif?budget=1/50", None, 404, "feed"),
        ("PUT", f"/feeds/{FEED}/budget", {"budget": "lots"}, 400, "budget"),
        ("PUT", f"/feeds/{FEED}/budget", {}, 400, "budget"),
        ("PUT", "/feeds/nowhere/budget", {"budget": "1/50"}, 404, "feed"),
    ],
)
def test_a_refusal_names_what_was_wrong(
    budgeted: ServerProcess, method: str, path: str, body: dict[str, Any] | None, status: int, field: str
) -> None:
    answer = budgeted.request(method, path, None if body is None else json.dumps(body))
    assert (answer.status, answer.error["field"]) == (status, field), answer.body


def test_how_the_server_is(budgeted: ServerProcess) -> None:
    status = budgeted.request("GET", "/status").json
    assert (status["ready"], status["causes"]) == (True, [])
    assert status["feeds"] >= 1
    assert status["memory_bytes"] > 50_000_000
    assert status["storage"]["size_bytes"] > 100_000
    assert status["storage"]["free_bytes"] > 0
    assert status["storage"]["path"] == str(budgeted.data)
    assert (status["storage"]["durability"], status["sockets"]["max"]) == ("fsync", 500)
    assert budgeted.request("GET", "/status?more=1").error["field"] == "more"
