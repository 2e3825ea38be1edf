"""Feeds over HTTP: the contract's answers for every way of posting, declaring and reading."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.serving import ServerProcess

JSON = {"Content-Type": "application/json"}
NDJSON = {"Content-Type": "application/x-ndjson"}
CSV = {"Content-Type": "text/csv"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}

READABLE: list[tuple[str, dict[str, str], str, int]] = [
    ("object", JSON, '{"a": 1}', 1),
    ("array", JSON, '[{"a": 1}, {"a": 2}]', 2),
    ("with charset", {"Content-Type": "application/json; charset=utf-8"}, '[{"a": 1}]', 1),
    ("lines", NDJSON, '{"a": 1}\n{"a": 2}\n{"a": 3}\n', 3),
    ("lines without a last end", NDJSON, '{"a": 1}\r\n{"a": 2}', 2),
    ("csv", CSV, "a,b\n1,x\n2,y\n", 2),
    ("csv of spreadsheets", CSV, '\ufeffa,b\r\n1,"x, ""y"""\r\n', 1),
    ("curl -d object", FORM, '{"a": 1}', 1),
    ("curl -d array", FORM, '[{"a": 1}, {"a": 2}]', 2),
    ("curl -d with what a form would split", FORM, '{"a": 1, "b": "x&y=z+%20"}', 1),
    ("no type, object", {}, '{"a": 1}', 1),
    ("no type, lines", {}, '{"a": 1}\n{"a": 2}\n', 2),
    ("no type, csv", {}, "a,b\n1,x\n", 1),
    ("empty array", JSON, "[]", 0),
]


@pytest.mark.parametrize(
    ("headers", "body", "count"), [row[1:] for row in READABLE], ids=[r[0] for r in READABLE]
)
def test_every_form_of_records_is_taken(
    server: ServerProcess, feed: str, headers: dict[str, str], body: str, count: int
) -> None:
    answer = server.request("POST", f"/feeds/{feed}/events", body, headers)
    first, last = (1, count) if count else (None, None)
    assert answer.status == 202, answer.body
    assert answer.json == {"accepted": count, "rejected": [], "shed": 0, "first_seq": first, "last_seq": last}


def test_a_plain_curl_body_reaches_the_record_unharmed(server: ServerProcess, feed: str) -> None:
    record = {"a": 1, "b": "x&y=z+%20", "card": 4929813216451298736}
    server.request("POST", f"/feeds/{feed}/events", json.dumps(record), FORM)
    assert server.request("GET", f"/feeds/{feed}/events/1").json["record"] == record


def test_bad_records_are_named_and_their_neighbours_kept(server: ServerProcess, feed: str) -> None:
    records = [{"a": 1}, 7, {"a": "one"}, {"a": 2}]
    answer = server.post(feed, records)
    assert answer.status == 202
    body = answer.json
    assert (body["accepted"], body["first_seq"], body["last_seq"]) == (2, 1, 2)
    assert [rejection["index"] for rejection in body["rejected"]] == [1, 2]
    assert body["rejected"][1]["field"] == "a"
    assert all(set(r) == {"index", "field", "error"} and r["error"] for r in body["rejected"])


def test_nothing_acceptable_is_422_with_the_same_body(server: ServerProcess, feed: str) -> None:
    answer = server.post(feed, [1, "two", None])
    assert answer.status == 422
    body = answer.json
    assert (body["accepted"], body["first_seq"], body["last_seq"]) == (0, None, None)
    assert len(body["rejected"]) == 3


def test_numbers_of_a_feed_have_no_gaps(server: ServerProcess, feed: str) -> None:
    seqs = [server.post(feed, [{"a": i}, {"a": i}]).json for i in range(3)]
    assert [(s["first_seq"], s["last_seq"]) for s in seqs] == [(1, 2), (3, 4), (5, 6)]
    status = server.request("GET", f"/feeds/{feed}").json
    assert (status["feed"], status["last_seq"], status["accepted"], status["rejected"]) == (feed, 6, 6, 0)
    assert {"schema", "shed", "alerts", "lag", "model"} <= set(status)
    assert feed in [row["feed"] for row in server.request("GET", "/feeds").json["feeds"]]


def test_gzip_is_unpacked_and_bounded(server: ServerProcess, feed: str) -> None:
    packed = {**JSON, "Content-Encoding": "gzip"}
    body = gzip.compress(b'[{"a": 1}, {"a": 2}]')
    assert server.request("POST", f"/feeds/{feed}/events", body, packed).json["accepted"] == 2
    bomb = gzip.compress(b" " * (65 << 20))
    assert len(bomb) < 100_000
    assert server.request("POST", f"/feeds/{feed}/events", bomb, packed).status == 413
    for broken in (body[:-5], body + b"more", b"no gzip"):
        answer = server.request("POST", f"/feeds/{feed}/events", broken, packed)
        assert (answer.status, answer.error["field"]) == (400, "Content-Encoding")


