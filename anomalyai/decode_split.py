"""Splitting of JSON text into its elements without parsing them, so that one bad element stays alone.

`msgspec` refuses a whole array for one `NaN` in it. The splitter only follows strings, brackets and commas;
what is between two commas may be any rubbish, which then fails by itself.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from anomalyai.errors import TooLarge, UnreadableBody

__all__ = ["ArraySplitter", "split_array", "split_concatenated"]

MAX_PENDING_BYTES: Final = 64 * 1024 * 1024
"""Most bytes of one unfinished element that a splitter holds."""

LARGEST_RUN_BYTES: Final = 1 << 20
SMALLEST_RUN_BYTES: Final = 256

_TOKEN: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|["\[\]{},]', re.DOTALL)
_BLANK: Final = b" \t\r\n"
_OPEN: Final = frozenset(b"[{")
_CLOSE: Final = frozenset(b"]}")
_COMMA: Final = ord(",")
_QUOTE: Final = ord('"')

_raws = msgspec.json.Decoder(list[msgspec.Raw])


class ArraySplitter:
    """Splits a JSON array that comes in pieces; raises `UnreadableBody` where it is none."""

    def __init__(self) -> None:
        self._pending = b""
        self._scanned = 0
        self._depth = 0
        self._elements = 0
        self._closed = False

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next piece and return the elements that it completes."""
        body = self._pending + data
        if self._closed:
            self._require_end(body)
            return []
        if self._depth == 0:
            body = body.lstrip(_BLANK)
            if not body:
                return []
            if body[:1] != b"[":
                raise UnreadableBody("expected a JSON array of records", hint="Send [{...}, {...}]")
            self._depth, body = 1, body[1:]
        return self._split(body)

    def _split(self, body: bytes) -> list[bytes]:
        elements: list[bytes] = []
        begin, position, window = 0, self._scanned, LARGEST_RUN_BYTES
        while True:
            if position == begin and self._depth == 1:
                begin, window = self._take_valid(body, begin, window, elements)
                position = begin
            match = None
            for match in _TOKEN.finditer(body, position):
                symbol = body[match.start()]
                if symbol == _QUOTE and match.end() - match.start() == 1:
                    match = None  # the string goes on in the next piece
                    break
                position = match.end()
                if symbol in _OPEN:
                    self._depth += 1
                elif symbol in _CLOSE:
                    self._depth -= 1
                    if self._depth == 0:
                        return self._close(body, begin, match.start(), elements)
                elif symbol == _COMMA and self._depth == 1:
                    break
            else:
                match = None
            if match is None:
                return self._keep(body, begin, position, elements)
            elements.append(body[begin : match.start()].strip(_BLANK))
            begin = position

    def _keep(self, body: bytes, begin: int, position: int, elements: list[bytes]) -> list[bytes]:
        """Remember the unfinished element for the next piece."""
        self._elements += len(elements)
        self._pending, self._scanned = body[begin:], position - begin
        if len(self._pending) > MAX_PENDING_BYTES:
            raise TooLarge(
                f"expected elements of at most {MAX_PENDING_BYTES} bytes, element {self._elements} has more"
            )
        return elements

    def _take_valid(self, body: bytes, begin: int, window: int, elements: list[bytes]) -> tuple[int, int]:
        """Split what is valid JSON from `begin` on, in runs that end after an object, as far as that goes.

        What parses as an array from the start of an element on does end with an element. Where a run does not
        parse, shorter ones are tried, until the element that is at fault comes next.

        Returns
        -------
        tuple
            Where the next element begins, and the size of the run to try next time.
        """
        while window >= SMALLEST_RUN_BYTES:
            cut = body.rfind(b"},", begin, begin + window)
            try:
                raws = _raws.decode(b"[" + body[begin : cut + 1] + b"]") if cut >= 0 else []
            except (msgspec.MsgspecError, RecursionError):
                raws = []
            if raws:
                elements += map(bytes, raws)
                begin = cut + 2
                window = min(2 * window, LARGEST_RUN_BYTES)
            else:
                window //= 4
        return begin, 4 * SMALLEST_RUN_BYTES

    def finish(self) -> None:
        """Tell that no more comes; raises `UnreadableBody` if the array has not ended."""
        if self._closed:
            return
        if self._depth == 0:
            raise UnreadableBody("expected a JSON array of records, got nothing", hint="Send [{...}, {...}]")
        raise UnreadableBody(
            f"expected the array to end with ], but the body ends within element {self._elements}",
            code="truncated_body",
            hint="Send the whole array",
        )

    def _close(self, body: bytes, begin: int, end: int, elements: list[bytes]) -> list[bytes]:
        last = body[begin:end].strip(_BLANK)
        if last or elements or self._elements:
            elements.append(last)
        self._elements += len(elements)
        self._closed, self._pending = True, b""
        self._require_end(body[end + 1 :])
        return elements

    def _require_end(self, rest: bytes) -> None:
        if rest.strip(_BLANK):
            raise UnreadableBody(
                f"expected nothing after the array's {self._elements} elements, got more bytes",
                hint="Send one array, or records one a line as application/x-ndjson",
            )


def split_array(body: bytes) -> list[bytes]:
    """Return the elements of a JSON array as bytes, unparsed; raises `UnreadableBody` if it does not end.

    >>> split_array(b'[{"a": NaN}, {"b": "],["} ]')
    [b'{"a": NaN}', b'{"b": "],["}']
    """
    splitter = ArraySplitter()
    elements = splitter.feed(body)
    splitter.finish()
    return elements


def split_concatenated(body: bytes) -> list[bytes]:
    """Return JSON objects that follow one another; what follows the last complete one is an element too.

    >>> split_concatenated(b'{"a":1}{"b": {"c": 2}} {"d"')
    [b'{"a":1}', b'{"b": {"c": 2}}', b'{"d"']
    """
    elements: list[bytes] = []
    depth = begin = 0
    for match in _TOKEN.finditer(body):
        symbol = body[match.start()]
        if symbol == _QUOTE and match.end() - match.start() == 1:
            break
        if symbol in _OPEN:
            depth += 1
        elif symbol in _CLOSE:
            depth = max(0, depth - 1)
            if depth == 0:
                elements.append(body[begin : match.end()].strip(_BLANK))
                begin = match.end()
    rest = body[begin:].strip(_BLANK)
    return [*elements, rest] if rest else elements
