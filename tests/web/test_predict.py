"""`POST /predict`: records in, verdicts out, nothing changed."""

from __future__ import annotations

import csv
import gzip
import http.client
import io
import json
import time
from typing import Any

import pytest

from anomalyai.model_store import ModelStore
from stream.secret import instance_secret
from tests.serving import ServerProcess
from tests.stream.champion.trained import keep
from tests.stream.feeding import frame
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
    assert (other.status, other.error["code"], other.error["field"]) == (404, "unknown_model", "model")


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


def form(name: str, content: bytes, filename: str = "records.csv", kind: str = "text/csv") -> Any:
    """Return a form with one file, and its headers."""
    head = f'--x\r\nContent-Disposition: form-data; name="{name}"; filename="{filename}"\r\n'
    body = head.encode() + f"Content-Type: {kind}\r\n\r\n".encode() + content + b"\r\n--x--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=x"}


def rows(n: int) -> list[dict[str, Any]]:
    return [WILD if i % 500 == 77 else CALM | {"amount": 20.0 + i % 9} for i in range(n)]


def as_csv(records: list[dict[str, Any]]) -> str:
    return "amount,size,place\n" + "".join(f"{r['amount']},{r['size']},{r['place']}\n" for r in records)


@pytest.mark.parametrize(
    ("content", "filename", "kind"),
    [
        (as_csv(rows(5000)).encode(), "records.csv", "text/csv"),
        (gzip.compress(as_csv(rows(5000)).encode()), "records.csv.gz", "application/gzip"),
        (json.dumps(rows(5000)).encode(), "records", "application/octet-stream"),
        ("\n".join(map(json.dumps, rows(5000))).encode(), "records", "application/x-ndjson"),
    ],
)
def test_a_file_is_scored_like_a_body_however_both_are_cut(
    server: ServerProcess, trained: str, content: bytes, filename: str, kind: str
) -> None:
    body, headers = form("file", content, filename, kind)
    answer = server.request("POST", f"/predict?feed={trained}", body, headers)
    assert answer.status == 200, answer.body[:300]
    assert answer.json == predict(server, f"feed={trained}", rows(5000)).json
    assert [p["index"] for p in answer.json["predictions"]] == list(range(5000))
    assert {p["index"] for p in answer.json["predictions"] if p["anomaly"]} >= set(range(77, 5000, 500))
    assert list((server.data / "uploads" / "predict").iterdir()) == []


def test_a_long_answer_comes_in_pieces(server: ServerProcess, trained: str) -> None:
    body, headers = form("file", as_csv(rows(40_000)).encode() + b"x,1,p1\n")
    answer = server.request("POST", f"/predict?feed={trained}", body, headers)
    assert answer.headers["transfer-encoding"] == "chunked"
    assert len(answer.json["predictions"]) == 40_000
    [rejected] = answer.json["rejected"]
    assert (rejected["index"], rejected["field"]) == (40_000, "amount")
    short = server.request("POST", f"/predict?feed={trained}", body, {**headers, "Accept": "text/csv"})
    assert short.body.decode().splitlines()[40_000].startswith("39999,")


def test_what_cannot_be_read_further_on_breaks_the_answer_off(server: ServerProcess, trained: str) -> None:
    body, headers = form("file", json.dumps(rows(40_000)).encode()[:-1], "a.json", "application/json")
    with pytest.raises((http.client.IncompleteRead, ConnectionError)):
        server.request("POST", f"/predict?feed={trained}", body, headers)
    assert list((server.data / "uploads" / "predict").iterdir()) == []


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (*form("data", b"a\n1\n"), 400, "bad_form"),
        (*form("file", b""), 400, "unreadable_body"),
        (b"--y\r\n", {"Content-Type": "multipart/form-data; boundary=x"}, 400, "bad_form"),
        (b"", {"Content-Type": "multipart/form-data"}, 400, "bad_form"),
        (*form("file", b"[1", "a.json", "application/json"), 400, "truncated_body"),
    ],
)
def test_a_bad_form_is_refused(
    server: ServerProcess, trained: str, body: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = server.request("POST", f"/predict?feed={trained}", body, headers)
    assert (answer.status, answer.error["code"]) == (status, code), answer
    assert list((server.data / "uploads" / "predict").glob("*")) == []


def test_any_version_may_stand_in_for_the_model(server: ServerProcess, trained: str, feed: str) -> None:
    store = ModelStore(server.data / "models", instance_secret(server.data))
    in_use = predict(server, f"feed={trained}", CALM).json["model"]
    twin = store.save(trained, store.load(in_use), start=b"no state")
    own, other = (
        predict(server, f"feed={trained}&model={name}", rows(600)).json for name in (in_use, twin.id)
    )
    assert other["model"] == twin.id
    assert other["predictions"] == own["predictions"]
    assert server.request("GET", f"/feeds/{trained}").json["model"]["id"] == in_use
    model = keep(store, feed=feed)
    fresh = json.loads(frame(1_200, 300))
    alone = predict(server, f"feed={feed}&model={model.id}", fresh)
    assert (alone.status, alone.json["model"]) == (200, model.id), alone.body[:300]
    assert any(p["anomaly"] for p in alone.json["predictions"])
    assert server.request("GET", f"/feeds/{feed}").status == 404
    assert server.request("POST", f"/models/{model.id}/promote").status == 200
    assert predict(server, f"feed={feed}", fresh).json == alone.json
    assert predict(server, f"feed={feed}&model={model.id}", fresh).json == alone.json
    wrong = predict(server, f"feed={trained}&model={model.id}", fresh)
    assert (wrong.status, wrong.error["code"]) == (409, "model_columns")
    elsewhere = predict(server, f"feed=nobody-at-all&model={model.id}", fresh)
    assert (elsewhere.status, elsewhere.error["code"]) == (404, "unknown_feed")
