"""Bytes that nobody in his right mind would send: the decoder neither crashes nor lies, and reads on."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyai.errors import UnreadableBody
from anomalyai.frame import open_frame
from anomalyai.records import RecordBatch
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


@settings(max_examples=250, deadline=5_000)
@given(data=frames, way=st.integers(0, WAYS - 1), known=st.booleans())
def test_whatever_comes_in_is_taken_to_the_bit_or_refused_with_a_reason(
    data: bytes, way: int, known: bool
) -> None:
    judge(new_intake(known), data, way)


@settings(max_examples=40, deadline=20_000)
@given(bodies=st.lists(st.tuples(frames, st.integers(0, WAYS - 1)), max_size=20))
def test_an_intake_that_has_seen_much_nonsense_still_keeps_its_promises(
    bodies: list[tuple[bytes, int]],
) -> None:
    intake = new_intake(known=False)
    for data, way in bodies:
        judge(intake, data, way)


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


@pytest.mark.parametrize("label", [b"[]", b"[1]", b'{"x": 1}', b'"perhaps"', b"null"])
def test_a_label_that_is_none_is_no_label(label: bytes) -> None:
    admission = new_intake(known=True).admit(b'{"a": 1, "bad": %b}' % label)
    assert admission.accepted + len(admission.rejected) == 1
    for item in admission.items:
        if isinstance(item, RecordBatch):
            assert math.isnan(item.label[0])
