"""Incidents, mutes and verdicts on many alerts over HTTP and WebSocket, on a real server."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import NewServer
from tests.judging import ODD, odd_purchases, send_all, wait_scored
from tests.serving import ServerProcess, receive

FEED = "attacked"
ATTACKS = 200


def attack(n: int, *, after: int = 0, customer: str = "c-attacked") -> list[dict[str, Any]]:
    """Return equal records of one customer, 5 s apart."""
    last = {**odd_purchases(1_000)[-1], **ODD, "amount": 9_000.0, "customer": customer}
    return [{**last, "id": f"n{after + i}", "time": last["time"] + 5.0 * (after + i + 1)} for i in range(n)]


@pytest.fixture(scope="module")
def attacked(server: ServerProcess) -> ServerProcess:
    send_all(server, FEED, [*odd_purchases(1_000), *attack(ATTACKS)])
    return server


def incidents(server: ServerProcess, query: str = "") -> list[dict[str, Any]]:
    answer = server.request("GET", f"/feeds/{FEED}/incidents?{query}")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["incidents"]
    return found


def alerts(server: ServerProcess, query: str = "") -> list[dict[str, Any]]:
    answer = server.request("GET", f"/feeds/{FEED}/alerts?limit=1000&{query}")
    assert answer.status == 200, answer.body
    found: list[dict[str, Any]] = answer.json["alerts"]
    return found


def later(**ahead: float) -> str:
    return (datetime.now(UTC) + timedelta(**ahead)).isoformat()


def test_equal_alerts_of_one_entity_are_one_incident(attacked: ServerProcess) -> None:
    [found] = incidents(attacked, "entity=c-attacked")
    assert (found["count"], found["entities"], found["field"]) == (
        ATTACKS,
        {"customer": "c-attacked"},
        "amount",
    )
    assert found["statuses"] == {"open": ATTACKS}
    assert attacked.request("GET", f"/incidents/{found['id']}").json == found
    mine = alerts(attacked, f"incident={found['id']}")
    assert [alert["seq"] for alert in mine] == list(range(1_001, 1_001 + ATTACKS))
    worst = max(mine, key=lambda alert: (alert["score"], -alert["seq"]))
    assert (found["worst"], found["one_in"]) == (worst["id"], worst["one_in"])
    every = incidents(attacked)
    assert sum(one["count"] for one in every) == len(alerts(attacked))


def test_incidents_come_page_by_page_the_latest_first(attacked: ServerProcess) -> None:
    every, before, pages = incidents(attacked, "limit=500"), "", []
    while True:
        answer = attacked.request("GET", f"/feeds/{FEED}/incidents?limit=3{before}").json
        pages += answer["incidents"]
        if answer["next"] is None:
            break
        before = f"&before={answer['next']}"
    assert pages == every
    assert [one["last_seq"] for one in every] == sorted((one["last_seq"] for one in every), reverse=True)


@pytest.mark.parametrize(
    ("query", "holds"),
    [
        ("severity=high", lambda alert: alert["severity"] in ("high", "critical")),
        ("entity=c-attacked", lambda alert: alert["entities"]["customer"] == "c-attacked"),
        ("field=channel", lambda alert: any(reason["field"] == "channel" for reason in alert["reasons"])),
        ("text=AMOUNT%209%2C000", lambda alert: "amount 9,000" in alert["summary"]),
        ("since=2023-11-15T06:40:00Z", lambda alert: alert["time"] >= "2023-11-15T06:40:00.000Z"),
        ("until=2023-11-15T07:40:00%2B01:00", lambda alert: alert["time"] <= "2023-11-15T06:40:00.000Z"),
        ("status=real", lambda alert: alert["status"] == "real"),
    ],
)
def test_alerts_are_found_by_any_condition(attacked: ServerProcess, query: str, holds: Any) -> None:
    every = alerts(attacked)
    expected = [alert["id"] for alert in every if holds(alert)]
    assert [alert["id"] for alert in alerts(attacked, query)] == expected
    assert len(expected) < len(every)


def test_one_verdict_judges_a_whole_incident(attacked: ServerProcess) -> None:
    send_all(attacked, "bulk", [*odd_purchases(1_000), *attack(30)])
    [found] = attacked.request("GET", "/feeds/bulk/incidents?entity=c-attacked").json["incidents"]
    body = json.dumps({"incident": found["id"], "verdict": "real", "note": "a stolen card"})
    answer = attacked.request("POST", "/feeds/bulk/verdicts", body)
    assert (answer.status, answer.json["judged"], answer.json["unknown"]) == (200, 30, [])
    assert attacked.request("GET", f"/incidents/{found['id']}").json["statuses"] == {"real": 30}
    body = json.dumps({"alerts": [found["worst"], "bulk-1", "nobody-7"], "verdict": "false_alarm"})
    answer = attacked.request("POST", "/feeds/bulk/verdicts", body)
    assert (answer.json["judged"], answer.json["unknown"]) == (1, ["bulk-1", "nobody-7"])
    assert attacked.request("GET", f"/alerts/{found['worst']}").json["status"] == "false_alarm"
    left = attacked.request("GET", "/feeds/bulk/incidents?status=open").json["incidents"]
    assert found["id"] not in {one["id"] for one in left}


def test_a_mute_hides_until_it_is_ended(attacked: ServerProcess) -> None:
    feed = "hushed"
    send_all(attacked, feed, [*odd_purchases(1_000), *attack(5)])
    body = {"entities": {"customer": "c-attacked"}, "until": later(hours=1), "note": "known"}
    answer = attacked.request("POST", f"/feeds/{feed}/mutes", json.dumps(body))
    assert answer.status == 201, answer.body
    mute = answer.json
    assert re.fullmatch(r"hushed-m\d+", mute["id"])
    assert (mute["hidden"], mute["entities"], mute["field"]) == (5, {"customer": "c-attacked"}, None)
    with attacked.socket(f"/feeds/{feed}/live") as viewer:
        assert attacked.post(feed, attack(3, after=5)).status == 202
        told: list[dict[str, Any]] = []
        while not told or told[-1]["type"] != "incident":
            told.append(receive(viewer))
    assert told[-1]["incident"]["entities"] == {"customer": "c-attacked"}
    wait_scored(attacked, feed)
    [held] = attacked.request("GET", f"/feeds/{feed}/mutes").json["mutes"]
    assert held == {**mute, "hidden": 8}
    [found] = attacked.request("GET", f"/feeds/{feed}/incidents?entity=c-attacked").json["incidents"]
    assert found["statuses"] == {"muted": 8}
    assert attacked.request("DELETE", f"/feeds/{feed}/mutes/{mute['id']}").status == 204
    assert attacked.request("GET", f"/feeds/{feed}/mutes").json == {"mutes": []}
    assert attacked.post(feed, attack(2, after=8)).status == 202
    wait_scored(attacked, feed)
    [found] = attacked.request("GET", f"/feeds/{feed}/incidents?entity=c-attacked").json["incidents"]
    assert found["statuses"] == {"muted": 8, "open": 2}
    assert attacked.request("GET", f"/feeds/{feed}").json["incidents"]["muted"] == 8


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "field"),
    [
        ("GET", f"/feeds/{FEED}/incidents?severity=grave", None, 400, "severity"),
        ("GET", f"/feeds/{FEED}/incidents?since=yesterday", None, 400, "since"),
        ("GET", f"/feeds/{FEED}/incidents?since=2023-01-01T00:00:00", None, 400, "since"),
        ("GET", f"/feeds/{FEED}/incidents?before=x.y", None, 400, "before"),
        ("GET", f"/feeds/{FEED}/incidents?after=3", None, 400, "after"),
        ("GET", "/feeds/nowhere/incidents", None, 404, "feed"),
        ("GET", "/incidents/nowhere-i1", None, 404, "id"),
        ("POST", f"/feeds/{FEED}/mutes", {"until": "2020-01-01T00:00:00Z", "field": "amount"}, 400, "until"),
        ("POST", f"/feeds/{FEED}/mutes", {"until": later(days=1)}, 400, "entities"),
        ("POST", f"/feeds/{FEED}/mutes", {"field": "amount"}, 400, "until"),
        ("POST", f"/feeds/{FEED}/mutes", {"until": later(days=1), "card": "1"}, 400, "card"),
        ("DELETE", f"/feeds/{FEED}/mutes/attacked-m1", None, 404, "id"),
        ("POST", f"/feeds/{FEED}/verdicts", {"verdict": "real"}, 400, "alerts"),
        ("POST", f"/feeds/{FEED}/verdicts", {"verdict": "real", "incident": "x-i1"}, 404, "incident"),
        ("POST", f"/feeds/{FEED}/verdicts", {"verdict": "bad", "alerts": []}, 400, "verdict"),
    ],
)
def test_a_refusal_names_what_was_wrong(
    attacked: ServerProcess, method: str, path: str, body: dict[str, Any] | None, status: int, field: str
) -> None:
    answer = attacked.request(method, path, None if body is None else json.dumps(body))
    assert (answer.status, answer.error["field"]) == (status, field), answer.body


def test_incidents_and_mutes_outlive_a_kill(new_server: NewServer) -> None:
    server = new_server()
    send_all(server, FEED, [*odd_purchases(1_000), *attack(5)])
    body = {"entities": {"customer": "c-attacked"}, "until": later(hours=1)}
    assert server.request("POST", f"/feeds/{FEED}/mutes", json.dumps(body)).status == 201
    before = incidents(server), server.request("GET", f"/feeds/{FEED}/mutes").json
    server.kill()
    server.start()
    assert (incidents(server), server.request("GET", f"/feeds/{FEED}/mutes").json) == before
    assert server.post(FEED, attack(3, after=5)).status == 202
    wait_scored(server, FEED)
    [found] = incidents(server, "entity=c-attacked")
    assert (found["count"], found["statuses"]) == (8, {"muted": 8})
