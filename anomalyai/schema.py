"""Feed schema: which fields a feed's records have, and what each is to the detectors.

A schema is declared (TOML, or the same as JSON), inferred from the first records, or both: what is not
declared is inferred. It is immutable; a change is a new schema, carried by a `SchemaChange` log entry.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from anomalyai.budget import AlertBudget
from anomalyai.errors import SchemaError, shorten

__all__ = ["MAX_NAME_CHARS", "FeedSchema", "Field", "JsonType", "Kind"]

MAX_NAME_CHARS: Final = 256
"""Longest field name, counted after nested names are joined by dots."""


class Kind(StrEnum):
    """What a field is to the detectors."""

    NUMBER = "number"
    CATEGORY = "category"
    ENTITY = "entity"
    TIME = "time"
    LABEL = "label"
    ID = "id"
    IGNORE = "ignore"


class JsonType(StrEnum):
    """JSON type of a field's values, fixed by its first non-null value; UNKNOWN until one was seen."""

    NUMBER = "number"
    STRING = "string"
    BOOLEAN = "boolean"
    ARRAY = "array"
    UNKNOWN = "unknown"


class Field(msgspec.Struct, frozen=True):
    """One field of a feed; `name` is dotted where the record nests objects."""

    name: str
    kind: Kind
    type: JsonType
    declared: bool = False


class FeedSchema(msgspec.Struct, frozen=True, dict=True):
    """Fields of a feed in the order they became known, with the feed-wide options.

    Parameters
    ----------
    fields
        Declared fields first, then the others in the order of their first non-null value.
    name
        Display name, or None.
    positions
        Pairs of number fields that hold latitude and longitude in degrees, declared or, while kinds are
        provisional, recognised by name (`anomalyai.position`). A record's values may be missing or out of
        range all the same.
    budget
        Alert budget as declared, `"20/day"` or `"1/1000"`, or None for the default.
    settled
        False while inferred kinds are provisional, that is before 500 accepted records.
    """

    fields: tuple[Field, ...] = ()
    name: str | None = None
    positions: tuple[tuple[str, str], ...] = ()
    budget: str | None = None
    settled: bool = False

    @cached_property
    def by_name(self) -> dict[str, Field]:
        """Fields by name; treat it as read-only."""
        return {field.name: field for field in self.fields}

    @cached_property
    def numbers(self) -> tuple[str, ...]:
        """Names of the number fields, in field order: the columns of `RecordBatch.numbers`."""
        return self._names(Kind.NUMBER)

    @cached_property
    def categories(self) -> tuple[str, ...]:
        """Names of the category fields, in field order: the first columns of `RecordBatch.keys`."""
        return self._names(Kind.CATEGORY)

    @cached_property
    def entities(self) -> tuple[str, ...]:
        """Names of the entity fields, in field order: the last columns of `RecordBatch.keys`."""
        return self._names(Kind.ENTITY)

    @cached_property
    def time(self) -> str | None:
        """Name of the event-time field, or None."""
        return next(iter(self._names(Kind.TIME)), None)

    @cached_property
    def id(self) -> str | None:
        """Name of the record-identifier field, or None."""
        return next(iter(self._names(Kind.ID)), None)

    @cached_property
    def label(self) -> str | None:
        """Name of the label field, or None; a label is for figures only, never a feature."""
        return next(iter(self._names(Kind.LABEL)), None)

    @cached_property
    def plain_types(self) -> dict[str, type]:
        """Python types of values that surely fit, by field name; treat it as read-only.

        Other values may fit as well, but need a closer look.
        """
        python = {JsonType.NUMBER: float, JsonType.STRING: str, JsonType.BOOLEAN: bool, JsonType.ARRAY: list}
        return {
            field.name: str if field.declared and field.kind in (Kind.ENTITY, Kind.ID) else python[field.type]
            for field in self.fields
            if field.type is not JsonType.UNKNOWN and field.kind not in (Kind.TIME, Kind.LABEL)
        }

    def _names(self, kind: Kind) -> tuple[str, ...]:
        return tuple(field.name for field in self.fields if field.kind is kind)

    def replace(self, **changes: Any) -> FeedSchema:
        """Return a copy with some attributes changed."""
        return msgspec.structs.replace(self, **changes)

    @classmethod
    def from_toml(cls, text: str | bytes) -> FeedSchema:
        """Read a declaration written in TOML; raises `SchemaError`."""
        try:
            decoded = text.decode("utf-8-sig") if isinstance(text, bytes) else text
            table = tomllib.loads(decoded)
        except UnicodeDecodeError as error:
            raise SchemaError(f"expected TOML in UTF-8, byte {error.start} is not") from error
        except tomllib.TOMLDecodeError as error:
            raise SchemaError(f"expected TOML: {error}", hint="See the [feed] table in the README") from error
        return cls.from_mapping(table)

    @classmethod
    def from_file(cls, path: str | Path) -> FeedSchema:
        """Read a declaration from a TOML file; raises `SchemaError` or `OSError`."""
        return cls.from_toml(Path(path).read_bytes())

    @classmethod
    def from_mapping(cls, obj: object) -> FeedSchema:
        """Build a declared schema from `{"feed": {...}}`; raises `SchemaError` that names what is wrong."""
        if not isinstance(obj, Mapping):
            raise SchemaError(
                f"expected a table [feed], got {shorten(obj)}",
                hint='Send {"feed": {...}} or the same as TOML',
            )
        for key in obj:
            if key != "feed":
                raise SchemaError(
                    f"unknown key {shorten(key)} at the top level, expected [feed]",
                    field=str(key)[:MAX_NAME_CHARS],
                    hint="Put every option under [feed]",
                )
        table = obj.get("feed", {})
        if not isinstance(table, Mapping):
            raise SchemaError(f"expected [feed] to be a table, got {shorten(table)}", field="feed")
        for key in table:
            if key not in _OPTIONS:
                raise SchemaError(
                    f"unknown key {shorten(key)} in [feed]",
                    field=str(key)[:MAX_NAME_CHARS],
                    hint=f"Known keys: {', '.join(_OPTIONS)}",
                )
        return _declared(table)


