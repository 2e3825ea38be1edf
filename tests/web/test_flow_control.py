"""Producers that stay faster than scoring, against a real server: held back, sampled or shed, and counted."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from stream.errors import SettingsError
from stream.settings import load
from tests.conftest import NewServer
from tests.serving import ServerProcess, receive

SMALL = {
    "ANOMALYAI_ENGINE__MAX_BACKLOG_RECORDS": "2000",
    "ANOMALYAI_ENGINE__MAX_WAIT_S": "0",
    "ANOMALYAI_FEED__POLICIES": "some=sample,rest=shed",
}


def records(first: int, count: int) -> list[dict[str, Any]]:
    return [{"amount": 20 + i * 7919 % 101 / 25, "place": f"p{i % 5}"} for i in range(first, first + count)]


def drained(server: ServerProcess, feed: str) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        status: dict[str, Any] = server.request("GET", f"/feeds/{feed}").json
        if status["lag"]["records"] == 0:
            assert status["lag"]["s"] == 0.0
            return status
        assert time.monotonic() < deadline
        time.sleep(0.02)


def require_held_back(server: ServerProcess) -> None:
    """Send far more than the backlog holds: credit falls, HTTP gets 429, the lag is told, nothing is shed."""
    server.post("f", records(0, 600))
    drained(server, "f")
    with server.socket("/feeds/f/ingest?producer=p") as socket:
        assert receive(socket)["credit"] == 8
        frame = json.dumps(records(600, 10_000))
        for _ in range(3):
            socket.send(frame)
        credits = [receive(socket)["credit"]]
        refused = server.post("f", records(0, 10))
        lag = server.request("GET", "/feeds/f").json["lag"]
        deadline = time.monotonic() + 30
        while lag["records"] == 0:
            assert time.monotonic() < deadline, "the lag was never seen"
            lag = server.request("GET", "/feeds/f").json["lag"]
        credits += [receive(socket, 60)["credit"] for _ in range(2)]
    assert (refused.status, refused.error["code"]) == (429, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    assert lag["s"] > 0.0
    assert min(credits) <= 1
    status = drained(server, "f")
    assert (status["policy"], status["last_seq"], status["shed"]) == ("block", 30_600, 0)


def test_policies_hold_back_sample_and_shed_and_say_so(new_server: NewServer) -> None:
    server = new_server(environ=SMALL)
    require_held_back(server)
    for feed in ("rest", "some"):
        server.post(feed, records(0, 600))
        drained(server, feed)
    answer = server.post("rest", records(600, 5_000), "?producer=p&batch=1")
    assert answer.status == 202
    assert answer.json == {
        "accepted": 2_000, "rejected": [], "shed": 3_000, "first_seq": 601, "last_seq": 2_600,
    }  # fmt: skip
    drained(server, "rest")
    sampled = server.post("some", records(600, 5_000)).json
    assert 1_500 < sampled["accepted"] <= 2_000
    assert sampled["accepted"] + sampled["shed"] == 5_000
    again = server.post("rest", records(600, 5_000), "?producer=p&batch=1")
    assert again.json == answer.json
    with server.socket("/feeds/rest/live") as live:
        figures = receive(live)
        while figures["type"] != "stats":
            figures = receive(live)
    assert figures["shed"] == 3_000
    assert server.metric("anomalyai_feed_shed_total") == 3_000 + sampled["shed"]

    server.stop()
    server = new_server(environ=SMALL)
    status = drained(server, "rest")
    assert (status["policy"], status["shed"], status["last_seq"]) == ("shed", 3_000, 2_600)
    assert server.request("GET", "/feeds/some").json["shed"] == sampled["shed"]
    assert server.post("rest", records(600, 5_000), "?producer=p&batch=1").json == answer.json


@pytest.mark.parametrize("value", ["f=drop", "f", "F=shed", "=shed"])
def test_a_policy_that_is_none_is_refused_by_name(value: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(environ={"ANOMALYAI_FEED__POLICIES": value})
    assert str(caught.value.field).startswith("feed.policies")
