"""Any River anomaly detector as one of ours: rows become dicts, numbers are scaled, and nothing is trusted.

A River object can hold anything, so its state is a pickle: the only one that ever goes into a snapshot here.
It is written and read with a key alone (HMAC-SHA256 over everything, checked before anything is unpickled)
and up to a size; without a key there is no snapshot.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai import state
from anomalyai.base import Detector, as_rows
from anomalyai.constraint import Whole
from anomalyai.detectors.river_model import RIVER, RiverModel, require_detector
from anomalyai.detectors.robust_scale import LARGEST, widened_range
from anomalyai.detectors.snapshot_key import SnapshotKey
from anomalyai.errors import ModelError, StateError

MAX_STATE_BYTES = 16 << 20
"""A snapshot of more than this is neither written nor read."""

Rows = NDArray[np.float64]


class RiverAdapter(Detector):
    """Scores rows by a River model's `score_one`, teaches it by `learn_one`, row after row.

    The first `warmup_rows` learnt rows are kept; their range, widened by half of it on either side, is then
    each column's for good, and the model learns them. From there on columns are scaled to [0, 1] and clipped,
    which is what River's `HalfSpaceTrees` expects; a running range would let one outlier squash a column.
    Until then every score is 0 and `is_warm` is False; how long the model itself stays cold is not known
    here. A missing value (NaN) is an absent key; in the very first row that the model learns it is the middle
    of the range, because some models take their features from it.

    Parameters
    ----------
    model
        A `river.base.AnomalyDetector`, an `AnomalyFilter` around one, or a pipeline that ends in one; with a
        seed where it has one. It stays as it is: a clone of it learns.
    names
        Feature names of the columns, the first row's numbers 0, 1, ... where None.
    warmup_rows
        Rows the range is taken from, up to 100,000; 0 hands values over as they are, infinities as 1e150.
    snapshot_key
        Needed for `dumps` and `loads`.
    """

    kind = "river_adapter"
    constraints: ClassVar = {"warmup_rows": Whole(0, 100_000)}

    def __init__(
        self,
        model: RiverModel,
        names: Sequence[Any] | None = None,
        warmup_rows: int = 100,
        snapshot_key: SnapshotKey | None = None,
    ) -> None:
        self.model = model
        self.names = names
        self.warmup_rows = warmup_rows
        self.snapshot_key = snapshot_key
        self._check_parameters()
        require_detector(model)
        self._learner: Any = model.clone()
        self._width = None if names is None else len(names)
        self._kept: list[list[float]] = []
        self._range: tuple[Rows, Rows] | None = None
        self._begun = False

    @property
    def width(self) -> int | None:
        """Number of columns: of `names`, or of the first learnt rows."""
        return self._width

    @property
    def is_warm(self) -> bool:
        """Whether the range of the columns is known, so that the model is asked."""
        return self._begun

    def score_batch(self, X: ArrayLike) -> Rows:
        """Return the model's scores [n] of the rows of X [n, width]; 0 while the range is not known.

        Raises
        ------
        ModelError
            The model gives a score that is no finite number.
        """
        rows = as_rows(X, self._width)
        scores = np.zeros(len(rows))
        if self._begun:
            for i, record in enumerate(self._records(rows)):
                scores[i] = self._score(record)
        return scores

    def learn_batch(self, X: ArrayLike) -> None:
        """Learn the rows of X [n, width], one after the other."""
        rows = as_rows(X, self._width)
        if not len(rows):
            return
        self._width = rows.shape[1]
        if self._range is None and self.warmup_rows:
            missing = self.warmup_rows - len(self._kept)
            self._kept += rows[:missing].tolist()
            rows = rows[missing:]
            if len(self._kept) < self.warmup_rows:
                return
            kept = np.array(self._kept)
            self._kept = []
            self._range = widened_range(kept)
            self._learn(kept)
        self._learn(rows)

    def dumps(self) -> bytes:
        """Return everything as signed bytes, the models pickled.

        Raises
        ------
        StateError
            There is no `snapshot_key`, or the models are larger than `MAX_STATE_BYTES`.
        """
        low, span = self._range if self._range is not None else (np.empty(0), np.empty(0))
        body = state.dumps(
            self.kind,
            {
                "river": RIVER,
                "models": pickle.dumps((self.model, self.names, self._learner)),
                "warmup_rows": self.warmup_rows,
                "width": self._width,
                "kept": np.array(self._kept, dtype=np.float64).reshape(len(self._kept), self._width or 0),
                "scaled": self._range is not None,
                "low": low,
                "span": span,
                "begun": self._begun,
            },
        )
        if len(body) > MAX_STATE_BYTES:
            raise StateError(
                f"expected a River model of up to {MAX_STATE_BYTES} bytes, got {len(body)}",
                code="state_too_large",
                hint="Take a model that forgets: a smaller window or fewer trees",
            )
        return state.dumps(self.kind, {"body": body, "signature": _key(self.snapshot_key).sign(body)})

    @classmethod
    def loads(cls, data: bytes, snapshot_key: SnapshotKey | None = None) -> Self:
        """Return the adapter that `dumps` wrote with the same key.

        Raises
        ------
        StateError
            The signature is not this key's, so nothing was unpickled; or there is no key, the bytes are too
            many, or another version of River wrote them.
        """
        key = _key(snapshot_key)
        if len(data) > MAX_STATE_BYTES + 4_096:
            raise StateError(
                f"expected up to {MAX_STATE_BYTES} bytes, got {len(data)}", code="state_too_large"
            )
        signed = state.loads(cls.kind, data)
        body, signature = signed.get("body"), signed.get("signature")
        if not (isinstance(body, bytes) and isinstance(signature, bytes) and key.verify(body, signature)):
            raise StateError(
                "expected a snapshot signed with this key, got another",
                code="state_signature",
                hint="It was altered, or written with another key: nothing of it was read",
            )
        fields = state.loads(cls.kind, body)
        if fields["river"] != RIVER:
            raise StateError(
                f"the snapshot was written by River {fields['river']}, here is {RIVER}",
                code="state_libraries",
                hint="Start the model anew",
            )
        model, names, learner = pickle.loads(fields["models"])
        adapter = cls(model, names, fields["warmup_rows"], snapshot_key)
        adapter._learner = learner
        adapter._width = fields["width"]
        adapter._kept = fields["kept"].tolist()
        adapter._range = (fields["low"], fields["span"]) if fields["scaled"] else None
        adapter._begun = fields["begun"]
        return adapter

    def restored(self, data: bytes) -> Self:
        """Return what `loads` does, with this one's key."""
        return type(self).loads(data, self.snapshot_key)

    def _learn(self, rows: Rows) -> None:
        for record in self._records(rows):
            if not self._begun:
                record = {name: record.get(name, 0.5) for name in self._names()}
                self._begun = True
            self._learner.learn_one(record)

    def _score(self, record: dict[Any, float]) -> float:
        score = self._learner.score_one(record)
        if not math.isfinite(score):
            raise ModelError(
                f"expected a finite score from {type(self._learner).__name__}, got {score} of {record}",
                code="score_not_finite",
                hint="The model does not stand such values: scale them, or take another one",
            )
        return float(score)

    def _records(self, rows: Rows) -> list[dict[Any, float]]:
        """Return rows as the model takes them: scaled, without what is missing."""
        if self._range is None:
            values = np.clip(rows, -LARGEST, LARGEST)
        else:
            low, span = self._range
            values = np.clip((np.clip(rows, -LARGEST, LARGEST) - low) / span, 0.0, 1.0)
        names = self._names()
        return [
            {name: value for name, value in zip(names, row, strict=True) if value == value}
            for row in values.tolist()
        ]

    def _names(self) -> Sequence[Any]:
        return self.names if self.names is not None else range(self._width or 0)


def _key(snapshot_key: SnapshotKey | None) -> SnapshotKey:
    if snapshot_key is None:
        raise StateError(
            "expected a snapshot key, got none: the state of a River object is a pickle",
            code="state_unsigned",
            hint="Give RiverAdapter(..., snapshot_key=SnapshotKey(secret)), and keep the secret",
        )
    return snapshot_key
