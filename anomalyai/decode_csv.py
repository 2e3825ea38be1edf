"""CSV tables: a header and rows of cells to the columns that JSON would have brought.

A cell is text. A column becomes numbers only if its first 500 filled cells are numbers and its field is not
declared as an entity or identifier, whose texts are kept exactly; a cell with a leading zero (`00501`) is no
number either. Once a field's type is known it holds for the tables that follow. An empty cell is missing.
Semicolons and tabs separate cells too, and decimal commas are read.
"""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from itertools import chain, islice
from typing import Any, Final, NamedTuple

import msgspec

from anomalyai.csv_dialect import SNIFFED_LINES, sniff
from anomalyai.decode_exact import FLOAT_BOUND, MAX_INTEGER_DIGITS, RecordError, describe
from anomalyai.errors import UnreadableBody, shorten
from anomalyai.schema import MAX_NAME_CHARS, FeedSchema, JsonType, Kind

__all__ = ["TYPED_CELLS", "CsvRows", "Fault", "Row", "Table", "convert", "header_of", "parse_number"]

TYPED_CELLS: Final = 500
"""How many filled cells decide whether a new column holds numbers."""

_NUMBER: Final = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,5})?\s*", re.ASCII)
_PADDED: Final = re.compile(r"\s*[+-]?0\d")
_INTEGER: Final = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_NOT_FINITE: Final = frozenset(
    {"nan", "+nan", "-nan", "inf", "+inf", "-inf", "infinity", "+infinity", "-infinity"}
)

_numbers = msgspec.json.Decoder(list[int | float | None])

Cells = list[str]
Row = list[str] | RecordError


class Fault(NamedTuple):
    """A row that cannot be taken, by its place among the data rows."""

    place: int
    error: RecordError


class Table(NamedTuple):
    """Rows of one table as columns, with the place of each among the data rows, and what was refused."""

    columns: dict[str, list[Any]]
    places: list[int]
    faults: list[Fault]


class CsvRows:
    """Lines of cells read from lines of text; a line that is no CSV comes as the error it makes.

    Blank lines are left out. How the table is written is told from its first lines (`anomalyai.csv_dialect`).
    """

    def __init__(self, lines: Iterable[str]) -> None:
        following = iter(lines)
        first = list(islice(following, SNIFFED_LINES))
        dialect = sniff(first)
        cells = csv.reader(chain(first, following), delimiter=dialect.delimiter, strict=True)
        self._rows = map(dialect.plain, filter(None, cells)) if dialect.marks else filter(None, cells)

    @classmethod
    def of_body(cls, body: bytes) -> CsvRows:
        """Return the rows of a whole body; bytes that are no UTF-8 become faults of their cells."""
        return cls(StringIO(body.decode("utf-8-sig", errors="surrogateescape"), newline=""))

    def take(self, most: int | None = None) -> list[Row]:
        """Return the next rows, at most `most`; an empty list is the end."""
        rows: list[Row] = []
        while most is None or len(rows) < most:
            try:
                rows.extend(islice(self._rows, None if most is None else most - len(rows)))
            except csv.Error as error:
                text = f"expected a CSV row, got: {error}; quote cells that hold quotes or commas"
                rows.append(RecordError(None, text))
            else:
                break
        return rows


def header_of(rows: CsvRows) -> tuple[str, ...]:
    """Return the column names from the first line; raises `UnreadableBody`."""
    first = next(iter(rows.take(1)), None)
    if first is None or isinstance(first, RecordError):
        got = "nothing" if first is None else first.text
        raise UnreadableBody(
            f"expected a CSV header line, got {got}", hint="Put the field names in the first line"
        )
    names = tuple(cell.strip() or f"column_{place}" for place, cell in enumerate(first, 1))
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    long = next((name for name in names if len(name) > MAX_NAME_CHARS), None)
    problem: str | None = None
    if twice is not None:
        problem = f"expected each column once in the CSV header, got {shorten(twice)} twice"
    elif long is not None:
        problem = f"expected column names of at most {MAX_NAME_CHARS} characters, got {shorten(long)}"
    elif all(_NUMBER.fullmatch(cell) for cell in first):
        problem = f"expected a CSV header line, got numbers: {shorten(','.join(first))}"
    elif any(map(_is_undecoded, names)):
        problem = "expected a CSV header in UTF-8, got other bytes"
    if problem is not None:
        raise UnreadableBody(problem, field=twice, hint="The first line must hold the field names")
    return names


