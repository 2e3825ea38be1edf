"""Files of records as batches: CSV, NDJSON and JSON arrays, plain or gzipped, in file order.

A file goes through the same `Intake` as what a producer sends, so that a back-test sees the bits that the
live system would have seen. Memory is bounded by `batch_rows` and the limits of a line or element.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from anomalyai.control import SchemaChange
from anomalyai.decode_csv import CsvRows, header_of
from anomalyai.decode_split import ArraySplitter
from anomalyai.errors import StateError, TooLarge, UnreadableBody
from anomalyai.intake import Admission, Intake, IntakeLimits
from anomalyai.records import RecordBatch, Rejection
from anomalyai.schema import FeedSchema

__all__ = ["FileBatches", "read_batches"]

PIECE_BYTES: Final = 1 << 20
MAX_LINE_BYTES: Final = 64 << 20
KEPT_REJECTIONS: Final = 1_000

_GZIP: Final = b"\x1f\x8b"
_SUFFIXES: Final = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson", ".json": "json"}


class FileBatches(Iterable[RecordBatch | SchemaChange]):
    """The batches and schema changes of one file, in order; to be iterated once.

    Attributes
    ----------
    intake : Intake
        What admits the records; its `schema` is the one that holds at the end.
    records : int
        Data rows read so far, good and bad: those before the end of the last batch's chunk.
    rejected : int
        Data rows that were refused so far.
    rejections : list of Rejection
        The first 1,000 of them; `index` is the 0-based data row.
    """

    def __init__(
        self,
        path: str | Path,
        schema: FeedSchema | None,
        batch_rows: int,
        limits: IntakeLimits | None,
        form: str | None = None,
        arrival_s: float = math.nan,
        fixed: bool = False,
    ) -> None:
        self.intake = Intake(schema, limits=limits, fixed=fixed)
        self._arrival_s = arrival_s
        self.records = 0
        self.rejected = 0
        self.rejections: list[Rejection] = []
        self._path = Path(path)
        self._batch_rows = batch_rows
        self._form = form
        self._file: BinaryIO | None = None
        self._begun = False

    def __iter__(self) -> Iterator[RecordBatch | SchemaChange]:
        if self._begun:
            raise StateError(
                f"expected to read {self._path.name} once, got a second pass",
                hint="Call read_batches again",
            )
        self._begun = True
        return self._items()

    def _items(self) -> Iterator[RecordBatch | SchemaChange]:
        for admission in self._read(self._path):
            self.rejected += len(admission.rejected)
            self.rejections += admission.rejected[: KEPT_REJECTIONS - len(self.rejections)]
            yield from admission.items

    def admissions(self) -> Iterator[Admission]:
        """Return what became of the rows, part by part, instead of the batches alone."""
        self._begun = True
        return self._read(self._path)

    def _read(self, path: Path) -> Iterator[Admission]:
        with path.open("rb") as opened, _unpacked(opened) as binary:
            self._file, self._size_bytes = opened, max(path.stat().st_size, 1)
            try:
                yield from self._admissions(path, binary)
            except (gzip.BadGzipFile, EOFError, zlib.error) as error:
                raise UnreadableBody(
                    f"expected a whole gzip file, got {error} in {path.name}",
                    hint="Pack or copy the file again",
                ) from error

    @property
    def fraction(self) -> float:
        """How much of the file is read, 0..1."""
        if self._file is None:
            return 0.0
        return 1.0 if self._file.closed else min(self._file.tell() / self._size_bytes, 1.0)

    def _admissions(self, path: Path, binary: BinaryIO) -> Iterator[Admission]:
        form = self._form or _form(path, binary.read(256))
        binary.seek(0)
        if form == "csv":
            yield from self._tables(binary)
        elif form == "ndjson":
            yield from self._rows(_lines(binary, self.intake.limits.max_record_bytes))
        else:
            yield from self._rows(_elements(binary))

    def _tables(self, binary: BinaryIO) -> Iterator[Admission]:
        guarded = cast(BinaryIO, _BoundedLines(binary))
        text = io.TextIOWrapper(guarded, encoding="utf-8-sig", errors="surrogateescape", newline="")
        rows = CsvRows(text)
        header = header_of(rows)
        while chunk := rows.take(self._batch_rows):
            first = self.records
            self.records += len(chunk)
            yield self.intake.admit_table(header, chunk, first_index=first, arrival_s=self._arrival_s)

    def _rows(self, raws: Iterable[bytes]) -> Iterator[Admission]:
        pending: list[bytes] = []
        size = 0
        for raw in raws:
            pending.append(raw)
            size += len(raw)
            if len(pending) >= self._batch_rows or size >= self.intake.limits.max_frame_bytes:
                yield self._admit(pending)
                pending, size = [], 0
        if pending:
            yield self._admit(pending)

    def _admit(self, raws: list[bytes]) -> Admission:
        first = self.records
        self.records += len(raws)
        return self.intake.admit_rows(raws, first_index=first, arrival_s=self._arrival_s)


def read_batches(
    path: str | Path,
    schema: FeedSchema | None = None,
    *,
    batch_rows: int = 10_000,
    limits: IntakeLimits | None = None,
    form: str | None = None,
    arrival_s: float = math.nan,
    fixed: bool = False,
) -> FileBatches:
    """Return the batches and schema changes of a file, in file order.

    `batch.rows` holds the 1-based data row of each record. Iterating raises `OSError` for a file that cannot
    be read and `UnreadableBody` for one that holds no records.

    Parameters
    ----------
    path
        A CSV, NDJSON (`.ndjson`, `.jsonl`) or JSON file, plain or gzipped; else its content tells.
    schema
        Declared schema; None infers everything.
    batch_rows
        Most records a batch.
    limits
        Bounds of one record; a file as a whole has none.
    form
        "csv", "json" or "ndjson"; None lets the name and the content tell.
    arrival_s
        Epoch seconds of arrival, for records without a time.
    fixed
        Leave the schema as it is (`Intake`).
    """
    return FileBatches(path, schema, batch_rows, limits, form, arrival_s, fixed)


def _unpacked(opened: BinaryIO) -> BinaryIO:
    packed = opened.read(2) == _GZIP
    opened.seek(0)
    return cast(BinaryIO, gzip.GzipFile(fileobj=opened)) if packed else opened


class _BoundedLines(io.BufferedIOBase):
    """Bytes of a text file; raises `TooLarge` where a line has no end."""

    def __init__(self, binary: BinaryIO) -> None:
        self._binary = binary
        self._line_bytes = 0

    def readable(self) -> bool:
        return True

    def read1(self, size: int = -1) -> bytes:
        piece = self._binary.read(PIECE_BYTES)
        ends = max(piece.rfind(b"\n"), piece.rfind(b"\r"))
        self._line_bytes = len(piece) - ends - 1 if ends >= 0 else self._line_bytes + len(piece)
        if self._line_bytes > MAX_LINE_BYTES:
            raise TooLarge(
                f"expected lines of at most {MAX_LINE_BYTES} bytes", hint="Check that it is a CSV file"
            )
        return piece


def _form(path: Path, head: bytes) -> str:
    names = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    known = _SUFFIXES.get(names[-1]) if names else None
    if known == "csv" or (known is None and start[:1] not in (b"{", b"[")):
        return "csv"
    return "json" if start[:1] == b"[" else "ndjson"


def _lines(binary: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """Yield non-blank lines; of one that is above the limit so much that it will be refused."""
    first = True
    while line := binary.readline(max_bytes + 2):
        whole = line.endswith(b"\n")
        while not whole:
            rest = binary.readline(PIECE_BYTES)
            whole = not rest or rest.endswith(b"\n")
            if rest and len(line) <= max_bytes:
                line += rest
        stripped = (line.removeprefix(b"\xef\xbb\xbf") if first else line).strip()
        first = False
        if stripped:
            yield stripped


def _elements(binary: BinaryIO) -> Iterator[bytes]:
    splitter = ArraySplitter()
    first = True
    while piece := binary.read(PIECE_BYTES):
        yield from splitter.feed(piece.removeprefix(b"\xef\xbb\xbf") if first else piece)
        first = False
    splitter.finish()
