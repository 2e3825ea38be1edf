"""One field's reason in words: what the record has, what was expected, and by how much it differs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec

from anomalyai.behaviour import BEHAVIOUR_OF_PLACES, BEHAVIOUR_OF_VALUES, clause, is_telling, phrase
from anomalyai.features import Column
from anomalyai.key import exact_text
from anomalyai.usual import Span, Usual
from anomalyai.wording import as_it_came, noun, number, one_of, quoted, times

__all__ = ["Actual", "Layout", "Subject", "Wording", "actual_of", "habit_of", "word"]

Actual = str | float | bool | None

MIN_EVENTS = 3.0
"""Events of an entity from which its habit is called usual; before, the feed's is."""

TELLING_DISTANCE = 1.5
"""A deviation is worth telling from this many times the usual distance between the middle and the edge, or
from beyond the edge where it is a factor of two."""

TELLING_RATIO = 1.5
TELLING_NATS = math.log(2.0)
NOTABLE_PART = 0.3
"""Contribution from which a field is called unusual though its own value is not."""


class Layout:
    """What the columns of feature rows and of counts say, by field."""

    def __init__(self, columns: Sequence[Column], count_columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.fields = tuple(dict.fromkeys(column.field for column in columns))
        self._places: dict[str, list[tuple[str, int]]] = {field: [] for field in self.fields}
        for j, column in enumerate(columns):
            self._places[column.field].append((column.aspect, j))
        self._found: dict[tuple[str, tuple[str, ...]], list[int]] = {}  # asked for again with every record
        self._counts = {(c.aspect, c.field, c.entity): j for j, c in enumerate(count_columns)}

    def places(self, field: str, *aspects: str) -> list[int]:
        """Return the columns of a field, those with one of the aspects if any are given."""
        found = self._found.get((field, aspects))
        if found is None:
            found = [j for aspect, j in self._places[field] if not aspects or aspect in aspects]
            self._found[field, aspects] = found
        return found

    def count(self, aspect: str, field: str, entity: str | None) -> int | None:
        """Return the place of a count; None if there is no such count."""
        return self._counts.get((aspect, field, entity))


class Subject(msgspec.Struct, frozen=True):
    """A record with its feature row and counts, and what they mean."""

    record: dict[str, Any]
    row: list[float]
    counts: list[float]
    layout: Layout

    def places(self, field: str, *aspects: str) -> list[int]:
        """Return the columns of a field with one of the aspects and a value."""
        return [j for j in self.layout.places(field, *aspects) if math.isfinite(self.row[j])]

    def known(self, aspect: str, field: str, entity: str | None = None) -> float:
        """Return a count; NaN where it is not known."""
        place = self.layout.count(aspect, field, entity)
        return math.nan if place is None else self.counts[place]


class Wording(NamedTuple):
    """A field in words: alone (`text`) and after another field's text (`clause`).

    `stands_out` is False where the field's own value is a usual one.
    """

    text: str
    clause: str
    expected: float | None
    actual: Actual
    stands_out: bool = True


def word(field: str, part: float, subject: Subject, usual: Usual) -> Wording:
    """Word what is to be said of a field whose contribution to the score is `part`."""
    is_number = bool(subject.layout.places(field, "value"))
    actual = actual_of(field, subject.record, is_number)
    if is_number:
        return _number(field, part, subject, usual, actual)
    if actual is None:
        return _plain(f"{field} is missing", None, None)
    return _value(field, part, subject, usual, actual)


def actual_of(field: str, record: dict[str, Any], is_number: bool) -> Actual:
    """Return the field's value in the record: a number, or the exact text; booleans stay what they are."""
    value: Any = record.get(field)
    if value is None and "." in field:
        value = record
        for name in field.split("."):
            value = value.get(name) if isinstance(value, dict) else None
    if value is None or isinstance(value, bool):
        return value
    return float(value) if is_number else exact_text(value)


def habit_of(field: str, entity: str, subject: Subject) -> float:
    """Return what the entity usually has in a number; NaN where it is not known."""
    return math.sinh(subject.known("habit", field, entity))  # profiles compare on the scale of asinh


def _plain(text: str, expected: float | None, actual: Actual, stands_out: bool = True) -> Wording:
    return Wording(text, f"and {text}", expected, actual, stands_out)


def _number(field: str, part: float, subject: Subject, usual: Usual, actual: Actual) -> Wording:
    values = subject.places(field, "value")
    if not values:
        span = usual.span(subject.layout.places(field, "value")[0])
        return _plain(f"{field} is missing", span.middle if span else None, None)
    value, span = subject.row[values[0]], usual.span(values[0])
    journey = _journey(field, subject, usual)
    if journey is not None:
        return _plain(f"{field} {as_it_came(value)} {journey}", None, actual)
    entity = _telling_entity(field, subject, usual)
    if entity is not None:
        habit = habit_of(field, entity, subject)
        outside = span is None or not span.low <= value <= span.high
        whose = f"this {noun(entity)}'s usual {number(habit)}"
        if value > 0.0 and habit > 0.0 and not 1.0 / TELLING_RATIO < value / habit < TELLING_RATIO:
            text = f"{field} {as_it_came(value)} is {times(value / habit)} {whose}"
            return _plain(text, habit, actual)
        if not outside or (value > 0.0 and habit > 0.0):
            side = "above" if value > habit else "below"
            return _plain(f"{field} {as_it_came(value)} is {side} {whose}", habit, actual)
    if span is None:
        return _plain(f"{field} {as_it_came(value)}, nothing to compare with yet", None, actual)
    text, is_outside = _against_feed(field, value, span, part)
    return _plain(text, span.middle, actual, is_outside)


def _journey(field: str, subject: Subject, usual: Usual) -> str | None:
    """Return what is to be said of a place; None where the field is none or the place is a usual one."""
    place = _most_telling(subject.places(field, *BEHAVIOUR_OF_PLACES), subject, usual)
    if place is None or usual.distance(place, subject.row[place]) < 1.0:
        return None
    return phrase(subject.layout.columns[place], subject.row[place])


def _telling_entity(field: str, subject: Subject, usual: Usual) -> str | None:
    """Return the entity from whose habit the number deviates most; None if it hardly does from any."""
    best, distance = None, 0.0
    for j in subject.places(field, "deviation"):
        entity = subject.layout.columns[j].entity or ""
        if subject.known("events", field, entity) >= MIN_EVENTS:
            found = usual.distance(j, subject.row[j])
            best, distance = (entity, found) if best is None or found > distance else (best, distance)
    if best is None:
        return None
    value = subject.row[subject.places(field, "value")[0]]
    is_double = abs(math.asinh(value) - subject.known("habit", field, best)) > TELLING_NATS
    return best if distance >= (1.0 if is_double else TELLING_DISTANCE) else None


def _most_telling(places: Sequence[int], subject: Subject, usual: Usual) -> int | None:
    """Return the column of behaviour that is farthest from what is usual; None if none is worth a word."""
    columns = subject.layout.columns
    telling = [j for j in places if is_telling(columns[j], subject.row[j])]
    return max(telling, key=lambda j: usual.distance(j, subject.row[j]), default=None)


def _against_feed(field: str, value: float, span: Span, part: float) -> tuple[str, bool]:
    """Compare a number with what is usual in the feed; returns the text and whether it is outside of that."""
    low, high = number(span.low), number(span.high)
    where = "above" if value > span.high else "below" if value < span.low else "within"
    text = f"{field} {as_it_came(value)} is {where} its usual {low if low == high else f'{low} to {high}'}"
    if where != "within":
        return text, True
    return (f"{text}, unusual with the other fields" if part >= NOTABLE_PART else text), False


def _value(field: str, part: float, subject: Subject, usual: Usual, actual: str | float | bool) -> Wording:
    """Word a category or an entity: never seen, rare, or busier than usual."""
    shown = f"{field} {quoted(actual)}"
    if subject.known("seen", field) == 0.0:
        text = f"{shown} was never seen before"
        return Wording(text, f"{one_of(field)} never seen before", None, actual)
    telling = [j for j in subject.places(field, "rarity", "presence") if subject.row[j] > TELLING_NATS]
    behaviour = _most_telling(subject.places(field, *BEHAVIOUR_OF_VALUES), subject, usual)
    telling += [behaviour] if behaviour is not None else []
    if not telling:
        what = "comes in an unusual combination" if part >= NOTABLE_PART else "is usual"
        return _plain(f"{shown} {what}", None, actual, stands_out=False)
    place = max(telling, key=lambda j: usual.distance(j, subject.row[j]))
    if place == behaviour:
        column = subject.layout.columns[place]
        said = phrase(column, subject.row[place])
        return Wording(f"{shown} {said}", clause(column, shown, said), None, actual)
    what = f"comes once in {number(math.exp(min(subject.row[place], 600.0)))} records"
    return Wording(f"{shown} {what}", f"with {shown}, which {what}", None, actual)
