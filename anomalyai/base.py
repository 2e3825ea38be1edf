"""The contract of every detector: parameters, two verbs on batches, bytes.

A detector takes rows of numbers and gives each a raw score; **high is anomalous**, whatever the algorithm
behind it says. `anomalyai.checks` holds any detector against what is promised here.
"""

from __future__ import annotations

import abc
import inspect
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai import state
from anomalyai.constraint import Constraint, check_parameters
from anomalyai.errors import ModelError, StateError

__all__ = ["UNFIT", "Detector", "as_rows", "reference_rows", "stored_array"]

Rows = NDArray[np.float64]

UNFIT = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What reading a state that contradicts itself may raise."""


class Detector(abc.ABC):
    """Base of all detectors.

    `__init__` takes parameters only and stores each unchanged under its own name, so that the signature is
    the list of parameters: `clone` builds anew from it and `repr` prints it. What is learnt comes later, by
    `learn_batch` or `fit`, and goes to bytes and back exactly.

    Rows are float64 [n, width], n from 0 up. NaN means that a value is missing, infinities are allowed;
    scores are float64 [n] and always finite. Scoring changes nothing, and how rows are cut into batches
    changes no bit of any score. Not thread-safe: one caller at a time.
    """

    kind: ClassVar[str]
    """The detector's name in registry, snapshots and model ids."""

    incremental: ClassVar[bool] = True
    """Whether `learn_batch` learns. Where it does not, a detector is trained by `fit` and constant after."""

    blind: ClassVar[bool] = False
    """Whether scores say nothing about the rows, as those of chance: the outlier checks then do not hold."""

    counts_rows: ClassVar[bool] = False
    """Whether a row's score depends on how many came before it in the batch, learnt or not."""

    constraints: ClassVar[Mapping[str, Constraint]] = {}
    """What each parameter may be, by its name."""

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a class that is declared incremental and does not say how it learns."""
        super().__init_subclass__(**options)
        if cls.incremental and cls.learn_batch is Detector.learn_batch:
            raise TypeError(
                f"{cls.__name__} is incremental: define learn_batch, or declare incremental = False"
            )

    @property
    @abc.abstractmethod
    def width(self) -> int | None:
        """Number of columns that it takes; None while any number will do."""

    @property
    @abc.abstractmethod
    def is_warm(self) -> bool:
        """Whether enough was learnt for scores to mean something."""

    @abc.abstractmethod
    def score_batch(self, X: ArrayLike) -> Rows:
        """Return the scores [n] of the rows of X [n, width] as things stand.

        Raises
        ------
        ValueError
            X has another shape.
        ModelError
            The detector must be trained first.
        """

    def learn_batch(self, X: ArrayLike) -> None:
        """Learn the rows of X [n, width] in order; leave things as they are where not `incremental`.

        A pipeline can therefore offer its records to any detector. Raises as `score_batch` does.
        """
        as_rows(X, self.width)
        if not self.is_warm:
            raise self._not_trained()

    def fit(self, X: ArrayLike) -> Self:
        """Take the rows of X [n, width] as a reference of ordinary records; return the detector itself.

        What is incremental learns them as it learns all others; what is not is trained anew on them.
        """
        self.learn_batch(X)
        return self

    def score_learn_batch(self, X: ArrayLike) -> Rows:
        """Score each row of X [n, width], then learn it, then go to the next; return the scores [n]."""
        rows = as_rows(X, self.width)
        if not self.incremental:
            return self.score_batch(rows)
        scores = np.empty(len(rows), dtype=np.float64)
        for i in range(len(rows)):
            scores[i] = self.score_batch(rows[i : i + 1])[0]
            self.learn_batch(rows[i : i + 1])
        return scores

    def score_one(self, row: ArrayLike) -> float:
        """Return the score of one row [width]."""
        return float(self.score_batch(np.asarray(row, dtype=np.float64)[None])[0])

    def learn_one(self, row: ArrayLike) -> None:
        """Learn one row [width]."""
        self.learn_batch(np.asarray(row, dtype=np.float64)[None])

    def parameters(self) -> dict[str, Any]:
        """Return the parameters by name, as they were given."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def clone(self) -> Self:
        """Return a detector with the same parameters that has learnt nothing."""
        return type(self)(**self.parameters())

    def __repr__(self) -> str:
        """Name the parameters."""
        shown = ", ".join(f"{name}={value!r}" for name, value in self.parameters().items())
        return f"{type(self).__name__}({shown})"

    def dumps(self) -> bytes:
        """Return parameters and everything learnt as bytes (`anomalyai.state`, nothing pickled)."""
        parameters = {name: _plain(value) for name, value in self.parameters().items()}
        return state.dumps(self.kind, {"parameters": parameters, **self._learnt()})

    @classmethod
    def loads(cls, data: bytes) -> Self:
        """Return the detector that `dumps` wrote; it goes on bit for bit.

        Raises
        ------
        StateError
            The bytes are damaged, of another kind or version, or contradict themselves.
        """
        fields = state.loads(cls.kind, data)
        try:
            parameters = fields.pop("parameters")
            detector = cls(**{name: _as_given(value) for name, value in parameters.items()})
            detector._take(fields)
        except UNFIT as error:
            raise cls._not_whole(error) from error
        return detector

    def restored(self, data: bytes) -> Self:
        """Return what `loads` does, with what this detector has and its bytes must not hold (a key)."""
        return type(self).loads(data)

    def _learnt(self) -> dict[str, Any]:
        """Return everything learnt, for `anomalyai.state`."""
        return {}

    def _take(self, fields: dict[str, Any]) -> None:
        """Put in place what `_learnt` returned; raise `ValueError` where it contradicts itself."""
        if fields:
            raise ValueError(f"nothing is learnt, but there are {', '.join(fields)}")

    def _check_parameters(self) -> None:
        """Hold the parameters against `constraints`; the last line of every `__init__`."""
        check_parameters(self.parameters(), self.constraints)

    @classmethod
    def _not_whole(cls, error: Exception) -> StateError:
        return StateError(
            f"expected the whole state of a {cls.kind}, found one that does not fit: {error}",
            code="state_unreadable",
            hint="The state is damaged: restore an older one",
        )

    def _not_trained(self) -> ModelError:
        return ModelError(f"{self!r} is not trained yet", code="model_not_fitted", hint="Call fit first")


