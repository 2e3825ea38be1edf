"""Admission: what a body becomes does not depend on its form, nor on how the stream was cut into bodies."""

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyai.control import SchemaChange
from anomalyai.errors import SchemaConflict, TooLarge, UnreadableBody, UnsupportedMedia
from anomalyai.frame import Frame, open_frame
from anomalyai.growth import CHECKPOINTS
from anomalyai.intake import Intake, IntakeLimits
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema, JsonType, Kind
from tests.anomalyai.feeds import (
    DECLARED,
    as_array,
    as_csv,
    as_lines,
    as_table,
    contents,
    payments,
    reread,
    typed_records,
)


def cut(records: list[dict[str, Any]], sizes: list[int]) -> list[list[dict[str, Any]]]:
    """Cut records into runs of these sizes, the last size again and again."""
    runs, start, i = [], 0, 0
    while start < len(records):
        size = sizes[min(i, len(sizes) - 1)]
        runs.append(records[start : start + size])
        start, i = start + size, i + 1
    return runs


def admitted(intake: Intake, bodies: list[bytes], media: str = "application/json") -> list[Any]:
    items: list[Any] = []
    for body in bodies:
        admission = intake.admit(body, media)
        assert admission.rejected == []
        items += admission.items
    return items


@pytest.mark.parametrize("schema", [None, DECLARED], ids=["inferred", "declared"])
@pytest.mark.parametrize("sizes", [[1], [7], [499, 2, 1, 100], [10_000], [1, 18, 1, 80, 400, 1]])
def test_cuts_change_nothing(schema: FeedSchema | None, sizes: list[int]) -> None:
    records = payments(620)
    whole = admitted(Intake(schema), [as_array(records)])
    parts = admitted(Intake(schema), [as_array(run) for run in cut(records, sizes)])
    assert contents(parts) == contents(whole)


@pytest.mark.parametrize("schema", [None, DECLARED], ids=["inferred", "declared"])
def test_all_forms_give_the_same_bits(schema: FeedSchema | None) -> None:
    records = payments(620)
    expected = contents(admitted(Intake(schema), [as_array(records)]))
    table = json.dumps(as_table(records)).encode()
    assert contents(admitted(Intake(schema), [as_lines(records)], "application/x-ndjson")) == expected
    assert contents(Intake(schema).admit_frame(Frame(1, "columns", table)).items) == expected
    assert contents(Intake(schema).admit_frame(Frame(1, "rows", as_array(records))).items) == expected
    frame = open_frame(b'{"batch": 4, "columns": ' + table + b"}")
    assert contents(Intake(schema).admit_frame(frame).items) == expected


def test_csv_gives_the_same_bits_as_json() -> None:
    records = [{k: v for k, v in record.items() if k != "present"} for record in payments(620)]
    from_csv = contents(admitted(Intake(DECLARED), [as_csv(records)], "text/csv"))
    from_json = contents(admitted(Intake(DECLARED), [as_array(records)]))
    assert from_csv[1:] == from_json[1:]
    for (at, csv_schema), (_, json_schema) in zip(from_csv[0], from_json[0], strict=True):
        kinds = [(f.name, f.kind, f.declared) for f in csv_schema.fields]
        assert kinds == [(f.name, f.kind, f.declared) for f in json_schema.fields], at
        assert {f.name for f in csv_schema.fields if f.type is JsonType.STRING} - {"card"} == {
            f.name for f in json_schema.fields if f.type is JsonType.STRING
        }


@given(records=typed_records(), data=st.data())
@settings(max_examples=150, deadline=None)
def test_rows_lines_and_columns_agree_on_any_records(
    records: list[dict[str, Any]], data: st.DataObject
) -> None:
    expected = Intake().admit(as_array(records), "application/json")
    assert expected.rejected == []
    columns = Intake().admit_frame(Frame(None, "columns", json.dumps(as_table(records)).encode()))
    lines = Intake().admit(as_lines(records), "application/x-ndjson")
    sizes = data.draw(st.lists(st.integers(1, 20), min_size=1, max_size=5))
    intake = Intake()
    parts = admitted(intake, [as_array(run) for run in cut(records, sizes)])
    assert contents(lines.items) == contents(expected.items)
    assert contents(parts) == contents(expected.items)
    if records[0] and list(as_table(records)) == list(records[0]):  # else columns have another field order
        assert contents(columns.items) == contents(expected.items)
    assert contents(reread(expected.items)) == contents(expected.items)
    assert contents(reread(columns.items)) == contents(columns.items)


