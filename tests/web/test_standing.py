"""Health, readiness and metrics."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from stream.runtime import Runtime
from stream.settings import load
from tests.judging import alerts_of, odd_purchases, send_all
from tests.serving import ServerProcess, receive
from web.app import create_app

FEED_LABELS = {"feed", "severity", "status"}


def families(server: ServerProcess) -> Iterator[Metric]:
    yield from text_string_to_metric_families(server.request("GET", "/metrics").body.decode())


def test_health_and_readiness(server: ServerProcess) -> None:
    assert server.request("GET", "/healthz").json == {"status": "ok"}
    assert server.request("GET", "/readyz").json == {"ready": True, "causes": []}


def test_metrics_count_requests_frames_and_records(server: ServerProcess, feed: str) -> None:
    before = server.metric("anomalyai_socket_frames_total")
    server.post(feed, [{"a": 1}, {"a": 2}])
    with server.socket(f"/feeds/{feed}/ingest") as socket:
        receive(socket)
        socket.send('{"a": 3}')
        assert receive(socket)["type"] == "ack"
        assert server.metric("anomalyai_sockets_open") >= 1
    assert server.metric("anomalyai_socket_frames_total") == before + 1
    text = server.request("GET", "/metrics").body.decode()
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    accepted = [
        s.value for s in samples if s.name == "anomalyai_feed_accepted_total" and s.labels["feed"] == feed
    ]
    assert accepted == [3.0]
    routes = {s.labels["route"] for s in samples if s.name == "anomalyai_http_requests_total"}
    assert "/feeds/<feed>/events" in routes
    assert not any(feed in route for route in routes), "a route is its pattern, or labels would never end"


def test_metrics_are_text_for_prometheus(server: ServerProcess) -> None:
    answer = server.request("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    names = {family.name for family in text_string_to_metric_families(answer.body.decode())}
    assert {"anomalyai_ready", "anomalyai_internal_errors", "anomalyai_slow_viewers"} <= names


def test_metrics_tell_what_became_of_a_feed(server: ServerProcess, feed: str) -> None:
    send_all(server, feed, odd_purchases())
    first, *_ = flagged = alerts_of(server, feed)
    server.request("POST", f"/alerts/{feed}-{first}/verdict", '{"verdict": "real"}')
    labels = {"labels": [{"seq": seq, "label": 0} for seq in range(1, 8)]}
    server.request("POST", f"/feeds/{feed}/labels", json.dumps(labels))
    with server.socket(f"/feeds/{feed}/live") as viewer:
        receive(viewer)
        found = {
            sample.name: sample.value
            for family in families(server)
            for sample in family.samples
            if sample.labels.get("feed") == feed and "severity" not in sample.labels
        }
    described = server.request("GET", f"/feeds/{feed}").json
    for name, value in {
        "accepted_total": len(odd_purchases()),
        "rejected_total": 0,
        "shed_total": 0,
        "alerts_total": len(flagged),
        "verdicts_total": 1,
        "labels_total": 7,
        "reranked_total": described["judged"]["reranked"],
        "quarantined": described["quarantined"],
        "dead_letters_total": 0,
        "lag_records": 0,
        "lag_seconds": 0,
        "viewers": 1,
    }.items():
        assert found[f"anomalyai_feed_{name}"] == value, name
    assert 0 <= found["anomalyai_feed_snapshot_age_seconds"] < 600
    assert 0 < found["anomalyai_feed_latency_p99_seconds"] < 60
    by = {
        (sample.labels["severity"], sample.labels["status"]): sample.value
        for family in families(server)
        for sample in family.samples
        if sample.name == "anomalyai_feed_alerts_by" and sample.labels["feed"] == feed
    }
    assert sum(by.values()) == len(flagged)
    assert sum(n for (_, status), n in by.items() if status == "real") == 1
    assert {cell["status"] for cell in described["alerts_by"]} >= {"open", "real"}


def test_no_client_can_make_series(server: ServerProcess) -> None:
    """Labels are feeds, routes, known methods and statuses; whatever else a client makes up has no label."""
    server.request("BREW", "/nowhere/at-all")
    server.request("GET", "/alerts/made-up-1")
    server.request("GET", "/feeds/made-up")
    samples = [sample for family in families(server) for sample in family.samples]
    assert "made-up" not in {sample.labels.get("feed") for sample in samples}
    methods = {s.labels["method"] for s in samples if s.name == "anomalyai_http_requests_total"}
    assert methods <= {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other"}
    assert "other" in methods
    routes = {sample.labels["route"] for sample in samples if "route" in sample.labels}
    assert not any("made-up" in route or "nowhere" in route for route in routes)
    for family in families(server):
        if family.name.startswith("anomalyai_feed_"):
            assert all(set(sample.labels) <= FEED_LABELS for sample in family.samples), family.name


def test_what_is_not_ready_says_why_and_takes_nothing(tmp_path: Path) -> None:
    settings = load(environ={}, overrides={"data": str(tmp_path / "data")})
    runtime = Runtime.open(settings)
    client = create_app(runtime, settings).test_client()
    try:
        assert client.get("/healthz").status_code == 200
        answer = client.get("/readyz")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.get_json() == {"ready": False, "causes": ["the runtime is not started"]}
        for path, body in (
            ("/alerts/f-1/verdict", b'{"verdict": "real"}'),
            ("/feeds/f/labels", b'{"labels": [{"seq": 1, "label": 1}]}'),
            ("/feeds/f/events", b'{"a": 1}'),
        ):
            answer = client.post(path, data=body)
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (503, "not_ready"), path
            assert answer.headers["Retry-After"] == "1"
        lines = client.get("/metrics").get_data(as_text=True).splitlines()
        assert "anomalyai_ready 0.0" in lines
    finally:
        runtime.stop(10.0)
