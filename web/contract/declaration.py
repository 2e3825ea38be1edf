"""A feed's declaration as JSON, the same as TOML; the core checks it field by field."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=256)]


class DeclaredFeed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known better than inference; a field may be named once in all."""

    name: str | None = None
    time: Name | None = None
    id: Name | None = None
    label: Name | None = None
    entities: list[Name] = []
    categories: list[Name] = []
    numbers: list[Name] = []
    ignore: list[Name] = []
    positions: list[tuple[Name, Name]] = []
    budget: Annotated[str, Meta(description="`20/day` or `1/1000`.", examples=["20/day"])] | None = None


class Declaration(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A declaration."""

    feed: DeclaredFeed = DeclaredFeed()