def convert(header: Sequence[str], rows: Sequence[Row], schema: FeedSchema, first_place: int = 0) -> Table:
    """Turn rows of cells into columns of JSON values.

    Parameters
    ----------
    header
        Column names.
    rows
        Lines of cells, or the errors in their place.
    schema
        Tells the type of the columns it knows.
    first_place
        Place of the first row among the data rows.
    """
    width = len(header)
    places: list[int] = []
    faults: list[Fault] = []
    kept: list[Cells] = []
    for place, row in enumerate(rows, first_place):
        if row.__class__ is list and len(row) == width:
            kept.append(row)
            places.append(place)
        else:
            faults.append(
                Fault(place, row if isinstance(row, RecordError) else _wrong_width(width, len(row)))
            )
    if not kept:
        return Table({}, [], faults)
    columns: dict[str, list[Any]] = {}
    bad: dict[int, RecordError] = {}
    for name, cells in zip(header, map(list, zip(*kept, strict=True)), strict=True):
        columns[name] = _column(name, cells, schema, bad)
    if bad:
        good = [i for i in range(len(kept)) if i not in bad]
        faults += [Fault(places[i], error) for i, error in bad.items()]
        columns = {name: [column[i] for i in good] for name, column in columns.items()}
        places = [places[i] for i in good]
    return Table(columns, places, sorted(faults, key=lambda fault: fault.place))


def _wrong_width(expected: int, got: int) -> RecordError:
    return RecordError(
        None,
        f"expected {expected} cells as in the header, got {got}; leave cells empty where a value is missing",
    )


def _column(name: str, cells: Cells, schema: FeedSchema, bad: dict[int, RecordError]) -> list[Any]:
    """Return the values of one column; rows that cannot be read are added to `bad`, the first fault each."""
    json_type = _json_type(name, cells, schema)
    if json_type is JsonType.NUMBER:
        plain = _plain_numbers(cells)
        if plain is not None:
            return plain
        return [_checked(name, i, cell, bad) for i, cell in enumerate(cells)]
    if json_type is JsonType.BOOLEAN:
        truth = {"": None, "true": True, "false": False}
        return [truth.get(cell.strip().lower(), cell) for cell in cells]
    if not "".join(cells).isascii():
        for i, cell in enumerate(cells):
            if _is_undecoded(cell):
                bad.setdefault(
                    i, RecordError(name, "expected UTF-8, got other bytes; encode the file as UTF-8")
                )
    return [cell or None for cell in cells]


def _is_undecoded(cell: str) -> bool:
    return not cell.isascii() and any("\ud800" <= c <= "\udfff" for c in cell)


def _json_type(name: str, cells: Cells, schema: FeedSchema) -> JsonType:
    field = schema.by_name.get(name)
    if field is not None:
        if field.declared and field.kind in (Kind.ENTITY, Kind.ID, Kind.IGNORE):
            return JsonType.STRING
        if field.type is not JsonType.UNKNOWN:
            return field.type
    sample = list(islice((cell for cell in cells if cell), TYPED_CELLS))
    return JsonType.NUMBER if sample and _are_numbers(sample) else JsonType.STRING


def _are_numbers(cells: Cells) -> bool:
    if _plain_numbers(cells) is not None:
        return True
    finite = [cell for cell in cells if cell.strip().lower() not in _NOT_FINITE]
    return bool(finite) and all(_NUMBER.fullmatch(cell) and not _PADDED.match(cell) for cell in finite)


def _plain_numbers(cells: Cells) -> list[Any] | None:
    """Return the cells' numbers if each one is empty or a JSON number within range, else None."""
    try:
        values = _numbers.decode("[" + ",".join([cell or "null" for cell in cells]) + "]")
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    if len(values) != len(cells) or values.count(None) != cells.count(""):
        return None  # a comma or a null within a cell
    return values


def _checked(name: str, i: int, cell: str, bad: dict[int, RecordError]) -> int | float | None:
    try:
        return parse_number(name, cell)
    except RecordError as error:
        bad.setdefault(i, error)
        return None


def parse_number(name: str, cell: str) -> int | float | None:
    """Return the number in a cell, None if it is blank; raises `RecordError`."""
    if not cell or cell.isspace():
        return None
    value: int | float
    if _INTEGER.fullmatch(cell) and len(cell) <= MAX_INTEGER_DIGITS:
        value = int(cell)
        finite = abs(value) < FLOAT_BOUND
    elif _NUMBER.fullmatch(cell):
        value = float(cell)
        finite = math.isfinite(value)
    elif cell.strip().lower() in _NOT_FINITE:
        raise RecordError(
            name, f"expected a finite number, got {cell.strip()}; leave the cell empty where it is missing"
        )
    else:
        raise RecordError(
            name,
            f"expected a number, got {describe(cell)}; leave the cell empty where it is missing, "
            "or declare the schema anew",
            mistyped=True,
        )
    if not finite:
        raise RecordError(name, f"expected a number within the range of a 64-bit float, got {shorten(cell)}")
    return value
