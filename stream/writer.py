"""The one writer of the database: everything that arrives while a commit runs goes into the next one.

`Writer.submit` may be called from any thread and never blocks; `Writer.run` is the body of the writer thread,
which `stream.engine` starts. Per group:

1. take what waits, in order of submission, up to `MAX_GROUP` units or `MAX_GROUP_BYTES`;
2. `write` of each unit, in one transaction;
3. COMMIT; with `durability = "fsync"` it returns once the disk has the group;
4. `committed` of each unit, in the same order, on this thread.

A failing group is rolled back and its units are tried one by one, so that one bad unit fails alone; a unit
that fails gets `failed` and is not tried again here. Lock: one condition guards the queue and the flags.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import deque

import sqlalchemy as sa

from stream.database import DAMAGED_CODES, REPAIR_HINT, Database, primary_code
from stream.errors import LogFailure, StreamError
from stream.transaction import Transaction

MAX_GROUP = 1000
MAX_GROUP_BYTES = 32 * 1024 * 1024

_FATAL_CODES = frozenset({8, 10, 11, 14, 26})  # READONLY, IOERR, CORRUPT, CANTOPEN, NOTADB


class Work(ABC):
    """One unit of writing: all of it is committed or nothing."""

    size_bytes: int = 0

    @abstractmethod
    def write(self, transaction: Transaction) -> None:
        """Add the unit's statements; called by the writer thread, twice where its group failed."""

    @abstractmethod
    def committed(self) -> None:
        """Note that the unit is durable; called once by the writer thread. Must be quick, must not raise."""

    @abstractmethod
    def failed(self, error: LogFailure) -> None:
        """Note that nothing of the unit was kept; called once by the writer thread. Must not raise."""


class Writer:
    """A queue of units and the loop that commits them in groups."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._waiting: deque[Work] = deque()
        self._closed = False
        self._broken: LogFailure | None = None
        self.cause: str | None = None
        self.commits = 0
        self.units = 0

    def submit(self, work: Work) -> None:
        """Queue a unit; its `committed` or `failed` will be called.

        Raises
        ------
        LogFailure
            The writer is closed; the unit was not queued.
        """
        with self._changed:
            if self._closed:
                raise self._broken or LogFailure(
                    "the log is closed", hint="the server is stopping; send it again"
                )
            self._waiting.append(work)
            self._changed.notify()

    def close(self) -> None:
        """Take nothing more; `run` returns when what waits is committed."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def run(self) -> None:
        """Commit groups until closed and empty. If it must end early, what waits fails with the cause."""
        try:
            with self._database.writer.connect() as connection:
                while group := self._take():
                    self._commit(connection, group)
        finally:
            self._refuse_rest()

    def _take(self) -> list[Work]:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            group: list[Work] = []
            size_bytes = 0
            while self._waiting and len(group) < MAX_GROUP and size_bytes < MAX_GROUP_BYTES:
                work = self._waiting.popleft()
                size_bytes += work.size_bytes
                group.append(work)
            return group

    def _commit(self, connection: sa.Connection, group: list[Work]) -> None:
        error = self._broken or _transact(connection, group)
        if error is None:
            self.cause = None
            self.commits += 1
            self.units += len(group)
            for work in group:
                work.committed()
            return
        if _is_fatal(error):
            self._broken = error
        if len(group) > 1:
            for work in group:
                self._commit(connection, [work])
            return
        self.cause = error.message
        group[0].failed(error)

    def _refuse_rest(self) -> None:
        with self._changed:
            self._closed = True
            rest = list(self._waiting)
            self._waiting.clear()
        error = self._broken or LogFailure("the writer has ended", hint="the server must be started again")
        for work in rest:
            work.failed(error)


def _transact(connection: sa.Connection, group: list[Work]) -> LogFailure | None:
    try:
        transaction = Transaction(connection)
        for work in group:
            work.write(transaction)
        transaction.flush()
        connection.commit()
    except LogFailure as error:
        connection.rollback()
        return error
    except (sa.exc.SQLAlchemyError, StreamError) as error:
        connection.rollback()
        cause = getattr(error, "orig", None) or error
        hint = "nothing was kept; look at the disk of the data directory, then send it again"
        if primary_code(cause) in DAMAGED_CODES:
            hint = f"nothing was kept; {REPAIR_HINT}"
        failure = LogFailure(f"the log could not be written: {cause}", hint=hint)
        failure.__cause__ = error
        return failure
    return None


def _is_fatal(error: LogFailure) -> bool:
    return primary_code(getattr(error.__cause__, "orig", None)) in _FATAL_CODES
