"""The one writer of the database: everything that arrives while a commit runs goes into the next one.

`Writer.submit` may be called from any thread and never blocks; `Writer.run` is the body of the writer thread,
which `stream.engine` starts. Per group:

1. take what waits, in order of submission, up to `MAX_GROUP` units or `MAX_GROUP_BYTES`;
2. `write` of each unit, in one transaction;
3. COMMIT; with `durability = "fsync"` it returns once the disk has the group;
4. `committed` of each unit, in the same order, on this thread.

A failing group is rolled back and its units are tried one by one, so that one bad unit fails alone; a unit
that fails gets `failed` and is not tried again here. After a failure that a full disk may explain, the writer
tries one page by itself once nothing came for `PROBE_S`; a broken file is left alone until a restart. Lock:
one condition guards the queue and the flags.
"""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from collections import deque
from typing import Protocol

import sqlalchemy as sa

from stream import tables
from stream.database import DAMAGED_CODES, REPAIR_HINT, Database, primary_code
from stream.errors import LogFailure, StreamError
from stream.transaction import Transaction

MAX_GROUP = 1000
MAX_GROUP_BYTES = 32 * 1024 * 1024
PROBE_S = 1.0
"""How long after a failure nothing must come before the writer tries by itself."""

log = logging.getLogger("anomalyai.stream")

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


class Chores(Protocol):
    """What the writer does besides, in small units; see `stream.upkeep`."""

    @property
    def pause_s(self) -> float:
        """How long nothing must come before the next unit."""
        ...

    def overdue(self) -> bool:
        """Whether a unit should be taken between two groups."""
        ...

    def step(self) -> Work | None:
        """Return the next unit of an idle writer's, None where there is none now."""
        ...

    def busy_step(self) -> Work | None:
        """Return the next unit of a busy writer's, None where there is none now."""
        ...


class _Probe(Work):
    """Writes one page that stays as it is, to see whether the disk takes anything again."""

    def write(self, transaction: Transaction) -> None:
        """Write it."""
        transaction.execute(sa.update(tables.identity).values(id=tables.identity.c.id))

    def committed(self) -> None:
        """Note nothing: that the commit went well says it."""

    def failed(self, error: LogFailure) -> None:
        """Tell, and go on waiting."""
        log.info("the log still cannot be written: %s", error.message)


class Writer:
    """A queue of units and the loop that commits them in groups; `chores` fill the pauses."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._changed = threading.Condition()
        self._waiting: deque[Work] = deque()
        self._closed = False
        self._broken: LogFailure | None = None
        self.chores: Chores | None = None
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
                while (group := self._take()) is not None:
                    if group:
                        self._commit(connection, group)
                    elif self.cause is not None and self._broken is None:
                        self._commit(connection, [_Probe()])
                    if not group or (self.chores is not None and self.chores.overdue()):
                        self._do_chore(connection, busy=bool(group))
        finally:
            self._refuse_rest()

    def _take(self) -> list[Work] | None:
        """Return what waits: nothing after a pause in which nothing came, None once closed and empty."""
        pause_s = self.chores.pause_s if self.chores is not None else None
        if self.cause is not None:
            pause_s = PROBE_S
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed, pause_s)
            group: list[Work] = []
            size_bytes = 0
            while self._waiting and len(group) < MAX_GROUP and size_bytes < MAX_GROUP_BYTES:
                work = self._waiting.popleft()
                size_bytes += work.size_bytes
                group.append(work)
            return None if self._closed and not group else group

    def _do_chore(self, connection: sa.Connection, busy: bool) -> None:
        """Do the next unit of the chores; one that fails ends them, and what waits is not concerned."""
        if self.chores is None or self._broken is not None:
            return
        try:
            unit = self.chores.busy_step() if busy else self.chores.step()
            error = None if unit is None else _transact(connection, [unit])
        except (StreamError, sa.exc.SQLAlchemyError) as failure:
            log.error("the upkeep of the log ends: %s", failure)
            self.chores = None
            return
        if unit is not None and error is None:
            unit.committed()
        elif unit is not None and error is not None:
            unit.failed(error)
            log.error("a step of the upkeep of the log failed: %s", error)
            if _is_fatal(error):
                self._broken, self.cause = error, error.message

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
