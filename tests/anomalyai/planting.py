"""Feeds of several kinds with one spoilt field in a record: who is to blame is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np

from anomalyai.pipeline import Pipeline
from anomalyai.schema import FeedSchema
from anomalyai.training import train
from tests.anomalyai.streams import Record, batch_of

CLEAN = 5_000
SHIFTS_SD = (4.0, 8.0, 12.0, 20.0, 40.0)
"""From moderate, just outside of what thousands of records hold, to gross."""


class Kind(NamedTuple):
    """A kind of feed: its declaration, clean records, and how the culprit of a probe is spoilt."""

    declared: str
    records: Callable[[int, np.random.Generator], list[Record]]
    spoil: Callable[[Record, int, np.random.Generator], str]


def independent(n: int, rng: np.random.Generator) -> list[Record]:
    """Return numbers on different scales and of different shapes."""
    return [
        {
            "load": float(rng.normal()),
            "bytes": float(np.exp(rng.normal(8.0, 1.0))),
            "items": int(rng.poisson(4)),
            "heat": float(rng.normal(20.0, 3.0)),
            "share": float(rng.beta(2.0, 5.0)),
            "wait": float(rng.exponential(30.0)),
        }
        for _ in range(n)
    ]


def spoil_independent(record: Record, turn: int, rng: np.random.Generator) -> str:
    shift = SHIFTS_SD[turn % len(SHIFTS_SD)]
    field = str(rng.choice(list(record)))
    if field == "bytes":
        record[field] = float(np.exp(8.0 + shift))
    else:
        mean, sd = {
            "load": (0.0, 1.0),
            "items": (4, 2),
            "heat": (20.0, 3.0),
            "share": (0.29, 0.16),
            "wait": (30.0, 30.0),
        }[field]
        record[field] = round(mean + shift * sd) if field == "items" else float(mean + shift * sd)
    return field


def correlated(n: int, rng: np.random.Generator) -> list[Record]:
    """Return numbers that two hidden causes drive together."""
    loadings = np.array([[1.0, 0.9, 0.8, 0.0, 0.0, 0.2], [0.0, 0.1, 0.2, 1.0, 0.9, 0.8]])
    causes = rng.normal(size=(n, 2))
    values = causes @ loadings + 0.25 * rng.normal(size=(n, 6))
    return [{f"x{j}": float(value) for j, value in enumerate(row)} for row in values]


def spoil_correlated(record: Record, turn: int, rng: np.random.Generator) -> str:
    field = str(rng.choice(list(record)))
    record[field] = float(rng.choice([-1.0, 1.0])) * SHIFTS_SD[turn % len(SHIFTS_SD)]
    return field


WORDS = {"channel": 3, "country": 12, "device": 6, "bank": 40}


def categories(n: int, rng: np.random.Generator) -> list[Record]:
    """Return words of uneven frequency and two numbers."""
    drawn = {}
    for field, count in WORDS.items():
        weights = 1.0 / np.arange(1, count + 1) ** 1.2
        drawn[field] = rng.choice(count, n, p=weights / weights.sum())
    return [
        {field: f"{field}-{drawn[field][i]}" for field in WORDS}
        | {"amount": float(np.exp(rng.normal(3.0, 0.7))), "load": float(rng.normal())}
        for i in range(n)
    ]


def spoil_categories(record: Record, turn: int, rng: np.random.Generator) -> str:
    field = str(rng.choice(list(WORDS)))
    record[field] = f"odd-{turn}"
    return field


CUSTOMERS = 50
LEVELS = np.exp(np.random.default_rng(17).uniform(2.0, 6.5, CUSTOMERS))


def habits(n: int, rng: np.random.Generator) -> list[Record]:
    """Return customers who each spend within a fifth of their own level."""
    return [
        {
            "customer": f"c{(customer := int(rng.integers(CUSTOMERS)))}",
            "shop": f"s{rng.integers(20)}",
            "amount": float(LEVELS[customer] * np.exp(rng.normal(0.0, 0.2))),
            "items": int(rng.poisson(3)),
            "load": float(rng.normal()),
        }
        for _ in range(n)
    ]


def spoil_habits(record: Record, turn: int, rng: np.random.Generator) -> str:
    """Let one of the modest customers spend what another always does: 4 to 30 times the usual."""
    order = np.argsort(LEVELS)
    customer = int(order[int(rng.integers(12))])
    factor = (4.0, 8.0, 12.0, 20.0, 30.0)[turn % 5]
    record.update(customer=f"c{customer}", amount=float(LEVELS[customer] * factor))
    assert record["amount"] < LEVELS.max()
    return "amount"


def low(n: int, rng: np.random.Generator) -> list[Record]:
    """Return machines whose readings may break down."""
    return [
        {
            "machine": f"m{rng.integers(12)}",
            "pressure": float(rng.normal(60.0, 4.0)),
            "flow": float(rng.normal(100.0, 5.0)),
            "level": float(rng.normal(5.0, 0.5)),
            "turns": float(rng.normal(1500.0, 50.0)),
        }
        for _ in range(n)
    ]


def spoil_low(record: Record, turn: int, rng: np.random.Generator) -> str:
    field = str(rng.choice(["pressure", "flow", "level", "turns"]))
    mean, sd = {"pressure": (60.0, 4.0), "flow": (100.0, 5.0), "level": (5.0, 0.5), "turns": (1500.0, 50.0)}[
        field
    ]
    record[field] = max(mean - SHIFTS_SD[turn % len(SHIFTS_SD)] * sd, 0.0)
    return field


KINDS = {
    "numbers": Kind("", independent, spoil_independent),
    "correlated numbers": Kind("", correlated, spoil_correlated),
    "categories": Kind('categories = ["channel", "country", "device", "bank"]', categories, spoil_categories),
    "habits": Kind('entities = ["customer", "shop"]', habits, spoil_habits),
    "low side": Kind('entities = ["machine"]', low, spoil_low),
}


@cache
def learnt(kind: str) -> Pipeline:
    """Return a mature pipeline that knows a kind of feed; only to be asked, not to be fed."""
    made = KINDS[kind]
    records = made.records(CLEAN, np.random.default_rng(3))
    declared = FeedSchema.from_toml(f"[feed]\n{made.declared}\n")
    batch = batch_of(records, declared)
    pipeline = Pipeline(batch.schema, trainer=train)
    pipeline.process(batch)
    return pipeline


def planted(kind: str, count: int) -> list[tuple[Record, str]]:
    """Return clean records of the same feed with one field spoilt in each, and that field."""
    rng = np.random.default_rng(29)
    made = KINDS[kind]
    probes = made.records(count, rng)
    return [(probe, made.spoil(probe, turn, rng)) for turn, probe in enumerate(probes)]
