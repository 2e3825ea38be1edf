"""How feature rows are made ready for an algorithm: fitted once by scikit-learn, applied as plain arithmetic.

What scikit-learn's `SimpleImputer`, scalers and `OneHotEncoder` find is kept as arrays. Applying them is one
operation an element, so that any cut of the rows into batches gives the same bits. Columns that do not move,
that are empty, or that hold infinities do no harm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from anomalyai import state as state_codec
from anomalyai.base import UNFIT
from anomalyai.detectors.robust_scale import FARTHEST, RobustScale
from anomalyai.errors import ModelError, ParameterError, StateError, shorten
from anomalyai.features import MAX_NUMBER, Column
from anomalyai.training.one_hot import OneHot
from anomalyai.training.options import Preprocessing

__all__ = ["Preparation", "fit_preparation", "without_gaps"]

AS_THEY_CAME: Final = ("value", "rarity", "presence")
"""Aspects that are missing only where the record lacks the field; the others also where nothing is known."""

Rows = NDArray[np.float64]
Places = NDArray[np.int64]


@dataclass(frozen=True)
class Preparation:
    """What is done to feature rows before a detector sees them.

    The columns at `places` are taken; what is missing of them becomes `fill` (NaN: it stays missing); less
    `centre`, over `spread`, ending at `limit` either way. Behind them come a column for each of `indicators`,
    1 where it is missing, and the columns of `one_hots`. `scales` says that the detector is to take the
    columns as they are then.
    """

    places: Places
    fill: Rows
    centre: Rows
    spread: Rows
    limit: float
    indicators: Places
    one_hots: tuple[OneHot, ...]
    scales: bool

    @property
    def width(self) -> int:
        """How many columns come out."""
        return len(self.places) + len(self.indicators) + sum(one_hot.width for one_hot in self.one_hots)

    def apply(self, rows: Rows) -> Rows:
        """Return feature rows [n, columns] as the detector takes them, float64 [n, width], contiguous."""
        prepared = np.empty((len(rows), self.width))
        end = len(self.places)
        values = rows[:, self.places].clip(-MAX_NUMBER, MAX_NUMBER)
        np.copyto(values, self.fill, where=np.isnan(values))
        values -= self.centre
        values /= self.spread
        np.clip(values, -self.limit, self.limit, out=prepared[:, :end])
        prepared[:, end : end + len(self.indicators)] = np.isnan(rows[:, self.indicators])
        end += len(self.indicators)
        for one_hot in self.one_hots:
            prepared[:, end : end + one_hot.width] = one_hot.apply(rows)
            end += one_hot.width
        return prepared

    def dumps(self) -> bytes:
        """Return everything as bytes (`anomalyai.state`, nothing pickled)."""
        fields: dict[str, Any] = {name: getattr(self, name) for name in _FIELDS}
        for j, one_hot in enumerate(self.one_hots):
            fields.update({f"one_hot{j}.{name}": value for name, value in one_hot.state().items()})
        return state_codec.dumps(_KIND, fields | {"one_hots": len(self.one_hots)})

    @classmethod
    def loads(cls, data: bytes) -> Preparation:
        """Return what `dumps` wrote; raises `StateError`."""
        fields = state_codec.loads(_KIND, data)
        try:
            one_hots = tuple(OneHot.of_state(fields, f"one_hot{j}.") for j in range(fields["one_hots"]))
            return cls(one_hots=one_hots, **{name: fields[name] for name in _FIELDS})
        except UNFIT as error:
            raise StateError(
                f"expected a whole {_KIND}, found one that does not fit: {error}",
                code="state_unreadable",
                hint="It is damaged: train again",
            ) from error


_KIND: Final = "preparation"
_FIELDS: Final = ("places", "fill", "centre", "spread", "limit", "indicators", "scales")


def fit_preparation(
    algorithm: str, options: Preprocessing, columns: Sequence[Column], rows: Rows
) -> Preparation | None:
    """Fit what is asked for to feature rows [n, columns], n >= 1; None where the detector does it all itself.

    With the defaults it does: a forest sends missing values down the side that it learnt for them and needs
    no scale, the others take the median and scale robustly. A forest is given what is asked for beyond that.

    Raises
    ------
    ParameterError
        There is no such field.
    """
    places = _places(options, columns)
    is_plain = (options.missing, options.scaling, options.categories) == ("median", "robust", "rarity")
    if is_plain and len(places) == len(columns):
        return None
    values = rows[:, places].clip(-MAX_NUMBER, MAX_NUMBER)
    missing = np.isnan(values)
    forest = algorithm == "isolation_forest"
    keeps_gaps = is_plain or (forest and options.missing == "median")
    fill = np.full(len(places), np.nan) if keeps_gaps else _fill(options, values)
    centre, spread, scaled = np.zeros(len(places)), np.ones(len(places)), False
    if not is_plain and not (forest and options.scaling == "robust"):
        centre, spread = _scale(options, values, missing, fill)
        scaled = options.scaling != "none"
    gaps = np.asarray(missing.any(axis=0)) & (options.missing == "indicator")
    return Preparation(
        places=places,
        fill=fill,
        centre=centre,
        spread=spread,
        limit=FARTHEST if scaled else np.inf,
        indicators=places[gaps],
        one_hots=_one_hots(options, columns, rows),
        scales=not is_plain,
    )


def without_gaps(options: Preprocessing, columns: Sequence[Column], rows: Rows) -> NDArray[np.bool_]:
    """Return which rows [n] lack none of the fields that are trained on; fields that none has do not count.

    Raises
    ------
    ModelError
        Every row lacks some field; names the one that is missing most often.
    """
    places = np.array([j for j in _places(options, columns) if columns[j].aspect in AS_THEY_CAME], dtype=int)
    lacking = np.isnan(rows[:, places])
    lacking = lacking[:, ~lacking.all(axis=0)] if len(rows) else lacking
    kept = np.asarray(~lacking.any(axis=1))
    if len(rows) and not kept.any():
        shares = np.isnan(rows[:, places]).mean(axis=0)
        worst = columns[places[int(np.argmax(np.where(shares < 1.0, shares, -1.0)))]].field
        raise ModelError(
            f"each of {len(rows)} records lacks some value, {shorten(worst)} most often: nothing is left",
            code="too_few_rows",
            field=worst,
            hint="Take another way with missing values, or leave that field out",
        )
    return kept


def _places(options: Preprocessing, columns: Sequence[Column]) -> Places:
    """Return the columns that are taken as numbers."""
    _require_fields(options, columns)
    replaced = {column.field for column in columns if column.aspect == "code"}
    if options.categories == "rarity":
        replaced = set()
    return np.array(
        [
            j
            for j, column in enumerate(columns)
            if column.aspect != "code"
            and _is_wanted(options, column)
            and not (column.aspect == "rarity" and column.field in replaced)
        ],
        dtype=np.int64,
    )


def _is_wanted(options: Preprocessing, column: Column) -> bool:
    names = options.features
    return names is None or (column.field in names and (column.entity is None or column.entity in names))


def _require_fields(options: Preprocessing, columns: Sequence[Column]) -> None:
    known = list(dict.fromkeys(column.field for column in columns))
    for name in options.features or ():
        if name not in known:
            raise ParameterError(
                f"expected features among the fields that are scored, got {shorten(name)}",
                field=name,
                hint=f"Scored ones: {', '.join(known[:20])}{' ...' if len(known) > 20 else ''}",
            )
    if options.features is not None and not options.features:
        raise ParameterError("expected one field at least in features, got none", field="features")


def _one_hots(options: Preprocessing, columns: Sequence[Column], rows: Rows) -> tuple[OneHot, ...]:
    if options.categories == "rarity":
        return ()
    places = [j for j, c in enumerate(columns) if c.aspect == "code" and _is_wanted(options, c)]
    return tuple(OneHot.fit(j, rows) for j in places)


def _fill(options: Preprocessing, values: Rows) -> Rows:
    """Return what stands for a missing value of each column; 0 for the median of a column without values."""
    if options.missing == "constant":
        return np.full(values.shape[1], float(options.constant))
    from sklearn.impute import SimpleImputer

    imputer = SimpleImputer(strategy="median", keep_empty_features=True).fit(values)
    medians: Rows = np.array(imputer.statistics_, dtype=np.float64)
    return np.where(np.isnan(medians), 0.0, medians)


def _scale(options: Preprocessing, values: Rows, missing: NDArray[np.bool_], fill: Rows) -> tuple[Rows, Rows]:
    """Return the centre and the spread of each column.

    Robustly they are the detectors' own, which are `RobustScaler`'s with a floor under the spread.
    """
    if options.scaling == "none":
        return np.zeros(len(fill)), np.ones(len(fill))
    filled = np.where(missing, fill, values)
    if options.scaling == "robust":
        scale = RobustScale.fit(filled if options.missing == "constant" else values)
        return scale.centre, scale.spread
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    if options.scaling == "standard":
        standard = StandardScaler().fit(filled)
        return np.array(standard.mean_), np.array(standard.scale_)
    least_most = MinMaxScaler().fit(filled)
    return np.array(least_most.data_min_), 1.0 / np.array(least_most.scale_)
