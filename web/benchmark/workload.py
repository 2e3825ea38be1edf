"""The records that speed is measured with: ten numbers, two categories, two entities, a time."""

from __future__ import annotations

from typing import Any

import numpy as np

NUMBERS = 10
CUSTOMERS = 5_000
TERMINALS = 500

FEED_TOML = """[feed]
time = "time"
entities = ["customer", "terminal"]
categories = ["channel", "country"]
"""


def columns(records: int, *, first: int = 0, seed: int = 0) -> dict[str, list[Any]]:
    """Return `records` records as columns of JSON values, event times two a second from record `first` on."""
    rng = np.random.default_rng((seed, first))
    made: dict[str, list[Any]] = {
        "time": (1_700_000_000.0 + 0.5 * (first + np.arange(records))).tolist(),
        "customer": [f"c{number}" for number in rng.integers(0, CUSTOMERS, records)],
        "terminal": [f"t{number}" for number in rng.integers(0, TERMINALS, records)],
        "channel": rng.choice(["web", "pos", "phone"], records, p=[0.5, 0.4, 0.1]).tolist(),
        "country": rng.choice(["de", "fr", "pl", "at", "es"], records).tolist(),
    }
    for place in range(NUMBERS):
        made[f"x{place}"] = np.round(rng.lognormal(3.0, 0.5, records), 4).tolist()
    return made


def rows(records: int, seed: int = 0) -> list[dict[str, float]]:
    """Return the numbers of `records` records as River takes them, one dictionary a record."""
    made = columns(records, seed=seed)
    names = [f"x{place}" for place in range(NUMBERS)]
    return [
        dict(zip(names, values, strict=True)) for values in zip(*(made[name] for name in names), strict=True)
    ]
