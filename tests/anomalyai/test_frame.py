"""Socket frames: which are envelopes, and what is in them."""

import pytest

from anomalyai.errors import UnreadableBody
from anomalyai.frame import Frame, open_frame
from anomalyai.intake import Intake


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"batch":7,"records":[{"a":1}]}', Frame(7, "rows", b'[{"a":1}]')),
        (b' {"records" : [ ] , "batch" : 1 } ', Frame(1, "rows", b"[ ]")),
        (b'{"batch":2,"columns":{"a":[1,2]}}', Frame(2, "columns", b'{"a":[1,2]}')),
        ('{"batch":3,"records":[{"ä":1}]}', Frame(3, "rows", '[{"ä":1}]'.encode())),
        (b'[{"a":1}]', Frame(None, "rows", b'[{"a":1}]')),
        (b'{"a":1}', Frame(None, "ndjson", b'{"a":1}')),
        (b'{"a":1}\n{"a":2}\n', Frame(None, "ndjson", b'{"a":1}\n{"a":2}')),
        (b'{"batch":7}', Frame(None, "ndjson", b'{"batch":7}')),
        (b'{"batch":7,"amount":1}', Frame(None, "ndjson", b'{"batch":7,"amount":1}')),
        (b'{"records":[]}', Frame(None, "ndjson", b'{"records":[]}')),
        (
            b'{"batch":7,"records":[],"x":1}',
            Frame(None, "ndjson", b'{"batch":7,"records":[],"x":1}'),
        ),
        (
            b'{"batch":7,"records":[],"columns":{}}',
            Frame(None, "ndjson", b'{"batch":7,"records":[],"columns":{}}'),
        ),
        (b'{"batch":5,"records":[{"a":NaN},{"a":1}]}', Frame(5, "rows", b'[{"a":NaN},{"a":1}]')),
        (b'{"records":[{"a":NaN}],"batch":5}', Frame(5, "rows", b'[{"a":NaN}]')),
        (b'{"batch":5,"columns":{"a":[NaN]}}', Frame(5, "columns", b'{"a":[NaN]}')),
    ],
)
def test_frames_are_told_apart(data: bytes | str, expected: Frame) -> None:
    assert open_frame(data) == expected


@pytest.mark.parametrize("batch", ["0", "-1", '"7"', "1.5", "null", "true", "[1]", str(2**60)])
@pytest.mark.parametrize("key", ["records", "columns"])
def test_a_batch_number_is_a_whole_number_from_one(batch: str, key: str) -> None:
    with pytest.raises(UnreadableBody, match="'batch' to be a whole number from 1") as caught:
        open_frame(f'{{"batch":{batch},"{key}":[]}}')
    assert caught.value.field == "batch"


@pytest.mark.parametrize("data", [b"", "  ", b"7", '"text"', b"hello", b"\xff\xfe"])
def test_other_frames_say_what_to_send(data: bytes | str) -> None:
    with pytest.raises(UnreadableBody, match="envelope") as caught:
        open_frame(data)
    assert '"records"' in str(caught.value.hint)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (b'{"a":[1,2],"b":[1]}', ("equal length", "2", "1")),
        (b'{"a":[1,2],"b":3}', ('column "b" to be an array', "the number 3")),
        (b'{"a":[1],"a":[2]}', ("each key once",)),
        (b'{"a" :[1], "a" :[2]}', ("each key once",)),
        (b"[[1,2]]", ("object of columns", "an array")),
        (b'{"a":[1,2}', ("valid JSON",)),
        (b'{"a":["\xff"]}', ("UTF-8",)),
    ],
)
def test_columns_that_are_no_table_are_unreadable(columns: bytes, words: tuple[str, ...]) -> None:
    intake = Intake()
    with pytest.raises(UnreadableBody) as caught:
        intake.admit_frame(Frame(1, "columns", columns))
    for word in words:
        assert word in caught.value.message
    assert caught.value.hint
    assert intake.accepted == 0


@pytest.mark.parametrize("columns", [b"{}", b'{"a":[]}', b'{"a":[],"b":[]}'])
def test_empty_columns_are_accepted(columns: bytes) -> None:
    intake = Intake()
    admission = intake.admit_frame(Frame(1, "columns", columns))
    assert (admission.items, admission.rejected) == ([], [])
    assert intake.counters.empty_bodies == 1


def test_a_literal_that_is_no_number_is_no_text_either() -> None:
    intake = Intake()
    intake.admit(b'[{"a":1,"b":"x"}]')
    admission = intake.admit_frame(Frame(1, "columns", b'{"a":[1,2,3],"b":["p",NaN,"q"]}'))
    assert [(r.index, r.field) for r in admission.rejected] == [(1, "b")]
    assert "finite number" in admission.rejected[0].error
    assert admission.accepted == 2


def test_bad_values_in_columns_refuse_their_records_alone() -> None:
    intake = Intake()
    intake.admit(b'[{"a":1,"b":"x"}]')
    body = b'{"a":[1,"y",NaN,4,1e999,6],"b":["p","q","r",5,"t","u"],"c":[null,null,null,null,null,[1]]}'
    admission = intake.admit_frame(Frame(1, "columns", body))
    assert [(r.index, r.field) for r in admission.rejected] == [(1, "a"), (2, "a"), (3, "b"), (4, "a")]
    assert admission.accepted == 2
    assert admission.new_fields == ["c"]
