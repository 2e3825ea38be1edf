"""Whatever comes in, over either transport: a clear error, good neighbours kept, a server that stays well.

`RECORDS` are bad records, each sent between two good ones; `BODIES` are bodies of which nothing can be read;
`REQUESTS` are bad in their address or headers. After each, the feed takes the next good record under the next
number; after all, the server is healthy and has counted no internal error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.sync.client import ClientConnection

from tests.serving import ServerProcess, receive

GOOD = b'{"amount": 1.5, "place": "here", "inner": {"x": 1}}'
JSON = "application/json"

RECORDS: dict[str, tuple[bytes, str | None]] = {
    # name: (record, field that is to blame)
    "NaN": (b'{"amount": NaN}', None),
    "Infinity": (b'{"amount": Infinity}', None),
    "minus Infinity": (b'{"amount": -Infinity}', None),
    "a number too large for a float": (b'{"amount": 1e400}', "amount"),
    "an integer too large for a float": (b'{"amount": 1' + b"0" * 400 + b"}", "amount"),
    "a string for a number": (b'{"amount": "1.5"}', "amount"),
    "a boolean for a number": (b'{"amount": true}', "amount"),
    "a number for a string": (b'{"amount": 1, "place": 5}', "place"),
    "an object for a number": (b'{"amount": {"x": 1}}', None),
    "a string inside for a number": (b'{"inner": {"x": "1"}}', "inner.x"),
    "a key twice": (b'{"amount": 1, "amount": 2}', "amount"),
    "a key twice, inside": (b'{"inner": {"x": 1, "x": 2}}', None),
    "too deep": (b'{"a": {"b": {"c": {"d": {"e": 1}}}}}', None),
    "far too deep": (b'{"a":' * 5000 + b"1" + b"}" * 5000, None),
    "a string of 2 MB": (b'{"place": "' + b"x" * 2_000_000 + b'"}', None),
    "invalid UTF-8": (b'{"place": "\xff\xfe"}', None),
    "a raw control character": (b'{"place": "a\x00b"}', None),
    "half a surrogate": (b'{"place": "\\ud800"}', None),
    "an unknown escape": (b'{"place": "\\q"}', None),
    "single quotes": (b"{'amount': 1}", None),
    "a trailing comma": (b'{"amount": 1,}', None),
    "a hexadecimal number": (b'{"amount": 0x10}', None),
    "a leading zero": (b'{"amount": 01}', None),
    "a bare word": (b"amount", None),
    "a number": (b"7", None),
    "a string": (b'"text"', None),
    "null": (b"null", None),
    "an array": (b"[1, 2]", None),
}

BODIES: dict[str, bytes] = {
    "a truncated array": b'[{"amount": 1}, {"amount":',
    "an array without its end": b'[{"amount": 1}, {"amount": 2}',
    "a truncated object": b'{"amount": 1, "place": "he',
    "two objects in an array's clothes": b'[{"amount": 1}]{"amount": 2}',
    "binary junk": bytes(range(256)) * 8,
    "zeros": b"\x00" * 1000,
    "UTF-16": '{"amount": 1}'.encode("utf-16"),
    "a page": b"<html><body>amount</body></html>",
    "a hundred thousand brackets": b"[" * 100_000,
    "only an end": b"]",
    "a number": b"7",
    "a word": b"amount",
}

HTTP_BODIES: dict[str, tuple[bytes, str | None, int]] = {
    "nothing": (b"", JSON, 400),
    "nothing, to be sniffed": (b"", None, 400),
    "blanks": (b" \r\n\t ", JSON, 400),
    "lines called JSON": (GOOD + b"\n" + GOOD, JSON, 400),
    "XML": (GOOD, "application/xml", 415),
    "a file upload": (GOOD, "multipart/form-data; boundary=x", 415),
    "an image": (b"\x89PNG\r\n", "image/png", 415),
    "no media type at all": (GOOD, "nonsense", 415),
    "another charset": (GOOD, "application/json; charset=iso-8859-1", 415),
    "CSV with a header alone": (b"amount,place\n", "text/csv", 202),
    "CSV with the same column twice": (b"amount,amount\n1,2\n", "text/csv", 400),
    "CSV with an open quote": (b'amount,place\n1,"here\n', "text/csv", 422),
    "65 MB": (b"[" + b" " * (65 << 20) + b"]", JSON, 413),
}

NAMES = ["UPPER", "a b", "-a", "_a", "a" * 65, "a.b", "..", "\u00e9", "a;b", "a%00b", "<script>"]

SOCKET_FRAMES: dict[str, bytes] = {
    "columns of unequal lengths": b'{"batch": 1, "columns": {"amount": [1, 2], "place": ["x"]}}',
    "columns that are no lists": b'{"batch": 1, "columns": {"amount": 1}}',
    "records that are no list": b'{"batch": 1, "records": {"amount": 1}}',
    "a batch number of zero": b'{"batch": 0, "records": []}',
    "a negative batch number": b'{"batch": -1, "records": []}',
    "a batch number in words": b'{"batch": "one", "records": []}',
    "a batch number with a fraction": b'{"batch": 1.5, "records": []}',
    "nothing": b"",
}


@pytest.fixture(scope="module")
def suffering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Yield a server for the whole table; after it, it must be well and have counted no internal error."""
    server = ServerProcess(tmp_path_factory.mktemp("bad") / "data").start()
    try:
        (worker,) = server.workers()
        yield server
        assert server.request("GET", "/healthz").json == {"status": "ok"}
        assert server.request("GET", "/readyz").json == {"ready": True, "causes": []}
        assert server.metric("anomalyai_internal_errors_total") == 0, server.stderr()
        assert server.workers() == [worker]
        assert "Traceback" not in server.stderr()
        assert server.stop()[0] == 0
    finally:
        server.kill()


