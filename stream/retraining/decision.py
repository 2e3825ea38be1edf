"""What became of every retraining, and why: a bounded list for each feed, in memory and in the database.

A retraining is *started*; it *failed*, or its model *passed* or was *refused*; one that passed is *promoted*.
A refused model waits in the store for a person. What is started and has no end yet is taken up again after a
restart. Safe from any thread: one lock.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Annotated, Any, Literal

import msgspec
import sqlalchemy as sa
from msgspec import Meta

from anomalyai.alert import rfc3339
from stream import tables
from stream.database import Database
from stream.results import Statement
from stream.transaction import Transaction
from stream.writer import Writer

Kind = Literal["started", "failed", "passed", "refused", "promoted"]
Cause = Literal["schedule", "drift", "hand"]

ENDS = ("failed", "refused", "promoted")

log = logging.getLogger("anomalyai.stream")


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a retraining. Times are RFC 3339 in UTC."""

    number: int
    feed: str
    at: str | None
    at_s: float
    kind: Annotated[Kind, Meta(description="refused: the model waits for a person.")]
    cause: Annotated[Cause, Meta(description="Why it was trained.")]
    job: Annotated[str, Meta(description="The training.")]
    model: str | None = None
    champion: str | None = None
    seen: Annotated[int, Meta(description="Records of the feed when it was started.")] = 0
    reasons: tuple[str, ...] = ()
    figures: dict[str, Any] = {}

    @property
    def is_end(self) -> bool:
        """Whether nothing comes after it."""
        return self.kind in ENDS


class Decisions:
    """The decisions of a data directory; `kept` of each feed, the latest ones."""

    def __init__(self, database: Database, writer: Writer, kept: int) -> None:
        self._writer = writer
        self._kept = kept
        self._lock = threading.Lock()
        self._decisions: dict[str, deque[Decision]] = {}
        self._number = 0
        statement = sa.select(tables.decision.c.body).order_by(tables.decision.c.number)
        with database.reader.connect() as connection:
            for body in connection.execute(statement).scalars():
                self._note(msgspec.json.decode(body, type=Decision))

    def of(self, feed: str) -> list[Decision]:
        """Return a feed's decisions, the newest first."""
        with self._lock:
            return list(self._decisions.get(feed, ()))[::-1]

    def last_start(self, feed: str) -> Decision | None:
        """Return the newest start of a retraining of a feed."""
        return next((one for one in self.of(feed) if one.kind == "started"), None)

    def knows(self, feed: str, job: str) -> bool:
        """Whether there is a decision about a training."""
        return any(one.job == job for one in self.of(feed))

    def open(self) -> list[Decision]:
        """Return the newest decision of every retraining that has not come to its end, the oldest first."""
        with self._lock:
            latest = {one.job: one for kept in self._decisions.values() for one in kept}
        return sorted((one for one in latest.values() if not one.is_end), key=lambda one: one.number)

    def add(self, decision: Decision) -> Decision:
        """Keep a decision, numbered; returns when it is durable. Raises `LogFailure`."""
        with self._lock:
            self._number += 1
            decision = msgspec.structs.replace(decision, number=self._number, at=rfc3339(decision.at_s))
        values = {
            "number": decision.number,
            "feed": decision.feed,
            "body": msgspec.json.encode(decision),
        }

        def keep(transaction: Transaction) -> None:
            column = tables.decision.c
            transaction.add(sa.insert(tables.decision), values)
            newest = (
                sa.select(column.number)
                .where(column.feed == decision.feed)
                .order_by(column.number.desc())
                .limit(self._kept)
            )
            transaction.execute(
                sa.delete(tables.decision).where(column.feed == decision.feed, column.number.not_in(newest))
            )

        statement = Statement(keep)
        self._writer.submit(statement)
        statement.finished.result()
        with self._lock:
            self._note(decision)
        log.info("retraining %s", msgspec.json.encode(decision).decode())
        return decision

    def _note(self, decision: Decision) -> None:
        self._decisions.setdefault(decision.feed, deque(maxlen=self._kept)).append(decision)
        self._number = max(self._number, decision.number)
