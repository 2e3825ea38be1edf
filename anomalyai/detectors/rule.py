"""Rules that people declare in TOML: what must never pass unseen, whatever is usual.

Each `[[rule]]` names a field and one condition, and may say how rare a match counts as::

    [[rule]]
    field = "amount"
    above = 10000
    name = "large payment"    # else made from the condition
    one_in = 50000            # or severity = "high"; else 1 in 1,000

Conditions: `above`, `below` (numbers, the bound itself excluded), `equals` (a number or text), `in` (a list
of those), `missing = true`. A missing value meets no condition but the last.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from anomalyai.base import Detector, as_rows
from anomalyai.errors import SchemaError, shorten

CONDITIONS = ("above", "below", "equals", "in", "missing")
SEVERITIES = {"low": 100.0, "medium": 1_000.0, "high": 10_000.0, "critical": 1_000_000.0}
"""How many records there are to one that counts as so rare."""

_KEYS = ("field", *CONDITIONS, "name", "severity", "one_in")

Rows = NDArray[np.float64]


class Rule(msgspec.Struct, frozen=True):
    """One rule: `condition` is one of `CONDITIONS`, `operand` what it compares with."""

    field: str
    condition: str
    operand: Any
    name: str
    one_in: float = SEVERITIES["medium"]

    @property
    def reads_text(self) -> bool:
        """Whether it compares with texts, which rows of numbers do not have."""
        operands = self.operand if isinstance(self.operand, list) else [self.operand]
        return any(isinstance(operand, str) for operand in operands)

    def matches(self, value: object) -> bool:
        """Return whether a record's value of the field meets the condition; None and NaN are missing."""
        if value is None or value != value:
            return self.condition == "missing"
        if self.condition in ("above", "below"):
            if isinstance(value, bool) or not isinstance(value, int | float):
                return False
            return bool(value > self.operand if self.condition == "above" else value < self.operand)
        if self.condition == "missing":
            return False
        operands = self.operand if self.condition == "in" else [self.operand]
        return any(
            isinstance(value, str) == isinstance(operand, str) and value == operand for operand in operands
        )

    def matches_batch(self, values: Rows) -> NDArray[np.bool_]:
        """Return which values of a column [n] meet the condition; NaN is missing."""
        met: NDArray[np.bool_]
        if self.condition == "missing":
            met = np.isnan(values)
        elif self.condition == "above":
            met = values > self.operand
        elif self.condition == "below":
            met = values < self.operand
        else:
            met = np.isin(values, np.array(self.operand, dtype=np.float64))
        return met


class RuleDetector(Detector):
    """Scores a row by the rarest of the rules that it meets: ln of its `one_in`, 0 where it meets none.

    `score_batch` reads rows of numbers, `score_records` whole records with texts. Nothing is learnt.

    Parameters
    ----------
    text
        The rules as TOML, see `read_rules`.
    columns
        Names of the columns of X in order; every rule's field must be among them. Empty where only
        `score_records` is used: a field that a record lacks is then missing.
    """

    kind = "rule"
    incremental = False

    def __init__(self, text: str, columns: Sequence[str] = ()) -> None:
        self.text = text
        self.columns = columns
        self.rules = read_rules(text)
        for rule in self.rules:
            if columns and rule.field not in columns:
                raise SchemaError(
                    f"rule {shorten(rule.name)} is about {shorten(rule.field)}, which is no column",
                    field=rule.field,
                    hint=f"Columns: {', '.join(columns[:20])}",
                )

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.columns)

    @property
    def is_warm(self) -> bool:
        """Always true: rules are not learnt."""
        return True

    def fit(self, X: ArrayLike) -> Self:
        """Leave the rules as they are."""
        as_rows(X, self.width)
        return self

    def score_batch(self, X: ArrayLike) -> Rows:
        """Return the scores [n] of the rows of X [n, width].

        Raises
        ------
        ValueError
            X has another width, columns have no names, or a rule compares with texts.
        """
        rows = as_rows(X, self.width)
        if self.rules and not self.columns:
            raise ValueError("expected names for the columns: give RuleDetector(text, columns)")
        scores = np.zeros(len(rows))
        for rule in self.rules:
            if rule.reads_text:
                raise ValueError(
                    f"expected rules on numbers, and {shorten(rule.name)} compares {shorten(rule.field)} "
                    "with a text: use score_records"
                )
            met = rule.matches_batch(rows[:, list(self.columns).index(rule.field)])
            scores = np.where(met, np.maximum(scores, math.log(rule.one_in)), scores)
        return scores

    def score_records(self, records: Sequence[Mapping[str, object]]) -> Rows:
        """Return the scores [n] of records as they came, field by field."""
        return np.array(
            [max((math.log(rule.one_in) for rule in self.met(record)), default=0.0) for record in records],
            dtype=np.float64,
        )

    def met(self, record: Mapping[str, object]) -> list[Rule]:
        """Return the rules that a record meets, in the order of their declaration."""
        return [rule for rule in self.rules if rule.matches(record.get(rule.field))]


