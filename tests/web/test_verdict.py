"""Verdicts and labels over HTTP, on a real server: what they answer and what they change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.judging import (
    ODD_EVERY,
    RECORDS,
    alerts_of,
    is_odd,
    next_odd,
    odd_purchases,
    send_all,
    wait_scored,
)
from tests.serving import ServerProcess, receive


def judge(server: ServerProcess, alert_id: str, verdict: str, **more: Any) -> dict[str, Any]:
    body = json.dumps({"verdict": verdict, **more})
    answer = server.request("POST", f"/alerts/{alert_id}/verdict", body)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


@pytest.fixture(scope="module")
def judged(server: ServerProcess) -> dict[str, list[dict[str, Any]]]:
    """Judge odd records one way, the other way, and not at all; returns the answers, feed by feed."""
    answers: dict[str, list[dict[str, Any]]] = {}
    for verdict in ("real", "false_alarm", "none"):
        feed = f"judged-{verdict}"
        send_all(server, feed, odd_purchases())
        odd = [seq for seq in alerts_of(server, feed) if is_odd(seq)]
        assert len(odd) > 8, "too few of the odd records were flagged"
        answers[verdict] = [
            judge(server, f"{feed}-{seq}", verdict) for seq in odd[-6:-1] if verdict != "none"
        ]
    return answers


def test_a_verdict_is_answered_with_the_alert(
    judged: dict[str, list[dict[str, Any]]], server: ServerProcess
) -> None:
    for verdict in ("real", "false_alarm"):
        for answer in judged[verdict]:
            reranked = answer.pop("reranked")
            assert isinstance(reranked, int)
            assert answer["status"] == verdict
            assert answer["revision"] >= 2
            assert server.request("GET", f"/alerts/{answer['id']}").json == answer
        assert sum(isinstance(answer["score"], float) for answer in judged[verdict]) == 5


def test_open_alerts_like_the_judged_ones_are_ranked_anew(
    judged: dict[str, list[dict[str, Any]]], server: ServerProcess
) -> None:
    plain = alerts_of(server, "judged-none")
    assert {alert["revision"] for alert in plain.values()} == {1}
    for verdict, way in (("real", 1), ("false_alarm", -1)):
        found = alerts_of(server, f"judged-{verdict}")
        assert found.keys() == plain.keys()
        alike = [seq for seq in found if is_odd(seq) and found[seq]["status"] == "open"]
        moves = [way * (found[seq]["score"] - plain[seq]["score"]) for seq in alike]
        assert max(moves) > 0.2, (verdict, moves)
        assert min(moves) > -0.05, (verdict, moves)
        for seq in alike:
            if found[seq]["score"] != plain[seq]["score"]:
                assert found[seq]["revision"] > 1
                assert found[seq]["one_in"] == pytest.approx(10 ** min(found[seq]["score"], 15.0))


def test_the_next_equal_record_is_rarer_or_more_usual(
    judged: dict[str, list[dict[str, Any]]], server: ServerProcess
) -> None:
    assert judged
    scores = {}
    for verdict in ("real", "false_alarm", "none"):
        feed = f"judged-{verdict}"
        seq = server.post(feed, [next_odd()]).json["first_seq"]
        assert seq == RECORDS + 1
        wait_scored(server, feed)
        scores[verdict] = server.request("GET", f"/feeds/{feed}/events/{seq}").json["score"]
    assert scores["real"] > scores["none"] + 0.3, scores
    assert scores["false_alarm"] < scores["none"] - 0.3, scores


def test_viewers_are_told_and_a_verdict_said_again_changes_nothing(server: ServerProcess, feed: str) -> None:
    send_all(server, feed, odd_purchases())
    seq = next(seq for seq in reversed(alerts_of(server, feed)) if is_odd(seq))
    with server.socket(f"/feeds/{feed}/live") as viewer:
        while receive(viewer)["type"] != "caught_up":
            pass
        answer = judge(server, f"{feed}-{seq}", "false_alarm", note="a test purchase")
        told = {}
        while len(told) < 1 + answer["reranked"]:
            message = receive(viewer)
            if message["type"] == "alert":
                told[message["alert"]["seq"]] = message["alert"]
        assert told[seq]["status"] == "false_alarm"
        assert {alert["revision"] for alert in told.values()} == {2}
        assert told.items() <= alerts_of(server, feed).items()
    before = alerts_of(server, feed)
    again = judge(server, f"{feed}-{seq}", "false_alarm")
    assert (again["revision"], again["reranked"]) == (2, 0)
    assert alerts_of(server, feed) == before
    assert [judge(server, f"{feed}-{seq}", v)["revision"] for v in ("unsure", "real", "false_alarm")] == [
        3,
        4,
        5,
    ]


@pytest.mark.parametrize(
    ("path", "body", "status", "field"),
    [
        ("/alerts/none-1/verdict", '{"verdict": "real"}', 404, "id"),
        ("/alerts/none-1/verdict", '{"verdict": "muted"}', 400, "verdict"),
        ("/alerts/none-1/verdict", '{"verdict": "real", "sure": true}', 400, "sure"),
        ("/alerts/none-1/verdict", '{"note": "x"}', 400, "verdict"),
        ("/alerts/none-1/verdict", json.dumps({"verdict": "real", "note": "x" * 2_001}), 400, "note"),
        ("/alerts/none-1/verdict", "[", 400, None),
        ("/alerts/none-1/verdict?why=1", '{"verdict": "real"}', 400, "why"),
        ("/feeds/nowhere/labels", '{"labels": [{"seq": 1, "label": 0}]}', 404, "feed"),
        ("/feeds/nowhere/labels", '{"labels": 1}', 400, "labels"),
        ("/feeds/nowhere/labels", '{"labels": [], "more": 1}', 400, "more"),
        ("/feeds/nowhere/labels", "seq,truth\n1,0\n", 400, "truth"),
        ("/feeds/nowhere/labels", "label\n0\n", 400, None),
        ("/feeds/nowhere/labels", "seq,label\n" + "1,0\n" * 10_001, 413, None),
    ],
)
def test_what_is_refused_as_a_whole(
    server: ServerProcess, path: str, body: str, status: int, field: str | None
) -> None:
    answer = server.request("POST", path, body)
    assert (answer.status, answer.error["field"]) == (status, field), answer.body


def test_labels_are_taken_one_by_one(server: ServerProcess, feed: str) -> None:
    send_all(server, feed, odd_purchases())
    first, second, third = [seq for seq in alerts_of(server, feed) if is_odd(seq)][-3:]
    labels: list[Any] = [
        {"seq": first, "label": 1},
        {"id": f"r{second}", "label": 0},
        {"seq": 5, "label": 0},
        {"seq": RECORDS + 1, "label": 0},
        {"id": "r0", "label": 1},
        {"seq": 1, "label": 2},
        {"seq": 1, "id": "r1", "label": 1},
        {"seq": 1, "label": 0, "sure": True},
        7,
    ]
    answer = server.request("POST", f"/feeds/{feed}/labels", json.dumps({"labels": labels}))
    assert answer.status == 202
    assert answer.json["accepted"] == 3
    assert [(r["index"], r["field"]) for r in answer.json["rejected"]] == [
        (3, "seq"), (4, "id"), (5, "label"), (6, "seq"), (7, "sure"), (8, None),
    ]  # fmt: skip
    found = alerts_of(server, feed)
    assert (found[first]["status"], found[second]["status"]) == ("real", "false_alarm")
    for header, rows in (("id,label", f"r{third},1\nr{second},1\n"), ("label,seq", f"0,{third}\nx,1\n\n")):
        answer = server.request(
            "POST", f"/feeds/{feed}/labels", f"{header}\n{rows}", {"Content-Type": "text/csv"}
        )
        assert answer.status == 202, answer.body
    assert (answer.json["accepted"], len(answer.json["rejected"])) == (1, 1)
    found = alerts_of(server, feed)
    assert (found[second]["status"], found[third]["status"]) == ("real", "false_alarm")
    assert second == third - ODD_EVERY


def test_labels_by_id_need_an_id_field(server: ServerProcess, feed: str) -> None:
    server.post(feed, [{"order": "a", "x": 1}])
    answer = server.request("POST", f"/feeds/{feed}/labels", '{"labels": [{"id": "a", "label": 1}]}')
    assert answer.status == 202
    assert answer.json["accepted"] == 0
    assert "declares no id field" in answer.json["rejected"][0]["error"]
