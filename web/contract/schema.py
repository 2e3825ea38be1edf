"""JSON schemas of the types that are read and sent, each under its name once."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

REFERENCE = "#/components/schemas/{name}"


class Schemas:
    """Collects the named schemas of a document while its parts refer to them."""

    def __init__(self) -> None:
        self.named: dict[str, dict[str, Any]] = {}

    def of(self, kind: Any) -> dict[str, Any]:
        """Return the schema of a type, as a reference where it has a name; a tuple is any of its types.

        Raises
        ------
        ValueError
            Another type has the name of one that this one is made of.
        """
        if isinstance(kind, tuple):
            return {"anyOf": [self.of(each) for each in kind]}
        (schema,), named = msgspec.json.schema_components((kind,), ref_template=REFERENCE)
        for name, component in named.items():
            if "description" in component:
                component["description"] = inspect.cleandoc(component["description"])
            _complete(component)
            if self.named.setdefault(name, component) != component:
                raise ValueError(f"two types of the API are named {name}")
        return schema

    def fields_of(self, kind: type[msgspec.Struct]) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """Return the schemas of a struct's fields as parameters, and the names of those that are required."""
        (_,), named = msgspec.json.schema_components((kind,), ref_template=REFERENCE)
        whole = named[kind.__name__]
        fields = {name: _without_null(schema) for name, schema in whole["properties"].items()}
        return fields, set(whole.get("required", ()))


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a parameter: one that may be left out is never sent as null."""
    given = [choice for choice in schema.get("anyOf", ()) if choice != {"type": "null"}]
    if len(given) != 1:
        return schema
    return {**{k: v for k, v in schema.items() if k not in ("anyOf", "default")}, **given[0]}


def _complete(component: dict[str, Any]) -> None:
    """Say that what has a default is always there, in structs that are sent: those are written in full.

    A struct that is read forbids unknown fields, and its defaults may be left out; a field that may be absent
    from an answer has no default but `UNSET`, which no schema shows.
    """
    if component.get("type") != "object" or component.get("additionalProperties") is False:
        return
    properties = component.get("properties", {})
    required = set(component.get("required", ()))
    names = [name for name, schema in properties.items() if name in required or "default" in schema]
    if names:
        component["required"] = names
