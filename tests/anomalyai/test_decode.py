"""The fast path: it takes the clean, leaves all else to the exact reading, and has the same bits."""

import json
import math
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anomalyai.decode import Reader
from anomalyai.decode_exact import RecordError, check, flatten, parse
from anomalyai.decode_split import ArraySplitter, split_array, split_concatenated
from anomalyai.errors import UnreadableBody
from anomalyai.intake import Intake, IntakeLimits
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from tests.anomalyai.feeds import DECLARED, as_array, payments

LITERALS = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)


def settled(records: list[dict[str, Any]], declared: FeedSchema | None = None) -> FeedSchema:
    return RecordBatch.from_records(records, declared).schema.replace(settled=True)


SCHEMA = settled([{"n": 1.5, "k": "x", "b": True, "ts": "2026-01-01", "tags": [1], "fraud": 1}], DECLARED)


def takes(raw: bytes) -> bool:
    """Tell whether the fast path takes one record as clean."""
    reader = Reader(SCHEMA)
    try:
        rows = reader.rows([b"[" + raw + b"]"])
    except (msgspec.MsgspecError, ValueError):
        return False
    return reader.is_sound(raw, rows, reader.columns(rows))


@given(LITERALS)
@example("-0")
@example("9007199254740993")
@example("1e400")
@example("4.9e-324")
def test_number_literals_have_the_bits_that_python_gives_them(literal: str) -> None:
    intake = Intake(SCHEMA)
    admission = intake.admit(b'[{"n":' + literal.encode() + b"}]")
    expected = float(literal)
    if math.isinf(expected):
        assert [r.field for r in admission.rejected] == ["n"]
        return
    (batch,) = admission.items
    assert isinstance(batch, RecordBatch)
    assert batch.numbers[0, 0].tobytes() == np.float64(expected + 0.0).tobytes()


@pytest.mark.parametrize(
    "raw",
    [
        b'{"n":1,"k":"x","b":true,"ts":"2026-01-01","tags":[],"fraud":0}',
        b'{"n":1}',
        b"{}",
        b'{"n":null,"k":null,"b":null,"ts":null,"tags":null,"fraud":null}',
        b'{"n":1 , "k" : "a:b"}',
        b'{"k":":"}',
        b'{"k":"a\\"b"}',
        b'{"k":"a\\\\"}',
        b'{"k":"\\u00e9"}',
        b'{"k":"null"}',
        b'{"tags":["a","b"]}',
        b'{"tags":[1,null,true]}',
    ],
)
def test_clean_records_are_taken(raw: bytes) -> None:
    assert takes(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b'{"n":1,"n":2}',
        b'{"n":1,"n" :2}',
        b'{"k":"a","k":"b"}',
        b'{"n":1,"\\u006e":2}',
        b'{"k":"\\u0022","n":1,"n":2}',
        b'{"k":"a\\"","n":1,"n":2}',
        b'{"k":null,"k":null}',
        b'{"n":null,"n":1}',
        b'{"tags":[{"x":1,"x":2}]}',
        b'{"tags":[[1]]}',
        b'{"ts":"soon"}',
        b'{"fraud":2}',
        b'{"new":1}',
        b'{"n":"1"}',
        b'{"n":{"x":1}}',
        b'{"k":1}',
        b'{"b":"true"}',
        b'{"tags":"a"}',
        b"[1]",
    ],
)
def test_what_is_not_surely_clean_is_left_to_the_exact_reading(raw: bytes) -> None:
    assert not takes(raw)


VALUES = st.one_of(
    st.none(), st.integers(-5, 5), st.sampled_from(["", "a", '"', '":', "\\", "n", "\u00e9"]), st.just([1])
)
PAIRS = st.lists(st.tuples(st.sampled_from(["n", "k", "tags"]), VALUES), max_size=6)


@given(PAIRS, st.sampled_from([(",", ":"), (", ", ": "), (" ,", " :")]), st.booleans())
def test_the_fast_path_takes_nothing_that_the_exact_reading_refuses(
    pairs: list[tuple[str, Any]], separators: tuple[str, str], escaped: bool
) -> None:
    comma, colon = separators
    parts = [f'"{name}"{colon}{json.dumps(value, ensure_ascii=escaped)}' for name, value in pairs]
    raw = ("{" + comma.join(parts) + "}").encode()
    try:
        flat = flatten(parse(raw, 10_000), SCHEMA)
        exact = check(flat, SCHEMA) == {}
    except RecordError:
        exact = False
    assert not takes(raw) or exact
    if exact and not any(isinstance(value, str) and '"' in value for _, value in pairs):
        assert takes(raw)


