"""Training beside the engine: a real process, a swap entry in the log, retries and resumption."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from anomalyai.errors import ModelError
from anomalyai.training import train
from stream.errors import NoModel, UnknownFeed
from stream.runtime import Runtime
from stream.testing import ManualClock
from tests.stream.feeding import drain, frame, outcome, predicted, rewind, running, wait_until
from tests.stream.training.bench import kept_jobs, training_set

ENOUGH = 2_600


def feed_enough(runtime: Runtime) -> None:
    for first in range(0, ENOUGH, 200):
        runtime.post("f", frame(first, 200), "application/json")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a data directory whose feed got its model while records went on coming in."""
    data = tmp_path_factory.mktemp("trained") / "data"
    with running(data, ManualClock()) as runtime:
        feed_enough(runtime)
        wait_until(lambda: runtime.feed("f")["model"] is not None, "the model")
        runtime.post("f", frame(ENOUGH, 300), "application/json")
        drain(runtime)
        described = runtime.feed("f")
        assert described["maturity"] == "mature"
        assert described["training"]["state"] == "done"
        assert described["model"]["algorithm"] == "isolation_forest"
        assert described["refused_model"] is None
    return data


def test_a_feeds_model_is_trained_put_in_by_a_log_entry_and_acts_from_there(trained: Path) -> None:
    found = outcome(trained)
    kinds = [kind for _, kind, *_ in found.entries]
    assert kinds.count("model") == 1
    swap = next(msgspec.json.decode(body) for _, kind, _, _, body in found.entries if kind == "model")
    assert swap["model_id"].startswith("f-isolation_forest-")
    [(job, task, failures)] = kept_jobs(trained)
    assert (job.state, job.model, failures) == ("done", swap["model_id"], 0)
    assert (task.source, task.created_by) == ("first", "first")
    assert job.started is not None
    assert job.finished is not None
    by_maturity = {msgspec.json.decode(body)["maturity"] for body in found.alerts.values()}
    assert by_maturity == {"warming_up", "mature"}


@pytest.mark.parametrize("back_to", ["start", "before the swap", "after the swap"])
def test_a_replay_puts_the_same_model_in_at_the_same_place(
    trained: Path, tmp_path: Path, back_to: str
) -> None:
    data = tmp_path / "data"
    shutil.copytree(trained, data)
    before = outcome(data)
    swap = next(entry for entry, kind, *_ in before.entries if kind == "model")
    rewind(data, {"start": 0, "before the swap": swap - 1, "after the swap": swap}[back_to])
    with running(data, ManualClock()) as runtime:
        assert runtime.feed("f")["model"] is not None
    assert outcome(data) == before


def test_a_lost_model_is_passed_over_and_said(trained: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(trained, data)
    shutil.rmtree(data / "models")
    rewind(data, 0)
    with running(data, ManualClock()) as runtime:
        described = runtime.feed("f")
        assert described["model"] is None
        assert "there is no model" in described["refused_model"]
        assert described["lag"]["records"] == 0
        with pytest.raises(ModelError, match="there is no model"):
            runtime.install_model("f", "f-isolation_forest-000000000000")


def test_predicting_scores_against_the_feed_as_it_stands_and_changes_nothing(
    trained: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(trained, data)
    before = outcome(data)
    usual = {"ts": 1.7e9 + 5_000, "customer": "c1", "country": "DE", "amount": 50.0, "score": 0.0}
    odd = {**usual, "amount": 1e5}
    strange = {**usual, "never seen": [1], "new number": 7}
    body = msgspec.json.encode([usual, {**usual, "amount": "wrong"}, odd, strange])
    with running(data, ManualClock()) as runtime:
        result = predicted(runtime, "f", body, "application/json")
        assert result["model"] == runtime.feed("f")["model"]["id"]
        assert [prediction.index for prediction in result["predictions"]] == [0, 2, 3]
        assert [prediction.anomaly for prediction in result["predictions"]] == [False, True, False]
        assert result["predictions"][1].reasons[0].field == "amount"
        assert [(rejection.index, rejection.field) for rejection in result["rejected"]] == [(1, "amount")]
        assert predicted(runtime, "f", body, "application/json") == result
        assert predicted(runtime, "f", b"[]", None)["predictions"] == []
        one_by_one = [
            predicted(runtime, "f", msgspec.json.encode([record]), None)["predictions"][0].score
            for record in (usual, odd)
        ]
        assert one_by_one == pytest.approx([p.score for p in result["predictions"]][:2], abs=0.5)
        schema = runtime.feed("f")["schema"]
        runtime.post("f", frame(ENOUGH + 300, 700), None)
        drain(runtime)
        assert predicted(runtime, "f", body, None)["predictions"][0].score >= 0
        assert runtime.feed("f")["schema"] == schema
    found = outcome(data)
    assert found.entries[:-1] == before.entries
    unasked = tmp_path / "unasked"
    shutil.copytree(trained, unasked)
    with running(unasked, ManualClock()) as runtime:
        runtime.post("f", frame(ENOUGH + 300, 700), None)
    assert outcome(unasked) == found


def test_predicting_without_a_model_is_refused(tmp_path: Path) -> None:
    with running(tmp_path / "data", ManualClock()) as runtime:
        runtime.post("f", frame(0, 50), None)
        with pytest.raises(NoModel, match="no trained model"):
            predicted(runtime, "f", frame(0, 1), None)
        with pytest.raises(UnknownFeed):
            predicted(runtime, "g", frame(0, 1), None)


def test_a_training_cut_short_by_the_end_of_the_server_is_started_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running(data, ManualClock()) as runtime:
        feed_enough(runtime)
        wait_until(lambda: runtime.feed("f")["training"] is not None, "the training")
    assert [kind for _, kind, *_ in outcome(data).entries].count("model") == 0
    with running(data, ManualClock()) as runtime:
        wait_until(lambda: runtime.feed("f")["model"] is not None, "the model")
    assert [kind for _, kind, *_ in outcome(data).entries].count("model") == 1


def test_a_stored_model_can_be_put_into_a_feed(trained: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(trained, data)
    with running(data, ManualClock()) as runtime:
        model_id = runtime.feed("f")["model"]["id"]
        runtime.install_model("f", model_id)
        drain(runtime)
        other = runtime.models.save("f", train(training_set()))
        runtime.install_model("f", other.id)
        wait_until(lambda: runtime.feed("f")["refused_model"] is not None, "the refusal")
        assert runtime.feed("f")["model"]["id"] == model_id
        assert other.id in runtime.feed("f")["refused_model"]
    assert [kind for _, kind, *_ in outcome(data).entries].count("model") == 3
