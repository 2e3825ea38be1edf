"""Verdicts by data row, from a file or from a field of the records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from anomalyai.errors import UnreadableBody
from anomalyai.evaluation.word import read_verdicts, spoken
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema

ROWS = np.array([3, 1, 2, 9])


def test_a_file_of_verdicts_is_read_by_row(tmp_path: Path) -> None:
    path = tmp_path / "v.csv"
    path.write_text(
        "seq,verdict,time\n1,false_alarm,1970-01-01T00:01:00Z\n1,real,\n2,unsure,\n9,1,1970-01-02\n"
    )
    clock = read_verdicts(path).of(ROWS)
    assert np.array_equal(clock.label, [np.nan, 1.0, np.nan, 1.0], equal_nan=True)
    assert clock.known_s is not None
    assert np.array_equal(clock.known_s, [np.nan, np.nan, np.nan, 86_400.0], equal_nan=True)
    lines = tmp_path / "v.ndjson"
    lines.write_text('{"seq": 3, "label": 0}\n{"seq": 9, "label": true}\n')
    assert np.array_equal(read_verdicts(lines).of(ROWS).label, [0.0, np.nan, np.nan, 1.0], equal_nan=True)
    empty = tmp_path / "empty.csv"
    empty.write_text("seq,verdict\n")
    assert np.isnan(read_verdicts(empty).of(ROWS).label).all()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("seq,verdict\n1,real\n2,maybe\n", 'got "maybe" in row 2 of v.csv'),
        ("row,verdict\n1,real\n", "expected columns seq and verdict"),
        ("seq\n1\n", "expected columns seq and verdict"),
        ("seq,verdict\n0,real\n", "expected seq as a data row from 1 on, got 0 in row 1"),
        ("seq,verdict\nx,real\n", 'got "x" in row 1'),
        ("", "expected v.csv as CSV or NDJSON"),
    ],
)
def test_what_is_no_verdict_is_named(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "v.csv"
    path.write_text(text)
    with pytest.raises(UnreadableBody, match=problem):
        read_verdicts(path)


def test_verdicts_may_stand_in_a_field() -> None:
    schema = FeedSchema.from_toml('[feed]\nignore = ["judged"]\n')
    batch = RecordBatch.from_records(
        [{"x": 1.0, "judged": "real"}, {"x": 2.0}, {"x": 3.0, "judged": "false_alarm"}], schema
    )
    clock = spoken([batch], "judged").of(np.array([1, 2, 3]))
    assert np.array_equal(clock.label, [1.0, np.nan, 0.0], equal_nan=True)
    wrong = RecordBatch.from_records([{"x": 1.0, "judged": "hm"}], schema)
    with pytest.raises(UnreadableBody, match='got "hm" in field judged of row 1'):
        spoken([wrong], "judged")
