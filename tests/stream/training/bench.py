"""Trainings without an engine: a data directory, its writer, and the training thread, each a real one."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from anomalyai.training import TrainingSet
from stream.clock import Clock
from stream.database import Database
from stream.job import Job
from stream.settings import Training as Limits
from stream.testing import ManualClock
from stream.training.jobs import Jobs
from stream.training.ledger import Ledger, Row
from stream.training.task import Task
from stream.transaction import Statements
from stream.writer import Writer
from tests.stream.feeding import wait_until


def training_set(rows: int = 200) -> TrainingSet:
    features = np.random.default_rng(1).normal(size=(rows, 3))
    return TrainingSet(features=features, columns=("a", "b", "c"), last_seq=rows, seed=7)


def kept_jobs(data: Path) -> list[Row]:
    """Return the jobs that a data directory holds, the oldest first."""
    database = Database(data)
    rows = Ledger(database, Writer(database), 10).rows()
    database.close()
    return rows


class Bench:
    """Jobs with their writer; `put_in` notes what was to go into a feed, or raises what it is told."""

    def __init__(self, data: Path, clock: Clock | None = None, **limits: Any) -> None:
        self.data = data
        self.clock = clock or ManualClock()
        self.refusals: list[Exception] = []
        self.installed: list[tuple[str, str]] = []
        self.seen: list[Job] = []
        self._database = Database(data)
        self._database.migrate()
        self._writer = Writer(self._database)
        self.jobs = Jobs(data, Limits(**limits), self.clock, self._database, self._writer, self.put_in)
        self._threads = [
            threading.Thread(target=body, daemon=True) for body in (self._writer.run, self.jobs.run)
        ]
        self._threads[0].start()

    def put_in(self, feed: str, model_id: str, also: Sequence[Statements]) -> None:
        if self.refusals:
            raise self.refusals.pop()
        self.jobs._ledger.keep(also)
        self.installed.append((feed, model_id))

    def first(self, job_id: str, **values: Any) -> None:
        """Queue a first training as the engine does, by its row and then by its task."""
        task = Task(id=job_id, feed="f", **values)
        self.jobs._ledger.add(task)
        self.jobs.submit(task)

    def run(self) -> None:
        """Start the training thread, after what was left unfinished was taken up."""
        self.jobs.resume()
        self._threads[1].start()

    def finished(self, job_id: str) -> Job:
        """Wait until a job is finished; returns it."""
        wait_until(lambda: self.jobs.get(job_id).is_finished, job_id)
        return self.jobs.get(job_id)

    def stop(self) -> None:
        """Stop in the runtime's order."""
        self.jobs.close()
        if self._threads[1].is_alive():
            self._threads[1].join(60)
            assert not self._threads[1].is_alive()
        self._writer.close()
        self._threads[0].join(60)
        self._database.close()

    def files(self) -> list[str]:
        """Return the files that trainings have."""
        return sorted(
            path.name
            for folder in ("training", "uploads")
            for path in (self.data / folder).glob("*")
            if path.is_file()
        )


@contextmanager
def bench(data: Path, clock: Clock | None = None, **limits: Any) -> Iterator[Bench]:
    """Have a bench for the length of a block."""
    made = Bench(data, clock, **limits)
    try:
        yield made
    finally:
        made.stop()
