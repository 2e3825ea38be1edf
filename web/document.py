"""The documents of the API, made of what the routes state."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app

from web.contract.openapi import openapi
from web.contract.operation import operation
from web.errors import json_response
from web.query import NoQuery, read_query

blueprint = Blueprint("document", __name__)


@blueprint.get("/openapi.json")
@operation(query=NoQuery, answers={200: dict[str, Any]})
def get_openapi() -> Response:
    """Describe every route in OpenAPI 3.1."""
    read_query(NoQuery)
    return json_response(openapi(current_app))
