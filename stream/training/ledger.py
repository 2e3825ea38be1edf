"""The jobs in the database: what outlives a restart. Progress is not kept there, only states.

A job's row is written when it is queued (a first training's in the transaction that committed the records
which completed its set), at each change of its state, and a finished first training's in the one that holds
its model's swap entry. The oldest finished jobs go when there are too many. Safe from any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from anomalyai.alert import rfc3339
from stream import tables
from stream.database import Database
from stream.job import FAILED, FINISHED, Failure, Job
from stream.results import Statement
from stream.training.task import Task
from stream.transaction import Statements, Transaction
from stream.writer import Writer


class Row(NamedTuple):
    """A job as it is kept; `failures` counts attempts that failed, or that the server did not outlive."""

    job: Job
    task: Task
    failures: int


class Ledger:
    """Reads and writes the job table; `kept` is how many finished jobs stay."""

    def __init__(self, database: Database, writer: Writer, kept: int) -> None:
        self._database = database
        self._writer = writer
        self._kept = kept

    def rows(self) -> list[Row]:
        """Return the jobs, the oldest first."""
        columns = tables.job.c
        statement = sa.select(tables.job).order_by(columns.created, columns.id)
        with self._database.reader.connect() as connection:
            return [_read(row) for row in connection.execute(statement)]

    def add(self, task: Task) -> None:
        """Keep a new job; returns when it is durable.

        Raises
        ------
        LogFailure
            It could not be kept.
        """
        values = {
            "id": task.id,
            "feed": task.feed,
            "entry": task.entry,
            "state": "queued",
            "failures": 0,
            "created": task.created_s,
            "task": msgspec.json.encode(task).decode(),
        }
        self.keep([lambda transaction: transaction.add(sa.insert(tables.job), values)])

    def keep(self, changes: Sequence[Statements]) -> None:
        """Make changes durable; raises `LogFailure` where they cannot be."""

        def run(transaction: Transaction) -> None:
            for change in changes:
                change(transaction)

        statement = Statement(run)
        self._writer.submit(statement)
        statement.finished.result()

    def change(self, job: Job, failures: int, at_s: float) -> list[Statements]:
        """Return the statements that keep a job's state as of `at_s`, epoch seconds."""
        values: dict[str, Any] = {
            "state": job.state,
            "failures": failures,
            "model": job.model,
            "error": None if job.error is None else msgspec.json.encode(job.error).decode(),
        }
        if job.state == "running":
            values["started"] = at_s
        if job.is_finished:
            values["finished"] = at_s
        changed = sa.update(tables.job).where(tables.job.c.id == job.id).values(**values)
        statements = [changed, self._pruned()] if job.is_finished else [changed]
        return [lambda transaction, each=each: transaction.execute(each) for each in statements]  # type: ignore[misc]

    def _pruned(self) -> sa.Delete:
        columns = tables.job.c
        finished = columns.state.in_(FINISHED)
        kept = sa.select(columns.id).where(finished).order_by(columns.created.desc(), columns.id.desc())
        return sa.delete(tables.job).where(finished, columns.id.not_in(kept.limit(self._kept)))


def _read(row: Any) -> Row:
    if row.task is None:  # a first training's: the engine names it, and everything else has its default
        task = Task(id=row.id, feed=row.feed, entry=row.entry, created_s=row.created)
    else:
        task = msgspec.json.decode(row.task, type=Task)
    job = msgspec.structs.replace(
        new_job(task),
        state=row.state,
        model=row.model,
        error=_failure(row.error),
        fraction=1.0 if row.state == "done" else 0.0,
        started=_time(row.started),
        finished=_time(row.finished),
    )
    return Row(job, task, row.failures)


def new_job(task: Task) -> Job:
    """Return a job as it stands when it is queued."""
    return Job(
        id=task.id,
        feed=task.feed,
        algorithm=task.options.algorithm,
        source=task.source,
        created_by=task.created_by,
        created=rfc3339(task.created_s),
    )


def _failure(text: str | None) -> Failure | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Failure)
    except msgspec.DecodeError:
        return Failure(FAILED, text)  # of an earlier version


def _time(time_s: float | None) -> str | None:
    return None if time_s is None else rfc3339(time_s)
