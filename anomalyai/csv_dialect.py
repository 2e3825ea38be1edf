"""How a CSV table is written, told from its first lines: what separates cells, and what marks decimals.

Spreadsheets write semicolons and decimal commas in much of the world ("1.234,56", "12,5"), and group
thousands by commas elsewhere ("1,234.56"). A column is read so only if all of its first filled cells fit and
some cannot be meant otherwise; a later cell that does not fit is left as it is, and so refused by name.
"""

from __future__ import annotations

import contextlib
import csv
import re
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

__all__ = ["SNIFFED_LINES", "Dialect", "sniff"]

SNIFFED_LINES: Final = 501
"""A header and the rows that decide a column's type."""

COMPARED_ROWS: Final = 50
DELIMITERS: Final = ",;\t|"

_COMMA: Final = re.compile(r"\s*[+-]?(?:\d{1,3}(?:\.\d{3})+|\d+)(?:,\d+)?\s*", re.ASCII)
_POINT: Final = re.compile(r"\s*[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?\s*", re.ASCII)
_SURELY_COMMA: Final = re.compile(
    r"\s*[+-]?(?:\d{1,3}(?:\.\d{3})+,\d+|0\d*,\d+|\d+,(?!\d{3}\s*$)\d+|\d{4,},\d+)\s*", re.ASCII
)
_SURELY_POINT: Final = re.compile(r"\s*[+-]?\d{1,3}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,})\s*", re.ASCII)


class Dialect(NamedTuple):
    """What separates cells, and for each column that is not written as in JSON its decimal mark."""

    delimiter: str
    marks: Mapping[int, str]

    def plain(self, row: list[str]) -> list[str]:
        """Return a row of cells, those of such columns written as in JSON."""
        for place, mark in self.marks.items():
            if place < len(row):
                row[place] = _plain(row[place], mark)
        return row


def sniff(lines: Sequence[str]) -> Dialect:
    r"""Return how a table with these first lines is written; with commas where nothing else is sure.

    >>> sniff(["name;price\n", "a;1.234,56\n", "b;12,5\n"])
    Dialect(delimiter=';', marks={1: ','})
    >>> sniff(["name,price\n", 'a,"1,234.56"\n', "b,12\n"]).plain(["c", "2,000"])
    ['c', '2000']
    """
    delimiter = _delimiter(lines)
    rows = _rows(lines, delimiter)
    marks = {}
    for place in range(len(rows[0]) if rows else 0):
        cells = [row[place] for row in rows[1:] if place < len(row) and row[place].strip()]
        mark = _mark(cells, delimiter)
        if mark is not None:
            marks[place] = mark
    return Dialect(delimiter, marks)


def _delimiter(lines: Sequence[str]) -> str:
    usual = _widths(lines, ",")
    if not usual or (usual[0] > 1 and len(set(usual)) == 1):
        return ","
    for delimiter in DELIMITERS[1:]:
        found = _widths(lines, delimiter)
        if found and found[0] > 1 and (usual[0] == 1 or len(set(found)) == 1):
            return delimiter
    return ","


def _widths(lines: Sequence[str], delimiter: str) -> list[int]:
    return [len(row) for row in _rows(lines[:COMPARED_ROWS], delimiter)]


def _rows(lines: Sequence[str], delimiter: str) -> list[list[str]]:
    """Return rows of cells up to the first line that is no CSV; blank lines are left out."""
    rows: list[list[str]] = []
    with contextlib.suppress(csv.Error):  # it is told where the rows are read
        rows.extend(row for row in csv.reader(lines, delimiter=delimiter, strict=True) if row)
    return rows


def _mark(cells: Sequence[str], delimiter: str) -> str | None:
    if not any("," in cell for cell in cells):
        return None
    if all(map(_COMMA.fullmatch, cells)) and (delimiter != "," or any(map(_SURELY_COMMA.fullmatch, cells))):
        return ","
    if all(map(_POINT.fullmatch, cells)) and any(map(_SURELY_POINT.fullmatch, cells)):
        return "."
    return None


def _plain(cell: str, mark: str) -> str:
    if mark == "," and _COMMA.fullmatch(cell):
        return cell.replace(".", "").replace(",", ".")
    if mark == "." and _POINT.fullmatch(cell):
        return cell.replace(",", "")
    return cell
