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

__all__ = ["export_form", "write_chunks"]

FORMS: Final = {".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}


def export_form(path: str | Path) -> str:
    """Return `csv` or `ndjson` by the file's name; raises `ValueError` for another.

    >>> export_form("flows.csv.gz"), export_form("flows.jsonl")
    ('csv', 'ndjson')
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() != ".gz"]
    form = FORMS.get(suffixes[-1]) if suffixes else None
    if form is None:
        raise ValueError(f"expected a file name that ends in {', '.join(FORMS)} (or with .gz), got {path}")
    return form


def write_chunks(path: str | Path, chunks: Iterable[Chunk], on_chunk: Callable[[Chunk], None]) -> None:
    """Write all chunks, calling `on_chunk` after each. A missing value is an empty cell, or null.

    The same stream gives the same bytes: a gzip file carries neither its name nor the time.
    """
    form = export_form(path)
    with Path(path).open("wb") as opened:
        if Path(path).suffix.lower() == ".gz":
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
