"""The query of a request, checked against a struct: names, types and ranges in one place."""

from __future__ import annotations

from typing import Annotated, TypeVar

import msgspec
from flask import request
from msgspec import Meta

from web.contract.operation import require_stated
from web.refusal import RequestError

T = TypeVar("T", bound=msgspec.Struct)


After = Annotated[int, Meta(ge=0, lt=2**62, description="Only what comes after this record.")]
"""A place in a feed, as a query has it; what the database counts in has an end."""


class NoQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A route without query parameters."""


def read_query(kind: type[T]) -> T:
    """Convert the query to `kind`, a struct that forbids unknown fields.

    Raises
    ------
    RequestError
        400, naming the parameter that is unknown, missing, given twice, of the wrong type or out of range.
    """
    require_stated(kind, "query")
    values: dict[str, str] = {}
    for name, given in request.args.lists():
        if len(given) > 1:
            raise RequestError(
                400, "bad_query", f"query parameter {name[:60]!r} is given {len(given)} times", field=name
            )
        values[name] = given[0]
    fields = {field.encode_name: field for field in msgspec.structs.fields(kind)}
    unknown = sorted(set(values) - set(fields))
    if unknown:
        hint = f"known here: {', '.join(sorted(fields))}" if fields else "this route has no query parameters"
        raise RequestError(
            400, "bad_query", f"unknown query parameter {unknown[0][:60]!r}", field=unknown[0][:60], hint=hint
        )
    missing = [name for name, field in fields.items() if field.required and name not in values]
    if missing:
        raise RequestError(400, "bad_query", f"query parameter {missing[0]!r} is missing", field=missing[0])
    try:
        read = msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$.")
        at = where.rstrip("`")
        got = f", got {values[at][:60]!r}" if at in values else ""
        message = f"query parameter {at}: {text}{got}"
        raise RequestError(400, "bad_query", message, field=at or None) from error
    for name in values:
        if getattr(read, fields[name].name) is None:  # leaving it out is the way to say nothing
            message = f"query parameter {name}: expected a value, got {values[name][:60]!r}"
            raise RequestError(400, "bad_query", message, field=name)
    return read
