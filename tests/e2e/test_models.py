"""Every algorithm from end to end: trained over HTTP, promoted, predicting, live, and loaded again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from anomalyai.training import ALGORITHMS
from tests.e2e.modelled import BODIES, ODD, ROWS, USUAL, payments, present_model, settled, started, trained
from tests.serving import Answer, ServerProcess


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    running = ServerProcess(tmp_path_factory.mktemp("models") / "data").start()
    try:
        yield running
    finally:
        running.kill()


def predicted(server: ServerProcess, feed: str) -> Answer:
    return server.request("POST", f"/predict?feed={feed}", json.dumps([USUAL, ODD]))


def require_found(server: ServerProcess, feed: str, model: str) -> list[Any]:
    answer = predicted(server, feed)
    assert answer.status == 200, answer
    assert answer.json["model"] == model
    found = answer.json["predictions"]
    assert [prediction["verdict"] for prediction in found] == ["Normal", "Anomaly detected"], found
    assert found[1]["score"] > found[0]["score"]
    return list(found)


class Live(NamedTuple):
    """A feed whose model came by an upload, and what it predicts."""

    feed: str
    model: str
    predictions: list[Any]


@pytest.fixture(scope="module")
def lives() -> dict[str, Live]:
    return {}


def brought_live(server: ServerProcess, lives: dict[str, Live], algorithm: str) -> Live:
    """Train an algorithm by both kinds of body, promote one, send records; once for all tests."""
    if algorithm in lives:
        return lives[algorithm]
    feed = algorithm.replace("_", "-")
    jobs = [started(server, feed, algorithm, media) for media in BODIES]
    models = [trained(server, job, algorithm) for job in jobs]
    for model in models:
        assert model.startswith(f"{feed}-{algorithm}-")
        assert server.request("GET", f"/models/{model}").json["rows"] == ROWS
    promoted = server.request("POST", f"/models/{models[0]}/promote")
    assert promoted.status == 200, promoted
    require_found(server, feed, models[0])
    assert server.post(feed, [*payments(ROWS, 300), ODD]).status == 202
    described = settled(server, feed, 301)
    assert described["model"]["id"] == models[0]
    assert described["refused_model"] is None
    alerts = server.request("GET", f"/feeds/{feed}/alerts").json["alerts"]
    assert 301 in {alert["seq"] for alert in alerts}, "the planted one is found live"
    lives[algorithm] = Live(feed, models[0], require_found(server, feed, models[0]))
    return lives[algorithm]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_model_is_trained_by_csv_and_json_promoted_and_finds_what_is_planted(
    server: ServerProcess, lives: dict[str, Live], algorithm: str
) -> None:
    live = brought_live(server, lives, algorithm)
    assert present_model(server, live.feed) == live.model


def test_after_a_restart_the_same_models_say_the_same(server: ServerProcess, lives: dict[str, Live]) -> None:
    before = [brought_live(server, lives, algorithm) for algorithm in ALGORITHMS]
    jobs = server.request("GET", "/jobs").json
    code, _ = server.stop()
    assert code == 0, server.stderr()
    server.start()
    for live in before:
        assert present_model(server, live.feed) == live.model
        assert require_found(server, live.feed, live.model) == live.predictions
    assert server.request("GET", "/jobs").json == jobs
