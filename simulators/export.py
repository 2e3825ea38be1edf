"""Writing a simulated stream to a file: CSV or NDJSON, by its name, gzipped where that ends in `.gz`."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import msgspec

from simulators.simulator import Chunk

__all__ = ["export_form", "name_problem", "write_chunks"]

FORMS: Final = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


def export_form(path: Path) -> str | None:
    """Return `csv` or `ndjson` by the file's name, None if it is neither.

    >>> export_form(Path("flows.csv.gz")), export_form(Path("flows.jsonl")), export_form(Path("flows"))
    ('csv', 'ndjson', None)
    """
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() != ".gz"]
    return FORMS.get(suffixes[-1]) if suffixes else None


def name_problem(path: Path) -> str | None:
    """Say why no stream can be written to a file of this name; None if one can."""
    if export_form(path) is None:
        return f"expected a name that ends in {', '.join(FORMS)}, also with .gz, got {path.name!r}"
    return None


def write_chunks(path: Path, chunks: Iterable[Chunk], on_chunk: Callable[[Chunk], None]) -> None:
    """Write all chunks, calling `on_chunk` after each. A missing value is an empty cell, or null.

    The same stream gives the same bytes: a gzip file carries neither its name nor the time.
    """
    form = export_form(path)
    if form is None:
        raise ValueError(name_problem(path))
    with path.open("wb") as opened:
        if path.suffix.lower() == ".gz":
            with gzip.GzipFile(filename="", fileobj=opened, mode="wb", mtime=0, compresslevel=6) as packed:
                _write(cast(BinaryIO, packed), form, chunks, on_chunk)
        else:
            _write(opened, form, chunks, on_chunk)


def _write(binary: BinaryIO, form: str, chunks: Iterable[Chunk], on_chunk: Callable[[Chunk], None]) -> None:
    if form == "ndjson":
        for chunk in chunks:
            binary.write(b"".join(msgspec.json.encode(record) + b"\n" for record in chunk.records()))
            on_chunk(chunk)
        return
    text = io.TextIOWrapper(binary, encoding="utf-8", newline="")
    writer: Any = csv.writer(text, lineterminator="\n")
    for place, chunk in enumerate(chunks):
        if place == 0:
            writer.writerow(chunk.columns)
        writer.writerows(zip(*chunk.columns.values(), strict=True))
        on_chunk(chunk)
    text.flush()
    text.detach()  # or the file would be closed with it
