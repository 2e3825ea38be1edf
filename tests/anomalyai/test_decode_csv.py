"""CSV: which columns are numbers, what an empty cell is, and rows that are refused alone."""

import pytest

from anomalyai.decode_csv import TYPED_CELLS, CsvRows, header_of, parse_number
from anomalyai.decode_exact import RecordError
from anomalyai.errors import UnreadableBody
from anomalyai.intake import Admission, Intake
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema, JsonType, Kind


def admit(text: str | bytes, declared: str = "") -> tuple[Intake, Admission]:
    intake = Intake(FeedSchema.from_toml(declared))
    body = text.encode() if isinstance(text, str) else text
    return intake, intake.admit(body, "text/csv; charset=utf-8")


def records(admission: Admission) -> list[dict[str, object]]:
    return [
        item.record(i) for item in admission.items if isinstance(item, RecordBatch) for i in range(item.n)
    ]


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,y\n",
        "a,b\r\n1,x\r\n2,y",
        "a,b\r1,x\r2,y\r",
        '\ufeff"a",b\n\n1,"x"\n\n2,y\n\n',
        " a ,b \n1,x\n2,y",
    ],
)
def test_line_ends_quotes_and_blank_lines(text: str) -> None:
    intake, admission = admit(text)
    assert admission.rejected == []
    assert records(admission) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert [(f.name, f.type) for f in intake.schema.fields] == [
        ("a", JsonType.NUMBER),
        ("b", JsonType.STRING),
    ]


def test_a_quoted_cell_may_hold_commas_quotes_and_line_ends() -> None:
    _, admission = admit('a,b\n"x,""y""\nz",1\n')
    assert records(admission) == [{"a": 'x,"y"\nz', "b": 1}]


def test_an_empty_cell_is_missing() -> None:
    intake, admission = admit("a,b,c\n1,,x\n,2,\n")
    assert records(admission) == [{"a": 1, "b": None, "c": "x"}, {"a": None, "b": 2, "c": None}]
    assert [f.name for f in intake.schema.fields] == ["a", "c", "b"]


@pytest.mark.parametrize(
    ("cells", "json_type"),
    [
        (["1", "2.5", "-3e2"], JsonType.NUMBER),
        (["1", "", "2"], JsonType.NUMBER),
        (["+1", ".5", "2.", " 7 "], JsonType.NUMBER),
        (["1", "x"], JsonType.STRING),
        (["00501", "10001"], JsonType.STRING),
        (["0.5", "0", "-0.1"], JsonType.NUMBER),
        (["1_000", "2"], JsonType.STRING),
        (["0x10", "2"], JsonType.STRING),
        (["\u0661", "2"], JsonType.STRING),
        (["1,5", "2"], JsonType.NUMBER),
        (["1,500", "2"], JsonType.STRING),
        (["null", "2"], JsonType.STRING),
        (["true", "false"], JsonType.STRING),
        (["nan", "1"], JsonType.NUMBER),
        (["nan", "inf"], JsonType.STRING),
    ],
)
def test_a_column_is_numbers_only_if_its_cells_are(cells: list[str], json_type: JsonType) -> None:
    intake, _ = admit("a,b\n" + "".join(f'"{cell}",x\n' for cell in cells))
    assert intake.schema.by_name["a"].type is json_type


def test_the_first_500_filled_cells_decide() -> None:
    head = ["1"] * TYPED_CELLS
    intake, admission = admit("a,b\n" + "".join(f"{cell},x\n" for cell in ["", *head, "late", "2"]))
    assert intake.schema.by_name["a"].type is JsonType.NUMBER
    assert [(r.index, r.field) for r in admission.rejected] == [(TYPED_CELLS + 1, "a")]
    assert 'the string "late"' in admission.rejected[0].error
    assert admission.accepted == TYPED_CELLS + 2
    intake, admission = admit("a,b\n" + "".join(f"{cell},x\n" for cell in [*head[1:], "late", "2"]))
    assert intake.schema.by_name["a"].type is JsonType.STRING
    assert admission.rejected == []


def test_types_of_the_first_body_hold_for_the_next() -> None:
    intake, _ = admit("a,b\n1,x\n")
    admission = intake.admit(b"b,a\n7,2\n8,y\n9,\n", "text/csv")
    assert [(r.index, r.field) for r in admission.rejected] == [(1, "a")]
    assert records(admission) == [{"b": "7", "a": 2}, {"b": "9", "a": None}]


