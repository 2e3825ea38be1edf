"""Addresses with names in them, and what the names stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from msgspec import Meta
from werkzeug.routing import Rule

from stream.feeds import NAME

_NAMED = re.compile(r"<(?:\w+:)?(\w+)>")

PATH_TYPES: Mapping[str, Any] = {
    "feed": Annotated[str, Meta(pattern=f"^{NAME.pattern}$", description="A feed's name.")],
    "seq": Annotated[int, Meta(ge=1, lt=10**18, description="A record's number in its feed.")],
    "alert_id": Annotated[str, Meta(min_length=1, description="An alert's `id`.")],
    "incident_id": Annotated[str, Meta(min_length=1, description="An incident's `id`.")],
    "mute_id": Annotated[str, Meta(min_length=1, description="A mute's `id`.")],
    "model_id": Annotated[str, Meta(min_length=1, description="A model's `id`.")],
    "job_id": Annotated[str, Meta(min_length=1, description="A job's `id`.")],
    "run_id": Annotated[str, Meta(min_length=1, description="A run's `id`.")],
    "name": Annotated[str, Meta(min_length=1, description="The file's path.")],
}
"""The type of each name in an address."""


def template(rule: Rule) -> str:
    """Return a rule's address as the documents write it, e.g. `/feeds/{feed}`."""
    return _NAMED.sub(r"{\1}", rule.rule)


def path_names(rule: Rule) -> list[str]:
    """Return the names in a rule's address, in order."""
    return _NAMED.findall(rule.rule)
