"""Splitting of JSON text into its elements without parsing them, so that one bad element stays alone.

`msgspec` refuses a whole array for one `NaN` in it. The splitter only follows strings, brackets and commas; what is
between two commas may be any rubbish, which then fails by itself.
"""

from __future__ import annotations

import re
from typing import Final

from anomalyai.errors import UnreadableBody

__all__ = ["split_array", "split_concatenated"]

_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{},]', re.DOTALL)
_BLANK: Final = b" \t\r\n"


def split_array(body: bytes) -> list[bytes]:
    """Return the elements of a JSON array as bytes, unparsed; raises `UnreadableBody` if it does not end.

    >>> split_array(b'[{"a": NaN}, {"b": "],["} ]')
    [b'{"a": NaN}', b'{"b": "],["}']
    """
    start = len(body) - len(body.lstrip(_BLANK))
    if body[start : start + 1] != b"[":
        raise UnreadableBody("expected a JSON array of records", hint="Send [{...}, {...}]")
    elements: list[bytes] = []
    depth, begin = 0, start + 1
    for match in _TOKEN.finditer(body, start):
        symbol = body[match.start()]
        if symbol in b"[{":
            depth += 1
        elif symbol in b"]}":
            depth -= 1
            if depth == 0:
                _require_end(body, match.end())
                last = body[begin : match.start()].strip(_BLANK)
                if last or elements:
                    elements.append(last)
                return elements
        elif symbol == ord(",") and depth == 1:
            elements.append(body[begin : match.start()].strip(_BLANK))
            begin = match.end()
        elif symbol == ord('"') and match.end() - match.start() == 1:
            break
    raise UnreadableBody(
        f"expected the array to end with ], but its {len(body)} bytes end within element {len(elements)}",
        code="truncated_body",
        hint="Send the whole array; nothing of it was accepted",
    )


def _require_end(body: bytes, end: int) -> None:
    rest = body[end:].strip(_BLANK)
    if rest:
        raise UnreadableBody(
            f"expected nothing after the array, got {len(rest)} more bytes at byte {end}",
            hint="Send one array, or records one a line as application/x-ndjson",
        )


def split_concatenated(body: bytes) -> list[bytes]:
    """Return JSON objects that follow one another; what follows the last complete one is an element too.

    >>> split_concatenated(b'{"a":1}{"b": {"c": 2}} {"d"')
    [b'{"a":1}', b'{"b": {"c": 2}}', b'{"d"']
    """
    elements: list[bytes] = []
    depth = begin = 0
    for match in _TOKEN.finditer(body):
        symbol = body[match.start()]
        if symbol in b"[{":
            depth += 1
        elif symbol in b"]}":
            depth -= 1
            if depth <= 0:
                depth = 0
                elements.append(body[begin : match.end()].strip(_BLANK))
                begin = match.end()
        elif symbol == ord('"') and match.end() - match.start() == 1:
            break
    rest = body[begin:].strip(_BLANK)
    return [*elements, rest] if rest else elements
