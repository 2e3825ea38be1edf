"""The jobs as they stand, for everybody who asks or watches; one lock, and never held over anything slow.

A watcher gets the state of its job as it is, not each step of it: what it missed is of no use any more, so
nothing waits for a slow one. The oldest finished jobs go when there are more than `kept`.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

import msgspec

from stream.clock import Clock
from stream.errors import UnknownJob
from stream.job import Job
from stream.training.ledger import Row, new_job
from stream.training.rate import Rate
from stream.training.task import Task

WATCH_EVERY_S = 0.1


class Record:
    """A job with what is known of it beside; to be changed under the register's lock alone."""

    def __init__(self, task: Task, job: Job, failures: int = 0) -> None:
        self.task = task
        self.job = job
        self.failures = failures
        self.revision = 0
        self.rate = Rate()
        self.cancelling = threading.Event()


class Register:
    """All jobs of a data directory, in memory. Safe from any thread."""

    def __init__(self, clock: Clock, kept: int, rows: Iterable[Row] = ()) -> None:
        self._clock = clock
        self._kept = kept
        self._changed = threading.Condition()
        self._records = {job.id: Record(task, job, failures) for job, task, failures in rows}

    def add(self, task: Task) -> Record:
        """Take in a job that is queued; one that is known stays as it is."""
        with self._changed:
            return self._records.setdefault(task.id, Record(task, new_job(task)))

    def record(self, job_id: str) -> Record:
        """Return a job with what belongs to it; raises `UnknownJob`."""
        with self._changed:
            found = self._records.get(job_id)
        if found is None:
            raise UnknownJob(f"there is no job {job_id[:120]!r}", field="id", hint="GET /jobs lists them")
        return found

    def records(self) -> list[Record]:
        """Return all jobs, in the order in which they came."""
        with self._changed:
            return list(self._records.values())

    def list(self, feed: str | None = None) -> list[Job]:
        """Return the jobs, of one feed or of all, the newest first."""
        jobs = [record.job for record in self.records() if feed is None or record.job.feed == feed]
        return jobs[::-1]

    def states(self) -> Counter[str]:
        """Return how many jobs are in each state."""
        return Counter(record.job.state for record in self.records())

    def change(self, record: Record, job: Job) -> None:
        """Let a job be in a new state."""
        with self._changed:
            record.job = job
            record.revision += 1
            if job.is_finished:
                self._prune()
            self._changed.notify_all()

    def take(self, record: Record, state: Job) -> bool:
        """Let a queued job be in another state, unless it is queued no longer; returns whether it was."""
        with self._changed:
            if record.job.state != "queued":
                return False
            record.rate = Rate()
            self.change(record, state)
            return True

    def advance(self, record: Record, stage: str, fraction: float) -> None:
        """Note how far a running job is; it never goes back."""
        with self._changed:
            fraction = max(record.job.fraction, min(1.0, fraction))
            left_s = record.rate.seconds_left(fraction, self._clock.monotonic_s())
            job = msgspec.structs.replace(record.job, stage=stage, fraction=fraction, seconds_left=left_s)
            self.change(record, job)

    def wait_finished(self, record: Record, timeout_s: float) -> Job:
        """Wait until a job is finished, but no longer than that; returns it as it is then."""
        with self._changed:
            self._changed.wait_for(lambda: record.job.is_finished, timeout_s)
            return record.job

    def wait_revision(self, record: Record, after: int, timeout_s: float) -> tuple[int, Job]:
        """Wait until a job has changed since revision `after`; returns its revision and how it is then."""
        with self._changed:
            self._changed.wait_for(lambda: record.revision > after, timeout_s)
            return record.revision, record.job

    def _prune(self) -> None:
        finished = [job_id for job_id, record in self._records.items() if record.job.is_finished]
        for job_id in finished[: max(0, len(finished) - self._kept)]:
            del self._records[job_id]


class Watch:
    """One watcher of one job: its state now, then each change, at most one in `WATCH_EVERY_S`."""

    def __init__(self, register: Register, record: Record, clock: Clock) -> None:
        self._register = register
        self._record = record
        self._clock = clock
        self._seen = -1
        self._told_s: float | None = None
        self.finished = False

    def next(self, timeout_s: float) -> Job | None:
        """Wait for the next change; None where there was none in time, and after the final state."""
        if self.finished:
            return None
        revision, job = self._register.wait_revision(self._record, self._seen, timeout_s)
        if revision == self._seen:
            return None
        if self._told_s is not None and not job.is_finished:
            pause_s = WATCH_EVERY_S - (self._clock.monotonic_s() - self._told_s)
            if pause_s > 0:
                job = self._register.wait_finished(self._record, pause_s)
                revision, job = self._register.wait_revision(self._record, -1, 0)
        self._seen, self._told_s = revision, self._clock.monotonic_s()
        self.finished = job.is_finished
        return job

    def close(self) -> None:
        """Stop watching: there is nothing to let go of."""