def array(record: bytes) -> bytes:
    return b"[" + GOOD + b", " + record + b", " + GOOD + b"]"


def clear(error: dict[str, Any]) -> None:
    """Check that an error says something, without the inside of the program and without flooding."""
    text = error["message"] if "message" in error else error["error"]
    assert 10 <= len(text) <= 500, text
    assert text.isprintable(), text
    for inside in ("Traceback", "Error(", "msgspec", "object at 0x", ".py"):
        assert inside not in text, text


def takes_next(server: ServerProcess, feed: str, accepted: int) -> None:
    """Check that the feed takes the next good record under the next number."""
    answer = server.request("POST", f"/feeds/{feed}/events", GOOD, {"Content-Type": JSON})
    assert (answer.status, answer.json["first_seq"]) == (202, accepted + 1), answer.body


@pytest.mark.parametrize("name", RECORDS)
def test_a_bad_record_over_http(suffering: ServerProcess, feed: str, name: str) -> None:
    record, field = RECORDS[name]
    takes_next(suffering, feed, 0)
    answer = suffering.request("POST", f"/feeds/{feed}/events", array(record), {"Content-Type": JSON})
    assert answer.status == 202, answer.body
    judge(answer.json, field)
    takes_next(suffering, feed, 3)
    alone = suffering.request("POST", f"/feeds/{feed}/events", b"[" + record + b"]", {"Content-Type": JSON})
    assert alone.status == 422, alone.body
    takes_next(suffering, feed, 4)


@pytest.mark.parametrize("name", RECORDS)
def test_a_bad_record_over_a_socket(suffering: ServerProcess, feed: str, name: str) -> None:
    record, field = RECORDS[name]
    with suffering.socket(f"/feeds/{feed}/ingest") as socket:
        receive(socket)
        assert ask(socket, GOOD)["first_seq"] == 1
        ack = ask(socket, array(record))
        assert ack["type"] == "ack", ack
        judge(ack, field)
        assert ask(socket, GOOD)["first_seq"] == 4


def judge(answer: dict[str, Any], field: str | None) -> None:
    assert answer["accepted"] == 2, answer
    assert (answer["first_seq"], answer["last_seq"]) == (2, 3)
    (rejection,) = answer["rejected"]
    assert rejection["index"] == 1
    if field is not None:
        assert rejection["field"] == field
    clear(rejection)


def ask(socket: ClientConnection, frame: bytes) -> dict[str, Any]:
    socket.send(frame)
    return receive(socket)


