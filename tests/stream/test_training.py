"""Training beside the engine: a real process, a swap entry in the log, retries and resumption."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from anomalyai.errors import ModelError
from anomalyai.model_store import ModelStore
from anomalyai.training import TrainingSet, train
from stream.database import Database
from stream.errors import LogFailure, NoModel, UnknownFeed
from stream.runtime import Runtime
from stream.settings import Training as Limits
from stream.store import Store
from stream.testing import ManualClock
from stream.training import JobState, Training
from tests.stream.feeding import drain, frame, outcome, rewind, running, wait_until

ENOUGH = 2_600


def training_set(rows: int = 200) -> TrainingSet:
    features = np.random.default_rng(1).normal(size=(rows, 3))
    return TrainingSet(features=features, columns=("a", "b", "c"), last_seq=rows, seed=7)


class Bench:
    """A training thread with its reports in a list."""

    def __init__(self, folder: Path, **limits: Any) -> None:
        self.reports: list[JobState] = []
        self.refusals = 0
        self.models = folder / "models"
        self.training = Training(
            folder / "training", self.models, Limits(**limits), ManualClock(), self.report
        )
        self.thread = threading.Thread(target=self.training.run)

    def report(self, job: JobState) -> None:
        if self.refusals:
            self.refusals -= 1
            raise LogFailure("the disk is full")
        self.reports.append(job)

    def states(self) -> list[tuple[str, int]]:
        return [(job.state, job.failures) for job in self.reports]

    def run_until(self, *states: str) -> None:
        self.thread.start()
        wait_until(lambda: bool(self.reports) and self.reports[-1].state in states, f"{states}")
        self.training.close()
        self.thread.join(timeout=60)
        assert not self.thread.is_alive()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, max_attempts=2)
    yield bench
    bench.training.close()


def test_a_process_trains_the_model_that_training_in_place_gives(bench: Bench) -> None:
    bench.training.keep("f-7", training_set())
    bench.training.submit(JobState("f-7", "f"))
    assert bench.training.latest("f") == JobState("f-7", "f")
    bench.run_until("done", "failed")
    assert bench.states() == [("running", 0), ("done", 0)]
    model_id = bench.reports[-1].model
    assert model_id is not None
    model, here = ModelStore(bench.models).load(model_id), train(training_set())
    rows = np.random.default_rng(2).normal(size=(50, 3))
    assert (model.columns, model.last_seq) == (("a", "b", "c"), 200)
    assert np.array_equal(model.score_batch(rows), here.score_batch(rows))
    assert list((bench.models.parent / "training").iterdir()) == []


def test_a_training_that_fails_is_tried_again_and_then_given_up_with_its_reason(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.training.keep("f-7", training_set(rows=3))
    bench.training.submit(JobState("f-7", "f"))
    with caplog.at_level(logging.ERROR):
        bench.run_until("failed")
    assert bench.states() == [("running", 0), ("queued", 1), ("running", 1), ("failed", 2)]
    assert "at least 50 clean records" in str(bench.reports[-1].error)
    assert "failed (2 of 2)" in caplog.text
    latest = bench.training.latest("f")
    assert latest is not None
    assert latest.state == "failed"


def test_a_missing_set_and_a_damaged_one_are_failures_too(bench: Bench) -> None:
    bench.training.submit(JobState("f-1", "f", failures=1))
    bench.run_until("failed")
    assert "f-1.npz is missing" in str(bench.reports[-1].error)
    again = Bench(bench.models.parent, max_attempts=1)
    again.training.keep("f-2", training_set())
    path = again.models.parent / "training" / "f-2.npz"
    path.write_bytes(path.read_bytes()[:100])
    again.training.submit(JobState("f-2", "f"))
    again.run_until("failed")
    assert "ended with 1" in str(again.reports[-1].error)


def test_a_training_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    bench = Bench(tmp_path, max_attempts=1, max_duration_s=1.0)
    clock = bench.training._clock
    assert isinstance(clock, ManualClock)
    bench.training.keep("f-7", training_set(rows=200))
    bench.training.submit(JobState("f-7", "f"))
    bench.thread.start()
    while not bench.reports or bench.reports[-1].state == "running":
        clock.advance(0.6)
        time.sleep(0.02)
    bench.training.close()
    bench.thread.join(timeout=60)
    assert bench.reports[-1].state == "failed"
    assert "a time-out" in str(bench.reports[-1].error)


def test_a_report_that_the_log_refuses_is_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stream.training.RETRY_S", 0.01)
    bench.refusals = 3
    bench.training.keep("f-7", training_set())
    bench.training.submit(JobState("f-7", "f"))
    bench.run_until("done")
    assert bench.states() == [("running", 0), ("done", 0)]


def test_closing_ends_the_process_and_leaves_the_job_for_the_next_start(bench: Bench) -> None:
    bench.training.keep("f-7", training_set())
    bench.training.submit(JobState("f-7", "f"))
    bench.thread.start()
    wait_until(lambda: bool(bench.reports), "the process")
    bench.training.close()
    bench.thread.join(timeout=30)
    assert not bench.thread.is_alive()
    assert bench.states() == [("running", 0)]
    assert (bench.models.parent / "training" / "f-7.npz").exists()


def test_the_training_process_ends_when_its_server_is_gone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "set")  # a set that never comes: reading it waits for ever
    command = [sys.executable, "-m", "stream.trainer", *(str(tmp_path / n) for n in ("set", "models"))]
    process = subprocess.Popen([*command, "f", str(tmp_path / "result")], stdin=subprocess.PIPE)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(1.0)
    assert process.stdin is not None
    process.stdin.close()
    assert process.wait(30.0) == 3


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
    database = Database(trained)
    jobs = Store(database).jobs("f")
    database.close()
    assert [(job.state, job.model, job.failures) for job in jobs] == [("done", swap["model_id"], 0)]
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
        result = runtime.predict("f", body, "application/json")
        assert result["model"] == runtime.feed("f")["model"]["id"]
        assert [prediction.index for prediction in result["predictions"]] == [0, 2, 3]
        assert [prediction.anomaly for prediction in result["predictions"]] == [False, True, False]
        assert result["predictions"][1].reasons[0].field == "amount"
        assert [(rejection.index, rejection.field) for rejection in result["rejected"]] == [(1, "amount")]
        assert runtime.predict("f", body, "application/json") == result
        assert runtime.predict("f", b"[]", None)["predictions"] == []
        one_by_one = [
            runtime.predict("f", msgspec.json.encode([record]), None)["predictions"][0].score
            for record in (usual, odd)
        ]
        assert one_by_one == pytest.approx([p.score for p in result["predictions"]][:2], abs=0.5)
        schema = runtime.feed("f")["schema"]
        runtime.post("f", frame(ENOUGH + 300, 700), None)
        drain(runtime)
        assert runtime.predict("f", body, None)["predictions"][0].score >= 0
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
            runtime.predict("f", frame(0, 1), None)
        with pytest.raises(UnknownFeed):
            runtime.predict("g", frame(0, 1), None)


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