def test_a_chunked_body_is_read_and_bounded(server: ServerProcess, feed: str) -> None:
    address = urlsplit(server.url)

    def send(parts: int, size: int) -> tuple[int, Any]:
        connection = http.client.HTTPConnection(str(address.hostname), address.port, timeout=60)
        chunks = (b"[" + b" " * (size - 2) + b"\n" if i == 0 else b" " * size for i in range(parts))
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may have answered already
            connection.request("POST", f"/feeds/{feed}/events", chunks, JSON)  # no length: chunked
        response = connection.getresponse()
        answer = response.status, json.loads(response.read())
        connection.close()
        return answer

    status, body = send(3, 100)
    assert (status, body["error"]["code"]) == (400, "truncated_body")
    status, body = send(70, 1 << 20)
    assert (status, body["error"]["code"]) == (413, "too_large")


@pytest.mark.parametrize("how", ["key", "producer"])
def test_a_repeat_gets_the_first_answer_and_another_body_a_conflict(
    server: ServerProcess, feed: str, how: str
) -> None:
    def post(records: object) -> Any:
        if how == "key":
            return server.post(feed, records, Idempotency_Key="k-1")
        return server.post(feed, records, "?producer=p&batch=1")

    first = post([{"a": 1}, {"a": "x"}])
    again = post([{"a": 1}, {"a": "x"}])
    assert (again.status, again.json) == (first.status, first.json)
    other = post([{"a": 2}])
    assert (other.status, other.error["code"]) == (409, "batch_conflict")
    assert server.request("GET", f"/feeds/{feed}").json["accepted"] == 1


TOML = """
[feed]
name = "Card payments"
time = "ts"
entities = ["card"]
numbers = ["amount"]
budget = "20/day"
"""
DECLARED = {"feed": {"name": "Card payments", "time": "ts", "entities": ["card"], "numbers": ["amount"]}}


def test_a_schema_is_declared_once_and_equal_ever_after(server: ServerProcess, feed: str) -> None:
    for status in (201, 200):
        answer = server.request("PUT", f"/feeds/{feed}", TOML, {"Content-Type": "application/toml"})
        assert answer.status == status, answer.body
        assert answer.json["feed"] == feed
    as_json = {"feed": {**DECLARED["feed"], "budget": "20/day"}}
    assert server.request("PUT", f"/feeds/{feed}", json.dumps(as_json), JSON).status == 200
    assert server.request("PUT", f"/feeds/{feed}", TOML, FORM).status == 200
    kinds = {f["name"]: f["kind"] for f in server.request("GET", f"/feeds/{feed}").json["schema"]["fields"]}
    assert kinds == {"ts": "time", "card": "entity", "amount": "number"}


def test_a_declaration_that_would_change_kinds_is_a_conflict(server: ServerProcess, feed: str) -> None:
    server.post(feed, [{"amount": 12.5, "card": "c1"}, {"amount": 3, "card": "c2"}])
    declared = {"feed": {"categories": ["amount"]}}
    answer = server.request("PUT", f"/feeds/{feed}", json.dumps(declared), JSON)
    assert (answer.status, answer.error["code"], answer.error["field"]) == (409, "schema_conflict", "amount")


