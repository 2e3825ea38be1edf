"""Trainings of a data directory: asked for by a feed, a person or a schedule, and run one after the other.

The engine keeps a first training set and submits its job; everybody else calls `start_log` or
`start_upload`, which return once the job is durable. The training thread runs each in a process of its own
(`stream.training.process`), so that the engine never waits and never shares its interpreter. Jobs stand in
the database: one that a crash cut short is found there and started again, with the records it was to see.

`keep` is called by the engine, `run` is the body of the training thread, the rest is for any thread.
"""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec

from anomalyai.errors import ModelError
from anomalyai.manifest import Manifest
from anomalyai.training import MIN_ROWS, TrainingOptions, TrainingSet
from stream import settings
from stream.clock import Clock
from stream.database import Database
from stream.errors import JobFinished, LogFailure, NotReady, Overloaded
from stream.feeds import require_name
from stream.history import History
from stream.job import CreatedBy, Failure, Job
from stream.snapshot import publish_file
from stream.training.folder import Folders
from stream.training.ledger import Ledger
from stream.training.register import Record, Register, Watch
from stream.training.runner import PutIn, Runner, ended
from stream.training.task import Task
from stream.warmup import warm_up_model
from stream.writer import Writer

CANCEL_S = 15.0
RETRY_AFTER_S = 10.0
SUFFIXES = {"text/csv": ".csv", "application/json": ".json", "application/x-ndjson": ".ndjson"}

OnTrained = Callable[[Job, Manifest], None]

log = logging.getLogger("anomalyai.stream")