def read_rules(text: str) -> tuple[Rule, ...]:
    r"""Read `[[rule]]` tables.

    Raises
    ------
    SchemaError
        The text is no TOML, or a table says what is not understood; the message names the rule and the key.

    >>> read_rules('[[rule]]\nfield = "amount"\nabove = 100')[0].name
    'amount above 100'
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(
            f"expected TOML: {error}", hint="Write [[rule]] tables with a field and a condition"
        ) from error
    for key in tables:
        if key != "rule":
            raise SchemaError(f"unknown key {shorten(key)}, expected [[rule]]", field=key)
    entries = tables.get("rule", [])
    if not isinstance(entries, list):
        raise SchemaError("expected rules as [[rule]] tables, got one [rule]", field="rule")
    return tuple(_rule(entry, f"rule {number}") for number, entry in enumerate(entries, 1))


def _rule(entry: object, which: str) -> Rule:
    if not isinstance(entry, Mapping):
        raise SchemaError(f"expected {which} as a table, got {shorten(entry)}", field="rule")
    for key in entry:
        if key not in _KEYS:
            raise SchemaError(
                f"unknown key {shorten(key)} in {which}", field=key, hint=f"Known keys: {', '.join(_KEYS)}"
            )
    field = entry.get("field")
    if not isinstance(field, str) or not field:
        raise SchemaError(f"expected the field of {which} as a name, got {shorten(field)}", field="field")
    given = [condition for condition in CONDITIONS if condition in entry]
    if len(given) != 1:
        raise SchemaError(
            f"expected one condition in {which}, got {', '.join(given) or 'none'}",
            field=given[1] if given else field,
            hint=f"One of {', '.join(CONDITIONS)}; two conditions are two rules",
        )
    condition, operand = given[0], entry[given[0]]
    _check_operand(condition, operand, which)
    name = entry.get("name", f"{field} {condition}" + ("" if condition == "missing" else f" {operand}"))
    if not isinstance(name, str) or not name:
        raise SchemaError(f"expected the name of {which} as a text, got {shorten(name)}", field="name")
    return Rule(field, condition, operand, name, _one_in(entry, which))


def _check_operand(condition: str, operand: object, which: str) -> None:
    def is_number(value: object) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)

    def is_value(value: object) -> bool:
        return is_number(value) or isinstance(value, str)

    wanted, right = {
        "above": ("a number", is_number(operand)),
        "below": ("a number", is_number(operand)),
        "equals": ("a number or a text", is_value(operand)),
        "in": (
            "a list of numbers or texts",
            isinstance(operand, list) and bool(operand) and all(is_value(value) for value in operand),
        ),
        "missing": ("true", operand is True),
    }[condition]
    if not right:
        raise SchemaError(
            f"expected {condition} of {which} as {wanted}, got {shorten(operand)}", field=condition
        )


def _one_in(entry: Mapping[str, Any], which: str) -> float:
    if "severity" in entry and "one_in" in entry:
        raise SchemaError(f"expected severity or one_in in {which}, got both", field="one_in")
    if "severity" in entry:
        if entry["severity"] not in SEVERITIES:
            raise SchemaError(
                f"expected severity of {which} as one of {', '.join(SEVERITIES)}, "
                f"got {shorten(entry['severity'])}",
                field="severity",
            )
        return SEVERITIES[entry["severity"]]
    value = entry.get("one_in", SEVERITIES["medium"])
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1.0 < value <= 1e12:
        raise SchemaError(
            f"expected one_in of {which} as a number above 1 and up to 1e12, got {shorten(value)}",
            field="one_in",
        )
    return float(value)
