"""Scores as CSV, one row a data row of the scored file."""

from __future__ import annotations

import csv
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from anomalyai.alert import one_in
from anomalyai.backtest import RowScores


def write_scores(path: Path | None, result: RowScores, *, with_anomaly: bool = False) -> None:
    """Write seq, score, one_in and flagged, and anomaly in words if wanted; to stdout without a path.

    `seq` is the 1-based data row of the file; a rejected row has empty figures.
    """
    with _opened(path) as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["seq", "score", "one_in", "flagged", *(["anomaly"] if with_anomaly else [])])
        for place, (score, flagged) in enumerate(
            zip(result.score.tolist(), result.flagged.tolist(), strict=True)
        ):
            if math.isnan(score):
                row: list[object] = [place + 1, "", "", ""]
                words = ""
            else:
                row = [place + 1, repr(score), repr(one_in(score)), int(flagged)]
                words = "Anomaly detected" if flagged else "Normal"
            writer.writerow([*row, *([words] if with_anomaly else [])])


@contextmanager
def _opened(path: Path | None) -> Iterator[IO[str]]:
    if path is None:
        yield sys.stdout
        return
    with path.open("w", encoding="utf-8", newline="") as file:
        yield file
