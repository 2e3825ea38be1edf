"""How a schema grows with its data: new fields, first types, inference checkpoints and declarations.

All functions are pure, so that the same records in the same order always lead to the same schemas.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from anomalyai.errors import SchemaConflict
from anomalyai.inference import CHECKPOINTS, infer, kind_by_type
from anomalyai.schema import FeedSchema, Field, JsonType, Kind

__all__ = [
    "CHECKPOINTS",
    "MAX_FIELDS",
    "adds_columns",
    "declare",
    "extend",
    "next_checkpoint",
    "reinfer",
    "same_columns",
]

MAX_FIELDS: Final = 512
"""Most fields of a feed; further ones stay in the record, are not scored, and are counted."""


def next_checkpoint(accepted: int) -> int | None:
    """Return the accepted-record count at which kinds are inferred next; None once settled."""
    return next((count for count in CHECKPOINTS if count > accepted), None)


def extend(
    schema: FeedSchema, fresh: Mapping[str, JsonType], values: Mapping[str, Any], max_fields: int = MAX_FIELDS
) -> FeedSchema:
    """Return `schema` with types for declared fields seen for the first time, and with new fields.

    Parameters
    ----------
    fresh
        JSON types by name, in record order, as `decode_exact.check` returns them.
    values
        The flattened record that brought them.
    max_fields
        Fields beyond this many are left out.
    """
    fields = [
        Field(f.name, f.kind, fresh[f.name], f.declared) if f.name in fresh else f for f in schema.fields
    ]
    new = [name for name in fresh if name not in schema.by_name][: max(0, max_fields - len(fields))]
    fields += [Field(name, kind_by_type(values[name]), fresh[name]) for name in new]
    grown = schema.replace(fields=tuple(fields))
    return grown if schema.settled or not new else infer(grown, [values], only=new)


def reinfer(schema: FeedSchema, sample: Sequence[Mapping[str, Any]], *, settle: bool) -> FeedSchema:
    """Return `schema` with undeclared kinds inferred from `sample`, settled if `settle`."""
    return infer(schema, sample).replace(settled=settle)


def declare(
    current: FeedSchema, declared: FeedSchema, *, accepted: int, reopened: Collection[str] = ()
) -> FeedSchema | None:
    """Return `current` under a new declaration, or None if that changes nothing.

    Parameters
    ----------
    accepted
        Records accepted so far; with any, no known field may change its kind.
    reopened
        Fields that had values of the wrong type since they were last declared: their type is taken anew.

    Raises
    ------
    SchemaConflict
        Naming every field that holds data and whose kind would change.
    """
    if accepted == 0:
        return None if _same(current, declared) else declared
    conflicts = [
        f.name
        for f in current.fields
        if (wanted := _wanted_kind(f, declared)) is not f.kind and f.type is not JsonType.UNKNOWN and wanted
    ]
    if conflicts:
        first = conflicts[0]
        raise SchemaConflict(
            f"{len(conflicts)} field(s) hold data and would change kind: "
            + ", ".join(f"{n!r} is {current.by_name[n].kind}" for n in conflicts[:10]),
            fields=conflicts,
            hint=f"Declare {first!r} as {current.by_name[first].kind}, or send to a new feed",
        )
    fields = [_redeclared(f, declared.by_name.get(f.name), f.name in reopened) for f in current.fields]
    fields += [f for f in declared.fields if f.name not in current.by_name]
    merged = current.replace(
        fields=tuple(f for f in fields if f is not None),
        name=declared.name,
        positions=declared.positions or current.positions,
        budget=declared.budget,
    )
    return None if merged == current else merged


def _same(current: FeedSchema, declared: FeedSchema) -> bool:
    return current == declared.replace(settled=current.settled)


def _wanted_kind(field: Field, declared: FeedSchema) -> Kind | None:
    """Return the kind that `declared` gives the field; None if it leaves the field as it is."""
    wanted = declared.by_name.get(field.name)
    if wanted is not None:
        return wanted.kind
    taken = {Kind.TIME: declared.time, Kind.ID: declared.id, Kind.LABEL: declared.label}
    return Kind.IGNORE if taken.get(field.kind) is not None else None


def _redeclared(field: Field, wanted: Field | None, reopened: bool) -> Field | None:
    if wanted is None:
        undeclared = Field(field.name, field.kind, field.type, False)
        return None if field.type is JsonType.UNKNOWN else undeclared
    if field.type is JsonType.UNKNOWN:
        return wanted
    return Field(field.name, wanted.kind, wanted.type if reopened else field.type, True)


def same_columns(previous: FeedSchema, changed: FeedSchema) -> bool:
    """Return whether two schemas have the same scored columns, in the same order."""
    return _columns_of(previous) == _columns_of(changed)


def adds_columns(previous: FeedSchema, changed: FeedSchema) -> bool:
    """Return whether a schema has every scored column of the one before."""
    return all(
        set(before) <= set(after)
        for before, after in zip(_columns_of(previous), _columns_of(changed), strict=True)
    )


def _columns_of(schema: FeedSchema) -> tuple[tuple[object, ...], ...]:
    return schema.numbers, schema.categories, schema.entities, (schema.time or "",), schema.positions
