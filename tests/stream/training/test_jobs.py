"""Jobs in real processes: what they come to, attempts, time-outs, cancelling, restarts and bounds."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from anomalyai.errors import ModelError
from anomalyai.model_store import ModelStore
from anomalyai.training import train
from stream.clock import SystemClock
from stream.errors import JobFinished, LogFailure, UnknownJob
from stream.job import Failure, Job
from stream.secret import instance_secret
from stream.testing import ManualClock
from stream.training.task import Task
from tests.stream.feeding import wait_until
from tests.stream.training.bench import bench, kept_jobs, training_set


def test_a_process_trains_the_model_that_training_in_place_gives(tmp_path: Path) -> None:
    with bench(tmp_path, SystemClock()) as made:
        made.run()
        made.jobs.keep("f-7", training_set())
        made.first("f-7")
        job = made.finished("f-7")
        assert (job.state, job.error, job.fraction, job.seconds_left) == ("done", None, 1.0, None)
        assert made.installed == [("f", job.model)]
        assert made.files() == []
        assert made.jobs.latest_first("f") == job
        assert made.jobs.list("f") == [job]
        assert made.jobs.list("g") == []
        assert made.jobs.figures()["states"] == {"done": 1}
        made.jobs.submit(Task(id="f-7", feed="f"))
        wait_until(made.jobs._queue.empty, "the second submission")
    assert made.installed == [("f", job.model)], "a job that is known is not run again"
    assert job.model is not None
    model, here = (
        ModelStore(tmp_path / "models", instance_secret(tmp_path)).load(job.model),
        train(training_set()),
    )
    rows = np.random.default_rng(2).normal(size=(50, 3))
    assert (model.columns, model.last_seq) == (("a", "b", "c"), 200)
    assert np.array_equal(model.score_batch(rows), here.score_batch(rows))
    [(kept, _, failures)] = kept_jobs(tmp_path)
    assert (kept, failures) == (job, 0), "what is kept is what was shown"


def test_what_the_process_refuses_is_not_tried_again(tmp_path: Path) -> None:
    with bench(tmp_path, max_attempts=3) as made:
        made.run()
        made.jobs.keep("f-7", training_set(rows=3))
        made.first("f-7")
        job = made.finished("f-7")
        assert job.state == "failed"
        assert job.error is not None
        assert job.error.code == "too_few_rows"
        assert "at least 50 clean records" in job.error.message
        assert made.files() == []
    [(kept, _, failures)] = kept_jobs(tmp_path)
    assert (kept.error, failures) == (job.error, 0)


def test_a_process_that_dies_is_tried_again_and_then_given_up_with_its_last_words(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.training.runner.RETRY_S", 0.01)
    with bench(tmp_path, max_attempts=2) as made, caplog.at_level(logging.ERROR):
        made.run()
        made.jobs.keep("f-2", training_set())
        path = made.jobs.folders.training_set("f-2")
        path.write_bytes(path.read_bytes()[:100])
        made.first("f-2")
        job = made.finished("f-2")
        assert job.error is not None
        assert job.error.code == "training_failed"
        assert "ended with 1: " in job.error.message
        assert "zip" in job.error.message
        assert "failed (2 of 2)" in caplog.text
    [(_, _, failures)] = kept_jobs(tmp_path)
    assert failures == 2


def test_a_training_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    clock = ManualClock()
    with bench(tmp_path, clock, max_duration_s=1.0) as made:
        made.run()
        made.jobs.folders.training.mkdir()
        os.mkfifo(made.jobs.folders.training_set("f-7"))  # a set that never comes
        made.first("f-7")
        wait_until(lambda: made.jobs.get("f-7").stage == "reading", "the process")
        clock.advance(1.1)
        job = made.finished("f-7")
        assert job.error is not None
        assert (job.state, job.error.code) == ("failed", "training_timeout")
        assert made.files() == []


def test_what_the_log_refuses_is_kept_later_and_a_model_that_does_not_fit_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stream.training.runner.RETRY_S", 0.01)
    with bench(tmp_path) as made:
        made.refusals = [
            ModelError("it was altered", code="model_altered"),
            LogFailure("the disk is full"),
            LogFailure("the disk is full"),
        ]  # the last first
        made.run()
        made.jobs.keep("f-7", training_set())
        made.first("f-7")
        assert made.finished("f-7").error == Failure("model_altered", "it was altered")
        assert made.installed == []


def test_closing_ends_the_process_and_leaves_the_job_for_the_next_start(tmp_path: Path) -> None:
    with bench(tmp_path) as made:
        made.run()
        made.jobs.keep("f-7", training_set())
        made.first("f-7")
        wait_until(lambda: made.jobs.get("f-7").state == "running", "the process")
        (tmp_path / "uploads").mkdir()
        (tmp_path / "uploads" / ".incoming-1").write_bytes(b"of a client that left")
        (tmp_path / "training" / "f-1.npz").write_bytes(b"of nobody")
    [(kept, _, failures)] = kept_jobs(tmp_path)
    assert (kept.state, failures) == ("queued", 0)
    with bench(tmp_path) as made:
        assert made.jobs.get("f-7").state == "queued"
        made.run()
        assert not {".incoming-1", "f-1.npz"} & set(made.files())
        assert made.finished("f-7").state == "done"


def test_a_training_that_the_server_keeps_dying_with_is_given_up(tmp_path: Path) -> None:
    with bench(tmp_path, max_attempts=2) as made:
        made.jobs._ledger.add(Task(id="f-7", feed="f"))
        running = msgspec.structs.replace(Job(id="f-7", feed="f"), state="running")
        made.jobs._ledger.keep(made.jobs._ledger.change(running, 1, 0.0))
    with bench(tmp_path, max_attempts=2) as made:
        made.run()
        job = made.finished("f-7")
        assert job.error is not None
        assert job.error.code == "training_interrupted"
    [(kept, _, failures)] = kept_jobs(tmp_path)
    assert (kept.state, failures) == ("failed", 2)


def test_a_running_job_is_cancelled_with_its_process_and_files(tmp_path: Path) -> None:
    with bench(tmp_path) as made:
        made.run()
        made.jobs.folders.training.mkdir()
        os.mkfifo(made.jobs.folders.training_set("f-7"))
        made.first("f-7")
        made.first("f-8")
        wait_until(lambda: made.jobs.get("f-7").stage == "reading", "the process")
        assert made.jobs.get("f-8").state == "queued"
        cancelled = made.jobs.cancel("f-8"), made.jobs.cancel("f-7")
        assert [job.state for job in cancelled] == ["cancelled", "cancelled"]
        assert [job.state for job in made.jobs.list()] == ["cancelled", "cancelled"]
        assert made.files() == []
        with pytest.raises(JobFinished, match="f-7 is cancelled"):
            made.jobs.cancel("f-7")
        with pytest.raises(UnknownJob, match="no job 'nobody'"):
            made.jobs.cancel("nobody")
    assert [row.job.state for row in kept_jobs(tmp_path)] == ["cancelled", "cancelled"]


def test_the_oldest_finished_jobs_are_forgotten(tmp_path: Path) -> None:
    with bench(tmp_path, max_jobs=3) as made:
        made.jobs.resume()
        for number in range(6):
            made.first(f"f-{number}", created_s=float(number))
        for number in range(5):
            assert made.jobs.cancel(f"f-{number}").state == "cancelled"
        assert [job.id for job in made.jobs.list()] == ["f-5", "f-4", "f-3", "f-2"]
        with pytest.raises(UnknownJob):
            made.jobs.get("f-1")
    assert [row.job.id for row in kept_jobs(tmp_path)] == ["f-2", "f-3", "f-4", "f-5"]


def test_the_training_process_ends_when_its_server_is_gone(tmp_path: Path) -> None:
    (tmp_path / "training").mkdir()
    os.mkfifo(tmp_path / "training" / "f-7.npz")
    command = [sys.executable, "-m", "stream.training.worker", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(Task(id="f-7", feed="f")) + b"\n")
        assert b"reading" in process.stdout.readline()
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60.0) == 3


def test_progress_is_told_in_order_and_no_more_often_than_every_tenth_of_a_second(tmp_path: Path) -> None:
    with bench(tmp_path) as made:
        made.run()
        made.jobs.keep("f-7", training_set())
        made.first("f-7")
        watch = made.jobs.watch("f-7")
        told: list[Job] = []
        began_s = time.monotonic()
        while not watch.finished:
            assert time.monotonic() < began_s + 60
            job = watch.next(1.0)
            if job is not None:
                told.append(job)
        assert watch.next(0.0) is None
        assert told[-1] == made.jobs.get("f-7")
        assert [job.fraction for job in told] == sorted(job.fraction for job in told)
        states = [job.state for job in told]
        assert states == sorted(states, key=("queued", "running", "done").index)
        assert "fitting" in {job.stage for job in told}
        assert made.jobs.watch("f-7").next(0.0) == told[-1], "who comes late sees the outcome"