def as_rows(X: ArrayLike, width: int | None = None) -> Rows:
    """Return X as float64 [n, width] in one memory layout, so that one compiled kernel serves all.

    Raises
    ------
    ValueError
        X has other columns, or is no table at all.
    """
    rows = np.asarray(X, dtype=np.float64)
    if rows.ndim != 2 or (width is not None and rows.shape[1] != width):
        raise ValueError(
            f"expected rows [n, {'features' if width is None else width}] of numbers, got an array "
            f"{list(rows.shape)}: give one column per feature, NaN where it is missing"
        )
    return rows if rows.flags.carray else rows.copy(order="C")


def reference_rows(X: ArrayLike) -> Rows:
    """Return X [n, features] to train on; raise `ValueError` where it has no rows or no columns."""
    rows = as_rows(X)
    if 0 in rows.shape:
        raise ValueError(f"expected rows [n, features] with n >= 1, got an array {list(rows.shape)}")
    return rows


def stored_array(fields: Mapping[str, Any], name: str, *shape: int | None) -> Rows:
    """Return a finite float64 array out of a state, of this shape (None is any length).

    Raises
    ------
    ValueError
        It is something else.
    """
    array = fields[name]
    if (
        not isinstance(array, np.ndarray)
        or array.dtype != np.float64
        or array.ndim != len(shape)
        or any(want not in (None, got) for want, got in zip(shape, array.shape, strict=True))
        or not np.isfinite(array).all()
    ):
        raise ValueError(f"expected {name} as finite numbers {list(shape)}")
    return array


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _as_given(value: Any) -> Any:
    """Return a stored parameter as it was: sequences are tuples."""
    return tuple(_as_given(item) for item in value) if isinstance(value, list) else value
