"""Replay: the timetable, the feed's name, what the server knows, and whole runs against a server."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulators.event_time import seconds, time_field, value_at
from simulators.json_values import FileError
from simulators.reading import Piece
from simulators.replay import NoEventTime, feed_name, known_types, replay, timetable
from tests.simulators.ingest_server import IngestServer


@pytest.fixture
def server() -> Iterator[IngestServer]:
    with IngestServer() as running:
        yield running


def dues(pieces: list[Piece], speed: float, name: str | None = None) -> list[tuple[float, int]]:
    return [(round(p.due_s, 6), p.count) for p in timetable(pieces, speed, name)]


def test_at_full_speed_a_piece_is_a_portion() -> None:
    pieces = [Piece(0, {"a": [1, 2]}), Piece(2, raw=[b"{}"], unreadable=[(3, "why")])]
    cut = list(timetable(pieces, None, None))
    assert [(p.due_s, p.count, p.columns, p.raw, p.unreadable) for p in cut] == [
        (0.0, 2, {"a": [1, 2]}, None, 0),
        (0.0, 1, None, [b"{}"], 1),
    ]


def test_records_are_due_by_event_time_over_speed() -> None:
    texts = ["2026-01-05T00:00:00Z", "2026-01-05T00:00:10Z", "2026-01-05T00:01:00Z"]
    assert dues([Piece(0, {"ts": texts})], 10) == [(0, 1), (1, 1), (6, 1)]
    assert dues([Piece(0, {"ts": texts[:1]}), Piece(1, {"ts": texts[1:]})], 10) == [(0, 1), (1, 1), (6, 1)]
    raws = [f'{{"at":{{"ts":{n}}}}}'.encode() for n in (1_767_571_200_000, 1_767_571_230_000)]
    assert dues([Piece(0, raw=raws)], 10, "at.ts") == [(0, 1), (3, 1)]


def test_records_of_one_tick_go_together_and_order_is_kept() -> None:
    times: list[Any] = [0, 0.01, 0.02, 100, None, 50, 100.04, 200, "soon"]
    cut = list(timetable([Piece(0, {"time": times, "n": list(range(9))})], 1, None))
    assert [n for p in cut for n in (p.columns or {})["n"]] == list(range(9))
    assert [(round(p.due_s, 6), p.count) for p in cut] == [(0.02, 3), (100.04, 4), (200, 2)]


def test_unreadable_rows_are_counted_once(capsys: pytest.CaptureFixture[str]) -> None:
    piece = Piece(0, {"time": [0, 10]}, unreadable=[(n, "why") for n in range(9)])
    assert [p.unreadable for p in timetable([piece, Piece(11, {}, unreadable=[(11, "x")])], 1, None)] == [
        9,
        0,
        1,
    ]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "data row 1 was left out: why"
    assert len(lines) == 6


def test_without_an_event_time_a_multiple_of_it_is_refused() -> None:
    for piece in (Piece(0, {"a": [1]}), Piece(0, raw=[b'{"a":1}']), Piece(0, raw=[b"17"]), Piece(0, {})):
        with pytest.raises(NoEventTime, match="--speed max"):
            list(timetable([piece], 2, None))
    assert list(timetable([], 2, None)) == []


def test_times_are_read_as_the_server_reads_them() -> None:
    from anomalyai.timestamp import parse_number, parse_text

    for text in ("2019-01-01 00:01:05", "2019-01-01T01:01:05.25+01:00", "2019-01-01", "1546300865", "4.5"):
        assert seconds(text) == parse_text(text)
    for number in (
        4,
        0.5,
        1_546_300_865,
        1_546_300_865_123,
        1_546_300_865_123_456,
        1_546_300_865_123_456_789,
    ):
        assert seconds(number) == pytest.approx(parse_number(number), abs=1e-6)
    for nothing in ("soon", None, True, float("nan"), [1]):
        assert seconds(nothing) is None


def test_the_time_field_is_found_by_name_and_value() -> None:
    assert time_field({"a": "2019-01-01", "date": "soon", "Timestamp": 3}) == "Timestamp"
    assert time_field({"a": "2019-01-01"}) is None
    assert value_at({"a": {"b.c": 1}, "a.x": 2}, "a.b.c") == 1
    assert value_at({"a": {"x": 1}, "a.x": 2}, "a.x") == 2
    assert value_at([1], "a") is None


@pytest.mark.parametrize(
    ("file", "toml", "name"),
    [
        ("card.csv", None, "card"),
        ("Köln Tills (2024).ndjson.gz", None, "k-ln-tills-2024"),
        ("_x.csv", None, "x"),
        ("***.csv", None, "replay"),
        ("a" * 90 + ".csv", None, "a" * 64),
        ("card.csv", '[feed]\nname = "tills_1"', "tills_1"),
        ("card.csv", '[feed]\nname = "My Tills"', "my-tills"),
        ("card.csv", "[feed]\nid = 'x'", "card"),
        ("card.csv", "feed = 3", "card"),
    ],
)
def test_the_feed_is_named_by_the_declaration_or_the_file(file: str, toml: str | None, name: str) -> None:
    assert feed_name(Path("some") / file, toml) == name


def test_a_declaration_that_is_no_toml_is_named() -> None:
    with pytest.raises(FileError, match="to be TOML"):
        feed_name(Path("a.csv"), "[feed")


def test_types_that_the_server_knows_are_taken_over() -> None:
    def field(name: str, kind: str, json_type: str, declared: bool) -> dict[str, Any]:
        return {"name": name, "kind": kind, "type": json_type, "declared": declared}

    fields = [
        field("card", "entity", "number", True),
        field("host", "entity", "number", False),
        field("flag", "category", "boolean", False),
        field("new", "category", "unknown", True),
        field("zip", "ignore", "unknown", True),
    ]
    known = known_types({"schema": {"fields": fields}})
    assert known == {"card": "string", "host": "number", "flag": "boolean", "zip": "string"}
    assert known_types(None) == {}


CSV = "ts,card,zip,amount,note\n" + "\n".join(
    f"2026-01-05T00:00:{n % 60:02d}Z,{3508169504374335123 + n % 3},0{n},{n / 8 if n % 4 else ''},n{n}"
    for n in range(2_500)
)


def test_a_csv_file_arrives_with_its_types(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "card.csv.gz"
    path.write_bytes(gzip.compress(CSV.encode()))
    server.fields = [{"name": "card", "kind": "entity", "type": "unknown", "declared": True}]
    toml = '[feed]\nentities = ["card"]\n'
    summary = replay(path, server.url, "card", toml=toml, speed=None, stop=threading.Event())
    assert server.declared == {"card": toml}
    assert (summary.feed, summary.sent, summary.accepted, summary.rejected) == ("card", 2_500, 2_500, 0)
    expected: list[dict[str, Any]] = [
        {
            "ts": f"2026-01-05T00:00:{n % 60:02d}Z",
            "card": str(3508169504374335123 + n % 3),
            "zip": f"0{n}",
            "amount": n / 8,
            "note": f"n{n}",
        }
        for n in range(2_500)
    ]
    for record in expected[::4]:
        del record["amount"]
    assert server.records["card"] == expected


def test_undeclared_large_integers_keep_their_digits(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "card.csv"
    path.write_text("card,n\n3508169504374335123,1\n3508169504374335124,2\n")
    replay(path, server.url, "card", toml=None, speed=None, stop=threading.Event())
    assert [record["card"] for record in server.records["card"]] == [3508169504374335123, 3508169504374335124]


def test_speed_multiplies_event_time(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "card.ndjson"
    path.write_text("\n".join(f'{{"ts":{1_767_571_200 + n * 10},"n":{n}}}' for n in range(21)))
    summary = replay(path, server.url, "card", toml=None, speed=200.0, stop=threading.Event())
    assert summary.sent == 21
    assert 0.95 < summary.seconds < 2.5
    assert [record["n"] for record in server.records["card"]] == list(range(21))
    assert len(server.frames) == 21


def test_a_broken_connection_loses_and_doubles_nothing(server: IngestServer, tmp_path: Path) -> None:
    path = tmp_path / "card.csv"
    path.write_text("n\n" + "\n".join(map(str, range(30_000))))
    server.breaks = {3: "after", 4: "before", 9: "after", 22: "before"}
    summary = replay(path, server.url, "card", toml=None, speed=None, stop=threading.Event())
    assert [record["n"] for record in server.records["card"]] == list(range(30_000))
    assert (summary.sent, summary.accepted) == (30_000, 30_000)