@pytest.mark.parametrize("digits", [4_299, 4_300, 4_301])
@pytest.mark.parametrize("sign", ["", "-"])
def test_both_readings_take_integers_of_the_same_length(digits: int, sign: str) -> None:
    literal = sign + "7" * digits
    fast = Intake(SCHEMA).admit(f'[{{"card":{literal}}}]'.encode())
    exact = Intake(SCHEMA).admit(f'[{{"card":{literal},"new":1}}]'.encode())
    taken = len(literal) <= 4_300
    assert (fast.accepted, exact.accepted) == (taken, taken)
    batches = [item for item in (*fast.items, *exact.items) if isinstance(item, RecordBatch)]
    assert [batch.text(0, "card") for batch in batches] == [literal] * (2 * taken)


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a\x00b"])
def test_names_that_need_escaping_are_read_all_the_same(name: str) -> None:
    intake = Intake()
    admission = intake.admit(json.dumps([{name: 1.5, "k": "x"}, {name: 2.5}]).encode())
    assert admission.accepted == 2
    assert intake.schema.numbers == (name,)
    batches = [item for item in admission.items if isinstance(item, RecordBatch)]
    assert [v for batch in batches for v in batch.numbers[:, 0].tolist()] == [1.5, 2.5]
    again = RecordBatch.from_log(batches[-1].schema, "rows", batches[-1].body, 1)
    assert again.numbers.tolist() == batches[-1].numbers.tolist()


@pytest.mark.parametrize("text", ["},{", '"},{"', "x" * 50])
def test_arrays_above_the_record_limit_are_read_in_pieces(text: str) -> None:
    records = payments(200)
    for record in records:
        record["kind"] = text
    intake = Intake(settled(records), limits=IntakeLimits(max_record_bytes=400))
    admission = intake.admit(as_array(records))
    assert admission.rejected == []
    assert [item.n for item in admission.items if isinstance(item, RecordBatch)] == [200]
    records[77]["kind"] = "},{" * 200
    admission = intake.admit(as_array(records))
    assert [r.index for r in admission.rejected] == [77]
    assert "at most 400 bytes" in admission.rejected[0].error


ELEMENTS = [
    b'{"a": NaN}',
    b'{"b": "],[\\"}"}',
    b"[1,[2]]",
    b"7",
    b'"x\\\\"',
    b"",
    b"{}",
    b'{"deep": [{"x": [1, 2]}]}',
]


@given(st.lists(st.sampled_from(ELEMENTS), min_size=1), st.sampled_from([b",", b" , ", b",\n"]), st.data())
def test_an_array_splits_the_same_in_any_pieces(
    elements: list[bytes], comma: bytes, data: st.DataObject
) -> None:
    if elements == [b""]:
        elements = [b"1"]
    body = b" [ " + comma.join(elements) + b" ] "
    assert split_array(body) == elements
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    splitter = ArraySplitter()
    found: list[bytes] = []
    for start, stop in zip([0, *cuts], [*cuts, len(body)], strict=True):
        found += splitter.feed(body[start:stop])
    splitter.finish()
    assert found == elements


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b"[1", b'["a', b"[1]]", b"[1] 2", b"[{]"])
def test_what_is_no_array_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableBody) as caught:
        split_array(body)
    assert caught.value.hint


def test_objects_one_after_another_are_split() -> None:
    assert split_concatenated(b'{"a":"}{"}{"b":{}}\n{"c":[{}]} {"d"') == [
        b'{"a":"}{"}',
        b'{"b":{}}',
        b'{"c":[{}]}',
        b'{"d"',
    ]
    assert split_concatenated(b"") == []


def test_splitting_takes_time_in_proportion_to_the_body() -> None:
    for body in (b"[" * 200_000, b'["' + b"\\" * 200_000, b"[" + b'"a",' * 100_000, b"[" + b"{" * 200_000):
        with pytest.raises(UnreadableBody):
            split_array(body)