@given(records=typed_records())
@settings(max_examples=100, deadline=None)
def test_csv_agrees_with_columns_on_any_numbers_and_texts(records: list[dict[str, Any]]) -> None:
    table = as_table(records)
    kept = {n: c for n, c in table.items() if not any(isinstance(v, bool) for v in c)}
    rows = [dict(zip(kept, row, strict=True)) for row in zip(*kept.values(), strict=True)]
    rows = [row for row in rows if any(v is not None for v in row.values())]
    if not rows:
        return
    columns = Intake().admit_frame(Frame(None, "columns", json.dumps(as_table(rows)).encode()))
    from_csv = Intake().admit(as_csv(rows), "text/csv")
    assert from_csv.rejected == []
    assert contents(from_csv.items) == contents(columns.items)


def test_kinds_are_inferred_at_the_checkpoints_and_settled_at_the_last() -> None:
    items = admitted(Intake(), [as_array(payments(1_200))])
    changes = [at for at, _ in contents(items)[0]]
    assert changes[0] == 0
    assert set(changes) <= {0, *CHECKPOINTS}
    assert changes[-1] == 500
    last = items[-1]
    assert isinstance(last, RecordBatch)
    assert last.n == 700
    assert last.schema.settled
    assert last.schema.entities == ("card", "merchant_id")
    assert last.schema.categories == ("kind", "present")
    assert last.schema.numbers == ("amount", "merch_lat", "merch_long")
    assert (last.schema.time, last.schema.label) == ("ts", "fraud")
    assert last.schema.positions == (("merch_lat", "merch_long"),)


def test_a_new_field_changes_the_schema_from_its_record_on() -> None:
    intake = Intake()
    admitted(intake, [as_array(payments(500))])
    records = payments(6)
    records[3]["fee"] = 0.5
    records[4]["note"] = None
    admission = intake.admit(as_array(records))
    kinds = [type(item) for item in admission.items]
    assert kinds == [RecordBatch, SchemaChange, RecordBatch]
    assert [item.n for item in admission.items if isinstance(item, RecordBatch)] == [3, 3]
    assert admission.new_fields == ["fee"]
    assert intake.schema.by_name["fee"].kind is Kind.NUMBER
    assert "note" not in intake.schema.by_name
    assert intake.counters.new_fields == len(intake.schema.fields)


def test_fields_over_the_limit_are_ignored_and_counted() -> None:
    intake = Intake(limits=IntakeLimits(max_fields=4))
    admission = intake.admit(b'[{"a":1,"b":2,"c":3},{"a":1,"d":4,"e":5},{"a":2,"f":6,"g":7}]')
    assert admission.accepted == 3
    assert [f.name for f in intake.schema.fields] == ["a", "b", "c", "d"]
    assert intake.counters.fields_over_limit == 3
    last = admission.items[-1]
    assert isinstance(last, RecordBatch)
    assert last.record(last.n - 1) == {"a": 2, "f": 6, "g": 7}


def test_vanished_fields_are_named() -> None:
    intake = Intake()
    admitted(intake, [b'{"a":1,"b":"x"}'])
    admitted(intake, [as_array([{"a": 1}] * 999)])
    assert list(intake.vanished) == []
    admitted(intake, [b'{"a":1}'])
    assert list(intake.vanished) == ["b"]


def test_nested_objects_become_dotted_fields_and_stay_nested_in_the_record() -> None:
    intake = Intake()
    raw = {"geo": {"point": {"lat": 1.5, "lon": 2.5}}, "tags": ["a", {"b": 1}], "user": {"id": "u1"}}
    admission = intake.admit(json.dumps([raw, raw]).encode())
    kinds = {f.name: f.kind for f in intake.schema.fields}
    assert kinds == {
        "geo.point.lat": Kind.NUMBER,
        "geo.point.lon": Kind.NUMBER,
        "tags": Kind.IGNORE,
        "user.id": Kind.ID,
    }
    batch = admission.items[-1]
    assert isinstance(batch, RecordBatch)
    assert batch.record(0) == raw
    assert batch.numbers.tolist() == [[1.5, 2.5]]
    assert batch.text(0, "user.id") == "u1"
    assert contents(reread(admission.items)) == contents(admission.items)


def test_null_and_absent_are_the_same() -> None:
    with_null = admitted(Intake(), [b'[{"a":1,"b":null},{"a":null,"b":"x"}]'])
    without = admitted(Intake(), [b'[{"a":1},{"b":"x"}]'])
    assert contents(with_null) == contents(without)


