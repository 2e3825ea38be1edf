"""Figures for Prometheus: what the web layer counts, and what the runtime reports when it is scraped.

One registry per application, none global. Names follow Prometheus's rules: a unit at the end, `_total` for
counters.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from stream.runtime import Runtime
    from web.place import Places

CONTENT_TYPE = CONTENT_TYPE_LATEST
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Figure(NamedTuple):
    """One figure of every feed, or of the whole runtime: where its description has it, in what unit."""

    name: str
    help: str
    path: tuple[str, ...]
    is_counter: bool = False
    unit: float = 1.0


FEED_FIGURES = (
    Figure("accepted", "Records accepted.", ("accepted",), is_counter=True),
    Figure("rejected", "Records rejected.", ("rejected",), is_counter=True),
    Figure("shed", "Records shed at admission.", ("shed",), is_counter=True),
    Figure("alerts", "Alerts raised.", ("alerts",), is_counter=True),
    Figure("verdicts", "Verdicts applied since the start.", ("judged", "verdicts"), is_counter=True),
    Figure("labels", "Labels applied since the start.", ("judged", "labels"), is_counter=True),
    Figure("reranked", "Open alerts ranked anew since the start.", ("judged", "reranked"), is_counter=True),
    Figure("adopted", "Records held back and learnt later.", ("adopted",), is_counter=True),
    Figure("late", "Records late, within the bound.", ("late",), is_counter=True),
    Figure("too_late", "Records too late to be believed.", ("too_late",), is_counter=True),
    Figure("future", "Records of the future, not believed.", ("future",), is_counter=True),
    Figure("silences", "Silences raised.", ("silences", "raised"), is_counter=True),
    Figure("silences_withheld", "Silences beyond those open.", ("silences", "withheld"), is_counter=True),
    Figure("silences_open", "Silences that have not ended.", ("silences", "open")),
    Figure("entities_watched", "Entities with a cadence.", ("silences", "watched")),
    Figure("dropped", "Records no longer kept.", ("dropped",), is_counter=True),
    Figure("lost", "Records that a repair could not save.", ("lost",), is_counter=True),
    Figure("dead_letters", "Log entries set aside.", ("dead_letters",), is_counter=True),
    Figure("evicted", "Entities and values that gave way.", ("evicted_entities",), is_counter=True),
    Figure("displaced", "Held-back records that gave way.", ("quarantine_dropped",), is_counter=True),
    Figure("quarantined", "Records held back from learning.", ("quarantined",)),
    Figure("lag_records", "Records accepted and not scored.", ("lag", "records")),
    Figure("lag_seconds", "Age of the oldest record that waits.", ("lag", "s")),
    Figure("events_per_second", "Records scored a second, lately.", ("events_per_second",)),
    Figure("latency_p99_seconds", "99 in 100 records had a result in that, lately.", ("p99_ms",), unit=0.001),
    Figure("promised_rate", "Promised share of flagged records.", ("promised_rate",)),
    Figure("realised_rate", "Share of records that were flagged.", ("realised_rate",)),
    Figure("viewers", "Live viewers.", ("viewers", "open")),
    Figure(
        "viewer_messages_dropped", "Messages that present viewers were too slow for.", ("viewers", "dropped")
    ),
    Figure("snapshot_age_seconds", "Time since the state was saved or taken up.", ("snapshot_age_s",)),
)
RUNTIME_FIGURES = (
    Figure("commits", "Transactions committed since the start.", ("commits",), is_counter=True),
    Figure("commit_units", "Appends and results in these transactions.", ("units",), is_counter=True),
    Figure("backlog_records", "Records that wait for the engine.", ("backlog", "records")),
    Figure("backlog_bytes", "Bytes of the records that wait.", ("backlog", "size_bytes")),
    Figure("dead_letters", "Log entries set aside since the start.", ("dead_letters",), is_counter=True),
    Figure("feeds", "Feeds.", ("feeds",)),
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
        stats = self._runtime.stats()
        for figure in RUNTIME_FIGURES:
            yield _family("anomalyai", figure, [([], stats)])
        yield from _trainings(self._runtime.jobs.figures())
        feeds = [([feed["feed"]], feed) for feed in (self._runtime.feeds() if stats["ready"] else [])]
        for figure in FEED_FIGURES:
            yield _family("anomalyai_feed", figure, feeds, labels=("feed",))
        by = GaugeMetricFamily(
            "anomalyai_feed_alerts_by",
            "Alerts by severity and status.",
            labels=("feed", "severity", "status"),
        )
        for names, feed in feeds:
            for cell in feed["alerts_by"]:
                by.add_metric([*names, cell["severity"], cell["status"]], float(cell["count"]))
        yield by


def _trainings(figures: Mapping[str, Any]) -> Iterator[Metric]:
    jobs = GaugeMetricFamily("anomalyai_jobs", "Trainings that are listed, by state.", labels=("state",))
    for state, count in sorted(figures["states"].items()):
        jobs.add_metric([state], count)
    yield jobs
    yield CounterMetricFamily(
        "anomalyai_training_seconds",
        "Time that training processes have run since the start.",
        value=figures["seconds"],
    )


def method_label(method: str) -> str:
    """Return a request's method as a label: what clients make up must not become series."""
    return method if method in KNOWN_METHODS else "other"


def _family(
    prefix: str,
    figure: Figure,
    rows: Sequence[tuple[list[str], Mapping[str, Any]]],
    labels: tuple[str, ...] = (),
) -> Metric:
    """Return one figure of each row; a row that does not have it yet is left out."""
    kind = CounterMetricFamily if figure.is_counter else GaugeMetricFamily
    family = kind(f"{prefix}_{figure.name}", figure.help, labels=labels)
    for names, row in rows:
        value: Any = row
        for step in figure.path:
            value = value.get(step) if isinstance(value, Mapping) else None
        if isinstance(value, int | float):
            family.add_metric(names, float(value) * figure.unit)
    return family
