"""The Flask application of one runtime. The factory starts nothing and reads no configuration of its own."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from flask import Flask

from web import (
    budget,
    candidate,
    document,
    errors,
    evaluation,
    feeds,
    incident,
    ingest,
    jobs,
    live,
    models,
    mute,
    page,
    predict,
    retraining,
    security,
    simulation,
    sockets,
    standing,
    train,
    verdict,
)
from web.metrics import Metrics
from web.place import Places
from web.runs import Runs
from web.site import EXTENSION, Site
from web.transport import WebSocketMiddleware

if TYPE_CHECKING:
    from stream.runtime import Runtime
    from stream.settings import Settings


def create_app(runtime: Runtime, settings: Settings, stop: threading.Event | None = None) -> Flask:
    """Build the application around an open runtime; `stop`, once set, closes its sockets."""
    stop = stop or threading.Event()
    site = Site(
        runtime=runtime,
        settings=settings,
        metrics=Metrics(),
        places=Places(settings.server.max_sockets),
        runs=Runs(runtime, settings.data_path, stop),
        stop=stop,
    )
    site.metrics.watch(runtime, site.places)
    app = Flask("web", static_folder=None)
    app.extensions[EXTENSION] = site
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    errors.init_app(app)
    standing.init_app(app, site)
    security.init_app(
        app, settings.server.allowed_hosts, settings.server.allowed_origins, loose_styles=not page.has_uplot()
    )
    sockets.init_app(app, site)
    inward = (budget, ingest, jobs, mute, predict, simulation, train, verdict)
    outward = (candidate, document, evaluation, feeds, incident, live, models, retraining, standing)
    for blueprint in (*inward, *outward):
        app.register_blueprint(blueprint.blueprint)
    page.init_app(app)
    app.wsgi_app = WebSocketMiddleware(  # type: ignore[method-assign]
        app.wsgi_app, settings.server.send_timeout_s
    )
    return app