def test_card_numbers_are_keyed_by_their_exact_digits() -> None:
    near = [9_007_199_254_740_993, 9_007_199_254_740_992, 10**30 + 1, 10**30]
    items = admitted(Intake(DECLARED), [json.dumps([{"card": card} for card in near]).encode()])
    batches = [item for item in items if isinstance(item, RecordBatch)]
    keys = [key for batch in batches for key in batch.keys[:, -1].tolist()]
    texts = [batch.text(i, "card") for batch in batches for i in range(batch.n)]
    assert len(set(keys)) == 4
    assert texts == [str(card) for card in near]
    as_text = admitted(Intake(DECLARED), [json.dumps([{"card": str(card)} for card in near]).encode()])
    assert contents(as_text)[2] == contents(items)[2]


def test_declared_entities_take_strings_and_integers_at_any_time() -> None:
    intake = Intake(DECLARED)
    items = admitted(intake, [b'[{"card":5},{"card":"5"},{"card":"x"},{"card":6}]'])
    keys = [key for item in items if isinstance(item, RecordBatch) for key in item.keys[:, -1].tolist()]
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


@pytest.mark.parametrize("media", ["application/json", "application/x-ndjson", None])
def test_an_empty_array_is_accepted_and_counted(media: str | None) -> None:
    intake = Intake()
    if media == "application/x-ndjson":
        with pytest.raises(UnreadableBody, match="got nothing"):
            intake.admit(b" \n ", media)
        return
    admission = intake.admit(b" [ ] ", media)
    assert (admission.items, admission.rejected, admission.accepted) == ([], [], 0)
    assert intake.counters.empty_bodies == 1


@pytest.mark.parametrize(
    ("body", "accepted"),
    [
        (b'{"a":1}', 1),
        (b'[{"a":1},{"a":2}]', 2),
        (b'{"a":1}\n{"a":2}\n\n{"a":3}\r\n', 3),
        (b'{"a":1}{"a":2} {"a":3}', 3),
        (b'{\n "a": 1\n}\n', 1),
        (b'{\n "a": 1\n}\n{\n "a": 2\n}', 2),
        (b"a,b\n1,x\n2,y\n", 2),
        (b'\xef\xbb\xbf"a","b"\r\n1,"x,\ny"\r\n', 1),
        (b'\xef\xbb\xbf[{"a":1}]', 1),
    ],
)
@pytest.mark.parametrize("media", [None, "", "application/x-www-form-urlencoded; charset=UTF-8"])
def test_a_body_without_a_type_is_sniffed(media: str | None, body: bytes, accepted: int) -> None:
    admission = Intake().admit(body, media)
    assert (admission.accepted, admission.rejected) == (accepted, [])


@pytest.mark.parametrize(
    ("body", "hint"),
    [(b"a,b 1,x 2,y", "--data-binary"), (b"hello", "array of such objects"), (b"", "array of such objects")],
)
def test_a_body_that_cannot_be_sniffed_says_what_to_send(body: bytes, hint: str) -> None:
    with pytest.raises(UnreadableBody) as caught:
        Intake().admit(body)
    assert hint in str(caught.value.hint)


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "multipart/form-data; boundary=x"])
def test_other_media_are_refused_by_name(media: str) -> None:
    with pytest.raises(UnsupportedMedia, match="application/x-ndjson") as caught:
        Intake().admit(b"[]", media)
    assert media.split(";")[0] in caught.value.message


def test_a_charset_other_than_utf8_is_refused() -> None:
    with pytest.raises(UnsupportedMedia, match="latin-1"):
        Intake().admit(b"[]", "application/json; charset=latin-1")


def test_bodies_over_a_limit_are_refused_whole() -> None:
    intake = Intake(limits=IntakeLimits(max_frame_bytes=100, max_records=3))
    with pytest.raises(TooLarge, match="at most 100 bytes, got 101"):
        intake.admit(b" " * 101)
    with pytest.raises(TooLarge, match="at most 100 bytes"):
        intake.admit_frame(Frame(1, "rows", b" " * 101))
    for body in (b'[{"a":1},{"a":1},{"a":1},{"a":1}]', b"[1,2,3,4]", b"a\n1\n2\n3\n4\n"):
        with pytest.raises(TooLarge, match="at most 3 records, got 4"):
            intake.admit(body)
    assert intake.accepted == 0
    assert intake.admit(b'[{"a":1},{"a":1},{"a":1}]').accepted == 3