class Jobs:
    """The queue of trainings of one data directory.

    `on_trained` is called by the training thread once a job that a schedule or a drift asked for is done and
    durable, before the next one begins; it decides what becomes of the model.
    """

    def __init__(
        self,
        data: Path,
        limits: settings.Training,
        clock: Clock,
        database: Database,
        writer: Writer,
        put_in: PutIn,
    ) -> None:
        self.folders = Folders(data)
        self.on_trained: OnTrained | None = None
        self._limits = limits
        self._clock = clock
        self._history = History(database)
        self._ledger = Ledger(database, writer, limits.max_jobs)
        self._register = Register(clock, limits.max_jobs, self._ledger.rows())
        self._runner = Runner(self.folders, limits, clock, self._register, self._ledger, put_in)
        self._queue: SimpleQueue[Record | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._resumed = threading.Event()

    def start_log(
        self, feed: str, options: TrainingOptions, *, last_s: float | None, created_by: CreatedBy
    ) -> Job:
        """Train on what a feed's log holds now, or on what came in during the last seconds before.

        Raises
        ------
        UnknownFeed, ModelError
            There is no such feed, or it has too few records.
        Overloaded, LogFailure, NotReady
            Too many jobs wait, or it cannot be taken now.
        """
        require_name(feed)
        now_s = self._clock.now_s()
        span = self._history.span(feed, since_s=None if last_s is None else now_s - last_s)
        if span.records < MIN_ROWS:
            when = "" if last_s is None else f" of the last {last_s:g} s"
            raise ModelError(
                f"expected at least {MIN_ROWS} records to train on, the log of feed {feed!r} has "
                f"{span.records}{when}",
                code="too_few_rows",
                field="feed" if last_s is None else "last",
                hint="send more records, or train on a file",
            )
        return self._start(
            Task(
                id=_job_id(feed),
                feed=feed,
                source="log",
                created_by=created_by,
                created_s=now_s,
                entry=span.upto,
                options=options,
                last_s=last_s,
            )
        )

    def start_upload(
        self, feed: str, options: TrainingOptions, path: Path, media: str, created_by: CreatedBy
    ) -> Job:
        """Train on a received file, which becomes the job's own and goes with it.

        The feed need not exist. `path` is on the data directory's file system, `media` one of `SUFFIXES`.

        Raises
        ------
        FeedName, Overloaded, LogFailure, NotReady
            The feed's name is none, too many jobs wait, or it cannot be taken now; the file stays.
        """
        require_name(feed)
        job_id = _job_id(feed)
        task = Task(
            id=job_id,
            feed=feed,
            source="upload",
            created_by=created_by,
            created_s=self._clock.now_s(),
            options=options,
            upload=f"{job_id}{SUFFIXES[media]}",
            media=media,
        )
        return self._start(task, path)

    def require_room(self) -> None:
        """Check that another job may wait.

        Raises
        ------
        Overloaded
            As many wait as may.
        NotReady
            The runtime is not ready, or no longer.
        """
        if not self._resumed.is_set() or self._runner.closing:
            raise NotReady("trainings are not taken now: the server is starting or stopping")
        waiting = sum(
            record.job.state == "queued" and record.job.created_by != "first"
            for record in self._register.records()
        )
        if waiting >= self._limits.max_queued:
            raise Overloaded(
                f"{waiting} trainings wait, at most {self._limits.max_queued} may",
                retry_after_s=RETRY_AFTER_S,
                hint="wait for one of GET /jobs to finish, cancel one, or raise training.max_queued",
            )

    def list(self, feed: str | None = None) -> list[Job]:
        """Return the jobs, of one feed or of all, the newest first."""
        return self._register.list(feed)

    def get(self, job_id: str) -> Job:
        """Return a job; raises `UnknownJob`."""
        return self._register.record(job_id).job

    def watch(self, job_id: str) -> Watch:
        """Watch a job; raises `UnknownJob`."""
        return Watch(self._register, self._register.record(job_id), self._clock)

    def cancel(self, job_id: str) -> Job:
        """Cancel a job that waits or runs; returns it once its process is gone and its files are removed.

        Raises
        ------
        UnknownJob
            There is no such job.
        JobFinished
            It is over, one way or the other.
        LogFailure, NotReady
            It cannot be kept now.
        """
        record = self._register.record(job_id)
        at_s = self._clock.now_s()
        job = ended(record.job, "cancelled", None, at_s)
        if self._register.take(record, job):
            self._ledger.keep(self._ledger.change(job, record.failures, at_s))
            self.folders.remove(job_id)
            return job
        if record.job.is_finished:
            raise _finished(record.job)
        record.cancelling.set()
        job = self._register.wait_finished(record, CANCEL_S)
        if not job.is_finished:
            raise NotReady(
                f"job {job_id} is being cancelled, which takes long", hint="GET /jobs/{id} says when it is"
            )
        if job.state != "cancelled":
            raise _finished(job)
        return job

    def latest_first(self, feed: str) -> Job | None:
        """Return the newest first training of a feed, None where there was none."""
        return next((job for job in self._register.list(feed) if job.created_by == "first"), None)

    def figures(self) -> dict[str, Any]:
        """Return how many jobs are in each state, and how long processes have run since the start."""
        return {"states": dict(self._register.states()), "seconds": self._runner.spent_s}

    def keep(self, job_id: str, training_set: TrainingSet) -> None:
        """Write a training set durably, before the records that completed it count as processed."""
        path = self.folders.training_set(job_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        training_set.save(temporary)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        publish_file(temporary, path)

    def submit(self, task: Task) -> None:
        """Queue a job whose row is committed; one that is known is left as it is."""
        if self._resumed.is_set():  # before, `resume` finds it in the database
            self._queue.put(self._register.add(task))

    def resume(self) -> None:
        """Queue what the last run of the server left unfinished; remove files that belong to nothing."""
        for job, task, failures in self._ledger.rows():
            record = self._register.add(task)
            if job.is_finished:
                continue
            if job.state == "running":  # no stop in order: the server died while it ran
                failures += 1
            record.failures = failures
            if failures >= self._limits.max_attempts and job.state == "running":
                self._give_up(record)
                continue
            self._register.change(record, msgspec.structs.replace(job, state="queued", fraction=0.0))
            self._queue.put(record)
        unfinished = {record.job.id for record in self._register.records() if not record.job.is_finished}
        self.folders.keep_only(unfinished)
        self._resumed.set()

    def close(self) -> None:
        """End the process that runs, if any, and the training thread; the job goes on at the next start."""
        self._runner.close()
        self._queue.put(None)

    def run(self) -> None:
        """Run jobs one after the other until closed; compiles first what a trained model will need here."""
        warm_up_model()
        while (record := self._queue.get()) is not None and not self._runner.closing:
            manifest = self._runner.run(record)
            if manifest is not None and record.job.created_by in ("schedule", "drift"):
                self._hand_over(record.job, manifest)

    def _hand_over(self, job: Job, manifest: Manifest) -> None:
        if self.on_trained is None:
            log.info("model %s waits in the store until somebody promotes it", manifest.id)
        else:
            self.on_trained(job, manifest)

    def _start(self, task: Task, path: Path | None = None) -> Job:
        with self._starting:
            self.require_room()
            if path is not None and task.upload is not None:
                self.folders.take_upload(path, task.upload)
            kept = False
            try:
                self._ledger.add(task)
                kept = True
            finally:
                if not kept:
                    self.folders.remove(task.id)
            record = self._register.add(task)
        self._queue.put(record)
        return record.job

    def _give_up(self, record: Record) -> None:
        failure = Failure(
            "training_interrupted",
            f"the server died {record.failures} times while this training ran, it is not tried again",
            hint="look at the machine's memory, or train on fewer records",
        )
        log.error("training %s: %s", record.job.id, failure.message)
        now_s = self._clock.now_s()
        job = ended(record.job, "failed", failure, now_s)
        self._register.change(record, job)
        try:
            self._ledger.keep(self._ledger.change(job, record.failures, now_s))
        except LogFailure as error:
            log.error("the state of training %s cannot be kept: %s", job.id, error)


def _job_id(feed: str) -> str:
    return f"{feed}-t{secrets.token_hex(5)}"


def _finished(job: Job) -> JobFinished:
    return JobFinished(
        f"job {job.id} is {job.state} and cannot be cancelled any more",
        field="id",
        hint="GET /jobs lists those that wait or run",
    )
