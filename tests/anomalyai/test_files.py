"""Files: the same bits as over the wire, rows named by their place in the file, bounded memory."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomalyai import files
from anomalyai.control import SchemaChange
from anomalyai.errors import StateError, TooLarge, UnreadableBody
from anomalyai.files import FileBatches, read_batches
from anomalyai.intake import Intake, IntakeLimits
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from tests.anomalyai.feeds import DECLARED, as_array, as_csv, as_lines, contents, payments

RECORDS = [{k: v for k, v in record.items() if k != "present"} for record in payments(1_300)]

FORMS = {
    "feed.csv": as_csv(RECORDS),
    "feed.csv.gz": gzip.compress(as_csv(RECORDS)),
    "feed.jsonl": as_lines(RECORDS),
    "feed.ndjson.gz": gzip.compress(b"\xef\xbb\xbf" + as_lines(RECORDS)),
    "feed.json": as_array(RECORDS),
    "feed.json.gz": gzip.compress(json.dumps(RECORDS, indent=1).encode()),
    "feed": as_array(RECORDS),
    "feed.dat": as_csv(RECORDS),
    "lines.json": as_lines(RECORDS),
}


def write(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def batches(items: list[Any]) -> list[RecordBatch]:
    return [item for item in items if isinstance(item, RecordBatch)]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("batch_rows", [10_000, 300, 7])
def test_every_form_gives_the_bits_of_the_wire(tmp_path: Path, name: str, batch_rows: int) -> None:
    reading = read_batches(write(tmp_path, name, FORMS[name]), DECLARED, batch_rows=batch_rows)
    items = list(reading)
    expected = Intake(DECLARED).admit(as_array(RECORDS)).items
    assert contents(items)[1:] == contents(expected)[1:]
    assert (reading.records, reading.rejected, reading.rejections) == (1_300, 0, [])
    assert np.concatenate([batch.rows for batch in batches(items)]).tolist() == list(range(1, 1_301))
    assert max(batch.n for batch in batches(items)) <= batch_rows
    assert reading.intake.schema == batches(items)[-1].schema


def test_without_a_schema_everything_is_inferred(tmp_path: Path) -> None:
    items = list(read_batches(write(tmp_path, "feed.json", FORMS["feed.json"])))
    assert isinstance(items[0], SchemaChange)
    assert contents(items) == contents(Intake().admit(as_array(RECORDS)).items)


@pytest.mark.parametrize("batch_rows", [4, 100])
def test_refused_rows_are_named_by_their_place_in_the_file(tmp_path: Path, batch_rows: int) -> None:
    declared = FeedSchema.from_toml('[feed]\nnumbers = ["a"]\n')
    lines = [b'{"a":1,"b":"x"}'] * 30
    lines[5], lines[17], lines[29] = b'{"a":"bad"}', b"garbage", b'{"a":1,"a":2}'
    table = [b"a,b"] + [b"1,x"] * 30
    table[6], table[18], table[30] = b"bad,x", b"1", b"nan,x"
    array = b"[" + b",".join(lines) + b"]"
    for name, data in (("x.jsonl", b"\n".join(lines)), ("x.csv", b"\n".join(table)), ("x.json", array)):
        reading = read_batches(write(tmp_path, name, data), declared, batch_rows=batch_rows)
        rows = np.concatenate([batch.rows for batch in batches(list(reading))]).tolist()
        assert rows == [row for row in range(1, 31) if row not in (6, 18, 30)]
        assert [r.index for r in reading.rejections] == [5, 17, 29]
        assert (reading.records, reading.rejected) == (30, 3)


def test_only_the_first_refusals_are_kept(tmp_path: Path) -> None:
    data = b"\n".join([b'{"a":1}', *[b"rubbish"] * (files.KEPT_REJECTIONS + 500)])
    reading = read_batches(write(tmp_path, "x.jsonl", data), batch_rows=100)
    assert len(batches(list(reading))) == 1
    assert len(reading.rejections) == files.KEPT_REJECTIONS
    assert reading.rejected == files.KEPT_REJECTIONS + 500


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv"])
def test_pieces_may_end_anywhere(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    records = [{"t": f'a "quoted", [bracketed] \\ text {i}', "n": i, "o": None} for i in range(300)]
    form = {"x.jsonl": as_lines, "x.json": as_array, "x.csv": as_csv}[name]
    path = write(tmp_path, name, form(records))
    whole = contents(read_batches(path))
    for piece in (1, 2, 3, 17, 1000):
        monkeypatch.setattr(files, "PIECE_BYTES", piece)
        assert contents(read_batches(path)) == whole


def test_a_line_above_the_limit_is_refused_alone(tmp_path: Path) -> None:
    data = b'{"a":1}\n{"a":"' + b"x" * 50_000 + b'"}\n{"a":2}'
    reading = read_batches(write(tmp_path, "x.jsonl", data), limits=IntakeLimits(max_record_bytes=1_000))
    assert [batch.rows.tolist() for batch in batches(list(reading))] == [[1], [3]]
    assert "at most 1000 bytes" in reading.rejections[0].error


def test_a_line_without_an_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_LINE_BYTES", 10_000)
    monkeypatch.setattr(files, "PIECE_BYTES", 1_000)
    path = write(tmp_path, "x.csv", b"a,b\n1,2\n" + b"3" * 50_000)
    with pytest.raises(TooLarge, match="lines of at most 10000 bytes"):
        list(read_batches(path))


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("x.csv", b"", "header line"),
        ("x.json", b'[{"a":1},{"a":2}', "end with ]"),
        ("x.json", b'[{"a":1}] x', "nothing after the array"),
        ("x.csv.gz", gzip.compress(FORMS["feed.csv"])[:-20], "whole gzip file"),
        ("x.csv.gz", gzip.compress(FORMS["feed.csv"])[:200] + b"rubbish" * 50, "whole gzip file"),
    ],
)
def test_a_file_that_is_none_is_told(tmp_path: Path, name: str, data: bytes, words: str) -> None:
    with pytest.raises(UnreadableBody, match=words):
        list(read_batches(write(tmp_path, name, data)))


@pytest.mark.parametrize(("name", "data"), [("x.json", b"[]"), ("x.jsonl", b"\n\n"), ("x.csv", b"a,b\n")])
def test_a_file_without_records_gives_nothing(tmp_path: Path, name: str, data: bytes) -> None:
    reading = read_batches(write(tmp_path, name, data))
    assert isinstance(reading, FileBatches)
    assert list(reading) == []
    assert reading.records == 0


def test_a_reading_is_for_one_pass_and_may_be_left_early(tmp_path: Path) -> None:
    reading = read_batches(write(tmp_path, "x.csv", FORMS["feed.csv"]), batch_rows=10)
    for item in reading:
        if isinstance(item, RecordBatch):
            break
    assert reading.records == 10
    with pytest.raises(StateError, match=r"read x\.csv once"):
        iter(reading)


def test_a_missing_file_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        list(read_batches(tmp_path / "none.csv"))