@pytest.mark.parametrize("name", BODIES)
def test_an_unreadable_body_over_http(suffering: ServerProcess, feed: str, name: str) -> None:
    takes_next(suffering, feed, 0)
    # Text of several lines without a type is a table with a header, whatever the header says.
    sniffed = () if b"\n" in BODIES[name] else (None, "application/x-www-form-urlencoded")
    for media in (JSON, *sniffed):
        headers = {"Content-Type": media} if media else {}
        answer = suffering.request("POST", f"/feeds/{feed}/events", BODIES[name], headers)
        assert answer.status == 400, (media, answer.body)
        clear(answer.error)
    takes_next(suffering, feed, 1)


@pytest.mark.parametrize("name", [*BODIES, *SOCKET_FRAMES])
def test_an_unreadable_frame(suffering: ServerProcess, feed: str, name: str) -> None:
    with suffering.socket(f"/feeds/{feed}/ingest") as socket:
        receive(socket)
        assert ask(socket, GOOD)["first_seq"] == 1
        answer = ask(socket, {**BODIES, **SOCKET_FRAMES}[name])
        assert answer["type"] == "error", answer
        clear(answer["error"])
        assert ask(socket, GOOD)["first_seq"] == 2


@pytest.mark.parametrize("name", HTTP_BODIES)
def test_a_body_that_http_makes_worse(suffering: ServerProcess, feed: str, name: str) -> None:
    body, media, status = HTTP_BODIES[name]
    answer = suffering.request(
        "POST", f"/feeds/{feed}/events", body, {"Content-Type": media} if media else {}
    )
    assert answer.status == status, answer.body
    if status == 422:
        clear(answer.json["rejected"][0])
    elif status >= 400:
        clear(answer.error)
    takes_next(suffering, feed, 0)


@pytest.mark.parametrize("name", NAMES)
def test_a_bad_feed_name(suffering: ServerProcess, name: str) -> None:
    path = "/feeds/" + "".join(f"%{byte:02x}" for byte in name.encode())
    for method, route, body in (("POST", f"{path}/events", GOOD), ("PUT", path, b"[feed]")):
        answer = suffering.request(method, route, body)
        assert answer.status == 400, (method, answer.body)
        assert answer.error["field"] == "feed"
        clear(answer.error)
    feeds = suffering.request("GET", "/feeds").json["feeds"]
    assert name not in [feed["feed"] for feed in feeds]


def test_bad_lines_and_rows_are_named_and_their_neighbours_kept(suffering: ServerProcess, feed: str) -> None:
    lines = b"\n".join([GOOD, b'{"amount": NaN}', b"{", b"junk", GOOD])
    answer = suffering.request(
        "POST", f"/feeds/{feed}/events", lines, {"Content-Type": "application/x-ndjson"}
    )
    assert [r["index"] for r in answer.json["rejected"]] == [1, 2, 3]
    assert answer.json["accepted"] == 2
    rows = b"amount,place\n1.5,here\nx,here\n2.5\n3.5,here,there\n4.5,here\n"
    answer = suffering.request("POST", f"/feeds/{feed}/events", rows, {"Content-Type": "text/csv"})
    assert [r["index"] for r in answer.json["rejected"]] == [1, 2, 3]
    assert (answer.json["accepted"], answer.json["last_seq"]) == (2, 4)
    for rejection in answer.json["rejected"]:
        clear(rejection)


def test_unknown_fields_and_missing_ones_are_tolerated(suffering: ServerProcess, feed: str) -> None:
    records = [{"a": 1}, {"b": "x"}, {}, {"a": None, "c": {"d": True}}, {"a": 2, "e": [1, {"f": 2}]}]
    answer = suffering.post(feed, records)
    assert answer.status == 202
    assert answer.json["accepted"] == len(records)
    for seq, record in enumerate(records, 1):
        assert suffering.request("GET", f"/feeds/{feed}/events/{seq}").json["record"] == record


def test_a_thousand_fields_are_bounded_not_refused(suffering: ServerProcess, feed: str) -> None:
    answer = suffering.post(feed, {f"f{i}": i for i in range(1000)})
    assert (answer.status, answer.json["accepted"]) == (202, 1), answer.body
    assert len(suffering.request("GET", f"/feeds/{feed}").json["schema"]["fields"]) <= 512


def test_many_rejections_are_answered_within_bounds(suffering: ServerProcess, feed: str) -> None:
    answer = suffering.post(feed, [1] * 20_000)
    assert answer.status == 422
    assert len(json.dumps(answer.json)) < 8 << 20
