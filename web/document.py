"""The documents of the API, made of what the routes state, and the page that shows them.

The page is Swagger UI, whose files lie in an installed package. Its start is a script of ours, since the
policy of every answer allows no inline script.
"""

from __future__ import annotations

import functools
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, current_app, render_template, send_from_directory

from web.contract.asyncapi import asyncapi
from web.contract.openapi import openapi
from web.contract.operation import operation
from web.errors import json_response
from web.query import NoQuery, read_query

blueprint = Blueprint("document", __name__)

SHOWN_WITH = ("swagger-ui-bundle.js", "swagger-ui.css")
"""The files of Swagger UI that the page needs; no other is served."""


@blueprint.get("/openapi.json")
@operation(query=NoQuery, answers={200: dict[str, Any]})
def get_openapi() -> Response:
    """Describe every route in OpenAPI 3.1."""
    read_query(NoQuery)
    return json_response(openapi(current_app))


@blueprint.get("/asyncapi.json")
@operation(query=NoQuery, answers={200: dict[str, Any]})
def get_asyncapi() -> Response:
    """Describe every socket in AsyncAPI 3.0."""
    read_query(NoQuery)
    return json_response(asyncapi(current_app))


@blueprint.get("/docs")
@operation(query=NoQuery, answers={200: {"text/html": str}})
def docs() -> Response:
    """Show the routes on a page, to read and to try out."""
    read_query(NoQuery)
    response = Response(render_template("docs.html"), mimetype="text/html")
    response.headers["Cache-Control"] = "no-cache"
    return response


@blueprint.get("/docs/<path:name>")
@operation(query=NoQuery, answers={200: {"text/javascript": str, "text/css": str}, 304: None})
def docs_file(name: str) -> Response:
    """Answer a file that the page is made of."""
    read_query(NoQuery)
    if name not in SHOWN_WITH:
        abort(404)
    response = send_from_directory(swagger_ui(), name, conditional=True)
    response.headers["Cache-Control"] = "no-cache"
    return response


@functools.cache
def swagger_ui() -> Path:
    """Find Swagger UI's files in the installed package, which need not be imported for that."""
    spec = find_spec("flask_swagger_ui")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "dist"
