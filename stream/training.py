"""Training beside the engine: sets on disk, one process at a time, and what became of each.

The engine keeps a training set and queues its job; the training thread runs each job in a process of its
own (`stream.trainer`), so that the engine never waits and never shares its interpreter. Jobs stand in the
database from the transaction that committed the records which completed their set, until the one that holds
the model's swap entry: a job that a crash cut short is found there and started again. `keep` is called by the
engine, `submit` and `close` by any thread, `run` is the body of the training thread. Lock: one, for states.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import IO

import msgspec

from anomalyai.manifest import Manifest
from anomalyai.training import TrainingSet
from stream import settings
from stream.clock import Clock
from stream.errors import LogFailure
from stream.snapshot import publish_file
from stream.warmup import warm_up_model

POLL_S = 0.2
RETRY_S = 1.0
ERROR_CHARS = 500
ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "LOKY_MAX_CPU_COUNT",
    )
}

log = logging.getLogger("anomalyai.stream")


class JobState(msgspec.Struct, frozen=True):
    """Where a training stands: `state` is queued, running, done or failed."""

    id: str
    feed: str
    state: str = "queued"
    failures: int = 0
    error: str | None = None
    model: str | None = None


Report = Callable[[JobState], None]
"""Keeps a new state, a finished job's with its swap entry; raises `LogFailure` where the log refuses it."""


class Training:
    """The queue of trainings of one data directory."""

    def __init__(
        self,
        folder: Path,
        models: Path,
        limits: settings.Training,
        clock: Clock,
        report: Report,
    ) -> None:
        self._folder = folder
        self._models = models
        self._limits = limits
        self._clock = clock
        self._queue: SimpleQueue[JobState | None] = SimpleQueue()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._latest: dict[str, JobState] = {}
        self._report = report

    def keep(self, job_id: str, training_set: TrainingSet) -> None:
        """Write a training set durably, before the records that completed it count as processed."""
        path = self._set_path(job_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        training_set.save(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        publish_file(temporary, path)

    def submit(self, state: JobState) -> None:
        """Queue a job; its set was kept before."""
        self._note(state)
        self._queue.put(state)

    def latest(self, feed: str) -> JobState | None:
        """Return the newest job of a feed since the start, None where there was none."""
        with self._lock:
            return self._latest.get(feed)

    def close(self) -> None:
        """End the process that runs, if any, and the training thread; the job goes on at the next start."""
        self._closing.set()
        self._queue.put(None)

    def run(self) -> None:
        """Run jobs one after the other until closed; compiles first what a trained model will need here."""
        warm_up_model()
        while (job := self._queue.get()) is not None and not self._closing.is_set():
            self._run_job(job)

    def _run_job(self, job: JobState) -> None:
        while not self._closing.is_set():
            job = self._reported(msgspec.structs.replace(job, state="running"))
            outcome = self._attempt(job)
            if self._closing.is_set():
                return
            if isinstance(outcome, Manifest):
                self._reported(msgspec.structs.replace(job, state="done", model=outcome.id, error=None))
                for path in (self._set_path(job.id), self._folder / f"{job.id}.log"):
                    path.unlink(missing_ok=True)
                return
            failures = job.failures + 1
            over = failures >= self._limits.max_attempts
            log.error(
                "training %s failed (%d of %d): %s", job.id, failures, self._limits.max_attempts, outcome
            )
            job = msgspec.structs.replace(
                job, state="failed" if over else "queued", failures=failures, error=outcome
            )
            self._reported(job)
            if over:
                return
            self._closing.wait(RETRY_S)

    def _attempt(self, job: JobState) -> Manifest | str:
        """Run the process once; returns the model's manifest, or what went wrong."""
        training_set, result = self._set_path(job.id), self._folder / f"{job.id}.result"
        result.unlink(missing_ok=True)
        if not training_set.exists():
            return f"the training set {training_set} is missing"
        files = (str(training_set), str(self._models), job.feed, str(result))
        command = [sys.executable, "-P", "-m", "stream.trainer", *files]
        package = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(part for part in (package, os.environ.get("PYTHONPATH")) if part)
        environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": path}
        with (self._folder / f"{job.id}.log").open("w+b") as errors:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=errors,
                    stderr=errors,
                    env=environment,
                    start_new_session=True,  # a Ctrl-C is for the server, which ends it in order
                )
            except OSError as error:
                return f"the training process could not be started: {error}"
            with process:
                code = self._wait(process)
            if code != 0:
                return f"the training process ended with {code}: {_tail(errors)}"
        return _read(result)

    def _wait(self, process: subprocess.Popen[bytes]) -> int | str:
        """Wait for the process; end it when the server stops or its time is over."""
        deadline_s = self._clock.monotonic_s() + self._limits.max_duration_s
        while not self._closing.is_set() and self._clock.monotonic_s() < deadline_s:
            try:
                return process.wait(POLL_S)
            except subprocess.TimeoutExpired:
                continue
        process.kill()
        process.wait()
        return "a time-out" if not self._closing.is_set() else "the server's stop"

    def _reported(self, job: JobState) -> JobState:
        """Keep a job's state, as soon as the log takes it."""
        self._note(job)
        while not self._closing.is_set():
            try:
                self._report(job)
                break
            except LogFailure as error:
                log.error("the state of training %s cannot be kept, it is tried again: %s", job.id, error)
                self._closing.wait(RETRY_S)
        return job

    def _note(self, job: JobState) -> None:
        with self._lock:
            self._latest[job.feed] = job

    def _set_path(self, job_id: str) -> Path:
        return self._folder / f"{job_id}.npz"


def _read(result: Path) -> Manifest | str:
    try:
        return msgspec.json.decode(result.read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        return f"the training process left no result: {error}"
    finally:
        result.unlink(missing_ok=True)


def _tail(errors: IO[bytes]) -> str:
    """Return the last line that the process wrote, usually its exception."""
    errors.seek(0)
    lines = errors.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:ERROR_CHARS] if lines else "it said nothing"
