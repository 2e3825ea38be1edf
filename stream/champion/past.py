"""What scored a feed before: its swap entries, read back from the log. Safe from any thread."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated

import msgspec
import sqlalchemy as sa
from msgspec import Meta

from anomalyai.alert import rfc3339
from anomalyai.control import ModelSwap
from stream import tables
from stream.database import Database
from stream.errors import LogDamaged
from stream.log import StoredEntry

MOST = 1_000
"""Swaps that are looked back on, of a feed or of all."""

log = logging.getLogger("anomalyai.stream")


class Promotion(msgspec.Struct, frozen=True):
    """A model that was put into a feed."""

    feed: Annotated[str, Meta(description="The feed.")]
    model: Annotated[str, Meta(description="The model's id.")]
    entry: Annotated[int, Meta(description="The log entry from which on it scored.")]
    time: Annotated[str, Meta(description="When it was put in, RFC 3339 in UTC.")]
    by: Annotated[str, Meta(description="Who put it in: first, hand, schedule or drift.")]
    rollback: Annotated[bool, Meta(description="Whether that took the promotion before it back.")]
    note: Annotated[str | None, Meta(description="What they said of it.")]


class Past:
    """The promotions of one data directory."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def promotions(self, feed: str | None = None, model: str | None = None) -> list[Promotion]:
        """Return what was put in, oldest first, of one feed or of one model where that is given.

        At most the newest `MOST` are looked at; what cannot be read any more is left out.
        """
        column = tables.entry.c
        statement = sa.select(*(column[name] for name in StoredEntry.__struct_fields__))
        statement = statement.where(sa.text("kind <> 'records'"), column.kind == "model")
        if feed is not None:
            statement = statement.where(column.feed == feed)
        with self._database.reader.connect() as connection:
            rows = connection.execute(statement.order_by(column.entry.desc()).limit(MOST)).all()
        found = [promotion for row in rows if (promotion := _read(StoredEntry(*row))) is not None]
        return [promotion for promotion in reversed(found) if model in (None, promotion.model)]


def before(promotions: Sequence[Promotion], present: str | None) -> str | None:
    """Return the model that a rollback goes back to, None where there is none.

    Promotions stand on each other; a rollback takes the uppermost away, so that a second one in a row goes
    back one further. What is above the present model never came to score.
    """
    standing: list[str] = []
    for promotion in promotions:
        if promotion.rollback and promotion.model in standing:
            while standing[-1] != promotion.model:
                standing.pop()
        elif standing[-1:] != [promotion.model]:
            standing.append(promotion.model)
    while standing and standing[-1] != present:
        standing.pop()
    return standing[-2] if len(standing) > 1 else None


def _read(stored: StoredEntry) -> Promotion | None:
    try:
        change = stored.control()
    except LogDamaged as error:
        log.error("feed %s: %s", stored.feed, error)
        return None
    if not isinstance(change, ModelSwap):
        return None
    return Promotion(
        stored.feed,
        change.model_id,
        stored.entry,
        str(rfc3339(stored.arrival)),
        change.by,
        change.rollback,
        change.note,
    )
