"""What is to be said of an entity's behaviour: its pace, its hours, its counterparties, its journeys."""

from __future__ import annotations

import math
from collections.abc import Callable

from anomalyai.features import Column
from anomalyai.wording import noun, number, one_of

__all__ = ["BEHAVIOUR_OF_PLACES", "BEHAVIOUR_OF_VALUES", "clause", "is_telling", "phrase"]

BEHAVIOUR_OF_VALUES = ("burst", "surge", "pause", "own hour", "novelty", "hour", "history")
BEHAVIOUR_OF_PLACES = ("speed", "away", "apart")

_TELLING = {
    "burst": math.log(2.0),
    "surge": math.log(2.0),
    "pause": 2.0,
    "own hour": math.log(2.0),
    "novelty": math.log(2.0),
    "hour": math.log(2.0),
    "history": math.log(2.0),
    "speed": math.log1p(150.0),
    "away": 2.0,
    "apart": math.log1p(100.0),
}
"""Values from which columns are worth a word: twice as much or as rare, two spreads, 150 km/h, 100 km."""

_SAYINGS: dict[str, Callable[[float, str], str]] = {
    "burst": lambda value, _: f"is active at {_ratio(value)} times its usual pace",
    "surge": lambda value, _: f"has been active at {_ratio(value)} times its usual pace for an hour",
    "pause": lambda *_: "comes after an unusually long pause",
    "own hour": lambda *_: "is active at an hour unusual for it",
    "novelty": lambda _, whose: f"is new to this {whose}",
    "hour": lambda value, _: f"is an hour that has {_ratio(value)} times fewer records than others",
    "history": lambda value, _: f"was confirmed as anomalous {_ratio(value)} times as often as others",
    "speed": lambda value, whose: f"is {_linear(value)} km/h from this {whose}'s last place",
    "away": lambda _, whose: f"is far from this {whose}'s usual place",
    "apart": lambda value, _: f"is {_linear(value)} km from the record's other position",
}


def is_telling(column: Column, value: float) -> bool:
    """Return whether a column's value is worth a word."""
    return value > _TELLING[column.aspect]


def phrase(column: Column, value: float) -> str:
    """Return what a column of behaviour says, to go on after the name of its field.

    >>> phrase(Column("merchant_id", "novelty", "customer_id"), 3.0)
    'is new to this customer'
    >>> phrase(Column("lat", "speed", "card"), math.log1p(2400.0))
    "is 2,400 km/h from this card's last place"
    """
    return _SAYINGS[column.aspect](value, noun(column.entity or ""))


def clause(column: Column, shown: str, said: str) -> str:
    """Return the same after another field's text.

    >>> clause(Column("merchant_id", "novelty", "customer_id"), "merchant_id m1", "is new to this customer")
    'at a merchant new to this customer'
    """
    if column.aspect == "novelty":
        return f"{one_of(column.field)} {said.removeprefix('is ')}"
    return f"and {shown} {said}"


def _ratio(nats: float) -> str:
    return number(math.exp(min(nats, 600.0)))


def _linear(value: float) -> str:
    return number(math.expm1(min(value, 600.0)))
