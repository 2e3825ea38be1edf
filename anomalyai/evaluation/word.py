"""What people said of a file's rows, as numbers: verdicts in words, or labels 0 and 1."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyai.errors import UnreadableBody, shorten
from anomalyai.evaluation.accuracy import LabelClock
from anomalyai.records import RecordBatch

WORDS: Final = {
    "real": 1.0, "1": 1.0, "true": 1.0, "false_alarm": 0.0, "new_normal": 0.0, "0": 0.0, "false": 0.0,
    "unsure": np.nan, "": np.nan,
}  # fmt: skip


class FileVerdicts(msgspec.Struct, frozen=True):
    """Verdicts by the data row that they are of, 1-based: 1 real, 0 not, NaN unsure; when each was given."""

    row: NDArray[np.int64]
    value: NDArray[np.float64]
    known_s: NDArray[np.float64]

    def of(self, rows: NDArray[np.int64]) -> LabelClock:
        """Return the verdicts on some data rows of the file; of several on one row the last counts."""
        last = {row: place for place, row in enumerate(self.row.tolist())}
        places = np.array([last.get(row, -1) for row in rows.tolist()], dtype=np.int64)
        said = places >= 0
        if not len(self.row):
            return LabelClock(np.full(len(rows), np.nan))
        value = np.where(said, self.value[places], np.nan)
        return LabelClock(value, np.where(said, self.known_s[places], np.nan))


def verdict_value(value: Any, where: str) -> float:
    """Return a verdict as 1, 0 or NaN; raises `UnreadableBody` naming the place for anything else."""
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return float("nan")
    word = str(int(value)) if isinstance(value, bool | int | float) and value in (0, 1) else str(value)
    known = WORDS.get(word.strip().lower())
    if known is None:
        raise UnreadableBody(
            f"expected a verdict as real, false_alarm, unsure, 1 or 0, got {shorten(value)} in {where}",
            field="verdict",
        )
    return known


def read_verdicts(path: Path) -> FileVerdicts:
    """Read a CSV or NDJSON file with `seq` (the data row, from 1), `verdict` or `label`, and perhaps `time`.

    Raises
    ------
    UnreadableBody
        A column is missing, or a value is none of those known; it names the row.
    """
    import pandas as pd

    try:
        lines = path.suffixes[:1] in ([".ndjson"], [".jsonl"])
        frame = pd.read_json(path, lines=True) if lines else pd.read_csv(path)
    except (ValueError, OSError) as error:  # pandas' own errors are ValueErrors
        raise UnreadableBody(f"expected {path.name} as CSV or NDJSON, got: {error}") from error
    said = next((name for name in ("verdict", "label") if name in frame), None)
    if "seq" not in frame or said is None:
        names = ", ".join(map(str, frame)) or "none"
        raise UnreadableBody(
            f"expected columns seq and verdict (or label) in {path.name}, got {shorten(names)}",
            field="seq" if "seq" not in frame else "verdict",
        )
    row = pd.to_numeric(frame["seq"], errors="coerce").to_numpy(dtype=np.float64)
    wrong = np.flatnonzero(~((row >= 1) & (row == np.floor(row))))
    if len(wrong):
        raise UnreadableBody(
            f"expected seq as a data row from 1 on, got {shorten(frame['seq'].iloc[wrong[0]])} "
            f"in row {wrong[0] + 1} of {path.name}",
            field="seq",
        )
    value = [verdict_value(v, f"row {i} of {path.name}") for i, v in enumerate(frame[said].tolist(), 1)]
    known_s = np.full(len(frame), np.nan)
    if "time" in frame:
        times = pd.to_datetime(frame["time"], utc=True, format="ISO8601", errors="coerce")
        known_s = (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(dtype=np.float64)
    return FileVerdicts(row.astype(np.int64), np.array(value, dtype=np.float64), known_s)


def spoken(batches: Iterable[RecordBatch], field: str) -> FileVerdicts:
    """Read the verdicts that stand in a field of the records themselves; raises `UnreadableBody`."""
    rows: list[int] = []
    values: list[float] = []
    for batch in batches:
        for place, row in enumerate(batch.rows.tolist()):
            value = batch.record(place).get(field)
            if value is not None:
                rows.append(row)
                values.append(verdict_value(value, f"field {field} of row {row}"))
    nothing = np.full(len(rows), np.nan)
    return FileVerdicts(np.array(rows, dtype=np.int64), np.array(values, dtype=np.float64), nothing)
