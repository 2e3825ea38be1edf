"""`POST /predict`: records in, verdicts out, nothing changed."""

from __future__ import annotations

import csv
import io
import json
import time
from typing import Any

import pytest

from tests.serving import ServerProcess
from tests.web.test_live import records

JSON = {"Content-Type": "application/json"}
WILD = {"amount": 9000.0, "size": 800.0, "place": "p1"}
CALM = {"amount": 22.0, "size": 5.5, "place": "p1"}


@pytest.fixture(scope="module")
def trained(server: ServerProcess) -> str:
    """Make a feed whose model has been trained."""
    feed = "trained"
    server.post(feed, records(3000))
    deadline = time.monotonic() + 90
    while server.request("GET", f"/feeds/{feed}").json["model"] is None:
        assert time.monotonic() < deadline, "no model was trained"
        time.sleep(0.2)
    return feed


def predict(server: ServerProcess, query: str, body: object, **headers: str) -> Any:
    return server.request("POST", f"/predict?{query}", json.dumps(body), {**JSON, **headers})


def test_records_are_scored_and_told_apart(server: ServerProcess, trained: str) -> None:
    answer = predict(server, f"feed={trained}", [CALM, WILD, 7, CALM])
    assert answer.status == 200, answer.body
    body = answer.json
    assert set(body) == {"model", "predictions", "rejected"}
    assert [p["index"] for p in body["predictions"]] == [0, 1, 3]
    assert [r["index"] for r in body["rejected"]] == [2]
    keys = {"index", "score", "one_in", "anomaly", "verdict", "reasons"}
    assert all(set(p) == keys for p in body["predictions"])
    assert [p["anomaly"] for p in body["predictions"]] == [False, True, False]
    assert [p["verdict"] for p in body["predictions"]] == ["Normal", "Anomaly detected", "Normal"]
    wild = body["predictions"][1]
    assert sum(reason["share"] for reason in wild["reasons"]) == pytest.approx(1)


def test_predicting_changes_nothing(server: ServerProcess, trained: str) -> None:
    first = predict(server, f"feed={trained}", [WILD, CALM]).json
    before = server.request("GET", f"/feeds/{trained}").json
    assert predict(server, f"feed={trained}", [WILD, CALM]).json == first
    after = server.request("GET", f"/feeds/{trained}").json
    for name in ("accepted", "rejected", "alerts", "last_seq", "seen", "schema"):
        assert after[name] == before[name]


def test_one_record_alone_is_scored(server: ServerProcess, trained: str) -> None:
    assert len(predict(server, f"feed={trained}", WILD).json["predictions"]) == 1


def test_a_csv_upload_is_scored_like_json(server: ServerProcess, trained: str) -> None:
    rows = "amount,size,place\n22.0,5.5,p1\n9000.0,800.0,p1\n"
    from_csv = server.request("POST", f"/predict?feed={trained}", rows, {"Content-Type": "text/csv"})
    assert from_csv.json == predict(server, f"feed={trained}", [CALM, WILD]).json


def test_the_answer_is_csv_where_that_is_asked_for(server: ServerProcess, trained: str) -> None:
    answer = predict(server, f"feed={trained}", [CALM, WILD], Accept="text/csv")
    assert answer.headers["content-type"].startswith("text/csv")
    as_json = predict(server, f"feed={trained}", [CALM, WILD]).json["predictions"]
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    assert [row["anomaly"] for row in rows] == ["false", "true"]
    assert [float(row["score"]) for row in rows] == [p["score"] for p in as_json]
    assert rows[1]["reasons"]


def test_a_model_may_be_named(server: ServerProcess, trained: str) -> None:
    model = predict(server, f"feed={trained}", CALM).json["model"]
    assert predict(server, f"feed={trained}&model={model}", CALM).status == 200
    other = predict(server, f"feed={trained}&model=other", CALM)
    assert (other.status, other.error["field"]) == (409, "model")


@pytest.mark.parametrize(
    ("query", "status", "code", "field"),
    [
        ("", 400, "bad_query", "feed"),
        ("feed=", 400, "bad_query", "feed"),
        ("feed=a&fead=b", 400, "bad_query", "fead"),
        ("feed=nobody-knows", 404, "unknown_feed", "feed"),
    ],
)
def test_a_bad_question_is_refused(
    server: ServerProcess, query: str, status: int, code: str, field: str
) -> None:
    answer = predict(server, query, CALM)
    assert (answer.status, answer.error["code"], answer.error["field"]) == (status, code, field)


def test_a_feed_without_a_model_is_a_conflict(server: ServerProcess, feed: str) -> None:
    server.post(feed, CALM)
    answer = predict(server, f"feed={feed}", CALM)
    assert (answer.status, answer.error["code"]) == (409, "no_model")


def test_a_body_without_records_is_refused(server: ServerProcess, trained: str) -> None:
    assert server.request("POST", f"/predict?feed={trained}", "[{", JSON).status == 400
    assert (
        server.request("POST", f"/predict?feed={trained}", "x", {"Content-Type": "image/png"}).status == 415
    )
    assert predict(server, f"feed={trained}", []).json["predictions"] == []
