"""Labelled sample files: a simulated stream with some of its values missing, as real files have them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from simulators.export import write_chunks
from simulators.progress import Progress
from simulators.simulation import SIMULATORS
from simulators.simulator import Chunk, Simulator

__all__ = ["Sample", "declaration_path", "gapped", "write_sample"]

SALT: Final = 0x6A70  # gaps are drawn apart from the stream, which stays what `simulate` writes

KEPT: Final = frozenset({"time", "transaction_id", "customer", "merchant", "src", "dst", "label"})
"""Fields that no record lacks: a file without them could not be ordered, joined or measured."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was written; `missing` counts all empty cells, those of the stream itself among them."""

    scenario: str
    rows: int
    anomalies: int
    missing: int
    out: str
    feed_toml: str | None
    seconds: float

    def line(self) -> str:
        """Return it as one JSON line."""
        return msgspec.json.encode(asdict(self)).decode()


def write_sample(
    scenario: str,
    path: Path,
    rows: int,
    *,
    seed: int = 0,
    anomaly_share: float = 0.005,
    missing_share: float = 0.01,
    declares: bool = False,
) -> Sample:
    """Write `rows` labelled records, and the feed's declaration beside them if it `declares`.

    The same arguments give the same bytes. Of every field but those that records are ordered, joined and
    measured by, `missing_share` of the values, 0 to 1, are left out. Raises `OSError`, or `ValueError` for
    the file's name.
    """
    began_s = time.monotonic()
    kind = SIMULATORS[scenario]
    simulator = kind(seed, anomaly_share)
    anomalies = missing = written = 0
    with Progress("sample", rows) as shown:

        def on_chunk(chunk: Chunk) -> None:
            nonlocal anomalies, missing, written
            written += len(chunk)
            anomalies += sum(chunk.columns["label"])
            missing += sum(column.count(None) for column in chunk.columns.values())
            shown.show(written, written)

        write_chunks(path, gapped(simulator, rows, missing_share), on_chunk)
    declaration = None
    if declares:
        declaration = declaration_path(path)
        declaration.write_text(kind.feed_toml, encoding="utf-8")
    seconds = round(time.monotonic() - began_s, 3)
    shown_declaration = None if declaration is None else str(declaration)
    return Sample(scenario, written, anomalies, missing, str(path), shown_declaration, seconds)


def declaration_path(path: Path) -> Path:
    """Return where the declaration of a sample file stands.

    >>> declaration_path(Path("data/flows.csv.gz"))
    PosixPath('data/flows.toml')
    """
    return path.with_name(f"{path.name.split('.')[0] or 'sample'}.toml")


def gapped(simulator: Simulator, rows: int, missing_share: float) -> Iterator[Chunk]:
    """Yield a simulator's first records with a share of their values left out.

    Which ones depends on the seed and the place of the record alone, not on the chunks.
    """
    rng = np.random.default_rng([simulator.seed, SALT])
    for chunk in simulator.chunks(rows):
        names = [name for name in chunk.columns if name not in KEPT]
        gone = rng.random((len(chunk), len(names))) < missing_share
        columns: dict[str, list[Any]] = dict(chunk.columns)
        for place, name in enumerate(names):
            values = list(columns[name])
            for row in np.flatnonzero(gone[:, place]).tolist():
                values[row] = None
            columns[name] = values
        yield replace(chunk, columns=columns)
