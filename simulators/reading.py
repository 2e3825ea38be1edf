"""Files of records, plain or gzipped, piece by piece, in file order: CSV, NDJSON and JSON. Memory is bounded.

What the file is, its content and name tell. JSON records are passed on as the texts they are. A row that
cannot even be told from its neighbours' (a CSV line with the wrong number of cells, a line that is no JSON)
is left out and noted; everything else about a record is the server's to judge.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any, AnyStr, BinaryIO, Final, cast

import msgspec

from simulators.cell import STRING, Known, column_type, convert
from simulators.json_values import MAX_VALUE_BYTES, FileError, json_values

__all__ = ["FileError", "Piece", "RecordFile"]

ROWS: Final = 10_000
STEP_ROWS: Final = 1_000
PIECE_BYTES: Final = 4 << 20

_GZIP: Final = b"\x1f\x8b"
_SUFFIXES: Final = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json"}
_raw = msgspec.json.Decoder(msgspec.Raw)


@dataclass(slots=True)
class Piece:
    """Some rows of a file: as columns (CSV) or as JSON texts; `unreadable` are (0-based data row, reason)."""

    first_row: int
    columns: dict[str, list[Any]] | None = None
    raw: list[bytes] = field(default_factory=list)
    unreadable: list[tuple[int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        if self.columns is None:
            return len(self.raw)
        return len(next(iter(self.columns.values()), []))


class RecordFile:
    """One file, opened for reading once.

    Attributes
    ----------
    size_bytes : int
        Size on disk.
    form : str
        `csv`, `ndjson` or `json`.

    Raises
    ------
    OSError
        It cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._file = self._path.open("rb")
        self.size_bytes = self._path.stat().st_size
        packed = self._file.read(2) == _GZIP
        self._file.seek(0)
        self._binary = cast(BinaryIO, gzip.GzipFile(fileobj=self._file)) if packed else self._file
        with self._damage_named():
            self.form = self._sniff()

    def __enter__(self) -> RecordFile:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def position_bytes(self) -> int:
        """Return how much of the file on disk was read, for showing progress."""
        return min(self._file.tell(), self.size_bytes)

    def pieces(self, known: Known | None = None) -> Iterator[Piece]:
        """Yield the rows in order; `known` types hold for columns of CSV. Raises `FileError`."""
        with self._damage_named():
            if self.form == "csv":
                yield from self._csv(dict(known or {}))
            elif self.form == "ndjson":
                lines = _bounded(self._binary.readline, str(self._path))
                whole = (line.removeprefix(codecs.BOM_UTF8).strip() for line in lines)
                yield from _raw_pieces(filter(None, whole))
            else:
                values = json_values(self._binary, str(self._path))
                yield from _raw_pieces(text.encode("utf-8", errors="surrogateescape") for text in values)

    @contextmanager
    def _damage_named(self) -> Iterator[None]:
        """Turn damage of a gzip file into a `FileError`."""
        try:
            yield
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise FileError(f"{self._path}: expected a whole gzip file, got: {error}") from error

    def _sniff(self) -> str:
        head = self._binary.read(256)
        self._binary.seek(0)
        start = head.removeprefix(codecs.BOM_UTF8).lstrip()[:1]
        suffixes = [suffix.lower() for suffix in self._path.suffixes if suffix.lower() != ".gz"]
        named = _SUFFIXES.get(suffixes[-1]) if suffixes else None
        if named == "csv" or (named is None and start not in (b"{", b"[")):
            return "csv"
        return "ndjson" if named == "ndjson" and start != b"[" else "json"

    def _csv(self, known: dict[str, str]) -> Iterator[Piece]:
        text = io.TextIOWrapper(self._binary, encoding="utf-8-sig", errors="surrogateescape", newline="")
        try:
            lines = _bounded(text.readline, str(self._path))
            rows = filter(None, csv.reader(lines, strict=True))
            names = self._header(_take(rows, 1))
            first = 0
            while taken := _take_piece(rows):
                piece = Piece(first, {})
                first += len(taken)
                piece.columns = _table(names, taken, known, piece)
                yield piece
        finally:
            if not text.closed:
                text.detach()  # or the file would be closed with it

    def _header(self, first: Sequence[list[str] | str]) -> tuple[str, ...]:
        """Return the column names, given the first line or none."""
        if not first or isinstance(first[0], str):
            got = first[0] if first else "an empty file"
            raise FileError(f"{self._path}: expected a CSV header line, got {got}")
        names = tuple(cell.strip() or f"column_{place}" for place, cell in enumerate(first[0], 1))
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise FileError(f"{self._path}: expected each column once in the CSV header, got {twice!r} twice")
        return names


def _raw_pieces(raws: Iterable[bytes]) -> Iterator[Piece]:
    """Gather JSON texts to pieces; a text that is no JSON is noted as unreadable."""
    piece, size = Piece(0), 0
    for row, raw in enumerate(raws):
        try:
            _raw.decode(raw)
        except (msgspec.MsgspecError, RecursionError) as error:
            piece.unreadable.append((row, f"expected a JSON object: {error}"))
        else:
            piece.raw.append(raw)
        size += len(raw)
        if row + 1 - piece.first_row >= ROWS or size >= PIECE_BYTES:
            yield piece
            piece, size = Piece(row + 1), 0
    if piece.raw or piece.unreadable:
        yield piece


def _take_piece(rows: Iterator[list[str]]) -> list[list[str] | str]:
    """Return the rows of the next piece: no more than `ROWS`, fewer where they are large."""
    taken: list[list[str] | str] = []
    size = 0
    while len(taken) < ROWS and size < PIECE_BYTES and (step := _take(rows, STEP_ROWS)):
        taken += step
        size += sum(map(len, chain.from_iterable(step)))
    return taken


def _take(rows: Iterator[list[str]], most: int) -> list[list[str] | str]:
    """Return the next rows, each a list of cells or the reason why it is none; empty at the end."""
    taken: list[list[str] | str] = []
    while len(taken) < most:
        try:
            taken.extend(islice(rows, most - len(taken)))
        except csv.Error as error:
            taken.append(f"expected a CSV row, got: {error}; quote cells that hold quotes or commas")
        else:
            break
    return taken


def _table(
    names: Sequence[str], rows: Sequence[list[str] | str], known: dict[str, str], piece: Piece
) -> dict[str, list[Any]]:
    """Turn rows into typed columns; types that are decided here are added to `known`."""
    kept: list[list[str]] = []
    for number, row in enumerate(rows, piece.first_row):
        if isinstance(row, str):
            piece.unreadable.append((number, row))
        elif len(row) != len(names):
            piece.unreadable.append((number, f"expected {len(names)} cells as in the header, got {len(row)}"))
        elif not (text := "".join(row)).isascii() and any("\ud800" <= sign <= "\udfff" for sign in text):
            piece.unreadable.append((number, "expected UTF-8, got other bytes"))
        else:
            kept.append(row)
    columns: dict[str, list[Any]] = {}
    for name, cells in zip(names, map(list, zip(*kept, strict=True)), strict=bool(kept)):
        found = known.get(name) or column_type(cells)
        if found is not None:
            known[name] = found
        columns[name] = convert(cells, found or STRING)
    return columns


def _bounded(read_line: Callable[[int], AnyStr], name: str) -> Iterator[AnyStr]:
    """Yield lines; raises `FileError` for one without an end in sight."""
    while line := read_line(MAX_VALUE_BYTES):
        if len(line) == MAX_VALUE_BYTES:
            raise FileError(f"{name}: expected lines shorter than {MAX_VALUE_BYTES} bytes")
        yield line