def test_declared_entities_and_ids_keep_their_exact_text() -> None:
    intake, admission = admit(
        "card,ref,code\n0030431445388862,007,7\n9007199254740993,1e5,8\n",
        '[feed]\nentities=["card"]\nid="ref"\ncategories=["code"]\n',
    )
    assert admission.rejected == []
    texts = [
        item.text(i, name)
        for name in ("card", "ref")
        for item in admission.items
        if isinstance(item, RecordBatch)
        for i in range(item.n)
    ]
    assert texts == ["0030431445388862", "9007199254740993", "007", "1e5"]
    assert intake.schema.by_name["code"].type is JsonType.NUMBER


@pytest.mark.parametrize(
    ("row", "field", "words"),
    [
        ("1,x", None, ("3 cells", "got 2")),
        ("1,x,2,3", None, ("3 cells", "got 4")),
        ("abc,x,2", "a", ("expected a number", '"abc"', "leave the cell empty")),
        ("nan,x,2", "a", ("finite number", "nan")),
        ("-Infinity,x,2", "a", ("finite number", "-Infinity")),
        ("1e999,x,2", "a", ("range of a 64-bit float",)),
        ("9" * 400 + ",x,2", "a", ("range of a 64-bit float",)),
        ("1_0,x,2", "a", ("expected a number",)),
        ('1,"x"y,2', None, ("CSV row",)),
        (b"1,\xff,2", "b", ("UTF-8",)),
        ("1,x,soon", "ts", ("ISO 8601", '"soon"')),
    ],
)
def test_a_bad_row_is_refused_alone(row: str | bytes, field: str | None, words: tuple[str, ...]) -> None:
    intake = Intake(FeedSchema.from_toml('[feed]\nnumbers=["a"]\ntime="ts"\n'))
    raw = row.encode() if isinstance(row, str) else row
    good = b"1,x,2026-01-01\n"
    admission = intake.admit(b"a,b,ts\n" + good + raw + b"\n" + good, "text/csv")
    assert [(r.index, r.field) for r in admission.rejected] == [(1, field)]
    for word in words:
        assert word in admission.rejected[0].error
    kept = [item for item in admission.items if isinstance(item, RecordBatch)]
    assert [place for batch in kept for place in batch.index.tolist()] == [0, 2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("header line", "got nothing")),
        ("\n\n", ("header line", "got nothing")),
        ("a,b,a\n1,2,3\n", ("each column once", '"a" twice')),
        ("1,2,3\n4,5,6\n", ("got numbers", "1,2,3")),
        ("n" * 300 + ",b\n1,2\n", ("at most 256 characters",)),
        (b"\xff\xfea,b\n1,2\n", ("UTF-8",)),
        ('"a"x,b\n1,2\n', ("header line", "CSV row")),
    ],
)
def test_a_table_without_a_header_is_unreadable(text: str | bytes, words: tuple[str, ...]) -> None:
    with pytest.raises(UnreadableBody) as caught:
        admit(text)
    for word in words:
        assert word in caught.value.message
    assert "first line" in str(caught.value.hint)


def test_a_header_alone_is_an_empty_table() -> None:
    intake, admission = admit("a,b\n")
    assert (admission.items, admission.rejected) == ([], [])
    assert intake.counters.empty_bodies == 1


def test_a_column_without_a_name_gets_one() -> None:
    rows = CsvRows([",a\n", "0,1\n"])
    assert header_of(rows) == ("column_1", "a")


def test_rows_are_taken_in_portions() -> None:
    rows = CsvRows(["\n", "a,b\n", "\n", "\n", '"x"y,1\n', "1,2\n", "\n", "3,4\n"])
    assert rows.take(1) == [["a", "b"]]
    first = rows.take(2)
    assert isinstance(first[0], RecordError)
    assert first[1:] == [["1", "2"]]
    assert rows.take(2) == [["3", "4"]]
    assert rows.take(2) == []


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("", None),
        ("  ", None),
        ("7", 7),
        ("-0", 0),
        ("+7", 7),
        ("007", 7),
        (".5", 0.5),
        ("1e3", 1000.0),
        (" 2 ", 2),
    ],
)
def test_numbers_are_read_as_python_reads_them(cell: str, value: float | None) -> None:
    parsed = parse_number("a", cell)
    assert parsed == value
    assert type(parsed) is type(value)


def test_boolean_fields_take_true_and_false() -> None:
    intake = Intake()
    intake.admit(b'{"on":true,"a":1}')
    admission = intake.admit(b"on,a\ntrue,1\nFALSE,2\n,3\nmaybe,4\n", "text/csv")
    assert [(r.index, r.field) for r in admission.rejected] == [(3, "on")]
    assert [record["on"] for record in records(admission)] == [True, False, None]
    assert intake.schema.by_name["on"].kind is Kind.CATEGORY
