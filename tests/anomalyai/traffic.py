"""Long streams without a record of text: columns of a feed with every kind of field, drawn at once.

Clean traffic with a change of regime that somebody has to live with; nothing in it is an anomaly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from anomalyai.decode import Columns
from anomalyai.records import RecordBatch
from anomalyai.schema import FeedSchema, Field, JsonType, Kind

Change = Literal["none", "level", "variance", "drift"]

NUMBERS, CATEGORIES, ENTITIES = (
    ("amount", "items", "load", "wait"),
    ("channel", "country"),
    ("customer", "shop"),
)
_TYPES = {Kind.NUMBER: JsonType.NUMBER, Kind.CATEGORY: JsonType.STRING, Kind.ENTITY: JsonType.STRING}


def declared(
    *, numbers: Sequence[str] = (), categories: Sequence[str] = (), entities: Sequence[str] = ()
) -> FeedSchema:
    """Return a settled schema of these fields and `time`."""
    kinds = zip(_TYPES, (numbers, categories, entities), strict=True)
    fields = [Field(name, kind, _TYPES[kind], True) for kind, names in kinds for name in names]
    time = Field("time", Kind.TIME, JsonType.NUMBER, True)
    return FeedSchema(fields=(time, *fields), settled=True)


SCHEMA = declared(numbers=NUMBERS, categories=CATEGORIES, entities=ENTITIES)
"""The schema of all streams here, settled."""


def batch_of(
    numbers: NDArray[np.float64],
    keys: NDArray[np.uint64],
    time_s: NDArray[np.float64],
    schema: FeedSchema = SCHEMA,
) -> RecordBatch:
    """Return columns as a batch numbered from 1; the records behind it are empty."""
    columns = Columns(np.ascontiguousarray(numbers), keys, time_s, np.full(len(time_s), math.nan))
    return RecordBatch(schema, columns, "rows", b"[]", first_seq=1)


def spread(codes: NDArray[Any], salt: int) -> NDArray[np.uint64]:
    """Return keys of whole numbers, spread over 64 bits as hashes of texts are, never 0."""
    mixed = codes.astype(np.uint64) + np.uint64(salt << 40) + np.uint64(1)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.maximum(mixed ^ (mixed >> np.uint64(31)), np.uint64(1))


def traffic(n: int, *, seed: int, change: Change = "none", at: int = 0, sd: float = 3.0) -> RecordBatch:
    """Return `n` records of customers who buy; from record `at` on `load` is of another regime.

    `level` moves it by `sd` standard deviations and lets it stay there, `variance` makes its spread `sd`
    times as wide, `drift` moves it by `sd` standard deviations evenly from there to the end.
    """
    rng = np.random.default_rng(seed)
    customers = rng.zipf(1.3, n) % 2_000
    levels = np.random.default_rng(7).normal(3.0, 0.6, 2_000)
    load = rng.normal(size=n)
    since = np.maximum(np.arange(n) - at, 0) / max(n - at, 1)
    if change == "level":
        load[at:] += sd
    elif change == "variance":
        load[at:] *= sd
    elif change == "drift":
        load += sd * since
    numbers = np.column_stack(
        [
            np.exp(levels[customers] + rng.normal(0.0, 0.4, n)),
            rng.poisson(3.0, n),
            load,
            rng.gamma(2.0, 5.0, n),
        ]
    )
    gone = rng.random(numbers.shape) < 0.005
    numbers[gone] = math.nan
    codes = [rng.choice(3, n, p=[0.6, 0.3, 0.1]), rng.zipf(1.6, n) % 60, customers, rng.integers(0, 80, n)]
    keys = np.column_stack([spread(column, salt) for salt, column in enumerate(codes)])
    return batch_of(numbers, keys, 1_700_000_000.0 + np.cumsum(rng.exponential(2.0, n)))