_ROLES: Final[dict[str, Kind]] = {"time": Kind.TIME, "id": Kind.ID, "label": Kind.LABEL}
_LISTS: Final[dict[str, Kind]] = {
    "entities": Kind.ENTITY,
    "categories": Kind.CATEGORY,
    "numbers": Kind.NUMBER,
    "ignore": Kind.IGNORE,
}
_OPTIONS: Final = ("name", *_ROLES, *_LISTS, "positions", "budget")


def _declared(table: Mapping[str, Any]) -> FeedSchema:
    fields: dict[str, Field] = {}
    for option, name, kind in _declarations(table):
        before = fields.get(name)
        if before is not None:
            raise SchemaError(
                f"field {shorten(name)} is declared twice, as {before.kind} and as {kind}",
                field=name,
                hint=f"List it once: take it out of {option!r} or of the other place",
            )
        fields[name] = Field(name, kind, JsonType.NUMBER if kind is Kind.NUMBER else JsonType.UNKNOWN, True)
    positions = _positions(_sequence(table, "positions"), fields)
    name_option = table.get("name")
    if name_option is not None:
        name_option = _name(name_option, "name")
    return FeedSchema(
        fields=tuple(fields.values()),
        name=name_option,
        positions=positions,
        budget=_budget(table.get("budget")),
    )


def _declarations(table: Mapping[str, Any]) -> Iterator[tuple[str, str, Kind]]:
    for option, kind in _ROLES.items():
        if table.get(option) is not None:
            yield option, _name(table[option], option), kind
    for option, kind in _LISTS.items():
        for entry in _sequence(table, option):
            yield option, _name(entry, option), kind


def _sequence(table: Mapping[str, Any], option: str) -> list[Any]:
    value = table.get(option)
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise SchemaError(
            f"expected {option} to be a list, got {shorten(value)}",
            field=option,
            hint=f'Write {option} = [["lat", "lon"]]'
            if option == "positions"
            else f'Write {option} = ["field"]',
        )
    return list(value)


def _name(value: object, option: str) -> str:
    if not isinstance(value, str) or not value or len(value) > MAX_NAME_CHARS:
        raise SchemaError(
            f"expected a field name of 1 to {MAX_NAME_CHARS} characters in {option!r}, got {shorten(value)}",
            field=option,
        )
    return value


def _positions(pairs: list[Any], fields: dict[str, Field]) -> tuple[tuple[str, str], ...]:
    positions: list[tuple[str, str]] = []
    for pair in pairs:
        position = _position(pair, fields)
        taken = {name for known in positions for name in known}
        again = next((name for name in position if name in taken), None)
        if again is not None or position[0] == position[1]:
            raise SchemaError(
                f"field {shorten(again or position[0])} is twice in 'positions'",
                field=again or position[0],
                hint="Every latitude and longitude is a field of its own",
            )
        positions.append(position)
    return tuple(positions)


def _position(pair: object, fields: dict[str, Field]) -> tuple[str, str]:
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        raise SchemaError(
            f"expected a pair of field names in 'positions', got {shorten(pair)}",
            field="positions",
            hint='Write positions = [["lat", "lon"]]',
        )
    latitude, longitude = _name(pair[0], "positions"), _name(pair[1], "positions")
    for name in (latitude, longitude):
        field = fields.setdefault(name, Field(name, Kind.NUMBER, JsonType.NUMBER, True))
        if field.kind is not Kind.NUMBER:
            raise SchemaError(
                f"field {shorten(name)} is a position, so a number, but it is declared as {field.kind}",
                field=name,
                hint="List it under 'positions' only",
            )
    return latitude, longitude


def _budget(value: object) -> str | None:
    if value is None:
        return None
    AlertBudget.parse(value)
    return str(value)
