"""The page and its static files.

A static address with `?v=` never changes its content and is cached for a year; one without is asked about
again each time, by its ETag, which costs a short answer on loopback. The chart library is uPlot where the
installation fetched it, and otherwise the file inside the installed plotly package, found without importing
plotly.
"""

from __future__ import annotations

import functools
import hashlib
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from flask import Blueprint, Flask, Response, abort, render_template, request, send_file, send_from_directory

from anomalyai.media import JSON
from anomalyai.training import ALGORITHMS
from web.contract.operation import operation
from web.query import NoQuery, read_query

HTML = "text/html"
STATIC = Path(__file__).parent / "static"
UPLOT = STATIC / "vendor" / "uplot" / "uPlot.iife.min.js"
PLOTLY_PATH = "vendor/plotly.min.js"
YEAR_S = 365 * 24 * 3600
LINK = re.compile(r'((?:href|src)=")(/static/[^"?#]+)(")')

blueprint = Blueprint("page", __name__)


class Place(NamedTuple):
    """An entry of the navigation that every page shows."""

    path: str
    title: str


PLACES = (
    Place("/", "Live"),
    Place("/anomalies", "Anomalies"),
    Place("/data", "Data"),
    Place("/models", "Models"),
    Place("/simulate", "Simulate"),
    Place("/settings", "Settings"),
    Place("/docs", "API"),
)


@blueprint.get("/")
@operation(answers={200: {HTML: str}})
def index() -> Response:
    """Answer the page."""
    return render_page("live.html", here="/", uplot=has_uplot())


@blueprint.get("/data")
@operation(query=NoQuery, answers={200: {HTML: str}})
def data() -> Response:
    """Answer the page that scores a file."""
    read_query(NoQuery)
    return render_page("data.html", here="/data", algorithms=ALGORITHMS, uplot=has_uplot())


@blueprint.get("/anomalies")
@operation(query=NoQuery, answers={200: {HTML: str}})
def anomalies() -> Response:
    """Answer the page of a feed's incidents."""
    read_query(NoQuery)
    return render_page("anomalies.html", here="/anomalies")


@blueprint.get("/settings")
@operation(query=NoQuery, answers={200: {HTML: str}})
def settings() -> Response:
    """Answer the page of a feed's settings and of how the server is."""
    read_query(NoQuery)
    return render_page("settings.html", here="/settings")


@blueprint.get("/anomalies/<alert_id>")
@operation(query=NoQuery, answers={200: {HTML: str}})
def anomaly(alert_id: str) -> Response:
    """Answer the page of one anomaly, or of a record that is none, which says where there is neither."""
    read_query(NoQuery)
    return render_page("anomaly.html", here="/anomalies", alert_id=alert_id, uplot=has_uplot())


def render_page(template: str, here: str | None = None, **values: Any) -> Response:
    """Return a page with every static file it names under its version.

    `here` is the path of the navigation's entry that it belongs to.
    """
    html = render_template(template, places=PLACES, here=here, **values)
    response = Response(versioned(html), mimetype=HTML)
    response.headers["Cache-Control"] = "no-cache"
    return response


def prefers_page() -> bool:
    """Whether the asker prefers a page to JSON, as browsers do; a program that does not say gets JSON."""
    return request.accept_mimetypes.best_match([JSON, HTML]) == HTML


@blueprint.get("/static/<path:name>")
@operation(answers={200: {"*/*": str}, 304: None})
def static_file(name: str) -> Response:
    """Answer a static file, with the cache header its address deserves."""
    if name == PLOTLY_PATH:
        path = plotly_file()
        if path is None:
            abort(404)
        response = send_file(path, conditional=True, mimetype="text/javascript")
    else:
        response = send_from_directory(STATIC, name, conditional=True)
    if request.args.get("v"):
        response.headers["Cache-Control"] = f"public, max-age={YEAR_S}, immutable"
    else:
        response.headers["Cache-Control"] = "no-cache"
    return response


def versioned(html: str) -> str:
    """Return a page whose links to static files name their content, so that these can be cached."""
    return LINK.sub(_with_version, html)


def has_uplot() -> bool:
    """Whether the installation fetched uPlot."""
    return UPLOT.is_file()


@functools.cache
def plotly_file() -> Path | None:
    """Find plotly's browser file in the installed package; importing the package would cost a second."""
    spec = find_spec("plotly")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "package_data" / "plotly.min.js"
    return path if path.is_file() else None


def init_app(app: Flask) -> None:
    """Register the page; Flask's own static route is off, this module has its own."""
    app.register_blueprint(blueprint)


def _with_version(link: re.Match[str]) -> str:
    path = STATIC / link[2].removeprefix("/static/")
    if not path.is_file():
        return link[0]
    stat = path.stat()
    version = _digest(path, stat.st_mtime_ns, stat.st_size)
    return f"{link[1]}{link[2]}?v={version}{link[3]}"


@functools.lru_cache(maxsize=256)
def _digest(path: Path, changed_ns: int, size_bytes: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
