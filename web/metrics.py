"""Figures for Prometheus: what the web layer counts, and what the runtime reports when it is scraped.

One registry per application, none global. Names follow Prometheus's rules: a unit at the end, `_total` for
counters.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from stream.runtime import Runtime
    from web.sockets import Places

CONTENT_TYPE = CONTENT_TYPE_LATEST
FEED_COUNTERS = (
    "accepted",
    "rejected",
    "shed",
    "alerts",
    "late",
    "too_late",
    "future",
    "dead_letters",
    "dropped",
    "lost",
)


class Metrics:
    """The counters of one application. Thread-safe."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "anomalyai_http_requests",
            "HTTP requests answered.",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "anomalyai_http_request_seconds",
            "Time to answer an HTTP request.",
            ("route",),
            registry=self.registry,
        )
        self.frames = Counter(
            "anomalyai_socket_frames",
            "Frames received on ingest sockets, by outcome.",
            ("outcome",),
            registry=self.registry,
        )
        self.slow_viewers = Counter(
            "anomalyai_slow_viewers",
            "Live sockets cut off because they stopped reading.",
            registry=self.registry,
        )
        self.internal_errors = Counter(
            "anomalyai_internal_errors",
            "Requests that failed for a reason nobody foresaw.",
            registry=self.registry,
        )

    def watch(self, runtime: Runtime, places: Places) -> None:
        """Report a runtime's figures and the open sockets at every scrape."""
        self.registry.register(_Scrape(runtime, places))

    def render(self) -> bytes:
        """Return the exposition text."""
        return generate_latest(self.registry)


class _Scrape(Collector):
    """Reads the runtime when it is scraped, so that nothing is counted twice."""

    def __init__(self, runtime: Runtime, places: Places) -> None:
        self._runtime = runtime
        self._places = places

    def describe(self) -> list[Metric]:
        """Return nothing: asking the runtime before it runs would be too early."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Read the runtime once."""
        yield GaugeMetricFamily("anomalyai_sockets_open", "WebSockets open.", value=self._places.taken)
        yield GaugeMetricFamily(
            "anomalyai_ready", "1 when ready for records.", value=float(self._runtime.ready)
        )
        feeds = self._runtime.feeds() if self._runtime.ready else []
        for name in FEED_COUNTERS:
            family = CounterMetricFamily(
                f"anomalyai_feed_{name}", f"Records of a feed: {name}.", labels=("feed",)
            )
            for feed in feeds:
                family.add_metric([feed["feed"]], _number(feed.get(name)))
            yield family
        lag = GaugeMetricFamily(
            "anomalyai_feed_lag_records", "Records accepted and not scored.", labels=("feed",)
        )
        for feed in feeds:
            lag.add_metric([feed["feed"]], _number(feed["lag"]["records"]))
        yield lag
        age = GaugeMetricFamily(
            "anomalyai_feed_lag_seconds",
            "Age of the oldest record that waits to be scored.",
            labels=("feed",),
        )
        for feed in feeds:
            age.add_metric([feed["feed"]], _number(feed["lag"]["s"]))
        yield age


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
