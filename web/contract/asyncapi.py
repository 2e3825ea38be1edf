"""`/asyncapi.json`: an application's sockets as an AsyncAPI 3.0 document, from what their views state."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import msgspec
from flask import Flask
from werkzeug.routing import Rule

from anomalyai.media import JSON
from web.contract.channel import Channel, channel_of
from web.contract.path import PATH_TYPES, path_names, template
from web.contract.schema import Schemas

ALWAYS_CLOSES: Mapping[int, str] = {
    1001: "the server stops",
    1009: "a message was too large",
    1011: "an internal error",
}


def asyncapi(app: Flask) -> dict[str, Any]:
    """Return the document of all sockets that state something."""
    schemas = Schemas()
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        stated = channel_of(view)
        if stated is None or not rule.websocket:
            continue
        name = rule.endpoint.rpartition(".")[2]
        sends = {_name(kind): _sent(kind, schemas) for kind in stated.sends}
        receives = {
            form: _received(form, media, kind, schemas) for form, (media, kind) in stated.receives.items()
        }
        channels[name] = _channel(rule, view.__doc__ or "", stated, {**sends, **receives}, schemas)
        for action, messages in (("send", sends), ("receive", receives)):
            if messages:
                operations[f"{action}_{name}"] = _operation(action, name, messages)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "AnomalyAI",
            "version": version("anomalyai"),
            "description": "The sockets, as the server sees them. Everything else is in /openapi.json.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": JSON,
        "channels": channels,
        "operations": operations,
        "components": {"schemas": {name: _draft_7(schemas.named[name]) for name in sorted(schemas.named)}},
    }


def _channel(
    rule: Rule, doc: str, stated: Channel, messages: dict[str, Any], schemas: Schemas
) -> dict[str, Any]:
    codes = {**ALWAYS_CLOSES, **stated.closes}
    closes = "\n".join(f"- {code}: {codes[code]}" for code in sorted(codes))
    channel = {
        "address": template(rule),
        "title": doc.strip().partition("\n")[0],
        "description": f"Closing codes:\n{closes}",
        "messages": messages,
        "parameters": {
            name: {"description": schemas.of(PATH_TYPES[name])["description"]} for name in path_names(rule)
        },
    }
    if stated.query is not None:
        fields, required = schemas.fields_of(stated.query)
        query = {"type": "object", "properties": fields, "required": sorted(required)}
        binding = {"method": "GET", "query": _draft_7(query), "bindingVersion": "0.1.0"}
        channel["bindings"] = {"ws": binding}
    return channel


def _operation(action: str, name: str, messages: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "messages": [{"$ref": f"#/channels/{name}/messages/{message}"} for message in messages],
    }


def _sent(kind: type[msgspec.Struct], schemas: Schemas) -> dict[str, Any]:
    doc = inspect.cleandoc(kind.__doc__ or "")
    return {"name": _name(kind), "summary": doc.partition("\n")[0], "payload": _draft_7(schemas.of(kind))}


def _received(form: str, media: str, kind: Any, schemas: Schemas) -> dict[str, Any]:
    return {"name": form, "contentType": media, "payload": _draft_7(schemas.of(kind))}


def _name(kind: type[msgspec.Struct]) -> str:
    tag = kind.__struct_config__.tag
    return str(tag) if tag is not None else kind.__name__.lower()


def _draft_7(schema: Any) -> Any:
    """Return a schema in JSON Schema's draft 7, which AsyncAPI reads: only tuples are written otherwise."""
    if isinstance(schema, list | tuple):
        return [_draft_7(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: _draft_7(value) for key, value in schema.items()}
    if "prefixItems" in inner:
        inner["additionalItems"] = inner.get("items", True)
        inner["items"] = inner.pop("prefixItems")
    return inner
