"""Bytes that nobody in his right mind would send: the decoder neither crashes nor lies, and reads on."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyai.control import SchemaChange
from anomalyai.errors import UnreadableBody
from anomalyai.frame import open_frame
from anomalyai.pipeline import Pipeline
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema
from tests.anomalyai.hostile import GOOD, MEDIA, judge, new_intake

WAYS = len(MEDIA) + 1

SPLINTERS = [
    b'{"batch":', b'"records":[', b'"columns":{', b'"a":', b'"time":', b'"who":', b'"kind":', b'"new":', b"1",
    b"-0", b"1e400", b"NaN", b"Infinity", b"-", b'"x"', b'"\\ud800"', b'"\xff"', b'"\x00"', b"null", b"true",
    b"[", b"]", b"{", b"}", b",", b":", b'"', b"\\", b"\n", b"\r\n", b" ", b"\xef\xbb\xbf", b"\xfe", GOOD,
    b"9" * 30, b'{"a":' * 70, b"[" * 3000, b'"' + b"k" * 5000 + b'"', b"a,kind\n1,x\n", b"\x1f\x8b\x08",
]  # fmt: skip
"""What frames are made of, and what breaks them."""

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["time", "who", "kind", "a", "b", "bad", "batch", "records", "columns"]) | st.text()
documents = st.one_of(
    values,
    st.lists(st.dictionaries(names, values, max_size=5), max_size=5),
    st.fixed_dictionaries(
        {"batch": values, "records": st.lists(st.dictionaries(names, values, max_size=5), max_size=5)}
    ),
    st.fixed_dictionaries(
        {"batch": st.just(1), "columns": st.dictionaries(names, st.lists(values, max_size=4), max_size=4)}
    ),
).map(msgspec.json.encode)
splintered = st.lists(st.sampled_from(SPLINTERS), max_size=12).map(b"".join)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Change, drop or double some bytes of a document."""
    data = bytearray(draw(documents))
    for _ in range(draw(st.integers(1, 4))):
        if not data:
            break
        place = draw(st.integers(0, len(data) - 1))
        data[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=3))
    return bytes(data)


frames = st.one_of(st.binary(max_size=200), splintered, documents, damaged())


@settings(max_examples=150, deadline=5_000)
@given(data=frames, way=st.integers(0, WAYS - 1), known=st.booleans())
def test_whatever_comes_in_is_taken_to_the_bit_or_refused_with_a_reason(
    data: bytes, way: int, known: bool
) -> None:
    judge(new_intake(known), data, way)


@settings(max_examples=10, deadline=None)
@given(bodies=st.lists(st.tuples(frames, st.integers(0, WAYS - 1)), max_size=12))
def test_an_intake_that_has_seen_much_nonsense_still_keeps_its_promises(
    bodies: list[tuple[bytes, int]],
) -> None:
    """What it admits, a pipeline takes: also when fields change while their kinds are provisional."""
    intake, pipeline, seq = new_intake(known=False), Pipeline(FeedSchema()), 0
    for data, way in bodies:
        for item in judge(intake, data, way):
            if isinstance(item, SchemaChange):
                pipeline.apply(item)
            else:
                assert np.isfinite(pipeline.process(item.numbered(seq + 1)).score).all()
                seq += item.n


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"x": {"a": 1}}', b'{"x": 5}'),
        (b'{"x": {}}', b'{"x": [1]}'),
        (b'{"x": {"y": {"z": 1}, "a": 2}}', b'{"x": {"y": "text"}}'),
        (b'{"x.y": 1, "z": {}}', b'{"x": 3, "z": "text"}'),
    ],
)
def test_a_name_may_hold_an_object_first_and_a_value_later(before: bytes, after: bytes) -> None:
    """When the kinds are inferred anew, the first records are read again: what no longer fits is missing."""
    intake, pipeline, seq = new_intake(known=False), Pipeline(FeedSchema()), 0
    for data in (before, *[after] * 520):
        for item in intake.admit(data, "application/json", arrival_s=1.0).items:
            if isinstance(item, SchemaChange):
                pipeline.apply(item)
            else:
                pipeline.process(item.numbered(seq + 1))
                seq += item.n
    assert seq == intake.accepted == 521
    assert pipeline.schema.settled


@pytest.mark.parametrize("way", range(WAYS))
def test_every_splinter_alone_is_survived(way: int) -> None:
    for known in (True, False):
        for splinter in SPLINTERS:
            judge(new_intake(known), splinter, way)


def test_a_key_that_is_no_utf_8_is_a_fault_of_the_frame() -> None:
    assert open_frame(b'{"\xff\xff":1}').form == "ndjson"
    intake = new_intake(known=True)
    admission = intake.admit_frame(open_frame(b'{"\xff\xff":1}'), arrival_s=1.0)
    assert [rejection.index for rejection in admission.rejected] == [0]
    with pytest.raises(UnreadableBody):
        open_frame(b"\xff")


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("body", [b'[{"a":2}}\n', b'[{"a":2}}]', b'[{"a":2}{"a":3}]', b'[{"a":2},]'])
def test_an_array_that_is_no_json_never_reaches_the_log_as_it_is(body: bytes, known: bool) -> None:
    for way in (0, WAYS - 1):
        for item in judge(new_intake(known), body, way):
            if isinstance(item, RecordBatch):
                assert len(msgspec.json.decode(item.body)) == item.n


@pytest.mark.parametrize("label", [b"[]", b"[1]", b'{"x": 1}', b'"perhaps"', b"null"])
def test_a_label_that_is_none_is_no_label(label: bytes) -> None:
    admission = new_intake(known=True).admit(b'{"a": 1, "bad": %b}' % label)
    assert admission.accepted + len(admission.rejected) == 1
    for item in admission.items:
        if isinstance(item, RecordBatch):
            assert math.isnan(item.label[0])
