"""A column for each frequent value of a category: scikit-learn's `OneHotEncoder` as plain comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAX_VALUES: Final = 20
"""Values of a category that have a column of their own; the rarer ones share one."""

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class OneHot:
    """The frequent codes of the column at `place`, float64 [values], NaN for a missing value.

    With `other` there is a column for everything else, values that never came in training among it; without,
    these have none.
    """

    place: int
    codes: Rows
    other: bool

    @classmethod
    def fit(cls, place: int, rows: Rows) -> OneHot:
        """Take the frequent codes of a column of feature rows [n, columns]."""
        from sklearn.preprocessing import OneHotEncoder

        encoder = OneHotEncoder(max_categories=MAX_VALUES + 1, handle_unknown="infrequent_if_exist")
        encoder.fit(rows[:, place : place + 1])
        [codes] = encoder.categories_
        [rare] = encoder.infrequent_categories_
        if rare is None:
            return cls(place, np.array(codes, dtype=np.float64), other=False)
        is_rare = np.isin(codes, rare) | (np.isnan(codes) & np.isnan(rare).any())
        return cls(place, np.array(codes[~is_rare], dtype=np.float64), other=True)

    @property
    def width(self) -> int:
        """How many columns come out."""
        return len(self.codes) + self.other

    def apply(self, rows: Rows) -> Rows:
        """Return the columns of feature rows [n, columns], 0 or 1, float64 [n, width]."""
        column = rows[:, self.place, None]
        hits = (column == self.codes) | (np.isnan(column) & np.isnan(self.codes))
        if self.other:
            hits = np.hstack([hits, ~hits.any(axis=1, keepdims=True)])
        columns: Rows = hits.astype(np.float64)
        return columns

    def state(self) -> dict[str, Any]:
        """Return what `of_state` takes."""
        return {"place": self.place, "codes": self.codes, "other": self.other}

    @classmethod
    def of_state(cls, fields: Mapping[str, Any], prefix: str) -> OneHot:
        """Return what `state` gave, its names behind a prefix."""
        return cls(*(fields[prefix + name] for name in ("place", "codes", "other")))
