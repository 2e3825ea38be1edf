"""Real answers and messages held against a document's schemas, stricter than the document itself."""

from __future__ import annotations

import re
from typing import Any

from jsonschema import Draft202012Validator

from tests.serving import Answer


def closed(schema: Any) -> Any:
    """Return a schema in which no object may have a key that is not described."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    inner = {key: closed(value) for key, value in schema.items()}
    return {"additionalProperties": False, **inner} if "properties" in schema else inner


def require(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    """Fail where a value does not fit a schema of the document."""
    whole = {**closed(schema), "components": closed(document["components"])}
    Draft202012Validator(whole).validate(value)


def find(document: dict[str, Any], method: str, address: str) -> dict[str, Any]:
    """Return the operation of a document that answers an address."""
    path = address.partition("?")[0]
    for template, methods in document["paths"].items():
        pattern = re.sub(r"\{\w+\}", "[^/]+", template.replace("{name}", ".+"))
        if re.fullmatch(pattern, path) and method.lower() in methods:
            found: dict[str, Any] = methods[method.lower()]
            return found
    raise AssertionError(f"the document has no {method} {path}")


def require_answer(document: dict[str, Any], method: str, address: str, answer: Answer) -> None:
    """Fail where an answer's status, media type or content is not what the document says."""
    responses = find(document, method, address)["responses"]
    assert str(answer.status) in responses, (method, address, answer)
    content = responses[str(answer.status)].get("content", {})
    media = answer.headers.get("content-type", "").partition(";")[0]
    assert media in content or "*/*" in content, (method, address, answer)
    if media == "application/json":
        require(document, content[media]["schema"], answer.json)
