"""Health, readiness and metrics: what an operator's tools ask."""

from __future__ import annotations

import time
from typing import Literal

import msgspec
from flask import Blueprint, Flask, Response, g, request

from web.contract.operation import operation
from web.errors import json_response
from web.metrics import CONTENT_TYPE, method_label
from web.query import NoQuery, read_query
from web.site import Site, current_site

blueprint = Blueprint("standing", __name__)


class Health(msgspec.Struct, frozen=True):
    """The process lives."""

    status: Literal["ok"] = "ok"


class Readiness(msgspec.Struct, frozen=True):
    """Whether records are taken, and if not, why."""

    ready: bool
    causes: list[str]


@blueprint.get("/healthz")
@operation(query=NoQuery, answers={200: Health})
def healthz() -> Response:
    """Answer that the process lives and serves."""
    read_query(NoQuery)
    return json_response(Health())


@blueprint.get("/readyz")
@operation(query=NoQuery, answers={200: Readiness, 503: Readiness})
def readyz() -> Response:
    """Answer whether records are taken, and if not, why: 200 or 503, with the causes."""
    read_query(NoQuery)
    site = current_site()
    causes = list(site.runtime.causes())
    if site.stop.is_set():
        causes.append("the server is stopping")
    ready = site.runtime.ready and not causes
    response = json_response(Readiness(ready, causes), 200 if ready else 503)
    if not ready:
        response.headers["Retry-After"] = "1"
    return response


@blueprint.get("/metrics")
@operation(answers={200: {"text/plain": str}})
def metrics() -> Response:
    """Answer the figures in Prometheus's text format."""
    return Response(current_site().metrics.render(), content_type=CONTENT_TYPE)


def init_app(app: Flask, site: Site) -> None:
    """Count and time every request by route; a socket counts by its upgrade, and is not timed."""

    def start() -> None:
        g.started = time.perf_counter()

    def finish(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        upgraded = g.get("upgraded", False)
        site.metrics.requests.labels(
            method_label(request.method), route, "101" if upgraded else str(response.status_code)
        ).inc()
        if "started" in g and not upgraded:
            site.metrics.request_seconds.labels(route).observe(time.perf_counter() - g.started)
        return response

    app.before_request(start)
    app.after_request(finish)
