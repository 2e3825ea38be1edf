"""Clean records as the detectors see them, set aside to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np


class TrainingSet(msgspec.Struct, frozen=True):
    """Clean records as the detectors see them.

    `features` is float64 [rows, len(columns)], `last_seq` the record that completed the set, `seed` fixes the
    model.
    """

    features: Any
    columns: tuple[str, ...]
    last_seq: int
    seed: int = 0

    def save(self, path: Path) -> None:
        """Write the set to one file (NumPy's npz, nothing pickled)."""
        with path.open("wb") as file:
            np.savez_compressed(
                file,
                features=self.features,
                columns=np.array(self.columns, dtype=np.str_),
                last_seq=np.int64(self.last_seq),
                seed=np.int64(self.seed),
            )

    @classmethod
    def load(cls, path: Path) -> TrainingSet:
        """Read what `save` wrote."""
        with np.load(path, allow_pickle=False) as stored:
            return cls(
                features=stored["features"],
                columns=tuple(str(name) for name in stored["columns"]),
                last_seq=int(stored["last_seq"]),
                seed=int(stored["seed"]),
            )
