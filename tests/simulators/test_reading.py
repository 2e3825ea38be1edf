"""Files of records in pieces: forms, damage, bounded memory, and the server's own reading as the measure."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import msgspec
import pytest

from simulators import json_values, reading
from simulators.json_values import FileError
from simulators.reading import Piece, RecordFile

RECORDS: list[dict[str, Any]] = [
    {"n": n, "text": f'a"{{[{n}', "deep": {"x": [n, None]}} for n in range(25_000)
]


def read(path: Path, known: dict[str, str] | None = None) -> list[Piece]:
    with RecordFile(path) as file:
        pieces = list(file.pieces(known))
        assert file.position_bytes() == file.size_bytes == path.stat().st_size
    return pieces


def records(pieces: list[Piece]) -> list[Any]:
    return [msgspec.json.decode(raw) for piece in pieces for raw in piece.raw]


def column(pieces: list[Piece], name: str) -> list[Any]:
    return [value for piece in pieces for value in (piece.columns or {})[name]]


def stored(folder: Path, name: str, text: str | bytes) -> Path:
    data = text.encode() if isinstance(text, str) else text
    path = folder / name
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return path


@pytest.mark.parametrize(
    "name", ["a.ndjson", "a.jsonl.gz", "a.json", "a.json.gz", "a.JSON", "a", "indented.json"]
)
def test_json_in_every_form_keeps_all_records_in_order(tmp_path: Path, name: str) -> None:
    if "jsonl" in name or "ndjson" in name:
        text = "\n\n".join(json.dumps(record) for record in RECORDS)
    else:
        text = json.dumps(RECORDS, indent=1 if name == "indented.json" else None)
    pieces = read(stored(tmp_path, name, text))
    assert records(pieces) == RECORDS
    assert [piece.first_row for piece in pieces[:2]] == [0, 10_000]
    assert max(map(len, pieces)) == 10_000


def test_values_in_a_row_are_read_as_records(tmp_path: Path) -> None:
    text = "\ufeff" + "\n".join(json.dumps(record, indent=2) for record in RECORDS[:50])
    assert records(read(stored(tmp_path, "a.json", text))) == RECORDS[:50]


def test_json_texts_are_passed_on_as_they_are(tmp_path: Path) -> None:
    lines = ['{"card": 3508169504374335123, "x": 1.0}', '{"x":1e2,"x":2}', '{"x": 0.1000}', "17"]
    for name, text in (("a.ndjson", "\n".join(lines)), ("a.json", f"[{','.join(lines)}]")):
        (piece,) = read(stored(tmp_path, name, text))
        assert piece.raw == [line.encode() for line in lines]


def test_a_line_that_is_no_json_is_left_out_and_named(tmp_path: Path) -> None:
    (piece,) = read(stored(tmp_path, "a.ndjson", '{"a":1}\nnonsense\n{"a":NaN}\n{"a":2}\n{"a":3'))
    assert piece.raw == [b'{"a":1}', b'{"a":2}']
    assert [row for row, _ in piece.unreadable] == [1, 2, 4]
    assert all("expected a JSON object" in reason for _, reason in piece.unreadable)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[{"a":1}', r"the array's end|a comma"),
        ('[{"a":1} {"a":2}]', "a comma or the array's end at character 9"),
        ('[{"a":1}, {"a":]', "a JSON value"),
        ('[{"a":1}, {"a', "a JSON value"),
        ('[{"a":1},', "the array's end"),
        ("[" * 100_000, "nesting"),
    ],
)
def test_a_broken_array_is_named_with_its_place(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(FileError, match=expected):
        read(stored(tmp_path, "a.json", text))


def test_memory_stays_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIECE_BYTES", 200_000)
    monkeypatch.setattr(json_values, "READ_BYTES", 50_000)
    line = json.dumps({"text": "x" * 500})
    for name, text in (
        ("a.ndjson.gz", "\n".join([line] * 40_000)),
        ("a.json.gz", f"[{','.join([line] * 40_000)}]"),
        ("a.csv.gz", "text,n\n" + "\n".join([f"{'x' * 500},1"] * 40_000)),
    ):
        path = stored(tmp_path, name, text)
        tracemalloc.start()
        with RecordFile(path) as file:
            count = sum(len(piece) for piece in file.pieces())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == 40_000
        assert peak < len(text) * 0.2, name


def test_csv_cells_have_the_types_of_their_columns(tmp_path: Path) -> None:
    text = '\ufeffcard,amount,zip,note\r\n3508169504374335123,1.50,00501,\r\n4000,,10001,"a,\nb"\r\n'
    (piece,) = read(stored(tmp_path, "a.csv.gz", text))
    assert piece.columns == {
        "card": [3508169504374335123, 4000],
        "amount": [1.5, None],
        "zip": ["00501", "10001"],
        "note": [None, "a,\nb"],
    }


def test_known_types_hold(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.csv", "card,flag,n\n3508169504374335123,TRUE,1\n0017,,x\n")
    (piece,) = read(path, {"card": "string", "flag": "boolean", "n": "number"})
    assert piece.columns == {"card": ["3508169504374335123", "0017"], "flag": [True, None], "n": [1, "x"]}


def test_a_type_once_found_holds_for_the_rest(tmp_path: Path) -> None:
    rows = ["1,"] * 10_000 + ["x,7"] * 10_000 + ["2,y"]
    pieces = read(stored(tmp_path, "a.csv", "a,late\n" + "\n".join(rows)))
    assert column(pieces, "a") == [1] * 10_000 + ["x"] * 10_000 + [2]
    assert column(pieces, "late") == [None] * 10_000 + [7] * 10_000 + ["y"]


def test_rows_that_do_not_fit_are_left_out_and_named(tmp_path: Path) -> None:
    text = b'a,b\n1,2\n3\n4,5,6\n7,\xff\n8,"9"x\n\n10,11\n'
    (piece,) = read(stored(tmp_path, "a.csv", text))
    assert piece.columns == {"a": [1, 10], "b": [2, 11]}
    assert [row for row, _ in piece.unreadable] == [1, 2, 3, 4]
    reasons = [reason for _, reason in piece.unreadable]
    assert reasons[:3] == [
        "expected 2 cells as in the header, got 1",
        "expected 2 cells as in the header, got 3",
        "expected UTF-8, got other bytes",
    ]
    assert "quote cells" in reasons[3]


@pytest.mark.parametrize(("text", "expected"), [("", "an empty file"), ("a,b,a\n1,2,3\n", "got 'a' twice")])
def test_a_header_that_cannot_be_is_named(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(FileError, match=expected):
        read(stored(tmp_path, "a.csv", text))


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.csv.gz", "a,b\n" + "1,2\n" * 100_000)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(FileError, match=r"a\.csv\.gz: expected a whole gzip file"):
        read(path)


def test_a_file_reads_as_the_back_test_reads_it(tmp_path: Path) -> None:
    from anomalyai.files import read_batches
    from anomalyai.records import RecordBatch

    rows = [
        f"t{n},{n % 7 / 10},{3508169504374335000 + n % 5},{n % 3 or ''},{'x' if n % 50 == 49 else n}"
        for n in range(2_000)
    ]
    path = stored(tmp_path, "a.csv.gz", "id,amount,card,few,mixed\n" + "\n".join(rows))
    theirs = [
        batch.record(i)
        for batch in read_batches(path, batch_rows=10_000)
        if isinstance(batch, RecordBatch)
        for i in range(batch.n)
    ]
    (piece,) = read(path)
    assert piece.columns is not None
    names = list(piece.columns)
    ours = [dict(zip(names, row, strict=True)) for row in zip(*piece.columns.values(), strict=True)]
    assert len(ours) == len(theirs) == 2_000
    assert [json.dumps(record) for record in ours] == [json.dumps(record) for record in theirs]