@pytest.mark.parametrize(
    ("body", "headers", "status", "field"),
    [
        ("[feed]\nnonsense = 1", {}, 400, "nonsense"),
        ('{"feed": {"nonsense": 1}}', {}, 400, "nonsense"),
        ('{"fead": {}}', JSON, 400, "fead"),
        ("[feed", {}, 400, None),
        ('{"feed": ', JSON, 400, None),
        ("[1]", JSON, 400, None),
        ("[" * 100_000, JSON, 400, None),
        ("a = " + "[" * 100_000, {}, 400, None),
        ("\x00\x01", {}, 400, None),
        ("[feed]", {"Content-Type": "image/png"}, 415, "Content-Type"),
    ],
)
def test_a_bad_declaration_is_refused(
    server: ServerProcess, feed: str, body: str, headers: dict[str, str], status: int, field: str | None
) -> None:
    answer = server.request("PUT", f"/feeds/{feed}", body, headers)
    assert answer.status == status, answer.body
    if field is not None:
        assert answer.error["field"] == field


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/feeds/{feed}/alerts?after=x", "after"),
        ("/feeds/{feed}/alerts?after=-1", "after"),
        ("/feeds/{feed}/alerts?after=1.5", "after"),
        ("/feeds/{feed}/alerts?limit=0", "limit"),
        ("/feeds/{feed}/alerts?limit=1001", "limit"),
        ("/feeds/{feed}/alerts?limit=", "limit"),
        ("/feeds/{feed}/alerts?limit=1&limit=2", "limit"),
        ("/feeds/{feed}/alerts?sort=score", "sort"),
        ("/feeds/{feed}?verbose=1", "verbose"),
        ("/feeds?page=2", "page"),
        ("/healthz?x", "x"),
        ("/feeds/{feed}/events/0", "seq"),
        ("/feeds/{feed}/events/-1", "seq"),
        ("/feeds/{feed}/events/one", "seq"),
        ("/feeds/{feed}/events/99999999999999999999", "seq"),
    ],
)
def test_a_bad_query_is_refused_by_name(server: ServerProcess, feed: str, path: str, field: str) -> None:
    server.post(feed, {"a": 1})
    answer = server.request("GET", path.replace("{feed}", feed))
    assert answer.status == 400, answer.body
    assert answer.error["field"] == field


@pytest.mark.parametrize(
    ("path", "headers", "field"),
    [
        ("?producer=p", {}, "batch"),
        ("?batch=1", {}, "producer"),
        ("?producer=p&batch=0", {}, "batch"),
        ("?producer=&batch=1", {}, "producer"),
        ("?producer=p&batch=1", {"Idempotency_Key": "k"}, "Idempotency-Key"),
        ("", {"Idempotency_Key": "k" * 201}, "Idempotency-Key"),
        ("?key=1", {}, "key"),
    ],
)
def test_a_bad_batch_name_is_refused(
    server: ServerProcess, feed: str, path: str, headers: dict[str, str], field: str
) -> None:
    answer = server.post(feed, {"a": 1}, path, **headers)
    assert (answer.status, answer.error["field"]) == (400, field)
    assert server.request("GET", f"/feeds/{feed}").status == 404


@pytest.mark.parametrize(
    "path",
    [
        "/feeds/{feed}",
        "/feeds/{feed}/alerts",
        "/feeds/{feed}/events/1",
        "/alerts/{feed}-1",
        "/alerts/nonsense",
    ],
)
def test_what_is_not_there_is_404(server: ServerProcess, feed: str, path: str) -> None:
    answer = server.request("GET", path.replace("{feed}", feed))
    assert answer.status == 404
    assert answer.error["code"].startswith("unknown_")


def test_an_event_that_was_not_posted_yet_is_404(server: ServerProcess, feed: str) -> None:
    server.post(feed, {"a": 1})
    assert server.request("GET", f"/feeds/{feed}/events/1").status == 200
    answer = server.request("GET", f"/feeds/{feed}/events/2")
    assert (answer.status, answer.error["code"]) == (404, "unknown_event")


def test_what_an_entity_did_around_a_record(server: ServerProcess) -> None:
    feed = "followed"
    toml = '[feed]\nentities = ["card"]\ntime = "ts"\n'
    assert server.request("PUT", f"/feeds/{feed}", toml).status == 201
    records = [{"ts": 1_700_000_000 + i, "card": i % 3, "amount": 1.5 * i, "memo": "x"} for i in range(900)]
    for start in range(0, 900, 100):
        assert server.post(feed, records[start : start + 100]).status == 202
    answer = server.request("GET", f"/feeds/{feed}/events/500/history?entity=card&before=20&after=5")
    assert answer.status == 200, answer.body
    found = answer.json
    assert (found["field"], found["value"]) == ("card", "1")
    own = [seq for seq in range(1, 901) if (seq - 1) % 3 == 1]
    place = own.index(500)
    assert [one["seq"] for one in found["records"]] == own[place - 19 : place + 6]
    one = next(one for one in found["records"] if one["seq"] == 500)
    assert one["numbers"] == {"ts": 1_700_000_499, "card": 1, "amount": 1.5 * 499}
    assert one["time"] == "2023-11-14T22:21:39.000Z"
    for path, status, field in (
        (f"/feeds/{feed}/events/500/history", 400, "entity"),
        (f"/feeds/{feed}/events/500/history?entity=shop", 404, "seq"),
        (f"/feeds/{feed}/events/5000/history?entity=card", 404, "seq"),
        (f"/feeds/{feed}/events/none/history?entity=card", 400, "seq"),
        ("/feeds/nowhere/events/1/history?entity=card", 404, "feed"),
    ):
        answer = server.request("GET", path)
        assert (answer.status, answer.error["field"]) == (status, field), path
