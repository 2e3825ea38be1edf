"""`/openapi.json`: the routes of an application as an OpenAPI 3.1 document, from what their views state."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from anomalyai.errors import TooLarge, UnreadableBody, UnsupportedMedia
from anomalyai.media import JSON
from stream.errors import DatabaseDamaged, NotReady
from web.answer import ErrorBody
from web.contract.operation import Operation, Refused, operation_of
from web.contract.path import PATH_TYPES, path_names, template
from web.contract.schema import Schemas
from web.errors import STATUS

IMPLIED = frozenset({"HEAD", "OPTIONS"})
"""Methods that Flask adds to every route; HTTP says what they do."""

LAST = ("document", "page", "standing")
ALWAYS = (
    Refused(403, "host_refused", "The `Host` header is not this machine's."),
    Refused(403, "origin_refused", "The page that asks is not ours."),
    Refused(414, "address_too_long", "The address is longer than a line may be."),
    Refused(500, "internal", "A defect; the message refers to an entry of the server's log."),
    NotReady,
    DatabaseDamaged,
)
WITH_PATH = (Refused(404, "not_found", "There is nothing at this address."),)
WITH_QUERY = (Refused(400, "bad_query", "A parameter is unknown, missing, doubled or out of range."),)
WITH_BODY = (
    UnreadableBody,
    Refused(400, "body_incomplete", "The body ended early."),
    Refused(400, "body_broken", "The body broke off, or is no gzip."),
    Refused(408, "timeout", "The body stalled."),
    TooLarge,
    UnsupportedMedia,
)
RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 1}}}


def openapi(app: Flask) -> dict[str, Any]:
    """Return the document of all routes but the sockets and those that state nothing."""
    schemas = Schemas()
    paths: dict[str, dict[str, Any]] = {}
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        view = app.view_functions[rule.endpoint]
        stated = operation_of(view)
        if stated is None or rule.websocket:
            continue
        for method in sorted((rule.methods or set()) - IMPLIED):
            described = _described(rule, view.__doc__ or "", stated, schemas)
            paths.setdefault(template(rule), {})[method.lower()] = described
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "AnomalyAI",
            "version": version("anomalyai"),
            "description": "Feeds of events in, anomalies out. The sockets are described in /asyncapi.json.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": _tags(app, paths),
        "paths": paths,
        "components": {"schemas": dict(sorted(schemas.named.items()))},
    }


def _tags(app: Flask, paths: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the groups of routes, those for people last, each with what its module says of itself."""
    names = {one["tags"][0] for methods in paths.values() for one in methods.values()}
    modules = {
        rule.endpoint.partition(".")[0]: sys.modules[app.view_functions[rule.endpoint].__module__]
        for rule in app.url_map.iter_rules()
    }
    ordered = sorted(names, key=lambda name: (name in LAST, name))
    return [
        {"name": name, "description": (modules[name].__doc__ or "").strip().partition("\n")[0]}
        for name in ordered
    ]


def _described(rule: Rule, doc: str, stated: Operation, schemas: Schemas) -> dict[str, Any]:
    blueprint, _, name = rule.endpoint.rpartition(".")
    summary, _, rest = doc.strip().partition("\n")
    described: dict[str, Any] = {"operationId": name, "summary": summary, "tags": [blueprint or "page"]}
    if rest.strip():
        described["description"] = re.sub(r"\s+", " ", rest.strip())
    parameters = [*_path_parameters(rule, schemas), *_parameters(stated, schemas)]
    if parameters:
        described["parameters"] = parameters
    if stated.body is not None:
        described["requestBody"] = {
            "required": stated.body_required,
            "content": _content(stated.body, schemas),
        }
    responses = {
        **{status: _refusal(status, texts, schemas) for status, texts in _refusals(rule, stated)},
        **{status: _answer(status, answer, schemas) for status, answer in stated.answers.items()},
    }
    described["responses"] = {str(status): responses[status] for status in sorted(responses)}
    return described


def _path_parameters(rule: Rule, schemas: Schemas) -> Iterator[dict[str, Any]]:
    for name in path_names(rule):
        yield _parameter("path", name, schemas.of(PATH_TYPES[name]), True)


def _parameters(stated: Operation, schemas: Schemas) -> Iterator[dict[str, Any]]:
    for place, kind in (("query", stated.query), ("header", stated.headers)):
        if kind is not None:
            fields, required = schemas.fields_of(kind)
            for name, schema in fields.items():
                yield _parameter(place, name, schema, name in required)


def _parameter(place: str, name: str, schema: dict[str, Any], required: bool) -> dict[str, Any]:
    described = {"name": name, "in": place, "required": required, "schema": schema}
    text = schema.pop("description", None)
    return {**described, "description": text} if text else described


def _content(by_media: Mapping[str, Any], schemas: Schemas) -> dict[str, Any]:
    return {media: {"schema": schemas.of(kind)} for media, kind in by_media.items()}


def _answer(status: int, answer: Any, schemas: Schemas) -> dict[str, Any]:
    described: dict[str, Any] = {"description": HTTPStatus(status).phrase}
    if answer is not None:
        by_media = answer if isinstance(answer, Mapping) else {JSON: answer}
        described["content"] = _content(by_media, schemas)
    return described


def _refusal(status: int, texts: list[str], schemas: Schemas) -> dict[str, Any]:
    described = {"description": "\n".join(texts), "content": {JSON: {"schema": schemas.of(ErrorBody)}}}
    return {**described, "headers": RETRY} if status in (429, 503) else described


def _refusals(rule: Rule, stated: Operation) -> list[tuple[int, list[str]]]:
    """Return what each status of a refusal means on a route, by status."""
    kinds = [
        *stated.raises,
        *(WITH_PATH if rule.arguments else ()),
        *(WITH_QUERY if stated.query is not None else ()),
        *(WITH_BODY if stated.body is not None else ()),
        *ALWAYS,
    ]
    texts: dict[int, dict[str, None]] = {}
    for kind in kinds:
        status, text = _meaning(kind)
        texts.setdefault(status, {})[text] = None
    return [(status, list(meanings)) for status, meanings in texts.items()]


def _meaning(kind: Any) -> tuple[int, str]:
    if isinstance(kind, Refused):
        return kind.status, f"- `{kind.code}`: {kind.says}"
    status = next((status for known, status in STATUS if issubclass(kind, known)), 400)
    return status, f"- `{kind.code}`: {(kind.__doc__ or '').strip().splitlines()[0]}"