def test_a_rollback_undoes_an_admission() -> None:
    records = [{**record, "ref": f"t{i}"} for i, record in enumerate(payments(700))]
    once = Intake()
    expected = contents(admitted(once, [as_array(records)]))
    intake = Intake()
    items = []
    for run in cut(records, [3, 30, 100, 390]):
        mark = intake.checkpoint()
        intake.admit(as_array(run))
        intake.rollback(mark)
        items += admitted(intake, [as_array(run)])
    assert contents(items) == expected
    assert intake.accepted == 700


@pytest.mark.parametrize("accepted", [0, 1, 15, 20, 333, 500, 620])
def test_a_restored_intake_goes_on_as_if_nothing_had_happened(accepted: int) -> None:
    records = payments(700)
    expected = contents(admitted(Intake(), [as_array(records)]))
    first = Intake()
    items = admitted(first, [as_array(records[:accepted])])
    batches = [item for item in reread(items) if isinstance(item, RecordBatch)]
    schema = msgspec.json.decode(msgspec.json.encode(first.schema), type=FeedSchema)
    second = Intake.restored(schema, accepted, batches)
    items += admitted(second, [as_array(records[accepted:])])
    assert contents(items) == expected


def test_a_text_that_is_no_time_is_missing_while_kinds_are_provisional() -> None:
    intake = Intake()
    admission = intake.admit(b'[{"when":"2026-01-01","a":1},{"when":"later","a":2}]')
    assert admission.rejected == []
    batches = [item for item in admission.items if isinstance(item, RecordBatch)]
    assert batches[-1].schema.time == "when"
    assert [math.isnan(t) for batch in batches for t in batch.time_s.tolist()] == [False, True]


def test_a_fixed_intake_keeps_its_schema() -> None:
    intake = Intake(DECLARED.replace(settled=False), fixed=True)
    records = payments(40)
    for record in records[5:]:
        record["surprise"] = "x"
    admission = intake.admit(as_array(records))
    assert [type(item) for item in admission.items] == [RecordBatch]
    assert admission.accepted == 40
    assert intake.schema == DECLARED.replace(settled=False)


def test_declaring_before_data_takes_the_declaration_as_it_is() -> None:
    intake = Intake()
    assert intake.declare(FeedSchema()) is None
    assert intake.declare(DECLARED) == SchemaChange(DECLARED)
    assert intake.declare(DECLARED) is None


def test_declaring_the_same_after_data_changes_nothing() -> None:
    intake = Intake(DECLARED)
    admitted(intake, [as_array(payments(30))])
    assert intake.declare(DECLARED) is None


def test_a_declaration_that_would_change_kinds_names_the_fields() -> None:
    intake = Intake()
    admitted(intake, [as_array(payments(30))])
    before = intake.schema
    with pytest.raises(SchemaConflict) as caught:
        intake.declare(FeedSchema.from_toml('[feed]\nnumbers=["kind"]\nentities=["amount", "card"]\n'))
    assert caught.value.fields == ("amount", "kind")
    assert "'amount' is number" in caught.value.message
    assert intake.schema == before


def test_a_declaration_in_line_with_the_data_marks_its_fields_and_sets_the_budget() -> None:
    intake = Intake()
    admitted(intake, [as_array(payments(30))])
    change = intake.declare(FeedSchema.from_toml('[feed]\nentities=["card", "till"]\nbudget="20/day"\n'))
    assert change is not None
    assert change.schema.budget == "20/day"
    assert change.schema.by_name["card"].declared
    assert change.schema.by_name["till"].type is JsonType.UNKNOWN
    assert [f.name for f in change.schema.fields][:-1] == list(payments(1)[0])


def test_declaring_anew_takes_values_of_another_type() -> None:
    declared = FeedSchema.from_toml('[feed]\ncategories=["code"]\n')
    intake = Intake(declared)
    admitted(intake, [b'[{"code":7},{"code":8}]'])
    refused = intake.admit(b'{"code":"B9"}')
    assert [r.field for r in refused.rejected] == ["code"]
    assert "declare the schema anew" in refused.rejected[0].error
    change = intake.declare(declared)
    assert change is not None
    assert intake.admit(b'{"code":"B9"}').accepted == 1
    assert intake.declare(declared) is None


def test_a_schema_without_time_has_the_arrival_time() -> None:
    admission = Intake().admit(b'[{"a":1},{"a":2}]', arrival_s=12.5)
    assert [item.time_s.tolist() for item in admission.items if isinstance(item, RecordBatch)] == [
        [12.5],
        [12.5],
    ]
