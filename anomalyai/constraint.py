"""Constraints on parameters, as data: what each may be, and one wording for a value that it may not be."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from anomalyai.errors import ParameterError, shorten

__all__ = ["Choice", "Constraint", "Real", "Whole", "check_parameters"]


class Constraint(Protocol):
    """What a parameter may be; its text completes "expected nu ..."."""

    def allows(self, value: object) -> bool:
        """Return whether the value is one of those."""
        ...


@dataclass(frozen=True)
class Whole:
    """A whole number from `low` to `high`, both included; None too where `optional`.

    >>> Whole(1, 9).allows(9), Whole(1, 9).allows(2.0), Whole(1, 9).allows(True), str(Whole(1, 9))
    (True, False, False, 'as a whole number from 1 to 9')
    """

    low: int
    high: int
    optional: bool = False

    def allows(self, value: object) -> bool:
        """Return whether the value is such a number."""
        if value is None:
            return self.optional
        whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        return whole and self.low <= value <= self.high  # type: ignore[operator]

    def __str__(self) -> str:
        return f"as a whole number from {self.low} to {self.high}{' or None' if self.optional else ''}"


@dataclass(frozen=True)
class Real:
    """A finite number from `low` to `high`, each included unless it is `above` or `below` it.

    >>> Real(0.0, 1.0, above=True).allows(0.0), str(Real(0.0, 1.0, above=True))
    (False, 'as a number above 0.0 and up to 1.0')
    """

    low: float
    high: float = math.inf
    above: bool = False
    below: bool = False
    optional: bool = False

    def allows(self, value: object) -> bool:
        """Return whether the value is such a number."""
        if value is None:
            return self.optional
        if not isinstance(value, numbers.Real) or isinstance(value, bool) or not math.isfinite(value):
            return False
        number = float(value)
        over = number > self.low if self.above else number >= self.low
        return over and (number < self.high if self.below else number <= self.high)

    def __str__(self) -> str:
        start = f"above {self.low}" if self.above else f"from {self.low}"
        end = f" and {'below' if self.below else 'up to'} {self.high}" if self.high < math.inf else ""
        return f"as a number {start}{end}{' or None' if self.optional else ''}"


@dataclass(frozen=True)
class Choice:
    """One of several words."""

    words: tuple[str, ...]

    def allows(self, value: object) -> bool:
        """Return whether the value is one of the words."""
        return isinstance(value, str) and value in self.words

    def __str__(self) -> str:
        return f"as one of {', '.join(map(repr, self.words))}"


def check_parameters(values: Mapping[str, object], constraints: Mapping[str, Constraint]) -> None:
    """Check every value that has a constraint.

    Raises
    ------
    ParameterError
        A value is not allowed; `field` names its parameter.
    """
    for name, constraint in constraints.items():
        if not constraint.allows(values[name]):
            raise ParameterError(
                f"expected {name} {constraint}, got {shorten(values[name])}",
                field=name,
                hint=f"Give another {name}, or leave it out for the default",
            )
