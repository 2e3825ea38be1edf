"""Health, readiness and metrics: what an operator's tools ask."""

from __future__ import annotations

import os
import shutil
import threading
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import msgspec
from flask import Blueprint, Flask, Response, g, request

from anomalyai.alert import rfc3339
from web.contract.operation import operation
from web.errors import json_response
from web.metrics import CONTENT_TYPE, method_label
from web.query import NoQuery, read_query
from web.site import Site, current_site

blueprint = Blueprint("standing", __name__)

STARTED_S = time.time()
"""When this process began to be a server."""


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


class Backlog(msgspec.Struct, frozen=True):
    """Records that are accepted and not scored."""

    records: int
    max_records: int
    size_bytes: int


class Sockets(msgspec.Struct, frozen=True):
    """WebSockets open, and how many may be."""

    open: int
    max: int


class Storage(msgspec.Struct, frozen=True):
    """The data directory: what it takes and what is free there; how durable records are and how long kept.

    `max_age_days` and `max_size_bytes` are 0 where they set no bound.
    """

    path: str
    size_bytes: int
    free_bytes: int
    durability: Literal["fsync", "os"]
    max_age_days: float
    max_size_bytes: int


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """How the server is; `memory_bytes` is null where the system does not say."""

    version: str
    started: str | None
    ready: bool
    causes: list[str]
    memory_bytes: int | None
    threads: int
    sockets: Sockets
    feeds: int
    max_feeds: int
    backlog: Backlog
    commits: int
    dead_letters: int
    storage: Storage


@blueprint.get("/status")
@operation(query=NoQuery, answers={200: Status})
def status() -> Response:
    """Say how the server is: what it holds, how much of its bounds is used, where it keeps things."""
    read_query(NoQuery)
    site = current_site()
    stats, settings, data = site.runtime.stats(), site.settings, site.settings.data_path
    return json_response(
        Status(
            version=version("anomalyai"),
            started=rfc3339(STARTED_S),
            ready=stats["ready"],
            causes=list(site.runtime.causes()),
            memory_bytes=_memory_bytes(),
            threads=threading.active_count(),
            sockets=Sockets(site.places.taken, site.places.limit),
            feeds=stats["feeds"],
            max_feeds=settings.feed.max_feeds,
            backlog=Backlog(
                stats["backlog"]["records"],
                settings.engine.max_backlog_records,
                stats["backlog"]["size_bytes"],
            ),
            commits=stats["commits"],
            dead_letters=stats["dead_letters"],
            storage=Storage(
                path=str(data.resolve()),
                size_bytes=_size_bytes(data),
                free_bytes=shutil.disk_usage(data).free,
                durability=settings.log.durability,
                max_age_days=settings.log.max_age_days,
                max_size_bytes=settings.log.max_size_bytes,
            ),
        )
    )


def _memory_bytes() -> int | None:
    """Return what the process holds in memory, where Linux says so."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _size_bytes(folder: Path) -> int:
    """Return the size of all files under a folder; one that goes away meanwhile counts nothing."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += (Path(place) / name).stat().st_size
    return total


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
