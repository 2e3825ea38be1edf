"""Every fault that one record can have: it alone is refused, with its field and a text; neighbours stay."""

import json
from dataclasses import dataclass

import pytest

from anomalyai.errors import AnomalyAIError, UnreadableBody
from anomalyai.intake import Intake, IntakeLimits
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema

DECLARED = """
[feed]
time = "ts"
id = "ref"
label = "fraud"
entities = ["card"]
categories = ["kind"]
numbers = ["amount", "fee"]
ignore = ["note"]
"""

GOOD = '{"ts":"2026-01-02T03:04:05Z","ref":"r1","fraud":0,"card":30431445388862,"kind":"pos","amount":12.5}'


@dataclass(frozen=True)
class Bad:
    """One bad record as raw JSON, the field it must name, and words its error must have."""

    name: str
    raw: bytes
    field: str | None
    words: tuple[str, ...]


def bad(name: str, raw: str | bytes, field: str | None, *words: str) -> Bad:
    return Bad(name, raw if isinstance(raw, bytes) else raw.encode(), field, words)


def record(**values: str) -> str:
    """Return the good record's JSON with some values replaced by raw JSON."""
    parts = {key: json.dumps(value) for key, value in json.loads(GOOD).items()}
    parts.update(values)
    return "{" + ",".join(f'"{key}":{value}' for key, value in parts.items()) + "}"


def nested_array(depth: int) -> str:
    return "[" * depth + "]" * depth


FAR_TOO_DEEP = '{"a":' * 5000 + "1" + "}" * 5000

BAD = [
    bad("text in a number", record(amount='"abc"'), "amount", "expected a number", 'the string "abc"'),
    bad("number as text", record(amount='"12.5"'), "amount", "expected a number", 'the string "12.5"'),
    bad("boolean in a number", record(amount="true"), "amount", "expected a number", "got true"),
    bad("array in a number", record(amount="[1]"), "amount", "expected a number", "got an array"),
    bad("object in a number", record(amount='{"eur":1}'), "amount", "expected a number", "got an object"),
    bad("number in a category", record(kind="5"), "kind", "expected a string", "the number 5"),
    bad("boolean in a category", record(kind="false"), "kind", "expected a string", "got false"),
    bad("object in a category", record(kind='{"a":"b"}'), "kind", "expected a string", "got an object"),
    bad("fraction in an entity", record(card="1.5"), "card", "a string or an integer", "the number 1.5"),
    bad("boolean in an entity", record(card="true"), "card", "a string or an integer", "got true"),
    bad("array in an entity", record(card="[1,2]"), "card", "a string or an integer", "an array"),
    bad("fraction in an id", record(ref="0.5"), "ref", "a string or an integer", "0.5"),
    bad("no time", record(ts='"yesterday"'), "ts", "ISO 8601", '"yesterday"', "2026-01-31T12:00:00Z"),
    bad("month 13", record(ts='"2026-13-01T00:00:00Z"'), "ts", "ISO 8601", "2026-13-01"),
    bad("number in a text time", record(ts="1767322800"), "ts", "expected a string", "the number 1767322800"),
    bad("label of 2", record(fraud="2"), "fraud", "label of 0 or 1", "got 2"),
    bad("text in a number label", record(fraud='"yes"'), "fraud", "expected a number", '"yes"'),
    bad("NaN", record(amount="NaN"), "amount", "finite number", "NaN", "null"),
    bad("Infinity", record(amount="Infinity"), "amount", "finite number", "Infinity"),
    bad("minus Infinity", record(fee="-Infinity"), "fee", "finite number", "-Infinity"),
    bad("NaN in a new array", record(tags="[1,NaN]"), "tags", "finite number", "NaN"),
    bad("float out of range", record(amount="1e400"), "amount", "range of a 64-bit float", "1e400"),
    bad("integer out of range", record(amount="1" + "0" * 400), "amount", "range of a 64-bit float"),
    bad("huge integer in a new field", record(extra="9" * 5000), "extra", "64-bit float", "as a string"),
    bad("key twice", record(amount='1,"amount":2'), "amount", "each key once", '"amount"'),
    bad("key twice with blanks", record(amount='1,"amount" :2'), "amount", "each key once"),
    bad("key twice, escaped", record(amount='1,"\\u0061mount":2'), "amount", "each key once"),
    bad("key twice in a nested object", record(geo='{"x":1,"x":2}'), "x", "each key once"),
    bad("key twice in an ignored object", record(note='{"x":1,"x":2}'), "x", "each key once"),
    bad("key twice, texts with quotes", record(kind='"a\\"b","kind":"c"'), "kind", "each key once"),
    bad("dotted and nested", record(geo='{"x":1},"geo.x":2'), "geo.x", "once", "dotted and nested"),
    bad("five levels", record(a='{"b":{"c":{"d":{"e":1}}}}'), "a.b.c.d", "at most 4 nested levels"),
    bad("thousands of levels", FAR_TOO_DEEP, None, "nested levels"),
    bad("array too deep", record(tags=nested_array(17)), "tags", "nested at most 16 deep"),
    bad("array far too deep", record(tags=nested_array(900)), "tags", "nested at most 16 deep"),
    bad("array of thousands of levels", record(tags=nested_array(9_000)), None, "nested"),
    bad("a number", "7", None, "expected a JSON object", "the number 7"),
    bad("a text", '"hello"', None, "expected a JSON object", 'the string "hello"'),
    bad("null", "null", None, "expected a JSON object", "got null"),
    bad("true", "true", None, "expected a JSON object", "got true"),
    bad("an array", "[1,2]", None, "expected a JSON object", "an array"),
    bad("bytes that are no UTF-8", record(kind='"?"').encode().replace(b"?", b"\xff"), None, "UTF-8", "0xff"),
    bad("half of a surrogate pair", record(kind='"\\ud800"'), "kind", "surrogate"),
    bad("line end within a text", record(kind='"a\nb"'), None, "valid JSON", "character"),
    bad("leading zero", record(amount="01"), None, "valid JSON"),
    bad("no value", '{"amount":}', None, "valid JSON"),
    bad("no quotes", "{amount: 1}", None, "valid JSON"),
    bad("single quotes", "{'amount': 1}", None, "valid JSON"),
    bad("record too large", record(kind='"' + "x" * 70_000 + '"'), None, "at most 65536 bytes", "shorten"),
    bad("name too long", record(**{"n" * 300: "1"}), "n" * 256 + "...", "at most 256 characters", "300"),
]

