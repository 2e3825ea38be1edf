"""Health, readiness and metrics."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.serving import ServerProcess, receive


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
