"""A feed's declaration as JSON, the same as TOML; the core checks it field by field."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Budget = Annotated[
    str,
    Meta(
        description="`20/day`, alerts a day of event time, or `1/1000`, one in so many events.",
        examples=["20/day"],
        extra_json_schema={"pattern": "^([1-9][0-9]{0,3}/day|1/[1-9][0-9]{1,5})$"},
    ),
]
"""An alert budget in its plain form; the core, which reads it, allows for blanks and fractions."""

Name = Annotated[str, Meta(min_length=1, max_length=256)]


class DeclaredFeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known better than inference; a field may be named once in all."""

    name: str | None = None
    time: Name | None = None
    id: Name | None = None
    label: Name | None = None
    entities: list[Name] | None = None
    categories: list[Name] | None = None
    numbers: list[Name] | None = None
    ignore: list[Name] | None = None
    positions: list[tuple[Name, Name]] | None = None
    budget: Budget | None = None


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A declaration."""

    feed: DeclaredFeed = DeclaredFeed()
