"""Running one job: attempts, time-outs, cancelling, and what is kept of each. The training thread's alone.

A process that died is tried again, up to `training.max_attempts` in all; what it refused, and what took too
long, would come to the same and is not. A server that stops ends the process and leaves the job queued.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

import msgspec

from anomalyai.alert import rfc3339
from anomalyai.errors import ModelError
from anomalyai.manifest import Manifest
from stream import settings
from stream.clock import Clock
from stream.errors import LogFailure
from stream.job import FAILED, Failure, Job
from stream.training.folder import Folders
from stream.training.ledger import Ledger
from stream.training.process import Outcome, run_process
from stream.training.register import Record, Register
from stream.training.task import Stage
from stream.transaction import Statements

RETRY_S = 1.0

PutIn = Callable[[str, str, Sequence[Statements]], None]
"""Puts a model into a feed by (feed, model id, statements for the same transaction)."""

log = logging.getLogger("anomalyai.stream")


class Runner:
    """Takes jobs through their states. `spent_s` is how long processes have run since the start."""

    def __init__(
        self,
        folders: Folders,
        limits: settings.Training,
        clock: Clock,
        register: Register,
        ledger: Ledger,
        put_in: PutIn,
    ) -> None:
        self._folders = folders
        self._limits = limits
        self._clock = clock
        self._register = register
        self._ledger = ledger
        self._put_in = put_in
        self._closing = threading.Event()
        self.spent_s = 0.0

    @property
    def closing(self) -> bool:
        """Whether the server stops."""
        return self._closing.is_set()

    def close(self) -> None:
        """End the process that runs, if any; its job stays queued for the next start."""
        self._closing.set()

    def run(self, record: Record) -> Manifest | None:
        """Take a queued job to its end; returns its model's manifest, None where there is none."""
        while not self.closing:
            now_s = self._clock.now_s()
            job = msgspec.structs.replace(record.job, state="running", started=rfc3339(now_s), fraction=0.0)
            if not self._register.take(record, job):
                return None  # cancelled meanwhile
            self._keep(record, job, now_s)
            outcome = self._attempt(record)
            if isinstance(outcome, Manifest) and not self.closing:
                return self._finish(record, outcome)
            if self.closing:
                self._put_back(record)
            elif record.cancelling.is_set():
                self._end(record, "cancelled", None)
            elif isinstance(outcome, Failure):
                self._end(record, "failed", outcome)
            elif isinstance(outcome, str):
                self._fail(record, outcome)
            if record.job.is_finished or self._closing.wait(RETRY_S):
                return None
        return None

    def _attempt(self, record: Record) -> Outcome:
        began_s = self._clock.monotonic_s()

        def ending() -> Failure | None:
            if self.closing or record.cancelling.is_set():
                return Failure("ended", "the training was ended")
            if self._clock.monotonic_s() - began_s > self._limits.max_duration_s:
                return Failure(
                    "training_timeout",
                    f"the training took longer than {self._limits.max_duration_s:g} s and was ended",
                    hint="train on fewer records, or raise training.max_duration_s",
                )
            return None

        def on_stage(stage: Stage) -> None:
            self._register.advance(record, stage.stage, stage.fraction)

        try:
            said = self._folders.last_words(record.job.id)
            return run_process(record.task, self._folders.data, said, on_stage=on_stage, ending=ending)
        except OSError as error:
            return f"the training process could not be run: {error}"
        finally:
            self.spent_s += self._clock.monotonic_s() - began_s

    def _finish(self, record: Record, manifest: Manifest) -> Manifest | None:
        """Keep that a job is done; a first model goes into its feed in the same transaction."""
        now_s = self._clock.now_s()
        done = msgspec.structs.replace(
            record.job,
            state="done",
            model=manifest.id,
            error=None,
            stage=None,
            fraction=1.0,
            seconds_left=None,
            finished=rfc3339(now_s),
        )
        try:
            self._keep(record, done, now_s, put_in=record.task.created_by == "first")
        except ModelError as error:
            log.error("training %s made a model that cannot be used: %s", done.id, error)
            self._end(record, "failed", Failure.of(error))
            return None
        if self.closing:
            return None  # the next start trains it again, and comes to the same
        log.info("feed %s: model %s was trained", done.feed, manifest.id)
        self._folders.remove(done.id)
        self._register.change(record, done)
        return manifest

    def _fail(self, record: Record, cause: str) -> None:
        """Note an attempt that failed; the job waits for the next one, if it is to have one."""
        record.failures += 1
        attempts = self._limits.max_attempts
        log.error("training %s failed (%d of %d): %s", record.job.id, record.failures, attempts, cause)
        failure = Failure(FAILED, cause)
        if record.failures >= attempts:
            self._end(record, "failed", failure)
            return
        job = msgspec.structs.replace(record.job, state="queued", error=failure, seconds_left=None)
        self._register.change(record, job)
        self._keep(record, job, self._clock.now_s())

    def _end(self, record: Record, state: str, failure: Failure | None) -> None:
        if failure is not None:
            log.error("training %s failed: %s", record.job.id, failure.message)
        now_s = self._clock.now_s()
        job = ended(record.job, state, failure, now_s)
        self._keep(record, job, now_s)
        if not self.closing:
            self._folders.remove(job.id)
            self._register.change(record, job)

    def _put_back(self, record: Record) -> None:
        """Leave a job that the server's stop has ended to the next start."""
        job = msgspec.structs.replace(record.job, state="queued", seconds_left=None)
        self._register.change(record, job)
        try:
            self._ledger.keep(self._ledger.change(job, record.failures, self._clock.now_s()))
        except LogFailure as error:
            log.error("the state of training %s cannot be kept: %s", job.id, error)

    def _keep(self, record: Record, job: Job, at_s: float, *, put_in: bool = False) -> None:
        """Keep a job's state, as soon as the log takes it; with it the swap of its model."""
        while not self.closing:
            changes = self._ledger.change(job, record.failures, at_s)
            try:
                if put_in:
                    assert job.model is not None
                    self._put_in(job.feed, job.model, changes)
                else:
                    self._ledger.keep(changes)
                break
            except LogFailure as error:
                log.error("the state of training %s cannot be kept, it is tried again: %s", job.id, error)
                self._closing.wait(RETRY_S)


def ended(job: Job, state: str, failure: Failure | None, at_s: float) -> Job:
    """Return a job that has come to an end without a model."""
    finished = rfc3339(at_s)
    return msgspec.structs.replace(
        job, state=state, error=failure, stage=None, fraction=0.0, seconds_left=None, finished=finished
    )