CASES = pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)


def intake() -> Intake:
    """Return an intake under the declared schema that has settled on good records."""
    fresh = Intake(FeedSchema.from_toml(DECLARED), limits=IntakeLimits(max_record_bytes=65_536))
    fresh.admit(f"[{','.join([GOOD] * 500)}]".encode())
    assert fresh.schema.settled
    return fresh


def batches(items: list[object]) -> list[RecordBatch]:
    return [item for item in items if isinstance(item, RecordBatch)]


def assert_refused_alone(case: Bad, before: Intake, body: bytes, media: str) -> None:
    good = GOOD.encode()
    admission = before.admit(body, media)
    assert [rejection.index for rejection in admission.rejected] == [1]
    rejection = admission.rejected[0]
    assert rejection.field == case.field
    for word in case.words:
        assert word in rejection.error
    assert len(rejection.error) < 400
    assert admission.accepted == 2
    kept = batches(list(admission.items))
    assert [place for batch in kept for place in batch.index.tolist()] == [0, 2]
    assert [batch.record(i) for batch in kept for i in range(batch.n)] == [json.loads(good)] * 2
    assert before.rejected == 1


@CASES
def test_a_bad_record_in_an_array_is_refused_alone(case: Bad) -> None:
    good = GOOD.encode()
    assert_refused_alone(
        case, intake(), b"[" + good + b", " + case.raw + b"," + good + b"]", "application/json"
    )


@pytest.mark.parametrize("case", [case for case in BAD if b"\n" not in case.raw], ids=lambda case: case.name)
def test_a_bad_line_is_refused_alone(case: Bad) -> None:
    good = GOOD.encode()
    assert_refused_alone(case, intake(), b"\n".join([good, case.raw, good]), "application/x-ndjson")


@pytest.mark.parametrize(
    "case", [case for case in BAD if case.raw.startswith(b"{")], ids=lambda case: case.name
)
def test_a_bad_record_by_itself_is_refused(case: Bad) -> None:
    fresh = intake()
    accepted = fresh.accepted
    admission = fresh.admit(case.raw, "application/json")
    assert (admission.items, admission.accepted, fresh.accepted) == ([], 0, accepted)
    assert [(r.index, r.field) for r in admission.rejected] == [(0, case.field)]


@pytest.mark.parametrize(
    ("raw", "code", "words"),
    [
        (b'[{"a":1},{"a":2}', "truncated_body", ("end with ]", "element 1")),
        (b'[{"a":1},{"a":"x', "truncated_body", ("end with ]",)),
        (b'[{"a":1', "truncated_body", ("element 0",)),
        (b"[", "truncated_body", ("element 0",)),
        (b'{"a":1', "truncated_body", ("ends with }",)),
        (b'[{"a":1}] [{"a":2}]', "unreadable_body", ("nothing after the array",)),
        (b'{"a":1}{"a":2}', "unreadable_body", ("one JSON object", "2 objects")),
        (b"", "unreadable_body", ("got nothing",)),
        (b"   ", "unreadable_body", ("got nothing",)),
        (b"42", "unreadable_body", ('got "42"',)),
        (b"not json", "unreadable_body", ('got "not json"',)),
    ],
)
def test_a_body_that_is_no_records_is_unreadable(raw: bytes, code: str, words: tuple[str, ...]) -> None:
    fresh = intake()
    before = fresh.checkpoint()
    with pytest.raises(UnreadableBody) as caught:
        fresh.admit(raw, "application/json")
    assert caught.value.code == code
    assert caught.value.hint
    for word in words:
        assert word in caught.value.message
    assert fresh.checkpoint() == before


def test_what_came_is_never_echoed_at_length() -> None:
    fresh = Intake(FeedSchema.from_toml(DECLARED))
    admission = fresh.admit(json.dumps({"amount": "y" * 200_000}).encode())
    assert len(admission.rejected[0].error) < 250
    assert "200000 characters" in admission.rejected[0].error
    with pytest.raises(AnomalyAIError) as caught:
        fresh.admit(b"z" * 2_000_000)
    assert len(str(caught.value)) < 300


def test_many_bad_records_are_all_named_and_all_good_ones_kept() -> None:
    fresh = intake()
    raws = [GOOD if i % 7 else record(amount=f'"{i}"') for i in range(2_000)]
    admission = fresh.admit(f"[{','.join(raws)}]".encode())
    assert [r.index for r in admission.rejected] == list(range(0, 2_000, 7))
    assert {r.field for r in admission.rejected} == {"amount"}
    kept = [place for batch in batches(list(admission.items)) for place in batch.index.tolist()]
    assert kept == [i for i in range(2_000) if i % 7]
