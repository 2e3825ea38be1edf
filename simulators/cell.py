"""Cells of a CSV file to JSON values, by the rules that an upload of the same file meets in the server.

- A column holds numbers only if its first 500 filled cells do; a server that knows the field's type already,
or
  has it declared as an entity, an identifier or ignored (whose texts are kept exactly), decides instead.
- A number is what `1`, `-2.5`, `+5`, `.5`, `5.`, `1e3` and blanks around them look like. A cell with a
leading
  zero (`00501`) is none: its zeros mean something. `nan`, `inf` and numbers beyond a 64-bit float do not
  make a column text, but are refused, each with its record, by the server.
- Whole numbers are sent digit for digit, others as the nearest 64-bit float, as `float()` reads them.
- An empty cell is null, and so is a blank one among numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

import msgspec

__all__ = ["NUMBER", "STRING", "Known", "column_type", "convert"]

NUMBER, STRING, BOOLEAN = "number", "string", "boolean"
TYPED_CELLS: Final = 500
MAX_INTEGER_DIGITS: Final = 1_000

Known = Mapping[str, str]
"""JSON types of fields by name, as far as they are known."""

_NUMBER: Final = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,5})?\s*", re.ASCII)
_PADDED: Final = re.compile(r"\s*[+-]?0\d")
_INTEGER: Final = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
_NOT_FINITE: Final = frozenset(sign + word for sign in ("", "+", "-") for word in ("nan", "inf", "infinity"))
_TRUTH: Final = {"": None, "true": True, "false": False}

_numbers = msgspec.json.Decoder(list[int | float | None])


def column_type(cells: Sequence[str]) -> str | None:
    """Return the type of a column by its first 500 filled cells; None if there is none.

    >>> column_type(["", "1", "2e3"]), column_type(["1", "00501"]), column_type(["", ""])
    ('number', 'string', None)
    """
    sample = list(islice(filter(None, cells), TYPED_CELLS))
    if not sample:
        return None
    if _plain_numbers(sample) is not None:
        return NUMBER
    finite = [cell for cell in sample if cell.strip().lower() not in _NOT_FINITE]
    numeric = bool(finite) and all(_NUMBER.fullmatch(cell) and not _PADDED.match(cell) for cell in finite)
    return NUMBER if numeric else STRING


def convert(cells: Sequence[str], json_type: str) -> list[Any]:
    """Return a column's JSON values; a cell that is not of the type stays text, for the server to refuse.

    >>> convert(["1", "", "+2.50", "x", "123456789012345678901"], "number")
    [1, None, 2.5, 'x', 123456789012345678901]
    """
    if json_type == NUMBER:
        plain = _plain_numbers(cells)
        return plain if plain is not None else [_number(cell) for cell in cells]
    if json_type == BOOLEAN:
        return [_TRUTH.get(cell.strip().lower(), cell) for cell in cells]
    return [cell or None for cell in cells]


def _plain_numbers(cells: Sequence[str]) -> list[Any] | None:
    """Return the numbers if each cell is empty or a JSON number within range, else None."""
    try:
        values = _numbers.decode("[" + ",".join([cell or "null" for cell in cells]) + "]")
    except (msgspec.MsgspecError, UnicodeEncodeError):
        return None
    if len(values) != len(cells) or values.count(None) != cells.count(""):
        return None  # a comma or a null within a cell
    return values


def _number(cell: str) -> int | float | str | None:
    if not cell or cell.isspace():
        return None
    if _INTEGER.fullmatch(cell) and len(cell) <= MAX_INTEGER_DIGITS:
        return int(cell)
    if _NUMBER.fullmatch(cell) and math.isfinite(value := float(cell)):
        return value
    return cell
