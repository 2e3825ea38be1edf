"""What every route needs: the runtime, the settings, the counters, and the event that says stop.

One `Site` belongs to one application; it is made by the factory and found through Flask's `current_app`, so
that nothing in this package is a global.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from stream.runtime import Runtime
    from stream.settings import Settings
    from web.metrics import Metrics
    from web.place import Places
    from web.runs import Runs

EXTENSION = "anomalyai"


@dataclass(frozen=True)
class Site:
    """The parts of one running server. `stop` is set once, when it begins to stop."""

    runtime: Runtime
    settings: Settings
    metrics: Metrics
    places: Places
    runs: Runs
    stop: threading.Event = field(default_factory=threading.Event)


def current_site() -> Site:
    """Return the site of the request being answered."""
    return cast(Site, current_app.extensions[EXTENSION])
