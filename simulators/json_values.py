"""JSON values one after the other from a file of any size: the elements of an array, or values in a row."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import BinaryIO, Final

__all__ = ["MAX_VALUE_BYTES", "FileError", "json_values"]

READ_BYTES: Final = 1 << 20
MAX_VALUE_BYTES: Final = 64 << 20
BLANK: Final = " \t\r\n"


class FileError(Exception):
    """The file cannot be read on: what was expected, what came, where."""


def json_values(binary: BinaryIO, name: str) -> Iterator[str]:
    """Yield the texts of an array's elements, or of values that merely follow each other."""
    buffer = _Buffer(binary, name)
    array = buffer.skip() == "["
    if array:
        buffer.place += 1
    ends = {"", "]"} if array else {""}
    while (sign := buffer.skip()) not in ends:
        yield buffer.value()
        if array and buffer.skip() == ",":
            buffer.place += 1
        elif array and buffer.skip() != "]":
            raise buffer.error("a comma or the array's end")
    if array and sign != "]":
        raise buffer.error("the array's end")


class _Buffer:
    """The text of a file around the place that was read up to."""

    def __init__(self, binary: BinaryIO, name: str) -> None:
        self._binary = binary
        self._name = name
        self._decode = codecs.getincrementaldecoder("utf-8-sig")(errors="surrogateescape")
        # numbers are not converted: only where a value ends is asked
        self._parse = json.JSONDecoder(parse_constant=str, parse_int=len, parse_float=len).raw_decode
        self._text = ""
        self._before = 0  # characters that were dropped
        self._ended = False
        self.place = 0

    def skip(self) -> str:
        """Go on to the next sign that is not blank, and return it; empty at the end."""
        while True:
            while self.place < len(self._text) and self._text[self.place] in BLANK:
                self.place += 1
            if self.place < len(self._text):
                return self._text[self.place]
            if not self._more():
                return ""

    def value(self) -> str:
        """Return the text of the JSON value that begins here, and go on behind it."""
        while True:
            try:
                _, end = self._parse(self._text, self.place)
            except json.JSONDecodeError as error:
                whole, problem = False, str(error)
            except RecursionError:
                raise self.error("less deep nesting") from None
            else:
                whole, problem = end < len(self._text) or self._ended, ""
            if whole:
                text = self._text[self.place : end]
                self.place = end
                return text
            if not self._more() and problem:
                raise self.error(f"a JSON value ({problem})")

    def error(self, expected: str) -> FileError:
        """Return the error for what stands here."""
        got = self._text[self.place : self.place + 40] or "the end of the file"
        place = self._before + self.place
        return FileError(f"{self._name}: expected {expected} at character {place}, got {got!r}")

    def _more(self) -> bool:
        """Read on; False at the end of the file."""
        if len(self._text) - self.place > MAX_VALUE_BYTES:
            raise self.error(f"a JSON value of at most {MAX_VALUE_BYTES} bytes")
        if self._ended:
            return False
        data = self._binary.read(max(READ_BYTES, len(self._text) - self.place))
        self._ended = not data
        self._before += self.place
        self._text = self._text[self.place :] + self._decode.decode(data, final=self._ended)
        self.place = 0
        return True
